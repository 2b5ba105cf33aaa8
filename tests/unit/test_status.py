"""What the agent says: once, everywhere at once, readable by anyone, and never a reason to stop."""

import errno
import json
import logging
import os
import socket

import pytest

from mcd_rt.errors import AgentError, Code, Failure
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.awaiting import Awaiting, Gate
from mcd_rt.model.deployment import Deployment, Deployments
from mcd_rt.model.desired import Desired
from mcd_rt.model.host import Host
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.plan import Target
from mcd_rt.model.record import Record, Switch, Verified
from mcd_rt.model.state import State
from mcd_rt.report.families import ACTIVE_FAILURE
from mcd_rt.report.notify import notify
from mcd_rt.report.reporter import Reporter
from mcd_rt.report.status import PastFailure, Status, read_status, write_status
from tests.effects_double import EffectsDouble

FAILURE = Failure(Code.TRANSACTION_FAILED, "rpm-ostree: no", "look there")
STATUS = Status(
    state=State.RETRYING,
    since=1.5,
    boot_id="boot",
    pid=42,
    summary="it did not work",
    failure=FAILURE,
    last_failure=Failure(Code.ROLLED_BACK, "old"),
    next_attempt=2.5,
    config="rendered-worker",
    wanted="realtime",
    image="oci:/x",
    running="default",
    kernel_release="5.14",
    booted="a",
    staged="b",
    progress="Importing",
    percent=50,
    verified_at=3.0,
    switch_seconds=4.0,
    config_source="/etc/config",
    staged_as="realtime",
    staged_locked=True,
    failure_since=1.0,
    last_error=PastFailure(Failure(Code.DISK_SPACE, "full"), 0.5),
    also=(Failure(Code.TUNED_LEFT_ALONE, "no tuned"),),
    switches=(Switch(KernelType.REALTIME, "5.14", 1.0, 2.0, Code.ROLLED_BACK), Switch(KernelType.DEFAULT, "5", 3, 4)),
    awaiting=Awaiting(Gate.LOCK, "https://locks", Failure(Code.LOCK_REFUSED, "full", "wait")),
)
TARGET = Target(KernelType.REALTIME, "b", "d", (), "5.14+rt")


class Clock(EffectsDouble):
    """Effects with a clock that ticks when it is read."""

    time = 100.0

    def now(self):
        self.time += 1
        return self.time


@pytest.fixture
def paths(tmp_path):
    return HostPaths(tmp_path)


@pytest.fixture
def manager(monkeypatch):
    """A service manager that listens; gives what it was told so far."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        name = f"\0mcd-rt-test-notify-{os.getpid()}"
        listening.bind(name)
        listening.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name[1:])

        def told():
            heard = []
            while True:
                try:
                    heard.append(listening.recv(65536).decode())
                except BlockingIOError:
                    return heard

        yield told


@pytest.fixture
def log(caplog):
    caplog.set_level(logging.INFO, "mcd_rt")
    return caplog


def failure_of(paths):
    with pytest.raises(AgentError) as caught:
        read_status(paths)
    assert caught.value.failure.code is Code.AGENT_NOT_RUNNING
    assert str(paths.status) in caught.value.failure.message
    assert caught.value.failure.hint
    return caught.value.failure


# The file


@pytest.mark.parametrize("status", [STATUS, Status(State.STARTING, 0.0, "", 1)])
def test_a_status_is_read_as_it_was_written(paths, status):
    write_status(EffectsDouble(), paths, status)
    assert read_status(paths) == status
    assert paths.status.stat().st_mode & 0o777 == 0o644


def test_no_status_means_no_agent(paths):
    assert "No such file" in failure_of(paths).message


@pytest.mark.parametrize("garbage", [b"", b"{", b"\xff", b"[" * 100_000])
def test_garbage_is_no_status(paths, garbage):
    paths.status.parent.mkdir(parents=True)
    paths.status.write_bytes(garbage)
    assert "is not a status" in failure_of(paths).message


@pytest.mark.parametrize(
    "change",
    [
        lambda _document: 7,
        lambda _document: None,
        lambda _document: [],
        lambda _document: "status",
        lambda _document: {},
        lambda document: document | {"version": 2},
        lambda document: document | {"state": "dreaming"},
        lambda document: document | {"novelty": 1},
        lambda document: {key: value for key, value in document.items() if key != "pid"},
        lambda document: document | {"failure": {"code": "no-such", "message": "", "hint": ""}},
        lambda document: document | {"failure": {}},
        lambda document: document | {"last_error": {"failure": {}}},
        lambda document: document | {"also": [{}]},
        lambda document: document | {"switches": [{}]},
        lambda document: document | {"awaiting": {"gate": "rain"}},
        lambda document: document | {"awaiting": document["awaiting"] | {"novelty": 1}},
        lambda document: document | {"switches": [document["switches"][0] | {"novelty": 1}]},
    ],
)
def test_a_status_of_another_shape_is_of_another_version(paths, change):
    write_status(EffectsDouble(), paths, STATUS)
    paths.status.write_text(json.dumps(change(json.loads(paths.status.read_bytes()))))
    assert "another version" in failure_of(paths).message


# The service manager


def test_a_manager_hears_assignments(manager):
    notify("READY=1", "STATUS=well")
    assert manager() == ["READY=1\nSTATUS=well"]


@pytest.mark.parametrize("address", ["", "/nowhere", "@nobody-listens-here"])
def test_no_manager_is_no_trouble(monkeypatch, address):
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    notify("READY=1")


def test_a_manager_may_listen_at_a_path(monkeypatch, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        monkeypatch.chdir(tmp_path)
        listening.bind("notify")
        monkeypatch.setenv("NOTIFY_SOCKET", "notify")
        notify("READY=1")
        assert listening.recv(100) == b"READY=1"


# All at once


def test_it_begins_in_starting_and_says_so_when_something_is_said(paths):
    reporter = Reporter(Clock(), paths)
    assert reporter.status == Status(State.STARTING, 103.0, "", os.getpid())
    assert not paths.status.exists()
    reporter.enter(State.STEADY, "nothing to do")
    assert read_status(paths) == reporter.status


def test_a_state_is_said_to_everyone_with_its_time(paths, manager, log):
    reporter = Reporter(Clock(), paths)
    reporter.enter(State.STAGING, "staging realtime")
    assert read_status(paths) == Status(State.STAGING, 104.0, "", os.getpid(), "staging realtime")
    assert manager() == ["STATUS=staging: staging realtime"]
    reporter.enter(State.RETRYING, "it did not work", FAILURE, 500.0)
    status = read_status(paths)
    assert (status.state, status.failure, status.next_attempt) == (State.RETRYING, FAILURE, 500.0)
    assert manager() == ["STATUS=retrying: it did not work"]
    assert [(record.levelname, record.message) for record in log.records] == [
        ("INFO", "staging: staging realtime"),
        ("WARNING", "retrying: transaction-failed: rpm-ostree: no (look there)"),
    ]


def test_the_same_again_is_said_once_and_keeps_its_time(paths, manager, log):
    reporter = Reporter(Clock(), paths)
    for attempt in (1.0, 2.0):
        reporter.enter(State.RETRYING, "again", FAILURE, attempt)
    assert len(manager()) == len(log.records) == 1
    assert read_status(paths).next_attempt == 2.0
    assert read_status(paths).since == 104.0
    reporter.enter(State.RETRYING, "for another reason", FAILURE)
    assert len(manager()) == 1
    assert read_status(paths).since == 104.0


def test_nothing_new_writes_nothing(paths):
    effects = Clock()
    reporter = Reporter(effects, paths)
    reporter.enter(State.STEADY, "nothing to do")
    before = len(effects.attempted)
    reporter.enter(State.STEADY, "nothing to do")
    assert len(effects.attempted) == before
    paths.status.unlink()
    reporter.enter(State.STEADY, "nothing to do")
    assert read_status(paths).state is State.STEADY


def test_what_has_several_lines_is_one_assignment_and_one_line(paths, manager, log):
    failure = Failure(Code.REBOOT_REFUSED, "Held by: x\nREADY=1", "y")
    Reporter(Clock(), paths).enter(State.RETRYING, "blocked\nWATCHDOG=trigger\n  twice", failure)
    assert manager() == ["STATUS=retrying: blocked WATCHDOG=trigger twice"]
    assert [record.message for record in log.records] == ["retrying: reboot-refused: Held by: x READY=1 (y)"]


def test_progress_belongs_to_its_state(paths):
    reporter = Reporter(Clock(), paths)
    reporter.enter(State.STAGING, "staging")
    reporter.show_progress("Importing", 50)
    assert (read_status(paths).progress, read_status(paths).percent) == ("Importing", 50)
    reporter.enter(State.STAGED, "staged")
    assert (read_status(paths).progress, read_status(paths).percent) == ("", -1)


def test_what_is_known_is_shown(paths):
    reporter = Reporter(Clock(), paths)
    reporter.show_host(Host("rhcos", "", "4.16", "x86_64", "boot", "5.14+rt", realtime=True, ostree=True))
    reporter.show_desired(Desired("worker", KernelType.REALTIME, "oci:/x", (), fips=False))
    reporter.show_deployments(Deployments((deployment("staged", staged=True), deployment("booted", booted=True))))
    reporter.show_record(Record(failure=FAILURE, verified=Verified(TARGET, 10.0, 70.0)))
    status = read_status(paths)
    assert (status.boot_id, status.kernel_release, status.running) == ("boot", "5.14+rt", "realtime")
    assert (status.config, status.wanted, status.image) == ("worker", "realtime", "oci:/x")
    assert (status.booted, status.staged) == ("booted", "staged")
    assert (status.last_failure, status.verified_at, status.switch_seconds) == (FAILURE, 70.0, 60.0)
    reporter.show_host(Host("rhcos", "", "4.16", "x86_64", "boot", "5.14", realtime=False, ostree=True))
    reporter.show_deployments(Deployments((deployment("other"),)))
    reporter.show_record(Record())
    status = read_status(paths)
    assert (status.running, status.booted, status.staged) == ("default", "", "")
    assert (status.last_failure, status.verified_at, status.switch_seconds) == (None, None, None)


def test_it_is_told_since_when_a_failure_lasts_through_all_its_tries(paths):
    reporter = Reporter(Clock(), paths)
    reporter.enter(State.RETRYING, "no", FAILURE)
    since = read_status(paths).failure_since
    reporter.enter(State.STAGING, "again")
    assert read_status(paths).failure_since is None
    reporter.enter(State.RETRYING, "no", FAILURE)
    assert read_status(paths).failure_since == since
    reporter.enter(State.RETRYING, "no", Failure(Code.DISK_SPACE, "full"))
    assert read_status(paths).failure_since > since
    reporter.enter(State.STEADY, "well")
    reporter.enter(State.RETRYING, "no", FAILURE)
    assert read_status(paths).failure_since > since


def test_the_last_error_stays_and_has_its_time(paths):
    reporter = Reporter(Clock(), paths)
    reporter.enter(State.RETRYING, "no", FAILURE)
    met = read_status(paths).last_error
    assert met.failure == FAILURE
    reporter.enter(State.RETRYING, "no", FAILURE, 7.0)
    assert read_status(paths).last_error == met
    reporter.enter(State.STEADY, "well")
    assert read_status(paths).last_error == met
    reporter.enter(State.RETRYING, "no", FAILURE)
    assert read_status(paths).last_error.at > met.at


def test_what_does_not_work_beside_the_kernel_is_told_by_its_part_until_it_works(paths):
    reporter = Reporter(Clock(), paths)
    reporter.enter(State.STEADY, "well")
    tuned, port = Failure(Code.TUNED_LEFT_ALONE, "no", "h"), Failure(Code.METRICS_UNAVAILABLE, "no", "h")
    reporter.show_also("tuning", (tuned,))
    reporter.show_also("metrics", (port,))
    assert read_status(paths).also == (tuned, port)
    assert reporter.metrics.numbers(ACTIVE_FAILURE)[(Code.TUNED_LEFT_ALONE.value,)] == 1
    reporter.show_also("tuning", ())
    assert read_status(paths).also == (port,)
    assert read_status(paths).failure is None


def deployment(name, *, booted=False, staged=False):
    return Deployment(name, "c", "b", "1", "", booted, staged, False, False, (), (), (), (), "")


def test_a_full_runtime_directory_stops_nothing(paths, manager, log):
    effects = Clock()
    effects.fail("create", OSError(errno.ENOSPC, "No space left on device"))
    reporter = Reporter(effects, paths)
    reporter.enter(State.STEADY, "nothing to do")
    assert not paths.status.exists()
    assert manager() == ["STATUS=steady: nothing to do"]
    assert "write-failed" in log.records[0].message
    reporter.enter(State.STEADY, "nothing to do")
    assert read_status(paths).state is State.STEADY


def test_a_silent_reporter_only_remembers(paths, manager, log):
    effects = Clock()
    reporter = Reporter(effects, paths, silent=True)
    reporter.enter(State.STEADY, "nothing to do", FAILURE)
    assert reporter.status.state is State.STEADY
    assert (effects.attempted, manager(), log.records) == ([], [], [])
