"""One command of the host that only tells something: bounded in time and output."""

import asyncio
import contextlib
from collections.abc import Sequence

from mcd_rt.effects import Child, Effects
from mcd_rt.hostpaths import HostPaths

_TIMEOUT = 30.0
_MAX_OUTPUT = 64 * 1024


async def hear_command(
    effects: Effects, paths: HostPaths, program: str, arguments: Sequence[str], *, limit: int = _MAX_OUTPUT
) -> str | None:
    """What ``program`` (an absolute path) says, of which at most ``limit`` bytes (64 KiB) are heard.

    ``None`` where it is not there, fails, which who is not heard out mostly does, or does not end in 30 s: what it
    would have told is not known then.
    """
    try:
        child = await effects.spawn([str(paths.below(program)), *arguments], {"PATH": "/usr/bin:/bin", "LC_ALL": "C"})
    except OSError:
        return None
    try:
        async with asyncio.timeout(_TIMEOUT):
            text = await _output(child, limit)
            status = await child.process.wait()
    except TimeoutError:
        return None
    finally:
        if child.process.returncode is None:
            child.process.kill()
            await child.process.wait()
    return text if status == 0 else None


async def _output(child: Child, limit: int) -> str:
    reader, writer = await asyncio.open_unix_connection(sock=child.socket, limit=_MAX_OUTPUT)
    with contextlib.closing(writer):
        data = b""
        while len(data) < limit and (more := await reader.read(limit)):
            data += more
    return data.decode("utf-8", "replace")
