"""What the host is and runs."""

from mcd_rt.frozen import frozen
from mcd_rt.model.kernel import KernelType


@frozen
class Host:
    """Facts read from files (``observed/host.py``).

    ``kernel_release`` is what ``uname -r`` says, ``realtime`` whether the running kernel is
    PREEMPT_RT, ``ostree`` whether the host booted from an ostree deployment, ``fips`` whether the kernel
    runs in FIPS mode. ``kernel_arguments`` are those of the running kernel, the boot loader's own among them.
    ``layering_locked`` says why packages of this host cannot be changed; empty where they can.
    """

    os_id: str
    os_variant: str
    os_version: str
    architecture: str
    boot_id: str
    kernel_release: str
    realtime: bool
    ostree: bool
    fips: bool = False
    kernel_arguments: tuple[str, ...] = ()
    layering_locked: str = ""

    @property
    def kernel_type(self) -> KernelType:
        """The type of the running kernel; the one with pages of 64 KiB says so in its release (EL9: ``…+64k``)."""
        if self.realtime:
            return KernelType.REALTIME
        return KernelType.PAGES_64K if self.kernel_release.endswith("+64k") else KernelType.DEFAULT

    @property
    def supported(self) -> bool:
        """An image-based host this agent serves: RHCOS, SCOS and the CoreOS variants of their parents.

        ``reference/machine-config-daemon.md`` 5.1; Fedora CoreOS has no kernel-rt and is not one.
        """
        image_based = self.os_id in ("rhcos", "scos") or (
            self.os_id in ("rhel", "centos") and self.os_variant == "coreos"
        )
        return self.ostree and image_based
