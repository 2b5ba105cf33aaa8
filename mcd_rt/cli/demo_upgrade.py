"""The demo of OS updates that keep the real-time kernel: the OS is ours to update (``os.manage = "image"``)."""

import sys

from mcd_rt.cli.demo_stage import Count, Measured, Stage, Told
from mcd_rt.frozen import frozen
from mcd_rt.model.kernel import KernelType
from mcd_rt.sim.bases import Release
from mcd_rt.sim.scene import Edition, Published, Scene, open_update_scene

_EDITIONS = {
    8: (Edition(Release.EL8), Edition(Release.EL9), Edition(Release.EL9_NEXT)),
    9: (Edition(Release.EL9), Edition(Release.EL9_NEXT), Edition(Release.EL9_WITHOUT_EXTRA)),
}
_SETTINGS = '\n[os]\nmanage = "image"\n'
_ARGUMENTS = ("nohz_full=2-7", "irqaffinity=0-1")


@frozen
class _Act:
    """What the config says next, and what that must take; ``release`` is an index into those published."""

    words: str
    release: int
    arguments: tuple[str, ...]
    expected: Count


_ACTS = (
    _Act("the next OS image", 1, (), Count(assemblies=1, reboots=1)),
    _Act(
        "another OS image, and kernel arguments, which take an assembly of their own",
        2,
        _ARGUMENTS,
        Count(assemblies=2, reboots=1),
    ),
    _Act("the first OS image again", 0, _ARGUMENTS, Count(assemblies=1, reboots=1)),
)


async def play_upgrade(stage: Stage, version: str, el: int) -> Told:
    """Play it on a node with this ``version`` of rpm-ostree; raises ``AgentError`` (``simulation-failed``)."""
    stage.line("Building three OS images with kernel-rt and booting a node of the first ...")
    async with open_update_scene(_EDITIONS[el], profile=version, settings=_SETTINGS, on_event=stage.hear) as scene:
        stage.introduce(scene, version)
        scene.ask_for(KernelType.REALTIME)
        await scene.node.run_agent([sys.executable, "-m", "mcd_rt", "run"])
        with stage.progress(scene):
            ready = await stage.settled(reboots=1)
            acts = [(act, await _play(stage, scene, act)) for act in _ACTS]
        ok = ready == "steady" and all(_is_as_told(act, measured, scene) for act, measured in acts)
        arguments = scene.node.booted.kernel_arguments
    _summarize(stage, [measured for _, measured in acts], arguments)
    return Told({"scenario": "upgrade", "updates": [_document(measured) for _, measured in acts]}, ok)


async def _play(stage: Stage, scene: Scene, act: _Act) -> Measured:
    wanted = scene.published[act.release]
    stage.line(f"\nThe config now names {act.words}: {_described(wanted)}")

    def ask() -> None:
        scene.ask_for(KernelType.REALTIME, wanted.image, act.arguments)

    return await stage.measure(scene, KernelType.REALTIME, ask)


def _is_as_told(act: _Act, measured: Measured, scene: Scene) -> bool:
    """So many assemblies, one reboot, another OS, and the real-time kernel really runs."""
    version = scene.published[act.release].base.version
    return measured.verified and measured.count == act.expected and measured.os_changed and measured.to_os == version


def _summarize(stage: Stage, updates: list[Measured], arguments: str) -> None:
    stage.line("\nSummary, counted by the simulated node; realtime before and after each")
    for update in updates:
        stage.line(f"  {update.from_os} -> {update.to_os}  {update.words}")
    stage.line(f"  the kernel arguments now: {arguments}")
    stage.weaker()


def _document(update: Measured) -> dict[str, object]:
    return {"from_os": update.from_os, "to_os": update.to_os, **update.document}


def _described(published: Published) -> str:
    return f"{published.base.version} with kernel {published.base.kernel_release}"
