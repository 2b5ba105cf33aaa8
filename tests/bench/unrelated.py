"""A config that changes nothing for the kernel, on a real-time node: what is done, counted; and what a pass costs."""

import asyncio
import time
from pathlib import Path

from mcd_rt.desired.machineconfig import read_machine_config
from mcd_rt.model.kernel import KernelType
from tests.bench.effort import Effort, effort
from tests.bench.figures import MEGABYTE, Figure, Goal, tell
from tests.bench.nodes import Steady, children_of, processor_of, rendered, steady_node

ROUNDS = 20
_SIZE = MEGABYTE // 4
_QUIET = 0.3
_MCD = "the machine-config-daemon pulls an image"


async def measure(how: Effort) -> list[Figure]:
    async with steady_node(KernelType.REALTIME) as steady:
        steady.scene.write_config(rendered(KernelType.REALTIME, steady.scene, _SIZE, "first"))
        await asyncio.sleep(_QUIET)
        steady.calls.clear()
        children, before = children_of(steady.pid), files_of(steady)
        costs = tuple([await _pass(steady, f"k{number:03}") for number in range(how.rounds(ROUNDS))])
        title = "configs that do not concern the kernel, RT node"
        return [
            Figure(
                f"{title}: bytes in files written",
                "B",
                (bytes_of_changed(before, files_of(steady)),),
                _MCD,
                goal=Goal(0),
            ),
            Figure(f"{title}: children", "", (children_of(steady.pid) - children,), goal=Goal(0)),
            Figure(f"{title}: calls to rpm-ostreed", "", (len(steady.calls),), goal=Goal(0)),
            Figure("a pass after one of them: CPU beyond parsing", "ms", costs, goal=Goal(5)),
        ]


def files_of(steady: Steady) -> dict[Path, tuple[int, int]]:
    """When they were written, and how large they are: all that is on a disk of the node, but for the config itself."""
    found = (file for file in steady.node.root.rglob("*") if file.is_file() and not file.is_symlink())
    kept = (file for file in found if file != steady.scene.config and not file.is_relative_to(steady.node.root / "run"))
    return {file: (file.stat().st_mtime_ns, file.stat().st_size) for file in kept}


def bytes_of_changed(before: dict[Path, tuple[int, int]], after: dict[Path, tuple[int, int]]) -> int:
    return sum(size for file, (written, size) in after.items() if before.get(file) != (written, size))


async def _pass(steady: Steady, key: str) -> float:
    """Milliseconds of CPU, from the event to being idle again, without those that reading the config takes."""
    config = rendered(KernelType.REALTIME, steady.scene, _SIZE, key)
    before = processor_of(steady.pid)
    steady.scene.write_config(config)
    await asyncio.sleep(_QUIET)
    taken = processor_of(steady.pid) - before
    return (taken - reading(steady.scene.config)) * 1000


def reading(config: Path) -> float:
    """Seconds of CPU for reading it once, after a pause as the agent has it before."""
    begun = time.process_time()
    read_machine_config(config)
    return time.process_time() - begun


if __name__ == "__main__":
    tell(asyncio.run(measure(effort())))
