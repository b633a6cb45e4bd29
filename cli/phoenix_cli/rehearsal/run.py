"""One run: market, exchange and maker in one time, which jumps from each thing that happens to the next."""

from collections.abc import Sequence
from typing import Protocol

import msgspec
from phoenix_simulator.exchange.book import QueueModel
from phoenix_simulator.exchange.exchange import Exchange
from phoenix_simulator.exchange.orders import NewOrder, OrderType, Side
from phoenix_simulator.exchange.settings import ExchangeSettings
from phoenix_simulator.exchange.symbols import SymbolSpec
from phoenix_simulator.market.source import MarketSource
from phoenix_worker.core.actions import FetchMinutes, FetchSnapshot, FetchTouch, Reconnect, WantedOrder
from phoenix_worker.core.events import AnyEvent, StreamOpened, Tick
from phoenix_worker.core.instrument import Grid, Instrument

from phoenix_cli.rehearsal.feed import NEVER_NS, Day, Feed
from phoenix_cli.rehearsal.figures import SECOND_NS, Figures, Meter
from phoenix_cli.rehearsal.maker import Maker, Wish
from phoenix_cli.rehearsal.venue import VirtualVenue

ACCOUNT = "rehearsal"
BEGINS_NS = 1_000 * SECOND_NS
"""Monotonic time at which the market opens; zero means never to an engine."""


class Conditions(msgspec.Struct, frozen=True):
    """`each_way_ns` is how long anything takes between maker and exchange. `opens_ms`: Unix ms of the market's first
    moment; by default half an hour before a settlement of funding (2026-01-01 07:30 UTC).
    """

    each_way_ns: int = 20_000_000
    queue_model: QueueModel = QueueModel.PESSIMISTIC
    deposit: int = 100_000
    """In the margin asset: more than any maker here can use."""
    opens_ms: int = 1_767_252_600_000
    held_steps: int = 0


class Clocked(Protocol):
    """What waits on its way and says until when."""

    @property
    def due_ns(self) -> int: ...

    def take(self, now_ns: int) -> list[AnyEvent]: ...


def instrument_of(spec: SymbolSpec) -> Instrument:
    """The simulator's contract, as a worker would read it from its exchange information."""
    return Instrument(
        symbol=spec.symbol,
        base_asset=spec.base_asset,
        quote_asset=spec.quote_asset,
        price=Grid.of(spec.tick_size),
        quantity=Grid.of(spec.step_size),
        min_price_ticks=spec.min_price_ticks,
        max_price_ticks=spec.max_price_ticks,
        min_qty_steps=spec.min_steps,
        max_qty_steps=spec.max_steps,
        market_min_steps=spec.min_steps,
        market_max_steps=spec.market_max_steps,
        min_notional=spec.min_notional_e8,
        band_up=float(spec.multiplier_up),
        band_down=float(spec.multiplier_down),
        max_open_orders=spec.max_num_orders,
    )


def rehearse(
    spec: SymbolSpec,
    source: MarketSource,
    maker: Maker,
    net_max_steps: int,
    seconds: float | None = None,
    conditions: Conditions | None = None,
    day: Day | None = None,
) -> Figures:
    """`seconds` of the source, or all of it where it ends sooner. The same arguments give the same figures."""
    return Rehearsal(spec, source, maker, net_max_steps, conditions or Conditions(), day).run(seconds)


class Rehearsal:
    """`run` once; `exchange` and `meter` can be looked at afterwards."""

    def __init__(
        self,
        spec: SymbolSpec,
        source: MarketSource,
        maker: Maker,
        net_max_steps: int,
        conditions: Conditions,
        day: Day | None = None,
    ) -> None:
        self._spec = spec
        self._maker = maker
        self._offset_ns = conditions.opens_ms * 1_000_000 - BEGINS_NS
        self.exchange = Exchange(ExchangeSettings(queue_model=conditions.queue_model))
        self._listing = self.exchange.list_symbol(spec, source.start(), conditions.opens_ms)
        self._updates = source.updates(self.exchange.background(spec.symbol))
        self.exchange.open_account(ACCOUNT, {spec.margin_asset: conditions.deposit * 10**8}, conditions.opens_ms)
        each_way_ns = conditions.each_way_ns
        self.meter = Meter(spec, ACCOUNT, net_max_steps)
        self.meter.see(BEGINS_NS, self._mid_half_ticks)
        self.exchange.listeners.append(self.meter.on)
        if conditions.held_steps:
            self._take(conditions.held_steps, conditions.opens_ms)
        self._feed = Feed(self.exchange, spec, self._offset_ns, each_way_ns, day)
        self._venue = VirtualVenue(
            self.exchange,
            ACCOUNT,
            instrument_of(spec),
            clock_offset_ns=self._offset_ns,
            to_exchange_ns=each_way_ns,
            from_exchange_ns=each_way_ns,
        )
        self.exchange.listeners.append(self._feed.on)

    def run(self, seconds: float | None) -> Figures:
        spec, meter, feed, venue, maker = self._spec, self.meter, self._feed, self._venue, self._maker
        exchange, listing, symbol = self.exchange, self._listing, spec.symbol
        ends_ns = NEVER_NS if seconds is None else BEGINS_NS + int(seconds * SECOND_NS)
        sample_ns = BEGINS_NS + SECOND_NS
        now_ns = feed.now_ns = BEGINS_NS
        venue.advance(now_ns)
        fees_bps = spec.maker_rate_e8 / 1e4, spec.taker_rate_e8 / 1e4
        self._do(maker.start(now_ns, self._offset_ns, fees_bps), now_ns)
        update = next(self._updates, None)
        while update is not None:
            market_ns = BEGINS_NS + update.time_ns
            now_ns = min(market_ns, venue.due_ns, feed.due_ns, maker.wake_ns, sample_ns)
            if now_ns > ends_ns:
                break
            feed.now_ns = now_ns
            meter.see(now_ns, self._mid_half_ticks)
            venue.advance(now_ns)
            if now_ns == market_ns:
                exchange.apply(symbol, update, (now_ns + self._offset_ns) // 1_000_000)
                update = next(self._updates, None)
            for way in (feed, venue):
                if way.due_ns <= now_ns:
                    self._hear(way, now_ns)
            if maker.wake_ns <= now_ns:
                self._do(maker.on(Tick(now_ns)), now_ns)
            if now_ns == sample_ns:
                orders = exchange.open_orders(ACCOUNT, symbol)
                meter.sample(maker.mode, two_sided=len({order.side for order in orders}) == 2)
                sample_ns += SECOND_NS
        meter.see(now_ns, listing.touch.bid_ticks + listing.touch.ask_ticks)
        return meter.figures()

    def _take(self, signed_steps: int, now_ms: int) -> None:
        """At the market, before anybody who would call it foreign listens."""
        side = Side.BUY if signed_steps > 0 else Side.SELL
        quantity = self._spec.quantity_to_decimal(abs(signed_steps))
        order = NewOrder(symbol=self._spec.symbol, side=side, type=OrderType.MARKET, quantity=quantity)
        self.exchange.place(ACCOUNT, order, now_ms)

    @property
    def _mid_half_ticks(self) -> int:
        touch = self._listing.touch
        return touch.bid_ticks + touch.ask_ticks

    def _hear(self, way: Clocked, now_ns: int) -> None:
        for event in way.take(now_ns):
            self._do(self._maker.on(event), now_ns)

    def _do(self, wishes: Sequence[Wish], now_ns: int) -> None:
        for wish in wishes:
            match wish:
                case WantedOrder():
                    self._venue.order(wish, now_ns)
                case FetchSnapshot() | FetchTouch() | FetchMinutes():
                    self._feed.ask(wish, now_ns)
                case Reconnect(stream=stream):
                    # Nothing was lost: the new connection tells on where the old one stopped.
                    self._do(self._maker.on(StreamOpened(now_ns, stream)), now_ns)
                case _:
                    self._venue.perform(wish, now_ns)
