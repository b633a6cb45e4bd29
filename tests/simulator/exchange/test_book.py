import pytest
from hypothesis import given
from hypothesis import strategies as st
from phoenix_simulator.exchange.book import BookSide, QueueModel
from phoenix_simulator.exchange.orders import (
    Order,
    OrderType,
    PriceMatch,
    Side,
    StpMode,
    TimeInForce,
)


def order(price_ticks, steps, side=Side.BUY, order_id=1):
    return Order(
        order_id=order_id,
        account_id="maker",
        symbol="BTCUSDT",
        client_order_id=str(order_id),
        side=side,
        type=OrderType.LIMIT,
        time_in_force=TimeInForce.GTC,
        price_ticks=price_ticks,
        orig_steps=steps,
        reduce_only=False,
        stp_mode=StpMode.EXPIRE_MAKER,
        price_match=PriceMatch.NONE,
        good_till_ms=0,
        created_ms=0,
        updated_ms=0,
    )


@pytest.fixture
def bids():
    side = BookSide(1, QueueModel.PESSIMISTIC)
    side.state_levels([(100, 10), (99, 20), (97, 30)])
    return side


class TestLevels:
    def test_the_best_bid_is_the_highest_and_the_best_ask_the_lowest(self):
        levels = [(100, 1), (99, 2), (101, 3)]
        bids, asks = BookSide(1, QueueModel.PESSIMISTIC), BookSide(-1, QueueModel.PESSIMISTIC)
        bids.state_levels(levels)
        asks.state_levels(levels)
        assert bids.displayed_touch() == (101, 3)
        assert asks.displayed_touch() == (99, 2)
        assert asks.displayed_levels(2) == ((99, 2), (100, 1))

    def test_stating_levels_reports_only_what_changed(self, bids):
        assert bids.state_levels([(100, 10), (99, 21), (98, 0), (97, 0), (96, 5)]) == [99, 97, 96]

    @given(st.lists(st.tuples(st.integers(1, 20), st.integers(0, 5))), st.sampled_from([1, -1]))
    def test_any_sequence_of_statements_leaves_what_a_dict_would_hold(self, statements, sign):
        side = BookSide(sign, QueueModel.PESSIMISTIC)
        plain = {}
        for ticks, steps in statements:
            side.state_levels([(ticks, steps)])
            plain[ticks] = steps
        expected = sorted(((t, s) for t, s in plain.items() if s), key=lambda level: -level[0] * sign)
        assert side.displayed_levels(100) == tuple(expected)
        assert list(side.background_keys()) == [ticks * sign for ticks, _ in expected]


class TestQueue:
    def test_an_order_joins_behind_the_whole_level(self, bids):
        mine = order(100, 5)
        bids.add(mine)
        assert bids.ahead_of(mine) == 10
        assert bids.displayed(100) == 15

    def test_an_order_alone_at_its_price_is_first(self, bids):
        mine = order(98, 5)
        bids.add(mine)
        assert bids.ahead_of(mine) == 0

    def test_background_that_comes_later_stands_behind(self, bids):
        mine = order(100, 5)
        bids.add(mine)
        bids.state_levels([(100, 50)])
        assert bids.ahead_of(mine) == 10

    @pytest.mark.parametrize(
        ("model", "ahead"),
        [(QueueModel.PESSIMISTIC, 10), (QueueModel.PROPORTIONAL, 6), (QueueModel.OPTIMISTIC, 2)],
        ids=lambda value: getattr(value, "name", value),
    )
    def test_a_cancel_of_8_of_20_with_10_ahead_is_placed_by_the_queue_model(self, model, ahead):
        bids = BookSide(1, model)
        bids.state_levels([(100, 10)])
        mine = order(100, 5)
        bids.add(mine)
        bids.state_levels([(100, 20)])
        bids.state_levels([(100, 12)])
        assert bids.ahead_of(mine) == ahead

    def test_even_the_pessimist_advances_when_less_is_left_than_was_ahead(self, bids):
        mine = order(100, 5)
        bids.add(mine)
        bids.state_levels([(100, 4)])
        assert bids.ahead_of(mine) == 4

    def test_what_traded_is_not_taken_for_a_cancel(self):
        bids = BookSide(1, QueueModel.OPTIMISTIC)
        bids.state_levels([(100, 10)])
        mine = order(100, 5)
        bids.add(mine)
        bids.queues[100].consume(4)
        bids.state_levels([(100, 6)])
        assert bids.ahead_of(mine) == 6

    @given(
        st.sampled_from(list(QueueModel)),
        st.integers(0, 50),
        st.integers(0, 50),
        st.integers(0, 50),
    )
    def test_the_models_bound_one_another(self, model, ahead, behind, gone):
        before = ahead + behind
        after = max(0, before - gone)
        if before == after:
            return
        place = model.ahead_after_cancel(ahead, before, after)
        best = QueueModel.OPTIMISTIC.ahead_after_cancel(ahead, before, after)
        worst = QueueModel.PESSIMISTIC.ahead_after_cancel(ahead, before, after)
        assert 0 <= best <= place <= worst <= min(ahead, after)


class TestPriority:
    def test_better_prices_come_first_whoever_stands_there(self, bids):
        mine = order(101, 5)
        bids.add(mine)
        assert bids.counterpart(None).order is mine
        assert bids.best() == 101

    def test_at_one_price_the_background_ahead_then_the_order_then_the_rest(self, bids):
        mine = order(100, 5)
        bids.add(mine)
        bids.state_levels([(100, 18)])
        ahead = bids.counterpart(None)
        assert (ahead.key, ahead.steps, ahead.order) == (100, 10, None)
        bids.consume(100, 10, keep_level=False)
        front = bids.counterpart(None)
        assert (front.steps, front.order) == (5, mine)
        bids.remove(mine)
        rest = bids.counterpart(None)
        assert (rest.key, rest.steps, rest.order) == (100, 8, None)

    def test_nobody_is_beyond_the_limit(self, bids):
        assert bids.counterpart(100).key == 100
        assert bids.counterpart(101) is None

    def test_available_counts_background_and_orders_up_to_enough(self, bids):
        bids.add(order(98, 5))
        assert bids.available(98, 1000) == 35
        assert bids.available(99, 1000) == 30
        assert bids.available(97, 7) == 7

    def test_removing_an_order_that_does_not_rest_here_is_said(self, bids):
        mine = order(100, 5)
        assert not bids.remove(mine)
        bids.add(mine)
        assert bids.remove(mine)
        assert not bids.queues
        assert not bids.queue_keys


class TestRecordedLevels:
    def test_what_accounts_took_is_gone_for_accounts_only_until_the_level_is_stated_again(self, bids):
        bids.consume(100, 4, keep_level=True)
        assert bids.background(100) == 6
        assert bids.recorded_levels(1) == ((100, 10),)
        bids.consume(100, 6, keep_level=True)
        assert bids.best() == 99
        bids.state_levels([(100, 10)])
        assert bids.background(100) == 10

    def test_a_newer_touch_hides_better_levels_and_overrides_its_own(self, bids):
        bids.set_touch(99, 7)
        assert (bids.best(), bids.background(99), bids.background(100)) == (99, 7, 0)
        assert list(bids.background_keys()) == [99, 97]
        assert bids.recorded_levels(1) == ((100, 10),)
        bids.clear_touch()
        assert bids.best() == 100

    def test_a_newer_touch_may_be_better_than_every_level(self, bids):
        bids.set_touch(103, 2)
        assert list(bids.background_keys()) == [103, 100, 99, 97]
        assert bids.background(103) == 2

    def test_a_touch_repeated_unchanged_does_not_restore_what_accounts_took(self, bids):
        bids.set_touch(100, 10)
        bids.consume(100, 4, keep_level=True)
        bids.set_touch(100, 10)
        assert bids.background(100) == 6
        bids.set_touch(100, 11)
        assert bids.background(100) == 11

    def test_a_touch_moves_no_queue(self, bids):
        mine = order(100, 5)
        bids.add(mine)
        bids.set_touch(100, 1)
        assert bids.ahead_of(mine) == 10
