"""The local book that a client keeps: a snapshot, then frames each of which continues the one before.

Binance USDⓈ-M documentation, "How to manage a local order book correctly". Used for recordings and for live upstreams.
"""

from collections.abc import Sequence

from phoenix_simulator.market.capture import DepthRecord, SnapshotRecord
from phoenix_simulator.market.source import Level, TouchUpdate


class BrokenBookError(ValueError):
    """A frame that does not continue the book; the text says why."""


class LocalSide:
    """One side with its best price, kept without sorting: the best rarely goes."""

    def __init__(self, levels: Sequence[Level], sign: int) -> None:
        self.levels = dict(levels)
        self._sign = sign
        self.best = max(self.levels, key=self._rank)

    def _rank(self, price_ticks: int) -> int:
        return price_ticks * self._sign

    def apply(self, levels: Sequence[Level]) -> None:
        book = self.levels
        for price_ticks, qty_steps in levels:
            if qty_steps:
                book[price_ticks] = qty_steps
                if self._rank(price_ticks) > self._rank(self.best):
                    self.best = price_ticks
            else:
                book.pop(price_ticks, None)
        if self.best not in book and book:
            self.best = max(book, key=self._rank)

    def changes_to(self, other: "LocalSide") -> tuple[Level, ...]:
        """What turns this side into `other`, best first."""
        wanted = other.levels
        gone = [(price, 0) for price in self.levels if price not in wanted]
        changed = [level for level in wanted.items() if self.levels.get(level[0]) != level[1]]
        return tuple(sorted(gone + changed, key=lambda level: -self._rank(level[0])))


class LocalBook:
    def __init__(self, snapshot: SnapshotRecord) -> None:
        self.bids = LocalSide(snapshot.bids, 1)
        self.asks = LocalSide(snapshot.asks, -1)
        self.last_id = snapshot.last_id
        self._chained = False
        """False until the first frame after the snapshot, which needs to span the snapshot's id instead."""

    def is_older(self, frame: DepthRecord) -> bool:
        """Whether the snapshot already holds the frame; only before the first one that it does not."""
        return not self._chained and frame.update.last_id < self.last_id

    def apply(self, frame: DepthRecord) -> None:
        """Raises BrokenBookError where frames are missing or the book makes no sense afterwards."""
        update = frame.update
        if self._chained:
            if frame.previous_id != self.last_id:
                raise BrokenBookError(f"frames are missing: pu is {frame.previous_id} after u {self.last_id}")
        elif not (update.first_id <= self.last_id or frame.previous_id == self.last_id):
            raise BrokenBookError(
                f"frames are missing between the snapshot (id {self.last_id}) and U {update.first_id}"
            )
        self.bids.apply(update.bids)
        self.asks.apply(update.asks)
        self.last_id = update.last_id
        self._chained = True
        if not self.bids.levels or not self.asks.levels or self.bids.best >= self.asks.best:
            raise BrokenBookError("the book is crossed or one-sided after this frame")

    def shows(self, touch: TouchUpdate) -> bool:
        bid, ask = self.bids.best, self.asks.best
        return (bid, self.bids.levels[bid], ask, self.asks.levels[ask]) == (
            touch.bid_ticks,
            touch.bid_steps,
            touch.ask_ticks,
            touch.ask_steps,
        )
