"""The host facts of a simulated node: files below its root, as a host's kernel and ostree write them."""

import shlex
import shutil
from configparser import ConfigParser
from pathlib import Path

from mcd_rt.model.kernelargs import split_arguments
from mcd_rt.sim.bootentry import boot_checksum, boot_options
from mcd_rt.sim.demokey import FILE_NAME, PUBLIC_KEY
from mcd_rt.sim.world import Base, System

RHCOS = """\
NAME="Red Hat Enterprise Linux CoreOS"
ID="rhcos"
ID_LIKE="rhel fedora"
VERSION="{version}"
VERSION_ID="4.16"
VARIANT="CoreOS"
VARIANT_ID=coreos
"""
RHEL = 'NAME="Red Hat Enterprise Linux"\nID="rhel"\nVERSION="{version}"\nVERSION_ID="9.4"\n'
FEDORA = 'NAME="Fedora Linux"\nID=fedora\nVERSION="{version}"\nVERSION_ID=40\nVARIANT_ID=server\n'
"""``/etc/os-release``, with the version of the base in it."""

DAEMON_SETTINGS = "etc/rpm-ostreed.conf"

_COMMAND = """\
#!/bin/sh
# rpm-ostree of a simulated node: the one command that needs no daemon
if [ "$1 $2" = "db list" ] && [ -f {lists}/"$3" ]; then exec cat {lists}/"$3"; fi
echo "error: No such metadata object $3.commit" >&2
exit 1
"""


def write_commands(root: Path, bases: tuple[Base, ...]) -> None:
    """``/usr/bin/rpm-ostree`` for ``db list CHECKSUM``, with the list of each base."""
    lists = root / "usr/lib/simulated-package-lists"
    lists.mkdir(parents=True)
    for base in bases:
        lines = [f"ostree commit: {base.checksum} ({base.checksum})", *(f" {nevra}" for nevra in base.packages)]
        (lists / base.checksum).write_text("\n".join(lines) + "\n")
    command = root / "usr/bin/rpm-ostree"
    command.parent.mkdir(parents=True)
    command.write_text(_COMMAND.format(lists=shlex.quote(str(lists))))
    command.chmod(0o755)


def write_keys(root: Path) -> None:
    """The keys whose packages the node takes: that of the simulated ones."""
    _write(root / "etc/pki/rpm-gpg" / FILE_NAME, PUBLIC_KEY)


def write_boot(root: Path, system: System, boot_id: str, os_release: str) -> None:
    """What is new after a boot: an empty /run, the kernel of the booted deployment, its arguments."""
    shutil.rmtree(root / "run", ignore_errors=True)
    booted, tree = system.booted, system.booted.tree
    release = tree.kernel_release
    preemption = ("PREEMPT RT" if ".el8" in release else "PREEMPT_RT") if tree.realtime else "PREEMPT_DYNAMIC"
    image = f"BOOT_IMAGE=(hd0,gpt3)/ostree/{system.osname}-{boot_checksum(booted)}/vmlinuz-{release}"
    options = boot_options(system, booted)
    _write(root / "etc/os-release", os_release.format(version=tree.base.version))
    _write(root / "proc/sys/kernel/osrelease", f"{release}\n")
    _write(root / "proc/sys/kernel/version", f"#1 SMP {preemption} Thu Jan  1 00:00:00 UTC 1970\n")
    _write(root / "proc/sys/kernel/arch", "aarch64\n" if "aarch64" in release else "x86_64\n")
    _write(root / "proc/sys/kernel/random/boot_id", f"{boot_id}\n")
    _write(root / "proc/cmdline", f"{image} {_as_grub_quotes(options)}\n")
    _write(root / "proc/sys/crypto/fips_enabled", f"{int('fips=1' in options.split(' '))}\n")
    _write(root / "run/ostree-booted", "")
    (root / "run/ostree").mkdir()
    realtime = root / "sys/kernel/realtime"
    realtime.unlink(missing_ok=True)
    if tree.realtime and ".el8" not in release:  # 4.18 has no such file
        _write(realtime, "1\n")
    write_deployments(root, system)


def write_deployments(root: Path, system: System) -> None:
    """What ostree touches when the deployments change."""
    deploy = root / "ostree/deploy"
    deploy.mkdir(parents=True, exist_ok=True)
    deploy.touch()
    staged = root / "run/ostree/staged-deployment"
    if system.staged is None:
        staged.unlink(missing_ok=True)
    else:
        staged.write_text(f"{system.staged.checksum}.{system.staged.serial} locked={system.staged.locked}\n")


def lock_layering(root: Path) -> None:
    """Set up rpm-ostreed as an image-mode host does that wants no layering."""
    _write(root / DAEMON_SETTINGS, "[Daemon]\nLockLayering=true\n")


def is_layering_locked(settings: Path) -> bool:
    """Whether ``rpm-ostreed.conf`` says so; it need not be there."""
    read = ConfigParser()
    read.read(settings)
    return read.getboolean("Daemon", "LockLayering", fallback=False)


def _as_grub_quotes(options: str) -> str:
    """GRUB puts the quotes around the whole argument: ``"a=b c"`` for ``a="b c"``.

    Source: libostree's own test of quoted arguments in ``/proc/cmdline``.
    """
    words = (word.replace('"', "") if '"' in word else word for word in split_arguments(options))
    return " ".join(f'"{word}"' if " " in word else word for word in words)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
