"""State and next look follow from what a pass came to."""

import pytest

from mcd_rt.errors import Code, Failure
from mcd_rt.model.plan import Held, Ignored, Refused, Steady, Waiting
from mcd_rt.model.state import State
from mcd_rt.plan.outcome import GoingDown, Retry, Settled, outcome_of_failure, outcome_of_plan, retry_delay, state_of

REASON = Failure(Code.WAITING_FOR_BASE, "the base came from another image", "wait")

PATIENT = {
    Code.IMAGE_UNAUTHORIZED,
    Code.IMAGE_NOT_FOUND,
    Code.IMAGE_UNTRUSTED_REGISTRY,
    Code.IMAGE_REJECTED_BY_POLICY,
    Code.BOOT_SPACE,
}
PASSING = {
    Code.IMAGE_UNREADABLE,
    Code.IMAGE_DIGEST_MISMATCH,
    Code.CACHE_CORRUPT,
    Code.CACHE_FULL,
    Code.WORKER_FAILED,
    Code.WORKER_TIMEOUT,
    Code.HOST_UNREADABLE,
    Code.BUS_UNAVAILABLE,
    Code.RPM_OSTREE_UNAVAILABLE,
    Code.RPM_OSTREE_TIMEOUT,
    Code.RPM_OSTREE_BUSY,
    Code.TRANSACTION_FAILED,
    Code.TRANSACTION_LOST,
    Code.TRANSACTION_FOREIGN,
    Code.STAGED_MISMATCH,
    Code.FINALIZE_FAILED,
    Code.REBOOT_REFUSED,
    Code.REBOOT_STUCK,
    Code.NOT_FINALIZED,
    Code.SHUTDOWN_SKIPPED,
    Code.ROLLED_BACK,
    Code.BOOTED_ANOTHER,
    Code.DISK_SPACE,
    Code.MEMORY_LOW,
    Code.VERIFICATION_FAILED,
    Code.WRITE_FAILED,
    Code.HOOK_FAILED,
    Code.HOOK_TIMEOUT,
    Code.HOOK_REFUSED,
    Code.LOCK_REFUSED,
    Code.LOCK_UNREACHABLE,
    Code.LOCK_PROTOCOL,
    Code.SENTINEL_FAILED,
    Code.HOST_EXHAUSTED,
}


@pytest.mark.parametrize(
    ("plan", "outcome"),
    [
        (Steady("default runs"), Settled(State.STEADY, "default runs")),
        (Waiting(REASON), Settled(State.WAITING, REASON.message, REASON)),
        (Ignored(REASON), Settled(State.IGNORED, REASON.message, REASON)),
        (Refused(REASON), Settled(State.BLOCKED, REASON.message, REASON)),
        (Held(REASON, None), Settled(State.HELD, REASON.message, REASON)),
        (Held(REASON, 42.0), Settled(State.HELD, REASON.message, REASON, 42.0)),
    ],
)
def test_a_plan_that_nothing_is_done_for_settles_with_its_reason(plan, outcome):
    assert outcome_of_plan(plan) == outcome
    assert state_of(outcome) is outcome.state


@pytest.mark.parametrize("code", list(Code))
def test_what_may_pass_by_itself_is_retried_and_the_rest_waits_for_a_person(code):
    failure = Failure(code, "it failed")
    outcomes = dict.fromkeys(PASSING, Retry(failure)) | dict.fromkeys(PATIENT, Retry(failure, patiently=True))
    assert outcome_of_failure(failure) == outcomes.get(code, Settled(State.BLOCKED, "it failed", failure))


def test_waiting_for_a_retry_and_for_a_reboot_are_states():
    assert state_of(Retry(REASON)) is State.RETRYING
    assert state_of(GoingDown("rebooting")) is State.REBOOTING


@pytest.mark.parametrize(
    ("failures", "whole"), [(1, 5.0), (2, 10.0), (3, 20.0), (8, 640.0), (9, 900.0), (10, 900.0), (10**9, 900.0)]
)
def test_the_delay_doubles_up_to_the_ceiling_and_half_of_it_is_jitter(failures, whole):
    assert retry_delay(failures, 5.0, 900.0, 0.0) == whole / 2
    assert retry_delay(failures, 5.0, 900.0, 0.5) == whole * 0.75
    assert retry_delay(failures, 5.0, 900.0, 1.0) == whole


def test_the_ceiling_counts_for_the_first_delay_too():
    assert retry_delay(1, 60.0, 10.0, 1.0) == 10.0
