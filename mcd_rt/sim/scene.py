"""Ready-made scenes: a node, images that its OS came from or may come to, and a config that asks for a kernel."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from mcd_rt.model.image import ImageReference
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.nevra import Nevra
from mcd_rt.sim.bases import Release, base_of, default_bases, pivot_origin
from mcd_rt.sim.image import Compression, Layer, kernel_rt_packages, write_layout
from mcd_rt.sim.node import Event, SimulatedNode
from mcd_rt.sim.osimages import write_machine_os_content
from mcd_rt.sim.ostree import OstreeOs, build_os
from mcd_rt.sim.profiles import DEFAULT
from mcd_rt.sim.world import Base, Origin

KERNEL_RT = {
    Release.EL8: ("4.18.0", "193.rt13.51.el8"),
    Release.EL9: ("5.14.0", "284.rt14.284.el9"),
    Release.EL9_NEXT: ("5.14.0", "427.rt14.427.el9"),
    Release.EL9_WITHOUT_EXTRA: ("5.14.0", "503.rt14.503.el9"),
}
"""Version and release of the kernel-rt that is published with an OS."""

_SETTINGS = """\
[node_config]
settle = 0.02

[retry]
initial = 0.2
ceiling = 2

[metrics]
listen = "unix:/run/mcd-rt/metrics.sock"
"""
_IMPATIENT = "[reboot]\ninhibitor_wait = 0.05\n"
_CONFIG = """\
apiVersion: machineconfiguration.openshift.io/v1
kind: MachineConfig
metadata:
  labels:
    machineconfiguration.openshift.io/role: "worker"
  name: {name}
spec:
  realtime: {realtime}
"""
_NAME = "99-worker-realtime-kernel"


@dataclass(frozen=True, slots=True)
class Edition:
    """An OS that can be published: a release, or the same one ``rebuilt`` with the next build of its kernels."""

    release: Release
    rebuilt: bool = False

    def base(self, image: str = "") -> Base:
        """What a node of it runs; ``image`` as ``base_of`` takes it."""
        base = base_of(self.release, image)
        if not self.rebuilt:
            return base
        old = Nevra.parse(base.find("kernel-core")).release
        packages = tuple(nevra.replace(f"-{old}.", f"-{_next_build(old)}.") for nevra in base.packages)
        kernel = base.kernel_release.replace(old, _next_build(old))
        return replace(base, version=f"{base.version}.1", packages=packages, kernel_release=kernel)

    @property
    def kernel_rt(self) -> tuple[str, str]:
        """Version and release of the kernel-rt that is published with it."""
        version, release = KERNEL_RT[self.release]
        return version, _next_build(release) if self.rebuilt else release


@dataclass(frozen=True, slots=True)
class Published:
    """A release of an OS: the base of a node that runs it, and the image it is published as, with its content."""

    base: Base
    image: ImageReference
    content: OstreeOs

    @property
    def place(self) -> str:
        """The reference without a tag, as origins have it."""
        return f"{self.image.place}@{self.image.digest}"


@dataclass(frozen=True, slots=True)
class Scene:
    """A booted node, the image of its OS, and all that are ``published`` where there are more."""

    node: SimulatedNode
    image: ImageReference
    published: tuple[Published, ...] = field(default=())

    @property
    def config(self) -> Path:
        """The file that holds the node's MachineConfig."""
        return self.node.paths.below("/etc/machine-config-daemon/currentconfig")

    @property
    def delivered(self) -> Path:
        """The file that holds the one that somebody added."""
        return self.node.paths.below(f"/etc/mcd-rt/machineconfig.d/{_NAME}.yaml")

    def ask_for(
        self, kernel_type: KernelType, image: ImageReference | None = None, arguments: Sequence[str] = ()
    ) -> None:
        """Write the proposal's MachineConfig, atomically, as the machine-config-daemon does."""
        lines = [f"  osImageURL: {image or self.image}"]
        if arguments:
            lines.append(f"  kernelArguments: {json.dumps(list(arguments))}")
        self.write_config((_kernel_config(kernel_type) + "\n".join(lines) + "\n").encode())

    def deliver(self, kernel_type: KernelType) -> None:
        """Write it as a file that is added to the rendered one, and says nothing but the kernel."""
        _replace(self.delivered, _kernel_config(kernel_type).encode())

    def write_config(self, text: bytes) -> None:
        """Write any config, atomically."""
        _replace(self.config, text)


def write_image(place: Path, el: Literal[8, 9] = 9) -> ImageReference:
    """An image as the proposal has it: the OS below ``srv``, RPMs and ``pkglist.txt`` beside it."""
    packages = kernel_rt_packages(*KERNEL_RT[_release_of(el)], "x86_64", el)
    layers = [
        Layer({"srv/repo/config": b"[core]\nrepo_version=1\nmode=archive-z2\n"}),
        Layer({**packages, "pkglist.txt": "\n".join(packages).encode()}, Compression.ZSTD),
    ]
    labels = {"version": f"simulated-el{el}"}
    return write_layout(place, layers, tag="latest", architecture="x86_64", labels=labels)


def publish(place: Path, edition: Edition) -> Published:
    """The machine-os-content image of a release, with a real commit in its ``srv/repo`` and its kernel-rt."""
    known = edition.base()
    content = build_os(known.version, known.packages, known.kernel_release)
    el: Literal[8, 9] = 8 if edition.release is Release.EL8 else 9
    packages = kernel_rt_packages(*edition.kernel_rt, "x86_64", el)
    image = write_machine_os_content(place, content, packages, tag=known.version, listed=known.packages)
    return Published(replace(edition.base(str(image)), checksum=content.checksum), image, content)


def write_settings(node: SimulatedNode, more: str = "") -> None:
    """The agent's settings on a node that has no writers to be patient with, and ``more`` of them (TOML)."""
    settings = node.paths.below("/etc/mcd-rt/config.d/50-simulated.toml")
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(_SETTINGS + more)
    settings.with_name("40-simulated.toml").write_text(_IMPATIENT)  # a file of its own: ``more`` may have [reboot]


@asynccontextmanager
async def open_scene(
    *, profile: str = DEFAULT, el: Literal[8, 9] = 9, on_event: Callable[[Event], None] = lambda _event: None
) -> AsyncIterator[Scene]:
    """Build the image and boot the node; nothing stays behind. Raises ``AgentError`` (``simulation-failed``)."""
    with TemporaryDirectory(prefix="mcd-rt-image-") as place:
        image = write_image(Path(place) / "layout", el)
        bases = default_bases(str(image), f"el{el}")
        async with SimulatedNode(bases, profile=profile, on_event=on_event) as node:
            write_settings(node)
            yield Scene(node, image)


@asynccontextmanager
async def open_update_scene(
    editions: Sequence[Edition],
    *,
    profile: str = DEFAULT,
    settings: str = "",
    on_event: Callable[[Event], None] = lambda _event: None,
) -> AsyncIterator[Scene]:
    """As ``open_scene``, with several editions published, and the node installed from the first of them."""
    with TemporaryDirectory(prefix="mcd-rt-image-") as place:
        published = tuple(publish(Path(place) / "layout", edition) for edition in editions)
        first, bases = published[0], tuple(each.base for each in published)
        booted = Origin(first.base.checksum, pivot_origin(first.place))
        async with SimulatedNode(bases, profile=profile, booted=booted, on_event=on_event) as node:
            write_settings(node, settings)
            yield Scene(node, first.image, published)


def _release_of(el: Literal[8, 9]) -> Release:
    return Release.EL8 if el == 8 else Release.EL9


def _next_build(release: str) -> str:
    """``284.1.el9`` after ``284.el9``."""
    number, _, distribution = release.rpartition(".")
    return f"{number}.1.{distribution}"


def _kernel_config(kernel_type: KernelType) -> str:
    realtime = "true" if kernel_type is KernelType.REALTIME else "false"
    return _CONFIG.format(name=_NAME, realtime=realtime)


def _replace(place: Path, text: bytes) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = place.with_name(f".{place.name}.new")
    temporary.write_bytes(text)
    temporary.rename(place)
