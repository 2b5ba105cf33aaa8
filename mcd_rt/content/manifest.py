"""From the digest of an image to its layers: index, manifest and config, each compared with its digest.

Sources: the OCI image specification 1.1; Docker's schema 2 manifests are the same with other media types.
Wherever the documents come from, what they say is judged here.
"""

import hashlib
import re
from typing import Protocol

from mcd_rt.content import fields
from mcd_rt.content.blob import Descriptor
from mcd_rt.content.fields import JsonObject
from mcd_rt.errors import AgentError, Code
from mcd_rt.frozen import frozen

MAX_DOCUMENT = 4 << 20
MAX_LAYER = 32 << 30

_INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
_MANIFESTS = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
_CONFIGS = ("application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json")
_LAYER = re.compile(
    r"application/vnd\.oci\.image\.layer\.(nondistributable\.)?v1\.tar(\+gzip|\+zstd)?"
    r"|application/vnd\.docker\.image\.rootfs\.(foreign\.)?diff\.tar(\.gzip|\.zstd)?"
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_GO_NAMES = {"x86_64": "amd64", "aarch64": "arm64"}
_COMMIT, _VERSION = "com.coreos.ostree-commit", "version"
# Of an image that is its OS: the commit in it, and the last layer that is of it (ostree-ext, ``encapsulate.rs``).
_OWN_COMMIT, _LAST_OWN = "ostree.commit", ("ostree.final-diffid", "ostree.diffid")


@frozen
class Image:
    """One image: the digest of its manifest, its architecture as its config says, its layers oldest first.

    ``commit`` and ``version`` are those of the OS its labels say it belongs to, empty where they do not. ``is_os`` says
    that it is this OS itself, by its labels; ``derived`` how many layers were put on top of it, and so of its commit.
    """

    digest: str
    architecture: str
    layers: tuple[Descriptor, ...]
    commit: str = ""
    version: str = ""
    is_os: bool = False
    derived: int = 0

    @property
    def size(self) -> int:
        """Bytes of all layers, packed as they are."""
        return sum(layer.size for layer in self.layers)


class Documents(Protocol):
    """Where the documents of an image are read from."""

    def manifest(self, digest: str) -> bytes:
        """The manifest or index of this digest, unverified, of at most ``MAX_DOCUMENT`` bytes."""

    def config(self, blob: Descriptor) -> bytes:
        """The same for the config of an image."""

    def name(self, digest: str) -> str:
        """What to call it."""


def go_name(architecture: str) -> str:
    """An architecture as images spell it, from how ``uname -m`` does."""
    return _GO_NAMES.get(architecture, architecture)


def architecture_of(spelled: str) -> str:
    """The other way round: as ``uname -m`` does, from how images spell it."""
    return next((known for known, go in _GO_NAMES.items() if go == spelled), spelled)


def resolve_image(documents: Documents, digest: str, architecture: str, max_layers: int) -> Image:
    """The image of a digest, or that for the architecture (``uname -m``) where the digest is of an index.

    Raises ``AgentError``: ``image-unreadable`` where something is damaged or missing,
    ``image-digest-mismatch``, ``image-too-large``, and what ``documents`` raises.
    """
    found, document = _of_platform(documents, digest, architecture)
    return _image(documents, found, document, max_layers)


def platform_digest(documents: Documents, digest: str, architecture: str) -> str:
    """The digest of the image that ``resolve_image`` finds, and raises for, of which only manifests are read."""
    return _of_platform(documents, digest, architecture)[0]


def descriptor_of(entry: JsonObject) -> Descriptor:
    """A descriptor out of a document; raises ``ValueError``."""
    digest = fields.text(entry, "digest")
    if not _DIGEST.fullmatch(digest):
        raise ValueError(f"digest: expected sha256: and 64 hex digits, found {digest!r}")
    return Descriptor(fields.text(entry, "mediaType"), digest, fields.integer(entry, "size", most=(1 << 63) - 1))


def parsed(name: str, data: bytes) -> JsonObject:
    """A JSON object; raises ``AgentError`` (``image-unreadable``) for anything else."""
    try:
        return fields.parse_object(data)
    except ValueError as error:
        raise unreadable(name, f"is not the JSON it should be: {error}") from error


def unreadable(name: str, what: str, hint: str = "copy the image again") -> AgentError:
    """``image-unreadable``, as a sentence."""
    return AgentError(Code.IMAGE_UNREADABLE, f"{name} {what}", hint)


def too_large(name: str, what: str) -> AgentError:
    """``image-too-large``, as a sentence."""
    return AgentError(Code.IMAGE_TOO_LARGE, f"{name} {what}", "this is not an image of an operating system")


def _document(documents: Documents, digest: str) -> JsonObject:
    name = documents.name(digest)
    document = parsed(name, _compared(documents.manifest(digest), digest))
    if "manifests" in document and "layers" in document:
        raise unreadable(name, "is an index and a manifest at once: what it is depends on who reads it")
    expected = _INDEXES if "manifests" in document else _MANIFESTS
    if document.get("mediaType", expected[0]) not in expected:
        raise unreadable(name, f"is of the type {document.get('mediaType')!r}, expected {' or '.join(expected)}")
    return document


def _of_platform(documents: Documents, digest: str, architecture: str) -> tuple[str, JsonObject]:
    document = _document(documents, digest)
    for _ in range(2):  # an index may hold the index of a multi-architecture image, never more
        if "manifests" not in document:
            break
        digest = _for_platform(document, documents.name(digest), go_name(architecture)).digest
        document = _document(documents, digest)
    return digest, document


def _compared(data: bytes, digest: str) -> bytes:
    if (found := f"sha256:{hashlib.sha256(data).hexdigest()}") != digest:
        raise AgentError(
            Code.IMAGE_DIGEST_MISMATCH,
            f"blob {digest} has the digest {found}",
            "the image is damaged: copy it again; nothing of it was used",
        )
    return data


def _for_platform(index: JsonObject, name: str, architecture: str) -> Descriptor:
    offered = []
    try:
        for entry in fields.mappings(index, "manifests", most=4096):
            platform = fields.mapping(entry, "platform") if "platform" in entry else {}
            offered.append(f"{fields.optional_text(platform, 'os')}/{fields.optional_text(platform, 'architecture')}")
            if offered[-1] == f"linux/{architecture}":
                return descriptor_of(entry)
    except ValueError as error:
        raise unreadable(name, str(error)) from error
    listed = ", ".join(offered[:8]) or "nothing"
    raise unreadable(name, f"has no image for linux/{architecture}, only {listed}", "name an image for this machine")


def _image(documents: Documents, digest: str, manifest: JsonObject, max_layers: int) -> Image:
    name = documents.name(digest)
    try:
        config = descriptor_of(fields.mapping(manifest, "config"))
        layers = tuple(descriptor_of(entry) for entry in fields.mappings(manifest, "layers", most=1 << 20))
    except ValueError as error:
        raise unreadable(name, f"is not the manifest of an image: {error}") from error
    if len(layers) > max_layers:
        raise too_large(name, f"has {len(layers)} layers, more than {max_layers}")
    if config.media_type not in _CONFIGS:
        raise unreadable(name, f"is not of an image: its config is of the type {config.media_type!r}")
    if config.size > MAX_DOCUMENT:
        raise too_large(name, f"has a config of {config.size} bytes, more than {MAX_DOCUMENT}")
    for layer in layers:
        if not _LAYER.fullmatch(layer.media_type):
            raise unreadable(name, f"has a layer of the type {layer.media_type!r}, which is not one of an image")
        if layer.size > MAX_LAYER:
            raise too_large(name, f"has a layer of {layer.size} bytes, more than {MAX_LAYER}")
    return _configured(documents, digest, config, layers)


def _configured(documents: Documents, digest: str, config: Descriptor, layers: tuple[Descriptor, ...]) -> Image:
    name = documents.name(config.digest)
    document = parsed(name, _compared(documents.config(config), config.digest))
    try:
        architecture = fields.text(document, "architecture")
        listed = fields.texts(fields.mapping(document, "rootfs"), "diff_ids", most=1 << 20)
        labels = _labels(document)
        commit, version = (fields.optional_text(labels, key) for key in (_COMMIT, _VERSION))
        own, *last = (fields.optional_text(labels, key) for key in (_OWN_COMMIT, *_LAST_OWN))
    except ValueError as error:
        raise unreadable(name, f"is not the config of an image: {error}") from error
    if len(listed) != len(layers):
        raise unreadable(name, f"lists {len(listed)} layers, the manifest {len(layers)}")
    derived = _derived(listed, last[0] or last[1]) if own else 0
    return Image(digest, architecture, layers, commit or own, version, bool(own), derived)


def _derived(listed: tuple[str, ...], last: str) -> int:
    """How many layers come after the last one of the OS; all of them, where it is not among them any more."""
    own = listed.index(last) + 1 if last in listed else min(1, len(listed)) if not last else 0
    return len(listed) - own


def _labels(config: JsonObject) -> JsonObject:
    """The labels; both objects on the way to them may be missing or null."""
    inner = fields.mapping(config, "config") if config.get("config") is not None else {}
    return fields.mapping(inner, "Labels") if inner.get("Labels") is not None else {}
