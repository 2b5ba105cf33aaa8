"""``os.manage = "image"`` with machine-os-content: which OS it is, its repository and its packages, beside podman.

``python -m tests.bench.image [--quick]``, as root. The image is the two-layer one of ``tests.bench.fetch``, with a
real ostree repository in ``srv/repo``. The other way leaves the repository in its mount, where rpm-ostree reads it, and
copies the packages. What rpm-ostree writes afterwards is the same for both, and in neither.
"""

import hashlib
from pathlib import Path

from mcd_rt.sim.image import Layer
from mcd_rt.sim.ostree import OstreeOs, build_os
from tests.bench.effort import Effort, effort
from tests.bench.fetch import figures_of
from tests.bench.figures import Figure, Goal, tell
from tests.bench.ground import OS_BYTES, on_ground, open_ground

ROUNDS = 3
LARGE, SMALL = 60, 4000
"""How many files the OS has: the large ones are nearly all of its bytes, the small ones most of its files."""
_SMALL_BYTES = 3000
_KERNELS = ("kernel-5.14.0-284.el9.x86_64", "kernel-core-5.14.0-284.el9.x86_64")


def system_of(size: int, small: int) -> OstreeOs:
    """An OS with files of about so many bytes, of nothing that can be packed."""
    each = (size - small * _SMALL_BYTES) // LARGE
    files = {f"large{number:03}": hashlib.shake_256(b"%d" % number).digest(each) for number in range(LARGE)}
    files |= {f"small{number:05}": hashlib.shake_256(b"s%d" % number).digest(_SMALL_BYTES) for number in range(small)}
    return build_os("416.94", _KERNELS, "5.14.0-284.el9.x86_64", files=files)


def measure(place: Path, how: Effort) -> list[Figure]:
    with open_ground(place, how.scale) as ground:
        system = system_of(int(OS_BYTES * how.scale), int(SMALL * how.scale))
        repository = {f"srv/repo/{name}": data for name, data in system.repository().items()}
        image = ground.publish([Layer(repository), Layer({**ground.vendor.files})], commit=system.checksum)
        turns = ground.turns(image, how.rounds(ROUNDS), "--os")
    return figures_of("image mode with srv/repo", turns, {"written": Goal(0.6, relative=True)})


if __name__ == "__main__":
    on_ground("tests.bench.image", lambda place: tell(measure(place, effort())))
