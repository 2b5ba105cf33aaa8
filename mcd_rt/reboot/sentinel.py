"""``sentinel``: a file says that a reboot is due; somebody else (kured) drains the node and reboots it."""

from mcd_rt.model.awaiting import Awaiting, Gate
from mcd_rt.reboot.situation import RebootSituation
from mcd_rt.reboot.splay import spread
from mcd_rt.reboot.verdict import LeaveToOthers, Wait


def decide_sentinel(situation: RebootSituation) -> LeaveToOthers | Wait:
    """Leave it to others after the splay, unless their reboot would not apply it."""
    if situation.locked:
        what = "locked, so that a reboot by others would not apply it: waits for `mcd-rt reboot`"
        return Wait(what, awaiting=Awaiting(Gate.PERSON))
    begin = spread(situation, situation.staged_at, "reboot.strategy is sentinel")
    return begin if isinstance(begin, Wait) else LeaveToOthers(situation.settings.sentinel.path)
