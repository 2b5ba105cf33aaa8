"""An OCI layout on disk: from a reference to one image and its layers.

Source: the OCI image layout specification 1.1.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from mcd_rt.content import fields
from mcd_rt.content.blob import Descriptor, Reader
from mcd_rt.content.fields import JsonObject
from mcd_rt.content.manifest import MAX_DOCUMENT, Image, descriptor_of, parsed, resolve_image, too_large, unreadable
from mcd_rt.errors import AgentError, Code
from mcd_rt.model.content import Way
from mcd_rt.model.image import ImageReference

_TAG = "org.opencontainers.image.ref.name"


class LayoutSource:
    """An image in a layout: the delivery's ``ImageSource``."""

    def __init__(self, directory: Path, image: Image) -> None:
        """``image`` was found in the layout at ``directory``."""
        self._directory = directory
        self.image = image
        self.way = Way.LAYOUT
        self.why = "it is a layout on disk"

    @contextmanager
    def open_layer(self, layer: Descriptor) -> Iterator[Reader]:
        """The bytes of a layer, unverified; raises as ``open_blob``."""
        with open_blob(self._directory, layer.digest) as file:
            yield file


def open_layout(reference: ImageReference, architecture: str, max_layers: int) -> LayoutSource:
    """The image of a reference, to be read from its layout; raises as ``open_image``."""
    return LayoutSource(Path(reference.place), open_image(reference, architecture, max_layers))


def open_image(reference: ImageReference, architecture: str, max_layers: int) -> Image:
    """Find the image of a reference (by digest, else by tag) for an architecture as ``uname -m`` spells it.

    Raises ``AgentError``: ``image-unreadable`` where something is missing, damaged or ambiguous,
    ``image-digest-mismatch``, ``image-too-large``, ``image-unsafe`` where a blob is outside of the layout.
    """
    directory = Path(reference.place)
    _check_version(directory)
    digest = reference.digest or _tagged(directory, reference.tag).digest
    return resolve_image(_Documents(directory), digest, architecture, max_layers)


def open_blob(directory: Path, digest: str) -> BinaryIO:
    """Open a blob for reading, unverified; raises as ``open_image``."""
    path = _path(directory, digest)
    try:
        real, top = path.resolve(strict=True), directory.resolve(strict=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle, before Python 3.13
        raise unreadable(str(path), f"is missing: {getattr(error, 'strerror', None) or error}") from error
    if not real.is_relative_to(top):
        raise AgentError(
            Code.IMAGE_UNSAFE,
            f"{path} leads out of the layout, to {real}",
            "copy the image so that its blobs are in the layout itself",
        )
    return open_regular(real)


def open_regular(path: Path) -> BinaryIO:
    """Open a file that is no link and no device; raises ``AgentError`` (``image-unreadable``)."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise unreadable(str(path), f"cannot be opened: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise unreadable(str(path), "is not a regular file")
    return os.fdopen(descriptor, "rb")


class _Documents:
    """The blobs of a layout, as documents."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def manifest(self, digest: str) -> bytes:
        with open_blob(self._directory, digest) as file:
            return _read_all(file, _path(self._directory, digest))

    def config(self, blob: Descriptor) -> bytes:
        return self.manifest(blob.digest)

    def name(self, digest: str) -> str:
        return str(_path(self._directory, digest))


def _check_version(directory: Path) -> None:
    path = directory / "oci-layout"
    version = parsed(str(path), _read(path))
    try:
        found = fields.text(version, "imageLayoutVersion")
    except ValueError as error:
        raise unreadable(str(path), str(error)) from error
    if found != "1.0.0":
        raise unreadable(str(path), f"is of version {found!r}, expected '1.0.0'")


def _tagged(directory: Path, tag: str) -> Descriptor:
    path = directory / "index.json"
    index = parsed(str(path), _read(path))
    try:
        entries = fields.mappings(index, "manifests", most=4096)
        found = [descriptor_of(entry) for entry in entries if not tag or _annotation(entry, _TAG) == tag]
    except ValueError as error:
        raise unreadable(str(path), str(error)) from error
    if len(found) != 1:
        what = f"{len(found) or 'no'} images" + (f" with the tag {tag!r}" if tag else "")
        raise unreadable(str(path), f"has {what}, expected one", "name the image by its digest")
    return found[0]


def _annotation(entry: JsonObject, key: str) -> str:
    return fields.optional_text(fields.mapping(entry, "annotations"), key) if "annotations" in entry else ""


def _read(path: Path) -> bytes:
    with open_regular(path) as file:
        return _read_all(file, path)


def _read_all(file: BinaryIO, path: Path) -> bytes:
    if (size := os.fstat(file.fileno()).st_size) > MAX_DOCUMENT:
        raise too_large(str(path), f"has {size} bytes, more than {MAX_DOCUMENT}")
    try:
        return file.read(MAX_DOCUMENT)
    except OSError as error:
        raise unreadable(str(path), f"cannot be read: {error.strerror}") from error


def _path(directory: Path, digest: str) -> Path:
    return directory / "blobs" / digest.replace(":", "/")
