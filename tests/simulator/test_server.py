"""The exchange as a whole: how it ends, in order or because a part of it failed."""

import asyncio
from contextlib import suppress

import aiohttp
import pytest
from phoenix_simulator.exchange.symbols import BUILT_IN
from phoenix_simulator.market.regimes import RegimeName
from phoenix_simulator.market.synthetic import SyntheticSource
from phoenix_simulator.server import ServerConfig, run_server

BTC = BUILT_IN["BTCUSDT"]


class DyingSource(SyntheticSource):
    """A market that fails after its first events."""

    def updates(self, background):
        for count, update in enumerate(super().updates(background)):
            if count == 5:
                raise ValueError("the market is out of its mind")
            yield update


async def closed_with(socket):
    while (message := await socket.receive(timeout=10)).type is aiohttp.WSMsgType.TEXT:
        pass
    return message.type, socket.close_code


async def test_the_end_is_a_closing_handshake_on_every_socket():
    async with aiohttp.ClientSession() as http:
        async with run_server(ServerConfig(symbols=("BTCUSDT",))) as (url, _):
            sockets = [
                await http.ws_connect(f"{url}{path}")
                for path in ("/public/ws/btcusdt@depth@100ms", "/private/ws?listenKey=x", "/ws-fapi/v1")
            ]
            readers = [asyncio.create_task(closed_with(socket)) for socket in sockets]
        assert await asyncio.gather(*readers) == [(aiohttp.WSMsgType.CLOSE, 1001)] * 3


async def test_a_client_that_does_not_answer_the_handshake_cannot_hold_the_end_up():
    async with run_server(ServerConfig(symbols=("BTCUSDT",))) as (url, _):
        host, port = url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            b"GET /public/ws/btcusdt@bookTicker HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert b"101" in await reader.readline()
    said = b""
    with suppress(ConnectionError):
        while part := await asyncio.wait_for(reader.read(65_536), 10):
            said += part
    assert b"shutting down" in said
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def test_a_market_that_fails_ends_the_exchange_with_its_reason():
    """Answering on, with books that stand still, would look like a quiet market."""
    sources = {"BTCUSDT": DyingSource(BTC, 1, RegimeName.CALM)}
    with pytest.raises(ExceptionGroup) as failure:
        async with run_server(ServerConfig(symbols=("BTCUSDT",)), sources=sources) as (url, server):
            await asyncio.wait_for(server.stop.wait(), 10)
    assert failure.group_contains(ValueError, match="out of its mind")
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.ClientConnectionError):
            await http.get(f"{url}/fapi/v1/time")
