"""What every test on the simulated node uses."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from mcd_rt.sim.node import Event
from mcd_rt.sim.process import AgentSaid
from mcd_rt.sim.scene import Scene, open_scene

AGENT = [sys.executable, "-m", "mcd_rt", "run"]
PATIENCE = 30.0


class Told:
    """What an agent told its service manager, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._more = asyncio.Event()

    def hear(self, event: Event) -> None:
        if isinstance(event, AgentSaid):
            self.lines.append(event.text)
            self._more.set()

    @property
    def states(self) -> list[str]:
        return [line.partition(":")[0] for line in self.lines]

    async def more(self) -> None:
        """Wait until something more is told."""
        self._more.clear()
        async with asyncio.timeout(PATIENCE):
            await self._more.wait()

    async def wait_for(self, *states: str, contains: str = "") -> str:
        """The next line that begins with one of the states; what came before it is taken with it."""
        while True:
            for index, line in enumerate(self.lines):
                if line.partition(":")[0] in states and contains in line:
                    del self.lines[: index + 1]
                    return line
            await self.more()


@asynccontextmanager
async def served(**options: Any) -> AsyncIterator[tuple[Scene, Told]]:
    """A scene whose node has the agent as its service, started by the test with ``start``."""
    told = Told()
    async with open_scene(on_event=told.hear, **options) as scene:
        yield scene, told


@pytest.fixture
def play() -> Callable[[Awaitable[None]], None]:
    """Run one asynchronous story."""

    def run(story: Awaitable[None]) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(PATIENCE * 1.5):
                await story

        asyncio.run(bounded())

    return run
