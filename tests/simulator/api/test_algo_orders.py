"""Conditional orders over the wire: `algoOrder`, its lists, ALGO_UPDATE, and the WebSocket API."""

import pytest

STOP = {
    "algoType": "CONDITIONAL",
    "symbol": "BTCUSDT",
    "side": "SELL",
    "type": "STOP_MARKET",
    "triggerPrice": "61000",
    "quantity": "0.010",
    "workingType": "MARK_PRICE",
}
PATH = "/fapi/v1/algoOrder"


async def stop(maker, **fields):
    status, body = await maker.ask("POST", PATH, **{**STOP, **fields})
    assert status == 200, body
    return body


async def test_it_is_acknowledged_with_every_field_of_the_documentation(maker):
    placed = await stop(maker, clientAlgoId="px-1")
    created = placed.pop("createTime")
    assert placed.pop("updateTime") == created
    assert isinstance(placed.pop("algoId"), int)
    assert placed == {
        "clientAlgoId": "px-1",
        "algoType": "CONDITIONAL",
        "orderType": "STOP_MARKET",
        "symbol": "BTCUSDT",
        "side": "SELL",
        "positionSide": "BOTH",
        "timeInForce": "GTC",
        "quantity": "0.010",
        "algoStatus": "NEW",
        "triggerPrice": "61000.00",
        "price": "0.00",
        "icebergQuantity": None,
        "selfTradePreventionMode": "EXPIRE_MAKER",
        "workingType": "MARK_PRICE",
        "priceMatch": "NONE",
        "closePosition": False,
        "priceProtect": False,
        "reduceOnly": False,
        "activatePrice": "",
        "callbackRate": "",
        "triggerTime": 0,
        "goodTillDate": 0,
    }


async def test_its_story_is_told_to_its_end(venue, maker):
    await maker.market("BUY", "0.010")
    user = await maker.user_stream()
    placed = await stop(maker, quantity="0.010")
    venue.mark("61000")
    told = []
    while not told or told[-1]["X"] != "FINISHED":
        told.append((await user.event("ALGO_UPDATE"))["o"])
    assert [event["X"] for event in told] == ["NEW", "TRIGGERING", "TRIGGERED", "FINISHED"]
    assert [(event["aid"], event["caid"]) for event in told] == [(placed["algoId"], placed["clientAlgoId"])] * 4
    assert (told[0]["ai"], told[0]["ap"], told[0]["aq"], told[0]["act"], told[0]["tt"]) == (
        "",
        "0.00000",
        "0.00000",
        "0",
        0,
    )
    last = told[-1]
    assert (last["ap"], last["aq"], last["act"], last["tp"]) == ("61800.00000", "0.010", "MARKET", "61000")
    assert "rm" not in last
    _, found = await maker.ask("GET", PATH, algoId=placed["algoId"])
    assert (found["algoStatus"], found["actualOrderId"], found["actualPrice"]) == (
        "FINISHED",
        last["ai"],
        "61800.00000",
    )
    _, order = await maker.ask("GET", "/fapi/v1/order", symbol="BTCUSDT", orderId=last["ai"])
    assert (order["status"], order["clientOrderId"]) == ("FILLED", placed["clientAlgoId"])
    assert (await maker.books())["symbols"]["BTCUSDT"]["position"] == "0"


async def test_a_rejection_gives_its_reason(venue, maker):
    user = await maker.user_stream()
    await stop(maker, reduceOnly="true")
    venue.mark("61000")
    rejected = await user.event("ALGO_UPDATE", X="REJECTED")
    assert rejected["o"]["rm"] == "ReduceOnly Order is rejected."


async def test_lists_hold_what_is_open_and_all_of_it(maker):
    first = await stop(maker)
    second = await stop(maker, clientAlgoId="px-2")
    other = await stop(maker, symbol="ETHUSDC", triggerPrice="2400", quantity="0.1")

    async def listed(path, **params):
        status, rows = await maker.ask("GET", f"/fapi/v1/{path}", **params)
        assert status == 200, rows
        return [row["algoId"] for row in rows]

    first_id, second_id, other_id = (row["algoId"] for row in (first, second, other))
    assert await listed("openAlgoOrders") == [first_id, second_id, other_id]
    assert await listed("openAlgoOrders", symbol="BTCUSDT") == [first_id, second_id]
    assert await listed("openAlgoOrders", algoId=second_id, algoType="CONDITIONAL") == [second_id]
    status, cancelled = await maker.ask("DELETE", PATH, clientAlgoId="px-2")
    assert (status, cancelled) == (
        200,
        {"algoId": second_id, "clientAlgoId": "px-2", "code": "200", "msg": "success"},
    )
    assert await listed("openAlgoOrders", symbol="BTCUSDT") == [first_id]
    assert await listed("allAlgoOrders", symbol="BTCUSDT") == [first_id, second_id]
    assert await listed("allAlgoOrders", symbol="BTCUSDT", limit=1, page=2) == [second_id]
    assert await listed("allAlgoOrders", symbol="BTCUSDT", algoId=second_id) == [second_id]
    assert await listed("allAlgoOrders", symbol="BTCUSDT", startTime=1, endTime=2) == []
    status, body = await maker.ask("DELETE", "/fapi/v1/algoOpenOrders", symbol="BTCUSDT")
    assert (status, body["code"]) == (200, 200)
    assert await listed("openAlgoOrders") == [other_id]


async def test_plain_orders_and_conditional_ones_do_not_meet(maker):
    await stop(maker)
    _, placed = await maker.place()
    assert (await maker.ask("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT"))[0] == 200
    assert len((await maker.ask("GET", "/fapi/v1/openAlgoOrders"))[1]) == 1
    assert (await maker.ask("GET", "/fapi/v1/openOrders"))[1] == []
    status, body = await maker.ask("POST", "/fapi/v1/order", **{**STOP, "stopPrice": "61000"})
    assert (status, body["code"]) == (400, -4120)
    assert placed["type"] == "LIMIT"


@pytest.mark.parametrize(
    ("method", "path", "params", "code"),
    [
        pytest.param("POST", "algoOrder", {**STOP, "algoType": "VP"}, -1130, id="other kind of algo"),
        pytest.param("POST", "algoOrder", {**STOP, "algoType": ""}, -1102, id="no kind of algo"),
        pytest.param("POST", "algoOrder", {**STOP, "symbol": "NOPE"}, -1121, id="symbol"),
        pytest.param("POST", "algoOrder", {**STOP, "side": "UP"}, -1117, id="side"),
        pytest.param("POST", "algoOrder", {**STOP, "type": "LIMIT"}, -1116, id="type that is no condition"),
        pytest.param("POST", "algoOrder", {**STOP, "timeInForce": "RPI"}, -1115, id="time in force"),
        pytest.param("POST", "algoOrder", {**STOP, "positionSide": "UP"}, -4060, id="position side"),
        pytest.param("POST", "algoOrder", {**STOP, "workingType": "INDEX"}, -1130, id="working type"),
        pytest.param("POST", "algoOrder", {**STOP, "closePosition": "maybe"}, -1130, id="close position"),
        pytest.param("POST", "algoOrder", {**STOP, "reduceOnly": "maybe"}, -4062, id="reduce only"),
        pytest.param("POST", "algoOrder", {**STOP, "selfTradePreventionMode": "X"}, -5039, id="self trades"),
        pytest.param("POST", "algoOrder", {**STOP, "newOrderRespType": "FULL"}, -1136, id="response type"),
        pytest.param("POST", "algoOrder", {**STOP, "triggerPrice": "abc"}, -1100, id="trigger"),
        pytest.param("POST", "algoOrder", {**STOP, "triggerPrice": "62000"}, -2021, id="met already"),
        pytest.param("DELETE", "algoOrder", {}, -1102, id="cancel of nothing"),
        pytest.param("DELETE", "algoOrder", {"algoId": 1}, -2011, id="cancel of what is not there"),
        pytest.param("GET", "algoOrder", {}, -1102, id="question for nothing"),
        pytest.param("GET", "algoOrder", {"clientAlgoId": "x"}, -2013, id="question for what is not there"),
        pytest.param("DELETE", "algoOpenOrders", {}, -1102, id="cancel all without symbol"),
        pytest.param("GET", "openAlgoOrders", {"algoType": "VP"}, -1130, id="open ones of another kind"),
        pytest.param("GET", "allAlgoOrders", {}, -1102, id="all without symbol"),
        pytest.param("GET", "allAlgoOrders", {"symbol": "BTCUSDT", "page": 0}, -1130, id="page 0"),
    ],
)
async def test_bad_requests_get_their_code(maker, method, path, params, code):
    status, body = await maker.ask(method, f"/fapi/v1/{path}", **params)
    assert (status, body["code"]) == (400, code)


async def test_it_costs_an_order_and_no_weight(maker):
    answer = await maker.request("POST", PATH, **STOP)
    assert answer.headers["X-MBX-USED-WEIGHT-1M"] == "-1"
    assert (answer.headers["X-MBX-ORDER-COUNT-10S"], answer.headers["X-MBX-ORDER-COUNT-1M"]) == ("1", "1")


async def test_the_websocket_api_places_and_cancels_it(venue, maker):
    api = await venue.stream("/ws-fapi/v1")

    async def call(method, **params):
        values = {"apiKey": maker.api_key, "timestamp": venue.server.clock.reported_ms(), **params}
        text = "&".join(f"{name}={values[name]}" for name in sorted(values))
        await api.send({"id": 1, "method": method, "params": {**values, "signature": maker.sign(text)}})
        return await api.next()

    # The documentation's own example spells the trigger in lower case.
    lower = {"triggerprice" if name == "triggerPrice" else name: value for name, value in STOP.items()}
    placed = await call("algoOrder.place", **lower)
    assert (placed["status"], placed["result"]["algoStatus"]) == (200, "NEW")
    cancelled = await call("algoOrder.cancel", algoId=placed["result"]["algoId"])
    assert cancelled["result"]["code"] == "200"
