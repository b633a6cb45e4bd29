"""A page that is served over real sockets, of makers that tell of themselves in a real Redis."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable

import aiohttp
import msgspec
import pytest
from phoenix_coordination.port import EmergencyLevel
from phoenix_coordination.redis.account import account_tools
from phoenix_coordination.redis.client import connect
from phoenix_coordination.redis.keys import AccountKeys
from phoenix_coordination.redis.records import publish
from phoenix_coordination.redis.tasks import end
from phoenix_coordination.state import Activity, Pnl, Position, Prices, Quote, Quotes, RecentFill, StateRecord
from phoenix_operator.page import watch as module
from phoenix_operator.page.roster import KnownAccount, KnownMaker, Roster
from phoenix_operator.page.server import PageServer
from phoenix_operator.page.watch import Watch
from state_records import leading_record

IDENTITY = "BinanceUSDM/Simulator/x"
FILL_MS = 1_800_000_000_000


def quoting(name: str, symbol: str, **changes: object) -> StateRecord:
    """As a worker tells that quotes two layers around 60000."""
    fields: dict[str, object] = {
        "namespace": "trading",
        "maker": name,
        "account": "trading/main",
        "symbol": symbol,
        "holder": f"{name}/1",
        "prices": Prices(bid="60000.1", ask="60000.2", mid=60000.15),
        "quotes": Quotes(
            [Quote("59990.0", "0.002", "q"), Quote("59980.0", "0.004", "q")],
            [Quote("60010.0", "0.002", "q"), Quote("60020.0", "0.004", "q")],
        ),
        "position": Position(qty="0.025", net_max="0.1", worst_case_long="0.031", worst_case_short="0.019"),
        "pnl": Pnl(realised="12.5", day="-3.25"),
        "activity": Activity(fills=41),
        "recent_fills": [RecentFill("sell", "60011.0", "0.003", maker=True, at_ms=FILL_MS)],
    }
    return leading_record(**(fields | changes))


class Place:
    """What is there: change it, and everybody is told."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.records = {name: quoting(name, symbol) for name, symbol in (("btc", "BTCUSDT"), ("eth", "ETHUSDT"))}
        self.roster = Roster(
            "a cluster",
            (KnownAccount(name="trading/main", environment="Simulator", net_limit="25000", gross_limit="50000"),),
            tuple(
                KnownMaker(namespace="trading", name=name, account="main", symbol=each.symbol, mode="Live", restarts=1)
                for name, each in self.records.items()
            ),
        )
        self.broken: Exception | None = None
        self.failures: list[Exception] = []
        self._ticks = itertools.count(1)

    def asked(self) -> Roster:
        if self.broken is not None:
            raise self.broken
        return self.roster

    async def tell(self) -> None:
        client = connect(self.url, 5.0)
        try:
            while True:
                for record in tuple(self.records.values()):
                    told = msgspec.structs.replace(record, published_ms=next(self._ticks))
                    await publish(client, AccountKeys(IDENTITY), told, 1.0)
                await asyncio.sleep(0.1)
        finally:
            await client.aclose()

    async def switch(self, level: EmergencyLevel, reason: str) -> None:
        async with account_tools(self.url) as tools:
            account = tools.account(IDENTITY)
            await account.seed(EmergencyLevel.NONE, 0, "", "tests")
            if level is not EmergencyLevel.NONE:
                await account.stop(level, reason, "anna")


@pytest.fixture
async def place(redis_url) -> AsyncIterator[Place]:
    client = connect(redis_url, 5.0)
    await client.execute_command("FLUSHALL")
    await client.aclose()
    place = Place(redis_url)
    await place.switch(EmergencyLevel.NONE, "")
    telling = asyncio.create_task(place.tell())
    yield place
    await end((telling,))


@pytest.fixture
def watch(place, monkeypatch) -> Watch:
    """Looks ten times a second, and rests as soon as nobody does."""
    monkeypatch.setattr(module, "LOOK_S", 0.1)
    monkeypatch.setattr(module, "LINGER_S", 0.0)
    return Watch(place.asked, lambda: place.url, place.failures.append)


@pytest.fixture
async def server(watch) -> AsyncIterator[PageServer]:
    server = PageServer(watch)
    await server.open("127.0.0.1", 0)
    yield server
    await server.close()


@pytest.fixture
async def http(server) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as session:
        yield session


Events = AsyncIterator[tuple[str, dict[str, object]]]


@pytest.fixture
def events_of() -> Callable[[aiohttp.ClientResponse], Events]:
    """(name, data) of each event of a stream, as they come."""

    async def read(response: aiohttp.ClientResponse) -> Events:
        name = ""
        async for line in response.content:
            if line.startswith(b"event: "):
                name = line[7:].strip().decode()
            elif line.startswith(b"data: "):
                yield name, msgspec.json.decode(line[6:])

    return read
