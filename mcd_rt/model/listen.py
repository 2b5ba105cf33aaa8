"""Where a socket listens, as settings spell it."""

import ipaddress
import re

from mcd_rt.frozen import frozen

_TCP = re.compile(r"(?:\[(?P<six>[^\[\]]+)\]|(?P<four>[0-9.]+)):(?P<port>[0-9]{1,5})")
_UNIX = "unix:"


@frozen
class TcpAddress:
    """An IP address, never a name, which would have to be looked up, and a port; port 0 is any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        """The spelling that ``parse_listen`` takes."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@frozen
class UnixAddress:
    """An absolute path of the host."""

    path: str

    def __str__(self) -> str:
        """The spelling that ``parse_listen`` takes."""
        return f"{_UNIX}{self.path}"


def parse_listen(text: str) -> TcpAddress | UnixAddress | None:
    """``127.0.0.1:8654``, ``[::1]:8654``, ``unix:/path``; ``None`` for the empty text, which is nowhere.

    Raises ``ValueError`` for anything else.
    """
    if not text:
        return None
    if text.startswith(_UNIX):
        path = text.removeprefix(_UNIX)
        if not path.startswith("/") or path.endswith("/") or "\0" in path:
            raise ValueError(f"not an absolute path of a socket: {path!r}")
        return UnixAddress(path)
    found = _TCP.fullmatch(text)
    if found is None:
        raise ValueError(f"neither ADDRESS:PORT nor unix:/path: {text!r}")
    six, four, port = found["six"], found["four"], int(found["port"])
    if port > 0xFFFF:
        raise ValueError(f"{port} is not a port")
    return TcpAddress(str(ipaddress.IPv6Address(six) if six else ipaddress.IPv4Address(four)), port)
