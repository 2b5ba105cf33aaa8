"""Every alert fires when it should and not else, through reboots too, as Prometheus's own tool judges it.

A series is told a sample a minute in promtool's own notation: ``1x9`` is ten times 1, ``stale _x9`` nothing for ten
minutes, as while a node reboots.
"""

import subprocess
from dataclasses import dataclass, field

import pytest
import yaml

from tests.monitoring import RULES, wrong_in_query
from tests.unit.test_alerts import ALERTS, NAMES

NODE = {"job": "mcd-rt", "instance": "node-1"}
DAY = 24 * 60
REBOOT = "stale _x9"
QUIET = None


def series(name, values, **labels):
    """One of the node's, and its samples."""
    told = ",".join(f'{key}="{value}"' for key, value in (NODE | labels).items())
    assert name == "node_boot_time_seconds" or wrong_in_query(f"{name}{{{told}}}") == []
    return f"{name}{{{told}}}", values


def state(value, values):
    return series("mcd_rt_state", values, state=value)


def failing(code, values):
    return series("mcd_rt_active_failure", values, code=code)


def kernel(role, kernel_type, values):
    return series(f"mcd_rt_{role}_kernel_type", values, kernel_type=kernel_type)


@dataclass(frozen=True)
class Fires:
    """That it fires: with which labels besides the node's, and the value as its texts tell it."""

    labels: dict[str, str] = field(default_factory=dict)
    value: str = ""


@dataclass(frozen=True)
class Scene:
    """What a node tells, and at which minutes the alert fires or is quiet."""

    alert: str
    name: str
    told: tuple[tuple[str, str], ...]
    at: dict[int, Fires | None]


def fires(value="", **labels):
    return Fires(labels, value)


SCENES = (
    Scene("McdRtDown", "gone", (series("up", "1x5 0x30"),), {5: QUIET, 15: QUIET, 25: fires()}),
    Scene("McdRtDown", "through a reboot", (series("up", "1x5 0x10 1x20"),), {14: QUIET, 25: QUIET}),
    Scene("McdRtDown", "stopped, by its file", (series("mcd_rt_up", "1x5 0x30"),), {15: QUIET, 25: fires()}),
    Scene(
        "McdRtDown",
        "a file of an earlier boot",
        (series("mcd_rt_start_timestamp_seconds", "60x40"), series("node_boot_time_seconds", "30x5 600x30")),
        {15: QUIET, 25: fires()},
    ),
    Scene(
        "McdRtDown",
        "started again after the boot",
        (series("mcd_rt_start_timestamp_seconds", "60x10 660x30"), series("node_boot_time_seconds", "30x5 600x30")),
        {15: QUIET, 30: QUIET},
    ),
    Scene(
        "McdRtStalled",
        "at one step",
        (series("mcd_rt_state_entered_timestamp_seconds", "0x200"), state("staging", "1x200")),
        {119: QUIET, 130: fires("2h 10m 0s")},
    ),
    Scene(
        "McdRtStalled",
        "late",
        (series("mcd_rt_next_attempt_timestamp_seconds", "600x60"),),
        {35: QUIET, 50: fires("40m 0s")},
    ),
    Scene(
        "McdRtStalled",
        "nothing to do for long",
        (
            series("mcd_rt_state_entered_timestamp_seconds", "0x200"),
            series("mcd_rt_next_attempt_timestamp_seconds", "0x200"),
            state("steady", "1x200"),
            state("staging", "0x200"),
        ),
        {200: QUIET},
    ),
    Scene(
        "McdRtStalled",
        "through a reboot",
        (
            series("mcd_rt_state_entered_timestamp_seconds", f"0x110 {REBOOT} 7260x60"),
            state("rebooting", f"1x110 {REBOOT} 0x60"),
            state("verifying", f"0x110 {REBOOT} 1x60"),
        ),
        {115: QUIET, 130: QUIET, 175: QUIET},
    ),
    Scene(
        "McdRtKernelMismatch",
        "another kernel than asked for",
        (
            kernel("desired", "realtime", "1x90"),
            kernel("running", "realtime", "0x90"),
            kernel("running", "default", "1x90"),
        ),
        {55: QUIET, 61: fires(kernel_type="realtime")},
    ),
    Scene(
        "McdRtKernelMismatch",
        "still another after a reboot",
        (
            kernel("desired", "realtime", f"1x30 {REBOOT} 1x60"),
            kernel("running", "default", f"1x30 {REBOOT} 1x60"),
            kernel("running", "realtime", f"0x30 {REBOOT} 0x60"),
        ),
        {45: QUIET, 61: fires(kernel_type="realtime")},
    ),
    Scene(
        "McdRtKernelMismatch",
        "switched by a reboot",
        (
            kernel("desired", "realtime", f"1x40 {REBOOT} 1x60"),
            kernel("running", "default", f"1x40 {REBOOT} 0x60"),
            kernel("running", "realtime", f"0x40 {REBOOT} 1x60"),
        ),
        {45: QUIET, 61: QUIET, 100: QUIET},
    ),
    Scene(
        "McdRtKernelMismatch",
        "healthy without, or staged",
        (kernel("desired", "realtime", "1x150"), state("ignored", "1x70 0x80"), state("staged", "0x70 1x80")),
        {61: QUIET, 140: QUIET},
    ),
    Scene(
        "McdRtSwitchFailing",
        "tries again and again",
        (state("retrying", "1x9 0 1x9 0 1x9 0 1x9"), state("staging", "0x9 1 0x9 1 0x9 1 0x9")),
        {25: QUIET, 35: fires()},
    ),
    Scene("McdRtSwitchFailing", "blocked", (state("blocked", "1x40"),), {25: QUIET, 35: fires()}),
    Scene(
        "McdRtSwitchFailing",
        "works, after a reboot",
        (state("retrying", f"1x15 {REBOOT} 0x40"), state("steady", f"0x15 {REBOOT} 1x40")),
        {15: QUIET, 31: QUIET, 60: QUIET},
    ),
    Scene(
        "McdRtSwitchFailing",
        "fails through a reboot",
        (state("retrying", f"1x15 {REBOOT} 1x40"),),
        {28: QUIET, 35: fires()},
    ),
    Scene(
        "McdRtSwitchFailing",
        "a config that has an alert of its own",
        (state("blocked", "1x40"), failing("config-invalid", "1x40")),
        {35: QUIET},
    ),
    Scene("McdRtHeld", "given up", (state("held", "0x5 1x20"),), {5: QUIET, 12: fires(state="held")}),
    Scene("McdRtHeld", "through a reboot", (state("held", f"1x20 {REBOOT} 1x20"),), {25: fires(state="held")}),
    Scene("McdRtHeld", "released", (state("held", "1x20 0x20"),), {25: QUIET}),
    Scene("McdRtHeld", "not begun", (state("steady", "1x20"), state("held", "0x20")), {15: QUIET}),
    Scene(
        "McdRtRollbackDetected",
        "seen after the reboot, and while another one lasts",
        (failing("rolled-back", f"0x10 {REBOOT} 1x10 {REBOOT} 1x10 0x10"),),
        {15: QUIET, 25: fires(code="rolled-back"), 36: fires(code="rolled-back"), 55: QUIET},
    ),
    Scene(
        "McdRtRollbackDetected",
        "chosen in the boot menu",
        (failing("booted-another", f"0x10 {REBOOT} 1x10"),),
        {25: fires(code="booted-another")},
    ),
    Scene("McdRtRollbackDetected", "another failure", (failing("not-finalized", "1x10"),), {5: QUIET}),
    Scene(
        "McdRtRebootPendingTooLong",
        "a day and more",
        (
            series("mcd_rt_staged_timestamp_seconds", f"60x{DAY + 60}"),
            series("mcd_rt_attempt_phase", f"1x{DAY + 60}", phase="staged"),
        ),
        {DAY: QUIET, DAY + 30: fires("1d 0h 29m 0s")},
    ),
    Scene(
        "McdRtRebootPendingTooLong",
        "others were asked, and nobody comes",
        (
            series("mcd_rt_staged_timestamp_seconds", f"60x{DAY + 60}"),
            series("mcd_rt_attempt_phase", f"0x{DAY + 60}", phase="staged"),
            series("mcd_rt_attempt_phase", f"1x{DAY + 60}", phase="asked"),
            series("mcd_rt_next_attempt_timestamp_seconds", f"0x{DAY + 60}"),
        ),
        {DAY: QUIET, DAY + 30: fires("1d 0h 29m 0s")},
    ),
    Scene(
        "McdRtRebootPendingTooLong",
        "a window is to come",
        (
            series("mcd_rt_staged_timestamp_seconds", f"60x{DAY + 60}"),
            series("mcd_rt_attempt_phase", f"1x{DAY + 60}", phase="staged"),
            series("mcd_rt_next_attempt_timestamp_seconds", f"{(DAY + 300) * 60}x{DAY + 60}"),
        ),
        {DAY + 30: QUIET},
    ),
    Scene(
        "McdRtRebootPendingTooLong",
        "somebody else's",
        (
            series("mcd_rt_staged_timestamp_seconds", f"60x{DAY + 60}"),
            series("mcd_rt_attempt_phase", f"0x{DAY + 60}", phase="staged"),
        ),
        {DAY + 30: QUIET},
    ),
    Scene(
        "McdRtRebootPendingTooLong",
        "through a reboot",
        (
            series("mcd_rt_staged_timestamp_seconds", f"60x{DAY} {REBOOT} 0x60"),
            series("mcd_rt_attempt_phase", f"1x{DAY} {REBOOT} 0x60", phase="staged"),
        ),
        {DAY + 5: QUIET, DAY + 40: QUIET},
    ),
    Scene(
        "McdRtBootSpaceLow",
        "no room for a kernel",
        (
            series("mcd_rt_boot_available_bytes", "50000000x30"),
            series("mcd_rt_boot_prunable_bytes", "0x30"),
            series("mcd_rt_boot_kernel_bytes", "100000000x30"),
        ),
        {10: QUIET, 20: fires()},
    ),
    Scene(
        "McdRtBootSpaceLow",
        "room once the rollback is dropped",
        (
            series("mcd_rt_boot_available_bytes", "50000000x30"),
            series("mcd_rt_boot_prunable_bytes", "100000000x30"),
            series("mcd_rt_boot_kernel_bytes", "100000000x30"),
        ),
        {20: QUIET},
    ),
    Scene(
        "McdRtBootSpaceLow",
        "not seen",
        (
            series("mcd_rt_boot_available_bytes", "50000000x30"),
            series("mcd_rt_boot_prunable_bytes", " ".join(["NaN"] * 30)),
            series("mcd_rt_boot_kernel_bytes", "100000000x30"),
        ),
        {20: QUIET},
    ),
    Scene(
        "McdRtBootSpaceLow",
        "failed for it, through a reboot",
        (failing("boot-space", f"1x10 {REBOOT} 1x20"),),
        {10: QUIET, 16: fires(code="boot-space")},
    ),
    Scene(
        "McdRtVerificationFailed",
        "the wrong kernel after the reboot",
        (failing("verification-failed", f"0x10 {REBOOT} 1x10 {REBOOT} 0x10"),),
        {15: QUIET, 25: fires(code="verification-failed"), 45: QUIET},
    ),
    Scene(
        "McdRtVerificationFailed", "not written", (failing("not-finalized", "1x10"),), {5: fires(code="not-finalized")}
    ),
    Scene("McdRtVerificationFailed", "another failure", (failing("rolled-back", "1x10"),), {5: QUIET}),
    Scene(
        "McdRtConfigInvalid",
        "a mistake in it, through a reboot",
        (failing("config-invalid", f"0x5 1x5 {REBOOT} 1x20"),),
        {12: QUIET, 18: fires(code="config-invalid"), 30: fires(code="config-invalid")},
    ),
    Scene("McdRtConfigInvalid", "mended soon", (failing("settings-invalid", "1x5 0x20"),), {15: QUIET}),
)


def expanded(text, scene, expected):
    """An annotation as Prometheus tells it."""
    for name, value in (NODE | expected.labels).items():
        text = text.replace(f"{{{{ $labels.{name} }}}}", value)
    return text.replace("{{ $value | humanizeDuration }}", expected.value)


def told_by(scene, expected):
    (rule,) = (alert for alert in ALERTS if alert["alert"] == scene.alert)
    texts = {key: expanded(text, scene, expected) for key, text in rule["annotations"].items()}
    return {"exp_labels": rule["labels"] | NODE | expected.labels, "exp_annotations": texts}


def as_test(scene):
    """The scene as promtool reads it."""
    asked = [
        {
            "eval_time": f"{minute}m",
            "alertname": scene.alert,
            "exp_alerts": [] if expected is None else [told_by(scene, expected)],
        }
        for minute, expected in scene.at.items()
    ]
    told = [{"series": name, "values": values} for name, values in scene.told]
    return {"interval": "1m", "name": scene.name, "input_series": told, "alert_rule_test": asked}


def judge(tmp_path, scenes):
    test = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [as_test(scene) for scene in scenes]}
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(test))
    command = ["promtool", "test", "rules", str(tmp_path / "test.yaml")]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=50)


@pytest.mark.parametrize("alert", NAMES)
def test_an_alert_fires_when_it_should_and_not_else(tmp_path, alert):
    done = judge(tmp_path, [scene for scene in SCENES if scene.alert == alert])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", NAMES)
def test_every_alert_is_judged_firing_quiet_and_through_a_reboot(alert):
    scenes = [scene for scene in SCENES if scene.alert == alert]
    expected = [at for scene in scenes for at in scene.at.values()]
    assert QUIET in expected
    assert any(at is not QUIET for at in expected)
    assert any("reboot" in scene.name for scene in scenes)


def test_a_wrong_expectation_would_be_found(tmp_path):
    for wrong in (QUIET, fires(state="steady")):
        done = judge(tmp_path, [Scene("McdRtHeld", "given up", (state("held", "1x20"),), {12: wrong})])
        assert done.returncode != 0


def test_promtool_finds_nothing_wrong_with_the_rules():
    done = subprocess.run(["promtool", "check", "rules", "--lint-fatal", str(RULES)], capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
