"""``fleet-lock``: when a lock server has a slot for this node, which keeps it until its new kernel was seen to run."""

from typing import assert_never

from mcd_rt.errors import Code
from mcd_rt.model.awaiting import Awaiting, Gate
from mcd_rt.model.record import Phase, Record
from mcd_rt.reboot.situation import LockDenied, LockGranted, LockUnknown, RebootSituation
from mcd_rt.reboot.splay import spread
from mcd_rt.reboot.verdict import Go, TakeLock, Verdict, Wait


def decide_fleet_lock(situation: RebootSituation) -> Verdict:
    """Go with the lock; without it ask, and after a no ask again at intervals that differ from node to node."""
    settings = situation.settings.fleet_lock
    match situation.lock:
        case LockGranted():
            return Go(f"the lock of {settings.url} is ours")
        case LockDenied(at, failure) if not situation.asked and situation.now < (again := next_try(situation, at)):
            what = f"waits for the lock of {settings.url} (group {settings.group})"
            if failure.code is Code.LOCK_REFUSED:  # others have it: nothing is wrong with that
                return Wait(f"{what}: {failure.message}", again, None, Awaiting(Gate.LOCK, settings.url, failure))
            return Wait(what, again, failure, Awaiting(Gate.LOCK, settings.url))
        case LockDenied() | LockUnknown():
            begin = spread(situation, situation.staged_at, f"reboot.strategy is {situation.settings.strategy}")
            return TakeLock() if isinstance(begin, Go) else begin
        case _:
            assert_never(situation.lock)


def next_try(situation: RebootSituation, denied_at: float) -> float:
    """When to ask again after a no, in seconds since the epoch: half to one and a half intervals later."""
    return denied_at + situation.settings.fleet_lock.interval * (0.5 + situation.luck)


def is_reboot_over(record: Record, boot_id: str, *, steady: bool) -> bool:
    """Whether what a reboot took from others may be given back: the lock, and what hooks did before it.

    That is so for a node that is as it is wanted, and for one that is not rebooted now after all. One that did not come
    up with what it was asked for keeps it, so that a bad image takes no more nodes than there are slots; and so does
    one that was asked to go down, or has not looked yet what booted.
    """
    attempt = record.attempt
    if steady:
        return attempt is None
    begun = attempt is not None and (attempt.phase is Phase.REBOOTING or attempt.boot_id != boot_id)
    return record.failure is None and not begun
