"""The fetch beside the proposal's own way to the packages (podman pull, create, mount, copy), in turns.

``python -m tests.bench.fetch [--quick]``, as root: real registry, signed packages, images of about 386 MB, one
with the packages in a layer of their own and one with everything in a single layer.
Ours verifies signatures as well, which the other does not. Both are timed from where a daemon that runs decides
that it needs the packages: the interpreter of the agent has started, those of its workers have not.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

from mcd_rt.sim.image import Layer
from tests.bench.effort import Effort, effort
from tests.bench.figures import MEGABYTE, Figure, Goal, tell
from tests.bench.ground import OS_BYTES, PODMAN, PROXY, Turns, on_ground, open_ground
from tests.bench.measure import Cost

ROUNDS = 5


def figures_of(what: str, turns: Turns, goals: dict[str, Goal]) -> list[Figure]:
    """Everything a fetch cost, each with its goal."""
    kinds: tuple[tuple[str, str, Callable[[Cost], float]], ...] = (
        ("time", "s", lambda cost: cost.seconds),
        ("CPU", "s", lambda cost: cost.processor),
        ("network", "MB", lambda cost: cost.network / MEGABYTE),
        ("written", "MB", lambda cost: cost.written / MEGABYTE),
        ("memory of what it starts", "MB", lambda cost: cost.memory / MEGABYTE),
    )
    return [
        Figure(
            f"{what}: {kind}",
            unit,
            tuple(map(of, turns.ours)),
            PODMAN,
            tuple(map(of, turns.theirs)),
            goals.get(kind),
        )
        for kind, unit, of in kinds
    ]


def beside_proxy(what: str, turns: Turns) -> Figure:
    """The time, beside that of what no fetch by way of skopeo can do without."""
    ours, alone = ([cost.seconds for cost in costs] for costs in (turns.ours, turns.alone))
    return Figure(f"{what}: time, the layer alone beside it", "s", tuple(ours), PROXY, tuple(alone))


def measure(place: Path, how: Effort) -> list[Figure]:
    with open_ground(place, how.scale) as ground:
        packages = {**ground.vendor.files}
        system = {"srv/repo/objects": hashlib.shake_256(b"os").digest(int(OS_BYTES * how.scale))}
        size = sum(map(len, packages.values())) / MEGABYTE
        always = {"written": Goal(size * 1.1), "memory of what it starts": Goal(64)}
        rounds = how.rounds(ROUNDS)
        two = ground.turns(ground.publish([Layer(system), Layer(packages)]), rounds)
        one = ground.turns(ground.publish([Layer({**packages, **system})]), rounds)
    own = Goal(size * 1.02)  # the layer, with the image's manifest and what TCP adds to it
    return [
        *figures_of("fetch, two layers", two, always | {"time": Goal(0.13, relative=True), "network": own}),
        beside_proxy("fetch, two layers", two),
        *figures_of("fetch, one layer", one, always | {"time": Goal(0.5, relative=True)}),
        beside_proxy("fetch, one layer", one),
    ]


if __name__ == "__main__":
    on_ground("tests.bench.fetch", lambda place: tell(measure(place, effort())))
