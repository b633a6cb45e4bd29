import pytest
from phoenix_simulator.exchange import adl
from phoenix_simulator.exchange.events import OrderForced, OrderUpdated
from phoenix_simulator.exchange.orders import ExecutionType, ForcedBy, OrderStatus, PositionSide, Side

NAMES = ("a", "b", "c", "d", "e")


@pytest.fixture
def crowd(open_venue):
    """Five accounts with the same long position, each at a higher leverage than the one before."""
    venue = open_venue(bids=((600_000, 100_000),), asks=((600_001, 100_000),))
    for leverage, name in enumerate(NAMES, start=1):
        venue.account(name)
        venue.exchange.set_leverage(name, "BTCUSDT", leverage * 10, venue.now)
        venue.market(Side.BUY, "0.010", name)
    return venue


def quantiles(venue):
    accounts = venue.exchange.accounts
    return [
        adl.quantile(accounts.values(), venue.holding(name), PositionSide.BOTH, venue.listing.mark_e8)
        for name in accounts
    ]


def test_among_winners_the_highest_leverage_is_next(crowd):
    crowd.mark("61000")
    assert quantiles(crowd) == [0, 1, 2, 3, 4]


def test_among_losers_leverage_does_not_count(crowd):
    crowd.mark("59000")
    assert quantiles(crowd) == [0] * 5


def test_the_other_direction_is_a_queue_of_its_own(crowd):
    crowd.account("short")
    crowd.market(Side.SELL, "0.010", "short")
    crowd.mark("61000")
    assert quantiles(crowd) == [0, 1, 2, 3, 4, 0]


def test_without_a_position_nobody_stands_in_the_queue(crowd):
    crowd.mark("61000")
    crowd.market(Side.SELL, "0.010", "e")
    assert quantiles(crowd) == [0, 1, 2, 3, 0]


class TestDeleveraging:
    def test_the_first_in_line_is_closed_at_mark_beside_the_book(self, crowd):
        crowd.mark("61000")
        book = crowd.public_book()
        crowd.heard()
        assert crowd.exchange.deleverage("BTCUSDT", 0.5, crowd.now)
        assert [crowd.position(name).steps for name in NAMES] == [10, 10, 10, 10, 5]
        updates = crowd.heard(OrderUpdated, OrderForced)
        assert [event.execution for event in updates] == [ExecutionType.NEW, ExecutionType.CALCULATED]
        order, fill = updates[-1].order, updates[-1].fill
        assert (order.client_order_id, order.status, order.forced_by) == (
            "adl_autoclose",
            OrderStatus.FILLED,
            ForcedBy.ADL,
        )
        assert (fill.price_ticks, fill.qty_steps, fill.side) == (610_000, 5, Side.SELL)
        assert crowd.public_book() == book
        assert sum(crowd.position(name).steps for name in NAMES) + crowd.listing.background.steps == 0

    def test_an_account_by_name_whatever_its_place(self, crowd):
        crowd.mark("61000")
        assert crowd.exchange.deleverage("BTCUSDT", 1.0, crowd.now, "a")
        assert [crowd.position(name).steps for name in NAMES] == [0, 10, 10, 10, 10]
        assert not crowd.exchange.deleverage("BTCUSDT", 1.0, crowd.now, "a")

    def test_orders_that_only_reduce_shrink_with_the_position(self, crowd):
        order = crowd.limit(Side.SELL, "0.010", "62000", account_id="a", reduce_only=True)
        crowd.exchange.deleverage("BTCUSDT", 0.5, crowd.now, "a")
        assert crowd.query(order, "a").status is OrderStatus.EXPIRED

    def test_the_smallest_part_is_a_step(self, crowd):
        crowd.exchange.deleverage("BTCUSDT", 0.001, crowd.now, "b")
        assert crowd.position("b").steps == 9

    def test_it_is_listed_among_what_the_venue_closed(self, crowd):
        crowd.exchange.deleverage("BTCUSDT", 1.0, crowd.now, "a")
        listed = {kind: len(crowd.exchange.all_orders("a", "BTCUSDT", crowd.now, forced={kind})) for kind in ForcedBy}
        assert listed == {ForcedBy.ADL: 1, ForcedBy.LIQUIDATION: 0, ForcedBy.SETTLEMENT: 0}
