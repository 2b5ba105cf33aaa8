"""Words of a person that stand in the record: said to the running service, or written down where none runs."""

import asyncio
from collections.abc import Callable

from mcd_rt.control import Verb, ask_agent
from mcd_rt.errors import AgentError, Code
from mcd_rt.lock import only_agent
from mcd_rt.observation import Context


def say(context: Context, verb: Verb, write: Callable[[], str], seconds: float | None = None) -> int:
    """Have it done and print what came of it; returns the exit code.

    ``write`` does it where no service runs, and returns what to print.
    """
    try:
        with only_agent(context.effects, context.paths):
            print(write())
    except AgentError as error:
        if error.failure.code is not Code.AGENT_RUNNING:
            raise
    else:
        return 0
    reply = asyncio.run(ask_agent(context.paths.control, verb, None, seconds))
    print(reply.text)
    return 0 if reply.ok else 1
