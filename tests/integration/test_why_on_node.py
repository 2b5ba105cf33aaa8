"""Finding out why the old deployment runs after our reboot: each cause ends as its own code, and is not guessed."""

from contextlib import contextmanager
from dataclasses import replace

import pytest

from mcd_rt.errors import Code
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.state import State
from mcd_rt.record import load_record
from mcd_rt.report.status import read_status
from mcd_rt.sim.neighbours import admin_rolls_back
from mcd_rt.sim.world import reboot
from tests.integration.conftest import AGENT, served
from tests.integration.stories import SLOW_RETRY, configure, fill_cache, leftovers, reaches, told_of, type_on

pytestmark = pytest.mark.story

REALTIME, DEFAULT = KernelType.REALTIME, KernelType.DEFAULT
STARTED = "Finished OSTree Finalize Staged Deployment."
STOPPING = "Stopping OSTree Finalize Staged Deployment..."
BEGUN = "Finalizing staged deployment"
NO_ROOM = "error: Installing kernel: regfile copy: No space left on device"
READ_ONLY = "error: Writing /boot/loader: Read-only file system"
COUNTED_OUT = "# GRUB Environment Block\nboot_success=0\nboot_counter=-1\n##########"


def prepare(scene):
    fill_cache(scene)
    configure(scene.node, SLOW_RETRY)
    scene.ask_for(REALTIME)
    return scene.node


def keep_journal(node, lines):
    """What ``journalctl`` has of the service that finalizes; nothing of any other."""
    log = node.root / "previous-boot.log"
    log.write_text("".join(f"{line}\n" for line in lines))
    command = node.paths.below("/usr/bin/journalctl")
    command.write_text(
        f'#!/bin/sh\n[ "$1 $2 $4" = "-b -1 ostree-finalize-staged.service" ] && exec cat {log}\nexit 1\n'
    )
    command.chmod(0o755)


@pytest.mark.parametrize(
    ("journal", "code", "words"),
    [
        ((STARTED, STOPPING, BEGUN, NO_ROOM), Code.BOOT_SPACE, "No space left on device"),
        ((STARTED, STOPPING, BEGUN, READ_ONLY), Code.NOT_FINALIZED, "Read-only file system"),
        ((STARTED, STOPPING, BEGUN), Code.NOT_FINALIZED, "begun and not ended"),
        ((STARTED,), Code.SHUTDOWN_SKIPPED, "without a shutdown"),
        ((), Code.NOT_FINALIZED, "cannot be told apart"),
        (None, Code.NOT_FINALIZED, "no journal"),
    ],
    ids=["no-room", "another-error", "not-ended", "no-shutdown", "silent", "no-journal"],
)
def test_what_was_not_finalized_is_explained_and_tried_again(play, journal, code, words):
    async def story():
        async with served() as (scene, told):
            node = prepare(scene)
            if journal is not None:
                keep_journal(node, journal)
            node.faults.finalize_fails = True
            await node.run_agent(AGENT)
            failure = await told_of(told, node, State.RETRYING, code, words)
            assert "was not finalized" in failure.message
            assert read_status(node.paths).last_failure.code is code
            node.faults.finalize_fails = False
            await reaches(told, node, REALTIME, assemblies=2, reboots=2)
            assert read_status(node.paths).last_failure is None

    play(story())


@contextmanager
def turned_away(monkeypatch, *, turn):
    """Boots bring the old deployment up, which is written to come first as well or does not."""

    def boot_the_old_entry(system, *, finalize):
        new, old = reboot(system, finalize=finalize).deployments
        new, old = replace(new, booted=False), replace(old, booted=True)
        return replace(system, deployments=(old, new) if turn else (new, old))

    with monkeypatch.context() as patch:
        patch.setattr("mcd_rt.sim.node.reboot", boot_the_old_entry)
        yield


@pytest.mark.parametrize(
    ("turn", "grubenv", "code", "state", "words"),
    [
        (True, "", Code.ROLLED_BACK, State.HELD, "the boot order was turned"),
        (True, COUNTED_OUT, Code.ROLLED_BACK, State.HELD, "boot counting gave up"),
        (False, "", Code.BOOTED_ANOTHER, State.BLOCKED, "cannot be told apart"),
    ],
    ids=["order-turned", "counted-out", "another-entry"],
)
def test_a_target_that_was_turned_away_from_is_not_staged_again_by_itself(
    play, monkeypatch, turn, grubenv, code, state, words
):
    async def story():
        async with served() as (scene, told):
            node = prepare(scene)
            if grubenv:
                (node.root / "boot/grub2").mkdir(parents=True)
                (node.root / "boot/grub2/grubenv").write_text(grubenv)
            with turned_away(monkeypatch, turn=turn):
                await node.run_agent(AGENT)
                await told_of(told, node, State.RETRYING, code, words)
            failure = await told_of(told, node, state, code, words)
            assert "mcd-rt retry" in failure.hint
            assert (node.assemblies, node.reboots, leftovers(node)) == (1, 1, [])
            assert read_status(node.paths).next_attempt is None
            status, text = await type_on(node, "status")
            assert (status, code.value in text) == (1, True), text

    play(story())


async def roll_back(node, told, monkeypatch):
    with turned_away(monkeypatch, turn=True):
        await node.run_agent(AGENT)
        await told_of(told, node, State.RETRYING, Code.ROLLED_BACK)
    await told_of(told, node, State.HELD, Code.ROLLED_BACK)


def test_a_target_that_was_rolled_back_from_is_held_over_reboots_until_a_person_says_retry(play, monkeypatch):
    async def story():
        async with served() as (scene, told):
            node = prepare(scene)
            await roll_back(node, told, monkeypatch)
            await node.reboot()
            await told_of(told, node, State.HELD, Code.ROLLED_BACK)
            assert (node.assemblies, node.reboots) == (1, 2)

            code, text = await type_on(node, "retry")
            assert code == 0, text
            await reaches(told, node, REALTIME, assemblies=2, reboots=3)
            record = load_record(node.paths)
            assert (record.given_up, record.failure) == ("", None)

    play(story())


def test_another_target_goes_on_and_the_one_rolled_back_from_stays_held(play, monkeypatch):
    async def story():
        async with served() as (scene, told):
            node = prepare(scene)
            await roll_back(node, told, monkeypatch)
            scene.ask_for(DEFAULT)
            await told.wait_for("steady", contains="default is wanted and runs")
            scene.ask_for(REALTIME)
            await told_of(told, node, State.HELD, Code.ROLLED_BACK)
            assert (node.assemblies, node.reboots) == (1, 1)

    play(story())


def test_a_target_that_was_given_up_and_is_booted_by_a_person_is_forgiven(play, monkeypatch):
    async def story():
        async with served() as (scene, told):
            node = prepare(scene)
            await roll_back(node, told, monkeypatch)
            assert load_record(node.paths).given_up
            with monkeypatch.context() as patch:
                patch.setattr("mcd_rt.sim.node.reboot", _boot_the_other)
                await node.reboot()
            await told.wait_for("steady", contains="realtime is wanted and runs")
            record = load_record(node.paths)
            assert (record.given_up, record.failure, record.tries) == ("", None, ())
            assert read_status(node.paths).last_failure is None
            assert (node.assemblies, node.reboots) == (1, 2)

    play(story())


def _boot_the_other(system, *, finalize):
    """Somebody takes the other deployment, for good."""
    old, new = reboot(system, finalize=finalize).deployments
    return replace(system, deployments=(replace(new, booted=True), replace(old, booted=False)))


def test_what_is_first_to_boot_after_another_was_chosen_is_told_as_that(play, monkeypatch):
    async def story():
        async with served() as (scene, told):
            node = prepare(scene)
            with turned_away(monkeypatch, turn=False):
                await node.run_agent(AGENT)
                await told_of(told, node, State.RETRYING, Code.BOOTED_ANOTHER)
            await told_of(told, node, State.BLOCKED, Code.BOOTED_ANOTHER)
            code, text = await type_on(node, "retry")
            assert code == 0, text
            line = await told.wait_for("steady", contains="is first to boot and brings it with the next boot")
            assert "not ours" not in line
            await node.reboot()
            await told.wait_for("steady", contains="realtime is wanted and runs")

    play(story())


async def switched(scene, told):
    """A node that was switched to realtime, and verified."""
    node = prepare(scene)
    await node.run_agent(AGENT)
    await reaches(told, node, REALTIME, assemblies=1, reboots=1)
    return node


async def rolled_back_later(scene, told):
    """As above, and then went back, as greenboot does after a check that failed once too often."""
    node = await switched(scene, told)
    node.rpm_ostree.system = replace(node.rpm_ostree.system, deployments=node.deployments[::-1])
    await node.reboot()
    assert not node.booted.tree.realtime
    return node


def test_a_rollback_from_a_target_that_had_come_up_is_not_undone(play):
    async def story():
        async with served() as (scene, told):
            node = await rolled_back_later(scene, told)
            failure = await told_of(told, node, State.HELD, Code.ROLLED_BACK, "came up and was verified")
            assert "mcd-rt retry" in failure.hint
            code, text = await type_on(node, "plan")
            assert (code, "nothing is done: rolled-back" in text) == (0, True), text
            code, text = await type_on(node, "status")
            assert (code, "rolled-back" in text) == (1, True), text
            await node.reboot()
            await told_of(told, node, State.HELD, Code.ROLLED_BACK)
            record = load_record(node.paths)
            assert record.given_up == record.verified.target.identity
            assert (node.assemblies, node.reboots, leftovers(node)) == (1, 3, [])

            code, text = await type_on(node, "retry")
            assert code == 0, text
            await reaches(told, node, REALTIME, assemblies=2, reboots=4)
            assert load_record(node.paths).given_up == ""

    play(story())


def test_a_rollback_that_still_needs_its_reboot_is_not_undone(play):
    """An administrator types ``rpm-ostree rollback`` while the agent runs, and reboots when it suits him."""

    async def story():
        async with served() as (scene, told):
            node = await switched(scene, told)
            await admin_rolls_back(node)
            await told_of(told, node, State.HELD, Code.ROLLED_BACK, "came up and was verified")
            await node.reboot()
            await told_of(told, node, State.HELD, Code.ROLLED_BACK)
            assert (node.booted.tree.realtime, node.assemblies, node.reboots) == (False, 1, 2)
            await admin_rolls_back(node)
            await told_of(told, node, State.BLOCKED, Code.ROLLED_BACK)
            await node.reboot()
            await told.wait_for("steady", contains="realtime is wanted and runs")
            assert load_record(node.paths).given_up == ""
            assert (node.assemblies, node.reboots) == (1, 3)

    play(story())


def test_another_config_after_a_rollback_is_followed_and_then_the_first_one_again(play):
    async def story():
        async with served() as (scene, told):
            node = await switched(scene, told)
            node.rpm_ostree.system = replace(node.rpm_ostree.system, deployments=node.deployments[::-1])
            scene.ask_for(DEFAULT)
            await told.wait_for("steady", contains="is first to boot")
            await node.reboot()
            await told.wait_for("steady", contains="default is wanted and runs")
            scene.ask_for(REALTIME)
            await reaches(told, node, REALTIME, assemblies=2, reboots=3)

    play(story())


def _reset(system, *, finalize):
    """As after ``rpm-ostree reset``: a deployment of its own, with nothing layered, beside the one that ran."""
    new, old = reboot(system, finalize=finalize).deployments
    return replace(system, deployments=(replace(old, serial=old.serial + 1, booted=True), replace(new, booted=False)))


def _clean_up(system, *, finalize):
    """Somebody went back, and a machine-config-daemon ran its ``cleanup -r`` before the agent came up."""
    _, old = reboot(system, finalize=finalize).deployments
    return replace(system, deployments=(replace(old, booted=True),))


@pytest.mark.parametrize("made", ["reset", "cleaned up"])
def test_what_was_changed_by_hand_or_is_gone_is_a_gap_and_is_closed(play, monkeypatch, made):
    async def story():
        async with served() as (scene, told):
            node = await switched(scene, told)
            with monkeypatch.context() as patch:
                patch.setattr("mcd_rt.sim.node.reboot", _reset if made == "reset" else _clean_up)
                await node.reboot()
            await reaches(told, node, REALTIME, assemblies=2, reboots=3)

    play(story())


def test_the_old_entry_of_the_boot_menu_is_not_taken_for_health_after_a_verified_switch(play, monkeypatch):
    async def story():
        async with served() as (scene, told):
            node = await switched(scene, told)
            with turned_away(monkeypatch, turn=False):
                await node.reboot()
            assert not node.booted.tree.realtime
            failure = await told_of(told, node, State.BLOCKED, Code.BOOTED_ANOTHER, "ran before")
            assert "systemctl reboot" in failure.hint
            code, text = await type_on(node, "status")
            assert (code, "booted-another" in text) == (1, True), text
            code, text = await type_on(node, "plan")
            assert (code, "nothing is done: booted-another" in text) == (0, True), text
            code, text = await type_on(node, "verify")
            assert (code, "realtime must run" in text) == (1, True), text
            assert (await type_on(node, "verify", "--boot"))[0] == 0, "a fall-back is no reason to fall back"
            said = read_status(node.paths)  # what the metrics say of it as well, for McdRtKernelMismatch
            assert (said.wanted, said.running) == (REALTIME, DEFAULT)
            await node.reboot()
            await told.wait_for("steady", contains="realtime is wanted and runs")
            assert (node.assemblies, node.reboots) == (1, 3)

    play(story())
