"""Nothing to do means nothing done: no pull, no child, no mutating call."""

from mcd_rt.control import Verb, ask_agent
from mcd_rt.model.kernel import KernelType
from tests.integration.conftest import AGENT, served


def test_a_node_on_the_default_kernel_that_is_asked_for_it_is_left_as_it_is(play):
    async def story():
        async with served() as (scene, told):
            scene.ask_for(KernelType.DEFAULT)
            await scene.node.run_agent(AGENT)
            await told.wait_for("steady", contains="default is wanted and runs")
            assert scene.node.transactions == []
            assert scene.node.reboots == 0
            assert not scene.node.paths.cache.exists()
            assert not scene.node.paths.record.exists()

    play(story())


def test_passes_over_a_node_that_is_as_wanted_ask_rpm_ostree_for_no_transaction(play):
    async def story():
        async with served() as (scene, told):
            scene.ask_for(KernelType.REALTIME)
            await scene.node.run_agent(AGENT)
            await told.wait_for("steady")
            done, record = len(scene.node.transactions), scene.node.paths.record.read_bytes()
            for _ in range(3):
                reply = await ask_agent(scene.node.paths.control, Verb.APPLY, 30)
                assert reply.text.startswith("steady")
            assert len(scene.node.transactions) == done
            assert scene.node.paths.record.read_bytes() == record

    play(story())


def test_a_verified_node_needs_its_image_no_more(play):
    async def story():
        async with served() as (scene, told):
            scene.ask_for(KernelType.REALTIME)
            await scene.node.run_agent(AGENT)
            await told.wait_for("steady")
            for manifest in scene.node.paths.cache.glob("*/content.json"):
                manifest.unlink()
            reply = await ask_agent(scene.node.paths.control, Verb.APPLY, 30)
            assert reply.ok
            assert told.states == []

    play(story())


def test_a_config_that_changes_nothing_for_the_kernel_does_not_wake_rpm_ostree(play):
    async def story():
        async with served() as (scene, told):
            node = scene.node
            scene.ask_for(KernelType.DEFAULT)
            await node.run_agent(AGENT)
            await told.wait_for("steady")
            node.faults.mute = True  # whoever asked it anything now would wait for its answer
            for key in range(3):
                scene.write_config(scene.config.read_bytes() + f"  # key {key}\n".encode())
                reply = await ask_agent(node.paths.control, Verb.APPLY, 30)
                assert reply.text.startswith("steady")
            node.faults.mute = False
            scene.ask_for(KernelType.REALTIME)  # what does concern it is still acted on
            await told.wait_for("steady", contains="realtime is wanted and runs")

    play(story())
