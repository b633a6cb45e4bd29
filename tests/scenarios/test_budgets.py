"""The exchange's limits are shared: all makers of an account together never go beyond them, and all wait together."""

import asyncio
import time
from collections import Counter
from decimal import Decimal
from functools import partial
from http import HTTPStatus
from random import Random

import pytest
from phoenix_coordination.redis.keys import EgressKeys
from phoenix_coordination.redis.starts import Seat, Start
from phoenix_coordination.state import Reason
from phoenix_crds.values import Duration
from phoenix_simulator.api.limits import LimitSettings
from phoenix_worker.core.actions import ArmDeadMan, FetchDay, FetchFunding, FetchMinutes, FetchSnapshot, FetchTruth
from phoenix_worker.core.day import start_of_day
from phoenix_worker.core.events import ClockSynced, DayRead, DeadManArmed, FundingRead, Stream, StreamOpened, Truth
from phoenix_worker.runtime.budgets import spent, wait_to_start
from phoenix_worker.runtime.clock import Clock
from phoenix_worker.runtime.credentials import read_key
from phoenix_worker.runtime.exchange import client
from phoenix_worker.runtime.resolved import load
from phoenix_worker.runtime.steward import WEIGHT_1M
from phoenix_worker.venue.binance.costs import CLOCK, DEAD_MAN, RECONNECT, START, TRUTH, fixed_weight_1m
from phoenix_worker.venue.binance.endpoints import Endpoints
from phoenix_worker.venue.binance.income import INCOME_WEIGHT
from phoenix_worker.venue.binance.reads import SNAPSHOT_WEIGHT

SYMBOLS = ("ETHUSDT", "BTCUSDT", "SOLUSDT", "ETHUSDC")
SMALL = LimitSettings(orders_per_10_seconds=60, orders_per_minute=240)
NS = 1_000_000_000
SPEED = 8.0
ORDERS = frozenset({"order.place", "order.modify"})
EAGER = {"requote_threshold": Decimal("0.01"), "quote_interval": Duration.parse("100ms")}


def orders_of(arena):
    return [asked for asked in arena.venue.asked if asked.operation in ORDERS]


def refused(arena):
    return [asked for asked in arena.venue.asked if asked.status in {HTTPStatus.TOO_MANY_REQUESTS, 418}]


@pytest.fixture
async def four(open_arena):
    """Four makers of one account that would send far more than it may."""
    arena = await open_arena(*SYMBOLS, limits=SMALL, **EAGER)
    started = await asyncio.gather(*(arena.start(symbol) for symbol in SYMBOLS))
    assert len({worker.url for worker in started}) == len(SYMBOLS), "each is asked for itself"
    await everybody_sends(arena, 0)
    return arena


async def everybody_sends(arena, mark):
    """On so small an account each maker may say at times that it is limited; in the end each has its part."""

    def symbols() -> set[str]:
        return {item.order.symbol for item in arena.venue.accepted[mark:]}

    await arena.wait(lambda: symbols() == set(SYMBOLS), "an order of each maker is accepted", 75)


async def test_four_makers_at_full_speed_never_meet_the_account_s_limits(four, figure):
    began_ns = four.clock.monotonic_ns()
    await asyncio.sleep(25)
    sent = [asked.at_ns for asked in orders_of(four)]
    quoting = SMALL.orders_per_10_seconds * 0.8 * 0.8
    most = max(sum(at_ns - 10 * NS < other <= at_ns for other in sent) for at_ns in sent)
    figure(f"orders of four makers in the fullest 10 s: {most} of {SMALL.orders_per_10_seconds}")
    assert not refused(four)
    assert most <= SMALL.orders_per_10_seconds
    used = sum(at_ns > began_ns for at_ns in sent)
    assert used > 0.4 * 2.5 * min(quoting, SMALL.orders_per_minute * 0.8 * 0.8 / 6), "what may be used is used"
    symbols = Counter(item.order.symbol for item in four.venue.accepted if item.at_ns > began_ns)
    assert all(symbols[symbol] for symbol in SYMBOLS), f"everybody has its part: {symbols}"


async def test_where_one_is_told_to_wait_all_wait_at_once_and_go_on_afterwards(four, figure):
    await four.venue.fault("rate-limit", status=429, retryAfterSeconds=4, count=1, endpoint="order.place")
    await four.wait(lambda: refused(four), "the exchange refuses one order", 60)
    at_ns = refused(four)[0].at_ns
    await asyncio.sleep(6)
    later = [asked.at_ns - at_ns for asked in orders_of(four) if asked.at_ns > at_ns]
    heard = [after_ns for after_ns in later if after_ns < 4 * NS]
    figure(f"a 429 for one: last order of four makers {max(heard, default=0) / 1e6:.1f} ms after it")
    assert not any(NS // 2 < after_ns < 39 * NS // 10 for after_ns in later)
    assert len(refused(four)) == 1
    await everybody_sends(four, four.mark)
    await four.ends_in_order(fills=False)


async def test_a_ban_halts_the_account_whatever_request_met_it(four):
    await four.venue.fault("rate-limit", status=418, retryAfterSeconds=5, count=1, endpoint="countdown")
    for symbol in SYMBOLS:
        await four.workers[symbol].until(lambda record: record.reason is Reason.EMERGENCY, "halted", 40)
    async with four.shared() as account:
        switch = await account.switch()
    assert "banned by the exchange" in switch.reason


async def test_who_is_banned_while_it_starts_holds_the_others_and_halts_the_account_once_it_is_known(open_arena):
    arena = await open_arena("ETHUSDT", "SOLUSDT")
    one = await arena.start("ETHUSDT")
    await arena.quoting()
    await arena.venue.fault("rate-limit", status=418, retryAfterSeconds=10, count=1, symbol="SOLUSDT")
    late = await arena.start("SOLUSDT")
    await late.until(lambda record: record.reason is Reason.EMERGENCY, "halted", 75)
    assert [line for line in one.lines() if line.get("reason") == "RateLimited"], "it heeded the ban of another"
    async with arena.shared() as account:
        switch = await account.switch()
    assert "banned by the exchange" in switch.reason
    assert len(refused(arena)) == 1


async def test_an_idle_maker_costs_what_it_is_admitted_with(open_arena, figure):
    """Over minutes of the simulated exchange's own count; the lone worker is the account's steward, too."""
    arena = await open_arena("ETHUSDT", speed=SPEED, paused=True)
    weights: list[tuple[int, int]] = []
    charged: list[int] = []
    limits = arena.venue.server.gateway.limits
    charge = limits.charge_weight

    def counted(ip, weight, now_ms):
        if weight not in (SNAPSHOT_WEIGHT, INCOME_WEIGHT):  # a book that a busy machine was too late for; once an hour
            weights.append((now_ms, weight))
        charged.append(weight)
        charge(ip, weight, now_ms)

    limits.charge_weight = counted
    worker = await arena.start()
    await worker.until(lambda record: record.reason is Reason.PAUSED, "it is idle")
    spoke = await arena.redis.command("HKEYS", EgressKeys("default").weight)
    assert [name for name in spoke if name.endswith(b"/start")], "before it read anything it asked the others"
    began_ms = weights[-1][0] + 5_000
    await asyncio.sleep(126 / SPEED)
    spent = sum(weight for at_ms, weight in weights if began_ms < at_ms <= began_ms + 120_000) / 2
    expected = fixed_weight_1m() + WEIGHT_1M
    figure(f"an idle worker costs {spent:.0f} of request weight a minute, {expected} are booked")
    at_the_edge = (DEAD_MAN + TRUTH + CLOCK) / 2
    assert spent <= expected + at_the_edge, "one of each may fall into the two minutes besides"
    assert spent >= expected / 2, "what is booked is what is used: who is held up asks later, but not half as often"

    cut_at, cut_ns = len(charged), time.monotonic_ns()
    await arena.venue.fault("disconnect")
    await worker.until(lambda record: not record.ready, "everything is cut")
    await worker.until(lambda record: record.ready, "and back")
    meanwhile = expected * (time.monotonic_ns() - cut_ns) / 60e9 * SPEED
    figure(f"a reconnect of all its streams reads {sum(charged[cut_at:])} of request weight, {RECONNECT} are told")
    late = 2 * SNAPSHOT_WEIGHT
    assert RECONNECT / 2 <= sum(charged[cut_at:]) <= RECONNECT + meanwhile + DEAD_MAN + TRUTH + CLOCK + late


class Newcomer:
    """A client of the exchange that does what a worker does until it may quote: it asks the others, then reads."""

    def __init__(self, arena, resolved):
        key, holder = read_key(arena.directory.credentials("arena")), "newcomer/1"
        self.clock, self.egress, self.dice = Clock(), resolved.egress, Random(1)  # noqa: S311 - jitter
        self.venue = client(Endpoints.at(arena.venue.url), resolved, key, self.clock, holder)
        seat = Seat(resolved.account_name, resolved.symbol, dry_run=False, ttl_s=5.0)
        self.start = Start(arena.redis.url, seat, holder, self.clock, partial(spent, self.venue.budget, self.clock))
        self.waited, self.kinds, self.changed = [], Counter(), asyncio.Event()

    async def begin(self):
        limits = self.venue.budget.limits
        await wait_to_start(
            self.start, self.egress, limits, self.clock, self.dice, lambda *told: self.waited.append(told)
        )
        assert not (await self.venue.prepare()).refused
        await self.venue.start(self.hear)
        await self.heard(StreamOpened, len(Stream))
        deadline_ns, an_hour_ago_ms = self.clock.monotonic_ns() + 4 * NS, self.clock.wall_ns() // 1_000_000 - 3_600_000
        for action in (
            FetchSnapshot(),
            FetchMinutes(),
            ArmDeadMan(60_000, deadline_ns),
            FetchTruth(1, 0, an_hour_ago_ms, []),
            FetchFunding(an_hour_ago_ms),
            FetchDay(1, start_of_day(an_hour_ago_ms + 3_600_000), 0, []),
        ):
            self.venue.perform(action)
        for kind in (
            DeadManArmed,
            Truth,
            FundingRead,
            DayRead,
            ClockSynced,
        ):  # the others, which nobody asks again here, are sent by then
            await self.heard(kind, 1)

    def hear(self, event):
        self.kinds[type(event)] += 1
        self.changed.set()

    async def heard(self, kind, times):
        while self.kinds[kind] < times:
            self.changed.clear()
            await self.changed.wait()

    async def close(self):
        await self.venue.close()
        await self.start.stop()

    @property
    def spent(self):
        return self.venue.budget.to_tell(self.clock.monotonic_ns()).weight_sent


async def test_a_start_reads_no_more_than_it_asks_the_others_for(open_arena, figure):
    """How many may start at once is the script's to say: see the tests of it. Here is what one of them costs."""
    arena = await open_arena("ETHUSDT")
    newcomer = Newcomer(arena, await load(arena.files() / "maker.yaml", arena.files() / "account.yaml"))
    try:
        async with asyncio.timeout(60):
            await newcomer.begin()
        figure(f"a start reads {newcomer.spent} of request weight, {START} are booked")
        assert newcomer.spent <= START + CLOCK, "a busy machine measures the clock once more"
        assert not newcomer.waited
        assert not refused(arena)
    finally:
        await newcomer.close()


async def test_a_maker_that_does_not_fit_waits_and_says_the_sum_until_there_is_room(open_arena):
    arena = await open_arena("ETHUSDT")
    makers = EgressKeys("default").makers
    await arena.redis.command("HSET", makers, "pod/other", f"1000 {10**15}")
    worker = await arena.start()
    cost = f"{fixed_weight_1m() + WEIGHT_1M} (with what its account costs once) of request weight a minute"
    told = f"this maker needs {cost} even when it does not quote; 1000 of the 1024 "
    record = await worker.until(lambda record: record.detail.startswith(told), "it does not fit, and says so")
    assert record.reason is Reason.PREFLIGHT_REFUSED
    assert (await worker.get("/readyz"))[0] == HTTPStatus.SERVICE_UNAVAILABLE
    assert (await worker.get("/livez"))[0] == HTTPStatus.OK
    await arena.redis.command("HDEL", makers, "pod/other")
    await arena.quoting()
    await arena.ends_in_order(fills=False)
