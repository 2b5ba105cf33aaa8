"""The one seam to the world: everything that changes something outside the process, the clock, and chance.

Rooms above take ``Effects`` as a parameter, so that a test can stop, fail or kill the agent before and
after each of them; ruff's banned-api keeps the calls behind them out of every other file. Each method
is one effect: what is durable only after an ``fsync`` is not hidden inside a larger step.
"""

import asyncio
import contextlib
import ctypes
import os
import random
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from mcd_rt.errors import AgentError, Code
from mcd_rt.frozen import frozen

T = TypeVar("T")


@frozen
class Child:
    """A child process and the stream socket that is its standard input and output."""

    process: asyncio.subprocess.Process
    socket: socket.socket


class Effects(Protocol):
    """What the agent may do to the world. ``OSError`` is raised as the system raises it."""

    def create(self, path: Path, mode: int) -> int:
        """Create a new file (an old one of the name is an error) and return its descriptor."""

    def write(self, descriptor: int, data: bytes) -> None:
        """Write all of ``data``."""

    def fsync(self, descriptor: int) -> None:
        """Make what was written durable."""

    def rename(self, source: Path, target: Path) -> None:
        """Put ``source`` in the place of ``target``, atomically."""

    def fsync_directory(self, path: Path) -> None:
        """Make names created, renamed or removed in a directory durable."""

    def remove(self, path: Path) -> None:
        """Remove a file; one that is not there is fine."""

    def make_directory(self, path: Path, mode: int) -> None:
        """Create a directory and its parents; one that is there is fine."""

    def remove_directory(self, path: Path) -> None:
        """Remove an empty directory."""

    async def spawn(self, argv: Sequence[str], environment: dict[str, str], *, with_errors: bool = False) -> Child:
        """Start a child with a stream socket as its standard input and output, and as its standard error if asked."""

    async def mutate(self, label: str, call: Callable[[], Awaitable[T]]) -> T:
        """Make one call that changes something on the bus; ``label`` names it for logs and tests."""

    def now(self) -> float:
        """Wall clock, seconds since the epoch."""

    def monotonic(self) -> float:
        """Seconds on a clock that never jumps."""

    def chance(self) -> float:
        """A random number in [0, 1)."""

    def sync_filesystem(self, path: Path) -> None:
        """Make everything written so far to the filesystem of a directory durable: for many small files at once.

        Linux before 5.8 does not say here that writing back failed (``syncfs(2)``).
        """

    def keep_to_cpus(self, cpus: frozenset[int]) -> None:
        """Let this thread, and what it starts from now on, run on these CPUs alone."""


class HostEffects:
    """``Effects`` on the real host."""

    def create(self, path: Path, mode: int) -> int:
        """See ``Effects``."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)

    def write(self, descriptor: int, data: bytes) -> None:
        """See ``Effects``."""
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]

    def fsync(self, descriptor: int) -> None:
        """See ``Effects``."""
        os.fsync(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """See ``Effects``."""
        os.rename(source, target)

    def fsync_directory(self, path: Path) -> None:
        """See ``Effects``."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def remove(self, path: Path) -> None:
        """See ``Effects``."""
        path.unlink(missing_ok=True)

    def make_directory(self, path: Path, mode: int) -> None:
        """See ``Effects``."""
        path.mkdir(mode=mode, parents=True, exist_ok=True)

    def remove_directory(self, path: Path) -> None:
        """See ``Effects``."""
        path.rmdir()

    async def spawn(self, argv: Sequence[str], environment: dict[str, str], *, with_errors: bool = False) -> Child:
        """See ``Effects``."""
        ours, theirs = socket.socketpair()
        with theirs:
            end = theirs.fileno()
            errors = end if with_errors else None
            try:
                process = await asyncio.create_subprocess_exec(
                    *argv, stdin=end, stdout=end, stderr=errors, env=environment
                )
            except BaseException:  # cancelled too: nobody would close it
                ours.close()
                raise
        return Child(process, ours)

    async def mutate(self, label: str, call: Callable[[], Awaitable[T]]) -> T:
        """See ``Effects``; ``label`` concerns only logs and tests."""
        del label
        return await call()

    def now(self) -> float:
        """See ``Effects``."""
        return time.time()

    def monotonic(self) -> float:
        """See ``Effects``."""
        return time.monotonic()

    def chance(self) -> float:
        """See ``Effects``."""
        return random.random()  # noqa: S311 - jitter, not a secret

    def sync_filesystem(self, path: Path) -> None:
        """See ``Effects``."""
        library = ctypes.CDLL(None, use_errno=True)
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if library.syncfs(descriptor):
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number), str(path))
        finally:
            os.close(descriptor)

    def keep_to_cpus(self, cpus: frozenset[int]) -> None:
        """See ``Effects``."""
        os.sched_setaffinity(0, cpus)


def unfinished(path: Path) -> Path:
    """Where ``write_durably`` writes a file before it is put into its place; a death in between leaves it."""
    return path.with_name(f".{path.name}.new")


def write_durably(effects: Effects, path: Path, data: bytes, mode: int = 0o644) -> None:
    """Replace a file so that a reader, or a boot after a power cut, finds the old or the new one whole.

    Raises ``AgentError`` (``write-failed``) that names the file; nothing temporary stays behind.
    """
    temporary = unfinished(path)
    try:
        effects.make_directory(path.parent, 0o755)
        effects.remove(temporary)
        descriptor = effects.create(temporary, mode)
        try:
            effects.write(descriptor, data)
            effects.fsync(descriptor)
        finally:
            os.close(descriptor)
        effects.rename(temporary, path)
        effects.fsync_directory(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):  # the first failure is the one to report
            effects.remove(temporary)
        raise AgentError(
            Code.WRITE_FAILED,
            f"cannot write {path}: {error.strerror or error}",
            "make room or make the place writable; nothing was changed",
        ) from error
