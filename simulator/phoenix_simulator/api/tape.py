"""What was traded and marked: recent prints, aggregate trades, and one-minute candles of three days per symbol.

Longer candles are built from the minutes when asked for. Before its first event the venue knows of a market that
stood still at its opening price, so that a client that preloads history never gets an empty list.
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

import msgspec

from phoenix_simulator.api import intervals
from phoenix_simulator.exchange.events import MarkChanged, TradePrinted
from phoenix_simulator.exchange.symbols import SymbolSpec

AGGREGATION_MS: Final = 100
_KEPT_TRADES: Final = 20_000
_KEPT_MINUTES: Final = 3 * 24 * 60
_MARKS_IN_AVERAGE: Final = 60
_DAY_MS: Final = 24 * 3_600_000


class AggregateTrade(msgspec.Struct):
    """Fills of one price and taker side within 100 ms. `time_ms` is the first one's."""

    aggregate_id: int
    price_ticks: int
    qty_steps: int
    first_trade_id: int
    last_trade_id: int
    time_ms: int
    buyer_is_maker: bool
    retail_steps: int = 0
    """Of these, what retail orders (RPI) made."""


class Candle(msgspec.Struct):
    """Prices are ticks for trades and 1e-8 for marks; volumes are 0 for marks."""

    open_ms: int
    open: int
    high: int
    low: int
    close: int
    volume_steps: int = 0
    quote_e8: int = 0
    trades: int = 0
    taker_buy_steps: int = 0
    taker_buy_quote_e8: int = 0
    first_trade_id: int = -1
    last_trade_id: int = -1

    def move(self, price: int) -> None:
        self.high = max(self.high, price)
        self.low = min(self.low, price)
        self.close = price

    def merge(self, later: "Candle") -> None:
        """Take in a candle that follows this one in time."""
        self.high = max(self.high, later.high)
        self.low = min(self.low, later.low)
        self.close = later.close
        self.volume_steps += later.volume_steps
        self.quote_e8 += later.quote_e8
        self.trades += later.trades
        self.taker_buy_steps += later.taker_buy_steps
        self.taker_buy_quote_e8 += later.taker_buy_quote_e8
        if later.first_trade_id >= 0:
            self.first_trade_id = later.first_trade_id if self.first_trade_id < 0 else self.first_trade_id
            self.last_trade_id = later.last_trade_id


class Minutes:
    """One-minute candles, oldest first; a minute without an event has none and reads as flat."""

    def __init__(self, opening_price: int) -> None:
        self._opening_price = opening_price
        self._candles: OrderedDict[int, Candle] = OrderedDict()

    def at(self, time_ms: int, price: int) -> Candle:
        """The candle of this moment; a new one opens at its first price, as the venue's do."""
        open_ms = time_ms - time_ms % intervals.MINUTE_MS
        candle = self._candles.get(open_ms)
        if candle is None:
            candle = self._candles[open_ms] = Candle(open_ms, price, price, price, price)
            while len(self._candles) > _KEPT_MINUTES:
                _, dropped = self._candles.popitem(last=False)
                self._opening_price = dropped.close
        return candle

    def candles(self, interval: str, start_ms: int, end_ms: int, limit: int) -> list[Candle]:
        """At most `limit` candles that open in [start, end], ascending. `end_ms` is a time that a calendar has; the
        start may be any.
        """
        if start_ms > end_ms:
            return []
        grouped: dict[int, Candle] = {}
        previous_close = self._opening_price
        first_open_ms = intervals.open_of(interval, start_ms)
        if first_open_ms < start_ms:
            first_open_ms = intervals.next_open(interval, first_open_ms)
        for minute in self._candles.values():
            if minute.open_ms < first_open_ms:
                previous_close = minute.close
                continue
            if minute.open_ms > end_ms and intervals.open_of(interval, minute.open_ms) > end_ms:
                break
            open_ms = intervals.open_of(interval, minute.open_ms)
            held = grouped.get(open_ms)
            if held is None:
                grouped[open_ms] = msgspec.structs.replace(minute, open_ms=open_ms)
            else:
                held.merge(minute)
        result: list[Candle] = []
        open_ms = first_open_ms
        while open_ms <= end_ms and len(result) < limit:
            candle = grouped.get(open_ms)
            if candle is None:
                candle = Candle(open_ms, previous_close, previous_close, previous_close, previous_close)
            previous_close = candle.close
            result.append(candle)
            open_ms = intervals.next_open(interval, open_ms)
        return result

    def since(self, start_ms: int, now_ms: int) -> Candle:
        """Everything from `start_ms` (its minute) to now as one candle."""
        price = self._opening_price
        total: Candle | None = None
        for minute in self._candles.values():
            if minute.open_ms + intervals.MINUTE_MS <= start_ms:
                price = minute.close
            elif minute.open_ms <= now_ms:
                if total is None:
                    total = msgspec.structs.replace(minute)
                else:
                    total.merge(minute)
        return total if total is not None else Candle(start_ms, price, price, price, price)


class Tape:
    """The public record of one symbol. `on_aggregate` hears of each aggregate trade as it closes."""

    def __init__(self, spec: SymbolSpec, opening_ticks: int, opening_mark_e8: int) -> None:
        self._spec = spec
        self.on_aggregate: Callable[[AggregateTrade], None] = _nothing
        self.trades: deque[TradePrinted] = deque(maxlen=_KEPT_TRADES)
        self.aggregates: deque[AggregateTrade] = deque(maxlen=_KEPT_TRADES)
        self.minutes = Minutes(opening_ticks)
        self.mark_minutes = Minutes(opening_mark_e8)
        self.last_ticks = opening_ticks
        self._marks: deque[int] = deque([opening_mark_e8], maxlen=_MARKS_IN_AVERAGE)
        self._open_aggregate: AggregateTrade | None = None
        self._next_aggregate_id = 1

    def recall_day(self, steps: int, now_ms: int) -> None:
        """As if `steps` had been traded at the opening price in each minute of the day before, half by buyers."""
        price = self.last_ticks
        now_ms -= now_ms % intervals.MINUTE_MS
        for open_ms in range(now_ms - _DAY_MS, now_ms, intervals.MINUTE_MS):
            candle = self.minutes.at(open_ms, price)
            candle.volume_steps, candle.taker_buy_steps = steps, steps // 2
            candle.quote_e8 = self._spec.notional_e8(price, steps)
            candle.taker_buy_quote_e8 = self._spec.notional_e8(price, candle.taker_buy_steps)
            candle.trades = 2

    @property
    def average_mark_e8(self) -> int:
        """The venue calls it a moving average and names no window; here: of the last 60 marks."""
        return sum(self._marks) // len(self._marks)

    def print(self, trade: TradePrinted) -> None:
        quote_e8 = self._spec.notional_e8(trade.price_ticks, trade.qty_steps)
        self.trades.append(trade)
        self.last_ticks = trade.price_ticks
        candle = self.minutes.at(trade.time_ms, trade.price_ticks)
        candle.move(trade.price_ticks)
        candle.volume_steps += trade.qty_steps
        candle.quote_e8 += quote_e8
        candle.trades += 1
        if not trade.buyer_is_maker:
            candle.taker_buy_steps += trade.qty_steps
            candle.taker_buy_quote_e8 += quote_e8
        if candle.first_trade_id < 0:
            candle.first_trade_id = trade.trade_id
        candle.last_trade_id = trade.trade_id
        self._aggregate(trade)

    def mark(self, event: MarkChanged) -> None:
        self._marks.append(event.mark_e8)
        self.mark_minutes.at(event.time_ms, event.mark_e8).move(event.mark_e8)

    def close_aggregate(self, now_ms: int) -> bool:
        """Ends an aggregate whose 100 ms are over; whether none is open any more."""
        pending = self._open_aggregate
        if pending is not None and now_ms - pending.time_ms >= AGGREGATION_MS:
            self._publish(pending)
        return self._open_aggregate is None

    def _aggregate(self, trade: TradePrinted) -> None:
        pending = self._open_aggregate
        if pending is not None:
            if (
                pending.price_ticks == trade.price_ticks
                and pending.buyer_is_maker is trade.buyer_is_maker
                and trade.time_ms - pending.time_ms < AGGREGATION_MS
            ):
                pending.qty_steps += trade.qty_steps
                pending.retail_steps += trade.qty_steps if trade.is_retail else 0
                pending.last_trade_id = trade.trade_id
                return
            self._publish(pending)
        self._open_aggregate = AggregateTrade(
            self._next_aggregate_id,
            trade.price_ticks,
            trade.qty_steps,
            trade.trade_id,
            trade.trade_id,
            trade.time_ms,
            trade.buyer_is_maker,
            trade.qty_steps if trade.is_retail else 0,
        )
        self._next_aggregate_id += 1

    def _publish(self, aggregate: AggregateTrade) -> None:
        self._open_aggregate = None
        self.aggregates.append(aggregate)
        self.on_aggregate(aggregate)


def since_day(time_ms: int) -> int:
    """The start of the 24 hours that end now."""
    return time_ms - _DAY_MS


def _nothing(_: AggregateTrade) -> None:
    """Nobody listens yet."""
