"""Distributions measured on the recording (BTCUSDT, 2024-08-08), as quantile tables; steps are 0.001 BTC, ticks 0.1.

A table says more than a named law: sizes here have round-lot spikes and tails that no lognormal fits. Between two
quantiles the value is interpolated geometrically. `benchmarks/calibrate_market.py` prints what the recording and the
generator have side by side.
"""

import math
from itertools import pairwise
from random import Random
from typing import Final

RESOLUTION: Final = 2048


class Shape:
    """A positive quantity given by its quantiles `(probability, value)`, from 0 to 1. Drawing costs one lookup, in
    `values`: `RESOLUTION` equally likely ones.
    """

    __slots__ = ("values",)

    def __init__(self, *quantiles: tuple[float, float]) -> None:
        table: list[float] = []
        rows = pairwise(quantiles)
        (low_p, low), (high_p, high) = next(rows)
        for index in range(RESOLUTION):
            probability = (index + 0.5) / RESOLUTION
            while probability > high_p:
                (low_p, low), (high_p, high) = next(rows)
            share = (probability - low_p) / (high_p - low_p)
            table.append(math.exp(math.log(low) + share * (math.log(high) - math.log(low))))
        self.values = tuple(table)

    def draw(self, random: Random) -> float:
        return self.values[int(random.random() * RESOLUTION)]

    def mean(self) -> float:
        return sum(self.values) / RESOLUTION


TOUCH_CHANGE: Final = Shape(
    (0, 2), (0.2, 2), (0.25, 7), (0.5, 85), (0.75, 306), (0.9, 550), (0.95, 744), (0.99, 1800), (1, 6000)
)
"""Steps by which the quantity at a resting best price changes at once."""

TOUCH_SIZE: Final = Shape((0, 300), (0.25, 2500), (0.5, 4300), (0.75, 6600), (0.95, 14500), (0.99, 28000), (1, 40000))
"""Steps that a best price gathers when it is left alone."""

ORDER_SIZE: Final = Shape((0, 2), (0.1, 2), (0.25, 6), (0.5, 24), (0.75, 80), (0.95, 350), (0.99, 1200), (1, 5000))
"""Steps of a market order between two moves of the price."""

PRINT_SIZE: Final = Shape((0, 2), (0.05, 2), (0.25, 3), (0.5, 16), (0.75, 90), (0.95, 550), (0.99, 1400), (1, 5000))
"""Steps of one print: an order meets many small ones."""

MOVE_SIZE: Final = Shape(
    (0, 0.5), (0.05, 2), (0.1, 6), (0.25, 15), (0.5, 33), (0.75, 57), (0.9, 91), (0.95, 125), (0.99, 300), (1, 550)
)
"""Ticks (0.016 bps) from the mid before to the mid after a burst of touch moves less than 50 ms apart."""

SIZE_AHEAD: Final = Shape(
    (0, 10), (0.1, 50), (0.25, 130), (0.5, 400), (0.75, 1200), (0.9, 3500), (0.95, 6500), (1, 19000)
)
"""Steps at the new best price on the side that gave way, once a move has come to rest there."""

SIZE_BEHIND: Final = Shape((0, 2), (0.1, 36), (0.25, 324), (0.5, 1166), (0.75, 3750), (0.95, 10100), (1, 15000))
"""Steps at the new best price on the side that follows."""

_NEXT: Final = Shape((0, 2), (0.25, 4), (0.5, 30), (0.75, 300), (0.95, 5090), (0.99, 15000), (1, 25000))
_NEAR: Final = Shape((0, 2), (0.1, 2), (0.25, 6), (0.5, 60), (0.75, 250), (0.95, 1700), (0.99, 7000), (1, 12000))
_INNER: Final = Shape((0, 2), (0.1, 2), (0.25, 4), (0.5, 55), (0.75, 162), (0.95, 1146), (0.99, 4500), (1, 9000))
_MIDDLE: Final = Shape((0, 2), (0.05, 2), (0.25, 10), (0.5, 50), (0.75, 330), (0.95, 1200), (0.99, 3400), (1, 200_000))
_OUTER: Final = Shape((0, 2), (0.05, 2), (0.25, 8), (0.5, 56), (0.75, 257), (0.95, 1750), (0.99, 6100), (1, 150_000))
_FAR: Final = Shape((0, 2), (0.05, 2), (0.25, 4), (0.5, 24), (0.75, 211), (0.95, 2457), (0.99, 11500), (1, 25000))

LADDER: Final = (
    (1, 0.28, 0.10, 0.22, _NEXT),
    (2, 0.14, 0.17, 0.28, _NEAR),
    (5, 0.15, 0.29, 0.28, _NEAR),
    (10, 0.20, 0.66, 0.28, _NEAR),
    (20, 0.26, 2.14, 0.28, _INNER),
    (50, 0.41, 4.39, 0.26, _INNER),
    (100, 0.60, 8.79, 0.20, _MIDDLE),
    (200, 0.70, 19.36, 0.165, _MIDDLE),
    (500, 0.66, 12.52, 0.16, _OUTER),
    (1000, 0.52, 6.99, 0.19, _OUTER),
    (2000, 0.24, 1.39, 0.28, _FAR),
    (3000, 0.12, 8.26, 0.20, _FAR),
)
"""Behind the touch, by distance: (from tick, share of ticks with liquidity, levels changed per depth frame on both
sides together, share of these changes that add a level, sizes). The last band ends at `LADDER_END`."""

LADDER_END: Final = 9000
