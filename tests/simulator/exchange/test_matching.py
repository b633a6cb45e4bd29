"""Order semantics of Binance USDⓈ-M: time in force, post-only, reduce-only, self-trade prevention, amendments."""

from decimal import Decimal
from itertools import pairwise

import pytest
from phoenix_simulator.exchange.events import (
    AccountUpdated,
    DepthChanged,
    OrderUpdated,
    TouchChanged,
    TradeLite,
    TradePrinted,
)
from phoenix_simulator.exchange.orders import (
    ExecutionType,
    ExpiryReason,
    NewOrder,
    OrderRef,
    OrderStatus,
    OrderType,
    Side,
    StpMode,
    TimeInForce,
)
from phoenix_simulator.exchange.settings import ExchangeSettings, FillEvent, OrderEnd
from phoenix_simulator.exchange.symbols import SymbolStatus

BUY, SELL = Side.BUY, Side.SELL
GTC, IOC, FOK, GTX = TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTX


def last_update(venue):
    return venue.heard(OrderUpdated)[-1]


class TestPriority:
    def test_background_ahead_trades_first_then_the_order_then_the_background_behind(self, venue):
        mine = venue.limit(BUY, "0.010", "60000")
        venue.depth(bids=[(600_000, 1500)])
        venue.background_sells(1000)
        assert venue.query(mine).executed_steps == 0
        venue.background_sells(4)
        assert venue.query(mine).executed_steps == 4
        venue.background_sells(100)
        assert venue.query(mine).status is OrderStatus.FILLED
        assert venue.public_book()[0][0] == (600_000, 500 - 94)

    def test_the_older_order_at_a_price_fills_first_and_the_better_price_before_it(self, venue):
        venue.account("other")
        older = venue.limit(BUY, "0.010", "60000")
        younger = venue.limit(BUY, "0.010", "60000", account_id="other")
        venue.depth(asks=[(600_001, 0)])
        better = venue.limit(BUY, "0.010", "60000.1", account_id="other")
        venue.background_sells(10)
        assert venue.query(better, "other").status is OrderStatus.FILLED
        venue.background_sells(1015)
        assert venue.query(older).status is OrderStatus.FILLED
        assert venue.query(younger, "other").executed_steps == 5

    def test_a_fill_is_at_the_resting_orders_price(self, venue):
        venue.depth(asks=[(600_001, 0), (600_002, 0)])
        venue.limit(BUY, "0.010", "60000.1")
        venue.account("taker")
        venue.heard()
        taken = venue.limit(SELL, "0.010", "59000", account_id="taker")
        (printed,) = [event for event in venue.events if isinstance(event, TradePrinted)]
        assert printed.price_ticks == 600_001
        assert printed.buyer_is_maker
        assert taken.cum_quote_e8 == venue.spec.notional_e8(600_001, 10)

    def test_a_public_print_and_both_user_trades_share_one_trade_id(self, venue):
        venue.account("taker")
        venue.depth(asks=[(600_001, 0)])
        venue.limit(BUY, "0.010", "60000.1")
        venue.heard()
        venue.market(SELL, "0.010", "taker")
        (printed,) = [event for event in venue.events if isinstance(event, TradePrinted)]
        (maker_fill,) = venue.exchange.fills("maker", venue.symbol)
        (taker_fill,) = venue.exchange.fills("taker", venue.symbol)
        assert printed.trade_id == maker_fill.trade_id == taker_fill.trade_id == 501
        assert (maker_fill.is_maker, taker_fill.is_maker) == (True, False)

    def test_a_background_level_that_crosses_an_order_trades_with_it_and_the_rest_stays(self, venue):
        mine = venue.limit(BUY, "0.010", "60000.0")
        venue.heard()
        venue.depth(bids=[(600_000, 0)], asks=[(599_999 + 1, 30)])
        assert venue.query(mine).status is OrderStatus.FILLED
        assert venue.public_book()[1][0] == (600_000, 20)
        (printed,) = [event for event in venue.events if isinstance(event, TradePrinted)]
        assert (printed.price_ticks, printed.qty_steps, printed.buyer_is_maker) == (600_000, 10, True)

    def test_a_source_that_crosses_its_own_book_is_told_so(self, venue):
        with pytest.raises(ValueError, match="crossed its own book"):
            venue.depth(asks=[(600_000, 30)])

    def test_liquidity_that_an_order_took_is_gone_until_the_source_states_the_level_again(self, venue):
        venue.market(BUY, "0.400")
        assert venue.public_book()[1][0] == (600_001, 600)
        assert venue.exchange.background(venue.symbol).best_ask() == (600_001, 600)
        venue.depth(asks=[(600_001, 1000)])
        assert venue.public_book()[1][0] == (600_001, 1000)


class TestEvents:
    def test_a_match_tells_trade_lite_new_account_trade_at_one_time(self, venue):
        venue.heard()
        venue.market(BUY, "0.010")
        times = {event.time_ms for event in venue.events}
        story = venue.private()
        assert story == [
            ("TradeLite", ""),
            ("OrderUpdated", "NEW"),
            ("AccountUpdated", "ORDER"),
            ("OrderUpdated", "TRADE"),
        ]
        assert times == {venue.now}

    def test_new_is_told_once_for_a_sweep_of_two_levels(self, venue):
        venue.heard()
        venue.market(BUY, "1.500")
        assert [kind for kind, _ in venue.private()].count("TradeLite") == 2
        assert venue.query(venue.exchange.all_orders("maker", venue.symbol, venue.now)[0]).executed_steps == 1500

    def test_the_order_of_a_fills_events_is_a_setting(self, open_venue):
        order = (FillEvent.OPENING, FillEvent.TRADE, FillEvent.ACCOUNT, FillEvent.TRADE_LITE)
        venue = open_venue(settings=ExchangeSettings(fill_events=order))
        venue.account()
        venue.market(BUY, "0.010")
        assert [kind for kind, _ in venue.private()] == ["OrderUpdated", "OrderUpdated", "AccountUpdated", "TradeLite"]

    def test_a_setting_that_forgets_an_event_is_refused(self):
        with pytest.raises(ValueError, match="exactly once"):
            ExchangeSettings(fill_events=(FillEvent.TRADE,))

    def test_a_resting_order_tells_new_and_the_open_notional_and_no_account_update(self, venue):
        venue.heard()
        venue.limit(BUY, "0.005", "32000")
        assert not [event for event in venue.events if isinstance(event, AccountUpdated)]
        update = last_update(venue)
        assert (update.execution, update.bid_notional_e8, update.ask_notional_e8) == (
            ExecutionType.NEW,
            160 * 10**8,
            0,
        )

    def test_a_cancel_tells_canceled_with_nothing_open(self, venue):
        order = venue.limit(BUY, "0.005", "32000")
        venue.heard()
        cancelled = venue.cancel(order)
        update = last_update(venue)
        assert (cancelled.status, update.execution, update.bid_notional_e8) == (
            OrderStatus.CANCELED,
            ExecutionType.CANCELED,
            0,
        )

    def test_a_partial_fill_tells_what_is_left_open_and_the_order_as_it_was(self, venue):
        venue.limit(BUY, "0.010", "60000")
        venue.heard()
        venue.background_sells(1004)
        update = last_update(venue)
        assert (update.execution, update.order.status, update.fill.qty_steps) == (
            ExecutionType.TRADE,
            OrderStatus.PARTIALLY_FILLED,
            4,
        )
        assert update.bid_notional_e8 == venue.spec.notional_e8(600_000, 6)
        venue.background_sells(6)
        assert update.order.executed_steps == 4, "an event is a snapshot"

    def test_our_order_shows_in_the_public_book_with_consecutive_ids(self, venue):
        start = venue.public_book()
        venue.heard()
        order = venue.limit(BUY, "0.010", "60000")
        venue.limit(SELL, "0.020", "60000.3")
        venue.cancel(order)
        venue.market(BUY, "0.030")
        depth = [event for event in venue.events if isinstance(event, DepthChanged)]
        assert depth[0].bids == ((600_000, 1010),)
        assert all(after.first_id == before.last_id + 1 for before, after in pairwise(depth))
        assert venue.rebuilt_book(*start) == venue.public_book()
        assert venue.exchange.depth(venue.symbol, 5).last_update_id == depth[-1].last_id

    def test_the_touch_is_told_only_when_it_changed(self, venue):
        venue.heard()
        venue.limit(BUY, "0.010", "59999.9")
        assert not venue.heard(TouchChanged)
        venue.limit(BUY, "0.010", "60000")
        (touch,) = venue.heard(TouchChanged)
        assert (touch.bid_ticks, touch.bid_steps, touch.ask_ticks) == (600_000, 1010, 600_001)


class TestTimeInForce:
    def test_gtc_takes_what_it_can_and_rests_with_the_remainder(self, venue):
        order = venue.limit(BUY, "1.200", "60000.1")
        assert (order.status, order.executed_steps) == (OrderStatus.PARTIALLY_FILLED, 1000)
        assert venue.public_book()[0][0] == (600_001, 200)

    def test_ioc_expires_with_its_remainder(self, venue):
        order = venue.limit(BUY, "1.200", "60000.1", IOC)
        assert (order.status, order.executed_steps) == (OrderStatus.EXPIRED, 1000)
        assert last_update(venue).order.expiry_reason is ExpiryReason.IOC_REMAINDER

    def test_ioc_that_finds_nothing_tells_new_and_expired(self, venue):
        venue.heard()
        venue.limit(BUY, "0.010", "60000", IOC)
        assert venue.private() == [("OrderUpdated", "NEW"), ("OrderUpdated", "EXPIRED")]

    def test_fok_fills_whole_or_is_refused_without_a_trace(self, venue):
        assert venue.limit(BUY, "2.000", "60000.2", FOK).status is OrderStatus.FILLED
        venue.heard()
        assert venue.refused(venue.limit, BUY, "1.001", "60000.3", FOK) == -5021
        assert not venue.heard()

    @pytest.mark.parametrize(
        ("side", "price", "code"),
        [
            (BUY, "60000.1", -5022),
            (BUY, "60000.2", -5022),
            (BUY, "60000.0", None),
            (SELL, "60000.0", -5022),
            (SELL, "60000.1", None),
        ],
    )
    def test_post_only_that_would_take_is_refused(self, venue, side, price, code):
        if code is None:
            assert venue.limit(side, "0.010", price, GTX).status is OrderStatus.NEW
        else:
            assert venue.refused(venue.limit, side, "0.010", price, GTX) == code

    def test_a_refused_post_only_order_leaves_no_record(self, venue):
        venue.refused(venue.limit, BUY, "0.010", "60000.1", GTX, client_order_id="px-1")
        assert venue.exchange.all_orders("maker", venue.symbol, venue.now) == []
        assert venue.limit(BUY, "0.010", "60000.0", GTX, client_order_id="px-1").status is OrderStatus.NEW

    def test_post_only_is_refused_by_another_accounts_order_too(self, venue):
        venue.account("other")
        venue.depth(asks=[(600_001, 0)])
        venue.limit(SELL, "0.010", "60000.1", account_id="other")
        assert venue.refused(venue.limit, BUY, "0.010", "60000.1", GTX) == -5022

    def test_gtd_expires_at_its_date_in_whole_seconds(self, venue):
        till = venue.now + 700_123
        order = venue.limit(BUY, "0.010", "59000", TimeInForce.GTD, good_till_ms=till)
        assert order.good_till_ms == till // 1000 * 1000
        venue.exchange.advance(order.good_till_ms - 1)
        assert venue.query(order).status is OrderStatus.NEW
        venue.exchange.advance(order.good_till_ms)
        assert venue.query(order).status is OrderStatus.EXPIRED

    def test_gtd_that_was_cancelled_does_not_expire_again(self, venue):
        order = venue.limit(BUY, "0.010", "59000", TimeInForce.GTD, good_till_ms=venue.now + 700_000)
        venue.cancel(order)
        venue.heard()
        venue.exchange.advance(venue.now + 800_000)
        assert not venue.heard(OrderUpdated)


class TestMarketOrders:
    def test_the_remainder_beyond_the_take_bound_expires(self, open_venue):
        venue = open_venue(asks=((600_001, 5), (630_000, 5), (630_001, 5)))
        venue.account()
        order = venue.market(BUY, "0.020")
        assert (order.status, order.executed_steps) == (OrderStatus.EXPIRED, 10)
        assert last_update(venue).order.expiry_reason is ExpiryReason.MARKET_REMAINDER

    def test_an_empty_opposite_side_expires_the_order(self, open_venue):
        venue = open_venue(asks=())
        venue.account()
        assert venue.market(BUY, "0.020").status is OrderStatus.EXPIRED

    @pytest.mark.parametrize(("side", "book"), [(BUY, {"asks": ((630_001, 5),)}), (SELL, {"bids": ((569_999, 5),)})])
    def test_a_best_counter_price_beyond_percent_price_is_refused(self, open_venue, side, book):
        venue = open_venue(**book)
        venue.account()
        assert venue.refused(venue.market, side, "0.010") == -4131


class TestReduceOnly:
    @pytest.mark.parametrize(
        ("position", "side", "qty", "code"),
        [
            ("", SELL, "0.010", -2022),
            ("0.010", BUY, "0.010", -2022),
            ("0.010", SELL, "0.011", -2022),
            ("0.010", SELL, "0.010", None),
        ],
        ids=["flat", "adds", "more than the position", "exactly the position"],
    )
    def test_it_must_reduce(self, venue, position, side, qty, code):
        if position:
            venue.long(position)
        if code:
            assert venue.refused(venue.limit, side, qty, "60000.5", reduce_only=True) == code
        else:
            assert venue.limit(side, qty, "60000.5", reduce_only=True).reduce_only

    def test_open_reduce_only_orders_count_against_the_position(self, venue):
        venue.long("0.010")
        first = venue.limit(SELL, "0.006", "60000.5", reduce_only=True)
        assert venue.refused(venue.limit, SELL, "0.005", "60000.5", reduce_only=True) == -2022
        venue.limit(SELL, "0.004", "60000.5", reduce_only=True)
        venue.cancel(first)
        assert venue.limit(SELL, "0.006", "60000.6", reduce_only=True).status is OrderStatus.NEW

    def test_it_is_exempt_from_the_minimum_notional(self, venue):
        venue.long("0.001")
        venue.mark("49000")
        venue.depth(asks=[(600_001 + i, 0) for i in range(5)], bids=[(600_000 - i, 0) for i in range(5)])
        assert venue.refused(venue.limit, SELL, "0.001", "49999") == -4164
        assert venue.limit(SELL, "0.001", "49999", reduce_only=True).status is OrderStatus.NEW

    def test_resting_ones_expire_worst_price_and_youngest_first_when_the_position_shrinks(self, venue):
        venue.long("0.010")
        near = venue.limit(SELL, "0.004", "60000.5", reduce_only=True)
        far = venue.limit(SELL, "0.003", "60000.9", reduce_only=True)
        far_younger = venue.limit(SELL, "0.003", "60000.9", reduce_only=True)
        venue.heard()
        venue.market(SELL, "0.002")
        gone = [event.order for event in venue.heard(OrderUpdated) if event.execution is ExecutionType.EXPIRED]
        assert [order.order_id for order in gone] == [far_younger.order_id]
        assert gone[0].expiry_reason is ExpiryReason.REDUCE_ONLY_DISPLACED
        venue.market(SELL, "0.004")
        assert venue.query(far).status is OrderStatus.EXPIRED
        assert venue.query(near).status is OrderStatus.NEW

    def test_all_expire_when_the_position_flips_even_within_one_sweep(self, venue):
        venue.long("0.010")
        venue.depth(asks=[(600_001 + i, 0) for i in range(5)])
        venue.limit(SELL, "0.012", "60000.1")
        reducing = venue.limit(SELL, "0.010", "60000.2", reduce_only=True)
        venue.background_buys(30)
        assert venue.position().steps == -2
        assert venue.query(reducing).status is OrderStatus.EXPIRED
        assert venue.query(reducing).executed_steps == 0

    def test_reduce_only_never_flips_the_position(self, venue):
        venue.long("0.010")
        order = venue.market(SELL, "0.010", reduce_only=True)
        assert order.status is OrderStatus.FILLED
        assert venue.position().steps == 0


class TestSelfTradePrevention:
    def cross(self, venue, mode, tif=GTC, account_id="maker"):
        venue.depth(asks=[(600_001, 0)])
        resting = venue.limit(SELL, "0.010", "60000.1")
        venue.heard()
        taker = venue.limit(BUY, "0.020", "60000.2", tif, stp_mode=mode, account_id=account_id)
        return resting, taker

    def test_expire_maker_removes_the_resting_order_and_goes_on(self, venue):
        resting, taker = self.cross(venue, StpMode.EXPIRE_MAKER)
        assert venue.query(resting).status is OrderStatus.EXPIRED_IN_MATCH
        assert (taker.status, taker.executed_steps) == (OrderStatus.FILLED, 20)
        updates = venue.heard(OrderUpdated)
        assert [update.execution for update in updates] == [
            ExecutionType.NEW,
            ExecutionType.EXPIRED,
            ExecutionType.TRADE,
        ]
        assert updates[1].order.expiry_reason is ExpiryReason.SELF_TRADE_PREVENTION

    def test_expire_taker_ends_the_incoming_order_with_what_it_got_before(self, venue):
        resting, taker = self.cross(venue, StpMode.EXPIRE_TAKER)
        assert venue.query(resting).status is OrderStatus.NEW
        assert (taker.status, taker.expiry_reason) == (
            OrderStatus.EXPIRED_IN_MATCH,
            ExpiryReason.SELF_TRADE_PREVENTION,
        )

    def test_expire_both_ends_both(self, venue):
        resting, taker = self.cross(venue, StpMode.EXPIRE_BOTH)
        assert venue.query(resting).status is taker.status is OrderStatus.EXPIRED_IN_MATCH

    def test_an_ioc_remainder_has_its_own_reason(self, venue):
        _, taker = self.cross(venue, StpMode.EXPIRE_TAKER, IOC)
        assert taker.expiry_reason is ExpiryReason.IOC_REMAINDER_SELF_TRADE

    def test_the_resting_orders_mode_is_ignored(self, venue):
        venue.depth(asks=[(600_001, 0)])
        resting = venue.limit(SELL, "0.010", "60000.1", stp_mode=StpMode.EXPIRE_TAKER)
        venue.limit(BUY, "0.010", "60000.1", stp_mode=StpMode.EXPIRE_MAKER)
        assert venue.query(resting).status is OrderStatus.EXPIRED_IN_MATCH

    def test_fill_or_kill_is_exempt(self, venue):
        resting, taker = self.cross(venue, StpMode.EXPIRE_MAKER, FOK)
        assert venue.query(resting).status is OrderStatus.FILLED
        assert taker.status is OrderStatus.FILLED
        assert venue.position().steps == 10

    def test_a_market_order_whose_whole_liquidity_was_its_own_expires(self, open_venue):
        venue = open_venue(asks=())
        venue.account()
        resting = venue.limit(SELL, "0.010", "60000.1")
        taker = venue.market(BUY, "0.010")
        assert venue.query(resting).status is OrderStatus.EXPIRED_IN_MATCH
        assert (taker.status, taker.executed_steps) == (OrderStatus.EXPIRED, 0)

    @pytest.mark.parametrize(("group", "trades"), [(7, False), (8, True), (-1, True)])
    def test_accounts_of_one_trade_group_are_one(self, open_venue, group, trades):
        venue = open_venue()
        venue.account("maker", trade_group_id=7 if group != -1 else -1)
        venue.account("sibling", trade_group_id=group)
        resting, _ = self.cross(venue, StpMode.EXPIRE_MAKER, account_id="sibling")
        expected = OrderStatus.FILLED if trades else OrderStatus.EXPIRED_IN_MATCH
        assert venue.query(resting).status is expected


class TestAmendments:
    def test_it_changes_price_and_total_and_keeps_both_ids(self, venue):
        order = venue.limit(BUY, "0.010", "59999", client_order_id="px-1")
        venue.heard()
        amended = venue.amend(order, "0.020", "59999.5", modify_id=42)
        assert (amended.order_id, amended.client_order_id) == (order.order_id, "px-1")
        assert (amended.price_ticks, amended.orig_steps, amended.status) == (599_995, 20, OrderStatus.NEW)
        update = last_update(venue)
        assert (update.execution, update.modify_id) == (ExecutionType.AMENDMENT, 42)
        assert update.bid_notional_e8 == venue.spec.notional_e8(599_995, 20)

    def test_it_loses_queue_priority_even_when_it_only_gets_smaller(self, venue):
        order = venue.limit(BUY, "0.010", "60000")
        venue.depth(bids=[(600_000, 3000)])
        assert venue.ahead_of(order) == 1000
        venue.amend(order, "0.005", "60000")
        assert venue.ahead_of(order) == 3000

    def test_the_quantity_is_the_total_not_the_remainder(self, venue):
        order = venue.limit(BUY, "0.010", "60000")
        venue.background_sells(1004)
        amended = venue.amend(order, "0.006", "60000")
        assert (amended.status, amended.leaves_steps) == (OrderStatus.PARTIALLY_FILLED, 2)

    def test_a_gtc_order_amended_across_the_spread_takes(self, venue):
        order = venue.limit(BUY, "0.010", "59999")
        venue.heard()
        amended = venue.amend(order, "0.010", "60000.1")
        assert amended.status is OrderStatus.FILLED
        assert venue.private() == [
            ("TradeLite", ""),
            ("OrderUpdated", "AMENDMENT"),
            ("AccountUpdated", "ORDER"),
            ("OrderUpdated", "TRADE"),
        ]

    @pytest.mark.parametrize("end", list(OrderEnd), ids=lambda end: end.name)
    @pytest.mark.parametrize("cause", ["post-only would take", "not above what is filled"])
    def test_it_ends_the_order_as_the_setting_says(self, open_venue, end, cause):
        venue = open_venue(settings=ExchangeSettings(amendment_end=end))
        venue.account()
        order = venue.limit(BUY, "0.010", "60000", GTX)
        if cause == "post-only would take":
            ended = venue.amend(order, "0.010", "60000.1")
        else:
            venue.background_sells(1004)
            ended = venue.amend(order, "0.004", "60000")
        execution, status = end.outcome
        assert ended.status is status
        update = last_update(venue)
        assert (update.execution, update.order.status, update.bid_notional_e8) == (execution, status, 0)
        assert venue.refused(venue.cancel, order) == -2011

    @pytest.mark.parametrize(
        ("qty", "price", "fields", "code"),
        [
            ("0.010", "59999", {}, -5027),
            ("0.010", "59999.05", {}, -4014),
            ("0.010", "59999.001", {}, -1111),
            ("0.0105", "59999", {}, -1111),
            ("0.010", "63000.1", {}, -4016),
            ("1001", "59999", {}, -4005),
            ("0.001", "49000", {}, -5029),
            ("0.010", "59998", {"side": SELL}, -1117),
            ("0.010", "59998", {"reduce_only": True}, -5047),
            ("100", "59998", {}, -2019),
        ],
    )
    def test_a_bad_amendment_is_refused_and_the_order_stays(self, venue, qty, price, fields, code):
        order = venue.limit(BUY, "0.010", "59999")
        assert venue.refused(venue.amend, order, qty, price, **fields) == code
        assert venue.query(order) == order
        assert venue.ahead_of(order) == 0

    def test_an_unknown_order_is_refused(self, venue):
        order = venue.limit(BUY, "0.010", "59999")
        venue.cancel(order)
        assert venue.refused(venue.amend, order, "0.010", "59998") == -2013

    def test_a_symbol_out_of_trading_is_refused(self, venue):
        order = venue.limit(BUY, "0.010", "59999")
        venue.exchange.set_status(venue.symbol, SymbolStatus.PRE_SETTLE, venue.now)
        assert venue.refused(venue.amend, order, "0.010", "59998") == -5024

    def test_the_ten_thousandth_is_the_last(self, venue):
        order = venue.limit(BUY, "0.010", "59999")
        venue.open(order).amend_count = venue.spec.max_amendments
        assert venue.refused(venue.amend, order, "0.010", "59998") == -5026

    def test_a_reduce_only_order_may_not_grow_beyond_the_position(self, venue):
        venue.long("0.010")
        order = venue.limit(SELL, "0.005", "60001", reduce_only=True)
        assert venue.amend(order, "0.010", "60001", reduce_only=True).orig_steps == 10
        assert venue.refused(venue.amend, order, "0.011", "60001") == -2022

    def test_its_history_is_kept(self, venue):
        order = venue.limit(BUY, "0.010", "59999")
        venue.amend(order, "0.010", "59998", modify_id=7)
        venue.amend(order, "0.020", "59998")
        rows = venue.exchange.amendments("maker", venue.symbol, OrderRef(order.order_id), venue.now)
        assert [
            (row.count, row.price_ticks_before, row.price_ticks_after, row.orig_steps_after, row.modify_id)
            for row in rows
        ] == [(1, 599_990, 599_980, 10, 7), (2, 599_980, 599_980, 20, None)]


def test_the_domain_takes_requests_as_the_wire_makes_them(venue):
    request = NewOrder(
        symbol="BTCUSDT",
        side=BUY,
        type=OrderType.LIMIT,
        quantity=Decimal("1e-2"),
        price=Decimal("59999.00"),
        time_in_force=GTC,
    )
    order = venue.exchange.place("maker", request, venue.now)
    assert (order.orig_steps, order.price_ticks, len(order.client_order_id)) == (10, 599_990, 22)


def test_trade_lite_carries_the_fill_and_the_orders_terms(venue):
    venue.heard()
    venue.market(BUY, "0.010")
    (lite,) = venue.heard(TradeLite)
    assert (lite.fill.price_ticks, lite.fill.qty_steps, lite.fill.is_maker) == (600_001, 10, False)
    assert lite.order.orig_steps == 10
