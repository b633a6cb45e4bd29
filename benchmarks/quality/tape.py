"""A seeded market, played once and kept: everybody is judged by the very same hour.

The simulator's synthetic market is generated with nobody in it and thinned to what a maker's streams and the fill model
need: trades of one price and side that follow each other as one, the touch whenever its price changes and otherwise at
most every 500 ms, the book every 500 ms (the venue's slowest diff stream), marks each second. What comes out is a
`MarketSource` like a recording's, so that orders fill by the simulator's rule for recordings and its queue models.

The generator itself runs with fewer changes of quantities at the touch (a tenth) and of the book behind it (a frame a
second): orders, moves and jumps, which fill and hurt a maker, come as often as they do.
"""

from collections.abc import Iterator, Sequence

import msgspec
from phoenix_simulator.exchange.events import DepthChanged, ExchangeEvent, MarkChanged, TouchChanged, TradePrinted
from phoenix_simulator.exchange.exchange import Exchange
from phoenix_simulator.exchange.symbols import SymbolSpec
from phoenix_simulator.market.regimes import REGIMES, Regime, RegimeName
from phoenix_simulator.market.source import (
    BackgroundView,
    DepthUpdate,
    MarketKind,
    MarketStart,
    MarketUpdate,
    MarkUpdate,
    PrintUpdate,
    TouchUpdate,
)
from phoenix_simulator.market.synthetic import SyntheticSource

PACE_NS = 500_000_000
MERGED_NS = 50_000_000
"""Trades of one price and side within so long are one."""
SECOND_NS = 1_000_000_000
FEWER_TOUCH_CHANGES = 10
LEAST_FRAME_S = 1.0


class Tape(msgspec.Struct, frozen=True):
    """A `MarketSource` that can be played any number of times."""

    symbol: str
    opening: MarketStart
    played: Sequence[MarketUpdate]

    def start(self) -> MarketStart:
        return self.opening

    def updates(self, background: BackgroundView) -> Iterator[MarketUpdate]:  # noqa: ARG002 - it does not look
        return iter(self.played)


def thinned(regime: Regime) -> Regime:
    """The regime with fewer messages in which nothing trades."""
    return msgspec.structs.replace(
        regime,
        touch_changes_per_s=regime.touch_changes_per_s / FEWER_TOUCH_CHANGES,
        frame_s=max(LEAST_FRAME_S, regime.frame_s),
    )


def generate(spec: SymbolSpec, regime: RegimeName, seed: int, seconds: float) -> Tape:
    """`seconds` of the regime. The same arguments give the same tape."""
    source = SyntheticSource(spec, seed, thinned(REGIMES[regime]))
    exchange = Exchange()
    start = source.start()
    exchange.list_symbol(spec, start, 0)
    thinner = Thinner(start)
    exchange.listeners.append(thinner.on)
    for update in source.updates(exchange.background(spec.symbol)):
        if update.time_ns > seconds * SECOND_NS:
            break
        thinner.now_ns = update.time_ns
        exchange.apply(spec.symbol, update, update.time_ns // 1_000_000)
    return Tape(spec.symbol, msgspec.structs.replace(start, kind=MarketKind.REPLAY), thinner.finish())


class Thinner:
    """A listener of the exchange that generates. Ids count up by one for each thing told of the book."""

    def __init__(self, start: MarketStart) -> None:
        self.now_ns = 0
        self._played: list[MarketUpdate] = []
        self._id = self._last_frame_id = start.last_update_id
        self._trade_id = start.last_trade_id
        self._bids: dict[int, int] = {}
        self._asks: dict[int, int] = {}
        self._frame_ns = 0
        self._touch: TouchChanged | None = None
        self._told: TouchChanged | None = None
        self._touch_ns = 0
        self._print: PrintUpdate | None = None

    def on(self, event: ExchangeEvent) -> None:
        match event:
            case TradePrinted():
                self._on_trade(event)
            case DepthChanged():
                self._bids.update(event.bids)
                self._asks.update(event.asks)
                if self.now_ns - self._frame_ns >= PACE_NS:
                    self._tell_frame()
            case TouchChanged():
                self._touch = event
                told = self._told
                moved = told is None or (told.bid_ticks, told.ask_ticks) != (event.bid_ticks, event.ask_ticks)
                if (moved and event.bid_ticks and event.ask_ticks) or self.now_ns - self._touch_ns >= PACE_NS:
                    self._tell_touch()
            case MarkChanged():
                if self._id != self._last_frame_id:
                    self._tell_frame()  # diffs follow the touch, or its maker would not trust them
                self._tell_print()
                mark = MarkUpdate(self.now_ns, event.mark_e8, event.index_e8, event.funding_rate_e8)
                self._played.append(mark)
            case _:
                pass

    def finish(self) -> list[MarketUpdate]:
        self._tell_frame()
        return self._played

    def _on_trade(self, trade: TradePrinted) -> None:
        pending = self._print
        if pending is not None and (
            pending.price_ticks == trade.price_ticks
            and pending.buyer_is_maker is trade.buyer_is_maker
            and self.now_ns - pending.time_ns <= MERGED_NS
        ):
            self._print = msgspec.structs.replace(pending, qty_steps=pending.qty_steps + trade.qty_steps)
            return
        self._tell_print()
        self._trade_id += 1
        self._print = PrintUpdate(self.now_ns, self._trade_id, trade.price_ticks, trade.qty_steps, trade.buyer_is_maker)

    def _tell_print(self) -> None:
        """At the moment of its first trade, unless something has been told since."""
        if self._print is not None:
            latest_ns = self._played[-1].time_ns if self._played else 0
            self._played.append(msgspec.structs.replace(self._print, time_ns=max(latest_ns, self._print.time_ns)))
            self._print = None

    def _tell_touch(self) -> None:
        touch = self._touch
        if touch is None or not touch.bid_ticks or not touch.ask_ticks:
            return
        self._tell_print()
        self._id += 1
        self._played.append(
            TouchUpdate(self.now_ns, self._id, touch.bid_ticks, touch.bid_steps, touch.ask_ticks, touch.ask_steps)
        )
        self._told, self._touch, self._touch_ns = touch, None, self.now_ns

    def _tell_frame(self) -> None:
        self._tell_print()
        self._id += 1
        bids, asks = tuple(sorted(self._bids.items(), reverse=True)), tuple(sorted(self._asks.items()))
        self._played.append(DepthUpdate(self.now_ns, bids, asks, self._last_frame_id + 1, self._id))
        self._last_frame_id, self._frame_ns = self._id, self.now_ns
        self._told, self._touch = self._touch or self._told, None  # the book says it, too
        self._bids, self._asks = {}, {}
