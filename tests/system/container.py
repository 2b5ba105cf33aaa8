"""A container with systemd as its first process, from an overlay of this machine: units run as on a host.

The self-contained packages are installed in it; what a story does runs in this machine's own Python.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.system.package import TOP, packages, unpack
from tests.system.patience import PATIENCE

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


@contextmanager
def prepared(place: Path) -> Iterator[Path]:
    """The root of a container with the packages, and ``tests`` below ``/opt/mcd-rt``; unmounted with the block."""
    with ExitStack() as stack:
        _mount(stack, "tmpfs", place, "size=1g")
        for name in ("upper", "work", "root"):
            (place / name).mkdir()
        root = place / "root"
        _mount(stack, "overlay", root, f"lowerdir=/,upperdir={place}/upper,workdir={place}/work")
        (root / "etc/machine-id").unlink(missing_ok=True)
        (root / "etc/machine-id").write_text("")
        unpack(packages(), root)
        ignored = shutil.ignore_patterns("__pycache__", "captures")
        shutil.copytree(TOP / "tests", root / "opt/mcd-rt/tests", ignore=ignored)
        yield root


def boot(root: Path, name: str, units: tuple[str, ...], command: str) -> str:
    """Boot it with these units, run a Python command in it, wait until it is off; returns what it printed."""
    listed = " ".join(units)
    system = root / "etc/systemd/system"
    (system / "story.service").write_text(_STORY.format(units=listed, command=command))
    (system / "story.target").write_text(_TARGET.format(units=f"{listed} story.service"))
    groups = [Path("/sys/fs/cgroup") / kind / name for kind in ("systemd", "unified")]
    joins = "; ".join(
        f"mkdir -p {group} && echo $$ > {group}/cgroup.procs" for group in groups if group.parent.is_dir()
    )
    nspawn = ["systemd-nspawn", "--quiet", "--directory", str(root), "--machine", name, "--register=no", "--keep-unit"]
    nspawn += ["--private-network", "--console=read-only", "--bind-ro=/dev/null:/etc/fstab"]
    nspawn += ["--boot", "--", "--unit=story.target", "--show-status=0"]
    script = f'{joins or ":"}; exec "$@"'
    done = subprocess.run(
        ["sh", "-c", script, "sh", *nspawn],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=PATIENCE,
        check=False,
    )
    for group in groups:
        for inner in sorted(group.rglob("*/"), reverse=True):
            inner.rmdir()
        group.rmdir()
    return done.stdout.decode(errors="replace")


def _mount(stack: ExitStack, kind: str, place: Path, options: str) -> None:
    subprocess.run(["mount", "-t", kind, "-o", options, "mcd-rt-tests", str(place)], check=True)
    stack.callback(subprocess.run, ["umount", "--lazy", str(place)], check=True)
