"""One D-Bus connection over a unix socket: to a bus, or to a peer without one.

No Hello, no names, no match rules here: ``bus.py`` adds those. Nothing blocks, every call has a
deadline, everything is closed, bursts are queued, descriptors travel both ways.
"""

import array
import asyncio
import contextlib
import os
import socket
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from urllib.parse import unquote_to_bytes

from mcd_rt.dbus.wire import HEAD, Kind, Malformed, Message, Value, decode, encode, message_length

MAX_DESCRIPTORS = 253
"""What the kernel passes in one message (``SCM_MAX_FD``, unix(7))."""

_AUTH_LINE = 16 * 1024
_CHUNK = 256 * 1024


class PeerClosed(ConnectionError):
    """The other side is gone, or never was one that speaks D-Bus."""


class RemoteError(Exception):
    """The other side answered with an error."""

    def __init__(self, name: str, text: str) -> None:
        """Take the error's D-Bus name and its text."""
        super().__init__(f"{name}: {text}")
        self.name = name
        self.text = text


def drop_descriptors(message: Message) -> None:
    """Close what came with a message, which nobody is going to use."""
    for descriptor in message.descriptors:
        os.close(descriptor)


def socket_addresses(address: str) -> Iterator[str | bytes]:
    """The ``unix:`` entries of a D-Bus server address, each as ``connect`` takes it.

    Source: D-Bus specification, "Server Addresses": entries are separated by ``;``, values are
    percent-encoded. A leading NUL byte marks an abstract name.
    """
    for entry in address.split(";"):
        kind, _, rest = entry.partition(":")
        keys = dict(pair.split("=", 1) for pair in rest.split(",") if "=" in pair)
        if kind == "unix" and "path" in keys:
            yield os.fsdecode(unquote_to_bytes(keys["path"]))
        elif kind == "unix" and "abstract" in keys:
            yield b"\0" + unquote_to_bytes(keys["abstract"])


async def open_socket(address: str, timeout: float) -> socket.socket:  # noqa: ASYNC109 - one deadline for all of it
    """Connect and authenticate; raises ``PeerClosed`` or ``TimeoutError`` (seconds in ``timeout``)."""
    refused: OSError | None = None
    async with asyncio.timeout(timeout):
        for target in socket_addresses(address):
            try:
                connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            except OSError as error:
                raise PeerClosed(f"cannot connect to {address!r}: {error}") from error
            connection.settimeout(0)
            try:
                await asyncio.get_running_loop().sock_connect(connection, target)
            except OSError as error:
                connection.close()
                refused = error
                continue
            except BaseException:
                connection.close()
                raise
            return await _authenticated(connection)
    raise PeerClosed(f"cannot connect to {address!r}: {refused or 'no unix: entry in it'}") from refused


async def _authenticated(connection: socket.socket) -> socket.socket:
    loop = asyncio.get_running_loop()
    try:
        identity = str(os.geteuid()).encode().hex().encode()
        await loop.sock_sendall(connection, b"\0AUTH EXTERNAL " + identity + b"\r\n")
        answer = await _auth_line(connection)
        if not answer.startswith(b"OK "):
            raise PeerClosed(f"authentication refused: {answer.decode('ascii', 'replace')}")
        await loop.sock_sendall(connection, b"NEGOTIATE_UNIX_FD\r\n")
        await _auth_line(connection)  # ERROR means no descriptors: a transaction socket needs none
        await loop.sock_sendall(connection, b"BEGIN\r\n")
    except PeerClosed:
        connection.close()
        raise
    except OSError as error:
        connection.close()
        raise PeerClosed(f"closed during authentication: {error}") from error
    except BaseException:
        connection.close()
        raise
    return connection


async def _auth_line(connection: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\r\n"):
        chunk = await asyncio.get_running_loop().sock_recv(connection, 1024)
        if not chunk:
            raise PeerClosed("closed during authentication")
        line += chunk
        if len(line) > _AUTH_LINE:
            raise PeerClosed("authentication line too long")
    return line[:-2]


class Connection:
    """An authenticated connection. Create it in a coroutine; nothing is read before ``start``."""

    def __init__(self, connected: socket.socket, on_message: Callable[[Message], None]) -> None:
        """Own the socket; ``on_message`` gets every call and signal and must not raise."""
        self._socket = connected
        self._on_message = on_message
        self._loop = asyncio.get_running_loop()
        self._serial = count(1)
        self._pending: dict[int, asyncio.Future[Message]] = {}
        self._incoming = bytearray()
        self._received: deque[int] = deque()
        self._outgoing: deque[tuple[memoryview, tuple[int, ...]]] = deque()
        self.closed: asyncio.Future[PeerClosed] = self._loop.create_future()

    def start(self) -> None:
        """Begin reading. What the peer sent since it was connected is waiting in the socket."""
        self._loop.add_reader(self._socket, self._readable)

    def close(self) -> None:
        """Close the socket; what waits for an answer gets ``PeerClosed``."""
        self._finish(PeerClosed("closed by us"))

    def send(self, message: Message) -> int:
        """Queue a message and return its serial; raises ``PeerClosed`` and ``Malformed``.

        Its descriptors must stay open until an answer, or ``closed``, says they were taken.
        """
        if self.closed.done():
            raise PeerClosed(f"connection is closed: {self.closed.result()}")
        serial = message.serial or next(self._serial)
        self._outgoing.append((memoryview(encode(replace(message, serial=serial))), message.descriptors))
        if len(self._outgoing) == 1:
            self._writable()
        return serial

    async def call(self, message: Message, timeout: float) -> Message:  # noqa: ASYNC109 - the deadline is part of the call
        """Send a call and return its answer.

        Raises ``RemoteError``, ``PeerClosed``, or ``TimeoutError`` after ``timeout`` seconds.
        """
        answer: asyncio.Future[Message] = self._loop.create_future()
        serial = next(self._serial)
        self._pending[serial] = answer
        try:
            async with asyncio.timeout(timeout):
                self.send(replace(message, serial=serial))
                reply = await answer
        except asyncio.CancelledError:
            if answer.done() and not answer.cancelled() and answer.exception() is None:
                drop_descriptors(answer.result())  # it came in the very turn in which we gave up
            raise
        finally:
            self._pending.pop(serial, None)
        if reply.kind is Kind.ERROR:
            drop_descriptors(reply)
            text = reply.body[0] if reply.body and isinstance(reply.body[0], str) else ""
            raise RemoteError(reply.error, text)
        return reply

    def answer(self, call: Message, signature: str = "", body: list[Value] | None = None) -> None:
        """Send the return of a call, unless it wants none."""
        if call.wants_reply:
            self.send(
                Message(
                    Kind.RETURN,
                    reply_serial=call.serial,
                    destination=call.sender,
                    signature=signature,
                    body=body or [],
                )
            )

    def refuse(self, call: Message, error: str, text: str) -> None:
        """Send an error as the answer to a call, unless it wants none."""
        if call.wants_reply:
            self.send(
                Message(
                    Kind.ERROR,
                    reply_serial=call.serial,
                    destination=call.sender,
                    error=error,
                    signature="s",
                    body=[text],
                )
            )

    def _readable(self) -> None:
        try:
            data, ancillary, _flags, _address = self._socket.recvmsg(
                _CHUNK, socket.CMSG_SPACE(MAX_DESCRIPTORS * 4), socket.MSG_CMSG_CLOEXEC
            )
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._finish(PeerClosed(f"connection broke: {error}"))
            return
        for level, kind, content in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                received = array.array("i")
                received.frombytes(content[: len(content) - len(content) % received.itemsize])
                self._received.extend(received)
        if not data:
            self._finish(PeerClosed("closed by the peer"))
            return
        self._incoming += data
        try:
            self._dispatch_complete()
            if len(self._received) > MAX_DESCRIPTORS:
                raise Malformed(f"{len(self._received)} descriptors that no message announces")
        except Malformed as error:
            self._finish(PeerClosed(str(error)))

    def _dispatch_complete(self) -> None:
        while len(self._incoming) >= HEAD and not self.closed.done():
            length = message_length(bytes(self._incoming[:HEAD]))
            if len(self._incoming) < length:
                return
            message, announced = decode(bytes(self._incoming[:length]))
            del self._incoming[:length]
            if announced > len(self._received):
                raise Malformed(f"{announced} descriptors announced, {len(self._received)} received")
            taken = tuple(self._received.popleft() for _ in range(announced))
            self._dispatch(replace(message, descriptors=taken))

    def _dispatch(self, message: Message) -> None:
        if message.kind in (Kind.CALL, Kind.SIGNAL):
            self._on_message(message)
            return
        waiting = self._pending.pop(message.reply_serial, None)
        if waiting is None or waiting.done():
            drop_descriptors(message)  # an answer nobody waits for any more, such as a late lock
            return
        waiting.set_result(message)

    def _writable(self) -> None:
        while self._outgoing:
            data, descriptors = self._outgoing[0]
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
            try:
                sent = self._socket.sendmsg([data], rights, socket.MSG_NOSIGNAL)
            except (BlockingIOError, InterruptedError):
                self._loop.add_writer(self._socket, self._writable)
                return
            except OSError as error:
                self._finish(PeerClosed(f"connection broke: {error}"))
                return
            if sent < len(data):
                self._outgoing[0] = (data[sent:], ())
            else:
                self._outgoing.popleft()
        self._loop.remove_writer(self._socket)

    def _finish(self, reason: PeerClosed) -> None:
        if self.closed.done():
            return
        self.closed.set_result(reason)
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()
        self._outgoing.clear()
        while self._received:
            with contextlib.suppress(OSError):
                os.close(self._received.popleft())
        for waiting in self._pending.values():
            if not waiting.done():
                waiting.set_exception(reason)
