"""The worker: the one process that parses foreign bytes, behind one stream socket.

It answers a single request and ends. Its two operations need different things and are never the same
process: ``fetch`` needs the image, ``inspect`` nothing but the descriptors it is sent. ``mcd-rt worker``
calls ``serve_standard_input``; a socket-activated unit with ``StandardInput=socket`` needs nothing else.
Plain synchronous code, and no import of the agent.
"""

import os
import socket
import traceback
from pathlib import Path
from types import TracebackType
from typing import assert_never

from mcd_rt.content import frames
from mcd_rt.content.archive import MemberData
from mcd_rt.content.blob import verified
from mcd_rt.content.frames import (
    CHUNK,
    DESCRIPTORS_AT_ONCE,
    ChunkFrame,
    DoneFrame,
    ErrorFrame,
    FetchRequest,
    FileFrame,
    Frame,
    InspectRequest,
    ProgressFrame,
)
from mcd_rt.content.layers import rpms
from mcd_rt.content.layout import open_blob, open_image
from mcd_rt.content.overlay import Layer, Shadow
from mcd_rt.content.rpm import inspect, peek
from mcd_rt.errors import AgentError, Code, Failure
from mcd_rt.model.image import ImageReference

_PROGRESS_STEP = 1 << 20


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
            _fetch(connection, request)
        case InspectRequest(files):
            _inspect(connection, files)
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


def _fetch(connection: socket.socket, request: FetchRequest) -> None:
    try:
        reference = ImageReference.parse(request.image)
    except ValueError as error:
        raise AgentError(Code.IMAGE_UNREADABLE, f"cannot tell which image is meant: {error}") from error
    if not reference.layout:
        raise AgentError(
            Code.IMAGE_UNREADABLE,
            f"{reference} is in a registry; only an OCI layout on disk (oci:/path) can be read",
            "copy the image to a layout on this host, for example with skopeo copy",
        )
    directory = Path(reference.place)
    image = open_image(reference, request.architecture, request.max_layers)
    progress = _Progress(connection, sum(layer.size for layer in image.layers))
    progress.add(0)
    sender = _Sender(connection, request)
    shadow = Shadow()
    for blob in reversed(image.layers):
        layer = Layer()
        with open_blob(directory, blob.digest) as file, verified(file, blob, progress.add) as reader:
            for path, data in rpms(reader, f"layer {blob.digest}", shadow, layer):
                sender.send_if_wanted(path, data)
        shadow = layer.above(shadow)


class _Progress:
    """Says how much of the image was read, now and then."""

    def __init__(self, connection: socket.socket, total: int) -> None:
        self._connection = connection
        self._total = total
        self._done = 0
        self._said = -_PROGRESS_STEP

    def add(self, taken: int) -> None:
        self._done = min(self._done + taken, self._total)
        if self._done - self._said >= _PROGRESS_STEP or (self._done == self._total and self._said < self._done):
            self._said = self._done
            _send(self._connection, ProgressFrame(self._done, self._total))


class _Sender:
    """Passes on the RPMs whose header has a name that was asked for, within the limits."""

    def __init__(self, connection: socket.socket, request: FetchRequest) -> None:
        self._connection = connection
        self._request = request
        self._sent = 0

    def send_if_wanted(self, path: str, data: MemberData) -> None:
        size = data.left
        found = peek(data.read, path)
        if found.name not in self._request.names:
            return
        self._sent += 1
        if self._sent > self._request.max_packages:
            raise _too_large(f"the image has more than {self._request.max_packages} of the packages asked for")
        if size > self._request.max_package_bytes:
            raise _too_large(f"{path} has {size} bytes, more than {self._request.max_package_bytes}")
        _send(self._connection, FileFrame(path, size))
        for start in range(0, len(found.prefix), CHUNK):
            self._send_chunk(found.prefix[start : start + CHUNK])
        while chunk := data.take(CHUNK):
            self._send_chunk(chunk)

    def _send_chunk(self, chunk: bytes) -> None:
        _send(self._connection, ChunkFrame(len(chunk)))
        self._connection.sendall(chunk)


def _too_large(message: str) -> AgentError:
    return AgentError(Code.IMAGE_TOO_LARGE, message, "raise the limits in [content] if this image is meant")


def _inspect(connection: socket.socket, files: tuple[str, ...]) -> None:
    for start in range(0, len(files), DESCRIPTORS_AT_ONCE):
        batch = files[start : start + DESCRIPTORS_AT_ONCE]
        _, descriptors, flags, _ = socket.recv_fds(connection, 1, len(batch), socket.MSG_CMSG_CLOEXEC)
        try:
            if len(descriptors) != len(batch) or flags & socket.MSG_CTRUNC:
                raise AgentError(
                    Code.WORKER_FAILED, f"the worker was sent {len(descriptors)} descriptors, expected {len(batch)}"
                )
            for descriptor, file in zip(descriptors, batch, strict=True):
                _send(connection, inspect(descriptor, file))
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
