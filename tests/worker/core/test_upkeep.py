"""What time brings: questions that are due, the dead-man, reconnects, and nothing after the exit."""

import pytest
from core_world import OFFSET_NS, World, of_kind
from phoenix_coordination.state import Reason
from phoenix_worker.core import actions as ac
from phoenix_worker.core import events as ev
from phoenix_worker.core.events import EmergencyLevel, Side, Stream
from samples import MAKER, MS, SECOND, changed


def test_klines_are_asked_for_until_statistics_are_warm():
    world = World()
    world.closes_answered = False
    world.start(token=0)
    world.close(Stream.BOOK)
    world.tick(20 * 65)
    assert len(of_kind(world.done, ac.FetchMinutes)) == 3


def pass_time(world, seconds):
    """In which the market is heard of just often enough not to be forgotten."""
    for _ in range(seconds // 50):
        world.now += 50 * SECOND
        world.frame()
        world.tell(ev.Tick(0))


@pytest.mark.parametrize(
    ("minutes", "volume", "soon", "hourly"),
    [(60, 10.0, 0, 1), (60, 0.0, 1, 6), (59, 10.0, 1, 6)],
    ids=["how much a day trades is asked hourly", "sooner while nothing has been traded", "or for less than an hour"],
)
def test_klines_are_asked_for_again(minutes, volume, soon, hourly):
    world = World()
    world.closes_answered = False
    world.start(token=0)
    world.tick()
    world.tell(ev.Minutes(0, 0, [60_000.0, 60_010.0] * 30, [volume] * minutes, [volume / 2] * minutes))
    mark = len(world.done)
    world.wait(125.0)
    assert of_kind(world.since(mark), ac.FetchMinutes) == []
    mark = len(world.done)
    pass_time(world, 600)
    assert len(of_kind(world.since(mark), ac.FetchMinutes)) == soon
    mark = len(world.done)
    pass_time(world, 3_600)
    assert len(of_kind(world.since(mark), ac.FetchMinutes)) == hourly


def test_after_a_long_outage_nothing_is_quoted_before_klines_are_read_anew(world):
    """What was known of the market before it is of another one."""
    world.wait(40.0)
    world.closes_answered = False
    mark = len(world.done)
    world.close(Stream.BOOK)
    for _ in range(122):
        world.renew()
        world.tick(10)
    assert of_kind(world.since(mark), ac.FetchMinutes), "at once"
    world.move_unseen(630_000)
    world.open(Stream.BOOK)
    mark = len(world.done)
    world.wait(3.0)
    assert of_kind(world.since(mark), ac.Place) == []
    assert world.engine.view().reasons == [Reason.STATISTICS_WARMING]
    assert world.engine.statistics.stddev_30m is None
    world.closes_answered = True
    world.wait(5.0)
    assert world.engine.view().reasons == []
    assert {order.side for order in world.ours()} == set(Side)


def test_a_machine_that_stood_still_has_not_heard_of_the_market_for_as_long(world):
    mark = len(world.done)
    world.tell(ev.ClockSynced(0, OFFSET_NS + 70 * SECOND, 1 * MS))
    world.tick()
    assert len(of_kind(world.since(mark), ac.FetchMinutes)) == 1


def test_a_snapshot_that_does_not_come_is_asked_for_every_second():
    world = World()
    world.snapshots_answered = False
    world.start()
    world.wait(5.0)
    assert 5 <= len(of_kind(world.done, ac.FetchSnapshot)) <= 6


def test_without_a_book_stream_no_snapshot_is_asked_for(world):
    world.close(Stream.BOOK)
    assert of_kind(world.tick(60), ac.FetchSnapshot) == []


def test_a_stream_that_was_calm_for_long_is_reconnected_at_once_again(world):
    for _ in range(2):
        mark = len(world.done)
        world.tick(45)
        assert [action.delay_ns for action in of_kind(world.since(mark), ac.Reconnect)] == [0]
        world.wait(12.0)


def test_a_stream_that_falls_silent_again_and_again_is_reconnected_later_and_later(world):
    delays = []
    for _ in range(4):
        mark = len(world.done)
        world.tick(45)
        delays += [action.delay_ns for action in of_kind(world.since(mark), ac.Reconnect)]
        world.wait(1.0)
    assert delays[0] == 0
    assert delays == sorted(delays)
    assert delays[-1] >= SECOND


@pytest.mark.parametrize("reason", ["stale", "unreconciled"])
def test_the_dead_man_is_not_refreshed_while_something_is_wrong(world, reason):
    if reason == "stale":
        world.reconnects = False
        world.tick(45)
    else:
        world.truths_answered = False
        world.close(Stream.USER)
        world.open(Stream.USER)
    mark = len(world.done)
    for _ in range(50):
        world.renew()
        if reason == "stale":
            world.tick(20)
        else:
            world.wait(1.0)  # with a book that is in order: nothing else is wrong
    assert of_kind(world.since(mark), ac.ArmDeadMan) == []


def test_after_it_ran_out_a_recovery_arms_it_anew(world):
    world.truths_answered = False
    world.close(Stream.USER)
    world.open(Stream.USER)
    world.wait(70.0)
    assert world.ours() == []
    world.truths_answered = True
    world.wait(20.0)
    assert world.engine.view().not_ready == []
    assert len(world.ours()) == 10


def test_while_an_emergency_order_lives_the_lease_alone_arms_it():
    world = World()
    world.hold(112)
    world.hold_requests = True
    world.start()
    world.wait(1.0)
    world.close(Stream.BOOK)
    mark = len(world.done)
    for _ in range(25):
        world.renew()
        world.tick(20)
    assert of_kind(world.since(mark), ac.ArmDeadMan)


def test_an_unknown_order_is_asked_about_until_somebody_says(world):
    world.hold_requests = True
    world.tell(ev.ParametersSet(0, changed(MAKER, min_spread_bps=20.0), "wider"))
    world.wait(0.5)
    world.lose_answer(0, executed=False)
    world.automatic = False
    asked = of_kind(world.wait(10.0), ac.QueryOrder)
    assert 2 <= len(asked) <= 5
    assert len({action.client_id for action in asked}) == 1


def test_a_lagging_user_stream_is_reconnected_but_not_in_a_storm(world):
    world.reconnects = False
    mark = len(world.done)
    for number in range(12):
        world.tell(ev.PositionReport(0, world.exchange_ms, world.exchange_ms, 5 + number, 60_000.0, "ORDER"))
        world.wait(1.1)
    reconnects = [action for action in of_kind(world.since(mark), ac.Reconnect) if action.stream is Stream.USER]
    assert 1 <= len(reconnects) <= 3


def test_after_the_exit_time_brings_nothing(world):
    world.tell(ev.Stop(0, "SIGTERM"))
    world.tick(5)
    assert of_kind(world.done, ac.Exit)
    assert world.tick(100) == []


def test_an_emergency_during_a_stop_still_flattens():
    world = World()
    world.hold(40)
    world.start()
    world.wait(1.0)
    world.hold_requests = True
    world.tell(ev.Stop(0, "SIGTERM"))
    world.tell(ev.Emergency(0, EmergencyLevel.FLATTEN, 2, "a person"))
    world.wait(1.0)
    world.hold_requests = False
    world.wait(3.0)
    assert world.exchange.position == 0
    assert [action.code for action in of_kind(world.done, ac.Exit)] == [0]
