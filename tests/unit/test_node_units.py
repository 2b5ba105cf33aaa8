"""The units that tune the node and that run before its first workload: what they do, and when they must not."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.settings import FirstbootSettings

TOP = Path(__file__).parents[2]
UNITS = TOP / "systemd"
SYSCTL = Path("/usr/lib/systemd/systemd-sysctl")
DEFAULTS = TOP / "packaging/sysctl.d/50-realtime.conf"


def values_of(unit, key):
    text = (UNITS / f"mcd-rt-{unit}.service").read_text().replace("\\\n", " ")
    return re.findall(rf"^{key}=(.*)$", text, re.MULTILINE)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="this host has no systemd-analyze")
@pytest.mark.parametrize("unit", ["sysctl", "firstboot"])
def test_systemd_has_nothing_to_say_about_a_unit(tmp_path, unit):
    text = (UNITS / f"mcd-rt-{unit}.service").read_text().replace("/usr/bin/mcd-rt", "/bin/true")
    place = tmp_path / f"mcd-rt-{unit}.service"
    place.write_text("".join(line for line in text.splitlines(keepends=True) if "man:" not in line))
    done = subprocess.run(["systemd-analyze", "verify", str(place)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


# Kernel settings


@pytest.fixture
def apply(tmp_path):
    """What the unit's command does on a host: the files it hands to systemd-sysctl, in order."""
    tool = tmp_path / "systemd-sysctl"
    tool.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    tool.chmod(0o755)
    [command] = values_of("sysctl", "ExecStart")
    shell = re.fullmatch(r"/bin/sh -c '(.*)' mcd-rt-sysctl", command)
    assert shell is not None
    script = shell[1].replace("$$", "$").replace(str(SYSCTL), str(tool))
    for place in ("/usr/lib/mcd-rt", "/etc/mcd-rt"):
        assert place in script
        script = script.replace(place, f"{tmp_path}{place}")

    def applied(**files):
        for place, names in files.items():
            directory = tmp_path / {"usr": "usr/lib", "etc": "etc"}[place] / "mcd-rt/sysctl.d"
            directory.mkdir(parents=True)
            for name in names:
                (directory / name).write_text("")
        done = subprocess.run(["/bin/sh", "-c", script, "mcd-rt-sysctl"], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        return [str(Path(line).relative_to(tmp_path)) for line in done.stdout.splitlines()]

    return applied


def test_without_files_nothing_is_applied(apply):
    assert apply() == []


def test_files_of_etc_come_last_and_take_the_place_of_their_name(apply):
    assert apply(usr=["50-a.conf", "60-b.conf", "README"], etc=["10-c d.conf", "50-a.conf"]) == [
        "usr/lib/mcd-rt/sysctl.d/60-b.conf",
        "etc/mcd-rt/sysctl.d/10-c d.conf",
        "etc/mcd-rt/sysctl.d/50-a.conf",
    ]


def test_a_vanilla_kernel_is_never_tuned():
    assert values_of("sysctl", "ConditionPathExists") == ["/sys/kernel/realtime"]
    assert "/etc/sysctl.d" not in (UNITS / "mcd-rt-sysctl.service").read_text()


@pytest.mark.skipif(not SYSCTL.exists(), reason="this host has no systemd-sysctl")
def test_systemd_sysctl_understands_the_defaults():
    """It is told to write only below a place that does not exist."""
    done = subprocess.run([SYSCTL, "--prefix=/proc/sys/nothing", DEFAULTS], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_default_is_explained():
    keys = re.findall(r"^([a-z_.]+) = ", DEFAULTS.read_text(), re.MULTILINE)
    page = (TOP / "docs/tuning.md").read_text()
    assert keys
    for key in keys:
        assert f"| `{key}` |" in page, key


# Before the first workload


def test_the_first_boot_is_never_together_with_the_machine_config_daemons():
    conditions = values_of("firstboot", "ConditionPathExists")
    assert "!/etc/ignition-machine-config-encapsulated.json" in conditions
    assert "machine-config-daemon-firstboot.service" in values_of("firstboot", "After")


def test_the_first_boot_is_once():
    done = HostPaths(Path("/")).firstboot_done
    assert f"!{done}" in values_of("firstboot", "ConditionPathExists")


def test_the_first_boot_comes_before_kubelet_and_cannot_keep_it_from_starting():
    text = (UNITS / "mcd-rt-firstboot.service").read_text()
    [before] = values_of("firstboot", "Before")
    assert {"kubelet.service", "crio.service", "mcd-rt.service"} <= set(before.split())
    for stronger in ("RequiredBy=", "OnFailure=", "FailureAction=", "Restart=", "BindsTo="):
        assert f"\n{stronger}" not in text
    assert values_of("firstboot", "WantedBy") == ["multi-user.target"]


def test_systemd_is_more_patient_than_the_first_boot_itself():
    [limit] = values_of("firstboot", "TimeoutStartSec")
    assert limit.endswith("min")
    assert int(limit.removesuffix("min")) * 60 > FirstbootSettings().timeout
