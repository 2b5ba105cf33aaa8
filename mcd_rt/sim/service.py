"""What every simulated service needs on the bus: a name, calls to handlers, properties, errors."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping

from mcd_rt.dbus.connection import Connection, PeerClosed, RemoteError, open_socket
from mcd_rt.dbus.names import BUS, BUS_PATH, PROPERTIES
from mcd_rt.dbus.wire import Kind, Message, Typed, Value

_TIMEOUT = 10.0
_DO_NOT_QUEUE = 4
_PRIMARY_OWNER = 1
UNKNOWN_METHOD = f"{BUS}.Error.UnknownMethod"
FAILED = f"{BUS}.Error.Failed"


class CallError(Exception):
    """An error answer: its D-Bus name and its text."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name
        self.text = text


Reply = tuple[str, list[Value]]
"""The signature and the body of an answer."""

Handler = Callable[[Message], Awaitable[Reply]]
"""Answers one call or raises ``CallError``; the call's descriptors are closed when it is done."""

Properties = Callable[[str, str], Mapping[str, Typed]]
"""The properties of an interface (second) at a path (first); raises ``CallError``."""


class BusService:
    """One service on a bus; it can be stopped, which is how a daemon dies, and started again."""

    def __init__(self, name: str, handlers: Mapping[str, Handler], properties: Properties) -> None:
        """``handlers`` are by interface and member: ``org.example.Thing.Method``."""
        self._name = name
        self._handlers = handlers
        self._properties = properties
        self._connection: Connection | None = None
        self._calls: set[asyncio.Task[None]] = set()
        self.is_mute: Callable[[], bool] = lambda: False
        self.on_vanished: Callable[[str], None] = lambda _name: None

    @property
    def running(self) -> bool:
        """Whether it owns its name."""
        return self._connection is not None

    async def start(self, address: str) -> None:
        """Connect and own the name; raises ``PeerClosed``, ``RemoteError`` or ``TimeoutError``."""
        self._connection = Connection(await open_socket(address, _TIMEOUT), self._heard)
        self._connection.start()
        await self.ask("Hello")
        rule = f"type='signal',sender='{BUS}',member='NameOwnerChanged',arg2=''"
        await self.ask("AddMatch", "s", [rule])
        owned = await self.ask("RequestName", "su", [self._name, _DO_NOT_QUEUE])
        if owned != [_PRIMARY_OWNER]:
            raise PeerClosed(f"{self._name} has an owner already")

    async def stop(self) -> None:
        """Leave the bus at once; calls that wait for an answer get none."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        calls = [call for call in self._calls if call is not asyncio.current_task()]
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)

    async def ask(self, member: str, signature: str = "", body: list[Value] | None = None) -> list[Value]:
        """Call the bus itself."""
        assert self._connection is not None
        call = Message(
            Kind.CALL,
            destination=BUS,
            path=BUS_PATH,
            interface=BUS,
            member=member,
            signature=signature,
            body=body or [],
        )
        return (await self._connection.call(call, _TIMEOUT)).body

    async def process_of(self, name: str) -> int:
        """The process behind a unique name; 0 where it has left."""
        try:
            [pid] = await self.ask("GetConnectionUnixProcessID", "s", [name])
        except RemoteError:
            return 0
        assert isinstance(pid, int)
        return pid

    def emit(self, path: str, member: str, signature: str, body: list[Value]) -> None:
        """Send a signal to everyone, if the service runs; ``member`` is with its interface."""
        if self._connection is not None and not self._connection.closed.done():
            interface, _, name = member.rpartition(".")
            self._connection.send(
                Message(Kind.SIGNAL, path=path, interface=interface, member=name, signature=signature, body=body)
            )

    def changed(self, path: str, interface: str) -> None:
        """Tell everyone what the properties of an interface are now."""
        values: dict[str, Value] = dict(self._properties(path, interface))
        self.emit(path, f"{PROPERTIES}.PropertiesChanged", "sa{sv}as", [interface, values, []])

    def _heard(self, message: Message) -> None:
        if message.kind is Kind.SIGNAL and message.member == "NameOwnerChanged":
            self.on_vanished(str(message.body[0]))
        if message.kind is Kind.CALL and not self.is_mute():
            task = asyncio.get_running_loop().create_task(self._answer(message))
            self._calls.add(task)
            task.add_done_callback(lambda ended: self._answered(ended, message))
        else:
            _close(message)

    def _answered(self, task: "asyncio.Task[None]", call: Message) -> None:
        self._calls.discard(task)
        broken = None if task.cancelled() else task.exception()
        if broken is not None and self._connection is not None:
            self._connection.refuse(call, FAILED, f"the simulated {self._name} broke: {broken!r}")

    async def _answer(self, call: Message) -> None:
        connection = self._connection
        assert connection is not None
        try:
            signature, body = await self._dispatch(call)
        except CallError as error:
            if not connection.closed.done():
                connection.refuse(call, error.name, error.text)
        else:
            if not connection.closed.done():
                connection.answer(call, signature, body)
        finally:
            _close(call)

    async def _dispatch(self, call: Message) -> Reply:
        if call.interface == PROPERTIES and call.member in ("Get", "GetAll"):
            interface, *name = (str(item) for item in call.body)
            values = self._properties(call.path, interface)
            if not name:
                return "a{sv}", [dict(values)]
            if name[0] not in values:
                raise CallError(f"{BUS}.Error.InvalidArgs", f"No such property “{name[0]}”")
            return "v", [values[name[0]]]
        handler = self._handlers.get(f"{call.interface}.{call.member}")
        if handler is None:
            raise CallError(UNKNOWN_METHOD, f"No such method “{call.member}” in “{call.interface}” at {call.path}")
        return await handler(call)


def _close(message: Message) -> None:
    for descriptor in message.descriptors:
        os.close(descriptor)
