from decimal import Decimal
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phoenix_simulator.exchange.symbols import (
    BUILT_IN,
    E8,
    decimal_ratio,
    decimals_of,
    divide_towards_zero,
    format_e8,
    from_e8,
    to_e8,
)

BTCUSDT = BUILT_IN["BTCUSDT"]


@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT", "SOLUSDT", "BTCUSDC", "ETHUSDC", "SOLUSDC"])
class TestEveryBuiltInSymbol:
    def test_is_listed_under_its_name_with_its_margin_asset(self, symbol):
        spec = BUILT_IN[symbol]
        assert spec.symbol == symbol == spec.base_asset + spec.quote_asset
        assert spec.margin_asset == spec.quote_asset

    def test_has_bounds_on_its_own_grid(self, symbol):
        spec = BUILT_IN[symbol]
        assert spec.ticks_of(spec.price_to_decimal(spec.min_price_ticks)) == spec.min_price_ticks
        assert 0 < spec.min_price_ticks < spec.max_price_ticks
        assert 0 < spec.min_steps < spec.market_max_steps <= spec.max_steps

    def test_has_precisions_that_admit_every_tick_and_step(self, symbol):
        spec = BUILT_IN[symbol]
        assert decimals_of(spec.tick_size) <= spec.price_precision
        assert decimals_of(spec.step_size) <= spec.quantity_precision

    def test_has_maintenance_margin_that_is_continuous_across_brackets(self, symbol):
        spec = BUILT_IN[symbol]
        for lower, upper in pairwise(spec.brackets):
            assert lower.notional_cap_e8 == upper.notional_floor_e8
            assert lower.initial_leverage > upper.initial_leverage
            assert lower.maintenance_e8(lower.notional_cap_e8) == upper.maintenance_e8(upper.notional_floor_e8)

    def test_never_asks_for_more_maintenance_than_initial_margin(self, symbol):
        for row in BUILT_IN[symbol].brackets:
            assert row.maintenance_ratio < Decimal(1) / row.initial_leverage


def test_known_figures_of_btcusdt_are_the_venues():
    assert BTCUSDT.tick_size == Decimal("0.1")
    assert BTCUSDT.min_notional_e8 == 50 * E8
    assert (BTCUSDT.maker_rate_e8, BTCUSDT.taker_rate_e8) == (20_000, 50_000)
    assert [row.cumulative_e8 // E8 for row in BTCUSDT.brackets[:5]] == [0, 300, 1500, 12_000, 132_000]


@pytest.mark.parametrize(
    ("price", "ticks"),
    [("60000", 600_000), ("60000.10", 600_001), ("0.1", 1), ("60000.05", None), ("0.000000001", None)],
)
def test_a_price_is_whole_ticks_or_not_on_the_grid(price, ticks):
    assert BTCUSDT.ticks_of(Decimal(price)) == ticks


@given(ticks=st.integers(0, 10**9), steps=st.integers(0, 10**9))
def test_ticks_and_steps_survive_the_way_to_the_wire_and_back(ticks, steps):
    assert BTCUSDT.ticks_of(Decimal(BTCUSDT.format_price(ticks))) == ticks
    assert BTCUSDT.steps_of(Decimal(BTCUSDT.format_quantity(steps))) == steps


@given(ticks=st.integers(1, 10**8), steps=st.integers(-(10**7), 10**7), symbol=st.sampled_from(sorted(BUILT_IN)))
def test_notional_is_exactly_price_times_quantity(ticks, steps, symbol):
    spec = BUILT_IN[symbol]
    exact = spec.price_to_decimal(ticks) * spec.quantity_to_decimal(steps)
    assert from_e8(spec.notional_e8(ticks, steps)) == exact


@pytest.mark.parametrize(
    ("value_e8", "decimals", "text"),
    [
        (2_500_000_000_00, 2, "2500.00"),
        (4_000_000, 3, "0.040"),
        (-115_829, 8, "-0.00115829"),
        (123_456_789, 0, "1"),
        (199_999_999, 2, "1.99"),
    ],
)
def test_format_pads_to_the_decimals_and_cuts_below_them(value_e8, decimals, text):
    assert format_e8(value_e8, decimals) == text


@pytest.mark.parametrize(
    ("text", "decimals"),
    [
        ("1", 0),
        ("0.0400", 2),
        ("100", 0),
        ("1E+2", 0),
        ("1e-05", 5),
        ("0", 0),
        ("0.000", 0),
        ("0.0100000000000000000000000000000001", 34),
    ],
)
def test_trailing_zeros_are_no_decimals(text, decimals):
    assert decimals_of(Decimal(text)) == decimals


def test_money_finer_than_a_hundred_millionth_is_refused():
    with pytest.raises(ValueError, match="finer than 1e-8"):
        to_e8(Decimal("0.000000001"))


@given(st.integers(-(10**20), 10**20), st.integers(1, 10**10))
def test_division_towards_zero_cuts_the_magnitude(numerator, denominator):
    assert divide_towards_zero(-numerator, denominator) == -divide_towards_zero(numerator, denominator)
    assert 0 <= abs(numerator) - abs(divide_towards_zero(numerator, denominator)) * denominator < denominator


def test_an_average_price_is_rounded_half_even_at_eleven_decimals():
    assert decimal_ratio(1, 3) == Decimal("0.33333333333")
    assert decimal_ratio(2, 3) == Decimal("0.66666666667")


def test_a_grid_finer_than_money_is_refused():
    with pytest.raises(ValueError, match="finer than 1e-8"):
        msgspec.structs.replace(BTCUSDT, tick_e8=1, step_e8=1)
