"""From a new config on the disk to ``UpdateDeployment`` on the bus, the packages cached and verified."""

import asyncio
import time

from mcd_rt.content import cache
from mcd_rt.effects import HostEffects
from mcd_rt.model.kernel import KernelType
from mcd_rt.settings import load_settings
from tests.bench.effort import Effort, effort
from tests.bench.figures import Figure, Goal, tell
from tests.bench.nodes import Steady, rendered, steady_node

ROUNDS = 5


async def measure(how: Effort) -> list[Figure]:
    latencies = []
    async with steady_node(KernelType.REALTIME) as steady:
        settle = load_settings(steady.node.paths).node_config.settle
        for _ in range(how.rounds(ROUNDS)):
            await steady.switch(KernelType.DEFAULT)
            latencies.append((await _latency(steady) - settle - _hashing(steady)) * 1000)
    return [
        Figure(
            "a new config to UpdateDeployment, without settle time and hashing", "ms", tuple(latencies), goal=Goal(60)
        )
    ]


async def _latency(steady: Steady) -> float:
    """Seconds."""
    steady.calls.clear()
    config = rendered(KernelType.REALTIME, steady.scene)
    written = time.perf_counter()
    steady.scene.write_config(config)
    await steady.told.wait_for("steady", contains="realtime is wanted and runs")
    return next(call.at for call in steady.calls if call.member == "UpdateDeployment") - written


def _hashing(steady: Steady) -> float:
    """Seconds that it takes to compare the packages with their digests, which are small here."""
    manifest = next(steady.node.paths.cache.glob("*/content.json"))
    entry = cache.decode_entry(manifest.read_bytes())
    begun = time.perf_counter()
    with cache.open_packages(HostEffects(), steady.node.paths, entry.content.digest, entry.content.packages):
        return time.perf_counter() - begun


if __name__ == "__main__":
    tell(asyncio.run(measure(effort())))
