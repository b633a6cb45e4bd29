"""The whole engine and the market: start, gap, silence, quiet symbols, late frames. Events in, exact actions out."""

import pytest
from core_world import World, of_kind, sent
from msgspec import structs
from phoenix_coordination.state import Reason, Role
from phoenix_worker.core import actions as ac
from phoenix_worker.core import events as ev
from phoenix_worker.core.events import EmergencyLevel, Side, Stream
from phoenix_worker.core.freshness import Staleness
from samples import MS, SECOND


def kinds(actions):
    return [type(action).__name__ for action in actions if not isinstance(action, ac.Note)]


# -- start ---------------------------------------------------------------------------------------------


def test_a_start_asks_for_what_it_needs_and_quotes_when_it_has_it_all():
    world = World().start()
    world.wait(0.5)
    assert kinds(world.done)[:4] == ["FetchMinutes", "FetchSnapshot", "ArmDeadMan", "FetchTruth"]
    assert [len(world.ours(side)) for side in (Side.BUY, Side.SELL)] == [5, 5]
    assert world.engine.view().role is Role.LEADING
    assert world.engine.view().reasons == []


def test_nothing_is_sent_before_the_account_has_granted_it():
    world = World()
    world.grant = lambda _: (0, 0)
    world.start()
    world.wait(1.0)
    assert of_kind(world.done, ac.Reserve)
    assert sent(world.done) == []
    assert Reason.NOT_RESERVED in world.engine.view().reasons


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        (ev.Coordination, Reason.COORDINATION_UNREACHABLE),
        (ev.ClockSynced, Reason.CLOCK_UNKNOWN),
        (ev.Emergency, Reason.EMERGENCY),
        (ev.Lease, Reason.LEASE_NOT_HELD),
        (ev.Snapshot, Reason.BOOK_NOT_SYNCED),
        (ev.Truth, Reason.NOT_RECONCILED),
        (ev.DeadManArmed, Reason.DEAD_MAN_NOT_ARMED),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_nothing_is_quoted_while_one_of_the_conditions_is_missing(missing, reason):
    world = World()
    tell = world.tell
    world.tell = lambda event: [] if isinstance(event, missing) else tell(event)
    world.start()
    world.wait(1.0)
    assert sent(world.done) == []
    assert reason in world.engine.view().reasons


def test_statistics_must_be_warm_before_the_first_quote():
    world = World()
    world.closes_answered = False
    world.start()
    world.wait(8.0)
    assert sent(world.done) == []
    assert world.engine.view().reasons == [Reason.STATISTICS_WARMING]
    world.wait(5.0)
    assert world.ours(), "ten seconds of its own samples are enough"


def test_a_new_stream_is_not_believed_before_it_has_brought_something():
    world = World().start()
    world.tick(10)
    assert sent(world.done) == []
    assert Reason.PRICE_STALE in world.engine.view().reasons


# -- the ladder follows the market ----------------------------------------------------------------------


def test_a_still_market_needs_no_order_actions(world):
    mark = len(world.done)
    world.wait(20.0)
    assert sent(world.since(mark)) == []


def test_quotes_stay_inside_the_keep_band_and_follow_beyond_it(world):
    half_band = int(0.75e-4 * 600_000)
    mark = len(world.done)
    world.market(600_000 + half_band - 3)
    world.wait(1.0)
    assert sent(world.since(mark)) == []
    world.market(600_000 + 3 * half_band)
    world.wait(1.0)
    moved = of_kind(world.since(mark), ac.Amend)
    assert {amend.approved.order.layer for amend in moved} == {0, 1, 2}, "far layers may be further off"
    assert of_kind(world.since(mark), ac.Place, ac.Cancel) == []


def test_a_move_is_answered_at_once_but_not_more_often_than_the_interval(world):
    world.automatic = False
    first = world.market(600_200)
    assert of_kind(first, ac.Amend)
    assert sent(world.market(600_400)) == [], "within minRequoteInterval"


# -- the book is lost ------------------------------------------------------------------------------------


def test_a_gap_pulls_the_quotes_at_once_and_the_book_is_asked_anew(world):
    world.automatic = False
    actions = world.gap()
    assert kinds(actions) == ["Cancel"] * 10 + ["FetchSnapshot"]
    assert Reason.BOOK_NOT_SYNCED in world.engine.view().not_ready
    world.automatic = True
    world.settle()
    world.wait(1.0)
    assert len(world.ours()) == 10, "quoted again on the new book"


def test_a_snapshot_that_is_too_old_is_not_asked_for_again_in_a_storm(world):
    world.automatic = False
    world.gap()
    old = ev.Snapshot(0, 5, [(60_000.0, 1.0)], [(60_000.1, 1.0)])
    asked = 0
    for _ in range(40):  # 2 s
        asked += len(of_kind(world.tick(), ac.FetchSnapshot))
        world.tell(old)
    assert 1 <= asked <= 2
    assert Reason.BOOK_NOT_SYNCED in world.engine.view().not_ready


def test_a_touch_that_crosses_itself_is_a_broken_book(world):
    world.automatic = False
    actions = world.tell(ev.Touch(0, world.exchange_ms, world.update_id + 1, 60_000.5, 1.0, 60_000.1, 1.0))
    assert kinds(actions) == ["Cancel"] * 10 + ["FetchSnapshot"]


@pytest.mark.parametrize(("bid", "ask"), [(0.0, 60_000.1), (60_000.0, 0.0)], ids=["no bid", "no ask"])
def test_a_touch_with_an_empty_side_is_a_broken_book(world, bid, ask):
    world.automatic = False
    actions = world.tell(ev.Touch(0, world.exchange_ms, world.update_id + 1, bid, 1.0, ask, 1.0))
    assert kinds(actions) == ["Cancel"] * 10 + ["FetchSnapshot"]


def test_a_lost_book_stream_pulls_the_quotes(world):
    world.automatic = False
    assert kinds(world.close(Stream.BOOK)) == ["Cancel"] * 10


# -- stale -----------------------------------------------------------------------------------------------


def test_a_silent_connection_is_stale_quotes_out_then_the_price_then_a_new_stream(world):
    world.automatic = False
    silent = world.tick(42)
    assert kinds(silent) == ["Cancel"] * 10 + ["FetchTouch", "Reconnect"]
    assert of_kind(silent, ac.Reconnect)[0].delay_ns == 0
    view = world.engine.view()
    assert Reason.PRICE_STALE in view.not_ready
    assert view.detail == Staleness.CONNECTION
    world.automatic = True
    world.settle()
    assert Reason.PRICE_STALE in world.engine.view().not_ready, "a new stream proves nothing by being open"
    world.wait(1.0)
    assert world.engine.view().not_ready == []
    assert len(world.ours()) == 10


def test_an_exchange_that_stays_silent_meets_no_storm_of_reconnects(world):
    mark = len(world.done)
    for _ in range(60):
        world.renew()
        world.tick(20)
    delays = [action.delay_ns for action in of_kind(world.since(mark), ac.Reconnect) if action.stream is Stream.BOOK]
    assert delays[:4] == [0, 500 * MS, SECOND, 2 * SECOND]
    assert world.engine.view().stale_episodes == 1
    assert not of_kind(world.since(mark), ac.Place, ac.Amend), "and nothing is quoted on what REST alone tells"


def test_a_quiet_symbol_whose_touch_still_stands_stays_quoted(world):
    mark = len(world.done)
    world.wait(20.0, frames=False)
    assert len(of_kind(world.since(mark), ac.FetchTouch)) == 3, "at once, after 5 and after 10 s of silence"
    assert sent(world.since(mark)) == []
    assert world.engine.view().not_ready == []


def test_a_quiet_symbol_is_asked_every_30_s_afterwards(world):
    mark = len(world.done)
    world.wait(75.0, frames=False)
    assert len(of_kind(world.since(mark), ac.FetchTouch)) == 5


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (lambda world: world.move_unseen(600_050), Staleness.QUIET_DIFFERENT),
        (lambda world: setattr(world, "touch_answered", False), Staleness.QUIET_UNANSWERED),
    ],
    ids=["another touch", "no answer in time"],
)
def test_a_quiet_symbol_is_stale_when_its_touch_is_another_or_unknown(world, answer, why):
    answer(world)
    world.reconnects = False
    mark = len(world.done)
    world.wait(3.0, frames=False)
    assert world.engine.view().detail == why
    assert world.ours() == []
    assert kinds(world.since(mark))[-2:] == ["FetchTouch", "Reconnect"]


def test_nobody_answering_the_question_for_the_touch_is_stale_at_once(world):
    world.automatic = False
    for _ in range(45):
        world.tell(ev.Canary(0))
        world.tick()
    world.tell(ev.TouchAnswer(0, world.now, None, None))
    assert world.engine.view().detail == Staleness.QUIET_UNANSWERED


def test_trades_do_not_hide_that_the_book_is_silent(world):
    world.touch_answered = world.reconnects = False
    for _ in range(60):
        world.tell(ev.Trade(0, world.exchange_ms, 1, 60_000.0, 0.5, True))
        world.tell(ev.Canary(0))
        world.renew()
        world.tick()
    assert Reason.PRICE_STALE in world.engine.view().not_ready
    assert world.ours() == []


def test_a_touch_that_moves_on_without_diffs_is_stale(world):
    """The touch alone would be fresh, but the book under it is known to have changed."""
    world.reconnects = False
    bid, ask = world.price(world.exchange.bid), world.price(world.exchange.ask)
    for number in range(1, 61):
        world.tell(ev.Touch(0, world.exchange_ms, world.update_id + number, bid, 1.0, ask, 1.0))
        world.tell(ev.Canary(0))
        world.renew()
        world.tick()
    assert world.engine.view().detail == Staleness.DIFFS
    assert world.ours() == []


def test_a_diff_that_comes_again_and_again_does_not_show_that_diffs_follow_the_touch(world):
    world.reconnects = False
    bid, ask = world.price(world.exchange.bid), world.price(world.exchange.ask)
    diff = world.next_diff()
    world.tell(diff)
    for number in range(1, 61):
        world.tell(ev.Touch(0, world.exchange_ms, world.update_id + number, bid, 1.0, ask, 1.0))
        world.tell(structs.replace(diff, event_ms=world.exchange_ms))
        world.tell(ev.Canary(0))
        world.renew()
        world.tick()
    assert world.engine.view().detail == Staleness.DIFFS
    assert world.ours() == []


def test_diffs_that_come_twice_cost_no_quote(world):
    resyncs = world.engine.view().counters.resyncs
    mark = len(world.done)
    for _ in range(40):
        diff = world.next_diff()
        world.tell(diff)
        world.tell(diff)
        world.renew()
        world.tick()
    assert world.engine.view().counters.resyncs == resyncs
    assert of_kind(world.since(mark), ac.FetchSnapshot) == []
    assert len(world.ours()) == 10


def test_frames_that_come_late_are_stale(world):
    world.reconnects = False
    world.late_frame(by_ms=2_100)
    assert world.engine.view().detail == Staleness.LATE
    assert world.ours() == []


def test_a_frame_as_late_as_the_clock_may_be_wrong_is_not(world):
    world.late_frame(by_ms=2_000)
    assert world.engine.view().not_ready == []


def test_late_frames_of_a_new_stream_prove_nothing(world):
    world.late_frame(by_ms=5_000)
    for _ in range(20):
        world.late_frame(by_ms=5_000)
        world.tell(ev.Canary(0))
        world.tick()
    assert Reason.PRICE_STALE in world.engine.view().not_ready


# -- the symbol and the venue ------------------------------------------------------------------------------


def test_maintenance_pulls_the_quotes_until_the_venue_is_back(world):
    world.tell(ev.VenueMaintenance(0, down=True))
    assert world.ours() == []
    assert world.engine.view().reasons[0] is Reason.VENUE_MAINTENANCE
    world.tell(ev.VenueMaintenance(0, down=False))
    world.wait(1.0)
    assert len(world.ours()) == 10


def test_an_emergency_pulls_everything_and_a_person_brings_it_back(world):
    world.tell(ev.Emergency(0, EmergencyLevel.HALT, 2, "a person"))
    assert world.ours() == []
    assert world.engine.view().emergency is EmergencyLevel.HALT
    world.wait(2.0)
    assert world.ours() == []
    world.tell(ev.Emergency(0, EmergencyLevel.NONE, 3, ""))
    world.wait(1.0)
    assert len(world.ours()) == 10


def test_a_run_is_replayed_exactly_also_from_a_keyframe(world):
    world.market(600_300)
    world.wait(1.0)
    world.gap()
    world.wait(1.0)
    world.fill(world.ours()[0])
    world.wait(1.0)
    world.replay()
