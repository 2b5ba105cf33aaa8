"""The service manager's watchdog: a sign of life while there is work to get stuck in, and no wake-up without it."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager

from mcd_rt.report.notify import notify

_USEC = 1_000_000


class Watchdog:
    """Pings by the loop's own timer, so that a loop that hangs is noticed; does nothing where none is asked for."""

    def __init__(self) -> None:
        """Take how often systemd wants to hear of us (``WatchdogSec=``) from the environment."""
        self._usec = _asked_for()
        self._timer: asyncio.TimerHandle | None = None

    @contextmanager
    def armed(self) -> Iterator[None]:
        """While the body runs, the service is killed if its loop stands still for that long.

        Off is 0: sd_notify(3) does not say so, but systemd takes it as in a unit that has no ``WatchdogSec=``
        (``service_start_watchdog`` in its service.c), and a start of the service forgets it.
        """
        if not self._usec:
            yield
            return
        notify(f"WATCHDOG_USEC={self._usec}")
        self._ping()
        try:
            yield
        finally:
            if self._timer is not None:
                self._timer.cancel()
            notify("WATCHDOG_USEC=0")

    def _ping(self) -> None:
        notify("WATCHDOG=1")
        self._timer = asyncio.get_running_loop().call_later(self._usec / _USEC / 2, self._ping)


def _asked_for() -> int:
    """Microseconds; 0 where nobody listens, or it is another process that is to be watched (sd_watchdog_enabled(3))."""
    usec = os.environ.get("WATCHDOG_USEC", "")
    meant = os.environ.get("WATCHDOG_PID") or str(os.getpid())
    if not os.environ.get("NOTIFY_SOCKET") or meant != str(os.getpid()) or not usec.isdecimal():
        return 0
    return int(usec)
