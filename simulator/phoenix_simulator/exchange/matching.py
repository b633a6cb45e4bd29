"""The matching engine of one symbol: price-time priority, fills at the resting order's price, one time per match.

A taker meets, at the best price first, the background ahead of the oldest account order, that order, and so on. What a
fill does to accounts is settled before the next counterpart is looked at, because a fill can take orders off the book
(reduce-only orders that would now reverse the position).
"""

from collections.abc import Mapping

from phoenix_simulator.exchange import errors
from phoenix_simulator.exchange.accounts import Account, Holding
from phoenix_simulator.exchange.book import BookSide
from phoenix_simulator.exchange.events import (
    AccountUpdated,
    Fill,
    OrderUpdated,
    TradeLite,
    TradePrinted,
    UpdateReason,
)
from phoenix_simulator.exchange.ledger import Ledger
from phoenix_simulator.exchange.listing import Emit, Listing
from phoenix_simulator.exchange.orders import (
    ExecutionType,
    ExpiryReason,
    ForcedBy,
    Order,
    OrderStatus,
    OrderType,
    Side,
    StpMode,
    TimeInForce,
)
from phoenix_simulator.exchange.settings import ExchangeSettings, FillEvent

_RESTS = frozenset({TimeInForce.GTC, TimeInForce.GTX, TimeInForce.GTD, TimeInForce.RPI})
_STP_EXEMPT = frozenset({TimeInForce.FOK, TimeInForce.GTX, TimeInForce.RPI})


class Matcher:
    def __init__(
        self, listing: Listing, accounts: Mapping[str, Account], ledger: Ledger, settings: ExchangeSettings, emit: Emit
    ) -> None:
        self.listing = listing
        self._accounts = accounts
        self._ledger = ledger
        self._settings = settings
        self._emit = emit
        self._opening: OrderUpdated | None = None
        """The taker's NEW or AMENDMENT, held back until its first fill says where it belongs in the sequence."""

    # ---- accounts' orders ---------------------------------------------------------------------------------------

    def refuse_unmatchable(self, order: Order) -> None:
        """The engine's own refusals: post-only that would take (−5022), fill-or-kill that cannot (−5021)."""
        if order.time_in_force.is_post_only and self.would_take(order.side, order.price_ticks):
            raise errors.post_only_rejected()
        if order.time_in_force is TimeInForce.FOK:
            against = self.listing.book.against(order.side)
            if against.available(against.key_of(order.price_ticks), order.orig_steps) < order.orig_steps:
                raise errors.fok_rejected()

    def would_take(self, side: Side, price_ticks: int) -> bool:
        against = self.listing.book.against(side)
        best = against.best()
        return best is not None and best >= against.key_of(price_ticks)

    def submit(self, order: Order, now_ms: int) -> None:
        """Match a new order, then let it rest or expire. It passed all checks."""
        self._holding(order).admit(order)
        self._match(order, self._update(ExecutionType.NEW, order, now_ms), now_ms)

    def amend(self, order: Order, price_ticks: int, orig_steps: int, modify_id: int | None, now_ms: int) -> None:
        """New price and total: the order goes to the back of the queue, or takes."""
        self._unrest(order, now_ms)
        holding = self._holding(order)
        holding.count_leaves(order, -order.leaves_steps)
        order.price_ticks, order.orig_steps = price_ticks, orig_steps
        holding.count_leaves(order, order.leaves_steps)
        order.amend_count += 1
        order.updated_ms = now_ms
        self._match(order, self._update(ExecutionType.AMENDMENT, order, now_ms, modify_id=modify_id), now_ms)

    def close(
        self,
        order: Order,
        execution: ExecutionType,
        status: OrderStatus,
        now_ms: int,
        reason: ExpiryReason = ExpiryReason.NONE,
    ) -> None:
        """End an open order, resting or not, with one event."""
        self._unrest(order, now_ms)
        self._holding(order).release(order)
        order.status, order.updated_ms, order.expiry_reason = status, now_ms, reason
        self._emit(self._update(execution, order, now_ms))

    # ---- orders of the venue itself -----------------------------------------------------------------------------

    def begin_forced(self, order: Order, now_ms: int) -> None:
        """A position of the account is to be closed; each of the methods below fills a part of the order."""
        self._holding(order).admit(order)
        self._opening = self._update(ExecutionType.NEW, order, now_ms)

    def sweep(self, order: Order, limit_ticks: int, now_ms: int) -> None:
        """As much as the book takes within `limit_ticks`."""
        against = self.listing.book.against(order.side)
        self._sweep(order.side, order.leaves_steps, against.key_of(limit_ticks), order, now_ms)

    def deleverage(self, order: Order, other: Order, price_ticks: int, now_ms: int) -> None:
        """All of `other`, a forced order of somebody who stands on the other side, beside the book."""
        self._holding(other).admit(other)
        self._flush_opening()
        self._emit(self._update(ExecutionType.NEW, other, now_ms))
        self._trade(order, other, order.side, price_ticks=price_ticks, steps=other.leaves_steps, now_ms=now_ms)

    def take_over(self, order: Order, price_ticks: int, now_ms: int) -> None:
        """The background takes what is left at a price, whatever the book shows."""
        self._trade(order, None, order.side, price_ticks=price_ticks, steps=order.leaves_steps, now_ms=now_ms)

    def _match(self, order: Order, opening: OrderUpdated, now_ms: int) -> None:
        self._opening = opening
        against = self.listing.book.against(order.side)
        limit_ticks = order.price_ticks or self.market_limit_ticks(order.side)
        self._sweep(order.side, order.leaves_steps, against.key_of(limit_ticks), order, now_ms)
        self._flush_opening()
        if not order.status.is_open:
            return
        if order.time_in_force in _RESTS and order.type is OrderType.LIMIT:
            self.listing.side_of(order).add(order)
            self.listing.touch_order(order, now_ms)
            return
        reason = ExpiryReason.MARKET_REMAINDER if order.type is OrderType.MARKET else ExpiryReason.IOC_REMAINDER
        self.close(order, ExecutionType.EXPIRED, OrderStatus.EXPIRED, now_ms, reason)

    def market_limit_ticks(self, side: Side) -> int:
        """marketTakeBound: the furthest price at which a market order executes."""
        spec = self.listing.spec
        factor = 1 + side.sign * spec.market_take_bound
        bound_e8 = int(self.listing.mark_e8 * factor)
        return bound_e8 // spec.tick_e8 if side is Side.BUY else -(-bound_e8 // spec.tick_e8)

    # ---- the background -----------------------------------------------------------------------------------------

    def background_takes(self, side: Side, steps: int, limit_ticks: int | None, now_ms: int) -> None:
        """A synthetic market order sweeps the book. It is retail flow: at a price it comes to retail orders last."""
        against, retail = self.listing.book.against(side), self.listing.retail.against(side)
        limit_key = None if limit_ticks is None else against.key_of(limit_ticks)
        while steps and retail.queue_keys and (limit_key is None or retail.queue_keys[-1] >= limit_key):
            key = retail.queue_keys[-1]
            steps = self._sweep(side, steps, key, None, now_ms)
            if key not in retail.queues:
                # What was filled before displaced it: reduce-only orders go with their position.
                continue
            order = retail.queues[key].resting[0].order
            if filled := min(steps, order.leaves_steps):
                self._trade(None, order, side, price_ticks=order.price_ticks, steps=filled, now_ms=now_ms)
                steps -= filled
        self._sweep(side, steps, limit_key, None, now_ms)

    def recorded_print(self, side: Side, price_ticks: int, steps: int, now_ms: int) -> None:
        """A recorded trade by a taker of `side`: it reaches our orders at better prices, then those at its own price
        once what is ahead of them is eaten; never for more than was printed.
        """
        own = self.listing.book.against(side)
        print_key = own.key_of(price_ticks)
        while steps and own.queue_keys and own.queue_keys[-1] >= print_key:
            key = own.queue_keys[-1]
            queue = own.queues[key]
            front = queue.resting[0]
            if key == print_key and front.ahead_steps:
                eaten = min(front.ahead_steps, steps)
                queue.consume(eaten)
                steps -= eaten
                continue
            filled = min(front.order.leaves_steps, steps)
            self._trade(None, front.order, side, price_ticks=front.order.price_ticks, steps=filled, now_ms=now_ms)
            if key == print_key:
                queue.print_instead(filled)
            steps -= filled

    def fill_crossed(self, now_ms: int) -> None:
        """Background liquidity was stated at or beyond our orders' prices: it would have met them first."""
        book = self.listing.book
        for side, own, other in ((Side.BUY, book.asks, book.bids), (Side.SELL, book.bids, book.asks)):
            # `side` is the taker's: background bids (BUY) against our asks, and the reverse.
            while own.queue_keys:
                other_key = other.best_background()
                own_key = own.queue_keys[-1]
                if other_key is None or other_key + own_key < 0:
                    break
                order = own.queues[own_key].resting[0].order
                steps = min(order.leaves_steps, other.background(other_key))
                self._consume(other, other_key, steps)
                self._trade(None, order, side, price_ticks=order.price_ticks, steps=steps, now_ms=now_ms)

    # ---- one match ----------------------------------------------------------------------------------------------

    def _sweep(self, side: Side, wanted: int, limit_key: int | None, taker: Order | None, now_ms: int) -> int:
        """Trade with counterparts in priority until nothing is wanted or none is left; returns what is still wanted."""
        against = self.listing.book.against(side)
        while wanted and (taker is None or taker.status.is_open):
            counterpart = against.counterpart(limit_key)
            if counterpart is None:
                break
            maker = counterpart.order
            if maker is not None and taker is not None and self._prevents(taker, maker):
                self._prevent(taker, maker, now_ms)
                continue
            steps = min(wanted, counterpart.steps)
            wanted -= steps
            if maker is None:
                self._consume(against, counterpart.key, steps)
            self._trade(taker, maker, side, price_ticks=counterpart.key * against.sign, steps=steps, now_ms=now_ms)
        return wanted

    def _consume(self, side: BookSide, key: int, steps: int) -> None:
        side.consume(key, steps, keep_level=self.listing.is_replay)
        self.listing.mark_dirty(side, key)

    def _trade(
        self, taker: Order | None, maker: Order | None, side: Side, *, price_ticks: int, steps: int, now_ms: int
    ) -> None:
        """One trade between a taker of `side` and a maker; None is the background."""
        listing = self.listing
        trade_id = listing.next_trade_id()
        if not listing.is_replay:
            is_retail = maker is not None and maker.time_in_force is TimeInForce.RPI
            listing.print_trade(
                TradePrinted(listing.spec.symbol, now_ms, trade_id, price_ticks, steps, side is Side.SELL, is_retail)
            )
        if taker is None and maker is None:
            return
        for order, is_maker in ((taker, False), (maker, True)):
            if order is not None:
                self._settle(order, trade_id, price_ticks, steps, now_ms, is_maker=is_maker)
        if maker is None and taker is not None:
            self._ledger.against_background(listing, taker, price_ticks, steps)
        elif taker is None and maker is not None:
            self._ledger.against_background(listing, maker, price_ticks, steps)

    def _settle(
        self, order: Order, trade_id: int, price_ticks: int, steps: int, now_ms: int, *, is_maker: bool
    ) -> None:
        account = self._accounts[order.account_id]
        holding = account.holdings[order.symbol]
        holding.count_leaves(order, -steps)
        order.executed_steps += steps
        order.cum_quote_e8 += self.listing.spec.notional_e8(price_ticks, steps)
        order.updated_ms = now_ms
        if is_maker:
            self.listing.touch_order(order, now_ms)
        if order.leaves_steps:
            order.status = OrderStatus.PARTIALLY_FILLED
        else:
            order.status = OrderStatus.FILLED
            self._unrest(order, now_ms)
            holding.release(order)
        fill = self._ledger.fill(
            self.listing,
            account,
            order,
            trade_id=trade_id,
            price_ticks=price_ticks,
            steps=steps,
            is_maker=is_maker,
            now_ms=now_ms,
        )
        self._tell_fill(account, holding, order, fill, now_ms)
        if holding.reduce_only_steps:
            self._displace_reduce_only(holding, now_ms)

    def _tell_fill(self, account: Account, holding: Holding, order: Order, fill: Fill, now_ms: int) -> None:
        snapshot = order.snapshot()
        is_calculated = order.forced_by in {ForcedBy.LIQUIDATION, ForcedBy.ADL}
        execution = ExecutionType.CALCULATED if is_calculated else ExecutionType.TRADE
        for kind in self._settings.fill_events:
            match kind:
                case FillEvent.TRADE_LITE:
                    self._emit(TradeLite(account.account_id, now_ms, fill, snapshot))
                case FillEvent.OPENING:
                    self._flush_opening()
                case FillEvent.ACCOUNT:
                    assets = dict.fromkeys((self.listing.spec.margin_asset, fill.commission_asset))
                    self._emit(
                        AccountUpdated(
                            account.account_id,
                            now_ms,
                            UpdateReason.ORDER,
                            tuple(account.balance(asset) for asset in assets),
                            (holding.state(self.listing.mark_e8, order.position_side),),
                        )
                    )
                case FillEvent.TRADE:
                    self._emit(self._update(execution, snapshot, now_ms, fill=fill))

    # ---- orders that must not meet, orders that must go ---------------------------------------------------------

    def _prevents(self, taker: Order, maker: Order) -> bool:
        if taker.time_in_force in _STP_EXEMPT or taker.stp_mode is StpMode.NONE:
            return False
        return self._accounts[taker.account_id].same_owner(self._accounts[maker.account_id])

    def _prevent(self, taker: Order, maker: Order, now_ms: int) -> None:
        """The incoming order's mode decides; the resting order's is ignored."""
        self._flush_opening()
        if taker.stp_mode in (StpMode.EXPIRE_MAKER, StpMode.EXPIRE_BOTH):
            reason = ExpiryReason.SELF_TRADE_PREVENTION
            self.close(maker, ExecutionType.EXPIRED, OrderStatus.EXPIRED_IN_MATCH, now_ms, reason)
        if taker.stp_mode in (StpMode.EXPIRE_TAKER, StpMode.EXPIRE_BOTH):
            is_ioc = taker.time_in_force is TimeInForce.IOC
            reason = ExpiryReason.IOC_REMAINDER_SELF_TRADE if is_ioc else ExpiryReason.SELF_TRADE_PREVENTION
            self.close(taker, ExecutionType.EXPIRED, OrderStatus.EXPIRED_IN_MATCH, now_ms, reason)

    def _displace_reduce_only(self, holding: Holding, now_ms: int) -> None:
        """Reduce-only orders may together not exceed the position: the worst-priced, youngest ones expire first."""
        for side in (Side.BUY, Side.SELL):
            orders = [order for order in holding.open.values() if order.reduce_only and order.side is side]
            excess = sum(order.leaves_steps for order in orders) - holding.reducible_steps(side)
            if excess <= 0:
                continue
            # Market orders carry price 0 and are matching right now: they go last.
            orders.sort(
                key=lambda order: (order.price_ticks == 0, order.price_ticks * order.side.sign, -order.order_id)
            )
            for order in orders:
                if excess <= 0:
                    break
                excess -= order.leaves_steps
                reason = ExpiryReason.REDUCE_ONLY_DISPLACED
                self.close(order, ExecutionType.EXPIRED, OrderStatus.EXPIRED, now_ms, reason)

    # ---- small parts --------------------------------------------------------------------------------------------

    def _holding(self, order: Order) -> Holding:
        return self._accounts[order.account_id].holdings[order.symbol]

    def _unrest(self, order: Order, now_ms: int) -> None:
        """Take the order off the book if it rests there."""
        if self.listing.side_of(order).remove(order):
            self.listing.touch_order(order, now_ms)

    def _flush_opening(self) -> None:
        opening, self._opening = self._opening, None
        if opening is not None:
            self._emit(opening)

    def _update(
        self,
        execution: ExecutionType,
        order: Order,
        now_ms: int,
        *,
        fill: Fill | None = None,
        modify_id: int | None = None,
    ) -> OrderUpdated:
        holding = self._holding(order)
        return OrderUpdated(
            order.account_id,
            now_ms,
            execution,
            order.snapshot(),
            holding.bid_notional_e8,
            holding.ask_notional_e8,
            fill,
            modify_id,
        )
