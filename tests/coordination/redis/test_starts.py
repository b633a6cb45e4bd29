"""What a start reads is booked, over a real server, with those who share the public IP."""

import asyncio
import itertools
import time

import msgspec
import pytest
from phoenix_coordination.port import BudgetGranted, BudgetNeed, BudgetTerms, LeaseGranted
from phoenix_coordination.redis import starts
from phoenix_coordination.redis.keys import AccountKeys, EgressKeys, identity_of
from phoenix_coordination.redis.starts import Seat, Spent, Start

ACCOUNT = "binance-usdm:simulator:abc"
TERMS = BudgetTerms("default", 300, 1_200, 2_400, order_share=0.8, weight_share=0.8, reserve_share=0.2)
RESOURCE, LED = "local/main", "BTCUSDT"
CAP = 1_920
OWN, UNHURRIED = 480, 1_152
"""The part of successors, and what all may have sent when one begins beyond it: quotes keep a quarter of 1 536."""
SECOND_NS = 1_000_000_000


class Life:
    """A minute of it is longer than any test."""

    rate = 1.0
    monotonic_ns = staticmethod(time.monotonic_ns)


class Starting(Start):
    """A worker's start; the test says what that worker reads, and hears of the exchange."""

    def __init__(self, url, symbol, holder, clock):
        super().__init__(url, Seat(RESOURCE, symbol, False, 5.0), holder, clock, lambda: self.spent)
        self.spent = Spent(0, 0)

    def reads(self, weight):
        self.spent = msgspec.structs.replace(
            self.spent, weight=self.spent.weight + weight, weight_1m=self.spent.weight_1m + weight
        )

    def hears(self, **fields):
        self.spent = msgspec.structs.replace(self.spent, **fields)

    async def is_left(self):
        """What was booked and not read is given back."""
        async with asyncio.timeout(20):
            while self._terms is not None or self._tasks:  # noqa: ASYNC110 - it tells nobody when it is done
                await asyncio.sleep(0.01)

    async def may_begin(self, weight):
        answer = await self.ask(TERMS, weight)
        assert answer.reachable
        return not answer.problem


@pytest.fixture
async def start(redis_world):
    """The next worker that starts; nobody leads its symbol, where that is not `LED`."""
    begun = []

    def begin(url=None, clock=None, symbol="SOLUSDT") -> Starting:
        begun.append(Starting(url or redis_world.server.url, symbol, f"start/{len(begun)}", clock or Life()))
        return begun[-1]

    yield begin
    await asyncio.gather(*(each.stop() for each in begun))


@pytest.fixture
async def member(redis_world):
    """One who is at work behind the same address."""
    member = redis_world.member()
    await member.coordinator.join(ACCOUNT)
    assert not (await member.admit(TERMS, 10, 10)).problem
    await member.coordinator.start(member.sink)
    return member


async def begin_all(workers, weight):
    """How many of them may begin, all asking at once."""
    answers = await asyncio.gather(*(worker.may_begin(weight) for worker in workers))
    return [worker for worker, begins in zip(workers, answers, strict=True) if begins]


async def test_of_many_that_start_at_once_as_many_begin_as_the_minute_admits(start):
    workers = [start() for _ in range(30)]
    assert len(await begin_all(workers, 100)) == CAP // 100


async def test_nobody_waits_for_those_who_hold_a_part(start):
    """However many wait: who cannot have the whole holds nothing, and the next that fits begins."""
    first, *others = (start() for _ in range(30))
    assert await begin_all([first], CAP - 150) == [first]
    assert len(await begin_all(others, 100)) == 1
    assert len(await begin_all([start()], 50)) == 1


async def test_who_waits_is_told_the_sum_and_begins_when_there_is_room(start):
    first, second = start(), start()
    assert await first.may_begin(1_900)
    assert (await second.ask(TERMS, 100)).problem == (
        "a start reads 100 of request weight, for which egress default has no room among the 1920 of this minute: "
        "it begins as soon as there is"
    )
    await first.stop()
    assert await second.may_begin(100)


async def test_another_egress_has_a_minute_of_its_own(start):
    assert await start().may_begin(CAP)
    other = BudgetTerms("other", 300, 1_200, 2_400, order_share=0.8, weight_share=0.8, reserve_share=0.2)
    assert not (await start().ask(other, CAP)).problem


# -- what was read is no booking any more --------------------------------------------------------------


async def test_what_was_booked_and_not_read_is_booked_once_however_often_a_start_begins_again(start):
    worker = start()
    for _ in range(5):
        assert await worker.may_begin(1_900)


async def test_what_an_attempt_has_read_counts_beside_what_the_next_one_books(start):
    worker = start()
    for _ in range(4):
        assert await worker.may_begin(500)
        worker.reads(400)
    assert not await worker.may_begin(500), "1600 are read"
    assert await worker.may_begin(CAP - 1_600)


async def test_twenty_that_start_again_and_again_read_no_more_than_the_minute_admits(start):
    workers, read = [start() for _ in range(20)], 0
    for _ in range(5):
        for worker in await begin_all(workers, 116):
            worker.reads(102)
            read += 102
    assert CAP - 116 - 20 * (116 - 102) < read <= CAP


async def test_an_hour_of_attempts_counts_with_what_its_last_minute_holds(start):
    worker, other = start(), start()
    worker.hears(weight=12_240, weight_1m=153)
    assert await worker.may_begin(100)
    assert not await other.may_begin(CAP - 252)
    assert await other.may_begin(CAP - 253)


async def test_who_ends_before_it_has_begun_to_work_leaves_what_it_has_read(start):
    first, second = start(), start()
    assert await first.may_begin(500)
    first.reads(300)
    await first.stop()
    assert not await second.may_begin(CAP - 299)
    assert await second.may_begin(CAP - 300)


async def test_a_server_that_has_forgotten_a_start_counts_what_it_has_not_been_told(start, redis_world):
    worker, other = start(), start()
    worker.reads(300)
    assert await worker.may_begin(100)
    worker.reads(70)
    await redis_world.client.execute_command("FLUSHALL")
    assert await worker.may_begin(100)
    assert not await other.may_begin(CAP - 169)
    assert await other.may_begin(CAP - 170)


async def test_what_was_booked_is_given_back_when_the_start_is_over(start, monkeypatch):
    """From then on somebody else tells what is sent, and is told where to begin."""
    monkeypatch.setattr(starts, "OVER_AFTER_S", 0.1)
    first, second = start(), start()
    first.reads(20)
    assert await first.may_begin(1_900)
    first.reads(300)
    first.is_over_soon()
    assert first.told == 20
    async with asyncio.timeout(20):
        while not await second.may_begin(1_900):  # noqa: ASYNC110 - the server tells nobody of it
            await asyncio.sleep(0.01)
    assert first.told == 20


# -- what the exchange says ----------------------------------------------------------------------------


async def test_what_the_exchange_told_a_start_of_its_minute_counts_for_everybody(start):
    worker, other = start(), start()
    worker.hears(exchange_ms=1_700_000_040_000, weight_1m_reported=1_800)
    assert await worker.may_begin(20)
    assert not await other.may_begin(101)
    assert await other.may_begin(100)


async def test_a_start_that_is_told_to_wait_holds_the_others_at_once(start, member, redis_world):
    worker = start(clock=redis_world.clock)
    assert await worker.may_begin(100)
    await redis_world.listened_to(EgressKeys("default").back_off)
    member.coordinator.spend(BudgetNeed(1, 0, 0, 0, 0, 0, 0))
    await member.hears(BudgetGranted)
    heard = member.count
    worker.hears(blocked_ns=600 * SECOND_NS)
    worker.tell()
    assert (await member.hears(BudgetGranted, after=heard)).egress_blocked_until_ns
    waits = await start(clock=redis_world.clock).ask(TERMS, 1)
    assert waits.reachable
    assert waits.problem == (
        "the exchange wants to hear nothing from egress default for a while (429 or 418), as it told one of those who "
        "share it: a start begins when that is over"
    )


async def test_what_a_start_has_booked_stays_while_it_tells_of_a_refusal(start):
    """Requests that are on their way are still answered."""
    worker, other = start(), start()
    assert await worker.may_begin(1_000)
    worker.reads(100)
    worker.hears(blocked_ns=1)
    worker.tell()
    async with asyncio.timeout(20):
        while worker.told < 100:  # noqa: ASYNC110 - it tells nobody when it is done
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.01)  # the back-off is over
    assert not await other.may_begin(CAP - 999)
    assert await other.may_begin(CAP - 1_000)


async def test_while_the_exchange_wants_to_hear_nothing_nobody_begins(start, member, redis_world):
    member.coordinator.spend(BudgetNeed(1, 0, 0, 0, 0, 0, 0, egress_blocked_ns=600 * SECOND_NS))
    await member.hears(BudgetGranted)
    assert not await start(clock=redis_world.clock).may_begin(1)


# -- beside others -------------------------------------------------------------------------------------


async def test_those_who_quote_are_granted_what_starts_leave(start, member, redis_world):
    async def granted():
        for sequence in range(1, 100):
            heard = member.count
            member.coordinator.spend(BudgetNeed(sequence, 0, 0, 0, 0, 20, 0))
            if weight := (await member.hears(BudgetGranted, after=heard)).weight:
                return weight
            await asyncio.sleep(0.02)
        return 0

    assert await granted() == 20
    assert await start(clock=redis_world.clock).may_begin(1_536)
    heard = member.count
    member.coordinator.spend(BudgetNeed(1_000, 0, 0, 0, 0, 20, 0))
    assert (await member.hears(BudgetGranted, after=heard)).weight == 0


# -- who follows one that leads ------------------------------------------------------------------------


@pytest.fixture
def successor(start, redis_world):
    """The next worker that starts for a symbol whose lease is held and renewed."""
    beat = itertools.count(1)
    lease = AccountKeys(ACCOUNT).lease(LED)

    async def begin():
        await redis_world.client.execute_command("SET", identity_of(RESOURCE), ACCOUNT)
        await redis_world.client.execute_command("HSET", lease, "holder", "pod/9", "beat", str(next(beat)))
        return start(symbol=LED, clock=redis_world.clock)

    return begin


@pytest.mark.parametrize(
    ("quoted", "begin"),
    [(0, 5), (182, 5), (183, 4), (376, 4), (377, 3), (764, 2), (1_532, 2), (1_533, 1), (1_726, 1), (1_727, 0)],
)
async def test_successors_take_what_quotes_leave_and_their_own_part_where_these_leave_nothing(
    successor, member, quoted, begin
):
    member.coordinator.spend(BudgetNeed(1, 0, 0, 0, quoted, 0, 0))
    await member.hears(BudgetGranted)
    assert len(await begin_all([await successor() for _ in range(10)], 194)) == begin


async def test_who_waits_for_quotes_is_told_so(successor, member):
    member.coordinator.spend(BudgetNeed(1, 0, 0, 0, 1_000, 0, 0))
    await member.hears(BudgetGranted)
    assert len(await begin_all([await successor() for _ in range(2)], 200)) == 2
    assert (await (await successor()).ask(TERMS, 200)).problem == (
        "a start reads 200 of request weight, for which egress default has no room among the 480 of this minute for "
        "successors, and quotes leave none of 1152: it begins as soon as there is"
    )


async def test_a_start_counts_in_the_part_of_successors_when_somebody_else_tells_what_it_reads(
    start, successor, member, redis_world, monkeypatch
):
    """Who is replaced twice in a minute waits where nothing is left, and the one before quotes on."""
    monkeypatch.setattr(starts, "OVER_AFTER_S", 0.1)
    workers = [start(clock=redis_world.clock), await successor()]
    for worker in workers:
        assert await worker.may_begin(194)
        worker.reads(102)
        worker.is_over_soon()
        worker.reads(500)  # of the rest of its start, and of its quotes
    await asyncio.gather(*(worker.is_left() for worker in workers))
    member.coordinator.spend(BudgetNeed(1, 0, 0, 0, 1_000 + 2 * 194, 0, 0))
    await member.hears(BudgetGranted)
    assert not await (await successor()).may_begin(OWN - 2 * 194 + 1)
    assert await (await successor()).may_begin(OWN - 2 * 194)


@pytest.mark.parametrize(
    ("lease", "at_once"),
    [
        pytest.param({}, True, id="there is none"),
        pytest.param({"holder": "pod/9", "beat": "7", "released": "1"}, True, id="released"),
        pytest.param({"holder": "pod/9", "beat": "7"}, False, id="not renewed for a ttl"),
    ],
)
async def test_who_follows_nobody_does_not_wait_for_quotes(start, member, redis_world, lease, at_once):
    """A symbol that nobody leads loses more than those lose who quote a little later."""
    await redis_world.client.execute_command("SET", identity_of(RESOURCE), ACCOUNT)
    for name, value in lease.items():
        await redis_world.client.execute_command("HSET", AccountKeys(ACCOUNT).lease(LED), name, value)
    member.coordinator.spend(BudgetNeed(1, 0, 0, 0, UNHURRIED, 0, 0))
    await member.hears(BudgetGranted)
    assert await start(clock=redis_world.clock).may_begin(OWN)
    worker, looks = start(symbol=LED, clock=redis_world.clock), 1
    async with asyncio.timeout(20):
        while not await worker.may_begin(CAP - UNHURRIED - OWN):
            looks += 1
            await asyncio.sleep(0.05)
    assert (looks == 1) is at_once


async def test_who_follows_one_that_leads_knows_it_by_the_lease_itself(start, member, redis_world):
    """As workers write it."""
    await member.hears(LeaseGranted)
    assert await start(symbol=LED, clock=redis_world.clock)._is_led()
    assert not await start(symbol="SOLUSDT", clock=redis_world.clock)._is_led()


async def test_a_name_of_an_account_that_is_none_is_nobody_s(start, redis_world):
    await redis_world.client.execute_command("SET", identity_of(RESOURCE), "{mine}")
    assert await start(symbol=LED).may_begin(CAP)


# -- no Redis ------------------------------------------------------------------------------------------


async def test_a_redis_that_cannot_be_asked_is_told_and_holds_nobody_up(start, redis_world):
    away = start("unix:///nowhere/redis.sock")
    answer = await away.ask(TERMS, 100)
    assert answer.problem
    assert not answer.reachable
    assert away.told == 0
    await redis_world.client.execute_command("SET", EgressKeys("default").weight, "mine")
    foreign = await start().ask(TERMS, 100)
    assert "foreign value" in foreign.problem
    assert not foreign.reachable
