"""A small model of the exchange at the level of events: what it holds, has still to do, and has to tell.

Nothing happens by itself. A request waits in `requests` until the test lets it execute; what it leads to waits in
`answers` (one end for each request, any order) and in `stream` (the user stream, in order) until the test delivers it.
What a strict exchange would refuse although we could have known better is an `AssertionError`.
"""

from collections import deque
from dataclasses import dataclass, field

from phoenix_worker.core import events as ev
from phoenix_worker.core.actions import Amend, Cancel, FetchDay, FetchTruth, Place, TimeInForce, WantedOrder
from phoenix_worker.core.events import Execution, OpenOrder, OrderState, Outcome, Refusal, Request, Side
from phoenix_worker.core.instrument import Instrument

AnyRequest = Place | Amend | Cancel


@dataclass
class Order:
    client_id: str
    venue_id: int
    side: Side
    price: int
    qty: int
    reduce_only: bool
    filled: int = 0
    state: OrderState = OrderState.NEW
    update_ms: int = 0

    @property
    def leaves(self) -> int:
        return self.qty - self.filled if self.state.is_open else 0

    def told(self) -> OpenOrder:
        return OpenOrder(
            self.client_id,
            self.venue_id,
            self.side,
            self.price,
            self.qty,
            self.filled,
            self.reduce_only,
            self.state,
            self.update_ms,
        )


@dataclass
class ModelExchange:
    """`bid` and `ask` (ticks) are the market as it is, which may be ahead of what the engine has seen."""

    instrument: Instrument
    bid: int
    ask: int
    now_ms: int
    position: int = 0
    entry_price: float = 0.0
    orders: dict[str, Order] = field(default_factory=dict)
    fills: list[ev.Fill] = field(default_factory=list)
    requests: list[AnyRequest] = field(default_factory=list)
    answers: list[ev.Answer] = field(default_factory=list)
    stream: deque[ev.OrderReport | ev.PositionReport] = field(default_factory=deque)
    stream_up: bool = False
    refuse: dict[Request, list[tuple[Refusal, int]]] = field(default_factory=dict)
    """Refusals for the next requests of a kind, whatever they ask."""
    taker_share: float = 1.0
    """How much of a taking order finds somebody."""
    maker_bps: float = 0.0
    taker_bps: float = 0.0
    """What a fill costs of its notional, where `commission` says nothing else."""
    open_mark: float = 60_000.0
    rates: dict[str, float] = field(default_factory=dict)
    """Quote per unit of other assets."""
    commission: tuple[int, str] | None = None
    """Of each fill, and in what; none where nothing is said."""
    next_venue_id: int = 8_000
    next_trade_id: int = 500

    @property
    def open_orders(self) -> list[Order]:
        return [order for order in self.orders.values() if order.state.is_open]

    # -- requests ----------------------------------------------------------------------------------

    def execute(self, request: AnyRequest) -> ev.Answer:
        """The request arrives. Its reports join the stream, its answer is returned."""
        self.now_ms += 1
        self.requests.remove(request)
        if isinstance(request, Cancel):
            return self._cancel(request)
        order = request.approved.order
        return self._place(order) if isinstance(request, Place) else self._amend(order)

    def _forced(self, request: Request, client_id: str) -> ev.Answer | None:
        forced = self.refuse.get(request)
        if not forced:
            return None
        refusal, code = forced.pop(0)
        return refused(request, client_id, refusal, code)

    def _place(self, wanted: WantedOrder) -> ev.Answer:
        assert wanted.client_id not in self.orders, f"{wanted.client_id} is sent a second time"
        if forced := self._forced(Request.PLACE, wanted.client_id):
            return forced
        self._filters(wanted)
        if wanted.reduce_only and wanted.side * self.position >= 0:
            return refused(Request.PLACE, wanted.client_id, Refusal.REDUCE_ONLY, -2022)
        if wanted.time_in_force is TimeInForce.POST_ONLY and self._would_take(wanted.side, wanted.price_ticks):
            return refused(Request.PLACE, wanted.client_id, Refusal.WOULD_TAKE, -5022)
        self.next_venue_id += 1
        order = Order(
            wanted.client_id,
            self.next_venue_id,
            wanted.side,
            wanted.price_ticks,
            wanted.qty_steps,
            wanted.reduce_only,
            update_ms=self.now_ms,
        )
        self.orders[order.client_id] = order
        self._report(order, Execution.NEW)
        if wanted.time_in_force is TimeInForce.IMMEDIATE:
            self._take(order)
        return self._confirmed(Request.PLACE, order)

    def _amend(self, wanted: WantedOrder) -> ev.Answer:
        order = self.orders[wanted.client_id]
        if forced := self._forced(Request.AMEND, wanted.client_id):
            return forced
        if not order.state.is_open:
            return refused(Request.AMEND, wanted.client_id, Refusal.GONE, -2013)
        assert wanted.venue_id == order.venue_id, "an amend names the venue's id"
        assert wanted.side is order.side, "an amend cannot turn an order round"
        self._filters(wanted)
        if (wanted.price_ticks, wanted.qty_steps) == (order.price, order.qty):
            return refused(Request.AMEND, wanted.client_id, Refusal.UNCHANGED, -5027)
        order.update_ms = self.now_ms
        if wanted.qty_steps <= order.filled or self._would_take(wanted.side, wanted.price_ticks):
            order.state = OrderState.CANCELED
            self._report(order, Execution.CANCELED)
            return self._confirmed(Request.AMEND, order)
        order.price, order.qty = wanted.price_ticks, wanted.qty_steps
        self._report(order, Execution.AMENDMENT)
        return self._confirmed(Request.AMEND, order)

    def _cancel(self, request: Cancel) -> ev.Answer:
        if forced := self._forced(Request.CANCEL, request.client_id):
            return forced
        order = self.orders.get(request.client_id)
        if order is None or not order.state.is_open:
            return refused(Request.CANCEL, request.client_id, Refusal.GONE, -2011)
        self.end(order)
        return self._confirmed(Request.CANCEL, order)

    def _filters(self, wanted: WantedOrder) -> None:
        grid = self.instrument
        if wanted.price_ticks == 0:
            assert grid.market_min_steps <= wanted.qty_steps <= grid.market_max_steps
            return
        assert grid.min_price_ticks <= wanted.price_ticks <= grid.max_price_ticks
        assert grid.min_qty_steps <= wanted.qty_steps <= grid.max_qty_steps
        if not wanted.reduce_only:
            assert grid.notional(wanted.price_ticks, wanted.qty_steps) >= grid.min_notional

    def _would_take(self, side: Side, price: int) -> bool:
        return price >= self.ask if side is Side.BUY else price <= self.bid

    def _take(self, order: Order) -> None:
        """A market or immediate order: what it can get now, the rest expires."""
        touch = self.ask if order.side is Side.BUY else self.bid
        limit = order.price or touch
        reaches = limit >= touch if order.side is Side.BUY else limit <= touch
        qty = min(int(order.qty * self.taker_share), abs(self.position) if order.reduce_only else order.qty)
        if reaches and qty:
            self.fill(order, qty, price=touch, maker=False)
        if order.state.is_open:
            order.state = OrderState.EXPIRED
            self._report(order, Execution.EXPIRED)

    # -- what happens at the exchange ---------------------------------------------------------------

    def fill(self, order: Order, qty: int, *, price: int = 0, maker: bool = True) -> ev.Fill:
        """Somebody trades with the order."""
        qty = min(qty, order.leaves)
        if order.reduce_only:
            qty = min(qty, abs(self.position))
        assert qty > 0
        price = price or order.price
        self.now_ms += 1
        self.next_trade_id += 1
        order.filled += qty
        order.state = OrderState.FILLED if order.filled == order.qty else OrderState.PARTIALLY_FILLED
        order.update_ms = self.now_ms
        charged = round(self.instrument.notional(price, qty) * (self.maker_bps if maker else self.taker_bps) * 1e-4)
        commission, asset = self.commission or (charged, self.instrument.quote_asset)
        fill = ev.Fill(
            self.next_trade_id, order.venue_id, order.side, price, qty, commission, asset, 0, maker, self.now_ms
        )
        self.fills.append(fill)
        self._move(order.side * qty, price * self.instrument.tick)
        self._report(order, Execution.TRADE, fill)
        if self.stream_up:
            self.stream.append(ev.PositionReport(0, self.now_ms, self.now_ms, self.position, self.entry_price, "ORDER"))
        if order.reduce_only and not self.position and order.state.is_open:
            self.end(order, OrderState.EXPIRED)
        return fill

    def _move(self, signed: int, price: float) -> None:
        old, new = self.position, self.position + signed
        if new == 0:
            self.entry_price = 0.0
        elif old * new <= 0:
            self.entry_price = price
        elif abs(new) > abs(old):
            self.entry_price += (price - self.entry_price) * abs(signed) / abs(new)
        self.position = new

    def end(self, order: Order, state: OrderState = OrderState.CANCELED) -> None:
        order.state, order.update_ms = state, self.now_ms
        self._report(order, Execution.CANCELED if state is OrderState.CANCELED else Execution.EXPIRED)

    def add(self, client_id: str, side: Side, price: int, qty: int, *, reduce_only: bool = False) -> Order:
        """An order of somebody else's on this account."""
        self.next_venue_id += 1
        order = Order(client_id, self.next_venue_id, side, price, qty, reduce_only, update_ms=self.now_ms)
        self.orders[client_id] = order
        self._report(order, Execution.NEW)
        return order

    def cancel_all(self) -> None:
        for order in self.open_orders:
            self.end(order)

    # -- what it tells -----------------------------------------------------------------------------

    def truth(self, asked: FetchTruth) -> ev.Truth:
        from_trade_id = asked.from_trade_id
        fills = [fill for fill in self.fills if fill.trade_id >= from_trade_id]
        known = [self.orders[client_id] for client_id in asked.in_flight if client_id in self.orders]
        unheard = {fill.venue_id for fill in fills if fill.trade_id not in asked.known_trades}
        if asked.held_steps is not None:
            unheard.clear()
        return ev.Truth(
            0,
            asked.request_id,
            self.now_ms,
            self.position,
            self.entry_price,
            [order.told() for order in self.open_orders],
            fills,
            self.fills[-1].trade_id if self.fills else from_trade_id and from_trade_id - 1,
            [order.told() for order in known if not order.state.is_open],
            owners=[order.told() for order in self.orders.values() if order.venue_id in unheard] if unheard else [],
        )

    def day(self, asked: FetchDay) -> ev.DayRead:
        """What it lists of the day: it had the `open_mark` at 00:00."""
        fills = [f for f in self.fills if f.time_ms >= asked.start_ms and f.trade_id <= asked.until_trade_id]
        fees: dict[str, int] = {}
        for fill in fills:
            fees[fill.commission_asset] = fees.get(fill.commission_asset, 0) + fill.commission
        assets = {*fees, *asked.fee_assets}
        return ev.DayRead(
            0,
            asked.request_id,
            self.open_mark,
            sum(fill.side * fill.qty_steps for fill in fills),
            sum(fill.side * self.instrument.notional(fill.price_ticks, fill.qty_steps) for fill in fills),
            {asset: amount for asset, amount in fees.items() if amount},
            {asset: rate for asset, rate in self.rates.items() if asset in assets},
        )

    def query(self, client_id: str) -> ev.OrderAnswer:
        order = self.orders.get(client_id)
        return ev.OrderAnswer(0, client_id, answered=True, order=order.told() if order else None)

    def _report(self, order: Order, execution: Execution, fill: ev.Fill | None = None) -> None:
        if self.stream_up:
            self.stream.append(ev.OrderReport(0, self.now_ms, self.now_ms, execution, order.told(), fill))

    def _confirmed(self, request: Request, order: Order) -> ev.Answer:
        return ev.Answer(
            0,
            request,
            order.client_id,
            Outcome.CONFIRMED,
            1,
            venue_id=order.venue_id,
            price_ticks=order.price,
            qty_steps=order.qty,
            filled_steps=order.filled,
            closed=not order.state.is_open,
            update_ms=self.now_ms,
        )

    # -- the worst case, as it really is -------------------------------------------------------------

    def pending(self, side: Side) -> int:
        """All that rests or is on its way of the side, reduce-only orders too."""
        amends = {r.approved.order.client_id: r.approved.order.qty_steps for r in self.requests if isinstance(r, Amend)}
        resting = sum(
            max(order.qty, amends.get(order.client_id, 0)) - order.filled
            for order in self.open_orders
            if order.side is side
        )
        places = [r.approved.order for r in self.requests if isinstance(r, Place)]
        return resting + sum(order.qty_steps for order in places if order.side is side)

    def worst(self, side: Side) -> int:
        """The position in the direction of the side if all that rests or is on its way filled.

        Reduce-only orders are left out: the exchange itself does not let them open anything.
        """
        total = side * self.position
        amends = [request.approved.order for request in self.requests if isinstance(request, Amend)]
        for order in self.open_orders:
            if order.side is side and not order.reduce_only:
                wished = [wanted.qty_steps for wanted in amends if wanted.client_id == order.client_id]
                total += max([order.qty, *wished]) - order.filled
        for request in self.requests:
            if isinstance(request, Place) and request.approved.order.side is side:
                total += 0 if request.approved.order.reduce_only else request.approved.order.qty_steps
        return total


def refused(request: Request, client_id: str, refusal: Refusal, code: int = 0) -> ev.Answer:
    return ev.Answer(0, request, client_id, Outcome.REFUSED, 1, refusal, code, refusal.value)


def unanswered(request: Request, client_id: str) -> ev.Answer:
    return ev.Answer(0, request, client_id, Outcome.UNKNOWN, 1)
