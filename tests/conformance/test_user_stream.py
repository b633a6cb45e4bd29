"""The user data stream: what is told, in which order, and through which door."""

from decimal import Decimal

import pytest
from venue_client import Client, Stream

documented = pytest.mark.documented
DOORS = {
    "key in the query": "/private/ws?listenKey={}",
    "key in the path": "/private/ws/{}",
    "combined": "/private/stream?listenKey={}",
    "chosen events": "/private/ws?listenKey={}&events=ORDER_TRADE_UPDATE/ACCOUNT_UPDATE",
}


async def opened(client: Client, door: str) -> Stream:
    listen_key = (await client.keyed("POST", "/fapi/v1/listenKey")).body["listenKey"]
    return await client.stream(door.format(listen_key))


@documented("User Data Streams, Connect")
@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
async def test_events_come_through_every_door(client: Client, door: str) -> None:
    stream = await opened(client, door)
    placed = await client.place()
    event = await stream.next()
    if door.startswith("/private/stream"):
        assert event["stream"] in door.format(event["stream"])
        event = event["data"]
    assert (event["e"], event["o"]["c"], event["o"]["x"]) == ("ORDER_TRADE_UPDATE", placed["clientOrderId"], "NEW")


@documented("User Data Streams, Connect: subscription by listen key")
async def test_a_listen_key_can_be_subscribed_to(client: Client) -> None:
    listen_key = (await client.keyed("POST", "/fapi/v1/listenKey")).body["listenKey"]
    stream = await client.stream("/private/stream")
    assert (await stream.ask("SUBSCRIBE", [listen_key]))["result"] is None
    placed = await client.place()
    event = await stream.until(lambda message: message.get("stream") == listen_key)
    assert event["data"]["o"]["c"] == placed["clientOrderId"]


@documented("User Data Streams, Connect")
async def test_a_listen_key_that_nobody_has_connects_and_is_silent(client: Client) -> None:
    stream = await client.stream(f"/private/ws?listenKey={'a' * 64}")
    await client.place()
    assert await stream.silent(0.5)


@documented("User Data Streams, Event: Order Update")
async def test_an_orders_life_is_told_with_its_words(client: Client) -> None:
    stream = await client.user_stream()
    placed = await client.place()
    name = placed["clientOrderId"]
    new = await stream.order(name, "NEW")
    assert (new["s"], new["S"], new["o"], new["ot"], new["f"], new["X"]) == (
        (client.symbol, "BUY", "LIMIT", "LIMIT", "GTX", "NEW")
    )
    assert (new["i"], new["t"], new["ps"], new["R"], new["m"]) == (placed["orderId"], 0, "BOTH", False, False)
    assert (Decimal(new["q"]), Decimal(new["p"])) == (Decimal(placed["origQty"]), Decimal(placed["price"]))
    assert Decimal(new["b"]) == Decimal(new["q"]) * Decimal(new["p"])
    assert Decimal(new["a"]) == 0
    lower = Decimal(placed["price"]) - client.rules.tick
    changes = {"symbol": client.symbol, "side": "BUY", "orderId": placed["orderId"]}
    await client.signed("PUT", "/fapi/v1/order", {**changes, "quantity": placed["origQty"], "price": lower})
    amended = await stream.order(name, "AMENDMENT")
    assert (amended["X"], Decimal(amended["p"]), amended["i"]) == ("NEW", lower, placed["orderId"])
    await client.signed("DELETE", "/fapi/v1/order", {"symbol": client.symbol, "orderId": placed["orderId"]})
    cancelled = await stream.order(name, "CANCELED")
    assert (cancelled["X"], Decimal(cancelled["z"]), Decimal(cancelled["b"])) == ("CANCELED", 0, 0)


@documented("User Data Streams, Event: Order Update; Event: Balance and Position Update")
async def test_a_fill_is_told_as_trade_and_as_account(client: Client) -> None:
    stream = await client.user_stream()
    filled = await client.buy()
    events = []
    await stream.until(lambda event: events.append(event) or (event.get("o", {}).get("X") == "FILLED"))
    if not any(event["e"] == "ACCOUNT_UPDATE" for event in events):
        events.append(await stream.until(lambda event: event["e"] == "ACCOUNT_UPDATE"))
    orders = [event["o"] for event in events if event["e"] == "ORDER_TRADE_UPDATE"]
    assert orders[0]["x"] == "NEW"
    trades = [order for order in orders if order["x"] == "TRADE"]
    assert sum(Decimal(trade["l"]) for trade in trades) == Decimal(filled["executedQty"])
    for trade in trades:
        assert (trade["m"], trade["N"], Decimal(trade["rp"])) == (False, "USDT", 0)
        assert trade["t"] > 0
    account = [event["a"] for event in events if event["e"] == "ACCOUNT_UPDATE"][-1]
    assert account["m"] == "ORDER"
    (position,) = account["P"]
    assert (position["s"], position["ps"], position["mt"]) == (client.symbol, "BOTH", "cross")
    (balance,) = account["B"]
    assert (balance["a"], Decimal(balance["bc"])) == ("USDT", 0)


@documented("User Data Streams, Event: Trade Lite")
async def test_each_fill_is_told_short_too(client: Client) -> None:
    stream = await client.user_stream()
    filled = await client.buy()
    lite = await stream.until(lambda event: event["e"] == "TRADE_LITE")
    assert (lite["s"], lite["c"], lite["i"]) == (client.symbol, filled["clientOrderId"], filled["orderId"])
    trade = await stream.until(lambda event: event["e"] == "ORDER_TRADE_UPDATE" and event["o"]["x"] == "TRADE")
    assert (lite["t"], Decimal(lite["l"]), Decimal(lite["L"])) == (
        (trade["o"]["t"], Decimal(trade["o"]["l"]), Decimal(trade["o"]["L"]))
    )


@documented("User Data Streams, Event: Order Update: expiry reasons")
async def test_the_rest_of_an_immediate_order_expires_with_its_reason(client: Client) -> None:
    stream = await client.user_stream()
    placed = await client.place(timeInForce="IOC")
    expired = await stream.order(placed["clientOrderId"], "EXPIRED")
    assert (expired["X"], expired["er"], Decimal(expired["z"])) == ("EXPIRED", "2", 0)


@documented("User Data Streams, Event: Account Configuration Update")
async def test_a_change_of_leverage_is_told(client: Client) -> None:
    stream = await client.user_stream()
    question = {"symbol": client.symbol}
    (before,) = (await client.signed("GET", "/fapi/v1/symbolConfig", question)).body
    for leverage in (before["leverage"] - 1 or 2, before["leverage"]):
        await client.signed("POST", "/fapi/v1/leverage", {**question, "leverage": leverage})
        event = await stream.until(lambda message: message["e"] == "ACCOUNT_CONFIG_UPDATE")
        assert event["ac"] == {"s": client.symbol, "l": leverage}
