"""What a run does for its accounts: seeds the switch, remembers it, tells it, and shows what the makers share."""

import asyncio
import contextlib
from decimal import Decimal

import pytest
from phoenix_cli.demo import find_configs
from phoenix_cli.local.account import AccountWatch, Remembered, SwitchFile
from phoenix_cli.local.fleet import load_fleet
from phoenix_cli.local.view import Exposure, HaltView
from phoenix_coordination.port import EmergencyLevel
from phoenix_coordination.redis import records
from phoenix_coordination.redis.client import connect
from phoenix_coordination.redis.keys import AccountKeys, identity_of
from phoenix_coordination.redis.tasks import end
from phoenix_crds import Emergency

IDENTITY = "binance-usdm:simulator:abc"
KEYS = AccountKeys(IDENTITY)
NONE, HALT, FLATTEN = EmergencyLevel


@pytest.fixture
def account():
    configs = find_configs()
    return load_fleet([configs / "accounts", configs / "makers"])[0].account


class Watched:
    """A watch that looks on, and what it has told."""

    def __init__(self, watch: AccountWatch, told: list[str], redis) -> None:
        self.watch = watch
        self.told = told
        self.redis = redis

    @property
    def view(self):
        return self.watch.view()

    def switch(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.redis.hgetall(KEYS.emergency).items()}

    async def until(self, holds) -> None:
        async with asyncio.timeout(20):
            while not holds():  # noqa: ASYNC110 - the watch looks four times a second
                await asyncio.sleep(0.02)


OURS = "pod/1"


@pytest.fixture
def publish(redis_url, record):
    """A worker tells of itself, under that account."""

    async def told(holder: str, identity: str = IDENTITY) -> None:
        client = connect(redis_url, 5.0)
        try:
            await records.publish(client, AccountKeys(identity), record(holder=holder), 1.0)
        finally:
            await client.aclose()

    return told


@pytest.fixture
async def watching(account, shared_redis, redis_url, tmp_path, publish):
    """Begins to watch; in a body, because a run begins and ends within a test."""
    await publish(OURS)

    @contextlib.asynccontextmanager
    async def begin(argument=redis_url):
        told: list[str] = []
        memory = SwitchFile(tmp_path / "switch.json")
        watch = AccountWatch(
            account,
            argument,
            memory,
            lambda subject, text, _: told.append(f"{subject} {text}"),
            {OURS: "btcusdt"}.get,
            rehearses=False,
        )
        looking = asyncio.create_task(watch.follow())
        try:
            yield Watched(watch, told, shared_redis)
        finally:
            await end([looking])

    return begin


async def test_until_a_worker_has_named_the_account_nothing_is_known_of_it(watching, shared_redis, publish):
    shared_redis.flushall()
    async with watching() as it:
        await asyncio.sleep(0.3)
        assert (it.view.level, it.view.trouble) == ("", "waits for a worker to name the account")
        assert it.switch() == {}
        await publish(OURS)
        await it.until(lambda: it.view.level == "None")


FORMER = "binance-usdm:simulator:former"


async def test_what_an_earlier_run_called_so_is_never_taken_for_ours(watching, shared_redis, publish):
    """A simulator that was started anew has other accounts, the run's Redis still its former one."""
    shared_redis.flushall()
    shared_redis.set(identity_of("local/default"), FORMER)
    async with watching() as it:
        await asyncio.sleep(0.3)
        assert (it.watch.identity, it.view.level) == ("", "")
        await publish(OURS)
        await it.until(lambda: bool(it.switch().get("seeded")))
        shared_redis.delete(identity_of("local/default"))
        await asyncio.sleep(0.6)
        assert it.watch.identity == IDENTITY
        assert not shared_redis.exists(AccountKeys(FORMER).emergency)


async def test_the_account_of_another_run_with_the_same_name_is_neither_shown_nor_seeded(
    watching, shared_redis, publish
):
    shared_redis.flushall()
    await publish("pod/of-another-run", FORMER)
    other = AccountKeys(FORMER).emergency
    shared_redis.hset(other, mapping={"level": 1, "epoch": 7, "reason": "theirs", "seeded": ""})
    async with watching() as it:
        await it.until(lambda: "no worker of this run has told" in it.view.trouble)
        assert it.view.trouble.startswith(f"local/default is {FORMER} in this Redis")
        assert (it.watch.identity, it.view.level, it.told) == ("", "", [])
        assert shared_redis.hget(other, "seeded") == b""


async def test_an_account_that_is_ours_stays_so_when_another_run_takes_its_name(watching, shared_redis, publish):
    async with watching() as it:
        await it.until(lambda: it.view.level == "None")
        shared_redis.delete(KEYS.records)
        await publish("pod/of-another-run", FORMER)
        await asyncio.sleep(0.6)
        await it.watch.stop(HALT, "ours")
        await it.until(lambda: it.view.level == "Halt")
    assert it.switch()["reason"] == "ours"
    assert not shared_redis.exists(AccountKeys(FORMER).emergency)


async def test_a_switch_that_nobody_has_seeded_is_seeded_with_none(watching):
    async with watching() as it:
        await it.until(lambda: it.view.level == "None")
        run = it.redis.info("server")["run_id"]
        assert (it.switch()["seeded"], it.switch()["level"], it.switch()["source"]) == (run, "0", "local runner")
        assert it.told == []


async def test_what_the_manifest_declares_is_told_to_redis_and_taken_back_when_it_changes(watching, account):
    halting = account.model_copy(update={"spec": account.spec.model_copy(update={"emergency": Emergency.HALT})})
    async with watching() as it:
        await it.until(lambda: it.view.level == "None")
        it.watch.declare(halting)
        await it.until(lambda: it.view.level == "Halt")
        assert (it.switch()["declared"], it.switch()["level"]) == ("1", "0")
        assert it.view.reason == "its manifest says so (spec.emergency)"
        it.watch.declare(account)
        await it.until(lambda: it.view.level == "None")
        assert "declared" not in it.switch()
        assert it.told == []


async def test_a_stop_is_told_once_with_the_command_that_lifts_it_and_so_is_its_end(watching):
    async with watching() as it:
        await it.until(lambda: it.view.level == "None")
        await it.watch.stop(HALT, "looked odd")
        await it.until(lambda: it.view.level == "Halt")
        assert (it.view.epoch, it.view.reason) == (1, "looked odd")
        it.redis.hset(KEYS.emergency, mapping={"level": 0, "epoch": 2, "reason": "resumed by anna"})
        await it.until(lambda: it.view.level == "None")
        raised, lifted = it.told
        assert raised.startswith("default emergency Halt, epoch 1, by local runner: looked odd; ")
        assert raised.endswith("`phoenix resume default --epoch 1` lets it trade again")
        assert lifted == "default no emergency, epoch 2: resumed by anna"


async def test_a_redis_that_comes_back_empty_is_told_the_stop_again(watching):
    async with watching() as it:
        await it.until(lambda: it.view.level == "None")
        await it.watch.stop(FLATTEN, "looked odd")
        await it.until(lambda: it.view.level == "Flatten")
        it.redis.flushall()
        await it.until(lambda: it.switch() != {})
        await it.until(lambda: bool(it.switch().get("seeded")))
        assert (it.switch()["level"], it.switch()["epoch"], it.switch()["reason"]) == ("2", "1", "looked odd")


async def test_a_stop_outlives_the_run_and_its_redis(watching, publish):
    async with watching() as it:
        await it.until(lambda: it.view.level == "None")
        await it.watch.stop(HALT, "looked odd")
        await it.until(lambda: it.view.level == "Halt")
    it.redis.flushall()
    await publish(OURS)
    async with watching() as later:
        await later.until(lambda: later.view.level == "Halt")
        assert later.switch()["seeded"] == it.redis.info("server")["run_id"]
        assert "looked odd" in later.told[0]


async def test_what_was_resumed_while_the_run_was_away_stays_resumed(watching):
    async with watching() as it:
        await it.until(lambda: it.view.level == "None")
        await it.watch.stop(HALT, "looked odd")
        await it.until(lambda: it.view.level == "Halt")
    it.redis.hset(KEYS.emergency, mapping={"level": 0, "epoch": 2})
    async with watching() as later:
        await later.until(lambda: later.view.level == "None")
        assert later.view.epoch == 2


async def test_what_the_makers_share_is_shown(watching, shared_redis):
    run = shared_redis.info("server")["run_id"]
    micro = 1_000_000
    shared_redis.hset(
        KEYS.ledger,
        mapping={
            "rebuilt": f"{run}:x",
            "epoch": 3,
            "e:BTCUSDT": f"{run} 17 1 {700 * micro} {-200 * micro} {700 * micro} {200 * micro} 0",
            "e:ETHUSDT": f"{run} 18 1 {100 * micro} {300 * micro} {300 * micro} 0 {200 * micro}",
        },
    )
    shared_redis.hset(KEYS.lease("steward"), mapping={"holder": "pod/1", "token": 5, "beat": 0, "released": ""})
    shared_redis.hset(KEYS.halt("ETHUSDT"), mapping={"level": 1, "epoch": 4, "reason": "daily loss", "seeded": ""})
    async with watching() as it:
        await it.until(lambda: it.view.exposure is not None)
        assert it.view.exposure == Exposure(Decimal(800), Decimal(100), Decimal(1000))
        assert it.view.symbols["ETHUSDT"] == Exposure(Decimal(100), Decimal(300), Decimal(300))
        assert (it.view.net_limit, it.view.gross_limit) == (Decimal(25000), Decimal(50000))
        assert it.view.steward == "btcusdt"
        assert it.view.halts == (HaltView("ETHUSDT", 4, "daily loss"),)
        assert it.view.trouble == ""


async def test_a_redis_that_cannot_be_used_leaves_nothing_known(watching, shared_redis):
    async with watching() as it:
        await it.until(lambda: it.view.level == "None")
        shared_redis.set(KEYS.ledger, "somebody else's")
        await it.until(lambda: it.view.level == "")
        assert f"{KEYS.ledger} in Redis holds a foreign value" in it.view.trouble
        shared_redis.delete(KEYS.ledger)
        await it.until(lambda: it.view.level == "None")


async def test_a_password_that_was_changed_in_the_file_is_the_one_that_is_used(
    watching, shared_redis, redis_url, tmp_path
):
    """Else a Redis that was restarted would never be seeded again, and nobody would trade."""
    file = tmp_path / "redis-url"
    file.write_text(redis_url)
    try:
        async with watching(f"@{file}") as it:
            await it.until(lambda: it.view.level == "None")
            shared_redis.config_set("requirepass", "changed")
            shared_redis.client_kill_filter(_type="normal", skipme=True)
            await it.until(lambda: it.view.level == "")
            assert "user name or password" in it.view.trouble
            file.unlink()
            await it.until(lambda: "cannot be read" in it.view.trouble)
            file.write_text(redis_url.replace("unix://", "unix://:changed@"))
            shared_redis.hdel(KEYS.emergency, "seeded")
            await it.until(lambda: it.view.level == "None")
            assert it.switch()["seeded"]
            file.write_text(redis_url)
            stopping = asyncio.create_task(it.watch.stop(HALT, "a fault of the run"))
            assert not (await asyncio.wait({stopping}, timeout=0.3))[0]
            file.write_text(redis_url.replace("unix://", "unix://:changed@"))
            await asyncio.wait_for(stopping, 20)
            assert it.switch()["level"] == "1"
    finally:
        shared_redis.config_set("requirepass", "")


HALTED = Remembered(HALT, 7, "looked odd")


def test_the_file_remembers_the_switch_of_each_account(tmp_path):
    path = tmp_path / "switch.json"
    SwitchFile(path).write("one", HALTED)
    SwitchFile(path).write("two", Remembered(NONE, 2, ""))
    assert [SwitchFile(path).read(name) for name in ("one", "two", "three")] == [
        HALTED,
        Remembered(NONE, 2, ""),
        Remembered(NONE, 0, ""),
    ]


@pytest.mark.parametrize("text", ["{", '{"one": 3}', '{"one": {"level": 9, "epoch": 1, "reason": ""}}', "\udcff"])
def test_a_file_that_cannot_be_read_counts_as_a_halt_of_every_account_of_the_run(tmp_path, text):
    path = tmp_path / "switch.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    memory = SwitchFile(path)
    assert memory.read("one").level is HALT
    memory.write("one", HALTED)
    assert memory.read("two").level is HALT, "what it held of the others is still not known"
    assert "switch.json cannot be read" in memory.read("two").reason
