"""What ``mcd-rt collect`` looks for, as rows of two tables: what the agent knows, and commands of the host.

What is told is chosen, not filtered: of a MachineConfig the values that concern the kernel, of a unit some of its
properties, of the host some facts. Nothing here reads a pull secret or an environment.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import NamedTuple

from mcd_rt.cli.context import make_context
from mcd_rt.cli.plan import explain_node
from mcd_rt.cli.settings import describe_settings
from mcd_rt.desired.machineconfig import read_machine_config
from mcd_rt.desired.sources import config_files
from mcd_rt.effects import HostEffects
from mcd_rt.errors import ConfigInvalid
from mcd_rt.hostpaths import HostPaths
from mcd_rt.lock import is_agent_running
from mcd_rt.model.listen import TcpAddress, UnixAddress, parse_listen
from mcd_rt.observed.host import read_host
from mcd_rt.report.health import health_of
from mcd_rt.report.scrape import scrape
from mcd_rt.report.space import space_of
from mcd_rt.report.status import read_status
from mcd_rt.report.words import describe_status
from mcd_rt.settings import load_settings, trace_settings


class Finding(NamedTuple):
    """A file of the archive, what it is, and who finds it; ``None``: there is nothing to be found."""

    name: str
    about: str
    find: Callable[[HostPaths], Awaitable[str | None]]


async def _status(paths: HostPaths) -> str:
    status, running, now = read_status(paths), is_agent_running(paths), HostEffects().now()
    judged = f"health: {health_of(status, now, running=running)}"
    lines = [*describe_status(status, now, running=running), judged, "", json.dumps(asdict(status), indent=1)]
    return "\n".join(lines) + "\n"


async def _plan(_paths: HostPaths) -> str:
    explanation = await explain_node(make_context(silent=True))
    hint = explanation.failure.hint if explanation.failure is not None else ""
    return "\n".join((*explanation.lines, hint)) + "\n"


async def _settings(paths: HostPaths) -> str:
    return "\n".join(describe_settings(trace_settings(paths))) + "\n"


async def _configs(paths: HostPaths) -> str:
    """Of each file only the fields the agent reads; of a wrong one where it is wrong, not what stands there."""
    found: list[object] = []
    for file in config_files(paths, load_settings(paths).node_config):
        try:
            found.append(asdict(read_machine_config(file)))
        except ConfigInvalid as error:
            found.append({"source": str(file), "wrong": error.failure.code, "line": error.line, "column": error.column})
    return json.dumps(found, indent=1) + "\n"


async def _record(paths: HostPaths) -> str:
    return paths.record.read_text(encoding="utf-8", errors="replace")


async def _host(paths: HostPaths) -> str:
    space = {place: asdict(space_of(paths.below(place))) for place in ("/boot", "/sysroot", "/var", "/run")}
    return json.dumps({"host": asdict(read_host(paths)), "space": space}, indent=1) + "\n"


async def _metrics(paths: HostPaths) -> str | None:
    address = parse_listen(load_settings(paths).metrics.listen)
    match address:
        case None:
            return None
        case TcpAddress():
            return await scrape(address)
        case UnixAddress(path):
            return await scrape(UnixAddress(str(paths.below(path))))


FINDINGS = (
    Finding("status.txt", "what the agent said last", _status),
    Finding("plan.txt", "what it would do now, and why", _plan),
    Finding("configs.json", "what the MachineConfigs say of the kernel, and nothing else of them", _configs),
    Finding("settings.toml", "the agent's settings, and where each comes from", _settings),
    Finding("record.json", "what it remembers across boots", _record),
    Finding("host.json", "what the host is and runs, and room", _host),
    Finding("metrics.txt", "the metrics of the running agent", _metrics),
)

_JOURNAL = ("/usr/bin/journalctl", "--no-pager", "-o", "short-iso", "-n", "2000")
_UNITS = ("mcd-rt.service", "mcd-rt-fetch.socket", "mcd-rt-inspect.socket", "rpm-ostreed.service")
_PROPERTIES = "Id,LoadState,ActiveState,SubState,Result,NRestarts,ExecMainStatus,StateChangeTimestamp,DropInPaths"

COMMANDS = (
    ("rpm-ostree.txt", "/usr/bin/rpm-ostree", "status", "--verbose"),
    ("ostree.txt", "/usr/bin/ostree", "admin", "status"),
    ("units.txt", "/usr/bin/systemctl", "show", "--no-pager", f"--property={_PROPERTIES}", *_UNITS),
    ("inhibitors.txt", "/usr/bin/systemd-inhibit", "--list", "--no-pager"),
    ("boots.txt", "/usr/bin/journalctl", "--list-boots", "--no-pager"),
    ("journal-mcd-rt.txt", *_JOURNAL, "-b", "0", "-u", "mcd-rt*"),
    ("journal-mcd-rt-before.txt", *_JOURNAL, "-b", "-1", "-u", "mcd-rt*"),
    ("journal-rpm-ostreed.txt", *_JOURNAL, "-b", "0", "-u", "rpm-ostreed.service"),
    ("journal-finalize.txt", *_JOURNAL, "-b", "-1", "-u", "ostree-finalize-staged.service"),
)
"""Names, programs and their arguments; nothing of them changes anything or prints an environment."""
