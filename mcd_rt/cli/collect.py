"""``mcd-rt collect``: what somebody elsewhere needs to find the cause, and no secrets."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from mcd_rt import __version__
from mcd_rt.cli.context import host_paths
from mcd_rt.cli.findings import COMMANDS, FINDINGS, Finding, Found
from mcd_rt.effects import Effects, HostEffects
from mcd_rt.errors import AgentError
from mcd_rt.hostpaths import HostPaths
from mcd_rt.observed.command import Heard, hear_all
from mcd_rt.report.supportarchive import Part, pack, write_archive

_PATIENCE = 45.0
"""Seconds for each part, more than a command may take: an archive without one of them is better than none."""

_HEARD = 4 << 20
_README = """\
What `mcd-rt collect` of mcd-rt {version} found on {moment}.

Nothing of this was sent anywhere. It has no credentials, no environment, and of MachineConfigs only what
concerns the kernel: their files, users and units are left out. What still looked like a secret is
replaced by the word REDACTED. Look through it before you hand it on: names of hosts, images and registries are in it.

NOT THERE: this host has no such thing. FAILED: it should have told something and did not; what it said of that is in
the file, where it said anything. SILENT: it was asked and has nothing to say.

{contents}
"""


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "collect",
        help="write a support archive, without secrets",
        description="Writes a tar.gz with status, plan, settings and their drop-ins, the kernel's part of the configs, "
        "which hooks there are, record, host facts, rpm-ostree's status and the journals of the services that matter. "
        "It changes nothing; its README names what is not there, failed, or had nothing to say. Where the settings "
        "are wrong, the rest is found with the defaults. Run it as root: others see less.",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="where to (default: a new file in /var/tmp); - for standard output",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the archive, and say where it is."""
    effects, paths = HostEffects(), host_paths()
    now = effects.now()
    archive = pack(asyncio.run(collect(effects, paths)), now)
    if arguments.output == Path("-"):
        sys.stdout.buffer.write(archive)
        return 0
    name = f"mcd-rt-collect-{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%SZ}.tar.gz"
    place = arguments.output or paths.below("/var/tmp") / name  # noqa: S108 - a new file, 0600, never through a link
    write_archive(effects, place, archive)
    print(f"{place} ({len(archive) // 1024 + 1} KiB): look through it before you hand it on")
    return 0


async def collect(effects: Effects, paths: HostPaths) -> list[Part]:
    """Every part that can be had, the README first."""
    parts: list[Part] = []
    contents: list[str] = []
    for name, about, find in (*FINDINGS, *_commands(effects, paths)):
        text, remark = await _found(find, paths)
        parts += [] if text is None else [Part(name, text)]
        contents.append(f"{name:<28}{about}" + (f" -- {remark}" if remark else ""))
    moment = datetime.fromtimestamp(effects.now(), UTC).isoformat(timespec="seconds")
    readme = _README.format(version=__version__, moment=moment, contents="\n".join(contents))
    return [Part("README.txt", readme), *parts]


async def _found(find: Callable[[HostPaths], Awaitable[Found]], paths: HostPaths) -> Found:
    """What a finding says, or why it cannot be had."""
    try:
        async with asyncio.timeout(_PATIENCE):
            return await find(paths)
    except AgentError as error:
        return Found(None, f"FAILED: {error.failure}")
    except FileNotFoundError as error:
        return Found(None, f"NOT THERE: {error}")
    except (TimeoutError, OSError) as error:
        return Found(None, f"FAILED: {str(error) or f'nothing for {_PATIENCE:g} s'}")


def _commands(effects: Effects, paths: HostPaths) -> list[Finding]:
    def asking(program: str, *arguments: str) -> Callable[[HostPaths], Awaitable[Found]]:
        async def ask(_paths: HostPaths) -> Found:
            return _judged(await hear_all(effects, paths, program, arguments, limit=_HEARD))

        return ask

    return [Finding(name, " ".join((program, *words)), asking(program, *words)) for name, program, *words in COMMANDS]


def _judged(heard: Heard) -> Found:
    if heard.status is None:
        return Found(heard.text or None, "FAILED: it was ended, because it took too long")
    if heard.status != 0:
        return Found(heard.text or None, f"FAILED: exit status {heard.status}")
    return Found(heard.text) if heard.text else Found(None, "SILENT: it has nothing to say")
