"""Says when files changed, by inotify(7): nothing polls.

The directory of a file is watched, not the file, so that writers which rename, rewrite in place or
replace the directory are all seen; while it is missing, its nearest ancestor is watched for it to come.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path

from inotify_simple import Event, INotify, flags

from mcd_rt.errors import AgentError, Code

_EVENTS = (
    flags.CLOSE_WRITE
    | flags.CREATE
    | flags.DELETE
    | flags.MOVED_FROM
    | flags.MOVED_TO
    | flags.ATTRIB
    | flags.DELETE_SELF
    | flags.MOVE_SELF
    | flags.ONLYDIR
)
ANY = "*"
_GONE = flags.IGNORED | flags.DELETE_SELF | flags.MOVE_SELF
_LOST = _GONE | flags.Q_OVERFLOW


class Watch:
    """Calls ``on_change`` in the running loop when one of the files may have changed.

    A file named ``*`` is any file of its directory.
    """

    def __init__(self, files: Iterable[Path], on_change: Callable[[], None]) -> None:
        """Begin to watch; ``close`` ends it. Raises ``AgentError`` where inotify has no room left."""
        self._files = tuple(files)
        self._on_change = on_change
        self._interesting: dict[int, set[str]] = {}
        self._leading: set[tuple[int, str]] = set()  # of those, what is missing on the way to a file
        self._watches: set[int] = set()
        try:
            self._inotify = INotify()
        except OSError as error:
            hint = "raise fs.inotify.max_user_instances"
            raise AgentError(Code.HOST_UNREADABLE, f"cannot watch files: {error.strerror}", hint) from error
        self._arm()
        asyncio.get_running_loop().add_reader(self._inotify.fileno(), self._ready)

    def close(self) -> None:
        """Stop watching."""
        asyncio.get_running_loop().remove_reader(self._inotify.fileno())
        self._inotify.close()

    def _arm(self) -> None:
        self._interesting.clear()
        self._leading.clear()
        for file in self._files:
            watch, missing = self._watch_nearest(file)
            if watch is not None:
                self._interesting.setdefault(watch, set()).add(missing.name)
                if missing != file:
                    self._leading.add((watch, missing.name))
        for watch in self._watches - set(self._interesting):
            with contextlib.suppress(OSError):  # it went with its directory
                self._inotify.rm_watch(watch)
        self._watches = set(self._interesting)

    def _watch_nearest(self, file: Path) -> tuple[int | None, Path]:
        """The watch on the nearest directory that is there, and what in it leads to the file, or is it.

        A directory that comes after it was found missing and before its parent is watched makes no event:
        that is why it is looked for again.
        """
        while True:
            missing, directory = file, file.parent
            while (watch := self._add(directory)) is None and directory != directory.parent:
                missing, directory = directory, directory.parent
            if missing == file or self._add(missing) is None:
                return watch, missing

    def _concerns(self, event: Event) -> bool:
        if event.mask & flags.Q_OVERFLOW:
            return True
        names = self._interesting.get(event.wd, set())
        return bool(names) and (bool(event.mask & _GONE) or event.name in names or ANY in names)

    def _add(self, directory: Path) -> int | None:
        try:
            watch: int = self._inotify.add_watch(directory, _EVENTS)
        except OSError:  # not there (yet), or not for us: its parent will tell
            return None
        self._watches.add(watch)
        return watch

    def _ready(self) -> None:
        concerning = [event for event in self._inotify.read(timeout=0) if self._concerns(event)]
        if any(event.mask & _LOST or (event.wd, event.name) in self._leading for event in concerning):
            self._arm()
        if concerning:
            self._on_change()
