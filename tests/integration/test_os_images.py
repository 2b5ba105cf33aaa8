"""The OS of an image, its repository and packages, by way of real workers: whatever they do, all or nothing is kept."""

import errno
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from mcd_rt.content import cache
from mcd_rt.content.osentry import has_repository, load_os_image, open_repository, os_entry_of, repository_of
from mcd_rt.content.osimage import Brought
from mcd_rt.content.repository import DIRECTORIES
from mcd_rt.errors import AgentError, Code
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.image import ImageReference
from mcd_rt.model.kernel import FLAVORS
from mcd_rt.model.nevra import Nevra
from mcd_rt.model.osimage import OsForm, OsImage
from mcd_rt.sim.hostfiles import write_keys
from mcd_rt.sim.image import Layer, build_rpm, kernel_rt_packages, write_layout
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
    left,
    refused,
)
from tests.leaks import leaves_nothing
from tests.unit import fake_skopeo

pytestmark = pytest.mark.story

NAMES = FLAVORS[0].names
RT = kernel_rt_packages("5.14.0", "284.rt14.284.el9", "x86_64", 9)
UNSIGNED = {"zz.rpm": build_rpm(Nevra("kernel-rt-core", 0, "1", "1", "x86_64"), secret_key="")}


@pytest.fixture
def paths(tmp_path: Path) -> HostPaths:
    return HostPaths(tmp_path / "host")


@pytest.fixture
def image(tmp_path: Path) -> ImageReference:
    return write_machine_os_content(tmp_path / "layout", SYSTEM, {"a.rpm": b"x"})


# Which OS it is


@pytest.mark.parametrize(("write", "form"), [(write_container_os, OsForm.CONTAINER), (None, OsForm.REPOSITORY)])
def test_an_os_of_either_form_is_known_once_it_was_read(tmp_path, paths, image, write, form):
    image = image if write is None else write(tmp_path / "layout", SYSTEM)
    effects, progress = EffectsDouble(), []
    brought = asked(paths, image, effects=effects, on_progress=lambda *said: progress.append(said))
    kernels = tuple(map(Nevra.parse, KERNELS))
    found = OsImage(image.digest, form, SYSTEM.checksum, "416.94", UNAME, "x86_64", kernels)
    assert brought == Brought(found, None)
    assert progress[0][0] == 0
    assert progress[-1][0] == progress[-1][1]
    assert load_os_image(paths, image.digest) == found
    assert has_repository(paths, image.digest) == (form is OsForm.REPOSITORY)
    assert len(effects.subjects("spawn")) == 1


def test_a_commit_without_a_list_has_it_from_the_image(tmp_path, paths):
    image = write_machine_os_content(tmp_path / "layout", UNLISTED, {}, listed=("bash-5-1.x86_64", *KERNELS))
    assert asked(paths, image).os.packages == tuple(map(Nevra.parse, KERNELS))


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
    expect(refused(paths, write(tmp_path / "layout")), code, message)


def test_a_tag_is_not_asked_about(paths, image):
    effects = EffectsDouble()
    expect(refused(paths, replace(image, digest=""), effects=effects), Code.IMAGE_NOT_PINNED, "names no digest")
    assert effects.attempted == []


@pytest.mark.parametrize("kind", ["spawn", "make_directory", "write", "rename"])
def test_an_os_that_cannot_be_kept_is_none(paths, image, kind):
    effects = EffectsDouble()
    effects.fail(kind, OSError(errno.ENOSPC, "No space left on device"))
    with leaves_nothing(), pytest.raises(AgentError, match="No space left on device"):
        asked(paths, image, effects=effects)
    assert load_os_image(paths, image.digest) is None


# Its repository


def fetched(paths: HostPaths, image: ImageReference, **how: object) -> Path:
    """Where the repository is."""
    asked(paths, image, **how)
    assert has_repository(paths, image.digest)
    return repository_of(paths, image.digest)


def test_a_repository_is_on_the_disk_as_it_was_in_the_image(paths, image):
    place = fetched(paths, image)
    assert {
        str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()
    } == REPOSITORY
    assert all((place / directory).is_dir() for directory in DIRECTORIES)
    with open_repository(EffectsDouble(), paths, image.digest):
        pass


def test_each_byte_is_written_once_and_all_are_durable_before_it_has_its_name(paths, image):
    written: list[int] = []

    class Counting(EffectsDouble):
        def write(self, descriptor: int, data: bytes) -> None:
            written.append(len(data))
            super().write(descriptor, data)

    effects = Counting()
    place = fetched(paths, image, effects=effects)
    size = sum(map(len, REPOSITORY.values()))
    known = sum(place.with_name(name).stat().st_size for name in ("os.json", "repo.json"))
    assert sum(written) == size + known
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
    place = fetched(paths, image)
    assert sum(path.is_file() for path in place.rglob("*")) == len(REPOSITORY)
    assert sorted(path.name for path in entry.iterdir()) == ["os.json", "repo", "repo.json"]


def test_a_repository_that_changed_is_fetched_again(paths, image):
    place = fetched(paths, image)
    (place / COMMIT).write_bytes(b"x")
    with pytest.raises(AgentError, match="is not what was fetched any more"):
        open_repository(EffectsDouble(), paths, image.digest).__enter__()
    assert not has_repository(paths, image.digest)
    asked(paths, image)
    assert (place / COMMIT).read_bytes() == SYSTEM.commit


def test_a_repository_without_the_commit_that_its_branch_names_is_none(tmp_path, paths):
    write = layers({"srv/repo/config": CONFIG, "srv/repo/refs/heads/a": b"0" * 64})
    error = refused(paths, write(tmp_path / "layout"))
    expect(error, Code.IMAGE_UNREADABLE, f"has no commit {'0' * 64}, which its branch names")


def test_an_object_that_is_not_the_one_of_its_name_is_not_kept(tmp_path, paths):
    name = next(name for name in REPOSITORY if name.endswith(".dirmeta"))
    parts = {f"srv/repo/{part}": data for part, data in (REPOSITORY | {name: UNLISTED.commit}).items()}
    error = refused(paths, layers(parts)(tmp_path / "layout"))
    expect(error, Code.IMAGE_DIGEST_MISMATCH, f"{name} of the repository has the checksum {UNLISTED.checksum}")


def test_what_comes_of_a_container_is_not_kept(tmp_path, paths):
    both = {**REPOSITORY, COMMIT: UNLISTED.commit}
    entries = {f"srv/repo/{name}": data for name, data in both.items() if not name.endswith(".commit")}
    entries |= {f"sysroot/ostree/repo/{COMMIT}": SYSTEM.commit, **RT}
    image = layers(entries, com__coreos__ostree_commit=SYSTEM.checksum)(tmp_path / "layout")
    write_keys(paths.root)
    with leaves_nothing():
        brought = asked(paths, image, names=NAMES)
    assert (brought.os.form, brought.content) == (OsForm.CONTAINER, None)
    assert [path.name for path in left(paths) if path.is_file()] == ["os.json"]


# Its packages


@pytest.fixture
def with_packages(tmp_path: Path, paths: HostPaths) -> ImageReference:
    write_keys(paths.root)
    return write_machine_os_content(tmp_path / "packages", SYSTEM, RT)


def test_everything_comes_in_one_reading(paths, with_packages):
    effects = EffectsDouble()
    brought = asked(paths, with_packages, names=NAMES, effects=effects)
    assert brought.os.commit == SYSTEM.checksum
    assert brought.content is not None
    assert {package.nevra.name for package in brought.content.packages} == set(NAMES)
    assert cache.load(paths, with_packages.digest, NAMES) == brought.content
    with cache.open_packages(EffectsDouble(), paths, with_packages.digest, brought.content.packages) as descriptors:
        assert len(descriptors) == len(RT)
    assert has_repository(paths, with_packages.digest)
    assert len(effects.subjects("spawn")) == 2


def test_an_image_without_packages_is_known_to_have_none(tmp_path, paths):
    write_keys(paths.root)
    image = write_machine_os_content(tmp_path / "layout", SYSTEM, {})
    content = asked(paths, image, names=NAMES).content
    assert content is not None
    assert content.packages == ()
    assert cache.load(paths, image.digest, NAMES) == content


def test_of_an_image_with_a_wrong_package_nothing_is_kept(tmp_path, paths):
    write_keys(paths.root)
    image = write_machine_os_content(tmp_path / "layout", SYSTEM, RT | UNSIGNED)
    expect(refused(paths, image, names=NAMES), Code.PACKAGE_UNSIGNED, "zz.rpm has no signature")


def test_no_package_is_asked_for_that_nobody_could_judge(paths, image):
    effects = EffectsDouble()
    expect(refused(paths, image, names=NAMES, effects=effects), Code.PACKAGE_SIGNATURE_BAD, "")
    assert effects.attempted == []


def test_packages_and_repository_share_what_the_cache_may_have(paths, with_packages):
    most = sum(map(len, REPOSITORY.values())) + 100
    error = refused(paths, with_packages, names=NAMES, settings=replace(PROMPT, max_cache_bytes=most))
    expect(error, Code.CACHE_FULL, "the cache may have")


def test_from_a_registry_it_is_read_by_way_of_skopeo(tmp_path, paths, image, monkeypatch):
    policy = paths.below("/etc/containers/policy.json")
    policy.parent.mkdir(parents=True)
    policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    fake_skopeo.install(tmp_path / "bin", layout=image.place, digest=image.digest)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    remote = ImageReference("registry.example/os", "", image.digest, layout=False)
    assert asked(paths, remote).os.commit == SYSTEM.checksum
    assert has_repository(paths, image.digest)
    assert not (paths.cache / "scratch").exists()


# What there is no room for


def test_the_cache_has_a_limit_that_is_the_images_to_keep(paths, image):
    error = refused(paths, image, settings=replace(PROMPT, max_cache_bytes=len(LARGE)))
    expect(error, Code.CACHE_FULL, f"the repository has more than the {len(LARGE)} bytes that the cache may still have")


def test_what_is_in_the_cache_counts_against_its_limit(paths, image):
    packages = cache.create(EffectsDouble(), paths, image.digest)
    (packages / "0.rpm").write_bytes(b"x" * 500_000)
    error = refused(paths, image, settings=replace(PROMPT, max_cache_bytes=1_000_000))
    expect(error, Code.CACHE_FULL, "the repository has more than the 500000 bytes that the cache may still have")


def test_what_the_disk_has_no_room_for_is_not_begun(paths, image, monkeypatch):
    monkeypatch.setattr(cache, "free_bytes", lambda _directory: 1000)
    effects = EffectsDouble()
    expect(
        refused(paths, image, effects=effects), Code.CACHE_FULL, "has 1000 bytes free, a part of the repository has "
    )
    assert [Path(subject).name for subject in effects.subjects("create")] == ["config"]


@pytest.mark.parametrize(
    "kind", ["make_directory", "create", "write", "sync_filesystem", "rename", "fsync_directory", "fsync"]
)
def test_a_full_disk_leaves_nothing(paths, image, kind):
    effects = EffectsDouble()
    effects.fail(kind, OSError(errno.ENOSPC, "No space left on device"), nth=2 if kind == "fsync_directory" else 1)
    expect(refused(paths, image, effects=effects), Code.WRITE_FAILED, ": No space left on device")


def test_a_disk_that_fills_up_in_the_middle_leaves_nothing(paths, image):
    effects = EffectsDouble()
    effects.fail("write", OSError(errno.ENOSPC, "No space left on device"), nth=10)
    expect(refused(paths, image, effects=effects), Code.WRITE_FAILED, ": No space left on device")


def test_killed_at_any_effect_the_cache_has_everything_or_nothing_that_is_believed(tmp_path, with_packages):
    def host(name: str) -> HostPaths:
        write_keys(tmp_path / name)
        return HostPaths(tmp_path / name)

    image, counted = with_packages, EffectsDouble()
    asked(host("counted"), image, names=NAMES, effects=counted)
    kinds = [effect.kind for effect in counted.attempted]
    chosen = sorted({kinds.index(kind) + 1 for kind in kinds} | set(range(len(kinds) - 8, len(kinds) + 2)))
    outcomes = []
    for nth in chosen:
        paths, effects = host(str(nth)), EffectsDouble()
        effects.kill(nth)
        with suppress(Killed):
            asked(paths, image, names=NAMES, effects=effects)
        there = has_repository(paths, image.digest), cache.load(paths, image.digest, NAMES) is not None
        outcomes.append((*there, load_os_image(paths, image.digest) is not None))
        if has_repository(paths, image.digest):
            with open_repository(EffectsDouble(), paths, image.digest):
                pass
    assert outcomes == sorted(outcomes)
    assert {outcomes[0], outcomes[-1]} == {(False, False, False), (True, True, True)}
