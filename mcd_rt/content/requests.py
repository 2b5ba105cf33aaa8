"""What an agent asks of a worker, as one line; see ``frames.py`` for the whole of the protocol."""

import json
from enum import StrEnum, unique
from typing import Protocol, assert_never

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


class ImageRequest(Protocol):
    """What every request about an image says of where it is and how it is read.

    For images in a registry: ``root`` is where the host's settings are below, ``authfiles`` are tried in their
    order, ``scratch`` is a directory for a copy, ``patience_ms`` how long the registry may be silent. ``lent``: the
    descriptor of a pull secret follows, for a worker that may read none itself.
    """

    @property
    def image(self) -> str:
        """The reference, as it is written."""

    @property
    def architecture(self) -> str:
        """As ``uname -m`` spells it: which image of an index."""

    @property
    def max_layers(self) -> int:
        """How many layers it may have."""

    @property
    def root(self) -> str:
        """The root of the host."""

    @property
    def authfiles(self) -> tuple[str, ...]:
        """Files of pull secrets."""

    @property
    def scratch(self) -> str:
        """A directory."""

    @property
    def patience_ms(self) -> int:
        """Milliseconds."""

    @property
    def lent(self) -> bool:
        """Whether a secret follows."""


@frozen
class FetchRequest:
    """Send the RPMs of ``image`` whose headers have one of these names; sizes in bytes. See ``ImageRequest``."""

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
    """Say which OS ``image`` has, and the kernel packages in it. See ``ImageRequest``."""

    image: str
    architecture: str
    max_layers: int
    root: str = "/"
    authfiles: tuple[str, ...] = ()
    scratch: str = "/var/tmp"  # noqa: S108 - files with names nobody can guess
    patience_ms: int = 60_000
    lent: bool = False


@frozen
class RepositoryRequest:
    """Send the ostree repository of ``image``: at most ``max_files``, of ``max_bytes`` together."""

    image: str
    architecture: str
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


AboutImage = FetchRequest | OsRequest | RepositoryRequest
Request = AboutImage | InspectRequest | LockRequest


def encode_request(request: Request) -> bytes:
    """The line to send."""
    match request:
        case FetchRequest():
            own: JsonObject = {
                "op": "fetch",
                "names": list(request.names),
                "max_packages": request.max_packages,
                "max_package_bytes": request.max_package_bytes,
                "extent": request.extent,
            }
            return _line(own | _image_fields(request))
        case OsRequest():
            return _line({"op": "os"} | _image_fields(request))
        case RepositoryRequest():
            own = {"op": "repository", "max_files": request.max_files, "max_bytes": request.max_bytes}
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


def _image_fields(request: ImageRequest) -> JsonObject:
    return {
        "image": request.image,
        "architecture": request.architecture,
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
            return _fetch_request(request)
        case "os":
            image, architecture, max_layers = _image_named(request)
            return OsRequest(image, architecture, max_layers, *_image_read(request))
        case "repository":
            image, architecture, max_layers = _image_named(request)
            max_files, max_bytes = (fields.integer(request, key, most=_NUMBER) for key in ("max_files", "max_bytes"))
            return RepositoryRequest(image, architecture, max_layers, max_files, max_bytes, *_image_read(request))
        case "inspect":
            return InspectRequest(fields.texts(request, "keys", most=MAX_KEYS), fields.boolean(request, "signed"))
        case "lock":
            return lock_request_of(request)
        case other:
            raise ValueError(f"op: expected fetch, os, repository, inspect or lock, found {other!r}")


def _fetch_request(request: JsonObject) -> FetchRequest:
    image, architecture, max_layers = _image_named(request)
    return FetchRequest(
        image,
        fields.texts(request, "names", most=64),
        architecture,
        fields.integer(request, "max_packages", most=_NUMBER),
        fields.integer(request, "max_package_bytes", most=_NUMBER),
        max_layers,
        *_image_read(request),
        Extent(fields.text(request, "extent")),
    )


def _image_named(request: JsonObject) -> tuple[str, str, int]:
    return (
        fields.text(request, "image", most=4096),
        fields.text(request, "architecture"),
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
