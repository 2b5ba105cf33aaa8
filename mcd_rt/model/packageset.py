"""When packages are a whole kernel: the one rule, for the worker that stops reading and the plan that decides.

Which packages of a kernel type there must be is a row of ``model.kernel``; what they need of each other, their
headers say.
"""

from collections.abc import Sequence
from typing import Protocol

from mcd_rt.model.kernel import Flavor, flavor_owning
from mcd_rt.model.nevra import Nevra


class Described(Protocol):
    """What is known of a package from its header; see ``model.content.Package``."""

    @property
    def nevra(self) -> Nevra:
        """Which package it is."""

    @property
    def provides(self) -> tuple[str, ...]:
        """The capabilities it has that concern kernels."""

    @property
    def requires(self) -> tuple[str, ...]:
        """The capabilities it needs that concern kernels."""


def missing_of(packages: Sequence[Described], flavor: Flavor) -> tuple[str, ...]:
    """What is missing for these packages to be a whole kernel of this flavor, in words; nothing if they are."""
    names = {package.nevra.name for package in packages}
    missing = [f"{flavor.prefix}-{suffix}" for suffix in flavor.required if f"{flavor.prefix}-{suffix}" not in names]
    provided = names.union(*(package.provides for package in packages))
    provided_names = {capability.partition(" ")[0] for capability in provided}
    for package in packages:
        for capability in package.requires:
            name, _, version = capability.partition(" ")
            known = provided_names if not version.startswith("= ") else provided
            if name.startswith(f"{flavor.prefix}-") and (name if known is provided_names else capability) not in known:
                missing.append(f"{capability} (needed by {package.nevra.name})")
    return tuple(missing)


def is_complete(packages: Sequence[Described], names: Sequence[str], architecture: str) -> bool:
    """Whether there is a whole kernel of every flavor the names belong to, for the architecture (``uname -m``).

    Packages that a flavor may have but need not are not waited for: an image has them beside the others.
    """
    flavors = {flavor for name in names if (flavor := flavor_owning(name)) is not None}
    for flavor in flavors:
        fitting = [
            package
            for package in packages
            if flavor.owns(package.nevra.name) and package.nevra.architecture == architecture
        ]
        if not fitting or missing_of(fitting, flavor):
            return False
    return bool(flavors)
