"""Conditional orders over the wire: `algoOrder` and its lists."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from phoenix_simulator.api import order_requests
from phoenix_simulator.api.gateway import Call
from phoenix_simulator.api.params import Params, invalid
from phoenix_simulator.api.render import algo_orders as render
from phoenix_simulator.clock import Clock
from phoenix_simulator.exchange.algo_orders import AlgoOrder, AlgoRef, ConditionalType, NewAlgoOrder, WorkingType
from phoenix_simulator.exchange.conditional import ConditionalOrders
from phoenix_simulator.exchange.errors import VenueError
from phoenix_simulator.exchange.exchange import Exchange
from phoenix_simulator.exchange.orders import Side, StpMode, TimeInForce

Json = dict[str, object]

_CONDITIONAL: Final = "CONDITIONAL"
_TIMES_IN_FORCE: Final = frozenset(
    {TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTX, TimeInForce.GTD}
)


class AlgoOrders:
    def __init__(self, exchange: Exchange, conditional: ConditionalOrders, clock: Clock) -> None:
        self._exchange = exchange
        self._conditional = conditional
        self._clock = clock

    def place(self, call: Call) -> Json:
        order_requests.wants_result(call.params)
        request = _new_algo_order(call.params, self._exchange)
        algo = self._conditional.place(call.account_id, request, self._clock.now_ms())
        return render.placed(self._exchange.listing(algo.symbol).spec, algo)

    def cancel(self, call: Call) -> Json:
        algo = self._conditional.cancel(call.account_id, _ref(call.params), self._clock.now_ms())
        # The one answer of the venue whose code is text.
        return {"algoId": algo.algo_id, "clientAlgoId": algo.client_algo_id, "code": "200", "msg": "success"}

    def cancel_all(self, call: Call) -> Mapping[str, object]:
        symbol = order_requests.required_symbol(call.params, self._exchange)
        self._conditional.cancel_all(call.account_id, symbol, self._clock.now_ms())
        return {"code": 200, "msg": "The operation of cancel all open order is done."}

    def find(self, call: Call) -> Json:
        return self._render(self._conditional.find(call.account_id, _ref(call.params)))

    def open(self, call: Call) -> list[Json]:
        if call.params.raw("algoType") not in {None, _CONDITIONAL}:
            raise invalid("algoType")
        algo_id = call.params.optional_integer("algoId")
        symbol = order_requests.optional_symbol(call.params, self._exchange)
        rows = self._conditional.open(call.account_id, symbol)
        return [self._render(row) for row in rows if algo_id in {None, row.algo_id}]

    def all(self, call: Call) -> list[Json]:
        """Ascending by id: pages of the window, or from an id on."""
        params = call.params
        limit, page = params.limit(500, 1_000), params.integer_or("page", 1)
        if page < 1:
            raise invalid("page")
        from_id = params.optional_integer("algoId")
        start_ms, end_ms = params.optional_integer("startTime"), params.optional_integer("endTime")
        symbol = order_requests.required_symbol(params, self._exchange)
        rows = [
            row
            for row in self._conditional.all(call.account_id, symbol)
            if (from_id is None or row.algo_id >= from_id)
            and (start_ms is None or row.created_ms >= start_ms)
            and (end_ms is None or row.created_ms <= end_ms)
        ]
        return [self._render(row) for row in rows[(page - 1) * limit : page * limit]]

    def _render(self, algo: AlgoOrder) -> Json:
        order = self._conditional.order_of(algo, self._clock.now_ms())
        return render.queried(self._exchange.listing(algo.symbol).spec, algo, order)


def _new_algo_order(params: Params, exchange: Exchange) -> NewAlgoOrder:
    if params.text("algoType") != _CONDITIONAL:
        raise invalid("algoType")
    symbol_text, side_text, type_text = params.text("symbol"), params.text("side"), params.text("type")
    # The venue's own example spells it in lower case.
    trigger = params.optional_decimal("triggerPrice" if "triggerPrice" in params else "triggerprice")
    numbers: dict[str, Decimal | None] = {
        name: params.optional_decimal(name) for name in ("quantity", "price", "activatePrice", "callbackRate")
    }
    good_till_ms = params.integer_or("goodTillDate", 0)
    symbol = order_requests.known_symbol(symbol_text, exchange)
    time_in_force = order_requests.enumerated(
        TimeInForce, params.raw("timeInForce") or TimeInForce.GTC, VenueError(-1115, "Invalid timeInForce.")
    )
    if time_in_force not in _TIMES_IN_FORCE:
        raise VenueError(-1115, "Invalid timeInForce.")
    return NewAlgoOrder(
        symbol=symbol,
        side=order_requests.enumerated(Side, side_text, VenueError(-1117, "Invalid side.")),
        type=order_requests.enumerated(ConditionalType, type_text, VenueError(-1116, "Invalid orderType.")),
        position_side=order_requests.position_side(params),
        time_in_force=time_in_force,
        quantity=numbers["quantity"],
        price=numbers["price"],
        price_match=order_requests.price_match(params),
        trigger_price=trigger,
        activate_price=numbers["activatePrice"],
        callback_rate=numbers["callbackRate"],
        working_type=order_requests.enumerated(
            WorkingType, params.raw("workingType") or WorkingType.CONTRACT_PRICE, invalid("workingType")
        ),
        close_position=params.flag("closePosition"),
        price_protect=params.flag("priceProtect"),
        reduce_only=order_requests.reduce_only(params) or False,
        client_algo_id=params.raw("clientAlgoId"),
        stp_mode=order_requests.enumerated(
            StpMode,
            params.raw("selfTradePreventionMode") or StpMode.EXPIRE_MAKER,
            VenueError(-5039, "Invalid self trade prevention mode."),
        ),
        good_till_ms=good_till_ms,
    )


def _ref(params: Params) -> AlgoRef:
    algo_id, client_algo_id = params.optional_integer("algoId"), params.raw("clientAlgoId")
    if algo_id is None and client_algo_id is None:
        raise VenueError(-1102, "Param 'algoId' or 'clientAlgoId' must be sent, but both were empty/null!")
    return AlgoRef(algo_id, client_algo_id)
