"""Ready-made operating systems for a simulated node."""

import hashlib

from mcd_rt.sim.profiles import Profile
from mcd_rt.sim.world import Base, Origin

_CONTAINER = "ostree-unverified-registry:registry.example/rhel-coreos@"
_PIVOT = "pivot://registry.example/machine-os-content@"
_OTHERS = ("bash-5.1.8-6.el9", "podman-2:4.4.1-3.el9", "kernel-tools-libs-5.14.0-284.el9", "systemd-252-14.el9")
_KERNEL_EL8 = ("kernel", "kernel-core", "kernel-modules", "kernel-modules-extra")
_KERNEL_EL9 = (*_KERNEL_EL8, "kernel-modules-core")


def default_bases(image: str, release: str = "el9") -> tuple[Base, ...]:
    """The one base that came from ``image``, a reference pinned by digest; ``release`` is el8 or el9.

    EL9 as recorded, EL8 as RHCOS 4.4-4.12: without ``kernel-modules-core``.
    """
    names, version, kernel = (
        (_KERNEL_EL9, "416.94.202405090606-0", "5.14.0-284.el9.x86_64")
        if release == "el9"
        else (_KERNEL_EL8, "44.82.202004090606-0", "4.18.0-193.el8.x86_64")
    )
    packages = [f"{name}-{kernel}" for name in names] + [f"{other.replace('el9', release)}.x86_64" for other in _OTHERS]
    digest = image.rpartition("@")[2]
    checksum = hashlib.sha256(f"{version} {digest}".encode()).hexdigest()
    return (Base(checksum, version, tuple(sorted(packages)), kernel, (f"{_CONTAINER}{digest}",)),)


def installed_origin(base: Base, profile: Profile) -> Origin:
    """The origin of a node installed from a base: a container, or a commit with a ``pivot://`` origin (4.4-4.11)."""
    container = next((refspec for refspec in base.refspecs if refspec.startswith(_CONTAINER)), "")
    if profile.container_origins or not container:
        return Origin(container or base.refspecs[0])
    digest = container.rpartition("@")[2]
    return Origin(base.checksum, (f"{_PIVOT}{digest}", "Managed by machine-config-operator"))
