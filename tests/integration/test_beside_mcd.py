"""Beside a machine-config-daemon: never both manage the kernel, and nothing of its own is undone or lost."""

import json
from dataclasses import replace

import pytest

from mcd_rt.control import Verb, ask_agent
from mcd_rt.dbus.names import LOGIN_MANAGER
from mcd_rt.errors import Code
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.state import State
from mcd_rt.record import load_record
from mcd_rt.report.status import read_status
from mcd_rt.sim.bases import default_bases
from mcd_rt.sim.faults import END, Hold
from mcd_rt.sim.image import Layer, kernel_rt_packages, write_layout
from mcd_rt.sim.sysroot import clean_up
from mcd_rt.sim.world import Origin, Tree
from tests.integration.conftest import AGENT, PATIENCE, served
from tests.integration.stories import SLOW_RETRY, configure, fill_cache, kept, node_of, reaches, told_of, type_on

pytestmark = pytest.mark.story

DEFAULT, REALTIME = KernelType.DEFAULT, KernelType.REALTIME
LAYERED = tuple(f"kernel-rt-{part}-5.14.0-284.rt14.284.el9.x86_64" for part in ("core", "kvm", "modules"))
"""What it installs from a repository; ``kernel-rt-modules-core`` comes as a dependency."""
REMOVED = ("kernel", "kernel-core", "kernel-modules", "kernel-modules-core", "kernel-modules-extra")
GOING_DOWN = "being shut down"


class Mcd:
    """What a machine-config-daemon does to a node, as far as another client can see it."""

    def __init__(self, scene):
        self.scene, self.node = scene, scene.node
        self._write("/etc/machine-config-daemon/node-annotation.json.bak", "{}")
        self.render(DEFAULT)

    def render(self, kernel_type, image=None):
        """Put a rendered config on the disk, as it does just before its reboot, or when it withdraws one."""
        spec = {"osImageURL": str(image or self.scene.image), "kernelType": kernel_type.value, "fips": False}
        identity = {"apiVersion": "machineconfiguration.openshift.io/v1", "kind": "MachineConfig"}
        rendered = identity | {"metadata": {"name": "rendered-worker-1"}, "spec": spec}
        self.scene.write_config(json.dumps(rendered).encode())

    def deliver(self):
        """A file of ours that it writes for the pool: real-time by the proposal's config."""
        identity = {"apiVersion": "machineconfiguration.openshift.io/v1", "kind": "MachineConfig"}
        config = identity | {"metadata": {"name": "99-worker-realtime-kernel"}, "spec": {"realtime": True}}
        self._write("/etc/mcd-rt/machineconfig.d/99-worker-realtime-kernel.json", json.dumps(config))

    def withdraw(self):
        self.node.paths.below("/etc/mcd-rt/machineconfig.d/99-worker-realtime-kernel.json").unlink()

    def clean(self, kind):
        """``cleanup -p`` (pending-deploy) before OS work, ``cleanup -r`` (rollback-deploy) at its start."""
        system = clean_up(self.node.rpm_ostree.system, [kind]).system
        assert system is not None, "there was nothing to clean up"
        self.node.rpm_ostree.commit(system)

    def stage_kernel(self, kernel_type):
        """Its own switch, from what is booted."""
        base = self.node.booted.tree.base
        origin = Origin(base.refspecs[0])
        if kernel_type is REALTIME:
            origin = replace(origin, packages=LAYERED, removals=REMOVED)
        self.node.another_client_stages(Tree(base, origin))

    def _write(self, place, text):
        file = self.node.paths.below(place)
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_name(f".{file.name}")
        temporary.write_text(text)
        temporary.rename(file)


def prepare(scene, settings=""):
    fill_cache(scene)
    configure(scene.node, SLOW_RETRY + settings)
    return scene.node, Mcd(scene)


async def look_again(node):
    """One more pass by the running service, and what came of it."""
    return (await ask_agent(node.paths.control, Verb.APPLY, PATIENCE)).text


# Its own kernel type


def test_its_own_switch_is_watched_to_the_running_kernel_and_back(play):
    async def story():
        async with served() as (scene, told):
            node, mcd = prepare(scene)
            mcd.render(REALTIME)
            await node.run_agent(AGENT)
            await told_of(told, node, State.OBSERVING, Code.VERIFICATION_FAILED, "not real-time")
            mcd.stage_kernel(REALTIME)
            await node.reboot()
            line = await told.wait_for("observing", contains="realtime is wanted by rendered-worker-1 and runs")
            assert node.booted.tree.kernel_release in line
            assert read_status(node.paths).failure is None
            assert node.rpm_ostree.starts == 0  # files say it all

            mcd.render(DEFAULT)  # 4.4 does so before it takes out what it layered
            await told_of(told, node, State.WAITING, Code.KERNEL_OVERRIDDEN, *LAYERED)
            mcd.stage_kernel(DEFAULT)
            await told.wait_for("steady", contains="which is not ours")
            await node.reboot()
            await told.wait_for("steady", contains="default is wanted and runs")
            assert (node.transactions, node.assemblies, node.reboots) == ([], 0, 2)
            assert not node.paths.record.exists()

    play(story())


def test_what_is_seen_while_observing_is_said_by_every_verb(play):
    async def story():
        async with served() as (scene, told):
            node, mcd = prepare(scene)
            mcd.render(REALTIME)
            await node.run_agent(AGENT)
            await told.wait_for("observing")
            code, text = await type_on(node, "status")
            assert (code, text.partition(" ")[0]) == (3, "observing")
            assert "verification-failed" in text
            code, text = await type_on(node, "plan")
            assert (code, text.partition(":")[0]) == (0, "observing")
            assert (await type_on(node, "verify"))[0] == 1
            mcd.stage_kernel(REALTIME)
            await node.reboot()
            await told.wait_for("observing", contains="and runs")
            assert (await type_on(node, "verify"))[0] == 0

    play(story())


def test_its_kernel_type_set_while_ours_is_active_takes_our_hands_off_and_back(play):
    async def story():
        async with served() as (scene, told):
            node, mcd = prepare(scene)
            mcd.deliver()
            await node.run_agent(AGENT)
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)

            before = kept(node)
            mcd.render(REALTIME)
            await told.wait_for("observing", contains="and runs")
            assert (kept(node), node.assemblies) == (before, 1)
            mcd.stage_kernel(REALTIME)  # its own in the place of ours
            await node.reboot()
            await told.wait_for("observing", contains="and runs")

            mcd.stage_kernel(DEFAULT)
            mcd.render(DEFAULT)
            await node.reboot()
            await told.wait_for("steady", contains="realtime is wanted and runs")  # by ours, which is still delivered
            assert (node.assemblies, node.reboots) == (2, 4)
            assert node.booted.tree.origin.packages == ()
            mcd.withdraw()
            await reaches(told, node, DEFAULT, assemblies=3, reboots=5)

    play(story())


def test_what_we_had_staged_is_left_to_it_and_not_judged_afterwards(play):
    async def story():
        async with served() as (scene, told):
            node, mcd = prepare(scene, '[reboot]\nstrategy = "never"\n')
            mcd.deliver()
            await node.run_agent(AGENT)
            await told.wait_for("staged")
            before, asked = kept(node), len(node.transactions)
            mcd.render(REALTIME)
            await told.wait_for("observing")
            assert load_record(node.paths).attempt is not None  # in this boot it is ours still
            assert (kept(node), len(node.transactions)) == (before, asked)
            mcd.clean("pending-deploy")
            await node.reboot()
            await told.wait_for("observing")
            assert load_record(node.paths).attempt is None
            assert load_record(node.paths).failure is None

    play(story())


def test_who_manages_can_be_forced(play):
    async def story():
        async with served() as (scene, told):
            node, mcd = prepare(scene, '[agent]\nmanage = "manage"\n')
            mcd.render(REALTIME)
            await node.run_agent(AGENT)
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)
        async with served() as (scene, told):
            configure(scene.node, '[agent]\nmanage = "observe"\n')
            scene.ask_for(REALTIME)
            await scene.node.run_agent(AGENT)
            await told_of(told, scene.node, State.OBSERVING, Code.VERIFICATION_FAILED, "not real-time")
            assert (scene.node.transactions, scene.node.rpm_ostree.starts) == ([], 0)

    play(story())


# Its config is written just before its reboot, and withdrawn if that fails


def test_nothing_is_begun_while_the_node_goes_down(play):
    async def story():
        async with served() as (scene, told):
            node, mcd = prepare(scene)
            await node.run_agent(AGENT)
            await told.wait_for("steady", contains="default is wanted and runs")
            before = kept(node)
            node.logind.prepare(shutdown=True)
            mcd.deliver()
            await told.wait_for("waiting", contains=GOING_DOWN)
            assert read_status(node.paths).next_attempt is not None
            mcd.withdraw()
            await told.wait_for("steady", contains="default is wanted and runs")
            assert (kept(node), node.transactions) == (before, [])
            node.logind.prepare(shutdown=False)
            mcd.deliver()
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)

    play(story())


def test_a_reboot_of_ours_does_not_come_between_somebody_elses(play):
    async def story():
        async with served() as (scene, told):
            node, mcd = prepare(scene)
            mcd.deliver()
            staged = Hold(END)
            node.faults.at.append(staged)
            await node.run_agent(AGENT)
            await staged.reached.wait()
            node.logind.prepare(shutdown=True)
            staged.release.set()
            await told.wait_for("waiting", contains=GOING_DOWN)
            assert load_record(node.paths).reboots == ()
            assert (node.reboots, node.rpm_ostree.system.staged.locked) == (0, True)
            node.logind.prepare(shutdown=False)
            await look_again(node)
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)

    play(story())


def test_without_logind_we_stage_but_do_not_reboot(play):
    async def story():
        async with served() as (scene, told):
            node, mcd = prepare(scene)
            mcd.deliver()
            await node.logind.service.stop()
            await node.run_agent(AGENT)
            await told_of(told, node, State.RETRYING, Code.REBOOT_REFUSED, "going down")
            assert (node.assemblies, node.reboots) == (1, 0)
            assert load_record(node.paths).reboots == ()
            await node.logind.service.start(node.environment["DBUS_SYSTEM_BUS_ADDRESS"])
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)

    play(story())


def test_a_config_that_is_withdrawn_before_its_reboot_leaves_no_trace(play):
    async def story():
        async with served() as (scene, told):
            node, mcd = prepare(scene)
            await node.run_agent(AGENT)
            await told.wait_for("steady", contains="default is wanted and runs")
            before = kept(node)
            mcd.render(REALTIME, f"registry.example/os@sha256:{'1' * 64}")
            await told.wait_for("observing")
            mcd.render(DEFAULT)
            await told.wait_for("steady", contains="default is wanted and runs")
            assert (kept(node), node.transactions) == (before, [])
            assert not node.paths.record.exists()

    play(story())


# What it cleans up


def test_our_staged_deployment_cleaned_up_is_staged_again(play):
    async def story():
        async with served() as (scene, told):
            node, mcd = prepare(scene, '[reboot]\nstrategy = "never"\n')
            mcd.deliver()
            await node.run_agent(AGENT)
            for times in (1, 2, 3):
                await told.wait_for("staged")
                assert (node.assemblies, node.reboots) == (times, 0)
                assert node.rpm_ostree.system.staged.locked
                mcd.clean("pending-deploy")
            await told.wait_for("staged")

    play(story())


def test_our_staged_deployment_cleaned_up_just_before_the_reboot_is_no_reboot_into_nothing(play):
    async def story():
        async with served() as (scene, told):
            node, mcd = prepare(scene)
            mcd.deliver()
            member, handlers = f"{LOGIN_MANAGER}.ListInhibitors", node.logind.service._handlers
            answer = handlers[member]

            async def clean_up_meanwhile(call):
                handlers[member] = answer
                mcd.clean("pending-deploy")
                return await answer(call)

            handlers[member] = clean_up_meanwhile
            await node.run_agent(AGENT)
            await told_of(told, node, State.RETRYING, Code.TRANSACTION_FOREIGN, "just before the reboot")
            assert (node.assemblies, node.reboots, load_record(node.paths).reboots) == (1, 0, ())
            await reaches(told, node, REALTIME, assemblies=2, reboots=1)

    play(story())


def test_a_rollback_cleaned_up_is_none_of_our_business(play):
    async def story():
        async with served() as (scene, told):
            node, mcd = prepare(scene)
            mcd.deliver()
            await node.run_agent(AGENT)
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)
            record, asked = node.paths.record.read_bytes(), len(node.transactions)
            mcd.clean("rollback-deploy")
            assert len(node.deployments) == 1
            assert (await look_again(node)).startswith("steady: realtime is wanted and runs")
            assert (node.paths.record.read_bytes(), len(node.transactions)) == (record, asked)
            mcd.withdraw()
            await reaches(told, node, DEFAULT, assemblies=2, reboots=2)

    play(story())


# Its OS update


@pytest.mark.parametrize("seen", [True, False], ids=["seen-coming", "after-the-fact"])
def test_after_its_rebase_and_reboot_we_converge_with_a_reboot_of_our_own(play, tmp_path, seen):
    releases = ("284.rt14.1.el9", "300.rt14.1.el9")
    older, newer = (
        write_layout(
            tmp_path / release,
            [Layer(kernel_rt_packages("5.14.0", release, "x86_64", 9))],
            tag=release,
            architecture="x86_64",
        )
        for release in releases
    )
    [old], [new] = default_bases(str(older)), default_bases(str(newer))

    async def story():
        async with node_of(older, bases=(old, new)) as (scene, told):
            node, mcd = scene.node, Mcd(scene)
            mcd.deliver()
            await node.run_agent(AGENT)
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)
            ours = node.booted.tree.origin.local

            node.another_client_stages(Tree(new, replace(node.booted.tree.origin, refspec=new.refspecs[0])))
            if seen:
                await told_of(told, node, State.WAITING, Code.WAITING_FOR_BASE, newer.digest, older.digest)
                mcd.render(DEFAULT, newer)
                await told_of(told, node, State.WAITING, Code.STAGED_BY_ANOTHER, "reboots into its work itself")
                assert not node.deployments[0].locked
                assert node.assemblies == 1
            else:
                await told.wait_for("waiting")
            await node.reboot()
            assert (node.booted.tree.base, node.booted.tree.origin.local) == (new, ours)
            mcd.render(DEFAULT, newer)
            await reaches(told, node, REALTIME, assemblies=2, reboots=3)
            assert node.booted.tree.base == new
            assert all(releases[1] in rpm.nevra for rpm in node.booted.tree.origin.local)

    play(story())
