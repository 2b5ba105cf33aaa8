"""Every query of the dashboards asks for metrics that exist; what is delivered can be read without Grafana's SDK.

That it is what its sources make is told by ``tox -e dashboard``, which has the SDK.
"""

import json
import re

import pytest

from tests.monitoring import DASHBOARDS, MONITORING, queries_of, wrong_in_query

each = pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)


def test_there_is_one_of_the_fleet_and_one_of_a_node():
    assert [path.name for path in DASHBOARDS] == ["mcd-rt-fleet.json", "mcd-rt-node.json"]
    assert sorted(path.name for path in MONITORING.iterdir()) == [
        "dashboards",
        "mcd-rt.rules.yaml",
        "prometheusrule.yaml",
    ]


@each
def test_every_query_asks_for_what_is_there(path):
    found = queries_of(path)
    assert len(found) > 20
    for title, query in found:
        assert wrong_in_query(query) == [], title


@each
def test_every_query_is_of_the_nodes_that_are_chosen(path):
    """ALERTS has the labels that its rule gives it."""
    chosen = '{job=~"$job",instance=~"$instance"' if "node" in path.stem else '{job=~"$job"'
    for title, query in queries_of(path):
        assert chosen in query or "ALERTS" in query, title


@each
def test_panels_do_not_lie_on_each_other(path):
    taken = set()
    for panel in json.loads(path.read_text())["panels"]:
        place = panel["gridPos"]
        x, y = place.get("x", 0), place.get("y", 0)
        assert x + place["w"] <= 24, panel["title"]
        cells = {(column, row) for column in range(x, x + place["w"]) for row in range(y, y + place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


@each
def test_variables_are_all_defined(path):
    text = path.read_text()
    defined = {variable["name"] for variable in json.loads(text)["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", text)) - {"__rate_interval"}
    assert used == defined
