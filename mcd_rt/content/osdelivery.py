"""The worker's job about an OS: which one an image has; where it is in a repository, that and packages in one reading.

An image that is its OS is read, oldest layer first, until its commit is found, and no further: rpm-ostree pulls it
itself. Of machine-os-content everything is wanted, and it is mostly one layer: each is read once, newest first, as for
packages alone, to its end, and verified.
"""

import socket

from mcd_rt.content.blob import Descriptor, VerifiedReader, verified
from mcd_rt.content.delivery import ImageSource, Progress, opened_image, parsed_reference
from mcd_rt.content.fields import printable
from mcd_rt.content.frames import OsFrame, OsRequest
from mcd_rt.content.layers import members_of
from mcd_rt.content.line import send_frame
from mcd_rt.content.manifest import architecture_of
from mcd_rt.content.osfacts import checked_os
from mcd_rt.content.osfinder import Found, Search, search_for
from mcd_rt.content.repositorysending import RepositorySender
from mcd_rt.content.sending import Sender
from mcd_rt.errors import AgentError, Code
from mcd_rt.model.osimage import OsForm, OsImage


def deliver_os(connection: socket.socket, request: OsRequest) -> None:
    """Send what the request asks for, and say which OS it is.

    Raises ``AgentError``: ``image-*``, ``package-corrupt``, ``os-image-unsupported`` where there is none that can be
    taken, ``cache-full`` where the repository has more than was asked for, ``worker-failed``.
    """
    progress = Progress(connection)
    with opened_image(connection, parsed_reference(request.image), request, progress) as source:
        found = _searched(source, progress) if source.image.is_os else None
        if found is None or found.form is OsForm.REPOSITORY:
            found = _delivered(connection, request, source, progress)
        progress.end()
        send_frame(connection, OsFrame(_described(source, found)))


def _searched(source: ImageSource, progress: Progress) -> Found:
    search = search_for(source.image.commit, source.image.derived)
    progress.begin(source.image.size)
    for blob in source.image.layers:
        with source.open_layer(blob) as opened:
            search.read_layer(opened, blob, progress.add)
        if search.found is not None:
            return search.found
    return search.end()


def _delivered(connection: socket.socket, request: OsRequest, source: ImageSource, progress: Progress) -> Found:
    job = _Job(connection, request, search_for(source.image.commit, source.image.derived))
    progress.begin(source.image.size)
    for blob in reversed(source.image.layers):
        with source.open_layer(blob) as opened, verified(opened, blob, progress.add) as reader:
            job.read_layer(reader, blob)
    return job.end()


class _Job:
    """Everything that layers are read for at once."""

    def __init__(self, connection: socket.socket, request: OsRequest, search: Search) -> None:
        self._search = search
        self._repository = RepositorySender(connection, request)
        self._packages = Sender(connection, request)
        self._is_whole = not request.names  # nothing, or nothing more, is wanted of packages

    def read_layer(self, reader: VerifiedReader, blob: Descriptor) -> None:
        name = f"layer {blob.digest}"
        for member, data in members_of(reader, name):
            part = self._repository.part_of(member)
            seen = self._search.look_at(member, data, name)
            if part:
                self._repository.send(part, seen)
            elif not self._is_whole:
                self._packages.take(member, seen, name)
        self._search.end_layer()
        self._packages.end_layer()
        self._is_whole = self._is_whole or self._packages.is_whole()

    def end(self) -> Found:
        found = self._search.found or self._search.end(newest_first=True)
        if found.form is OsForm.REPOSITORY:
            self._repository.end()
        return found


def _described(source: ImageSource, found: Found) -> OsImage:
    commit = found.commit
    try:
        return checked_os(
            OsImage(
                source.image.digest,
                found.form,
                commit.checksum,
                commit.version or source.image.version,
                commit.kernel_release,
                commit.architecture or architecture_of(source.image.architecture),
                tuple(sorted(found.kernels)),
            )
        )
    except ValueError as error:
        raise AgentError(
            Code.IMAGE_UNREADABLE,
            f"what the commit {commit.checksum} says cannot be: {printable(str(error), 256)}",
            "the image was built wrong",
        ) from error
