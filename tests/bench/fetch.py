"""The fetch beside the proposal's own way to the packages (podman pull, create, mount, copy), in one run.

``python -m tests.bench.fetch [--rounds N] [--scale F]``: real registry, signed packages, images of about 386 MB, one
with the packages in a layer of their own and one with everything in a single layer. The two ways take turns.
Ours verifies signatures as well, which the other does not.
"""

import argparse
import asyncio
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from mcd_rt.content.fetch import fetch_content
from mcd_rt.effects import HostEffects
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.image import ImageReference
from mcd_rt.model.settings import ContentSettings
from mcd_rt.sim.image import Layer, write_layout
from tests.bench.measure import Cost, measure, medians, raise_loopback
from tests.system.conftest import Vendor, write_host
from tests.system.registry import Registry, run_registry
from tests.system.rpms import PACKAGES, build_rpms, end_agent, make_signer, sign_rpms

MEGABYTE = 1_000_000
OS_BYTES = 315 * MEGABYTE
RPM_BYTES = {"core": 36 * MEGABYTE, "modules": 28 * MEGABYTE, "modules-extra": 7 * MEGABYTE}
NAMES = tuple(f"kernel-rt-{name}" for name in PACKAGES)

_CONTAINERS_CONF = """\
[containers]
default_ulimits = ["nofile=1024:20000"]
netns = "host"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
"""
_PODMAN = """\
set -eu
podman pull --quiet --signature-policy "$POLICY" "$IMAGE" >/dev/null
container=$(podman create --quiet --net=none "$IMAGE" true 2>/dev/null)
mounted=$(podman mount "$container")
mkdir -p "$TARGET"
cp "$mounted"/*.rpm "$TARGET"
podman umount "$container" >/dev/null
"""
_CLEAN = "podman rm --force --all >/dev/null; podman rmi --force --all >/dev/null"


@dataclass(frozen=True)
class Bench:
    """Where everything is."""

    place: Path
    root: Path
    podman: dict[str, str]

    def ours(self, image: ImageReference) -> Cost:
        """Fetch, verify and keep the packages, as the agent does."""
        shutil.rmtree(self.root / "var", ignore_errors=True)
        cost = measure([sys.executable, "-m", "tests.bench.fetch", "--one", str(self.root), str(image)], os.environ)
        found = list((self.root / "var/cache/mcd-rt").glob("*/*.rpm"))
        assert len(found) == len(NAMES), found
        return cost

    def theirs(self, image: ImageReference) -> Cost:
        """Pull, create, mount, copy, as the proposal says."""
        shutil.rmtree(self.place / "copied", ignore_errors=True)
        environment = self.podman | {"IMAGE": str(image), "TARGET": str(self.place / "copied")}
        cost = measure(["sh", "-c", _PODMAN], environment)
        assert len(list((self.place / "copied").iterdir())) == len(NAMES)
        measure(["sh", "-c", _CLEAN], environment)
        return cost


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="of the sizes of the images")
    parser.add_argument("--one", nargs=2, metavar=("ROOT", "IMAGE"), help="(what is measured)")
    parser.add_argument("--inside", action="store_true", help="(in a network of its own)")
    arguments = parser.parse_args()
    if arguments.one:
        asyncio.run(_fetch(Path(arguments.one[0]), arguments.one[1]))
    elif arguments.inside:
        raise_loopback()
        with TemporaryDirectory(prefix="mcd-rt-bench-", dir="/var/tmp") as place:
            _run(Path(place), arguments.rounds, arguments.scale)
    else:
        os.execvp(
            "unshare",
            ["unshare", "--net", "--mount", sys.executable, "-m", "tests.bench.fetch", *sys.argv[1:], "--inside"],
        )


async def _fetch(root: Path, image: str) -> None:
    reference = ImageReference.parse(image)
    settings = ContentSettings()
    await fetch_content(
        HostEffects(), settings, HostPaths(root), reference, NAMES, lambda *_: None, architecture="x86_64"
    )


def _run(place: Path, rounds: int, scale: float) -> None:
    signer = make_signer(place / "gpg")
    try:
        sizes = {name: int(size * scale) for name, size in RPM_BYTES.items()}
        rpms = build_rpms(place / "rpms", sizes)
        sign_rpms(rpms, signer)
    finally:
        end_agent(signer)
    vendor = Vendor(signer, tuple(rpms))
    system = {"srv/repo/objects": hashlib.shake_256(b"os").digest(int(OS_BYTES * scale))}
    packages: dict[str, bytes] = vendor.files
    images = {"two layers": [Layer(system), Layer({**packages})], "one layer": [Layer({**packages, **system})]}
    with run_registry(place / "registry") as registry:
        bench = _bench(place, vendor, registry)
        for name, layers in images.items():
            layout = write_layout(place / "layout", layers, tag="rt", architecture="x86_64")
            digest = registry.push(f"oci:{layout.place}:rt", "ocp/os:rt")
            image = ImageReference(f"{registry.host}/ocp/os", "", digest, layout=False)
            _show(name, _turns(bench, image, rounds))


def _bench(place: Path, vendor: Vendor, registry: Registry) -> Bench:
    root = write_host(place / "host", vendor, insecure=(registry.host,))
    (place / "containers.conf").write_text(_CONTAINERS_CONF)
    storage = {"driver": "overlay", "graphroot": str(place / "graph"), "runroot": str(place / "run")}
    lines = [f"{key} = {json.dumps(value)}" for key, value in storage.items()]
    (place / "storage.conf").write_text("\n".join(["[storage]", *lines, ""]))
    podman = os.environ | {
        "CONTAINERS_CONF": str(place / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(place / "storage.conf"),
        "CONTAINERS_REGISTRIES_CONF": str(root / "etc/containers/registries.conf"),
        "POLICY": str(root / "etc/containers/policy.json"),
    }
    return Bench(place, root, podman)


def _turns(bench: Bench, image: ImageReference, rounds: int) -> tuple[Cost, Cost]:
    ways: list[tuple[Callable[[ImageReference], Cost], list[Cost]]] = [(bench.ours, []), (bench.theirs, [])]
    for _ in range(rounds):
        for way, costs in ways:
            costs.append(way(image))
    return medians(ways[0][1]), medians(ways[1][1])


def _show(name: str, costs: tuple[Cost, Cost]) -> None:
    ours, theirs = costs
    print(f"{name}: medians              time    network    written   largest process")
    for who, cost in (("mcd-rt", ours), ("podman pull, create, mount, cp", theirs)):
        print(
            f"  {who:<30} {cost.seconds:6.2f} s {cost.network / MEGABYTE:7.1f} MB {cost.written / MEGABYTE:7.1f} MB"
            f" {cost.memory / MEGABYTE:7.1f} MB"
        )
    ratios = [getattr(ours, kind) / getattr(theirs, kind) for kind in ("seconds", "network", "written", "memory")]
    print(f"  {'ratio':<30} {ratios[0]:6.2f}   {ratios[1]:7.2f}    {ratios[2]:7.2f}    {ratios[3]:7.2f}", flush=True)


if __name__ == "__main__":
    main()
