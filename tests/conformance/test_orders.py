"""An order's life: placed, queried, amended, cancelled and filled, alone and in batches."""

import asyncio
import json
from decimal import Decimal

import pytest
from venue_client import PATIENCE_S, Client, wire

documented = pytest.mark.documented

ORDER = "/fapi/v1/order"
BATCH = "/fapi/v1/batchOrders"
TRIES = 8


async def order_becomes(client: Client, order_id: int, status: str) -> None:
    """REST may lag behind the engine: asks until the order is what it must become."""
    async with asyncio.timeout(PATIENCE_S):
        while (await client.order(order_id))["status"] != status:  # noqa: ASYNC110 - another machine tells nobody
            await asyncio.sleep(0.1)


@documented("Trade, New Order (TRADE)")
async def test_an_acknowledgement_states_the_order_as_it_was_sent(client: Client) -> None:
    quote = await client.quote()
    placed = (await client.signed("POST", ORDER, quote)).body
    client.has_traded = True
    assert (placed["symbol"], placed["status"], placed["clientOrderId"]) == (
        client.symbol,
        "NEW",
        quote["newClientOrderId"],
    )
    assert (placed["side"], placed["type"], placed["origType"], placed["timeInForce"]) == (
        "BUY",
        "LIMIT",
        "LIMIT",
        "GTX",
    )
    assert (Decimal(placed["price"]), Decimal(placed["origQty"])) == (quote["price"], quote["quantity"])
    assert (Decimal(placed["executedQty"]), Decimal(placed["cumQty"])) == (0, 0)
    assert (placed["reduceOnly"], placed["closePosition"], placed["priceProtect"]) == (False, False, False)
    assert (placed["positionSide"], placed["priceMatch"], placed["goodTillDate"]) == ("BOTH", "NONE", 0)
    assert {type(placed["orderId"]), type(placed["updateTime"])} == {int}


@documented("Trade, New Order (TRADE): newClientOrderId")
async def test_a_client_order_id_is_made_where_none_is_given(client: Client) -> None:
    made = (await client.place(newClientOrderId=None))["clientOrderId"]
    assert 0 < len(made) <= 36


@documented("Error Codes -4116")
async def test_a_client_order_id_is_one_open_orders_and_free_again_after_it(client: Client) -> None:
    placed = await client.place()
    again = await client.quote(newClientOrderId=placed["clientOrderId"])
    assert (await client.signed("POST", ORDER, again)).error == (400, -4116)
    await client.signed("DELETE", ORDER, {"symbol": client.symbol, "orderId": placed["orderId"]})
    assert (await client.place(newClientOrderId=placed["clientOrderId"]))["status"] == "NEW"


@documented("Trade, Query Order; Query Current Open Order; Current All Open Orders; All Orders")
async def test_a_resting_order_is_found_by_every_question(client: Client) -> None:
    placed = await client.place()
    by_id = {"symbol": client.symbol, "orderId": placed["orderId"]}
    by_client_id = {"symbol": client.symbol, "origClientOrderId": placed["clientOrderId"]}
    found = [(await client.signed("GET", ORDER, reference)).body for reference in (by_id, by_client_id)]
    found.append((await client.signed("GET", "/fapi/v1/openOrder", by_id)).body)
    for path in ("/fapi/v1/openOrders", "/fapi/v1/allOrders"):
        rows = (await client.signed("GET", path, {"symbol": client.symbol})).body
        found.append(next(row for row in rows if row["orderId"] == placed["orderId"]))
    for row in found:
        assert (row["status"], row["clientOrderId"], row["price"]) == ("NEW", placed["clientOrderId"], placed["price"])
        assert Decimal(row["cumQuote"]) == 0
        assert Decimal(row["avgPrice"]) == 0
        assert {type(row["time"]), type(row["updateTime"])} == {int}


@documented("Trade, Cancel Order")
@pytest.mark.parametrize("by", ["orderId", "origClientOrderId"])
async def test_a_cancelled_order_is_gone_and_remembered(client: Client, by: str) -> None:
    placed = await client.place()
    reference = placed["orderId"] if by == "orderId" else placed["clientOrderId"]
    answer = await client.signed("DELETE", ORDER, {"symbol": client.symbol, by: reference})
    assert (answer.status, answer.body["status"], answer.body["orderId"]) == (200, "CANCELED", placed["orderId"])
    assert (await client.signed("DELETE", ORDER, {"symbol": client.symbol, by: reference})).error == (400, -2011)
    assert (await client.order(placed["orderId"]))["status"] == "CANCELED"
    open_order = await client.signed("GET", "/fapi/v1/openOrder", {"symbol": client.symbol, by: reference})
    assert open_order.error == (400, -2013)


@documented("Trade, Cancel All Open Orders")
async def test_all_orders_are_cancelled_at_once_and_again_where_there_are_none(client: Client) -> None:
    ids = [(await client.place())["orderId"] for _ in range(2)]
    for _ in range(2):
        answer = await client.signed("DELETE", "/fapi/v1/allOpenOrders", {"symbol": client.symbol})
        wanted = {"code": 200, "msg": "The operation of cancel all open order is done."}
        assert (answer.status, answer.body) == (200, wanted)
    for order_id in ids:
        await order_becomes(client, order_id, "CANCELED")
    assert (await client.signed("GET", "/fapi/v1/openOrders", {"symbol": client.symbol})).body == []


@documented("Trade, Auto-Cancel All Open Orders")
async def test_a_countdown_cancels_unless_it_is_disarmed(client: Client) -> None:
    path = "/fapi/v1/countdownCancelAll"
    order_id = (await client.place())["orderId"]
    armed = await client.signed("POST", path, {"symbol": client.symbol, "countdownTime": 120_000})
    assert armed.body == {"symbol": client.symbol, "countdownTime": "120000"}
    disarmed = await client.signed("POST", path, {"symbol": client.symbol, "countdownTime": 0})
    assert disarmed.body == {"symbol": client.symbol, "countdownTime": "0"}
    await client.signed("POST", path, {"symbol": client.symbol, "countdownTime": 500})
    assert (await client.order(order_id))["status"] in {"NEW", "CANCELED"}
    await order_becomes(client, order_id, "CANCELED")


@documented("Trade, New Order (TRADE): timeInForce GTX; Error Codes -5022")
async def test_a_post_only_order_that_would_take_is_refused_and_leaves_nothing(client: Client) -> None:
    _, ask = await client.touch()
    order = await client.quote(price=client.rules.price(ask * Decimal("1.01")))
    answer = await client.signed("POST", ORDER, order)
    assert answer.error == (400, -5022)
    assert "Post Only order will be rejected" in answer.body["msg"]
    found = await client.signed("GET", ORDER, {"symbol": client.symbol, "origClientOrderId": order["newClientOrderId"]})
    assert found.error == (400, -2013)


@documented("Trade, New Order (TRADE): timeInForce IOC, newOrderRespType")
async def test_an_immediate_order_takes_what_is_there_and_the_rest_expires(client: Client) -> None:
    bid, ask = await client.touch()
    far = await client.place(timeInForce="IOC", newOrderRespType="RESULT")
    assert (far["status"], Decimal(far["executedQty"])) == ("EXPIRED", 0)
    limit = client.rules.price(ask * Decimal("1.005"))
    near = await client.place(
        timeInForce="IOC", price=limit, quantity=client.rules.quantity(bid), newOrderRespType="RESULT"
    )
    assert (near["status"], near["executedQty"]) == ("FILLED", near["origQty"])
    assert await client.position() == Decimal(near["executedQty"])


@documented("Trade, New Order (TRADE): timeInForce FOK; Error Codes -5021")
async def test_all_or_nothing_is_refused_where_not_all_is_there(client: Client) -> None:
    order = await client.quote(timeInForce="FOK")
    assert (await client.signed("POST", ORDER, order)).error == (400, -5021)
    _, ask = await client.touch()
    limit = client.rules.price(ask * Decimal("1.005"))
    filled = await client.place(timeInForce="FOK", price=limit, newOrderRespType="RESULT")
    assert filled["status"] == "FILLED"


@documented("Trade, New Order (TRADE): timeInForce GTD, goodTillDate")
async def test_a_good_till_date_is_kept_to_the_second(client: Client) -> None:
    date_ms = client.now_ms() // 1_000 * 1_000 + 700_999
    placed = await client.place(timeInForce="GTD", goodTillDate=date_ms)
    assert placed["timeInForce"] == "GTD"
    assert (await client.order(placed["orderId"]))["goodTillDate"] == date_ms - 999


@documented("Trade, New Order (TRADE): priceMatch")
async def test_a_price_match_takes_its_price_from_the_book(client: Client) -> None:
    placed = await client.place(timeInForce="GTC", price=None, priceMatch="QUEUE_5")
    bid, _ = await client.touch()
    assert placed["priceMatch"] == "QUEUE_5"
    assert 0 < Decimal(placed["price"]) < bid * Decimal("1.01")


@documented("Trade, New Order (TRADE): selfTradePreventionMode")
@pytest.mark.parametrize(
    ("mode", "resting", "taking"),
    [
        pytest.param("EXPIRE_TAKER", "NEW", "EXPIRED_IN_MATCH", id="the taker"),
        pytest.param("EXPIRE_MAKER", "EXPIRED_IN_MATCH", None, id="the maker"),
        pytest.param("EXPIRE_BOTH", "EXPIRED_IN_MATCH", "EXPIRED_IN_MATCH", id="both"),
    ],
)
async def test_an_account_does_not_trade_with_itself(
    client: Client, mode: str, resting: str, taking: str | None
) -> None:
    """A bid behind all others at the touch, and a sell order larger than all of them down to it. The market may move
    on in between, so there are several tries.
    """
    for _ in range(TRIES):
        best = (await client.public("/fapi/v1/ticker/bookTicker", symbol=client.symbol)).body
        price, before = Decimal(best["bidPrice"]), Decimal(best["bidQty"])
        own = await client.place(timeInForce="GTC", price=price)
        sweep = await client.quote(
            side="SELL",
            timeInForce="IOC",
            price=price,
            quantity=2 * before + 2 * Decimal(own["origQty"]),
            selfTradePreventionMode=mode,
            newOrderRespType="RESULT",
        )
        answer = await client.signed("POST", ORDER, sweep)
        if answer.status == 400 and answer.body["code"] in {-2019, -2027}:
            pytest.skip("the account cannot pay for all that stands before its own order")
        statuses = (await client.order(own["orderId"]))["status"], answer.body["status"]
        if "EXPIRED_IN_MATCH" in statuses:
            assert statuses[0] == resting
            assert taking is None or statuses[1] == taking
            return
        await client.clear()
    pytest.fail("the two orders never met")


@documented("Trade, Modify Order")
async def test_an_amended_order_keeps_its_ids_and_has_the_new_price_and_total(client: Client) -> None:
    placed = await client.place()
    price, quantity = Decimal(placed["price"]) - client.rules.tick, Decimal(placed["origQty"]) + client.rules.step
    changes = {
        "symbol": client.symbol,
        "side": "BUY",
        "orderId": placed["orderId"],
        "price": price,
        "quantity": quantity,
    }
    amended = (await client.signed("PUT", ORDER, {**changes, "modifyId": 77})).body
    assert (amended["orderId"], amended["clientOrderId"]) == (placed["orderId"], placed["clientOrderId"])
    assert (Decimal(amended["price"]), Decimal(amended["origQty"]), amended["modifyId"]) == (price, quantity, 77)
    assert (await client.signed("PUT", ORDER, changes)).error == (400, -5027)
    assert (await client.signed("PUT", ORDER, {**changes, "orderId": 1})).error == (400, -2013)
    history = (await client.signed("GET", "/fapi/v1/orderAmendment", changes | {"limit": 1})).body
    assert history[0]["amendment"]["price"] == {"before": placed["price"], "after": amended["price"]}
    assert history[0]["amendment"]["count"] == 1


@documented("Trade, Modify Order: a violation of a filter leaves the order as it is")
async def test_an_amendment_that_is_refused_changes_nothing(client: Client) -> None:
    placed = await client.place()
    changes = {"symbol": client.symbol, "side": "BUY", "orderId": placed["orderId"], "quantity": placed["origQty"]}
    refused = await client.signed("PUT", ORDER, {**changes, "price": client.rules.max_price * 2})
    assert refused.status == 400
    assert (await client.order(placed["orderId"]))["price"] == placed["price"]


@documented("Trade, Place Multiple Orders, Modify Multiple Orders, Cancel Multiple Orders")
async def test_a_batch_answers_for_each_of_its_orders_in_order(client: Client) -> None:
    good = {name: str(value) for name, value in wire(await client.quote(newClientOrderId=None)).items()}
    orders = [good, {**good, "side": "HOLD"}, good]
    client.has_traded = True
    answer = await client.signed("POST", BATCH, {"batchOrders": json.dumps(orders)})
    assert answer.status == 200
    assert [row.get("status", row.get("code")) for row in answer.body] == ["NEW", -1117, "NEW"]
    first, _, last = answer.body
    amendments = [
        {**changes, "symbol": client.symbol, "side": "BUY", "quantity": first["origQty"]}
        for changes in (
            {"orderId": first["orderId"], "price": str(Decimal(first["price"]) - client.rules.tick)},
            {"orderId": 1, "price": first["price"]},
        )
    ]
    amended = (await client.signed("PUT", BATCH, {"batchOrders": json.dumps(amendments)})).body
    assert [row.get("orderId", row.get("code")) for row in amended] == [first["orderId"], -2013]
    ids = json.dumps([first["orderId"], 1, last["orderId"]], separators=(",", ":"))
    cancelled = (await client.signed("DELETE", BATCH, {"symbol": client.symbol, "orderIdList": ids})).body
    assert [row.get("status", row.get("code")) for row in cancelled] == ["CANCELED", -2011, "CANCELED"]


@documented("Trade, New Order (TRADE): MARKET; Account Trade List; Position Information V3; Get Income History")
async def test_a_fill_is_in_the_order_the_trades_the_position_and_the_income(client: Client) -> None:
    began_ms = client.now_ms() - 1_000
    filled = await client.buy()
    assert (filled["status"], filled["type"], filled["executedQty"]) == ("FILLED", "MARKET", filled["origQty"])
    quantity = Decimal(filled["executedQty"])
    question = {"symbol": client.symbol, "orderId": filled["orderId"]}
    trades = (await client.signed("GET", "/fapi/v1/userTrades", question)).body
    assert sum(Decimal(trade["qty"]) for trade in trades) == quantity
    for trade in trades:
        assert (trade["buyer"], trade["maker"], trade["side"], trade["positionSide"]) == (True, False, "BUY", "BOTH")
        assert Decimal(trade["quoteQty"]) == Decimal(trade["price"]) * Decimal(trade["qty"])
        assert Decimal(trade["realizedPnl"]) == 0
    spent = sum(Decimal(trade["quoteQty"]) for trade in trades)
    order = await client.order(filled["orderId"])
    assert Decimal(order["cumQuote"]) == spent
    assert abs(Decimal(order["avgPrice"]) - spent / quantity) < client.rules.tick
    (row,) = (await client.signed("GET", "/fapi/v3/positionRisk", {"symbol": client.symbol})).body
    assert (Decimal(row["positionAmt"]), row["positionSide"]) == (quantity, "BOTH")
    assert abs(Decimal(row["entryPrice"]) - spent / quantity) < client.rules.tick
    question = {"symbol": client.symbol, "incomeType": "COMMISSION", "startTime": began_ms}
    income = (await client.signed("GET", "/fapi/v1/income", question)).body
    paid = sum(Decimal(trade["commission"]) for trade in trades)
    ids = {str(trade["id"]) for trade in trades}
    assert sum(Decimal(row["income"]) for row in income if row["tradeId"] in ids) == -paid


@documented("Trade, New Order (TRADE): reduceOnly; Error Codes -2022")
async def test_reduce_only_closes_and_never_opens(client: Client) -> None:
    filled = await client.buy()
    wrong = await client.quote(type="MARKET", timeInForce=None, price=None, reduceOnly="true")
    assert (await client.signed("POST", ORDER, wrong)).error == (400, -2022)
    closed = await client.buy(side="SELL", quantity=filled["executedQty"], reduceOnly="true")
    assert (closed["status"], closed["reduceOnly"]) == ("FILLED", True)
    assert await client.position() == 0


@documented("General Info, Order Rate Limits: X-MBX-ORDER-COUNT")
async def test_orders_are_counted_and_cancels_are_not(client: Client) -> None:
    names = ("X-MBX-ORDER-COUNT-10S", "X-MBX-ORDER-COUNT-1M")
    for _ in range(2):
        first = await client.signed("POST", ORDER, await client.quote())
        client.has_traded = True
        cancel = await client.signed("DELETE", ORDER, {"symbol": client.symbol, "orderId": first.body["orderId"]})
        assert cancel.status == 200
        second = await client.signed("POST", ORDER, await client.quote())
        grown = [int(second.headers[name]) - int(first.headers[name]) for name in names]
        if min(grown) > 0:  # else a window began in between: once more
            assert grown == [1, 1]
            return
    pytest.fail("the counters never grew")


@documented("Trade, Cancel Multiple Orders: origClientOrderIdList")
async def test_a_batch_is_cancelled_by_client_order_ids(client: Client) -> None:
    names = [(await client.place())["clientOrderId"] for _ in range(2)]
    listed = json.dumps([*names, "nobody-has-this"], separators=(",", ":"))
    answer = await client.signed("DELETE", BATCH, {"symbol": client.symbol, "origClientOrderIdList": listed})
    assert [row.get("status", row.get("code")) for row in answer.body] == ["CANCELED", "CANCELED", -2011]


@documented("Trade, Place Multiple Orders; Error Codes -5022")
async def test_a_post_only_order_in_a_batch_is_refused_alone(client: Client) -> None:
    good = wire(await client.quote(newClientOrderId=None))
    _, ask = await client.touch()
    crossing = {**good, "price": f"{client.rules.price(ask * Decimal('1.01')):f}"}
    client.has_traded = True
    answer = await client.signed("POST", BATCH, {"batchOrders": json.dumps([crossing, good])})
    assert (answer.status, [row.get("status", row.get("code")) for row in answer.body]) == (200, [-5022, "NEW"])


@documented("Trade, All Orders; Account Trade List")
async def test_histories_go_on_from_an_id(client: Client) -> None:
    orders = [await client.buy() for _ in range(3)]
    ids = [order["orderId"] for order in orders]
    params = {"symbol": client.symbol, "orderId": ids[1]}
    later = (await client.signed("GET", "/fapi/v1/allOrders", params)).body
    assert [row["orderId"] for row in later] == ids[1:]
    trades = (await client.signed("GET", "/fapi/v1/userTrades", params)).body
    assert {trade["orderId"] for trade in trades} == {ids[1]}
    params = {"symbol": client.symbol, "fromId": trades[-1]["id"] + 1}
    newer = (await client.signed("GET", "/fapi/v1/userTrades", params)).body
    assert {trade["orderId"] for trade in newer} == {ids[2]}


@documented("General Info, SIGNED Endpoint security: query string and request body")
@pytest.mark.parametrize("style", ["query", "body", "both"])
async def test_parameters_may_be_in_the_query_the_body_or_both(client: Client, style: str) -> None:
    quote = await client.quote()
    pairs = [f"{name}={value}" for name, value in {**wire(quote), "timestamp": client.now_ms()}.items()]
    middle = {"query": len(pairs), "body": 0, "both": len(pairs) // 2}[style]
    query, body = "&".join(pairs[:middle]), "&".join(pairs[middle:])
    signature = client.keys.sign(query + body)
    if style == "query":
        query += f"&signature={signature}"
    else:
        body += f"&signature={signature}"
    headers = {"X-MBX-APIKEY": client.keys.api_key}
    answer = await client.send("POST", ORDER, query, headers, body or None)
    client.has_traded = True
    assert (answer.status, answer.body.get("clientOrderId")) == (200, quote["newClientOrderId"])
