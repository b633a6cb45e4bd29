"""The WebSocket API: per-request signatures, rate limits in every reply, and the same answers as REST."""

from urllib.parse import urlencode

import pytest

LIMITS = {
    "order": [("REQUEST_WEIGHT", "MINUTE", 1, -1), ("ORDERS", "SECOND", 10, 300), ("ORDERS", "MINUTE", 1, 1200)],
    "other": [("REQUEST_WEIGHT", "MINUTE", 1, 2400)],
}


class Api:
    def __init__(self, venue, account, stream):
        self.venue = venue
        self.account = account
        self.stream = stream

    def signed(self, params, *, encoded=False, stringly=False):
        values = {"apiKey": self.account.api_key, "timestamp": self.venue.server.clock.reported_ms(), **params}
        if stringly:
            values = {name: str(value) if name != "timestamp" else value for name, value in values.items()}
        pairs = [(name, _text(value)) for name, value in sorted(values.items())]
        text = urlencode(pairs) if encoded else "&".join(f"{name}={value}" for name, value in pairs)
        return {**values, "signature": self.account.sign(text)}

    async def call(self, method, params=None, request_id="1", **style):
        await self.stream.send({"id": request_id, "method": method, "params": self.signed(params or {}, **style)})
        return await self.stream.next()

    async def send(self, method, params, request_id=1):
        await self.stream.send({"id": request_id, "method": method, "params": params})
        return await self.stream.next()


def _text(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


@pytest.fixture
async def api(venue, maker):
    return Api(venue, maker, await venue.stream("/ws-fapi/v1"))


ORDER = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTX",
    "price": "61000",
    "quantity": "0.010",
}


def shape(reply):
    return [(row["rateLimitType"], row["interval"], row["intervalNum"], row["limit"]) for row in reply["rateLimits"]]


@pytest.mark.parametrize(
    "style",
    [
        pytest.param({}, id="raw text signed"),
        pytest.param({"encoded": True}, id="percent-encoded text signed"),
        pytest.param({"stringly": True}, id="every value a string"),
    ],
)
async def test_an_order_is_placed_modified_asked_for_and_cancelled(api, style):
    placed = await api.call("order.place", {**ORDER, "newClientOrderId": "a:b/c", "reduceOnly": False}, **style)
    assert (placed["id"], placed["status"], placed["result"]["status"]) == ("1", 200, "NEW")
    assert shape(placed) == LIMITS["order"]
    assert [row["count"] for row in placed["rateLimits"]] == [-1, 1, 1]
    order_id = placed["result"]["orderId"]
    ref = {"symbol": "BTCUSDT", "orderId": order_id}
    modified = await api.call("order.modify", {**ref, "side": "BUY", "price": "61001", "quantity": "0.02"}, **style)
    assert (modified["result"]["price"], modified["result"]["origQty"]) == ("61001.00", "0.020")
    assert [row["count"] for row in modified["rateLimits"]] == [-1, 2, 2]
    status = await api.call("order.status", ref, **style)
    assert (status["result"]["orderId"], shape(status)) == (order_id, LIMITS["other"])
    cancelled = await api.call("order.cancel", ref, **style)
    assert (cancelled["result"]["status"], shape(cancelled)) == ("CANCELED", LIMITS["other"])


async def test_errors_carry_code_and_status(api):
    refused = await api.call("order.cancel", {"symbol": "BTCUSDT", "orderId": 1}, request_id=7)
    assert (refused["id"], refused["status"], refused["error"]) == (
        7,
        400,
        {"code": -2011, "msg": "Unknown order sent."},
    )
    assert shape(refused) == LIMITS["other"]
    crossing = await api.call("order.place", {**ORDER, "price": "61800.1"})
    assert (crossing["status"], crossing["error"]["code"]) == (400, -5022)
    assert [row["count"] for row in crossing["rateLimits"]] == [-1, 1, 1]


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        pytest.param({"signature": "0" * 64}, 400, -1022, id="wrong signature"),
        pytest.param({"signature": None}, 400, -1102, id="no signature"),
        pytest.param({"quantity": "0.011"}, 400, -1022, id="changed after signing"),
        pytest.param({"apiKey": "0" * 64}, 401, -2015, id="unknown key"),
        pytest.param({"apiKey": None}, 401, -2014, id="no key"),
        pytest.param({"timestamp": None}, 400, -1102, id="no timestamp"),
    ],
)
async def test_unauthorised_requests_are_refused(api, change, status, code):
    params = {name: value for name, value in {**api.signed(ORDER), **change}.items() if value is not None}
    reply = await api.send("order.place", params)
    assert (reply["status"], reply["error"]["code"]) == (status, code)


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("account.status", {}),
        ("v2/account.status", {}),
        ("account.balance", {}),
        ("v2/account.balance", {}),
        ("account.position", {"symbol": "BTCUSDT"}),
        ("v2/account.position", {}),
    ],
)
async def test_account_questions_answer_as_rest_does(api, maker, method, params):
    await maker.market()
    version = "v3" if method.startswith("v2/") or method == "account.balance" else "v2"
    path = {"status": "account", "balance": "balance", "position": "positionRisk"}[method.rpartition(".")[2]]
    assert (await api.call(method, params))["result"] == (await maker.ask("GET", f"/fapi/{version}/{path}", **params))[
        1
    ]


async def test_public_questions_need_no_key(api):
    depth = await api.send("depth", {"symbol": "BTCUSDT", "limit": 5})
    assert depth["result"]["bids"][0] == ["61800.00", "1.000"]
    assert (await api.send("ticker.book", {"symbol": "BTCUSDT"}))["result"]["askPrice"] == "61800.10"
    assert len((await api.send("ticker.price", {}))["result"]) == 2
    for limit, code in ((7, -4021), (2**63, -1100), ("9" * 5_000, -1100)):
        bad = await api.send("depth", {"symbol": "BTCUSDT", "limit": limit})
        assert (bad["status"], bad["error"]["code"]) == (400, code)


async def test_the_listen_key_is_the_one_of_rest(api, maker):
    started = await api.send("userDataStream.start", {"apiKey": maker.api_key})
    assert started["result"] == (await maker.keyed("POST", "/fapi/v1/listenKey"))[1]
    assert (await api.send("userDataStream.ping", {"apiKey": maker.api_key}))["result"] == started["result"]
    assert (await api.send("userDataStream.stop", {"apiKey": maker.api_key}))["result"] == {}
    assert (await api.send("userDataStream.ping", {"apiKey": maker.api_key}))["error"]["code"] == -1125


async def test_rate_limits_are_left_out_where_they_are_not_wanted(venue, api):
    quiet = await venue.stream("/ws-fapi/v1?returnRateLimits=false")
    await quiet.send({"id": 1, "method": "depth", "params": {"symbol": "BTCUSDT"}})
    assert "rateLimits" not in await quiet.next()
    assert "rateLimits" not in await api.send("depth", {"symbol": "BTCUSDT", "returnRateLimits": False})
    assert "rateLimits" in await api.send("depth", {"symbol": "BTCUSDT"})


async def test_without_a_logon_a_session_is_nobodys(api):
    for method in ("session.status", "session.logout"):
        state = await api.send(method, {})
        assert (state["status"], state["result"]["apiKey"], state["result"]["authorizedSince"]) == (200, None, None)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param("{", -1000, id="no JSON"),
        pytest.param("[1]", -1000, id="no object"),
        pytest.param('{"id":1.5,"method":"depth"}', -1100, id="id of a wrong type"),
        pytest.param('{"id":1}', -1100, id="no method"),
        pytest.param('{"id":1,"method":"depth","params":[]}', -1100, id="params that are no object"),
        pytest.param('{"id":1,"method":"order.guess","params":{}}', -1020, id="unknown method"),
    ],
)
async def test_malformed_messages_are_answered_and_the_connection_lives(api, text, code):
    await api.stream.send(text)
    reply = await api.stream.next()
    assert (reply["status"], reply["error"]["code"]) == (400, code)
    assert (await api.send("depth", {"symbol": "BTCUSDT", "limit": 5}))["status"] == 200


async def test_the_counters_are_shared_with_rest(api, maker):
    await maker.place()
    placed = await api.call("order.place", ORDER)
    assert [row["count"] for row in placed["rateLimits"]] == [-1, 2, 2]


async def test_a_handshake_costs_weight_and_a_banned_one_gets_none(venue):
    before = int((await venue.raw("GET", "/fapi/v1/time")).headers["X-MBX-USED-WEIGHT-1M"])
    await venue.stream("/ws-fapi/v1")
    after = int((await venue.raw("GET", "/fapi/v1/time")).headers["X-MBX-USED-WEIGHT-1M"])
    assert after == before + 6
    await venue.fault(kind="rate-limit", status=418, retryAfterSeconds=60, count=1)
    assert (await venue.raw("GET", "/fapi/v1/time")).status == 418
    answer = await venue.raw("GET", "/ws-fapi/v1", headers={"Upgrade": "websocket"})
    assert (answer.status, answer.body["code"]) == (418, -1003)


async def test_more_than_five_pings_a_second_end_the_connection(api):
    for _ in range(4):
        await api.stream.socket.ping()
    assert (await api.send("time", {}))["status"] == 200
    for _ in range(4):
        await api.stream.socket.ping()
    assert await api.stream.ended() == 1008


async def test_requests_are_limited_by_weight_and_not_by_their_number(api):
    replies = [await api.send("time", {}, number) for number in range(20)]
    assert {reply["status"] for reply in replies} == {200}
