"""Hosts that lack something: the agent says what, stays up, breaks nothing, and goes on when it is there."""

import json
import time
from collections.abc import Callable

import pytest

from mcd_rt.model.kernel import KernelType
from tests.system.container import why_not
from tests.system.host.scene import STEADY_DEFAULT, STEADY_REALTIME, Host

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())
LIVES = {"ActiveState": "active", "NRestarts": "0"}


def mask(host: Host, *units: str) -> None:
    for unit in units:
        (host.machine.etc / f"systemd/system/{unit}").symlink_to("/dev/null")


def test_without_polkit_it_says_so_and_goes_on_when_it_is_back(host: Host):
    """rpm-ostreed cannot ask what the agent may, and passes on what it is told itself."""
    mask(host, "polkit.service")
    host.boot()
    host.ask_for(KernelType.REALTIME)
    told = host.journal.wait_for("retrying: rpm-ostree-unavailable").text
    assert "polkit.service is masked" in told
    assert "systemctl status polkit" in told
    assert host.show(*LIVES) == LIVES
    assert host.transactions() == []
    (host.machine.etc / "systemd/system/polkit.service").unlink()
    host.machine.run("systemctl", "daemon-reload")
    host.wait_reboot()
    host.journal.wait_for(STEADY_REALTIME)


def test_without_logind_nothing_is_rebooted_and_it_goes_on_when_it_is_back(host: Host):
    mask(host, "systemd-logind.service")
    host.boot()
    host.ask_for(KernelType.REALTIME)
    told = host.journal.wait_for("reboot-refused")
    assert "logind" in told.text
    assert "(staged)" in host.deployments[0]
    assert host.show(*LIVES) == LIVES
    (host.machine.etc / "systemd/system/systemd-logind.service").unlink()
    host.machine.run("systemctl", "daemon-reload")
    host.machine.run("systemctl", "start", "systemd-logind")
    host.wait_reboot()
    host.journal.wait_for(STEADY_REALTIME)


def test_without_ostree_it_is_unsupported_and_healthy(host: Host):
    host.drop_in("simulated-kernel.service", "[Service]\nExecStartPost=/bin/rm /run/ostree-booted\n")
    host.boot()
    host.ask_for(KernelType.REALTIME)
    host.journal.wait_for("unsupported: ")
    assert host.show(*LIVES) == LIVES
    assert host.machine.attempt("systemctl", "is-active", "rpm-ostreed").stdout == "inactive\n"


def test_with_rpm_ostree_masked_it_says_so(host: Host):
    mask(host, "rpm-ostreed.service")
    host.boot()
    host.ask_for(KernelType.REALTIME)
    assert "masked" in host.journal.wait_for("retrying: rpm-ostree-unavailable").text
    assert host.show(*LIVES) == LIVES


def test_without_rpm_ostree_it_says_so_and_tries_again(host: Host):
    activation = "/usr/share/dbus-1/system-services/org.projectatomic.rpmostree1.service"
    host.machine.options.append(f"--bind-ro=/dev/null:{activation}")
    host.boot()
    host.ask_for(KernelType.REALTIME)
    host.journal.wait_for("retrying: rpm-ostree-unavailable")
    assert host.show(*LIVES) == LIVES
    host.machine.run("systemctl", "start", "rpm-ostreed")
    host.machine.options.pop()
    host.wait_reboot()
    host.journal.wait_for(STEADY_REALTIME)


def test_without_systemd_as_the_first_process_it_runs_and_says_what_is_there(host: Host):
    """As a container or a rescue shell has it: no notify socket, no bus, no units."""
    host.boot()
    host.machine.run("systemctl", "stop", "mcd-rt", "mcd-rt-fetch.socket", "mcd-rt-inspect.socket")
    host.ask_for(KernelType.REALTIME)
    bare = "mount -t tmpfs x /run/dbus; mount -t tmpfs x /run/systemd; exec mcd-rt apply --no-reboot"
    done = host.machine.attempt("unshare", "--mount", "sh", "-c", bare)
    assert done.returncode != 0
    assert "bus-unavailable" in done.stdout + done.stderr


def test_a_var_that_is_mounted_read_only_changes_nothing_and_is_told(host: Host):
    """As after an error of its disk: what was there can be read."""
    host.boot()
    host.journal.wait_for("waiting: config-missing")
    host.machine.power_off()
    var = host.machine.sysroot.var
    host.machine.options += [f"--bind-ro={var}:/var:norbind", f"--bind={var}/log:/var/log:norbind"]
    host.ask_for(KernelType.REALTIME)
    host.boot()
    told = host.journal.wait_for("write-failed")
    assert "Read-only file system" in told.text
    assert "/var/" in told.text
    assert host.transactions() == []
    assert host.show(*LIVES) == LIVES
    assert host.status()["running"] == "default"
    host.machine.power_off()
    del host.machine.options[-2:]
    host.boot()
    host.wait_reboot()
    host.journal.wait_for(STEADY_REALTIME)


def test_a_var_that_cannot_be_written_changes_nothing(host: Host):
    host.drop_in("mcd-rt.service", "[Service]\nStateDirectory=\nCacheDirectory=\n")
    host.boot()
    host.ask_for(KernelType.REALTIME)
    told = host.journal.wait_for("write-failed")
    assert "/var/" in told.text
    assert host.transactions() == []
    assert host.show(*LIVES) == LIVES
    assert len(host.deployments) == 1


def test_an_environment_that_names_another_bus_is_not_followed_by_the_service(host: Host):
    """Whoever may set an environment for every service could answer in rpm-ostreed's name."""
    host.boot()
    host.journal.wait_for("waiting: ")
    host.machine.run("systemctl", "start", "polkit", "rpm-ostreed")
    host.machine.run("systemctl", "set-environment", "DBUS_SYSTEM_BUS_ADDRESS=unix:path=/tmp/x", "MCD_RT_ROOT=/tmp")
    host.machine.run("systemctl", "restart", "mcd-rt")
    host.ask_for(KernelType.DEFAULT)
    host.journal.wait_for(STEADY_DEFAULT)


DAY = 24 * 3600.0


def date_reboots(host: Host, dated: Callable[[list[float]], list[float]]) -> list[float]:
    """Change when the record says that reboots of ours were, while the agent does not run; what it said before."""
    host.machine.run("systemctl", "stop", "mcd-rt")
    record = host.machine.sysroot.var / "lib/mcd-rt/record.json"
    document = json.loads(record.read_text())
    before = document["reboots"]
    record.write_text(json.dumps(document | {"reboots": dated(before)}))
    host.machine.run("systemctl", "start", "mcd-rt")
    return before


def switched(host: Host) -> None:
    host.boot()
    host.ask_for(KernelType.REALTIME)
    host.wait_reboot()
    host.journal.wait_for(STEADY_REALTIME)


@pytest.mark.parametrize("years", [-19, 10])
def test_a_reboot_that_is_dated_long_ago_or_in_the_future_costs_nothing(host: Host, years):
    switched(host)
    assert len(date_reboots(host, lambda reboots: [at + years * 365 * DAY for at in reboots])) == 1
    host.journal.wait_for(STEADY_REALTIME)
    host.ask_for(KernelType.DEFAULT)
    host.wait_reboot()
    host.journal.wait_for(STEADY_DEFAULT)
    assert host.machine.boots == 3


def test_a_budget_spent_under_a_clock_that_ran_ahead_is_held_for_a_day_and_no_longer(host: Host):
    """As with a wrong clock of the hardware, once the time came by network; a day passes by dating them once more."""
    switched(host)
    date_reboots(host, lambda reboots: [at + 3650 * DAY for at in reboots * 4])
    host.journal.wait_for(STEADY_REALTIME)
    host.ask_for(KernelType.DEFAULT)
    host.journal.wait_for("held: reboot-budget-spent")
    dated = date_reboots(host, lambda reboots: [at - DAY for at in reboots])
    assert len(dated) == 4
    assert max(dated) <= time.time()
    host.wait_reboot()
    host.journal.wait_for(STEADY_DEFAULT)
    assert host.machine.boots == 3
