"""The file that asks others to drain the node and reboot it: written, and taken back."""

from dataclasses import replace

from mcd_rt.effects import write_durably
from mcd_rt.errors import AgentError, Code
from mcd_rt.model.plan import Reboot
from mcd_rt.model.record import Phase, Record
from mcd_rt.observation import Context
from mcd_rt.plan.brake import uncount_reboot
from mcd_rt.plan.situation import Situation
from mcd_rt.steps import count_attempt, is_rebooting, remember

_HINT = "reboot.sentinel.path must be a place that the service may write to (docs/reboots.md#sentinel)"
_TEXT = b"mcd-rt has staged another kernel\n"


def ask_others(context: Context, situation: Situation, plan: Reboot, sentinel: str) -> None:
    """Have the file there; counted as a reboot, because from then on it may come at any time.

    One that somebody else wrote is as good, and is not ours to take back. Raises ``AgentError``: ``sentinel-failed``,
    ``write-failed``.
    """
    before, path = situation.record, context.paths.below(sentinel)
    try:
        is_there = path.exists()
    except OSError as error:
        raise AgentError(Code.SENTINEL_FAILED, f"cannot look at {path}: {error.strerror}", _HINT) from error
    if is_there and is_rebooting(before, plan):
        return
    counted = before if is_rebooting(before, plan) else count_attempt(context, situation, plan)
    remember(context, replace(counted, sentinel="" if is_there else sentinel))
    if is_there:
        return
    try:
        write_durably(context.effects, path, _TEXT)
    except AgentError as error:
        remember(context, before)
        raise AgentError(Code.SENTINEL_FAILED, error.failure.message, _HINT) from error


def withdraw_sentinel(context: Context, situation: Situation) -> Record:
    """Take the file back, if it is ours, and the count with it; the record as it is then.

    Raises ``AgentError``: ``sentinel-failed``, ``write-failed``.
    """
    record, attempt = situation.record, situation.record.attempt
    if not record.sentinel:
        return record
    path = context.paths.below(record.sentinel)
    try:
        context.effects.remove(path)
    except OSError as error:
        raise AgentError(Code.SENTINEL_FAILED, f"cannot remove {path}: {error.strerror}", _HINT) from error
    is_asked = attempt is not None and (attempt.phase, attempt.boot_id) == (Phase.REBOOTING, situation.host.boot_id)
    if attempt is not None and is_asked:
        record = replace(uncount_reboot(record, attempt.target), attempt=replace(attempt, phase=Phase.STAGED))
    record = replace(record, sentinel="")
    remember(context, record)
    return record
