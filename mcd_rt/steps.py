"""The steps of a pass that change something, each written to the record before it is taken.

Everything is looked at again by the next pass: what a step leaves behind, it finds.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from typing import assert_never

from mcd_rt.act.finalize import is_going_down
from mcd_rt.act.stage import Handles, RpmOstreeAccess, StagedMismatch, discard_staged, stage_step
from mcd_rt.content.cache import open_packages
from mcd_rt.content.osentry import open_repository
from mcd_rt.dbus.transaction import Outcome as TransactionOutcome
from mcd_rt.dbus.transaction import Progress
from mcd_rt.model.awaiting import Awaiting, Gate
from mcd_rt.model.plan import ArgumentsChange, Assembly, Change, Discard, OwnArguments, Rebase, Reboot, Step
from mcd_rt.model.record import Attempt, Phase, Record
from mcd_rt.model.state import State
from mcd_rt.observation import Context, ask_deployments
from mcd_rt.plan.brake import count_reboot
from mcd_rt.plan.layering import has_shape
from mcd_rt.plan.outcome import Outcome, Progressed, Settled
from mcd_rt.plan.revert import NOT_UNDONE, is_way_back
from mcd_rt.plan.situation import Situation
from mcd_rt.remembering import has_hooks_after, is_counted, remember
from mcd_rt.report.labels import TransactionMethod
from mcd_rt.report.transactionends import end_of
from mcd_rt.room import check_room_to_stage


async def stage(context: Context, situation: Situation, change: Change) -> Outcome:
    """Step 6: the next transaction of a change, locked, read back."""
    if await is_going_down(access_of(context), must_know=False):
        return wait_for_shutdown(context)
    room = await check_room_to_stage(context, situation, change)
    step = change.steps[0]
    for rebase in filter(None, map(_repository_of, change.steps)):  # first: nothing half waits for a download
        from mcd_rt.fetching import provide_repository  # noqa: PLC0415 - an idle agent never needs what fetches

        await provide_repository(context, situation, rebase.image)
    begun = situation.record.attempt
    is_same = begun is not None and begun.target.identity == change.target.identity
    staged_before = begun.deployment_id if begun is not None and begun.deployment_id == change.merge_id else ""
    attempt = Attempt(
        change.target,
        Phase.STAGING,
        situation.host.boot_id,
        context.effects.now(),
        staged_before,  # ours until another takes its place, whatever ends us before
        change.on_staged,
        change.arguments,
        0.0,
        begun.luck if is_same and begun is not None else context.effects.chance(),
    )
    record = replace(situation.record, attempt=attempt, foreign_removals=change.foreign_removals)
    remember(context, record)
    stays = f"; not undone: {NOT_UNDONE}" if is_way_back(change) else ""
    context.reporter.enter(State.STAGING, f"{change.target.kernel_type}; {_described(step)}{room}{stays}")
    async with _opened(context, change, step) as handles:
        try:
            staged = await stage_step(access_of(context), change, handles)
        except StagedMismatch as mismatch:
            remember(context, replace(record, attempt=replace(attempt, deployment_id=mismatch.deployment_id)))
            await _drop_unplanned(context, situation, change, mismatch.deployment_id)
            raise
    since = (begun.staged_at if is_same and begun is not None else 0.0) or context.effects.now()
    attempt = replace(attempt, phase=Phase.STAGED, deployment_id=staged.id, staged_at=since)
    remember(context, replace(record, attempt=attempt))
    return Progressed()


async def _drop_unplanned(context: Context, situation: Situation, change: Change, deployment_id: str) -> None:
    """What was staged is not what was planned: the next pass, which knows the goal alone, might be content with it.

    One that only lost its lock stays, and so does one that has another client's work in it.
    """
    if not deployment_id or change.on_staged:
        return
    found = await ask_deployments(context, situation.host)
    is_planned = has_shape(found.merge, change.shape) and found.kernel_arguments == change.kernel_arguments
    if found.merge.id == deployment_id and not is_planned:
        await discard_staged(access_of(context), deployment_id)


async def discard(context: Context, situation: Situation, plan: Discard) -> Outcome:
    """What we staged is not wanted any more, or not whole."""
    context.reporter.enter(State.STAGING, f"dropping {plan.deployment_id}: {plan.why}")
    await discard_staged(access_of(context), plan.deployment_id)
    if situation.record.attempt is not None:  # it ends here: the next boot has nothing to tell about it
        remember(context, replace(situation.record, attempt=None))
    return Progressed()


def is_rebooting(record: Record, plan: Reboot) -> bool:
    """Whether this very reboot was begun by this node itself, by a try in this boot that did not get through."""
    return is_counted(record, plan) and record.attempt is not None and record.attempt.phase is Phase.REBOOTING


def count_attempt(context: Context, situation: Situation, plan: Reboot, phase: Phase) -> Record:
    """The record with one more reboot into what is staged, to be written before it is asked for."""
    begun, now = situation.record.attempt, context.effects.now()
    attempt = Attempt(
        plan.target,
        phase,
        situation.host.boot_id,
        begun.started if begun is not None else now,
        plan.deployment_id,
        plan.on_staged,
        begun.arguments if begun is not None else OwnArguments(situation.record.kernel_arguments),
        begun.staged_at if begun is not None else now,
        begun.luck if begun is not None else 0.0,
    )
    counted = count_reboot(situation.record, plan.target, now)
    due = counted.hooks_due or (phase is Phase.REBOOTING and has_hooks_after(context))
    return replace(counted, attempt=attempt, hooks_due=due)


def _repository_of(step: Step) -> Rebase | None:
    """The rebase of a step, where its commit comes from the image's own repository."""
    rebase = step.rebase if isinstance(step, Assembly) else None
    return rebase if rebase is not None and rebase.custom_origin is not None else None


@asynccontextmanager
async def _opened(context: Context, change: Change, step: Step) -> AsyncIterator[Handles]:
    """Fresh descriptors of what is installed, compared with what was verified: up to gigabytes are read for that."""
    from mcd_rt.threads import in_thread  # noqa: PLC0415 - an idle agent never needs what stages

    effects, paths = context.effects, context.paths
    with ExitStack() as stack:

        def open_all(go_on: Callable[[], None]) -> Handles:
            packages: tuple[int, ...] = ()
            repository: int | None = None
            if isinstance(step, Assembly) and step.install:
                opened = open_packages(effects, paths, change.target.image_digest, step.install, go_on)
                packages = stack.enter_context(opened)
            if (rebase := _repository_of(step)) is not None:
                repository = stack.enter_context(open_repository(effects, paths, rebase.image.digest, go_on))
            return Handles(packages, repository)

        yield await in_thread(open_all)


def show_blocked(context: Context) -> Callable[[str], None]:
    """What tells who is waited for because he blocks the reboot, and until when."""
    until = context.effects.now() + context.settings.reboot.inhibitor_wait

    def show(holders: str) -> None:
        what = f"the reboot waits for who blocks it: {holders}"
        context.reporter.enter(State.STAGED, what, next_attempt=until, awaiting=Awaiting(Gate.INHIBITOR, holders))

    return show


def wait_for_shutdown(context: Context) -> Settled:
    """Somebody else shuts the node down: nothing is begun before that is over."""
    until = context.effects.now() + context.settings.reboot.stuck_after
    return Settled(State.WAITING, "the node is being shut down by somebody else: nothing is begun now", until=until)


def access_of(context: Context) -> RpmOstreeAccess:
    """How steps reach rpm-ostree, with everything told to the reporter."""

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
