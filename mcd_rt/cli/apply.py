"""``mcd-rt apply``: one pass, in the foreground."""

import argparse
import asyncio
import contextlib
import signal

from mcd_rt.act.placement import leave_isolated_cpus
from mcd_rt.agent import run_pass
from mcd_rt.cli.context import make_context, start_logging
from mcd_rt.control import Verb, ask_agent
from mcd_rt.errors import AgentError, Code
from mcd_rt.firstboot import run_firstboot
from mcd_rt.lock import only_agent
from mcd_rt.model.state import State
from mcd_rt.observation import Context
from mcd_rt.plan.outcome import GoingDown, Progressed, Retry, Settled, state_of


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "apply",
        help="make the change now, then exit",
        description="Does what the service would do now, in the foreground, and exits: after asking for the "
        "reboot, when nothing is left to do, or at the first failure (exit code 1). Where the service"
        " runs, it is asked to look now instead, and its answer is printed.",
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--no-reboot", action="store_true", help="stage the change, locked, and leave it there")
    how.add_argument(
        "--firstboot",
        action="store_true",
        help="for mcd-rt-firstboot.service: once in a node's life, before its first workload, with retries and "
        "reboots until it is over or firstboot.timeout has passed",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """One pass, here or by the running service; or the first boot."""
    start_logging()
    if arguments.firstboot:
        with contextlib.suppress(asyncio.CancelledError):  # stopped, as in the reboot it asked for
            return asyncio.run(_first_boot())
        return 0
    context = make_context(may_reboot=not arguments.no_reboot)
    try:
        with only_agent(context.effects, context.paths):
            leave_isolated_cpus(context.effects, context.paths)
            return asyncio.run(_apply(context))
    except AgentError as error:
        if error.failure.code is not Code.AGENT_RUNNING:
            raise
        if arguments.no_reboot:
            raise AgentError(
                Code.AGENT_RUNNING,
                "the service runs and reboots by its own strategy",
                "stop it, or leave --no-reboot out",
            ) from error
    reply = asyncio.run(ask_agent(context.paths.control, Verb.APPLY, None))
    print(reply.text)
    return 0 if reply.ok else 1


async def _first_boot() -> int:
    running = asyncio.current_task()
    assert running is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    context = make_context()
    with only_agent(context.effects, context.paths):
        leave_isolated_cpus(context.effects, context.paths)
        return 0 if await run_firstboot(context) else 1


async def _apply(context: Context) -> int:
    while isinstance(outcome := await run_pass(context), Progressed):
        pass
    match outcome:
        case Settled(state, summary, failure, until, awaiting):
            context.reporter.enter(state, summary, failure, until, awaiting=awaiting)
            return 1 if outcome.state in (State.BLOCKED, State.HELD) else 0
        case Retry(failure):
            context.reporter.enter(state_of(outcome), failure.message, failure)
            return 1
        case GoingDown(summary):
            context.reporter.enter(state_of(outcome), summary)
            return 0
