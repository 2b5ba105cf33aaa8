"""The first boot: passes until it is over, never beyond its deadline, and never again."""

import asyncio
import itertools

import pytest

from mcd_rt import firstboot
from mcd_rt.effects import HostEffects
from mcd_rt.errors import AgentError, Code, Failure
from mcd_rt.firstboot import MCD_PENDING, run_firstboot
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.record import Record
from mcd_rt.model.settings import FirstbootSettings, RebootSettings, RetrySettings, Settings
from mcd_rt.model.state import State
from mcd_rt.observation import Context
from mcd_rt.plan.outcome import GoingDown, Progressed, Retry, Settled
from mcd_rt.record import load_record, save_record
from mcd_rt.report.reporter import Reporter
from mcd_rt.report.status import read_status

STEADY = Settled(State.STEADY, "realtime is wanted and runs")
REFUSED = Failure(Code.REBOOT_REFUSED, "a reboot is blocked", "wait")


@pytest.fixture
def first_boot(tmp_path, monkeypatch):
    """Run a first boot whose passes come to these outcomes, then never to one; returns whether nothing failed."""

    def run(*outcomes, timeout=30.0, strategy="never"):
        settings = Settings(
            firstboot=FirstbootSettings(timeout),
            reboot=RebootSettings(strategy=strategy, stuck_after=0.0),
            retry=RetrySettings(initial=0.0, ceiling=0.0),
        )
        effects, paths = HostEffects(), HostPaths(tmp_path)
        context = Context(paths, settings, effects, Reporter(effects, paths))
        script = iter(outcomes)
        run.passes = []

        async def scripted(context):
            run.passes.append(context)
            outcome = next(script, None)
            if outcome is None:
                await asyncio.get_running_loop().create_future()
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        monkeypatch.setattr(firstboot, "run_pass", scripted)
        run.paths, run.status = paths, lambda: read_status(paths)
        return asyncio.run(run_firstboot(context))

    return run


@pytest.mark.parametrize(
    ("state", "fine"),
    [
        (State.STEADY, True),
        (State.IGNORED, True),
        (State.UNSUPPORTED, True),
        (State.OBSERVING, True),
        (State.WAITING, True),
        (State.BLOCKED, False),
        (State.HELD, False),
    ],
)
def test_it_is_over_with_any_end_and_never_runs_again(first_boot, state, fine):
    assert first_boot(Progressed(), Progressed(), Settled(state, "so it is")) is fine
    assert first_boot.paths.firstboot_done.read_text() == f"{state}: so it is\n"
    assert first_boot.status().state is state
    assert first_boot() is True
    assert first_boot.passes == []


def test_it_reboots_whatever_the_strategy_says(first_boot):
    first_boot(STEADY, strategy="never")
    [context] = first_boot.passes
    assert (context.may_reboot, context.settings.reboot.strategy) == (True, "immediate")


def test_what_fails_is_tried_again(first_boot):
    assert first_boot(Retry(REFUSED), Retry(REFUSED), STEADY) is True
    assert len(first_boot.passes) == 3


def test_what_only_somebody_else_can_mend_is_not_waited_for(first_boot):
    failure = Failure(Code.IMAGE_UNAUTHORIZED, "the registry refuses", "another secret")
    assert first_boot(Retry(failure, patiently=True)) is False
    assert first_boot.paths.firstboot_done.exists()
    assert first_boot.status().failure == failure


def test_a_shutdown_by_somebody_else_is_waited_for_and_is_not_the_end(first_boot):
    assert first_boot(Settled(State.WAITING, "the node is being shut down", until=0.0), STEADY) is True
    assert len(first_boot.passes) == 2


def test_a_brake_with_an_end_is_not_waited_for(first_boot):
    held = Failure(Code.REBOOT_BUDGET_SPENT, "4 reboots", "wait")
    assert first_boot(Settled(State.HELD, "4 reboots", held, until=1e12)) is False


def test_a_reboot_that_does_not_come_is_asked_for_again(first_boot):
    assert first_boot(GoingDown("realtime is staged"), GoingDown("realtime is staged"), STEADY) is True


@pytest.mark.parametrize("before", [(), (Progressed(),), (Retry(REFUSED),)])
def test_after_the_deadline_the_node_starts_and_it_is_said(first_boot, before):
    assert first_boot(*before, timeout=0.1) is False
    status = first_boot.status()
    assert (status.state, status.failure.code) == (State.RETRYING, Code.FIRSTBOOT_TIMEOUT)
    assert "0.1 s" in status.failure.message
    assert all(outcome.failure.message in status.failure.message for outcome in before if isinstance(outcome, Retry))
    assert first_boot.paths.firstboot_done.read_text().startswith("retrying: firstboot-timeout: ")
    assert load_record(first_boot.paths).failure == status.failure
    assert status.last_failure == status.failure


def test_a_pass_that_fails_again_and_again_ends_at_the_deadline_too(first_boot):
    assert first_boot(*itertools.repeat(Progressed(), 50), Retry(REFUSED), timeout=0.1) is False


def test_why_the_last_boot_failed_is_not_overwritten(first_boot, tmp_path):
    why = Failure(Code.ROLLED_BACK, "another was booted", "look")
    save_record(HostEffects(), HostPaths(tmp_path), Record(failure=why))
    first_boot(timeout=0.05)
    assert load_record(first_boot.paths).failure == why


def test_the_machine_config_daemons_first_boot_goes_first(first_boot, tmp_path):
    pending = HostPaths(tmp_path).below(MCD_PENDING)
    pending.parent.mkdir(parents=True)
    pending.write_text("{}")
    assert first_boot() is True
    assert first_boot.passes == []
    assert not first_boot.paths.firstboot_done.exists()
    pending.rename(pending.with_suffix(".json.bak"))
    assert first_boot(STEADY) is True
    assert first_boot.paths.firstboot_done.exists()


def test_a_deadline_within_a_pass_is_not_taken_for_that_of_the_first_boot(first_boot):
    with pytest.raises(TimeoutError):
        first_boot(TimeoutError())
    assert not first_boot.paths.firstboot_done.exists()


def test_where_its_end_cannot_be_written_it_says_so(first_boot, tmp_path):
    (tmp_path / "var").write_text("a file")
    with pytest.raises(AgentError) as caught:
        first_boot(STEADY)
    assert caught.value.failure.code is Code.WRITE_FAILED
