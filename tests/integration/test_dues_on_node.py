"""What a reboot asked of others, or took from them, is taken back when it does not come: file, drain, slot."""

import pytest

from mcd_rt.agent import allow_retry
from mcd_rt.errors import Code
from mcd_rt.holding import end_hold, set_hold
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.record import Phase
from mcd_rt.model.state import State
from mcd_rt.plan.outcome import GoingDown, Retry, Settled
from mcd_rt.report.status import codes_of
from tests.integration.clocked import TUESDAY, staged
from tests.integration.lockserver import lock_server, response
from tests.integration.test_strategies_on_node import SENTINEL, WINDOW, arrives, told, waits

pytestmark = pytest.mark.story

IMMEDIATE = '[reboot]\nstrategy = "immediate"\n'
OBSERVE = '[agent]\nmanage = "observe"\n'
DRAIN_FAILS = "echo cannot evict db-0; exit 1"
GONE = response("404 Not Found")


def disbelieve(stage, how, settings):
    """The change that is staged is not believed any more: the state that follows, and its code."""
    match how:
        case "invalid":
            stage.scene.write_config(b"spec: [")
            return State.BLOCKED, Code.CONFIG_INVALID
        case "absent":
            stage.scene.config.unlink()
            return State.WAITING, Code.CONFIG_MISSING
        case _:
            stage.configure(settings + OBSERVE)
            return State.OBSERVING, None


def is_(outcome, state, code):
    assert isinstance(outcome, Settled), outcome
    assert (outcome.state, code and outcome.failure.code) == (state, code)


disbelieved = pytest.mark.parametrize("how", ["invalid", "absent", "observe"])


@disbelieved
def test_nobody_is_asked_to_reboot_into_what_is_not_believed_any_more(play, monkeypatch, how):
    async def story():
        async with staged(monkeypatch, SENTINEL) as stage:
            await stage.rest()
            sentinel = stage.node.paths.below("/run/mcd-rt/reboot-required")
            assert sentinel.exists()
            is_(await stage.rest(), State.STAGED, None)
            expected = disbelieve(stage, how, SENTINEL)
            is_(await stage.rest(), *expected)
            assert not sentinel.exists()
            record = stage.record
            assert (record.attempt.phase, record.reboots, record.tries) == (Phase.STAGED, (), ())
            assert stage.node.rpm_ostree.system.staged is not None  # nothing else has changed
            stage.scene.ask_for(KernelType.REALTIME)
            stage.configure(SENTINEL)
            waits(await stage.rest(), "asks others to drain")
            assert (stage.node.assemblies, stage.node.reboots) == (1, 0)

    play(story())


@disbelieved
def test_a_drain_and_a_slot_are_given_back_where_nothing_is_believed_any_more(play, monkeypatch, how):
    async def story():
        async with lock_server() as server, staged(monkeypatch, server.settings()) as stage:
            stage.hook("pre-reboot", DRAIN_FAILS)
            stage.hook("post-verify", "exit 1")
            await stage.rest()
            assert (server.holders, stage.record.hooks_due) == (["node-1"], True)
            stage.hook("post-verify")
            expected = disbelieve(stage, how, server.settings())
            is_(await stage.rest(), *expected)
            assert (server.holders, stage.record.lock, stage.record.hooks_due) == ([], None, False)
            assert stage.ran == ["pre-reboot", "post-verify", "post-verify"]

    play(story())


@disbelieved
def test_a_node_that_may_be_going_down_keeps_what_it_took(play, monkeypatch, how):
    async def story():
        async with lock_server() as server, staged(monkeypatch, server.settings()) as stage:
            stage.hook("pre-reboot")
            stage.hook("post-verify")
            stage.node.faults.reboot_stuck = True
            assert isinstance(await stage.rest(), GoingDown)
            expected = disbelieve(stage, how, server.settings())
            is_(await stage.rest(), *expected)
            assert (server.holders, stage.ran) == (["node-1"], ["pre-reboot"])

    play(story())


def test_what_cannot_be_given_back_is_told_beside_the_reason_and_tried_again(play, monkeypatch):
    async def story():
        async with lock_server() as server, staged(monkeypatch, server.settings()) as stage:
            stage.hook("pre-reboot", DRAIN_FAILS)
            stage.hook("post-verify", "exit 1")
            await stage.rest()
            server.answer = response("503 Service Unavailable")
            stage.hook("post-verify")
            stage.scene.write_config(b"spec: [")
            outcome = await stage.rest()
            is_(outcome, State.BLOCKED, Code.CONFIG_INVALID)
            assert outcome.until == TUESDAY + 120.0
            assert set(codes_of(stage.context.reporter.status)) == {Code.CONFIG_INVALID, Code.LOCK_UNREACHABLE}
            assert "the lock server" in told(stage)
            server.answer = b""
            outcome = await stage.rest()
            assert outcome.until is None
            assert set(codes_of(stage.context.reporter.status)) == {Code.CONFIG_INVALID}
            assert server.holders == []

    play(story())


def test_a_drain_that_was_cut_short_is_ended_while_the_node_waits(play, monkeypatch):
    async def story():
        async with staged(monkeypatch, IMMEDIATE) as stage:
            stage.hook("pre-reboot", DRAIN_FAILS)
            stage.hook("post-verify", "exit 1")
            outcome = await stage.rest()
            assert isinstance(outcome, Retry)
            assert (outcome.failure.code, stage.record.hooks_due) == (Code.HOOK_FAILED, True)
            set_hold(stage.context, None)
            waits(await stage.rest(), "held by `mcd-rt hold`", until=TUESDAY + 120.0, code=Code.HOOK_FAILED)
            stage.hook("post-verify")
            waits(await stage.rest(), "held by `mcd-rt hold`")
            assert stage.ran == ["pre-reboot", "post-verify", "post-verify", "post-verify"]
            assert not stage.record.hooks_due
            waits(await stage.rest(), "held by `mcd-rt hold`")
            assert len(stage.ran) == 4

    play(story())


def test_a_window_that_is_days_away_is_not_waited_for_drained(play, monkeypatch):
    async def story():
        async with staged(monkeypatch, IMMEDIATE) as stage:
            stage.hook("pre-reboot", DRAIN_FAILS)
            stage.hook("post-verify", "exit 1")
            await stage.rest()
            stage.hook("post-verify")
            stage.configure(WINDOW)
            assert (await stage.rest()).until > stage.effects.now()
            assert (stage.ran[-1], stage.record.hooks_due) == ("post-verify", False)

    play(story())


def test_a_node_whose_drain_fails_leaves_the_slot_to_others_and_takes_it_again(play, monkeypatch):
    async def story():
        async with lock_server() as server, staged(monkeypatch, server.settings()) as stage:
            stage.hook("pre-reboot", DRAIN_FAILS)
            stage.hook("post-verify")
            outcome = await stage.rest()
            assert isinstance(outcome, Retry)
            assert "cannot evict db-0" in outcome.failure.message
            assert stage.ran == ["pre-reboot", "post-verify"]  # in service again before another may go out of it
            assert (server.holders, stage.record.lock) == ([], None)
            server.holders = ["node-2"]
            waits(await stage.rest(), "waits for the lock", until=TUESDAY + 120.0, code=Code.LOCK_REFUSED)
            server.holders = []
            stage.effects.time += 120.0
            stage.hook("pre-reboot")
            await stage.reboots()
            await arrives(stage)
            assert server.holders == []

    play(story())


def test_a_node_that_stays_drained_keeps_its_slot(play, monkeypatch):
    async def story():
        async with lock_server() as server, staged(monkeypatch, server.settings()) as stage:
            stage.hook("pre-reboot", DRAIN_FAILS)
            stage.hook("post-verify", "exit 1")
            await stage.rest()
            assert server.holders == ["node-1"]

    play(story())


def test_a_slot_that_could_not_be_given_back_is_tried_again_under_an_endless_hold(play, monkeypatch):
    async def story():
        async with lock_server() as server, staged(monkeypatch, server.settings()) as stage:
            stage.node.faults.reboot_stuck = True
            await stage.rest()
            server.answer = response("503 Service Unavailable")
            set_hold(stage.context, None)
            again = TUESDAY + 120.0
            waits(await stage.rest(), "held by `mcd-rt hold`", until=again, code=Code.LOCK_UNREACHABLE)
            server.answer = b""
            stage.effects.time = again
            waits(await stage.rest(), "held by `mcd-rt hold`")
            assert (server.holders, stage.record.lock) == ([], None)

    play(story())


def test_a_slot_is_given_back_whatever_else_is_wrong_with_what_is_waited_for(play, monkeypatch):
    async def story():
        async with lock_server() as server, staged(monkeypatch, server.settings()) as stage:
            stage.node.faults.reboot_stuck = True
            await stage.rest()
            permission = stage.node.paths.below("/run/reboot-permitted")
            permission.write_text("tomorrow\n")
            stage.configure(
                '[reboot]\nstrategy = "permission-file"\n[reboot.permission_file]\npath = "/run/reboot-permitted"\n'
            )
            waits(await stage.rest(), "to permit it", code=Code.PERMISSION_INVALID)
            assert (server.holders, stage.record.lock) == ([], None)

    play(story())


@pytest.mark.parametrize(
    "settings", [IMMEDIATE, '[reboot]\nstrategy = "fleet-lock"\n[reboot.fleet_lock]\nurl = "http://127.0.0.1:1/"\n']
)
def test_a_server_that_is_gone_for_good_is_left_once_the_settings_name_it_no_more(play, monkeypatch, settings):
    async def story():
        async with lock_server() as server, staged(monkeypatch, server.settings()) as stage:
            await stage.reboots()
            server.answer = GONE
            outcome = await stage.rest()
            assert isinstance(outcome, Retry)
            assert outcome.failure.code is Code.LOCK_PROTOCOL
            assert "realtime is wanted and runs" in outcome.failure.message  # the kernel is right all the same
            assert "is not given back" in outcome.failure.message
            allow_retry(stage.context)
            assert isinstance(await stage.rest(), Retry)
            stage.configure(settings)
            asked = len(server.asked)
            await arrives(stage)
            assert len(server.asked) == asked + 1
            assert stage.record.lock is None

    play(story())


def test_a_hold_without_an_end_has_none(play, monkeypatch):
    async def story():
        async with staged(monkeypatch, IMMEDIATE) as stage:
            set_hold(stage.context, None)
            waits(await stage.rest(), "held by `mcd-rt hold` (no end was given")
            stage.effects.time += 10 * 365 * 86400.0
            stage.restart()
            waits(await stage.rest(), "held by `mcd-rt hold` (no end was given")
            assert stage.node.reboots == 0
            end_hold(stage.context)
            await stage.reboots()
            await arrives(stage)

    play(story())
