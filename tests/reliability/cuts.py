"""One scenario, surveyed once and then interrupted at one point after another."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mcd_rt.errors import AgentError, Code
from mcd_rt.sim.world import System
from tests.effects_double import EffectsDouble, Killed
from tests.reliability.beginning import open_bench
from tests.reliability.bench import Bench
from tests.reliability.disk import Cut
from tests.reliability.invariants import Promise, broken_at_an_instant, broken_by_leaks, broken_in_the_end, held
from tests.reliability.points import Boot, Point, Seen, Way, boot_of, within
from tests.reliability.sameness import digest
from tests.reliability.scenarios import Scenario
from tests.reliability.states import End, Finish, Start, World, bare
from tests.reliability.tails import Tails
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
    """What a scenario does when nobody interrupts it, and the boots it has."""

    scenario: Scenario
    seen: tuple[Seen, ...]
    promise: Promise
    boots: tuple[Boot, ...] = ()


@dataclass(frozen=True, slots=True)
class Tried:
    """The promises that are broken, each with the way to try it again, and how many ends were known already."""

    broken: tuple[str, ...]
    known: int = 0


@dataclass(frozen=True, slots=True)
class _Undisturbed:
    seen: tuple[Seen, ...]
    end: End
    booted: frozenset[tuple[object, str]]
    boots: tuple[Boot, ...]
    starts: tuple[Start, ...]


async def survey(scenario: Scenario) -> Survey:
    """Run it undisturbed, with what a power cut can take from the beginning, and with every wish kept to."""
    async with open_bench(scenario) as (bench, start):
        run = await _run_watched(bench, start, scenario)
        booted = set(run.booted)
        assert run.end.state is scenario.ends, f"{scenario.name} ends in {run.end}"
        ends, after_cut = [(bench.wished, run.end)], []
        for wish in {scenario.wish, *(flip.wish for flip in scenario.flips)}:
            for system, kept in ((start.system, ends), (_without_staged(start.system), after_cut)):
                if (system, wish, scenario.flips) == (start.system, start.wish, ()):
                    kept.append((wish, run.end))  # that was it
                    continue
                await bench.put_back(replace(start, system=system), replace(scenario, flips=()))
                bench.wish(wish)
                kept.append((wish, (await bench.settle(EffectsDouble(_watching(bench, booted)))).end))
        originals = {(bare(one.tree), one.kernel_arguments) for one in start.system.deployments}
        promise = Promise(tuple(ends), tuple(after_cut), frozenset(originals | booted), run.end.reboots, scenario.locks)
        judged = (
            ends,
            after_cut,
            sorted(map(repr, promise.bootable)),
            start.system.deployments,
            start.reboots,
            promise.locks,
        )
        boots = (
            replace(boot, world=digest((boot.world, at.passed, judged), bench.places))
            for boot, at in zip(run.boots, run.starts, strict=True)
        )
        return Survey(scenario, run.seen, promise, tuple(boots))


async def list_effects(scenario: Scenario) -> tuple[Seen, ...]:
    """The effects of one undisturbed run, whatever it ends in."""
    async with open_bench(scenario) as (bench, start):
        return (await _run_watched(bench, start, scenario)).seen


async def try_points(surveyed: Survey, points: Sequence[Point], until: str = "", *, fold: bool = True) -> Tried:
    """Try each of the points; the first of which is told with the words of ``until`` ends it.

    With ``fold`` nothing is done twice: a point in a later boot begins with that boot, and what follows a boot that
    was seen before is known.
    """
    broken: list[str] = []
    tails = Tails()
    async with open_bench(surveyed.scenario) as (bench, start):
        starts = (await _run_watched(bench, start, surveyed.scenario)).starts if fold else (start,)
        trial = _Trial(bench, surveyed, start, tails, fold=fold)
        for point in points:
            found = await trial.run(point, starts)
            broken += [f"{surveyed.scenario.name}: {point}: {what}" for what in found]
            if until and any(until in what for what in found):
                break
    return Tried(tuple(broken), tails.folded)


class _Trial:
    """One point after another on one bench."""

    def __init__(self, bench: Bench, surveyed: Survey, start: Start, tails: Tails, *, fold: bool) -> None:
        self._bench, self._surveyed, self._start = bench, surveyed, start
        self._tails, self._fold = tails, fold

    async def run(self, point: Point, starts: Sequence[Start]) -> list[str]:
        """The promises that are broken at a point; ``starts`` are the boots that it may begin with."""
        bench, tails, promise = self._bench, self._tails, self._surveyed.promise
        nth = boot_of(point, self._surveyed.boots) if self._fold and len(starts) == len(self._surveyed.boots) else 0
        boot = self._surveyed.boots[nth] if nth else Boot("")
        await bench.put_back(starts[nth], self._surveyed.scenario, afresh=not nth)
        before = held()
        tails.begin()
        bench.on_change = lambda: tails.look(bench.instant)
        broken: list[str] = []
        try:
            async with asyncio.timeout(PATIENCE):
                finish = await self._interrupted(within(point, boot))
            tails.look(bench.instant)
            broken += broken_in_the_end(finish, self._start, promise, power_cut=point.way in _POWER)
            if finish.end.state is not None and not finish.problems:
                tails.end(finish)
        except TimeoutError:
            broken.append(f"no end after {PATIENCE:g} s")
        except AgentError as error:
            broken.append(f"the agent could not start: {error.failure}")
        finally:
            bench.on_change = lambda: None
        instants = (broken_at_an_instant(one, self._start, promise) for one in tails.instants)
        return [what for some in instants for what in some] + broken + await broken_by_leaks(before)

    async def _interrupted(self, point: Point) -> Finish:
        bench = self._bench
        watched = bench.effects()
        double = EffectsDouble(watched)
        _prepare(double, watched, point)
        try:
            return await bench.settle(double, lambda: self._recall(_is_over(point, double)))
        except Killed:
            await after_death(bench, watched, point)
        return await bench.settle(EffectsDouble(bench.effects()), lambda: self._recall(over=True))

    def _recall(self, over: bool) -> Finish | None:
        return self._tails.recall(self._bench) if self._fold and over else None


def _is_over(point: Point, double: EffectsDouble) -> bool:
    """Whether an interruption that the agent outlives lies behind it."""
    return point.way in (Way.FAIL, Way.ANSWER_LOST) and len(double.attempted) >= point.nth


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


async def _run_watched(bench: Bench, start: Start, scenario: Scenario) -> _Undisturbed:
    booted: set[tuple[object, str]] = set()
    boots: list[Boot] = []
    starts: list[Start] = []
    worlds: list[World] = []
    await bench.put_back(start, scenario)
    double = EffectsDouble(_watching(bench, booted), on_attempt=lambda _effect: worlds.append(bench.look()))

    def at_boot() -> None:
        boots.append(Boot(bench.digest(), len(double.attempted), bench.calls))
        starts.append(bench.take())

    finish = await bench.settle(double, at_boot)
    seen = tuple(Seen(effect, world) for effect, world in zip(double.attempted, worlds, strict=True))
    bench.on_change = lambda: None
    return _Undisturbed(seen, finish.end, frozenset(booted), tuple(boots), tuple(starts))


def _watching(bench: Bench, booted: set[tuple[object, str]]) -> WatchedEffects:
    def look() -> None:
        bootable = [one for one in bench.node.deployments if one.booted or (one.staged and not one.locked)]
        booted.update((bare(one.tree), one.kernel_arguments) for one in bootable)

    bench.on_change = look
    return bench.effects()


def _without_staged(system: System) -> System:
    return replace(system, deployments=tuple(one for one in system.deployments if not one.staged))
