"""How much room there is, and since when something is staged, read when it is asked for."""

import math
import os
from contextlib import suppress
from pathlib import Path

from mcd_rt.frozen import frozen
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.deployment import Deployments
from mcd_rt.observed.room import read_room
from mcd_rt.plan.preflight import prunable


@frozen
class Space:
    """Bytes of a file system: those anyone may use, and all; ``nan`` where it cannot be seen."""

    available: float
    size: float


@frozen
class Kernels:
    """Bytes in /boot: of the largest kernel with its initramfs, and of those that may go; ``nan``: cannot be seen."""

    largest: float
    prunable: float


def space_of(path: Path) -> Space:
    """The file system a path is on."""
    try:
        found = os.statvfs(path)
    except OSError:  # not there, or not for us: nothing is known, which is not 0
        return Space(math.nan, math.nan)
    return Space(float(found.f_bavail * found.f_frsize), float(found.f_blocks * found.f_frsize))


def kernels_in_boot(paths: HostPaths, deployments: Deployments) -> Kernels:
    """What the kernels in /boot take, the deployments being these."""
    boot = read_room(paths).boot
    if boot is None:
        return Kernels(math.nan, math.nan)
    largest = max((directory.size for directory in boot.directories), default=0)
    known = deployments.booted is not None
    return Kernels(float(largest), float(prunable(boot, deployments)) if known else math.nan)


def changed_at(path: Path) -> float:
    """When a file was last written, in seconds since the epoch; 0 where there is none, or it is not for us."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def size_of_tree(path: Path) -> int:
    """The bytes of all files below a directory; what goes away meanwhile, or is not for us, does not count."""
    size = 0
    for directory, _, names in os.walk(path):
        for name in names:
            with suppress(OSError):
                size += Path(directory, name).lstat().st_size
    return size
