"""The steward's office, and the leases that he borrows, on a real server."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from phoenix_coordination.port import LeaseGranted, LeaseTimes, Reservation, Reserved
from phoenix_coordination.redis.lease import suspended_ns
from phoenix_coordination.redis.ledger import Holding, read_ledger
from phoenix_coordination.redis.steward import BORROWER, StewardOffice, StewardReport, SymbolReport, read_report

ACCOUNT = "binance-usdm:simulator:abc"
TIMES = LeaseTimes()


@pytest.fixture
async def office_of(redis_world):
    """Opens an office that campaigns."""
    async with AsyncExitStack() as stack:

        async def opened(holder: str = "pod/steward", *, dry_run: bool = False) -> StewardOffice:
            office = StewardOffice(redis_world.server.url, ACCOUNT, holder, redis_world.clock, TIMES, dry_run=dry_run)
            stack.push_async_callback(office.stop)
            office.start()
            return office

        yield opened


async def until(true) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 - what is waited for is anything
            await asyncio.sleep(0.01)


async def leading(world, symbol="BTCUSDT"):
    member = world.member(symbol)
    await member.coordinator.join(ACCOUNT)
    await member.coordinator.start(member.sink)
    await member.hears(LeaseGranted)
    return member


async def sight_of(office, symbol="BTCUSDT"):
    return (await office.look([symbol]))[symbol]


async def seen_leaderless(office, symbol="BTCUSDT"):
    async with asyncio.timeout(20):
        while not (sight := await sight_of(office, symbol)).leaderless:  # noqa: ASYNC110 - as `until`
            await asyncio.sleep(0.02)
    return sight


# -- the office --------------------------------------------------------------------------------------


async def test_one_holds_the_office_at_a_time_and_a_resignation_lets_another_in(office_of):
    first = await office_of("pod/1")
    await until(lambda: first.held)
    second = await office_of("pod/2")
    await asyncio.sleep(0.5)
    assert not second.held
    await first.resign()
    assert not first.held
    await until(lambda: second.held)
    first.start()
    await asyncio.sleep(0.5)
    assert not first.held


async def test_a_rehearsals_office_is_its_own(office_of):
    live, rehearsal = await office_of("pod/1"), await office_of("pod/2", dry_run=True)
    await until(lambda: live.held and rehearsal.held)


async def test_the_office_is_over_with_its_deadline_when_redis_is_gone(office_of, redis_world):
    office = await office_of()
    await until(lambda: office.held)
    redis_world.cut()
    await until(lambda: not office.held)
    redis_world.heal()
    await until(lambda: office.held)


async def test_a_process_that_slept_past_its_deadline_does_not_think_that_it_holds_the_office(office_of, redis_world):
    office = await office_of()
    await until(lambda: office.held)
    redis_world.clock.jump(seconds=20)
    assert not office.held
    await until(lambda: office.held)


async def test_only_who_holds_the_office_reports(office_of, redis_world):
    first = await office_of("pod/1")
    await until(lambda: first.held)
    row = SymbolReport("BTCUSDT", -0.5, -30_000.0, 812.5, led=True, ours=True)
    told = await first.publish(StewardReport("", 0, 0, "USDT", 0.25, 1000.0, 250.0, [row]))
    assert await read_report(redis_world.client, redis_world.keys) == told
    assert (told.holder, told.symbols) == ("pod/1", [row])
    second = await office_of("pod/2")
    assert await second.publish(StewardReport("", 0, 0, problem="stolen")) is None
    assert await read_report(redis_world.client, redis_world.keys) == told


async def test_how_long_nobody_has_looked_is_known_to_every_candidate(office_of, redis_world):
    first = await office_of("pod/1")
    await until(lambda: first.held)
    second = await office_of("pod/2")
    redis_world.clock.jump(seconds=1)
    before_ns = second.unseen_ns
    assert before_ns >= 10**9, "nobody has looked yet"
    await first.publish(StewardReport("", 0, 0))
    assert first.unseen_ns < before_ns
    await until(lambda: second.unseen_ns < before_ns)
    redis_world.cut()
    gone_ns = second.unseen_ns
    await until(lambda: second.unseen_ns > gone_ns + 2 * 10**9)
    redis_world.heal()


async def test_a_steward_that_could_not_read_the_account_has_not_looked(office_of):
    first = await office_of("pod/1")
    await until(lambda: first.held)
    await first.publish(StewardReport("", 0, 0))
    looked_ns = first.unseen_ns
    await first.publish(StewardReport("", 0, 0, problem="the exchange says no"))
    assert first.unseen_ns > looked_ns
    second = await office_of("pod/2")
    begun_ns = second.unseen_ns
    await first.publish(StewardReport("", 0, 0, problem="the exchange says no"))
    await until(lambda: second.unseen_ns > begun_ns + 8 * 10**9)


async def test_an_office_that_redis_refuses_has_the_worker_look_why(redis_world):
    asked = []
    await redis_world.client.execute_command("RPUSH", redis_world.keys.steward, "somebody else's")
    office = StewardOffice(
        redis_world.server.url,
        *(ACCOUNT, "pod/1", redis_world.clock, TIMES),
        dry_run=False,
        doubt=lambda: asked.append(office.refused),
    )
    office.start()
    await until(lambda: asked)
    await office.stop()
    assert redis_world.keys.steward in asked[0]


@pytest.mark.parametrize("reason", ["cut short", "suspended"])
async def test_a_borrowed_lease_is_over_when_its_deadline_or_the_machines_sleep_has_ended_it(
    office_of, redis_world, monkeypatch, reason
):
    office = await office_of()
    tenure = office.borrow("ETHUSDT")
    assert await tenure.take()
    if reason == "suspended":
        slept_ns = suspended_ns() + 10**9
        monkeypatch.setattr("phoenix_coordination.redis.lease.suspended_ns", lambda: slept_ns)
    else:
        redis_world.clock.jump(seconds=20)
    assert tenure.token == 0
    assert not office.held
    await tenure.end(quiescent=True)


@pytest.mark.parametrize(
    "fields",
    [{}, {"schema": "99", "memory": "{}"}, {"schema": "1", "memory": "no report"}, {"schema": "1"}],
    ids=["nothing", "another build's", "a foreign value", "half of it"],
)
async def test_a_report_that_cannot_be_read_is_none(redis_world, fields):
    for name, value in fields.items():
        await redis_world.client.execute_command("HSET", redis_world.keys.steward, name, value)
    assert await read_report(redis_world.client, redis_world.keys) is None


# -- what he sees --------------------------------------------------------------------------------------


async def test_a_symbol_is_leaderless_when_its_lease_has_not_changed_for_a_whole_ttl(office_of, redis_world):
    office = await office_of()
    member = await leading(redis_world)
    for _ in range(3):
        await asyncio.sleep(0.25)
        sight = await sight_of(office)
        assert not sight.leaderless
        assert sight.holder == "pod/1"
    await member.coordinator.stop()
    sight = await seen_leaderless(office)
    assert sight.for_s >= TIMES.ttl_s
    assert sight.holder == "pod/1", "who held it last is still known"


async def test_a_symbol_that_nobody_ever_led_has_no_holder(office_of):
    sight = await seen_leaderless(await office_of(), "PERSONUSDT")
    assert sight.holder == ""


async def test_what_counts_in_the_ledger_is_seen_too(office_of, redis_world):
    office = await office_of()
    member = await leading(redis_world)
    member.coordinator.reserve(Reservation(1, 0, 10, 10, step_value=5.0))
    while not (await member.hears(Reserved)).buy_steps:
        member.told.clear()
    await member.coordinator.stop()
    sight = (await office.look([]))["BTCUSDT"]
    assert not sight.settled
    assert sight.entry.gross_micro > 0


# -- what he borrows -----------------------------------------------------------------------------------


async def test_a_lease_that_nobody_keeps_is_borrowed_under_a_higher_token_and_given_back(office_of, redis_world):
    member = await leading(redis_world)
    token = (await member.hears(LeaseGranted)).token
    await member.coordinator.stop()
    office = await office_of()
    tenure = office.borrow("BTCUSDT")
    assert await tenure.take()
    assert tenure.token > token
    assert tenure.deadline_ns > redis_world.clock.monotonic_ns()
    borrowed = tenure.token
    successor = redis_world.member()
    await successor.coordinator.join(ACCOUNT)
    await successor.coordinator.start(successor.sink)
    await tenure.end(quiescent=True)
    assert (await successor.hears(LeaseGranted)).token > borrowed


async def test_a_living_leaders_lease_is_not_to_be_had(office_of, redis_world):
    member = await leading(redis_world)
    tenure = (await office_of()).borrow("BTCUSDT")
    assert not await tenure.take()
    await tenure.end(quiescent=True)
    token = (await member.hears(LeaseGranted)).token
    assert (await redis_world.client.execute_command("HGET", redis_world.keys.lease("BTCUSDT"), "token")) == str(
        token
    ).encode()


async def test_his_own_process_may_lead_the_symbol_and_is_not_robbed_either(office_of, redis_world):
    """The record's own holder takes it at once: a borrower must not be taken for it."""
    await leading(redis_world)
    tenure = (await office_of("pod/1")).borrow("BTCUSDT")
    assert not await tenure.take()
    await tenure.end(quiescent=True)


async def test_while_something_may_be_on_its_way_the_lease_runs_out_instead(office_of, redis_world):
    tenure = (await office_of()).borrow("BTCUSDT")
    assert await tenure.take()
    await tenure.end(quiescent=False)
    holder, released = await redis_world.client.execute_command(
        "HMGET", redis_world.keys.lease("BTCUSDT"), "holder", "released"
    )
    assert holder.decode().endswith(BORROWER)
    assert released == b""


@pytest.mark.parametrize(
    ("holdings", "gross"),
    [
        pytest.param([], None, id="nothing is left"),
        pytest.param([Holding("BTCUSDT", -100.0, 0.0, 20.0)], 121.2, id="a position and an order"),
        pytest.param([Holding("ETHUSDT", 7.0, 0.0, 0.0)], None, id="only other symbols"),
    ],
)
async def test_a_dead_makers_entry_becomes_what_the_exchange_holds(office_of, redis_world, holdings, gross):
    member = await leading(redis_world)
    member.coordinator.reserve(Reservation(1, 0, 10, 10, step_value=5.0))
    while not (await member.hears(Reserved)).buy_steps:
        member.told.clear()
    await member.coordinator.stop()
    office = await office_of()
    tenure = office.borrow("BTCUSDT")
    assert await tenure.take()
    assert await tenure.settle(holdings)
    sight = await sight_of(office)
    assert sight.settled
    entries = {e.symbol: e for e in (await read_ledger(redis_world.client, redis_world.keys)).entries}
    assert {symbol: entry.gross_micro / 1e6 for symbol, entry in entries.items()} == (
        {"BTCUSDT": pytest.approx(gross)} if gross else {}
    )
    await tenure.end(quiescent=True)


async def test_without_the_lease_nothing_is_settled(office_of, redis_world):
    await leading(redis_world)
    tenure = (await office_of()).borrow("BTCUSDT")
    assert not await tenure.settle([Holding("BTCUSDT", 1.0, 0.0, 0.0)])
    await tenure.end(quiescent=True)
