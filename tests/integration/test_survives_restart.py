"""Killed, stopped or cut off in any state: the node boots what it ran or the whole target, and gets there."""

import os
import signal
from contextlib import ExitStack
from functools import partial

import pytest

from mcd_rt.model.kernel import KernelType
from mcd_rt.sim.faults import ANY, Hold
from mcd_rt.sim.node import Rebooted
from mcd_rt.sim.process import AgentExited, AgentStarted
from tests.integration.conftest import AGENT, served
from tests.integration.stories import SLOW_RETRY, configure, fill_cache, leftovers, reaches, reboot_held, workers_held

pytestmark = pytest.mark.story

REALTIME = KernelType.REALTIME


async def fetching(node, gate):
    """Both workers were started, and one of them is held: nothing is inspected yet."""
    gate.let_pass()
    await node.run_agent(AGENT)
    await gate.reached(2)
    assert leftovers(node)
    return partial(gate.let_pass, 99)


async def staging(node, gate):
    """rpm-ostree is in the middle of the assembly."""
    gate.let_pass(99)
    hold = Hold("Writing OSTree commit")
    node.faults.at.append(hold)
    await node.run_agent(AGENT)
    await hold.reached.wait()
    return hold.release.set


async def staged(node, gate):
    """Read back and recorded; the reboot is not asked for yet."""
    gate.let_pass(99)
    stack = ExitStack()
    waiting = stack.enter_context(reboot_held(node))
    await node.run_agent(AGENT)
    await waiting.wait()
    return stack.close


async def finalizing(node, gate):
    """The reboot is recorded, and rpm-ostree about to unlock."""
    go_on = await staging(node, gate)
    hold = Hold(ANY)
    node.faults.at.append(hold)
    go_on()
    await hold.reached.wait()
    return hold.release.set


async def killed(node):
    agent = [event for event in node.events if isinstance(event, AgentStarted)][-1]
    os.kill(agent.pid, signal.SIGKILL)
    exited = await node.wait(AgentExited)
    assert exited.code == -signal.SIGKILL
    await node.wait(AgentStarted, 2)  # the service manager's doing


async def stopped(node):
    await node._agent.stop()
    assert await node.wait(AgentExited) == AgentExited(0, asked=True)
    await node._agent.start()


async def cut_off(node):
    before = node.booted
    await node.reboot(orderly=False)
    assert node.deployments == (before,)


@pytest.mark.parametrize(
    ("interrupted", "reach", "assemblies", "reboots"),
    [
        (killed, fetching, 1, 1),
        (killed, staging, 1, 1),
        (killed, staged, 1, 1),
        (killed, finalizing, 1, 1),
        (stopped, fetching, 1, 1),
        (stopped, staging, 1, 1),
        (stopped, staged, 1, 1),
        (stopped, finalizing, 1, 1),
        (cut_off, fetching, 1, 2),
        (cut_off, staging, 1, 2),
        (cut_off, staged, 2, 2),
        (cut_off, finalizing, 2, 2),
    ],
)
def test_the_whole_target_comes_up_whatever_happens(
    play, tmp_path, monkeypatch, interrupted, reach, assemblies, reboots
):
    async def story():
        with workers_held(tmp_path, monkeypatch) as gate:
            async with served() as (scene, told):
                node = scene.node
                configure(node, SLOW_RETRY)
                if reach is not fetching:
                    fill_cache(scene)
                scene.ask_for(REALTIME)
                before = node.booted
                go_on = await reach(node, gate)
                await interrupted(node)
                go_on()
                await reaches(told, node, REALTIME, assemblies=assemblies, reboots=reboots)
                assert len(node.booted.tree.origin.local) == len(node.booted.tree.origin.removals) == 5
                booted = [event.deployment for event in node.events if isinstance(event, Rebooted)]
                assert booted == [before.checksum] * (reboots - 1) + [node.booted.checksum]

    play(story())


def test_an_agent_killed_while_it_verifies_verifies_again(play):
    async def story():
        async with served() as (scene, told):
            node = scene.node
            fill_cache(scene)
            scene.ask_for(REALTIME)
            await node.run_agent(AGENT)
            await told.wait_for("rebooting")
            os.kill((await node.wait(AgentStarted, 2)).pid, signal.SIGKILL)
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)
            assert [event.asked for event in node.events if isinstance(event, AgentExited)] == [True, False]

    play(story())
