"""D-Bus from a hostile peer: what authenticates us, messages, properties of deployments, a transaction's signals."""

import asyncio
import contextlib
import json
import socket
from pathlib import Path

from mcd_rt.dbus.connection import Connection, PeerClosed, RemoteError, _authenticated, drop_descriptors
from mcd_rt.dbus.deployments import read_deployments
from mcd_rt.dbus.transaction import Deadlines, Done, Failed, Foreign, Lost, NotStarted, Progress, run_transaction
from mcd_rt.dbus.wire import Kind, Malformed, Message, Value, decode, encode, plain
from tests.fuzz.places import finish, fresh_directory, say, serving
from tests.fuzz.verdict import documented

_PATIENCE = 2.0


def messages(data: bytes) -> None:
    """Whatever comes over a connection; its first byte says how many descriptors come along."""
    finish(_hear(data[1:], (data or b"\0")[0] % 8))


async def _hear(data: bytes, descriptors: int) -> None:
    ours, theirs = _pair()
    heard: list[Message] = []

    def listen(message: Message) -> None:
        drop_descriptors(message)
        heard.append(message)

    connection = Connection(ours, listen)
    connection.start()
    call = Message(Kind.CALL, destination="a.b", path="/", interface="a.b", member="Get")
    with theirs, contextlib.suppress(OSError):
        if data:
            socket.send_fds(theirs, [data[:1]], [theirs.fileno()] * descriptors)
        sending = asyncio.create_task(_send(theirs, data[1:]))
        try:
            answer = await connection.call(call, _PATIENCE)
            drop_descriptors(answer)
            heard.append(answer)
        except (PeerClosed, RemoteError):
            pass
        connection.close()
        await sending
    for message in heard:
        for value in message.body:
            plain(value)
        _again(message)


def _again(message: Message) -> None:
    """What was understood can be sent on, or is refused in our words: header fields may be empty or contradict."""
    with contextlib.suppress(Malformed):
        encode(message)


def authentication(data: bytes) -> None:
    """The lines before the first message."""
    finish(_authenticate(data))


async def _authenticate(data: bytes) -> None:
    ours, theirs = _pair()
    with theirs:
        sending = asyncio.create_task(_send(theirs, data))
        with contextlib.suppress(PeerClosed):
            async with asyncio.timeout(_PATIENCE):
                (await _authenticated(ours)).close()
        await sending


def deployments(data: bytes) -> None:
    """The property ``Deployments``: as JSON, which is easy to change, or out of a message."""
    with documented(("rpm-ostree-protocol",), Malformed):
        if data.startswith(b"["):
            read_deployments(_value_in(data))
            return
        for value in decode(data)[0].body:
            read_deployments(plain(value))


def _value_in(data: bytes) -> Value:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):  # no JSON: nothing a message could carry
        return ""


def transaction(data: bytes) -> None:
    """A transaction's own socket: the answer to Start, signals of progress, and anything else."""
    told: list[Progress] = []
    with fresh_directory() as place:
        outcome = finish(_transaction(f"{place}/socket", data, told))
    assert isinstance(outcome, Done | Failed | Foreign | Lost | NotStarted)
    assert all(isinstance(one.text, str) and isinstance(one.percent, int) for one in told)


async def _transaction(path: str, data: bytes, told: list[Progress]) -> object:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in (b"OK 1234\r\n", b"AGREE_UNIX_FD\r\n"):
            await reader.readuntil(b"\r\n")
            writer.write(answer)
        await reader.readuntil(b"\r\n")
        await say(writer, data)
        await reader.read()

    vanished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    async with serving(Path(path), talk):
        return await run_transaction(f"unix:path={path}", vanished, Deadlines(_PATIENCE, _PATIENCE), told.append)


def _pair() -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    return ours, theirs


async def _send(connection: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):  # it hung up, as it may
        await asyncio.get_running_loop().sock_sendall(connection, data)
        connection.shutdown(socket.SHUT_WR)
