"""Which packages of an image make a kernel type, and what is said when they do not."""

from dataclasses import replace

import pytest

from mcd_rt.errors import Code, Failure
from mcd_rt.model.content import Content, Package
from mcd_rt.model.kernel import FLAVORS, KernelType, flavor_of
from mcd_rt.model.packageset import is_complete
from mcd_rt.plan.packages import expected_kernel_release, select_packages
from tests.unit.nodes import ARM_64K, ARM_RT, EL8_RT, EL9, EL9_RT, EL9_RT_OLD, IMAGE, content

REALTIME = flavor_of(KernelType.REALTIME)
PAGES_64K = flavor_of(KernelType.PAGES_64K)


def select(found: Content, architecture: str = "x86_64") -> tuple[Package, ...] | Failure:
    return select_packages(found, REALTIME, architecture)


def failed(found: Content, architecture: str = "x86_64") -> Failure:
    failure = select(found, architecture)
    assert isinstance(failure, Failure), failure
    assert failure.hint
    return failure


@pytest.mark.parametrize("kernel", [EL8_RT, EL9_RT, EL9_RT.only("core", "modules", "modules-core")])
def test_a_whole_set_is_taken_sorted_by_name(kernel):
    shuffled = Content(IMAGE, tuple(reversed(kernel.packages)))
    assert select(shuffled) == kernel.packages


def test_only_the_nodes_own_architecture_is_taken_from_an_image_for_several():
    found = content(ARM_RT, EL9_RT)
    assert select(found) == EL9_RT.packages
    assert select(found, "aarch64") == ARM_RT.packages


def test_each_flavor_takes_its_own():
    found = content(ARM_RT, ARM_64K)
    assert select_packages(found, PAGES_64K, "aarch64") == ARM_64K.packages


def test_what_no_flavor_installs_is_left_in_the_image():
    assert select(
        content(EL9_RT.only("", "core", "modules", "modules-core", "devel", "debug-core", "debug-modules"))
    ) == (
        EL9_RT.package("core"),
        EL9_RT.package("modules"),
        EL9_RT.package("modules-core"),
    )


@pytest.mark.parametrize("found", [Content(IMAGE, ()), content(EL9), content(EL9_RT.only("", "devel", "debug-core"))])
def test_an_image_without_the_kernel_is_named(found):
    failure = failed(found)
    assert failure.code is Code.IMAGE_WITHOUT_KERNEL
    assert IMAGE in failure.message


def test_packages_for_other_architectures_are_named():
    failure = failed(content(ARM_RT, replace(EL9_RT, architecture="ppc64le")))
    assert failure.code is Code.PACKAGE_WRONG_ARCHITECTURE
    assert "are for aarch64, ppc64le, this node is x86_64" in failure.message


@pytest.mark.parametrize("missing", ["core", "modules"])
def test_a_required_package_that_is_missing_is_named(missing):
    rest = tuple(package for package in EL8_RT.packages if package.nevra.name != f"kernel-rt-{missing}")
    failure = failed(Content(IMAGE, rest))
    assert failure.code is Code.PACKAGES_INCOMPLETE
    assert f"but not kernel-rt-{missing}" in failure.message


def test_a_package_that_another_one_needs_is_named_with_the_one_that_needs_it():
    rest = tuple(package for package in EL9_RT.packages if package.nevra.name != "kernel-rt-modules-core")
    failure = failed(Content(IMAGE, rest))
    assert failure.code is Code.PACKAGES_INCOMPLETE
    assert f"kernel-rt-modules-core-uname-r = {EL9_RT.uname} (needed by kernel-rt-core)" in failure.message


def needing(*requires: str) -> Content:
    core = EL9_RT.package("core")
    rest = tuple(package for package in EL9_RT.packages if package != core)
    return Content(IMAGE, (replace(core, requires=requires), *rest))


@pytest.mark.parametrize(
    "requirement",
    [
        "kernel-rt-modules",
        "kernel-rt-modules-core-uname-r",
        "kernel-rt-modules-core >= 5.0",
        f"kernel-rt-modules = {EL9_RT.version}-{EL9_RT.release}",
        "kernel-firmware = 1",
        "kernel-rt",
    ],
)
def test_what_the_set_provides_or_does_not_concern_it_is_no_gap(requirement):
    assert not isinstance(select(needing(requirement)), Failure)


@pytest.mark.parametrize(
    "requirement",
    [
        "kernel-rt-firmware",
        "kernel-rt-firmware >= 1",
        "kernel-rt-modules = 5.14.0-1.el9",
        "kernel-rt-core-uname-r = 5.14.0",
    ],
)
def test_what_the_set_does_not_provide_is_a_gap(requirement):
    failure = failed(needing(requirement))
    assert failure.code is Code.PACKAGES_INCOMPLETE
    assert f"{requirement} (needed by kernel-rt-core)" in failure.message


def test_two_versions_of_packages_are_all_named():
    failure = failed(content(EL9_RT, EL9_RT_OLD.only("core")))
    assert failure.code is Code.PACKAGES_AMBIGUOUS
    both = ", ".join(sorted(str(kernel.package("core").nevra) for kernel in (EL9_RT, EL9_RT_OLD)))
    assert failure.message == f"the image has more than one version of a package: {both}"


def test_the_same_package_with_other_bytes_is_ambiguous():
    twice = replace(EL9_RT.package("core"), sha256="0" * 64)
    failure = failed(Content(IMAGE, (*EL9_RT.packages, twice)))
    assert failure.code is Code.PACKAGES_AMBIGUOUS
    assert str(twice.nevra) in failure.message


def test_mixed_versions_are_all_named():
    mixed = (*EL9_RT.only("core", "modules-core").packages, EL9_RT_OLD.package("modules"))
    failure = failed(Content(IMAGE, mixed))
    assert failure.code is Code.PACKAGES_AMBIGUOUS
    assert "mixes versions" in failure.message
    assert str(EL9_RT_OLD.package("modules").nevra) in failure.message


def test_versions_that_differ_by_epoch_only_are_mixed():
    core = EL9_RT.package("core")
    later = replace(core, nevra=replace(core.nevra, epoch=1))
    rest = tuple(package for package in EL9_RT.packages if package.nevra != core.nevra)
    assert failed(Content(IMAGE, (later, *rest))).code is Code.PACKAGES_AMBIGUOUS


@pytest.mark.parametrize("kernel", [EL8_RT, EL9_RT, ARM_64K])
def test_the_expected_release_is_that_of_the_modules_directory(kernel):
    assert expected_kernel_release(kernel.packages) == kernel.uname


def test_no_release_is_expected_of_packages_without_a_kernel():
    assert expected_kernel_release(EL8_RT.only("modules").packages) == ""


def test_no_two_flavors_own_the_same_package():
    names = [f"{flavor.prefix}-{suffix}" for flavor in FLAVORS for suffix in flavor.required + flavor.optional]
    assert len(names) == len(set(names))


NAMES = ("kernel-rt-core", "kernel-rt-modules", "kernel-rt-kvm")


@pytest.mark.parametrize(
    ("kernels", "names", "complete"),
    [
        pytest.param((EL9_RT,), NAMES, True, id="whole"),
        pytest.param(
            (EL9_RT.only("core", "modules", "modules-core"),), NAMES, True, id="without what it need not have"
        ),
        pytest.param((EL9_RT, EL9), NAMES, True, id="beside others"),
        pytest.param((EL9_RT.only("core", "modules-core"),), NAMES, False, id="without a required part"),
        pytest.param((ARM_RT,), NAMES, False, id="for another architecture"),
        pytest.param((), NAMES, False, id="nothing"),
        pytest.param((EL9_RT,), (*NAMES, "kernel-64k-core"), False, id="of one flavor of two"),
        pytest.param((EL9_RT,), ("htop",), False, id="of no flavor"),
    ],
)
def test_reading_may_stop_when_every_flavor_asked_for_is_whole(kernels, names, complete):
    assert is_complete(content(*kernels).packages, names, "x86_64") is complete


def test_reading_goes_on_while_one_of_the_packages_needs_another():
    core, modules = EL9_RT.package("core"), EL9_RT.package("modules")
    assert not is_complete((core, modules), NAMES, "x86_64")
    assert is_complete((core, modules, EL9_RT.package("modules-core")), NAMES, "x86_64")
