"""The transaction object of rpm-ostreed, on its own peer-to-peer socket.

``reference/rpm-ostree-dbus.md`` 3: nothing happens before ``Start``; only the first one starts it; to one
that comes after the end ``Finished`` is said again; a finished transaction lasts until its peers have gone.
"""

import asyncio
import os
import socket
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, assert_never

from mcd_rt.dbus.connection import Connection
from mcd_rt.dbus.names import PROPERTIES, TRANSACTION
from mcd_rt.dbus.wire import Kind, Message, Typed, Value
from mcd_rt.sim.faults import ANY, END, Die, Fail, Faults, Hold, LosePeers
from mcd_rt.sim.peer import PeerServer
from mcd_rt.sim.request import Request
from mcd_rt.sim.service import UNKNOWN_METHOD
from mcd_rt.sim.steps import Note, Outcome, Progress, Refused, Step, Task

_FORCED = 30.0
"""Seconds after which a finished transaction ends whoever still listens (S:43)."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asked for what: the member, the caller's unique name and process, the object path, the exact parameters.

    ``parameters`` is what calls are compared by, ``request`` the same for those who want to read it.
    """

    method: str
    sender: str
    process: int
    path: str
    parameters: str
    request: Request = field(default_factory=Request)


@dataclass(frozen=True, slots=True)
class Job:
    """What a transaction does: ``work`` looks at the deployments when it is started, not before.

    ``descriptors`` are closed when the transaction is over.
    """

    title: str
    work: Callable[[], Outcome]
    descriptors: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a transaction listens: at a path, or at an abstract name that looks like one."""

    place: str
    abstract: bool

    @property
    def target(self) -> str | bytes:
        """As ``bind`` takes it."""
        return b"\0" + self.place.encode() if self.abstract else self.place

    @property
    def address(self) -> str:
        """As D-Bus spells it."""
        return f"unix:{'abstract' if self.abstract else 'path'}={self.place}"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a transaction needs of its daemon. ``pace`` is seconds a step takes.

    ``commit`` makes an outcome true, ``finished`` hears of its end (with the outcome, if it was made true, and
    the error), ``gone`` that it is over and its peers have left, ``die`` kills the daemon.
    """

    faults: Faults
    pace: float
    commit: Callable[[Outcome], None]
    finished: Callable[["Transaction", Outcome | None, str], None]
    gone: Callable[["Transaction"], Coroutine[Any, Any, None]]
    die: Callable[[], Coroutine[Any, Any, None]]


class Phase(Enum):
    """Where it stands."""

    NEW = auto()
    RUNNING = auto()
    DONE = auto()


class Transaction:
    """One transaction; it listens from the beginning."""

    def __init__(self, caller: Caller, job: Job, listening: Listening, around: Surroundings) -> None:
        self.caller = caller
        self.job = job
        self.address = listening.address
        self.phase = Phase.NEW
        self._around = around
        self._peers: set[Connection] = set()
        self._result: list[Value] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._work: asyncio.Task[None] | None = None
        self._forced: asyncio.TimerHandle | None = None
        self._server = PeerServer(listening.target, around.faults.manner, self._joined)

    def begin(self) -> None:
        """Start the work."""
        self.phase = Phase.RUNNING
        self._work = self._spawn(self._run())

    def abandon(self) -> None:
        """Be over without ever having begun."""
        self.phase = Phase.DONE
        self._spawn(self._around.gone(self))

    async def close(self) -> None:
        """Stop at once, whatever goes on, and drop every peer."""
        if self._server.closed:
            return
        if self._forced is not None:
            self._forced.cancel()
        for descriptor in self.job.descriptors:
            os.close(descriptor)
        await self._server.close()
        self._drop_peers()
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _joined(self, connected: socket.socket) -> None:
        peer = Connection(connected, lambda message: self._heard(peer, message))
        self._peers.add(peer)
        peer.closed.add_done_callback(lambda _reason: self._left(peer))
        peer.start()

    def _left(self, peer: Connection) -> None:
        self._peers.discard(peer)
        if self.phase is Phase.DONE and not self._peers and not self._server.closed:
            self._spawn(self._around.gone(self))

    def _heard(self, peer: Connection, call: Message) -> None:
        match call.interface, call.member:
            case interface, "Start" if interface == TRANSACTION:
                first = self.phase is Phase.NEW
                peer.answer(call, "b", [first])
                if first:
                    self.begin()
                elif self.phase is Phase.DONE:
                    _emit(peer, "Finished", "bs", self._result)
            case interface, "Cancel" if interface == TRANSACTION:
                peer.answer(call)
                if self._work is not None and self.phase is Phase.RUNNING:
                    self._work.cancel()
            case interface, "Get" if interface == PROPERTIES:
                texts = {"Title": self.job.title, "InitiatingClientDescription": self.caller.sender}
                peer.answer(call, "v", [Typed("s", texts.get(str(call.body[1]), ""))])
            case _:
                peer.refuse(call, UNKNOWN_METHOD, f"No such method “{call.member}”")

    async def _run(self) -> None:
        title: dict[str, Value] = {"Title": Typed("s", self.job.title)}
        self._tell("PropertiesChanged", "sa{sv}as", [TRANSACTION, title, []], PROPERTIES)
        made: Outcome | None = None
        try:
            await self._reach(ANY)
            outcome = self._around.faults.twisted(self.job.work())
            for step in outcome.steps:
                await self._play(step)
            if not outcome.error:
                self._around.commit(outcome)
                made = outcome
                await self._reach(END)
            error = outcome.error
        except Refused as refused:
            error = str(refused)
        except asyncio.CancelledError:
            if self._server.closed:
                raise
            error = "Operation was cancelled"
        self._finish(made, error)

    def _finish(self, made: Outcome | None, error: str) -> None:
        self._result = [not error, error]
        self.phase = Phase.DONE
        self._tell("Finished", "bs", self._result)
        self._around.finished(self, made, error)
        if self._peers:
            self._forced = asyncio.get_running_loop().call_later(_FORCED, self._drop_peers)
        else:
            self._spawn(self._around.gone(self))

    async def _play(self, step: Step) -> None:
        match step:
            case Task(name):
                self._tell("TaskBegin", "s", [name])
                failure = await self._reach(name)
                self._tell("TaskEnd", "s", ["done"])
            case Note(name):
                self._tell("Message", "s", [name])
                failure = await self._reach(name)
            case Progress(name, parts):
                if name:
                    self._tell("PercentProgress", "su", [name, 0])
                for part in range(1, parts + 1):
                    await asyncio.sleep(self._around.pace)
                    self._tell("PercentProgress", "su", [f"{name} ({part}/{parts})", 100 * part // parts])
                failure = await self._reach(name) if name else ""
                self._tell("ProgressEnd", "", [])
            case _:
                assert_never(step)
        if failure:
            raise Refused(failure)

    async def _reach(self, step: str) -> str:
        """Take the time of a step and let the faults in it happen; returns what it fails with."""
        await asyncio.sleep(self._around.pace)
        failure = ""
        for fault in self._around.faults.take(step):
            match fault:
                case Fail(text=text):
                    failure = text
                case LosePeers():
                    self._drop_peers()
                case Die():
                    await self._around.die()
                    raise asyncio.CancelledError
                case Hold(reached=reached, release=release):
                    reached.set()
                    await release.wait()
                case _:
                    assert_never(fault)
        if failure and not step:
            raise Refused(failure)
        return failure

    def _tell(self, member: str, signature: str, body: list[Value], interface: str = TRANSACTION) -> None:
        for peer in list(self._peers):
            _emit(peer, member, signature, body, interface)

    def _drop_peers(self) -> None:
        for peer in list(self._peers):
            peer.close()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._settled)
        return task

    def _settled(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        broken = None if task.cancelled() else task.exception()
        if broken is not None:
            self._finish(None, f"the simulated transaction broke: {broken!r}")


def _emit(peer: Connection, member: str, signature: str, body: list[Value], interface: str = TRANSACTION) -> None:
    if not peer.closed.done():
        peer.send(Message(Kind.SIGNAL, path="/", interface=interface, member=member, signature=signature, body=body))
