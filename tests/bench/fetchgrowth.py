"""How the cost of a fetch grows: with the size of the image, in one layer and in two, and with the number of layers.

``python -m tests.bench.fetchgrowth [--quick]``, as root: as ``tests.bench.fetch``, with small packages.
"""

import hashlib
from pathlib import Path
from statistics import median

from mcd_rt.model.image import ImageReference
from mcd_rt.sim.image import Layer
from tests.bench.effort import Effort, effort
from tests.bench.figures import MEGABYTE, Curve, tell
from tests.bench.ground import PODMAN, Ground, on_ground, open_ground

ROUNDS = 3
SIZES = (1, 100, 200, 400)
LAYERS = (2, 10, 30, 60)
_SCALE = 0.1  # of the packages
_OURS = "mcd-rt"
_EACH = MEGABYTE // 2


def measure(place: Path, how: Effort) -> list[Curve]:
    sized = Curve("fetch-size", "A fetch, with the size of the rest of the image", "MB", "s")
    layered = Curve("fetch-layers", "A fetch, with the number of layers", "layers", "s")
    with open_ground(place, _SCALE if not how.quick else how.scale) as ground:
        packages = {**ground.vendor.files}
        for size in how.points(SIZES):
            system = {"srv/repo/objects": _bytes(size * MEGABYTE, "os")}
            _add(sized, size, ", two layers", ground, ground.publish([Layer(system), Layer(packages)]), how)
            _add(sized, size, ", one layer", ground, ground.publish([Layer({**packages, **system})]), how)
        for count in how.points(LAYERS):
            others = [Layer({f"srv/{number}": _bytes(_EACH, str(number))}) for number in range(count - 1)]
            _add(layered, count, ", packages in the last", ground, ground.publish([*others, Layer(packages)]), how)
            _add(layered, count, ", packages in the first", ground, ground.publish([Layer(packages), *others]), how)
    return [sized, layered]


def _add(curve: Curve, x: int, what: str, ground: Ground, image: ImageReference, how: Effort) -> None:
    rounds = [(ground.ours(image), ground.theirs(image)) for _ in range(how.rounds(ROUNDS))]
    for way, costs in zip((_OURS, PODMAN), zip(*rounds, strict=True), strict=True):
        curve.lines.setdefault(way + what, []).append((x, median(cost.seconds for cost in costs)))


def _bytes(size: int, seed: str) -> bytes:
    return hashlib.shake_256(seed.encode()).digest(size)


if __name__ == "__main__":
    on_ground("tests.bench.fetchgrowth", lambda place: tell((), measure(place, effort())))
