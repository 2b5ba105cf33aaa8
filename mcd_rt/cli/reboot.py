"""``mcd-rt reboot``: now, into what is staged."""

import argparse
import asyncio

from mcd_rt.cli.place import host_paths
from mcd_rt.control import Verb, ask_agent


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "reboot",
        help="reboot now into what is staged, whatever the strategy says",
        description="Has the running service reboot the node into what it has staged, or is staging, without waiting "
        "for a window, a permission or its share of a splay. Everything else holds: whoever blocks the reboot is waited"
        " for and hooks run, a hold is a hold, the brake is on, and with the strategy fleet-lock the lock is taken "
        "first. Exit code 1, and nothing happens, where nothing is staged.",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Ask the running service."""
    del arguments
    reply = asyncio.run(ask_agent(host_paths().control, Verb.REBOOT, None))
    print(reply.text)
    return 0 if reply.ok else 1
