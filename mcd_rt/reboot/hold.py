"""``mcd-rt hold``: a person said that the node does not reboot."""

from mcd_rt.model.awaiting import Awaiting, Gate
from mcd_rt.model.record import Hold
from mcd_rt.reboot.situation import RebootSituation
from mcd_rt.reboot.verdict import Wait


def is_on(hold: Hold | None, now: float) -> bool:
    """Whether a hold has not run out; ``now`` is seconds since the epoch."""
    return hold is not None and (hold.until is None or now < hold.until)


def judge_hold(situation: RebootSituation) -> Wait | None:
    """Why a hold has the node wait; ``None`` where none is on."""
    hold = situation.hold
    if hold is None or not is_on(hold, situation.now):
        return None
    end = "no end was given" if hold.until is None else "it ends by itself"
    what = f"held by `mcd-rt hold` ({end}; `mcd-rt resume` ends it)"
    return Wait(what, hold.until, awaiting=Awaiting(Gate.HOLD))
