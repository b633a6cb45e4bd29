"""What Redis is told of an account's switch, and in which order; on a real Redis."""

from collections.abc import AsyncIterator

import pytest
import redis
from phoenix_coordination.port import EmergencyLevel
from phoenix_coordination.redis.account import AccountTools, account_tools
from phoenix_coordination.redis.keys import AccountKeys
from phoenix_coordination.redis.switches import Switch, SwitchMemory, emergency_of
from phoenix_crds import Emergency
from phoenix_operator.plan.outcome import Declare, Seed
from phoenix_operator.switching import tell
from redis_process import redis_client

IDENTITY = "BinanceUSDM/Simulator/x"
KEY = AccountKeys(IDENTITY).emergency
DECLARE, SEED = Declare(IDENTITY, Emergency.FLATTEN), Seed(IDENTITY, Emergency.NONE, 3, "", "operator")


@pytest.fixture
def client():
    with redis_client() as client:
        client.flushall()
        yield client


@pytest.fixture
async def tools(client: redis.Redis) -> AsyncIterator[AccountTools]:
    async with account_tools(f"unix://{client.connection_pool.connection_kwargs['path']}") as tools:
        yield tools


def _in_force(client: redis.Redis) -> EmergencyLevel:
    """As a worker reads it that no file has told."""
    run = client.info("server")["run_id"].encode()
    level, epoch, reason, seeded, declared = (
        field or b"" for field in client.hmget(KEY, "level", "epoch", "reason", "seeded", "declared")
    )
    stored = Switch.read(KEY, level, epoch, reason, b"1" if seeded == run else b"")
    found = emergency_of(SwitchMemory(stored), EmergencyLevel(int(declared or 0)))
    assert found is not None
    return found.level


async def test_a_redis_that_came_back_empty_is_never_less_stopped_than_it_is_declared(client, tools):
    """After every write of the operator's a worker may beat."""
    seen = []
    with client.monitor() as monitor:
        switch = await tell(tools, DECLARE, SEED)
        client.ping()
        written = []
        while (said := monitor.next_command()["command"]) != "PING":
            written += [said] if said.startswith("HSET") else []
    client.flushall()
    for command in written:
        client.execute_command(*command.split(" "))
        seen.append(_in_force(client))
    assert (switch.declared, switch.level, switch.epoch, switch.seeded) == (EmergencyLevel.FLATTEN, 0, 3, True)
    assert len(seen) > 1
    assert set(seen) == {EmergencyLevel.FLATTEN}


async def test_what_is_as_wished_is_not_told(client, tools):
    assert await tell(tools, None, None) is None
    assert not client.exists(KEY)
