"""What the symbol is worth, which nobody sees, and what follows from it: mark price, index and funding rate.

The fair price takes over most of every surprising move of the book and runs with the regime's drift; the rest of a
move was noise and is what prices revert from. The perpetual's premium over the index is an Ornstein–Uhlenbeck process;
the venue's formula makes the funding rate of its average P (Binance USDⓈ-M documentation, "Introduction to funding
rates"): rate = P + clamp(interest − P, ±0.05 %).
"""

import math
from random import Random

from phoenix_simulator.exchange.symbols import SymbolSpec
from phoenix_simulator.market.regimes import Regime, Scale
from phoenix_simulator.market.source import MarkUpdate

_PERMANENT = 0.9
"""Share of a move, beyond what it owed to the fair price, that the fair price follows."""
_TURN_S = 1800.0
"""A drift keeps its direction for this long on average."""
_PREMIUM_BPS = 2.0
"""Standard deviation of the premium around its mean."""
_PREMIUM_MEMORY_S = 120.0
_BASIS_MEMORY_S = 30.0
"""The mark price moves to the traded price's premium over the index this slowly (venue: 30 s average basis)."""
_FUNDING_MEMORY_S = 600.0
_INDEX_MEMORY_S = 2.0
"""Spot venues, of which the index is made, follow within seconds."""
_INTEREST_BPS = 1.0
_CLAMP_BPS = 5.0


class FairValue:
    def __init__(self, spec: SymbolSpec, scale: Scale, regime: Regime, mid_ticks: float, random: Random) -> None:
        self._random = random
        self._tick_e8 = spec.tick_e8
        self._bps_to_ticks = scale.bps_to_ticks
        self._funding_cap_bps = float(spec.funding_cap) * 1e4
        self._direction = 1 if random.random() < 0.5 else -1
        self._premium_bps = self._basis_bps = self._average_bps = regime.premium_bps
        self._index_ticks = mid_ticks / (1 + regime.premium_bps * 1e-4)
        self.ticks = mid_ticks

    @property
    def direction(self) -> int:
        """Of the drift, where the regime has one: 1 up, −1 down."""
        return self._direction

    def moved(self, before_ticks: float, ticks: int) -> None:
        """The book's mid moved by `ticks` from `before_ticks`. What closed a gap to the fair price is no news."""
        gap = self.ticks - before_ticks
        expected = math.copysign(min(abs(gap), abs(ticks)), gap) if gap * ticks > 0 else 0.0
        self.ticks += _PERMANENT * (ticks - expected)

    def advance(self, seconds: float, regime: Regime, mid_ticks: float, time_ns: int) -> MarkUpdate:
        """`seconds` (about one) have passed since the last mark."""
        random = self._random
        if regime.drift_bps_per_s:
            if random.random() < seconds / _TURN_S:
                self._direction = -self._direction
            self.ticks += self._direction * regime.drift_bps_per_s * seconds * self._bps_to_ticks
        keep = math.exp(-seconds / _PREMIUM_MEMORY_S)
        shock = random.gauss(0.0, _PREMIUM_BPS * math.sqrt(1 - keep * keep))
        mean_bps = self._direction * regime.premium_bps if regime.drift_bps_per_s else regime.premium_bps
        self._premium_bps = mean_bps + (self._premium_bps - mean_bps) * keep + shock
        target = mid_ticks / (1 + self._premium_bps * 1e-4)
        self._index_ticks = _towards(target, self._index_ticks, seconds / _INDEX_MEMORY_S)
        traded_bps = (mid_ticks / self._index_ticks - 1) * 1e4
        self._basis_bps = _towards(traded_bps, self._basis_bps, seconds / _BASIS_MEMORY_S)
        self._average_bps = _towards(self._premium_bps, self._average_bps, seconds / _FUNDING_MEMORY_S)
        return self.mark(time_ns)

    def mark(self, time_ns: int) -> MarkUpdate:
        index_e8 = round(self._index_ticks * self._tick_e8)
        return MarkUpdate(
            time_ns,
            round(index_e8 * (1 + self._basis_bps * 1e-4)),
            index_e8,
            round(self._funding_bps() * 1e4),
        )

    def _funding_bps(self) -> float:
        average = self._average_bps
        rate = average + max(-_CLAMP_BPS, min(_CLAMP_BPS, _INTEREST_BPS - average))
        return max(-self._funding_cap_bps, min(self._funding_cap_bps, rate))


def _towards(target: float, value: float, times: float) -> float:
    """Exponential approach over `times` memories."""
    return target + (value - target) * math.exp(-times)
