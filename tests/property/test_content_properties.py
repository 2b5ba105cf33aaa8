"""Whatever an image or a worker is made of: it is read as others would read it, or refused in our own words."""

import gzip
import hashlib
import io
import json
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

import rpm_rs
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from mcd_rt.content import frames, rpm
from mcd_rt.content.archive import Kind, members
from mcd_rt.content.decompress import ByteStream, unpacked
from mcd_rt.content.frames import ErrorFrame
from mcd_rt.content.layout import open_image
from mcd_rt.content.overlay import Layer, Ordinary, Shadow, in_place, meaning
from mcd_rt.errors import AgentError, Code, Failure
from mcd_rt.model.nevra import Nevra
from mcd_rt.sim.image import Layer as ImageLayer
from mcd_rt.sim.image import build_rpm, put_blob, write_layout

T = TypeVar("T")

PATH = st.lists(
    st.text("abé .-", min_size=1, max_size=60).filter(lambda part: part not in (".", "..")), min_size=1
).map("/".join)
FILES = st.dictionaries(PATH, st.binary(max_size=2000), max_size=8)
FORMATS = st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
KINDS = {tarfile.REGTYPE: Kind.FILE, tarfile.DIRTYPE: Kind.DIRECTORY, tarfile.SYMTYPE: Kind.SYMBOLIC_LINK}


def attempt(call: Callable[[], T]) -> T | AgentError:
    """What a call gives or how it fails; anything but a failure in our own words goes on."""
    try:
        return call()
    except AgentError as error:
        return error


def code_of(found: object) -> Code | None:
    return found.failure.code if isinstance(found, AgentError) else None


def packed(files: Mapping[str, bytes], kinds: list[bytes], form: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as writer:
        for (path, data), kind in zip(files.items(), kinds, strict=False):
            member = tarfile.TarInfo(path)
            member.type, member.linkname = kind, "target" if kind == tarfile.SYMTYPE else ""
            member.size = len(data) if kind == tarfile.REGTYPE else 0
            writer.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def read_archive(data: bytes) -> list[tuple[str, Kind, bytes]]:
    stream = ByteStream(data[start : start + 700] for start in range(0, len(data), 700))
    return [(member.path, member.kind, found.take(1 << 30)) for member, found in members(stream, "layer x")]


@given(FILES, st.lists(st.sampled_from(sorted(KINDS)), min_size=8, max_size=8), FORMATS)
def test_an_archive_is_read_as_the_standard_library_reads_it(files, kinds, form):
    data = packed(files, kinds, form)
    with tarfile.open(fileobj=io.BytesIO(data)) as reader:
        expected = []
        for member in reader:
            content = reader.extractfile(member) if member.isreg() else None
            expected.append((member.name, KINDS[member.type], content.read() if content else b""))
    assert read_archive(data) == expected


@given(FILES, FORMATS, st.data())
def test_a_damaged_archive_is_refused_or_read_but_nothing_else_happens(files, form, data):
    whole = bytearray(packed(files, [tarfile.REGTYPE] * 8, form))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    found = attempt(lambda: read_archive(cut))
    if isinstance(found, AgentError):
        assert code_of(found) in (Code.IMAGE_UNREADABLE, Code.IMAGE_UNSAFE, Code.IMAGE_TOO_LARGE)
    else:
        assert not any(path.startswith("/") or ".." in path.split("/") for path, _, _ in found)


PACKERS = st.sampled_from([gzip.compress, zstandard.ZstdCompressor().compress])


@given(st.lists(st.binary(max_size=5000), min_size=1, max_size=4), PACKERS)
def test_any_number_of_members_or_frames_is_one_stream(parts, pack):
    source = io.BytesIO(b"".join(pack(part) for part in parts))
    assert unpacked(source, source.tell, "layer x").take(1 << 30) == b"".join(parts)


@given(st.binary(min_size=1, max_size=5000), PACKERS, st.data())
def test_a_cut_stream_is_never_taken_for_a_whole_one(plain, pack, data):
    whole = pack(plain)
    source = io.BytesIO(whole[: data.draw(st.integers(5, len(whole) - 1))])
    found = attempt(lambda: unpacked(source, source.tell, "layer x").skip(1 << 30))
    assert code_of(found) is Code.IMAGE_UNREADABLE


# What layers hide, against a container that unpacks them one on the other

NAMES = ("extensions", "extensions/a.rpm", "extensions/x", "extensions/x/a.rpm", "extensions/x/b.rpm", "a.rpm", "b.rpm")
CHANGES = st.sampled_from(["file", "directory", "whiteout", "opaque"])
LAYERS = st.lists(st.dictionaries(st.sampled_from(NAMES), CHANGES, max_size=5), max_size=4)


def written(layer: Mapping[str, str]) -> list[tuple[str, bool]]:
    """Members of a layer as (path, is a directory), leaving out what no layer can say at once."""
    files = {path for path, change in layer.items() if change == "file"}
    found = []
    for path, change in layer.items():
        top, _, name = path.rpartition("/")
        if any(path.startswith(f"{file}/") for file in files):
            continue
        if change == "whiteout":
            found.append((f"{top}/.wh.{name}" if top else f".wh.{name}", False))
        elif change == "opaque":
            found.append((f"{path}/.wh..wh..opq", False))
        else:
            found.append((path, change == "directory"))
    return found


def below(path: str, directory: str) -> bool:
    return path.startswith(f"{directory}/")


def unpacked_in_order(layers: list[list[tuple[str, bool]]]) -> dict[str, int]:
    """The RPM files of the image and the layer each came from: whiteouts first, then what the layer adds."""
    tree: dict[str, tuple[bool, int]] = {}
    for number, layer in enumerate(layers):
        for path, _ in layer:
            target = meaning(path)
            if not isinstance(target, Ordinary):
                gone = {old for old in tree if below(old, target.path)}
                gone |= {target.path} if path.rpartition("/")[2] != ".wh..wh..opq" else set()
                tree = {old: kept for old, kept in tree.items() if old not in gone}
        for path, directory in layer:
            if not isinstance(meaning(path), Ordinary):
                continue
            parts = path.split("/")
            for above in ("/".join(parts[:n]) for n in range(1, len(parts))):
                if above in tree and not tree[above][0]:
                    del tree[above]
                tree.setdefault(above, (True, number))
            if not directory:
                tree = {old: kept for old, kept in tree.items() if not below(old, path)}
            tree[path] = (directory, number)
    return {path: number for path, (directory, number) in tree.items() if not directory and in_place(path)}


@given(LAYERS)
def test_newest_first_shows_what_unpacking_oldest_first_would_leave(changes):
    layers = [written(layer) for layer in changes]
    found = {}
    shadow = Shadow()
    for number in reversed(range(len(layers))):
        marks = Layer()
        for path, directory in layers[number]:
            marks.add(path, directory=directory)
            if not directory and in_place(path) and not shadow.hides(path):
                found[path] = number
        shadow = marks.above(shadow)
    assert found == unpacked_in_order(layers)


# RPMs, manifests and frames

RPM = build_rpm(Nevra("kernel-rt-core", 0, "1", "1", "x86_64"), kernel_release="1.x86_64", payload=b"kernel" * 50)


OFFSETS = rpm_rs.PackageMetadata.from_bytes(RPM).package_segment_offsets()
HEADER, PAYLOAD = OFFSETS.header, OFFSETS.payload


def inspected(data: bytes) -> frames.PackageFrame:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        return rpm.inspect(file.fileno(), "a.rpm")


TRUE = inspected(RPM)


@given(st.integers(0, len(RPM) - 1), st.integers(1, 255))
def test_no_changed_byte_of_an_rpm_changes_what_is_believed_of_it(offset, change):
    changed = bytearray(RPM)
    changed[offset] ^= change
    found = attempt(lambda: inspected(bytes(changed)))
    assert found == TRUE or code_of(found) is Code.PACKAGE_CORRUPT


@given(st.integers(0, len(RPM) - 1))
def test_a_cut_rpm_is_always_corrupt(size):
    assert code_of(attempt(lambda: inspected(RPM[:size]))) is Code.PACKAGE_CORRUPT


def with_right_digests(data: bytes) -> bytes:
    """The package with the digests in its signature header made those of the header it has now."""
    for algorithm in (hashlib.sha1, hashlib.sha256):
        before, now = (algorithm(whole[HEADER:PAYLOAD]).hexdigest().encode() for whole in (RPM, data))
        data = data.replace(before, now)
    return data


@given(st.dictionaries(st.integers(HEADER + 16, PAYLOAD - 1), st.integers(0, 255), min_size=1, max_size=6))
def test_a_header_that_was_made_to_hurt_is_a_package_or_corrupt(changes):
    changed = bytearray(RPM)
    for offset, value in changes.items():
        changed[offset] = value
    found = attempt(lambda: inspected(with_right_digests(bytes(changed))))
    assert isinstance(found, frames.PackageFrame) or code_of(found) is Code.PACKAGE_CORRUPT


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = ["manifests", "layers", "config", "mediaType", "digest", "size", "annotations", "platform", "rootfs", "diff_ids"]


def test_any_manifest_is_an_image_or_refused(tmp_path):
    image = write_layout(tmp_path, [ImageLayer({"a": b"1"})], tag="x", architecture="x86_64")
    plain = json.loads((tmp_path / "blobs" / image.digest.replace(":", "/")).read_bytes())

    @given(st.dictionaries(st.sampled_from(KEYS), JSON, max_size=3))
    def check(changes: dict[str, object]) -> None:
        reference = replace(image, digest=put_blob(tmp_path, json.dumps(plain | changes).encode()))
        found = attempt(lambda: open_image(reference, "x86_64", 64).digest)
        assert found == reference.digest or code_of(found) in (Code.IMAGE_UNREADABLE, Code.IMAGE_TOO_LARGE)

    check()


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_line_is_a_frame_or_a_failure_of_the_worker(line):
    for decode in (frames.decode, frames.decode_request):
        assert code_of(attempt(lambda: decode(line))) in (None, Code.WORKER_FAILED)  # noqa: B023 - called at once


@given(st.text(), st.text())
def test_whatever_a_worker_has_to_say_arrives_and_can_be_printed(message, hint):
    line = frames.encode(ErrorFrame(Failure(Code.IMAGE_UNSAFE, message, hint)))
    found = frames.decode(line.removesuffix(b"\n"))
    assert isinstance(found, ErrorFrame)
    assert found.failure.message.isprintable()
    if message.isprintable() and len(message) <= 1024:
        assert found.failure.message == message
