"""``mcd-rt status --follow`` beside a running agent: the whole switch as it happens, and a clear end."""

import asyncio
import json
import os
import sys
from contextlib import asynccontextmanager

from mcd_rt.model.kernel import KernelType
from tests.integration.conftest import AGENT, PATIENCE, served
from tests.integration.stories import fill_cache, type_on


@asynccontextmanager
async def following(node, *arguments):
    process = await asyncio.create_subprocess_exec(
        # A shell that runs its tests in the background has them ignore Ctrl-C: a terminal's shell does not.
        *("env", "--default-signal=INT", sys.executable, "-m", "mcd_rt", "status", "--follow", *arguments),
        env=os.environ | node.environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def test_a_switch_is_followed_up_to_the_reboot_that_ends_it(play):
    async def story():
        async with served() as (scene, told):
            node = scene.node
            fill_cache(scene)
            scene.ask_for(KernelType.DEFAULT)
            await node.run_agent(AGENT)
            await told.wait_for("steady")
            async with following(node) as people, following(node, "--json") as machines:
                for process in (people, machines):
                    assert b"steady" in await process.stdout.readline()
                scene.ask_for(KernelType.REALTIME)
                async with asyncio.timeout(PATIENCE):
                    (lines, why), (documents, _) = await asyncio.gather(people.communicate(), machines.communicate())
                assert people.returncode == machines.returncode == 1
                assert b"agent-not-running: the agent has stopped" in why
            states = [line.split()[2] for line in lines.decode().splitlines() if line[:1].isdigit()]
            assert [state for state in states if state != "steady"] == ["staging", "rebooting"]
            assert "Writing OSTree commit" in lines.decode()
            followed = [json.loads(line) for line in documents.splitlines()]
            assert {"staging", "rebooting"} <= {one["state"] for one in followed}
            assert all(one["agent_running"] for one in followed)
            await told.wait_for("steady", contains="realtime")

    play(story())


def test_where_no_agent_runs_there_is_nothing_to_follow(play):
    async def story():
        async with served() as (scene, _told):
            code, text = await type_on(scene.node, "status", "--follow")
            assert code == 1
            assert "agent-not-running" in text
            assert "systemctl start mcd-rt" in text

    play(story())


def test_ctrl_c_ends_it_alone(play):
    async def story():
        async with served() as (scene, told):
            scene.ask_for(KernelType.DEFAULT)
            await scene.node.run_agent(AGENT)
            await told.wait_for("steady")
            async with following(scene.node) as process:
                await process.stdout.readline()
                process.send_signal(2)
                assert await process.wait() == 130
                assert await process.stderr.read() == b""
            code, text = await type_on(scene.node, "status")
            assert code == 0, text

    play(story())
