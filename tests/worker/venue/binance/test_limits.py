import pytest
from hypothesis import given
from hypothesis import strategies as st
from phoenix_worker.venue.binance.limits import Limits, RequestBudget, Urgency

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
T0 = 1_000 * MINUTE
"""The start of a window on the exchange's clock, for an offset of 0."""


def budget(**limits: float) -> RequestBudget:
    defaults = {"weight_1m": 100, "orders_10s": 10, "orders_1m": 50, "weight_share": 1.0, "order_share": 1.0}
    return RequestBudget(Limits(**{**defaults, "reserve_share": 0.2, **limits}))  # type: ignore[arg-type]


def test_quoting_stops_at_the_reserve_and_reducing_at_the_limit():
    b = budget()
    admitted = dict.fromkeys(Urgency, 0)
    for urgency in (Urgency.QUOTE, Urgency.REDUCE):
        while b.admits_order(T0, urgency):
            b.order_sent(T0)
            admitted[urgency] += 1
    assert admitted[Urgency.QUOTE] == 8
    assert admitted[Urgency.REDUCE] == 2


def test_cancels_stop_at_no_budget_but_where_the_exchange_says_stop():
    b = budget()
    b.weight_sent(T0, 1000)
    assert b.admits_weight(T0, 1, Urgency.CANCEL)
    assert not b.admits_weight(T0, 1, Urgency.REDUCE)
    b.orders_limited(T0)
    assert b.admits_weight(T0, 1, Urgency.CANCEL)
    b.rate_limited(T0, 30)
    assert not b.admits_weight(T0, 1, Urgency.CANCEL)
    assert b.admits_weight(T0 + 31 * SECOND, 1, Urgency.CANCEL)
    b.banned(T0, 120)
    assert not b.admits_weight(T0 + 31 * SECOND, 1, Urgency.CANCEL)
    assert b.admits_weight(T0 + 121 * SECOND, 1, Urgency.CANCEL)


def test_our_own_window_slides():
    b = budget()
    for second in range(8):
        b.order_sent(T0 + second * SECOND)
    assert not b.admits_order(T0 + 9 * SECOND, Urgency.QUOTE)
    assert b.admits_order(T0 + 10 * SECOND, Urgency.QUOTE)


@pytest.mark.parametrize(
    ("reported", "after_s", "admitted"),
    [(0, 0, True), (79, 0, True), (80, 0, False), (80, 59, False), (80, 60, True), (-1, 0, True)],
)
def test_what_the_exchange_reports_counts_until_its_window_ends(reported, after_s, admitted):
    b = budget()
    b.weight_reported(T0, reported)
    assert b.admits_weight(T0 + after_s * SECOND, 1, Urgency.QUOTE) is admitted


def test_answers_that_overtake_each_other_leave_the_highest_figure():
    b = budget()
    b.weight_reported(T0, 80)
    b.weight_reported(T0 + SECOND, 40)
    assert not b.admits_weight(T0 + SECOND, 1, Urgency.QUOTE)


def test_what_is_sent_after_a_report_is_added_to_it():
    b = budget()
    b.weight_reported(T0, 75)
    b.weight_sent(T0, 5)
    assert not b.admits_weight(T0, 1, Urgency.QUOTE)


@pytest.mark.parametrize("interval", [10, 60])
def test_order_counts_of_others_of_the_account_count(interval):
    b = budget()
    b.orders_reported(T0, interval, 1000)
    assert not b.admits_order(T0, Urgency.REDUCE)
    assert b.admits_order(T0 + interval * SECOND, Urgency.QUOTE)


def test_a_429_without_retry_after_blocks_to_the_end_of_the_minute_of_the_exchange():
    b = budget()
    b.offset_ns = 20 * SECOND
    b.rate_limited(T0, None)
    assert not b.admits_weight(T0 + 39 * SECOND, 1, Urgency.REDUCE)
    assert b.admits_weight(T0 + 40 * SECOND, 1, Urgency.REDUCE)


def test_too_many_orders_blocks_orders_alone():
    b = budget()
    b.orders_limited(T0 + 3 * SECOND)
    assert not b.admits_order(T0 + 9 * SECOND, Urgency.REDUCE)
    assert b.admits_order(T0 + 10 * SECOND, Urgency.REDUCE)
    assert b.admits_weight(T0 + 3 * SECOND, 1, Urgency.QUOTE)


def test_a_shorter_block_does_not_end_a_longer_one():
    b = budget()
    b.rate_limited(T0, 50)
    b.rate_limited(T0, 1)
    assert b.view(T0).blocked_until_ns == T0 + 50 * SECOND
    assert b.view(T0 + 50 * SECOND).blocked_until_ns == 0


def test_shares_leave_the_rest_to_others():
    b = budget(order_share=0.5, weight_share=0.5)
    view = b.view(T0)
    assert (view.orders_10s, view.orders_1m, view.weight_1m) == (5, 25, 50)


@given(st.lists(st.tuples(st.integers(0, 3 * SECOND), st.booleans()), max_size=200))
def test_no_window_of_ours_ever_holds_more_orders_than_the_limit(steps):
    b = budget()
    sent: list[int] = []
    now = T0
    for pause, reduces in steps:
        now += pause
        if b.admits_order(now, Urgency.REDUCE if reduces else Urgency.QUOTE):
            b.order_sent(now)
            sent.append(now)
    for end in sent:
        assert len([at for at in sent if end - 10 * SECOND < at <= end]) <= 10
        assert len([at for at in sent if end - MINUTE < at <= end]) <= 50
