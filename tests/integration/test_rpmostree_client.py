"""What we say to rpm-ostree, to the letter, and what we make of its answers."""

import asyncio
import os
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from mcd_rt.dbus.names import BUS, GIO_ERROR, RPM_OSTREE
from mcd_rt.dbus.rpmostree import ActiveTransaction, open_rpm_ostree
from mcd_rt.dbus.transaction import Done, Failed, Lost, Progress
from mcd_rt.dbus.wire import Typed
from mcd_rt.errors import AgentError, Code
from mcd_rt.model.content import Package
from mcd_rt.model.nevra import Nevra
from mcd_rt.model.plan import Assembly
from mcd_rt.model.settings import RpmOstreeSettings
from mcd_rt.sim.service import CallError
from tests.effects_double import Effect, EffectsDouble
from tests.integration.peers import (
    OS_PATH,
    Asked,
    Left,
    ScriptedRpmOstree,
    finished,
    private_bus,
    returned,
    scripted,
    signal,
    until_hung_up,
)
from tests.leaks import run

SETTINGS = RpmOstreeSettings(call_timeout=5, connect_timeout=5, transaction_timeout=5)
BUSY = Typed("(sss)", ["PkgChange", ":1.77", OS_PATH])
IDLE = Typed("(sss)", ["", "", ""])
REGISTERED = Asked("RegisterClient", [{"id": Typed("s", "mcd-rt")}])


def package(name, sha256="0" * 64):
    return Package(Nevra(name, 0, "5.14.0", "284.rt14.el9", "x86_64"), f"{name}.rpm", 1, sha256, "", (), ())


CORE, MODULES = package("kernel-rt-core"), package("kernel-rt-modules")
TO_REALTIME = Assembly(install=(CORE, MODULES), uninstall=("old",), remove=("kernel", "kernel-core"), reset=("fixed",))
TO_DEFAULT = Assembly(uninstall=("kernel-rt-core-5.14.0-284.rt14.el9.x86_64",), reset=("kernel", "kernel-core"))


@asynccontextmanager
async def rpm_ostree(monkeypatch, script=None):
    """A private bus with a scripted rpm-ostreed, whose transactions play ``script``; gives both."""
    async with AsyncExitStack() as stack:
        daemon = await stack.enter_async_context(private_bus())
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", daemon.address)
        server = ScriptedRpmOstree()
        if script is not None:
            server.transaction = await stack.enter_async_context(scripted(script))
        await server.service.start(daemon.address)
        stack.push_async_callback(server.service.stop)
        yield daemon, server


def connected(settings=SETTINGS, effects=None):
    return open_rpm_ostree(settings, effects or EffectsDouble())


def answers_with(name, text=""):
    async def answer(_call):
        raise CallError(name, text)

    return answer


async def works(peer):
    await peer.welcome()
    start = await peer.message()
    await peer.send(returned(start, "b", [True]), signal("TaskBegin", "s", ["Working"]), finished(worked=True))
    await peer.until_left()


def ignore(_progress):
    pass


async def failure_of(coroutine):
    with pytest.raises(AgentError) as caught:
        await coroutine
    return caught.value.failure


@asynccontextmanager
async def files_of(*contents):
    with tempfile.TemporaryDirectory() as place:
        descriptors = []
        for number, content in enumerate(contents):
            descriptor = os.open(f"{place}/{number}", os.O_RDWR | os.O_CREAT, 0o600)
            os.pwrite(descriptor, content, 0)
            descriptors.append(descriptor)
        try:
            yield tuple(descriptors)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)


# Registration


def test_we_register_under_our_name_and_find_the_booted_os(monkeypatch):
    async def main():
        async with rpm_ostree(monkeypatch) as (_, server):
            async with connected() as client:
                assert server.asked == [REGISTERED]
                await client.reload()
            assert server.members() == ["RegisterClient", "Reload"]

    run(main())


@pytest.mark.parametrize("booted", [Typed("o", "/"), Typed("u", 7), Typed("as", [])])
def test_a_host_without_a_booted_deployment_is_not_understood(monkeypatch, booted):
    async def main():
        async with rpm_ostree(monkeypatch) as (_, server):
            server.properties["Booted"] = booted
            assert (await failure_of(entered(connected()))).code is Code.RPM_OSTREE_PROTOCOL

    run(main())


async def entered(context):
    async with context:
        pytest.fail("this was not to be entered")


def test_a_daemon_that_leaves_as_it_is_called_is_called_again(monkeypatch):
    async def main():
        wanted = asyncio.Event()
        async with private_bus((RPM_OSTREE,), lambda _name: wanted.set()) as daemon:
            monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", daemon.address)
            first, second = ScriptedRpmOstree(), ScriptedRpmOstree()

            async def leave(_call):
                await first.service.stop()
                wanted.clear()
                raise CallError("never.Sent", "")

            async def activate():
                await wanted.wait()
                await second.service.start(daemon.address)

            first.answers["RegisterClient"] = leave
            await first.service.start(daemon.address)
            activating = asyncio.ensure_future(activate())
            async with connected():
                assert first.members() == second.members() == ["RegisterClient"]
            await activating
            await second.service.stop()

    run(main())


@pytest.mark.parametrize(
    ("name", "code", "tries"),
    [
        (f"{BUS}.Error.NoReply", Code.RPM_OSTREE_UNAVAILABLE, 3),
        (f"{BUS}.Error.ServiceUnknown", Code.RPM_OSTREE_UNAVAILABLE, 1),
        (f"{BUS}.Error.AccessDenied", Code.RPM_OSTREE_DENIED, 1),
        (f"{BUS}.Error.UnknownMethod", Code.RPM_OSTREE_PROTOCOL, 1),
        (f"{GIO_ERROR}0", Code.TRANSACTION_FAILED, 1),
        (f"{GIO_ERROR}26", Code.RPM_OSTREE_BUSY, 1),
    ],
)
def test_only_a_daemon_that_left_is_called_again_and_not_for_ever(monkeypatch, name, code, tries):
    async def main():
        async with rpm_ostree(monkeypatch) as (_, server):
            server.answers["RegisterClient"] = answers_with(name, "so it is")
            failure = await failure_of(entered(connected()))
            assert (failure.code, failure.message) == (code, "RegisterClient: so it is")
            assert failure.hint
            assert server.members() == ["RegisterClient"] * tries

    run(main())


def test_an_absent_daemon_is_unavailable(monkeypatch):
    async def main():
        async with private_bus() as daemon:
            monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", daemon.address)
            assert (await failure_of(entered(connected()))).code is Code.RPM_OSTREE_UNAVAILABLE

    run(main())


def test_an_absent_bus_is_unavailable(monkeypatch):
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere")
    assert run(failure_of(entered(connected()))).code is Code.BUS_UNAVAILABLE


def test_a_mute_daemon_costs_its_deadline(monkeypatch):
    async def main():
        async with rpm_ostree(monkeypatch) as (_, server):
            server.service.is_mute = lambda: True
            impatient = RpmOstreeSettings(call_timeout=0.05, connect_timeout=5, transaction_timeout=5)
            failure = await failure_of(entered(connected(impatient)))
            assert failure.code is Code.RPM_OSTREE_TIMEOUT
            assert failure.message == "rpm-ostreed did not answer RegisterClient in 0.05 s"

    run(main())


# Reading


def deployment(**changed):
    entry = {
        "id": Typed("s", "rhcos-" + "c" * 64 + ".0"),
        "osname": Typed("s", "rhcos"),
        "checksum": Typed("s", "c" * 64),
        "booted": Typed("b", True),
        "requested-base-removals": Typed("as", ["kernel"]),
    }
    return entry | changed


def test_deployments_are_read(monkeypatch):
    async def main():
        async with rpm_ostree(monkeypatch) as (_, server):
            server.properties["Deployments"] = Typed("aa{sv}", [deployment()])
            async with connected() as client:
                deployments = await client.deployments()
                [found] = deployments.all
                assert (found.checksum, found.booted, found.removals) == ("c" * 64, True, ("kernel",))
                assert deployments.kernel_arguments == ("root=UUID=1", "rw")

    run(main())


@pytest.mark.parametrize(
    "value",
    [
        Typed("s", "none"),
        Typed("aa{sv}", []),
        Typed("aa{sv}", [deployment(booted=Typed("s", "yes"))]),
        Typed("aa{sv}", [deployment(checksum=Typed("u", 1))]),
        Typed("aa{sv}", [{"requested-base-removals": Typed("s", "kernel")}]),
    ],
)
def test_deployments_of_another_shape_are_not_understood(monkeypatch, value):
    async def main():
        async with rpm_ostree(monkeypatch) as (_, server):
            server.properties["Deployments"] = value
            async with connected() as client:
                failure = await failure_of(client.deployments())
            assert failure.code is Code.RPM_OSTREE_PROTOCOL
            assert failure.hint

    run(main())


def test_a_property_that_is_not_there_is_not_understood(monkeypatch):
    async def main():
        async with rpm_ostree(monkeypatch), connected() as client:
            failure = await failure_of(client.deployments())
            assert failure.code is Code.RPM_OSTREE_PROTOCOL
            assert "Deployments" in failure.message

    run(main())


# Others' transactions


def test_an_idle_daemon_is_not_waited_for(monkeypatch):
    async def main():
        async with rpm_ostree(monkeypatch), connected() as client:
            assert await client.active_transaction() is None
            await client.wait_until_idle(5)

    run(main())


def test_a_busy_daemon_is_waited_for_by_its_signals_alone(monkeypatch):
    async def main():
        async with rpm_ostree(monkeypatch) as (_, server):
            server.properties["ActiveTransaction"] = BUSY
            async with connected() as client:
                assert await client.active_transaction() == ActiveTransaction("PkgChange", ":1.77")
                before = server.reads
                waiting = asyncio.ensure_future(client.wait_until_idle(5))
                await server.until_read(before + 1)
                server.becomes("ActiveTransaction", Typed("(sss)", ["Upgrade", ":1.78", OS_PATH]))
                await server.until_read(before + 2)
                assert not waiting.done()
                server.becomes("ActiveTransaction", IDLE)
                await waiting
                assert server.reads == before + 3  # one at first, one for each signal
            assert server.members() == ["RegisterClient"]

    run(main())


def test_patience_with_a_busy_daemon_ends_and_names_who_it_is(monkeypatch):
    async def main():
        async with rpm_ostree(monkeypatch) as (_, server):
            server.properties["ActiveTransaction"] = BUSY
            async with connected() as client:
                failure = await failure_of(client.wait_until_idle(0.05))
            assert failure.code is Code.RPM_OSTREE_BUSY
            assert failure.message == "another client's PkgChange (from :1.77) has been going on for 0.05 s"
            assert server.members() == ["RegisterClient"]

    run(main())


def test_a_busy_daemon_that_dies_is_waited_for_no_longer(monkeypatch):
    async def main():
        wanted = asyncio.Event()
        async with private_bus((RPM_OSTREE,), lambda _name: wanted.set()) as daemon:
            monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", daemon.address)
            first, second = ScriptedRpmOstree(), ScriptedRpmOstree()
            first.properties["ActiveTransaction"] = BUSY
            await first.service.start(daemon.address)
            async with connected() as client:
                before = first.reads
                waiting = asyncio.ensure_future(client.wait_until_idle(30))
                await first.until_read(before + 1)
                await first.service.stop()
                await wanted.wait()  # asking again starts it again
                await second.service.start(daemon.address)
                await waiting
            await second.service.stop()

    run(main())


def test_a_bus_that_dies_ends_the_wait(monkeypatch):
    async def main():
        async with rpm_ostree(monkeypatch) as (daemon, server):
            server.properties["ActiveTransaction"] = BUSY
            async with connected() as client:
                before = server.reads
                waiting = asyncio.ensure_future(client.wait_until_idle(30))
                await server.until_read(before + 1)
                daemon._process.kill()
                assert (await failure_of(waiting)).code is Code.BUS_UNAVAILABLE
                for later in (
                    client.wait_until_idle(5),
                    client.reload(),
                    client.update_deployment(TO_DEFAULT, (), ignore),
                ):
                    assert (await failure_of(later)).code is Code.BUS_UNAVAILABLE

    run(main())


# Ours


def test_an_update_is_asked_for_to_the_letter(monkeypatch):
    progress = []

    async def main():
        async with rpm_ostree(monkeypatch, works) as (_, server), files_of(b"core", b"modules") as descriptors:
            effects = EffectsDouble()
            async with connected(effects=effects) as client:
                outcome = await client.update_deployment(TO_REALTIME, descriptors, progress.append)
            assert outcome == Done()
            assert effects.attempted == [Effect("mutate", "rpm-ostree UpdateDeployment")]
            return server.asked

    title = (
        "mcd-rt: install kernel-rt-core-5.14.0-284.rt14.el9.x86_64 kernel-rt-modules-5.14.0-284.rt14.el9.x86_64"
        f" rpms={TO_REALTIME.digest}"
    )
    assert run(main()) == [
        REGISTERED,
        Asked(
            "UpdateDeployment",
            [
                {
                    "override-remove-packages": Typed("as", ["kernel", "kernel-core"]),
                    "override-reset-packages": Typed("as", ["fixed"]),
                    "uninstall-packages": Typed("as", ["old"]),
                    "install-local-packages": Typed("ah", [0, 1]),
                },
                {
                    "no-pull-base": Typed("b", True),
                    "cache-only": Typed("b", True),
                    "idempotent-layering": Typed("b", True),
                    "lock-finalization": Typed("b", True),
                    "initiating-command-line": Typed("s", title),
                },
            ],
            [b"core", b"modules"],
        ),
    ]
    assert progress == [Progress("Working", -1)]


def test_the_way_back_names_only_what_it_changes(monkeypatch):
    async def main():
        async with rpm_ostree(monkeypatch, works) as (_, server):
            async with connected() as client:
                assert await client.update_deployment(TO_DEFAULT, (), ignore) == Done()
            return server.asked[-1].body

    modifiers, options = run(main())
    assert modifiers == {
        "override-reset-packages": Typed("as", ["kernel", "kernel-core"]),
        "uninstall-packages": Typed("as", ["kernel-rt-core-5.14.0-284.rt14.el9.x86_64"]),
    }
    command = options["initiating-command-line"]
    assert command == Typed("s", f"mcd-rt: back to the default kernel rpms={TO_DEFAULT.digest}")


def test_other_bytes_under_the_same_names_are_another_call():
    other = Assembly(install=(CORE, package("kernel-rt-modules", "1" * 64)))
    assert Assembly(install=(CORE, MODULES)).digest != other.digest


def test_finalizing_names_the_base_and_discarding_only_what_is_pending(monkeypatch):
    async def main():
        async with rpm_ostree(monkeypatch, works) as (_, server):
            effects = EffectsDouble()
            async with connected(effects=effects) as client:
                assert await client.finalize("b" * 64, ignore) == Done()
                assert await client.discard_staged(ignore) == Done()
            labels = ["rpm-ostree FinalizeDeployment", "rpm-ostree Cleanup"]
            assert effects.subjects("mutate") == labels
            return server.asked

    assert run(main()) == [
        REGISTERED,
        Asked("FinalizeDeployment", [{"checksum": Typed("s", "b" * 64)}]),
        Asked("Cleanup", [["pending-deploy"]]),
    ]


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        (f"{GIO_ERROR}26", "Transaction in progress: upgrade\n You can cancel it", Code.RPM_OSTREE_BUSY),
        (f"{GIO_ERROR}0", "Transaction in progress: (null)", Code.RPM_OSTREE_BUSY),
        (f"{GIO_ERROR}26", "System transaction in progress", Code.RPM_OSTREE_BUSY),
        (f"{GIO_ERROR}0", "Package/capability 'old' is not currently requested", Code.TRANSACTION_FAILED),
        (f"{BUS}.Error.AccessDenied", "rpmostreed OS operation UpdateDeployment not allowed", Code.RPM_OSTREE_DENIED),
        (f"{BUS}.Error.InvalidArgs", "Type of message, “(s)”, does not match", Code.RPM_OSTREE_PROTOCOL),
    ],
)
def test_a_refused_update_says_what_rpm_ostree_said(monkeypatch, name, text, code):
    async def main():
        async with rpm_ostree(monkeypatch) as (_, server):
            server.answers["UpdateDeployment"] = answers_with(name, text)
            async with connected() as client:
                failure = await failure_of(client.update_deployment(TO_DEFAULT, (), ignore))
            assert (failure.code, failure.message) == (code, f"UpdateDeployment: {text}")

    run(main())


@pytest.mark.parametrize("answer", [("", []), ("u", [1]), ("ss", ["unix:path=/a", "b"])])
def test_an_answer_without_an_address_is_not_understood(monkeypatch, answer):
    async def answering(_call):
        return answer

    async def main():
        async with rpm_ostree(monkeypatch) as (_, server):
            server.answers["UpdateDeployment"] = answering
            async with connected() as client:
                failure = await failure_of(client.update_deployment(TO_DEFAULT, (), ignore))
            assert failure.code is Code.RPM_OSTREE_PROTOCOL

    run(main())


def test_a_failure_of_the_work_is_an_outcome(monkeypatch):
    async def fails(peer):
        await peer.welcome()
        await peer.send(returned(await peer.message(), "b", [True]), finished(worked=False, text="no such package"))
        await peer.until_left()

    async def main():
        async with rpm_ostree(monkeypatch, fails), connected() as client:
            return await client.update_deployment(TO_DEFAULT, (), ignore)

    assert run(main()) == Failed("no such package")


def test_a_daemon_that_dies_midway_leaves_the_outcome_unknown(monkeypatch):
    async def main():
        async def goes_on(peer):
            await peer.welcome()
            await peer.send(returned(await peer.message(), "b", [True]))
            await server.service.stop()
            await peer.until_left()

        async with rpm_ostree(monkeypatch, goes_on) as (_, server), connected() as client:
            return await client.update_deployment(TO_DEFAULT, (), ignore)

    assert run(main()) == Lost("rpm-ostreed left the bus")


def test_an_update_that_is_not_answered_leaves_the_bus_which_aborts_it(monkeypatch):
    async def main():
        called = asyncio.Event()
        gone = asyncio.Event()

        async def never(_call):
            called.set()
            await asyncio.get_running_loop().create_future()

        async with rpm_ostree(monkeypatch) as (_, server):
            server.service.on_vanished = lambda _name: gone.set()
            server.answers["UpdateDeployment"] = never

            async def use():
                async with connected() as client:
                    client._settings = RpmOstreeSettings(call_timeout=0.2)
                    await client.update_deployment(TO_DEFAULT, (), ignore)

            assert (await failure_of(use())).code is Code.RPM_OSTREE_TIMEOUT
            assert called.is_set()
            await gone.wait()

    run(main())


def test_the_descriptors_stay_the_caller_s_and_no_copy_is_kept(monkeypatch):
    async def main():
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb", buffering=0):
            async with rpm_ostree(monkeypatch) as (_, server):
                server.answers["UpdateDeployment"] = refusing_files
                async with connected() as client:
                    await failure_of(client.update_deployment(TO_REALTIME, (writing, writing), ignore))
                    os.fstat(writing)
                    os.close(writing)
                    await until_hung_up(reading)

    async def refusing_files(_call):
        raise CallError(f"{GIO_ERROR}0", "no files today")

    run(main())


def test_a_transaction_that_was_never_started_is_left_with_the_bus(monkeypatch):
    async def hangs_up(peer):
        await peer.line()
        raise Left

    async def main():
        async with rpm_ostree(monkeypatch, hangs_up), connected() as client:
            outcome = await client.update_deployment(TO_DEFAULT, (), ignore)
            assert type(outcome).__name__ == "NotStarted"

    run(main())
