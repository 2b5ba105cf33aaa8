"""Agents on simulated nodes, as they are installed: compiled, and with the configs that the MCO writes."""

import json
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mcd_rt.dbus.wire import Kind, Message
from mcd_rt.model.kernel import KernelType
from mcd_rt.sim.node import SimulatedNode
from mcd_rt.sim.process import AgentStarted
from mcd_rt.sim.scene import Scene
from tests.integration.conftest import Told, served

AGENT = [sys.executable, "-m", "mcd_rt", "run"]
_BYTECODE = TemporaryDirectory(prefix="mcd-rt-bench-bytecode-")


@dataclass(frozen=True)
class Call:
    """A call to rpm-ostreed, and when it came (``time.perf_counter``)."""

    member: str
    at: float


@dataclass(frozen=True)
class Steady:
    """A node whose agent has nothing to do."""

    scene: Scene
    told: Told
    calls: list[Call]

    @property
    def node(self) -> SimulatedNode:
        return self.scene.node

    @property
    def pid(self) -> int:
        """The agent's process."""
        return [event.pid for event in self.node.events if isinstance(event, AgentStarted)][-1]

    async def switch(self, kernel_type: KernelType) -> None:
        """Ask for a kernel, and wait until it runs."""
        self.scene.write_config(rendered(kernel_type, self.scene))
        await self.told.wait_for("steady", contains=f"{kernel_type} is wanted and runs")


@asynccontextmanager
async def steady_node(kernel_type: KernelType, **options: Any) -> AsyncIterator[Steady]:
    """A node that runs what is wanted, with its agent."""
    use_compiled(os.environ)
    async with served(**options) as (scene, told):
        _allow_reboots(scene.node)
        calls: list[Call] = []
        _overhear(scene.node, calls)
        steady = Steady(scene, told, calls)
        scene.write_config(rendered(kernel_type, scene))
        await scene.node.run_agent(AGENT)
        await told.wait_for("steady", contains=f"{kernel_type} is wanted and runs")
        yield steady


def use_compiled(environment: "os._Environ[str]") -> None:
    """What is installed has been compiled: here the first round does it."""
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment["PYTHONPYCACHEPREFIX"] = _BYTECODE.name


def rendered(kernel_type: KernelType, scene: Scene, size: int = 0, key: str = "") -> bytes:
    """A config in JSON, as the machine-config-daemon leaves it, with files in it of so many bytes together."""
    one = "x" * 500
    files = [{"path": f"/etc/{key}{number}", "contents": {"source": one}} for number in range(size // 560)]
    return json.dumps(
        {
            "apiVersion": "machineconfiguration.openshift.io/v1",
            "kind": "MachineConfig",
            "metadata": {"name": "rendered-worker-1", "annotations": {"key": key}},
            "spec": {
                "kernelType": str(kernel_type),
                "osImageURL": str(scene.image),
                "config": {"ignition": {"version": "3.4.0"}, "storage": {"files": files}},
            },
        }
    ).encode()


def _allow_reboots(node: SimulatedNode) -> None:
    """As many as there are rounds."""
    place = node.paths.below("/etc/mcd-rt/config.d/60-bench.toml")
    place.write_text("[reboot]\nper_day = 1000\n")


def _overhear(node: SimulatedNode, calls: list[Call]) -> None:
    service = node.rpm_ostree._service
    heard: Callable[[Message], None] = service._heard

    def overheard(message: Message) -> None:
        if message.kind is Kind.CALL:
            calls.append(Call(message.member, time.perf_counter()))
        heard(message)

    service._heard = overheard


def processor_of(pid: int) -> float:
    """Seconds that a process was on a CPU, all its threads together (``/proc/PID/task/*/schedstat``)."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir()) / 1e9


def children_of(pid: int) -> int:
    """A number that grows with every child that was waited for: the page faults of all of them."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[8])
