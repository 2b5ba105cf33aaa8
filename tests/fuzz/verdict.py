"""What a target may do with an input: end normally or with a documented error, soon, in little memory, leaving nothing.

A target is a function ``(data: bytes) -> None``; whatever it raises, and whatever it leaves open, is a violation.
"""

import contextlib
import gc
import hashlib
import os
import resource
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from mcd_rt.errors import AgentError

Target = Callable[[bytes], None]

_LONGEST_MESSAGE = 64 * 1024


class Violation(AssertionError):
    """An input did what no input may do."""


class _TooSlow(BaseException):
    """Not an ``Exception``: nobody's handler may take it for something of its own."""


@dataclass(frozen=True, slots=True)
class Limits:
    """For one input: ``seconds``, and ``memory`` in bytes by which the process may grow.

    ``interrupt``: end an input that takes too long; not where a fuzzer has that alarm itself.
    """

    seconds: float = 5.0
    memory: int = 512 << 20
    interrupt: bool = True


@contextmanager
def documented(prefixes: tuple[str, ...], *others: type[Exception]) -> Iterator[None]:
    """Take an ``AgentError`` with a code that begins like one of ``prefixes``, and ``others``, for an answer.

    Its words must be such that a log, a terminal and a status file can have them.
    """
    try:
        yield
    except AgentError as error:
        failure = error.failure
        if not failure.code.startswith(prefixes):
            raise
        sentence = str(failure).encode()
        assert len(sentence) <= _LONGEST_MESSAGE, f"a message of {len(sentence)} bytes: {sentence[:200]!r}"
    except others:
        pass


def attempt(name: str, target: Target, data: bytes, limits: Limits) -> None:
    """Try one input; raises ``Violation``, which names the file the input was kept in."""
    open_before, peak_before, begun = _open_files(), _peak(), time.monotonic()
    try:
        with _alarm(limits):
            target(data)
    except (Exception, _TooSlow) as error:
        raise _kept(name, data, f"{type(error).__name__}: {error}") from error
    except BaseException as error:  # a panic of native code is no Exception
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        raise _kept(name, data, f"{type(error).__name__}: {error}") from error
    if (taken := time.monotonic() - begun) > limits.seconds:
        raise _kept(name, data, f"it took {taken:.1f} s")
    if (grown := _peak() - peak_before) > limits.memory:
        raise _kept(name, data, f"memory grew by {grown >> 20} MiB")
    if _open_files() > open_before:
        gc.collect()
        if (left := _open_files() - open_before) > 0:
            raise _kept(name, data, f"{left} descriptors were left open")


def _kept(name: str, data: bytes, what: str) -> Violation:
    place = Path(tempfile.gettempdir()) / "mcd-rt-fuzz"
    place.mkdir(exist_ok=True)
    file = place / f"{name}-{hashlib.sha256(data).hexdigest()[:16]}"
    file.write_bytes(data)
    return Violation(f"{name}: {what}; the input is kept: python -m tests.fuzz --input {file} {name}")


@contextmanager
def _alarm(limits: Limits) -> Iterator[None]:
    if not limits.interrupt:
        yield
        return

    def strike(_number: int, _frame: FrameType | None) -> None:
        raise _TooSlow(f"it took more than {limits.seconds:g} s")

    before = signal.signal(signal.SIGALRM, strike)
    signal.setitimer(signal.ITIMER_REAL, limits.seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def little_memory(room: int) -> Iterator[None]:
    """Let the process have only so many bytes of addresses more than it has: then a bomb is a ``MemoryError``."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    wanted = pages * resource.getpagesize() + room
    with contextlib.suppress(ValueError):  # it is limited to less already
        resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - asked twice for every input: it must be fast


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
