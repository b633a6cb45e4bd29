"""A worker's part of the budgets over a real server: asked, granted, announced, given back."""

import asyncio

import msgspec
import pytest
from phoenix_coordination.port import BudgetGranted, BudgetNeed, BudgetTerms, LeaseTimes, Reachable, Unreachable
from phoenix_coordination.redis.budgets import Budgets
from phoenix_coordination.redis.client import connect
from phoenix_coordination.redis.keys import EgressKeys

ACCOUNT = "binance-usdm:simulator:abc"
TERMS = BudgetTerms("default", 300, 1_200, 2_400, order_share=0.8, weight_share=0.8, reserve_share=0.2)
FIXED, SHARED = 94, 80
SECOND_NS = 1_000_000_000


def any_grant(_):
    return True


def need(sequence, **fields):
    defaults = {"orders_sent": 0, "orders_wanted": 10, "orders_unused": 0}
    weight = {"weight_sent": 0, "weight_wanted": 10, "weight_unused": 0}
    return BudgetNeed(sequence=sequence, **{**defaults, **weight, **fields})


class Maker:
    """A coordinator that asks again and again, as a worker does."""

    def __init__(self, member) -> None:
        self.member, self.coordinator = member, member.coordinator
        self.sequence = 0

    def ask(self, **fields):
        self.sequence += 1
        self.coordinator.spend(need(self.sequence, **fields))

    async def hears(self, wanted, **fields):
        """The first grant that is as wanted; asks until it comes."""
        async with asyncio.timeout(20):
            while True:
                heard = self.member.count
                self.ask(**fields)
                grant = await self.member.hears(BudgetGranted, after=heard)
                if wanted(grant):
                    return grant
                await asyncio.sleep(0.02)


@pytest.fixture
def maker(redis_world):
    """Joins the account, is admitted, and starts."""

    async def make(symbol="BTCUSDT", *, fixed=FIXED, start=True, **fields):
        member = redis_world.member(symbol, **fields)
        await member.coordinator.join(ACCOUNT)
        admission = await member.admit(TERMS, fixed, SHARED)
        assert (admission.problem, admission.reachable) == ("", True)
        if start:
            await member.coordinator.start(member.sink)
        return Maker(member)

    return make


class HandClock:
    """Time that moves when the test says so; at the server it is life's."""

    rate = 1.0

    def __init__(self):
        self.now_ns = 1_000 * SECOND_NS

    def monotonic_ns(self):
        return self.now_ns


class Bookkeeper:
    """One worker's budgets, without the rest of it."""

    def __init__(self, url, keys):
        self.clock, self.sequence = HandClock(), 0
        self.grants, self.faults = asyncio.Queue(), []
        self.client = connect(url, 20.0)
        times = LeaseTimes(ttl_s=5.0, renew_s=0.5, margin_s=1.0)
        place = (self.client, keys, "BTCUSDT", "pod/1", self.clock, times)
        self.budgets = Budgets(*place, self.grants.put_nowait, self.faults.append)

    def spend(self, **fields):
        self.sequence += 1
        self.budgets.spend(need(self.sequence, **fields))

    async def answered(self):
        async with asyncio.timeout(20):
            while (await self.grants.get()).sequence < self.sequence:
                pass
        assert not any(self.faults)


@pytest.fixture
async def bookkeeper(redis_world):
    keeper = Bookkeeper(redis_world.server.url, redis_world.keys)
    assert not (await keeper.budgets.admit(TERMS, FIXED, SHARED)).problem
    keeper.budgets.start()
    yield keeper
    await keeper.budgets.stop()
    await keeper.client.aclose()


async def window_in(redis_world, key):
    """As it is remembered: now, shift, since, blocked until (ms), its seconds (which, sent, granted), reports."""
    return msgspec.msgpack.decode(await redis_world.client.execute_command("HGET", key, "window"))


async def sent_in(redis_world, key):
    return sum((await window_in(redis_world, key))[4][1::3])


async def makers_in(redis_world):
    return await redis_world.client.execute_command("HGETALL", EgressKeys("default").makers)


async def test_a_need_is_answered_by_a_grant_of_its_sequence_that_lapses(maker, redis_world):
    one = await maker()
    grant = await one.hears(lambda grant: grant.orders == 10)
    assert grant.weight == 10
    assert grant.sequence <= one.sequence
    now_ns = redis_world.clock.monotonic_ns()
    assert now_ns < grant.until_ns <= now_ns + 2 * 500_000_000
    assert (grant.account_blocked_until_ns, grant.egress_blocked_until_ns) == (0, 0)


async def test_of_needs_that_wait_the_newest_is_asked_with_what_all_have_sent(maker):
    one = await maker()
    await one.hears(lambda grant: grant.orders == 10)
    for _ in range(5):
        one.ask(orders_sent=30)
    two = await maker("ETHUSDT")
    grant = await two.hears(any_grant, orders_wanted=200)
    assert 0 <= grant.orders <= 192 - 150


async def test_a_back_off_reaches_the_others_at_once_without_their_asking(maker, redis_world):
    one, two = await maker("BTCUSDT"), await maker("ETHUSDT")
    for each in (one, two):
        await each.hears(lambda grant: grant.orders > 0)
    for channel in (redis_world.keys.back_off, EgressKeys("default").back_off):
        await redis_world.listened_to(channel, by=2)
    heard = two.member.count
    one.ask(egress_blocked_ns=30_000_000_000, account_blocked_ns=20_000_000_000)
    grant = await two.member.hears(BudgetGranted, after=heard)
    now_ns = redis_world.clock.monotonic_ns()
    assert grant.orders == grant.weight == 0
    assert 20_000_000_000 < grant.egress_blocked_until_ns - now_ns <= 30_000_000_000
    assert 10_000_000_000 < grant.account_blocked_until_ns - now_ns <= 20_000_000_000


async def test_a_maker_that_does_not_fit_is_told_the_sum_and_what_to_do(maker, redis_world):
    await maker(fixed=900)
    late = redis_world.member("ETHUSDT")
    await late.coordinator.join(ACCOUNT)
    admission = await late.admit(TERMS, FIXED, SHARED)
    assert admission.problem == (
        "this maker needs 94 of request weight a minute even when it does not quote; 980 of the 1024 that such costs "
        "may take of egress default are taken by 1 other makers (of its 1536 the rest is for quoting): run fewer from "
        "this IP, name another egress, or raise budgets.requestWeightShare of the account"
    )
    assert admission.reachable


async def test_the_first_maker_of_an_account_is_told_what_the_account_costs_too(redis_world):
    member = redis_world.member()
    await member.coordinator.join(ACCOUNT)
    told = (await member.admit(TERMS, 1_000, SHARED)).problem
    assert told.startswith("this maker needs 1080 (with what its account costs once) of request weight a minute even ")


async def test_an_egress_full_of_makers_leaves_each_of_them_weight_to_quote_with(redis_world):
    """However many it admits: all of their fixed cost is spent, and for each order a cancel is left."""
    makers, symbols = [], 0
    while True:
        member = redis_world.member(f"X{symbols}USDT")
        await member.coordinator.join(ACCOUNT)
        if (await member.admit(TERMS, FIXED, SHARED)).problem:
            break
        symbols += 1
        await member.coordinator.start(member.sink)
        makers.append(Maker(member))
    assert len(makers) == 10
    for each in makers:
        await each.hears(any_grant, orders_wanted=0, weight_wanted=0, weight_sent=FIXED)
    makers[0].ask(orders_wanted=0, weight_wanted=0, weight_sent=SHARED)
    for each in makers:
        grant = await each.hears(lambda grant: grant.orders > 0)
        assert grant.orders > 0


async def test_a_full_egress_admits_whoever_works_on_a_symbol_that_it_has_already(maker, redis_world):
    one = await maker(fixed=900)
    await maker(fixed=900)
    await one.coordinator.stop()
    other = redis_world.member("ETHUSDT")
    await other.coordinator.join(ACCOUNT)
    assert "980 of the 1024" in (await other.admit(TERMS, FIXED, SHARED)).problem, "the second one holds it"


async def test_a_rehearsal_of_a_symbol_costs_beside_its_live_maker(maker, redis_world):
    await maker(fixed=900)
    rehearsal = redis_world.member(dry_run=True)
    await rehearsal.coordinator.join(ACCOUNT)
    assert "980 of the 1024" in (await rehearsal.admit(TERMS, FIXED, SHARED)).problem


async def test_who_leaves_gives_its_place_and_what_it_holds_back(maker, redis_world):
    one = await maker(fixed=900)
    await one.hears(lambda grant: grant.orders == 10, orders_wanted=10)
    await one.coordinator.stop()
    left = await makers_in(redis_world)
    assert list(left) == [f"account:{ACCOUNT}".encode()]
    other = await maker("ETHUSDT")
    assert (await other.hears(lambda grant: grant.orders == 10)).weight == 10


async def test_nobody_is_admitted_while_redis_cannot_be_reached(redis_world):
    member = redis_world.member()
    await member.coordinator.join(ACCOUNT)
    redis_world.cut()
    admission = await member.admit(TERMS, FIXED, SHARED)
    assert not admission.reachable
    assert "Redis cannot be reached" in admission.problem
    redis_world.heal()


async def test_without_redis_no_grant_comes_and_afterwards_all_that_was_sent_counts(maker, redis_world):
    one = await maker()
    await one.hears(lambda grant: grant.orders == 10)
    redis_world.cut()
    await one.member.hears(Unreachable)
    heard = one.member.count
    one.ask(orders_sent=100)
    one.ask(orders_sent=60)
    await asyncio.sleep(0.3)
    assert not any(isinstance(message, BudgetGranted) for message in one.member.told[heard:])
    redis_world.heal()
    await one.member.hears(Reachable, after=heard)
    two = await maker("ETHUSDT")
    await one.hears(any_grant, orders_wanted=0)
    grant = await two.hears(lambda grant: grant.orders > 0, orders_wanted=200)
    assert grant.orders <= 192 - 160


async def test_what_could_not_be_told_for_hours_counts_with_what_its_last_minute_holds(bookkeeper, redis_world):
    """Nobody is silenced by what the exchange has forgotten; what was told before is not counted again."""
    bookkeeper.spend(orders_sent=3, weight_sent=20)
    await bookkeeper.answered()
    for _ in range(60):  # none of them is heard of before the last one is told
        bookkeeper.clock.now_ns += 120 * SECOND_NS
        bookkeeper.spend(orders_sent=100, weight_sent=200)
    bookkeeper.clock.now_ns += 59 * SECOND_NS
    bookkeeper.spend(orders_sent=7, weight_sent=11)
    await bookkeeper.answered()
    assert await sent_in(redis_world, redis_world.keys.orders) == 3 + 107
    assert await sent_in(redis_world, EgressKeys("default").weight) == 20 + 211
    bookkeeper.clock.now_ns += 3 * SECOND_NS
    bookkeeper.spend()
    await bookkeeper.answered()
    assert await sent_in(redis_world, EgressKeys("default").weight) == 20 + 211, "told twice, nothing counts twice"


@pytest.mark.parametrize(
    ("blocked_ns", "blocked_ms"),
    [
        pytest.param(0, 0, id="none"),
        pytest.param(1, 1, id="a nanosecond is a millisecond"),
        pytest.param(5_000_000_000, 5_000, id="five seconds"),
        pytest.param(5_000_000_001, 5_001, id="and a little more"),
    ],
)
async def test_a_back_off_never_becomes_shorter_on_its_way(bookkeeper, redis_world, blocked_ns, blocked_ms):
    bookkeeper.spend(account_blocked_ns=blocked_ns, egress_blocked_ns=blocked_ns)
    await bookkeeper.answered()
    for key in (redis_world.keys.orders, EgressKeys("default").weight):
        now_ms, _, _, blocked_until_ms, *_ = await window_in(redis_world, key)
        assert max(0, blocked_until_ms - now_ms) == blocked_ms


async def test_a_rehearsal_counts_weight_and_no_orders(maker, redis_world):
    rehearsal = await maker(dry_run=True)
    grant = await rehearsal.hears(lambda grant: grant.weight == 10, orders_sent=5)
    assert grant.orders == 0
    assert not await redis_world.client.execute_command("EXISTS", redis_world.keys.orders)


async def test_a_foreign_value_in_a_window_is_told_by_name(maker, redis_world):
    one = await maker()
    await redis_world.client.execute_command("HSET", redis_world.keys.orders, "window", "who?")
    one.ask()
    told = await one.member.hears(Unreachable)
    assert told.reason == (
        f"Redis holds what no worker wrote: {redis_world.keys.orders} holds no budget: it is not ours"
    )
