"""One rpm-ostree transaction on its own peer-to-peer socket, from the client's side.

``reference/rpm-ostree-dbus.md`` 3: nothing happens before ``Start``; ``Finished`` comes once; a client
that goes away after ``Start`` does not stop the work, so an outcome that was not heard is *lost*, which
is not *failed*: only the deployments know.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from mcd_rt.dbus.connection import Connection, PeerClosed, RemoteError, drop_descriptors, open_socket
from mcd_rt.dbus.names import TRANSACTION
from mcd_rt.dbus.wire import Kind, Message
from mcd_rt.frozen import frozen

_START_TIMEOUT = 60.0
_CANCEL_TIMEOUT = 60.0


@frozen
class Done:
    """rpm-ostree says it finished; whether it did what was asked only the deployments tell."""


@frozen
class Failed:
    """rpm-ostree says why it did not do it; nothing was staged."""

    text: str


@frozen
class Lost:
    """The outcome was not heard; the work may have been done, or still be going on."""

    reason: str


@frozen
class Foreign:
    """The transaction was running already: it is somebody else's, and is left alone."""


@frozen
class NotStarted:
    """Its socket was not to be had; nothing was done."""

    reason: str


Outcome = Done | Failed | Lost | Foreign | NotStarted


@frozen
class Progress:
    """What a transaction is doing now; ``percent`` is -1 where it does not say."""

    text: str
    percent: int


@frozen
class Deadlines:
    """Seconds for the socket to be had, and for the whole work."""

    connect: float
    work: float


async def run_transaction(
    address: str,
    vanished: "asyncio.Future[None]",
    deadlines: Deadlines,
    on_progress: Callable[[Progress], None],
) -> Outcome:
    """Start the transaction at an address that was just given to us and wait for its end.

    ``vanished`` is done when rpm-ostreed leaves the bus. Past the deadline the transaction, which is
    ours, is cancelled. The socket is closed in every case: a finished transaction counts as active
    until its peers have gone.
    """
    finished: asyncio.Future[Done | Failed] = asyncio.get_running_loop().create_future()

    def heard(message: Message) -> None:
        drop_descriptors(message)
        if message.kind is Kind.SIGNAL and message.interface == TRANSACTION:
            _hear(message, finished, on_progress)

    try:
        connected = await open_socket(address, deadlines.connect)
    except (PeerClosed, TimeoutError) as error:
        return NotStarted(str(error) or f"no answer on {address} in {deadlines.connect:g} s")
    connection = Connection(connected, heard)
    try:
        connection.start()
        return await _started(connection, finished, vanished, deadlines.work)
    finally:
        connection.close()


async def _started(
    connection: Connection,
    finished: "asyncio.Future[Done | Failed]",
    vanished: "asyncio.Future[None]",
    work: float,
) -> Outcome:
    try:
        reply = await connection.call(_method("Start"), _START_TIMEOUT)
    except (PeerClosed, TimeoutError) as error:
        return Lost(f"no answer to Start: {str(error) or f'{_START_TIMEOUT:g} s passed'}")
    except RemoteError as error:
        return NotStarted(str(error))
    drop_descriptors(reply)
    if len(reply.body) != 1 or reply.body[0] is not True:
        return Foreign()
    ended = await _first(finished, vanished, connection.closed, timeout=work)
    if not ended:
        return await _cancelled(connection, finished, work)
    if finished.done():
        return finished.result()
    return Lost("rpm-ostreed left the bus" if vanished.done() else str(connection.closed.result()))


async def _cancelled(connection: Connection, finished: "asyncio.Future[Done | Failed]", work: float) -> Outcome:
    try:
        drop_descriptors(await connection.call(_method("Cancel"), _CANCEL_TIMEOUT))
    except (PeerClosed, RemoteError, TimeoutError) as error:
        why = str(error) or f"no answer in {_CANCEL_TIMEOUT:g} s"
        return Lost(f"not finished in {work:g} s, and could not be cancelled: {why}")
    if not await _first(finished, connection.closed, timeout=_CANCEL_TIMEOUT) or not finished.done():
        return Lost(f"not finished in {work:g} s, and did not stop when cancelled")
    match finished.result():
        case Done() as done:
            return done
        case Failed(text):
            return Failed(f"cancelled after {work:g} s: {text}")


async def _first(*futures: "asyncio.Future[Any]", timeout: float) -> bool:  # noqa: ASYNC109 - seconds to wait at most
    done, _pending = await asyncio.wait(futures, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    return bool(done)


def _method(member: str) -> Message:
    return Message(Kind.CALL, path="/", interface=TRANSACTION, member=member)


def _hear(message: Message, finished: "asyncio.Future[Done | Failed]", on_progress: Callable[[Progress], None]) -> None:
    match message.member, message.body:
        case "Finished", [bool() as worked, str() as text]:
            if not finished.done():
                finished.set_result(Done() if worked else Failed(text))
        case "TaskBegin" | "Message", [str() as text]:
            on_progress(Progress(text, -1))
        case "PercentProgress", [str() as text, int() as percent]:
            on_progress(Progress(text, percent))
        case _:
            pass  # ends of tasks, signatures and what later versions add concern nobody here
