"""The beginning of a scenario: a booted node with everything its row says."""

import functools
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from mcd_rt.content.cache import OS
from mcd_rt.content.fetch import fetch_content
from mcd_rt.content.osentry import store_os_image
from mcd_rt.model.image import ImageReference
from mcd_rt.model.kernel import KernelType, flavor_of
from mcd_rt.model.nevra import Nevra
from mcd_rt.model.osimage import OsForm, OsImage
from mcd_rt.model.state import State
from mcd_rt.settings import load_settings
from mcd_rt.sim.bases import Release, base_of
from mcd_rt.sim.image import Layer, kernel_rt_packages, write_layout
from mcd_rt.sim.node import SimulatedNode
from mcd_rt.sim.osimages import write_machine_os_content
from mcd_rt.sim.ostree import build_os
from mcd_rt.sim.scene import write_settings
from mcd_rt.sim.world import Base, Deployment, Origin, System, Tree, stage
from tests.effects_double import EffectsDouble
from tests.reliability.bench import SURVIVING, Bench
from tests.reliability.scenarios import REPOSITORY, Cache, Layers, Scenario
from tests.reliability.states import Start

_RELEASES = ("284.rt14.284.el9", "300.rt14.300.el9")


@dataclass(frozen=True)
class Published:
    """The images, where they lie (until this process ends), and what a fetch of them leaves in a cache.

    The OS of each in its order; that of the last one is in it, and never in a cache at the beginning.
    """

    place: TemporaryDirectory[str]
    images: tuple[ImageReference, ...]
    bases: tuple[Base, ...]
    fetched: dict[Path, bytes] = field(default_factory=dict)


@functools.cache
def published() -> Published:
    """The same for every bench of this process, and of those that are forked from it from now on."""
    place = TemporaryDirectory(prefix="mcd-rt-bench-")
    images = [_image(Path(place.name) / release, release) for release in _RELEASES]
    bases = [base_of(Release.EL9, str(image)) for image in images]
    whole, base = _whole_image(Path(place.name) / "whole")
    return Published(place, (*images, whole), (*bases, base))


@asynccontextmanager
async def open_bench(scenario: Scenario) -> AsyncIterator[tuple[Bench, Start]]:
    """A node at the beginning of a scenario, and that beginning; nothing stays behind."""
    images = published().images
    async with SimulatedNode(published().bases, profile=scenario.profile) as node:
        os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = node.environment["DBUS_SYSTEM_BUS_ADDRESS"]
        write_settings(node, scenario.settings)
        bench = Bench(node, images)
        yield bench, await _arranged(bench, scenario)


async def _arranged(bench: Bench, scenario: Scenario) -> Start:
    node = bench.node
    for place in SURVIVING:
        (node.root / place).mkdir(parents=True)
    node.rpm_ostree.system = _system(node.rpm_ostree.system, scenario)
    await _fill_cache(bench)
    await bench.put_back(bench.take())
    for wish in scenario.earlier:
        bench.wish(wish)
        end = (await bench.settle(EffectsDouble(bench.effects()))).end
        assert end.state is State.STEADY, f"{scenario.name} cannot begin: {end}"
    if scenario.earlier:
        await _fill_cache(bench)  # a steady agent keeps only what it needs
    if scenario.rolled_back:
        system = node.rpm_ostree.system
        node.rpm_ostree.system = replace(system, deployments=system.deployments[::-1])
        await bench.reboot()
    if scenario.staged is not None:
        system = node.rpm_ostree.system
        tree = _layered(system.merge.tree, scenario.staged.layers)
        arguments = _arguments(system.merge, scenario.staged.layers)
        node.rpm_ostree.system = stage(system, tree, arguments, locked=scenario.staged.locked)
    _change_cache(node.paths.cache, scenario.cache)
    bench.wish(scenario.wish)
    return bench.take()


def _image(place: Path, release: str) -> ImageReference:
    return write_layout(
        place, [Layer(kernel_rt_packages("5.14.0", release, "x86_64", 9))], tag="latest", architecture="x86_64"
    )


def _whole_image(place: Path) -> tuple[ImageReference, Base]:
    """Machine-os-content: an OS, in a repository, and the packages beside it."""
    known = base_of(Release.EL9_NEXT)
    system = build_os(known.version, known.packages, known.kernel_release)
    packages = kernel_rt_packages("5.14.0", _RELEASES[1], "x86_64", 9)
    image = write_machine_os_content(place, system, packages)
    return image, replace(base_of(Release.EL9_NEXT, str(image)), checksum=system.checksum)


def _system(system: System, scenario: Scenario) -> System:
    installed = system.booted
    tree = _layered(installed.tree, scenario.others)
    checksum = "c" * 64 if tree.layered else tree.base.checksum
    booted = replace(installed, tree=tree, checksum=checksum, kernel_arguments=_arguments(installed, scenario.others))
    pinned = replace(installed, booted=False, pinned=True, serial=7)
    deployments = (booted, pinned) if scenario.pinned else (booted,)
    return replace(system, deployments=deployments, repository=REPOSITORY)


def _layered(tree: Tree, layers: Layers) -> Tree:
    old = tree.origin
    return replace(
        tree,
        origin=Origin(
            old.refspec,
            old.custom,
            tuple(sorted({*old.packages, *layers.packages})),
            tuple(sorted({*old.local, *layers.local}, key=lambda rpm: rpm.nevra)),
            tuple(sorted({*old.removals, *layers.removals})),
            tuple(sorted({*old.replacements, *layers.replacements}, key=lambda rpm: rpm.nevra)),
        ),
    )


def _arguments(deployment: Deployment, layers: Layers) -> str:
    return " ".join(filter(None, (deployment.kernel_arguments, layers.arguments)))


def kernel_names() -> tuple[str, ...]:
    """The header names that the agent asks for with the real-time kernel."""
    flavor = flavor_of(KernelType.REALTIME)
    assert flavor is not None
    return flavor.names


async def _fill_cache(bench: Bench) -> None:
    """By a real fetch the first time."""
    cache, fetched = bench.node.paths.cache, published().fetched
    if not fetched:
        await _fetch(bench)
        files = (path for path in cache.rglob("*") if path.is_file())
        fetched.update({path.relative_to(cache): path.read_bytes() for path in files})
    for path, data in fetched.items():
        (cache / path).parent.mkdir(parents=True, exist_ok=True)
        (cache / path).write_bytes(data)


async def _fetch(bench: Bench) -> None:
    paths = bench.node.paths
    settings = load_settings(paths).content
    for image in bench.images[:-1]:
        names = kernel_names()
        await fetch_content(
            bench.effects(), settings, paths, image, names, lambda _done, _total: None, architecture="x86_64"
        )
    for base in published().bases[:-1]:
        store_os_image(bench.effects(), paths, _os_of(base))


def _os_of(base: Base) -> OsImage:
    """What a worker would read in the image of a base."""
    kernels = tuple(sorted(Nevra.parse(package) for package in base.packages if package.startswith("kernel")))
    digest = base.image_digest
    return OsImage(digest, OsForm.CONTAINER, base.checksum, base.version, base.kernel_release, "x86_64", kernels)


def _change_cache(cache: Path, wanted: Cache) -> None:
    for entry in cache.iterdir():
        if entry.name == OS:
            continue
        match wanted:
            case Cache.FULL:
                pass
            case Cache.EMPTY:
                shutil.rmtree(entry)
            case Cache.DAMAGED:
                package = entry / "0.rpm"
                data = bytearray(package.read_bytes())
                data[len(data) // 2] ^= 0xFF
                package.write_bytes(data)
            case Cache.LITTERED:
                (entry / "content.json").rename(entry / ".content.json.new")
    if wanted is Cache.LITTERED:
        (cache / "scratch/copy").mkdir(parents=True)
        (cache / "scratch/copy/blob").write_bytes(b"half")
