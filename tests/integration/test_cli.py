"""The command line, as a person types it, against a simulated node in another process."""

import contextlib
import json
import os
import pty
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

MCD_RT = [sys.executable, "-m", "mcd_rt"]


def call(*arguments, environment=None, **options):
    return subprocess.run(
        [*MCD_RT, *map(str, arguments)],
        env=os.environ | (environment or {}),
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        **options,
    )


@pytest.fixture
def node():
    """`mcd-rt sim` in another process, and the environment it prints."""
    with subprocess.Popen([*MCD_RT, "sim"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        environment = {}
        for line in iter(process.stdout.readline, "\n"):
            verb, _, assignment = line.strip().partition(" ")
            assert verb == "export"
            key, _, value = assignment.partition("=")
            environment[key] = shlex.split(value)[0]
        yield environment
        process.terminate()
        process.communicate(timeout=20)
    assert process.returncode == 0
    assert not Path(environment["MCD_RT_ROOT"]).exists()


def test_a_person_takes_a_node_there_and_back_with_plan_apply_status_and_verify(node):
    planned = call("plan", environment=node)
    assert planned.returncode == 2
    assert "fetch kernel-rt-core" in planned.stdout

    assert call("verify", environment=node).returncode == 1
    staged = call("apply", "--no-reboot", environment=node)
    assert staged.returncode == 0
    assert "staged" in staged.stderr
    assert json.loads(call("plan", "--json", environment=node).stdout)["plan"] == "reboot"
    assert json.loads(call("status", "--json", environment=node).stdout)["state"] == "staged"

    call("apply", environment=node)  # stopped by the reboot it asked for
    verified = call("apply", environment=node)
    assert verified.returncode == 0
    assert "realtime is wanted and runs" in verified.stderr
    judged = call("verify", "--json", environment=node)
    assert judged.returncode == 0
    assert json.loads(judged.stdout)["verified"] is True
    assert call("plan", environment=node).returncode == 0

    config = Path(node["MCD_RT_SIM_CONFIG"])
    config.write_text(config.read_text().replace("realtime: true", "realtime: false"))
    back = call("plan", environment=node)
    assert back.returncode == 2
    assert "one assembly, one reboot" in back.stdout
    assert "restore in the base: kernel," in back.stdout


def test_plan_changes_nothing_at_all(node):
    root = Path(node["MCD_RT_ROOT"])
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    call("plan", environment=node)
    call("verify", environment=node)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["bogus"], 64, "invalid choice"),
        ([], 64, "VERB"),
        (["--help"], 0, "exit codes"),
        (["--version"], 0, "mcd-rt 0"),
        (["apply", "--help"], 0, "--no-reboot"),
    ],
)
def test_usage(arguments, code, words):
    done = call(*arguments)
    assert done.returncode == code
    assert words in done.stdout + done.stderr


def test_verbs_on_a_host_without_anything_say_what_is_missing(tmp_path):
    empty = {"MCD_RT_ROOT": str(tmp_path), "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={tmp_path}/nobody"}
    for verb, words in {
        "status": "agent-not-running: no status at",
        "plan": "host-unreadable: cannot read",
        "verify": "host-unreadable: cannot read",
        "apply": "host-unreadable: cannot read",
    }.items():
        done = call(verb, environment=empty)
        assert done.returncode == 1, verb
        assert words in done.stderr, verb
        assert "Traceback" not in done.stderr


def test_a_dead_bus_is_one_clear_sentence(node):
    done = call("plan", environment=node | {"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent/bus"})
    assert done.returncode == 1
    assert "bus-unavailable: cannot reach the bus" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_demo_goes_as_told_and_says_so_as_json():
    done = call("demo", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    switches = json.loads(done.stdout.splitlines()[-1])["switches"]
    assert [(s["from"], s["kernel_type"]) for s in switches] == [("default", "realtime"), ("realtime", "default")]
    for switch in switches:
        assert (switch["assemblies"], switch["reboots"], switch["verified"]) == (1, 1, True)
        assert switch["os_changed"] is False
        assert switch["seconds"] > 0
    assert done.stderr == ""
    assert "\033" not in done.stdout
    for state in ("fetching", "staging", "rebooting", "verifying", "steady"):
        assert f"  {state} " in done.stdout


def test_the_demo_without_a_bus_daemon_says_what_to_install(tmp_path):
    done = call("demo", environment={"PATH": str(tmp_path)})
    assert done.returncode == 1
    assert "simulation-failed" in done.stderr
    assert "dbus-daemon" in done.stderr


def test_retry_without_a_service_is_done_at_once(node):
    done = call("retry", environment=node)
    assert done.returncode == 0
    assert "the brake is released" in done.stdout


def test_a_simulated_node_begins_with_the_config_it_is_given(tmp_path):
    missing = call("sim", "--config", tmp_path / "none.yaml")
    assert missing.returncode == 1
    assert "config-missing: cannot read" in missing.stderr
    config = tmp_path / "mc.yaml"
    config.write_text("kind: nonsense\n")
    with subprocess.Popen([*MCD_RT, "sim", "--config", str(config)], stdout=subprocess.PIPE, text=True) as process:
        lines = dict(line.split(" ", 1)[1].strip().split("=", 1) for line in iter(process.stdout.readline, "\n"))
        assert Path(shlex.split(lines["MCD_RT_SIM_CONFIG"])[0]).read_text() == "kind: nonsense\n"
        process.terminate()


@pytest.mark.story
def test_on_a_terminal_the_demo_draws_a_bar():
    leader, follower = pty.openpty()
    with subprocess.Popen([*MCD_RT, "demo"], stdout=follower, stderr=follower, stdin=subprocess.DEVNULL) as process:
        os.close(follower)
        drawn = b""
        with contextlib.suppress(OSError):  # the terminal's end, once the demo has left it
            while piece := os.read(leader, 65536):
                drawn += piece
    os.close(leader)
    assert process.returncode == 0
    assert b"100 %" in drawn
    assert b"[####" in drawn
    assert b"nothing was done" in drawn
