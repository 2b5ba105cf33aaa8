"""The other clients of a simulated node: what each leaves behind, by the same transactions the genuine ones make."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from mcd_rt.sim.bases import Release, base_of
from mcd_rt.sim.neighbours import (
    CURRENT_CONFIG,
    McdUpdate,
    NeighbourFailed,
    admin_edits_arguments,
    admin_layers,
    admin_pins,
    admin_replaces_kernel,
    admin_rolls_back,
    mcd_updates,
    reboot_node,
)
from mcd_rt.sim.node import ARGUMENTS, SimulatedNode

OLD, NEW = base_of(Release.EL9), base_of(Release.EL9_NEXT)
IMAGE = f"registry.example/rhel-coreos@{NEW.image_digest}"


def on(story: Callable[[SimulatedNode], Awaitable[None]]) -> None:
    async def run() -> None:
        async with SimulatedNode((OLD, NEW)) as node:
            await story(node)

    asyncio.run(run())


def methods(node: SimulatedNode) -> list[str]:
    return [each.method for each in node.transactions]


def test_a_machine_config_daemon_updates_and_reboots_at_once() -> None:
    async def story(node: SimulatedNode) -> None:
        await admin_edits_arguments(node, ["old=1"])
        await reboot_node(node)
        await mcd_updates(node, McdUpdate(IMAGE, added=("nosmt",), removed=("old=1", "never"), config=b"{}"))
        assert methods(node)[1:] == ["Cleanup", "Rebase", "KernelArgs"]
        assert node.booted.tree.base == NEW
        assert node.booted.tree.origin.refspec == f"ostree-unverified-registry:{IMAGE}"
        assert node.booted.kernel_arguments == f"{ARGUMENTS} nosmt"
        assert node.paths.below(CURRENT_CONFIG).read_bytes() == b"{}"
        assert (node.reboots, len(node.deployments)) == (2, 2)

    on(story)


def test_its_clean_up_takes_away_what_somebody_else_staged() -> None:
    async def story(node: SimulatedNode) -> None:
        await admin_layers(node, "vim")
        await mcd_updates(node, McdUpdate(config=b"{}"))
        assert node.booted.tree.base == OLD
        assert node.booted.tree.origin.packages == ()

    on(story)


def test_an_administrator_layers_edits_and_both_survive_an_update() -> None:
    async def story(node: SimulatedNode) -> None:
        await admin_layers(node, "vim", "strace")
        await admin_edits_arguments(node, ["mine", 'quoted="a b"'], ["rw"])
        assert node.assemblies == 2
        await reboot_node(node)
        assert node.booted.kernel_arguments == f'{ARGUMENTS.replace(" rw", "")} mine quoted="a b"'
        await mcd_updates(node, McdUpdate(IMAGE))
        assert (node.booted.tree.base, node.booted.tree.origin.packages) == (NEW, ("strace", "vim"))
        assert node.booted.kernel_arguments.endswith('mine quoted="a b"')
        with pytest.raises(NeighbourFailed, match="No key 'rw' found"):
            await admin_edits_arguments(node, removed=["rw"])

    on(story)


def test_an_administrator_replaces_the_kernel() -> None:
    async def story(node: SimulatedNode) -> None:
        release = await admin_replaces_kernel(node)
        await reboot_node(node)
        tree = node.booted.tree
        assert release == tree.kernel_release == "5.14.0-284.el9.hotfix1.x86_64"
        assert sorted(old for _rpm, old in tree.replaced) == sorted(
            nevra for nevra in OLD.packages if nevra.startswith("kernel") and "tools" not in nevra
        )
        assert tree.origin.removals == tree.origin.local == ()

    on(story)


def test_an_administrator_rolls_back_and_what_is_pinned_stays() -> None:
    async def story(node: SimulatedNode) -> None:
        with pytest.raises(NeighbourFailed, match="No rollback deployment found"):
            await admin_rolls_back(node)
        admin_pins(node)
        await mcd_updates(node, McdUpdate(IMAGE))
        await admin_rolls_back(node)
        assert [each.booted for each in node.deployments] == [False, True]
        assert not node.paths.below("/run/ostree/staged-deployment").exists()
        await node.reboot(orderly=False)
        assert node.booted.tree.base == OLD
        await mcd_updates(node, McdUpdate(IMAGE))
        assert [(each.tree.base, each.pinned) for each in node.deployments] == [(NEW, False), (OLD, True)]
        await admin_layers(node, "vim")
        await reboot_node(node)
        assert [each.pinned for each in node.deployments] == [False, False, True]

    on(story)
