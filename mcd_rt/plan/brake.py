"""The brake: no reboot loop (promise 6)."""

from dataclasses import replace

from mcd_rt.errors import Code, Failure
from mcd_rt.model.plan import Held, Target
from mcd_rt.model.record import Record, Tries
from mcd_rt.model.settings import RebootSettings

DAY = 24 * 3600.0

_TURNED_AWAY = Failure(Code.ROLLED_BACK, "another deployment was booted instead of the target", "`mcd-rt retry`")


def judge_brake(record: Record, target: Target, settings: RebootSettings, now: float) -> Held | None:
    """Whether another reboot into a target must not be tried; ``now`` is seconds since the epoch."""
    if record.given_up == target.identity:
        return Held(record.failure or _TURNED_AWAY, None)
    tried = tries_of(record, target)
    if tried >= settings.attempts_per_target:
        last = f"; last: {record.failure.code}: {record.failure.message}" if record.failure else ""
        reason = Failure(
            Code.TARGET_HELD,
            f"given up after {tried} reboots into {target.kernel_type} that did not come up{last}",
            "find the cause, then `mcd-rt retry`",
        )
        return Held(reason, None)
    recent = _recent(record, now)
    if len(recent) >= settings.per_day:
        reason = Failure(
            Code.REBOOT_BUDGET_SPENT,
            f"{len(recent)} reboots in 24 hours, the budget (reboot.per_day) is {settings.per_day}",
            "the node stays up; `mcd-rt retry` allows more at once",
        )
        return Held(reason, recent[-settings.per_day] + DAY)
    return None


def see_clock(record: Record, now: float) -> Record:
    """The record with reboots that lie in the future dated now: the clock was set back, and they were before.

    To be remembered: dated anew at each look, they would never be older than a day.
    """
    if all(at <= now for at in record.reboots):
        return record
    return replace(record, reboots=tuple(min(at, now) for at in record.reboots))


def tries_of(record: Record, target: Target) -> int:
    """How many reboots into a target were asked for since it last came up."""
    return next((tries.count for tries in record.tries if tries.target == target.identity), 0)


def count_reboot(record: Record, target: Target, now: float) -> Record:
    """The record with one more reboot into a target; to be written before it is asked for."""
    others = tuple(tries for tries in record.tries if tries.target != target.identity)
    tries = (*others, Tries(target.identity, tries_of(record, target) + 1))
    return replace(record, tries=tries, reboots=(*_recent(record, now), now))


def uncount_reboot(record: Record, target: Target) -> Record:
    """The record with one reboot into a target less: it was asked of somebody who was told in time not to do it."""
    others = tuple(tries for tries in record.tries if tries.target != target.identity)
    left = tries_of(record, target) - 1
    tries = (*others, Tries(target.identity, left)) if left > 0 else others
    return replace(record, tries=tries, reboots=record.reboots[:-1])


def see_running(record: Record, target: Target) -> Record:
    """The record once a target is seen running, whoever booted it: what was said of it is over.

    What was said of a target that was given up, and is another one, stays. Going back from another one that had come
    up was as it is wanted.
    """
    if record.verified is not None and record.verified.target.identity != target.identity:
        record = _forget_ways_back(record)
    if record.given_up not in ("", target.identity):
        return record
    tries = tuple(tries for tries in record.tries if tries.target != target.identity)
    return replace(record, tries=tries, failure=None, given_up="")


def release_brake(record: Record) -> Record:
    """The record after a person said ``retry``."""
    return replace(_forget_ways_back(record), tries=(), reboots=(), failure=None, given_up="")


def _forget_ways_back(record: Record) -> Record:
    """Whoever went back from what had come up did so before: it is none to be seen any more."""
    return record if record.verified is None else replace(record, verified=replace(record.verified, beside=()))


def _recent(record: Record, now: float) -> tuple[float, ...]:
    """Reboots of the last day, oldest first whatever wrote them; one from the future counts as just now."""
    return tuple(sorted(at for at in see_clock(record, now).reboots if now - at < DAY))
