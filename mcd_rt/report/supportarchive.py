"""The support archive: a ``tar.gz`` of a few texts, each with what looks like a secret taken out."""

import io
import os
import tarfile
from collections.abc import Iterable
from pathlib import Path

from mcd_rt.effects import Effects
from mcd_rt.errors import AgentError, Code
from mcd_rt.frozen import frozen
from mcd_rt.report.redact import redact

_TOP = "mcd-rt-collect"


@frozen
class Part:
    """One file of the archive."""

    name: str
    text: str


def pack(parts: Iterable[Part], now: float) -> bytes:
    """The archive; ``now`` (seconds since the epoch) is the time of its files."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for part in parts:
            data = redact(part.text).encode("utf-8", "replace")
            member = tarfile.TarInfo(f"{_TOP}/{part.name}")
            member.size, member.mtime, member.mode = len(data), int(now), 0o600
            archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def write_archive(effects: Effects, path: Path, archive: bytes) -> None:
    """Write it to a new file that only its owner can read; raises ``AgentError`` (``write-failed``)."""
    try:
        descriptor = effects.create(path, 0o600)
        try:
            effects.write(descriptor, archive)
            effects.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        hint = "name another place with --output; an archive that is there is never replaced"
        raise AgentError(Code.WRITE_FAILED, f"cannot write {path}: {error.strerror}", hint) from error
