"""What an idle agent costs in a minute, and after configs of some size; a naive daemon idles beside it.

``--seconds N`` for a shorter look.
"""

import argparse
import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mcd_rt.control import Verb, ask_agent
from mcd_rt.model.kernel import KernelType
from tests.bench.effort import Effort, effort
from tests.bench.figures import MEGABYTE, Figure, Goal, tell
from tests.bench.measure import memory_of
from tests.bench.nodes import rendered, steady_node

NAIVE = "naive daemon"
_SIZES = (1, 5, 20)


@dataclass(frozen=True)
class Cost:
    """Of a process, now: voluntary context switches of all threads so far, threads, memory in MB."""

    switches: int
    threads: int
    memory: float


def cost_of(pid: int) -> Cost:
    tasks = [(task / "status").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    switches = sum(int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", task, re.MULTILINE)[1]) for task in tasks)
    return Cost(switches, len(tasks), memory_of(pid) / MEGABYTE)


@contextmanager
def naive(bus: str) -> Iterator[subprocess.Popen[bytes]]:
    """The naive daemon, ready."""
    environment = {"DBUS_SYSTEM_BUS_ADDRESS": bus}
    command = ["env", *(f"{key}={value}" for key, value in environment.items()), sys.executable, "-m"]
    with subprocess.Popen([*command, "tests.bench.naive"], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield process
        finally:
            process.kill()


async def measure(how: Effort, seconds: float) -> list[Figure]:
    async with steady_node(KernelType.DEFAULT) as steady:
        with naive(steady.node.environment["DBUS_SYSTEM_BUS_ADDRESS"]) as other:
            await asyncio.sleep(1.0)  # what follows a start is not idle
            before = cost_of(steady.pid), cost_of(other.pid)
            await asyncio.sleep(seconds)
            after = cost_of(steady.pid), cost_of(other.pid)
        ours, theirs = ((new.switches - old.switches, new) for old, new in zip(before, after, strict=True))
        figures = [
            Figure(f"idle for {seconds:g} s: wake-ups", "", (ours[0],), NAIVE, (theirs[0],), Goal(0)),
            Figure("idle: threads", "", (ours[1].threads,), NAIVE, (theirs[1].threads,), Goal(1)),
            Figure("idle: memory (PSS)", "MB", (ours[1].memory,), NAIVE, (theirs[1].memory,), Goal(20)),
        ]
        for size in how.points(_SIZES):
            steady.scene.write_config(rendered(KernelType.DEFAULT, steady.scene, size * MEGABYTE))
            await ask_agent(steady.node.paths.control, Verb.APPLY, 60)
            await asyncio.sleep(0.5)  # the pass that the file itself wakes
            more = memory_of(steady.pid) / MEGABYTE - ours[1].memory
            figures.append(Figure(f"idle after a config of {size} MB: memory more", "MB", (more,), goal=Goal(2)))
    return figures


def main() -> None:
    how = effort()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=how.seconds(60.0))
    tell(asyncio.run(measure(how, parser.parse_known_args()[0].seconds)))


if __name__ == "__main__":
    main()
