"""Who objects to a reboot is asked and believed; a unit is waited for by its signals; unknown is not "nobody"."""

import asyncio

import pytest

from mcd_rt.dbus import logind as logind_module
from mcd_rt.dbus.bus import open_bus
from mcd_rt.dbus.logind import Inhibitor, blocking_inhibitors, is_preparing_for_shutdown, reboot
from mcd_rt.dbus.names import (
    BUS,
    LOGIN,
    LOGIN_MANAGER,
    PROPERTIES,
    SYSTEMD,
    SYSTEMD_MANAGER,
    SYSTEMD_PATH,
    SYSTEMD_UNIT,
)
from mcd_rt.dbus.systemd import wait_until_active
from mcd_rt.dbus.wire import Typed
from mcd_rt.errors import AgentError, Code
from mcd_rt.sim.service import CallError
from tests.effects_double import Effect, EffectsDouble
from tests.integration.peers import client_of, private_bus, serving
from tests.leaks import run

UNIT = "ostree-finalize-staged.service"
UNIT_PATH = f"{SYSTEMD_PATH}/unit/ostree_2dfinalize_2dstaged_2eservice"
BLOCK = ["shutdown", "an operator", "surgery", "block", 0, 1]


def answering(signature, *body):
    async def answer(_call):
        return signature, list(body)

    return answer


def failing(name, text="so it is"):
    async def answer(_call):
        raise CallError(name, text)

    return answer


async def never(_call):
    await asyncio.get_running_loop().create_future()


async def failure_of(coroutine):
    with pytest.raises(AgentError) as caught:
        await coroutine
    assert caught.value.failure.hint
    return caught.value.failure


# logind


async def inhibitors(handler):
    async with client_of(LOGIN, {f"{LOGIN_MANAGER}.ListInhibitors": handler}) as bus:
        return await blocking_inhibitors(bus)


def test_only_block_locks_against_a_shutdown_object():
    locks = [
        BLOCK,
        ["shutdown", "NetworkManager", "going down nicely", "delay", 0, 2],
        ["sleep", "a laptop", "lid", "block", 0, 3],
        ["sleep:shutdown:idle", "an updater", "writing firmware", "block", 0, 4],
        ["handle-shutdown-key", "a desktop", "keys", "block", 0, 5],
    ]
    found = run(inhibitors(answering("a(ssssuu)", locks)))
    assert found == (Inhibitor("an operator", "surgery"), Inhibitor("an updater", "writing firmware"))


def test_nobody_objects_where_logind_says_so():
    assert run(inhibitors(answering("a(ssssuu)", []))) == ()


@pytest.mark.parametrize(
    "handler",
    [
        failing(f"{BUS}.Error.AccessDenied"),
        answering(""),
        answering("s", "nobody"),
        answering("a(ssssuu)a(ssssuu)", [], []),
        answering("as", ["an operator"]),
        answering("a(sss)", [["shutdown", "an operator", "surgery"]]),
        answering("a(ssuu)", [["shutdown", "block", 0, 1]]),
    ],
)
def test_who_objects_is_not_nobody_where_logind_is_not_understood(handler):
    failure = run(failure_of(inhibitors(handler)))
    assert failure.code is Code.REBOOT_REFUSED
    assert "who objects" in failure.message


def test_who_objects_is_not_nobody_where_logind_does_not_answer(monkeypatch):
    monkeypatch.setattr(logind_module, "_TIMEOUT", 0.05)
    failure = run(failure_of(inhibitors(never)))
    assert (failure.code, failure.message) == (
        Code.REBOOT_REFUSED,
        "cannot ask logind who objects to a reboot: no answer",
    )


def test_who_objects_is_not_nobody_where_there_is_no_logind():
    async def main():
        async with private_bus() as daemon, open_bus(daemon.address, 5) as bus:
            for question in (blocking_inhibitors(bus), is_preparing_for_shutdown(bus), reboot(bus, EffectsDouble())):
                assert (await failure_of(question)).code is Code.REBOOT_REFUSED
            daemon._process.kill()
            await bus.closed
            for question in (blocking_inhibitors(bus), is_preparing_for_shutdown(bus), reboot(bus, EffectsDouble())):
                assert (await failure_of(question)).code is Code.REBOOT_REFUSED

    run(main())


@pytest.mark.parametrize("preparing", [True, False])
def test_a_shutdown_that_is_being_prepared_is_seen(preparing):
    def properties(_path, _interface):
        return {"PreparingForShutdown": Typed("b", preparing)}

    async def main():
        async with client_of(LOGIN, {}, properties) as bus:
            return await is_preparing_for_shutdown(bus)

    assert run(main()) is preparing


def test_a_reboot_is_one_effect_and_asks_nobody_back():
    async def main():
        asked = []

        async def answer(call):
            asked.append(call.body)
            return "", []

        effects = EffectsDouble()
        async with client_of(LOGIN, {f"{LOGIN_MANAGER}.Reboot": answer}) as bus:
            await reboot(bus, effects)
        assert asked == [[False]]
        assert effects.attempted == [Effect("mutate", "logind Reboot")]

    run(main())


def test_a_refused_reboot_says_why():
    async def main():
        async with client_of(LOGIN, {f"{LOGIN_MANAGER}.Reboot": failing(f"{BUS}.Error.AccessDenied", "no")}) as bus:
            return await failure_of(reboot(bus, EffectsDouble()))

    failure = run(main())
    assert failure.code is Code.REBOOT_REFUSED
    assert failure.message.endswith("AccessDenied: no")


# systemd


class Unit:
    """A unit that is in the state a test says; ``reads`` counts how often that was asked."""

    def __init__(self, state):
        self.state = state
        self.reads = 0
        self.read = asyncio.Event()
        self.asked = []
        self.service = None

    def handlers(self):
        return {f"{SYSTEMD_MANAGER}.GetUnit": self._get_unit, f"{SYSTEMD_MANAGER}.Subscribe": self._subscribe}

    def properties(self, path, _interface):
        self.reads += 1
        self.read.set()
        return {"ActiveState": Typed("s", self.state)}

    def becomes(self, state, path=UNIT_PATH):
        self.state = state
        changed = {"ActiveState": Typed("s", state)}
        self.service.emit(path, f"{PROPERTIES}.PropertiesChanged", "sa{sv}as", [SYSTEMD_UNIT, changed, []])

    async def until_read(self, times):
        while self.reads < times:
            self.read.clear()
            await self.read.wait()

    async def _get_unit(self, call):
        self.asked.append(call.body)
        return "o", [UNIT_PATH]

    async def _subscribe(self, call):
        self.asked.append(call.member)
        return "", []


def with_unit(state, act):
    """Run ``act(bus, unit, daemon)`` on a bus whose systemd has one unit."""

    async def main():
        unit = Unit(state)
        async with (
            private_bus() as daemon,
            serving(daemon.address, SYSTEMD, unit.handlers(), unit.properties) as unit.service,
            open_bus(daemon.address, 5) as bus,
        ):
            return await act(bus, unit, daemon)

    return run(main())


def test_an_active_unit_is_not_waited_for():
    async def act(bus, unit, _daemon):
        await wait_until_active(bus, UNIT, 5)
        assert unit.asked == [[UNIT], "Subscribe"]
        assert unit.reads == 1

    with_unit("active", act)


def test_a_unit_that_becomes_active_is_told_by_its_signal():
    async def act(bus, unit, _daemon):
        waiting = asyncio.ensure_future(wait_until_active(bus, UNIT, 5))
        await unit.until_read(1)
        unit.becomes("activating")
        await unit.until_read(2)
        unit.becomes("active", path=f"{SYSTEMD_PATH}/unit/another_2eservice")
        unit.becomes("active")
        await waiting
        assert unit.reads == 3

    with_unit("inactive", act)


def test_a_unit_that_never_becomes_active_fails_in_its_time():
    async def act(bus, unit, _daemon):
        failure = await failure_of(wait_until_active(bus, UNIT, 0.1))
        assert (failure.code, failure.message) == (Code.FINALIZE_FAILED, f"{UNIT} is not active after 0.1 s")
        assert unit.reads <= 1  # nothing polls

    with_unit("inactive", act)


def test_a_bus_that_dies_ends_the_wait():
    async def act(bus, unit, daemon):
        waiting = asyncio.ensure_future(wait_until_active(bus, UNIT, 30))
        await unit.until_read(1)
        daemon._process.kill()
        assert (await failure_of(waiting)).code is Code.BUS_UNAVAILABLE
        assert (await failure_of(wait_until_active(bus, UNIT, 30))).code is Code.BUS_UNAVAILABLE

    with_unit("inactive", act)


async def asked(handlers):
    async with client_of(SYSTEMD, handlers) as bus:
        await wait_until_active(bus, UNIT, 5)


def test_a_unit_that_this_host_does_not_have_is_not_waited_for():
    run(asked({f"{SYSTEMD_MANAGER}.GetUnit": failing(f"{SYSTEMD}.NoSuchUnit", f"Unit {UNIT} not loaded.")}))


def test_a_host_without_systemd_has_no_units():
    async def main():
        async with private_bus() as daemon, open_bus(daemon.address, 5) as bus:
            await wait_until_active(bus, UNIT, 5)

    run(main())


@pytest.mark.parametrize(
    "handler",
    [failing(f"{BUS}.Error.AccessDenied"), answering(""), answering("u", 1), answering("oo", "/a", "/b")],
)
def test_a_unit_that_cannot_be_asked_for_fails(handler):
    failure = run(failure_of(asked({f"{SYSTEMD_MANAGER}.GetUnit": handler})))
    assert failure.code is Code.FINALIZE_FAILED
    assert UNIT in failure.message
