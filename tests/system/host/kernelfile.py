"""Kernels that do not boot: each says what it would call itself, and is as large as asked."""

import shutil
from pathlib import Path

REAL_KERNELS = Path("/usr/lib/real-kernels")
"""Where a host has kernels that do boot, a directory for each release; most have none."""

KERNEL_BYTES = 200_000
_TITLES = {True: "PREEMPT_RT", False: "PREEMPT_DYNAMIC"}


def kernel_file(kernel_release: str, *, realtime: bool, size: int = KERNEL_BYTES) -> bytes:
    """Its release, its version and whether it is real-time, a line each."""
    title = f"{kernel_release}\n#1 SMP {_TITLES[realtime]} Thu Jan  1 00:00:00 UTC 1970\n{int(realtime)}\n"
    return title.encode().ljust(size, b"\n")


def write_kernel(place: Path, release: str, *, realtime: bool, kernels: Path = REAL_KERNELS) -> None:
    """``usr/lib/modules/RELEASE`` below ``place``."""
    size = KERNEL_BYTES
    modules = place / "usr/lib/modules" / release
    modules.mkdir(parents=True)
    if (kernels / release).is_dir():
        for name in ("vmlinuz", "initramfs.img"):
            shutil.copy(kernels / release / name, modules)
        return
    (modules / "vmlinuz").write_bytes(kernel_file(release, realtime=realtime, size=size))
    (modules / "initramfs.img").write_bytes(kernel_file(f"initramfs {release}", realtime=realtime, size=size))
