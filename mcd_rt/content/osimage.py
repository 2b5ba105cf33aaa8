"""Which OS an image has, and its repository: asked of the worker that reads images, kept in the cache.

Nothing foreign is parsed here: facts come as frames whose values have patterns, files are named by patterns of ours.
"""

import platform
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from mcd_rt.content import cache
from mcd_rt.content.answer import Answer, lie
from mcd_rt.content.conversation import Worker, conversation
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
from mcd_rt.content.fetch import scratch_for
from mcd_rt.content.frames import AboutImage, Extent, FetchRequest, OsFrame, OsRequest, RepositoryRequest
from mcd_rt.content.osentry import (
    discard_repository,
    has_repository,
    load_os_image,
    remove_repository,
    repository_of,
    store_os_image,
    store_repository,
)
from mcd_rt.content.repositorywriter import MAX_FILES, RepositoryWriter, lay_out
from mcd_rt.content.resolve import not_pinned
from mcd_rt.effects import Effects
from mcd_rt.errors import AgentError, Code
from mcd_rt.frozen import frozen
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.content import Reading
from mcd_rt.model.image import ImageReference
from mcd_rt.model.osimage import OsImage
from mcd_rt.model.settings import ContentSettings
from mcd_rt.threads import in_thread


@frozen
class _Asking:
    """Who is asked about which image, with whose effects."""

    effects: Effects
    settings: ContentSettings
    paths: HostPaths
    image: ImageReference
    worker: Worker
    architecture: str
    on_reading: Callable[[Reading], None]


def _nobody(_done: int, _total: int) -> None:
    """Nobody wants to know how far it is."""


async def read_os_image(
    effects: Effects,
    settings: ContentSettings,
    paths: HostPaths,
    image: ImageReference,
    on_progress: Callable[[int, int], None] = _nobody,
    *,
    worker_argv: Sequence[str] = WORKER_ARGV,
    architecture: str = "",
    on_reading: Callable[[Reading], None] = nobody_asks,
) -> OsImage:
    """The OS of a pinned image, from the cache or by way of a worker; the cache has it afterwards.

    ``on_progress`` is told bytes read and bytes in all, ``on_reading`` how the image is read, once that is known;
    ``architecture`` (as ``uname -m`` spells it) is this machine's unless given. ``commit`` is the commit that was
    composed: a host that derives a commit of its own from a container says another. Raises ``AgentError``:
    ``image-not-pinned``, ``image-*``, ``os-image-unsupported``, ``worker-failed``, ``worker-timeout``,
    ``write-failed``.
    """
    if not image.digest:
        raise not_pinned(image)
    if (known := load_os_image(paths, image.digest)) is not None:
        return known
    worker = worker_for("fetch", settings, paths, worker_argv)
    asking = _Asking(effects, settings, paths, image, worker, architecture or platform.machine(), on_reading)
    found = await within(settings.fetch_timeout, _read(asking, on_progress))
    store_os_image(effects, paths, found)
    return found


async def fetch_repository(
    effects: Effects,
    settings: ContentSettings,
    paths: HostPaths,
    image: ImageReference,
    on_progress: Callable[[int, int], None] = _nobody,
    *,
    worker_argv: Sequence[str] = WORKER_ARGV,
    architecture: str = "",
    on_reading: Callable[[Reading], None] = nobody_asks,
) -> Path:
    """The ostree repository of a pinned machine-os-content image, in the cache; one that is there is not fetched again.

    Written once, durable before it has its name; nothing is left of a failure. ``on_progress``, ``architecture`` and
    ``on_reading`` as in ``read_os_image``. Where the image's OS is known, its commit has to be in the repository.
    Raises ``AgentError``: as ``read_os_image``, and ``cache-full``.
    """
    if not image.digest:
        raise not_pinned(image)
    target = repository_of(paths, image.digest)
    if has_repository(paths, image.digest):
        return target
    worker = worker_for("fetch", settings, paths, worker_argv)
    asking = _Asking(effects, settings, paths, image, worker, architecture or platform.machine(), on_reading)
    unfinished = target.with_name("repo.new")
    with ExitStack() as undo:
        undo.callback(discard_repository, effects, paths, image.digest)
        with cache.writing(unfinished):
            remove_repository(effects, paths, image.digest)
        allowance = max(0, settings.max_cache_bytes - cache.used_bytes(paths))
        lay_out(effects, unfinished)
        fingerprint = await within(settings.fetch_timeout, _write(asking, on_progress, unfinished, allowance))
        await _finish(effects, unfinished, target)
        store_repository(effects, paths, image.digest, fingerprint)
        undo.pop_all()
    return target


async def _read(asking: _Asking, on_progress: Callable[[int, int], None]) -> OsImage:
    async with _asked(asking, _os_request, on_progress) as answer:
        tell_reading(asking.image, await answer.begin(), asking.on_reading)
        if not isinstance(frame := await answer.next(), OsFrame):
            raise lie(f"sent {type(frame).__name__} where the OS was due")
        await answer.end()
    return replace(frame.os, digest=asking.image.digest)


async def _write(asking: _Asking, on_progress: Callable[[int, int], None], place: Path, allowance: int) -> str:
    writer = RepositoryWriter(asking.effects, place, allowance)

    def request_of(base: FetchRequest) -> RepositoryRequest:
        return _repository_request(base, allowance)

    def progressed(done: int, total: int) -> None:
        writer.check_room(total - done)
        on_progress(done, total)

    async with _asked(asking, request_of, progressed) as answer:
        tell_reading(asking.image, await answer.begin(), asking.on_reading)
        await writer.write_all(answer)
    known = load_os_image(asking.paths, asking.image.digest)
    commit = known.commit if known is not None else ""
    if not writer.has_commit(commit):
        raise AgentError(
            Code.IMAGE_UNREADABLE,
            f"the repository in {asking.image} has no commit {commit or 'at all'}, which is the OS of the image",
            "the image was built wrong",
        )
    return writer.fingerprint


async def _finish(effects: Effects, unfinished: Path, target: Path) -> None:
    """Thousands of small files in one go: an fsync each would take minutes on a slow disk."""
    with cache.writing(unfinished):
        await in_thread(lambda _go_on: effects.sync_filesystem(unfinished))
        effects.rename(unfinished, target)
        effects.fsync_directory(target.parent)


@asynccontextmanager
async def _asked(
    asking: _Asking, request_of: Callable[[FetchRequest], AboutImage], on_progress: Callable[[int, int], None]
) -> AsyncIterator[Answer]:
    """Ask the worker; its answer is over with the block."""
    effects, settings, paths, image = asking.effects, asking.settings, asking.paths, asking.image
    with scratch_for(effects, paths, image, asking.worker) as scratch:
        base = request_for(Question(image, (), asking.architecture, Extent.KERNEL, scratch), settings, paths)
        async with conversation(effects, asking.worker, settings.idle_timeout) as talk:
            await ask(talk, request_of(base), secrets_for(asking.worker, image, base))
            yield Answer(talk, on_progress)


def _os_request(base: FetchRequest) -> OsRequest:
    return OsRequest(
        base.image,
        base.architecture,
        base.max_layers,
        base.root,
        base.authfiles,
        base.scratch,
        base.patience_ms,
    )


def _repository_request(base: FetchRequest, max_bytes: int) -> RepositoryRequest:
    return RepositoryRequest(
        base.image,
        base.architecture,
        base.max_layers,
        MAX_FILES,
        max_bytes,
        base.root,
        base.authfiles,
        base.scratch,
        base.patience_ms,
    )
