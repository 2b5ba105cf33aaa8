"""Programs of the host that a worker runs: bounded in time and output, and never outliving the worker.

Only workers use this: they are synchronous, single-threaded and have no effects to account for but the bytes
they send.
"""

import ctypes
import os
import selectors
import signal
import subprocess  # noqa: TID251 - a worker is the far side of Effects.spawn
from collections.abc import Callable, Mapping, Sequence
from typing import IO

from mcd_rt.errors import AgentError, Code
from mcd_rt.frozen import frozen

_PIECE = 64 * 1024
_LAST_WORDS = 8 * 1024
_TICK = 0.5
_SET_PDEATHSIG = 1  # prctl(2)


@frozen
class Ended:
    """How a program ended: exit status (negative: the signal), its output, the end of what it complained."""

    status: int
    output: bytes
    complaint: str


def run_program(
    argv: Sequence[str],
    environment: Mapping[str, str],
    *,
    patience: float,
    most: int,
    stdin: int = subprocess.DEVNULL,
    descriptors: Sequence[int] = (),
    alive: Callable[[], bool] = lambda: False,
) -> Ended:
    """Run a program to its end, with nothing on its standard input unless given; ``descriptors`` keep their numbers.

    ``patience`` is seconds without output, or anything else that ``alive`` (asked twice a second) takes for a
    sign of life; ``most`` is how many bytes of output are waited for. Raises ``AgentError``: ``worker-failed``
    where the program is not there, ``image-unreadable`` where it is silent or says too much.
    """
    process = start_program(argv, environment, stdin=stdin, descriptors=descriptors, piped=True)
    return hear_program(process, argv[0], patience=patience, most=most, alive=alive)


def hear_program(
    process: "subprocess.Popen[bytes]",
    name: str,
    *,
    patience: float,
    most: int,
    alive: Callable[[], bool] = lambda: False,
) -> Ended:
    """Listen to a program that was started ``piped`` until it has ended, however this does; see ``run_program``."""
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        with process.stdout as out, process.stderr as err:
            output, complaint = _Listener(name, patience, most, alive).listen(out, err)
        status = process.wait(patience)
    except subprocess.TimeoutExpired as error:
        raise _silent(name, patience) from error
    finally:
        end_program(process)
    return Ended(status, output, complaint.decode(errors="replace"))


def start_program(
    argv: Sequence[str],
    environment: Mapping[str, str],
    *,
    stdin: int,
    descriptors: Sequence[int] = (),
    piped: bool = False,
) -> "subprocess.Popen[bytes]":
    """Start a program that dies with this process; raises ``AgentError`` (``worker-failed``) if it is not there."""
    pipe = subprocess.PIPE if piped else None
    try:
        return subprocess.Popen(  # noqa: S603 - argv is ours, without a shell
            argv,
            stdin=stdin,
            stdout=pipe,
            stderr=pipe,
            env=dict(environment),
            pass_fds=descriptors,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - a worker has no threads
        )
    except OSError as error:
        raise AgentError(
            Code.WORKER_FAILED,
            f"cannot run {argv[0]}: {error.strerror or error}",
            f"install {argv[0]} on the host",
        ) from error


def end_program(process: "subprocess.Popen[bytes]") -> None:
    """Make sure that a program is gone and reaped, and its pipes closed."""
    if process.poll() is None:
        process.kill()
    process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_SET_PDEATHSIG, signal.SIGKILL)


class _Listener:
    """Gathers what a program says on both its outputs, within limits."""

    def __init__(self, program: str, patience: float, most: int, alive: Callable[[], bool]) -> None:
        self._program = program
        self._patience = patience
        self._most = most
        self._alive = alive
        self._output = bytearray()
        self._complaint = bytearray()

    def listen(self, out: IO[bytes], err: IO[bytes]) -> tuple[bytes, bytes]:
        with selectors.DefaultSelector() as waiting:
            waiting.register(out, selectors.EVENT_READ, self._output)
            waiting.register(err, selectors.EVENT_READ, self._complaint)
            silence = 0.0
            while waiting.get_map():
                ready = waiting.select(_TICK)
                silence = 0.0 if ready or self._alive() else silence + _TICK
                if silence >= self._patience:
                    raise _silent(self._program, self._patience)
                for key, _ in ready:
                    if not self._take(key.fd, key.data):
                        waiting.unregister(key.fileobj)
        return bytes(self._output), bytes(self._complaint)

    def _take(self, descriptor: int, into: bytearray) -> bool:
        data = os.read(descriptor, _PIECE)
        into += data
        if len(self._output) > self._most:
            what = f"{self._program} says more than {self._most} bytes"
            raise AgentError(Code.IMAGE_TOO_LARGE, what, "this is not an image of an operating system")
        del self._complaint[:-_LAST_WORDS]
        return bool(data)


def _silent(program: str, patience: float) -> AgentError:
    return AgentError(
        Code.IMAGE_UNREADABLE,
        f"{program} said nothing for {patience:g} s",
        "look at the registry, the network and the disk; it is tried again",
    )
