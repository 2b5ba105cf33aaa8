"""One simulated node that is put back to the start of a scenario as often as wanted, and an agent in this process."""

import asyncio
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from mcd_rt.agent import run_pass
from mcd_rt.effects import Effects
from mcd_rt.errors import AgentError, Code
from mcd_rt.lock import only_agent
from mcd_rt.model.image import ImageReference
from mcd_rt.model.state import State
from mcd_rt.observation import Context
from mcd_rt.plan.outcome import GoingDown, Outcome, Progressed, Retry, Settled, state_of
from mcd_rt.record import load_record
from mcd_rt.report.reporter import Reporter
from mcd_rt.settings import load_settings
from mcd_rt.sim.hostfiles import RHCOS, write_boot
from mcd_rt.sim.node import SimulatedNode
from mcd_rt.sim.refspec import image_digest
from mcd_rt.sim.world import System, Tree, reboot
from tests.effects_double import Killed
from tests.reliability.disk import Cut, Disk
from tests.reliability.scenarios import Flip, Scenario, Trouble, Wish
from tests.reliability.troubles import Troubles
from tests.reliability.watched import WatchedEffects

PASSES = 60
"""In one life of the agent; no way through a scenario has half as many."""
LIVES = 12
PERSISTENT = 5
"""Failures in a row after which nothing changes any more: one that is made happens once."""

SURVIVING = ("var/lib/mcd-rt", "var/cache/mcd-rt")
"""Directories below the root that the units make, and that outlive a boot."""

_PLACES = (*SURVIVING, "etc/mcd-rt", "etc/machine-config-daemon")
_CONFIG = """\
apiVersion: machineconfiguration.openshift.io/v1
kind: MachineConfig
metadata:
  labels:
    machineconfiguration.openshift.io/role: "worker"
  name: rendered-worker
spec:
  kernelType: {kernel_type}
  osImageURL: {image}
  kernelArguments: [{arguments}]
"""


@dataclass(frozen=True, slots=True)
class End:
    """What a node settled in (``state`` is ``None`` where it did not), and how many reboots it took."""

    state: State | None
    code: Code | None
    booted: tuple[Tree, str]
    reboots: int


def bare(tree: Tree) -> Tree:
    """A tree whose origin names the image by its digest alone: where it lies differs from bench to bench."""
    origin = tree.origin
    return replace(tree, origin=replace(origin, refspec=image_digest(origin.refspec) or origin.refspec))


@dataclass(frozen=True, slots=True)
class Start:
    """Everything a node is put back to; ``reboots`` are those that its record counts."""

    system: System
    files: tuple[tuple[Path, bytes | None], ...]
    boot_id: str
    wish: Wish
    reboots: int


@dataclass(frozen=True, slots=True)
class World:
    """Numbers that are equal for equal worlds.

    ``now`` is everything the next agent of this boot could see, ``lost`` and ``torn`` what one after a power cut could.
    """

    now: int
    lost: int
    torn: int


class Bench:
    """Use ``open_bench``. ``on_change`` is called after every effect of an agent on it."""

    def __init__(self, node: SimulatedNode, images: tuple[ImageReference, ...]) -> None:
        self.node = node
        self.images = images
        self.disk = Disk(tuple(node.root / place for place in SURVIVING))
        self.on_change: Callable[[], None] = lambda: None
        self.asked_reboots = 0
        self.finalizing = False
        self.calls: list[str] = []
        self.problems: list[str] = []
        self.wished = Wish()
        self._flips: list[Flip] = []
        self._troubles = Troubles(node)

    def effects(self) -> WatchedEffects:
        """For one agent, or for several after one another."""
        return WatchedEffects(self.disk, self.node.faults, self._changed, self._called)

    @property
    def going_down(self) -> bool:
        """Whether a reboot was asked for."""
        return self.node.logind._preparing

    def wish(self, wish: Wish) -> None:
        """Write the node config, atomically."""
        self.wished = wish
        arguments = ", ".join(wish.kernel_arguments)
        config = self.node.paths.below("/etc/machine-config-daemon/currentconfig")
        image = self.images[wish.image]
        text = wish.text or _CONFIG.format(kernel_type=wish.kernel_type, image=image, arguments=arguments)
        config.parent.mkdir(parents=True, exist_ok=True)
        temporary = config.with_name("currentconfig.new")
        temporary.write_text(text)
        temporary.rename(config)

    def take(self) -> Start:
        """What the node is now, to come back to."""
        tops = (self.node.root / place for place in _PLACES)
        paths = [path for top in tops for path in (top, *sorted(top.rglob("*"))) if path.exists()]
        files = tuple((path, None if path.is_dir() else path.read_bytes()) for path in paths)
        boot_id = (self.node.root / "proc/sys/kernel/random/boot_id").read_text().strip()
        reboots = len(load_record(self.node.paths).reboots)
        return Start(self.node.rpm_ostree.system, files, boot_id, self.wished, reboots)

    def look(self) -> World:
        """The world as it is now."""
        node, status, disk = self.node, self.node.paths.status, self.disk
        around = (self.going_down, tuple(self._flips), self.wished)
        # While a transaction goes on, how far it is (which only the status tells) matters, not how far the status is.
        if node.rpm_ostree.transaction is not None and status.exists():
            running: object = (status.stat().st_ino, status.stat().st_mtime_ns)
        else:
            running = tuple(sorted((path.name, path.stat().st_size > 0) for path in node.paths.runtime.glob("*")))
        now = hash((disk.fingerprint(), node.rpm_ostree.system, around, running))
        boots = reboot(node.rpm_ostree.system, finalize=False)
        lost, torn = (hash((disk.fingerprint_left(cut), boots, around)) for cut in (Cut.LOST, Cut.TORN))
        return World(now, lost, torn)

    async def put_back(self, start: Start, scenario: Scenario | None = None) -> None:
        """Make the node what it was; with the flips and the trouble of a scenario, where one is named."""
        node = self.node
        await node.rpm_ostree.stop()
        self._troubles.make(Trouble.NONE if scenario is None else scenario.trouble)
        node.faults.reboot_stuck = True  # a reboot that was asked for is ours to let happen
        node.events.clear()
        node.reboots = self.asked_reboots = 0
        self.calls.clear()
        self.problems.clear()
        self.wished = start.wish
        self._flips = [] if scenario is None else list(scenario.flips)
        self.finalizing = False
        node.rpm_ostree.system = start.system
        write_boot(node.root, start.system, start.boot_id, RHCOS)
        node.logind._preparing = False
        node.systemd._active = start.system.staged is not None
        for place in _PLACES:
            shutil.rmtree(node.root / place, ignore_errors=True)
        for path, data in start.files:
            _write(path, data)
        self.disk.begin()
        await node.start_rpm_ostree()

    async def reboot(self, *, orderly: bool = True) -> None:
        """Go down and come up; what was not synced is on the disk after an orderly one."""
        self.asked_reboots += self.going_down
        if orderly:
            self.disk.sync()
        await self.node.reboot(orderly=orderly)
        await self.node.start_rpm_ostree()

    async def settle(self, effects: Effects) -> End:
        """Agents, life after life, until one has nothing to do or fails again and again."""
        outcome: Outcome | None = None
        for _ in range(LIVES):
            outcome = await self._one_process(effects)
            if self.going_down:
                await self.reboot()
            elif outcome is not None:
                break
        booted = self.node.booted
        state, code = None, None
        if isinstance(outcome, Settled | Retry):
            state, code = state_of(outcome), outcome.failure and outcome.failure.code
        return End(state, code, (bare(booted.tree), booted.kernel_arguments), self.node.reboots)

    async def _one_process(self, effects: Effects) -> Outcome | None:
        """A life that ends at once where it is killed, in a callback of the loop too: that is the same process."""
        loop = asyncio.get_running_loop()
        killed: asyncio.Future[None] = loop.create_future()

        def hear(_loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
            error = context.get("exception")
            if not isinstance(error, Killed):
                self.problems.append(f"{context['message']}: {error!r}")
            elif not killed.done():
                killed.set_exception(error)

        loop.set_exception_handler(hear)
        life = asyncio.ensure_future(self._live(effects))
        try:
            await asyncio.wait((life, killed), return_when=asyncio.FIRST_COMPLETED)
            return life.result() if life.done() else killed.result()
        finally:
            life.cancel()
            await asyncio.gather(life, return_exceptions=True)
            killed.cancel()

    async def _live(self, effects: Effects) -> Outcome | None:
        """One process's life, as ``service.py`` leads it, without its delays; ``None`` where it did not rest."""
        paths = self.node.paths
        context = Context(paths, load_settings(paths), effects, Reporter(effects, paths))
        with ExitStack() as life:
            try:
                life.enter_context(only_agent(effects, paths))
            except AgentError:  # the process ends with it, and is started again
                return None
            failures = 0
            for _ in range(PASSES):
                outcome = await run_pass(context)
                match outcome:
                    case Settled(summary=summary, failure=failure, until=until):
                        context.reporter.enter(state_of(outcome), summary, failure, until)
                    case Retry(failure):
                        failures += 1
                        context.reporter.enter(state_of(outcome), failure.message, failure)
                    case GoingDown(summary):
                        context.reporter.enter(state_of(outcome), summary)
                    case Progressed():
                        failures = 0
                if self.going_down or isinstance(outcome, Settled) or failures == PERSISTENT:
                    return outcome
        return None

    def _changed(self) -> None:
        self.on_change()

    def _called(self, label: str) -> None:
        self.calls.append(label)
        self.finalizing = label.endswith(("FinalizeDeployment", "Reboot"))
        if self._flips and label.endswith(self._flips[0].before):
            self.wish(self._flips.pop(0).wish)


def _write(path: Path, data: bytes | None) -> None:
    if data is None:
        path.mkdir(parents=True, exist_ok=True)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
