r"""The protocol between the agent and its worker, for both ends of their one stream socket.

The agent sends one request line. The worker answers with frames: a JSON object on a line of at most
``LINE`` bytes. A ``chunk`` frame announces bytes and is followed by exactly that many raw ones; a file is
its ``file`` frame and the chunks that follow until ``size`` bytes of it were sent, so that an error or
progress can be said in the middle of one.

    → {"op": "fetch", "image": ..., "names": [...], ...}      → {"op": "inspect", "keys": [...], "files": [...], ...}
    ← {"image": {"digest": ..., "way": "proxy", ...}}         → descriptors of the keys, then of the files
    ← {"progress": {"bytes": 0, "total": 71350000}}           ← {"package": {...}}   one a file, in order
    ← {"file": "kernel-rt-core-....rpm", "size": 26061020}    ← {"done": true}
    ← {"chunk": 262144} + 262144 bytes ...
    ← {"done": true}, or {"error": {"code": ..., "message": ..., "hint": ...}} at any point
"""

import json
import re
from dataclasses import dataclass
from typing import assert_never

from mcd_rt.content import fields
from mcd_rt.content.fields import JsonObject
from mcd_rt.errors import AgentError, Code, Failure
from mcd_rt.model.content import Judge, Way
from mcd_rt.model.nevra import Nevra

LINE = 64 * 1024
CHUNK = 256 * 1024
MAX_FILES = 64
DESCRIPTORS_AT_ONCE = 16
CAPABILITIES = 96  # of 256 characters fit twice in a line

_NUMBER = (1 << 63) - 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,255}")
_VERSION = re.compile(r"[A-Za-z0-9._+~^]{1,255}")
_ARCHITECTURE = re.compile(r"[a-z0-9_]{1,32}")
_KERNEL_RELEASE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._+~^-]{0,255})?")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_CAPABILITY = re.compile(r"[ !#-\[\]-~]{1,256}")  # no quotes and backslashes, which JSON would make longer

# What a worker may say went wrong: it knows nothing of the rest of the taxonomy.
_WORKER_CODES = frozenset(code for code in Code if code.startswith(("image-", "package-"))) | {
    Code.WORKER_FAILED,
    Code.CACHE_FULL,
}


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """Send the RPMs of ``image`` whose headers have one of these names; sizes in bytes.

    For images in a registry: ``root`` is where the host's settings are below, ``authfiles`` are tried in their
    order, ``scratch`` is a directory for a copy, ``patience_ms`` how long the registry may be silent. ``lent``: the
    descriptor of a pull secret follows, for a worker that may read none itself.
    """

    image: str
    names: tuple[str, ...]
    architecture: str
    max_packages: int
    max_package_bytes: int
    max_layers: int
    root: str = "/"
    authfiles: tuple[str, ...] = ()
    scratch: str = "/var/tmp"  # noqa: S108 - files with names nobody can guess
    patience_ms: int = 60_000
    lent: bool = False


@dataclass(frozen=True, slots=True)
class InspectRequest:
    """Say what the RPMs behind the descriptors that follow are; ``files`` is what to call each of them.

    ``signed``: each must be signed by one of the keys whose descriptors come before; ``keys`` are their names.
    """

    files: tuple[str, ...]
    keys: tuple[str, ...] = ()
    signed: bool = False


Request = FetchRequest | InspectRequest


@dataclass(frozen=True, slots=True)
class ImageFrame:
    """Which image was found, and how it is read; said once, before anything of it. See ``manifest.Image``."""

    digest: str
    architecture: str
    commit: str
    version: str
    way: Way
    why: str


@dataclass(frozen=True, slots=True)
class FileFrame:
    """A file begins: its path in the image, for people, and its size in bytes."""

    file: str
    size: int


@dataclass(frozen=True, slots=True)
class ChunkFrame:
    """``size`` bytes of the file follow."""

    size: int


@dataclass(frozen=True, slots=True)
class ProgressFrame:
    """``done`` of ``total`` bytes of the image have been read."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class PackageFrame:
    """What the header of an RPM says, its digests checked; see ``model.content.Package``.

    ``judge`` is who found its signature right.
    """

    nevra: Nevra
    kernel_release: str
    provides: tuple[str, ...]
    requires: tuple[str, ...]
    judge: Judge = Judge.NOBODY


@dataclass(frozen=True, slots=True)
class DoneFrame:
    """Everything was sent, and every digest on the way was right."""


@dataclass(frozen=True, slots=True)
class ErrorFrame:
    """The worker gives up; the last frame."""

    failure: Failure


Frame = ImageFrame | FileFrame | ChunkFrame | ProgressFrame | PackageFrame | DoneFrame | ErrorFrame


def encode_request(request: Request) -> bytes:
    """The line to send."""
    match request:
        case FetchRequest():
            return _line(
                {
                    "op": "fetch",
                    "image": request.image,
                    "names": list(request.names),
                    "architecture": request.architecture,
                    "max_packages": request.max_packages,
                    "max_package_bytes": request.max_package_bytes,
                    "max_layers": request.max_layers,
                    "root": request.root,
                    "authfiles": list(request.authfiles),
                    "scratch": request.scratch,
                    "patience_ms": request.patience_ms,
                    "lent": request.lent,
                }
            )
        case InspectRequest(files, keys, signed):
            printable = {
                key: [fields.printable(name, 256) for name in names]
                for key, names in (("files", files), ("keys", keys))
            }
            return _line({"op": "inspect", **printable, "signed": signed})
        case _:
            assert_never(request)


def decode_request(line: bytes) -> Request:
    """Raises ``AgentError`` (``worker-failed``) for anything that is not a request."""
    try:
        return _request(fields.parse_object(line))
    except ValueError as error:
        raise AgentError(Code.WORKER_FAILED, f"the worker was asked something it cannot read: {error}") from error


def encode(frame: Frame) -> bytes:
    """The line to send; texts that are not ours are made printable and cut to fit."""
    match frame:
        case ImageFrame():
            return _line({"image": _image_fields(frame)})
        case FileFrame(file, size):
            return _line({"file": fields.printable(file), "size": size})
        case ChunkFrame(size):
            return _line({"chunk": size})
        case ProgressFrame(done, total):
            return _line({"progress": {"bytes": done, "total": total}})
        case PackageFrame():
            return _line({"package": _package_fields(frame)})
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


def checked_package(package: PackageFrame) -> PackageFrame:
    """The same frame; raises ``ValueError`` where a value is not what an RPM could honestly have."""
    nevra = package.nevra
    for key, value, pattern in (
        ("name", nevra.name, _NAME),
        ("version", nevra.version, _VERSION),
        ("release", nevra.release, _VERSION),
        ("architecture", nevra.architecture, _ARCHITECTURE),
        ("kernel_release", package.kernel_release, _KERNEL_RELEASE),
    ):
        if not pattern.fullmatch(value):
            raise ValueError(f"{key}: {fields.printable(value, 64)!r} is not possible")
    for key, capabilities in (("provides", package.provides), ("requires", package.requires)):
        if len(capabilities) > CAPABILITIES:
            raise ValueError(f"{key}: {len(capabilities)} capabilities of kernels are more than {CAPABILITIES}")
        if not all(_CAPABILITY.fullmatch(capability) for capability in capabilities):
            raise ValueError(f"{key}: a capability is not a short printable text")
    return package


def _line(values: JsonObject) -> bytes:
    return json.dumps(values, separators=(",", ":")).encode() + b"\n"


def _request(request: JsonObject) -> Request:
    match request.get("op"):
        case "fetch":
            return FetchRequest(
                fields.text(request, "image", most=4096),
                fields.texts(request, "names", most=64),
                fields.text(request, "architecture"),
                fields.integer(request, "max_packages", most=_NUMBER),
                fields.integer(request, "max_package_bytes", most=_NUMBER),
                fields.integer(request, "max_layers", most=_NUMBER),
                fields.text(request, "root", most=4096),
                fields.texts(request, "authfiles", most=64),
                fields.text(request, "scratch", most=4096),
                fields.integer(request, "patience_ms", most=_NUMBER),
                fields.boolean(request, "lent"),
            )
        case "inspect":
            files, keys = (fields.texts(request, key, most=MAX_FILES) for key in ("files", "keys"))
            return InspectRequest(files, keys, fields.boolean(request, "signed"))
        case other:
            raise ValueError(f"op: expected fetch or inspect, found {other!r}")


def _frame(frame: JsonObject) -> Frame:
    if "image" in frame:
        return _image(fields.mapping(frame, "image"))
    if "file" in frame:
        return FileFrame(fields.text(frame, "file"), fields.integer(frame, "size", most=_NUMBER))
    if "chunk" in frame:
        return ChunkFrame(fields.integer(frame, "chunk", most=CHUNK))
    if "progress" in frame:
        progress = fields.mapping(frame, "progress")
        total = fields.integer(progress, "total", most=_NUMBER)
        return ProgressFrame(fields.integer(progress, "bytes", most=total), total)
    if "package" in frame:
        return _package(fields.mapping(frame, "package"))
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


def _package_fields(package: PackageFrame) -> JsonObject:
    return {
        "name": package.nevra.name,
        "epoch": package.nevra.epoch,
        "version": package.nevra.version,
        "release": package.nevra.release,
        "architecture": package.nevra.architecture,
        "kernel_release": package.kernel_release,
        "provides": list(package.provides),
        "requires": list(package.requires),
        "judge": package.judge,
    }


def _package(package: JsonObject) -> PackageFrame:
    nevra = Nevra(
        fields.text(package, "name"),
        fields.integer(package, "epoch", most=(1 << 32) - 1),
        fields.text(package, "version"),
        fields.text(package, "release"),
        fields.text(package, "architecture"),
    )
    provides, requires = (fields.texts(package, key, most=CAPABILITIES) for key in ("provides", "requires"))
    judge = Judge(fields.text(package, "judge"))
    return checked_package(PackageFrame(nevra, fields.text(package, "kernel_release"), provides, requires, judge))


def _failure_fields(failure: Failure) -> JsonObject:
    return {"code": failure.code, "message": fields.printable(failure.message), "hint": fields.printable(failure.hint)}


def _failure(error: JsonObject) -> Failure:
    code = fields.text(error, "code")
    if code not in _WORKER_CODES:
        raise ValueError(f"code: {fields.printable(code, 64)!r} is not one a worker has")
    return Failure(Code(code), fields.text(error, "message"), fields.text(error, "hint"))
