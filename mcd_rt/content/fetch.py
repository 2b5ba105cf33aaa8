"""Fetching: an image's packages by way of a worker, into the cache, then inspected by another worker.

The agent parses nothing foreign: it writes bytes into files it names itself and hashes them on the way. What
they are it learns from the second worker, which has the open files and nothing else.
"""

import asyncio
import os
import platform
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from mcd_rt.content import cache
from mcd_rt.content.conversation import Conversation, conversation
from mcd_rt.content.frames import (
    DESCRIPTORS_AT_ONCE,
    MAX_FILES,
    DoneFrame,
    FetchRequest,
    InspectRequest,
    PackageFrame,
)
from mcd_rt.content.receive import Received, Receiver
from mcd_rt.effects import Effects
from mcd_rt.errors import AgentError, Code
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.content import Content, Package
from mcd_rt.model.image import ImageReference
from mcd_rt.model.settings import ContentSettings

_SERVICE_VARIABLES = ("CREDENTIALS_DIRECTORY", "DBUS_", "LISTEN_", "NOTIFY_SOCKET", "WATCHDOG_")


@dataclass(frozen=True, slots=True)
class _Workers:
    """How to start a worker."""

    effects: Effects
    argv: tuple[str, ...]
    idle_timeout: float


async def fetch_content(
    effects: Effects,
    settings: ContentSettings,
    paths: HostPaths,
    image: ImageReference,
    names: tuple[str, ...],
    on_progress: Callable[[int, int], None],
    *,
    worker_argv: Sequence[str] = (sys.executable, "-m", "mcd_rt", "worker"),
    architecture: str = "",
) -> Content:
    """Fetch the packages with these header names from a pinned image; the cache has them afterwards.

    An earlier entry for the image is replaced; an image without any of them is content without packages.
    ``on_progress`` is told bytes read and bytes in all; ``architecture`` (as ``uname -m`` spells it) is this
    machine's unless given. After a failure the cache has neither an entry nor leftovers for this image.
    Raises ``AgentError``: ``image-not-pinned``, other ``image-*`` and ``package-corrupt`` for what the workers
    found, ``worker-failed``, ``worker-timeout``, ``write-failed``, ``cache-corrupt``.
    """
    if not image.digest:
        raise AgentError(
            Code.IMAGE_NOT_PINNED,
            f"{image} names no digest, so what it is may change under the same name",
            "write it as name@sha256:...",
        )
    request = FetchRequest(
        str(image),
        names,
        architecture or platform.machine(),
        min(settings.max_packages, MAX_FILES),
        settings.max_package_bytes,
        settings.max_layers,
    )
    cache.remove(effects, paths, image.digest)
    with ExitStack() as undo:
        undo.callback(cache.discard, effects, paths, image.digest)
        workers = _Workers(effects, tuple(worker_argv), settings.idle_timeout)
        receiver = Receiver(effects, cache.create(effects, paths, image.digest), request, on_progress)
        packages = await _within(settings.fetch_timeout, _packages(workers, request, receiver))
        content = Content(image.digest, packages)
        cache.store(effects, paths, content, names)
        undo.pop_all()
    return content


async def _within(seconds: float, fetching: Coroutine[None, None, tuple[Package, ...]]) -> tuple[Package, ...]:
    try:
        async with asyncio.timeout(seconds):
            return await fetching
    except TimeoutError as error:
        raise AgentError(
            Code.WORKER_TIMEOUT,
            f"the worker was not done after {seconds:g} s",
            "[content] fetch_timeout says how long it may take",
        ) from error


async def _packages(workers: _Workers, request: FetchRequest, receiver: Receiver) -> tuple[Package, ...]:
    async with conversation(workers.effects, workers.argv, _environment(), workers.idle_timeout) as talk:
        await talk.send(request)
        received = await receiver.receive_all(talk)
    if not received:
        return ()
    async with conversation(workers.effects, workers.argv, _environment(), workers.idle_timeout) as talk:
        await talk.send(InspectRequest(tuple(file.origin for file in received)))
        packages = [
            package
            for start in range(0, len(received), DESCRIPTORS_AT_ONCE)
            for package in await _inspected(talk, received[start : start + DESCRIPTORS_AT_ONCE], request.names)
        ]
        if not isinstance(await talk.receive(), DoneFrame):
            raise AgentError(Code.WORKER_FAILED, "the worker went on after it had inspected everything")
    return tuple(sorted(packages, key=lambda package: (package.nevra, package.sha256)))


async def _inspected(talk: Conversation, batch: Sequence[Received], names: tuple[str, ...]) -> list[Package]:
    with ExitStack() as stack:
        descriptors = []
        for file in batch:
            descriptors.append(cache.open_file(file.path))
            stack.callback(os.close, descriptors[-1])
        await talk.send_descriptors(descriptors)
    return [await _package(talk, file, names) for file in batch]


async def _package(talk: Conversation, file: Received, names: tuple[str, ...]) -> Package:
    frame = await talk.receive()
    if not isinstance(frame, PackageFrame):
        raise AgentError(Code.WORKER_FAILED, f"the worker did not say what {file.origin} is")
    if frame.nevra.name not in names:
        raise AgentError(Code.WORKER_FAILED, f"the worker sent {frame.nevra}, which nobody asked for")
    return Package(
        frame.nevra, file.path.name, file.size, file.sha256, frame.kernel_release, frame.provides, frame.requires
    )


def _environment() -> dict[str, str]:
    """The agent's own without what connects it to its services."""
    return {key: value for key, value in os.environ.items() if not key.startswith(_SERVICE_VARIABLES)}
