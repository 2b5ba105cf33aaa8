"""Civil time: when reboot windows open, in the time zones that the host knows."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mcd_rt.model.window import Opening, Window

_DAYS_AHEAD = 8
_DAYS_BACK = 8
"""A window may be a week long, and its day begins earlier in some zones."""


def find_zone(name: str) -> tzinfo:
    """A zone of the host's database (``Europe/Berlin``); raises ``ValueError`` where it has none of this name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(
            f"this host knows no time zone {name!r}, expected one such as 'UTC' or 'Europe/Berlin'"
        ) from error


def openings(windows: Iterable[Window], zone: tzinfo, now: float) -> tuple[Opening, ...]:
    """What is open at ``now`` (seconds since the epoch) or opens in the week after it, earliest first.

    A window lasts its length in real seconds, whatever clocks do meanwhile. One that begins in an hour which is left
    out opens as late after that gap as it would have after its beginning; one in an hour that comes twice, the first
    time.
    """
    today = datetime.fromtimestamp(now, zone).replace(second=0, microsecond=0)
    found = (
        Opening(opens, opens + window.length, window.text)
        for window in windows
        for opens in _beginnings(window, today)
        if opens + window.length > now
    )
    return tuple(sorted(found, key=lambda opening: (opening.opens, opening.closes)))


def _beginnings(window: Window, today: datetime) -> Iterator[float]:
    for offset in range(-_DAYS_BACK, _DAYS_AHEAD + 1):
        day = today + timedelta(days=offset)
        if day.weekday() in window.days:
            yield day.replace(hour=window.hour, minute=window.minute, fold=0).timestamp()
