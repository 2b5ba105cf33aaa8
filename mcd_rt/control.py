"""The control socket of the running agent: one line of JSON in, one out.

``{"verb": "retry"}`` → ``{"ok": true, "text": "..."}``. Only root and the service's own user can open
it. A client that stalls or floods costs a bounded buffer for a bounded time.
"""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum, unique
from pathlib import Path

from mcd_rt.effects import Effects
from mcd_rt.errors import AgentError, Code

_LINE = 4096
_ANSWER = 1024 * 1024
_REQUEST_TIMEOUT = 10.0


@unique
class Verb(StrEnum):
    """What can be asked of the running agent."""

    APPLY = "apply"
    RETRY = "retry"


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer: whether it was done, and a sentence."""

    ok: bool
    text: str


@asynccontextmanager
async def serve_control(
    effects: Effects, path: Path, answer: Callable[[Verb], Awaitable[Reply]]
) -> AsyncIterator[None]:
    """Serve requests while the body runs; raises ``AgentError`` (``write-failed``) if it cannot."""
    clients: set[asyncio.Task[None]] = set()

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        clients.add(task)
        try:
            await _serve_one(reader, writer, answer)
        except asyncio.CancelledError:  # the service ends; some asyncio report a cancelled client as an error
            return
        finally:
            clients.discard(task)
            writer.close()

    try:
        effects.make_directory(path.parent, 0o755)
        effects.remove(path)
        server = await asyncio.start_unix_server(client, sock=_private_socket(path), limit=_LINE)
    except OSError as error:
        raise AgentError(
            Code.WRITE_FAILED, f"cannot listen on {path}: {error.strerror or error}", "is /run writable?"
        ) from error
    try:
        yield
    finally:
        server.close()
        for task in tuple(clients):
            task.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        effects.remove(path)


async def ask_agent(path: Path, verb: Verb, timeout: float | None) -> Reply:  # noqa: ASYNC109 - None waits for ever
    """Ask the running agent; raises ``AgentError`` (``agent-not-running``, ``control-refused``)."""
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_unix_connection(path, limit=_ANSWER)
            with contextlib.closing(writer):
                writer.write(json.dumps({"verb": verb.value}).encode() + b"\n")
                line = await reader.readline()
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise AgentError(Code.AGENT_NOT_RUNNING, f"no agent listens on {path}", "`systemctl start mcd-rt`") from error
    except PermissionError as error:
        raise AgentError(Code.CONTROL_REFUSED, f"{path}: {error.strerror}", "only root may do this") from error
    except (OSError, TimeoutError, ValueError) as error:  # an endless answer is a ValueError
        why = str(error) or f"nothing for {timeout} s"
        raise AgentError(Code.CONTROL_REFUSED, f"the agent did not answer: {why}", "`mcd-rt status`") from error
    match _decoded(line):
        case {"ok": bool() as ok, "text": str() as text}:
            return Reply(ok, text)
        case _:
            raise AgentError(Code.CONTROL_REFUSED, "the agent went away without an answer", "`mcd-rt status`")


def _private_socket(path: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        listening.bind(str(path))
        path.chmod(0o600)
        listening.listen(8)
    except OSError:
        listening.close()
        raise
    return listening


async def _serve_one(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Callable[[Verb], Awaitable[Reply]]
) -> None:
    try:
        async with asyncio.timeout(_REQUEST_TIMEOUT):
            line = await reader.readline()
    except (TimeoutError, ValueError, OSError):  # silent, endless or gone: nobody to answer
        return
    match _decoded(line):
        case {"verb": str() as verb} if verb in set(Verb):
            reply = await answer(Verb(verb))
        case _:
            reply = Reply(ok=False, text=f"not a request; verbs are {', '.join(Verb)}")
    with contextlib.suppress(OSError):  # a client that did not wait for the answer
        writer.write(json.dumps({"ok": reply.ok, "text": reply.text}).encode() + b"\n")
        await writer.drain()


def _decoded(line: bytes) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None
