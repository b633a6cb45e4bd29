"""The network of the storm: what it holds arrives later, and what it cuts is gone."""

import asyncio
import contextlib

import pytest
from proxy import Link, Weather


class Echo(asyncio.Protocol):
    def __init__(self, heard, opened):
        self._heard = heard
        self._opened = opened

    def connection_made(self, transport):
        self.transport = transport
        self._opened.append(transport)

    def data_received(self, data):
        self._heard.append(data)
        self.transport.write(data.upper())


@pytest.fixture
async def path():
    """(link, port, what the far side has heard): an echo behind a link."""
    heard, opened = [], []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Echo(heard, opened), "127.0.0.1", 0)
    far = server.sockets[0].getsockname()[1]
    link = Link(lambda make: loop.create_connection(make, "127.0.0.1", far))
    port = await link.listen_tcp()
    yield link, port, heard
    link.close()
    server.close()
    for transport in opened:
        transport.abort()
    await asyncio.sleep(0.01)  # the loop's own turn for what was aborted


async def closed(writer):
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def silent(reader):
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await reader.read(10)


async def test_fair_weather_passes_both_ways(path):
    _, port, heard = path
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"early")
    assert await reader.read(10) == b"EARLY"
    writer.close()
    assert heard == [b"early"]


@pytest.mark.parametrize(
    ("weather", "arrives"),
    [
        pytest.param(Weather.HELD, False, id="held"),
        pytest.param(Weather.MUTE, False, id="mute: its words do not arrive"),
        pytest.param(Weather.DEAF, True, id="deaf: the answers do not"),
    ],
)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_what_is_held_arrives_when_it_heals(path, weather, arrives, when):
    link, port, heard = path
    if when == "before":
        link.change(weather)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    if when == "after":
        writer.write(b"first")
        assert await reader.read(10) == b"FIRST"
        link.change(weather)
    writer.write(b"late")
    await silent(reader)
    assert (heard[-1:] == [b"late"]) is arrives
    link.change(Weather.FAIR)
    assert await reader.read(10) == b"LATE"
    writer.close()


async def test_what_a_dead_process_wrote_arrives_when_it_heals(path):
    link, port, heard = path
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    link.change(Weather.HELD)
    await asyncio.sleep(0.05)
    writer.write(b"will")
    writer.close()
    await writer.wait_closed()
    await asyncio.sleep(0.05)
    assert heard == []
    link.change(Weather.FAIR)
    async with asyncio.timeout(5):
        while heard != [b"will"]:  # noqa: ASYNC110 - another connection hears it
            await asyncio.sleep(0.01)


async def test_a_cut_ends_connections_and_refuses_new_ones(path):
    link, port, heard = path
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"first")
    await reader.read(10)
    link.change(Weather.CUT)
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    await closed(writer)
    again, other = await asyncio.open_connection("127.0.0.1", port)
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await again.readexactly(1)
    await closed(other)
    assert heard == [b"first"]


async def test_a_far_side_that_is_not_there_ends_the_connection():
    async def nobody(_):
        raise ConnectionRefusedError

    link = Link(nobody)
    port = await link.listen_tcp()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert await reader.read(10) == b""
    await closed(writer)
    link.close()
