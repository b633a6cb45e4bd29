"""Conditions, judged against an exchange."""

from decimal import Decimal

import pytest
from phoenix_simulator.conditions import Condition, ConditionWatch
from phoenix_simulator.exchange.exchange import Exchange
from phoenix_simulator.exchange.orders import NewOrder, OrderType, Side, TimeInForce
from phoenix_simulator.exchange.symbols import BUILT_IN, E8
from phoenix_simulator.market.source import MarketKind, MarketStart

BTC = BUILT_IN["BTCUSDT"]


class Venue:
    """BTCUSDT at 1000.0 / 1000.1 with 100 steps a side, and an account that trades with it."""

    def __init__(self) -> None:
        self.exchange = Exchange()
        mark = 10_000 * BTC.tick_e8
        start = MarketStart(MarketKind.SYNTHETIC, ((10_000, 100),), ((10_001, 100),), mark, mark, 0)
        self.exchange.list_symbol(BTC, start, 0)
        self.exchange.open_account("a", {"USDT": 10**6 * E8}, 0)
        self._number = 0

    def place(self, price_ticks: int, steps: int = 100, side: Side = Side.BUY) -> None:
        self._number += 1
        request = NewOrder(
            symbol="BTCUSDT",
            side=side,
            type=OrderType.LIMIT,
            time_in_force=TimeInForce.GTC,
            price=BTC.price_to_decimal(price_ticks),
            quantity=BTC.quantity_to_decimal(steps),
            client_order_id=f"o{self._number}",
        )
        self.exchange.place("a", request, 0)


@pytest.fixture
def venue():
    return Venue()


@pytest.mark.parametrize(
    ("condition", "before", "met_by"),
    [
        pytest.param(Condition(orders=2), 1, lambda venue: venue.place(9_900), id="so many orders"),
        pytest.param(Condition(orders=2, symbol="btcusdt"), 1, lambda venue: venue.place(9_900), id="of a symbol"),
        pytest.param(Condition(fills=1), 1, lambda venue: venue.place(10_001), id="a fill"),
        pytest.param(Condition(resting=3, symbol="BTCUSDT"), 2, lambda venue: venue.place(9_900), id="resting orders"),
        pytest.param(
            Condition(position_above=Decimal("0.049"), symbol="BTCUSDT"),
            1,
            lambda venue: venue.place(10_001, 50),
            id="a long position",
        ),
        pytest.param(
            Condition(position_above=Decimal("0.049"), symbol="BTCUSDT"),
            1,
            lambda venue: venue.place(10_000, 50, Side.SELL),
            id="a short position",
        ),
        pytest.param(
            Condition(orders=1, fills=1), 1, lambda venue: venue.place(10_001), id="all that is given, at once"
        ),
    ],
)
def test_a_condition_is_met_by_what_it_names(venue, condition, before, met_by):
    watch = ConditionWatch(venue.exchange)
    since = watch.mark(condition)
    for _ in range(before):
        venue.place(9_800)
    assert not watch.holds(condition, since)
    met_by(venue)
    assert watch.holds(condition, since)


def test_counts_begin_with_the_mark(venue):
    condition = Condition(orders=1)
    watch = ConditionWatch(venue.exchange)
    watch.mark(condition)
    venue.place(9_800)
    assert not watch.holds(condition, watch.mark(condition))


def test_other_symbols_do_not_count(venue):
    condition = Condition(orders=1, symbol="ETHUSDC")
    watch = ConditionWatch(venue.exchange)
    since = watch.mark(condition)
    venue.place(9_800)
    assert not watch.holds(condition, since)


def test_a_run_without_conditions_listens_to_nothing(venue):
    before = len(venue.exchange.listeners)
    ConditionWatch(venue.exchange)
    assert len(venue.exchange.listeners) == before
