"""What fetches are measured on: a host, a vendor's signed packages, a registry, podman with a storage of its own.

Everything is in a network of its own, so that the bytes on loopback are those of the fetch and nobody else's.
"""

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from mcd_rt.model.image import ImageReference
from mcd_rt.sim.image import Layer, write_layout
from tests.bench.figures import MEGABYTE
from tests.bench.measure import Cost, measure, peak_memory, raise_loopback
from tests.system.conftest import Vendor, write_host
from tests.system.registry import Registry, run_registry
from tests.system.rpms import PACKAGES, build_rpms, end_agent, make_signer, sign_rpms

PODMAN = "podman, mount, copy"
PROXY = "skopeo's proxy alone"
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
class Turns:
    """What the two ways cost, in turns; ``alone``: the newest layer by skopeo's proxy, and nothing done with it."""

    ours: tuple[Cost, ...]
    theirs: tuple[Cost, ...]
    alone: tuple[Cost, ...]


@dataclass(frozen=True)
class Ground:
    """Where everything is; ``one`` is the module that does ours."""

    place: Path
    root: Path
    podman: dict[str, str]
    vendor: Vendor
    registry: Registry

    def publish(self, layers: Sequence[Layer], *, commit: str = "") -> ImageReference:
        """An image of these layers in the registry, and nowhere else."""
        layout_place = self.place / "layout"
        labels = {"com.coreos.ostree-commit": commit} if commit else {}
        layout = write_layout(layout_place, layers, tag="rt", architecture="x86_64", labels=labels)
        digest = self.registry.push(f"oci:{layout.place}:rt", "ocp/os:rt")
        shutil.rmtree(layout_place)
        return ImageReference(f"{self.registry.host}/ocp/os", "", digest, layout=False)

    def turns(self, image: ImageReference, rounds: int, *options: str) -> Turns:
        """The ways in turns; ``options`` are for ours."""
        memory = self._memory(image, options)  # first: it warms what the other rounds find warm
        costs: tuple[list[Cost], list[Cost], list[Cost]] = ([], [], [])
        for _ in range(rounds):
            costs[0].append(replace(self.ours(image, *options), memory=memory[0]))
            costs[1].append(replace(self.theirs(image), memory=memory[1]))
            costs[2].append(self.alone(image))
        return Turns(*map(tuple, costs))

    def ours(self, image: ImageReference, *options: str) -> Cost:
        """Fetch, verify and keep the packages, as the agent does."""
        command, environment = self._our_command(image, options)
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

    def alone(self, image: ImageReference) -> Cost:
        """The newest layer through skopeo's proxy."""
        command = [sys.executable, "-m", "tests.bench.proxy", str(self.root), str(image)]
        return measure(command, self._our_environment())

    def _memory(self, image: ImageReference, options: Sequence[str]) -> tuple[float, float]:
        """Of what the two ways start: the workers and skopeo, the shell and podman. A round that is not timed."""
        ours = peak_memory(*self._our_command(image, options), itself=False)
        command, environment = self._their_command(image)
        theirs = peak_memory(command, environment, itself=True)
        measure(["sh", "-c", _CLEAN], environment)
        return ours, theirs

    def _our_command(self, image: ImageReference, options: Sequence[str]) -> tuple[list[str], dict[str, str]]:
        shutil.rmtree(self.root / "var", ignore_errors=True)
        command = [sys.executable, "-m", "tests.bench.one", *options, str(self.root), str(image), *NAMES]
        return command, self._our_environment()

    def _our_environment(self) -> dict[str, str]:
        """What is installed has been compiled: here the first round does that."""
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        return environment | {"PYTHONPYCACHEPREFIX": str(self.place / "bytecode")}

    def _their_command(self, image: ImageReference) -> tuple[list[str], dict[str, str]]:
        target = self.place / "copied"
        shutil.rmtree(target, ignore_errors=True)
        return ["sh", "-c", _PODMAN], self.podman | {"IMAGE": str(image), "TARGET": str(target)}


def on_ground(module: str, run: Callable[[Path], None]) -> None:
    """Run a benchmark in a network of its own: the module is started once more there, with the same arguments."""
    if "--inside" not in sys.argv:
        unshare = ["unshare", "--net", "--mount", sys.executable, "-m", module, *sys.argv[1:], "--inside"]
        os.execvp(unshare[0], unshare)
    raise_loopback()
    with TemporaryDirectory(prefix="mcd-rt-bench-", dir="/var/tmp") as place:
        run(Path(place))


@contextmanager
def open_ground(place: Path, scale: float) -> Iterator[Ground]:
    """Build the packages, and run the registry until the block ends."""
    signer = make_signer(place / "gpg")
    try:
        rpms = build_rpms(place / "rpms", {name: int(size * scale) for name, size in RPM_BYTES.items()})
        sign_rpms(rpms, signer)
    finally:
        end_agent(signer)
    vendor = Vendor(signer, tuple(rpms))
    with run_registry(place / "registry") as registry:
        root = write_host(place / "host", vendor, insecure=(registry.host,))
        yield Ground(place, root, _podman(place, root), vendor, registry)


def _podman(place: Path, root: Path) -> dict[str, str]:
    """The environment in which podman has a storage of its own."""
    (place / "containers.conf").write_text(_CONTAINERS_CONF)
    storage = {"driver": "overlay", "graphroot": str(place / "graph"), "runroot": str(place / "run")}
    lines = [f"{key} = {json.dumps(value)}" for key, value in storage.items()]
    (place / "storage.conf").write_text("\n".join(["[storage]", *lines, ""]))
    return os.environ | {
        "CONTAINERS_CONF": str(place / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(place / "storage.conf"),
        "CONTAINERS_REGISTRIES_CONF": str(root / "etc/containers/registries.conf"),
        "POLICY": str(root / "etc/containers/policy.json"),
    }
