"""A virtual machine that boots what its disk's boot loader entries say, with real kernels (qemu, no acceleration)."""

import json
import os
import re
import socket
import subprocess
from pathlib import Path

from tests.system.host.groups import in_groups

_QEMU = ("qemu-system-x86_64", "-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max", "-smp", "2", "-m", "1024")
_QEMU += ("-nodefaults", "-display", "none", "-no-reboot")


class Guest:
    """``disk`` is an ext4 image of a sysroot; ``layer`` lies over this machine's /usr."""

    def __init__(self, place: Path, layer: Path, groups: tuple[Path, ...]) -> None:
        self.disk = place / "disk.img"
        self.boots = 0
        self._place = place
        self._layer = layer
        self._groups = groups

    def make_disk(self, sysroot: Path) -> None:
        """From a directory."""
        subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", str(sysroot), str(self.disk), "2G"], check=True)

    def read(self, path: str) -> str:
        """A file of the disk, while the machine is off."""
        return self._debugfs(f"cat {path}")

    def boot(self, timeout: float) -> str:
        """Boot the default entry until it goes down; returns qemu's reason: ``guest-reset`` or ``guest-shutdown``."""
        entry = self._default_entry()
        self.boots += 1
        for part in ("linux", "initrd"):
            path = "/boot" + entry[part].removeprefix("/boot")
            self._debugfs(f"dump {path} {self._place}/{part}")
        place = self._place / "qmp"
        place.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(place))
            listening.listen()
            listening.settimeout(timeout)
            machine = subprocess.Popen(in_groups(self._groups, self._command(entry, place)), stdin=subprocess.DEVNULL)
            try:
                connected, _ = listening.accept()
                connected.settimeout(timeout)
                with connected, connected.makefile("rw") as monitor:
                    monitor.readline()
                    monitor.write('{"execute": "qmp_capabilities"}\n')
                    monitor.flush()
                    events = [json.loads(line) for line in monitor]
            except TimeoutError as error:
                raise AssertionError(f"it does not go down\n{self.console[-6000:]}") from error
            finally:
                machine.kill()
                machine.wait()
        return str(next(each["data"]["reason"] for each in events if each.get("event") == "SHUTDOWN"))

    @property
    def console(self) -> str:
        """What the last boot wrote to its serial line."""
        return (self._place / f"serial-{self.boots}").read_text(errors="replace")

    def _command(self, entry: dict[str, str], monitor: Path) -> list[str]:
        shared = []
        for tag, path in (("usr", "/usr"), ("layer", str(self._layer))):
            kind = f"local,path={path},mount_tag={tag},security_model=none,readonly=on,multidevs=remap"
            shared += ["-virtfs", kind]
        kernel = ["-kernel", str(self._place / "linux"), "-initrd", str(self._place / "initrd")]
        drive = f"file={self.disk},format=raw,if=virtio,cache=unsafe"
        outside = ["-serial", f"file:{self._place}/serial-{self.boots}", "-qmp", f"unix:{monitor}"]
        return [*_QEMU, *kernel, "-append", entry["options"], "-drive", drive, *shared, *outside]

    def _default_entry(self) -> dict[str, str]:
        loader = re.findall(r"^/\d+/\d+/\d+/\d+/([^/]+\.conf)/", self._debugfs(f"ls -p {self._entries}"), re.MULTILINE)
        entries = [
            dict(line.split(" ", 1) for line in self.read(f"{self._entries}/{name}").splitlines() if " " in line)
            for name in loader
        ]
        return max(entries, key=lambda entry: int(entry["version"]))

    @property
    def _entries(self) -> str:
        found = re.search(r'Fast link dest: "([^"]+)"', self._debugfs("stat /boot/loader"))
        assert found is not None, self._debugfs("ls /boot")
        return f"/boot/{found[1]}/entries"

    def _debugfs(self, request: str) -> str:
        done = subprocess.run(
            ["debugfs", "-R", request, str(self.disk)],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"DEBUGFS_PAGER": "cat"},
        )
        return done.stdout
