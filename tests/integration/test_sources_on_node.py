"""A MachineConfig dropped into the directory is acted on, and taken out again it is undone."""

import pytest

from mcd_rt.model.kernel import KernelType
from tests.integration.conftest import AGENT, served

pytestmark = pytest.mark.story

PROPOSAL = """\
apiVersion: machineconfiguration.openshift.io/v1
kind: MachineConfig
metadata:
  labels:
    machineconfiguration.openshift.io/role: "worker"
  name: 99-worker-realtime-kernel
spec:
  realtime: true
"""


def test_the_proposals_config_beside_the_rendered_one(play):
    async def story():
        async with served() as (scene, told):
            node = scene.node
            scene.ask_for(KernelType.DEFAULT)
            rendered = scene.config.read_text().replace("99-worker-realtime-kernel", "rendered-worker-1")
            scene.write_config(rendered.encode())
            await node.run_agent(AGENT)
            await told.wait_for("steady", contains="default is wanted and runs")

            dropped = node.paths.below("/etc/mcd-rt/machineconfig.d/99-worker-realtime-kernel.yaml")
            dropped.parent.mkdir(parents=True)
            dropped.write_text(PROPOSAL)
            await told.wait_for("steady", contains="realtime is wanted and runs")
            assert (node.assemblies, node.reboots) == (1, 1)

            dropped.unlink()
            await told.wait_for("steady", contains="default is wanted and runs")
            assert (node.assemblies, node.reboots) == (2, 2)

    play(story())
