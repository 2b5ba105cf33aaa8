"""The agent as the node's service: started at boot, again when it crashes, stopped at shutdown."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_STOP_TIMEOUT = 5.0
_MAX_RESTARTS = 5
"""As systemd's start limit: a boot in which it crashes more often than this is left without it."""


@dataclass(frozen=True, slots=True)
class AgentStarted:
    """The agent's process runs."""

    pid: int


@dataclass(frozen=True, slots=True)
class AgentExited:
    """It ended: its exit status, negative for a signal; ``asked`` if the node stopped it."""

    code: int
    asked: bool


@dataclass(frozen=True, slots=True)
class AgentSaid:
    """It told its service manager what it does: the ``STATUS=`` of sd_notify(3)."""

    text: str


class AgentService:
    """One command, supervised; its output is appended to ``log``, its notifications are events."""

    def __init__(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        on_event: Callable[[AgentStarted | AgentExited | AgentSaid], None],
    ) -> None:
        self._argv = argv
        self._environment = {**environment, "NOTIFY_SOCKET": str(log.with_name("notify.sock"))}
        self._notifications: socket.socket | None = None
        self._log = log
        self._on_event = on_event
        self._process: asyncio.subprocess.Process | None = None
        self._watching: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    async def start(self) -> None:
        """Start it, and again when it crashes; raises ``OSError`` where the command cannot be run."""
        self._stopping.clear()
        self._listen()
        await self._spawn()
        self._watching = asyncio.get_running_loop().create_task(self._watch())

    async def stop(self, *, orderly: bool = True) -> None:
        """SIGTERM, after a while SIGKILL (or at once, as a power cut does), and reap it."""
        self._stopping.set()
        process, watching = self._process, self._watching
        if process is None or watching is None:
            self._stop_listening()
            return
        with contextlib.suppress(ProcessLookupError):  # it is on its way out already
            if orderly:
                process.terminate()
            else:
                process.kill()
        try:
            async with asyncio.timeout(_STOP_TIMEOUT):
                await asyncio.shield(watching)
        except TimeoutError:
            process.kill()
            await watching
        self._process = self._watching = None
        self._stop_listening()

    def _listen(self) -> None:
        path = Path(self._environment["NOTIFY_SOCKET"])
        path.unlink(missing_ok=True)
        self._notifications = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._notifications.settimeout(0)
        self._notifications.bind(str(path))
        asyncio.get_running_loop().add_reader(self._notifications, self._hear)

    def _hear(self) -> None:
        assert self._notifications is not None
        with contextlib.suppress(BlockingIOError):
            while True:
                for line in self._notifications.recv(65536).decode("utf-8", "replace").splitlines():
                    if line.startswith("STATUS="):
                        self._on_event(AgentSaid(line.removeprefix("STATUS=")))

    def _stop_listening(self) -> None:
        if self._notifications is not None:
            self._hear()
            asyncio.get_running_loop().remove_reader(self._notifications)
            self._notifications.close()
            self._notifications = None

    async def _spawn(self) -> None:
        descriptor = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                env=self._environment,
            )
        finally:
            os.close(descriptor)
        self._on_event(AgentStarted(self._process.pid))

    async def _watch(self) -> None:
        for restarts in range(_MAX_RESTARTS + 1):
            assert self._process is not None
            code = await self._process.wait()
            self._on_event(AgentExited(code, self._stopping.is_set()))
            if self._stopping.is_set() or code == 0 or restarts == _MAX_RESTARTS:
                return
            await self._spawn()
            if self._stopping.is_set():
                self._process.kill()  # stopped while it was being started
