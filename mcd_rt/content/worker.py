"""The worker: the one process that parses foreign bytes, behind one stream socket.

It answers a single request and ends. Its operations need different things and are never the same process:
``fetch`` and ``os`` need the image, ``lock`` the network, ``inspect`` nothing but the descriptors it is sent.
``mcd-rt worker`` calls ``serve_standard_input``; a socket-activated unit with ``StandardInput=socket`` needs nothing
else. Plain synchronous code, and no import of the agent.
"""

import os
import socket
from types import TracebackType
from typing import assert_never

from mcd_rt.content import frames
from mcd_rt.content.frames import (
    DoneFrame,
    ErrorFrame,
    FetchRequest,
    InspectRequest,
    LockRequest,
    OsRequest,
)
from mcd_rt.content.line import read_line, send_frame
from mcd_rt.content.quiet import keep_quiet
from mcd_rt.content.requests import MAX_REQUEST
from mcd_rt.errors import AgentError, Code

# What may lie in the socket: twice as much as by default is taken in half as many turns.
_ROOM = 1 << 20


def serve_standard_input() -> int:
    """Serve the socket that is standard input; returns the exit status.

    Whatever else would print to standard output, the same socket, prints to standard error instead.
    """
    connection = socket.socket(fileno=os.dup(0))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _ROOM)
    os.dup2(2, 1)
    with connection:
        keep_quiet(connection)
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
            send_frame(self._connection, ErrorFrame(error.failure))
            return True
        import traceback  # noqa: PLC0415 - only for what was not foreseen

        last_line = traceback.format_exception_only(error)[-1].strip()
        failed = AgentError(Code.WORKER_FAILED, f"the worker failed: {last_line}")
        send_frame(self._connection, ErrorFrame(failed.failure))
        return False


def _answer(connection: socket.socket) -> None:
    request = frames.decode_request(read_line(connection, MAX_REQUEST))
    match request:
        case FetchRequest():
            from mcd_rt.content.delivery import deliver  # noqa: PLC0415 - a start is half its imports

            deliver(connection, request)
        case InspectRequest():
            from mcd_rt.content.inspection import inspect_packages  # noqa: PLC0415 - the same

            inspect_packages(connection, request)
        case OsRequest():
            from mcd_rt.content.osdelivery import deliver_os  # noqa: PLC0415 - the same

            deliver_os(connection, request)
        case LockRequest():
            from mcd_rt.content.lockserver import answer_lock  # noqa: PLC0415 - the same

            answer_lock(connection, request)
        case _:
            assert_never(request)
    send_frame(connection, DoneFrame())
