"""OS releases for stories about updates: what a node of one runs, and what a fetch of its image leaves in the cache.

Their images are nowhere: what the agent would fetch is in its cache before a config names it.
"""

import functools
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from mcd_rt.content import cache
from mcd_rt.content.fingerprint import fingerprint_on_disk
from mcd_rt.content.keys import read_identity
from mcd_rt.content.osentry import repository_of, store_os_image, store_repository
from mcd_rt.content.rpm import inspecting
from mcd_rt.content.trust import DigestsOnly
from mcd_rt.effects import HostEffects
from mcd_rt.model.content import Content, Judge, Package
from mcd_rt.model.image import ImageReference
from mcd_rt.model.kernel import FLAVORS
from mcd_rt.model.nevra import Nevra
from mcd_rt.model.osimage import OsForm, OsImage
from mcd_rt.model.settings import ContentSettings
from mcd_rt.sim.bases import Release, base_of, pivot_origin
from mcd_rt.sim.image import build_rpm, kernel_rt_packages
from mcd_rt.sim.node import ARGUMENTS, SimulatedNode
from mcd_rt.sim.ostree import OstreeOs, build_os
from mcd_rt.sim.profiles import DEFAULT
from mcd_rt.sim.rpmfile import read_rpm
from mcd_rt.sim.scene import KERNEL_RT, write_settings
from mcd_rt.sim.world import Base, Origin, Rpm, System, Tree, name_of
from tests.integration.conftest import Told

IMAGE_MODE = '[os]\nmanage = "image"\n'
REPOSITORY, CONTAINER = OsForm.REPOSITORY, OsForm.CONTAINER
EL9_SUFFIXES = ("core", "modules", "modules-core", "modules-extra", "kvm")


@dataclass(frozen=True)
class KernelRpms:
    """The kernel RPMs of an image, and which image that is."""

    image: ImageReference
    files: tuple[bytes, ...]

    @property
    def rpms(self) -> tuple[Rpm, ...]:
        """As rpm-ostree records them, sorted."""
        return tuple(sorted(map(rpm_of, self.files), key=lambda rpm: rpm.nevra))

    @property
    def nevras(self) -> list[str]:
        return [rpm.nevra for rpm in self.rpms]


@dataclass(frozen=True)
class Os:
    """One release as it is published: what a node of it runs, the image it comes in, the kernel RPMs beside it."""

    base: Base
    form: OsForm
    image: ImageReference
    kernel: KernelRpms
    content: OstreeOs

    @property
    def origin(self) -> Origin:
        """That of a node which has been updated to it, by us."""
        place = f"{self.image.place}@{self.image.digest}"
        if self.form is CONTAINER:
            return Origin(f"ostree-unverified-registry:{place}")
        return Origin(self.base.checksum, (f"pivot://{place}", "Managed by mcd-rt"))

    @property
    def kernels(self) -> list[str]:
        """The names of the base's kernel packages, sorted."""
        names = map(name_of, self.base.packages)
        return sorted(name for name in names if name.startswith("kernel") and "tools" not in name)

    def with_realtime(self, **others: object) -> Tree:
        """A node of it that has the real-time kernel by us."""
        return Tree(self.base, replace(self.origin, local=self.kernel.rpms, removals=tuple(self.kernels), **others))

    def plain(self, **others: object) -> Tree:
        """A node of it with the base's own kernel."""
        return Tree(self.base, replace(self.origin, **others))


def reference(name: str, *facts: object) -> ImageReference:
    digest = hashlib.sha256(repr((name, facts)).encode()).hexdigest()
    return ImageReference(f"registry.example/{name}", "", f"sha256:{digest}", layout=False)


@functools.cache
def rpm_of(data: bytes) -> Rpm:
    descriptor = os.memfd_create("rpm", os.MFD_CLOEXEC)
    try:
        os.pwrite(descriptor, data, 0)
        found = read_rpm(descriptor)
    finally:
        os.close(descriptor)
    assert isinstance(found, Rpm)
    return found


@functools.cache
def kernel_rpms(version: str, release: str, suffixes: tuple[str, ...] = (), image: ImageReference | None = None):
    el = 8 if release.endswith("el8") else 9
    files = kernel_rt_packages(version, release, "x86_64", el, suffixes, payload_bytes=64)
    return KernelRpms(image or reference("extensions", version, release, suffixes), tuple(files.values()))


@functools.cache
def kernel_64k(version: str, release: str) -> KernelRpms:
    """Those of 64k pages, which are for aarch64 only."""
    uname = f"{version}-{release}.aarch64+64k"
    files = tuple(
        build_rpm(Nevra(f"kernel-64k-{suffix}", 0, version, release, "aarch64"), kernel_release=uname)
        for suffix in ("core", "modules", "modules-core")
    )
    return KernelRpms(reference("extensions", "64k", version, release), files)


@functools.cache
def os_of(
    release: Release, form: OsForm = REPOSITORY, kernel: KernelRpms | str = "its own", *, index: bool = False
) -> Os:
    """A release; ``kernel`` are RPMs in an image of their own, ``"its own"`` in that of the OS, or ``"none"``.

    ``index``: its digest is that of an index, behind which the image has another one.
    """
    facts = (release, form, kernel, *(["index"] if index else []))
    image = reference("rhel-coreos" if form is CONTAINER else "machine-os-content", *facts)
    known = base_of(release, str(image))
    if index:
        known = replace(known, instance_digest=reference("instance", *facts).digest)
    content = build_os(known.version, known.packages, known.kernel_release)
    if kernel == "its own":
        kernel = kernel_rpms(*KERNEL_RT[release], image=image)
    elif kernel == "none":
        kernel = KernelRpms(image, ())
    assert isinstance(kernel, KernelRpms)
    base = replace(known, checksum=content.checksum) if form is REPOSITORY else known
    return Os(base, form, image, kernel, content)


@functools.cache
def _inspected(data: bytes, file: str) -> Package:
    descriptor = os.memfd_create("rpm", os.MFD_CLOEXEC)
    try:
        os.pwrite(descriptor, data, 0)
        with inspecting(descriptor, file, DigestsOnly()) as finish:
            found = finish()
    finally:
        os.close(descriptor)
    digest = hashlib.sha256(data).hexdigest()
    return Package(found.nevra, file, len(data), digest, found.kernel_release, found.provides, found.requires)


def publish(node: SimulatedNode, published: Os, *, architecture: str = "x86_64") -> None:
    """Leave on the node what a fetch of everything in its images leaves."""
    effects, paths = HostEffects(), node.paths
    base = published.base
    kernels = tuple(sorted(map(Nevra.parse, (nevra for nevra in base.packages if nevra.startswith("kernel")))))
    facts = (published.image.digest, published.form, base.checksum, base.version, base.kernel_release)
    store_os_image(effects, paths, OsImage(*facts, architecture, kernels))
    if published.form is REPOSITORY:
        place = repository_of(paths, published.image.digest)
        for name, data in published.content.repository().items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(data)
        store_repository(effects, paths, published.image.digest, fingerprint_on_disk(place))
    publish_kernel(node, published.kernel)


def publish_kernel(node: SimulatedNode, kernel: KernelRpms) -> None:
    """The same of an image that has kernel RPMs only."""
    effects, paths = HostEffects(), node.paths
    flavor = next((each for each in FLAVORS if any(each.owns(rpm.name) for rpm in kernel.rpms)), FLAVORS[0])
    entry = cache.create(effects, paths, kernel.image.digest)
    for number, data in enumerate(kernel.files):
        (entry / f"{number}.rpm").write_bytes(data)
    packages = tuple(_inspected(data, f"{number}.rpm") for number, data in enumerate(kernel.files))
    content = Content(kernel.image.digest, packages, Judge.RPM_RS)
    cache.store(effects, paths, content, flavor.names, read_identity(paths, ContentSettings().keys))


@asynccontextmanager
async def node_with(
    tree: Tree,
    known: tuple[Os, ...],
    *,
    profile: str = DEFAULT,
    arguments: str = ARGUMENTS,
    settings: str = "",
    **options: object,
) -> AsyncIterator[tuple[SimulatedNode, Told]]:
    """A node that has a tree booted and can be updated to all that are ``known``, whose images it has fetched."""
    told = Told()
    bases = tuple({each.base.checksum: each.base for each in known}.values())
    node = SimulatedNode(
        bases, profile=profile, booted=tree.origin, kernel_arguments=arguments, on_event=told.hear, **options
    )
    system: System = node.rpm_ostree.system
    checksum = hashlib.sha256(repr(tree).encode()).hexdigest() if tree.layered else tree.base.checksum
    node.rpm_ostree.system = replace(system, deployments=(replace(system.booted, tree=tree, checksum=checksum),))
    async with node:
        write_settings(node, settings)
        for each in known:
            publish(node, each)
        yield node, told


def origin_of_mcd(published: Os) -> Origin:
    """That of a node which was updated by a machine-config-daemon."""
    place = f"{published.image.place}@{published.image.digest}"
    if published.form is CONTAINER:
        return published.origin
    return Origin(published.base.checksum, pivot_origin(place))
