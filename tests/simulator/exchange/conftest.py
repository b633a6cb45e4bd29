"""A small venue to trade on: BTCUSDT, five levels of 1 BTC a side, bids from 60000.0 down and asks from 60000.1 up."""

from decimal import Decimal

import pytest
from phoenix_simulator.exchange.errors import VenueError
from phoenix_simulator.exchange.events import AccountUpdated, DepthChanged, OrderUpdated, TradeLite
from phoenix_simulator.exchange.exchange import Exchange
from phoenix_simulator.exchange.orders import AmendOrder, NewOrder, OrderRef, OrderType, Side, TimeInForce
from phoenix_simulator.exchange.settings import ExchangeSettings
from phoenix_simulator.exchange.symbols import BUILT_IN, E8
from phoenix_simulator.market.source import DepthUpdate, MarketKind, MarketStart, MarkUpdate, TakerUpdate

START_MS = 1_760_000_000_000  # 2025-10-09 08:53:20 UTC


class Venue:
    def __init__(
        self,
        *,
        kind=MarketKind.SYNTHETIC,
        spec=BUILT_IN["BTCUSDT"],
        settings=None,
        bids=None,
        asks=None,
        is_heard=True,
    ):
        self.spec = spec
        self.symbol = spec.symbol
        self.now = START_MS
        self.exchange = Exchange(settings or ExchangeSettings())
        self.events = []
        if is_heard:
            self.exchange.listeners.append(self.events.append)
        bids = tuple((600_000 - i, 1000) for i in range(5)) if bids is None else bids
        asks = tuple((600_001 + i, 1000) for i in range(5)) if asks is None else asks
        mark = 60_000 * E8
        start = MarketStart(kind, bids, asks, mark, mark, 10_000, last_update_id=1000, last_trade_id=500)
        self.exchange.list_symbol(spec, start, self.now)

    @property
    def listing(self):
        return self.exchange.listing(self.symbol)

    @property
    def book(self):
        return self.listing.book

    def account(self, account_id="maker", usdt=100_000, **options):
        return self.exchange.open_account(account_id, {"USDT": usdt * E8}, self.now, **options)

    def holding(self, account_id="maker"):
        return self.exchange.account(account_id).holding(self.spec)

    def position(self, account_id="maker"):
        return self.holding(account_id).position

    def limit(self, side, qty, price, tif=TimeInForce.GTC, account_id="maker", **fields):
        return self.place(
            account_id,
            side=side,
            type=OrderType.LIMIT,
            quantity=Decimal(qty),
            price=Decimal(price),
            time_in_force=tif,
            **fields,
        )

    def market(self, side, qty, account_id="maker", **fields):
        return self.place(account_id, side=side, type=OrderType.MARKET, quantity=Decimal(qty), **fields)

    def place(self, account_id, **fields):
        return self.exchange.place(account_id, NewOrder(symbol=self.symbol, **fields), self.now)

    def amend(self, order, qty, price, account_id="maker", **fields):
        request = {"side": order.side, "quantity": Decimal(qty), "price": Decimal(price)} | fields
        ref = OrderRef(order.order_id)
        return self.exchange.modify(account_id, AmendOrder(symbol=self.symbol, ref=ref, **request), self.now)

    def cancel(self, order, account_id="maker"):
        return self.exchange.cancel(account_id, self.symbol, OrderRef(order.order_id), self.now)

    def query(self, order, account_id="maker"):
        return self.exchange.order(account_id, self.symbol, OrderRef(order.order_id), self.now)

    def apply(self, update):
        self.exchange.apply(self.symbol, update, self.now)

    def depth(self, bids=(), asks=(), first_id=0, last_id=0):
        self.apply(DepthUpdate(0, tuple(bids), tuple(asks), first_id, last_id))

    def background_buys(self, steps, limit_ticks=None):
        self.apply(TakerUpdate(0, True, steps, limit_ticks))

    def background_sells(self, steps, limit_ticks=None):
        self.apply(TakerUpdate(0, False, steps, limit_ticks))

    def mark(self, price, rate_e8=10_000):
        mark_e8 = int(Decimal(price) * E8)
        self.apply(MarkUpdate(0, mark_e8, mark_e8, rate_e8))

    def long(self, qty, account_id="maker"):
        """A long position bought from the background at 60000.1 and beyond."""
        return self.market(Side.BUY, qty, account_id)

    def ahead_of(self, order):
        return self.book.side(order.side).ahead_of(self.open(order))

    def open(self, order):
        return self.exchange.account(order.account_id).holdings[order.symbol].open[order.order_id]

    def heard(self, *kinds):
        """The events of these kinds since the last time, oldest first; forgets all."""
        found = [event for event in self.events if not kinds or isinstance(event, kinds)]
        self.events.clear()
        return found

    def private(self, account_id="maker"):
        """The private events as (kind, execution or reason) in order; forgets all."""
        story = []
        for event in self.heard(OrderUpdated, AccountUpdated, TradeLite):
            if event.account_id != account_id:
                continue
            detail = getattr(event, "execution", None) or getattr(event, "reason", None)
            story.append((type(event).__name__, str(detail) if detail else ""))
        return story

    def refused(self, call, *args, **fields):
        """The code that the call is refused with; the call must change and tell nothing."""
        before = len(self.events)
        with pytest.raises(VenueError) as refusal:
            call(*args, **fields)
        assert len(self.events) == before
        return refusal.value.code

    def public_book(self):
        snapshot = self.exchange.depth(self.symbol, 1000)
        return snapshot.bids, snapshot.asks

    def rebuilt_book(self, start_bids, start_asks):
        """What a client holds that applied every DepthChanged since the start."""
        bids, asks = dict(start_bids), dict(start_asks)
        for event in self.events:
            if isinstance(event, DepthChanged):
                for book, levels in ((bids, event.bids), (asks, event.asks)):
                    for ticks, steps in levels:
                        if steps:
                            book[ticks] = steps
                        else:
                            book.pop(ticks, None)
        return tuple(sorted(bids.items(), reverse=True)), tuple(sorted(asks.items()))


@pytest.fixture
def venue():
    """One venue with one rich account, `maker`."""
    venue = Venue()
    venue.account()
    return venue


@pytest.fixture(scope="session")
def open_venue():
    """Venue(...) for tests that need another market, settings, or a new one for each hypothesis example."""
    return Venue
