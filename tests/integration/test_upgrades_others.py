"""OS updates that somebody else makes, and his staged work: built upon where there is time, waited for where not."""

from dataclasses import replace

import pytest

from mcd_rt.errors import Code
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.state import State
from mcd_rt.sim.bases import Release
from mcd_rt.sim.faults import END, Hold
from mcd_rt.sim.neighbours import McdUpdate, NeighbourFailed, admin_pins, mcd_stages, mcd_updates
from mcd_rt.sim.node import ARGUMENTS
from mcd_rt.sim.sysroot import clean_up
from tests.integration.asked import arguments, asked_of, finalize, update
from tests.integration.conftest import AGENT
from tests.integration.releases import CONTAINER, IMAGE_MODE, node_with, os_of, publish
from tests.integration.stories import configure, kept, told_of
from tests.integration.wishes import wish

pytestmark = pytest.mark.story

DEFAULT, REALTIME = KernelType.DEFAULT, KernelType.REALTIME
EL8, EL9, NEXT = os_of(Release.EL8), os_of(Release.EL9), os_of(Release.EL9_NEXT)
C_EL9, C_NEXT = os_of(Release.EL9, CONTAINER), os_of(Release.EL9_NEXT, CONTAINER)
RUNS = "realtime is wanted and runs"


def container(published):
    return f"{published.image.place}@{published.image.digest}"


def changed(tree, **origin):
    return replace(tree, origin=replace(tree.origin, **origin))


def without_podman(published):
    return changed(published.with_realtime(), removals=(*published.kernels, "podman"))


def asked_by_us(node):
    """What was asked since the other client's last transaction."""
    theirs = [number for number, each in enumerate(node.transactions) if each.method in ("Rebase", "Cleanup")]
    return asked_of(node, since=theirs[-1] + 1)


@pytest.mark.parametrize("kernel_type", [REALTIME, DEFAULT])
def test_a_staged_os_update_and_our_kernel_are_one_reboot(play, kernel_type):
    """Another client that stages and leaves time."""

    async def story():
        async with node_with(C_EL9.with_realtime(), (C_EL9, C_NEXT)) as (node, told):
            await mcd_stages(node, McdUpdate(container(C_NEXT)))
            assert node.assemblies == 1
            publish(node, C_NEXT)
            wish(node, kernel_type, C_NEXT)
            await node.run_agent(AGENT)
            await told.wait_for("steady", contains=f"{kernel_type} is wanted and runs")
            old = C_EL9.kernel.nevras
            swap = {
                REALTIME: (update(install=5, uninstall=old), C_NEXT.with_realtime()),
                DEFAULT: (update(uninstall=old, reset=C_NEXT.kernels), C_NEXT.plain()),
            }
            asked, then = swap[kernel_type]
            assert asked_by_us(node) == [asked, finalize(C_NEXT)]
            assert (node.booted.tree, node.assemblies, node.reboots) == (then, 2, 1)

    play(story())


def test_an_os_update_that_reboots_at_once_is_followed_by_a_reboot_of_ours(play):
    async def story():
        async with node_with(C_EL9.with_realtime(), (C_EL9, C_NEXT)) as (node, told):
            wish(node, REALTIME, C_EL9)
            await node.run_agent(AGENT)
            await told.wait_for("steady", contains=RUNS)
            await mcd_updates(node, McdUpdate(container(C_NEXT)))
            assert node.booted.tree == changed(C_NEXT.with_realtime(), local=C_EL9.kernel.rpms)
            await told_of(told, node, State.WAITING, Code.WAITING_FOR_BASE, C_NEXT.image.digest)
            publish(node, C_NEXT)
            wish(node, REALTIME, C_NEXT)
            await told.wait_for("steady", contains=RUNS)
            assert asked_by_us(node) == [update(install=5, uninstall=C_EL9.kernel.nevras), finalize(C_NEXT)]
            assert (node.booted.tree, node.assemblies, node.reboots) == (C_NEXT.with_realtime(), 2, 2)

    play(story())


def test_what_is_booted_already_is_known_by_its_digest_whatever_the_repository_is_called(play):
    async def story():
        mirrored = f"ostree-unverified-registry:mirror.example/os@{C_NEXT.image.digest}"
        tree = changed(C_NEXT.with_realtime(), refspec=mirrored)
        async with node_with(tree, (C_NEXT,), settings=IMAGE_MODE) as (node, told):
            wish(node, REALTIME, C_NEXT)
            await node.run_agent(AGENT)
            await told.wait_for("steady", contains=RUNS)
            assert (node.transactions, node.booted.tree) == ([], tree)

    play(story())


def test_a_base_with_new_kernel_packages_cannot_be_rebased_to_around_us_but_by_us(play):
    """EL8 to EL9: rpm-ostree refuses another client's rebase whole, because only we remove what is new."""

    async def story():
        async with node_with(EL8.with_realtime(), (EL8, EL9), settings=IMAGE_MODE) as (node, told):
            place = node.root.parent / "repository"
            for name, data in EL9.content.repository().items():
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                (place / name).write_bytes(data)
            before = kept(node)
            with pytest.raises(NeighbourFailed, match="kernel-modules-core"):
                await mcd_stages(node, McdUpdate(container(EL9), place, EL9.content.checksum))
            assert kept(node) == before
            wish(node, REALTIME, EL9)
            await node.run_agent(AGENT)
            await told.wait_for("steady", contains=RUNS)
            assert node.booted.tree == EL9.with_realtime()

    play(story())


def test_a_pinned_deployment_stays_where_it_is(play):
    async def story():
        async with node_with(EL9.with_realtime(), (EL9, NEXT), settings=IMAGE_MODE) as (node, told):
            admin_pins(node)
            wish(node, REALTIME, NEXT)
            await node.run_agent(AGENT)
            await told.wait_for("steady", contains=RUNS)
            publish(node, EL9)
            wish(node, DEFAULT, EL9)
            await told.wait_for("steady", contains="default is wanted and runs")
            trees = [(each.tree, each.pinned) for each in node.deployments]
            assert trees == [(EL9.plain(), False), (NEXT.with_realtime(), False), (EL9.with_realtime(), True)]
            assert (node.assemblies, node.reboots) == (2, 2)

    play(story())


# Another client's staged deployment: locked, in conflict, or to be built upon


def test_staged_work_that_is_locked_is_left_alone_until_it_is_gone(play):
    async def story():
        async with node_with(EL9.with_realtime(), (EL9, NEXT), settings=IMAGE_MODE) as (node, told):
            node.another_client_stages(NEXT.plain(), locked=True)
            before = kept(node)
            wish(node, REALTIME, NEXT)
            await node.run_agent(AGENT)
            await told_of(told, node, State.BLOCKED, Code.STAGED_BY_ANOTHER, "locked it")
            assert (kept(node), node.transactions) == (before, [])
            node.rpm_ostree.commit(clean_up(node.rpm_ostree.system, ["pending-deploy"]).system)
            await told.wait_for("steady", contains=RUNS)
            assert node.booted.tree == NEXT.with_realtime()

    play(story())


def test_staged_work_that_changes_the_kernel_another_way_is_left_alone(play):
    """An update to the next OS that another agent wants with the default kernel, while we are asked for realtime."""

    async def story():
        async with node_with(EL9.with_realtime(), (EL9, NEXT)) as (node, told):
            node.another_client_stages(NEXT.plain())
            before = kept(node)
            wish(node, REALTIME, NEXT)
            await node.run_agent(AGENT)
            await told_of(told, node, State.BLOCKED, Code.STAGED_BY_ANOTHER, "changes the kernel too", "realtime")
            assert (kept(node), node.transactions) == (before, [])
            await node.reboot()
            await told.wait_for("steady", contains=RUNS)
            assert asked_of(node) == [update(install=5, remove=NEXT.kernels), finalize(NEXT)]
            assert (node.booted.tree, node.reboots) == (NEXT.with_realtime(), 2)

    play(story())


def test_staged_packages_and_arguments_are_inside_an_os_update_of_ours(play):
    async def story():
        async with node_with(C_EL9.with_realtime(), (C_EL9, C_NEXT), settings=IMAGE_MODE) as (node, told):
            node.another_client_stages(
                without_podman(C_EL9),
                kernel_arguments=f"{ARGUMENTS} theirs=1",
            )
            wish(node, REALTIME, C_NEXT, ["theirs=1", "ours=1"])
            await node.run_agent(AGENT)
            await told.wait_for("steady", contains=RUNS)
            assert asked_of(node) == [
                arguments(f"{ARGUMENTS} theirs=1", add=["ours=1"]),
                update(install=5, uninstall=C_EL9.kernel.nevras, to=C_NEXT),
                finalize(C_NEXT),
            ]
            assert node.booted.tree == without_podman(C_NEXT)
            assert node.booted.kernel_arguments == f"{ARGUMENTS} theirs=1 ours=1"
            assert node.reboots == 1

    play(story())


def test_an_os_that_another_client_brings_while_ours_is_staged_makes_us_plan_again(play):
    async def story():
        async with node_with(C_EL9.plain(), (C_EL9, C_NEXT), settings=IMAGE_MODE) as (node, told):
            staged = Hold(END)
            node.faults.at.append(staged)
            wish(node, REALTIME, C_NEXT)
            await node.run_agent(AGENT)
            await staged.reached.wait()
            node.another_client_stages(C_NEXT.plain())
            staged.release.set()
            await told.wait_for("steady", contains=RUNS)
            assert (node.booted.tree, node.reboots) == (C_NEXT.with_realtime(), 1)

    play(story())


def test_where_an_mcd_updates_the_os_we_do_not_even_if_told_to(play):
    async def story():
        async with node_with(EL9.with_realtime(), (EL9, NEXT), settings=IMAGE_MODE) as (node, told):
            proof = node.paths.below("/etc/machine-config-daemon/node-annotation.json.bak")
            proof.parent.mkdir(parents=True, exist_ok=True)
            proof.write_text("{}")
            delivered = node.paths.below("/etc/mcd-rt/machineconfig.d/99-worker-realtime-kernel.yaml")
            delivered.parent.mkdir(parents=True)
            delivered.write_text(
                "apiVersion: machineconfiguration.openshift.io/v1\nkind: MachineConfig\n"
                "metadata: {name: 99-worker-realtime-kernel}\nspec: {realtime: true}\n"
            )
            before = kept(node)
            wish(node, DEFAULT, NEXT)
            await node.run_agent(AGENT)
            await told_of(told, node, State.WAITING, Code.WAITING_FOR_BASE, NEXT.image.digest)
            assert (kept(node), node.transactions) == (before, [])
            configure(node, '[agent]\nmanage = "manage"\n')
            await node.reboot()
            await told.wait_for("steady", contains=RUNS)
            assert node.booted.tree == NEXT.with_realtime()

    play(story())
