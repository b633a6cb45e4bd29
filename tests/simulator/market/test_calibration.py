from statistics import fmean

import pytest
from phoenix_simulator.exchange.events import DepthChanged, TouchChanged, TradePrinted
from phoenix_simulator.exchange.symbols import BUILT_IN
from phoenix_simulator.market.measure import MarketMeter
from phoenix_simulator.market.replay import ReplaySource
from phoenix_simulator.market.synthetic import SyntheticSource

SEEDS = (1, 2)
SECONDS = 240


def figures_of(market, frame_ms, until_s):
    meter = MarketMeter(market.start.bids, market.start.asks, frame_ms)
    for _ in market.play(until_s=until_s):
        pass
    for event in market.events:
        match event:
            case DepthChanged():
                meter.depth(event.time_ms, event.bids, event.asks)
            case TouchChanged():
                meter.touch(event.time_ms, (event.bid_ticks, event.bid_steps), (event.ask_ticks, event.ask_steps))
            case TradePrinted():
                meter.trade(event.time_ms, event.price_ticks, event.qty_steps, buyer_is_maker=event.buyer_is_maker)
    return meter.figures()


@pytest.fixture(scope="module")
def both(recording, stage):
    recorded = figures_of(stage(ReplaySource([recording])), 0, float("inf"))
    synthetic = [figures_of(stage(SyntheticSource(BUILT_IN["BTCUSDT"], seed)), 47, SECONDS) for seed in SEEDS]
    return recorded, {name: fmean(figures[name] for figures in synthetic) for name in recorded}


# How far the synthetic market may be from the recording, as a factor either way. 345 s of one afternoon say little
# about rare things, so these are bands to notice a broken generator, not confidence intervals.
BANDS = {
    "depth frames /s": 1.15,
    "levels per depth frame": 1.4,
    "touch updates /s": 1.6,
    "prints /s": 1.7,
    "market orders /s": 1.7,
    "volume, steps /s": 2.0,
    "spread of 1 tick, % of time": 1.02,
    "spread over 1 tick, % of touch updates": 2.5,
    "touch size p25, steps": 1.8,
    "touch size p50, steps": 1.4,
    "touch size p75, steps": 1.4,
    "touch size p95, steps": 1.5,
    "touch price changes /s": 1.8,
    "moves (bursts of them) /s": 1.6,
    "move size p25, ticks": 1.5,
    "move size p50, ticks": 1.5,
    "move size p75, ticks": 1.5,
    "move size p95, ticks": 2.0,
    "touch price rests p50, ms": 2.0,
    "touch price rests p95, ms": 1.8,
    "mid over 0.1 s, σ bps": 1.8,
    "mid over 1 s, σ bps": 1.7,
    "mid over 10 s, σ bps": 1.8,
    "print size p50, steps": 2.0,
    "print size p95, steps": 1.8,
    "order size p50, steps": 2.0,
    "order size p95, steps": 2.0,
    "order signs, correlation at lag 1": 2.0,
    "order signs, correlation at lag 10": 2.5,
    "maker's markout after 10 ms, bps": 2.2,
    "maker's markout after 100 ms, bps": 2.2,
    "maker's markout after 1000 ms, bps": 2.5,
    "prices with liquidity 1…9 ticks behind the touch, %": 1.5,
    "quantity per tick 1…9 ticks behind the touch, steps": 1.6,
    "prices with liquidity 10…99 ticks behind the touch, %": 1.3,
    "quantity per tick 10…99 ticks behind the touch, steps": 1.8,
    "prices with liquidity 100…999 ticks behind the touch, %": 1.2,
    "quantity per tick 100…999 ticks behind the touch, steps": 1.5,
}


@pytest.mark.parametrize(("name", "factor"), BANDS.items(), ids=BANDS.keys())
def test_the_calm_market_looks_like_the_recording(both, name, factor):
    recorded, synthetic = both[0][name], both[1][name]
    assert recorded * synthetic > 0, f"{name}: recording {recorded:g}, synthetic {synthetic:g}"
    assert 1 / factor < synthetic / recorded < factor, f"{name}: recording {recorded:g}, synthetic {synthetic:g}"
