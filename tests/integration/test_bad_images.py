"""Images that cannot give the kernel that is asked for: each with its own message, and none of it on the node."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from mcd_rt.errors import Code
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.state import State
from mcd_rt.sim.bases import default_bases
from mcd_rt.sim.image import Layer, kernel_rt_packages, write_layout
from mcd_rt.sim.scene import write_image
from mcd_rt.sim.world import Origin
from tests.integration.conftest import AGENT
from tests.integration.stories import SLOW_RETRY, configure, kept, leftovers, node_of, reaches, told_of, type_on

pytestmark = pytest.mark.story

REALTIME, DEFAULT = KernelType.REALTIME, KernelType.DEFAULT
RELEASE = "284.rt14.284.el9"


def packages(release=RELEASE, architecture="x86_64", suffixes=()):
    return kernel_rt_packages("5.14.0", release, architecture, 9, suffixes)


def cut_off(found):
    name = f"kernel-rt-modules-5.14.0-{RELEASE}.x86_64.rpm"
    return found | {name: found[name][: len(found[name]) // 2]}


IMAGES = {
    "core-alone": (
        packages(suffixes=("core",)),
        Code.PACKAGES_INCOMPLETE,
        ("kernel-rt-core but not", "kernel-rt-modules"),
    ),
    "no-modules-core": (
        packages(suffixes=("core", "modules")),
        Code.PACKAGES_INCOMPLETE,
        ("but not", "kernel-rt-modules-core-uname-r"),
    ),
    "another-architecture": (
        packages(architecture="aarch64"),
        Code.PACKAGE_WRONG_ARCHITECTURE,
        ("are for aarch64, this node is x86_64",),
    ),
    "two-versions": (
        packages() | packages("300.rt14.1.el9"),
        Code.PACKAGES_AMBIGUOUS,
        ("more than one version", f"kernel-rt-core-5.14.0-{RELEASE}.x86_64", "kernel-rt-core-5.14.0-300.rt14.1"),
    ),
    "cut-off-package": (
        cut_off(packages()),
        Code.PACKAGE_CORRUPT,
        (f"kernel-rt-modules-5.14.0-{RELEASE}.x86_64.rpm is not a whole RPM", "payload"),
    ),
    "escaping-layer": (
        packages() | {"../../etc/cron.d/job": b"* * * * * root true\n"},
        Code.IMAGE_UNSAFE,
        ("leads out of the image", "../../etc/cron.d/job"),
    ),
}


def image_of(place, entries):
    return write_layout(place, [Layer(entries)], tag="latest", architecture="x86_64")


async def start(scene):
    configure(scene.node, SLOW_RETRY)
    scene.ask_for(REALTIME)
    before = kept(scene.node)
    await scene.node.run_agent(AGENT)
    return scene.node, before


def cached(node):
    """Files in the cache, by the name of the entry."""
    return sorted(path.name for path in node.paths.cache.glob("*/*")) if node.paths.cache.exists() else []


@pytest.mark.parametrize(("entries", "code", "words"), IMAGES.values(), ids=IMAGES)
def test_an_image_that_cannot_be_used_is_refused_by_name(play, tmp_path, entries, code, words):
    async def story():
        async with node_of(image_of(tmp_path, entries)) as (scene, told):
            node, before = await start(scene)
            await told_of(told, node, State.BLOCKED, code, *words)
            assert (kept(node), node.transactions, leftovers(node)) == (before, [], [])
            if code in (Code.PACKAGE_CORRUPT, Code.IMAGE_UNSAFE):
                assert cached(node) == []

            scene.ask_for(DEFAULT)
            await reaches(told, node, DEFAULT, assemblies=0, reboots=0)

    play(story())


def test_an_image_without_the_kernel_is_ignored_and_the_node_is_healthy(play, tmp_path):
    async def story():
        image = image_of(tmp_path, {"pkglist.txt": b"", "srv/repo/config": b"[core]\n"})
        async with node_of(image) as (scene, told):
            node, before = await start(scene)
            await told_of(told, node, State.IGNORED, Code.IMAGE_WITHOUT_KERNEL, image.digest, "no kernel-rt packages")
            assert (kept(node), node.transactions, leftovers(node)) == (before, [], [])
            code, text = await type_on(node, "status")
            assert code == 0, text
            assert "ignored since" in text
            assert "image-without-kernel" in text

    play(story())


def damaged(image):
    """A layer with one other byte; returns what repairs it."""
    layer = max((Path(image.place) / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    whole = layer.read_bytes()
    layer.write_bytes(whole[:-40] + bytes([whole[-40] ^ 1]) + whole[-39:])
    return lambda: layer.write_bytes(whole)


def manifest_damaged(image):
    manifest = Path(image.place) / "blobs/sha256" / image.digest.removeprefix("sha256:")
    whole = manifest.read_bytes()
    manifest.write_bytes(whole + b"\n")
    return lambda: manifest.write_bytes(whole)


def gone(image):
    aside = Path(image.place).with_name("elsewhere")
    shutil.move(image.place, aside)
    return lambda: shutil.move(aside, image.place)


@pytest.mark.parametrize(
    ("damage", "code", "words"),
    [
        (damaged, Code.IMAGE_DIGEST_MISMATCH, ("sha256:",)),
        (manifest_damaged, Code.IMAGE_DIGEST_MISMATCH, ("has the digest",)),
        (gone, Code.IMAGE_UNREADABLE, ("oci-layout cannot be opened",)),
    ],
)
def test_a_damaged_copy_is_tried_again_until_it_is_whole(play, tmp_path, damage, code, words):
    async def story():
        image = write_image(tmp_path / "layout")
        repair = damage(image)
        async with node_of(image) as (scene, told):
            node, before = await start(scene)
            await told_of(told, node, State.RETRYING, code, *words)
            assert (kept(node), node.transactions, leftovers(node), cached(node)) == (before, [], [], [])

            repair()
            await reaches(told, node, REALTIME, assemblies=1, reboots=1)

    play(story())


def test_another_image_is_the_way_out_and_the_bad_one_leaves_the_cache(play, tmp_path):
    bad, good = (
        image_of(tmp_path / name, entries) for name, entries in (("a", packages(suffixes=("core",))), ("b", packages()))
    )

    async def story():
        # a base that does not say which image it came from, so that the image may change without it
        base = replace(default_bases(str(bad))[0], refspecs=("rhcos:stable",))
        async with node_of(bad, bases=(base,), booted=Origin("rhcos:stable")) as (scene, told):
            configure(scene.node, "[os]\naccept_unknown_base = true\n")
            scene.ask_for(REALTIME)
            await scene.node.run_agent(AGENT)
            await told_of(told, scene.node, State.BLOCKED, Code.PACKAGES_INCOMPLETE)
            replace(scene, image=good).ask_for(REALTIME)
            await reaches(told, scene.node, REALTIME, assemblies=1, reboots=1)
            assert not (scene.node.paths.cache / bad.digest.removeprefix("sha256:")).exists()

    play(story())
