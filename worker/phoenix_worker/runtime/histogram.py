"""Durations in fixed buckets: one bisection and two additions a sample, so that the hot path can afford it."""

from bisect import bisect_left

BOUNDS_US = (
    *(5, 7, 10, 15, 20, 30, 40, 50, 60, 70, 80, 100, 120, 150, 200, 250, 300, 400, 500, 700),
    *(1_000, 1_500, 2_000, 3_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 5_000_000),
)
"""Upper bounds in µs: fine where decisions are made, coarse where something is wrong."""
_BOUNDS_NS = tuple(bound * 1_000 for bound in BOUNDS_US)


class Histogram:
    """Counts by bucket; the last one is everything above the last bound."""

    __slots__ = ("counts", "sum_ns")

    def __init__(self) -> None:
        self.counts = [0] * (len(_BOUNDS_NS) + 1)
        self.sum_ns = 0

    def observe(self, duration_ns: int) -> None:
        self.counts[bisect_left(_BOUNDS_NS, duration_ns)] += 1
        self.sum_ns += duration_ns

    @property
    def count(self) -> int:
        return sum(self.counts)

    def quantile_us(self, share: float) -> float | None:
        """Upper bound of the bucket that holds the quantile (above the last: that one); `None` if empty."""
        wanted = share * self.count
        below = 0
        for bound, count in zip(BOUNDS_US, self.counts, strict=False):
            below += count
            if below and below >= wanted:
                return float(bound)
        return float(BOUNDS_US[-1]) if self.count else None

    def cumulative(self) -> list[tuple[str, float]]:
        """Prometheus buckets: `(upper bound in seconds, samples up to it)`, `+Inf` last."""
        buckets = []
        below = 0
        for bound, count in zip(BOUNDS_US, self.counts, strict=False):
            below += count
            buckets.append((repr(bound / 1e6), float(below)))
        buckets.append(("+Inf", float(self.count)))
        return buckets
