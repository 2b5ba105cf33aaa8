"""Which tuned profile there should be, and what is left to whoever chose another one meanwhile."""

from dataclasses import replace

from mcd_rt.errors import Code, Failure
from mcd_rt.frozen import frozen
from mcd_rt.model.tuning import Profile, Switched


@frozen
class Nothing:
    """It is as it should be, as far as is remembered; tuned is not asked."""


@frozen
class Ask:
    """It depends on which profile is active now."""


@frozen
class Remember:
    """The profile is active already: there is only something to be remembered."""

    switched: Switched


@frozen
class Switch:
    """Remember ``switched``, which is not done, then switch to its profile."""

    switched: Switched


@frozen
class PutBack:
    """Remember ``switched``, which is not done any more, switch back to what was there before it, then forget."""

    switched: Switched


@frozen
class Forget:
    """There is nothing to put back."""

    why: str


@frozen
class LeaveAlone:
    """The profile that is asked for is not switched to."""

    reason: Failure


Decision = Nothing | Ask | Remember | Switch | PutBack | Forget | LeaveAlone


def decide(wanted: str, switched: Switched | None, active: Profile | None) -> Decision:
    """What to do about tuned's profile.

    ``wanted`` is the profile for the kernel that runs (empty: none of ours), ``switched`` what is remembered,
    ``active`` what tuned runs, ``None`` before it was asked. From one profile of ours to another it goes by way of the
    earlier one: after ``PutBack`` or ``Forget`` there may be more to do.
    """
    if switched is not None and switched.profile != wanted:
        return _go_back(switched, active)
    if not wanted:
        return Nothing()
    if switched is not None and switched.done:
        return Nothing()  # whatever is active now: another one is somebody else's choice
    if active is None:
        return Ask()
    if not active.name:
        reason = f"tuned is switched off; {wanted} is not switched to"
        return LeaveAlone(Failure(Code.TUNED_LEFT_ALONE, reason, f"`tuned-adm profile {wanted}` switches it on"))
    if active.name == wanted:
        return Remember(replace(switched or Switched(wanted, active, done=False), done=True))
    return Switch(Switched(wanted, active, done=False))


def _go_back(switched: Switched, active: Profile | None) -> Decision:
    if switched.before.name == switched.profile:
        return Forget(f"{switched.profile} was active before")
    if active is None:
        return Ask()
    if active.name != switched.profile:
        return Forget(f"tuned runs {active.name or 'no profile'}, which is not ours")
    return PutBack(replace(switched, done=False))
