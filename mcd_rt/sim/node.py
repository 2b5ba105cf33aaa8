"""A simulated node: rpm-ostree, logind, systemd on a private bus, host facts, an agent, and reboots."""

import asyncio
import os
import signal
import uuid
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self, TypeVar

from mcd_rt.dbus.names import RPM_OSTREE
from mcd_rt.hostpaths import HostPaths
from mcd_rt.sim.bases import installed_origin
from mcd_rt.sim.faults import Faults
from mcd_rt.sim.hostfiles import DAEMON_SETTINGS, RHCOS, write_boot, write_commands, write_deployments, write_keys
from mcd_rt.sim.logind import Logind
from mcd_rt.sim.operations import Conditions
from mcd_rt.sim.privatebus import PrivateBus
from mcd_rt.sim.process import AgentExited, AgentSaid, AgentService, AgentStarted
from mcd_rt.sim.profiles import DEFAULT, PROFILES
from mcd_rt.sim.rpmostree import Consequences, Finished, RpmOstree
from mcd_rt.sim.systemd import Systemd
from mcd_rt.sim.world import Base, Deployment, Origin, System, Tree, fresh_system, reboot, stage

E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class Rebooted:
    """The node is up again."""

    boot_id: str
    deployment: str
    kernel_release: str


Event = AgentStarted | AgentExited | AgentSaid | Finished | Rebooted
"""What happens on a node, in the order in which it happens."""

ARGUMENTS = "root=UUID=6b1ec5d8-1a3f-4e24-b0f6-b5d5e6a8c9d0 rw ignition.platform.id=metal"
"""The kernel arguments a node is installed with where nothing else is said."""
_GONE_TIMEOUT = 5.0


class SimulatedNode:
    """Use as ``async with SimulatedNode(...)``, or with ``start`` and ``stop``.

    ``profile`` is the version of rpm-ostree, ``bases`` the operating systems it can run, ``booted`` the
    origin it was installed from (of the first base, where nothing is said), with ``kernel_arguments``
    (``fips=1`` among them makes it a FIPS host). ``on_event`` hears every
    event at once; ``events`` keeps them all. ``pace`` is seconds a step of a transaction takes.
    """

    def __init__(
        self,
        bases: tuple[Base, ...],
        *,
        profile: str = DEFAULT,
        booted: Origin | None = None,
        kernel_arguments: str = ARGUMENTS,
        os_release: str = RHCOS,
        on_event: Callable[[Event], None] = lambda _event: None,
        has_rpm_ostree: bool = True,
        pace: float = 0.0,
    ) -> None:
        self.faults = Faults()
        self.events: list[Event] = []
        self.reboots = 0
        version = PROFILES[profile]
        origin = booted or installed_origin(bases[0], version)
        system = fresh_system("rhcos", bases, origin, kernel_arguments)
        consequences = Consequences(self._changed, self._happened, self._reboot_asked)
        self.rpm_ostree = RpmOstree(system, version, self.faults, consequences)
        self.rpm_ostree.pace = pace
        self.logind = Logind(self.faults, self._reboot_asked, flags=version.reboot_flags)
        self.systemd = Systemd()
        self._bus = PrivateBus((RPM_OSTREE,) if has_rpm_ostree else (), self._wanted)
        self.root = self._bus.place / "root"
        self.rpm_ostree.conditions = Conditions(version, self.faults, self.root / DAEMON_SETTINGS)
        self.paths = HostPaths(self.root)
        self.agent_log = self._bus.place / "agent.log"
        self._os_release = os_release
        self._on_event = on_event
        self._more = asyncio.Event()
        self._agent: AgentService | None = None
        self._rebooting: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._broken: BaseException | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to be on this node, on top of its own environment."""
        return {"MCD_RT_ROOT": str(self.root), "DBUS_SYSTEM_BUS_ADDRESS": self._bus.address}

    @property
    def deployments(self) -> tuple[Deployment, ...]:
        """What is there, in boot order."""
        return self.rpm_ostree.system.deployments

    @property
    def booted(self) -> Deployment:
        """The one that runs."""
        return self.rpm_ostree.system.booted

    @property
    def transactions(self) -> list[Finished]:
        """The transactions that ended."""
        return [event for event in self.events if isinstance(event, Finished)]

    @property
    def assemblies(self) -> int:
        """How many transactions wrote a deployment."""
        return self.rpm_ostree.assemblies

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Boot it; raises ``AgentError`` (``simulation-failed``). rpm-ostreed starts when it is called."""
        await self._bus.start()
        write_commands(self.root, self.rpm_ostree.system.bases)
        write_keys(self.root)
        write_boot(self.root, self.rpm_ostree.system, str(uuid.uuid4()), self._os_release)
        await self.logind.service.start(self._bus.address)
        await self.systemd.service.start(self._bus.address)

    async def stop(self) -> None:
        """Switch it off and leave nothing behind; raises what broke in the simulation itself."""
        self.faults.stays_dead = True  # whoever still calls rpm-ostreed does not start it on a bus that goes
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._agent is not None:
            await self._agent.stop()
        await self.rpm_ostree.stop()
        await self.logind.service.stop()
        await self.systemd.service.stop()
        await self._bus.stop()
        if self._broken is not None:
            raise self._broken

    async def wait(self, kind: type[E], count: int = 1, timeout: float = 30.0) -> E:  # noqa: ASYNC109
        """The ``count``-th event of a kind, once it has happened; raises ``TimeoutError`` (seconds)."""
        async with asyncio.timeout(timeout):
            while len(found := [event for event in self.events if isinstance(event, kind)]) < count:
                self._more.clear()
                await self._more.wait()
        return found[count - 1]

    async def run_agent(self, argv: Sequence[str]) -> None:
        """Start the agent as the node's service: at every boot, and again when it crashes."""
        self._agent = AgentService(argv, os.environ | self.environment, self.agent_log, self._happened)
        await self._agent.start()

    def another_client_stages(self, tree: Tree, *, locked: bool = False, kernel_arguments: str = "") -> None:
        """Staged work that is not the agent's."""
        system = self.rpm_ostree.system
        arguments = kernel_arguments or system.merge.kernel_arguments
        self.rpm_ostree.commit(stage(system, tree, arguments, locked=locked))

    async def start_rpm_ostree(self) -> None:
        """Start rpm-ostreed, as its first caller does."""
        if not self.rpm_ostree.running:
            await self.rpm_ostree.start(self._bus.address, self._bus.place)

    async def reboot(self, requester: int = 0, *, orderly: bool = True) -> None:
        """Go down and come up; not ``orderly`` is a power cut: nothing is told, nothing is finalized."""
        if orderly:
            self.logind.prepare(shutdown=True)
        await self._stop_agent(requester, orderly=orderly)
        await self.rpm_ostree.stop()
        finalized = orderly and not self.faults.finalize_fails
        before = self.booted
        system = reboot(self.rpm_ostree.system, finalize=finalized)
        self.rpm_ostree.system = system = _fallen_back(system, before) if self.faults.falls_back else system
        boot_id = str(uuid.uuid4())
        write_boot(self.root, system, boot_id, self._os_release)
        self.systemd.finalizer_is(active=False)
        self.logind.prepare(shutdown=False)
        self.reboots += 1
        if self._agent is not None:
            await self._agent.start()
        self._happened(Rebooted(boot_id, system.booted.checksum, system.booted.tree.kernel_release))

    async def _stop_agent(self, requester: int, *, orderly: bool) -> None:
        if self._agent is not None:
            await self._agent.stop(orderly=orderly)
        elif requester not in (0, os.getpid()):
            await _end_process(requester)

    def _reboot_asked(self, requester: int) -> None:
        """Reboot unless it is under way, or never comes."""
        if self.faults.reboot_stuck:
            self.logind.prepare(shutdown=True)
        elif self._rebooting is None or self._rebooting.done():
            self._rebooting = self._spawn(self.reboot(requester))

    def _changed(self, system: System) -> None:
        write_deployments(self.root, system)
        self.systemd.finalizer_is(active=system.staged is not None)

    def _wanted(self, _name: str) -> None:
        if not self.faults.stays_dead:
            self._spawn(self.start_rpm_ostree())

    def _happened(self, event: Event) -> None:
        self.events.append(event)
        self._more.set()
        self._on_event(event)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._settled)
        return task

    def _settled(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        self._broken = self._broken or (None if task.cancelled() else task.exception())


def _fallen_back(system: System, before: Deployment) -> System:
    """What ran before runs again, and the boot order stays, as after a choice in the boot menu."""
    ran = (before.checksum, before.serial)
    found = (replace(each, booted=(each.checksum, each.serial) == ran) for each in system.deployments)
    return replace(system, deployments=tuple(found))


async def _end_process(pid: int) -> None:
    """End a process that is no child of ours as a shutdown does: SIGTERM, after some seconds SIGKILL."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    gone = asyncio.Event()
    asyncio.get_running_loop().add_reader(watched, gone.set)
    try:
        signal.pidfd_send_signal(watched, signal.SIGTERM)
        async with asyncio.timeout(_GONE_TIMEOUT):
            await gone.wait()
    except TimeoutError:
        signal.pidfd_send_signal(watched, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        asyncio.get_running_loop().remove_reader(watched)
        os.close(watched)
