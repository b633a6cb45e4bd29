"""Order entry over REST: acks, errors with their codes and statuses, batches, cancels, queries (market at 61800.0)."""

import asyncio
import json

import pytest

ORDER = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTX",
    "price": "61000",
    "quantity": "0.010",
}


async def test_an_ack_has_the_venues_fields_padded_and_typed(maker):
    answer = await maker.request("POST", "/fapi/v1/order", **ORDER, newClientOrderId="mm1-b-000017")
    body = answer.body
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("application/json")
    assert isinstance(body.pop("orderId"), int)
    assert isinstance(body.pop("updateTime"), int)
    assert body == {
        "symbol": "BTCUSDT",
        "status": "NEW",
        "clientOrderId": "mm1-b-000017",
        "price": "61000.00",
        "origQty": "0.010",
        "executedQty": "0.000",
        "cumQty": "0.000",
        "timeInForce": "GTX",
        "type": "LIMIT",
        "reduceOnly": False,
        "closePosition": False,
        "side": "BUY",
        "positionSide": "BOTH",
        "stopPrice": "0.00",
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": "LIMIT",
        "priceMatch": "NONE",
        "selfTradePreventionMode": "EXPIRE_MAKER",
        "goodTillDate": 0,
    }


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param({"symbol": None}, -1102, id="no symbol"),
        pytest.param({"side": None}, -1102, id="no side"),
        pytest.param({"type": None}, -1102, id="no type"),
        pytest.param({"quantity": None}, -1102, id="no quantity"),
        pytest.param({"price": None}, -1102, id="limit without price"),
        pytest.param({"timeInForce": None}, -1102, id="limit without time in force"),
        pytest.param({"price": ""}, -1105, id="empty price"),
        pytest.param({"quantity": "1e-05"}, -1100, id="scientific notation"),
        pytest.param({"quantity": "-1"}, -1100, id="negative quantity"),
        pytest.param({"price": "abc"}, -1100, id="price that is no number"),
        pytest.param({"price": "6\u0661000"}, -1100, id="digits of another script"),
        pytest.param({"goodTillDate": "soon"}, -1100, id="date that is no integer"),
        pytest.param({"symbol": "NOPEUSDT"}, -1121, id="unknown symbol"),
        pytest.param({"side": "HOLD"}, -1117, id="unknown side"),
        pytest.param({"type": "LIMIT_MAKER"}, -1116, id="unknown type"),
        pytest.param({"type": "STOP_MARKET"}, -4120, id="conditional type"),
        pytest.param(
            {"type": "STOP_MARKET", "quantity": None, "price": None, "stopPrice": "60000", "closePosition": "true"},
            -4120,
            id="conditional type that closes a position, without a quantity",
        ),
        pytest.param({"timeInForce": "GTT"}, -1115, id="unknown time in force"),
        pytest.param({"positionSide": "UP"}, -4060, id="unknown position side"),
        pytest.param({"positionSide": "LONG"}, -4061, id="hedge side in one-way mode"),
        pytest.param({"reduceOnly": "perhaps"}, -4062, id="reduceOnly that is no boolean"),
        pytest.param({"newOrderRespType": "FULL"}, -1136, id="unknown response type"),
        pytest.param({"selfTradePreventionMode": "NEVER"}, -5039, id="unknown STP mode"),
        pytest.param({"priceMatch": "BEST", "price": None}, -5037, id="unknown price match"),
        pytest.param({"priceMatch": "OPPONENT_20", "price": None}, -5037, id="suspended price match"),
        pytest.param({"priceMatch": "QUEUE"}, -1106, id="price match and price"),
        pytest.param({"newClientOrderId": "x" * 37}, -4015, id="client id too long"),
        pytest.param({"newClientOrderId": "a b"}, -4015, id="client id with a blank"),
        pytest.param({"price": "61000.001"}, -1111, id="too many decimals in price"),
        pytest.param({"quantity": "0.0101"}, -1111, id="too many decimals in quantity"),
        pytest.param({"price": "61000.05"}, -4014, id="off tick"),
        pytest.param({"price": "0"}, -4001, id="price zero"),
        pytest.param({"price": "5000000"}, -4002, id="above max price"),
        pytest.param({"price": "500"}, -4013, id="below min price"),
        pytest.param({"quantity": "0"}, -4003, id="quantity zero"),
        pytest.param({"quantity": "1001"}, -4005, id="above max quantity"),
        pytest.param({"quantity": "0.000"}, -4003, id="quantity of zeros"),
        pytest.param({"price": "1000", "quantity": "0.010"}, -4164, id="below min notional"),
        pytest.param({"price": "65000"}, -4016, id="buy above the percent-price bound"),
        pytest.param({"side": "SELL", "price": "58000"}, -4024, id="sell below the percent-price bound"),
        pytest.param({"reduceOnly": "true"}, -2022, id="reduce-only without a position"),
        pytest.param({"quantity": "900"}, -2019, id="margin"),
        pytest.param({"price": "61800.1"}, -5022, id="post-only that would take"),
        pytest.param({"timeInForce": "FOK", "quantity": "2", "price": "61800.1"}, -5021, id="FOK that cannot fill"),
        pytest.param({"timeInForce": "GTD"}, -1102, id="GTD without a date"),
        pytest.param({"timeInForce": "GTD", "goodTillDate": "1"}, -5040, id="GTD in the past"),
        pytest.param({"type": "MARKET", "price": None}, -1106, id="time in force on a market order"),
        pytest.param({"type": "MARKET", "timeInForce": None}, -1106, id="price on a market order"),
    ],
)
async def test_a_bad_order_is_refused_with_its_code_and_leaves_nothing(venue, maker, change, code):
    params = {name: value for name, value in {**ORDER, **change}.items() if value is not None}
    user = await maker.user_stream()
    status, body = await maker.ask("POST", "/fapi/v1/order", **params)
    assert (status, body["code"]) == (400, code), body
    assert isinstance(body["msg"], str)
    assert await user.silent()
    assert (await maker.ask("GET", "/fapi/v1/allOrders", symbol="BTCUSDT"))[1] == []
    assert venue.server.exchange.listing("BTCUSDT").last_update_id == 1_000_000


async def test_a_client_id_is_unique_among_open_orders_only(maker):
    assert (await maker.place(newClientOrderId="same"))[0] == 200
    assert (await maker.place(newClientOrderId="same"))[1]["code"] == -4116
    await maker.ask("DELETE", "/fapi/v1/order", symbol="BTCUSDT", origClientOrderId="same")
    assert (await maker.place(newClientOrderId="same"))[0] == 200


@pytest.mark.parametrize(
    ("params", "status", "executed"),
    [
        pytest.param({"type": "MARKET"}, "NEW", "0.000", id="ACK of a market order knows no fill"),
        pytest.param(
            {"type": "MARKET", "newOrderRespType": "RESULT"}, "FILLED", "0.010", id="RESULT of a market order"
        ),
        pytest.param(
            {"type": "LIMIT", "timeInForce": "IOC", "price": "61800.1", "newOrderRespType": "RESULT"},
            "FILLED",
            "0.010",
            id="RESULT of IOC",
        ),
        pytest.param(
            {"type": "LIMIT", "timeInForce": "IOC", "price": "61700", "newOrderRespType": "RESULT"},
            "EXPIRED",
            "0.000",
            id="RESULT of IOC without a counterpart",
        ),
        pytest.param(
            {"type": "LIMIT", "timeInForce": "GTC", "price": "61800.1", "newOrderRespType": "RESULT"},
            "NEW",
            "0.000",
            id="RESULT of GTC is its ACK",
        ),
    ],
)
async def test_the_response_type_decides_what_an_answer_knows(maker, params, status, executed):
    _, body = await maker.ask("POST", "/fapi/v1/order", symbol="BTCUSDT", side="BUY", quantity="0.010", **params)
    assert (body["status"], body["executedQty"], body["cumQty"]) == (status, executed, executed)


async def test_order_test_checks_everything_and_does_nothing(maker):
    answer = await maker.request("POST", "/fapi/v1/order/test", **ORDER)
    assert (answer.status, answer.headers["X-MBX-ORDER-COUNT-10S"]) == (200, "1")
    assert (await maker.ask("POST", "/fapi/v1/order/test", **{**ORDER, "price": "61000.05"}))[1]["code"] == -4014
    assert (await maker.ask("GET", "/fapi/v1/openOrders"))[1] == []


async def test_modify_keeps_the_ids_and_echoes_the_modify_id(maker):
    _, placed = await maker.place(newClientOrderId="one")
    status, body = await maker.ask(
        "PUT",
        "/fapi/v1/order",
        symbol="BTCUSDT",
        side="BUY",
        origClientOrderId="one",
        price="61000.1",
        quantity="0.020",
        modifyId=77,
    )
    assert status == 200
    assert (body["orderId"], body["clientOrderId"]) == (placed["orderId"], "one")
    assert (body["price"], body["origQty"], body["modifyId"], body["pair"]) == ("61000.10", "0.020", 77, "BTCUSDT")
    _, amendments = await maker.ask("GET", "/fapi/v1/orderAmendment", symbol="BTCUSDT", orderId=placed["orderId"])
    assert amendments[0]["amendment"] == {
        "price": {"before": "61000.00", "after": "61000.10"},
        "origQty": {"before": "0.010", "after": "0.020"},
        "count": 1,
        "modifyId": 77,
    }


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param({"orderId": None}, -1102, id="no reference"),
        pytest.param({"orderId": "123"}, -2013, id="unknown order"),
        pytest.param({"side": "SELL"}, -1117, id="other side"),
        pytest.param({"price": None}, -1102, id="no price"),
        pytest.param({"priceMatch": "QUEUE"}, -1106, id="price and price match"),
        pytest.param({"price": "61000", "quantity": "0.010"}, -5027, id="nothing changes"),
        pytest.param({"price": "1000", "quantity": "0.010"}, -5029, id="below min notional"),
        pytest.param({"reduceOnly": "true"}, -5047, id="the original is not reduce-only"),
        pytest.param({"price": "61000.05"}, -4014, id="off tick"),
    ],
)
async def test_a_bad_amendment_is_refused_and_the_order_stays(maker, change, code):
    _, placed = await maker.place()
    wanted = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "orderId": placed["orderId"],
        "price": "61000.1",
        "quantity": "0.020",
        **change,
    }
    status, body = await maker.ask(
        "PUT", "/fapi/v1/order", **{name: value for name, value in wanted.items() if value is not None}
    )
    assert (status, body["code"]) == (400, code), body
    _, kept = await maker.ask("GET", "/fapi/v1/openOrder", symbol="BTCUSDT", orderId=placed["orderId"])
    assert (kept["price"], kept["origQty"]) == ("61000.00", "0.010")


async def test_cancel_answers_once_and_then_knows_no_order(maker):
    _, placed = await maker.place()
    ref = {"symbol": "BTCUSDT", "orderId": placed["orderId"]}
    status, body = await maker.ask("DELETE", "/fapi/v1/order", **ref)
    assert (status, body["status"], body["executedQty"]) == (200, "CANCELED", "0.000")
    assert await maker.ask("DELETE", "/fapi/v1/order", **ref) == (400, {"code": -2011, "msg": "Unknown order sent."})
    assert (await maker.ask("GET", "/fapi/v1/openOrder", **ref))[1]["code"] == -2013
    assert (await maker.ask("GET", "/fapi/v1/order", **ref))[1]["status"] == "CANCELED"


async def test_a_queried_order_says_what_it_traded_for(venue, maker):
    _, placed = await maker.place(price="61800.0")
    venue.taker("SELL", "1.004")
    _, order = await maker.ask("GET", "/fapi/v1/order", symbol="btcusdt", orderId=placed["orderId"])
    assert (order["status"], order["executedQty"], order["avgPrice"], order["cumQuote"]) == (
        "PARTIALLY_FILLED",
        "0.004",
        "61800.00000",
        "247.20000",
    )
    assert isinstance(order["time"], int)
    assert isinstance(order["updateTime"], int)


async def test_queries_want_a_reference(maker):
    for method, path in (("GET", "order"), ("GET", "openOrder"), ("DELETE", "order"), ("GET", "orderAmendment")):
        status, body = await maker.ask(method, f"/fapi/v1/{path}", symbol="BTCUSDT")
        assert (status, body["code"]) == (400, -1102)


def batch(*changes):
    return json.dumps([{**ORDER, **change} for change in changes])


async def test_a_batch_answers_item_by_item_in_order(maker):
    status, body = await maker.ask(
        "POST",
        "/fapi/v1/batchOrders",
        batchOrders=batch({}, {"price": "61800.1"}, {"quantity": 0.02, "reduceOnly": False}, {"price": "1"}),
    )
    assert status == 200
    assert [row.get("status") or row["code"] for row in body] == ["NEW", -5022, "NEW", -4013]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param("[]", -4082, id="empty"),
        pytest.param(batch({}, {}, {}, {}, {}, {}), -4082, id="six"),
        pytest.param("{}", -1130, id="no array"),
        pytest.param("[1]", -1130, id="no objects"),
        pytest.param("[{", -1130, id="no JSON"),
        pytest.param("[" * 5000, -1130, id="nested without end"),
        pytest.param("", -1102, id="missing"),
    ],
)
async def test_a_bad_batch_is_refused_whole(maker, text, code):
    status, body = await maker.ask("POST", "/fapi/v1/batchOrders", batchOrders=text)
    assert (status, body["code"]) == (400, code)


async def test_a_batch_of_amendments_answers_item_by_item(maker):
    _, placed = await maker.place()
    amendment = {**ORDER, "orderId": placed["orderId"], "quantity": "0.030"}
    _, body = await maker.ask(
        "PUT", "/fapi/v1/batchOrders", batchOrders=json.dumps([amendment, {**ORDER, "orderId": 1}])
    )
    assert [row.get("origQty") or row["code"] for row in body] == ["0.030", -2013]


@pytest.mark.parametrize("name", ["orderIdList", "orderidlist", "origClientOrderIdList", "origclientorderidlist"])
async def test_a_batch_of_cancels_takes_ids_of_either_kind_and_case(maker, name):
    _, placed = await maker.place(newClientOrderId="mine")
    ids = [placed["orderId"], 1] if "orderid" in name.lower() and "client" not in name.lower() else ["mine", "other"]
    status, body = await maker.ask(
        "DELETE", "/fapi/v1/batchOrders", symbol="BTCUSDT", **{name: json.dumps(ids, separators=(",", ":"))}
    )
    assert status == 200
    assert body[0]["status"] == "CANCELED"
    assert body[1] == {"code": -2011, "msg": "Unknown order sent."}


@pytest.mark.parametrize(
    ("ids", "code"),
    [
        pytest.param(list(range(1, 12)), -4032, id="eleven"),
        pytest.param([], -4032, id="none"),
        pytest.param([None], -1130, id="no ids"),
        pytest.param([True], -1130, id="a boolean"),
    ],
)
async def test_a_bad_batch_of_cancels_is_refused(maker, ids, code):
    status, body = await maker.ask("DELETE", "/fapi/v1/batchOrders", symbol="BTCUSDT", orderIdList=json.dumps(ids))
    assert (status, body["code"]) == (400, code)


async def test_cancel_all_is_done_even_where_nothing_was_open(maker):
    done = {"code": 200, "msg": "The operation of cancel all open order is done."}
    await maker.place()
    await maker.place(side="SELL", price="62000")
    await maker.place(symbol="ETHUSDC", price="2490", quantity="0.040")
    assert await maker.ask("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT") == (200, done)
    assert await maker.ask("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT") == (200, done)
    assert [row["symbol"] for row in (await maker.ask("GET", "/fapi/v1/openOrders"))[1]] == ["ETHUSDC"]


async def test_the_countdown_cancels_unless_renewed_and_0_disarms_it(venue, maker, eventually):
    await maker.place()
    answer = await maker.ask("POST", "/fapi/v1/countdownCancelAll", symbol="BTCUSDT", countdownTime=30_000)
    assert answer == (200, {"symbol": "BTCUSDT", "countdownTime": "30000"})
    venue.server.clock.jump(20)
    await maker.ask("POST", "/fapi/v1/countdownCancelAll", symbol="BTCUSDT", countdownTime=30_000)
    venue.server.clock.jump(20)
    await asyncio.sleep(0.1)
    assert (await maker.books())["symbols"]["BTCUSDT"]["openOrders"] == 1
    await maker.ask("POST", "/fapi/v1/countdownCancelAll", symbol="BTCUSDT", countdownTime=0)
    venue.server.clock.jump(60)
    await asyncio.sleep(0.1)
    assert (await maker.books())["symbols"]["BTCUSDT"]["openOrders"] == 1
    await maker.ask("POST", "/fapi/v1/countdownCancelAll", symbol="BTCUSDT", countdownTime=30_000)
    venue.server.clock.jump(31)
    exchange = venue.server.exchange
    await eventually(lambda: not any(exchange.open_orders(account) for account in exchange.accounts))


async def test_open_orders_are_all_or_those_of_a_symbol(maker):
    await maker.place()
    await maker.place(symbol="ETHUSDC", price="2490", quantity="0.040")
    assert len((await maker.ask("GET", "/fapi/v1/openOrders"))[1]) == 2
    assert [row["symbol"] for row in (await maker.ask("GET", "/fapi/v1/openOrders", symbol="ethusdc"))[1]] == [
        "ETHUSDC"
    ]
    assert (await maker.ask("GET", "/fapi/v1/openOrders", symbol="NOPE"))[1]["code"] == -1121


async def test_a_closed_symbol_takes_no_order(venue, maker):
    await venue.control("POST", "/sim/market", {"symbol": "BTCUSDT", "status": "SETTLING"})
    assert (await maker.place())[1]["code"] == -4140
    await venue.control("POST", "/sim/market", {"symbol": "BTCUSDT", "status": "CLOSE"})
    assert (await maker.place())[1]["code"] == -4141


async def test_accounts_do_not_see_each_other(venue, maker):
    other = await venue.account(holder="other")
    _, placed = await maker.place(newClientOrderId="shared")
    assert (await other.ask("DELETE", "/fapi/v1/order", symbol="BTCUSDT", orderId=placed["orderId"]))[1][
        "code"
    ] == -2011
    assert (await other.ask("GET", "/fapi/v1/order", symbol="BTCUSDT", orderId=placed["orderId"]))[1]["code"] == -2013
    assert (await other.place(newClientOrderId="shared"))[0] == 200


@pytest.mark.parametrize(
    ("placed", "amended", "then"),
    [
        pytest.param({"price": "61000"}, {"priceMatch": "QUEUE_5"}, "QUEUE_5", id="to the queue's price"),
        pytest.param({"priceMatch": "QUEUE_5"}, {"price": "61000"}, "NONE", id="to a price of one's own"),
        pytest.param({"priceMatch": "QUEUE_5"}, {"priceMatch": "QUEUE"}, "QUEUE", id="to another of them"),
    ],
)
async def test_an_amendment_changes_the_price_match_wherever_it_is_told(maker, placed, amended, then):
    order = {name: value for name, value in ORDER.items() if name != "price"} | placed
    _, first = await maker.ask("POST", "/fapi/v1/order", **order)
    assert first["priceMatch"] == placed.get("priceMatch", "NONE")
    user = await maker.user_stream()
    which = {"symbol": "BTCUSDT", "orderId": first["orderId"]}
    _, second = await maker.ask("PUT", "/fapi/v1/order", **which, side="BUY", quantity="0.011", **amended)
    _, asked = await maker.ask("GET", "/fapi/v1/order", **which)
    event = (await user.until(lambda message: message["e"] == "ORDER_TRADE_UPDATE"))["o"]
    assert (second["priceMatch"], asked["priceMatch"], event["pm"]) == (then, then, then)


async def test_a_get_is_read_by_its_query_string_alone(venue):
    answer = await venue.raw("GET", "/fapi/v1/depth", data={"symbol": "BTCUSDT"})
    assert (answer.status, answer.body["code"]) == (400, -1102)
