"""Going back from what had come up is somebody's decision; whatever else is not as wanted is a gap to be closed."""

from dataclasses import replace

import pytest

from mcd_rt.errors import Code, Failure
from mcd_rt.model.deployment import Deployments
from mcd_rt.model.record import Record, Verified
from mcd_rt.model.settings import RebootSettings
from mcd_rt.plan.brake import judge_brake, release_brake, see_running
from mcd_rt.plan.rollback import see_rollback, see_verified
from tests.unit.nodes import EL9, EL9_RT, EL9_RT_OLD, on_default, on_flavor, target_of

TARGET, OTHER = target_of(EL9, EL9_RT), target_of(EL9, EL9_RT_OLD)
OLD = on_default(id="rhcos-old.0")
NEW = on_flavor(EL9, EL9_RT, id="rhcos-new.1", booted=False)
MADE_SINCE = on_default(id="rhcos-since.2")
VERIFIED = Record(verified=Verified(TARGET, 100.0, 200.0, beside=(OLD.id,)))


def boots(deployment):
    return replace(deployment, booted=True)


def waits(deployment):
    return replace(deployment, booted=False)


def seen(*deployments, record=VERIFIED, target=TARGET):
    return see_rollback(record, Deployments(deployments), target)


def test_what_came_up_is_remembered_with_what_was_there_beside_it():
    staged = replace(MADE_SINCE, booted=False, staged=True)
    there = Deployments((staged, boots(NEW), waits(OLD)))
    assert see_verified(TARGET, 100.0, 200.0, there) == VERIFIED.verified


@pytest.mark.parametrize(
    "there",
    [
        (boots(OLD), waits(NEW)),
        (waits(OLD), boots(NEW)),
        (waits(MADE_SINCE), boots(OLD), waits(NEW)),
        (replace(waits(MADE_SINCE), staged=True), boots(OLD), waits(NEW)),
    ],
    ids=["booted", "order turned, no reboot yet", "booted, another one first", "booted, somebody's work staged"],
)
def test_who_goes_back_is_not_fought(there):
    record = seen(*there)
    assert record.failure.code is Code.ROLLED_BACK
    assert OLD.id in record.failure.message
    assert "mcd-rt retry" in record.failure.hint
    assert record == replace(VERIFIED, failure=record.failure, given_up=TARGET.identity)
    held = judge_brake(record, TARGET, RebootSettings(), 1000.0)
    assert (held.reason, held.until) == (record.failure, None)


@pytest.mark.parametrize(
    "there",
    [
        (boots(MADE_SINCE), waits(NEW)),
        (boots(OLD),),
        (boots(OLD), replace(waits(NEW), staged=True)),
        (boots(OLD), on_flavor(EL9, EL9_RT_OLD, id="rhcos-other.1", booted=False)),
    ],
    ids=["made since", "target gone", "target staged again", "another target there"],
)
def test_what_nobody_went_back_from_is_a_gap_to_be_closed(there):
    assert seen(*there) == VERIFIED


def test_another_target_than_the_one_that_came_up_is_nothing_to_go_back_from():
    assert seen(boots(OLD), waits(NEW), target=OTHER) == VERIFIED
    assert seen(boots(OLD), waits(NEW), record=Record()) == Record()


def test_what_was_given_up_already_keeps_its_reason():
    record = replace(VERIFIED, failure=Failure(Code.BOOTED_ANOTHER, "a person chose it"), given_up=TARGET.identity)
    assert seen(boots(OLD), waits(NEW), record=record) == record


def test_retry_forgives_and_is_not_told_the_same_again():
    released = release_brake(seen(boots(OLD), waits(NEW)))
    assert (released.failure, released.given_up) == (None, "")
    assert seen(boots(OLD), waits(NEW), record=released) == released


def test_once_another_target_runs_that_is_wanted_going_back_to_it_was_right():
    record = see_running(VERIFIED, OTHER)
    assert seen(boots(OLD), waits(NEW), record=record) == record
    assert see_running(VERIFIED, TARGET) == VERIFIED
