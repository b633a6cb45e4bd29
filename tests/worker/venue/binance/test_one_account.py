"""Several workers of one account: one listen key, one user stream's worth of events for each of them."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from decimal import Decimal

import aiohttp
import pytest
from phoenix_simulator.server import Server, ServerConfig, run_server
from phoenix_worker.core.actions import Place, TimeInForce
from phoenix_worker.core.events import AnyEvent, OrderReport, PositionReport, Stream, StreamClosed, StreamOpened
from phoenix_worker.venue.binance.endpoints import Endpoints
from phoenix_worker.venue.binance.gateway import BinanceVenue
from phoenix_worker.venue.binance.limits import Limits
from phoenix_worker.venue.binance.settings import MarginType, Settings
from phoenix_worker.venue.binance.signing import Credentials, HmacSigner

pytestmark = pytest.mark.scenario

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "ETHUSDC")


class Worker:
    def __init__(self, venue: BinanceVenue, symbol: str, clock, approve, until) -> None:
        self.venue, self.symbol, self.until = venue, symbol, until
        self.events: list[AnyEvent] = []
        self._clock, self._approve = clock, approve
        self._sequence = 0

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    def user_opened(self) -> int:
        return len([event for event in self.of(StreamOpened) if event.stream is Stream.USER])

    def user_closed(self) -> list[str]:
        return [event.reason for event in self.of(StreamClosed) if event.stream is Stream.USER]

    async def buys(self, server: Server) -> int:
        """Takes a little from the market; the steps that it took."""
        self._sequence += 1
        touch = server.exchange.listing(self.symbol).touch
        steps = -(-self.venue._parts.reference.instrument.min_steps_at(touch.bid_ticks) * 3 // 2)
        order = self._approve(
            f"pxk3f9a0-00000001-q{SYMBOLS.index(self.symbol)}{self._sequence}",
            deadline_ns=self._clock.monotonic_ns() + 4_000_000_000,
            price_ticks=0,
            qty_steps=steps,
            time_in_force=TimeInForce.IMMEDIATE,
        )
        self.venue.perform(Place(order))
        # What it finds may lie at several prices, and is told in as many parts.
        held = self.position_steps
        await self.until(lambda: self.position_steps == held + steps)
        return steps

    @property
    def position_steps(self) -> int:
        return reports[-1].position_steps if (reports := self.of(PositionReport)) else 0


@pytest.fixture
async def server() -> AsyncIterator[tuple[str, Server]]:
    async with run_server(ServerConfig(symbols=SYMBOLS, seed=3)) as running:
        yield running


@pytest.fixture
async def workers_of(server, machine_clock, approve, until):
    """Workers of one account, each of its symbol, all of whose streams are open."""
    url, _ = server
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        async with http.post(f"{url}/sim/account", json={"balances": {"USDT": "100000", "USDC": "100000"}}) as reply:
            made = json.loads(await reply.read())

        async def start(*symbols: str) -> list[Worker]:
            workers = []
            for number, symbol in enumerate(symbols):
                clock = machine_clock()
                venue = BinanceVenue(
                    Endpoints.at(url),
                    Credentials(made["apiKey"], HmacSigner(made["apiSecret"])),
                    symbol,
                    Settings(
                        net_max=Decimal("0.1"),
                        leverage=10,
                        margin_type=MarginType.CROSSED,
                        apply=True,
                        limits=Limits(weight_share=1.0, order_share=1.0, reserve_share=0.0),
                    ),
                    clock=clock,
                    random=random.Random(number),  # noqa: S311 - jitter
                    user_agent=f"phoenix/worker-{symbol}-{number}",
                )
                stack.push_async_callback(venue.close)
                assert not (await venue.prepare()).refused
                worker = Worker(venue, symbol, clock, approve, until)
                await venue.start(worker.events.append)
                workers.append(worker)
            for worker in workers:
                await until(
                    lambda worker=worker: worker.user_opened() == 1 and worker.venue.statistics().orders_connected
                )
            return workers

        yield start


async def test_each_of_four_hears_of_its_own_symbol_alone(workers_of, server):
    workers = await workers_of(*SYMBOLS)
    bought = [await worker.buys(server[1]) for worker in workers]
    again = [await worker.buys(server[1]) for worker in workers]
    for worker, one, two in zip(workers, bought, again, strict=True):
        told = [report.position_steps for report in worker.of(PositionReport)]
        assert (told[-1], one in told) == (one + two, True)
        mine = f"q{SYMBOLS.index(worker.symbol)}"
        assert {report.order.client_id.split("-")[2][:2] for report in worker.of(OrderReport)} == {mine}
        assert sum(report.fill.qty_steps for report in worker.of(OrderReport) if report.fill) == one + two
        assert worker.venue.statistics().decode_errors == 0


async def test_who_leaves_takes_nothing_from_those_who_stay(workers_of, server):
    leaving, staying = await workers_of("ETHUSDT", "SOLUSDT")
    await leaving.venue.close()
    await staying.buys(server[1])
    assert staying.user_closed() == []


async def test_all_come_back_after_the_listen_key_has_expired(workers_of, server):
    url, running = server
    workers = await workers_of("ETHUSDT", "SOLUSDT", "BTCUSDT")
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{url}/sim/fault", json={"kind": "listen-key-expiry"}) as reply,
    ):
        assert reply.status == 200
    async with asyncio.timeout(20):
        for worker in workers:
            await worker.until(lambda worker=worker: worker.user_opened() == 2)
    for worker in workers:
        assert worker.user_closed() == ["the listen key expired"]
        await worker.buys(running)
    back = [[e.at for e in worker.of(StreamOpened) if e.stream is Stream.USER][-1] for worker in workers]
    print("back after the first, ms:", sorted((at - min(back)) // 1_000_000 for at in back))  # noqa: T201 - a figure
