"""Host facts, read from files below the root (not uname(2), which a simulated node could not answer).

Sources: os-release(5), proc(5), ``reference/machine-config-daemon.md`` 1.3 and 5.1.
"""

import os
import re
import shlex
from pathlib import Path

from mcd_rt.errors import AgentError, Code
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.host import Host
from mcd_rt.model.kernelargs import split_arguments

LAYERING_LOCKS = ("/etc/rpm-ostreed.conf", "/etc/machine-config-daemon/currentimage")
"""What may say that the packages of the host stay as they are: rpm-ostree's own settings, the MCO's image of a pool."""

_PLAIN = re.compile(r'[\w./:@%+=,-]*|"[^"\\$`]*"')  # nearly all that os-release(5) allows: shlex takes long
_LOCKED = re.compile(r"^\s*LockLayering\s*=\s*(true|yes|1|on)\s*$", re.MULTILINE | re.IGNORECASE)


def read_host(paths: HostPaths) -> Host:
    """Read what the host is and runs; raises ``AgentError`` (``host-unreadable``) naming the file."""
    release = _read(paths.below("/proc/sys/kernel/osrelease"))
    facts = _os_release(paths)
    return Host(
        os_id=facts.get("ID", ""),
        os_variant=facts.get("VARIANT_ID", ""),
        os_version=facts.get("VERSION_ID", ""),
        architecture=_architecture(paths, release),
        boot_id=_read(paths.below("/proc/sys/kernel/random/boot_id")),
        kernel_release=release,
        realtime=_is_realtime(paths),
        ostree=_is_there(paths.below("/run/ostree-booted")),
        fips=_is_fips(paths),
        kernel_arguments=read_running_arguments(paths),
        layering_locked=_layering_locked(paths),
    )


def _is_realtime(paths: HostPaths) -> bool:
    """EL8 says "PREEMPT RT" in ``uname -v`` and may lack the file in /sys; EL9 has both."""
    flag = paths.below("/sys/kernel/realtime")
    if _is_there(flag):
        return _read(flag) == "1"
    version = _read(paths.below("/proc/sys/kernel/version"))
    return "PREEMPT_RT" in version or "PREEMPT RT" in version


def _is_fips(paths: HostPaths) -> bool:
    """A kernel built without it does not have the file."""
    flag = paths.below("/proc/sys/crypto/fips_enabled")
    return _is_there(flag) and _read(flag) == "1"


def read_running_arguments(paths: HostPaths) -> tuple[str, ...]:
    """The arguments of the running kernel; raises ``AgentError`` (``host-unreadable``)."""
    text = _read(paths.below("/proc/cmdline"))
    try:
        return split_arguments(text)
    except ValueError:  # whoever boots a node by hand may write anything
        return tuple(text.split())


def _layering_locked(paths: HostPaths) -> str:
    """Who said that the packages of this host stay as they are (rpm-ostreed.conf(5); the MCO's on-cluster builds)."""
    conf, built = map(paths.below, LAYERING_LOCKS)
    if _is_there(conf) and _LOCKED.search(_read(conf)):
        return f"LockLayering is set in {conf}"
    if _is_there(built) and _read(built):
        return f"its OS image is built for its pool ({built})"
    return ""


def _architecture(paths: HostPaths, release: str) -> str:
    """The kernel says it since 6.1; before, the release ends in it (``4.18.0-193.el8.x86_64``)."""
    told = paths.below("/proc/sys/kernel/arch")
    if _is_there(told):
        return _read(told)
    suffix = release.partition("+")[0].rpartition(".")[2]
    return suffix if suffix in ("x86_64", "aarch64", "ppc64le", "s390x") else os.uname().machine


def _os_release(paths: HostPaths) -> dict[str, str]:
    etc = paths.below("/etc/os-release")
    path = etc if _is_there(etc) else paths.below("/usr/lib/os-release")
    pairs = (line.partition("=") for line in _read(path).splitlines() if line.strip() and not line.startswith("#"))
    return {key: _unquoted(value) for key, _, value in pairs}


def _unquoted(value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value.strip('"')
    try:
        return "".join(shlex.split(value))
    except ValueError:  # an unbalanced quote: the raw text is as good as anything
        return value


def _is_there(path: Path) -> bool:
    """What cannot be looked at may be there: that is for a person to know."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise _unreadable(path, error) from error
    return True


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode(errors="replace").strip()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> AgentError:
    return AgentError(
        Code.HOST_UNREADABLE, f"cannot read {path}: {error.strerror}", "is the root right, and may this user read it?"
    )
