"""Each strategy on the simulated node, by a clock the test turns: what it waits for, until when, and the reboot."""

import asyncio
import errno
import os
from datetime import datetime

import pytest

from mcd_rt.control import Verb
from mcd_rt.errors import Code
from mcd_rt.holding import end_hold, set_hold
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.record import Phase
from mcd_rt.model.state import State
from mcd_rt.plan.outcome import Retry, Settled
from mcd_rt.record import load_record
from mcd_rt.report.collector import render_text
from mcd_rt.report.status import read_status
from mcd_rt.report.words import describe_status
from mcd_rt.sim.faults import ANY, Hold
from mcd_rt.sim.node import Rebooted
from tests.integration.clocked import TUESDAY, staged
from tests.integration.conftest import AGENT, served
from tests.integration.lockserver import FULL, lock_server, response
from tests.integration.stories import configure, fill_cache, type_on

pytestmark = pytest.mark.story

HOUR = 3600.0
SENTINEL = '[reboot]\nstrategy = "sentinel"\n[reboot.sentinel]\npath = "/run/mcd-rt/reboot-required"\n'
PERMISSION = '[reboot]\nstrategy = "permission-file"\n'
WINDOW = '[reboot]\nstrategy = "window"\n[reboot.window]\nwindows = ["Tue 22:00 4h"]\ntime_zone = "Europe/Berlin"\n'


def waits(outcome, *words, until=None, code=None):
    """It is staged and says what it waits for, until when, and what is wrong or why that is not there yet."""
    assert isinstance(outcome, Settled), outcome
    assert outcome.state is State.STAGED
    missing = [word for word in words if word not in outcome.summary]
    assert not missing, outcome.summary
    assert outcome.until == until
    reason = reason_of(outcome)
    assert (None if reason is None else reason.code) == code


def reason_of(outcome):
    return outcome.failure or outcome.awaiting.reason


def told(stage):
    """What ``mcd-rt status`` prints."""
    return "\n".join(describe_status(read_status(stage.node.paths), stage.effects.now(), running=True))


async def arrives(stage):
    outcome = await stage.rest()
    assert (outcome.state, outcome.summary[:29]) == (State.STEADY, "realtime is wanted and runs (")
    assert (stage.node.assemblies, stage.node.reboots) == (1, 1)
    assert stage.node.booted.tree.realtime


def test_auto_is_immediate_where_there_is_no_kubelet(play, monkeypatch):
    async def story():
        async with staged(monkeypatch, "") as stage:
            await stage.reboots()
            await arrives(stage)

    play(story())


@pytest.mark.parametrize("proof", ["etc/systemd/system/kubelet.service", "var/lib/kubelet/kubeconfig"])
def test_auto_waits_for_a_choice_where_there_is_a_kubelet(play, monkeypatch, proof):
    async def story():
        async with staged(monkeypatch, "") as stage:
            path = stage.node.root / proof
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("")
            waits(await stage.rest(), "waits for a reboot.strategy to be chosen", "locked", code=Code.STRATEGY_MISSING)
            assert proof in told(stage)
            assert stage.node.rpm_ostree.system.staged.locked
            stage.configure('[reboot]\nstrategy = "immediate"\n')
            await stage.reboots()
            await arrives(stage)

    play(story())


def test_a_window_is_waited_for_in_its_time_zone(play, monkeypatch):
    opens = datetime.fromisoformat("2026-11-24T22:00:00+01:00").timestamp()

    async def story():
        async with staged(monkeypatch, WINDOW) as stage:
            waits(await stage.rest(), "waits for the reboot window Tue 22:00 4h (Europe/Berlin)", until=opens)
            shown = datetime.fromtimestamp(opens).astimezone().isoformat(sep=" ")
            assert f"next:       it looks again at {shown} (in 15 h)" in told(stage)
            stage.effects.time = opens - 1
            waits(await stage.rest(), "waits for the reboot window", until=opens)
            stage.effects.time = opens + 2.5 * HOUR  # beyond midnight, still the same window
            await stage.reboots()
            await arrives(stage)

    play(story())


def test_a_deadline_overrides_the_window(play, monkeypatch):
    async def story():
        async with staged(monkeypatch, WINDOW + "deadline = 7200\n") as stage:
            waits(await stage.rest(), "waits for reboot.window.deadline", until=TUESDAY + 2 * HOUR)
            stage.restart()  # since it was staged, not since the agent runs
            stage.effects.time += 2 * HOUR
            await stage.reboots()
            await arrives(stage)

    play(story())


def test_never_waits_for_a_person(play, monkeypatch):
    async def story():
        async with staged(monkeypatch, '[reboot]\nstrategy = "never"\n') as stage:
            waits(await stage.rest(), "reboot.strategy is never", "`mcd-rt reboot`", "locked until a reboot of ours")
            stage.effects.time += 1000 * HOUR
            waits(await stage.rest(), "reboot.strategy is never")
            await stage.reboots(reboot_now=True)
            await arrives(stage)

    play(story())


def test_the_splay_is_this_nodes_share_drawn_once(play, monkeypatch):
    async def story():
        async with staged(monkeypatch, '[reboot]\nstrategy = "immediate"\nsplay = 3600\n') as stage:
            stage.effects.luck = 0.25
            waits(await stage.rest(), "its share of reboot.splay (3600 s)", until=TUESDAY + HOUR / 4)
            stage.effects.luck = 0.75
            stage.restart()
            waits(await stage.rest(), "its share of reboot.splay", until=TUESDAY + HOUR / 4)
            stage.effects.time += HOUR / 4
            await stage.reboots()
            await arrives(stage)

    play(story())


def test_fetches_are_spread_too(play, monkeypatch):
    async def story():
        async with staged(monkeypatch, "[content]\nsplay = 3600\n") as stage:
            [entry] = stage.node.paths.cache.iterdir()
            entry.rename(entry.with_name("hidden"))
            outcome = await stage.rest()
            assert (outcome.state, outcome.until) == (State.WAITING, TUESDAY + HOUR / 2)
            assert "content.splay (3600 s)" in outcome.summary
            assert stage.node.assemblies == 0
            stage.effects.luck = 0.9
            stage.effects.time += HOUR / 2 - 1
            assert (await stage.rest()).until == TUESDAY + HOUR / 2
            stage.effects.time += 1
            await stage.reboots()
            await arrives(stage)

    play(story())


def test_a_lock_is_asked_for_again_and_given_back_after_a_verified_boot(play, monkeypatch):
    async def story():
        async with lock_server() as server, staged(monkeypatch, server.settings()) as stage:
            server.holders = ["node-2"]
            again = TUESDAY + 120.0  # half an interval, and half of one more: the luck is 0.5
            waits(await stage.rest(), f"waits for the lock of {server.url}", until=again, code=Code.LOCK_REFUSED)
            assert "all slots are locked already (failed_lock_semaphore_full)" in told(stage)
            assert stage.record.lock is None
            waits(await stage.rest(), "waits for the lock", until=again, code=Code.LOCK_REFUSED)
            assert len(server.asked) == 1  # whatever wakes it, it does not ask before its time
            server.holders = []
            stage.effects.time = again
            before = stage.node.reboots
            metrics = render_text(stage.context.reporter.metrics).decode()
            assert 'mcd_rt_lock_requests_total{answer="refused"} 1.0' in metrics
            assert "mcd_rt_lock_wait_seconds_count 0.0" in metrics
            assert not isinstance(await stage.rest(), Settled)
            assert stage.record.lock.granted
            metrics = render_text(stage.context.reporter.metrics).decode()
            assert 'mcd_rt_lock_requests_total{answer="granted"} 1.0' in metrics
            assert "mcd_rt_lock_wait_seconds_sum 120.0" in metrics
            assert "mcd_rt_lock_held 1.0" in metrics
            assert server.holders == ["node-1"]
            await stage.node.wait(Rebooted, before + 1)
            stage.restart()
            assert stage.record.lock.granted  # nobody gives it back before the new kernel was seen
            await arrives(stage)
            assert (server.holders, stage.record.lock) == ([], None)
            metrics = render_text(stage.context.reporter.metrics).decode()
            assert "mcd_rt_lock_held 0.0" in metrics
            assert 'mcd_rt_switch_duration_seconds_count{result="success"} 1.0' in metrics
            assert server.asked[-1] == ("/base/v1/steady-state", "node-1")
            asked = len(server.asked)
            await stage.rest()
            assert len(server.asked) == asked

    play(story())


def test_a_boot_that_failed_keeps_its_lock(play, monkeypatch):
    async def story():
        async with lock_server() as server, staged(monkeypatch, server.settings()) as stage:
            stage.node.faults.finalize_fails = True
            stage.configure(server.settings().replace("[reboot]\n", "[reboot]\nattempts_per_target = 1\n"))
            await stage.reboots()
            outcome = await stage.rest()
            assert isinstance(outcome, Retry)
            assert outcome.failure.code is Code.NOT_FINALIZED
            outcome = await stage.rest()
            assert outcome.failure.code is Code.TARGET_HELD
            assert server.holders == ["node-1"]
            assert f"a slot of {server.url} is ours" in told(stage)

            stage.scene.ask_for(KernelType.DEFAULT)  # what runs is what is wanted: worth a slot again
            assert (await stage.rest()).state is State.STEADY
            assert server.holders == []

    play(story())


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (response("403 Forbidden"), Code.LOCK_PROTOCOL, "answers 403"),
        (response("404 Not Found"), Code.LOCK_PROTOCOL, "answers 404"),
        (response("302 Found", b"", "Location: /login"), Code.LOCK_PROTOCOL, "answers 302"),
        (response("200 OK", b"<html>", "Content-Type: text/html"), Code.LOCK_PROTOCOL, "a web page"),
        (response("200 OK", b"x" * 100_000), Code.LOCK_PROTOCOL, "more than 65536 bytes"),
        (response("204 No Content"), Code.LOCK_PROTOCOL, "answers 204"),
        (b"SSH-2.0-x\r\n", Code.LOCK_UNREACHABLE, "does not answer"),
        (response("503 Service Unavailable"), Code.LOCK_UNREACHABLE, "answers 503"),
        (response("500 Internal Server Error", b"full"), Code.LOCK_REFUSED, "full"),
        (response("500 Oops", b"\x1b]0;x\x07" * 10), Code.LOCK_REFUSED, "node-1"),
        (response("403 Forbidden", FULL), Code.LOCK_REFUSED, "failed_lock_semaphore_full"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", Code.LOCK_UNREACHABLE, "does not answer"),
    ],
)
def test_a_server_that_is_no_lock_server_is_waited_for_with_its_code(play, monkeypatch, answer, code, words):
    async def story():
        async with lock_server() as server, staged(monkeypatch, server.settings()) as stage:
            server.answer = answer
            outcome = await stage.rest()
            waits(outcome, "waits for the lock", until=TUESDAY + 120.0, code=code)
            assert (outcome.failure is None) is (code is Code.LOCK_REFUSED)
            assert words in reason_of(outcome).message
            assert outcome.summary.isprintable()
            assert reason_of(outcome).message.isprintable()
            assert (stage.node.reboots, stage.record.reboots) == (0, ())
            server.answer = b""
            stage.effects.time += 120.0
            await stage.reboots()
            await arrives(stage)

    play(story())


def test_a_lock_server_that_is_down_or_slow_is_waited_for(play, monkeypatch):
    async def story():
        async with lock_server() as server, staged(monkeypatch, server.settings("timeout = 0.2\n")) as stage:
            server.silent = True
            outcome = await stage.rest()
            waits(outcome, "waits for the lock", until=TUESDAY + 120.0, code=Code.LOCK_UNREACHABLE)
            assert not stage.record.lock.granted  # it may have granted it: nobody heard
            stage.configure(server.settings("timeout = 0.2\n").replace(f":{server.port}/", ":1/"))
            stage.effects.time += 120.0
            waits(await stage.rest(), "waits for the lock", until=TUESDAY + 240.0, code=Code.LOCK_UNREACHABLE)
            assert stage.node.reboots == 0

    play(story())


def test_a_lock_that_cannot_be_given_back_is_said_and_tried_again(play, monkeypatch):
    async def story():
        async with lock_server() as server, staged(monkeypatch, server.settings()) as stage:
            await stage.reboots()
            server.answer = response("503 Service Unavailable")
            outcome = await stage.rest()
            assert isinstance(outcome, Retry)
            assert outcome.failure.code is Code.LOCK_UNREACHABLE
            assert "is not given back" in outcome.failure.message
            server.answer = b""
            await arrives(stage)
            assert (server.holders, stage.record.lock) == ([], None)

    play(story())


def test_a_node_that_waits_for_something_else_gives_its_slot_back(play, monkeypatch):
    async def story():
        async with lock_server() as server, staged(monkeypatch, server.settings()) as stage:
            stage.node.faults.reboot_stuck = True
            await stage.rest()
            assert server.holders == ["node-1"]
            set_hold(stage.context, HOUR)
            waits(await stage.rest(), "held by `mcd-rt hold`", until=TUESDAY + HOUR)
            assert (server.holders, stage.record.lock) == ([], None)

    play(story())


def test_the_sentinel_asks_others_and_any_reboot_applies_it(play, monkeypatch):
    async def story():
        async with staged(monkeypatch, SENTINEL) as stage:
            waits(await stage.rest(), "/run/mcd-rt/reboot-required asks others to drain", "not locked")
            sentinel = stage.node.paths.below("/run/mcd-rt/reboot-required")
            assert sentinel.exists()
            assert not stage.node.rpm_ostree.system.staged.locked
            assert stage.record.sentinel == "/run/mcd-rt/reboot-required"
            assert stage.record.attempt.phase is Phase.ASKED
            waits(await stage.rest(), "asks others to drain")
            assert len(stage.record.reboots) == 1
            await stage.node.reboot()
            stage.restart()
            await arrives(stage)
            assert not sentinel.exists()
            assert stage.record.sentinel == ""

    play(story())


def test_a_sentinel_is_taken_back_with_what_it_asked_for(play, monkeypatch):
    async def story():
        async with staged(monkeypatch, SENTINEL) as stage:
            await stage.rest()
            sentinel = stage.node.paths.below("/run/mcd-rt/reboot-required")
            set_hold(stage.context, None)
            waits(await stage.rest(), "held by `mcd-rt hold` (no end was given")
            assert "hold:       no reboot until `mcd-rt resume`" in told(stage)
            assert not sentinel.exists()
            assert (stage.record.reboots, stage.record.tries) == ((), ())
            end_hold(stage.context)
            await stage.rest()
            assert sentinel.exists()

            stage.scene.ask_for(KernelType.DEFAULT)
            assert (await stage.rest()).state is State.STEADY
            assert not sentinel.exists()
            assert (stage.record.reboots, stage.node.rpm_ostree.system.staged) == ((), None)

    play(story())


def test_somebody_elses_sentinel_is_as_good_and_stays(play, monkeypatch):
    async def story():
        async with staged(monkeypatch, SENTINEL) as stage:
            sentinel = stage.node.paths.below("/run/mcd-rt/reboot-required")
            sentinel.parent.mkdir(parents=True, exist_ok=True)
            sentinel.write_text("another package")
            waits(await stage.rest(), "asks others to drain")
            stage.scene.ask_for(KernelType.DEFAULT)
            assert (await stage.rest()).state is State.STEADY
            assert sentinel.read_text() == "another package"

    play(story())


def test_a_sentinel_that_cannot_be_written_is_a_failure_and_no_reboot_is_counted(play, monkeypatch):
    async def story():
        async with staged(
            monkeypatch, SENTINEL.replace("/run/mcd-rt/", "/etc/machine-config-daemon/currentconfig/")
        ) as stage:
            outcome = await stage.rest()
            assert isinstance(outcome, Retry)
            assert outcome.failure.code is Code.SENTINEL_FAILED
            assert (stage.record.reboots, stage.record.sentinel) == ((), "")

    play(story())


@pytest.mark.parametrize("removable", [True, False])
def test_a_sentinel_that_is_there_and_was_not_synced_is_taken_back_or_stays_counted(play, monkeypatch, removable):
    """Whoever watches for it has seen it: a reboot may come that the record must know of."""

    async def story():
        async with staged(monkeypatch, SENTINEL.replace("/run/mcd-rt/", "/run/others/")) as stage:
            directory = stage.node.paths.below("/run/others")
            directory.mkdir(parents=True)

            def failing(effect):
                def work(path):
                    if path in (directory, directory / "reboot-required"):
                        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
                    effect(path)

                return work

            with monkeypatch.context() as patch:
                for name in ("fsync_directory",) if removable else ("fsync_directory", "remove"):
                    patch.setattr(stage.effects, name, failing(getattr(stage.effects, name)))
                outcome = await stage.rest()
            assert outcome.failure.code is Code.SENTINEL_FAILED
            assert (directory / "reboot-required").exists() is not removable
            assert len(stage.record.reboots) == (0 if removable else 1)
            waits(await stage.rest(), "asks others to drain")
            assert (len(stage.record.reboots), stage.record.sentinel) == (1, "/run/others/reboot-required")

    play(story())


def test_what_was_staged_locked_is_staged_again_when_others_shall_reboot(play, monkeypatch):
    async def story():
        async with staged(monkeypatch, '[reboot]\nstrategy = "never"\n') as stage:
            waits(await stage.rest(), "locked until a reboot of ours")
            stage.configure(SENTINEL)
            waits(await stage.rest(), "not locked: any reboot applies it", "asks others")
            assert stage.node.assemblies == 2

    play(story())


def test_an_agent_killed_before_it_knew_what_it_staged_knows_it_again_without_a_lock(play, monkeypatch):
    async def story():
        async with staged(monkeypatch, SENTINEL) as stage:
            reading_back = Hold(ANY)
            stage.node.faults.at.append(reading_back)
            running = asyncio.ensure_future(stage.rest())
            await reading_back.reached.wait()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            reading_back.release.set()
            stage.restart()
            waits(await stage.rest(), "asks others to drain")

    play(story())


def permit(stage, text, mode=0o644):
    path = stage.node.paths.below("/etc/mcd-rt/reboot-permitted")
    path.write_text(text)
    path.chmod(mode)


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        ("2026-11-24T09:00:00", 0o644, "has no time zone"),
        ("", 0o644, "does not begin with a time"),
        ("for ever\n", 0o644, "does not begin with a time, but with b'for ever"),
        ("2026-11-24T09:00:00Z", 0o666, "may be written by others than root"),
    ],
)
def test_a_permission_is_waited_for(play, monkeypatch, text, mode, words):
    async def story():
        async with staged(monkeypatch, PERMISSION) as stage:
            waits(await stage.rest(), "waits for /etc/mcd-rt/reboot-permitted to permit it: it is not there")
            permit(stage, text, mode)
            outcome = await stage.rest()
            waits(outcome, "waits for /etc/mcd-rt/reboot-permitted to permit it", code=Code.PERMISSION_INVALID)
            assert words in outcome.failure.message
            permit(stage, "2026-11-24T07:00:00+01:00\n")  # that is now
            waits(await stage.rest(), "waits for /etc", "ended 2026-11-24T07:00:00+01:00")
            permit(stage, "2026-11-24T07:00:01+01:00\n")
            await stage.reboots()
            await arrives(stage)

    play(story())


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["a pipe", "a directory"])
def test_a_permission_that_is_not_a_file_is_none_and_holds_nothing_up(play, monkeypatch, make):
    async def story():
        async with staged(monkeypatch, PERMISSION) as stage:
            make(stage.node.paths.below("/etc/mcd-rt/reboot-permitted"))
            outcome = await stage.rest()
            waits(outcome, "to permit it", code=Code.PERMISSION_INVALID)
            assert str(stage.node.paths.below("/etc/mcd-rt/reboot-permitted")) in outcome.failure.message

    play(story())


def test_a_hold_comes_before_everything_and_ends_by_itself(play, monkeypatch):
    async def story():
        async with staged(monkeypatch, '[reboot]\nstrategy = "immediate"\n') as stage:
            set_hold(stage.context, 2 * HOUR)
            waits(await stage.rest(), "held by `mcd-rt hold` (it ends by itself", until=TUESDAY + 2 * HOUR)
            waits(await stage.rest(reboot_now=True), "held by `mcd-rt hold`", until=TUESDAY + 2 * HOUR)
            assert "hold:       no reboot until 2026-11-" in told(stage)
            stage.restart()
            waits(await stage.rest(), "held by `mcd-rt hold`", until=TUESDAY + 2 * HOUR)
            stage.effects.time += 2 * HOUR
            await stage.reboots()
            await arrives(stage)
            assert "hold:" not in told(stage)

    play(story())


def test_a_hold_and_a_reboot_as_people_type_them(play):
    async def story():
        async with served() as (scene, said):
            node = scene.node
            fill_cache(scene)
            configure(node, '[reboot]\nstrategy = "never"\n')
            code, text = await type_on(node, "hold", "--for", "1h30m")
            assert (code, text.partition(", until ")[0]) == (0, "this node is not rebooted for 1 h 30 min")
            end = datetime.fromisoformat(text.partition(", until ")[2].strip()).timestamp()
            assert end == pytest.approx(load_record(node.paths).hold.until, abs=1)
            scene.ask_for(KernelType.REALTIME)
            await node.run_agent(AGENT)
            await said.wait_for("staged", contains="held by `mcd-rt hold`")
            code, text = await type_on(node, "reboot")
            assert (code, text.partition(":")[0]) == (1, "staged")
            code, text = await type_on(node, "resume")
            assert (code, text.partition("\n")[0]) == (0, "the hold is over; the node reboots as reboot.strategy says")
            assert "reboot.strategy is never" in text
            code, text = await type_on(node, "hold")
            assert (code, text.partition("\n")[0]) == (0, "this node is not rebooted until `mcd-rt resume`")
            code, text = await type_on(node, "hold", "--for", "0m")
            assert code == 64
            assert (await type_on(node, "resume"))[0] == 0
            code, text = await type_on(node, Verb.REBOOT)
            assert (code, text.partition(":")[0]) == (0, "rebooting")
            await said.wait_for("steady", contains="realtime is wanted and runs")
            code, text = await type_on(node, "reboot")
            assert (code, text.partition(":")[0]) == (1, "steady")

    play(story())


def test_who_blocks_the_reboot_is_named_and_it_comes_at_once_when_he_is_done(play, monkeypatch):
    async def story():
        async with staged(monkeypatch, '[reboot]\nstrategy = "immediate"\ninhibitor_wait = 20\n') as stage:
            stage.node.logind.inhibit("a backup")
            blocked = asyncio.Event()
            publish = stage.context.reporter.enter

            def enter(state, summary, *rest, **more):
                publish(state, summary, *rest, **more)
                if "waits for who blocks it: a simulated program (a backup)" in summary:
                    assert more["next_attempt"] == TUESDAY + 20
                    blocked.set()

            monkeypatch.setattr(stage.context.reporter, "enter", enter)
            running = asyncio.ensure_future(stage.reboots())
            await blocked.wait()
            assert not running.done()
            stage.node.logind.inhibit("")
            await running
            await arrives(stage)

    play(story())
