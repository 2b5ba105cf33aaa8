"""The health check for greenboot: it fails a boot for a wrong kernel in the right deployment, and for nothing else."""

import os
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mcd_rt.effects import HostEffects
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.record import Phase, Record
from mcd_rt.record import save_record
from mcd_rt.sim.hostfiles import RHCOS
from tests.unit.nodes import EL9, EL9_RT, attempt_of, target_of

CHECK = Path(__file__).parents[2] / "packaging/greenboot/required.d/50-mcd-rt.sh"
DEPLOYMENT = "d" * 64 + ".0"
BOOT = "/ostree/boot.1/rhcos/bbbb/0"


@pytest.fixture
def host(tmp_path):
    """A host that came up after our reboot; its ``mcd-rt`` is the one under test."""
    root = tmp_path / "root"
    facts = {
        "etc/os-release": RHCOS.format(version="416.94"),
        "proc/sys/kernel/osrelease": f"{EL9_RT.uname}\n",
        "proc/sys/kernel/version": "#1 SMP PREEMPT_RT\n",
        "proc/sys/kernel/arch": "x86_64\n",
        "proc/sys/kernel/random/boot_id": "boot-now\n",
        "proc/cmdline": f"root=UUID=1 ostree={BOOT}\n",
        "run/ostree-booted": "",
        "usr/bin/mcd-rt": f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m mcd_rt "$@"\n',
    }
    for name, text in facts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "usr/bin/mcd-rt").chmod(0o755)
    boots_into(root, DEPLOYMENT)
    attempt = replace(attempt_of(target_of(EL9, EL9_RT), phase=Phase.REBOOTING), deployment_id=f"rhcos-{DEPLOYMENT}")
    remember(root, Record(attempt=replace(attempt, boot_id="boot-before")))
    return root


def remember(root, record):
    save_record(HostEffects(), HostPaths(root), record)


def boots_into(root, deployment):
    link = root / BOOT.lstrip("/")
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(f"../../../deploy/rhcos/deploy/{deployment}")


def runs_default(root):
    (root / "proc/sys/kernel/osrelease").write_text(f"{EL9.uname}\n")
    (root / "proc/sys/kernel/version").write_text("#1 SMP PREEMPT_DYNAMIC\n")


def check(root):
    path = os.pathsep.join((str(root / "usr/bin"), os.environ["PATH"]))
    environment = os.environ | {"MCD_RT_ROOT": str(root), "PATH": path}
    done = subprocess.run(["/bin/sh", CHECK], env=environment, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout


def test_the_check_can_be_run_by_greenboot():
    assert os.access(CHECK, os.X_OK)


def test_the_right_kernel_passes(host):
    code, text = check(host)
    assert code == 0
    assert '"verified": true' in text
    assert '"wanted": "realtime"' in text


def test_a_wrong_kernel_in_the_right_deployment_fails_and_is_said(host):
    runs_default(host)
    code, text = check(host)
    assert code == 1
    assert "the wrong kernel runs" in text
    assert EL9.uname in text


def fell_back(root):
    boots_into(root, "e" * 64 + ".0")


def cannot_be_seen(root):
    (root / BOOT.lstrip("/")).unlink()


def no_switch(root):
    remember(root, Record())


def settings_wrong(root):
    drop_in = root / "etc/mcd-rt/config.d/50-wrong.toml"
    drop_in.parent.mkdir(parents=True)
    drop_in.write_text("[no]\n")


def record_damaged(root):
    HostPaths(root).record.write_text("{")


def facts_missing(root):
    (root / "proc/sys/kernel/random/boot_id").unlink()


def not_installed(root):
    (root / "usr/bin/mcd-rt").write_text("#!/bin/sh\nexit 127\n")


@pytest.mark.parametrize(
    "trouble", [fell_back, cannot_be_seen, no_switch, settings_wrong, record_damaged, facts_missing, not_installed]
)
def test_nothing_else_makes_a_boot_fail(host, trouble):
    runs_default(host)
    trouble(host)
    code, text = check(host)
    assert (code, text.startswith("mcd-rt")) == (0, True), text
