"""The metrics in prometheus_client's terms; imported only once somebody wants them: it costs some megabytes."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, assert_never

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest, make_asgi_app
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from mcd_rt.report.families import FAMILIES, Family, Kind
from mcd_rt.report.metrics import Metrics

App = Callable[
    [dict[str, Any], Callable[[], Awaitable[dict[str, Any]]], Callable[[dict[str, Any]], Awaitable[None]]],
    Awaitable[None],
]
"""An ASGI application."""


class _Collector:
    """The port through which a registry reads."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        """The numbers of this moment."""
        self._metrics.refresh()
        for family in FAMILIES:
            yield _converted(family, self._metrics)


def make_app(metrics: Metrics) -> App:
    """The application that answers a scrape, with those of this process besides (CPU, memory, descriptors)."""
    registry = _registry(metrics)
    ProcessCollector(namespace="mcd_rt", registry=registry)
    app: App = make_asgi_app(registry, disable_compression=True)
    return app


def render_text(metrics: Metrics) -> bytes:
    """The metrics in the text format, without those of this process: a file may outlive it."""
    return generate_latest(_registry(metrics))


def _registry(metrics: Metrics) -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=True)  # so that a scrape may choose by name (``?name[]=``)
    registry.register(_Collector(metrics))
    return registry


def _converted(family: Family, metrics: Metrics) -> Metric:
    names = [label.name for label in family.labels]
    match family.kind:
        case Kind.HISTOGRAM:
            return _histogram(family, metrics, names)
        case Kind.INFO:
            (told,) = metrics.numbers(family)
            return InfoMetricFamily(
                family.name.removesuffix("_info"), family.help, value=dict(zip(names, told, strict=True))
            )
        case Kind.COUNTER:
            made: CounterMetricFamily | GaugeMetricFamily = CounterMetricFamily(family.name, family.help, labels=names)
        case Kind.GAUGE:
            made = GaugeMetricFamily(family.name, family.help, labels=names)
        case _:
            assert_never(family.kind)
    for series, value in metrics.numbers(family).items():
        made.add_metric(series, value)
    return made


def _histogram(family: Family, metrics: Metrics, names: list[str]) -> HistogramMetricFamily:
    made = HistogramMetricFamily(family.name, family.help, labels=names)
    bounds = [*map(str, family.bounds), "+Inf"]
    for series, distribution in metrics.distributions(family).items():
        buckets = list(zip(bounds, map(float, distribution.cumulative()), strict=True))
        made.add_metric(series, buckets, distribution.total)
    return made
