"""What a simulated node is made of, as values: bases, origins, deployments."""

import hashlib
from dataclasses import dataclass, field, replace

from mcd_rt.model.kernel import flavor_owning, is_base_kernel
from mcd_rt.model.nevra import Nevra
from mcd_rt.sim.refspec import image_digest

_METAS = ("kernel", "kernel-rt")
_KERNELS = (*_METAS, "kernel-core", "kernel-rt-core")
"""Packages by which rpm-ostree sees that the kernel changes (``reference/rpm-ostree-dbus.md`` 4)."""


@dataclass(frozen=True, slots=True)
class Base:
    """One OS: an ostree commit.

    ``packages`` are NEVRAs, ``kernel_release`` the directory of its kernel below /usr/lib/modules,
    ``refspecs`` what resolves to it: a branch (``remote:branch``) or a container reference. ``instance_digest`` is
    that of the image where the container reference is pinned by the digest of an index; it resolves to it as well.
    """

    checksum: str
    version: str
    packages: tuple[str, ...]
    kernel_release: str
    refspecs: tuple[str, ...] = ()
    instance_digest: str = field(default="", repr=False)

    @property
    def image_digest(self) -> str:
        """``sha256:...`` of the container image it came from; empty for one that came from none."""
        return next(filter(None, map(image_digest, self.refspecs)), "")

    def find(self, name: str) -> str:
        """The NEVRA of a package, given its name or its NEVRA; empty where the base has none."""
        return next((nevra for nevra in self.packages if name in (nevra, name_of(nevra))), "")


@dataclass(frozen=True, slots=True)
class Rpm:
    """A local RPM as rpm-ostree records it: NEVRA and the digest of its header.

    ``kernel_release`` is the directory below /lib/modules it ships files in, if any.
    """

    nevra: str
    sha256: str
    kernel_release: str = ""

    @property
    def name(self) -> str:
        """Its package name."""
        return name_of(self.nevra)


@dataclass(frozen=True, slots=True)
class Origin:
    """What is asked of a deployment: an origin file, as a value. Lists are sorted, so that equal is equal."""

    refspec: str
    custom: tuple[str, str] | None = None
    packages: tuple[str, ...] = ()
    local: tuple[Rpm, ...] = ()
    removals: tuple[str, ...] = ()
    replacements: tuple[Rpm, ...] = ()


@dataclass(frozen=True, slots=True)
class Tree:
    """A base and what is asked on top of it; what of it is active follows."""

    base: Base
    origin: Origin

    @property
    def removed(self) -> tuple[str, ...]:
        """NEVRAs of the base that are left out."""
        return tuple(filter(None, (self.base.find(name) for name in self.origin.removals)))

    @property
    def replaced(self) -> tuple[tuple[Rpm, str], ...]:
        """Replacements, each with the NEVRA of the base it takes the place of: only the same name counts."""
        pairs = ((rpm, self.base.find(rpm.name)) for rpm in self.origin.replacements)
        return tuple((rpm, old) for rpm, old in pairs if old)

    @property
    def overlays(self) -> tuple[str, ...]:
        """What is installed on top."""
        return self.origin.packages + tuple(rpm.nevra for rpm in self.origin.local)

    @property
    def layered(self) -> bool:
        """Whether it needs a commit of its own."""
        return bool(self.removed or self.replaced or self.overlays)

    @property
    def kernel_changed(self) -> bool:
        """Whether a package that carries a kernel comes or goes."""
        gone = [*self.removed, *(old for _rpm, old in self.replaced)]
        return any(name_of(nevra) in _KERNELS for nevra in gone) or any(_carries_kernel(rpm.name) for rpm in self._rpms)

    @property
    def module_directories(self) -> frozenset[str]:
        """What is in /usr/lib/modules."""
        from_base = {self.base.kernel_release for name in self._remaining if name not in _METAS and _of_kernel(name)}
        return frozenset(from_base | {rpm.kernel_release for rpm in self._rpms if rpm.kernel_release})

    @property
    def kernel_package(self) -> str:
        """The name of the package whose kernel boots; empty without one."""
        carriers = [rpm.name for rpm in self._rpms if _carries_kernel(rpm.name)]
        carriers += [nevra.name for nevra in self._requested_kernels]
        return next(iter([*carriers, *filter(_carries_kernel, self._remaining)]), "")

    @property
    def kernel_release(self) -> str:
        """What ``uname -r`` says in it."""
        carried = [rpm.kernel_release for rpm in self._rpms if _carries_kernel(rpm.name)]
        carried += [f"{each.version}-{each.release}.{each.architecture}+rt" for each in self._requested_kernels]
        return next(iter(carried), self.base.kernel_release)

    @property
    def realtime(self) -> bool:
        """Whether its kernel is PREEMPT_RT."""
        return self.kernel_package.startswith("kernel-rt")

    @property
    def _rpms(self) -> tuple[Rpm, ...]:
        return self.origin.local + tuple(rpm for rpm, _old in self.replaced)

    @property
    def _requested_kernels(self) -> tuple[Nevra, ...]:
        """Kernels out of a repository: of these a request is the whole NEVRA, and of EL9."""
        found = (Nevra.parse(text) for text in self.origin.packages if text.startswith("kernel-rt-core-"))
        return tuple(nevra for nevra in found if _carries_kernel(nevra.name))

    @property
    def _remaining(self) -> tuple[str, ...]:
        gone = {*self.removed, *(old for _rpm, old in self.replaced)}
        return tuple(name_of(nevra) for nevra in self.base.packages if nevra not in gone)


@dataclass(frozen=True, slots=True)
class Deployment:
    """One deployment; ``kernel_arguments`` as on the kernel command line."""

    tree: Tree
    checksum: str
    serial: int = 0
    kernel_arguments: str = ""
    booted: bool = False
    staged: bool = False
    locked: bool = False
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class Repository:
    """An enabled rpm-md repository and what it offers."""

    name: str
    packages: tuple[str, ...] = ()
    reachable: bool = True


@dataclass(frozen=True, slots=True)
class System:
    """The sysroot and what it can be updated from; deployments in boot order."""

    osname: str
    deployments: tuple[Deployment, ...]
    bases: tuple[Base, ...]
    repository: Repository | None = None

    @property
    def merge(self) -> Deployment:
        """What a transaction starts from."""
        return self.deployments[0]

    @property
    def booted(self) -> Deployment:
        """What runs."""
        return next(deployment for deployment in self.deployments if deployment.booted)

    @property
    def staged(self) -> Deployment | None:
        """What would run next."""
        return next((deployment for deployment in self.deployments if deployment.staged), None)

    def resolve(self, refspec: str) -> Base | None:
        """The base of a checksum (``[remote:]SHA256``), a branch, or a container image.

        A pinned image is the same by any transport and from any mirror: it is its digest.
        """
        last, digest = refspec.rpartition(":")[2], image_digest(refspec) or None
        fitting = (
            base
            for base in self.bases
            if refspec in base.refspecs or base.checksum == last or digest in (base.image_digest, base.instance_digest)
        )
        return next(fitting, None)

    def has_commit(self, checksum: str) -> bool:
        """Whether a commit is in the repository of the sysroot: that of any deployment is."""
        return any(checksum == each.tree.base.checksum for each in self.deployments)


def fresh_system(osname: str, bases: tuple[Base, ...], origin: Origin, kernel_arguments: str) -> System:
    """A node just installed from what ``origin`` names, one of ``bases``."""
    system = System(osname, (), bases)
    base = system.resolve(origin.refspec)
    assert base is not None
    booted = Deployment(Tree(base, origin), base.checksum, kernel_arguments=kernel_arguments, booted=True)
    return replace(system, deployments=(booted,))


def stage(system: System, tree: Tree, kernel_arguments: str, *, locked: bool) -> System:
    """Put a new deployment into the one staged slot; a layered one has a checksum of its own each time."""
    there = [deployment.checksum for deployment in system.deployments]
    seed = repr((tree, kernel_arguments, there))
    checksum = hashlib.sha256(seed.encode()).hexdigest() if tree.layered else tree.base.checksum
    serials = [deployment.serial for deployment in system.deployments if deployment.checksum == checksum]
    new = Deployment(tree, checksum, max(serials, default=-1) + 1, kernel_arguments, staged=True, locked=locked)
    return replace(system, deployments=(new, *(old for old in system.deployments if not old.staged)))


def reboot(system: System, *, finalize: bool) -> System:
    """What boots: the staged deployment if it is finalized and not locked, else the first on disk.

    The old booted one becomes the rollback; a staged one that is not finalized is gone with /run. The first
    on disk is another than the booted one after a rollback, which needs no finalizing.
    """
    staged = system.staged
    if staged is None or staged.locked or not finalize:
        first, *others = (replace(old, booted=False) for old in system.deployments if not old.staged)
        return replace(system, deployments=(replace(first, booted=True), *others))
    kept = tuple(old for old in system.deployments if old.pinned and not old.booted)
    booted, rollback = replace(staged, staged=False, booted=True), replace(system.booted, booted=False)
    return replace(system, deployments=(booted, rollback, *kept))


def name_of(nevra: str) -> str:
    """The name in a NEVRA."""
    return Nevra.parse(nevra).name


def _of_kernel(name: str) -> bool:
    return is_base_kernel(name) or flavor_owning(name) is not None


def _carries_kernel(name: str) -> bool:
    return _of_kernel(name) and name.endswith("-core") and not name.endswith("-modules-core")
