"""Service and workers stay on the housekeeping CPUs, workers behind everybody else: read back from /proc."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mcd_rt.act.placement import leave_isolated_cpus
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.kernel import KernelType
from mcd_rt.sim.process import AgentStarted
from tests.effects_double import EffectsDouble
from tests.integration.conftest import AGENT, served

CPUS = os.sched_getaffinity(0)
SYSTEMD = Path(__file__).parents[2] / "systemd"
needs_two = pytest.mark.skipif(len(CPUS) < 2, reason="this machine has one CPU")

_QUIET = """
import ctypes, json, os, socket
from mcd_rt.content.quiet import keep_quiet
keep_quiet(socket.socket(fileno=os.dup(0)))
number = {"x86_64": 252, "aarch64": 31, "ppc64le": 274, "s390x": 283}[os.uname().machine]
nice = open("/proc/self/stat").read().rpartition(")")[2].split()[16]
allowed = [line.split()[1] for line in open("/proc/self/status") if line.startswith("Cpus_allowed_list:")][0]
print(json.dumps([allowed, int(nice), ctypes.CDLL(None).syscall(number, 1, 0) >> 13]))
"""


def allowed_of(process: int | str) -> set[int]:
    text = Path(f"/proc/{process}/status").read_text()
    return numbers(re.search(r"^Cpus_allowed_list:\s+(\S+)", text, re.MULTILINE)[1])


def numbers(text: str) -> set[int]:
    spans = (part.partition("-") for part in text.split(","))
    return {cpu for first, _, last in spans for cpu in range(int(first), int(last or first) + 1)}


@needs_two
def test_the_service_keeps_off_isolated_cpus(play):
    isolated = max(CPUS)

    async def story():
        async with served() as (scene, told):
            command_line = scene.node.paths.below("/proc/cmdline")
            command_line.write_text(f"{command_line.read_text().rstrip()} nohz_full={isolated}\n")
            scene.ask_for(KernelType.DEFAULT)
            await scene.node.run_agent(AGENT)
            await told.wait_for("steady")
            [pid] = [event.pid for event in scene.node.events if isinstance(event, AgentStarted)]
            assert allowed_of(pid) == CPUS - {isolated}

    play(story())


@needs_two
def test_a_worker_follows_whoever_asks_it_and_comes_after_everybody_else():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        started = subprocess.run(
            [sys.executable, "-c", _QUIET],
            stdin=theirs,
            capture_output=True,
            check=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {min(CPUS)}),
        )
    allowed, nice, disk = json.loads(started.stdout)
    assert (numbers(allowed), nice, disk) == (CPUS, 19, 3)


def test_the_units_of_workers_come_after_everybody_else_and_may_follow_the_agent():
    for worker in ("fetch", "inspect"):
        lines = (SYSTEMD / f"mcd-rt-{worker}@.service").read_text().splitlines()
        assert {"Nice=19", "IOSchedulingClass=idle", "CPUWeight=20"} <= set(lines)
        assert lines.index("SystemCallFilter=~@privileged @resources") < lines.index(
            "SystemCallFilter=sched_setaffinity"
        )
    assert {"Nice=5", "IOSchedulingClass=idle", "SystemCallFilter=sched_setaffinity"} <= set(
        (SYSTEMD / "mcd-rt.service").read_text().splitlines()
    )


@pytest.mark.parametrize("text", ["", None, "quiet isolcpus=9999"])
def test_where_no_cpu_is_isolated_nothing_is_set(tmp_path, text):
    if text is not None:
        (tmp_path / "proc").mkdir()
        (tmp_path / "proc/cmdline").write_text(text)
    effects = EffectsDouble()
    leave_isolated_cpus(effects, HostPaths(tmp_path))
    assert effects.attempted == []


@needs_two
def test_a_kernel_that_refuses_is_no_reason_to_stop(tmp_path, caplog):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cmdline").write_text(f"isolcpus={max(CPUS)}\n")
    effects = EffectsDouble()
    effects.fail("keep_to_cpus", PermissionError(1, "Operation not permitted"))
    leave_isolated_cpus(effects, HostPaths(tmp_path))
    assert effects.subjects("keep_to_cpus") == [" ".join(map(str, sorted(CPUS - {max(CPUS)})))]
    assert "cannot leave the isolated CPUs: Operation not permitted" in caplog.text
