"""``mcd-rt status``: what the agent last said."""

import argparse
import asyncio
from importlib.resources import files

from mcd_rt.cli.context import host_paths
from mcd_rt.cli.follow import follow_status, status_json
from mcd_rt.effects import HostEffects
from mcd_rt.lock import is_agent_running
from mcd_rt.report.health import Health, health_of
from mcd_rt.report.status import read_status
from mcd_rt.report.words import describe_status

EXIT_CODES = {Health.HEALTHY: 0, Health.NEEDS_PERSON: 1, Health.BUSY: 3}
_EPILOG = """\
exit codes:
  0   healthy: the node runs what it is asked for, or nothing is asked of it
  1   a person must act: blocked, held, no agent; no reboot.strategy chosen where it needs one; trying again, or waiting
      for a lock server or a permission that is wrong, for an hour; trying again for what only a person can mend
  3   busy: on its way, waiting for a reboot, also where that is a person's choice (never), trying again

`mcd-rt explain` says more about the codes that are shown.
"""


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "status",
        help="what the agent does, and what it waits for",
        description="Prints what the agent last said: what is wanted and by whom, what runs and what is staged, what "
        "is in the way and what to do, what comes next and when, and the last switches.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--follow", action="store_true", help="print what it does as it does it, until it stops")
    parser.add_argument("--json", action="store_true", help="print one JSON object (with --follow: one a change)")
    parser.add_argument("--schema", action="store_true", help="print the JSON schema of that object, and nothing else")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the status."""
    if arguments.schema:
        print(files("mcd_rt.report").joinpath("status.schema.json").read_text(encoding="utf-8"), end="")
        return 0
    paths = host_paths()
    if arguments.follow:
        asyncio.run(follow_status(paths, as_json=arguments.json))
    status, running, now = read_status(paths), is_agent_running(paths), HostEffects().now()
    if arguments.json:
        print(status_json(status, now, running=running))
    else:
        print("\n".join(describe_status(status, now, running=running)))
    return EXIT_CODES[health_of(status, now, running=running)]
