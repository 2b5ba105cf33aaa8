"""What a reboot took is given back once the node is as it is wanted: hooks after the boot, then the lock of a fleet."""

from dataclasses import replace

from mcd_rt.errors import AgentError
from mcd_rt.fleet import give_back
from mcd_rt.hooks.protocol import Occasion
from mcd_rt.model.plan import Plan
from mcd_rt.model.record import Record
from mcd_rt.model.state import State
from mcd_rt.observation import Context
from mcd_rt.occasions import facts_of, run_occasion
from mcd_rt.plan.situation import Situation
from mcd_rt.reboot.fleetlock import is_reboot_over
from mcd_rt.steps import remember


async def finish_reboot(context: Context, situation: Situation, plan: Plan) -> Record:
    """Run what is due after a reboot; the record as it is then.

    Raises ``AgentError``: ``hook-*``, ``lock-*``, ``worker-*``, ``write-failed``; what was not done is still due.
    """
    record = situation.record
    if not is_reboot_over(record, plan):
        return record
    target = record.verified.target if record.verified is not None else None
    if record.hooks_due:
        facts = facts_of(situation, target, "the node is as it is wanted")
        await run_occasion(context, Occasion.POST_VERIFY, facts, State.VERIFYING)
        record = replace(record, hooks_due=False)
        remember(context, record)
    if record.lock is not None:
        context.reporter.enter(State.VERIFYING, f"the lock of {record.lock.url} is given back")
        failure, record = await give_back(context, record)
        if failure is not None:
            raise AgentError(failure.code, f"the lock is not given back: {failure.message}", failure.hint)
    return record
