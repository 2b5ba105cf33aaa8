"""What a status comes to for whoever has no time: the node is well, busy, or in need of somebody."""

from enum import StrEnum, unique

from mcd_rt.errors import Code
from mcd_rt.model.state import State
from mcd_rt.plan.outcome import is_mended_elsewhere
from mcd_rt.report.status import Status

PATIENCE = 3600.0
"""Seconds after which what is still tried again for the same reason is taken for something that needs a person."""

_FOR_A_PERSON = (Code.STRATEGY_MISSING, Code.SETTINGS_INVALID)
"""What only a person can say, where a change is staged: at once."""
_MAY_PASS = (Code.LOCK_UNREACHABLE, Code.LOCK_PROTOCOL, Code.PERMISSION_INVALID)
"""What is wrong with who lets a staged change go, and may be mended: after the patience. A ``never`` is somebody's
choice, a lock that others have and a file that is not there yet are in order, however long."""

_STAYS_PUT = (State.BLOCKED, State.HELD)
_RESTS = (State.STEADY, State.IGNORED, State.UNSUPPORTED, State.OBSERVING, State.WAITING)


@unique
class Health(StrEnum):
    """``healthy``: it has what it is asked for, or nothing is asked of it; ``busy``: it is on its way."""

    HEALTHY = "healthy"
    BUSY = "busy"
    NEEDS_PERSON = "needs-person"


def health_of(status: Status, now: float, *, running: bool) -> Health:
    """What to think of a status at ``now`` (seconds since the epoch); ``running``: whether its agent runs.

    What does not work beside the kernel (``Status.also``) counts for nothing here.
    """
    if not running or status.state in _STAYS_PUT or _is_given_up_waiting(status, now):
        return Health.NEEDS_PERSON
    if status.state is State.STEADY and status.failure is not None:  # settings that cannot be read again
        return Health.NEEDS_PERSON
    if status.state is State.OBSERVING and status.failure is not None:  # whoever brings the kernel has not yet
        return Health.BUSY
    return Health.HEALTHY if status.state in _RESTS else Health.BUSY


def _is_given_up_waiting(status: Status, now: float) -> bool:
    if status.failure is None:
        return False
    code, since = status.failure.code, now if status.failure_since is None else status.failure_since
    is_old = now - since > PATIENCE
    match status.state:
        case State.RETRYING:
            return is_mended_elsewhere(code) or is_old
        case State.STAGED:
            return code in _FOR_A_PERSON or (code in _MAY_PASS and is_old)
        case _:
            return False
