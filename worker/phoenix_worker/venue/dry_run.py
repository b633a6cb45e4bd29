"""A rehearsal: real market data, real account, and orders that never leave.

Approved orders are answered as resting and unfilled, cancels as done, with the reports that the user stream would
have brought, so that the engine sees the same order of things. What takes liquidity (IOC, market) expires unfilled. The
venue that is wrapped refuses everything that changes the account besides, should anything get past this.

A live maker of ours may trade the same symbol beside the rehearsal. Its orders are none of the rehearsal's: taken for a
second writer's they would halt the live account, and taken for an older token's they would be cancelled in vain for
ever. Only its fills count, as they move the account's position.
"""

import asyncio

from msgspec.structs import replace
from phoenix_coordination import order_id

from phoenix_worker.core.actions import (
    Amend,
    ArmDeadMan,
    Cancel,
    CancelAll,
    FetchDay,
    FetchFunding,
    FetchMinutes,
    FetchSnapshot,
    FetchTouch,
    FetchTruth,
    Place,
    QueryOrder,
    Reconnect,
    TimeInForce,
    WantedOrder,
)
from phoenix_worker.core.events import (
    Answer,
    AnyEvent,
    DeadManArmed,
    Execution,
    OpenOrder,
    OrderAnswer,
    OrderReport,
    OrderState,
    Outcome,
    Refusal,
    Request,
    Truth,
)
from phoenix_worker.venue.clock import NS_PER_MS, Clock
from phoenix_worker.venue.port import Preflight, Sink, Venue, VenueAction

IOC_REMAINDER = 2
"""The exchange's expiry reason of what an IOC order did not get."""


class DryRun:
    """Wraps a venue. Only place, amend, cancel, cancel-all, dead-man and what asks about them are its own."""

    def __init__(self, venue: Venue, clock: Clock) -> None:
        self._venue = venue
        self._clock = clock
        self._offset_ns = 0
        self._orders: dict[str, OpenOrder] = {}
        self._next_venue_id = 0
        self._sink: Sink | None = None

    async def prepare(self) -> Preflight:
        preflight = await self._venue.prepare()
        self._offset_ns = preflight.offset_ns
        return preflight

    async def start(self, sink: Sink) -> None:
        self._sink = sink
        await self._venue.start(self._hear)

    @property
    def quiescent(self) -> bool:
        return self._venue.quiescent

    async def close(self) -> None:
        await self._venue.close()

    def perform(self, action: VenueAction) -> None:
        match action:
            case Place():
                self._place(action.approved.order, action.approved.deadline_ns)
            case Amend():
                self._amend(action.approved.order, action.approved.deadline_ns)
            case Cancel():
                self._cancel(action.client_id)
            case CancelAll():
                for client_id in list(self._orders):
                    self._report(self._close(client_id), Execution.CANCELED)
            case ArmDeadMan():
                now_ns = self._clock.monotonic_ns()
                self._tell(DeadManArmed(now_ns, now_ns + action.countdown_ms * NS_PER_MS))
            case QueryOrder():
                order = self._orders.get(action.client_id)
                self._tell(OrderAnswer(self._clock.monotonic_ns(), action.client_id, answered=True, order=order))
            case FetchTruth():
                self._venue.perform(replace(action, in_flight=[]))
            case FetchSnapshot() | FetchTouch() | FetchMinutes() | FetchFunding() | FetchDay() | Reconnect():
                self._venue.perform(action)

    # -- orders that never leave -------------------------------------------------------------------

    def _place(self, wanted: WantedOrder, deadline_ns: int) -> None:
        if self._too_late(Request.PLACE, wanted.client_id, deadline_ns):
            return
        self._next_venue_id += 1
        order = OpenOrder(
            client_id=wanted.client_id,
            venue_id=self._next_venue_id,
            side=wanted.side,
            price_ticks=wanted.price_ticks,
            qty_steps=wanted.qty_steps,
            filled_steps=0,
            reduce_only=wanted.reduce_only,
            state=OrderState.NEW,
            update_ms=self._exchange_ms(),
        )
        rests = wanted.price_ticks != 0 and wanted.time_in_force is not TimeInForce.IMMEDIATE
        self._orders[wanted.client_id] = order
        self._report(order, Execution.NEW)
        if rests:
            self._confirm(Request.PLACE, order)
        else:
            expired = self._close(wanted.client_id, OrderState.EXPIRED)
            self._confirm(Request.PLACE, expired)
            self._report(expired, Execution.EXPIRED, IOC_REMAINDER)

    def _amend(self, wanted: WantedOrder, deadline_ns: int) -> None:
        if self._too_late(Request.AMEND, wanted.client_id, deadline_ns):
            return
        order = self._orders.get(wanted.client_id)
        if order is None:
            self._refuse(Request.AMEND, wanted.client_id, Refusal.GONE)
            return
        order = replace(
            order, price_ticks=wanted.price_ticks, qty_steps=wanted.qty_steps, update_ms=self._exchange_ms()
        )
        self._orders[wanted.client_id] = order
        self._confirm(Request.AMEND, order)
        self._report(order, Execution.AMENDMENT)

    def _cancel(self, client_id: str) -> None:
        if client_id not in self._orders:
            self._refuse(Request.CANCEL, client_id, Refusal.GONE)
            return
        order = self._close(client_id)
        self._confirm(Request.CANCEL, order)
        self._report(order, Execution.CANCELED)

    def _close(self, client_id: str, state: OrderState = OrderState.CANCELED) -> OpenOrder:
        return replace(self._orders.pop(client_id), state=state, update_ms=self._exchange_ms())

    def _too_late(self, request: Request, client_id: str, deadline_ns: int) -> bool:
        if self._clock.monotonic_ns() < deadline_ns:
            return False
        self._refuse(request, client_id, Refusal.EXPIRED_DEADLINE)
        return True

    # -- telling -----------------------------------------------------------------------------------

    def _hear(self, event: AnyEvent) -> None:
        """The real truth, with the orders that only exist here instead of those of a live maker."""
        match event:
            case Truth() if not event.problem:
                others = [order for order in event.open_orders if not _is_a_live_maker_s(order)]
                event = replace(event, open_orders=[*others, *self._orders.values()])
            case OrderReport() if _is_a_live_maker_s(event.order):
                if event.fill is None:
                    return
                event = replace(event, order=replace(event.order, state=OrderState.FILLED))
            case _:
                pass
        if self._sink is not None:
            self._sink(event)

    def _tell(self, event: AnyEvent) -> None:
        """In a later turn of the loop, in order: the engine is in the middle of its actions."""
        if self._sink is not None:
            asyncio.get_running_loop().call_soon(self._sink, event)

    def _confirm(self, request: Request, order: OpenOrder) -> None:
        now_ns = self._clock.monotonic_ns()
        self._tell(
            Answer(
                at=now_ns,
                request=request,
                client_id=order.client_id,
                outcome=Outcome.CONFIRMED,
                sent_ns=now_ns,
                venue_id=order.venue_id,
                price_ticks=order.price_ticks,
                qty_steps=order.qty_steps,
                closed=not order.state.is_open,
                update_ms=order.update_ms,
            )
        )

    def _refuse(self, request: Request, client_id: str, refusal: Refusal) -> None:
        now_ns = self._clock.monotonic_ns()
        self._tell(Answer(now_ns, request, client_id, Outcome.REFUSED, 0, refusal))

    def _report(self, order: OpenOrder, execution: Execution, expiry_reason: int = 0) -> None:
        now_ns = self._clock.monotonic_ns()
        self._tell(OrderReport(now_ns, order.update_ms, order.update_ms, execution, order, None, expiry_reason))

    def _exchange_ms(self) -> int:
        return (self._clock.monotonic_ns() + self._offset_ns) // NS_PER_MS


def _is_a_live_maker_s(order: OpenOrder) -> bool:
    """Ours by its mark: what the exchange itself tells of is never a rehearsed order."""
    return order_id.parse(order.client_id) is not None
