"""Fetching: an image's packages by way of a worker, into the cache, then inspected by another worker.

The agent parses nothing foreign: it writes bytes into files it names itself and hashes them on the way. What
they are, and who signed them, it learns from the second worker, which has the open files and nothing else.
"""

import asyncio
import logging
import os
import platform
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from mcd_rt.content import cache
from mcd_rt.content.conversation import Command, Conversation, Listening, Worker, conversation
from mcd_rt.content.frames import (
    DESCRIPTORS_AT_ONCE,
    MAX_FILES,
    DoneFrame,
    FetchRequest,
    ImageFrame,
    InspectRequest,
    PackageFrame,
)
from mcd_rt.content.keys import find_keys, open_keys
from mcd_rt.content.receive import Received, Receiver
from mcd_rt.effects import Effects
from mcd_rt.errors import AgentError, Code
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.content import Content, Judge, Package, Way
from mcd_rt.model.image import ImageReference
from mcd_rt.model.settings import ContentSettings

_SERVICE_VARIABLES = ("DBUS_", "LISTEN_", "NOTIFY_SOCKET", "WATCHDOG_")
_SECRETS = ("CREDENTIALS_DIRECTORY",)
_SOCKETS = {"fetch": "/run/mcd-rt-fetch.sock", "inspect": "/run/mcd-rt-inspect.sock"}
_NO_DIGEST = "sha256:" + "0" * 64
_PATIENCE = 0.75  # of the idle timeout: a worker says what it waits for before it is taken for dead

_log = logging.getLogger(__name__)


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Fetched:
    """The packages of an image, and what its config says of itself: architecture (as images spell it) and OS."""

    content: Content
    architecture: str
    commit: str
    version: str


@dataclass(frozen=True, slots=True)
class _Job:
    """What does not change during a fetch.

    ``keys`` is ``None`` where signatures are not asked for, ``secret`` where the worker has to find its own.
    """

    effects: Effects
    settings: ContentSettings
    fetcher: Worker
    inspector: Worker
    request: FetchRequest
    keys: tuple[Path, ...] | None
    secret: Path | None


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

    As ``fetch_image``, for an image that must be pinned: ``image-not-pinned``.
    """
    if not image.digest:
        raise AgentError(
            Code.IMAGE_NOT_PINNED,
            f"{image} names no digest, so what it is may change under the same name",
            "write it as name@sha256:...",
        )
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
    worker_argv: Sequence[str] = (sys.executable, "-m", "mcd_rt", "worker"),
    architecture: str = "",
) -> Fetched:
    """Fetch the packages with these header names into the cache of ``paths``, with the settings of ``host``.

    An earlier entry for the image is replaced; an image without any of them is content without packages.
    ``on_progress`` is told bytes read and bytes in all; ``architecture`` (as ``uname -m`` spells it) is this
    machine's unless given. After a failure the cache has neither an entry nor leftovers for this image.
    Raises ``AgentError``: ``image-*`` and ``package-*`` for what the workers found, ``worker-failed``,
    ``worker-timeout``, ``write-failed``, ``cache-full``, ``cache-corrupt``.
    """
    keys = find_keys(host, settings.keys) if settings.trust == "require" else None
    fetcher, inspector = (_worker(job, settings, host, worker_argv) for job in _SOCKETS)
    digest = image.digest or _NO_DIGEST
    cache.remove(effects, paths, digest)
    with ExitStack() as undo:
        undo.callback(cache.discard, effects, paths, digest)
        with _scratch(effects, paths, image, fetcher) as scratch:
            request = _request(settings, host, image, names, architecture or platform.machine(), scratch)
            secret = _secret(request.authfiles) if isinstance(fetcher, Listening) and not image.layout else None
            job = _Job(effects, settings, fetcher, inspector, request, keys, secret)
            allowance = max(0, settings.max_cache_bytes - cache.used_bytes(paths))
            receiver = Receiver(effects, cache.create(effects, paths, digest), request, on_progress, allowance)
            packages, judge = await _within(settings.fetch_timeout, _packages(job, receiver))
        said = receiver.image or ImageFrame(digest, "", "", "", Way.LAYOUT, "")
        content = Content(image.digest or said.digest, packages, judge, said.way, said.why)
        if image.digest:  # what a tag meant is nothing to come back to
            cache.store(effects, paths, content, names)
            undo.pop_all()
    _log.info("%s was read by way of %s (%s); signatures judged by %s", image, said.way, said.why, judge)
    return Fetched(content, said.architecture, said.commit, said.version)


def _worker(job: str, settings: ContentSettings, host: HostPaths, argv: Sequence[str]) -> Worker:
    path = host.below(_SOCKETS[job])
    if settings.worker == "socket" or (settings.worker == "auto" and path.is_socket()):
        return Listening(path)
    return Command(tuple(argv), _environment(secrets=job == "fetch"))


def _environment(*, secrets: bool) -> dict[str, str]:
    """The agent's own without what connects it to its services; credentials only for who needs them."""
    hidden = _SERVICE_VARIABLES if secrets else _SERVICE_VARIABLES + _SECRETS
    return {key: value for key, value in os.environ.items() if not key.startswith(hidden)}


@contextmanager
def _scratch(effects: Effects, paths: HostPaths, image: ImageReference, worker: Worker) -> Iterator[str]:
    """Where a worker may put a copy: a child beside the cache, a unit into its own ``/var/tmp``."""
    if image.layout or isinstance(worker, Listening):
        yield "/var/tmp"  # noqa: S108 - private to the unit
        return
    place = cache.make_scratch(effects, paths)
    try:
        yield str(place)
    finally:
        cache.remove_scratch(effects, paths)


def _request(
    settings: ContentSettings,
    host: HostPaths,
    image: ImageReference,
    names: tuple[str, ...],
    architecture: str,
    scratch: str,
) -> FetchRequest:
    authfiles = (file if file.startswith("$") else str(host.below(file)) for file in settings.authfile)
    return FetchRequest(
        str(image),
        names,
        architecture,
        min(settings.max_packages, MAX_FILES),
        settings.max_package_bytes,
        settings.max_layers,
        str(host.root),
        tuple(authfiles),
        scratch,
        max(1, int(settings.idle_timeout * _PATIENCE * 1000)),
    )


def _secret(authfiles: Sequence[str]) -> Path | None:
    """The first pull secret that is there, for a unit whose user may not read it.

    Needed where the service manager cannot lend it (``LoadCredential``, systemd 247) or the file is another one.
    """
    own = os.environ.get("CREDENTIALS_DIRECTORY", "/nonexistent")
    files = (Path(file.replace("${CREDENTIALS_DIRECTORY}", own)) for file in authfiles)
    return next((file for file in files if file.is_file()), None)


@contextmanager
def _opened_secret(secret: Path | None) -> Iterator[list[int]]:
    """Its descriptor, to be passed on: what is in it the agent never reads."""
    try:
        descriptor = -1 if secret is None else os.open(secret, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise AgentError(
            Code.IMAGE_UNAUTHORIZED, f"the pull secret {secret} cannot be opened: {error.strerror}", "make it readable"
        ) from error
    try:
        yield [descriptor] if descriptor >= 0 else []
    finally:
        if descriptor >= 0:
            os.close(descriptor)


async def _within(seconds: float, fetching: Coroutine[None, None, T]) -> T:
    try:
        async with asyncio.timeout(seconds):
            return await fetching
    except TimeoutError as error:
        raise AgentError(
            Code.WORKER_TIMEOUT,
            f"the worker was not done after {seconds:g} s",
            "[content] fetch_timeout says how long it may take",
        ) from error


async def _packages(job: _Job, receiver: Receiver) -> tuple[tuple[Package, ...], Judge]:
    async with conversation(job.effects, job.fetcher, job.settings.idle_timeout) as talk:
        with _opened_secret(job.secret) as descriptors:
            await talk.send(replace(job.request, lent=bool(descriptors)))
            if descriptors:
                await talk.send_descriptors(descriptors)
        received = await receiver.receive_all(talk)
    if not received:
        return (), Judge.NOBODY
    async with conversation(job.effects, job.inspector, job.settings.idle_timeout) as talk:
        return await _inspect(job, talk, received)


async def _inspect(job: _Job, talk: Conversation, received: Sequence[Received]) -> tuple[tuple[Package, ...], Judge]:
    keys = job.keys or ()
    files = tuple(file.origin for file in received)
    await talk.send(InspectRequest(files, tuple(key.name for key in keys), job.keys is not None))
    for start in range(0, len(keys), DESCRIPTORS_AT_ONCE):
        with open_keys(keys[start : start + DESCRIPTORS_AT_ONCE]) as descriptors:
            await talk.send_descriptors(descriptors)
    found = [
        package
        for start in range(0, len(received), DESCRIPTORS_AT_ONCE)
        for package in await _inspected(talk, received[start : start + DESCRIPTORS_AT_ONCE], job)
    ]
    if not isinstance(await talk.receive(), DoneFrame):
        raise AgentError(Code.WORKER_FAILED, "the worker went on after it had inspected everything")
    judges = {judge for _, judge in found}
    packages = sorted((package for package, _ in found), key=lambda package: (package.nevra, package.sha256))
    return tuple(packages), judges.pop() if len(judges) == 1 else Judge.NOBODY


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
