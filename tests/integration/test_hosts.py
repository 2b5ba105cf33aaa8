"""Hosts that are not ours are left alone, politely: healthy, visible, touching nothing."""

import pytest

from mcd_rt.model.kernel import KernelType
from mcd_rt.report.status import read_status
from mcd_rt.sim.bases import default_bases
from mcd_rt.sim.hostfiles import FEDORA, RHEL
from mcd_rt.sim.node import SimulatedNode
from mcd_rt.sim.scene import Scene
from tests.integration.conftest import AGENT, Told

IMAGE = f"registry.example/machine-os-content@sha256:{'0' * 64}"


@pytest.mark.parametrize("wanted", [KernelType.REALTIME, KernelType.DEFAULT])
@pytest.mark.parametrize("os_release", [RHEL, FEDORA], ids=["rhel", "fedora"])
def test_a_host_of_another_kind_is_unsupported_and_untouched(play, os_release, wanted):
    async def story():
        told = Told()
        bases = default_bases(IMAGE)
        async with SimulatedNode(bases, os_release=os_release, on_event=told.hear, has_rpm_ostree=False) as node:
            Scene(node, IMAGE).ask_for(wanted)
            await node.run_agent(AGENT)
            line = await told.wait_for("unsupported")
            assert "left alone" in line
            status = read_status(node.paths)
            assert status.failure is None
            assert not node.paths.record.exists()
            assert not node.paths.cache.exists()
            assert node.transactions == []

    play(story())
