"""Market streams, in every form of access, and the control protocol."""

import itertools
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from venue_client import PATIENCE_S, Client

documented = pytest.mark.documented

STREAMS = {
    "public": ["{}@bookTicker", "{}@depth@100ms", "{}@depth", "{}@depth@500ms", "{}@depth5@100ms", "{}@depth20"],
    "market": ["{}@aggTrade", "{}@markPrice@1s", "{}@kline_1m", "{}@miniTicker", "{}@ticker", "!miniTicker@arr"],
}
NAMES = [(route, name) for route, names in STREAMS.items() for name in names]

FIELDS: dict[str, dict[str, type]] = {
    "bookTicker": {"u": int, "s": str, "b": str, "B": str, "a": str, "A": str, "T": int, "E": int},
    "depthUpdate": {"E": int, "T": int, "s": str, "U": int, "u": int, "pu": int, "b": list, "a": list},
    "aggTrade": {"E": int, "a": int, "s": str, "p": str, "q": str, "f": int, "l": int, "T": int, "m": bool},
    "markPriceUpdate": {"E": int, "s": str, "p": str, "P": str, "i": str, "r": str, "T": int},
    "kline": {"E": int, "s": str, "k": dict},
    "24hrMiniTicker": {"E": int, "s": str, "c": str, "o": str, "h": str, "l": str, "v": str, "q": str},
    "24hrTicker": {"E": int, "s": str, "p": str, "P": str, "w": str, "c": str, "Q": str, "O": int, "C": int, "n": int},
}


def named(client: Client, name: str) -> str:
    return name.format(client.symbol.lower())


@documented("Websocket Market Streams")
@pytest.mark.parametrize(("route", "name"), NAMES, ids=[name for _, name in NAMES])
async def test_a_stream_has_the_fields_of_the_documents(client: Client, route: str, name: str) -> None:
    stream = await client.stream(f"/{route}/ws/{named(client, name)}")
    if "aggTrade" in name:
        await client.buy()
    event = await stream.next()
    for row in event if isinstance(event, list) else [event]:
        fields = FIELDS[row["e"]]
        assert {field: type(row.get(field)) for field in fields} == fields


@documented("Websocket Market Streams, Connect: raw and combined streams")
async def test_combined_streams_are_wrapped_and_raw_ones_are_not(client: Client) -> None:
    names = [named(client, name) for name in STREAMS["public"][:2]]
    raw = await client.stream("/public/ws/" + "/".join(names))
    combined = await client.stream("/public/stream?streams=" + "/".join(names))
    assert "e" in await raw.next()
    heard = {(await combined.next())["stream"]}
    await combined.until(lambda message: heard.add(message["stream"]) or len(heard) == 2)
    assert heard == set(names)


@documented("Websocket Market Streams, Live Subscribing/Unsubscribing to streams")
async def test_streams_are_subscribed_to_listed_and_left_while_it_lives(client: Client) -> None:
    name = named(client, "{}@bookTicker")
    stream = await client.stream("/public/ws")
    assert await stream.silent(0.3)
    assert (await stream.ask("SUBSCRIBE", [name]))["result"] is None
    assert (await stream.until(lambda message: "e" in message))["e"] == "bookTicker"
    assert (await stream.ask("LIST_SUBSCRIPTIONS"))["result"] == [name]
    assert (await stream.ask("UNSUBSCRIBE", [name]))["result"] is None
    assert (await stream.ask("LIST_SUBSCRIPTIONS"))["result"] == []
    assert await stream.silent(0.3)


@documented("Websocket Market Streams, Setting and Retrieving Properties")
@pytest.mark.parametrize(("path", "combined"), [("/public/ws", False), ("/public/stream", True)])
async def test_a_connection_wraps_or_not_as_its_property_says(client: Client, path: str, combined: bool) -> None:
    stream = await client.stream(path)
    assert (await stream.ask("GET_PROPERTY", ["combined"]))["result"] is combined
    assert (await stream.ask("SET_PROPERTY", ["combined", not combined]))["result"] is None
    assert (await stream.ask("GET_PROPERTY", ["combined"]))["result"] is not combined


@documented("Websocket Market Streams, Connect: base URLs by kind of stream")
async def test_a_stream_on_the_wrong_route_is_acknowledged_and_silent(client: Client) -> None:
    stream = await client.stream("/public/ws")
    assert (await stream.ask("SUBSCRIBE", [named(client, "{}@markPrice@1s")]))["result"] is None
    assert await stream.silent(1.5)


@documented("Websocket Market Streams: all symbols for streams are lowercase")
async def test_a_name_that_does_not_exist_is_acknowledged_and_silent(client: Client) -> None:
    stream = await client.stream("/public/ws")
    assert (await stream.ask("SUBSCRIBE", [f"{client.symbol}@bookTicker", "nothing@nowhere"]))["result"] is None
    assert await stream.silent(0.5)


@documented("Websocket Market Streams, Error Messages")
async def test_what_is_no_request_is_told_so(client: Client) -> None:
    stream = await client.stream("/public/ws")
    assert (await stream.ask("DANCE"))["error"]["code"] == 2
    await stream.socket.send_str("{")
    assert (await stream.until(lambda message: "error" in message))["error"]["code"] == 3


@documented("Websocket Market Streams, How to manage a local order book correctly")
async def test_a_book_can_be_kept_from_the_diffs(client: Client) -> None:
    """The documents' own recipe: buffer, snapshot, drop, join, and follow `pu`; then no level is crossed."""
    stream = await client.stream(f"/public/ws/{named(client, '{}@depth@100ms')}")
    buffered = [await stream.next()]
    snapshot = (await client.public("/fapi/v1/depth", symbol=client.symbol, limit=1000)).body
    last = snapshot["lastUpdateId"]
    while buffered[-1]["u"] < last:
        buffered.append(await stream.next())
    events: list[Any] = [event for event in buffered if event["u"] >= last]
    assert events[0]["U"] <= last <= events[0]["u"]
    book = {side: {Decimal(price): Decimal(size) for price, size in snapshot[side]} for side in ("bids", "asks")}
    while len(events) < 10:
        events.append(await stream.next())
    for before, after in itertools.pairwise(events):
        assert after["pu"] == before["u"]
    for event in events:
        for side, changes in (("bids", event["b"]), ("asks", event["a"])):
            for price, size in changes:
                if Decimal(size):
                    book[side][Decimal(price)] = Decimal(size)
                else:
                    book[side].pop(Decimal(price), None)
    assert max(book["bids"]) < min(book["asks"])


@documented("Websocket Market Streams, Connect: unrouted base URLs deliver public streams alone")
@pytest.mark.parametrize("path", ["/ws", "/stream"])
async def test_without_a_route_only_public_streams_come(client: Client, path: str) -> None:
    stream = await client.stream(path)
    names = [named(client, "{}@bookTicker"), named(client, "{}@markPrice@1s")]
    assert (await stream.ask("SUBSCRIBE", names))["result"] is None
    routed = await client.stream(f"/market/ws/{names[1]}")
    told = [(await routed.next())["E"] for _ in range(2)][-1]
    heard = set()
    event: dict[str, Any] = {"E": 0}
    while event["E"] <= told:
        message = await stream.next()
        event = message.get("data", message)
        heard.add(event["e"])
    assert heard == {"bookTicker"}


@documented("Websocket Market Streams, Live Subscribing/Unsubscribing to streams: id")
@pytest.mark.parametrize("request_id", [7, "a-name"])
async def test_the_id_of_a_request_is_echoed_as_it_came(client: Client, request_id: object) -> None:
    stream = await client.stream("/public/ws")
    await stream.socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": request_id})
    assert await stream.next() == {"result": [], "id": request_id}


@documented("Websocket Market Streams, Diff. Book Depth Streams; Market Data, Order Book")
async def test_the_update_ids_of_snapshot_touch_and_diffs_are_one_series(client: Client) -> None:
    stream = await client.stream(f"/public/ws/{named(client, '{}@bookTicker')}")
    touch = await stream.next()
    snapshot = (await client.public("/fapi/v1/depth", symbol=client.symbol, limit=5)).body
    later = await stream.until(lambda event: event["u"] >= snapshot["lastUpdateId"])
    assert touch["u"] <= snapshot["lastUpdateId"] <= later["u"]


@documented("Websocket Market Streams, Connect: 10 incoming messages per second, 1024 streams")
@pytest.mark.ours_alone("who breaks the limits again and again is banned")
@pytest.mark.parametrize(
    "requests",
    [
        pytest.param([[f"{number}@trade"] for number in range(40)], id="forty requests at once"),
        pytest.param([[f"{number}@trade" for number in range(1025)]], id="1025 streams"),
    ],
)
async def test_a_connection_that_asks_too_much_is_closed(client: Client, requests: list[list[str]]) -> None:
    stream = await client.stream("/public/ws")
    for number, names in enumerate(requests, start=1):
        await stream.socket.send_json({"method": "SUBSCRIBE", "params": names, "id": number})
    while (await stream.socket.receive(timeout=PATIENCE_S)).type is aiohttp.WSMsgType.TEXT:
        pass
    assert stream.socket.close_code == 1008


@documented("Websocket Market Streams, Connect: at most 1024 streams")
async def test_many_streams_share_a_connection(client: Client) -> None:
    stream = await client.stream("/public/ws")
    names = [f"{number}@trade" for number in range(200)]
    assert (await stream.ask("SUBSCRIBE", names))["result"] is None
    assert sorted((await stream.ask("LIST_SUBSCRIPTIONS"))["result"]) == sorted(names)
