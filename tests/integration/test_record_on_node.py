"""What the agent remembers and writes: damaged, too new, or no room for it; and that there is one agent."""

import errno
import json

import pytest

from mcd_rt.agent import run_pass
from mcd_rt.control import Verb, ask_agent
from mcd_rt.effects import HostEffects
from mcd_rt.errors import Code
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.state import State
from mcd_rt.observation import Context
from mcd_rt.plan.outcome import GoingDown, Progressed, Retry, Settled
from mcd_rt.record import load_record
from mcd_rt.report.reporter import Reporter
from mcd_rt.settings import load_settings
from mcd_rt.sim.node import Rebooted
from tests.effects_double import EffectsDouble
from tests.integration.conftest import AGENT, served
from tests.integration.stories import SLOW_RETRY, configure, fill_cache, kept, leftovers, reaches, told_of, type_on

pytestmark = pytest.mark.story

REALTIME = KernelType.REALTIME


TEXTS = {
    "empty": b"",
    "cut-off": b'{"version": 1, "attempt": nul',
    "zeros": b"\x00" * 512,
    "wrong-type": b'{"version": 1, "tries": 3}',
}


def prepare(scene, kernel_type=REALTIME, *, cached=True):
    if cached:
        fill_cache(scene)
    configure(scene.node, SLOW_RETRY)
    scene.ask_for(kernel_type)
    return scene.node


def write_record(node, text):
    node.paths.record.parent.mkdir(parents=True)
    node.paths.record.write_bytes(text)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_damaged_record_stops_everything_and_is_kept_for_a_person(play, text):
    async def story():
        async with served() as (scene, told):
            node = prepare(scene, KernelType.DEFAULT)
            write_record(node, text)
            await node.run_agent(AGENT)
            failure = await told_of(told, node, State.BLOCKED, Code.RECORD_UNREADABLE, str(node.paths.record))
            assert "mcd-rt retry" in failure.hint
            assert node.paths.record.read_bytes() == text

            reply = await ask_agent(node.paths.control, Verb.RETRY, 30)
            assert (reply.ok, reply.text.partition(":")[0]) == (True, "steady")
            assert node.paths.record.with_suffix(".damaged").read_bytes() == text
            await reaches(told, node, KernelType.DEFAULT, assemblies=0, reboots=0)

    play(story())


def test_after_a_damaged_record_the_switch_is_made_once_a_person_says_retry(play):
    async def story():
        async with served() as (scene, told):
            node = prepare(scene)
            write_record(node, TEXTS["cut-off"])
            before = kept(node)
            await node.run_agent(AGENT)
            await told_of(told, node, State.BLOCKED, Code.RECORD_UNREADABLE)
            assert (kept(node), node.transactions, leftovers(node)) == (before, [], [])
            code, _text = await type_on(node, "retry")
            assert code == 0
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)

    play(story())


def test_a_record_of_a_newer_agent_is_never_written_over(play):
    async def story():
        async with served() as (scene, told):
            node, newer = prepare(scene), json.dumps({"version": 99, "attempt": "whatever"}).encode()
            write_record(node, newer)
            before = kept(node)
            await node.run_agent(AGENT)
            failure = await told_of(told, node, State.BLOCKED, Code.RECORD_TOO_NEW, "version 99", "knows 1")
            assert "newer mcd-rt" in failure.hint
            code, text = await type_on(node, "retry")
            assert code == 1
            assert "record-too-new" in text
            assert (kept(node), node.transactions, leftovers(node)) == (before, [], [])
            assert node.paths.record.read_bytes() == newer

    play(story())


def test_a_record_that_cannot_be_written_stops_the_switch_before_it_begins(play):
    async def story():
        async with served() as (scene, told):
            node = prepare(scene)
            before = kept(node)
            in_the_way = node.paths.record.with_name(".record.json.new")
            in_the_way.mkdir(parents=True)
            await node.run_agent(AGENT)
            await told_of(told, node, State.RETRYING, Code.WRITE_FAILED, str(in_the_way))
            assert (kept(node), node.transactions) == (before, [])
            assert not node.paths.record.exists()

            in_the_way.rmdir()
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)

    play(story())


def test_a_cache_that_cannot_be_written_stops_the_fetch(play):
    async def story():
        async with served() as (scene, told):
            node = prepare(scene, cached=False)
            before = kept(node)
            node.paths.cache.parent.mkdir(parents=True)
            node.paths.cache.write_bytes(b"")
            await node.run_agent(AGENT)
            await told_of(told, node, State.RETRYING, Code.WRITE_FAILED, str(node.paths.cache))
            assert (kept(node), node.transactions) == (before, [])

            node.paths.cache.unlink()
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)

    play(story())


def test_a_status_that_cannot_be_written_stops_nothing(play):
    async def story():
        async with served() as (scene, told):
            node = prepare(scene)
            node.paths.runtime.mkdir()
            node.paths.status.with_name(".status.json.new").mkdir()
            await node.run_agent(AGENT)
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)  # /run is new after the boot
            assert f"cannot write {node.paths.status}" in node.agent_log.read_text()

    play(story())


@pytest.mark.parametrize(
    ("kind", "nth"),
    [("write", 1), ("write", 2), ("write", 3), ("write", 4), ("fsync", 2), ("rename", 3), ("fsync_directory", 2)],
)
def test_a_disk_that_is_full_when_it_matters_costs_a_retry_and_no_second_assembly(play, monkeypatch, kind, nth):
    """The record is written before and after staging, before the reboot, and after the boot."""

    async def story():
        async with served() as (scene, _told):
            node = prepare(scene)
            for key, value in node.environment.items():
                monkeypatch.setenv(key, value)
            effects = EffectsDouble()
            effects.fail(kind, OSError(errno.ENOSPC, "No space left on device"), nth=nth)
            reporter = Reporter(HostEffects(), node.paths, silent=True)
            context = Context(node.paths, load_settings(node.paths), effects, reporter)
            failed = []
            while not isinstance(outcome := await run_pass(context), Settled):
                match outcome:
                    case Retry(failure):
                        failed.append(failure)
                        assert leftovers(node) == []
                        if not node.reboots:
                            assert node.booted.tree.origin.local == ()
                    case GoingDown():
                        await node.wait(Rebooted)
                    case Progressed():
                        pass
            assert [failure.code for failure in failed] == [Code.WRITE_FAILED]
            assert "No space left on device" in failed[0].message
            assert outcome.state is State.STEADY
            assert (node.assemblies, node.reboots) == (1, 1)
            assert load_record(node.paths).verified is not None
            assert leftovers(node) == []

    play(story())


def test_there_is_one_agent_and_apply_is_answered_by_it(play):
    async def story():
        async with served() as (scene, told):
            node = prepare(scene, KernelType.DEFAULT)
            await node.run_agent(AGENT)
            await told.wait_for("steady")
            code, text = await type_on(node, "run")
            assert code == 1
            assert "agent-running" in text
            assert str(node.paths.lock) in text
            code, text = await type_on(node, "apply", "--no-reboot")
            assert code == 1
            assert "the service runs" in text

            scene.config.unlink()
            await told.wait_for("waiting")
            code, text = await type_on(node, "apply")
            assert (code, text.partition(":")[0]) == (0, "waiting")
            scene.ask_for(KernelType.DEFAULT)
            await told.wait_for("steady")
            code, text = await type_on(node, "apply")
            assert (code, text.partition(":")[0]) == (0, "steady")
            assert node.transactions == []

    play(story())


def test_an_apply_that_ends_in_the_reboot_is_told_so(play):
    async def story():
        async with served() as (scene, told):
            node = prepare(scene)
            configure(node, "[retry]\ninitial = 900\n")
            node.faults.inhibitor = "a backup is running"
            await node.run_agent(AGENT)
            await told_of(told, node, State.RETRYING, Code.REBOOT_REFUSED)
            code, text = await type_on(node, "apply")
            assert (code, text.split(":")[:2]) == (1, ["retrying", " reboot-refused"])

            node.faults.inhibitor = ""
            code, text = await type_on(node, "apply")
            assert (code, text.partition(":")[0]) == (0, "rebooting"), text
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)

    play(story())
