"""The pass, and the loop around it: the only place that composes.

A pass reads what is wanted, reads what is there, computes one plan, does its next step, and looks again
(design.md, "A pass, in order").
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import assert_never

from mcd_rt.act.finalize import check_reboot_allowed, reboot_into
from mcd_rt.act.stage import RpmOstreeAccess, StagedMismatch, discard_staged, stage_change
from mcd_rt.content.cache import load, open_packages, prune
from mcd_rt.content.fetch import fetch_content
from mcd_rt.dbus.rpmostree import open_rpm_ostree
from mcd_rt.dbus.transaction import Progress
from mcd_rt.desired.machineconfig import Absent
from mcd_rt.desired.sources import read_desired
from mcd_rt.effects import Effects
from mcd_rt.errors import AgentError, Code, Failure
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.content import Content
from mcd_rt.model.deployment import Deployments
from mcd_rt.model.desired import Desired
from mcd_rt.model.host import Host
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
from mcd_rt.model.settings import Settings
from mcd_rt.model.state import State
from mcd_rt.observed.base import list_kernel_packages
from mcd_rt.observed.host import read_host
from mcd_rt.observed.recollection import Recollection, deployments_identity
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
from mcd_rt.report.reporter import Reporter


@dataclass(frozen=True, slots=True)
class Context:
    """What a pass works with; ``may_reboot`` is false for ``apply --no-reboot``.

    ``seen`` is what the pass before saw, so that an unchanged node is not asked again.
    """

    paths: HostPaths
    settings: Settings
    effects: Effects
    reporter: Reporter
    may_reboot: bool = True
    seen: Recollection = field(default_factory=Recollection)


@dataclass(frozen=True, slots=True)
class Observation:
    """What a pass found before it planned; deployments that are not ``fresh`` are those of an earlier pass."""

    desired: Desired
    host: Host
    deployments: Deployments
    record: Record
    fresh: bool = True


async def run_pass(context: Context) -> Outcome:
    """One pass: at most one step towards the target, or why none is taken."""
    try:
        observed = await observe(context)
        if isinstance(observed, Settled):
            return observed
        if observed.record.attempt is not None and observed.record.attempt.boot_id != observed.host.boot_id:
            return verify_boot(context, observed, observed.record.attempt)
        return await _take_step(context, observed)
    except AgentError as error:
        return outcome_of_failure(error.failure)


async def observe(context: Context) -> Observation | Settled:
    """Steps 1 and 2: what is wanted and what is there; or why this node is not ours to change."""
    host = read_host(context.paths)
    context.reporter.show_host(host)
    if not host.supported:
        name = f"{host.os_id} {host.os_variant} {host.os_version}".replace("  ", " ").strip()
        summary = f"{name or 'this host'} is not an image-based host this agent serves; it is left alone"
        return Settled(State.UNSUPPORTED, summary)
    desired = read_desired(context.paths, context.settings.node_config)
    if isinstance(desired, Absent):
        hint = "it is waited for; [node_config] sources says where it is looked for"
        return Settled(State.WAITING, desired.reason, Failure(Code.CONFIG_MISSING, desired.reason, hint))
    context.reporter.show_desired(desired)
    record = load_record(context.paths)
    context.reporter.show_record(record)
    recalled = context.seen.recall(deployments_identity(context.paths, host.boot_id))
    deployments = recalled or await _ask_deployments(context, host)
    return Observation(desired, host, deployments, record, fresh=recalled is None)


async def _ask_deployments(context: Context, host: Host) -> Deployments:
    identity = deployments_identity(context.paths, host.boot_id)
    async with open_rpm_ostree(context.settings.rpm_ostree, context.effects) as client:
        active = await client.active_transaction()
        if active is not None:
            busy = f"another client's {active.method} (from {active.sender}) is going on: waiting for its end"
            context.reporter.enter(State.WAITING, busy)
            await client.wait_until_idle(context.settings.rpm_ostree.transaction_timeout)
            identity = deployments_identity(context.paths, host.boot_id)
        deployments = await client.deployments()
    context.seen.keep(identity, deployments)
    context.reporter.show_deployments(deployments)
    return deployments


def verify_boot(context: Context, observed: Observation, attempt: Attempt) -> Outcome:
    """Step 3: what became of an attempt of an earlier boot."""
    context.reporter.enter(State.VERIFYING, f"what booted after the switch to {attempt.target.kernel_type}")
    settled = replace(observed.record, attempt=None)
    verdict = judge_boot(attempt, observed.deployments, observed.host)
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
        desired=observed.desired,
        host=observed.host,
        deployments=observed.deployments,
        record=observed.record,
        accept_unknown_base=context.settings.os.accept_unknown_base,
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
    async def bring(need: NeedsContent) -> Content:
        return load(context.paths, need.image.digest, need.names) or await _fetch(context, observed.host, need)

    plan = await plan_step(context, observed, bring)
    if not observed.fresh and not isinstance(plan, Steady | Waiting | Ignored | Refused):
        deployments = await _ask_deployments(context, observed.host)  # nothing is done on what was only remembered
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


async def _fetch(context: Context, host: Host, need: NeedsContent) -> Content:
    context.reporter.enter(State.FETCHING, f"the kernel packages of {need.image}")

    def show(done: int, total: int) -> None:
        context.reporter.show_progress(f"{done} of {total} bytes", done * 100 // total if total else -1)

    return await fetch_content(
        context.effects,
        context.settings.content,
        context.paths,
        need.image,
        need.names,
        show,
        architecture=host.architecture,
    )


async def _stage(context: Context, observed: Observation, change: Change) -> Outcome:
    target = change.target
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
    await check_reboot_allowed(_access(context))
    if read_desired(context.paths, context.settings.node_config) != observed.desired:
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
    return GoingDown(into)


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

    return RpmOstreeAccess(context.settings.rpm_ostree, context.effects, show)


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
