"""Multi-assets mode: all wallets stand behind all positions, at what the asset index says they count for."""

from decimal import Decimal

import pytest
from phoenix_simulator.exchange.accounts import IncomeType
from phoenix_simulator.exchange.events import AccountUpdated, MarginCalled, UpdateReason
from phoenix_simulator.exchange.orders import Side
from phoenix_simulator.exchange.symbols import E8

BUY, SELL = Side.BUY, Side.SELL


@pytest.fixture
def joint(open_venue):
    """An account without a dollar and with 0.1 BTC: 0.1 × 60 000 × 0.95 = 5700 dollars of margin."""
    venue = open_venue(bids=((600_000, 100_000),), asks=((600_001, 100_000),))
    venue.exchange.open_account("maker", {"BTC": E8 // 10}, venue.now)
    venue.exchange.set_assets_mode("maker", True, venue.now)
    venue.heard()
    return venue


def margin(venue):
    return venue.exchange.joint_margin("maker")


@pytest.mark.parametrize(
    ("asset", "amount", "dollars"),
    [
        pytest.param("USDT", "1000", "999.9", id="dollars count almost whole"),
        pytest.param("USDT", "-1000", "-1000.1", id="and are owed a little dearer"),
        pytest.param("BTC", "0.1", "5700", id="a coin counts 95 %"),
        pytest.param("BTC", "-0.1", "-6300", id="and is owed at 105 %"),
        pytest.param("XYZ", "1000", "0", id="what is no collateral counts nothing"),
    ],
)
def test_what_an_amount_counts_for(venue, asset, amount, dollars):
    assert venue.exchange.prices.dollars_e8(asset, int(Decimal(amount) * E8)) == int(Decimal(dollars) * E8)


def test_the_index_of_a_traded_coin_follows_its_contract(venue):
    venue.mark("50000")
    index = venue.exchange.prices.index("BTC")
    assert (index.index_e8, index.bid_e8, index.ask_e8) == (50_000 * E8, 47_500 * E8, 52_500 * E8)
    assert (index.auto_exchange_bid_e8, index.auto_exchange_ask_e8) == (48_750 * E8, 51_250 * E8)


def test_a_coin_carries_orders_and_positions_in_dollars(joint):
    # 5700 dollars at 20×, whose need counts 1.0001: up to 113 988 USDT of notional.
    assert joint.refused(joint.limit, BUY, "1.900", "60000") == -2019
    joint.limit(BUY, "1.899", "60000")
    assert margin(joint).free_e8 == 5700 * E8 - 5_697 * E8 * 10_001 // 10_000


def test_in_single_asset_mode_it_carries_nothing(open_venue):
    venue = open_venue()
    venue.exchange.open_account("maker", {"BTC": E8}, venue.now)
    assert venue.refused(venue.limit, BUY, "0.001", "60000") == -2019


def test_a_loss_makes_the_wallet_negative_and_only_the_rest_can_be_withdrawn(joint):
    joint.long("1.000")
    joint.mark("59000")
    joint.market(SELL, "1.000")
    owed_e8 = joint.exchange.account("maker").wallet_e8("USDT")
    assert owed_e8 < 0
    left_e8 = 0.1 * 59_000 * 0.95 + owed_e8 / E8 * 1.0001
    assert margin(joint).margin_balance_e8 == pytest.approx(left_e8 * E8)
    most_e8 = margin(joint).max_withdraw_e8 * E8 // (59_000 * 95 * E8 // 100)
    assert joint.refused(joint.exchange.transfer, "maker", "BTC", -most_e8 - 1, joint.now) == -2019
    joint.exchange.transfer("maker", "BTC", -most_e8, joint.now)
    assert 0 <= margin(joint).margin_balance_e8 < E8
    assert joint.refused(joint.exchange.set_assets_mode, "maker", False, joint.now) == -4172


def test_isolated_margin_is_not_for_this_mode(joint):
    assert joint.refused(joint.exchange.set_margin_type, "maker", "BTCUSDT", True, joint.now) == -4168


def test_the_liquidation_price_is_where_the_dollars_of_everything_meet_maintenance(joint):
    """The collateral keeps its price in that reckoning, so the index is held still here."""
    joint.long("1.800")
    price_e8 = joint.exchange.liquidation_price_e8("maker", "BTCUSDT")
    joint.listing.mark_e8 = price_e8
    assert margin(joint).margin_balance_e8 == pytest.approx(margin(joint).maintenance_e8, rel=1e-3)
    assert not margin(joint).must_liquidate or margin(joint).margin_balance_e8 <= margin(joint).maintenance_e8


def test_a_margin_call_and_then_liquidation_judge_the_whole(joint):
    joint.long("1.800")
    joint.depth(bids=[(600_000, 0), (571_000, 100_000), (500_000, 100_000)])
    joint.heard()
    joint.mark("57250")
    (call,) = joint.heard(MarginCalled)
    assert call.asset == "USD"
    joint.mark("57100")
    account = joint.exchange.account("maker")
    assert joint.position().steps == 0
    assert (account.wallet_e8("BTC"), account.wallet_e8("USDT") < 0) == (E8 // 10, True)
    assert margin(joint).margin_balance_e8 >= 0


def test_the_fund_takes_the_collateral_and_pays_the_debts_of_who_is_bankrupt(joint):
    joint.long("1.800")
    joint.depth(bids=[(600_000, 0), (500_000, 100_000)])
    joint.mark("50000")
    account = joint.exchange.account("maker")
    assert set(account.wallets_e8.values()) == {0}
    treasury = joint.exchange.treasury
    assert (treasury.insurance_e8["BTC"], treasury.insurance_e8["USDT"] < 0) == (E8 // 10, True)


def test_a_debt_beyond_the_allowance_is_exchanged_for_collateral(open_venue):
    venue = open_venue(bids=((600_000, 100_000), (580_000, 100_000)), asks=((600_001, 100_000),))
    venue.exchange.open_account("maker", {"BTC": 2 * E8, "BNB": E8}, venue.now)
    venue.exchange.set_assets_mode("maker", True, venue.now)
    venue.long("6.000")
    venue.depth(bids=[(600_000, 0)], asks=[(600_001, 0)])
    venue.mark("58000")
    venue.market(SELL, "6.000")
    account = venue.exchange.account("maker")
    owed_e8 = -account.wallet_e8("USDT")
    assert owed_e8 > 10_000 * E8
    venue.heard()
    venue.mark("58000")
    # What is owed costs 1.0001, a coin counts 97.5 %; bitcoin comes before BNB.
    sold_e8 = -(-owed_e8 * 100_010_000 // (58_000 * 975 * E8 // 1000))
    assert (account.wallet_e8("USDT"), account.wallet_e8("BTC")) == (0, 2 * E8 - sold_e8)
    (update,) = venue.heard(AccountUpdated)
    assert update.reason is UpdateReason.AUTO_EXCHANGE
    assert {row.asset: row.change_e8 for row in update.balances} == {"USDT": owed_e8, "BTC": -sold_e8}
    rows = venue.exchange.income("maker", kind=IncomeType.AUTO_EXCHANGE)
    assert {row.asset: row.amount_e8 for row in rows} == {"USDT": owed_e8, "BTC": -sold_e8}


def test_a_debt_within_the_allowance_stays(joint):
    joint.long("1.000")
    joint.market(SELL, "1.000")
    joint.mark("60000")
    assert -100 * E8 < joint.exchange.account("maker").wallet_e8("USDT") < 0


class TestFeesInBnb:
    @pytest.fixture
    def burning(self, open_venue):
        venue = open_venue(asks=((600_001, 100_000),), bids=((600_000, 100_000),))
        venue.exchange.open_account("maker", {"USDT": 10_000 * E8, "BNB": E8 // 1000}, venue.now)
        venue.exchange.set_fee_burn("maker", True)
        return venue

    def test_they_are_ten_percent_lower_at_the_index(self, burning):
        burning.long("0.010")
        (fill,) = burning.exchange.fills("maker", "BTCUSDT")
        # 600.001 × 0.05 % × 0.9 / 600
        assert (fill.commission_asset, fill.commission_e8) == ("BNB", 45_000)
        assert burning.exchange.account("maker").wallet_e8("BNB") == E8 // 1000 - 45_000
        assert burning.exchange.treasury.fees_e8["BNB"] == 45_000

    def test_the_account_update_of_the_fill_carries_both_balances(self, burning):
        burning.long("0.010")
        (update,) = (event for event in burning.heard(AccountUpdated) if event.reason is UpdateReason.ORDER)
        assert {row.asset: row.change_e8 for row in update.balances} == {"USDT": 0, "BNB": 0}

    def test_without_enough_bnb_they_are_paid_as_ever(self, burning):
        burning.long("0.100")
        (fill,) = burning.exchange.fills("maker", "BTCUSDT")
        assert (fill.commission_asset, fill.commission_e8) == ("USDT", 600_001 * E8 // 100 * 5 // 10_000)
