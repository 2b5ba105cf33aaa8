"""How passes and boots end, as labels."""

from typing import assert_never

from mcd_rt.plan.outcome import GoingDown, Outcome, Progressed, Retry, Settled
from mcd_rt.plan.verification import CameUp, DidNotComeUp, Overtaken, Verdict
from mcd_rt.report.labels import PassEnd, Verification


def pass_end_of(outcome: Outcome | None) -> PassEnd:
    """The label of what a pass came to; ``None`` is one that was begun anew."""
    match outcome:
        case None:
            return PassEnd.ABANDONED
        case Settled():
            return PassEnd.SETTLED
        case Progressed():
            return PassEnd.PROGRESSED
        case Retry():
            return PassEnd.RETRY
        case GoingDown():
            return PassEnd.GOING_DOWN
        case _:
            assert_never(outcome)


def verification_of(verdict: Verdict) -> Verification:
    """The label of what became of a change of an earlier boot."""
    match verdict:
        case CameUp():
            return Verification.CAME_UP
        case DidNotComeUp():
            return Verification.DID_NOT_COME_UP
        case Overtaken():
            return Verification.OVERTAKEN
        case _:
            assert_never(verdict)
