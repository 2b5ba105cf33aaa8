"""What is kept of the OS in images: ``/var/cache/mcd-rt/os/<hex of the image's digest>/``, pruned with the packages.

``os.json`` is what was read of it; ``repo`` its ostree repository where it was needed, used only with ``repo.json``,
which is written when it is whole and durable, and has its fingerprint.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mcd_rt.content import cache, fields
from mcd_rt.content.fingerprint import fingerprint_on_disk
from mcd_rt.content.osfacts import os_fields, os_of
from mcd_rt.effects import Effects, write_durably
from mcd_rt.errors import AgentError, Code
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.osimage import OsImage

VERSION = 1

_MAX_FACTS = 1 << 20


def os_entry_of(paths: HostPaths, digest: str) -> Path:
    """The directory for the image of this digest; raises ``ValueError`` for what is not a sha256 digest."""
    return paths.cache / cache.OS / cache.entry_of(paths, digest).name


def repository_of(paths: HostPaths, digest: str) -> Path:
    """The directory of an image's repository, whether it is there or not."""
    return os_entry_of(paths, digest) / "repo"


def load_os_image(paths: HostPaths, digest: str) -> OsImage | None:
    """What was read of the OS in this image, or nothing; reads one small file."""
    try:
        known = fields.parse_object(_read(os_entry_of(paths, digest) / "os.json"))
        found = os_of(fields.mapping(known, "os")) if known.get("version") == VERSION else None
    except (OSError, ValueError):  # whatever is wrong with it, it is read again, and that says what is wrong
        return None
    return found if found is not None and found.digest == digest else None


def store_os_image(effects: Effects, paths: HostPaths, found: OsImage) -> None:
    """Keep what was read; raises ``AgentError`` (``write-failed``)."""
    known = {"version": VERSION, "os": os_fields(found)}
    entry = os_entry_of(paths, found.digest)
    with cache.writing(entry):
        effects.make_directory(entry, 0o700)
    write_durably(effects, entry / "os.json", json.dumps(known, indent=1).encode() + b"\n")


def store_repository(effects: Effects, paths: HostPaths, digest: str, fingerprint: str) -> None:
    """Say that the repository is there, whole and durable; raises ``AgentError`` (``write-failed``)."""
    known = {"version": VERSION, "fingerprint": fingerprint}
    write_durably(effects, os_entry_of(paths, digest) / "repo.json", json.dumps(known).encode() + b"\n")


def has_repository(paths: HostPaths, digest: str) -> bool:
    """Whether the repository of this image is there; looked at, not read: ``open_repository`` compares."""
    return bool(_fingerprint(paths, digest)) and (repository_of(paths, digest) / "config").is_file()


def remove_repository(effects: Effects, paths: HostPaths, digest: str) -> None:
    """Remove the repository of an image, finished or not; first what says that it is there. Raises ``OSError``."""
    _remove_repository(effects, os_entry_of(paths, digest))


def discard_repository(effects: Effects, paths: HostPaths, digest: str) -> None:
    """Remove it because of a failure, which is the one to report; what stays is not believed."""
    entry = os_entry_of(paths, digest)
    with suppress(OSError):
        _remove_repository(effects, entry)
        if entry.is_dir() and not any(entry.iterdir()):
            effects.remove_directory(entry)


def drop_repositories(effects: Effects, paths: HostPaths) -> None:
    """Remove all of them: once nothing is to be staged, hundreds of megabytes are there for nobody.

    Raises ``AgentError`` (``write-failed``).
    """
    place = paths.cache / cache.OS
    with cache.writing(place):
        for entry in sorted(place.iterdir()) if place.is_dir() else []:
            _remove_repository(effects, entry)


@contextmanager
def open_repository(
    effects: Effects, paths: HostPaths, digest: str, go_on: Callable[[], None] = lambda: None
) -> Iterator[int]:
    """A descriptor of the directory, for ``ex-local-repo-remote``, closed with the block.

    All of it is read and compared with what was written: libostree takes objects of a local repository on trust (as
    ``ostree pull-local`` without ``--untrusted``; rpm-ostree pulls with no flags). Call it in a thread where waiting
    hurts; ``go_on`` as in ``open_packages``. Raises ``AgentError`` (``cache-corrupt``) where it is another one; it is
    gone then, to be fetched again.
    """
    path = repository_of(paths, digest)
    descriptor = _opened(effects, path)
    try:
        _compare(effects, path, _fingerprint(paths, digest), go_on)
        yield descriptor
    finally:
        os.close(descriptor)


def _opened(effects: Effects, path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        raise _changed(effects, path, f"cannot be opened: {error.strerror or error}") from error


def _compare(effects: Effects, path: Path, fingerprint: str, go_on: Callable[[], None]) -> None:
    try:
        found = fingerprint_on_disk(path, go_on)
    except OSError as error:
        raise _changed(effects, path, f"cannot be read: {error}") from error
    if found != fingerprint:
        raise _changed(effects, path, "is not what was fetched any more")


def _changed(effects: Effects, path: Path, what: str) -> AgentError:
    with suppress(OSError):  # what changed is the failure to report; what stays is not believed
        _remove_repository(effects, path.parent)
    return AgentError(
        Code.CACHE_CORRUPT,
        f"the repository {path} {what}",
        "it is fetched again with the next attempt; look after the disk if it comes back",
    )


def _remove_repository(effects: Effects, entry: Path) -> None:
    for part in (entry / "repo.json", entry / "repo", entry / "repo.new"):
        if os.path.lexists(part):
            cache.remove_tree(effects, part)


def _fingerprint(paths: HostPaths, digest: str) -> str:
    """What was written of a repository; nothing where that is not known."""
    try:
        known = fields.parse_object(_read(os_entry_of(paths, digest) / "repo.json"))
        return fields.text(known, "fingerprint") if known.get("version") == VERSION else ""
    except (OSError, ValueError):  # as for os.json
        return ""


def _read(path: Path) -> bytes:
    with open(path, "rb", opener=_open_no_link) as file:
        return file.read(_MAX_FACTS)


def _open_no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
