"""Deliberate breakages: for each promise a mistake that the invariants here must notice."""

import asyncio
import multiprocessing
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.reliability import mutations
from tests.reliability.beginning import published
from tests.reliability.cuts import Survey, list_effects, survey, try_points
from tests.reliability.points import Point, Seen, Way, enumerate_points
from tests.reliability.samename import join_by_name
from tests.reliability.scenarios import SCENARIOS, Scenario, Trouble
from tests.reliability.sweep import be_quiet
from tests.reliability.tally import Row, Tally

_TWIN = Scenario("another client's twin", trouble=Trouble.TWIN, settings="\n[rpm_ostree]\ntransaction_timeout = 1.0\n")
_FEW = 4
"""Points at which the whole product is tried here; the sweep tries all."""


@dataclass(frozen=True, slots=True)
class Breakage:
    """A mistake, where it must be noticed, and words of the invariant that notices it."""

    mistake: Callable[[], None]
    scenario: Scenario
    way: Way
    noticed: str

    @property
    def name(self) -> str:
        """As people say it."""
        return self.mistake.__name__.replace("_", " ")


def _named(name: str) -> Scenario:
    [found] = [scenario for scenario in SCENARIOS if scenario.name == name]
    return found


BREAKAGES = (
    Breakage(mutations.skip_fsync, _named("install"), Way.POWER_TORN, "settled in blocked"),
    Breakage(mutations.skip_fsync_of_directory, _named("install"), Way.POWER_AFTER, "are in the record"),
    Breakage(mutations.name_temporary_files_anew, _named("install"), Way.STOP, "left behind"),
    Breakage(mutations.count_after_asking, _named("install"), Way.STOP, "are in the record"),
    Breakage(mutations.forget_brake, _named("never finalized"), Way.STOP, "settled in"),
    Breakage(mutations.believe_the_boot, _named("never finalized"), Way.STOP, "settled in"),
    Breakage(mutations.forget_lock, _named("install"), Way.STOP, "is not locked"),
    Breakage(mutations.drop_read_back, _named("less staged than planned"), Way.STOP, "neither the original nor"),
    Breakage(mutations.reboot_when_unknown, _named("logind does not say who inhibits"), Way.STOP, "settled in steady"),
    Breakage(mutations.join_foreign_transactions, _TWIN, Way.STOP, "another client's"),
    Breakage(mutations.trust_the_cache, _named("fetch again: cache damaged"), Way.STOP, "settled in"),
    Breakage(mutations.keep_descriptors, _named("install"), Way.STOP, "descriptors more"),
    Breakage(mutations.take_unreadable_for_default, _named("config becomes unreadable"), Way.STOP, "settled in steady"),
    Breakage(mutations.fight_rollbacks, _named("rolled back from"), Way.STOP, "settled in steady"),
    Breakage(mutations.skip_the_drain, _named("install on a node that is drained first"), Way.STOP, "was not drained"),
    Breakage(
        mutations.reboot_without_a_slot, _named("install with a slot of a lock server"), Way.STOP, "without a slot"
    ),
    Breakage(
        mutations.give_slot_back_unseen, _named("install with a slot of a lock server"), Way.STOP, "before the boot was"
    ),
    Breakage(mutations.ask_others_before_counting, _named("others are asked to reboot"), Way.STOP, "not in the record"),
    Breakage(
        mutations.take_staged_for_ours, _named("refusal: staged and locked by another"), Way.STOP, "settled in steady"
    ),
)
_QUICK = 2


def run(quick: bool, seed: int) -> Tally:
    """Make each mistake (with ``quick`` some, chosen by ``seed``) in a process of its own; all must be noticed."""
    chosen = random.Random(seed).sample(BREAKAGES, _QUICK) if quick else BREAKAGES
    published()
    with multiprocessing.get_context("fork").Pool(os.cpu_count(), be_quiet, maxtasksperchild=1) as pool:
        told = pool.map(_try, chosen, chunksize=1)
        told.append(pool.apply(join_by_name, (mutations.forget_digest,)))
    names = [*(one.name for one in chosen), "forget digest"]
    rows = tuple(Row(f"breakage: {name}", effects, 1) for name, (effects, _) in zip(names, told, strict=True))
    return Tally("breakages", len(rows), tuple(what for _, found in told for what in found), rows)


def _try(breakage: Breakage) -> tuple[int, list[str]]:
    """How many effects there are, and what is wrong with the proof: the whole product is noticed, or the broken not."""
    surveyed = asyncio.run(survey(breakage.scenario))
    points = _points(surveyed.seen, breakage)
    wrong = [f"breakage {breakage.name}: without it: {what}" for what in _noticed(surveyed, _few(points), breakage)]
    try:
        breakage.mistake()
    except Exception as error:  # noqa: BLE001 - whatever it is, the code has moved on
        return len(surveyed.seen), [*wrong, f"breakage {breakage.name}: the mistake cannot be made any more: {error!r}"]
    points = _points(asyncio.run(list_effects(breakage.scenario)), breakage)
    if not _noticed(surveyed, points, breakage):
        wrong.append(f"breakage {breakage.name}: not noticed at {len(points)} points of {breakage.scenario.name}")
    return len(surveyed.seen), wrong


def _points(seen: tuple[Seen, ...], breakage: Breakage) -> list[Point]:
    return [point for point in enumerate_points(seen) if point.way is breakage.way]


def _noticed(surveyed: Survey, points: Sequence[Point], breakage: Breakage) -> list[str]:
    broken = asyncio.run(try_points(surveyed, points, until=breakage.noticed, fold=False)).broken
    return [what for what in broken if breakage.noticed in what]


def _few(points: list[Point]) -> list[Point]:
    return points[:: max(1, len(points) // _FEW)]
