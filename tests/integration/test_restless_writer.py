"""A writer that does not stop writing is waited for a while, and what it ends with is what is done."""

import pytest

from mcd_rt.model.kernel import KernelType
from tests.integration.conftest import AGENT, served

pytestmark = pytest.mark.story


def test_a_config_written_over_and_over_costs_one_assembly_and_one_reboot(play):
    async def story():
        async with served() as (scene, told):
            scene.ask_for(KernelType.DEFAULT)
            await scene.node.run_agent(AGENT)
            await told.wait_for("steady")
            for turn in range(101):
                scene.ask_for(KernelType.DEFAULT if turn % 2 else KernelType.REALTIME)
            await told.wait_for("steady", contains="realtime is wanted and runs")
            assert (scene.node.assemblies, scene.node.reboots) == (1, 1)

    play(story())


def test_a_config_rewritten_in_place_is_read_once_it_is_whole(play):
    async def story():
        async with served() as (scene, told):
            scene.ask_for(KernelType.DEFAULT)
            whole = scene.config.read_bytes().replace(b"realtime: false", b"realtime: true")
            await scene.node.run_agent(AGENT)
            await told.wait_for("steady")
            with scene.config.open("r+b", buffering=0) as file:  # truncated, then written byte by byte
                file.truncate()
                for byte in whole:
                    file.write(bytes([byte]))
            await told.wait_for("steady", contains="realtime is wanted and runs")
            assert (scene.node.assemblies, scene.node.reboots) == (1, 1)

    play(story())
