"""How much room there is, read when it is asked for."""

import math
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Space:
    """Bytes of a file system: those anyone may use, and all; ``nan`` where it cannot be seen."""

    available: float
    size: float


def space_of(path: Path) -> Space:
    """The file system a path is on."""
    try:
        found = os.statvfs(path)
    except OSError:  # not there, or not for us: nothing is known, which is not 0
        return Space(math.nan, math.nan)
    return Space(float(found.f_bavail * found.f_frsize), float(found.f_blocks * found.f_frsize))


def size_of_tree(path: Path) -> int:
    """The bytes of all files below a directory; what goes away meanwhile, or is not for us, does not count."""
    size = 0
    for directory, _, names in os.walk(path):
        for name in names:
            with suppress(OSError):
                size += Path(directory, name).lstat().st_size
    return size
