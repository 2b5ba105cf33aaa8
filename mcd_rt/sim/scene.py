"""A ready-made scene: a node, an image with kernel-rt that its OS came from, and a config that asks for it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from mcd_rt.model.image import ImageReference
from mcd_rt.model.kernel import KernelType
from mcd_rt.sim.bases import default_bases
from mcd_rt.sim.image import Compression, Layer, kernel_rt_packages, write_layout
from mcd_rt.sim.node import Event, SimulatedNode
from mcd_rt.sim.profiles import DEFAULT

_KERNEL_RT = {8: ("4.18.0", "193.rt13.51.el8"), 9: ("5.14.0", "284.rt14.284.el9")}
_SETTINGS = """\
[node_config]
settle = 0.02

[retry]
initial = 0.2
ceiling = 2

[metrics]
listen = "unix:/run/mcd-rt/metrics.sock"
"""
_CONFIG = """\
apiVersion: machineconfiguration.openshift.io/v1
kind: MachineConfig
metadata:
  labels:
    machineconfiguration.openshift.io/role: "worker"
  name: {name}
spec:
  realtime: {realtime}
  osImageURL: {image}
"""


@dataclass(frozen=True, slots=True)
class Scene:
    """A booted node and the image of its OS."""

    node: SimulatedNode
    image: ImageReference

    @property
    def config(self) -> Path:
        """The file that holds the node's MachineConfig."""
        return self.node.paths.below("/etc/machine-config-daemon/currentconfig")

    def ask_for(self, kernel_type: KernelType) -> None:
        """Write the proposal's MachineConfig, atomically, as the machine-config-daemon does."""
        realtime = "true" if kernel_type is KernelType.REALTIME else "false"
        text = _CONFIG.format(name="99-worker-realtime-kernel", realtime=realtime, image=self.image)
        self.write_config(text.encode())

    def write_config(self, text: bytes) -> None:
        """Write any config, atomically."""
        self.config.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.config.with_name("currentconfig.new")
        temporary.write_bytes(text)
        temporary.rename(self.config)


def write_image(place: Path, el: Literal[8, 9] = 9) -> ImageReference:
    """An image as the proposal has it: the OS below ``srv``, RPMs and ``pkglist.txt`` beside it."""
    version, release = _KERNEL_RT[el]
    packages = kernel_rt_packages(version, release, "x86_64", el)
    layers = [
        Layer({"srv/repo/config": b"[core]\nrepo_version=1\nmode=archive-z2\n"}),
        Layer({**packages, "pkglist.txt": "\n".join(packages).encode()}, Compression.ZSTD),
    ]
    labels = {"version": f"simulated-el{el}"}
    return write_layout(place, layers, tag="latest", architecture="x86_64", labels=labels)


def write_settings(node: SimulatedNode, more: str = "") -> None:
    """The agent's settings on a node that has no writers to be patient with, and ``more`` of them (TOML)."""
    settings = node.paths.below("/etc/mcd-rt/config.d/50-simulated.toml")
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(_SETTINGS + more)


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
