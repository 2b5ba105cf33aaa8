"""An OCI layout on disk: from a reference to the layers of one image, every blob compared with its digest.

Source: the OCI image layout and image specifications 1.1. Docker's schema 2 manifests are the same with
other media types, and are found in layouts that tools copied from registries.
"""

import hashlib
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mcd_rt.content import fields
from mcd_rt.content.blob import Descriptor
from mcd_rt.content.fields import JsonObject
from mcd_rt.errors import AgentError, Code
from mcd_rt.model.image import ImageReference

MAX_DOCUMENT = 4 << 20
MAX_LAYER = 32 << 30

_INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
_MANIFESTS = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
_CONFIGS = ("application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json")
_LAYER = re.compile(
    r"application/vnd\.oci\.image\.layer\.(nondistributable\.)?v1\.tar(\+gzip|\+zstd)?"
    r"|application/vnd\.docker\.image\.rootfs\.(foreign\.)?diff\.tar(\.gzip|\.zstd)?"
)
_TAG = "org.opencontainers.image.ref.name"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_GO_NAMES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True)
class Image:
    """One image: the digest of its manifest, its architecture as its config says, its layers oldest first."""

    digest: str
    architecture: str
    layers: tuple[Descriptor, ...]


def open_image(reference: ImageReference, architecture: str, max_layers: int) -> Image:
    """Find the image of a reference (by digest, else by tag) for an architecture as ``uname -m`` spells it.

    Raises ``AgentError``: ``image-unreadable`` where something is missing, damaged or ambiguous,
    ``image-digest-mismatch``, ``image-too-large``, ``image-unsafe`` where a blob is outside of the layout.
    """
    directory = Path(reference.place)
    _check_version(directory)
    digest = reference.digest or _tagged(directory, reference.tag).digest
    document = _document(directory, digest)
    for _ in range(2):  # an index may hold the index of a multi-architecture image, never more
        if "manifests" not in document:
            break
        digest = _for_platform(document, directory, digest, _GO_NAMES.get(architecture, architecture)).digest
        document = _document(directory, digest)
    return _image(directory, digest, document, max_layers)


def open_blob(directory: Path, digest: str) -> BinaryIO:
    """Open a blob for reading, unverified; raises as ``open_image``."""
    path = directory / "blobs" / digest.replace(":", "/")
    try:
        real, top = path.resolve(strict=True), directory.resolve(strict=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle, before Python 3.13
        raise _unreadable(path, f"is missing: {getattr(error, 'strerror', None) or error}") from error
    if not real.is_relative_to(top):
        raise AgentError(
            Code.IMAGE_UNSAFE,
            f"{path} leads out of the layout, to {real}",
            "copy the image so that its blobs are in the layout itself",
        )
    return _open(real)


def _open(path: Path) -> BinaryIO:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise _unreadable(path, f"cannot be opened: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _unreadable(path, "is not a regular file")
    return os.fdopen(descriptor, "rb")


def _check_version(directory: Path) -> None:
    path = directory / "oci-layout"
    version = _parsed(path, _read(path))
    try:
        found = fields.text(version, "imageLayoutVersion")
    except ValueError as error:
        raise _unreadable(path, str(error)) from error
    if found != "1.0.0":
        raise _unreadable(path, f"is of version {found!r}, expected '1.0.0'")


def _tagged(directory: Path, tag: str) -> Descriptor:
    path = directory / "index.json"
    index = _parsed(path, _read(path))
    try:
        entries = fields.mappings(index, "manifests", most=4096)
        found = [_descriptor(entry) for entry in entries if not tag or _annotation(entry, _TAG) == tag]
    except ValueError as error:
        raise _unreadable(path, str(error)) from error
    if len(found) != 1:
        what = f"{len(found) or 'no'} images" + (f" with the tag {tag!r}" if tag else "")
        raise _unreadable(path, f"has {what}, expected one", "name the image by its digest")
    return found[0]


def _for_platform(index: JsonObject, directory: Path, digest: str, architecture: str) -> Descriptor:
    path = _path(directory, digest)
    offered = []
    try:
        for entry in fields.mappings(index, "manifests", most=4096):
            platform = fields.mapping(entry, "platform") if "platform" in entry else {}
            offered.append(f"{fields.optional_text(platform, 'os')}/{fields.optional_text(platform, 'architecture')}")
            if offered[-1] == f"linux/{architecture}":
                return _descriptor(entry)
    except ValueError as error:
        raise _unreadable(path, str(error)) from error
    raise _unreadable(path, f"has no image for linux/{architecture}, only {', '.join(offered) or 'nothing'}")


def _image(directory: Path, digest: str, manifest: JsonObject, max_layers: int) -> Image:
    path = _path(directory, digest)
    try:
        config = _descriptor(fields.mapping(manifest, "config"))
        layers = tuple(_descriptor(entry) for entry in fields.mappings(manifest, "layers", most=1 << 20))
    except ValueError as error:
        raise _unreadable(path, f"is not the manifest of an image: {error}") from error
    if len(layers) > max_layers:
        raise _too_large(path, f"has {len(layers)} layers, more than {max_layers}")
    if config.media_type not in _CONFIGS:
        raise _unreadable(path, f"is not of an image: its config is of the type {config.media_type!r}")
    for layer in layers:
        if not _LAYER.fullmatch(layer.media_type):
            raise _unreadable(path, f"has a layer of the type {layer.media_type!r}, which is not one of an image")
        if layer.size > MAX_LAYER:
            raise _too_large(path, f"has a layer of {layer.size} bytes, more than {MAX_LAYER}")
    return Image(digest, _architecture(directory, config, len(layers)), layers)


def _architecture(directory: Path, config: Descriptor, layers: int) -> str:
    path = _path(directory, config.digest)
    document = _parsed(path, _read_blob(directory, config.digest))
    try:
        architecture = fields.text(document, "architecture")
        listed = fields.texts(fields.mapping(document, "rootfs"), "diff_ids", most=1 << 20)
    except ValueError as error:
        raise _unreadable(path, f"is not the config of an image: {error}") from error
    if len(listed) != layers:
        raise _unreadable(path, f"lists {len(listed)} layers, the manifest {layers}")
    return architecture


def _document(directory: Path, digest: str) -> JsonObject:
    path = _path(directory, digest)
    document = _parsed(path, _read_blob(directory, digest))
    if "manifests" in document and "layers" in document:
        raise _unreadable(path, "is an index and a manifest at once: what it is depends on who reads it")
    expected = _INDEXES if "manifests" in document else _MANIFESTS
    if document.get("mediaType", expected[0]) not in expected:
        raise _unreadable(path, f"is of the type {document.get('mediaType')!r}, expected {' or '.join(expected)}")
    return document


def _descriptor(entry: JsonObject) -> Descriptor:
    digest = fields.text(entry, "digest")
    if not _DIGEST.fullmatch(digest):
        raise ValueError(f"digest: expected sha256: and 64 hex digits, found {digest!r}")
    return Descriptor(fields.text(entry, "mediaType"), digest, fields.integer(entry, "size", most=(1 << 63) - 1))


def _annotation(entry: JsonObject, key: str) -> str:
    return fields.optional_text(fields.mapping(entry, "annotations"), key) if "annotations" in entry else ""


def _read_blob(directory: Path, digest: str) -> bytes:
    with open_blob(directory, digest) as file:
        data = _read_all(file, _path(directory, digest))
    if (found := f"sha256:{hashlib.sha256(data).hexdigest()}") != digest:
        raise AgentError(
            Code.IMAGE_DIGEST_MISMATCH,
            f"blob {digest} has the digest {found}",
            "the image is damaged: copy it again; nothing of it was used",
        )
    return data


def _read(path: Path) -> bytes:
    with _open(path) as file:
        return _read_all(file, path)


def _read_all(file: BinaryIO, path: Path) -> bytes:
    if (size := os.fstat(file.fileno()).st_size) > MAX_DOCUMENT:
        raise _too_large(path, f"has {size} bytes, more than {MAX_DOCUMENT}")
    try:
        return file.read(MAX_DOCUMENT)
    except OSError as error:
        raise _unreadable(path, f"cannot be read: {error.strerror}") from error


def _parsed(path: Path, data: bytes) -> JsonObject:
    try:
        return fields.parse_object(data)
    except ValueError as error:
        raise _unreadable(path, f"is not the JSON it should be: {error}") from error


def _path(directory: Path, digest: str) -> Path:
    return directory / "blobs" / digest.replace(":", "/")


def _unreadable(path: Path, what: str, hint: str = "copy the image again") -> AgentError:
    return AgentError(Code.IMAGE_UNREADABLE, f"{path} {what}", hint)


def _too_large(path: Path, what: str) -> AgentError:
    return AgentError(Code.IMAGE_TOO_LARGE, f"{path} {what}", "this is not an image of an operating system")
