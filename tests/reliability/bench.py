"""One simulated node that is put back to the start of a scenario as often as wanted, and an agent in this process."""

import asyncio
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from uuid import UUID

from mcd_rt.agent import run_pass
from mcd_rt.effects import Effects
from mcd_rt.errors import AgentError
from mcd_rt.lock import only_agent
from mcd_rt.model.image import ImageReference
from mcd_rt.observation import Context
from mcd_rt.plan.outcome import GoingDown, Outcome, Progressed, Retry, Settled, state_of
from mcd_rt.record import load_record
from mcd_rt.report.reporter import Reporter
from mcd_rt.settings import load_settings
from mcd_rt.sim.hostfiles import RHCOS, write_boot
from mcd_rt.sim.node import SimulatedNode
from mcd_rt.sim.rpmostree import FOREIGN
from mcd_rt.sim.world import reboot
from tests.effects_double import Killed
from tests.integration.stories import leftovers
from tests.reliability.disk import Cut, Disk
from tests.reliability.helpers import Helpers
from tests.reliability.sameness import digest
from tests.reliability.scenarios import Cache, Flip, Layers, Scenario, Trouble, Wish
from tests.reliability.states import End, Finish, Instant, Passed, Start, World, bare
from tests.reliability.troubles import Troubles
from tests.reliability.watched import WatchedEffects

PASSES = 60
"""In one life of the agent; no way through a scenario has half as many."""
LIVES = 12
PERSISTENT = 5
"""Equal failures in a row after which nothing changes any more: one that is made happens once."""

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


class Bench:
    """Use ``open_bench``. ``on_change`` is called after every effect of an agent on it."""

    def __init__(self, node: SimulatedNode, images: tuple[ImageReference, ...]) -> None:
        self.node = node
        self.images = images
        self.disk = Disk(tuple(node.root / place for place in SURVIVING))
        self.on_change: Callable[[], None] = lambda: None
        self.asked_reboots = 0
        self.finalizing = False
        self.calls = 0
        self.problems: list[str] = []
        self.wished = Wish()
        self._scenario = Scenario("nothing")
        self._flips: list[Flip] = []
        self._boots = 0
        self._has_booted = False
        self._troubles = Troubles(node)
        self._helpers = Helpers(node.paths, self.problems.append)
        self.places = (str(node.root.parent),)
        system = node.rpm_ostree.system
        self._offered = digest((images, system.osname, system.bases), self.places)

    def effects(self) -> WatchedEffects:
        """For one agent, or for several after one another."""
        return WatchedEffects(self.disk, self.node.faults, self._changed, self._called, self._helpers.run_hook)

    @property
    def going_down(self) -> bool:
        """Whether a reboot was asked for."""
        return self.node.logind._preparing

    @property
    def instant(self) -> Instant:
        """What could be booted now."""
        return Instant(self.node.rpm_ostree.system, self.finalizing)

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
        """What the node is now, to come back to; no transaction goes on."""
        tops = (self.node.root / place for place in _PLACES)
        paths = [path for top in tops for path in (top, *sorted(top.rglob("*"))) if path.exists()]
        files = tuple((path, None if path.is_dir() else path.read_bytes()) for path in paths)
        passed = Passed(
            self.node.reboots,
            self.asked_reboots,
            self.calls,
            tuple(self._flips),
            tuple(self.node.faults.twists),
            self._helpers.has_slot,
        )
        reboots = len(load_record(self.node.paths).reboots)
        return Start(self.node.rpm_ostree.system, files, self._boots, self.wished, reboots, passed)

    def digest(self) -> str:
        """Equal for equal worlds at the beginning of a boot, in this process or another.

        Everything that an agent of this boot, or of a later one, could see; where the node lies does not count.
        """
        row = replace(self._scenario, name="", earlier=(), flips=(), others=Layers(), staged=None, pinned=False)
        row = replace(row, rolled_back=False, cache=Cache.FULL, wish=self.wished, trouble=_lasting(row.trouble))
        system = self.node.rpm_ostree.system
        deployments = [(replace(one, tree=None), one.tree.base.checksum, one.tree.origin) for one in system.deployments]
        left = (self._boots, self._flips, self.node.faults.twists, self._helpers.has_slot)
        return digest((row, deployments, left, self._offered, *self.disk.contents()), self.places)

    def look(self) -> World:
        """The world as it is now."""
        node, status, disk = self.node, self.node.paths.status, self.disk
        helped = (self._helpers.has_slot, self._helpers.is_drained)
        around = (self.going_down, tuple(self._flips), self.wished, *helped)
        # While a transaction goes on, how far it is (which only the status tells) matters, not how far the status is.
        if node.rpm_ostree.transaction is not None and status.exists():
            running: object = (status.stat().st_ino, status.stat().st_mtime_ns)
        else:
            running = tuple(sorted((path.name, path.stat().st_size > 0) for path in node.paths.runtime.glob("*")))
        now = hash((disk.fingerprint(), node.rpm_ostree.system, around, running))
        boots = reboot(node.rpm_ostree.system, finalize=False)
        lost, torn = (hash((disk.fingerprint_left(cut), boots, around)) for cut in (Cut.LOST, Cut.TORN))
        return World(now, lost, torn)

    async def put_back(self, start: Start, scenario: Scenario | None = None, *, afresh: bool = True) -> None:
        """Make the node what it was; with the flips and the trouble of a scenario, where one is named.

        Not ``afresh``: with what of them was left then.
        """
        node, passed = self.node, Passed() if afresh else start.passed
        await node.rpm_ostree.stop()
        self._scenario = scenario or Scenario("nothing")
        self._troubles.make(self._scenario.trouble)
        self._flips = list(self._scenario.flips if afresh else passed.flips)
        if not afresh:
            node.faults.twists[:] = passed.twists
        node.faults.reboot_stuck = True  # a reboot that was asked for is ours to let happen
        node.events.clear()
        node.reboots, self.asked_reboots, self.calls = passed.reboots, passed.asked, passed.calls
        self.problems.clear()
        self.wished = start.wish
        self.finalizing = False
        self._boots, self._has_booted = start.boots, True
        node.rpm_ostree.system = start.system
        write_boot(node.root, start.system, _boot_id(start.boots), RHCOS)
        node.logind._preparing = False
        node.systemd._active = start.system.staged is not None
        for place in _PLACES:
            shutil.rmtree(node.root / place, ignore_errors=True)
        for path, data in start.files:
            _write(path, data)
        self._helpers.make(self._scenario.help, has_slot=passed.slot)
        self.disk.begin()
        await node.start_rpm_ostree()

    async def reboot(self, *, orderly: bool = True) -> None:
        """Go down and come up; what was not synced is on the disk after an orderly one."""
        self.asked_reboots += self.going_down
        if orderly:
            self.disk.sync()
        await self.node.reboot(orderly=orderly)
        self._boots += 1
        (self.node.root / "proc/sys/kernel/random/boot_id").write_text(_boot_id(self._boots) + "\n")
        self.finalizing, self._has_booted, self._helpers.is_drained = False, True, False
        await self.node.start_rpm_ostree()

    async def settle(self, effects: Effects, at_boot: Callable[[], Finish | None] = lambda: None) -> Finish:
        """Agents, life after life, until one has nothing to do or fails again and again.

        ``at_boot`` is asked at the beginning of each boot whether the rest is known.
        """
        outcome: Outcome | None = None
        for _ in range(LIVES):
            booted, self._has_booted = self._has_booted, False
            if booted and (known := at_boot()) is not None:
                return known
            outcome = await self._one_process(effects)
            if self.going_down:
                await self.reboot()
            elif outcome is not None:
                break
        ran = self.node.booted
        state, code = None, None
        if isinstance(outcome, Settled | Retry):
            state, code = state_of(outcome), outcome.failure and outcome.failure.code
        return self.finish(End(state, code, (bare(ran.tree), ran.kernel_arguments), self.node.reboots))

    def finish(self, end: End) -> Finish:
        """What there is to be judged once it has settled."""
        self._helpers.rest(end.state)
        try:
            counted: int | str = len(load_record(self.node.paths).reboots)
        except AgentError as error:
            counted = str(error.failure)
        foreign = tuple(one for one in self.node.transactions if one.sender == FOREIGN and one.error)
        ended = tuple(f"another client's {one.method} ended with {one.error}" for one in foreign)
        lying = tuple(leftovers(self.node))
        return Finish(end, self.asked_reboots, counted, (*self.problems, *ended), lying, self.wished)

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
            failures, last = 0, None
            for _ in range(PASSES):
                outcome = await run_pass(context)
                match outcome:
                    case Settled(summary=summary, failure=failure, until=until):
                        context.reporter.enter(state_of(outcome), summary, failure, until)
                    case Retry(failure):
                        failures = failures + 1 if failure.code is last else 1
                        last = failure.code
                        context.reporter.enter(state_of(outcome), failure.message, failure)
                    case GoingDown(summary):
                        context.reporter.enter(state_of(outcome), summary)
                    case Progressed():
                        failures = 0
                if self.going_down or isinstance(outcome, Settled) or failures == PERSISTENT:
                    return outcome
        return None

    def _changed(self) -> None:
        self._helpers.look()
        self.on_change()

    def _called(self, label: str) -> None:
        self.calls += 1
        self.finalizing = label.endswith(("FinalizeDeployment", "Reboot"))
        if self.finalizing:
            self._helpers.goes_down()
        if self._flips and label.endswith(self._flips[0].before):
            self.wish(self._flips.pop(0).wish)


def _boot_id(boots: int) -> str:
    """The same in every run, so that equal worlds look equal."""
    return str(UUID(int=boots + 1))


def _lasting(trouble: Trouble) -> Trouble:
    """One that is over once it was met is told by what is left of it."""
    return Trouble.NONE if trouble is Trouble.LESS_STAGED else trouble


def _write(path: Path, data: bytes | None) -> None:
    if data is None:
        path.mkdir(parents=True, exist_ok=True)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
