"""From the start of the process to READY, beside a bare interpreter and a naive daemon, in turns."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from mcd_rt.model.kernel import KernelType
from mcd_rt.sim.scene import Scene, open_scene
from tests.bench.effort import Effort, effort
from tests.bench.figures import Figure, Goal, tell
from tests.bench.idle import NAIVE, naive
from tests.bench.nodes import AGENT, rendered, use_compiled

ROUNDS = 15


def ours(scene: Scene, place: Path) -> float:
    """Milliseconds until the service manager is told READY."""
    address = place / "notify.sock"
    address.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(address))
        environment = os.environ | scene.node.environment | {"NOTIFY_SOCKET": str(address)}
        started = time.perf_counter()
        with subprocess.Popen(AGENT, env=environment, stderr=subprocess.DEVNULL) as agent:
            while b"READY=1" not in told.recv(65536):
                pass
            taken = time.perf_counter() - started
            agent.kill()
    return taken * 1000


def bare() -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return (time.perf_counter() - started) * 1000


async def measure(how: Effort) -> list[Figure]:
    use_compiled(os.environ)
    with TemporaryDirectory(prefix="mcd-rt-bench-") as place:
        async with open_scene() as scene:
            scene.write_config(rendered(KernelType.DEFAULT, scene))
            return await asyncio.to_thread(_rounds, scene, Path(place), how.rounds(ROUNDS))


def _rounds(scene: Scene, place: Path, count: int) -> list[Figure]:
    rounds = [(ours(scene, place), _theirs(scene), bare()) for _ in range(count + 1)][1:]  # the first one compiles
    mine, theirs, least = zip(*rounds, strict=True)
    return [
        Figure("start to READY", "ms", mine, NAIVE, theirs, Goal(140)),
        Figure("start of a bare interpreter, for comparison", "ms", least),
    ]


def _theirs(scene: Scene) -> float:
    started = time.perf_counter()
    with naive(scene.node.environment["DBUS_SYSTEM_BUS_ADDRESS"]):
        return (time.perf_counter() - started) * 1000


if __name__ == "__main__":
    tell(asyncio.run(measure(effort())))
