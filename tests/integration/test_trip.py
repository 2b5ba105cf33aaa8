"""The main job: vanilla → real-time → nothing to do → vanilla, on one node, by a real agent process."""

from itertools import product

import pytest

from mcd_rt.control import Verb, ask_agent
from mcd_rt.model.kernel import KernelType
from mcd_rt.report.status import read_status
from mcd_rt.sim.profiles import PROFILES
from tests.integration.conftest import AGENT, served

PAIRS = [*product(sorted(PROFILES), (8, 9))]
ENDS = PAIRS[0], PAIRS[-1]
"""The oldest of both and the newest of both; the pairs between them are told with the longer stories."""


@pytest.mark.parametrize(
    ("profile", "el"), [pytest.param(*pair, marks=() if pair in ENDS else pytest.mark.story) for pair in PAIRS]
)
def test_the_whole_trip_takes_one_assembly_and_one_reboot_each_way(play, profile, el):
    async def story():
        async with served(profile=profile, el=el) as (scene, told):
            node = scene.node
            scene.ask_for(KernelType.REALTIME)
            await node.run_agent(AGENT)

            await told.wait_for("steady", contains="realtime is wanted and runs")
            assert (node.assemblies, node.reboots) == (1, 1)
            assert node.booted.tree.realtime
            assert read_status(node.paths).verified_at is not None

            asked = len(node.transactions)
            reply = await ask_agent(node.paths.control, Verb.APPLY, 30)
            assert reply.ok
            assert len(node.transactions) == asked

            scene.ask_for(KernelType.DEFAULT)
            await told.wait_for("steady", contains="default is wanted and runs")
            assert (node.assemblies, node.reboots) == (2, 2)
            assert not node.booted.tree.realtime
            assert node.booted.tree.origin.removals == node.booted.tree.origin.local == ()

    play(story())


def test_every_state_on_the_way_is_told_in_its_order(play):
    async def story():
        async with served() as (scene, told):
            scene.ask_for(KernelType.REALTIME)
            await scene.node.run_agent(AGENT)
            while "steady" not in told.states:
                await told.more()
            assert told.states == ["fetching", "staging", "rebooting", "verifying", "steady"]

    play(story())
