"""Promise 9: every code there is can be met, and is then in status, metric and log, with the way out."""

import asyncio
import contextlib
import logging
import socket
import threading

import pytest

from mcd_rt.errors import Code
from mcd_rt.hostpaths import HostPaths
from mcd_rt.lock import only_agent
from tests.effects_double import EffectsDouble
from tests.integration.test_cli import call
from tests.provoked.row import Row
from tests.provoked.table import ROWS
from tests.provoked.trying import provoke

BY_CODE = {row.code: row for row in ROWS}
SEEN = [row for row in ROWS if row.lever is not None]


def flat(text):
    return " ".join(text.split())


def test_every_code_has_one_row_and_is_provoked_or_argued():
    assert [row.code for row in ROWS] == list(Code)
    assert {row.code: row.unseen for row in ROWS if (row.lever is None) is not bool(row.unseen)} == {}


@pytest.mark.story
@pytest.mark.parametrize("row", SEEN, ids=[row.code.value for row in SEEN])
def test_a_code_is_in_status_metric_and_log_with_the_way_out(row, caplog):
    caplog.set_level(logging.INFO, "mcd_rt")
    seen = asyncio.run(provoke(row))
    code, failure = row.code.value, seen.failure
    assert failure.hint, "there is no way out in it"
    told = flat(seen.status)
    assert f"{code}: {flat(failure.message)}" in told
    assert f"to do: {flat(failure.hint)}" in told
    assert f"`mcd-rt explain {code}`" in told
    active = f'mcd_rt_active_failure{{code="{code}"}}'
    assert f"{active} {0.0 if row.gate else 1.0}" in seen.metrics
    assert row.gate is None or f'mcd_rt_reboot_gate{{gate="{row.gate}"}} 1.0' in seen.metrics
    [counted] = [
        line for line in seen.metrics.splitlines() if line.startswith(f'mcd_rt_failures_total{{code="{code}"}}')
    ]
    assert (float(counted.split()[-1]) >= 1) is (row.gate is None)
    level = logging.WARNING if row.gate is None else logging.INFO
    lines = [flat(record.getMessage()) for record in caplog.records if record.levelno >= level]
    assert any(f"{code}: " in line and flat(failure.hint) in line for line in lines), lines


def test_a_row_whose_code_does_not_come_fails(monkeypatch):
    monkeypatch.setattr("tests.provoked.trying.PATIENCE", 1.0)  # in which it comes to config-missing, however busy
    never = Row(Code.FIPS_REFUSED, BY_CODE[Code.CONFIG_MISSING].lever)
    with pytest.raises(TimeoutError, match="config-missing"):
        asyncio.run(provoke(never))


# What only the one who typed a command is told


@contextlib.contextmanager
def running(paths, *, listens):
    """An agent runs; where it ``listens``, it takes what is asked and goes away without an answer."""
    with only_agent(EffectsDouble(), paths), socket.socket(socket.AF_UNIX) as listening:
        if listens:
            listening.bind(str(paths.control))
            listening.listen()

            def take():
                with contextlib.suppress(OSError):
                    asked, _ = listening.accept()
                    with asked:
                        asked.recv(4096)

            taking = threading.Thread(target=take)
            taking.start()
        yield
        if listens:
            taking.join()


@pytest.mark.parametrize(
    ("code", "verb", "agent"),
    [
        (Code.AGENT_RUNNING, ("run",), running),
        (Code.AGENT_NOT_RUNNING, ("status",), None),
        (Code.CONTROL_REFUSED, ("retry",), running),
        (Code.SIMULATION_FAILED, ("demo",), None),
    ],
)
def test_who_types_a_command_is_told_the_code_and_the_way_out(tmp_path, code, verb, agent):
    assert BY_CODE[code].unseen
    paths = HostPaths(tmp_path)
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cmdline").write_text("quiet\n")
    environment = {"MCD_RT_ROOT": str(tmp_path), "PATH": str(tmp_path)}
    with agent(paths, listens=code is Code.CONTROL_REFUSED) if agent else contextlib.nullcontext():
        done = call(*verb, environment=environment)
    assert done.returncode == 1
    first, hint = done.stderr.splitlines()[:2]
    assert f"mcd-rt: {code}: " in first
    assert hint.startswith("        ")
    assert len(hint.strip()) > 5
    assert "Traceback" not in done.stderr


def test_the_rows_that_are_argued_are_the_ones_that_are_typed():
    typed = {Code.AGENT_RUNNING, Code.AGENT_NOT_RUNNING, Code.CONTROL_REFUSED, Code.SIMULATION_FAILED}
    assert {row.code for row in ROWS if row.unseen} == typed
