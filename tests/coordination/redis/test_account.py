"""What a person does with an account, on a real server: every answer typed, every refusal one sentence."""

import asyncio
import contextlib

import pytest
from msgspec import structs
from phoenix_coordination.port import EmergencyChanged, EmergencyLevel, HaltChanged, LeaseGranted, Reservation, Reserved
from phoenix_coordination.redis.account import AccountError, account_tools
from phoenix_coordination.redis.announcements import Announcements
from phoenix_coordination.state import Reason, Role
from state_records import leading_record

ACCOUNT = "binance-usdm:simulator:abc"
NONE, HALT, FLATTEN = EmergencyLevel
PREFIX = f"mm:{{{ACCOUNT}}}:"


@pytest.fixture
async def tools(redis_world):
    async with account_tools(redis_world.server.url) as tools:
        yield tools


@pytest.fixture
def account(tools):
    return tools.account(ACCOUNT)


async def leading(world, symbol="BTCUSDT", **options):
    member = world.member(symbol, **options)
    await member.coordinator.join(ACCOUNT)
    await member.coordinator.start(member.sink)
    await member.hears(LeaseGranted)
    return member


async def test_an_account_is_found_by_its_resource_with_and_without_the_namespace(redis_world, tools):
    await leading(redis_world)
    for name in ("local/main", "main"):
        assert (await tools.open(name)).identity == ACCOUNT
    assert [(name.resource, name.identity) for name in await tools.accounts()] == [("local/main", ACCOUNT)]


async def test_an_account_that_nobody_has_registered_is_refused_with_those_that_are(redis_world, tools):
    with pytest.raises(AccountError, match="registered: none"):
        await tools.open("main")
    await leading(redis_world)
    with pytest.raises(AccountError, match="registered: local/main"):
        await tools.open("ma?n")


async def test_a_name_in_two_namespaces_needs_the_namespace(redis_world, tools):
    for namespace in ("a", "b"):
        await redis_world.client.execute_command("SET", f"mm:account:{namespace}/main", ACCOUNT)
    with pytest.raises(AccountError, match="a/main, b/main"):
        await tools.open("main")
    assert await tools.open("b/main")


async def test_what_is_declared_stands_beside_the_switch_and_a_resume_leaves_it(account):
    await account.seed(NONE, 3, "", "runner")
    assert (await account.declare(FLATTEN)).declared is FLATTEN
    stopped = await account.stop(HALT, "odd", "anna")
    resumed = await account.resume(stopped.epoch, "anna")
    assert (resumed.level, resumed.declared) == (NONE, FLATTEN)
    assert (await account.glance([])).switch == resumed
    assert (await account.declare(NONE)).declared is NONE


async def test_nothing_is_declared_over_a_foreign_value(redis_world, account):
    await redis_world.client.execute_command("SET", f"{PREFIX}emergency", "mine")
    with pytest.raises(AccountError, match="foreign value"):
        await account.declare(HALT)


@pytest.fixture
async def announcements(redis_world):
    announcements = Announcements(redis_world.server.url, redis_world.clock.rate)
    yield announcements
    await announcements.stop()


async def announced(tools, wanted):
    """What is announced of two accounts, once it is as wanted."""
    async with asyncio.timeout(20):
        while not wanted(found := await tools.starting(["local/main", "local/other"])):  # noqa: ASYNC110 - Redis tells nobody
            await asyncio.sleep(0.01)
    return found


async def test_a_worker_that_does_not_know_its_account_yet_is_found_by_the_resource_until_it_does(tools, announcements):
    waits = leading_record(account="local/main", role=Role.STARTING, ready=False, reason=Reason.CREDENTIALS_MISSING)
    announcements.tell(waits)
    found = await announced(tools, lambda found: found)
    assert {account: told.records for account, told in found.items()} == {"local/main": [waits]}
    announcements.tell(structs.replace(waits, detail="apiSecret is missing"))
    await announced(tools, lambda found: found["local/main"].records[0].detail == "apiSecret is missing")
    assert await tools.accounts() == [], "it names none"
    await announcements.stop()
    assert await tools.starting(["local/main"]) == {}


async def test_what_was_announced_lapses_with_the_worker(tools, announcements):
    announcements.tell(leading_record(account="local/main"))
    await announced(tools, lambda found: found)
    await announced(tools, lambda found: not found)


async def test_the_identities_of_many_accounts_are_read_at_once(redis_world, tools):
    await leading(redis_world)
    assert await tools.identities(["local/main", "local/other"]) == {"local/main": ACCOUNT}
    assert await tools.identities([]) == {}


async def test_a_glance_tells_switch_halts_and_records_and_whose_life_of_the_server_it_was(redis_world, account):
    member = await leading(redis_world)
    member.coordinator.publish(leading_record(account="local/main"))
    member.coordinator.halt_symbol("too many refusals")
    stopped = await account.stop(HALT, "looked odd", "anna")
    makers = [("BTCUSDT", False), ("BTCUSDT", True), ("ETHUSDT", False)]
    async with asyncio.timeout(20):
        while not (glance := await account.glance(makers)).published.records or not glance.halts:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
    assert glance.switch == stopped
    assert [(halt.symbol, halt.dry_run, halt.switch.reason) for halt in glance.halts] == [
        ("BTCUSDT", False, "too many refusals")
    ]
    assert glance.halts == await account.halts()
    assert glance.published == await account.records()
    redis_world.cut()
    redis_world.heal()
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(AccountError):
                after = await account.glance(makers)
                break
            await asyncio.sleep(0.05)
    assert after.run != glance.run
    assert not after.switch.seeded


async def test_a_stop_reaches_the_workers_and_only_its_epoch_resumes_them(redis_world, account):
    member = await leading(redis_world)
    heard = member.count
    stopped = await account.stop(FLATTEN, "looked odd", "anna")
    assert (stopped.level, stopped.epoch, stopped.reason, stopped.source) == (FLATTEN, 1, "looked odd", "anna")
    assert stopped.at_ms > 0
    assert await member.hears(EmergencyChanged, after=heard) == EmergencyChanged(FLATTEN, 1, "looked odd")
    for epoch in (0, 2):
        with pytest.raises(AccountError, match=r"under epoch 1, not \d \(looked odd\).*--epoch 1"):
            await account.resume(epoch, "anna")
    heard = member.count
    assert (await account.resume(1, "anna")).level is NONE
    assert (await member.hears(EmergencyChanged, after=heard)).level is NONE
    with pytest.raises(AccountError, match="nothing to resume"):
        await account.resume(2, "anna")


async def test_a_second_stop_keeps_the_level_and_the_first_reason_under_an_epoch_of_its_own(account):
    await account.stop(FLATTEN, "first", "anna")
    second = await account.stop(HALT, "second", "ben")
    assert (second.level, second.epoch, second.reason) == (FLATTEN, 2, "second; before, by anna: first")
    with pytest.raises(AccountError, match="under epoch 2, not 1"):
        await account.resume(1, "anna")
    for _ in range(20):
        last = await account.stop(HALT, "x" * 100, "ben")
    assert len(last.reason) <= 500, "however often"


async def test_the_seed_is_in_force_and_takes_nothing_back(unseeded_redis):
    async with account_tools(unseeded_redis.server.url) as tools:
        account = tools.account(ACCOUNT)
        assert not (await account.switch()).seeded
        await account.stop(HALT, "before anybody came", "anna")
        with pytest.raises(AccountError, match="not been seeded"):
            await account.resume(1, "anna")
        seeded = await account.seed(NONE, 0, "", "runner")
        assert (seeded.level, seeded.epoch, seeded.seeded) == (HALT, 1, True)
        again = await account.seed(HALT, 1, "before anybody came", "runner")
        assert seeded.source == again.source == "anna", "who merely seeds it has not raised it"
        assert (await account.seed(FLATTEN, 7, "as the status says", "operator")).level is FLATTEN


async def test_a_symbols_halt_is_seen_and_only_its_epoch_resumes_it(redis_world, account):
    member = await leading(redis_world)
    member.coordinator.halt_symbol("stop loss")
    await member.hears(HaltChanged, after=member.count)
    await member.hears(object, after=member.count)
    (halt,) = await account.halts()
    assert (halt.symbol, halt.dry_run, halt.switch.level, halt.switch.reason) == ("BTCUSDT", False, HALT, "stop loss")
    with pytest.raises(AccountError, match="BTCUSDT is stopped under epoch 1, not 5"):
        await account.resume_symbol("BTCUSDT", 5, "anna")
    heard = member.count
    await account.resume_symbol("BTCUSDT", 1, "anna")
    assert await member.hears(HaltChanged, after=heard) == HaltChanged(2, "")
    with pytest.raises(AccountError, match="ETHUSDT is not stopped"):
        await account.resume_symbol("ETHUSDT", 0, "anna")


async def test_leases_are_seen_and_rehearsals_apart(redis_world, account):
    live = await leading(redis_world, "BTCUSDT")
    await leading(redis_world, "BTCUSDT", dry_run=True)
    await leading(redis_world, "ETHUSDT")
    found = await account.leases()
    assert [(lease.symbol, lease.dry_run, lease.released) for lease in found] == [
        ("BTCUSDT", False, False),
        ("BTCUSDT", True, False),
        ("ETHUSDT", False, False),
    ]
    assert found[0].token == (await live.hears(LeaseGranted)).token
    live.coordinator.release()
    await live.coordinator.stop()
    assert (await account.leases())[0].released


async def test_the_ledger_is_seen_with_its_sums_beside_their_limits(redis_world, account):
    assert (await account.ledger()).entries == ()
    member = await leading(redis_world)
    member.coordinator.reserve(Reservation(1, 10, 20, 30, 1.0, 0, 0))
    await member.hears(Reserved)
    ledger = await account.ledger()
    (entry,) = ledger.entries
    assert (entry.symbol, entry.buys_micro, entry.sells_micro) == ("BTCUSDT", 20_200_000, 30_300_000)
    assert (ledger.long_micro, ledger.short_micro, ledger.gross_micro) == (30_300_000, 20_400_000, 30_300_000)
    assert (ledger.net_limit_micro, ledger.gross_limit_micro) == (10_000 * 10**6, 20_000 * 10**6)
    assert ledger.rebuilt


@pytest.mark.parametrize(
    ("spoil", "ask"),
    [
        (("SET", PREFIX + "emergency", "x"), lambda account: account.switch()),
        (("HSET", PREFIX + "emergency", "level", "x"), lambda account: account.switch()),
        (
            ("HSET", PREFIX + "emergency", "level", "x"),
            lambda account: account.stop(HALT, "", ""),
        ),
        (("SET", PREFIX + "emergency", "x"), lambda account: account.resume(1, "")),
        (("SET", PREFIX + "halt:BTCUSDT", "x"), lambda account: account.halts()),
        (("SET", PREFIX + "lease:BTCUSDT", "x"), lambda account: account.leases()),
        (("HSET", PREFIX + "lease:BTCUSDT", "holder", "x"), lambda account: account.leases()),
        (("SET", PREFIX + "ledger", "x"), lambda account: account.ledger()),
        (("HSET", PREFIX + "ledger", "e:X", "x"), lambda account: account.ledger()),
        (("HSET", PREFIX + "ledger", "epoch", "abc"), lambda account: account.ledger()),
        (("SET", PREFIX + "records", "x"), lambda account: account.records()),
        (("SET", PREFIX + "snapshot:steward", "x"), lambda account: account.steward()),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, tuple) else "",
)
async def test_what_no_worker_wrote_is_one_error_and_stays(redis_world, account, spoil, ask):
    await redis_world.client.execute_command("DEL", spoil[1])
    await redis_world.client.execute_command(*spoil)
    with pytest.raises(AccountError, match="move it away") as told:
        await ask(account)
    assert spoil[1] in str(told.value)
    assert await redis_world.client.execute_command("EXISTS", spoil[1]) == 1


async def test_a_redis_that_is_not_there_is_one_error(redis_world):
    redis_world.cut()
    with pytest.raises(AccountError, match="cannot be reached"):
        async with account_tools(redis_world.server.url):
            pass


async def test_a_redis_that_no_worker_would_use_takes_a_stop_all_the_same(redis_world):
    """Its makers may not have noticed yet: whoever is asked to stop them must not be the one who refuses."""
    await redis_world.client.execute_command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    async with account_tools(redis_world.server.url) as tools:
        assert "set it to noeviction" in tools.unfit
        account = tools.account(ACCOUNT)
        stopped = await account.stop(EmergencyLevel.HALT, "odd", "anna")
        assert stopped.level is EmergencyLevel.HALT
        assert (await account.resume(stopped.epoch, "anna")).level is EmergencyLevel.NONE


async def test_of_a_replica_nothing_is_taken_for_true(redis_world):
    await redis_world.client.execute_command("REPLICAOF", "127.0.0.1", "1")
    with pytest.raises(AccountError, match="name its master"):
        async with account_tools(redis_world.server.url):
            pass


@pytest.mark.parametrize("identity", ["", "a{b", "a}"])
async def test_what_is_no_identity_is_refused(tools, identity):
    with pytest.raises(AccountError, match="no name"):
        tools.account(identity)
