import pytest
from phoenix_simulator.exchange.accounts import IncomeType
from phoenix_simulator.exchange.events import AccountUpdated, MarginCalled, OrderForced, OrderUpdated, UpdateReason
from phoenix_simulator.exchange.orders import ExecutionType, ExpiryReason, OrderStatus, Side
from phoenix_simulator.exchange.symbols import E8


@pytest.fixture
def leveraged(open_venue):
    """0.300 BTC long on 1000 USDT; liquidation a little below 57 000."""
    venue = open_venue(bids=((600_000, 1000), (565_000, 100_000)))
    venue.account(usdt=1000)
    venue.long("0.300")
    venue.heard()
    return venue


def test_a_margin_call_comes_once_at_four_fifths_and_again_after_recovery(leveraged):
    leveraged.mark("56960")
    (call,) = leveraged.heard(MarginCalled)
    assert call.asset == "USDT"
    (position, mark_e8, maintenance_e8), *_ = call.positions
    assert (position.qty_steps, mark_e8, maintenance_e8) == (300, 56_960 * E8, 68_352 * E8 // 1000)
    leveraged.mark("56950")
    assert not leveraged.heard(MarginCalled)
    leveraged.mark("60000")
    leveraged.mark("56960")
    assert len(leveraged.heard(MarginCalled)) == 1


def test_below_maintenance_orders_expire_and_the_position_is_closed_into_the_book(leveraged):
    resting = leveraged.limit(Side.SELL, "0.100", "61000")
    leveraged.depth(bids=[(600_000, 0)])
    leveraged.heard()
    leveraged.mark("56850")
    assert leveraged.query(resting).status is OrderStatus.EXPIRED
    assert leveraged.query(resting).expiry_reason is ExpiryReason.LIQUIDATION
    assert leveraged.position().steps == 0
    updates = [event for event in leveraged.events if isinstance(event, OrderUpdated)]
    fills = [event for event in updates if event.execution is ExecutionType.CALCULATED]
    assert fills[-1].order.client_order_id.startswith("autoclose-")
    assert fills[-1].order.status is OrderStatus.FILLED
    (forced,) = [event for event in leveraged.events if isinstance(event, OrderForced)]
    assert (forced.order.side, forced.last_steps) == (Side.SELL, 300)
    assert leveraged.public_book()[0] == ((565_000, 99_700),)


def test_the_liquidation_fee_goes_to_the_insurance_fund(open_venue):
    venue = open_venue(bids=((569_000, 100_000),))
    venue.account(usdt=1000)
    venue.long("0.300")
    venue.mark("56850")
    (fee,) = venue.exchange.income("maker", kind=IncomeType.INSURANCE_CLEAR)
    wallet = venue.exchange.account("maker").wallet_e8("USDT")
    assert fee.amount_e8 < 0 == wallet
    assert venue.exchange.treasury.insurance_e8["USDT"] == -fee.amount_e8


def test_a_bankrupt_account_ends_at_zero_and_the_fund_pays_what_is_missing(leveraged):
    leveraged.depth(bids=[(600_000, 0)])
    leveraged.mark("56000")
    assert leveraged.exchange.account("maker").wallet_e8("USDT") == 0
    (cover,) = leveraged.exchange.income("maker", kind=IncomeType.INSURANCE_CLEAR)
    assert (cover.symbol, -cover.amount_e8) == ("", leveraged.exchange.treasury.insurance_e8["USDT"])
    reasons = [event.reason for event in leveraged.heard(AccountUpdated)]
    assert reasons[-1] is UpdateReason.INSURANCE_CLEAR


def test_what_the_book_does_not_take_within_the_bound_is_taken_over_there(leveraged):
    leveraged.depth(bids=[(600_000, 0), (565_000, 100)])
    leveraged.mark("56500")
    fills = leveraged.exchange.fills("maker", "BTCUSDT")
    bound_ticks = 56_500 * 10 * 95 // 100
    assert [(fill.price_ticks, fill.qty_steps) for fill in fills[1:]] == [(565_000, 100), (bound_ticks, 200)]
    assert leveraged.position().steps == 0


def test_an_account_that_must_be_liquidated_may_not_add(leveraged):
    leveraged.listing.mark_e8 = 56_000 * E8
    assert leveraged.refused(leveraged.limit, Side.BUY, "0.010", "55000") == -2023


def test_others_are_not_touched(leveraged):
    leveraged.account("other")
    order = leveraged.limit(Side.BUY, "0.010", "56000", account_id="other")
    leveraged.depth(bids=[(600_000, 0)])
    leveraged.mark("56000")
    assert leveraged.query(order, "other").status is OrderStatus.NEW
