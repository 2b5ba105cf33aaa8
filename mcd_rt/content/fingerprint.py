"""One digest for all files of a repository: what was written, against what is there."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

_PIECE = 256 * 1024
_PLACES = ("objects", "refs/heads")


def fingerprint_of(sums: Iterable[tuple[str, str]]) -> str:
    """The digest of names and SHA-256 sums of files, in whatever order they come."""
    lines = sorted(f"{name} {digest}\n" for name, digest in sums)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def fingerprint_on_disk(place: Path, go_on: Callable[[], None] = lambda: None) -> str:
    """The same of the config, objects and branches of a repository, all read; raises ``OSError``.

    ``go_on`` is called all the while, and what it raises ends it.
    """
    return fingerprint_of((name, _sum(place / name, go_on)) for name in ("config", *_names(place)))


def _names(place: Path) -> Iterator[str]:
    for top in _PLACES:
        for directory, _, files in os.walk(place / top):
            yield from (str((Path(directory) / file).relative_to(place)) for file in files)


def _sum(path: Path, go_on: Callable[[], None]) -> str:
    digest = hashlib.sha256()
    with open(path, "rb", opener=_open_no_link) as file:
        while data := file.read(_PIECE):
            go_on()
            digest.update(data)
    return digest.hexdigest()


def _open_no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
