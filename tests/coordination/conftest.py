"""A world in which coordinators meet: a real redis-server and a clock that runs faster than life."""

import asyncio
import itertools
import time
from contextlib import asynccontextmanager

import pytest
from phoenix_coordination.port import AccountTerms, Admission, Coordinator, EmergencyLevel, LeaseTimes, Message
from phoenix_coordination.redis.client import FAULTS, Redis, connect
from phoenix_coordination.redis.coordinator import RedisCoordinator
from phoenix_coordination.redis.keys import AccountKeys
from phoenix_coordination.redis.ledger import Holding
from phoenix_coordination.redis.scripts import Script, call
from redis_process import LOOK_S, STARTS_WITHIN_S, RedisProcess

ACCOUNT = "binance-usdm:simulator:abc"
TIMES = LeaseTimes(ttl_s=5.0, renew_s=0.5, margin_s=1.0)
SLOW = "Redis does not answer in time"
TERMS = AccountTerms(net_micro=10_000 * 10**6, gross_micro=20_000 * 10**6, emergency=EmergencyLevel.NONE)


class FastClock:
    """Ten times as fast as life, with a jump at will: what a paused process sees when it wakes."""

    rate = 10.0

    def __init__(self) -> None:
        self._jump_ns = 0

    def jump(self, *, seconds: int) -> None:
        self._jump_ns += seconds * 1_000_000_000

    def monotonic_ns(self) -> int:
        return time.monotonic_ns() * 10 + self._jump_ns

    def wall_ns(self) -> int:
        return time.time_ns() + self._jump_ns


class Member:
    """A coordinator and everything that it has told, in order."""

    def __init__(self, coordinator: Coordinator) -> None:
        self.coordinator = coordinator
        self.told: list[Message] = []
        self._changed = asyncio.Event()

    def sink(self, message: Message) -> None:
        self.told.append(message)
        self._changed.set()

    async def hears(self, kind, *, after=0):
        """The next message of the kind, beginning with message number `after`."""
        async with asyncio.timeout(20):
            while True:
                for message in self.told[after:]:
                    if isinstance(message, kind):
                        return message
                self._changed.clear()
                await self._changed.wait()

    @property
    def count(self) -> int:
        return len(self.told)

    async def admit(self, *terms) -> Admission:
        """Asks again while a busy machine is too slow for a clock ten times as fast."""
        async with asyncio.timeout(20):
            while True:
                admission = await self.coordinator.admit(*terms)
                if admission.problem != SLOW:
                    return admission
                await asyncio.sleep(LOOK_S)


class RedisWorld:
    """Coordinators over one server, whose emergency switch somebody has seeded."""

    def __init__(self, server: RedisProcess, client: Redis) -> None:
        self.server = server
        self.client = client
        self.keys = AccountKeys(ACCOUNT)
        self.clock = FastClock()
        self.holdings: list[Holding] = []
        self._boots = itertools.count(1)
        self._members: list[Member] = []

    async def seed(self, level: EmergencyLevel = EmergencyLevel.NONE, epoch: int = 0, reason: str = "") -> None:
        told = [level.value, epoch, reason, "runner", 0, 1, self.keys.emergency_changed]
        await call(self.client, Script.MERGE, [self.keys.emergency], told)

    def member(
        self,
        symbol: str = "BTCUSDT",
        *,
        dry_run: bool = False,
        terms: AccountTerms = TERMS,
        times: LeaseTimes = TIMES,
    ) -> Member:
        coordinator = RedisCoordinator(
            self.server.url,
            symbol,
            f"pod/{next(self._boots)}",
            "local/main",
            "k3f9a0",
            terms,
            self.clock,
            dry_run=dry_run,
            read_holdings=self.read_holdings,
            times=times,
        )
        member = Member(coordinator)
        self._members.append(member)
        return member

    async def listened_to(self, channel: str, *, by: int = 1) -> None:
        """Returns when so many hear what is said there."""
        async with asyncio.timeout(20):
            while (await self.client.execute_command("PUBSUB", "NUMSUB", channel))[1] < by:  # noqa: ASYNC110 - untold
                await asyncio.sleep(LOOK_S)

    async def read_holdings(self) -> list[Holding]:
        return self.holdings

    def cut(self) -> None:
        self.server.kill()

    def heal(self) -> None:
        self.server.start()

    async def close(self) -> None:
        for member in self._members:
            await member.coordinator.stop()
        await self.client.aclose()


async def _client_of(server: RedisProcess) -> Redis:
    """As soon as it answers."""
    client = connect(server.url, 5.0)
    async with asyncio.timeout(STARTS_WITHIN_S):
        while True:
            try:
                await client.execute_command("PING")
            except FAULTS:
                await asyncio.sleep(LOOK_S)
            else:
                return client


@asynccontextmanager
async def running_redis():
    server = RedisProcess()
    try:
        server.start()
        client = await _client_of(server)
        world = RedisWorld(server, client)
        yield world
        await world.close()
    finally:
        server.close()


@pytest.fixture
async def unseeded_redis():
    async with running_redis() as world:
        yield world


@pytest.fixture
async def redis_world():
    async with running_redis() as world:
        await world.seed()
        yield world


@pytest.fixture
def member_of():
    """A coordinator that a test has made itself, and what it tells."""
    return Member
