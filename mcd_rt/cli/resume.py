"""``mcd-rt resume``: the end of a hold."""

import argparse

from mcd_rt.cli.context import make_context
from mcd_rt.cli.standing import say
from mcd_rt.control import Verb
from mcd_rt.holding import end_hold


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "resume",
        help="end a hold",
        description="Ends what `mcd-rt hold` began: the node reboots again as reboot.strategy says, at once where "
        "something is staged and it says now.",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Say it to the running service, or write it down for the next one."""
    del arguments
    context = make_context(silent=True)
    return say(context, Verb.RESUME, lambda: end_hold(context))
