"""Whatever happens between there and back, tuned ends with the profile that somebody else chose last."""

from hypothesis import given
from hypothesis import strategies as st

from mcd_rt.model.tuning import Profile
from mcd_rt.plan.tuning import Forget, LeaveAlone, Nothing, PutBack, Remember, Switch, decide

OURS = ("realtime", "cpu-partitioning")
WHOLE = 6
"""Writes and calls of the longest way, from one profile of ours to another."""
THEIRS = (Profile("balanced"), Profile("virtual-guest", automatic=True), Profile("powersave"))


class Node:
    """What tuned runs, what is remembered, and how a pass changes both; ``dies`` is before which of its writes."""

    def __init__(self, theirs):
        self.active = self.theirs = theirs
        self.switched = None

    def choose(self, theirs):
        self.active = self.theirs = theirs

    def tune(self, wanted, dies):
        while not isinstance(decide(wanted, self.switched, None), Nothing):
            for step in self._steps(decide(wanted, self.switched, self.active)):
                if not dies:
                    return
                dies -= 1
                step()

    def _steps(self, decision):
        match decision:
            case Switch(new):
                done = decide(new.profile, new, Profile(new.profile)).switched
                return [
                    lambda: self._remember(new),
                    lambda: self._run(Profile(new.profile)),
                    lambda: self._remember(done),
                ]
            case PutBack(old):
                return [lambda: self._remember(old), lambda: self._run(old.before), lambda: self._remember(None)]
            case Remember(new):
                return [lambda: self._remember(new)]
            case Forget():
                return [lambda: self._remember(None)]
            case LeaveAlone():
                return []

    def _remember(self, switched):
        self.switched = switched

    def _run(self, profile):
        self.active = profile


tuning = st.tuples(st.just("tune"), st.sampled_from(("", *OURS)), st.integers(0, WHOLE))
choosing = st.tuples(st.just("choose"), st.sampled_from(THEIRS), st.just(0))


@given(st.sampled_from(THEIRS), st.lists(st.one_of(tuning, choosing), max_size=12))
def test_the_way_back_leads_to_what_others_chose(theirs, story):
    node = Node(theirs)
    interrupted = False
    for what, value, dies in story:
        if what == "tune":
            node.tune(value, dies)
            interrupted = node.switched is not None and not node.switched.done
        elif not interrupted:  # whoever chooses in the very moment between two writes of ours is not told apart
            node.choose(value)
    node.tune("", WHOLE)
    assert node.active == node.theirs
    assert node.switched is None


@given(st.sampled_from(THEIRS), st.sampled_from(OURS))
def test_a_second_pass_does_nothing(theirs, wanted):
    node = Node(theirs)
    node.tune(wanted, WHOLE)
    assert (node.active.name, decide(wanted, node.switched, None)) == (wanted, Nothing())
    node.tune("", WHOLE)
    assert decide("", node.switched, None) == Nothing()
