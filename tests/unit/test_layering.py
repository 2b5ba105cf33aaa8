"""What of a deployment makes its kernel type, and what is somebody else's."""

from dataclasses import replace

import pytest

from mcd_rt.model.nevra import Nevra
from mcd_rt.model.plan import Shape
from mcd_rt.plan.layering import (
    apart_from_kernel,
    foreign_layers,
    has_shape,
    is_swapped,
    kernel_packages,
    kernel_removals,
    kernel_requests,
    overridden_kernels,
    shape_of,
)
from tests.unit.nodes import ARM, ARM_64K, EL9, EL9_RT, on_default, on_flavor

DEVEL = Nevra.parse("kernel-rt-devel-5.14.0-284.rt14.296.el9_2.x86_64")
HTOP = Nevra.parse("htop-3.2.1-1.el9.x86_64")

FULL = on_flavor(
    EL9,
    EL9_RT,
    local=(HTOP, *EL9_RT.nevras, DEVEL),
    requested=("kernel-rt-kvm", "kernel-tools", "strace"),
    removals=(*EL9.names, "kernel-tools-libs", "moby-engine"),
    replacements=("podman-2:4.4.2-1.el9.x86_64",),
)


def test_the_packages_of_a_flavor_are_told_from_others_of_its_prefix():
    assert kernel_packages(FULL) == EL9_RT.nevras
    assert kernel_packages(on_flavor(ARM, ARM_64K)) == ARM_64K.nevras


def test_requests_of_a_flavor_are_told_by_name_and_by_nevra():
    pinned = "kernel-rt-core-5.14.0-284.rt14.296.el9_2.x86_64"
    layered = on_default(requested=(pinned, "kernel-rt-devel", "kernel-rt-kvm", "kernel-tools", str(DEVEL)))
    assert kernel_requests(layered) == (pinned, "kernel-rt-kvm")


def test_removals_of_the_bases_kernel_are_told_from_others():
    assert kernel_removals(FULL) == set(EL9.names)


def test_a_deployment_with_a_replaced_kernel_shows_it():
    hotfix = tuple(str(nevra) for nevra in EL9.nevras)
    assert overridden_kernels(on_default(replacements=(*hotfix, "podman-2:4.4.2-1.el9.x86_64"))) == hotfix
    assert overridden_kernels(FULL) == ()


def test_a_removed_kernel_that_no_flavor_replaces_was_replaced_by_an_unknown_one():
    assert overridden_kernels(on_default(removals=EL9.names)) == ("kernel-core (removed)",)
    assert overridden_kernels(on_default(removals=("kernel", "kernel-modules-extra"))) == ()
    assert overridden_kernels(on_flavor(EL9, EL9_RT, local=(), requested=("kernel-rt-core",))) == ()


@pytest.mark.parametrize(
    ("deployment", "swapped"),
    [
        (on_default(), False),
        (on_default(removals=("kernel-modules-extra",)), False),
        (on_default(local=(DEVEL,)), False),
        (on_default(removals=EL9.names), True),
        (on_default(requested=("kernel-rt-core",)), True),
        (on_default(local=EL9_RT.nevras), True),
        (FULL, True),
    ],
)
def test_a_deployment_with_another_kernel_than_its_bases_is_swapped(deployment, swapped):
    assert is_swapped(deployment) is swapped


def test_what_is_apart_from_the_kernel_is_everything_else():
    assert apart_from_kernel(FULL) == Shape(
        FULL.base,
        (HTOP, DEVEL),
        ("kernel-tools", "strace"),
        ("kernel-tools-libs", "moby-engine"),
        ("podman-2:4.4.2-1.el9.x86_64",),
    )


def test_the_shape_is_everything():
    assert shape_of(FULL) == Shape(FULL.base, FULL.local, FULL.requested, FULL.removals, FULL.replacements)


def test_what_is_somebody_elses_is_listed_for_people():
    assert foreign_layers(FULL) == (
        str(HTOP),
        str(DEVEL),
        "kernel-tools",
        "strace",
        "kernel-tools-libs (removed)",
        "moby-engine (removed)",
        "podman-2:4.4.2-1.el9.x86_64 (replaced)",
    )
    assert foreign_layers(on_flavor(EL9, EL9_RT)) == ()


def test_a_deployment_is_as_planned_by_any_name_of_its_base():
    index, instance = "sha256:" + "1" * 64, "sha256:" + "2" * 64
    there = on_flavor(EL9, EL9_RT, image_digest=index, other_digests=(instance,))
    planned = shape_of(there)
    assert has_shape(there, planned)
    assert has_shape(there, replace(planned, base=instance))
    assert not has_shape(there, replace(planned, base="sha256:" + "3" * 64))
    assert not has_shape(there, replace(planned, removals=()))
