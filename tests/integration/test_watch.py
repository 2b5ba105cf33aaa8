"""Whatever a writer does to a file is noticed, and nothing else is."""

import asyncio
import errno
import os
import select
import shutil
from contextlib import asynccontextmanager
from pathlib import Path

import inotify_simple
import pytest

from mcd_rt import watch as watch_module
from mcd_rt.errors import AgentError, Code
from mcd_rt.watch import Watch
from tests.leaks import run

_PATIENCE = 5


class Watched:
    """A watch on files, and how often it called."""

    def __init__(self, files):
        self.calls = 0
        self._called = asyncio.Event()
        self.watch = Watch(files, self._count)

    def _count(self):
        self.calls += 1
        self._called.set()

    async def notices(self, act):
        """Do something and wait for the call."""
        self._called.clear()
        act()
        async with asyncio.timeout(_PATIENCE):
            await self._called.wait()
        await self.quiet()

    async def misses(self, act):
        """Do something and see that there was no call, once all of its events were read."""
        before = self.calls
        act()
        await self.quiet()
        assert self.calls == before

    async def quiet(self):
        """Until every event that there is has been read: inotify queues them in the call that causes them."""
        while select.select([self.watch._inotify], [], [], 0)[0]:  # noqa: ASYNC110 - what is watched for is the loop itself
            await asyncio.sleep(0)


@asynccontextmanager
async def watching(*files):
    watched = Watched(files)
    try:
        await watched.quiet()
        yield watched
    finally:
        watched.watch.close()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "etc/config"
    path.parent.mkdir()
    path.write_text("old")
    return path


def by_rename(path):
    temporary = path.with_name("temporary")
    temporary.write_text("new")
    temporary.rename(path)


def by_rename_from_elsewhere(path):
    temporary = path.parent.parent / "temporary"
    temporary.write_text("new")
    temporary.rename(path)


def away(path):
    path.rename(path.parent.parent / "away")


def by_link(path):
    path.unlink()
    path.symlink_to("/dev/null")


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_text("new"),
        by_rename,
        by_rename_from_elsewhere,
        away,
        by_link,
        lambda path: path.unlink(),
        lambda path: path.chmod(0o600),
        os.utime,
    ],
)
def test_every_way_to_write_a_file_is_noticed(file, write):
    async def main():
        async with watching(file) as watched:
            for _ in range(2):
                await watched.notices(lambda: write(file))
                await watched.notices(lambda: file.write_text("again") if not file.is_symlink() else file.unlink())
                file.write_text("there")
                await watched.quiet()

    run(main())


def test_a_file_that_comes_is_noticed(tmp_path):
    async def main():
        async with watching(tmp_path / "config") as watched:
            await watched.notices(lambda: (tmp_path / "config").write_text("new"))

    run(main())


def test_what_does_not_concern_us_is_not_noticed(file):
    def others():
        (file.parent / "config.bak").write_text("x")
        (file.parent / "config.bak").rename(file.parent / "other")
        (file.parent / "directory").mkdir()
        (file.parent.parent / "config").write_text("x")
        file.read_text()

    async def main():
        async with watching(file) as watched:
            for _ in range(2):
                await watched.misses(others)
                (file.parent / "directory").rmdir()
                await watched.quiet()
            await watched.notices(lambda: file.write_text("new"))

    run(main())


def test_a_directory_that_is_made_file_by_file_is_noticed_at_each_step(tmp_path):
    file = tmp_path / "a/b/c/config"

    async def main():
        async with watching(file) as watched:
            await watched.misses((tmp_path / "other").mkdir)
            for directory in reversed(list(file.parents)[:3]):
                await watched.notices(directory.mkdir)
            await watched.misses(lambda: (file.parent / "other").write_text("x"))
            await watched.notices(lambda: file.write_text("new"))

    run(main())


def test_a_directory_that_comes_whole_is_noticed(tmp_path):
    prepared = tmp_path / "prepared/b"
    prepared.mkdir(parents=True)
    (prepared / "config").write_text("new")

    async def main():
        async with watching(tmp_path / "a/b/config") as watched:
            await watched.notices(lambda: (tmp_path / "prepared").rename(tmp_path / "a"))
            await watched.notices(lambda: (tmp_path / "a/b/config").write_text("newer"))

    run(main())


def test_a_directory_that_is_made_while_we_look_for_it_is_not_missed(tmp_path, monkeypatch):
    file = tmp_path / "a/b/config"

    class Racing(inotify_simple.INotify):
        """Makes each missing directory right after it was found missing."""

        def add_watch(self, path, mask):
            try:
                return super().add_watch(path, mask)
            except FileNotFoundError:
                Path(path).mkdir(parents=True)
                raise

    monkeypatch.setattr(watch_module, "INotify", Racing)

    async def main():
        async with watching(file) as watched:
            await watched.notices(lambda: file.write_text("new"))

    run(main())


def test_a_directory_that_is_removed_and_made_again_is_noticed(file):
    async def main():
        async with watching(file) as watched:
            for _ in range(3):
                await watched.notices(lambda: shutil.rmtree(file.parent))
                await watched.notices(file.parent.mkdir)
                await watched.notices(lambda: file.write_text("new"))

    run(main())


def test_a_directory_that_is_replaced_is_noticed(file):
    async def main():
        async with watching(file) as watched:
            new = file.parent.with_name("new")
            new.mkdir()
            await watched.notices(lambda: file.parent.rename(file.parent.with_name("old")))
            await watched.notices(lambda: new.rename(file.parent))
            await watched.notices(lambda: file.write_text("in the new one"))
            await watched.misses(lambda: (file.parent.with_name("old") / "config").write_text("in the old one"))

    run(main())


def test_several_files_in_several_places_are_noticed(tmp_path):
    files = [tmp_path / "a/one", tmp_path / "a/two", tmp_path / "b/c/three", tmp_path / "a"]

    async def main():
        async with watching(*files) as watched:
            await watched.notices((tmp_path / "a").mkdir)
            for path in files[:2]:
                await watched.notices(lambda path=path: path.write_text("x"))
            await watched.notices((tmp_path / "b").mkdir)
            await watched.notices((tmp_path / "b/c").mkdir)
            await watched.notices(lambda: files[2].write_text("x"))
            await watched.misses(lambda: (tmp_path / "a/three").write_text("x"))
            await watched.misses(lambda: (tmp_path / "b/one").write_text("x"))

    run(main())


def test_a_file_where_a_directory_should_be_is_only_the_wrong_thing(tmp_path):
    file = tmp_path / "a/config"

    async def main():
        (tmp_path / "a").write_text("a file")
        async with watching(file) as watched:
            await watched.notices((tmp_path / "a").unlink)
            await watched.notices((tmp_path / "a").mkdir)
            await watched.notices(lambda: file.write_text("new"))

    run(main())


def test_a_crowd_of_events_is_one_call_and_an_overflow_is_a_call(file, monkeypatch):
    async def main():
        async with watching(file) as watched:

            def often():
                for number in range(100):
                    file.write_text(str(number))

            before = watched.calls
            await watched.notices(often)
            assert watched.calls == before + 1
            overflow = inotify_simple.Event(-1, inotify_simple.flags.Q_OVERFLOW, 0, "")
            monkeypatch.setattr(watched.watch._inotify, "read", lambda timeout: [overflow])
            watched.watch._ready()
            assert watched.calls == before + 2

    run(main())


def test_nothing_is_heard_after_the_end(file):
    async def main():
        watched = Watched([file])
        file.write_text("new")
        watched.watch.close()
        for _ in range(5):
            await asyncio.sleep(0)
        assert watched.calls == 0

    run(main())


def test_a_system_without_room_for_watches_is_told(monkeypatch, file):
    def full():
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(watch_module, "INotify", full)

    async def main():
        with pytest.raises(AgentError) as caught:
            Watch([file], lambda: None)
        failure = caught.value.failure
        assert (failure.code, failure.message) == (Code.HOST_UNREADABLE, "cannot watch files: Too many open files")
        assert "max_user_instances" in failure.hint

    run(main())


def test_any_file_of_a_directory_that_comes_later_is_noticed(tmp_path):
    async def main():
        directory = tmp_path / "machineconfig.d"
        async with watching(directory / "*") as watched:
            await watched.notices(directory.mkdir)
            await watched.notices(lambda: (directory / "b.yaml").write_text("b"))
            await watched.notices(lambda: (directory / "a.yaml").write_text("a"))
            await watched.notices((directory / "b.yaml").unlink)
            await watched.misses(lambda: (tmp_path / "other").write_text("x"))

    run(main())
