"""``status --follow``: a line for every change that a person would call one."""

import json
from dataclasses import replace

from mcd_rt.cli.follow import FollowedLines, status_json
from mcd_rt.errors import Code, Failure
from mcd_rt.model.state import State
from mcd_rt.report.status import Status

STEADY = Status(State.STEADY, 1.5, "boot", 1, "default is wanted and runs")
STAGING = replace(STEADY, state=State.STAGING, summary="realtime")
FAILURE = Failure(Code.TRANSACTION_FAILED, "rpm-ostree: no\nmore", "look there")


def told(*statuses, columns=0):
    lines = FollowedLines(columns)
    return [lines.add(status) for status in statuses] + [lines.end()]


def test_a_state_is_one_line_and_is_told_once():
    first, again, end = told(STEADY, replace(STEADY, booted="b"))
    assert first.endswith("  steady      default is wanted and runs\n")
    assert first.count("\n") == 1
    assert (again, end) == ("", "")


def test_a_failure_is_told_instead_and_on_one_line_with_the_next_attempt():
    retrying = replace(STEADY, state=State.RETRYING, failure=FAILURE, next_attempt=9.0)
    text = told(retrying)[0]
    assert "retrying    transaction-failed: rpm-ostree: no more (look there)\n" in text
    assert text.splitlines()[1].strip().startswith("next: ")


def test_progress_is_a_line_a_step_where_there_is_no_terminal():
    half, more, other = (
        replace(STAGING, progress=text, percent=percent)
        for text, percent in (("Importing", 50), ("Importing", 60), ("Writing", -1))
    )
    start, first, second, third, _ = told(STAGING, half, more, other)
    assert start.endswith("staging     realtime\n")
    assert first.strip() == "[##########          ]  50 % Importing"
    assert second == ""
    assert third.strip() == "Writing"
    assert third.endswith("\n")


def test_progress_is_redrawn_on_a_terminal_and_goes_with_the_step():
    half = replace(STAGING, progress="Importing", percent=50)
    start, first, second, after, end = told(STAGING, half, replace(half, percent=60), STEADY, columns=80)
    assert "\r" not in start
    assert first.startswith("\r\x1b[K")
    assert first.endswith("[##########          ]  50 % Importing")
    assert second.endswith("[############        ]  60 % Importing")
    assert after.startswith("\r\x1b[K")
    assert after.endswith("runs\n")
    assert end == ""


def test_what_is_drawn_is_cleared_at_the_end_and_never_wider_than_the_terminal():
    [drawn, end] = told(replace(STAGING, progress="x" * 500), columns=40)
    assert len(drawn.rpartition("\x1b[K")[2]) == 39
    assert end == "\r\x1b[K"


def test_json_is_what_status_json_prints():
    document = json.loads(status_json(STEADY, 2.0, running=True))
    assert document["agent_running"] is True
    assert document["state"] == "steady"
