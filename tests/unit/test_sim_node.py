"""A whole simulated node: host facts, reboots, its agent, the services around it, and nothing left behind."""

import asyncio
import os
import stat
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mcd_rt.dbus.bus import Bus, open_bus
from mcd_rt.dbus.connection import PeerClosed, RemoteError
from mcd_rt.dbus.names import (
    BUS,
    LOGIN,
    LOGIN_MANAGER,
    LOGIN_PATH,
    OS,
    PROPERTIES,
    RPM_OSTREE,
    SYSROOT,
    SYSROOT_PATH,
    SYSTEMD,
    SYSTEMD_MANAGER,
    SYSTEMD_PATH,
    SYSTEMD_UNIT,
)
from mcd_rt.dbus.transaction import Deadlines, Done, Failed, run_transaction
from mcd_rt.dbus.wire import Message, Typed, Value, plain
from mcd_rt.errors import AgentError, Code
from mcd_rt.sim.bases import default_bases
from mcd_rt.sim.hostfiles import DAEMON_SETTINGS, RHEL, is_layering_locked, lock_layering
from mcd_rt.sim.neighbours import NeighbourFailed, admin_edits_arguments, admin_layers, admin_replaces_kernel
from mcd_rt.sim.node import ARGUMENTS, Rebooted, SimulatedNode
from mcd_rt.sim.privatebus import PrivateBus
from mcd_rt.sim.process import AgentExited, AgentStarted
from mcd_rt.sim.profiles import PROFILES
from mcd_rt.sim.rpmostree import Finished
from mcd_rt.sim.systemd import Systemd
from mcd_rt.sim.world import Rpm, Tree

TIMEOUT = 5.0
IMAGE = "registry.example/rhel-coreos@sha256:" + "a" * 64
BASES = default_bases(IMAGE)
OS_PATH = "/org/projectatomic/rpmostree1/rhcos"
RELEASE = "5.14.0-284.rt14.el9.x86_64+rt"
CORE = Rpm("kernel-rt-core-5.14.0-284.rt14.el9.x86_64", "c" * 64, RELEASE)
SLEEPER = [sys.executable, "-c", "import signal; signal.pause()"]


def realtime(node: SimulatedNode, core: Rpm = CORE) -> Tree:
    tree = node.deployments[0].tree
    kernel = tuple(sorted(name for name in ("kernel", "kernel-core", "kernel-modules", "kernel-modules-core",
                                            "kernel-modules-extra") if tree.base.find(name)))  # fmt: skip
    return Tree(tree.base, replace(tree.origin, removals=kernel, local=(core,)))


def on(scenario: Callable[[SimulatedNode], Awaitable[None]], **options: object) -> None:
    """Run a scenario on a node; no file, process or descriptor may be left afterwards."""
    places = []

    async def run() -> None:
        node = SimulatedNode(**({"bases": BASES} | options))  # type: ignore[arg-type]
        places.append(node.root.parent)
        async with node:
            await scenario(node)

    before = {path.name for path in Path("/proc/self/fd").iterdir()}
    asyncio.run(run())
    assert {path.name for path in Path("/proc/self/fd").iterdir()} <= before
    assert not places[0].exists()


def client(node: SimulatedNode):
    return open_bus(node.environment["DBUS_SYSTEM_BUS_ADDRESS"], TIMEOUT)


async def finalize(node: SimulatedNode, bus: Bus) -> Done | Failed:
    vanished = await bus.watch_owner(RPM_OSTREE)
    options: Value = {"checksum": Typed("s", node.deployments[0].tree.base.checksum)}
    [address] = await bus.call(RPM_OSTREE, OS_PATH, f"{OS}.FinalizeDeployment", "a{sv}", [options], timeout=TIMEOUT)
    outcome = await run_transaction(str(address), vanished, Deadlines(TIMEOUT, TIMEOUT), lambda _progress: None)
    assert isinstance(outcome, Done | Failed)
    return outcome


def read(node: SimulatedNode, path: str) -> str:
    return node.paths.below(path).read_text().strip()


def test_a_fresh_node_is_an_image_based_host_that_runs_its_bases_kernel() -> None:
    async def scenario(node: SimulatedNode) -> None:
        assert read(node, "/proc/sys/kernel/osrelease") == BASES[0].kernel_release
        assert "PREEMPT_RT" not in read(node, "/proc/sys/kernel/version")
        assert read(node, "/proc/sys/kernel/arch") == "x86_64"
        assert len(read(node, "/proc/sys/kernel/random/boot_id")) == 36
        assert 'ID="rhcos"' in read(node, "/etc/os-release")
        assert "root=UUID=" in read(node, "/proc/cmdline")
        assert not node.paths.below("/sys/kernel/realtime").exists()
        assert node.paths.below("/run/ostree-booted").exists()
        assert node.paths.below("/run/ostree").is_dir()
        assert not node.paths.below("/run/ostree/staged-deployment").exists()
        assert node.environment["MCD_RT_ROOT"] == str(node.root) == str(node.paths.root)
        assert set(node.environment) == {"MCD_RT_ROOT", "DBUS_SYSTEM_BUS_ADDRESS"}

    on(scenario)


def test_a_node_need_not_be_one_that_is_served() -> None:
    async def scenario(node: SimulatedNode) -> None:
        assert 'ID="rhel"' in read(node, "/etc/os-release")

    on(scenario, os_release=RHEL)


@pytest.mark.parametrize(
    ("profile", "origin", "custom"),
    [
        ("2024.9", f"ostree-unverified-registry:registry.example/rhel-coreos@sha256:{'a' * 64}", None),
        ("2020.8", BASES[0].checksum, f"pivot://registry.example/machine-os-content@sha256:{'a' * 64}"),
    ],
)
def test_where_the_base_came_from(profile: str, origin: str, custom: str | None) -> None:
    async def scenario(node: SimulatedNode) -> None:
        found = node.deployments[0].tree.origin
        assert (found.refspec, found.custom and found.custom[0]) == (origin, custom)

    on(scenario, profile=profile)


def test_el8_has_no_modules_core() -> None:
    [base] = default_bases(IMAGE, "el8")
    assert base.kernel_release == "4.18.0-193.el8.x86_64"
    assert base.find("kernel-core")
    assert not base.find("kernel-modules-core")
    assert BASES[0].find("kernel-modules-core")


def test_the_command_lists_the_packages_of_a_base_as_the_genuine_one_does() -> None:
    async def scenario(node: SimulatedNode) -> None:
        async def run(*arguments: str) -> tuple[int | None, list[str]]:
            process = await asyncio.create_subprocess_exec(
                str(node.paths.below("/usr/bin/rpm-ostree")), *arguments,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env={},
            )  # fmt: skip
            output, _ = await process.communicate()
            return process.returncode, output.decode().splitlines()

        checksum = BASES[0].checksum
        code, lines = await run("db", "list", checksum)
        assert (code, lines[0]) == (0, f"ostree commit: {checksum} ({checksum})")
        assert lines[1:] == [f" {nevra}" for nevra in BASES[0].packages]
        for arguments in (("db", "list", "0" * 64), ("status",), ()):
            code, lines = await run(*arguments)
            assert code == 1
            assert lines[0].startswith("error:")

    on(scenario)


def test_a_fips_host_says_so_and_another_does_not() -> None:
    async def plain_host(node: SimulatedNode) -> None:
        assert read(node, "/proc/sys/crypto/fips_enabled") == "0"

    async def fips_host(node: SimulatedNode) -> None:
        assert read(node, "/proc/sys/crypto/fips_enabled") == "1"
        assert " fips=1 ostree=" in read(node, "/proc/cmdline")

    on(plain_host)
    on(fips_host, kernel_arguments=f"{ARGUMENTS} fips=1")


def test_the_command_line_is_that_of_the_booted_deployment_with_the_quotes_of_the_boot_loader() -> None:
    async def scenario(node: SimulatedNode) -> None:
        first = read(node, "/proc/cmdline")
        assert first.startswith("BOOT_IMAGE=(hd0,gpt3)/ostree/rhcos-")
        node.another_client_stages(realtime(node), kernel_arguments='a="b c" d="e"')
        assert read(node, "/proc/cmdline") == first
        await node.reboot()
        words = read(node, "/proc/cmdline")
        assert ' "a=b c" d=e ostree=/ostree/boot.1/rhcos/' in words
        assert words.rpartition(" ostree=")[2] != first.rpartition(" ostree=")[2]

    on(scenario)


def test_layering_can_be_locked() -> None:
    async def scenario(node: SimulatedNode) -> None:
        settings = node.root / DAEMON_SETTINGS
        assert not is_layering_locked(settings)
        settings.parent.mkdir(exist_ok=True)
        settings.write_text("[Daemon]\nIdleExitTimeout=60\n")
        assert not is_layering_locked(settings)
        lock_layering(node.root)
        assert is_layering_locked(settings)
        with pytest.raises(NeighbourFailed, match=r"^Cannot operate; `LockLayering=true` in configuration\.$"):
            await admin_layers(node, "vim")
        with pytest.raises(NeighbourFailed, match="LockLayering"):
            await admin_replaces_kernel(node)
        await admin_edits_arguments(node, ["foo"])  # layers nothing
        assert node.deployments[0].kernel_arguments == f"{ARGUMENTS} foo"

    async def older(node: SimulatedNode) -> None:
        lock_layering(node.root)
        await admin_layers(node, "vim")
        assert node.deployments[0].tree.origin.packages == ("vim",)

    on(scenario)
    on(older, profile="2020.8")


def test_staging_moves_what_an_agent_watches() -> None:
    async def scenario(node: SimulatedNode) -> None:
        deploy = node.paths.below("/ostree/deploy")
        os.utime(deploy, (1, 1))
        node.another_client_stages(realtime(node))
        staged = node.paths.below("/run/ostree/staged-deployment")
        assert staged.exists()
        assert deploy.stat().st_mtime > 1
        before = staged.read_text()
        node.another_client_stages(realtime(node), locked=True)
        assert staged.read_text() != before
        assert [each.locked for each in node.deployments] == [True, False]

    on(scenario)


@pytest.mark.parametrize(("release", "core", "flag"), [
    ("el9", CORE, True),
    ("el8", Rpm("kernel-rt-core-4.18.0-193.rt13.el8.x86_64", "c" * 64, "4.18.0-193.rt13.el8.x86_64"), False),
])  # fmt: skip
def test_a_reboot_boots_what_is_staged_with_its_kernel(release: str, core: Rpm, *, flag: bool) -> None:
    async def scenario(node: SimulatedNode) -> None:
        before = read(node, "/proc/sys/kernel/random/boot_id")
        node.another_client_stages(realtime(node, core), kernel_arguments="root=x foo=bar")
        (node.paths.runtime).mkdir()
        await node.reboot()
        assert read(node, "/proc/sys/kernel/osrelease") == core.kernel_release
        assert "PREEMPT" in read(node, "/proc/sys/kernel/version")
        assert "PREEMPT_DYNAMIC" not in read(node, "/proc/sys/kernel/version")
        assert node.paths.below("/sys/kernel/realtime").exists() == flag
        assert " root=x foo=bar ostree=/ostree/boot.1/rhcos/" in read(node, "/proc/cmdline")
        assert not node.paths.runtime.exists(), "/run is empty after a boot"
        assert not node.paths.below("/run/ostree/staged-deployment").exists()
        [event] = node.events
        assert isinstance(event, Rebooted)
        assert event.boot_id == read(node, "/proc/sys/kernel/random/boot_id") != before
        assert [each.booted for each in node.deployments] == [True, False]
        assert node.reboots == 1

    on(scenario, bases=default_bases(IMAGE, release))


@pytest.mark.parametrize(
    ("locked", "fails", "orderly"), [(True, False, True), (False, True, True), (False, False, False)]
)
def test_what_is_not_finalized_does_not_boot(*, locked: bool, fails: bool, orderly: bool) -> None:
    async def scenario(node: SimulatedNode) -> None:
        node.faults.finalize_fails = fails
        node.another_client_stages(realtime(node), locked=locked)
        await node.reboot(orderly=orderly)
        assert read(node, "/proc/sys/kernel/osrelease") == BASES[0].kernel_release
        assert len(node.deployments) == 1

    on(scenario)


def test_what_was_written_is_not_booted_where_the_boot_loader_falls_back() -> None:
    async def scenario(node: SimulatedNode) -> None:
        before = node.booted
        node.faults.falls_back = True
        node.another_client_stages(realtime(node))
        await node.reboot()
        assert [each.booted for each in node.deployments] == [False, True]
        assert node.booted == before
        assert read(node, "/proc/sys/kernel/osrelease") == BASES[0].kernel_release

    on(scenario)


def test_rpm_ostreed_is_started_by_whoever_calls_it_and_again_after_a_boot() -> None:
    async def scenario(node: SimulatedNode) -> None:
        assert node.rpm_ostree.starts == 0
        async with client(node) as bus:
            for starts in (1, 1):
                await bus.call(RPM_OSTREE, SYSROOT_PATH, f"{SYSROOT}.Reload", timeout=TIMEOUT)
                assert node.rpm_ostree.starts == starts
            await node.reboot()
            assert not node.rpm_ostree.running
            await bus.call(RPM_OSTREE, SYSROOT_PATH, f"{SYSROOT}.Reload", timeout=TIMEOUT)
            assert node.rpm_ostree.starts == 2

    on(scenario)


def test_a_node_without_rpm_ostree_and_one_whose_rpm_ostreed_stays_dead() -> None:
    async def absent(node: SimulatedNode) -> None:
        async with client(node) as bus:
            with pytest.raises(RemoteError) as error:
                await bus.call(RPM_OSTREE, SYSROOT_PATH, f"{SYSROOT}.Reload", timeout=TIMEOUT)
            assert error.value.name == f"{BUS}.Error.ServiceUnknown"

    async def dead(node: SimulatedNode) -> None:
        node.faults.stays_dead = True
        async with client(node) as bus:
            with pytest.raises(TimeoutError):
                await bus.call(RPM_OSTREE, SYSROOT_PATH, f"{SYSROOT}.Reload", timeout=0.1)
            await node.start_rpm_ostree()
            await bus.call(RPM_OSTREE, SYSROOT_PATH, f"{SYSROOT}.Reload", timeout=TIMEOUT)

    on(absent, has_rpm_ostree=False)
    on(dead)


def test_finalizing_reboots_into_it() -> None:
    async def scenario(node: SimulatedNode) -> None:
        node.another_client_stages(realtime(node), locked=True)
        async with client(node) as bus:
            assert await finalize(node, bus) == Done()
        assert (await node.wait(Rebooted)).kernel_release == RELEASE
        assert [(each.method, each.wrote, each.error) for each in node.transactions] == [
            ("FinalizeDeployment", False, "")
        ]
        assert (node.assemblies, node.reboots) == (0, 1)
        assert isinstance(await node.wait(Finished), Finished)

    on(scenario)


def test_a_second_owner_of_a_name_is_refused() -> None:
    async def scenario(node: SimulatedNode) -> None:
        second = Systemd().service
        try:
            with pytest.raises(PeerClosed, match="has an owner already"):
                await second.start(node.environment["DBUS_SYSTEM_BUS_ADDRESS"])
        finally:
            await second.stop()
        assert await node.logind.service.process_of(":9.99") == 0

    on(scenario)


def test_an_inhibitor_refuses_a_finalize_and_a_reboot_that_asks() -> None:
    async def scenario(node: SimulatedNode) -> None:
        node.faults.inhibitor = "backup"
        node.another_client_stages(realtime(node), locked=True)
        async with client(node) as bus:
            outcome = await finalize(node, bus)
            assert isinstance(outcome, Failed)
            assert "inhibitor" in outcome.text
            [locks] = await bus.call(LOGIN, LOGIN_PATH, f"{LOGIN_MANAGER}.ListInhibitors", timeout=TIMEOUT)
            assert locks == [["shutdown", "a simulated program", "backup", "block", 0, 1]]
            with pytest.raises(RemoteError, match="AccessDenied"):
                await bus.call(LOGIN, LOGIN_PATH, f"{LOGIN_MANAGER}.RebootWithFlags", "t", [1], timeout=TIMEOUT)
            assert node.reboots == 0
            await bus.call(LOGIN, LOGIN_PATH, f"{LOGIN_MANAGER}.RebootWithFlags", "t", [0], timeout=TIMEOUT)
        await node.wait(Rebooted)

    on(scenario)


@pytest.mark.parametrize("profile", list(PROFILES))
def test_logind_reboots_and_says_so_before(profile: str) -> None:
    async def scenario(node: SimulatedNode) -> None:
        said: list[Value] = []
        async with client(node) as bus:
            rule = f"type='signal',sender='{LOGIN}',member='PrepareForShutdown'"
            await bus.watch(rule, lambda message: said.extend(message.body if message.path == LOGIN_PATH else []))
            [can] = await bus.call(LOGIN, LOGIN_PATH, f"{LOGIN_MANAGER}.CanReboot", timeout=TIMEOUT)
            assert can == "yes"
            if not PROFILES[profile].reboot_flags:
                with pytest.raises(RemoteError, match="UnknownMethod"):
                    await bus.call(LOGIN, LOGIN_PATH, f"{LOGIN_MANAGER}.RebootWithFlags", "t", [1], timeout=TIMEOUT)
            await bus.call(LOGIN, LOGIN_PATH, f"{LOGIN_MANAGER}.Reboot", "b", [False], timeout=TIMEOUT)
            await node.wait(Rebooted)
            name = f"{LOGIN_MANAGER}.PreparingForShutdown"
            assert plain(await bus.read_property(LOGIN, LOGIN_PATH, name, TIMEOUT)) is False
        assert said == [True, False]

    on(scenario, profile=profile)


def test_a_reboot_that_never_comes() -> None:
    async def scenario(node: SimulatedNode) -> None:
        node.faults.reboot_stuck = True
        async with client(node) as bus:
            await bus.call(LOGIN, LOGIN_PATH, f"{LOGIN_MANAGER}.Reboot", "b", [False], timeout=TIMEOUT)
            name = f"{LOGIN_MANAGER}.PreparingForShutdown"
            assert plain(await bus.read_property(LOGIN, LOGIN_PATH, name, TIMEOUT)) is True
        assert node.events == []

    on(scenario)


def test_the_finalizer_is_active_while_something_is_staged() -> None:
    async def scenario(node: SimulatedNode) -> None:
        async with client(node) as bus:
            [path] = await bus.call(
                SYSTEMD,
                SYSTEMD_PATH,
                f"{SYSTEMD_MANAGER}.GetUnit",
                "s",
                ["ostree-finalize-staged.service"],
                timeout=TIMEOUT,
            )
            changed = asyncio.Event()

            def listen(message: Message) -> None:
                if (message.path, message.interface) == (path, PROPERTIES):
                    changed.set()

            await bus.watch(f"type='signal',sender='{SYSTEMD}',path='{path}'", listen)
            await bus.call(SYSTEMD, SYSTEMD_PATH, f"{SYSTEMD_MANAGER}.Subscribe", timeout=TIMEOUT)

            async def state() -> Value:
                return plain(await bus.read_property(SYSTEMD, str(path), f"{SYSTEMD_UNIT}.ActiveState", TIMEOUT))

            assert await state() == "inactive"
            node.another_client_stages(realtime(node))
            await asyncio.wait_for(changed.wait(), TIMEOUT)
            assert await state() == "active"
            await node.reboot()
            assert await state() == "inactive"
            with pytest.raises(RemoteError, match="NoSuchUnit"):
                await bus.call(SYSTEMD, SYSTEMD_PATH, f"{SYSTEMD_MANAGER}.GetUnit", "s", ["x.service"], timeout=TIMEOUT)
            with pytest.raises(RemoteError, match="Unknown object"):
                await bus.read_property(SYSTEMD, "/x", f"{SYSTEMD_UNIT}.ActiveState", TIMEOUT)
            with pytest.raises(RemoteError, match="Unknown object"):
                await bus.read_property(LOGIN, "/x", f"{LOGIN_MANAGER}.PreparingForShutdown", TIMEOUT)

    on(scenario)


def test_the_agent_runs_on_the_node_is_stopped_for_a_reboot_and_started_after_it() -> None:
    program = (
        "import os, signal; print(os.environ['MCD_RT_ROOT'], os.environ['DBUS_SYSTEM_BUS_ADDRESS'], flush=True);"
        "signal.pause()"
    )

    async def scenario(node: SimulatedNode) -> None:
        await node.run_agent([sys.executable, "-c", program])
        await node.wait(AgentStarted)
        await node.reboot()
        assert (await node.wait(AgentExited)).asked
        first, second = await node.wait(AgentStarted, 1), await node.wait(AgentStarted, 2)
        assert first.pid != second.pid
        assert [type(event) for event in node.events] == [AgentStarted, AgentExited, AgentStarted, Rebooted]

    on(scenario)


def test_an_agent_that_does_not_heed_sigterm_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcd_rt.sim.process._STOP_TIMEOUT", 0.05)
    program = (
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True);"
        "[signal.pause() for _ in range(9)]"
    )

    async def scenario(node: SimulatedNode) -> None:
        await node.run_agent([sys.executable, "-c", program])
        await heard(node, "deaf")
        await node.reboot()
        assert (await node.wait(AgentExited)).code == -9

    on(scenario)


async def heard(node: SimulatedNode, word: str) -> None:
    """Wait until the agent has printed something: follow its log as ``tail -f`` does."""
    follow = await asyncio.create_subprocess_exec(
        "tail", "-n", "+1", "-f", str(node.agent_log), stdout=asyncio.subprocess.PIPE
    )
    assert follow.stdout is not None
    try:
        async with asyncio.timeout(TIMEOUT):
            while word not in (await follow.stdout.readline()).decode():
                pass
    finally:
        follow.kill()
        await follow.communicate()


def test_a_power_cut_kills_the_agent_and_tells_nobody() -> None:
    async def scenario(node: SimulatedNode) -> None:
        await node.run_agent(SLEEPER)
        said: list[Message] = []
        async with client(node) as bus:
            await bus.watch(f"type='signal',sender='{LOGIN}',member='PrepareForShutdown'", said.append)
            await node.reboot(orderly=False)
            await bus.call(BUS, "/", f"{BUS}.GetId", timeout=TIMEOUT)
        assert [message.body for message in said if message.body == [True]] == []
        assert (await node.wait(AgentExited)).code == -9

    on(scenario)


def test_an_agent_that_crashes_is_started_again_but_not_for_ever_and_one_that_is_done_is_not() -> None:
    async def crashing(node: SimulatedNode) -> None:
        await node.run_agent(["/bin/sh", "-c", "exit 3"])
        assert (await node.wait(AgentExited, 6)).code == 3
        await node.reboot()
        await node.wait(AgentExited, 12)
        assert len([event for event in node.events if isinstance(event, AgentStarted)]) == 12

    async def done(node: SimulatedNode) -> None:
        await node.run_agent(["/bin/sh", "-c", "echo done; exit 0"])
        assert await node.wait(AgentExited) == AgentExited(0, asked=False)
        assert node.agent_log.read_text() == "done\n"
        assert len(node.events) == 2
        await node.reboot()
        await node.wait(AgentStarted, 2)

    on(crashing)
    on(done)


def test_an_agent_that_cannot_be_run_is_an_error_and_leaves_nothing() -> None:
    async def scenario(node: SimulatedNode) -> None:
        with pytest.raises(FileNotFoundError):
            await node.run_agent(["/no/such/agent"])

    on(scenario)


def test_an_agent_that_is_being_started_again_when_the_node_stops_is_stopped_too() -> None:
    async def scenario(node: SimulatedNode) -> None:
        await node.run_agent(
            ["/bin/sh", "-c", "[ -e $MCD_RT_ROOT/crashed ] && exec sleep 99; : > $MCD_RT_ROOT/crashed; exit 1"]
        )
        assert (await node.wait(AgentExited)).code == 1
        await asyncio.wait_for(node.reboot(), TIMEOUT)
        assert [event.asked for event in node.events if isinstance(event, AgentExited)] == [False, True]

    on(scenario)


def test_a_process_that_is_no_child_but_asked_for_the_reboot_is_stopped() -> None:
    program = (
        "import asyncio, os, signal\n"
        "from mcd_rt.dbus.bus import bus_address, open_bus\n"
        "async def main():\n"
        "  async with open_bus(bus_address(), 5) as bus:\n"
        f"    await bus.call('{LOGIN}', '{LOGIN_PATH}', '{LOGIN_MANAGER}.Reboot', 'b', [False], timeout=5)\n"
        "    signal.pause()\n"
        "asyncio.run(main())\n"
    )

    async def scenario(node: SimulatedNode) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, env=os.environ | node.environment | {"PYTHONPATH": ":".join(sys.path)}
        )
        await node.wait(Rebooted)
        assert await asyncio.wait_for(process.wait(), TIMEOUT) == -15

    on(scenario)


def test_a_reboot_may_be_asked_for_by_somebody_who_has_left() -> None:
    async def scenario(node: SimulatedNode) -> None:
        process = await asyncio.create_subprocess_exec("/bin/true")
        await process.wait()
        await node.reboot(process.pid)
        await node.reboot(os.getpid())
        assert node.reboots == 2

    on(scenario)


def test_a_process_that_asked_and_does_not_go_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcd_rt.sim.node._GONE_TIMEOUT", 0.05)

    async def scenario(node: SimulatedNode) -> None:
        program = "trap '' TERM; echo deaf; read forever"
        process = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", program, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        await process.stdout.readline()
        await node.reboot(process.pid)
        assert await asyncio.wait_for(process.wait(), TIMEOUT) == -9

    on(scenario)


def test_what_breaks_in_the_simulation_itself_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: object) -> None:
        raise ZeroDivisionError

    async def scenario(node: SimulatedNode) -> None:
        async with client(node) as bus:
            with pytest.raises(RemoteError, match=r"the simulated .* broke: AssertionError"):
                await bus.call(RPM_OSTREE, OS_PATH, f"{OS}.Cleanup", "s", ["x"], timeout=TIMEOUT)
            monkeypatch.setattr("mcd_rt.sim.operations.finalize", broken)
            assert await finalize(node, bus) == Failed("the simulated transaction broke: ZeroDivisionError()")
            monkeypatch.setattr("mcd_rt.sim.node.write_boot", broken)
            node._reboot_asked(0)
            assert node._rebooting is not None
            await asyncio.wait({node._rebooting})

    with pytest.raises(ZeroDivisionError):
        on(scenario)


def test_events_are_heard_as_they_happen_and_waited_for_with_a_limit() -> None:
    heard: list[object] = []

    async def scenario(node: SimulatedNode) -> None:
        with pytest.raises(TimeoutError):
            await node.wait(Rebooted, timeout=0.01)
        await node.reboot()
        assert heard == node.events

    on(scenario, on_event=heard.append)


def test_without_dbus_daemon_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    async def scenario() -> AgentError:
        node = SimulatedNode(BASES)
        with pytest.raises(AgentError) as error:
            async with node:
                pass
        assert not node.root.parent.exists()
        return error.value

    failure = asyncio.run(scenario()).failure
    assert failure.code is Code.SIMULATION_FAILED
    assert "dbus-daemon package" in failure.hint


def test_a_dbus_daemon_that_does_not_start_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    daemon = tmp_path / "dbus-daemon"
    daemon.write_text("#!/bin/sh\necho no such luck >&2\n")
    daemon.chmod(daemon.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    async def scenario() -> None:
        bus = PrivateBus()
        try:
            with pytest.raises(AgentError, match="no such luck"):
                await bus.start()
        finally:
            await bus.stop()
            await bus.stop()
        assert not bus.place.exists()

    asyncio.run(scenario())
