"""Whatever is sent, the venue answers with an error of its own: never a 5xx, never a hang, never a cut line."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from unittest.mock import Mock

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from phoenix_simulator.api.operations import Operations

NAMES = [
    "symbol",
    "side",
    "type",
    "timeInForce",
    "quantity",
    "price",
    "reduceOnly",
    "newClientOrderId",
    "newOrderRespType",
    "priceMatch",
    "selfTradePreventionMode",
    "goodTillDate",
    "positionSide",
    "orderId",
    "origClientOrderId",
    "orderIdList",
    "origClientOrderIdList",
    "batchOrders",
    "countdownTime",
    "leverage",
    "marginType",
    "dualSidePosition",
    "multiAssetsMargin",
    "feeBurn",
    "limit",
    "interval",
    "startTime",
    "endTime",
    "fromId",
    "page",
    "incomeType",
    "modifyId",
    "recvWindow",
    "amount",
    "algoType",
    "triggerPrice",
    "activatePrice",
    "callbackRate",
    "workingType",
    "closePosition",
    "priceProtect",
    "clientAlgoId",
    "algoId",
    "autoCloseType",
]
LONG = "9" * 4_301
"""More digits than Python reads as a number."""
PLAUSIBLE = [
    "CONDITIONAL",
    "STOP",
    "STOP_MARKET",
    "TAKE_PROFIT",
    "TRAILING_STOP_MARKET",
    "MARK_PRICE",
    "LONG",
    "SHORT",
    "ISOLATED",
    "BTCUSDT",
    "BUY",
    "SELL",
    "LIMIT",
    "MARKET",
    "GTC",
    "GTX",
    "GTD",
    "RPI",
    "BTCUSD",
    "IOC",
    "0.010",
    "61800.1",
    "61000",
    "1m",
    "1M",
    "3d",
    "1w",
    "true",
    "false",
    "[1,2]",
    '["a"]',
    '[{"symbol":"BTCUSDT","side":"BUY","type":"LIMIT","timeInForce":"GTX","price":"61000","quantity":"0.01"}]',
    "[{}]",
    '[{"symbol":[{}],"price":{"a":1},"quantity":1e400}]',
    "1",
    "0",
    "5",
    "1500",
    "99999999999999999999",
    "9223372036854775807",
    "9223372036854775808",
    "1760000000000000",
    "253402300800000",
    LONG,
    f'["{LONG}"]',
    f"[{LONG}]",
    "1e5",
    "-1",
    "",
    " ",
    "NaN",
    "Infinity",
    "0" * 20 + ".5",
    "1760000000000",
    "QUEUE_20",
    "OPPONENT",
    "EXPIRE_BOTH",
]
values = st.one_of(st.sampled_from(PLAUSIBLE), st.text(max_size=12), st.integers().map(str))
requests = st.dictionaries(st.sampled_from(NAMES), values, max_size=12)
LENIENT = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture
def loop_runner(venues):
    """Hypothesis calls synchronous functions; each test keeps one venue and one loop for all of its examples."""
    with asyncio.Runner() as runner:

        @asynccontextmanager
        async def opened() -> AsyncIterator[tuple]:
            async with venues() as venue:
                yield venue, await venue.account()

        context = opened()
        venue, maker = runner.run(context.__aenter__())
        yield runner, venue, maker
        runner.run(context.__aexit__(None, None, None))


def endpoints():
    """Every row of the REST table; it is wanted before a venue runs, so any handler will do."""
    return sorted(Operations(Mock(), Mock(), Mock(), Mock()).rest())


@pytest.mark.parametrize(("method", "path"), endpoints(), ids=lambda part: part)
def test_no_signed_request_breaks_the_venue(loop_runner, method, path):
    runner, venue, maker = loop_runner

    @LENIENT
    @given(requests)
    def holds(params):
        venue.server.clock.jump(61)  # a fresh window for every example: limits are tested elsewhere
        answer = runner.run(maker.request(method, path, **params))
        assert answer.status in {200, 400, 404, 429}, answer.content
        body = answer.body
        if answer.status != 200:
            assert isinstance(body["code"], int)
            assert isinstance(body["msg"], str)

    holds()


NUMBERS = ["limit", "startTime", "endTime", "fromId", "page", "orderId", "algoId", "modifyId", "goodTillDate"]
BASE = {"symbol": "BTCUSDT", "interval": "1M", "side": "BUY", "type": "LIMIT", "timeInForce": "GTD", "quantity": "0.01"}
FAR = {"µs": "1760000000000000", "year 10000": "253402300800000", "64 bits": str(2**63 - 1), "digits": LONG}


@pytest.mark.parametrize("word", FAR.values(), ids=FAR)
def test_no_far_number_breaks_the_venue(loop_runner, word):
    """In every place that takes a number, by itself, in a request that is otherwise sound."""
    runner, venue, maker = loop_runner

    async def broken():
        cases = [(*row, {**BASE, name: word}) for row in endpoints() for name in NUMBERS]
        cases += [
            ("DELETE", "/fapi/v1/batchOrders", BASE | {"orderIdList": text}) for text in (f'["{word}"]', f"[{word}]")
        ]
        for method, path, params in cases:
            venue.server.clock.jump(61)
            answer = await maker.request(method, path, **params)
            if answer.status not in {200, 400, 404}:
                yield method, path, params, answer.status

    async def found():
        return [case async for case in broken()]

    assert runner.run(found()) == []


@LENIENT
@given(st.binary(max_size=200), st.binary(max_size=200))
def test_raw_bytes_in_query_and_body_break_nothing(loop_runner, query, body):
    runner, venue, maker = loop_runner
    # What cannot stand in a request line is percent-encoded, as any HTTP client must.
    text = "".join(chr(byte) if 0x21 <= byte <= 0x7E and byte not in b"#%" else f"%{byte:02x}" for byte in query)
    headers = {"X-MBX-APIKEY": maker.api_key, "Content-Type": "application/x-www-form-urlencoded"}
    answer = runner.run(venue.raw("POST", f"/fapi/v1/order?{text}", data=body, headers=headers))
    assert answer.status in {400, 401, 429, 418}
    venue.server.clock.jump(4_000_000)
    assert isinstance(answer.body["code"], int)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


async def _answered(venue, target, text, *, fatal_allowed):
    """Sends one message; what comes back is JSON, or a close that the protocol allows."""
    async with venue.http.ws_connect(venue.url + target) as socket:
        await socket.send_str(text)
        message = await socket.receive(timeout=5)
        if message.type is aiohttp.WSMsgType.TEXT:
            return json.loads(message.data)
        assert fatal_allowed, message
        return None


@LENIENT
@given(json_values | st.fixed_dictionaries({"method": st.text(max_size=10), "params": json_values, "id": json_values}))
def test_no_control_message_breaks_a_stream(loop_runner, message):
    runner, venue, _ = loop_runner
    reply = runner.run(_answered(venue, "/public/ws", json.dumps(message), fatal_allowed=False))
    assert "result" in reply or "error" in reply


@LENIENT
@given(st.text(max_size=40))
def test_no_text_breaks_a_stream(loop_runner, text):
    runner, venue, _ = loop_runner
    reply = runner.run(_answered(venue, "/market/stream", text, fatal_allowed=False))
    assert reply["error"]["code"] in {2, 3}


@LENIENT
@given(
    st.fixed_dictionaries(
        {"method": st.sampled_from(["order.place", "order.cancel", "depth", "session.status", "x"]) | json_values},
        optional={"id": json_values, "params": st.dictionaries(st.sampled_from(NAMES), json_values) | json_values},
    )
    | json_values
)
def test_no_message_breaks_the_websocket_api(loop_runner, message):
    runner, venue, _ = loop_runner
    venue.server.clock.jump(61)
    reply = runner.run(_answered(venue, "/ws-fapi/v1", json.dumps(message), fatal_allowed=False))
    assert reply["status"] in {200, 400, 401, 429}


@LENIENT
@given(st.sampled_from(["account", "fault", "clock", "market", "audit"]), json_values)
def test_no_control_request_breaks_the_simulator(loop_runner, path, body):
    runner, venue, _ = loop_runner
    status, answer = runner.run(venue.control("POST", f"/sim/{path}", body))
    assert status in {200, 400}
    if status == 400:
        assert isinstance(answer["error"], str)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"headers": {"Content-Encoding": "gzip"}, "data": b"abc"}, id="a packed body that is none"),
        pytest.param({"headers": {"Content-Encoding": "br"}, "data": b"abc"}, id="a packing nobody knows"),
        pytest.param({"headers": {"Content-Type": "multipart/form-data"}, "data": b"--x"}, id="a form without parts"),
        pytest.param({"data": io.BytesIO(b"x" * 2_000_000)}, id="two megabytes"),
        pytest.param({"data": b"\xff\xfe=\x00"}, id="bytes that are no text"),
    ],
)
async def test_odd_bodies_get_an_error_of_the_venue(venue, maker, options):
    headers = {"X-MBX-APIKEY": maker.api_key, **options.get("headers", {})}
    answer = await venue.raw("POST", "/fapi/v1/order", data=options["data"], headers=headers)
    assert (answer.status, answer.body["code"] < 0) == (400, True)


async def test_a_chunk_that_is_none_gets_an_error(venue):
    host, port = venue.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = "POST /fapi/v1/order HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    writer.write(head.encode() + b"zz\r\n")
    assert (await asyncio.wait_for(reader.readline(), 5)).split()[1] == b"400"
    writer.close()
