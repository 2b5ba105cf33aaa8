"""An OS as a real ostree commit: objects that libostree reads, the same bytes every time.

Formats: libostree's ``ostree-core.h``. The tree of it is small: what matters is what the commit says of it.
"""

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mcd_rt.model.nevra import Nevra
from mcd_rt.sim.gvariant import Member, array, octets, pack, string, uint32, uint64, variant

CONFIG = b"[core]\nrepo_version=1\nmode=archive-z2\n"

_TIMESTAMP = 1_600_000_000
_DIRECTORY, _FILE = 0o40755, 0o100644


@dataclass(frozen=True, slots=True)
class OstreeOs:
    """A commit and everything it needs: ``objects`` by their name in an archive repository (``objects/...``)."""

    checksum: str
    version: str
    kernel_release: str
    objects: Mapping[str, bytes]

    @property
    def commit(self) -> bytes:
        """The commit object."""
        return self.objects[_name(self.checksum, "commit")]

    def repository(self, branch: str = "rhcos/x86_64") -> dict[str, bytes]:
        """The files of an archive repository with one branch, by their name in it."""
        return {"config": CONFIG, **self.objects, f"refs/heads/{branch}": f"{self.checksum}\n".encode()}


def build_os(
    version: str,
    packages: Sequence[str],
    kernel_release: str,
    *,
    listed: bool = True,
    files: Mapping[str, bytes] | None = None,
) -> OstreeOs:
    """The commit of an OS: ``packages`` are its NEVRAs, ``files`` more files in its root.

    ``listed``: whether the commit lists the packages, as rpm-ostree does.
    """
    objects: dict[str, bytes] = {}
    tree = {"os-release": f'VERSION="{version}"\n'.encode(), **(files or {})}
    entries = [pack(string(name), octets(_put_file(objects, tree[name]))) for name in sorted(tree)]
    root = _put(objects, "dirtree", pack(array(entries), array(())))
    meta = _put(objects, "dirmeta", pack(uint32(0), uint32(0), uint32(_DIRECTORY), array(())))
    says = {"version": _text(version), "ostree.linux": _text(kernel_release), "ostree.bootable": _YES}
    if listed:
        says["rpmostree.rpmdb.pkglist"] = variant("a(sssss)", array([_package(nevra) for nevra in packages]))
    metadata = array([Member(pack(string(key), value).data, 8) for key, value in says.items()], 8)
    commit = pack(
        metadata,
        octets(b""),
        array(()),
        string(f"simulated {version}"),
        string(""),
        uint64(_TIMESTAMP),
        octets(root),
        octets(meta),
    )
    checksum = _put(objects, "commit", commit).hex()
    return OstreeOs(checksum, version, kernel_release, objects)


def _text(text: str) -> Member:
    return variant("s", string(text))


_YES = variant("b", Member(b"\1", fixed=True))


def _package(nevra: str) -> Member:
    parts = Nevra.parse(nevra)
    texts = (parts.name, str(parts.epoch), parts.version, parts.release, parts.architecture)
    return pack(*map(string, texts))


def _put(objects: dict[str, bytes], kind: str, value: Member) -> bytes:
    digest = hashlib.sha256(value.data)
    objects[_name(digest.hexdigest(), kind)] = value.data
    return digest.digest()


def _put_file(objects: dict[str, bytes], content: bytes) -> bytes:
    """Its checksum is of the header and the plain content; an archive keeps another header and packs the content."""
    facts = (uint32(0), uint32(0), uint32(_FILE), uint32(0), string(""), array(()))
    digest = hashlib.sha256(_headed(pack(*facts)) + content)
    packer = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = packer.compress(content) + packer.flush()
    objects[_name(digest.hexdigest(), "filez")] = _headed(pack(uint64(len(content)), *facts)) + packed
    return digest.digest()


def _headed(header: Member) -> bytes:
    return len(header.data).to_bytes(4, "big") + bytes(4) + header.data


def _name(checksum: str, kind: str) -> str:
    return f"objects/{checksum[:2]}/{checksum[2:]}.{kind}"
