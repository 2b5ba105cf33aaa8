"""``mcd-rt status`` always says what a staged change waits for and until when: a story for each strategy."""

from datetime import datetime

import pytest

from mcd_rt.holding import set_hold
from mcd_rt.model.awaiting import Gate
from mcd_rt.report.health import Health, health_of
from mcd_rt.report.status import read_status
from mcd_rt.report.words import describe_status
from tests.integration.clocked import TUESDAY, staged
from tests.integration.lockserver import FULL, lock_server, response

pytestmark = pytest.mark.story

HOUR = 3600.0
NO_END = "no end was given"
PERMITTED = "/etc/mcd-rt/reboot-permitted"
ASKS = "/run/mcd-rt/reboot-required"


def strategy(name, more=""):
    return f'[reboot]\nstrategy = "{name}"\n{more}'


def at(seconds):
    return datetime.fromtimestamp(seconds).astimezone().isoformat(sep=" ")


def next_of(stage):
    """The line of ``mcd-rt status`` that says what comes next, and the gate in its JSON."""
    status = read_status(stage.node.paths)
    lines = describe_status(status, stage.effects.now(), running=True)
    [line] = [line for line in lines if line.startswith("  next:")]
    return line.removeprefix("  next:").strip(), status.awaiting.gate


def has_kubelet(stage):
    path = stage.node.root / "var/lib/kubelet/kubeconfig"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")


def is_held(stage):
    set_hold(stage.context, None)


def is_held_for_a_while(stage):
    set_hold(stage.context, 2 * HOUR)


def nothing(_stage):
    pass


def is_permitted_for_ever(stage):
    stage.node.paths.below(PERMITTED).write_text("for ever\n")


def chosen(settings, server):
    return server.settings() if settings is None else settings


WINDOWS = strategy("window", '[reboot.window]\nwindows = ["Tue 22:00 4h"]\ntime_zone = "Europe/Berlin"\n')
OPENS = at(datetime.fromisoformat("2026-11-24T22:00:00+01:00").timestamp())


@pytest.mark.parametrize(
    ("settings", "act", "gate", "said"),
    [
        ("", has_kubelet, Gate.CHOICE, f"a reboot once a reboot.strategy is chosen, or at `mcd-rt reboot`; {NO_END}"),
        (strategy("never"), nothing, Gate.PERSON, f"a reboot at `mcd-rt reboot`; {NO_END}"),
        (
            strategy("permission-file"),
            nothing,
            Gate.PERMISSION,
            f"a reboot once {PERMITTED} permits it, or at `mcd-rt reboot`; {NO_END}",
        ),
        (
            strategy("sentinel", f'[reboot.sentinel]\npath = "{ASKS}"\n'),
            nothing,
            Gate.OTHERS,
            f"a reboot by those whom {ASKS} asks for it, or at `mcd-rt reboot`; {NO_END}",
        ),
        (
            strategy("immediate", "splay = 3600\n"),
            nothing,
            Gate.SPLAY,
            f"it looks again at {at(TUESDAY + HOUR / 2)} (in 30 min): this node's share of reboot.splay is over",
        ),
        (
            WINDOWS,
            nothing,
            Gate.WINDOW,
            f"it looks again at {OPENS} (in 15 h): the reboot window Tue 22:00 4h (Europe/Berlin) opens",
        ),
        (
            WINDOWS + "deadline = 7200\n",
            nothing,
            Gate.DEADLINE,
            f"it looks again at {at(TUESDAY + 2 * HOUR)} (in 2 h): reboot.window.deadline is over",
        ),
        (strategy("immediate"), is_held, Gate.HOLD, f"a reboot after `mcd-rt resume`; {NO_END}"),
        (
            strategy("immediate"),
            is_held_for_a_while,
            Gate.HOLD,
            f"it looks again at {at(TUESDAY + 2 * HOUR)} (in 2 h): the hold ends",
        ),
    ],
)
def test_status_says_what_it_waits_for_and_until_when(play, monkeypatch, settings, act, gate, said):
    async def story():
        async with staged(monkeypatch, settings) as stage:
            act(stage)
            await stage.rest()
            assert next_of(stage) == (said, gate)

    play(story())


def test_status_says_when_a_lock_is_asked_for_again(play, monkeypatch):
    async def story():
        async with lock_server() as server, staged(monkeypatch, server.settings()) as stage:
            server.answer = response("409 Conflict", FULL)
            await stage.rest()
            said = f"it looks again at {at(TUESDAY + 120)} (in 2 min): {server.url} is asked for a slot again"
            assert next_of(stage) == (said, Gate.LOCK)

    play(story())


@pytest.mark.parametrize(
    ("settings", "act", "answer", "at_once", "later"),
    [
        (strategy("never"), nothing, b"", Health.BUSY, Health.BUSY),
        ("", has_kubelet, b"", Health.NEEDS_PERSON, Health.NEEDS_PERSON),
        (None, nothing, response("404 Not Found"), Health.BUSY, Health.NEEDS_PERSON),
        (None, nothing, response("503 Service Unavailable"), Health.BUSY, Health.NEEDS_PERSON),
        (None, nothing, response("409 Conflict", FULL), Health.BUSY, Health.BUSY),
        (strategy("permission-file"), nothing, b"", Health.BUSY, Health.BUSY),
        (strategy("permission-file"), is_permitted_for_ever, b"", Health.BUSY, Health.NEEDS_PERSON),
        (strategy("sentinel", f'[reboot.sentinel]\npath = "{ASKS}"\n'), nothing, b"", Health.BUSY, Health.BUSY),
    ],
)
def test_a_staged_change_needs_a_person_for_what_only_a_person_mends(
    play, monkeypatch, settings, act, answer, at_once, later
):
    async def story():
        async with lock_server() as server, staged(monkeypatch, chosen(settings, server)) as stage:
            server.answer = answer
            act(stage)
            for seconds, health in ((0, at_once), (2 * HOUR, later), (30 * 24 * HOUR, later)):
                stage.effects.time = TUESDAY + seconds
                await stage.rest()
                status = read_status(stage.node.paths)
                assert health_of(status, stage.effects.now(), running=True) is health, seconds

    play(story())
