"""A tar archive is read as its formats say, refused where it is damaged, and never held in memory."""

import io
import tarfile

import pytest

from mcd_rt.content import archive
from mcd_rt.content.archive import Kind, Member, members
from mcd_rt.content.decompress import ByteStream
from mcd_rt.errors import AgentError, Code

LONG = "d" * 150 + "/" + "f" * 150


def header(name: str = "f", *, size: int = 0, kind: bytes = tarfile.REGTYPE, **attributes: object) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.size, found.type = size, kind
    for key, value in attributes.items():
        setattr(found, key, value)
    return found


def block(found: tarfile.TarInfo, form: int = tarfile.USTAR_FORMAT) -> bytes:
    return found.tobuf(form, "utf-8", "surrogateescape")


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def pax(records: bytes, kind: bytes = tarfile.XHDTYPE) -> bytes:
    return block(header("pax", size=len(records), kind=kind)) + padded(records)


def record(key: str, value: str) -> bytes:
    rest = f" {key}={value}\n".encode()
    size = len(rest) + len(str(len(rest)))
    return str(size + (len(str(size)) > len(str(len(rest))))).encode() + rest


END = bytes(1024)


def read(data: bytes) -> list[tuple[Member, bytes]]:
    return [(member, found.take(1 << 30)) for member, found in members(ByteStream(iter([data])), "layer x")]


def paths(data: bytes) -> list[str]:
    return [member.path for member, _ in read(data)]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_have_their_paths_kinds_and_data(form):
    buffer = io.BytesIO()
    name = f"{'d' * 90}/{'f' * 90}" if form == tarfile.USTAR_FORMAT else LONG
    with tarfile.open(fileobj=buffer, mode="w", format=form) as writer:
        writer.addfile(header("./a/", kind=tarfile.DIRTYPE))
        writer.addfile(header(name, size=700), io.BytesIO(b"x" * 700))
        writer.addfile(header("link", kind=tarfile.SYMTYPE, linkname="/etc/shadow"))
        writer.addfile(header("hard", kind=tarfile.LNKTYPE, linkname="a"))
        writer.addfile(header("pipe", kind=tarfile.FIFOTYPE))
        writer.addfile(header("disk", kind=tarfile.BLKTYPE))
        writer.addfile(header("empty"))
    assert read(buffer.getvalue()) == [
        (Member("a", Kind.DIRECTORY, 0), b""),
        (Member(name, Kind.FILE, 700), b"x" * 700),
        (Member("link", Kind.SYMBOLIC_LINK, 0), b""),
        (Member("hard", Kind.HARD_LINK, 0), b""),
        (Member("pipe", Kind.DEVICE, 0), b""),
        (Member("disk", Kind.DEVICE, 0), b""),
        (Member("empty", Kind.FILE, 0), b""),
    ]


def test_data_nobody_reads_is_passed_over():
    data = block(header("a", size=513)) + bytes(1024) + block(header("b", size=1)) + padded(b"x") + END
    assert [member.path for member, _ in members(ByteStream(iter([data])), "layer x")] == ["a", "b"]
    half = [(member.path, found.read(100)) for member, found in members(ByteStream(iter([data])), "layer x")]
    assert half == [("a", bytes(100)), ("b", b"x")]


def test_an_archive_may_end_with_its_data():
    assert paths(block(header("a"))) == ["a"]
    assert paths(b"") == []
    assert paths(block(header("a")) + bytes(512)) == ["a"]


def test_what_follows_the_end_is_not_looked_at():
    assert paths(block(header("a")) + END + b"rubbish") == ["a"]


def test_names_and_sizes_of_extensions_win_over_the_header():
    long_name = block(header("././@LongLink", size=len(LONG) + 1, kind=tarfile.GNUTYPE_LONGNAME)) + padded(
        LONG.encode() + b"\0"
    )
    long_link = block(header("././@LongLink", size=5, kind=tarfile.GNUTYPE_LONGLINK)) + padded(b"link\0")
    assert paths(long_link + long_name + block(header("short")) + block(header("next")) + END) == [LONG, "next"]
    sized = pax(record("path", "named") + record("size", "3") + record("path", "")) + block(header("f", size=0))
    assert read(sized + padded(b"abc") + END) == [(Member("named", Kind.FILE, 3), b"abc")]
    assert paths(pax(record("comment", "by git"), tarfile.XGLTYPE) + block(header("f")) + END) == ["f"]


def test_gnu_headers_keep_times_where_others_have_a_prefix():
    raw = bytearray(block(header("f"), tarfile.GNU_FORMAT))
    raw[345:357] = b"14000000000\0"
    raw[148:156] = b" " * 8
    raw[148:156] = f"{sum(raw):06o}\0 ".encode()
    assert paths(bytes(raw) + END) == ["f"]


def test_the_oldest_archives_write_directories_as_files():
    raw = bytearray(block(header("d/")))
    raw[156:157], raw[257:265] = b"\0", bytes(8)
    raw[148:156] = b" " * 8
    raw[148:156] = f"{sum(raw):06o}\0 ".encode()
    assert read(bytes(raw)) == [(Member("d", Kind.DIRECTORY, 0), b"")]
    assert read(block(header("d/"))) == [(Member("d", Kind.DIRECTORY, 0), b"")]


def test_sparse_files_are_known_and_passed_over():
    raw = bytearray(block(header("s", size=3, kind=tarfile.GNUTYPE_SPARSE), tarfile.GNU_FORMAT))
    raw[482] = 1
    raw[148:156] = b" " * 8
    raw[148:156] = f"{sum(raw):06o}\0 ".encode()
    more = bytearray(512)
    more[504] = 1
    data = bytes(raw) + bytes(more) + bytes(512) + padded(b"abc") + block(header("f")) + END
    assert [(member.path, member.kind) for member, _ in read(data)] == [("s", Kind.SPARSE), ("f", Kind.FILE)]
    new = pax(record("GNU.sparse.name", "s") + record("GNU.sparse.major", "1")) + block(header("GNUSparseFile.0/s"))
    assert [(member.path, member.kind) for member, _ in read(new + END)] == [("s", Kind.SPARSE)]


def test_a_member_of_an_unknown_type_is_passed_over_with_its_data():
    data = block(header("v", size=3, kind=b"V")) + padded(b"abc") + block(header("f")) + END
    assert [(member.path, member.kind) for member, _ in read(data)] == [("v", Kind.UNKNOWN), ("f", Kind.FILE)]


@pytest.mark.parametrize(
    "data",
    [
        block(header("/etc/passwd")),
        block(header("../x.rpm")),
        block(header("a/../../x.rpm")),
        block(header("a/..")),
        pax(record("path", "a\0b.rpm")) + block(header("f")),
        pax(record("path", "/x.rpm")) + block(header("f")),
    ],
)
def test_a_path_that_leads_out_of_the_image_is_refused(data):
    with pytest.raises(AgentError, match="layer x has a member that leads out of the image: ") as caught:
        read(data + END)
    assert caught.value.failure.code is Code.IMAGE_UNSAFE


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"x" * 512, "has a damaged header: "),
        (b"PK\3\4" + bytes(100), "ends in the middle of a header"),
        (block(header("a")) + b"x" * 512, "has a damaged header: "),
        (block(header("a")) + b"x" * 100, "ends in the middle of a header"),
        (block(header("a")) + bytes(512) + block(header("b")), "goes on after a block of zeros"),
        (block(header("a", size=3)) + b"ab", "ends in the middle of a member"),
        (block(header("a", size=3)) + b"abc", "ends in the middle of a member"),
        (block(header("a", size=-1), tarfile.GNU_FORMAT), "has a member of negative size"),
        (block(header("d", size=3, kind=tarfile.DIRTYPE)), "has a directory with data: 'd'"),
        (block(header("x", size=99, kind=tarfile.XHDTYPE)) + b"30 path=", "ends in the middle of an extension header"),
        (block(header("x", size=9, kind=tarfile.XHDTYPE)) + b"9 path=f\n", "ends in the middle of a member"),
        (pax(b"30 path=f\n"), "has a damaged extension header"),
        (pax(b"5 path=f\n"), "has a damaged extension header"),
        (pax(b"0 path=f\n"), "has a damaged extension header"),
        (pax(b"-9 path=f\n"), "has a damaged extension header"),
        (pax(b"7 path\n"), "has a damaged extension header"),
        (pax(b"9" * 64), "has a damaged extension header"),
        (pax(record("size", "-1")) + block(header("f")), "has a member of the size '-1'"),
        (pax(record("size", "9" * 30)) + block(header("f")), "has a member of the size '9999"),
        (pax(record("path", "x"), tarfile.XGLTYPE), "has a global header that renames or resizes its members"),
    ],
)
def test_a_damaged_archive_is_never_taken_for_a_short_one(data, message):
    with pytest.raises(AgentError, match=f"layer x {message}") as caught:
        [found.take(1 << 30) for _, found in members(ByteStream(iter([data])), "layer x")]
    assert caught.value.failure.code is Code.IMAGE_UNREADABLE


def test_a_sparse_map_without_end_is_damage():
    raw = bytearray(block(header("s", kind=tarfile.GNUTYPE_SPARSE), tarfile.GNU_FORMAT))
    raw[482] = 1
    raw[148:156] = b" " * 8
    raw[148:156] = f"{sum(raw):06o}\0 ".encode()
    with pytest.raises(AgentError, match="ends in the middle of a header"):
        read(bytes(raw))


def test_an_extension_header_is_not_read_before_its_size_is_known_to_be_small():
    with pytest.raises(AgentError, match="has an extension header of 8589934591 bytes, more than 1048576") as caught:
        read(block(header("x", size=8589934591, kind=tarfile.XHDTYPE)))
    assert caught.value.failure.code is Code.IMAGE_TOO_LARGE


def test_the_number_of_members_is_bounded(monkeypatch):
    monkeypatch.setattr(archive, "MAX_MEMBERS", 2)
    with pytest.raises(AgentError, match="has more than 2 members") as caught:
        read(block(header("a")) + block(header("b")) + block(header("c")))
    assert caught.value.failure.code is Code.IMAGE_TOO_LARGE
