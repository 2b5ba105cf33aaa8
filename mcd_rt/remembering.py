"""What every pass asks of the record, or has written to it; ``steps.py``, which changes something, it does without."""

from mcd_rt.model.plan import Change, Reboot
from mcd_rt.model.record import Record
from mcd_rt.observation import Context
from mcd_rt.record import save_record


def remember(context: Context, record: Record) -> None:
    """Write the record and show it; raises ``AgentError`` (``write-failed``)."""
    save_record(context.effects, context.paths, record)
    context.reporter.show_record(record)


def is_counted(record: Record, plan: Change | Reboot) -> bool:
    """Whether this very reboot was counted already: others were asked for it, or ours did not get through."""
    attempt = record.attempt
    return (
        isinstance(plan, Reboot)
        and attempt is not None
        and attempt.is_counted
        and attempt.deployment_id == plan.deployment_id
    )


def has_hooks_after(context: Context) -> bool:
    """Whether there are hooks for after a boot, whatever there was before it."""
    from mcd_rt.hooks.find import has_hooks  # noqa: PLC0415 - an idle agent never needs what reboots
    from mcd_rt.hooks.protocol import Occasion  # noqa: PLC0415 - the same

    return has_hooks(context.paths, Occasion.POST_VERIFY)
