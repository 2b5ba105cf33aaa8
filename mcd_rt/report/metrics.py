"""What is counted and shown, as plain numbers: they are kept whether or not anybody can see them.

Counters begin at 0 with each start of the agent, and a switch ends with a reboot: what spans one is told by gauges
out of the record, which outlives it.
"""

from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping
from enum import StrEnum
from itertools import accumulate

from mcd_rt import __version__
from mcd_rt.effects import Effects
from mcd_rt.errors import Code
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.content import Content, Way
from mcd_rt.model.deployment import Deployment, Deployments
from mcd_rt.model.host import Host
from mcd_rt.model.kernel import FLAVORS, KernelType
from mcd_rt.model.record import Record
from mcd_rt.model.settings import RebootSettings, Settings
from mcd_rt.model.state import State
from mcd_rt.plan.brake import DAY
from mcd_rt.plan.layering import kernel_packages, kernel_requests
from mcd_rt.plan.outcome import Outcome
from mcd_rt.plan.verification import Verdict
from mcd_rt.report import families as f
from mcd_rt.report.ends import pass_end_of, verification_of
from mcd_rt.report.families import Family, Kind, Series
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
from mcd_rt.report.space import changed_at, kernels_in_boot, size_of_tree, space_of
from mcd_rt.report.status import Status, failing_codes

_ANSWERS = {
    None: LockAnswer.GRANTED,
    Code.LOCK_REFUSED: LockAnswer.REFUSED,
    Code.LOCK_UNREACHABLE: LockAnswer.UNREACHABLE,
    Code.LOCK_PROTOCOL: LockAnswer.PROTOCOL,
}


class Distribution:
    """How often values fell between bounds; ``total`` is their sum."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        """Take the upper bounds, rising; what is above the last one is counted too."""
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    def cumulative(self) -> tuple[int, ...]:
        """How many values are at most each of the bounds; the last number is that of all."""
        return tuple(accumulate(self._counts))


class Metrics:
    """All numbers, by family and series.

    ``on_change`` is called after a change of any of them but what is read only when it is asked for (``refresh``).
    """

    def __init__(self, effects: Effects, paths: HostPaths) -> None:
        """Have every series from the start."""
        self._effects = effects
        self._paths = paths
        plain = [family for family in f.FAMILIES if family.kind is not Kind.HISTOGRAM]
        histograms = [family for family in f.FAMILIES if family.kind is Kind.HISTOGRAM]
        self._numbers = {family.name: dict.fromkeys(family.series, 0.0) for family in plain}
        self._distributions = {
            family.name: {series: Distribution(family.bounds) for series in family.series} for family in histograms
        }
        self._record = Record()
        self._deployments = Deployments(())
        self._reboot = RebootSettings()
        self._codes: tuple[frozenset[Code], frozenset[Code]] = (frozenset(), frozenset())
        self.on_change: Callable[[], None] | None = None
        self._tell_info(f.BUILD_INFO, __version__)
        self._tell_info(f.HOST_INFO, *f.HOST_INFO.series[0])
        self._set(f.UP, 1.0)
        self._set(f.STARTED, effects.now())
        self._choose(f.STATE, State.STARTING)
        self._set(f.STATE_ENTERED, effects.now())
        self._show_brake()

    def numbers(self, family: Family) -> Mapping[Series, float]:
        """The series of a family that is no histogram."""
        return self._numbers[family.name]

    def distributions(self, family: Family) -> Mapping[Series, Distribution]:
        """The series of a histogram."""
        return self._distributions[family.name]

    def refresh(self) -> None:
        """Bring up to date what depends on the clock and the disk."""
        now = self._effects.now()
        recent = sum(now - at < DAY for at in self._record.reboots)
        boot, kernels = space_of(self._paths.below("/boot")), kernels_in_boot(self._paths, self._deployments)
        for family, value in (
            *self._hold(now),
            (f.REBOOTS_LAST_DAY, recent),
            (f.REBOOT_BUDGET_LEFT, max(0, self._reboot.per_day - recent)),
            (f.CACHE_SIZE, size_of_tree(self._paths.cache)),
            (f.BOOT_AVAILABLE, boot.available),
            (f.BOOT_SIZE, boot.size),
            (f.BOOT_KERNEL, kernels.largest),
            (f.BOOT_PRUNABLE, kernels.prunable),
            (f.STAGED_AT, changed_at(self._paths.below("/run/ostree/staged-deployment"))),
        ):
            self._numbers[family.name][()] = float(value)

    def show_settings(self, settings: Settings) -> None:
        """Say what the brake allows."""
        self._reboot = settings.reboot
        self._show_brake()

    def show_host(self, host: Host) -> None:
        """Say what the host is and runs; the type of its kernel is in the status."""
        self._tell_info(
            f.HOST_INFO, host.os_id, host.os_variant, host.os_version, host.architecture, host.kernel_release
        )

    def show_status(self, status: Status) -> None:
        """Say what the agent is doing, and what is not as it should be."""
        self._choose(f.STATE, status.state)
        self._set(f.STATE_ENTERED, status.since)
        self._set(f.NEXT_ATTEMPT, status.next_attempt or 0.0)
        self._choose(f.REBOOT_GATE, "" if status.awaiting is None else status.awaiting.gate)
        self._choose(f.DESIRED, status.wanted)
        self._choose(f.RUNNING, status.running)
        self._set(f.VERIFIED, status.verified_at or 0.0)
        self._set(f.LAST_SWITCH, status.switch_seconds or 0.0)
        self._show_codes(frozenset(failing_codes(status)), self._codes[1])

    def show_exposition(self, codes: Collection[Code]) -> None:
        """Say what is wrong with the ways out of these numbers themselves."""
        self._show_codes(self._codes[0], frozenset(codes))

    def show_deployments(self, deployments: Deployments) -> None:
        """Say of which kernel type the booted and the staged deployment are."""
        self._deployments = deployments
        for family, deployment in ((f.BOOTED, deployments.booted), (f.STAGED, deployments.staged)):
            self._choose(family, "" if deployment is None else kernel_type_of(deployment))

    def show_record(self, record: Record) -> None:
        """Say what is remembered: the change under way, and what the brake has counted."""
        self._record = record
        attempt = record.attempt
        self._choose(f.ATTEMPT_PHASE, "" if attempt is None else attempt.phase)
        self._set(f.ATTEMPT_STARTED, 0.0 if attempt is None else attempt.started)
        self._set(f.LOCK_HELD, float(record.lock is not None and record.lock.granted))
        for family, value in self._hold(self._effects.now()):
            self._set(family, value)
        self._show_brake()

    def show_content(self, content: Content) -> None:
        """Say who judged the packages that are used, fetched or from the cache."""
        self._choose(f.CONTENT_JUDGE, content.trusted_by if content.packages else "")

    def show_exit(self) -> None:
        """Say that the agent does not run any more."""
        self._set(f.UP, 0.0)

    def count_pass(self, outcome: Outcome | None, seconds: float) -> None:
        """A pass ended; ``None`` is one that was begun anew because something changed."""
        end = pass_end_of(outcome)
        self._count(f.PASSES, end)
        self._observe(f.PASS_DURATION, seconds)
        self._set(f.LAST_PASS, self._effects.now())
        if end is PassEnd.RETRY:
            self._count(f.CONSECUTIVE_FAILURES)
        elif end is PassEnd.SETTLED:
            self._set(f.CONSECUTIVE_FAILURES, 0.0)

    def count_failure(self, code: Code) -> None:
        """A failure was met."""
        self._count(f.FAILURES, code)

    def count_cache_lookup(self, *, hit: bool) -> None:
        """Packages were looked for in the cache."""
        self._count(f.CACHE_LOOKUPS, Lookup.HIT if hit else Lookup.MISS)

    def count_fetch(self, way: Way | None, size: int, seconds: float, *, ok: bool) -> None:
        """A fetch ended after so many bytes; ``None`` where it failed before its way was known."""
        taken = FetchWay.UNKNOWN if way is None else FetchWay(way.value)
        self._count(f.FETCHES, taken, Result.SUCCESS if ok else Result.FAILURE)
        self._count(f.FETCHED_BYTES, taken, by=size)
        self._observe(f.FETCH_DURATION, seconds, taken)

    def count_transaction(self, method: TransactionMethod, end: TransactionEnd, seconds: float) -> None:
        """A transaction of ours ended, or was given up."""
        self._count(f.TRANSACTIONS, method, end)
        self._observe(f.TRANSACTION_DURATION, seconds, method)

    def count_wait(self, seconds: float) -> None:
        """Another client's transaction was waited for."""
        self._observe(f.BUSY_WAIT, seconds)

    def count_reboot(self) -> None:
        """A reboot was asked for."""
        self._count(f.REBOOTS)

    def count_lock_request(self, code: Code | None) -> None:
        """A lock server was asked for a slot; ``None``: it gave one."""
        self._count(f.LOCK_REQUESTS, _ANSWERS.get(code, LockAnswer.FAILED))

    def count_lock_wait(self, seconds: float) -> None:
        """A slot was given that was asked for so long."""
        self._observe(f.LOCK_WAIT, seconds)

    def count_hooks(self, occasion: HookOccasion, seconds: float, *, ok: bool) -> None:
        """The hooks of an occasion ran, to their end or to the first that failed."""
        self._observe(f.HOOK_DURATION, seconds, occasion, Result.SUCCESS if ok else Result.FAILURE)

    def count_verification(self, verdict: Verdict, seconds: float) -> None:
        """A change of an earlier boot, begun so long ago, was looked after."""
        verification = verification_of(verdict)
        self._count(f.VERIFICATIONS, verification)
        if verification is not Verification.OVERTAKEN:  # whose it was nobody can tell
            came_up = verification is Verification.CAME_UP
            self._observe(f.SWITCH_DURATION, max(0.0, seconds), Result.SUCCESS if came_up else Result.FAILURE)

    def _hold(self, now: float) -> tuple[tuple[Family, float], ...]:
        hold = self._record.hold
        if hold is None or (hold.until is not None and hold.until <= now):
            return (f.HOLD_ACTIVE, 0.0), (f.HOLD_UNTIL, 0.0)
        return (f.HOLD_ACTIVE, 1.0), (f.HOLD_UNTIL, hold.until or 0.0)

    def _show_brake(self) -> None:
        tries = max((tries.count for tries in self._record.tries), default=0)
        self._set(f.TARGET_TRIES, tries)
        self._set(f.TARGET_TRIES_LEFT, max(0, self._reboot.attempts_per_target - tries))

    def _show_codes(self, of_status: frozenset[Code], of_exposition: frozenset[Code]) -> None:
        if self._codes == (of_status, of_exposition):
            return
        self._codes = (of_status, of_exposition)
        for code in Code:
            self._set(f.ACTIVE_FAILURE, float(code in of_status or code in of_exposition), code)

    def _choose(self, family: Family, chosen: StrEnum | str) -> None:
        """1 for one of the values of the only label, 0 for the others."""
        for series in self._numbers[family.name]:
            self._set(family, float(series == (chosen,)), *series)

    def _tell_info(self, family: Family, *told: str) -> None:
        if self._numbers[family.name] != {told: 1.0}:
            self._numbers[family.name] = {told: 1.0}
            self._changed()

    def _changed(self) -> None:
        if self.on_change is not None:
            self.on_change()

    def _set(self, family: Family, value: float, *series: str) -> None:
        numbers = self._numbers[family.name]
        if numbers[series] != value:
            numbers[series] = value
            self._changed()

    def _count(self, family: Family, *series: str, by: float = 1.0) -> None:
        self._set(family, self._numbers[family.name][series] + by, *series)

    def _observe(self, family: Family, value: float, *series: str) -> None:
        self._distributions[family.name][series].observe(value)
        self._changed()


def kernel_type_of(deployment: Deployment) -> KernelType:
    """By what is layered on it: what its base has inside nothing tells."""
    names = [*(package.name for package in kernel_packages(deployment)), *kernel_requests(deployment)]
    for flavor in FLAVORS:
        if any(name.startswith(f"{flavor.prefix}-") for name in names):
            return flavor.kernel_type
    return KernelType.DEFAULT
