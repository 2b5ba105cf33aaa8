"""Random stories: a scenario, and one interruption after another before it may settle."""

import asyncio
import random
from dataclasses import replace

from mcd_rt.errors import AgentError
from mcd_rt.model.state import State
from tests.effects_double import EffectsDouble, Killed
from tests.reliability.beginning import open_bench
from tests.reliability.bench import Bench
from tests.reliability.cuts import PATIENCE, Survey, after_death, survey
from tests.reliability.invariants import broken_at_an_instant, broken_by_leaks, broken_in_the_end, held
from tests.reliability.points import Point, Way
from tests.reliability.scenarios import SCENARIOS
from tests.reliability.states import Start
from tests.reliability.sweep import worker_pool
from tests.reliability.tally import Row, Tally

_DEADLY = (Way.STOP, Way.STOP, Way.POWER_LOST, Way.POWER_TORN)
_MOST_CUTS = 5
_BRAKE = "\n[reboot]\nattempts_per_target = 100\nper_day = 100\n"
"""Power cuts in a row look like a target that does not come up; the brake has scenarios of its own."""

_STORIES = tuple(one for one in SCENARIOS if one.ends is not State.HELD)
_BLOCK = 20
"""Stories of one scenario on one bench."""


def run(stories: int, seed: int) -> Tally:
    """That many stories, which ``seed`` chooses; one that breaks a promise names its own seed."""
    blocks = [(f"{seed}/{number}", min(_BLOCK, stories - number)) for number in range(0, stories, _BLOCK)]
    with worker_pool() as pool:
        results = list(pool.map(_block, blocks))
    cuts = sum(cut for cut, _broken in results)
    broken = tuple(what for _cuts, some in results for what in some)
    return Tally("cut points", cuts, broken, (Row("soak", stories, cuts),))


def _block(block: tuple[str, int]) -> tuple[int, list[str]]:
    return asyncio.run(_stories(*block))


async def _stories(seed: str, count: int) -> tuple[int, list[str]]:
    chance = random.Random(seed)
    surveyed = await survey(chance.choice([replace(one, settings=_BRAKE + one.settings) for one in _STORIES]))
    cuts, broken = 0, []
    async with open_bench(surveyed.scenario) as (bench, start):
        for _ in range(count):
            points = _choose(surveyed, chance)
            found = await _story(bench, start, surveyed, points)
            cuts += len(points)
            told = "; then ".join(f"{point.way.value} effect {point.nth}" for point in points)
            broken += [f"{surveyed.scenario.name}, block {seed}: {told}: {what}" for what in found]
    return cuts, broken


def _choose(surveyed: Survey, chance: random.Random) -> list[Point]:
    seen = surveyed.seen
    numbers = [chance.randint(1, len(seen)) for _ in range(chance.randint(2, _MOST_CUTS))]
    return [Point(nth, seen[nth - 1].effect, chance.choice(_DEADLY)) for nth in numbers]


async def _story(bench: Bench, start: Start, surveyed: Survey, points: list[Point]) -> list[str]:
    broken: list[str] = []
    await bench.put_back(start, surveyed.scenario)
    before = held()
    bench.on_change = lambda: broken.extend(broken_at_an_instant(bench.instant, start, surveyed.promise))
    power_cuts = 0
    try:
        async with asyncio.timeout(PATIENCE):
            for point in points:
                watched = bench.effects()
                double = EffectsDouble(watched)
                double.kill(point.nth)
                try:
                    await bench.settle(double)
                except Killed:
                    await after_death(bench, watched, point)
                    power_cuts += point.way is not Way.STOP
            finish = await bench.settle(EffectsDouble(bench.effects()))
        allowed = surveyed.promise.tolerating(power_cuts)
        broken += broken_in_the_end(finish, start, allowed, power_cut=power_cuts > 0)
    except TimeoutError:
        broken.append(f"no end after {PATIENCE:g} s")
    except AgentError as error:
        broken.append(f"the agent could not start: {error.failure}")
    finally:
        bench.on_change = lambda: None
    return list(dict.fromkeys(broken)) + await broken_by_leaks(before)
