"""When windows open: in the time zone they are meant in, through midnight and both nights of summer time."""

from datetime import datetime

import pytest

from mcd_rt.calendar import find_zone, openings
from mcd_rt.model.window import parse_window

BERLIN = find_zone("Europe/Berlin")


def opened(now, *texts, zone=BERLIN):
    """What is open at a time or opens after it, as the zone's clocks tell it."""
    found = openings(map(parse_window, texts), zone, datetime.fromisoformat(now).timestamp())
    return [tuple(datetime.fromtimestamp(at, zone).isoformat() for at in (each.opens, each.closes)) for each in found]


@pytest.mark.parametrize(
    ("now", "text", "opens", "closes"),
    [
        ("2026-11-24T12:00:00Z", "Tue 22:00 4h", "2026-11-24T22:00:00+01:00", "2026-11-25T02:00:00+01:00"),
        ("2026-11-25T00:59:59Z", "Tue 22:00 4h", "2026-11-24T22:00:00+01:00", "2026-11-25T02:00:00+01:00"),
        ("2026-11-25T01:00:00Z", "Tue 22:00 4h", "2026-12-01T22:00:00+01:00", "2026-12-02T02:00:00+01:00"),
        # 02:30 is left out: it comes as late after 03:00 as it would have after 02:00
        ("2026-03-29T00:00:00+01:00", "Sun 02:30 1h", "2026-03-29T03:30:00+02:00", "2026-03-29T04:30:00+02:00"),
        # 02:30 comes twice: the first counts, and an hour is an hour
        ("2026-10-25T00:00:00+02:00", "Sun 02:30 1h", "2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00"),
        ("2026-10-25T02:30:00+01:00", "Sun 02:30 1h", "2026-11-01T02:30:00+01:00", "2026-11-01T03:30:00+01:00"),
        # five real hours, of which clocks count one twice
        ("2026-10-24T23:30:00+02:00", "Sat 23:00 5h", "2026-10-24T23:00:00+02:00", "2026-10-25T03:00:00+01:00"),
        ("2026-03-28T23:30:00+01:00", "Sat 23:00 5h", "2026-03-28T23:00:00+01:00", "2026-03-29T05:00:00+02:00"),
    ],
)
def test_a_window_opens_by_the_clocks_of_its_zone_and_lasts_real_time(now, text, opens, closes):
    assert opened(now, text)[0] == (opens, closes)


def test_several_windows_are_told_in_their_order():
    found = opened("2026-11-24T12:00:00Z", "Sat,Sun 02:00 3h", "daily 23:00 1h")
    assert [opens[:13] for opens, _ in found[:3]] == ["2026-11-24T23", "2026-11-25T23", "2026-11-26T23"]
    assert found == sorted(found)
    assert ("2026-11-28T02:00:00+01:00", "2026-11-28T05:00:00+01:00") in found


def test_a_window_of_a_week_is_always_open():
    for hour in range(0, 24, 5):
        now = f"2026-11-24T{hour:02}:00:00+01:00"
        assert opened(now, "Wed 12:00 168h")[0][0] <= now


@pytest.mark.parametrize("name", ["Europe/Nowhere", "../etc/passwd", "", "/etc/localtime"])
def test_a_zone_that_there_is_not_is_told(name):
    with pytest.raises(ValueError, match="knows no time zone"):
        find_zone(name)
