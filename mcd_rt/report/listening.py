"""A socket that listens where the settings say."""

import errno
import socket
import stat
from contextlib import suppress
from pathlib import Path

from mcd_rt.effects import Effects
from mcd_rt.errors import AgentError, Code
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.listen import TcpAddress, UnixAddress

_BACKLOG = 16


def listen(effects: Effects, paths: HostPaths, address: TcpAddress | UnixAddress) -> socket.socket:
    """A listening socket; raises ``AgentError`` (``metrics-unavailable``).

    A socket file that nobody listens on any more is replaced; whatever else has its name stays. What is served is
    no secret, so that everybody may connect to it, as to a port: the directory says who gets there.
    """
    try:
        match address:
            case TcpAddress(host, port):
                family = socket.AF_INET6 if ":" in host else socket.AF_INET
                return socket.create_server((host, port), family=family, backlog=_BACKLOG)
            case UnixAddress(path):
                return _listen_below(effects, paths.below(path))
    except OSError as error:
        raise AgentError(
            Code.METRICS_UNAVAILABLE,
            f"cannot listen on {address}: {error.strerror or error}",
            "free it or set [metrics] listen; `systemctl reload mcd-rt` tries again",
        ) from error


def forget(effects: Effects, paths: HostPaths, address: TcpAddress | UnixAddress) -> None:
    """Remove what a socket of ours, closed by now, leaves on the disk; that it stays does no harm."""
    if isinstance(address, UnixAddress):
        with suppress(OSError):
            effects.remove(paths.below(address.path))


def _listen_below(effects: Effects, path: Path) -> socket.socket:
    effects.make_directory(path.parent, 0o755)
    if _is_left_behind(path):
        effects.remove(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        listening.bind(str(path))
        path.chmod(0o666)
        listening.listen(_BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def _is_left_behind(path: Path) -> bool:
    """Whether it is a socket that nobody listens on."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            return False
    except FileNotFoundError:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as caller:
        caller.setblocking(False)  # noqa: FBT003 - its name; a backlog that is full is somebody's
        return caller.connect_ex(str(path)) == errno.ECONNREFUSED
