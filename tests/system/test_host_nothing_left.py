"""Nothing of a test host outlives its test: after success, after a failure, and when the runner is killed.

On every kind of machine: also where there is one hierarchy of control groups, version 2.
"""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.container import why_not
from tests.system.host.groups import NAME
from tests.system.patience import PATIENCE

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())
RUNNER = """\
import sys
from pathlib import Path
from tests.system.host.scene import open_host
place, layer, end = sys.argv[1:]
with open_host(Path(place), Path(layer)) as host:
    host.machine.give_boot_a_disk(16)
    host.boot()
    print(host.machine.name, flush=True)
    if end == "fails":
        raise AssertionError("as asked")
    if end == "is killed":
        sys.stdin.read()
"""


CONTAINER = """\
import os, sys
from pathlib import Path
from tests.system.container import prepared
place, end = sys.argv[1:]
hang = "import signal; open('/opt/mcd-rt/up', 'w').close(); signal.pause()"
with prepared(Path(place)) as container:
    os.mkfifo(container.root / "opt/mcd-rt/up")
    print(container.name, flush=True)
    if end == "fails":
        raise AssertionError("as asked")
    container.boot((), f'-c "{hang}"' if end == "is killed" else "-c 'print(1)'")
    print("said", (container.root / "opt/mcd-rt/said").read_text(), flush=True)
"""
VERSION_2 = ("unshare", "--mount", "sh", "-c", 'mount -t cgroup2 none /sys/fs/cgroup && exec "$@"', "sh")
"""Gives a command the control groups of a machine without version 1."""


def left_of(name: str, place: Path) -> list[str]:
    """Everything on this machine that has the name of the host, or its place."""
    found = [str(group) for group in Path("/sys/fs/cgroup").glob(f"**/{name}*")]
    found += [line for line in Path("/proc/mounts").read_text().splitlines() if str(place) in line]
    loops = subprocess.check_output(["losetup", "--list", "--noheadings", "-O", "BACK-FILE"], text=True)
    found += [line for line in loops.splitlines() if str(place) in line]
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = process.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if name in command:
            found.append(command)
    return found + ([str(place)] if place.exists() else [])


@pytest.mark.parametrize("end", ["succeeds", "fails", "is killed"])
def test_nothing_is_left(tmp_path: Path, usr_layer: Path, end: str):
    place = tmp_path / "host"
    runner, name = started(RUNNER, place, str(usr_layer), end)
    ended(runner, name, place, end)


@pytest.mark.parametrize("end", ["succeeds", "fails", "is killed"])
@pytest.mark.parametrize("groups", [(), VERSION_2], ids=["these groups", "version 2"])
def test_nothing_is_left_of_a_container(tmp_path: Path, end: str, groups: tuple[str, ...]):
    place = tmp_path / "container"
    runner, name = started(CONTAINER, place, end, prefix=groups)
    if end == "is killed":
        Path(f"/proc/{runner.pid}/root{place}/root/opt/mcd-rt/up").read_text()  # until it is up
    said = ended(runner, name, place, end)
    assert ("said 1" in said) is (end == "succeeds")


def test_a_host_boots_where_control_groups_are_of_version_2_only(tmp_path: Path, usr_layer: Path):
    place = tmp_path / "host"
    runner, name = started(RUNNER, place, str(usr_layer), "succeeds", prefix=VERSION_2)
    ended(runner, name, place, "succeeds")


def started(
    script: str, place: Path, *arguments: str, prefix: tuple[str, ...] = ()
) -> tuple[subprocess.Popen[str], str]:
    """A runner in a process of its own, and the name of what it opened in this place."""
    runner = subprocess.Popen(
        [*prefix, sys.executable, "-c", script, str(place), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert runner.stdout is not None
    name = runner.stdout.readline().strip()
    assert name.startswith(NAME), runner.communicate()
    return runner, name


def ended(runner: subprocess.Popen[str], name: str, place: Path, end: str) -> str:
    """See it to its end and that nothing is left; returns what else it said."""
    if end == "is killed":
        assert place.exists()
        keeper = keeper_of(place)
        os.kill(runner.pid, signal.SIGKILL)
        wait_gone(keeper)
    said, complaint = runner.communicate(timeout=PATIENCE)
    assert runner.returncode == {"succeeds": 0, "fails": 1, "is killed": -signal.SIGKILL}[end], complaint
    assert ("as asked" in complaint) is (end == "fails")
    assert left_of(name, place) == []
    return said


def keeper_of(place: Path) -> int:
    """The process that cleans up, as a pidfd."""
    wanted = f"keeper.py\0{place}\0".encode()
    [pid] = [int(each.parent.name) for each in Path("/proc").glob("[0-9]*/cmdline") if wanted in each.read_bytes()]
    return os.pidfd_open(pid)


def wait_gone(process: int) -> None:
    poll = select.poll()
    poll.register(process, select.POLLIN)
    assert poll.poll(PATIENCE * 1000), f"waited {PATIENCE:g} s for the keeper to end"
    os.close(process)
