"""Levers at the services around the agent: rpm-ostree, logind, systemd, the bus, and another client."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

from mcd_rt.dbus.errormap import NO_REPLY
from mcd_rt.dbus.names import BUS, PROPERTIES
from mcd_rt.dbus.wire import Message, Typed
from mcd_rt.model.state import State
from mcd_rt.sim.faults import Hold
from mcd_rt.sim.node import Event
from mcd_rt.sim.peer import Manner
from mcd_rt.sim.rpmostree import Finished
from mcd_rt.sim.service import BusService, CallError, Reply
from tests.reliability.faults_levers import Lever, lever, once
from tests.reliability.faults_trial import Trial

Dispatch = Callable[[Message], Awaitable[Reply]]
How = Callable[[Trial, Message, Dispatch], Awaitable[Reply]]
"""How a call is answered; ``Dispatch`` is how it should be."""


def answering(service: Callable[[Trial], BusService], asked: str, how: How) -> Lever:
    """One method (or property) of a service is answered in another way."""

    def work(trial: Trial) -> Iterator[None]:
        changed = service(trial)
        right = changed._dispatch
        trial.unmet.add(asked)

        async def dispatch(call: Message) -> Reply:
            name = str(call.body[-1]) if call.interface == PROPERTIES else call.member
            if name != asked:
                return await right(call)
            trial.unmet.discard(asked)
            return await how(trial, call, right)

        changed._dispatch = dispatch
        yield
        del changed._dispatch

    return lever(work)


def rpm_ostree(trial: Trial) -> BusService:
    """For ``answering``."""
    return trial.node.rpm_ostree._service


def logind(trial: Trial) -> BusService:
    """For ``answering``."""
    return trial.node.logind.service


def systemd(trial: Trial) -> BusService:
    """For ``answering``."""
    return trial.node.systemd.service


async def never(_trial: Trial, _call: Message, _right: Dispatch) -> Reply:
    """There is no answer."""
    return await asyncio.get_running_loop().create_future()


async def denied(_trial: Trial, call: Message, _right: Dispatch) -> Reply:
    """As polkit refuses."""
    raise CallError(f"{BUS}.Error.AccessDenied", f"not authorized for {call.member}")


async def nonsense(_trial: Trial, call: Message, _right: Dispatch) -> Reply:
    """Something of another type."""
    return ("v", [Typed("s", "what?")]) if call.interface == PROPERTIES else ("as", [["what?"]])


async def idle_exit(trial: Trial, call: Message, right: Dispatch) -> Reply:
    """The daemon leaves at that moment, the first time; the bus says ``NoReply``."""
    if trial.node.rpm_ostree.starts > 1:
        return await right(call)
    await trial.node.rpm_ostree.stop()
    raise CallError(NO_REPLY, "nobody hears this")


async def dies_after(trial: Trial, call: Message, right: Dispatch) -> Reply:
    """The daemon answers and dies before the transaction is started, the first time."""
    reply = await right(call)
    if trial.node.rpm_ostree.starts == 1:
        asyncio.get_running_loop().call_soon(lambda: trial.later(trial.node.rpm_ostree.stop))
    return reply


def dies_when_finished() -> Lever:
    """rpm-ostreed dies once it has said ``Finished`` and before the deployment is read back, once."""

    def work(trial: Trial) -> Iterator[None]:
        told = trial.node._on_event

        def heard(event: Event) -> None:
            told(event)
            if isinstance(event, Finished) and event.method == "UpdateDeployment":
                trial.node._on_event = told
                trial.unmet.clear()
                trial.later(trial.node.rpm_ostree.stop)

        trial.node._on_event = heard
        trial.unmet.add("Finished")
        yield

    return lever(work)


@asynccontextmanager
async def foreign_transaction(trial: Trial) -> AsyncIterator[None]:
    """Another client's transaction goes on."""
    await trial.node.start_rpm_ostree()
    hold = trial.node.rpm_ostree.begin_foreign("install strace")
    yield
    hold.release.set()


def gone(service: Callable[[Trial], BusService]) -> Lever:
    """A service is not on the bus."""

    @asynccontextmanager
    async def work(trial: Trial) -> AsyncIterator[None]:
        await service(trial).stop()
        yield
        await service(trial).start(trial.node._bus.address)

    return work


@asynccontextmanager
async def wedged_and_restarted(trial: Trial) -> AsyncIterator[None]:
    """An old daemon never forgets a transaction whose client left before ``Start``, until a person restarts it."""
    trial.node.faults.manner = Manner.CLOSING
    trial.on_enter = once(trial, State.RETRYING, lambda: setattr(trial.node.faults, "manner", Manner.PROPER))
    yield
    await trial.node.rpm_ostree.stop()


@asynccontextmanager
async def bus_restarted(trial: Trial) -> AsyncIterator[None]:
    """The bus goes away in the middle of an assembly, with everybody on it, and comes again."""
    hold = Hold("Writing OSTree commit")
    trial.node.faults.at.append(hold)

    async def restart() -> None:
        await hold.reached.wait()
        await restart_bus(trial)

    trial.later(restart)
    yield


async def restart_bus(trial: Trial) -> None:
    """All connections break; the services come back."""
    node, bus = trial.node, trial.node._bus
    services = (node.logind.service, node.systemd.service)
    await node.rpm_ostree.stop()
    for service in services:
        await service.stop()
    bus._process.kill()
    await bus._process.communicate()
    asyncio.get_running_loop().remove_reader(bus._wanted)
    os.close(bus._wanted)
    for left in (bus.place / "wanted", bus.place / "bus", *(bus.place / "services").iterdir()):
        left.unlink(missing_ok=True)
    (bus.place / "services").rmdir()
    await bus.start()
    for service in services:
        await service.start(bus.address)
