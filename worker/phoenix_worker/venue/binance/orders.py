"""Place, amend, cancel: from an approved order to bytes, and from a reply to the one `Answer` of the command.

The WebSocket API is the way; HTTP is the fallback while it is down. An order is checked against the lease's deadline as
the last act before its bytes leave, and carries a receive window that ends there, so that the exchange refuses what a
pause of this process (or the network) delayed. Cancels need no lease. Nothing is sent twice.
"""

import asyncio
from collections.abc import Callable

import msgspec

from phoenix_worker.core.actions import Amend, ApprovedOrder, Cancel, Place, TimeInForce
from phoenix_worker.core.events import Answer, Outcome, Refusal, Request, Side
from phoenix_worker.core.instrument import Instrument
from phoenix_worker.venue.binance import outcomes, own_messages
from phoenix_worker.venue.binance.clock_sync import ExchangeTime
from phoenix_worker.venue.binance.limits import RequestBudget, Urgency
from phoenix_worker.venue.binance.messages import DecodeError
from phoenix_worker.venue.binance.outcomes import Retry, Verdict, verdict
from phoenix_worker.venue.binance.rest import Rest, RestError
from phoenix_worker.venue.binance.wsapi import Query, RateLimit, Response, Sent, Unanswered, WsApi

_PATH = "/fapi/v1/order"
_EXPIRED = Verdict(Outcome.REFUSED, Refusal.EXPIRED_DEADLINE, Retry.NEVER)


class _Command(msgspec.Struct, frozen=True, gc=False):
    """One command on its way."""

    request: Request
    client_id: str
    method: str
    http: str
    query: Query
    deadline_ns: int | None
    urgency: Urgency


class Orders:
    """`emit` hears one `Answer` per command, never from within `place`, `amend` or `cancel`.

    `on_verdict` hears code, status and verdict of each refusal; `on_latency` the ns from write to answer.
    """

    def __init__(
        self,
        wsapi: WsApi | None,
        rest: Rest,
        time: ExchangeTime,
        budget: RequestBudget,
        instrument: Callable[[], Instrument],
        recv_window_ms: int,
        emit: Callable[[Answer], None],
        on_verdict: Callable[[int, Verdict], None],
        on_latency: Callable[[int], None],
    ) -> None:
        self._wsapi = wsapi
        self._rest = rest
        self._time = time
        self._budget = budget
        self._instrument = instrument
        self._recv_window_ms = recv_window_ms
        self._emit = emit
        self._on_verdict = on_verdict
        self._on_latency = on_latency
        self._over_http: set[asyncio.Task[None]] = set()
        self.rest_fallbacks = 0

    @property
    def in_flight(self) -> int:
        return len(self._over_http) + (self._wsapi.pending if self._wsapi is not None else 0)

    # -- commands ----------------------------------------------------------------------------------

    def place(self, action: Place) -> None:
        approved = action.approved
        order, instrument = approved.order, self._instrument()
        kind = "ACK" if order.time_in_force is TimeInForce.POST_ONLY else "RESULT"
        price = f"&price={instrument.price.text(order.price_ticks)}" if order.price_ticks else ""
        reduce_only = "&reduceOnly=true" if order.reduce_only else ""
        time_in_force = f"&timeInForce={order.time_in_force.value}" if order.price_ticks else ""
        query = Query(
            f"newClientOrderId={order.client_id}&newOrderRespType={kind}{price}"
            f"&quantity={instrument.quantity.text(order.qty_steps)}",
            f"{reduce_only}&side={_word(order.side)}&symbol={instrument.symbol}{time_in_force}",
            "&type=LIMIT" if order.price_ticks else "&type=MARKET",
        )
        self._send_order(Request.PLACE, "order.place", "POST", query, approved)

    def amend(self, action: Amend) -> None:
        approved = action.approved
        order, instrument = approved.order, self._instrument()
        query = Query(
            f"{_name_of(order.venue_id, order.client_id)}&price={instrument.price.text(order.price_ticks)}"
            f"&quantity={instrument.quantity.text(order.qty_steps)}",
            f"&side={_word(order.side)}&symbol={instrument.symbol}",
        )
        self._send_order(Request.AMEND, "order.modify", "PUT", query, approved)

    def cancel(self, action: Cancel) -> None:
        if not self._budget.admits_weight(self._time.clock.monotonic_ns(), 1, Urgency.CANCEL):
            text = "not sent: the exchange wants to hear nothing for a while"
            self._refuse(Request.CANCEL, action.client_id, outcomes.RATE_LIMITED, text)
            return
        query = Query(_name_of(action.venue_id, action.client_id), f"&symbol={self._instrument().symbol}")
        command = _Command(Request.CANCEL, action.client_id, "order.cancel", "DELETE", query, None, Urgency.CANCEL)
        self._send(command)

    def _send_order(self, request: Request, method: str, http: str, query: Query, approved: ApprovedOrder) -> None:
        order = approved.order
        urgency = Urgency.REDUCE if order.reduce_only else Urgency.QUOTE
        if not self._budget.admits_order(self._time.clock.monotonic_ns(), urgency):
            self._refuse(request, order.client_id, outcomes.RATE_LIMITED, "not sent: the order budget is used up")
            return
        self._send(_Command(request, order.client_id, method, http, query, approved.deadline_ns, urgency))

    def _send(self, command: _Command) -> None:
        now_ns = self._time.clock.monotonic_ns()
        timestamp_ms, window_ms = self._time.receive_window(now_ns, command.deadline_ns, self._recv_window_ms)
        sent = Sent.NOT_CONNECTED
        if window_ms <= 0:
            sent = Sent.TOO_LATE
        elif self._wsapi is not None:
            sent = self._wsapi.send(
                command.method,
                command.query,
                timestamp_ms,
                window_ms,
                command.deadline_ns,
                lambda reply, sent_ns: self._on_reply(command, reply, sent_ns),
            )
        match sent:
            case Sent.TOO_LATE:
                self._refuse(command.request, command.client_id, _EXPIRED, "not sent: the lease's deadline is here")
            case Sent.NOT_CONNECTED:
                self._send_over_http(command)
            case Sent.WRITTEN if command.request is Request.CANCEL:
                self._budget.weight_sent(now_ns, 1, Urgency.CANCEL)
            case Sent.WRITTEN:
                self._budget.order_sent(now_ns)

    # -- answers -----------------------------------------------------------------------------------

    def _on_reply(self, command: _Command, reply: Response | Unanswered, sent_ns: int) -> None:
        now_ns = self._time.clock.monotonic_ns()
        self._on_latency(now_ns - sent_ns)
        if isinstance(reply, Unanswered):
            self._on_verdict(0, outcomes.UNKNOWN)
            self._emit(_ended(now_ns, command, outcomes.UNKNOWN, 0, reply.reason, sent_ns))
            return
        self._read_limits(now_ns, reply.limits)
        if reply.status == 200 and reply.result is not None:
            self._emit(self._confirmed(now_ns, command, reply.result, sent_ns))
            return
        code, message = (reply.error.code, reply.error.message) if reply.error is not None else (0, "")
        ruling = verdict(reply.status, code, message)
        self._rest.note_limit(ruling, reply.status, code, message, self._seconds_to_wait(reply))
        self._on_verdict(code or reply.status, ruling)
        self._emit(_ended(now_ns, command, ruling, code, message, sent_ns))

    def _seconds_to_wait(self, reply: Response) -> float | None:
        data = reply.error.data if reply.error is not None else None
        if data is None or data.retry_after_ms is None:
            return None
        return max(0.0, (data.retry_after_ms - self._time.now_ms()) / 1000)

    def _confirmed(self, now_ns: int, command: _Command, reply: own_messages.OrderReply, sent_ns: int) -> Answer:
        try:
            order = reply.order(self._instrument())
        except (ValueError, ArithmeticError) as error:
            # Executed, but not as anything that we could have asked for: look it up.
            self._on_verdict(0, outcomes.UNKNOWN)
            return _ended(now_ns, command, outcomes.UNKNOWN, 0, f"the reply does not fit the symbol: {error}", sent_ns)
        return Answer(
            at=now_ns,
            request=command.request,
            client_id=command.client_id,
            outcome=Outcome.CONFIRMED,
            sent_ns=sent_ns,
            venue_id=order.venue_id,
            price_ticks=order.price_ticks,
            qty_steps=order.qty_steps,
            filled_steps=order.filled_steps,
            closed=not order.state.is_open,
            update_ms=order.update_ms,
        )

    def _read_limits(self, now_ns: int, limits: list[RateLimit]) -> None:
        for limit in limits:
            if limit.kind == "ORDERS":
                self._budget.orders_reported(now_ns, limit.seconds, limit.count)
            elif limit.kind == "REQUEST_WEIGHT" and limit.seconds == 60:
                self._budget.weight_reported(now_ns, limit.count)

    def _refuse(self, request: Request, client_id: str, ruling: Verdict, message: str) -> None:
        """Refused before it left. Told in the next turn of the loop: the engine is in the middle of its actions."""
        loop = asyncio.get_running_loop()
        loop.call_soon(
            lambda: self._emit(_refused(self._time.clock.monotonic_ns(), request, client_id, ruling, message))
        )

    # -- fallback ----------------------------------------------------------------------------------

    def _send_over_http(self, command: _Command) -> None:
        self.rest_fallbacks += 1
        now_ns = self._time.clock.monotonic_ns()
        if command.request is not Request.CANCEL:
            self._budget.order_sent(now_ns)
        task = asyncio.get_running_loop().create_task(self._over_http_request(command), name=command.method)
        self._over_http.add(task)
        task.add_done_callback(self._over_http.discard)

    async def _over_http_request(self, command: _Command) -> None:
        try:
            reply = await self._rest.change(
                command.http,
                _PATH,
                command.query.parameters(),
                weight=1 if command.request is Request.CANCEL else 0,
                urgency=Urgency.CANCEL if command.request is Request.CANCEL else command.urgency,
                deadline_ns=command.deadline_ns,
            )
        except RestError as error:
            now_ns = self._time.clock.monotonic_ns()
            self._emit(_ended(now_ns, command, error.verdict, error.code, error.message, error.sent_ns))
            return
        self._on_latency(reply.received_ns - reply.sent_ns)
        now_ns = self._time.clock.monotonic_ns()
        try:
            order = own_messages.order_ack(reply.body)
        except DecodeError as error:
            self._emit(_ended(now_ns, command, outcomes.UNKNOWN, 0, str(error), reply.sent_ns))
            return
        self._emit(self._confirmed(now_ns, command, order, reply.sent_ns))


def _word(side: Side) -> str:
    return "BUY" if side is Side.BUY else "SELL"


def _name_of(venue_id: int, client_id: str) -> str:
    """The exchange's own id where it is known: client ids are unique among open orders only."""
    return f"orderId={venue_id}" if venue_id else f"origClientOrderId={client_id}"


def _ended(now_ns: int, command: _Command, ruling: Verdict, code: int, message: str, sent_ns: int) -> Answer:
    return Answer(
        at=now_ns,
        request=command.request,
        client_id=command.client_id,
        outcome=ruling.outcome,
        sent_ns=sent_ns,
        refusal=ruling.refusal,
        code=code,
        message=message,
    )


def _refused(now_ns: int, request: Request, client_id: str, ruling: Verdict, message: str) -> Answer:
    return Answer(now_ns, request, client_id, ruling.outcome, 0, ruling.refusal, 0, message)
