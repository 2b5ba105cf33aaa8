"""The cache answers only with what was fetched whole, and hands out only what was inspected."""

import errno
import hashlib
import json
import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from mcd_rt.content import cache
from mcd_rt.content.entry import VERSION
from mcd_rt.content.keys import read_identity
from mcd_rt.errors import AgentError, Code
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.content import Content, Judge, Package, Way
from mcd_rt.model.nevra import Nevra
from tests.effects_double import EffectsDouble, Killed
from tests.leaks import leaves_nothing

DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64
NAMES = ("kernel-rt-core", "kernel-rt-modules")
FILES = {"0.rpm": b"core" * 100_000, "1.rpm": b"modules"}


def package(file: str, name: str) -> Package:
    nevra = Nevra(name, 0, "5.14.0", "284.rt14.el9", "x86_64")
    data = FILES[file]
    digest = hashlib.sha256(data).hexdigest()
    return Package(nevra, file, len(data), digest, "5.14.0-284.rt14.el9.x86_64+rt", ("kernel = 5",), ("kernel-x",))


PACKAGES = (package("0.rpm", "kernel-rt-core"), package("1.rpm", "kernel-rt-modules"))
CONTENT = Content(DIGEST, PACKAGES, Judge.RPMKEYS, Way.PROXY, "the policy accepts any image")


SOURCES = ("/etc/pki/rpm-gpg",)


@pytest.fixture
def paths(tmp_path: Path) -> HostPaths:
    return host(tmp_path)


def host(root: Path) -> HostPaths:
    """A host with one key."""
    keys = root / "etc/pki/rpm-gpg"
    keys.mkdir(parents=True)
    (keys / "RPM-GPG-KEY-vendor").write_text("a key")
    return HostPaths(root)


def fill(effects: EffectsDouble, paths: HostPaths, content: Content = CONTENT) -> Path:
    """Do what a fetch does."""
    cache.remove(effects, paths, content.digest)
    entry = cache.create(effects, paths, content.digest)
    for name, data in FILES.items():
        descriptor = effects.create(entry / name, 0o600)
        try:
            effects.write(descriptor, data)
            effects.fsync(descriptor)
        finally:
            os.close(descriptor)
    judged = content.trusted_by is not Judge.NOBODY
    cache.store(effects, paths, content, NAMES, read_identity(paths, SOURCES) if judged else "")
    return entry


def keys_of(paths: HostPaths) -> Path:
    return paths.below("/etc/pki/rpm-gpg")


NEW_KEYS = [
    lambda keys: (keys / "another").write_text("another key"),
    lambda keys: (keys / "RPM-GPG-KEY-vendor").write_text("a newer key"),
    lambda keys: (keys / "RPM-GPG-KEY-vendor").unlink(),
    lambda keys: ((keys / "RPM-GPG-KEY-vendor").unlink(), keys.rmdir()),
    lambda keys: ((keys / "RPM-GPG-KEY-vendor").unlink(), (keys / "other").write_text("another key")),
]


@pytest.mark.parametrize("change", NEW_KEYS)
def test_what_other_keys_judged_is_nothing(paths, change):
    fill(EffectsDouble(), paths)
    change(keys_of(paths))
    with leaves_nothing():
        assert cache.load(paths, DIGEST, NAMES, "require", SOURCES) is None
    assert cache.load(paths, DIGEST, NAMES, "digest-only", SOURCES) == CONTENT


def test_keys_named_by_another_setting_are_other_keys(paths):
    fill(EffectsDouble(), paths)
    own = paths.below("/etc/own-key")
    own.write_text("another key")
    assert cache.load(paths, DIGEST, NAMES, "require", (*SOURCES, "/etc/own-key")) is None
    assert cache.load(paths, DIGEST, NAMES, "require", ("/etc/own-key",)) is None
    own.write_text("a key")
    assert cache.load(paths, DIGEST, NAMES, "require", (*SOURCES, "/etc/own-key")) == CONTENT
    assert cache.load(paths, DIGEST, NAMES, "require", ("/etc/own-key",)) == CONTENT


def test_keys_that_are_back_make_it_something_again(paths):
    fill(EffectsDouble(), paths)
    file = keys_of(paths) / "RPM-GPG-KEY-vendor"
    file.rename(keys_of(paths) / "renamed")
    assert cache.load(paths, DIGEST, NAMES) == CONTENT
    (keys_of(paths) / "renamed").unlink()
    assert cache.load(paths, DIGEST, NAMES) is None
    file.write_text("a key")
    assert cache.load(paths, DIGEST, NAMES) == CONTENT


def test_keys_are_read_only_for_an_entry_that_was_judged(paths, mocker):
    read = mocker.spy(cache, "read_identity")
    assert cache.load(paths, DIGEST, NAMES) is None
    fill(EffectsDouble(), paths, Content(DIGEST, ()))
    assert cache.load(paths, DIGEST, NAMES) == Content(DIGEST, ())
    fill(EffectsDouble(), paths, replace(CONTENT, trusted_by=Judge.NOBODY))
    assert cache.load(paths, DIGEST, NAMES) is None
    assert cache.load(paths, DIGEST, NAMES, "digest-only") is not None
    fill(EffectsDouble(), paths)
    assert cache.load(paths, DIGEST, NAMES[:1]) is None
    assert cache.load(paths, DIGEST, NAMES, "digest-only") == CONTENT
    assert read.call_count == 0
    assert cache.load(paths, DIGEST, NAMES) == CONTENT
    assert read.call_count == 1


def test_what_nobody_judged_is_loaded_only_for_who_does_not_ask(paths):
    unjudged = replace(CONTENT, trusted_by=Judge.NOBODY)
    fill(EffectsDouble(), paths, unjudged)
    assert cache.load(paths, DIGEST, NAMES) is None
    assert cache.load(paths, DIGEST, NAMES, "require") is None
    assert cache.load(paths, DIGEST, NAMES, "digest-only") == unjudged


def test_what_is_there_is_counted_in_bytes(paths):
    assert cache.used_bytes(paths) == 0
    entry = fill(EffectsDouble(), paths)
    assert (
        cache.used_bytes(paths) == sum(len(data) for data in FILES.values()) + (entry / "content.json").stat().st_size
    )


def test_a_scratch_directory_is_new_each_time_and_gone_after(paths):
    effects = EffectsDouble()
    left = cache.make_scratch(effects, paths) / "copy" / "blob"
    left.parent.mkdir()
    left.write_bytes(b"of a worker that was killed")
    scratch = cache.make_scratch(effects, paths)
    assert list(scratch.iterdir()) == []
    assert scratch.stat().st_mode & 0o777 == 0o700
    cache.remove_scratch(effects, paths)
    assert list(paths.cache.iterdir()) == []
    cache.remove_scratch(effects, paths)


def test_what_was_stored_is_loaded(paths):
    entry = fill(EffectsDouble(), paths)
    assert entry == paths.cache / ("a" * 64)
    assert cache.load(paths, DIGEST, NAMES) == CONTENT
    assert cache.load(paths, DIGEST, tuple(reversed(NAMES))) == CONTENT


def test_an_image_without_packages_is_an_answer_too(paths):
    fill(EffectsDouble(), paths, Content(DIGEST, ()))
    assert cache.load(paths, DIGEST, NAMES) == Content(DIGEST, ())


def test_an_entry_answers_only_for_its_image_and_the_names_it_was_fetched_for(paths):
    fill(EffectsDouble(), paths)
    assert cache.load(paths, OTHER, NAMES) is None
    assert cache.load(paths, DIGEST, ("kernel-64k-core",)) is None
    assert cache.load(paths, DIGEST, NAMES[:1]) is None
    assert cache.load(paths, DIGEST, (*NAMES, "kernel-rt-kvm")) is None


def test_a_digest_that_is_none_is_no_path(paths):
    with pytest.raises(ValueError, match="not a sha256 digest"):
        cache.entry_of(paths, "sha256:../../etc")


def test_the_manifest_is_written_after_everything_else_is_durable(paths):
    effects = EffectsDouble()
    entry = fill(effects, paths)
    order = [(effect.kind, effect.subject) for effect in effects.attempted]
    manifest = order.index(("rename", str(entry / "content.json")))
    for needed in (
        ("fsync", str(entry / "0.rpm")),
        ("fsync", str(entry / "1.rpm")),
        ("fsync_directory", str(entry)),
        ("fsync_directory", str(paths.cache)),
    ):
        assert order.index(needed) < manifest


def test_killed_at_any_effect_the_entry_is_whole_or_none_and_can_be_fetched_again(tmp_path):
    counted = EffectsDouble()
    fill(counted, host(tmp_path / "counted"))
    outcomes = []
    for nth in range(1, len(counted.attempted) + 2):
        paths = host(tmp_path / str(nth))
        effects = EffectsDouble()
        effects.kill(nth)
        with suppress(Killed):
            fill(effects, paths)
        outcomes.append(cache.load(paths, DIGEST, NAMES))
        fill(EffectsDouble(), paths)
        assert cache.load(paths, DIGEST, NAMES) == CONTENT
    assert set(outcomes) == {None, CONTENT}
    assert outcomes == sorted(outcomes, key=lambda outcome: outcome is not None)


def rewritten(entry: Path, **changes: object) -> None:
    path = entry / "content.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | changes))


def with_package(entry: Path, **changes: object) -> None:
    plain = json.loads((entry / "content.json").read_bytes())["packages"][0]
    rewritten(entry, packages=[plain | changes])


DAMAGE = [
    lambda entry: (entry / "content.json").unlink(),
    lambda entry: (entry / "content.json").write_bytes(b""),
    lambda entry: (entry / "content.json").write_bytes((entry / "content.json").read_bytes()[:-40]),
    lambda entry: (entry / "content.json").write_bytes(b"\xff"),
    lambda entry: (entry / "content.json").write_bytes(b" " * (9 << 20)),
    lambda entry: ((entry / "content.json").rename(entry / "x"), (entry / "content.json").symlink_to("x")),
    lambda entry: ((entry / "content.json").unlink(), (entry / "content.json").mkdir()),
    lambda entry: ((entry / "content.json").unlink(), os.mkfifo(entry / "content.json")),
    lambda entry: rewritten(entry, version=VERSION - 1),
    lambda entry: rewritten(entry, keys=None),
    lambda entry: rewritten(entry, keys=""),
    lambda entry: rewritten(entry, digest=OTHER),
    lambda entry: rewritten(entry, packages=None),
    lambda entry: with_package(entry, file="../0.rpm"),
    lambda entry: with_package(entry, sha256="x"),
    lambda entry: with_package(entry, epoch="0"),
    lambda entry: with_package(entry, size=1),
    lambda entry: (entry / "0.rpm").unlink(),
    lambda entry: (entry / "0.rpm").write_bytes(b"short"),
    lambda entry: ((entry / "0.rpm").rename(entry / "x"), (entry / "0.rpm").symlink_to("x")),
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_or_foreign_entry_is_no_entry_and_is_replaced(paths, damage):
    entry = fill(EffectsDouble(), paths)
    damage(entry)
    with leaves_nothing():
        assert cache.load(paths, DIGEST, NAMES) is None
    fill(EffectsDouble(), paths)
    assert cache.load(paths, DIGEST, NAMES) == CONTENT
    assert sorted(path.name for path in entry.iterdir()) == ["0.rpm", "1.rpm", "content.json"]


def test_whatever_has_the_name_of_an_entry_is_removed_but_nothing_it_points_to(paths, tmp_path):
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "precious").touch()
    paths.cache.mkdir(parents=True)
    cache.entry_of(paths, DIGEST).symlink_to(foreign)
    cache.remove(EffectsDouble(), paths, DIGEST)
    entry = fill(EffectsDouble(), paths)
    (entry / "deep" / "deeper").mkdir(parents=True)
    (entry / "deep" / "link").symlink_to(foreign)
    cache.remove(EffectsDouble(), paths, DIGEST)
    assert list(paths.cache.iterdir()) == []
    assert (foreign / "precious").exists()


def test_prune_keeps_what_is_needed_and_what_is_not_ours(paths):
    fill(EffectsDouble(), paths)
    fill(EffectsDouble(), paths, replace(CONTENT, digest=OTHER))
    (paths.cache / "README").touch()
    cache.prune(EffectsDouble(), paths, frozenset({OTHER}))
    assert cache.load(paths, OTHER, NAMES) == replace(CONTENT, digest=OTHER)
    assert sorted(path.name for path in paths.cache.iterdir()) == ["README", "b" * 64]


def test_prune_of_no_cache_does_nothing(paths):
    effects = EffectsDouble()
    cache.prune(effects, paths, frozenset())
    assert effects.attempted == []


def test_a_disk_that_cannot_be_written_is_named(paths):
    effects = EffectsDouble()
    effects.fail("fsync_directory", OSError(errno.EIO, "Input/output error"))
    with pytest.raises(AgentError, match=f"cannot write {paths.cache / ('a' * 64)}: Input/output error") as caught:
        fill(effects, paths)
    assert caught.value.failure.code is Code.WRITE_FAILED


def test_discard_leaves_the_first_failure_to_be_reported(paths):
    fill(EffectsDouble(), paths)
    effects = EffectsDouble()
    effects.fail("remove", OSError(errno.EROFS, "Read-only file system"))
    cache.discard(effects, paths, DIGEST)
    assert effects.subjects("remove") != []


def test_descriptors_are_of_the_inspected_files_read_only_at_offset_zero_and_closed_after(paths):
    fill(EffectsDouble(), paths)
    with leaves_nothing(), cache.open_packages(EffectsDouble(), paths, DIGEST, CONTENT.packages) as opened:
        assert [os.lseek(one, 0, os.SEEK_CUR) for one in opened] == [0, 0]
        assert [os.read(one, 1 << 20) for one in opened] == list(FILES.values())
        assert not any(os.get_inheritable(one) for one in opened)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.write(opened[0], b"x")


CHANGES = [
    (lambda file: file.write_bytes(b"x" + file.read_bytes()[1:]), "400000 bytes with the digest"),
    (lambda file: file.write_bytes(file.read_bytes()[:-1]), "399999 bytes with the digest"),
    (lambda file: file.unlink(), "No such file or directory"),
    (lambda file: (file.rename(file.parent / "x"), file.symlink_to("x")), "Too many levels of symbolic links"),
    (lambda file: (file.unlink(), file.mkdir()), "not a file"),
    (lambda file: (file.unlink(), os.mkfifo(file)), "not a file"),
]


@pytest.mark.parametrize(("change", "message"), CHANGES, ids=[message for _, message in CHANGES])
def test_a_file_that_changed_is_not_handed_out_and_its_entry_is_gone(paths, change, message):
    entry = fill(EffectsDouble(), paths)
    change(entry / "0.rpm")
    with (
        leaves_nothing(),
        pytest.raises(AgentError, match=message) as caught,
        cache.open_packages(EffectsDouble(), paths, DIGEST, CONTENT.packages),
    ):
        pytest.fail("handed out")
    assert caught.value.failure.code is Code.CACHE_CORRUPT
    assert str(entry / "0.rpm") in caught.value.failure.message
    assert not entry.exists()


def test_a_disk_that_fails_while_it_is_compared_is_named(paths, monkeypatch):
    fill(EffectsDouble(), paths)

    def broken(*_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(cache.os, "pread", broken)
    with (
        leaves_nothing(),
        pytest.raises(AgentError, match=r"0\.rpm is not the package that was fetched any more: Input/output error"),
        cache.open_packages(EffectsDouble(), paths, DIGEST, CONTENT.packages),
    ):
        pytest.fail("handed out")


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_a_host_that_opens_no_more_files_says_nothing_about_the_cache(paths, monkeypatch, number):
    entry = fill(EffectsDouble(), paths)

    def refuse(_path: str, _flags: int) -> int:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(cache, "_open_no_link", refuse)
        with (
            pytest.raises(AgentError) as caught,
            cache.open_packages(EffectsDouble(), paths, DIGEST, CONTENT.packages),
        ):
            pytest.fail("it was opened")
    assert caught.value.failure.code is Code.HOST_EXHAUSTED
    assert caught.value.failure.message == f"cannot open {entry / '0.rpm'}: {os.strerror(number)}"
    with leaves_nothing(), cache.open_packages(EffectsDouble(), paths, DIGEST, CONTENT.packages) as opened:
        assert len(opened) == len(PACKAGES), "what was fetched is still there"
