"""An image in a registry, by way of skopeo: only the layers that are asked for, or all where the policy needs it.

``skopeo experimental-image-proxy`` judges the trust policy since its protocol 0.2.6 ("Policy Verification before
pulling OCI", says the list of versions in its source); before that it serves what any policy forbids. There ``skopeo
copy`` takes its place, unless the policy accepts anything of this image. Which it is, the proxy's own word decides,
not the version of skopeo. Copied to a directory, not to a layout: only that leaves manifests of Docker as they are.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from mcd_rt.content.blob import Descriptor, Reader
from mcd_rt.content.complaints import failure_of
from mcd_rt.content.layout import open_regular
from mcd_rt.content.link import Access, Connection, Resumed, address_of
from mcd_rt.content.manifest import MAX_DOCUMENT, Image, platform_digest, resolve_image
from mcd_rt.content.policy import accepts_anything
from mcd_rt.content.programs import run_program
from mcd_rt.content.skopeo import Skopeo
from mcd_rt.errors import AgentError, Code
from mcd_rt.frozen import frozen
from mcd_rt.model.content import Way
from mcd_rt.model.image import ImageReference

ENFORCING = (0, 2, 6)


@frozen
class ProxiedSource:
    """An image whose layers come one by one from a proxy: the delivery's ``ImageSource``."""

    image: Image
    why: str
    connection: Connection
    way: Way = Way.PROXY

    @contextmanager
    def open_layer(self, layer: Descriptor) -> Iterator[Reader]:
        """The bytes of a layer, unverified; what breaks off is asked for again."""
        reader = Resumed(self.connection, layer)
        try:
            yield reader
        finally:
            reader.close()


@frozen
class CopiedSource:
    """An image copied to a directory as a whole: the delivery's ``ImageSource``."""

    image: Image
    why: str
    directory: Path
    way: Way = Way.COPY

    @contextmanager
    def open_layer(self, layer: Descriptor) -> Iterator[Reader]:
        """The bytes of a layer, unverified."""
        with open_regular(self.directory / layer.digest.removeprefix("sha256:")) as file:
            yield file


@contextmanager
def open_registry(
    reference: ImageReference, access: Access, *, layers: bool = True
) -> Iterator[ProxiedSource | CopiedSource]:
    """Find an image and the way to its layers; everything is gone with the block.

    A reference without a digest is resolved once. Without ``layers``, only what the image is may be asked of it, for
    which nothing is copied. Raises ``AgentError``: ``image-*`` (``complaints.py`` says which of them can pass),
    ``cache-full`` where there is no room for a copy, ``worker-failed`` without skopeo.
    """
    pinned = reference if reference.digest else replace(reference, digest=_digest_of_tag(reference, access))
    with _connected(pinned, access) as (connection, behind):
        documents = _Documents(pinned, access, connection)
        image = resolve_image(documents, pinned.digest, access.architecture, access.max_layers)
        demand = _demand(pinned, access.skopeo, connection.version)
        if not demand or not layers:
            why = _why(demand, connection.version) + behind
            access.on_found(image, Way.PROXY, why)
            yield ProxiedSource(image, why, connection)
            return
    access.on_found(image, Way.COPY, demand)
    with TemporaryDirectory(prefix="mcd-rt-copy-", dir=access.scratch) as place:
        _copy(pinned, image, access, Path(place) / "image")
        yield CopiedSource(image, demand, Path(place) / "image")


@contextmanager
def _connected(pinned: ImageReference, access: Access) -> Iterator[tuple[Connection, str]]:
    """A connection, and what has to be said of it.

    The proxy judges what it is asked for, so of an index the index. Where that is rejected, it is asked for the image
    behind it, of which everybody else who pulls would judge the signatures: podman, rpm-ostree, ``skopeo copy``. Where
    that cannot be found out, it stays rejected.
    """
    with ExitStack() as stack:
        try:
            connection, behind = stack.enter_context(Connection(pinned, access)), ""
        except AgentError as error:
            if error.failure.code is not Code.IMAGE_REJECTED_BY_POLICY:
                raise
            try:
                digest = platform_digest(_Documents(pinned, access, None), pinned.digest, access.architecture)
            except AgentError as unknown:
                raise error from unknown
            if digest == pinned.digest:
                raise
            connection = stack.enter_context(Connection(replace(pinned, digest=digest), access))
            behind = ": not for the index, but for the image behind it"
        yield connection, behind


def _demand(reference: ImageReference, skopeo: Skopeo, version: tuple[int, ...]) -> str:
    """Why the proxy of this version will not do; nothing if it does."""
    if version >= ENFORCING:
        return ""
    spoken = ".".join(str(number) for number in version)
    try:
        if accepts_anything(skopeo.policy.read_bytes(), reference):
            return ""
    except (OSError, ValueError) as error:
        return f"{skopeo.policy} cannot be read ({error}), and the proxy of protocol {spoken} judges no policy"
    return f"the policy demands something of this image, and the proxy of protocol {spoken} judges no policy"


def _why(demand: str, version: tuple[int, ...]) -> str:
    """Why the proxy will do, for people."""
    if demand:
        return "nothing but its identity is asked for"
    return "skopeo judges the policy" if version >= ENFORCING else "the policy accepts any image"


class _Documents:
    """Manifests as they are, not as the proxy converts them: where its own has another digest, or is none, raw ones."""

    def __init__(self, reference: ImageReference, access: Access, connection: Connection | None) -> None:
        self._reference = reference
        self._access = access
        self._connection = connection
        self._known: dict[str, bytes] | None = None

    def manifest(self, digest: str) -> bytes:
        if self._known is None:
            data = self._connection.manifest() if self._connection is not None else b""
            self._known = {_digest(data): data}
        return self._known.get(digest) or _raw(replace(self._reference, digest=digest), self._access)

    def config(self, blob: Descriptor) -> bytes:
        assert self._connection is not None, "what an image is called needs no config"
        parts = []
        with self._connection.blob(blob) as pipe:
            taken = 0
            while taken <= MAX_DOCUMENT and (data := pipe.read(64 * 1024)):
                parts.append(data)
                taken += len(data)
        return b"".join(parts)

    def name(self, digest: str) -> str:
        return f"{self._reference.place}@{digest}"


def _digest_of_tag(reference: ImageReference, access: Access) -> str:
    return _digest(_raw(reference, access))


def _raw(reference: ImageReference, access: Access) -> bytes:
    """The very bytes of a manifest or index."""
    argv = access.skopeo.verb("inspect", "--raw", address_of(reference))
    skopeo = access.skopeo
    ended = run_program(
        argv, skopeo.environment, patience=access.patience, most=MAX_DOCUMENT, descriptors=skopeo.descriptors
    )
    if ended.status:
        raise failure_of(ended.complaint, str(reference))
    return ended.output


def _copy(reference: ImageReference, image: Image, access: Access, target: Path) -> None:
    total = image.size
    room = os.statvfs(access.scratch)
    if (free := room.f_bavail * room.f_frsize) < total:
        raise AgentError(
            Code.CACHE_FULL,
            f"{access.scratch} has {free} bytes free; a copy of {reference} takes {total}",
            "make room; a skopeo whose image proxy judges the policy itself (protocol 0.2.6) needs no copy",
        )
    done = -1

    def alive() -> bool:
        nonlocal done
        before, done = done, _size(target)
        access.on_copied(min(done, total), total)
        return done != before

    # The image is named by the digest that was found, so that an index gives the same one here.
    argv = access.skopeo.verb("copy", "--quiet", address_of(reference), f"dir:{target}")
    argv = tuple("--src-cert-dir" if word == "--cert-dir" else word for word in argv)
    ended = run_program(
        argv,
        access.skopeo.environment,
        patience=access.patience,
        most=MAX_DOCUMENT,
        descriptors=access.skopeo.descriptors,
        alive=alive,
    )
    if ended.status:
        raise failure_of(ended.complaint, str(reference))


def _size(directory: Path) -> int:
    total = 0
    try:
        for entry in os.scandir(directory):
            total += entry.stat(follow_symlinks=False).st_size
    except OSError:  # it is not there yet, or a file was renamed meanwhile: the next look sees it
        return total
    return total


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
