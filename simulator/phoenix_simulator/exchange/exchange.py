"""The exchange: the one door to the domain. Synchronous; the caller gives the time (engine ms) and hears events.

Every method either does what it says and tells the listeners, or raises `VenueError` and changes nothing.
"""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence

from phoenix_simulator.exchange import account_settings, adl, auto_exchange, checks, errors, funding, history
from phoenix_simulator.exchange.accounts import Account, Holding, Income, IncomeType
from phoenix_simulator.exchange.book import DepthSnapshot, QueueModel
from phoenix_simulator.exchange.events import (
    AccountUpdated,
    AssetsModeChanged,
    ExchangeEvent,
    Fill,
    LeverageChanged,
    StatusChanged,
    UpdateReason,
)
from phoenix_simulator.exchange.feed import Background, Feed
from phoenix_simulator.exchange.forced import settle_contract
from phoenix_simulator.exchange.ledger import Ledger, Treasury
from phoenix_simulator.exchange.liquidation import Liquidator
from phoenix_simulator.exchange.listeners import Listeners
from phoenix_simulator.exchange.listing import Listing
from phoenix_simulator.exchange.margin import (
    AssetMargin,
    PositionRisk,
    asset_margin,
    joint_margin,
    liquidation_price_e8,
    max_withdraw_e8,
    position_risk,
)
from phoenix_simulator.exchange.matching import Matcher
from phoenix_simulator.exchange.orders import (
    Amendment,
    AmendOrder,
    ExecutionType,
    ForcedBy,
    NewOrder,
    Order,
    OrderRef,
    OrderStatus,
    PositionSide,
    TimeInForce,
)
from phoenix_simulator.exchange.prices import Prices
from phoenix_simulator.exchange.settings import ExchangeSettings, OrderEnd
from phoenix_simulator.exchange.symbols import SymbolSpec, SymbolStatus
from phoenix_simulator.exchange.timers import Timers
from phoenix_simulator.market.source import BackgroundView, MarketStart, MarketUpdate, MarkUpdate

_FIRST_ORDER_ID = 8_000_000_000
"""Order ids have the venue's size: a client that keeps them in 32 bits fails here as it would there."""


class Exchange:
    def __init__(self, settings: ExchangeSettings | None = None) -> None:
        self.settings = settings or ExchangeSettings()
        self.listeners = Listeners()
        """Called with each event, in engine order, before the method that caused it returns."""
        self._emit = self.listeners.tell
        self.followers: list[Callable[[int], None]] = []
        """Called with the time (ms) when a request, an update or the timers are done with, and all of it is told."""
        self._listings: dict[str, Listing] = {}
        self._matchers: dict[str, Matcher] = {}
        self._feeds: dict[str, Feed] = {}
        self._accounts: dict[str, Account] = {}
        self.prices = Prices(self._listings)
        self._ledger = Ledger(self.prices)
        self._timers = Timers()
        self._last_order_id = _FIRST_ORDER_ID
        self._last_amendment_id = 0
        self._liquidator = Liquidator(
            self._matchers,
            self._accounts,
            self._ledger,
            self._next_order_id,
            self.prices,
            self._emit,
            self.settings.insurance_fund_e8,
        )

    # ---- setting up ---------------------------------------------------------------------------------------------

    def list_symbol(self, spec: SymbolSpec, start: MarketStart, now_ms: int) -> Listing:
        """Open a market. The next funding time is the next multiple of the interval since midnight UTC."""
        listing = Listing(spec, start, self.settings.queue_model, now_ms, self.listeners)
        matcher = Matcher(listing, self._accounts, self._ledger, self.settings, self._emit)
        self._listings[spec.symbol] = listing
        self._matchers[spec.symbol] = matcher
        self._feeds[spec.symbol] = Feed(listing, matcher, self._emit)
        self._timers.add_funding(spec.symbol, listing.next_funding_ms)
        return listing

    def open_account(
        self, account_id: str, deposits_e8: Mapping[str, int], now_ms: int, trade_group_id: int = -1
    ) -> Account:
        """A new account with these wallet balances (asset → 1e-8)."""
        if account_id in self._accounts:
            msg = f"account {account_id!r} is open already"
            raise ValueError(msg)
        account = self._accounts[account_id] = Account(account_id, trade_group_id, now_ms)
        for asset, amount_e8 in deposits_e8.items():
            self._ledger.transfer(account, asset, amount_e8, now_ms)
        return account

    def transfer(self, account_id: str, asset: str, amount_e8: int, now_ms: int) -> None:
        """Deposit (positive) or withdraw; refused (−2019) beyond what may be withdrawn."""
        account = self._accounts[account_id]
        if amount_e8 < 0 and -amount_e8 > max_withdraw_e8(account, asset, self.prices):
            raise errors.margin_insufficient()
        self._ledger.transfer(account, asset, amount_e8, now_ms)
        reason = UpdateReason.DEPOSIT if amount_e8 > 0 else UpdateReason.WITHDRAW
        balance = account.balance(asset, amount_e8)
        self._emit(AccountUpdated(account_id, now_ms, reason, (balance,), ()))

    def set_status(self, symbol: str, status: SymbolStatus, now_ms: int) -> None:
        """A status that is final ends the contract's orders and positions."""
        listing = self.listing(symbol)
        listing.status = status
        self._emit(StatusChanged(symbol, now_ms, status))
        if status.is_final:
            settle_contract(self._matchers[symbol], self._accounts.values(), self._next_order_id, now_ms)
        self._follow(now_ms)

    def set_funding_interval(self, symbol: str, interval_ms: int, now_ms: int) -> None:
        """The next settlement is at the next multiple of the interval since midnight UTC, as the venue's are."""
        listing = self.listing(symbol)
        listing.set_funding_interval(interval_ms, now_ms)
        self._timers.add_funding(symbol, listing.next_funding_ms)

    def set_queue_model(self, symbol: str, model: QueueModel) -> None:
        """Where others cancel from now on; what an order has ahead of it stays."""
        listing = self.listing(symbol)
        listing.book.set_queue_model(model)
        listing.retail.set_queue_model(model)

    def set_blind(self, symbol: str, is_blind: bool) -> None:
        """While a listing is blind, orders and amendments are refused (−1016); what rests can be cancelled."""
        self.listing(symbol).blind = is_blind

    # ---- trading ------------------------------------------------------------------------------------------------

    def place(self, account_id: str, request: NewOrder, now_ms: int) -> Order:
        """Check, match, rest. Returns the order as it is after matching."""
        order = self._checked(account_id, request, now_ms)
        matcher = self._matchers[request.symbol]
        matcher.refuse_unmatchable(order)
        order.order_id = self._next_order_id()
        if request.client_order_id is None:
            order.client_order_id = _generated_client_id(account_id, order.order_id)
        matcher.submit(order, now_ms)
        if order.good_till_ms and order.status.is_open:
            self._timers.add_expiry(order)
        matcher.listing.publish(now_ms)
        self._follow(now_ms)
        return order.snapshot()

    def test(self, account_id: str, request: NewOrder, now_ms: int) -> Order:
        """All checks of `place` up to the matching engine, without effect; an order that never was (order_id 0)."""
        return self._checked(account_id, request, now_ms)

    def modify(self, account_id: str, request: AmendOrder, now_ms: int) -> Order:
        """The amended order, or one that its amendment ended: quantity not above what is filled, or post-only that
        would take (`ExchangeSettings.amendment_end` says how).
        """
        listing = self._sighted(request.symbol)
        account = self._accounts[account_id]
        order = account.require_open(request.symbol, request.ref)
        holding = account.holdings[request.symbol]
        terms = checks.check_amendment(listing, account, holding, order, request, prices=self.prices)
        matcher = self._matchers[request.symbol]
        takes = order.time_in_force.is_post_only and matcher.would_take(order.side, terms.price_ticks)
        if takes or terms.steps <= order.executed_steps:
            execution, status = self.settings.amendment_end.outcome
            matcher.close(order, execution, status, now_ms)
        else:
            self._record_amendment(holding, order, terms, request.modify_id, now_ms)
            order.price_match = request.price_match
            matcher.amend(order, terms.price_ticks, terms.steps, request.modify_id, now_ms)
        listing.publish(now_ms)
        self._follow(now_ms)
        return order.snapshot()

    def cancel(self, account_id: str, symbol: str, ref: OrderRef, now_ms: int) -> Order:
        """−2011 unless open."""
        listing = self.listing(symbol)
        holding = self._accounts[account_id].holdings.get(symbol)
        order = holding.find_open(ref) if holding is not None else None
        if order is None:
            raise errors.cancel_rejected()
        self._matchers[symbol].close(order, ExecutionType.CANCELED, OrderStatus.CANCELED, now_ms)
        listing.publish(now_ms)
        self._follow(now_ms)
        return order.snapshot()

    def cancel_all(self, account_id: str, symbol: str, now_ms: int) -> int:
        """Cancels every open order of the symbol; returns how many."""
        return self._end_all(account_id, symbol, OrderEnd.CANCELED, now_ms)

    def _end_all(self, account_id: str, symbol: str, end: OrderEnd, now_ms: int) -> int:
        listing = self.listing(symbol)
        holding = self._accounts[account_id].holdings.get(symbol)
        orders = list(holding.open.values()) if holding is not None else []
        for order in orders:
            self._matchers[symbol].close(order, *end.outcome, now_ms)
        listing.publish(now_ms)
        self._follow(now_ms)
        return len(orders)

    def set_countdown(self, account_id: str, symbol: str, countdown_ms: int, now_ms: int) -> None:
        """Cancel everything in `countdown_ms` unless called again; 0 disarms. One-shot."""
        self.listing(symbol)
        self._timers.set_countdown(account_id, symbol, now_ms + countdown_ms if countdown_ms else None)

    # ---- settings -----------------------------------------------------------------------------------------------

    def set_leverage(self, account_id: str, symbol: str, leverage: int, now_ms: int) -> int:
        """Returns the largest notional (1e-8) that the new leverage admits."""
        account, listing = self._accounts[account_id], self.listing(symbol)
        cap_e8 = account_settings.set_leverage(account, listing, leverage, self.prices)
        self._emit(LeverageChanged(account_id, now_ms, symbol, leverage))
        return cap_e8

    def set_margin_type(self, account_id: str, symbol: str, isolated: bool, now_ms: int) -> None:
        """Isolated or cross margin for the symbol."""
        account, listing = self._accounts[account_id], self.listing(symbol)
        account_settings.set_margin_type(account, listing, isolated)
        holding, reason = account.holding(listing.spec), UpdateReason.MARGIN_TYPE_CHANGE
        states = tuple(holding.state(listing.mark_e8, side) for side in holding.sides)
        self._emit(AccountUpdated(account_id, now_ms, reason, (), states))

    def move_margin(self, account_id: str, symbol: str, side: PositionSide, amount_e8: int, now_ms: int) -> None:
        """To an isolated position (positive), or back from it."""
        account, listing = self._accounts[account_id], self.listing(symbol)
        account_settings.move_margin(account, listing, side, amount_e8, self.prices)
        balances = (account.balance(listing.spec.margin_asset),)
        positions = (account.holding(listing.spec).state(listing.mark_e8, side),)
        self._emit(AccountUpdated(account_id, now_ms, UpdateReason.MARGIN_TRANSFER, balances, positions))

    def set_position_mode(self, account_id: str, hedge: bool) -> None:
        """Hedge mode: a long and a short position in each symbol, and each order says which one it is for."""
        account_settings.set_position_mode(self._accounts[account_id], hedge)

    def set_assets_mode(self, account_id: str, multi_assets: bool, now_ms: int) -> None:
        """Multi-assets mode: all wallets together stand behind all positions."""
        account_settings.set_assets_mode(self._accounts[account_id], multi_assets)
        self._emit(AssetsModeChanged(account_id, now_ms, multi_assets))

    def set_fee_burn(self, account_id: str, fee_burn: bool) -> None:
        """Fees in BNB, while the wallet holds some."""
        self._accounts[account_id].fee_burn = fee_burn

    # ---- questions about the venue ------------------------------------------------------------------------------

    @property
    def listings(self) -> Mapping[str, Listing]:
        return self._listings

    @property
    def accounts(self) -> Mapping[str, Account]:
        return self._accounts

    @property
    def treasury(self) -> Treasury:
        return self._ledger.treasury

    def listing(self, symbol: str) -> Listing:
        """−1121 where unknown."""
        listing = self._listings.get(symbol)
        if listing is None:
            raise errors.bad_symbol()
        return listing

    def account(self, account_id: str) -> Account:
        """KeyError where unknown: only the wire knows account ids."""
        return self._accounts[account_id]

    def depth(self, symbol: str, limit: int) -> DepthSnapshot:
        """The public book, best first, with its lastUpdateId."""
        return self.listing(symbol).depth(limit)

    # ---- questions about an account -----------------------------------------------------------------------------

    def order(self, account_id: str, symbol: str, ref: OrderRef, now_ms: int) -> Order:
        """Open or closed; −2013 where unknown or no longer kept."""
        self.listing(symbol)
        return history.find_order(self._accounts[account_id], symbol, ref, now_ms)

    def open_order(self, account_id: str, symbol: str, ref: OrderRef) -> Order:
        """−2013 unless open."""
        self.listing(symbol)
        return self._accounts[account_id].require_open(symbol, ref)

    def open_orders(self, account_id: str, symbol: str | None = None) -> Sequence[Order]:
        """Oldest first within a symbol."""
        if symbol is not None:
            self.listing(symbol)
        return [
            order
            for holding in self._accounts[account_id].holdings.values()
            if symbol is None or holding.spec.symbol == symbol
            for order in holding.open.values()
        ]

    def all_orders(
        self,
        account_id: str,
        symbol: str | None,
        now_ms: int,
        *,
        from_order_id: int | None = None,
        start_ms: int | None = None,
        end_ms: int | None = None,
        forced: Collection[ForcedBy] | None = None,
        limit: int = 500,
    ) -> Sequence[Order]:
        """Ascending by order id: the first from `from_order_id` or `start_ms` on, else the latest. `forced`: only
        those by which the venue closed positions.
        """
        if symbol is not None:
            self.listing(symbol)
        return history.orders(
            self._accounts[account_id],
            symbol,
            now_ms,
            from_order_id=from_order_id,
            start_ms=start_ms,
            end_ms=end_ms,
            forced=forced,
            limit=limit,
        )

    def fills(
        self,
        account_id: str,
        symbol: str,
        *,
        kept_from_ms: int = 0,
        order_id: int | None = None,
        from_trade_id: int | None = None,
        start_ms: int | None = None,
        end_ms: int | None = None,
        limit: int = 500,
    ) -> Sequence[Fill]:
        """userTrades: ascending by trade id; the latest ones unless `from_trade_id` or `start_ms` is given."""
        self.listing(symbol)
        return history.fills(
            self._accounts[account_id],
            symbol,
            kept_from_ms=kept_from_ms,
            order_id=order_id,
            from_trade_id=from_trade_id,
            start_ms=start_ms,
            end_ms=end_ms,
            limit=limit,
        )

    def income(
        self,
        account_id: str,
        *,
        kept_from_ms: int = 0,
        symbol: str | None = None,
        kind: IncomeType | None = None,
        start_ms: int | None = None,
        end_ms: int | None = None,
        page: int = 1,
        limit: int = 100,
    ) -> Sequence[Income]:
        """Ascending by time; pages count from 1."""
        return history.income(
            self._accounts[account_id],
            kept_from_ms=kept_from_ms,
            symbol=symbol,
            kind=kind,
            start_ms=start_ms,
            end_ms=end_ms,
            page=page,
            limit=limit,
        )

    def amendments(self, account_id: str, symbol: str, ref: OrderRef, now_ms: int) -> Sequence[Amendment]:
        """Oldest first; −2013 where the order is unknown."""
        order = self.order(account_id, symbol, ref, now_ms)
        return self._accounts[account_id].holdings[symbol].amendments.get(order.order_id, [])

    def asset_margin(self, account_id: str, asset: str) -> AssetMargin:
        return asset_margin(self._accounts[account_id], asset, self.prices)

    def joint_margin(self, account_id: str) -> AssetMargin:
        """Of all assets together, in US dollars."""
        return joint_margin(self._accounts[account_id], self.prices)

    def position_risk(self, account_id: str, symbol: str, side: PositionSide = PositionSide.BOTH) -> PositionRisk:
        holding = self._accounts[account_id].holding(self.listing(symbol).spec)
        return position_risk(holding, self.prices.mark_e8(symbol), side)

    def liquidation_price_e8(self, account_id: str, symbol: str, side: PositionSide = PositionSide.BOTH) -> int:
        """0 when flat or where no positive price would liquidate."""
        account = self._accounts[account_id]
        return liquidation_price_e8(account, account.holding(self.listing(symbol).spec), self.prices, side)

    # ---- the market and time ------------------------------------------------------------------------------------

    def background(self, symbol: str) -> BackgroundView:
        """What a market source may read between two updates."""
        return Background(self.listing(symbol))

    def apply(self, symbol: str, update: MarketUpdate, now_ms: int) -> None:
        """One update of the market source, with everything it causes (fills, marks, margin calls, liquidations)."""
        self._feeds[symbol].apply(update, now_ms)
        if isinstance(update, MarkUpdate):
            asset = self._listings[symbol].spec.margin_asset
            for account in self._accounts.values():
                holding = account.holdings.get(symbol)
                if holding is not None and holding.has_position:
                    self._liquidator.check(account, asset, now_ms)
                if account.multi_assets:
                    auto_exchange.settle(account, self.prices, self._ledger, self._emit, now_ms)
        for follower in self.followers:
            follower(now_ms)

    def deleverage(self, symbol: str, fraction: float, now_ms: int, account_id: str | None = None) -> bool:
        """Auto-deleveraging: so much (at least a step) of the position that stands first in the queue (of everybody,
        or of one account) is closed against the background at mark. False where there is no position.
        """
        listing = self.listing(symbol)
        candidates = self._accounts.values() if account_id is None else [self._accounts[account_id]]
        line = adl.line(candidates, symbol, listing.mark_e8)
        if not line:
            return False
        account, holding, side = line[0]
        steps = max(1, int(abs(holding.position_of(side).steps) * fraction))
        self._liquidator.deleverage(account, holding, side, steps, now_ms)
        listing.publish(now_ms)
        self._follow(now_ms)
        return True

    def advance(self, now_ms: int) -> None:
        """Timers due by `now_ms`: countdowns, GTD expiries, funding settlements. Cheap when nothing is due."""
        if now_ms < self._timers.next_due_ms:
            return
        for symbol in self._timers.due_fundings(now_ms):
            listing = self._listings[symbol]
            while listing.next_funding_ms <= now_ms:
                funding.settle(listing, self._accounts.values(), self._ledger, self._emit, now_ms)
            self._timers.add_funding(symbol, listing.next_funding_ms)
        for order in self._timers.due_expiries(now_ms):
            if order.status.is_open:
                self._matchers[order.symbol].close(order, *self.settings.good_till_end.outcome, now_ms)
                self._listings[order.symbol].publish(now_ms)
        for account_id, symbol in self._timers.due_countdowns(now_ms):
            self._end_all(account_id, symbol, self.settings.countdown_end, now_ms)
        self._follow(now_ms)

    # ---- small parts --------------------------------------------------------------------------------------------

    def tell(self, event: ExchangeEvent) -> None:
        """What a follower did, in its place among the exchange's own events."""
        self._emit(event)

    def _follow(self, now_ms: int) -> None:
        for follower in self.followers:
            follower(now_ms)

    def _next_order_id(self) -> int:
        self._last_order_id += 1
        return self._last_order_id

    def _sighted(self, symbol: str) -> Listing:
        """−1121 where unknown, −1016 where its book is."""
        listing = self.listing(symbol)
        if listing.blind:
            raise errors.book_unknown()
        return listing

    def _checked(self, account_id: str, request: NewOrder, now_ms: int) -> Order:
        listing = self._sighted(request.symbol)
        account = self._accounts[account_id]
        holding = account.holding(listing.spec)
        terms = checks.check_new(
            listing, account, holding, request, now_ms=now_ms, prices=self.prices, settings=self.settings
        )
        return Order(
            order_id=0,
            account_id=account_id,
            symbol=request.symbol,
            client_order_id=request.client_order_id or "",
            side=request.side,
            type=request.type,
            # The venue reports GTC for market orders.
            time_in_force=request.time_in_force or TimeInForce.GTC,
            price_ticks=terms.price_ticks,
            orig_steps=terms.steps,
            reduce_only=request.only_reduces,
            stp_mode=request.stp_mode,
            price_match=request.price_match,
            good_till_ms=request.good_till_ms // 1000 * 1000,
            created_ms=now_ms,
            updated_ms=now_ms,
            position_side=request.position_side,
        )

    def _record_amendment(
        self, holding: Holding, order: Order, terms: checks.Terms, modify_id: int | None, now_ms: int
    ) -> None:
        self._last_amendment_id += 1
        holding.amendments.setdefault(order.order_id, []).append(
            Amendment(
                self._last_amendment_id,
                order.order_id,
                order.client_order_id,
                order.symbol,
                now_ms,
                order.price_ticks,
                terms.price_ticks,
                order.orig_steps,
                terms.steps,
                order.amend_count + 1,
                modify_id,
            )
        )


def _generated_client_id(account_id: str, order_id: int) -> str:
    """22 characters, the same in every run of the same seed."""
    return hashlib.sha256(f"{account_id}/{order_id}".encode()).hexdigest()[:22]
