"""The shell with a real engine, a real coordinator and recorder, and a venue that only listens."""

import asyncio

import msgspec
import pytest
from core_world import World, of_kind
from phoenix_coordination import port
from phoenix_coordination.port import EmergencyLevel
from phoenix_worker.core import actions as act
from phoenix_worker.core import events as ev
from phoenix_worker.runtime import shell as shell_module
from phoenix_worker.runtime.build_info import build
from phoenix_worker.runtime.meters import Meters
from phoenix_worker.runtime.recorder import Recorder
from phoenix_worker.runtime.replay import replay
from phoenix_worker.runtime.shell import Shell
from samples import GRINDING, MAKER


class Peers:
    """A coordinator that writes down what it is asked."""

    installation = "k3f9a0"

    def __init__(self):
        self.asked = []

    def reserve(self, reservation):
        self.asked.append(reservation)

    def release(self):
        self.asked.append("release")

    def warm(self, *, warm):
        self.asked.append(("warm", warm))

    def hand_over(self):
        self.asked.append("hand over")

    def halt_symbol(self, reason):
        self.asked.append(("halt", reason))

    def raise_emergency(self, level, reason):
        self.asked.append((level, reason))

    def save_snapshot(self, token, memory):
        self.asked.append(("snapshot", token, memory))


class Scripted:
    """An engine whose answers a test writes; it keeps what it was told."""

    def __init__(self, engine, script):
        self.engine = engine
        self.script = script
        self.seen = []
        self.session = engine.session
        self.keyframe = engine.keyframe
        self.remember = engine.remember
        self.view = engine.view
        self.warm = engine.warm

    def on(self, event):
        self.seen.append(event)
        return self.script(event)


@pytest.fixture
def granted():
    """What of the shared budgets the venue was told that it may use."""
    return []


@pytest.fixture
async def assembled(tmp_path, engine, instrument, venue, granted, clock, logged):
    """A shell round `engine`, or round a script."""
    recorders = []

    def make(script=None):
        chosen = engine if script is None else Scripted(engine, script)
        recorder = Recorder(tmp_path / "runs" / "one", "BTCUSDT", build(), engine.keyframe, clock.wall_ns)
        recorders.append(recorder)
        peers = Peers()
        shell = Shell(chosen, instrument, venue, peers, granted.append, recorder, clock, Meters(), logged.log)
        return shell, chosen, peers

    yield make
    for recorder in recorders:
        recorder.close()


def tick(clock):
    return ev.Tick(clock.monotonic_ns())


async def test_actions_are_performed_in_their_order_each_by_whom_it_concerns(assembled, venue, clock):
    script = [
        act.Cancel("a", 1),
        act.Reserve(7, 1, 2, 3, 60_000.0, 1, 0),
        act.FetchSnapshot(),
        act.RaiseEmergency(ev.EmergencyLevel.HALT, "second writer"),
        act.HaltSymbol("nine of ten orders failed"),
        act.ArmDeadMan(60_000, 0),
        act.ReleaseLease(),
    ]
    shell, _, peers = assembled(lambda _: script)
    shell.sink(tick(clock))
    assert [type(action) for action in venue.performed] == [act.Cancel, act.FetchSnapshot, act.ArmDeadMan]
    assert peers.asked == [
        port.Reservation(7, 1, 2, 3, step_value=pytest.approx(60.0), buy_live_steps=1, sell_live_steps=0),
        (EmergencyLevel.HALT, "second writer"),
        ("halt", "nine of ten orders failed"),
        "release",
    ]


async def test_a_shadow_is_asked_when_what_is_to_be_sent_has_left_and_performs_nothing(assembled, venue, clock):
    shell, _, peers = assembled(lambda _: [act.FetchTouch()])
    seen = []

    class Standing:
        def step(self, event, live):
            seen.append((event, live, list(venue.performed), list(peers.asked)))
            return b"recorded beside"

    shell.beside = Standing()
    event = tick(clock)
    shell.sink(event)
    assert seen == [(event, shell.engine, [act.FetchTouch()], [])]
    assert venue.performed == [act.FetchTouch()]


async def test_what_is_told_during_an_event_is_handled_right_after_it(assembled, venue, clock):
    shell, engine, _ = assembled(lambda event: [act.FetchTouch()] if type(event) is ev.Tick else [act.FetchMinutes()])

    def answer_at_once(action):
        if isinstance(action, act.FetchTouch):
            shell.sink(ev.Canary(clock.monotonic_ns()))
            shell.sink(ev.TouchAnswer(clock.monotonic_ns(), 0, None, None))
            assert len(engine.seen) == 1, "the engine is not asked within its own turn"

    venue.react = answer_at_once
    shell.sink(tick(clock))
    assert [type(event) for event in engine.seen] == [ev.Tick, ev.Canary, ev.TouchAnswer]
    assert [type(action) for action in venue.performed] == [act.FetchTouch, act.FetchMinutes, act.FetchMinutes]


@pytest.mark.parametrize(
    ("message", "event"),
    [
        (port.LeaseRenewed(5, 199), ev.Lease(0, 5, 199, "k3f9a0")),
        (port.LeaseLost(5, "x"), ev.Lease(0, 0, 0, "k3f9a0")),
        (port.Reserved(1, 2, 3), ev.Reserved(0, 1, 2, 3)),
        (
            port.EmergencyChanged(EmergencyLevel.FLATTEN, 4, "drawdown"),
            ev.Emergency(0, ev.EmergencyLevel.FLATTEN, 4, "drawdown"),
        ),
        (port.HaltChanged(3, "nine of ten orders failed"), ev.SymbolHalt(0, 3, "nine of ten orders failed")),
        (port.HaltChanged(3, ""), ev.SymbolHalt(0, 3, "")),
        (port.Reachable(), ev.Coordination(0, reachable=True)),
        (port.Unreachable("disk"), ev.Coordination(0, reachable=False, reason="disk")),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_every_message_of_the_account_s_workers_is_an_event(assembled, message, event):
    shell, engine, _ = assembled(lambda _: [])
    shell.hear(message)
    assert [msgspec.structs.replace(seen, at=0) for seen in engine.seen] == [event]


async def test_a_share_of_the_budgets_is_the_venue_s_to_use(assembled, granted):
    shell, engine, _ = assembled(lambda _: [])
    grant = port.BudgetGranted(sequence=1, orders=10, weight=100, until_ns=5)
    shell.hear(grant)
    assert granted == [grant]
    assert engine.seen == []


NOW_NS = 1_000 * 10**9
OLDER, NEWER = port.Snapshot(4, 900 * 10**9, b"older"), port.Snapshot(6, 950 * 10**9, b"newer", 7)


@pytest.mark.parametrize(
    ("led", "memory", "told"),
    [
        pytest.param(0, OLDER, [ev.Restored(0, b"older", 100 * 10**9)], id="it has never led: the last leader's"),
        pytest.param(0, None, [ev.Restored(0, b"", 0)], id="it has never led and there is none: told so"),
        pytest.param(5, NEWER, [ev.Restored(0, b"newer", 50 * 10**9, 7)], id="another has led since: its"),
        pytest.param(5, OLDER, [], id="it led last: nothing is newer than itself"),
        pytest.param(4, OLDER, [], id="its own memory"),
        pytest.param(5, None, [], id="it led before, and the memory is gone: it knows more than nothing"),
    ],
)
async def test_a_leader_takes_over_what_a_later_one_than_itself_remembered(
    assembled, clock, monkeypatch, led, memory, told
):
    shell, engine, _ = assembled(lambda _: [])
    if led:
        shell.hear(port.LeaseGranted(led, 99, None))
        shell.hear(port.LeaseLost(led, "x"))
    engine.seen.clear()
    monkeypatch.setattr(clock, "wall_ns", lambda: NOW_NS)
    shell.hear(port.LeaseGranted(7, 99, memory))
    assert [msgspec.structs.replace(seen, at=0) for seen in engine.seen] == [*told, ev.Lease(0, 7, 99, "k3f9a0")]


async def test_a_memory_from_a_later_clock_is_of_this_moment(assembled, clock, monkeypatch):
    shell, engine, _ = assembled(lambda _: [])
    monkeypatch.setattr(clock, "wall_ns", lambda: NOW_NS - 10**12)
    shell.hear(port.LeaseGranted(7, 99, NEWER))
    assert engine.seen[0].age_ns == 0


async def test_time_passes_for_the_engine(assembled, eventually):
    shell, engine, _ = assembled(lambda _: [])
    shell.start_ticking()
    await eventually(lambda: len(engine.seen) >= 5)
    assert {type(event) for event in engine.seen} == {ev.Tick}
    gaps = [b.at - a.at for a, b in zip(engine.seen, engine.seen[1:], strict=False)]
    assert min(gaps) > 0
    shell._end(0, "over")


async def test_exit_ends_the_worker_with_its_status_and_nothing_comes_after(assembled, clock):
    shell, engine, _ = assembled(lambda event: [act.Exit(1, "half-blind")] if type(event) is ev.Tick else [])
    shell.sink(tick(clock))
    assert await shell.ended == 1
    shell.sink(ev.Canary(clock.monotonic_ns()))
    assert len(engine.seen) == 1


async def test_a_leader_that_gives_up_gives_the_lease_up_after_its_last_cancels(assembled, venue):
    """A standby need not wait until it has run out."""
    both = [act.CancelAll("half-blind", 0), act.Exit(1, "half-blind")]
    shell, engine, peers = assembled(lambda event: both if event.at == 7 else [])
    engine.session.token = 5
    venue.react = lambda _: setattr(venue, "busy", True)
    shell.sink(ev.Tick(7))
    await asyncio.sleep(3 * shell_module.TICK_SECONDS)
    assert not shell.ended.done()
    assert peers.asked == []
    venue.busy = False
    assert await shell.ended == 1
    assert peers.asked == [("snapshot", 5, engine.remember()), "release"]


async def test_a_leader_whose_last_cancels_are_not_answered_lets_the_lease_run_out(assembled, venue, monkeypatch):
    monkeypatch.setattr(shell_module, "FAILED_SECONDS", 0.05)
    shell, engine, peers = assembled(lambda event: [act.Exit(1, "half-blind")] if event.at == 7 else [])
    engine.session.token = 5
    venue.busy = True
    shell.sink(ev.Tick(7))
    assert await shell.ended == 1
    await asyncio.sleep(2 * shell_module.TICK_SECONDS)
    assert peers.asked == []


async def test_a_stop_is_an_event_and_is_bounded(assembled, monkeypatch, logged):
    monkeypatch.setattr(shell_module, "WITHDRAW_SECONDS", 0.05)
    shell, engine, _ = assembled(lambda _: [])
    shell.stop("SIGTERM")
    assert engine.seen[0].reason == "SIGTERM"
    assert await shell.ended == 1
    assert "not withdrawn" in logged.text


async def test_an_orderly_stop_is_over_before_its_bound(assembled):
    shell, _, _ = assembled(lambda event: [act.Exit(0, "nothing is left")] if type(event) is ev.Stop else [])
    shell.stop("SIGTERM")
    assert await shell.ended == 0


async def test_a_second_stop_ends_at_once(assembled):
    shell, _, _ = assembled(lambda _: [])
    shell.stop("SIGINT")
    shell.stop("SIGINT")
    assert await shell.ended == 1


async def test_an_engine_that_raises_cancels_what_rests_and_ends(assembled, venue, clock, monkeypatch, logged):
    monkeypatch.setattr(shell_module, "FAILED_SECONDS", 0.01)

    def fail(_):
        raise KeyError("a defect")

    shell, engine, _ = assembled(fail)
    engine.session.token, engine.session.deadline_ns = 5, 77
    shell.sink(tick(clock))
    shell.sink(tick(clock))
    assert len(engine.seen) == 1, "it decides nothing more"
    assert venue.performed == [act.CancelAll(shell.failure, 77)]
    assert await shell.ended == 1
    assert "KeyError" in shell.failure
    line = next(line for line in logged.read() if line["event"] == "engine failed")
    assert "in fail" in line["stack"]


async def test_without_the_lease_a_failing_engine_cancels_nothing_of_others(assembled, venue, clock, monkeypatch):
    monkeypatch.setattr(shell_module, "FAILED_SECONDS", 0.01)

    def fail(_):
        raise KeyError("a defect")

    shell, _, _ = assembled(fail)
    shell.sink(tick(clock))
    assert venue.performed == []
    assert await shell.ended == 1


async def test_memory_is_saved_before_the_lease_is_given_up(assembled, clock):
    shell, engine, peers = assembled(lambda _: [act.ReleaseLease()])
    engine.session.token = 5
    shell.sink(tick(clock))
    assert peers.asked == [("snapshot", 5, engine.remember()), "release"]


@pytest.mark.parametrize(
    "what",
    [
        pytest.param(lambda shell, clock: shell.sink(tick(clock)), id="the engine halts"),
        pytest.param(
            lambda shell, _: shell.hear(port.HaltChanged(4, "x")), id="another halted it, or a person resumed"
        ),
    ],
)
async def test_memory_is_saved_with_each_halt(assembled, clock, what):
    shell, engine, peers = assembled(lambda event: [act.HaltSymbol("x")] if type(event) is ev.Tick else [])
    engine.session.token = 5
    what(shell, clock)
    assert ("snapshot", 5, engine.remember()) in peers.asked


async def test_memory_is_saved_with_a_halt_that_is_shared_with_nobody(assembled, clock):
    """One for the day's loss: whoever leads next is bound by it, though the loss were less by then."""
    shell, engine, peers = assembled(lambda _: [act.Note(act.NoteKind.HALT, "daily loss")])
    engine.session.token = 5
    shell.sink(tick(clock))
    assert peers.asked == [("snapshot", 5, engine.remember())]


async def test_memory_is_saved_with_each_order_of_a_grind_and_of_an_emergency(assembled, venue, clock):
    """Whoever leads next is bound by it: it counts what the one brings, and cools down after the other."""
    world, beyond = World(msgspec.structs.replace(MAKER, grinding=GRINDING)), World()
    world.hold(90)
    world.start().pass_time(45.0)
    beyond.hold(115)
    beyond.start()
    done = [*of_kind(world.done, act.Place), *of_kind(beyond.done, act.Place)]
    places = {place.approved.order.purpose: place for place in done}
    assert places.keys() == {act.Purpose.PIN, act.Purpose.GRIND, act.Purpose.REENTRY, act.Purpose.LIQUIDATE}
    for purpose, place in places.items():
        shell, engine, peers = assembled(lambda _, place=place: [place])
        engine.session.token = 5
        shell.sink(tick(clock))
        assert venue.performed[-1] is place
        saved = [("snapshot", 5, engine.remember())] if purpose is not act.Purpose.PIN else []
        assert peers.asked == saved


async def test_a_leader_hands_over_once_each_request_has_its_answer(assembled, venue, clock):
    shell, engine, peers = assembled(lambda _: [act.HandOver("price stale")])
    engine.session.token = 5
    venue.busy = True
    shell.sink(tick(clock))
    assert peers.asked == [], "what is under way would reach the exchange after the next leader's"
    venue.busy = False
    shell.sink(tick(clock))
    assert peers.asked == [("snapshot", 5, engine.remember()), "hand over"]


async def test_the_others_are_told_when_this_worker_is_warm_and_when_not_any_more(assembled, eventually):
    shell, script, peers = assembled(lambda _: [])
    warmth = [False, False, True, True, False]
    script.warm = lambda: warmth.pop(0) if len(warmth) > 1 else warmth[0]
    shell.start_ticking()
    await eventually(lambda: len(warmth) == 1 and len(peers.asked) == 2)
    assert peers.asked == [("warm", True), ("warm", False)]
    shell._end(0, "over")


async def test_memory_is_saved_with_the_lease_before_anything_can_fill(assembled, clock):
    """The process that comes after a crash counts its fills from where this one began."""
    shell, _, peers = assembled()
    shell.hear(port.LeaseGranted(5, clock.monotonic_ns() + 4 * 10**9, None))
    assert [asked[:2] for asked in peers.asked if asked[0] == "snapshot"] == [("snapshot", 5)]


async def test_the_lease_is_released_only_when_each_request_has_its_answer(assembled, venue):
    """What is executed after that (a cancel-all that is sent again) would hit the next holder's orders."""
    shell, engine, peers = assembled(lambda event: [act.ReleaseLease(), act.Exit(0, "SIGTERM")][: 2 * (event.at == 7)])
    engine.session.token = 5
    venue.busy = True
    shell.sink(ev.Tick(7))
    await asyncio.sleep(3 * shell_module.TICK_SECONDS)
    assert peers.asked == []
    assert not shell.ended.done()
    venue.busy = False
    assert await shell.ended == 0
    assert peers.asked == [("snapshot", 5, engine.remember()), "release"]


async def test_a_request_that_is_never_answered_holds_up_the_end_only_for_a_while(assembled, venue, monkeypatch):
    monkeypatch.setattr(shell_module, "WITHDRAW_SECONDS", 0.1)
    both = [act.ReleaseLease(), act.Exit(0, "SIGTERM")]
    shell, engine, peers = assembled(lambda event: both if isinstance(event, ev.Stop) else [])
    engine.session.token = 5
    venue.busy = True
    shell.stop("SIGTERM")
    assert await shell.ended == 1
    await asyncio.sleep(2 * shell_module.TICK_SECONDS)
    assert "release" not in peers.asked, "it runs out"


async def test_only_a_leader_saves_its_memory(assembled):
    shell, _, peers = assembled(lambda _: [])
    shell.save_memory()
    assert peers.asked == []


async def test_latencies_are_measured_from_the_ticks_and_answers_themselves(assembled, clock):
    shell, _, _ = assembled(lambda _: [])
    now = clock.monotonic_ns()
    answer = ev.Answer(now, ev.Request.PLACE, "id", ev.Outcome.CONFIRMED, now - 3_000_000)
    shell.sink(answer)
    shell.sink(msgspec.structs.replace(answer, sent_ns=0))
    assert shell._meters.order_round_trip.count == 1, "what never left took no time"
    assert shell._meters.order_round_trip.sum_ns == 3_000_000
    assert shell._meters.decision.count == 2


async def test_what_the_engine_saw_is_what_is_recorded(assembled, market, clock, tmp_path):
    shell, _, _ = assembled()
    for event in (*market(300, clock.monotonic_ns()), ev.Stop(clock.monotonic_ns() + 10**10, "x")):
        shell.sink(event)
    shell.recorder.close()
    report = replay(tmp_path / "runs" / "one")
    assert report.same
    assert report.complete
    assert report.events == 361


async def test_notes_are_lines_and_repeats_are_sampled(assembled, clock, logged):
    notes = [act.Note(act.NoteKind.REFUSED, "worst-case")] * 100 + [act.Note(act.NoteKind.FILL, "BUY")] * 20
    shell, _, _ = assembled(lambda _: notes)
    shell.sink(tick(clock))
    told = [line["event"] for line in logged.read()]
    assert told.count("fill") == 20
    assert 0 < told.count("refused") < 10


async def test_a_burst_of_events_grows_nothing(assembled, market):
    shell, _, _ = assembled(lambda _: [])
    for event in market(20_000):
        shell.sink(event)
        assert not shell._waiting
