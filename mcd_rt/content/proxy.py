"""A client of ``skopeo experimental-image-proxy``: manifests and single blobs of an image, as the host gets them.

Source: skopeo-experimental-image-proxy(1), protocol 0.2.1 to 0.2.8. One JSON request, one JSON reply, each a
packet; bytes come through a pipe whose descriptor is in the reply. The pipe ends only when FinishPipe is asked
for, and FinishPipe answers only when all bytes were taken: so it is asked for before they are read, and its
answer is read after them. That way a manifest larger than a pipe, and a blob that breaks off, both end.
"""

import fcntl
import json
import os
import re
import select
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from mcd_rt.content import fields
from mcd_rt.content.blob import Descriptor
from mcd_rt.content.complaints import failure_of
from mcd_rt.content.programs import end_program, start_program
from mcd_rt.errors import AgentError, Code
from mcd_rt.frozen import frozen

_PACKET = 32 * 1024  # the proxy's own limit
_PIPE = 1 << 20  # what everybody may ask for
_AT_ONCE = 256 * 1024
_BREATH = 0.001  # seconds; it writes 32 KiB at a time, and to be woken for each costs both more than the bytes do
_NUMBER = (1 << 53) - 1  # the proxy's own limit
_BLOB_SIZE_UNKNOWN = -1
_VERSION = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})*")


@contextmanager
def open_proxy(
    argv: Sequence[str],
    environment: Mapping[str, str],
    patience: float,
    image: str,
    descriptors: Sequence[int] = (),
) -> Iterator["Proxy"]:
    """Start a proxy (``argv`` ends with its own options), which is gone with the block.

    ``patience`` is seconds it may take for its next bytes, ``image`` what to call the image in errors,
    ``descriptors`` are for it to inherit. Raises
    ``AgentError`` (``worker-failed``) where skopeo is not there.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        with theirs:
            process = start_program(argv, environment, stdin=theirs.fileno(), descriptors=descriptors)
        try:
            yield Proxy(ours, patience, image)
        finally:
            ours.close()
            end_program(process)


@frozen
class _Reply:
    value: object
    pipe: int  # its number in the proxy
    descriptor: int  # ours to close; -1 where there is none


class Proxy:
    """Asks a running proxy; every wait is bounded. All methods raise ``AgentError``.

    ``image-unauthorized``, ``image-not-found``, ``image-untrusted-registry``, ``image-rejected-by-policy``,
    ``image-digest-mismatch`` and ``image-unreadable`` for what it complains of or does not answer.
    """

    def __init__(self, connection: socket.socket, patience: float, image: str) -> None:
        """Belongs to ``open_proxy``."""
        self._connection = connection
        self._connection.settimeout(patience)
        self._patience = patience
        self._image = image

    def initialize(self) -> tuple[int, ...]:
        """The version of the protocol it speaks, as numbers."""
        version = self._ask("Initialize").value
        if not isinstance(version, str) or not _VERSION.fullmatch(version):
            raise self._nonsense("it does not say which protocol it speaks")
        return tuple(int(part) for part in version.split(".")[:4])

    def open_image(self, reference: str) -> int:
        """Open ``docker://...``; from protocol 0.2.6 on this is where the trust policy is judged."""
        value = self._ask("OpenImage", reference).value
        if not isinstance(value, int) or not 0 < value <= _NUMBER:
            raise self._nonsense("it does not say which image it opened")
        return value

    def manifest(self, image: int, most: int) -> bytes:
        """A manifest of at most ``most`` bytes; Docker's and those behind an index come converted or resolved."""
        with self._piped("GetManifest", image) as pipe:
            return pipe.take(most)

    @contextmanager
    def blob(self, image: int, blob: Descriptor) -> Iterator["Pipe"]:
        """The bytes of a blob, unverified; reading them raises where they break off."""
        with self._piped("GetBlob", image, blob.digest, blob.size, promised=blob.size) as pipe:
            yield pipe

    @contextmanager
    def _piped(self, method: str, *arguments: object, promised: int = _BLOB_SIZE_UNKNOWN) -> Iterator["Pipe"]:
        self.send(method, *arguments)
        reply = self.receive(piped=True)
        if reply.descriptor < 0:
            raise self._nonsense(f"it answers {method} without a pipe")
        with suppress(OSError):  # of the usual size it is slower, no less right
            fcntl.fcntl(reply.descriptor, fcntl.F_SETPIPE_SZ, _PIPE)
        pipe = Pipe(self, reply.descriptor, promised, self._patience)
        try:
            self.send("FinishPipe", reply.pipe)
            yield pipe
        finally:
            pipe.close()

    def _ask(self, method: str, *arguments: object) -> _Reply:
        self.send(method, *arguments)
        return self.receive()

    def send(self, method: str, *arguments: object) -> None:
        """Ask for something, to be received later."""
        request = json.dumps({"method": method, "args": arguments}).encode()
        try:
            self._connection.sendall(request)
        except OSError as error:
            raise self._gone() from error

    def receive(self, *, piped: bool = False) -> _Reply:
        """The next reply; raises for one that is no success, or has a descriptor that was not asked for."""
        try:
            data, descriptors, flags, _ = socket.recv_fds(self._connection, _PACKET, 1, socket.MSG_CMSG_CLOEXEC)
        except TimeoutError as error:
            raise self.silent() from error
        except OSError as error:
            raise self._gone() from error
        descriptor = descriptors[0] if descriptors else -1
        try:
            if not data:
                raise self._gone()
            if descriptor >= 0 and not piped:
                raise self._nonsense("it sends a pipe nobody asked for")
            return self._reply(data, descriptor, flags)
        except AgentError:
            for received in descriptors:
                os.close(received)
            raise

    def silent(self) -> AgentError:
        """Nothing came within the patience."""
        return AgentError(
            Code.IMAGE_UNREADABLE,
            f"{self._image}: nothing came for {self._patience:g} s",
            "look at the registry and the network; it is tried again",
        )

    def _reply(self, data: bytes, descriptor: int, flags: int) -> _Reply:
        if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
            raise self._nonsense(f"it sends a packet of more than {_PACKET} bytes")
        try:
            reply = fields.parse_object(data)
            pipe = fields.integer(reply, "pipeid", most=_NUMBER) if reply.get("pipeid") is not None else 0
        except ValueError as error:
            raise self._nonsense(str(error)) from error
        if reply.get("success") is not True:
            raise failure_of(str(reply.get("error") or ""), self._image)
        return _Reply(reply.get("value"), pipe, descriptor)

    def _nonsense(self, what: str) -> AgentError:
        return AgentError(
            Code.WORKER_FAILED,
            f"skopeo experimental-image-proxy breaks its protocol: {what}",
            "this version of skopeo is not known to work",
        )

    def _gone(self) -> AgentError:
        return AgentError(
            Code.WORKER_FAILED,
            "skopeo experimental-image-proxy ended before it had answered",
            "its last words are in the journal; it exists since skopeo 1.5",
        )


class Pipe:
    """The bytes of one answer, forward only."""

    def __init__(self, proxy: Proxy, descriptor: int, promised: int, patience: float) -> None:
        """``promised`` is how many bytes there should be; FinishPipe was asked for already."""
        self._proxy = proxy
        self._descriptor = descriptor
        self._promised = promised
        self._patience = patience
        self._taken = 0
        self._over = False
        self._is_ahead = False  # of what is written: the last read took less than it could
        self._waiting = select.poll()
        self._waiting.register(descriptor, select.POLLIN)

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes, none at the end; raises ``AgentError`` where they break off or stall."""
        if self._over:
            return b""
        if not self._waiting.poll(self._patience * 1000):
            raise self._proxy.silent()
        if self._is_ahead and self._promised > _AT_ONCE:
            time.sleep(_BREATH)  # noqa: TID251 - no event says how full a pipe is
        wanted = min(size, _AT_ONCE)
        data = os.read(self._descriptor, wanted)
        self._is_ahead = len(data) < wanted
        self._taken += len(data)
        if not data:
            self._finish()
        return data

    def take(self, most: int) -> bytes:
        """Everything; raises ``AgentError`` (``image-too-large``) for more than ``most`` bytes."""
        parts = []
        while data := self.read(64 * 1024):
            parts.append(data)
            if self._taken > most:
                raise AgentError(
                    Code.IMAGE_TOO_LARGE,
                    f"a document of the image has more than {most} bytes",
                    "this is not an image of an operating system",
                )
        return b"".join(parts)

    def close(self) -> None:
        """Leave the rest. Unless everything was read, the proxy cannot be asked for anything else then."""
        os.close(self._descriptor)

    def _finish(self) -> None:
        self._over = True
        try:
            self._proxy.receive()
        except AgentError:
            # Of bytes that are all there the digest decides; the proxy's own check of them says less.
            if self._taken < self._promised or self._promised == _BLOB_SIZE_UNKNOWN:
                raise
