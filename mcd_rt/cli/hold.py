"""``mcd-rt hold``: no reboot, until a time or until somebody says else."""

import argparse

from mcd_rt.cli.context import make_context
from mcd_rt.cli.duration import duration
from mcd_rt.cli.standing import say
from mcd_rt.control import Verb
from mcd_rt.holding import set_hold


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "hold",
        help="do not reboot this node, for a time or until `mcd-rt resume`",
        description="From now on the agent does not reboot the node, nor asks others to, whatever reboot.strategy "
        "says; a change is still fetched and staged. It outlives restarts and reboots, and `mcd-rt status` shows it. "
        "Where reboot.strategy is sentinel, what is staged is not locked, and a reboot by somebody else still applies "
        "it.",
    )
    parser.add_argument("--for", dest="seconds", type=duration, metavar="DURATION", help="such as 90m, 1h30m or 2d")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Say it to the running service, or write it down for the next one."""
    seconds: float | None = arguments.seconds
    context = make_context(silent=True)
    return say(context, Verb.HOLD, lambda: set_hold(context, seconds), seconds)
