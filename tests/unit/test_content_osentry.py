"""What is kept of an OS is used only whole and unchanged; it goes when nobody needs it, and alone what is ours."""

import errno
import os
from pathlib import Path

import pytest

from mcd_rt.content import cache
from mcd_rt.content.fingerprint import fingerprint_on_disk
from mcd_rt.content.osentry import (
    discard_repository,
    drop_repositories,
    has_repository,
    load_os_image,
    open_repository,
    os_entry_of,
    remove_repository,
    repository_of,
    store_os_image,
    store_repository,
)
from mcd_rt.effects import HostEffects
from mcd_rt.errors import AgentError, Code
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.nevra import Nevra
from mcd_rt.model.osimage import OsForm, OsImage
from tests.effects_double import EffectsDouble
from tests.leaks import leaves_nothing

DIGEST, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64
OBJECT = f"objects/ab/{'0' * 62}.filez"
FOUND = OsImage(
    DIGEST,
    OsForm.REPOSITORY,
    "c" * 64,
    "416.94",
    "5.14.0-284.el9.x86_64",
    "x86_64",
    (Nevra("kernel", 0, "5.14.0", "284.el9", "x86_64"), Nevra("kernel-tools", 1, "5", "1", "x86_64")),
)
EFFECTS = HostEffects()


@pytest.fixture
def paths(tmp_path: Path) -> HostPaths:
    return HostPaths(tmp_path)


@pytest.fixture
def repository(paths: HostPaths) -> Path:
    return keep(paths, DIGEST)


def keep(paths: HostPaths, digest: str) -> Path:
    place = repository_of(paths, digest)
    for name, data in (("config", b"c"), (OBJECT, b"o"), ("refs/heads/a", b"r")):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(data)
    store_repository(EFFECTS, paths, digest, fingerprint_on_disk(place))
    return place


def test_what_was_read_of_an_os_is_known_again(paths):
    assert load_os_image(paths, DIGEST) is None
    store_os_image(EFFECTS, paths, FOUND)
    assert load_os_image(paths, DIGEST) == FOUND
    assert load_os_image(paths, OTHER) is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: "[" * 100_000,
        lambda text: text.replace('"version": 1', '"version": 2'),
        lambda text: text.replace("a" * 64, "b" * 64),
        lambda text: text.replace("c" * 64, "../../x"),
        lambda text: text.replace("5.14.0-284", "\\u001b[2J"),
        lambda text: text.replace("x86_64", "X"),
        lambda text: text.replace('"epoch": 1', '"epoch": 4294967296'),
        lambda text: text.replace('"packages": [', '"packages": ["x",'),
    ],
)
def test_what_is_damaged_is_not_known_any_more(paths, damage):
    store_os_image(EFFECTS, paths, FOUND)
    file = os_entry_of(paths, DIGEST) / "os.json"
    text = file.read_text()
    file.write_text(damaged := damage(text))
    assert damaged != text
    assert load_os_image(paths, DIGEST) is None


def test_a_link_in_its_place_is_not_followed(paths, tmp_path):
    store_os_image(EFFECTS, paths, FOUND)
    file = os_entry_of(paths, DIGEST) / "os.json"
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    assert load_os_image(paths, DIGEST) is None


@pytest.mark.parametrize("digest", ["latest", "sha256:../../x", "sha256:" + "A" * 64, ""])
def test_only_a_digest_names_an_entry(paths, digest):
    with pytest.raises(ValueError, match="not a sha256 digest"):
        os_entry_of(paths, digest)


@pytest.mark.parametrize("kind", ["make_directory", "write", "fsync", "rename"])
def test_an_os_that_cannot_be_kept_is_told(paths, kind):
    effects = EffectsDouble()
    effects.fail(kind, OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(AgentError) as caught:
        store_os_image(effects, paths, FOUND)
    assert caught.value.failure.code is Code.WRITE_FAILED
    assert load_os_image(paths, DIGEST) is None


def test_a_whole_repository_is_opened_as_a_directory_and_closed_again(paths, repository):
    assert has_repository(paths, DIGEST)
    with leaves_nothing(), open_repository(EFFECTS, paths, DIGEST) as descriptor:
        assert os.path.samestat(os.fstat(descriptor), repository.stat())
        with pytest.raises(OSError, match="Is a directory"):
            os.read(descriptor, 1)


def change(repository: Path) -> None:
    (repository / OBJECT).write_bytes(b"p")


def lose(repository: Path) -> None:
    (repository / OBJECT).unlink()


def add(repository: Path) -> None:
    (repository / "refs/heads/b").write_bytes(b"r")


def link(repository: Path) -> None:
    (repository / "elsewhere").write_bytes((repository / OBJECT).read_bytes())
    (repository / OBJECT).unlink()
    (repository / OBJECT).symlink_to(repository / "elsewhere")


def reconfigure(repository: Path) -> None:
    (repository / "config").write_bytes(b"d")


def unsay(repository: Path) -> None:
    repository.with_name("repo.json").write_text('{"version": 2}')


def unconfigure(repository: Path) -> None:
    (repository / "config").unlink()


def replace_by_file(repository: Path) -> None:
    repository.rename(repository.with_name("x"))
    repository.write_bytes(b"")


def replace_by_link(repository: Path) -> None:
    repository.rename(repository.with_name("x"))
    repository.symlink_to(repository.with_name("x"))


@pytest.mark.parametrize(
    "damage", [change, lose, add, link, reconfigure, unsay, unconfigure, replace_by_file, replace_by_link]
)
def test_a_repository_that_is_another_is_not_handed_over_and_gone(paths, repository, damage):
    damage(repository)
    with leaves_nothing(), pytest.raises(AgentError) as caught, open_repository(EFFECTS, paths, DIGEST):
        pytest.fail("it was handed over")
    failure = caught.value.failure
    assert (failure.code, str(repository) in failure.message) == (Code.CACHE_CORRUPT, True)
    assert not os.path.lexists(repository)
    assert not has_repository(paths, DIGEST)


def test_a_repository_that_was_never_there_is_not_opened(paths):
    with (
        pytest.raises(AgentError, match="cannot be opened: No such file") as caught,
        open_repository(EFFECTS, paths, DIGEST),
    ):
        pytest.fail("it was handed over")
    assert caught.value.failure.code is Code.CACHE_CORRUPT


def test_a_damaged_repository_that_cannot_be_removed_is_not_believed_either(paths, repository):
    change(repository)
    effects = EffectsDouble()
    effects.fail("remove", OSError(errno.EROFS, "Read-only file system"))
    with pytest.raises(AgentError, match="is not what was fetched any more"), open_repository(effects, paths, DIGEST):
        pytest.fail("it was handed over")
    with pytest.raises(AgentError, match="is not what was fetched any more"), open_repository(effects, paths, DIGEST):
        pytest.fail("it was handed over")


def test_what_says_that_a_repository_is_there_goes_first(paths, repository):
    effects = EffectsDouble()
    remove_repository(effects, paths, DIGEST)
    assert effects.subjects("remove")[0] == str(repository.with_name("repo.json"))
    assert list(os_entry_of(paths, DIGEST).iterdir()) == []


def test_once_nothing_is_to_be_staged_all_repositories_go_and_what_is_known_stays(paths):
    store_os_image(EFFECTS, paths, FOUND)
    for digest in (DIGEST, OTHER):
        keep(paths, digest)
    (os_entry_of(paths, OTHER) / "repo.new/objects").mkdir(parents=True)
    drop_repositories(EFFECTS, paths)
    assert not any(has_repository(paths, digest) for digest in (DIGEST, OTHER))
    assert [file.name for file in os_entry_of(paths, DIGEST).iterdir()] == ["os.json"]
    assert list(os_entry_of(paths, OTHER).iterdir()) == []
    assert load_os_image(paths, DIGEST) == FOUND


@pytest.mark.parametrize("known", [True, False])
def test_where_there_is_no_repository_nothing_is_done(paths, known):
    if known:
        store_os_image(EFFECTS, paths, FOUND)
    effects = EffectsDouble()
    drop_repositories(effects, paths)
    assert effects.attempted == []


def test_a_repository_that_cannot_be_dropped_is_told(paths, repository):
    effects = EffectsDouble()
    effects.fail("remove", OSError(errno.EROFS, "Read-only file system", str(repository)))
    with pytest.raises(AgentError, match="Read-only file system") as caught:
        drop_repositories(effects, paths)
    assert caught.value.failure.code is Code.WRITE_FAILED


def test_prune_removes_what_is_known_and_kept_of_images_nobody_uses(paths):
    store_os_image(EFFECTS, paths, FOUND)
    for digest in (DIGEST, OTHER):
        keep(paths, digest)
    ours = paths.cache / cache.OS / "not-an-entry"
    ours.mkdir()
    cache.prune(EFFECTS, paths, frozenset({OTHER}))
    assert not os_entry_of(paths, DIGEST).exists()
    assert has_repository(paths, OTHER)
    assert ours.exists()


def test_packages_of_an_image_go_without_its_os(paths, repository):
    store_os_image(EFFECTS, paths, FOUND)
    cache.create(EFFECTS, paths, DIGEST)
    cache.remove(EFFECTS, paths, DIGEST)
    assert load_os_image(paths, DIGEST) == FOUND
    assert has_repository(paths, DIGEST)


def test_a_discarded_repository_leaves_no_entry_unless_the_os_is_known(paths, repository):
    discard_repository(EFFECTS, paths, DIGEST)
    assert not os_entry_of(paths, DIGEST).exists()
    store_os_image(EFFECTS, paths, FOUND)
    keep(paths, DIGEST)
    discard_repository(EFFECTS, paths, DIGEST)
    assert [file.name for file in os_entry_of(paths, DIGEST).iterdir()] == ["os.json"]
    discard_repository(EFFECTS, paths, OTHER)
