"""A replay captured again by a client of the venue equals the recording: same frames, same ids, same order."""

import asyncio
import gzip
import json
import os
from itertools import islice
from pathlib import Path

import aiohttp
import pytest
from phoenix_simulator.clock import Clock
from phoenix_simulator.market.replay import ReplaySource
from phoenix_simulator.server import ServerConfig, run_server

RECORDING = Path(
    os.environ.get("PHOENIX_CAPTURE")
    or Path(__file__).resolve().parents[4] / "shared/data/binance-usdm/btcusdt_20240808.gz"
)
LINES = 6_000
"""Some twenty seconds of the recording; replayed eight times as fast."""
FIELDS = {
    "depthUpdate": ("U", "u", "pu", "b", "a"),
    "bookTicker": ("u", "b", "B", "a", "A"),
    "trade": ("t", "p", "q", "m", "X"),
}


def essence(data):
    return data["e"], tuple(json.dumps(data[field]) for field in FIELDS[data["e"]])


@pytest.fixture
def recorded(tmp_path):
    """The head of the recording, as a capture and as the essence of its messages."""
    if not RECORDING.exists():
        pytest.skip(f"the recording {RECORDING.name} is not here (PHOENIX_CAPTURE names another place)")
    with gzip.open(RECORDING, "rb") as lines:
        head = list(islice(lines, LINES))
    capture = tmp_path / "head.gz"
    capture.write_bytes(gzip.compress(b"".join(head)))
    messages = [json.loads(line.split(b" ", 1)[1]) for line in head]
    return capture, [essence(message["data"]) for message in messages if "stream" in message]


async def listen(http, url, streams, server, seen):
    """Everything of these streams until the replay of `server` has ended and nothing more comes."""
    async with http.ws_connect(f"{url}/public/stream?streams={streams}") as socket:
        ended = False
        while not ended:
            ended = "BTCUSDT" in server.player.report().ended
            try:
                while (message := await socket.receive(timeout=0.5)).type is aiohttp.WSMsgType.TEXT:
                    seen.append(essence(json.loads(message.data)["data"]))
            except TimeoutError:
                continue


async def test_a_capture_of_the_replay_equals_the_recording(recorded):
    capture, wanted = recorded
    source = ReplaySource([capture])
    seen = []
    async with (
        run_server(ServerConfig(), Clock(rate=8.0), {"BTCUSDT": source}) as (url, server),
        aiohttp.ClientSession() as http,
    ):
        await listen(http, url, "btcusdt@depth@0ms/btcusdt@bookTicker/btcusdt@trade", server, seen)
    start = wanted.index(seen[0])
    # All that was recorded after our first frame, and all of a replay but the little before we listened.
    assert seen == wanted[start:]
    assert len(seen) > 0.9 * len(wanted)


async def test_our_own_client_loses_nothing_of_the_recording_and_tells_it_on_unchanged(recorded):
    """A replaying exchange is the upstream of a second one; who listens to that one captures what was recorded."""
    capture, wanted = recorded
    source = ReplaySource([capture])
    told, said = [], []
    async with (
        run_server(ServerConfig(), Clock(rate=3.0), {"BTCUSDT": source}) as (url, server),
        run_server(ServerConfig(upstream=url, symbols=("BTCUSDT",))) as (paper_url, paper),
        aiohttp.ClientSession() as http,
    ):
        async with asyncio.timeout(20):
            while not paper.player.report().live[0].in_step:  # noqa: ASYNC110 - it is no event
                await asyncio.sleep(0.005)
        await asyncio.gather(
            # Our client follows the book at 100 ms, and a replay repeats the frames that it got.
            listen(http, paper_url, "btcusdt@depth@0ms/btcusdt@bookTicker/btcusdt@trade", server, told),
            listen(http, url, "btcusdt@depth@100ms", server, said),
        )
        assert paper.player.report().live[0].resynchronised == 1
        mine, theirs = (each.exchange.depth("BTCUSDT", 500) for each in (paper, server))
        assert (mine.last_update_id, mine.bids, mine.asks) == (theirs.last_update_id, theirs.bids, theirs.asks)
    wanted = [message for message in wanted if message[0] != "depthUpdate"]
    events = [message for message in told if message[0] != "depthUpdate"]
    assert events == wanted[wanted.index(events[0]) :]
    assert len(events) > 0.4 * len(wanted), "however late a busy machine joins"
    frames = [message for message in told if message[0] == "depthUpdate"]
    start = said.index(next(frame for frame in frames if frame in said))
    assert frames[frames.index(said[start]) :] == said[start:]
    assert len(frames) > 20
