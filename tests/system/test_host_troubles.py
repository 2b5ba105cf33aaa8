"""What goes wrong on real hosts, and what an operator reads of it."""

import pytest

from mcd_rt.model.kernel import KernelType
from tests.system.container import why_not
from tests.system.host.scene import STEADY_DEFAULT, STEADY_REALTIME, Host

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())
QUICK_RESTART = "[Service]\nRestartSec=100ms\n"
SLOW = "0.05 2024.9\n"
WITHOUT_JOURNAL = "[Service]\nSupplementaryGroups=\n"
FILLED = """\
[Service]
ExecStop=
ExecStop=/bin/sh -c 'head -c 100M /dev/zero > /boot/filler; true'
ExecStop=/usr/bin/ostree admin finalize-staged
"""


def make_slow(host: Host) -> None:
    """A transaction takes a second or two, so that there is time to do something to it."""
    (host.machine.etc / "simulated-rpm-ostreed").write_text(SLOW)


@pytest.mark.parametrize("reads_journal", [True, False])
def test_a_full_boot_at_the_last_moment_is_told_in_ostrees_words(host: Host, reads_journal):
    """The words are in the previous boot's journal, which takes a group; without it the failure is told too."""
    host.machine.give_boot_a_disk(64)
    host.drop_in("ostree-finalize-staged.service", FILLED)
    host.configure("[reboot]\nattempts_per_target = 1\n")
    if not reads_journal:
        host.drop_in("mcd-rt.service", WITHOUT_JOURNAL)
    host.boot()
    host.ask_for(KernelType.REALTIME)
    host.wait_reboot()
    failed = host.journal.wait_for("was not finalized")
    assert ("No space left on device" in failed.text) is reads_journal, failed
    host.journal.wait_for("held: target-held")
    assert host.status()["running"] == "default"
    assert host.show("StatusText")["StatusText"].startswith("held: ")
    assert len(host.deployments) == 1


@pytest.mark.parametrize("agent_runs", [True, False])
def test_a_rollback_by_an_administrator_is_seen_and_not_fought(host: Host, agent_runs):
    """Whether the agent sees it being typed or only what booted then; the budget of the day allows for more."""
    host.boot()
    host.ask_for(KernelType.REALTIME)
    host.wait_reboot()
    host.journal.wait_for(STEADY_REALTIME)
    if not agent_runs:
        host.machine.run("systemctl", "stop", "mcd-rt")
    assert host.as_client("Rollback").startswith("Done")
    if agent_runs:
        host.journal.wait_for("held: rolled-back")
    host.machine.run("systemctl", "reboot", "--no-block")
    host.wait_reboot()
    host.journal.wait_for("held: rolled-back")
    assert host.status()["running"] == "default"
    assert host.machine.boots == 3
    assert sum("UpdateDeployment" in line for line in host.transactions()) == 1


@pytest.mark.parametrize("state", ["fetching: ", "staging: ", "rebooting: ", "verifying: ", "steady: "])
def test_killed_in_any_state_it_arrives(host: Host, state):
    make_slow(host)
    host.drop_in("mcd-rt.service", QUICK_RESTART)
    host.boot()
    host.ask_for(KernelType.REALTIME)
    after_the_reboot = state in ("verifying: ", "steady: ")
    if after_the_reboot:
        host.wait_reboot()
    host.journal.wait_for(state)
    host.machine.attempt("systemctl", "kill", "--signal=KILL", "mcd-rt")
    if after_the_reboot:
        host.journal.wait_for("Scheduled restart job, restart counter is at 1")
        host.journal.wait_for(STEADY_REALTIME)
        assert host.show("NRestarts") == {"NRestarts": "1"}
    else:
        host.wait_reboot()
        host.journal.wait_for(STEADY_REALTIME)
    assert host.status()["running"] == "realtime"
    assert host.machine.boots == 2
    assert sum("UpdateDeployment" in line for line in host.transactions()) == 1


def test_a_hung_agent_is_aborted_by_the_watchdog_and_goes_on(host: Host):
    make_slow(host)
    host.drop_in("mcd-rt.service", f"{QUICK_RESTART}WatchdogSec=1s\nTimeoutAbortSec=1s\n")
    host.boot()
    host.ask_for(KernelType.REALTIME)
    host.journal.wait_for("staging: ")
    host.machine.run("systemctl", "kill", "--signal=STOP", "mcd-rt")
    host.journal.wait_for("Watchdog timeout")
    host.journal.wait_for("Failed with result 'watchdog'")
    host.wait_reboot()
    host.journal.wait_for(STEADY_REALTIME)
    assert sum("UpdateDeployment" in line for line in host.transactions()) == 1


def test_a_power_cut_while_staging_leaves_the_old_system_and_then_the_new_one(host: Host):
    make_slow(host)
    host.boot()
    host.ask_for(KernelType.REALTIME)
    host.journal.wait_for("staging: ")
    host.machine.cut_power()
    host.boot()
    assert len(host.deployments) == 1
    host.wait_reboot()
    host.journal.wait_for(STEADY_REALTIME)


def test_the_machine_config_daemons_way_ends_well_with_a_second_reboot(host: Host):
    """It rebases and reboots at once: the new base comes up with the old kernel-rt, and we converge."""
    host.boot()
    host.ask_for(KernelType.REALTIME)
    host.wait_reboot()
    host.journal.wait_for(STEADY_REALTIME)
    host.machine.run("systemctl", "stop", "mcd-rt")
    [reference] = host.bases[1].refspecs
    assert host.as_client("Cleanup", "pending-deploy").startswith("Done")
    assert host.as_client("Rebase", reference).startswith("Done")
    host.ask_for(KernelType.REALTIME, release=1)
    etc = host.machine.etc
    host.machine.run("systemctl", "reboot", "--no-block")
    host.wait_reboot()
    assert host.machine.etc != etc
    host.wait_reboot()
    host.journal.wait_for(STEADY_REALTIME)
    assert host.status()["kernel_release"] == "5.14.0-427.rt14.427.el9.x86_64+rt"
    assert host.machine.boots == 4


def test_another_clients_locked_work_is_left_alone(host: Host):
    host.boot()
    answer = host.as_client("KernelArgs", "debug")
    assert answer.startswith("Done"), answer
    host.ask_for(KernelType.REALTIME)
    told = host.journal.wait_for("blocked: staged-by-another")
    assert "rhcos-" in told.text
    assert [line.split()[1] for line in host.transactions()] == ["KernelArgs"]
    assert host.as_client("Cleanup", "pending-deploy").startswith("Done")
    host.wait_reboot()
    host.journal.wait_for(STEADY_REALTIME)


def test_what_is_wanted_no_more_before_the_reboot_is_dropped(host: Host):
    host.configure('[reboot]\nstrategy = "never"\n')
    host.boot()
    host.ask_for(KernelType.REALTIME)
    host.journal.wait_for("staged: ")
    assert "(staged)" in host.deployments[0]
    assert host.machine.attempt("test", "-e", "/run/ostree/staged-deployment-locked").returncode == 0
    host.ask_for(KernelType.DEFAULT)
    host.journal.wait_for(STEADY_DEFAULT)
    assert len(host.deployments) == 1


def test_somebody_elses_reboot_does_not_apply_what_is_locked(host: Host):
    host.configure('[reboot]\nstrategy = "never"\n')
    host.boot()
    host.ask_for(KernelType.REALTIME)
    host.journal.wait_for("staged: ")
    host.machine.run("systemctl", "reboot", "--no-block")
    host.wait_reboot()
    # By its own name: journald may not know any more which unit a process was of that said something and ended.
    finalizer = host.machine.run("journalctl", "--boot=-1", "--identifier=ostree", "--output=cat")
    assert "Not finalizing" in finalizer
    assert len(host.deployments) == 1
    assert host.status()["running"] == "default"
