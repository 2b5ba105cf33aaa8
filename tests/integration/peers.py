"""Scripted peers: the other end of a D-Bus socket, one act at a time, and services that say what a test wants."""

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count

from mcd_rt.dbus.bus import Bus, open_bus
from mcd_rt.dbus.connection import Connection, open_socket
from mcd_rt.dbus.names import OS, PROPERTIES, RPM_OSTREE, SYSROOT, SYSROOT_PATH, TRANSACTION
from mcd_rt.dbus.wire import HEAD, Kind, Message, Typed, Value, decode, encode, message_length
from mcd_rt.sim.peer import authenticate
from mcd_rt.sim.privatebus import PrivateBus
from mcd_rt.sim.service import UNKNOWN_METHOD, BusService, CallError, Handler, Reply

OS_PATH = "/org/projectatomic/rpmostree1/rhcos"


class Left(ConnectionError):
    """The client went away, which ends a script and fails nothing."""


class Peer:
    """One accepted connection; what it sends is exactly what the script says."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self._serials = count(1)

    async def line(self) -> bytes:
        """The next line of the handshake."""
        line = b""
        while not line.endswith(b"\r\n"):
            line += await self._receive(1)
        return line

    async def welcome(self) -> None:
        """The whole server half of the handshake."""
        await authenticate(self.socket)

    async def message(self) -> Message:
        """The next message of the client, without its descriptors."""
        head = await self._exactly(HEAD)
        return decode(head + await self._exactly(message_length(head) - HEAD))[0]

    async def send(self, *messages: Message, descriptors: tuple[int, ...] = ()) -> None:
        """Send messages in one write; ``descriptors`` travel with it, whatever the messages announce."""
        data = b"".join(encode(replace(message, serial=next(self._serials))) for message in messages)
        await self.raw(data, descriptors)

    async def raw(self, data: bytes, descriptors: tuple[int, ...] = ()) -> None:
        """Send bytes."""
        sent = socket.send_fds(self.socket, [data[:1]], list(descriptors)) if descriptors else 0
        await asyncio.get_running_loop().sock_sendall(self.socket, data[sent:])

    async def until_left(self) -> None:
        """Read until the client goes away."""
        with contextlib.suppress(ConnectionError):
            while True:
                await self._receive(65536)

    async def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            data += await self._receive(size - len(data))
        return data

    async def _receive(self, size: int) -> bytes:
        data = await asyncio.get_running_loop().sock_recv(self.socket, size)
        if not data:
            raise Left
        return data


Script = Callable[[Peer], Awaitable[None]]


@asynccontextmanager
async def scripted(script: Script, target: str | bytes | None = None) -> AsyncIterator[str]:
    """Listen, and play the script with each client; gives the address.

    A script that fails fails the test; one that is still playing when the body ends is stopped.
    """
    name = target if target is not None else b"\0mcd-rt-test-" + secrets.token_hex(8).encode()
    plays: list[asyncio.Task[None]] = []
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(name)
        listening.listen()
        listening.setblocking(False)

        async def accept() -> None:
            while True:
                connected, _address = await loop.sock_accept(listening)
                plays.append(loop.create_task(_play(script, connected)))

        accepting = loop.create_task(accept())
        try:
            yield f"unix:abstract={name[1:].decode()}" if isinstance(name, bytes) else f"unix:path={name}"
        finally:
            for task in (accepting, *plays):
                task.cancel()
            results = await asyncio.gather(accepting, *plays, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result


async def _play(script: Script, connected: socket.socket) -> None:
    with connected, contextlib.suppress(Left):
        await script(Peer(connected))


@asynccontextmanager
async def connected_to(
    script: Script, on_message: Callable[[Message], None] = lambda _message: None
) -> AsyncIterator[Connection]:
    """A started connection of ours to a scripted peer."""
    async with scripted(script) as address:
        connection = Connection(await open_socket(address, 5), on_message)
        connection.start()
        try:
            yield connection
        finally:
            connection.close()


async def closes(peer: Peer) -> None:
    """Closes at once."""
    peer.socket.close()


async def stalls(_peer: Peer) -> None:
    """Never says anything."""
    await asyncio.get_running_loop().create_future()


async def takes_all(peer: Peer) -> None:
    """Lets the client in and reads what it sends, without an answer."""
    await peer.welcome()
    await peer.until_left()


def signal(member: str, signature: str = "", body: list[Value] | None = None, interface: str = TRANSACTION) -> Message:
    """A signal as a transaction sends it."""
    return Message(Kind.SIGNAL, path="/", interface=interface, member=member, signature=signature, body=body or [])


def finished(*, worked: bool, text: str = "") -> Message:
    """The last signal of a transaction."""
    return signal("Finished", "bs", [worked, text])


def returned(call: Message, signature: str = "", body: list[Value] | None = None) -> Message:
    """The answer to a call."""
    return Message(Kind.RETURN, reply_serial=call.serial, destination=call.sender, signature=signature, body=body or [])


def refused(call: Message, name: str, text: str) -> Message:
    """An error as the answer to a call."""
    return Message(
        Kind.ERROR, reply_serial=call.serial, destination=call.sender, error=name, signature="s", body=[text]
    )


async def until_hung_up(reading: int) -> None:
    """Wait until every copy of the other end of a pipe is closed; a leaked one makes this wait for ever."""
    loop = asyncio.get_running_loop()
    hung_up: asyncio.Future[None] = loop.create_future()

    def readable() -> None:
        if os.read(reading, 1) == b"" and not hung_up.done():
            hung_up.set_result(None)

    loop.add_reader(reading, readable)
    try:
        async with asyncio.timeout(5):
            await hung_up
    finally:
        loop.remove_reader(reading)


@asynccontextmanager
async def private_bus(
    activatable: tuple[str, ...] = (), on_wanted: Callable[[str], None] = lambda _name: None
) -> AsyncIterator[PrivateBus]:
    """A real bus of our own."""
    bus = PrivateBus(activatable, on_wanted)
    try:
        await bus.start()
        yield bus
    finally:
        await bus.stop()


def no_properties(path: str, interface: str) -> Mapping[str, Typed]:
    """A service without properties."""
    raise CallError(UNKNOWN_METHOD, f"no properties of {interface} at {path}")


@asynccontextmanager
async def serving(
    address: str,
    name: str,
    handlers: Mapping[str, Handler],
    properties: Callable[[str, str], Mapping[str, Typed]] = no_properties,
) -> AsyncIterator[BusService]:
    """A service on a bus, as long as the body."""
    service = BusService(name, handlers, properties)
    await service.start(address)
    try:
        yield service
    finally:
        await service.stop()


@asynccontextmanager
async def client_of(
    name: str,
    handlers: Mapping[str, Handler],
    properties: Callable[[str, str], Mapping[str, Typed]] = no_properties,
) -> AsyncIterator[Bus]:
    """A client on a real bus on which there is one service."""
    async with (
        private_bus() as daemon,
        serving(daemon.address, name, handlers, properties),
        open_bus(daemon.address, 5) as bus,
    ):
        yield bus


@dataclass(frozen=True, slots=True)
class Asked:
    """One call: its member, its body, and what was in the files that came with it."""

    member: str
    body: list[Value]
    files: list[bytes] = field(default_factory=list)


class ScriptedRpmOstree:
    """rpm-ostreed as a test wants it; ``asked`` is what was asked of it, in order.

    ``answers`` replaces the answer to a call by its member; ``transaction`` is the address that every
    other call of the OS interface is answered with. ``reads`` counts properties read, ``options`` is the kernel
    command line.
    """

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.answers: dict[str, Handler] = {}
        self.transaction = ""
        self.properties: dict[str, Typed] = {
            "Booted": Typed("o", OS_PATH),
            "ActiveTransaction": Typed("(sss)", ["", "", ""]),
        }
        self.reads = 0
        self.read = asyncio.Event()
        members = [f"{SYSROOT}.{name}" for name in ("RegisterClient", "Reload")]
        members += [f"{OS}.{name}" for name in ("UpdateDeployment", "KernelArgs", "FinalizeDeployment", "Cleanup")]
        handlers = dict.fromkeys(members, self._answer) | {f"{OS}.GetDeploymentBootConfig": self._boot_config}
        self.service = BusService(RPM_OSTREE, handlers, self._properties)
        self.options = "root=UUID=1 rw ostree=/ostree/boot.1/rhcos/0/0"

    def becomes(self, name: str, value: Typed) -> None:
        """Change a property, and tell everyone."""
        self.properties[name] = value
        self.service.emit(SYSROOT_PATH, f"{PROPERTIES}.PropertiesChanged", "sa{sv}as", [SYSROOT, {name: value}, []])

    async def until_read(self, times: int) -> None:
        """Wait until properties were read so often."""
        while self.reads < times:
            self.read.clear()
            await self.read.wait()

    def members(self) -> list[str]:
        """The members that were called, in order."""
        return [asked.member for asked in self.asked]

    async def _answer(self, call: Message) -> Reply:
        files = [os.pread(descriptor, 100, 0) for descriptor in call.descriptors]
        self.asked.append(Asked(call.member, call.body, files))
        if call.member in self.answers:
            return await self.answers[call.member](call)
        return ("s", [self.transaction]) if call.interface == OS else ("", [])

    async def _boot_config(self, call: Message) -> Reply:
        """Asked whenever deployments are read, and nothing to be counted."""
        del call
        return "a{sv}", [{"options": Typed("s", self.options)}]

    def _properties(self, path: str, interface: str) -> Mapping[str, Typed]:
        if (path, interface) != (SYSROOT_PATH, SYSROOT):
            raise CallError(UNKNOWN_METHOD, f"no {interface} at {path}")
        self.reads += 1
        self.read.set()
        return self.properties
