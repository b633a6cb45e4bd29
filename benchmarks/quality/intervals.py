"""Means, ratios and their intervals: the percentile bootstrap (Efron 1979) over seeds, within each market by itself
where it has draws enough, else over all of them together.

A run is one draw; what is compared in it (two contenders in the same hour) is drawn together.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import TypeVar

import msgspec

RESAMPLES = 1_000
LEVEL = 0.95
LEAST = 5
"""Fewer draws in all have no interval; fewer in one market would hide how much they differ."""

Draw = TypeVar("Draw")
Pair = tuple[float, float]


class Interval(msgspec.Struct, frozen=True):
    """`low` and `high` are those of 95 %; equal to the value where there are too few draws for any."""

    value: float
    low: float
    high: float
    draws: int

    @property
    def known(self) -> bool:
        return self.draws >= LEAST

    @property
    def is_below_zero(self) -> bool:
        return self.known and self.high < 0

    @property
    def is_above_zero(self) -> bool:
        return self.known and self.low > 0


def bootstrap(strata: Sequence[Sequence[Draw]], statistic: Callable[[list[Draw]], float | None]) -> Interval | None:
    """None where the statistic of all draws is not defined (nothing was traded)."""
    everything = [draw for stratum in strata for draw in stratum]
    value = statistic(everything)
    if value is None:
        return None
    if len(everything) < LEAST:
        return Interval(value, value, value, len(everything))
    if min(map(len, strata)) < LEAST:
        strata = [everything]
    random = Random("quality report")  # noqa: S311 - resamples, the same in every run
    found = []
    for _ in range(RESAMPLES):
        sample: list[Draw] = []
        for stratum in strata:
            sample += random.choices(stratum, k=len(stratum))
        again = statistic(sample)
        if again is not None:
            found.append(again)
    found.sort()
    outside = (1 - LEVEL) / 2
    low, high = found[int(outside * len(found))], found[int((1 - outside) * len(found)) - 1]
    return Interval(value, low, high, len(everything))


def mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def ratio(pairs: list[Pair]) -> float | None:
    """Of the sums: an hour that traded more counts for more."""
    below = sum(pair[1] for pair in pairs)
    return sum(pair[0] for pair in pairs) / below if below else None


def ratio_difference(draws: list[tuple[Pair, Pair]]) -> float | None:
    """First less second."""
    one, other = ratio([draw[0] for draw in draws]), ratio([draw[1] for draw in draws])
    return None if one is None or other is None else one - other
