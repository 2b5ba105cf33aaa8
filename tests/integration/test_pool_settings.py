"""The settings that a pool is given, followed as docs/installing.md says, end in the kernel; there is a kubelet."""

import re
from pathlib import Path

import pytest

from mcd_rt.errors import Code
from mcd_rt.model.kernel import KernelType
from mcd_rt.report.status import read_status
from mcd_rt.sim.scene import Scene
from tests.integration.clocked import TUESDAY, staged
from tests.integration.conftest import AGENT, served
from tests.integration.lockserver import lock_server
from tests.integration.stories import fill_cache, reaches, type_on

pytestmark = pytest.mark.story

TOP = Path(__file__).parents[2]
DELIVERED = (TOP / "packaging/manifests/60-pool.toml").read_text()
METRICS = '[metrics]\nlisten = "unix:/run/mcd-rt/metrics.sock"\n'
SATURDAY = TUESDAY + (3 * 24 + 20) * 3600.0
"""2026-11-28 02:00:00 UTC."""


def commands_of_the_page() -> list[str]:
    """What the page has a newcomer type on a node."""
    page = (TOP / "docs/installing.md").read_text()
    pool = page.partition("\n## A pool of OpenShift\n")[2].partition("\n## ")[0]
    return re.findall(r"oc debug node/NAME -- chroot /host /usr/local/bin/mcd-rt (.*)", pool)


def chosen(strategy: str) -> str:
    """The delivered settings with one of their examples in the place of what is chosen."""
    lines = DELIVERED.splitlines()
    begins = lines.index(f'# strategy = "{strategy}"')
    ends = next(n for n in range(begins, len(lines) + 1) if n == len(lines) or " = " not in lines[n])
    example = "\n".join(line.removeprefix("# ") for line in lines[begins:ends])
    return DELIVERED.replace('strategy = "never"', example, 1)


def give_a_kubelet(scene: Scene) -> None:
    unit = scene.node.root / "etc/systemd/system/kubelet.service"
    unit.parent.mkdir(parents=True, exist_ok=True)
    unit.touch()


@pytest.mark.story
def test_as_delivered_a_node_waits_for_a_person_and_then_switches(play):
    async def story():
        async with served() as (scene, told):
            node = scene.node
            give_a_kubelet(scene)
            fill_cache(scene)
            settings = node.paths.below("/etc/mcd-rt/config.d")
            settings.mkdir(parents=True, exist_ok=True)
            (settings / "60-pool.toml").write_text(DELIVERED)
            (settings / "70-no-port.toml").write_text(METRICS)
            scene.ask_for(KernelType.REALTIME)
            await node.run_agent(AGENT)
            await told.wait_for("staged", contains="reboot.strategy is never")
            assert read_status(node.paths).failure is None, Code.STRATEGY_MISSING
            said = [await type_on(node, *command.split()) for command in commands_of_the_page()]
            assert [text.partition(" ")[0] for _, text in said] == ["staged", "rebooting:"], said
            await reaches(told, node, KernelType.REALTIME, assemblies=1, reboots=1)

    play(story())


def test_the_example_of_a_window_takes_it_there_at_the_weekend(play, monkeypatch):
    async def story():
        async with staged(monkeypatch, chosen("window")) as stage:
            give_a_kubelet(stage.scene)
            assert "Sat,Sun 02:00 4h" in (await stage.rest()).summary
            stage.effects.time = SATURDAY + 7200.0
            await stage.reboots()
            assert (await stage.rest()).summary.startswith("realtime is wanted and runs")

    play(story())


def test_the_example_of_a_lock_takes_it_there_by_its_server(play, monkeypatch):
    async def story():
        async with lock_server() as server:
            settings = chosen("fleet-lock").replace("https://locks.example/base", server.url)
            async with staged(monkeypatch, settings) as stage:
                give_a_kubelet(stage.scene)
                (stage.node.root / "etc/machine-id").write_text(f"{'0' * 31}1\n")
                await stage.reboots()
                assert (await stage.rest()).summary.startswith("realtime is wanted and runs")

    play(story())


@pytest.mark.parametrize("strategy", ["window", "fleet-lock"])
def test_an_example_is_a_whole_choice(strategy):
    assert f'strategy = "{strategy}"' in chosen(strategy).splitlines()
