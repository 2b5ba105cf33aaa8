"""The agent's user may what docs/privileges.md says, each granted by a rule; anybody else may not, and it no more."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from mcd_rt.model.kernel import KernelType
from tests.system.container import why_not
from tests.system.host.machine import REBOOT
from tests.system.host.scene import STEADY_DEFAULT, STEADY_REALTIME, Host
from tests.system.host.usrlayer import PACKAGING, REPOSITORY, UNITS

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())
RULES = PACKAGING / "polkit/50-mcd-rt.rules"
RPM_OSTREE = "org.projectatomic.rpmostree1."
LOGIN = "org.freedesktop.login1."
ROOTS_OWN = [f"{RPM_OSTREE}{name}" for name in ("rollback", "cancel", "deploy", "upgrade")]
ROOTS_OWN += [f"{RPM_OSTREE}{name}" for name in ("repo-refresh", "repo-modify")]
ROOTS_OWN += [f"{LOGIN}{name}" for name in ("reboot-ignore-inhibit", "power-off", "halt", "set-user-linger")]
ROOTS_OWN += [f"org.freedesktop.systemd1.{name}" for name in ("manage-units", "manage-unit-files", "reload-daemon")]
NEVER = '[reboot]\nstrategy = "never"\n'
SENTINEL = '[reboot]\nstrategy = "sentinel"\n[reboot.sentinel]\npath = "/run/mcd-rt/reboot-required"\n'
LOCK = "/run/ostree/staged-deployment-locked"
ASK = 'for action; do pkcheck --action-id "$action" --process $$ >/dev/null 2>&1; echo "$action $?"; done'


def granted_by_rules() -> list[str]:
    return re.findall(r'^\s+"([a-z0-9.\-_]+)",', RULES.read_text(), re.MULTILINE)


def asked_of_polkit(host: Host, user: str, actions: list[str]) -> dict[str, bool]:
    """What polkitd answers a process of a user."""
    told = host.as_user(user, "sh", "-c", ASK, "sh", *actions).stdout
    return {line.split()[0]: line.split()[1] == "0" for line in told.splitlines()}


def test_polkit_grants_the_rules_to_the_agents_user_alone_and_no_more(host: Host):
    known = [action for action in granted_by_rules() if not action.startswith("com.redhat.tuned")]
    assert len(known) == 12
    host.boot()
    assert asked_of_polkit(host, "mcd-rt", known) == dict.fromkeys(known, True)
    assert asked_of_polkit(host, "nobody", known) == dict.fromkeys(known, False)
    assert asked_of_polkit(host, "mcd-rt", ROOTS_OWN) == dict.fromkeys(ROOTS_OWN, False)


def test_every_privilege_is_in_the_table_of_the_docs():
    table = (REPOSITORY / "docs/privileges.md").read_text()
    for action in granted_by_rules():
        assert f"`{action.rpartition('.')[2]}`" in table, action


CALLS = (
    ("RegisterClient", "", "allowed"),
    ("Reload", "", "allowed"),
    ("KernelArgs", "debug", "Done"),
    ("Cleanup", "pending-deploy", "Done"),
    ("UpdateDeployment", "override-remove-packages=kernel-modules-extra/no-pull-base", "Done"),
    (
        "UpdateDeployment",
        "set-refspec=ostree-unverified-registry:registry.example/none@sha256:00",
        "Failed(text='Creating importer: ",  # it tried
    ),
)
"""What the agent's user may, and what a good answer begins with."""
ROOTS_CALLS = (("Rollback", ""), ("Upgrade", ""))


def refused(method: str) -> str:
    kind = "Sysroot" if method in ("RegisterClient", "Reload") else "OS"
    return f"error: org.freedesktop.DBus.Error.AccessDenied: rpmostreed {kind} operation {method} not allowed for user"


def test_rpm_ostree_lets_the_agents_user_do_what_it_must_and_others_nothing(host: Host):
    host.boot()
    for method, argument, good in CALLS:
        assert host.as_client(method, argument, user="nobody").startswith(refused(method)), method
        assert host.as_client(method, argument, user="mcd-rt").startswith(good), method
    for method, argument in ROOTS_CALLS:
        assert host.as_client(method, argument, user="mcd-rt").startswith(refused(method)), method


def deny(host: Host, *actions: str) -> None:
    """By a rule of the administrator's, which comes before ours; before the boot, or with ``reloaded`` after it."""
    listed = json.dumps(actions)
    rule = f"polkit.addRule(function (a) {{ if ({listed}.indexOf(a.id) !== -1) return polkit.Result.NO; }});\n"
    rules = host.machine.etc / "polkit-1/rules.d"
    rules.mkdir(parents=True, exist_ok=True)
    (rules / "00-deny.rules").write_text(rule)


def grant(host: Host) -> None:
    """Take the denial back."""
    (host.machine.etc / "polkit-1/rules.d/00-deny.rules").unlink()
    reloaded(host)


def reloaded(host: Host) -> None:
    host.journal.wait_for("Reloading rules", unit="polkit.service")
    host.journal.wait_for("Finished loading", unit="polkit.service")


@pytest.mark.parametrize(
    ("action", "said", "arguments"),
    [
        ("client-management", "RegisterClient", ()),
        ("install-local-packages", "UpdateDeployment", ()),
        ("override", "UpdateDeployment", ()),
        ("bootconfig", "KernelArgs", ("debug",)),
        ("finalize-deployment", "FinalizeDeployment", ()),
    ],
)
def test_a_denial_is_told_and_changes_nothing_and_ends_with_the_grant(host: Host, action, said, arguments):
    deny(host, f"{RPM_OSTREE}{action}")
    host.boot()
    host.ask_for(KernelType.REALTIME, arguments=arguments)
    told = host.journal.wait_for("rpm-ostree-denied")
    assert said in told.text
    assert "(staged)" not in host.deployments[0] or said == "FinalizeDeployment"
    grant(host)
    host.machine.attempt("mcd-rt", "retry")
    host.wait_reboot()
    host.journal.wait_for(STEADY_REALTIME)


def test_denied_the_uninstalling_of_packages_it_keeps_the_kernel_and_says_so(host: Host):
    host.boot()
    host.ask_for(KernelType.REALTIME)
    host.wait_reboot()
    host.journal.wait_for(STEADY_REALTIME)
    deny(host, f"{RPM_OSTREE}install-uninstall-packages")
    reloaded(host)
    host.ask_for(KernelType.DEFAULT)
    assert "UpdateDeployment" in host.journal.wait_for("rpm-ostree-denied").text
    assert host.status()["running"] == "realtime"
    assert "(staged)" not in host.deployments[0]
    grant(host)
    host.machine.attempt("mcd-rt", "retry")
    host.wait_reboot()
    host.journal.wait_for(STEADY_DEFAULT)


def test_denied_the_cleanup_what_it_staged_stays_staged_and_locked(host: Host):
    host.configure(NEVER)
    deny(host, f"{RPM_OSTREE}cleanup")
    host.boot()
    host.ask_for(KernelType.REALTIME)
    host.journal.wait_for("staged: ")
    host.ask_for(KernelType.DEFAULT)
    assert "Cleanup" in host.journal.wait_for("rpm-ostree-denied").text
    assert "(staged)" in host.deployments[0]
    assert host.machine.attempt("test", "-e", LOCK).returncode == 0
    grant(host)
    host.machine.attempt("mcd-rt", "retry")
    host.journal.wait_for(STEADY_DEFAULT)
    assert len(host.deployments) == 1
    assert host.machine.boots == 1


def test_denied_another_base_the_os_stays_and_the_denial_is_told(os_host: Host):
    host = os_host
    host.configure('[os]\nmanage = "image"\n')
    deny(host, f"{RPM_OSTREE}rebase")
    host.boot()
    host.ask_for(KernelType.REALTIME, release=1)
    assert "UpdateDeployment" in host.journal.wait_for("rpm-ostree-denied").text
    assert len(host.deployments) == 1
    grant(host)
    host.machine.attempt("mcd-rt", "retry")
    host.wait_reboot()
    host.journal.wait_for(STEADY_REALTIME)


REBOOTING = (f"{LOGIN}reboot", f"{LOGIN}reboot-multiple-sessions")
"""The second implies the first, as systemd's policy has it."""


def test_denied_the_reboot_by_logind_it_stays_up_and_says_so(host: Host):
    """Which it asks for itself where what is staged is unlocked already."""
    host.configure(SENTINEL)
    deny(host, *REBOOTING)
    host.boot()
    host.ask_for(KernelType.REALTIME)
    host.journal.wait_for("not locked: any reboot applies it")
    host.machine.attempt("mcd-rt", "reboot")
    assert "logind did not reboot the node" in host.journal.wait_for("reboot-refused").text
    assert "(staged)" in host.deployments[0]
    assert host.status()["running"] == "default"
    grant(host)
    host.machine.attempt("mcd-rt", "reboot")
    host.wait_reboot()
    host.journal.wait_for(STEADY_REALTIME)


@pytest.mark.parametrize(
    ("denied", "method"),
    [((*REBOOTING, f"{LOGIN}set-wall-message"), "SetWallMessage"), (REBOOTING, "ScheduleShutdown")],
)
def test_denied_the_warning_there_is_no_reboot_without_one(host: Host, denied, method):
    host.configure("[reboot]\nwarning = 0.5\n")
    deny(host, *denied)
    host.boot()
    host.ask_for(KernelType.REALTIME)
    assert f"({method})" in host.journal.wait_for("reboot-refused").text
    assert "(staged)" in host.deployments[0]
    assert host.machine.attempt("test", "-e", LOCK).returncode == 0
    grant(host)
    host.machine.attempt("mcd-rt", "retry")
    host.wait_reboot()
    host.journal.wait_for(STEADY_REALTIME)


@pytest.mark.parametrize("granted", [True, False])
def test_what_grub_tells_of_a_fallback_is_read_by_an_acl(host: Host, granted):
    """Without it a fallback is told all the same, but not that boot counting was the cause."""
    grub = host.machine.sysroot.boot / "grub2"
    grub.mkdir()
    (grub / "grubenv").write_text("# GRUB Environment Block\nboot_counter=-1\n")
    (grub / "grubenv").chmod(0o600)
    grub.chmod(0o700)
    host.configure(NEVER)
    if not granted:
        mask_tmpfiles(host)
    host.boot()
    host.ask_for(KernelType.REALTIME)
    host.journal.wait_for("staged: ")
    host.machine.attempt("mcd-rt", "reboot")
    assert host.machine.wait_off() == REBOOT
    turn_boot_order(host)
    host.boot()
    told = host.journal.wait_for("rolled-back").text
    assert ("boot counting gave up" in told, "the boot order was turned" in told) == (granted, not granted)
    assert host.status()["running"] == "default"


def turn_boot_order(host: Host) -> None:
    """As a boot loader that falls back."""
    files = list((host.machine.sysroot.boot / "loader/entries").glob("*.conf"))
    texts = [file.read_text() for file in files]
    versions = [re.search(r"^version (\d+)$", text, re.MULTILINE)[0] for text in texts]
    for file, text, old, new in zip(files, texts, versions, reversed(versions), strict=True):
        file.write_text(text.replace(old, new))


def mask_tmpfiles(host: Host) -> None:
    masked = host.machine.etc / "tmpfiles.d/mcd-rt.conf"
    masked.parent.mkdir(exist_ok=True)
    masked.symlink_to("/dev/null")


DENIED_BY_THE_BUS = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <policy user="mcd-rt"><deny send_destination="org.projectatomic.rpmostree1"/></policy>
</busconfig>
"""


def test_denied_by_the_bus_it_does_not_start_rpm_ostreed_and_says_so(host: Host):
    """Starting it needs no privilege but the bus's leave to speak to it."""
    policy = host.machine.etc / "dbus-1/system.d/deny.conf"
    policy.parent.mkdir(parents=True)
    policy.write_text(DENIED_BY_THE_BUS)
    host.boot()
    host.ask_for(KernelType.REALTIME)
    assert "Rejected send message" in host.journal.wait_for("blocked: rpm-ostree-denied").text
    assert host.machine.attempt("systemctl", "is-active", "rpm-ostreed").stdout == "inactive\n"
    assert host.show("ActiveState", "NRestarts") == {"ActiveState": "active", "NRestarts": "0"}
    policy.unlink()
    host.machine.run("systemctl", "reload", "dbus")
    host.machine.attempt("mcd-rt", "retry")
    host.wait_reboot()
    host.journal.wait_for(STEADY_REALTIME)


def test_without_the_rules_the_agent_says_so_and_stays(host: Host):
    rules = host.machine.etc / "polkit-1/rules.d"
    rules.mkdir(parents=True)
    (rules / RULES.name).symlink_to("/dev/null")
    host.machine.options.append(f"--bind-ro=/dev/null:/usr/share/polkit-1/rules.d/{RULES.name}")
    host.boot()
    host.ask_for(KernelType.REALTIME)
    assert "RegisterClient" in host.journal.wait_for("rpm-ostree-denied").text
    assert host.show("ActiveState", "NRestarts") == {"ActiveState": "active", "NRestarts": "0"}
    assert host.transactions() == []


@pytest.mark.parametrize("granted", [True, False])
def test_a_config_that_is_not_for_everybody_is_read_by_an_acl(host: Host, granted):
    host.ask_for(KernelType.DEFAULT)
    dropped = host.machine.etc / "mcd-rt/machineconfig.d/99-worker-realtime-kernel.yaml"
    private = host.machine.etc / "mcd-currentconfig.json"
    private.write_text(json.dumps(yaml.safe_load(dropped.read_text())))
    dropped.unlink()
    private.chmod(0o600)
    if not granted:
        mask_tmpfiles(host)
    host.boot()
    if granted:
        host.journal.wait_for("steady: default is wanted and runs")
    else:
        assert "mcd-currentconfig.json" in host.journal.wait_for("Permission denied").text


@pytest.mark.parametrize("granted", [True, False])
def test_the_control_socket_can_be_given_only_to_a_group_of_the_agents(host: Host, granted):
    host.configure('[control]\ngroup = "adm"\n')
    if granted:
        host.drop_in("mcd-rt.service", "[Service]\nSupplementaryGroups=adm\nSystemCallFilter=@chown\n")
    host.boot()
    if granted:
        assert host.machine.run("stat", "-c", "%U %G %a", "/run/mcd-rt/control.sock") == "mcd-rt adm 660\n"
        assert host.machine.run("mcd-rt", "apply").startswith("waiting: ")
    else:
        assert "not permitted" in host.journal.wait_for("control.sock").text


def test_what_root_left_behind_becomes_the_agents(host: Host):
    host.boot()
    host.machine.run("systemctl", "stop", "mcd-rt")
    host.machine.run("sh", "-c", "mkdir -p /var/cache/mcd-rt/old; echo x > /var/cache/mcd-rt/old/x; > /run/mcd-rt/lock")
    host.machine.run("chown", "-R", "root:root", "/var/cache/mcd-rt/old", "/run/mcd-rt/lock")
    host.machine.run("systemctl", "start", "mcd-rt")
    owners = host.machine.run("stat", "-c", "%U", "/var/cache/mcd-rt/old/x", "/run/mcd-rt/lock", "/var/lib/mcd-rt")
    assert owners.split() == ["mcd-rt"] * 3


def test_the_process_has_no_privilege(host: Host):
    host.boot()
    [pid] = host.show("MainPID").values()
    status = dict(
        line.split(":\t", 1) for line in host.machine.run("cat", f"/proc/{pid}/status").splitlines() if ":\t" in line
    )
    assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert "0" not in status["Uid"].split()


def exposure(unit: str) -> float:
    """As systemd-analyze sums it up."""
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(UNITS / unit)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", shown)
    assert found is not None
    return float(found[1])


@pytest.mark.parametrize("unit", ["mcd-rt.service", "mcd-rt-firstboot.service"])
def test_exposure(unit):
    assert exposure(unit) <= 1.5
    assert exposure("mcd-rt-inspect@.service") < exposure("mcd-rt-fetch@.service") < exposure(unit)


def fallback(section: str) -> str:
    """The drop-in for old hosts as the page has it."""
    text = (REPOSITORY / "docs/privileges.md").read_text()
    [drop_in] = re.findall(rf"```ini\n(\[{section}\].*?)```", text, re.DOTALL)
    return str(drop_in)


FALLBACKS = {"mcd-rt.service": "Service"} | {
    f"mcd-rt-{name}.socket": "Socket" for name in ("fetch", "inspect", "hooks")
}


def test_the_fallback_for_old_hosts_is_taken_by_systemd(tmp_path: Path):
    for unit in ("sysinit.target", "basic.target", "multi-user.target", "sockets.target"):
        (tmp_path / unit).write_text("[Unit]\nDescription=x\n")
    for name in ("fetch", "inspect", "hooks"):
        (tmp_path / f"mcd-rt-{name}@.service").write_text("[Service]\nExecStart=/bin/true\n")
    for unit, section in FALLBACKS.items():
        (tmp_path / unit).write_text((UNITS / unit).read_text().replace("/usr/bin/mcd-rt", "/bin/sh"))
        (tmp_path / f"{unit}.d").mkdir()
        (tmp_path / f"{unit}.d/50-old-host.conf").write_text(fallback(section))
    command = ["systemd-analyze", "verify", "--man=no", *(str(tmp_path / unit) for unit in FALLBACKS)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (0, "")


def test_an_old_host_switches_there_and_back_with_the_fallback(old_host: Host):
    """As root, without what systemd 239 or an old libffi cannot; rpm-ostree 2020.8. systemd is this machine's."""
    host = old_host
    for unit, section in FALLBACKS.items():
        host.drop_in(unit, fallback(section))
    host.boot()
    host.ask_for(KernelType.REALTIME)
    host.wait_reboot()
    host.journal.wait_for(STEADY_REALTIME)
    assert host.show("User", "NoNewPrivileges", "NRestarts") == {
        "User": "root",
        "NoNewPrivileges": "no",
        "NRestarts": "0",
    }
    owners = host.machine.run(
        "stat", "-c", "%U", *(f"/run/mcd-rt-{name}.sock" for name in ("fetch", "inspect", "hooks"))
    )
    assert owners.split() == ["root"] * 3
    host.ask_for(KernelType.DEFAULT)
    host.wait_reboot()
    host.journal.wait_for(STEADY_DEFAULT)
    told = [line.split()[1] for line in host.transactions()]
    assert told == ["UpdateDeployment", "FinalizeDeployment"] * 2
