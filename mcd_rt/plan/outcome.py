"""What a pass came to, and what follows from it: state and next look. One pure function each."""

from typing import assert_never

from mcd_rt.errors import Code, Failure
from mcd_rt.frozen import frozen
from mcd_rt.model.awaiting import Awaiting
from mcd_rt.model.plan import Held, Ignored, Refused, Steady, Waiting
from mcd_rt.model.state import State


@frozen
class Settled:
    """Nothing more to do until something changes, or until a time (seconds since the epoch).

    ``awaiting`` is what a staged change waits for.
    """

    state: State
    summary: str
    failure: Failure | None = None
    until: float | None = None
    awaiting: Awaiting | None = None


@frozen
class Progressed:
    """A step was done: look again at once."""


@frozen
class Retry:
    """It did not work but may: look again after a delay, or when something changes.

    ``patiently``: what only somebody else can mend is asked again at long intervals.
    """

    failure: Failure
    patiently: bool = False


@frozen
class GoingDown:
    """A reboot was asked for: this process is about to be stopped."""

    summary: str


Outcome = Settled | Progressed | Retry | GoingDown

_RETRIED = frozenset(
    {
        Code.IMAGE_UNREADABLE,
        Code.IMAGE_DIGEST_MISMATCH,
        Code.CACHE_CORRUPT,
        Code.CACHE_FULL,
        Code.WORKER_FAILED,
        Code.WORKER_TIMEOUT,
        Code.HOST_UNREADABLE,
        Code.HOST_EXHAUSTED,
        Code.BUS_UNAVAILABLE,
        Code.RPM_OSTREE_UNAVAILABLE,
        Code.RPM_OSTREE_TIMEOUT,
        Code.RPM_OSTREE_BUSY,
        Code.TRANSACTION_FAILED,
        Code.TRANSACTION_LOST,
        Code.TRANSACTION_FOREIGN,
        Code.STAGED_MISMATCH,
        Code.FINALIZE_FAILED,
        Code.REBOOT_REFUSED,
        Code.REBOOT_STUCK,
        Code.NOT_FINALIZED,
        Code.SHUTDOWN_SKIPPED,
        Code.ROLLED_BACK,
        Code.BOOTED_ANOTHER,
        Code.DISK_SPACE,
        Code.MEMORY_LOW,
        Code.VERIFICATION_FAILED,
        Code.WRITE_FAILED,
        Code.HOOK_FAILED,
        Code.HOOK_TIMEOUT,
        Code.HOOK_REFUSED,
        Code.LOCK_REFUSED,
        Code.LOCK_UNREACHABLE,
        Code.LOCK_PROTOCOL,
        Code.SENTINEL_FAILED,
    }
)
"""What may pass by itself. Everything else waits for a person, or for another config."""

_MENDED_ELSEWHERE = frozenset(
    {
        Code.IMAGE_UNAUTHORIZED,
        Code.IMAGE_NOT_FOUND,
        Code.IMAGE_UNTRUSTED_REGISTRY,
        Code.IMAGE_REJECTED_BY_POLICY,
        Code.BOOT_SPACE,
    }
)
"""What a registry, or who configures the way to it, has to mend: not to be hammered. Nor is a full /boot, where
each try may assemble a deployment."""


def outcome_of_plan(plan: Steady | Waiting | Ignored | Refused | Held) -> Settled:
    """The plans that nothing is done for."""
    match plan:
        case Steady(summary):
            return Settled(State.STEADY, summary)
        case Waiting(reason):
            return Settled(State.WAITING, reason.message, reason)
        case Ignored(reason):
            return Settled(State.IGNORED, reason.message, reason)
        case Refused(reason):
            return Settled(State.BLOCKED, reason.message, reason)
        case Held(reason, until):
            return Settled(State.HELD, reason.message, reason, until)
        case _:
            assert_never(plan)


def outcome_of_failure(failure: Failure) -> Settled | Retry:
    """A step that failed."""
    if failure.code in _RETRIED:
        return Retry(failure)
    if failure.code in _MENDED_ELSEWHERE:
        return Retry(failure, patiently=True)
    return Settled(State.BLOCKED, failure.message, failure)


def is_mended_elsewhere(code: Code) -> bool:
    """Whether a failure that is tried again passes only once somebody has mended something."""
    return code in _MENDED_ELSEWHERE


def state_of(outcome: Settled | Retry | GoingDown) -> State:
    """The state that follows from an outcome that is waited in."""
    match outcome:
        case Settled(state=state):
            return state
        case Retry():
            return State.RETRYING
        case GoingDown():
            return State.REBOOTING
        case _:
            assert_never(outcome)


def retry_delay(failures: int, initial: float, ceiling: float, chance: float) -> float:
    """Seconds to wait after that many failures in a row: doubling up to a ceiling, half of it jitter.

    ``chance`` is a random number in [0, 1).
    """
    whole = min(ceiling, initial * 2.0 ** min(failures - 1, 32))
    return whole * (0.5 + chance / 2)
