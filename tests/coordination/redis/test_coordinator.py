"""The coordinator on a real server that loses its data, stands still, or is not what it should be."""

import asyncio
import os
import signal

import pytest
from phoenix_coordination.port import (
    BudgetNeed,
    BudgetTerms,
    EmergencyChanged,
    EmergencyLevel,
    HaltChanged,
    LeaseGranted,
    LeaseLost,
    LeaseRenewed,
    LeaseTimes,
    Reachable,
    Reservation,
    Reserved,
    Unreachable,
)
from phoenix_coordination.redis.keys import OFFICE, EgressKeys, identity_of
from phoenix_coordination.redis.ledger import Holding
from phoenix_coordination.redis.records import read_records
from phoenix_coordination.redis.reservations import REBUILD_PAUSE_TTLS
from phoenix_coordination.state import SWITCH_NOT_SEEDED, encode
from state_records import leading_record

ACCOUNT = "binance-usdm:simulator:abc"
TIMES = LeaseTimes(ttl_s=5.0, renew_s=0.5, margin_s=1.0)


async def begun(world, symbol="BTCUSDT", **options):
    member = world.member(symbol, **options)
    await member.coordinator.join(ACCOUNT)
    await member.coordinator.start(member.sink)
    return member


async def leading(world, symbol="BTCUSDT", **options):
    member = await begun(world, symbol, **options)
    await member.hears(LeaseGranted)
    return member


async def eventually(holds, member):
    """Whatever the member hears, until it holds."""
    async with asyncio.timeout(20):
        while not holds():
            await member.hears(object, after=member.count)


async def test_a_switch_that_nobody_has_seeded_is_a_halt_until_it_is(unseeded_redis):
    world = unseeded_redis
    member = await leading(world)
    assert await member.hears(EmergencyChanged) == EmergencyChanged(EmergencyLevel.HALT, 0, SWITCH_NOT_SEEDED)
    heard = member.count
    await world.seed()
    assert (await member.hears(EmergencyChanged, after=heard)).level is EmergencyLevel.NONE


async def test_what_is_flushed_costs_the_lease_and_never_the_stop(redis_world):
    world = redis_world
    member = await leading(world)
    member.coordinator.raise_emergency(EmergencyLevel.FLATTEN, "drawdown")
    member.coordinator.halt_symbol("stop loss")
    await eventually(lambda: member.told[-1].__class__ is LeaseRenewed, member)
    token = (await member.hears(LeaseGranted)).token
    heard = member.count
    await world.client.execute_command("FLUSHALL")
    await world.seed(EmergencyLevel.NONE, 0)
    await member.hears(LeaseLost, after=heard)
    assert (await member.hears(LeaseGranted, after=heard)).token > token
    level, epoch = await world.client.execute_command("HMGET", world.keys.emergency, "level", "epoch")
    assert (level, int(epoch)) == (b"2", 1)
    level, reason = await world.client.execute_command("HMGET", world.keys.halt("BTCUSDT"), "level", "reason")
    assert (level, reason) == (b"1", b"stop loss")
    assert not any(isinstance(told, HaltChanged) for told in member.told[heard:])
    switches = [told for told in member.told[heard:] if isinstance(told, EmergencyChanged)]
    assert all(told.level is EmergencyLevel.FLATTEN for told in switches)


async def test_scripts_that_the_server_has_forgotten_are_loaded_again(redis_world):
    member = await leading(redis_world)
    await redis_world.client.execute_command("SCRIPT", "FLUSH")
    heard = member.count
    await member.hears(LeaseRenewed, after=heard)
    assert not any(isinstance(told, Unreachable) for told in member.told)


async def test_a_server_that_stands_still_costs_the_lease_by_its_deadline(redis_world):
    world = redis_world
    member = await leading(world)
    heard = member.count
    os.kill(world.server.pid, signal.SIGSTOP)
    try:
        told = await member.hears(Unreachable, after=heard)
        await member.hears(LeaseLost, after=heard)
    finally:
        os.kill(world.server.pid, signal.SIGCONT)
    assert "in time" in told.reason
    await member.hears(Reachable, after=heard)
    await member.hears(LeaseGranted, after=heard)


async def test_a_standby_takes_over_from_one_that_is_gone(redis_world):
    first = await leading(redis_world)
    token = (await first.hears(LeaseGranted)).token
    second = await begun(redis_world)
    await second.hears(EmergencyChanged)
    await first.coordinator.stop()  # without a release: as if it had been killed
    assert (await second.hears(LeaseGranted)).token > token


@pytest.mark.parametrize("key", ["lease", "emergency", "halt", "ledger", "warm"])
async def test_a_foreign_value_under_our_key_is_said_and_heals(redis_world, key):
    world = redis_world
    member = await leading(world)
    keys = world.keys
    name = {
        "lease": keys.lease("BTCUSDT"),
        "emergency": keys.emergency,
        "halt": keys.halt("BTCUSDT"),
        "ledger": keys.ledger,
        "warm": keys.warm("BTCUSDT"),
    }[key]
    heard = member.count
    await world.client.execute_command("SET", name, "somebody else's")
    told = (await member.hears(Unreachable, after=heard)).reason
    assert "foreign value (string" in told
    assert name in told
    await member.hears(LeaseLost, after=heard)
    await world.client.execute_command("DEL", name)
    await member.hears(Reachable, after=heard)


@pytest.mark.parametrize(
    ("key", "field"),
    [
        ("ledger", "epoch"),
        ("ledger", "e:BTCUSDT"),
        ("lease", "token"),
        ("emergency", "epoch"),
    ],
)
async def test_a_foreign_value_in_a_field_of_ours_is_named_and_heals(redis_world, key, field):
    world, keys = redis_world, redis_world.keys
    name = keys.lease("BTCUSDT") if key == "lease" else getattr(keys, key)
    member = await leading(world)
    member.coordinator.reserve(Reservation(1, 0, 5, 5, 1.0, 0, 0))
    await eventually(lambda: Reserved(1, 5, 5) in member.told, member)  # the ledger is rebuilt
    heard = member.count
    before = await world.client.execute_command("HGET", name, field)
    await world.client.execute_command("HSET", name, field, "nan")
    told = (await member.hears(Unreachable, after=heard)).reason
    assert name in told
    assert field in told
    await member.hears(LeaseLost, after=heard)
    await world.client.execute_command(*(["HDEL", name, field] if before is None else ["HSET", name, field, before]))
    await member.hears(Reachable, after=heard)
    await member.hears(LeaseGranted, after=heard)


EGRESS = EgressKeys("default")
ADMITTED = BudgetTerms("default", 300, 1_200, 2_400, order_share=0.8, weight_share=0.8, reserve_share=0.2)
FOREIGN = {
    "emergency": lambda keys: keys.emergency,
    "ledger": lambda keys: keys.ledger,
    "the ledger's lock": lambda keys: keys.rebuilding,
    "the steward's report": lambda keys: keys.steward,
    "the steward's lease": lambda keys: keys.lease(OFFICE),
    "memory": lambda keys: keys.snapshot("BTCUSDT"),
    "own record": lambda keys: keys.record("BTCUSDT", "pod/1"),
    "records": lambda keys: keys.records,
    "orders": lambda keys: keys.orders,
    "orders, speakers": lambda keys: keys.orders_speakers,
    "weight": lambda _: EGRESS.weight,
    "weight, short": lambda _: EGRESS.weight_short,
    "makers": lambda _: EGRESS.makers,
    "name of the account": lambda _: identity_of("local/main"),
}


async def spoil(world, name):
    await world.client.execute_command("DEL", name)
    await world.client.execute_command("RPUSH", name, "somebody else's")


@pytest.mark.parametrize("key", FOREIGN.values(), ids=FOREIGN.keys())
async def test_a_list_under_any_of_our_keys_is_named_and_nobody_is_admitted_until_it_is_gone(redis_world, key):
    name = key(redis_world.keys)
    await spoil(redis_world, name)
    member = redis_world.member("BTCUSDT")
    await member.coordinator.join(ACCOUNT)
    refused = (await member.admit(ADMITTED, 94, 80)).problem
    assert refused.startswith(f"{name} in Redis holds a foreign value (list")
    assert "move it away" in refused
    await redis_world.client.execute_command("DEL", name)
    assert not (await member.admit(ADMITTED, 94, 80)).problem


@pytest.mark.parametrize("key", ["the steward's report", "records"])
async def test_nothing_is_led_while_a_list_lies_under_one_of_our_keys(redis_world, key):
    name = FOREIGN[key](redis_world.keys)
    await spoil(redis_world, name)
    member = await begun(redis_world)
    assert name in (await member.hears(Unreachable)).reason
    await asyncio.sleep(2 * TIMES.ttl_s / redis_world.clock.rate)
    assert not any(isinstance(message, LeaseGranted) for message in member.told)
    await redis_world.client.execute_command("DEL", name)
    await member.hears(LeaseGranted)


@pytest.mark.parametrize(
    ("key", "use"),
    [
        (FOREIGN["records"], lambda member: member.coordinator.publish(leading_record())),
        (FOREIGN["orders, speakers"], lambda member: member.coordinator.spend(BudgetNeed(1, 0, 5, 0, 0, 5, 0))),
        (FOREIGN["weight"], lambda member: member.coordinator.spend(BudgetNeed(1, 0, 5, 0, 0, 5, 0))),
    ],
    ids=["records", "orders", "weight"],
)
async def test_a_list_that_comes_while_it_leads_is_named_and_ends_that(redis_world, key, use):
    world = redis_world
    member = world.member("BTCUSDT")
    await member.coordinator.join(ACCOUNT)
    assert not (await member.admit(ADMITTED, 94, 80)).problem
    await member.coordinator.start(member.sink)
    await member.hears(LeaseGranted)
    name, heard = key(world.keys), member.count
    await spoil(world, name)
    use(member)
    await member.hears(LeaseLost, after=heard)
    assert any(name in message.reason for message in member.told[heard:] if isinstance(message, Unreachable))
    heard = member.count
    await world.client.execute_command("DEL", name)
    await member.hears(LeaseGranted, after=heard)
    use(member)
    await member.hears(Reachable, after=heard)


async def test_a_lock_of_the_ledger_that_never_ends_is_named_instead_of_waited_for(redis_world):
    world = redis_world
    member = await leading(world)
    await world.client.execute_command("SET", world.keys.rebuilding, "somebody else's")
    heard = member.count
    await world.client.execute_command("HDEL", world.keys.ledger, "rebuilt")
    told = (await member.hears(Unreachable, after=heard)).reason
    assert world.keys.rebuilding in told
    assert "expiry" in told
    await member.hears(LeaseLost, after=heard)
    await world.client.execute_command("DEL", world.keys.rebuilding)
    await member.hears(LeaseGranted, after=heard)


async def test_a_lock_of_another_worker_is_waited_for(redis_world):
    world = redis_world
    await world.client.execute_command("SET", world.keys.rebuilding, "pod/9", "PX", 200)
    member = await leading(world)
    member.coordinator.reserve(Reservation(1, 0, 5, 5, 1.0, 0, 0))
    await eventually(lambda: Reserved(1, 5, 5) in member.told, member)
    assert not any(isinstance(told, Unreachable) for told in member.told)


async def test_who_finds_a_newer_leaders_entry_in_the_ledger_leads_again_only_above_it(redis_world):
    """Its lease's record was lost, and the server's clock had gone back."""
    world = redis_world
    member = await leading(world)
    token = (await member.hears(LeaseGranted)).token
    member.coordinator.reserve(Reservation(1, 0, 5, 5, 1.0, 0, 0))
    await eventually(lambda: Reserved(1, 5, 5) in member.told, member)
    run = (await world.client.execute_command("INFO", "server"))["run_id"]
    newer = token + 1_000_000_000
    await world.client.execute_command("HSET", world.keys.ledger, "e:BTCUSDT", f"{run} {newer} 1 1 1 1 1 1")
    heard = member.count
    member.coordinator.reserve(Reservation(2, 0, 6, 6, 1.0, 0, 0))
    assert str(newer) in (await member.hears(LeaseLost, after=heard)).reason
    assert (await member.hears(LeaseGranted, after=heard)).token > newer
    heard = member.count
    member.coordinator.reserve(Reservation(3, 0, 6, 6, 1.0, 0, 0))
    assert await member.hears(Reserved, after=heard) == Reserved(3, 6, 6)


async def test_how_old_a_memory_is_at_least_is_what_was_seen_of_it_and_no_clocks_word(redis_world):
    world = redis_world
    first = await leading(world)
    first.coordinator.save_snapshot((await first.hears(LeaseGranted)).token, b"memory")
    await first.hears(LeaseRenewed, after=first.count)
    second = await begun(world)
    await second.hears(EmergencyChanged)
    await first.coordinator.stop()  # without a release: it is watched for a ttl
    seen = (await second.hears(LeaseGranted)).memory
    assert seen.memory == b"memory"
    assert seen.observed_ns >= TIMES.ttl_s * 10**9
    second.coordinator.release()
    await second.hears(LeaseLost)
    third = await leading(world)
    assert (await third.hears(LeaseGranted)).memory.observed_ns < TIMES.ttl_s * 10**9, "it has only just come"


@pytest.mark.parametrize("switch", ["emergency", "halt"])
async def test_a_switch_that_no_worker_wrote_is_said(redis_world, switch):
    member = await leading(redis_world)
    heard = member.count
    key = {"emergency": redis_world.keys.emergency, "halt": redis_world.keys.halt("BTCUSDT")}[switch]
    await redis_world.client.execute_command("HSET", key, "level", "very high")
    told = (await member.hears(Unreachable, after=heard)).reason
    assert "no switch" in told
    assert key in told


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--maxmemory-policy", "allkeys-lru"], "noeviction"),
        (["--requirepass", "secret"], "user name or password"),
        (["--replicaof", "127.0.0.1", "1"], "replica"),
        (["--maxmemory", "1"], "out of memory"),
        (["--min-replicas-to-write", "1"], "too few replicas"),
    ],
    ids=["evicting", "password", "replica", "full", "replicas missing"],
)
async def test_a_server_that_may_not_be_used_is_said_and_nothing_is_taken(redis_world, options, told):
    world = redis_world
    world.server.kill()
    world.server.start(*options)
    member = await begun(world)
    await eventually(lambda: any(told in getattr(message, "reason", "") for message in member.told), member)
    world.server.kill()
    world.server.start()
    await member.hears(LeaseGranted)
    kinds = [type(message) for message in member.told]
    assert kinds.index(Unreachable) < kinds.index(Reachable) < kinds.index(LeaseGranted)


async def test_a_user_who_may_do_nothing_dangerous_is_enough_for_a_worker(redis_world):
    """Two that count as dangerous are needed: what the server is, and the name of a connection."""
    world = redis_world
    rights = "~mm:* resetchannels &mm:* +@all -@admin -@dangerous +info +client|setname"
    await world.client.execute_command("ACL", "SETUSER", "maker", "on", ">secret", *rights.split())
    world.server.url = world.server.url.replace("unix://", "unix://maker:secret@")
    member = await leading(world)
    member.coordinator.save_snapshot((await member.hears(LeaseGranted)).token, b"memory")
    member.coordinator.publish(leading_record())
    member.coordinator.reserve(Reservation(1, 0, 5, 5, 1.0, 0, 0))
    member.coordinator.halt_symbol("stop loss")
    member.coordinator.raise_emergency(EmergencyLevel.HALT, "drawdown")
    assert (await member.hears(Reserved)).buy_steps == 5
    await member.hears(LeaseRenewed, after=member.count)
    assert (await read_records(world.client, world.keys)).records == [leading_record()]
    member.coordinator.release()
    await member.coordinator.stop()
    assert not any(isinstance(told, Unreachable) for told in member.told)


async def test_a_user_who_may_do_too_little_is_said(redis_world):
    world = redis_world
    await world.client.execute_command("ACL", "SETUSER", "maker", "on", ">secret", "~mm:*", "+@all", "-@scripting")
    world.server.url = world.server.url.replace("unix://", "unix://maker:secret@")
    member = await begun(world)
    assert "may not do" in (await member.hears(Unreachable)).reason


async def test_a_server_that_comes_back_unfit_before_anybody_missed_it_is_found_out(redis_world):
    world = redis_world
    member = await leading(world, times=LeaseTimes(ttl_s=20.0, renew_s=10.0, margin_s=4.0))
    heard = member.count
    world.server.kill()
    world.server.start("--maxmemory-policy", "allkeys-lru")
    assert "noeviction" in (await member.hears(Unreachable, after=heard)).reason
    assert not any(isinstance(told, LeaseRenewed) for told in member.told[heard:])


async def test_a_server_that_begins_to_evict_is_led_on_no_longer_until_that_is_over(redis_world):
    """No answer changes by it: somebody has to look."""
    world = redis_world
    member = await leading(world)
    heard = member.count
    await world.client.execute_command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    assert "set it to noeviction" in (await member.hears(Unreachable, after=heard)).reason
    await member.hears(LeaseLost, after=heard)
    heard = member.count
    await world.client.execute_command("CONFIG", "SET", "maxmemory-policy", "noeviction")
    await member.hears(Reachable, after=heard)
    await member.hears(LeaseGranted, after=heard)


@pytest.mark.parametrize(
    ("options", "told"),
    [(["--appendonly", "no"], 1), ([], 0)],
    ids=["kept in memory alone", "kept on disk"],
)
async def test_a_server_that_forgets_when_it_restarts_is_used_and_the_log_says_once_what_that_means(
    redis_world, caplog, options, told
):
    world = redis_world
    world.server.kill()
    world.server.start(*options)
    member = await leading(world)
    world.server.kill()
    world.server.start(*options)
    await member.hears((LeaseGranted, LeaseRenewed), after=member.count)
    assert caplog.text.count("set appendonly yes") == told


async def test_the_limits_are_shared_however_many_ask_at_once(redis_world):
    """Each alone would fit; together they come to the account's 10 000, and never to a step more.

    Under each lease everybody asks once: one that a busy machine loses takes what was asked with it.
    """
    patient = LeaseTimes(ttl_s=20.0, renew_s=2.0, margin_s=4.0)
    members = [await begun(redis_world, f"S{number}USDT", times=patient) for number in range(20)]
    asked = [0] * len(members)
    granted = (0, 0)
    async with asyncio.timeout(60):
        while min(granted) * 1.01 <= 9_000:
            for number, member in enumerate(members):
                leases = sum(isinstance(told, LeaseGranted) for told in member.told)
                if leases > asked[number]:
                    asked[number] = leases
                    member.coordinator.reserve(Reservation(leases, 0, 900, 900, 1.0, 0, 0))
            await asyncio.sleep(0.02)
            in_force = [granted_to(member) for member in members]
            granted = (sum(buys for buys, _ in in_force), sum(sells for _, sells in in_force))
            assert max(granted) * 1.01 <= 10_000


def granted_to(member):
    """Steps (buys, sells): with the lease all that was granted under it is void."""
    for told in reversed(member.told):
        if isinstance(told, LeaseLost):
            break
        if isinstance(told, Reserved):
            return told.buy_steps, told.sell_steps
    return 0, 0


async def test_a_foreign_memory_is_said_to_a_candidate_as_long_as_it_lies_there(redis_world):
    world = redis_world
    await world.client.execute_command("SET", world.keys.snapshot("BTCUSDT"), "somebody else's")
    member = await begun(world)
    assert "foreign value" in (await member.hears(Unreachable)).reason
    await asyncio.sleep(1.5 * LeaseTimes().ttl_s / world.clock.rate)
    assert not any(isinstance(told, Reachable) for told in member.told)
    await world.client.execute_command("DEL", world.keys.snapshot("BTCUSDT"))
    await member.hears(LeaseGranted)


async def test_an_account_that_cannot_be_read_is_not_asked_again_at_once_by_anybody(redis_world):
    """Each reading costs the request weight that the cancels need, too."""
    world = redis_world
    asked = []

    async def read_holdings():
        asked.append(world.clock.monotonic_ns())
        raise OSError("positions and orders did not agree")

    world.read_holdings = read_holdings
    for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT"):
        await leading(world, symbol)
    await asyncio.sleep(4 * LeaseTimes().ttl_s / world.clock.rate)
    passed_ns = world.clock.monotonic_ns() - asked[0]
    assert 1 < len(asked) <= 1 + passed_ns / (REBUILD_PAUSE_TTLS * LeaseTimes().ttl_s * 1e9)


async def test_who_was_granted_what_another_ones_reduction_takes_is_told_by_the_next_heartbeat(redis_world):
    short = await leading(redis_world, "S0USDT")
    short.coordinator.reserve(Reservation(1, -5000, 0, 0, 1.0, 0, 0))
    await short.hears(Reserved)
    other = await leading(redis_world, "S1USDT")
    other.coordinator.reserve(Reservation(1, 0, 14_000, 0, 1.0, 0, 0))
    assert await other.hears(Reserved) == Reserved(1, 14_000, 0), "the short position leaves that room"
    heard = other.count
    short.coordinator.reserve(Reservation(2, -5000, 5000, 0, 1.0, 0, 0))
    assert (await short.hears(Reserved, after=short.count)).buy_steps == 5000, "what reduces is granted always"
    less = await other.hears(Reserved, after=heard)
    assert (less.sequence, less.buy_steps * 1.01 <= 10_000) == (1, True)


async def test_a_ledger_that_is_lost_voids_what_was_granted_until_it_is_rebuilt_from_the_exchange(redis_world):
    world = redis_world
    member = await leading(world)
    member.coordinator.reserve(Reservation(1, 0, 5000, 0, 1.0, 1000, 0))
    assert await member.hears(Reserved) == Reserved(1, 5000, 0)
    world.holdings = [Holding("XRPUSDT", 6000.0, 0.0, 0.0)]
    heard = member.count
    await world.client.execute_command("DEL", world.keys.ledger)
    assert await member.hears(Reserved, after=heard) == Reserved(1, 0, 0)
    await eventually(lambda: member.told[-1].__class__ is Reserved and member.told[-1].buy_steps, member)
    last = member.told[-1]
    assert 0 < last.buy_steps * 1.01 <= 10_000 - 6_060, "what rests elsewhere counts, a symbol without a maker included"


async def test_nothing_is_granted_while_the_exchange_cannot_tell_what_rests(redis_world):
    world = redis_world
    asked = 0

    async def silent():
        nonlocal asked
        asked += 1
        raise OSError("the exchange does not answer")

    world.read_holdings = silent
    member = await leading(world)
    member.coordinator.reserve(Reservation(1, 10, 50, 50, 1.0, 0, 0))
    assert await member.hears(Reserved) == Reserved(1, 0, 10)
    await eventually(lambda: asked >= 3, member)


async def test_an_answer_for_a_lease_that_was_lost_is_not_given(redis_world):
    member = await leading(redis_world)
    redis_world.clock.jump(seconds=20)
    member.coordinator.reserve(Reservation(1, 0, 5, 5, 1.0, 0, 0))
    heard = member.count
    await member.hears(LeaseGranted, after=heard)
    await member.hears(LeaseRenewed, after=member.count)
    lost = next(index for index, told in enumerate(member.told) if isinstance(told, LeaseLost))
    assert not any(isinstance(told, Reserved) for told in member.told[lost:])


async def test_records_are_read_by_others_until_they_are_too_old(redis_world):
    world = redis_world
    told = leading_record()
    member = await leading(world)
    member.coordinator.publish(told)
    heard = member.count
    await member.hears(LeaseRenewed, after=heard)
    found = await read_records(world.client, world.keys)
    assert found.records == [told]
    # Redis may have forgotten it since the worker joined: a person finds the account by its resource all the same.
    assert await world.client.execute_command("GET", identity_of(told.account)) == world.keys.account.encode()
    key = world.keys.record(told.symbol, told.holder)
    assert 0 < int(await world.client.execute_command("PTTL", key)) <= 1500, "15 s of a run ten times as fast"
    await world.client.execute_command("SET", key, encode(told).replace(b'"schema":1', b'"schema":99'))
    found = await read_records(world.client, world.keys)
    assert not found.records
    assert "schema" in found.problems[0]
    await world.client.execute_command("DEL", key)
    assert (await read_records(world.client, world.keys)).records == []


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [("schema", "99", "schema 99"), ("token", "many", "no worker")],
    ids=["schema", "foreign"],
)
async def test_a_memory_that_cannot_be_read_is_none_and_the_log_says_so(redis_world, caplog, field, value, told):
    world = redis_world
    member = await leading(world)
    token = (await member.hears(LeaseGranted)).token
    member.coordinator.save_snapshot(token, b"memory")
    async with asyncio.timeout(20):
        while not await world.client.execute_command("EXISTS", world.keys.snapshot("BTCUSDT")):  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # Redis tells nobody
    await world.client.execute_command("HSET", world.keys.snapshot("BTCUSDT"), field, value)
    member.coordinator.release()
    await member.hears(LeaseLost)
    other = await leading(world)
    assert (await other.hears(LeaseGranted)).memory is None
    assert told in caplog.text


async def test_the_account_of_the_resource_is_registered(redis_world):
    await leading(redis_world)
    assert await redis_world.client.execute_command("GET", "mm:account:local/main") == ACCOUNT.encode()


async def test_a_name_means_one_account_for_as_long_as_workers_of_it_live(redis_world):
    """Who stops an account by its name must reach the one that trades, not who came last."""
    world = redis_world
    first = await leading(world)
    first.coordinator.publish(leading_record())
    await first.hears(LeaseRenewed, after=first.count)
    second = world.member("BTCUSDT")
    await second.coordinator.join("binance-usdm:simulator:other")
    await second.coordinator.start(second.sink)
    reason = (await second.hears(Unreachable)).reason
    assert "local/main is binance-usdm:simulator:abc, whose workers live" in reason
    assert "give one another name" in reason
    assert await world.client.execute_command("GET", identity_of("local/main")) == ACCOUNT.encode()
    await second.hears(Reachable)  # the first one's record has grown too old
    assert await world.client.execute_command("GET", identity_of("local/main")) == b"binance-usdm:simulator:other"
