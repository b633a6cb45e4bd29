"""What no worker wrote into a field of ours: each script names it, and writes nothing."""

import pytest
import redis
from phoenix_coordination.order_id import MAX_TOKEN
from phoenix_coordination.redis.keys import AccountKeys
from phoenix_coordination.redis.scripts import Script

KEYS = AccountKeys("binance-usdm:simulator:abc")
LEASE, HALT, MEMORY = KEYS.lease("BTCUSDT"), KEYS.halt("BTCUSDT"), KEYS.snapshot("BTCUSDT")
NO_INTEGERS = ["abc", "nan", "inf", "-inf", "1e300", "1.5", "0x1f", "", " 1", "-5", "9007199254740992", "9" * 400]
FIELDS = {
    "the ledger's epoch": (KEYS.ledger, "epoch"),
    "the lease's token": (LEASE, "token"),
    "the lease's beat": (LEASE, "beat"),
    "the emergency's epoch": (KEYS.emergency, "epoch"),
    "the emergency's level": (KEYS.emergency, "level"),
    "what is declared": (KEYS.emergency, "declared"),
    "the halt's epoch": (HALT, "epoch"),
    "the halt's level": (HALT, "level"),
    "the ledger's entry": (KEYS.ledger, "e:BTCUSDT"),
}


@pytest.fixture
def account(lua):
    """A lease that was released, so that whoever comes takes it, and everything beside it."""
    run = f"{lua.run:040x}"
    lua.client.hset(LEASE, mapping={"holder": "pod/9", "token": 7, "beat": 3, "released": run, "run": run})
    for switch in (KEYS.emergency, HALT):
        lua.client.hset(switch, mapping={"level": 0, "epoch": 4, "reason": "", "seeded": run})
    lua.client.hset(KEYS.ledger, mapping={"rebuilt": f"{run}:1", "epoch": 2, "e:BTCUSDT": f"{run} 7 1 1 1 1 1 1"})
    lua.client.hset(MEMORY, mapping={"schema": 1, "token": 7, "saved_wall_ns": 1, "memory": "x"})
    return lua


def beats(server):
    names = [LEASE, KEYS.emergency, HALT, KEYS.ledger, KEYS.warm("BTCUSDT"), MEMORY]
    return server.call(Script.BEAT, names, ["pod/1", 0, "", 0, "nonce", MAX_TOKEN, 0, 400, "BTCUSDT"])


@pytest.mark.parametrize("written", NO_INTEGERS)
@pytest.mark.parametrize(("key", "field"), FIELDS.values(), ids=FIELDS)
def test_a_heartbeat_names_it_and_takes_nothing(account, key, field, written):
    account.client.hset(key, field, written)
    before = account.save()
    with pytest.raises(redis.exceptions.ResponseError, match="move it away") as told:
        beats(account)
    assert key in str(told.value)
    assert field in str(told.value)
    assert account.save() == before


@pytest.mark.parametrize("written", [written for written in NO_INTEGERS if written not in {"abc", ""}])
def test_a_memorys_token_that_could_pass_for_one_is_named_too(account, written):
    account.client.hset(MEMORY, "token", written)
    before = account.save()
    with pytest.raises(redis.exceptions.ResponseError, match="FOREIGN"):
        beats(account)
    assert account.save() == before


def test_without_it_the_lease_is_taken(account):
    assert beats(account)[0] == b"taken"


@pytest.mark.parametrize("written", NO_INTEGERS)
@pytest.mark.parametrize("field", ["level", "epoch"])
@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        (Script.RAISE, [2, 0, "odd", "anna", 0, "changed", 1]),
        (Script.MERGE, [2, 9, "odd", "pod/1", 0, 1, "changed"]),
        (Script.RESUME, [4, "looked at it", "anna", 0, "changed", 0]),
        (Script.DECLARE, [2, "changed"]),
    ],
    ids=["raise", "merge", "resume", "declare"],
)
def test_a_switch_is_neither_raised_nor_lowered_nor_merged_over_it(account, script, arguments, field, written):
    account.client.hset(KEYS.emergency, mapping={"level": 1, "epoch": 4, field: written})
    before = account.save()
    with pytest.raises(redis.exceptions.ResponseError, match=f"FOREIGN {KEYS.emergency} holds no switch"):
        account.call(script, [KEYS.emergency], arguments)
    assert account.save() == before


@pytest.mark.parametrize("written", NO_INTEGERS)
def test_nothing_is_declared_over_what_was_not_declared_by_us(account, written):
    account.client.hset(KEYS.emergency, "declared", written)
    before = account.save()
    with pytest.raises(redis.exceptions.ResponseError, match=f"FOREIGN {KEYS.emergency} holds no switch"):
        account.call(Script.DECLARE, [KEYS.emergency], [2, "changed"])
    assert account.save() == before


@pytest.mark.parametrize("field", ["epoch", "e:BTCUSDT", "e:ETHUSDT"])
@pytest.mark.parametrize(
    "written", [*NO_INTEGERS, f"{1:040x} {MAX_TOKEN + 1} 1 1 1 1 1 1", f"{1:040x} 1 1 1 1 1 1 nan"]
)
def test_nothing_is_reserved_beside_it(account, field, written):
    account.client.hset(LEASE, mapping={"holder": "pod/1", "token": 8, "released": ""})
    account.client.hset(KEYS.ledger, field, written)
    before = account.save()
    with pytest.raises(redis.exceptions.ResponseError, match="it is not ours") as told:
        account.call(Script.RESERVE, [KEYS.ledger, LEASE], ["BTCUSDT", "pod/1", 8, 1, *[9] * 2, *[0] * 7, 1])
    assert KEYS.ledger in str(told.value)
    assert field in str(told.value)
    assert account.save() == before


@pytest.mark.parametrize("written", NO_INTEGERS)
def test_no_symbol_is_settled_beside_it(account, written):
    account.client.hset(LEASE, mapping={"holder": "pod/1", "token": 8, "released": ""})
    account.client.hset(KEYS.ledger, "epoch", written)
    before = account.save()
    with pytest.raises(redis.exceptions.ResponseError, match=r"ledger holds no integer of ours in epoch"):
        account.call(Script.SETTLE, [KEYS.ledger, LEASE], ["BTCUSDT", "pod/1", 8, *[5] * 5])
    assert account.save() == before
