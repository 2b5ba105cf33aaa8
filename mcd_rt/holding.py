"""``mcd-rt hold`` and ``mcd-rt resume``: in the record, so that they outlive the agent and the boot."""

from dataclasses import replace

from mcd_rt.model.record import Hold
from mcd_rt.observation import Context
from mcd_rt.record import load_record
from mcd_rt.remembering import remember


def set_hold(context: Context, seconds: float | None) -> str:
    """No reboots from now on, for so many seconds or, with ``None``, until ``resume``; returns that as a sentence.

    A hold that is on is replaced. Raises ``AgentError``: ``record-*``, ``write-failed``.
    """
    now = context.effects.now()
    hold = Hold(now, None if seconds is None else now + seconds)
    remember(context, replace(load_record(context.paths), hold=hold))
    if seconds is None:
        return "this node is not rebooted until `mcd-rt resume`"
    from mcd_rt.report.words import age, moment  # noqa: PLC0415 - an idle agent has nothing to put into words

    return f"this node is not rebooted for {age(seconds)}, until {moment(now + seconds)}"


def end_hold(context: Context) -> str:
    """Reboots as the strategy says; returns that as a sentence.

    Raises ``AgentError``: ``record-*``, ``write-failed``.
    """
    record = load_record(context.paths)
    if record.hold is None:
        return "no hold was on"
    remember(context, replace(record, hold=None))
    return "the hold is over; the node reboots as reboot.strategy says"
