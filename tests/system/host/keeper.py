"""Cleans up after one test host or container, also when the tests are killed: waits for the end of its standard input.

Arguments: the directory, and the control groups. What lives in the groups is killed, then groups, mounts and files
are removed; says ``clean``, or what is left.
"""

import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path

_PATIENCE = 5000
"""Milliseconds for what was killed to be gone."""


def kill_all(groups: list[Path]) -> None:
    """Until nothing is left in any of the groups: what is killed is waited for by its pidfd."""
    while pids := {pid for group in groups for pid in _processes(group)}:
        for pid in pids:
            _end(pid)


def _processes(group: Path) -> list[int]:
    found: list[int] = []
    for place in [group, *_inner(group)] if group.is_dir() else []:
        found += map(int, (place / "cgroup.procs").read_text().split())
    return [pid for pid in found if pid != os.getpid()]


def _inner(group: Path) -> list[Path]:
    return sorted((place for place in group.rglob("*") if place.is_dir()), reverse=True)


def _end(pid: int) -> None:
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(watched, signal.SIGKILL)
        poll = select.poll()
        poll.register(watched, select.POLLIN)
        poll.poll(_PATIENCE)
    except ProcessLookupError:
        return
    finally:
        os.close(watched)


def remove(place: Path, groups: list[Path]) -> None:
    """The groups and the files; deployments are immutable."""
    for group in groups:
        for each in [*_inner(group), group] if group.is_dir() else []:
            each.rmdir()
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    for mounted in sorted((line.split()[1] for line in mounts if f"{place}/" in line), reverse=True):
        subprocess.run(["umount", "--lazy", mounted], check=False)
    for deployment in place.glob("sysroot/ostree/deploy/*/deploy/*.*"):
        if deployment.is_dir():
            subprocess.run(["chattr", "-i", str(deployment)], check=True)
    shutil.rmtree(place)


def main(place: Path, groups: list[Path]) -> None:
    """Wait, then clean up."""
    sys.stdin.buffer.read()
    kill_all(groups)
    if place.exists():
        remove(place, groups)
    print("clean", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(group) for group in sys.argv[2:]])
