"""Whatever happens, in whatever order: nothing is lost, nothing appears, and every index agrees with every other."""

from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from phoenix_simulator.exchange.algo_orders import ConditionalType, NewAlgoOrder, WorkingType
from phoenix_simulator.exchange.book import QueueModel
from phoenix_simulator.exchange.conditional import ConditionalOrders
from phoenix_simulator.exchange.errors import VenueError
from phoenix_simulator.exchange.events import DepthChanged, OrderUpdated, TouchChanged, TradePrinted
from phoenix_simulator.exchange.exchange import Exchange
from phoenix_simulator.exchange.margin import standing_margin
from phoenix_simulator.exchange.orders import (
    AmendOrder,
    ExecutionType,
    NewOrder,
    OrderRef,
    OrderType,
    PositionSide,
    Side,
    StpMode,
    TimeInForce,
)
from phoenix_simulator.exchange.settings import ExchangeSettings
from phoenix_simulator.exchange.symbols import BUILT_IN, E8
from phoenix_simulator.market.source import (
    DepthUpdate,
    MarketKind,
    MarketStart,
    MarkUpdate,
    PrintUpdate,
    TakerUpdate,
    TouchUpdate,
)

SPEC = BUILT_IN["BTCUSDT"]
SYMBOL = SPEC.symbol
ACCOUNTS = ("ada", "bob", "cleo", "dora", "eve", "finn")
HEDGED = "dora"
ISOLATED = "eve"
JOINT = "finn"
ASSETS = ("USDT", "BTC", "BNB")
START_MS = 1_760_000_000_000
MIDDLE = 600_000

accounts = st.sampled_from(ACCOUNTS)
offsets = st.integers(-6, 6)
quantities = st.integers(1, 40)
legs = st.sampled_from([PositionSide.LONG, PositionSide.SHORT])


class Market(RuleBasedStateMachine):
    """Six accounts (two of one trade group, one poor, one in hedge mode, one with isolated margin, one in multi-assets
    mode that pays its fees in BNB) and the background on a narrow book, so that all collide.
    """

    kind: MarketKind

    @initialize(model=st.sampled_from(list(QueueModel)), fund=st.sampled_from([None, 0, 50]))
    def open(self, model, fund):
        self.now = START_MS
        self.next_update_id = 1000
        self.events = []
        fund_e8 = None if fund is None else fund * E8
        self.exchange = Exchange(ExchangeSettings(queue_model=model, insurance_fund_e8=fund_e8))
        self.exchange.listeners.append(self.events.append)
        self.executed_by_update = None
        self.exchange.followers.append(self.note_executed)
        self.conditional = ConditionalOrders(self.exchange)
        self.bids = tuple((MIDDLE - i, 20) for i in range(1, 5))
        self.asks = tuple((MIDDLE + i, 20) for i in range(1, 5))
        start = MarketStart(self.kind, self.bids, self.asks, 60_000 * E8, 60_000 * E8, 10_000, 1000, 500)
        self.exchange.list_symbol(SPEC, start, self.now)
        for account_id, usdt, group in (("ada", 100_000, 1), ("bob", 100_000, 1), ("cleo", 300, -1)):
            self.exchange.open_account(account_id, {"USDT": usdt * E8}, self.now, group)
        self.exchange.open_account(HEDGED, {"USDT": 300 * E8}, self.now)
        self.exchange.set_position_mode(HEDGED, True)
        self.exchange.open_account(ISOLATED, {"USDT": 300 * E8}, self.now)
        self.exchange.set_margin_type(ISOLATED, SYMBOL, True, self.now)
        self.exchange.set_leverage(ISOLATED, SYMBOL, 100, self.now)
        wallets = {"USDT": 20 * E8, "BTC": E8 // 200, "BNB": E8 // 50}
        self.exchange.open_account(JOINT, wallets, self.now)
        self.exchange.set_assets_mode(JOINT, True, self.now)
        self.exchange.set_fee_burn(JOINT, True)
        self.heard_depth_id = 1000
        self.public = ({}, {})
        self.public[0].update(self.bids)
        self.public[1].update(self.asks)
        self.fills_heard = 0

    @property
    def listing(self):
        return self.exchange.listing(SYMBOL)

    @property
    def holdings(self):
        return [account.holding(SPEC) for account in self.exchange.accounts.values()]

    # ---- what may happen ----------------------------------------------------------------------------------------

    @rule(
        account_id=accounts,
        side=st.sampled_from(Side),
        offset=offsets,
        steps=quantities,
        tif=st.sampled_from(TimeInForce),
        stp=st.sampled_from(StpMode),
        reduce_only=st.booleans(),
        leg=legs,
    )
    def place(self, account_id, side, offset, steps, tif, stp, reduce_only, leg):
        self.attempt(
            self.exchange.place,
            account_id,
            NewOrder(
                symbol=SYMBOL,
                side=side,
                type=OrderType.LIMIT,
                quantity=SPEC.quantity_to_decimal(steps),
                price=SPEC.price_to_decimal(MIDDLE + offset),
                time_in_force=tif,
                stp_mode=stp,
                **self.mode(account_id, leg, reduce_only),
                good_till_ms=self.now + 601_000 if tif is TimeInForce.GTD else 0,
            ),
            self.now,
        )

    @rule(account_id=accounts, side=st.sampled_from(Side), steps=quantities, reduce_only=st.booleans(), leg=legs)
    def take(self, account_id, side, steps, reduce_only, leg):
        request = NewOrder(
            symbol=SYMBOL,
            side=side,
            type=OrderType.MARKET,
            quantity=SPEC.quantity_to_decimal(steps),
            **self.mode(account_id, leg, reduce_only),
        )
        self.attempt(self.exchange.place, account_id, request, self.now)

    @rule(account_id=accounts, pick=st.integers(0, 10), offset=offsets, steps=quantities)
    def amend(self, account_id, pick, offset, steps):
        orders = self.exchange.open_orders(account_id)
        if orders:
            order = orders[pick % len(orders)]
            request = AmendOrder(
                symbol=SYMBOL,
                ref=OrderRef(order.order_id),
                side=order.side,
                quantity=SPEC.quantity_to_decimal(steps),
                price=SPEC.price_to_decimal(MIDDLE + offset),
            )
            self.attempt(self.exchange.modify, account_id, request, self.now)

    @rule(account_id=accounts, pick=st.integers(0, 10))
    def cancel(self, account_id, pick):
        orders = self.exchange.open_orders(account_id)
        if orders:
            ref = OrderRef(orders[pick % len(orders)].order_id)
            self.exchange.cancel(account_id, SYMBOL, ref, self.now)

    @rule(
        account_id=accounts,
        side=st.sampled_from(Side),
        kind=st.sampled_from([ConditionalType.STOP_MARKET, ConditionalType.TAKE_PROFIT_MARKET]),
        offset=offsets,
        steps=st.none() | quantities,
        working_type=st.sampled_from(WorkingType),
        leg=legs,
    )
    def place_conditional(self, account_id, side, kind, offset, steps, working_type, leg):
        request = NewAlgoOrder(
            symbol=SYMBOL,
            side=side,
            type=kind,
            quantity=None if steps is None else SPEC.quantity_to_decimal(steps),
            trigger_price=SPEC.price_to_decimal(MIDDLE + offset),
            working_type=working_type,
            close_position=steps is None,
            position_side=leg if account_id == HEDGED else PositionSide.BOTH,
        )
        self.attempt(self.conditional.place, account_id, request, self.now)

    @rule(account_id=accounts, amount_e8=st.integers(-50 * E8, 50 * E8))
    def move_margin(self, account_id, amount_e8):
        self.attempt(self.exchange.move_margin, account_id, SYMBOL, PositionSide.BOTH, amount_e8, self.now)

    @rule(fraction=st.floats(0.01, 1))
    def deleverage(self, fraction):
        self.exchange.deleverage(SYMBOL, fraction, self.now)

    @rule(account_id=accounts)
    def cancel_all(self, account_id):
        self.exchange.cancel_all(account_id, SYMBOL, self.now)

    @rule(price=st.integers(59_000, 61_000), rate_e8=st.integers(-30_000, 30_000))
    def mark(self, price, rate_e8):
        held = [account for account in self.exchange.accounts.values() if account.holding(SPEC).has_position]
        self.exchange.apply(SYMBOL, MarkUpdate(0, price * E8 + 12345678, price * E8, rate_e8), self.now)
        for account in held:
            margin = standing_margin(account, "USDT", self.exchange.prices)
            assert not margin.must_liquidate
            if not account.holding(SPEC).has_position:
                assert margin.margin_balance_e8 >= 0, "who is closed out owes nothing"

    @rule(hours=st.integers(1, 9))
    def wait(self, hours):
        self.now += hours * 3_600_000 + 7
        self.exchange.advance(self.now)

    def mode(self, account_id, leg, reduce_only):
        return {"position_side": leg} if account_id == HEDGED else {"reduce_only": reduce_only}

    @property
    def positions(self):
        return [holding.position_of(side) for holding in self.holdings for side in PositionSide]

    def note_executed(self, _now_ms):
        """What an update itself filled, before conditional orders follow it."""
        if self.executed_by_update is None:
            self.executed_by_update = self.executed()

    def executed(self):
        return sum(
            order.executed_steps
            for holding in self.holdings
            for orders in (holding.open, holding.closed)
            for order in orders.values()
        )

    def attempt(self, call, *arguments):
        events = len(self.events)
        books = self.books()
        try:
            call(*arguments)
        except VenueError:
            assert len(self.events) == events, "a refused request is not heard"
            assert self.books() == books, "a refused request changes nothing"

    def books(self):
        return (
            [dict(account.wallets_e8) for account in self.exchange.accounts.values()],
            [(position.steps, position.cost_e8, position.margin_e8) for position in self.positions],
            [(len(holding.open), holding.bid_notional_e8) for holding in self.holdings],
            self.exchange.depth(SYMBOL, 100),
        )

    # ---- what must hold -----------------------------------------------------------------------------------------

    @invariant()
    def every_wallet_is_the_sum_of_its_income_rows(self):
        for account in self.exchange.accounts.values():
            for asset in ASSETS:
                rows = [row for row in account.income if row.asset == asset]
                assert account.wallet_e8(asset) == sum(row.amount_e8 for row in rows)

    @invariant()
    def wallets_treasury_and_background_sum_to_zero(self):
        background = self.listing.background
        open_cost = sum(position.cost_e8 * (1 if position.steps > 0 else -1) for position in self.positions)
        traded = {"USDT": open_cost - background.cash_e8 - background.funding_e8}
        for asset in ASSETS:
            treasury = self.exchange.treasury
            wallets = sum(account.wallet_e8(asset) for account in self.exchange.accounts.values())
            assert wallets == (
                treasury.deposits_e8[asset]
                - treasury.fees_e8[asset]
                - treasury.insurance_e8[asset]
                - treasury.exchanged_e8[asset]
                + traded.get(asset, 0)
            )

    @invariant()
    def positions_sum_to_zero_with_the_background(self):
        assert sum(position.steps for position in self.positions) + self.listing.background.steps == 0

    @invariant()
    def margin_is_set_aside_for_isolated_positions_only(self):
        for account_id, account in self.exchange.accounts.items():
            position = account.holding(SPEC).position
            if account_id != ISOLATED:
                assert account.isolated_e8("USDT") == 0
            elif not position.steps:
                assert position.margin_e8 == 0

    @invariant()
    def positions_are_of_the_accounts_mode(self):
        for account_id, account in self.exchange.accounts.items():
            holding = account.holding(SPEC)
            if account_id == HEDGED:
                assert holding.long.steps >= 0 >= holding.short.steps
                assert not holding.position.steps
            else:
                assert not holding.long.steps
                assert not holding.short.steps

    @invariant()
    def an_account_trades_what_its_fills_say(self):
        for holding in self.holdings:
            for side in PositionSide:
                position = holding.position_of(side)
                fills = [fill for fill in holding.fills if fill.position_side is side]
                assert position.steps == sum(fill.side.sign * fill.qty_steps for fill in fills)
                assert position.realised_e8 == sum(fill.realised_e8 for fill in fills)
            for orders in (holding.open, holding.closed, holding.unfilled):
                for order in orders.values():
                    assert 0 <= order.executed_steps <= order.orig_steps
                    fills = [fill for fill in holding.fills if fill.order_id == order.order_id]
                    assert order.executed_steps == sum(fill.qty_steps for fill in fills)
                    assert order.cum_quote_e8 == sum(fill.quote_e8 for fill in fills)

    @invariant()
    def open_orders_rest_in_the_book_and_nothing_else_does(self):
        book = self.listing.book
        resting = {
            entry.order.order_id: entry.order
            for side in (book.bids, book.asks, self.listing.retail.bids, self.listing.retail.asks)
            for queue in side.queues.values()
            for entry in queue.resting
        }
        open_orders = {order_id: order for holding in self.holdings for order_id, order in holding.open.items()}
        assert resting.keys() == open_orders.keys()
        for order_id, order in open_orders.items():
            assert resting[order_id] is order
            assert order.status.is_open
            assert order.leaves_steps > 0

    @invariant()
    def the_indices_of_an_account_agree(self):
        for holding in self.holdings:
            notional = {Side.BUY: 0, Side.SELL: 0}
            for order in holding.open.values():
                notional[order.side] += SPEC.notional_e8(order.price_ticks, order.leaves_steps)
            assert (holding.bid_notional_e8, holding.ask_notional_e8) == (notional[Side.BUY], notional[Side.SELL])
            assert {order.client_order_id for order in holding.open.values()} == holding.open_by_client_id.keys()
            assert len(holding.open_by_client_id) == len(holding.open)

    @invariant()
    def reduce_only_orders_never_exceed_the_position(self):
        for holding in self.holdings:
            reducing = [order for order in holding.open.values() if order.reduce_only]
            assert holding.reduce_only_steps == sum(order.leaves_steps for order in reducing)
            for side in Side:
                total = sum(order.leaves_steps for order in reducing if order.side is side)
                assert total <= holding.reducible_steps(side)

    @invariant()
    def queues_are_in_order_and_within_their_background(self):
        for side in (self.listing.book.bids, self.listing.book.asks):
            assert side.queue_keys == sorted(side.queues)
            assert side.keys == sorted(side.levels)
            assert all(steps > 0 for steps in side.levels.values())
            for key, queue in side.queues.items():
                ahead = [entry.ahead_steps for entry in queue.resting]
                assert ahead == sorted(ahead)
                assert ahead[0] >= 0
                assert ahead[-1] <= queue.background_steps
                if self.kind is MarketKind.SYNTHETIC:
                    assert queue.background_steps == side.levels.get(key, 0)

    @invariant()
    def nothing_that_could_trade_is_left_in_the_book(self):
        bid, ask = self.listing.book.bids, self.listing.book.asks
        if bid.queue_keys and ask.best_background() is not None:
            assert bid.queue_keys[-1] + ask.best_background() < 0
        if ask.queue_keys and bid.best_background() is not None:
            assert ask.queue_keys[-1] + bid.best_background() < 0

    @invariant()
    def the_public_can_rebuild_the_book(self):
        bids, asks = self.public
        for event in self.events:
            match event:
                case DepthChanged():
                    if self.kind is MarketKind.SYNTHETIC:
                        assert event.first_id == self.heard_depth_id + 1
                    self.heard_depth_id = event.last_id
                    for side, levels in ((bids, event.bids), (asks, event.asks)):
                        for ticks, steps in levels:
                            side[ticks] = steps
                case OrderUpdated() if event.execution in (ExecutionType.TRADE, ExecutionType.CALCULATED):
                    assert event.fill is not None
                    assert event.order.executed_steps >= event.fill.qty_steps
                case TradePrinted() | TouchChanged():
                    pass
        self.events.clear()
        depth = self.exchange.depth(SYMBOL, 100)
        assert depth.last_update_id == self.heard_depth_id
        assert dict(depth.bids) == {ticks: steps for ticks, steps in bids.items() if steps}
        assert dict(depth.asks) == {ticks: steps for ticks, steps in asks.items() if steps}
        if self.kind is MarketKind.SYNTHETIC:
            touch = self.listing.touch
            best = [(side[0] if side else (0, 0)) for side in (depth.bids, depth.asks)]
            assert [(touch.bid_ticks, touch.bid_steps), (touch.ask_ticks, touch.ask_steps)] == best
            if depth.bids and depth.asks:
                assert depth.bids[0][0] < depth.asks[0][0]


class SyntheticMarket(Market):
    kind = MarketKind.SYNTHETIC

    @rule(side=st.sampled_from(Side), offset=offsets, steps=st.integers(0, 60))
    def background_quotes(self, side, offset, steps):
        """A level of the background, which never crosses the background's own other side."""
        ticks = MIDDLE + offset
        view = self.exchange.background(SYMBOL)
        best_bid, best_ask = view.best_bid(), view.best_ask()
        if side is Side.BUY and (best_ask is None or ticks < best_ask[0]):
            self.exchange.apply(SYMBOL, DepthUpdate(0, ((ticks, steps),), ()), self.now)
        elif side is Side.SELL and (best_bid is None or ticks > best_bid[0]):
            self.exchange.apply(SYMBOL, DepthUpdate(0, (), ((ticks, steps),)), self.now)

    @rule(is_buy=st.booleans(), steps=quantities, limit=st.none() | offsets)
    def background_takes(self, is_buy, steps, limit):
        limit_ticks = None if limit is None else MIDDLE + limit
        self.exchange.apply(SYMBOL, TakerUpdate(0, is_buy, steps, limit_ticks), self.now)


class ReplayedMarket(Market):
    kind = MarketKind.REPLAY

    @rule(
        bids=st.dictionaries(st.integers(-6, 0), st.integers(0, 60), max_size=3),
        asks=st.dictionaries(st.integers(1, 6), st.integers(0, 60), max_size=3),
    )
    def recorded_depth(self, bids, asks):
        self.next_update_id += 3
        update = DepthUpdate(
            0,
            tuple((MIDDLE + offset, steps) for offset, steps in bids.items()),
            tuple((MIDDLE + offset, steps) for offset, steps in asks.items()),
            self.next_update_id - 2,
            self.next_update_id,
        )
        self.exchange.apply(SYMBOL, update, self.now)

    @rule(bid=offsets, spread=st.integers(1, 3), steps=quantities)
    def recorded_touch(self, bid, spread, steps):
        self.next_update_id += 1
        update = TouchUpdate(0, self.next_update_id, MIDDLE + bid, steps, MIDDLE + bid + spread, steps)
        self.exchange.apply(SYMBOL, update, self.now)

    @rule(offset=offsets, steps=quantities, buyer_is_maker=st.booleans())
    def recorded_print(self, offset, steps, buyer_is_maker):
        before, self.executed_by_update = self.executed(), None
        self.exchange.apply(SYMBOL, PrintUpdate(0, 501, MIDDLE + offset, steps, buyer_is_maker), self.now)
        assert self.executed_by_update - before <= steps, "a print fills no more than was printed"


TestSyntheticMarket = SyntheticMarket.TestCase
TestReplayedMarket = ReplayedMarket.TestCase
TestSyntheticMarket.settings = TestReplayedMarket.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None
)


def test_money_of_one_match_between_accounts_balances_to_the_last_digit(open_venue):
    venue = open_venue()
    venue.account("maker")
    venue.account("taker")
    venue.depth(asks=[(600_001, 0)])
    venue.limit(Side.SELL, "0.007", "60000.1")
    venue.market(Side.BUY, "0.007", "taker")
    (sold,), (bought,) = venue.exchange.fills("maker", SYMBOL), venue.exchange.fills("taker", SYMBOL)
    assert sold.quote_e8 == bought.quote_e8 == int(Decimal("0.007") * Decimal("60000.1") * E8)
    wallets = [venue.exchange.account(name).wallet_e8("USDT") for name in ("maker", "taker")]
    assert sum(wallets) == 200_000 * E8 - sold.commission_e8 - bought.commission_e8
    assert venue.listing.background.cash_e8 == 0
