"""Markouts: what a fill was worth 1, 10 and 60 seconds later, mid against its price, positive where it went our way.

The oldest measure of adverse selection (Huang and Stoll 1996, realised spread). Sums are weighted by notional, so that
a fill in many pieces counts as one. Only fills of resting orders are measured: what an order that takes pays is its
purpose's price, no judgement of the quotes. Memory is bounded, and each fill costs the same.
"""

import msgspec

from phoenix_worker.core.events import Fill, Side
from phoenix_worker.core.instrument import Instrument

HORIZONS_S = (1, 10, 60)
SECOND_NS = 1_000_000_000
TOO_LATE_NS = 1_000_000_000
"""A mid that is so much later than the horizon measures another one."""
MOST_WAITING = 4_096
"""Sixty-eight fills a second; beyond it the oldest are left out, and counted."""


class Waiting(msgspec.Struct, frozen=True, array_like=True):
    """A fill whose horizons have not all come."""

    at_ns: int
    side: Side
    price_ticks: int
    qty_steps: int


class Markout(msgspec.Struct):
    """Of one side and horizon, in money: notional that was measured, and what it won and lost until then."""

    volume: int = 0
    gained: int = 0
    lost: int = 0

    @property
    def bps(self) -> float | None:
        """Per notional; None before the first."""
        return 1e4 * (self.gained - self.lost) / self.volume if self.volume else None


def _nothing_yet() -> dict[int, list[Markout]]:
    return {side.value: [Markout() for _ in HORIZONS_S] for side in Side}


class Markouts(msgspec.Struct):
    """`sums` by side (±1), one for each of `HORIZONS_S`; `unmeasured`: no mid was known when it was due."""

    sums: dict[int, list[Markout]] = msgspec.field(default_factory=_nothing_yet)
    unmeasured: int = 0
    waiting: dict[int, Waiting] = {}
    """By number; each horizon takes them in this order."""
    newest: int = 0
    next_due: list[int] = msgspec.field(default_factory=lambda: [1] * len(HORIZONS_S))
    """By horizon: the number of the first fill that it has not measured."""

    def on_fill(self, fill: Fill, at_ns: int) -> None:
        """`at_ns`: when it happened, by our clock."""
        if not fill.maker:
            return
        if len(self.waiting) >= MOST_WAITING:
            oldest = next(iter(self.waiting))
            del self.waiting[oldest]
            self.unmeasured += sum(due <= oldest for due in self.next_due)
            self.next_due = [max(due, oldest + 1) for due in self.next_due]
        self.newest += 1
        self.waiting[self.newest] = Waiting(at_ns, fill.side, fill.price_ticks, fill.qty_steps)

    def on_time(self, now_ns: int, mid_half_ticks: int, instrument: Instrument) -> None:
        """Measures what is due. `mid_half_ticks` is twice the mid, 0 while it is not known."""
        if not self.waiting:
            return
        for index, horizon_s in enumerate(HORIZONS_S):
            while self.next_due[index] <= self.newest:
                fill = self.waiting[self.next_due[index]]
                late_ns = now_ns - fill.at_ns - horizon_s * SECOND_NS
                if late_ns < 0:
                    break
                if mid_half_ticks and late_ns <= TOO_LATE_NS:
                    self._measure(self.sums[fill.side][index], fill, mid_half_ticks, instrument)
                else:
                    self.unmeasured += 1
                self.next_due[index] += 1
        done = min(self.next_due)
        while self.waiting and (oldest := next(iter(self.waiting))) < done:
            del self.waiting[oldest]

    @staticmethod
    def _measure(markout: Markout, fill: Waiting, mid_half_ticks: int, instrument: Instrument) -> None:
        moved = fill.side * (mid_half_ticks - 2 * fill.price_ticks)
        result = instrument.notional(abs(moved), fill.qty_steps) // 2
        markout.volume += instrument.notional(fill.price_ticks, fill.qty_steps)
        if moved > 0:
            markout.gained += result
        else:
            markout.lost += result
