"""The simulated exchange of a cell, in the cell's own process, and what it accepts as facts."""

import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from decimal import Decimal

import msgspec
from history import Accepted, AnyFact, Filled, Gone, Marked
from market import SteadySource
from phoenix_coordination import order_id
from phoenix_simulator.api.gateway import Answer, Arrival, Operation
from phoenix_simulator.api.limits import LimitSettings
from phoenix_simulator.audit.books import Graces
from phoenix_simulator.audit.declared import AccountLimit, Declaration, Pattern
from phoenix_simulator.clock import Clock
from phoenix_simulator.exchange.events import ExchangeEvent, MarkChanged, OrderUpdated
from phoenix_simulator.exchange.orders import ExecutionType, NewOrder, OrderRef, OrderType, Side, TimeInForce
from phoenix_simulator.exchange.symbols import BUILT_IN, SymbolSpec
from phoenix_simulator.market.source import TakerUpdate
from phoenix_simulator.scenario import Scenario, VenueChoices
from phoenix_simulator.server import CANARY_SYMBOL, Server, ServerConfig

_AGENT = "phoenix/"
_UNLIMITED = 10_000_000
"""Requests and orders a minute: the workers of a storm start over and over; budgets have tests of their own."""


class ExchangeOfCell:
    """`hear` gets a fact for everything that changes what our account has at the exchange."""

    def __init__(self, symbols: Sequence[str], seed: int, hear: Callable[[AnyFact], None]) -> None:
        self._hear = hear
        self.clock = Clock()
        limits = LimitSettings(
            weight_per_minute=_UNLIMITED,
            orders_per_10_seconds=_UNLIMITED,
            orders_per_minute=_UNLIMITED,
            ban_after=_UNLIMITED,
        )
        config = ServerConfig(symbols=tuple(symbols), scenario=Scenario(venue=VenueChoices(limits=limits)))
        specs = {symbol: spec_of(symbol) for symbol in (*symbols, CANARY_SYMBOL)}
        BUILT_IN.update(specs)
        sources = {symbol: SteadySource(spec, seed) for symbol, spec in specs.items()}
        self.server = Server(config, self.clock, sources)
        # A worker that has not read the limits yet believes the venue's: what all of a storm used would stop it there.
        self.server.gateway.limits.used_weight = lambda _ip, _now_ms: 0  # type: ignore[method-assign]
        self.server.gateway.limits.used_orders = lambda _account, _now_ms: (0, 0)  # type: ignore[method-assign]
        self._request: ContextVar[tuple[str, int]] = ContextVar("request", default=("", 0))
        """Who asks, and when the exchange looked at its clock for it: this process may be held up after that."""
        self.cancels_ms: list[int] = []
        """The wall time that each cancel was signed with."""
        self._perform = self.server.gateway.perform
        self.server.gateway.perform = self._watched  # type: ignore[method-assign] # the one door of both transports
        self.server.exchange.listeners.append(self._heard)
        now_ns = self.clock.monotonic_ns()
        for listing in self.server.exchange.listings.values():
            hear(_marked(now_ns, listing.spec, listing.mark_e8))
        self.account = ""
        self.was_foreign = False
        """Another installation has placed an order: the audit knows of one only."""

    def open_account(self, label: str, quote_assets: Sequence[str], balance_e8: int) -> tuple[str, str]:
        """(API key, secret) of the one account of the cell."""
        now_ms = self.clock.now_ms()
        self.account = label
        self.server.exchange.open_account(label, dict.fromkeys(quote_assets, balance_e8), now_ms, -1)
        credentials = self.server.keys.issue(label, label, now_ms, may_withdraw=False)
        return credentials.api_key, credentials.secret

    def declare_limits(self, account_limit: AccountLimit) -> None:
        declaration = Declaration(
            pattern=Pattern(regex=order_id.PATTERN),
            account_limit=account_limit,
            graces=Graces(
                silent_seconds=4.0,
                confirmed_seconds=14.0,
                gap_seconds=2.0,
                disconnected_seconds=2.0,
                rate_limit_seconds=1.0,
            ),
        )
        self.server.audit.declare(declaration, self.account, self.clock.monotonic_ns(), self.clock.now_ms())

    def resting(self, symbol: str) -> int:
        return len(self.server.exchange.open_orders(self.account, symbol))

    def position(self, symbol: str) -> int:
        """Signed steps."""
        holding = self.server.exchange.account(self.account).holdings.get(symbol)
        return holding.position.steps if holding is not None else 0

    def position_in_base_units(self, symbol: str) -> Decimal:
        return self._spec(symbol).quantity_to_decimal(self.position(symbol))

    def steps(self, symbol: str, quantity: Decimal) -> int:
        """Of a signed quantity in base units."""
        return int(quantity / self._spec(symbol).quantity_to_decimal(1))

    def _spec(self, symbol: str) -> SymbolSpec:
        return self.server.exchange.listing(symbol).spec

    def take(self, symbol: str) -> bool:
        """A taker takes our nearest buy order whole, or a sell order where none buys (the account is at its limit);
        whether there was one.
        """
        exchange = self.server.exchange
        orders = exchange.open_orders(self.account, symbol)
        buys = [order for order in orders if order.side is Side.BUY]
        if not orders:
            return False
        book, depth = exchange.listing(symbol).book, exchange.listing(symbol).depth(100)
        if buys:
            nearest = max(buys, key=lambda order: order.price_ticks)
            ahead = book.bids.ahead_of(nearest)
            better = sum(steps for ticks, steps in depth.bids if ticks > nearest.price_ticks)
        else:
            nearest = min(orders, key=lambda order: order.price_ticks)
            ahead = book.asks.ahead_of(nearest)
            better = sum(steps for ticks, steps in depth.asks if ticks < nearest.price_ticks)
        wanted = better + ahead + nearest.leaves_steps
        taken = TakerUpdate(0, is_buy=not buys, qty_steps=wanted, limit_ticks=nearest.price_ticks)
        exchange.apply(symbol, taken, self.clock.now_ms())
        return True

    def place_foreign(self, symbol: str, installation: str) -> None:
        """An order of another installation, as one of its workers sends it whose reading of the account is older."""
        exchange = self.server.exchange
        listing = exchange.listing(symbol)
        spec = listing.spec
        price = listing.touch.bid_ticks * 99 // 100
        steps = max(spec.min_steps, -(-spec.min_notional_e8 // spec.notional_e8(price, 1)))
        order = NewOrder(
            symbol=symbol,
            side=Side.BUY,
            type=OrderType.LIMIT,
            quantity=spec.quantity_to_decimal(steps),
            price=Decimal(spec.format_price(price)),
            time_in_force=TimeInForce.GTX,
            client_order_id=order_id.format(installation, time.time_ns() // 1_000_000, "q", 1),
        )
        exchange.place(self.account, order, self.clock.now_ms())
        self.was_foreign = True

    def cancel_foreign(self, symbol: str, ours: str) -> None:
        """What a person does at the exchange with orders that nobody of our installation knows."""
        for order in self.server.exchange.open_orders(self.account, symbol):
            parsed = order_id.parse(order.client_order_id)
            if parsed is None or parsed.installation != ours:
                self.server.exchange.cancel(
                    self.account, symbol, OrderRef(order_id=order.order_id), self.clock.now_ms()
                )

    async def _watched(self, operation: Operation, arrival: Arrival) -> Answer:
        self._request.set((arrival.holder, self.clock.monotonic_ns()))
        if "cancel" in operation.name:
            self.cancels_ms.append(int(arrival.params.peek("timestamp")))
        return await self._perform(operation, arrival)

    def _heard(self, event: ExchangeEvent) -> None:
        if isinstance(event, OrderUpdated) and event.account_id == self.account:
            self._order(event)
        elif isinstance(event, MarkChanged):
            spec = self.server.exchange.listing(event.symbol).spec
            self._hear(_marked(self.clock.monotonic_ns(), spec, event.mark_e8))

    def _order(self, event: OrderUpdated) -> None:
        order, at_ns = event.order, self.clock.monotonic_ns()
        match event.execution:
            case ExecutionType.NEW | ExecutionType.AMENDMENT:
                holder, asked_ns = self._request.get()
                self._hear(
                    Accepted(
                        at_ns=asked_ns or at_ns,
                        symbol=order.symbol,
                        order=order.order_id,
                        client_id=order.client_order_id,
                        holder=holder.removeprefix(_AGENT),
                        side=order.side.sign,
                        leaves=order.leaves_steps,
                        reduce_only=order.reduce_only,
                    )
                )
            case ExecutionType.TRADE | ExecutionType.CALCULATED:
                steps = event.fill.qty_steps if event.fill is not None else 0
                self._hear(
                    Filled(at_ns=at_ns, symbol=order.symbol, order=order.order_id, side=order.side.sign, steps=steps)
                )
            case ExecutionType.CANCELED | ExecutionType.EXPIRED:
                self._hear(Gone(at_ns=at_ns, symbol=order.symbol, order=order.order_id))


def spec_of(symbol: str) -> SymbolSpec:
    """A listed contract; one that the venue does not list is like ETHUSDT under another name."""
    return BUILT_IN.get(symbol) or msgspec.structs.replace(
        BUILT_IN["ETHUSDT"], symbol=symbol, base_asset=symbol.removesuffix("USDT")
    )


def _marked(at_ns: int, spec: SymbolSpec, mark_e8: int) -> Marked:
    return Marked(at_ns=at_ns, symbol=spec.symbol, step_micro=mark_e8 / 1e8 * (spec.step_e8 / 1e8) * 1e6)
