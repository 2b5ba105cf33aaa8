"""Kernel types are rows of a table: switching between any two is one assembly, one reboot."""

from dataclasses import replace

import pytest

from mcd_rt.model.kernel import KernelType
from mcd_rt.sim.bases import Release
from mcd_rt.sim.image import kernel_rt_packages
from mcd_rt.sim.world import Tree
from tests.integration.asked import asked_of, finalize, update
from tests.integration.conftest import AGENT
from tests.integration.releases import CONTAINER, KernelRpms, kernel_64k, node_with, os_of, publish_kernel
from tests.integration.wishes import wish

pytestmark = pytest.mark.story

DEFAULT, REALTIME, PAGES_64K = KernelType.DEFAULT, KernelType.REALTIME, KernelType.PAGES_64K
RELEASE = ("5.14.0", "284.rt14.284.el9")
X86 = os_of(Release.EL9, CONTAINER, kernel_64k("5.14.0", "284.el9"))
ARM_BASE = replace(
    X86.base,
    packages=tuple(nevra.replace(".x86_64", ".aarch64") for nevra in X86.base.packages),
    kernel_release="5.14.0-284.el9.aarch64",
)
ARM = replace(X86, base=ARM_BASE)
FILES = tuple(kernel_rt_packages(*RELEASE, "aarch64", 9, payload_bytes=64).values())
RPMS = {
    DEFAULT: KernelRpms(X86.kernel.image, ()),
    REALTIME: KernelRpms(X86.kernel.image, FILES),
    PAGES_64K: X86.kernel,
}
PAIRS = [(before, after) for before in RPMS for after in RPMS if before is not after]


def tree_of(kernel_type):
    rpms = RPMS[kernel_type].rpms
    return Tree(ARM.base, replace(ARM.origin, local=rpms, removals=tuple(ARM.kernels) if rpms else ()))


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_any_kernel_type_to_any_other(play, before, after):
    async def story():
        async with node_with(tree_of(before), (ARM,)) as (node, told):
            publish_kernel(node, RPMS[after])
            wish(node, after, ARM)
            await node.run_agent(AGENT)
            await told.wait_for("steady", contains=f"{after} is wanted and runs")
            asked = update(
                install=len(RPMS[after].rpms),
                uninstall=RPMS[before].nevras,
                remove=ARM.kernels if before is DEFAULT else (),
                reset=ARM.kernels if after is DEFAULT else (),
            )
            assert asked_of(node) == [asked, finalize(ARM)]
            assert (node.booted.tree, node.assemblies, node.reboots) == (tree_of(after), 1, 1)
            suffix = {DEFAULT: "aarch64", REALTIME: "aarch64+rt", PAGES_64K: "aarch64+64k"}[after]
            assert node.booted.tree.kernel_release.endswith(suffix)

    play(story())
