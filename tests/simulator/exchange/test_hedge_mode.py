"""Hedge mode: a long and a short position side by side, and each order says which one it is for."""

from decimal import Decimal

import msgspec
import pytest
from phoenix_simulator.audit.exposure import worst_case
from phoenix_simulator.exchange.accounts import IncomeType
from phoenix_simulator.exchange.events import AccountUpdated, MarginCalled, OrderForced, OrderUpdated
from phoenix_simulator.exchange.orders import OrderStatus, PositionSide, Side
from phoenix_simulator.exchange.symbols import BUILT_IN, E8

BUY, SELL = Side.BUY, Side.SELL
LONG, SHORT = PositionSide.LONG, PositionSide.SHORT


@pytest.fixture
def hedged(open_venue):
    """0.200 long and 0.100 short on 1000 USDT at the default leverage of 20; an order is worth 100 USDT at least."""
    spec = msgspec.structs.replace(BUILT_IN["BTCUSDT"], min_notional_e8=100 * E8)
    venue = open_venue(spec=spec, bids=((600_000, 100_000),), asks=((600_001, 100_000),))
    venue.account(usdt=1000)
    venue.exchange.set_position_mode("maker", True)
    venue.market(BUY, "0.200", position_side=LONG)
    venue.market(SELL, "0.100", position_side=SHORT)
    return venue


def sizes(venue):
    holding = venue.holding()
    return holding.long.steps, holding.short.steps, holding.position.steps


def test_both_positions_are_held_at_once_and_no_fill_of_one_touches_the_other(hedged):
    assert sizes(hedged) == (200, -100, 0)
    assert hedged.holding().long.entry_price == Decimal("60000.1")
    assert hedged.holding().short.entry_price == Decimal(60_000)
    hedged.market(SELL, "0.050", position_side=LONG)
    assert sizes(hedged) == (150, -100, 0)
    hedged.market(BUY, "0.100", position_side=SHORT)
    assert sizes(hedged) == (150, 0, 0)


def test_a_fill_tells_its_position_and_no_other(hedged):
    hedged.heard()
    hedged.market(SELL, "0.050", position_side=LONG)
    events = hedged.heard(AccountUpdated, OrderUpdated)
    (account,) = [event for event in events if isinstance(event, AccountUpdated)]
    assert [(state.side, state.qty_steps) for state in account.positions] == [(LONG, 150)]
    fills = [event.fill for event in events if isinstance(event, OrderUpdated) and event.fill]
    assert [fill.position_side for fill in fills] == [LONG]


def test_what_closes_needs_neither_margin_nor_the_least_notional(hedged):
    before = hedged.exchange.asset_margin("maker", "USDT").order_margin_e8
    closing = hedged.limit(SELL, "0.199", "61000", position_side=LONG)
    assert closing.reduce_only
    assert hedged.exchange.asset_margin("maker", "USDT").order_margin_e8 == before
    assert hedged.refused(hedged.limit, BUY, "0.001", "60000", position_side=LONG) == -4164
    assert hedged.limit(SELL, "0.001", "61000", position_side=LONG).status is OrderStatus.NEW


def test_closing_orders_never_exceed_their_own_position(hedged):
    assert hedged.refused(hedged.limit, SELL, "0.201", "61000", position_side=LONG) == -2022
    hedged.limit(SELL, "0.150", "61000", position_side=LONG)
    assert hedged.refused(hedged.limit, SELL, "0.051", "61000", position_side=LONG) == -2022
    assert hedged.limit(BUY, "0.100", "59000", position_side=SHORT).status is OrderStatus.NEW
    assert hedged.refused(hedged.limit, BUY, "0.001", "59000", position_side=SHORT) == -2022


def test_an_order_that_opens_reserves_beside_the_other_position(hedged):
    risk = hedged.exchange.asset_margin("maker", "USDT")
    assert risk.position_margin_e8 == (600 + 300) * E8
    venue = hedged
    # One-way, a sell beside a long position would need nothing: here it opens a short one.
    assert venue.refused(venue.limit, SELL, "0.200", "61000", position_side=SHORT) == -2019
    venue.limit(SELL, "0.020", "61000", position_side=SHORT)
    assert venue.exchange.asset_margin("maker", "USDT").order_margin_e8 == 61 * E8


def test_client_ids_and_the_number_of_orders_are_counted_over_both(hedged):
    hedged.limit(SELL, "0.010", "61000", position_side=LONG, client_order_id="px-1")
    assert hedged.refused(hedged.limit, BUY, "0.010", "59000", position_side=SHORT, client_order_id="px-1") == -4116


def test_funding_is_paid_by_one_and_received_by_the_other(hedged):
    hedged.exchange.advance(hedged.listing.next_funding_ms)
    rows = hedged.exchange.income("maker", kind=IncomeType.FUNDING_FEE)
    assert [row.amount_e8 for row in rows] == [-120_000_000, 60_000_000]
    assert hedged.listing.background.funding_e8 == 60_000_000


@pytest.mark.parametrize(
    ("mark", "left", "closed"),
    [
        pytest.param("50500", (0, -100, 0), [(LONG, SELL)], id="the larger is enough"),
        pytest.param("50000", (0, 0, 0), [(LONG, SELL), (SHORT, BUY)], id="the larger is not enough"),
    ],
)
def test_a_liquidation_closes_what_asks_for_most_and_then_the_other(hedged, mark, left, closed):
    hedged.heard()
    ticks = int(mark) * 10
    hedged.depth(bids=[(600_000, 0), (ticks, 100_000)], asks=[(600_001, 0), (ticks + 1, 100_000)])
    hedged.mark(mark)
    assert sizes(hedged) == left
    forced = [event.order for event in hedged.heard(OrderForced)]
    assert [(order.position_side, order.side) for order in forced] == closed
    assert all(order.client_order_id.startswith("autoclose-") for order in forced)
    assert hedged.exchange.asset_margin("maker", "USDT").margin_balance_e8 >= 0


def test_a_margin_call_names_both(hedged):
    price_e8 = hedged.exchange.liquidation_price_e8("maker", "BTCUSDT")
    hedged.mark(str((price_e8 + 10 * E8) / E8))
    (call,) = hedged.heard(MarginCalled)
    assert [(state.side, state.qty_steps) for state, _, _ in call.positions] == [(LONG, 200), (SHORT, -100)]


def test_at_the_liquidation_price_the_margin_balance_meets_maintenance(hedged):
    hedged.listing.mark_e8 = hedged.exchange.liquidation_price_e8("maker", "BTCUSDT")
    margin = hedged.exchange.asset_margin("maker", "USDT")
    assert 0 < hedged.listing.mark_e8 < 60_000 * E8
    assert abs(margin.margin_balance_e8 - margin.maintenance_e8) <= 3


def test_the_mode_changes_only_without_positions_and_orders(hedged):
    assert hedged.refused(hedged.exchange.set_position_mode, "maker", False) == -4068
    order = hedged.limit(BUY, "0.002", "59000", position_side=LONG)
    assert hedged.refused(hedged.exchange.set_position_mode, "maker", False) == -4067
    hedged.cancel(order)
    hedged.market(SELL, "0.200", position_side=LONG)
    hedged.market(BUY, "0.100", position_side=SHORT)
    hedged.exchange.set_position_mode("maker", False)
    hedged.market(SELL, "0.010")
    assert sizes(hedged) == (0, 0, -10)


def test_an_amendment_stays_with_its_position(hedged):
    order = hedged.limit(SELL, "0.100", "61000", position_side=LONG)
    assert hedged.refused(hedged.amend, order, "0.201", "61000") == -2022
    hedged.amend(order, "0.200", "60500")
    hedged.background_buys(200_000)
    assert sizes(hedged) == (0, -100, 0)
    assert hedged.query(order).status is OrderStatus.FILLED


def test_the_audit_sees_how_far_both_can_go(hedged):
    hedged.limit(SELL, "0.200", "61000", position_side=LONG)
    hedged.limit(BUY, "0.100", "59000", position_side=SHORT)
    hedged.limit(BUY, "0.010", "59000", position_side=LONG)
    worst = worst_case(hedged.holding())
    assert (worst.held_steps, worst.long_steps, worst.short_steps) == (100, 100 + 100 + 10, 100 - 200)


def test_a_change_of_margin_type_tells_both(venue):
    venue.exchange.set_position_mode("maker", True)
    venue.heard()
    venue.exchange.set_margin_type("maker", "BTCUSDT", True, venue.now)
    (event,) = venue.heard(AccountUpdated)
    assert [(state.side, state.isolated_e8) for state in event.positions] == [(LONG, 0), (SHORT, 0)]
