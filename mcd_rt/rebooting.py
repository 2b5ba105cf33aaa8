"""Step 7 of a pass: everything is staged and whole; reboot into it when the strategy allows, if it still is wanted."""

import asyncio
import contextlib
from dataclasses import replace
from typing import assert_never

from mcd_rt.act.finalize import check_reboot_allowed, is_going_down, reboot_into
from mcd_rt.aftermath import end_drain, show_due
from mcd_rt.dbus.announce import announce_reboot, withdraw_announcement
from mcd_rt.dbus.bus import bus_address, open_bus
from mcd_rt.desired.sources import NodeConfig, read_node_config
from mcd_rt.errors import AgentError, Code, Failure
from mcd_rt.fleet import give_back
from mcd_rt.hooks.find import has_hooks
from mcd_rt.hooks.protocol import Occasion
from mcd_rt.model.awaiting import Awaiting, Gate
from mcd_rt.model.plan import Discard, Reboot
from mcd_rt.model.record import Phase, Record
from mcd_rt.model.state import State
from mcd_rt.observation import Context
from mcd_rt.occasions import facts_of, run_occasion
from mcd_rt.permit import find_scheduled, is_still_allowed, judge_reboot
from mcd_rt.plan.outcome import GoingDown, Outcome, Progressed, Settled
from mcd_rt.plan.situation import Situation
from mcd_rt.reboot.verdict import Go, LeaveToOthers, TakeLock, Wait
from mcd_rt.remembering import is_counted, remember
from mcd_rt.room import judge_room_to_boot
from mcd_rt.sentinel import ask_others, withdraw_sentinel
from mcd_rt.steps import (
    access_of,
    count_attempt,
    discard,
    is_rebooting,
    show_blocked,
    wait_for_shutdown,
)

_REFUSALS = frozenset({Code.REBOOT_REFUSED, Code.FINALIZE_FAILED, Code.TRANSACTION_FOREIGN, Code.RPM_OSTREE_DENIED})
"""What says for certain that no reboot comes of having asked for one."""

_OF_LOCKS = frozenset({Code.LOCK_REFUSED, Code.LOCK_UNREACHABLE, Code.LOCK_PROTOCOL})


async def reboot(context: Context, config: NodeConfig, situation: Situation, plan: Reboot) -> Outcome:
    """Ask the strategy, and do as it says."""
    into = f"{plan.target.kernel_type} is staged ({plan.deployment_id})"
    if not is_counted(situation.record, plan):
        into += await _room_to_boot(context, situation, plan)
    locked = "locked until a reboot of ours" if plan.locked else "not locked: any reboot applies it"
    if not context.may_reboot:
        what = f"{into}, {locked}; this pass may not reboot"
        return Settled(State.STAGED, what, awaiting=Awaiting(Gate.SERVICE))
    verdict, record = await judge_reboot(context, situation.record, plan)
    situation = replace(situation, record=record)
    if not isinstance(verdict, Wait):
        context.reporter.show_also("reboot", ())  # whatever was due, it is not while a reboot is
    if not isinstance(verdict, LeaveToOthers):
        situation = replace(situation, record=withdraw_sentinel(context, record, situation.host.boot_id))
    match verdict:
        case Go():
            return await _go(context, config, situation, plan)
        case Wait(what, until, failure, awaiting):
            waits = Settled(State.STAGED, f"{into}, {locked}; {what}", failure, until, awaiting)
            return show_due(context, waits, await _let_go(context, situation.record, verdict))
        case LeaveToOthers(sentinel):
            ask_others(context, situation, plan, sentinel)
            asks = f"{sentinel} asks others to drain the node and reboot it, and waits for them"
            return Settled(State.STAGED, f"{into}, {locked}; {asks}", awaiting=verdict.awaiting)
        case TakeLock():
            raise AgentError(Code.INTERNAL_ERROR, "a strategy asks for a lock that was answered")
        case _:
            assert_never(verdict)


async def _go(context: Context, config: NodeConfig, situation: Situation, plan: Reboot) -> Outcome:
    """Whoever objects first, then what has to be done before, then another look, and last the reboot."""
    into = f"{plan.target.kernel_type} is staged ({plan.deployment_id})"
    begun, since = is_rebooting(situation.record, plan), context.effects.now()
    if not begun and await is_going_down(access_of(context), must_know=True):
        return wait_for_shutdown(context)
    patience = context.settings.reboot.inhibitor_wait
    await check_reboot_allowed(access_of(context), patience, show_blocked(context))
    if not begun:
        situation = replace(situation, record=await _prepare(context, situation, plan))
    announced = await _warn_users(context, f"this node reboots into another kernel: {plan.target.kernel_type}")
    before = situation.record
    is_wanted = read_node_config(context.paths, context.settings.node_config) == config
    is_free = await find_scheduled(access_of(context), announced) is None
    if not is_wanted or not is_free or not is_still_allowed(context, before, plan, since):
        await _calm_users(context, announced)
        return Progressed()  # it changed while we waited: look again first
    if not begun:
        remember(context, count_attempt(context, situation, plan, Phase.REBOOTING))
    context.reporter.enter(State.REBOOTING, into)
    try:
        await reboot_into(access_of(context), plan)
    except AgentError as error:
        if error.failure.code in _REFUSALS:  # any other may be an answer that was lost: the node may go down
            remember(context, before)
            with contextlib.suppress(AgentError):  # what is wrong is said already
                await _calm_users(context, announced)
        raise
    context.reporter.metrics.count_reboot()
    return GoingDown(into)


async def _prepare(context: Context, situation: Situation, plan: Reboot) -> Record:
    """Hooks, which the record knows of before they run; raises ``AgentError`` (``hook-*``): then there is no reboot."""
    record = situation.record
    if not has_hooks(context.paths, Occasion.PRE_REBOOT):
        return record
    if not record.hooks_due:
        record = replace(record, hooks_due=True)
        remember(context, record)
    facts = facts_of(situation, plan.target, f"a reboot into {plan.deployment_id}")
    await run_occasion(context, Occasion.PRE_REBOOT, facts, State.STAGED)
    return record


async def _warn_users(context: Context, text: str) -> float | None:
    """Announce the reboot and wait as long as the settings say; the time that was announced, if any was."""
    seconds = context.settings.reboot.warning
    if not seconds:
        return None
    at = context.effects.now() + seconds
    async with open_bus(bus_address(), context.settings.rpm_ostree.connect_timeout) as bus:
        if not await announce_reboot(bus, context.effects, text, at):
            return None  # somebody has scheduled a shutdown just now: the next look sees it
    awaiting = Awaiting(Gate.WARNING)
    context.reporter.enter(State.STAGED, "users are warned of the reboot", next_attempt=at, awaiting=awaiting)
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        await _calm_users(context, at)
        raise
    return at


async def _calm_users(context: Context, announced: float | None) -> None:
    if announced is not None:
        async with open_bus(bus_address(), context.settings.rpm_ostree.connect_timeout) as bus:
            await withdraw_announcement(bus, context.effects, announced)


async def _let_go(context: Context, record: Record, wait: Wait) -> Failure | None:
    """A node that waits need not be drained meanwhile, and needs no slot; why something is still due.

    One that failed keeps its slot all the same; and one that waits for a slot may have it, if it was not heard.
    """
    due, record = await end_drain(context, record, State.STAGED, wait.what)
    waits_for_it = wait.failure is not None and wait.failure.code in _OF_LOCKS
    if due is None and record.failure is None and not waits_for_it:
        due, _ = await give_back(context, record)
    return due


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
