"""The files of public keys on a host: found and opened by the agent, read by the worker that judges.

What the agent knows of them is their identity, so that it notices when others are to judge: the hash of the hashes
of their contents. What a file is called, and where it is, makes no key another one.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mcd_rt.content.fields import MAX_KEYS
from mcd_rt.errors import AgentError, Code
from mcd_rt.fileidentity import is_file
from mcd_rt.hostpaths import HostPaths

_PIECE = 64 * 1024


def find_keys(paths: HostPaths, sources: Sequence[str]) -> tuple[Path, ...]:
    """The files among ``sources``, and in the directories among them, below the root; each file once.

    Raises ``AgentError`` (``package-signature-bad``) where there is none, or more than can be handed over.
    """
    files = {file.resolve(): None for source in sources for file in _files(paths.below(source))}
    if not 0 < len(files) <= MAX_KEYS:
        raise AgentError(
            Code.PACKAGE_SIGNATURE_BAD,
            f"{len(files)} files of public keys are in {', '.join(sources) or 'no place'}, expected 1 to {MAX_KEYS}",
            "[content] keys says where the vendor's keys are looked for",
        )
    return tuple(files)


@contextmanager
def open_keys(files: Sequence[Path]) -> Iterator[list[int]]:
    """Read-only descriptors of key files, closed with the block; raises ``AgentError`` (``package-signature-bad``)."""
    with ExitStack() as stack:
        descriptors = []
        for file in files:
            try:
                descriptors.append(os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))
            except OSError as error:
                raise _unusable(file, "opened", error) from error
            stack.callback(os.close, descriptors[-1])
        yield descriptors


def digest_of_key(file: Path, descriptor: int) -> str:
    """The SHA-256 of what is behind the descriptor of a key file, whose offset stays.

    Raises ``AgentError`` (``package-signature-bad``).
    """
    digest, offset = hashlib.sha256(), 0
    try:
        while data := os.pread(descriptor, _PIECE, offset):
            digest.update(data)
            offset += len(data)
    except OSError as error:
        raise _unusable(file, "read", error) from error
    return digest.hexdigest()


def identity_of_keys(digests: Iterable[str]) -> str:
    """One text for a set of keys, from their digests in any order."""
    return hashlib.sha256("\n".join(sorted(set(digests))).encode()).hexdigest()


def read_identity(paths: HostPaths, sources: Sequence[str]) -> str:
    """The identity of the keys that would judge now; raises as ``find_keys`` and ``digest_of_key``."""
    files = find_keys(paths, sources)
    with open_keys(files) as descriptors:
        return identity_of_keys(map(digest_of_key, files, descriptors))


def _unusable(file: Path, what: str, error: OSError) -> AgentError:
    return AgentError(
        Code.PACKAGE_SIGNATURE_BAD,
        f"the public key {file} cannot be {what}: {error.strerror}",
        "make it readable, or name others in [content] keys",
    )


def _files(place: Path) -> list[Path]:
    try:
        found = sorted(place.iterdir()) if place.is_dir() else [place]
    except OSError:  # one place of several: what is found elsewhere decides
        return []
    return [file for file in found if is_file(file)]
