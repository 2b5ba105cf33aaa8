"""Whether a file is still the one that was read: stat(2), without reading it."""

from pathlib import Path


def identity_of(path: Path) -> tuple[int, ...]:
    """Device, inode, size and times in nanoseconds; only the error number where it cannot be looked at."""
    try:
        found = path.stat()
    except OSError as error:
        return (error.errno or 0,)
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
