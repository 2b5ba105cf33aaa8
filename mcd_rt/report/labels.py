"""What labels may say, where no other room has the words for it: few values, known beforehand."""

from enum import StrEnum, unique


@unique
class PassEnd(StrEnum):
    """What a pass came to; ``abandoned`` is one that was begun anew because something changed."""

    SETTLED = "settled"
    PROGRESSED = "progressed"
    RETRY = "retry"
    GOING_DOWN = "going-down"
    ABANDONED = "abandoned"


@unique
class FetchWay(StrEnum):
    """How an image was read (``model.content.Way``); ``unknown`` where it failed before that was decided."""

    LAYOUT = "layout"
    PROXY = "proxy"
    COPY = "copy"
    UNKNOWN = "unknown"


@unique
class Result(StrEnum):
    """Whether something worked."""

    SUCCESS = "success"
    FAILURE = "failure"


@unique
class Lookup(StrEnum):
    """Whether the cache had it."""

    HIT = "hit"
    MISS = "miss"


@unique
class TransactionMethod(StrEnum):
    """The methods of rpm-ostree that begin a transaction of ours, as it names them."""

    UPDATE_DEPLOYMENT = "UpdateDeployment"
    KERNEL_ARGS = "KernelArgs"
    FINALIZE_DEPLOYMENT = "FinalizeDeployment"
    CLEANUP = "Cleanup"


@unique
class TransactionEnd(StrEnum):
    """What was heard of a transaction's end (``dbus.transaction``)."""

    DONE = "done"
    FAILED = "failed"
    LOST = "lost"
    FOREIGN = "foreign"
    NOT_STARTED = "not-started"


@unique
class LockAnswer(StrEnum):
    """What a lock server said when it was asked for a slot; ``failed``: it could not be asked."""

    GRANTED = "granted"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    PROTOCOL = "protocol"
    FAILED = "failed"


@unique
class HookOccasion(StrEnum):
    """When hooks run (``hooks.protocol.Occasion``, which an idle agent does not load)."""

    PRE_REBOOT = "pre-reboot"
    POST_VERIFY = "post-verify"


@unique
class Verification(StrEnum):
    """What became of a change, seen after the boot."""

    CAME_UP = "came-up"
    DID_NOT_COME_UP = "did-not-come-up"
    OVERTAKEN = "overtaken"
