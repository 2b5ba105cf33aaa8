"""The repository of an OS, part by part out of the layers of an image, passed on as frames."""

import socket
from dataclasses import dataclass, field

from mcd_rt.content import frames, repository
from mcd_rt.content.archive import Kind, Member, MemberData
from mcd_rt.content.fields import printable
from mcd_rt.content.frames import CHUNK, FILES_AT_ONCE, FileFrame, FilesFrame, OsRequest
from mcd_rt.content.line import send_chunk, send_frame
from mcd_rt.content.osfinder import unsupported
from mcd_rt.content.overlay import Ordinary, meaning
from mcd_rt.errors import AgentError, Code

_SMALL = CHUNK // 4  # files up to here are sent many at once


@dataclass(slots=True)
class RepositorySender:
    """Passes on the parts of a repository, small ones many at once, within the limits."""

    connection: socket.socket
    request: OsRequest
    _names: repository.Names = field(default_factory=repository.Names)
    _bytes: int = 0
    _mode: str = ""
    _waiting: list[tuple[FileFrame, bytes]] = field(default_factory=list)
    _waiting_bytes: int = 0

    def part_of(self, member: Member) -> str:
        """Which part of the repository a member is, by its name there, to be sent; none for what stays in the image.

        Raises ``AgentError``: ``image-unsafe`` for what would not be the same in a copy, ``os-image-unsupported``,
        ``image-too-large``, ``cache-full``.
        """
        try:
            found = meaning(member.path)
        except ValueError as error:
            raise _unsafe(member.path, str(error)) from error
        if not isinstance(found, Ordinary):
            if repository.concerns(found.path):
                raise _unsafe(member.path, "hides a part of the repository")
            return ""
        place, _, part = member.path.partition(f"{repository.PLACE}/")
        if place or not part or member.kind is Kind.DIRECTORY:
            return ""
        if member.kind is not Kind.FILE and (repository.is_part(part) or part == "config"):
            raise _unsafe(member.path, f"is {member.kind.value}, expected a file")
        if repository.is_foreign(part):
            raise _not_archive("a mode that keeps plain files")
        if repository.is_part(part):
            self._count(part, member.size)
            return part
        return part if part == "config" else ""

    def send(self, part: str, data: MemberData) -> None:
        """A part, by its name; of the config only the mode matters. Raises ``AgentError``: ``os-image-unsupported``."""
        if part == "config":
            self._read_config(data)
        elif data.left > _SMALL:
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
            send_chunk(self.connection, chunk)


def _not_archive(what: str) -> AgentError:
    return unsupported(
        f"the ostree repository in the image is of {what}: a copy would not be the same, as of an archive"
    )


def _unsafe(path: str, what: str) -> AgentError:
    return AgentError(Code.IMAGE_UNSAFE, f"{printable(path, 256)} {what}", "the image was built wrong")
