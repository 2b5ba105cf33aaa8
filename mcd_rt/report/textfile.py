"""A file for node_exporter's textfile collector: always whole, written after changes, at most once a second."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from mcd_rt.effects import Effects, write_durably
from mcd_rt.errors import AgentError, Failure

LOG = logging.getLogger("mcd_rt")

_MODE = 0o644


class TextFile:
    """Keeps a file up to date; ``failure`` is why the last attempt did not work."""

    def __init__(self, effects: Effects, path: Path, render: Callable[[], bytes], interval: float = 1.0) -> None:
        """``render`` makes the content, ``interval`` is how many seconds are between two writes at least."""
        self.path = path
        self.failure: Failure | None = None
        self._effects = effects
        self._render = render
        self._interval = interval
        self._next = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def write_soon(self) -> None:
        """Write once what is going on now is over; there is a timer only while something is to be written."""
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(max(loop.time(), self._next), self._write)

    def close(self) -> None:
        """Write a last time; the file stays."""
        self._cancel()
        self._write()

    def remove(self) -> None:
        """Write no more and take the file away, which would tell of a past that nobody corrects."""
        self._cancel()
        with suppress(OSError):  # it may never have been written, for the same reason
            self._effects.remove(self.path)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _write(self) -> None:
        self._timer = None
        self._next = asyncio.get_running_loop().time() + self._interval
        try:
            write_durably(self._effects, self.path, self._render(), _MODE)
        except AgentError as error:
            if self.failure is None:  # said once, not with every change
                LOG.error("%s", error.failure)
            self.failure = error.failure
        else:
            self.failure = None
