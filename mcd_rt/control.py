"""The control socket of the running agent: one line of JSON in, one out.

``{"verb": "retry"}`` → ``{"ok": true, "text": "..."}``; ``{"verb": "hold", "seconds": 3600}`` the same;
``{"verb": "follow"}`` → a line a change until the client or the agent goes. Only root, and the members of a group where
one is set, can open it. A client that stalls or floods costs a bounded buffer, and nobody else anything.
"""

import asyncio
import contextlib
import grp
import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from enum import StrEnum, unique
from pathlib import Path

from mcd_rt.effects import Effects
from mcd_rt.errors import AgentError, Code
from mcd_rt.frozen import frozen

LONGEST = 1e9
"""Seconds, some thirty years: the longest hold that has an end."""
_LINE = 4096
_ANSWER = 1024 * 1024
_REQUEST_TIMEOUT = 10.0
_CLIENTS = 32
_FOLLOW = "follow"
_FOLLOWERS = 8
_BACKLOG = 64 * 1024
"""Bytes that a follower may leave unread, besides what the kernel keeps for it; hundreds of lines."""


@unique
class Verb(StrEnum):
    """What can be asked of the running agent."""

    APPLY = "apply"
    RETRY = "retry"
    REBOOT = "reboot"
    HOLD = "hold"
    RESUME = "resume"


@frozen
class Reply:
    """The answer: whether it was done, and a sentence."""

    ok: bool
    text: str


class Feed:
    """Lines for those who follow; none of them can hold up the agent: who does not read is dropped."""

    def __init__(self, current: Callable[[], bytes]) -> None:
        """``current`` is the line that is to be told now; it is made only when somebody follows."""
        self._current = current
        self._followers: set[asyncio.StreamWriter] = set()

    def publish(self) -> None:
        """Tell everybody the current line."""
        if self._followers:
            self._send(self._current())

    def close(self) -> None:
        """Tell everybody that this was the last line."""
        self._send(_encoded(Reply(ok=True, text="the agent stops")))
        self._followers.clear()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Tell one client the current line, and what is published until it goes, or says anything more."""
        if len(self._followers) >= _FOLLOWERS:
            writer.write(_encoded(Reply(ok=False, text=f"{_FOLLOWERS} others follow already")))
            return
        writer.write(self._current())
        self._followers.add(writer)
        try:
            with contextlib.suppress(OSError):
                await reader.read(1)
        finally:
            self._followers.discard(writer)
            writer.transport.abort()  # what it did not take by now is not waited for

    def _send(self, line: bytes) -> None:
        for follower in tuple(self._followers):
            if follower.transport.get_write_buffer_size() > _BACKLOG:
                self._followers.discard(follower)
                follower.transport.abort()
            else:
                follower.write(line)


@asynccontextmanager
async def serve_control(
    effects: Effects, path: Path, answer: Callable[[Verb, float | None], Awaitable[Reply]], feed: Feed, group: str = ""
) -> AsyncIterator[None]:
    """Serve requests while the body runs, to root and to the members of ``group``.

    Raises ``AgentError`` (``write-failed``, or ``settings-invalid`` for a group that is not there) if it cannot.
    """
    owner = group_id(group)
    clients: set[asyncio.Task[None]] = set()

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(clients) >= _CLIENTS:
            writer.write(_encoded(Reply(ok=False, text=f"{_CLIENTS} clients are connected already")))
            writer.close()
            return
        clients.add(task)
        try:
            await _serve_one(reader, writer, answer, feed)
        except asyncio.CancelledError:  # the service ends; some asyncio report a cancelled client as an error
            return
        finally:
            clients.discard(task)
            writer.close()

    server = await asyncio.start_unix_server(client, sock=_listen(effects, path, owner), limit=_LINE)
    try:
        yield
    finally:
        server.close()
        feed.close()
        for task in tuple(clients):
            task.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        effects.remove(path)


def _listen(effects: Effects, path: Path, owner: int | None) -> socket.socket:
    try:
        effects.make_directory(path.parent, 0o755)
        effects.remove(path)
        return _private_socket(path, owner)
    except OSError as error:
        message = f"cannot listen on {path}: {error.strerror or error}"
        raise AgentError(Code.WRITE_FAILED, message, "is /run writable?") from error


def group_id(name: str) -> int | None:
    """The number of a group, ``None`` for no name; raises ``AgentError`` (``settings-invalid``)."""
    if not name:
        return None
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError as error:
        raise AgentError(
            Code.SETTINGS_INVALID, f"control.group: this host has no group {name}", f"`groupadd --system {name}`"
        ) from error


def share_socket(path: Path, owner: int | None) -> None:
    """Let the members of a group open the socket, or nobody but root; raises ``OSError``."""
    path.chmod(0o600)  # the group it had may be another one
    if owner is not None:
        os.chown(path, -1, owner)
        path.chmod(0o660)


async def ask_agent(
    path: Path,
    verb: Verb,
    timeout: float | None,  # noqa: ASYNC109 - None waits for ever
    seconds: float | None = None,
) -> Reply:
    """Ask the running agent, of ``hold`` for how many ``seconds``, ``None`` for ever.

    Raises ``AgentError`` (``agent-not-running``, ``control-refused``).
    """
    with _refusals(path, timeout):
        async with asyncio.timeout(timeout):
            reader, writer = await _open(path, verb, seconds)
            with contextlib.closing(writer):
                line = await reader.readline()
    match _decoded(line):
        case {"ok": bool() as ok, "text": str() as text}:
            return Reply(ok, _sayable(text))
        case _:
            raise AgentError(Code.CONTROL_REFUSED, "the agent went away without an answer", "`mcd-rt status`")


async def follow_agent(path: Path) -> AsyncIterator[bytes]:
    """The agent's lines as they come, the current one first; only a failure ends them.

    Raises ``AgentError``: ``agent-not-running`` when it stops or does not run, ``control-refused``.
    """
    with _refusals(path, _REQUEST_TIMEOUT):
        async with asyncio.timeout(_REQUEST_TIMEOUT):
            reader, writer = await _open(path, _FOLLOW)
    hint = "`mcd-rt status` tells what it said last"
    with contextlib.closing(writer):
        while True:
            with _refusals(path, None):
                line = await reader.readline()
            match _decoded(line):
                case {"ok": True}:
                    raise AgentError(Code.AGENT_NOT_RUNNING, "the agent has stopped", hint)
                case {"ok": False, "text": str() as text}:
                    why = f"the agent does not take it: {_sayable(text)}"
                    raise AgentError(Code.CONTROL_REFUSED, why, "try again later")
                case None:
                    gone = "the agent went away without a word, or did not wait for a reader this slow"
                    raise AgentError(Code.AGENT_NOT_RUNNING, gone, hint)
                case _:
                    yield line


async def _open(
    path: Path, verb: str, seconds: float | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_unix_connection(path, limit=_ANSWER)
    writer.write(json.dumps({"verb": verb} if seconds is None else {"verb": verb, "seconds": seconds}).encode() + b"\n")
    return reader, writer


@contextmanager
def _refusals(path: Path, timeout: float | None) -> Iterator[None]:
    """Tell a failure of the socket for what it is to whoever asked."""
    try:
        yield
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise AgentError(Code.AGENT_NOT_RUNNING, f"no agent listens on {path}", "`systemctl start mcd-rt`") from error
    except PermissionError as error:
        hint = "only root and the group of the setting control.group may do this"
        raise AgentError(Code.CONTROL_REFUSED, f"{path}: {error.strerror}", hint) from error
    except (OSError, TimeoutError, ValueError) as error:  # an endless answer is a ValueError
        why = str(error) or f"nothing for {timeout} s"
        raise AgentError(Code.CONTROL_REFUSED, f"the agent did not answer: {why}", "`mcd-rt status`") from error


def _private_socket(path: Path, owner: int | None) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        listening.bind(str(path))
        share_socket(path, owner)
        listening.listen(8)
    except OSError:
        listening.close()
        raise
    return listening


async def _serve_one(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    answer: Callable[[Verb, float | None], Awaitable[Reply]],
    feed: Feed,
) -> None:
    try:
        async with asyncio.timeout(_REQUEST_TIMEOUT):
            line = await reader.readline()
    except (TimeoutError, ValueError, OSError):  # silent, endless or gone: nobody to answer
        return
    match _decoded(line):
        case {"verb": str() as verb} if verb == _FOLLOW:
            await feed.serve(reader, writer)
            return
        case {"verb": Verb.HOLD, "seconds": int() | float() as seconds, **rest} if _is_time(seconds) and not rest:
            reply = await answer(Verb.HOLD, float(seconds))
        case {"verb": str() as verb, **rest} if verb in set(Verb) and not rest:
            reply = await answer(Verb(verb), None)
        case _:
            reply = Reply(ok=False, text=f"not a request; verbs are {', '.join((*Verb, _FOLLOW))}")
    with contextlib.suppress(OSError):  # a client that did not wait for the answer
        writer.write(_encoded(reply))
        await writer.drain()


def _is_time(seconds: float) -> bool:
    return not isinstance(seconds, bool) and 0 < seconds <= LONGEST


def _encoded(reply: Reply) -> bytes:
    return json.dumps({"ok": reply.ok, "text": reply.text}).encode() + b"\n"


def _sayable(text: str) -> str:
    """The text without halves of characters, which JSON can have and no terminal can be told."""
    return text.encode(errors="replace").decode()


def _decoded(line: bytes) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None
