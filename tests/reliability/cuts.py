"""One scenario, surveyed once and then interrupted at one point after another."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mcd_rt.errors import AgentError, Code
from mcd_rt.sim.world import System
from tests.effects_double import EffectsDouble, Killed
from tests.reliability.beginning import open_bench
from tests.reliability.bench import Bench, End, Start, World, bare
from tests.reliability.disk import Cut
from tests.reliability.invariants import Promise, broken_at_an_instant, broken_by_leaks, broken_in_the_end, held
from tests.reliability.points import Point, Seen, Way
from tests.reliability.scenarios import Scenario
from tests.reliability.watched import WatchedEffects

PATIENCE = 20.0
"""Seconds for one interrupted run, which takes a tenth of one."""

_POWER = {
    Way.POWER_LOST: Cut.LOST,
    Way.POWER_TORN: Cut.TORN,
    Way.POWER_INSIDE: Cut.TORN,
    Way.POWER_AFTER: Cut.LOST,
}


@dataclass(frozen=True, slots=True)
class Survey:
    """What a scenario does when nobody interrupts it."""

    scenario: Scenario
    seen: tuple[Seen, ...]
    promise: Promise


async def survey(scenario: Scenario) -> Survey:
    """Run it undisturbed, with what a power cut can take from the beginning, and with every wish kept to."""
    async with open_bench(scenario) as (bench, start):
        seen, end, booted = await _run_watched(bench, start, scenario)
        assert end.state is scenario.ends, f"{scenario.name} ends in {end}"
        ends, after_cut = [(bench.wished, end)], []
        for wish in {scenario.wish, *(flip.wish for flip in scenario.flips)}:
            for system, kept in ((start.system, ends), (_without_staged(start.system), after_cut)):
                await bench.put_back(replace(start, system=system), replace(scenario, flips=()))
                bench.wish(wish)
                kept.append((wish, await bench.settle(EffectsDouble(_watching(bench, booted)))))
        originals = {(bare(one.tree), one.kernel_arguments) for one in start.system.deployments}
        promise = Promise(tuple(ends), tuple(after_cut), frozenset(originals | booted), end.reboots, scenario.locks)
        return Survey(scenario, seen, promise)


async def list_effects(scenario: Scenario) -> tuple[Seen, ...]:
    """The effects of one undisturbed run, whatever it ends in."""
    async with open_bench(scenario) as (bench, start):
        seen, _end, _booted = await _run_watched(bench, start, scenario)
        return seen


async def try_points(surveyed: Survey, points: Sequence[Point], until: str = "") -> list[str]:
    """Every promise that is broken at one of the points, with the way to try it again.

    The first that has the words of ``until`` in it ends it.
    """
    broken = []
    async with open_bench(surveyed.scenario) as (bench, start):
        for point in points:
            found = await _try_point(bench, start, surveyed, point)
            broken += [f"{surveyed.scenario.name}: {point}: {what}" for what in found]
            if until and any(until in what for what in found):
                break
    return broken


async def _try_point(bench: Bench, start: Start, surveyed: Survey, point: Point) -> list[str]:
    broken: list[str] = []
    checked: list[System] = []

    def look() -> None:
        system = bench.node.rpm_ostree.system
        if not checked or checked[-1] is not system:
            checked.append(system)
            broken.extend(broken_at_an_instant(bench, start, surveyed.promise))

    await bench.put_back(start, surveyed.scenario)
    before = held()
    bench.on_change = look
    try:
        async with asyncio.timeout(PATIENCE):
            end = await _interrupted(bench, point)
            look()
        power_cut = point.way in _POWER
        broken += await broken_in_the_end(bench, start, surveyed.promise, end, power_cut=power_cut)
    except TimeoutError:
        broken.append(f"no end after {PATIENCE:g} s")
    except AgentError as error:
        broken.append(f"the agent could not start: {error.failure}")
    finally:
        bench.on_change = lambda: None
    return broken + await broken_by_leaks(before)


async def _interrupted(bench: Bench, point: Point) -> End:
    watched = bench.effects()
    double = EffectsDouble(watched)
    _prepare(double, watched, point)
    try:
        return await bench.settle(double)
    except Killed:
        await after_death(bench, watched, point)
    return await bench.settle(EffectsDouble(bench.effects()))


def _prepare(double: EffectsDouble, watched: WatchedEffects, point: Point) -> None:
    error = OSError(point.error, os.strerror(point.error))
    unanswered = AgentError(Code.RPM_OSTREE_TIMEOUT, f"{point.effect.subject}: no answer", "a fault of the test")
    match point.way:
        case Way.STOP | Way.POWER_LOST | Way.POWER_TORN:
            double.kill(point.nth)
        case Way.FAIL:
            double.fail_any(point.nth, error if point.error else unanswered)
        case Way.FAIL_ALL:
            double.fail_all(point.effect, error)
        case Way.ANSWER_LOST:
            double.lose_answer(point.nth, unanswered)
        case Way.POWER_AFTER:
            double.lose_answer(point.nth, Killed(f"killed after {point.effect}"))
        case Way.INSIDE | Way.POWER_INSIDE:
            watched.dies_in = (point.call, point.step)


async def after_death(bench: Bench, watched: WatchedEffects, point: Point) -> None:
    """What follows for the node: nothing, the shutdown that was asked for, or the power cut of the point."""
    cut = _POWER.get(point.way)
    if cut is not None:
        bench.disk.lose_power(cut)
        await bench.reboot(orderly=False)
        return
    if watched.held is not None:
        watched.held.release.set()
    if bench.going_down:
        await bench.reboot()


async def _run_watched(
    bench: Bench, start: Start, scenario: Scenario
) -> tuple[tuple[Seen, ...], End, set[tuple[object, str]]]:
    booted: set[tuple[object, str]] = set()
    await bench.put_back(start, scenario)
    watched = _watching(bench, booted)
    worlds: list[World] = []
    double = EffectsDouble(watched, on_attempt=lambda _effect: worlds.append(bench.look()))
    end = await bench.settle(double)
    seen = tuple(Seen(effect, world) for effect, world in zip(double.attempted, worlds, strict=True))
    bench.on_change = lambda: None
    return seen, end, booted


def _watching(bench: Bench, booted: set[tuple[object, str]]) -> WatchedEffects:
    def look() -> None:
        bootable = [one for one in bench.node.deployments if one.booted or (one.staged and not one.locked)]
        booted.update((bare(one.tree), one.kernel_arguments) for one in bootable)

    bench.on_change = look
    return bench.effects()


def _without_staged(system: System) -> System:
    return replace(system, deployments=tuple(one for one in system.deployments if not one.staged))
