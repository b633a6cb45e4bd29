"""The lease against time, pauses, late packets and every loss of the server's data: never two holders."""

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from msgspec import structs
from phoenix_coordination.order_id import MAX_TOKEN
from phoenix_coordination.port import LeaseTimes
from phoenix_coordination.redis.lease import Asked, Change, Lease, suspended_ns
from phoenix_coordination.redis.scripts import Script

TIMES = LeaseTimes(ttl_s=1.0, renew_s=0.2, margin_s=0.2)
WORKERS = st.integers(0, 1)
COURTESY_MS = 400


class Worker:
    def __init__(self, name: str) -> None:
        self.name = name
        self.lease = Lease(TIMES)
        self.sent: Asked | None = None
        self.executed: list[bytes] | None = None
        self.warm = False

    def holds(self, now_ns: int) -> bool:
        return self.lease.token != 0 and now_ns < self.lease.deadline_ns


class LeaseMachine(RuleBasedStateMachine):
    """Two workers, one of which leads; a beat is sent, executed, heard, and anything may happen between."""

    def __init__(self, server, ask=Lease.ask, heed=Lease.heed) -> None:
        super().__init__()
        self.server = server
        self.ask, self.heed = ask, heed
        server.begin()
        self.now_ns = 0
        self.workers = [Worker(f"pod/{number}") for number in range(2)]
        self.granted: list[int] = []
        self.saved = server.save()
        self.nonce = 0
        self.beats_at_once(0)
        self.time_passes(1000)
        self.beats_at_once(0)
        assert self.granted

    # -- the world

    @rule(ms=st.sampled_from([200, 400, 799, 1000]))
    def time_passes(self, ms):
        self.now_ns += ms * 1_000_000
        self.server.now_ms += ms

    @rule()
    def everything_is_flushed(self):
        self.server.client.flushall()

    @rule()
    def disk_is_written(self):
        self.saved = self.server.save()

    @rule(empty=st.booleans())
    def the_server_restarts_with_what_was_on_disk(self, empty):
        self.server.restart({} if empty else self.saved)
        for worker in self.workers:
            worker.sent = None if worker.executed is None else worker.sent  # connections died with what they carried
            worker.lease.watch.restart()

    # -- a beat

    @rule(number=WORKERS)
    def sends(self, number):
        worker = self.workers[number]
        if worker.sent is None:
            if worker.lease.expired(self.now_ns):
                worker.lease.lose()
            worker.sent = self.ask(worker.lease, self.now_ns)

    @rule(number=WORKERS)
    def is_executed(self, number):
        worker = self.workers[number]
        if worker.sent is not None and worker.executed is None:
            worker.executed = self._execute(worker, worker.sent)

    @rule(number=WORKERS)
    def hears(self, number):
        worker = self.workers[number]
        if worker.sent is not None and worker.executed is not None:
            asked, answer = worker.sent, worker.executed
            worker.sent = worker.executed = None
            change = self.heed(worker.lease, asked, answer[0].decode(), int(answer[1]), answer[2].decode(), self.now_ns)
            if change is Change.GRANTED:
                self.granted.append(worker.lease.token)
            if change in {Change.LOST, Change.TOO_LATE}:
                worker.lease.lose()

    @rule(number=WORKERS)
    def beats_at_once(self, number):
        self.sends(number)
        self.is_executed(number)
        self.hears(number)

    @rule(number=WORKERS)
    def releases(self, number):
        worker = self.workers[number]
        if worker.holds(self.now_ns) and worker.sent is None:
            self._release(worker, 0)

    @rule(number=WORKERS)
    def hands_over(self, number):
        """Its tenure ends here before the server hears of it."""
        worker = self.workers[number]
        if worker.holds(self.now_ns) and worker.sent is None:
            self._release(worker, COURTESY_MS)

    @rule(number=WORKERS, warm=st.booleans())
    def warms_up_or_cools_down(self, number, warm):
        self.workers[number].warm = warm

    def _release(self, worker, courtesy_ms):
        keys = [self.server.keys.lease("BTCUSDT"), self.server.keys.warm("BTCUSDT")]
        self.server.call(Script.RELEASE, keys, [worker.name, worker.lease.lose(), "freed", courtesy_ms])

    def _execute(self, worker, asked):
        keys = self.server.keys
        self.nonce += 1
        return self.server.call(
            Script.BEAT,
            [
                *(keys.lease("BTCUSDT"), keys.emergency, keys.halt("BTCUSDT"), keys.ledger),
                *(keys.warm("BTCUSDT"), keys.snapshot("BTCUSDT")),
            ],
            [
                *(worker.name, asked.token, asked.watched, worker.lease.highest, f"n{self.nonce}", MAX_TOKEN),
                *(int(worker.warm), COURTESY_MS, "BTCUSDT"),
            ],
        )

    # -- what holds

    @invariant()
    def nobody_trades_beside_another(self):
        assert sum(worker.holds(self.now_ns) for worker in self.workers) <= 1

    @invariant()
    def tokens_only_grow(self):
        assert all(earlier < later for earlier, later in zip(self.granted, self.granted[1:], strict=False))


SETTINGS = settings(
    max_examples=200,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


def test_whatever_happens_no_two_workers_hold_one_symbol_and_tokens_only_grow(lua):
    run_state_machine_as_test(lambda: LeaseMachine(lua), settings=SETTINGS)


def _renews_after_its_deadline(lease, asked, status, token, fingerprint, now_ns):
    """A deadline that counts from the answer instead of the request."""
    late = structs.replace(asked, sent_ns=now_ns)
    return Lease.heed(lease, late, status, token, fingerprint, now_ns)


def _takes_what_it_has_seen(lease, now_ns):
    """A candidate that does not wait for the ttl."""
    return Asked(lease.token, "" if lease.token else lease.watch.what, now_ns, suspended_ns())


def _late_answer(machine):
    """The leader's renewal is executed at once, but heard only when the other has nearly watched for its ttl."""
    machine.sends(0)
    machine.is_executed(0)
    machine.beats_at_once(1)
    machine.time_passes(1000)
    machine.hears(0)
    machine.beats_at_once(1)
    machine.nobody_trades_beside_another()


def _impatience(machine):
    """The other looks twice within the leader's ttl."""
    machine.beats_at_once(1)
    machine.beats_at_once(1)
    machine.nobody_trades_beside_another()


def _second_loss(machine):
    """A vacancy is watched, taken by another, and lost again: not the same vacancy."""
    machine.everything_is_flushed()
    machine.beats_at_once(0)
    machine.beats_at_once(0)
    machine.beats_at_once(1)
    machine.time_passes(1000)
    machine.beats_at_once(0)
    machine.everything_is_flushed()
    machine.beats_at_once(1)
    machine.nobody_trades_beside_another()


def _restart_with_old_data(machine):
    """The disk says released, or its own: what was taken since is lost, and yet in force."""
    machine.disk_is_written()
    machine.time_passes(799)
    machine.time_passes(200)
    machine.beats_at_once(1)
    machine.time_passes(1000)
    machine.beats_at_once(1)
    machine.the_server_restarts_with_what_was_on_disk(empty=False)
    machine.beats_at_once(0)
    machine.nobody_trades_beside_another()


def _fail_over_and_back(machine):
    """The other takes the lease at a replica that was promoted, and that is lost when the first server comes back."""
    machine.time_passes(1000)
    machine.server.run += 1
    machine.beats_at_once(1)
    machine.disk_is_written()
    machine.time_passes(1000)
    machine.beats_at_once(1)
    machine.the_server_restarts_with_what_was_on_disk(empty=False)
    machine.server.run = 1
    machine.beats_at_once(0)
    machine.nobody_trades_beside_another()


def _fail_over_and_back_after_a_release(machine):
    """As before, and the first server still knows a release from before all that."""
    machine.releases(0)
    _fail_over_and_back(machine)


STORIES = {
    "late answer": _late_answer,
    "impatience": _impatience,
    "second loss": _second_loss,
    "old data": _restart_with_old_data,
    "fail-over and back": _fail_over_and_back,
    "fail-over and back after a release": _fail_over_and_back_after_a_release,
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_the_stories_in_which_a_lease_could_have_two_holders_have_one(lua, story):
    story(LeaseMachine(lua))


@pytest.mark.parametrize(
    ("story", "mutation"),
    [(_late_answer, {"heed": _renews_after_its_deadline}), (_impatience, {"ask": _takes_what_it_has_seen})],
    ids=["deadline from the answer", "no watch"],
)
def test_the_judge_sees_two_holders_where_a_rule_is_taken_away(lua, story, mutation):
    with pytest.raises(AssertionError):
        story(LeaseMachine(lua, **mutation))


@pytest.mark.parametrize(
    ("story", "rule_of_the_script", "without"),
    [
        (_second_loss, "'|vacant|' .. (vacant or ARGV[5])", "'|vacant|'"),
        (_restart_with_old_data, "released == '' and last_run == run", "released == ''"),
        (_fail_over_and_back, "'run', 'another'", "'run', last_run"),
        (_fail_over_and_back_after_a_release, "released == run and last_run == run", "released == run"),
    ],
    ids=["vacancies look alike", "its own record of another run", "what was doubted counts again", "a doubted release"],
)
def test_the_judge_sees_two_holders_where_the_script_lacks_a_rule(lua, monkeypatch, story, rule_of_the_script, without):
    assert rule_of_the_script in Script.BEAT.source
    monkeypatch.setattr(Script.BEAT, "source", Script.BEAT.source.replace(rule_of_the_script, without))
    with pytest.raises(AssertionError):
        story(LeaseMachine(lua))
