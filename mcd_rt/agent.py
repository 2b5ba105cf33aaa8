"""The pass: the only place that composes; ``service.py`` is the loop around it.

A pass reads what is wanted, reads what is there, computes one plan, does its next step, and looks again
(design.md, "A pass, in order").
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import assert_never

from mcd_rt.act.finalize import check_reboot_allowed, is_going_down, reboot_into
from mcd_rt.act.stage import RpmOstreeAccess, StagedMismatch, discard_staged, stage_change
from mcd_rt.content.cache import load, open_packages, prune
from mcd_rt.content.fetch import fetch_content
from mcd_rt.dbus.transaction import Outcome as TransactionOutcome
from mcd_rt.dbus.transaction import Progress
from mcd_rt.desired.sources import read_node_config
from mcd_rt.errors import AgentError, Code
from mcd_rt.model.content import Content
from mcd_rt.model.plan import (
    Change,
    Discard,
    Held,
    Ignored,
    NeedsBase,
    NeedsContent,
    Plan,
    Reboot,
    Refused,
    Steady,
    Waiting,
)
from mcd_rt.model.record import Attempt, Phase, Record, Verified
from mcd_rt.model.state import State
from mcd_rt.observation import Context, Observation, ask_deployments, observe
from mcd_rt.observed.base import list_kernel_packages
from mcd_rt.observed.host import read_host
from mcd_rt.plan.brake import count_reboot, judge_brake, release_brake
from mcd_rt.plan.outcome import (
    GoingDown,
    Outcome,
    Progressed,
    Retry,
    Settled,
    outcome_of_failure,
    outcome_of_plan,
)
from mcd_rt.plan.plan import Base, Situation, make_plan
from mcd_rt.plan.verification import CameUp, DidNotComeUp, Overtaken, judge_boot
from mcd_rt.record import load_record, save_record, set_record_aside
from mcd_rt.report.endings import end_of
from mcd_rt.report.labels import TransactionMethod


async def run_pass(context: Context) -> Outcome:
    """One pass: at most one step towards the target, or why none is taken."""
    try:
        observed = await observe(context)
        if isinstance(observed, Settled):
            if observed.state is State.OBSERVING:
                _forget_earlier_boot(context)
            return observed
        if observed.record.attempt is not None and observed.record.attempt.boot_id != observed.host.boot_id:
            return verify_boot(context, observed, observed.record.attempt)
        return await _take_step(context, observed)
    except AgentError as error:
        return outcome_of_failure(error.failure)


def verify_boot(context: Context, observed: Observation, attempt: Attempt) -> Outcome:
    """Step 3: what became of an attempt of an earlier boot."""
    context.reporter.enter(State.VERIFYING, f"what booted after the switch to {attempt.target.kernel_type}")
    settled = replace(observed.record, attempt=None)
    verdict = judge_boot(attempt, observed.deployments, observed.host)
    context.reporter.metrics.count_verification(verdict)
    match verdict:
        case CameUp(target):
            tries = tuple(tries for tries in settled.tries if tries.target != target.identity)
            verified = Verified(target, attempt.started, context.effects.now())
            _remember(context, replace(settled, tries=tries, verified=verified, failure=None))
            return Progressed()
        case DidNotComeUp(reason):
            _remember(context, replace(settled, failure=reason))
            return Retry(reason)
        case Overtaken():
            _remember(context, settled)
            return Progressed()
        case _:
            assert_never(verdict)


async def plan_step(
    context: Context, observed: Observation, bring: Callable[[NeedsContent], Awaitable[Content | None]]
) -> Plan:
    """Steps 4 and 5: the plan, after bringing what it asks for; ``NeedsContent`` where ``bring`` has none."""
    situation = Situation(
        desired=observed.config.desired,
        host=observed.host,
        deployments=observed.deployments,
        record=observed.record,
        accept_unknown_base=context.settings.os.accept_unknown_base,
        neighbour=observed.neighbour,
    )
    while True:
        plan = make_plan(situation)
        match plan:
            case NeedsBase(checksum):
                packages = await list_kernel_packages(context.effects, context.paths, checksum)
                situation = replace(situation, base=Base(checksum, packages))
            case NeedsContent():
                content = await bring(plan)
                if content is None:
                    return plan
                situation = replace(situation, content=content)
            case _:
                return plan


async def _take_step(context: Context, observed: Observation) -> Outcome:
    metrics = context.reporter.metrics

    async def bring(need: NeedsContent) -> Content:
        found = load(context.paths, need.image.digest, need.names, context.settings.content.trust)
        metrics.count_cache_lookup(hit=found is not None)
        content = found or await _fetch(context, observed, need)
        metrics.show_content(content)
        context.reporter.show_trust(content)
        return content

    plan = await plan_step(context, observed, bring)
    if not observed.fresh and not isinstance(plan, Steady | Waiting | Ignored | Refused):
        deployments = await ask_deployments(context, observed.host)  # nothing is done on what was only remembered
        return await _take_step(context, replace(observed, deployments=deployments, fresh=True))
    match plan:
        case Change(target=target) | Reboot(target=target):
            held = judge_brake(observed.record, target, context.settings.reboot, context.effects.now())
            if held is not None and not _is_rebooting(observed.record, plan):
                return outcome_of_plan(held)
            step = _stage(context, observed, plan) if isinstance(plan, Change) else _reboot(context, observed, plan)
            return await step
        case Discard(deployment_id, why):
            context.reporter.enter(State.STAGING, f"dropping {deployment_id}: {why}")
            await discard_staged(_access(context), deployment_id)
            if observed.record.attempt is not None:  # it ends here: the next boot has nothing to tell about it
                _remember(context, replace(observed.record, attempt=None))
            return Progressed()
        case Steady():
            prune(context.effects, context.paths, _digests_in_use(observed))
            return outcome_of_plan(plan)
        case Waiting() | Ignored() | Refused() | Held():
            return outcome_of_plan(plan)
        case NeedsBase() | NeedsContent():
            raise AgentError(Code.INTERNAL_ERROR, f"a plan asked again for what it was given: {plan}")
        case _:
            assert_never(plan)


async def _fetch(context: Context, observed: Observation, need: NeedsContent) -> Content:
    context.reporter.enter(State.FETCHING, f"the kernel packages of {need.image}")

    prune(context.effects, context.paths, _digests_in_use(observed))
    began, taken = context.effects.monotonic(), 0

    def show(done: int, total: int) -> None:
        nonlocal taken
        taken = done
        context.reporter.show_progress(f"{done} of {total} bytes", done * 100 // total if total else -1)

    content: Content | None = None
    try:
        content = await fetch_content(
            context.effects,
            context.settings.content,
            context.paths,
            need.image,
            need.names,
            show,
            architecture=observed.host.architecture,
        )
    finally:
        seconds, way = context.effects.monotonic() - began, content.way if content is not None else None
        context.reporter.metrics.count_fetch(way, taken, seconds, ok=content is not None)
    return content


async def _stage(context: Context, observed: Observation, change: Change) -> Outcome:
    target = change.target
    if await is_going_down(_access(context), must_know=False):
        return _wait_for_shutdown(context)
    context.reporter.enter(State.STAGING, f"{target.kernel_type}; {_described(change)}")
    begun = observed.record.attempt
    staged_before = begun.deployment_id if begun is not None and begun.deployment_id == change.merge_id else ""
    attempt = Attempt(
        target,
        Phase.STAGING,
        observed.host.boot_id,
        context.effects.now(),
        staged_before,  # ours until another takes its place, whatever ends us before
        change.on_staged,
    )
    record = replace(observed.record, attempt=attempt, foreign_removals=change.foreign_removals)
    _remember(context, record)
    with _opened(context, change) as descriptors:
        try:
            staged = await stage_change(_access(context), change, descriptors)
        except StagedMismatch as mismatch:
            _remember(context, replace(record, attempt=replace(attempt, deployment_id=mismatch.deployment_id)))
            raise
    _remember(context, replace(record, attempt=replace(attempt, phase=Phase.STAGED, deployment_id=staged.id)))
    return Progressed()


async def _reboot(context: Context, observed: Observation, plan: Reboot) -> Outcome:
    into = f"{plan.target.kernel_type} is staged ({plan.deployment_id})"
    if not context.may_reboot or context.settings.reboot.strategy == "never":
        why = "reboot.strategy is never" if context.may_reboot else "this pass may not reboot"
        lock = "locked until a reboot of ours" if plan.locked else "not locked: any reboot applies it"
        return Settled(State.STAGED, f"{into}, {lock}; {why}")
    if not _is_rebooting(observed.record, plan) and await is_going_down(_access(context), must_know=True):
        return _wait_for_shutdown(context)
    await check_reboot_allowed(_access(context))
    if read_node_config(context.paths, context.settings.node_config) != observed.config:
        return Progressed()  # it changed while we waited: look again first
    before = observed.record
    if not _is_rebooting(before, plan):
        started = before.attempt.started if before.attempt else context.effects.now()
        attempt = Attempt(
            plan.target, Phase.REBOOTING, observed.host.boot_id, started, plan.deployment_id, plan.on_staged
        )
        counted = count_reboot(before, plan.target, context.effects.now())
        _remember(context, replace(counted, attempt=attempt))
    context.reporter.enter(State.REBOOTING, into)
    try:
        await reboot_into(_access(context), plan)
    except AgentError:
        _remember(context, before)  # it was refused: not a reboot to be counted
        raise
    context.reporter.metrics.count_reboot()
    return GoingDown(into)


def _wait_for_shutdown(context: Context) -> Settled:
    until = context.effects.now() + context.settings.reboot.stuck_after
    return Settled(State.WAITING, "the node is being shut down by somebody else: nothing is begun now", until=until)


def _forget_earlier_boot(context: Context) -> None:
    """What became of a switch of ours before somebody else took over is nothing to be judged later."""
    record = load_record(context.paths)
    if record.attempt is not None and record.attempt.boot_id != read_host(context.paths).boot_id:
        _remember(context, replace(record, attempt=None))


def allow_retry(context: Context) -> None:
    """What ``retry`` does to the record: the brake is released, a damaged record set aside."""
    try:
        record = load_record(context.paths)
    except AgentError as error:
        if error.failure.code is not Code.RECORD_UNREADABLE:
            raise
        set_record_aside(context.effects, context.paths)
        record = Record()
    _remember(context, release_brake(record))


def _opened(context: Context, change: Change) -> AbstractContextManager[tuple[int, ...]]:
    """Fresh descriptors of what is installed, compared with what was verified."""
    if not change.assembly.install:
        return nullcontext(())
    return open_packages(context.effects, context.paths, change.target.image_digest, change.assembly.install)


def _is_rebooting(record: Record, plan: Change | Reboot) -> bool:
    """Whether this very reboot was counted already, by a try in this boot that did not get through."""
    attempt = record.attempt
    return (
        isinstance(plan, Reboot)
        and attempt is not None
        and (attempt.phase, attempt.deployment_id) == (Phase.REBOOTING, plan.deployment_id)
    )


def _remember(context: Context, record: Record) -> None:
    save_record(context.effects, context.paths, record)
    context.reporter.show_record(record)


def _access(context: Context) -> RpmOstreeAccess:
    def show(progress: Progress) -> None:
        context.reporter.show_progress(progress.text, progress.percent)

    def count(method: str, outcome: TransactionOutcome, seconds: float) -> None:
        context.reporter.metrics.count_transaction(TransactionMethod(method), end_of(outcome), seconds)

    return RpmOstreeAccess(context.settings.rpm_ostree, context.effects, show, count)


def _digests_in_use(observed: Observation) -> frozenset[str]:
    return frozenset(found for deployment in observed.deployments.all if (found := deployment.image_digest))


def _described(change: Change) -> str:
    counts = {
        "to install": len(change.assembly.install),
        "to uninstall": len(change.assembly.uninstall),
        "of the base to remove": len(change.assembly.remove),
        "of the base to restore": len(change.assembly.reset),
    }
    return "packages: " + ", ".join(f"{count} {what}" for what, count in counts.items() if count)
