"""What a command cost: time, bytes over loopback, bytes written, the largest process of its tree."""

import fcntl
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import median

_SIOCSIFFLAGS, _IFF_UP, _IFF_RUNNING = 0x8914, 0x1, 0x40
_SMALL = """\
import os, sys
pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
_, status, used = os.wait4(pid, 0)
print("", status, used.ru_oublock, used.ru_maxrss)
"""
_BLOCK = 512  # what getrusage(2) counts in


@dataclass(frozen=True)
class Cost:
    """Seconds, and bytes."""

    seconds: float
    network: float
    written: float
    memory: float


def measure(command: Sequence[str], environment: Mapping[str, str]) -> Cost:
    """Run a command to its end and say what it cost, with everything it waited for; it must succeed."""
    before, started = _loopback(), time.perf_counter()
    # A process counts what the one it was forked from had in memory: so it is forked from a small one.
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _SMALL, *command], env=dict(environment), stdout=subprocess.PIPE, check=True
    )
    seconds = time.perf_counter() - started
    status, blocks, kilobytes = (int(word) for word in done.stdout.split()[-3:])
    if status:
        raise SystemExit(f"{' '.join(command)} failed: {status}")
    return Cost(seconds, _loopback() - before, blocks * _BLOCK, kilobytes * 1024)


def medians(costs: Sequence[Cost]) -> Cost:
    """Of each kind, the median."""
    return Cost(*(median(getattr(cost, field.name) for cost in costs) for field in fields(Cost)))


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
