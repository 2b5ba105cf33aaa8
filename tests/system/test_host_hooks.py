"""Hooks on a real host: as root, behind the agent's socket, before the reboot and after the boot that was verified."""

import json
from pathlib import Path

import pytest

from mcd_rt.model.kernel import KernelType
from tests.system.container import why_not
from tests.system.host.scene import STEADY_REALTIME, Host

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())
NOTES = "/var/lib/mcd-rt-hooks/notes"
NOTE = f'echo "$MCD_RT_OCCASION $(id -un) $(uname -r) $MCD_RT_KERNEL_TYPE $MCD_RT_CONFIG" >> {NOTES}\n'


def hook(host: Host, occasion: str, script: str, mode: int = 0o755) -> Path:
    """An administrator's program."""
    place = host.machine.etc / f"mcd-rt/{occasion}.d/50-story"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(f"#!/bin/sh\n{script}")
    place.parent.chmod(0o755)
    place.chmod(mode)
    return place


def test_they_run_as_root_before_the_reboot_and_after_it_was_verified(host: Host):
    """Users are warned too: logind and polkit allow the agent's user that."""
    hook(host, "pre-reboot", NOTE)
    hook(host, "post-verify", NOTE)
    host.configure("[reboot]\nwarning = 1.0\n")
    host.boot()
    host.ask_for(KernelType.REALTIME)
    host.journal.wait_for("pre-reboot hook 50-story")
    host.journal.wait_for("users are warned of the reboot")
    host.wait_reboot()
    host.journal.wait_for("post-verify hook 50-story")
    host.journal.wait_for(STEADY_REALTIME)
    notes = [line.split() for line in host.machine.run("cat", NOTES).splitlines()]
    assert [(occasion, user, kind) for occasion, user, _, kind, _ in notes] == [
        ("pre-reboot", "root", "realtime"),
        ("post-verify", "root", "realtime"),
    ]
    assert {config for *_, config in notes} == {"99-worker-realtime-kernel"}
    assert host.machine.attempt("runuser", "-u", "nobody", "--", "cat", NOTES).returncode != 0
    assert host.show("User", unit="mcd-rt.service") == {"User": "mcd-rt"}


def test_one_that_fails_keeps_the_node_up_until_it_succeeds(host: Host):
    hook(host, "pre-reboot", "[ -e /var/lib/drained ] || { echo cannot evict db-0; exit 1; }\n")
    host.configure("[retry]\ninitial = 0.5\nceiling = 0.5\n")
    host.boot()
    host.ask_for(KernelType.REALTIME)
    host.journal.wait_for("hook-failed: ")
    status = host.status()
    assert status["state"] in ("retrying", "staged"), json.dumps(status)
    host.journal.wait_for("50-story ended with status 1; its last line: cannot evict db-0")
    assert host.machine.boots == 1
    host.machine.run("touch", "/var/lib/drained")
    host.wait_reboot()
    host.journal.wait_for(STEADY_REALTIME)


def test_one_that_the_agents_user_could_have_written_is_not_run(host: Host):
    hook(host, "pre-reboot", f"echo not me > {NOTES}\n", mode=0o777)
    host.boot()
    host.ask_for(KernelType.REALTIME)
    line = host.journal.wait_for("hook-refused: ")
    assert "others than its owner may write it (mode 0777)" in line.text
    assert host.machine.boots == 1
    assert host.machine.attempt("test", "-e", NOTES).returncode != 0


def test_only_the_agents_user_may_ask(host: Host):
    hook(host, "pre-reboot", NOTE)
    host.boot()
    call = json.dumps({"occasion": "pre-reboot", "timeout": 5000, "facts": {}})
    ask = "import socket,sys;s=socket.socket(socket.AF_UNIX);s.connect('/run/mcd-rt-hooks.sock');"
    ask += "s.sendall(sys.argv[1].encode()+b'\\n');print(s.makefile().read())"
    asked = {user: host.as_user(user, "/usr/bin/python3", "-c", ask, call) for user in ("nobody", "mcd-rt")}
    assert "PermissionError" in asked["nobody"].stderr
    assert '{"done":1}' in asked["mcd-rt"].stdout, asked["mcd-rt"]
    other = json.dumps({"occasion": "../../tmp", "timeout": 5000, "facts": {}})
    assert "hook-refused" in host.as_user("mcd-rt", "/usr/bin/python3", "-c", ask, other).stdout
