"""The server side of a peer-to-peer D-Bus connection: a listening socket and SASL EXTERNAL.

As GLib's GDBusServer does it for rpm-ostreed (``reference/rpm-ostree-dbus.md`` 3): any user whose claim
equals the kernel's word is welcome, descriptors cannot be passed.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from enum import Enum, auto
from pathlib import Path

from mcd_rt.dbus.connection import PeerClosed

_REJECTED = b"REJECTED EXTERNAL DBUS_COOKIE_SHA1\r\n"
_LINE = 16 * 1024
_GUID = b"00000000000000000000000000000001"


class Manner(Enum):
    """How the server treats whoever connects."""

    PROPER = auto()
    SILENT = auto()
    """Accepts, and never answers: seen where the daemon cannot see the client's process."""
    CLOSING = auto()
    """Closes after the first line."""
    LEAVING = auto()
    """Welcomes the client and closes before its first message."""


async def authenticate(connected: socket.socket) -> None:
    """The server's half of the handshake, up to and including ``BEGIN``; raises ``PeerClosed``.

    Read byte by byte: a client may send its first message in the same packet as ``BEGIN``.
    """
    credentials = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _pid, uid, _gid = struct.unpack("3i", credentials)
    loop = asyncio.get_running_loop()
    if await loop.sock_recv(connected, 1) != b"\0":
        raise PeerClosed("no credentials byte")
    welcome = False
    while True:
        line = await _line(connected)
        if line == b"BEGIN" and welcome:
            return
        if line.split(b" ")[0] == b"AUTH":
            welcome = _claims(line, uid)
            answer = b"OK " + _GUID + b"\r\n" if welcome else _REJECTED
        else:
            answer = b"ERROR\r\n"
        await loop.sock_sendall(connected, answer)


def _claims(line: bytes, uid: int) -> bool:
    """Whether an ``AUTH`` line claims this user id; without an initial response it claims the real one."""
    match line.split(b" "):
        case [_, b"EXTERNAL"]:
            return True
        case [_, b"EXTERNAL", claim]:
            return claim == str(uid).encode().hex().encode()
        case _:
            return False


async def _line(connected: socket.socket) -> bytes:
    line = bytearray()
    while not line.endswith(b"\r\n"):
        byte = await asyncio.get_running_loop().sock_recv(connected, 1)
        if not byte or len(line) > _LINE:
            raise PeerClosed("closed or too long a line during authentication")
        line += byte
    return bytes(line[:-2])


class PeerServer:
    """Listens at a path, or at an abstract name (a leading NUL byte), until closed."""

    def __init__(self, target: str | bytes, manner: Manner, on_peer: Callable[[socket.socket], None]) -> None:
        """``on_peer`` owns each authenticated socket; raises ``OSError`` where it cannot listen."""
        self._target = target
        self._manner = manner
        self._on_peer = on_peer
        self._handshakes: set[asyncio.Task[bool]] = set()
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            self._listening.bind(target)
            self._listening.listen()
        except OSError:
            self._listening.close()
            raise
        self._listening.setblocking(False)  # noqa: FBT003 - its name
        asyncio.get_running_loop().add_reader(self._listening, self._accept)

    @property
    def closed(self) -> bool:
        """Whether it listens no more."""
        return self._listening.fileno() < 0

    async def close(self) -> None:
        """Stop listening and drop whoever is not yet authenticated."""
        if self.closed:
            return
        self._stop_listening()
        handshakes = list(self._handshakes)
        for handshake in handshakes:
            handshake.cancel()
        await asyncio.gather(*handshakes, return_exceptions=True)

    def _stop_listening(self) -> None:
        asyncio.get_running_loop().remove_reader(self._listening)
        self._listening.close()
        if isinstance(self._target, str):
            Path(self._target).unlink()

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):  # whoever knocked is gone again
            connected, _address = self._listening.accept()
            connected.setblocking(False)  # noqa: FBT003 - its name
            task = asyncio.get_running_loop().create_task(self._welcome(connected))
            self._handshakes.add(task)
            task.add_done_callback(lambda ended: self._decided(ended, connected))

    def _decided(self, handshake: "asyncio.Task[bool]", connected: socket.socket) -> None:
        self._handshakes.discard(handshake)
        if handshake.cancelled() or not handshake.result():
            connected.close()
        else:
            self._on_peer(connected)

    async def _welcome(self, connected: socket.socket) -> bool:
        """Whether the client is one of us now; one that left before is no loss."""
        try:
            match self._manner:
                case Manner.PROPER | Manner.LEAVING:
                    await authenticate(connected)
                case Manner.SILENT:
                    await asyncio.get_running_loop().create_future()
                case Manner.CLOSING:
                    await _line(connected)
        except OSError:
            return False
        return self._manner is Manner.PROPER
