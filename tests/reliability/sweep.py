"""Every point of every scenario, on all processors."""

import asyncio
import logging
import multiprocessing
import os
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import islice

from tests.reliability.cuts import Survey, survey, try_points
from tests.reliability.points import Point, enumerate_points
from tests.reliability.scenarios import SCENARIOS, Scenario
from tests.reliability.tally import Row, Tally

_CHUNK = 30
"""Points for one worker at a time: small enough that all end together, large beside the 0.2 s a bench takes."""

_QUICK_SHARE, _QUICK_MOST = 60, 4


def run(quick: bool, seed: int) -> Tally:
    """Try all points, or with ``quick`` a sample of each scenario's that ``seed`` chooses."""
    with worker_pool() as pool:
        surveys = list(pool.map(_survey, SCENARIOS))
        points = [enumerate_points(surveyed.seen) for surveyed in surveys]
        if quick:
            points = [_sample(some, random.Random(f"{seed} {index}")) for index, some in enumerate(points)]
        jobs = [(one, chunk) for one, some in zip(surveys, points, strict=True) for chunk in _chunks(some)]
        broken = [what for found in pool.map(_try, jobs) for what in found]
    rows = tuple(Row(one.scenario.name, len(one.seen), len(some)) for one, some in zip(surveys, points, strict=True))
    return Tally("cut points", sum(row.tried for row in rows), tuple(broken), rows)


def worker_pool() -> ProcessPoolExecutor:
    """Workers forked from this interpreter, with everything imported: one a processor."""
    context = multiprocessing.get_context("fork")
    return ProcessPoolExecutor(os.cpu_count(), mp_context=context, initializer=be_quiet)


def be_quiet() -> None:
    """What the agent says of failures that are made here would be thousands of lines."""
    logging.disable(logging.CRITICAL)


def _survey(scenario: Scenario) -> Survey:
    return asyncio.run(survey(scenario))


def _try(job: tuple[Survey, tuple[Point, ...]]) -> list[str]:
    surveyed, points = job
    return asyncio.run(try_points(surveyed, points))


def _sample(points: Sequence[Point], chance: random.Random) -> tuple[Point, ...]:
    ways = defaultdict(list)
    for point in points:
        ways[point.way].append(point)
    chosen = [chance.sample(some, max(1, len(some) // _QUICK_SHARE)) for some in ways.values()]
    flat = [point for some in chosen for point in some]
    return tuple(chance.sample(flat, min(len(flat), _QUICK_MOST)))


def _chunks(points: Sequence[Point]) -> Iterator[tuple[Point, ...]]:
    rest = iter(points)
    while chunk := tuple(islice(rest, _CHUNK)):
        yield chunk
