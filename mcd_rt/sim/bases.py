"""Ready-made operating systems for a simulated node."""

import hashlib
from dataclasses import dataclass
from enum import Enum

from mcd_rt.sim.profiles import Profile
from mcd_rt.sim.refspec import is_container
from mcd_rt.sim.world import Base, Origin

_CONTAINER = "ostree-unverified-registry:registry.example/rhel-coreos@"
_PIVOT = "pivot://registry.example/machine-os-content@"
PIVOT_DESCRIPTION = "Managed by machine-config-operator"
"""The second half of a ``custom-origin``, as the machine-config-daemon writes it."""
_OTHERS = ("bash-5.1.8-6.el9", "podman-2:4.4.1-3.el9", "kernel-tools-libs-5.14.0-284.el9", "systemd-252-14.el9")
_KERNEL_EL8 = ("kernel", "kernel-core", "kernel-modules", "kernel-modules-extra")
_KERNEL_EL9 = (*_KERNEL_EL8, "kernel-modules-core")
_REALTIME = tuple(name.replace("kernel", "kernel-rt", 1) for name in _KERNEL_EL9)


@dataclass(frozen=True, slots=True)
class _Row:
    """``kernel`` is version, release and architecture; ``suffix`` what ``uname -r`` has after them."""

    version: str
    kernel: str
    names: tuple[str, ...]
    release: str = "el9"
    suffix: str = ""


class Release(Enum):
    """Which OS. EL9 is as recorded; EL8 as RHCOS 4.4-4.12, without ``kernel-modules-core``."""

    EL8 = _Row("44.82.202004090606-0", "4.18.0-193.el8.x86_64", _KERNEL_EL8, "el8")
    EL9 = _Row("416.94.202405090606-0", "5.14.0-284.el9.x86_64", _KERNEL_EL9)
    EL9_NEXT = _Row("418.94.202410010606-0", "5.14.0-427.el9.x86_64", _KERNEL_EL9)
    EL9_WITHOUT_EXTRA = _Row(
        "419.94.202503010606-0",
        "5.14.0-503.el9.x86_64",
        tuple(name for name in _KERNEL_EL9 if name != "kernel-modules-extra"),
    )
    EL9_REALTIME = _Row("418.94.202410020606-0", "5.14.0-427.rt14.el9.x86_64", _REALTIME, suffix="+rt")
    """The kernel of the base is kernel-rt."""


def base_of(release: Release, image: str = "") -> Base:
    """One ready-made base, with what ``image`` (pinned by digest) resolves to; without one, a digest of its own."""
    row = release.value
    packages = [f"{name}-{row.kernel}" for name in row.names]
    packages += [f"{other.replace('el9', row.release)}.x86_64" for other in _OTHERS]
    digest = image.rpartition("@")[2] or f"sha256:{hashlib.sha256(row.version.encode()).hexdigest()}"
    checksum = hashlib.sha256(f"{row.version} {digest}".encode()).hexdigest()
    kernel = row.kernel + row.suffix
    return Base(checksum, row.version, tuple(sorted(packages)), kernel, (f"{_CONTAINER}{digest}",))


def default_bases(image: str, release: str = "el9") -> tuple[Base, ...]:
    """The one base that came from ``image``, a reference pinned by digest; ``release`` is el8 or el9."""
    return (base_of(Release.EL9 if release == "el9" else Release.EL8, image),)


def pivot_origin(image: str) -> tuple[str, str]:
    """The ``custom-origin`` of a node that was updated to a machine-os-content image."""
    return f"pivot://{image}", PIVOT_DESCRIPTION


def installed_origin(base: Base, profile: Profile) -> Origin:
    """The origin of a node installed from a base: a container, or a commit with a ``pivot://`` origin (4.4-4.11)."""
    container = next((refspec for refspec in base.refspecs if is_container(refspec)), "")
    if profile.container_origins or not container:
        return Origin(container or base.refspecs[0])
    return Origin(base.checksum, (f"{_PIVOT}{base.image_digest}", PIVOT_DESCRIPTION))
