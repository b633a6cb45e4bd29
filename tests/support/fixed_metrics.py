"""Every metric that others rely on: its name, its labels, and what is a sane value once a worker has traded."""

import math
from collections.abc import Callable, Iterator

from prometheus_client.parser import text_string_to_metric_families

Sane = Callable[[float], bool]


def at_least(least: float) -> Sane:
    return lambda value: value >= least


def within(least: float, most: float) -> Sane:
    return lambda value: least <= value <= most


def _or_unknown(sane: Sane) -> Sane:
    return lambda value: math.isnan(value) or sane(value)


FLAG, COUNT, SOME, SHARE = within(0, 1), at_least(0), at_least(1), within(0, 1)
POSITIVE: Sane = lambda value: 0 < value < math.inf  # noqa: E731 - a name of the table
ANY: Sane = math.isfinite

# Sample, what the values of its second label must hold at least, what is sane of each value.
FIXED: tuple[tuple[str, frozenset[str], Sane], ...] = tuple(
    (name, frozenset(labels.split()), sane)
    for name, labels, sane in (
        ("mm_worst_case_long", "", COUNT),
        ("mm_worst_case_short", "", COUNT),
        ("mm_dynamic_decay_factor", "", within(0, 1)),
        ("mm_funding_pnl_acc", "", ANY),
        ("mm_predicted_funding_rate", "", within(-0.02, 0.02)),
        ("mm_grind_count_total", "", COUNT),
        ("mm_grind_active", "", FLAG),
        ("mm_grind_cost_saved", "", ANY),
        ("mm_price_stddev_30m", "", within(0, 0.1)),
        ("mm_quote_suppressed", "", FLAG),
        ("mm_ws_connected", "book user market", FLAG),
        ("mm_rest_fallback_count_total", "", COUNT),
        ("mm_pending_buy", "", COUNT),
        ("mm_pending_sell", "", COUNT),
        ("mm_position", "", ANY),
        ("mm_net_max", "", POSITIVE),
        ("mm_mid", "", POSITIVE),
        ("mm_spread", "", POSITIVE),
        ("mm_pnl", "realised unrealised fees funding day total", ANY),
        ("mm_grid_layers", "buy sell", COUNT),
        ("mm_depth_queue_length", "", COUNT),
        ("mm_depth_queue_usage_ratio", "", SHARE),
        ("mm_depth_dropped_total", "", COUNT),
        ("mm_order_latency_seconds_count", "", SOME),
        ("mm_order_latency_seconds_sum", "", POSITIVE),
        ("mm_tick_to_order_seconds_count", "", SOME),
        ("mm_decision_seconds_count", "", SOME),
        ("mm_event_loop_lag_seconds", "", COUNT),
        ("mm_reconnects_total", "", COUNT),
        ("mm_api_errors_total", "", COUNT),
        ("mm_refusals_total", "", COUNT),
        ("mm_order_refusals_total", "", COUNT),
        ("mm_guard_active", "normal pin block flatten liquidate", FLAG),
        ("mm_mode_seconds_total", "", COUNT),
        ("mm_reason_seconds_total", "Quoting", COUNT),
        ("mm_markout_bps", "1s 10s 60s", _or_unknown(within(-1_000, 1_000))),
        ("mm_lease_held", "", within(1, 1)),
        ("mm_lease_token", "", SOME),
        ("mm_stale_seconds_total", "", COUNT),
        ("mm_vpin", "", _or_unknown(SHARE)),
        ("mm_budget_used_ratio", "orders_10s orders_1m weight_1m", SHARE),
        ("mm_fills_total", "", SOME),
    )
)
_MAY_BE_WITHOUT_A_SAMPLE = frozenset({"mm_reconnects", "mm_api_errors", "mm_refusals", "mm_order_refusals"})
"""Counted by what has happened; before that there is the name alone."""


def oddities(exposition: str) -> Iterator[str]:
    """A sentence for each fixed metric that is not there, lacks a label, or has a value that is not sane."""
    families = list(text_string_to_metric_families(exposition))
    known = {family.name for family in families}
    samples = [sample for family in families for sample in family.samples]
    for name, labels, sane in FIXED:
        found = [sample for sample in samples if sample.name == name]
        if not found and (
            name.removesuffix("_total") not in known or name.removesuffix("_total") not in _MAY_BE_WITHOUT_A_SAMPLE
        ):
            yield f"{name} is not there"
        if missing := labels - {word for sample in found for word in sample.labels.values()}:
            yield f"{name} is without {', '.join(sorted(missing))}"
        yield from (f"{name} of {sample.labels} is {sample.value}" for sample in found if not sane(sample.value))
        yield from (f"{name} has no symbol" for sample in found if "symbol" not in sample.labels)
