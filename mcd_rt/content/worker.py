"""The worker: the one process that parses foreign bytes, behind one stream socket.

It answers a single request and ends. Its two operations need different things and are never the same
process: ``fetch`` needs the image, ``inspect`` nothing but the descriptors it is sent. ``mcd-rt worker``
calls ``serve_standard_input``; a socket-activated unit with ``StandardInput=socket`` needs nothing else.
Plain synchronous code, and no import of the agent.
"""

import os
import socket
import traceback
from collections.abc import Iterator
from contextlib import nullcontext
from types import TracebackType
from typing import assert_never

from mcd_rt.content import frames
from mcd_rt.content.delivery import deliver
from mcd_rt.content.frames import DESCRIPTORS_AT_ONCE, DoneFrame, ErrorFrame, FetchRequest, Frame, InspectRequest
from mcd_rt.content.rpm import inspect
from mcd_rt.content.trust import MAX_KEY, DigestsOnly, Key, signed_by
from mcd_rt.errors import AgentError, Code, Failure


def serve_standard_input() -> int:
    """Serve the socket that is standard input; returns the exit status.

    Whatever else would print to standard output, the same socket, prints to standard error instead.
    """
    connection = socket.socket(fileno=os.dup(0))
    os.dup2(2, 1)
    with connection:
        return serve(connection)


def serve(connection: socket.socket) -> int:
    """Answer one request on a connected stream socket; returns the exit status.

    0 where an answer was given, an error frame too; 1 where the agent hung up. Anything unforeseen is raised
    after its last line was sent.
    """
    connection.settimeout(None)
    try:
        with _LastWords(connection):
            _answer(connection)
    except (BrokenPipeError, ConnectionResetError):
        return 1
    return 0


class _LastWords:
    """Says what ends the worker: foreseen failures end it in order, others go on after they were said."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None or isinstance(error, BrokenPipeError | ConnectionResetError):
            return False
        if isinstance(error, AgentError):
            _send(self._connection, ErrorFrame(error.failure))
            return True
        last_line = traceback.format_exception_only(error)[-1].strip()
        _send(self._connection, ErrorFrame(Failure(Code.WORKER_FAILED, f"the worker failed: {last_line}")))
        return False


def _answer(connection: socket.socket) -> None:
    request = frames.decode_request(_read_line(connection))
    match request:
        case FetchRequest():
            deliver(connection, request)
        case InspectRequest():
            _inspect(connection, request)
        case _:
            assert_never(request)
    _send(connection, DoneFrame())


def _read_line(connection: socket.socket) -> bytes:
    # Byte by byte: what follows the line may carry descriptors, which a read across its end would lose.
    line = bytearray()
    while len(line) < frames.LINE and (byte := connection.recv(1)) not in (b"", b"\n"):
        line += byte
    return bytes(line)


def _send(connection: socket.socket, frame: Frame) -> None:
    connection.sendall(frames.encode(frame))


def _inspect(connection: socket.socket, request: InspectRequest) -> None:
    keys = tuple(Key(name, _content(key)) for name, key in _received(connection, request.keys))
    with signed_by(keys) if request.signed else nullcontext(DigestsOnly()) as trust:
        for file, descriptor in _received(connection, request.files):
            _send(connection, inspect(descriptor, file, trust))


def _received(connection: socket.socket, names: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    """The descriptors the agent sends for these names, each open until the next is asked for."""
    for start in range(0, len(names), DESCRIPTORS_AT_ONCE):
        batch = names[start : start + DESCRIPTORS_AT_ONCE]
        _, descriptors, flags, _ = socket.recv_fds(connection, 1, len(batch), socket.MSG_CMSG_CLOEXEC)
        try:
            if len(descriptors) != len(batch) or flags & socket.MSG_CTRUNC:
                raise AgentError(
                    Code.WORKER_FAILED, f"the worker was sent {len(descriptors)} descriptors, expected {len(batch)}"
                )
            yield from zip(batch, descriptors, strict=True)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)


def _content(descriptor: int) -> bytes:
    parts = []
    taken = 0
    while taken < MAX_KEY and (data := os.pread(descriptor, MAX_KEY - taken, taken)):
        parts.append(data)
        taken += len(data)
    return b"".join(parts)
