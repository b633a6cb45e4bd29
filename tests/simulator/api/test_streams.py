"""Market streams over real sockets: routes, forms, chains, rhythm, and the rules of a connection."""

import asyncio
from decimal import Decimal

import pytest
from aiohttp import WSMsgType
from phoenix_simulator.api import connection


@pytest.mark.parametrize(
    ("target", "wrapped"),
    [
        pytest.param("/public/ws/btcusdt@bookTicker", False, id="raw"),
        pytest.param("/public/ws/btcusdt@bookTicker/btcusdt@trade", False, id="two, raw"),
        pytest.param("/public/stream?streams=btcusdt@bookTicker/btcusdt@trade", True, id="combined"),
        pytest.param("/ws/btcusdt@bookTicker", False, id="unrouted raw"),
        pytest.param("/stream?streams=btcusdt@bookTicker", True, id="unrouted combined"),
        pytest.param("/public/ws/btcusdt%40bookTicker", False, id="percent-encoded"),
    ],
)
async def test_a_url_subscribes_in_every_form(venue, target, wrapped):
    stream = await venue.stream(target)
    venue.level("BUY", "61800.0", "2.000")
    message = await stream.next()
    if wrapped:
        assert message["stream"] == "btcusdt@bookTicker"
        message = message["data"]
    assert (message["e"], message["b"], message["B"], message["a"], message["A"]) == (
        "bookTicker",
        "61800.00",
        "2.000",
        "61800.10",
        "1.000",
    )
    assert (message["s"], message["ps"], message["st"]) == ("BTCUSDT", "BTCUSDT", 1)
    assert {"u", "T", "E"} <= message.keys()


async def test_a_wrong_route_is_acknowledged_and_silent(venue):
    public = await venue.stream("/public/ws")
    market = await venue.stream("/market/ws")
    unrouted = await venue.stream("/ws/btcusdt@aggTrade")
    assert await public.ask("SUBSCRIBE", ["btcusdt@aggTrade", "BTCUSDT@bookTicker"]) == {"result": None, "id": 1}
    assert await market.ask("SUBSCRIBE", ["btcusdt@bookTicker"]) == {"result": None, "id": 1}
    venue.taker("BUY", "0.100")
    await asyncio.sleep(0.15)
    for stream in (public, market, unrouted):
        assert await stream.silent()
    assert (await public.ask("LIST_SUBSCRIPTIONS"))["result"] == ["btcusdt@aggTrade", "BTCUSDT@bookTicker"]


async def test_a_number_after_ws_is_no_stream(venue):
    stream = await venue.stream("/public/ws/3")
    assert await stream.ask("SUBSCRIBE", ["btcusdt@trade"], request_id=17) == {"result": None, "id": 17}
    venue.taker("BUY", "0.100")
    assert (await stream.next())["e"] == "trade"
    assert (await stream.ask("LIST_SUBSCRIPTIONS"))["result"] == ["btcusdt@trade"]


async def test_ids_come_back_as_they_were_sent(venue):
    stream = await venue.stream("/market/stream")
    for request_id in (1, 0, "a1b2-uuid", 1760000000000):
        assert (await stream.ask("LIST_SUBSCRIPTIONS", request_id=request_id))["id"] == request_id


async def test_the_combined_property_wraps_from_then_on_but_never_replies(venue):
    stream = await venue.stream("/public/ws/btcusdt@bookTicker")
    assert (await stream.ask("GET_PROPERTY", ["combined"]))["result"] is False
    await stream.ask("SET_PROPERTY", ["combined", True])
    venue.level("BUY", "61800.0", "2.000")
    assert (await stream.next())["stream"] == "btcusdt@bookTicker"
    assert (await stream.ask("GET_PROPERTY", ["combined"])) == {"result": True, "id": 1}


async def test_unsubscribed_is_silent(venue):
    stream = await venue.stream("/public/ws/btcusdt@bookTicker")
    await stream.ask("UNSUBSCRIBE", ["btcusdt@bookTicker"])
    venue.level("BUY", "61800.0", "2.000")
    assert await stream.silent()
    assert (await stream.ask("LIST_SUBSCRIPTIONS"))["result"] == []


async def test_invalid_json_is_answered_and_then_the_connection_ends(venue):
    stream = await venue.stream("/public/ws")
    await stream.send("{")
    assert (await stream.next())["error"]["code"] == 3
    assert await stream.ended() == 1008


@pytest.mark.parametrize("speed", ["@0ms", "@100ms", "", "@500ms"])
async def test_each_diff_depth_stream_has_an_unbroken_chain_of_its_own(venue, speed):
    stream = await venue.stream(f"/public/ws/btcusdt@depth{speed}")
    first = venue.server.exchange.listing("BTCUSDT").last_update_id
    frames = []
    for round_number in range(3):
        for quantity in ("2.000", "3.000"):
            venue.level("BUY", "61799.0", f"{quantity[0]}.{round_number}00")
        frames.append(await stream.next())
    frames += await stream.drain()
    assert [frame["pu"] for frame in frames] == [first, *(frame["u"] for frame in frames[:-1])]
    assert all(frame["pu"] < frame["U"] <= frame["u"] for frame in frames)
    assert frames[-1]["u"] == venue.server.exchange.listing("BTCUSDT").last_update_id
    if speed:
        assert frames[-1]["b"] == [["61799.00", "3.200"]]


async def test_a_local_book_kept_by_the_documented_rule_equals_the_venues(venue):
    stream = await venue.stream("/public/ws/btcusdt@depth@100ms")
    venue.level("BUY", "61799.0", "5.000")
    await asyncio.sleep(0.12)
    venue.level("SELL", "61802.0", "0.000")
    _, snapshot = await venue.get("/fapi/v1/depth", symbol="BTCUSDT", limit=1000)
    venue.taker("BUY", "2.500")
    venue.level("BUY", "61800.2", "0.700")
    await asyncio.sleep(0.25)
    book = {side: dict(snapshot[side]) for side in ("bids", "asks")}
    last = snapshot["lastUpdateId"]
    started = False
    for frame in await stream.drain():
        if frame["u"] < last:
            continue
        assert (frame["pu"] == last) if started else (frame["U"] <= last <= frame["u"] or frame["pu"] == last)
        started, last = True, frame["u"]
        for side, changes in (("bids", frame["b"]), ("asks", frame["a"])):
            for price, quantity in changes:
                book[side][price] = quantity
                if float(quantity) == 0:
                    del book[side][price]
    _, after = await venue.get("/fapi/v1/depth", symbol="BTCUSDT", limit=1000)
    assert started
    assert last == after["lastUpdateId"]
    assert book == {side: dict(after[side]) for side in ("bids", "asks")}


async def test_partial_depth_is_the_whole_top_and_only_when_something_changed(venue):
    stream = await venue.stream("/public/ws/btcusdt@depth5@100ms")
    first = await stream.next()
    assert [len(first[side]) for side in "ba"] == [5, 5]
    assert await stream.silent(0.3)
    venue.level("BUY", "61800.0", "2.000")
    second = await stream.next()
    assert second["b"][0] == ["61800.00", "2.000"]
    assert second["pu"] == first["u"]


async def test_depth_and_touch_share_their_ids_with_the_snapshot(venue):
    stream = await venue.stream("/stream?streams=btcusdt@bookTicker/btcusdt@depth@0ms")
    venue.level("BUY", "61800.0", "2.000")
    frames = {message["stream"]: message["data"] for message in [await stream.next(), await stream.next()]}
    _, snapshot = await venue.get("/fapi/v1/depth", symbol="BTCUSDT", limit=5)
    ids = {frames["btcusdt@bookTicker"]["u"], frames["btcusdt@depth@0ms"]["u"], snapshot["lastUpdateId"]}
    assert len(ids) == 1


async def test_trades_print_at_once_and_aggregate_within_100_ms(venue):
    public = await venue.stream("/public/ws/btcusdt@trade")
    market = await venue.stream("/market/ws/btcusdt@aggTrade")
    venue.taker("BUY", "0.100")
    venue.taker("BUY", "0.200")
    trades = [await public.next(), await public.next()]
    assert [(row["p"], row["q"], row["X"], row["m"]) for row in trades] == [
        ("61800.10", "0.100", "MARKET", False),
        ("61800.10", "0.200", "MARKET", False),
    ]
    aggregate = await market.next()
    assert (aggregate["q"], aggregate["f"], aggregate["l"], aggregate["m"]) == (
        "0.300",
        trades[0]["t"],
        trades[1]["t"],
        False,
    )


async def test_mark_price_keeps_its_rhythm_even_where_nothing_moves(venue):
    stream = await venue.stream("/market/ws/btcusdt@markPrice@1s")
    frames = []
    for _ in range(2):
        venue.server.clock.jump(1)
        frames.append(await stream.next())
    assert frames[0]["p"] == "61800.00000000"
    assert frames[0]["r"] == "0.00010000"
    assert {"ap", "P", "i", "T", "E", "s", "st"} <= frames[0].keys()
    assert frames[1]["E"] // 1000 > frames[0]["E"] // 1000


async def test_all_symbol_streams_carry_every_symbol(venue):
    market = await venue.stream("/market/ws/!markPrice@arr@1s/!miniTicker@arr/!ticker@arr")
    venue.server.clock.jump(1)
    rows = [await market.next() for _ in range(3)]
    assert [[row["s"] for row in frame] for frame in rows] == [["BTCUSDT", "ETHUSDC"]] * 3
    public = await venue.stream("/public/ws/!bookTicker")
    venue.server.clock.jump(5)
    assert {(await public.next())["s"] for _ in range(2)} == {"BTCUSDT", "ETHUSDC"}


async def test_the_asset_index_is_told_every_second_as_rest_answers_it(venue):
    one = await venue.stream("/market/ws/btcusd@assetIndex")
    every = await venue.stream("/market/ws/!assetIndex@arr")
    silent = await venue.stream("/market/ws/xyzusd@assetIndex")
    venue.server.clock.jump(1)
    frame = await one.next()
    _, row = await venue.get("/fapi/v1/assetIndex", symbol="BTCUSD")
    assert (frame["e"], frame["s"], frame["i"], frame["B"], frame["A"], frame["Q"], frame["G"]) == (
        "assetIndexUpdate",
        row["symbol"],
        row["index"],
        row["bidRate"],
        row["askRate"],
        row["autoExchangeBidRate"],
        row["autoExchangeAskRate"],
    )
    assert (row["index"], row["bidRate"], row["bidBuffer"]) == ("61800.00000000", "58710.00000000", "0.05000000")
    names = [each["s"] for each in await every.next()]
    assert names == [each["symbol"] for each in (await venue.get("/fapi/v1/assetIndex"))[1]]
    assert {"USDTUSD", "USDCUSD", "BNBUSD"} <= set(names)
    assert (await venue.get("/fapi/v1/assetIndex", symbol="XYZUSD"))[1]["code"] == -1121
    assert await silent.silent()


async def test_a_candle_says_when_it_has_closed(venue):
    stream = await venue.stream("/market/ws/btcusdt@kline_1m")
    clock = venue.server.clock
    clock.jump(61 - clock.now_ms() % 60_000 / 1000)
    venue.taker("BUY", "0.100")
    candle = (await stream.until(lambda frame: frame["k"]["n"] == 1))["k"]
    assert (candle["x"], candle["o"], candle["v"], candle["i"]) == (False, "61800.10", "0.100", "1m")
    clock.jump(60)
    closed = (await stream.until(lambda frame: frame["k"]["x"]))["k"]
    assert (closed["t"], closed["v"]) == (candle["t"], "0.100")
    following = (await stream.next())["k"]
    assert (following["t"], following["x"], following["n"]) == (candle["t"] + 60_000, False, 0)


async def test_a_continuous_candle_is_the_candle_of_its_pair(venue):
    plain = await venue.stream("/market/ws/btcusdt@kline_1m")
    continuous = await venue.stream("/market/ws/btcusdt_perpetual@continuousKline_1m")
    venue.taker("BUY", "0.100")
    wanted = (await plain.until(lambda frame: frame["k"]["n"] == 1))["k"]
    frame = await continuous.until(lambda frame: frame["k"]["n"] == 1)
    assert (frame["e"], frame["ps"], frame["ct"]) == ("continuous_kline", "BTCUSDT", "PERPETUAL")
    assert {**frame["k"], "s": "BTCUSDT"} == wanted


async def test_the_book_with_retail_orders_is_the_plain_one_with_a_chain_of_its_own(venue):
    stream = await venue.stream("/public/ws/btcusdt@rpiDepth@500ms")
    previous = None
    for quantity in ("2.000", "3.000"):
        venue.level("BUY", "61800.0", quantity)
        frame = await stream.next()
        assert (frame["e"], frame["b"]) == ("depthUpdate", [["61800.00", quantity]])
        assert previous in {None, frame["pu"]}
        previous = frame["u"]
    _, snapshot = await venue.get("/fapi/v1/depth", symbol="BTCUSDT", limit=5)
    assert snapshot["lastUpdateId"] == previous


async def test_retail_orders_are_told_there_and_nowhere_else(venue, maker):
    plain = await venue.stream("/public/ws/btcusdt@depth@100ms/btcusdt@bookTicker")
    retail = await venue.stream("/public/ws/btcusdt@rpiDepth@500ms")
    status, placed = await maker.place(price="61800.0", quantity="0.500", tif="RPI")
    assert (status, placed["timeInForce"], placed["status"]) == (200, "RPI", "NEW")
    frame = await retail.next()
    assert (frame["b"], frame["a"]) == ([["61800.00", "1.500"]], [])
    depth, book = [(await venue.get(f"/fapi/v1/{path}", symbol="BTCUSDT"))[1] for path in ("depth", "rpiDepth")]
    assert (depth["bids"][0], book["bids"][0]) == (["61800.00", "1.000"], ["61800.00", "1.500"])
    assert depth["asks"] == book["asks"]
    assert await plain.silent()
    await maker.ask("DELETE", "/fapi/v1/order", symbol="BTCUSDT", orderId=placed["orderId"])
    after = await retail.next()
    assert (after["b"], after["pu"]) == ([["61800.00", "1.000"]], frame["u"])


async def test_a_trade_with_a_retail_order_says_so(venue, maker):
    trades = await venue.stream("/market/ws/btcusdt@aggTrade")
    await maker.place(price="61800.0", quantity="0.500", tif="RPI")
    venue.taker("SELL", "1.200", limit="61800.0")
    venue.server.clock.jump(0.2)
    aggregate = await trades.next()
    assert (aggregate["q"], aggregate["nq"]) == ("1.200", "1.000")
    _, rows = await venue.get("/fapi/v1/trades", symbol="BTCUSDT", limit=2)
    assert [(row["qty"], row["isRPITrade"]) for row in rows] == [("1.000", False), ("0.200", True)]


async def test_a_status_change_is_told(venue):
    stream = await venue.stream("/market/ws/!contractInfo")
    await venue.control("POST", "/sim/market", {"symbol": "BTCUSDT", "status": "SETTLING"})
    message = await stream.next()
    assert (message["e"], message["s"], message["cs"]) == ("contractInfo", "BTCUSDT", "SETTLING")


async def test_more_than_ten_messages_a_second_end_the_connection(venue):
    stream = await venue.stream("/public/ws")
    for number in range(40):
        await stream.send({"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": number})
    replies = await stream.drain(0.2)
    assert len(replies) == 10
    assert stream.socket.close_code == 1008


async def test_the_1025th_stream_ends_the_connection(venue):
    stream = await venue.stream("/public/ws")
    names = [f"s{number}@trade" for number in range(1024)]
    assert (await stream.ask("SUBSCRIBE", names))["result"] is None
    reply = await stream.ask("SUBSCRIBE", ["btcusdt@trade"])
    assert reply["error"]["code"] == 4
    assert await stream.ended() == 1008


async def test_1024_streams_fit_into_a_url(venue):
    names = "/".join(f"symbol{number}usdt@bookTicker" for number in range(1023))
    stream = await venue.stream(f"/public/stream?streams={names}/btcusdt@bookTicker")
    venue.level("BUY", "61800.0", "2.000")
    assert (await stream.next())["stream"] == "btcusdt@bookTicker"


async def test_of_the_forced_orders_of_a_second_the_public_hears_of_the_largest(venue):
    streams = [await venue.stream(f"/market/ws/{name}") for name in ("btcusdt@forceOrder", "!forceOrder@arr")]

    async def liquidate(*quantities):
        venue.mark("61800")
        for quantity in quantities:
            gambler = await venue.account(balances={"USDT": str(1_000 * Decimal(quantity))})
            await gambler.ask("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=100)
            status, body = await gambler.market("BUY", quantity)
            assert status == 200, body
        venue.mark("61000")
        venue.server.clock.jump(1)

    for quantities, told in ((("0.100", "0.200", "0.050"), "0.200"), (("0.060",), "0.060")):
        await liquidate(*quantities)
        for stream in streams:
            frame = await stream.next()
            assert (frame["e"], frame["o"]["s"], frame["o"]["S"]) == ("forceOrder", "BTCUSDT", "SELL")
            assert (frame["o"]["q"], frame["o"]["z"], frame["o"]["X"]) == (told, told, "FILLED")


async def test_the_venue_pings_and_cuts_who_does_not_answer(venue):
    alive = await venue.stream("/public/ws/btcusdt@trade", autoping=False)
    venue.server.clock.jump(181)
    ping = await alive.socket.receive(timeout=5)
    assert ping.type is WSMsgType.PING
    venue.server.clock.jump(601)
    assert await alive.ended() is not None
    answering = await venue.stream("/public/ws/btcusdt@trade", autoping=False)
    for _ in range(4):
        venue.server.clock.jump(181)
        ping = await answering.socket.receive(timeout=5)
        assert ping.type is WSMsgType.PING
        await answering.socket.pong(ping.data)
        await answering.ask("LIST_SUBSCRIPTIONS")
    venue.taker("BUY", "0.100")
    assert (await answering.next())["e"] == "trade"


async def test_a_connection_lives_for_24_hours(venue):
    stream = await venue.stream("/public/ws")
    venue.server.clock.jump(24 * 3_600)
    assert await stream.ended() == 1001


@pytest.mark.parametrize(
    ("target", "lives"),
    [
        pytest.param("/public/ws/btcusdt@trade", True, id="any pong keeps a stream alive"),
        pytest.param("/ws-fapi/v1", False, id="the WebSocket API wants its own payload back"),
    ],
)
async def test_a_pong_of_another_payload(venue, target, lives):
    stream = await venue.stream(target, autoping=False)
    venue.server.clock.jump(181)
    assert (await stream.socket.receive(timeout=5)).type is WSMsgType.PING
    await stream.socket.pong(b"something else")
    await stream.ask("depth" if not lives else "LIST_SUBSCRIPTIONS", {"symbol": "BTCUSDT"} if not lives else None)
    venue.server.clock.jump(601)
    if lives:
        assert (await stream.socket.receive(timeout=5)).type is WSMsgType.PING
    else:
        assert await stream.ended() is not None


async def test_pings_of_a_client_are_answered_with_their_payload(venue):
    stream = await venue.stream("/public/ws", autoping=False)
    await stream.socket.ping(b"abc")
    pong = await stream.socket.receive(timeout=5)
    assert (pong.type, bytes(pong.data)) == (WSMsgType.PONG, b"abc")


async def test_a_reader_that_falls_behind_is_cut_and_nobody_else_notices(venue, monkeypatch, eventually):
    monkeypatch.setattr(connection, "OUTBOX_BYTES", 100_000)
    # A raw socket that never reads: a client library would read ahead for us.
    host, port = venue.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
    writer.write(
        b"GET /public/ws/btcusdt@depth20@100ms/btcusdt@bookTicker/btcusdt@depth@0ms HTTP/1.1\r\nHost: x\r\n"
        b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    await reader.readuntil(b"\r\n\r\n")
    writer.transport.pause_reading()
    healthy = await venue.stream("/public/ws/btcusdt@bookTicker")
    hub = venue.server.hub
    await eventually(lambda: len(hub.connections) == 2)

    async def push():
        for number in range(200_000):
            venue.level("BUY", "61800.0", f"2.{number % 1000:03}")
            if number % 200 == 0:
                await healthy.drain(0.001)
                if len(hub.connections) == 1:
                    return

    await asyncio.wait_for(push(), 20)
    assert len(hub.connections) == 1
    venue.level("BUY", "61800.0", "9.000")
    await healthy.until(lambda frame: frame["B"] == "9.000")
    writer.transport.abort()
