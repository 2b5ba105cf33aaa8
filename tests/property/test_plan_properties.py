"""For any node, config and image: plans lead to the target, touch nothing that is not ours, and come to an end."""

from dataclasses import replace

from hypothesis import assume, given
from hypothesis import strategies as st

from mcd_rt.errors import Code
from mcd_rt.model.kernel import KernelType, is_base_kernel
from mcd_rt.model.nevra import Nevra
from mcd_rt.model.plan import Change, Ignored, Reboot, Refused, Shape, Steady, Target, Waiting
from mcd_rt.plan.layering import apart_from_kernel
from mcd_rt.plan.verification import DidNotComeUp, Overtaken
from tests.property.pure_agent import Death
from tests.property.pure_node import Node, Os, Tree, kernels_of, observe, stage
from tests.property.strategies import ANY_WORLD, Setting, forbidden, installable, obstructed, worlds
from tests.unit.nodes import IMAGE, OTHER_IMAGE, Kernel

TYPES = st.integers(0, 2)
SEQUENCES = st.lists(TYPES, min_size=1, max_size=5)


def pick(setting: Setting, index: int) -> KernelType:
    return setting.kernel_types[index % len(setting.kernel_types)]


def pick_flavor(setting: Setting, index: int) -> KernelType:
    flavors = setting.kernel_types[1:]
    return flavors[index % len(flavors)]


def settle(setting: Setting, kernel_type: KernelType, image: str = IMAGE) -> None:
    """Plan and apply to the end; where the target is somebody else's to boot, they boot it."""
    world, desired = setting.world, setting.desired(kernel_type, image)
    plan = world.settle(desired)
    assert isinstance(plan, Steady), plan
    if not world.node.merge.booted:
        world.boot()
        assert isinstance(world.settle(desired), Steady)


def assert_reached(setting: Setting, kernel_type: KernelType, image: str = IMAGE) -> None:
    """The booted deployment has the wanted kernel, whole, and no part of another one."""
    node = setting.world.node
    tree, [runs] = node.booted.tree, kernels_of(node, node.booted.tree)
    parts = {nevra for nevra in tree.local for build in node.builds if nevra in _installable(build)}
    if kernel_type is KernelType.DEFAULT:
        assert runs == tree.os.kernel
        assert parts == set()
    else:
        assert runs.uname == setting.kernel(kernel_type, image).uname
        assert parts == installable(setting.kernel(kernel_type, image), kernel_type)
        assert {name for name in tree.os.names if is_base_kernel(name)} <= tree.removals


def _installable(build: Kernel) -> frozenset[Nevra]:
    return installable(build, KernelType.REALTIME if build.prefix == "kernel-rt" else KernelType.PAGES_64K)


def not_ours(node: Node, tree: Tree) -> Shape:
    """What of a tree is not of any kernel type."""
    return apart_from_kernel(observe(stage(node, tree, locked=False)).merge)


def steps(setting: Setting, indices: list[int]) -> None:
    """One pass for each config: the config changes its mind before anything is done."""
    for index in indices:
        setting.world.step(setting.world.plan(setting.desired(pick(setting, index))))


@given(ANY_WORLD, TYPES)
def test_repeated_plans_reach_the_target_and_then_plan_nothing(setting, index):
    kernel_type = pick(setting, index)
    settle(setting, kernel_type)
    assert_reached(setting, kernel_type)
    before = list(setting.world.asked)
    assert isinstance(setting.world.settle(setting.desired(kernel_type)), Steady)
    assert setting.world.asked == before


@given(worlds(), SEQUENCES)
def test_every_switch_is_at_most_one_assembly_and_one_reboot(setting, indices):
    for index in indices:
        setting.world.asked.clear()
        settle(setting, pick(setting, index))
        assert setting.world.asked in ([], ["assemble", "reboot"])


@given(ANY_WORLD, SEQUENCES)
def test_what_is_not_ours_is_as_it_was_after_any_number_of_switches(setting, indices):
    first = setting.world.node.merge.tree
    pinned = [one.tree for one in setting.world.node.placed if one.pinned]
    for index in indices:
        settle(setting, pick(setting, index))
    node = setting.world.node
    assert not_ours(node, node.booted.tree) == not_ours(node, first)
    assert [one.tree for one in node.placed if one.pinned] == pinned


@given(st.one_of(worlds(fresh=True), worlds("staged", fresh=True)), SEQUENCES)
def test_a_node_comes_back_to_the_default_kernel_exactly_as_it_was(setting, indices):
    first = setting.world.node.merge.tree
    for index in [*indices, 0]:
        settle(setting, pick(setting, index))
    assert setting.world.node.booted.tree == first


@given(ANY_WORLD, SEQUENCES)
def test_a_config_that_changes_its_mind_between_passes_ends_as_it_says_last(setting, indices):
    first = setting.world.node.merge.tree
    steps(setting, indices)
    settle(setting, pick(setting, indices[-1]))
    node = setting.world.node
    assert_reached(setting, pick(setting, indices[-1]))
    assert not_ours(node, node.booted.tree) == not_ours(node, first)


@given(worlds(fresh=True), SEQUENCES)
def test_a_config_that_changes_its_mind_before_the_reboot_leaves_no_trace(setting, indices):
    first = setting.world.node
    steps(setting, [index for index in indices if index][:1])
    settle(setting, KernelType.DEFAULT)
    assert setting.world.node.placed == first.placed
    assert "reboot" not in setting.world.asked


@given(ANY_WORLD, TYPES, st.booleans())
def test_a_death_between_staging_and_recording_costs_nothing(setting, index, loses_record):
    kernel_type = pick(setting, index)
    world, first = setting.world, setting.world.node.merge.tree
    plan, before = world.plan(setting.desired(kernel_type)), world.record
    assume(isinstance(plan, Change))
    world.stage(plan, Death.AFTER)
    if loses_record and not plan.on_staged:
        world.record = before
    settle(setting, kernel_type)
    assert_reached(setting, kernel_type)
    assert world.asked.count("assemble") == 1
    assert not_ours(world.node, world.node.booted.tree) == not_ours(world.node, first)


@given(worlds(), TYPES, st.booleans())
def test_a_target_that_a_reboot_did_not_write_is_told_and_reached_later(setting, index, finalizes):
    world, desired = setting.world, setting.desired(pick(setting, index))
    plan = world.plan(desired)
    assume(isinstance(plan, Change))
    world.step(plan)
    runs = world.node.booted
    if finalizes:
        assert isinstance(world.boot(), Overtaken), "it was locked: somebody's reboot does not boot it"
    else:
        plan = world.plan(desired)
        assert isinstance(plan, Reboot)
        verdict = world.reboot(plan, finalizes=False)
        assert isinstance(verdict, DidNotComeUp)
        assert verdict.reason.code is Code.NOT_FINALIZED
    assert world.node.booted == runs
    settle(setting, desired.kernel_type)
    assert_reached(setting, desired.kernel_type)


@given(worlds(), TYPES, st.integers(4, 6), st.booleans())
def test_a_flavor_carried_to_another_base_is_brought_up_to_date_in_one_assembly(setting, index, build, reboots_first):
    kernel_type, world = pick_flavor(setting, index), setting.world
    settle(setting, kernel_type)
    tree = world.node.booted.tree
    kernel = replace(tree.os.kernel, release=f"{build}.next")
    rebased = replace(tree, os=Os(OTHER_IMAGE, kernel, tree.os.others))
    world.node = stage(world.node, rebased, locked=False)
    assert isinstance(world.plan(setting.desired(kernel_type)), Waiting)
    if reboots_first:
        world.boot()
    world.asked.clear()
    settle(setting, kernel_type, OTHER_IMAGE)
    assert_reached(setting, kernel_type, OTHER_IMAGE)
    assert world.asked == ["assemble", "reboot"]
    assert world.node.booted.tree.os == rebased.os


@given(obstructed())
def test_what_cannot_be_followed_changes_nothing(case):
    setting, desired = case
    before = setting.world.node
    assert isinstance(setting.world.settle(desired), Waiting | Refused | Ignored)
    assert (setting.world.node, setting.world.asked) == (before, [])


@given(forbidden())
def test_what_somebody_else_holds_is_left_to_them(case):
    setting, desired = case
    before = setting.world.node
    assert isinstance(setting.world.settle(desired), Refused)
    assert (setting.world.node, setting.world.asked) == (before, [])


TARGETS = st.builds(
    Target,
    kernel_type=st.sampled_from(KernelType),
    base=st.sampled_from(("", "a", "b")),
    image_digest=st.sampled_from(("", "a", "b")),
    packages=st.lists(
        st.builds(
            Nevra,
            name=st.sampled_from(("kernel-rt-core", "kernel-rt-modules")),
            epoch=st.integers(0, 1),
            version=st.just("1"),
            release=st.sampled_from(("1", "2")),
            architecture=st.just("x86_64"),
        ),
        max_size=3,
        unique=True,
    ).map(tuple),
    kernel_release=st.sampled_from(("", "a")),
)


def _essence(target):
    """What makes a goal; what its kernel will say of itself follows from it."""
    return replace(target, packages=frozenset(target.packages), kernel_release="")


@given(TARGETS, TARGETS, st.randoms(use_true_random=False))
def test_goals_have_the_same_identity_when_they_are_the_same_and_only_then(one, other, random):
    packages = list(one.packages)
    random.shuffle(packages)
    assert replace(one, packages=tuple(packages)).identity == one.identity
    same = _essence(one) == _essence(other)
    assert (one.identity == other.identity) == same
