"""``mcd-rt status``: what the agent last said."""

import argparse
import asyncio
from datetime import datetime

from mcd_rt.cli.context import host_paths
from mcd_rt.cli.follow import follow_status, status_json
from mcd_rt.errors import Failure
from mcd_rt.lock import is_agent_running
from mcd_rt.model.content import Judge
from mcd_rt.model.state import State
from mcd_rt.report.status import Status, read_status

_NEEDS_A_PERSON = (State.BLOCKED, State.HELD)
_HEALTHY = (State.STEADY, State.IGNORED, State.UNSUPPORTED, State.OBSERVING, State.WAITING)
BUSY = 3


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "status",
        help="what the agent does, and what it waits for",
        description="Prints what the agent last said. Exit code 0: healthy; 3: busy, waiting for a reboot, or trying "
        "again; 1: a person must act, or no agent runs.",
    )
    parser.add_argument("--follow", action="store_true", help="print what it does as it does it, until it stops")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the status."""
    paths = host_paths()
    if arguments.follow:
        asyncio.run(follow_status(paths, as_json=arguments.json))
    status, running = read_status(paths), is_agent_running(paths)
    if arguments.json:
        print(status_json(status, running=running))
    else:
        print("\n".join(describe_status(status, running=running)))
    if status.state in _NEEDS_A_PERSON or not running:
        return 1
    return 0 if status.state in _HEALTHY else BUSY


def describe_status(status: Status, *, running: bool) -> list[str]:
    """The status as lines for people."""
    last = "" if running else "  (no agent runs now: this is what it said last)"
    wanted = f"{status.wanted} by {status.config}" if status.wanted else "not known"
    lines = [
        f"{status.state} since {_time(status.since)}{last}",
        f"  {status.summary}",
        f"  wanted:   {wanted}",
        f"  running:  {status.running} ({status.kernel_release})" if status.running else "  running:  not known",
        f"  booted:   {status.booted or 'not known'}",
        f"  staged:   {status.staged or 'nothing'}",
    ]
    if status.progress:
        percent = f" {status.percent} %" if status.percent >= 0 else ""
        lines.append(f"  doing:    {status.progress}{percent}")
    if status.trusted_by == Judge.NOBODY:
        lines.append("  trust:    NOBODY JUDGED THE SIGNATURES OF THE PACKAGES (content.trust is digest-only)")
    elif status.trusted_by:
        lines.append(f"  trust:    signatures judged by {status.trusted_by}, image read by way of {status.read_by}")
    if status.failure is not None:
        lines += _failure_lines("why", status.failure)
    if status.last_failure is not None and status.last_failure != status.failure:
        lines += _failure_lines("last", status.last_failure)
    if status.next_attempt is not None:
        lines.append(f"  next:     {_time(status.next_attempt)}")
    if status.verified_at is not None and status.switch_seconds is not None:
        lines.append(f"  switched: verified {_time(status.verified_at)}, took {status.switch_seconds:.1f} s")
    return lines


def _failure_lines(label: str, failure: Failure) -> list[str]:
    lines = [f"  {label + ':':<9} {failure.code}: {failure.message}"]
    return [*lines, f"            {failure.hint}"] if failure.hint else lines


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().isoformat(sep=" ", timespec="seconds")
