"""A container with systemd as its first process, from an overlay of this machine: units run as on a host.

The self-contained packages are installed in it; what a story does runs in this machine's own Python.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.system.host.groups import in_groups, kept
from tests.system.package import TOP, packages, unpack
from tests.system.patience import PATIENCE

OVERLAY = "mcd-rt-tests"
"""What its mounts are called, by which they are found when nobody looks after them any more."""
_TARGET = """\
[Unit]
Requires=basic.target {units}
AllowIsolate=yes
"""
_STORY = """\
[Unit]
Requires=basic.target
After=basic.target {units}
[Service]
Type=oneshot
WorkingDirectory=/opt/mcd-rt
Environment=PYTHONPATH=/opt/mcd-rt:/usr/lib/mcd-rt/python/site-packages PATH=/usr/local/bin:/usr/bin:/bin
ExecStart=/usr/bin/python3 {command}
StandardOutput=file:/opt/mcd-rt/said
StandardError=file:/opt/mcd-rt/complained
ExecStopPost=/bin/sh -c 'journalctl --no-pager -o cat -u "mcd-rt-*" > /opt/mcd-rt/journal; systemctl poweroff --force'
"""


def why_not() -> str:
    """Why no container can be had here; empty where it can."""
    if os.geteuid() != 0:
        return "only root can boot a container"
    if shutil.which("systemd-nspawn") is None:
        return "this host has no systemd-nspawn"
    return ""


@dataclass(frozen=True, slots=True)
class Container:
    """One that is off; use ``prepared``."""

    name: str
    root: Path
    groups: tuple[Path, ...]

    def boot(self, units: tuple[str, ...], command: str) -> str:
        """Boot it with these units, run a Python command in it, wait until it is off; returns what it printed."""
        listed = " ".join(units)
        system = self.root / "etc/systemd/system"
        (system / "story.service").write_text(_STORY.format(units=listed, command=command))
        (system / "story.target").write_text(_TARGET.format(units=f"{listed} story.service"))
        nspawn = ["systemd-nspawn", "--quiet", f"--directory={self.root}", f"--machine={self.name}", "--register=no"]
        nspawn += ["--keep-unit", "--private-network", "--console=read-only", "--bind-ro=/dev/null:/etc/fstab"]
        nspawn += ["--boot", "--", "--unit=story.target", "--show-status=0"]
        done = subprocess.run(
            in_groups(self.groups, nspawn),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE,
            check=False,
        )
        return done.stdout.decode(errors="replace")


@contextmanager
def prepared(place: Path) -> Iterator[Container]:
    """The root of a container with the packages, and ``tests`` below ``/opt/mcd-rt``; all is gone after the block."""
    with kept(place) as own:
        memory, root = place / "memory", place / "root"
        for folder in (memory, root):
            folder.mkdir()
        _mount("tmpfs", memory, "size=1g")
        for name in ("upper", "work"):
            (memory / name).mkdir()
        _mount("overlay", root, f"lowerdir=/,upperdir={memory}/upper,workdir={memory}/work")
        (root / "etc/machine-id").unlink(missing_ok=True)
        (root / "etc/machine-id").write_text("")
        unpack(packages(), root)
        ignored = shutil.ignore_patterns("__pycache__", "captures")
        shutil.copytree(TOP / "tests", root / "opt/mcd-rt/tests", ignore=ignored)
        yield Container(own.name, root, own.groups)


def _mount(kind: str, place: Path, options: str) -> None:
    subprocess.run(["mount", "-t", kind, "-o", options, OVERLAY, str(place)], check=True)
