"""Conditional orders as acknowledged, as queried and as told (Binance USDⓈ-M documentation, algo orders)."""

from decimal import Decimal

from phoenix_simulator.api.render.numbers import plain
from phoenix_simulator.api.render.orders import average_price
from phoenix_simulator.exchange.algo_orders import AlgoOrder
from phoenix_simulator.exchange.events import AlgoUpdated
from phoenix_simulator.exchange.orders import Order
from phoenix_simulator.exchange.symbols import SymbolSpec

Json = dict[str, object]

_NO_AVERAGE = "0.00000"


def placed(spec: SymbolSpec, algo: AlgoOrder) -> Json:
    request = algo.request
    return {
        **_head(spec, algo),
        "triggerPrice": _price(spec, request.trigger_price),
        "price": _price(spec, request.price),
        "icebergQuantity": None,
        **_terms(algo),
        "activatePrice": "" if request.activate_price is None else _price(spec, request.activate_price),
        "callbackRate": "" if request.callback_rate is None else plain(request.callback_rate),
        **_times(algo),
    }


def queried(spec: SymbolSpec, algo: AlgoOrder, order: Order | None) -> Json:
    """`order` is what it became. The fields of attached orders are always empty: there are none here."""
    request, nothing = algo.request, _price(spec, None)
    body: Json = {
        **_head(spec, algo),
        "actualOrderId": str(algo.order_id) if algo.order_id else "",
        "actualPrice": _NO_AVERAGE if order is None else average_price(spec, order),
        "triggerPrice": _price(spec, request.trigger_price),
        "price": _price(spec, request.price),
        "icebergQuantity": None,
        "tpTriggerPrice": nothing,
        "tpPrice": nothing,
        "slTriggerPrice": nothing,
        "slPrice": nothing,
        "tpOrderType": "",
        **_terms(algo),
        **_times(algo),
    }
    if request.callback_rate is not None:
        body["activatePrice"] = _price(spec, request.activate_price)
        body["callbackRate"] = plain(request.callback_rate)
    return body


def updated(spec: SymbolSpec, event: AlgoUpdated) -> Json:
    """`o` of ALGO_UPDATE."""
    algo, order = event.algo, event.order
    request = algo.request
    body: Json = {
        "caid": algo.client_algo_id,
        "aid": algo.algo_id,
        "at": "CONDITIONAL",
        "o": request.type.value,
        "s": algo.symbol,
        "S": request.side.value,
        "ps": request.position_side.value,
        "f": request.time_in_force.value,
        "q": "0" if request.quantity is None else plain(request.quantity),
        "X": algo.status.value,
        "ai": str(algo.order_id) if algo.order_id else "",
        "ap": _NO_AVERAGE if order is None else average_price(spec, order),
        "aq": _NO_AVERAGE if order is None else spec.format_quantity(order.executed_steps),
        "act": "0" if order is None else order.type.value,
        "tp": "0" if request.trigger_price is None else plain(request.trigger_price),
        "p": "0" if request.price is None else plain(request.price),
        "V": request.stp_mode.value,
        "wt": request.working_type.value,
        "pm": request.price_match.value,
        "cp": request.close_position,
        "pP": request.price_protect,
        "R": request.reduce_only,
        "tt": algo.triggered_ms,
        "gtd": request.good_till_ms,
    }
    if algo.reject_reason:
        body["rm"] = algo.reject_reason
    return body


def _head(spec: SymbolSpec, algo: AlgoOrder) -> Json:
    request = algo.request
    return {
        "algoId": algo.algo_id,
        "clientAlgoId": algo.client_algo_id,
        "algoType": "CONDITIONAL",
        "orderType": request.type.value,
        "symbol": algo.symbol,
        "side": request.side.value,
        "positionSide": request.position_side.value,
        "timeInForce": request.time_in_force.value,
        "quantity": format(request.quantity or Decimal(0), f".{spec.quantity_precision}f"),
        "algoStatus": algo.status.value,
    }


def _terms(algo: AlgoOrder) -> Json:
    request = algo.request
    return {
        "selfTradePreventionMode": request.stp_mode.value,
        "workingType": request.working_type.value,
        "priceMatch": request.price_match.value,
        "closePosition": request.close_position,
        "priceProtect": request.price_protect,
        "reduceOnly": request.reduce_only,
    }


def _times(algo: AlgoOrder) -> Json:
    return {
        "createTime": algo.created_ms,
        "updateTime": algo.updated_ms,
        "triggerTime": algo.triggered_ms,
        "goodTillDate": algo.request.good_till_ms,
    }


def _price(spec: SymbolSpec, price: Decimal | None) -> str:
    return format(price or Decimal(0), f".{spec.price_precision}f")
