"""What room there is: what is read of /boot, the sysroot, memory, and of a staged tree."""

import os

import pytest

from mcd_rt.effects import HostEffects
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.room import BootDirectory, Room
from mcd_rt.observed import room
from mcd_rt.observed.earlyprune import prunes_early
from mcd_rt.observed.room import read_kernel_files, read_room
from tests.leaks import run

CHECKSUM = "c" * 64
BLOCK = 4096


def put(root, path, data=b""):
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return file


@pytest.fixture
def staged(tmp_path):
    """A staged tree: kernel and initramfs; and the same in /boot under another name if asked for."""

    def write(kernel=b"k" * 10, initramfs=b"i" * 5000):
        modules = f"ostree/deploy/rhcos/deploy/{CHECKSUM}.1/usr/lib/modules/5.14.0"
        put(tmp_path, f"{modules}/vmlinuz", kernel)
        put(tmp_path, f"{modules}/initramfs.img", initramfs)
        return tmp_path / modules

    return write


def in_boot(root, name, kernel, initramfs):
    put(root, f"boot/ostree/{name}/vmlinuz-5.14.0", kernel)
    put(root, f"boot/ostree/{name}/initramfs-5.14.0.img", initramfs)


def files(root):
    return read_kernel_files(HostPaths(root), f"rhcos-{CHECKSUM}.1")


def test_nothing_is_known_where_nothing_is(tmp_path):
    assert read_room(HostPaths(tmp_path)) == Room(None, None, None)
    assert files(tmp_path) is None


def test_what_is_available_is_told_in_bytes(tmp_path, monkeypatch):
    put(tmp_path, "boot/ostree/ignored")
    (tmp_path / "sysroot").mkdir()
    put(tmp_path, "proc/meminfo", b"MemTotal:  9 kB\nMemFree: 8 kB\nMemAvailable:    3 kB\n")
    blocks = {"boot": 7, "sysroot": 9}

    def statvfs(path):
        count = blocks[path.name]
        return os.statvfs_result((4096, 1024, 99, count + 1, count, 0, 0, 0, 0, 255))

    monkeypatch.setattr(room.os, "statvfs", statvfs)
    found = read_room(HostPaths(tmp_path))
    assert found.boot is not None
    assert (found.boot.available, found.sysroot, found.memory) == (7 * 1024, 9 * 1024, 3 * 1024)
    assert found.boot.directories == ()
    assert found.boot.shared  # both are on the file system of this test


def test_a_meminfo_of_another_kind_tells_nothing(tmp_path):
    put(tmp_path, "proc/meminfo", b"MemFree: 8 kB\n")
    assert read_room(HostPaths(tmp_path)).memory is None


def test_the_pairs_in_boot_are_known_with_who_boots_from_them(tmp_path):
    in_boot(tmp_path, "rhcos-aaa", b"k", b"i" * (BLOCK + 1))
    in_boot(tmp_path, "rhcos-bbb", b"k", b"i")
    for number, name in enumerate(("one.0", "two.1")):
        link = tmp_path / f"ostree/boot.1.1/rhcos/aaa/{number}"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(f"../../../deploy/rhcos/deploy/{name}")
    (tmp_path / "ostree/boot.1").symlink_to("boot.1.1")
    boot = read_room(HostPaths(tmp_path)).boot
    assert boot is not None
    assert not boot.shared  # there is no sysroot to share with
    assert boot.directories == (
        BootDirectory("rhcos-aaa", 4 * BLOCK, ("rhcos-one.0", "rhcos-two.1")),
        BootDirectory("rhcos-bbb", 3 * BLOCK, ()),
    )


def test_a_staged_tree_brings_its_files_in_whole_blocks_and_the_device_trees(tmp_path, staged):
    modules = staged()
    assert files(tmp_path).size == (1 + 2) * BLOCK + BLOCK
    put(modules, "dtb/vendor/board.dtb", b"d")
    put(modules, ".vmlinuz.hmac", b"h")
    put(modules, "modules.dep", b"m" * 100_000)  # stays below /usr
    assert files(tmp_path).size == (1 + 2 + 1 + 1) * BLOCK + BLOCK
    assert not files(tmp_path).known


@pytest.mark.parametrize(
    ("name", "kernel", "initramfs", "known"),
    [
        ("rhcos-other", b"k" * 10, b"i" * 5000, True),
        ("rhcos-other", b"k" * 10, b"i" * 4999 + b"x", False),
        ("rhcos-other", b"k" * 10, b"i" * 4999, False),
        ("rhcos-other", b"x" * 10, b"i" * 5000, False),
        ("fedora-other", b"k" * 10, b"i" * 5000, False),
    ],
)
def test_what_is_in_boot_already_is_known_by_its_bytes(tmp_path, staged, name, kernel, initramfs, known):
    staged()
    in_boot(tmp_path, name, kernel, initramfs)
    assert files(tmp_path).known is known


def test_a_pair_that_comes_with_other_device_trees_is_another(tmp_path, staged):
    modules = staged()
    in_boot(tmp_path, "rhcos-other", b"k" * 10, b"i" * 5000)
    put(modules, "devicetree", b"d")
    assert not files(tmp_path).known


@pytest.fixture
def ostree(tmp_path):
    def write(script):
        put(tmp_path, "usr/bin/ostree", f"#!/bin/sh\n{script}\n".encode()).chmod(0o755)

    return write


def prunes(root):
    return run(prunes_early(HostEffects(), HostPaths(root)))


VERSION = "printf \"libostree:\\n Version: '{}'\\n Git: 0\\n Features:\\n  - selinux\\n\""
DROP_IN = "usr/lib/systemd/system/ostree-finalize-staged.service.d/ostree-autoprune.conf"


@pytest.mark.parametrize(
    ("version", "options", "expected"),
    [
        ("2020.7", "", False),
        ("2020.7", "early-prune", False),
        ("2023.3", "", False),
        ("2023.3", "early-prune", True),
        ("2023.3", "no-early-prune", False),
        ("2023.6", "", False),
        ("2023.7", "", True),
        ("2023.10", "", True),
        ("2024.1", "early-prune", True),
        ("2025.2", "no-early-prune", False),
    ],
)
def test_ostree_prunes_by_itself_since_2023_unless_it_is_told_otherwise(tmp_path, ostree, version, options, expected):
    ostree(VERSION.format(version))
    if options:
        put(tmp_path, DROP_IN, f"[Service]\nEnvironment=OSTREE_SYSROOT_OPTS={options}\n".encode())
    assert prunes(tmp_path) is expected


@pytest.mark.parametrize("script", ["exit 1", "echo Version: unknown", VERSION.format("2024.1") + "; exit 3"])
def test_an_ostree_that_cannot_be_asked_is_not_counted_upon(tmp_path, ostree, script):
    ostree(script)
    assert prunes(tmp_path) is False


def test_no_ostree_prunes_nothing(tmp_path):
    assert prunes(tmp_path) is False


def test_a_drop_in_that_says_other_things_is_none(tmp_path, ostree):
    ostree(VERSION.format("2023.3"))
    put(tmp_path, DROP_IN, b"[Service]\n# OSTREE_SYSROOT_OPTS=early-prune\nEnvironment=LANG=C\n")
    assert prunes(tmp_path) is False
