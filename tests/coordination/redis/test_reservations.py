"""The ledger's client of one worker: what is told at once, before any answer."""

import asyncio

import pytest
from phoenix_coordination.port import AccountTerms, EmergencyLevel, LeaseTimes, Reservation, Reserved
from phoenix_coordination.redis.reservations import Reservations
from phoenix_coordination.redis.scripts import call

TIMES = LeaseTimes(ttl_s=5.0, renew_s=0.5, margin_s=1.0)
TERMS = AccountTerms(net_micro=10_000 * 10**6, gross_micro=20_000 * 10**6, emergency=EmergencyLevel.NONE)
TOKEN = 7


@pytest.fixture
async def granted(redis_world):
    """A leader that was granted 5 and 4 steps under generation `<run>:first`, and what it was told."""
    client, keys = redis_world.client, redis_world.keys
    run = (await client.execute_command("INFO", "server"))["run_id"]
    await client.execute_command(
        "HSET", keys.lease("BTCUSDT"), "holder", "pod/1", "token", TOKEN, "released", "", "run", run, "beat", 0
    )
    await client.execute_command("HSET", keys.ledger, "rebuilt", f"{run}:first")
    told = []
    heard = asyncio.Event()

    def tell(message):
        told.append(message)
        heard.set()

    reservations = Reservations(
        client,
        keys,
        "BTCUSDT",
        "pod/1",
        redis_world.clock,
        TIMES,
        redis_world.read_holdings,
        tell,
        lambda: TERMS,
        lambda _: None,
    )
    reservations.start()
    reservations.saw(f"{run}:first", rebuilt=True, epoch=0)
    reservations.leads(TOKEN)
    reservations.ask(Reservation(1, 0, 5, 4, 1.0, 0, 0))
    async with asyncio.timeout(20):
        await heard.wait()
    yield reservations, told, run, heard
    await reservations.stop()


@pytest.mark.parametrize(
    ("generation", "rebuilt"),
    [("vacant:n", False), ("second", True)],
    ids=["the ledger is lost", "lost, and rebuilt by another meanwhile"],
)
async def test_with_the_trust_in_the_ledger_a_grant_is_void_before_anything_is_asked(granted, generation, rebuilt):
    """Whoever rebuilds the ledger counts on that nobody's renewed lease comes with a grant from before."""
    reservations, told, run, _ = granted
    assert told == [Reserved(1, 5, 4)]
    reservations.saw(f"{run}:{generation}" if rebuilt else generation, rebuilt=rebuilt, epoch=0)
    assert told[1:] == [Reserved(1, 0, 0)]


async def test_the_same_generation_voids_nothing(granted):
    reservations, told, run, _ = granted
    reservations.saw(f"{run}:first", rebuilt=True, epoch=0)
    assert told == [Reserved(1, 5, 4)]


async def test_an_answer_from_before_the_loss_is_no_grant(granted, redis_world, monkeypatch):
    reservations, told, run, heard = granted
    answered, go_on = asyncio.Event(), asyncio.Event()

    async def call_and_wait(*arguments):
        answer = await call(*arguments)
        answered.set()
        await go_on.wait()
        return answer

    monkeypatch.setattr("phoenix_coordination.redis.reservations.call", call_and_wait)
    reservations.ask(Reservation(2, 0, 6, 6, 1.0, 0, 0))
    async with asyncio.timeout(20):
        await answered.wait()
        await redis_world.client.execute_command("HDEL", redis_world.keys.ledger, "rebuilt")
        reservations.saw(f"vacant:{run}:n", rebuilt=False, epoch=0)
        go_on.set()
        while len(told) < 3:  # it asks again
            heard.clear()
            await heard.wait()
    assert [(message.buy_steps, message.sell_steps) for message in told] == [(5, 4), (0, 0), (0, 0)]
