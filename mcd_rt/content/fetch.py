"""Fetching: an image's packages by way of a worker, into the cache, each inspected by another worker as it comes.

The agent parses nothing foreign: it writes bytes into files it names itself and hashes them on the way. What
they are, and who signed them, it learns from the second worker, which has the open files and nothing else.
"""

import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from mcd_rt.content import cache
from mcd_rt.content.allowance import allowance_of
from mcd_rt.content.answer import Answer
from mcd_rt.content.conversation import Listening, Worker, conversation
from mcd_rt.content.errand import (
    WORKER_ARGV,
    Question,
    ask,
    nobody_asks,
    request_for,
    secrets_for,
    tell_packages,
    tell_reading,
    within,
    worker_for,
)
from mcd_rt.content.frames import Extent, FetchRequest, ImageFrame
from mcd_rt.content.judging import Inspection, Judged, inspection_for, judging
from mcd_rt.content.receive import Receiver
from mcd_rt.content.resolve import not_pinned
from mcd_rt.effects import Effects
from mcd_rt.frozen import frozen
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.content import Content, Reading, Way
from mcd_rt.model.image import ImageReference
from mcd_rt.model.nevra import Nevra
from mcd_rt.model.settings import ContentSettings

_NO_DIGEST = "sha256:" + "0" * 64


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
class _Job:
    """What does not change during a fetch; ``secrets`` is empty where the worker has to find its own."""

    fetcher: Worker
    request: FetchRequest
    secrets: tuple[Path, ...]
    inspection: Inspection
    on_progress: Callable[[int, int], None]


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
    inspection = inspection_for(effects, settings, host, names, worker_argv)
    fetcher = worker_for("fetch", settings, host, worker_argv)
    digest = image.digest or _NO_DIGEST
    cache.remove(effects, paths, digest)
    with ExitStack() as undo:
        undo.callback(cache.discard, effects, paths, digest)
        with scratch_for(effects, paths, image, fetcher) as scratch:
            question = Question(image, names, architecture or platform.machine(), extent, scratch)
            request = request_for(question, settings, host)
            allowance = allowance_of(settings, paths)
            place = cache.create(effects, paths, digest)
            job = _Job(fetcher, request, secrets_for(fetcher, image, request), inspection, on_progress)
            receiver = Receiver(effects, place, request, allowance, lambda said: tell_reading(image, said, on_reading))
            with closing(receiver):
                judged = await within(settings.fetch_timeout, _packages(job, receiver))
        said = receiver.image or ImageFrame(digest, "", "", "", Way.LAYOUT, "")
        content = Content(image.digest or said.digest, judged.packages, judged.judge, said.way, said.why)
        if image.digest:  # what a tag meant is nothing to come back to
            cache.store(effects, paths, content, names, judged.keys)
            undo.pop_all()
    tell_packages(image, content)
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


async def _packages(job: _Job, receiver: Receiver) -> Judged:
    """Whatever is wrong with the image is told before what is wrong with its packages, being the cause of that."""
    inspection = job.inspection
    async with conversation(inspection.effects, job.fetcher, inspection.idle_timeout) as talk:
        await ask(talk, job.request, job.secrets)
        answer = Answer(talk, job.on_progress)
        async with judging(inspection) as judge:
            while (announced := await receiver.announced(answer)) is not None:
                if (file := await receiver.receive(answer, announced)) is not None:
                    await judge.add(file)
            await receiver.make_durable()
            return await judge.judged()
