"""How long, as people type it."""

import argparse
import re

from mcd_rt.control import LONGEST

_PARTS = re.compile(r"(?=.)(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_SECONDS = (24 * 3600, 3600, 60, 1)


def duration(text: str) -> float:
    """Seconds out of ``90m``, ``1h30m``, ``2d``; raises ``argparse.ArgumentTypeError``."""
    parts = _PARTS.fullmatch(text)
    found = sum(int(part or 0) * unit for part, unit in zip(parts.groups(), _SECONDS, strict=True)) if parts else 0
    if not 0 < found <= LONGEST:
        what = f"{text[:40]!r} is no length of time; expected days, hours, minutes, seconds, such as 2d, 90m, 1h30m"
        raise argparse.ArgumentTypeError(what)
    return float(found)
