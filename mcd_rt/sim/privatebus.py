"""A private system bus: a real ``dbus-daemon`` in a short temporary directory."""

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from mcd_rt.errors import AgentError, Code

_CONFIG = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={place}/bus</listen><auth>EXTERNAL</auth>
<servicedir>{place}/services</servicedir>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
<allow own="*"/></policy>
</busconfig>
"""

_SERVICE = """\
[D-BUS Service]
Name={name}
Exec=/bin/sh -c "echo {name} > {place}/wanted"
User=root
"""

_LONGEST = 24
"""Characters of a directory for temporary files below which the paths of sockets are short enough."""

_READY_TIMEOUT = 10.0
_STOP_TIMEOUT = 5.0


class PrivateBus:
    """The daemon; between ``start`` and ``stop``.

    ``place`` is a directory whose path is short enough for sockets (a ``sun_path`` has 108 bytes); it
    vanishes with the bus. ``activatable`` names are started as on a host: the first message to one
    calls ``on_wanted`` with it and waits until somebody owns the name.
    """

    def __init__(self, activatable: Sequence[str] = (), on_wanted: Callable[[str], None] = lambda _name: None) -> None:
        self.place = Path(tempfile.mkdtemp(prefix="mcd-rt-", dir=_short_directory()))
        self.address = ""
        self._activatable = activatable
        self._on_wanted = on_wanted
        self._process: asyncio.subprocess.Process | None = None
        self._wanted = -1

    async def start(self) -> None:
        """Start the daemon and wait until it listens; raises ``AgentError`` (``simulation-failed``)."""
        self._write_files()
        asyncio.get_running_loop().add_reader(self._wanted, self._activation)
        log = self.place / "bus.log"
        try:
            with log.open("wb") as words:
                self._process = await asyncio.create_subprocess_exec(
                    "dbus-daemon",
                    f"--config-file={self.place}/bus.conf",
                    "--nofork",
                    "--print-address=1",
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=words,
                )
        except FileNotFoundError as error:
            raise AgentError(
                Code.SIMULATION_FAILED, "dbus-daemon is not installed", "install the dbus-daemon package"
            ) from error
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(_READY_TIMEOUT):
                ready = await self._process.stdout.readline()
        except TimeoutError:
            ready = b""
        if not ready:
            said = log.read_text().strip()
            raise AgentError(Code.SIMULATION_FAILED, f"dbus-daemon did not start: {said}", "its own words say why")
        self.address = f"unix:path={self.place}/bus"

    async def stop(self) -> None:
        """Kill and reap the daemon and remove the directory; a second time does nothing."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):  # it died on its own; what matters is that it is reaped
                process.kill()
            async with asyncio.timeout(_STOP_TIMEOUT):
                await process.communicate()
        if self._wanted >= 0:
            asyncio.get_running_loop().remove_reader(self._wanted)
            os.close(self._wanted)
            self._wanted = -1
        shutil.rmtree(self.place, ignore_errors=True)  # a process of somebody else may still write there

    def _write_files(self) -> None:
        (self.place / "bus.conf").write_text(_CONFIG.format(place=self.place))
        (self.place / "services").mkdir()
        for name in self._activatable:
            (self.place / "services" / f"{name}.service").write_text(_SERVICE.format(name=name, place=self.place))
        os.mkfifo(self.place / "wanted")
        self._wanted = os.open(self.place / "wanted", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def _activation(self) -> None:
        for name in os.read(self._wanted, 4096).decode().split():
            self._on_wanted(name)


def _short_directory() -> str:
    """The usual place for temporary files, or /tmp where that one's name is too long."""
    usual = tempfile.gettempdir()
    return usual if len(usual) <= _LONGEST else "/tmp"  # noqa: S108 - mkdtemp makes a directory of its own there
