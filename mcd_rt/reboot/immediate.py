"""``immediate``: as soon as it is staged."""

from mcd_rt.reboot.situation import RebootSituation
from mcd_rt.reboot.splay import spread
from mcd_rt.reboot.verdict import Go, Wait


def decide_immediate(situation: RebootSituation) -> Go | Wait:
    """Go, after the splay."""
    return spread(situation, situation.staged_at, f"reboot.strategy is {situation.settings.strategy}")
