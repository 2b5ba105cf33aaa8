"""The worker's second job: what the packages behind descriptors are, and who signed them, as frames on a socket."""

import os
import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, nullcontext

from mcd_rt.content import frames
from mcd_rt.content.frames import DESCRIPTORS_AT_ONCE, InspectRequest, PackageFrame
from mcd_rt.content.rpm import inspecting
from mcd_rt.content.trust import MAX_KEY, DigestsOnly, Key, Trust, signed_by
from mcd_rt.errors import AgentError, Code

# Whoever judges reads a package while others are read and hashed here; small ones lie between the large.
_AT_ONCE = 4


def inspect_packages(connection: socket.socket, request: InspectRequest) -> None:
    """Take the descriptors that follow the request and say what each file is, in their order.

    Raises ``AgentError``: ``package-*``, ``worker-failed`` where other descriptors come than were announced.
    """
    keys = tuple(
        Key(name, _content(key))
        for names, batch in _received(connection, request.keys)
        for name, key in zip(names, batch, strict=True)
    )
    with signed_by(keys) if request.signed else nullcontext(DigestsOnly()) as trust:
        for names, batch in _received(connection, request.files):
            for package in _inspected(names, batch, trust):
                connection.sendall(frames.encode(package))


def _inspected(names: Sequence[str], descriptors: Sequence[int], trust: Trust) -> Iterator[PackageFrame]:
    begun: deque[Callable[[], PackageFrame]] = deque()
    with ExitStack() as stack:
        for name, descriptor in zip(names, descriptors, strict=True):
            begun.append(stack.enter_context(inspecting(descriptor, name, trust)))
            if len(begun) == _AT_ONCE:
                yield begun.popleft()()
        while begun:
            yield begun.popleft()()


def _received(connection: socket.socket, names: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], list[int]]]:
    """These names in batches, with the descriptors the agent sends for them, open until the next batch."""
    for start in range(0, len(names), DESCRIPTORS_AT_ONCE):
        batch = names[start : start + DESCRIPTORS_AT_ONCE]
        _, descriptors, flags, _ = socket.recv_fds(connection, 1, len(batch), socket.MSG_CMSG_CLOEXEC)
        try:
            if len(descriptors) != len(batch) or flags & socket.MSG_CTRUNC:
                raise AgentError(
                    Code.WORKER_FAILED, f"the worker was sent {len(descriptors)} descriptors, expected {len(batch)}"
                )
            yield batch, descriptors
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
