"""The tuned profile over a real bus: there and back, and nobody's way barred where it does not work."""

import asyncio
import contextlib
import logging

import pytest

from mcd_rt.act.tune import TuningSeen, tune
from mcd_rt.act.tuned_memory import load_switched
from mcd_rt.dbus import tuned as tuned_module
from mcd_rt.dbus.bus import bus_address
from mcd_rt.dbus.names import TUNED_CONTROL
from mcd_rt.errors import Code
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.tuning import Profile, Switched
from mcd_rt.sim.tuned import Tuned
from tests.effects_double import EffectsDouble, Killed
from tests.integration.peers import private_bus
from tests.leaks import run

SWITCH = ["active_profile", "profile_mode", "switch_profile"]


class Host:
    """A tuned, and the agent's side of it; ``tune`` is one pass of one process."""

    def __init__(self, root, tuned):
        self.paths = HostPaths(root)
        self.tuned = tuned
        self.effects = EffectsDouble()
        self.seen = TuningSeen()

    def starts_again(self):
        self.effects = EffectsDouble()
        self.seen = TuningSeen()

    async def tune(self, profile="realtime", *, realtime=True):
        self.tuned.calls.clear()
        await tune(self.effects, self.paths, profile, self.seen, realtime=realtime)
        return list(self.tuned.calls)


@pytest.fixture
def tell(tmp_path, monkeypatch):
    """Run a story on a host with a tuned; ``absent`` leaves tuned out."""

    def told(story, tuned=None, *, absent=False):
        async def main():
            host = Host(tmp_path, tuned or Tuned("balanced"))
            async with private_bus() as bus:
                monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address)
                if not absent:
                    await host.tuned.service.start(bus.address)
                try:
                    await story(host)
                finally:
                    await host.tuned.service.stop()

        run(main())

    return told


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


@pytest.mark.parametrize("automatic", [False, True])
def test_it_is_switched_with_the_kernel_and_back_as_it_was(tell, automatic):
    tuned = Tuned("virtual-guest", automatic=automatic)

    async def story(host):
        assert await host.tune() == SWITCH
        assert (tuned.profile, tuned.automatic) == ("realtime", False)
        assert load_switched(host.paths) == Switched("realtime", Profile("virtual-guest", automatic), done=True)
        host.starts_again()
        assert await host.tune() == []
        back = await host.tune(realtime=False)
        assert back[-1] == ("auto_profile" if automatic else "switch_profile")
        assert (tuned.profile, tuned.automatic) == ("virtual-guest", automatic)
        assert not host.paths.tuned.exists()
        assert await host.tune(realtime=False) == []

    tell(story, tuned)


def test_without_a_profile_no_bus_is_looked_for_and_nothing_is_written(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus")
    effects = EffectsDouble()
    for realtime in (True, False):
        asyncio.run(tune(effects, HostPaths(tmp_path), "", TuningSeen(), realtime=realtime))
    assert (effects.attempted, warnings(caplog)) == ([], [])


def test_no_profile_any_more_is_the_way_back_too(tell):
    async def story(host):
        await host.tune()
        await host.tune("")
        assert host.tuned.profile == "balanced"

    tell(story)


def test_what_somebody_else_chose_meanwhile_stays(tell, caplog):
    async def story(host):
        await host.tune()
        host.tuned.profile = "throughput-performance"
        assert await host.tune() == []
        assert "switch_profile" not in await host.tune(realtime=False)
        assert host.tuned.profile == "throughput-performance"
        assert not host.paths.tuned.exists()

    tell(story)
    assert warnings(caplog) == []


def test_a_profile_that_was_active_before_us_stays_after_us(tell):
    async def story(host):
        assert await host.tune() == SWITCH[:2]
        assert await host.tune() == []
        assert await host.tune(realtime=False) == []
        assert host.tuned.profile == "realtime"
        assert not host.paths.tuned.exists()

    tell(story, Tuned("realtime"))


def test_a_tuned_without_modes_is_served_too(tell):
    async def story(host):
        await host.tune()
        assert host.tuned.profile == "realtime"
        await host.tune(realtime=False)
        assert host.tuned.profile == "balanced"

    tell(story, Tuned("balanced", old=True))


def test_one_that_refuses_is_asked_once_and_said_once(tell, caplog):
    async def story(host):
        for _ in range(3):
            calls = await host.tune("no-such-profile")
        assert calls == []
        assert host.tuned.profile == "balanced"
        assert not host.paths.tuned.exists()
        host.starts_again()
        assert await host.tune("no-such-profile") == SWITCH
        await host.tune("realtime")
        assert host.tuned.profile == "realtime"

    tell(story)
    first, second = warnings(caplog)
    assert first == second
    assert first.startswith(Code.TUNED_LEFT_ALONE)
    assert "Requested profile 'no-such-profile' doesn't exist." in first


def test_from_one_profile_to_another_the_way_back_stays_the_same(tell):
    async def story(host):
        await host.tune()
        await host.tune("cpu-partitioning")
        assert host.tuned.profile == "cpu-partitioning"
        assert load_switched(host.paths) == Switched("cpu-partitioning", Profile("balanced"), done=True)
        await host.tune("no-such-profile")
        assert (host.tuned.profile, host.paths.tuned.exists()) == ("balanced", False)

    tell(story)


def test_a_way_back_that_is_refused_is_not_forgotten(tell, caplog):
    async def story(host):
        await host.tune()
        host.tuned.refuses = "Unauthorized"
        for _ in range(2):
            await host.tune(realtime=False)
        assert load_switched(host.paths) is not None
        host.tuned.refuses = ""
        host.starts_again()
        await host.tune(realtime=False)
        assert host.tuned.profile == "balanced"

    tell(story)
    assert len(warnings(caplog)) == 1


def test_one_that_is_not_there_is_said_once_and_found_when_it_comes(tell, caplog):
    async def story(host):
        for _ in range(3):
            await host.tune()
        [said] = warnings(caplog)
        assert said.startswith(Code.TUNED_LEFT_ALONE)
        assert "com.redhat.tuned" in said
        assert host.effects.attempted == []

    tell(story, absent=True)


def test_one_that_comes_later_is_used(tell):
    async def story(host):
        await host.tuned.service.stop()
        await host.tune()
        await host.tuned.service.start(bus_address())
        await host.tune()
        assert host.tuned.profile == "realtime"

    tell(story)


def test_one_that_is_switched_off_is_left_off(tell, caplog):
    async def story(host):
        for _ in range(2):
            await host.tune()
        assert host.tuned.profile == ""

    tell(story, Tuned(""))
    [said] = warnings(caplog)
    assert "switched off" in said


def test_no_bus_at_all_is_one_warning(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus")
    seen = TuningSeen()
    for _ in range(2):
        asyncio.run(tune(EffectsDouble(), HostPaths(tmp_path), "realtime", seen, realtime=True))
    assert len(warnings(caplog)) == 1


def test_a_damaged_memory_keeps_tuned_alone(tell, caplog):
    async def story(host):
        host.paths.tuned.parent.mkdir(parents=True)
        host.paths.tuned.write_text("{")
        for realtime in (True, False, True):
            assert await host.tune(realtime=realtime) == []
        assert host.paths.tuned.read_text() == "{"

    tell(story)
    assert len(warnings(caplog)) == 1


def test_an_answer_that_is_not_heard_is_found_out_by_the_next_process(tell, monkeypatch):
    monkeypatch.setattr(tuned_module, "_SWITCH_TIMEOUT", 0.05)

    async def story(host):
        member = f"{TUNED_CONTROL}.switch_profile"
        answer = host.tuned.service._handlers[member]

        async def mute(call):
            await answer(call)
            await asyncio.get_running_loop().create_future()

        host.tuned.service._handlers[member] = mute
        await host.tune()
        assert load_switched(host.paths).done is False
        assert await host.tune() == []  # not again in this process: it may be at it still
        host.tuned.service._handlers[member] = answer
        host.starts_again()
        assert "switch_profile" not in await host.tune()
        assert load_switched(host.paths).done is True
        await host.tune(realtime=False)
        assert host.tuned.profile == "balanced"

    tell(story)


@pytest.mark.parametrize(
    ("member", "signature", "body"),
    [
        ("active_profile", "b", [True]),
        ("active_profile", "", []),
        ("profile_mode", "s", ["manual"]),
        ("switch_profile", "b", [True]),
        ("switch_profile", "(ss)", [["True", "OK"]]),
    ],
)
def test_an_answer_that_is_not_understood_is_no_success(tell, caplog, member, signature, body):
    async def story(host):
        async def odd(_call):
            return signature, body

        host.tuned.service._handlers[f"{TUNED_CONTROL}.{member}"] = odd
        await host.tune()
        switched = load_switched(host.paths)
        assert switched is None or not switched.done

    tell(story)
    [said] = warnings(caplog)
    assert f"it answers {member} with" in said


def test_a_memory_that_cannot_be_written_keeps_tuned_alone(tell, caplog):
    async def story(host):
        host.effects.fail("rename", OSError(28, "No space left on device"))
        assert await host.tune() == SWITCH[:2]
        host.starts_again()
        await host.tune()
        host.effects.fail("remove", OSError(30, "Read-only file system"), nth=4)
        await host.tune(realtime=False)
        assert (host.tuned.profile, load_switched(host.paths).done) == ("balanced", False)

    tell(story)
    first, second = warnings(caplog)
    assert (first.partition(":")[0], second.partition(":")[0]) == (Code.WRITE_FAILED, Code.WRITE_FAILED)


def test_killed_at_any_instant_it_finds_its_way(tell):
    async def there_and_back(host):
        await host.tune()
        await host.tune(realtime=False)

    async def story(host):
        await there_and_back(host)
        effects = len(host.effects.attempted)
        assert effects > 10
        for nth in range(1, effects + 1):
            host.starts_again()
            host.effects.kill(nth)
            with contextlib.suppress(Killed):
                await there_and_back(host)
            host.starts_again()
            await host.tune()
            assert host.tuned.profile == "realtime", nth
            assert load_switched(host.paths) == Switched("realtime", Profile("balanced"), done=True), nth
            await host.tune(realtime=False)
            assert (host.tuned.profile, host.paths.tuned.exists()) == ("balanced", False), nth

    tell(story)
