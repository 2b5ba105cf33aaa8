"""Strategies in which others have a say, on a real host: who watches a sentinel, and a lock server over TLS."""

import shutil
from pathlib import Path

import pytest

from mcd_rt.model.kernel import KernelType
from tests.system.container import why_not
from tests.system.host.locks import granting
from tests.system.host.scene import STEADY_REALTIME, Host
from tests.system.registry import Authority

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())

OWN = "/run/mcd-rt/reboot-required"
ELSEWHERE = "/run/kured/reboot-required"
CA = "pki/tls/certs/locks.crt"


def prepare_own(host: Host) -> None:
    """As it comes: no path is set, no unit is changed. kured's own path leads there."""
    host.configure('[reboot]\nstrategy = "sentinel"\n')
    (host.machine.etc / "tmpfiles.d").mkdir(exist_ok=True)
    (host.machine.etc / "tmpfiles.d/kured.conf").write_text("L /run/reboot-required - - - - mcd-rt/reboot-required\n")


def prepare_elsewhere(host: Host) -> None:
    """Another directory: the agent's user must be able to write there, and its unit."""
    host.configure(f'[reboot]\nstrategy = "sentinel"\n[reboot.sentinel]\npath = "{ELSEWHERE}"\n')
    (host.machine.etc / "tmpfiles.d").mkdir(exist_ok=True)
    (host.machine.etc / "tmpfiles.d/kured.conf").write_text("d /run/kured 0755 mcd-rt mcd-rt\n")
    host.drop_in("mcd-rt.service", "[Service]\nReadWritePaths=/run/kured\n")


@pytest.mark.parametrize(
    ("prepare", "watched"),
    [
        pytest.param(prepare_own, "/var/run/reboot-required", id="in the agent's own directory"),
        pytest.param(prepare_elsewhere, ELSEWHERE, id="elsewhere, with a drop-in"),
    ],
)
def test_others_see_the_sentinel_and_reboot_and_the_boot_is_verified(host: Host, prepare, watched: str):
    prepare(host)
    host.boot()
    seen = ("test", "-f", watched)
    assert host.machine.attempt(*seen).returncode == 1
    host.ask_for(KernelType.REALTIME)
    host.journal.wait_for("asks others to drain the node and reboot it")
    host.machine.run(*seen)
    assert host.machine.boots == 1
    shown = host.status()
    assert (shown["state"], shown["staged_locked"]) == ("staged", False)
    host.machine.attempt("systemctl", "reboot", "--no-block")  # as kured does it
    host.wait_reboot()
    host.journal.wait_for(STEADY_REALTIME)
    assert host.machine.boots == 2
    assert host.machine.attempt(*seen).returncode == 1


def test_a_place_that_the_agent_may_not_write_to_is_said(host: Host):
    host.configure('[reboot]\nstrategy = "sentinel"\n[reboot.sentinel]\npath = "/var/run/reboot-required"\n')
    host.boot()
    host.ask_for(KernelType.REALTIME)
    line = host.journal.wait_for("sentinel-failed: ")
    assert "/var/run/" in line.text
    assert host.status()["state"] == "retrying"


def trust(host: Host, certificate: Path) -> str:
    """What an administrator installs of the lock server's authority; its path on the host."""
    place = host.machine.etc / CA
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(certificate, place)
    place.chmod(0o644)
    return f"/etc/{CA}"


def test_a_slot_is_asked_for_over_tls_by_the_worker_and_given_back_after_the_verified_boot(
    host: Host, authority: Authority
):
    with granting(host.machine, authority) as locks:
        text = f'[reboot]\nstrategy = "fleet-lock"\n[reboot.fleet_lock]\nurl = "{locks.url}"\n'
        host.configure(f'{text}ca = "{trust(host, authority.certificate)}"\n')
        host.boot()
        host.ask_for(KernelType.REALTIME)
        name, holders = locks.wait_for("pre-reboot")
        assert holders == [name]
        host.wait_reboot()
        assert locks.wait_for("steady-state") == (name, [])
        host.journal.wait_for("is given back")
        # Nothing is fetched in this boot: who asked the server was the worker's unit.
        host.journal.wait(lambda line: line.text.startswith("Started mcd-rt-fetch@"), "the unit of the worker")
        host.journal.wait_for(STEADY_REALTIME)
        assert host.machine.boots == 2


def test_a_lock_server_whose_certificate_nobody_vouches_for_is_not_asked(host: Host, authority: Authority):
    with granting(host.machine, authority) as locks:
        host.configure(f'[reboot]\nstrategy = "fleet-lock"\n[reboot.fleet_lock]\nurl = "{locks.url}"\n')
        host.boot()
        host.ask_for(KernelType.REALTIME)
        line = host.journal.wait_for("lock-unreachable: ")
        assert "certificate" in line.text
        assert host.status()["state"] == "staged"
        assert host.machine.boots == 1


def test_a_shutdown_that_an_administrator_has_scheduled_is_waited_for_and_stays(host: Host):
    host.configure('[reboot]\nstrategy = "immediate"\nwarning = 1.0\n')
    host.boot()
    host.machine.run("shutdown", "-h", "+600", "maintenance")
    shown = ("busctl", "get-property", "org.freedesktop.login1", "/org/freedesktop/login1")
    shown = (*shown, "org.freedesktop.login1.Manager", "ScheduledShutdown")
    scheduled = host.machine.run(*shown)
    assert '"poweroff"' in scheduled
    host.ask_for(KernelType.REALTIME)
    host.journal.wait_for("waits for the poweroff that somebody has scheduled")
    assert host.machine.run(*shown) == scheduled
    host.machine.run("shutdown", "-c")
    host.machine.attempt("mcd-rt", "reboot")
    host.wait_reboot()
    host.journal.wait_for(STEADY_REALTIME)
