"""Hooks in a whole switch: no reboot without those before it, and what they did is taken back by those after it."""

import asyncio
import os
import select
import signal

import pytest

from mcd_rt.dbus.bus import open_bus
from mcd_rt.dbus.names import LOGIN, LOGIN_MANAGER, LOGIN_PATH
from mcd_rt.errors import Code
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.state import State
from mcd_rt.record import load_record
from mcd_rt.report.status import read_status
from mcd_rt.sim.process import AgentStarted
from tests.integration.conftest import AGENT, PATIENCE, served
from tests.integration.stories import SLOW_RETRY, configure, fill_cache, reaches, told_of, type_on
from tests.integration.test_reload import scraped

pytestmark = pytest.mark.story

REALTIME, DEFAULT = KernelType.REALTIME, KernelType.DEFAULT


class Hooks:
    """Programs of an administrator's on a node; ``trace`` is what they were told."""

    def __init__(self, scene, settings=SLOW_RETRY):
        fill_cache(scene)
        configure(scene.node, settings)
        self.paths = scene.node.paths
        self.trace = self.paths.below("/var/trace")
        self.trace.touch()

    def write(self, occasion, script=""):
        place = self.paths.below(f"/etc/mcd-rt/{occasion}.d/50-story")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f'#!/bin/sh\necho "$MCD_RT_OCCASION $MCD_RT_KERNEL_TYPE" >> {self.trace}\n{script}\n')
        place.chmod(0o755)

    @property
    def ran(self):
        return self.trace.read_text().splitlines()


def test_one_runs_before_the_reboot_and_one_when_the_kernel_was_seen_to_run(play):
    async def story():
        async with served() as (scene, told):
            hooks, node = Hooks(scene), scene.node
            hooks.write("pre-reboot")
            hooks.write("post-verify")
            scene.ask_for(REALTIME)
            await node.run_agent(AGENT)
            await told.wait_for("staged", contains="the pre-reboot hook 50-story runs")
            await told.wait_for("rebooting")
            assert hooks.ran == ["pre-reboot realtime"]
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)
            assert hooks.ran == ["pre-reboot realtime", "post-verify realtime"]
            assert not load_record(node.paths).hooks_due
            counted = 'mcd_rt_hook_duration_seconds_count{occasion="post-verify",result="success"} 1.0'
            assert counted in await scraped(node.paths.runtime / "metrics.sock")

    play(story())


def test_one_that_fails_delays_and_is_not_counted(play):
    async def story():
        async with served() as (scene, told):
            hooks, node = Hooks(scene), scene.node
            drained = node.paths.below("/var/drained")
            hooks.write("pre-reboot", f"[ -e {drained} ] || {{ echo cannot evict db-0; exit 1; }}")
            scene.ask_for(REALTIME)
            await node.run_agent(AGENT)
            await told_of(told, node, State.RETRYING, Code.HOOK_FAILED, "50-story", "its last line: cannot evict db-0")
            record = load_record(node.paths)
            assert (node.reboots, record.tries, record.reboots) == (0, (), ())
            assert node.rpm_ostree.system.staged.locked
            drained.touch()
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)

    play(story())


def test_a_config_that_is_taken_back_ends_a_drain_and_has_the_node_uncordoned(play):
    async def story():
        async with served() as (scene, told):
            hooks, node = Hooks(scene), scene.node
            pipe = node.paths.below("/var/pipe")
            os.mkfifo(pipe)
            hooks.write("pre-reboot", f"echo $$ > {pipe}; exec sleep 1000")
            hooks.write("post-verify")
            scene.ask_for(REALTIME)
            await node.run_agent(AGENT)
            pid = int(await asyncio.to_thread(pipe.read_text))
            await told.wait_for("staged", contains="the pre-reboot hook 50-story runs")
            status = read_status(node.paths)
            assert (status.state, status.next_attempt is not None) == (State.STAGED, True)
            scene.ask_for(DEFAULT)
            await told.wait_for("steady", contains="default is wanted and runs")
            assert (node.reboots, hooks.ran) == (0, ["pre-reboot realtime", "post-verify default"])
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)

    play(story())


def test_a_hold_ends_a_drain(play):
    async def story():
        async with served() as (scene, told):
            hooks, node = Hooks(scene), scene.node
            pipe = node.paths.below("/var/pipe")
            os.mkfifo(pipe)
            hooks.write("pre-reboot", f"echo $$ > {pipe}; exec sleep 1000")
            scene.ask_for(REALTIME)
            await node.run_agent(AGENT)
            pid = int(await asyncio.to_thread(pipe.read_text))
            code, output = await type_on(node, "hold")
            assert code == 0, output
            await told.wait_for("staged", contains="held by")
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
            assert node.reboots == 0

    play(story())


def test_a_drain_does_not_outlive_an_agent_that_is_killed_and_runs_again(play):
    async def story():
        async with served() as (scene, _told):
            hooks, node = Hooks(scene), scene.node
            pipe = node.paths.below("/var/pipe")
            os.mkfifo(pipe)
            hooks.write("pre-reboot", f"echo $$ > {pipe}; exec sleep 1000")
            scene.ask_for(REALTIME)
            await node.run_agent(AGENT)
            first = os.pidfd_open(int(await asyncio.to_thread(pipe.read_text)))
            os.kill((await node.wait(AgentStarted)).pid, signal.SIGKILL)
            ended, *_ = await asyncio.to_thread(select.select, [first], [], [], PATIENCE)
            assert ended == [first]
            os.close(first)
            assert int(await asyncio.to_thread(pipe.read_text)) > 0
            assert hooks.ran == ["pre-reboot realtime"] * 2
            assert (node.reboots, load_record(node.paths).tries) == (0, ())

    play(story())


def test_one_after_the_boot_that_fails_is_owed_until_it_succeeds(play):
    async def story():
        async with served() as (scene, told):
            hooks, node = Hooks(scene), scene.node
            reachable = node.paths.below("/var/reachable")
            hooks.write("pre-reboot")
            hooks.write("post-verify", f"[ -e {reachable} ] || {{ echo no route to the API server; exit 1; }}")
            scene.ask_for(REALTIME)
            await node.run_agent(AGENT)
            await told_of(told, node, State.RETRYING, Code.HOOK_FAILED, "no route to the API server")
            record = load_record(node.paths)
            assert (node.reboots, record.hooks_due, record.verified is not None) == (1, True, True)
            reachable.touch()
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)
            assert not load_record(node.paths).hooks_due

    play(story())


def test_users_are_warned_for_the_time_that_is_set_and_told_when_it_is_off(play):
    async def scheduled(node):
        async with open_bus(node.environment["DBUS_SYSTEM_BUS_ADDRESS"], 5) as bus:
            return await bus.read_property(LOGIN, LOGIN_PATH, f"{LOGIN_MANAGER}.ScheduledShutdown", 5)

    async def story():
        async with served() as (scene, told):
            Hooks(scene, SLOW_RETRY + "[reboot]\nwarning = 600.0\n")
            node = scene.node
            scene.ask_for(REALTIME)
            await node.run_agent(AGENT)
            await told.wait_for("staged", contains="users are warned")
            kind, at = await scheduled(node)
            assert kind == "reboot"
            assert read_status(node.paths).next_attempt == pytest.approx(at / 1e6, abs=1)
            scene.ask_for(DEFAULT)
            await told.wait_for("steady", contains="default is wanted and runs")
            assert await scheduled(node) == ["", 0]
            assert node.reboots == 0

    play(story())


def test_after_the_warning_comes_the_reboot(play):
    async def story():
        async with served() as (scene, told):
            Hooks(scene, SLOW_RETRY + "[reboot]\nwarning = 0.1\n")
            scene.ask_for(REALTIME)
            await scene.node.run_agent(AGENT)
            await told.wait_for("staged", contains="users are warned")
            await reaches(told, scene.node, REALTIME, assemblies=1, reboots=1)

    play(story())
