"""A sticky switch among workers and people, on a server that forgets: a stop holds until its epoch is named."""

import asyncio

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from phoenix_coordination.port import EmergencyLevel
from phoenix_coordination.redis.scripts import Script
from phoenix_coordination.redis.switches import Switch, SwitchMemory, settle

NONE, HALT, FLATTEN = EmergencyLevel
WORKERS = st.integers(0, 1)
RAISED = st.sampled_from([HALT, FLATTEN])


class Blocking:
    """The server's own client where an asynchronous one is wanted."""

    def __init__(self, client) -> None:
        self._client = client

    async def execute_command(self, *words):
        return self._client.execute_command(*words)


class Worker:
    """One process: what it knows, and the highest level that it must hold until it is resumed."""

    def __init__(self) -> None:
        self.memory = SwitchMemory()
        self.must = NONE
        self.epoch = 0


class SwitchMachine(RuleBasedStateMachine):
    """A symbol's halt is the smaller case of it: one level, no seed."""

    def __init__(self, server, memory_type=SwitchMemory) -> None:
        super().__init__()
        server.begin()
        self.server = server
        self.client = Blocking(server.client)
        self.key, self.channel = server.keys.emergency, server.keys.emergency_changed
        self.workers = [Worker() for _ in range(2)]
        for worker in self.workers:
            worker.memory = memory_type()
        self.resumed = -1
        self.there = self.declared = NONE
        self.saved = server.save()

    @rule(number=WORKERS)
    def beats(self, number):
        worker = self.workers[number]
        found = self.server.client.hmget(self.key, "level", "epoch", "reason", "seeded")
        stored = Switch.read(self.key, *(field or b"" for field in found))
        asyncio.run(settle(self.client, self.key, self.channel, worker.memory, stored, "pod", 0))
        told = worker.memory.highest
        if told.level < worker.must:
            assert self.resumed >= worker.epoch, "nobody has resumed what this worker has seen"
            worker.must, worker.epoch = told.level, told.epoch
        worker.must = max(worker.must, told.level)
        worker.epoch = max(worker.epoch, told.epoch)

    @rule(number=WORKERS, level=RAISED)
    def a_worker_raises_it(self, number, level):
        worker = self.workers[number]
        worker.memory.wish(level, "drawdown")
        worker.must = max(worker.must, level)

    @rule(level=RAISED, reason=st.sampled_from(["odd", "a leak"]))
    def a_person_stops_it(self, level, reason="odd"):
        self.server.call(Script.RAISE, [self.key], [level.value, 0, reason, "anna", 0, self.channel])

    @rule(off=st.integers(-1, 1))
    def a_person_resumes_it(self, off):
        found = self.server.client.hmget(self.key, "level", "epoch")
        epoch = int(found[1] or 0) + off
        lowered, *_ = self.server.call(Script.RESUME, [self.key], [epoch, "looked at it", "anna", 0, self.channel, 0])
        assert bool(lowered) is (off == 0 and int(found[0] or 0) > 0)
        if lowered:
            self.resumed = max(self.resumed, epoch)
            self.there = NONE

    @rule()
    def somebody_seeds_it_with_nothing(self):
        self.server.call(Script.MERGE, [self.key], [0, 0, "", "runner", 0, 1, self.channel])

    @rule(level=st.sampled_from(list(EmergencyLevel)))
    def the_resource_declares(self, level):
        self.server.call(Script.DECLARE, [self.key], [level.value, self.channel])
        self.declared = level

    @rule(number=WORKERS)
    def a_worker_is_replaced(self, number):
        """Who comes next knows what Redis tells it, and no more."""
        self.workers[number] = Worker()

    @rule()
    def everything_is_flushed(self):
        self.server.client.flushall()
        self.there = self.declared = NONE

    @rule()
    def disk_is_written(self):
        self.saved = self.server.save()

    @rule()
    def the_server_restarts_with_what_was_on_disk(self):
        self.server.restart(self.saved)
        self.there, self.declared = self.level(), self.level("declared")

    def level(self, field="level"):
        return EmergencyLevel(int(self.server.client.hget(self.key, field) or 0))

    @invariant()
    def nothing_but_a_resume_or_a_loss_lowers_it(self):
        assert self.level() >= self.there
        self.there = self.level()

    @invariant()
    def what_is_declared_stands_until_something_else_is(self):
        assert self.level("declared") is self.declared

    @invariant()
    def what_a_worker_has_raised_holds_at_once(self):
        for worker in self.workers:
            if worker.memory.raising is not None:
                assert worker.memory.highest.level >= worker.memory.raising.level


SETTINGS = settings(
    max_examples=100,
    stateful_step_count=40,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


def test_whatever_is_forgotten_a_stop_holds_until_its_epoch_is_named(lua):
    run_state_machine_as_test(lambda: SwitchMachine(lua), settings=SETTINGS)


class _Forgetful(SwitchMemory):
    def knows_better(self, stored: Switch) -> Switch | None:
        return None if stored.epoch < 0 else super().knows_better(stored)


def _another_epoch(machine):
    """The person names the epoch of a stop that is not the present one."""
    machine.a_person_stops_it(HALT)
    machine.beats(0)
    machine.a_person_resumes_it(-1)


def _flush(machine):
    """Redis comes back empty, and the runner seeds it with what it knows: nothing."""
    machine.a_person_stops_it(HALT)
    machine.beats(0)
    machine.everything_is_flushed()
    machine.somebody_seeds_it_with_nothing()
    machine.beats(0)


def _unseeded_flush(machine):
    """The same, before anybody has seeded it."""
    machine.a_person_stops_it(HALT)
    machine.beats(0)
    machine.everything_is_flushed()
    machine.beats(0)


def _stop_after_a_flush(machine):
    """A worker remembers a later epoch, of a resume; the stop is younger all the same."""
    machine.a_person_stops_it(HALT)
    machine.a_person_resumes_it(0)
    machine.beats(0)
    machine.everything_is_flushed()
    machine.a_person_stops_it(HALT)
    machine.nothing_but_a_resume_or_a_loss_lowers_it()
    machine.beats(0)
    machine.nothing_but_a_resume_or_a_loss_lowers_it()


def _two_stops(machine):
    """A worker remembers Anna's stop, Redis knows Ben's alone: Anna's epoch lifts hers and not his."""
    machine.a_person_stops_it(HALT)
    machine.a_person_resumes_it(0)
    machine.a_person_stops_it(HALT, "Anna's")
    machine.beats(0)
    annas = machine.workers[0].memory.seen
    machine.everything_is_flushed()
    machine.a_person_stops_it(HALT, "Ben's")
    machine.beats(0)
    stored = machine.workers[0].memory.seen
    assert stored.epoch > annas.epoch
    assert "Anna's" in stored.reason
    assert "Ben's" in stored.reason
    machine.beats(0)
    assert machine.workers[0].memory.seen == stored


def _two_stops_of_one_epoch(machine):
    """As many changes since the loss as there had been before it."""
    machine.a_person_stops_it(HALT, "Anna's")
    machine.beats(0)
    machine.everything_is_flushed()
    machine.a_person_stops_it(HALT, "Ben's")
    machine.beats(0)
    assert machine.workers[0].memory.seen.epoch == 2
    assert machine.workers[0].memory.seen.reason.split("; and ") == ["Ben's", "Anna's"]


STORIES = {
    "two stops": _two_stops,
    "two stops of one epoch": _two_stops_of_one_epoch,
    "another epoch": _another_epoch,
    "flush": _flush,
    "unseeded flush": _unseeded_flush,
    "stop after a flush": _stop_after_a_flush,
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_the_stories_in_which_a_stop_could_get_lost_keep_it(lua, story):
    story(SwitchMachine(lua))


def test_the_judge_sees_workers_that_do_not_tell_what_redis_has_forgotten(lua):
    with pytest.raises(AssertionError, match="nobody has resumed"):
        _unseeded_flush(SwitchMachine(lua, _Forgetful))


@pytest.mark.parametrize(
    ("story", "script", "rule_of_the_script", "without"),
    [
        (_another_epoch, Script.RESUME, "epoch ~= ARGV[1]", "epoch == ''"),
        (_flush, Script.MERGE, "told.epoch > stored.epoch or (told.epoch", "stored.epoch < 0 or (false and told.epoch"),
        (_stop_after_a_flush, Script.MERGE, "if told.level >= stored.level then", "if true then"),
        (_two_stops, Script.MERGE, "includes(told, stored) and told", "true and told"),
    ],
    ids=["any epoch resumes", "a memory is not heeded", "the later memory wins over the higher", "two stops are one"],
)
def test_the_judge_sees_a_script_that_lacks_a_rule(lua, monkeypatch, story, script, rule_of_the_script, without):
    assert rule_of_the_script in script.source
    source = script.source.replace(rule_of_the_script, without)
    monkeypatch.setattr(script, "source", source)
    monkeypatch.setattr(script, "digest", lua.client.script_load(source))
    with pytest.raises(AssertionError):
        story(SwitchMachine(lua))
