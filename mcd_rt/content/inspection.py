"""The worker's second job: what the packages behind descriptors are, and who signed them, as frames on a socket."""

import os
import select
import socket
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext

from mcd_rt.content import frames
from mcd_rt.content.fields import MAX_FILES
from mcd_rt.content.frames import DESCRIPTORS_AT_ONCE, InspectRequest, PackageFrame, decode_name
from mcd_rt.content.line import read_line, send_frame
from mcd_rt.content.rpm import inspecting
from mcd_rt.content.trust import MAX_KEY, DigestsOnly, Key, Trust, signed_by
from mcd_rt.errors import AgentError, Code

# Whoever judges reads a package while others are read and hashed here; small ones lie between the large.
_AT_ONCE = 4


def inspect_packages(connection: socket.socket, request: InspectRequest) -> None:
    """Take the files that follow the request, and say what each is, in their order, as soon as it is known.

    The agent sends a file when it has one, which may be long after the one before; it has sent all when it shuts down
    its side of the socket. Raises ``AgentError``: ``package-*``, ``worker-failed`` where something else comes than was
    announced.
    """
    keys = tuple(
        Key(name, _content(key)) for name, key in zip(request.keys, _keys(connection, len(request.keys)), strict=True)
    )
    with signed_by(keys) if request.signed else nullcontext(DigestsOnly()) as trust, ExitStack() as stack:
        begun: deque[Callable[[], PackageFrame]] = deque()
        count, more = 0, True
        while more or begun:
            if not more or len(begun) == _AT_ONCE or (begun and not _is_readable(connection)):
                send_frame(connection, begun.popleft()())
            elif line := read_line(connection, frames.LINE):
                count += 1
                if count > MAX_FILES:
                    raise _unexpected(f"more than {MAX_FILES} files")
                begun.append(stack.enter_context(_begun(connection, decode_name(line), trust)))
            else:
                more = False


@contextmanager
def _begun(connection: socket.socket, name: str, trust: Trust) -> Iterator[Callable[[], PackageFrame]]:
    """An inspection of the file that comes next; its descriptor is closed with the block."""
    [descriptor] = _received(connection, 1)
    try:
        with inspecting(descriptor, name, trust) as finish:
            yield finish
    finally:
        os.close(descriptor)


def _is_readable(connection: socket.socket) -> bool:
    return bool(select.select([connection], [], [], 0)[0])


def _keys(connection: socket.socket, count: int) -> Iterator[int]:
    """So many descriptors, in batches, each open until the next is asked for."""
    while count:
        batch = _received(connection, min(count, DESCRIPTORS_AT_ONCE))
        count -= len(batch)
        try:
            yield from batch
        finally:
            for descriptor in batch:
                os.close(descriptor)


def _received(connection: socket.socket, count: int) -> list[int]:
    """So many descriptors, which come with one byte."""
    _, descriptors, flags, _ = socket.recv_fds(connection, 1, count, socket.MSG_CMSG_CLOEXEC)
    if len(descriptors) != count or flags & socket.MSG_CTRUNC:
        for descriptor in descriptors:
            os.close(descriptor)
        raise _unexpected(f"{len(descriptors)} descriptors, expected {count}")
    return descriptors


def _unexpected(what: str) -> AgentError:
    return AgentError(Code.WORKER_FAILED, f"the worker was sent {what}")


def _content(descriptor: int) -> bytes:
    parts = []
    taken = 0
    while taken < MAX_KEY and (data := os.pread(descriptor, MAX_KEY - taken, taken)):
        parts.append(data)
        taken += len(data)
    return b"".join(parts)
