"""The whole engine on its way out: an orderly stop."""

from core_world import TOKEN, World, of_kind, sent
from phoenix_coordination import order_id
from phoenix_coordination.state import Role
from phoenix_worker.core import actions as ac
from phoenix_worker.core import events as ev
from phoenix_worker.core.events import Refusal, Request, Side, Stream


def order_of(actions, *kinds):
    return [type(action) for action in actions if isinstance(action, kinds)]


STEPS = (ac.Cancel, ac.CancelAll, ac.FetchTruth, ac.ReleaseLease, ac.Exit)


def test_a_stop_cancels_confirms_releases_and_exits_in_this_order(world):
    mark = len(world.done)
    world.tell(ev.Stop(0, "SIGTERM"))
    assert world.engine.view().role is Role.DRAINING
    world.tick(5)
    steps = order_of(world.since(mark), *STEPS)
    assert steps == [ac.Cancel] * 10 + [ac.FetchTruth, ac.ReleaseLease, ac.Exit]
    assert of_kind(world.done, ac.Exit)[0].code == 0
    assert world.exchange.open_orders == []


def test_no_tick_is_waited_for_on_the_way_out(world):
    """In a roll the symbol is without quotes until the lease is released."""
    mark = len(world.done)
    world.tell(ev.Stop(0, "SIGTERM"))
    assert order_of(world.since(mark), *STEPS)[-3:] == [ac.FetchTruth, ac.ReleaseLease, ac.Exit]
    assert world.exchange.open_orders == []


def test_what_still_rests_is_waited_for_on_the_way_out(world):
    world.hold_requests = True
    world.tell(ev.Stop(0, "SIGTERM"))
    world.tick(5)
    assert not of_kind(world.done, ac.ReleaseLease)
    assert world.exchange.open_orders


def test_a_stop_is_not_asked_twice(world):
    world.automatic = False
    world.tell(ev.Stop(0, "SIGTERM"))
    assert world.tell(ev.Stop(0, "SIGTERM again")) == []


def test_after_the_exit_nothing_is_sent_any_more(world):
    world.tell(ev.Stop(0, "SIGTERM"))
    world.tick(5)
    mark = len(world.done)
    world.lease(TOKEN + 1)
    world.wait(3.0)
    assert sent(world.since(mark)) == []


def test_a_stop_does_not_flatten(world):
    world.fill(world.ours(Side.BUY)[0])
    position = world.exchange.position
    world.tell(ev.Stop(0, "SIGTERM"))
    world.tick(10)
    assert world.exchange.position == position != 0


def test_a_stop_without_a_lease_just_exits():
    world = World()
    world.start(token=0)
    world.tell(ev.Stop(0, "SIGTERM"))
    world.tick(2)
    assert order_of(world.done, *STEPS) == [ac.Exit]


def test_what_single_cancels_leave_is_cancelled_all_at_once(world):
    world.exchange.refuse = {Request.CANCEL: [(Refusal.OTHER, -1001)] * 10}
    mark = len(world.done)
    world.tell(ev.Stop(0, "SIGTERM"))
    world.wait(5.0)
    steps = order_of(world.since(mark), *STEPS)
    assert steps[-2:] == [ac.ReleaseLease, ac.Exit]
    assert world.exchange.open_orders == []


def test_a_cancel_all_is_sent_where_nothing_answers(world):
    world.automatic = False
    world.tell(ev.Stop(0, "SIGTERM"))
    all_at_once = of_kind(world.tick(45), ac.CancelAll)
    assert all_at_once
    assert {asked.deadline_ns for asked in all_at_once} == {world.engine.session.deadline_ns}, "while it leads"
    assert not of_kind(world.done, ac.Exit)


def test_who_has_lost_the_lease_cancels_its_own_and_never_all(world):
    """What rests by now may be the next leader's."""
    world.automatic = False
    world.lease(0)
    world.tell(ev.Stop(0, "SIGTERM"))
    world.tick(45)
    assert not of_kind(world.done, ac.CancelAll)
    assert len(of_kind(world.done, ac.Cancel)) >= 10


def test_leftovers_of_an_older_token_go_before_the_exit(world):
    stream, world.exchange.stream_up = world.exchange.stream_up, False
    left = world.exchange.add(order_id.format("k3f9a0", TOKEN - 1, "q", 1), Side.BUY, 599_000, 5)
    world.exchange.stream_up = stream
    world.tell(ev.Stop(0, "SIGTERM"))
    world.wait(2.0)
    assert left.state is ev.OrderState.CANCELED
    assert of_kind(world.done, ac.Exit)[0].code == 0


def test_a_stop_does_not_wait_for_a_user_stream_that_is_gone(world):
    world.close(Stream.USER)
    world.tell(ev.Stop(0, "SIGTERM"))
    world.wait(4.0)
    assert [action.code for action in of_kind(world.done, ac.Exit)] == [0]
    assert world.exchange.open_orders == []
