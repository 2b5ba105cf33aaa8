"""The real process, with real workers, killed by a real SIGKILL: once at an effect of each kind."""

import asyncio
import os
import random
import sys
from contextlib import suppress
from pathlib import Path

from mcd_rt.sim.node import SimulatedNode
from mcd_rt.sim.process import AgentExited, AgentSaid
from tests.reliability.beginning import open_bench
from tests.reliability.bench import Bench
from tests.reliability.cuts import Survey, survey
from tests.reliability.invariants import broken_in_the_end
from tests.reliability.scenarios import SCENARIOS
from tests.reliability.states import End, Start, bare
from tests.reliability.sweep import worker_pool
from tests.reliability.tally import Row, Tally

KINDS = (
    "create",
    "write",
    "fsync",
    "rename",
    "fsync_directory",
    "remove",
    "make_directory",
    "remove_directory",
    "spawn",
    "mutate",
)
_QUICK = 2
_PATIENCE = 60.0
_SCENARIO = "fetch after a death"
"""The one that has effects of every kind."""


def run(quick: bool, seed: int) -> Tally:
    """Kill at one effect of each kind, or with ``quick`` of some kinds; ``seed`` chooses."""
    [scenario] = [one for one in SCENARIOS if one.name == _SCENARIO]
    with worker_pool() as pool:
        surveyed = pool.submit(_survey, scenario).result()
        chance = random.Random(seed)
        kinds = chance.sample(KINDS, _QUICK) if quick else KINDS
        jobs = [(surveyed, kind, chance.randint(1, _count(surveyed, kind))) for kind in kinds]
        broken = [what for found in pool.map(_kill, jobs) for what in found]
    row = Row("SIGKILL of the real process", len(surveyed.seen), len(jobs))
    return Tally("cut points", len(jobs), tuple(broken), (row,))


def _survey(scenario) -> Survey:
    return asyncio.run(survey(scenario))


def _count(surveyed: Survey, kind: str) -> int:
    return sum(one.effect.kind == kind for one in surveyed.seen)


def _kill(job: tuple[Survey, str, int]) -> list[str]:
    surveyed, kind, nth = job
    found = asyncio.run(_killed(surveyed, kind, nth))
    return [f"{surveyed.scenario.name}: SIGKILL before {kind} {nth}: {what}" for what in found]


async def _killed(surveyed: Survey, kind: str, nth: int) -> list[str]:
    async with open_bench(surveyed.scenario) as (bench, start):
        await bench.put_back(start, surveyed.scenario)
        node = bench.node
        node.faults.reboot_stuck = False
        rests = asyncio.Event()
        node._on_event = lambda event: _hear(event, rests)
        mark = node.root.parent / "killed"
        await node.run_agent([sys.executable, "-m", "tests.reliability.mortal", str(mark), kind, str(nth)])
        try:
            async with asyncio.timeout(_PATIENCE):
                await rests.wait()
        except TimeoutError:
            return [f"no rest after {_PATIENCE:g} s: {node.agent_log.read_text()[-500:]}"]
        broken = [] if mark.exists() and _died(node) else ["it was not killed"]
        await node._agent.stop()
        return broken + await _broken_in_the_end(bench, start, surveyed)


async def _broken_in_the_end(bench: Bench, start: Start, surveyed: Survey) -> list[str]:
    promise, booted = surveyed.promise, bench.node.booted
    [end] = [end for wish, end in promise.ends[:1]]
    reached = End(end.state, end.code, (bare(booted.tree), booted.kernel_arguments), bench.node.reboots)
    bench.asked_reboots = bench.node.reboots
    broken = broken_in_the_end(bench.finish(reached), start, promise, power_cut=False)
    return broken + [f"a child outlived it: {command}" for command in await _orphans(bench.node)]


def _hear(event: object, rests: asyncio.Event) -> None:
    if isinstance(event, AgentSaid) and event.text.startswith("steady"):
        rests.set()


def _died(node: SimulatedNode) -> bool:
    return [event.code for event in node.events if isinstance(event, AgentExited)].count(-9) == 1


async def _orphans(node: SimulatedNode) -> list[str]:
    """Children of the dead agent that do not end by themselves once nobody listens."""
    return [command for pid, command in _processes_on(node) if not await _ends(pid)]


def _processes_on(node: SimulatedNode) -> list[tuple[int, str]]:
    mark, found = str(node.root).encode(), []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # gone meanwhile, or not ours
            if mark in (process / "environ").read_bytes():
                found.append((int(process.name), (process / "cmdline").read_text().replace("\0", " ")))
    return found


async def _ends(pid: int) -> bool:
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(watched, ended.set)
    try:
        async with asyncio.timeout(5):
            await ended.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(watched)
        os.close(watched)
    return True
