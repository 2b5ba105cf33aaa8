"""A change of several transactions, interrupted between any two: every boot finds a whole deployment, the end comes."""

import os
import signal
from dataclasses import dataclass

import pytest

from mcd_rt.model.kernel import KernelType
from mcd_rt.sim.bases import Release
from mcd_rt.sim.faults import ANY, END, Hold
from mcd_rt.sim.node import ARGUMENTS, Rebooted
from mcd_rt.sim.process import AgentExited, AgentStarted
from mcd_rt.sim.world import Tree
from tests.integration.conftest import AGENT
from tests.integration.releases import IMAGE_MODE, Os, node_with, os_of
from tests.integration.stories import configure
from tests.integration.wishes import wish

pytestmark = pytest.mark.story

DEFAULT, REALTIME = KernelType.DEFAULT, KernelType.REALTIME
EL9, NEXT = os_of(Release.EL9), os_of(Release.EL9_NEXT)
NEW = ("nohz_full=2-7", "nosmt")
QUICK_RETRY = "[retry]\ninitial = 0.05\nceiling = 0.1\n"


@dataclass(frozen=True)
class Change:
    """One with two transactions that stage."""

    booted: Tree
    wants: Os
    kernel_type: KernelType
    then: Tree


CHANGES = {
    "arguments, then the switch": Change(EL9.plain(), EL9, REALTIME, EL9.with_realtime()),
    "the switch back, then arguments": Change(EL9.with_realtime(), EL9, DEFAULT, EL9.plain()),
    "arguments, then another OS": Change(EL9.with_realtime(), NEXT, REALTIME, NEXT.with_realtime()),
}
POINTS = {"after-the-first": (END,), "after-the-second": (END, END), "in-the-finalize": (END, END, ANY)}


async def reach(node, steps):
    """Run the agent until its n-th transaction stands where the last of the steps says; the hold that it waits for."""
    holds = [Hold(step) for step in steps]
    node.faults.at.append(holds[0])
    await node.run_agent(AGENT)
    for hold, following in zip(holds, [*holds[1:], None], strict=True):
        await hold.reached.wait()
        if following is not None:
            node.faults.at.append(following)
            hold.release.set()
    return holds[-1]


async def rebooted(node, _hold):
    await node.reboot()


async def cut_off(node, _hold):
    await node.reboot(orderly=False)


async def killed(node, hold):
    started = [event for event in node.events if isinstance(event, AgentStarted)]
    os.kill(started[-1].pid, signal.SIGKILL)
    exited = await node.wait(AgentExited)
    assert exited.code == -signal.SIGKILL
    hold.release.set()  # rpm-ostree goes on without its client


EVERYWHERE = (
    ("after-the-first", cut_off),
    ("after-the-first", killed),
    ("after-the-second", rebooted),
    ("after-the-second", killed),
)
SWITCH, _, UPDATE = CHANGES
PLAYED = [(name, *where) for name in CHANGES for where in EVERYWHERE]
PLAYED += [(SWITCH, "after-the-first", rebooted), (SWITCH, "after-the-second", cut_off)]
PLAYED += [(UPDATE, "in-the-finalize", cut) for cut in (rebooted, cut_off, killed)]


@pytest.mark.parametrize(("name", "point", "cut"), PLAYED)
def test_every_boot_is_of_something_whole_and_the_change_gets_there(play, name, point, cut):
    change = CHANGES[name]
    old, new = (change.booted, ARGUMENTS), (change.then, f"{ARGUMENTS} {' '.join(NEW)}")

    async def story():
        async with node_with(change.booted, (EL9, NEXT), settings=IMAGE_MODE) as (node, told):
            configure(node, QUICK_RETRY)
            boots, hear = [], node._on_event

            def watch(event):
                if isinstance(event, Rebooted):
                    boots.append((node.booted.tree, node.booted.kernel_arguments))
                hear(event)

            node._on_event = watch
            wish(node, change.kernel_type, change.wants, NEW)
            hold = await reach(node, POINTS[point])
            staged = node.rpm_ostree.system.staged
            assert staged is not None
            assert staged.locked
            await cut(node, hold)
            await told.wait_for("verifying", contains=f"the switch to {change.kernel_type}")
            await told.wait_for("steady", contains=f"{change.kernel_type} is wanted and runs")
            assert set(boots) <= {old, new}
            assert boots == ([new] if cut is killed else [old, new])
            assert (node.booted.tree, node.booted.kernel_arguments) == new
            assert node.rpm_ostree.system.staged is None

    play(story())


@pytest.mark.parametrize("point", ["after-the-first", "after-the-second"])
def test_a_change_that_is_taken_back_half_way_leaves_nothing(play, point):
    async def story():
        async with node_with(EL9.plain(), (EL9, NEXT), settings=IMAGE_MODE) as (node, told):
            before = node.deployments
            wish(node, REALTIME, NEXT, NEW)
            hold = await reach(node, POINTS[point])
            wish(node, DEFAULT, EL9)
            hold.release.set()
            await told.wait_for("steady", contains="default is wanted and runs")
            assert (node.deployments, node.reboots) == (before, 0)
            assert node.transactions[-1].method == "Cleanup"

    play(story())


@pytest.mark.parametrize("point", ["after-the-first", "after-the-second"])
def test_a_change_that_becomes_another_half_way_is_that_one_whole(play, point):
    async def story():
        async with node_with(EL9.plain(), (EL9, NEXT), settings=IMAGE_MODE) as (node, told):
            wish(node, REALTIME, NEXT, NEW)
            hold = await reach(node, POINTS[point])
            wish(node, REALTIME, EL9, ["audit=0"])
            hold.release.set()
            await told.wait_for("steady", contains="realtime is wanted and runs")
            assert node.booted.tree == EL9.with_realtime()
            assert node.booted.kernel_arguments == f"{ARGUMENTS} audit=0"
            assert node.reboots == 1

    play(story())
