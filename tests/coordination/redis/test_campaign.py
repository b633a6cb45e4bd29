"""What happens while a request is under way: the moments in which a lease could be had twice, or a memory be lost."""

import asyncio

import pytest
from phoenix_coordination.port import EmergencyChanged, LeaseGranted, LeaseLost, LeaseRenewed, LeaseTimes
from phoenix_coordination.redis import records
from phoenix_coordination.redis.campaign import Campaign
from phoenix_coordination.redis.client import RedisFaultError, check_server

ACCOUNT = "binance-usdm:simulator:abc"


class Candidate:
    """A campaign and what it has told. It is released while the answer `release_at` is on its way."""

    def __init__(self, world, release_at="") -> None:
        self.world = world
        self.told = []
        self.statuses = []
        self.is_cut_off = False
        self._changed = asyncio.Event()
        self._release_at = release_at
        self.was_released = asyncio.Event()
        self.campaign = Campaign(
            world.client,
            world.keys,
            "BTCUSDT",
            "pod/1",
            world.clock,
            LeaseTimes(ttl_s=5.0, renew_s=0.5, margin_s=1.0),
            answer_s=0.2,
            prepare=self._prepare,
            heard=self._heard,
            tell=self._hear,
            failed=self._hear,
            settle=self._settle,
        )

    async def has_told(self, kind):
        async with asyncio.timeout(20):
            await self._until(lambda: any(isinstance(message, kind) for message in self.told))

    async def has_heard(self, count):
        """So many answers."""
        async with asyncio.timeout(20):
            await self._until(lambda: len(self.statuses) >= count)

    async def _until(self, holds):
        while not holds():
            self._changed.clear()
            await self._changed.wait()

    async def is_released(self):
        fields = await self.world.client.execute_command(
            "HMGET", self.world.keys.lease("BTCUSDT"), "holder", "released"
        )
        return fields[0] is not None and fields[1] != b""

    async def _prepare(self):
        if self.is_cut_off:
            raise RedisFaultError("cut off")
        return (await check_server(self.world.client)).run

    async def _heard(self, beat):
        self.statuses.append(beat.status)
        self._changed.set()
        if beat.status == self._release_at:
            self.campaign.release()
            self.was_released.set()

    def _hear(self, message):
        self.told.append(message)
        self._changed.set()

    async def _settle(self):
        """Nothing is written beside it."""


async def test_a_lease_that_was_taken_while_it_was_given_up_is_never_told_and_released(redis_world):
    candidate = Candidate(redis_world, release_at="taken")
    candidate.campaign.start()
    async with asyncio.timeout(20):
        await candidate.was_released.wait()
    await candidate.campaign.stop()
    assert candidate.told == []
    assert await candidate.is_released()


async def test_a_renewal_that_comes_back_after_the_release_renews_nothing(redis_world):
    candidate = Candidate(redis_world, release_at="held")
    candidate.campaign.start()
    await candidate.has_told(LeaseLost)
    await candidate.campaign.stop()
    assert [type(message) for message in candidate.told] == [LeaseGranted, LeaseLost]
    assert await candidate.is_released()


async def test_who_stops_without_a_release_lets_the_lease_run_out(redis_world):
    candidate = Candidate(redis_world)
    candidate.campaign.start()
    await candidate.has_told(LeaseRenewed)
    await candidate.campaign.stop()
    assert not await candidate.is_released()


async def test_who_could_not_look_meanwhile_has_not_watched(redis_world):
    """Another server may have had the lease renewed, before this one came back with what it had."""
    world = redis_world
    run = (await check_server(world.client)).run
    lease = ["holder", "pod/9", "token", 7, "beat", 3, "released", "", "run", run]
    await world.client.execute_command("HSET", world.keys.lease("BTCUSDT"), *lease)
    candidate = Candidate(world)
    candidate.campaign.start()
    await candidate.has_heard(1)
    candidate.is_cut_off = True
    candidate.campaign.doubt()
    candidate.campaign.beat_now()
    await candidate.has_told(RedisFaultError)
    world.clock.jump(seconds=60)
    seen = len(candidate.statuses)
    candidate.is_cut_off = False
    await candidate.has_heard(seen + 1)
    await candidate.campaign.stop()
    assert candidate.statuses == ["watch"] * len(candidate.statuses)


async def test_who_was_outranked_leads_again_only_above_it_though_nothing_in_redis_tells_any_more(redis_world):
    candidate = Candidate(redis_world)
    candidate.campaign.start()
    await candidate.has_told(LeaseGranted)
    newer = candidate.campaign.token + 1_000_000_000
    candidate.told.clear()
    candidate.campaign.outranked(newer)
    await candidate.has_told(LeaseGranted)
    assert candidate.campaign.token == newer + 1
    await candidate.campaign.stop()


@pytest.mark.parametrize("way", ["release", "hand_over"])
async def test_the_memory_is_kept_before_the_next_leader_can_read_it(redis_world, monkeypatch, way):
    """However slowly it is written."""
    save = records.save_snapshot

    async def slowly(*arguments):
        await asyncio.sleep(0.1)
        return await save(*arguments)

    monkeypatch.setattr(records, "save_snapshot", slowly)
    first, second = redis_world.member(), redis_world.member()
    for member in (first, second):
        await member.coordinator.join(ACCOUNT)
        await member.coordinator.start(member.sink)
        await member.hears(EmergencyChanged)
        if member is first:
            await first.hears(LeaseGranted)
    second.coordinator.warm(warm=True)
    for _ in range(2):
        await first.hears(LeaseRenewed, after=first.count)
    first.coordinator.save_snapshot((await first.hears(LeaseGranted)).token, b"the last word")
    getattr(first.coordinator, way)()
    memory = (await second.hears(LeaseGranted)).memory
    assert memory is not None
    assert memory.memory == b"the last word"
