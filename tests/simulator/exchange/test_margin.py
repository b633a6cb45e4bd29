from decimal import Decimal

import pytest
from phoenix_simulator.exchange.events import LeverageChanged
from phoenix_simulator.exchange.orders import OrderStatus, Side
from phoenix_simulator.exchange.symbols import E8

BUY, SELL = Side.BUY, Side.SELL


@pytest.fixture
def poor(open_venue):
    """1000 USDT at the default leverage of 20: 20 000 of notional."""
    venue = open_venue()
    venue.account(usdt=1000)
    return venue


def margin(venue, account_id="maker"):
    return venue.exchange.asset_margin(account_id, "USDT")


class TestReservation:
    def test_an_order_reserves_its_notional_over_leverage(self, poor):
        poor.limit(BUY, "0.100", "60000")
        assert margin(poor).order_margin_e8 == 300 * E8
        assert margin(poor).available_e8 == 700 * E8

    def test_only_the_worse_side_is_reserved(self, poor):
        poor.limit(BUY, "0.100", "60000")
        poor.limit(SELL, "0.150", "61000")
        assert margin(poor).order_margin_e8 == Decimal("457.5") * E8

    def test_a_cancel_gives_it_back(self, poor):
        poor.cancel(poor.limit(BUY, "0.100", "60000"))
        assert margin(poor).available_e8 == 1000 * E8

    def test_beyond_the_margin_is_refused(self, poor):
        assert poor.refused(poor.limit, BUY, "0.334", "60000") == -2019
        assert poor.limit(BUY, "0.333", "60000").status is OrderStatus.NEW
        assert poor.refused(poor.limit, BUY, "0.001", "60000") == -2019

    def test_the_other_side_is_free_up_to_the_same_size(self, poor):
        poor.limit(BUY, "0.333", "60000")
        assert poor.limit(SELL, "0.330", "60500").status is OrderStatus.NEW

    def test_reducing_needs_no_margin(self, poor):
        poor.long("0.330")
        poor.mark("58000")
        assert poor.refused(poor.limit, BUY, "0.010", "59000") == -2019
        assert poor.limit(SELL, "0.330", "60500").status is OrderStatus.NEW
        assert poor.market(SELL, "0.100").status is OrderStatus.FILLED

    @pytest.mark.parametrize(("opened", "closed", "price"), [(BUY, SELL, "62000"), (SELL, BUY, "61000")])
    def test_orders_that_reduce_the_position_reserve_nothing_beside_it(self, poor, opened, closed, price):
        poor.market(opened, "0.100")
        poor.limit(closed, "0.150", price)
        assert margin(poor).order_margin_e8 == 0
        assert margin(poor).position_margin_e8 > 0

    def test_an_amendment_reserves_for_what_is_left_not_for_what_is_filled(self, poor):
        order = poor.limit(BUY, "0.300", "60000")
        poor.background_sells(1150)
        poor.amend(order, "0.300", "59990")
        poor.market(SELL, "0.150")
        assert poor.refused(poor.amend, order, "0.490", "59990") == -2019
        assert poor.amend(order, "0.450", "59990").leaves_steps == 300

    @pytest.mark.parametrize(
        ("side", "mark", "too_much", "enough"),
        [
            pytest.param(BUY, "60300", "0.332", "0.331", id="mark is dearer than the ask"),
            pytest.param(BUY, "58000", "0.334", "0.322", id="the ask is dearer than mark"),
            pytest.param(SELL, "60300", "0.332", "0.331", id="mark is dearer than the bid"),
            pytest.param(SELL, "58000", "0.334", "0.322", id="the bid is dearer than mark"),
        ],
    )
    def test_a_market_order_is_priced_at_the_worse_of_mark_and_touch(self, poor, side, mark, too_much, enough):
        poor.mark(mark)
        assert poor.refused(poor.market, side, too_much) == -2019
        assert poor.market(side, enough).status is OrderStatus.FILLED

    def test_unrealised_profit_can_be_traded_but_not_withdrawn(self, poor):
        poor.long("0.100")
        before = margin(poor)
        poor.mark("61000")
        after = margin(poor)
        assert after.unrealised_e8 - before.unrealised_e8 == 100 * E8
        assert after.free_e8 - before.free_e8 == 95 * E8
        assert after.max_withdraw_e8 < before.max_withdraw_e8

    def test_usdc_contracts_use_usdc(self, poor):
        assert poor.exchange.asset_margin("maker", "USDC").available_e8 == 0


class TestLeverage:
    def test_higher_leverage_reserves_less_and_admits_less(self, poor):
        poor.limit(BUY, "0.100", "60000")
        cap = poor.exchange.set_leverage("maker", "BTCUSDT", 100, poor.now)
        assert cap == 800_000 * E8
        assert margin(poor).order_margin_e8 == 60 * E8

    def test_a_change_is_told(self, poor):
        poor.heard()
        poor.exchange.set_leverage("maker", "BTCUSDT", 50, poor.now)
        (event,) = poor.heard(LeverageChanged)
        assert (event.symbol, event.leverage) == ("BTCUSDT", 50)

    @pytest.mark.parametrize("leverage", [0, -1, 126])
    def test_outside_the_table_is_refused(self, poor, leverage):
        assert poor.refused(poor.exchange.set_leverage, "maker", "BTCUSDT", leverage, poor.now) == -4028

    def test_a_position_beyond_the_bracket_is_refused(self, open_venue):
        venue = open_venue()
        venue.account(usdt=10_000_000)
        venue.exchange.set_leverage("maker", "BTCUSDT", 125, venue.now)
        assert venue.refused(venue.limit, BUY, "5.001", "60000") == -2027
        venue.limit(BUY, "5.000", "60000")
        assert venue.refused(venue.limit, BUY, "0.001", "60000") == -2027

    def test_leverage_that_the_open_size_does_not_admit_is_refused(self, open_venue):
        venue = open_venue()
        venue.account(usdt=10_000_000)
        venue.limit(BUY, "6.000", "60000")
        assert venue.refused(venue.exchange.set_leverage, "maker", "BTCUSDT", 125, venue.now) == -2027

    def test_lower_leverage_that_the_balance_does_not_carry_is_refused(self, poor):
        poor.limit(BUY, "0.200", "60000")
        assert poor.refused(poor.exchange.set_leverage, "maker", "BTCUSDT", 10, poor.now) == -2028
        assert poor.exchange.set_leverage("maker", "BTCUSDT", 12, poor.now) > 0


class TestRisk:
    def test_position_and_order_margin_are_told_apart(self, poor):
        poor.long("0.100")
        poor.limit(BUY, "0.050", "60000")
        risk = poor.exchange.position_risk("maker", "BTCUSDT")
        assert (risk.notional_e8, risk.position_margin_e8, risk.order_margin_e8) == (6000 * E8, 300 * E8, 150 * E8)
        assert risk.maintenance_e8 == 24 * E8

    def test_maintenance_follows_the_bracket(self, open_venue):
        venue = open_venue(asks=((600_001, 100_000),))
        venue.account(usdt=1_000_000)
        venue.long("10")
        assert venue.exchange.position_risk("maker", "BTCUSDT").maintenance_e8 == (600_000 * 5 // 1000 - 300) * E8

    @pytest.mark.parametrize("side", [BUY, SELL])
    @pytest.mark.parametrize(("usdt", "qty"), [(1000, "0.300"), (60_000, "18")], ids=["first bracket", "third bracket"])
    def test_at_the_liquidation_price_margin_balance_meets_maintenance(self, open_venue, side, usdt, qty):
        venue = open_venue(bids=((600_000, 100_000),), asks=((600_001, 100_000),))
        venue.account(usdt=usdt)
        venue.market(side, qty)
        price_e8 = venue.exchange.liquidation_price_e8("maker", "BTCUSDT")
        assert (0 < price_e8 < 60_000 * E8) == (side is BUY)
        venue.listing.mark_e8 = price_e8
        found = margin(venue)
        # A price of 8 decimals times the size cannot hit it closer than this.
        assert abs(found.margin_balance_e8 - found.maintenance_e8) <= float(qty) + 2

    def test_a_position_that_nothing_can_liquidate_has_no_such_price(self, venue):
        venue.long("0.010")
        assert venue.exchange.liquidation_price_e8("maker", "BTCUSDT") == 0
        assert venue.exchange.liquidation_price_e8("maker", "BTCUSDT") == 0


class TestModes:
    def test_no_change_is_said(self, venue):
        exchange = venue.exchange
        assert venue.refused(exchange.set_margin_type, "maker", "BTCUSDT", False, venue.now) == -4046
        assert venue.refused(exchange.set_position_mode, "maker", False) == -4059
        assert venue.refused(exchange.set_assets_mode, "maker", False, venue.now) == -4171

    def test_open_orders_block_a_change(self, venue):
        venue.limit(BUY, "0.010", "59000")
        exchange = venue.exchange
        assert venue.refused(exchange.set_margin_type, "maker", "BTCUSDT", True, venue.now) == -4047
        assert venue.refused(exchange.set_position_mode, "maker", True) == -4067
        assert venue.refused(exchange.set_assets_mode, "maker", True, venue.now) == -4170

    def test_a_position_blocks_a_change(self, venue):
        venue.long("0.010")
        exchange = venue.exchange
        assert venue.refused(exchange.set_margin_type, "maker", "BTCUSDT", True, venue.now) == -4048
        assert venue.refused(exchange.set_position_mode, "maker", True) == -4068
        assert venue.refused(exchange.set_assets_mode, "maker", True, venue.now) == -4170


def test_a_withdrawal_beyond_the_free_balance_is_refused(poor):
    poor.limit(BUY, "0.100", "60000")
    assert poor.refused(poor.exchange.transfer, "maker", "USDT", -701 * E8, poor.now) == -2019
    poor.exchange.transfer("maker", "USDT", -700 * E8, poor.now)
    assert margin(poor).available_e8 == 0
