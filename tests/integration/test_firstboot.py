"""The first boot on a node: the whole change before kubelet would start, once, within its deadline."""

import asyncio

import pytest

from mcd_rt.errors import Code
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.state import State
from mcd_rt.record import load_record
from mcd_rt.report.status import read_status
from mcd_rt.sim.faults import Hold
from mcd_rt.sim.node import Rebooted
from tests.integration.conftest import AGENT, served
from tests.integration.stories import configure, fill_cache, leftovers, type_on

pytestmark = pytest.mark.story

REALTIME = KernelType.REALTIME
NEVER = '[reboot]\nstrategy = "never"\n'
FIRST_BOOT = ("apply", "--firstboot")


def prepare(scene, settings=""):
    fill_cache(scene)
    configure(scene.node, settings)
    scene.ask_for(REALTIME)
    return scene.node


def test_the_whole_change_is_one_assembly_and_one_reboot_and_then_it_is_over(play):
    async def story():
        async with served() as (scene, _):
            node = prepare(scene, NEVER)
            code, text = await type_on(node, *FIRST_BOOT)
            assert (code, "rebooting" in text) == (0, True), text
            await node.wait(Rebooted)
            assert not node.paths.firstboot_done.exists()
            code, text = await type_on(node, *FIRST_BOOT)
            assert (code, "steady: realtime is wanted and runs" in text) == (0, True), text
            assert (node.assemblies, node.reboots, node.booted.tree.realtime) == (1, 1, True)
            assert node.paths.firstboot_done.read_text().startswith("steady: ")
            assert leftovers(node) == []

            scene.ask_for(KernelType.DEFAULT)  # with workloads: no first boot any more
            code, text = await type_on(node, *FIRST_BOOT)
            assert (code, "is over" in text) == (0, True), text
            assert (node.assemblies, node.reboots) == (1, 1)

    play(story())


def test_nothing_to_do_is_over_at_once(play):
    async def story():
        async with served() as (scene, _):
            scene.ask_for(KernelType.DEFAULT)
            assert (await type_on(scene.node, *FIRST_BOOT))[0] == 0
            assert (scene.node.transactions, scene.node.reboots) == ([], 0)
            assert scene.node.paths.firstboot_done.exists()

    play(story())


def test_a_boot_that_fails_is_braked_and_the_node_starts(play):
    async def story():
        async with served() as (scene, _):
            node = prepare(scene, "[reboot]\nattempts_per_target = 1\n")
            node.faults.finalize_fails = True
            assert (await type_on(node, *FIRST_BOOT))[0] == 0
            await node.wait(Rebooted)
            code, text = await type_on(node, *FIRST_BOOT)
            assert (code, Code.TARGET_HELD in text, Code.NOT_FINALIZED in text) == (1, True, True), text
            assert (node.reboots, node.booted.tree.realtime) == (1, False)
            assert node.paths.firstboot_done.exists()

    play(story())


def test_a_config_that_cannot_be_believed_starts_the_node(play):
    async def story():
        async with served() as (scene, _):
            scene.write_config(b"kind: nonsense\n")
            code, text = await type_on(scene.node, *FIRST_BOOT)
            assert (code, Code.CONFIG_INVALID in text) == (1, True), text
            assert scene.node.paths.firstboot_done.exists()

    play(story())


@pytest.mark.timeout(90)
def test_a_deadline_in_the_middle_of_a_transaction_leaves_the_rest_to_the_service(play):
    async def story():
        async with served() as (scene, told):
            node = prepare(scene, NEVER + "[firstboot]\ntimeout = 4.0\n")
            staging = Hold("Staging deployment")
            node.faults.at.append(staging)
            typed = asyncio.create_task(type_on(node, *FIRST_BOOT))
            await staging.reached.wait()
            code, text = await typed
            assert (code, Code.FIRSTBOOT_TIMEOUT in text) == (1, True), text
            assert read_status(node.paths).failure.code is Code.FIRSTBOOT_TIMEOUT
            assert node.rpm_ostree.system.staged is None

            await node.run_agent(AGENT)
            staging.release.set()
            await told.wait_for("staged", contains="reboot.strategy is never")  # its own strategy, from now on
            status = read_status(node.paths)
            assert (status.state, status.last_failure.code) == (State.STAGED, Code.FIRSTBOOT_TIMEOUT)
            assert (node.assemblies, node.reboots, node.rpm_ostree.system.staged.locked) == (1, 0, True)

            configure(node, "")
            await node.reboot()  # an administrator's: what is locked is not applied by it
            await told.wait_for("steady", contains="realtime is wanted and runs")
            assert load_record(node.paths).failure is None
            assert read_status(node.paths).last_failure is None

    play(story())


def test_beside_a_running_service_nothing_is_done(play):
    async def story():
        async with served() as (scene, told):
            scene.ask_for(KernelType.DEFAULT)
            await scene.node.run_agent(AGENT)
            await told.wait_for("steady")
            code, text = await type_on(scene.node, *FIRST_BOOT)
            assert (code, Code.AGENT_RUNNING in text) == (1, True), text
            assert not scene.node.paths.firstboot_done.exists()

    play(story())
