"""Passes of an agent whose clock and luck a test decides, on a simulated node that really reboots."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from mcd_rt.agent import run_pass
from mcd_rt.effects import HostEffects
from mcd_rt.errors import Failure
from mcd_rt.lockseen import LockSeen
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.record import Record
from mcd_rt.observation import Context
from mcd_rt.plan.outcome import GoingDown, Outcome, Progressed
from mcd_rt.record import load_record
from mcd_rt.report.reporter import Reporter
from mcd_rt.settings import load_settings
from mcd_rt.sim.node import Rebooted
from mcd_rt.sim.scene import Scene, open_scene
from tests.integration.stories import configure, fill_cache

TUESDAY = 1795500000.0
"""2026-11-24 06:00:00 UTC, a Tuesday."""


class Clocked(HostEffects):
    """The real world, but for its clock and its chance."""

    def __init__(self) -> None:
        self.time = TUESDAY
        self.luck = 0.5

    def now(self) -> float:
        return self.time

    def chance(self) -> float:
        return self.luck


@dataclass
class Stage:
    """A node that shall be real-time, and what its agent works with."""

    scene: Scene
    effects: Clocked
    context: Context

    @property
    def node(self):
        return self.scene.node

    @property
    def record(self) -> Record:
        return load_record(self.node.paths)

    @property
    def ran(self) -> list[str]:
        """The occasions of the hooks that have run, in their order."""
        trace = self.node.paths.below("/var/trace")
        return trace.read_text().split() if trace.exists() else []

    def hook(self, occasion: str, script: str = "") -> None:
        """An administrator's program."""
        place = self.node.paths.below(f"/etc/mcd-rt/{occasion}.d/50-story")
        place.parent.mkdir(parents=True, exist_ok=True)
        trace = self.node.paths.below("/var/trace")
        place.write_text(f"#!/bin/sh\necho {occasion} >> {trace}\n{script}\n")
        place.chmod(0o755)

    def configure(self, text: str) -> None:
        """Other settings, and what a reload makes of them."""
        configure(self.node, text)
        self.context = replace(self.context, settings=load_settings(self.node.paths))

    def restart(self) -> None:
        """The agent's next process: what it had in mind is gone."""
        reporter = Reporter(self.effects, self.node.paths)
        self.context = replace(self.context, reporter=reporter, lock_seen=LockSeen())

    async def rest(self, **asked: bool) -> Outcome:
        """Passes until one does not go on by itself; ``reboot_now`` as ``mcd-rt reboot`` says it."""
        while isinstance(outcome := await run_pass(replace(self.context, **asked)), Progressed):
            pass
        failure = getattr(outcome, "failure", None)
        if not isinstance(outcome, GoingDown) and (failure is None or isinstance(failure, Failure)):
            self.context.reporter.enter(
                getattr(outcome, "state", self.context.reporter.status.state),
                getattr(outcome, "summary", ""),
                failure,
                getattr(outcome, "until", None),
                awaiting=getattr(outcome, "awaiting", None),
            )
        return outcome

    async def reboots(self, **asked: bool) -> None:
        """The next rest is a reboot, which comes."""
        before = self.node.reboots
        outcome = await self.rest(**asked)
        assert isinstance(outcome, GoingDown), outcome
        await self.node.wait(Rebooted, before + 1)
        self.restart()


@asynccontextmanager
async def staged(monkeypatch: pytest.MonkeyPatch, settings: str) -> AsyncIterator[Stage]:
    """A node that fetched what it needs and has these settings; the passes are the test's to run."""
    async with open_scene() as scene:
        for key, value in scene.node.environment.items():
            monkeypatch.setenv(key, value)
        fill_cache(scene)
        configure(scene.node, settings)
        scene.ask_for(KernelType.REALTIME)
        effects = Clocked()
        reporter = Reporter(effects, scene.node.paths)
        yield Stage(scene, effects, Context(scene.node.paths, load_settings(scene.node.paths), effects, reporter))
