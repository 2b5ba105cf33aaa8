"""``mcd-rt retry``: a person has looked; try again."""

import argparse
import asyncio

from mcd_rt.agent import allow_retry
from mcd_rt.cli.context import make_context
from mcd_rt.control import Verb, ask_agent
from mcd_rt.errors import AgentError, Code
from mcd_rt.lock import only_agent


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "retry",
        help="forget failed attempts and the reboot budget, and try again",
        description="Releases the brake after somebody found out why a target did not come up: attempts and the daily "
        "reboot budget begin anew. A damaged record is kept under another name and a new one begun. The "
        "running service looks at once; where none runs, its next start does.",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Release the brake, here or by the running service."""
    del arguments
    context = make_context(silent=True)
    try:
        with only_agent(context.effects, context.paths):
            allow_retry(context)
    except AgentError as error:
        if error.failure.code is not Code.AGENT_RUNNING:
            raise
    else:
        print("the brake is released; the next `mcd-rt run` or `mcd-rt apply` tries again")
        return 0
    reply = asyncio.run(ask_agent(context.paths.control, Verb.RETRY, None))
    print(reply.text)
    return 0 if reply.ok else 1
