"""What the exchange's clock shows, and how well we know it.

Each question "what time is it?" bounds the offset from both sides: the answer was read between sending and
receiving, and is cut to whole milliseconds. The intersection of several such intervals is narrower than any (Marzullo's
idea), and its half width is an honest error. Where they do not intersect a clock has jumped in between: the narrowest
counts, of equals the newest.
"""

from collections.abc import Sequence
from typing import NamedTuple

from phoenix_worker.venue.clock import NS_PER_MS, Clock

USABLE_ERROR_NS = 500 * NS_PER_MS
"""The exchange refuses what is a second ahead of it: an offset that is not known to half of that is none."""
DRIFT_DIVISOR = 10_000
"""Clocks drift apart by less than 100 ppm: this much is added to the error for the age of the measurement."""


class Sample(NamedTuple):
    """One answer of `GET /fapi/v1/time`: monotonic ns before and after, and the time it told."""

    sent_ns: int
    received_ns: int
    server_ms: int


class ClockOffset(NamedTuple):
    """Exchange ns ≈ monotonic ns + `offset_ns`, give or take `error_ns`."""

    offset_ns: int
    error_ns: int

    def exchange_ms(self, monotonic_ns: int) -> int:
        return (monotonic_ns + self.offset_ns) // NS_PER_MS


def estimate(samples: Sequence[Sample]) -> ClockOffset:
    """The offset from at least one sample, oldest first; raises `ValueError` for none."""
    if not samples:
        raise ValueError("an offset needs at least one sample")
    intervals = [(s.server_ms * NS_PER_MS - s.received_ns, (s.server_ms + 1) * NS_PER_MS - s.sent_ns) for s in samples]
    low, high = max(i[0] for i in intervals), min(i[1] for i in intervals)
    if low > high:
        low, high = min(reversed(intervals), key=lambda i: i[1] - i[0])
    return ClockOffset((low + high) // 2, (high - low + 1) // 2)


class ExchangeTime:
    """The exchange's time as this process knows it. Before the first measurement the error is without bound, and no
    signed request fits.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.offset = ClockOffset(0, 1 << 62)
        self._measured_ns = 0

    def measured(self, samples: Sequence[Sample]) -> ClockOffset:
        """Takes over a new measurement."""
        self.offset = estimate(samples)
        self._measured_ns = samples[-1].received_ns
        return self.offset

    def now_ms(self) -> int:
        return self.offset.exchange_ms(self.clock.monotonic_ns())

    def receive_window(self, now_ns: int, deadline_ns: int | None, configured_ms: int) -> tuple[int, int]:
        """Timestamp and receive window in ms of a request that leaves now: the exchange refuses it once `deadline_ns`
        has passed, whatever the error of our offset. A window of zero or less means that the request must not leave.

        The exchange accepts up to `timestamp + window` inclusive, in whole milliseconds of its clock.
        """
        offset_ns, error_ns = self.offset
        timestamp_ms = (now_ns + offset_ns) // NS_PER_MS
        if deadline_ns is None:
            return timestamp_ms, configured_ms
        error_ns += (deadline_ns - self._measured_ns) // DRIFT_DIVISOR
        last_ms = (deadline_ns + offset_ns - error_ns) // NS_PER_MS - 1
        return timestamp_ms, min(configured_ms, last_ms - timestamp_ms)
