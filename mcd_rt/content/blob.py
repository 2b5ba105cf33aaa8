"""Blobs of an image: what a manifest says about one, and a reader that believes it only at the end."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from mcd_rt.errors import AgentError, Code
from mcd_rt.frozen import frozen

_PIECE = 256 * 1024


@frozen
class Descriptor:
    """What a manifest says about a blob; ``digest`` is ``sha256:`` and 64 hex digits, ``size`` in bytes."""

    media_type: str
    digest: str
    size: int


class Reader(Protocol):
    """Bytes from somewhere, forward only."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; none at the end."""


class VerifiedReader:
    """Reads a blob while hashing it; the last read raises if it was not the blob that was promised.

    ``on_read`` is told the bytes taken by each read. What was read is proven only when ``drain`` returned.
    """

    def __init__(self, source: Reader, blob: Descriptor, on_read: Callable[[int], None]) -> None:
        """``source`` stays its owner's to close."""
        self._source = source
        self._blob = blob
        self._on_read = on_read
        self._hash = hashlib.sha256()
        self.taken = 0

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes.

        Raises ``AgentError``: ``image-digest-mismatch`` where the blob ends or exceeds its size and is not
        the one of its digest, ``image-unreadable`` where the bytes cannot be had.
        """
        try:
            data = self._source.read(size)
        except OSError as error:
            raise AgentError(
                Code.IMAGE_UNREADABLE,
                f"cannot read blob {self._blob.digest}: {error.strerror or error}",
                "look after the disk the image is on",
            ) from error
        self._hash.update(data)
        self.taken += len(data)
        self._on_read(len(data))
        if self.taken > self._blob.size:
            raise _mismatch(self._blob, f"is longer than the {self._blob.size} bytes its manifest says")
        if not data:
            self._check()
        return data

    def drain(self) -> None:
        """Read what is left; raises as ``read``."""
        while self.read(_PIECE):
            pass

    def _check(self) -> None:
        if self.taken != self._blob.size:
            raise _mismatch(self._blob, f"has {self.taken} bytes, its manifest says {self._blob.size}")
        if (found := f"sha256:{self._hash.hexdigest()}") != self._blob.digest:
            raise _mismatch(self._blob, f"has the digest {found}")


@contextmanager
def verified(source: Reader, blob: Descriptor, on_read: Callable[[int], None]) -> Iterator[VerifiedReader]:
    """A reader whose blob is read to its end and verified when the block is left.

    Also after an error in the block: where the blob is not the promised one, that is the cause to name.
    """
    reader = VerifiedReader(source, blob, on_read)
    try:
        yield reader
    except AgentError:
        reader.drain()
        raise
    reader.drain()


def _mismatch(blob: Descriptor, what: str) -> AgentError:
    return AgentError(
        Code.IMAGE_DIGEST_MISMATCH,
        f"blob {blob.digest} {what}",
        "the image is damaged: copy it again; nothing of it was used",
    )
