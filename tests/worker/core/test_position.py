"""The position, told by fills and by account updates: each counted once, in any order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from phoenix_worker.core.events import Fill, PositionReport, Side
from phoenix_worker.core.position import Position


def fill(trade_id, side=Side.BUY, qty=5, price=100):
    return Fill(trade_id, 1, side, price, qty, 0, "USDT", 0, True, 0)


def report(steps, ms=10, entry=100.0):
    return PositionReport(0, ms, ms, steps, entry, "ORDER")


FILLS = st.lists(
    st.builds(fill, st.integers(1, 40), st.sampled_from(list(Side)), st.integers(1, 9)), unique_by=lambda f: f.trade_id
)


@given(FILLS, st.randoms(use_true_random=False))
def test_fills_count_once_in_any_order_and_however_often_they_are_told(fills, random):
    told = [*fills, *fills]
    random.shuffle(told)
    position = Position()
    counted = [one.trade_id for one in told if position.on_fill(one, 100.0, 1)]
    assert sorted(counted) == sorted(one.trade_id for one in fills)
    assert position.steps == sum(one.side * one.qty_steps for one in fills)


@pytest.mark.parametrize(
    ("fills", "steps", "entry"),
    [
        ([(Side.BUY, 2, 100), (Side.BUY, 6, 120)], 8, 115.0),
        ([(Side.BUY, 8, 100), (Side.SELL, 3, 150)], 5, 100.0),
        ([(Side.BUY, 8, 100), (Side.SELL, 8, 150)], 0, 0.0),
        ([(Side.BUY, 8, 100), (Side.SELL, 10, 150)], -2, 150.0),
        ([(Side.SELL, 4, 100), (Side.SELL, 4, 90)], -8, 95.0),
    ],
    ids=["grown", "reduced keeps the entry", "closed", "turned", "short grown"],
)
def test_the_entry_is_the_volume_weighted_price_of_what_opened(fills, steps, entry):
    position = Position()
    for number, (side, qty, price) in enumerate(fills, 1):
        position.on_fill(fill(number, side, qty), float(price), 0)
    assert (position.steps, position.entry_price) == (steps, pytest.approx(entry))


def test_the_limit_is_kept_for_the_worse_of_the_two_tellings():
    position = Position()
    position.on_fill(fill(1), 100.0, 7)
    assert (position.longest, position.shortest, position.differ_since_ns) == (5, 0, 7)
    position.on_report(report(5), 9)
    assert (position.longest, position.shortest, position.differ_since_ns) == (5, 5, 0)


def test_since_when_they_differ_is_not_forgotten_while_they_do():
    position = Position()
    position.on_fill(fill(1), 100.0, 7)
    position.on_fill(fill(2), 100.0, 8)
    assert position.differ_since_ns == 7


def test_an_older_account_update_is_not_believed():
    position = Position()
    position.on_report(report(5, ms=10), 0)
    position.on_report(report(3, ms=9), 0)
    assert position.by_account == 5


def test_the_entry_of_the_exchange_counts_where_both_agree():
    position = Position()
    position.on_fill(fill(1), 100.0, 0)
    position.on_report(report(5, entry=99.9), 0)
    assert position.entry_price == 99.9
    position.on_report(report(7, ms=11, entry=50.0), 0)
    assert position.entry_price == 99.9


def test_the_truth_replaces_both_and_older_events_count_no_more():
    position = Position()
    position.on_fill(fill(8), 100.0, 3)
    position.replace(20, 101.0, 7, 50)
    assert (position.by_fills, position.by_account, position.differ_since_ns) == (20, 20, 0)
    assert not position.on_fill(fill(8), 100.0, 4)
    assert not position.on_fill(fill(5), 100.0, 4)
    position.on_report(report(1, ms=49), 5)
    assert position.by_account == 20
    assert position.on_fill(fill(9), 100.0, 6)


def test_memory_of_trades_is_bounded_and_still_counts_each_once():
    position = Position()
    for number in range(1, 5_001):
        assert position.on_fill(fill(number, qty=1), 100.0, 0)
    assert len(position.newer_trades) <= 2_000
    assert position.newest_trade_id == 5_000
    assert not any(position.on_fill(fill(number, qty=1), 100.0, 0) for number in (1, 2_500, 4_999, 5_000))
    assert position.steps == 5_000


@pytest.mark.parametrize("steps", [5, -5], ids=["long", "short"])
def test_an_account_that_is_ahead_of_the_fills_counts_too(steps):
    position = Position()
    position.on_report(report(steps), 7)
    assert (position.longest, position.shortest) == (max(steps, 0), min(steps, 0))
