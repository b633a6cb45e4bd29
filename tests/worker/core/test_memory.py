"""What the symbol's next leader gets from this one, and what it refuses. How it acts on it: the takeover scenarios."""

import msgspec
import pytest
from core_world import World
from phoenix_worker.core import events as ev
from phoenix_worker.core.events import EmergencyLevel
from phoenix_worker.core.grinding import Grinder
from phoenix_worker.core.memory import SCHEMA, ForeignMemoryError, read
from phoenix_worker.core.switch import Switch
from samples import BTCUSDT, SECOND

HALT = EmergencyLevel.HALT


def engine():
    return World().engine


def restored(memory, age_ns=SECOND, observed_ns=0):
    """A fresh engine that was told it."""
    fresh = engine()
    fresh.on(ev.Restored(fresh.now_ns, memory, age_ns, observed_ns))
    return fresh


@pytest.fixture
def memory(world):
    world.fill(world.ours()[0])
    return world.engine.remember()


def altered(data, **fields):
    return msgspec.msgpack.encode(msgspec.structs.replace(read(data, "BTCUSDT"), **fields))


FOREIGN = pytest.mark.parametrize(
    ("alter", "says"),
    [
        (lambda data: altered(data, schema=SCHEMA - 1), f"schema {SCHEMA - 1}"),
        (lambda data: altered(data, schema=SCHEMA + 1), f"schema {SCHEMA + 1}"),
        (lambda data: altered(data, symbol="ETHUSDC"), "of ETHUSDC, this worker trades BTCUSDT"),
        (lambda data: data[:-3], "no snapshot"),
        (lambda _: b"junk", "no snapshot"),
        (lambda _: msgspec.msgpack.encode({"schema": SCHEMA}), "no snapshot"),
        (lambda _: msgspec.msgpack.encode([1, 2]), "no snapshot"),
    ],
    ids=[
        "an older schema",
        "a newer schema",
        "another symbol",
        "cut short",
        "junk",
        "fields missing",
        "something else",
    ],
)


@FOREIGN
def test_what_is_no_memory_of_this_symbol_is_not_read(memory, alter, says):
    with pytest.raises(ForeignMemoryError, match=says):
        read(alter(memory), BTCUSDT.symbol)


@FOREIGN
def test_a_foreign_memory_is_told_of_and_counts_as_none(memory, alter, says):
    fresh = engine()
    before = fresh.keyframe()
    (note,) = fresh.on(ev.Restored(fresh.now_ns, alter(memory), SECOND))
    assert says in note.text
    assert fresh.keyframe() == before
    assert fresh.session.unremembered


@pytest.mark.parametrize("unusable", [b"", b"junk"], ids=["none", "foreign"])
def test_none_that_can_be_used_is_none_for_a_worker_that_has_led_before_too(memory, unusable):
    fresh = restored(memory)
    assert not fresh.session.unremembered
    fresh.on(ev.Restored(fresh.now_ns, unusable, 0))
    assert fresh.session.unremembered
    assert fresh.account.pnl.fills == 1, "what it knows itself it keeps"


def test_fills_that_are_remembered_are_not_booked_again_and_others_are(memory, world):
    fresh = restored(memory)
    fill = world.exchange.fills[-1]
    assert fresh.account.pnl.fills == 1
    assert not fresh.account.position.is_new(fill.trade_id)
    assert fresh.account.position.is_new(fill.trade_id - 1), "a trade that was missed before it was never booked"
    assert fresh.account.position.is_new(fill.trade_id + 1)


@pytest.mark.parametrize(
    ("left_s", "age_s", "observed_s", "cools_s"),
    [(60, 10, 10, 50), (60, 60, 60, 0), (0, 0, 0, 0), (60, 3_600, 0, 60), (60, 3_600, 5, 55), (60, 0, 5, 55)],
    ids=["goes on", "is over", "none", "a wall clock ahead ends none", "nor shortens it", "one behind draws none out"],
)
def test_a_cooldown_is_shorter_only_by_what_was_observed(memory, left_s, age_s, observed_s, cools_s):
    fresh = restored(altered(memory, cooldown_left_ns=left_s * SECOND), age_s * SECOND, observed_s * SECOND)
    assert max(0, fresh.liquidation.cooldown_until_ns - fresh.now_ns) == cools_s * SECOND


def test_a_cooldown_of_its_own_that_is_longer_is_kept(memory):
    fresh = engine()
    fresh.liquidation.cooldown_until_ns = fresh.now_ns + 40 * SECOND
    fresh.on(ev.Restored(fresh.now_ns, altered(memory, cooldown_left_ns=30 * SECOND), 0))
    assert fresh.liquidation.cooldown_until_ns == fresh.now_ns + 40 * SECOND


def test_an_emergency_that_is_being_worked_off_leaves_its_whole_cooldown():
    world = World()
    world.hold(112)
    world.hold_requests = True
    world.start()
    world.wait(1.0)
    assert world.engine.liquidation.active
    assert read(world.engine.remember(), "BTCUSDT").cooldown_left_ns == 60 * SECOND


@pytest.mark.parametrize(
    ("own_ms", "remembered_ms", "funding"),
    [(0, 1_000, -500), (1_000, 1_000, -500), (2_000, 1_000, -430), (1_000, 0, 70)],
    ids=["only the leader heard it", "both heard it", "we heard the next one", "the leader never heard one"],
)
def test_a_settlement_that_only_the_standby_heard_is_not_lost(memory, own_ms, remembered_ms, funding):
    fresh = engine()
    if own_ms:
        fresh.on(ev.FundingPaid(fresh.now_ns, own_ms, 70 if own_ms != remembered_ms else -500))
    remembered = read(memory, "BTCUSDT").funding
    remembered.on_told(ev.FundingPaid(0, remembered_ms, -500))
    fresh.on(ev.Restored(fresh.now_ns, altered(memory, funding=remembered), 0))
    assert fresh.funding.paid == funding


def test_statistics_of_its_own_that_are_warm_stay(memory, world):
    world.wait(12.0)
    assert world.engine.statistics.warm
    sigma = world.engine.view().sigma_1s
    other = msgspec.structs.replace(world.engine.statistics, variance=1.0)
    world.tell(ev.Restored(0, altered(memory, statistics=other), 0))
    assert world.engine.view().sigma_1s == sigma


# -- switches ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "remembered", "in_force", "raised"),
    [
        (None, Switch(HALT, 5, "x"), Switch(HALT, 5, "x"), False),
        (Switch(epoch=6), Switch(HALT, 5, "x"), Switch(epoch=6), False),
        (Switch(epoch=4), Switch(HALT, 5, "x"), Switch(HALT, 5, "x"), True),
        (Switch(HALT, 4, "y"), Switch(epoch=6), Switch(HALT, 4, "y"), False),
        (Switch(HALT, 4, "y"), Switch(EmergencyLevel.FLATTEN, 5, "x"), Switch(EmergencyLevel.FLATTEN, 5, "x"), True),
    ],
    ids=["not told yet", "resumed since", "forgotten", "told of a halt all the same", "forgotten, and higher"],
)
def test_a_remembered_emergency_counts_unless_it_was_resumed(memory, told, remembered, in_force, raised):
    fresh = engine()
    if told:
        fresh.on(ev.Emergency(fresh.now_ns, told.level, told.epoch, told.reason))
    actions = fresh.on(ev.Restored(fresh.now_ns, altered(memory, emergency=remembered), 0))
    assert fresh.session.emergency == in_force
    assert ([action.level for action in actions if hasattr(action, "level")] == [in_force.level]) is raised


@pytest.mark.parametrize(
    ("told_epoch", "remembered", "halted", "raised"),
    [
        (4, Switch(HALT, 5, "x"), "x", True),
        (0, Switch(HALT, 5, "x"), "x", True),
        (5, Switch(HALT, 5, "x"), "", False),
        (6, Switch(HALT, 5, "x"), "", False),
        (4, Switch(epoch=6), "", False),
    ],
    ids=["not shared yet", "forgotten", "under the same epoch", "resumed since", "none"],
)
def test_a_remembered_halt_counts_unless_it_was_resumed(memory, told_epoch, remembered, halted, raised):
    fresh = engine()
    fresh.on(ev.SymbolHalt(fresh.now_ns, told_epoch, ""))
    actions = fresh.on(ev.Restored(fresh.now_ns, altered(memory, halt=remembered), 0))
    assert fresh.view().halted == halted
    assert [action.reason for action in actions if type(action).__name__ == "HaltSymbol"] == ["x"] * raised


@pytest.mark.parametrize(("resumed", "withdrawn"), [(False, True), (True, False)])
def test_a_second_writer_is_remembered_until_a_person_has_resumed(memory, resumed, withdrawn):
    fresh = engine()
    fresh.on(ev.Emergency(fresh.now_ns, EmergencyLevel.NONE, 7 if resumed else 5, ""))
    left = altered(memory, second_writer=True, emergency=Switch(HALT, 6, "second writer"))
    fresh.on(ev.Restored(fresh.now_ns, left, 0))
    assert fresh.session.second_writer is withdrawn
    assert fresh.session.emergency.on is withdrawn


def test_everything_that_is_remembered_comes_back(memory, world):
    world.wait(12.0)
    left = altered(
        memory,
        revision="first",
        pnl=msgspec.structs.replace(read(memory, "BTCUSDT").pnl, realised=7, other_fees={"BNB": 3}, began_ms=1_700),
        newer_trades=[900, 903],
        statistics=msgspec.structs.replace(world.engine.statistics, last_sample_ns=0, heard_ns=0),
        cooldown_left_ns=9 * SECOND,
        emergency=Switch(EmergencyLevel.FLATTEN, 9, "a person"),
        halt=Switch(HALT, 3, "losses"),
        second_writer=True,
        max_worst_case_ratio=0.9,
        halted_day_ms=86_400_000,
        halted_limit=50,
        halted_reason="daily loss",
        stop_base=-30,
        resumed=True,
        grinder=Grinder("g", True, 1, 6, 7, 2, 3, [-9, -5], -5, 0, 11, 12, {"USDT": 13}, {"pxk3f9a0-0mf2x9q1-r1z": 14}),
    )
    mine, theirs = read(left, "BTCUSDT"), read(restored(left, 0).remember(), "BTCUSDT")
    one_more = msgspec.structs.replace(mine.grinder, starts=[-9, -5, 0], tried_ns=0)
    assert theirs == msgspec.structs.replace(mine, grinder=one_more), "what may have been ground since counts"
