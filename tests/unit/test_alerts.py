"""Every alert asks for metrics that exist, says what to do, and has a runbook; both forms of the rules are the same."""

import re
from pathlib import Path

import pytest
import yaml

from mcd_rt.model.settings import ContentSettings, RpmOstreeSettings
from mcd_rt.plan.preflight import BOOT_MARGIN
from tests.monitoring import RULES, load_source, wrong_in_query

DOCS = Path(__file__).parents[2] / "docs"
ALERTS = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
NAMES = [
    "McdRtDown",
    "McdRtStalled",
    "McdRtKernelMismatch",
    "McdRtSwitchFailing",
    "McdRtHeld",
    "McdRtRollbackDetected",
    "McdRtRebootPendingTooLong",
    "McdRtBootSpaceLow",
    "McdRtVerificationFailed",
    "McdRtConfigInvalid",
]
HEADINGS = ["Meaning", "Impact", "Diagnosis", "Mitigation"]

each = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])


def test_these_are_all():
    assert [alert["alert"] for alert in ALERTS] == NAMES


@each
def test_an_alert_asks_for_what_is_there(alert):
    assert wrong_in_query(alert["expr"]) == []


@each
def test_an_alert_says_what_is_wrong_and_what_to_do(alert):
    told = alert["annotations"]
    assert set(told) == {"summary", "description", "runbook_url"}
    assert "$labels.instance" in told["summary"]
    assert re.search(r"On the node[^`]*`[^`]+`", told["description"]), "there is a command to copy"
    assert alert["labels"]["severity"] in ("critical", "warning", "info")
    assert told["runbook_url"] == f"https://mcd-rt.example/runbooks/{alert['alert']}/"


@each
def test_an_alert_has_a_runbook(alert):
    page = (DOCS / f"runbooks/{alert['alert']}.md").read_text()
    assert page.startswith(f"# {alert['alert']}\n")
    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == HEADINGS
    for part in re.split(r"^## .+$", page, flags=re.MULTILINE)[1:]:
        assert len(part.split()) >= 10
    diagnosis = page.partition("## Diagnosis")[2].partition("## ")[0]
    assert "```" in diagnosis, "there are commands to copy"
    for name in re.findall(r"mcd_rt_\w+(?:\{[^}]*\})?", page):
        assert wrong_in_query(name) == []


def test_a_runbook_has_an_alert():
    assert sorted(page.stem for page in (DOCS / "runbooks").glob("McdRt*.md")) == sorted(NAMES)


def test_the_overview_names_them_all():
    page = (DOCS / "monitoring.md").read_text()
    assert re.findall(r"^\| \[(\w+)\]\(runbooks/\1\.md\) \|", page, re.MULTILINE) == NAMES


def test_the_operators_form_is_made_of_the_plain_one():
    made = RULES.with_name("prometheusrule.yaml").read_text()
    assert made == load_source("manifest").prometheus_rule(RULES.read_text(), RULES.name)
    assert yaml.safe_load(made)["spec"] == yaml.safe_load(RULES.read_text())
    assert yaml.safe_load(made)["kind"] == "PrometheusRule"


def test_the_numbers_in_them_are_those_of_the_agent():
    (low,) = (alert["expr"] for alert in ALERTS if alert["alert"] == "McdRtBootSpaceLow")
    assert f"+ {BOOT_MARGIN // (1 << 20)} * 1024 * 1024" in low
    (stalled,) = (alert["expr"] for alert in ALERTS if alert["alert"] == "McdRtStalled")
    longest = max(ContentSettings().fetch_timeout, RpmOstreeSettings().transaction_timeout)
    assert f"> {2 * longest / 3600:g} * 3600" in stalled


def test_mistakes_in_a_query_are_found():
    assert wrong_in_query("mcd_rt_upp == 0") == ["there is no metric mcd_rt_upp"]
    assert wrong_in_query('mcd_rt_state{state="steddy"}') == ["mcd_rt_state has no state steddy"]
    assert wrong_in_query('mcd_rt_state{stat=~"x|y"}') == ["mcd_rt_state has no label stat"]
    assert wrong_in_query('mcd_rt_active_failure{code=~"held|boot-space"}') == [
        "mcd_rt_active_failure has no code held"
    ]
    assert wrong_in_query("rate(mcd_rt_pass_duration_seconds[5m])") == [
        "there is no metric mcd_rt_pass_duration_seconds"
    ]
    assert wrong_in_query("rate(mcd_rt_pass_duration_seconds_bucket[5m])") == []
    assert wrong_in_query("node_bogus") == ["there is no metric node_bogus"]
