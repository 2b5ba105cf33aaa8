"""Generated nodes, images and configs."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from hypothesis import assume, settings
from hypothesis import strategies as st

from mcd_rt.model.content import Content
from mcd_rt.model.desired import Desired
from mcd_rt.model.kernel import KernelType, flavor_of, is_base_kernel
from mcd_rt.model.nevra import Nevra
from mcd_rt.model.settings import OsSettings, Settings
from tests.property.pure_agent import World
from tests.property.pure_node import Node, Os, Placed, Refusal, Tree, check, stage
from tests.unit.nodes import IMAGE, OTHER_IMAGE, Kernel

settings.register_profile("ci", derandomize=True, deadline=None, max_examples=100)
settings.register_profile("here", deadline=None, max_examples=100)  # deadline: the machine is shared
settings.load_profile("ci" if os.environ.get("CI") else "here")

_ADMINS_LOCAL = ("htop", "kernel-rt-devel", "kernel-custom-doc")
_ADMINS_REQUESTS = ("strace", "kernel-tools-devel", "usbguard")
_OTHERS = ("podman", "moby-engine", "kernel-tools", "kernel-tools-libs", "kernel-headers")


@dataclass(frozen=True, slots=True)
class Release:
    """How an EL release is cut: version, what may be left out of the base and of a flavor, marks in names."""

    name: str
    version: str
    parts: tuple[str, ...]
    optional: tuple[str, ...]
    flavor_parts: tuple[str, ...]
    flavor_optional: tuple[str, ...]
    realtime_mark: str


EL8 = Release(
    "el8", "4.18.0", ("core", "modules"), ("", "modules-extra"), ("core", "modules"), ("modules-extra", "kvm"), ""
)
EL9 = Release(
    "el9_4",
    "5.14.0",
    ("core", "modules", "modules-core"),
    ("", "modules-extra", "modules-internal", "modules-partner"),
    ("core", "modules", "modules-core"),
    ("modules-extra", "kvm"),
    "+rt",
)
_NEVER_INSTALLED = ("", "devel", "debug-core", "debug-modules", "selftests-internal")


def some(draw: st.DrawFn, names: tuple[str, ...]) -> tuple[str, ...]:
    """A subset, in order: each bit of one number is whether a name is there, for one draw costs as much as any."""
    there = draw(st.integers(0, 2 ** len(names) - 1))
    return tuple(name for bit, name in enumerate(names) if there >> bit & 1)


def base_kernels(draw: st.DrawFn, release: Release, architecture: str) -> Kernel:
    suffixes = release.parts + some(draw, release.optional)
    return Kernel("kernel", suffixes, release.version, f"{draw(st.integers(1, 3))}.{release.name}", architecture)


def flavor_kernels(draw: st.DrawFn, release: Release, architecture: str, kernel_type: KernelType, build: int) -> Kernel:
    """A whole set of one build, with whatever else an image may have of it."""
    prefix, realtime = flavor_of(kernel_type).prefix, kernel_type is KernelType.REALTIME
    optional = tuple(part for part in release.flavor_optional if realtime or part != "kvm")
    suffixes = release.flavor_parts + some(draw, optional) + some(draw, _NEVER_INSTALLED)
    tag = f"{build}.rt1.{release.name}" if realtime else f"{build}.{release.name}"
    mark = release.realtime_mark if realtime else "+64k"
    return Kernel(prefix, suffixes, release.version, tag, architecture, mark)


def installable(kernel: Kernel, kernel_type: KernelType) -> frozenset[Nevra]:
    """What of a build this project installs."""
    return frozenset(nevra for nevra in kernel.nevras if flavor_of(kernel_type).owns(nevra.name))


def kernel_types(architecture: str) -> tuple[KernelType, ...]:
    flavors = (KernelType.REALTIME, KernelType.PAGES_64K) if architecture == "aarch64" else (KernelType.REALTIME,)
    return (KernelType.DEFAULT, *flavors)


def admins_trees(draw: st.DrawFn, os: Os) -> Tree:
    """The base with what an administrator did to it, kernel parts included."""
    optional = tuple(
        name
        for name in os.names
        if is_base_kernel(name) and name not in ("kernel-core", "kernel-modules", "kernel-modules-core")
    )
    local = tuple(Nevra(name, 0, "1", "1.el9", os.kernel.architecture) for name in some(draw, _ADMINS_LOCAL))
    return Tree(
        os,
        requested=frozenset(some(draw, _ADMINS_REQUESTS)),
        local=frozenset(local),
        removals=frozenset(some(draw, ("moby-engine", "kernel-tools")) + some(draw, tuple(sorted(optional)))),
        replacements=frozenset(some(draw, ("podman-2:9-9.el9.x86_64", "kernel-tools-libs-9-9.el9.x86_64"))),
    )


def swapped(tree: Tree, kernel: Kernel, kernel_type: KernelType, *, from_repository: bool) -> Tree:
    """The tree after another agent, or ours of long ago, swapped its kernel."""
    mine = installable(kernel, kernel_type)
    removals = tree.removals | {name for name in tree.os.names if is_base_kernel(name)}
    if from_repository:
        return replace(tree, removals=removals, requested=tree.requested | {nevra.name for nevra in mine})
    return replace(tree, removals=removals, local=tree.local | mine)


@dataclass(frozen=True, slots=True)
class Setting:
    """A generated world, the kernel types it may be asked for, and what builds each image has."""

    world: World
    kernel_types: tuple[KernelType, ...]
    builds: Mapping[str, tuple[Kernel, ...]]

    def desired(self, kernel_type: KernelType, image: str = IMAGE) -> Desired:
        return Desired("rendered-1", kernel_type, f"registry.example/os@{image}", (), fips=False)

    def kernel(self, kernel_type: KernelType, image: str = IMAGE) -> Kernel:
        """The build an image has for a flavor."""
        prefix = flavor_of(kernel_type).prefix
        return next(build for build in self.builds[image] if build.prefix == prefix)


@st.composite
def worlds(draw: st.DrawFn, start: str = "booted", *, fresh: bool = False) -> Setting:
    """A node somewhere in its life, and two images with whole sets; the first is that of its base.

    ``start`` says what is first in its boot order: what runs (``booted``), what an administrator rolled back to
    (``pending``) or what another client staged (``staged``). ``fresh``: no kernel was ever swapped on it.
    """
    release, architecture = draw(st.sampled_from((EL8, EL9))), draw(st.sampled_from(("x86_64", "aarch64")))
    flavors = kernel_types(architecture)[1:]
    new = tuple(flavor_kernels(draw, release, architecture, kernel_type, 20) for kernel_type in flavors)
    old = tuple(flavor_kernels(draw, release, architecture, kernel_type, 10) for kernel_type in flavors)
    unknown = draw(st.booleans())
    others = tuple(Nevra(name, 0, "1", "1.el9", architecture) for name in _OTHERS)
    plain = Tree(Os("" if unknown else IMAGE, base_kernels(draw, release, architecture), others))
    admins = admins_trees(draw, plain.os)
    booted = admins
    if not fresh and draw(st.booleans()):
        kernel_type = draw(st.sampled_from(flavors))
        bare = tuple(kernel.only(*release.flavor_parts) for kernel in new)
        builds = [kernel for kernel in (*new, *old, *bare) if kernel.prefix == flavor_of(kernel_type).prefix]
        booted = swapped(admins, draw(st.sampled_from(builds)), kernel_type, from_repository=draw(st.booleans()))
    placed = (Placed("rhcos-booted.0", booted, booted=True), Placed("rhcos-pinned.0", plain, pinned=True))
    rollback = Placed("rhcos-rollback.0", draw(st.sampled_from((admins, plain))))
    order = (rollback, *placed) if start == "pending" else (placed[0], rollback, placed[1])
    node = Node(architecture, (*new, *old), order, tells_release=draw(st.booleans()))
    if start == "staged":
        node = draw(_with_foreign_work(node))
    assume_possible(node)
    foreign = Kernel("kernel-rt", ("core", "modules"), release.version, "99", "s390x")
    images = (_image(IMAGE, *new, *draw(st.sampled_from(((), (foreign,))))), _image(OTHER_IMAGE, *old))
    world = World(node, images, Settings(os=OsSettings(accept_unknown_base=unknown)))
    return Setting(world, kernel_types(architecture), {IMAGE: new, OTHER_IMAGE: old})


ANY_WORLD = st.one_of(worlds(), worlds("pending"), worlds("staged"))


@st.composite
def _with_foreign_work(draw: st.DrawFn, node: Node) -> Node:
    """Another client staged packages, a removal, or both, and did not lock them."""
    tree = node.merge.tree
    requests = some(draw, ("cockpit", "tmux"))
    removals = some(draw, ("kernel-headers", "podman"))
    local = frozenset(Nevra(name, 0, "2", "1.el9", node.architecture) for name in some(draw, ("theirs",)))
    staged = replace(
        tree, requested=tree.requested | {*requests}, removals=tree.removals | {*removals}, local=tree.local | local
    )
    assume(staged != tree)
    return stage(node, staged, locked=False)


def assume_possible(node: Node) -> None:
    for one in node.placed:
        try:
            check(node, one.tree)
        except Refusal:
            assume(condition=False)


def _no_image(setting: Setting, desired: Desired) -> Desired:
    return replace(desired, os_image="")


def _no_digest(setting: Setting, desired: Desired) -> Desired:
    return replace(desired, os_image="registry.example/os:latest")


def _another_image(setting: Setting, desired: Desired) -> Desired:
    setting.world.node = _on_base_of(setting.world.node, IMAGE)
    return replace(desired, os_image=f"registry.example/os@{OTHER_IMAGE}")


def _unknown_base(setting: Setting, desired: Desired) -> Desired:
    setting.world.node = _on_base_of(setting.world.node, "")
    setting.world.settings = Settings()
    return desired


def _another_architecture(setting: Setting, desired: Desired) -> Desired:
    setting.world.node = replace(setting.world.node, architecture="s390x")
    return desired


def _with_image(setting: Setting, change: Callable[[Content], Content]) -> None:
    setting.world.images = tuple(change(image) if image.digest == IMAGE else image for image in setting.world.images)


def _no_kernel(setting: Setting, desired: Desired) -> Desired:
    _with_image(setting, lambda image: replace(image, packages=()))
    return desired


def _no_modules(setting: Setting, desired: Desired) -> Desired:
    name = f"{flavor_of(desired.kernel_type).prefix}-modules"
    _with_image(
        setting, lambda image: replace(image, packages=tuple(one for one in image.packages if one.nevra.name != name))
    )
    return desired


def _two_versions(setting: Setting, desired: Desired) -> Desired:
    again = setting.kernel(desired.kernel_type, OTHER_IMAGE).package("core")
    _with_image(setting, lambda image: replace(image, packages=(*image.packages, again)))
    return desired


_OF_FLAVORS = (
    _no_image,
    _no_digest,
    _another_image,
    _unknown_base,
    _another_architecture,
    _no_kernel,
    _no_modules,
    _two_versions,
)


@st.composite
def obstructed(draw: st.DrawFn) -> tuple[Setting, Desired]:
    """A node and a config for a flavor that cannot or must not be followed."""
    setting = draw(worlds())
    desired = setting.desired(draw(st.sampled_from(setting.kernel_types[1:])))
    return setting, draw(st.sampled_from(_OF_FLAVORS))(setting, desired)


@st.composite
def forbidden(draw: st.DrawFn) -> tuple[Setting, Desired]:
    """A node on which somebody else has the kernel, or the next boot, in their hands."""
    setting = draw(worlds("staged"))
    node = setting.world.node
    if draw(st.booleans()):
        setting.world.node = replace(node, placed=(replace(node.merge, locked=True), *node.placed[1:]))
    else:
        hotfix = replace(node.merge.tree, replacements=frozenset({f"kernel-core-9-9.{node.architecture}"}))
        setting.world.node = replace(node, placed=(replace(node.merge, tree=hotfix), *node.placed[1:]))
    return setting, setting.desired(draw(st.sampled_from(setting.kernel_types)))


def _on_base_of(node: Node, digest: str) -> Node:
    placed = (replace(one, tree=replace(one.tree, os=replace(one.tree.os, image_digest=digest))) for one in node.placed)
    return replace(node, placed=tuple(placed))


def _image(digest: str, *kernels: Kernel) -> Content:
    return Content(digest, tuple(package for kernel in kernels for package in kernel.packages))
