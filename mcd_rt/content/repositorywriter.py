"""A repository from a worker onto the disk: named by patterns, counted and bounded, each byte written once.

Metadata objects are compared with the checksum that is their name. The checksum of a content object is of what is
packed in it, which is not unpacked here: the digest of the layer it came in, which the worker compared, vouches for it.
"""

import hashlib
import os
from pathlib import Path
from typing import assert_never

from mcd_rt.content.allowance import Allowance
from mcd_rt.content.answer import Answer, lie
from mcd_rt.content.cache import writing
from mcd_rt.content.fields import printable
from mcd_rt.content.fingerprint import fingerprint_of
from mcd_rt.content.frames import ChunkFrame, FileFrame, FilesFrame
from mcd_rt.content.repository import CONFIG, DIRECTORIES, MAX_REF, Names, checksum_in, is_part, is_ref, object_of
from mcd_rt.effects import Effects
from mcd_rt.errors import AgentError, Code

MAX_FILES = 1 << 18

_MODE, _DIRECTORY_MODE = 0o644, 0o755


class RepositoryWriter:
    """Writes the files of one answer below ``place``, which is laid out for the first of them."""

    def __init__(self, effects: Effects, place: Path, allowance: Allowance) -> None:
        """``allowance`` is how much may be written."""
        self._effects = effects
        self._place = place
        self._allowance = allowance
        self._sums: dict[str, str] = {"config": hashlib.sha256(CONFIG).hexdigest()}
        self._names = Names()
        self._directories: set[Path] = set()

    def has_commit(self, checksum: str) -> bool:
        """Whether this commit was written."""
        return object_of(checksum, "commit") in self._sums

    @property
    def fingerprint(self) -> str:
        """The digest of everything that was written."""
        return fingerprint_of(self._sums.items())

    @property
    def is_begun(self) -> bool:
        """Whether anything of a repository came."""
        return len(self._names) > 0

    async def write(self, answer: Answer, frame: FilesFrame | FileFrame) -> None:
        """The files that were announced, whose bytes come next.

        Raises ``AgentError``: ``worker-failed`` for an answer out of order or beyond the limits, ``cache-full``,
        ``write-failed``, and what ``answer`` raises.
        """
        if not self.is_begun:
            _lay_out(self._effects, self._place)
        match frame:
            case FilesFrame(files):
                self._take(files)
                await self._write_small(answer, frame)
            case FileFrame():
                self._take((frame,))
                await self._write_large(answer, frame)
            case _:
                assert_never(frame)

    def _take(self, files: tuple[FileFrame, ...]) -> None:
        """Every name and size is judged before the first byte is written."""
        for file in files:
            if not is_part(file.file) or (is_ref(file.file) and file.size > MAX_REF):
                raise lie(f"sent {printable(file.file, 128)!r} of {file.size} bytes, which is no part of a repository")
            try:
                self._names.add(file.file)
            except ValueError as error:
                raise lie(f"sent {file.file}, which {error}") from error
        if len(self._names) > MAX_FILES:
            raise lie(f"sent more than {MAX_FILES} files")
        self._allowance.take(sum(file.size for file in files), "a part of the repository")

    async def _write_small(self, answer: Answer, frame: FilesFrame) -> None:
        data = memoryview(await answer.bytes(frame.size))
        start = 0
        for file in frame.files:
            content = bytes(data[start : start + file.size])
            _write_file(self._effects, self._path(file.file), content)
            self._note(file.file, hashlib.sha256(content).hexdigest())
            start += file.size

    async def _write_large(self, answer: Answer, file: FileFrame) -> None:
        path = self._path(file.file)
        with writing(path):
            descriptor = self._effects.create(path, _MODE)
        digest = hashlib.sha256()
        try:
            left = file.size
            while left:
                frame = await answer.next()
                if not isinstance(frame, ChunkFrame) or not 0 < frame.size <= left:
                    raise lie(f"sent no right chunk with {left} bytes of a file to come")
                data = await answer.bytes(frame.size)
                digest.update(data)
                with writing(path):
                    self._effects.write(descriptor, data)
                left -= frame.size
        finally:
            os.close(descriptor)
        self._note(file.file, digest.hexdigest())

    def _note(self, name: str, found: str) -> None:
        expected = checksum_in(name)
        if expected and expected != found:
            raise AgentError(
                Code.IMAGE_DIGEST_MISMATCH,
                f"{name} of the repository has the checksum {found}",
                "the image was built wrong, or is damaged: nothing of it was used",
            )
        self._sums[name] = found

    def _path(self, name: str) -> Path:
        path = self._place / name
        if path.parent not in self._directories:
            with writing(path.parent):
                self._effects.make_directory(path.parent, _DIRECTORY_MODE)
            self._directories.add(path.parent)
        return path


def _lay_out(effects: Effects, place: Path) -> None:
    """An empty archive repository as ``ostree init`` makes it; raises ``AgentError`` (``write-failed``)."""
    with writing(place):
        effects.make_directory(place.parent, 0o700)
        for directory in DIRECTORIES:
            effects.make_directory(place / directory, _DIRECTORY_MODE)
    _write_file(effects, place / "config", CONFIG)


def _write_file(effects: Effects, path: Path, data: bytes) -> None:
    with writing(path):
        descriptor = effects.create(path, _MODE)
    try:
        with writing(path):
            effects.write(descriptor, data)
    finally:
        os.close(descriptor)
