"""One maker, chosen by its `namespace/name`."""

from dashboards.panels import EMERGENCY, LEADS, SAME_WORKER, WINDOW, Dashboard, Panel, or_none, rate, stat

OF_MAKER = f'and {SAME_WORKER} mm_build_info{{maker=~"$maker"}}'


def of(query: str) -> str:
    """Of the chosen maker's leader."""
    return f"{query} {LEADS} {OF_MAKER}"


def line(legend: str, query: str) -> tuple[str, str]:
    return legend, of(query)


def markout(legend: str) -> tuple[str, str]:
    """Of the fills in the window, not since the start."""
    gained, lost, volume = (
        f"sum by (horizon) ({of(rate(f'mm_markout_{name}_quote_total'))})" for name in ("gained", "lost", "volume")
    )
    return legend, f"1e4 * ({gained} - {lost}) / {volume}"


def counted(metric: str, label: str) -> tuple[str, str]:
    """So many a minute, by what they were."""
    return f"{{{{{label}}}}}", or_none(f"sum by ({label}) (60 * {of(rate(metric))})", label)


def latency(histogram: str) -> tuple[tuple[str, str], ...]:
    buckets = f"sum by (le) ({of(f'rate({histogram}_bucket{WINDOW})')})"
    return tuple((name, f"histogram_quantile({share}, {buckets})") for name, share in (("p50", 0.5), ("p99", 0.99)))


MAKER = Dashboard(
    "maker",
    "Phoenix / Maker",
    (
        (
            "Now",
            (
                stat(
                    "Quotes", of("mm_quote_suppressed"), words=((0, "quoting", "green"), (1, "not quoting", "orange"))
                ),
                stat("Ready", of("mm_ready"), words=((0, "no", "red"), (1, "yes", "green"))),
                stat("Mode", of("mm_live"), words=((0, "DryRun", "blue"), (1, "Live", "green"))),
                stat("Emergency of the account", of("mm_emergency_level"), words=EMERGENCY),
                stat("Halt of the symbol", of("mm_risk_halted"), words=((0, "none", "green"), (1, "HALTED", "red"))),
                stat("Generation in force", of("mm_parameters_generation")),
            ),
        ),
        (
            "Market and quotes",
            (
                Panel("Price", (line("mid", "mm_mid"), line("mark", "mm_mark"))),
                Panel(
                    "Spread, bps",
                    (line("the market's", "mm_spread / mm_mid * 1e4"), line("ours", "2 * mm_half_spread_bps")),
                ),
                Panel("Live quotes", (line("{{side}}", "mm_grid_layers"),)),
                Panel("Volatility", (line("1 s", "mm_sigma_1s"), line("30 min", "mm_price_stddev_30m")), "percentunit"),
                Panel(
                    "Flow",
                    (
                        line("VPIN", "mm_vpin"),
                        line("factor on the half spread", "mm_toxicity"),
                        line("imbalance", "mm_book_imbalance"),
                    ),
                ),
                Panel("Size decay", (line("factor", "mm_dynamic_decay_factor"),)),
            ),
        ),
        (
            "Inventory",
            (
                Panel(
                    "Position, base",
                    (
                        line("position", "mm_position"),
                        line("worst case long", "mm_worst_case_long"),
                        line("worst case short", "-mm_worst_case_short"),
                        line("netMax", "mm_net_max"),
                        line("-netMax", "-mm_net_max"),
                    ),
                    width=12,
                ),
                Panel(
                    "Orders that are live or may be, base",
                    (line("buys", "mm_pending_buy"), line("sells", "mm_pending_sell")),
                    width=6,
                ),
                Panel(
                    "Of the account's limits, base",
                    (line("granted, {{side}}", "mm_reserved"), line("asked, {{side}}", "mm_reservation_asked")),
                    width=6,
                ),
                Panel(
                    "Mode of the inventory", (line("{{guard}}", "mm_guard_active"),), kind="state-timeline", width=12
                ),
                Panel(
                    "Time in each mode",
                    (line("{{mode}}", rate("mm_mode_seconds_total")),),
                    "percentunit",
                    width=12,
                    stacked=True,
                ),
            ),
        ),
        (
            "Money, quote",
            (
                Panel(
                    "Since the accounts began",
                    (line("{{kind}}", 'mm_pnl{kind!="day"}'),),
                    width=8,
                    text="Fees: positive is paid.",
                ),
                Panel(
                    "The day, and where it ends",
                    (line("day", 'mm_pnl{kind="day"}'), line("limit: {{limit}}", "-mm_loss_limit")),
                ),
                Panel("Fills", (line("a minute", f"60 * {rate('mm_fills_total')}"),)),
                Panel(
                    "Markouts of the window, bps",
                    (markout("{{horizon}}"),),
                    text="After a fill the mid went our way by so much.",
                ),
                Panel("Funding", (line("received", "mm_funding_pnl_acc"),)),
                Panel("Funding rate that is expected", (line("rate", "mm_predicted_funding_rate"),), "percentunit"),
                Panel("Grinds", (line("in all", "mm_grind_count_total"), line("under way", "mm_grind_active"))),
                Panel("Saved by grinding", (line("less all fees", "mm_grind_cost_saved"),)),
                Panel("Volume an hour", (line("quote", f"3600 * {rate('mm_volume_quote_total')}"),)),
            ),
        ),
        (
            "Orders",
            (
                Panel("Commands a second", (line("{{request}}", rate("mm_orders_sent_total")),), stacked=True),
                Panel("Held back by the gate, a minute", (counted("mm_refusals_total", "reason"),)),
                Panel("Refused by the exchange, a minute", (counted("mm_order_refusals_total", "reason"),)),
                Panel("Tick to order", latency("mm_tick_to_order_seconds"), "s"),
                Panel("Command to answer", latency("mm_order_latency_seconds"), "s"),
                Panel("One event through the engine", latency("mm_decision_seconds"), "s"),
                Panel("Budgets in use", (line("{{budget}}", "mm_budget_used_ratio"),), "percentunit"),
                Panel("Over REST, a minute", (line("commands", f"60 * {rate('mm_rest_fallback_count_total')}"),)),
                Panel("Errors of the exchange's API, a minute", (counted("mm_api_errors_total", "code"),)),
            ),
        ),
        (
            "Health",
            (
                Panel(
                    "Connections",
                    (line("{{stream}}", "mm_ws_connected"), line("orders", "mm_orders_connected")),
                    kind="state-timeline",
                    width=12,
                ),
                Panel(
                    "Why it does not quote",
                    (line("{{reason}}", rate("mm_reason_seconds_total")),),
                    "percentunit",
                    "Share of the time, by the first reason.",
                    width=12,
                    stacked=True,
                ),
                Panel("Age of the book", (line("last frame", "mm_book_age_seconds"),), "s"),
                Panel("Stale", (line("share of the time", rate("mm_stale_seconds_total")),), "percentunit"),
                Panel("Book anew, a minute", (line("synchronised", f"60 * {rate('mm_resyncs_total')}"),)),
                Panel(
                    "Event loop",
                    (
                        line("lateness", "mm_event_loop_lag_seconds"),
                        line("worst so far", "mm_event_loop_lag_max_seconds"),
                    ),
                    "s",
                ),
                Panel("Redis, round trip", (line("heartbeat", "mm_coordination_beat_seconds"),), "s"),
                Panel(
                    "Recording",
                    (
                        line("written", rate("mm_recorder_written_bytes_total")),
                        line("events dropped", rate("mm_recorder_dropped_total")),
                    ),
                    "Bps",
                ),
            ),
        ),
    ),
    ("maker", "label_values(mm_build_info, maker)"),
)
