"""The seam to the real host: each effect does what it says; a file is replaced whole or not at all."""

import asyncio
import errno
import os

import pytest

from mcd_rt.effects import HostEffects, write_durably
from mcd_rt.errors import AgentError, Code
from tests.effects_double import EffectsDouble, Killed
from tests.leaks import leaves_nothing, run


def mode_of(path):
    return path.stat().st_mode & 0o777


@pytest.fixture
def target(tmp_path):
    path = tmp_path / "place/file"
    path.parent.mkdir()
    path.write_bytes(b"old")
    return path


def test_a_file_is_written_with_its_directory_and_mode(tmp_path):
    path = tmp_path / "a/b/file"
    with leaves_nothing():
        write_durably(HostEffects(), path, b"new", 0o600)
    assert path.read_bytes() == b"new"
    assert mode_of(path) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


def test_a_file_is_replaced_by_another_one(target):
    before = target.stat().st_ino
    with target.open("rb") as reader:
        write_durably(HostEffects(), target, b"new")
        assert reader.read() == b"old"  # whoever reads it has the old one whole
    assert target.read_bytes() == b"new"
    assert target.stat().st_ino != before


def test_what_an_earlier_try_left_is_in_nobodys_way(target):
    (target.parent / ".file.new").write_bytes(b"half")
    write_durably(HostEffects(), target, b"new")
    assert target.read_bytes() == b"new"
    assert sorted(entry.name for entry in target.parent.iterdir()) == ["file"]


@pytest.mark.parametrize("kind", ["make_directory", "remove", "create", "write", "fsync", "rename"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_failure_leaves_the_old_file_and_nothing_else(target, kind, number):
    effects = EffectsDouble()
    effects.fail(kind, OSError(number, os.strerror(number)))
    with leaves_nothing(), pytest.raises(AgentError) as caught:
        write_durably(effects, target, b"new")
    failure = caught.value.failure
    assert failure.code is Code.WRITE_FAILED
    assert failure.message == f"cannot write {target}: {os.strerror(number)}"
    assert failure.hint
    assert target.read_bytes() == b"old"
    assert [entry.name for entry in target.parent.iterdir()] == ["file"]


def test_a_failure_that_cannot_be_cleaned_up_is_told_as_the_first_one(target):
    effects = EffectsDouble()
    effects.fail("write", OSError(errno.ENOSPC, "full"))
    effects.fail("remove", OSError(errno.EIO, "broken"), nth=2)
    with pytest.raises(AgentError, match="full"):
        write_durably(effects, target, b"new")
    assert target.read_bytes() == b"old"


def test_an_unnamed_failure_is_told_in_its_own_words(target):
    effects = EffectsDouble()
    effects.fail("create", OSError("no number"))
    with pytest.raises(AgentError, match="no number"):
        write_durably(effects, target, b"new")


@pytest.mark.parametrize("nth", range(1, 8))
def test_killed_at_any_instant_the_file_is_the_old_or_the_new_one(target, nth):
    effects = EffectsDouble()
    effects.kill(nth)
    with leaves_nothing(), pytest.raises(Killed):
        write_durably(effects, target, b"new")
    assert target.read_bytes() == (b"new" if nth == 7 else b"old")


def test_a_new_file_never_follows_or_replaces_what_is_there(tmp_path):
    effects = HostEffects()
    (tmp_path / "there").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("there", "link"):
        with pytest.raises(FileExistsError):
            effects.create(tmp_path / name, 0o600)
    assert not (tmp_path / "elsewhere").exists()


def test_all_is_written_however_little_is_taken_at_a_time(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:3]))
    effects = HostEffects()
    descriptor = effects.create(tmp_path / "file", 0o600)
    effects.write(descriptor, b"0123456789")
    os.close(descriptor)
    assert (tmp_path / "file").read_bytes() == b"0123456789"


def test_a_descriptor_of_ours_is_not_inherited(tmp_path):
    descriptor = HostEffects().create(tmp_path / "file", 0o600)
    assert not os.get_inheritable(descriptor)
    os.close(descriptor)


def test_directories_come_and_go(tmp_path):
    effects = HostEffects()
    effects.make_directory(tmp_path / "a/b", 0o700)
    effects.make_directory(tmp_path / "a/b", 0o700)
    assert mode_of(tmp_path / "a/b") == 0o700
    with pytest.raises(OSError, match="not empty"):
        effects.remove_directory(tmp_path / "a")
    effects.remove_directory(tmp_path / "a/b")
    effects.remove(tmp_path / "not there")
    with leaves_nothing(), pytest.raises(FileNotFoundError):
        effects.fsync_directory(tmp_path / "not there")


def test_a_child_talks_over_one_socket():
    async def main():
        child = await HostEffects().spawn(["/bin/cat"], {})
        with child.socket as socket:
            socket.sendall(b"echo")
            assert socket.recv(100) == b"echo"
        assert await child.process.wait() == 0

    run(main())


def test_a_command_that_is_not_there_leaves_nothing():
    async def main():
        with pytest.raises(FileNotFoundError):
            await HostEffects().spawn(["/nowhere/command"], {})

    run(main())


def test_a_child_that_is_not_wanted_any_more_as_it_starts_leaves_nothing():
    async def main():
        spawning = asyncio.ensure_future(HostEffects().spawn(["/bin/sleep", "1000"], {}))
        await asyncio.sleep(0)
        spawning.cancel()
        with pytest.raises(asyncio.CancelledError):
            await spawning

    run(main())


def test_a_call_is_made_and_its_answer_comes_back():
    async def call():
        return 7

    assert run(HostEffects().mutate("a label", call)) == 7


def test_time_and_chance_are_what_they_are_called():
    effects = HostEffects()
    assert effects.now() > 1_600_000_000
    assert effects.monotonic() <= effects.monotonic()
    assert len({effects.chance() for _ in range(10)}) > 1
    assert all(0 <= effects.chance() < 1 for _ in range(10))
