"""The splay: nodes that may reboot, or fetch, at the same time do so one after the other, by chance."""

from mcd_rt.model.awaiting import Awaiting, Gate
from mcd_rt.reboot.situation import RebootSituation
from mcd_rt.reboot.verdict import Go, Wait


def due_fetch(splay: float, since: float, luck: float) -> float:
    """When a node fetches: its share of ``content.splay`` after ``since``, when the need arose; ``luck`` in [0, 1)."""
    return since + splay * luck


def spread(situation: RebootSituation, since: float, why: str, longest: float | None = None) -> Go | Wait:
    """Go, or wait for this node's share of ``reboot.splay`` after ``since``.

    ``longest`` is a bound for the whole splay, in seconds; a person who asks does not wait.
    """
    splay = situation.settings.splay if longest is None else min(situation.settings.splay, longest)
    due = since + splay * situation.luck
    if situation.asked or situation.now >= due:
        return Go(why)
    return Wait(f"{why}; waits for its share of reboot.splay ({splay:g} s)", due, awaiting=Awaiting(Gate.SPLAY))
