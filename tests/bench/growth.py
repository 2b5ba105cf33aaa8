"""How the cost of a pass grows: with deployments, with layered packages, with the size of the config.

Two passes each, in CPU of the agent from the event to being idle again: after a config that changes nothing (what was
seen of the node counts on), and after another client touched the deployments (everything is asked for again).
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from statistics import median

from mcd_rt.model.kernel import KernelType
from mcd_rt.sim.world import Deployment, System
from tests.bench.effort import Effort, effort
from tests.bench.figures import MEGABYTE, Curve, tell
from tests.bench.nodes import Steady, processor_of, rendered, steady_node

ROUNDS = 5
DEPLOYMENTS = (2, 5, 10, 20, 40)
PACKAGES = (0, 50, 200, 500)
SIZES = (0, 1, 5, 20)
CONFIG, TOUCHED = "an unrelated config", "the deployments touched"
_LOOK = 0.02


def with_deployments(system: System, count: int) -> System:
    """So many, the others pinned behind the booted one."""
    booted = system.booted
    others = [replace(booted, booted=False, pinned=True, serial=number + 1) for number in range(count - 1)]
    return replace(system, deployments=(booted, *others))


def with_packages(system: System, count: int) -> System:
    """So many packages layered on everything that is there."""

    def layered(deployment: Deployment) -> Deployment:
        origin = replace(deployment.tree.origin, packages=tuple(f"package{number:04}" for number in range(count)))
        return replace(deployment, tree=replace(deployment.tree, origin=origin))

    return replace(system, deployments=tuple(map(layered, system.deployments)))


async def measure(how: Effort) -> list[Curve]:
    return [
        await _on_nodes("deployments", "A pass, with deployments", how.points(DEPLOYMENTS), with_deployments, how),
        await _on_nodes("packages", "A pass, with layered packages", how.points(PACKAGES), with_packages, how),
        await _on_configs(how),
    ]


async def _on_nodes(
    name: str, title: str, counts: tuple[int, ...], make: Callable[[System, int], System], how: Effort
) -> Curve:
    curve = Curve(f"pass-{name}", title, name, "ms CPU", {CONFIG: [], TOUCHED: []})
    async with steady_node(KernelType.DEFAULT) as steady:
        plain = steady.node.rpm_ostree.system
        for count in counts:
            system = make(plain, count)
            costs: dict[str, list[float]] = {CONFIG: [], TOUCHED: []}
            for turn in range(how.rounds(ROUNDS)):
                costs[TOUCHED].append(await _cost(steady, lambda system=system: _touch(steady, system)))
                key = f"{count}-{turn}"
                costs[CONFIG].append(await _cost(steady, lambda key=key: _write(steady, 0, key)))
            for line, found in costs.items():
                curve.lines[line].append((count, median(found)))
    return curve


async def _on_configs(how: Effort) -> Curve:
    curve = Curve("pass-config", "A pass, with the size of the config", "MB", "ms CPU", {CONFIG: []})
    async with steady_node(KernelType.DEFAULT) as steady:
        for size in how.points(SIZES):
            found = [
                await _cost(steady, lambda size=size, turn=turn: _write(steady, size, f"k{turn}"))
                for turn in range(how.rounds(ROUNDS))
            ]
            curve.lines[CONFIG].append((size, median(found)))
    return curve


async def _touch(steady: Steady, system: System) -> None:
    steady.node.rpm_ostree.commit(system)


async def _write(steady: Steady, size: int, key: str) -> None:
    steady.scene.write_config(rendered(KernelType.DEFAULT, steady.scene, size * MEGABYTE, key))


async def _cost(steady: Steady, act: Callable[[], Awaitable[None]]) -> float:
    """Milliseconds of the agent's CPU until it is idle again, which is: none for a while."""
    before = last = processor_of(steady.pid)
    await act()
    quiet = 0
    while quiet < 15:
        await asyncio.sleep(_LOOK)
        now = processor_of(steady.pid)
        quiet = quiet + 1 if now == last else 0
        last = now
    return (last - before) * 1000


if __name__ == "__main__":
    tell((), asyncio.run(measure(effort())))
