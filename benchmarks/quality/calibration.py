"""What a maker knows of its market before the hour begins: a calm hour of a seed that nobody is judged by.

The closed forms take A, k and σ from it, and everybody's statistics their first minutes.
"""

import math
from itertools import pairwise

import msgspec
from phoenix_cli.rehearsal.feed import Day
from phoenix_simulator.exchange.symbols import SymbolSpec
from phoenix_simulator.market.regimes import RegimeName
from phoenix_simulator.market.source import DepthUpdate, MarketSource, MarketUpdate, PrintUpdate, TouchUpdate

from quality.closed_forms import intensity
from quality.tape import SECOND_NS, Tape, generate

SEED = 0
MINUTE_S = 60
BPS = 1e-4
DISTANCES_BPS = tuple(step / 2 for step in range(1, 13))


class Calibration(msgspec.Struct, frozen=True):
    """`a` in fills a second and `k` per bps: λ(δ) = A exp(−k δ); `sigma_bps` per √s."""

    a: float
    k: float
    sigma_bps: float
    day: Day

    def day_before(self, mid: float) -> Day:
        """The same day, ending at this price."""
        scale = mid / self.day.closes[-1]
        return msgspec.structs.replace(self.day, closes=[close * scale for close in self.day.closes])


class _Second(msgspec.Struct):
    """Mid at its beginning, and the furthest prices at which somebody took in it (0: nobody)."""

    mid: float
    low: int = 0
    high: int = 0
    volume: int = 0
    bought: int = 0


def calibrate(spec: SymbolSpec, seconds: float = 3600.0) -> Calibration:
    return of_tape(generate(spec, RegimeName.CALM, SEED, seconds), spec)


def of_tape(tape: Tape, spec: SymbolSpec) -> Calibration:
    seconds = _by_second(tape)
    rates = [_rate(seconds, distance) for distance in DISTANCES_BPS]
    a, k = intensity(DISTANCES_BPS, rates)
    returns = [math.log(after.mid / before.mid) for before, after in pairwise(seconds)]
    sigma = math.sqrt(sum(change * change for change in returns) / len(returns))
    return Calibration(a, k, sigma / BPS, _day(seconds, spec))


def _by_second(source: MarketSource) -> list[_Second]:
    start = source.start()
    mid = (start.bids[0][0] + start.asks[0][0]) / 2
    seconds = [_Second(mid)]
    for update in _played(source):
        while update.time_ns >= len(seconds) * SECOND_NS:
            seconds.append(_Second(mid))
        match update:
            case TouchUpdate():
                mid = (update.bid_ticks + update.ask_ticks) / 2
            case PrintUpdate():
                now = seconds[-1]
                now.low = min(now.low or update.price_ticks, update.price_ticks)
                now.high = max(now.high, update.price_ticks)
                now.volume += update.qty_steps
                now.bought += 0 if update.buyer_is_maker else update.qty_steps
            case _:
                pass
    return seconds


def _played(source: MarketSource) -> list[MarketUpdate]:
    """A tape's own list; books are of no interest here."""
    assert isinstance(source, Tape)
    return [update for update in source.played if not isinstance(update, DepthUpdate)]


def _rate(seconds: list[_Second], distance_bps: float) -> float:
    """Of fills of an order that was placed at this distance at the beginning of each second, of both sides."""
    reached = sum(
        (0 < second.low <= second.mid * (1 - BPS * distance_bps))
        + (second.high >= second.mid * (1 + BPS * distance_bps))
        for second in seconds
    )
    share = reached / (2 * len(seconds))
    return -math.log1p(-share) if share < 1 else math.inf


def _day(seconds: list[_Second], spec: SymbolSpec) -> Day:
    tick, step = float(spec.tick_size), float(spec.step_size)
    minutes = [seconds[at : at + MINUTE_S] for at in range(0, len(seconds) - MINUTE_S + 1, MINUTE_S)]
    return Day(
        [minute[-1].mid * tick for minute in minutes],
        [sum(second.volume for second in minute) * step for minute in minutes],
        [sum(second.bought for second in minute) * step for minute in minutes],
    )
