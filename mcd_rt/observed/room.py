"""How much room there is, and what a staged deployment will take of it in /boot.

Where ostree puts things: ``/boot/ostree/<stateroot>-<sha256 of kernel and initramfs>/`` for each such pair,
``/ostree/boot.<n>/<stateroot>/<that sha256>/<serial>``, links to the deployments that boot from it; the files come from
``usr/lib/modules/<release>/`` of a deployment (libostree, ``ostree-sysroot-deploy.c``).
"""

import os
import re
from pathlib import Path

from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.room import BootDirectory, BootRoom, KernelFiles, Room

_BLOCK = 4096  # the largest a file system for /boot has; a smaller one wastes less
_PIECE = 1 << 20
_AVAILABLE = re.compile(r"^MemAvailable:\s*(\d+) kB$", re.MULTILINE)
_BESIDE_KERNEL = ("devicetree", "dtb", ".vmlinuz.hmac", "aboot.img")


def read_room(paths: HostPaths) -> Room:
    """What is free; what cannot be read is not known, which is no error."""
    sysroot = paths.below("/sysroot")
    return Room(_boot_room(paths, sysroot), _available(sysroot), _memory(paths))


def read_kernel_files(paths: HostPaths, deployment_id: str) -> KernelFiles | None:
    """What the deployment ``<stateroot>-<checksum>.<serial>`` brings, in whole blocks; ``None`` where it is not seen.

    Kernel and initramfs that may be in /boot already are compared byte by byte, which is what their name there,
    a digest, comes to.
    """
    stateroot, _, name = deployment_id.rpartition("-")
    tree = paths.below(f"/ostree/deploy/{stateroot}/deploy/{name}/usr/lib/modules")
    try:
        kernel = next(iter(sorted(tree.glob("*/vmlinuz"))), None)
        if kernel is None:
            return None
        pair = (kernel, kernel.with_name("initramfs.img"))
        files = [file for file in pair if file.exists()]
        beside = [file for name in _BESIDE_KERNEL for file in _files(kernel.with_name(name))]
        there = sorted(paths.below("/boot/ostree").glob(f"{stateroot}-*"))
        known = any(_has(directory, files, len(beside)) for directory in there)
        return KernelFiles(sum(map(_blocks, (*files, *beside))) + _BLOCK, known)
    except OSError:
        return None


def _boot_room(paths: HostPaths, sysroot: Path) -> BootRoom | None:
    boot = paths.below("/boot")
    available = _available(boot)
    try:
        names = sorted(entry for entry in (boot / "ostree").iterdir() if entry.is_dir() and "-" in entry.name)
        found = tuple(_directory(paths, entry) for entry in names)
        shared = sysroot.exists() and sysroot.stat().st_dev == boot.stat().st_dev
    except OSError:
        return None
    return None if available is None else BootRoom(available, found, shared)


def _directory(paths: HostPaths, place: Path) -> BootDirectory:
    stateroot, _, checksum = place.name.rpartition("-")
    links = paths.below("/ostree").glob(f"boot.*/{stateroot}/{checksum}/*")
    ids = {f"{stateroot}-{link.readlink().name}" for link in links if link.is_symlink()}
    return BootDirectory(place.name, sum(map(_blocks, _files(place))) + _BLOCK, tuple(sorted(ids)))


def _has(directory: Path, pair: list[Path], beside: int) -> bool:
    """Whether a directory of /boot has both files, under its names for them, and as many others beside them."""
    there = _files(directory)
    if len(there) != len(pair) + beside:
        return False
    for file in pair:
        stem = file.name.removesuffix(".img")
        if not any(_same(file, other) for other in there if other.name.startswith(stem)):
            return False
    return True


def _same(one: Path, other: Path) -> bool:
    if one.stat().st_size != other.stat().st_size:
        return False
    with one.open("rb") as first, other.open("rb") as second:
        while piece := first.read(_PIECE):
            if piece != second.read(_PIECE):
                return False
    return True


def _files(place: Path) -> list[Path]:
    """A file itself, or all that are below a directory; none where there is neither."""
    if place.is_file():
        return [place]
    return sorted(file for file in place.rglob("*") if file.is_file())


def _blocks(file: Path) -> int:
    return -(-file.stat().st_size // _BLOCK) * _BLOCK


def _available(place: Path) -> int | None:
    """What anybody may use: ext4 keeps some back for root, of which not all can be had by root either."""
    try:
        found = os.statvfs(place)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize


def _memory(paths: HostPaths) -> int | None:
    try:
        found = _AVAILABLE.search(paths.below("/proc/meminfo").read_text(errors="replace"))
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None
