"""The local order book and its states. It fails closed: a book that may be wrong has no touch.

The rule is the venue's own for diff depth (Binance USDⓈ-M, "How to manage a local order book correctly"): buffer, take
a snapshot, drop diffs older than it, the first diff must bridge it (`U <= lastUpdateId <= u`), every later one must
follow its predecessor (`pu == previous u`). Two things are decided here that the rule leaves open. A snapshot that is
not older than any diff seen is used at once, because the stream was open before it was taken; the next diff must bridge
it all the same; without that, a quiet symbol would stay without a book until somebody trades. And an exact copy of the
diff just applied changes nothing.
"""

from enum import StrEnum

import msgspec

from phoenix_worker.core.events import Depth, Level, Snapshot, Touch

MAX_BUFFERED = 1_000
"""Diffs kept while a snapshot is on its way: 100 s of the fastest documented stream; more means that none will fit."""

_WALK = 64
"""How many ticks to look for the next best price before searching the whole side: near the touch levels are dense."""


class BookState(StrEnum):
    RESYNCING = "resyncing"  # no usable snapshot: nothing may be quoted
    SYNCED = "synced"


class Applied(StrEnum):
    """What a diff or snapshot did."""

    APPLIED = "applied"
    BUFFERED = "buffered"  # no snapshot yet
    OLD = "old"  # from before the snapshot
    REPEATED = "repeated"  # an exact copy of the diff just applied: it says nothing new
    GAP = "gap"  # a diff is missing, or the result is crossed: the book is gone
    TOO_OLD = "too-old"  # this snapshot does not reach the buffered diffs: ask for another


class Book(msgspec.Struct):
    """Levels by integer tick; quantities are other people's and stay floats. `best_*` is 0 where a side is empty."""

    inverse_tick: float
    state: BookState = BookState.RESYNCING
    bids: dict[int, float] = {}
    asks: dict[int, float] = {}
    best_bid: int = 0
    best_ask: int = 0
    last_id: int = 0
    newest: Depth | None = None
    bridged: bool = False
    buffered: list[Depth] = []

    touch_bid: int = 0
    touch_ask: int = 0
    touch_bid_qty: float = 0.0
    touch_ask_qty: float = 0.0
    touch_id: int = 0

    @property
    def synced(self) -> bool:
        return self.state is BookState.SYNCED

    @property
    def mid_half_ticks(self) -> int:
        """Bid + ask in ticks: twice the mid, exact."""
        return self.touch_bid + self.touch_ask

    @property
    def imbalance(self) -> float:
        """(bid − ask) / (bid + ask) of the quantities at the touch, −1 … 1."""
        total = self.touch_bid_qty + self.touch_ask_qty
        return (self.touch_bid_qty - self.touch_ask_qty) / total if total else 0.0

    def reset(self) -> None:
        """Forget everything: after a gap, and whenever the stream was not continuous."""
        self.state = BookState.RESYNCING
        self.bids, self.asks, self.buffered = {}, {}, []
        self.best_bid = self.best_ask = self.last_id = 0
        self.touch_bid = self.touch_ask = self.touch_id = 0
        self.touch_bid_qty = self.touch_ask_qty = 0.0
        self.bridged = False
        self.newest = None

    def on_snapshot(self, snapshot: Snapshot) -> Applied:
        """Start from a REST book and replay what was buffered; `TOO_OLD` keeps the buffer for the next snapshot."""
        waiting = [diff for diff in self.buffered if diff.last_id >= snapshot.last_id]
        if waiting and not self._bridges(waiting[0], snapshot.last_id):
            return Applied.TOO_OLD
        self.reset()
        inverse = self.inverse_tick
        self.bids = {int(price * inverse + 0.5): qty for price, qty in snapshot.bids if qty}
        self.asks = {int(price * inverse + 0.5): qty for price, qty in snapshot.asks if qty}
        self.best_bid = max(self.bids, default=0)
        self.best_ask = min(self.asks, default=0)
        self.last_id = snapshot.last_id
        self.state = BookState.SYNCED
        if not 0 < self.best_bid < self.best_ask:
            self.reset()
            self.buffered = waiting
            return Applied.GAP
        self._take_touch()
        for number, diff in enumerate(waiting):
            if self.on_depth(diff) is Applied.GAP:
                self.buffered = waiting[number:]
                return Applied.GAP
        return Applied.APPLIED

    def on_depth(self, diff: Depth) -> Applied:
        if self.state is BookState.RESYNCING:
            return self._buffer(diff)
        if self.bridged:
            if diff.prev_id != self.last_id:
                return Applied.REPEATED if self._is_newest(diff) else self._lost(diff)
        elif diff.last_id < self.last_id:
            return Applied.OLD
        elif self._bridges(diff, self.last_id):
            self.bridged = True
        else:
            return self._lost(diff)
        self.last_id = diff.last_id
        self.newest = diff
        inverse = self.inverse_tick
        if diff.bids:
            self._apply_bids(diff.bids, inverse)
        if diff.asks:
            self._apply_asks(diff.asks, inverse)
        if not 0 < self.best_bid < self.best_ask:
            return self._lost(diff)
        if diff.last_id >= self.touch_id:
            self._take_touch()
        return Applied.APPLIED

    def on_touch(self, touch: Touch) -> bool:
        """The newer update id wins; true where a touch price changed. Ignored while there is no book.

        A touch without both sides, or crossed, says that the book is broken: it is gone.
        """
        if touch.update_id <= self.touch_id or self.state is BookState.RESYNCING:
            return False
        inverse = self.inverse_tick
        bid = int(touch.bid * inverse + 0.5)
        ask = int(touch.ask * inverse + 0.5)
        self.touch_id = touch.update_id
        self.touch_bid_qty = touch.bid_qty
        self.touch_ask_qty = touch.ask_qty
        if bid == self.touch_bid and ask == self.touch_ask:
            return False
        if not 0 < bid < ask:
            self.reset()
            return True
        self.touch_bid = bid
        self.touch_ask = ask
        return True

    def _buffer(self, diff: Depth) -> Applied:
        if len(self.buffered) < MAX_BUFFERED:
            self.buffered.append(diff)
            return Applied.BUFFERED
        self.buffered = [diff]
        return Applied.GAP

    def _is_newest(self, diff: Depth) -> bool:
        """Levels are absolute: what is already in the book may come again. Only the very same, because the next diff
        must follow it all the same; an older one may tell of a stream that has begun anew.
        """
        newest = self.newest
        return (
            newest is not None
            and (diff.first_id, diff.last_id, diff.prev_id) == (newest.first_id, newest.last_id, newest.prev_id)
            and diff.bids == newest.bids
            and diff.asks == newest.asks
        )

    @staticmethod
    def _bridges(diff: Depth, snapshot_id: int) -> bool:
        """The venue's rule, or the diff that follows the snapshot exactly."""
        return diff.first_id <= snapshot_id <= diff.last_id or diff.prev_id == snapshot_id

    def _apply_bids(self, levels: list[Level], inverse: float) -> None:
        side, best, search = self.bids, self.best_bid, False
        for price, qty in levels:
            tick = int(price * inverse + 0.5)
            if qty:
                side[tick] = qty
                if tick > best:  # noqa: PLR1730 - a call for every level is what this loop cannot afford
                    best = tick
            elif side.pop(tick, None) is not None and tick == best:
                search = True
        if search and best not in side:
            best = next((tick for tick in range(best - 1, best - _WALK, -1) if tick in side), 0) or max(side, default=0)
        self.best_bid = best

    def _apply_asks(self, levels: list[Level], inverse: float) -> None:
        side, best, search = self.asks, self.best_ask, False
        for price, qty in levels:
            tick = int(price * inverse + 0.5)
            if qty:
                side[tick] = qty
                if tick < best or not best:
                    best = tick
            elif side.pop(tick, None) is not None and tick == best:
                search = True
        if search and best not in side:
            best = next((tick for tick in range(best + 1, best + _WALK) if tick in side), 0) or min(side, default=0)
        self.best_ask = best

    def _take_touch(self) -> None:
        bid, ask = self.best_bid, self.best_ask
        self.touch_bid, self.touch_bid_qty = bid, self.bids[bid]
        self.touch_ask, self.touch_ask_qty = ask, self.asks[ask]
        self.touch_id = self.last_id

    def _lost(self, diff: Depth) -> Applied:
        """The diff is kept: a snapshot from before it would lead to a book without it."""
        self.reset()
        self.buffered = [diff]
        return Applied.GAP
