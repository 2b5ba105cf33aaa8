"""Faults from outside: every kind of the table, or a sample, on all processors."""

import random

from tests.integration import stories
from tests.reliability.faults_kinds import try_kind
from tests.reliability.faults_table import KINDS
from tests.reliability.sweep import worker_pool
from tests.reliability.tally import Row, Tally

_QUICK_SHARE = 5


def run_faults(quick: bool, seed: int) -> Tally:
    """Try all kinds, or with ``quick`` every fifth, from one that ``seed`` chooses."""
    first = random.Random(seed).randrange(_QUICK_SHARE) if quick else 0
    chosen = range(first, len(KINDS), _QUICK_SHARE if quick else 1)
    stories._fetched()  # once, not in each of the forked workers
    with worker_pool() as pool:
        broken = tuple(what for found in pool.map(_try, chosen) for what in found)
    return Tally("faults", len(chosen), broken, tuple(Row(f"fault: {KINDS[at].name}", 0, 1) for at in chosen))


def _try(at: int) -> list[str]:
    """By its place in the table: levers are functions in functions, which do not go through a pipe."""
    return try_kind(KINDS[at])
