"""What a start reads is booked, over a real server, with those who share the public IP."""

import asyncio

import msgspec
import pytest
from phoenix_coordination.port import BudgetGranted, BudgetNeed, BudgetTerms
from phoenix_coordination.redis import starts
from phoenix_coordination.redis.keys import EgressKeys
from phoenix_coordination.redis.starts import Spent, Start, starts_in

ACCOUNT = "binance-usdm:simulator:abc"
TERMS = BudgetTerms("default", 300, 1_200, 2_400, order_share=0.8, weight_share=0.8, reserve_share=0.2)
CAP = 1_920
"""What all may have sent in the minute in which a start begins."""
UNHURRIED = 1_152
"""Beyond the starts' own part: of 1 536, which quoting may use, a quarter is left to it."""
OWN = 480
SECOND_NS = 1_000_000_000


class Life:
    """A minute of it is longer than any test."""

    rate = 1.0


class Starting(Start):
    """A worker's start; the test says what that worker reads, and hears of the exchange."""

    def __init__(self, url, holder, clock):
        super().__init__(url, holder, clock, lambda: self.spent)
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
    """The next worker that starts."""
    begun = []

    def begin(url=None, clock=None) -> Starting:
        begun.append(Starting(url or redis_world.server.url, f"pod/{len(begun)}", clock or Life()))
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


async def test_of_many_that_start_at_once_as_many_begin_as_leave_room_to_quote(start):
    workers = [start() for _ in range(30)]
    assert len(await begin_all(workers, 100)) == starts_in(TERMS, 100, 0) == UNHURRIED // 100


async def test_nobody_waits_for_those_who_hold_a_part(start):
    """However many wait: who cannot have the whole holds nothing, and the next that fits begins."""
    first, *others = (start() for _ in range(30))
    assert await begin_all([first], UNHURRIED - 150) == [first]
    assert len(await begin_all(others, 100)) == 1
    assert len(await begin_all([start()], 50)) == 1


async def test_who_waits_is_told_the_sum_and_begins_when_there_is_room(start):
    first, second = start(), start()
    assert await first.may_begin(1_900)
    assert (await second.ask(TERMS, 100)).problem == (
        "a start reads 100 of request weight, for which egress default has no room: of a minute 480 are for starts, "
        "and what is quoted leaves none of 1152; it begins as soon as there is"
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
        worker.reads(200)
    assert not await worker.may_begin(500), "800 are read"
    assert await worker.may_begin(UNHURRIED - 800)


async def test_twenty_that_start_again_and_again_read_no_more_than_the_minute_admits(start):
    workers, read = [start() for _ in range(20)], 0
    for _ in range(5):
        for worker in await begin_all(workers, 116):
            worker.reads(102)
            read += 102
    assert UNHURRIED - 116 - 20 * (116 - 102) < read <= UNHURRIED


async def test_an_hour_of_attempts_counts_with_what_its_last_minute_holds(start):
    worker, other = start(), start()
    worker.hears(weight=12_240, weight_1m=153)
    assert await worker.may_begin(100)
    assert not await other.may_begin(UNHURRIED - 252)
    assert await other.may_begin(UNHURRIED - 253)


async def test_who_ends_before_it_has_begun_to_work_leaves_what_it_has_read(start):
    first, second = start(), start()
    assert await first.may_begin(500)
    first.reads(300)
    await first.stop()
    assert not await second.may_begin(UNHURRIED - 299)
    assert await second.may_begin(UNHURRIED - 300)


async def test_a_server_that_has_forgotten_a_start_counts_what_it_has_not_been_told(start, redis_world):
    worker, other = start(), start()
    worker.reads(300)
    assert await worker.may_begin(100)
    worker.reads(70)
    await redis_world.client.execute_command("FLUSHALL")
    assert await worker.may_begin(100)
    assert not await other.may_begin(UNHURRIED - 169)
    assert await other.may_begin(UNHURRIED - 170)


async def test_what_was_booked_is_given_back_when_the_start_is_over(start, monkeypatch):
    """From then on somebody else tells what is sent, and is told where to begin."""
    monkeypatch.setattr(starts, "OVER_AFTER_S", 0.1)
    first, second = start(), start()
    first.reads(20)
    assert await first.may_begin(1_100)
    first.reads(300)
    first.is_over_soon()
    assert first.told == 20
    async with asyncio.timeout(20):
        while not await second.may_begin(1_100):  # noqa: ASYNC110 - the server tells nobody of it
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
    assert not await other.may_begin(UNHURRIED - 999)
    assert await other.may_begin(UNHURRIED - 1_000)


async def test_while_the_exchange_wants_to_hear_nothing_nobody_begins(start, member, redis_world):
    member.coordinator.spend(BudgetNeed(1, 0, 0, 0, 0, 0, 0, egress_blocked_ns=600 * SECOND_NS))
    await member.hears(BudgetGranted)
    assert not await start(clock=redis_world.clock).may_begin(1)


# -- beside others -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quoted", "begin"),
    [(0, 5), (376, 4), (377, 3), (764, 2), (765, 2), (1_536, 1), (1_726, 1), (1_727, 0)],
)
async def test_starts_take_what_quotes_leave_and_their_own_part_where_these_leave_nothing(start, member, quoted, begin):
    member.coordinator.spend(BudgetNeed(1, 0, 0, 0, quoted, 0, 0))
    await member.hears(BudgetGranted)
    workers = [start() for _ in range(10)]
    assert len(await begin_all(workers, 194)) == starts_in(TERMS, 194, quoted) == begin


async def test_a_start_counts_in_the_part_of_starts_when_somebody_else_tells_what_it_reads(start, member, monkeypatch):
    """Who is replaced twice in a minute waits where nothing is left, and the one before quotes on."""
    monkeypatch.setattr(starts, "OVER_AFTER_S", 0.1)
    workers = [start() for _ in range(2)]
    for worker in workers:
        assert await worker.may_begin(194)
        worker.reads(102)
        worker.is_over_soon()
        worker.reads(500)  # of the rest of its start, and of its quotes
    await asyncio.gather(*(worker.is_left() for worker in workers))
    member.coordinator.spend(BudgetNeed(1, 0, 0, 0, 1_000 + 2 * 194, 0, 0))
    await member.hears(BudgetGranted)
    third = start()
    assert not await third.may_begin(OWN - 2 * 194 + 1)
    assert await third.may_begin(OWN - 2 * 194)


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
    assert await start(clock=redis_world.clock).may_begin(1_000)
    member.coordinator.spend(BudgetNeed(500, 0, 0, 0, 1_536 - 1_000, 0, 0))
    heard = member.count
    member.coordinator.spend(BudgetNeed(1_000, 0, 0, 0, 0, 20, 0))
    assert (await member.hears(BudgetGranted, after=heard)).weight == 0


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
