"""The schedule of faults: when one begins, how often it comes, and whom it strikes."""

import msgspec
import pytest
from phoenix_simulator.conditions import Condition, Mark
from phoenix_simulator.fault_schedule import Faults
from phoenix_simulator.faults import Disconnect, Fault, Gap, Reject, Route, Silence

SECOND_NS = 1_000_000_000


class Hands:
    """A watch that a test answers for."""

    def __init__(self) -> None:
        self.met = False
        self.marks = 0

    def mark(self, _: Condition) -> Mark:
        self.marks += 1
        return Mark(0, 0)

    def holds(self, _condition: Condition, _since: Mark) -> bool:
        return self.met


class Run:
    """A schedule whose clock a test moves; `begun` are the seconds at which faults began."""

    def __init__(self, seed: int = 1) -> None:
        self.watch = Hands()
        self.faults = Faults(self.watch, seed)
        self.faults.begin = self._begin
        self.begun: list[float] = []
        self.now_s = 0.0

    def _begin(self, _: Fault) -> int:
        self.begun.append(self.now_s)
        return 1

    def until(self, seconds: float) -> "Run":
        while self.now_s < seconds:
            self.now_s = round(self.now_s + 0.25, 2)
            self.faults.advance(int(self.now_s * SECOND_NS))
        return self


@pytest.fixture
def run():
    return Run()


def test_a_fault_waits_for_its_condition_and_not_before_its_time(run):
    run.faults.schedule(Silence(when=Condition(orders=3), start_seconds=5, duration_seconds=2), 0)
    run.watch.met = True
    run.until(4)
    assert not run.faults
    run.watch.met = False
    run.until(10)
    assert not run.faults
    run.watch.met = True
    assert run.until(10.5).begun == [10.25]
    assert run.faults
    # It lasts from when it began, and what the condition says meanwhile is nothing to it.
    run.watch.met = False
    run.until(12)
    assert run.faults
    run.until(12.25)
    assert not run.faults
    assert run.faults.are_over


def test_a_recurring_fault_ends_each_time_and_comes_so_often(run):
    run.faults.schedule(Silence(every_seconds=10, times=4, duration_seconds=1), 0)
    run.until(400)
    assert len(run.begun) == 4
    assert run.faults.are_over


def test_the_mean_time_between_two_beginnings_is_what_was_asked_for(run):
    run.faults.schedule(Disconnect(every_seconds=20), 0)
    run.until(20_000)
    assert 900 <= len(run.begun) <= 1_100
    assert not run.faults.are_over


def test_a_recurring_fault_never_begins_while_it_lasts(run):
    run.faults.schedule(Silence(every_seconds=1, duration_seconds=10), 0)
    run.until(200)
    gaps = [after - before for before, after in zip(run.begun, run.begun[1:], strict=False)]
    assert gaps
    assert min(gaps) >= 10


def test_the_seed_says_when_random_faults_come():
    same, again, other = (Run(seed) for seed in (7, 7, 8))
    for run in (same, again, other):
        run.faults.schedule(Disconnect(every_seconds=20), 0)
        run.until(300)
    assert same.begun == again.begun
    assert same.begun != other.begun


def test_each_time_waits_for_the_condition_anew(run):
    run.faults.schedule(Disconnect(every_seconds=1, when=Condition(orders=2)), 0)
    run.until(50)
    assert run.begun == []
    run.watch.met = True
    run.until(50.25)
    run.watch.met = False
    run.until(100)
    assert run.begun == [50.25]
    assert run.watch.marks == 2


def test_a_probability_strikes_that_share_of_what_matches(run):
    run.faults.schedule(Reject(code=-1, probability=0.1), 0)
    struck = sum(bool(list(run.faults.for_request("order.place", "POST /x", "BTCUSDT", "m"))) for _ in range(5_000))
    assert 400 <= struck <= 600


def test_a_count_counts_anew_each_time_and_the_status_counts_all(run):
    run.faults.schedule(Gap(every_seconds=5, times=2, count=3), 0)
    run.until(60)
    for _ in range(3):
        for scheduled in run.faults.for_frame("BTCUSDT", "depth@0ms", Route.PUBLIC, "m"):
            scheduled.use()
    assert not list(run.faults.for_frame("BTCUSDT", "depth@0ms", Route.PUBLIC, "m"))
    run.until(120)
    assert len(list(run.faults.for_frame("BTCUSDT", "depth@0ms", Route.PUBLIC, "m"))) == 1
    (status,) = run.faults.list()
    assert (status.begun, status.acted) == (2, 5)  # each beginning of this run struck one


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param({"kind": "silence", "everySeconds": 5}, "has to end first", id="endless and recurring"),
        pytest.param({"kind": "silence", "times": 2}, "needs everySeconds", id="times of what does not recur"),
        pytest.param({"kind": "disconnect", "everySeconds": 0}, "> 0", id="without a pause"),
        pytest.param({"kind": "gap", "probability": 1.5}, "<= 1", id="more than certain"),
        pytest.param({"kind": "disconnect", "probability": 0.5}, "unknown field", id="a moment strikes all"),
        pytest.param({"kind": "gap", "when": {}}, "needs one of", id="empty condition"),
        pytest.param({"kind": "gap", "when": {"positionAbove": "1"}}, "needs a symbol", id="position of what"),
        pytest.param(
            {"kind": "gap", "when": {"positionAbove": "nan", "symbol": "BTCUSDT"}}, "at least 0", id="no number"
        ),
        pytest.param({"kind": "rate-limit", "status": 200}, "429", id="a kind's own rule"),
        pytest.param({"kind": "reject", "code": -10000}, ">= -9999", id="no code of the venue's"),
        pytest.param({"kind": "rate-limit", "times": 3}, "needs everySeconds", id="the common rule beside it"),
    ],
)
def test_what_makes_no_sense_is_refused(body, reason):
    with pytest.raises(msgspec.ValidationError, match=reason):
        msgspec.convert(body, type=Fault, strict=False)
