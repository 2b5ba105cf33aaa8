"""Which kernel packages a base commit has: the ones that make room for another kernel.

rpm-ostree tells this neither in its D-Bus properties nor anywhere else on the bus in all the versions
served, so its own command reads it from the commit: ``rpm-ostree db list`` needs no daemon, works for
a base that is only staged, and changes nothing.
"""

import asyncio
import contextlib
from pathlib import Path

from mcd_rt.effects import Child, Effects
from mcd_rt.errors import AgentError, Code
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.nevra import Nevra

_TIMEOUT = 60.0
_MAX_OUTPUT = 8 * 1024 * 1024


async def list_kernel_packages(effects: Effects, paths: HostPaths, checksum: str) -> tuple[Nevra, ...]:
    """The packages of a base commit whose names begin with ``kernel``, sorted.

    Raises ``AgentError`` (``rpm-ostree-unavailable``) with the command's last words.
    """
    command = paths.below("/usr/bin/rpm-ostree")
    try:
        child = await effects.spawn([str(command), "db", "list", checksum], {"PATH": "/usr/bin:/bin", "LC_ALL": "C"})
    except OSError as error:
        raise _failed(command, checksum, str(error.strerror)) from error
    text, status = await _output(child, command, checksum)
    packages = [package for line in text.splitlines() if (package := _kernel_package(line))]
    if status != 0 or not text:
        raise _failed(command, checksum, f"exit status {status}")
    return tuple(sorted(packages))


async def _output(child: Child, command: Path, checksum: str) -> tuple[str, int]:
    try:
        reader, writer = await asyncio.open_unix_connection(sock=child.socket, limit=_MAX_OUTPUT)
        with contextlib.closing(writer):
            async with asyncio.timeout(_TIMEOUT):
                data = await reader.read(_MAX_OUTPUT)
                while len(data) < _MAX_OUTPUT and (more := await reader.read(_MAX_OUTPUT)):
                    data += more
                status = await child.process.wait()
    except TimeoutError as error:
        raise _failed(command, checksum, f"no answer in {_TIMEOUT:g} s") from error
    finally:
        if child.process.returncode is None:
            child.process.kill()
            await child.process.wait()
    return data.decode("utf-8", "replace"), status


def _kernel_package(line: str) -> Nevra | None:
    """Entries are indented by one space; anything else is a heading."""
    if not line.startswith(" kernel"):
        return None
    try:
        return Nevra.parse(line.strip())
    except ValueError:
        return None


def _failed(command: Path, checksum: str, why: str) -> AgentError:
    return AgentError(
        Code.RPM_OSTREE_UNAVAILABLE,
        f"`{command} db list {checksum[:12]}` failed: {why}",
        "run the command to see why; without the base's package list nothing is changed",
    )
