"""Images of an operating system, in the forms releases have had, as OCI layouts."""

from collections.abc import Mapping
from pathlib import Path

from mcd_rt.model.image import ImageReference
from mcd_rt.sim.image import Compression, Entry, Layer, diff_id_of, write_layout
from mcd_rt.sim.ostree import OstreeOs


def write_machine_os_content(
    place: Path,
    system: OstreeOs,
    packages: Mapping[str, bytes],
    *,
    tag: str = "latest",
    architecture: str = "x86_64",
    listed: tuple[str, ...] = (),
) -> ImageReference:
    """The form until 4.11: the ostree repository below ``srv``, RPMs (by file name) and ``pkglist.txt`` in the root.

    ``listed`` are the lines of ``pkglist.txt``: NEVRAs of the OS.
    """
    layers = [
        Layer({f"srv/repo/{name}": data for name, data in system.repository().items()}),
        Layer({**packages, "pkglist.txt": "".join(f"{line}\n" for line in listed).encode()}, Compression.ZSTD),
    ]
    labels = {"com.coreos.ostree-commit": system.checksum, "version": system.version}
    return write_layout(place, layers, tag=tag, architecture=architecture, labels=labels)


def write_container_os(
    place: Path,
    system: OstreeOs,
    *,
    tag: str = "latest",
    architecture: str = "x86_64",
    derived: tuple[Layer, ...] = (),
) -> ImageReference:
    """The form since 4.12: the image is the OS, its commit object in the first layer; ``derived`` are put on top.

    As ostree-ext encapsulates a commit, without the hard links into a checkout: nobody unpacks this one.
    """
    own = [
        Layer({f"sysroot/ostree/repo/{name}": data for name, data in _commit_first(system).items()}),
        Layer({"usr/lib/os-release": f'VERSION="{system.version}"\n'.encode()}),
    ]
    labels = {
        "containers.bootc": "1",
        "ostree.bootable": "true",
        "ostree.commit": system.checksum,
        "ostree.final-diffid": diff_id_of(own[-1]),
        "ostree.linux": system.kernel_release,
        "version": system.version,
    }
    return write_layout(place, [*own, *derived], tag=tag, architecture=architecture, labels=labels)


def write_extensions(
    place: Path, packages: Mapping[str, bytes], *, tag: str = "extensions", architecture: str = "x86_64"
) -> ImageReference:
    """The image beside a container OS that has the RPMs of other kernels (``baseOSExtensionsContainerImage``)."""
    entries: dict[str, Entry] = {f"usr/share/rpm-ostree/extensions/{name}": data for name, data in packages.items()}
    return write_layout(place, [Layer(entries)], tag=tag, architecture=architecture)


def _commit_first(system: OstreeOs) -> dict[str, bytes]:
    return dict(sorted(system.objects.items(), key=lambda item: not item[0].endswith(".commit")))
