"""The steward at work: a simulated exchange, a real Redis, leaders that live and leaders that have died."""

import asyncio
import itertools
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from arena_redis import RedisServer, redis_server
from phoenix_coordination import order_id
from phoenix_coordination.port import AccountTerms, LeaseGranted, LeaseTimes, Message, Reservation
from phoenix_coordination.port import EmergencyLevel as SharedLevel
from phoenix_coordination.redis import steward as office_module
from phoenix_coordination.redis.client import connect
from phoenix_coordination.redis.coordinator import RedisCoordinator
from phoenix_coordination.redis.keys import OFFICE, AccountKeys
from phoenix_coordination.redis.ledger import LedgerView, read_ledger
from phoenix_coordination.redis.steward import StewardOffice, StewardReport, read_report
from phoenix_simulator.clock import Clock as VenueClock
from phoenix_simulator.exchange.orders import Order
from phoenix_simulator.server import Server, ServerConfig, run_server
from phoenix_worker.core.events import EmergencyLevel
from phoenix_worker.runtime import steward as steward_module
from phoenix_worker.runtime.clock import VARIABLE, Clock
from phoenix_worker.runtime.steward import Steward
from phoenix_worker.venue.binance import rest as rest_module
from phoenix_worker.venue.binance.endpoints import Endpoints
from phoenix_worker.venue.binance.gateway import BinanceVenue
from phoenix_worker.venue.binance.limits import Urgency
from phoenix_worker.venue.binance.rest import Security
from phoenix_worker.venue.binance.settings import MarginType, Settings
from phoenix_worker.venue.binance.signing import Credentials, HmacSigner

pytestmark = pytest.mark.scenario

RATE = 8.0
TIMES = LeaseTimes(ttl_s=6.0, renew_s=1.0, margin_s=1.2)
POLL_S = 2.0
PATIENT_S = 60.0 * RATE
"""A person waits for the exchange's answer, however busy the machine is."""
OURS, IDENTITY = "k3f9a0", "binance-usdm:simulator:steward"
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
    account: str
    api_key: str
    api_secret: str
    venue: BinanceVenue
    level: EmergencyLevel = EmergencyLevel.NONE
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
        await coordinator.join(IDENTITY)
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
        office = StewardOffice(self.redis.url, IDENTITY, holder, self.clock, TIMES, dry_run=not acts)
        steward = Steward(
            *(office, venue.account, venue.caretaker, OURS, lambda: self.level),
            lambda level, reason: self.raised.append((level, reason)),
            *(self.clock, self.log),
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

    def _keys(self, *, dry_run: bool = False) -> Any:
        return StewardOffice(self.redis.url, IDENTITY, "test", self.clock, TIMES, dry_run=dry_run).keys

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


@pytest.fixture
async def world(monkeypatch) -> AsyncIterator[World]:
    monkeypatch.setattr(office_module, "LEISURE", 1)  # nobody has died whose office would have to be watched
    monkeypatch.setattr(rest_module, "CONNECT_TIMEOUT_S", PATIENT_S)
    async with AsyncExitStack() as stack:
        venue_clock = VenueClock(RATE)
        config = ServerConfig(symbols=("ETHUSDT", "SOLUSDT"), seed=7)
        url, server = await stack.enter_async_context(run_server(config, venue_clock))
        redis = await stack.enter_async_context(redis_server())
        http = await stack.enter_async_context(aiohttp.ClientSession())
        async with http.post(f"{url}/sim/account", json={"balances": {"USDT": "100000"}}) as reply:
            made = json.loads(await reply.read())
        clock = Clock.from_env({VARIABLE: venue_clock.to_text()})
        world = World(server, url, redis, clock, http, made["account"], made["apiKey"], made["apiSecret"], venue=None)
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


# -- who it is ---------------------------------------------------------------------------------------


async def test_one_worker_holds_the_office_and_another_takes_it_when_that_one_leaves(world):
    first = await world.steward("steward-1")
    await world.in_office(first)
    second = await world.steward("steward-2")
    await world.looks(first, 3)
    assert second.report is None
    await first.stop()
    await world.in_office(second)
    assert (await world.report()).holder == "steward-2"


async def test_what_it_saw_is_published(world):
    await world.buy("ETHUSDT", "2")
    leader = await world.leader("ETHUSDT")
    steward = await world.steward()
    await world.in_office(steward)
    await world.looks(steward, 3)
    report = await world.report()
    assert (report.margin_asset, report.problem) == ("USDT", "")
    assert 99_000 < report.margin_balance < 101_000
    assert report.margin_ratio == pytest.approx(report.maintenance / report.margin_balance)
    (row,) = report.symbols
    assert (row.symbol, row.qty, row.led, row.ours) == ("ETHUSDT", 2.0, True, True)
    await leader.die()


# -- margin ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("balance_of_maintenance", "in_force", "raised"),
    [
        pytest.param(4.0, EmergencyLevel.NONE, None, id="enough is left"),
        pytest.param(1.7, EmergencyLevel.NONE, EmergencyLevel.HALT, id="more than half is needed"),
        pytest.param(1.3, EmergencyLevel.NONE, EmergencyLevel.FLATTEN, id="nearly all is needed"),
        pytest.param(1.3, EmergencyLevel.HALT, EmergencyLevel.FLATTEN, id="it grows worse"),
        pytest.param(1.3, EmergencyLevel.FLATTEN, None, id="in force already"),
    ],
)
async def test_margin_that_runs_short_raises_the_emergency(world, balance_of_maintenance, in_force, raised):
    await world.buy("ETHUSDT", "20")
    world.lose_all_but(balance_of_maintenance)
    world.level = in_force
    steward = await world.steward()
    await world.in_office(steward)
    await world.looks(steward, 2)
    assert {level for level, _ in world.raised} == ({raised} if raised else set())
    assert all(reason.startswith("margin of USDT: maintenance is ") for _, reason in world.raised)


async def test_margin_is_judged_though_the_positions_cannot_be_read(world):
    await world.buy("ETHUSDT", "20")
    world.lose_all_but(1.3)
    fault = {"kind": "unavailable", "outcome": "internal", "endpoint": "positionRisk", "holder": "phoenix/steward-1"}
    await world.steward("steward-1", fault=fault)
    await world.until(lambda: world.raised)
    assert world.raised[0][0] is EmergencyLevel.FLATTEN


# -- symbols without a leader --------------------------------------------------------------------------


async def test_what_a_dead_maker_left_is_withdrawn_and_a_persons_order_stays(world):
    token = await dead_maker(world)
    await world.steward()
    await world.until(lambda: world.ids("ETHUSDT") == ["web_person"])
    await world.until(lambda: any(event == "steward: symbol in order" for event, _ in world.log.said))
    lease = await world.lease("ETHUSDT")
    assert int(lease["token"]) > token
    assert lease["released"]


async def test_the_next_leader_comes_at_once_under_a_higher_token(world):
    await dead_maker(world)
    await world.steward()
    await world.until(lambda: any(event == "steward: symbol in order" for event, _ in world.log.said))
    borrowed = int((await world.lease("ETHUSDT"))["token"])
    leader = await world.leader("ETHUSDT", "next")
    assert (await leader.hears(LeaseGranted)).token > borrowed


@pytest.mark.parametrize("level", list(EmergencyLevel))
async def test_a_symbol_whose_leader_lives_is_never_touched(world, level):
    world.level = level
    leader = await world.leader("ETHUSDT")
    token = (await leader.hears(LeaseGranted)).token
    await world.order("ETHUSDT", ours(token, 1), "0.5")
    await world.buy("ETHUSDT", "1")
    steward = await world.steward()
    await world.in_office(steward)
    await world.long_enough_to_act()
    assert world.ids("ETHUSDT") == [ours(token, 1)]
    assert world.position("ETHUSDT") > 0
    assert int((await world.lease("ETHUSDT"))["token"]) in leader.tokens


@pytest.mark.parametrize("level", list(EmergencyLevel))
async def test_a_persons_symbol_is_never_touched(world, level):
    world.level = level
    await world.order("SOLUSDT", "web_person", "1")
    await world.buy("SOLUSDT", "1")
    steward = await world.steward()
    await world.in_office(steward)
    await world.long_enough_to_act()
    assert world.ids("SOLUSDT") == ["web_person"]
    assert world.position("SOLUSDT") > 0
    (row,) = steward.report.symbols
    assert (row.led, row.ours) == (False, False)


async def test_under_a_halt_nothing_rests_where_nobody_leads_and_the_position_stays(world):
    await dead_maker(world)
    await world.buy("ETHUSDT", "1")
    held = world.position("ETHUSDT")
    world.level = EmergencyLevel.HALT
    await world.steward()
    await world.until(lambda: world.ids("ETHUSDT") == [])
    assert world.position("ETHUSDT") == held


async def test_under_a_halt_a_persons_stop_that_gets_out_stays_and_one_that_opens_goes(world):
    leader = await world.leader("ETHUSDT")
    await world.buy("ETHUSDT", "1")
    await world.stop_at("ETHUSDT", "web_out", reduce_only=True)
    await world.stop_at("ETHUSDT", "web_opens", reduce_only=False)
    await leader.die()
    world.level = EmergencyLevel.HALT
    await world.steward()
    async with asyncio.timeout(60):
        while "web_opens" in await world.stops("ETHUSDT"):  # noqa: ASYNC110 - as `until`
            await asyncio.sleep(0.1)
    assert await world.stops("ETHUSDT") == ["web_out"]
    assert world.position("ETHUSDT") > 0


async def test_conditional_orders_that_cannot_be_read_hold_up_no_symbol(world):
    """Two symbols: the first, whose visit begins and is not over, does not hide the second."""
    await dead_maker(world)
    await dead_maker(world, "SOLUSDT")
    await world.buy("ETHUSDT", "1.5")
    world.level = EmergencyLevel.FLATTEN
    fault = {"kind": "unavailable", "outcome": "internal", "endpoint": "openAlgoOrders", "holder": "phoenix/steward-1"}
    await world.steward("steward-1", fault=fault)
    await world.until(lambda: world.position("ETHUSDT") == 0)
    await world.until(lambda: not world.ids("ETHUSDT") and not world.ids("SOLUSDT"))
    told = "steward: conditional orders may wait"
    await world.until(
        lambda: {"ETHUSDT", "SOLUSDT"} <= {more["symbol"] for said, more in world.log.said if said == told}
    )
    assert not any(event == "steward: symbol in order" for event, _ in world.log.said)


async def test_under_a_flatten_what_has_no_leader_is_closed(world):
    await dead_maker(world)
    await world.buy("ETHUSDT", "1.5")
    world.level = EmergencyLevel.FLATTEN
    await world.steward()
    await world.until(lambda: world.position("ETHUSDT") == 0)
    assert world.ids("ETHUSDT") == []
    lease = await world.lease("ETHUSDT")
    closed_by = {
        parsed.token for order in world.orders("ETHUSDT") if (parsed := order_id.parse(order)) and parsed.purpose == "l"
    }
    assert closed_by == {int(lease["token"])}


async def test_a_flatten_closes_it_also_where_redis_has_forgotten_who_led_it(world):
    leader = await world.leader("ETHUSDT")
    token = (await leader.hears(LeaseGranted)).token
    await world.order("ETHUSDT", ours(token, 1), "1.5", type="MARKET", price="", timeInForce="")
    await leader.die()
    await world.redis.command("FLUSHALL")
    world.level = EmergencyLevel.FLATTEN
    await world.steward()
    await world.until(lambda: world.position("ETHUSDT") == 0)


async def test_a_symbol_is_left_to_the_leader_that_came_while_its_lease_was_watched(world):
    await dead_maker(world)
    steward = await world.steward()
    await world.in_office(steward)
    leader = await world.leader("ETHUSDT", "next")
    token = (await leader.hears(LeaseGranted)).token
    await world.order("ETHUSDT", ours(token, 9), "0.5")
    await world.long_enough_to_act()
    assert ours(token, 9) in world.ids("ETHUSDT")
    assert int((await world.lease("ETHUSDT"))["token"]) in leader.tokens


# -- the ledger ----------------------------------------------------------------------------------------


async def test_what_a_dead_maker_reserved_is_free_again_once_its_symbol_is_in_order(world):
    leader = await world.leader("ETHUSDT")
    async with asyncio.timeout(30):
        for sequence in itertools.count(1):  # asked anew, as a maker does, until the ledger is there
            leader.coordinator.reserve(Reservation(sequence, 0, 100, 100, step_value=3.0))
            await asyncio.sleep(0.1)
            if (await world.ledger()).gross_micro > 0:
                break
    await leader.die()
    await world.steward()
    await world.ledger_until(lambda ledger: not ledger.entries)


async def test_a_position_without_a_maker_counts_at_its_value(world):
    await dead_maker(world)
    await world.buy("ETHUSDT", "2")
    mark = world.server.exchange.listing("ETHUSDT").mark_e8 / 1e8
    await world.steward()
    await world.until(lambda: any(event == "steward: symbol in order" for event, _ in world.log.said))
    assert world.ids("ETHUSDT") == ["web_person"]
    (entry,) = (await world.ledger_until(lambda ledger: ledger.entries)).entries
    assert entry.symbol == "ETHUSDT"
    # The position and the person's order, both with the ledger's buffer.
    assert entry.gross_micro / 1e6 == pytest.approx((2 + 0.5) * mark * 1.01, rel=0.02)


# -- what goes wrong -----------------------------------------------------------------------------------


async def test_a_steward_that_cannot_read_the_account_leaves_the_office_to_another(world, monkeypatch):
    monkeypatch.setattr(steward_module, "UNREADABLE_S", 12.0)
    first = await world.steward("steward-1")
    await world.in_office(first)
    second = await world.steward("steward-2")
    fault = {"kind": "unavailable", "outcome": "internal", "endpoint": "account", "holder": "phoenix/steward-1"}
    await world.fault(fault)
    await world.until(lambda: second.unseen_ns > 8 * 10**9)  # the office is held, and nobody looks
    await world.in_office(second)
    assert any(event == "steward: leaves the office" for event, _ in world.log.said)
    await world.until(lambda: first.report is None and first.unseen_ns < 6 * 10**9)


async def test_without_redis_nothing_is_touched_and_work_goes_on_when_it_is_back(world):
    steward = await world.steward()
    await world.in_office(steward)
    await world.redis.kill()
    await world.until(lambda: steward.report is None)
    await world.redis.start()
    await dead_maker(world)
    await world.until(lambda: world.ids("ETHUSDT") == ["web_person"])


async def test_an_office_that_nobody_can_hold_is_said(world, monkeypatch):
    """Else nobody would watch the margin, and nobody would know."""
    monkeypatch.setattr(steward_module, "UNSEEN_S", 3.0)
    lease = AccountKeys(IDENTITY).lease(OFFICE)
    await world.redis.command("SET", lease, "somebody else's")
    steward = await world.steward()
    await world.until(lambda: [fields["text"] for event, fields in world.log.said if event == "steward: nobody can be"])
    assert any(lease in fields["text"] for _, fields in world.log.said)
    await world.until(lambda: any(event == "steward: nobody has looked" for event, _ in world.log.said))
    unseen_ns = steward.unseen_ns
    assert unseen_ns >= 3 * 10**9
    await world.redis.command("DEL", lease)
    await world.in_office(steward)
    assert steward.unseen_ns < unseen_ns


async def test_a_rehearsal_looks_and_touches_nothing(world):
    await dead_maker(world)
    await world.buy("ETHUSDT", "20")
    world.lose_all_but(1.3)
    world.level = EmergencyLevel.HALT
    left = world.ids("ETHUSDT")
    steward = await world.steward(acts=False)
    await world.in_office(steward)
    await world.long_enough_to_act()
    assert world.ids("ETHUSDT") == left
    assert world.position("ETHUSDT") > 0
    assert world.raised == []
    assert await world.report() is None
    assert (await world.report(dry_run=True)).margin_asset == "USDT"
