"""Conditional orders: algo orders with ids, questions and events of their own, and no longer orders."""

from decimal import Decimal
from typing import Any

import pytest
from venue_client import Client

documented = pytest.mark.documented
ALGO = "/fapi/v1/algoOrder"


async def stop(client: Client, **changes: object) -> dict[str, object]:
    """A stop order 4 % above the market."""
    _, ask = await client.touch()
    trigger = client.rules.price(ask * Decimal("1.04"))
    return {
        "algoType": "CONDITIONAL",
        "symbol": client.symbol,
        "side": "BUY",
        "type": "STOP_MARKET",
        "quantity": client.rules.quantity(ask),
        "triggerPrice": trigger,
        "clientAlgoId": client.new_id(),
        **changes,
    }


async def place(client: Client, **changes: object) -> dict[str, Any]:
    answer = await client.signed("POST", ALGO, await stop(client, **changes))
    assert answer.status == 200, answer.body
    placed: dict[str, Any] = answer.body
    return placed


@documented("Trade, New Algo Order; Query Algo Order; Current All Algo Open Orders; Cancel Algo Order")
async def test_a_conditional_order_waits_is_found_and_is_cancelled(client: Client) -> None:
    placed = await place(client)
    assert (placed["algoStatus"], placed["orderType"], placed["symbol"]) == ("NEW", "STOP_MARKET", client.symbol)
    by_id, by_client_id = {"algoId": placed["algoId"]}, {"clientAlgoId": placed["clientAlgoId"]}
    for reference in (by_id, by_client_id):
        found = (await client.signed("GET", ALGO, reference)).body
        assert (found["algoId"], found["triggerPrice"]) == (placed["algoId"], placed["triggerPrice"])
    rows = (await client.signed("GET", "/fapi/v1/openAlgoOrders", {"symbol": client.symbol})).body
    assert [row["algoId"] for row in rows] == [placed["algoId"]]
    assert (await client.signed("GET", "/fapi/v1/openOrders", {"symbol": client.symbol})).body == []
    cancelled = await client.signed("DELETE", ALGO, by_id)
    assert (cancelled.status, cancelled.body["algoId"]) == (200, placed["algoId"])
    assert (await client.signed("GET", "/fapi/v1/openAlgoOrders", {"symbol": client.symbol})).body == []
    assert (await client.signed("GET", ALGO, by_id)).body["algoStatus"] == "CANCELED"


@documented("Trade, Cancel All Algo Open Orders")
async def test_all_conditional_orders_are_cancelled_at_once(client: Client) -> None:
    for _ in range(2):
        await place(client)
    answer = await client.signed("DELETE", "/fapi/v1/algoOpenOrders", {"symbol": client.symbol})
    assert answer.status == 200
    assert (await client.signed("GET", "/fapi/v1/openAlgoOrders", {"symbol": client.symbol})).body == []


@documented("Error Codes -2021")
async def test_one_that_would_trigger_at_once_is_refused(client: Client) -> None:
    _, ask = await client.touch()
    below = await stop(client, triggerPrice=client.rules.price(ask * Decimal("0.98")))
    assert (await client.signed("POST", ALGO, below)).error == (400, -2021)


@documented("User Data Streams, Event: Algo Order Update")
async def test_a_conditional_orders_life_is_told(client: Client) -> None:
    stream = await client.user_stream()
    placed = await place(client)
    new = await stream.until(lambda event: event["e"] == "ALGO_UPDATE")
    assert (new["o"]["aid"], new["o"]["caid"], new["o"]["X"]) == (placed["algoId"], placed["clientAlgoId"], "NEW")
    await client.signed("DELETE", ALGO, {"algoId": placed["algoId"]})
    cancelled = await stream.until(lambda event: event["e"] == "ALGO_UPDATE")
    assert (cancelled["o"]["aid"], cancelled["o"]["X"]) == (placed["algoId"], "CANCELED")


@documented("Websocket API, New Algo Order, Cancel Algo Order (TRADE)")
async def test_one_lives_and_dies_over_a_socket(client: Client) -> None:
    api = await client.ws_api()
    placed = await api.ask("algoOrder.place", client.ws_signed(await stop(client)))
    assert (placed["status"], placed["result"]["algoStatus"]) == (200, "NEW")
    cancelled = await api.ask("algoOrder.cancel", client.ws_signed({"algoId": placed["result"]["algoId"]}))
    assert cancelled["status"] == 200
