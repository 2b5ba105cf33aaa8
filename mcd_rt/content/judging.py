"""The agent's side of an inspection: packages go to the second worker one by one, while others still arrive."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from mcd_rt.content import cache
from mcd_rt.content.conversation import Conversation, Worker, conversation
from mcd_rt.content.errand import worker_for
from mcd_rt.content.frames import DESCRIPTORS_AT_ONCE, DoneFrame, InspectRequest, PackageFrame
from mcd_rt.content.keys import digest_of_key, find_keys, identity_of_keys, open_keys
from mcd_rt.content.receive import Received
from mcd_rt.effects import Effects
from mcd_rt.errors import AgentError, Code
from mcd_rt.frozen import frozen
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.content import Judge, Package
from mcd_rt.model.settings import ContentSettings


@frozen
class Inspection:
    """Who inspects, within which silence (in seconds), and what may come of it.

    ``names`` are those that were asked for; ``keys`` is ``None`` where signatures are not.
    """

    effects: Effects
    worker: Worker
    idle_timeout: float
    names: tuple[str, ...]
    keys: tuple[Path, ...] | None


def inspection_for(
    effects: Effects, settings: ContentSettings, host: HostPaths, names: tuple[str, ...], argv: Sequence[str]
) -> Inspection:
    """How packages with these names are inspected by the settings of a host, if any are to come.

    ``argv`` starts the worker where it is a child. Raises ``AgentError`` as ``find_keys``.
    """
    keys = find_keys(host, settings.keys) if names and settings.trust == "require" else None
    return Inspection(effects, worker_for("inspect", settings, host, argv), settings.idle_timeout, names, keys)


@frozen
class Judged:
    """What the second worker found: the packages, who judged them, and the identity of the keys for that."""

    packages: tuple[Package, ...]
    judge: Judge
    keys: str


class Judging:
    """Files on their way to the second worker, and what it says of them."""

    def __init__(self, inspection: Inspection, talk: Conversation, keys: str) -> None:
        """Belongs to ``judging``, which ends it; ``keys`` is the identity of those that the worker has."""
        self._inspection = inspection
        self._talk = talk
        self._keys = keys
        self._asked: list[Received] = []

    async def add(self, file: Received) -> None:
        """Have a file inspected as soon as the worker gets to it.

        What is wrong with it, or with the worker, ``judged`` tells: what is wrong with where files come from, and may
        be the cause, is told first. Raises ``AgentError``: ``cache-corrupt``, ``host-exhausted``.
        """
        descriptor = cache.open_file(file.path)
        self._asked.append(file)
        try:
            with suppress(AgentError):  # the worker has ended, and its last words say why
                await self._talk.send_file(file.origin, descriptor)
        finally:
            os.close(descriptor)

    async def judged(self) -> Judged:
        """What was found, once all were inspected.

        Raises ``AgentError``: what the worker says is wrong with a package or with the keys, ``worker-failed``,
        ``worker-timeout``.
        """
        self._talk.over = False  # its last word is waited for now: one that hangs is killed
        self._talk.end_sending()
        found = [await self._package(file) for file in self._asked]
        if not isinstance(await self._talk.receive(), DoneFrame):
            raise AgentError(Code.WORKER_FAILED, "the worker went on after it had inspected everything")
        judges = {judge for _, judge in found}
        packages = sorted((package for package, _ in found), key=lambda package: (package.nevra, package.sha256))
        return Judged(tuple(packages), judges.pop() if len(judges) == 1 else Judge.NOBODY, self._keys)

    async def _package(self, file: Received) -> tuple[Package, Judge]:
        frame = await self._talk.receive()
        if not isinstance(frame, PackageFrame):
            raise AgentError(Code.WORKER_FAILED, f"the worker did not say what {file.origin} is")
        if frame.nevra.name not in self._inspection.names:
            raise AgentError(Code.WORKER_FAILED, f"the worker sent {frame.nevra}, which nobody asked for")
        if self._inspection.keys is not None and frame.judge is Judge.NOBODY:
            raise AgentError(Code.WORKER_FAILED, f"the worker did not judge the signature of {frame.nevra}")
        package = Package(
            frame.nevra, file.path.name, file.size, file.sha256, frame.kernel_release, frame.provides, frame.requires
        )
        return package, frame.judge


@asynccontextmanager
async def judging(inspection: Inspection) -> AsyncIterator[Judging]:
    """Start the worker and hand it the keys, so that it is ready when the first file is; it is gone with the block.

    Raises ``AgentError``: ``package-signature-bad`` for keys that cannot be read, ``worker-failed``.
    """
    async with conversation(inspection.effects, inspection.worker, inspection.idle_timeout) as talk:
        keys = inspection.keys or ()
        await talk.send(InspectRequest(tuple(key.name for key in keys), inspection.keys is not None))
        judge = Judging(inspection, talk, await _send_keys(talk, keys))
        # With nobody to talk to it ends by itself, and takes along what it had made for the keys: it is not killed
        # because of what others failed in, only if it hangs.
        talk.over = True
        try:
            yield judge
        except asyncio.CancelledError:  # who is told to stop waits for nobody
            talk.over = False
            raise


async def _send_keys(talk: Conversation, keys: Sequence[Path]) -> str:
    """Hand over the keys; their identity, of the very files that are handed over."""
    digests: list[str] = []
    for start in range(0, len(keys), DESCRIPTORS_AT_ONCE):
        batch = keys[start : start + DESCRIPTORS_AT_ONCE]
        with open_keys(batch) as descriptors:
            digests += map(digest_of_key, batch, descriptors)
            await talk.send_descriptors(descriptors)
    return identity_of_keys(digests) if digests else ""
