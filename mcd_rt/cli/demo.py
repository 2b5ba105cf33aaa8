"""``mcd-rt demo``: the main job on a simulated node, start to end, and whether it went as told."""

import argparse
import asyncio
import json
import sys

from mcd_rt.cli.demo_beside_mcd import play_beside_mcd
from mcd_rt.cli.demo_stage import Stage
from mcd_rt.cli.demo_switch import play_switch
from mcd_rt.cli.demo_upgrade import play_upgrade
from mcd_rt.sim.profiles import DEFAULT, PROFILES

_SCENARIOS = {"switch": play_switch, "upgrade": play_upgrade, "beside-mcd": play_beside_mcd}
_EPILOG = """\
scenarios:
  switch      default -> realtime, the same again, realtime -> default
  upgrade     os.manage = "image": OS upgrades and a downgrade of a node that keeps realtime
  beside-mcd  beside a machine-config-daemon that rebases the OS and reboots at once
"""


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "demo",
        help="watch the whole trip on a simulated node: default, real-time, and back",
        description="Boots a simulated node (no root, no network, only dbus-daemon), asks it for the real-time kernel, "
        "and goes on with one of the scenarios; each step is checked. Exit code 0: everything went as told.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--scenario", choices=sorted(_SCENARIOS), default="switch", help="what is played")
    parser.add_argument("--rpm-ostree", choices=sorted(PROFILES), default=DEFAULT, help="the version to behave like")
    parser.add_argument(
        "--el", type=int, choices=(8, 9), default=9, help="the release of Enterprise Linux it begins with (default: 9)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Play it and say how it went."""
    told = asyncio.run(_SCENARIOS[arguments.scenario](Stage(sys.stdout), arguments.rpm_ostree, arguments.el))
    if arguments.json:
        print(json.dumps(told.document))
    return 0 if told.ok else 1
