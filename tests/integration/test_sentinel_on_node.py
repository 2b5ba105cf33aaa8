"""Others are asked to reboot the node, and asked no more: what the file, the record and the hooks make of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from mcd_rt.errors import Code
from mcd_rt.holding import end_hold, set_hold
from mcd_rt.model.record import Phase
from mcd_rt.model.state import State
from mcd_rt.plan.outcome import GoingDown, Retry
from mcd_rt.record import save_record
from mcd_rt.report.families import ATTEMPT_PHASE, STAGED_AT
from tests.integration.clocked import staged
from tests.integration.test_strategies_on_node import SENTINEL, arrives, waits

pytestmark = pytest.mark.story

PATH = "/run/mcd-rt/reboot-required"
IMMEDIATE = '[reboot]\nstrategy = "immediate"\n'


def sentinel_of(stage, path=PATH):
    sentinel = stage.node.paths.below(path)
    sentinel.parent.mkdir(parents=True, exist_ok=True)
    return sentinel


@pytest.mark.parametrize("whose", ["ours", "another's"])
@pytest.mark.parametrize("how", ["a person asks", "another strategy"])
def test_a_reboot_of_our_own_after_others_were_asked_begins_with_its_hooks(play, monkeypatch, whose, how):
    async def story():
        async with staged(monkeypatch, SENTINEL) as stage:
            stage.hook("pre-reboot")
            sentinel = sentinel_of(stage)
            if whose == "another's":
                sentinel.write_text("another package")
            waits(await stage.rest(), "asks others to drain")
            assert (stage.record.attempt.phase, stage.ran) == (Phase.ASKED, [])
            if how == "another strategy":
                stage.configure(IMMEDIATE)
            await stage.reboots(reboot_now=how == "a person asks")
            assert stage.ran == ["pre-reboot"]
            assert len(stage.record.reboots) == 1  # it is one reboot, whoever was asked for it first
            await arrives(stage)

    play(story())


def test_hooks_after_the_boot_run_after_a_reboot_by_others_too(play, monkeypatch):
    async def story():
        async with staged(monkeypatch, SENTINEL) as stage:
            stage.hook("pre-reboot")
            stage.hook("post-verify")
            waits(await stage.rest(), "asks others to drain")
            set_hold(stage.context, None)
            waits(await stage.rest(), "held by `mcd-rt hold`")
            assert stage.ran == []  # nothing was done that had to be taken back
            end_hold(stage.context)
            await stage.rest()
            await stage.node.reboot()
            stage.restart()
            await arrives(stage)
            assert stage.ran == ["post-verify"]

    play(story())


def test_a_hold_takes_back_what_was_asked_by_somebody_elses_file(play, monkeypatch):
    async def story():
        async with staged(monkeypatch, SENTINEL) as stage:
            sentinel = sentinel_of(stage)
            sentinel.write_text("another package")
            await stage.rest()
            assert len(stage.record.reboots) == 1
            set_hold(stage.context, None)
            waits(await stage.rest(), "held by `mcd-rt hold`")
            assert (stage.record.attempt.phase, stage.record.reboots) == (Phase.STAGED, ())
            assert sentinel.read_text() == "another package"

    play(story())


def test_the_numbers_say_who_is_waited_for(play, monkeypatch):
    async def story():
        async with staged(monkeypatch, SENTINEL) as stage:
            await stage.rest()
            metrics = stage.context.reporter.metrics
            assert [one for one, value in metrics.numbers(ATTEMPT_PHASE).items() if value] == [(Phase.ASKED,)]
            metrics.refresh()
            assert metrics.numbers(STAGED_AT)[()] > 0
            set_hold(stage.context, None)
            await stage.rest()
            assert [one for one, value in metrics.numbers(ATTEMPT_PHASE).items() if value] == [(Phase.STAGED,)]

    play(story())


def test_the_last_try_is_asked_for_until_it_comes(play, monkeypatch):
    async def story():
        async with staged(monkeypatch, SENTINEL.replace("[reboot]\n", "[reboot]\nattempts_per_target = 1\n")) as stage:
            waits(await stage.rest(), "asks others to drain")
            waits(await stage.rest(), "asks others to drain")
            stage.node.faults.finalize_fails = True
            await stage.node.reboot()
            stage.restart()
            outcome = await stage.rest()  # a reboot by others that was asked for is judged like our own
            assert isinstance(outcome, Retry)
            assert outcome.failure.code is Code.NOT_FINALIZED
            assert (await stage.rest()).state is State.HELD

    play(story())


def test_others_are_asked_at_the_place_that_the_settings_name_now(play, monkeypatch):
    async def story():
        async with staged(monkeypatch, SENTINEL) as stage:
            await stage.rest()
            stage.configure(SENTINEL.replace(PATH, "/run/mcd-rt/another"))
            waits(await stage.rest(), "/run/mcd-rt/another asks others")
            assert not sentinel_of(stage).exists()
            assert sentinel_of(stage, "/run/mcd-rt/another").exists()
            assert len(stage.record.reboots) == 1

    play(story())


def test_a_reboot_of_ours_that_others_shall_do_now_is_counted_once(play, monkeypatch):
    async def story():
        async with staged(monkeypatch, SENTINEL) as stage:
            stage.node.faults.reboot_stuck = True
            assert isinstance(await stage.rest(reboot_now=True), GoingDown)
            assert stage.record.attempt.phase is Phase.REBOOTING
            waits(await stage.rest(), "asks others to drain")
            assert (stage.record.attempt.phase, len(stage.record.reboots)) == (Phase.ASKED, 1)

    play(story())


def test_what_an_earlier_agent_asked_of_others_is_known_as_that(play, monkeypatch):
    async def story():
        async with staged(monkeypatch, SENTINEL) as stage:
            await stage.rest()
            asked = stage.record
            as_it_was = replace(asked, attempt=replace(asked.attempt, phase=Phase.REBOOTING))
            save_record(stage.effects, stage.node.paths, as_it_was)
            assert stage.record == asked

    play(story())


def test_a_place_that_may_not_be_looked_at_is_a_failure_of_that_name(play, monkeypatch):
    async def story():
        async with staged(monkeypatch, SENTINEL) as stage:
            look = Path.stat

            def stat(path, **how):
                if path.name == "reboot-required":
                    raise PermissionError(13, "Permission denied", str(path))
                return look(path, **how)

            monkeypatch.setattr(Path, "stat", stat)
            outcome = await stage.rest()
            assert isinstance(outcome, Retry)
            assert outcome.failure.code is Code.SENTINEL_FAILED
            assert "Permission denied" in outcome.failure.message
            assert (stage.record.reboots, stage.record.sentinel) == ((), "")

    play(story())
