"""What a power cut leaves of files: the log of the agent's writes, replayed.

Pessimistic, as POSIX allows it: a name is there for good once its directory was synced, bytes once their file was.
Directories that the units make before the agent starts (``StateDirectory``, ``CacheDirectory``) are there for good.
"""

import shutil
from collections.abc import ItemsView, Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path


class Cut(Enum):
    """Two extremes of what a power cut does to what nobody synced."""

    LOST = "lost"
    """Names and bytes that were not synced are gone: the disk is behind."""
    TORN = "torn"
    """Names are as they were last, bytes that were not synced are cut short: the journal overtook the data."""


@dataclass(slots=True, eq=False)
class File:
    """The bytes of a file, whatever its names are, and how many of them the disk has."""

    data: bytearray
    synced: int
    hashes: dict[int, int] = field(default_factory=dict)
    """Of its first so many bytes, which never change: it is only appended to."""

    def fingerprint(self, size: int) -> int:
        """Equal for equal beginnings of that size."""
        if size not in self.hashes:
            self.hashes[size] = hash(bytes(self.data[:size]))
        return self.hashes[size]

    def kept(self, cut: Cut) -> int:
        """How many of them a power cut leaves."""
        unsynced = len(self.data) - self.synced
        return self.synced + (unsynced // 2 if cut is Cut.TORN else 0)

    def left(self, cut: Cut) -> bytes:
        """What a power cut leaves of them."""
        return bytes(self.data[: self.kept(cut)])


Entries = dict[Path, File | None]
"""What is at each path; ``None`` is a directory."""


class Disk:
    """Everything below some directories that survive a boot, now and as far as the disk has it."""

    def __init__(self, tops: tuple[Path, ...]) -> None:
        self._tops = tops
        self._prefixes = tuple(f"{top}/" for top in tops)
        self._now: Entries = {}
        self._durable: Entries = {}
        self._open: dict[int, File] = {}
        self._moved: list[tuple[Path, Path]] = []  # directories whose new name the disk does not have yet

    def begin(self) -> None:
        """Take what is there now as written long ago."""
        paths = (path for top in self._tops for path in sorted(top.rglob("*")))
        self._now = {path: None if path.is_dir() else _read(path) for path in paths}
        self._open.clear()
        self.sync()

    def sync(self) -> None:
        """Everything reaches the disk, as at an orderly shutdown, or where the whole filesystem is synced."""
        for file in filter(None, self._now.values()):
            file.synced = len(file.data)
        self._durable = dict(self._now)
        self._moved.clear()

    def contents(self) -> Iterator[object]:
        """Of each path, in order, how many of its bytes are durable and whether its name is; then its bytes."""
        for path, file in sorted(self._now.items()):
            yield str(path), file and file.synced, path in self._durable and self._durable[path] is file
            yield b"" if file is None else bytes(file.data)
        yield sorted(str(path) for path in self._durable if path not in self._now)

    def fingerprint(self) -> int:
        """Equal for equal disks: what is there, and how much of it is there for good."""
        now = {path: file and (file.fingerprint(len(file.data)), file.synced) for path, file in self._now.items()}
        return hash((frozenset(now.items()), self.fingerprint_left(Cut.LOST)))

    def fingerprint_left(self, cut: Cut) -> int:
        """Equal where a power cut would leave the same."""
        left = self._entries(cut)
        return hash(
            frozenset((path, file and (file.kept(cut), file.fingerprint(file.kept(cut)))) for path, file in left)
        )

    def created(self, path: Path, descriptor: int) -> None:
        self._open.pop(descriptor, None)
        if self._has(path):
            self._now[path] = self._open[descriptor] = File(bytearray(), 0)

    def written(self, descriptor: int, data: bytes) -> None:
        if file := self._open.get(descriptor):
            file.data += data

    def synced(self, descriptor: int) -> None:
        if file := self._open.get(descriptor):
            file.synced = len(file.data)

    def renamed(self, source: Path, target: Path) -> None:
        if not self._has(target):
            return
        if self._now[source] is None:
            self._moved.append((source, target))
        self._now = _moved(self._now, source, target)

    def synced_directory(self, path: Path) -> None:
        for source, target in [move for move in self._moved if move[1].parent == path]:
            self._durable = _moved(self._durable, source, target)
            self._moved.remove((source, target))
        names = {entry for entry in (*self._now, *self._durable) if entry.parent == path}
        for name in names:
            if name in self._now:
                self._durable[name] = self._now[name]
            else:
                del self._durable[name]

    def removed(self, path: Path) -> None:
        if self._has(path):
            self._now.pop(path, None)

    def made_directory(self, path: Path) -> None:
        for directory in (path, *path.parents):
            if self._has(directory):
                self._now.setdefault(directory, None)

    def lose_power(self, cut: Cut) -> None:
        """Put on the real disk what the boot after a power cut finds, and go on from there."""
        left = self._left(cut)
        for top in self._tops:
            shutil.rmtree(top)
            top.mkdir(parents=True)
        for path, data in sorted(left.items()):
            if not path.parent.is_dir():
                continue
            if data is None:
                path.mkdir()
            else:
                path.write_bytes(data)
        self.begin()

    def _left(self, cut: Cut) -> dict[Path, bytes | None]:
        return {path: file and file.left(cut) for path, file in self._entries(cut)}

    def _entries(self, cut: Cut) -> ItemsView[Path, File | None]:
        return (self._durable if cut is Cut.LOST else self._now).items()

    def _has(self, path: Path) -> bool:
        return str(path).startswith(self._prefixes)


def _moved(entries: Entries, source: Path, target: Path) -> Entries:
    """The same, with a path and whatever is below it in another place, and nothing else left there."""
    there = {path: file for path, file in entries.items() if path != target and target not in path.parents}
    return {
        target / path.relative_to(source) if path == source or source in path.parents else path: file
        for path, file in there.items()
    }


def _read(path: Path) -> File:
    data = bytearray(path.read_bytes())
    return File(data, len(data))
