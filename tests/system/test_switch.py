"""The main job from a real registry: the agent of a simulated node fetches real, signed packages, and switches."""

import asyncio
from dataclasses import replace

from mcd_rt.model.image import ImageReference
from mcd_rt.model.kernel import KernelType
from mcd_rt.report.status import read_status
from mcd_rt.sim.bases import default_bases
from mcd_rt.sim.node import SimulatedNode
from mcd_rt.sim.scene import Scene, write_settings
from tests.integration.conftest import AGENT, Told
from tests.system.conftest import Vendor, write_host
from tests.system.registry import (
    PASSWORD,
    USER,
    Authority,
    run_registry,
    run_token_server,
    trust_authority,
    write_authfile,
)
from tests.system.rpms import KERNEL_RELEASE


def test_there_and_back_from_a_registry_with_tls_tokens_and_signed_packages(
    tmp_path, vendor: Vendor, authority: Authority, layout: ImageReference
):
    async def story(image: ImageReference, host: str) -> None:
        told = Told()
        async with SimulatedNode(default_bases(str(image)), on_event=told.hear) as node:
            (node.root / "etc/pki/rpm-gpg/RPM-GPG-KEY-mcd-rt-demo").unlink()
            (node.root / "etc/pki/rpm-gpg").rmdir()
            write_host(node.root, vendor)
            trust_authority(node.root, host, authority)
            write_authfile(node.root / "var/lib/kubelet/config.json", host, f"{USER}:{PASSWORD}")
            write_settings(node)
            scene = Scene(node, image)
            scene.ask_for(KernelType.REALTIME)
            await node.run_agent(AGENT)

            await told.wait_for("steady", contains="realtime is wanted and runs")
            assert (node.assemblies, node.reboots) == (1, 1)
            assert node.booted.tree.kernel_release == KERNEL_RELEASE
            assert read_status(node.paths).verified_at is not None

            scene.ask_for(KernelType.DEFAULT)
            await told.wait_for("steady", contains="default is wanted and runs")
            assert (node.assemblies, node.reboots) == (2, 2)
            assert not node.booted.tree.realtime

    with (
        run_token_server(authority) as tokens,
        run_registry(tmp_path / "registry", authority=authority, token_realm=tokens.realm) as registry,
    ):
        owner = replace(registry, secret=f"{USER}:{PASSWORD}")
        digest = owner.push(f"oci:{layout.place}:{layout.tag}", "ocp/os:rt")
        asyncio.run(story(ImageReference(f"{registry.host}/ocp/os", "", digest, layout=False), registry.host))
