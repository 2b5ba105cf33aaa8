"""When a reboot window opens, as settings spell it: ``Sat,Sun 02:00 3h``. The clock it is read by is elsewhere."""

import re

from mcd_rt.frozen import frozen

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
WEEK = 7 * 24 * 3600
_TEXT = re.compile(r"(?P<days>\S+) (?P<hour>\d{1,2}):(?P<minute>\d{2}) (?P<length>\S+)", re.ASCII)
_LENGTH = re.compile(r"(?=\d)(?:(?P<hours>\d{1,4})h)?(?:(?P<minutes>\d{1,5})m)?", re.ASCII)
_CALENDAR_HINT = "expected DAYS HH:MM LENGTH, such as 'Sat,Sun 02:00 3h', 'Mon-Fri 22:30 1h30m' or 'daily 03:00 45m'"


@frozen
class Window:
    """Opens on ``days`` (0 is Monday) at a civil time of day, for ``length`` seconds, midnight or not.

    ``text`` is how it was spelled.
    """

    text: str
    days: tuple[int, ...]
    hour: int
    minute: int
    length: int


@frozen
class Opening:
    """A window that is open from ``opens`` until just before ``closes``; ``text`` is its spelling in the settings."""

    opens: float
    closes: float
    text: str


def parse_window(text: str) -> Window:
    """A window out of its spelling; raises ``ValueError`` that says what is wrong."""
    parts = _TEXT.fullmatch(text)
    if parts is None:
        raise ValueError(f"{text!r}: {_CALENDAR_HINT}")
    hour, minute = int(parts["hour"]), int(parts["minute"])
    if hour > 23 or minute > 59:
        raise ValueError(f"{text!r}: there is no {hour}:{minute:02} in a day")
    return Window(text, _days(parts["days"], text), hour, minute, _length(parts["length"], text))


def _days(spelled: str, text: str) -> tuple[int, ...]:
    if spelled == "daily":
        return tuple(range(7))
    found: set[int] = set()
    for part in spelled.split(","):
        first, dash, last = part.partition("-")
        ends = (first, last) if dash else (first, first)
        if not all(end in DAYS for end in ends):
            raise ValueError(f"{text!r}: {part!r} is no day; days are {', '.join(DAYS)}, or daily")
        begin, end = (DAYS.index(end) for end in ends)
        found |= {(begin + step) % 7 for step in range((end - begin) % 7 + 1)}
    return tuple(sorted(found))


def _length(spelled: str, text: str) -> int:
    parts = _LENGTH.fullmatch(spelled)
    if parts is None:
        raise ValueError(f"{text!r}: {spelled!r} is no length; expected hours and minutes, such as 3h, 45m or 1h30m")
    length = int(parts["hours"] or 0) * 3600 + int(parts["minutes"] or 0) * 60
    if length == 0:
        raise ValueError(f"{text!r}: a window of no length never opens")
    if length > WEEK:
        raise ValueError(f"{text!r}: a window may be a week long at most")
    return length
