"""The system bus: names, match rules, calls with a destination.

A fresh connection for each operation: an idle agent holds none (design.md, the house).
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from mcd_rt.dbus.connection import Connection, PeerClosed, RemoteError, drop_descriptors, open_socket
from mcd_rt.dbus.names import BUS, BUS_PATH, PROPERTIES
from mcd_rt.dbus.wire import Kind, Message, Value, plain
from mcd_rt.errors import AgentError, Code

SYSTEM_BUS = "unix:path=/run/dbus/system_bus_socket"
"""Where no ``DBUS_SYSTEM_BUS_ADDRESS`` says otherwise (D-Bus specification, "Well-known Message Bus Instances")."""

_BUS_TIMEOUT = 25.0
_HINT = "is dbus running, and may this user connect to it? In a container: the host's /run, see docs/installing.md"


class Bus:
    """A connection that said Hello and has a unique name."""

    def __init__(self, connection: Connection, listeners: list[Callable[[Message], None]]) -> None:
        """Take a connection whose messages reach ``listeners``; use ``open_bus``."""
        self._connection = connection
        self._listeners = listeners

    async def call(
        self,
        destination: str,
        path: str,
        member: str,  # with its interface: "org.freedesktop.DBus.Hello"
        signature: str = "",
        body: list[Value] | None = None,
        *,
        timeout: float,  # noqa: ASYNC109 - the deadline is part of the call
        descriptors: tuple[int, ...] = (),
    ) -> list[Value]:
        """Make one call and return the body of its answer.

        Raises ``RemoteError``, ``PeerClosed`` (the bus is gone) or ``TimeoutError``. Descriptors stay
        the caller's, and must stay open until this returns.
        """
        interface, _, name = member.rpartition(".")
        reply = await self._connection.call(
            Message(
                Kind.CALL,
                destination=destination,
                path=path,
                interface=interface,
                member=name,
                signature=signature,
                body=body or [],
                descriptors=descriptors,
            ),
            timeout,
        )
        drop_descriptors(reply)  # nothing we call answers with one that we keep
        return reply.body

    async def read_property(self, destination: str, path: str, name: str, timeout: float) -> Value:  # noqa: ASYNC109
        """One property, by its full name (``interface.Name``), without the signatures in it.

        Raises as ``call`` does; ``RemoteError`` too where the answer has no value.
        """
        interface, _, member = name.rpartition(".")
        body: list[Value] = [interface, member]
        reply = await self.call(destination, path, f"{PROPERTIES}.Get", "ss", body, timeout=timeout)
        if len(reply) != 1:
            raise RemoteError(f"{BUS}.Error.InvalidSignature", f"{name} was answered with {len(reply)} values")
        return plain(reply[0])

    async def watch(self, rule: str, listener: Callable[[Message], None]) -> None:
        """Hear signals that match; the listener filters again, for all rules share one connection.

        Raises ``AgentError`` (``bus-unavailable``) where the bus does not take the rule.
        """
        self._listeners.append(listener)
        body: list[Value] = [rule]
        try:
            await self.call(BUS, BUS_PATH, f"{BUS}.AddMatch", "s", body, timeout=_BUS_TIMEOUT)
        except (PeerClosed, RemoteError, TimeoutError) as error:
            why = str(error) or f"no answer in {_BUS_TIMEOUT:g} s"
            raise AgentError(Code.BUS_UNAVAILABLE, f"the bus does not tell what we ask for: {why}", _HINT) from error

    async def watch_owner(self, name: str) -> "asyncio.Future[None]":
        """A future that is done when a name loses its owner; raises as ``watch`` does."""
        vanished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def heard(message: Message) -> None:
            if (message.sender, message.member) != (BUS, "NameOwnerChanged"):  # anybody may send us its like
                return
            match message.body:
                case [changed, old, _new] if changed == name and old and not vanished.done():
                    vanished.set_result(None)

        await self.watch(f"type='signal',sender='{BUS}',member='NameOwnerChanged',arg0='{name}'", heard)
        return vanished

    @property
    def closed(self) -> "asyncio.Future[PeerClosed]":
        """Done when the bus is gone."""
        return self._connection.closed


def bus_address() -> str:
    """The address of the system bus: the environment's, else the well-known one."""
    return os.environ.get("DBUS_SYSTEM_BUS_ADDRESS") or SYSTEM_BUS


@asynccontextmanager
async def open_bus(address: str, timeout: float) -> AsyncIterator[Bus]:  # noqa: ASYNC109 - of connecting, not of the body
    """Connect, say Hello, and close at the end.

    Raises ``AgentError`` (``bus-unavailable``) when there is no bus within ``timeout`` seconds.
    """
    listeners: list[Callable[[Message], None]] = []

    def heard(message: Message) -> None:
        drop_descriptors(message)  # no signal we ask for carries one
        for listener in listeners:
            listener(message)

    try:
        connected = await open_socket(address, timeout)
    except TimeoutError as error:
        raise AgentError(
            Code.BUS_UNAVAILABLE, f"no answer from the bus at {address} in {timeout:g} s", _HINT
        ) from error
    except OSError as error:
        raise AgentError(Code.BUS_UNAVAILABLE, f"cannot reach the bus: {error}", _HINT) from error
    connection = Connection(connected, heard)
    try:
        connection.start()
        bus = Bus(connection, listeners)
        try:
            await bus.call(BUS, BUS_PATH, f"{BUS}.Hello", timeout=timeout)
        except (PeerClosed, RemoteError, TimeoutError) as error:
            why = str(error) or f"no answer in {timeout:g} s"
            raise AgentError(Code.BUS_UNAVAILABLE, f"the bus at {address} did not welcome us: {why}", _HINT) from error
        yield bus
    finally:
        connection.close()
