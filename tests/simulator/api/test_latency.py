"""The four ways over real sockets: what takes how long, and what keeps its order."""

import asyncio
import json

import aiohttp
import pytest
from phoenix_simulator.latency import Fixed, LatencySettings, Uniform
from phoenix_simulator.scenario import Scenario

WILD = Uniform(low_ms=0, high_ms=40)
"""Neighbours would overtake each other, were there no line."""


def scenario(**parts):
    return Scenario(latency=LatencySettings(**parts))


async def test_frames_of_all_streams_of_a_connection_arrive_in_the_order_of_events(venues):
    """Replies to control messages, too: they share the connection."""
    async with venues(scenario(market_data=WILD)) as venue:
        stream = await venue.stream("/public/stream?streams=btcusdt@bookTicker/btcusdt@trade")
        for _ in range(30):
            venue.taker("BUY", "0.001")
            await asyncio.sleep(0.001)
        await stream.send({"method": "LIST_SUBSCRIPTIONS", "id": 9})
        seen = []
        while "id" not in (message := await stream.next()):
            seen.append(message)
        kinds = [message["stream"].partition("@")[2] for message in seen]
        assert kinds == ["trade", "bookTicker"] * 30
        trades = [message["data"]["t"] for message in seen if message["stream"].endswith("trade")]
        assert trades == sorted(trades)


async def test_requests_of_a_connection_are_executed_in_the_order_in_which_they_were_sent(venues):
    async with venues(scenario(order_entry=WILD)) as venue:
        maker = await venue.account()
        socket = await venue.stream("/ws-fapi/v1")
        for number in range(20):
            params = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTX", "price": "61000",
                      "quantity": "0.010", "newClientOrderId": f"n{number}", "apiKey": maker.api_key,
                      "timestamp": venue.server.clock.reported_ms()}  # fmt: skip
            text = "&".join(f"{name}={params[name]}" for name in sorted(params))
            params["signature"] = maker.sign(text)
            await socket.send({"id": number, "method": "order.place", "params": params})
        replies = [await socket.next() for _ in range(20)]
        assert [reply["id"] for reply in replies] == list(range(20))
        assert {reply["status"] for reply in replies} == {200}
        ids = [reply["result"]["orderId"] for reply in replies]
        assert ids == sorted(ids)


async def test_an_order_under_way_is_executed_though_its_client_has_hung_up(venues, eventually):
    async with venues(scenario(order_entry=Fixed(ms=60))) as venue:
        maker = await venue.account()
        query = maker.query({"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTX",
                             "price": "61000", "quantity": "0.010"})  # fmt: skip
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(
                venue.raw("POST", f"/fapi/v1/order?{query}", headers={"X-MBX-APIKEY": maker.api_key}), 0.02
            )
        account = venue.server.keys.find(maker.api_key).account
        assert not venue.server.exchange.open_orders(account)
        await eventually(lambda: venue.server.exchange.open_orders(account))


async def test_an_acknowledgement_that_takes_long_comes_after_the_event_that_it_announces(venues):
    async with venues(scenario(acknowledgement=Fixed(ms=80))) as venue:
        maker = await venue.account()
        user = await maker.user_stream()
        placing = asyncio.create_task(maker.place())
        await user.event("ORDER_TRADE_UPDATE", x="NEW")
        assert not placing.done()
        assert (await placing)[0] == 200


async def test_user_data_has_a_latency_of_its_own(venues):
    async with venues(scenario(user_data=Fixed(ms=80))) as venue:
        maker = await venue.account()
        user = await maker.user_stream()
        assert (await maker.place())[0] == 200
        assert await user.silent(0.02)
        await user.event("ORDER_TRADE_UPDATE", x="NEW")


async def test_a_request_that_takes_longer_than_its_window_is_refused_on_arrival(venues):
    async with venues(scenario(order_entry=Fixed(ms=60))) as venue:
        maker = await venue.account()
        status, body = await maker.place(recvWindow=20)
        assert (status, body["code"]) == (400, -1021)


async def test_the_end_waits_for_what_is_under_way(venues):
    async with venues(scenario(market_data=Fixed(ms=60))) as venue:
        stream = await venue.stream("/public/ws/btcusdt@trade")
        venue.taker("BUY", "0.001")
        for connection in venue.server.hub.connections:
            connection.close(1001, b"bye")
        message = await stream.socket.receive(timeout=5)
        assert json.loads(message.data)["e"] == "trade"
        assert (await stream.socket.receive(timeout=5)).type is aiohttp.WSMsgType.CLOSE
