"""The way in: every event has its handler, and the same events always give the same actions."""

import msgspec
import pytest
from core_world import World, of_kind, sent
from hypothesis import given, settings
from hypothesis import strategies as st
from phoenix_coordination.state import Reason
from phoenix_worker.core import actions as ac
from phoenix_worker.core import events as ev
from phoenix_worker.core.engine import _HANDLERS, Engine
from phoenix_worker.core.events import EmergencyLevel, Stream
from samples import MAKER, SECOND, changed


def test_every_event_has_a_handler():
    assert set(_HANDLERS) == set(ev.AnyEvent.__args__)


def test_what_is_no_keyframe_is_refused(world):
    for data in (b"", b"junk", world.engine.keyframe()[:-5]):
        with pytest.raises(msgspec.DecodeError):
            Engine.from_keyframe(data)


def test_a_keyframe_is_exact(world):
    world.fill(world.ours()[0])
    again = Engine.from_keyframe(world.engine.keyframe())
    assert again == world.engine
    assert again.keyframe() == world.engine.keyframe()
    assert again.view() == world.engine.view()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("market"), st.integers(-400, 400)),
        st.tuples(st.just("fill"), st.integers(0, 9)),
        st.tuples(st.just("wait"), st.integers(1, 12)),
        st.tuples(st.sampled_from(["gap", "user", "book", "lease", "halt", "resume", "layers"]), st.integers(1, 4)),
    ),
    max_size=14,
)


def perform(world, kind, number):
    if kind == "market":
        world.market(world.exchange.bid + number)
    elif kind == "fill":
        for order in world.ours()[:1]:
            world.fill(order, 1 + number)
    elif kind == "wait":
        world.wait(number * 0.1)
    else:
        HAPPENINGS[kind](world, number)


def reopen(stream):
    def happening(world, _):
        world.close(stream)
        world.open(stream)

    return happening


def take_over(world, _):
    world.lease(0)
    world.lease(world.newest_token + 1)


HAPPENINGS = {
    "gap": lambda world, _: world.gap(),
    "user": reopen(Stream.USER),
    "book": reopen(Stream.BOOK),
    "lease": take_over,
    "halt": lambda world, _: world.tell(ev.Emergency(0, EmergencyLevel.HALT, 2, "a person")),
    "resume": lambda world, _: world.tell(ev.Emergency(0, EmergencyLevel.NONE, 3, "")),
    "layers": lambda world, number: world.tell(ev.ParametersSet(0, changed(MAKER, near_layers=number), "other")),
}


@given(STEPS)
@settings(max_examples=25)
def test_the_same_events_give_the_same_actions_and_so_does_a_keyframe_of_the_middle(steps):
    world = World().start()
    world.wait(0.5)
    for kind, number in steps:
        perform(world, kind, number)
    world.replay()


# -- the market's side -----------------------------------------------------------------------------------------


def test_a_touch_that_leaves_the_band_is_answered_at_once(world):
    world.automatic = False
    world.now += SECOND // 2
    touch = ev.Touch(0, world.exchange_ms, world.update_id + 1, 60_030.0, 1.0, 60_030.1, 1.0)
    assert of_kind(world.tell(touch), ac.Amend)


def test_a_touch_inside_the_band_is_not(world):
    world.now += SECOND // 2
    touch = ev.Touch(0, world.exchange_ms, world.update_id + 1, 60_000.2, 1.0, 60_000.3, 1.0)
    assert world.tell(touch) == []


def test_a_public_trade_decides_nothing(world):
    assert world.tell(ev.Trade(0, world.exchange_ms, 1, 60_000.0, 0.5, True)) == []


def test_a_snapshot_for_a_stream_that_is_gone_is_not_used(world):
    world.snapshots_answered = False
    world.close(Stream.BOOK)
    world.tell(world.snapshot())
    assert Reason.BOOK_NOT_SYNCED in world.engine.view().not_ready


def test_a_snapshot_that_makes_no_book_is_asked_for_again(world):
    world.snapshots_answered = False
    world.gap()
    world.tell(ev.Snapshot(0, world.update_id, [(60_001.0, 1.0)], [(60_000.0, 1.0)]))
    assert Reason.BOOK_NOT_SYNCED in world.engine.view().not_ready
    world.snapshots_answered = True
    world.wait(2.0)
    assert world.engine.view().not_ready == []


def test_an_answer_for_the_touch_that_nobody_asked_for_changes_nothing(world):
    world.tell(ev.TouchAnswer(0, world.now, 1.0, 2.0))
    assert world.engine.view().not_ready == []


def test_late_klines_change_nothing(world):
    sigma = world.engine.view().sigma_1s
    world.tell(ev.Minutes(0, 0, [1.0, 2.0, 3.0]))
    assert world.engine.view().sigma_1s == sigma


# -- ours --------------------------------------------------------------------------------------------------------


def test_the_answer_to_a_request_from_before_a_restart_changes_nothing(world):
    before = world.engine.view().orders
    world.tell(ev.Answer(0, ev.Request.CANCEL, "pxk3f9a0-00000abc-q1", ev.Outcome.CONFIRMED, 1, closed=True))
    world.tell(ev.OrderAnswer(0, "pxk3f9a0-00000abc-q1", answered=True, order=None))
    assert world.engine.view().orders == before


def test_a_truth_that_nobody_waits_for_is_ignored(world):
    world.tell(ev.Truth(0, 999, position_steps=77))
    assert world.engine.view().position_steps == 0


def test_a_truth_read_while_something_was_missed_does_not_count(world):
    world.truths_answered = False
    world.close(Stream.USER)
    world.open(Stream.USER)
    asked = of_kind(world.done, ac.FetchTruth)[-1]
    world.close(Stream.USER)
    world.tell(world.exchange.truth(asked))
    assert Reason.NOT_RECONCILED in world.engine.view().not_ready


def test_a_renewal_of_the_lease_decides_nothing(world):
    assert world.renew() == []


def test_a_grant_that_is_not_awaited_changes_nothing(world):
    assert world.tell(ev.Reserved(0, 999, 1, 1)) == []
    assert world.engine.reservation.buy_granted > 1


def test_a_status_that_is_told_again_changes_nothing(world):
    assert sent(world.tell(ev.StatusSet(0, ev.SymbolStatus.TRADING))) == []
