"""Hosts that are not ours are left alone, politely: healthy, visible, touching nothing."""

import pytest

from mcd_rt.model.kernel import KernelType
from mcd_rt.report.status import read_status
from mcd_rt.sim.bases import default_bases
from mcd_rt.sim.hostfiles import FEDORA, RHCOS, RHEL
from mcd_rt.sim.node import SimulatedNode
from mcd_rt.sim.scene import Scene
from tests.integration.conftest import AGENT, Told
from tests.integration.stories import kept, leftovers, type_on

pytestmark = pytest.mark.story

IMAGE = f"registry.example/machine-os-content@sha256:{'0' * 64}"


@pytest.mark.parametrize("wanted", [KernelType.REALTIME, KernelType.DEFAULT])
@pytest.mark.parametrize(
    ("os_release", "ostree"),
    [(RHEL, True), (RHEL, False), (FEDORA, False), (RHCOS, False)],
    ids=["rhel-image-mode", "rhel-package-mode", "fedora-server", "rhcos-without-ostree"],
)
def test_a_host_of_another_kind_is_unsupported_and_untouched(play, os_release, ostree, wanted):
    async def story():
        told = Told()
        bases = default_bases(IMAGE)
        async with SimulatedNode(bases, os_release=os_release, on_event=told.hear, has_rpm_ostree=False) as node:
            if not ostree:
                node.paths.below("/run/ostree-booted").unlink()
                node.paths.below("/usr/bin/rpm-ostree").unlink()
            Scene(node, IMAGE).ask_for(wanted)
            before = kept(node)
            await node.run_agent(AGENT)
            line = await told.wait_for("unsupported")
            assert "left alone" in line
            code, text = await type_on(node, "status")
            assert (code, text.partition(" ")[0]) == (0, "unsupported")
            assert (await type_on(node, "verify"))[0] == 0
            assert (await type_on(node, "plan"))[0] == 0

            Scene(node, IMAGE).ask_for(KernelType.DEFAULT)
            code, text = await type_on(node, "apply")  # a pass after the change
            assert (code, text.partition(":")[0]) == (0, "unsupported")
            status = read_status(node.paths)
            assert (status.failure, status.last_failure) == (None, None)
            assert (kept(node), node.transactions, node.rpm_ostree.starts) == (before, [], 0)
            assert leftovers(node) == []
            assert not node.paths.record.exists()
            assert not node.paths.cache.exists()

    play(story())
