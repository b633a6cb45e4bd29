"""The meter by hand: each sum of a fill or two, to the last 1e-8."""

import pytest
from phoenix_cli.rehearsal.figures import Meter
from phoenix_simulator.exchange.events import AccountUpdated, Balance, Fill, OrderUpdated, UpdateReason
from phoenix_simulator.exchange.orders import ExecutionType, Order, OrderType, PriceMatch, Side, StpMode, TimeInForce
from phoenix_simulator.exchange.symbols import BUILT_IN

SPEC = BUILT_IN["BTCUSDT"]
SECOND = 1_000_000_000
MONEY = 100_000_000
UNIT = SPEC.notional_unit_e8
"""Money of one step at one tick."""


def meter(net_max_steps=10):
    return Meter(SPEC, "maker", net_max_steps)


def order(side):
    return Order(
        order_id=1,
        account_id="maker",
        symbol="BTCUSDT",
        client_order_id="a",
        side=side,
        type=OrderType.LIMIT,
        time_in_force=TimeInForce.GTX,
        price_ticks=600_000,
        orig_steps=5,
        reduce_only=False,
        stp_mode=StpMode.NONE,
        price_match=PriceMatch.NONE,
        good_till_ms=0,
        created_ms=0,
        updated_ms=0,
    )


def filled(side=Side.BUY, price=600_000, steps=5, fee=700, *, maker=True, account="maker"):
    fill = Fill(1, 1, "BTCUSDT", 0, side, price, steps, SPEC.notional_e8(price, steps), fee, "USDT", 0, maker)
    return OrderUpdated(account, 0, ExecutionType.TRADE, order(side), 0, 0, fill)


def test_the_spread_captured_is_the_fill_against_the_mid_just_before_it():
    watched = meter()
    watched.see(0, 2 * 600_000 + 6)  # mid 600 003
    watched.on(filled(Side.BUY, 600_000, 5))
    assert watched.figures().spread == 3 * 5 * UNIT
    watched.see(0, 2 * 600_010)
    watched.on(filled(Side.SELL, 600_014, 2))
    assert watched.figures().spread == (3 * 5 + 4 * 2) * UNIT


def test_what_the_mid_does_to_the_position_afterwards_is_inventory():
    watched = meter()
    watched.see(0, 2 * 600_003)
    watched.on(filled(Side.BUY, 600_000, 5, fee=700))
    watched.see(SECOND, 2 * 599_993)
    figures = watched.figures()
    assert figures.pnl == -7 * 5 * UNIT - 700
    assert figures.inventory == -10 * 5 * UNIT
    assert figures.pnl == figures.spread - figures.fees + figures.funding + figures.inventory


def test_markouts_are_the_mid_that_stands_when_the_horizon_has_come():
    watched = meter()
    watched.see(0, 2 * 600_001)
    watched.on(filled(Side.SELL, 600_005, 2))
    watched.see(SECOND - 1, 2 * 600_050)  # not yet
    watched.see(SECOND + 1, 2 * 600_007)  # stood at one second
    watched.see(10 * SECOND, 2 * 600_002)
    figures = watched.figures()
    assert figures.markout == (-2 * 2 * UNIT, 3 * 2 * UNIT, 0)
    assert figures.markout_volume == (SPEC.notional_e8(600_005, 2),) * 2 + (0,)
    assert figures.markout_bps(2) is None


def test_an_order_that_takes_has_no_markout():
    watched = meter()
    watched.see(0, 2 * 600_001)
    watched.on(filled(maker=False))
    watched.see(100 * SECOND, 2 * 600_001)
    assert (watched.figures().fills, watched.figures().maker_fills) == (1, 0)
    assert watched.figures().markout_volume == (0, 0, 0)


def test_drawdown_is_the_largest_fall_from_the_highest_point_so_far():
    watched = meter()
    watched.see(0, 2 * 600_000)
    watched.on(filled(Side.BUY, 600_000, 1, fee=0))
    for mid in (600_010, 600_004, 600_012, 600_001, 600_020, 600_015):
        watched.see(0, 2 * mid)
        watched.sample("normal", two_sided=True)
    assert watched.figures().drawdown == 11 * UNIT


def test_inventory_is_a_share_of_the_limit_and_time_is_counted_at_each_guards_border():
    watched = meter(net_max_steps=10)
    watched.see(0, 2 * 600_000)
    watched.sample("normal", two_sided=True)
    watched.on(filled(Side.SELL, 600_000, 7))
    watched.sample("pin", two_sided=False)
    watched.on(filled(Side.SELL, 600_000, 3))
    watched.sample("flatten", two_sided=False)
    figures = watched.figures()
    assert figures.inventory_mean == pytest.approx(1.7 / 3)
    assert figures.inventory_variance == pytest.approx((0.0 + 0.49 + 1.0) / 3)
    assert figures.inventory_most == 1.0
    assert figures.beyond == (2, 1, 1, 1, 0)
    assert figures.modes == {"normal": 1, "pin": 1, "flatten": 1}
    assert (figures.seconds, figures.two_sided) == (3, 1)


def test_funding_is_what_the_exchange_books():
    watched = meter()
    watched.see(0, 2 * 600_000)
    balances = (Balance("USDT", 5 * MONEY, -1_234),)
    watched.on(AccountUpdated("maker", 0, UpdateReason.FUNDING_FEE, balances, (), "BTCUSDT"))
    watched.on(AccountUpdated("maker", 0, UpdateReason.DEPOSIT, balances, (), ""))
    assert watched.figures().funding == watched.figures().pnl == -1_234


def test_others_count_for_nothing():
    watched = meter()
    watched.see(0, 2 * 600_000)
    watched.on(filled(account="somebody else"))
    balances = (Balance("USDT", 5 * MONEY, -1_234),)
    watched.on(AccountUpdated("somebody else", 0, UpdateReason.FUNDING_FEE, balances, (), "BTCUSDT"))
    assert (watched.figures().fills, watched.figures().funding) == (0, 0)


def test_who_never_traded_has_no_figures_per_volume():
    assert meter().figures().per_volume_bps(5) is None
