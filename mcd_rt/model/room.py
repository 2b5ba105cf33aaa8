"""Room for a deployment: what is free, and what a kernel takes in /boot. All sizes are bytes."""

from mcd_rt.frozen import frozen


@frozen
class BootDirectory:
    """A kernel and its initramfs in /boot: one directory for all the ``deployments`` (ids) that have the same."""

    name: str
    size: int
    deployments: tuple[str, ...]


@frozen
class BootRoom:
    """What is free in /boot, and what ostree has there; ``shared``: it is on the file system of the sysroot."""

    available: int
    directories: tuple[BootDirectory, ...]
    shared: bool = False


@frozen
class Room:
    """What is free; ``None`` for what cannot be seen. ``memory`` is what the kernel calls available."""

    boot: BootRoom | None = None
    sysroot: int | None = None
    memory: int | None = None


@frozen
class KernelFiles:
    """What a staged deployment will put into /boot; ``known`` where the same is there already."""

    size: int
    known: bool
