"""Reboot windows: how they are spelled, and what the strategy makes of those that are open or come."""

import re

import pytest

from mcd_rt.model.awaiting import Awaiting, Gate
from mcd_rt.model.settings import RebootSettings, WindowSettings
from mcd_rt.model.window import WEEK, Opening, Window, parse_window
from mcd_rt.reboot.decide import decide
from mcd_rt.reboot.situation import RebootSituation
from mcd_rt.reboot.verdict import Go, Wait


@pytest.mark.parametrize(
    ("text", "days", "hour", "minute", "length"),
    [
        ("Sat,Sun 02:00 3h", (5, 6), 2, 0, 3 * 3600),
        ("Mon-Fri 22:30 1h30m", (0, 1, 2, 3, 4), 22, 30, 5400),
        ("daily 3:05 45m", (0, 1, 2, 3, 4, 5, 6), 3, 5, 2700),
        ("Fri-Mon 00:00 90m", (0, 4, 5, 6), 0, 0, 5400),
        ("Wed,Mon-Tue,Tue 23:59 1m", (0, 1, 2), 23, 59, 60),
        ("Mon 00:00 168h", (0,), 0, 0, WEEK),
    ],
)
def test_what_a_window_is_spelled_like(text, days, hour, minute, length):
    assert parse_window(text) == Window(text, days, hour, minute, length)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected DAYS HH:MM LENGTH"),
        ("Sat 02:00", "expected DAYS HH:MM LENGTH"),
        ("Sat 02:00-01:00", "expected DAYS HH:MM LENGTH"),
        ("Sat 04:00 - 02:00", "expected DAYS HH:MM LENGTH"),
        ("Sat  02:00 3h", "expected DAYS HH:MM LENGTH"),
        ("Sat 24:00 1h", "there is no 24:00 in a day"),
        ("Sat 02:60 1h", "there is no 2:60 in a day"),
        ("Caturday 02:00 1h", "'Caturday' is no day; days are Mon, Tue"),
        ("sat 02:00 1h", "'sat' is no day"),
        ("Sat, 02:00 1h", "'' is no day"),
        ("Sat-Sun-Mon 02:00 1h", "'Sat-Sun-Mon' is no day"),
        ("Sat 02:00 0h", "a window of no length never opens"),
        ("Sat 02:00 0h0m", "a window of no length never opens"),
        ("Sat 02:00 -1h", "'-1h' is no length"),
        ("Sat 02:00 h", "'h' is no length"),
        ("Sat 02:00 1d", "'1d' is no length"),
        ("Sat 02:00 30m1h", "'30m1h' is no length"),
        ("Sat 02:00 ١h", "'١h' is no length"),
        ("Sat 02:00 168h1m", "a week long at most"),
    ],
)
def test_what_never_opens_or_is_no_window_is_refused_with_what_is_wrong(text, words):
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        parse_window(text)
    assert str(caught.value).startswith(repr(text))


def waits(what, until, gate, name=""):
    return Wait(f"waits for {what}", until, awaiting=Awaiting(gate, name))


def situation(now, *spans, staged_at=0.0, deadline=0.0, **more):
    settings = RebootSettings(
        strategy="window", window=WindowSettings(("daily 00:00 1h",), "UTC", deadline), splay=more.pop("splay", 0.0)
    )
    found = tuple(Opening(opens, closes, f"{opens:g}-{closes:g}") for opens, closes in spans)
    return RebootSituation(settings, now, staged_at, openings=found, **more)


def test_in_a_window_it_goes_and_outside_it_waits_for_the_next():
    assert decide(situation(10.0, (10.0, 20.0))) == Go("the reboot window 10-20 (UTC) is open")
    assert decide(situation(19.9, (10.0, 20.0))) == Go("the reboot window 10-20 (UTC) is open")
    assert decide(situation(9.9, (10.0, 20.0))) == waits(
        "the reboot window 10-20 (UTC)", 10.0, Gate.WINDOW, "10-20 (UTC)"
    )
    assert decide(situation(20.0, (10.0, 20.0), (30.0, 40.0))) == waits(
        "the reboot window 30-40 (UTC)", 30.0, Gate.WINDOW, "30-40 (UTC)"
    )


def test_overlapping_windows_are_as_good_as_one():
    spans = ((10.0, 20.0), (15.0, 30.0))
    assert all(isinstance(decide(situation(now, *spans)), Go) for now in (10.0, 14.0, 16.0, 20.0, 29.9))
    assert isinstance(decide(situation(30.0, *spans)), Wait)


def test_the_splay_of_a_window_ends_in_its_first_half():
    late = situation(10.0, (10.0, 20.0), splay=1000.0, luck=0.999)
    verdict = decide(late)
    assert isinstance(verdict, Wait)
    assert verdict.until == pytest.approx(15.0, abs=0.01)
    just = situation(18.0, (10.0, 20.0), splay=1000.0, luck=0.5, staged_at=18.0)  # what is left of it, halved
    assert decide(just).until == pytest.approx(18.5)
    assert isinstance(decide(situation(10.0, (10.0, 20.0), splay=1000.0, luck=0.999, asked=True)), Go)


def test_the_earlier_of_deadline_and_window_is_waited_for():
    before = situation(5.0, (50.0, 60.0), deadline=30.0)
    assert decide(before) == waits("reboot.window.deadline, which comes before the next window", 30.0, Gate.DEADLINE)
    after = situation(5.0, (50.0, 60.0), deadline=70.0)
    assert decide(after) == waits("the reboot window 50-60 (UTC)", 50.0, Gate.WINDOW, "50-60 (UTC)")
    same = situation(5.0, (50.0, 60.0), deadline=50.0)
    assert decide(same).until == 50.0
    assert decide(situation(30.0, (50.0, 60.0), deadline=30.0)) == Go(
        "staged for longer than reboot.window.deadline (30 s)"
    )
    assert isinstance(decide(situation(55.0, (50.0, 60.0), deadline=70.0)), Go)


def test_where_no_window_comes_the_deadline_does_or_it_says_so():
    assert decide(situation(5.0, deadline=30.0)).until == 30.0
    assert decide(situation(5.0)) == waits("a reboot window, and none opens in the next weeks", None, Gate.WINDOW)
