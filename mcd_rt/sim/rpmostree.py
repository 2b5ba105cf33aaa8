"""``org.projectatomic.rpmostree1`` of a simulated node: objects, transactions, who may begin one."""

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

from mcd_rt.dbus.names import BUS, GIO_ERROR, OS, RPM_OSTREE, SYSROOT, SYSROOT_PATH
from mcd_rt.dbus.wire import Message, Typed, Value
from mcd_rt.sim.faults import Die, Faults, Hold
from mcd_rt.sim.origin import apply_update
from mcd_rt.sim.profiles import Profile
from mcd_rt.sim.properties import os_properties, sysroot_properties
from mcd_rt.sim.request import Dictionary, Update, check_arguments, command_line, parse_update
from mcd_rt.sim.rpmfile import read_rpm
from mcd_rt.sim.service import UNKNOWN_METHOD, BusService, CallError, Handler, Reply
from mcd_rt.sim.steps import Outcome, Refused, Task
from mcd_rt.sim.sysroot import change_arguments, check_cleanup, clean_up, finalize
from mcd_rt.sim.transaction import Caller, Job, Listening, Phase, Surroundings, Transaction
from mcd_rt.sim.world import System

FAILED, NOT_FOUND = (f"{GIO_ERROR}{number}" for number in (0, 1))
FOREIGN = ":0.0"
"""The unique name of the other client, who is not on the bus."""
ABORT = Task("Aborting")


@dataclass(frozen=True, slots=True)
class Finished:
    """One transaction that ended: what was asked and by whom, and how it went.

    ``wrote`` says whether it staged a deployment, ``error`` is empty where it worked.
    """

    method: str
    title: str
    sender: str
    wrote: bool
    error: str


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
        operations: dict[str, Handler] = {
            "UpdateDeployment": self._update_deployment,
            "PkgChange": self._change_packages,
            "Rebase": self._rebase,
            "Upgrade": self._upgrade,
            "KernelArgs": self._change_arguments,
            "Cleanup": self._clean_up,
            "FinalizeDeployment": self._finalize,
            "GetDeploymentBootConfig": self._boot_config,
        }
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

    async def _update_deployment(self, call: Message) -> Reply:
        modifiers, options = (_dictionary(part) for part in call.body)
        update = parse_update(modifiers, options)
        if not update.recognised:
            denied = f"rpmostreed OS operation {call.member} not allowed for user"
            raise CallError(f"{BUS}.Error.AccessDenied", denied)
        return await self._begin_update(call, update, options)

    async def _change_packages(self, call: Message) -> Reply:
        options, added, removed = call.body
        modifiers: Dictionary = {"install-packages": Typed("as", added), "uninstall-packages": Typed("as", removed)}
        return await self._begin_update(call, parse_update(modifiers, _dictionary(options)), _dictionary(options))

    async def _rebase(self, call: Message) -> Reply:
        options, refspec = _dictionary(call.body[0]), call.body[1]
        modifiers: dict[str, Value] = {"set-refspec": Typed("s", refspec)}
        if "revision" in options:
            modifiers["set-revision"] = options["revision"]
        return await self._begin_update(call, parse_update(modifiers, options), options)

    async def _upgrade(self, call: Message) -> Reply:
        [options] = (_dictionary(part) for part in call.body)
        return await self._begin_update(call, parse_update({}, options), options)

    async def _begin_update(self, call: Message, update: Update, options: Dictionary) -> Reply:
        if self.profile.argument_errors_answer:
            _answered(partial(check_arguments, update, len(call.descriptors)))
        return await self._begin(call, command_line(options) or update.title, partial(self._update, update))

    async def _change_arguments(self, call: Message) -> Reply:
        existing, *lists, last = call.body
        options = _dictionary(last)
        added, replaced, removed = (_words(words) for words in lists)

        def work(_descriptors: tuple[int, ...]) -> Outcome:
            return change_arguments(self.system, str(existing), (added, replaced, removed), options, self.profile)

        return await self._begin(call, command_line(options) or "kargs", work)

    async def _clean_up(self, call: Message) -> Reply:
        kinds = _words(call.body[0])
        _answered(partial(check_cleanup, kinds))
        return await self._begin(call, "cleanup", lambda _descriptors: clean_up(self.system, kinds))

    async def _finalize(self, call: Message) -> Reply:
        options = _dictionary(call.body[0])

        def work(_descriptors: tuple[int, ...]) -> Outcome:
            return finalize(self.system, options, self.profile, self._faults.inhibitor)

        return await self._begin(call, command_line(options) or "finalize-deployment", work)

    async def _boot_config(self, call: Message) -> Reply:
        name, pending = str(call.body[0]), call.body[1]
        if name:
            raise CallError(FAILED, f"Invalid deployment index {name}")
        deployment = self.system.merge if pending else self.system.booted
        options = Typed("s", deployment.kernel_arguments)
        return "a{sv}", [{"staged": Typed("b", deployment.staged), "options": options}]

    async def _begin(self, call: Message, title: str, work: Callable[[tuple[int, ...]], Outcome]) -> Reply:
        """A new transaction, the one that goes on if it is the very same call, or an error."""
        if call.path != self._path:
            raise CallError(UNKNOWN_METHOD, f"Object does not exist at path “{call.path}”")
        if self._rebooting and self.profile.reboot_ends_transactions:
            raise CallError(FAILED, "Reboot initiated, cannot start new transaction")
        process = await self._service.process_of(call.sender)
        caller = Caller(call.member, call.sender, process, call.path, repr(call.body))
        active = self.transaction
        if active is None:
            held = tuple(os.dup(descriptor) for descriptor in call.descriptors)
            active = self._new(caller, Job(title, partial(work, held), held))
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

    def _update(self, update: Update, descriptors: tuple[int, ...]) -> Outcome:
        try:
            check_arguments(update, len(descriptors))
        except Refused as refused:
            return Outcome((), error=str(refused))
        wanted = (*update.install_local, *update.replace_local)
        if max(wanted, default=-1) >= len(descriptors):
            self._faults.at.append(Die(ABORT.name))  # a failed assertion there (TT:1749)
            return Outcome((ABORT,))
        return apply_update(self.system, update, {at: read_rpm(descriptors[at]) for at in wanted}, self.profile)

    def _made(self, outcome: Outcome) -> None:
        self.assemblies += outcome.writes
        self._rebooting = outcome.reboot
        if outcome.system is not None:
            self.commit(outcome.system)

    def _ended(self, transaction: Transaction, outcome: Outcome | None, error: str) -> None:
        caller, wrote = transaction.caller, outcome is not None and outcome.writes
        self._consequences.finished(Finished(caller.method, transaction.job.title, caller.sender, wrote, error))
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


def _answered(check: Callable[[], None]) -> None:
    """Turn a refusal into an error answer."""
    try:
        check()
    except Refused as refused:
        raise CallError(FAILED, str(refused)) from refused


def _dictionary(value: Value) -> Dictionary:
    assert isinstance(value, dict)
    return value


def _words(value: Value) -> list[str]:
    assert isinstance(value, list)
    return [str(item) for item in value]
