"""What each market stream says and when: exchange events and a timer in, frames to the hub out.

Real-time streams leave with their event. Those with a rhythm (depth at 100 ms, mark price, candles …) are looked after
only while somebody listens, and leave at multiples of their interval on the venue's clock.
"""

from collections.abc import Callable
from typing import Final

from phoenix_simulator.api import intervals
from phoenix_simulator.api.hub import Hub, Topic
from phoenix_simulator.api.render import frames, market
from phoenix_simulator.api.render.numbers import SymbolText
from phoenix_simulator.api.stream_names import StreamKind, StreamName
from phoenix_simulator.api.tape import AggregateTrade, Tape
from phoenix_simulator.clock import Clock
from phoenix_simulator.exchange.depth_diff import DepthDiff
from phoenix_simulator.exchange.events import (
    DepthChanged,
    MarkChanged,
    OrderForced,
    RetailDepthChanged,
    StatusChanged,
    TouchChanged,
    TradePrinted,
)
from phoenix_simulator.exchange.exchange import Exchange
from phoenix_simulator.exchange.listing import Listing
from phoenix_simulator.exchange.orders import Side

FASTEST_DEPTH_MS: Final = 50
"""`@depth@0ms` is not told change by change: in recordings of the venue its frames are about 52 ms apart. A replay
repeats such frames and sends them as they come; the changes of a synthetic market are gathered."""
_NEVER_MS: Final = 1 << 62


class Rhythm:
    """One stream with an interval that somebody listens to."""

    __slots__ = ("diff", "due_ms", "forced", "interval_ms", "seen", "stream")

    def __init__(self, stream: StreamName, interval_ms: int, now_ms: int, diff: DepthDiff | None) -> None:
        self.stream = stream
        self.interval_ms = interval_ms
        self.diff = diff
        self.seen: int | None = None
        """What the last frame told: the update id of a partial book, the opening time of a candle."""
        self.forced: dict[str, OrderForced] = {}
        """The largest forced order of each symbol since the last frame."""
        self.due_ms = 0
        self.turn(now_ms)

    def turn(self, now_ms: int) -> None:
        self.due_ms = now_ms - now_ms % self.interval_ms + self.interval_ms


class SymbolNames:
    """The real-time streams of one symbol, ready to look up."""

    __slots__ = ("aggregate", "book_ticker", "depth", "trade")

    def __init__(self, symbol: str) -> None:
        lower = symbol.lower()
        self.book_ticker = f"{lower}@bookTicker"
        self.trade = f"{lower}@trade"
        self.aggregate = f"{lower}@aggTrade"
        self.depth = f"{lower}@depth@0ms"


class MarketStreams:
    """`tapes` and `texts` hold every listed symbol."""

    def __init__(
        self, exchange: Exchange, hub: Hub, clock: Clock, tapes: dict[str, Tape], texts: dict[str, SymbolText]
    ) -> None:
        self._exchange = exchange
        self._hub = hub
        self._clock = clock
        self._tapes = tapes
        self._texts = texts
        self._names = {symbol: SymbolNames(symbol) for symbol in texts}
        self._repeated_id = {
            symbol: exchange.listing(symbol).last_update_id for symbol in texts if exchange.listing(symbol).is_replay
        }
        """Of the last recorded frame."""
        self._rhythms: dict[str, Rhythm] = {}
        self.due_ms = 0
        """When the next rhythm is to be looked after."""
        self._aggregating: dict[str, Tape] = {}
        """Tapes with an aggregate trade that is not closed."""
        for symbol, tape in tapes.items():
            tape.on_aggregate = self._aggregate_sender(symbol)
        listeners = exchange.listeners
        if self._repeated_id:
            listeners.append_for(self._depth, DepthChanged)
        listeners.append_for(self._retail_depth, RetailDepthChanged)
        listeners.append_for(self._touch, TouchChanged)
        listeners.append_for(self._trade, TradePrinted)
        listeners.append_for(self._mark, MarkChanged)
        listeners.append_for(self._force, OrderForced)
        listeners.append_for(self._status, StatusChanged)

    # ---- subscriptions ------------------------------------------------------------------------------------------

    def follow(self, stream: StreamName) -> None:
        """Somebody listens now."""
        if stream.name in self._rhythms or (stream.symbol and not self._knows(stream)):
            return
        interval_ms = stream.interval_ms
        if stream.kind is StreamKind.DEPTH and not interval_ms and not self._exchange.listing(stream.symbol).is_replay:
            interval_ms = FASTEST_DEPTH_MS
        if not interval_ms:
            return
        diff = None
        if stream.kind in {StreamKind.DEPTH, StreamKind.RPI_DEPTH}:
            listing = self._exchange.listing(stream.symbol)
            diff = DepthDiff(listing.last_update_id)
            listing.diffs.append(diff)
        rhythm = self._rhythms[stream.name] = Rhythm(stream, interval_ms, self._clock.now_ms(), diff)
        self.due_ms = min(self.due_ms, rhythm.due_ms)

    def _knows(self, stream: StreamName) -> bool:
        if stream.kind is StreamKind.ASSET_INDEX:
            return any(index.symbol == stream.symbol for index in self._exchange.prices.indices())
        return stream.symbol in self._texts

    # ---- events -------------------------------------------------------------------------------------------------

    def _depth(self, event: DepthChanged) -> None:
        """Recorded frames leave as they come; those of other markets have a rhythm."""
        symbol = event.symbol
        if symbol not in self._repeated_id:
            return
        topic = self._hub.topics.get(self._names[symbol].depth)
        if topic is not None:
            skew_ms = self._clock.skew_ms
            ids = (event.first_id, event.last_id, self._repeated_id[symbol])
            payload = frames.depth(
                self._texts[symbol],
                self._clock.reported_ms(),
                event.time_ms + skew_ms,
                ids,
                event.bids,
                event.asks,
            )
            self._hub.publish(topic, payload)
        self._repeated_id[symbol] = event.last_id

    def _retail_depth(self, event: RetailDepthChanged) -> None:
        rhythm = self._rhythms.get(f"{event.symbol.lower()}@rpiDepth@500ms")
        if rhythm is not None and rhythm.diff is not None:
            listing, is_bid = self._exchange.listing(event.symbol), event.side is Side.BUY
            key = listing.book.side(event.side).key_of(event.price_ticks)
            rhythm.diff.add_beside(key, listing.last_update_id, event.time_ms, is_bid=is_bid)

    def _touch(self, event: TouchChanged) -> None:
        topic = self._hub.topics.get(self._names[event.symbol].book_ticker)
        if topic is not None:
            payload = frames.book_ticker(
                self._texts[event.symbol],
                self._clock.reported_ms(),
                event.time_ms + self._clock.skew_ms,
                event.update_id,
                (event.bid_ticks, event.bid_steps),
                (event.ask_ticks, event.ask_steps),
            )
            self._hub.publish(topic, payload)

    def _trade(self, event: TradePrinted) -> None:
        tape = self._aggregating[event.symbol] = self._tapes[event.symbol]
        tape.print(event)
        topic = self._hub.topics.get(self._names[event.symbol].trade)
        if topic is not None:
            payload = frames.trade(
                self._texts[event.symbol],
                self._clock.reported_ms(),
                event.time_ms + self._clock.skew_ms,
                event.trade_id,
                (event.price_ticks, event.qty_steps),
                buyer_is_maker=event.buyer_is_maker,
            )
            self._hub.publish(topic, payload)

    def _mark(self, event: MarkChanged) -> None:
        self._tapes[event.symbol].mark(event)

    def _status(self, event: StatusChanged) -> None:
        topic = self._hub.topics.get("!contractInfo")
        if topic is not None:
            listing = self._exchange.listing(event.symbol)
            self._hub.publish(topic, market.contract_info(listing, self._clock.reported_ms()))

    def _force(self, event: OrderForced) -> None:
        """Kept until its second ends: the public is told of the largest only."""
        for name in (f"{event.symbol.lower()}@forceOrder", "!forceOrder@arr"):
            rhythm = self._rhythms.get(name)
            if rhythm is not None:
                held = rhythm.forced.get(event.symbol)
                if held is None or event.order.orig_steps > held.order.orig_steps:
                    rhythm.forced[event.symbol] = event

    def _aggregate_sender(self, symbol: str) -> Callable[[AggregateTrade], None]:
        def send(aggregate: AggregateTrade) -> None:
            topic = self._hub.topics.get(self._names[symbol].aggregate)
            if topic is not None:
                skew_ms = self._clock.skew_ms
                payload = frames.aggregate_trade(self._texts[symbol], self._clock.reported_ms(), skew_ms, aggregate)
                self._hub.publish(topic, payload)

        return send

    # ---- rhythm -------------------------------------------------------------------------------------------------

    def tick(self, now_ms: int) -> None:
        """Sends what is due. Called every few ms of real time by the run loop."""
        if self._aggregating:
            for symbol in [each for each, tape in self._aggregating.items() if tape.close_aggregate(now_ms)]:
                del self._aggregating[symbol]
        if now_ms >= self.due_ms:
            self._look_after_rhythms(now_ms)

    def _look_after_rhythms(self, now_ms: int) -> None:
        for name, rhythm in list(self._rhythms.items()):
            if rhythm.due_ms > now_ms:
                continue
            topic = self._hub.topics.get(name)
            if topic is None:
                self._forget(rhythm)
                continue
            rhythm.turn(now_ms)
            self._send_due(topic, rhythm, now_ms)
        self.due_ms = min((rhythm.due_ms for rhythm in self._rhythms.values()), default=_NEVER_MS)

    def _forget(self, rhythm: Rhythm) -> None:
        del self._rhythms[rhythm.stream.name]
        if rhythm.diff is not None:
            self._exchange.listing(rhythm.stream.symbol).diffs.remove(rhythm.diff)

    def _send_due(self, topic: Topic, rhythm: Rhythm, now_ms: int) -> None:
        stream, event_ms = rhythm.stream, self._clock.reported_ms()
        if rhythm.diff is not None:
            self._changes(topic, stream, rhythm.diff, event_ms)
        elif stream.kind is StreamKind.FORCE_ORDER:
            self._forced(topic, rhythm, event_ms)
        elif stream.kind is StreamKind.ASSET_INDEX:
            self._asset_indices(topic, stream, event_ms)
        elif stream.candle:
            self._candles(topic, rhythm, now_ms, event_ms)
        elif stream.symbol:
            payload = self._single(rhythm, stream.symbol, now_ms, event_ms)
            if payload is not None:
                self._hub.publish(topic, payload)
        elif stream.kind is StreamKind.BOOK_TICKER:
            for symbol in self._texts:
                self._hub.publish(topic, self._ticker_of(symbol, event_ms))
        else:
            rows = [self._single(None, symbol, now_ms, event_ms, stream.kind) for symbol in self._texts]
            said = [row for row in rows if row is not None]
            if said:
                self._hub.publish(topic, b"[" + b",".join(said) + b"]")

    def _single(
        self,
        rhythm: Rhythm | None,
        symbol: str,
        now_ms: int,
        event_ms: int,
        kind: StreamKind | None = None,
    ) -> bytes | None:
        """One symbol's frame of a stream with a rhythm; without one (an all-symbols stream) always what is."""
        listing, tape, text = self._exchange.listing(symbol), self._tapes[symbol], self._texts[symbol]
        match rhythm.stream.kind if rhythm is not None else kind:
            case StreamKind.PARTIAL_DEPTH if rhythm is not None:
                return self._partial_depth(rhythm, listing, text, event_ms)
            case StreamKind.MARK_PRICE:
                return market.mark_price(listing, tape, event_ms, self._clock.skew_ms)
            case StreamKind.MINI_TICKER:
                return market.mini_ticker_event(text, tape, now_ms, event_ms)
            case StreamKind.TICKER:
                return market.ticker_event(text, tape, now_ms, event_ms)
            case _:
                return None

    def _candles(self, topic: Topic, rhythm: Rhythm, now_ms: int, event_ms: int) -> None:
        """The present candle, and before its first frame the last one of the candle that has closed."""
        symbol, interval = rhythm.stream.symbol, rhythm.stream.candle
        text, minutes = self._texts[symbol], self._tapes[symbol].minutes
        is_kline = rhythm.stream.kind is StreamKind.KLINE
        render = market.kline_event if is_kline else market.continuous_kline_event
        open_ms = intervals.open_of(interval, now_ms)
        if rhythm.seen is not None and rhythm.seen != open_ms:
            closed = minutes.candles(interval, rhythm.seen, rhythm.seen, 1)[0]
            self._hub.publish(topic, render(text, interval, closed, event_ms, is_closed=True))
        rhythm.seen = open_ms
        candle = minutes.candles(interval, open_ms, open_ms, 1)[0]
        self._hub.publish(topic, render(text, interval, candle, event_ms, is_closed=False))

    def _forced(self, topic: Topic, rhythm: Rhythm, event_ms: int) -> None:
        for symbol, event in rhythm.forced.items():
            self._hub.publish(topic, market.force_order(self._texts[symbol], event, event_ms))
        rhythm.forced.clear()

    def _partial_depth(self, rhythm: Rhythm, listing: Listing, text: SymbolText, event_ms: int) -> bytes | None:
        if rhythm.seen == listing.last_update_id:
            return None
        previous_id = listing.last_update_id - 1 if rhythm.seen is None else rhythm.seen
        snapshot = listing.depth(rhythm.stream.levels)
        rhythm.seen = snapshot.last_update_id
        ids = (previous_id + 1, snapshot.last_update_id, previous_id)
        return frames.depth(text, event_ms, snapshot.time_ms + self._clock.skew_ms, ids, snapshot.bids, snapshot.asks)

    def _changes(self, topic: Topic, stream: StreamName, diff: DepthDiff, event_ms: int) -> None:
        if not diff.first_id:
            return
        listing = self._exchange.listing(stream.symbol)
        levels = listing.retail_changed(diff) if stream.kind is StreamKind.RPI_DEPTH else listing.changed(diff)
        ids = (diff.first_id, diff.last_id, diff.previous_id)
        time_ms = diff.time_ms + self._clock.skew_ms
        diff.turn()
        self._hub.publish(topic, frames.depth(self._texts[stream.symbol], event_ms, time_ms, ids, *levels))

    def _asset_indices(self, topic: Topic, stream: StreamName, event_ms: int) -> None:
        rows = [
            market.asset_index_event(index, event_ms)
            for index in self._exchange.prices.indices()
            if stream.symbol in {"", index.symbol}
        ]
        self._hub.publish(topic, rows[0] if stream.symbol else b"[" + b",".join(rows) + b"]")

    def _ticker_of(self, symbol: str, event_ms: int) -> bytes:
        touch = self._exchange.listing(symbol).touch
        return frames.book_ticker(
            self._texts[symbol],
            event_ms,
            touch.time_ms + self._clock.skew_ms,
            touch.update_id,
            (touch.bid_ticks, touch.bid_steps),
            (touch.ask_ticks, touch.ask_steps),
        )
