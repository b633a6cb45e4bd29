"""The simulator's exchange as the venue of an engine, without a wire and in virtual time.

What is sent reaches the exchange after `to_exchange_ns` and what the exchange tells reaches the maker after
`from_exchange_ns`; both are constant, so nothing overtakes anything. Every check, match, fee and settlement is the
exchange's own. Where market data comes from is somebody else's business.
"""

from collections import deque
from collections.abc import Callable
from decimal import Decimal
from typing import Final

from phoenix_simulator.exchange.accounts import IncomeType
from phoenix_simulator.exchange.errors import VenueError
from phoenix_simulator.exchange.events import AccountUpdated, ExchangeEvent, OrderUpdated, UpdateReason
from phoenix_simulator.exchange.events import Fill as BookedFill
from phoenix_simulator.exchange.exchange import Exchange
from phoenix_simulator.exchange.orders import AmendOrder, NewOrder, Order, OrderRef, OrderType
from phoenix_simulator.exchange.orders import Side as ExchangeSide
from phoenix_simulator.exchange.orders import TimeInForce as ExchangeTimeInForce
from phoenix_worker.core import actions as act
from phoenix_worker.core import events as ev
from phoenix_worker.core.fees import charge
from phoenix_worker.core.instrument import Instrument
from phoenix_worker.venue.binance.outcomes import verdict

NS_PER_MS: Final = 1_000_000
NEVER_NS: Final = 1 << 62
_ALL: Final = 1 << 30
"""No page ends here: nothing is read over a wire."""

_SIDES: Final = {ExchangeSide.BUY: ev.Side.BUY, ExchangeSide.SELL: ev.Side.SELL}
_SIDES_THERE: Final = {ours: theirs for theirs, ours in _SIDES.items()}
_TIMES_IN_FORCE: Final = {each: ExchangeTimeInForce(each.value) for each in act.TimeInForce}
_STATES: Final = {state.value: state for state in ev.OrderState}
_EXECUTIONS: Final = {execution.value: execution for execution in ev.Execution}

_Request = Callable[[], None]


class VirtualVenue:
    """One symbol of one account. `now_ns` is the maker's monotonic clock; `+ clock_offset_ns` is the exchange's.

    Three verbs move time. `advance` lets what has been sent arrive at the exchange, each request at its own moment;
    fills that the caller's next `exchange.apply` causes are of `now_ns` then. `due_ns` says when something arrives
    next, `take` hands over what has reached the maker.
    """

    def __init__(
        self,
        exchange: Exchange,
        account_id: str,
        instrument: Instrument,
        *,
        clock_offset_ns: int,
        to_exchange_ns: int,
        from_exchange_ns: int,
    ) -> None:
        self.now_ns = 0
        self._exchange = exchange
        self._account_id = account_id
        self._instrument = instrument
        self._symbol = instrument.symbol
        self._clock_offset_ns = clock_offset_ns
        self._to_ns = to_exchange_ns
        self._from_ns = from_exchange_ns
        self._sent: deque[tuple[int, _Request]] = deque()
        """(arrival at the exchange, request)."""
        self._told: deque[ev.AnyEvent] = deque()
        """On its way to the maker; `at` is its arrival."""
        self._here: list[ev.AnyEvent] = []
        """What the maker's own side answers, without the exchange."""
        self._prices: dict[int, Decimal] = {}
        self._quantities: dict[int, Decimal] = {}
        self._epoch = 1
        exchange.listeners.append(self._hear)

    # -- time --------------------------------------------------------------------------------------

    @property
    def due_ns(self) -> int:
        """When something reaches the exchange or the maker next."""
        if self._here:
            return self.now_ns
        if not self._sent:
            return self._told[0].at if self._told else NEVER_NS
        arrival_ns = self._sent[0][0]
        return min(arrival_ns, self._told[0].at) if self._told else arrival_ns

    def advance(self, now_ns: int) -> None:
        """The exchange carries out what has arrived by `now_ns`, and its timers (countdowns, funding) run."""
        sent, exchange = self._sent, self._exchange
        while sent and sent[0][0] <= now_ns:
            self.now_ns, request = sent.popleft()
            exchange.advance(self.exchange_ms)
            request()
        self.now_ns = now_ns
        exchange.advance(self.exchange_ms)

    def take(self, now_ns: int) -> list[ev.AnyEvent]:
        """What has reached the maker by `now_ns`, in order."""
        taken, self._here = self._here, []
        told = self._told
        while told and told[0].at <= now_ns:
            taken.append(told.popleft())
        return taken

    @property
    def exchange_ms(self) -> int:
        return (self.now_ns + self._clock_offset_ns) // NS_PER_MS

    # -- what is sent ------------------------------------------------------------------------------

    def perform(self, action: act.AnyAction, now_ns: int) -> bool:
        """Begins one action of an engine; false for what is not about orders, the account or what workers share."""
        match action:
            case act.Place(approved=approved) | act.Amend(approved=approved):
                if now_ns < approved.deadline_ns:
                    self.order(approved.order, now_ns)
                else:
                    self._too_late(approved.order, now_ns)
            case act.Cancel():
                self.cancel(action, now_ns)
            case act.CancelAll():
                self._send(now_ns, self._cancel_all)
            case act.ArmDeadMan(countdown_ms=countdown_ms):
                self._send(now_ns, lambda: self._arm(countdown_ms, now_ns))
            case _:
                return self._ask(action, now_ns) or self._share(action, now_ns)
        return True

    def _ask(self, action: act.AnyAction, now_ns: int) -> bool:
        """What changes nothing and is answered by one event."""
        match action:
            case act.QueryOrder(client_id=client_id):
                self._send(now_ns, lambda: self._query(client_id))
            case act.FetchTruth() as truth:
                self._send(now_ns, lambda: self._tell_truth(truth))
            case act.FetchDay() as day:
                self._send(now_ns, lambda: self._tell_day(day))
            case act.FetchFunding(since_ms=since_ms):
                self._send(now_ns, lambda: self._tell_funding(since_ms))
            case _:
                return False
        return True

    def _share(self, action: act.AnyAction, now_ns: int) -> bool:
        """What the account's other workers would hear: here there are none, and everything is granted."""
        match action:
            case act.Reserve() as asked:
                self._here.append(ev.Reserved(now_ns, asked.sequence, asked.buy_steps, asked.sell_steps))
            case act.HaltSymbol(reason=reason):
                self._epoch += 1
                self._here.append(ev.SymbolHalt(now_ns, self._epoch, reason))
            case act.RaiseEmergency(level=level, reason=reason):
                self._epoch += 1
                self._here.append(ev.Emergency(now_ns, level, self._epoch, reason))
            case _:
                return False
        return True

    def order(self, wanted: act.WantedOrder, now_ns: int) -> None:
        """Places or amends, as `wanted.request` says. Of an engine only what its gate has approved comes here."""
        carry_out = self._amend if wanted.request is ev.Request.AMEND else self._place
        self._send(now_ns, lambda: carry_out(wanted, now_ns))

    def cancel(self, action: act.Cancel, now_ns: int) -> None:
        self._send(now_ns, lambda: self._cancel(action, now_ns))

    def _send(self, now_ns: int, request: _Request) -> None:
        self._sent.append((now_ns + self._to_ns, request))

    # -- at the exchange ---------------------------------------------------------------------------

    def _place(self, wanted: act.WantedOrder, sent_ns: int) -> None:
        is_market = wanted.price_ticks == 0
        request = NewOrder(
            symbol=self._symbol,
            side=_SIDES_THERE[wanted.side],
            type=OrderType.MARKET if is_market else OrderType.LIMIT,
            quantity=self._quantity(wanted.qty_steps),
            price=None if is_market else self._price(wanted.price_ticks),
            time_in_force=None if is_market else _TIMES_IN_FORCE[wanted.time_in_force],
            reduce_only=wanted.reduce_only,
            client_order_id=wanted.client_id,
        )
        try:
            order = self._exchange.place(self._account_id, request, self.exchange_ms)
        except VenueError as error:
            self._refuse(ev.Request.PLACE, wanted.client_id, sent_ns, error)
        else:
            self._confirm(ev.Request.PLACE, order, sent_ns)

    def _amend(self, wanted: act.WantedOrder, sent_ns: int) -> None:
        request = AmendOrder(
            symbol=self._symbol,
            ref=OrderRef(wanted.venue_id or None, wanted.client_id),
            side=_SIDES_THERE[wanted.side],
            quantity=self._quantity(wanted.qty_steps),
            price=self._price(wanted.price_ticks),
        )
        try:
            order = self._exchange.modify(self._account_id, request, self.exchange_ms)
        except VenueError as error:
            self._refuse(ev.Request.AMEND, wanted.client_id, sent_ns, error)
        else:
            self._confirm(ev.Request.AMEND, order, sent_ns)

    def _cancel(self, action: act.Cancel, sent_ns: int) -> None:
        ref = OrderRef(action.venue_id or None, action.client_id)
        try:
            order = self._exchange.cancel(self._account_id, self._symbol, ref, self.exchange_ms)
        except VenueError as error:
            self._refuse(ev.Request.CANCEL, action.client_id, sent_ns, error)
        else:
            self._confirm(ev.Request.CANCEL, order, sent_ns)

    def _cancel_all(self) -> None:
        self._exchange.cancel_all(self._account_id, self._symbol, self.exchange_ms)

    def _arm(self, countdown_ms: int, sent_ns: int) -> None:
        self._exchange.set_countdown(self._account_id, self._symbol, countdown_ms, self.exchange_ms)
        # Counted from the sending: the exchange starts later, never sooner.
        self._tell(ev.DeadManArmed(self._arrival_ns, sent_ns + countdown_ms * NS_PER_MS))

    def _query(self, client_id: str) -> None:
        self._tell(ev.OrderAnswer(self._arrival_ns, client_id, answered=True, order=self._find(client_id)))

    def _find(self, client_id: str) -> ev.OpenOrder | None:
        try:
            ref = OrderRef(client_order_id=client_id)
            return _order(self._exchange.order(self._account_id, self._symbol, ref, self.exchange_ms))
        except VenueError:
            return None

    def _tell_truth(self, asked: act.FetchTruth) -> None:
        exchange, account_id, symbol = self._exchange, self._account_id, self._symbol
        holding = exchange.account(account_id).holding(exchange.listing(symbol).spec)
        since_ms = None if asked.from_trade_id else asked.since_ms
        fills = exchange.fills(
            account_id, symbol, from_trade_id=asked.from_trade_id or None, start_ms=since_ms, limit=_ALL
        )
        open_orders = [_order(order) for order in exchange.open_orders(account_id, symbol)]
        found = [order for client_id in asked.in_flight if (order := self._find(client_id)) is not None]
        self._tell(
            ev.Truth(
                self._arrival_ns,
                asked.request_id,
                self.exchange_ms,
                holding.net_steps,
                float(holding.position.entry_price),
                open_orders,
                [_fill(fill) for fill in fills],
                holding.fills[-1].trade_id if holding.fills else 0,
                [order for order in found if not order.state.is_open],
            )
        )

    def _tell_day(self, asked: act.FetchDay) -> None:
        """The mark of 00:00 is not known here: where nothing was held then it is not needed, and who has followed the
        day before knows it.
        """
        fees: dict[str, int] = {}
        steps = notional = 0
        for booked in self._exchange.fills(self._account_id, self._symbol, start_ms=asked.start_ms, limit=_ALL):
            if booked.trade_id <= asked.until_trade_id:
                fill = _fill(booked)
                charge(fees, fill)
                steps += fill.side * fill.qty_steps
                notional += fill.side * booked.quote_e8
        self._tell(ev.DayRead(self._arrival_ns, asked.request_id, 0.0, steps, notional, fees))

    def _tell_funding(self, since_ms: int) -> None:
        rows = self._exchange.income(
            self._account_id, symbol=self._symbol, kind=IncomeType.FUNDING_FEE, start_ms=since_ms, limit=_ALL
        )
        kind = ev.FundingKind.REGULAR
        told = [ev.FundingRow(kind, row.transaction_id, row.time_ms, row.amount_e8) for row in rows]
        self._tell(ev.FundingRead(self._arrival_ns, since_ms, self.exchange_ms, told))

    # -- what is told ------------------------------------------------------------------------------

    @property
    def _arrival_ns(self) -> int:
        return self.now_ns + self._from_ns

    def _tell(self, event: ev.AnyEvent) -> None:
        self._told.append(event)

    def _hear(self, event: ExchangeEvent) -> None:
        """A listener of the exchange: most of what it hears is market data, and leaves at once."""
        if isinstance(event, OrderUpdated):
            if event.account_id == self._account_id and event.order.symbol == self._symbol:
                self._report_order(event)
        elif isinstance(event, AccountUpdated) and event.account_id == self._account_id:
            self._report_account(event)

    def _report_order(self, event: OrderUpdated) -> None:
        order = event.order
        fill = _fill(event.fill) if event.fill is not None else None
        execution = _EXECUTIONS[event.execution]
        told = _order(order)
        self._told.append(
            ev.OrderReport(
                self._arrival_ns, event.time_ms, event.time_ms, execution, told, fill, int(order.expiry_reason)
            )
        )

    def _report_account(self, event: AccountUpdated) -> None:
        if event.reason is UpdateReason.FUNDING_FEE and event.symbol == self._symbol:
            amount = sum(balance.change_e8 for balance in event.balances)
            self._tell(ev.FundingPaid(self._arrival_ns, event.time_ms, amount))
        for state in event.positions:
            if state.symbol == self._symbol:
                self._tell(
                    ev.PositionReport(
                        self._arrival_ns,
                        event.time_ms,
                        event.time_ms,
                        state.qty_steps,
                        float(state.entry_price),
                        event.reason.value,
                    )
                )

    def _confirm(self, request: ev.Request, order: Order, sent_ns: int) -> None:
        self._tell(
            ev.Answer(
                at=self._arrival_ns,
                request=request,
                client_id=order.client_order_id,
                outcome=ev.Outcome.CONFIRMED,
                sent_ns=sent_ns,
                venue_id=order.order_id,
                price_ticks=order.price_ticks,
                qty_steps=order.orig_steps,
                filled_steps=order.executed_steps,
                closed=not order.status.is_open,
                update_ms=order.updated_ms,
            )
        )

    def _refuse(self, request: ev.Request, client_id: str, sent_ns: int, error: VenueError) -> None:
        ruling = verdict(error.http_status, error.code, error.msg)
        self._tell(
            ev.Answer(
                self._arrival_ns,
                request,
                client_id,
                ruling.outcome,
                sent_ns,
                ruling.refusal,
                error.code,
                error.msg,
            )
        )

    def _too_late(self, order: act.WantedOrder, now_ns: int) -> None:
        refusal = ev.Refusal.EXPIRED_DEADLINE
        self._here.append(ev.Answer(now_ns, order.request, order.client_id, ev.Outcome.REFUSED, 0, refusal))

    # -- numbers -----------------------------------------------------------------------------------

    def _price(self, ticks: int) -> Decimal:
        price = self._prices.get(ticks)
        if price is None:
            price = self._prices[ticks] = Decimal(self._instrument.price.text(ticks))
        return price

    def _quantity(self, steps: int) -> Decimal:
        quantity = self._quantities.get(steps)
        if quantity is None:
            quantity = self._quantities[steps] = Decimal(self._instrument.quantity.text(steps))
        return quantity


def _order(order: Order) -> ev.OpenOrder:
    return ev.OpenOrder(
        order.client_order_id,
        order.order_id,
        _SIDES[order.side],
        order.price_ticks,
        order.orig_steps,
        order.executed_steps,
        order.reduce_only,
        _STATES[order.status],
        order.updated_ms,
    )


def _fill(fill: BookedFill) -> ev.Fill:
    return ev.Fill(
        fill.trade_id,
        fill.order_id,
        _SIDES[fill.side],
        fill.price_ticks,
        fill.qty_steps,
        fill.commission_e8,
        fill.commission_asset,
        fill.realised_e8,
        fill.is_maker,
        fill.time_ms,
    )
