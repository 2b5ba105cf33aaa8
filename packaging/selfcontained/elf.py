"""Which glibc a file needs."""

import re
from pathlib import Path

_VERSION = re.compile(rb"GLIBC_(\d+)\.(\d+)")


def newest_glibc(file: Path) -> tuple[int, int]:
    """The newest version of glibc's symbols that an ELF file names; (0, 0) for any other file.

    Every mention counts, needed or not: it may find too much, never too little.
    """
    with file.open("rb") as opened:
        if opened.read(4) != b"\x7fELF":
            return (0, 0)
        found = _VERSION.findall(opened.read())
    return max(((int(major), int(minor)) for major, minor in found), default=(0, 0))
