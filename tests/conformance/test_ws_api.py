"""The WebSocket API: the same answers as REST, rate limits in each, signatures per request or one logon."""

from decimal import Decimal

import pytest
from venue_client import Client, Keys

documented = pytest.mark.documented


@documented("Websocket API General Info, Response format")
async def test_public_questions_need_no_key(client: Client) -> None:
    api = await client.ws_api()
    reply = await api.ask("depth", {"symbol": client.symbol, "limit": 5})
    assert reply["status"] == 200
    assert Decimal(reply["result"]["bids"][0][0]) < Decimal(reply["result"]["asks"][0][0])
    (limit,) = reply["rateLimits"]
    assert (limit["rateLimitType"], limit["interval"], limit["intervalNum"]) == ("REQUEST_WEIGHT", "MINUTE", 1)
    assert limit["count"] > 0
    for method in ("ticker.price", "ticker.book"):
        assert (await api.ask(method, {"symbol": client.symbol}))["result"]["symbol"] == client.symbol


@documented("Websocket API General Info, Rate limits: returnRateLimits")
async def test_rate_limits_are_left_out_where_nobody_wants_them(client: Client) -> None:
    api = await client.ws_api()
    reply = await api.ask("ticker.price", {"symbol": client.symbol, "returnRateLimits": False})
    assert "rateLimits" not in reply


@documented("Websocket API General Info, Rate limits; the official SDK reads them of every reply, order.status too")
async def test_every_answer_says_what_it_cost(client: Client) -> None:
    api = await client.ws_api()
    client.has_traded = True
    placed = await api.ask("order.place", client.ws_signed(await client.quote()))
    reference = {"symbol": client.symbol, "orderId": placed["result"]["orderId"]}
    for method in ("order.status", "order.cancel", "order.status", "account.balance"):
        reply = await api.ask(method, client.ws_signed(reference))
        (limit,) = reply["rateLimits"]
        assert (reply["status"], limit["rateLimitType"], limit["interval"]) == (200, "REQUEST_WEIGHT", "MINUTE")
        assert 0 < limit["count"] <= limit["limit"]
    refused = await api.ask("order.cancel", client.ws_signed(reference))
    assert (refused["error"]["code"], len(refused["rateLimits"])) == (-2011, 1)


@documented("Websocket API, New Order, Modify Order, Query Order, Cancel Order (TRADE)")
async def test_an_order_lives_and_dies_over_one_socket(client: Client) -> None:
    api = await client.ws_api()
    client.has_traded = True
    quote = await client.quote()
    placed = await api.ask("order.place", client.ws_signed(quote))
    assert (placed["status"], placed["result"]["status"]) == (200, "NEW")
    kinds = {(row["rateLimitType"], row["interval"]) for row in placed["rateLimits"]}
    assert {("ORDERS", "SECOND"), ("ORDERS", "MINUTE")} <= kinds
    reference = {"symbol": client.symbol, "orderId": placed["result"]["orderId"]}
    lower = Decimal(placed["result"]["price"]) - client.rules.tick
    changes = {**reference, "side": "BUY", "price": lower, "quantity": placed["result"]["origQty"]}
    modified = await api.ask("order.modify", client.ws_signed(changes))
    assert Decimal(modified["result"]["price"]) == lower
    status = await api.ask("order.status", client.ws_signed(reference))
    assert (status["result"]["status"], status["result"]["price"]) == ("NEW", modified["result"]["price"])
    cancelled = await api.ask("order.cancel", client.ws_signed(reference))
    assert cancelled["result"]["status"] == "CANCELED"
    again = await api.ask("order.cancel", client.ws_signed(reference))
    assert (again["status"], again["error"]["code"]) == (400, -2011)


@documented("Websocket API, Account")
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("account.status", "/fapi/v2/account"),
        ("v2/account.status", "/fapi/v3/account"),
        ("account.balance", "/fapi/v2/balance"),
        ("v2/account.balance", "/fapi/v3/balance"),
        ("account.position", "/fapi/v2/positionRisk"),
        ("v2/account.position", "/fapi/v3/positionRisk"),
    ],
)
async def test_an_account_is_told_as_by_rest(client: Client, method: str, path: str) -> None:
    await client.buy()
    api = await client.ws_api()
    told = (await api.ask(method, client.ws_signed()))["result"]
    asked = (await client.signed("GET", path)).body
    assert type(told) is type(asked)
    if isinstance(told, dict):
        assert told.keys() == asked.keys()
    else:
        assert [row.keys() for row in told] == [row.keys() for row in asked]


@documented("Websocket API, User Data Streams")
async def test_a_listen_key_is_started_kept_and_stopped(client: Client) -> None:
    """With the key alone; it is the same that REST gives."""
    api = await client.ws_api()
    key = {"apiKey": client.keys.api_key}
    started = (await api.ask("userDataStream.start", key))["result"]["listenKey"]
    assert started == (await client.keyed("POST", "/fapi/v1/listenKey")).body["listenKey"]
    assert (await api.ask("userDataStream.ping", key))["status"] == 200
    assert (await api.ask("userDataStream.stop", key))["result"] == {}
    assert (await api.ask("userDataStream.ping", key))["error"]["code"] == -1125


@documented("Websocket API General Info, Request security; Error Codes")
async def test_what_is_not_signed_is_refused(client: Client) -> None:
    api = await client.ws_api()
    forged = {**client.ws_signed(), "signature": "0" * 64}
    reply = await api.ask("account.status", forged)
    assert (reply["status"], reply["error"]["code"]) == (400, -1022)
    unknown = {**client.ws_signed(), "apiKey": "a" * 64}
    reply = await api.ask("account.status", unknown)
    assert (reply["status"], reply["error"]["code"]) == (401, -2015)


@documented("Websocket API General Info, Request format")
async def test_what_is_no_json_is_told_so(client: Client) -> None:
    api = await client.ws_api()
    await api.socket.send_str("{")
    reply = await api.next()
    assert (reply["id"], reply["status"], reply["error"]["code"]) == (None, 400, -1000)


@documented("Websocket API General Info, Session Authentication")
async def test_after_a_logon_requests_need_no_signature(client: Client, ed25519_keys: Keys) -> None:
    api = await client.ws_api()
    session = await api.ask("session.status")
    assert (session["result"]["apiKey"], session["result"]["authorizedSince"]) == (None, None)
    bare = {"timestamp": client.now_ms()}
    assert (await api.ask("account.balance", bare))["status"] in {400, 401}
    values = {"apiKey": ed25519_keys.api_key, "timestamp": client.now_ms()}
    text = "&".join(f"{name}={value}" for name, value in sorted(values.items()))
    logon = await api.ask("session.logon", {**values, "signature": ed25519_keys.sign(text)})
    assert logon["result"]["apiKey"] == ed25519_keys.api_key
    assert (await api.ask("account.balance", {"timestamp": client.now_ms()}))["status"] == 200
    logout = await api.ask("session.logout")
    assert logout["result"]["authorizedSince"] is None
    assert (await api.ask("account.balance", {"timestamp": client.now_ms()}))["status"] in {400, 401}


@documented("Websocket API General Info, Session Authentication: only Ed25519 keys")
async def test_a_secret_cannot_log_on(client: Client) -> None:
    api = await client.ws_api()
    reply = await api.ask("session.logon", client.ws_signed())
    assert (reply["status"], "error" in reply) == (400, True)


@documented("Websocket API General Info, Request format: id")
@pytest.mark.parametrize("request_id", [7, "a-name", None])
async def test_the_id_of_a_request_is_echoed_as_it_came(client: Client, request_id: object) -> None:
    api = await client.ws_api()
    request = {"id": request_id, "method": "ticker.price", "params": {"symbol": client.symbol}}
    await api.socket.send_json(request)
    reply = await api.next()
    assert (reply["id"], reply["status"]) == (request_id, 200)
