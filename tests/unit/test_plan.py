"""What a plan says for a node without staged work: switches, steady nodes, and what it needs to know first."""

from dataclasses import replace

import pytest

from mcd_rt.model.deployment import Deployment
from mcd_rt.model.image import ImageReference
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.nevra import Nevra
from mcd_rt.model.plan import Assembly, Change, NeedsBase, NeedsContent, Shape, Steady
from mcd_rt.model.record import Record
from mcd_rt.model.settings import OsSettings, Settings
from mcd_rt.plan.plan import make_plan
from mcd_rt.plan.situation import Situation
from tests.unit.nodes import (
    ARM,
    ARM_64K,
    ARM_RT,
    EL8,
    EL8_RT,
    EL9,
    EL9_RT,
    EL9_RT_OLD,
    IMAGE,
    Kernel,
    base_of,
    content,
    on_default,
    on_flavor,
    situation,
    target_of,
    verified,
)

HTOP = Nevra.parse("htop-3.2.1-1.el9.x86_64")
KERNEL_TOOLS = Nevra.parse("kernel-tools-5.14.0-284.el9_2.x86_64")


def known(kernel_type: KernelType, kernel: Kernel, flavors: tuple[Kernel, ...], *there: Deployment) -> Situation:
    """A situation in which base and image were looked at."""
    return situation(kernel_type, *there, base=base_of(kernel, KERNEL_TOOLS), content=content(*flavors))


def changed(asked: Situation) -> Change:
    plan = make_plan(asked)
    assert isinstance(plan, Change), plan
    return plan


@pytest.mark.parametrize(("kernel", "flavor"), [(EL8, EL8_RT), (EL9, EL9_RT)])
def test_default_to_realtime_removes_what_the_base_has_and_installs_what_the_image_has(kernel, flavor):
    plan = changed(known(KernelType.REALTIME, kernel, (flavor,), on_default(kernel)))
    assert plan == Change(
        target=target_of(kernel, flavor),
        merge_id="rhcos-default.0",
        steps=(Assembly(install=flavor.packages, remove=kernel.names),),
        shape=Shape(IMAGE, flavor.nevras, (), kernel.names, ()),
        kernel_arguments=(),
        kept=(),
        on_staged=False,
        foreign_removals=(),
    )


def test_the_set_without_modules_core_is_complete_on_a_release_that_has_none():
    plan = changed(known(KernelType.REALTIME, EL8, (EL8_RT,), on_default(EL8)))
    assert "kernel-modules-core" not in plan.steps[0].remove
    assert "kernel-rt-modules-core" not in {package.nevra.name for package in plan.steps[0].install}


def test_a_base_without_optional_parts_is_asked_to_remove_only_what_it_has():
    small = EL9.only("core", "modules", "modules-core")
    plan = changed(known(KernelType.REALTIME, small, (EL9_RT,), on_default(small)))
    assert plan.steps[0].remove == ("kernel-core", "kernel-modules", "kernel-modules-core")


def test_meta_devel_and_debug_packages_of_the_image_are_not_installed():
    rich = EL9_RT.only("", "core", "modules", "modules-core", "devel", "debug-core", "debug-modules", "selftests")
    plan = changed(known(KernelType.REALTIME, EL9, (rich,), on_default()))
    assert {package.nevra.name for package in plan.steps[0].install} == {
        "kernel-rt-core",
        "kernel-rt-modules",
        "kernel-rt-modules-core",
    }


def test_realtime_to_default_takes_our_packages_out_and_the_base_kernel_back():
    plan = changed(situation(KernelType.DEFAULT, on_flavor(EL9, EL9_RT)))
    assert plan.steps[0] == Assembly(uninstall=tuple(map(str, EL9_RT.nevras)), reset=EL9.names)
    assert plan.shape == Shape(IMAGE, (), (), (), ())


def test_the_expected_default_kernel_is_read_from_another_deployment_of_the_base():
    rollback = on_default(EL9, id="rhcos-rollback.0", booted=False)
    plan = changed(situation(KernelType.DEFAULT, on_flavor(EL9, EL9_RT), rollback))
    assert plan.target == target_of(EL9)


@pytest.mark.parametrize(
    "rollback",
    [
        pytest.param(on_default(EL8, id="rhcos-other.0"), id="of another base"),
        pytest.param(on_flavor(EL9, EL9_RT_OLD, id="rhcos-swapped.1"), id="with a flavor"),
        pytest.param(
            on_default(
                replacements=("kernel-core-5.14.0-285.el9_2.hotfix.x86_64",), kernel_release="5.14.0-285.hotfix"
            ),
            id="with a hotfix",
        ),
        pytest.param(on_default(removals=EL9.names, kernel_release="6.1-mine"), id="with a kernel no flavor has"),
    ],
)
def test_a_deployment_with_another_kernel_does_not_tell_the_default_one(rollback):
    asked = situation(KernelType.DEFAULT, on_flavor(EL9, EL9_RT), replace(rollback, booted=False))
    assert changed(asked).target.kernel_release == ""


def test_realtime_to_realtime_replaces_packages_and_leaves_the_removals():
    plan = changed(known(KernelType.REALTIME, EL9, (EL9_RT,), on_flavor(EL9, EL9_RT_OLD)))
    assert plan.steps[0] == Assembly(install=EL9_RT.packages, uninstall=tuple(map(str, EL9_RT_OLD.nevras)))
    assert plan.shape.local == EL9_RT.nevras


def test_realtime_on_a_base_with_a_new_kernel_part_removes_just_that():
    carried = on_flavor(EL9, EL9_RT_OLD, removals=EL8.names)
    plan = changed(known(KernelType.REALTIME, EL9, (EL9_RT,), carried))
    assert plan.steps[0].remove == ("kernel-modules-core",)


def test_half_done_packages_are_completed_without_asking_again_for_what_is_there():
    half = on_flavor(EL9, EL9_RT.only("core", "modules", "modules-core"))
    plan = changed(known(KernelType.REALTIME, EL9, (EL9_RT,), half))
    assert plan.steps[0] == Assembly(install=(EL9_RT.package("kvm"), EL9_RT.package("modules-extra")))


def test_a_part_the_image_does_not_have_is_taken_out():
    plan = changed(
        known(KernelType.REALTIME, EL9, (EL9_RT.only("core", "modules", "modules-core"),), on_flavor(EL9, EL9_RT))
    )
    assert plan.steps[0] == Assembly(
        uninstall=(str(EL9_RT.package("kvm").nevra), str(EL9_RT.package("modules-extra").nevra))
    )


@pytest.mark.parametrize("request_form", ["kernel-rt-core", "kernel-rt-core-5.14.0-162.rt13.200.el9_2.x86_64"])
def test_realtime_from_a_repository_is_taken_over_in_one_assembly(request_form):
    requests = ("htop", request_form, "kernel-rt-modules")
    layered = on_flavor(EL9, EL9_RT_OLD, local=(), requested=requests)
    plan = changed(known(KernelType.REALTIME, EL9, (EL9_RT,), layered))
    assert plan.steps[0] == Assembly(install=EL9_RT.packages, uninstall=(request_form, "kernel-rt-modules"))
    assert plan.shape.requested == ("htop",)


def test_realtime_from_a_repository_is_given_up_in_one_assembly():
    layered = on_flavor(EL9, EL9_RT_OLD, local=(), requested=("htop", "kernel-rt-core", "kernel-rt-modules"))
    plan = changed(situation(KernelType.DEFAULT, layered))
    assert plan.steps[0] == Assembly(uninstall=("kernel-rt-core", "kernel-rt-modules"), reset=EL9.names)
    assert plan.shape.requested == ("htop",)


def test_one_flavor_is_replaced_by_another_in_one_assembly():
    plan = changed(known(KernelType.PAGES_64K, ARM, (ARM_RT, ARM_64K), on_flavor(ARM, ARM_RT)))
    assert plan.steps[0] == Assembly(install=ARM_64K.packages, uninstall=tuple(map(str, ARM_RT.nevras)))
    assert plan.target == target_of(ARM, ARM_64K, KernelType.PAGES_64K)


def test_everything_that_is_not_ours_is_kept_and_listed():
    admins = on_default(
        local=(HTOP,),
        requested=("strace",),
        removals=("moby-engine",),
        replacements=("podman-2:4.4.2-1.el9.x86_64",),
    )
    plan = changed(known(KernelType.REALTIME, EL9, (EL9_RT,), admins))
    assert plan.steps[0] == Assembly(install=EL9_RT.packages, remove=EL9.names)
    assert plan.shape == Shape(
        IMAGE,
        (HTOP, *EL9_RT.nevras),
        ("strace",),
        (*EL9.names, "moby-engine"),
        ("podman-2:4.4.2-1.el9.x86_64",),
    )
    assert plan.kept == (str(HTOP), "strace", "moby-engine (removed)", "podman-2:4.4.2-1.el9.x86_64 (replaced)")


def test_an_admins_own_removal_of_a_kernel_part_is_remembered_and_not_asked_for_again():
    removed = on_default(removals=("kernel-modules-extra",))
    plan = changed(known(KernelType.REALTIME, EL9, (EL9_RT,), removed))
    assert plan.foreign_removals == ("kernel-modules-extra",)
    assert "kernel-modules-extra" not in plan.steps[0].remove
    assert plan.shape.removals == EL9.names


def test_an_admins_own_removal_of_a_kernel_part_survives_the_way_back():
    record = Record(foreign_removals=("kernel-modules-extra",))
    plan = changed(situation(KernelType.DEFAULT, on_flavor(EL9, EL9_RT), record=record))
    assert "kernel-modules-extra" not in plan.steps[0].reset
    assert plan.shape.removals == ("kernel-modules-extra",)
    assert plan.foreign_removals == ("kernel-modules-extra",)


def test_the_default_kernel_with_an_admins_removal_is_nothing_to_do():
    removed = on_default(removals=("kernel-modules-extra",))
    assert isinstance(make_plan(situation(KernelType.DEFAULT, removed)), Steady)


@pytest.mark.parametrize(
    "steady",
    [
        pytest.param(situation(KernelType.DEFAULT, on_default()), id="default"),
        pytest.param(situation(KernelType.DEFAULT, on_default(image_digest="")), id="default on an unknown base"),
        pytest.param(situation(KernelType.DEFAULT, on_default(kernel_release="")), id="default of an unknown release"),
        pytest.param(
            situation(KernelType.REALTIME, on_flavor(EL9, EL9_RT), record=verified(target_of(EL9, EL9_RT))),
            id="realtime that came up",
        ),
        pytest.param(
            known(KernelType.REALTIME, EL9, (EL9_RT,), on_flavor(EL9, EL9_RT)), id="realtime without a record"
        ),
        pytest.param(known(KernelType.PAGES_64K, ARM, (ARM_64K,), on_flavor(ARM, ARM_64K)), id="64k-pages"),
        pytest.param(
            replace(
                known(KernelType.REALTIME, EL9, (EL9_RT,), on_flavor(EL9, EL9_RT, image_digest="")),
                settings=Settings(os=OsSettings(accept_unknown_base=True)),
            ),
            id="realtime on an unknown base",
        ),
    ],
)
def test_a_node_that_runs_what_is_wanted_has_nothing_to_do(steady):
    plan = make_plan(steady)
    assert isinstance(plan, Steady)
    assert plan.summary == f"{steady.desired.kernel_type} is wanted and runs ({steady.host.kernel_release})"
    assert plan.running is not None
    assert plan.running.kernel_type is steady.desired.kernel_type


def test_a_target_that_came_up_needs_neither_base_nor_image():
    record = verified(target_of(EL9, EL9_RT))
    assert isinstance(make_plan(situation(KernelType.REALTIME, on_flavor(EL9, EL9_RT), record=record)), Steady)


@pytest.mark.parametrize(
    "there",
    [
        pytest.param(on_default(), id="left by hand"),
        pytest.param(on_flavor(EL9, EL9_RT.only("core", "modules")), id="with fewer packages"),
        pytest.param(on_flavor(EL9, EL9_RT, requested=("kernel-rt-kvm",)), id="with a request of another agent"),
    ],
)
def test_a_target_that_came_up_but_is_not_there_any_more_is_looked_at_anew(there):
    record = verified(target_of(EL9, EL9_RT))
    assert isinstance(make_plan(situation(KernelType.REALTIME, there, record=record)), NeedsContent)


def test_a_target_that_came_up_says_nothing_about_another_flavor():
    record = verified(target_of(ARM, ARM_RT))
    asked = situation(KernelType.PAGES_64K, on_flavor(ARM, ARM_RT), record=record)
    assert isinstance(make_plan(asked), NeedsContent)


def test_the_packages_of_the_image_are_asked_for_by_name():
    plan = make_plan(situation(KernelType.REALTIME, on_default()))
    assert plan == NeedsContent(
        ImageReference("registry.example/os", "", IMAGE, layout=False),
        ("kernel-rt-core", "kernel-rt-modules", "kernel-rt-modules-core", "kernel-rt-modules-extra", "kernel-rt-kvm"),
    )


def test_the_packages_of_another_image_do_not_count():
    old = replace(content(EL9_RT), digest="sha256:" + "c" * 64)
    asked = situation(KernelType.REALTIME, on_default(), base=base_of(EL9), content=old)
    assert isinstance(make_plan(asked), NeedsContent)


@pytest.mark.parametrize("base", [None, base_of(EL8)])
def test_the_packages_of_the_base_are_asked_for_by_checksum(base):
    asked = situation(KernelType.REALTIME, on_default(), base=base, content=content(EL9_RT))
    assert make_plan(asked) == NeedsBase(base_of(EL9).checksum)


def test_plans_start_from_the_pending_deployment_not_from_the_booted_one():
    rolled_back = on_default(booted=False, id="rhcos-rollback.0")
    running = on_flavor(EL9, EL9_RT_OLD)
    plan = changed(known(KernelType.REALTIME, EL9, (EL9_RT,), rolled_back, running))
    assert plan.merge_id == "rhcos-rollback.0"
    assert plan.steps[0] == Assembly(install=EL9_RT.packages, remove=EL9.names)


def test_what_the_next_boot_brings_anyway_is_left_to_it():
    asked = situation(KernelType.DEFAULT, on_default(booted=False, id="rhcos-rollback.0"), on_flavor(EL9, EL9_RT))
    plan = make_plan(asked)
    assert plan == Steady("default is wanted; rhcos-rollback.0 is first to boot and brings it with the next boot")
