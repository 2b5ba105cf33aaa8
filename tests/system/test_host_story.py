"""The main job on a real ostree host with real systemd: there, nothing to do, through an upgrade, and back."""

import pytest

from mcd_rt.model.kernel import KernelType
from tests.system.container import why_not
from tests.system.host.scene import STEADY_DEFAULT, STEADY_REALTIME, Host

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())
REALTIME_NOW, REALTIME_NEXT = "5.14.0-284.rt14.284.el9.x86_64+rt", "5.14.0-427.rt14.427.el9.x86_64+rt"


def test_there_through_an_upgrade_and_back(host: Host):
    host.boot()
    host.journal.wait_for("waiting: config-missing")
    assert host.show("StatusText")["StatusText"].startswith("waiting: ")

    host.ask_for(KernelType.REALTIME)
    host.wait_reboot()
    host.journal.wait_for(STEADY_REALTIME)
    status = host.status()
    assert (status["kernel_release"], status["running"], status["staged"]) == (REALTIME_NOW, "realtime", "")
    assert status["verified_at"] is not None
    assert host.machine.attempt("mcd-rt", "verify").returncode == 0
    assert [line.split()[0] for line in host.deployments] == ["*", "rhcos"]
    told = host.transactions()
    assert [line.split()[1] for line in told] == ["UpdateDeployment", "FinalizeDeployment"]
    assert all(line.endswith(": successful") for line in told)

    asked = host.machine.run("mcd-rt", "apply")
    assert asked.startswith("steady: realtime is wanted and runs")
    assert host.machine.attempt("mcd-rt", "plan").returncode == 0
    assert host.transactions() == told

    upgrade_keeping_realtime(host)

    host.ask_for(KernelType.DEFAULT, release=1)
    host.wait_reboot()
    host.journal.wait_for(STEADY_DEFAULT)
    assert host.status()["kernel_release"] == "5.14.0-427.el9.x86_64"
    assert host.machine.boots == 4
    shown = host.show("NRestarts", "StatusText", "ActiveState", "User", "Result")
    assert shown == {
        "NRestarts": "0",
        "StatusText": "steady: default is wanted and runs (5.14.0-427.el9.x86_64)",
        "ActiveState": "active",
        "User": "mcd-rt",
        "Result": "success",
    }
    assert "Active: active (running)" in host.machine.run("systemctl", "status", "mcd-rt")


def test_the_switch_before_the_first_workload(host: Host):
    """By the unit for it, without privileges either: the first boot that is finished is one of the real-time kernel."""
    host.drop_in("host.target", "[Unit]\nWants=mcd-rt-firstboot.service\nAfter=mcd-rt-firstboot.service\n")
    host.ask_for(KernelType.REALTIME)
    host.boot()
    assert host.machine.boots == 2
    host.journal.wait_for(STEADY_REALTIME)
    shown = host.show("User", "ActiveState", "Result", unit="mcd-rt-firstboot.service")
    assert shown == {"User": "mcd-rt", "ActiveState": "active", "Result": "success"}
    assert host.machine.attempt("test", "-e", "/var/lib/mcd-rt/firstboot-done").returncode == 0


def upgrade_keeping_realtime(host: Host) -> None:
    """Another client stages the new OS and leaves the reboot to us: one reboot for both."""
    host.ask_for(KernelType.REALTIME, release=1)
    host.journal.wait_for("waiting-for-base")
    [reference] = host.bases[1].refspecs
    assert host.as_client("Rebase", reference).startswith("Done")
    host.wait_reboot()
    host.journal.wait_for(STEADY_REALTIME)
    assert host.status()["kernel_release"] == REALTIME_NEXT
    version = "Version: 418.94.202410010606-0"
    assert host.machine.run("ostree", "admin", "status").splitlines()[1].strip() == version
    assert host.machine.boots == 3
