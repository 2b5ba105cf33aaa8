"""What OS an image is, and its repository, by way of real workers: whatever they do, the cache has all or nothing."""

import errno
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from mcd_rt.content import cache
from mcd_rt.content.osentry import has_repository, load_os_image, open_repository, os_entry_of, repository_of
from mcd_rt.content.osimage import fetch_repository, read_os_image
from mcd_rt.content.repository import DIRECTORIES
from mcd_rt.errors import AgentError, Code
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.image import ImageReference
from mcd_rt.model.nevra import Nevra
from mcd_rt.model.osimage import OsForm, OsImage
from mcd_rt.sim.image import Layer, write_layout
from mcd_rt.sim.osimages import write_container_os, write_extensions, write_machine_os_content
from mcd_rt.sim.ostree import CONFIG
from tests.effects_double import EffectsDouble, Killed
from tests.integration.osimages import (
    COMMIT,
    KERNELS,
    LARGE,
    PROMPT,
    REPOSITORY,
    SYSTEM,
    UNAME,
    UNLISTED,
    asked,
    expect,
    refused,
)
from tests.leaks import leaves_nothing
from tests.unit import fake_skopeo

pytestmark = pytest.mark.story


@pytest.fixture
def paths(tmp_path: Path) -> HostPaths:
    return HostPaths(tmp_path / "host")


@pytest.fixture
def image(tmp_path: Path) -> ImageReference:
    return write_machine_os_content(tmp_path / "layout", SYSTEM, {"a.rpm": b"x"})


# Which OS it is


@pytest.mark.parametrize(("write", "form"), [(write_container_os, OsForm.CONTAINER), (None, OsForm.REPOSITORY)])
def test_an_os_of_either_form_is_read_once_and_known_then(tmp_path, paths, image, write, form):
    image = image if write is None else write(tmp_path / "layout", SYSTEM)
    effects, progress = EffectsDouble(), []
    found = asked(read_os_image, paths, image, effects=effects, on_progress=lambda *said: progress.append(said))
    kernels = tuple(map(Nevra.parse, KERNELS))
    assert found == OsImage(image.digest, form, SYSTEM.checksum, "416.94", UNAME, "x86_64", kernels)
    assert progress[0][0] == 0
    assert progress[-1][0] == progress[-1][1]
    assert load_os_image(paths, image.digest) == found
    idle = EffectsDouble()
    assert asked(read_os_image, paths, image, effects=idle) == found
    assert (len(effects.subjects("spawn")), idle.attempted) == (1, [])


def test_a_commit_without_a_list_has_it_from_the_image(tmp_path, paths):
    image = write_machine_os_content(tmp_path / "layout", UNLISTED, {}, listed=("bash-5-1.x86_64", *KERNELS))
    assert asked(read_os_image, paths, image).packages == tuple(map(Nevra.parse, KERNELS))


def layers(entries: dict[str, bytes], **labels: str) -> Callable[[Path], ImageReference]:
    labels = {key.replace("__", ".").replace("_", "-"): value for key, value in labels.items()}
    return lambda place: write_layout(place, [Layer(entries)], tag="x", architecture="x86_64", labels=labels)


NO_OS = [
    (
        lambda place: write_container_os(place, SYSTEM, derived=(Layer({"etc/x": b"x"}),)),
        Code.OS_IMAGE_UNSUPPORTED,
        "1 layers of the image were put on top of its OS",
    ),
    (
        lambda place: write_extensions(place, {"a.rpm": b"x"}),
        Code.OS_IMAGE_UNSUPPORTED,
        "the image is not one of an OS",
    ),
    (lambda place: write_container_os(place, UNLISTED), Code.OS_IMAGE_UNSUPPORTED, "does not list its packages"),
    (
        layers({f"srv/repo/{COMMIT}": UNLISTED.commit}, com__coreos__ostree_commit=SYSTEM.checksum),
        Code.IMAGE_DIGEST_MISMATCH,
        f"the object of the commit {SYSTEM.checksum} has the checksum",
    ),
    (layers({}, com__coreos__ostree_commit="0" * 64), Code.IMAGE_UNREADABLE, "in none of its layers"),
    (layers({f"srv/repo/{COMMIT}": b"x"}), Code.IMAGE_UNREADABLE, "has 0 branches, expected one"),
]


@pytest.mark.parametrize(("write", "code", "message"), NO_OS, ids=[message for *_, message in NO_OS])
def test_what_is_no_os_that_can_be_brought_is_refused_with_its_reason(tmp_path, paths, write, code, message):
    expect(refused(read_os_image, paths, write(tmp_path / "layout")), code, message)


@pytest.mark.parametrize("what", [read_os_image, fetch_repository])
def test_a_tag_is_not_asked_about(paths, image, what):
    effects = EffectsDouble()
    expect(refused(what, paths, replace(image, digest=""), effects=effects), Code.IMAGE_NOT_PINNED, "names no digest")
    assert effects.attempted == []


@pytest.mark.parametrize("kind", ["spawn", "make_directory", "write", "rename"])
def test_an_os_that_cannot_be_kept_is_none(paths, image, kind):
    effects = EffectsDouble()
    effects.fail(kind, OSError(errno.ENOSPC, "No space left on device"))
    with leaves_nothing(), pytest.raises(AgentError, match="No space left on device"):
        asked(read_os_image, paths, image, effects=effects)
    assert load_os_image(paths, image.digest) is None


# Its repository


def test_a_repository_is_on_the_disk_as_it_was_in_the_image_and_is_not_fetched_again(paths, image):
    effects = EffectsDouble()
    place = asked(fetch_repository, paths, image, effects=effects)
    assert place == repository_of(paths, image.digest)
    assert {
        str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()
    } == REPOSITORY
    assert all((place / directory).is_dir() for directory in DIRECTORIES)
    with open_repository(EffectsDouble(), paths, image.digest):
        pass
    idle = EffectsDouble()
    assert asked(fetch_repository, paths, image, effects=idle) == place
    assert idle.attempted == []


def test_each_byte_is_written_once_and_all_are_durable_before_it_has_its_name(paths, image):
    written: list[int] = []

    class Counting(EffectsDouble):
        def write(self, descriptor: int, data: bytes) -> None:
            written.append(len(data))
            super().write(descriptor, data)

    effects = Counting()
    place = asked(fetch_repository, paths, image, effects=effects)
    size = sum(map(len, REPOSITORY.values()))
    assert size <= sum(written) < size + 200
    order = [(effect.kind, effect.subject) for effect in effects.attempted]
    last_write = max(at for at, (kind, subject) in enumerate(order) if kind == "write" and "repo.new" in subject)
    synced = order.index(("sync_filesystem", str(place.with_name("repo.new"))))
    named = order.index(("rename", str(place)))
    assert last_write < synced < named < order.index(("fsync_directory", str(place.parent)))
    assert order.index(("fsync_directory", str(place.parent))) < order.index(
        ("rename", str(place.with_name("repo.json")))
    )


def test_what_a_crash_left_is_replaced(paths, image):
    entry = os_entry_of(paths, image.digest)
    for left_over in ("repo.new/objects/ab", "repo/refs"):
        (entry / left_over).mkdir(parents=True)
        (entry / left_over / "x").write_bytes(b"left by a crash")
    place = asked(fetch_repository, paths, image)
    assert sum(path.is_file() for path in place.rglob("*")) == len(REPOSITORY)
    assert sorted(path.name for path in entry.iterdir()) == ["repo", "repo.json"]


def test_a_repository_that_changed_is_fetched_again(paths, image):
    place = asked(fetch_repository, paths, image)
    (place / COMMIT).write_bytes(b"x")
    with pytest.raises(AgentError, match="is not what was fetched any more"):
        open_repository(EffectsDouble(), paths, image.digest).__enter__()
    assert not has_repository(paths, image.digest)
    asked(fetch_repository, paths, image)
    assert (place / COMMIT).read_bytes() == SYSTEM.commit


def test_a_repository_without_the_commit_of_its_image_is_not_kept(tmp_path, paths, image):
    found = asked(read_os_image, paths, image)
    known = os_entry_of(paths, image.digest) / "os.json"
    known.write_text(known.read_text().replace(found.commit, "0" * 64))
    expect(refused(fetch_repository, paths, image), Code.IMAGE_UNREADABLE, f"has no commit {'0' * 64}")


def test_a_repository_without_any_commit_is_none(tmp_path, paths):
    write = layers({"srv/repo/config": CONFIG, "srv/repo/refs/heads/a": b"x"})
    error = refused(fetch_repository, paths, write(tmp_path / "layout"))
    expect(error, Code.IMAGE_UNREADABLE, "has no commit at all")


def test_an_object_that_is_not_the_one_of_its_name_is_not_kept(tmp_path, paths):
    parts = {f"srv/repo/{name}": data for name, data in (REPOSITORY | {COMMIT: UNLISTED.commit}).items()}
    error = refused(fetch_repository, paths, layers(parts)(tmp_path / "layout"))
    expect(error, Code.IMAGE_DIGEST_MISMATCH, f"{COMMIT} of the repository has the checksum {UNLISTED.checksum}")


def test_a_container_has_no_repository_to_fetch(tmp_path, paths):
    error = refused(fetch_repository, paths, write_container_os(tmp_path / "layout", SYSTEM))
    expect(error, Code.OS_IMAGE_UNSUPPORTED, "the image has no ostree repository in /srv/repo")


def test_from_a_registry_it_is_read_by_way_of_skopeo(tmp_path, paths, image, monkeypatch):
    policy = paths.below("/etc/containers/policy.json")
    policy.parent.mkdir(parents=True)
    policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    fake_skopeo.install(tmp_path / "bin", layout=image.place, digest=image.digest)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    remote = ImageReference("registry.example/os", "", image.digest, layout=False)
    assert asked(read_os_image, paths, remote).commit == SYSTEM.checksum
    asked(fetch_repository, paths, remote)
    assert has_repository(paths, image.digest)
    assert not (paths.cache / "scratch").exists()


# What there is no room for


def test_the_cache_has_a_limit_that_is_the_images_to_keep(paths, image):
    error = refused(fetch_repository, paths, image, settings=replace(PROMPT, max_cache_bytes=len(LARGE)))
    expect(error, Code.CACHE_FULL, f"the repository has more than the {len(LARGE)} bytes that the cache may still have")


def test_what_is_in_the_cache_counts_against_its_limit(paths, image):
    packages = cache.create(EffectsDouble(), paths, image.digest)
    (packages / "0.rpm").write_bytes(b"x" * 500_000)
    error = refused(fetch_repository, paths, image, settings=replace(PROMPT, max_cache_bytes=1_000_000))
    expect(error, Code.CACHE_FULL, "the repository has more than the 500000 bytes that the cache may still have")


def test_what_the_disk_has_no_room_for_is_not_begun(paths, image, monkeypatch):
    monkeypatch.setattr(cache, "free_bytes", lambda _directory: 1000)
    effects = EffectsDouble()
    expect(refused(fetch_repository, paths, image, effects=effects), Code.CACHE_FULL, "has 1000 bytes free, and ")
    assert [Path(subject).name for subject in effects.subjects("create")] == ["config"]


@pytest.mark.parametrize(
    "kind", ["make_directory", "create", "write", "sync_filesystem", "rename", "fsync_directory", "fsync"]
)
def test_a_full_disk_leaves_nothing(paths, image, kind):
    effects = EffectsDouble()
    effects.fail(kind, OSError(errno.ENOSPC, "No space left on device"), nth=2 if kind == "fsync_directory" else 1)
    expect(refused(fetch_repository, paths, image, effects=effects), Code.WRITE_FAILED, ": No space left on device")


def test_a_disk_that_fills_up_in_the_middle_leaves_nothing(paths, image):
    effects = EffectsDouble()
    effects.fail("write", OSError(errno.ENOSPC, "No space left on device"), nth=10)
    expect(refused(fetch_repository, paths, image, effects=effects), Code.WRITE_FAILED, ": No space left on device")


def test_killed_at_any_effect_the_cache_has_the_whole_repository_or_none(tmp_path, image):
    counted = EffectsDouble()
    asked(fetch_repository, HostPaths(tmp_path / "counted"), image, effects=counted)
    kinds = [effect.kind for effect in counted.attempted]
    chosen = sorted({kinds.index(kind) + 1 for kind in kinds} | set(range(len(kinds) - 8, len(kinds) + 2)))
    outcomes = []
    for nth in chosen:
        paths, effects = HostPaths(tmp_path / str(nth)), EffectsDouble()
        effects.kill(nth)
        with suppress(Killed):
            asked(fetch_repository, paths, image, effects=effects)
        outcomes.append(has_repository(paths, image.digest))
        if outcomes[-1]:
            with open_repository(EffectsDouble(), paths, image.digest):
                pass
    assert outcomes == sorted(outcomes)
    assert set(outcomes) == {False, True}
