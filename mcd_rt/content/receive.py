"""Files from a worker into the cache: named, counted, bounded and hashed by the agent."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from mcd_rt.content.allowance import Allowance
from mcd_rt.content.answer import Answer, lie
from mcd_rt.content.cache import writing
from mcd_rt.content.frames import (
    MAX_TOLD,
    AboutImage,
    ChunkFrame,
    DoneFrame,
    Extent,
    FetchRequest,
    FileFrame,
    ImageFrame,
    PackageFrame,
)
from mcd_rt.effects import Effects
from mcd_rt.frozen import frozen
from mcd_rt.model.nevra import Nevra
from mcd_rt.threads import in_thread


@frozen
class Received:
    """A file nobody has looked into; ``origin`` is its path in the image, for people only."""

    origin: str
    path: Path
    size: int
    sha256: str


class Receiver:
    """Takes the answer to one fetch request, believing the worker nothing that can be counted; to be closed."""

    def __init__(
        self,
        effects: Effects,
        entry: Path,
        request: AboutImage,
        allowance: Allowance,
        on_image: Callable[[ImageFrame], None] = lambda _image: None,
    ) -> None:
        """``entry`` is the directory for the files, empty; ``allowance`` how much may be written.

        ``on_image`` is told which image was found, and how it is read.
        """
        self._effects = effects
        self._entry = entry
        self._request = request
        self._tells = isinstance(request, FetchRequest) and request.extent is Extent.ALL
        self._on_image = on_image
        self._files = 0
        self._known: set[str] = set()
        self._written: list[tuple[Path, int]] = []
        self._allowance = allowance
        self.image: ImageFrame | None = None
        self.told: list[Nevra] = []  # what lies in layers that a fetch leaves alone

    async def announced(self, answer: Answer) -> FileFrame | None:
        """The file that is to be received next; none at the end of the answer.

        Raises ``AgentError``: what ``Answer.next`` raises, ``worker-failed`` for an answer out of
        order or beyond the limits of the request.
        """
        while not isinstance(frame := await answer.next(), DoneFrame):
            if isinstance(frame, ImageFrame) and self.image is None and not self._files:
                self.image = frame
                self._on_image(frame)
            elif isinstance(frame, PackageFrame) and self._tells:
                self._note(frame)
            elif isinstance(frame, FileFrame):
                self.expect(frame)
                return frame
            else:
                raise lie(f"sent {type(frame).__name__} where a file or the end was due")
        return None

    async def receive(self, answer: Answer, frame: FileFrame) -> Received | None:
        """The file that is expected, on its way to the disk; nothing, and no file, for one that came before.

        Raises ``AgentError``: as ``announced``, and ``write-failed``.
        """
        path = self._entry / f"{self._files - 1}.rpm"
        with writing(path):
            descriptor = self._effects.create(path, 0o600)
        self._written.append((path, descriptor))
        sha256 = await self._write(answer, frame.size, descriptor, path)
        if sha256 in self._known:
            os.close(self._written.pop()[1])
            with writing(path):
                self._effects.remove(path)
            return None
        self._known.add(sha256)
        return Received(frame.file, path, frame.size, sha256)

    async def make_durable(self) -> None:
        """Have what was received on the disk, without keeping up who waits; raises ``AgentError`` (``write-failed``).

        All at the end, when there is nothing to receive that would have to wait for it.
        """
        await in_thread(self._sync)

    def _sync(self, go_on: Callable[[], None]) -> None:
        for path, descriptor in self._written:
            go_on()
            with writing(path):
                self._effects.fsync(descriptor)

    def close(self) -> None:
        """Let go of the files; what was received stays."""
        for _, descriptor in self._written:
            os.close(descriptor)
        self._written.clear()

    def _note(self, frame: PackageFrame) -> None:
        if frame.nevra.name not in self._request.names:
            raise lie(f"told of {frame.nevra}, which nobody asked for")
        if len(self.told) >= MAX_TOLD:
            raise lie(f"told of more than {MAX_TOLD} packages")
        self.told.append(frame.nevra)

    def expect(self, frame: FileFrame) -> None:
        """A file was announced; raises ``AgentError``: ``worker-failed`` beyond the limits, ``cache-full``."""
        self._files += 1
        if self._files > self._request.max_packages:
            raise lie(f"sent more than {self._request.max_packages} files")
        if frame.size > self._request.max_package_bytes:
            raise lie(f"sent a file of {frame.size} bytes, more than {self._request.max_package_bytes}")
        self._allowance.take(frame.size, frame.file)

    async def _write(self, answer: Answer, size: int, descriptor: int, path: Path) -> str:
        digest = hashlib.sha256()
        left = size
        while left:
            frame = await answer.next()
            if not isinstance(frame, ChunkFrame):
                raise lie(f"sent {type(frame).__name__} with {left} bytes of a file to come")
            if not 0 < frame.size <= left:
                raise lie(f"sent a chunk of {frame.size} bytes with {left} bytes of a file to come")
            data = await answer.bytes(frame.size)
            digest.update(data)
            with writing(path):
                self._effects.write(descriptor, data)
            left -= frame.size
        return digest.hexdigest()
