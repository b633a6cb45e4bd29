"""Order parameters → the exchange's requests: presence and format, symbol, then enumerations, in the venue's order."""

from enum import StrEnum
from typing import Final, TypeVar

from phoenix_simulator.api.params import Params
from phoenix_simulator.exchange import checks, errors
from phoenix_simulator.exchange.errors import VenueError
from phoenix_simulator.exchange.exchange import Exchange
from phoenix_simulator.exchange.orders import (
    AmendOrder,
    NewOrder,
    OrderRef,
    OrderType,
    PositionSide,
    PriceMatch,
    Side,
    StpMode,
    TimeInForce,
)

_CONDITIONAL_TYPES: Final = frozenset(
    {"STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"}
)
_SUSPENDED_PRICE_MATCHES: Final = frozenset({"OPPONENT_10", "OPPONENT_20"})
_TRUTH: Final = {"true": True, "false": False}
_RESPONSE_TYPES: Final = frozenset({"ACK", "RESULT"})

E = TypeVar("E", bound=StrEnum)


def new_order(params: Params, exchange: Exchange) -> NewOrder:
    symbol_text, side_text, type_text = params.text("symbol"), params.text("side"), params.text("type")
    if type_text in _CONDITIONAL_TYPES:
        # Before anything that only plain orders must have: with closePosition these come without a quantity.
        raise VenueError(
            -4120, "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead."
        )
    quantity = params.decimal("quantity")
    price = params.optional_decimal("price")
    good_till_ms = params.integer_or("goodTillDate", 0)
    time_in_force, stp_mode = params.raw("timeInForce"), params.raw("selfTradePreventionMode")
    client_order_id, match_text = params.raw("newClientOrderId"), params.raw("priceMatch")
    for name in ("positionSide", "reduceOnly"):
        params.raw(name)
    checks.check_presence(
        type_text,
        time_in_force,
        has_price=price is not None,
        has_price_match=match_text not in {None, PriceMatch.NONE},
        has_good_till=good_till_ms != 0,
        stray_code=exchange.settings.stray_time_in_force,
    )
    symbol = known_symbol(symbol_text, exchange)
    checks.check_symbol(exchange.listing(symbol))
    return NewOrder(
        symbol=symbol,
        side=enumerated(Side, side_text, VenueError(-1117, "Invalid side.")),
        type=enumerated(OrderType, type_text, VenueError(-1116, "Invalid orderType.")),
        quantity=quantity,
        price=price,
        time_in_force=None
        if time_in_force is None
        else enumerated(TimeInForce, time_in_force, VenueError(-1115, "Invalid timeInForce.")),
        # A value that is none is told late in the chain, with the modes.
        reduce_only=_TRUTH.get((params.raw("reduceOnly") or "false").lower()),
        client_order_id=client_order_id,
        position_side=position_side(params),
        stp_mode=StpMode.EXPIRE_MAKER
        if stp_mode is None
        else enumerated(StpMode, stp_mode, VenueError(-5039, "Invalid self trade prevention mode.")),
        price_match=price_match(params),
        good_till_ms=good_till_ms,
    )


def wants_result(params: Params) -> bool:
    """`newOrderRespType` RESULT; -1136 for anything but ACK and RESULT."""
    kind = params.raw("newOrderRespType") or "ACK"
    if kind not in _RESPONSE_TYPES:
        raise VenueError(-1136, "Invalid newOrderRespType.")
    return kind == "RESULT"


def amend_order(params: Params, exchange: Exchange) -> AmendOrder:
    symbol_text, side_text = params.text("symbol"), params.text("side")
    ref = order_ref(params)
    quantity = params.decimal("quantity")
    price = params.optional_decimal("price")
    modify_id = params.optional_integer("modifyId")
    symbol = known_symbol(symbol_text, exchange)
    return AmendOrder(
        symbol=symbol,
        ref=ref,
        side=enumerated(Side, side_text, VenueError(-1117, "Invalid side.")),
        quantity=quantity,
        price=price,
        price_match=price_match(params),
        reduce_only=reduce_only(params),
        modify_id=modify_id,
    )


def order_ref(params: Params) -> OrderRef:
    """`orderId` or `origClientOrderId`; one of them is required."""
    order_id = params.optional_integer("orderId")
    client_order_id = params.raw("origClientOrderId")
    if order_id is None and client_order_id is None:
        raise VenueError(-1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!")
    return OrderRef(order_id, client_order_id)


def position_side(params: Params) -> PositionSide:
    """`positionSide`, BOTH where absent."""
    text = params.raw("positionSide")
    if text is None:
        return PositionSide.BOTH
    return enumerated(PositionSide, text, VenueError(-4060, "Invalid position side."))


def known_symbol(text: str, exchange: Exchange) -> str:
    """Upper case, and listed (-1121). REST takes lower case too."""
    symbol = text.upper()
    exchange.listing(symbol)
    return symbol


def required_symbol(params: Params, exchange: Exchange) -> str:
    return known_symbol(params.text("symbol"), exchange)


def optional_symbol(params: Params, exchange: Exchange) -> str | None:
    text = params.raw("symbol")
    return None if text is None else known_symbol(text, exchange)


def reduce_only(params: Params) -> bool | None:
    """None where absent; -4062 for what is neither true nor false."""
    text = params.raw("reduceOnly")
    if text is None:
        return None
    value = _TRUTH.get(text.lower())
    if value is None:
        raise errors.bad_reduce_only()
    return value


def price_match(params: Params) -> PriceMatch:
    text = params.raw("priceMatch")
    if text is None:
        return PriceMatch.NONE
    if text in _SUSPENDED_PRICE_MATCHES:
        raise VenueError(-5037, "Invalid price match")
    return enumerated(PriceMatch, text, VenueError(-5037, "Invalid price match"))


def enumerated(kind: type[E], text: str, error: VenueError) -> E:
    try:
        return kind(text)
    except ValueError:
        raise error from None
