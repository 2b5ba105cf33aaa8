"""Fetching: an image's packages by way of a worker, into the cache, then inspected by another worker.

The agent parses nothing foreign: it writes bytes into files it names itself and hashes them on the way. What
they are, and who signed them, it learns from the second worker, which has the open files and nothing else.
"""

import logging
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mcd_rt.content import cache
from mcd_rt.content.conversation import Conversation, Listening, Worker, conversation
from mcd_rt.content.errand import (
    WORKER_ARGV,
    Question,
    ask,
    nobody_asks,
    request_for,
    secrets_for,
    tell_reading,
    within,
    worker_for,
)
from mcd_rt.content.frames import (
    DESCRIPTORS_AT_ONCE,
    DoneFrame,
    Extent,
    FetchRequest,
    ImageFrame,
    InspectRequest,
    PackageFrame,
)
from mcd_rt.content.keys import digest_of_key, find_keys, identity_of_keys, open_keys
from mcd_rt.content.receive import Received, Receiver
from mcd_rt.content.resolve import not_pinned
from mcd_rt.effects import Effects
from mcd_rt.errors import AgentError, Code
from mcd_rt.frozen import frozen
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.content import Content, Judge, Package, Reading, Way
from mcd_rt.model.image import ImageReference
from mcd_rt.model.nevra import Nevra
from mcd_rt.model.settings import ContentSettings

_NO_DIGEST = "sha256:" + "0" * 64

_log = logging.getLogger(__name__)


@frozen
class Fetched:
    """The packages of an image, and what its config says of itself: architecture (as images spell it) and OS.

    ``unread`` are packages with the names asked for in layers that a fetch leaves alone; known only if it was asked.
    """

    content: Content
    architecture: str
    commit: str
    version: str
    unread: tuple[Nevra, ...] = ()


@frozen
class _Judged:
    """What the second worker found: the packages, who judged them, and the identity of the keys for that."""

    packages: tuple[Package, ...] = ()
    judge: Judge = Judge.NOBODY
    keys: str = ""


@frozen
class _Job:
    """What does not change during a fetch.

    ``keys`` is ``None`` where signatures are not asked for, ``secrets`` is empty where the worker has to find its own.
    """

    effects: Effects
    settings: ContentSettings
    fetcher: Worker
    inspector: Worker
    request: FetchRequest
    keys: tuple[Path, ...] | None
    secrets: tuple[Path, ...]


async def fetch_content(
    effects: Effects,
    settings: ContentSettings,
    paths: HostPaths,
    image: ImageReference,
    names: tuple[str, ...],
    on_progress: Callable[[int, int], None],
    *,
    worker_argv: Sequence[str] = WORKER_ARGV,
    architecture: str = "",
    on_reading: Callable[[Reading], None] = nobody_asks,
) -> Content:
    """Fetch the packages with these header names from a pinned image; the cache has them afterwards.

    As ``fetch_image``, for an image that must be pinned: ``image-not-pinned``.
    """
    if not image.digest:
        raise not_pinned(image)
    fetched = await fetch_image(
        effects,
        settings,
        paths,
        image,
        names,
        on_progress,
        host=paths,
        worker_argv=worker_argv,
        architecture=architecture,
        on_reading=on_reading,
    )
    return fetched.content


async def fetch_image(
    effects: Effects,
    settings: ContentSettings,
    paths: HostPaths,
    image: ImageReference,
    names: tuple[str, ...],
    on_progress: Callable[[int, int], None],
    *,
    host: HostPaths,
    worker_argv: Sequence[str] = WORKER_ARGV,
    architecture: str = "",
    extent: Extent = Extent.KERNEL,
    on_reading: Callable[[Reading], None] = nobody_asks,
) -> Fetched:
    """Fetch the packages with these header names into the cache of ``paths``, with the settings of ``host``.

    An earlier entry for the image is replaced; an image without any of them is content without packages.
    ``on_progress`` is told bytes read and bytes in all, ``on_reading`` how the image is read, once that is known;
    ``architecture`` (as ``uname -m`` spells it) is this machine's unless given; with ``Extent.ALL`` older layers are
    read too, only to say what is in them. After a failure the cache has neither an entry nor leftovers for this image.
    Raises ``AgentError``: ``image-*`` and ``package-*`` for what the workers found, ``worker-failed``,
    ``worker-timeout``, ``write-failed``, ``cache-full``, ``cache-corrupt``.
    """
    keys = find_keys(host, settings.keys) if settings.trust == "require" else None
    fetcher, inspector = (worker_for(job, settings, host, worker_argv) for job in ("fetch", "inspect"))
    digest = image.digest or _NO_DIGEST
    cache.remove(effects, paths, digest)
    with ExitStack() as undo:
        undo.callback(cache.discard, effects, paths, digest)
        with scratch_for(effects, paths, image, fetcher) as scratch:
            question = Question(image, names, architecture or platform.machine(), extent, scratch)
            request = request_for(question, settings, host)
            secrets = secrets_for(fetcher, image, request)
            job = _Job(effects, settings, fetcher, inspector, request, keys, secrets)
            allowance = max(0, settings.max_cache_bytes - cache.used_bytes(paths))
            place = cache.create(effects, paths, digest)
            receiver = Receiver(
                effects, place, request, on_progress, allowance, lambda said: tell_reading(image, said, on_reading)
            )
            judged = await within(settings.fetch_timeout, _packages(job, receiver))
        said = receiver.image or ImageFrame(digest, "", "", "", Way.LAYOUT, "")
        content = Content(image.digest or said.digest, judged.packages, judged.judge, said.way, said.why)
        if image.digest:  # what a tag meant is nothing to come back to
            cache.store(effects, paths, content, names, judged.keys)
            undo.pop_all()
    _log.info("%s has %d of these packages; signatures judged by %s", image, len(judged.packages), judged.judge)
    return Fetched(content, said.architecture, said.commit, said.version, tuple(receiver.told))


@contextmanager
def scratch_for(effects: Effects, paths: HostPaths, image: ImageReference, worker: Worker) -> Iterator[str]:
    """Where a worker may put a copy: a child beside the cache, a unit into its own ``/var/tmp``."""
    if image.layout or isinstance(worker, Listening):
        yield "/var/tmp"  # noqa: S108 - private to the unit
        return
    place = cache.make_scratch(effects, paths)
    try:
        yield str(place)
    finally:
        cache.remove_scratch(effects, paths)


async def _packages(job: _Job, receiver: Receiver) -> _Judged:
    async with conversation(job.effects, job.fetcher, job.settings.idle_timeout) as talk:
        await ask(talk, job.request, job.secrets)
        received = await receiver.receive_all(talk)
    if not received:
        return _Judged()
    async with conversation(job.effects, job.inspector, job.settings.idle_timeout) as talk:
        return await _inspect(job, talk, received)


async def _inspect(job: _Job, talk: Conversation, received: Sequence[Received]) -> _Judged:
    keys = job.keys or ()
    files = tuple(file.origin for file in received)
    await talk.send(InspectRequest(files, tuple(key.name for key in keys), job.keys is not None))
    judging = await _send_keys(talk, keys)
    found = [
        package
        for start in range(0, len(received), DESCRIPTORS_AT_ONCE)
        for package in await _inspected(talk, received[start : start + DESCRIPTORS_AT_ONCE], job)
    ]
    if not isinstance(await talk.receive(), DoneFrame):
        raise AgentError(Code.WORKER_FAILED, "the worker went on after it had inspected everything")
    judges = {judge for _, judge in found}
    packages = sorted((package for package, _ in found), key=lambda package: (package.nevra, package.sha256))
    return _Judged(tuple(packages), judges.pop() if len(judges) == 1 else Judge.NOBODY, judging)


async def _send_keys(talk: Conversation, keys: Sequence[Path]) -> str:
    """Hand over the keys; their identity, of the very files that are handed over."""
    digests: list[str] = []
    for start in range(0, len(keys), DESCRIPTORS_AT_ONCE):
        batch = keys[start : start + DESCRIPTORS_AT_ONCE]
        with open_keys(batch) as descriptors:
            digests += map(digest_of_key, batch, descriptors)
            await talk.send_descriptors(descriptors)
    return identity_of_keys(digests) if digests else ""


async def _inspected(talk: Conversation, batch: Sequence[Received], job: _Job) -> list[tuple[Package, Judge]]:
    with ExitStack() as stack:
        descriptors = []
        for file in batch:
            descriptors.append(cache.open_file(file.path))
            stack.callback(os.close, descriptors[-1])
        await talk.send_descriptors(descriptors)
    return [await _package(talk, file, job) for file in batch]


async def _package(talk: Conversation, file: Received, job: _Job) -> tuple[Package, Judge]:
    frame = await talk.receive()
    if not isinstance(frame, PackageFrame):
        raise AgentError(Code.WORKER_FAILED, f"the worker did not say what {file.origin} is")
    if frame.nevra.name not in job.request.names:
        raise AgentError(Code.WORKER_FAILED, f"the worker sent {frame.nevra}, which nobody asked for")
    if job.keys is not None and frame.judge is Judge.NOBODY:
        raise AgentError(Code.WORKER_FAILED, f"the worker did not judge the signature of {frame.nevra}")
    package = Package(
        frame.nevra, file.path.name, file.size, file.sha256, frame.kernel_release, frame.provides, frame.requires
    )
    return package, frame.judge
