"""The file with which an administrator permits reboots: one line, the time until which it does."""

import os
import stat
from datetime import datetime

from mcd_rt.errors import Code, Failure
from mcd_rt.hostpaths import HostPaths
from mcd_rt.reboot.situation import NotPermitted, Permission, Permitted

_MOST = 256
_HINT = "write the time until which the node may reboot, with its zone: 2026-11-24T06:00:00Z"


def read_permission(paths: HostPaths, place: str, now: float) -> Permission:
    """What the file at ``place`` permits at ``now``, seconds since the epoch.

    It has an RFC 3339 time with its zone, and nobody but root (or this process's own user) may be able to write it.
    """
    path = paths.below(place)
    try:
        with open(path, "rb", opener=_at_once) as file:
            found = os.fstat(file.fileno())
            line = file.read(_MOST + 1) if stat.S_ISREG(found.st_mode) else b""
    except FileNotFoundError:
        return NotPermitted("it is not there")
    except OSError as error:
        return _denied(f"{path} cannot be read: {error.strerror}")
    if not stat.S_ISREG(found.st_mode):
        return _denied(f"{path} is not a file")
    if found.st_uid not in (0, os.geteuid()) or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return _denied(f"{path} may be written by others than root", "chown root, chmod 644")
    return _judged(str(path), line, found.st_mtime, now)


def _at_once(path: str, flags: int) -> int:
    """A pipe would have the agent wait until somebody writes to it."""
    return os.open(path, flags | os.O_NONBLOCK)


def _judged(path: str, line: bytes, written: float, now: float) -> Permission:
    try:
        until = datetime.fromisoformat(line.decode("ascii").strip())
    except ValueError:
        return _denied(f"{path} does not begin with a time, but with {line[:40]!r}")
    if until.tzinfo is None:
        return _denied(f"{path}: {until.isoformat()} has no time zone")
    if until.timestamp() <= now:
        return NotPermitted(f"what it permitted ended {until.isoformat()}")
    return Permitted(min(written, now), until.timestamp())


def _denied(what: str, hint: str = _HINT) -> NotPermitted:
    return NotPermitted(failure=Failure(Code.PERMISSION_INVALID, what, hint))
