"""The steps of a pass that change something, each written to the record before it is taken.

Everything is looked at again by the next pass: what a step leaves behind, it finds.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import assert_never

from mcd_rt.act.finalize import check_reboot_allowed, is_going_down, reboot_into
from mcd_rt.act.stage import Handles, RpmOstreeAccess, StagedMismatch, discard_staged, stage_step
from mcd_rt.content.cache import open_packages
from mcd_rt.content.osentry import open_repository
from mcd_rt.dbus.transaction import Outcome as TransactionOutcome
from mcd_rt.dbus.transaction import Progress
from mcd_rt.desired.sources import NodeConfig, read_node_config
from mcd_rt.errors import AgentError, Code, Failure
from mcd_rt.model.plan import ArgumentsChange, Assembly, Change, Discard, OwnArguments, Rebase, Reboot, Step
from mcd_rt.model.record import Attempt, Phase, Record
from mcd_rt.model.state import State
from mcd_rt.observation import Context, ask_deployments
from mcd_rt.plan.brake import count_reboot
from mcd_rt.plan.layering import shape_of
from mcd_rt.plan.outcome import GoingDown, Outcome, Progressed, Settled
from mcd_rt.plan.situation import Situation
from mcd_rt.record import save_record
from mcd_rt.report.endings import end_of
from mcd_rt.report.labels import TransactionMethod
from mcd_rt.room import check_room_to_stage, judge_room_to_boot

_REFUSALS = frozenset({Code.REBOOT_REFUSED, Code.FINALIZE_FAILED, Code.TRANSACTION_FOREIGN, Code.RPM_OSTREE_DENIED})
"""What says for certain that no reboot comes of having asked for one."""


async def stage(context: Context, situation: Situation, change: Change) -> Outcome:
    """Step 6: the next transaction of a change, locked, read back."""
    if await is_going_down(_access(context), must_know=False):
        return _wait_for_shutdown(context)
    room = await check_room_to_stage(context, situation, change)
    step = change.steps[0]
    for rebase in filter(None, map(_repository_of, change.steps)):  # first: nothing half waits for a download
        from mcd_rt.fetching import provide_repository  # noqa: PLC0415 - an idle agent never needs what fetches

        await provide_repository(context, situation, rebase.image)
    context.reporter.enter(State.STAGING, f"{change.target.kernel_type}; {_described(step)}{room}")
    begun = situation.record.attempt
    staged_before = begun.deployment_id if begun is not None and begun.deployment_id == change.merge_id else ""
    attempt = Attempt(
        change.target,
        Phase.STAGING,
        situation.host.boot_id,
        context.effects.now(),
        staged_before,  # ours until another takes its place, whatever ends us before
        change.on_staged,
        change.arguments,
    )
    record = replace(situation.record, attempt=attempt, foreign_removals=change.foreign_removals)
    remember(context, record)
    with _opened(context, change, step) as handles:
        try:
            staged = await stage_step(_access(context), change, handles)
        except StagedMismatch as mismatch:
            remember(context, replace(record, attempt=replace(attempt, deployment_id=mismatch.deployment_id)))
            await _drop_unplanned(context, situation, change, mismatch.deployment_id)
            raise
    remember(context, replace(record, attempt=replace(attempt, phase=Phase.STAGED, deployment_id=staged.id)))
    return Progressed()


async def _drop_unplanned(context: Context, situation: Situation, change: Change, deployment_id: str) -> None:
    """What was staged is not what was planned: the next pass, which knows the goal alone, might be content with it.

    One that only lost its lock stays, and so does one that has another client's work in it.
    """
    if not deployment_id or change.on_staged:
        return
    found = await ask_deployments(context, situation.host)
    is_planned = (shape_of(found.merge), found.kernel_arguments) == (change.shape, change.kernel_arguments)
    if found.merge.id == deployment_id and not is_planned:
        await discard_staged(_access(context), deployment_id)


async def discard(context: Context, situation: Situation, plan: Discard) -> Outcome:
    """What we staged is not wanted any more, or not whole."""
    context.reporter.enter(State.STAGING, f"dropping {plan.deployment_id}: {plan.why}")
    await discard_staged(_access(context), plan.deployment_id)
    if situation.record.attempt is not None:  # it ends here: the next boot has nothing to tell about it
        remember(context, replace(situation.record, attempt=None))
    return Progressed()


async def reboot(context: Context, config: NodeConfig, situation: Situation, plan: Reboot) -> Outcome:
    """Step 7: everything is staged and whole; finalize it and reboot, if that is still wanted."""
    into = f"{plan.target.kernel_type} is staged ({plan.deployment_id})"
    before = situation.record
    if not is_rebooting(before, plan):
        into += await _room_to_boot(context, situation, plan)
    if not context.may_reboot or context.settings.reboot.strategy == "never":
        why = "reboot.strategy is never" if context.may_reboot else "this pass may not reboot"
        lock = "locked until a reboot of ours" if plan.locked else "not locked: any reboot applies it"
        return Settled(State.STAGED, f"{into}, {lock}; {why}")
    if not is_rebooting(before, plan) and await is_going_down(_access(context), must_know=True):
        return _wait_for_shutdown(context)
    await check_reboot_allowed(_access(context))
    if read_node_config(context.paths, context.settings.node_config) != config:
        return Progressed()  # it changed while we waited: look again first
    if not is_rebooting(before, plan):
        counted = count_reboot(before, plan.target, context.effects.now())
        remember(context, replace(counted, attempt=_rebooting(context, situation, plan)))
    context.reporter.enter(State.REBOOTING, into)
    try:
        await reboot_into(_access(context), plan)
    except AgentError as error:
        if error.failure.code in _REFUSALS:  # any other may be an answer that was lost: the node may go down
            remember(context, before)
        raise
    context.reporter.metrics.count_reboot()
    return GoingDown(into)


async def _room_to_boot(context: Context, situation: Situation, plan: Reboot) -> str:
    """What has to be said of it; raises ``boot-space``, and then nothing of ours stays staged to fail at shutdown."""
    found = await judge_room_to_boot(context, situation, plan)
    if not isinstance(found, Failure):
        return found
    if plan.on_staged:
        kept = "what is staged has another client's work in it and stays, locked"
        raise AgentError(found.code, found.message, f"{found.hint}; {kept}")
    await discard(context, situation, Discard(plan.deployment_id, "there is no room for its kernel in /boot"))
    raise AgentError(found.code, found.message, f"{found.hint}; what was staged is dropped")


def is_rebooting(record: Record, plan: Change | Reboot) -> bool:
    """Whether this very reboot was counted already, by a try in this boot that did not get through."""
    attempt = record.attempt
    return (
        isinstance(plan, Reboot)
        and attempt is not None
        and (attempt.phase, attempt.deployment_id) == (Phase.REBOOTING, plan.deployment_id)
    )


def remember(context: Context, record: Record) -> None:
    """Write the record and show it; raises ``AgentError`` (``write-failed``)."""
    save_record(context.effects, context.paths, record)
    context.reporter.show_record(record)


def _rebooting(context: Context, situation: Situation, plan: Reboot) -> Attempt:
    begun = situation.record.attempt
    return Attempt(
        plan.target,
        Phase.REBOOTING,
        situation.host.boot_id,
        begun.started if begun is not None else context.effects.now(),
        plan.deployment_id,
        plan.on_staged,
        begun.arguments if begun is not None else OwnArguments(situation.record.kernel_arguments),
    )


def _repository_of(step: Step) -> Rebase | None:
    """The rebase of a step, where its commit comes from the image's own repository."""
    rebase = step.rebase if isinstance(step, Assembly) else None
    return rebase if rebase is not None and rebase.custom_origin is not None else None


@contextmanager
def _opened(context: Context, change: Change, step: Step) -> Iterator[Handles]:
    """Fresh descriptors of what is installed, compared with what was verified."""
    with ExitStack() as stack:
        packages: tuple[int, ...] = ()
        repository: int | None = None
        if isinstance(step, Assembly) and step.install:
            opened = open_packages(context.effects, context.paths, change.target.image_digest, step.install)
            packages = stack.enter_context(opened)
        if (rebase := _repository_of(step)) is not None:
            repository = stack.enter_context(open_repository(context.effects, context.paths, rebase.image.digest))
        yield Handles(packages, repository)


def _wait_for_shutdown(context: Context) -> Settled:
    until = context.effects.now() + context.settings.reboot.stuck_after
    return Settled(State.WAITING, "the node is being shut down by somebody else: nothing is begun now", until=until)


def _access(context: Context) -> RpmOstreeAccess:
    def show(progress: Progress) -> None:
        context.reporter.show_progress(progress.text, progress.percent)

    def count(method: str, outcome: TransactionOutcome, seconds: float) -> None:
        context.reporter.metrics.count_transaction(TransactionMethod(method), end_of(outcome), seconds)

    return RpmOstreeAccess(context.settings.rpm_ostree, context.effects, show, count)


def _described(step: Step) -> str:
    match step:
        case Assembly():
            counts = {
                "to install": len(step.install),
                "to uninstall": len(step.uninstall),
                "of the base to remove": len(step.remove),
                "of the base to restore": len(step.reset),
            }
            packages = "packages: " + ", ".join(f"{count} {what}" for what, count in counts.items() if count)
            return packages if step.rebase is None else f"rebase to {step.rebase.image}; {packages}"
        case ArgumentsChange(add=add, remove=remove):
            return f"kernel arguments: {len(add)} to add, {len(remove)} to remove"
        case _:
            assert_never(step)
