"""``org.projectatomic.rpmostree1`` of a simulated node: objects, transactions, who may begin one."""

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from mcd_rt.dbus.names import GIO_ERROR, OS, RPM_OSTREE, SYSROOT, SYSROOT_PATH
from mcd_rt.dbus.wire import Message, Typed
from mcd_rt.sim.bootentry import boot_options
from mcd_rt.sim.faults import Faults, Hold
from mcd_rt.sim.operations import FAILED, OPERATIONS, Conditions, Operation, read_operation
from mcd_rt.sim.profiles import Profile
from mcd_rt.sim.properties import os_properties, sysroot_properties
from mcd_rt.sim.request import Request, read_request
from mcd_rt.sim.service import UNKNOWN_METHOD, BusService, CallError, Handler, Reply
from mcd_rt.sim.steps import Outcome, Task
from mcd_rt.sim.transaction import Caller, Job, Listening, Phase, Surroundings, Transaction
from mcd_rt.sim.world import System

NOT_FOUND = f"{GIO_ERROR}1"
FOREIGN = ":0.0"
"""The unique name of the other client, who is not on the bus."""


@dataclass(frozen=True, slots=True)
class Finished:
    """One transaction that ended: what was asked and by whom, and how it went.

    ``wrote`` says whether it staged a deployment, ``error`` is empty where it worked, ``request`` is exactly
    what was asked for.
    """

    method: str
    title: str
    sender: str
    wrote: bool
    error: str
    request: Request = field(default_factory=Request)


@dataclass(frozen=True, slots=True)
class Consequences:
    """What the node does when the daemon changed something; called in the daemon's own turn."""

    changed: Callable[[System], None]
    finished: Callable[[Finished], None]
    reboot: Callable[[int], None]
    """Reboot, as this process asked."""


class RpmOstree:
    """The daemon. ``system`` outlives it: it is what is on disk."""

    def __init__(self, system: System, profile: Profile, faults: Faults, consequences: Consequences) -> None:
        self.system = system
        self.profile = profile
        self.conditions = Conditions(profile, faults)
        self.pace = 0.0
        self.starts = 0
        self.assemblies = 0
        self.transaction: Transaction | None = None
        self._faults = faults
        self._consequences = consequences
        self._rebooting = False
        self._numbers = count()
        self._place = Path()
        self._path = f"/org/projectatomic/rpmostree1/{system.osname}"
        self._service = BusService(RPM_OSTREE, self._handlers(), self._properties)
        self._service.on_vanished = self._client_left
        self._service.is_mute = lambda: faults.mute

    @property
    def running(self) -> bool:
        """Whether it is on the bus."""
        return self._service.running

    async def start(self, address: str, place: Path) -> None:
        """Come up on a bus; transactions listen in ``place``."""
        self._place = place
        self.starts += 1
        self._rebooting = False
        await self._service.start(address)

    async def stop(self) -> None:
        """Vanish from the bus at once, with whatever transaction goes on."""
        transaction, self.transaction = self.transaction, None
        await self._service.stop()
        if transaction is not None:
            await transaction.close()

    def begin_foreign(self, title: str) -> Hold:
        """Another client's transaction, that goes on until the hold that is returned is released."""
        hold = Hold("Importing packages")
        self._faults.at.append(hold)
        job = Job(title, lambda: Outcome((Task("Importing packages"),)))
        self._new(Caller("PkgChange", FOREIGN, 0, self._path, ""), job).begin()
        return hold

    def commit(self, system: System) -> None:
        """Make a system the one that is on disk, and tell everyone."""
        self.system = system
        self._consequences.changed(system)
        self._service.changed(SYSROOT_PATH, SYSROOT)
        self._service.changed(self._path, OS)

    def _handlers(self) -> Mapping[str, Handler]:
        sysroot: dict[str, Handler] = {
            "RegisterClient": _nothing,
            "UnregisterClient": _nothing,
            "Reload": self._reload,
            "GetOS": self._get_os,
        }
        operations: dict[str, Handler] = dict.fromkeys(OPERATIONS, self._operate)
        operations["GetDeploymentBootConfig"] = self._boot_config
        named = {f"{SYSROOT}.{name}": handler for name, handler in sysroot.items()}
        return named | {f"{OS}.{name}": handler for name, handler in operations.items()}

    def _properties(self, path: str, interface: str) -> Mapping[str, Typed]:
        if (path, interface) == (SYSROOT_PATH, SYSROOT):
            active = self.transaction
            caller = active.caller if active is not None else Caller("", "", 0, "", "")
            return sysroot_properties(self.system, self.profile, self._path) | {
                "ActiveTransaction": Typed("(sss)", [caller.method, caller.sender, caller.path]),
                "ActiveTransactionPath": Typed("s", active.address if active is not None else ""),
            }
        if (path, interface) == (self._path, OS):
            return os_properties(self.system, self.profile)
        raise CallError(UNKNOWN_METHOD, f"No such interface “{interface}” on object at path {path}")

    async def _reload(self, _call: Message) -> Reply:
        """Answered when hangups that came before it are known (S:323-334): two turns of the loop."""
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return "", []

    async def _get_os(self, call: Message) -> Reply:
        name = str(call.body[0])
        if name not in ("", self.system.osname):
            raise CallError(NOT_FOUND, f'OS name "{name}" not found')
        return "o", [self._path]

    async def _operate(self, call: Message) -> Reply:
        operation = read_operation(call, self.conditions)
        return await self._begin(call, operation)

    async def _boot_config(self, call: Message) -> Reply:
        name, pending = str(call.body[0]), call.body[1]
        if name:
            raise CallError(FAILED, f"Invalid deployment index {name}")
        deployment = self.system.merge if pending else self.system.booted
        options = Typed("s", boot_options(self.system, deployment))
        return "a{sv}", [{"staged": Typed("b", deployment.staged), "options": options}]

    async def _begin(self, call: Message, operation: Operation) -> Reply:
        """A new transaction, the one that goes on if it is the very same call, or an error."""
        if call.path != self._path:
            raise CallError(UNKNOWN_METHOD, f"Object does not exist at path “{call.path}”")
        if self._rebooting and self.profile.reboot_ends_transactions:
            raise CallError(FAILED, "Reboot initiated, cannot start new transaction")
        process = await self._service.process_of(call.sender)
        caller = Caller(call.member, call.sender, process, call.path, repr(call.body), read_request(call))
        active = self.transaction
        if active is None:
            held = tuple(os.dup(descriptor) for descriptor in call.descriptors)
            active = self._new(caller, Job(operation.title, lambda: operation.work(self.system, held), held))
            if not process:  # who asked has died meanwhile, which the genuine one's watch of its name tells at once
                self._client_left(caller.sender)
        elif (active.caller.method, active.caller.parameters) != (caller.method, caller.parameters):
            named = self.profile.title_before_start if active.phase is Phase.NEW else active.job.title
            busy = f"Transaction in progress: {named}{self.profile.busy_hint}"
            raise CallError(f"{GIO_ERROR}{self.profile.busy_code}", busy)
        return "s", [active.address]

    def _new(self, caller: Caller, job: Job) -> Transaction:
        around = Surroundings(self._faults, self.pace, self._made, self._ended, self._gone, self.stop)
        place = f"{self._place}/transaction-{next(self._numbers)}"
        self.transaction = Transaction(caller, job, Listening(place, self.profile.abstract_address), around)
        self._service.changed(SYSROOT_PATH, SYSROOT)
        return self.transaction

    def _made(self, outcome: Outcome) -> None:
        self.assemblies += outcome.writes
        self._rebooting = outcome.reboot
        if outcome.system is not None:
            self.commit(outcome.system)

    def _ended(self, transaction: Transaction, outcome: Outcome | None, error: str) -> None:
        caller, wrote = transaction.caller, outcome is not None and outcome.writes
        title, request = transaction.job.title, caller.request
        self._consequences.finished(Finished(caller.method, title, caller.sender, wrote, error, request))
        if outcome is not None and outcome.reboot:
            self._consequences.reboot(caller.process)

    async def _gone(self, transaction: Transaction) -> None:
        if self.transaction is transaction:
            self.transaction = None
            await transaction.close()
            self._service.changed(SYSROOT_PATH, SYSROOT)

    def _client_left(self, name: str) -> None:
        active = self.transaction
        unstarted = active is not None and active.phase is Phase.NEW and active.caller.sender == name
        if active is not None and unstarted and not self.profile.unstarted_wedges:
            active.abandon()


async def _nothing(_call: Message) -> Reply:
    return "", []
