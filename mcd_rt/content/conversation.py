"""The agent's end of the socket to a worker: one worker, one request, frames within deadlines.

However it goes, the child is gone and reaped when the conversation is over. Its standard error is the
agent's own, so that a journal has it; what the agent needs to know of an unforeseen end, the worker says
in its last frame, and where it could not, the exit status is named.
"""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar, assert_never

from mcd_rt.content import frames
from mcd_rt.content.frames import ErrorFrame, Frame, Request
from mcd_rt.effects import Child, Effects
from mcd_rt.errors import AgentError, Code
from mcd_rt.frozen import frozen

T = TypeVar("T")

# Told that its socket is closed, a worker that is sane ends at once.
_GRACE = 5.0

# Lines are short, and what is read beyond one is copied once more: raw bytes go where they are wanted.
_ROOM = 16 * 1024


@frozen
class Command:
    """A worker that is a child: how to start it."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]


@frozen
class Listening:
    """A worker that the service manager starts for whoever connects to this socket."""

    path: Path


Worker = Command | Listening


@asynccontextmanager
async def conversation(effects: Effects, worker: Worker, idle_timeout: float) -> AsyncIterator["Conversation"]:
    """Start a worker and talk to it; it ends with the block.

    ``idle_timeout`` is seconds the worker may take for its next bytes. A child that has said everything may end by
    itself, others are killed; behind a socket it ends because nobody listens, and its unit sees to the rest. Raises
    ``AgentError`` (``worker-failed``) where it cannot be started.
    """
    process: asyncio.subprocess.Process | None = None
    match worker:
        case Command():
            child = await _spawn(effects, worker)
            connection, process = child.socket, child.process
        case Listening(path):
            connection = await _connect(path, idle_timeout)
        case _:
            assert_never(worker)
    connection.setblocking(False)  # noqa: FBT003 - the name says it
    talk = Conversation(connection, process, idle_timeout)
    try:
        yield talk
        talk.over = True
    finally:
        connection.close()
        if process is not None:
            if talk.over:
                await _wait(process)
            await _end(process)


async def _spawn(effects: Effects, command: Command) -> Child:
    try:
        return await effects.spawn(command.argv, dict(command.environment))
    except OSError as error:
        raise AgentError(
            Code.WORKER_FAILED,
            f"cannot start the worker {command.argv[0]}: {error.strerror or error}",
            "repair the installation of mcd-rt",
        ) from error


async def _connect(path: Path, timeout: float) -> socket.socket:  # noqa: ASYNC109 - the deadline of one call
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.setblocking(False)  # noqa: FBT003 - the name says it
    try:
        async with asyncio.timeout(timeout):
            await asyncio.get_running_loop().sock_connect(connection, str(path))
    except (OSError, TimeoutError) as error:
        connection.close()
        raise AgentError(
            Code.WORKER_FAILED,
            f"cannot reach the worker behind {path}: {getattr(error, 'strerror', None) or 'no answer'}",
            'look at the units of mcd-rt, or set [content] worker = "child"',
        ) from error
    return connection


async def _wait(process: asyncio.subprocess.Process) -> None:
    with suppress(TimeoutError):  # one that stays is killed when the conversation ends
        async with asyncio.timeout(_GRACE):
            await process.wait()


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):  # it ended between the two lines
            process.kill()
    await process.wait()


class Conversation:
    """Sends a request and reads frames; every wait has the deadline of ``idle_timeout``."""

    def __init__(
        self, connection: socket.socket, process: asyncio.subprocess.Process | None, idle_timeout: float
    ) -> None:
        """Belongs to ``conversation``, which ends both."""
        self._connection = connection
        self._process = process
        self._idle_timeout = idle_timeout
        self._received = bytearray()
        self._room = memoryview(bytearray(_ROOM))
        self.over = False  # nothing is expected of the worker any more: it may end by itself

    async def send(self, request: Request) -> None:
        """Raises ``AgentError``: ``worker-timeout``, ``worker-failed`` where the worker has ended."""
        await self._send(frames.encode_request(request))

    async def send_descriptors(self, descriptors: Sequence[int]) -> None:
        """Pass at most ``DESCRIPTORS_AT_ONCE`` descriptors; raises as ``send``."""
        try:
            socket.send_fds(self._connection, [b"\0"], descriptors)  # a byte never has to wait for room
        except OSError as error:
            raise await self._ended() from error

    async def send_file(self, name: str, descriptor: int) -> None:
        """Pass a file to inspect, and what to call it; raises as ``send``."""
        await self._send(frames.encode_name(name))
        await self.send_descriptors((descriptor,))

    def end_sending(self) -> None:
        """Nothing more is sent; a worker that has ended does not hear it, and makes no error of it."""
        self._connection.shutdown(socket.SHUT_WR)

    async def _send(self, line: bytes) -> None:
        await self._talk(asyncio.get_running_loop().sock_sendall(self._connection, line))

    async def receive(self) -> Frame:
        """The next frame.

        Raises ``AgentError``: what the worker says in an error frame, ``worker-timeout``, ``worker-failed``
        where it ended before or sent something else.
        """
        # A read that need not wait does not yield: a worker that never pauses would stop the agent and its deadlines.
        await asyncio.sleep(0)
        while (end := self._received.find(b"\n")) < 0:
            if len(self._received) >= frames.LINE:
                raise AgentError(Code.WORKER_FAILED, f"the worker sent a line of more than {frames.LINE} bytes")
            self._received += await self._receive_some()
        if end >= frames.LINE:
            raise AgentError(Code.WORKER_FAILED, f"the worker sent a line of more than {frames.LINE} bytes")
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        frame = frames.decode(line)
        if isinstance(frame, ErrorFrame):
            self.over = True
            raise AgentError(frame.failure.code, frame.failure.message, frame.failure.hint)
        return frame

    async def receive_bytes(self, size: int) -> bytes:
        """Exactly ``size`` raw bytes; raises as ``receive``."""
        place = bytearray(size)
        rest = memoryview(place)
        early = self._received[:size]
        del self._received[:size]
        rest[: len(early)] = early
        rest = rest[len(early) :]
        while rest:
            rest = rest[await self._receive_into(rest) :]
        return bytes(place)

    async def _receive_some(self) -> bytes:
        taken = await self._receive_into(self._room)
        return bytes(self._room[:taken])

    async def _receive_into(self, room: memoryview) -> int:
        try:  # what is there already is most of it, and costs nothing to wait for
            taken = self._connection.recv_into(room)
        except BlockingIOError:
            taken = await self._talk(asyncio.get_running_loop().sock_recv_into(self._connection, room))
        except OSError as error:
            raise await self._ended() from error
        if not taken:
            raise await self._ended()
        return taken

    async def _talk(self, exchange: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self._idle_timeout):
                return await exchange
        except TimeoutError as error:
            raise AgentError(
                Code.WORKER_TIMEOUT,
                f"the worker said nothing for {self._idle_timeout:g} s",
                "look at its last words in the journal; [content] idle_timeout says how long to wait",
            ) from error
        except OSError as error:
            raise await self._ended() from error

    async def _ended(self) -> AgentError:
        if self._process is not None:
            await _wait(self._process)
        status = None if self._process is None else self._process.returncode
        return AgentError(
            Code.WORKER_FAILED,
            f"the worker {_manner(status)} before its answer was complete",
            "its last words are in the journal",
        )


def _manner(status: int | None) -> str:
    if status is None:
        return "closed its socket"
    if status < 0:
        names = {known.value: known.name for known in signal.Signals}
        return f"was killed by {names.get(-status, f'signal {-status}')}"
    return f"ended with the exit status {status}"
