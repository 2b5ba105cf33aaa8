"""No reboot loop, whatever is tried and whatever the clock says (promise 6)."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from mcd_rt.errors import Code
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.plan import Target
from mcd_rt.model.record import Record
from mcd_rt.model.settings import RebootSettings
from mcd_rt.plan.brake import DAY, count_reboot, judge_brake, release_brake, see_clock
from mcd_rt.plan.outcome import retry_delay
from tests.property import strategies as _profile  # noqa: F401 - registers the profile

TARGETS = tuple(Target(KernelType.REALTIME, name, "sha256:1", (), "") for name in "abcdef")
SETTINGS = st.builds(RebootSettings, attempts_per_target=st.integers(1, 4), per_day=st.integers(1, 4))
TIMES = st.integers(0, 40).map(lambda quarter: quarter * DAY / 8)
TRIALS = st.lists(st.tuples(st.sampled_from(TARGETS), TIMES), max_size=40)


def allowed(trials, settings):
    """The reboots that are let through, in order, and the record after them."""
    record, through = Record(), []
    for target, now in trials:
        if judge_brake(record, target, settings, now) is None:
            record = count_reboot(record, target, now)
            through.append((target, now))
    return through, record


@given(TRIALS, SETTINGS)
def test_no_target_is_tried_more_often_than_allowed(trials, settings):
    through = [target for target, _ in allowed(trials, settings)[0]]
    assert all(through.count(target) <= settings.attempts_per_target for target in TARGETS)


@given(TRIALS, SETTINGS)
def test_no_day_has_more_reboots_than_its_budget(trials, settings):
    ordered = sorted(trials, key=lambda trial: trial[1])
    times = [now for _, now in allowed(ordered, settings)[0]]
    assert all(later - first >= DAY for first, later in zip(times, times[settings.per_day :], strict=False))


@given(TRIALS, SETTINGS)
def test_a_jumping_clock_allows_no_more_than_the_days_it_ran_forward(trials, settings):
    times = [now for _, now in allowed(trials, settings)[0]]
    for start in range(len(times) - settings.per_day):
        window = times[start : start + settings.per_day + 1]
        assert any(now - min(window[: place + 1]) >= DAY for place, now in enumerate(window))


@given(TRIALS, SETTINGS, TIMES)
def test_a_brake_lets_go_by_itself_exactly_when_it_says(trials, settings, later):
    ordered = sorted(trials, key=lambda trial: trial[1])
    _, record = allowed(ordered, settings)
    now = later + (ordered[-1][1] if ordered else 0.0)
    fresh = Target(KernelType.DEFAULT, "fresh", "", (), "")
    held = judge_brake(record, fresh, settings, now)
    if held is not None:
        assert held.reason.code is Code.REBOOT_BUDGET_SPENT
        assert now < held.until <= now + DAY
        assert judge_brake(record, fresh, settings, held.until - 1) is not None
        assert judge_brake(record, fresh, settings, held.until) is None


@given(st.lists(TIMES, max_size=8), SETTINGS, TIMES, TIMES)
def test_whatever_the_clock_was_a_brake_lets_go_when_it_says(reboots, settings, now, sooner):
    fresh = Target(KernelType.DEFAULT, "fresh", "", (), "")
    record = see_clock(Record(reboots=tuple(reboots)), now)
    held = judge_brake(record, fresh, settings, now)
    if held is not None:
        assert now < held.until <= now + DAY
        between = see_clock(record, min(now + sooner, held.until))
        assert judge_brake(see_clock(between, held.until), fresh, settings, held.until) is None
    assert all(at <= now for at in record.reboots)
    assert see_clock(record, now) is record


@given(
    st.integers(1, 1000),
    st.floats(0.1, 1e6),
    st.floats(0.1, 1e9),
    st.floats(0, 1, exclude_max=True),
)
def test_a_delay_is_between_half_and_all_of_a_step_that_never_exceeds_the_ceiling(failures, initial, ceiling, chance):
    delay = retry_delay(failures, initial, ceiling, chance)
    assert min(initial, ceiling) / 2 <= delay <= ceiling
    assert retry_delay(failures + 1, initial, ceiling, chance) >= delay


@given(TRIALS, SETTINGS, TIMES)
def test_a_target_that_was_given_up_is_held_whatever_the_time_until_a_person_says_retry(trials, settings, now):
    record = replace(allowed(trials, settings)[1], given_up=TARGETS[0].identity)
    held = judge_brake(record, TARGETS[0], settings, now)
    assert held is not None
    assert held.until is None
    assert judge_brake(release_brake(record), TARGETS[0], settings, now) is None
