"""rpm-ostree's own D-Bus API, typed: what goes in and comes out are our values.

Etiquette (``reference/rpm-ostree-dbus.md`` 2 and 3): register first, wait for a foreign transaction and
never join or cancel it, pass descriptors once each, and leave the bus on any doubt, which aborts a
transaction that was not started.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from mcd_rt.dbus.bus import Bus, bus_address, open_bus
from mcd_rt.dbus.connection import PeerClosed, RemoteError
from mcd_rt.dbus.deployments import read_boot_options, read_deployments, read_kernel_arguments
from mcd_rt.dbus.errormap import NO_REPLY, converted
from mcd_rt.dbus.names import OS, RPM_OSTREE, SYSROOT, SYSROOT_PATH
from mcd_rt.dbus.transaction import Deadlines, Outcome, Progress, run_transaction
from mcd_rt.dbus.update import update_modifiers, update_options
from mcd_rt.dbus.wire import Message, Typed, Value, plain
from mcd_rt.effects import Effects
from mcd_rt.errors import AgentError, Code
from mcd_rt.frozen import frozen
from mcd_rt.model.deployment import Deployments
from mcd_rt.model.plan import ArgumentsChange, Assembly
from mcd_rt.model.settings import RpmOstreeSettings

_REGISTER_TRIES = 3


@frozen
class ActiveTransaction:
    """Somebody's transaction: the method that began it and the bus name of who called it."""

    method: str
    sender: str


class RpmOstree:
    """A registered client of rpm-ostreed; use ``open_rpm_ostree``."""

    def __init__(
        self, bus: Bus, settings: RpmOstreeSettings, effects: Effects, on_end: Callable[[str, Outcome, float], None]
    ) -> None:
        """Take an open bus; ``open_rpm_ostree`` registers and finds the OS."""
        self._on_end = on_end
        self._bus = bus
        self._settings = settings
        self._effects = effects
        self._os_path = "/"

    async def register(self) -> None:
        """Keep rpm-ostreed from leaving while we are here, and find the booted OS.

        A call caught in the gap of an idle exit is answered ``NoReply``; its own client repeats it too.
        """
        try:
            await self._register()
        except AgentError as error:
            if not _left_while_called(error):
                raise
            await self._register_again()
        booted = await self._property(SYSROOT_PATH, f"{SYSROOT}.Booted")
        if not isinstance(booted, str) or booted == "/":
            raise AgentError(Code.RPM_OSTREE_PROTOCOL, "rpm-ostree says that no deployment is booted")
        self._os_path = booted

    async def _register(self) -> None:
        options: list[Value] = [{"id": Typed("s", "mcd-rt")}]
        await self._call(SYSROOT_PATH, f"{SYSROOT}.RegisterClient", "a{sv}", options)

    async def _register_again(self) -> None:
        from tenacity import (  # noqa: PLC0415 - half a megabyte for what hardly ever happens
            AsyncRetrying,
            retry_if_exception,
            stop_after_attempt,
            wait_fixed,
        )

        async for attempt in AsyncRetrying(
            stop=stop_after_attempt(_REGISTER_TRIES - 1),
            wait=wait_fixed(0),
            retry=retry_if_exception(_left_while_called),
            reraise=True,
        ):
            with attempt:
                await self._register()

    async def reload(self) -> None:
        """Have rpm-ostreed look at the disk again, after its peers have gone."""
        await self._call(SYSROOT_PATH, f"{SYSROOT}.Reload")

    async def deployments(self) -> Deployments:
        """What is there now, with the kernel arguments of what comes first."""
        found = read_deployments(await self._property(SYSROOT_PATH, f"{SYSROOT}.Deployments"))
        options = await self._boot_options(pending=not found.merge.booted)
        return replace(found, kernel_arguments=read_kernel_arguments(options))

    async def _boot_options(self, *, pending: bool) -> str:
        """The kernel command line of the booted deployment, or of what comes first."""
        answer = await self._call(self._os_path, f"{OS}.GetDeploymentBootConfig", "sb", ["", pending])
        return read_boot_options(plain(answer))

    async def active_transaction(self) -> ActiveTransaction | None:
        """The transaction that is going on, if any."""
        value = await self._property(SYSROOT_PATH, f"{SYSROOT}.ActiveTransaction")
        match value:
            case [str() as method, str() as sender, str()] if method:
                return ActiveTransaction(method, sender)
            case _:
                return None

    async def wait_until_idle(self, timeout: float) -> None:  # noqa: ASYNC109 - how long to be patient
        """Wait for somebody else's transaction to end; raises ``rpm-ostree-busy`` naming it."""
        changed = asyncio.Event()

        def heard(message: Message) -> None:
            if message.member == "PropertiesChanged" and message.path == SYSROOT_PATH:
                changed.set()

        await self._bus.watch(f"type='signal',sender='{RPM_OSTREE}',path='{SYSROOT_PATH}'", heard)
        for end in (await self._bus.watch_owner(RPM_OSTREE), self._bus.closed):  # then nothing is told any more
            end.add_done_callback(lambda _end: changed.set())
        active = await self.active_transaction()
        try:
            async with asyncio.timeout(timeout):
                while active is not None:
                    await changed.wait()
                    changed.clear()
                    active = await self.active_transaction()
        except TimeoutError as error:
            assert active is not None
            raise AgentError(
                Code.RPM_OSTREE_BUSY,
                f"another client's {active.method} (from {active.sender}) has been going on for {timeout:g} s",
                "it is waited for, never cancelled; one whose client died before it began goes on for ever in versions "
                "before 2021.7: `systemctl restart rpm-ostreed`",
            ) from error

    async def update_deployment(
        self,
        assembly: Assembly,
        descriptors: Sequence[int],
        on_progress: Callable[[Progress], None],
        repository: int | None = None,
    ) -> Outcome:
        """Stage one assembly; ``descriptors`` are those of ``assembly.install``, in order.

        ``repository`` is the directory of the ostree repository that a rebase takes its commit from.
        """
        handles = (*descriptors, *([] if repository is None else [repository]))
        body: list[Value] = [update_modifiers(assembly, len(descriptors), repository), update_options(assembly)]
        return await self._transaction("UpdateDeployment", "a{sv}a{sv}", body, handles, on_progress)

    async def change_kernel_arguments(
        self, change: ArgumentsChange, on_progress: Callable[[Progress], None]
    ) -> Outcome:
        """Stage the merge deployment with other kernel arguments.

        rpm-ostree starts from what it is told is there, ostree's own argument among it (recorded: 67-kargs).
        Raises ``AgentError`` (``transaction-foreign``) where that is not what the change was planned on any more.
        """
        pending = not read_deployments(await self._property(SYSROOT_PATH, f"{SYSROOT}.Deployments")).merge.booted
        existing = await self._boot_options(pending=pending)
        if read_kernel_arguments(existing) != change.existing:
            reason = f"another client changed the kernel arguments to {existing}"
            raise AgentError(Code.TRANSACTION_FOREIGN, reason, "the change is planned again")
        options: dict[str, Value] = {
            "lock-finalization": Typed("b", value=change.locked),
            "initiating-command-line": Typed("s", "mcd-rt: kernel arguments"),
        }
        lists: list[Value] = [list(change.add), [], list(change.remove)]
        body: list[Value] = [existing, *lists, options]
        return await self._transaction("KernelArgs", "sasasasa{sv}", body, (), on_progress)

    async def finalize(self, base_checksum: str, on_progress: Callable[[Progress], None]) -> Outcome:
        """Unlock the staged deployment with this base and reboot into it."""
        options: dict[str, Value] = {"checksum": Typed("s", base_checksum)}
        return await self._transaction("FinalizeDeployment", "a{sv}", [options], (), on_progress)

    async def discard_staged(self, on_progress: Callable[[Progress], None]) -> Outcome:
        """Drop the staged deployment."""
        return await self._transaction("Cleanup", "as", [["pending-deploy"]], (), on_progress)

    async def _transaction(
        self,
        method: str,
        signature: str,
        body: list[Value],
        descriptors: tuple[int, ...],
        on_progress: Callable[[Progress], None],
    ) -> Outcome:
        vanished = await self._bus.watch_owner(RPM_OSTREE)

        async def begin() -> Outcome:
            answer = await self._call(self._os_path, f"{OS}.{method}", signature, body, descriptors)
            match answer:
                case [str() as address]:
                    deadlines = Deadlines(self._settings.connect_timeout, self._settings.transaction_timeout)
                    return await run_transaction(address, vanished, deadlines, on_progress)
                case _:
                    raise AgentError(Code.RPM_OSTREE_PROTOCOL, f"rpm-ostree answered {method} with {answer!r}")

        began = self._effects.monotonic()
        outcome = await self._effects.mutate(f"rpm-ostree {method}", begin)
        self._on_end(method, outcome, self._effects.monotonic() - began)
        return outcome

    async def _property(self, path: str, name: str) -> Value:
        timeout = self._settings.call_timeout
        try:
            return await self._bus.read_property(RPM_OSTREE, path, name, timeout)
        except (PeerClosed, RemoteError, TimeoutError) as error:
            raise converted(error, "rpm-ostreed", f"reading {name}", timeout) from error

    async def _call(
        self,
        path: str,
        member: str,
        signature: str = "",
        body: list[Value] | None = None,
        descriptors: tuple[int, ...] = (),
    ) -> list[Value]:
        timeout = self._settings.call_timeout
        try:
            return await self._bus.call(
                RPM_OSTREE, path, member, signature, body, timeout=timeout, descriptors=descriptors
            )
        except (PeerClosed, RemoteError, TimeoutError) as error:
            raise converted(error, "rpm-ostreed", member.rpartition(".")[2], timeout) from error


@asynccontextmanager
async def open_rpm_ostree(
    settings: RpmOstreeSettings,
    effects: Effects,
    on_end: Callable[[str, Outcome, float], None] = lambda _method, _outcome, _seconds: None,
) -> AsyncIterator[RpmOstree]:
    """Connect to the system bus and register; everything is closed at the end.

    ``on_end`` is told of every transaction: its method, its outcome and how many seconds it took.
    Raises ``AgentError``: ``bus-unavailable``, ``rpm-ostree-unavailable``, ``-timeout``, ``-denied``.
    """
    async with open_bus(bus_address(), settings.connect_timeout) as bus:
        client = RpmOstree(bus, settings, effects, on_end)
        await client.register()
        yield client


def _left_while_called(error: BaseException) -> bool:
    return isinstance(error.__cause__, RemoteError) and error.__cause__.name == NO_REPLY
