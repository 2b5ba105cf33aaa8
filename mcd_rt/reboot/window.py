"""``window``: at certain times of the week; or at any time once it has been staged for too long."""

from mcd_rt.model.awaiting import Awaiting, Gate
from mcd_rt.reboot.situation import RebootSituation
from mcd_rt.reboot.splay import spread
from mcd_rt.reboot.verdict import Go, Wait

_SHARE = 0.5
"""Of a window: the splay leaves the rest of it for drains and the reboot itself."""


def decide_window(situation: RebootSituation) -> Go | Wait:
    """Go in an opening, or after the deadline; else wait for the earlier of the two."""
    settings = situation.settings.window
    deadline = situation.staged_at + settings.deadline if settings.deadline else None
    if deadline is not None and situation.now >= deadline:
        return Go(f"staged for longer than reboot.window.deadline ({settings.deadline:g} s)")
    current = next((each for each in situation.openings if each.opens <= situation.now < each.closes), None)
    if current is not None:
        since = max(current.opens, situation.staged_at)
        why = f"the reboot window {current.text} ({settings.time_zone}) is open"
        return spread(situation, since, why, max(0.0, current.closes - since) * _SHARE)
    return _wait(situation, deadline)


def _wait(situation: RebootSituation, deadline: float | None) -> Wait:
    coming = next((each for each in situation.openings if each.opens > situation.now), None)
    if deadline is not None and (coming is None or deadline < coming.opens):
        what = "waits for reboot.window.deadline, which comes before the next window"
        return Wait(what, deadline, awaiting=Awaiting(Gate.DEADLINE))
    if coming is None:
        return Wait("waits for a reboot window, and none opens in the next weeks", awaiting=Awaiting(Gate.WINDOW))
    name = f"{coming.text} ({situation.settings.window.time_zone})"
    return Wait(f"waits for the reboot window {name}", coming.opens, awaiting=Awaiting(Gate.WINDOW, name))
