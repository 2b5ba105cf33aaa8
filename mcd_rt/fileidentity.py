"""What can be told of a file without reading it (stat(2)): whether it is there, and still the one that was read."""

from pathlib import Path


def identity_of(path: Path) -> tuple[int, ...]:
    """Device, inode, size and times in nanoseconds; only the error number where it cannot be looked at."""
    try:
        found = path.stat()
    except OSError as error:
        return (error.errno or 0,)
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def is_file(path: Path) -> bool:
    """Whether a file is there that this user may see: what he may not is none to him, nor to a worker."""
    try:
        return path.is_file()
    except OSError:  # a directory on the way, or a link to where he may not look
        return False
