"""The manifest of a cache entry: what was fetched, for which names, and the identity of the keys that judged it."""

import json
import re

from mcd_rt.content import fields
from mcd_rt.content.fields import JsonObject
from mcd_rt.frozen import frozen
from mcd_rt.model.content import Content, Judge, Package, Way
from mcd_rt.model.nevra import Nevra

VERSION = 3

_FILE = re.compile(r"[0-9]{1,4}\.rpm")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NUMBER = (1 << 63) - 1


@frozen
class Entry:
    """``content`` was fetched for packages of these ``names``; ``keys`` is empty where no signature was judged."""

    content: Content
    names: tuple[str, ...]
    keys: str = ""


def encode_entry(entry: Entry) -> bytes:
    """The manifest to write."""
    content = entry.content
    manifest = {
        "version": VERSION,
        "digest": content.digest,
        "names": sorted(entry.names),
        "trusted_by": content.trusted_by,
        "keys": entry.keys,
        "way": content.way,
        "way_reason": content.way_reason,
        "packages": [_package_fields(package) for package in content.packages],
    }
    return json.dumps(manifest, indent=1).encode() + b"\n"


def decode_entry(data: bytes) -> Entry:
    """Raises ``ValueError`` for what is not a manifest of this version."""
    manifest = fields.parse_object(data)
    if manifest.get("version") != VERSION:
        raise ValueError(f"version: expected {VERSION}, found {manifest.get('version')!r}")
    content = Content(
        fields.text(manifest, "digest"),
        tuple(_package(package) for package in fields.mappings(manifest, "packages", most=4096)),
        Judge(fields.text(manifest, "trusted_by")),
        Way(fields.text(manifest, "way")),
        fields.text(manifest, "way_reason"),
    )
    return Entry(content, fields.texts(manifest, "names", most=64), fields.text(manifest, "keys"))


def _package_fields(package: Package) -> JsonObject:
    nevra = package.nevra
    return {
        "name": nevra.name,
        "epoch": nevra.epoch,
        "version": nevra.version,
        "release": nevra.release,
        "architecture": nevra.architecture,
        "file": package.file,
        "size": package.size,
        "sha256": package.sha256,
        "kernel_release": package.kernel_release,
        "provides": list(package.provides),
        "requires": list(package.requires),
    }


def _package(entry: JsonObject) -> Package:
    nevra = Nevra(
        fields.text(entry, "name"),
        fields.integer(entry, "epoch", most=(1 << 32) - 1),
        fields.text(entry, "version"),
        fields.text(entry, "release"),
        fields.text(entry, "architecture"),
    )
    file, sha256 = fields.text(entry, "file"), fields.text(entry, "sha256")
    if not _FILE.fullmatch(file) or not _SHA256.fullmatch(sha256):
        raise ValueError(f"no file of an entry: {file!r} with the digest {sha256!r}")
    return Package(
        nevra,
        file,
        fields.integer(entry, "size", most=_NUMBER),
        sha256,
        fields.text(entry, "kernel_release"),
        fields.texts(entry, "provides", most=256),
        fields.texts(entry, "requires", most=256),
    )
