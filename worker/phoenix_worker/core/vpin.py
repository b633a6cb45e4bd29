"""Toxicity of the order flow: VPIN, the volume-synchronised probability of informed trading.

    VPIN = Σ |V_buy − V_sell| / (n · V)        over the last n buckets, each of the same volume V

Easley, López de Prado, O'Hara, "Flow Toxicity and Liquidity in a High-Frequency World" (2012). They have to guess who
took, from price changes over bars; this venue says it of every trade, so nothing is classified here.
"""

import math
from collections.abc import Iterable

import msgspec

from phoenix_worker.core.parameters import Vpin as Parameters

WARM_BUCKETS = 10
"""Fewer say nothing yet: a fresh symbol is quoted as if its flow had two sides."""
WARM_MINUTES = 60
"""A day's volume that is drawn from fewer is none: buckets as small as an order or two have one side each, and an
exchange that has just opened would look toxic.
"""
DAY_NS = 86_400_000_000_000
_MINUTES_A_DAY = 1_440


class Vpin(msgspec.Struct):
    """`imbalance` and `filled` are of the bucket that is being filled, in base units; `ring` holds |imbalance| of the
    finished ones as shares of their volume, oldest first. `halted`: nothing is quoted until it falls below `resume`.
    """

    day_volume: float = 0.0
    """Base units traded in 24 h; 0: not told yet, and nothing can be counted."""
    imbalance: float = 0.0
    filled: float = 0.0
    ring: list[float] = []
    average: float = 0.0
    last_trade_ns: int = 0
    last_trade_id: int = 0
    halted: bool = False

    def value(self, now_ns: int, parameters: Parameters) -> float | None:
        """0 to 1; none before there are buckets enough."""
        if len(self.ring) < min(WARM_BUCKETS, parameters.buckets):
            return None
        return self.average * self._faded(now_ns, parameters)

    def on_trade(self, now_ns: int, trade_id: int, qty: float, sign: int, parameters: Parameters) -> bool:
        """One trade, by ascending id; `sign` is that of who took. True where it ended a bucket, so that VPIN is another
        one now. O(1): a bucket's end costs the length of the window, and comes once in its volume.
        """
        if trade_id <= self.last_trade_id:
            return False  # a new connection may repeat
        self._settle(now_ns, parameters)
        self.last_trade_ns, self.last_trade_id = now_ns, trade_id
        return self._pour(qty, sign * qty, parameters)

    def preload(self, now_ns: int, minutes: Iterable[tuple[float, float]], parameters: Parameters) -> None:
        """The last day's minutes, oldest first, as (volume, of which takers bought): how much a day trades, and, where
        no bucket has been finished yet, the buckets that they fill. Within a minute the two sides count as mixed.
        """
        traded = list(minutes)
        first = next((at for at, (volume, _) in enumerate(traded) if volume > 0), len(traded))
        traded = traded[first:]  # before it was listed there was no flow
        if len(traded) < WARM_MINUTES:
            return
        self.day_volume = math.fsum(volume for volume, _ in traded) / len(traded) * _MINUTES_A_DAY
        if self.ring:
            return
        for volume, bought in traded:
            self._pour(volume, 2 * bought - volume, parameters)
        self.last_trade_ns = now_ns

    def judge(self, now_ns: int, parameters: Parameters) -> None:
        """Hysteresis: halted above `halt`, until below `resume`."""
        value = self.value(now_ns, parameters)
        if value is None:
            self.halted = False
        elif self.halted:
            self.halted = value >= parameters.resume
        else:
            self.halted = value > parameters.halt

    def widening(self, now_ns: int, parameters: Parameters) -> float:
        """`toxicity` of the half spread: 1 below `threshold`, growing linearly to `max_widen` at `halt`."""
        value = self.value(now_ns, parameters)
        if value is None or value <= parameters.threshold:
            return 1.0
        reach = min(1.0, (value - parameters.threshold) / (parameters.halt - parameters.threshold))
        return 1.0 + (parameters.max_widen - 1.0) * reach

    def aged(self, age_ns: int) -> "Vpin":
        """With its times moved into the past: how another process keeps it, or takes it over."""
        return msgspec.structs.replace(self, last_trade_ns=self.last_trade_ns and self.last_trade_ns - age_ns)

    def _pour(self, volume: float, imbalance: float, parameters: Parameters) -> bool:
        """Fills buckets with so much of one mixture."""
        size = self.day_volume / parameters.buckets_per_day
        if size <= 0 or volume <= 0:
            return False
        share = imbalance / volume
        left = min(volume, (parameters.buckets + 1) * size)  # more would only push itself out again
        ended = False
        while self.filled + left >= size:
            took = max(0.0, size - self.filled)  # buckets may have become smaller meanwhile
            left -= took
            self._finish((self.imbalance + share * took) / (self.filled + took), parameters.buckets)
            ended = True
        self.filled += left
        self.imbalance += share * left
        return ended

    def _finish(self, imbalance: float, buckets: int) -> None:
        self.filled = self.imbalance = 0.0
        self.ring.append(min(1.0, abs(imbalance)))
        del self.ring[:-buckets]
        self.average = math.fsum(self.ring) / len(self.ring)

    def _faded(self, now_ns: int, parameters: Parameters) -> float:
        """What a silence leaves: half in each `half_life`. It begins where a bucket's usual time has passed without a
        trade; shorter pauses are the symbol's own rhythm.
        """
        silence_ns = now_ns - self.last_trade_ns - DAY_NS // parameters.buckets_per_day
        if silence_ns <= 0 or not self.last_trade_ns:
            return 1.0
        return float(0.5 ** (silence_ns / parameters.half_life_ns))

    def _settle(self, now_ns: int, parameters: Parameters) -> None:
        """A trade ends a silence; what has faded stays so."""
        faded = self._faded(now_ns, parameters)
        if faded < 1.0:
            self.ring = [imbalance * faded for imbalance in self.ring]
            self.average *= faded
            self.imbalance *= faded
