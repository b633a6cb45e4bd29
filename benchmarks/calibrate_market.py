"""The synthetic market beside the recording: the same figures of both, and what the generator costs.

    python benchmarks/calibrate_market.py [--capture FILE] [--seeds 1,2,3] [--regime calm] [--symbol BTCUSDT]
                                          [--seconds 345]

The capture defaults to PHOENIX_CAPTURE or ../shared/data/binance-usdm/btcusdt_20240808.gz beside the repository;
without it only the synthetic columns are printed. The synthetic figures are of an exchange where nobody else trades.
"""

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from statistics import fmean

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "simulator"))

from phoenix_simulator.exchange.errors import VenueError  # noqa: E402 - found through the line above
from phoenix_simulator.exchange.events import DepthChanged, ExchangeEvent, TouchChanged, TradePrinted  # noqa: E402
from phoenix_simulator.exchange.exchange import Exchange  # noqa: E402
from phoenix_simulator.exchange.orders import NewOrder, OrderRef, OrderType, Side, TimeInForce  # noqa: E402
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


def measure(spec: SymbolSpec, source: MarketSource, seconds: float, frame_ms: int) -> Mapping[str, float]:
    """Plays `seconds` of the source into an exchange of its own, as fast as it goes."""
    start = source.start()
    meter = MarketMeter(start.bids, start.asks, frame_ms)
    exchange = Exchange()
    exchange.list_symbol(spec, start, 0)

    def hear(event: ExchangeEvent) -> None:
        match event:
            case DepthChanged():
                meter.depth(event.time_ms, event.bids, event.asks)
            case TouchChanged():
                meter.touch(event.time_ms, (event.bid_ticks, event.bid_steps), (event.ask_ticks, event.ask_steps))
            case TradePrinted():
                meter.trade(event.time_ms, event.price_ticks, event.qty_steps, buyer_is_maker=event.buyer_is_maker)
            case _:
                pass

    exchange.listeners.append(hear)
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


def naive_maker(spec: SymbolSpec, source: MarketSource, seconds: float, away_ticks: int) -> Mapping[str, float]:
    """One small order a side, `away_ticks` behind the touch, moved there every half second: what its fills are worth
    a second later. This is what a maker feels of adverse selection, queues included.
    """
    exchange, symbol = Exchange(), spec.symbol
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


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="The synthetic market beside the recording.")
    parser.add_argument("--capture", type=Path, default=CAPTURE)
    parser.add_argument("--seeds", default="1,2,3", type=lambda text: [int(seed) for seed in text.split(",")])
    parser.add_argument("--regime", default=RegimeName.CALM, type=RegimeName, choices=list(RegimeName))
    parser.add_argument("--symbol", default="BTCUSDT", choices=sorted(BUILT_IN))
    parser.add_argument("--seconds", default=345.0, type=float)
    options = parser.parse_args(argv)

    columns: dict[str, Mapping[str, float]] = {}
    if options.capture.exists():
        replay = ReplaySource([options.capture])
        spec, seconds = BUILT_IN[replay.symbol], replay.summary.duration_s
        columns["recording"] = {
            **measure(spec, replay, seconds, 0),
            **naive_maker(spec, replay, seconds, 0),
            **naive_maker(spec, replay, seconds, 60),
        }
    else:
        print(f"no recording at {options.capture}: synthetic figures only", file=sys.stderr)
    spec = BUILT_IN[options.symbol]
    for seed in options.seeds:
        first, second, third = (SyntheticSource(spec, seed, options.regime) for _ in range(3))
        columns[f"seed {seed}"] = {
            **measure(spec, first, options.seconds, FRAME_MS),
            **naive_maker(spec, second, options.seconds, 0),
            **naive_maker(spec, third, options.seconds, 60),
        }
    print(table(columns))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
