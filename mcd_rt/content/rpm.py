"""RPMs: the name in a header at the head of a stream, and everything the agent wants to know of a whole one.

Headers are parsed by rpm-rs, from a prefix whose sizes were bounded before. The payload is hashed here, as
it is read: ``rpm_rs.Package`` would hold all of it in memory.
"""

import hashlib
import os
import re
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from rpm_rs import Dependency, DependencyFlags, PackageMetadata

from mcd_rt.content.fields import printable
from mcd_rt.content.frames import PackageFrame, checked_package
from mcd_rt.content.panics import panics_as_errors
from mcd_rt.content.trust import DigestsOnly, Trust
from mcd_rt.errors import AgentError, Code
from mcd_rt.frozen import frozen
from mcd_rt.model.nevra import Nevra

MAX_HEADER = 32 << 20
MAX_ENTRIES = 1 << 16
MAX_ITEMS = 1 << 18
MAX_PATHS = 64 << 20
NOBODY_ASKED = DigestsOnly()

_PIECE = 256 * 1024
_LEAD_MAGIC, _LEAD = b"\xed\xab\xee\xdb", 96
_HEADER_MAGIC, _INTRODUCTION, _ENTRY = b"\x8e\xad\xe8\x01", 16, 16
_WIDTHS = {0: 0, 1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 1, 9: 1}  # bytes an item has at least, by type
_BYTES = (1, 2, 7)  # types of which one value may have any number of items
_BASE_NAMES, _DIRECTORIES = 1117, 1118
_PAYLOAD_DIGEST, _PAYLOAD_DIGEST_ALGORITHM, _SHA256 = 5092, 5093, 8  # tags: RPM's rpmtag.h; algorithm: RFC 4880
_MODULES = re.compile(r"(?:/usr)?/lib/modules/([^/]+)(?:/|$)")
_KERNEL = re.compile(r"(?:/usr)?/lib/modules/([^/]+)/vmlinuz")
_OPERATORS = (
    (DependencyFlags.LESS, "<"),
    (DependencyFlags.GREATER, ">"),
    (DependencyFlags.EQUAL, "="),
)


@frozen
class Peek:
    """The NAME of a binary package, empty for a source one, and all bytes that were read to find it."""

    name: str
    prefix: bytes


def peek(read: Callable[[int], bytes], path: str) -> Peek:
    """Read lead, signature and header of an RPM; ``path`` is what to call it.

    Raises ``AgentError`` (``package-corrupt``) where the stream is not an RPM or ends before its payload.
    """
    prefix = _prefix(read, path)
    with _parsing(path):
        metadata = PackageMetadata.from_bytes(prefix)
        return Peek("" if metadata.is_source_package() else metadata.name, prefix)


def describe(prefix: bytes, path: str) -> PackageFrame:
    """What the headers at the head of an RPM say, unproven; raises ``AgentError`` (``package-corrupt``)."""
    with _parsing(path):
        return checked_package(_package(PackageMetadata.from_bytes(prefix), path))


def inspect(descriptor: int, path: str, trust: Trust = NOBODY_ASKED) -> PackageFrame:
    """What an RPM is, once its header and payload match the digests it carries and its signature is trusted.

    The offset of the descriptor is 0 or where it was. Raises ``AgentError``: ``package-corrupt``, and what
    ``trust`` raises: ``package-unsigned``, ``package-signature-bad``.
    """
    with inspecting(descriptor, path, trust) as finish:
        return finish()


@contextmanager
def inspecting(descriptor: int, path: str, trust: Trust) -> Iterator[Callable[[], PackageFrame]]:
    """Begin an inspection; what is handed out is called once and ends it, as ``inspect``.

    Between the two the payload may already be read by whoever judges, so that inspections can overlap. Raises
    ``AgentError`` (``package-corrupt``) where the header alone says enough.
    """
    prefix = _prefix(_sequential(descriptor), path)
    with _parsing(path):
        metadata = PackageMetadata.from_bytes(prefix)
        _check_header(metadata, path)
        promised = _promised_digest(metadata, path)
    with trust.judging(descriptor, metadata, path) as judge:

        def check_payload() -> None:
            if _payload_digest(descriptor, len(prefix)) != promised:
                raise _corrupt(path, "the payload does not match its SHA-256 digest: cut short or changed")

        def finish() -> PackageFrame:
            try:
                payload_is_known = judge()
            except AgentError:
                check_payload()  # if that is what the judge found, it is no question of signatures
                raise
            if not payload_is_known:
                check_payload()
            with _parsing(path):
                return replace(checked_package(_package(metadata, path)), judge=trust.judge)

        yield finish


def _sequential(descriptor: int) -> Callable[[int], bytes]:
    offset = 0

    def read(size: int) -> bytes:
        nonlocal offset
        data = os.pread(descriptor, size, offset)
        offset += len(data)
        return data

    return read


def _prefix(read: Callable[[int], bytes], path: str) -> bytes:
    lead = _exactly(read, _LEAD, path)
    if not lead.startswith(_LEAD_MAGIC):
        raise _corrupt(path, "it does not begin like an RPM")
    signature = _header(read, path)
    padding = _exactly(read, -len(signature) % 8, path)
    return b"".join((lead, signature, padding, _header(read, path)))


def _header(read: Callable[[int], bytes], path: str) -> bytes:
    introduction = _exactly(read, _INTRODUCTION, path)
    magic, entries, size = struct.unpack(">4s4xII", introduction)
    if magic != _HEADER_MAGIC:
        raise _corrupt(path, "a header in it does not begin like one")
    if entries > MAX_ENTRIES or size > MAX_HEADER:
        raise _corrupt(path, f"a header in it claims {entries} entries and {size} bytes")
    body = _exactly(read, entries * _ENTRY + size, path)
    _check_index(body[: entries * _ENTRY], size, path)
    return introduction + body


def _check_index(index: bytes, size: int, path: str) -> None:
    """Every entry must lie in the ``size`` bytes of data: rpm-rs panics where one does not, and reads all of each."""
    claimed = 0
    for _, kind, offset, count in struct.iter_unpack(">IIII", index):
        if kind not in _WIDTHS or offset + max(1, count * _WIDTHS[kind]) > size:
            raise _corrupt(path, "a header in it has an entry outside of its data")
        claimed += count * _WIDTHS[kind]
        if claimed > size or (count > MAX_ITEMS and kind not in _BYTES):
            raise _corrupt(path, "a header in it has more values than it can have")


def _exactly(read: Callable[[int], bytes], size: int, path: str) -> bytes:
    parts = []
    while size:
        data = read(min(size, _PIECE))
        if not data:
            raise _corrupt(path, "it ends in the middle of its header")
        parts.append(data)
        size -= len(data)
    return b"".join(parts)


@contextmanager
def _parsing(path: str) -> Iterator[None]:
    """Whatever rpm-rs finds wrong with a header, on parsing it or only on asking for a value."""
    try:
        with panics_as_errors():
            yield
    except (RuntimeError, OSError, ValueError) as error:
        raise _corrupt(path, f"its header cannot be read: {printable(str(error), 128)}") from error


def _check_header(metadata: PackageMetadata, path: str) -> None:
    report = metadata.check_digests()
    if not report.is_ok() or not report.header_sha256.is_verified():
        raise _corrupt(path, "the header does not match its SHA-256 digest")


def _package(metadata: PackageMetadata, path: str) -> PackageFrame:
    epoch = int(metadata.nevra().epoch or 0)
    return PackageFrame(
        Nevra(metadata.name, epoch, metadata.version, metadata.release, metadata.arch),
        _kernel_release(_files(metadata, path), path),
        _capabilities(metadata.provides()),
        _capabilities(metadata.requires()),
    )


def _files(metadata: PackageMetadata, path: str) -> Iterable[str]:
    """The paths of its files, which are stored apart: few long directories and many names make any number of bytes."""
    header = metadata.header
    names, directories = (
        header.entry(tag) if header.entry_is_present(tag) else [] for tag in (_BASE_NAMES, _DIRECTORIES)
    )
    if isinstance(names, list) and isinstance(directories, list):
        longest = max((len(str(directory)) for directory in directories), default=0)
        if longest * len(names) > MAX_PATHS:
            raise _corrupt(path, f"{len(names)} files in directories of up to {longest} characters are too many")
    paths: list[str] = metadata.file_paths()
    return paths


def _promised_digest(metadata: PackageMetadata, path: str) -> str:
    header = metadata.header
    if not header.entry_is_present(_PAYLOAD_DIGEST):
        raise _corrupt(path, "its header has no digest of the payload")
    if header.entry_is_present(_PAYLOAD_DIGEST_ALGORITHM) and header.entry(_PAYLOAD_DIGEST_ALGORITHM) != [_SHA256]:
        raise _corrupt(path, "the digest of its payload is not SHA-256")
    promised = header.entry(_PAYLOAD_DIGEST)
    return str(promised[0]) if isinstance(promised, list) and len(promised) == 1 else ""


def _payload_digest(descriptor: int, offset: int) -> str:
    digest = hashlib.sha256()
    while data := os.pread(descriptor, _PIECE, offset):
        digest.update(data)
        offset += len(data)
    return digest.hexdigest()


def _kernel_release(paths: Iterable[str], path: str) -> str:
    files = list(paths)
    releases = {match[1] for file in files if (match := _MODULES.match(file))}
    if len(releases) > 1:
        releases = {match[1] for file in files if (match := _KERNEL.fullmatch(file))}
        if len(releases) != 1:
            raise _corrupt(path, "it has the modules of more than one kernel")
    return next(iter(releases), "")


def _capabilities(dependencies: Iterable[Dependency]) -> tuple[str, ...]:
    """Those of kernels as text; ``kernel(symbol)``, of which there can be thousands, are left out."""
    return tuple(
        sorted({_text(d) for d in dependencies if d.name.startswith("kernel") and not d.name.startswith("kernel(")})
    )


def _text(dependency: Dependency) -> str:
    operator = "".join(sign for flag, sign in _OPERATORS if dependency.flags & flag)
    return f"{dependency.name} {operator} {dependency.version}" if operator else str(dependency.name)


def _corrupt(path: str, what: str) -> AgentError:
    return AgentError(
        Code.PACKAGE_CORRUPT,
        f"{printable(path, 256)} is not a whole RPM: {what}",
        "the image was built with a damaged package; nothing of it was used",
    )
