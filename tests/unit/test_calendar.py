"""When windows open: in the time zone they are meant in, through midnight, years and both nights of summer time."""

from datetime import UTC, datetime

import pytest

from mcd_rt.calendar import find_zone, openings
from mcd_rt.model.window import parse_window

HOUR = 3600.0
BERLIN = find_zone("Europe/Berlin")


def at(text):
    return datetime.fromisoformat(text).timestamp()


def opened(now, *texts, zone=BERLIN):
    """What is open at a time or opens after it, as the zone's clocks tell it."""
    found = openings(map(parse_window, texts), zone, at(now))
    return [tuple(datetime.fromtimestamp(at, zone).isoformat() for at in (each.opens, each.closes)) for each in found]


@pytest.mark.parametrize(
    ("now", "text", "opens", "closes"),
    [
        ("2026-11-24T12:00:00Z", "Tue 22:00 4h", "2026-11-24T22:00:00+01:00", "2026-11-25T02:00:00+01:00"),
        ("2026-11-25T00:59:59Z", "Tue 22:00 4h", "2026-11-24T22:00:00+01:00", "2026-11-25T02:00:00+01:00"),
        ("2026-11-25T01:00:00Z", "Tue 22:00 4h", "2026-12-01T22:00:00+01:00", "2026-12-02T02:00:00+01:00"),
        ("2027-01-01T00:30:00+01:00", "Thu 23:00 2h", "2026-12-31T23:00:00+01:00", "2027-01-01T01:00:00+01:00"),
        # 02:30 is left out: it comes as late after 03:00 as it would have after 02:00
        ("2026-03-29T00:00:00+01:00", "Sun 02:30 1h", "2026-03-29T03:30:00+02:00", "2026-03-29T04:30:00+02:00"),
        ("2026-03-28T12:00:00+01:00", "Sun 02:30 2h", "2026-03-29T03:30:00+02:00", "2026-03-29T05:30:00+02:00"),
        # over what is left out
        ("2026-03-28T12:00:00+01:00", "Sun 01:30 2h", "2026-03-29T01:30:00+01:00", "2026-03-29T04:30:00+02:00"),
        ("2026-03-28T23:30:00+01:00", "Sat 23:00 5h", "2026-03-28T23:00:00+01:00", "2026-03-29T05:00:00+02:00"),
        # 02:30 comes twice: the first counts, and an hour is an hour; the second time it is over
        ("2026-10-24T12:00:00+02:00", "Sun 02:30 1h", "2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00"),
        ("2026-10-25T00:00:00+02:00", "Sun 02:30 1h", "2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00"),
        ("2026-10-25T02:30:00+01:00", "Sun 02:30 1h", "2026-11-01T02:30:00+01:00", "2026-11-01T03:30:00+01:00"),
        ("2026-10-25T02:45:00+01:00", "Sun 02:30 1h", "2026-11-01T02:30:00+01:00", "2026-11-01T03:30:00+01:00"),
        # five real hours, of which clocks count one twice
        ("2026-10-24T23:30:00+02:00", "Sat 23:00 5h", "2026-10-24T23:00:00+02:00", "2026-10-25T03:00:00+01:00"),
    ],
)
def test_a_window_opens_by_the_clocks_of_its_zone_and_lasts_real_time(now, text, opens, closes):
    assert opened(now, text)[0] == (opens, closes)
    assert at(closes) - at(opens) == parse_window(text).length


def test_a_window_in_the_hour_that_comes_twice_is_followed_by_that_of_the_next_week():
    assert opened("2026-10-24T12:00+02:00", "Sun 02:30 1h")[1][0] == "2026-11-01T02:30:00+01:00"


def test_a_window_opens_at_the_same_time_of_the_wall_clock_through_the_year():
    opens = {opened(f"2026-{month:02}-10T12:00+00:00", "daily 03:00 1h")[0][0][11:16] for month in range(1, 13)}
    assert opens == {"03:00"}


def test_where_the_clock_is_not_changed_or_a_day_is_none_it_opens_all_the_same():
    assert opened("2026-03-28T00:00+00:00", "Sat 02:30 1h", zone=UTC)[0][0] == "2026-03-28T02:30:00+00:00"
    apia = find_zone("Pacific/Apia")  # no 30th of December 2011: they went from the 29th to the 31st
    found = [opens for opens, _ in opened("2011-12-29T00:00-10:00", "Thu-Sat 12:00 1h", zone=apia)]
    assert found[0] == "2011-12-29T12:00:00-10:00"
    assert found == sorted(found)


def test_several_windows_come_in_the_order_in_which_they_open():
    found = opened("2026-11-24T12:05+01:00", "Sat,Sun 02:00 3h", "Tue 22:00 2h", "daily 12:00 15m")
    assert [opens[:16] for opens, _ in found][:4] == [
        "2026-11-24T12:00",
        "2026-11-24T22:00",
        "2026-11-25T12:00",
        "2026-11-26T12:00",
    ]
    assert found == sorted(found)
    assert ("2026-11-28T02:00:00+01:00", "2026-11-28T05:00:00+01:00") in found


@pytest.mark.parametrize("text", ["Mon 00:00 168h", "Wed 12:00 168h"])
@pytest.mark.parametrize("day", range(23, 31))
def test_a_window_of_a_week_is_always_open(text, day):
    for hour in range(0, 24, 5):
        now = f"2026-03-{day}T{hour:02}:00+02:00"
        opens, closes = map(at, opened(now, text)[0])
        assert opens <= at(now) < closes
        assert closes - opens == 168 * HOUR


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


@pytest.mark.parametrize(
    "name",
    [
        "Europe/Nowhere",
        "Mars/Olympus",
        "../etc/passwd",
        "../../etc/passwd",
        "",
        "/etc/localtime",
        "Europe/Berlin\0",
        "Europe",
    ],
)
def test_an_unknown_zone_is_refused_by_its_name(name):
    with pytest.raises(ValueError, match="this host knows no time zone") as caught:
        find_zone(name)
    assert repr(name) in str(caught.value)
    assert "'Europe/Berlin'" in str(caught.value)
