"""Log lines with fields, by the journal's own protocol (systemd.io, "Native Journal Protocol").

Each line is one datagram. What cannot be sent so (nobody there, no room, too large) is said as plain text where the
log would go else, which the journal reads too: a line is never lost for its fields, and never waited for.
"""

import logging
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

from mcd_rt.errors import Failure
from mcd_rt.report.events import Event

PLACE = Path("/run/systemd/journal/socket")


class JournalHandler(logging.Handler):
    """Sends each record to the journal that listens at ``place``, or hands it to ``plain``."""

    def __init__(self, place: Path, plain: logging.Handler) -> None:
        """Connect to nothing yet: a journal that is started anew is found again."""
        super().__init__()
        self._place = str(place)
        self._plain = plain
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)  # noqa: FBT003 - its name

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record, or hand it over."""
        try:
            self._socket.sendto(encode_entry(_fields(record, self.format(record))), self._place)
        except OSError:
            self._plain.handle(record)

    def close(self) -> None:
        """Send no more."""
        self._socket.close()
        super().close()


def priority_of(record: logging.LogRecord) -> int:
    """The priority of a record, as syslog(3) counts."""
    return {logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6}.get(record.levelno, 7)


def is_journal(descriptor: int, stream: str) -> bool:
    """Whether a descriptor leads to the journal: ``stream`` is ``JOURNAL_STREAM`` (systemd.exec(5)), or empty."""
    try:
        found = os.fstat(descriptor)
    except OSError:
        return False
    return stream == f"{found.st_dev}:{found.st_ino}"


def encode_entry(fields: Iterator[tuple[str, str]]) -> bytes:
    """An entry as a datagram: each field by its length, so that a value may have any characters."""
    parts = []
    for name, value in fields:
        content = value.encode(errors="replace")
        parts.append(name.encode() + b"\n" + struct.pack("<Q", len(content)) + content + b"\n")
    return b"".join(parts)


def _fields(record: logging.LogRecord, text: str) -> Iterator[tuple[str, str]]:
    yield "MESSAGE", text
    yield "PRIORITY", str(priority_of(record))
    yield "SYSLOG_IDENTIFIER", "mcd-rt"
    event = getattr(record, "event", None)
    if isinstance(event, Event):
        yield from event.fields()
        return
    for argument in record.args if isinstance(record.args, tuple) else ():
        if isinstance(argument, Failure):
            yield from Event(failure=argument).fields()
            return
