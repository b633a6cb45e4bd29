import pytest
from hypothesis import given
from hypothesis import strategies as st
from phoenix_worker.core.risk import ORDERS_KEPT_FOR_REDUCING
from phoenix_worker.venue.binance.limits import (
    FIRST_OVERLOAD_NS,
    LAST_OVERLOAD_NS,
    Limits,
    RequestBudget,
    Urgency,
)

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
    b.weight_sent(T0, 1000, Urgency.REDUCE)
    assert b.admits_weight(T0, 1, Urgency.CANCEL)
    assert not b.admits_weight(T0, 1, Urgency.REDUCE)
    b.orders_limited(T0, None)
    assert b.admits_weight(T0, 1, Urgency.CANCEL)
    b.rate_limited(T0, 30)
    assert not b.admits_weight(T0, 1, Urgency.CANCEL)
    assert b.admits_weight(T0 + 31 * SECOND, 1, Urgency.CANCEL)
    b.banned(T0, 120)
    assert not b.admits_weight(T0 + 31 * SECOND, 1, Urgency.CANCEL)
    assert b.admits_weight(T0 + 121 * SECOND, 1, Urgency.CANCEL)


def test_readings_leave_the_last_of_the_weight_to_cancels():
    b = budget(weight_1m=1_000)
    b.weight_reported(T0, 949)
    assert b.admits_weight(T0, 1, Urgency.REDUCE)
    assert not b.admits_weight(T0, 2, Urgency.REDUCE)
    assert b.admits_weight(T0, 2, Urgency.CANCEL)


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
    b.weight_sent(T0, 5, Urgency.QUOTE)
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
    b.orders_limited(T0 + 3 * SECOND, None)
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
    b = budget(order_share=0.5, weight_share=0.5, orders_10s=100, orders_1m=400)
    view = b.view(T0)
    assert (view.orders_10s, view.orders_1m, view.weight_1m) == (
        40 + ORDERS_KEPT_FOR_REDUCING,
        160 + ORDERS_KEPT_FOR_REDUCING,
        50,
    )


class TestSharedWithOthers:
    def shared(self, *, orders=5, weight=4, until_ns=T0 + 2 * SECOND) -> RequestBudget:
        b = budget(orders_10s=100, orders_1m=400, weight_1m=1000)
        b.share(orders=True)
        b.granted(orders, weight, until_ns)
        return b

    def test_before_anything_was_granted_nothing_is_quoted_and_what_reduces_is(self):
        b = budget()
        b.share(orders=True)
        assert not b.admits_order(T0, Urgency.QUOTE)
        assert not b.admits_weight(T0, 1, Urgency.QUOTE)
        assert b.admits_order(T0, Urgency.REDUCE)
        assert b.admits_weight(T0, 1, Urgency.REDUCE)
        assert b.admits_weight(T0, 1, Urgency.CANCEL)

    def test_quoting_ends_with_the_grant(self):
        b = self.shared()
        for _ in range(5):
            assert b.admits_order(T0, Urgency.QUOTE)
            b.order_sent(T0)
        assert not b.admits_order(T0, Urgency.QUOTE)
        assert b.admits_order(T0, Urgency.REDUCE)
        assert b.admits_weight(T0, 4, Urgency.QUOTE)
        assert not b.admits_weight(T0, 5, Urgency.QUOTE)
        b.weight_sent(T0, 3, Urgency.QUOTE)
        assert not b.admits_weight(T0, 2, Urgency.QUOTE)

    def test_a_grant_lapses(self):
        b = self.shared()
        late = T0 + 2 * SECOND
        assert not b.admits_order(late, Urgency.QUOTE)
        assert not b.admits_weight(late, 1, Urgency.QUOTE)
        assert b.to_tell(late).orders_left == b.to_tell(late).weight_left == 0
        assert b.view(late).orders_10s == ORDERS_KEPT_FOR_REDUCING

    def test_a_new_grant_replaces_what_is_left(self):
        b = self.shared()
        b.granted(2, 1, T0 + SECOND)
        assert b.to_tell(T0).orders_left == 2
        assert b.to_tell(T0).weight_left == 1

    def test_what_reduces_and_what_cancels_needs_no_grant_for_its_weight(self):
        b = self.shared()
        b.weight_sent(T0, 50, Urgency.REDUCE)
        b.weight_sent(T0, 50, Urgency.CANCEL)
        assert b.to_tell(T0).weight_left == 4
        assert b.to_tell(T0).weight_sent == 100

    def test_a_rehearsal_needs_grants_for_weight_alone(self):
        b = budget()
        b.share(orders=False)
        assert b.admits_order(T0, Urgency.QUOTE)
        assert not b.admits_weight(T0, 1, Urgency.QUOTE)
        assert b.view(T0).orders_10s > 0

    def test_the_engine_sees_the_grant_and_what_is_kept_for_reducing(self):
        view = self.shared().view(T0)
        assert (view.orders_10s, view.orders_1m) == (5 + ORDERS_KEPT_FOR_REDUCING, 5 + ORDERS_KEPT_FOR_REDUCING)

    def test_what_the_exchange_reports_counts_beside_the_grant(self):
        b = self.shared()
        b.orders_reported(T0, 10, 80)
        assert not b.admits_order(T0, Urgency.QUOTE)
        assert b.view(T0).orders_10s == ORDERS_KEPT_FOR_REDUCING
        assert b.to_tell(T0).orders_10s_reported == 80
        assert b.to_tell(T0 + 10 * SECOND).orders_10s_reported == -1

    @pytest.mark.parametrize(("sent", "asks"), [(1, 0), (3, 0), (4, 1), (5, 2)])
    def test_more_is_asked_for_when_less_than_a_third_is_left(self, sent, asks):
        b, asked = self.shared(orders=5), []
        b.on_low = lambda: asked.append(1)
        for _ in range(sent):
            b.order_sent(T0)
        assert len(asked) == asks

    def test_totals_only_grow(self):
        b = self.shared()
        b.order_sent(T0)
        b.granted(9, 9, T0 + SECOND)
        b.order_sent(T0)
        assert b.to_tell(T0 + MINUTE).orders_sent == 2

    @pytest.mark.parametrize(
        ("until", "order", "cancel"),
        [((T0 + SECOND, 0), False, True), ((0, T0 + SECOND), False, False), ((T0, T0), True, True)],
        ids=["the account's orders", "the egress", "over"],
    )
    def test_what_others_were_told_holds_here_too(self, until, order, cancel):
        b = self.shared()
        b.others_blocked(*until)
        assert b.admits_order(T0, Urgency.REDUCE) is order
        assert b.admits_weight(T0, 1, Urgency.CANCEL) is cancel
        assert bool(b.view(T0).blocked_until_ns) is not order

    def test_only_what_we_were_told_ourselves_is_told(self):
        """What comes back from the others would grow with each turn."""
        b = self.shared()
        b.others_blocked(T0 + 5 * SECOND, T0 + 5 * SECOND)
        assert b.to_tell(T0).account_blocked_ns == b.to_tell(T0).egress_blocked_ns == 0
        b.rate_limited(T0, 3)
        b.orders_limited(T0, 2)
        assert b.to_tell(T0).egress_blocked_ns == 3 * SECOND
        assert b.to_tell(T0 + SECOND).account_blocked_ns == SECOND

    @pytest.mark.parametrize("refusal", ["rate_limited", "orders_limited", "banned"])
    def test_a_back_off_is_worth_telling_at_once(self, refusal):
        b, told = self.shared(), []
        b.on_blocked = lambda: told.append(1)
        getattr(b, refusal)(T0, 3)
        assert told == [1]


class TestOverload:
    """-1008: the exchange protects itself; reducing orders and cancels are exempt."""

    def test_holds_quotes_alone(self):
        b = budget(orders_10s=100, orders_1m=400)
        b.overloaded(T0)
        assert not b.admits_order(T0, Urgency.QUOTE)
        assert b.admits_order(T0, Urgency.REDUCE)
        assert b.admits_weight(T0, 1, Urgency.CANCEL)
        assert b.view(T0).orders_10s == ORDERS_KEPT_FOR_REDUCING
        assert b.view(T0).blocked_until_ns == 0
        assert b.admits_order(T0 + FIRST_OVERLOAD_NS, Urgency.QUOTE)

    def test_grows_while_it_goes_on_and_is_forgotten(self):
        b, now, waits = budget(), T0, []
        for _ in range(7):
            b.overloaded(now)
            b.overloaded(now + 1)  # of the same moment
            waits.append(b.overloaded_until_ns - now)
            now = b.overloaded_until_ns
        assert waits == [FIRST_OVERLOAD_NS << doubling for doubling in range(6)] + [LAST_OVERLOAD_NS]
        now += 11 * SECOND
        b.overloaded(now)
        assert b.overloaded_until_ns - now == FIRST_OVERLOAD_NS


@pytest.mark.parametrize(
    ("refuse", "seconds", "until_s"),
    [
        ("orders_limited", 47, 47),
        ("orders_limited", None, 10),
        ("rate_limited", 0, 1),
        ("rate_limited", 33, 33),
        ("banned", 300, 300),
        ("banned", None, 120),
    ],
)
def test_retry_after_is_obeyed(refuse, seconds, until_s):
    b = budget()
    getattr(b, refuse)(T0, seconds)
    assert b.view(T0).blocked_until_ns == T0 + until_s * SECOND


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
