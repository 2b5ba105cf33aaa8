"""No reboot loop (promise 6): attempts per target, the daily budget, clocks that jump, and ``retry``."""

from dataclasses import replace

import pytest

from mcd_rt.errors import Code, Failure
from mcd_rt.model.plan import Held
from mcd_rt.model.record import Record, Tries
from mcd_rt.model.settings import RebootSettings
from mcd_rt.plan.brake import (
    DAY,
    count_reboot,
    judge_brake,
    release_brake,
    see_clock,
    see_running,
    tries_of,
    uncount_reboot,
)
from tests.unit.nodes import EL8, EL8_RT, EL9, EL9_RT, target_of, verified

SETTINGS = RebootSettings(attempts_per_target=3, per_day=4)
A, B = target_of(EL9, EL9_RT), target_of(EL8, EL8_RT)
NOW = 1_000_000.0


def after(*reboots: float, record: Record = Record(), target=A) -> Record:  # noqa: B008 - a frozen value
    for at in reboots:
        record = count_reboot(record, target, at)
    return record


def held(record: Record, target=A, now: float = NOW) -> Held:
    judged = judge_brake(record, target, SETTINGS, now)
    assert judged is not None
    assert judged.reason.hint
    return judged


def test_a_target_is_tried_as_often_as_allowed():
    record = Record()
    for count in range(SETTINGS.attempts_per_target):
        assert judge_brake(record, A, SETTINGS, NOW) is None
        assert tries_of(record, A) == count
        record = count_reboot(record, A, NOW)
    judged = held(record)
    assert judged.reason.code is Code.TARGET_HELD
    assert judged.until is None, "only a person or another goal lets go"
    assert "3 reboots into realtime" in judged.reason.message


def test_a_target_stays_given_up_when_days_have_passed():
    assert held(after(NOW, NOW, NOW), now=NOW + 100 * DAY).reason.code is Code.TARGET_HELD


def test_a_given_up_target_says_what_was_wrong_last():
    record = replace(after(NOW, NOW, NOW), failure=Failure(Code.ROLLED_BACK, "the old one was booted"))
    assert "last: rolled-back: the old one was booted" in held(record).reason.message


def test_another_target_has_attempts_of_its_own():
    record = after(NOW, NOW, NOW)
    assert judge_brake(record, B, SETTINGS, NOW) is None
    counted = count_reboot(record, B, NOW)
    assert (tries_of(counted, A), tries_of(counted, B)) == (3, 1)


def test_a_reboot_that_was_called_off_in_time_was_none():
    once, twice = after(NOW), after(NOW, NOW)
    assert uncount_reboot(once, A) == Record()
    assert uncount_reboot(twice, A) == once
    counted = count_reboot(twice, B, NOW)
    assert uncount_reboot(counted, B) == twice


def test_the_budget_counts_whatever_the_targets():
    record = after(NOW + 2, NOW + 3, target=B, record=after(NOW, NOW + 1))
    judged = held(record, target=target_of(EL9), now=NOW + 10)
    assert judged.reason.code is Code.REBOOT_BUDGET_SPENT
    assert judged.until == NOW + DAY
    assert "4 reboots in 24 hours" in judged.reason.message


def test_the_budget_lets_go_when_it_says():
    record = after(NOW + 2, NOW + 3, target=B, record=after(NOW, NOW + 1))
    until = held(record, target=target_of(EL9), now=NOW + 10).until
    assert judge_brake(record, target_of(EL9), SETTINGS, until - 1) is not None
    assert judge_brake(record, target_of(EL9), SETTINGS, until) is None


def test_a_lowered_budget_lets_go_when_enough_of_the_reboots_are_old():
    record = Record(reboots=(NOW, NOW + 1, NOW + 2))
    lowered = replace(SETTINGS, per_day=2)
    judged = judge_brake(record, A, lowered, NOW + 10)
    assert judged.until == NOW + 1 + DAY
    assert judge_brake(record, A, lowered, judged.until) is None


def test_reboots_older_than_a_day_are_forgotten_when_the_next_is_counted():
    assert after(NOW, NOW + 1, NOW + 1 + DAY).reboots == (NOW + 1 + DAY,)


def test_a_clock_that_jumped_back_frees_no_budget():
    spent = after(NOW, NOW, target=B, record=after(NOW, NOW))
    judged = held(spent, target=target_of(EL9), now=NOW - 500 * DAY)
    assert judged.reason.code is Code.REBOOT_BUDGET_SPENT
    assert judged.until == NOW - 499 * DAY


def test_reboots_from_the_future_that_are_dated_once_hold_a_day_and_no_longer():
    """Four reboots under a wrong clock, which is then set back: by the time that was told, it lets go."""
    spent = after(NOW, NOW + 1, target=B, record=after(NOW + 2, NOW + 3))
    today = NOW - 500 * DAY
    dated = see_clock(spent, today)
    assert dated == replace(spent, reboots=(today,) * 4)
    until = held(dated, target=target_of(EL9), now=today).until
    assert until == today + DAY
    later = see_clock(dated, until)
    assert later is dated, "dated once"
    assert judge_brake(later, target_of(EL9), SETTINGS, until) is None


def test_reboots_from_the_future_are_dated_now_when_the_next_is_counted():
    assert after(NOW, NOW - 500 * DAY).reboots == (NOW - 500 * DAY, NOW - 500 * DAY)


def test_a_clock_that_jumped_forth_frees_the_budget_but_no_attempts():
    spent = after(NOW, target=B, record=after(NOW, NOW, NOW))
    assert judge_brake(spent, B, SETTINGS, NOW + 500 * DAY) is None
    assert held(spent, now=NOW + 500 * DAY).reason.code is Code.TARGET_HELD


def test_retry_lets_go_of_everything_but_what_came_up():
    before = verified(target_of(EL9))
    record = replace(after(NOW, NOW, NOW, NOW, record=before), failure=Failure(Code.ROLLED_BACK, "old"))
    released = release_brake(record)
    assert released == before
    assert judge_brake(released, A, SETTINGS, NOW) is None


@pytest.mark.parametrize("tries", [(), (Tries("another", 7),)])
def test_a_target_never_tried_has_no_tries(tries):
    assert tries_of(Record(tries=tries), A) == 0


GIVEN_UP = replace(after(NOW, NOW), failure=Failure(Code.ROLLED_BACK, "the old one was booted"), given_up=A.identity)


def test_a_target_that_is_seen_running_is_not_given_up_any_more_whoever_booted_it():
    seen = see_running(GIVEN_UP, A)
    assert (seen.given_up, seen.failure, tries_of(seen, A)) == ("", None, 0)
    assert seen.reboots == (NOW, NOW), "the budget of the day is not given back"
    assert judge_brake(seen, A, SETTINGS, NOW) is None


def test_another_target_that_runs_does_not_excuse_the_one_that_was_given_up():
    assert see_running(GIVEN_UP, B) == GIVEN_UP


def test_a_failure_of_a_target_that_is_not_wanted_any_more_is_over_and_its_attempts_are_not():
    record = replace(after(NOW, NOW), failure=Failure(Code.NOT_FINALIZED, "a full /boot"))
    seen = see_running(record, B)
    assert (seen.failure, tries_of(seen, A)) == (None, 2)
