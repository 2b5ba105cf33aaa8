"""What the tests of alerts and dashboards share: where they are, and what is wrong with a query of theirs."""

import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from mcd_rt.report.families import FAMILIES, Family, Kind

TOP = Path(__file__).parents[1]
MONITORING = TOP / "packaging/monitoring"
RULES = MONITORING / "mcd-rt.rules.yaml"
DASHBOARDS = sorted((MONITORING / "dashboards").glob("*.json"))

OF_OTHERS = frozenset(
    {
        "up",
        "ALERTS",
        "node_boot_time_seconds",
        "mcd_rt_process_resident_memory_bytes",
        "mcd_rt_process_cpu_seconds_total",
    }
)
"""Metrics that Prometheus, node_exporter and prometheus_client bring."""

_EVERYWHERE = frozenset({"job", "instance"})
_NAME = re.compile(r'"[^"]*"|\b(mcd_rt_\w+|node_\w+|up|ALERTS)\b(?:\{([^}]*)\})?')
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')


def wrong_in_query(query: str) -> list[str]:
    """What a query asks for that is not there: names, labels, values of labels."""
    return [wrong for name, matchers in _NAME.findall(query) if name for wrong in _wrong(name, matchers)]


def queries_of(dashboard: Path) -> list[tuple[str, str]]:
    """The queries of a dashboard, each with the title of its panel."""
    panels = json.loads(dashboard.read_text())["panels"]
    return [(panel["title"], target["expr"]) for panel in panels for target in panel.get("targets", ())]


def load_source(name: str) -> ModuleType:
    """A module of the program that makes what is in ``packaging/monitoring``."""
    place = TOP / f"packaging/monitoringsource/{name}.py"
    spec = importlib.util.spec_from_file_location(f"monitoringsource_{name}", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _wrong(name: str, matchers: str) -> Iterator[str]:
    if name in OF_OTHERS:
        return
    family = _series().get(name)
    if family is None:
        yield f"there is no metric {name}"
        return
    known = {label.name: label.values for label in family.labels}
    for label, _, wanted in _MATCHER.findall(matchers):
        if label in _EVERYWHERE or (label == "le" and family.kind is Kind.HISTOGRAM):
            continue
        if label not in known:
            yield f"{name} has no label {label}"
            continue
        values = [value for value in wanted.split("|") if "$" not in value and value not in ("", ".+", ".*")]
        yield from (f"{name} has no {label} {value}" for value in values if known[label] and value not in known[label])


def _series() -> dict[str, Family]:
    found = {}
    for family in FAMILIES:
        suffixes = ("_bucket", "_sum", "_count") if family.kind is Kind.HISTOGRAM else ("",)
        found |= {family.name + suffix: family for suffix in suffixes}
    return found
