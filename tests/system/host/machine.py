"""A test host: systemd as the first process of a container that boots real ostree deployments.

Everything of it is in one directory and in control groups of its own, which ``keeper.py`` removes when the block
``machine`` is left, and when this process is killed.
"""

import os
import re
import select
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.system.host.groups import in_groups, kept, version_of
from tests.system.host.sysroot import Entry, Sysroot
from tests.system.patience import PATIENCE

REBOOT = 133
"""How systemd-nspawn says that the container wants to be booted again."""

_REBOOTS_ON_THE_WAY = 3


class StillOn(AssertionError):
    """It was waited for in vain that a host goes down."""


@dataclass
class Machine:
    """The hardware, the boot loader and the power switch; use ``machine``."""

    name: str
    place: Path
    layer: Path
    groups: tuple[Path, ...]
    options: list[str] = field(default_factory=list)
    usr: Path | None = None
    boots: int = 0
    leader: int = 0
    _nspawn: subprocess.Popen[bytes] | None = None

    @property
    def sysroot(self) -> Sysroot:
        return Sysroot(self.place / "sysroot")

    @property
    def etc(self) -> Path:
        """/etc of the deployment that runs, or would run next."""
        return self.sysroot.default_entry().deployment / "etc"

    @property
    def booted(self) -> bool:
        return self._nspawn is not None

    def boot(self) -> None:
        """Boot what the boot loader would boot; returns when a target is reached, after reboots on the way to it."""
        for _ in range(_REBOOTS_ON_THE_WAY + 1):
            if self._comes_up():
                return
            status = self.wait_off()
            assert status == REBOOT, f"it ended with {status} while it booted; {_last_line(self.console)}"
        raise AssertionError(f"{self.boots} boots, and no target was reached; {_last_line(self.console)}")

    def _comes_up(self) -> bool:
        assert self._nspawn is None, "it is on"
        entry = self.sysroot.default_entry()
        self._write_kernel(entry)
        self.boots += 1
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
            address = self.place / "notify"
            address.unlink(missing_ok=True)
            notified.bind(str(address))
            with self.console.open("wb") as console:
                self._nspawn = subprocess.Popen(
                    self._command(entry),
                    stdin=subprocess.DEVNULL,
                    stdout=console,
                    stderr=subprocess.STDOUT,
                    env=os.environ
                    | {"NOTIFY_SOCKET": str(address), "SYSTEMD_NSPAWN_LOCK": "0"}
                    | version_of(self.groups),
                    start_new_session=True,
                )
            return self._is_ready(notified)

    @property
    def console(self) -> Path:
        return self.place / f"console-{self.boots}"

    def run(self, *command: str, check: bool = True, timeout: float = PATIENCE) -> str:
        """What a command says that root gives on the host; raises where it fails."""
        done = self.attempt(*command, timeout=timeout)
        assert not check or done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def attempt(self, *command: str, timeout: float = PATIENCE) -> subprocess.CompletedProcess[str]:
        """The same, whatever comes of it."""
        return subprocess.run(
            self.inside(*command),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            stdin=subprocess.DEVNULL,
            env={"PATH": "/usr/sbin:/usr/bin", "LC_ALL": "C", "SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": "cat"},
        )

    def inside(self, *command: str) -> list[str]:
        """The command as it is to be given on this machine."""
        spaces = ("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup")
        return ["nsenter", "--target", str(self.leader), *spaces, "--", *command]

    def wait_off(self, timeout: float = PATIENCE) -> int:
        """Wait until it is off: 0, or ``REBOOT``."""
        assert self._nspawn is not None, "it is off"
        ended = os.pidfd_open(self._nspawn.pid)
        try:
            poll = select.poll()
            poll.register(ended, select.POLLIN)
            if not poll.poll(timeout * 1000):
                raise StillOn(f"waited {timeout:g} s for the host to go down, in boot {self.boots}")
        finally:
            os.close(ended)
        status = self._nspawn.wait()
        self._nspawn, self.leader = None, 0
        return status

    def wait_reboot(self, timeout: float = PATIENCE) -> None:
        """Wait for the reboot that somebody asks for, and boot what is the default then."""
        status = self.wait_off(timeout)
        assert status == REBOOT, f"it ended with {status}"
        self.boot()

    def power_off(self) -> None:
        """As an operator."""
        self.attempt("systemctl", "poweroff", "--no-block")
        self.wait_off()

    def cut_power(self) -> None:
        """Nothing is told, nothing is finalized."""
        assert self._nspawn is not None, "it is off"
        os.kill(self.leader, 9)
        self.wait_off()

    def bury(self) -> None:
        """Ask for the exit status of the container, which is at its end."""
        if self._nspawn is not None:
            self._nspawn.wait()

    def report(self) -> str:
        """What an operator would look at after a failure: console, units, status, record, journal."""
        parts = [f"--- console of boot {self.boots}", _tail(self.console)]
        if self._nspawn is not None and self._nspawn.poll() is None:
            for command in ("systemctl --failed", "systemctl status mcd-rt rpm-ostreed", "ostree admin status"):
                shown = self.attempt(*command.split())
                parts += [f"--- {command}", shown.stdout + shown.stderr]
            parts += ["--- status.json", self.attempt("cat", "/run/mcd-rt/status.json").stdout]
        record = self.sysroot.var / "lib/mcd-rt/record.json"
        parts += ["--- record.json", record.read_text() if record.exists() else "none"]
        journal = ["journalctl", f"--directory={self.sysroot.var}/log/journal", "--no-pager", "-o", "short-monotonic"]
        shown = subprocess.run([*journal, "-n", "400"], capture_output=True, text=True, check=False)
        return "\n".join([*parts, "--- journal", shown.stdout])

    def give_boot_a_disk(self, megabytes: int) -> None:
        """/boot on a file system of its own, as hosts have it; before the first boot."""
        image, boot = self.place / "boot.img", self.sysroot.boot
        subprocess.run(["truncate", f"--size={megabytes}M", str(image)], check=True)
        subprocess.run(["mke2fs", "-q", "-t", "ext4", "-m", "0", "-d", str(boot), str(image)], check=True)
        subprocess.run(["mount", "-o", "loop", str(image), str(boot)], check=True)

    def make_usr_writable(self) -> None:
        """As `rpm-ostree usroverlay` does; it lasts: what is written is there at each boot, as if it were layered."""
        memory = self.place / "memory"
        memory.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1g,mode=0755", "mcd-rt-tests", str(memory)], check=True)
        self.usr = memory / "usr"
        self.usr.mkdir()

    def _command(self, entry: Entry) -> list[str]:
        root, disk = entry.deployment, self.sysroot.place
        nspawn = ["systemd-nspawn", "--quiet", f"--directory={root}", f"--machine={self.name}", "--register=no"]
        nspawn += ["--keep-unit", "--console=read-only", "--notify-ready=yes", "--link-journal=no"]
        writable = f"--overlay=/usr:{self.layer}:{self.usr}:/usr"
        nspawn += [writable if self.usr else f"--overlay-ro=/usr:{self.layer}:/usr", f"--bind={disk}:/sysroot:norbind"]
        nspawn += [f"--bind={disk}/boot:/boot:norbind", f"--bind={self.sysroot.var}:/var:norbind"]
        nspawn += [f"--bind-ro={self.place}/kernel:/run/simulated"]
        if not any("network" in option for option in self.options):
            nspawn += ["--private-network"]
        nspawn += [*self.options, "--boot", "--", "--unit=host.target", "--show-status=1"]
        return in_groups(self.groups, nspawn)

    def _write_kernel(self, entry: Entry) -> None:
        place = self.place / "kernel"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        release, version, realtime = entry.kernel.read_bytes()[:500].decode().splitlines()[:3]
        image = f"BOOT_IMAGE=(hd0,gpt3){entry.kernel.parent.name}/{entry.kernel.name}"
        (place / "osrelease").write_text(f"{release}\n")
        (place / "version").write_text(f"{version}\n")
        (place / "cmdline").write_text(f"{image} {entry.options}\n")
        if realtime == "1":
            (place / "realtime").write_text("1\n")

    def _is_ready(self, notified: socket.socket) -> bool:
        """Wait until it is up, or down again."""
        assert self._nspawn is not None
        ended = os.pidfd_open(self._nspawn.pid)
        poll = select.poll()
        poll.register(ended, select.POLLIN)
        poll.register(notified, select.POLLIN)
        try:
            while True:  # each message begins the time anew; there are few
                events = dict(poll.poll(PATIENCE * 1000))
                if not events:
                    raise AssertionError(f"waited {PATIENCE:g} s for boot {self.boots}; {_last_line(self.console)}")
                if notified.fileno() not in events:
                    return False
                said = notified.recv(65536).decode()
                found = re.search(r"X_NSPAWN_LEADER_PID=(\d+)", said)
                self.leader = int(found[1]) if found else self.leader
                if re.search(r"^READY=1$", said, re.MULTILINE):
                    return True
        finally:
            os.close(ended)


@contextmanager
def machine(place: Path, layer: Path) -> Iterator[Machine]:
    """A host that is off, with nothing on its disk; everything is gone after the block, however it is left."""
    with ExitStack() as afterwards, kept(place) as own:
        host = Machine(own.name, place, layer, own.groups)
        afterwards.callback(host.bury)  # what the keeper has killed
        yield host


def _tail(file: Path) -> str:
    return file.read_text(errors="replace")[-4000:] if file.exists() else ""


def _last_line(console: Path) -> str:
    lines = _tail(console).splitlines()
    return f"last on the console: {lines[-1].strip()!r}" if lines else "nothing on the console"
