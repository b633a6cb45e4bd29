"""What the simulated exchange costs: a message out, an hour of a market, twenty makers, a maker's past.

    python benchmarks/exchange_load.py

The exchange is a process of its own and is looked at from outside (`/proc`), so that what its clients cost is not
counted. The floor of a message out is the smallest server with the same event loop: it writes a prepared frame of the
same size to as many sockets.
"""

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import uvloop
from many_makers import all_quote, many_makers
from phoenix_simulator.exchange.exchange import Exchange
from phoenix_simulator.exchange.orders import NewOrder, OrderRef, OrderType, Side, TimeInForce
from phoenix_simulator.exchange.symbols import BUILT_IN
from phoenix_simulator.market.synthetic import SyntheticSource

LISTENERS = 40
"""Each to everything of six symbols, in real time: together more than 50 000 messages a second at life's rate."""
MAKERS = 20
SECONDS = 10.0
SETTLE_SECONDS = 3.0
HOUR_SPEED = 30.0
ORDERS = 40_000
_BEGINS_S = 300.0
_SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "BTCUSDC", "ETHUSDC", "SOLUSDC")
_STREAMS = ("bookTicker", "trade", "depth@0ms")
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class FanOut:
    """`core`: CPU seconds per second of life."""

    messages_per_s: float
    core: float
    bytes_per_message: float

    @property
    def microseconds(self) -> float:
        return 1e6 * self.core / self.messages_per_s


class Listener(asyncio.Protocol):
    """A WebSocket client that reads and forgets; it counts what comes."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._rest = b""
        self._is_open = False
        self.messages = 0
        self.bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport), "a socket is one"
        transport.write(
            f"GET {self._path} HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        self.bytes += len(data)
        data = self._rest + data
        if not self._is_open:
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self._rest = head
                return
            self._is_open = True
        self._rest = data[self._count(data) :]

    def _count(self, data: bytes) -> int:
        """Frames as a server sends them: whole, unmasked. Returns where the first unfinished one begins."""
        at, size = 0, len(data)
        while size - at >= 2:
            length, head = data[at + 1], 2
            if length == 126:
                length, head = int.from_bytes(data[at + 2 : at + 4]), 4
            elif length == 127:
                length, head = int.from_bytes(data[at + 2 : at + 10]), 10
            if at + head + length > size:
                break
            at += head + length
            self.messages += 1
        return at


async def fan_out() -> FanOut:
    """At life's rate, everything to everybody."""
    async with _exchange("--symbols", ",".join(_SYMBOLS)) as (pid, port):
        streams = "/".join(f"{symbol.lower()}@{stream}" for symbol in _SYMBOLS for stream in _STREAMS)
        return await _listen(pid, port, f"/public/stream?streams={streams}", LISTENERS)


async def floor(like: FanOut) -> FanOut:
    """As many messages of that size a second, from a server that knows nothing else."""
    command = (sys.executable, __file__, "--floor", str(like.messages_per_s / LISTENERS), str(like.bytes_per_message))
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None, "stdout is a pipe"
    try:
        return await _listen(process.pid, int(await process.stdout.readline()), "/", LISTENERS)
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


async def hour() -> float:
    """An accelerated BTCUSDT with somebody who listens: CPU seconds of a simulated hour."""
    async with _exchange("--symbols", "BTCUSDT", "--speed", str(HOUR_SPEED)) as (pid, port):
        streams = "/".join(f"btcusdt@{stream}" for stream in _STREAMS)
        transport, _ = await asyncio.get_running_loop().create_connection(
            lambda: Listener(f"/public/stream?streams={streams}"), "127.0.0.1", port
        )
        await asyncio.sleep(SETTLE_SECONDS)
        (played_s, cpu_s) = await _played_s(port), _cpu_seconds(pid)
        await asyncio.sleep(SECONDS)
        played_s, cpu_s = await _played_s(port) - played_s, _cpu_seconds(pid) - cpu_s
        transport.close()
        return 3_600 * cpu_s / played_s


async def _played_s(port: int) -> float:
    """How far the market is: what the clock says, less what a busy machine has left undone."""
    now, report = await _get(port, "/sim/clock"), await _get(port, "/sim/market")
    return (now["nowMs"] - report["lag_ms"]) / 1e3


async def _get(port: int, path: str) -> dict[str, float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n".encode())
    answer: dict[str, float] = json.loads((await reader.read()).partition(b"\r\n\r\n")[2])
    writer.close()
    return answer


def past() -> tuple[float, float]:
    """Memory (MiB) that a maker's past holds once it is full, and what `ORDERS` more orders add to it. A process of its
    own: what others left behind would hide it.
    """
    command = (sys.executable, __file__, "--past")
    held, grown = subprocess.check_output(command, text=True).split()  # noqa: S603 - this very file
    return float(held), float(grown)


def _past() -> tuple[float, float]:
    spec = BUILT_IN["BTCUSDT"]
    exchange = Exchange()
    exchange.list_symbol(spec, SyntheticSource(spec, 1).start(), 0)
    exchange.open_account("maker", {"USDT": 10**18}, 0)
    gc.collect()
    empty = _rss_mib(os.getpid())
    for _ in range(5):
        _trade(exchange, ORDERS)
    full = _rss_mib(os.getpid())
    _trade(exchange, ORDERS)
    return full - empty, _rss_mib(os.getpid()) - full


def _trade(exchange: Exchange, count: int) -> None:
    """So many orders, three of four filled, the fourth cancelled, as they come and go in a long run."""
    spec, touch = BUILT_IN["BTCUSDT"], exchange.listing("BTCUSDT").touch
    quantity = spec.quantity_to_decimal(1)
    away = spec.price_to_decimal(touch.bid_ticks - 100)
    tif, limit = TimeInForce.GTX, OrderType.LIMIT
    resting = NewOrder(symbol=spec.symbol, side=Side.BUY, type=limit, quantity=quantity, price=away, time_in_force=tif)
    buy, sell = (
        NewOrder(symbol=spec.symbol, side=side, type=OrderType.MARKET, quantity=quantity)
        for side in (Side.BUY, Side.SELL)
    )
    for number in range(count // 4):
        placed = exchange.place("maker", resting, number)
        exchange.cancel("maker", spec.symbol, OrderRef(placed.order_id), number)
        for order in (buy, sell, buy if number % 2 else sell):
            exchange.place("maker", order, number)
    gc.collect()


async def makers() -> float:
    """The exchange's share of a core while twenty real makers quote on it, a market each, at life's rate. It runs in
    this process, beside nothing else.
    """
    async with many_makers(MAKERS) as (server, _):
        await all_quote(server, MAKERS, _BEGINS_S)
        await asyncio.sleep(SETTLE_SECONDS)

        def played_s() -> float:
            return time.monotonic() - server.player.report().lag_ms / 1e3

        cpu_s, began_s = time.process_time(), played_s()
        await asyncio.sleep(2 * SECONDS)
        return (time.process_time() - cpu_s) / (played_s() - began_s)


async def _listen(pid: int, port: int, path: str, listeners: int) -> FanOut:
    loop = asyncio.get_running_loop()
    opened = [await loop.create_connection(lambda: Listener(path), "127.0.0.1", port) for _ in range(listeners)]
    await asyncio.sleep(SETTLE_SECONDS)

    def heard() -> tuple[int, int]:
        return sum(listener.messages for _, listener in opened), sum(listener.bytes for _, listener in opened)

    (messages, received), cpu_s, began = heard(), _cpu_seconds(pid), time.monotonic()
    await asyncio.sleep(SECONDS)
    (messages_after, received_after), cpu_after_s, elapsed = heard(), _cpu_seconds(pid), time.monotonic() - began
    for transport, _ in opened:
        transport.close()
    count = messages_after - messages
    return FanOut(count / elapsed, (cpu_after_s - cpu_s) / elapsed, (received_after - received) / count)


@asynccontextmanager
async def _exchange(*arguments: str) -> AsyncIterator[tuple[int, int]]:
    """Process id and port."""
    command = (sys.executable, "-m", "phoenix_simulator", "--port", "0", *arguments)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None, "stdout is a pipe"
    try:
        url = json.loads(await process.stdout.readline())["url"]
        yield process.pid, int(url.rpartition(":")[2])
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


class _Floor(asyncio.Protocol):
    """Answers the handshake, unread, and is written to."""

    def __init__(self, transports: list[asyncio.Transport]) -> None:
        self._transports = transports

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        socket = cast("asyncio.Transport", transport)  # uvloop's are none by class
        socket.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        self._transports.append(socket)


async def _serve_floor(per_s: float, size: int) -> None:
    transports: list[asyncio.Transport] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Floor(transports), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    body = size - 4
    frame = b"\x81\x7e" + body.to_bytes(2) + b"x" * body
    due = loop.time()
    while True:
        due += 1 / per_s
        for transport in transports:
            transport.write(frame)
        await asyncio.sleep(max(0.0, due - loop.time()))


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND


def _rss_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    out = asyncio.run(fan_out())
    print(f"out: {out.messages_per_s:.0f}/s of {out.bytes_per_message:.0f} B for {100 * out.core:.0f} % of a core")
    bare = asyncio.run(floor(out))
    print(f"  a message: {out.microseconds:.2f} µs, floor {bare.microseconds:.2f} µs")
    print(f"  {1e6 / out.microseconds:.0f} messages/s of one core")
    print(f"an hour of BTCUSDT, {HOUR_SPEED:g} times as fast: {asyncio.run(hour()):.0f} s of a core")
    print(f"{MAKERS} makers: {100 * uvloop.run(makers()):.0f} % of a core")
    held, grown = past()
    print(f"a maker's past: {held:.0f} MiB when full, {grown:+.1f} MiB by {ORDERS} more orders")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--floor"]:
        uvloop.run(_serve_floor(float(sys.argv[2]), round(float(sys.argv[3]))))
    if sys.argv[1:2] == ["--past"]:
        print(*_past())
    else:
        main()
