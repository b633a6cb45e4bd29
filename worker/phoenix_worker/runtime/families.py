"""Metric families as Prometheus wants them: one symbol in front, and at most one label besides."""

from collections.abc import Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from phoenix_worker.runtime.histogram import Histogram


def gauge(name: str, text: str, symbol: str, value: float) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=("symbol",))
    family.add_metric((symbol,), value)
    return family


def counter(name: str, text: str, symbol: str, value: float) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=("symbol",))
    family.add_metric((symbol,), value)
    return family


def gauges_by(name: str, text: str, symbol: str, label: str, values: dict[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=("symbol", label))
    for key, value in values.items():
        family.add_metric((symbol, key), value)
    return family


def counters_by(name: str, text: str, symbol: str, label: str, values: Mapping[str, float]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=("symbol", label))
    for key, value in values.items():
        family.add_metric((symbol, key), value)
    return family


def histogram(name: str, text: str, symbol: str, measured: Histogram) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, text, labels=("symbol",))
    family.add_metric((symbol,), measured.cumulative(), measured.sum_ns / 1e9)
    return family
