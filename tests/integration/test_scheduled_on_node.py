"""A shutdown that an administrator has scheduled is his: it is waited for, whatever we are about to do."""

import pytest

from mcd_rt.errors import Code
from mcd_rt.model.state import State
from mcd_rt.plan.outcome import GoingDown, Retry
from mcd_rt.sim.faults import ANY, Fail
from tests.integration.clocked import TUESDAY, staged
from tests.integration.lockserver import lock_server
from tests.integration.test_strategies_on_node import HOUR, arrives, waits

pytestmark = pytest.mark.story

IMMEDIATE = '[reboot]\nstrategy = "immediate"\n'
WARNING = IMMEDIATE + "warning = 0.01\n"


@pytest.mark.parametrize("settings", [IMMEDIATE, WARNING], ids=["at once", "users are warned"])
@pytest.mark.parametrize("kind", ["poweroff", "reboot", "dry-reboot"])
def test_it_is_waited_for_and_named(play, monkeypatch, kind, settings):
    async def story():
        async with staged(monkeypatch, settings) as stage:
            stage.hook("pre-reboot")
            stage.node.logind.schedule(kind, TUESDAY + HOUR, "maintenance")
            waits(await stage.rest(), f"waits for the {kind} that somebody has scheduled", until=TUESDAY + HOUR)
            waits(await stage.rest(reboot_now=True), f"waits for the {kind}", until=TUESDAY + HOUR)
            stage.effects.time += HOUR  # it is late
            waits(await stage.rest(), f"waits for the {kind}", until=TUESDAY + HOUR + 60.0)
            assert stage.node.logind.scheduled == (kind, "maintenance")
            assert (stage.ran, stage.node.reboots) == ([], 0)
            stage.node.logind.schedule("", 0)
            await stage.reboots()
            await arrives(stage)

    play(story())


def test_one_that_has_come_is_a_shutdown_like_any_other(play, monkeypatch):
    async def story():
        async with staged(monkeypatch, IMMEDIATE) as stage:
            stage.node.logind.schedule("poweroff", TUESDAY + HOUR)
            await stage.rest()
            stage.node.logind.prepare(shutdown=True)
            outcome = await stage.rest()
            assert (outcome.state, outcome.failure) == (State.WAITING, None)
            assert "is being shut down by somebody else" in outcome.summary

    play(story())


def test_no_slot_is_taken_meanwhile(play, monkeypatch):
    async def story():
        async with lock_server() as server, staged(monkeypatch, server.settings()) as stage:
            stage.node.logind.schedule("poweroff", TUESDAY + HOUR)
            waits(await stage.rest(), "waits for the poweroff", until=TUESDAY + HOUR)
            assert server.asked == []

    play(story())


@pytest.mark.parametrize("settings", [IMMEDIATE, WARNING], ids=["at once", "users are warned"])
def test_one_that_comes_while_the_node_is_drained_ends_that(play, monkeypatch, settings):
    async def story():
        async with staged(monkeypatch, settings) as stage:
            stage.hook("pre-reboot")
            stage.hook("post-verify")
            look = stage.node.logind.service._properties
            seen = []

            def properties(path, interface):
                seen.append(path)
                if stage.ran == ["pre-reboot"]:
                    stage.node.logind.schedule("poweroff", TUESDAY + HOUR)
                return look(path, interface)

            monkeypatch.setattr(stage.node.logind.service, "_properties", properties)
            waits(await stage.rest(), "waits for the poweroff", until=TUESDAY + HOUR)
            assert seen
            assert stage.ran == ["pre-reboot", "post-verify"]
            assert stage.node.logind.scheduled == ("poweroff", "")
            assert stage.node.reboots == 0

    play(story())


def test_an_announcement_of_ours_ends_with_a_reboot_that_was_refused(play, monkeypatch):
    async def story():
        async with staged(monkeypatch, WARNING) as stage:
            publish = stage.context.reporter.enter

            def enter(state, *rest, **more):
                publish(state, *rest, **more)
                if state is State.REBOOTING:
                    stage.node.faults.at.append(Fail(ANY, "error: Expected staged base checksum"))

            monkeypatch.setattr(stage.context.reporter, "enter", enter)
            outcome = await stage.rest()
            assert isinstance(outcome, Retry), outcome
            assert outcome.failure.code is Code.FINALIZE_FAILED
            assert stage.node.logind.scheduled == ("", "")

    play(story())


def test_a_reboot_of_ours_was_announced_until_it_came(play, monkeypatch):
    async def story():
        async with staged(monkeypatch, WARNING) as stage:
            stage.node.faults.reboot_stuck = True
            assert isinstance(await stage.rest(), GoingDown)
            kind, message = stage.node.logind.scheduled
            assert (kind, message) == ("reboot", "mcd-rt: this node reboots into another kernel: realtime")
            assert isinstance(await stage.rest(), GoingDown)  # it is ours: nobody else is waited for

    play(story())
