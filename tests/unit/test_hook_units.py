"""The runner of hooks as a unit: root, but only for the agent's user to ask, and with no more than a drain needs."""

import re
import subprocess
from pathlib import Path
from shutil import which

import pytest

from mcd_rt.hooks.ask import SOCKET
from mcd_rt.hooks.protocol import LONGEST_TIMEOUT

TOP = Path(__file__).parents[2]
UNITS = TOP / "systemd"
SERVICE, LISTENER = "mcd-rt-hooks@.service", "mcd-rt-hooks.socket"
needs_systemd = pytest.mark.skipif(which("systemd-analyze") is None, reason="this host has no systemd-analyze")


def value_of(unit, key):
    return re.findall(rf"^{key}=(.*)$", (UNITS / unit).read_text(), re.MULTILINE)


@pytest.fixture
def units(tmp_path):
    for name in (SERVICE, LISTENER):
        text = (UNITS / name).read_text().replace("/usr/bin/mcd-rt hooks", "/bin/true")
        (tmp_path / name).write_text("".join(line for line in text.splitlines(keepends=True) if "man:" not in line))
    return tmp_path


@needs_systemd
def test_systemd_has_nothing_to_say_about_them(units):
    command = ["systemd-analyze", "verify", units / LISTENER, units / SERVICE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@needs_systemd
def test_it_is_exposed_no_more_than_a_drain_needs(units):
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=33", units / SERVICE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_it_listens_where_the_agent_looks_and_nobody_else_may_ask():
    assert value_of(LISTENER, "ListenStream") == [SOCKET]
    assert (value_of(LISTENER, "SocketUser"), value_of(LISTENER, "SocketMode")) == (["mcd-rt"], ["0600"])
    assert value_of(SERVICE, "UnsetEnvironment") == ["MCD_RT_ROOT"]  # which would be another place to run programs from
    assert "User=" not in (UNITS / SERVICE).read_text().replace("SocketUser=", "")


def test_systemd_is_more_patient_than_the_longest_hook_and_ends_what_is_left():
    [limit] = value_of(SERVICE, "RuntimeMaxSec")
    assert int(limit.removesuffix("h")) * 3600 > LONGEST_TIMEOUT
    assert value_of(SERVICE, "KillMode") == ["control-group"]


def test_who_starts_the_agent_starts_the_socket():
    for unit in ("mcd-rt.service", "mcd-rt-firstboot.service"):
        assert any(LISTENER in words for words in value_of(unit, "Wants")), unit
    assert LISTENER in (TOP / "packaging/rpm/mcd-rt.spec").read_text()
