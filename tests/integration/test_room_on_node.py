"""No room: for the kernel in /boot, on the disk, in memory; found before anything is begun, or before the reboot."""

import os
from contextlib import contextmanager
from dataclasses import replace

import pytest

from mcd_rt.errors import Code
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.state import State
from mcd_rt.record import load_record
from mcd_rt.sim import node as simulation
from mcd_rt.sim.bootfiles import INITRAMFS, KERNEL, write_boot_files
from mcd_rt.sim.sysroot import clean_up
from mcd_rt.sim.world import Rpm, Tree
from tests.integration.conftest import AGENT, served
from tests.integration.stories import SLOW_RETRY, configure, fill_cache, kept, reaches, told_of

pytestmark = pytest.mark.story

REALTIME, DEFAULT = KernelType.REALTIME, KernelType.DEFAULT
MIB = 1 << 20
PAIR = KERNEL + INITRAMFS
HTOP = Rpm("htop-3.2.1-1.el9.x86_64", "7" * 64)
ROUGHLY = PAIR + 17 * MIB  # one more pair, and what is kept for larger ones

_SITE = """\
import os
from pathlib import Path

def statvfs(path, real=os.statvfs):
    place = Path(path)
    size = place.with_name(place.name + ".size")
    if not size.exists():
        return real(path)
    used = sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
    free = max(0, int(size.read_text()) - used) // 1024
    return os.statvfs_result((1024, 1024, 0, free, free, 0, 0, 0, 0, 255))

os.statvfs = statvfs
"""


@contextmanager
def small_disks(place, monkeypatch, initramfs=INITRAMFS):
    """Nodes have a /boot as ostree keeps it, and agents see file systems of the size that a test gives them."""
    write_boot, write_deployments = simulation.write_boot, simulation.write_deployments

    def with_boot(write):
        def written(root, system, *rest):
            write(root, system, *rest)
            write_boot_files(root, system, staged_initramfs=initramfs)

        return written

    (place / "sitecustomize.py").write_text(_SITE)
    with monkeypatch.context() as patch:
        patch.setattr(simulation, "write_boot", with_boot(write_boot))
        patch.setattr(simulation, "write_deployments", with_boot(write_deployments))
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(place), os.environ.get("PYTHONPATH")))))
        yield


def give(node, place, size):
    (node.root / f"{place}.size").write_text(str(size))


def prepare(scene):
    fill_cache(scene)
    configure(scene.node, SLOW_RETRY)
    scene.ask_for(REALTIME)
    return scene.node


def install_ostree(node, version):
    command = node.paths.below("/usr/bin/ostree")
    command.write_text(f"#!/bin/sh\nprintf \"libostree:\\n Version: '{version}'\\n\"\n")
    command.chmod(0o755)


def test_no_room_in_boot_begins_nothing_until_there_is(play, tmp_path, monkeypatch):
    async def story():
        with small_disks(tmp_path, monkeypatch):
            async with served() as (scene, told):
                node = prepare(scene)
                give(node, "boot", PAIR + 10 * MIB)
                before = kept(node)
                await node.run_agent(AGENT)
                failure = await told_of(told, node, State.RETRYING, Code.BOOT_SPACE, "/boot has 10 MiB free", "19 MiB")
                assert "rpm-ostree cleanup -r" in failure.hint
                assert "nothing was begun" in failure.hint
                assert (kept(node), node.transactions) == (before, [])
                assert load_record(node.paths).attempt is None

                give(node, "boot", PAIR + ROUGHLY)
                await reaches(told, node, REALTIME, assemblies=1, reboots=1)

    play(story())


@pytest.mark.parametrize(("place", "code"), [("sysroot", Code.DISK_SPACE), ("memory", Code.MEMORY_LOW)])
def test_no_room_on_the_disk_or_in_memory_begins_nothing_until_there_is(play, tmp_path, monkeypatch, place, code):
    def leave(node, mebibytes):
        if place == "sysroot":
            (node.root / "sysroot").mkdir(exist_ok=True)
            give(node, "sysroot", mebibytes * MIB)
        else:
            (node.root / "proc/meminfo").write_text(f"MemAvailable: {mebibytes * 1024} kB\n")

    async def story():
        with small_disks(tmp_path, monkeypatch):
            async with served() as (scene, told):
                node = prepare(scene)
                leave(node, 500)
                before = kept(node)
                await node.run_agent(AGENT)
                await told_of(told, node, State.RETRYING, code, "500 MiB")
                assert (kept(node), node.transactions) == (before, [])

                leave(node, 2000)
                await reaches(told, node, REALTIME, assemblies=1, reboots=1)

    play(story())


def test_a_kernel_that_turns_out_too_large_is_dropped_before_the_reboot(play, tmp_path, monkeypatch):
    async def story():
        with small_disks(tmp_path, monkeypatch, initramfs=40 * MIB):
            async with served() as (scene, told):
                node = prepare(scene)
                give(node, "boot", PAIR + ROUGHLY)  # roughly, it seemed to fit
                before = kept(node)
                await node.run_agent(AGENT)
                failure = await told_of(told, node, State.RETRYING, Code.BOOT_SPACE, "/boot has 20 MiB free", "41 MiB")
                assert "what was staged is dropped" in failure.hint
                assert (kept(node), node.assemblies) == (before, 1)
                record = load_record(node.paths)
                assert (record.attempt, record.tries, record.reboots) == (None, (), ())

                give(node, "boot", PAIR + 50 * MIB)
                await reaches(told, node, REALTIME, assemblies=2, reboots=1)

    play(story())


def test_another_clients_work_is_not_dropped_with_ours(play, tmp_path, monkeypatch):
    async def story():
        with small_disks(tmp_path, monkeypatch, initramfs=40 * MIB):
            async with served() as (scene, told):
                node = prepare(scene)
                give(node, "boot", PAIR + ROUGHLY)
                tree = node.booted.tree
                node.another_client_stages(Tree(tree.base, replace(tree.origin, local=(HTOP,))))
                await node.run_agent(AGENT)
                failure = await told_of(told, node, State.RETRYING, Code.BOOT_SPACE, "41 MiB")
                assert "another client's work" in failure.hint
                staged = node.rpm_ostree.system.staged
                assert staged.locked
                assert HTOP in staged.tree.origin.local
                assert (node.assemblies, node.reboots) == (1, 0)

                give(node, "boot", PAIR + 50 * MIB)
                await reaches(told, node, REALTIME, assemblies=1, reboots=1)
                assert HTOP in node.booted.tree.origin.local

    play(story())


async def after_an_upgrade(node):
    """A node that has a rollback: its /boot holds two pairs."""
    tree = node.booted.tree
    node.another_client_stages(Tree(tree.base, replace(tree.origin, local=(HTOP,))))
    await node.reboot()
    assert len(list((node.root / "boot/ostree").iterdir())) == 2


def test_an_ostree_that_drops_the_rollback_by_itself_is_counted_upon_and_said(play, tmp_path, monkeypatch):
    async def story():
        with small_disks(tmp_path, monkeypatch):
            async with served() as (scene, told):
                node = prepare(scene)
                await after_an_upgrade(node)
                give(node, "boot", PAIR + ROUGHLY)
                install_ostree(node, "2024.4")
                await node.run_agent(AGENT)
                line = await told.wait_for("staging")
                assert "/boot has room once ostree has dropped the rollback" in line
                await reaches(told, node, REALTIME, assemblies=1, reboots=2)

    play(story())


def test_an_ostree_that_does_not_is_told_to_a_person_who_drops_it(play, tmp_path, monkeypatch):
    async def story():
        with small_disks(tmp_path, monkeypatch):
            async with served() as (scene, told):
                node = prepare(scene)
                await after_an_upgrade(node)
                give(node, "boot", PAIR + ROUGHLY)
                install_ostree(node, "2022.2")
                await node.run_agent(AGENT)
                failure = await told_of(told, node, State.RETRYING, Code.BOOT_SPACE, "does not drop the rollback")
                assert "rpm-ostree cleanup -r" in failure.hint
                assert node.assemblies == 0

                system = node.rpm_ostree.system
                node.rpm_ostree.commit(clean_up(system, ["rollback-deploy"]).system)
                await reaches(told, node, REALTIME, assemblies=1, reboots=2)

    play(story())


def test_the_way_back_to_a_kernel_that_is_in_boot_needs_no_room(play, tmp_path, monkeypatch):
    async def story():
        with small_disks(tmp_path, monkeypatch):
            async with served() as (scene, told):
                node = prepare(scene)
                give(node, "boot", PAIR + ROUGHLY)
                await node.run_agent(AGENT)
                await reaches(told, node, REALTIME, assemblies=1, reboots=1)
                give(node, "boot", 2 * PAIR)
                scene.ask_for(DEFAULT)
                await reaches(told, node, DEFAULT, assemblies=2, reboots=2)

    play(story())
