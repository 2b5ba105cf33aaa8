"""The OS images of a test host: machine-os-content with the real commit of a base in it, as an ostree archive."""

import subprocess
from pathlib import Path

from mcd_rt.model.image import ImageReference
from mcd_rt.sim.bases import Release
from mcd_rt.sim.image import Compression, Layer, kernel_rt_packages, write_layout
from mcd_rt.sim.scene import KERNEL_RT
from mcd_rt.sim.world import Base
from tests.system.host.sysroot import base_refs


def write_os_image(place: Path, release: Release, base: Base, repository: Path) -> ImageReference:
    """The image of a base that is in an ostree repository: all of it below ``srv/repo``, its kernel-rt beside it."""
    archive = place.with_name(f"{place.name}-archive")
    subprocess.run(["ostree", f"--repo={archive}", "init", "--mode=archive"], check=True)
    pull = ["ostree", f"--repo={archive}", "pull-local", str(repository), *base_refs(base)]
    subprocess.run(pull, check=True, capture_output=True)
    files = [path for path in archive.rglob("*") if path.is_file() and path.relative_to(archive).parts[0] != "tmp"]
    layers = [
        Layer({f"srv/repo/{path.relative_to(archive)}": path.read_bytes() for path in sorted(files)}),
        Layer(dict(kernel_rt_packages(*KERNEL_RT[release], "x86_64", 9)), Compression.GZIP),
    ]
    labels = {"version": base.version, "com.coreos.ostree-commit": base.checksum}
    return write_layout(place, layers, tag="latest", architecture="x86_64", labels=labels)


def forget(base: Base, repository: Path) -> None:
    """Have a repository as if the base had never been in it."""
    for ref in base_refs(base):
        subprocess.run(["ostree", f"--repo={repository}", "refs", "--delete", ref], check=True, capture_output=True)
    subprocess.run(["ostree", f"--repo={repository}", "prune", "--refs-only"], check=True, capture_output=True)
