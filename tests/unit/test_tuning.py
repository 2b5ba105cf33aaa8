"""Which tuned profile there should be: ours while the real-time kernel runs, and back what was there before."""

import pytest

from mcd_rt.act.tuned_memory import VERSION, forget_switched, load_switched, save_switched
from mcd_rt.effects import HostEffects
from mcd_rt.errors import AgentError, Code
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.tuning import Profile, Switched
from mcd_rt.plan.tuning import Ask, Forget, LeaveAlone, Nothing, PutBack, Remember, Switch, decide

BALANCED = Profile("balanced")
CHOSEN = Profile("virtual-guest", automatic=True)
OURS = Switched("realtime", BALANCED, done=True)
BEGUN = Switched("realtime", BALANCED, done=False)


@pytest.mark.parametrize(
    ("wanted", "switched", "decision"),
    [
        ("", None, Nothing()),
        ("realtime", OURS, Nothing()),
        ("realtime", None, Ask()),
        ("realtime", BEGUN, Ask()),
        ("cpu-partitioning", OURS, Ask()),
        ("", OURS, Ask()),
        ("", Switched("realtime", Profile("realtime"), done=True), Forget("realtime was active before")),
    ],
)
def test_tuned_is_asked_only_where_there_may_be_something_to_do(wanted, switched, decision):
    assert decide(wanted, switched, None) == decision


@pytest.mark.parametrize(
    ("wanted", "switched", "active", "decision"),
    [
        ("realtime", None, BALANCED, Switch(BEGUN)),
        ("realtime", None, CHOSEN, Switch(Switched("realtime", CHOSEN, done=False))),
        ("realtime", BEGUN, BALANCED, Switch(BEGUN)),
        ("realtime", BEGUN, Profile("realtime"), Remember(OURS)),
        (
            "realtime",
            None,
            Profile("realtime"),
            Remember(Switched("realtime", Profile("realtime"), done=True)),
        ),
        ("realtime", BEGUN, CHOSEN, Switch(Switched("realtime", CHOSEN, done=False))),
        ("cpu-partitioning", OURS, Profile("realtime"), PutBack(BEGUN)),
        ("cpu-partitioning", OURS, CHOSEN, Forget("tuned runs virtual-guest, which is not ours")),
        ("", OURS, Profile("realtime"), PutBack(BEGUN)),
        ("", BEGUN, Profile("realtime"), PutBack(BEGUN)),
        ("", BEGUN, BALANCED, Forget("tuned runs balanced, which is not ours")),
        ("", OURS, CHOSEN, Forget("tuned runs virtual-guest, which is not ours")),
        ("", OURS, Profile(""), Forget("tuned runs no profile, which is not ours")),
    ],
)
def test_what_follows_from_the_profile_that_is_active(wanted, switched, active, decision):
    assert decide(wanted, switched, active) == decision


def test_tuned_that_is_switched_off_is_not_switched_on():
    decision = decide("realtime", None, Profile(""))
    assert isinstance(decision, LeaveAlone)
    assert decision.reason.code is Code.TUNED_LEFT_ALONE
    assert "tuned-adm profile realtime" in decision.reason.hint


# What is remembered


@pytest.mark.parametrize("switched", [OURS, BEGUN, Switched("realtime", CHOSEN, done=True)])
def test_what_was_there_before_is_remembered_until_it_is_forgotten(tmp_path, switched):
    paths = HostPaths(tmp_path)
    assert load_switched(paths) is None
    save_switched(HostEffects(), paths, switched)
    assert load_switched(paths) == switched
    forget_switched(HostEffects(), paths)
    assert load_switched(paths) is None
    assert list(paths.tuned.parent.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[" * 100_000,
        "{}",
        '{"version": 1, "profile": "", "before": {"name": "a", "automatic": false}, "done": true}',
        '{"version": 1, "profile": "realtime", "before": {"name": "", "automatic": false}, "done": true}',
        '{"version": 1, "profile": "realtime", "before": {"name": "a", "automatic": 0}, "done": true}',
        '{"version": 1, "profile": "realtime", "before": "a", "done": true}',
        '{"version": 0, "profile": "realtime", "before": {"name": "a", "automatic": false}, "done": true}',
    ],
)
def test_a_damaged_memory_is_said_and_left_as_it_is(tmp_path, text):
    paths = HostPaths(tmp_path)
    paths.tuned.parent.mkdir(parents=True)
    paths.tuned.write_text(text)
    with pytest.raises(AgentError) as caught:
        load_switched(paths)
    assert caught.value.failure.code is Code.TUNED_LEFT_ALONE
    assert str(paths.tuned) in caught.value.failure.message
    assert paths.tuned.read_text() == text


def test_a_memory_of_a_newer_agent_says_so(tmp_path):
    paths = HostPaths(tmp_path)
    paths.tuned.parent.mkdir(parents=True)
    paths.tuned.write_text(f'{{"version": {VERSION + 1}}}')
    with pytest.raises(AgentError, match=f"version {VERSION + 1}"):
        load_switched(paths)


def test_a_memory_that_cannot_be_looked_at_is_not_an_empty_one(tmp_path):
    paths = HostPaths(tmp_path)
    paths.tuned.mkdir(parents=True)
    with pytest.raises(AgentError, match="Is a directory"):
        load_switched(paths)
