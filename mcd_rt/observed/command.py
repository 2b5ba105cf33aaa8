"""One command of the host that only tells something: bounded in time and output."""

import asyncio
import contextlib
from collections.abc import Sequence

from mcd_rt.effects import Child, Effects
from mcd_rt.frozen import frozen
from mcd_rt.hostpaths import HostPaths

_TIMEOUT = 30.0
_MAX_OUTPUT = 64 * 1024


@frozen
class Heard:
    """What a command said, and its exit status; ``None``: it was ended after 30 s."""

    text: str
    status: int | None


async def hear_command(
    effects: Effects, paths: HostPaths, program: str, arguments: Sequence[str], *, limit: int = _MAX_OUTPUT
) -> str | None:
    """What ``program`` (an absolute path) says, of which at most ``limit`` bytes (64 KiB) are heard.

    ``None`` where it is not there, fails, which who is not heard out mostly does, or does not end in 30 s: what it
    would have told is not known then.
    """
    argv = [str(paths.below(program)), *arguments]
    try:
        heard = await _heard(await effects.spawn(argv, _environment()), limit)
    except OSError:
        return None
    return heard.text if heard.status == 0 else None


async def hear_all(
    effects: Effects, paths: HostPaths, program: str, arguments: Sequence[str], *, limit: int = _MAX_OUTPUT
) -> Heard:
    """The same, its standard error too, however it ends; raises ``OSError`` where it cannot be started."""
    argv = [str(paths.below(program)), *arguments]
    return await _heard(await effects.spawn(argv, _environment(), with_errors=True), limit)


def _environment() -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}


async def _heard(child: Child, limit: int) -> Heard:
    said: list[bytes] = []
    status = None
    try:
        async with asyncio.timeout(_TIMEOUT):
            await _listen(child, limit, said)
            status = await child.process.wait()
    except TimeoutError:
        pass
    finally:
        if child.process.returncode is None:
            child.process.kill()
            await child.process.wait()
    return Heard(b"".join(said).decode("utf-8", "replace"), status)


async def _listen(child: Child, limit: int, said: list[bytes]) -> None:
    reader, writer = await asyncio.open_unix_connection(sock=child.socket, limit=_MAX_OUTPUT)
    with contextlib.closing(writer):
        while sum(map(len, said)) < limit and (more := await reader.read(limit)):
            said.append(more)
