"""Which packages of an image make a kernel type; derived from their headers, never a list by OS version."""

from collections import defaultdict

from mcd_rt.errors import Code, Failure
from mcd_rt.model.content import Content, Package
from mcd_rt.model.kernel import Flavor
from mcd_rt.model.packageset import missing_of


def select_packages(content: Content, flavor: Flavor, architecture: str) -> tuple[Package, ...] | Failure:
    """The packages to install, sorted by name; or why this image cannot give that kernel.

    Whole or nothing: one version of everything, for this architecture, and nothing missing that one of
    them requires of the same flavor.
    """
    candidates = [package for package in content.packages if flavor.owns(package.nevra.name)]
    if not candidates:
        return Failure(
            Code.IMAGE_WITHOUT_KERNEL,
            f"the image {content.digest} has no {flavor.prefix} packages",
            "the node keeps its kernel; an image of a release that ships them is needed",
        )
    fitting = [package for package in candidates if package.nevra.architecture == architecture]
    if not fitting:
        found = sorted({package.nevra.architecture for package in candidates})
        return Failure(
            Code.PACKAGE_WRONG_ARCHITECTURE,
            f"the {flavor.prefix} packages of {content.digest} are for {', '.join(found)}, this node is {architecture}",
            "the image is for other nodes",
        )
    chosen = tuple(sorted(fitting, key=lambda package: package.nevra))
    return _ambiguity(chosen) or _gap(chosen, flavor) or chosen


def expected_kernel_release(packages: tuple[Package, ...]) -> str:
    """What ``uname -r`` says once these run: the ``<kver>`` of the package that ships the kernel."""
    return next((package.kernel_release for package in packages if package.nevra.name.endswith("-core")), "")


def _ambiguity(chosen: tuple[Package, ...]) -> Failure | None:
    by_name: dict[str, set[str]] = defaultdict(set)
    for package in chosen:
        by_name[package.nevra.name].add(str(package.nevra))
    twice = sorted(nevra for nevras in by_name.values() if len(nevras) > 1 for nevra in nevras)
    if twice or len(chosen) > len(by_name):
        listed = ", ".join(twice or sorted(str(package.nevra) for package in chosen))
        return Failure(
            Code.PACKAGES_AMBIGUOUS,
            f"the image has more than one version of a package: {listed}",
            "which one is meant cannot be told; build the image with one",
        )
    versions = {(p.nevra.epoch, p.nevra.version, p.nevra.release) for p in chosen}
    if len(versions) > 1:
        listed = ", ".join(str(package.nevra) for package in chosen)
        return Failure(
            Code.PACKAGES_AMBIGUOUS, f"the image mixes versions: {listed}", "build the image with one version of all"
        )
    return None


def _gap(chosen: tuple[Package, ...], flavor: Flavor) -> Failure | None:
    missing = missing_of(chosen, flavor)
    if not missing:
        return None
    names = sorted({package.nevra.name for package in chosen})
    return Failure(
        Code.PACKAGES_INCOMPLETE,
        f"the image has {', '.join(names)} but not {', '.join(missing)}",
        "a kernel without its modules does not boot the node; build the image with the whole set",
    )
