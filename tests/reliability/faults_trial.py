"""One trial of a fault: a simulated node with the work of others on it, the service in this process, what was seen."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from mcd_rt.control import Verb, ask_agent
from mcd_rt.effects import Child, HostEffects
from mcd_rt.errors import AgentError, Code, Failure
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.state import State
from mcd_rt.observation import Context
from mcd_rt.report.reporter import Reporter
from mcd_rt.service import Service
from mcd_rt.settings import load_settings
from mcd_rt.sim.bases import default_bases
from mcd_rt.sim.hostfiles import RHCOS, write_boot
from mcd_rt.sim.node import SimulatedNode
from mcd_rt.sim.profiles import DEFAULT
from mcd_rt.sim.scene import Scene, write_image, write_settings
from mcd_rt.sim.world import Repository, Rpm, System, Tree
from tests.effects_double import Effect, EffectsDouble, Killed
from tests.integration.stories import configure, fill_cache
from tests.reliability.forked import fork_worker

PATIENCE = 20.0
"""Seconds that a trial waits for anything; all of them together take a few."""

_QUICK = "[retry]\ninitial = 0.02\nceiling = 0.04\n"
_RESTART = 0.05
"""Seconds until a process that failed is started again (5 s on a host)."""

_TOOL = Rpm("site-tool-2.0-1.el9.x86_64", "a" * 64)
_ARGUMENT = "nosmt=force"


@dataclass(frozen=True, slots=True)
class Seen:
    """What the agent said that it does; ``failure`` is why, where it is not well."""

    state: State
    code: Code | None
    failure: Failure | None = None

    def __str__(self) -> str:
        """As in a log."""
        return f"{self.state}{f' ({self.code})' if self.code else ''}"


class Agent:
    """The service in this process, as the node's service manager runs it: at boot, and again when it fails."""

    def __init__(self, trial: "Trial") -> None:
        self._trial = trial
        self._life: asyncio.Task[None] | None = None
        self._effects: EffectsDouble | None = None
        self.service: Service | None = None
        self.failures: list[Failure] = []

    async def start(self) -> None:
        """Boot, or ``systemctl start``."""
        self._life = asyncio.ensure_future(self._live())

    async def stop(self, *, orderly: bool = True) -> None:
        """SIGTERM; or the end in the middle of whatever it does: no effect happens any more."""
        if not orderly and self._effects is not None:
            self._effects.kill(1)
        life, self._life = self._life, None
        if life is not None:
            life.cancel()
            await asyncio.gather(life, return_exceptions=True)

    async def _live(self) -> None:
        while True:
            try:
                self._effects = self._trial.effects()
                context = self._trial.context(self._effects)
                self.service = Service(context)
                await self.service.run()
            except AgentError as error:
                self.failures.append(error.failure)
                self._trial.saw(Seen(State.STARTING, error.failure.code, error.failure))
            await asyncio.sleep(_RESTART)


class Trial:
    """Use ``open_trial``. Levers reach ``node``, ``scene``, ``agent``, and the hooks below.

    ``on_effect`` is told of every effect of the agent and may raise ``OSError``, ``on_enter`` of every state;
    ``spawn`` starts its workers. ``clock`` is how far its clock is off, in seconds. ``unmet`` is what levers wait for.
    """

    def __init__(self, scene: Scene, images: Path) -> None:
        self.scene = scene
        self.node = scene.node
        self.images = images
        self.agent = Agent(self)
        self.clock = 0.0
        self.on_effect: Callable[[Effect], None] = lambda _effect: None
        self.on_enter: Callable[[State], None] = lambda _state: None
        self.spawn: Callable[[], Awaitable[Child]] = _fork
        self.seen: list[Seen] = []
        self.passes = 0
        self.cuts = 0
        self.flips = 0
        self.unmet: set[str] = set()
        self.broken: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._more = asyncio.Event()
        self._installed = self.node.rpm_ostree.system
        self.original = self.node.booted

    def arrange(self) -> None:
        """Put on the node what others have on it, and ask for the real-time kernel."""
        installed = self._installed.booted
        origin = replace(installed.tree.origin, packages=("vim",), local=(_TOOL,))
        arguments = f"{installed.kernel_arguments} {_ARGUMENT}"
        booted = replace(
            installed, tree=Tree(installed.tree.base, origin), checksum="c" * 64, kernel_arguments=arguments
        )
        pinned = replace(installed, booted=False, pinned=True, serial=7)
        repository = Repository("updates", ("vim",))
        system = replace(self._installed, deployments=(booted, pinned), repository=repository)
        self.node.rpm_ostree.system = system
        write_boot(self.node.root, system, str(uuid4()), RHCOS)
        self.original = booted
        commit = self.node.rpm_ostree.commit

        def watched(changed: System) -> None:
            commit(changed)
            self._look()

        self.node.rpm_ostree.commit = watched
        self.scene.ask_for(KernelType.REALTIME)

    async def begin(self) -> None:
        """Start the agent, as the node's service."""
        self.node._agent = self.agent
        await self.agent.start()

    async def power_cut(self) -> None:
        """The node goes off in the middle of what it does and comes up again."""
        self.cuts += 1
        await self.node.reboot(orderly=False)

    def later(self, work: Callable[[], "asyncio.Future[None]"]) -> None:
        """Have something done beside the agent, as the world does it."""
        task = asyncio.ensure_future(work())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def poke(self) -> None:
        """Write the config again as it is: the agent looks again."""
        self.scene.write_config(self.scene.config.read_bytes())

    async def ask(self, verb: Verb) -> bool:
        """What a person types; whether it worked."""
        reply = await ask_agent(self.node.paths.control, verb, PATIENCE)
        return reply.ok

    async def wait_for(self, state: State, code: Code | None, *, since: int = 0, times: int = 1) -> int:
        """Wait until this was seen so many times; returns how much was seen until then. Raises ``TimeoutError``."""
        async with asyncio.timeout(PATIENCE):
            while True:
                found = [
                    at for at, one in enumerate(self.seen) if at >= since and (one.state, one.code) == (state, code)
                ]
                if len(found) >= times:
                    return found[times - 1] + 1
                self._more.clear()
                await self._more.wait()

    async def arrived(self) -> None:
        """Wait until the node runs the whole target and says that it is steady; raises ``TimeoutError``."""
        async with asyncio.timeout(PATIENCE):
            while not (self.seen and self.seen[-1].state is State.STEADY and self.is_target(self.node.booted.tree)):
                self._more.clear()
                await self._more.wait()

    def told(self) -> str:
        """What was seen, for a person."""
        return " > ".join(map(str, self.seen[-12:]))

    def saw(self, seen: Seen) -> None:
        """Note what the agent says."""
        self.seen.append(seen)
        self._look()
        self._more.set()

    def effects(self) -> EffectsDouble:
        """For one life of the agent."""
        host = HostEffects()
        spawn, now = host.spawn, host.now

        async def spawned(argv: list[str], environment: dict[str, str]) -> Child:
            return await (self.spawn() if argv[-1] == "worker" else spawn(argv, environment))

        host.spawn = spawned
        host.now = lambda: now() + self.clock
        return EffectsDouble(host, self._strike)

    def _strike(self, effect: Effect) -> None:
        self.on_effect(effect)

    def context(self, effects: EffectsDouble) -> Context:
        """For one life of the agent; raises ``AgentError`` as a start does."""
        paths = self.node.paths
        reporter = Reporter(effects, paths)
        enter, count = reporter.enter, reporter.metrics.count_pass

        def entered(state: State, summary: str, failure: Failure | None = None, *rest: object, **more: object) -> None:
            enter(state, summary, failure, *rest, **more)
            self.saw(Seen(state, failure and failure.code, failure))
            self.on_enter(state)

        def counted(*arguments: object) -> None:
            self.passes += 1
            count(*arguments)

        reporter.enter, reporter.metrics.count_pass = entered, counted
        return Context(paths, load_settings(paths), effects, reporter)

    async def close(self) -> None:
        """Stop what goes on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.node._agent = None
        await self.agent.stop()

    def is_target(self, tree: Tree) -> bool:
        """Whether a tree is the whole target: kernel-rt for kernel, and all else as it was."""
        origin, before = tree.origin, self.original.tree.origin
        ours = [rpm for rpm in origin.local if rpm not in before.local]
        kept = replace(origin, local=before.local, removals=before.removals) == before
        others = all(rpm in origin.local for rpm in before.local)
        whole = len(ours) == 5 and all(rpm.name.startswith("kernel-rt-") for rpm in ours) and len(origin.removals) == 5
        return kept and others and whole and tree.realtime and tree.base == self.original.tree.base

    def _look(self) -> None:
        """Promise 1, whenever something changed: what would boot if somebody rebooted now."""
        for one in self.node.deployments:
            bootable = not one.staged or not one.locked
            known = one.pinned or one.tree == self.original.tree or self.is_target(one.tree)
            if bootable and not (known and one.kernel_arguments in self._arguments(one.pinned)):
                self.broken.append(f"this could boot: {one.tree.overlays} {one.kernel_arguments!r}")

    def _arguments(self, pinned: bool) -> tuple[str, ...]:
        return (self._installed.booted.kernel_arguments if pinned else self.original.kernel_arguments,)


async def _fork() -> Child:
    return fork_worker()


@asynccontextmanager
async def open_trial(profile: str = DEFAULT, settings: str = "", *, cached: bool = True) -> AsyncIterator[Trial]:
    """A node that is asked for the real-time kernel, its agent not started yet; nothing stays behind.

    ``settings`` are TOML on top of quick ones. The bus of the node is that of this process meanwhile.
    """
    problems: list[str] = []

    def hear(_loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        if not isinstance(context.get("exception"), Killed):
            problems.append(f"{context['message']}: {context.get('exception')!r}")

    asyncio.get_running_loop().set_exception_handler(hear)
    with TemporaryDirectory(prefix="mcd-rt-fault-") as place:
        image = write_image(Path(place) / "layout")
        async with SimulatedNode(default_bases(str(image)), profile=profile) as node:
            before = os.environ.get("DBUS_SYSTEM_BUS_ADDRESS")
            os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = node.environment["DBUS_SYSTEM_BUS_ADDRESS"]
            write_settings(node)
            configure(node, _QUICK)
            (node.root / "etc/mcd-rt/config.d/70-fault.toml").write_text(settings)
            trial = Trial(Scene(node, image), Path(place))
            trial.arrange()
            if cached:
                fill_cache(trial.scene)
            try:
                yield trial
            finally:
                await trial.close()
                with suppress(KeyError):
                    del os.environ["DBUS_SYSTEM_BUS_ADDRESS"]
                if before is not None:
                    os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = before
                trial.broken += problems
