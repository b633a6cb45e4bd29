"""Grids are exact: decimals become whole ticks and steps, or an error, and come back as plain text."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from phoenix_worker.core.instrument import MONEY, Grid, OffGridError
from samples import BTCUSDT, ETHUSDC, MAKER, changed

UNITS = ["0.10", "0.01", "0.5", "1", "10", "0.00000001", "0.005", "25"]


@pytest.mark.parametrize("unit", UNITS)
@given(units=st.integers(-(10**9), 10**9))
def test_text_and_count_are_inverse(unit, units):
    grid = Grid.of(Decimal(unit))
    text = grid.text(units)
    assert "E" not in text.upper()
    assert Decimal(text) == units * Decimal(unit)
    assert grid.count(text) == units


@pytest.mark.parametrize("unit", ["0", "-0.1", "NaN", "Infinity"])
def test_what_is_no_step_is_refused(unit):
    with pytest.raises(OffGridError, match="must be positive"):
        Grid.of(Decimal(unit))


@pytest.mark.parametrize(("unit", "value"), [("0.10", "60000.05"), ("0.5", "0.25"), ("10", "5")])
def test_what_lies_between_two_units_is_refused(unit, value):
    with pytest.raises(OffGridError, match="is not a multiple"):
        Grid.of(Decimal(unit)).count(value)


@pytest.mark.parametrize(("unit", "value", "units"), [("0.001", "0.2509", 250), ("0.5", "1.99", 3), ("1", "0.9", 0)])
def test_floor_never_exceeds_the_value(unit, value, units):
    assert Grid.of(Decimal(unit)).floor(Decimal(value)) == units


def test_units_as_floats():
    assert (BTCUSDT.tick, BTCUSDT.step, Grid(5, 2).unit) == (0.1, 0.001, 0.05)


def test_notional_is_exact():
    assert BTCUSDT.notional(600_001, 3) == 18_000_030_000
    assert BTCUSDT.notional(600_000, -5) == -300 * MONEY


@pytest.mark.parametrize(
    ("instrument", "price", "steps"),
    [
        (BTCUSDT, 600_000, 2),
        (BTCUSDT, 1_000_000, 1),
        (BTCUSDT, 1_000_001, 1),
        (BTCUSDT, 999_999, 2),
        (ETHUSDC, 250_000, 8),
    ],
)
def test_the_smallest_order_clears_quantity_and_notional(instrument, price, steps):
    assert instrument.min_steps_at(price) == steps
    assert instrument.notional(price, steps) >= instrument.min_notional


@pytest.mark.parametrize(
    ("net_max", "multiplier", "limit"),
    [(200, 1.15, 230), (100, 1.15, 115), (150, 1.1, 165), (7, 1.15, 8), (10, 1.0, 10)],
)
def test_the_worst_case_limit_is_whole_steps_rounded_down(net_max, multiplier, limit):
    assert changed(MAKER, net_max_steps=net_max, worst_case_multiplier=multiplier).worst_case_steps == limit
