"""What a command cost: time, bytes over loopback, bytes written, and the memory of what it starts."""

import fcntl
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_SIOCSIFFLAGS, _IFF_UP, _IFF_RUNNING = 0x8914, 0x1, 0x40
_SMALL = """\
import os, sys
pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
_, status, used = os.wait4(pid, 0)
print("", status, used.ru_oublock, used.ru_utime + used.ru_stime)
"""
_BLOCK = 512  # what getrusage(2) counts in


@dataclass(frozen=True)
class Cost:
    """Seconds on the clock and of processors, and bytes."""

    seconds: float
    processor: float
    network: float
    written: float
    memory: float = 0


def measure(command: Sequence[str], environment: Mapping[str, str]) -> Cost:
    """Run a command to its end and say what it cost, with everything it waited for; it must succeed.

    Where the command prints two numbers, they are its own word for its seconds, and count. What whoever ran before has
    left to be written is on the disk when it begins: podman leaves hundreds of megabytes, and does not wait for them.
    """
    os.sync()
    before, started = _loopback(), time.perf_counter()
    done = subprocess.run(_counted(command), env=dict(environment), stdout=subprocess.PIPE, text=True, check=True)
    seconds = time.perf_counter() - started
    *said, status, blocks, processor = done.stdout.split()
    if int(status):
        raise SystemExit(f"{' '.join(command)} failed: {status}")
    times = map(float, said) if said else (seconds, float(processor))
    return Cost(*times, _loopback() - before, int(blocks) * _BLOCK)


def peak_memory(command: Sequence[str], environment: Mapping[str, str], *, itself: bool) -> float:
    """The most that the processes of a command had in memory together at a time, in bytes; with or without the first.

    What several of them share counts once (proportional set size, proc(5)): else each process more would count the same
    libraries again. Looked at all the time, which costs: what runs here is not to be measured by the clock.
    """
    most = 0
    with subprocess.Popen(command, env=dict(environment), stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            tree = list(_descendants(process.pid)) + [process.pid] * itself
            most = max(most, sum(map(_memory_left, tree)))
            time.sleep(0.002)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed: {process.returncode}")
    return most


def _counted(command: Sequence[str]) -> list[str]:
    """Started by a small process, because a process counts what the one it was forked from had in memory."""
    return [sys.executable, "-I", "-S", "-c", _SMALL, *command]


def _descendants(pid: int) -> Iterator[int]:
    with suppress(OSError):  # it has just ended
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                if _words(child) != _words(pid):  # else it is a copy that has not become a program yet
                    yield child
                yield from _descendants(child)


def _words(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def memory_of(pid: int) -> int:
    """The proportional set size of a process in bytes (proc(5)); raises ``OSError`` where there is none any more."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def _memory_left(pid: int) -> int:
    with suppress(OSError):  # it has just ended
        return memory_of(pid)
    return 0


def raise_loopback() -> None:
    """Loopback is down in a new network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as anything:
        fcntl.ioctl(anything, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP | _IFF_RUNNING))


def _loopback() -> int:
    """Bytes that came in over loopback so far."""
    for line in Path("/proc/net/dev").read_text().splitlines():
        name, _, counters = line.partition(":")
        if name.strip() == "lo":
            return int(counters.split()[0])
    raise SystemExit("there is no loopback")
