"""Not ours, not lost: what an administrator or another client has on the node is there as it was, before and after."""

import os
import signal
from dataclasses import replace

import pytest

from mcd_rt.errors import Code
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.state import State
from mcd_rt.sim.bases import default_bases
from mcd_rt.sim.faults import END, Hold
from mcd_rt.sim.process import AgentExited, AgentStarted
from mcd_rt.sim.scene import write_image
from mcd_rt.sim.sysroot import clean_up
from mcd_rt.sim.world import Deployment, Origin, Repository, Rpm, Tree
from tests.integration.conftest import AGENT, served
from tests.integration.stories import (
    SLOW_RETRY,
    configure,
    fill_cache,
    kept,
    node_of,
    planning_held,
    reaches,
    reboot_held,
    told_of,
    workers_held,
)

pytestmark = pytest.mark.story

REALTIME = KernelType.REALTIME
TOOL = Rpm("site-tool-2.0-1.el9.x86_64", "a" * 64)
NEW_TOOLS = Rpm("kernel-tools-libs-5.14.0-999.el9.x86_64", "b" * 64)


def prepare(scene, settings="", *, cached=True):
    """Real-time is wanted; the node has a repository, as nodes with layered packages do."""
    if cached:
        fill_cache(scene)
    configure(scene.node, SLOW_RETRY + settings)
    daemon = scene.node.rpm_ostree
    daemon.system = replace(daemon.system, repository=Repository("updates", ("vim", "strace")))
    scene.ask_for(REALTIME)
    return scene.node


def install(node, **origin):
    """The node as it would be had it been installed with something layered."""
    system = node.rpm_ostree.system
    tree = with_origin(node, **origin)
    booted = replace(system.booted, tree=tree, checksum="c" * 64 if tree.layered else tree.base.checksum)
    node.rpm_ostree.commit(replace(system, deployments=(booted, *system.deployments[1:])))


def with_origin(node, **origin):
    tree = node.rpm_ostree.system.merge.tree
    return replace(tree, origin=replace(tree.origin, **origin))


def drop_staged(node):
    node.rpm_ostree.commit(clean_up(node.rpm_ostree.system, ["pending-deploy"]).system)


def not_ours(deployment):
    """What of a deployment is none of the agent's business."""
    origin = deployment.tree.origin
    return replace(
        origin,
        local=tuple(rpm for rpm in origin.local if not rpm.name.startswith("kernel-rt")),
        removals=tuple(name for name in origin.removals if not name.startswith("kernel")),
    )


def test_staged_work_is_built_upon_and_kept_in_one_reboot(play):
    async def story():
        async with served() as (scene, told):
            node = prepare(scene)
            node.another_client_stages(with_origin(node, packages=("vim",), removals=("podman",)))
            await node.run_agent(AGENT)
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)
            assert node.booted.tree.origin.packages == ("vim",)
            assert "podman" in node.booted.tree.origin.removals

            scene.ask_for(KernelType.DEFAULT)
            await reaches(told, node, KernelType.DEFAULT, assemblies=2, reboots=2)
            origin = node.booted.tree.origin
            assert (origin.packages, origin.removals, origin.local) == (("vim",), ("podman",), ())

    play(story())


def test_staged_kernel_arguments_are_in_what_is_booted(play):
    async def story():
        async with served() as (scene, told):
            node = prepare(scene)
            node.another_client_stages(with_origin(node), kernel_arguments="root=UUID=1 nosmt=force")
            await node.run_agent(AGENT)
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)
            assert node.booted.kernel_arguments == "root=UUID=1 nosmt=force"

    play(story())


def test_a_staged_os_update_and_the_kernel_switch_are_one_reboot(play, tmp_path):
    async def story():
        image = write_image(tmp_path / "new")
        [new] = default_bases(str(image))
        [old] = default_bases(f"registry.example/os@sha256:{'0' * 64}")
        async with node_of(image, bases=(old, new)) as (scene, told):
            node = prepare(scene)
            await node.run_agent(AGENT)
            await told_of(told, node, State.WAITING, Code.WAITING_FOR_BASE, image.digest, "0" * 64)
            assert (node.assemblies, node.transactions) == (0, [])

            node.another_client_stages(Tree(new, Origin(new.refspecs[0])))
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)
            assert node.booted.tree.base == new

    play(story())


def test_locked_work_is_left_alone_until_it_is_dropped(play):
    async def story():
        async with served() as (scene, told):
            node = prepare(scene)
            node.another_client_stages(with_origin(node, packages=("vim",)), locked=True)
            before = kept(node)
            await node.run_agent(AGENT)
            failure = await told_of(
                told, node, State.BLOCKED, Code.STAGED_BY_ANOTHER, node.deployments[0].checksum, "locked"
            )
            assert "rpm-ostree cleanup -p" in failure.hint
            assert (kept(node), node.transactions) == (before, [])

            drop_staged(node)
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)
            assert node.booted.tree.origin.packages == ()

    play(story())


def test_what_was_built_upon_staged_work_is_known_again_after_a_crash(play):
    async def story():
        async with served() as (scene, told):
            node = prepare(scene)
            node.another_client_stages(with_origin(node, packages=("vim",)))
            staged = Hold(END)
            node.faults.at.append(staged)
            await node.run_agent(AGENT)
            await staged.reached.wait()
            os.kill((await node.wait(AgentStarted)).pid, signal.SIGKILL)
            await node.wait(AgentExited)
            staged.release.set()
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)
            assert node.booted.tree.origin.packages == ("vim",)

    play(story())


@pytest.mark.parametrize("wanted", [REALTIME, KernelType.DEFAULT])
def test_locked_kernel_arguments_are_not_taken_for_ours(play, wanted):
    async def story():
        async with served() as (scene, told):
            node = prepare(scene)
            scene.ask_for(wanted)
            node.another_client_stages(with_origin(node), locked=True, kernel_arguments="root=UUID=1 nosmt=force")
            before = kept(node)
            await node.run_agent(AGENT)
            await told_of(told, node, State.BLOCKED, Code.STAGED_BY_ANOTHER)
            assert (kept(node), node.transactions) == (before, [])

    play(story())


def test_what_is_staged_while_we_fetch_is_built_upon(play, tmp_path, monkeypatch):
    async def story():
        with workers_held(tmp_path, monkeypatch) as gate:
            async with served() as (scene, told):
                node = prepare(scene, cached=False)
                await node.run_agent(AGENT)
                await gate.reached()
                node.another_client_stages(with_origin(node, packages=("vim",)))
                gate.let_pass(9)
                await reaches(told, node, REALTIME, assemblies=1, reboots=1)
                assert node.booted.tree.origin.packages == ("vim",)

    play(story())


def test_what_is_staged_after_we_planned_is_seen_before_we_stage(play, tmp_path):
    async def story():
        async with served() as (scene, told):
            node = prepare(scene)
            with planning_held(tmp_path, node) as gate:
                await node.run_agent(AGENT)
                await gate.reached()
                node.another_client_stages(with_origin(node, packages=("vim",)))
                gate.let_pass(9)
                await told_of(
                    told, node, State.RETRYING, Code.TRANSACTION_FOREIGN, "staged", node.deployments[0].checksum
                )
                await reaches(told, node, REALTIME, assemblies=1, reboots=1)
            assert node.booted.tree.origin.packages == ("vim",)

    play(story())


def test_what_replaces_our_staged_work_just_before_the_reboot_is_not_rebooted_into(play):
    async def story():
        async with served(profile="2020.8") as (scene, told):
            node = prepare(scene)
            with reboot_held(node) as waiting:
                await node.run_agent(AGENT)
                await waiting.wait()
                system = clean_up(node.rpm_ostree.system, ["pending-deploy"]).system
                node.rpm_ostree.commit(system)
                node.another_client_stages(with_origin(node, packages=("vim",)), locked=True)
                before = kept(node)
            await told_of(told, node, State.RETRYING, Code.TRANSACTION_FOREIGN, "just before the reboot")
            await told_of(told, node, State.BLOCKED, Code.STAGED_BY_ANOTHER)
            assert kept(node) == before

            drop_staged(node)
            await reaches(told, node, REALTIME, assemblies=2, reboots=1)

    play(story())


@pytest.mark.parametrize("profile", ["2020.8", "2024.9"])
def test_an_administrators_layers_and_pins_are_exactly_as_they_were_after_both_ways(play, profile):
    async def story():
        async with served(profile=profile) as (scene, told):
            node = prepare(scene)
            install(node, packages=("strace", "vim"), local=(TOOL,), removals=("podman",), replacements=(NEW_TOOLS,))
            system = node.rpm_ostree.system
            pinned = Deployment(system.booted.tree, "d" * 64, pinned=True, kernel_arguments="root=UUID=0")
            node.rpm_ostree.commit(replace(system, deployments=(*system.deployments, pinned)))
            before = node.booted
            await node.run_agent(AGENT)
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)
            assert not_ours(node.booted) == not_ours(before)
            assert node.booted.kernel_arguments == before.kernel_arguments
            assert pinned in node.deployments

            scene.ask_for(KernelType.DEFAULT)
            await reaches(told, node, KernelType.DEFAULT, assemblies=2, reboots=2)
            assert node.booted.tree == before.tree
            assert node.booted.kernel_arguments == before.kernel_arguments
            assert pinned in node.deployments

    play(story())


def test_a_kernel_package_that_an_administrator_removed_stays_removed_on_the_way_back(play):
    async def story():
        async with served() as (scene, told):
            node = prepare(scene)
            install(node, removals=("kernel-modules-extra",))
            before = node.booted.tree
            await node.run_agent(AGENT)
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)
            scene.ask_for(KernelType.DEFAULT)
            await reaches(told, node, KernelType.DEFAULT, assemblies=2, reboots=2)
            assert node.booted.tree == before

    play(story())


def test_a_kernel_that_an_administrator_replaced_is_left_to_him(play):
    async def story():
        async with served() as (scene, told):
            node = prepare(scene)
            install(node, replacements=(Rpm("kernel-core-5.14.0-999.el9.x86_64", "e" * 64, "5.14.0-999.el9.x86_64"),))
            before = kept(node)
            await node.run_agent(AGENT)
            failure = await told_of(told, node, State.BLOCKED, Code.KERNEL_OVERRIDDEN, "kernel-core-5.14.0-999")
            assert "override reset" in failure.hint
            assert (kept(node), node.transactions) == (before, [])

            install(node, replacements=())
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)

    play(story())


def test_what_is_layered_on_the_real_time_node_later_goes_its_own_way(play):
    async def story():
        async with served() as (scene, told):
            node = prepare(scene)
            await node.run_agent(AGENT)
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)
            node.another_client_stages(with_origin(node, packages=("vim",)))
            line = await told.wait_for("steady", contains="which is not ours")
            assert node.deployments[0].checksum in line
            await node.reboot()
            await reaches(told, node, REALTIME, assemblies=1, reboots=2)
            assert node.booted.tree.origin.packages == ("vim",)

    play(story())
