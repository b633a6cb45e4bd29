"""A wrong request gets the venue's own error: HTTP status, code and text, and of several mistakes the first."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from venue_client import Client, wire

Change = Callable[[Client], dict[str, object]]
NEW_ORDER = "Trade, New Order (TRADE); Error Codes"
documented = pytest.mark.documented


@dataclass(frozen=True)
class Refusal:
    """What is wrong with an order, and what the venue says to it; `text` "" where the documentation gives none."""

    change: Change | dict[str, object]
    codes: int | tuple[int, ...]
    text: str = ""

    def changes(self, client: Client) -> dict[str, object]:
        return self.change if isinstance(self.change, dict) else self.change(client)


def _finer(client: Client) -> dict[str, object]:
    """A price with one decimal more than allowed."""
    return {"price": client.rules.max_price / 10 + Decimal(1).scaleb(-client.rules.price_precision - 1)}


def _off_tick(client: Client) -> dict[str, object]:
    unit = Decimal(1).scaleb(-client.rules.price_precision)
    if unit >= client.rules.tick:
        pytest.skip("every price with the allowed decimals is on the grid of this symbol")
    return {"price": client.rules.price(client.rules.max_price / 10) + unit}


WRONG_ORDERS = {
    "no symbol": Refusal({"symbol": None}, -1102, "Mandatory parameter 'symbol' was not sent"),
    "no side": Refusal({"side": None}, -1102, "Mandatory parameter 'side' was not sent"),
    "no type": Refusal({"type": None}, -1102, "Mandatory parameter 'type' was not sent"),
    "a limit order without time in force": Refusal({"timeInForce": None}, -1102, "'timeinforce'"),
    "a limit order without quantity": Refusal({"quantity": None}, -1102, "'quantity'"),
    "a limit order without price": Refusal({"price": None}, -1102, "'price'"),
    "a symbol that is not listed": Refusal({"symbol": "NOSUCHUSDT"}, -1121, "Invalid symbol."),
    "a side that is none": Refusal({"side": "HOLD"}, -1117, "Invalid side."),
    "a type that is none": Refusal({"type": "LIMIT_MAKER"}, -1116, "Invalid orderType."),
    "a time in force that is none": Refusal({"timeInForce": "GTW"}, -1115, "Invalid timeInForce."),
    "a conditional type, which is an algo order now": Refusal(
        {"type": "STOP_MARKET", "stopPrice": "1", "price": None, "timeInForce": None}, -4120
    ),
    "a client order id of 37 letters": Refusal({"newClientOrderId": "a" * 37}, -4015, "Client order id"),
    "a client order id with a blank": Refusal({"newClientOrderId": "a b"}, (-4015, -1100)),
    "more decimals of price than allowed": Refusal(_finer, -1111, "Precision is over the maximum"),
    "more decimals of quantity than allowed": Refusal(
        lambda client: {"quantity": 1 + Decimal(1).scaleb(-client.rules.quantity_precision - 1)}, -1111
    ),
    "a price between two ticks": Refusal(_off_tick, -4014, "Price not increased by tick size."),
    "a price above the highest": Refusal(
        lambda client: {"price": client.rules.max_price + client.rules.tick}, -4002, "Price greater than max price."
    ),
    "a price of nothing": Refusal({"price": "0"}, (-4001, -4013)),
    "a price below the lowest": Refusal(lambda client: {"price": client.rules.tick}, -4013),
    "a quantity of nothing": Refusal({"quantity": "0"}, -4003, "Quantity less than"),
    "a quantity above the largest": Refusal(
        lambda client: {"quantity": client.rules.max_quantity + client.rules.step}, -4005, "Quantity greater than"
    ),
    "less than the least notional": Refusal(
        lambda client: {"quantity": client.rules.step, "price": _cheap(client)}, -4164
    ),
    "price and price match": Refusal({"priceMatch": "QUEUE"}, -1106, "Parameter 'price' sent when not required."),
    "a price match that is none": Refusal({"priceMatch": "BEST", "price": None}, -5037),
    "a position side of the other mode": Refusal(
        {"positionSide": "LONG"}, -4061, "Order's position side does not match user's setting."
    ),
    "reduce-only without a position": Refusal(
        {"side": "SELL", "reduceOnly": "true", "price": None, "type": "MARKET", "timeInForce": None},
        -2022,
        "ReduceOnly Order is rejected.",
    ),
    "good till a date that is too near": Refusal(
        lambda client: {"timeInForce": "GTD", "goodTillDate": client.now_ms() + 60_000}, -5040
    ),
    "more than the margin allows": Refusal(lambda client: {"quantity": client.rules.max_quantity}, (-2019, -2027)),
}


def _cheap(client: Client) -> Decimal:
    """So low that a step of it is worth less than the least notional."""
    return client.rules.price(client.rules.min_notional / client.rules.step / 2)


@documented(NEW_ORDER)
@pytest.mark.parametrize("refusal", WRONG_ORDERS.values(), ids=WRONG_ORDERS)
async def test_a_wrong_order_is_refused(client: Client, refusal: Refusal) -> None:
    order = await client.quote(**refusal.changes(client))
    answer = await client.signed("POST", "/fapi/v1/order", order)
    codes = (refusal.codes,) if isinstance(refusal.codes, int) else refusal.codes
    assert answer.error in {(400, code) for code in codes}, answer.body
    assert refusal.text.lower() in answer.body["msg"].lower()


@documented(NEW_ORDER)
@pytest.mark.parametrize("refusal", WRONG_ORDERS.values(), ids=WRONG_ORDERS)
async def test_order_test_refuses_what_an_order_would_be_refused_for(client: Client, refusal: Refusal) -> None:
    order = await client.quote(**refusal.changes(client))
    answer = await client.signed("POST", "/fapi/v1/order/test", order)
    codes = (refusal.codes,) if isinstance(refusal.codes, int) else refusal.codes
    assert answer.error in {(400, code) for code in codes}, answer.body


@documented("Common Definition, Filters: PERCENT_PRICE; Error Codes")
@pytest.mark.parametrize(("side", "code"), [("BUY", -4016), ("SELL", -4024)])
async def test_a_limit_price_too_far_through_the_mark_is_refused(client: Client, side: str, code: int) -> None:
    mark = Decimal((await client.public("/fapi/v1/premiumIndex", symbol=client.symbol)).body["markPrice"])
    rules = client.rules
    bound = rules.multiplier_up if side == "BUY" else rules.multiplier_down
    price = rules.price(mark * (bound + (bound - 1)))
    order = await client.quote(side=side, price=price, quantity=rules.quantity(price), timeInForce="GTC")
    answer = await client.signed("POST", "/fapi/v1/order", order)
    assert answer.error == (400, code)
    assert "Limit price can't be" in answer.body["msg"]


UNKNOWN_ORDERS = {
    "cancelled": ("DELETE", "/fapi/v1/order", -2011, "Unknown order sent."),
    "asked for": ("GET", "/fapi/v1/order", -2013, "Order does not exist."),
    "asked for as open": ("GET", "/fapi/v1/openOrder", -2013, "Order does not exist."),
}


@documented("Trade, Cancel Order, Query Order; Error Codes")
@pytest.mark.parametrize("case", UNKNOWN_ORDERS.values(), ids=UNKNOWN_ORDERS)
@pytest.mark.parametrize(
    "reference", [{"orderId": 1}, {"origClientOrderId": "nobody-has-this"}], ids=["id", "client id"]
)
async def test_an_order_that_does_not_exist_cannot_be(
    client: Client, case: tuple[str, str, int, str], reference: dict[str, object]
) -> None:
    method, path, code, text = case
    answer = await client.signed(method, path, {"symbol": client.symbol, **reference})
    assert (*answer.error, answer.body["msg"]) == (400, code, text)


WRONG_QUESTIONS: dict[str, tuple[str, str, dict[str, object], tuple[int, ...], str]] = {
    "a depth that is not offered": ("GET", "/fapi/v1/depth", {"limit": 7}, (-4021,), "7 is not valid depth limit"),
    "depth of nothing": ("GET", "/fapi/v1/depth", {"symbol": None}, (-1102,), "Mandatory parameter 'symbol'"),
    "depth of an unknown symbol": ("GET", "/fapi/v1/depth", {"symbol": "NOSUCHUSDT"}, (-1121,), "Invalid symbol."),
    "an interval that is none": ("GET", "/fapi/v1/klines", {"interval": "2m"}, (-1120,), "Invalid interval."),
    "too many candles": ("GET", "/fapi/v1/klines", {"interval": "1m", "limit": 1501}, (-1130,), ""),
    "too many trades": ("GET", "/fapi/v1/trades", {"limit": 1001}, (-1130,), ""),
    "too many aggregates": ("GET", "/fapi/v1/aggTrades", {"limit": 1001}, (-1130,), ""),
}


@documented("Market Data; Error Codes")
@pytest.mark.parametrize("case", WRONG_QUESTIONS.values(), ids=WRONG_QUESTIONS)
async def test_a_wrong_question_about_the_market_is_refused(
    client: Client, case: tuple[str, str, dict[str, object], tuple[int, ...], str]
) -> None:
    _, path, changes, codes, text = case
    params = {"symbol": client.symbol, **changes}
    answer = await client.public(path, **{name: value for name, value in params.items() if value is not None})
    assert answer.error in {(400, code) for code in codes}, answer.body
    assert text in answer.body["msg"]


SETTINGS: dict[str, tuple[str, dict[str, object], int]] = {
    "leverage beyond the largest": ("/fapi/v1/leverage", {"leverage": 500}, -4028),
    "the margin type that is set": ("/fapi/v1/marginType", {"marginType": "CROSSED"}, -4046),
    "the position mode that is set": ("/fapi/v1/positionSide/dual", {"dualSidePosition": "false"}, -4059),
    "the assets mode that is set": ("/fapi/v1/multiAssetsMargin", {"multiAssetsMargin": "false"}, -4171),
}


@documented(
    "Trade, Change Initial Leverage, Change Margin Type, Change Position Mode, Change Multi-Assets Mode; Error Codes"
)
@pytest.mark.parametrize("case", SETTINGS.values(), ids=SETTINGS)
async def test_a_setting_that_changes_nothing_or_cannot_be_is_refused(
    client: Client, case: tuple[str, dict[str, object], int]
) -> None:
    path, params, code = case
    answer = await client.signed("POST", path, {"symbol": client.symbol, **params})
    assert answer.error == (400, code)


BATCHES: dict[str, tuple[str, dict[str, Any], tuple[int, ...]]] = {
    "six orders": ("POST", {"batchOrders": "[{},{},{},{},{},{}]"}, (-4082,)),
    "no list": ("POST", {"batchOrders": "{"}, (-1130, -1102)),
    "no orders at all": ("POST", {}, (-1102,)),
    "eleven cancels": ("DELETE", {"orderIdList": "[1,2,3,4,5,6,7,8,9,10,11]"}, (-4032, -1130)),
}


@documented("Trade, Place Multiple Orders, Cancel Multiple Orders; Error Codes")
@pytest.mark.parametrize("case", BATCHES.values(), ids=BATCHES)
async def test_a_batch_that_is_none_is_refused_whole(
    client: Client, case: tuple[str, dict[str, Any], tuple[int, ...]]
) -> None:
    method, params, codes = case
    answer = await client.signed(method, "/fapi/v1/batchOrders", {"symbol": client.symbol, **params})
    assert answer.error in {(400, code) for code in codes}, answer.body


@documented("General Info, Endpoint security type; Error Codes -2014, -2015")
@pytest.mark.parametrize(
    ("headers", "code"),
    [
        pytest.param({}, -2014, id="no key"),
        pytest.param({"X-MBX-APIKEY": "short"}, -2014, id="what is no key"),
        pytest.param({"X-MBX-APIKEY": "a" * 64}, -2015, id="a key that nobody has"),
    ],
)
async def test_without_a_key_nothing_is_told(client: Client, headers: dict[str, str], code: int) -> None:
    query = client.with_signature(f"timestamp={client.now_ms()}")
    answer = await client.send("GET", "/fapi/v3/balance", query, headers)
    assert answer.error == (401, code)


@documented("General Info, SIGNED Endpoint security; Error Codes -1021, -1022, -1102")
@pytest.mark.parametrize(
    ("query", "code", "text"),
    [
        pytest.param(lambda c: f"symbol={c.symbol}", -1102, "'timestamp'", id="no timestamp"),
        pytest.param(lambda c: f"timestamp={c.now_ms()}", -1102, "'signature'", id="no signature"),
        pytest.param(
            lambda c: f"timestamp={c.now_ms()}&signature={'0' * 64}", -1022, "Signature for this request", id="forged"
        ),
        pytest.param(
            lambda c: c.with_signature(f"recvWindow=2000&timestamp={c.now_ms() - 10_000}"),
            -1021,
            "recvWindow",
            id="late",
        ),
        pytest.param(
            lambda c: c.with_signature(f"timestamp={c.now_ms() + 5_000}"), -1021, "1000ms ahead", id="ahead of its time"
        ),
        pytest.param(
            lambda c: c.with_signature(f"recvWindow=60001&timestamp={c.now_ms()}"),
            -1131,
            "60000",
            id="too wide a window",
        ),
    ],
)
async def test_a_request_that_is_not_signed_for_now_is_refused(
    client: Client, query: Callable[[Client], str], code: int, text: str
) -> None:
    answer = await client.send("GET", "/fapi/v3/balance", query(client), {"X-MBX-APIKEY": client.keys.api_key})
    assert answer.error == (400, code)
    assert text in answer.body["msg"]


@documented("General Info, HTTP Return Codes")
async def test_a_path_that_is_not_there_is_404(client: Client) -> None:
    assert (await client.public("/fapi/v1/nothing")).status == 404


# Each row has the mistakes of all rows below it, too: the first is the one that is told.
FIRST_OF_SEVERAL = {
    "the key": ("key", 401, -2014),
    "the signature": ("signature", 400, -1022),
    "a mandatory parameter": ("side missing", 400, -1102),
    "the symbol": ("symbol", 400, -1121),
    "the side": ("side", 400, -1117),
    "the client order id": ("client id", 400, -4015),
    "decimals": ("decimals", 400, -1111),
    "the price's bounds": ("price", 400, -4002),
    "the quantity's bounds": ("quantity", 400, -4005),
    "the position side": ("position side", 400, -4061),
}


@documented("Error Codes")
@pytest.mark.ours_alone("the documentation does not say in which order an order is looked at")
@pytest.mark.parametrize("case", FIRST_OF_SEVERAL.values(), ids=FIRST_OF_SEVERAL)
async def test_of_several_mistakes_the_first_is_told(client: Client, case: tuple[str, int, int]) -> None:
    first, status, code = case
    rules = client.rules
    mistakes: dict[str, dict[str, object]] = {
        "key": {},
        "signature": {},
        "side missing": {"side": None},
        "symbol": {"symbol": "NOSUCHUSDT"},
        "side": {"side": "HOLD"},
        "client id": {"newClientOrderId": "a" * 37},
        "decimals": {"price": rules.max_price * 2 + Decimal(1).scaleb(-rules.price_precision - 1)},
        "price": {"price": rules.max_price * 2},
        "quantity": {"quantity": rules.max_quantity * 2},
        "position side": {"positionSide": "LONG"},
    }
    names = list(mistakes)
    changes: dict[str, object] = {}
    for name in reversed(names[names.index(first) :]):
        changes |= mistakes[name]
    order = await client.quote(**changes)
    text = "&".join(f"{name}={value}" for name, value in {**wire(order), "timestamp": client.now_ms()}.items())
    query = f"{text}&signature={'0' * 64}" if first in {"key", "signature"} else client.with_signature(text)
    headers = {} if first == "key" else {"X-MBX-APIKEY": client.keys.api_key}
    answer = await client.send("POST", "/fapi/v1/order", query, headers)
    assert answer.error == (status, code), answer.body
