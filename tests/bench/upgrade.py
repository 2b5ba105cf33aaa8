"""An OS upgrade that keeps the real-time kernel, counted: ours beside the machine-config-daemon's sequence.

Both on the simulated node, which is held to recordings of a genuine rpm-ostree; there the sequence staged four
deployments, too.
"""

import asyncio
import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from mcd_rt.dbus.wire import Typed, Value
from mcd_rt.model.kernel import KernelType
from mcd_rt.sim.bases import Release
from mcd_rt.sim.neighbours import McdUpdate, _edit_arguments, _rebase, open_client, reboot_node
from mcd_rt.sim.scene import Edition, Published, Scene, open_update_scene
from tests.bench.figures import Figure, Goal, tell
from tests.bench.nodes import AGENT, use_compiled
from tests.integration.conftest import Told

EDITIONS = (Edition(Release.EL9), Edition(Release.EL9_NEXT))
MCD = "the machine-config-daemon's sequence"
_IMAGE_MODE = '\n[os]\nmanage = "image"\n'
_PLAIN: Value = {"no-pull-base": Typed("b", value=True), "cache-only": Typed("b", value=True)}


async def measure() -> list[Figure]:
    ours, theirs = await _ours(), await _theirs()
    names = ("deployments assembled", "reboots")
    return [
        Figure(f"OS upgrade that keeps RT: {name}", "", (mine,), MCD, (other,), Goal(1))
        for name, mine, other in zip(names, ours, theirs, strict=True)
    ]


async def _ours() -> tuple[int, int]:
    told = Told()
    async with open_update_scene(EDITIONS, settings=_IMAGE_MODE, on_event=told.hear) as scene:
        before = await _on_realtime(scene, told)
        scene.ask_for(KernelType.REALTIME, scene.published[1].image)
        await told.wait_for("steady", contains="realtime is wanted and runs")
        return _since(scene, before)


async def _theirs() -> tuple[int, int]:
    """Ours brings it to the real-time kernel, and stops; then the other sequence, step by step."""
    told = Told()
    async with open_update_scene(EDITIONS, settings=_IMAGE_MODE, on_event=told.hear) as scene:
        before = await _on_realtime(scene, told)
        node, new = scene.node, scene.published[1]
        await node._stop_agent(0, orderly=True)
        node._agent = None  # it would not leave it at that
        origin = node.booted.tree.origin
        back = _modifiers(reset=origin.removals, uninstall=[rpm.nevra for rpm in origin.local])
        files = [*node.paths.cache.glob("*/*.rpm")]
        there: Value = _modifiers(remove=origin.removals) | {
            "install-local-packages": Typed("ah", [*range(len(files))])
        }
        update = McdUpdate(str(new.image), _repository(new, node.root / "repo"), new.content.checksum)
        async with open_client(node) as client:
            await client.run("Cleanup", "as", ["pending-deploy"])
            await client.run("UpdateDeployment", "a{sv}a{sv}", back, _PLAIN)
            await _rebase(client, update)
            await _edit_arguments(client, ("nohz=on",), (), {})
            with ExitStack() as stack:
                descriptors = tuple(os.open(file, os.O_RDONLY) for file in files)
                for descriptor in descriptors:
                    stack.callback(os.close, descriptor)
                await client.run("UpdateDeployment", "a{sv}a{sv}", there, _PLAIN, descriptors=descriptors)
        await reboot_node(node)
        return _since(scene, before)


def _modifiers(**lists: Sequence[str]) -> dict[str, Value]:
    """What an ``UpdateDeployment`` changes of packages."""
    names = {
        "reset": "override-reset-packages",
        "remove": "override-remove-packages",
        "uninstall": "uninstall-packages",
    }
    return {names[key]: Typed("as", [*values]) for key, values in lists.items()}


def _repository(published: Published, place: Path) -> Path:
    """As the daemon extracts it."""
    for name, data in published.content.repository().items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(data)
    return place


async def _on_realtime(scene: Scene, told: Told) -> tuple[int, int]:
    use_compiled(os.environ)
    scene.ask_for(KernelType.REALTIME)
    await scene.node.run_agent(AGENT)
    await told.wait_for("steady", contains="realtime is wanted and runs")
    return scene.node.assemblies, scene.node.reboots


def _since(scene: Scene, before: tuple[int, int]) -> tuple[int, int]:
    return scene.node.assemblies - before[0], scene.node.reboots - before[1]


if __name__ == "__main__":
    tell(asyncio.run(measure()))
