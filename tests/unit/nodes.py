"""Builders of the values a plan is made from: kernels, packages, deployments, situations."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from mcd_rt.model.content import Content, Package
from mcd_rt.model.deployment import Deployment, Deployments
from mcd_rt.model.desired import Desired
from mcd_rt.model.host import Host
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.nevra import Nevra
from mcd_rt.model.osimage import OsForm, OsImage
from mcd_rt.model.plan import Target
from mcd_rt.model.record import Attempt, Phase, Record, Verified
from mcd_rt.plan.situation import Base, OsOffer, Situation

IMAGE = "sha256:" + "a" * 64
OTHER_IMAGE = "sha256:" + "b" * 64
BOOT = "boot-1"
EARLIER_BOOT = "boot-0"

_REQUIRES: Mapping[str, tuple[str, ...]] = {
    "core": ("modules-core",),
    "modules-core": ("core",),
    "modules": ("core", "modules-core"),
    "modules-extra": ("core", "modules"),
    "kvm": ("core",),
}


@dataclass(frozen=True)
class Kernel:
    """One build of a kernel; an empty suffix is the meta package."""

    prefix: str
    suffixes: tuple[str, ...]
    version: str
    release: str
    architecture: str = "x86_64"
    uname_suffix: str = ""

    @cached_property
    def uname(self) -> str:
        """What ``uname -r`` says when it runs."""
        return f"{self.version}-{self.release}.{self.architecture}{self.uname_suffix}"

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted("-".join(filter(None, (self.prefix, suffix))) for suffix in self.suffixes))

    @cached_property
    def nevras(self) -> tuple[Nevra, ...]:
        return tuple(Nevra(name, 0, self.version, self.release, self.architecture) for name in self.names)

    @cached_property
    def packages(self) -> tuple[Package, ...]:
        """With the capabilities of the real ones: each needs the parts it is useless without."""
        return tuple(self._package(nevra) for nevra in self.nevras)

    def package(self, suffix: str) -> Package:
        name = f"{self.prefix}-{suffix}"
        return next(package for package in self.packages if package.nevra.name == name)

    def only(self, *suffixes: str) -> "Kernel":
        """The same build with other packages of it."""
        return replace(self, suffixes=suffixes)

    def _package(self, nevra: Nevra) -> Package:
        suffix = nevra.name.removeprefix(self.prefix).removeprefix("-")
        needed = (part for part in _REQUIRES.get(suffix, ()) if part in self.suffixes or part != "modules-core")
        return Package(
            nevra=nevra,
            file=f"{nevra}.rpm",
            size=1000,
            sha256=hashlib.sha256(str(nevra).encode()).hexdigest(),
            kernel_release=self.uname,
            provides=(f"{nevra.name} = {self.version}-{self.release}", self._capability(suffix)),
            requires=("kernel-firmware", *(self._capability(part) for part in needed)),
        )

    def _capability(self, suffix: str) -> str:
        return f"{self.prefix}-{suffix}-uname-r = {self.uname}"


EL8 = Kernel("kernel", ("", "core", "modules", "modules-extra"), "4.18.0", "193.el8")
EL8_RT = Kernel("kernel-rt", ("core", "modules", "modules-extra", "kvm"), "4.18.0", "193.rt13.51.el8")
EL9 = Kernel("kernel", ("", "core", "modules", "modules-core", "modules-extra"), "5.14.0", "284.el9_2")
EL9_RT = Kernel(
    "kernel-rt",
    ("core", "modules", "modules-core", "modules-extra", "kvm"),
    "5.14.0",
    "284.rt14.296.el9_2",
    uname_suffix="+rt",
)
EL9_RT_OLD = replace(EL9_RT, release="162.rt13.200.el9_2")
ARM = replace(EL9, architecture="aarch64")
ARM_RT = replace(EL9_RT, architecture="aarch64")
ARM_64K = Kernel(
    "kernel-64k", ("core", "modules", "modules-core", "modules-extra"), "5.14.0", "284.el9_2", "aarch64", "+64k"
)


def checksum_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def base_of(kernel: Kernel, *others: Nevra) -> Base:
    """The base commit that has this kernel."""
    return Base(checksum_of(kernel.uname), tuple(sorted((*kernel.nevras, *others))))


def offer(kernel: Kernel, form: OsForm = OsForm.CONTAINER, *others: Nevra, signed: bool = False) -> OsOffer:
    """The OS of another image, with this kernel."""
    packages, commit = tuple(sorted((*kernel.nevras, *others))), checksum_of(kernel.uname)
    image = OsImage(OTHER_IMAGE, form, commit, "417.94", kernel.uname, kernel.architecture, packages)
    return OsOffer(image, signed)


def on_default(kernel: Kernel = EL9, **changes: object) -> Deployment:
    """A booted deployment of a base as it is, before ``changes``."""
    checksum = checksum_of(kernel.uname)
    plain = Deployment(
        id="rhcos-default.0",
        checksum=checksum,
        base_checksum=checksum,
        version="416.94",
        image_digest=IMAGE,
        booted=True,
        staged=False,
        locked=False,
        pinned=False,
        requested=(),
        local=(),
        removals=(),
        replacements=(),
        kernel_release=kernel.uname,
    )
    return replace(plain, **changes)


def on_flavor(kernel: Kernel, flavor: Kernel, **changes: object) -> Deployment:
    """A booted deployment with the base's kernel swapped for a flavor's local packages."""
    swapped = on_default(
        kernel,
        id="rhcos-swapped.0",
        checksum=checksum_of(f"{kernel.uname} {flavor.uname}"),
        local=flavor.nevras,
        removals=kernel.names,
        kernel_release=flavor.uname,
    )
    return replace(swapped, **changes)


def staged(deployment: Deployment, **changes: object) -> Deployment:
    """The deployment as the next one to boot, staged by us: locked."""
    ours = replace(deployment, id="rhcos-staged.1", booted=False, staged=True, locked=True)
    return replace(ours, **changes)


def host(kernel_release: str = EL9.uname, **changes: object) -> Host:
    """A host that runs this kernel."""
    architecture = "aarch64" if "aarch64" in kernel_release else "x86_64"
    realtime = ".rt" in kernel_release
    plain = Host("rhcos", "coreos", "416.94", architecture, BOOT, kernel_release, realtime=realtime, ostree=True)
    return replace(plain, **changes)


def desired(kernel_type: KernelType = KernelType.REALTIME, **changes: object) -> Desired:
    """A rendered config."""
    plain = Desired("rendered-worker-1", kernel_type, f"registry.example/os@{IMAGE}", (), fips=False)
    return replace(plain, **changes)


def content(*kernels: Kernel) -> Content:
    """The image with the packages of these kernels."""
    return Content(IMAGE, tuple(package for kernel in kernels for package in kernel.packages))


def situation(kernel_type: KernelType, *deployments: Deployment, **given: object) -> Situation:
    """A node that runs what its booted deployment has, of the last base kernel's OS; ``given`` replaces the rest."""
    booted = next(deployment for deployment in deployments if deployment.booted)
    plain = Situation(
        desired=desired(kernel_type),
        host=host(booted.kernel_release),
        deployments=Deployments(deployments),
        record=Record(),
    )
    return replace(plain, **given)


def target_of(kernel: Kernel, flavor: Kernel | None = None, kernel_type: KernelType = KernelType.REALTIME) -> Target:
    """The target of a flavor on a base, or of the base's own kernel."""
    if flavor is None:
        return Target(KernelType.DEFAULT, IMAGE, "", (), kernel.uname)
    return Target(kernel_type, IMAGE, IMAGE, flavor.nevras, flavor.uname)


def attempt_of(target: Target, deployment_id: str = "rhcos-staged.1", **changes: object) -> Attempt:
    """A change of ours, staged in this boot."""
    return replace(Attempt(target, Phase.STAGED, BOOT, started=100.0, deployment_id=deployment_id), **changes)


def verified(target: Target) -> Record:
    """The record after a target came up."""
    return Record(verified=Verified(target, started=100.0, at=200.0))
