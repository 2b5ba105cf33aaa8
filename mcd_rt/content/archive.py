"""A tar archive as a stream of members, for layers.

The blocks are parsed by ``tarfile.TarInfo.frombuf``; the loop around them is our own because tarfile's
takes a damaged header for the end of the archive, keeps every member, and reads extension headers of any
size into memory. Formats: V7, ustar, pax and GNU (POSIX.1-2024 ``pax``; GNU tar manual, D.2).
"""

import tarfile
from collections.abc import Iterator
from enum import Enum, unique

from mcd_rt.content.decompress import ByteStream
from mcd_rt.content.fields import printable
from mcd_rt.errors import AgentError, Code
from mcd_rt.frozen import frozen

MAX_MEMBERS = 2_000_000
MAX_EXTENSION = 1 << 20
MAX_PATH = 4096  # Linux: PATH_MAX; what is longer no host unpacks

_BLOCK = 512
_GNU_MAGIC = b"ustar  \0"


@unique
class Kind(Enum):
    """What a member is; the values read well after "is"."""

    FILE = "a file"
    DIRECTORY = "a directory"
    SYMBOLIC_LINK = "a symbolic link"
    HARD_LINK = "a hard link"
    SPARSE = "a sparse file"
    DEVICE = "a device or pipe"
    UNKNOWN = "of an unknown type"


_KINDS = {
    tarfile.REGTYPE: Kind.FILE,
    tarfile.AREGTYPE: Kind.FILE,
    tarfile.CONTTYPE: Kind.FILE,
    tarfile.DIRTYPE: Kind.DIRECTORY,
    tarfile.SYMTYPE: Kind.SYMBOLIC_LINK,
    tarfile.LNKTYPE: Kind.HARD_LINK,
    tarfile.GNUTYPE_SPARSE: Kind.SPARSE,
    tarfile.CHRTYPE: Kind.DEVICE,
    tarfile.BLKTYPE: Kind.DEVICE,
    tarfile.FIFOTYPE: Kind.DEVICE,
}
_WITH_DATA = (Kind.FILE, Kind.SPARSE, Kind.UNKNOWN)
_EXTENSIONS = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)


@frozen
class Member:
    """A member: ``path`` relative to the root without ``.`` and empty parts, ``size`` in bytes of its data."""

    path: str
    kind: Kind
    size: int


@frozen
class _Extension:
    """What extension headers say about the member that follows them."""

    path: str | None = None
    size: int | None = None
    sparse: bool = False


class MemberData:
    """The data of the current member; what is not read is passed over."""

    def __init__(self, stream: ByteStream, size: int, name: str) -> None:
        """``name`` is what to call the archive."""
        self._stream = stream
        self._name = name
        self.left = size

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes, none at the end of the member; raises where the archive ends before."""
        if not self.left:
            return b""
        data = self._stream.read(min(size, self.left))
        if not data:
            raise _damaged(self._name, "ends in the middle of a member")
        self.left -= len(data)
        return data

    def take(self, size: int) -> bytes:
        """``size`` bytes, fewer only at the end of the member; raises as ``read``."""
        parts = []
        while size and (data := self.read(size)):
            parts.append(data)
            size -= len(data)
        return b"".join(parts)


def members(stream: ByteStream, name: str) -> Iterator[tuple[Member, MemberData]]:
    """The members in their order, each with its data, which is gone once the next member is asked for.

    Raises ``AgentError``: ``image-unreadable`` (damaged), ``image-too-large`` (more than ``MAX_MEMBERS``, an
    extension header above ``MAX_EXTENSION`` bytes), ``image-unsafe`` (a path that is absolute or leads up).
    """
    extension = _Extension()
    count = 0
    for header in _headers(stream, name):
        if header.type in _EXTENSIONS:
            extension = _extended(extension, header, _extension_data(stream, header.size, name), name)
            continue
        count += 1
        if count > MAX_MEMBERS:
            raise _too_large(name, f"has more than {MAX_MEMBERS} members")
        member = _member(header, extension, name)
        data = MemberData(stream, member.size, name)
        yield member, data
        _pass_over(stream, data.left + -member.size % _BLOCK, name)
        extension = _Extension()


def _headers(stream: ByteStream, name: str) -> Iterator[tarfile.TarInfo]:
    while block := stream.take(_BLOCK):
        if not any(block):
            if any(stream.take(_BLOCK)):
                raise _damaged(name, "goes on after a block of zeros")
            return
        if len(block) < _BLOCK:
            raise _damaged(name, "ends in the middle of a header")
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise _damaged(name, f"has a damaged header: {error}") from error
        if block[257:265] == _GNU_MAGIC:  # GNU keeps times where ustar has the prefix of the path
            header.name = block[:100].partition(b"\0")[0].decode("utf-8", "surrogateescape")
        if header.size < 0:
            raise _damaged(name, "has a member of negative size")
        if header.type == tarfile.GNUTYPE_SPARSE:
            _pass_sparse_map(stream, block, name)
        yield header


def _pass_sparse_map(stream: ByteStream, block: bytes, name: str) -> None:
    more = block[482]
    while more:
        block = stream.take(_BLOCK)
        if len(block) < _BLOCK:
            raise _damaged(name, "ends in the middle of a header")
        more = block[504]


def _member(header: tarfile.TarInfo, extension: _Extension, name: str) -> Member:
    kind = Kind.SPARSE if extension.sparse else _KINDS.get(header.type, Kind.UNKNOWN)
    raw = header.name if extension.path is None else extension.path
    if kind is Kind.FILE and raw.endswith("/"):
        kind = Kind.DIRECTORY
    path = _clean_path(raw, name)
    size = header.size if extension.size is None else extension.size
    if kind is Kind.DIRECTORY and size:
        raise _damaged(name, f"has a directory with data: {printable(path, 256)!r}")
    return Member(path, kind, size if kind in _WITH_DATA else 0)


def _clean_path(raw: str, name: str) -> str:
    if len(raw) > MAX_PATH:
        raise _too_large(name, f"has a member with a path of {len(raw)} characters: {printable(raw, 256)!r}")
    parts = [part for part in raw.split("/") if part not in ("", ".")]
    if raw.startswith("/") or ".." in parts or "\0" in raw:
        raise AgentError(
            Code.IMAGE_UNSAFE,
            f"{name} has a member that leads out of the image: {printable(raw, 256)!r}",
            "do not trust this image",
        )
    return "/".join(parts)


def _extension_data(stream: ByteStream, size: int, name: str) -> bytes:
    if size > MAX_EXTENSION:
        raise _too_large(name, f"has an extension header of {size} bytes, more than {MAX_EXTENSION}")
    data = stream.take(size)
    if len(data) < size:
        raise _damaged(name, "ends in the middle of an extension header")
    _pass_over(stream, -size % _BLOCK, name)
    return data


def _extended(known: _Extension, header: tarfile.TarInfo, data: bytes, name: str) -> _Extension:
    if header.type == tarfile.GNUTYPE_LONGLINK:
        return known
    if header.type == tarfile.GNUTYPE_LONGNAME:
        return _Extension(data.partition(b"\0")[0].decode("utf-8", "surrogateescape"), known.size, known.sparse)
    records = _pax_records(data, name)
    if header.type == tarfile.XGLTYPE:
        if "path" in records or "size" in records:
            raise _damaged(name, "has a global header that renames or resizes its members")
        return known
    size = records.get("size")
    if size is not None and not (size.isascii() and size.isdecimal() and len(size) < 19):
        raise _damaged(name, f"has a member of the size {printable(size, 32)!r}")
    return _Extension(
        records.get("GNU.sparse.name", records.get("path", known.path)),
        known.size if size is None else int(size),
        any(key.startswith("GNU.sparse.") for key in records),
    )


def _pax_records(data: bytes, name: str) -> dict[str, str]:
    records = {}
    start = 0
    while start < len(data):
        digits, space, _ = data[start : start + 20].partition(b" ")
        end = start + int(digits) if space and digits.isdigit() else 0
        key, equals, value = data[start + len(digits) + 1 : end].removesuffix(b"\n").partition(b"=")
        if end <= start or end > len(data) or data[end - 1 : end] != b"\n" or not equals:
            raise _damaged(name, "has a damaged extension header")
        if value:  # an empty one takes an earlier one back
            records[key.decode("utf-8", "surrogateescape")] = value.decode("utf-8", "surrogateescape")
        start = end
    return records


def _pass_over(stream: ByteStream, size: int, name: str) -> None:
    if stream.skip(size) < size:
        raise _damaged(name, "ends in the middle of a member")


def _damaged(name: str, what: str) -> AgentError:
    return AgentError(Code.IMAGE_UNREADABLE, f"{name} {what}", "the image was built wrong")


def _too_large(name: str, what: str) -> AgentError:
    return AgentError(Code.IMAGE_TOO_LARGE, f"{name} {what}", "do not trust this image")
