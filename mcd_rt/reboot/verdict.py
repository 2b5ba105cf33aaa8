"""What a strategy says."""

from mcd_rt.errors import Failure
from mcd_rt.frozen import frozen
from mcd_rt.model.awaiting import Awaiting, Gate


@frozen
class Go:
    """Reboot now; ``why`` is half a sentence."""

    why: str


@frozen
class Wait:
    """Not now: for what, until when (seconds since the epoch) if that is known, and what is wrong if anything is.

    ``what`` is half a sentence; ``awaiting`` the same as a value, ``None`` where no word fits.
    """

    what: str
    until: float | None = None
    failure: Failure | None = None
    awaiting: Awaiting | None = None


@frozen
class TakeLock:
    """Ask the lock server, then ask again with its answer."""


@frozen
class LeaveToOthers:
    """Somebody else drains and reboots the node once he sees this file."""

    sentinel: str

    @property
    def awaiting(self) -> Awaiting:
        """What is waited for then."""
        return Awaiting(Gate.OTHERS, self.sentinel)


Verdict = Go | Wait | TakeLock | LeaveToOthers
