"""Isolated margin: a position stands on what was set aside for it, and can lose that and no more."""

import pytest
from phoenix_simulator.exchange.accounts import IncomeType
from phoenix_simulator.exchange.events import AccountUpdated, MarginCalled, OrderForced, UpdateReason
from phoenix_simulator.exchange.orders import OrderStatus, PositionSide, Side
from phoenix_simulator.exchange.symbols import E8

BUY, SELL = Side.BUY, Side.SELL
BOTH = PositionSide.BOTH
SET_ASIDE_E8 = 600_001_000_00
"""0.200 bought at 60000.1, at the default leverage of 20."""


@pytest.fixture
def isolated(open_venue):
    """0.200 long on isolated margin in an account of 10 000 USDT."""
    venue = open_venue(bids=((600_000, 100_000),), asks=((600_001, 100_000),))
    venue.account(usdt=10_000)
    venue.exchange.set_margin_type("maker", "BTCUSDT", True, venue.now)
    venue.market(BUY, "0.200")
    return venue


def margin(venue):
    return venue.exchange.asset_margin("maker", "USDT")


def wallet(venue):
    return venue.exchange.account("maker").wallet_e8("USDT")


def move(venue, amount, side=BOTH):
    venue.exchange.move_margin("maker", "BTCUSDT", side, int(amount * E8), venue.now)


def test_a_position_sets_its_initial_margin_aside(isolated):
    assert isolated.position().margin_e8 == SET_ASIDE_E8
    assert margin(isolated).cross_wallet_e8 == wallet(isolated) - SET_ASIDE_E8
    assert margin(isolated).free_e8 == margin(isolated).cross_wallet_e8


def test_its_profit_and_loss_are_not_the_accounts(isolated):
    free = margin(isolated).free_e8
    for price in ("59000", "61000"):
        isolated.mark(price)
        assert margin(isolated).free_e8 == free
    assert margin(isolated).unrealised_e8 > 0


def test_a_reduction_gives_margin_back_in_proportion_and_a_close_all_of_it(isolated):
    isolated.market(SELL, "0.050")
    assert isolated.position().margin_e8 == SET_ASIDE_E8 * 3 // 4
    isolated.market(SELL, "0.150")
    assert isolated.position().margin_e8 == 0
    assert margin(isolated).cross_wallet_e8 == wallet(isolated)


def test_a_reversal_sets_aside_for_the_new_position_alone(isolated):
    isolated.market(SELL, "0.300")
    assert isolated.position().steps == -100
    assert isolated.position().margin_e8 == 60_000 * E8 // 10 // 20


def test_a_liquidation_takes_what_was_set_aside_and_leaves_the_rest(isolated):
    rest = wallet(isolated) - SET_ASIDE_E8
    other = isolated.limit(BUY, "0.010", "57500")
    isolated.depth(bids=[(600_000, 0), (560_000, 100_000)])
    isolated.heard()
    isolated.mark("57200")
    assert isolated.position().steps == 0
    (forced,) = [event.order for event in isolated.heard(OrderForced)]
    assert forced.client_order_id.startswith("autoclose-")
    assert isolated.query(other).status is OrderStatus.EXPIRED
    assert wallet(isolated) == rest
    cleared = [row.amount_e8 for row in isolated.exchange.income("maker", kind=IncomeType.INSURANCE_CLEAR)]
    assert cleared[-1] > 0, "the fund pays what went beyond it"


def test_a_liquidation_that_leaves_something_pays_its_fee_from_that(isolated):
    rest = wallet(isolated) - SET_ASIDE_E8
    isolated.depth(bids=[(600_000, 0), (572_500, 100_000)])
    isolated.mark("57200")
    (fee,) = isolated.exchange.income("maker", kind=IncomeType.INSURANCE_CLEAR)
    assert fee.amount_e8 < 0
    assert wallet(isolated) == rest


def test_at_the_liquidation_price_its_own_balance_meets_maintenance(isolated):
    price_e8 = isolated.exchange.liquidation_price_e8("maker", "BTCUSDT")
    isolated.listing.mark_e8 = price_e8
    risk = isolated.exchange.position_risk("maker", "BTCUSDT")
    assert 57_000 * E8 < price_e8 < 57_500 * E8
    assert abs(isolated.position().margin_e8 + risk.unrealised_e8 - risk.maintenance_e8) <= 3


def test_a_margin_call_is_the_positions_own(isolated):
    isolated.mark("57260")
    (call,) = isolated.heard(MarginCalled)
    assert call.cross_wallet_e8 is None
    assert [(state.qty_steps, state.isolated_e8) for state, _, _ in call.positions] == [(200, SET_ASIDE_E8)]
    isolated.mark("57255")
    assert not isolated.heard(MarginCalled)


def test_a_bankrupt_cross_account_leaves_isolated_positions_alone(open_venue):
    venue = open_venue(bids=((600_000, 100_000),), asks=((600_001, 100_000),))
    venue.account(usdt=700)
    venue.exchange.set_margin_type("maker", "BTCUSDT", True, venue.now)
    venue.market(BUY, "0.200")
    move(venue, 50)
    assert margin(venue).cross_wallet_e8 < 50 * E8
    venue.mark("57100")
    assert venue.position().steps == 200
    assert not margin(venue).must_liquidate


def test_funding_is_paid_from_what_was_set_aside(isolated):
    cross = margin(isolated).cross_wallet_e8
    isolated.heard()
    isolated.exchange.advance(isolated.listing.next_funding_ms)
    assert isolated.position().margin_e8 == SET_ASIDE_E8 - 120_000_000
    assert margin(isolated).cross_wallet_e8 == cross
    (event,) = isolated.heard(AccountUpdated)
    assert [state.isolated_e8 for state in event.positions] == [SET_ASIDE_E8 - 120_000_000]


class TestMovingMargin:
    def test_more_is_set_aside_and_given_back(self, isolated):
        before, price = wallet(isolated), isolated.exchange.liquidation_price_e8("maker", "BTCUSDT")
        isolated.heard()
        move(isolated, 100)
        (event,) = isolated.heard(AccountUpdated)
        assert (event.reason, event.balances[0].wallet_e8, event.balances[0].isolated_e8) == (
            UpdateReason.MARGIN_TRANSFER,
            before,
            SET_ASIDE_E8 + 100 * E8,
        )
        assert isolated.exchange.liquidation_price_e8("maker", "BTCUSDT") < price
        move(isolated, -99)
        assert (isolated.position().margin_e8, wallet(isolated)) == (SET_ASIDE_E8 + E8, before)

    def test_no_more_than_is_available_and_than_it_can_spare(self, isolated):
        isolated.mark("60000")
        assert isolated.refused(move, isolated, 9_500) == -4050
        assert isolated.refused(move, isolated, -1) == -4051
        move(isolated, 10)
        isolated.mark("61000")
        assert isolated.refused(move, isolated, -1) == -4051, "a higher mark asks for more margin"

    def test_only_for_an_isolated_position(self, isolated, open_venue):
        cross = open_venue()
        cross.account()
        cross.market(BUY, "0.010")
        assert cross.refused(move, cross, 1) == -4049
        assert isolated.refused(move, isolated, 1, PositionSide.LONG) == -4061
        isolated.market(SELL, "0.200")
        assert isolated.refused(move, isolated, 1) == -4054


def test_leverage_may_rise_and_not_fall_under_a_position(isolated):
    exchange = isolated.exchange
    assert isolated.refused(exchange.set_leverage, "maker", "BTCUSDT", 10, isolated.now) == -4161
    exchange.set_leverage("maker", "BTCUSDT", 40, isolated.now)
    isolated.market(BUY, "0.200")
    assert isolated.position().margin_e8 == SET_ASIDE_E8 * 3 // 2


def test_open_orders_are_reserved_from_what_is_not_set_aside(isolated):
    free = margin(isolated).free_e8
    order = isolated.limit(BUY, "0.100", "60000")
    assert free - margin(isolated).free_e8 == 300 * E8
    isolated.background_sells(100_100)
    assert isolated.query(order).status is OrderStatus.FILLED
    assert isolated.position().margin_e8 == SET_ASIDE_E8 + 300 * E8
    assert margin(isolated).order_margin_e8 == 0
    assert isolated.refused(isolated.limit, BUY, "4.000", "60000") == -2019


def test_in_hedge_mode_each_position_has_its_own(open_venue):
    venue = open_venue(bids=((600_000, 100_000),), asks=((600_001, 100_000),))
    venue.account(usdt=10_000)
    venue.exchange.set_position_mode("maker", True)
    venue.exchange.set_margin_type("maker", "BTCUSDT", True, venue.now)
    venue.market(BUY, "0.200", position_side=PositionSide.LONG)
    venue.market(SELL, "0.200", position_side=PositionSide.SHORT)
    venue.depth(bids=[(600_000, 0), (560_000, 100_000)])
    venue.mark("57200")
    holding = venue.holding()
    assert (holding.long.steps, holding.short.steps) == (0, -200)
    assert (holding.long.margin_e8, holding.short.margin_e8) == (0, 600 * E8)


def test_the_two_modes_exclude_each_other(venue):
    exchange = venue.exchange
    exchange.set_margin_type("maker", "BTCUSDT", True, venue.now)
    assert venue.refused(exchange.set_assets_mode, "maker", True, venue.now) == -4167
    exchange.set_margin_type("maker", "BTCUSDT", False, venue.now)
    exchange.set_assets_mode("maker", True, venue.now)
    assert venue.refused(exchange.set_margin_type, "maker", "BTCUSDT", True, venue.now) == -4168
