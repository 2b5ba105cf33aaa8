"""Layers are unpacked whatever they are packed with, to the end or not at all, and never without bounds."""

import gzip
import hashlib
import io
import zlib

import pytest
import zstandard

from mcd_rt.content import decompress
from mcd_rt.content.decompress import ByteStream, unpacked
from mcd_rt.errors import AgentError, Code

DATA = hashlib.shake_256(b"layer").digest(1 << 18)
SKIPPABLE = b"\x5a\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"table"


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


def stream(packed: bytes) -> ByteStream:
    source = io.BytesIO(packed)
    return unpacked(source, source.tell, "layer x")


def everything(packed: bytes) -> bytes:
    return stream(packed).take(1 << 40)


@pytest.mark.parametrize(
    ("packed", "plain"),
    [
        (DATA, DATA),
        (b"", b""),
        (b"abc", b"abc"),
        (gzip.compress(DATA), DATA),
        (gzip.compress(b""), b""),
        (gzip.compress(DATA[:9]) + gzip.compress(DATA[9:]), DATA),
        (gzip.compress(DATA) + bytes(1000), DATA),
        (zstd(DATA), DATA),
        (zstd(DATA[:9]) + SKIPPABLE + zstd(DATA[9:]) + SKIPPABLE, DATA),
        (SKIPPABLE + zstd(DATA), DATA),
    ],
    ids=["plain", "nothing", "tiny", "gzip", "empty", "members", "padding", "zstd", "frames", "skippable"],
)
def test_the_first_bytes_tell_how_it_is_packed(packed, plain):
    assert everything(packed) == plain


def test_a_source_that_gives_a_byte_at_a_time_is_enough():
    class Slow(io.BytesIO):
        def read(self, size: int = -1) -> bytes:
            return super().read(1)

    source = Slow(gzip.compress(DATA[:999]))
    assert unpacked(source, source.tell, "layer x").take(1 << 40) == DATA[:999]


GZIP = gzip.compress(DATA, mtime=0)
ZSTD = zstd(DATA)


@pytest.mark.parametrize(
    ("packed", "message"),
    [
        (GZIP[:-9], "it ends in the middle of its gzip stream"),
        (GZIP[:5], "it ends in the middle of its gzip stream"),
        (GZIP + GZIP[:20], "it ends in the middle of its gzip stream"),
        (GZIP[:-8] + b"\1" * 8, "its gzip stream is damaged: "),
        (GZIP + b"garbage", "its gzip stream is damaged: "),
        (ZSTD[:-1], "it ends in the middle of its zstd stream"),
        (ZSTD + SKIPPABLE[:-1], "it ends in the middle of its zstd stream"),
        (ZSTD[:9] + b"\xff" * 99, "its zstd stream is damaged: "),
        (ZSTD + b"garbage", "its zstd stream is damaged: "),
    ],
    ids=["cut", "in header", "second cut", "sum", "garbage", "zstd cut", "skippable cut", "zstd block", "zstd garbage"],
)
def test_a_stream_that_is_cut_or_damaged_is_no_layer(packed, message):
    with pytest.raises(AgentError, match=f"layer x cannot be unpacked: {message}") as caught:
        everything(packed)
    assert caught.value.failure.code is Code.IMAGE_UNREADABLE


def gzip_bomb() -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(200)) + packer.flush()


def zstd_bomb() -> bytes:
    return zstd(bytes(200 << 20))


@pytest.mark.parametrize("bomb", [gzip_bomb, zstd_bomb])
def test_a_bomb_is_stopped_long_before_it_is_unpacked(bomb):
    found = stream(bomb())
    with pytest.raises(AgentError, match="bytes of it unpack to more than") as caught:
        found.skip(1 << 40)
    assert caught.value.failure.code is Code.IMAGE_TOO_LARGE


def test_a_hole_of_some_megabytes_is_no_bomb():
    assert stream(gzip.compress(bytes(32 << 20))).skip(1 << 40) == 32 << 20


def test_the_whole_is_bounded_however_well_it_is_packed(monkeypatch):
    monkeypatch.setattr(decompress, "MAX_UNPACKED", len(DATA) - 1)
    with pytest.raises(AgentError, match=f"it unpacks to more than {len(DATA) - 1} bytes") as caught:
        everything(gzip.compress(DATA))
    assert caught.value.failure.code is Code.IMAGE_TOO_LARGE


def test_a_zstd_window_that_would_take_all_memory_is_refused():
    wide = zstandard.ZstdCompressionParameters(window_log=28, enable_ldm=True)
    packer = zstandard.ZstdCompressor(compression_params=wide).compressobj()
    packed = packer.compress(DATA * 30) + packer.flush()
    with pytest.raises(AgentError, match="its zstd window is larger than 134217728 bytes") as caught:
        everything(packed)
    assert caught.value.failure.code is Code.IMAGE_TOO_LARGE


def test_a_byte_stream_gives_what_is_there():
    pieces = ByteStream(iter([b"ab", b"", b"cdef"]))
    assert pieces.read(9) == b"ab"
    assert pieces.take(2) == b"cd"
    assert pieces.skip(1) == 1
    assert pieces.skip(9) == 1
    assert pieces.read(1) == b""


@pytest.mark.parametrize("first", [0, 1, 3, 4])
@pytest.mark.parametrize("passed", range(12))
def test_what_is_passed_over_is_what_would_have_been_read(first, passed):
    pieces = [b"abc", b"", b"defgh", b"ij"]
    read, skipped = ByteStream(iter(pieces)), ByteStream(iter(pieces))
    assert read.take(first) == skipped.take(first)
    assert len(read.take(passed)) == skipped.skip(passed)
    assert read.take(100) == skipped.take(100)
    assert skipped.skip(1) == 0
