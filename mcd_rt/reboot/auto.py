"""``auto``, the default: at once, but never unasked where a kubelet has workloads that it would disturb."""

from mcd_rt.errors import Code, Failure
from mcd_rt.model.awaiting import Awaiting, Gate
from mcd_rt.reboot.immediate import decide_immediate
from mcd_rt.reboot.situation import RebootSituation
from mcd_rt.reboot.verdict import Go, Wait


def decide_auto(situation: RebootSituation) -> Go | Wait:
    """As ``immediate``; on a host with a kubelet wait until somebody has chosen a strategy."""
    if not situation.kubelet:
        return decide_immediate(situation)
    reason = f"a kubelet runs on this node ({situation.kubelet} is there) and no reboot.strategy is chosen"
    hint = "choose one in /etc/mcd-rt/config.d and `systemctl reload mcd-rt`, or `mcd-rt reboot` once it is drained"
    failure = Failure(Code.STRATEGY_MISSING, reason, hint)
    return Wait("waits for a reboot.strategy to be chosen", None, failure, Awaiting(Gate.CHOICE))
