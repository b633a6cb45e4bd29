"""A replayed market: the public hears the recording, accounts' orders fill from it and stay unseen."""

import pytest
from phoenix_simulator.exchange.book import QueueModel
from phoenix_simulator.exchange.events import DepthChanged, TouchChanged, TradePrinted
from phoenix_simulator.exchange.listing import REPLAY_TRADE_ID_BASE
from phoenix_simulator.exchange.orders import OrderStatus, Side, TimeInForce
from phoenix_simulator.exchange.settings import ExchangeSettings
from phoenix_simulator.market.source import DepthUpdate, MarketKind, PrintUpdate, TakerUpdate, TouchUpdate

BUY, SELL = Side.BUY, Side.SELL


@pytest.fixture
def replay(open_venue):
    """The usual book as a recording's snapshot, with lastUpdateId 1000."""
    venue = open_venue(kind=MarketKind.REPLAY)
    venue.account()
    return venue


def prints(venue, price_ticks, steps, trade_id, *, buyer_is_maker=True):
    venue.apply(PrintUpdate(0, trade_id, price_ticks, steps, buyer_is_maker))


def touches(venue, update_id, bid, ask):
    venue.apply(TouchUpdate(0, update_id, *bid, *ask))


class TestThePublicHearsTheRecording:
    def test_depth_frames_pass_unchanged_with_their_ids(self, replay):
        replay.limit(BUY, "0.010", "60000")
        replay.heard()
        frame = DepthUpdate(0, ((599_998, 7), (600_000, 5)), ((600_005, 0),), 990, 1005)
        replay.apply(frame)
        assert replay.heard(DepthChanged) == [
            DepthChanged("BTCUSDT", replay.now, 990, 1005, frame.bids, frame.asks),
        ]
        depth = replay.exchange.depth("BTCUSDT", 2)
        assert (depth.last_update_id, depth.bids) == (1005, ((600_000, 5), (599_999, 1000)))

    def test_touches_and_prints_pass_unchanged(self, replay):
        touches(replay, 1001, (600_000, 3), (600_001, 4))
        prints(replay, 600_000, 9, 77)
        touch, trade = replay.heard(TouchChanged, TradePrinted)
        assert touch == TouchChanged("BTCUSDT", replay.now, 1001, 600_000, 3, 600_001, 4)
        assert trade == TradePrinted("BTCUSDT", replay.now, 77, 600_000, 9, True)

    def test_orders_of_accounts_change_nothing_of_it(self, replay):
        before = replay.exchange.depth("BTCUSDT", 1000)
        replay.limit(BUY, "0.010", "60000")
        replay.market(BUY, "0.500")
        assert replay.exchange.depth("BTCUSDT", 1000) == before
        assert not replay.heard(DepthChanged, TouchChanged, TradePrinted)

    def test_the_touch_is_the_newest_of_bookticker_and_depth(self, replay):
        touches(replay, 1010, (600_000, 3), (600_001, 4))
        replay.depth(bids=[(600_000, 8)], first_id=1001, last_id=1005)
        assert replay.listing.touch.bid_steps == 3
        replay.depth(bids=[(600_000, 6)], first_id=1006, last_id=1012)
        assert (replay.listing.touch.update_id, replay.listing.touch.bid_steps) == (1012, 6)
        touches(replay, 1011, (600_000, 4), (600_001, 4))
        assert replay.listing.touch.bid_steps == 6


class TestFillsByPrints:
    def test_prints_at_the_price_eat_what_is_ahead_first(self, replay):
        order = replay.limit(BUY, "0.010", "60000")
        prints(replay, 600_000, 999, 1)
        assert (replay.ahead_of(order), replay.query(order).executed_steps) == (1, 0)
        prints(replay, 600_000, 5, 2)
        assert replay.query(order).executed_steps == 4
        prints(replay, 600_000, 50, 3)
        assert replay.query(order).status is OrderStatus.FILLED

    def test_a_print_through_the_price_fills_at_the_orders_price(self, replay):
        order = replay.limit(BUY, "0.010", "60000")
        prints(replay, 599_999, 30, 1)
        assert replay.query(order).status is OrderStatus.FILLED
        assert replay.query(order).cum_quote_e8 == replay.spec.notional_e8(600_000, 10)

    def test_an_order_never_joins_ahead_of_one_that_came_before(self, replay):
        first = replay.limit(BUY, "0.010", "60000")
        touches(replay, 1001, (600_000, 3), (600_001, 4))
        second = replay.limit(BUY, "0.010", "60000")
        assert replay.ahead_of(first) == replay.ahead_of(second) == 1000

    def test_a_print_never_fills_more_than_was_printed(self, replay):
        near = replay.limit(SELL, "0.010", "60000.1")
        far = replay.limit(SELL, "0.010", "60000.2")
        prints(replay, 600_003, 14, 1, buyer_is_maker=False)
        assert replay.query(near).executed_steps == 10
        assert replay.query(far).executed_steps == 4

    def test_a_print_on_the_other_side_does_nothing(self, replay):
        order = replay.limit(BUY, "0.010", "60000")
        prints(replay, 600_000, 5000, 1, buyer_is_maker=False)
        assert replay.query(order).executed_steps == 0
        assert replay.ahead_of(order) == 1000

    def test_fills_have_ids_of_their_own_and_the_orders_are_makers(self, replay):
        replay.limit(BUY, "0.010", "60000")
        prints(replay, 599_999, 4, 77)
        prints(replay, 599_999, 30, 78)
        first, second = replay.exchange.fills("maker", "BTCUSDT")
        assert (first.trade_id, second.trade_id) == (REPLAY_TRADE_ID_BASE + 1, REPLAY_TRADE_ID_BASE + 2)
        assert first.is_maker
        assert second.is_maker


class TestFillsByTheBook:
    def test_a_depth_frame_with_asks_at_the_bid_fills_no_more_than_stands_there(self, replay):
        order = replay.limit(BUY, "0.010", "60000")
        replay.depth(bids=[(600_000, 0)], asks=[(600_000, 4)], first_id=1001, last_id=1002)
        assert replay.query(order).executed_steps == 4
        replay.depth(asks=[(600_000, 4)], first_id=1003, last_id=1003)
        assert replay.query(order).executed_steps == 8

    def test_a_touch_at_the_bid_fills_it_before_the_depth_says_so(self, replay):
        order = replay.limit(BUY, "0.010", "60000")
        touches(replay, 1001, (599_999, 5), (600_000, 50))
        assert replay.query(order).status is OrderStatus.FILLED

    def test_the_same_touch_told_twice_is_no_new_liquidity(self, replay):
        order = replay.limit(BUY, "0.010", "60000")
        touches(replay, 1001, (599_999, 5), (600_000, 4))
        touches(replay, 1002, (599_999, 6), (600_000, 4))
        assert replay.query(order).executed_steps == 4

    @pytest.mark.parametrize(
        ("model", "ahead"), [(QueueModel.PESSIMISTIC, 600), (QueueModel.OPTIMISTIC, 100)], ids=["worst", "best"]
    )
    def test_cancels_move_the_queue_by_its_model(self, open_venue, model, ahead):
        replay = open_venue(kind=MarketKind.REPLAY, settings=ExchangeSettings(queue_model=model))
        replay.account()
        order = replay.limit(BUY, "0.010", "60000")
        replay.depth(bids=[(600_000, 1500)], last_id=1001)
        prints(replay, 600_000, 400, 1)
        replay.depth(bids=[(600_000, 600)], last_id=1002)
        assert replay.ahead_of(order) == ahead

    def test_another_model_moves_the_queue_from_then_on_and_orders_that_rest_with_it(self, replay):
        order = replay.limit(BUY, "0.010", "60000")
        replay.depth(bids=[(600_000, 1500)], last_id=1001)
        replay.depth(bids=[(600_000, 1200)], last_id=1002)
        assert replay.ahead_of(order) == 1_000
        replay.exchange.set_queue_model("BTCUSDT", QueueModel.OPTIMISTIC)
        assert replay.ahead_of(order) == 1_000
        replay.depth(bids=[(600_000, 900)], last_id=1003)
        assert replay.ahead_of(order) == 700

    def test_what_was_printed_against_one_order_is_no_cancel_ahead_of_the_next(self, open_venue):
        replay = open_venue(kind=MarketKind.REPLAY, settings=ExchangeSettings(queue_model=QueueModel.OPTIMISTIC))
        replay.account()
        replay.depth(bids=[(600_000, 0)], last_id=1001)
        replay.limit(BUY, "0.010", "60000")
        replay.depth(bids=[(600_000, 100)], last_id=1002)
        second = replay.limit(BUY, "0.010", "60000")
        replay.depth(bids=[(600_000, 150)], last_id=1003)
        prints(replay, 600_000, 10, 1)
        replay.depth(bids=[(600_000, 140)], last_id=1004)
        assert replay.ahead_of(second) == 100


class TestTaking:
    def test_a_taker_takes_recorded_quantity_once_until_it_is_stated_again(self, replay):
        first = replay.limit(BUY, "0.700", "60000.1", TimeInForce.IOC)
        second = replay.limit(BUY, "0.700", "60000.1", TimeInForce.IOC)
        assert (first.executed_steps, second.executed_steps) == (700, 300)
        replay.depth(asks=[(600_001, 1000)], last_id=1001)
        assert replay.limit(BUY, "0.700", "60000.1", TimeInForce.IOC).executed_steps == 700

    def test_post_only_looks_at_the_newest_touch(self, replay):
        touches(replay, 1001, (599_990, 5), (599_995, 50))
        assert replay.refused(replay.limit, BUY, "0.010", "59999.5", TimeInForce.GTX) == -5022
        replay.depth(first_id=1001, last_id=1002)
        assert replay.limit(BUY, "0.010", "59999.5", TimeInForce.GTX).status is OrderStatus.NEW

    def test_a_touch_that_the_depth_has_overtaken_is_passed_on_but_not_believed(self, replay):
        replay.depth(first_id=1001, last_id=1005)
        touches(replay, 1003, (599_990, 5), (599_995, 50))
        assert replay.limit(BUY, "0.010", "59999.5", TimeInForce.GTX).status is OrderStatus.NEW
        assert len(replay.heard(TouchChanged)) == 1

    def test_accounts_trade_with_each_other_unseen(self, replay):
        replay.account("other")
        resting = replay.limit(SELL, "0.010", "60000.1")
        replay.limit(BUY, "1.010", "60000.1", account_id="other")
        assert replay.query(resting).status is OrderStatus.FILLED
        assert not replay.heard(TradePrinted, DepthChanged)


@pytest.mark.parametrize(
    ("kind", "update"),
    [
        (MarketKind.SYNTHETIC, PrintUpdate(0, 1, 600_000, 1, True)),
        (MarketKind.SYNTHETIC, TouchUpdate(0, 1001, 600_000, 1, 600_001, 1)),
        (MarketKind.REPLAY, TakerUpdate(0, True, 1)),
    ],
    ids=["print", "touch", "taker"],
)
def test_an_update_of_the_other_kind_of_market_is_refused(open_venue, kind, update):
    with pytest.raises(ValueError, match="is no update of a"):
        open_venue(kind=kind).apply(update)


def test_a_source_sees_background_without_accounts_orders_and_less_what_they_took(open_venue):
    venue = open_venue()
    venue.account()
    background = venue.exchange.background("BTCUSDT")
    venue.limit(BUY, "0.010", "60000")
    venue.market(BUY, "0.400")
    assert background.best_bid() == (600_000, 1000)
    assert background.best_ask() == (600_001, 600)
    assert background.quantity(is_bid=True, price_ticks=599_999) == 1000
    assert background.quantity(is_bid=False, price_ticks=599_999) == 0
    venue.depth(asks=[(600_001 + i, 0) for i in range(5)])
    assert background.best_ask() is None
