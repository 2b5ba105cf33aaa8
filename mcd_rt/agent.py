"""The pass: what is wanted, what is there, one plan, its next step; ``service.py`` is the loop around it.

(design.md, "A pass, in order"; the steps themselves are in ``steps.py``.)
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import assert_never

from mcd_rt.act.tune import tune
from mcd_rt.content.cache import prune
from mcd_rt.content.osentry import drop_repositories
from mcd_rt.errors import AgentError, Code
from mcd_rt.model.host import Host
from mcd_rt.model.plan import (
    Change,
    Discard,
    Held,
    Ignored,
    Needs,
    NeedsBase,
    NeedsContent,
    NeedsDigest,
    NeedsOs,
    Plan,
    Reboot,
    Refused,
    Steady,
    Target,
    Waiting,
)
from mcd_rt.model.record import Attempt, Phase, Record, Switch
from mcd_rt.model.state import State
from mcd_rt.observation import Context, Observation, ask_deployments, observe
from mcd_rt.observed.host import read_host
from mcd_rt.observed.previous_boot import read_evidence
from mcd_rt.plan.brake import judge_brake, release_brake, see_clock, see_running
from mcd_rt.plan.evidence import is_fallback
from mcd_rt.plan.outcome import Outcome, Progressed, Retry, Settled, outcome_of_failure, outcome_of_plan
from mcd_rt.plan.plan import make_plan
from mcd_rt.plan.rollback import see_rollback, see_verified
from mcd_rt.plan.situation import Situation
from mcd_rt.plan.verification import CameUp, DidNotComeUp, Overtaken, arguments_of_boot, judge_boot
from mcd_rt.record import drop_unfinished, load_record, set_record_aside
from mcd_rt.remembering import has_hooks_after, is_counted, remember
from mcd_rt.supply import digests_in_use, provide

SWITCHES_KEPT = 5
"""As many as fit into one screen with everything else."""

Supply = Callable[[Context, Situation, Needs], Awaitable[Situation | None]]
"""How a plan gets what it asks for: ``supply.provide``, or ``supply.recall`` where nothing may be fetched."""


async def run_pass(context: Context) -> Outcome:
    """One pass: at most one step towards the target, or why none is taken."""
    try:
        observed = await observe(context)
        drop_unfinished(context.effects, context.paths)
        if isinstance(observed, Settled):
            if observed.state is State.OBSERVING:
                host = read_host(context.paths)
                _forget_earlier_boot(context, host)
                await _tune(context, host)
            return await _stand_back(context, observed)
        if observed.record.attempt is not None and observed.record.attempt.boot_id != observed.host.boot_id:
            return await verify_boot(context, observed, observed.record.attempt)
        return await _take_step(context, observed)
    except AgentError as error:
        outcome = outcome_of_failure(error.failure)
    return await _stand_back(context, outcome)


async def verify_boot(context: Context, observed: Observation, attempt: Attempt) -> Outcome:
    """Step 3: what became of an attempt of an earlier boot, and why, if it did not come up."""
    context.reporter.enter(State.VERIFYING, f"what booted after the switch to {attempt.target.kernel_type}")
    ours = arguments_of_boot(observed.record, attempt, observed.deployments, observed.host)
    settled = replace(observed.record, attempt=None, kernel_arguments=ours)
    verdict = judge_boot(attempt, observed.deployments, observed.host)
    if isinstance(verdict, DidNotComeUp):
        evidence = await read_evidence(context.effects, context.paths)
        verdict = judge_boot(attempt, observed.deployments, observed.host, evidence)
    context.reporter.metrics.count_verification(verdict, context.effects.now() - attempt.started)
    match verdict:
        case CameUp(target):
            tries = tuple(tries for tries in settled.tries if tries.target != target.identity)
            verified = see_verified(target, attempt.started, context.effects.now(), observed.deployments)
            settled = replace(settled, switches=_with_switch(context, observed, attempt, None))
            due = settled.hooks_due or (attempt.phase is Phase.ASKED and has_hooks_after(context))
            remember(context, replace(settled, tries=tries, verified=verified, failure=None, hooks_due=due))
            return Progressed()
        case DidNotComeUp(reason):
            given_up = attempt.target.identity if is_fallback(reason) else ""
            switches = _with_switch(context, observed, attempt, reason.code)
            remember(context, replace(settled, failure=reason, given_up=given_up, switches=switches))
            return Retry(reason)
        case Overtaken():
            remember(context, settled)
            return Progressed()
        case _:
            assert_never(verdict)


def _with_switch(context: Context, observed: Observation, attempt: Attempt, code: Code | None) -> tuple[Switch, ...]:
    now, kernel = context.effects.now(), observed.host.kernel_release
    switch = Switch(attempt.target.kernel_type, kernel, attempt.started, now, code)
    return (*observed.record.switches, switch)[-SWITCHES_KEPT:]


async def plan_step(context: Context, observed: Observation, supply: Supply) -> tuple[Plan, Situation]:
    """Steps 4 and 5: the plan, after bringing what it asks for, and what it was made from.

    What it asks for itself where ``supply`` has it not.
    """
    situation = Situation(
        desired=observed.config.desired,
        host=observed.host,
        deployments=observed.deployments,
        record=observed.record,
        settings=context.settings,
        neighbour=observed.neighbour,
    )
    while True:
        plan = make_plan(situation)
        match plan:
            case NeedsBase() | NeedsContent() | NeedsDigest() | NeedsOs():
                supplied = await supply(context, situation, plan)
                if supplied is None:
                    return plan, situation
                if supplied == situation:
                    raise AgentError(Code.INTERNAL_ERROR, f"a plan asks again for what it was given: {plan}")
                situation = supplied
            case _:
                return plan, situation


async def _take_step(context: Context, observed: Observation) -> Outcome:
    plan, situation = await plan_step(context, observed, provide)
    if not observed.fresh and not isinstance(plan, Steady | Waiting | Ignored | Refused):
        deployments = await ask_deployments(context, observed.host)  # nothing is done on what was only remembered
        return await _take_step(context, replace(observed, deployments=deployments, fresh=True))
    if not isinstance(plan, Reboot):
        situation = _call_nobody(context, situation)
    match plan:
        case Change() | Reboot():
            situation, now = _see_what_came_between(context, situation, plan.target)
            held = judge_brake(situation.record, plan.target, context.settings.reboot, now)
            if held is not None and not is_counted(situation.record, plan):
                return await _stand_back(context, outcome_of_plan(held))
            if isinstance(plan, Change):
                from mcd_rt.steps import stage  # noqa: PLC0415 - an idle agent never needs what changes something

                return await stage(context, situation, plan)
            from mcd_rt.rebooting import reboot  # noqa: PLC0415 - an idle agent never needs what reboots

            return await reboot(context, observed.config, situation, plan)
        case Discard():
            from mcd_rt.steps import discard  # noqa: PLC0415 - the same

            return await discard(context, situation, plan)
        case Steady(running=running):
            situation = replace(situation, record=_tidy(context, situation, running))
            await _tune(context, situation.host)
            return await _finish_reboot(context, situation.record, outcome_of_plan(plan))
        case Waiting() | Ignored() | Refused() | Held():
            return await _stand_back(context, outcome_of_plan(plan))
        case NeedsBase() | NeedsContent() | NeedsDigest() | NeedsOs():
            return await _stand_back(context, _wait_for_turn(context, plan))
        case _:
            assert_never(plan)


def _see_what_came_between(context: Context, situation: Situation, target: Target) -> tuple[Situation, float]:
    """A person, or a clock that was set, before the brake is asked; and the time that it is asked at."""
    now = context.effects.now()
    record = see_clock(see_rollback(situation.record, situation.deployments, target), now)
    if record != situation.record:
        remember(context, record)
    return replace(situation, record=record), now


def _call_nobody(context: Context, situation: Situation) -> Situation:
    """Whoever was asked to reboot the node need not, where no reboot is planned any more."""
    if not situation.record.has_dues:
        return situation
    from mcd_rt.sentinel import withdraw_sentinel  # noqa: PLC0415 - an idle agent has asked nobody

    return replace(situation, record=withdraw_sentinel(context, situation.record, situation.host.boot_id))


async def _finish_reboot(context: Context, record: Record, outcome: Settled) -> Outcome:
    """The node is as it is wanted, and stays so where what a reboot took cannot be given back yet."""
    context.reporter.show_also("reboot", ())
    if not record.has_dues:
        return outcome
    from mcd_rt.aftermath import finish_reboot  # noqa: PLC0415 - an idle agent never needs what reboots

    due = await finish_reboot(context, record)
    if due is None:
        return outcome
    return outcome_of_failure(replace(due, message=f"{outcome.summary}, but {due.message}"))


async def _stand_back(context: Context, outcome: Settled | Retry) -> Outcome:
    """No reboot comes of this pass: whatever was asked of others for one, or taken from them, is taken back."""
    try:
        record = load_record(context.paths)
    except AgentError:
        return outcome  # where that matters, the pass has said so
    if not record.has_dues:
        context.reporter.show_also("reboot", ())
        return outcome
    from mcd_rt.aftermath import show_due, stand_back  # noqa: PLC0415 - an idle agent never needs what reboots

    return show_due(context, outcome, await stand_back(context, record))


def _wait_for_turn(context: Context, need: Needs) -> Settled:
    turn = load_record(context.paths).turn
    if isinstance(need, NeedsBase) or turn is None:
        raise AgentError(Code.INTERNAL_ERROR, f"a plan was not given what it asks for: {need}")
    splay = f"its share of content.splay ({context.settings.content.splay:g} s)"
    return Settled(State.WAITING, f"{need.image} is fetched after {splay}", until=turn.at)


def allow_retry(context: Context) -> None:
    """What ``retry`` does to the record: the brake is released, a damaged record set aside."""
    try:
        record = load_record(context.paths)
    except AgentError as error:
        if error.failure.code is not Code.RECORD_UNREADABLE:
            raise
        set_record_aside(context.effects, context.paths)
        record = Record()
    remember(context, release_brake(record))


def _tidy(context: Context, situation: Situation, running: Target | None) -> Record:
    """The record without what nothing needs any more.

    Images, copies a worker left, an attempt of this boot that leads nowhere, what was said of a target that now runs.
    """
    prune(context.effects, context.paths, digests_in_use(situation))
    drop_repositories(context.effects, context.paths)
    record = situation.record if running is None else see_running(situation.record, running)
    if record.attempt is not None and situation.deployments.staged is None:
        record = replace(record, attempt=None)
    if record != situation.record:
        remember(context, record)
    return record


async def _tune(context: Context, host: Host) -> None:
    """The tuned profile that goes with the kernel that runs, whoever brought it."""
    profile = context.settings.tuning.tuned_profile
    seen = context.tuning_seen
    before = seen.failure
    await tune(context.effects, context.paths, profile, seen, realtime=host.realtime)
    if seen.failure is not None and seen.failure != before:
        context.reporter.metrics.count_failure(seen.failure.code)
    context.reporter.show_also("tuning", () if seen.failure is None else (seen.failure,))


def _forget_earlier_boot(context: Context, host: Host) -> None:
    """What became of a switch of ours before somebody else took over is nothing to be judged later."""
    record = load_record(context.paths)
    if record.attempt is not None and record.attempt.boot_id != host.boot_id:
        remember(context, replace(record, attempt=None))
