"""What ``mcd-rt collect`` looks for, as rows of two tables: what the agent knows, and commands of the host.

What is told is chosen, not filtered: of a MachineConfig the values that concern the kernel, of a unit some of its
properties, of the host some facts. Nothing here reads a pull secret or an environment.
"""

import json
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from stat import filemode
from typing import NamedTuple

from mcd_rt.cli.plan import explain_node
from mcd_rt.cli.settings import describe_settings
from mcd_rt.desired.machineconfig import read_machine_config
from mcd_rt.desired.sources import config_files
from mcd_rt.effects import HostEffects
from mcd_rt.errors import AgentError, ConfigInvalid
from mcd_rt.hooks.find import directories_of, find_hooks
from mcd_rt.hooks.protocol import Occasion
from mcd_rt.hostpaths import HostPaths
from mcd_rt.lock import is_agent_running
from mcd_rt.model.listen import TcpAddress, UnixAddress, parse_listen
from mcd_rt.model.settings import Settings
from mcd_rt.observation import Context
from mcd_rt.observed.host import read_host
from mcd_rt.report.health import health_of
from mcd_rt.report.reporter import Reporter
from mcd_rt.report.scrape import scrape
from mcd_rt.report.space import space_of
from mcd_rt.report.status import as_of, read_status
from mcd_rt.report.words import describe_status
from mcd_rt.settings import drop_ins, load_settings, trace_settings

_BY_DEFAULT = "the settings are wrong: with the defaults"
_CODE = re.compile(r"""(?:[^"'#]|"(?:[^"\\]|\\.)*"|'[^']*')*""")
"""A line of TOML up to its comment."""


class Found(NamedTuple):
    """The text of a file of the archive, if there is one, and what has to be said of it."""

    text: str | None
    remark: str = ""


class Finding(NamedTuple):
    """A file of the archive, what it is, and who finds it."""

    name: str
    about: str
    find: Callable[[HostPaths], Awaitable[Found]]


def _settings_or_defaults(paths: HostPaths) -> tuple[Settings, str]:
    """The settings, or the defaults where they are wrong, which is when an archive is needed most; and a remark."""
    try:
        return load_settings(paths), ""
    except AgentError as error:
        return Settings(), f"{_BY_DEFAULT} ({error.failure.message})"


async def _status(paths: HostPaths) -> Found:
    now = HostEffects().now()
    status, running = as_of(read_status(paths), now), is_agent_running(paths)
    judged = f"health: {health_of(status, now, running=running)}"
    lines = [*describe_status(status, now, running=running), judged, "", json.dumps(asdict(status), indent=1)]
    return Found("\n".join(lines) + "\n")


async def _plan(paths: HostPaths) -> Found:
    (settings, remark), effects = _settings_or_defaults(paths), HostEffects()
    explanation = await explain_node(Context(paths, settings, effects, Reporter(effects, paths, silent=True)))
    hint = explanation.failure.hint if explanation.failure is not None else ""
    return Found("\n".join((*filter(None, (remark,)), *explanation.lines, hint)) + "\n", remark)


async def _settings(paths: HostPaths) -> Found:
    return Found("\n".join(describe_settings(trace_settings(paths))) + "\n")


async def _drop_ins(paths: HostPaths) -> Found:
    """As they are, but for comments: whatever is wrong in them."""
    found = []
    for file in drop_ins(paths):
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        found.append("\n".join((f"# {file}", *filter(str.strip, map(_without_comment, lines)))))
    return Found("\n\n".join(found) + "\n") if found else Found(None, "NOT THERE: there are no drop-ins")


def _without_comment(line: str) -> str:
    code = _CODE.match(line)
    return line if code is None else code.group().rstrip()


async def _hooks(paths: HostPaths) -> Found:
    """Which there are and whose, and whether they would be run; not what is in them."""
    lines = [line for occasion in Occasion for line in _hooks_of(paths, occasion)]
    return Found("\n".join(lines) + "\n")


def _hooks_of(paths: HostPaths, occasion: Occasion) -> Iterator[str]:
    for directory in directories_of(paths, occasion):
        yield f"{directory}: {_of_file(directory)}"
        yield from (f"  {path.name}: {_of_file(path)}" for path in sorted(directory.glob("*")))
    try:
        yield f"{occasion}: {len(find_hooks(paths, occasion))} would be run"
    except AgentError as error:
        yield f"{occasion}: {error.failure}"


def _of_file(path: Path) -> str:
    try:
        found = path.lstat()
    except OSError as error:
        return error.strerror or str(error)
    changed = datetime.fromtimestamp(found.st_mtime, UTC).isoformat(timespec="seconds")
    leads = f", leads to {path.readlink()}" if path.is_symlink() else ""
    return f"{filemode(found.st_mode)} {found.st_uid}:{found.st_gid}, {found.st_size} bytes, {changed}{leads}"


async def _configs(paths: HostPaths) -> Found:
    """Of each file only the fields the agent reads; of a wrong one where it is wrong, not what stands there."""
    found: list[object] = []
    settings, remark = _settings_or_defaults(paths)
    for file in config_files(paths, settings.node_config):
        try:
            found.append(asdict(read_machine_config(file)))
        except ConfigInvalid as error:
            found.append({"source": str(file), "wrong": error.failure.code, "line": error.line, "column": error.column})
    return Found(json.dumps(found, indent=1) + "\n", remark)


async def _record(paths: HostPaths) -> Found:
    return Found(paths.record.read_text(encoding="utf-8", errors="replace"))


async def _host(paths: HostPaths) -> Found:
    space = {place: asdict(space_of(paths.below(place))) for place in ("/boot", "/sysroot", "/var", "/run")}
    return Found(json.dumps({"host": asdict(read_host(paths)), "space": space}, indent=1) + "\n")


async def _metrics(paths: HostPaths) -> Found:
    settings, remark = _settings_or_defaults(paths)
    match parse_listen(settings.metrics.listen):
        case None:
            return Found(None, "SILENT: metrics.listen is off")
        case TcpAddress() as address:
            return Found(await scrape(address), remark)
        case UnixAddress(path):
            return Found(await scrape(UnixAddress(str(paths.below(path)))), remark)


FINDINGS = (
    Finding("status.txt", "what the agent said last", _status),
    Finding("plan.txt", "what it would do now, and why", _plan),
    Finding("configs.json", "what the MachineConfigs say of the kernel, and nothing else of them", _configs),
    Finding("settings.toml", "the agent's settings, and where each comes from", _settings),
    Finding("drop-ins.txt", "the files they come from, without comments", _drop_ins),
    Finding("hooks.txt", "which hooks there are, and whose; not what is in them", _hooks),
    Finding("record.json", "what it remembers across boots", _record),
    Finding("host.json", "what the host is and runs, and room", _host),
    Finding("metrics.txt", "the metrics of the running agent", _metrics),
)

_JOURNAL = ("/usr/bin/journalctl", "--no-pager", "-o", "short-iso", "-n", "2000")
_UNITS = (
    "mcd-rt.service",
    "mcd-rt-firstboot.service",
    "mcd-rt-fetch.socket",
    "mcd-rt-inspect.socket",
    "mcd-rt-hooks.socket",
    "rpm-ostreed.service",
    "ostree-finalize-staged.service",
)
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
