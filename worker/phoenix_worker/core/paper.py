"""Orders that never leave: each is answered as the exchange would answer one that rests and is never filled.

A new order's report comes before its answer, an end's after it. What takes liquidity (IOC, market) expires
unfilled.
"""

import msgspec
from phoenix_coordination import order_id

from phoenix_worker.core.actions import (
    Amend,
    ArmDeadMan,
    Cancel,
    CancelAll,
    Place,
    QueryOrder,
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
)

IOC_REMAINDER = 2
"""The exchange's expiry reason of what an IOC order did not get."""
NS_PER_MS = 1_000_000

PaperAction = Place | Amend | Cancel | CancelAll | ArmDeadMan | QueryOrder


class Paper(msgspec.Struct):
    """What would rest, by client id."""

    orders: dict[str, OpenOrder] = {}
    newest_venue_id: int = 0

    def perform(self, action: PaperAction, now_ns: int, exchange_ms: int) -> list[AnyEvent]:
        """Does it, and returns what is told about it, in order."""
        match action:
            case Place(approved=approved):
                if now_ns >= approved.deadline_ns:
                    return [_refused(now_ns, Request.PLACE, approved.order.client_id, Refusal.EXPIRED_DEADLINE)]
                return self._place(approved.order, now_ns, exchange_ms)
            case Amend(approved=approved):
                if now_ns >= approved.deadline_ns:
                    return [_refused(now_ns, Request.AMEND, approved.order.client_id, Refusal.EXPIRED_DEADLINE)]
                return self._amend(approved.order, now_ns, exchange_ms)
            case Cancel(client_id=client_id):
                if client_id not in self.orders:
                    return [_refused(now_ns, Request.CANCEL, client_id, Refusal.GONE)]
                order = self._close(client_id, OrderState.CANCELED, exchange_ms)
                return [_confirmed(now_ns, Request.CANCEL, order), _report(now_ns, order, Execution.CANCELED)]
            case CancelAll():
                ended = [self._close(client_id, OrderState.CANCELED, exchange_ms) for client_id in list(self.orders)]
                return [_report(now_ns, order, Execution.CANCELED) for order in ended]
            case ArmDeadMan(countdown_ms=countdown_ms):
                return [DeadManArmed(now_ns, now_ns + countdown_ms * NS_PER_MS)]
            case QueryOrder(client_id=client_id):
                return [OrderAnswer(now_ns, client_id, answered=True, order=self.orders.get(client_id))]

    def _place(self, wanted: WantedOrder, now_ns: int, exchange_ms: int) -> list[AnyEvent]:
        self.newest_venue_id += 1
        order = OpenOrder(
            client_id=wanted.client_id,
            venue_id=self.newest_venue_id,
            side=wanted.side,
            price_ticks=wanted.price_ticks,
            qty_steps=wanted.qty_steps,
            filled_steps=0,
            reduce_only=wanted.reduce_only,
            state=OrderState.NEW,
            update_ms=exchange_ms,
        )
        self.orders[wanted.client_id] = order
        told: list[AnyEvent] = [_report(now_ns, order, Execution.NEW)]
        if wanted.price_ticks != 0 and wanted.time_in_force is not TimeInForce.IMMEDIATE:
            return [*told, _confirmed(now_ns, Request.PLACE, order)]
        expired = self._close(wanted.client_id, OrderState.EXPIRED, exchange_ms)
        return [
            *told,
            _confirmed(now_ns, Request.PLACE, expired),
            _report(now_ns, expired, Execution.EXPIRED, IOC_REMAINDER),
        ]

    def _amend(self, wanted: WantedOrder, now_ns: int, exchange_ms: int) -> list[AnyEvent]:
        order = self.orders.get(wanted.client_id)
        if order is None:
            return [_refused(now_ns, Request.AMEND, wanted.client_id, Refusal.GONE)]
        order = msgspec.structs.replace(
            order, price_ticks=wanted.price_ticks, qty_steps=wanted.qty_steps, update_ms=exchange_ms
        )
        self.orders[wanted.client_id] = order
        return [_confirmed(now_ns, Request.AMEND, order), _report(now_ns, order, Execution.AMENDMENT)]

    def _close(self, client_id: str, state: OrderState, exchange_ms: int) -> OpenOrder:
        return msgspec.structs.replace(self.orders.pop(client_id), state=state, update_ms=exchange_ms)


def is_ours(order: OpenOrder) -> bool:
    """Of a worker of ours by its mark: what the exchange itself tells of is never an order that only exists here."""
    return order_id.parse(order.client_id) is not None


def only_fills(event: OrderReport) -> OrderReport | None:
    """What an engine whose orders are paper hears about the order of a live worker: its fill, as it moves the
    account's position, and nothing else. The order itself would be taken for a second writer's, or for an older
    token's to be cancelled.
    """
    if not is_ours(event.order):
        return event
    if event.fill is None:
        return None
    return msgspec.structs.replace(event, order=msgspec.structs.replace(event.order, state=OrderState.FILLED))


def _confirmed(now_ns: int, request: Request, order: OpenOrder) -> Answer:
    return Answer(
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


def _refused(now_ns: int, request: Request, client_id: str, refusal: Refusal) -> Answer:
    return Answer(now_ns, request, client_id, Outcome.REFUSED, 0, refusal)


def _report(now_ns: int, order: OpenOrder, execution: Execution, expiry_reason: int = 0) -> OrderReport:
    return OrderReport(now_ns, order.update_ms, order.update_ms, execution, order, None, expiry_reason)
