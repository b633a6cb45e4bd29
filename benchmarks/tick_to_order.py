"""Tick to order over loopback sockets: a bookTicker frame arrives, a signed order leaves.

The client under test is the worker's own parts (stream, decoder, engine, gate, signing, order socket) in the call stack
in which they run in the worker; the floor is the smallest loop that one would write with the same libraries: receive,
`orjson.loads`, send a prepared text. Both are measured from outside, by the process that sends the tick.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random

import msgspec
import orjson
import uvloop
from phoenix_worker.core import events as ev
from phoenix_worker.core.actions import Amend, AnyAction, Cancel, Note, NoteKind, Place
from phoenix_worker.runtime.clock import Clock
from phoenix_worker.venue.binance.clock_sync import ExchangeTime, Sample
from phoenix_worker.venue.binance.limits import Limits, RequestBudget
from phoenix_worker.venue.binance.orders import Orders
from phoenix_worker.venue.binance.rest import Rest
from phoenix_worker.venue.binance.signing import Credentials, HmacSigner
from phoenix_worker.venue.binance.streams import BookStream
from phoenix_worker.venue.binance.wsapi import WsApi
from quoting_engine import BTCUSDT, PARAMETERS, SECOND, QuotingEngine
from websockets.asyncio.client import connect

TICKS = 500
TIMEOUT_SECONDS = 60.0
VENUE = Path(__file__).with_name("loopback_venue.py")
USER_AGENT = "phoenix-benchmark"


@dataclass(frozen=True)
class Latency:
    """µs from the tick's writing to the first order's reading."""

    p50: float
    p99: float

    @classmethod
    def of(cls, samples: list[float]) -> "Latency":
        cuts = statistics.quantiles(samples, n=100)
        return cls(cuts[49], cuts[98])


def floor() -> Latency:
    return _measure("floor")


def phoenix() -> Latency:
    return _measure("phoenix")


def _measure(client: str) -> Latency:
    """Venue and client as processes of their own, as in life."""
    with subprocess.Popen([sys.executable, VENUE, str(TICKS)], stdout=subprocess.PIPE, text=True) as venue:  # noqa: S603 - our own program
        assert venue.stdout is not None, "stdout is a pipe"
        port = venue.stdout.readline().strip()
        with subprocess.Popen([sys.executable, __file__, client, port]) as process:  # noqa: S603 - as above
            try:
                told, _ = venue.communicate(timeout=TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                venue.kill()
                raise SystemExit(f"tick to order: the {client} client did not answer") from None
            finally:
                process.kill()
    samples = json.loads(told)
    if len(samples) < TICKS // 2:
        raise SystemExit(f"tick to order: only {len(samples)} of {TICKS} ticks led to an order of the {client} client")
    return Latency.of(samples)


async def _bare(port: str) -> None:
    prepared = orjson.dumps(
        {
            "id": "1",
            "method": "order.modify",
            "params": {
                "apiKey": "k" * 64, "orderId": 1, "price": "60000.10", "quantity": "0.020", "recvWindow": 2000,
                "side": "BUY", "symbol": "BTCUSDT", "timestamp": 1_760_000_000_000, "signature": "0" * 64,
            },
        }
    )  # fmt: skip
    async with (
        connect(f"ws://127.0.0.1:{port}/ws-fapi/v1", compression=None) as orders,
        connect(f"ws://127.0.0.1:{port}/public/stream", compression=None) as market,
    ):
        drain = asyncio.ensure_future(_drain(orders))
        async for frame in market:
            orjson.loads(frame)
            await orders.send(prepared, text=True)
        await drain


async def _drain(connection: object) -> None:
    async for _ in connection:  # type: ignore[attr-defined]  # either side's connection iterates over its messages
        pass


class _Rig:
    """The worker's parts in the worker's order; what the engine asks of others is answered at once."""

    def __init__(self, port: str) -> None:
        clock = Clock()
        random = Random(1)  # noqa: S311 - spreads reconnects, keeps no secret
        time_of_exchange = ExchangeTime(clock)
        now = clock.monotonic_ns()
        offset = time.time_ns() - now
        time_of_exchange.measured([Sample(now, now, (now + offset) // 1_000_000)])
        budget = RequestBudget(Limits(orders_10s=1 << 30, orders_1m=1 << 30, weight_1m=1 << 30))
        credentials = Credentials("k" * 64, HmacSigner("s" * 64))
        snapshot = ev.Snapshot(
            now, 1_000, [(59_999.9 - i / 10, 1.0) for i in range(500)], [(60_000.0 + i / 10, 1.0) for i in range(500)]
        )
        # Every tick moves the quotes; the venue of this benchmark sends touches alone, which is no reason to stop here.
        parameters = msgspec.structs.replace(PARAMETERS, min_requote_interval_ns=0, stale_after_ns=3_600 * SECOND)
        self.quoting = QuotingEngine.started(snapshot, now, clock_offset_ns=offset, parameters=parameters)
        self.clock = clock
        self.wsapi = WsApi(f"ws://127.0.0.1:{port}/ws-fapi/v1", credentials, USER_AGENT, clock, random, _raise)
        rest = Rest(
            "http://127.0.0.1:9", credentials, time_of_exchange, budget, USER_AGENT, _ignore, 2_000, read_only=False
        )
        self.orders = Orders(
            self.wsapi, rest, time_of_exchange, budget, lambda: BTCUSDT, 2_000, self.sink, _ignore, _ignore
        )
        self.book = BookStream(
            f"ws://127.0.0.1:{port}", "BTCUSDT", "100ms", self.sink, _raise,
            user_agent=USER_AGENT, clock=clock, random=random,
        )  # fmt: skip
        self.sent: dict[str, Place | Amend | Cancel] = {}

    def start(self) -> None:
        self.wsapi.start()
        self.book.start()
        asyncio.get_running_loop().call_later(0.05, self._tick)

    def sink(self, event: ev.AnyEvent) -> None:
        answered = self.sent.pop(event.client_id, None) if isinstance(event, ev.Answer) else None
        self._perform(self.quoting.engine.on(event), event.at)
        if answered is not None:
            # The user stream's event, which this venue has none of.
            for report in self.quoting.reports(answered, event.at):
                self._perform(self.quoting.engine.on(report), event.at)

    def _perform(self, actions: list[AnyAction], at: int) -> None:
        for action in actions:
            match action:
                case Place():
                    self.sent[action.approved.order.client_id] = action
                    self.orders.place(action)
                case Amend():
                    self.sent[action.approved.order.client_id] = action
                    self.orders.amend(action)
                case Cancel():
                    self.sent[action.client_id] = action
                    self.orders.cancel(action)
                case Note(kind=NoteKind.BOOK):
                    pass  # synchronised at the start, closed at the end
                case Note():
                    raise SystemExit(f"this is not the steady state that is to be measured: {action.text}")
                case _:
                    for event in self.quoting.answers(action, at):
                        self._perform(self.quoting.engine.on(event), at)

    def _tick(self) -> None:
        self.sink(ev.Tick(self.clock.monotonic_ns()))
        asyncio.get_running_loop().call_later(0.05, self._tick)


def _raise(error: Exception) -> None:
    raise error


def _ignore(*_: object) -> None: ...


async def _worker_parts(port: str) -> None:
    rig = _Rig(port)
    rig.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_bare(sys.argv[2]) if sys.argv[1] == "floor" else _worker_parts(sys.argv[2]))
