"""Nothing is tried twice, and nothing is left out: what counts as the same, and what is known of it."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace

import pytest

from mcd_rt.model.state import State
from tests.effects_double import Effect
from tests.reliability.cuts import Survey, survey, try_points
from tests.reliability.points import Boot, Point, Way, boot_of, enumerate_points, sameness, within
from tests.reliability.sameness import digest
from tests.reliability.scenarios import SCENARIOS, Wish
from tests.reliability.states import End, Finish, Instant, World
from tests.reliability.sweep import distinct
from tests.reliability.tails import Tails

WRITE = Effect("write", "/shm/one/root/var/lib/mcd-rt/.record.json.new")
ELSEWHERE = Effect("write", "/shm/two/root/var/lib/mcd-rt/.record.json.new")
BOOTS = (Boot("first"), Boot("second", effects=10, calls=2))


def test_what_differs_differs_and_where_it_lies_does_not():
    here = digest(["a file", b"/shm/one/x in it", 3], ("/shm/one", "/images/one"))
    assert here == digest(["a file", b"/shm/two/x in it", 3], ("/shm/two", "/images/two"))
    assert here != digest(["a file", b"/shm/two/y in it", 3], ("/shm/two", "/images/two"))
    assert here != digest(["a file", b"/images/two/x in it", 3], ("/shm/two", "/images/two"))
    assert digest(["ab", "c"], ()) != digest(["a", "bc"], ())


@pytest.mark.parametrize(
    ("point", "boot", "nth", "call"),
    [
        (Point(10, WRITE, Way.STOP), 0, 10, 0),
        (Point(11, WRITE, Way.STOP), 1, 1, 0),
        (Point(15, WRITE, Way.INSIDE, call=3), 1, 5, 1),
        (Point(15, WRITE, Way.FAIL_ALL), 0, 15, 0),
    ],
)
def test_a_point_is_counted_from_the_beginning_of_its_boot(point, boot, nth, call):
    assert boot_of(point, BOOTS) == boot
    found = within(point, BOOTS[boot])
    assert (found.nth, found.call) == (nth, call)


def test_a_point_is_the_same_in_the_same_world_only():
    point = Point(11, WRITE, Way.STOP)
    later = (Boot("other"), Boot("second", effects=20))
    assert sameness(point, BOOTS) == sameness(Point(21, ELSEWHERE, Way.STOP), later)
    others = (
        sameness(Point(12, WRITE, Way.STOP), BOOTS),
        sameness(Point(11, WRITE, Way.POWER_LOST), BOOTS),
        sameness(Point(11, WRITE, Way.FAIL, 5), BOOTS),
        sameness(Point(11, Effect("write", "/shm/one/root/run/x"), Way.STOP), BOOTS),
        sameness(point, (BOOTS[0], replace(BOOTS[1], world="another"))),
    )
    assert sameness(point, BOOTS) not in others


def test_of_points_that_several_scenarios_have_the_first_is_tried():
    first = Survey(SCENARIOS[0], (), None, BOOTS)
    second = Survey(SCENARIOS[1], (), None, (Boot("other"), Boot("second", effects=20)))
    points = (Point(3, WRITE, Way.STOP), Point(11, WRITE, Way.STOP), Point(11, WRITE, Way.STOP))
    again = (Point(3, WRITE, Way.STOP), Point(21, ELSEWHERE, Way.STOP))
    assert distinct([(first, points), (second, again)]) == [points, again[:1]]


def bench(reboots=0, asked=0, world="w", problems=()):
    node = SimpleNamespace(reboots=reboots)
    return SimpleNamespace(node=node, asked_reboots=asked, problems=list(problems), digest=lambda: world)


def test_what_followed_a_boot_is_known_when_its_world_comes_again():
    tails, staged, booted = Tails(), Instant(object(), True), Instant(object(), False)
    finish = Finish(End(State.STEADY, None, ("tree", ""), 2), 2, 2, (), (), Wish())
    tails.begin()
    tails.look(staged)
    assert tails.recall(bench(reboots=1, asked=1)) is None
    tails.look(booted)
    tails.look(booted)
    tails.end(finish)

    tails.begin()
    assert tails.recall(bench(reboots=2, asked=1, world="another")) is None
    known = tails.recall(bench(reboots=2, asked=1, problems=("odd",)))
    assert known == replace(finish, end=replace(finish.end, reboots=3), problems=("odd",))
    assert tails.instants == [booted], "what could be booted then is judged again"
    assert tails.folded == 1


def test_folding_tries_every_point_with_the_same_verdict():
    [scenario] = [one for one in SCENARIOS if one.name == "refusal: kernel overridden"]
    surveyed = asyncio.run(survey(scenario))
    wrong = replace(surveyed, promise=replace(surveyed.promise, bootable=frozenset()))
    points = enumerate_points(surveyed.seen)[::5]
    for one, told in ((surveyed, 0), (wrong, len(points))):
        folded, plain = (asyncio.run(try_points(one, points, fold=fold)) for fold in (True, False))
        assert folded.broken == plain.broken if not told else len(folded.broken) == len(plain.broken) == told


def test_a_survey_tells_where_its_boots_begin_and_equal_runs_tell_the_same():
    [scenario] = [one for one in SCENARIOS if one.name == "reset"]
    first, second = (asyncio.run(survey(scenario)) for _ in range(2))
    assert len(first.boots) == first.promise.reboots + 1 == 2
    assert [boot.world for boot in first.boots] == [boot.world for boot in second.boots]
    assert first.boots[0].world != first.boots[1].world
    points = [point for point in enumerate_points(first.seen) if point.way is Way.STOP]
    tried = asyncio.run(try_points(first, points[:: len(points) // 5]))
    assert tried.broken == ()
    assert tried.known > 0
    assert isinstance(first.seen[0].world, World)
