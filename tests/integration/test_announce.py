"""Users who are logged in are warned by logind, which reboots nothing; a warning that is not given is a failure."""

import pytest

from mcd_rt.dbus.announce import announce_reboot, withdraw_announcement
from mcd_rt.dbus.names import BUS, LOGIN, LOGIN_MANAGER, LOGIN_PATH
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


def told(act, recorder):
    async def main():
        async with client_of(LOGIN, recorder.handlers) as bus:
            await act(bus)

    run(main())
    return recorder.asked


def test_an_announcement_names_the_reason_and_the_time_and_is_no_reboot():
    effects = EffectsDouble()
    asked = told(lambda bus: announce_reboot(bus, effects, "realtime is staged", 1_700_000_000.5), Recorder())
    assert asked == [
        ("SetWallMessage", ["realtime is staged", True]),
        ("ScheduleShutdown", ["dry-reboot", 1_700_000_000_500_000]),
    ]
    assert effects.subjects("mutate") == ["logind SetWallMessage", "logind ScheduleShutdown"]


def test_one_that_is_withdrawn_leaves_no_message_for_the_reboot_of_somebody_else():
    asked = told(lambda bus: withdraw_announcement(bus, EffectsDouble()), Recorder())
    assert asked == [("CancelScheduledShutdown", []), ("SetWallMessage", ["", False])]


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
            assert (await shown("ScheduledShutdown"), await shown("WallMessage")) == (["dry-reboot", 2_000_000], "soon")
            await withdraw_announcement(bus, EffectsDouble())
            assert (await shown("ScheduledShutdown"), await shown("WallMessage")) == (["", 0], "")

    run(main())
