"""Where a lock server is, as settings spell it."""

from urllib.parse import urlsplit

from mcd_rt.frozen import frozen


@frozen
class LockServer:
    """The parts of an address; ``path`` is what its endpoints are below, without a slash at its end."""

    secure: bool
    host: str
    port: int
    path: str


def parse_lock_url(url: str) -> LockServer:
    """The parts of ``https://host[:port][/base]``; raises ``ValueError`` for anything else."""
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname or not url.isascii() or not url.isprintable():
        raise ValueError(f"{url!r} is no http or https address")
    if parts.query or parts.fragment or parts.username is not None or " " in url:
        raise ValueError(f"{url!r} has more than a host, a port and a path")
    secure = parts.scheme == "https"
    return LockServer(secure, parts.hostname, parts.port or (443 if secure else 80), parts.path.rstrip("/"))


def is_lock_url(url: str) -> bool:
    """Whether it is one."""
    try:
        parse_lock_url(url)
    except ValueError:
        return False
    return True
