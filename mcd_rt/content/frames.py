r"""The protocol between the agent and its worker, for both ends of their one stream socket.

The agent sends one request line. The worker answers with frames: a JSON object on a line of at most
``LINE`` bytes. A ``chunk`` frame announces bytes and is followed by exactly that many raw ones; a file is
its ``file`` frame and the chunks that follow until ``size`` bytes of it were sent, so that an error or
progress can be said in the middle of one.

    → {"op": "fetch", "image": ..., "names": [...], ...}      → {"op": "inspect", "keys": [...], "signed": true}
    ← {"image": {"digest": ..., "way": "proxy", ...}}         → descriptors of the keys
    ← {"progress": {"bytes": 0, "total": 71350000}}           → {"file": "kernel-rt-core-....rpm"} + its descriptor
    ← {"file": "kernel-rt-core-....rpm", "size": 26061020}      ... whenever there is another; then nothing more
    ← {"chunk": 262144} + 262144 bytes ...                    ← {"package": {...}}   one a file, in order
    ← {"done": true}, or {"error": {"code": ..., "message": ..., "hint": ...}} at any point

    → {"op": "os", "image": ..., "names": [...], ...}         → {"op": "lock", "url": ..., "take": true, ...}
    ← image and progress as above                             ← {"lock": {"granted": false, "said": ...}}
    ← {"files": [["objects/...", 120], ...]} + their bytes    ← {"done": true}
    ← files and chunks as above, of packages as well
    ← {"os": {"form": "repository", "commit": ..., ...}}
    ← {"done": true}

``files`` announces many small files at once: their bytes follow in the same order, at most ``CHUNK`` together. An OS
that is the image itself (``"form": "container"``) is said, and no file is sent.

Asked for its identity alone (``Extent.IDENTITY``), the worker ends after the ``image`` frame; asked for all layers
(``Extent.ALL``), it sends a ``package`` frame, and no file, for each RPM of a layer that a fetch leaves alone.
"""

import json
import re
from typing import assert_never

from mcd_rt.content import fields
from mcd_rt.content.fields import MAX_FILES, JsonObject
from mcd_rt.content.lockwords import LockFrame, LockRequest, lock_fields, lock_of
from mcd_rt.content.osfacts import os_fields, os_of
from mcd_rt.content.packagefacts import CAPABILITIES, PackageFrame, checked_package, package_fields, package_of
from mcd_rt.content.requests import (
    AboutImage,
    Extent,
    FetchRequest,
    InspectRequest,
    OsRequest,
    Request,
    decode_name,
    decode_request,
    encode_name,
    encode_request,
)
from mcd_rt.errors import AgentError, Code, Failure
from mcd_rt.frozen import frozen
from mcd_rt.model.content import Way
from mcd_rt.model.osimage import OsImage

# Requests and packages are parts of the protocol: who speaks it finds them here too.
__all__ = [
    "CAPABILITIES",
    "MAX_FILES",
    "AboutImage",
    "Extent",
    "FetchRequest",
    "InspectRequest",
    "LockFrame",
    "LockRequest",
    "OsRequest",
    "PackageFrame",
    "Request",
    "checked_package",
    "decode_name",
    "decode_request",
    "encode_name",
    "encode_request",
]

LINE = 64 * 1024
CHUNK = 256 * 1024
DESCRIPTORS_AT_ONCE = 16
FILES_AT_ONCE = 256
MAX_TOLD = 1024

_NUMBER = (1 << 63) - 1
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

# What a worker may say went wrong: it knows nothing of the rest of the taxonomy.
_WORKER_CODES = frozenset(code for code in Code if code.startswith(("image-", "package-"))) | {
    Code.WORKER_FAILED,
    Code.CACHE_FULL,
    Code.OS_IMAGE_UNSUPPORTED,
    Code.LOCK_UNREACHABLE,
    Code.LOCK_PROTOCOL,
}


@frozen
class ImageFrame:
    """Which image was found, and how it is read; said once, before anything of it. See ``manifest.Image``."""

    digest: str
    architecture: str
    commit: str
    version: str
    way: Way
    why: str


@frozen
class FileFrame:
    """A file begins: its path in the image, for people, and its size in bytes."""

    file: str
    size: int


@frozen
class FilesFrame:
    """Small files, at most ``FILES_AT_ONCE``, whose bytes follow in their order, ``CHUNK`` at most together."""

    files: tuple[FileFrame, ...]

    @property
    def size(self) -> int:
        """How many bytes follow."""
        return sum(file.size for file in self.files)


@frozen
class ChunkFrame:
    """``size`` bytes of the file follow."""

    size: int


@frozen
class ProgressFrame:
    """``done`` of ``total`` bytes of the image have been read."""

    done: int
    total: int


@frozen
class OsFrame:
    """Which OS the image has."""

    os: OsImage


@frozen
class DoneFrame:
    """Everything was sent, and every digest on the way was right."""


@frozen
class ErrorFrame:
    """The worker gives up; the last frame."""

    failure: Failure


Frame = (
    ImageFrame
    | FileFrame
    | FilesFrame
    | ChunkFrame
    | ProgressFrame
    | PackageFrame
    | OsFrame
    | LockFrame
    | DoneFrame
    | ErrorFrame
)


def encode(frame: Frame) -> bytes:
    """The line to send; texts that are not ours are made printable and cut to fit."""
    match frame:
        case ImageFrame():
            return _line({"image": _image_fields(frame)})
        case FileFrame() | FilesFrame() | ChunkFrame():
            return _line(_announcement(frame))
        case ProgressFrame(done, total):
            return _line({"progress": {"bytes": done, "total": total}})
        case PackageFrame():
            return _line({"package": package_fields(frame)})
        case OsFrame(found):
            return _line({"os": os_fields(found)})
        case LockFrame():
            return _line({"lock": lock_fields(frame)})
        case DoneFrame():
            return _line({"done": True})
        case ErrorFrame(failure):
            return _line({"error": _failure_fields(failure)})
        case _:
            assert_never(frame)


def decode(line: bytes) -> Frame:
    """Raises ``AgentError`` (``worker-failed``) for a line that is not a frame."""
    try:
        return _frame(fields.parse_object(line))
    except ValueError as error:
        raise AgentError(Code.WORKER_FAILED, f"the worker sent what is not a frame: {error}") from error


def _announcement(frame: FileFrame | FilesFrame | ChunkFrame) -> JsonObject:
    match frame:
        case FileFrame(file, size):
            return {"file": fields.printable(file), "size": size}
        case FilesFrame(files):
            return {"files": [[fields.printable(each.file, 256), each.size] for each in files]}
        case ChunkFrame(size):
            return {"chunk": size}
        case _:
            assert_never(frame)


def _line(values: JsonObject) -> bytes:
    return json.dumps(values, separators=(",", ":")).encode() + b"\n"


def _frame(frame: JsonObject) -> Frame:
    if "image" in frame:
        return _image(fields.mapping(frame, "image"))
    if not frame.keys().isdisjoint(("file", "files", "chunk")):
        return _announced(frame)
    if "progress" in frame:
        progress = fields.mapping(frame, "progress")
        total = fields.integer(progress, "total", most=_NUMBER)
        return ProgressFrame(fields.integer(progress, "bytes", most=total), total)
    if "package" in frame:
        return package_of(fields.mapping(frame, "package"))
    if "os" in frame:
        return OsFrame(os_of(fields.mapping(frame, "os")))
    if "lock" in frame:
        return lock_of(fields.mapping(frame, "lock"))
    if "error" in frame:
        return ErrorFrame(_failure(fields.mapping(frame, "error")))
    if frame == {"done": True}:
        return DoneFrame()
    raise ValueError(f"none of the frames has the keys {fields.printable(repr(sorted(frame)), 128)}")


def _image_fields(image: ImageFrame) -> JsonObject:
    return {
        "digest": image.digest,
        "architecture": image.architecture,
        "commit": image.commit,
        "version": image.version,
        "way": image.way,
        "why": fields.printable(image.why),
    }


def _image(image: JsonObject) -> ImageFrame:
    if not _DIGEST.fullmatch(digest := fields.text(image, "digest")):
        raise ValueError(f"digest: {fields.printable(digest, 80)!r} is not one")
    architecture, commit, version = (fields.text(image, key) for key in ("architecture", "commit", "version"))
    return ImageFrame(digest, architecture, commit, version, Way(fields.text(image, "way")), fields.text(image, "why"))


def _announced(frame: JsonObject) -> FileFrame | FilesFrame | ChunkFrame:
    if "file" in frame:
        return FileFrame(fields.text(frame, "file"), fields.integer(frame, "size", most=_NUMBER))
    if "files" in frame:
        return _files(frame)
    return ChunkFrame(fields.integer(frame, "chunk", most=CHUNK))


def _files(frame: JsonObject) -> FilesFrame:
    found = frame.get("files")
    if not isinstance(found, list) or not 0 < len(found) <= FILES_AT_ONCE:
        raise ValueError(f"files: expected a list of 1 to {FILES_AT_ONCE}")
    files = []
    for entry in found:
        if not isinstance(entry, list) or len(entry) != 2:
            raise ValueError("files: expected pairs of a name and a size")
        file = {"name": entry[0], "size": entry[1]}
        files.append(FileFrame(fields.text(file, "name", most=256), fields.integer(file, "size", most=CHUNK)))
    announced = FilesFrame(tuple(files))
    if announced.size > CHUNK:
        raise ValueError(f"files: expected at most {CHUNK} bytes, found {announced.size}")
    return announced


def _failure_fields(failure: Failure) -> JsonObject:
    return {"code": failure.code, "message": fields.printable(failure.message), "hint": fields.printable(failure.hint)}


def _failure(error: JsonObject) -> Failure:
    code = fields.text(error, "code")
    if code not in _WORKER_CODES:
        raise ValueError(f"code: {fields.printable(code, 64)!r} is not one a worker has")
    return Failure(Code(code), fields.text(error, "message"), fields.text(error, "hint"))
