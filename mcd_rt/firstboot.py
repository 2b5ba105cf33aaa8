"""The change before the first workload: passes and reboots until nothing is left to do, or a deadline.

Whatever comes of it, it is over then, and never runs again: kubelet starts, and from there on the service
(``service.py``) does what is left, with the node's own reboot strategy.
"""

import asyncio
import logging
from dataclasses import replace
from typing import assert_never

from mcd_rt.agent import run_pass
from mcd_rt.effects import write_durably
from mcd_rt.errors import Code, Failure
from mcd_rt.model.state import State
from mcd_rt.observation import Context
from mcd_rt.plan.outcome import GoingDown, Progressed, Retry, Settled, retry_delay, state_of
from mcd_rt.record import load_record, save_record

LOG = logging.getLogger("mcd_rt")

MCD_PENDING = "/etc/ignition-machine-config-encapsulated.json"
"""There until the machine-config-daemon's own first boot is over (``reference/machine-config-daemon.md`` 2.4)."""

_FAILED = (State.BLOCKED, State.HELD, State.RETRYING)


async def run_firstboot(context: Context) -> bool:
    """Bring the node to what is wanted, and return whether nothing failed on the way.

    In the reboot that belongs to it, it waits to be stopped; after it, the next boot's run goes on and verifies.
    Where it was over before, or the machine-config-daemon's first boot is not, nothing is done. Raises ``AgentError``:
    ``write-failed``, ``record-*``.
    """
    if context.paths.firstboot_done.exists():
        LOG.info("the first boot is over: %s is there", context.paths.firstboot_done)
        return True
    if context.paths.below(MCD_PENDING).exists():
        LOG.info("the machine-config-daemon's own first boot is not over, and goes first: %s is there", MCD_PENDING)
        return True
    # Nothing runs on the node yet that a reboot would disturb.
    reboot = replace(context.settings.reboot, strategy="immediate", splay=0.0)
    content = replace(context.settings.content, splay=0.0)
    settings = replace(context.settings, reboot=reboot, content=content)
    ended = await _run_until_over(replace(context, settings=settings))
    context.reporter.enter(ended.state, ended.summary, ended.failure)
    said = " ".join(f"{ended.state}: {ended.failure or ended.summary}".split())
    write_durably(context.effects, context.paths.firstboot_done, f"{said}\n".encode())
    if ended.failure is not None and ended.failure.code is Code.FIRSTBOOT_TIMEOUT:
        _remember(context, ended.failure)
    return ended.state not in _FAILED


async def _run_until_over(context: Context) -> Settled:
    """The last outcome, or ``firstboot-timeout``."""
    timeout = context.settings.firstboot.timeout
    try:
        async with asyncio.timeout(timeout) as limit:
            return await _run_passes(context)
    except TimeoutError:
        if not limit.expired():
            raise
    status = context.reporter.status
    reason = f"not over after {timeout:g} s, in the state {status.state}: {status.failure or status.summary}"
    hint = "the node starts with the kernel it has; mcd-rt.service goes on, and reboots by its strategy"
    failure = Failure(Code.FIRSTBOOT_TIMEOUT, f"the first boot was {reason}", hint)
    return Settled(State.RETRYING, failure.message, failure)


async def _run_passes(context: Context) -> Settled:
    settings, effects = context.settings, context.effects
    failures = 0
    while True:
        outcome = await run_pass(context)
        match outcome:
            case Progressed():
                continue
            case Settled(state=State.WAITING, summary=summary, failure=reason, until=float() as until):
                context.reporter.enter(State.WAITING, summary, reason, until)
                await asyncio.sleep(max(0.0, until - effects.now()))
            case Settled():
                return outcome  # what is waited for without an end hardly comes before kubelet
            case Retry(failure, patiently=True):
                return Settled(state_of(outcome), failure.message, failure)  # only somebody else can mend it
            case Retry(failure):
                failures += 1
                delay = retry_delay(failures, settings.retry.initial, settings.retry.ceiling, effects.chance())
                context.reporter.enter(state_of(outcome), failure.message, failure, effects.now() + delay)
                await asyncio.sleep(delay)
            case GoingDown(summary):
                context.reporter.enter(state_of(outcome), summary)
                await asyncio.sleep(settings.reboot.stuck_after)  # stopped meanwhile, or asked for once more
            case _:
                assert_never(outcome)


def _remember(context: Context, failure: Failure) -> None:
    """Keep it visible once the service has its own to say; a failed boot, which is there already, says more."""
    record = load_record(context.paths)
    if record.failure is None:
        kept = replace(record, failure=failure)
        save_record(context.effects, context.paths, kept)
        context.reporter.show_record(kept)
