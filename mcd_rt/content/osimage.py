"""The OS of an image into the cache, in one reading: which one it is; where it is in a repository, that and packages.

Nothing foreign is parsed here: facts come as frames whose values have patterns, files are named by patterns of ours.
"""

import platform
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, ExitStack, closing
from dataclasses import replace
from pathlib import Path

from mcd_rt.content import cache
from mcd_rt.content.allowance import Allowance, allowance_of
from mcd_rt.content.answer import Answer, lie
from mcd_rt.content.conversation import Worker, conversation
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
from mcd_rt.content.fetch import scratch_for
from mcd_rt.content.frames import Extent, FetchRequest, FileFrame, FilesFrame, OsFrame, OsRequest
from mcd_rt.content.judging import Inspection, Judged, Judging, inspection_for, judging
from mcd_rt.content.osentry import (
    discard_repository,
    remove_repository,
    repository_of,
    store_os_image,
    store_repository,
)
from mcd_rt.content.receive import Receiver
from mcd_rt.content.repository import is_part
from mcd_rt.content.repositorywriter import MAX_FILES, RepositoryWriter
from mcd_rt.content.resolve import not_pinned
from mcd_rt.effects import Effects
from mcd_rt.errors import AgentError, Code
from mcd_rt.frozen import frozen
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.content import Content, Judge, Reading
from mcd_rt.model.image import ImageReference
from mcd_rt.model.osimage import OsForm, OsImage
from mcd_rt.model.settings import ContentSettings
from mcd_rt.threads import in_thread


@frozen
class Brought:
    """The OS of an image, and the packages that came with it: none were looked for in one that is its OS itself."""

    os: OsImage
    content: Content | None


@frozen
class _Errand:
    """Who is asked what about an image, and who judges the packages that come."""

    paths: HostPaths
    image: ImageReference
    fetcher: Worker
    request: OsRequest
    inspection: Inspection
    on_progress: Callable[[int, int], None]
    on_reading: Callable[[Reading], None]

    @property
    def repository(self) -> Path:
        return repository_of(self.paths, self.image.digest)

    @property
    def unfinished(self) -> Path:
        return self.repository.with_name("repo.new")


@frozen
class _Came:
    """What a worker said and sent; ``fingerprint`` is that of the repository."""

    os: OsImage
    reading: Reading
    judged: Judged
    fingerprint: str


def _nobody(_done: int, _total: int) -> None:
    """Nobody wants to know how far it is."""


async def fetch_os(
    effects: Effects,
    settings: ContentSettings,
    paths: HostPaths,
    image: ImageReference,
    names: tuple[str, ...],
    on_progress: Callable[[int, int], None] = _nobody,
    *,
    worker_argv: Sequence[str] = WORKER_ARGV,
    architecture: str = "",
    on_reading: Callable[[Reading], None] = nobody_asks,
) -> Brought:
    """The OS of a pinned image; of machine-os-content its repository and the packages with these header names, too.

    The cache has all of it afterwards, each byte written once and durable before it has its name, or nothing after a
    failure. ``on_progress`` is told bytes read and bytes in all, ``on_reading`` how the image is read, once that is
    known; ``architecture`` (as ``uname -m`` spells it) is this machine's unless given. The ``commit`` is the one that
    was composed: a host that derives a commit of its own from a container says another. Raises ``AgentError``:
    ``image-not-pinned``, ``image-*``, ``package-*``, ``os-image-unsupported``, ``worker-failed``, ``worker-timeout``,
    ``write-failed``, ``cache-full``, ``cache-corrupt``.
    """
    if not image.digest:
        raise not_pinned(image)
    inspection = inspection_for(effects, settings, paths, names, worker_argv)
    fetcher = worker_for("fetch", settings, paths, worker_argv)
    with ExitStack() as undo:
        undo.callback(_discard, inspection, paths, image)
        _clear(inspection, paths, image)
        with scratch_for(effects, paths, image, fetcher) as scratch:
            question = Question(image, names, architecture or platform.machine(), Extent.KERNEL, scratch)
            allowance = allowance_of(settings, paths)
            request = _os_request(request_for(question, settings, paths), allowance.left)
            errand = _Errand(paths, image, fetcher, request, inspection, on_progress, on_reading)
            came = await within(settings.fetch_timeout, _bring(errand, allowance))
        if came.os.form is OsForm.CONTAINER:  # rpm-ostree pulls it itself: whatever came is not needed
            store_os_image(effects, paths, came.os)
            return Brought(came.os, None)
        content = await _store(errand, came)
        undo.pop_all()
    return Brought(came.os, content)


def _clear(inspection: Inspection, paths: HostPaths, image: ImageReference) -> None:
    with cache.writing(repository_of(paths, image.digest)):
        remove_repository(inspection.effects, paths, image.digest)
    if inspection.names:
        cache.remove(inspection.effects, paths, image.digest)


def _discard(inspection: Inspection, paths: HostPaths, image: ImageReference) -> None:
    discard_repository(inspection.effects, paths, image.digest)
    if inspection.names:
        cache.discard(inspection.effects, paths, image.digest)


async def _store(errand: _Errand, came: _Came) -> Content | None:
    """Make entries of what is written; last the one that says what is there."""
    effects, names = errand.inspection.effects, errand.inspection.names
    paths, digest = errand.paths, errand.image.digest
    await _finish(errand)
    store_repository(effects, paths, digest, came.fingerprint)
    content = None
    if names:
        content = Content(digest, came.judged.packages, came.judged.judge, came.reading.way, came.reading.why)
        cache.create(effects, paths, digest)  # where no package came
        cache.store(effects, paths, content, names, came.judged.keys)
        tell_packages(errand.image, content)
    store_os_image(effects, paths, came.os)
    return content


async def _finish(errand: _Errand) -> None:
    """Thousands of small files in one go: an fsync each would take minutes on a slow disk."""
    effects, unfinished, target = errand.inspection.effects, errand.unfinished, errand.repository
    with cache.writing(unfinished):
        await in_thread(lambda _go_on: effects.sync_filesystem(unfinished))
        effects.rename(unfinished, target)
        effects.fsync_directory(target.parent)


async def _bring(errand: _Errand, allowance: Allowance) -> _Came:
    """Ask, and take what comes; whatever is wrong with the image is told before what is wrong with its packages."""
    inspection = errand.inspection
    async with conversation(inspection.effects, errand.fetcher, inspection.idle_timeout) as talk:
        await ask(talk, errand.request, secrets_for(errand.fetcher, errand.image, errand.request))
        async with AsyncExitStack() as stack:
            intake = _Intake(errand, allowance, stack)
            answer = Answer(talk, intake.progressed)
            said = await answer.begin()
            tell_reading(errand.image, said, errand.on_reading)
            while not isinstance(frame := await answer.next(), OsFrame):
                if not isinstance(frame, FileFrame | FilesFrame):
                    raise lie(f"sent {type(frame).__name__} where a file or the OS was due")
                await intake.take(answer, frame)
            await answer.end()
            os = replace(frame.os, digest=errand.image.digest)
            intake.check_commit(os)
            return _Came(os, Reading(said.way, said.why), await intake.judged(), intake.repository.fingerprint)


class _Intake:
    """Where what comes is put: each place is made, and the second worker started, with the first that is for it."""

    def __init__(self, errand: _Errand, allowance: Allowance, stack: AsyncExitStack) -> None:
        self._errand = errand
        self._allowance = allowance
        self._stack = stack
        self._packages: tuple[Receiver, Judging] | None = None
        self.repository = RepositoryWriter(errand.inspection.effects, errand.unfinished, allowance)

    def progressed(self, done: int, total: int) -> None:
        if self.repository.is_begun:
            self._allowance.check_disk(total - done, "the rest of the image")
        self._errand.on_progress(done, total)

    async def take(self, answer: Answer, frame: FileFrame | FilesFrame) -> None:
        if isinstance(frame, FilesFrame) or is_part(frame.file) or not self._errand.inspection.names:
            await self.repository.write(answer, frame)
        else:
            await self._take_package(answer, frame)

    async def _take_package(self, answer: Answer, frame: FileFrame) -> None:
        if self._packages is None:
            self._packages = await self._begin_packages()
        receiver, judge = self._packages
        receiver.expect(frame)
        if (file := await receiver.receive(answer, frame)) is not None:
            await judge.add(file)

    async def _begin_packages(self) -> tuple[Receiver, Judging]:
        inspection, errand = self._errand.inspection, self._errand
        place = cache.create(inspection.effects, errand.paths, errand.image.digest)
        receiver = Receiver(inspection.effects, place, errand.request, self._allowance)
        self._stack.enter_context(closing(receiver))
        return receiver, await self._stack.enter_async_context(judging(inspection))

    def check_commit(self, os: OsImage) -> None:
        """The OS that was said has to be in the repository that was sent."""
        if os.form is OsForm.REPOSITORY and not self.repository.has_commit(os.commit):
            raise AgentError(
                Code.IMAGE_UNREADABLE,
                f"the repository in {self._errand.image} has no commit {os.commit}, which is the OS of the image",
                "the image was built wrong",
            )

    async def judged(self) -> Judged:
        if self._packages is None:
            return Judged((), Judge.NOBODY, "")
        receiver, judge = self._packages
        await receiver.make_durable()
        return await judge.judged()


def _os_request(base: FetchRequest, max_bytes: int) -> OsRequest:
    return OsRequest(
        base.image,
        base.names,
        base.architecture,
        base.max_packages,
        base.max_package_bytes,
        base.max_layers,
        MAX_FILES,
        max_bytes,
        base.root,
        base.authfiles,
        base.scratch,
        base.patience_ms,
    )
