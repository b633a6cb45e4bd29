"""Each fault, one by one, as a client meets it."""

import asyncio
import contextlib

import aiohttp
import pytest

PLACE = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTX",
    "price": "61000",
    "quantity": "0.010",
}


def touch(venue, quantity, symbol="BTCUSDT", price="61800.0"):
    venue.level("BUY", price, quantity, symbol)


async def orders_of(maker):
    return (await maker.ask("GET", "/fapi/v1/openOrders"))[1]


# ---- frames -----------------------------------------------------------------------------------------------------


async def test_silence_of_one_stream_leaves_the_others_and_ends_with_its_time(venue):
    stream = await venue.stream("/stream?streams=btcusdt@bookTicker/btcusdt@depth@0ms")
    await venue.fault(kind="silence", symbol="BTCUSDT", stream="bookTicker", durationSeconds=5)
    touch(venue, "2.000")
    assert [message["stream"] for message in await stream.drain(0.15)] == ["btcusdt@depth@0ms"]
    # Control messages are still answered.
    assert len((await stream.ask("LIST_SUBSCRIPTIONS"))["result"]) == 2
    venue.server.clock.jump(6)
    await asyncio.sleep(0.05)
    touch(venue, "3.000")
    assert {message["stream"] for message in await stream.drain(0.15)} == {"btcusdt@bookTicker", "btcusdt@depth@0ms"}


async def test_silence_of_a_symbol_leaves_other_symbols(venue):
    stream = await venue.stream("/public/ws/btcusdt@bookTicker/ethusdc@bookTicker/btcusdt@depth@0ms")
    await venue.fault(kind="silence", symbol="BTCUSDT")
    touch(venue, "2.000")
    touch(venue, "2.000", "ETHUSDC", "2500.00")
    assert {message["s"] for message in await stream.drain()} == {"ETHUSDC"}


async def test_silence_of_one_client_leaves_the_others(venue):
    deaf = await venue.stream("/public/ws/btcusdt@bookTicker", holder="maker-a/1.0")
    hears = await venue.stream("/public/ws/btcusdt@bookTicker", holder="maker-b/1.0")
    await venue.fault(kind="silence", holder="maker-a*")
    touch(venue, "2.000")
    assert (await hears.next())["B"] == "2.000"
    assert await deaf.silent()


async def test_a_gap_loses_one_diff_and_the_chain_shows_it(venue, eventually):
    stream = await venue.stream("/stream?streams=btcusdt@depth@0ms/btcusdt@depth5@100ms/btcusdt@bookTicker")
    touch(venue, "2.000")
    before = (await stream.until(lambda message: message["stream"] == "btcusdt@depth@0ms"))["data"]
    await venue.fault(kind="gap", symbol="BTCUSDT")
    touch(venue, "3.000")
    await eventually(lambda: not venue.server.faults)
    touch(venue, "4.000")
    after = (await stream.until(lambda message: message["stream"] == "btcusdt@depth@0ms"))["data"]
    assert after["b"] == [["61800.00", "4.000"]]
    assert after["pu"] != before["u"]
    assert (await venue.control("GET", "/sim/fault"))[1] == []


async def test_duplicates_come_twice(venue):
    stream = await venue.stream("/public/ws/btcusdt@trade")
    await venue.fault(kind="duplicate", stream="trade", count=1)
    venue.taker("BUY", "0.100")
    venue.taker("BUY", "0.200")
    assert [message["q"] for message in await stream.drain()] == ["0.100", "0.100", "0.200"]


async def test_late_frames_come_in_their_order_and_hold_up_those_behind_them(venue):
    stream = await venue.stream("/public/ws/btcusdt@trade")
    await venue.fault(kind="late", stream="trade", delaySeconds=0.2, count=2)
    for quantity in ("0.100", "0.200", "0.300"):
        venue.taker("BUY", quantity)
    assert await stream.silent(0.1)
    assert [(await stream.next())["q"] for _ in range(3)] == ["0.100", "0.200", "0.300"]


async def test_user_events_swap_their_places(venue, maker):
    user = await maker.user_stream()
    await venue.fault(kind="reorder", count=2)
    first, second = [(await maker.place(price=price))[1]["orderId"] for price in ("61000", "61001")]
    third = (await maker.place(price="61002"))[1]["orderId"]
    assert [(await user.next())["o"]["i"] for _ in range(3)] == [second, first, third]


async def test_a_frame_without_a_partner_is_not_held_for_ever(venue, maker):
    user = await maker.user_stream()
    await venue.fault(kind="reorder")
    await maker.place()
    assert (await user.next())["o"]["x"] == "NEW"


async def test_user_events_can_be_lost(venue, maker):
    user = await maker.user_stream()
    await venue.fault(kind="silence", stream="user", count=1)
    await maker.place()
    assert await user.silent()
    _, second = await maker.place(price="61001")
    assert (await user.next())["o"]["i"] == second["orderId"]


# ---- connections ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("match", "cut"),
    [
        pytest.param({"route": "public"}, {"btc", "eth"}, id="route"),
        pytest.param({"symbol": "ETHUSDC"}, {"eth"}, id="symbol"),
        pytest.param({"holder": "maker-b*"}, {"market"}, id="holder"),
        pytest.param({}, {"btc", "eth", "market", "api"}, id="all"),
    ],
)
async def test_disconnect_cuts_the_matching_connections(venue, match, cut):
    streams = {
        "btc": await venue.stream("/public/ws/btcusdt@bookTicker"),
        "eth": await venue.stream("/public/ws/ethusdc@bookTicker"),
        "market": await venue.stream("/market/ws/btcusdt@aggTrade", holder="maker-b"),
        "api": await venue.stream("/ws-fapi/v1"),
    }
    await venue.fault(kind="disconnect", **match)
    await asyncio.sleep(0.1)
    alive = set()
    for name, stream in streams.items():
        try:
            message = await stream.socket.receive(timeout=0.1)
        except TimeoutError:
            alive.add(name)
        else:
            assert message.type in {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.ERROR}
    assert alive == streams.keys() - cut


async def test_reconnects_are_refused_while_it_lasts(venue):
    await venue.fault(kind="refuse", route="public", durationSeconds=5)
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await venue.stream("/public/ws/btcusdt@bookTicker")
    assert caught.value.status == 503
    await venue.stream("/market/ws/btcusdt@aggTrade")
    venue.server.clock.jump(6)
    await asyncio.sleep(0.05)
    await venue.stream("/public/ws/btcusdt@bookTicker")


async def test_in_an_outage_sockets_stay_up_and_nothing_is_answered_or_executed(venue, maker):
    public = await venue.stream("/public/ws/btcusdt@bookTicker", autoping=False)
    api = await venue.stream("/ws-fapi/v1")
    fault = await venue.fault(kind="outage")
    touch(venue, "2.000")
    await public.send({"method": "LIST_SUBSCRIPTIONS", "id": 1})
    await public.socket.ping(b"x")
    await api.send({"id": 1, "method": "ping", "params": {}})
    order = asyncio.create_task(maker.place())
    assert await public.silent(0.3)
    assert await api.silent(0.1)
    assert not order.done()
    venue.server.faults.cancel(fault)
    with pytest.raises(aiohttp.ClientError):
        await order
    assert await orders_of(maker) == []
    touch(venue, "3.000")
    assert (await public.next())["B"] == "3.000"
    await api.send({"id": 2, "method": "ping", "params": {}})
    assert (await api.next())["id"] == 2


async def test_in_an_outage_no_handshake_is_answered(venue):
    host, port = venue.url.removeprefix("http://").split(":")
    fault = await venue.fault(kind="outage")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /public/ws HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = asyncio.create_task(reader.read(1))
    await asyncio.sleep(0.15)
    assert not answer.done()
    venue.server.faults.cancel(fault)
    with contextlib.suppress(ConnectionResetError):
        assert await asyncio.wait_for(answer, 5) == b""
    writer.close()


# ---- requests ---------------------------------------------------------------------------------------------------


async def test_429_by_command_names_its_time_and_ends(venue, maker):
    await venue.fault(kind="rate-limit", endpoint="order.*", retryAfterSeconds=7, count=1)
    answer = await maker.request("POST", "/fapi/v1/order", **PLACE)
    assert (answer.status, answer.body["code"], answer.headers["Retry-After"]) == (429, -1003, "7")
    assert (await maker.place())[0] == 200


async def test_418_bans_the_address_for_everything(venue, maker):
    await venue.fault(kind="rate-limit", status=418, retryAfterSeconds=30, endpoint="order.place", count=1)
    assert (await maker.place())[0] == 418
    assert (await venue.get("/fapi/v1/time"))[0] == 418
    venue.server.clock.jump(31)
    assert (await venue.get("/fapi/v1/time"))[0] == 200


@pytest.mark.parametrize(
    ("outcome", "code", "text", "executed"),
    [
        ("unknown-executed", -1000, "Unknown error, please check your request or try again later.", True),
        ("unknown-not-executed", -1000, "Unknown error, please check your request or try again later.", False),
        ("unavailable", -1016, "Service Unavailable.", False),
        ("internal", -1001, "Internal error; unable to process your request. Please try again.", False),
        ("throttled", -1008, "Request throttled by system-level protection.", False),
    ],
)
async def test_503_comes_in_its_four_kinds(venue, maker, outcome, code, text, executed):
    await venue.fault(kind="unavailable", outcome=outcome, endpoint="order.place", count=1)
    status, body = await maker.place()
    assert (status, body["code"]) == (503, code)
    assert body["msg"].startswith(text)
    assert len(await orders_of(maker)) == executed


async def test_the_throttle_spares_cancels_and_reduce_only_orders(venue, maker):
    _, placed = await maker.place()
    await maker.market()
    await venue.fault(kind="unavailable", outcome="throttled")
    assert (await maker.place(price="61001"))[0] == 503
    assert (await maker.market("SELL", "0.010", reduceOnly="true"))[0] == 200
    assert (await maker.ask("DELETE", "/fapi/v1/order", symbol="BTCUSDT", orderId=placed["orderId"]))[0] == 200
    assert (await venue.get("/fapi/v1/depth", symbol="BTCUSDT"))[0] == 200


async def test_in_hedge_mode_the_throttle_spares_what_closes(venue, maker):
    await maker.ask("POST", "/fapi/v1/positionSide/dual", dualSidePosition="true")
    await maker.market("BUY", "0.010", positionSide="LONG")
    await maker.market("SELL", "0.010", positionSide="SHORT")
    await venue.fault(kind="unavailable", outcome="throttled")
    assert (await maker.market("BUY", "0.010", positionSide="LONG"))[0] == 503
    assert (await maker.market("SELL", "0.010", positionSide="LONG"))[0] == 200
    assert (await maker.market("BUY", "0.010", positionSide="SHORT"))[0] == 200


@pytest.mark.parametrize("executed", [True, False])
async def test_a_lost_answer_leaves_the_order_unknown(venue, maker, executed):
    await venue.fault(kind="answer-lost", endpoint="order.place", executed=executed, count=1)
    with pytest.raises(aiohttp.ClientError):
        await maker.place(newClientOrderId="lost")
    status, body = await maker.ask("GET", "/fapi/v1/order", symbol="BTCUSDT", origClientOrderId="lost")
    assert (status, body.get("status")) == ((200, "NEW") if executed else (400, None))


async def test_a_lost_answer_of_the_websocket_api_is_silence(venue):
    stream = await venue.stream("/ws-fapi/v1")
    await venue.fault(kind="answer-lost", endpoint="depth", count=1)
    for request_id in (1, 2):
        await stream.send({"id": request_id, "method": "depth", "params": {"symbol": "BTCUSDT"}})
    assert (await stream.next())["id"] == 2


async def test_rejects_by_command_have_their_code_and_spare_other_symbols(venue, maker):
    await venue.fault(kind="reject", code=-2019, message="Margin is insufficient.", symbol="BTCUSDT")
    assert await maker.place() == (400, {"code": -2019, "msg": "Margin is insufficient."})
    assert (await maker.place(symbol="ETHUSDC", price="2490", quantity="0.040"))[0] == 200
    assert (await maker.ask("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT"))[0] == 200


async def test_a_late_acknowledgement_comes_after_its_event(venue, maker):
    user = await maker.user_stream()
    await venue.fault(kind="delay", endpoint="order.place", afterSeconds=0.3)
    answer = asyncio.create_task(maker.place())
    event = await user.next()
    assert not answer.done()
    assert (await answer)[1]["orderId"] == event["o"]["i"]


async def test_a_request_that_waits_too_long_is_refused_by_the_engine(venue, maker):
    await venue.fault(kind="delay", endpoint="order.place", beforeSeconds=0.3, count=1)
    status, body = await maker.place(recvWindow=100)
    assert (status, body["code"]) == (400, -5028)
    assert await orders_of(maker) == []


async def test_a_delayed_request_lets_later_ones_pass_on_the_websocket_api(venue):
    stream = await venue.stream("/ws-fapi/v1")
    await venue.fault(kind="delay", endpoint="depth", afterSeconds=0.2, count=1)
    for request_id in (1, 2):
        await stream.send({"id": request_id, "method": "depth", "params": {"symbol": "BTCUSDT"}})
    assert [(await stream.next())["id"] for _ in range(2)] == [2, 1]


# ---- moments ----------------------------------------------------------------------------------------------------


async def test_a_skewed_clock_refuses_who_trusts_its_own(venue, maker):
    true_ms = venue.server.clock.now_ms()
    await venue.fault(kind="clock-skew", skewMs=8_000, durationSeconds=60)
    _, body = await venue.get("/fapi/v1/time")
    assert 7_000 < body["serverTime"] - true_ms < 12_000
    assert (await maker.ask("GET", "/fapi/v1/openOrders", timestamp=true_ms))[1]["code"] == -1021
    assert (await maker.ask("GET", "/fapi/v1/openOrders"))[0] == 200
    venue.server.clock.jump(61)
    await asyncio.sleep(0.05)
    assert venue.server.clock.skew_ms == 0


async def test_market_frames_tell_the_skewed_time(venue):
    stream = await venue.stream("/public/ws/btcusdt@bookTicker")
    await venue.fault(kind="clock-skew", skewMs=-5_000)
    touch(venue, "2.000")
    frame = await stream.next()
    now_ms = venue.server.clock.now_ms()
    assert -7_000 < frame["T"] - now_ms < -4_000
    assert -7_000 < frame["E"] - now_ms < -4_000


@pytest.mark.parametrize(("side", "price"), [("BUY", "61799.0"), ("SELL", "61801.0")])
async def test_a_partial_fill_takes_a_part_of_the_nearest_order(venue, maker, side, price):
    user = await maker.user_stream()
    await maker.place(side, price="61000" if side == "BUY" else "62500")
    await maker.place(side, price=price)
    await venue.fault(kind="partial-fill", symbol="BTCUSDT", fraction=0.4)
    event = await user.event("ORDER_TRADE_UPDATE", x="TRADE")
    assert (event["o"]["X"], event["o"]["z"], event["o"]["L"]) == (
        "PARTIALLY_FILLED",
        "0.004",
        price.removesuffix(".0"),
    )


async def test_a_partial_fill_is_of_the_side_that_is_asked_for(venue, maker):
    user = await maker.user_stream()
    await maker.place(side="BUY", price="61799.0")
    await maker.place(side="SELL", price="62500")
    await venue.fault(kind="partial-fill", symbol="BTCUSDT", side="SELL")
    assert (await user.event("ORDER_TRADE_UPDATE", x="TRADE"))["o"]["S"] == "SELL"


async def test_a_partial_fill_without_an_order_does_nothing(venue):
    before = venue.server.exchange.listing("BTCUSDT").last_update_id
    await venue.fault(kind="partial-fill", symbol="BTCUSDT")
    await venue.fault(kind="partial-fill", symbol="NOPE")
    assert venue.server.exchange.listing("BTCUSDT").last_update_id == before


async def test_listen_keys_expire_by_command(venue, maker):
    other = await venue.account(holder="other")
    user, others = await maker.user_stream(), await other.user_stream()
    await venue.fault(kind="listen-key-expiry", apiKey=maker.api_key)
    assert (await user.next())["e"] == "listenKeyExpired"
    assert (await maker.keyed("PUT", "/fapi/v1/listenKey"))[1]["code"] == -1125
    assert await others.silent()
    assert (await other.keyed("PUT", "/fapi/v1/listenKey"))[0] == 200


async def test_maintenance_is_announced_and_ends_the_connections_of_before(venue, maker):
    streams = {name: await venue.stream(f"/{name}/ws", holder=name) for name in ("public", "market")}
    user, api = await maker.user_stream(), await venue.stream("/ws-fapi/v1")
    await venue.fault(kind="server-shutdown", graceSeconds=60)
    for stream in (*streams.values(), user):
        announced = await stream.next()
        assert (announced["e"], announced.keys()) == ("serverShutdown", {"e", "E"})
    after = await venue.stream("/public/ws")
    venue.server.clock.jump(61)
    for stream in (*streams.values(), user):
        assert await stream.ended() == 1001
    assert (await after.ask("LIST_SUBSCRIPTIONS"))["result"] == []
    assert (await api.ask("depth", {"symbol": "BTCUSDT"}))["status"] == 200


async def test_a_position_is_deleveraged_by_command(venue, maker):
    await maker.market("BUY", "0.010")
    user = await maker.user_stream()
    await venue.fault(kind="deleverage", symbol="BTCUSDT", fraction=0.5, apiKey=maker.api_key)
    event = await user.event("ORDER_TRADE_UPDATE", x="CALCULATED")
    assert (event["o"]["c"], event["o"]["z"], event["o"]["L"]) == ("adl_autoclose", "0.005", "61800")
    _, rows = await maker.ask("GET", "/fapi/v1/forceOrders", autoCloseType="ADL")
    assert [row["clientOrderId"] for row in rows] == ["adl_autoclose"]
    assert (await maker.books())["symbols"]["BTCUSDT"]["position"] == "0.005"
    for nobody in ({"symbol": "NOPE"}, {"symbol": "ETHUSDC"}, {"symbol": "BTCUSDT", "apiKey": "x" * 64}):
        await venue.fault(kind="deleverage", **nobody)
    assert (await maker.books())["symbols"]["BTCUSDT"]["position"] == "0.005"


@pytest.mark.parametrize(
    ("status", "executed"), [(403, False), (502, False), (504, True)], ids=["firewall", "gateway", "gateway, executed"]
)
async def test_a_page_of_html_stands_in_place_of_the_venues_answer(venue, maker, status, executed):
    await venue.fault(kind="page", status=status, executed=executed, endpoint="order.place", count=1)
    query = maker.query({**PLACE, "newClientOrderId": "paged"})
    headers = {"X-MBX-APIKEY": maker.api_key}
    async with venue.http.post(f"{venue.url}/fapi/v1/order?{query}", headers=headers) as response:
        assert response.status == status
        assert response.content_type == "text/html"
        assert "X-MBX-USED-WEIGHT-1M" not in response.headers
    assert [order["clientOrderId"] for order in await orders_of(maker)] == (["paged"] if executed else [])
    # Whoever stands in front of REST does not stand in front of the WebSocket API.
    assert (await maker.place())[0] == 200


async def test_a_symbol_stops_trading_and_starts_again(venue, maker, eventually):
    await venue.fault(kind="symbol-status", symbol="BTCUSDT", status="PENDING_TRADING", durationSeconds=5)
    status, body = await maker.place()
    assert (status, body["code"]) == (400, -4140)
    venue.server.clock.jump(6)
    await eventually(lambda: not venue.server.faults)
    assert (await maker.place())[0] == 200


async def test_somebody_trades_by_hand_on_the_account(venue, maker):
    await maker.place()
    await venue.account()  # an account that was never in the symbol is left alone
    await venue.fault(kind="foreign-order", symbol="BTCUSDT", side="SELL", quantity="0.005")
    positions = [account["position"] for account in [(await maker.books())["symbols"]["BTCUSDT"]]]
    assert positions == ["-0.005"]


@pytest.mark.parametrize(("side", "price"), [("BUY", "60564.00"), ("SELL", "63036.20")])
async def test_somebody_s_order_rests_so_far_from_the_touch_until_it_is_cancelled(venue, maker, side, price):
    await maker.place()
    await venue.fault(kind="foreign-cancel", symbol="BTCUSDT")
    await venue.fault(kind="foreign-order", symbol="BTCUSDT", side=side, quantity="0.005", awayBps=200)
    (order,) = (await maker.ask("GET", "/fapi/v1/openOrders"))[1]
    assert (order["side"], order["price"], order["timeInForce"], order["reduceOnly"]) == (side, price, "GTC", False)


async def test_somebody_gets_out_by_hand_and_no_further(venue, maker, caplog):
    await maker.place()
    await venue.fault(kind="foreign-order", symbol="BTCUSDT", side="BUY", quantity="0.005")
    out = {"kind": "foreign-order", "symbol": "BTCUSDT", "side": "SELL", "reduceOnly": True}
    await venue.fault(**out, quantity="0.003", awayBps=10)
    assert [order["reduceOnly"] for order in await orders_of(maker) if order["side"] == "SELL"] == [True]
    await venue.fault(**out, quantity="0.005")
    assert "the exchange refuses foreign-order: -2022" in caplog.text
    await venue.fault(**out, quantity="0.002")
    assert (await maker.books())["symbols"]["BTCUSDT"]["position"] == "0.003"


async def test_what_the_exchange_refuses_to_a_person_is_said(venue, maker, caplog):
    await maker.place()
    await venue.fault(kind="foreign-order", symbol="BTCUSDT", side="SELL", quantity="100")
    assert "the exchange refuses foreign-order: -2019" in caplog.text


async def test_somebody_cancels_by_hand(venue, maker):
    await maker.place()
    user = await maker.user_stream()
    await venue.fault(kind="foreign-cancel", symbol="BTCUSDT", apiKey=maker.api_key)
    assert (await user.until(lambda event: event["e"] == "ORDER_TRADE_UPDATE"))["o"]["x"] == "CANCELED"
    assert await orders_of(maker) == []


async def test_money_is_taken_away_and_what_is_not_there_is_not(venue, maker):
    wallet = (await maker.books())["wallets"]["USDT"]
    await venue.fault(kind="transfer", asset="USDT", amount="-1000000000")
    assert (await maker.books())["wallets"]["USDT"] == wallet
    await venue.fault(kind="transfer", asset="USDT", amount="-100")
    assert float((await maker.books())["wallets"]["USDT"]) == float(wallet) - 100


async def test_a_fault_waits_for_its_condition(venue, maker, eventually):
    await venue.fault(kind="foreign-cancel", symbol="BTCUSDT", when={"resting": 2, "symbol": "BTCUSDT"})
    await maker.place()
    await asyncio.sleep(0.05)
    assert len(await orders_of(maker)) == 1
    await maker.place(price="61001")
    await eventually(lambda: venue.server.faults.are_over)
    assert await orders_of(maker) == []


async def test_maintenance_of_one_route_leaves_the_others(venue):
    public, market = await venue.stream("/public/ws"), await venue.stream("/market/ws")
    await venue.fault(kind="server-shutdown", route="market", graceSeconds=0)
    assert (await market.next())["e"] == "serverShutdown"
    assert await market.ended() == 1001
    assert await public.silent()


# ---- the schedule -----------------------------------------------------------------------------------------------


async def test_a_fault_waits_for_its_start(venue):
    await venue.fault(kind="reject", endpoint="ping", code=-1, startSeconds=30, durationSeconds=10)
    assert (await venue.get("/fapi/v1/ping"))[0] == 200
    venue.server.clock.jump(31)
    await asyncio.sleep(0.05)
    assert (await venue.get("/fapi/v1/ping"))[0] == 400
    venue.server.clock.jump(10)
    await asyncio.sleep(0.05)
    assert (await venue.get("/fapi/v1/ping"))[0] == 200


async def test_faults_are_listed_and_removed(venue):
    first = await venue.fault(kind="silence", symbol="BTCUSDT")
    await venue.fault(kind="outage", startSeconds=100)
    _, listed = await venue.control("GET", "/sim/fault")
    assert [(row["id"], row["active"], row["fault"]["kind"]) for row in listed] == [
        (first, True, "silence"),
        (first + 1, False, "outage"),
    ]
    assert (await venue.control("DELETE", f"/sim/fault?id={first}"))[0] == 200
    for nobody in (first, "first", "9" * 5_000):
        assert (await venue.control("DELETE", f"/sim/fault?id={nobody}"))[0] == 400
    await venue.control("DELETE", "/sim/fault")
    assert (await venue.control("GET", "/sim/fault"))[1] == []


@pytest.mark.parametrize(
    ("fault", "field"),
    [
        pytest.param({"kind": "earthquake"}, "kind", id="unknown kind"),
        pytest.param({}, "kind", id="no kind"),
        pytest.param({"kind": "silence", "sybmol": "BTCUSDT"}, "sybmol", id="unknown field"),
        pytest.param({"kind": "late"}, "delaySeconds", id="missing field"),
        pytest.param({"kind": "silence", "durationSeconds": -1}, "durationSeconds", id="negative time"),
        pytest.param({"kind": "gap", "count": 0}, "count", id="count of nothing"),
        pytest.param({"kind": "rate-limit", "status": 500}, "status", id="other status"),
        pytest.param({"kind": "partial-fill", "symbol": "BTCUSDT", "fraction": 1}, "fraction", id="all of it"),
        pytest.param({"kind": "refuse", "route": "back"}, "route", id="unknown route"),
        pytest.param({"kind": "reject", "code": 5}, "code", id="no error code"),
        pytest.param({"kind": "reject", "code": -1, "endpoint": "order.plaze"}, "endpoint", id="no such operation"),
        pytest.param({"kind": "silence", "stream": "depht"}, "stream", id="no such stream"),
    ],
)
async def test_a_fault_that_makes_no_sense_is_refused_by_its_field(venue, fault, field):
    status, body = await venue.control("POST", "/sim/fault", fault)
    assert status == 400
    assert field in body["error"]
