"""The slot of a lock server: taken before a reboot, given back after it; the record knows of it before the server."""

import hmac
import logging
from dataclasses import replace

from mcd_rt.content.locking import ask_for_lock
from mcd_rt.errors import AgentError, Code, Failure
from mcd_rt.model.record import Lock, Record
from mcd_rt.observation import Context
from mcd_rt.reboot.situation import LockDenied, LockGranted, LockState
from mcd_rt.remembering import remember

LOG = logging.getLogger("mcd_rt")

_PURPOSE = b"mcd-rt fleet lock"


async def take_lock(context: Context, record: Record) -> tuple[LockState, Record]:
    """Ask for a slot; what came of it, and the record as it is then.

    Asking again for one that we have is harmless, and the only way to know that we still have it. Raises
    ``AgentError``: ``write-failed``, ``host-unreadable``.
    """
    wanted = _wanted(context)
    if record.lock is not None and replace(record.lock, granted=False) != wanted:
        _, record = await give_back(context, record)
        record = replace(record, lock=None)
    if record.lock is None:
        record = _remembered(context, record, wanted)
    had_it, metrics = record.lock is not None and record.lock.granted, context.reporter.metrics
    failure = await ask_for_lock(context.effects, context.settings, context.paths, wanted, take=True)
    metrics.count_lock_request(None if failure is None else failure.code)
    if failure is None:
        if not had_it:
            metrics.count_lock_wait(context.lock_seen.waited(context.effects.now()))
        context.lock_seen.forget()
        return LockGranted(), _remembered(context, record, replace(wanted, granted=True))
    if failure.code is Code.LOCK_REFUSED:  # of any other answer nobody knows what the server made of the question
        record = _remembered(context, record, None)
    return _denied(context, failure), record


async def give_back(context: Context, record: Record) -> tuple[Failure | None, Record]:
    """Give back the slot of the record, if there may be one: why that failed, and the record as it is then.

    Where the settings name another server, group or node by now, or no lock at all, that is tried once: it is often
    because the server is gone, and nobody waits for it. Raises ``AgentError`` (``write-failed``).
    """
    if record.lock is None:
        return None, record
    failure = await ask_for_lock(context.effects, context.settings, context.paths, record.lock, take=False)
    if failure is not None and _is_named(context, record.lock):
        return failure, record
    if failure is not None:
        LOG.warning("a slot that may be ours is left behind, as the settings name it no more: %s", failure)
    return None, _remembered(context, record, None)


def _remembered(context: Context, record: Record, lock: Lock | None) -> Record:
    changed = replace(record, lock=lock)
    if changed != record:
        remember(context, changed)
    return changed


def _denied(context: Context, failure: Failure) -> LockDenied:
    denied = LockDenied(context.effects.now(), failure)
    context.lock_seen.deny(denied)
    return denied


def _wanted(context: Context) -> Lock:
    fleet = context.settings.reboot.fleet_lock
    return Lock(fleet.url, fleet.group, fleet.id or _own_name(context))


def _is_named(context: Context, lock: Lock) -> bool:
    """Whether the settings still say that this slot is to be taken."""
    settings = context.settings.reboot
    fleet = settings.fleet_lock
    named = (settings.strategy, fleet.url, fleet.group) == ("fleet-lock", lock.url, lock.group)
    return named and fleet.id in ("", lock.id)


def _own_name(context: Context) -> str:
    """A name for this node that tells nobody its machine id: machine-id(5) asks for that."""
    path = context.paths.below("/etc/machine-id")
    try:
        machine = path.read_bytes().strip()
    except OSError as error:
        hint = "or set reboot.fleet_lock.id"
        raise AgentError(Code.HOST_UNREADABLE, f"cannot read {path}: {error.strerror}", hint) from error
    return hmac.new(machine, _PURPOSE, "sha256").hexdigest()[:32]
