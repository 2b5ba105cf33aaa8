"""May the node reboot now? The one question, put to the strategy of the settings."""

from mcd_rt.reboot.auto import decide_auto
from mcd_rt.reboot.fleetlock import decide_fleet_lock
from mcd_rt.reboot.hold import judge_hold
from mcd_rt.reboot.immediate import decide_immediate
from mcd_rt.reboot.never import decide_never
from mcd_rt.reboot.permission import decide_permission
from mcd_rt.reboot.sentinel import decide_sentinel
from mcd_rt.reboot.situation import RebootSituation
from mcd_rt.reboot.verdict import Go, Verdict
from mcd_rt.reboot.window import decide_window

_STRATEGIES = {
    "auto": decide_auto,
    "immediate": decide_immediate,
    "window": decide_window,
    "fleet-lock": decide_fleet_lock,
    "sentinel": decide_sentinel,
    "permission-file": decide_permission,
    "never": decide_never,
}
STRATEGIES = tuple(_STRATEGIES)
"""Their names, as the setting ``reboot.strategy`` has them."""


def decide(situation: RebootSituation) -> Verdict:
    """The verdict.

    A hold comes before all. A person who says ``mcd-rt reboot`` decides the time in the place of any strategy; the lock
    of a fleet is taken all the same, because it protects other nodes than this one.
    """
    held = judge_hold(situation)
    if held is not None:
        return held
    if situation.asked and situation.settings.strategy != "fleet-lock":
        return Go("asked for by `mcd-rt reboot`")
    return _STRATEGIES[situation.settings.strategy](situation)
