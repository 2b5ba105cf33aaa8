"""Every metric there is, as rows of one table: the exposition and ``docs/metrics.md`` are made of it.

Prometheus's conventions: one prefix, base units, ``_total`` for counters and for nothing else; every label has few
values that are known beforehand, so that each series is there from the start.
"""

from collections.abc import Iterable
from enum import Enum, StrEnum, unique
from itertools import product

from mcd_rt.errors import Code
from mcd_rt.frozen import frozen
from mcd_rt.model.awaiting import Gate
from mcd_rt.model.content import Judge
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.record import Phase
from mcd_rt.model.state import State
from mcd_rt.report.labels import (
    FetchWay,
    HookOccasion,
    LockAnswer,
    Lookup,
    PassEnd,
    Result,
    TransactionEnd,
    TransactionMethod,
    Verification,
)

Series = tuple[str, ...]
"""The values of a family's labels, in their order."""

_PASS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 300.0, 1800.0, 3600.0)
_HOUR = 3600.0
_DAYS = (30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, _HOUR, 4 * _HOUR, 12 * _HOUR, 24 * _HOUR, 168 * _HOUR)
_LONG = (1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)


@unique
class Kind(Enum):
    """The type of a family; an info has one series, whose labels are what it tells."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    INFO = "info"


@frozen
class Label:
    """A label and all the values it can have; none for the labels of an info, which tell any text."""

    name: str
    values: tuple[str, ...] = ()


@frozen
class Family:
    """One metric: ``name`` is whole, with prefix, unit and ``_total``; ``bounds`` (histograms) are in its unit."""

    name: str
    kind: Kind
    help: str
    labels: tuple[Label, ...] = ()
    bounds: tuple[float, ...] = ()

    @property
    def series(self) -> tuple[Series, ...]:
        """All there can be; for an info, the one that tells nothing yet."""
        if self.kind is Kind.INFO:
            return (("",) * len(self.labels),)
        return tuple(product(*(label.values for label in self.labels)))


def _info(name: str, text: str, *labels: str) -> Family:
    return Family(f"mcd_rt_{name}_info", Kind.INFO, text, tuple(Label(label) for label in labels))


def _gauge(name: str, text: str, **labels: Iterable[StrEnum]) -> Family:
    return Family(f"mcd_rt_{name}", Kind.GAUGE, text, _bounded(labels))


def _counter(name: str, text: str, **labels: Iterable[StrEnum]) -> Family:
    return Family(f"mcd_rt_{name}_total", Kind.COUNTER, text, _bounded(labels))


def _histogram(name: str, text: str, bounds: tuple[float, ...], **labels: Iterable[StrEnum]) -> Family:
    return Family(f"mcd_rt_{name}_seconds", Kind.HISTOGRAM, text, _bounded(labels), bounds)


def _bounded(labels: dict[str, Iterable[StrEnum]]) -> tuple[Label, ...]:
    return tuple(Label(name, tuple(value.value for value in values)) for name, values in labels.items())


BUILD_INFO = _info("build", "The version of mcd-rt, always 1.", "version")
HOST_INFO = _info(
    "host",
    "What the host is and runs, always 1.",
    "os_id",
    "os_variant",
    "os_version",
    "architecture",
    "kernel_release",
)
UP = _gauge("up", "1 while the agent runs; 0 in the text file it leaves behind.")
STARTED = _gauge("start_timestamp_seconds", "When this agent started.")

STATE = _gauge("state", "1 for the state the agent is in, 0 for the others.", state=State)
STATE_ENTERED = _gauge("state_entered_timestamp_seconds", "When this agent entered that state.")
NEXT_ATTEMPT = _gauge("next_attempt_timestamp_seconds", "When it looks again by itself; 0: when something changes.")
ACTIVE_FAILURE = _gauge("active_failure", "1 while a failure with this code is not resolved.", code=Code)
FAILURES = _counter("failures", "Times a failure was met, by its code.", code=Code)
CONSECUTIVE_FAILURES = _gauge("consecutive_failures", "Passes in a row that are to be tried again.")

DESIRED = _gauge(
    "desired_kernel_type", "1 for the kernel type the config asks for; all 0: not known.", kernel_type=KernelType
)
RUNNING = _gauge(
    "running_kernel_type", "1 for the type of the running kernel; all 0: not known.", kernel_type=KernelType
)
BOOTED = _gauge(
    "booted_kernel_type",
    "1 for the kernel type layered on the booted deployment; all 0: not known.",
    kernel_type=KernelType,
)
STAGED = _gauge(
    "staged_kernel_type",
    "1 for the kernel type layered on the staged deployment; all 0: none is.",
    kernel_type=KernelType,
)

PASSES = _counter("passes", "Passes, by what they came to.", outcome=PassEnd)
PASS_DURATION = _histogram("pass_duration", "How long passes took.", _PASS)
LAST_PASS = _gauge("last_pass_timestamp_seconds", "When a pass last ended; 0: not yet.")

FETCHES = _counter("fetches", "Images that were read, for packages, OS or repository.", way=FetchWay, result=Result)
FETCHED_BYTES = _counter("fetched_bytes", "Bytes read while fetching.", way=FetchWay)
FETCH_DURATION = _histogram("fetch_duration", "How long fetches took, failed ones too.", _LONG, way=FetchWay)
CONTENT_JUDGE = _gauge(
    "content_judge",
    "1 for who found the signatures of the packages last used right; all 0: none were used.",
    judge=Judge,
)
CACHE_LOOKUPS = _counter("cache_lookups", "Times packages were looked for in the cache.", result=Lookup)
CACHE_SIZE = _gauge("cache_size_bytes", "Bytes of the fetched packages that are kept.")

TRANSACTIONS = _counter(
    "transactions",
    "Transactions of ours with rpm-ostree, by what was heard of their end.",
    method=TransactionMethod,
    outcome=TransactionEnd,
)
TRANSACTION_DURATION = _histogram(
    "transaction_duration", "How long transactions of ours took.", _LONG, method=TransactionMethod
)
BUSY_WAIT = _histogram("rpm_ostree_wait", "How long other clients' transactions were waited for.", _LONG)

ATTEMPT_PHASE = _gauge("attempt_phase", "1 for how far the change under way came; all 0: none is.", phase=Phase)
ATTEMPT_STARTED = _gauge(
    "attempt_started_timestamp_seconds", "When the change under way was begun, in whichever boot; 0: none is."
)
TARGET_TRIES = _gauge("target_tries", "Reboots into the target that has not come up most often; 0: none.")
TARGET_TRIES_LEFT = _gauge("target_tries_left", "Reboots into it before it is held.")
STAGED_AT = _gauge(
    "staged_timestamp_seconds", "When the next boot's deployment was staged, by whomever; 0: nothing is staged."
)
REBOOT_GATE = _gauge(
    "reboot_gate", "1 for what a staged change waits for before its reboot; all 0: for nothing.", gate=Gate
)
HOLD_ACTIVE = _gauge("hold_active", "1 while a person's `mcd-rt hold` is on.")
HOLD_UNTIL = _gauge("hold_until_timestamp_seconds", "When that hold ends by itself; 0: it has no end, or none is on.")
LOCK_HELD = _gauge("lock_held", "1 while this node has a slot of a lock server.")
LOCK_REQUESTS = _counter("lock_requests", "Times a lock server was asked for a slot, by its answer.", answer=LockAnswer)
LOCK_WAIT = _histogram("lock_wait", "How long a slot was asked for until there was one.", _DAYS)
HOOK_DURATION = _histogram(
    "hook_duration", "How long all hooks of an occasion took.", _LONG, occasion=HookOccasion, result=Result
)
REBOOTS = _counter("reboots", "Reboots this agent asked for; see mcd_rt_reboots_last_day, which outlives them.")
REBOOTS_LAST_DAY = _gauge("reboots_last_day", "Reboots of ours in the last 24 hours, of earlier boots too.")
REBOOT_BUDGET_LEFT = _gauge("reboot_budget_left", "Reboots of ours that are still allowed within these 24 hours.")
VERIFICATIONS = _counter("verifications", "Changes that were looked after, after the boot.", result=Verification)
VERIFIED = _gauge("verified_timestamp_seconds", "When a change last came up, seen by its running kernel; 0: never.")
SWITCH_DURATION = _histogram(
    "switch_duration",
    "How long changes took from their first step to the look after the boot, with all they waited for.",
    _DAYS,
    result=Result,
)
LAST_SWITCH = _gauge("last_switch_duration_seconds", "How long that change took from its first step, boot included.")

BOOT_AVAILABLE = _gauge("boot_available_bytes", "Room in /boot; NaN: cannot be seen.")
BOOT_SIZE = _gauge("boot_size_bytes", "Size of the file system of /boot; NaN: cannot be seen.")
BOOT_KERNEL = _gauge(
    "boot_kernel_bytes", "What the largest kernel in /boot takes, with its initramfs; NaN: cannot be seen."
)
BOOT_PRUNABLE = _gauge("boot_prunable_bytes", "What dropping the rollback would free in /boot; NaN: cannot be seen.")

FAMILIES = (
    BUILD_INFO,
    HOST_INFO,
    UP,
    STARTED,
    STATE,
    STATE_ENTERED,
    NEXT_ATTEMPT,
    ACTIVE_FAILURE,
    FAILURES,
    CONSECUTIVE_FAILURES,
    DESIRED,
    RUNNING,
    BOOTED,
    STAGED,
    PASSES,
    PASS_DURATION,
    LAST_PASS,
    FETCHES,
    FETCHED_BYTES,
    FETCH_DURATION,
    CONTENT_JUDGE,
    CACHE_LOOKUPS,
    CACHE_SIZE,
    TRANSACTIONS,
    TRANSACTION_DURATION,
    BUSY_WAIT,
    ATTEMPT_PHASE,
    ATTEMPT_STARTED,
    TARGET_TRIES,
    TARGET_TRIES_LEFT,
    STAGED_AT,
    REBOOT_GATE,
    HOLD_ACTIVE,
    HOLD_UNTIL,
    LOCK_HELD,
    LOCK_REQUESTS,
    LOCK_WAIT,
    HOOK_DURATION,
    REBOOTS,
    REBOOTS_LAST_DAY,
    REBOOT_BUDGET_LEFT,
    VERIFICATIONS,
    VERIFIED,
    SWITCH_DURATION,
    LAST_SWITCH,
    BOOT_AVAILABLE,
    BOOT_SIZE,
    BOOT_KERNEL,
    BOOT_PRUNABLE,
)
"""All of them, in the order of the page in the docs."""
