"""What comes out of an image: its documents, its layers, its packages, and the keys of who signed them."""

import hashlib
import io
import os
import re
import tempfile
from functools import cache
from pathlib import Path

from mcd_rt.content import rpm
from mcd_rt.content.blob import Descriptor, verified
from mcd_rt.content.commit import read_commit
from mcd_rt.content.layers import rpms
from mcd_rt.content.layout import open_image
from mcd_rt.content.osfinder import kernels_of
from mcd_rt.content.overlay import Layer, Shadow, in_place
from mcd_rt.content.trust import Key, _Library, _verifier
from mcd_rt.model.image import ImageReference
from mcd_rt.sim.demokey import PUBLIC_KEY
from mcd_rt.sim.image import put_blob
from tests.fuzz.places import fresh_directory
from tests.fuzz.verdict import documented

SEPARATOR = b"\n\0\n"
NEXT = b"@next"
"""Stands for the digest of the document that follows, so that a changed one is still the promised one."""

CORPUS = Path(__file__).parent / "corpus"
_LAYERS = 16
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_SHA256 = re.compile(rb"[0-9a-f]{64}")
_SHA1 = re.compile(rb"[0-9a-f]{40}")


def documents(data: bytes) -> None:
    """An OCI layout: ``oci-layout``, ``index.json``, then blobs, each of which may name the next."""
    version, *chain = data.split(SEPARATOR)
    with fresh_directory() as place, documented(("image-",)):
        digest = b""
        for document in reversed(chain[1:]):
            digest = put_blob(place, document.replace(NEXT, digest)).encode()
        (place / "oci-layout").write_bytes(version)
        (place / "index.json").write_bytes(b"".join(chain[:1]).replace(NEXT, digest))
        image = open_image(ImageReference(str(place), "", "", layout=True), "x86_64", _LAYERS)
        assert len(image.layers) <= _LAYERS
        assert all(_DIGEST.fullmatch(layer.digest) for layer in image.layers)


def layer(data: bytes) -> None:
    """A layer of any packing; what is passed on is what an image offers as an RPM."""
    blob = Descriptor("", f"sha256:{hashlib.sha256(data).hexdigest()}", len(data))
    marks = Layer()
    with documented(("image-", "package-")), verified(io.BytesIO(data), blob, lambda _taken: None) as reader:
        for path, member in rpms(reader, "layer x", Shadow(), marks):
            assert in_place(path)
            assert not path.startswith("/")
            assert ".." not in path.split("/")
            rpm.peek(member.read, path)


def commit(data: bytes) -> None:
    """The commit of an OS, and the list of its packages."""
    with documented(("image-",)):
        read_commit(data, hashlib.sha256(data).hexdigest())
    with documented(("image-",)):
        kernels_of(data)


def package(data: bytes) -> None:
    """An RPM as it is, and with its digests put right, so that its headers and its signature are looked into."""
    library = _Library(_verifier((Key("demo", PUBLIC_KEY.encode()),)))
    for whole, trust in ((data, rpm.NOBODY_ASKED), (repaired(data), library)):
        with tempfile.TemporaryFile() as file:
            file.write(whole)
            file.flush()
            with documented(("package-",)):
                rpm.inspect(file.fileno(), "a.rpm", trust)
            os.lseek(file.fileno(), 0, os.SEEK_SET)
            with documented(("package-",)):
                rpm.describe(rpm.peek(io.BytesIO(whole).read, "a.rpm").prefix, "a.rpm")


def keys(data: bytes) -> None:
    """A file of public keys."""
    with documented(("package-signature-bad",)):
        _verifier((Key("k", data),))


def repaired(data: bytes) -> bytes:
    """The package with the digests its unchanged original had replaced by those it should have now."""
    header, payload = _offsets(data)
    for known in _payload_digests():
        data = data.replace(known, hashlib.sha256(data[payload:]).hexdigest().encode())
    head = data[header:payload]
    signature = _SHA256.sub(hashlib.sha256(head).hexdigest().encode(), data[:header])
    return _SHA1.sub(hashlib.sha1(head).hexdigest().encode(), signature) + data[header:]


def _offsets(data: bytes) -> tuple[int, int]:
    """Where header and payload begin, if the sizes before them are to be believed."""
    start, ends = 96, []
    for padding in (8, 1):
        entries, size = (int.from_bytes(data[start + at : start + at + 4], "big") for at in (8, 12))
        start += 16 + entries * 16 + size
        start += -start % padding
        ends.append(start)
    return ends[0], ends[1]


@cache
def _payload_digests() -> tuple[bytes, ...]:
    seeds = [file.read_bytes() for file in sorted((CORPUS / "package").glob("*"))]
    return tuple(hashlib.sha256(seed[_offsets(seed)[1] :]).hexdigest().encode() for seed in seeds)
