"""The worker's jobs about an OS: which one an image has, and its repository, file by file."""

import socket
from dataclasses import dataclass, field

from mcd_rt.content import frames, repository
from mcd_rt.content.archive import Kind, MemberData, members
from mcd_rt.content.blob import Descriptor, VerifiedReader, verified
from mcd_rt.content.decompress import unpacked
from mcd_rt.content.delivery import ImageSource, Progress, opened_image, parsed_reference
from mcd_rt.content.fields import printable
from mcd_rt.content.frames import (
    CHUNK,
    FILES_AT_ONCE,
    ChunkFrame,
    FileFrame,
    FilesFrame,
    OsFrame,
    OsRequest,
    RepositoryRequest,
)
from mcd_rt.content.line import send_frame
from mcd_rt.content.manifest import architecture_of
from mcd_rt.content.osfacts import checked_os
from mcd_rt.content.osfinder import Found, search_for, unsupported
from mcd_rt.content.overlay import Ordinary, meaning
from mcd_rt.errors import AgentError, Code
from mcd_rt.model.osimage import OsImage

_SMALL = CHUNK // 4  # files up to here are sent many at once


def deliver_os(connection: socket.socket, request: OsRequest) -> None:
    """Say which OS the image has; raises ``AgentError``: ``image-*``, ``os-image-unsupported``, ``worker-failed``."""
    progress = Progress(connection)
    with opened_image(connection, parsed_reference(request.image), request, progress) as source:
        progress.begin(sum(layer.size for layer in source.image.layers))
        found = _searched(source, progress)
        progress.end()
        send_frame(connection, OsFrame(_described(source, found)))


def deliver_repository(connection: socket.socket, request: RepositoryRequest) -> None:
    """Send objects and refs of the repository in the image, every layer read to its end and verified.

    Raises ``AgentError``: ``image-*``, ``os-image-unsupported`` where it has none that can be taken, ``cache-full``
    where it has more than was asked for, ``worker-failed``.
    """
    progress = Progress(connection)
    with opened_image(connection, parsed_reference(request.image), request, progress) as source:
        progress.begin(sum(layer.size for layer in source.image.layers))
        sender = _Sender(connection, request)
        for blob in source.image.layers:
            with source.open_layer(blob) as opened, verified(opened, blob, progress.add) as reader:
                _send_layer(sender, reader, blob)
        sender.end()
        progress.end()


def _searched(source: ImageSource, progress: Progress) -> Found:
    search = search_for(source.image.commit, source.image.derived)
    for blob in source.image.layers:
        with source.open_layer(blob) as opened:
            search.read_layer(opened, blob, progress.add)
        if search.found is not None:
            return search.found
    return search.end()


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


def _send_layer(sender: "_Sender", reader: VerifiedReader, blob: Descriptor) -> None:
    name = f"layer {blob.digest}"
    for member, data in members(unpacked(reader, lambda: reader.taken, name), name):
        try:
            found = meaning(member.path)
        except ValueError as error:
            raise _unsafe(member.path, str(error)) from error
        if not isinstance(found, Ordinary):
            if repository.concerns(found.path):
                raise _unsafe(member.path, "hides a part of the repository")
            continue
        place, _, part = member.path.partition(f"{repository.PLACE}/")
        if place or not part or member.kind is Kind.DIRECTORY:
            continue
        if member.kind is not Kind.FILE and (repository.is_part(part) or part == "config"):
            raise _unsafe(member.path, f"is {member.kind.value}, expected a file")
        sender.take(part, data)


@dataclass(slots=True)
class _Sender:
    """Passes on the parts of a repository, small ones many at once, within the limits."""

    connection: socket.socket
    request: RepositoryRequest
    _names: repository.Names = field(default_factory=repository.Names)
    _bytes: int = 0
    _mode: str = ""
    _waiting: list[tuple[FileFrame, bytes]] = field(default_factory=list)
    _waiting_bytes: int = 0

    def take(self, part: str, data: MemberData) -> None:
        """A file of the repository, by its name in it."""
        if part == "config":
            self._read_config(data)
        elif repository.is_foreign(part):
            raise _not_archive("a mode that keeps plain files")
        elif repository.is_part(part):
            self._count(part, data.left)
            if data.left > _SMALL:
                self._send_large(part, data)
            else:
                self._put_by(FileFrame(part, data.left), data.take(_SMALL))

    def end(self) -> None:
        """Everything was taken; raises ``AgentError`` where that was no repository."""
        self._flush()
        if not self._mode:
            raise unsupported(f"the image has no ostree repository in /{repository.PLACE}")

    def _read_config(self, data: MemberData) -> None:
        if data.left > repository.MAX_CONFIG:
            raise unsupported(f"/{repository.PLACE}/config has {data.left} bytes, more than {repository.MAX_CONFIG}")
        try:
            self._mode = repository.mode_of(data.take(repository.MAX_CONFIG))
        except ValueError as error:
            raise unsupported(f"/{repository.PLACE}/config: {printable(str(error), 256)}") from error
        if self._mode not in repository.MODES:
            raise _not_archive(f"the mode {printable(self._mode, 32)!r}")

    def _count(self, part: str, size: int) -> None:
        try:
            self._names.add(part)
        except ValueError as error:
            raise _unsafe(part, str(error)) from error
        self._bytes += size
        if len(self._names) > self.request.max_files:
            raise AgentError(
                Code.IMAGE_TOO_LARGE,
                f"the repository has more than {self.request.max_files} files",
                "do not trust this image",
            )
        if self._bytes > self.request.max_bytes:
            raise AgentError(
                Code.CACHE_FULL,
                f"the repository has more than the {self.request.max_bytes} bytes that the cache may still have",
                "raise [content] max_cache_bytes; nothing was changed",
            )
        if repository.is_ref(part) and size > repository.MAX_REF:
            raise _unsafe(part, f"has {size} bytes, which is no branch")

    def _put_by(self, file: FileFrame, data: bytes) -> None:
        if self._waiting_bytes + len(data) > CHUNK or len(self._waiting) >= FILES_AT_ONCE:
            self._flush()
        self._waiting.append((file, data))
        self._waiting_bytes += len(data)

    def _flush(self) -> None:
        if self._waiting:
            announced = frames.encode(FilesFrame(tuple(file for file, _ in self._waiting)))
            self.connection.sendall(b"".join((announced, *(data for _, data in self._waiting))))
            self._waiting.clear()
            self._waiting_bytes = 0

    def _send_large(self, part: str, data: MemberData) -> None:
        send_frame(self.connection, FileFrame(part, data.left))
        while chunk := data.take(CHUNK):
            send_frame(self.connection, ChunkFrame(len(chunk)))
            self.connection.sendall(chunk)


def _not_archive(what: str) -> AgentError:
    return unsupported(
        f"the ostree repository in the image is of {what}: a copy would not be the same, as of an archive"
    )


def _unsafe(path: str, what: str) -> AgentError:
    return AgentError(Code.IMAGE_UNSAFE, f"{printable(path, 256)} {what}", "the image was built wrong")
