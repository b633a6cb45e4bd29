"""Refusals to the letter: code, text, HTTP status, and of two defects the one that the venue sees first.

The order of checks is the sensible one of Binance USDⓈ-M documentation ("Error codes"): presence and format, symbol,
enumerations, client id, decimals, price, quantity, notional, percent price, position side, reduce-only, margin, engine.
"""

import asyncio
from contextlib import asynccontextmanager
from itertools import combinations

import msgspec
import pytest

ORDER = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.010",
    "price": "61000",
}
ABSENT = None
FORM = "presence and format"


class Defect(msgspec.Struct, frozen=True):
    """What is wrong with an order, and how the venue says so. Defects of one stage exclude each other."""

    stage: str
    changes: dict[str, str | None]
    code: int
    msg: str


def mandatory(name):
    return f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."


CHAIN = [
    *(Defect(FORM, {name: ABSENT}, -1102, mandatory(name)) for name in ("symbol", "side", "type", "quantity")),
    Defect(FORM, {"price": ABSENT}, -1102, mandatory("price")),
    Defect(FORM, {"timeInForce": ABSENT}, -1102, mandatory("timeInForce")),
    Defect(
        FORM,
        {"price": "6e4"},
        -1100,
        r"Illegal characters found in parameter 'price'; legal range is '^([0-9]{1,20})(\.[0-9]{1,20})?$'.",
    ),
    Defect(
        FORM,
        {"goodTillDate": "soon"},
        -1100,
        "Illegal characters found in parameter 'goodTillDate'; legal range is '^[0-9]{1,20}$'.",
    ),
    Defect(FORM, {"newClientOrderId": ""}, -1105, "Parameter 'newClientOrderId' was empty."),
    Defect(FORM, {"priceMatch": "QUEUE"}, -1106, "Parameter 'price' sent when not required."),
    Defect("symbol", {"symbol": "NOUSDT"}, -1121, "Invalid symbol."),
    Defect("symbol", {"symbol": "ETHUSDC"}, -4140, "Invalid symbol status for opening position."),
    Defect("enumeration", {"side": "LONG"}, -1117, "Invalid side."),
    Defect("enumeration", {"type": "LIMIT_MAKER"}, -1116, "Invalid orderType."),
    Defect("enumeration", {"timeInForce": "DAY"}, -1115, "Invalid timeInForce."),
    Defect("enumeration", {"positionSide": "FLAT"}, -4060, "Invalid position side."),
    Defect("client id", {"newClientOrderId": "x" * 37}, -4015, "Client order id is not valid."),
    Defect("client id", {"newClientOrderId": "resting"}, -4116, "ClientOrderId is duplicated."),
    Defect("decimals", {"price": "61000.001"}, -1111, "Precision is over the maximum defined for this asset."),
    Defect("decimals", {"quantity": "0.0101"}, -1111, "Precision is over the maximum defined for this asset."),
    Defect("price", {"price": "0"}, -4001, "Price less than 0."),
    Defect("price", {"price": "4529764.1"}, -4002, "Price greater than max price."),
    Defect("price", {"price": "556.7"}, -4013, "Price less than min price."),
    Defect("price", {"price": "61000.05"}, -4014, "Price not increased by tick size."),
    Defect("quantity", {"quantity": "0"}, -4003, "Quantity less than or equal to zero."),
    Defect("quantity", {"quantity": "1000.001"}, -4005, "Quantity greater than max quantity."),
    Defect(
        "notional",
        {"price": "4000"},
        -4164,
        "Order's notional must be no smaller than 50 (unless you choose reduce only).",
    ),
    Defect("percent price", {"price": "64890.1"}, -4016, "Limit price can't be higher than 64890.00."),
    Defect("position side", {"positionSide": "LONG"}, -4061, "Order's position side does not match user's setting."),
    Defect("position side", {"reduceOnly": "maybe"}, -4062, "Invalid or improper reduceOnly value."),
    Defect("reduce only", {"reduceOnly": "true"}, -2022, "ReduceOnly Order is rejected."),
    Defect("margin", {"quantity": "999"}, -2019, "Margin is insufficient."),
    Defect(
        "engine",
        {"price": "61801", "timeInForce": "GTX"},
        -5022,
        "Due to the order could not be executed as maker, the Post Only order will be rejected. "
        "The order will not be recorded in the order history",
    ),
    Defect(
        "engine",
        {"timeInForce": "FOK"},
        -5021,
        "Due to the order could not be filled immediately, the FOK order has been rejected.",
    ),
]
STAGES = list(dict.fromkeys(defect.stage for defect in CHAIN))


def named(defect):
    changes = ", ".join(f"{name}={value!r}"[:30] for name, value in defect.changes.items())
    return f"{defect.stage}: {changes}"


def both(first, second):
    """Whether two defects of different stages can be in one order, neither mending the other."""
    if first.stage == second.stage or first.changes.keys() & second.changes.keys():
        return False
    if (
        "type" in second.changes
        and second.stage != FORM
        and first.changes.keys() & {"price", "timeInForce", "priceMatch"}
    ):
        # Nobody knows what an order of an unknown type must have.
        return first.code == -1100
    # The second symbol has filters of its own, a market order no price, and no reduce-only order a margin or notional.
    stages = {first.stage, second.stage}
    if stages in ({"notional", "margin"}, {"reduce only", "notional"}, {"reduce only", "margin"}):
        return False
    return not (first.stage == "symbol" and first.code == -4140 and {"price", "quantity"} & second.changes.keys())


@pytest.fixture(scope="module")
def chain_venue(venues_of_module):
    """One venue for all of the table: every request of it is refused and changes nothing."""
    with asyncio.Runner() as runner:

        @asynccontextmanager
        async def opened():
            async with venues_of_module() as venue:
                maker = await venue.account()
                await maker.place(newClientOrderId="resting")
                await venue.control("POST", "/sim/market", {"symbol": "ETHUSDC", "status": "PRE_SETTLE"})
                yield maker

        context = opened()
        maker = runner.run(context.__aenter__())
        yield runner, maker
        runner.run(context.__aexit__(None, None, None))


def refusal(chain_venue, *defects):
    """(HTTP status, code, text) of an order with these defects."""
    runner, maker = chain_venue
    params = {**ORDER}
    for defect in defects:
        params |= defect.changes
    sent = {name: value for name, value in params.items() if value is not ABSENT}
    maker.venue.server.clock.jump(11)  # a fresh window of the order limits
    status, body = runner.run(maker.ask("POST", "/fapi/v1/order", **sent))
    return status, body.get("code"), body.get("msg")


@pytest.mark.parametrize("defect", CHAIN, ids=named)
def test_an_order_is_refused_to_the_letter(chain_venue, defect):
    assert refusal(chain_venue, defect) == (400, defect.code, defect.msg)


@pytest.mark.parametrize("stage", STAGES)
def test_of_two_defects_the_earlier_in_the_chain_is_told(chain_venue, stage):
    later = STAGES[STAGES.index(stage) + 1 :]
    pairs = [pair for pair in combinations(CHAIN, 2) if pair[0].stage == stage and pair[1].stage in later]
    wrong = {
        f"{named(first)} + {named(second)}": told
        for first, second in pairs
        if both(first, second) and (told := refusal(chain_venue, first, second))[1] != first.code
    }
    assert wrong == {}


REF = {"symbol": "BTCUSDT", "orderId": 1}
NO_REF = "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"
NO_ORDER = (400, -2013, "Order does not exist.")
UNKNOWN = (400, -2011, "Unknown order sent.")
NOT_A_SYMBOL = (400, -1121, "Invalid symbol.")


def lacks(name):
    return 400, -1102, mandatory(name)


@pytest.mark.parametrize(
    ("request_line", "params", "told"),
    [
        pytest.param(line, params, told, id=f"{line} {params}"[:90])
        for line, rows in {
            "GET /fapi/v1/order": [
                ({}, lacks("symbol")),
                ({"symbol": "BTCUSDT"}, (400, -1102, NO_REF)),
                ({"symbol": "NOUSDT", "orderId": 1}, NOT_A_SYMBOL),
                (REF, NO_ORDER),
            ],
            "GET /fapi/v1/openOrder": [({"symbol": "BTCUSDT"}, (400, -1102, NO_REF)), (REF, NO_ORDER)],
            "GET /fapi/v1/orderAmendment": [({"symbol": "BTCUSDT"}, (400, -1102, NO_REF)), (REF, NO_ORDER)],
            "DELETE /fapi/v1/order": [({"symbol": "BTCUSDT"}, (400, -1102, NO_REF)), (REF, UNKNOWN)],
            "PUT /fapi/v1/order": [
                ({}, lacks("symbol")),
                ({"symbol": "BTCUSDT"}, lacks("side")),
                ({"symbol": "BTCUSDT", "side": "BUY"}, (400, -1102, NO_REF)),
                ({**REF, "side": "BUY"}, lacks("quantity")),
                ({**REF, "side": "BUY", "quantity": "1", "price": "61000"}, NO_ORDER),
                (
                    {"symbol": "BTCUSDT", "origClientOrderId": "resting", "side": "BUY", "quantity": "1"},
                    lacks("price"),
                ),
            ],
            "DELETE /fapi/v1/allOpenOrders": [({}, lacks("symbol")), ({"symbol": "NOUSDT"}, NOT_A_SYMBOL)],
            "POST /fapi/v1/countdownCancelAll": [
                ({"symbol": "BTCUSDT"}, lacks("countdownTime")),
                ({"symbol": "NOUSDT", "countdownTime": 1}, NOT_A_SYMBOL),
            ],
            "POST /fapi/v1/batchOrders": [
                ({}, lacks("batchOrders")),
                ({"batchOrders": "{"}, (400, -1130, "Data sent for parameter 'batchOrders' is not valid.")),
                ({"batchOrders": "[]"}, (400, -4082, "Invalid number of batch place orders.")),
                ({"batchOrders": "[1,1,1,1,1,1]"}, (400, -4082, "Invalid number of batch place orders.")),
            ],
            "DELETE /fapi/v1/batchOrders": [
                (
                    {"symbol": "BTCUSDT", "orderIdList": "[]"},
                    (400, -4032, "Exceed the maximum cancel order size of 10."),
                ),
            ],
            "GET /fapi/v1/userTrades": [
                ({}, lacks("symbol")),
                ({"symbol": "BTCUSDT", "limit": 1001}, (400, -1130, "Data sent for parameter 'limit' is not valid.")),
                (
                    {"symbol": "BTCUSDT", "fromId": 1, "startTime": 1},
                    (400, -1128, "Combination of optional parameters invalid."),
                ),
                (
                    {"symbol": "BTCUSDT", "startTime": 1, "endTime": 604_800_002},
                    (400, -4165, "Invalid time interval. Maximum time interval is 7 days."),
                ),
            ],
            "GET /fapi/v1/depth": [
                ({}, lacks("symbol")),
                ({"symbol": "BTCUSDT", "limit": 7}, (400, -4021, "7 is not valid depth limit")),
            ],
            "GET /fapi/v1/klines": [
                ({"symbol": "BTCUSDT"}, lacks("interval")),
                ({"symbol": "BTCUSDT", "interval": "2m"}, (400, -1120, "Invalid interval.")),
            ],
            "GET /fapi/v1/income": [
                ({"incomeType": "GIFT"}, (400, -1130, "Data sent for parameter 'incomeType' is not valid.")),
            ],
            "GET /fapi/v1/commissionRate": [({}, lacks("symbol"))],
            "POST /fapi/v1/leverage": [
                ({"symbol": "BTCUSDT", "leverage": 126}, (400, -4028, "Leverage 126 is not valid")),
            ],
            "POST /fapi/v1/marginType": [
                (
                    {"symbol": "BTCUSDT", "marginType": "CROSSED"},
                    (400, -4046, "No need to change margin type."),
                ),
                (
                    {"symbol": "BTCUSDT", "marginType": "ISOLATED"},
                    (400, -4047, "Margin type cannot be changed if there exists open orders."),
                ),
            ],
            "POST /fapi/v1/positionMargin": [
                (
                    {"symbol": "BTCUSDT", "amount": "1", "type": 1},
                    (400, -4049, "Add margin only support for isolated position."),
                ),
                ({"symbol": "BTCUSDT", "amount": "0", "type": 1}, (400, -4055, "Amount must be positive.")),
            ],
            "POST /fapi/v1/positionSide/dual": [
                ({}, lacks("dualSidePosition")),
                ({"dualSidePosition": "false"}, (400, -4059, "No need to change position side.")),
                (
                    {"dualSidePosition": "true"},
                    (400, -4067, "Position side cannot be changed if there exists open orders."),
                ),
            ],
            "POST /fapi/v1/multiAssetsMargin": [
                ({}, lacks("multiAssetsMargin")),
                (
                    {"multiAssetsMargin": "true"},
                    (400, -4170, "Unable to adjust Multi-Assets Mode with open orders in USDⓈ-M Futures account."),
                ),
                (
                    {"multiAssetsMargin": "false"},
                    (400, -4171, "Adjusted asset mode is currently set and does not need to be adjusted repeatedly."),
                ),
            ],
            "PUT /fapi/v1/listenKey": [({}, (400, -1125, "This listenKey does not exist."))],
            "DELETE /fapi/v1/algoOrder": [({"algoId": 1}, UNKNOWN)],
            "GET /fapi/v1/algoOrder": [({"algoId": 1}, NO_ORDER)],
            "GET /fapi/v1/nothing": [({}, (404, -5000, "Path /fapi/v1/nothing, Method GET is invalid"))],
        }.items()
        for params, told in rows
    ],
)
def test_every_group_of_endpoints_refuses_to_the_letter(chain_venue, request_line, params, told):
    runner, maker = chain_venue
    maker.venue.server.clock.jump(11)
    status, body = runner.run(maker.ask(*request_line.split(), **params))
    assert (status, body.get("code"), body.get("msg")) == told


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        pytest.param("POST /fapi/v1/order", (400, -4120), id="plain endpoint"),
        pytest.param("POST /fapi/v1/order/test", (400, -4120), id="test endpoint"),
    ],
)
@pytest.mark.parametrize(
    "order_type", ["STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"]
)
def test_conditional_types_are_sent_elsewhere(chain_venue, kind, told, order_type):
    runner, maker = chain_venue
    maker.venue.server.clock.jump(11)
    status, body = runner.run(maker.ask(*kind.split(), **{**ORDER, "type": order_type}))
    assert (status, body["code"]) == told
    assert body["msg"].startswith("Order type not supported for this endpoint. Please use the Algo Order API")
