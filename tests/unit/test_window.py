"""Reboot windows: how they are spelled, when they open by civil time, and what the strategy makes of them."""

import re
from datetime import UTC, datetime

import pytest

from mcd_rt.calendar import find_zone, openings
from mcd_rt.model.awaiting import Awaiting, Gate
from mcd_rt.model.settings import RebootSettings, WindowSettings
from mcd_rt.model.window import WEEK, Opening, Window, parse_window
from mcd_rt.reboot.decide import decide
from mcd_rt.reboot.situation import RebootSituation
from mcd_rt.reboot.verdict import Go, Wait

HOUR, DAY = 3600.0, 86400.0
BERLIN = find_zone("Europe/Berlin")


def at(text):
    return datetime.fromisoformat(text).timestamp()


def shown(windows, now, zone=BERLIN):
    """What is open or opens, as the clock on the wall has it: when, until when, and for how many hours."""
    found = openings(map(parse_window, windows), zone, at(now))
    return [
        (
            datetime.fromtimestamp(one.opens, zone).isoformat(),
            datetime.fromtimestamp(one.closes, zone).isoformat(),
            (one.closes - one.opens) / HOUR,
        )
        for one in found
    ]


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


@pytest.mark.parametrize(
    "name", ["Mars/Olympus", "", "../../etc/passwd", "/etc/localtime", "Europe/Berlin\0", "Europe"]
)
def test_an_unknown_zone_is_refused_by_its_name(name):
    with pytest.raises(ValueError, match="this host knows no time zone") as caught:
        find_zone(name)
    assert repr(name) in str(caught.value)
    assert "'Europe/Berlin'" in str(caught.value)


def test_a_window_in_the_hour_that_is_left_out_opens_as_late_after_it_and_is_as_long():
    [first, *_] = shown(["Sun 02:30 2h"], "2026-03-28T12:00+01:00")
    assert first == ("2026-03-29T03:30:00+02:00", "2026-03-29T05:30:00+02:00", 2)


def test_a_window_over_the_gap_lasts_its_real_time():
    [first, *_] = shown(["Sun 01:30 2h"], "2026-03-28T12:00+01:00")
    assert first == ("2026-03-29T01:30:00+01:00", "2026-03-29T04:30:00+02:00", 2)


def test_a_window_in_the_hour_that_comes_twice_opens_the_first_time_only():
    [first, second, *_] = shown(["Sun 02:30 1h"], "2026-10-24T12:00+02:00")
    assert first == ("2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00", 1)
    assert second[0] == "2026-11-01T02:30:00+01:00"
    [between, *_] = shown(["Sun 02:30 1h"], "2026-10-25T02:45+01:00")  # the second time: it is over
    assert between[0] == "2026-11-01T02:30:00+01:00"


def test_a_window_opens_at_the_same_time_of_the_wall_clock_through_the_year():
    opens = {shown(["daily 03:00 1h"], f"2026-{month:02}-10T12:00+00:00")[0][0][11:16] for month in range(1, 13)}
    assert opens == {"03:00"}


def test_where_the_clock_is_not_changed_or_a_day_is_none_it_opens_all_the_same():
    [first, *_] = shown(["Sat 02:30 1h"], "2026-03-28T00:00+00:00", UTC)
    assert first[0] == "2026-03-28T02:30:00+00:00"
    apia = find_zone("Pacific/Apia")  # no 30th of December 2011: they went from the 29th to the 31st
    found = [opens for opens, _, _ in shown(["Thu-Sat 12:00 1h"], "2011-12-29T00:00-10:00", apia)]
    assert found[0] == "2011-12-29T12:00:00-10:00"
    assert found == sorted(found)


def test_several_windows_come_in_the_order_in_which_they_open():
    found = shown(["Sat 02:00 1h", "Tue 22:00 2h", "daily 12:00 15m"], "2026-11-24T12:05+01:00")
    assert [opens[:16] for opens, _, _ in found][:4] == [
        "2026-11-24T12:00",
        "2026-11-24T22:00",
        "2026-11-25T12:00",
        "2026-11-26T12:00",
    ]
    assert "2026-11-28T02:00" in [opens[:16] for opens, _, _ in found]


def test_one_that_crosses_midnight_is_open_on_the_next_day_too():
    [first, *_] = shown(["Tue 22:00 4h"], "2026-11-25T01:59+01:00")
    assert first == ("2026-11-24T22:00:00+01:00", "2026-11-25T02:00:00+01:00", 4)
    assert shown(["Tue 22:00 4h"], "2026-11-25T02:00+01:00")[0][0][:10] == "2026-12-01"


def test_one_over_the_end_of_the_year_is_one():
    [first, *_] = shown(["Thu 23:00 2h"], "2027-01-01T00:30+01:00")
    assert first[:2] == ("2026-12-31T23:00:00+01:00", "2027-01-01T01:00:00+01:00")


def test_a_window_of_a_week_is_always_open():
    for day in range(23, 31):
        now = f"2026-03-{day}T12:00+02:00"
        [first, *_] = shown(["Mon 00:00 168h"], now)
        assert at(first[0]) <= at(now) < at(first[1])
        assert first[2] == 168


def test_every_moment_of_two_years_is_open_as_the_clock_on_the_wall_says():
    """A reference that looks at the wall clock, away from the nights in which it is changed."""
    windows = ["Sat,Sun 02:00 3h", "Mon-Fri 22:30 4h"]
    start = at("2026-01-01T00:17+00:00")
    for step in range(0, 2 * 365 * 24, 7):
        now = start + step * HOUR
        wall = datetime.fromtimestamp(now, BERLIN)
        if wall.month in (3, 10) and wall.day > 23:
            continue
        minutes, day = wall.hour * 60 + wall.minute, wall.weekday()
        weekend = day in (5, 6) and 120 <= minutes < 300
        late = day <= 4 and minutes >= 22 * 60 + 30
        after_midnight = (day - 1) % 7 <= 4 and minutes < 150
        found = openings(map(parse_window, windows), BERLIN, now)
        assert any(one.opens <= now < one.closes for one in found) == (weekend or late or after_midnight), wall


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
