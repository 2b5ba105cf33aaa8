"""A line of the log reaches the journal with its fields, or, whatever is wrong with the journal, as plain text."""

import io
import logging
import os
import socket
import struct
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcd_rt.errors import Code, Failure
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.plan import Target
from mcd_rt.model.record import Attempt, Phase, Record
from mcd_rt.model.state import State
from mcd_rt.report.events import Event, message_id
from mcd_rt.report.journal import JournalHandler, encode_entry, is_journal
from mcd_rt.report.reporter import Reporter
from tests.effects_double import EffectsDouble

FAILURE = Failure(Code.BOOT_SPACE, "no room in /boot", "make room")
TARGET = Target(KernelType.REALTIME, "b", "d", (), "5.14+rt")


def decoded(datagram):
    """The fields of an entry, as journald reads them."""
    found, rest = {}, datagram
    while rest:
        name, _, rest = rest.partition(b"\n")
        (size,) = struct.unpack("<Q", rest[:8])
        content, rest = rest[8 : 8 + size], rest[8 + size :]
        assert rest[:1] == b"\n"
        found[name.decode()], rest = content.decode(), rest[1:]
    return found


@pytest.fixture
def journald(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "socket"))
        listening.setblocking(False)
        yield listening


@pytest.fixture
def plain():
    return logging.StreamHandler(io.StringIO())


@pytest.fixture
def log(tmp_path, plain):
    """A logger that speaks with whatever is at ``tmp_path / "socket"``."""
    logger = logging.Logger("mcd_rt", logging.INFO)  # noqa: LOG001 - for this test alone
    with closing(JournalHandler(tmp_path / "socket", plain)) as handler:
        logger.addHandler(handler)
        yield logger


def test_a_line_comes_with_what_is_known(log, journald, plain):
    event = Event(State.RETRYING, FAILURE, "99-worker-realtime", "realtime", "abc")
    log.warning("%s: %s", "retrying", "said", extra={"event": event})
    assert decoded(journald.recv(1 << 16)) == {
        "MESSAGE": "retrying: said",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "mcd-rt",
        "MESSAGE_ID": message_id(Code.BOOT_SPACE),
        "MCD_RT_STATE": "retrying",
        "MCD_RT_CODE": "boot-space",
        "MCD_RT_HINT": "make room",
        "MCD_RT_CONFIG": "99-worker-realtime",
        "MCD_RT_KERNEL_TYPE": "realtime",
        "MCD_RT_TARGET": "abc",
    }
    assert plain.stream.getvalue() == ""


def test_a_failure_that_is_said_anywhere_has_its_code(log, journald):
    log.error("%s", FAILURE)
    told = decoded(journald.recv(1 << 16))
    assert (told["MESSAGE"], told["PRIORITY"]) == (str(FAILURE), "3")
    assert (told["MCD_RT_CODE"], told["MESSAGE_ID"]) == ("boot-space", message_id(Code.BOOT_SPACE))


def test_a_line_about_nothing_in_particular_has_no_id(log, journald):
    log.info("metrics are served on %s", "127.0.0.1:1")
    assert set(decoded(journald.recv(1 << 16))) == {"MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER"}


def test_without_a_journal_it_is_plain_text_until_there_is_one(log, plain, tmp_path):
    log.warning("first")
    assert plain.stream.getvalue() == "first\n"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "socket"))
        log.warning("second")
        assert decoded(listening.recv(1 << 16))["MESSAGE"] == "second"
    (tmp_path / "socket").unlink()
    log.warning("third")
    assert plain.stream.getvalue() == "first\nthird\n"


def test_a_journal_that_does_not_read_is_not_waited_for(log, journald, plain):
    for number in range(2000):  # more than the kernel keeps for it
        log.warning("line %s", number)
    said = plain.stream.getvalue().splitlines()
    assert said, "nobody has read: not all of it can have been kept"
    kept = []
    while len(kept) + len(said) < 2000:
        kept.append(decoded(journald.recv(1 << 16))["MESSAGE"])
    assert kept + said == [f"line {number}" for number in range(2000)]


def test_a_line_that_is_too_large_is_plain_text(log, plain, journald):
    log.warning("x" * 10_000_000)
    assert len(plain.stream.getvalue()) == 10_000_001
    with pytest.raises(BlockingIOError):
        journald.recv(1)


@given(st.lists(st.tuples(st.from_regex(r"[A-Z_]{1,10}", fullmatch=True), st.text()), unique_by=lambda pair: pair[0]))
def test_any_text_is_one_field(fields):
    """Line feeds would begin another field else: what rpm-ostree says could forge one."""
    expected = {name: text.encode(errors="replace").decode() for name, text in fields}
    assert decoded(encode_entry(iter(fields))) == expected


def test_the_journal_is_known_by_its_stream():
    read, write = os.pipe()
    found = os.fstat(write)
    assert is_journal(write, f"{found.st_dev}:{found.st_ino}")
    assert not is_journal(write, "")
    assert not is_journal(write, f"{found.st_dev}:{found.st_ino + 1}")
    os.close(read)
    os.close(write)
    assert not is_journal(write, f"{found.st_dev}:{found.st_ino}")


def test_ids_are_what_they_were():
    """Whoever has written one down would miss its lines."""
    assert message_id(State.STEADY) == "c4ee68e0f29f70246b96de84f0034f89"
    assert message_id(Code.CONFIG_INVALID) == "dc6c1999b63cfec30c41fefb197aea40"
    every = [message_id(each) for kind in (State, Code) for each in kind]
    assert len(set(every)) == len(every)


def test_what_the_agent_enters_is_told_with_its_change(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    reporter = Reporter(EffectsDouble(), HostPaths(tmp_path))
    reporter.show_record(Record(attempt=Attempt(TARGET, Phase.STAGING, "boot", 1.0)))
    reporter.enter(State.STAGING, "packages")
    reporter.show_record(Record())
    reporter.enter(State.BLOCKED, "no", FAILURE)
    assert [record.event for record in caplog.records] == [
        Event(State.STAGING, None, "", "", TARGET.identity),
        Event(State.BLOCKED, FAILURE, "", "", ""),
    ]
