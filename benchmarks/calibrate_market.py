"""The synthetic market beside the recording: the same figures of both, and what the generator costs.

    python benchmarks/calibrate_market.py [--table calm|regimes|queues] [--capture FILE] [--seeds 1,2,3]
                                          [--regime calm] [--symbol BTCUSDT] [--seconds 345]

`calm`: the regime's figures beside the recording's. `regimes`: each regime minute by minute, beside the recording's
minutes. `queues`: what a naive maker gets under each queue model, from the recording and from the regime.

The capture defaults to PHOENIX_CAPTURE or ../shared/data/binance-usdm/btcusdt_20240808.gz beside the repository;
without it only the synthetic columns are printed. The synthetic figures are of an exchange where nobody else trades.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from functools import partial
from pathlib import Path
from statistics import fmean, median

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "simulator"))

from phoenix_simulator.exchange.book import QueueModel  # noqa: E402 - found through the line above
from phoenix_simulator.exchange.errors import VenueError  # noqa: E402
from phoenix_simulator.exchange.events import DepthChanged, ExchangeEvent, TouchChanged, TradePrinted  # noqa: E402
from phoenix_simulator.exchange.exchange import Exchange  # noqa: E402
from phoenix_simulator.exchange.orders import NewOrder, OrderRef, OrderType, Side, TimeInForce  # noqa: E402
from phoenix_simulator.exchange.settings import ExchangeSettings  # noqa: E402
from phoenix_simulator.exchange.symbols import BUILT_IN, SymbolSpec  # noqa: E402
from phoenix_simulator.market.measure import MarketMeter  # noqa: E402
from phoenix_simulator.market.regimes import RegimeName  # noqa: E402
from phoenix_simulator.market.replay import ReplaySource  # noqa: E402
from phoenix_simulator.market.source import MarketSource  # noqa: E402
from phoenix_simulator.market.synthetic import SyntheticSource  # noqa: E402

CAPTURE = Path(os.environ.get("PHOENIX_CAPTURE") or ROOT.parent / "shared/data/binance-usdm/btcusdt_20240808.gz")
REQUOTE_MS = 500
MAKER_NOTIONAL = 300
FRAME_MS = 47
"""Gathers the exchange's changes into frames about 52 ms apart, as the recording's are."""
MINUTE_NS = 60_000_000_000
FUNDING = "predicted funding rate, bps"
OF_A_MINUTE = (
    "touch updates /s",
    "prints /s",
    "spread of 1 tick, % of time",
    "touch size p50, steps",
    "quantity per tick 10…99 ticks behind the touch, steps",
    "moves (bursts of them) /s",
    "move size p95, ticks",
    "move lasts p75, ms",
    "mid over 1 s, σ bps",
    "mid drifts, bps /min",
    "market orders that buy, %",
    "order signs, correlation at lag 1",
    "maker's markout after 1000 ms, bps",
)


def measure(spec: SymbolSpec, source: MarketSource, seconds: float, frame_ms: int) -> Mapping[str, float]:
    """Plays `seconds` of the source into an exchange of its own, as fast as it goes."""
    start = source.start()
    meter = MarketMeter(start.bids, start.asks, frame_ms)
    exchange = Exchange()
    exchange.list_symbol(spec, start, 0)
    exchange.listeners.append(partial(tell, meter))
    updates = 0
    began = time.process_time()
    for update in source.updates(exchange.background(spec.symbol)):
        if update.time_ns > seconds * 1e9:
            break
        exchange.apply(spec.symbol, update, update.time_ns // 1_000_000)
        updates += 1
    cpu_s = time.process_time() - began
    snapshot = exchange.depth(spec.symbol, 1_000_000)
    return {
        **meter.figures(),
        "source updates /s": updates / seconds,
        "levels in the book at the end": float(len(snapshot.bids) + len(snapshot.asks)),
        "source, exchange and meter, % of a core at life's rate": 100 * cpu_s / seconds,
    }


def tell(meter: MarketMeter, event: ExchangeEvent) -> None:
    match event:
        case DepthChanged():
            meter.depth(event.time_ms, event.bids, event.asks)
        case TouchChanged():
            meter.touch(event.time_ms, (event.bid_ticks, event.bid_steps), (event.ask_ticks, event.ask_steps))
        case TradePrinted():
            meter.trade(event.time_ms, event.price_ticks, event.qty_steps, buyer_is_maker=event.buyer_is_maker)
        case _:
            pass


def minutes(spec: SymbolSpec, source: MarketSource, seconds: float, frame_ms: int) -> Mapping[str, list[float]]:
    """The figures of each whole minute that has any; a minute is as long as a mood of the market lasts."""
    exchange = Exchange()
    exchange.list_symbol(spec, source.start(), 0)
    meters: list[MarketMeter] = []
    exchange.listeners.append(lambda event: tell(meters[-1], event))
    found: dict[str, list[float]] = {}
    for update in source.updates(exchange.background(spec.symbol)):
        if update.time_ns > seconds * 1e9:
            break
        while update.time_ns >= len(meters) * MINUTE_NS:
            snapshot = exchange.depth(spec.symbol, 1_000_000)
            meters.append(MarketMeter(snapshot.bids, snapshot.asks, frame_ms))
        exchange.apply(spec.symbol, update, update.time_ns // 1_000_000)
        found.setdefault(FUNDING, []).append(exchange.listing(spec.symbol).funding_rate_e8 / 1e4)
    for meter in meters[: int(seconds * 1e9 // MINUTE_NS)]:
        if meter.has_moved:
            for name, value in meter.figures().items():
                found.setdefault(name, []).append(value)
    return found


def spread_of(values: Sequence[float]) -> str:
    """Median, and the range in brackets."""
    middle, low, high = (_short(value) for value in (median(values), min(values), max(values)))
    return f"{middle} ({low}…{high})"


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def naive_maker(
    spec: SymbolSpec,
    source: MarketSource,
    seconds: float,
    away_ticks: int,
    queue_model: QueueModel = QueueModel.PESSIMISTIC,
) -> Mapping[str, float]:
    """One small order a side, `away_ticks` behind the touch, moved there every half second: what its fills are worth
    a second later. This is what a maker feels of adverse selection, queues included.
    """
    exchange, symbol = Exchange(ExchangeSettings(queue_model=queue_model)), spec.symbol
    exchange.list_symbol(spec, source.start(), 0)
    exchange.open_account("maker", {spec.margin_asset: 10**15}, 0)
    price = spec.price_to_decimal(source.start().bids[0][0])
    quantity = max(1, int(MAKER_NOTIONAL / price / spec.step_size)) * spec.step_size
    mids: dict[int, float] = {}
    due_ms = 0
    for update in source.updates(exchange.background(symbol)):
        now_ms = update.time_ns // 1_000_000
        if now_ms > seconds * 1e3:
            break
        exchange.apply(symbol, update, now_ms)
        touch = exchange.listing(symbol).touch
        mids[now_ms // 100] = (touch.bid_ticks + touch.ask_ticks) / 2
        if now_ms < due_ms:
            continue
        due_ms = now_ms + REQUOTE_MS
        live = {order.side: order for order in exchange.open_orders("maker", symbol)}
        for side, best in ((Side.BUY, touch.bid_ticks), (Side.SELL, touch.ask_ticks)):
            wanted, order = best - side.sign * away_ticks, live.get(side)
            if order is not None and order.price_ticks == wanted:
                continue
            if order is not None:
                exchange.cancel("maker", symbol, OrderRef(order_id=order.order_id), now_ms)
            with suppress(VenueError):  # the touch may be a moment old: post-only orders that would take are refused
                exchange.place("maker", post_only(spec, side, wanted, quantity), now_ms)
    markouts = [
        1e4 * fill.side.sign * (mids.get(fill.time_ms // 100 + 10, fill.price_ticks) / fill.price_ticks - 1)
        for fill in exchange.fills("maker", symbol, limit=1000)
    ]
    return {
        f"naive maker, {away_ticks} ticks behind the touch: fills /min": 60 * len(markouts) / seconds,
        f"naive maker, {away_ticks} ticks behind the touch: worth after 1 s, bps": fmean(markouts) if markouts else 0.0,
    }


def post_only(spec: SymbolSpec, side: Side, price_ticks: int, quantity: Decimal) -> NewOrder:
    return NewOrder(
        symbol=spec.symbol,
        side=side,
        type=OrderType.LIMIT,
        time_in_force=TimeInForce.GTX,
        price=spec.price_to_decimal(price_ticks),
        quantity=quantity,
    )


def table(columns: Mapping[str, Mapping[str, float]]) -> str:
    names = list(dict.fromkeys(name for figures in columns.values() for name in figures))
    width = max(map(len, names))
    rows = [" " * width + "".join(f"{title:>14}" for title in columns)]
    for name in names:
        cells = "".join(f"{figures[name]:14.3f}" if name in figures else f"{'–':>14}" for figures in columns.values())
        rows.append(f"{name:{width}}{cells}")
    return "\n".join(rows)


def markdown(columns: Mapping[str, Mapping[str, str]]) -> str:
    """Columns as a table of the documentation: rows by name."""
    names = list(dict.fromkeys(name for cells in columns.values() for name in cells))
    rows = ["| |" + "|".join(columns) + "|", "|---|" + "---:|" * len(columns)]
    rows += [f"| {name} | " + " | ".join(cells.get(name, "–") for cells in columns.values()) + " |" for name in names]
    return "\n".join(rows)


def calm_table(options: argparse.Namespace) -> str:
    columns: dict[str, Mapping[str, float]] = {}
    if options.capture.exists():
        replay = ReplaySource([options.capture])
        spec, seconds = BUILT_IN[replay.symbol], replay.summary.duration_s
        columns["recording"] = {
            **measure(spec, replay, seconds, 0),
            **naive_maker(spec, replay, seconds, 0),
            **naive_maker(spec, replay, seconds, 60),
        }
    spec = BUILT_IN[options.symbol]
    for seed in options.seeds:
        first, second, third = (SyntheticSource(spec, seed, options.regime) for _ in range(3))
        columns[f"seed {seed}"] = {
            **measure(spec, first, options.seconds, FRAME_MS),
            **naive_maker(spec, second, options.seconds, 0),
            **naive_maker(spec, third, options.seconds, 60),
        }
    return table(columns)


def regimes_table(options: argparse.Namespace) -> str:
    columns: dict[str, Mapping[str, str]] = {}
    if options.capture.exists():
        replay = ReplaySource([options.capture])
        found = minutes(BUILT_IN[replay.symbol], replay, replay.summary.duration_s, 0)
        columns["recording"] = {name: spread_of(found[name]) for name in OF_A_MINUTE if name in found}
    spec = BUILT_IN[options.symbol]
    for regime in RegimeName:
        found = minutes(spec, SyntheticSource(spec, options.seeds[0], regime), options.seconds, FRAME_MS)
        columns[regime] = {name: spread_of(found[name]) for name in (*OF_A_MINUTE, FUNDING) if name in found}
    return markdown(columns)


def queues_table(options: argparse.Namespace) -> str:
    columns: dict[str, dict[str, str]] = {}
    for model in QueueModel:
        cells = columns.setdefault(model.value, {})
        for title, source, seconds in _markets(options):
            for away_ticks in (0, 60):
                told = naive_maker(BUILT_IN[source().symbol], source(), seconds, away_ticks, model)
                fills, worth = told.values()
                cells[f"{title}, {away_ticks} ticks behind"] = f"{fills:.1f} /min at {worth:+.2f} bps"
    return markdown(columns)


def _markets(options: argparse.Namespace) -> Iterator[tuple[str, Callable[[], MarketSource], float]]:
    """(title, a fresh source, its seconds) of the recording and the regime."""
    if options.capture.exists():
        replay = ReplaySource([options.capture])
        yield "recording", lambda: replay, replay.summary.duration_s
    synthetic = partial(SyntheticSource, BUILT_IN[options.symbol], options.seeds[0], options.regime)
    yield f"{options.regime}, synthetic", synthetic, options.seconds


TABLES = {"calm": calm_table, "regimes": regimes_table, "queues": queues_table}


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="The synthetic market beside the recording.")
    parser.add_argument("--table", default="calm", choices=TABLES)
    parser.add_argument("--capture", type=Path, default=CAPTURE)
    parser.add_argument("--seeds", default="1,2,3", type=lambda text: [int(seed) for seed in text.split(",")])
    parser.add_argument("--regime", default=RegimeName.CALM, type=RegimeName, choices=list(RegimeName))
    parser.add_argument("--symbol", default="BTCUSDT", choices=sorted(BUILT_IN))
    parser.add_argument("--seconds", default=345.0, type=float)
    options = parser.parse_args(argv)
    if not options.capture.exists():
        print(f"no recording at {options.capture}: synthetic figures only", file=sys.stderr)
    print(TABLES[options.table](options))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
