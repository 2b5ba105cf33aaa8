"""The cache of fetched packages: a directory for each image, used only with the manifest written last.

``/var/cache/mcd-rt/<hex of the image's digest>/`` holds ``0.rpm``, ``1.rpm`` ... and ``content.json``. Files
are named by the agent, never by what is in the image. An entry without a manifest, with a damaged one or
with anything missing is no entry, nor is one whose packages were judged by other keys than are trusted now.
"""

import errno
import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from mcd_rt.content.entry import Entry, decode_entry, encode_entry
from mcd_rt.content.keys import read_identity
from mcd_rt.effects import Effects, write_durably
from mcd_rt.errors import AgentError, Code
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.content import Content, Judge, Package
from mcd_rt.model.settings import ContentSettings

OS = "os"  # the directory beside the packages for what is known and kept of the OS in images: osentry.py

_PIECE = 256 * 1024
_MAX_MANIFEST = 8 << 20
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
_ENTRY = re.compile(r"[0-9a-f]{64}")
_KEYS = ContentSettings().keys


def entry_of(paths: HostPaths, digest: str) -> Path:
    """The directory for the image of this digest; raises ``ValueError`` for what is not a sha256 digest."""
    name = digest.removeprefix("sha256:")
    if not _ENTRY.fullmatch(name):
        raise ValueError(f"not a sha256 digest: {digest!r}")
    return paths.cache / name


def load(
    paths: HostPaths,
    digest: str,
    names: tuple[str, ...],
    trust: str = "require",
    keys: Sequence[str] = _KEYS,
) -> Content | None:
    """What was fetched from this image for exactly these names, or nothing.

    Packages whose signatures nobody judged, or others than the ``keys`` (as ``content.keys`` names them) that are
    there now, are nothing, unless ``trust`` is ``digest-only``. Only keys are read, and only for an entry that has
    packages; files are looked at: ``open_packages`` compares them with their digests.
    """
    directory = entry_of(paths, digest)
    try:
        entry = decode_entry(_read_manifest(directory / "content.json"))
        sizes = [_size(directory / package.file) for package in entry.content.packages]
    except (OSError, ValueError):  # whatever is wrong with it, it is fetched again, and that says what is wrong
        return None
    content = entry.content
    if content.digest != digest or set(entry.names) != set(names) or sizes != [p.size for p in content.packages]:
        return None
    if trust == "require" and content.packages and not _is_judged(paths, entry, keys):
        return None
    return content


def _is_judged(paths: HostPaths, entry: Entry, keys: Sequence[str]) -> bool:
    """Whether the packages of an entry were judged by the keys that are there now."""
    if entry.content.trusted_by is Judge.NOBODY:
        return False
    try:
        return entry.keys == read_identity(paths, keys)
    except AgentError:  # no keys that can be read: to fetch it again says so
        return False


def create(effects: Effects, paths: HostPaths, digest: str) -> Path:
    """Make the directory of an entry, to be filled and stored; raises ``AgentError`` (``write-failed``)."""
    entry = entry_of(paths, digest)
    with writing(entry):
        effects.make_directory(entry, 0o700)
    return entry


def store(effects: Effects, paths: HostPaths, content: Content, names: tuple[str, ...], keys: str = "") -> None:
    """Make an entry of files that are already written and durable; raises ``AgentError`` (``write-failed``).

    ``keys`` is the identity of those that judged, empty where none did.
    """
    directory = entry_of(paths, content.digest)
    with writing(directory):
        effects.fsync_directory(directory)
        effects.fsync_directory(directory.parent)
    write_durably(effects, directory / "content.json", encode_entry(Entry(content, names, keys)))


def remove(effects: Effects, paths: HostPaths, digest: str) -> None:
    """Remove an entry and whatever else has its name; raises ``AgentError`` (``write-failed``)."""
    entry = entry_of(paths, digest)
    with writing(entry):
        remove_tree(effects, entry)


def discard(effects: Effects, paths: HostPaths, digest: str) -> None:
    """Remove an entry because of a failure, which is the one to report: ``load`` does not believe what is left."""
    with suppress(AgentError):
        remove(effects, paths, digest)


def remove_leftover(effects: Effects, path: Path) -> None:
    """Remove what a failure left, which is the one to report; what stays is not believed."""
    with suppress(OSError):
        remove_tree(effects, path)


def used_bytes(paths: HostPaths) -> int:
    """How many bytes all entries have; raises ``AgentError`` (``write-failed``)."""
    with writing(paths.cache):
        return sum(path.lstat().st_size for path in paths.cache.rglob("*") if path.is_file())


def free_bytes(directory: Path) -> int:
    """How many bytes can still be written where a directory is; raises ``OSError``."""
    room = os.statvfs(directory)
    return room.f_bavail * room.f_frsize


def make_scratch(effects: Effects, paths: HostPaths) -> Path:
    """An empty directory for a worker's copy of an image; raises ``AgentError`` (``write-failed``)."""
    scratch = paths.cache / "scratch"
    with writing(scratch):
        remove_tree(effects, scratch)
        effects.make_directory(scratch, 0o700)
    return scratch


def remove_scratch(effects: Effects, paths: HostPaths) -> None:
    """Remove it, with what a worker that died left in it; a failure to do so hinders nothing."""
    scratch = paths.cache / "scratch"
    with suppress(OSError):
        if scratch.is_dir():
            remove_tree(effects, scratch)


def prune(effects: Effects, paths: HostPaths, keep: frozenset[str]) -> None:
    """Remove the entries of all images but these (by digest), and what a worker that died left of a copy.

    What is not named like an entry is not ours and stays. Raises ``AgentError`` (``write-failed``).
    """
    kept = {entry_of(paths, digest).name for digest in keep}
    remove_scratch(effects, paths)
    with writing(paths.cache):
        for place in (paths.cache, paths.cache / OS):
            for entry in sorted(place.iterdir()) if place.is_dir() else []:
                if _ENTRY.fullmatch(entry.name) and entry.name not in kept:
                    remove_tree(effects, entry)


@contextmanager
def open_packages(
    effects: Effects,
    paths: HostPaths,
    digest: str,
    packages: Sequence[Package],
    go_on: Callable[[], None] = lambda: None,
) -> Iterator[tuple[int, ...]]:
    """Read-only descriptors of packages, compared with their digests, closed with the block.

    Their offsets are 0, where rpm-ostree reads from. The files are read whole: call it in a thread where
    waiting hurts; ``go_on`` is called all the while, and what it raises ends it. Raises ``AgentError``:
    ``cache-corrupt`` where a file is not the one that was inspected (the entry is gone then, so that it is fetched
    again), ``host-exhausted`` where it cannot be opened now.
    """
    entry = entry_of(paths, digest)
    with ExitStack() as stack:
        try:
            descriptors = tuple(_open_compared(stack, entry, package, go_on) for package in packages)
        except AgentError as error:
            if error.failure.code is Code.CACHE_CORRUPT:
                discard(effects, paths, digest)
            raise
        yield descriptors


def _open_compared(stack: ExitStack, entry: Path, package: Package, go_on: Callable[[], None]) -> int:
    path = entry / package.file
    descriptor = open_file(path)
    stack.callback(os.close, descriptor)
    _compare(descriptor, path, package, go_on)
    return descriptor


def open_file(path: Path) -> int:
    """A fresh read-only descriptor of a package, its offset 0.

    Raises ``AgentError``: ``cache-corrupt``, or ``host-exhausted``, which says nothing about the file.
    """
    try:
        return _open_no_link(str(path), os.O_RDONLY)
    except OSError as error:
        if error.errno in _EXHAUSTED:
            hint = "what was fetched stays; `ls /proc/PID/fd` shows who holds open what"
            raise AgentError(Code.HOST_EXHAUSTED, f"cannot open {path}: {error.strerror}", hint) from error
        raise _changed(path, error.strerror or str(error)) from error


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Tell a failure to write ``path`` or something below it as ``AgentError`` (``write-failed``)."""
    try:
        yield
    except OSError as error:
        raise AgentError(
            Code.WRITE_FAILED,
            f"cannot write {error.filename or path}: {error.strerror or error}",
            "make room or make the place writable; nothing was changed",
        ) from error


def _compare(descriptor: int, path: Path, package: Package, go_on: Callable[[], None]) -> None:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise _changed(path, "not a file")
    digest = hashlib.sha256()
    offset = 0
    try:
        while data := os.pread(descriptor, _PIECE, offset):
            go_on()
            digest.update(data)
            offset += len(data)
    except OSError as error:
        raise _changed(path, error.strerror or str(error)) from error
    if digest.hexdigest() != package.sha256:
        raise _changed(path, f"{offset} bytes with the digest {digest.hexdigest()}")


def _changed(path: Path, found: str) -> AgentError:
    return AgentError(
        Code.CACHE_CORRUPT,
        f"{path} is not the package that was fetched any more: {found}",
        "it is fetched again with the next attempt; look after the disk if it comes back",
    )


def _size(path: Path) -> int:
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError(f"{path} is not a file")
    return found.st_size


def _read_manifest(path: Path) -> bytes:
    with open(path, "rb", opener=_open_no_link) as file:
        return file.read(_MAX_MANIFEST)


def _open_no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)


def remove_tree(effects: Effects, path: Path) -> None:
    """Remove a file, or a directory with all that is in it; raises ``OSError``."""
    if path.is_dir() and not path.is_symlink():
        for inner in sorted(path.iterdir()):
            remove_tree(effects, inner)
        effects.remove_directory(path)
    else:
        effects.remove(path)
