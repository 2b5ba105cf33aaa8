"""The demo of the main job: default, real-time, nothing to do, and back."""

import sys

from mcd_rt.cli.demo_stage import DEADLINE, Count, Measured, Stage, Told
from mcd_rt.control import Verb, ask_agent
from mcd_rt.model.kernel import KernelType
from mcd_rt.sim.scene import Scene, open_scene

_ONE_OF_EACH = Count(assemblies=1, reboots=1)


async def play_switch(stage: Stage, version: str, el: int) -> Told:
    """Play it on a node with this ``version`` of rpm-ostree; raises ``AgentError`` (``simulation-failed``)."""
    stage.line("Building an image with kernel-rt and booting a node ...")
    async with open_scene(profile=version, el=8 if el == 8 else 9, on_event=stage.hear) as scene:
        stage.introduce(scene, version)
        scene.ask_for(KernelType.DEFAULT)
        await scene.node.run_agent([sys.executable, "-m", "mcd_rt", "run"])
        await stage.settled()
        with stage.progress(scene):
            switches = [await _switch(stage, scene, KernelType.REALTIME)]
            quiet = await _nothing_to_do(stage, scene)
            switches.append(await _switch(stage, scene, KernelType.DEFAULT))
    _summarize(stage, switches, quiet=quiet)
    document: dict[str, object] = {"switches": [switch.document for switch in switches]}
    return Told(document, quiet and all(map(_is_as_told, switches)))


async def _switch(stage: Stage, scene: Scene, wanted: KernelType) -> Measured:
    stage.line(f"\nThe config now says realtime: {str(wanted is KernelType.REALTIME).lower()}")
    return await stage.measure(scene, wanted, lambda: scene.ask_for(wanted))


def _is_as_told(switch: Measured) -> bool:
    """One assembly, one reboot, and the kernel that was asked for really runs."""
    return switch.verified and switch.count == _ONE_OF_EACH and not switch.os_changed


async def _nothing_to_do(stage: Stage, scene: Scene) -> bool:
    stage.line("\nThe same config again: nothing to do must mean nothing done")
    before = (len(scene.node.transactions), scene.node.reboots)
    reply = await ask_agent(scene.node.paths.control, Verb.APPLY, DEADLINE)
    stage.line(f"  {reply.text}")
    after = (len(scene.node.transactions), scene.node.reboots)
    stage.line(f"  {after[0] - before[0]} transactions, {after[1] - before[1]} reboots")
    return reply.ok and after == before


def _summarize(stage: Stage, switches: list[Measured], *, quiet: bool) -> None:
    stage.line("\nSummary, counted by the simulated node")
    for switch in switches:
        stage.line(f"  {switch.from_type:>8} -> {switch.kernel_type:<8}  {switch.words}")
    stage.line(f"  the same config again: {'nothing was done' if quiet else 'SOMETHING WAS DONE'}")
    stage.weaker()
