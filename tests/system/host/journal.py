"""The host's journal as it is written, across its boots: how the tests wait for what an operator would read."""

import json
import os
import select
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.system.host.groups import in_groups
from tests.system.patience import PATIENCE

AGENT = "mcd-rt.service"


@dataclass(frozen=True, slots=True)
class Line:
    """One entry: the unit it is about, its text, which boot it is from."""

    unit: str
    text: str
    boot: str


class Journal:
    """Follows ``directory``; the follower is put in the control groups, so that it ends with the host."""

    def __init__(self, directory: Path, groups: tuple[Path, ...]) -> None:
        self._directory = directory
        self._groups = groups
        self._follower: subprocess.Popen[bytes] | None = None
        self._rest = b""
        self._cursor = ""
        self._read: list[Line] = []
        self._next = 0

    def follow(self) -> None:
        """Begin, or go on, in the boot that now runs: a follower sees one boot and nothing of the next."""
        self.close()
        follow = ["journalctl", f"--directory={self._directory}", "--follow", "--no-tail", "-o", "json", "--all"]
        if self._cursor:
            follow.append(f"--after-cursor={self._cursor}")
        self._follower = subprocess.Popen(
            in_groups(self._groups, follow),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    @property
    def lines(self) -> list[Line]:
        """All that has been read so far."""
        return self._read

    def wait_for(self, contains: str, unit: str = AGENT, timeout: float = PATIENCE) -> Line:
        """The next line of a unit with this text; what came before it is not looked at again."""
        return self.wait(lambda line: line.unit == unit and contains in line.text, f"{unit}: {contains}", timeout)

    def wait(self, wanted: Callable[[Line], bool], name: str, timeout: float = PATIENCE) -> Line:
        """The next line that is wanted."""
        deadline = time.monotonic() + timeout
        while True:
            while self._next < len(self._read):
                line = self._read[self._next]
                self._next += 1
                if wanted(line):
                    return line
            if not self._more(deadline - time.monotonic()):
                raise AssertionError(f"waited {timeout:g} s for {name!r}; {self.last_said()}")

    def last_said(self) -> str:
        """What an answer to "why did it not come?" begins with: the agent's last words, then everybody's."""
        while self._more(0):
            pass
        ours = [line.text for line in self._read if line.unit == AGENT]
        everybody = [f"\n    {line.unit}: {line.text[:300]}" for line in self._read[-10:]]
        return f"the agent said last: {ours[-1] if ours else 'nothing'!r}\nlast in the journal:{''.join(everybody)}"

    def close(self) -> None:
        """Stop following."""
        if self._follower is not None:
            self._follower.kill()
            self._follower.communicate()
            self._rest = b""

    def _more(self, timeout: float) -> bool:
        assert self._follower is not None
        assert self._follower.stdout is not None
        descriptor = self._follower.stdout.fileno()
        ready, _, _ = select.select([descriptor], [], [], max(0.0, timeout))
        if not ready:
            return False
        data = os.read(descriptor, 1 << 16)
        if not data and timeout > 0:
            raise AssertionError(f"journalctl has ended with {self._follower.wait()}")
        *lines, self._rest = (self._rest + data).split(b"\n")
        for entry in map(json.loads, lines):
            self._cursor = entry["__CURSOR"]
            self._read.append(_line(entry))
        return bool(data)


def _line(entry: dict[str, object]) -> Line:
    unit = entry.get("UNIT") or entry.get("_SYSTEMD_UNIT") or entry.get("SYSLOG_IDENTIFIER") or ""
    return Line(str(unit), str(entry.get("MESSAGE")), str(entry.get("_BOOT_ID")))
