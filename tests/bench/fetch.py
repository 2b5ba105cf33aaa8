"""The fetch beside the proposal's own way to the packages (podman pull, create, mount, copy), in one run.

``python -m tests.bench.fetch [--rounds N] [--scale F]``: real registry, signed packages, images of about 386 MB, one
with the packages in a layer of their own and one with everything in a single layer. The two ways take turns.
Ours verifies signatures as well, which the other does not. Both are timed from where a daemon that runs decides
that it needs the packages: the interpreter of the agent has started, those of its workers have not.
"""

import argparse
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from mcd_rt.model.image import ImageReference
from mcd_rt.sim.image import Layer, write_layout
from tests.bench.measure import Cost, measure, peak_memory, raise_loopback
from tests.bench.table import MEGABYTE, Goal, Row, show
from tests.system.conftest import Vendor, write_host
from tests.system.registry import Registry, run_registry
from tests.system.rpms import PACKAGES, build_rpms, end_agent, make_signer, sign_rpms

OS_BYTES = 315 * MEGABYTE
RPM_BYTES = {"core": 36 * MEGABYTE, "modules": 28 * MEGABYTE, "modules-extra": 7 * MEGABYTE}
NAMES = tuple(f"kernel-rt-{name}" for name in PACKAGES)
WAYS = ("mcd-rt", "podman, mount, copy")

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
        command, environment = self._our_command(image)
        cost = measure(command, environment)
        found = list((self.root / "var/cache/mcd-rt").glob("*/*.rpm"))
        assert len(found) == len(NAMES), found
        return cost

    def theirs(self, image: ImageReference) -> Cost:
        """Pull, create, mount, copy, as the proposal says."""
        command, environment = self._their_command(image)
        cost = measure(command, environment)
        assert len(list((self.place / "copied").iterdir())) == len(NAMES)
        measure(["sh", "-c", _CLEAN], environment)
        return cost

    def memory(self, image: ImageReference) -> tuple[float, float]:
        """Of what the two ways start: the workers and skopeo, the shell and podman. A round that is not timed."""
        ours = peak_memory(*self._our_command(image), itself=False)
        command, environment = self._their_command(image)
        theirs = peak_memory(command, environment, itself=True)
        measure(["sh", "-c", _CLEAN], environment)
        return ours, theirs

    def _our_command(self, image: ImageReference) -> tuple[list[str], dict[str, str]]:
        shutil.rmtree(self.root / "var", ignore_errors=True)
        # What is installed has been compiled: here the first round does that.
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPYCACHEPREFIX"] = str(self.place / "bytecode")
        return [sys.executable, "-m", "tests.bench.one", str(self.root), str(image), *NAMES], environment

    def _their_command(self, image: ImageReference) -> tuple[list[str], dict[str, str]]:
        target = self.place / "copied"
        shutil.rmtree(target, ignore_errors=True)
        return ["sh", "-c", _PODMAN], self.podman | {"IMAGE": str(image), "TARGET": str(target)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="of the sizes of the images")
    parser.add_argument("--inside", action="store_true", help="(in a network of its own)")
    arguments = parser.parse_args()
    if arguments.inside:
        raise_loopback()
        with TemporaryDirectory(prefix="mcd-rt-bench-", dir="/var/tmp") as place:
            _run(Path(place), arguments.rounds, arguments.scale)
    else:
        os.execvp(
            "unshare",
            ["unshare", "--net", "--mount", sys.executable, "-m", "tests.bench.fetch", *sys.argv[1:], "--inside"],
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
    size = sum(map(len, packages.values())) / MEGABYTE
    cases = {
        "two layers: the packages in one of their own": ([Layer(system), Layer({**packages})], 0.13, size),
        "one layer: the packages among everything else": ([Layer({**packages, **system})], 0.5, None),
    }
    with run_registry(place / "registry") as registry:
        bench = _bench(place, vendor, registry)
        for title, (layers, time, network) in cases.items():
            layout = write_layout(place / "layout", layers, tag="rt", architecture="x86_64")
            digest = registry.push(f"oci:{layout.place}:rt", "ocp/os:rt")
            image = ImageReference(f"{registry.host}/ocp/os", "", digest, layout=False)
            costs = _turns(bench, image, rounds)
            print(
                show(
                    f"{title}; {rounds} rounds in turns: median (lowest-highest)",
                    WAYS,
                    _rows(time, network, size),
                    costs,
                )
            )
            print(flush=True)


def _rows(time: float, network: float | None, packages: float) -> tuple[Row, ...]:
    """The goals, in what the rows are in: a part of the other way's time, megabytes."""
    layer = None if network is None else Goal(network * 1.02)  # with its manifest and what TCP adds to it
    return (
        Row("time", "s", lambda cost: cost.seconds, Goal(time, relative=True)),
        Row("processors", "s", lambda cost: cost.processor),
        Row("network", "MB", lambda cost: cost.network / MEGABYTE, layer),
        Row("written", "MB", lambda cost: cost.written / MEGABYTE, Goal(packages * 1.1)),
        Row("memory", "MB", lambda cost: cost.memory / MEGABYTE, Goal(64)),
    )


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


def _turns(bench: Bench, image: ImageReference, rounds: int) -> tuple[Sequence[Cost], Sequence[Cost]]:
    memory = bench.memory(image)  # first: it warms what the other rounds find warm
    costs: tuple[list[Cost], list[Cost]] = ([], [])
    for _ in range(rounds):
        costs[0].append(replace(bench.ours(image), memory=memory[0]))
        costs[1].append(replace(bench.theirs(image), memory=memory[1]))
    return costs


if __name__ == "__main__":
    main()
