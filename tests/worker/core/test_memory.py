"""What the next process gets from this one, and what it refuses. How it acts on it: see the shutdown scenarios."""

import msgspec
import pytest
from core_world import World
from phoenix_worker.core.memory import ForeignMemoryError, Memory
from samples import ETH_MAKER, ETHUSDC, SECOND


def engine():
    return World().engine


@pytest.fixture
def memory(world):
    world.fill(world.ours()[0])
    return world.engine.remember()


def altered(data, **fields):
    return msgspec.msgpack.encode(msgspec.structs.replace(msgspec.msgpack.decode(data, type=Memory), **fields))


@pytest.mark.parametrize(
    ("alter", "says"),
    [
        (lambda data: altered(data, schema=99), "schema 99"),
        (lambda data: altered(data, symbol="ETHUSDC"), "of ETHUSDC"),
        (lambda data: data[:-3], "no snapshot"),
        (lambda _: b"", "no snapshot"),
        (lambda _: msgspec.msgpack.encode({"schema": 1}), "no snapshot"),
        (lambda _: msgspec.msgpack.encode([1, 2]), "no snapshot"),
    ],
    ids=["another schema", "another symbol", "cut short", "empty", "fields missing", "something else"],
)
def test_a_foreign_memory_is_refused_and_nothing_of_it_is_taken(memory, alter, says):
    fresh = engine()
    before = fresh.keyframe()
    with pytest.raises(ForeignMemoryError, match=says):
        fresh.restore(alter(memory), SECOND)
    assert fresh.keyframe() == before


def test_a_memory_of_another_symbols_worker_is_refused(memory):
    with pytest.raises(ForeignMemoryError, match="trades ETHUSDC"):
        World(ETH_MAKER, ETHUSDC).engine.restore(memory, 0)


def test_fills_that_are_remembered_are_not_booked_again(memory, world):
    fresh = engine()
    fresh.restore(memory, SECOND)
    assert fresh.account.position.last_trade_id == world.exchange.fills[-1].trade_id
    assert fresh.account.pnl.fills == 1
    assert not fresh.account.position.is_new(world.exchange.fills[-1].trade_id)


@pytest.mark.parametrize(("left_s", "age_s", "cools_s"), [(60, 10, 50), (60, 60, 0), (0, 0, 0), (60, -5, 60)])
def test_a_cooldown_goes_on_where_it_was(memory, left_s, age_s, cools_s):
    fresh = engine()
    fresh.restore(altered(memory, cooldown_left_ns=left_s * SECOND), age_s * SECOND)
    assert max(0, fresh.liquidation.cooldown_until_ns - fresh.now_ns) == cools_s * SECOND
