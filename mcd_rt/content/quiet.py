"""A worker keeps out of the way: on the CPUs of whoever asks it, behind everybody else there and at the disk.

Its unit gives it the priorities, and lets it set nothing but its CPUs (``systemd/mcd-rt-fetch@.service``); a plain
child gives them to itself.
"""

import os
import socket
import struct
from contextlib import suppress

_LOWEST = 19
_IDLE_DISK = 3 << 13  # ioprio_set(2): IOPRIO_CLASS_IDLE
_IOPRIO_SET = {"x86_64": 251, "aarch64": 30, "ppc64le": 273, "s390x": 282}
_CREDENTIALS = struct.Struct("3i")


def keep_quiet(connection: socket.socket) -> None:
    """Take the CPUs of the process behind a socket, and the lowest priorities; before there are threads.

    What a kernel, or a sandbox, does not allow is left: the work is the same.
    """
    with suppress(OSError):
        pid, _, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
        if pid > 0 and (wanted := os.sched_getaffinity(pid)) != os.sched_getaffinity(0):
            os.sched_setaffinity(0, wanted)
    if os.getpriority(os.PRIO_PROCESS, 0) >= _LOWEST:  # its unit saw to both
        return
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, _LOWEST)
    number = _IOPRIO_SET.get(os.uname().machine)
    if number is not None:
        import ctypes  # noqa: PLC0415 - a unit's start does without it

        ctypes.CDLL(None).syscall(ctypes.c_long(number), ctypes.c_int(1), ctypes.c_int(0), ctypes.c_int(_IDLE_DISK))
