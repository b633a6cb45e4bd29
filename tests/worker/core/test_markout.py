"""Markouts at 1, 10 and 60 s (trading 9): mid against the fill's price, by side, weighted by notional."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from phoenix_worker.core.events import Fill, Side
from phoenix_worker.core.instrument import MONEY
from phoenix_worker.core.markout import HORIZONS_S, MOST_WAITING, Markouts
from samples import BTCUSDT, MS, SECOND

BUY, SELL = Side.BUY, Side.SELL


def fill(side=BUY, qty=5, price=600_000, *, maker=True):
    return Fill(1, 1, side, price, qty, 0, "USDT", 0, maker, 0)


def measured(markouts, side=BUY):
    return [markout.volume > 0 for markout in markouts.sums[side]]


@pytest.mark.parametrize(
    ("side", "mid_ticks", "bps"),
    [(BUY, 600_060, 1.0), (BUY, 599_940, -1.0), (SELL, 600_060, -1.0), (SELL, 599_940, 1.0), (BUY, 600_000, 0.0)],
    ids=["bought before it rose", "bought before it fell", "sold before it rose", "sold before it fell", "nothing"],
)
def test_the_sign_is_ours(side, mid_ticks, bps):
    markouts = Markouts()
    markouts.on_fill(fill(side), 0)
    markouts.on_time(1 * SECOND, 2 * mid_ticks, BTCUSDT)
    assert markouts.sums[side][0].bps == pytest.approx(bps)
    assert markouts.sums[-side][0].bps is None


@pytest.mark.parametrize(
    ("after_s", "known"),
    [
        ([0.99], [False, False, False]),
        ([1.0], [True, False, False]),
        ([1.0, 10.0], [True, True, False]),
        ([1.0, 10.0, 60.0], [True, True, True]),
    ],
    ids=["not yet", "1 s", "10 s", "60 s"],
)
def test_each_horizon_is_measured_when_it_comes(after_s, known):
    markouts = Markouts()
    markouts.on_fill(fill(), 0)
    for seconds in after_s:
        markouts.on_time(int(seconds * SECOND), 1_200_000, BTCUSDT)
    assert measured(markouts) == known
    assert bool(markouts.waiting) is not all(known)


def test_a_fill_in_pieces_counts_as_one():
    whole, pieces = Markouts(), Markouts()
    whole.on_fill(fill(qty=10), 0)
    for qty in (1, 2, 7):
        pieces.on_fill(fill(qty=qty), 0)
    for markouts in (whole, pieces):
        markouts.on_time(1 * SECOND, 1_200_100, BTCUSDT)
    assert whole.sums == pieces.sums
    assert whole.sums[BUY][0].gained == 10 * 5 * MONEY // 1_000, "0.010 BTC that is worth 5 more"


def test_what_took_is_no_judgement_of_the_quotes():
    markouts = Markouts()
    markouts.on_fill(fill(maker=False), 0)
    assert not markouts.waiting


@pytest.mark.parametrize(
    ("at_ms", "mid_half_ticks"),
    [(1_000, 0), (2_001, 1_200_000)],
    ids=["the book is broken", "another moment's mid"],
)
def test_what_cannot_be_measured_is_counted_and_not_guessed(at_ms, mid_half_ticks):
    markouts = Markouts()
    markouts.on_fill(fill(), 0)
    markouts.on_time(at_ms * MS, mid_half_ticks, BTCUSDT)
    assert (measured(markouts), markouts.unmeasured) == ([False] * 3, 1)


def test_memory_is_bounded_and_what_is_left_out_is_counted():
    markouts = Markouts()
    for _ in range(MOST_WAITING + 3):
        markouts.on_fill(fill(), 0)
    assert len(markouts.waiting) == MOST_WAITING
    assert markouts.unmeasured == 3 * len(HORIZONS_S)
    markouts.on_time(1 * SECOND, 1_200_000, BTCUSDT)
    assert markouts.sums[BUY][0].volume == MOST_WAITING * BTCUSDT.notional(600_000, 5)


@given(
    st.lists(
        st.tuples(st.integers(0, 400), st.sampled_from(Side), st.integers(1, 9), st.integers(599_900, 600_100)),
        max_size=30,
    ),
    st.integers(599_000, 601_000),
)
def test_every_fill_is_measured_once_at_each_horizon_or_counted(rows, start):
    """Ticks of 50 ms in a market that walks: each fill's own sum, as a plain loop finds it."""
    markouts, fills = Markouts(), sorted(rows)
    mids = [2 * start + (7 * i) % 41 for i in range(400 + 60 * 20 + 2)]
    pending = list(fills)
    for number, mid in enumerate(mids):
        while pending and pending[0][0] <= number:
            at, side, qty, price = pending.pop(0)
            markouts.on_fill(fill(side, qty, price), at * 50 * MS)
        markouts.on_time(number * 50 * MS, mid, BTCUSDT)
    assert (markouts.waiting, markouts.unmeasured) == ({}, 0)
    for index, horizon in enumerate(HORIZONS_S):
        for side in Side:
            mine = [(s * (mids[at + 20 * horizon] - 2 * price), qty) for at, s, qty, price in fills if s is side]
            worth = [(1 if moved > 0 else -1) * (BTCUSDT.notional(abs(moved), qty) // 2) for moved, qty in mine]
            sums = markouts.sums[side][index]
            assert sums.gained - sums.lost == sum(worth)
