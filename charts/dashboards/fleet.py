"""All makers side by side."""

from dashboards.panels import EMERGENCY, LEADS, QUOTE_ASSET, SAME_WORKER, Dashboard, Panel, quantile, rate, stat


def by_maker(query: str) -> str:
    """One series a maker, of the worker that leads."""
    return f"sum by (maker) (({query} {LEADS}) * {SAME_WORKER} group_left (maker) mm_build_info)"


def each_maker(title: str, query: str, unit: str = "short", text: str = "") -> Panel:
    return Panel(title, (("{{maker}}", by_maker(query)),), unit, text)


WORST_CASE = "(mm_worst_case_long > mm_worst_case_short or mm_worst_case_short) / mm_net_max"
KNOWN_DAY = '(mm_pnl{kind="day"} > -Inf)'
DAYS = f"sum by (asset) (label_replace({KNOWN_DAY} {LEADS}, {QUOTE_ASSET}))"
MARGIN = f"max by (account) (mm_account_margin_ratio * {SAME_WORKER} group_left (account) mm_build_info)"
OF_WORKERS = "and on (job, instance) mm_ready"

FLEET = Dashboard(
    "fleet",
    "Phoenix / Fleet",
    (
        (
            "Now",
            (
                stat("Makers with a worker", "count(count by (maker) (mm_build_info))"),
                stat(
                    "Quoting",
                    f"sum((mm_quote_suppressed == bool 0) {LEADS}) or vector(0)",
                    text="Leaders against which no reason stands.",
                ),
                stat("Workers not ready", "sum(1 - mm_ready)"),
                stat("Emergency", "max(mm_emergency_level)", words=EMERGENCY),
                stat(
                    "Result of the day",
                    DAYS,
                    text="By quote asset; of the makers that know theirs.",
                    legend="{{asset}}",
                ),
                stat("Alerts that fire", 'count(ALERTS{alertname=~"Phoenix.+",alertstate="firing"}) or vector(0)'),
            ),
        ),
        (
            "Money and inventory",
            (
                each_maker(
                    "Result of the day, quote",
                    KNOWN_DAY,
                    "short",
                    "Fills, position at mark, funding and fees since 00:00 UTC.",
                ),
                each_maker("Position / netMax", "mm_position / mm_net_max", "percentunit"),
                each_maker(
                    "Worst case / netMax",
                    WORST_CASE,
                    "percentunit",
                    "If every live order filled. An alert fires at 120 %.",
                ),
                each_maker("Volume an hour, quote", f"3600 * {rate('mm_volume_quote_total')}"),
                each_maker("Fills a minute", f"60 * {rate('mm_fills_total')}"),
                each_maker("Half spread that is wanted, bps", "mm_half_spread_bps"),
            ),
        ),
        (
            "What they do",
            (
                Panel(
                    "Time by the first reason against quoting",
                    (("{{reason}}", f"sum by (reason) ({rate('mm_reason_seconds_total')})"),),
                    "short",
                    "Workers at a time, by reason; Quoting where there is none.",
                    stacked=True,
                ),
                Panel("Modes of the inventory", (("{{guard}}", "sum by (guard) (mm_guard_active)"),), stacked=True),
                Panel(
                    "Share of time with a stale price",
                    (("{{symbol}}", f"max by (symbol) ({rate('mm_stale_seconds_total')})"),),
                    "percentunit",
                ),
                each_maker("Failing commands a minute", f"60 * {rate('mm_order_failures_total')}"),
                Panel(
                    "Budgets in use",
                    (("{{budget}}", "max by (budget) (mm_budget_used_ratio)"),),
                    "percentunit",
                    "Of the exchange's own limits.",
                ),
                Panel(
                    "Maintenance margin / balance",
                    (
                        (
                            "{{account}}",
                            MARGIN,
                        ),
                    ),
                    "percentunit",
                    "By each account's steward: it halts at 50 %, flattens at 70 %.",
                ),
            ),
        ),
        (
            "How fast",
            (
                Panel(
                    "Tick to order, p99", (("{{symbol}}", quantile(0.99, "mm_tick_to_order_seconds", "symbol")),), "s"
                ),
                Panel(
                    "Command to answer, p99",
                    (("{{symbol}}", quantile(0.99, "mm_order_latency_seconds", "symbol")),),
                    "s",
                ),
                Panel("Lateness of event loops", (("{{symbol}}", "max by (symbol) (mm_event_loop_lag_seconds)"),), "s"),
                Panel("Redis, round trip", (("{{symbol}}", "max by (symbol) (mm_coordination_beat_seconds)"),), "s"),
                Panel(
                    "CPU",
                    (("{{instance}}", f"{rate('process_cpu_seconds_total')} {OF_WORKERS}"),),
                    "percentunit",
                    "Of one core.",
                ),
                Panel("Memory", (("{{instance}}", f"process_resident_memory_bytes {OF_WORKERS}"),), "bytes"),
            ),
        ),
    ),
)
