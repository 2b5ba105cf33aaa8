"""Where inputs that must be files or sockets live while they are tried, and loops that hide no error."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

T = TypeVar("T")
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

_TURNS = 5
_MEMORY = "/dev/shm"


@contextmanager
def fresh_directory() -> Iterator[Path]:
    """An empty directory, in memory where there is one, gone after."""
    with TemporaryDirectory(prefix="fuzz-", dir=_MEMORY if os.access(_MEMORY, os.W_OK) else None) as place:
        yield Path(place)


def finish(main: Coroutine[Any, Any, T]) -> T:
    """``asyncio.run`` that fails for what went wrong in callbacks, where it would only be logged."""
    return asyncio.run(_watched(main))


async def _watched(main: Coroutine[Any, Any, T]) -> T:
    problems: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: problems.append(context))
    result = await main
    for _ in range(_TURNS):
        await asyncio.sleep(0)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, f"tasks were left running: {left}"
    for problem in problems:
        raise AssertionError(str(problem)) from problem.get("exception")
    return result


@asynccontextmanager
async def serving(path: Path, talk: Talk) -> AsyncIterator[None]:
    """A hostile server on a unix socket; whoever still talks is cut off at the end."""
    talks: set[asyncio.Task[None]] = set()
    over = False

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.add(asyncio.current_task())
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            if not over:
                await talk(reader, writer)
        writer.transport.abort()

    path.parent.mkdir(parents=True, exist_ok=True)
    server = await asyncio.start_unix_server(client, path)
    try:
        yield
    finally:
        over = True
        for _ in range(_TURNS):  # asyncio forgets whom it let in a moment before its server is closed
            await asyncio.sleep(0)
        server.close()
        for one in talks:
            one.cancel()
        await asyncio.gather(*talks)


async def say(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Send it, then nothing more."""
    writer.write(data)
    await writer.drain()
    writer.write_eof()
