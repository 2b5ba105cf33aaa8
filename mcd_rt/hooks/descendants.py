"""Nothing that a hook starts outlives it, wherever it has gone: this process is the one that orphans fall to."""

import contextlib
import ctypes
import os
import signal
from pathlib import Path

_SET_PDEATHSIG, _SET_CHILD_SUBREAPER = 1, 36  # prctl(2)
_ROUNDS = 1000


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends (``PR_SET_CHILD_SUBREAPER``)."""
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> None:
    """In a child before its program: it is killed when the process that started it ends."""
    ctypes.CDLL(None).prctl(_SET_PDEATHSIG, signal.SIGKILL)


def signal_group(leader: int, number: signal.Signals) -> None:
    """Send a signal to a whole process group; one that is gone is fine."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, number)


def end_descendants() -> None:
    """Kill and reap every child there is, and what falls to us by that, until there is none.

    What breeds faster than it is killed is left to the unit, whose control group ends with it.
    """
    for _ in range(_ROUNDS):
        children = _children()
        if not children:
            return
        for child in children:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)


def _children() -> list[int]:
    """Our children, zombies too: the fourth field of ``/proc/PID/stat`` (proc(5))."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):  # it is gone, or not ours to see
                parent = (entry / "stat").read_bytes().rpartition(b")")[2].split()[1]
                if int(parent) == os.getpid():
                    found.append(int(entry.name))
    return found
