"""The reboot and after: refused, stuck, not finalized, the wrong kernel; and the brake, which a person releases."""

import asyncio
import time
from contextlib import asynccontextmanager, closing
from dataclasses import replace

import pytest

from mcd_rt.control import Verb, ask_agent
from mcd_rt.effects import HostEffects
from mcd_rt.errors import Code
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.record import Record
from mcd_rt.model.state import State
from mcd_rt.plan.brake import DAY
from mcd_rt.record import load_record, save_record
from mcd_rt.report.status import read_status
from mcd_rt.sim.faults import ANY, Hold
from mcd_rt.sim.hostfiles import write_boot
from mcd_rt.sim.world import reboot
from tests.integration.conftest import AGENT, served
from tests.integration.stories import (
    SLOW_RETRY,
    configure,
    fill_cache,
    kept,
    leftovers,
    reaches,
    reboot_held,
    told_of,
    type_on,
)

pytestmark = pytest.mark.story

REALTIME = KernelType.REALTIME
BACKUP = "a backup is running"


def prepare(scene, settings=""):
    fill_cache(scene)
    configure(scene.node, SLOW_RETRY + settings)
    scene.ask_for(REALTIME)
    return scene.node


def test_a_reboot_that_somebody_objects_to_waits_and_is_not_counted(play):
    async def story():
        async with served() as (scene, told):
            node = prepare(scene)
            node.faults.inhibitor = BACKUP
            await node.run_agent(AGENT)
            await told_of(told, node, State.RETRYING, Code.REBOOT_REFUSED, "a simulated program", BACKUP)
            assert node.rpm_ostree.system.staged.locked
            record = load_record(node.paths)
            assert (record.tries, record.reboots) == ((), ())
            assert (node.reboots, leftovers(node)) == (0, [])

            node.faults.inhibitor = ""
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)

    play(story())


def test_an_objection_in_the_last_moment_takes_the_count_back(play):
    async def story():
        async with served() as (scene, told):
            node = prepare(scene)
            staging, finalizing = Hold("Staging deployment"), Hold(ANY)
            node.faults.at.append(staging)
            await node.run_agent(AGENT)
            await staging.reached.wait()
            node.faults.at.append(finalizing)
            staging.release.set()
            await finalizing.reached.wait()
            assert len(load_record(node.paths).reboots) == 1  # counted before it is asked for
            node.faults.inhibitor = BACKUP
            finalizing.release.set()
            await told_of(told, node, State.RETRYING, Code.REBOOT_REFUSED, BACKUP)
            record = load_record(node.paths)
            assert (record.tries, record.reboots, node.reboots) == ((), (), 0)
            assert node.rpm_ostree.system.staged.locked

            node.faults.inhibitor = ""
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)

    play(story())


def test_a_reboot_that_does_not_come_is_said_and_asked_for_again_and_counts_once(play):
    async def story():
        async with served() as (scene, told):
            node = prepare(scene, "[reboot]\nstuck_after = 0.3\nper_day = 1\nattempts_per_target = 1\n")
            node.faults.reboot_stuck = True
            await node.run_agent(AGENT)
            await told_of(told, node, State.RETRYING, Code.REBOOT_STUCK, "still up 0.3 s")
            assert (node.reboots, node.assemblies, leftovers(node)) == (0, 1, [])
            assert len(load_record(node.paths).reboots) == 1

            node.faults.reboot_stuck = False
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)
            assert len(load_record(node.paths).reboots) == 1

    play(story())


def test_a_switch_taken_back_while_its_reboot_is_stuck_is_no_failure_of_the_next_boot(play):
    async def story():
        async with served(profile="2020.8") as (scene, told):
            node = prepare(scene, "[reboot]\nstuck_after = 0.3\n")
            before = kept(node)
            node.faults.reboot_stuck = True
            await node.run_agent(AGENT)
            await told_of(told, node, State.RETRYING, Code.REBOOT_STUCK)
            scene.ask_for(KernelType.DEFAULT)
            await told.wait_for("steady", contains="default is wanted and runs")
            assert kept(node) == before

            node.faults.reboot_stuck = False
            await node.reboot()
            await told.wait_for("steady", contains="default is wanted and runs")
            assert read_status(node.paths).last_failure is None

    play(story())


def test_a_target_that_is_never_finalized_is_held_until_a_person_says_retry(play):
    async def story():
        async with served() as (scene, told):
            node = prepare(scene, "[reboot]\nattempts_per_target = 2\n")
            before = kept(node).deployments
            node.faults.finalize_fails = True
            await node.run_agent(AGENT)
            for reboots in (1, 2):
                failure = await told_of(told, node, State.RETRYING, Code.NOT_FINALIZED, before[0].checksum)
                assert (node.deployments, node.reboots) == (before, reboots)
                assert "/var/log/journal" in failure.hint  # a simulated node keeps none
            await told_of(told, node, State.HELD, Code.TARGET_HELD, "2 reboots", "not-finalized")
            status = read_status(node.paths)
            assert status.last_failure.code is Code.NOT_FINALIZED
            assert status.next_attempt is None
            assert (node.deployments, node.assemblies, leftovers(node)) == (before, 2, [])

            reply = await ask_agent(node.paths.control, Verb.APPLY, 30)
            assert not reply.ok
            assert reply.text.startswith("held: target-held")
            code, text = await type_on(node, "status")
            assert code == 1
            assert "not-finalized" in text
            assert (node.reboots, node.assemblies) == (2, 2)

            node.faults.finalize_fails = False
            code, text = await type_on(node, "retry")
            assert (code, text.split(":")[0]) == (0, "rebooting"), text
            await reaches(told, node, REALTIME, assemblies=3, reboots=3)
            assert read_status(node.paths).last_failure is None

    play(story())


def test_a_held_target_stays_held_over_somebody_elses_reboot_and_another_config_goes_on(play):
    async def story():
        async with served() as (scene, told):
            node = prepare(scene, "[reboot]\nattempts_per_target = 1\n")
            node.faults.finalize_fails = True
            await node.run_agent(AGENT)
            await told_of(told, node, State.HELD, Code.TARGET_HELD, "1 reboots")
            await node.reboot()
            await told_of(told, node, State.HELD, Code.TARGET_HELD)
            assert (node.assemblies, node.reboots) == (1, 2)

            scene.ask_for(KernelType.DEFAULT)
            await told.wait_for("steady", contains="default is wanted and runs")
            assert node.assemblies == 1

    play(story())


@asynccontextmanager
async def saying(node, line):
    """What the control socket answers to one line, to be read when it is of interest."""
    reader, writer = await asyncio.open_unix_connection(node.paths.control)
    with closing(writer):
        writer.write(line + b"\n")
        await writer.drain()
        yield reader


def test_a_retry_said_in_the_middle_of_a_switch_is_not_forgotten(play):
    async def story():
        async with served() as (scene, told):
            node = prepare(scene)
            save_record(HostEffects(), node.paths, Record(reboots=(time.time() - 60,)))
            staging = Hold("Staging deployment")
            node.faults.at.append(staging)
            await node.run_agent(AGENT)
            await staging.reached.wait()
            async with saying(node, b'{"verb": "retry"}') as retry:
                async with saying(node, b"nothing") as nothing:
                    assert b"not a request" in await nothing.readline()  # so the one before it was heard
                with reboot_held(node) as waiting:
                    staging.release.set()
                    await waiting.wait()
                    assert load_record(node.paths).reboots == ()
                assert b'"text": "rebooting' in await retry.readline()
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)

    play(story())


def test_the_reboots_of_a_day_are_counted_whatever_the_target(play):
    async def story():
        async with served() as (scene, told):
            node = prepare(scene, "[reboot]\nper_day = 1\n")
            started = time.time()
            await node.run_agent(AGENT)
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)
            before = kept(node)
            scene.ask_for(KernelType.DEFAULT)
            await told_of(told, node, State.HELD, Code.REBOOT_BUDGET_SPENT, "1 reboots in 24 hours")
            assert 0 < read_status(node.paths).next_attempt - started - DAY < 30
            assert kept(node) == before

            code, _text = await type_on(node, "retry")
            assert code == 0
            await reaches(told, node, KernelType.DEFAULT, assemblies=2, reboots=2)

    play(story())


def test_reboots_under_a_clock_that_was_set_back_since_hold_for_the_day_that_is_told(play):
    async def story():
        async with served() as (scene, told):
            node = prepare(scene)
            node.paths.record.parent.mkdir(parents=True)
            ahead = time.time() + 3650 * DAY
            save_record(HostEffects(), node.paths, Record(reboots=tuple(ahead + at for at in range(4))))
            started = time.time()
            await node.run_agent(AGENT)
            await told_of(told, node, State.HELD, Code.REBOOT_BUDGET_SPENT, "4 reboots in 24 hours")
            until = read_status(node.paths).next_attempt
            assert 0 < until - started - DAY < 30
            record = load_record(node.paths)
            assert [at + DAY for at in record.reboots] == [until] * 4, "dated once, or it would be told anew each time"

            save_record(HostEffects(), node.paths, replace(record, reboots=tuple(at - DAY for at in record.reboots)))
            scene.ask_for(REALTIME)  # as if the day had passed
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)

    play(story())


def test_another_kernel_than_the_one_that_was_switched_to_is_seen_and_not_rebooted_at(play, monkeypatch):
    plain = "5.14.0-284.el9.x86_64"

    def boot_the_plain_kernel(root, system, *rest):
        write_boot(root, system, *rest)
        (root / "proc/sys/kernel/osrelease").write_text(plain)
        (root / "proc/sys/kernel/version").write_text("#1 SMP PREEMPT_DYNAMIC\n")
        (root / "sys/kernel/realtime").unlink(missing_ok=True)

    async def story():
        async with served() as (scene, told):
            node = prepare(scene)
            with monkeypatch.context() as patch:
                patch.setattr("mcd_rt.sim.node.write_boot", boot_the_plain_kernel)
                await node.run_agent(AGENT)
                await told_of(told, node, State.BLOCKED, Code.VERIFICATION_FAILED, plain, "+rt")
            status = read_status(node.paths)
            assert status.last_failure.code is Code.VERIFICATION_FAILED
            assert status.verified_at is None
            assert (node.assemblies, node.reboots, leftovers(node)) == (1, 1, [])
            code, text = await type_on(node, "verify")
            assert code == 1
            assert "verification-failed" in text

            await node.reboot()
            await told.wait_for("steady", contains="realtime is wanted and runs")
            assert (node.assemblies, node.reboots) == (1, 2)

    play(story())


def test_a_target_that_was_written_but_not_booted_is_seen(play, monkeypatch):
    def boot_the_old_entry(system, *, finalize):
        after = reboot(system, finalize=finalize)
        new, old = after.deployments
        return replace(after, deployments=(replace(new, booted=False), replace(old, booted=True)))

    async def story():
        async with served() as (scene, told):
            node = prepare(scene)
            with monkeypatch.context() as patch:
                patch.setattr("mcd_rt.sim.node.reboot", boot_the_old_entry)
                await node.run_agent(AGENT)
                await told_of(told, node, State.RETRYING, Code.BOOTED_ANOTHER, "written to the boot loader")
            await told_of(told, node, State.BLOCKED, Code.BOOTED_ANOTHER, "was booted", "cannot be told apart")
            assert load_record(node.paths).tries[0].count == 1
            code, text = await type_on(node, "verify")
            assert code == 1
            assert "verification-failed" in text
            code, text = await type_on(node, "status")
            assert code == 1
            assert (node.assemblies, node.reboots, leftovers(node)) == (1, 1, [])

    play(story())
