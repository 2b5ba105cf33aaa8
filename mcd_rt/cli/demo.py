"""``mcd-rt demo``: the main job on a simulated node, start to end, and whether it went as told."""

import argparse
import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TextIO

from mcd_rt.control import Verb, ask_agent
from mcd_rt.errors import AgentError, Code
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.state import State
from mcd_rt.report.status import read_status
from mcd_rt.sim.node import Event, Rebooted
from mcd_rt.sim.process import AgentSaid
from mcd_rt.sim.profiles import DEFAULT, PROFILES
from mcd_rt.sim.scene import Scene, open_scene
from mcd_rt.watch import Watch

_DEADLINE = 60.0
_ENDS = (State.STEADY, State.BLOCKED, State.HELD, State.RETRYING, State.IGNORED, State.UNSUPPORTED)
_WEAKER = """\
What is weaker here than on a host: rpm-ostree, logind and the kernel are simulated, the worker is a plain
child and no sandbox, and the RPMs are signed with a key that everybody has."""


@dataclass(frozen=True, slots=True)
class Switch:
    """One switch as it was measured: counters are the node's, not the agent's word."""

    from_type: str
    kernel_type: str
    os_changed: bool
    assemblies: int
    reboots: int
    verified: bool
    seconds: float

    @property
    def as_told(self) -> bool:
        """One assembly, one reboot, and the kernel that was asked for really runs."""
        return self.verified and (self.assemblies, self.reboots) == (1, 1) and not self.os_changed


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "demo",
        help="watch the whole trip on a simulated node: default, real-time, and back",
        description="Boots a simulated node (no root, no network, only dbus-daemon), asks it for the real-time kernel, "
        "asks again, asks for the default one, and checks each step. Exit code 0: everything went as told.",
    )
    parser.add_argument("--rpm-ostree", choices=sorted(PROFILES), default=DEFAULT, help="the version to behave like")
    parser.add_argument(
        "--el", type=int, choices=(8, 9), default=9, help="the release of Enterprise Linux (default: 9)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Play it and say how it went."""
    return asyncio.run(_Demo(sys.stdout).play(arguments))


class _Demo:
    """Prints what happens as it happens; on a terminal with a bar for the step that runs."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._bar = out.isatty()
        self._said: asyncio.Queue[str] = asyncio.Queue()
        self._began = time.perf_counter()

    async def play(self, arguments: argparse.Namespace) -> int:
        self._line("Building an image with kernel-rt and booting a node ...")
        async with open_scene(profile=arguments.rpm_ostree, el=arguments.el, on_event=self._hear) as scene:
            self._introduce(scene, arguments.rpm_ostree)
            scene.ask_for(KernelType.DEFAULT)
            await scene.node.run_agent([sys.executable, "-m", "mcd_rt", "run"])
            await self._settled()
            with self._progress(scene):
                switches = [await self._switch(scene, KernelType.REALTIME)]
                quiet = await self._nothing_to_do(scene)
                switches.append(await self._switch(scene, KernelType.DEFAULT))
        self._summarize(switches, quiet=quiet)
        if arguments.json:
            told = [{"from": s.from_type, **{k: v for k, v in asdict(s).items() if k != "from_type"}} for s in switches]
            print(json.dumps({"switches": told}), file=self._out)
        return 0 if quiet and all(switch.as_told for switch in switches) else 1

    async def _switch(self, scene: Scene, wanted: KernelType) -> Switch:
        node = scene.node
        before = (node.assemblies, node.reboots, read_status(node.paths).running, node.booted.tree.base.checksum)
        self._line(f"\nThe config now says realtime: {str(wanted is KernelType.REALTIME).lower()}")
        began = time.perf_counter()
        scene.ask_for(wanted)
        state = await self._settled()
        status = read_status(node.paths)
        return Switch(
            from_type=before[2],
            kernel_type=wanted.value,
            os_changed=node.booted.tree.base.checksum != before[3],
            assemblies=node.assemblies - before[0],
            reboots=node.reboots - before[1],
            verified=state == State.STEADY and status.running == wanted and status.verified_at is not None,
            seconds=round(time.perf_counter() - began, 2),
        )

    async def _nothing_to_do(self, scene: Scene) -> bool:
        self._line("\nThe same config again: nothing to do must mean nothing done")
        before = (len(scene.node.transactions), scene.node.reboots)
        reply = await ask_agent(scene.node.paths.control, Verb.APPLY, _DEADLINE)
        self._line(f"  {reply.text}")
        after = (len(scene.node.transactions), scene.node.reboots)
        self._line(f"  {after[0] - before[0]} transactions, {after[1] - before[1]} reboots")
        return reply.ok and after == before

    async def _settled(self) -> str:
        """The state the agent came to rest in; raises ``AgentError`` if it never does."""
        try:
            async with asyncio.timeout(_DEADLINE):
                while (state := await self._said.get()) not in set(_ENDS):
                    pass
        except TimeoutError as error:
            raise AgentError(Code.SIMULATION_FAILED, f"the agent did not come to rest in {_DEADLINE:g} s") from error
        return state

    def _hear(self, event: Event) -> None:
        match event:
            case AgentSaid(text):
                state, _, summary = text.partition(": ")
                self._line(f"  {time.perf_counter() - self._began:5.1f} s  {state:<10}  {summary}")
                self._said.put_nowait(state)
            case Rebooted(kernel_release=release):
                self._line(f"  {time.perf_counter() - self._began:5.1f} s  (the node rebooted: kernel {release})")
            case _:
                pass

    @contextlib.contextmanager
    def _progress(self, scene: Scene) -> Iterator[None]:
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

    def _introduce(self, scene: Scene, version: str) -> None:
        booted = scene.node.booted
        kernel = booted.tree.kernel_release
        self._line(f"  node   {booted.tree.base.version}, kernel {kernel}, rpm-ostree {version} (simulated)")
        self._line(f"  image  {scene.image}\n")

    def _summarize(self, switches: list[Switch], *, quiet: bool) -> None:
        self._line("\nSummary, counted by the simulated node")
        for switch in switches:
            verified = "verified on the running kernel" if switch.verified else "NOT VERIFIED"
            self._line(
                f"  {switch.from_type:>8} -> {switch.kernel_type:<8}  {switch.assemblies} assembly, "
                f"{switch.reboots} reboot, {switch.seconds:.1f} s, {verified}"
            )
        self._line(f"  the same config again: {'nothing was done' if quiet else 'SOMETHING WAS DONE'}")
        self._line(_WEAKER)

    def _line(self, text: str) -> None:
        clear = "\r\033[K" if self._bar else ""
        print(f"{clear}{text}", file=self._out, flush=True)
