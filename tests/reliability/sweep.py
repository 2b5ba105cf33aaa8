"""Every point of every scenario, on all processors."""

import asyncio
import gc
import logging
import multiprocessing
import os
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import islice

from tests.reliability.beginning import published
from tests.reliability.cuts import Survey, Tried, survey, try_points
from tests.reliability.points import Point, enumerate_points, sameness
from tests.reliability.scenarios import SCENARIOS, Scenario
from tests.reliability.tally import Row, Tally

_CHUNK = 100
"""Points for one worker at a time: small enough that all end together, large beside what a bench takes."""

_QUICK_SHARE, _QUICK_MOST = 60, 4

Points = tuple[Point, ...]


def run(quick: bool, seed: int) -> Tally:
    """Try all points, or with ``quick`` a sample of each scenario's that ``seed`` chooses.

    Of points that are the same in several scenarios the first is tried.
    """
    with worker_pool() as pool:
        if quick:
            tried = [pool.submit(_sample_one, one, f"{seed} {number}") for number, one in enumerate(SCENARIOS)]
            results = [future.result() for future in tried]
        else:
            results = _try_all(pool, list(pool.map(_survey, SCENARIOS)))
    rows = tuple(row for row, _broken in results)
    return Tally(
        "cut points", sum(row.tried for row in rows), tuple(what for _, some in results for what in some), rows
    )


def _try_all(pool: ProcessPoolExecutor, surveys: Sequence[Survey]) -> list[tuple[Row, list[str]]]:
    """Rows in order of the scenarios; a line is printed as soon as one is done."""
    began = time.monotonic()
    points = distinct([(one, enumerate_points(one.seen)) for one in surveys])
    jobs = {
        pool.submit(_try, (one, chunk)): number
        for number, (one, some) in enumerate(zip(surveys, points, strict=True))
        for chunk in _chunks(some)
    }
    left, found = Counter(jobs.values()), defaultdict[int, list[Tried]](list)
    for future in as_completed(jobs):
        number = jobs[future]
        found[number].append(future.result())
        left[number] -= 1
        if not left[number]:
            done = sum(not count for count in left.values())
            _say(surveys[number], found[number], f"{done}/{len(left)}, {time.monotonic() - began:.0f} s")
    return [_row(one, points[number], found[number]) for number, one in enumerate(surveys)]


def distinct(scenarios: Sequence[tuple[Survey, Points]]) -> list[Points]:
    """The points of each scenario that no earlier one has."""
    met: set[tuple[object, ...]] = set()
    kept = []
    for surveyed, points in scenarios:
        keys = [sameness(point, surveyed.boots) for point in points]
        kept.append(tuple(point for point, key in zip(points, keys, strict=True) if key not in met))
        met.update(keys)
    return kept


def _row(surveyed: Survey, points: Points, tried: Sequence[Tried]) -> tuple[Row, list[str]]:
    same = len(enumerate_points(surveyed.seen)) - len(points)
    row = Row(surveyed.scenario.name, len(surveyed.seen), len(points), same, sum(one.known for one in tried))
    return row, [what for one in tried for what in one.broken]


def _say(surveyed: Survey, tried: Sequence[Tried], progress: str) -> None:
    broken = [what for one in tried for what in one.broken]
    print(
        f"sweep: {surveyed.scenario.name}: {len(broken)} violations ({progress})", *broken[:3], sep="\n  ", flush=True
    )


def worker_pool() -> ProcessPoolExecutor:
    """Workers forked from this interpreter, with everything imported: one a processor."""
    published()  # once, not in each of them
    context = multiprocessing.get_context("fork")
    return ProcessPoolExecutor(os.cpu_count(), mp_context=context, initializer=be_quiet)


def be_quiet() -> None:
    """What the agent says of failures that are made here would be thousands of lines."""
    logging.disable(logging.CRITICAL)
    gc.freeze()  # what is imported is never garbage


def _survey(scenario: Scenario) -> Survey:
    return asyncio.run(survey(scenario))


def _try(job: tuple[Survey, Points]) -> Tried:
    surveyed, points = job
    return asyncio.run(try_points(surveyed, points))


def _sample_one(scenario: Scenario, seed: str) -> tuple[Row, list[str]]:
    surveyed = _survey(scenario)
    points = _sample(enumerate_points(surveyed.seen), random.Random(seed))
    broken = asyncio.run(try_points(surveyed, points, fold=False)).broken
    return Row(scenario.name, len(surveyed.seen), len(points)), list(broken)


def _sample(points: Sequence[Point], chance: random.Random) -> Points:
    ways = defaultdict(list)
    for point in points:
        ways[point.way].append(point)
    chosen = [chance.sample(some, max(1, len(some) // _QUICK_SHARE)) for some in ways.values()]
    flat = [point for some in chosen for point in some]
    return tuple(chance.sample(flat, min(len(flat), _QUICK_MOST)))


def _chunks(points: Sequence[Point]) -> Iterator[Points]:
    rest = iter(points)
    while chunk := tuple(islice(rest, _CHUNK)):
        yield chunk
