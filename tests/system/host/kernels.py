"""Debian's kernels, real ones, and an initramfs that finds an ostree deployment as ``ostree-prepare-root`` does."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_MODULES = ("virtio_pci", "virtio_blk", "crc32c_generic", "ext4", "9pnet_virtio", "9p", "overlay")
_COMMANDS = ("sh", "mount", "umount", "insmod", "switch_root", "cat", "readlink", "mkdir", "touch", "echo")
_INIT = """\
#!/bin/sh
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
while read module; do insmod /modules/$module; done < /modules.list
mount -t ext4 -o rw /dev/vda /sysroot
for word in $(cat /proc/cmdline); do case $word in ostree=*) found=/sysroot${word#ostree=};; esac; done
echo "booting $found"
mount --bind "$(readlink -f "$found")" /new
mount --bind /sysroot /new/sysroot
mount --bind /sysroot/boot /new/boot
mount --bind /sysroot/ostree/deploy/rhcos/var /new/var
how=trans=virtio,version=9p2000.L,ro,cache=loose,msize=262144
mount -t 9p -o $how usr /usr-of-host
mount -t 9p -o $how layer /usr-of-layer
mount -t overlay -o ro,lowerdir=/usr-of-layer:/usr-of-host usr /new/usr
mount -t tmpfs -o mode=0755 run /new/run
mkdir /new/run/ostree; touch /new/run/ostree-booted
umount /proc; umount /sys; mount --move /dev /new/dev
exec switch_root /new /usr/lib/systemd/systemd
"""


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel on disk: its ``uname -r``, and the file."""

    release: str
    file: Path


def fetch_kernel(flavour: str, place: Path) -> Kernel:
    """Debian's ``linux-image-FLAVOUR`` of today, unpacked below ``place`` and not installed."""
    place.mkdir(parents=True)
    depends = _said("apt-cache", "depends", f"linux-image-{flavour}")
    name = next(line.split()[-1] for line in depends.splitlines() if "Depends: linux-image-" in line)
    subprocess.run(["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", name], cwd=place, check=True)
    [package] = place.glob("*.deb")
    subprocess.run(["dpkg-deb", "-x", str(package), str(place)], check=True)
    package.unlink()
    [file] = place.glob("boot/vmlinuz-*")
    return Kernel(file.name.removeprefix("vmlinuz-"), file)


def install_kernel(kernel: Kernel, place: Path, kernels: Path) -> None:
    """``kernels/RELEASE`` with ``vmlinuz`` and an ``initramfs.img``; ``place`` is where it was unpacked."""
    target = kernels / kernel.release
    target.mkdir(parents=True)
    shutil.copy(kernel.file, target / "vmlinuz")
    _make_initramfs(kernel.release, place, target / "initramfs.img")


def _make_initramfs(release: str, unpacked: Path, image: Path) -> None:
    tree = unpacked / "initramfs"
    for name in ("bin", "dev", "proc", "sys", "sysroot", "new", "modules", "usr-of-host", "usr-of-layer"):
        (tree / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", tree / "bin")
    for library in _libraries("/bin/busybox"):
        (tree / library.parent.relative_to("/")).mkdir(parents=True, exist_ok=True)
        shutil.copy(library, tree / library.relative_to("/"))
    for command in _COMMANDS:
        (tree / "bin" / command).symlink_to("busybox")
    subprocess.run(["depmod", "-b", str(unpacked), release], check=True)
    files: list[Path] = []
    for module in _MODULES:
        shown = _said("modprobe", "--set-version", release, "--dirname", str(unpacked), "--show-depends", module)
        files += [Path(line.split()[1]) for line in shown.splitlines() if line.startswith("insmod ")]
    for file in dict.fromkeys(files):
        shutil.copy(file, tree / "modules")
    (tree / "modules.list").write_text("".join(f"{file.name}\n" for file in dict.fromkeys(files)))
    (tree / "init").write_text(_INIT)
    (tree / "init").chmod(0o755)
    subprocess.run(f"find . | cpio -o -H newc --quiet | gzip -1 > '{image}'", shell=True, cwd=tree, check=True)


def _libraries(program: str) -> list[Path]:
    """What it is linked with; none for a static one."""
    shown = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    return [Path(word) for line in shown.splitlines() for word in line.split() if word.startswith("/")]


def _said(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
