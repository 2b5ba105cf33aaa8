"""Unknown is not default: a config that is bad, missing or changes its mind, on a node that keeps what it has."""

import pytest

from mcd_rt.control import Verb, ask_agent
from mcd_rt.errors import Code
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.state import State
from mcd_rt.record import load_record
from mcd_rt.sim.faults import Hold
from tests.integration.conftest import AGENT, served
from tests.integration.stories import (
    SLOW_RETRY,
    configure,
    fill_cache,
    kept,
    leftovers,
    reaches,
    reboot_held,
    told_of,
    type_on,
    workers_held,
)

pytestmark = pytest.mark.story

REALTIME, DEFAULT = KernelType.REALTIME, KernelType.DEFAULT
NEVER = '[reboot]\nstrategy = "never"\n'

GOOD = b"""\
apiVersion: machineconfiguration.openshift.io/v1
kind: MachineConfig
metadata:
  name: 99-worker-realtime-kernel
spec:
  realtime: true
"""


def changed(old, new):
    assert old in GOOD
    return GOOD.replace(old, new)


BAD = {
    "cut-off": (changed(b"realtime: true\n", b"kernelArguments: ['quiet"), 6),
    "twice": (changed(b"realtime: true\n", b"realtime: true\n  realtime: false\n"), 7),
    "unknown-type": (changed(b"realtime: true", b"kernelType: real-time"), 6),
    "contradiction": (changed(b"realtime: true", b"realtime: true\n  kernelType: default"), 7),
    "another-kind": (changed(b"kind: MachineConfig", b"kind: KubeletConfig"), 2),
    "json": (b'{"kind": "MachineConfig",\n "apiVersion": 3}', 2),
}


def prepare(scene, settings=""):
    fill_cache(scene)
    configure(scene.node, SLOW_RETRY + settings)
    scene.ask_for(REALTIME)
    return scene.node


@pytest.mark.parametrize(("text", "line"), BAD.values(), ids=BAD)
def test_a_bad_config_changes_nothing_and_is_named_with_its_line(play, text, line):
    async def story():
        async with served() as (scene, told):
            node, before = scene.node, kept(scene.node)
            scene.write_config(text)
            await node.run_agent(AGENT)
            await told_of(told, node, State.BLOCKED, Code.CONFIG_INVALID, f"{scene.config}:{line}:")
            assert (kept(node), node.transactions, leftovers(node)) == (before, [], [])
            assert not node.paths.record.exists()

            scene.ask_for(DEFAULT)
            await reaches(told, node, DEFAULT, assemblies=0, reboots=0)

    play(story())


def test_a_real_time_node_keeps_its_kernel_through_a_config_that_is_none(play):
    async def story():
        async with served() as (scene, told):
            node = prepare(scene)
            await node.run_agent(AGENT)
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)
            before = kept(node)
            scene.write_config(b"realtime: no")
            await told_of(told, node, State.BLOCKED, Code.CONFIG_INVALID, f"{scene.config}:1:")
            code, text = await type_on(node, "status")
            assert code == 1
            assert f"config-invalid: {scene.config}:1:" in text
            scene.config.unlink()
            await told_of(told, node, State.WAITING, Code.CONFIG_MISSING, str(scene.config), "does not exist")
            assert kept(node) == before

            scene.ask_for(REALTIME)
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)

    play(story())


@pytest.mark.parametrize("text", [None, b" \n"], ids=["missing", "empty"])
def test_no_config_yet_is_waited_for_and_is_no_error(play, text):
    async def story():
        async with served() as (scene, told):
            node, before = scene.node, kept(scene.node)
            if text is not None:
                scene.write_config(text)
            await node.run_agent(AGENT)
            await told_of(told, node, State.WAITING, Code.CONFIG_MISSING, str(scene.config))
            code, _text = await type_on(node, "status") if text is None else (0, "")
            assert code == 0
            assert (kept(node), node.transactions) == (before, [])

            scene.ask_for(DEFAULT)
            await reaches(told, node, DEFAULT, assemblies=0, reboots=0)

    play(story())


def test_an_image_without_a_digest_is_refused(play):
    async def story():
        async with served() as (scene, told):
            node = prepare(scene)
            before = kept(node)
            scene.write_config(scene.config.read_bytes().replace(f"@{scene.image.digest}".encode(), b""))
            await node.run_agent(AGENT)
            await told_of(told, node, State.BLOCKED, Code.IMAGE_NOT_PINNED, f"oci:{scene.image.place}:latest")
            assert (kept(node), node.transactions) == (before, [])

            scene.ask_for(REALTIME)
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)

    play(story())


def test_a_switch_taken_back_while_it_is_fetched_is_not_fetched(play, tmp_path, monkeypatch):
    async def story():
        with workers_held(tmp_path, monkeypatch) as gate:
            async with served() as (scene, told):
                node, before = scene.node, kept(scene.node)
                scene.ask_for(REALTIME)
                await node.run_agent(AGENT)
                gate.let_pass()
                await gate.reached(2)  # everything is here, and not yet looked into
                assert leftovers(node)
                scene.ask_for(DEFAULT)
                await reaches(told, node, DEFAULT, assemblies=0, reboots=0)
                assert (kept(node), node.transactions) == (before, [])

                gate.let_pass(9)
                scene.ask_for(REALTIME)
                await reaches(told, node, REALTIME, assemblies=1, reboots=1)

    play(story())


def test_a_switch_taken_back_while_it_is_staged_is_undone_before_any_reboot(play):
    async def story():
        async with served() as (scene, told):
            node = prepare(scene)
            before, staging = kept(node), Hold("Staging deployment")
            node.faults.at.append(staging)
            await node.run_agent(AGENT)
            await staging.reached.wait()
            scene.ask_for(DEFAULT)
            staging.release.set()
            await reaches(told, node, DEFAULT, assemblies=1, reboots=0)
            assert kept(node) == before
            assert [transaction.method for transaction in node.transactions] == ["UpdateDeployment", "Cleanup"]
            assert load_record(node.paths).attempt is None

    play(story())


def test_a_switch_taken_back_once_it_is_staged_is_undone(play):
    async def story():
        async with served() as (scene, told):
            node = prepare(scene, NEVER)
            before = kept(node)
            await node.run_agent(AGENT)
            line = await told.wait_for("staged")
            assert "locked until a reboot of ours" in line
            scene.write_config(GOOD.replace(b"true", b"'true'"))
            await told_of(told, node, State.BLOCKED, Code.CONFIG_INVALID, f"{scene.config}:6:")
            assert node.rpm_ostree.system.staged.locked  # unknown is not default: it stays, and nobody boots it
            scene.ask_for(DEFAULT)
            await reaches(told, node, DEFAULT, assemblies=1, reboots=0)
            assert kept(node) == before

    play(story())


def test_a_switch_taken_back_just_before_the_reboot_is_not_rebooted_into(play):
    async def story():
        async with served() as (scene, told):
            node = prepare(scene)
            before = kept(node)
            with reboot_held(node) as waiting:
                await node.run_agent(AGENT)
                await waiting.wait()
                scene.ask_for(DEFAULT)
            await reaches(told, node, DEFAULT, assemblies=1, reboots=0)
            assert kept(node) == before
            assert load_record(node.paths).reboots == ()

    play(story())


def test_a_config_that_is_asked_about_at_once_is_the_one_that_counts(play):
    async def story():
        async with served() as (scene, told):
            node = scene.node
            scene.ask_for(DEFAULT)
            await node.run_agent(AGENT)
            await told.wait_for("steady")
            scene.write_config(BAD["cut-off"][0])
            reply = await ask_agent(node.paths.control, Verb.APPLY, 30)
            assert not reply.ok
            assert "config-invalid" in reply.text

    play(story())
