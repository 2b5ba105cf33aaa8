"""Generated nodes whose OS is ours to update, with kernel arguments of their own, and configs for them."""

from dataclasses import dataclass, replace

from hypothesis import strategies as st

from mcd_rt.model.content import Content
from mcd_rt.model.desired import Desired
from mcd_rt.model.kernel import KernelType, flavor_of
from mcd_rt.model.nevra import Nevra
from mcd_rt.model.osimage import OsForm
from mcd_rt.model.settings import OsSettings, Settings, TuningSettings
from tests.property.pure_agent import World
from tests.property.pure_node import Node, Os, Placed, Tree
from tests.property.strategies import (
    EL8,
    EL9,
    Release,
    Setting,
    admins_trees,
    assume_possible,
    base_kernels,
    flavor_kernels,
    kernel_types,
    swapped,
)
from tests.unit.nodes import IMAGE, OTHER_IMAGE, Kernel

HOSTS_OWN = ("root=UUID=1", "rw", "console=tty0", "console=ttyS0")
TUNED = "tsc=nowatchdog"
_NEW = ("isolcpus=2-3", 'dyndbg="file a.c +p"', "threadirqs")
_MAYBE_THERE = ("nosmt", "console=ttyS0", "quiet")
_OTHERS = ("podman", "moby-engine", "kernel-tools", "kernel-tools-libs", "kernel-headers")


@dataclass(frozen=True, slots=True)
class Wish:
    """What a config asks for; the kernel type as an index, because not every architecture has every one."""

    kernel: int
    image: str = IMAGE
    arguments: tuple[str, ...] = ()

    def of(self, setting: Setting) -> Desired:
        kernel_type = setting.kernel_types[self.kernel % len(setting.kernel_types)]
        return replace(setting.desired(kernel_type, self.image), kernel_arguments=self.arguments)


@st.composite
def configs_arguments(draw: st.DrawFn) -> tuple[str, ...]:
    """In any order; an argument that somebody else may have put there is asked for once."""
    new = draw(st.lists(st.sampled_from(_NEW), max_size=3))
    there = draw(st.lists(st.sampled_from(_MAYBE_THERE), max_size=1))
    return tuple(draw(st.permutations(new + there)))


ARGUMENTS = configs_arguments()
WISHES = st.builds(Wish, st.integers(0, 2), st.sampled_from((IMAGE, OTHER_IMAGE)), ARGUMENTS)
STAYING = st.builds(Wish, st.integers(0, 2), st.just(IMAGE), ARGUMENTS)


def hosts_own(draw: st.DrawFn) -> tuple[str, ...]:
    """The arguments a node was installed with, and perhaps one that a config may ask for, too."""
    return HOSTS_OWN + draw(st.sampled_from(((), ("nosmt",), ("quiet", "quiet"))))


def _images(draw: st.DrawFn, digest: str, architecture: str, build: int) -> tuple[Os, tuple[Kernel, ...]]:
    release = draw(st.sampled_from((EL8, EL9)))
    others = tuple(Nevra(name, 0, "1", f"1.{release.name}", architecture) for name in _OTHERS)
    os = Os(digest, base_kernels(draw, release, architecture), others, draw(st.sampled_from(OsForm)))
    flavors = kernel_types(architecture)[1:]
    return os, tuple(flavor_kernels(draw, release, architecture, kernel_type, build) for kernel_type in flavors)


@st.composite
def image_worlds(draw: st.DrawFn, *, fresh: bool = False, manage: str = "image") -> Setting:
    """A node on the first of two images, which may be of another release, form and kernel than the second.

    ``fresh``: no kernel was ever swapped on it.
    """
    architecture = draw(st.sampled_from(("x86_64", "aarch64")))
    first, builds = _images(draw, IMAGE, architecture, 20)
    second, others = _images(draw, OTHER_IMAGE, architecture, draw(st.sampled_from((10, 20, 30))))
    release: Release = EL8 if first.kernel.version == EL8.version else EL9
    tree: Tree = admins_trees(draw, first)
    if not fresh and draw(st.booleans()):
        at = draw(st.integers(0, len(builds) - 1))
        kernel = draw(st.sampled_from((builds[at], builds[at].only(*release.flavor_parts))))
        tree = swapped(tree, kernel, kernel_types(architecture)[at + 1], from_repository=draw(st.booleans()))
    own = hosts_own(draw)
    placed = (
        Placed("rhcos-booted.0", tree, booted=True, arguments=own),
        Placed("rhcos-pinned.0", Tree(first), pinned=True, arguments=own),
    )
    node = Node(architecture, (*builds, *others), placed, offers=(first, second), tells_release=draw(st.booleans()))
    assume_possible(node)
    contents = tuple(
        Content(digest, tuple(package for kernel in kernels for package in kernel.packages))
        for digest, kernels in ((IMAGE, builds), (OTHER_IMAGE, others))
    )
    tuning = TuningSettings(kernel_arguments=draw(st.sampled_from(((), (TUNED,)))))
    world = World(node, contents, Settings(os=OsSettings(manage=manage), tuning=tuning))
    return Setting(world, kernel_types(architecture), {IMAGE: builds, OTHER_IMAGE: others})


def wanted_arguments(setting: Setting, wish: Wish) -> tuple[str, ...]:
    """Those of the config, and of the tuning with the real-time kernel."""
    realtime = wish.of(setting).kernel_type is KernelType.REALTIME
    return wish.arguments + (setting.world.settings.tuning.kernel_arguments if realtime else ())


def kernel_name(setting: Setting, wish: Wish) -> str:
    """What ``uname -r`` has to say in the end."""
    flavor = flavor_of(wish.of(setting).kernel_type)
    if flavor is None:
        return next(os.kernel for os in setting.world.node.offers if os.image_digest == wish.image).uname
    return next(build for build in setting.builds[wish.image] if build.prefix == flavor.prefix).uname
