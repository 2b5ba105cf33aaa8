"""Layers unpacked as a stream, bounded against bombs: what they are is told by their first bytes.

gzip may come in many members and zstd in many frames (both are how layers are made seekable). A stream
that ends too early is an error: python-zstandard's own readers take it for the end of the data.
"""

import zlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from mcd_rt.content.blob import Reader
from mcd_rt.errors import AgentError, Code

if TYPE_CHECKING:
    import zstandard

PIECE = 256 * 1024
MAX_UNPACKED = 64 << 30
MAX_WINDOW = 1 << 27  # what the zstd tool takes unless told otherwise

# Nothing an OS ships shrinks a hundredfold over any length; holes of a few MiB do.
MAX_RATIO = 100
RATIO_FREE = 64 << 20

# The decoder has no limit on what one call returns: 1 KiB holds 256 blocks of at most 128 KiB.
_ZSTD_SLICE = 1024
_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGICS = (b"\x28\xb5\x2f\xfd", *(bytes((0x50 + n, 0x2A, 0x4D, 0x18)) for n in range(16)))


class ByteStream:
    """Pieces of any size as one stream, forward only."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        """What ``pieces`` raises is raised by the reads."""
        self._pieces = pieces
        self._rest = memoryview(b"")

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes, as many as there are without waiting for more; none at the end."""
        while not self._rest:
            try:
                self._rest = memoryview(next(self._pieces))
            except StopIteration:
                return b""
        data, self._rest = self._rest[:size], self._rest[size:]
        return bytes(data)

    def take(self, size: int) -> bytes:
        """``size`` bytes, fewer only at the end."""
        parts = []
        while size and (data := self.read(size)):
            parts.append(data)
            size -= len(data)
        return b"".join(parts)

    def skip(self, size: int) -> int:
        """Pass over ``size`` bytes; returns how many there were."""
        left = size - len(self._rest)
        while left > 0:
            try:
                self._rest = memoryview(next(self._pieces))
            except StopIteration:
                self._rest = memoryview(b"")
                return size - left
            left -= len(self._rest)
        self._rest = self._rest[left or len(self._rest) :]
        return size


def unpacked(source: Reader, taken: Callable[[], int], name: str) -> ByteStream:
    """The plain bytes of a layer that is gzip, zstd or not packed at all.

    ``taken`` says how many packed bytes were read so far, ``name`` what to call the layer. Reads raise
    ``AgentError``: ``image-unreadable`` (damaged, ends too early), ``image-too-large`` (a bomb).
    """
    chunks = _chunks(source)
    first = b""
    while len(first) < 4 and (more := next(chunks, b"")):
        first += more
    chunks = _chain(first, chunks)
    if first.startswith(_GZIP_MAGIC):
        pieces = _gunzip(chunks, name)
    elif first.startswith(_ZSTD_MAGICS):
        pieces = _unzstd(chunks, name)
    else:
        pieces = chunks
    return ByteStream(_bounded(pieces, taken, name))


def _chunks(source: Reader) -> Iterator[bytes]:
    while data := source.read(PIECE):
        yield data


def _chain(first: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from chunks


def _gunzip(chunks: Iterator[bytes], name: str) -> Iterator[bytes]:
    member = zlib.decompressobj(zlib.MAX_WBITS | 16)
    for chunk in chunks:
        rest = chunk
        while rest:
            if member.eof:
                rest = rest.lstrip(b"\0")  # padding after a member is allowed
                if not rest:
                    break
                member = zlib.decompressobj(zlib.MAX_WBITS | 16)
            try:
                piece = member.decompress(rest, PIECE)
            except zlib.error as error:
                raise _damaged(name, f"its gzip stream is damaged: {error}") from error
            if piece:
                yield piece
            rest = member.unused_data if member.eof else member.unconsumed_tail
    if not member.eof:
        raise _damaged(name, "it ends in the middle of its gzip stream")


def _unzstd(chunks: Iterator[bytes], name: str) -> Iterator[bytes]:
    import zstandard  # noqa: PLC0415 - most layers are gzip

    decoder = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)
    frame = decoder.decompressobj()
    for chunk in chunks:
        for start in range(0, len(chunk), _ZSTD_SLICE):
            rest = chunk[start : start + _ZSTD_SLICE]
            while rest:
                if frame.eof:
                    frame = decoder.decompressobj()
                try:
                    piece = frame.decompress(rest)
                except zstandard.ZstdError as error:
                    raise _zstd_failure(name, error) from error
                if piece:
                    yield piece
                rest = frame.unused_data if frame.eof else b""
    if not frame.eof:
        raise _damaged(name, "it ends in the middle of its zstd stream")


def _zstd_failure(name: str, error: "zstandard.ZstdError") -> AgentError:
    if "too much memory" in str(error):  # libzstd's text for its code "window too large"; the code is not passed on
        return _bomb(name, f"its zstd window is larger than {MAX_WINDOW} bytes")
    return _damaged(name, f"its zstd stream is damaged: {error}")


def _bounded(pieces: Iterator[bytes], taken: Callable[[], int], name: str) -> Iterator[bytes]:
    total = 0
    for piece in pieces:
        total += len(piece)
        if total > MAX_UNPACKED:
            raise _bomb(name, f"it unpacks to more than {MAX_UNPACKED} bytes")
        if total > RATIO_FREE and total > MAX_RATIO * taken():
            raise _bomb(name, f"{taken()} bytes of it unpack to more than {total}")
        yield piece


def _damaged(name: str, what: str) -> AgentError:
    return AgentError(Code.IMAGE_UNREADABLE, f"{name} cannot be unpacked: {what}", "the image was built wrong")


def _bomb(name: str, what: str) -> AgentError:
    return AgentError(Code.IMAGE_TOO_LARGE, f"{name} is not unpacked: {what}", "do not trust this image")
