"""Orders and trades of an account, as acknowledged and as queried."""

from phoenix_simulator.api.render.numbers import plain, plain_e8
from phoenix_simulator.exchange.events import Fill
from phoenix_simulator.exchange.orders import Amendment, Order, OrderStatus
from phoenix_simulator.exchange.symbols import SymbolSpec, decimal_ratio, format_e8

Json = dict[str, object]


def ack(spec: SymbolSpec, order: Order, *, turnover: bool) -> Json:
    """Answer to place, modify and cancel. Since mid-2026 without average price and turnover, says the documentation:
    who needs them listens, or asks. `turnover` has them as before.
    """
    executed = spec.format_quantity(order.executed_steps)
    traded = {"avgPrice": average_price(spec, order), "cumQuote": format_e8(order.cum_quote_e8, 5)} if turnover else {}
    return {
        **traded,
        "orderId": order.order_id,
        "symbol": order.symbol,
        "status": order.status.value,
        "clientOrderId": order.client_order_id,
        "price": spec.format_price(order.price_ticks),
        "origQty": spec.format_quantity(order.orig_steps),
        "executedQty": executed,
        "cumQty": executed,
        "timeInForce": order.time_in_force.value,
        "type": order.type.value,
        "reduceOnly": order.reduce_only,
        "closePosition": False,
        "side": order.side.value,
        "positionSide": order.position_side.value,
        "stopPrice": spec.format_price(0),
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": order.type.value,
        "priceMatch": order.price_match.value,
        "selfTradePreventionMode": order.stp_mode.value,
        "goodTillDate": order.good_till_ms,
        "updateTime": order.updated_ms,
    }


def received(spec: SymbolSpec, order: Order, *, turnover: bool) -> Json:
    """The ACK of a new order: sent as it is received, so it knows of no fill yet."""
    nothing = spec.format_quantity(0)
    traded = {"avgPrice": spec.format_price(0), "cumQuote": format_e8(0, 5)} if turnover else {}
    return {
        **ack(spec, order, turnover=False),
        **traded,
        "status": OrderStatus.NEW.value,
        "executedQty": nothing,
        "cumQty": nothing,
        "updateTime": order.created_ms,
    }


def modified(spec: SymbolSpec, order: Order, modify_id: int | None, *, turnover: bool) -> Json:
    answer = {**ack(spec, order, turnover=turnover), "pair": order.symbol}
    if modify_id is not None:
        answer["modifyId"] = modify_id
    return answer


def queried(spec: SymbolSpec, order: Order) -> Json:
    """An order as GET answers it, with what it traded for."""
    return {
        "orderId": order.order_id,
        "symbol": order.symbol,
        "pair": order.symbol,
        "status": order.status.value,
        "clientOrderId": order.client_order_id,
        "price": spec.format_price(order.price_ticks),
        "avgPrice": average_price(spec, order),
        "origQty": spec.format_quantity(order.orig_steps),
        "executedQty": spec.format_quantity(order.executed_steps),
        "cumQuote": format_e8(order.cum_quote_e8, 5),
        "cumBase": "0",
        "timeInForce": order.time_in_force.value,
        "type": order.type.value,
        "origType": order.type.value,
        "reduceOnly": order.reduce_only,
        "closePosition": False,
        "side": order.side.value,
        "positionSide": order.position_side.value,
        "stopPrice": spec.format_price(0),
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "priceMatch": order.price_match.value,
        "selfTradePreventionMode": order.stp_mode.value,
        "goodTillDate": order.good_till_ms,
        "time": order.created_ms,
        "updateTime": order.updated_ms,
    }


def user_trade(spec: SymbolSpec, fill: Fill) -> Json:
    return {
        "symbol": fill.symbol,
        "pair": fill.symbol,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "side": fill.side.value,
        "positionSide": fill.position_side.value,
        "price": spec.format_price(fill.price_ticks),
        "qty": spec.format_quantity(fill.qty_steps),
        "quoteQty": format_e8(fill.quote_e8, 5),
        "baseQty": "0",
        "commission": format_e8(fill.commission_e8),
        "commissionAsset": fill.commission_asset,
        "marginAsset": spec.margin_asset,
        "realizedPnl": plain_e8(fill.realised_e8),
        "buyer": fill.side.sign > 0,
        "maker": fill.is_maker,
        "time": fill.time_ms,
    }


def amendment(spec: SymbolSpec, row: Amendment) -> Json:
    detail: Json = {
        "price": {
            "before": spec.format_price(row.price_ticks_before),
            "after": spec.format_price(row.price_ticks_after),
        },
        "origQty": {
            "before": spec.format_quantity(row.orig_steps_before),
            "after": spec.format_quantity(row.orig_steps_after),
        },
        "count": row.count,
    }
    if row.modify_id is not None:
        detail["modifyId"] = row.modify_id
    return {
        "amendmentId": row.amendment_id,
        "symbol": row.symbol,
        "pair": row.symbol,
        "orderId": row.order_id,
        "clientOrderId": row.client_order_id,
        "time": row.time_ms,
        "amendment": detail,
    }


def average_price(spec: SymbolSpec, order: Order) -> str:
    """Zero, padded, where nothing traded; otherwise five decimals, more than a tick has."""
    if not order.executed_steps:
        return spec.format_price(0)
    return format(decimal_ratio(order.cum_quote_e8, order.executed_steps * spec.step_e8), ".5f")


def compact_average(spec: SymbolSpec, order: Order) -> str:
    """`ap` of the user stream."""
    if not order.executed_steps:
        return "0"
    return plain(decimal_ratio(order.cum_quote_e8, order.executed_steps * spec.step_e8))
