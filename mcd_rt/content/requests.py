"""What an agent asks of a worker, as one line; see ``frames.py`` for the whole of the protocol."""

import json
from enum import StrEnum, unique
from typing import assert_never

from mcd_rt.content import fields
from mcd_rt.content.fields import MAX_KEYS, JsonObject
from mcd_rt.content.lockwords import LockRequest, lock_request_fields, lock_request_of
from mcd_rt.errors import AgentError, Code
from mcd_rt.frozen import frozen

MAX_REQUEST = 1 << 19
"""Bytes of the line: as many names as there may be, each as long as it may be, spelled in ASCII."""

EMPTY_SECRETS = (b"", b"{}")
"""What is in a file of pull secrets that has none; the second is what a unit lends where there is nothing to lend."""

_NUMBER = (1 << 63) - 1


@unique
class Extent(StrEnum):
    """How far an image is read: not at all, until the packages are a whole kernel, or to its oldest layer."""

    IDENTITY = "identity"
    KERNEL = "kernel"
    ALL = "all"


@frozen
class FetchRequest:
    """Send the RPMs of ``image``, a reference as it is written, whose headers have one of these names; sizes in bytes.

    ``architecture`` is as ``uname -m`` spells it: which image of an index. For images in a registry: ``root`` is where
    the host's settings are below, ``authfiles`` are tried in their order, ``scratch`` is a directory for a copy,
    ``patience_ms`` how long the registry may be silent. ``lent``: the descriptor of a pull secret follows, for a worker
    that may read none itself.
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
    extent: Extent = Extent.KERNEL


@frozen
class OsRequest:
    """Say which OS ``image`` has, and the kernel packages in it.

    Where the OS is in a repository in the image, that is sent, at most ``max_files`` of ``max_bytes`` together, and
    the RPMs that a ``FetchRequest`` asks for.
    """

    image: str
    names: tuple[str, ...]
    architecture: str
    max_packages: int
    max_package_bytes: int
    max_layers: int
    max_files: int
    max_bytes: int
    root: str = "/"
    authfiles: tuple[str, ...] = ()
    scratch: str = "/var/tmp"  # noqa: S108 - files with names nobody can guess
    patience_ms: int = 60_000
    lent: bool = False


@frozen
class InspectRequest:
    """Say what the RPMs are that follow, each as a line (``encode_name``) and a descriptor, until no more come.

    ``signed``: each must be signed by one of the keys whose descriptors come before; ``keys`` are their names.
    """

    keys: tuple[str, ...] = ()
    signed: bool = False


AboutImage = FetchRequest | OsRequest
"""What both say, they say of where the image is, how it is read, and which packages may come."""

Request = AboutImage | InspectRequest | LockRequest


def encode_request(request: Request) -> bytes:
    """The line to send."""
    match request:
        case FetchRequest():
            return _line({"op": "fetch", "extent": request.extent} | _image_fields(request))
        case OsRequest():
            own: JsonObject = {"op": "os", "max_files": request.max_files, "max_bytes": request.max_bytes}
            return _line(own | _image_fields(request))
        case InspectRequest(keys, signed):
            return _line({"op": "inspect", "keys": [fields.printable(key, 256) for key in keys], "signed": signed})
        case LockRequest():
            return _line(lock_request_fields(request))
        case _:
            assert_never(request)


def decode_request(line: bytes) -> Request:
    """Raises ``AgentError`` (``worker-failed``) for anything that is not a request."""
    try:
        return _request(fields.parse_object(line))
    except ValueError as error:
        raise _unreadable(error) from error


def encode_name(name: str) -> bytes:
    """The line before the descriptor of a file to inspect: what to call it."""
    return _line({"file": fields.printable(name, 256)})


def decode_name(line: bytes) -> str:
    """Raises ``AgentError`` (``worker-failed``) for anything but such a line."""
    try:
        return fields.text(fields.parse_object(line), "file", most=256)
    except ValueError as error:
        raise _unreadable(error) from error


def _unreadable(error: ValueError) -> AgentError:
    return AgentError(Code.WORKER_FAILED, f"the worker was asked something it cannot read: {error}")


def _line(values: JsonObject) -> bytes:
    return json.dumps(values, separators=(",", ":")).encode() + b"\n"


def _image_fields(request: AboutImage) -> JsonObject:
    return {
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


def _request(request: JsonObject) -> Request:
    match request.get("op"):
        case "fetch":
            extent = Extent(fields.text(request, "extent"))
            return FetchRequest(*_image_named(request), *_image_read(request), extent)
        case "os":
            max_files, max_bytes = (fields.integer(request, key, most=_NUMBER) for key in ("max_files", "max_bytes"))
            return OsRequest(*_image_named(request), max_files, max_bytes, *_image_read(request))
        case "inspect":
            return InspectRequest(fields.texts(request, "keys", most=MAX_KEYS), fields.boolean(request, "signed"))
        case "lock":
            return lock_request_of(request)
        case other:
            raise ValueError(f"op: expected fetch, os, inspect or lock, found {other!r}")


def _image_named(request: JsonObject) -> tuple[str, tuple[str, ...], str, int, int, int]:
    return (
        fields.text(request, "image", most=4096),
        fields.texts(request, "names", most=64),
        fields.text(request, "architecture"),
        fields.integer(request, "max_packages", most=_NUMBER),
        fields.integer(request, "max_package_bytes", most=_NUMBER),
        fields.integer(request, "max_layers", most=_NUMBER),
    )


def _image_read(request: JsonObject) -> tuple[str, tuple[str, ...], str, int, bool]:
    return (
        fields.text(request, "root", most=4096),
        fields.texts(request, "authfiles", most=64),
        fields.text(request, "scratch", most=4096),
        fields.integer(request, "patience_ms", most=_NUMBER),
        fields.boolean(request, "lent"),
    )
