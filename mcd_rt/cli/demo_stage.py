"""Where a demo is played: what happens is printed as it happens, and counted by the node."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Iterator
from typing import TextIO

from mcd_rt.errors import AgentError, Code
from mcd_rt.frozen import frozen
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.state import State
from mcd_rt.report.status import read_status
from mcd_rt.sim.node import Event, Rebooted, SimulatedNode
from mcd_rt.sim.process import AgentSaid
from mcd_rt.sim.scene import Scene
from mcd_rt.watch import Watch

DEADLINE = 60.0
ENDS = (State.STEADY, State.BLOCKED, State.HELD, State.RETRYING, State.IGNORED, State.UNSUPPORTED)
_WEAKER = """\
What is weaker here than on a host: rpm-ostree, logind and the kernel are simulated, the worker is a plain
child and no sandbox, and the RPMs are signed with a key that everybody has."""


@frozen
class Told:
    """How a demo went: as JSON, and whether as told."""

    document: dict[str, object]
    ok: bool


@frozen
class Count:
    """What the node counts: transactions that wrote a deployment, and reboots."""

    assemblies: int = 0
    reboots: int = 0

    def __str__(self) -> str:
        """``2 assemblies, 1 reboot``."""
        assemblies = "1 assembly" if self.assemblies == 1 else f"{self.assemblies} assemblies"
        return f"{assemblies}, {self.reboots} reboot" + ("" if self.reboots == 1 else "s")

    def since(self, before: "Count") -> "Count":
        """What was added to it."""
        return Count(self.assemblies - before.assemblies, self.reboots - before.reboots)


@frozen
class Measured:
    """One change as it was measured: counters are the node's, not the agent's word."""

    from_type: str
    kernel_type: str
    from_os: str
    to_os: str
    count: Count
    verified: bool
    seconds: float

    @property
    def os_changed(self) -> bool:
        """Whether another OS runs."""
        return self.from_os != self.to_os

    @property
    def document(self) -> dict[str, object]:
        """As JSON."""
        return {
            "from": self.from_type,
            "kernel_type": self.kernel_type,
            "os_changed": self.os_changed,
            "assemblies": self.count.assemblies,
            "reboots": self.count.reboots,
            "verified": self.verified,
            "seconds": self.seconds,
        }

    @property
    def words(self) -> str:
        """What it took, for people."""
        verified = "verified on the running kernel" if self.verified else "NOT VERIFIED"
        return f"{self.count}, {self.seconds:.1f} s, {verified}"


class Stage:
    """Prints what happens; on a terminal with a bar for the step that runs."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._bar = out.isatty()
        self._said: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
        self._reboots = 0
        self._began = time.perf_counter()

    def line(self, text: str) -> None:
        """Print it."""
        clear = "\r\033[K" if self._bar else ""
        print(f"{clear}{text}", file=self._out, flush=True)

    def introduce(self, scene: Scene, version: str) -> None:
        """Say which node it is, and which images there are."""
        booted = scene.node.booted
        kernel = booted.tree.kernel_release
        self.line(f"  node   {booted.tree.base.version}, kernel {kernel}, rpm-ostree {version} (simulated)")
        for image in [each.image for each in scene.published] or [scene.image]:
            self.line(f"  image  {image}")
        self.line("")

    def weaker(self) -> None:
        """Say what a demo does not prove."""
        self.line(_WEAKER)

    def hear(self, event: Event) -> None:
        """Take what happens on the node."""
        match event:
            case AgentSaid(text):
                state, _, summary = text.partition(": ")
                self.line(f"  {time.perf_counter() - self._began:5.1f} s  {state:<10}  {summary}")
                self._said.put_nowait((state, self._reboots))
            case Rebooted(kernel_release=release):
                self._reboots += 1
                self.line(f"  {time.perf_counter() - self._began:5.1f} s  (the node rebooted: kernel {release})")
            case _:
                pass

    async def settled(self, ends: Collection[State] = ENDS, *, reboots: int = 0) -> str:
        """The state the agent came to rest in after that many reboots; raises ``AgentError`` if it never does."""
        try:
            async with asyncio.timeout(DEADLINE):
                while True:
                    state, told_after = await self._said.get()
                    if state in set(ends) and told_after >= reboots:
                        return state
        except TimeoutError as error:
            why = f"the agent did not come to rest in {DEADLINE:g} s"
            raise AgentError(Code.SIMULATION_FAILED, why, "try again on a less busy machine") from error

    async def measure(self, scene: Scene, wanted: KernelType, ask: Callable[[], None]) -> Measured:
        """What it takes until the kernel type runs that ``ask`` asks for."""
        node = scene.node
        before, from_type, from_os = count_of(node), read_status(node.paths).running, node.booted.tree.base.version
        began = time.perf_counter()
        while not self._said.empty():  # what was told before is no answer
            self._said.get_nowait()
        ask()
        state = await self.settled()
        status, tree = read_status(node.paths), node.booted.tree
        runs = status.running == wanted and tree.realtime is (wanted is KernelType.REALTIME)
        return Measured(
            from_type=from_type,
            kernel_type=wanted.value,
            from_os=from_os,
            to_os=tree.base.version,
            count=count_of(node).since(before),
            verified=state == State.STEADY and runs and status.verified_at is not None,
            seconds=round(time.perf_counter() - began, 2),
        )

    @contextlib.contextmanager
    def progress(self, scene: Scene) -> Iterator[None]:
        """Draws the bar of the running step, where there is a terminal to draw on."""
        if not self._bar:
            yield
            return

        def draw() -> None:
            with contextlib.suppress(AgentError):  # between two boots there is no status
                status = read_status(scene.node.paths)
                if status.percent >= 0:
                    filled = "#" * (status.percent // 5)
                    self._out.write(f"\r\033[K           [{filled:<20}] {status.percent:3} %  {status.progress[:40]}")
                    self._out.flush()

        watch = Watch([scene.node.paths.status], draw)
        try:
            yield
        finally:
            watch.close()


def count_of(node: SimulatedNode) -> Count:
    """What it has counted until now."""
    return Count(node.assemblies, node.reboots)
