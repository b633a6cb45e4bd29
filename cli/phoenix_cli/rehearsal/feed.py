"""The market data between exchange and maker: what the exchange tells the public arrives a fixed time later, and
questions about the market travel both ways.
"""

from collections import deque

import msgspec
from phoenix_simulator.exchange.events import DepthChanged, ExchangeEvent, MarkChanged, TouchChanged, TradePrinted
from phoenix_simulator.exchange.exchange import Exchange
from phoenix_simulator.exchange.symbols import SymbolSpec
from phoenix_worker.core.actions import FetchMinutes, FetchSnapshot, FetchTouch
from phoenix_worker.core.events import AnyEvent, Depth, Level, Mark, Minutes, Snapshot, Touch, TouchAnswer, Trade

NEVER_NS = 1 << 62
LEVELS = 1_000
"""Of a snapshot: the venue's largest."""
E8 = 1e8

Question = FetchSnapshot | FetchTouch | FetchMinutes


class Day(msgspec.Struct, frozen=True):
    """The minutes before the run, oldest first: closes in quote, volumes in base, and what takers bought of these."""

    closes: list[float]
    volumes: list[float]
    taker_buys: list[float]


class Feed:
    """A listener of the exchange. Times are monotonic ns of the run; `clock_offset_ns` makes them the exchange's."""

    def __init__(
        self, exchange: Exchange, spec: SymbolSpec, clock_offset_ns: int, each_way_ns: int, day: Day | None = None
    ) -> None:
        self._exchange = exchange
        self._spec = spec
        self._tick, self._step = float(spec.tick_size), float(spec.step_size)
        self._offset_ns = clock_offset_ns
        self._each_way_ns = each_way_ns
        self._day = day
        self._arriving: deque[AnyEvent] = deque()
        self._questions: deque[tuple[int, Question]] = deque()
        self._last_depth_id = exchange.listing(spec.symbol).last_update_id
        self.now_ns = 0
        """When the exchange tells what it tells."""

    @property
    def due_ns(self) -> int:
        """When something reaches the maker, or a question the exchange."""
        arrives_ns = self._arriving[0].at if self._arriving else NEVER_NS
        return min(arrives_ns, self._questions[0][0]) if self._questions else arrives_ns

    def ask(self, question: Question, now_ns: int) -> None:
        self._questions.append((now_ns + self._each_way_ns, question))

    def take(self, now_ns: int) -> list[AnyEvent]:
        """What has reached the maker by now."""
        while self._questions and self._questions[0][0] <= now_ns:
            asked_ns, question = self._questions.popleft()
            self._arriving.append(self._answer(question, asked_ns + self._each_way_ns))
        arriving, arrived = self._arriving, []
        while arriving and arriving[0].at <= now_ns:
            arrived.append(arriving.popleft())
        return arrived

    # ---- what the exchange tells --------------------------------------------------------------------------------

    def on(self, event: ExchangeEvent) -> None:
        at = self.now_ns + self._each_way_ns
        tick, step = self._tick, self._step
        match event:
            case TouchChanged():
                bid, ask = event.bid_ticks * tick, event.ask_ticks * tick
                told: AnyEvent = Touch(
                    at, event.time_ms, event.update_id, bid, event.bid_steps * step, ask, event.ask_steps * step
                )
            case TradePrinted():
                price, quantity = event.price_ticks * tick, event.qty_steps * step
                told = Trade(at, event.time_ms, event.trade_id, price, quantity, event.buyer_is_maker)
            case DepthChanged():
                bids, asks = self._levels(event.bids), self._levels(event.asks)
                told = Depth(at, event.time_ms, event.first_id, event.last_id, self._last_depth_id, bids, asks)
                self._last_depth_id = event.last_id
            case MarkChanged():
                rate = event.funding_rate_e8 / E8
                told = Mark(at, event.time_ms, event.mark_e8 / E8, event.index_e8 / E8, rate, event.next_funding_ms)
            case _:
                return
        self._arriving.append(told)

    def _levels(self, levels: tuple[tuple[int, int], ...]) -> list[Level]:
        tick, step = self._tick, self._step
        return [(ticks * tick, steps * step) for ticks, steps in levels]

    def _answer(self, question: Question, at: int) -> AnyEvent:
        match question:
            case FetchSnapshot():
                book = self._exchange.depth(self._spec.symbol, LEVELS)
                return Snapshot(at, book.last_update_id, self._levels(book.bids), self._levels(book.asks))
            case FetchTouch():
                touch = self._exchange.listing(self._spec.symbol).touch
                sent_ns = at - 2 * self._each_way_ns
                return TouchAnswer(at, sent_ns, touch.bid_ticks * self._tick, touch.ask_ticks * self._tick)
            case FetchMinutes():
                if self._day is None:
                    return Minutes(at, 0, [])
                last_close_ms = (at + self._offset_ns) // 60_000_000_000 * 60_000
                return Minutes(at, last_close_ms, self._day.closes, self._day.volumes, self._day.taker_buys)
