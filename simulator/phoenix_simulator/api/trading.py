"""Order entry: place, modify, cancel, their batches, the countdown, and what is open."""

from collections.abc import Callable
from typing import Final

from phoenix_simulator.api import order_requests
from phoenix_simulator.api.gateway import Call, error_body
from phoenix_simulator.api.params import Params, invalid, parse_integer
from phoenix_simulator.api.render import orders
from phoenix_simulator.audit.ledger import Audit
from phoenix_simulator.clock import Clock
from phoenix_simulator.exchange.errors import VenueError
from phoenix_simulator.exchange.exchange import Exchange
from phoenix_simulator.exchange.orders import Order, OrderRef, OrderType, TimeInForce
from phoenix_simulator.exchange.settings import CancelBatchSizeCode
from phoenix_simulator.exchange.symbols import SymbolSpec

Json = dict[str, object]

BATCH_SIZE: Final = 5
CANCEL_BATCH_SIZE: Final = 10
_LONGEST_COUNTDOWN_MS: Final = 7 * 24 * 3_600_000


class Trading:
    def __init__(self, exchange: Exchange, clock: Clock, audit: Audit) -> None:
        self._exchange = exchange
        self._clock = clock
        self._audit = audit
        self._turnover = exchange.settings.ack_turnover

    # ---- single orders ------------------------------------------------------------------------------------------

    def place(self, call: Call) -> Json:
        return self._place(call, call.params)

    def test(self, call: Call) -> Json:
        order_requests.wants_result(call.params)
        request = order_requests.new_order(call.params, self._exchange)
        order = self._exchange.test(call.account_id, request, self._clock.now_ms())
        return orders.received(self._spec(order.symbol), order, turnover=self._turnover)

    def modify(self, call: Call) -> Json:
        return self._modify(call, call.params)

    def cancel(self, call: Call) -> Json:
        symbol = order_requests.required_symbol(call.params, self._exchange)
        return self._cancel(call, symbol, order_requests.order_ref(call.params))

    # ---- several at once ----------------------------------------------------------------------------------------

    def place_batch(self, call: Call) -> list[Json]:
        return self._batch(call, self._place)

    def modify_batch(self, call: Call) -> list[Json]:
        return self._batch(call, self._modify)

    def cancel_batch(self, call: Call) -> list[Json]:
        symbol = order_requests.required_symbol(call.params, self._exchange)
        refs = _cancel_refs(call.params, self._exchange.settings.cancel_batch_size)
        return [_or_error(lambda ref=ref: self._cancel(call, symbol, ref)) for ref in refs]  # type: ignore[misc]

    def cancel_all(self, call: Call) -> Json:
        symbol = order_requests.required_symbol(call.params, self._exchange)
        self._exchange.cancel_all(call.account_id, symbol, self._clock.now_ms())
        return {"code": 200, "msg": "The operation of cancel all open order is done."}

    def countdown(self, call: Call) -> Json:
        params = call.params
        params.text("symbol")
        countdown_ms = params.integer("countdownTime")
        symbol = order_requests.required_symbol(params, self._exchange)
        if countdown_ms > _LONGEST_COUNTDOWN_MS:
            raise invalid("countdownTime")
        self._exchange.set_countdown(call.account_id, symbol, countdown_ms, self._clock.now_ms())
        return {"symbol": symbol, "countdownTime": str(countdown_ms)}

    # ---- questions ----------------------------------------------------------------------------------------------

    def order(self, call: Call) -> Json:
        symbol = order_requests.required_symbol(call.params, self._exchange)
        ref = order_requests.order_ref(call.params)
        found = self._exchange.order(call.account_id, symbol, ref, self._clock.now_ms())
        return orders.queried(self._spec(symbol), found)

    def open_order(self, call: Call) -> Json:
        symbol = order_requests.required_symbol(call.params, self._exchange)
        found = self._exchange.open_order(call.account_id, symbol, order_requests.order_ref(call.params))
        return orders.queried(self._spec(symbol), found)

    def open_orders(self, call: Call) -> list[Json]:
        symbol = order_requests.optional_symbol(call.params, self._exchange)
        found = self._exchange.open_orders(call.account_id, symbol)
        return [orders.queried(self._spec(order.symbol), order) for order in found]

    # ---- parts --------------------------------------------------------------------------------------------------

    def _place(self, call: Call, params: Params) -> Json:
        result = order_requests.wants_result(params)
        request = order_requests.new_order(params, self._exchange)
        now_ms = self._clock.now_ms()
        order = self._exchange.place(call.account_id, request, now_ms)
        self._audit.accepted(order, call.holder, call.arrived_ns, now_ms)
        spec = self._spec(order.symbol)
        answer = orders.ack if result and _is_immediate(order) else orders.received
        return answer(spec, order, turnover=self._turnover)

    def _modify(self, call: Call, params: Params) -> Json:
        request = order_requests.amend_order(params, self._exchange)
        now_ms = self._clock.now_ms()
        order = self._exchange.modify(call.account_id, request, now_ms)
        self._audit.accepted(order, call.holder, call.arrived_ns, now_ms)
        return orders.modified(self._spec(order.symbol), order, request.modify_id, turnover=self._turnover)

    def _cancel(self, call: Call, symbol: str, ref: OrderRef) -> Json:
        order = self._exchange.cancel(call.account_id, symbol, ref, self._clock.now_ms())
        return orders.ack(self._spec(symbol), order, turnover=self._turnover)

    def _batch(self, call: Call, execute: Callable[[Call, Params], Json]) -> list[Json]:
        items = call.params.json_list("batchOrders")
        if not 1 <= len(items) <= BATCH_SIZE:
            raise VenueError(-4082, "Invalid number of batch place orders.")
        batch = [Params.of_json(item) for item in items if isinstance(item, dict)]
        if len(batch) != len(items):
            raise invalid("batchOrders")
        return [_or_error(lambda params=params: execute(call, params)) for params in batch]  # type: ignore[misc]

    def _spec(self, symbol: str) -> SymbolSpec:
        return self._exchange.listing(symbol).spec


def _is_immediate(order: Order) -> bool:
    """Orders whose RESULT is final: what is not filled at once is gone."""
    return order.type is OrderType.MARKET or order.time_in_force in {TimeInForce.IOC, TimeInForce.FOK}


def _or_error(execute: Callable[[], Json]) -> Json:
    """One item of a batch: its answer, or its error in the answer's place."""
    try:
        return execute()
    except VenueError as error:
        return dict(error_body(error))


def _cancel_refs(params: Params, size_code: CancelBatchSizeCode) -> list[OrderRef]:
    if "orderIdList" in params:
        ids = params.json_list("orderIdList")
        refs = [OrderRef(order_id=_order_id(item)) for item in ids]
    elif "origClientOrderIdList" in params:
        names = params.json_list("origClientOrderIdList")
        if not all(isinstance(name, str) for name in names):
            raise invalid("origClientOrderIdList")
        refs = [OrderRef(client_order_id=str(name)) for name in names]
    else:
        raise VenueError(-1102, "Param 'orderIdList' or 'origClientOrderIdList' must be sent, but both were empty!")
    if not 1 <= len(refs) <= CANCEL_BATCH_SIZE:
        if size_code == -1130:
            raise invalid("orderIdList" if "orderIdList" in params else "origClientOrderIdList")
        raise VenueError(size_code, f"Exceed the maximum cancel order size of {CANCEL_BATCH_SIZE}.")
    return refs


def _order_id(item: object) -> int:
    """Clients send ids as numbers or as strings."""
    number = None
    if isinstance(item, str) or (isinstance(item, int) and not isinstance(item, bool)):
        number = parse_integer(str(item))
    if number is None:
        raise invalid("orderIdList")
    return number
