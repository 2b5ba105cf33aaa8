"""Users who are logged in are warned by logind, which reboots nothing; a warning that is not given is a failure."""

import pytest

from mcd_rt.dbus.announce import Scheduled, announce_reboot, scheduled_by_another, withdraw_announcement
from mcd_rt.dbus.names import BUS, LOGIN, LOGIN_MANAGER, LOGIN_PATH
from mcd_rt.dbus.wire import Typed
from mcd_rt.errors import AgentError, Code
from mcd_rt.sim.faults import Faults
from mcd_rt.sim.logind import Logind
from mcd_rt.sim.service import CallError
from tests.effects_double import EffectsDouble
from tests.integration.peers import client_of
from tests.leaks import run


class Recorder:
    """logind's methods, which remember what was asked of them; ``refused`` is one that it refuses."""

    def __init__(self, refused=""):
        self.asked = []
        self.handlers = {f"{LOGIN_MANAGER}.{name}": self._method(name, refused) for name in METHODS}

    def _method(self, name, refused):
        async def answer(call):
            if name == refused:
                raise CallError(f"{BUS}.Error.AccessDenied", "Permission denied")
            self.asked.append((name, call.body))
            return METHODS[name]

        return answer


METHODS = {"SetWallMessage": ("", []), "ScheduleShutdown": ("", []), "CancelScheduledShutdown": ("b", [True])}


def told(act, recorder, scheduled=("", 0), wall=""):
    def properties(_path, _interface):
        return {"ScheduledShutdown": Typed("(st)", list(scheduled)), "WallMessage": Typed("s", wall)}

    async def main():
        async with client_of(LOGIN, recorder.handlers, properties) as bus:
            return await act(bus)

    recorder.answer = run(main())
    return recorder.asked


OURS = [("dry-reboot", 2_000_000), ("reboot", 2_000_000)]
"""The second as systemd 252 shows it."""
OTHERS = [
    pytest.param(("reboot", 2_000_001), "", id="a reboot at almost the same time"),
    pytest.param(("poweroff", 9_000_000), "mcd-rt: not at all", id="whatever it says"),
    pytest.param(("dry-poweroff", 9_000_000), "", id="a rehearsal"),
    pytest.param(("dry-reboot", 9_000_000), "come and see", id="an announcement like ours"),
]


def test_an_announcement_names_the_reason_and_the_time_and_is_no_reboot():
    effects, recorder = EffectsDouble(), Recorder()
    asked = told(lambda bus: announce_reboot(bus, effects, "realtime is staged", 1_700_000_000.5), recorder)
    assert recorder.answer is True
    assert asked == [
        ("SetWallMessage", ["mcd-rt: realtime is staged", True]),
        ("ScheduleShutdown", ["dry-reboot", 1_700_000_000_500_000]),
    ]
    assert effects.subjects("mutate") == ["logind SetWallMessage", "logind ScheduleShutdown"]


@pytest.mark.parametrize(("scheduled", "wall"), OTHERS)
def test_what_somebody_else_has_scheduled_is_neither_replaced_nor_cancelled(scheduled, wall):
    recorder = Recorder()
    assert told(lambda bus: announce_reboot(bus, EffectsDouble(), "soon", 2.0), recorder, scheduled, wall) == []
    assert recorder.answer is False
    assert told(lambda bus: withdraw_announcement(bus, EffectsDouble(), 2.0), Recorder(), scheduled, wall) == []
    told(scheduled_by_another, recorder, scheduled, wall)
    assert recorder.answer == Scheduled(scheduled[0], scheduled[1] / 1e6)


@pytest.mark.parametrize("ours", OURS)
def test_what_a_killed_agent_has_announced_is_announced_anew(ours):
    act = told(lambda bus: announce_reboot(bus, EffectsDouble(), "soon", 3.0), Recorder(), ours, "mcd-rt: soon")
    assert [name for name, _ in act] == ["SetWallMessage", "ScheduleShutdown"]


@pytest.mark.parametrize("ours", OURS)
def test_one_that_is_withdrawn_leaves_no_message_for_the_reboot_of_somebody_else(ours):
    asked = told(lambda bus: withdraw_announcement(bus, EffectsDouble(), 2.0), Recorder(), ours)
    assert asked == [("CancelScheduledShutdown", []), ("SetWallMessage", ["", False])]


def test_where_nothing_is_scheduled_nothing_is_withdrawn():
    assert told(lambda bus: withdraw_announcement(bus, EffectsDouble(), 2.0), Recorder()) == []
    over = told(lambda bus: withdraw_announcement(bus, EffectsDouble(), 2.0), Recorder(), ("", 2**64 - 1), "mcd-rt: x")
    assert over == [("SetWallMessage", ["", False])]


def test_a_logind_that_does_not_tell_what_is_scheduled_is_a_failure():
    async def main():
        async with client_of(LOGIN, Recorder().handlers) as bus:
            await scheduled_by_another(bus)

    with pytest.raises(AgentError) as caught:
        run(main())
    assert caught.value.failure.code is Code.REBOOT_REFUSED
    with pytest.raises(AgentError) as caught:
        told(scheduled_by_another, Recorder(), (2, 0))
    assert "ScheduledShutdown" in caught.value.failure.message


@pytest.mark.parametrize("method", ["SetWallMessage", "ScheduleShutdown"])
def test_users_who_could_not_be_warned_are_a_failure(method):
    with pytest.raises(AgentError) as caught:
        told(lambda bus: announce_reboot(bus, EffectsDouble(), "soon", 1.0), Recorder(method))
    failure = caught.value.failure
    assert (failure.code, method in failure.message, bool(failure.hint)) == (Code.REBOOT_REFUSED, True, True)
    assert "Permission denied" in failure.message


def test_the_simulated_logind_shows_what_it_announces():
    async def main():
        logind = Logind(Faults(), lambda _pid: None, flags=False)
        async with client_of(LOGIN, logind.service._handlers, logind._properties) as bus:

            async def shown(name):
                return await bus.read_property(LOGIN, LOGIN_PATH, f"{LOGIN_MANAGER}.{name}", 5)

            await announce_reboot(bus, EffectsDouble(), "soon", 2.0)
            assert (await shown("ScheduledShutdown"), await shown("WallMessage")) == (
                ["reboot", 2_000_000],
                "mcd-rt: soon",
            )
            await withdraw_announcement(bus, EffectsDouble(), 2.0)
            assert (await shown("ScheduledShutdown"), await shown("WallMessage")) == (["", 0], "")

    run(main())
