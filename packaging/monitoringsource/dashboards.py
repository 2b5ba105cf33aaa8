"""The dashboards as Grafana's JSON, by its own SDK."""

import json

from fleet import FLEET
from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import BigValueColorMode, BigValueTextMode, StackingMode
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    DataTransformerConfig,
    Threshold,
    ThresholdsMode,
    VariableRefresh,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from node import NODE
from panels import Form, Panel, Rows

_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
_HEIGHT = {Form.NUMBER: 4, Form.WORD: 4, Form.TIMELINE: 6}
_UNTOLD = {"Time": True, "Value": True, "__name__": True, "job": True}

Built = stat.Panel | statetimeline.Panel | table.Panel | timeseries.Panel


def fleet_text() -> str:
    """All nodes."""
    return _text(_dashboard("mcd-rt: fleet", "mcd-rt-fleet", FLEET))


def node_text() -> str:
    """One node."""
    made = _dashboard("mcd-rt: node", "mcd-rt-node", NODE)
    named = _variable("instance", 'label_values(mcd_rt_up{job=~"$job"}, instance)', "Node")
    return _text(made.with_variable(named.multi(multi=False)))


def _dashboard(title: str, uid: str, rows: Rows) -> dashboard.Dashboard:
    source = dashboard.DatasourceVariable("datasource").type("prometheus").label("Prometheus")
    jobs = (
        _variable("job", "label_values(mcd_rt_up, job)", "Job")
        .multi(multi=True)
        .include_all(include_all=True)
        .all_value(".*")
    )
    made = (
        dashboard.Dashboard(title)
        .uid(uid)
        .tags(["mcd-rt"])
        .description("Of mcd-rt (docs/monitoring.md); made by `tox -e dashboard -- --write`.")
        .time("now-6h", "now")
        .refresh("1m")
        .readonly()
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(source)
        .with_variable(jobs)
    )
    for name, panels in rows:
        made.with_row(dashboard.Row(name))
        for panel in panels:
            made.with_panel(_built(panel))
    return made


def _variable(name: str, query: str, label: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(_SOURCE)
        .query({"query": query, "refId": name})
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
    )


def _built(panel: Panel) -> Built:
    made = _formed(panel)
    made.title(panel.title).description(panel.about).unit(panel.unit).datasource(_SOURCE)
    made.span(panel.width).height(_HEIGHT.get(panel.form, 8))
    for number, (expression, name) in enumerate(panel.queries):
        query = prometheus.Dataquery().expr(expression).ref_id(chr(ord("A") + number)).datasource(_SOURCE)
        if panel.form is Form.TABLE:
            query.instant().format(PromQueryFormat.TABLE)
        elif panel.form in (Form.NUMBER, Form.WORD):
            query.instant().legend_format(name)
        else:
            query.range().legend_format(name)
        made.with_target(query)
    return made


def _formed(panel: Panel) -> Built:
    match panel.form:
        case Form.NUMBER:
            return stat.Panel().thresholds(_thresholds(panel.bad)).color_mode(BigValueColorMode.VALUE)
        case Form.WORD:
            return stat.Panel().thresholds(_thresholds(None)).text_mode(BigValueTextMode.NAME).no_value("-")
        case Form.CURVES:
            return timeseries.Panel().min(0)
        case Form.STACK:
            return (
                timeseries.Panel().min(0).stacking(common.StackingConfig().mode(StackingMode.NORMAL)).fill_opacity(40)
            )
        case Form.TIMELINE:
            return statetimeline.Panel().merge_values(merge_values=True)
        case Form.TABLE:
            hidden = _UNTOLD if panel.unit == "short" else _UNTOLD | {"Value": False}
            organize = DataTransformerConfig(id_val="organize", options={"excludeByName": hidden})
            return table.Panel().with_transformation(organize)
    raise AssertionError(panel.form)


def _thresholds(bad: float | None) -> dashboard.ThresholdsConfig:
    steps = [Threshold(value=None, color="green" if bad is not None else "text")]
    if bad is not None:
        steps.append(Threshold(value=bad, color="red"))
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


def _text(made: dashboard.Dashboard) -> str:
    return json.dumps(made.build(), cls=JSONEncoder, indent=1, sort_keys=True) + "\n"
