"""One screen: what is wanted and runs, what is in the way and what to do, what comes next, and what was."""

import json
from dataclasses import asdict, fields, replace
from importlib.resources import files

import jsonschema
import pytest

from mcd_rt.cli.follow import status_json
from mcd_rt.cli.main import main
from mcd_rt.cli.status import EXIT_CODES
from mcd_rt.errors import Code, Failure
from mcd_rt.hostpaths import HostPaths
from mcd_rt.lock import only_agent
from mcd_rt.model.awaiting import Awaiting, Gate
from mcd_rt.model.content import Judge, Way
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.record import Switch
from mcd_rt.model.state import State
from mcd_rt.plan.revert import NOT_UNDONE
from mcd_rt.report.health import PATIENCE, Health, health_of
from mcd_rt.report.status import PastFailure, Status, codes_of, failing_codes, write_status
from mcd_rt.report.words import age, bar, describe_status, next_step
from tests.effects_double import EffectsDouble

NOW = 1_000_000.0
REASON = Failure(Code.TRANSACTION_FAILED, "rpm-ostree: no\nat all", "read it")
FULL = Status(
    State.RETRYING,
    NOW - 75,
    "boot",
    1,
    "it did not work",
    failure=REASON,
    failure_since=NOW - 600,
    last_failure=Failure(Code.NOT_FINALIZED, "the old one was booted", "look there"),
    last_error=PastFailure(Failure(Code.DISK_SPACE, "no room"), NOW - 7200),
    also=(Failure(Code.TUNED_LEFT_ALONE, "no tuned", "start it"),),
    next_attempt=NOW + 60.0,
    wanted="realtime",
    config="99-worker-realtime-kernel",
    config_source="/etc/config",
    running="default",
    kernel_release="5.14",
    booted="rhcos-a.0",
    staged="rhcos-b.1",
    staged_as="realtime",
    staged_locked=True,
    progress="Processing packages",
    percent=40,
    trusted_by="nobody",
    switches=(
        Switch(KernelType.REALTIME, "5.14", NOW - 90000, NOW - 89910, Code.ROLLED_BACK),
        Switch(KernelType.REALTIME, "5.14+rt", NOW - 80000, NOW - 79910),
    ),
)
STEADY = Status(State.STEADY, NOW, "boot", 1, "it runs")
STAGED = replace(FULL, state=State.STAGED, failure=None, awaiting=Awaiting(Gate.PERMISSION, "/etc/permitted"))


def said(status, *, running=True):
    return "\n".join(describe_status(status, NOW, running=running))


@pytest.mark.parametrize(
    "words",
    [
        "retrying since ",
        "(1 min 15 s)",
        "wanted:     realtime by 99-worker-realtime-kernel (/etc/config)",
        "running:    default (5.14)",
        "booted:     rhcos-a.0",
        "staged:     realtime (rhcos-b.1), locked until a reboot of ours",
        "doing:      Processing packages [########            ]  40 %",
        "trust:      NOBODY JUDGED",
        "why:        transaction-failed: rpm-ostree: no at all  (for 10 min)",
        "to do:      read it",
        "`mcd-rt explain transaction-failed` says more",
        "last boot:  not-finalized: the old one was booted",
        "to do:      look there",
        "also:       tuned-left-alone: no tuned",
        "next:       it looks again at ",
        "(in 1 min)",
        "last error: disk-space, 2 h ago: no room",
        "FAILED: rolled-back, took 1 min 30 s",
        "realtime (5.14+rt)  verified, took 1 min 30 s",
    ],
)
def test_a_status_says(words):
    assert words in said(FULL)


def test_the_latest_switch_comes_first_and_all_of_it_is_one_screen():
    lines = describe_status(FULL, NOW, running=True)
    assert [("verified" in line) for line in lines if " took " in line] == [True, False]
    assert len(lines) <= 24


def test_what_is_not_known_is_said_to_be():
    text = said(Status(State.STARTING, NOW, "", 1))
    assert text.count("not known") == 3
    assert "staged:     nothing" in text
    for label in ("why:", "also:", "last", "switches:", "trust:", "doing:"):
        assert label not in text


def test_an_unlocked_deployment_and_the_judge_are_named():
    text = said(replace(FULL, staged_locked=False, trusted_by="rpmkeys", read_by="proxy"))
    assert "any reboot applies it" in text
    assert "signatures judged by rpmkeys, image read by way of proxy" in text


def test_an_error_that_is_there_still_is_not_told_twice():
    text = said(replace(FULL, last_error=PastFailure(REASON, NOW), last_failure=REASON))
    assert "last error" not in text
    assert "last boot" not in text


def test_without_an_agent_it_is_the_last_word():
    assert "no agent runs now" in said(STEADY, running=False)
    assert "no agent runs now" not in said(STEADY)


@pytest.mark.parametrize("state", State)
def test_every_state_has_a_next_step(state):
    assert next_step(replace(STEADY, state=state), NOW)


def test_a_held_node_says_when_the_brake_lets_go():
    assert "the brake lets go at" in next_step(replace(STEADY, state=State.HELD, next_attempt=NOW + 60), NOW)
    assert "(now)" in next_step(replace(STEADY, next_attempt=NOW - 5), NOW)


@pytest.mark.parametrize("gate", Gate)
@pytest.mark.parametrize("at", [None, NOW + 60])
def test_every_gate_is_said_with_its_name_and_what_has_no_end_is_said_to_have_none(gate, at):
    status = replace(STEADY, state=State.STAGED, awaiting=Awaiting(gate, "by this name"), next_attempt=at)
    plain = next_step(replace(status, awaiting=None), NOW)
    said = next_step(status, NOW)
    assert "{" not in said
    assert ("no end was given" in said) is (at is None)
    if at is None:
        assert said != plain
        assert said.startswith("a reboot ")
    else:
        assert said.startswith(plain)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-5, "0 s"), (0, "0 s"), (59.6, "1 min"), (61, "1 min 1 s"), (3600, "1 h"), (90061, "1 d 1 h"), (86401, "1 d")],
)
def test_an_age_is_said_in_two_units(seconds, words):
    assert age(seconds) == words


def test_a_bar_grows():
    assert [bar(percent).count("#") for percent in (0, 49, 50, 100)] == [0, 9, 10, 20]
    assert bar(-1) == ""


@pytest.mark.parametrize(("until", "is_on"), [(None, True), (NOW + 1, True), (NOW, False), (NOW - 3600, False)])
def test_a_hold_that_has_run_out_is_not_shown_whoever_wrote_the_status_before(until, is_on):
    status = replace(STEADY, held=True, held_until=until)
    assert ("hold:" in said(status)) is is_on
    told = json.loads(status_json(status, NOW, running=True))
    assert (told["held"], told["held_until"]) == (is_on, until if is_on else None)


CAME = Switch(KernelType.REALTIME, "5.14+rt", NOW - 900, NOW - 800)
BACK = Switch(KernelType.DEFAULT, "5.14", NOW - 90, NOW - 80)


@pytest.mark.parametrize(
    ("state", "wanted", "running", "switches", "is_said"),
    [
        (State.STAGED, "default", "realtime", (CAME,), True),
        (State.STAGED, "realtime", "default", (CAME, BACK), False),
        (State.STAGED, "realtime", "realtime", (CAME,), False),
        (State.STEADY, "default", "default", (CAME, BACK), True),
        (State.STEADY, "default", "default", (BACK,), False),  # an OS upgrade without another kernel
        (State.STEADY, "default", "default", (), False),
        (State.STEADY, "realtime", "realtime", (CAME, BACK, CAME), False),
        (State.STEADY, "default", "default", (CAME, replace(BACK, code=Code.ROLLED_BACK)), False),
        (State.BLOCKED, "default", "realtime", (CAME,), False),
    ],
)
def test_a_node_that_goes_back_to_the_default_kernel_is_told_what_is_not_undone(
    state, wanted, running, switches, is_said
):
    status = replace(STEADY, state=state, wanted=wanted, running=running, switches=switches)
    assert (f"not undone: {NOT_UNDONE}" in said(status)) is is_said


# What it comes to


@pytest.mark.parametrize(
    ("status", "health"),
    [
        (STEADY, Health.HEALTHY),
        (replace(STEADY, also=(REASON,)), Health.HEALTHY),
        (replace(STEADY, failure=Failure(Code.SETTINGS_INVALID, "")), Health.NEEDS_PERSON),
        (replace(STEADY, state=State.IGNORED, failure=Failure(Code.IMAGE_WITHOUT_KERNEL, "")), Health.HEALTHY),
        (replace(STEADY, state=State.WAITING, failure=Failure(Code.CONFIG_MISSING, "")), Health.HEALTHY),
        (replace(STEADY, state=State.UNSUPPORTED), Health.HEALTHY),
        (replace(STEADY, state=State.OBSERVING), Health.HEALTHY),
        (replace(STEADY, state=State.OBSERVING, failure=REASON), Health.BUSY),
        (replace(STEADY, state=State.STAGED), Health.BUSY),
        (replace(STEADY, state=State.STAGED, failure=Failure(Code.STRATEGY_MISSING, "")), Health.NEEDS_PERSON),
        (replace(STEADY, state=State.STAGED, failure=Failure(Code.SETTINGS_INVALID, "")), Health.NEEDS_PERSON),
        (replace(STEADY, state=State.FETCHING), Health.BUSY),
        (FULL, Health.BUSY),
        (replace(FULL, failure_since=None), Health.BUSY),
        (replace(FULL, failure_since=NOW - PATIENCE - 1), Health.NEEDS_PERSON),
        (replace(FULL, failure=Failure(Code.IMAGE_UNAUTHORIZED, "")), Health.NEEDS_PERSON),
        (replace(FULL, state=State.BLOCKED), Health.NEEDS_PERSON),
        (replace(FULL, state=State.HELD), Health.NEEDS_PERSON),
    ],
)
def test_a_status_comes_to(status, health):
    assert health_of(status, NOW, running=True) is health
    assert health_of(status, NOW, running=False) is Health.NEEDS_PERSON


@pytest.mark.parametrize("code", [Code.LOCK_PROTOCOL, Code.LOCK_UNREACHABLE, Code.PERMISSION_INVALID])
def test_what_lets_a_staged_change_go_may_be_wrong_for_an_hour(code):
    staged = replace(STEADY, state=State.STAGED, failure=Failure(code, ""), failure_since=NOW - PATIENCE)
    assert health_of(staged, NOW, running=True) is Health.BUSY
    assert health_of(staged, NOW + 1, running=True) is Health.NEEDS_PERSON


def test_the_exit_code_says_the_same(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MCD_RT_ROOT", str(tmp_path))
    paths = HostPaths(tmp_path)
    assert EXIT_CODES == {Health.HEALTHY: 0, Health.BUSY: 3, Health.NEEDS_PERSON: 1}
    with only_agent(EffectsDouble(), paths):
        for state, code in ((State.STEADY, 0), (State.STAGED, 3), (State.BLOCKED, 1)):
            write_status(EffectsDouble(), paths, replace(STEADY, state=state))
            assert main(["status"]) == code
    capsys.readouterr()
    assert main(["status", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["health"] == "needs-person"


# As JSON

SCHEMA = json.loads(files("mcd_rt.report").joinpath("status.schema.json").read_text())


@pytest.mark.parametrize("status", [FULL, STEADY, STAGED, Status(State.STARTING, 0.0, "", 1)])
@pytest.mark.parametrize("running", [True, False])
def test_what_is_printed_is_what_the_schema_says(status, running):
    jsonschema.validate(json.loads(status_json(status, NOW, running=running)), SCHEMA)


@pytest.mark.parametrize(
    "change",
    [
        {"state": "dreaming"},
        {"version": 2},
        {"since": "now"},
        {"failure": {}},
        {"switches": [{}]},
        {"percent": 101},
        {"awaiting": {"gate": "rain", "name": ""}},
    ],
)
def test_the_schema_can_fail(change):
    document = json.loads(status_json(FULL, NOW, running=True)) | change
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, SCHEMA)


def test_the_schema_has_every_key_and_every_value_there_is():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    keys = {field.name for field in fields(Status)} | {"version", "health", "agent_running"}
    assert set(SCHEMA["properties"]) == set(SCHEMA["required"]) == keys
    assert SCHEMA["properties"]["state"]["enum"] == [state.value for state in State]
    awaiting = SCHEMA["properties"]["awaiting"]["oneOf"][1]["properties"]
    assert awaiting["gate"]["enum"] == [gate.value for gate in Gate]
    assert set(awaiting) == set(asdict(STAGED.awaiting))
    assert SCHEMA["properties"]["health"]["enum"] == [health.value for health in Health]
    assert SCHEMA["$defs"]["kernel_type"]["enum"] == ["", *(kind.value for kind in KernelType)]
    assert SCHEMA["properties"]["trusted_by"]["enum"] == ["", *(judge.value for judge in Judge)]
    assert SCHEMA["properties"]["read_by"]["enum"] == ["", *(way.value for way in Way)]
    assert set(SCHEMA["$defs"]["switch"]["properties"]) == set(asdict(FULL.switches[0]))


def test_the_schema_can_be_had_on_the_node(capsys):
    assert main(["status", "--schema"]) == 0
    assert json.loads(capsys.readouterr().out) == SCHEMA


def test_a_full_lock_is_told_with_its_code_and_is_no_failure():
    refused = Failure(Code.LOCK_REFUSED, "all slots are taken", "wait")
    status = replace(STEADY, state=State.STAGED, awaiting=Awaiting(Gate.LOCK, "https://locks", refused))
    assert "why:        lock-refused: all slots are taken" in said(status)
    assert codes_of(status) == (Code.LOCK_REFUSED,)
    assert failing_codes(status) == ()
    jsonschema.validate(json.loads(status_json(status, NOW, running=True)), SCHEMA)


def test_the_codes_of_a_status_are_each_told_once():
    assert codes_of(FULL) == (Code.TRANSACTION_FAILED, Code.NOT_FINALIZED, Code.TUNED_LEFT_ALONE)
    assert codes_of(replace(FULL, last_failure=REASON, also=())) == (Code.TRANSACTION_FAILED,)
    assert codes_of(STEADY) == ()
