"""One node of a fleet: what the agent does in passes, with the time each step takes and what may go wrong."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from random import Random

from mcd_rt.errors import Code, Failure
from mcd_rt.model.content import Content
from mcd_rt.model.desired import Desired
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.plan import Assembly, Change, Discard, Plan, Reboot, Steady
from mcd_rt.model.settings import Settings
from mcd_rt.plan.brake import count_reboot, judge_brake
from mcd_rt.plan.evidence import is_fallback
from mcd_rt.plan.outcome import retry_delay
from mcd_rt.plan.verification import CameUp, DidNotComeUp, Verdict
from mcd_rt.reboot.decide import decide
from mcd_rt.reboot.fleetlock import is_reboot_over
from mcd_rt.reboot.situation import LockGranted, LockState, LockUnknown, RebootSituation
from mcd_rt.reboot.verdict import Go, LeaveToOthers, TakeLock, Wait
from tests.fleet.surroundings import LockServer, Registry, Timeline
from tests.property.pure_agent import World
from tests.property.pure_node import Node, Os, Placed, Tree, host_of, reboot, roll_back
from tests.unit.nodes import EL9, EL9_RT, IMAGE

LAYER_BYTES = 71_350_000
"""The layers that hold the real-time kernel; a figure for orientation, of an EL 9 image."""
FETCH_REQUESTS = 5  # token, manifest, config, two layers

_FETCH, _STAGE, _DRAIN, _BOOT = (5.0, 20.0), (90.0, 180.0), (30.0, 240.0), (240.0, 420.0)
"""Seconds, from and to."""


class Boot(Enum):
    """What becomes of a reboot."""

    COMES_UP = auto()
    NOT_FINALIZED = auto()  # a power cut: the old deployment boots
    FALLS_BACK = auto()  # it does not boot, and the boot loader has another one
    DEAD = auto()  # it does not boot, and nothing has


@dataclass(frozen=True, slots=True)
class Luck:
    """How likely what may go wrong is, from 0 to 1; of a ``bad_image`` no kernel boots."""

    fetch_fails: float = 0.0
    not_finalized: float = 0.0
    bad_image: bool = False
    dies: float = 0.5

    def of_a_boot(self, chance: Random) -> Boot:
        if self.bad_image:
            return Boot.DEAD if chance.random() < self.dies else Boot.FALLS_BACK
        return Boot.NOT_FINALIZED if chance.random() < self.not_finalized else Boot.COMES_UP


def desired(kernel_type: KernelType) -> Desired:
    return Desired("rendered-worker-1", kernel_type, f"registry.example/os@{IMAGE}", (), fips=False)


def fresh_world(settings: Settings) -> World:
    """A node on the default kernel of an EL 9 OS, whose image has a real-time kernel."""
    tree = Tree(Os(IMAGE, EL9))
    node = Node("x86_64", (EL9_RT,), (Placed("rhcos-1.0", tree, booted=True),))
    return World(node, (Content(IMAGE, EL9_RT.packages),), settings)


@dataclass(slots=True)
class FleetNode:
    """``out`` since when it is out of service: draining, down, or drained still; ``reboots`` how often it went down."""

    number: int
    timeline: Timeline
    locks: LockServer
    registry: Registry
    chance: Random
    luck: Luck
    world: World
    on_change: Callable[[], None]
    wanted: Desired = field(default_factory=lambda: desired(KernelType.DEFAULT))
    told_at: float = 0.0
    out: bool = False
    down: bool = False
    dead: bool = False
    steady: bool = False
    reboots: int = 0
    rebooted_without_lock: bool = False
    waits_for: str = ""
    _lock: LockState = field(default_factory=LockUnknown)
    _plan: Plan | None = None
    _fetched: bool = False
    _failures: int = 0
    _busy: bool = False
    _wakes: int = 0

    @property
    def uname(self) -> str:
        """Which kernel it runs, or ran last."""
        return host_of(self.world.node).kernel_release

    def tell(self, wanted: Desired) -> None:
        """Another config is on the node."""
        self.wanted, self.told_at, self._plan, self.steady = wanted, self.timeline.now, None, False
        if not self._busy and not self.dead:
            self._wake_at(self.timeline.now)

    def _wake_at(self, time: float) -> None:
        """The one wake that counts: the agent waits for one thing at a time."""
        self._wakes += 1
        mine = self._wakes
        self.timeline.at(time, lambda: self._pass() if mine == self._wakes else None)

    def _after(self, span: tuple[float, float], step: Callable[[], None]) -> None:
        """A step that takes its time; what comes in between is seen when it is over."""
        self._busy = True

        def done() -> None:
            self._busy = False
            self._plan = None
            step()

        self.timeline.at(self.timeline.now + self.chance.uniform(*span), done)

    def _retry(self, failure: Failure) -> None:
        self._failures += 1
        settings = self.world.settings.retry
        delay = retry_delay(self._failures, settings.initial, settings.ceiling, self.chance.random())
        self.waits_for = failure.code
        self._wake_at(self.timeline.now + delay)

    def _pass(self) -> None:
        if self._plan is None:  # else nothing has changed since: the same values, the same plan and the same brake
            self._plan = self.world.plan(self.wanted)
            if isinstance(self._plan, Change | Reboot) and self._is_held(self._plan):
                self._plan = None
                return
        match plan := self._plan:
            case Change():
                self._bring(plan)
            case Reboot():
                self._may_reboot(plan)
            case Discard():
                self.world.step(plan)
                self._plan = None
                self._wake_at(self.timeline.now)
            case _:
                self._settle(plan)

    def _settle(self, plan: Plan) -> None:
        self.steady = isinstance(plan, Steady)
        self.waits_for = ""
        if not is_reboot_over(self.world.record, self.world.node.boot_id, steady=self.steady):
            return
        self.out = False
        if isinstance(self._lock, LockGranted):
            if not self.locks.steady_state(self.number):
                self._retry(Failure(Code.LOCK_UNREACHABLE, "the lock server does not answer"))
                return
            self._lock = LockUnknown()
        self.on_change()

    def _bring(self, change: Change) -> None:
        step = change.steps[0]
        if isinstance(step, Assembly) and step.install and not self._fetched:
            turn = self.told_at + self.world.settings.content.splay * self._share()
            if self.timeline.now < turn:
                self._wake_at(turn)
            else:
                self.registry.fetch(FETCH_REQUESTS, LAYER_BYTES)
                self._after(_FETCH, self._fetch_ended)
            return
        self._after(_STAGE, self._staged)

    def _share(self) -> float:
        return Random(self.number).random()  # drawn once, whenever it is looked at

    def _fetch_ended(self) -> None:
        if self.chance.random() < self.luck.fetch_fails:
            self._retry(Failure(Code.IMAGE_UNREADABLE, "the registry broke off"))
            return
        self._fetched, self._failures = True, 0
        self._wake_at(self.timeline.now)

    def _staged(self) -> None:
        plan = self.world.plan(self.wanted)
        if isinstance(plan, Change):
            self.world.stage(plan)
            attempt = self.world.record.attempt
            assert attempt is not None
            staged = replace(attempt, staged_at=self.timeline.now, luck=self.chance.random())
            self.world.record = replace(self.world.record, attempt=staged)
        self._wake_at(self.timeline.now)

    def _is_held(self, plan: Change | Reboot) -> bool:
        held = judge_brake(self.world.record, plan.target, self.world.settings.reboot, self.timeline.now)
        if held is not None:
            self._hold(held.reason.code, held.until)
        return held is not None

    def _may_reboot(self, plan: Reboot) -> None:
        settings, now = self.world.settings.reboot, self.timeline.now
        attempt = self.world.record.attempt
        assert attempt is not None
        situation = RebootSituation(settings, now, attempt.staged_at, luck=attempt.luck, lock=self._lock)
        match decide(situation):
            case Go():
                self.out = True
                self.on_change()
                self._after(_DRAIN, lambda: self._go_down(plan))
            case Wait(what, until):
                self._hold(what, until)
            case TakeLock():
                self._lock = self.locks.pre_reboot(self.number)
                self._wake_at(now)
            case LeaveToOthers():
                raise AssertionError("this fleet has nobody else who reboots")

    def _hold(self, what: str, until: float | None) -> None:
        self.waits_for = what
        if until is not None:
            self._wake_at(until)

    def _go_down(self, plan: Reboot) -> None:
        if self.world.plan(self.wanted) != plan:  # the look just before
            self._wake_at(self.timeline.now)
            return
        self.world.record = count_reboot(self.world.record, plan.target, self.timeline.now)
        self.world.ask_for_reboot(plan)
        self.down, self.reboots = True, self.reboots + 1
        self.rebooted_without_lock |= self.number not in self.locks.holders
        self.on_change()
        boot = self.luck.of_a_boot(self.chance)
        if boot is Boot.DEAD:
            self.dead = True
        else:
            self._after(_BOOT, lambda: self._came_back(boot))

    def _came_back(self, boot: Boot) -> None:
        self.down = False
        if boot is Boot.FALLS_BACK:
            self.world.node = roll_back(reboot(self.world.node))
        self._verify(self.world.boot(finalizes=boot is not Boot.NOT_FINALIZED))
        self.on_change()

    def _verify(self, verdict: Verdict | None) -> None:
        record = self.world.record
        match verdict:
            case CameUp(target):
                tries = tuple(tries for tries in record.tries if tries.target != target.identity)
                self.world.record = replace(record, tries=tries, failure=None)
                self._failures = 0
                self._wake_at(self.timeline.now)
            case DidNotComeUp(reason):
                given_up = record.attempt.target.identity if record.attempt is not None else record.tries[-1].target
                self.world.record = replace(record, failure=reason, given_up=given_up if is_fallback(reason) else "")
                self._retry(reason)
            case _:
                self._wake_at(self.timeline.now)
