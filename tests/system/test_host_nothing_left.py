"""Nothing of a test host outlives its test: after success, after a failure, and when the runner is killed."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.container import why_not
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
    runner = subprocess.Popen(
        [sys.executable, "-c", RUNNER, str(place), str(usr_layer), end],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert runner.stdout is not None
    name = runner.stdout.readline().strip()
    assert name.startswith("mcd-rt-host-")
    if end == "is killed":
        assert place.exists()
        keeper = keeper_of(place)
        os.kill(runner.pid, signal.SIGKILL)
        wait_gone(keeper)
    _, complaint = runner.communicate(timeout=PATIENCE)
    assert runner.returncode == {"succeeds": 0, "fails": 1, "is killed": -signal.SIGKILL}[end]
    assert ("as asked" in complaint) is (end == "fails")
    assert left_of(name, place) == []


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
