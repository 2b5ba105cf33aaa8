"""The agent of the package on a simulated node: it takes over from another one, and is taken back.

The package's own scripts, and its removal, are told on a host: ``test_host_package.py``.
"""

import asyncio
import json

import pytest

from mcd_rt.errors import Code
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.state import State
from mcd_rt.sim.faults import Hold
from mcd_rt.sim.process import AgentExited
from tests.integration.conftest import AGENT, served
from tests.integration.stories import fill_cache, kept, reaches, told_of
from tests.system.package import packages, unpack, why_no_packages
from tests.system.patience import PATIENCE

pytestmark = pytest.mark.skipif(bool(why_no_packages()), reason=why_no_packages())
REALTIME, DEFAULT = KernelType.REALTIME, KernelType.DEFAULT


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The agent as the package has it: the command of its service."""
    place = tmp_path_factory.mktemp("unpacked")
    unpack(packages(), place)
    return [str(place / "usr/bin/mcd-rt"), "run"]


async def replaced(node, command):
    """What an upgrade of the package does: try-restart, with another program in its place."""
    await node._agent.stop()
    assert await node.wait(AgentExited) == AgentExited(0, asked=True)
    await node.run_agent(command)


async def in_the_middle_of_the_assembly(node, command):
    hold = Hold("Writing OSTree commit")
    node.faults.at.append(hold)
    await node.run_agent(command)
    await hold.reached.wait()
    return hold


def test_it_fetches_and_switches_there_and_back_with_workers_of_its_own(packaged):
    """Nothing is cached: the worker is the interpreter of the package."""

    async def story():
        async with served() as (scene, told), asyncio.timeout(PATIENCE):
            scene.ask_for(REALTIME)
            await scene.node.run_agent(packaged)
            await reaches(told, scene.node, REALTIME, assemblies=1, reboots=1)
            scene.ask_for(DEFAULT)
            await reaches(told, scene.node, DEFAULT, assemblies=2, reboots=2)

    asyncio.run(story())


@pytest.mark.parametrize("to_the_package", [True, False])
def test_replaced_in_the_middle_of_a_change_the_other_one_completes_it(packaged, to_the_package):
    before, after = (AGENT, packaged) if to_the_package else (packaged, AGENT)

    async def story():
        async with served() as (scene, told), asyncio.timeout(PATIENCE):
            fill_cache(scene)
            scene.ask_for(REALTIME)
            hold = await in_the_middle_of_the_assembly(scene.node, before)
            await replaced(scene.node, after)
            hold.release.set()
            await reaches(told, scene.node, REALTIME, assemblies=1, reboots=1)

    asyncio.run(story())


def test_downgraded_onto_a_newer_record_it_touches_nothing_until_it_is_upgraded_again(packaged):
    async def story():
        async with served() as (scene, told), asyncio.timeout(PATIENCE):
            node = scene.node
            fill_cache(scene)
            scene.ask_for(REALTIME)
            await node.run_agent(AGENT)
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)
            known = node.paths.record.read_bytes()
            newer = json.dumps(json.loads(known) | {"version": 2, "invented": "later"}).encode()
            await node._agent.stop()
            node.paths.record.write_bytes(newer)
            scene.ask_for(DEFAULT)
            before = kept(node)
            await node.run_agent(packaged)
            await told_of(told, node, State.BLOCKED, Code.RECORD_TOO_NEW, "version 2")
            assert (kept(node), node.paths.record.read_bytes()) == (before, newer)

            await node._agent.stop()
            node.paths.record.write_bytes(known)  # the newer one is back, and reads what it wrote
            await node.run_agent(packaged)
            await reaches(told, node, DEFAULT, assemblies=2, reboots=2)

    asyncio.run(story())
