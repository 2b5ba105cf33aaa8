"""The real effects on a simulated node, with the disk model beside them and a way to die inside a bus call."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from mcd_rt.effects import Child, HostEffects
from mcd_rt.sim.faults import Faults, Hold
from tests.effects_double import Killed
from tests.reliability.disk import Disk
from tests.reliability.forked import fork_worker, tell_packages

T = TypeVar("T")


class WatchedEffects:
    """``Effects``; syncing only the model keeps thousands of runs fast.

    ``on_effect`` is called after each, ``on_call`` with the label of a call before it is made, ``run_hook`` runs hooks.
    ``dies_in`` is the number of a call (from 1) and the step of its transaction in which the agent dies.
    """

    def __init__(
        self,
        disk: Disk,
        faults: Faults,
        on_effect: Callable[[], None],
        on_call: Callable[[str], None],
        run_hook: Callable[[], Child],
    ):
        self._host = HostEffects()
        self._disk = disk
        self._faults = faults
        self._on_effect = on_effect
        self._on_call = on_call
        self._run_hook = run_hook
        self._calls = 0
        self.dies_in: tuple[int, str] = (0, "")
        self.held: Hold | None = None
        self.monotonic = self._host.monotonic

    def now(self) -> float:
        """A clock that stands: equal runs write equal files."""
        return 1_800_000_000.0

    def chance(self) -> float:
        """Always the same, for the same reason."""
        return 0.5

    def create(self, path: Path, mode: int) -> int:
        descriptor = self._host.create(path, mode)
        self._disk.created(path, descriptor)
        self._on_effect()
        return descriptor

    def write(self, descriptor: int, data: bytes) -> None:
        self._host.write(descriptor, data)
        self._disk.written(descriptor, data)
        self._on_effect()

    def fsync(self, descriptor: int) -> None:
        self._disk.synced(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        self._host.rename(source, target)
        self._disk.renamed(source, target)
        self._on_effect()

    def fsync_directory(self, path: Path) -> None:
        self._disk.synced_directory(path)
        self._on_effect()

    def sync_filesystem(self, _path: Path) -> None:
        self._disk.sync()

    def remove(self, path: Path) -> None:
        self._host.remove(path)
        self._disk.removed(path)
        self._on_effect()

    def make_directory(self, path: Path, mode: int) -> None:
        self._host.make_directory(path, mode)
        self._disk.made_directory(path)
        self._on_effect()

    def remove_directory(self, path: Path) -> None:
        self._host.remove_directory(path)
        self._disk.removed(path)
        self._on_effect()

    async def spawn(self, argv: Sequence[str], environment: dict[str, str]) -> Child:
        if argv[-1] == "worker":
            return fork_worker()
        if argv[-1] == "hooks":
            return self._run_hook()
        if Path(argv[0]).name == "rpm-ostree":
            return tell_packages(Path(argv[0]), argv[-1])
        return await self._host.spawn(argv, environment)

    async def mutate(self, label: str, call: Callable[[], Awaitable[T]]) -> T:
        self._on_call(label)
        self._calls += 1
        nth, step = self.dies_in
        made = await (self._die_in(step, call) if self._calls == nth else call())
        self._on_effect()
        return made

    async def _die_in(self, step: str, call: Callable[[], Awaitable[T]]) -> T:
        hold = Hold(step)
        self._faults.at.append(hold)
        calling, reached = asyncio.ensure_future(call()), asyncio.ensure_future(hold.reached.wait())
        try:
            await asyncio.wait((calling, reached), return_when=asyncio.FIRST_COMPLETED)
            if not reached.done():
                return await calling  # no transaction, or none that comes to this step
        finally:
            self._faults.at = [fault for fault in self._faults.at if fault is not hold]
            for task in (calling, reached):
                task.cancel()
            await asyncio.gather(calling, reached, return_exceptions=True)
        self.held = hold
        raise Killed(f"killed in the middle of a call, at {step or 'its begin'}")
