"""What ostree has in /boot, and the kernels it takes it from: for nodes on which room matters.

A node has none of it by itself; whoever tells of room writes it anew whenever the deployments change.
Source: libostree, ``ostree-sysroot-deploy.c``.
"""

import shutil
from pathlib import Path

from mcd_rt.sim.bootentry import boot_checksum
from mcd_rt.sim.world import Deployment, System

KERNEL = 1 << 20
INITRAMFS = 2 << 20


def write_boot_files(root: Path, system: System, *, staged_initramfs: int = INITRAMFS) -> None:
    """Each deployment's kernel in its tree, and in /boot of all that are not only staged; sizes in bytes."""
    for place in ("boot/ostree", "ostree/boot.1.1"):
        shutil.rmtree(root / place, ignore_errors=True)
        (root / place).mkdir(parents=True)
    _link(root / "ostree/boot.1", "boot.1.1")
    for deployment in system.deployments:
        initramfs = staged_initramfs if deployment.staged else INITRAMFS
        tree = root / "ostree/deploy" / system.osname / "deploy" / _name(deployment)
        release = deployment.tree.kernel_release
        modules = tree / "usr/lib/modules" / release
        _write(modules / "vmlinuz", boot_checksum(deployment), KERNEL)
        _write(modules / "initramfs.img", boot_checksum(deployment), initramfs)
        if not deployment.staged:
            _install(root, system, deployment, modules)


def _install(root: Path, system: System, deployment: Deployment, modules: Path) -> None:
    checksum, release = boot_checksum(deployment), modules.name
    place = root / "boot/ostree" / f"{system.osname}-{checksum}"
    place.mkdir(exist_ok=True)
    shutil.copyfile(modules / "vmlinuz", place / f"vmlinuz-{release}")
    shutil.copyfile(modules / "initramfs.img", place / f"initramfs-{release}.img")
    links = root / "ostree/boot.1.1" / system.osname / checksum
    links.mkdir(parents=True, exist_ok=True)
    target = f"../../../deploy/{system.osname}/deploy/{_name(deployment)}"
    _link(links / str(len(list(links.iterdir()))), target)


def _name(deployment: Deployment) -> str:
    return f"{deployment.checksum}.{deployment.serial}"


def _write(path: Path, text: str, size: int) -> None:
    """Sparse: what is read of it is as long, what it takes is not; one that is there stays."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        with path.open("r+b") as file:
            file.truncate(size)


def _link(path: Path, target: str) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)
