"""There is one agent on a node: whoever holds the lock.

Open file description locks (fcntl(2)), because they can be asked about without being taken: a ``status``
that looks must never be in the way of an agent that starts. Nobody else may open the file, since whoever reads
it could take a lock of his own on it; whom it is closed to asks the kernel's list of locks.
"""

import fcntl
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mcd_rt.effects import Effects
from mcd_rt.errors import AgentError, Code
from mcd_rt.hostpaths import HostPaths

_FLOCK = struct.Struct("hhqqi4x")
_MODE = 0o600
_WHOLE_FILE = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)


@contextmanager
def only_agent(effects: Effects, paths: HostPaths) -> Iterator[None]:
    """Be the one agent of this node; raises ``AgentError`` (``agent-running``, ``write-failed``)."""
    try:
        effects.make_directory(paths.runtime, 0o755)
        descriptor = os.open(paths.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
    except OSError as error:
        hint = "is /run writable for this user?"
        raise AgentError(Code.WRITE_FAILED, f"cannot open {paths.lock}: {error.strerror}", hint) from error
    try:
        _close_to_others(descriptor)
        try:
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _WHOLE_FILE)
        except OSError as error:
            hint = "`mcd-rt status` shows what it does; `mcd-rt apply` asks it"
            raise AgentError(Code.AGENT_RUNNING, f"another mcd-rt holds {paths.lock}", hint) from error
        yield
    finally:
        os.close(descriptor)


def is_agent_running(paths: HostPaths) -> bool:
    """Whether some process is the agent now."""
    try:
        descriptor = os.open(paths.lock, os.O_RDONLY | os.O_CLOEXEC)
    except PermissionError:
        return _is_listed(paths)
    except OSError:
        return False
    try:
        answer = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, _WHOLE_FILE)
    finally:
        os.close(descriptor)
    kind: int = _FLOCK.unpack(answer)[0]
    return kind != fcntl.F_UNLCK


def _close_to_others(descriptor: int) -> None:
    """For a file that an earlier release made, in this boot, for everybody to read."""
    if stat.S_IMODE(os.fstat(descriptor).st_mode) != _MODE:
        with suppress(OSError):  # root's, from an agent that ran as root: its mode is in nobody's way until the reboot
            os.fchmod(descriptor, _MODE)


def _is_listed(paths: HostPaths) -> bool:
    """Whether the kernel lists a lock for writing on the file: ``/proc/locks``, which everybody may read (proc(5))."""
    try:
        inode = paths.lock.stat().st_ino
        listed = Path("/proc/locks").read_text()
    except OSError:
        return False
    locks = (line.split() for line in listed.splitlines())
    return any(words[1:4] == ["OFDLCK", "ADVISORY", "WRITE"] and words[5].endswith(f":{inode}") for words in locks)
