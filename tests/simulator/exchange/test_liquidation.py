from decimal import Decimal

import pytest
from phoenix_simulator.exchange.accounts import IncomeType
from phoenix_simulator.exchange.events import AccountUpdated, MarginCalled, OrderForced, OrderUpdated, UpdateReason
from phoenix_simulator.exchange.orders import (
    ExecutionType,
    ExpiryReason,
    ForcedBy,
    NewOrder,
    OrderStatus,
    OrderType,
    Side,
)
from phoenix_simulator.exchange.settings import ExchangeSettings
from phoenix_simulator.exchange.symbols import BUILT_IN, E8
from phoenix_simulator.market.source import MarketKind, MarketStart, MarkUpdate


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


def test_the_fee_takes_nothing_that_another_position_has_lost(open_venue):
    venue = open_venue(bids=((569_000, 100_000),))
    venue.account(usdt=1400)
    venue.long("0.300")
    ether, now = BUILT_IN["ETHUSDT"], venue.now
    bids, asks = ((280_000, 100_000),), ((300_000, 100_000),)
    start = MarketStart(
        MarketKind.SYNTHETIC, bids, asks, 3000 * E8, 3000 * E8, 10_000, last_update_id=1, last_trade_id=1
    )
    venue.exchange.list_symbol(ether, start, now)
    order = NewOrder(symbol="ETHUSDT", side=Side.BUY, type=OrderType.MARKET, quantity=Decimal(2))
    venue.exchange.place("maker", order, now)
    venue.exchange.apply("ETHUSDT", MarkUpdate(0, 2800 * E8, 2800 * E8, 10_000), now)
    venue.mark("56850")  # 1400 are down to 43, of which the wallet still shows 443
    fees = [row.amount_e8 for row in venue.exchange.income("maker", kind=IncomeType.INSURANCE_CLEAR)]
    assert fees[0] < 0
    assert max(fees) < 3 * E8, "the fund pays the commission of closing the other, not back what it took too much of"
    assert venue.exchange.account("maker").wallet_e8("USDT") == 0


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


class TestBracketByBracket:
    @pytest.fixture
    def large(self, open_venue):
        """300 BTC long (18 million USDT, fourth bracket from 12 million on) at 25× with little to spare."""
        venue = open_venue(bids=((580_000, 10_000_000),), asks=((600_001, 10_000_000),))
        venue.account(usdt=800_000)
        venue.exchange.set_leverage("maker", "BTCUSDT", 25, venue.now)
        for _ in range(3):
            venue.long("100")
        venue.heard()
        return venue

    def test_what_is_left_falls_into_the_next_lower_bracket_and_may_live(self, large):
        large.mark("58050")
        (forced,) = large.heard(OrderForced)
        assert forced.order.client_order_id.startswith("autoclose-")
        # 206.718 BTC is the most that is worth 12 million at 58 050.
        assert (large.position().steps, forced.last_steps) == (206_718, 300_000 - 206_718)
        margin = large.exchange.asset_margin("maker", "USDT")
        assert margin.margin_balance_e8 > margin.maintenance_e8 > 0

    def test_it_goes_on_through_the_brackets_as_long_as_the_rest_is_not_carried(self, large):
        large.mark("57900")
        forced = large.heard(OrderForced)
        kept = [300_000]
        for event in forced:
            kept.append(kept[-1] - event.last_steps)
        caps = [row.notional_cap_e8 // E8 for row in reversed(large.spec.brackets[:5])][1:]
        assert len(forced) == 5
        assert [steps * 57_900 // 1000 // 10_000 * 10_000 for steps in kept[1:-1]] == [cap - 10_000 for cap in caps]
        assert kept[-1] == large.position().steps == 0


class TestTheFundCannotPay:
    @pytest.fixture
    def venue(self, open_venue):
        """0.300 BTC long on 1000 USDT; `short` and `shorter` stand on the other side, the second at higher leverage."""
        venue = open_venue(
            settings=ExchangeSettings(insurance_fund_e8=0), bids=((600_000, 10_000),), asks=((600_001, 10_000),)
        )
        venue.account(usdt=1000)
        venue.account("short")
        venue.account("shorter")
        venue.exchange.set_leverage("shorter", "BTCUSDT", 100, venue.now)
        venue.long("0.300")
        venue.market(Side.SELL, "0.400", "short")
        venue.market(Side.SELL, "0.200", "shorter")
        venue.depth(bids=[(600_000, 0), (550_000, 10_000)])
        venue.heard()
        return venue

    def test_others_are_deleveraged_at_the_price_of_bankruptcy_first_in_line_first(self, venue):
        venue.mark("56000")
        fills = {name: venue.exchange.fills(name, "BTCUSDT")[1:] for name in ("maker", "short", "shorter")}
        # 1000 − 9 of fees are lost at 56 725.0; with the fee for closing there at 56 725.x.
        (price,) = {fill.price_ticks for rows in fills.values() for fill in rows}
        assert 567_240 < price < 567_300
        assert [fill.qty_steps for fill in fills["shorter"]] == [200]
        assert [fill.qty_steps for fill in fills["short"]] == [100]
        assert (venue.position().steps, venue.position("short").steps, venue.position("shorter").steps) == (0, -300, 0)
        assert 0 <= venue.exchange.account("maker").wallet_e8("USDT") < E8
        assert venue.exchange.treasury.insurance_e8["USDT"] >= 0

    def test_their_orders_carry_the_name_of_it(self, venue):
        venue.mark("56000")
        updates = [event for event in venue.heard(OrderUpdated) if event.account_id == "short"]
        assert [(event.execution, event.order.client_order_id) for event in updates] == [
            (ExecutionType.NEW, "adl_autoclose"),
            (ExecutionType.CALCULATED, "adl_autoclose"),
        ]
        assert len(venue.exchange.all_orders("short", "BTCUSDT", venue.now, forced={ForcedBy.ADL})) == 1

    def test_what_the_book_takes_at_that_price_is_taken_first(self, venue):
        venue.depth(bids=[(570_000, 250)])
        venue.mark("56000")
        assert (venue.position("short").steps, venue.position("shorter").steps) == (-400, -150)

    def test_what_nobody_can_take_the_background_does(self, venue):
        venue.market(Side.BUY, "0.400", "short")
        venue.market(Side.BUY, "0.100", "shorter")
        venue.mark("56000")
        assert (venue.position().steps, venue.position("shorter").steps) == (0, 0)

    def test_a_fund_that_can_pay_spares_them(self, open_venue):
        venue = open_venue(
            settings=ExchangeSettings(insurance_fund_e8=10_000 * E8), bids=((600_000, 10_000),), asks=((600_001, 9999),)
        )
        venue.account(usdt=1000)
        venue.account("short")
        venue.long("0.300")
        venue.market(Side.SELL, "0.400", "short")
        venue.depth(bids=[(600_000, 0), (550_000, 10_000)])
        venue.mark("56000")
        assert (venue.position().steps, venue.position("short").steps) == (0, -400)
        assert venue.exchange.treasury.insurance_e8["USDT"] < 0
