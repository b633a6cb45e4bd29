"""The picture for the outside: roles, reasons with their sentence, orders and money as of the last event."""

import pytest
from core_world import World
from phoenix_coordination.state import Reason, Role
from phoenix_worker.core import events as ev
from phoenix_worker.core.events import EmergencyLevel, Side, Stream


def test_before_anything_happened_it_is_starting_and_says_why():
    view = World().engine.view()
    assert view.role is Role.STARTING
    assert view.reasons[0] is Reason.COORDINATION_UNREACHABLE
    assert view.reasons == sorted(view.reasons, key=lambda reason: reason.severity)
    assert (view.reservation_ticks, view.half_spread_bps, view.decay, view.book_age_ns, view.truth_age_ns) == (
        None,
        None,
        1.0,
        None,
        None,
    )


def test_without_a_lease_it_stands_by():
    world = World().start(token=0)
    world.wait(1.0)
    assert world.engine.view().role is Role.STANDBY
    assert world.engine.view().not_ready == [Reason.LEASE_NOT_HELD, Reason.NOT_RECONCILED, Reason.DEAD_MAN_NOT_ARMED]


def test_it_leads_once_it_has_read_the_truth():
    world = World()
    world.truths_answered = False
    world.start()
    assert world.engine.view().role is Role.STARTING
    world.truths_answered = True
    world.wait(20.0)
    assert world.engine.view().role is Role.LEADING


def test_it_shows_what_rests_and_what_it_could_come_to(world):
    world.fill(world.ours(Side.BUY)[0], 3)
    view = world.engine.view()
    buys = [order for order in view.orders if order.side is Side.BUY]
    assert [(order.client_id, order.leaves_steps) for order in buys] == [
        (order.client_id, order.leaves) for order in world.ours(Side.BUY)
    ]
    assert view.position_steps == 3
    assert view.worst_long_steps == 3 + view.pending_buy_steps == world.exchange.worst(Side.BUY)
    assert view.worst_short_steps == -3 + view.pending_sell_steps == world.exchange.worst(Side.SELL)
    assert view.worst_case_limit_steps == 115
    assert 0 < view.decay < 1
    assert view.half_spread_bps == pytest.approx(2.5, rel=0.2)


def test_unrealised_moves_with_the_mark(world):
    world.fill(world.ours(Side.BUY)[0])
    world.tell(ev.Mark(0, world.exchange_ms, 60_500.0, 0.0, 0.0001, 0))
    view = world.engine.view()
    gain = view.position_steps * 0.001 * (60_500.0 - view.entry_price)
    assert view.unrealised == pytest.approx(gain * 1e8)
    assert (view.mark, view.funding_rate) == (60_500.0, 0.0001)


def test_without_a_mark_the_mid_stands_for_it():
    world = World()
    world.hold(10)
    tell = world.tell
    world.tell = lambda event: [] if isinstance(event, ev.Mark) else tell(event)
    world.start()
    world.wait(1.0)
    world.market(600_100)
    assert world.engine.view().unrealised == pytest.approx(10 * 0.001 * 10.05 * 1e8)


@pytest.mark.parametrize(
    ("event", "detail"),
    [
        (ev.Coordination(0, reachable=False, reason="refused"), "refused"),
        (ev.Emergency(0, EmergencyLevel.HALT, 2, "a person"), "a person"),
        (ev.StreamClosed(0, Stream.USER, "1006"), "user stream closed"),
        (ev.Stop(0, "SIGTERM"), "SIGTERM"),
    ],
    ids=["coordination", "emergency", "user stream", "stopping"],
)
def test_the_first_reason_comes_with_its_sentence(world, event, detail):
    world.automatic = False
    world.tell(event)
    assert world.engine.view().detail == detail


def test_the_picture_does_not_change_afterwards(world):
    before = world.engine.view()
    streams = dict(before.streams)
    world.close(Stream.BOOK)
    assert before.streams == streams
