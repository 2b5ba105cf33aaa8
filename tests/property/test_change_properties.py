"""For any node, OS images and kernel arguments: one assembly, one reboot, and only whole deployments are booted."""

from collections import Counter
from copy import copy
from dataclasses import replace

from hypothesis import assume, given
from hypothesis import strategies as st

from mcd_rt.errors import Code
from mcd_rt.model.content import Content
from mcd_rt.model.image import ImageReference
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.plan import ArgumentsChange, Assembly, Change, Reboot, Refused, Steady
from mcd_rt.model.settings import ContentSettings, OsSettings, Settings
from mcd_rt.plan.brake import judge_brake, release_brake
from mcd_rt.plan.layering import apart_from_kernel
from tests.property.other_clients import ADDING, ANY, ARGUMENT, LAYERED, unlock
from tests.property.pure_agent import Death, World
from tests.property.pure_node import Node, Tree, host_of, observe, roll_back, stage
from tests.property.rebases import (
    ARGUMENTS,
    STAYING,
    WISHES,
    Wish,
    image_worlds,
    kernel_name,
    wanted_arguments,
)
from tests.property.strategies import Setting
from tests.unit.nodes import IMAGE, OTHER_IMAGE, Kernel

DISTURBANCES = st.lists(st.sampled_from(("", "", "dies before", "dies after", "reboot")), min_size=1, max_size=6)
BUSY = st.builds(Wish, st.integers(0, 2), st.sampled_from((IMAGE, OTHER_IMAGE)), st.just(("isolcpus=2-3",)))
WAYS = st.lists(WISHES, min_size=1, max_size=4)


def settle(setting: Setting, wish: Wish) -> None:
    plan = setting.world.settle(wish.of(setting))
    assert isinstance(plan, Steady), plan


def assert_reached(setting: Setting, wish: Wish) -> None:
    """The OS, the kernel, and every argument as often as it is wanted."""
    node = setting.world.node
    assert node.merge.booted
    assert node.booted.tree.os.image_digest == wish.image
    assert host_of(node).kernel_release == kernel_name(setting, wish)
    assert not Counter(wanted_arguments(setting, wish)) - Counter(node.booted.arguments)


def not_ours(node: Node, tree: Tree) -> object:
    """What of a tree is not of any kernel type, whatever its base."""
    return replace(apart_from_kernel(observe(stage(node, tree, locked=False)).merge), base="")


def booted(world: World) -> tuple[Tree, tuple[str, ...]]:
    return world.node.booted.tree, world.node.booted.arguments


def done(change: Change) -> list[str]:
    """What a change says will be done."""
    named = {Assembly: "assemble", ArgumentsChange: "arguments"}
    return [*(named[type(step)] for step in change.steps), "reboot"]


@given(image_worlds(), WAYS)
def test_every_change_is_what_its_plan_said_with_one_reboot_and_then_nothing(setting, wishes):
    world = setting.world
    for wish in wishes:
        world.asked.clear()
        plan = world.plan(wish.of(setting))
        settle(setting, wish)
        assert_reached(setting, wish)
        assert world.asked == (done(plan) if isinstance(plan, Change) else [])
        assert world.asked.count("assemble") <= 1
        assert isinstance(world.settle(wish.of(setting)), Steady)


@given(image_worlds(fresh=True), STAYING, WISHES)
def test_a_switch_of_the_kernel_assembles_once_whatever_else_comes_with_it(setting, first, second):
    plain = replace(setting.world.node.booted, tree=Tree(setting.world.node.booted.tree.os))
    setting.world.node = replace(setting.world.node, placed=(plain, *setting.world.node.placed[1:]))
    kinds = [wish.of(setting).kernel_type for wish in (first, second)]
    settle(setting, first)
    setting.world.assemblies = 0
    settle(setting, second)
    assume(KernelType.DEFAULT in kinds)
    assert setting.world.assemblies <= 1


@given(image_worlds(), WAYS)
def test_what_is_not_ours_is_as_it_was_after_any_number_of_changes(setting, wishes):
    node = setting.world.node
    first, own, pinned = node.booted.tree, Counter(node.booted.arguments), [one for one in node.placed if one.pinned]
    for wish in wishes:
        settle(setting, wish)
    node = setting.world.node
    assert not_ours(node, node.booted.tree) == not_ours(node, first)
    assert not own - Counter(node.booted.arguments)
    assert [one for one in node.placed if one.pinned] == pinned


@given(image_worlds(fresh=True), WAYS)
def test_a_node_comes_back_from_any_images_exactly_as_it_was(setting, wishes):
    first, own = booted(setting.world)
    for wish in [*wishes, Wish(0)]:
        settle(setting, wish)
    tree, arguments = booted(setting.world)
    assert tree == first
    assert Counter(arguments) == Counter(own)


@given(image_worlds(), WISHES, WISHES, DISTURBANCES)
def test_killed_or_rebooted_between_any_two_steps_only_whole_deployments_are_booted(setting, first, wish, disturbances):
    world = setting.world
    settle(setting, first)
    undisturbed = copy(world)
    undisturbed.settle(wish.of(setting))
    allowed = booted(world), booted(undisturbed)
    world.asked.clear()
    for disturbance in disturbances:
        plan = world.plan(wish.of(setting))
        if disturbance == "reboot":
            world.boot()
        elif isinstance(plan, Change) and disturbance:
            world.stage(plan, Death.BEFORE if disturbance == "dies before" else Death.AFTER)
        else:
            world.step(plan)
        assert booted(world) in allowed
    settle(setting, wish)
    assert booted(world) == allowed[1]
    assert world.record.kernel_arguments == undisturbed.record.kernel_arguments
    assert world.asked.count("reboot") <= 1


@given(image_worlds(), WAYS)
def test_a_config_that_changes_its_mind_between_steps_ends_as_it_says_last(setting, wishes):
    world, last = setting.world, wishes[-1]
    own = Counter(world.node.booted.arguments)
    for wish in wishes:
        world.step(world.plan(wish.of(setting)))
    settle(setting, last)
    assert_reached(setting, last)
    assert Counter(world.node.booted.arguments) - own <= Counter(wanted_arguments(setting, last))


@given(image_worlds(), WISHES)
def test_a_reboot_that_did_not_write_the_deployment_is_asked_for_again(setting, wish):
    world, before = setting.world, booted(setting.world)
    while isinstance(plan := world.plan(wish.of(setting)), Change):
        world.step(plan)
    assume(isinstance(plan, Reboot))
    world.reboot(plan, finalizes=False)
    assert booted(world) == before
    settle(setting, wish)
    assert_reached(setting, wish)


def end(setting: Setting, wish: Wish) -> None:
    """Pass after pass; what other clients staged and locked, or in conflict with ours, they boot in the end.

    Where one went back from the target after it had come up, it takes a person's ``retry``.
    """
    for _ in range(5):
        plan = setting.world.settle(wish.of(setting))
        if isinstance(plan, Steady) and setting.world.node.merge.booted:
            return
        if isinstance(plan, Change):
            assert setting.world.record.given_up == plan.target.identity
            setting.world.record = release_brake(setting.world.record)
            continue
        assert isinstance(plan, Steady | Refused), plan
        assert setting.world.node.merge.booted is False, plan
        setting.world.node = unlock(setting.world.node)
        setting.world.boot()
    raise AssertionError(setting.world.asked)


@given(image_worlds(), BUSY, st.lists(st.sampled_from((*ADDING, "")), min_size=2, max_size=4))
def test_what_other_clients_add_between_any_two_steps_is_there_in_the_end(setting, wish, events):
    world, own, layered = setting.world, Counter(setting.world.node.booted.arguments), set()
    for event in events:
        world.step(world.plan(wish.of(setting)))
        if event:
            world.node = ADDING[event](world.node)
            own |= Counter({ARGUMENT} & {*world.node.merge.arguments})
            layered |= {LAYERED} & world.node.merge.tree.requested
    pinned = [one.tree for one in world.node.placed if one.pinned]
    end(setting, wish)
    assert_reached(setting, wish)
    assert layered <= world.node.booted.tree.requested
    assert not own - Counter(world.node.booted.arguments)
    assert [one.tree for one in world.node.placed if one.pinned] == pinned


@given(image_worlds(), BUSY, st.lists(st.sampled_from((*ANY, "reboot", "")), min_size=2, max_size=5))
def test_whatever_other_clients_do_the_target_is_reached_in_the_end(setting, wish, events):
    world = setting.world
    for event in events:
        world.step(world.plan(wish.of(setting)))
        if event == "reboot":
            world.boot()
        elif event:
            world.node = ANY[event](world.node)
    pinned = [one.tree for one in world.node.placed if one.pinned]
    end(setting, wish)
    assert_reached(setting, wish)
    assert [one.tree for one in world.node.placed if one.pinned] == pinned


BEFORE = st.builds(Wish, st.integers(0, 2), st.sampled_from((IMAGE, OTHER_IMAGE)))
"""Without arguments: which of those that lie in a deployment from long ago are ours, nobody knows any more."""


def go_back(world: World, *, boots: bool) -> None:
    """As an administrator or a health check does; with ``boots`` the node comes up with what ran before."""
    world.node = roll_back(world.node)
    if boots:
        world.boot()


def switch(setting: Setting, first: Wish, wish: Wish) -> None:
    """From one wish to another, by a reboot of ours."""
    settle(setting, first)
    setting.world.asked.clear()
    settle(setting, wish)
    assume("reboot" in setting.world.asked)
    setting.world.asked.clear()


@given(image_worlds(fresh=True), BEFORE, WISHES, st.booleans())
def test_what_was_gone_back_from_is_not_staged_again_before_a_person_says_retry(setting, first, wish, boots):
    world = setting.world
    switch(setting, first, wish)
    go_back(world, boots=boots)
    for _ in range(2):
        plan = world.settle(wish.of(setting))
        assert isinstance(plan, Change)
        assert world.asked == []
        assert world.record.failure.code is Code.ROLLED_BACK
        assert judge_brake(world.record, plan.target, Settings().reboot, 0.0).reason is world.record.failure
        world.boot()
    world.record = release_brake(world.record)
    settle(setting, wish)
    assert_reached(setting, wish)
    assert world.asked.count("reboot") == 1


@given(image_worlds(fresh=True), BEFORE, WISHES)
def test_going_back_to_what_the_config_asks_for_by_then_is_not_held_against_it_later(setting, first, wish):
    world = setting.world
    switch(setting, first, wish)
    go_back(world, boots=True)
    settle(setting, first)
    assert world.asked == []
    settle(setting, wish)
    assert_reached(setting, wish)


@given(image_worlds(fresh=True), BEFORE, WISHES)
def test_a_target_that_is_gone_or_that_somebody_has_built_on_is_a_gap_to_be_closed(setting, first, wish):
    world = setting.world
    settle(setting, first)
    before = world.node.booted
    switch(setting, first, wish)
    again = stage(world.node, before.tree, locked=False, arguments=before.arguments)
    world.node = again  # the same tree as before, as a deployment of its own: somebody's work
    world.boot()
    settle(setting, wish)
    assert_reached(setting, wish)
    go_back(world, boots=True)
    world.node = replace(world.node, placed=tuple(one for one in world.node.placed if one.booted or one.pinned))
    settle(setting, wish)
    assert_reached(setting, wish)


OWN_REALTIME = ("core", "modules")


@given(image_worlds(), ARGUMENTS)
def test_an_os_that_brings_realtime_itself_is_rebased_to_once_and_then_left_so(setting, arguments):
    world, wish = setting.world, Wish(1, OTHER_IMAGE, arguments)
    first, second = world.node.offers
    own = Kernel("kernel-rt", OWN_REALTIME, "6.12.0", "1.rt1.el10", world.node.architecture)
    world.node = replace(world.node, offers=(first, replace(second, kernel=own)))
    world.images = (world.images[0], Content(OTHER_IMAGE, ()))
    before = not_ours(world.node, world.node.booted.tree)
    plan = world.plan(wish.of(setting))
    settle(setting, wish)
    assert world.asked == done(plan)
    assert world.asked.count("assemble") == 1
    assert host_of(world.node).kernel_release == own.uname
    assert not_ours(world.node, world.node.booted.tree) == before
    assert isinstance(world.settle(Wish(0, OTHER_IMAGE, arguments).of(setting)), Refused)
    assert world.asked == done(plan), "the default kernel is not to be had there"


@given(image_worlds(fresh=True), st.booleans())
def test_a_tag_stands_for_what_it_first_meant(setting, allowed):
    world = setting.world
    content = ContentSettings(allow_tags=allowed)
    world.settings = Settings(os=OsSettings(manage="image"), content=content)
    tagged = replace(
        Wish(1).of(setting), os_image=str(ImageReference("registry.example/os", "latest", "", layout=False))
    )
    plan = world.settle(tagged)
    assert isinstance(plan, Steady if allowed else Refused)
    assert world.asked == (["assemble", "reboot"] if allowed else [])
    assert len(world.record.resolved) == allowed
