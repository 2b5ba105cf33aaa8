"""A genuine journald takes the agent's lines with their fields, and explains them out of the catalogue."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from mcd_rt.errors import Code
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.state import State
from mcd_rt.report.events import message_id
from tests.system.container import why_not
from tests.system.host.scene import STEADY_REALTIME, Host

CATALOG = Path(__file__).parents[2] / "packaging/catalog/mcd-rt.catalog"

on_a_host = pytest.mark.skipif(bool(why_not()), reason=why_not())


def lines(host: Host, *matches: str) -> list[dict[str, str]]:
    """What an operator's query finds."""
    told = host.machine.run("journalctl", "-u", "mcd-rt", "-o", "json", "--no-pager", *matches)
    return [json.loads(line) for line in told.splitlines()]


@on_a_host
def test_a_switch_is_found_by_field_and_explained(host: Host):
    host.boot()
    host.journal.wait_for("waiting: config-missing")
    host.ask_for(KernelType.REALTIME)
    host.wait_reboot()
    host.journal.wait_for(STEADY_REALTIME)
    [missing] = lines(host, f"MCD_RT_CODE={Code.CONFIG_MISSING}")
    assert missing["_TRANSPORT"] == "journal"
    assert missing["SYSLOG_IDENTIFIER"] == "mcd-rt"
    assert missing["PRIORITY"] == "4"
    assert missing["MESSAGE"].startswith("waiting: config-missing: ")
    assert missing["MCD_RT_HINT"] in missing["MESSAGE"]
    [staging] = lines(host, "MCD_RT_STATE=staging")
    assert staging["MESSAGE_ID"] == message_id(State.STAGING)
    assert staging["MCD_RT_CONFIG"] == "99-worker-realtime-kernel"
    assert staging["MCD_RT_KERNEL_TYPE"] == "realtime"
    whole = {line["MCD_RT_STATE"] for line in lines(host, f"MCD_RT_TARGET={staging['MCD_RT_TARGET']}")}
    assert whole == {"staging", "rebooting", "verifying"}, "a change is one search, across its reboot"

    host.machine.run("journalctl", "--update-catalog")
    explained = host.machine.run("journalctl", "-x", "-u", "mcd-rt", "--no-pager")
    assert f"Subject: failure {Code.CONFIG_MISSING}\n" in explained
    assert "Subject: state steady\n" in explained
    assert f"The way out, as it was said: {missing['MCD_RT_HINT']}\n" in explained
    assert "Config: 99-worker-realtime-kernel (kernel type: realtime)\n" in explained
    assert "@MCD_RT" not in explained


@on_a_host
def test_without_a_journal_to_speak_with_the_lines_are_text(host: Host):
    """What journald's socket would say is refused: by its directory, which the unit does not see."""
    host.drop_in("mcd-rt.service", "[Service]\nInaccessiblePaths=/run/systemd/journal/socket\n")
    host.boot()
    host.journal.wait_for("waiting: config-missing")
    [line] = lines(host, "--grep=waiting: config-missing")
    assert (line["_TRANSPORT"], line["PRIORITY"]) == ("stdout", "4")
    assert "MESSAGE_ID" not in line


def test_journalctl_takes_the_catalogue(tmp_path: Path):
    for name in ("usr/lib/systemd/catalog", "var/lib/systemd/catalog"):
        (tmp_path / name).mkdir(parents=True)
    shutil.copy(CATALOG, tmp_path / "usr/lib/systemd/catalog")
    root = f"--root={tmp_path}"
    made = subprocess.run(["journalctl", "--update-catalog", root], capture_output=True, check=True, text=True)
    assert made.stderr == ""
    listed = subprocess.run(["journalctl", "--list-catalog", root], capture_output=True, check=True, text=True)
    found = [line.split()[0] for line in listed.stdout.splitlines()]
    assert sorted(found) == sorted(message_id(each) for kind in (State, Code) for each in kind)
