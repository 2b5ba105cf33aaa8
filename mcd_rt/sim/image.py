"""Images for the simulated node and for tests: real RPMs in a real OCI layout, the same bytes every time.

What kernel packages of EL8 and EL9 provide and require is told after the ``kernel.spec`` of those
releases (``kernel_reqprovconf`` and the macros of the module packages), reduced to what a kernel needs.
"""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, unique
from pathlib import Path
from typing import Literal, assert_never

import rpm_rs
import zstandard

from mcd_rt.model.image import ImageReference
from mcd_rt.model.nevra import Nevra
from mcd_rt.sim.demokey import SECRET_KEY

EL8_SUFFIXES = ("core", "modules", "modules-extra", "kvm")
EL9_SUFFIXES = ("core", "modules-core", "modules", "modules-extra", "kvm")

_EPOCH = 1_600_000_000  # of everything in an image, so that it is the same image next time
_REQUIRES = {
    "core": ("modules-core",),
    "modules-core": ("",),
    "modules": ("", "modules-core"),
    "modules-extra": ("", "modules", "modules-core"),
    "kvm": ("",),
}
_GO_NAMES = {"x86_64": "amd64", "aarch64": "arm64"}
_FLAGS = {
    "=": rpm_rs.DependencyFlags.EQUAL,
    "<=": rpm_rs.DependencyFlags.LESS | rpm_rs.DependencyFlags.EQUAL,
    ">=": rpm_rs.DependencyFlags.GREATER | rpm_rs.DependencyFlags.EQUAL,
}


@unique
class Compression(Enum):
    """How a layer is packed; the value is the end of its media type."""

    NONE = ""
    GZIP = "+gzip"
    ZSTD = "+zstd"


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory of its own, not only on the way to a file."""


@dataclass(frozen=True, slots=True)
class SymbolicLink:
    """A symbolic link."""

    target: str


@dataclass(frozen=True, slots=True)
class HardLink:
    """Another name of an earlier file."""

    target: str


@dataclass(frozen=True, slots=True)
class Pipe:
    """A named pipe, for the devices an image may have."""


@dataclass(frozen=True, slots=True)
class Whiteout:
    """The path is gone: what lower layers have there is hidden."""


@dataclass(frozen=True, slots=True)
class Opaque:
    """Everything lower layers have below the directory is hidden."""


Entry = bytes | Directory | SymbolicLink | HardLink | Pipe | Whiteout | Opaque


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: what is at each path, in this order."""

    entries: Mapping[str, Entry]
    compression: Compression = Compression.GZIP


def build_rpm(
    nevra: Nevra,
    *,
    kernel_release: str = "",
    payload: bytes = b"",
    provides: Iterable[str] = (),
    requires: Iterable[str] = (),
    secret_key: str = SECRET_KEY,
) -> bytes:
    """An RPM (format 4, as EL8 and EL9 have it) with one file of ``payload``, signed unless the key is empty.

    With a ``kernel_release`` the file is below ``/lib/modules/<kernel_release>/``: ``vmlinuz`` in a ``-core``
    package, else a module. Capabilities are ``name`` or ``name = version``.
    """
    builder = rpm_rs.PackageBuilder(nevra.name, nevra.version, "GPLv2", nevra.architecture)
    builder.using_config(
        rpm_rs.BuildConfig(
            format=rpm_rs.RpmFormat.V4, compression=rpm_rs.CompressionType.Gzip, compression_level=1, source_date=_EPOCH
        )
    )
    builder.release(nevra.release)
    if nevra.epoch:
        builder.epoch(nevra.epoch)
    for capability in provides:
        builder.provides(*_capability(capability))
    for capability in requires:
        builder.requires(*_capability(capability))
    builder.with_file_contents(payload, rpm_rs.FileOptions.new(_file_of(nevra.name, kernel_release)))
    built = builder.build_and_sign(rpm_rs.Signer(secret_key.encode())) if secret_key else builder.build()
    return bytes(built.to_bytes())


def kernel_release_of(version: str, release: str, architecture: str, el: Literal[8, 9]) -> str:
    """What ``uname -r`` says with kernel-rt of this version: EL9 builds it as a variant and says so."""
    return f"{version}-{release}.{architecture}" + ("+rt" if el == 9 else "")


def kernel_rt_packages(
    version: str,
    release: str,
    architecture: str,
    el: Literal[8, 9],
    suffixes: Sequence[str] = (),
    *,
    payload_bytes: int = 64 << 10,
    secret_key: str = SECRET_KEY,
) -> dict[str, bytes]:
    """The kernel-rt packages with these suffixes (all that the EL release has unless given), by file name."""
    known = EL8_SUFFIXES if el == 8 else EL9_SUFFIXES
    uname = kernel_release_of(version, release, architecture, el)
    packages = {}
    for suffix in suffixes or known:
        nevra = Nevra(f"kernel-rt-{suffix}", 0, version, release, architecture)
        needed = [part for part in _REQUIRES.get(suffix, ("",)) if not part or part in known]
        provides = [f"kernel-rt-{suffix}-uname-r = {uname}"]
        if suffix == "core":
            provides += [f"kernel = {version}-{release}", f"kernel-uname-r = {uname}"]
        packages[f"{nevra}.rpm"] = build_rpm(
            nevra,
            kernel_release=uname,
            payload=hashlib.shake_256(str(nevra).encode()).digest(payload_bytes),
            provides=provides,
            requires=[f"kernel-{f'rt-{part}-' if part else ''}uname-r = {uname}" for part in needed],
            secret_key=secret_key,
        )
    return packages


def write_layout(
    directory: Path, layers: Sequence[Layer], *, tag: str, architecture: str, labels: Mapping[str, str] | None = None
) -> ImageReference:
    """Write an image, layers oldest first, into an OCI layout; returns its reference with tag and digest.

    ``architecture`` is as ``uname -m`` spells it, ``labels`` are those of its config. A layout
    that is there gets one more image; another image of the tag loses it.
    """
    place = directory.absolute()
    descriptors, diff_ids = [], []
    for layer in layers:
        archive = _archive(layer.entries)
        diff_ids.append(f"sha256:{hashlib.sha256(archive).hexdigest()}")
        media_type = f"application/vnd.oci.image.layer.v1.tar{layer.compression.value}"
        descriptors.append(_descriptor(place, media_type, _packed(archive, layer.compression)))
    config = {
        "architecture": _GO_NAMES.get(architecture, architecture),
        "os": "linux",
        "config": {"Labels": dict(labels or {})},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": _descriptor(place, "application/vnd.oci.image.config.v1+json", _json(config)),
        "layers": descriptors,
    }
    entry = _descriptor(place, str(manifest["mediaType"]), _json(manifest))
    (place / "oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))
    _add_to_index(place / "index.json", entry, tag)
    return ImageReference(str(place), tag, str(entry["digest"]), layout=True)


def diff_id_of(layer: Layer) -> str:
    """The digest of a layer unpacked, as configs and labels name it."""
    return f"sha256:{hashlib.sha256(_archive(layer.entries)).hexdigest()}"


def put_blob(directory: Path, data: bytes) -> str:
    """Write a blob into a layout and return its digest."""
    digest = hashlib.sha256(data).hexdigest()
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    (blobs / digest).write_bytes(data)
    return f"sha256:{digest}"


def _descriptor(directory: Path, media_type: str, data: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": put_blob(directory, data), "size": len(data)}


def _add_to_index(path: Path, entry: dict[str, object], tag: str) -> None:
    annotations = {"org.opencontainers.image.ref.name": tag}
    known = json.loads(path.read_bytes())["manifests"] if path.exists() else []
    others = [other for other in known if other.get("annotations") != annotations]
    manifests = [*others, entry | {"annotations": annotations}]
    path.write_bytes(_json({"schemaVersion": 2, "manifests": manifests}))


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _capability(text: str) -> tuple[str, str | None, rpm_rs.DependencyFlags | None]:
    name, _, rest = text.partition(" ")
    operator, _, version = rest.partition(" ")
    return (name, version, _FLAGS[operator]) if rest else (name, None, None)


def _file_of(name: str, kernel_release: str) -> str:
    if not kernel_release:
        return f"/usr/share/doc/{name}/README"
    top = f"/lib/modules/{kernel_release}"
    if name.endswith("-core") and not name.endswith("-modules-core"):
        return f"{top}/vmlinuz"
    return f"{top}/kernel/{name}.ko"


def _packed(archive: bytes, compression: Compression) -> bytes:
    match compression:
        case Compression.NONE:
            return archive
        case Compression.GZIP:
            return gzip.compress(archive, compresslevel=1, mtime=0)
        case Compression.ZSTD:
            return zstandard.ZstdCompressor(level=3).compress(archive)
        case _:
            assert_never(compression)


def _archive(entries: Mapping[str, Entry]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, entry in entries.items():
            member = _member(path, entry)
            member.mtime = _EPOCH
            archive.addfile(member, io.BytesIO(entry) if isinstance(entry, bytes) else None)
    return buffer.getvalue()


def _member(path: str, entry: Entry) -> tarfile.TarInfo:
    directory, slash, name = path.rpartition("/")
    member = tarfile.TarInfo(path)
    match entry:
        case bytes():
            member.size = len(entry)
        case Directory():
            member.type, member.mode = tarfile.DIRTYPE, 0o755
        case SymbolicLink(target):
            member.type, member.linkname = tarfile.SYMTYPE, target
        case HardLink(target):
            member.type, member.linkname = tarfile.LNKTYPE, target
        case Pipe():
            member.type = tarfile.FIFOTYPE
        case Whiteout():
            member.name = f"{directory}{slash}.wh.{name}"
        case Opaque():
            member.name = f"{path}/.wh..wh..opq" if path else ".wh..wh..opq"
        case _:
            assert_never(entry)
    return member
