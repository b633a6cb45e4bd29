"""The result of a UTC day (trading 5: daily loss), by its formula:

q·mark − q₀·mark₀ − Σ signed fill notional + funding − fees.
"""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from phoenix_worker.core.day import DAY_MS, Day, start_of_day
from phoenix_worker.core.events import Fill, Side
from phoenix_worker.core.fees import in_quote
from phoenix_worker.core.instrument import MONEY
from samples import BTCUSDT, ETHUSDC

TODAY = 20_000 * DAY_MS
BUY, SELL = Side.BUY, Side.SELL


def fill(trade_id, side, qty, price=600_000, *, ms=1, fee=0, asset="USDT"):
    return Fill(trade_id, 1, side, price, qty, fee, asset, 0, True, TODAY + ms)


@pytest.mark.parametrize(
    ("ms", "start"),
    [(TODAY, TODAY), (TODAY - 1, TODAY - DAY_MS), (TODAY + DAY_MS - 1, TODAY), (TODAY + DAY_MS, TODAY + DAY_MS)],
    ids=["00:00 belongs to its day", "the last ms of yesterday", "the last ms", "the next day"],
)
def test_a_day_begins_at_midnight_utc(ms, start):
    assert start_of_day(ms) == start


@pytest.mark.parametrize(
    ("position", "fills", "mark", "funding", "fees", "result"),
    [
        pytest.param(10, [], 60_100.0, 0, 0, 1.0, id="5 long since yesterday, the mark rose"),
        pytest.param(-10, [], 60_100.0, 0, 0, -1.0, id="5 short since yesterday, the mark rose"),
        pytest.param(0, [], 61_000.0, 0, 0, 0.0, id="5 flat all day"),
        pytest.param(10, [(BUY, 10, 599_000)], 60_100.0, 0, 0, 2.0, id="5 bought today, marked to now"),
        pytest.param(0, [(SELL, 10, 601_000)], 59_000.0, 0, 0, 1.0, id="5 yesterday's position was closed"),
        pytest.param(
            0, [(BUY, 10, 600_000), (SELL, 10, 600_500)], 50_000.0, 0, 0, 0.5, id="5 a round trip, whatever the mark"
        ),
        pytest.param(-10, [(SELL, 20, 601_000)], 60_200.0, 0, 0, 0.0, id="5 turned round from long to short"),
        pytest.param(10, [], 60_000.0, -25_000_000, 0, -0.25, id="5 funding paid"),
        pytest.param(10, [], 60_000.0, 25_000_000, 0, 0.25, id="5 funding received"),
        pytest.param(0, [], 60_000.0, 0, 75_000_000, -0.75, id="5 fees"),
        pytest.param(0, [], 60_000.0, 0, -75_000_000, 0.75, id="5 rebates"),
    ],
)
def test_the_formula(position, fills, mark, funding, fees, result):
    day = Day(TODAY, open_mark=60_000.0)
    for number, (side, qty, price) in enumerate(fills, 1):
        day.on_fill(fill(number, side, qty, price), BTCUSDT)
    assert day.result(position, mark, funding, fees, BTCUSDT) == round(result * MONEY)


@pytest.mark.parametrize(
    ("trade_id", "ms", "counts"),
    [(101, 0, True), (101, -1, False), (100, 5, False), (7, 5, False), (101, DAY_MS - 1, True)],
    ids=["new, at 00:00", "of yesterday", "the last that was read", "among those that were read", "late in the day"],
)
def test_a_fill_counts_in_its_day_and_once(trade_id, ms, counts):
    day = Day(TODAY, read_to=100)
    day.on_fill(fill(trade_id, BUY, 5, ms=ms), BTCUSDT)
    assert day.steps == (5 if counts else 0)


@pytest.mark.parametrize(
    ("open_mark", "position", "traded", "valued"),
    [(60_000.0, 10, 0, True), (0.0, 10, 0, False), (0.0, 10, 10, True), (0.0, 0, 0, True), (0.0, 0, -10, False)],
    ids=["known", "held at 00:00, no mark", "opened today", "flat", "closed today, no mark"],
)
def test_the_mark_of_midnight_is_needed_only_where_something_was_held_then(open_mark, position, traded, valued):
    assert Day(TODAY, open_mark=open_mark, steps=traded).is_valued(position) is valued


@pytest.mark.parametrize(
    ("amounts", "rates", "total"),
    [
        ({}, {}, 0),
        ({"USDT": 70}, {}, 70),
        ({"USDT": -70}, {}, -70),
        ({"BNB": 10, "USDT": 1}, {"BNB": 600.0}, 6_001),
        ({"BNB": 10}, {}, None),
        ({"BNB": 10}, {"BNB": 0.0}, None),
        ({"BNB": 0}, {}, 0),
        ({"BNB": 3}, {"BNB": 0.5}, 2),
    ],
    ids=["none", "quote", "rebate", "another asset", "no price", "a price of 0", "nothing was paid", "rounded"],
)
def test_fees_in_another_asset_count_at_its_price_and_without_one_nothing_is_known(amounts, rates, total):
    assert in_quote(amounts, rates, "USDT") == total


FILLS = st.lists(
    st.tuples(
        st.sampled_from([BUY, SELL]),
        st.integers(1, 50),
        st.integers(250_000, 400_000),
        st.integers(-3_600_000, 3_600_000),
        st.integers(-500, 5_000),
    ),
    max_size=20,
)


@given(FILLS, st.integers(0, 20), st.integers(-100, 100), st.integers(250_000, 400_000), st.integers(250_000, 400_000))
def test_a_day_read_in_part_and_followed_from_there_is_the_sum_over_all_its_fills(rows, split, before, opened, now):
    """Against a plain model over exact fractions: fills of yesterday and today in any order, read up to any of them."""
    fills = [
        fill(number, side, qty, price, ms=ms, fee=fee, asset="USDC")
        for number, (side, qty, price, ms, fee) in enumerate(rows, 1)
    ]
    whole = Day(TODAY)
    for each in fills[:split]:
        whole.on_fill(each, ETHUSDC)
    day = Day(TODAY, read_to=split)
    for each in fills:  # those that were read are told again
        day.on_fill(each, ETHUSDC)
    day.add(opened * ETHUSDC.tick, whole.steps, whole.notional, whole.fees)

    tick, step = Fraction(1, 100), Fraction(1, 1000)
    of_day = [each for each in fills if each.time_ms >= TODAY]
    q0 = before + sum(each.side * each.qty_steps for each in fills if each.time_ms < TODAY)
    q = before + sum(each.side * each.qty_steps for each in fills)
    plain = (
        (q * now - q0 * opened - sum(each.side * each.qty_steps * each.price_ticks for each in of_day)) * tick * step
    )
    fees = sum(each.commission for each in of_day)
    assert day.opened_with(q) == q0
    assert in_quote(day.fees, {}, "USDC") == fees
    assert day.result(q, now * ETHUSDC.tick, 0, fees, ETHUSDC) == plain * MONEY - fees
