from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from phoenix_simulator.exchange.positions import Position
from phoenix_simulator.exchange.symbols import BUILT_IN, E8

SPEC = BUILT_IN["BTCUSDT"]
TAKER_E8 = 40_000


def traded(*fills, rate_e8=0):
    """A position after fills of (signed steps, price in ticks), and what each realised."""
    position = Position(SPEC)
    return position, [position.trade(steps, ticks, rate_e8) for steps, ticks in fills]


@pytest.mark.parametrize(
    ("fills", "steps", "entry", "realised"),
    [
        ([(10, 600_000)], 10, "60000", 0),
        ([(10, 600_000), (30, 600_040)], 40, "60003", 0),
        ([(10, 600_000), (-4, 610_000)], 6, "60000", 4 * 1000),
        ([(10, 600_000), (-10, 610_000)], 0, "0", 10 * 1000),
        ([(10, 600_000), (-15, 610_000)], -5, "61000", 10 * 1000),
        ([(-10, 600_000), (4, 610_000)], -6, "60000", -4 * 1000),
        ([(-10, 600_000), (15, 590_000)], 5, "59000", 10 * 1000),
    ],
    ids=["open", "increase averages", "reduce keeps entry", "close", "flip reopens", "short reduces", "short flips"],
)
def test_entry_and_realised(fills, steps, entry, realised):
    """Realised in thousandths of a quote unit: a step is 0.001 BTC."""
    position, gains = traded(*fills)
    assert position.steps == steps
    assert position.entry_price == Decimal(entry)
    assert sum(gains) == position.realised_e8 == realised * E8 // 1000


@pytest.mark.parametrize(
    ("fill", "break_even"),
    [((1, 830_081), "83041.30324"), ((-1, 600_000), "59976")],
    ids=["long pays on top", "short pays from below"],
)
def test_break_even_is_entry_with_the_opening_fee(fill, break_even):
    """83008.1 × 1.0004 = 83041.30324, as captured on the venue."""
    position, _ = traded(fill, rate_e8=TAKER_E8)
    assert position.break_even_price == Decimal(break_even)


def test_break_even_mixes_the_rates_of_its_fills_and_survives_reductions():
    position = Position(SPEC)
    position.trade(10, 600_000, 20_000)
    position.trade(10, 600_000, 40_000)
    assert position.break_even_price == Decimal(60_018)
    position.trade(-5, 610_000, 40_000)
    assert position.break_even_price == Decimal(60_018)


def test_an_increase_after_a_reduction_weighs_only_the_fees_of_what_is_still_open():
    position = Position(SPEC)
    position.trade(10, 600_000, 40_000)
    position.trade(-5, 610_000, 40_000)
    position.trade(5, 600_000, 20_000)
    assert position.break_even_price == Decimal(60_018)


def test_a_flat_position_has_no_prices():
    position, _ = traded((10, 600_000), (-10, 610_000), rate_e8=TAKER_E8)
    assert position.entry_price == position.break_even_price == 0
    assert position.cost_e8 == position.entry_fee_e16 == position.unrealised_e8(61_000 * E8) == 0


def test_unrealised_is_size_times_mark_less_entry():
    position, _ = traded((-10, 600_000))
    assert position.unrealised_e8(60_100 * E8) == -1 * E8
    assert position.notional_e8(60_100 * E8) == -601 * E8


fills_strategy = st.lists(
    st.tuples(st.integers(-50, 50).filter(bool), st.integers(500_000, 700_000)), min_size=1, max_size=60
)


@given(fills_strategy)
def test_cash_is_realised_plus_what_is_open_to_the_last_digit(fills):
    position, gains = traded(*fills)
    cash_e8 = -sum(SPEC.notional_e8(ticks, steps) for steps, ticks in fills)
    open_cost_e8 = position.cost_e8 if position.steps > 0 else -position.cost_e8
    assert sum(gains) == cash_e8 + open_cost_e8
    assert position.steps == sum(steps for steps, _ in fills)


@given(fills_strategy)
def test_a_naive_model_in_fractions_agrees(fills):
    position = Position(SPEC)
    size, entry, realised = 0, Fraction(0), Fraction(0)
    for steps, ticks in fills:
        position.trade(steps, ticks, 0)
        price = Fraction(ticks, 10)
        if size * steps >= 0:
            entry = (entry * abs(size) + price * abs(steps)) / (abs(size) + abs(steps))
        else:
            closing = min(abs(size), abs(steps))
            realised += (price - entry) * closing * (1 if size > 0 else -1) / 1000
            if abs(steps) > abs(size):
                entry = price
        size += steps
        entry = entry if size else Fraction(0)
        assert position.steps == size
        # A cost is rounded to 1e-8 once per reduction, and averaged into the entry of later increases.
        tolerance = Fraction(len(fills), E8)
        assert abs(Fraction(position.entry_price) - entry) * abs(size) / 1000 <= tolerance
        assert abs(Fraction(position.realised_e8, E8) - realised) <= tolerance
