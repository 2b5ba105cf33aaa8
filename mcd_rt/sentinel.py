"""The file that asks others to drain the node and reboot it: written, and taken back."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from mcd_rt.effects import write_durably
from mcd_rt.errors import AgentError, Code
from mcd_rt.model.plan import Reboot
from mcd_rt.model.record import Phase, Record
from mcd_rt.observation import Context
from mcd_rt.plan.brake import uncount_reboot
from mcd_rt.plan.situation import Situation
from mcd_rt.remembering import is_counted, remember
from mcd_rt.steps import count_attempt

_HINT = "reboot.sentinel.path must be a place that the service may write to (docs/reboots.md#sentinel)"
_TEXT = b"mcd-rt has staged another kernel\n"


def ask_others(context: Context, situation: Situation, plan: Reboot, sentinel: str) -> None:
    """Have the file there; counted as a reboot, because from then on it may come at any time.

    One that somebody else wrote is as good, and is not ours to take back. Raises ``AgentError``: ``sentinel-failed``,
    ``write-failed``.
    """
    if situation.record.sentinel not in ("", sentinel):  # the settings name another place now
        withdrawn = withdraw_sentinel(context, situation.record, situation.host.boot_id)
        situation = replace(situation, record=withdrawn)
    before, path = situation.record, context.paths.below(sentinel)
    is_there = _is_there(path)
    asked = _asked(context, situation, plan)
    if not is_there:
        asked = replace(asked, sentinel=sentinel)
    if asked != before:
        remember(context, asked)
    if is_there:
        return
    try:
        write_durably(context.effects, path, _TEXT)
    except AgentError as error:
        if _is_away(context, path):
            remember(context, before)
        raise AgentError(Code.SENTINEL_FAILED, error.failure.message, _HINT) from error


def _is_away(context: Context, path: Path) -> bool:
    """Whether a file that could not be written is not there: it may be, where only its directory was not synced."""
    with suppress(OSError):
        context.effects.remove(path)
    with suppress(AgentError):
        return not _is_there(path)
    return False


def withdraw_sentinel(context: Context, record: Record, boot_id: str) -> Record:
    """Ask nobody any more: the file goes, if it is ours, and the count; the record as it is then.

    What was asked for in another boot than ``boot_id`` is still to be judged, and stays counted. Raises ``AgentError``:
    ``sentinel-failed``, ``write-failed``.
    """
    attempt = record.attempt
    asking = attempt if attempt is not None and (attempt.phase, attempt.boot_id) == (Phase.ASKED, boot_id) else None
    if not record.sentinel and asking is None:
        return record
    if record.sentinel:
        _remove(context, context.paths.below(record.sentinel))
    if asking is not None:
        record = replace(uncount_reboot(record, asking.target), attempt=replace(asking, phase=Phase.STAGED))
    record = replace(record, sentinel="")
    remember(context, record)
    return record


def _asked(context: Context, situation: Situation, plan: Reboot) -> Record:
    """The record of a node whose reboot is left to others; one that was counted as ours is not counted again."""
    record = situation.record
    if is_counted(record, plan) and record.attempt is not None:
        return replace(record, attempt=replace(record.attempt, phase=Phase.ASKED))
    return count_attempt(context, situation, plan, Phase.ASKED)


def _is_there(path: Path) -> bool:
    try:
        path.stat()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise AgentError(Code.SENTINEL_FAILED, f"cannot look at {path}: {error.strerror}", _HINT) from error
    return True


def _remove(context: Context, path: Path) -> None:
    try:
        context.effects.remove(path)
    except OSError as error:
        raise AgentError(Code.SENTINEL_FAILED, f"cannot remove {path}: {error.strerror}", _HINT) from error
