"""The worker, forked from this warmed interpreter: its real code, without the time that Python takes to start."""

import asyncio
import os
import signal
import socket
from pathlib import Path

import mcd_rt.content.delivery  # what a worker imports when it has read its request: warm here
import mcd_rt.content.inspection
import mcd_rt.content.layout
import mcd_rt.content.osdelivery
import mcd_rt.content.sending  # noqa: F401 - as those above
from mcd_rt.content.worker import serve_standard_input
from mcd_rt.effects import Child


class Forked:
    """As much of ``asyncio.subprocess.Process`` as the agent uses of its children."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    async def wait(self) -> int:
        """Wait until it has ended, and reap it."""
        if self.returncode is None:
            await self._ended()
        if self.returncode is None:
            self.returncode = self._reap()
        return self.returncode

    def _reap(self) -> int:
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)

    async def _ended(self) -> None:
        ended = asyncio.Event()
        watched = os.pidfd_open(self.pid)
        loop = asyncio.get_running_loop()
        loop.add_reader(watched, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(watched)
            os.close(watched)


def fork_worker() -> Child:
    """Start one; its standard input and output are the socket that comes back."""
    ours, theirs = socket.socketpair()
    with theirs:
        pid = os.fork()
        if pid == 0:
            _work(theirs.fileno())
    return Child(Forked(pid), ours)


class Told:
    """A child that has said what it had to say, and ends when it is waited for."""

    pid = 0
    returncode: int | None = 0

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def kill(self) -> None: ...

    async def wait(self) -> int:
        """It ends: until then it may be talked to."""
        self._end.close()
        return 0


def tell_packages(command: Path, checksum: str) -> Child:
    """What the node's ``rpm-ostree db list`` says, without a shell: the file it would print."""
    child = tell((command.parents[1] / "lib/simulated-package-lists" / checksum).read_bytes())
    child.process._end.close()  # its output has an end
    return child


def tell(said: bytes) -> Child:
    """A child that says this, whatever it is told."""
    ours, theirs = socket.socketpair()
    theirs.sendall(said)
    return Child(Told(theirs), ours)


def _work(connection: int) -> None:
    status = 1
    try:
        for descriptor in (0, 1):
            os.dup2(connection, descriptor)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        status = serve_standard_input()
    finally:
        os._exit(status)  # nothing of the parent's may be flushed or ended twice
