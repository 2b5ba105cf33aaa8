"""``mcd-rt verify``: is the right kernel running? Needs no agent, no bus and no rpm-ostree."""

import argparse
import json
from collections.abc import Callable

from mcd_rt.cli.context import make_context
from mcd_rt.desired.machineconfig import Absent
from mcd_rt.desired.sources import read_desired
from mcd_rt.errors import Failure
from mcd_rt.frozen import frozen
from mcd_rt.model.desired import Desired
from mcd_rt.model.host import Host
from mcd_rt.model.plan import Target
from mcd_rt.model.record import Record
from mcd_rt.observed.booted import booted_deployment
from mcd_rt.observed.host import read_host
from mcd_rt.plan.verification import judge_running
from mcd_rt.record import load_record


@frozen
class Judgement:
    """What must run (empty: not known, so anything may), and what is wrong if it does not."""

    wanted: str
    source: str
    failure: Failure | None = None


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "verify",
        help="is the right kernel running? (needs no agent)",
        description="Compares the running kernel with the switch this boot was meant to complete, else with the node "
        "config. Exit code 0: it is the right one, or none is asked for; 1: it is not. Made for health checks"
        " such as greenboot.",
    )
    parser.add_argument(
        "--boot",
        action="store_true",
        help="judge only the switch that this boot was meant to complete, and only where its deployment is what booted:"
        " no config, a fall-back, or anything that cannot be known is right",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the judgement."""
    context = make_context(silent=True)
    host = read_host(context.paths)
    record = load_record(context.paths)
    if arguments.boot:
        judgement = _judge_boot(host, record, booted_deployment(context.paths, host.kernel_arguments))
    else:
        judgement = _judge(host, record, lambda: read_desired(context.paths, context.settings.node_config))
    failure = judgement.failure
    if arguments.json:
        document = {
            "verified": failure is None,
            "wanted": judgement.wanted or None,
            "source": judgement.source,
            "kernel_release": host.kernel_release,
            "realtime": host.realtime,
            "code": failure.code.value if failure else None,
            "message": failure.message if failure else None,
        }
        print(json.dumps(document))
    elif failure is not None:
        print(f"wrong: {failure.code}: {failure.message} (wanted by {judgement.source})\n  {failure.hint}")
    else:
        wanted = judgement.wanted or "no particular kernel"
        print(f"right: {host.kernel_release} runs, {wanted} is wanted by {judgement.source}")
    return 0 if failure is None else 1


def _judge(host: Host, record: Record, read_config: Callable[[], Desired | Absent]) -> Judgement:
    if not host.supported:
        return Judgement("", f"nothing: {host.os_id or 'this host'} is left alone")
    target = _boot_target(host, record)
    if target is not None:
        return Judgement(target.kernel_type.value, "the switch recorded", judge_running(target, host))
    desired = read_config()
    if isinstance(desired, Absent):
        return Judgement("", f"nothing: {desired.reason}")
    wanted = Target(desired.kernel_type, "", "", (), "")
    return Judgement(desired.kernel_type.value, desired.name, judge_running(wanted, host))


def _judge_boot(host: Host, record: Record, booted: str) -> Judgement:
    """For whoever falls back to another deployment if this one is wrong: what another one runs is not its fault."""
    target, attempt = _boot_target(host, record), record.attempt
    if not host.supported or target is None or attempt is None:
        return Judgement("", "nothing: this boot was not to complete a switch")
    if booted != attempt.deployment_id:
        what = booted or "a deployment that cannot be seen"
        return Judgement("", f"nothing: {what} was booted, not the {attempt.deployment_id} of the switch")
    return Judgement(target.kernel_type.value, "the switch recorded", judge_running(target, host))


def _boot_target(host: Host, record: Record) -> Target | None:
    """The switch this boot was to complete: the one thing a health check right after it must look at."""
    attempt = record.attempt
    if attempt is None or not attempt.is_counted or attempt.boot_id == host.boot_id:
        return None
    return attempt.target
