"""The demo's scenarios: each goes as told, says so as JSON, and says so too where it does not."""

import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mcd_rt.cli import demo_switch, demo_upgrade
from mcd_rt.cli.demo_stage import Count
from mcd_rt.cli.main import main

pytestmark = pytest.mark.story

OS_8, OS_9, OS_NEXT, OS_FEWER = (
    "44.82.202004090606-0",
    "416.94.202405090606-0",
    "418.94.202410010606-0",
    "419.94.202503010606-0",
)


def played(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", "mcd_rt", "demo", "--json", *arguments],
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    *lines, last = done.stdout.splitlines()
    return lines, json.loads(last)


@pytest.mark.parametrize(
    ("version", "el", "releases"),
    [("2024.9", "9", (OS_9, OS_NEXT, OS_FEWER, OS_9)), ("2020.8", "8", (OS_8, OS_9, OS_NEXT, OS_8))],
)
def test_upgrades_keep_realtime_in_one_reboot_each(version, el, releases):
    lines, told = played("--scenario", "upgrade", "--rpm-ostree", version, "--el", el)
    updates = told["updates"]
    assert [(each["from_os"], each["to_os"]) for each in updates] == list(itertools.pairwise(releases))
    assert [(each["assemblies"], each["reboots"]) for each in updates] == [(1, 1), (2, 1), (1, 1)]
    for each in updates:
        assert (each["from"], each["kernel_type"], each["os_changed"], each["verified"]) == (
            *["realtime"] * 2,
            True,
            True,
        )
    assert (
        "  the kernel arguments now: root=UUID=6b1ec5d8-1a3f-4e24-b0f6-b5d5e6a8c9d0 rw ignition.platform.id=metal "
        "nohz_full=2-7 irqaffinity=0-1" in lines
    )


@pytest.mark.parametrize(("version", "el"), [("2024.9", "9"), ("2020.8", "8")])
def test_beside_an_mcd_the_second_reboot_is_ours_and_then_we_only_look(version, el):
    lines, told = played("--scenario", "beside-mcd", "--rpm-ostree", version, "--el", el)
    assert told["scenario"] == "beside-mcd"
    for name in ("switch", "convergence"):
        measured = told[name]
        assert (measured["assemblies"], measured["reboots"], measured["verified"]) == (1, 1, True), name
        assert measured["os_changed"] is False
    assert told["mcd_update"] == {"kept_kernel": True, "assemblies": 1, "reboots": 1}
    assert told["observed"] is True
    assert any(line.startswith("  it came up with the new OS and the old kernel-rt (") for line in lines)
    assert "  the MCD asks for realtime itself        nothing was done" in lines


def test_an_update_that_takes_more_than_told_is_exit_code_1(monkeypatch, capsys):
    [first, *_] = demo_upgrade._ACTS
    cheaper = demo_upgrade._Act(first.words, first.release, first.arguments, Count(assemblies=0, reboots=1))
    monkeypatch.setattr(demo_upgrade, "_ACTS", (cheaper,))
    assert main(["demo", "--scenario", "upgrade"]) == 1
    assert "1 assembly, 1 reboot" in capsys.readouterr().out


def test_a_switch_that_takes_more_than_told_is_exit_code_1(monkeypatch, capsys):
    monkeypatch.setattr(demo_switch, "_ONE_OF_EACH", Count(assemblies=1, reboots=2))
    assert main(["demo"]) == 1
    assert "the same config again: nothing was done" in capsys.readouterr().out


def test_a_scenario_that_does_not_exist_is_a_usage_error(capsys):
    assert main(["demo", "--scenario", "downgrade"]) == 64
    assert "beside-mcd" in capsys.readouterr().err


def test_the_readme_names_the_scenarios_that_are_played_here():
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    [block] = re.findall(r"<!-- scenarios -->\n```sh\n(.*?)\n```", readme, re.DOTALL)
    commands = [line.partition("#")[0].split() for line in block.splitlines()]
    assert [words[1:] for words in commands] == [["demo", "--scenario", name] for name in ("upgrade", "beside-mcd")]
