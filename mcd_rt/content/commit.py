"""An ostree commit object: what it says of the OS it is of.

Its SHA-256 is its checksum, so whoever knows the checksum knows that these are the right bytes. Sources: libostree's
``ostree-core.h`` (``OSTREE_COMMIT_GVARIANT_FORMAT``) and its metadata keys; ``rpmostree.rpmdb.pkglist`` is written by
rpm-ostree when it composes a tree, ``coreos-assembler.basearch`` by what builds CoreOS.
"""

import hashlib
import re

from mcd_rt.content import gvariant
from mcd_rt.content.fields import printable
from mcd_rt.content.gvariant import BYTES, STRING, UINT64, VARIANT, Shape
from mcd_rt.content.nevras import checked_nevra
from mcd_rt.errors import AgentError, Code
from mcd_rt.frozen import frozen
from mcd_rt.model.nevra import Nevra

MAX_COMMIT = 10 << 20  # what libostree took for any metadata object until 2022, more than ten times a large commit

_COMMIT = (Shape(8), BYTES, Shape(1), STRING, STRING, UINT64, BYTES, BYTES)  # (a{sv}aya(say)sstayay)
_PACKAGE = (STRING,) * 5
_PACKAGES = "a(sssss)"
_MAX_KEYS = 1 << 12
_MAX_PACKAGES = 1 << 16
_EPOCH = re.compile(r"[0-9]{1,10}")


@frozen
class Commit:
    """What a commit says; texts are empty where it says nothing.

    ``kernel_release`` is its ``ostree.linux``, ``kernels`` are the packages of its OS whose name begins with
    ``kernel``, ``None`` where it lists no packages at all.
    """

    checksum: str
    version: str
    kernel_release: str
    architecture: str
    kernels: tuple[Nevra, ...] | None


def read_commit(data: bytes, checksum: str) -> Commit:
    """The commit of this checksum; raises ``AgentError``: ``image-digest-mismatch``, ``image-unreadable``."""
    found = hashlib.sha256(data).hexdigest()
    if found != checksum:
        raise AgentError(
            Code.IMAGE_DIGEST_MISMATCH,
            f"the object of the commit {checksum} has the checksum {found}",
            "the image is damaged: build or copy it again",
        )
    try:
        return _commit(checksum, data)
    except ValueError as error:  # UnicodeDecodeError is one
        raise AgentError(
            Code.IMAGE_UNREADABLE,
            f"the object of the commit {checksum} is none: {printable(str(error), 128)}",
            "the image was built wrong",
        ) from error


def _commit(checksum: str, data: bytes) -> Commit:
    metadata = _metadata(gvariant.members_of(data, _COMMIT)[0])
    architecture = _text(metadata, "ostree.architecture") or _text(metadata, "coreos-assembler.basearch")
    return Commit(
        checksum, _text(metadata, "version"), _text(metadata, "ostree.linux"), architecture, _kernels(metadata)
    )


def _metadata(data: bytes) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for item in gvariant.items_of(data, 8, _MAX_KEYS):
        key, value = gvariant.members_of(item, (STRING, VARIANT))
        name = gvariant.string_of(key)
        if name in found:
            raise ValueError(f"it says {name!r} twice")
        found[name] = value
    return found


def _text(metadata: dict[str, bytes], key: str) -> str:
    if key not in metadata:
        return ""
    kind, value = gvariant.variant_of(metadata[key])
    if kind != "s":
        raise ValueError(f"{key} is of the type {kind!r}, expected a string")
    text = gvariant.string_of(value)
    if len(text) > 256 or not text.isprintable():
        raise ValueError(f"{key} is not a short printable text")
    return text


def _kernels(metadata: dict[str, bytes]) -> tuple[Nevra, ...] | None:
    key = "rpmostree.rpmdb.pkglist"
    if key not in metadata:
        return None
    kind, value = gvariant.variant_of(metadata[key])
    if kind != _PACKAGES:
        raise ValueError(f"{key} is of the type {kind!r}, expected {_PACKAGES!r}")
    listed = (
        tuple(map(gvariant.string_of, gvariant.members_of(item, _PACKAGE)))
        for item in gvariant.items_of(value, 1, _MAX_PACKAGES)
    )
    return tuple(_nevra(*package) for package in listed if package[0].startswith("kernel"))


def _nevra(name: str, epoch: str, version: str, release: str, architecture: str) -> Nevra:
    if not _EPOCH.fullmatch(epoch):
        raise ValueError(f"the epoch of {name!r} is {epoch!r}")
    return checked_nevra(Nevra(name, int(epoch), version, release, architecture))
