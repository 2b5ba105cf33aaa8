"""The server side of a peer-to-peer connection: its handshake, and what clients may do to it."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from mcd_rt.dbus.connection import Connection, PeerClosed, open_socket
from mcd_rt.dbus.wire import Kind, Message, encode
from mcd_rt.sim.peer import Manner, PeerServer, authenticate

ME = str(os.getuid()).encode().hex().encode()
OTHER = b"99999".hex().encode()
PING = Message(Kind.CALL, serial=7, path="/", interface="org.example.Thing", member="Ping")


async def converse(said: bytes) -> tuple[bytes, bytes, bool]:
    """What the server answers to bytes sent at once, what it left unread, and whether it let us in."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        ours.send(said)
        ours.shutdown(socket.SHUT_WR)
        [refusal] = await asyncio.gather(asyncio.wait_for(authenticate(theirs), 10), return_exceptions=True)
        welcome = refusal is None
        assert welcome or isinstance(refusal, PeerClosed)
        return waiting(ours), waiting(theirs), welcome


def waiting(connected: socket.socket) -> bytes:
    """What can be read now."""
    with contextlib.suppress(BlockingIOError):
        return connected.recv(4096)
    return b""


@pytest.mark.parametrize(
    ("said", "kinds"),
    [
        (b"\0AUTH EXTERNAL " + ME + b"\r\nBEGIN\r\n", [b"OK"]),
        (b"\0AUTH EXTERNAL\r\nBEGIN\r\n", [b"OK"]),
        (b"\0AUTH EXTERNAL " + ME + b"\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n", [b"OK", b"ERROR"]),
        (b"\0AUTH\r\nAUTH EXTERNAL " + ME + b"\r\nBEGIN\r\n", [b"REJECTED", b"OK"]),
        (b"\0AUTH EXTERNAL " + OTHER + b"\r\nAUTH EXTERNAL " + ME + b"\r\nBEGIN\r\n", [b"REJECTED", b"OK"]),
        (b"\0garbage\r\nAUTH EXTERNAL " + ME + b"\r\nBEGIN\r\n", [b"ERROR", b"OK"]),
    ],
)
def test_lets_in_whoever_is_who_they_say(said: bytes, kinds: list[bytes]) -> None:
    answered, _left, welcome = asyncio.run(converse(said))
    assert welcome
    assert [line.split(b" ")[0] for line in answered.splitlines()] == kinds


@pytest.mark.parametrize(
    ("said", "kinds"),
    [
        (b"\0AUTH EXTERNAL " + OTHER + b"\r\nBEGIN\r\n", [b"REJECTED", b"ERROR"]),
        (b"\0AUTH EXTERNAL zz\r\nBEGIN\r\n", [b"REJECTED", b"ERROR"]),
        (b"\0AUTH ANONYMOUS " + ME + b"\r\nBEGIN\r\n", [b"REJECTED", b"ERROR"]),
        (b"\0AUTH EXTERNAL " + ME + b"\r\nAUTH EXTERNAL " + OTHER + b"\r\nBEGIN\r\n", [b"OK", b"REJECTED", b"ERROR"]),
        (b"\0BEGIN\r\n", [b"ERROR"]),
    ],
)
def test_lets_in_nobody_else(said: bytes, kinds: list[bytes]) -> None:
    answered, _left, welcome = asyncio.run(converse(said))
    assert not welcome
    assert [line.split(b" ")[0] for line in answered.splitlines()] == kinds


@pytest.mark.parametrize("said", [b"AUTH EXTERNAL", b"", b"\0", b"\0AUTH EXTERNAL " + ME])
def test_gives_up_on_whoever_leaves_or_does_not_begin_properly(said: bytes) -> None:
    _answered, _left, welcome = asyncio.run(converse(said))
    assert not welcome


def test_gives_up_on_a_line_without_end() -> None:
    async def scenario() -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            theirs.setblocking(False)
            ours.send(b"\0" + b"A" * (17 * 1024))
            with pytest.raises(PeerClosed):
                await asyncio.wait_for(authenticate(theirs), 10)

    asyncio.run(scenario())


def test_leaves_what_was_sent_after_begin_for_the_connection() -> None:
    said = b"\0AUTH EXTERNAL " + ME + b"\r\nBEGIN\r\n" + encode(PING)
    _answered, left, welcome = asyncio.run(converse(said))
    assert welcome
    assert left == encode(PING)


def serving(manner: Manner, scenario: Callable[[str, PeerServer], Awaitable[None]], place: Path) -> list[Connection]:
    """Run a scenario against a server whose peers answer every call."""
    peers: list[Connection] = []

    def joined(connected: socket.socket) -> None:
        peer = Connection(connected, lambda call: peer.answer(call, "s", ["pong"]))
        peers.append(peer)
        peer.start()

    async def run() -> None:
        server = PeerServer(str(place / "s"), manner, joined)
        try:
            await scenario(f"unix:path={place}/s", server)
        finally:
            await server.close()
            for peer in peers:
                peer.close()

    asyncio.run(run())
    return peers


def test_the_products_own_client_is_served(tmp_path: Path) -> None:
    async def scenario(address: str, _server: PeerServer) -> None:
        client = Connection(await open_socket(address, 5), lambda _message: None)
        client.start()
        assert (await client.call(PING, 5)).body == ["pong"]
        client.close()

    assert len(serving(Manner.PROPER, scenario, tmp_path)) == 1
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(("manner", "error"), [(Manner.SILENT, TimeoutError), (Manner.CLOSING, PeerClosed)])
def test_bad_manners(manner: Manner, error: type[Exception], tmp_path: Path) -> None:
    async def scenario(address: str, _server: PeerServer) -> None:
        with pytest.raises(error):
            await open_socket(address, 0.1)

    assert serving(manner, scenario, tmp_path) == []


def test_a_server_may_leave_once_it_has_welcomed_a_client(tmp_path: Path) -> None:
    async def scenario(address: str, _server: PeerServer) -> None:
        client = Connection(await open_socket(address, 5), lambda _message: None)
        client.start()
        with pytest.raises(PeerClosed):
            await client.call(PING, 5)
        client.close()

    assert serving(Manner.LEAVING, scenario, tmp_path) == []


def test_closing_drops_whoever_is_still_at_the_door(tmp_path: Path) -> None:
    async def scenario(address: str, server: PeerServer) -> None:
        with socket.socket(socket.AF_UNIX) as knocking:
            knocking.connect(address.partition("=")[2])
            server._accept()
            await server.close()
            assert knocking.recv(1) == b""

    serving(Manner.SILENT, scenario, tmp_path)


def test_a_taken_place_is_an_error_and_leaves_nothing_open(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("")

    async def scenario() -> None:
        with pytest.raises(OSError, match="in use"):
            PeerServer(str(tmp_path / "s"), Manner.PROPER, lambda _socket: None)

    asyncio.run(scenario())
