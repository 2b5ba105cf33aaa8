"""What a reboot took from others is given back: after the boot that was verified, or where no reboot comes of it.

Hooks first (``post-verify.d``), then the slot of a lock server, which counts nodes that are out of service; before
both, whoever was asked to reboot the node is asked no more.
"""

from dataclasses import replace

from mcd_rt.errors import AgentError, Failure
from mcd_rt.fleet import give_back
from mcd_rt.hooks.protocol import Facts, Occasion
from mcd_rt.model.plan import Target
from mcd_rt.model.record import Record
from mcd_rt.model.state import State
from mcd_rt.observation import Context
from mcd_rt.occasions import run_occasion
from mcd_rt.plan.outcome import Retry, Settled
from mcd_rt.reboot.fleetlock import is_reboot_over
from mcd_rt.remembering import remember
from mcd_rt.sentinel import withdraw_sentinel


async def finish_reboot(context: Context, record: Record) -> Failure | None:
    """The node is as it is wanted; why something is still due. Raises ``AgentError`` (``write-failed``)."""
    if not is_reboot_over(record, context.reporter.status.boot_id, steady=True):
        return None
    failure, record = await end_drain(context, record, State.VERIFYING, "the node is as it is wanted")
    if failure is not None or record.lock is None:
        return failure
    context.reporter.enter(State.VERIFYING, f"the lock of {record.lock.url} is given back")
    failure, _ = await give_back(context, record)
    if failure is None:
        return None
    hint = f"{failure.hint}; if that server is gone for good, `mcd-rt explain {failure.code}` says what to do"
    return Failure(failure.code, f"the lock is not given back: {failure.message}", hint)


async def stand_back(context: Context, record: Record) -> Failure | None:
    """The node is not as it is wanted, and no reboot comes now; why something is still due."""
    boot_id = context.reporter.status.boot_id
    try:
        record = withdraw_sentinel(context, record, boot_id)
        if not is_reboot_over(record, boot_id, steady=False):
            return None
        failure, record = await end_drain(context, record, State.WAITING, "no reboot comes now")
        if failure is None:
            failure, _ = await give_back(context, record)
    except AgentError as error:
        return error.failure
    return failure


async def end_drain(context: Context, record: Record, state: State, reason: str) -> tuple[Failure | None, Record]:
    """Have hooks take back what those before a reboot did, if they did; the record as it is then.

    What failed is still due. Raises ``AgentError`` (``write-failed``).
    """
    if not record.hooks_due:
        return None, record
    target, status = _target_of(record), context.reporter.status
    facts = Facts(
        target=target.identity if target is not None else "",
        kernel_type=target.kernel_type.value if target is not None else status.wanted,
        running=status.kernel_release,
        deployment=record.attempt.deployment_id if record.attempt is not None else status.booted,
        config=status.config,
        reason=reason,
    )
    try:
        await run_occasion(context, Occasion.POST_VERIFY, facts, state)
    except AgentError as error:
        return error.failure, record
    record = replace(record, hooks_due=False)
    remember(context, record)
    return None, record


def show_due(context: Context, outcome: Settled | Retry, due: Failure | None) -> Settled | Retry:
    """The outcome of a pass after which something may still be due: that is told, and tried again."""
    beside = due is not None and outcome.failure is not None
    context.reporter.show_also("reboot", (due,) if due is not None and beside else ())
    if due is not None and beside:
        context.reporter.metrics.count_failure(due.code)
    if due is None or isinstance(outcome, Retry):
        return outcome
    again = context.effects.now() + context.settings.reboot.fleet_lock.interval
    until = again if outcome.until is None else min(again, outcome.until)
    return replace(outcome, failure=outcome.failure or due, until=until)


def _target_of(record: Record) -> Target | None:
    if record.attempt is not None:
        return record.attempt.target
    return record.verified.target if record.verified is not None else None
