"""The places at which a scenario is interrupted, and the ways: enumerated from its uninterrupted run."""

import errno
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

from mcd_rt.sim.faults import ANY, END
from tests.effects_double import Effect
from tests.reliability.states import World

ERRORS = (errno.ENOSPC, errno.EIO, errno.EROFS)


class Way(Enum):
    """What happens at a point."""

    STOP = "stopped before"
    """The agent dies before the effect, which is after the one before; the next one starts in the same boot."""
    POWER_LOST = "power cut before, what was not synced lost"
    POWER_TORN = "power cut before, what was not synced cut short"
    FAIL = "failed"
    """The effect raises: an ``OSError``, or the error of a bus that does not answer."""
    FAIL_ALL = "failed each time"
    """As FAIL, for this effect wherever it comes again: files that only tell what is done."""
    ANSWER_LOST = "done, its answer lost"
    INSIDE = "stopped inside"
    """The agent dies while its transaction is at ``step``; the transaction goes on."""
    POWER_INSIDE = "power cut inside"
    POWER_AFTER = "power cut after, before anything else"
    """For a bus call, after which a process may have nothing more to do."""


@dataclass(frozen=True, slots=True)
class Point:
    """The ``nth`` effect (from 1; ``effect`` as it was in the uninterrupted run) and the way it is interrupted.

    ``error`` is an errno; ``call`` the number of the bus call (from 1) and ``step`` the step of its transaction.
    """

    nth: int
    effect: Effect
    way: Way
    error: int = 0
    call: int = 0
    step: str = ""

    def __str__(self) -> str:
        """For a report: enough to try it again."""
        where = f" (at {self.step or 'its begin'})" if self.call else ""
        error = f" with {errno.errorcode[self.error]}" if self.error else ""
        return f"effect {self.nth} ({self.effect.kind} {self.effect.subject}) {self.way.value}{error}{where}"


@dataclass(frozen=True, slots=True)
class Seen:
    """One effect of the uninterrupted run, and what the world was just before it."""

    effect: Effect
    world: World


@dataclass(frozen=True, slots=True)
class Boot:
    """One boot of an uninterrupted run: the digest of the world it begins in, and what was done before it."""

    world: str
    effects: int = 0
    calls: int = 0


def boot_of(point: Point, boots: Sequence[Boot]) -> int:
    """The number (from 0) of the boot in which a point is; the first for what fails wherever it comes."""
    if point.way is Way.FAIL_ALL:
        return 0
    return max((number for number, boot in enumerate(boots) if boot.effects < point.nth), default=0)


def within(point: Point, boot: Boot) -> Point:
    """The point, counted from the beginning of its boot."""
    call = point.call - boot.calls if point.call else 0
    return replace(point, nth=point.nth - boot.effects, call=call)


def sameness(point: Point, boots: Sequence[Boot]) -> tuple[object, ...]:
    """Equal for points, of whatever scenario, after which the same happens: in the same world, by the same step."""
    boot = boots[boot_of(point, boots)]
    here = within(point, boot)
    subject = point.effect.subject.rpartition("/root/")[2]  # not where the node lies
    return boot.world, here.nth, point.effect.kind, subject, here.way, here.error, here.call, here.step


def enumerate_points(seen: tuple[Seen, ...]) -> tuple[Point, ...]:
    """Every point of a scenario.

    Of points that leave the same world, the first: the next agent could not tell them apart.
    """
    return tuple(_stops(seen) + _power_cuts(seen) + _failures(seen) + _inside_calls(seen))


def _stops(seen: tuple[Seen, ...]) -> list[Point]:
    found: dict[int, Point] = {}
    for nth, one in enumerate(seen, 1):
        found.setdefault(one.world.now, Point(nth, one.effect, Way.STOP))
    return list(found.values())


def _power_cuts(seen: tuple[Seen, ...]) -> list[Point]:
    found: dict[int, Point] = {}
    for nth, one in enumerate(seen, 1):
        found.setdefault(one.world.lost, Point(nth, one.effect, Way.POWER_LOST))
        found.setdefault(one.world.torn, Point(nth, one.effect, Way.POWER_TORN))
    return list(found.values())


def _failures(seen: tuple[Seen, ...]) -> list[Point]:
    """Every effect fails once; those of the record and of the disk's names with each error.

    The status fails each time it is written, but for its directory: that is made for the lock as well, without which
    an agent does not begin, so it fails once in each state of what survives a boot.
    """
    found: dict[object, list[Point]] = {}
    for nth, one in enumerate(seen, 1):
        effect = one.effect
        some = [Point(nth, effect, Way.FAIL, error) for error in ERRORS]
        if effect.kind == "mutate":
            found[nth] = [Point(nth, effect, Way.FAIL), Point(nth, effect, Way.ANSWER_LOST)]
        elif effect.kind == "spawn":
            found[nth] = [Point(nth, effect, Way.FAIL, errno.ENOMEM)]
        elif "/run/mcd-rt" not in effect.subject:
            found[nth] = some if "/lib/mcd-rt" in effect.subject else [some[nth % len(some)]]
        elif effect.kind == "make_directory":
            found.setdefault(one.world.torn, [some[nth % len(some)]])
        else:
            found.setdefault(effect, [Point(nth, effect, Way.FAIL_ALL, error) for error in ERRORS])
    return [point for points in found.values() for point in points]


def _inside_calls(seen: tuple[Seen, ...]) -> list[Point]:
    calls = [(nth, one.effect) for nth, one in enumerate(seen, 1) if one.effect.kind == "mutate"]
    after = [Point(nth, effect, Way.POWER_AFTER) for nth, effect in calls]
    return after + [
        Point(nth, effect, way, call=call, step=step)
        for call, (nth, effect) in enumerate(calls, 1)
        for way in (Way.INSIDE, Way.POWER_INSIDE)
        for step in (ANY, END)
    ]
