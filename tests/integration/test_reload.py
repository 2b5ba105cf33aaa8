"""SIGHUP reads the settings again; a mistake in them keeps the old ones. What the service manager hears of all this."""

import asyncio
import grp
import os
import signal

from mcd_rt.control import Verb, ask_agent
from mcd_rt.errors import Code
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.state import State
from mcd_rt.report.status import read_status
from mcd_rt.sim.process import AgentStarted
from tests.integration.conftest import AGENT, PATIENCE, served
from tests.integration.stories import configure, type_on


async def start(scene, told):
    """The agent runs and has settled; gives its process."""
    scene.ask_for(KernelType.DEFAULT)
    await scene.node.run_agent(AGENT)
    await told.wait_for("steady")
    return (await scene.node.wait(AgentStarted)).pid


def elsewhere(node):
    return node.paths.below("/etc/elsewhere.yaml")


def test_new_sources_are_read_and_watched(play):
    async def story():
        async with served() as (scene, told):
            node = scene.node
            pid = await start(scene, told)
            configure(node, '[node_config]\nsources = ["/etc/elsewhere.yaml"]\n')
            os.kill(pid, signal.SIGHUP)
            await told.wait_for("waiting")
            elsewhere(node).write_text(scene.config.read_text())
            await told.wait_for("steady")
            elsewhere(node).write_text(scene.config.read_text().replace("realtime: false", "realtime: maybe"))
            await told.wait_for("blocked")
            assert node.reboots == 0

    play(story())


def test_a_mistake_keeps_the_old_ones_and_is_told_until_it_is_mended(play):
    async def story():
        async with served() as (scene, told):
            node = scene.node
            pid = await start(scene, told)
            configure(node, '[node_config]\nsources = ["/etc/elsewhere.yaml"]\nsettel = 1\n')
            os.kill(pid, signal.SIGHUP)
            await told.wait_for("steady", contains="default is wanted")
            status = read_status(node.paths)
            assert (status.state, status.failure.code) == (State.STEADY, Code.SETTINGS_INVALID)
            assert "60-test.toml: node_config.settel" in status.failure.message

            reply = await ask_agent(node.paths.control, Verb.APPLY, PATIENCE)  # a pass does not hide it
            assert reply.ok
            assert "settings-invalid" in reply.text
            assert read_status(node.paths).config == "99-worker-realtime-kernel"
            assert read_status(node.paths).failure.code is Code.SETTINGS_INVALID

            configure(node, "")
            os.kill(pid, signal.SIGHUP)
            await told.wait_for("steady")
            assert read_status(node.paths).failure is None
            log = node.agent_log.read_text()
            assert log.count("settings-invalid") == 1, log
            assert "the settings were read again: nothing has changed" in log

    play(story())


def test_a_mistake_does_not_hide_what_a_person_must_do(play):
    async def story():
        async with served() as (scene, told):
            node = scene.node
            pid = await start(scene, told)
            scene.write_config(b"kind: MachineConfig\nspec: 7\n")
            await told.wait_for("blocked")
            configure(node, "settel = 1\n")
            os.kill(pid, signal.SIGHUP)
            reply = await ask_agent(node.paths.control, Verb.APPLY, PATIENCE)
            assert reply.text.startswith("blocked: config-invalid")
            scene.ask_for(KernelType.DEFAULT)
            await told.wait_for("steady")
            assert read_status(node.paths).failure.code is Code.SETTINGS_INVALID

    play(story())


class Overheard:
    """All that an agent tells its service manager from now on."""

    def __init__(self, node):
        self.lines = []
        self._more = asyncio.Event()
        self._socket = node._agent._notifications
        node._agent._notifications = self

    def recv(self, size):
        data = self._socket.recv(size)
        self.lines += data.decode().splitlines()
        self._more.set()
        return data

    def __getattr__(self, name):
        return getattr(self._socket, name)

    async def up_to(self, line):
        async with asyncio.timeout(PATIENCE):
            while line not in self.lines:
                self._more.clear()
                await self._more.wait()
        return self.lines


def test_the_service_manager_is_told_of_a_reload_and_of_its_end(play):
    async def story():
        async with served() as (scene, told):
            pid = await start(scene, told)
            overheard = Overheard(scene.node)
            os.kill(pid, signal.SIGHUP)
            reloading, when, *_ = await overheard.up_to("READY=1")
            assert reloading == "RELOADING=1"
            assert int(when.removeprefix("MONOTONIC_USEC=")) > 0

    play(story())


def test_the_watchdog_is_on_for_a_pass_and_off_after_it(play, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "60000000")

    async def story():
        async with served() as (scene, told):
            await start(scene, told)
            overheard = Overheard(scene.node)
            reply = await ask_agent(scene.node.paths.control, Verb.APPLY, PATIENCE)
            assert reply.ok
            assert await overheard.up_to("WATCHDOG_USEC=0") == [
                "WATCHDOG_USEC=60000000",
                "WATCHDOG=1",
                "WATCHDOG_USEC=0",
            ]

    play(story())


async def scraped(path):
    """What `/metrics` says there."""
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b"GET /metrics HTTP/1.1\r\n\r\n")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer.decode()


def test_the_metrics_move_and_go_on_counting(play):
    async def story():
        async with served() as (scene, told):
            node = scene.node
            pid = await start(scene, told)
            assert 'mcd_rt_passes_total{outcome="settled"} 1.0' in await scraped(node.paths.runtime / "metrics.sock")
            configure(node, '[metrics]\nlisten = "unix:/run/elsewhere.sock"\n')
            moved = node.paths.below("/run/elsewhere.sock")
            os.kill(pid, signal.SIGHUP)
            for _ in range(2):  # the first is the pass after which they move
                await ask_agent(node.paths.control, Verb.APPLY, PATIENCE)
            text = await scraped(moved)
            assert 'mcd_rt_state{state="steady"} 1.0' in text
            assert 'mcd_rt_passes_total{outcome="settled"} 1.0' not in text
            assert not (node.paths.runtime / "metrics.sock").exists()

    play(story())


def test_the_control_socket_gets_another_group_and_a_wrong_one_changes_nothing(play):
    async def story():
        async with served() as (scene, told):
            node = scene.node
            pid = await start(scene, told)
            group = os.getgid()
            for name, mode in ((grp.getgrgid(group).gr_name, 0o660), ("nobody-has-this", 0o660), ("", 0o600)):
                configure(node, f'[control]\ngroup = "{name}"\n')
                os.kill(pid, signal.SIGHUP)
                reply = await ask_agent(node.paths.control, Verb.APPLY, PATIENCE)
                assert ("no group nobody-has-this" in reply.text) is (name == "nobody-has-this")
                found = node.paths.control.stat()
                assert (found.st_mode & 0o777, found.st_gid) == (mode, group)

    play(story())


def test_settings_that_are_wrong_at_the_start_stop_it(play):
    async def story():
        async with served() as (scene, _told):
            configure(scene.node, '[control]\ngroup = "nobody-has-this"\n')
            code, text = await type_on(scene.node, "run")
            assert code == 1
            assert "settings-invalid: control.group" in text

    play(story())
