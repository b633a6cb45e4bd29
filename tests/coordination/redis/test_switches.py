"""Sticky switches: raised by anyone, lowered by nobody but who names the epoch."""

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings
from phoenix_coordination.port import EmergencyChanged, EmergencyLevel, HaltChanged
from phoenix_coordination.redis.scripts import Script
from phoenix_coordination.redis.switches import Switch, SwitchMemory, emergency_of, halt_of
from phoenix_coordination.state import SWITCH_NOT_SEEDED

NONE, HALT, FLATTEN = EmergencyLevel
WHATS = st.sampled_from(["raise", "merge", "seed"])


@pytest.fixture
def switch(lua):
    class Calls:
        def raised(self, level, *, floor=0):
            return self._call(Script.RAISE, [level.value, floor, "drawdown", "pod/1", 0])

        def merged(self, level, epoch, *, seeds=False):
            return self._call(Script.MERGE, [level.value, epoch, "told", "operator", 0, int(seeds)])

        def resumed(self, epoch, *, unseeded=False):
            arguments = [epoch, "looked at", "person", 0, lua.keys.emergency_changed, int(not unseeded)]
            return bool(lua.call(Script.RESUME, [lua.keys.emergency], arguments)[0])

        def declared(self, level):
            return lua.call(Script.DECLARE, [lua.keys.emergency], [level.value, lua.keys.emergency_changed])

        def _call(self, script, arguments):
            answer = lua.call(script, [lua.keys.emergency], [*arguments, lua.keys.emergency_changed])
            found = Switch.read(lua.keys.emergency, *answer)
            return found.level, found.epoch, found.seeded

    return Calls()


def test_the_seed_of_an_empty_redis_is_what_the_status_says(switch):
    assert switch.merged(FLATTEN, 7, seeds=True) == (FLATTEN, 7, True)


def test_a_raise_grows_the_epoch_and_a_lower_level_changes_nothing(switch):
    switch.merged(NONE, 3, seeds=True)
    assert switch.raised(FLATTEN) == (FLATTEN, 4, True)
    assert switch.raised(HALT) == (FLATTEN, 4, True)


def test_a_raise_before_the_seed_stays_and_does_not_seed(switch):
    assert switch.raised(HALT, floor=5) == (HALT, 6, False)
    assert switch.merged(NONE, 2, seeds=True) == (HALT, 6, True)


@pytest.mark.parametrize(
    ("epoch", "seeded", "resumed"), [(4, True, True), (3, True, False), (5, True, False), (4, False, False)]
)
def test_only_the_present_epoch_of_a_seeded_switch_resumes_it(switch, epoch, seeded, resumed):
    switch.merged(HALT, 4, seeds=seeded)
    assert switch.resumed(epoch) is resumed
    assert switch.merged(NONE, 0)[0] is (NONE if resumed else HALT)


@pytest.mark.parametrize("level", [NONE, HALT])
def test_a_seed_counts_for_one_run_of_the_server(lua, switch, level):
    """One that came back may have come back as it was a second before a stop was written (appendfsync everysec)."""
    switch.merged(level, 4, seeds=True)
    lua.restart(lua.save())
    assert switch.raised(NONE) == (level, 4, False)
    assert not switch.resumed(4)
    assert switch.merged(NONE, 0) == (level, 4, False)
    assert switch.merged(level, 4, seeds=True) == (level, 4, True)


@pytest.mark.parametrize("before", [None, HALT], ids=["nothing there", "a stop"])
def test_what_is_declared_stands_beside_the_sticky_switch_and_changes_nothing_of_it(lua, switch, before):
    if before is not None:
        switch.merged(before, 4, seeds=True)
    there = lua.client.hgetall(lua.keys.emergency)
    assert [switch.declared(level) for level in (FLATTEN, FLATTEN, HALT)] == [1, 0, 1]
    assert lua.client.hgetall(lua.keys.emergency) == there | {b"declared": b"1"}
    assert switch.declared(NONE) == 1
    assert lua.client.hgetall(lua.keys.emergency) == there


def test_neither_a_stop_nor_a_resume_nor_a_seed_takes_back_what_is_declared(lua, switch):
    switch.declared(HALT)
    assert switch.merged(NONE, 3, seeds=True) == (NONE, 3, True)
    switch.raised(FLATTEN)
    assert switch.resumed(4)
    assert lua.client.hget(lua.keys.emergency, "declared") == b"1"


def test_a_symbols_halt_needs_no_seed_to_be_resumed(switch):
    switch.raised(HALT)
    assert not switch.resumed(7, unseeded=True)
    assert switch.resumed(1, unseeded=True)


def test_a_resume_is_not_undone_by_who_remembers_the_stop(switch):
    switch.merged(HALT, 4, seeds=True)
    switch.resumed(4)
    assert switch.merged(HALT, 4) == (NONE, 5, True)
    assert switch.merged(HALT, 4, seeds=True) == (NONE, 5, True)


def test_two_histories_that_contradict_each_other_are_a_stop(switch):
    switch.merged(HALT, 4, seeds=True)
    assert switch.merged(NONE, 9) == (HALT, 10, True)


STOPS = st.builds(
    Switch,
    st.sampled_from([HALT, FLATTEN]),
    st.integers(0, 4),
    st.sampled_from(["fills", "a leak", "fills; and a leak", "", "\u00e9" * 500, "x" * 700]),
    seeded=st.just(value=True),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(one=STOPS, other=STOPS)
def test_of_two_stops_it_is_the_same_which_one_redis_knows_and_which_is_told(lua, one, other):
    def merged(*stops):
        lua.begin()
        for stop in stops:
            told = [stop.level.value, stop.epoch, stop.reason, "pod/1", 0, 1, lua.keys.emergency_changed]
            found = Switch.read(lua.keys.emergency, *lua.call(Script.MERGE, [lua.keys.emergency], told))
        return found

    assert merged(one, other) == merged(other, one)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stops=st.lists(STOPS, min_size=1, max_size=5), again=st.randoms(use_true_random=False))
def test_whoever_knows_one_of_many_stops_alone_lifts_none_of_the_others_and_telling_them_again_ends(lua, stops, again):
    lua.begin()

    def told(stop):
        arguments = [stop.level.value, stop.epoch, stop.reason, "pod/1", 0, 1, lua.keys.emergency_changed]
        return Switch.read(lua.keys.emergency, *lua.call(Script.MERGE, [lua.keys.emergency], arguments))

    for stop in stops:
        found = told(stop)
    assert found.level == max(stop.level for stop in stops)
    assert found.epoch <= max(stop.epoch for stop in stops) + len(stops)
    for stop in stops:
        assert found.epoch >= stop.epoch
        assert found.epoch > stop.epoch or found == stop
        assert stop.reason in found.reason or found.reason.endswith("; and others")
    for stop in again.choices(stops, k=10):
        assert told(stop) == found


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["raise", "merge", "seed"]), st.sampled_from([*EmergencyLevel]), st.integers(0, 9))
    )
)
def test_nothing_but_a_resume_lowers_the_level(lua, switch, steps):
    lua.begin()
    before = (NONE, -1)
    for what, level, epoch in steps:
        if what == "raise":
            now = switch.raised(level, floor=epoch)[:2]
        else:
            now = switch.merged(level, epoch, seeds=what == "seed")[:2]
        assert now[0] >= before[0]
        assert now[1] >= before[1]
        before = now


def test_everyone_hears_of_a_change_and_of_nothing_else(lua, switch):
    with lua.client.pubsub(ignore_subscribe_messages=True) as pubsub:
        pubsub.subscribe(lua.keys.emergency_changed)
        pubsub.get_message(timeout=1)
        switch.raised(HALT)
        switch.raised(HALT)
        switch.merged(NONE, 0)
        switch.declared(NONE)
        assert pubsub.get_message(timeout=1)["data"] == b"1"
        assert pubsub.get_message(timeout=0.05) is None
        switch.declared(HALT)
        assert pubsub.get_message(timeout=1)["data"] == b"declared"


@pytest.mark.parametrize(
    ("memory", "declared", "told"),
    [
        (SwitchMemory(), NONE, None),
        (SwitchMemory(Switch(NONE, -1, "", seeded=False)), NONE, EmergencyChanged(HALT, 0, SWITCH_NOT_SEEDED)),
        (SwitchMemory(Switch(FLATTEN, 2, "x", seeded=False)), NONE, EmergencyChanged(FLATTEN, 2, "x")),
        (SwitchMemory(Switch(NONE, 2, "", seeded=True)), NONE, EmergencyChanged(NONE, 2, "")),
        (
            SwitchMemory(Switch(NONE, 2, "", seeded=True), Switch(HALT, 3, "mine", seeded=True)),
            NONE,
            EmergencyChanged(HALT, 3, "mine"),
        ),
        (SwitchMemory(None, Switch(HALT, 1, "mine", seeded=True)), NONE, EmergencyChanged(HALT, 1, "mine")),
        (SwitchMemory(Switch(FLATTEN, 2, "x", seeded=True)), HALT, EmergencyChanged(FLATTEN, 2, "x")),
        (SwitchMemory(), FLATTEN, None),
        (
            SwitchMemory(Switch(HALT, 2, "x", seeded=True)),
            FLATTEN,
            EmergencyChanged(FLATTEN, 2, "the account resource says so (spec.emergency)"),
        ),
    ],
    ids=[
        *("unread", "missing", "unseeded", "off", "raising", "raising before reading"),
        *("declared less", "declared, and unread", "declared"),
    ],
)
def test_the_highest_source_is_in_force_and_what_is_missing_is_a_halt(memory, declared, told):
    assert emergency_of(memory, declared) == told


@pytest.mark.parametrize(
    ("memory", "told"),
    [
        (SwitchMemory(), None),
        (SwitchMemory(Switch(NONE, -1, "", seeded=False)), HaltChanged(0, "")),
        (SwitchMemory(Switch(HALT, 3, "stop loss", seeded=False)), HaltChanged(3, "stop loss")),
        (SwitchMemory(Switch(HALT, 3, "", seeded=False)), HaltChanged(3, "no reason was given")),
        (SwitchMemory(Switch(NONE, 4, "resumed by a person", seeded=False)), HaltChanged(4, "")),
        (SwitchMemory(Switch(NONE, 4, "", seeded=False), Switch(HALT, 5, "mine", seeded=True)), HaltChanged(5, "mine")),
    ],
    ids=["unread", "missing", "halted", "without a reason", "resumed", "raising"],
)
def test_a_symbol_is_halted_from_the_raise_to_the_resume_and_a_missing_switch_is_none(memory, told):
    assert halt_of(memory) == told
