"""Other clients on a simulated node, as actors: a machine-config-daemon, and an administrator.

They speak D-Bus to rpm-ostree and logind as the genuine ones do; what an administrator does with ``ostree admin``
goes straight to the sysroot. Each raises ``NeighbourFailed`` with rpm-ostree's own words.
"""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from mcd_rt.dbus.bus import Bus, open_bus
from mcd_rt.dbus.names import LOGIN, LOGIN_MANAGER, LOGIN_PATH, OS, RPM_OSTREE, SYSROOT, SYSROOT_PATH
from mcd_rt.dbus.transaction import Deadlines, Done, Failed, run_transaction
from mcd_rt.dbus.wire import Typed, Value, plain
from mcd_rt.model.kernel import flavor_owning, is_base_kernel
from mcd_rt.model.nevra import Nevra
from mcd_rt.sim.bases import pivot_origin
from mcd_rt.sim.image import build_rpm
from mcd_rt.sim.node import Rebooted, SimulatedNode
from mcd_rt.sim.world import Base, Repository

CURRENT_CONFIG = "/etc/machine-config-daemon/currentconfig"
_TIMEOUT = 30.0
_HOTFIX = "hotfix1"


class NeighbourFailed(Exception):
    """What another client asked for did not work, in rpm-ostree's own words."""


@dataclass(frozen=True, slots=True)
class McdUpdate:
    """What a machine-config-daemon brings in one go.

    ``image`` is the pinned reference of the OS image (empty: none), ``repository`` its ``srv/repo`` where it is a
    machine-os-content image with the commit ``commit`` in it; ``config`` is the rendered config it writes.
    """

    image: str = ""
    repository: Path | None = None
    commit: str = ""
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    config: bytes = b""


class Client:
    """A registered client of rpm-ostreed; use ``open_client``."""

    def __init__(self, bus: Bus, os_path: str) -> None:
        self._bus = bus
        self._os_path = os_path

    async def call(self, method: str, signature: str, *body: Value, descriptors: tuple[int, ...] = ()) -> Value:
        """Call one method of the OS; its only answer. Raises ``RemoteError``."""
        member = f"{OS}.{method}"
        [answer] = await self._bus.call(
            RPM_OSTREE, self._os_path, member, signature, list(body), timeout=_TIMEOUT, descriptors=descriptors
        )
        return answer

    async def run(self, method: str, signature: str, *body: Value, descriptors: tuple[int, ...] = ()) -> None:
        """One whole transaction; raises ``NeighbourFailed``, or ``RemoteError`` where it is not begun."""
        vanished = await self._bus.watch_owner(RPM_OSTREE)
        address = await self.call(method, signature, *body, descriptors=descriptors)
        deadlines = Deadlines(_TIMEOUT, _TIMEOUT)
        outcome = await run_transaction(str(address), vanished, deadlines, lambda _progress: None)
        await self._bus.call(RPM_OSTREE, SYSROOT_PATH, f"{SYSROOT}.Reload", timeout=_TIMEOUT)
        match outcome:
            case Done():
                return
            case Failed(text):
                raise NeighbourFailed(text)
            case _:
                raise NeighbourFailed(f"{method}: {outcome}")


@asynccontextmanager
async def open_client(node: SimulatedNode) -> AsyncIterator[Client]:
    """A client as the genuine one begins: connected, registered, the booted OS found."""
    async with open_bus(node.environment["DBUS_SYSTEM_BUS_ADDRESS"], _TIMEOUT) as bus:
        options: Value = {"id": Typed("s", "cli")}
        await bus.call(RPM_OSTREE, SYSROOT_PATH, f"{SYSROOT}.RegisterClient", "a{sv}", [options], timeout=_TIMEOUT)
        booted = await bus.read_property(RPM_OSTREE, SYSROOT_PATH, f"{SYSROOT}.Booted", _TIMEOUT)
        yield Client(bus, str(booted))


async def mcd_updates(node: SimulatedNode, update: McdUpdate) -> None:
    """The machine-config-daemon's way: ``cleanup -p``, rebase, kargs, ``currentconfig``, and reboot at once.

    Source: ``reference/machine-config-daemon.md`` 1.3 and 2.1. It returns when the node is up again.
    """
    await mcd_stages(node, update)
    if update.config:
        write_current_config(node, update.config)
    await reboot_node(node)


async def mcd_stages(node: SimulatedNode, update: McdUpdate) -> None:
    """The first half of it: everything up to, and without, the config and the reboot."""
    async with open_client(node) as client:
        await client.run("Cleanup", "as", ["pending-deploy"])
        if update.image:
            await _rebase(client, update)
        if update.added or update.removed:
            options: Value = {"delete-if-present": Typed("as", [*update.removed])}
            await _edit_arguments(client, update.added, (), options)


def write_current_config(node: SimulatedNode, config: bytes) -> None:
    """Write the rendered config, atomically."""
    place = node.paths.below(CURRENT_CONFIG)
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = place.with_name("currentconfig.mcd")
    temporary.write_bytes(config)
    temporary.rename(place)


async def reboot_node(node: SimulatedNode) -> None:
    """``systemctl reboot``: inhibitors are not asked; returns when the node is up again."""
    boots = sum(isinstance(event, Rebooted) for event in node.events)
    async with open_bus(node.environment["DBUS_SYSTEM_BUS_ADDRESS"], _TIMEOUT) as bus:
        await bus.call(LOGIN, LOGIN_PATH, f"{LOGIN_MANAGER}.Reboot", "b", [False], timeout=_TIMEOUT)
    await node.wait(Rebooted, boots + 1, _TIMEOUT)


async def admin_layers(node: SimulatedNode, *packages: str) -> None:
    """``rpm-ostree install``, from a repository that offers them beside whatever it had."""
    system = node.rpm_ostree.system
    offered = system.repository or Repository("updates")
    wider = replace(offered, packages=tuple(sorted({*offered.packages, *packages})))
    node.rpm_ostree.system = replace(system, repository=wider)
    options: Value = {"no-pull-base": Typed("b", value=True)}
    async with open_client(node) as client:
        await client.run("PkgChange", "a{sv}asas", options, [*packages], [])


async def admin_replaces_kernel(node: SimulatedNode) -> str:
    """``rpm-ostree override replace`` of every kernel package of the base by a hotfix; its kernel release."""
    base = node.deployments[0].tree.base
    release, rpms = _hotfix(base)
    modifiers: Value = {"override-replace-local-packages": Typed("ah", [*range(len(rpms))])}
    options: Value = {"no-pull-base": Typed("b", value=True), "cache-only": Typed("b", value=True)}
    with ExitStack() as stack:
        descriptors = tuple(_in_memory(rpm, stack) for rpm in rpms)
        async with open_client(node) as client:
            await client.run("UpdateDeployment", "a{sv}a{sv}", modifiers, options, descriptors=descriptors)
    return release


async def admin_edits_arguments(node: SimulatedNode, added: Sequence[str] = (), removed: Sequence[str] = ()) -> None:
    """``rpm-ostree kargs --append=... --delete=...``."""
    async with open_client(node) as client:
        await _edit_arguments(client, added, removed, {})


async def admin_rolls_back(node: SimulatedNode) -> None:
    """``rpm-ostree rollback``: what ran before is first, and boots next."""
    async with open_client(node) as client:
        await client.run("Rollback", "a{sv}", {"reboot": Typed("b", value=False)})


def admin_pins(node: SimulatedNode, index: int = 0, *, pinned: bool = True) -> None:
    """``ostree admin pin INDEX`` of a deployment that is not staged (``ostree`` refuses those)."""
    system = node.rpm_ostree.system
    assert not system.deployments[index].staged
    deployments = list(system.deployments)
    deployments[index] = replace(deployments[index], pinned=pinned)
    node.rpm_ostree.commit(replace(system, deployments=tuple(deployments)))


async def _rebase(client: Client, update: McdUpdate) -> None:
    """Of a container since 4.12, of a commit out of the extracted image before."""
    if update.repository is None:
        refspec = f"ostree-unverified-registry:{update.image}"
        await client.run("Rebase", "a{sv}sas", {"allow-downgrade": Typed("b", value=True)}, refspec, [])
        return
    modifiers: Value = {"set-refspec": Typed("s", update.commit), "ex-local-repo-remote": Typed("h", 0)}
    options: Value = {"custom-origin": Typed("(ss)", [*pivot_origin(update.image)])}
    descriptor = os.open(update.repository, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    with ExitStack() as stack:
        stack.callback(os.close, descriptor)
        await client.run("UpdateDeployment", "a{sv}a{sv}", modifiers, options, descriptors=(descriptor,))


async def _edit_arguments(client: Client, added: Sequence[str], removed: Sequence[str], options: Value) -> None:
    pending: Value = True
    found = plain(await client.call("GetDeploymentBootConfig", "sb", "", pending))
    assert isinstance(found, dict)
    await client.run("KernelArgs", "sasasasa{sv}", found["options"], [*added], [], [*removed], options)


def _hotfix(base: Base) -> tuple[str, list[bytes]]:
    """RPMs with the names of the base's kernel packages, and the kernel release they carry."""
    old = Nevra.parse(base.find("kernel-core"))
    new = f"{old.version}-{old.release}.{_HOTFIX}.{old.architecture}"
    every = map(Nevra.parse, base.packages)
    kernel = (nevra for nevra in every if is_base_kernel(nevra.name) or flavor_owning(nevra.name))
    fixed = [replace(nevra, release=f"{nevra.release}.{_HOTFIX}") for nevra in kernel]
    return new, [build_rpm(nevra, kernel_release=new) for nevra in fixed]


def _in_memory(data: bytes, stack: ExitStack) -> int:
    descriptor = os.memfd_create("hotfix", os.MFD_CLOEXEC)
    stack.callback(os.close, descriptor)
    os.pwrite(descriptor, data, 0)
    return descriptor
