"""What a worker is asked about an image: which worker it is, the request, the pull secret it is lent, the deadline."""

import asyncio
import logging
import os
import stat
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from mcd_rt.content.conversation import Command, Conversation, Listening, Worker
from mcd_rt.content.frames import MAX_FILES, AboutImage, Extent, FetchRequest, ImageFrame
from mcd_rt.content.requests import EMPTY_SECRETS
from mcd_rt.errors import AgentError, Code
from mcd_rt.frozen import frozen
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.content import Content, Reading
from mcd_rt.model.image import ImageReference
from mcd_rt.model.settings import ContentSettings

WORKER_ARGV = (sys.executable, "-m", "mcd_rt", "worker")

_SERVICE_VARIABLES = ("DBUS_", "LISTEN_", "NOTIFY_SOCKET", "WATCHDOG_")
_SECRETS = ("CREDENTIALS_DIRECTORY",)
_SOCKETS = {"fetch": "/run/mcd-rt-fetch.sock", "inspect": "/run/mcd-rt-inspect.sock"}
_NO_SECRET = 8  # bytes: a file with credentials has more
_PATIENCE = 0.75  # of the idle timeout: a worker says what it waits for before it is taken for dead

_log = logging.getLogger(__name__)

T = TypeVar("T")


@frozen
class Question:
    """What is asked of an image: the packages with these ``names``, for an architecture as ``uname -m`` spells it.

    ``scratch`` is a directory where the worker may put a copy of the image.
    """

    image: ImageReference
    names: tuple[str, ...]
    architecture: str
    extent: Extent
    scratch: str


def worker_for(job: str, settings: ContentSettings, host: HostPaths, argv: Sequence[str]) -> Worker:
    """Who does a job (``fetch`` or ``inspect``): the unit behind its socket, or a child started by ``argv``."""
    path = host.below(_SOCKETS[job])
    if settings.worker == "socket" or (settings.worker == "auto" and path.is_socket()):
        return Listening(path)
    return Command(tuple(argv), child_environment(secrets=job == "fetch"))


def child_environment(*, secrets: bool) -> dict[str, str]:
    """Of the agent's own what does not connect it to its services; credentials only for who needs them."""
    hidden = _SERVICE_VARIABLES if secrets else _SERVICE_VARIABLES + _SECRETS
    return {key: value for key, value in os.environ.items() if not key.startswith(hidden)}


def request_for(question: Question, settings: ContentSettings, host: HostPaths) -> FetchRequest:
    """The request, with the limits of the settings and the places of the host."""
    authfiles = (file if file.startswith("$") else str(host.below(file)) for file in settings.authfile)
    return FetchRequest(
        str(question.image),
        question.names,
        question.architecture,
        min(settings.max_packages, MAX_FILES) if question.extent is not Extent.IDENTITY else 0,
        settings.max_package_bytes,
        settings.max_layers,
        str(host.root),
        tuple(authfiles),
        question.scratch,
        max(1, int(settings.idle_timeout * _PATIENCE * 1000)),
        extent=question.extent,
    )


def secrets_for(worker: Worker, image: ImageReference, request: AboutImage) -> tuple[Path, ...]:
    """Where a pull secret may be, for a unit whose user may read none of them; a child has to find its own.

    Needed where the service manager cannot lend it (``LoadCredential``, systemd 247) or the file is another one.
    """
    if not isinstance(worker, Listening) or image.layout:
        return ()
    own = os.environ.get("CREDENTIALS_DIRECTORY", "/nonexistent")
    return tuple(Path(file.replace("${CREDENTIALS_DIRECTORY}", own)) for file in request.authfiles)


def nobody_asks(_reading: Reading) -> None:
    """Nobody wants to know how an image is read."""


def tell_reading(image: ImageReference, said: ImageFrame, on_reading: Callable[[Reading], None]) -> None:
    """Tell the log and who asked how an image is read, which is known before anything of it has come."""
    _log.info("%s is read by way of %s (%s)", image, said.way, said.why)
    on_reading(Reading(said.way, said.why))


def tell_packages(image: ImageReference, content: Content) -> None:
    """Tell the log what was found in an image, and who judged it."""
    _log.info("%s has %d of these packages; signatures judged by %s", image, len(content.packages), content.trusted_by)


async def ask(talk: Conversation, request: AboutImage, secrets: Sequence[Path]) -> None:
    """Send the request, and the descriptor of the first secret that can be opened: what is in it the agent never reads.

    None is lent where none can be: the worker may have one all the same, and what needs it says so. Raises
    ``AgentError`` as ``Conversation.send``.
    """
    with _opened(secrets) as descriptors:
        await talk.send(replace(request, lent=bool(descriptors)))
        if descriptors:
            await talk.send_descriptors(descriptors)


@contextmanager
def _opened(secrets: Sequence[Path]) -> Iterator[list[int]]:
    descriptor = next((found for found in map(_open, secrets) if found >= 0), -1)
    try:
        yield [descriptor] if descriptor >= 0 else []
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _open(secret: Path) -> int:
    """A descriptor; -1 where this user may not read it, or nothing is in it: both are usual."""
    try:
        descriptor = os.open(secret, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return -1
    found = os.fstat(descriptor)
    if stat.S_ISREG(found.st_mode) and not (found.st_size <= _NO_SECRET and _is_empty(descriptor)):
        return descriptor
    os.close(descriptor)
    return -1


def _is_empty(descriptor: int) -> bool:
    """Of so few bytes none is a secret."""
    try:
        return os.pread(descriptor, _NO_SECRET, 0).strip() in EMPTY_SECRETS
    except OSError:
        return True


async def within(seconds: float, fetching: Coroutine[None, None, T]) -> T:
    """Its result; raises ``AgentError`` (``worker-timeout``) where it takes longer."""
    try:
        async with asyncio.timeout(seconds):
            return await fetching
    except TimeoutError as error:
        raise AgentError(
            Code.WORKER_TIMEOUT,
            f"the worker was not done after {seconds:g} s",
            "[content] fetch_timeout says how long it may take",
        ) from error
