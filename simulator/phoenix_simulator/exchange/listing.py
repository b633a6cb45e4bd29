"""One listed symbol: its book, prices, ids and funding, and what the public is told about them."""

from collections.abc import Callable, Iterable

import msgspec

from phoenix_simulator.exchange.book import Book, BookSide, DepthSnapshot, QueueModel
from phoenix_simulator.exchange.depth_diff import DepthDiff
from phoenix_simulator.exchange.events import (
    DepthChanged,
    ExchangeEvent,
    Level,
    RetailDepthChanged,
    TouchChanged,
    TradePrinted,
)
from phoenix_simulator.exchange.listeners import Listeners
from phoenix_simulator.exchange.orders import Order, TimeInForce
from phoenix_simulator.exchange.symbols import SymbolSpec, SymbolStatus
from phoenix_simulator.market.source import MarketKind, MarketStart

Emit = Callable[[ExchangeEvent], None]

REPLAY_TRADE_ID_BASE = 1_000_000_000_000
"""Accounts' trades in a replay have no public print; their ids start here, far above any recorded one."""


class Touch(msgspec.Struct, frozen=True):
    """Best bid and ask; a side without orders is (0, 0)."""

    update_id: int
    time_ms: int
    bid_ticks: int
    bid_steps: int
    ask_ticks: int
    ask_steps: int


class FundingRecord(msgspec.Struct, frozen=True):
    time_ms: int
    rate_e8: int
    mark_e8: int


class Background:
    """Everybody who is not an account, as a counterparty: what accounts gained, it lost, to the last 1e-8."""

    def __init__(self) -> None:
        self.steps = 0
        """Signed position against the accounts, in steps."""
        self.cash_e8 = 0
        """Net received for it, 1e-8 of the quote asset."""
        self.funding_e8 = 0
        """Net funding received."""


class Listing:
    def __init__(
        self, spec: SymbolSpec, start: MarketStart, queue_model: QueueModel, now_ms: int, listeners: Listeners
    ) -> None:
        self.spec = spec
        self.is_replay = start.kind is MarketKind.REPLAY
        self.status = SymbolStatus.TRADING
        self.blind = False
        """The book is not known for the moment (a live market out of step): nothing may be matched against it."""
        self.book = Book(queue_model)
        self.retail = Book(queue_model)
        """Orders that only retail flow meets (RPI): not part of what the public book shows."""
        self.background = Background()
        self.mark_e8 = start.mark_e8
        self.index_e8 = start.index_e8
        self.funding_rate_e8 = start.funding_rate_e8
        self.set_funding_interval(spec.funding_interval_ms, now_ms)
        self.funding_history: list[FundingRecord] = []
        self.last_update_id = start.last_update_id
        self.last_trade_id = start.last_trade_id if start.kind is MarketKind.SYNTHETIC else REPLAY_TRADE_ID_BASE
        self.last_print_id = start.last_trade_id
        self.last_price_ticks = 0
        """Of the last public trade; 0 before the first."""
        self.changed_ms = now_ms
        self.diffs: list[DepthDiff] = []
        """Of the streams that tell where this book changes."""
        self._listeners = listeners
        self._emit = listeners.tell
        self._dirty_bids: set[int] = set()
        self._dirty_asks: set[int] = set()
        self.book.bids.state_levels(start.bids)
        self.book.asks.state_levels(start.asks)
        bid, ask = self.book.bids.displayed_touch(), self.book.asks.displayed_touch()
        self.touch = Touch(self.last_update_id, now_ms, *bid, *ask)

    def set_funding_interval(self, interval_ms: int, now_ms: int) -> None:
        self.funding_interval_ms = interval_ms
        self.next_funding_ms = (now_ms // interval_ms + 1) * interval_ms

    def next_trade_id(self) -> int:
        self.last_trade_id += 1
        return self.last_trade_id

    def depth(self, limit: int) -> DepthSnapshot:
        """The public book, consistent with `last_update_id`."""
        bids, asks = self.book.bids, self.book.asks
        if self.is_replay:
            levels = bids.recorded_levels(limit), asks.recorded_levels(limit)
        else:
            levels = bids.displayed_levels(limit), asks.displayed_levels(limit)
        return DepthSnapshot(self.spec.symbol, self.changed_ms, self.last_update_id, *levels)

    def changed(self, diff: DepthDiff) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
        """What the public book holds now where the diff says that it changed: (bids, asks), best first."""
        bids, asks = self.book.bids, self.book.asks
        if self.is_replay:
            return bids.recorded_all(diff.bids), asks.recorded_all(diff.asks)
        return bids.displayed_all(diff.bids), asks.displayed_all(diff.asks)

    def retail_changed(self, diff: DepthDiff) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
        """The same of the book with the orders for retail flow in it."""
        bids, asks = (
            tuple((key * side.sign, self.retail_steps(side, retail, key)) for key in sorted(keys, reverse=True))
            for side, retail, keys in (
                (self.book.bids, self.retail.bids, diff.bids),
                (self.book.asks, self.retail.asks, diff.asks),
            )
        )
        return bids, asks

    def side_of(self, order: Order) -> BookSide:
        """Where the order rests."""
        book = self.retail if order.time_in_force is TimeInForce.RPI else self.book
        return book.side(order.side)

    def retail_depth(self, limit: int) -> DepthSnapshot:
        """The book with the orders for retail flow in it, as far as they do not cross the public one."""
        public = self.depth(limit)
        sides = []
        for side, retail, levels in (
            (self.book.bids, self.retail.bids, public.bids),
            (self.book.asks, self.retail.asks, public.asks),
        ):
            ticks = dict.fromkeys((*(level[0] for level in levels), *(key * side.sign for key in retail.queue_keys)))
            keys = sorted((side.key_of(each) for each in ticks), reverse=True)
            stated = ((key * side.sign, self.retail_steps(side, retail, key)) for key in keys)
            sides.append(tuple(level for level in stated if level[1])[:limit])
        return DepthSnapshot(self.spec.symbol, public.time_ms, public.last_update_id, *sides)

    def retail_steps(self, side: BookSide, retail: BookSide, key: int) -> int:
        """What the book with retail orders shows at a price."""
        against = self.book.asks if side.sign > 0 else self.book.bids
        best = against.best()
        shown = side.levels.get(key, 0) if self.is_replay else side.displayed(key)
        return shown if best is not None and key + best >= 0 else shown + retail.displayed(key)

    def print_trade(self, trade: TradePrinted) -> None:
        self.last_print_id, self.last_price_ticks = trade.trade_id, trade.price_ticks
        self._emit(trade)

    # ---- telling the public -------------------------------------------------------------------------------------

    def touch_order(self, order: Order, now_ms: int) -> None:
        """The order came, went or was filled in part: the level that it rests at says so."""
        side = self.side_of(order)
        if order.time_in_force is TimeInForce.RPI:
            self._emit(RetailDepthChanged(self.spec.symbol, now_ms, order.side, order.price_ticks))
        else:
            self.mark_dirty(side, side.key_of(order.price_ticks))

    def mark_dirty(self, side: BookSide, key: int) -> None:
        """The displayed quantity at `key` changed; `publish` will say so. Replays show only what was recorded."""
        if not self.is_replay:
            (self._dirty_bids if side.sign > 0 else self._dirty_asks).add(key)

    def mark_all_dirty(self, side: BookSide, keys: Iterable[int]) -> None:
        if not self.is_replay:
            (self._dirty_bids if side.sign > 0 else self._dirty_asks).update(keys)

    def publish(self, now_ms: int) -> None:
        """Tell what changed since the last time, as one update; nothing where nothing did."""
        dirty_bids, dirty_asks = self._dirty_bids, self._dirty_asks
        if not dirty_bids and not dirty_asks:
            return
        first_id = self.last_update_id + 1
        self.last_update_id = last_id = self.last_update_id + len(dirty_bids) + len(dirty_asks)
        self.changed_ms = now_ms
        for diff in self.diffs:
            diff.add(first_id, last_id, now_ms, dirty_bids, dirty_asks)
        if self._listeners.hear(DepthChanged):
            levels = self.book.bids.displayed_all(dirty_bids), self.book.asks.displayed_all(dirty_asks)
            self._emit(DepthChanged(self.spec.symbol, now_ms, first_id, last_id, *levels))
        dirty_bids.clear()
        dirty_asks.clear()
        self._publish_touch(now_ms)

    def repeat_depth(
        self, first_id: int, last_id: int, bids: tuple[Level, ...], asks: tuple[Level, ...], now_ms: int
    ) -> None:
        """A recorded frame, unchanged."""
        self.last_update_id = last_id
        self.changed_ms = now_ms
        for diff in self.diffs:
            diff.add(first_id, last_id, now_ms, [ticks for ticks, _ in bids], [-ticks for ticks, _ in asks])
        self._emit(DepthChanged(self.spec.symbol, now_ms, first_id, last_id, bids, asks))

    def repeat_touch(self, touch: Touch) -> None:
        """Tell a touch; a recording may deliver one that its depth frames have overtaken."""
        if touch.update_id >= self.touch.update_id:
            self.touch = touch
        self._emit(
            TouchChanged(
                self.spec.symbol,
                touch.time_ms,
                touch.update_id,
                touch.bid_ticks,
                touch.bid_steps,
                touch.ask_ticks,
                touch.ask_steps,
            )
        )

    def _publish_touch(self, now_ms: int) -> None:
        before = self.touch
        bid, ask = self.book.bids.displayed_touch(), self.book.asks.displayed_touch()
        if bid != (before.bid_ticks, before.bid_steps) or ask != (before.ask_ticks, before.ask_steps):
            self.repeat_touch(Touch(self.last_update_id, now_ms, *bid, *ask))
