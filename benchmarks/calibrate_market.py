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
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "simulator"))

from phoenix_simulator.exchange.events import DepthChanged, ExchangeEvent, TouchChanged, TradePrinted  # noqa: E402
from phoenix_simulator.exchange.exchange import Exchange  # noqa: E402 - found through the line above
from phoenix_simulator.exchange.symbols import BUILT_IN, SymbolSpec  # noqa: E402
from phoenix_simulator.market.measure import MarketMeter  # noqa: E402
from phoenix_simulator.market.regimes import RegimeName  # noqa: E402
from phoenix_simulator.market.replay import ReplaySource  # noqa: E402
from phoenix_simulator.market.source import MarketSource  # noqa: E402
from phoenix_simulator.market.synthetic import SyntheticSource  # noqa: E402

CAPTURE = Path(os.environ.get("PHOENIX_CAPTURE") or ROOT.parent / "shared/data/binance-usdm/btcusdt_20240808.gz")
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
        columns["recording"] = measure(BUILT_IN[replay.symbol], replay, replay.summary.duration_s, 0)
    else:
        print(f"no recording at {options.capture}: synthetic figures only", file=sys.stderr)
    spec = BUILT_IN[options.symbol]
    for seed in options.seeds:
        source = SyntheticSource(spec, seed, options.regime)
        columns[f"seed {seed}"] = measure(spec, source, options.seconds, FRAME_MS)
    print(table(columns))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
