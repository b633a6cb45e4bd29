"""The other end of the tick-to-order benchmark, in a process of its own: it sends a tick and waits for the order.

`python loopback_venue.py TICKS` prints its port, then serves one client: `/public/…` gets bookTicker frames whose mid
jumps up and down, `/ws-fapi/v1` takes order requests and acknowledges them. The time from writing a tick to reading the
first request that follows it is measured here, so that everything of the client counts. Prints µs as a JSON list.
"""

import asyncio
import contextlib
import json
import sys
import time

import orjson
import uvloop
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

BASE_CENTS = 6_000_000
JUMP_CENTS = 9_000
QUIET_SECONDS = 0.005
WARM_UP = 100
PATIENCE_SECONDS = 1.0
"""A tick that moves nothing (its orders were still in flight from the last one) is not counted."""


class LoopbackVenue:
    """One client, two connections."""

    def __init__(self, ticks: int) -> None:
        self.ticks = ticks
        self.market: asyncio.Future[ServerConnection] = asyncio.get_running_loop().create_future()
        self.arrived = asyncio.Event()
        self.orders_up = asyncio.Event()
        self.last_request_ns = 0
        self.first_request_ns = 0

    async def handle(self, connection: ServerConnection) -> None:
        request = connection.request
        assert request is not None, "a handshake came before this"
        if request.path.startswith("/ws-fapi"):
            self.orders_up.set()
            with contextlib.suppress(ConnectionClosed):  # the client is stopped when the last tick was answered
                await self._orders(connection)
        else:
            self.market.set_result(connection)
            await connection.wait_closed()

    async def _orders(self, connection: ServerConnection) -> None:
        order_id = 0
        async for frame in connection:
            now = time.perf_counter_ns()
            if not self.first_request_ns:
                self.first_request_ns = now
                self.arrived.set()
            self.last_request_ns = now
            request = orjson.loads(frame)
            order_id += 1
            await connection.send(orjson.dumps(_acknowledgement(request, order_id)), text=True)

    async def run(self) -> list[float]:
        market = await self.market
        await self.orders_up.wait()
        await asyncio.sleep(0.5)
        latencies = []
        for tick in range(self.ticks):
            frame = _ticker(tick)
            self.first_request_ns = 0
            self.arrived.clear()
            began = time.perf_counter_ns()
            await market.send(frame, text=True)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.arrived.wait(), PATIENCE_SECONDS)
            if tick >= WARM_UP and self.first_request_ns:
                latencies.append((self.first_request_ns - began) / 1_000)
            await self._quiet()
        return latencies

    async def _quiet(self) -> None:
        """Waits until all that the tick led to has come."""
        while (left := self.last_request_ns / 1e9 + QUIET_SECONDS - time.perf_counter()) > 0:  # noqa: ASYNC110 - silence is no event
            await asyncio.sleep(left)


def _ticker(tick: int) -> bytes:
    bid = BASE_CENTS + (JUMP_CENTS if tick % 2 else 0)
    now_ms = time.time_ns() // 1_000_000
    data = {
        "e": "bookTicker", "u": 1_000_000 + tick, "s": "BTCUSDT", "b": f"{bid / 100:.2f}", "B": "1.250",
        "a": f"{(bid + 10) / 100:.2f}", "A": "2.100", "T": now_ms, "E": now_ms,
    }  # fmt: skip
    return orjson.dumps({"stream": "btcusdt@bookTicker", "data": data})


def _acknowledgement(request: dict[str, object], order_id: int) -> dict[str, object]:
    asked = request["params"]
    assert isinstance(asked, dict), "requests carry an object of parameters"
    cancelled = request["method"] == "order.cancel"
    result = {
        "orderId": int(asked.get("orderId", order_id)), "symbol": "BTCUSDT", "side": asked.get("side", "BUY"),
        "status": "CANCELED" if cancelled else "NEW",
        "clientOrderId": asked.get("newClientOrderId", asked.get("origClientOrderId", "")),
        "price": asked.get("price", "0"), "origQty": asked.get("quantity", "0"), "executedQty": "0",
        "updateTime": time.time_ns() // 1_000_000,
    }  # fmt: skip
    return {"id": request["id"], "status": 200, "result": result, "rateLimits": []}


async def main(ticks: int) -> None:
    venue = LoopbackVenue(ticks)
    async with serve(venue.handle, "127.0.0.1", 0, compression=None) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        print(json.dumps(await venue.run()), flush=True)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
