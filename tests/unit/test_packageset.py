"""When a set of packages is a whole kernel: the worker stops reading by the rule the plan decides by."""

from dataclasses import dataclass, replace

import pytest

from mcd_rt.model.content import Content, Package
from mcd_rt.model.kernel import KernelType, flavor_of
from mcd_rt.model.nevra import Nevra
from mcd_rt.model.packageset import is_complete, missing_of
from mcd_rt.plan.packages import select_packages

KVER = "5.14.0-1.el9.x86_64+rt"
FLAVOR = flavor_of(KernelType.REALTIME)
NAMES = tuple(f"kernel-rt-{suffix}" for suffix in FLAVOR.required + FLAVOR.optional)


@dataclass(frozen=True)
class Told:
    nevra: Nevra
    provides: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()


def told(suffix: str, *requires: str, architecture: str = "x86_64") -> Told:
    nevra = Nevra(f"kernel-rt-{suffix}", 0, "5.14.0", "1.el9", architecture)
    return Told(nevra, (f"kernel-rt-{suffix}-uname-r = {KVER}",), requires)


NEEDY = told("modules", f"kernel-rt-modules-core-uname-r = {KVER}")
WHOLE = [told("core"), told("modules-core"), NEEDY]


def test_a_whole_set_is_complete_whatever_else_there_is():
    assert is_complete(WHOLE, NAMES, "x86_64")
    assert is_complete([*WHOLE, told("kvm"), told("devel"), told("core", architecture="aarch64")], NAMES, "x86_64")


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_with_anything_missing_it_is_not(missing):
    assert not is_complete(WHOLE[:missing] + WHOLE[missing + 1 :], NAMES, "x86_64")


def test_packages_for_other_machines_and_of_other_kernels_do_not_count():
    assert not is_complete([replace(p, nevra=replace(p.nevra, architecture="aarch64")) for p in WHOLE], NAMES, "x86_64")
    assert not is_complete(WHOLE, ("kernel-64k-core",), "x86_64")
    assert not is_complete(WHOLE, (*NAMES, "kernel-64k-core"), "x86_64")
    assert not is_complete(WHOLE, ("bash",), "x86_64")
    assert not is_complete([], NAMES, "x86_64")


def test_what_is_missing_is_told_in_words():
    assert missing_of(WHOLE, FLAVOR) == ()
    assert missing_of([NEEDY], FLAVOR) == (
        "kernel-rt-core",
        f"kernel-rt-modules-core-uname-r = {KVER} (needed by kernel-rt-modules)",
    )


def test_what_is_complete_the_plan_takes():
    packages = tuple(Package(p.nevra, "0.rpm", 1, "0", KVER, p.provides, p.requires) for p in WHOLE)
    assert isinstance(select_packages(Content("sha256:0", packages), FLAVOR, "x86_64"), tuple)
