"""The worst case against the definition: every order of one side filled, in the worst sequence, none of the other."""

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phoenix_simulator.audit.exposure import worst_case
from phoenix_simulator.exchange.accounts import Holding
from phoenix_simulator.exchange.orders import Order, OrderType, PriceMatch, Side, StpMode, TimeInForce
from phoenix_simulator.exchange.symbols import BUILT_IN


def holding_with(position, orders):
    """`orders` are (side, steps, reduce-only)."""
    holding = Holding(BUILT_IN["BTCUSDT"])
    holding.position.steps = position
    for number, (side, steps, reduce_only) in enumerate(orders, start=1):
        order = Order(
            order_id=number,
            account_id="a",
            symbol="BTCUSDT",
            client_order_id=str(number),
            side=side,
            type=OrderType.LIMIT,
            time_in_force=TimeInForce.GTX,
            price_ticks=600_000,
            orig_steps=steps,
            reduce_only=reduce_only,
            stp_mode=StpMode.EXPIRE_MAKER,
            price_match=PriceMatch.NONE,
            good_till_ms=0,
            created_ms=0,
            updated_ms=0,
        )
        holding.admit(order)
    return holding


def furthest(position, orders, side):
    """By trying every sequence; a reduce-only order takes the position to flat at most."""
    own = [(steps, reduce_only) for order_side, steps, reduce_only in orders if order_side is side]
    reached = []
    for sequence in permutations(own):
        now = position
        for steps, reduce_only in sequence:
            opposite = max(0, -now * side.sign)
            now += side.sign * (min(steps, opposite) if reduce_only else steps)
            reached.append(now)
    return max([position, *reached]) if side is Side.BUY else min([position, *reached])


@settings(deadline=None)
@given(
    st.integers(-50, 50),
    st.lists(st.tuples(st.sampled_from(Side), st.integers(1, 40), st.booleans()), max_size=6),
)
def test_the_worst_case_is_the_worst_of_all_sequences_of_fills(position, orders):
    worst = worst_case(holding_with(position, orders))
    assert worst.held_steps == position
    assert worst.long_steps == furthest(position, orders, Side.BUY)
    assert worst.short_steps == furthest(position, orders, Side.SELL)


@pytest.mark.parametrize(
    ("position", "orders", "long_steps", "short_steps"),
    [
        pytest.param(0, [], 0, 0, id="nothing"),
        pytest.param(10, [(Side.SELL, 10, False)], 10, 0, id="an order that only reduces"),
        pytest.param(10, [(Side.SELL, 30, False)], 10, -20, id="one that reduces and then opens"),
        pytest.param(10, [(Side.SELL, 30, True)], 10, 0, id="reduce-only ends at flat"),
        pytest.param(
            -10, [(Side.BUY, 10, True), (Side.BUY, 5, False)], 5, -10, id="reduce-only first, then an opening"
        ),
    ],
)
def test_the_worst_case_of_some_books(position, orders, long_steps, short_steps):
    worst = worst_case(holding_with(position, orders))
    assert (worst.long_steps, worst.short_steps) == (long_steps, short_steps)
