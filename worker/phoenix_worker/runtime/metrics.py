"""Every metric of a worker: its name, meaning and unit, in one place. Collected at scrape, so that a tick pays nothing.

The first names are fixed (dashboards and alerts of others rely on them); the rest follow the Prometheus conventions:
base units, counters end in `_total`.
"""

import math
from collections.abc import Callable, Iterator

from phoenix_coordination.redis.steward import StewardReport
from phoenix_coordination.state import Mode as TradingMode
from phoenix_coordination.state import StateRecord
from prometheus_client import PROCESS_COLLECTOR, CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder

from phoenix_worker.core.account import NOT_A_FAILURE
from phoenix_worker.core.events import Side
from phoenix_worker.core.instrument import MONEY, Instrument
from phoenix_worker.core.inventory import Mode
from phoenix_worker.core.markout import HORIZONS_S, Markouts
from phoenix_worker.core.view import View
from phoenix_worker.runtime.beside import Beside
from phoenix_worker.runtime.families import counter, counters_by, gauge, gauges_by, histogram
from phoenix_worker.runtime.loop_lag import LoopWatch
from phoenix_worker.runtime.meters import Meters
from phoenix_worker.runtime.recorder import Statistics as RecorderStatistics
from phoenix_worker.runtime.shadow_metrics import shadow_families
from phoenix_worker.venue.binance.statistics import Statistics as VenueStatistics


class Sample:
    """Everything that a scrape looks at, as of one moment. `view` and `instrument` are None until the engine runs;
    `steward` is what this worker saw as the account's steward, None while another one is; `beat_s`: how long the last
    heartbeat to the account's other workers took; `capital`: 1e-8 quote, None where none was declared.
    """

    def __init__(
        self,
        record: StateRecord,
        meters: Meters,
        watch: LoopWatch,
        *,
        view: View | None = None,
        instrument: Instrument | None = None,
        venue: VenueStatistics | None = None,
        recorder: RecorderStatistics | None = None,
        log_lines_dropped: int = 0,
        parameters_refused: int = 0,
        capital: int | None = None,
        steward: StewardReport | None = None,
        beat_s: float = math.nan,
        beside: Beside | None = None,
    ) -> None:
        self.record = record
        self.meters = meters
        self.watch = watch
        self.view = view
        self.instrument = instrument
        self.venue = venue
        self.recorder = recorder
        self.log_lines_dropped = log_lines_dropped
        self.parameters_refused = parameters_refused
        self.capital = capital
        self.steward = steward
        self.beat_s = beat_s
        self.beside = beside


EngineFigure = Callable[[View, Instrument], float]

ENGINE_GAUGES: tuple[tuple[str, str, EngineFigure], ...] = (
    # Fixed names.
    (
        "mm_worst_case_long",
        "|position| in base units if all buys filled.",
        lambda v, i: abs(v.worst_long_steps) * i.step,
    ),
    (
        "mm_worst_case_short",
        "|position| in base units if all sells filled.",
        lambda v, i: abs(v.worst_short_steps) * i.step,
    ),
    ("mm_dynamic_decay_factor", "exp(-sizeDecayK * e / netMax) of the nearest increasing layer.", lambda v, _: v.decay),
    ("mm_funding_pnl_acc", "Funding received less paid, quote.", lambda v, _: v.funding / MONEY),
    (
        "mm_predicted_funding_rate",
        "Funding rate expected at the next settlement, a ratio; NaN until one is told.",
        lambda v, _: math.nan if v.predicted_funding_rate is None else v.predicted_funding_rate,
    ),
    ("mm_grind_active", "1 while a grind's taker or re-entry is to be filled.", lambda v, _: float(v.grinding)),
    (
        "mm_grind_cost_saved",
        "Saved by grinding less all its fees, quote; negative where it cost more. NaN while a fee cannot be converted.",
        lambda v, _: math.nan if v.grind_saved is None else v.grind_saved / MONEY,
    ),
    (
        "mm_price_stddev_30m",
        "Standard deviation of the price over 30 minutes relative to its mean; NaN until 30 minutes are known.",
        lambda v, _: math.nan if v.stddev_30m is None else v.stddev_30m,
    ),
    ("mm_quote_suppressed", "1 while any reason stands against quoting.", lambda v, _: float(bool(v.reasons))),
    ("mm_pending_buy", "Buys live, in flight or unknown, base units.", lambda v, i: v.pending_buy_steps * i.step),
    ("mm_pending_sell", "Sells live, in flight or unknown, base units.", lambda v, i: v.pending_sell_steps * i.step),
    ("mm_position", "Signed position, base units.", lambda v, i: v.position_steps * i.step),
    ("mm_net_max", "Position limit, base units.", lambda v, i: v.net_max_steps * i.step),
    # Ours.
    ("mm_worst_case_limit", "Limit of the worst case, base units.", lambda v, i: v.worst_case_limit_steps * i.step),
    ("mm_mid", "Mid of the local book, quote.", lambda v, i: (v.bid_ticks + v.ask_ticks) / 2 * i.tick),
    ("mm_spread", "Ask less bid of the local book, quote.", lambda v, i: (v.ask_ticks - v.bid_ticks) * i.tick),
    (
        "mm_vpin",
        "Toxicity of the order flow, 0 to 1; NaN until there are buckets enough.",
        lambda v, _: math.nan if v.vpin is None else v.vpin,
    ),
    ("mm_toxicity", "Factor on the half spread that VPIN asks for.", lambda v, _: v.toxicity),
    ("mm_mark", "Mark price, quote.", lambda v, _: v.mark),
    ("mm_sigma_1s", "EWMA volatility of 1 s log returns.", lambda v, _: v.sigma_1s),
    ("mm_book_imbalance", "Order-book imbalance at the touch, -1 to 1.", lambda v, _: v.imbalance),
    (
        "mm_half_spread_bps",
        "Half spread that is wanted, bps; NaN without a plan.",
        lambda v, _: math.nan if v.half_spread_bps is None else v.half_spread_bps,
    ),
    ("mm_lease_held", "1 while this worker holds the symbol's lease.", lambda v, _: float(bool(v.token))),
    ("mm_lease_token", "Fencing token of the lease, 0 without.", lambda v, _: float(v.token)),
    ("mm_standby_warm", "1 while leading is all that this worker lacks to quote.", lambda v, _: float(v.warm)),
    ("mm_emergency_level", "The account's switch: 0 none, 1 halt, 2 flatten.", lambda v, _: float(v.emergency)),
    ("mm_emergency_epoch", "What a resume of the account has to name.", lambda v, _: float(v.emergency_epoch)),
    ("mm_risk_halted", "1 while the symbol is halted by risk.", lambda v, _: float(bool(v.halted))),
    ("mm_risk_halt_epoch", "What a resume of the symbol has to name.", lambda v, _: float(v.halt_epoch)),
    (
        "mm_fresh_connection_silent",
        "1 while a fresh connection is silent too: the cause is upstream.",
        lambda v, _: float(v.fresh_connection_silent),
    ),
    (
        "mm_fresh_connection_refused",
        "1 while no connection for market data can be opened.",
        lambda v, _: float(v.fresh_connection_refused),
    ),
    (
        "mm_book_age_seconds",
        "Since the last frame of the symbol's book.",
        lambda v, _: math.nan if v.book_age_ns is None else v.book_age_ns / 1e9,
    ),
)

ENGINE_COUNTERS: tuple[tuple[str, str, EngineFigure], ...] = (
    ("mm_grind_count", "Grinds whose taker got something.", lambda v, _: v.grinds),
    ("mm_market_events", "Events of market data that the engine saw.", lambda v, _: v.counters.market_events),
    ("mm_decisions", "Decisions: plan, difference, gate.", lambda v, _: v.counters.decisions),
    ("mm_fills", "Fills of the symbol, whoever made them.", lambda v, _: v.pnl.fills),
    ("mm_foreign_fills", "Fills of orders that are not ours.", lambda v, _: v.counters.foreign_fills),
    (
        "mm_self_trades_prevented",
        "Orders that ended before they traded with another of ours.",
        lambda v, _: v.counters.self_trades,
    ),
    ("mm_volume_quote", "Notional of all fills, quote.", lambda v, _: v.pnl.volume / MONEY),
    ("mm_stale_episodes", "Times that the price went stale.", lambda v, _: v.stale_episodes),
    ("mm_stale_seconds", "Seconds with a stale price.", lambda v, _: v.stale_seconds),
    ("mm_resyncs", "Times that the book was synchronised anew.", lambda v, _: v.counters.resyncs),
    (
        "mm_comparisons_failed",
        "Comparisons with the exchange's truth that differed.",
        lambda v, _: v.comparisons_failed,
    ),
    (
        "mm_funding_differences",
        "Settlements that position, mark and rate do not explain, or that no record has.",
        lambda v, _: v.funding_differences,
    ),
    ("mm_layers_dropped", "Layers too small to be sent.", lambda v, _: v.counters.layers_dropped),
    (
        "mm_order_failures",
        "Commands that the venue refused, but for what is expected and for what only says to wait.",
        lambda v, _: sum(count for why, count in v.counters.refusals.items() if why not in NOT_A_FAILURE),
    ),
    ("mm_liquidation_orders", "Emergency orders of Liquidate.", lambda v, _: v.liquidations),
    ("mm_parameters_set", "Times that parameters were swapped in.", lambda v, _: v.counters.parameters_set),
)

VENUE_COUNTERS: tuple[tuple[str, str, Callable[[VenueStatistics], float]], ...] = (
    ("mm_rest_fallback_count", "Commands sent over REST because the order API was down.", lambda f: f.rest_fallbacks),
    ("mm_depth_conflated", "Frames that a newer one of the same batch replaced, never decoded.", lambda f: f.conflated),
    ("mm_late_replies", "Answers of the order API that came after their time-out.", lambda f: f.late_replies),
    ("mm_connection_successions", "Connections replaced before their 24 hours ended.", lambda f: f.successions),
    ("mm_decode_errors", "Frames that could not be decoded.", lambda f: f.decode_errors),
)

VENUE_GAUGES: tuple[tuple[str, str, Callable[[VenueStatistics], float]], ...] = (
    (
        "mm_depth_queue_length",
        "Frames in the socket's last read batch: there is no other queue.",
        lambda f: f.batch_last,
    ),
    ("mm_depth_queue_length_max", "Largest read batch so far.", lambda f: f.batch_max),
    ("mm_orders_connected", "1 while the order API's socket is up.", lambda f: float(f.orders_connected)),
)


class WorkerCollector:
    """A prometheus_client collector over `sample()`, called once a scrape."""

    def __init__(self, sample: Callable[[], Sample]) -> None:
        self._sample = sample

    def collect(self) -> Iterator[Metric]:
        sample = self._sample()
        symbol = sample.record.symbol
        yield from _process_families(sample, symbol)
        if sample.view is not None and sample.instrument is not None:
            yield from _engine_families(sample.view, sample.instrument, symbol)
            if sample.beside is not None:
                yield from shadow_families(sample.beside, sample.view, sample.instrument, symbol)
        if sample.venue is not None:
            yield from _venue_families(sample.venue, symbol)
            yield from _steward_families(sample.steward, sample.record.ages.steward, symbol)


def _process_families(sample: Sample, symbol: str) -> Iterator[Metric]:
    record, meters, watch = sample.record, sample.meters, sample.watch
    build = InfoMetricFamily("mm_build", "What runs here: build, maker and account.", labels=("symbol",))
    maker = f"{record.namespace}/{record.maker}"
    build.add_metric((symbol,), {"build": record.build, "maker": maker, "account": record.account})
    yield build
    yield gauge("mm_ready", "What /readyz answers.", symbol, float(record.ready))
    yield gauges_by(
        "mm_not_ready", "1 for each reason that makes the worker unready.", symbol, "reason",
        {reason.value: 1.0 for reason in record.reasons_not_ready},
    )  # fmt: skip
    yield gauge("mm_live", "1 in mode Live, 0 in DryRun.", symbol, float(record.mode is TradingMode.LIVE))
    yield gauge("mm_event_loop_lag_seconds", "Lateness of the event loop's last beat.", symbol, watch.lag_seconds)
    yield gauge("mm_event_loop_lag_max_seconds", "Worst lateness so far.", symbol, watch.max_lag_seconds)
    yield counter("mm_event_loop_stalls", "Times that the event loop was held for over 200 ms.", symbol, watch.stalls)
    yield histogram("mm_decision_seconds", "One event through the engine.", symbol, meters.decision)
    yield histogram("mm_tick_to_order_seconds", "From a tick to the order's bytes.", symbol, meters.tick_to_order)
    yield histogram("mm_order_latency_seconds", "From a command to its answer.", symbol, meters.order_round_trip)
    yield gauge("mm_coordination_beat_seconds", "Round trip of the last heartbeat.", symbol, sample.beat_s)
    yield gauge("mm_parameters_generation", "Generation in force.", symbol, record.configuration.generation)
    yield gauge("mm_capital", "risk.capital in force, quote; NaN without.", symbol, _money(sample.capital))
    refused = float(bool(record.configuration.refused))
    yield gauge("mm_parameters_refused", "1 while the files that lie there are refused.", symbol, refused)
    yield counter("mm_parameters_refusals", "Changed files that were refused.", symbol, sample.parameters_refused)
    yield counter("mm_log_lines_dropped", "Log lines that nobody took.", symbol, sample.log_lines_dropped)
    if sample.recorder is not None:
        recorder = sample.recorder
        yield counter("mm_recorder_events", "Events in the flight recording.", symbol, recorder.recorded)
        yield counter("mm_recorder_dropped", "Events that the recording lacks.", symbol, recorder.dropped)
        yield counter("mm_recorder_written_bytes", "Compressed bytes written.", symbol, recorder.written_bytes)
        yield gauge("mm_recorder_failing", "1 while the disk refuses.", symbol, float(bool(recorder.failure)))


def _engine_families(view: View, instrument: Instrument, symbol: str) -> Iterator[Metric]:
    for name, text, figure in ENGINE_GAUGES:
        yield gauge(name, text, symbol, figure(view, instrument))
    for name, text, figure in ENGINE_COUNTERS:
        yield counter(name, text, symbol, figure(view, instrument))
    counters = view.counters
    yield gauges_by(
        "mm_pnl",
        "Quote units; fees positive = paid, in any asset; day and total are results; NaN while unknown.",
        symbol,
        "kind",
        {
            "realised": view.pnl.realised / MONEY,
            "unrealised": view.unrealised / MONEY,
            "fees": _money(view.fees),
            "funding": view.funding / MONEY,
            "day": _money(view.day_result),
            "total": _money(view.total_result),
        },
    )
    other_fees = {asset: amount / MONEY for asset, amount in view.pnl.other_fees.items()}
    yield gauges_by("mm_fees_other", "Fees paid in other assets, their units.", symbol, "asset", other_fees)
    limits = {"day": _money(view.daily_loss_max), "stop": _money(view.stop_loss)}
    yield gauges_by("mm_loss_limit", "Loss that halts, quote; NaN where none is set.", symbol, "limit", limits)
    yield from _markout_families(view.markouts, symbol)
    reserved = {"buy": view.reserved_buy_steps * instrument.step, "sell": view.reserved_sell_steps * instrument.step}
    asked = {"buy": view.asked_buy_steps * instrument.step, "sell": view.asked_sell_steps * instrument.step}
    yield gauges_by("mm_reserved", "Granted by the account's ledger, base units.", symbol, "side", reserved)
    yield gauges_by("mm_reservation_asked", "Asked of the account's ledger, base units.", symbol, "side", asked)
    layers = {side.name.lower(): float(sum(order.side is side for order in view.orders)) for side in Side}
    yield gauges_by("mm_grid_layers", "Live quotes.", symbol, "side", layers)
    guards = {mode.name.lower(): float(view.mode is mode) for mode in Mode}
    yield gauges_by("mm_guard_active", "1 for the mode of the inventory in force.", symbol, "guard", guards)
    spent = {stance.value: ns / 1e9 for stance, ns in view.tally.stances.items()}
    yield counters_by("mm_mode_seconds", "Seconds in each mode.", symbol, "mode", spent)
    told = {reason.value: ns / 1e9 for reason, ns in view.tally.reasons.items()}
    yield counters_by("mm_reason_seconds", "Seconds by the first reason against quoting.", symbol, "reason", told)
    yield gauges_by(
        "mm_quoting_reason", "1 for each reason against quoting.", symbol, "reason",
        {reason.value: 1.0 for reason in view.reasons},
    )  # fmt: skip
    sent = {"place": counters.placed, "amend": counters.amended, "cancel": counters.cancelled}
    yield counters_by("mm_orders_sent", "Commands sent.", symbol, "request", sent)
    yield counters_by("mm_refusals", "Orders that the gate refused.", symbol, "reason", counters.denials)
    yield counters_by("mm_order_refusals", "Commands that the venue refused.", symbol, "reason", counters.refusals)
    yield counters_by("mm_order_unknown", "Commands without an answer.", symbol, "request", counters.unknown)
    codes = {str(code): count for code, count in counters.codes.items()}
    yield counters_by("mm_order_errors", "Refused commands by the venue's code.", symbol, "code", codes)


def _money(amount: int | None) -> float:
    return math.nan if amount is None else amount / MONEY


def _markout_families(markouts: Markouts, symbol: str) -> Iterator[Metric]:
    """Gains and losses apart, as counters: their rates over the rate of the volume are the markout of any window."""
    labels = ("symbol", "side", "horizon")
    bps = GaugeMetricFamily("mm_markout_bps", "Of all fills so far, by notional; positive is ours.", labels=labels)
    counters = {
        "volume": CounterMetricFamily("mm_markout_volume_quote", "Notional that was measured, quote.", labels=labels),
        "gained": CounterMetricFamily("mm_markout_gained_quote", "By fills that went our way, quote.", labels=labels),
        "lost": CounterMetricFamily("mm_markout_lost_quote", "By fills that went against us, quote.", labels=labels),
    }
    for side in Side:
        for horizon_s, markout in zip(HORIZONS_S, markouts.sums[side], strict=True):
            values = (symbol, side.name.lower(), f"{horizon_s}s")
            bps.add_metric(values, math.nan if markout.bps is None else markout.bps)
            for name, family in counters.items():
                family.add_metric(values, getattr(markout, name) / MONEY)
    yield bps
    yield from counters.values()
    yield counter("mm_markouts_unmeasured", "Horizons at which no mid was known.", symbol, markouts.unmeasured)


def _venue_families(figures: VenueStatistics, symbol: str) -> Iterator[Metric]:
    for name, text, figure in VENUE_GAUGES:
        yield gauge(name, text, symbol, figure(figures))
    for name, text, figure in VENUE_COUNTERS:
        yield counter(name, text, symbol, figure(figures))
    # Conflated before decoding: nothing waits beyond one read batch, so nothing is ever dropped by us.
    yield gauge("mm_depth_queue_usage_ratio", "Share of the depth queue in use; there is none.", symbol, 0.0)
    yield counter("mm_depth_dropped", "Frames dropped for want of room; conflation leaves none.", symbol, 0.0)
    yield gauges_by(
        "mm_ws_connected", "1 while the stream is connected.", symbol, "stream",
        {stream.value: float(connected) for stream, connected in figures.connected.items()},
    )  # fmt: skip
    budgets = {
        "orders_10s": figures.orders_10s_used,
        "orders_1m": figures.orders_1m_used,
        "weight_1m": figures.weight_1m_used,
    }
    granted = {"orders": float(figures.orders_granted), "weight": float(figures.weight_granted)}
    yield gauges_by("mm_budget_granted", "Left of what the account's workers granted.", symbol, "budget", granted)
    yield gauges_by("mm_budget_used_ratio", "Share of the exchange's limit in use.", symbol, "budget", budgets)
    reconnects = dict(figures.reconnects)
    yield counters_by("mm_reconnects", "Connections made anew.", symbol, "stream", reconnects)
    failed = dict(figures.connects_failed)
    yield counters_by("mm_connects_failed", "Attempts to connect that came to nothing.", symbol, "stream", failed)
    errors = {str(code): count for code, count in figures.api_errors.items()}
    yield counters_by("mm_api_errors", "Errors of the venue's API.", symbol, "code", errors)


def _steward_families(report: StewardReport | None, unseen_ms: int | None, symbol: str) -> Iterator[Metric]:
    """The whole account's, told by the one worker that looks after it: sum or maximum over workers is the account's."""
    yield gauge("mm_steward", "1 while this worker is the account's steward.", symbol, float(report is not None))
    yield gauge(
        "mm_steward_unseen_seconds",
        "Since this worker has last seen that the account's steward, whoever it is, has looked at the account.",
        symbol,
        math.nan if unseen_ms is None else unseen_ms / 1000,
    )
    if report is None:
        return
    ratio, balance = report.margin_ratio, report.margin_balance
    yield gauge("mm_account_margin_ratio", "Maintenance margin of the margin balance.", symbol, ratio)
    yield gauge("mm_account_margin_balance", "Margin balance of the fullest asset, its units.", symbol, balance)
    day = sum(row.result for row in report.days) / MONEY
    yield gauge("mm_account_day_result", "Of the account's makers together since 00:00 UTC, quote.", symbol, day)
    distances = {row.symbol: row.liquidation_bps / 10_000 for row in report.symbols if row.liquidation_bps >= 0}
    yield gauges_by(
        "mm_liquidation_distance_ratio", "From mark to liquidation price, of mark.", symbol, "position", distances
    )
    leaderless = {row.symbol: 1.0 for row in report.symbols if not row.led}
    yield gauges_by(
        "mm_leaderless",
        "1 for each symbol with a position or orders that no worker leads.",
        symbol,
        "position",
        leaderless,
    )


class Exposition:
    """Renders one scrape in the format that the scraper asks for (Prometheus text or OpenMetrics)."""

    def __init__(self, sample: Callable[[], Sample]) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(WorkerCollector(sample))
        self._registry.register(PROCESS_COLLECTOR)

    def render(self, accept: str) -> tuple[bytes, str]:
        """`(body, content type)` for an Accept header."""
        encoder, content_type = choose_encoder(accept)
        return encoder(self._registry), content_type
