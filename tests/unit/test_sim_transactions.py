"""The simulated rpm-ostreed on a real bus: who may begin, join and hear what, and what faults do to it."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from mcd_rt.dbus.bus import Bus, open_bus
from mcd_rt.dbus.connection import Connection, PeerClosed, RemoteError, open_socket
from mcd_rt.dbus.names import BUS, GIO_ERROR, OS, PROPERTIES, RPM_OSTREE, SYSROOT, SYSROOT_PATH, TRANSACTION
from mcd_rt.dbus.wire import Kind, Message, Typed, Value, plain
from mcd_rt.model.nevra import Nevra
from mcd_rt.sim.bases import default_bases, installed_origin
from mcd_rt.sim.faults import ANY, END, SCRIPT_POST, Die, Fail, Faults, Hold, LosePeers, Twist
from mcd_rt.sim.image import build_rpm
from mcd_rt.sim.peer import Manner
from mcd_rt.sim.privatebus import PrivateBus
from mcd_rt.sim.profiles import PROFILES
from mcd_rt.sim.request import Request
from mcd_rt.sim.rpmostree import Consequences, Finished, RpmOstree
from mcd_rt.sim.steps import STAGING
from mcd_rt.sim.world import fresh_system

TIMEOUT = 5.0
OS_PATH = "/org/projectatomic/rpmostree1/rhcos"
NO_PULL: dict[str, Value] = {"no-pull-base": Typed("b", value=True)}
REMOVE_BASH: dict[str, Value] = {"override-remove-packages": Typed("as", ["bash"])}
REMOVE_PODMAN: dict[str, Value] = {"override-remove-packages": Typed("as", ["podman"])}
INSTALL: dict[str, Value] = {"install-local-packages": Typed("ah", [0])}


@dataclass
class Peer:
    """A client of one transaction, and what it heard."""

    connection: Connection
    heard: list[tuple[str, list[Value]]]
    finished: "asyncio.Future[list[Value]]"

    async def call(self, member: str) -> list[Value]:
        return (await self.connection.call(Message(Kind.CALL, path="/", interface=TRANSACTION, member=member), 5)).body

    async def end(self) -> list[Value]:
        """The end it heard; a broken connection is an error."""
        await asyncio.wait({self.finished, self.connection.closed}, timeout=5, return_when=asyncio.FIRST_COMPLETED)
        assert self.finished.done(), "closed without an end"
        return self.finished.result()


@dataclass
class Node:
    """A daemon on a bus, and ways to call it."""

    daemon: RpmOstree
    faults: Faults
    address: str
    place: Path
    stack: AsyncExitStack
    ended: list[Finished] = field(default_factory=list)
    reboots: list[int] = field(default_factory=list)

    async def client(self) -> Bus:
        return await self.stack.enter_async_context(open_bus(self.address, TIMEOUT))

    async def peer(self, address: Value) -> Peer:
        heard: list[tuple[str, list[Value]]] = []
        finished: asyncio.Future[list[Value]] = asyncio.get_running_loop().create_future()

        def listen(message: Message) -> None:
            heard.append((message.member, message.body))
            if message.member == "Finished" and not finished.done():
                finished.set_result(message.body)

        connection = Connection(await open_socket(str(address), TIMEOUT), listen)
        self.stack.callback(connection.close)
        connection.start()
        return Peer(connection, heard, finished)

    async def run(self, bus: Bus, modifiers: dict[str, Value], *fds: int) -> list[Value]:
        """One whole ``UpdateDeployment``: the end it came to; the peer has left afterwards."""
        peer = await self.peer(await update(bus, modifiers, *fds))
        assert await peer.call("Start") == [True]
        end = await peer.end()
        peer.connection.close()
        await call(bus, SYSROOT_PATH, f"{SYSROOT}.Reload")
        return end


async def call(bus: Bus, path: str, member: str, signature: str = "", *body: Value, fds: tuple[int, ...] = ()) -> Value:
    reply = await bus.call(RPM_OSTREE, path, member, signature, list(body), timeout=TIMEOUT, descriptors=fds)
    return reply[0] if reply else ""


async def update(bus: Bus, modifiers: dict[str, Value], *fds: int, **options: Value) -> Value:
    return await call(bus, OS_PATH, f"{OS}.UpdateDeployment", "a{sv}a{sv}", modifiers, NO_PULL | options, fds=fds)


async def active(bus: Bus) -> Value:
    return plain(await bus.read_property(RPM_OSTREE, SYSROOT_PATH, f"{SYSROOT}.ActiveTransaction", TIMEOUT))


@asynccontextmanager
async def simulated(profile: str) -> AsyncIterator[Node]:
    bus, faults = PrivateBus(), Faults()
    bases = default_bases("registry.example/os@sha256:" + "a" * 64)
    system = fresh_system("rhcos", bases, installed_origin(bases[0], PROFILES[profile]), "rw")
    ended: list[Finished] = []
    reboots: list[int] = []
    daemon = RpmOstree(system, PROFILES[profile], faults, Consequences(lambda _: None, ended.append, reboots.append))
    try:
        await bus.start()
        await daemon.start(bus.address, bus.place)
        async with AsyncExitStack() as stack:
            yield Node(daemon, faults, bus.address, bus.place, stack, ended, reboots)
    finally:
        await daemon.stop()
        await bus.stop()


def on(profile: str, scenario: Callable[[Node, Bus], Awaitable[None]]) -> None:
    """Run a scenario; every descriptor that it opened must be closed after it."""

    async def run() -> None:
        async with simulated(profile) as node:
            await scenario(node, await node.client())

    before = {path.name for path in Path("/proc/self/fd").iterdir()}
    asyncio.run(run())
    assert {path.name for path in Path("/proc/self/fd").iterdir()} <= before


@pytest.fixture
def rpm(tmp_path: Path):
    """Opens an RPM of a NEVRA."""
    opened = []

    def write(nevra: str) -> int:
        path = tmp_path / f"{nevra}.rpm"
        path.write_bytes(build_rpm(Nevra.parse(nevra), payload=b"x"))
        opened.append(os.open(path, os.O_RDONLY))
        return opened[-1]

    yield write
    for descriptor in opened:
        os.close(descriptor)


def test_equal_parameters_join_and_the_second_rpm_is_dropped(rpm) -> None:
    first, second = rpm("foo-1-1.x86_64"), rpm("bar-1-1.x86_64")

    async def scenario(node: Node, bus: Bus) -> None:
        addresses = [await update(bus, INSTALL, first), await update(await node.client(), INSTALL, second)]
        assert addresses[0] == addresses[1]
        one, two = [await node.peer(address) for address in addresses]
        assert (await one.call("Start"), await two.call("Start")) == ([True], [False])
        assert await one.end() == await two.end() == [True, ""]
        assert [local.nevra for local in node.daemon.system.merge.tree.origin.local] == ["foo-1-1.x86_64"]

    on("2020.8", scenario)


@pytest.mark.parametrize(
    ("profile", "number", "unstarted", "hint"),
    [
        ("2020.8", 0, "(null)", ""),
        ("2024.9", 26, "new-deployment", "\n You can cancel the current transaction with `rpm-ostree cancel`"),
    ],
)
def test_other_parameters_find_it_busy(profile: str, number: int, unstarted: str, hint: str) -> None:
    async def scenario(node: Node, bus: Bus) -> None:
        hold = Hold("Staging")
        node.faults.at.append(hold)
        peer = await node.peer(await update(bus, REMOVE_BASH, **{"initiating-command-line": Typed("s", "mine")}))
        for title in (unstarted, "mine"):
            with pytest.raises(RemoteError) as busy:
                await update(bus, REMOVE_PODMAN)
            assert busy.value.name == f"{GIO_ERROR}{number}"
            assert busy.value.text == f"Transaction in progress: {title}{hint}"
            if title == unstarted:
                await peer.call("Start")
                await hold.reached.wait()
        hold.release.set()
        assert await peer.end() == [True, ""]

    on(profile, scenario)


def test_a_finished_transaction_counts_until_its_peers_have_gone() -> None:
    async def scenario(node: Node, bus: Bus) -> None:
        peer = await node.peer(await update(bus, REMOVE_BASH))
        await peer.call("Start")
        await peer.end()
        with pytest.raises(RemoteError, match="in progress"):
            await update(bus, REMOVE_PODMAN)
        assert (await active(bus))[0] == "UpdateDeployment"  # type: ignore[index]
        peer.connection.close()
        await call(bus, SYSROOT_PATH, f"{SYSROOT}.Reload")
        assert await active(bus) == ["", "", ""]
        assert await node.run(bus, REMOVE_PODMAN) == [True, ""]

    on("2020.8", scenario)


def test_a_client_that_comes_late_still_hears_the_end() -> None:
    async def scenario(node: Node, bus: Bus) -> None:
        address = await update(bus, REMOVE_BASH)
        first, late = await node.peer(address), await node.peer(address)
        assert await first.call("Start") == [True]
        await first.end()
        heard = len(late.heard)
        assert await late.call("Start") == [False]
        assert await late.end() == [True, ""]
        await late.call("Cancel")
        assert [member for member, _ in late.heard[heard:]] == ["Finished"]

    on("2024.9", scenario)


def test_a_client_that_has_left_before_there_is_a_transaction() -> None:
    async def scenario(node: Node, bus: Bus) -> None:
        asked = {"path": OS_PATH, "interface": OS, "member": "UpdateDeployment", "signature": "a{sv}a{sv}"}
        await node.daemon._operate(Message(Kind.CALL, sender=":1.999", body=[REMOVE_BASH, NO_PULL], **asked))
        await call(bus, SYSROOT_PATH, f"{SYSROOT}.Reload")
        assert await active(bus) == ["", "", ""]

    on("2024.9", scenario)


@pytest.mark.parametrize("profile", ["2020.8", "2024.9"])
def test_a_client_that_leaves_before_start(profile: str) -> None:
    async def scenario(node: Node, bus: Bus) -> None:
        async with open_bus(node.address, TIMEOUT) as leaving:
            await update(leaving, REMOVE_BASH)
        changed = asyncio.Event()
        await bus.watch(f"type='signal',sender='{RPM_OSTREE}',path='{SYSROOT_PATH}'", lambda _message: changed.set())
        if profile == "2020.8":
            with pytest.raises(RemoteError, match=r"in progress: \(null\)"):
                await update(bus, REMOVE_PODMAN)
            await node.daemon.stop()
            await node.daemon.start(node.address, node.place)
        while (await active(bus)) != ["", "", ""]:
            await asyncio.wait_for(changed.wait(), TIMEOUT)
            changed.clear()
        assert await node.run(bus, REMOVE_PODMAN) == [True, ""]
        assert node.daemon.system.merge.tree.origin.removals == ("podman",)

    on(profile, scenario)


def test_dropping_only_the_socket_before_start_leaves_it_pending() -> None:
    async def scenario(node: Node, bus: Bus) -> None:
        peer = await node.peer(await update(bus, REMOVE_BASH))
        peer.connection.close()
        await call(bus, SYSROOT_PATH, f"{SYSROOT}.Reload")
        assert (await active(bus))[0] == "UpdateDeployment"  # type: ignore[index]

    on("2024.9", scenario)


def test_a_client_that_leaves_after_start_does_not_stop_the_work() -> None:
    async def scenario(node: Node, bus: Bus) -> None:
        hold = Hold("Writing rpmdb")
        node.faults.at.append(hold)
        peer = await node.peer(await update(bus, REMOVE_BASH))
        await peer.call("Start")
        await hold.reached.wait()
        peer.connection.close()
        gone = asyncio.Event()
        await bus.watch(f"type='signal',sender='{RPM_OSTREE}',path='{SYSROOT_PATH}'", lambda _message: gone.set())
        hold.release.set()
        while await active(bus) != ["", "", ""]:
            await asyncio.wait_for(gone.wait(), TIMEOUT)
            gone.clear()
        assert node.daemon.system.merge.staged
        assert [(each.method, each.wrote, each.error) for each in node.ended] == [("UpdateDeployment", True, "")]

    on("2024.9", scenario)


def test_cancelling() -> None:
    async def scenario(node: Node, bus: Bus) -> None:
        hold = Hold("Resolving")
        node.faults.at.append(hold)
        peer = await node.peer(await update(bus, REMOVE_BASH))
        await peer.call("Cancel")
        assert await peer.call("Start") == [True], "to cancel what was not started does nothing"
        await hold.reached.wait()
        await peer.call("Cancel")
        assert await peer.end() == [False, "Operation was cancelled"]
        assert not node.daemon.system.merge.staged

    on("2020.8", scenario)


def test_a_foreign_transaction_can_be_attached_to_and_goes_on_until_released() -> None:
    async def scenario(node: Node, bus: Bus) -> None:
        hold = node.daemon.begin_foreign("install foo")
        await hold.reached.wait()
        with pytest.raises(RemoteError, match="in progress: install foo"):
            await update(bus, REMOVE_BASH)
        assert (await active(bus))[0] == "PkgChange"  # type: ignore[index]
        address = plain(await bus.read_property(RPM_OSTREE, SYSROOT_PATH, f"{SYSROOT}.ActiveTransactionPath", TIMEOUT))
        peer = await node.peer(address)
        assert await peer.call("Start") == [False]
        hold.release.set()
        assert await peer.end() == [True, ""]

    on("2024.9", scenario)


def test_where_argument_errors_surface() -> None:
    async def scenario_answers(_node: Node, bus: Bus) -> None:
        with pytest.raises(RemoteError, match="Expected 1 fds but received 0") as answered:
            await update(bus, INSTALL)
        assert answered.value.name == f"{GIO_ERROR}0"
        assert await active(bus) == ["", "", ""]

    async def scenario_finishes(node: Node, bus: Bus) -> None:
        assert await node.run(bus, INSTALL) == [False, "Expected 1 fds but received 0"]

    on("2019.6", scenario_answers)
    on("2024.9", scenario_finishes)


@pytest.mark.parametrize(
    "modifiers", [{}, {"override-remove-packages": Typed("s", "bash")}, {"nonsense": Typed("s", "")}]
)
def test_a_request_for_nothing_is_denied(modifiers: dict[str, Value]) -> None:
    async def scenario(_node: Node, bus: Bus) -> None:
        with pytest.raises(
            RemoteError, match="rpmostreed OS operation UpdateDeployment not allowed for user"
        ) as denied:
            await update(bus, modifiers)
        assert denied.value.name == f"{BUS}.Error.AccessDenied"

    on("2020.8", scenario)


def test_a_descriptor_is_read_from_where_it_stands_and_is_at_its_end_afterwards(rpm) -> None:
    descriptor = rpm("foo-1-1.x86_64")

    async def scenario(node: Node, bus: Bus) -> None:
        assert await node.run(bus, INSTALL, descriptor) == [True, ""]
        remove = {"uninstall-packages": Typed("as", ["foo"])}
        worked, text = await node.run(bus, INSTALL | remove, descriptor)
        assert not worked
        assert "rpm2cpio" in str(text)

    on("2024.9", scenario)


def test_a_handle_out_of_range_aborts_the_daemon(rpm) -> None:
    descriptor = rpm("foo-1-1.x86_64")

    async def scenario(node: Node, bus: Bus) -> None:
        peer = await node.peer(await update(bus, {"install-local-packages": Typed("ah", [1])}, descriptor))
        await peer.call("Start")
        await asyncio.wait_for(asyncio.shield(peer.connection.closed), TIMEOUT)
        assert not node.daemon.running

    on("2020.8", scenario)


def test_an_injected_failure_comes_after_its_step_and_once(rpm) -> None:
    descriptors = [rpm("foo-1-1.x86_64"), rpm("foo-1-2.x86_64")]

    async def scenario(node: Node, bus: Bus) -> None:
        node.faults.at.append(SCRIPT_POST)
        assert await node.run(bus, INSTALL, descriptors[0]) == [False, SCRIPT_POST.text]
        assert not node.daemon.system.merge.staged
        assert await node.run(bus, INSTALL, descriptors[1]) == [True, ""]
        node.faults.at.append(Fail(ANY, "at once"))
        assert await node.run(bus, REMOVE_BASH) == [False, "at once"]
        assert [each.error for each in node.ended] == [SCRIPT_POST.text, "", "at once"]

    on("2020.8", scenario)


@pytest.mark.parametrize(
    ("fault", "runs", "staged"),
    [
        (LosePeers("Writing rpmdb"), True, True),
        (LosePeers(END), True, True),
        (Die("Checking out"), False, False),
        (Die(STAGING.name), False, False),
        (Die(END), False, True),
    ],
)
def test_an_end_that_is_not_heard(fault: LosePeers | Die, *, runs: bool, staged: bool) -> None:
    async def scenario(node: Node, bus: Bus) -> None:
        vanished = await bus.watch_owner(RPM_OSTREE)
        node.faults.at.append(fault)
        peer = await node.peer(await update(bus, REMOVE_BASH))
        await peer.call("Start")
        await asyncio.wait_for(asyncio.shield(peer.connection.closed), TIMEOUT)
        assert not peer.finished.done()
        if not runs:
            await asyncio.wait_for(vanished, TIMEOUT)
            with pytest.raises(RemoteError, match="ServiceUnknown"):
                await active(bus)
            await node.daemon.start(node.address, node.place)
        changed = asyncio.Event()
        await bus.watch(f"type='signal',sender='{RPM_OSTREE}'", lambda _message: changed.set())
        while await active(bus) != ["", "", ""]:
            await asyncio.wait_for(changed.wait(), TIMEOUT)
            changed.clear()
        assert (node.daemon.system.staged is not None) == staged
        assert node.daemon.assemblies == staged

    on("2024.9", scenario)


@pytest.mark.parametrize("twist", list(Twist))
def test_success_that_is_none(twist: Twist, rpm) -> None:
    descriptor = rpm("foo-1-1.x86_64")

    async def scenario(node: Node, bus: Bus) -> None:
        node.faults.twists.append(twist)
        peer = await node.peer(await update(bus, INSTALL, descriptor, **{"lock-finalization": Typed("b", value=True)}))
        await peer.call("Start")
        assert await peer.end() == [True, ""]
        staged = node.daemon.system.staged
        begun = [body[0] for member, body in peer.heard if member == "TaskBegin"]
        seen = (STAGING.name in begun, staged and staged.locked, staged and len(staged.tree.origin.local))
        assert (
            seen
            == {
                Twist.NO_CHANGE: (False, None, None),
                Twist.PRETENDED: (True, None, None),
                Twist.INCOMPLETE: (True, True, 0),
                Twist.LOCK_LOST: (True, False, 1),
                Twist.ANOTHER: (True, True, 1),
            }[twist]
        )
        assert node.faults.twists == []
        assert node.daemon.assemblies == (staged is not None)
        if staged is not None:
            assert ("unasked" in staged.tree.origin.packages) is (twist is Twist.ANOTHER)

    on("2024.9", scenario)


def test_a_mute_daemon_owns_its_name_and_never_answers() -> None:
    async def scenario(node: Node, bus: Bus) -> None:
        node.faults.mute = True
        with pytest.raises(TimeoutError):
            await bus.call(RPM_OSTREE, SYSROOT_PATH, f"{SYSROOT}.Reload", timeout=0.1)
        node.faults.mute = False
        await call(bus, SYSROOT_PATH, f"{SYSROOT}.Reload")

    on("2024.9", scenario)


@pytest.mark.parametrize(("manner", "error"), [(Manner.SILENT, TimeoutError), (Manner.CLOSING, PeerClosed)])
def test_a_transaction_socket_with_bad_manners(manner: Manner, error: type[Exception]) -> None:
    async def scenario(node: Node, bus: Bus) -> None:
        node.faults.manner = manner
        address = await update(bus, REMOVE_BASH)
        with pytest.raises(error):
            await open_socket(str(address), 0.1)

    on("2024.9", scenario)


@pytest.mark.parametrize("profile", ["2020.8", "2024.9"])
def test_finalizing_unlocks_tells_and_reboots_and_then_nothing_is_begun(profile: str) -> None:
    async def scenario(node: Node, bus: Bus) -> None:
        lock: dict[str, Value] = {"lock-finalization": Typed("b", value=True)}
        peer = await node.peer(await update(bus, REMOVE_BASH, **lock))
        await peer.call("Start")
        await peer.end()
        assert node.daemon.system.merge.locked
        peer.connection.close()
        await call(bus, SYSROOT_PATH, f"{SYSROOT}.Reload")
        options: Value = {"checksum": Typed("s", node.daemon.system.merge.tree.base.checksum)}
        peer = await node.peer(await call(bus, OS_PATH, f"{OS}.FinalizeDeployment", "a{sv}", options))
        await peer.call("Start")
        assert await peer.end() == [True, ""]
        assert not node.daemon.system.merge.locked
        assert node.reboots == [os.getpid()]
        assert node.daemon.assemblies == 1
        peer.connection.close()
        await call(bus, SYSROOT_PATH, f"{SYSROOT}.Reload")
        if PROFILES[profile].reboot_ends_transactions:
            with pytest.raises(RemoteError, match="Reboot initiated, cannot start new transaction"):
                await update(bus, REMOVE_PODMAN)
        else:
            await update(bus, REMOVE_PODMAN)

    on(profile, scenario)


def test_kernel_arguments_and_the_boot_configuration() -> None:
    async def scenario(node: Node, bus: Bus) -> None:
        body: list[Value] = ["rw", ["foo=bar"], [], [], {}]
        peer = await node.peer(await call(bus, OS_PATH, f"{OS}.KernelArgs", "sasasasa{sv}", *body))
        await peer.call("Start")
        assert await peer.end() == [True, ""]
        member = f"{OS}.GetDeploymentBootConfig"
        for pending, staged, options in ((True, True, "rw foo=bar ostree="), (False, False, "rw ostree=")):
            found = plain(await call(bus, OS_PATH, member, "sb", "", pending))
            assert isinstance(found, dict)
            assert found["staged"] == staged
            assert str(found["options"]).startswith(f"{options}/ostree/boot.")
        with pytest.raises(RemoteError, match="Invalid deployment index rhcos-0"):
            await call(bus, OS_PATH, member, "sb", "rhcos-0", True)
        assert node.daemon.assemblies == 1

    on("2024.9", scenario)


REQUESTS: list[tuple[str, str, list[Value], dict[str, Value], dict[str, Value]]] = [
    (
        "UpdateDeployment", "a{sv}a{sv}", [REMOVE_BASH, NO_PULL],
        {"override-remove-packages": ["bash"]}, {"no-pull-base": True},
    ),
    (
        "KernelArgs", "sasasasa{sv}", ["rw", ["a"], [], [], {"reboot": Typed("b", value=False)}],
        {"existing": "rw", "added": ["a"], "replaced": [], "removed": []}, {"reboot": False},
    ),
    ("PkgChange", "a{sv}asas", [NO_PULL, ["vim"], []], {"added": ["vim"], "removed": []}, {"no-pull-base": True}),
    ("Rebase", "a{sv}sas", [{}, "os:x", []], {"refspec": "os:x"}, {}),
    ("Upgrade", "a{sv}", [{"cache-only": Typed("b", value=True)}], {}, {"cache-only": True}),
    ("Cleanup", "as", [["base"]], {"kinds": ["base"]}, {}),
    ("Rollback", "a{sv}", [{"reboot": Typed("b", value=True)}], {}, {"reboot": True}),
    ("FinalizeDeployment", "a{sv}", [{"checksum": Typed("s", "1")}], {}, {"checksum": "1"}),
]  # fmt: skip


@pytest.mark.parametrize(("method", "signature", "body", "modifiers", "options"), REQUESTS)
def test_exactly_what_was_asked_can_be_read_afterwards(
    method: str, signature: str, body: list[Value], modifiers: dict[str, Value], options: dict[str, Value]
) -> None:
    async def scenario(node: Node, bus: Bus) -> None:
        peer = await node.peer(await call(bus, OS_PATH, f"{OS}.{method}", signature, *body))
        await peer.call("Start")
        await peer.end()
        [ended] = node.ended
        assert (ended.method, ended.request) == (method, Request(modifiers, options))

    on("2024.9", scenario)


def test_every_transaction_has_a_title_and_names_its_client() -> None:
    async def scenario(node: Node, bus: Bus) -> None:
        peer = await node.peer(await update(bus, REMOVE_BASH))
        request = Message(
            Kind.CALL, path="/", interface=PROPERTIES, member="Get", signature="ss", body=[TRANSACTION, "Title"]
        )
        assert plain((await peer.connection.call(request, TIMEOUT)).body[0]) == "override"
        request = replace(request, body=[TRANSACTION, "InitiatingClientDescription"])
        assert str(plain((await peer.connection.call(request, TIMEOUT)).body[0])).startswith(":1.")
        with pytest.raises(RemoteError, match="UnknownMethod"):
            await peer.call("Restart")

    on("2024.9", scenario)


def test_what_does_not_exist() -> None:
    async def scenario(_node: Node, bus: Bus) -> None:
        for path, member, body, text in (
            (SYSROOT_PATH, f"{SYSROOT}.GetOS", ["x"], 'OS name "x" not found'),
            (OS_PATH, f"{OS}.Moo", ["x"], "No such method"),
            (SYSROOT_PATH, f"{PROPERTIES}.Get", [SYSROOT, "Nothing"], "No such property"),
            (OS_PATH, f"{PROPERTIES}.Get", [SYSROOT, "Booted"], "No such interface"),
        ):
            with pytest.raises(RemoteError, match=text):
                await call(bus, path, member, "s" * len(body), *body)
        with pytest.raises(RemoteError, match="Object does not exist"):
            await call(bus, "/elsewhere", f"{OS}.Cleanup", "as", ["base"])
        with pytest.raises(RemoteError, match="Invalid cleanup type: all"):
            await call(bus, OS_PATH, f"{OS}.Cleanup", "as", ["all"])
        every = plain(await call(bus, OS_PATH, f"{PROPERTIES}.GetAll", "s", OS))
        assert isinstance(every, dict)
        assert every["Name"] == "rhcos"
        assert await call(bus, SYSROOT_PATH, f"{SYSROOT}.GetOS", "s", "") == OS_PATH

    on("2024.9", scenario)
