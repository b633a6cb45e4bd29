"""The end of a contract: what a final status does to orders and positions."""

from decimal import Decimal

import pytest
from phoenix_simulator.exchange.algo_orders import AlgoRef, AlgoStatus, ConditionalType, NewAlgoOrder
from phoenix_simulator.exchange.conditional import ConditionalOrders
from phoenix_simulator.exchange.events import OrderUpdated
from phoenix_simulator.exchange.orders import ExecutionType, ExpiryReason, ForcedBy, OrderStatus, Side
from phoenix_simulator.exchange.symbols import E8, SymbolStatus

FINAL = [status for status in SymbolStatus if status.is_final]


@pytest.mark.parametrize("status", FINAL, ids=lambda status: status.value)
def test_orders_expire_and_positions_are_closed_at_mark(venue, status):
    venue.long("0.100")
    resting = venue.limit(Side.BUY, "0.010", "59000")
    venue.mark("61000")
    book = venue.public_book()
    venue.heard()
    venue.exchange.set_status(venue.symbol, status, venue.now)
    closed = venue.query(resting)
    assert (closed.status, closed.expiry_reason) == (OrderStatus.EXPIRED, ExpiryReason.DELISTING)
    assert venue.position().steps == 0
    forced = [event for event in venue.heard(OrderUpdated) if event.order.forced_by is ForcedBy.SETTLEMENT]
    assert [event.execution for event in forced] == [ExecutionType.NEW, ExecutionType.TRADE]
    assert forced[0].order.client_order_id == f"settlement_autoclose-{forced[0].order.order_id}"
    assert (forced[1].fill.price_ticks, forced[1].fill.realised_e8) == (610_000, 99_990_000_000 * E8 // 1_000_000_000)
    assert [level for level in book[1] if level not in venue.public_book()[1]] == []
    assert venue.listing.background.steps == 0


@pytest.mark.parametrize(
    "status", [each for each in SymbolStatus if each not in FINAL], ids=lambda status: status.value
)
def test_other_statuses_end_nothing(venue, status):
    venue.long("0.100")
    resting = venue.limit(Side.BUY, "0.010", "59000")
    venue.exchange.set_status(venue.symbol, status, venue.now)
    assert venue.query(resting).status is OrderStatus.NEW
    assert venue.position().steps == 100
    venue.cancel(resting)


def test_settlement_is_no_liquidation_in_the_list_of_forced_orders(venue):
    venue.long("0.100")
    venue.exchange.set_status(venue.symbol, SymbolStatus.SETTLING, venue.now)
    forced = {ForcedBy.LIQUIDATION, ForcedBy.ADL}
    assert venue.exchange.all_orders("maker", venue.symbol, venue.now, forced=forced) == []


def test_conditional_orders_expire_with_their_contract(venue):
    conditional = ConditionalOrders(venue.exchange)
    request = NewAlgoOrder(
        symbol=venue.symbol,
        side=Side.SELL,
        type=ConditionalType.STOP_MARKET,
        quantity=Decimal("0.010"),
        trigger_price=Decimal(59000),
    )
    algo = conditional.place("maker", request, venue.now)
    venue.exchange.set_status(venue.symbol, SymbolStatus.SETTLING, venue.now)
    assert conditional.open("maker") == []
    assert conditional.find("maker", AlgoRef(algo.algo_id)).status is AlgoStatus.EXPIRED
