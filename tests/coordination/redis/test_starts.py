"""What a start reads is booked, over a real server, with those who share the public IP."""

import asyncio

import pytest
from phoenix_coordination.port import BudgetGranted, BudgetNeed, BudgetTerms
from phoenix_coordination.redis import starts
from phoenix_coordination.redis.keys import EgressKeys
from phoenix_coordination.redis.starts import Start

ACCOUNT = "binance-usdm:simulator:abc"
TERMS = BudgetTerms("default", 300, 1_200, 2_400, order_share=0.8, weight_share=0.8, reserve_share=0.2)
CAP = 1_920


@pytest.fixture
async def start(redis_world):
    """The next worker that starts."""
    begun = []

    def begin(url=None) -> Start:
        begun.append(Start(url or redis_world.server.url, f"pod/{len(begun)}", redis_world.clock))
        return begun[-1]

    yield begin
    await asyncio.gather(*(each.stop() for each in begun))


async def begin_all(workers, weight):
    """How many of them may begin, all asking at once."""
    answers = await asyncio.gather(*(worker.ask(TERMS, weight) for worker in workers))
    assert all(answer.reachable for answer in answers)
    return [worker for worker, answer in zip(workers, answers, strict=True) if not answer.problem]


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
    assert not (await first.ask(TERMS, 1_900)).problem
    assert (await second.ask(TERMS, 100)).problem == (
        "a start reads 100 of request weight, for which egress default has no room among the 1920 of this minute: "
        "it begins as soon as there is"
    )
    await first.stop()
    assert not (await second.ask(TERMS, 100)).problem


async def test_a_start_that_begins_again_books_once(start):
    worker = start()
    for _ in range(5):
        assert not (await worker.ask(TERMS, 1_900)).problem


async def test_what_was_booked_is_given_back_when_the_start_is_over(start, monkeypatch):
    monkeypatch.setattr(starts, "OVER_AFTER_S", 0.1)
    first, second = start(), start()
    assert not (await first.ask(TERMS, 1_900)).problem
    first.is_over_soon()
    async with asyncio.timeout(20):
        while (await second.ask(TERMS, 1_900)).problem:  # noqa: ASYNC110 - the server tells nobody of it
            await asyncio.sleep(0.01)


async def test_another_egress_has_a_minute_of_its_own(start):
    assert await begin_all([start()], CAP)
    other = BudgetTerms("other", 300, 1_200, 2_400, order_share=0.8, weight_share=0.8, reserve_share=0.2)
    assert not (await start().ask(other, CAP)).problem


async def test_those_who_quote_are_granted_what_starts_leave(start, redis_world):
    member = redis_world.member()
    await member.coordinator.join(ACCOUNT)
    assert not (await member.admit(TERMS, 10, 10)).problem
    await member.coordinator.start(member.sink)

    async def granted():
        for sequence in range(1, 100):
            heard = member.count
            member.coordinator.spend(BudgetNeed(sequence, 0, 0, 0, 0, 20, 0))
            if weight := (await member.hears(BudgetGranted, after=heard)).weight:
                return weight
            await asyncio.sleep(0.02)
        return 0

    assert await granted() == 20
    assert await begin_all([start()], 1_536)
    heard = member.count
    member.coordinator.spend(BudgetNeed(1_000, 0, 0, 0, 0, 20, 0))
    assert (await member.hears(BudgetGranted, after=heard)).weight == 0


async def test_while_the_exchange_wants_to_hear_nothing_nobody_begins(start, redis_world):
    member = redis_world.member()
    await member.coordinator.join(ACCOUNT)
    assert not (await member.admit(TERMS, 10, 10)).problem
    await member.coordinator.start(member.sink)
    member.coordinator.spend(BudgetNeed(1, 0, 0, 0, 0, 0, 0, egress_blocked_ns=60_000_000_000))
    await member.hears(BudgetGranted)
    assert not await begin_all([start()], 1)


async def test_a_redis_that_cannot_be_asked_is_told_and_holds_nobody_up(start, redis_world):
    away = start("unix:///nowhere/redis.sock")
    answer = await away.ask(TERMS, 100)
    assert answer.problem
    assert not answer.reachable
    await redis_world.client.execute_command("SET", EgressKeys("default").weight, "mine")
    foreign = await start().ask(TERMS, 100)
    assert "foreign value" in foreign.problem
    assert not foreign.reachable
