"""The demo beside a machine-config-daemon (MCD): it updates the OS and reboots at once, we keep the kernel."""

import json
import sys
import time
from dataclasses import asdict

from mcd_rt.cli.demo_stage import Count, Measured, Stage, Told, count_of
from mcd_rt.frozen import frozen
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.state import State
from mcd_rt.report.status import read_status
from mcd_rt.sim.bases import Release
from mcd_rt.sim.neighbours import McdUpdate, mcd_updates, write_current_config
from mcd_rt.sim.scene import Edition, Published, Scene, open_update_scene

_EDITIONS = {
    8: (Edition(Release.EL8), Edition(Release.EL8, rebuilt=True)),  # to EL 9 its rebase fails on layered kernel-rt
    9: (Edition(Release.EL9), Edition(Release.EL9_NEXT)),
}
_ONE_OF_EACH = Count(assemblies=1, reboots=1)
_HANDS_OFF = (State.OBSERVING, State.BLOCKED, State.HELD, State.RETRYING)


@frozen
class _Theirs:
    """What the MCD's update took, and whether the old kernel-rt ran after it."""

    count: Count
    kept_kernel: bool
    seconds: float


async def play_beside_mcd(stage: Stage, version: str, el: int) -> Told:
    """Play it on a node with this ``version`` of rpm-ostree; raises ``AgentError`` (``simulation-failed``)."""
    stage.line("Building two OS images with kernel-rt and booting a node with a machine-config-daemon ...")
    async with open_update_scene(_EDITIONS[el], profile=version, on_event=stage.hear) as scene:
        stage.introduce(scene, version)
        _install_mcd(scene)
        await scene.node.run_agent([sys.executable, "-m", "mcd_rt", "run"])
        await stage.settled()
        with stage.progress(scene):
            switch = await _deliver(stage, scene)
            theirs, ours = await _update(stage, scene)
            observed = await _hand_over(stage, scene)
    _summarize(stage, switch, theirs, ours)
    stage.line(f"  the MCD asks for realtime itself        {'nothing was done' if observed else 'NOT LEFT ALONE'}")
    stage.weaker()
    document = {
        "scenario": "beside-mcd",
        "switch": switch.document,
        "mcd_update": {"kept_kernel": theirs.kept_kernel, **asdict(theirs.count)},
        "convergence": ours.document,
        "observed": observed,
    }
    ours_alone = all(each.verified and each.count == _ONE_OF_EACH for each in (switch, ours))
    return Told(document, ours_alone and theirs.kept_kernel and theirs.count == _ONE_OF_EACH and observed)


def _summarize(stage: Stage, switch: Measured, theirs: _Theirs, ours: Measured) -> None:
    stage.line("\nSummary, counted by the simulated node")
    stage.line(f"  default -> realtime beside the MCD      {switch.words}")
    came_up = "the new OS with the old kernel-rt" if theirs.kept_kernel else "SOMETHING ELSE CAME UP"
    stage.line(f"  the MCD's OS update and its reboot      {theirs.count}, {theirs.seconds:.1f} s, {came_up}")
    stage.line(f"  mcd-rt brings the kernel-rt of that OS  {ours.words}")


async def _deliver(stage: Stage, scene: Scene) -> Measured:
    stage.line("\nThe pool gets 99-worker-realtime-kernel as a file; the MCD's own config says nothing of it")
    return await stage.measure(scene, KernelType.REALTIME, lambda: scene.deliver(KernelType.REALTIME))


async def _update(stage: Stage, scene: Scene) -> tuple[_Theirs, Measured]:
    """What the MCD does in one go, and what is left to us."""
    node, new = scene.node, scene.published[1]
    kept = node.booted.tree.kernel_release
    stage.line(f"\nThe MCD rebases to {new.base.version}, writes its config and reboots at once")
    repository = node.root.parent / "machine-os-content"
    for name, data in new.content.repository().items():
        place = repository / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    before, began = count_of(node), time.perf_counter()
    update = McdUpdate(new.place, repository, new.content.checksum, config=_rendered(new, KernelType.DEFAULT))
    await mcd_updates(node, update)
    between, rebooted = count_of(node), time.perf_counter()
    came_up = (node.booted.tree.base.version, node.booted.tree.kernel_release) == (new.base.version, kept)
    theirs = _Theirs(between.since(before), came_up, round(rebooted - began, 2))
    stage.line(f"  it came up with the new OS and the old kernel-rt ({kept}): a second reboot brings the new one")
    state = await stage.settled(reboots=node.reboots + 1)
    tree = node.booted.tree
    runs = tree.realtime and tree.kernel_release != kept and tree.base == new.base
    verified = state == State.STEADY and runs and read_status(node.paths).verified_at is not None
    seconds, version = round(time.perf_counter() - rebooted, 2), tree.base.version
    return theirs, Measured("realtime", "realtime", version, version, count_of(node).since(between), verified, seconds)


async def _hand_over(stage: Stage, scene: Scene) -> bool:
    """Its own config asks for real-time: we only look."""
    stage.line("\nThe MCD's own config now says kernelType: realtime: it is left to it")
    node, new = scene.node, scene.published[1]
    before = (len(node.transactions), node.reboots)
    write_current_config(node, _rendered(new, KernelType.REALTIME))
    state = await stage.settled(_HANDS_OFF)
    return state == State.OBSERVING and before == (len(node.transactions), node.reboots)


def _install_mcd(scene: Scene) -> None:
    """The files by which it is known."""
    annotations = scene.node.paths.below("/etc/machine-config-daemon/node-annotation.json.bak")
    annotations.parent.mkdir(parents=True, exist_ok=True)
    annotations.write_text("{}")
    write_current_config(scene.node, _rendered(scene.published[0], KernelType.DEFAULT))


def _rendered(published: Published, kernel_type: KernelType) -> bytes:
    """A rendered config as a stock MCD has it, which knows no ``spec.realtime``."""
    config = {
        "apiVersion": "machineconfiguration.openshift.io/v1",
        "kind": "MachineConfig",
        "metadata": {"name": "rendered-worker"},
        "spec": {"osImageURL": str(published.image), "kernelType": kernel_type.value},
    }
    return json.dumps(config).encode()
