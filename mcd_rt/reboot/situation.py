"""Everything a strategy decides from. Times are seconds since the epoch."""

from dataclasses import field

from mcd_rt.errors import Failure
from mcd_rt.frozen import frozen
from mcd_rt.model.record import Hold
from mcd_rt.model.settings import RebootSettings
from mcd_rt.model.window import Opening


@frozen
class LockUnknown:
    """The lock server has not been asked, or long ago."""


@frozen
class LockGranted:
    """The lock server has given us a slot, which is ours until we give it back."""


@frozen
class LockDenied:
    """The answer at ``at`` was no, or none came: the failure says which."""

    at: float
    failure: Failure


LockState = LockUnknown | LockGranted | LockDenied


@frozen
class NotPermitted:
    """No administrator's file allows a reboot; ``why`` is half a sentence, ``failure`` what is wrong with the file.

    One that is not there, or has expired, is just waited for.
    """

    why: str = ""
    failure: Failure | None = None


@frozen
class Permitted:
    """An administrator's file, written at ``since``, allows reboots until ``until``."""

    since: float
    until: float


Permission = NotPermitted | Permitted


@frozen
class RebootSituation:
    """Everything is staged and whole since ``staged_at``.

    ``luck`` is a random number in [0, 1), drawn once for this change: where in the splay this node reboots.
    ``locked``: the staged deployment is not applied by somebody else's reboot. ``asked``: a person said
    ``mcd-rt reboot``. ``kubelet`` is the file that shows that a kubelet runs here, empty where none does.
    ``openings``, ``lock`` and ``permission`` matter to the strategy of that name only; the openings are those that are
    not over, in their order.
    """

    settings: RebootSettings
    now: float
    staged_at: float
    luck: float = 0.0
    locked: bool = True
    hold: Hold | None = None
    asked: bool = False
    kubelet: str = ""
    openings: tuple[Opening, ...] = ()
    lock: LockState = field(default_factory=LockUnknown)
    permission: Permission | None = None
