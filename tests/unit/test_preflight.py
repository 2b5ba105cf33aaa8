"""Preflight: is there room for a change? Rough before, exact for /boot after it is staged."""

from dataclasses import replace

import pytest

from mcd_rt.errors import Code
from mcd_rt.model.deployment import Deployments
from mcd_rt.model.image import ImageReference
from mcd_rt.model.plan import ArgumentsChange, Assembly, Change, Rebase
from mcd_rt.model.room import BootDirectory, BootRoom, KernelFiles, Room
from mcd_rt.plan import preflight
from mcd_rt.plan.layering import shape_of
from mcd_rt.plan.preflight import Fit, boot_needed, estimate_boot, fit_boot, judge_room, refuse_boot
from tests.unit.nodes import EL9, EL9_RT, IMAGE, on_default, on_flavor, staged, target_of

MIB = 1 << 20
DEFAULT = on_default()
RT = on_flavor(EL9, EL9_RT)
SWAP = Assembly(install=EL9_RT.packages)
BACK = Assembly(uninstall=tuple(map(str, EL9_RT.nevras)), reset=EL9.names)
ARGUMENTS = ArgumentsChange((), ("nosmt",), ())
REBASE = Assembly(rebase=Rebase(ImageReference.parse(f"registry.example/os@{IMAGE}"), "registry.example/os"))
TO_RT, TO_DEFAULT = target_of(EL9, EL9_RT), target_of(EL9)


def change(deployment, *steps, target=TO_RT):
    return Change(target, deployment.id, steps, shape_of(deployment), (), (), on_staged=False, foreign_removals=())


def pair(name, size, *deployments):
    return BootDirectory(f"rhcos-{name}", size * MIB, tuple(deployment.id for deployment in deployments))


ROLLBACK = replace(RT, id="rhcos-old.0", booted=False)
HERE = Deployments((DEFAULT, ROLLBACK))


@pytest.mark.parametrize(
    ("step", "merge", "memory", "code"),
    [
        (SWAP, DEFAULT, 511, Code.MEMORY_LOW),
        (SWAP, DEFAULT, 512, None),
        (SWAP, DEFAULT, None, None),
        (BACK, RT, 511, Code.MEMORY_LOW),
        (ARGUMENTS, DEFAULT, 1, None),
        (ARGUMENTS, RT, 1, Code.MEMORY_LOW),
    ],
)
def test_an_assembly_needs_memory_and_arguments_alone_are_one_only_where_something_is_layered(
    step, merge, memory, code
):
    room = Room(memory=None if memory is None else memory * MIB)
    failure = judge_room(change(merge, step), Deployments((merge,)), room)
    assert (failure.code if failure else None) is code
    if failure is not None:
        assert f"{memory} MiB" in failure.message
        assert failure.hint


def sized(size):
    return Assembly(install=tuple(replace(package, size=size * MIB) for package in EL9_RT.packages))


@pytest.mark.parametrize(
    ("steps", "needed"),
    [
        ((sized(10),), 1024 + 4 * 50),
        ((ARGUMENTS, sized(10)), 1024 + 4 * 50),
        ((BACK,), 1024),
        ((REBASE,), 1024 + 3072),
        ((ARGUMENTS,), 0),
    ],
)
def test_the_disk_must_hold_the_packages_unpacked_a_commit_and_a_whole_os_if_it_is_another(steps, needed):
    plan, there = change(DEFAULT, *steps), Deployments((DEFAULT,))
    assert judge_room(plan, there, Room(sysroot=needed * MIB)) is None
    if needed:
        failure = judge_room(plan, there, Room(sysroot=needed * MIB - 1))
        assert failure is not None
        assert failure.code is Code.DISK_SPACE
        assert f"{needed} MiB" in failure.message


def test_a_later_assembly_is_thought_of_before_the_arguments_that_come_first():
    plan = change(DEFAULT, ARGUMENTS, SWAP)
    assert judge_room(plan, Deployments((DEFAULT,)), Room(memory=1)).code is Code.MEMORY_LOW


BOOT = BootRoom(50 * MIB, (pair("a", 90, DEFAULT), pair("b", 110, ROLLBACK)))


def test_a_new_kernel_may_be_as_large_as_the_largest_there_and_a_bit_more():
    assert estimate_boot(change(DEFAULT, SWAP), HERE, BOOT) == 110 * MIB + preflight.BOOT_MARGIN
    assert estimate_boot(change(DEFAULT, SWAP), HERE, BootRoom(0, ())) == preflight.BOOT_MARGIN


def test_what_changes_no_kernel_needs_nothing_in_boot():
    assert estimate_boot(change(DEFAULT, ARGUMENTS), HERE, BOOT) == 0
    assert estimate_boot(change(RT, ARGUMENTS), Deployments((RT,)), BOOT) > 0


@pytest.mark.parametrize(
    ("others", "free"),
    [
        ((), False),
        ((on_default(id="rhcos-old.0", booted=False),), True),
        ((on_default(id="rhcos-old.0", booted=False, local=EL9_RT.nevras, removals=EL9.names),), False),
        ((on_default(id="rhcos-old.0", booted=False, image_digest="sha256:" + "e" * 64),), False),
        ((staged(DEFAULT),), False),
    ],
)
def test_the_way_back_to_a_kernel_that_is_in_boot_needs_nothing(others, free):
    plan = change(RT, BACK, target=TO_DEFAULT)
    assert (estimate_boot(plan, Deployments((RT, *others)), BOOT) == 0) is free


@pytest.mark.parametrize(
    ("files", "needed"),
    [(None, 0), (KernelFiles(7, known=True), 0), (KernelFiles(7, known=False), 7)],
)
def test_what_is_staged_needs_what_is_not_in_boot_yet(files, needed):
    assert boot_needed(files) == needed


@pytest.mark.parametrize(
    ("needed", "fit"),
    [(50, Fit.NOW), (51, Fit.AFTER_PRUNE), (160, Fit.AFTER_PRUNE), (161, Fit.NEVER)],
)
def test_the_rollback_counts_as_room_that_a_prune_can_make(needed, fit):
    assert fit_boot(BOOT, needed * MIB, HERE) is fit


@pytest.mark.parametrize(
    ("boot", "there"),
    [
        (replace(BOOT, shared=True), HERE),
        (BOOT, Deployments((DEFAULT, replace(ROLLBACK, pinned=True)))),
        (BOOT, Deployments((DEFAULT, replace(ROLLBACK, staged=True)))),
        (BOOT, Deployments((replace(DEFAULT, booted=False), ROLLBACK))),
        (replace(BOOT, directories=(pair("a", 200, DEFAULT, ROLLBACK),)), HERE),
        (replace(BOOT, directories=(BootDirectory("other-b", 200 * MIB, ("other-old.0",)),)), HERE),
    ],
    ids=["one-file-system", "pinned", "not-written-yet", "not-booted", "same-pair-as-booted", "another-stateroot"],
)
def test_what_ostree_keeps_is_not_counted(boot, there):
    assert fit_boot(boot, 51 * MIB, there) is Fit.NEVER


def test_another_stateroots_deployment_is_never_dropped():
    there = Deployments((DEFAULT, replace(ROLLBACK, id="other-old.0")))
    boot = replace(BOOT, directories=(BootDirectory("other-b", 200 * MIB, ("other-old.0",)),))
    assert fit_boot(boot, 51 * MIB, there) is Fit.NEVER


def test_files_that_no_deployment_has_are_dropped_by_a_prune():
    boot = replace(BOOT, directories=(pair("a", 90, DEFAULT), pair("left", 10)))
    assert fit_boot(boot, 60 * MIB, HERE) is Fit.AFTER_PRUNE


def test_the_refusal_has_the_numbers_and_the_way_out():
    by_hand = refuse_boot(BOOT, 120 * MIB, HERE)
    never = refuse_boot(BOOT, 500 * MIB, HERE)
    assert (by_hand.code, never.code) == (Code.BOOT_SPACE, Code.BOOT_SPACE)
    assert "50 MiB free" in by_hand.message
    assert "120 MiB" in by_hand.message
    assert "does not drop the rollback by itself" in by_hand.message
    assert "110 MiB" in never.message
    assert all("rpm-ostree cleanup -r" in failure.hint for failure in (by_hand, never))
