"""The worker's first job: the packages of an image, layer by layer, as frames on a socket."""

import os
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Protocol

from mcd_rt.content.blob import Descriptor, Reader, verified
from mcd_rt.content.frames import (
    AboutImage,
    Extent,
    FetchRequest,
    ImageFrame,
    ProgressFrame,
)
from mcd_rt.content.layout import open_layout
from mcd_rt.content.line import send_frame
from mcd_rt.content.link import Access
from mcd_rt.content.manifest import Image
from mcd_rt.content.registry import open_registry
from mcd_rt.content.skopeo import skopeo_for
from mcd_rt.errors import AgentError, Code
from mcd_rt.model.content import Way
from mcd_rt.model.image import ImageReference

_PROGRESS_STEP = 1 << 20
_MAX_SECRET = 1 << 20


class ImageSource(Protocol):
    """An image whose layers can be read."""

    @property
    def image(self) -> Image:
        """Which image it is."""

    @property
    def way(self) -> Way:
        """How it is read."""

    @property
    def why(self) -> str:
        """Why in this way, for people."""

    def open_layer(self, layer: Descriptor, /) -> AbstractContextManager[Reader]:
        """The bytes of one of its layers, unverified."""


def deliver(connection: socket.socket, request: FetchRequest) -> None:
    """Send the packages that are asked for, newest layers first, until they are a whole kernel.

    Asked for less, only which image it is is said; asked for all, packages of older layers are told, and not sent. A
    layer that was begun is read to its end, and was the right one then. Raises ``AgentError``: ``image-*``,
    ``package-corrupt``, ``cache-full``, ``worker-failed``.
    """
    reference = parsed_reference(request.image)
    progress = Progress(connection)
    layers = request.extent is not Extent.IDENTITY
    with opened_image(connection, reference, request, progress, layers=layers, meanwhile=_prepare) as source:
        image = source.image
        if request.extent is Extent.IDENTITY:
            return
        progress.begin(image.size)
        from mcd_rt.content.sending import Sender  # noqa: PLC0415 - see _prepare

        sender = Sender(connection, request)
        for blob in reversed(image.layers):
            if sender.is_whole() and request.extent is not Extent.ALL:
                break
            with source.open_layer(blob) as opened, verified(opened, blob, progress.add) as reader:
                sender.send_layer(reader, f"layer {blob.digest}")
        progress.end()


def parsed_reference(image: str) -> ImageReference:
    """The reference in a request; raises ``AgentError`` (``image-unreadable``)."""
    try:
        return ImageReference.parse(image)
    except ValueError as error:
        raise AgentError(
            Code.IMAGE_UNREADABLE, f"cannot tell which image is meant: {error}", "correct the reference"
        ) from error


@contextmanager
def opened_image(
    connection: socket.socket,
    reference: ImageReference,
    request: AboutImage,
    progress: "Progress",
    *,
    layers: bool = True,
    meanwhile: Callable[[], None] = lambda: None,
) -> Iterator[ImageSource]:
    """The image of a request, open to be read; ``layers`` says whether any of them will be.

    Which image it is, and how it is read, is said before anything of it comes, or before it is copied. ``meanwhile`` is
    called while a proxy starts.
    """

    def introduce(image: Image, way: Way, why: str) -> None:
        send_frame(connection, ImageFrame(image.digest, image.architecture, image.commit, image.version, way, why))

    if reference.layout:
        source = open_layout(reference, request.architecture, request.max_layers)
        introduce(source.image, source.way, source.why)
        yield source
        return

    with _lent_secret(connection, request) as lent:
        access = Access(
            skopeo_for(
                reference.place, request.root, request.authfiles, request.architecture, request.scratch, lent=lent
            ),
            request.architecture,
            request.max_layers,
            request.patience_ms / 1000,
            Path(request.scratch),
            partial(_pause, connection, progress),
            progress.repeat,
            progress.copied,
            introduce,
            meanwhile,
        )
        with open_registry(reference, access, layers=layers) as opened:
            yield opened


def _prepare() -> None:
    """What layers are read with takes as long to load as a proxy takes to start."""
    import mcd_rt.content.sending  # noqa: F401, PLC0415 - see above


def _pause(connection: socket.socket, progress: "Progress", seconds: float) -> None:
    progress.repeat()  # to wait is not to hang
    if select.select([connection], [], [], seconds)[0]:
        raise ConnectionResetError  # the agent, who has nothing to say any more, hung up


@contextmanager
def _lent_secret(connection: socket.socket, request: AboutImage) -> Iterator[int]:
    """A descriptor of what the agent lends: a copy in memory, which can be opened again by its name; -1 for none."""
    if not request.lent:
        yield -1
        return
    _, received, _, _ = socket.recv_fds(connection, 1, 1, socket.MSG_CMSG_CLOEXEC)
    if not received:
        raise AgentError(Code.WORKER_FAILED, "the worker was not sent the pull secret it was promised")
    with os.fdopen(received[0], "rb") as given, os.fdopen(os.memfd_create("pull-secret"), "wb") as copy:
        copy.write(given.read(_MAX_SECRET))
        copy.flush()
        yield copy.fileno()


class Progress:
    """Says how much of the image was read, now and then."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._total = 0
        self._done = 0
        self._said = 0

    def begin(self, total: int) -> None:
        """Nothing of so many bytes was read."""
        self._total, self._done = total, 0
        self.repeat()

    def add(self, taken: int) -> None:
        """So many more bytes were read."""
        self._done = min(self._done + taken, self._total)
        if self._done - self._said >= _PROGRESS_STEP:
            self.repeat()

    def copied(self, done: int, total: int) -> None:
        """So many bytes were copied, none of them read yet."""
        self._total = total
        if done - self._done >= _PROGRESS_STEP:
            self._done = done
            self.repeat()

    def end(self) -> None:
        """Older layers are not needed: what was read is all there is to read."""
        self._total = self._done
        self.repeat()

    def repeat(self) -> None:
        """Say how far it is, whether or not that is news."""
        self._said = self._done
        send_frame(self._connection, ProgressFrame(self._done, self._total))
