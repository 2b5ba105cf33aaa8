"""``never``: a person reboots, with ``mcd-rt reboot``."""

from mcd_rt.model.awaiting import Awaiting, Gate
from mcd_rt.reboot.situation import RebootSituation
from mcd_rt.reboot.verdict import Wait


def decide_never(situation: RebootSituation) -> Wait:
    """Wait, for ever."""
    del situation
    return Wait("reboot.strategy is never: waits for `mcd-rt reboot`", awaiting=Awaiting(Gate.PERSON))
