"""Kernel types, and the packages that make one, as rows of one table.

Package names: ``reference/machine-config-daemon.md`` 1.3. Which of them are installed is derived from
the image, which are removed from the base: never a list by OS version.
"""

from enum import StrEnum, unique

from mcd_rt.frozen import frozen


@unique
class KernelType(StrEnum):
    """``kernelType`` of a MachineConfig."""

    DEFAULT = "default"
    REALTIME = "realtime"
    PAGES_64K = "64k-pages"


@frozen
class Flavor:
    """How a kernel type other than the default one is packaged.

    ``required`` and ``optional`` are suffixes after ``prefix-``; packages of the prefix with any other
    suffix (``-devel``, ``-debug-core``) and the bare meta package are never installed.
    An empty ``architectures`` means any.
    """

    kernel_type: KernelType
    prefix: str
    required: tuple[str, ...]
    optional: tuple[str, ...]
    architectures: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all packages this flavor installs, where they are there."""
        return tuple(f"{self.prefix}-{suffix}" for suffix in self.required + self.optional)

    def owns(self, name: str) -> bool:
        """Whether a package of this name is one this flavor installs."""
        return name in self.names

    def supports(self, architecture: str) -> bool:
        """Whether the flavor exists for this architecture (``x86_64``, ``aarch64`` ...)."""
        return not self.architectures or architecture in self.architectures


FLAVORS: tuple[Flavor, ...] = (
    Flavor(
        KernelType.REALTIME,
        "kernel-rt",
        ("core", "modules"),
        ("modules-core", "modules-extra", "kvm"),
        ("x86_64", "aarch64"),
    ),
    Flavor(KernelType.PAGES_64K, "kernel-64k", ("core", "modules"), ("modules-core", "modules-extra"), ("aarch64",)),
)


def flavor_of(kernel_type: KernelType) -> Flavor | None:
    """The row of a kernel type; ``None`` for the default one, which is the base's own."""
    return next((flavor for flavor in FLAVORS if flavor.kernel_type is kernel_type), None)


def flavor_owning(name: str) -> Flavor | None:
    """The flavor that a package of this name makes, if any: one it installs, or its meta package.

    The bare meta package is nobody's to install, but where somebody did, it has to go with the rest.
    """
    return next((flavor for flavor in FLAVORS if flavor.owns(name) or name == flavor.prefix), None)


def is_base_kernel(name: str) -> bool:
    """Whether a package of the base carries its kernel and so makes room for another one.

    ``kernel-tools``, ``kernel-headers`` and the like stay.
    """
    return name in ("kernel", "kernel-core") or name == "kernel-modules" or name.startswith("kernel-modules-")
