"""One account at a simulated exchange with a real Redis: leaders that live and die, a steward, and people."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import aiohttp
from arena_redis import RedisServer, redis_server
from phoenix_coordination import order_id
from phoenix_coordination.port import AccountTerms, LeaseGranted, LeaseTimes, Message
from phoenix_coordination.port import EmergencyLevel as SharedLevel
from phoenix_coordination.redis.client import connect
from phoenix_coordination.redis.coordinator import RedisCoordinator
from phoenix_coordination.redis.keys import AccountKeys
from phoenix_coordination.redis.ledger import LedgerView, read_ledger
from phoenix_coordination.redis.steward import StewardOffice, StewardReport, read_report
from phoenix_simulator.api.account_data import alias_of
from phoenix_simulator.clock import Clock as VenueClock
from phoenix_simulator.exchange.orders import Order
from phoenix_simulator.server import Server, ServerConfig, run_server
from phoenix_worker.core.events import EmergencyLevel
from phoenix_worker.core.instrument import MONEY
from phoenix_worker.runtime.clock import VARIABLE, Clock
from phoenix_worker.runtime.steward import Steward
from phoenix_worker.venue.binance.endpoints import Endpoints, account_identity
from phoenix_worker.venue.binance.gateway import BinanceVenue
from phoenix_worker.venue.binance.limits import Urgency
from phoenix_worker.venue.binance.rest import Security
from phoenix_worker.venue.binance.settings import MarginType, Settings
from phoenix_worker.venue.binance.signing import Credentials, HmacSigner

RATE = 8.0
TIMES = LeaseTimes(ttl_s=6.0, renew_s=1.0, margin_s=1.2)
POLL_S = 2.0
PATIENT_S = 60.0 * RATE
"""A person waits for the exchange's answer, however busy the machine is."""
ACCOUNT_UID = "8a0c6f0e-2b7d-4b8e-9d55-1f6f0c2b7a11"
OURS = order_id.installation_of(ACCOUNT_UID)
TERMS = AccountTerms(net_micro=10**12, gross_micro=10**12, emergency=SharedLevel.NONE)


class SilentLog:
    """Keeps what was said, by event."""

    def __init__(self) -> None:
        self.said: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, _: str) -> Callable[..., None]:
        return lambda event, **fields: self.said.append((event, fields))


class Leader:
    """A maker's side of Redis: it holds its symbol's lease until it dies."""

    def __init__(self, coordinator: RedisCoordinator, symbol: str) -> None:
        self.coordinator = coordinator
        self.symbol = symbol
        self.told: list[Message] = []

    async def hears(self, kind: type[Any]) -> Any:
        async with asyncio.timeout(60):
            while True:
                for message in self.told:
                    if isinstance(message, kind):
                        return message
                await asyncio.sleep(0.01)

    @property
    def tokens(self) -> set[int]:
        return {message.token for message in self.told if isinstance(message, LeaseGranted)}

    async def die(self) -> None:
        """Nothing is released: the lease runs out, and the ledger keeps counting."""
        await self.coordinator.stop()


@dataclass
class World:
    server: Server
    url: str
    redis: RedisServer
    clock: Clock
    http: aiohttp.ClientSession
    identity: str
    """The exchange's own name of the account."""
    account: str
    api_key: str
    api_secret: str
    venue: BinanceVenue
    level: EmergencyLevel = EmergencyLevel.NONE
    daily_loss: int = 50 * MONEY
    raised: list[tuple[EmergencyLevel, str]] = field(default_factory=list)
    log: SilentLog = field(default_factory=SilentLog)
    _leaders: list[Leader] = field(default_factory=list)
    _stewards: list[Steward] = field(default_factory=list)
    _venues: list[BinanceVenue] = field(default_factory=list)

    # -- actors ------------------------------------------------------------------------------------

    async def leader(self, symbol: str, holder: str = "maker") -> Leader:
        coordinator = RedisCoordinator(
            *(self.redis.url, symbol, f"{holder}-{symbol}", "", OURS, TERMS, self.clock),
            dry_run=False,
            read_holdings=self.venue.holdings,
            times=TIMES,
        )
        leader = Leader(coordinator, symbol)
        self._leaders.append(leader)
        await coordinator.join(self.identity)
        await coordinator.start(leader.told.append)
        await leader.hears(LeaseGranted)
        return leader

    async def steward(
        self, holder: str = "steward-1", *, acts: bool = True, fault: dict[str, str] | None = None
    ) -> Steward:
        """`fault`: of the exchange, from when the worker has started."""
        venue = self.client(holder)
        self._venues.append(venue)
        await prepared(venue)
        if fault is not None:
            await self.fault(fault)
        office = StewardOffice(self.redis.url, self.identity, holder, self.clock, TIMES, dry_run=not acts)
        steward = Steward(
            *(office, venue.account, venue.caretaker, OURS, lambda: self.level),
            lambda level, reason: self.raised.append((level, reason)),
            *(self.clock, self.log),
            daily_loss=lambda: self.daily_loss,
            acts=acts,
            poll_s=POLL_S,
        )
        self._stewards.append(steward)
        steward.start()
        return steward

    def client(self, holder: str, *, recv_window_ms: int = 2000) -> BinanceVenue:
        return BinanceVenue(
            Endpoints.at(self.url),
            Credentials(self.api_key, HmacSigner(self.api_secret)),
            "ETHUSDT",
            Settings(Decimal(1), 20, MarginType.CROSSED, apply=True, recv_window_ms=recv_window_ms),
            clock=self.clock,
            random=random.Random(5),  # noqa: S311 - jitter
            user_agent=f"phoenix/{holder}",
        )

    # -- the exchange ------------------------------------------------------------------------------

    async def order(self, symbol: str, client_id: str, quantity: str, **more: str) -> None:
        """Anybody's order, far from the market unless it says otherwise."""
        listing = self.server.exchange.listing(symbol)
        far = listing.spec.format_price(listing.touch.bid_ticks - listing.touch.bid_ticks // 50)
        fields = {"side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": far, **more}
        parameters = [("symbol", symbol), ("newClientOrderId", client_id), ("quantity", quantity), *fields.items()]
        await self._post("/fapi/v1/order", [(name, value) for name, value in parameters if value])

    async def stop_at(self, symbol: str, client_id: str, *, reduce_only: bool) -> None:
        """A person's stop: a sell, far below the market."""
        listing = self.server.exchange.listing(symbol)
        far = listing.spec.format_price(listing.touch.bid_ticks - listing.touch.bid_ticks // 5)
        terms = {"algoType": "CONDITIONAL", "type": "STOP_MARKET", "side": "SELL", "quantity": "0.5"}
        fields = {**terms, "clientAlgoId": client_id, "triggerPrice": far, "reduceOnly": str(reduce_only).lower()}
        await self._post("/fapi/v1/algoOrder", [("symbol", symbol), *fields.items()])

    async def _post(self, path: str, parameters: list[tuple[str, str]]) -> None:
        rest = self.venue._rest
        await rest.change("POST", path, parameters, weight=0, urgency=Urgency.QUOTE, timeout_s=PATIENT_S)

    async def stops(self, symbol: str) -> list[str]:
        path, parameters = "/fapi/v1/openAlgoOrders", [("symbol", symbol)]
        reply = await self.venue._rest.get(
            path, parameters, weight=0, security=Security.SIGNED, urgency=Urgency.REDUCE, timeout_s=PATIENT_S
        )
        return [row["clientAlgoId"] for row in json.loads(reply.body)]

    async def buy(self, symbol: str, quantity: str) -> None:
        await self.order(symbol, "web_taker", quantity, type="MARKET", price="", timeInForce="")

    def resting(self, symbol: str) -> list[Order]:
        return list(self.server.exchange.open_orders(self.account, symbol))

    def ids(self, symbol: str) -> list[str]:
        return sorted(order.client_order_id for order in self.resting(symbol))

    def orders(self, symbol: str) -> list[str]:
        """Client ids of all that was ever placed."""
        listed = self.server.exchange.all_orders(self.account, symbol, self.server.clock.now_ms())
        return [order.client_order_id for order in listed]

    def position(self, symbol: str) -> int:
        holding = self.server.exchange.account(self.account).holdings.get(symbol)
        return holding.position.steps if holding is not None else 0

    async def fault(self, fault: dict[str, str]) -> None:
        async with self.http.post(f"{self.url}/sim/fault", json=fault) as reply:
            assert reply.status == 200, await reply.text()

    def lose_all_but(self, share_of_maintenance: float) -> None:
        """The account has lost money: its balance is this many times what its positions need."""
        exchange = self.server.exchange
        margin = exchange.asset_margin(self.account, "USDT")
        lost_e8 = margin.margin_balance_e8 - int(margin.maintenance_e8 * share_of_maintenance)
        exchange.account(self.account).wallets_e8["USDT"] -= lost_e8

    async def ledger_until(self, true: Callable[[LedgerView], object]) -> LedgerView:
        async with asyncio.timeout(60):
            while not true(view := await self.ledger()):  # noqa: ASYNC110 - as `until`
                await asyncio.sleep(0.05)
        return view

    # -- Redis -------------------------------------------------------------------------------------

    async def ledger(self) -> LedgerView:
        client = connect(self.redis.url, 5.0)
        try:
            return await read_ledger(client, self._keys())
        finally:
            await client.aclose()

    async def report(self, *, dry_run: bool = False) -> StewardReport | None:
        client = connect(self.redis.url, 5.0)
        try:
            return await read_report(client, self._keys(dry_run=dry_run))
        finally:
            await client.aclose()

    async def lease(self, symbol: str) -> dict[str, str]:
        words = await self.redis.command("HGETALL", self._keys().lease(symbol))
        return {name.decode(): value.decode() for name, value in words.items()}

    def _keys(self, *, dry_run: bool = False) -> AccountKeys:
        return AccountKeys(self.identity, dry_run)

    # -- waiting -----------------------------------------------------------------------------------

    async def until(self, true: Callable[[], object]) -> None:
        async with asyncio.timeout(60):
            while not true():  # noqa: ASYNC110 - what is waited for is anything
                await asyncio.sleep(0.02)

    async def in_office(self, steward: Steward) -> None:
        await self.until(lambda: steward.report is not None)

    async def looks(self, steward: Steward, times: int) -> None:
        """So many more readings of the account."""
        for _ in range(times):
            seen = steward.report
            await self.until(lambda seen=seen: steward.report is not None and steward.report is not seen)

    async def long_enough_to_act(self) -> None:
        """A symbol is watched for a ttl, its lease for another, and then something is done."""
        await self.clock.sleep(3 * TIMES.ttl_s + 4 * POLL_S)

    async def close(self) -> None:
        await asyncio.gather(*(steward.stop() for steward in self._stewards))
        await asyncio.gather(*(leader.coordinator.stop() for leader in self._leaders))
        await asyncio.gather(*(venue.close() for venue in (self.venue, *self._venues)))


async def prepared(venue: BinanceVenue) -> None:
    """Until the clock is known well enough, which at this rate a busy machine delays."""
    async with asyncio.timeout(60):
        while (await venue.prepare()).refused:
            pass


@asynccontextmanager
async def open_world() -> AsyncIterator[World]:
    """An exchange, a Redis and an account with play money."""
    async with AsyncExitStack() as stack:
        venue_clock = VenueClock(RATE)
        config = ServerConfig(symbols=("ETHUSDT", "SOLUSDT"), seed=7)
        url, server = await stack.enter_async_context(run_server(config, venue_clock))
        redis = await stack.enter_async_context(redis_server())
        http = await stack.enter_async_context(aiohttp.ClientSession())
        async with http.post(f"{url}/sim/account", json={"balances": {"USDT": "100000"}}) as reply:
            made = json.loads(await reply.read())
        clock = Clock.from_env({VARIABLE: venue_clock.to_text()})
        identity = account_identity(Endpoints.at(url), alias_of(made["account"]))
        world = World(
            server, url, redis, clock, http, identity, made["account"], made["apiKey"], made["apiSecret"], venue=None
        )
        world.venue = world.client("person", recv_window_ms=50_000)
        await prepared(world.venue)
        stack.push_async_callback(world.close)
        yield world


def ours(token: int, number: int) -> str:
    return order_id.format(OURS, token, "q", number)


async def dead_maker(world: World, symbol: str = "ETHUSDT") -> int:
    """A maker of the symbol has left two orders and is gone; a person's order rests beside them."""
    leader = await world.leader(symbol)
    token = (await leader.hears(LeaseGranted)).token
    await world.order(symbol, ours(token, 1), "0.5")
    await world.order(symbol, ours(token, 2), "0.5")
    await world.order(symbol, "web_person", "0.5")
    await leader.die()
    return token
