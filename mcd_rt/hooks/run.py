"""One hook, from its start to the end of everything it started; bounded in time and in what is heard of it."""

import os
import selectors
import signal
import subprocess  # noqa: TID251 - the runner is the far side of Effects
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from mcd_rt.content.fields import printable
from mcd_rt.errors import AgentError, Code
from mcd_rt.frozen import frozen
from mcd_rt.hooks.descendants import die_with_parent, end_descendants, signal_group

MOST_SHOWN = 64 * 1024
LONGEST_LINE = 1024

_PIECE = 64 * 1024
_TICK = 0.1


@frozen
class Bounds:
    """``timeout`` seconds for the hook, ``grace`` more once it was asked to end; ``silent`` is closed by the agent.

    ``silent`` is a descriptor that becomes readable when nobody waits for the hook any more.
    """

    timeout: float
    grace: float
    silent: int


@frozen
class Ended:
    """How it ended: exit status (negative: the signal), whether it was given up and why, its last line."""

    status: int
    given_up: str
    last_line: str


def run_hook(
    hook: Path,
    environment: Mapping[str, str],
    bounds: Bounds,
    now: Callable[[], float],
    say: Callable[[str], None],
) -> Ended:
    """Run it with nothing on its standard input; ``say`` is given its lines, ``now`` are seconds that never jump.

    It has a session of its own. Past ``bounds`` that whole group is asked to end, then killed; whatever else it has
    left is killed with it. Raises ``AgentError`` (``hook-failed``) where it cannot be started.
    """
    process = _started(hook, environment)
    assert process.stdout is not None
    heard = _Heard(say)
    try:
        given_up = _Watch(process, process.stdout, bounds, now, heard).to_its_end()
    finally:
        if process.poll() is None:  # else its number may be another's by now
            signal_group(process.pid, signal.SIGKILL)
            process.wait()
        end_descendants()
        process.stdout.close()
    heard.finish()
    return Ended(process.returncode, given_up, heard.last_line)


def _started(hook: Path, environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    try:
        return subprocess.Popen(  # noqa: S603 - a file that was judged, without a shell
            [hook],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            cwd="/",
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - the runner has no threads
        )
    except OSError as error:
        why = error.strerror or str(error)
        hint = "is the interpreter of its first line there? Run it by hand"
        raise AgentError(Code.HOOK_FAILED, f"{hook} cannot be started: {why}", hint) from error


class _Watch:
    """Waits for the hook itself to end: not for the end of its output, which a child it left behind may hold open."""

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        output: IO[bytes],
        bounds: Bounds,
        now: Callable[[], float],
        heard: "_Heard",
    ) -> None:
        self._process = process
        self._output = output
        self._bounds = bounds
        self._now = now
        self._heard = heard
        self._waiting = selectors.DefaultSelector()

    def to_its_end(self) -> str:
        """Why it was given up; empty where it ended by itself."""
        os.set_blocking(self._output.fileno(), False)
        with self._waiting:
            self._waiting.register(self._output, selectors.EVENT_READ)
            self._waiting.register(self._bounds.silent, selectors.EVENT_READ)
            why = self._listen(self._now() + self._bounds.timeout)
            if why:
                self._waiting.unregister(self._bounds.silent)
                signal_group(self._process.pid, signal.SIGTERM)
                self._listen(self._now() + self._bounds.grace)
        return why

    def _listen(self, deadline: float) -> str:
        while self._process.poll() is None:
            left = deadline - self._now()
            if left <= 0:
                return f"it is not done after {self._bounds.timeout:g} s"
            ready = {key.fd for key, _ in self._waiting.select(min(_TICK, left))}
            if self._output.fileno() in ready and not self._take():
                self._waiting.unregister(self._output)
            if self._bounds.silent in ready:
                return "nobody waits for it any more"
        while self._take():  # what it said last is in the pipe
            pass
        return ""

    def _take(self) -> bool:
        try:
            data = os.read(self._output.fileno(), _PIECE)
        except BlockingIOError:
            return False
        self._heard.take(data)
        return bool(data)


class _Heard:
    """Output as lines, of which only so much is passed on; the last one is kept."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._rest = b""
        self._shown = 0
        self.last_line = ""

    def take(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._hear(line)
        if len(self._rest) >= LONGEST_LINE:
            self._hear(self._rest)
            self._rest = b""

    def finish(self) -> None:
        self._hear(self._rest)

    def _hear(self, line: bytes) -> None:
        text = printable(line[:LONGEST_LINE].decode(errors="replace").rstrip(), LONGEST_LINE)
        if not text:
            return
        self.last_line = text
        before, self._shown = self._shown, self._shown + len(text)
        if self._shown <= MOST_SHOWN:
            self._say(text)
        elif before <= MOST_SHOWN:
            self._say(f"(it says more than {MOST_SHOWN} bytes: the rest is not shown)")
