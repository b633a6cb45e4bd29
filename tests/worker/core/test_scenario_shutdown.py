"""The whole engine on its way out and back: an orderly stop, and the memory of the process before."""

import pytest
from core_world import TOKEN, World, of_kind, sent
from model_exchange import refused
from phoenix_coordination import order_id
from phoenix_coordination.state import Reason, Role
from phoenix_worker.core import actions as ac
from phoenix_worker.core import events as ev
from phoenix_worker.core.engine import Engine
from phoenix_worker.core.events import Refusal, Request, Side, Stream
from samples import BTCUSDT, MAKER, SECOND, changed


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
    assert of_kind(world.tick(45), ac.CancelAll)
    assert not of_kind(world.done, ac.Exit)


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


# -- memory ------------------------------------------------------------------------------------------------


def test_what_the_exchange_cannot_tell_is_remembered():
    world = World()
    world.hold(112)
    world.start()
    world.wait(5.0)
    before = world.engine.view()
    successor = World()
    successor.engine.restore(world.engine.remember(), 2 * SECOND)
    successor._first = None
    successor.exchange.stream_up = True
    successor.start(TOKEN + 1)
    successor.wait(1.0)
    view = successor.engine.view()
    assert view.pnl.realised == before.pnl.realised
    assert view.pnl.fills == before.pnl.fills == 1
    assert view.reasons == [Reason.COOLDOWN]
    successor.wait(48.0)
    assert view.reasons == [Reason.COOLDOWN]
    successor.wait(8.0)
    assert successor.engine.view().reasons == []


def test_a_halt_survives_a_restart():
    world = World(changed(MAKER, failure_window=50)).start()
    for _ in range(60):
        world.tell(refused(Request.PLACE, "x", Refusal.OTHER, -1100))
    successor = World()
    successor.engine.restore(world.engine.remember(), SECOND)
    assert successor.engine.view().halted == world.engine.view().halted != ""


@pytest.mark.parametrize(("age_s", "kept"), [(59, True), (61, False)], ids=["young", "old"])
def test_statistics_are_kept_only_while_they_are_of_this_market(age_s, kept):
    world = World().start()
    world.wait(15.0)
    successor = World()
    successor.engine.restore(world.engine.remember(), age_s * SECOND)
    assert successor.engine.statistics.warm is kept


def test_a_fill_between_the_first_memory_and_a_crash_is_counted_by_the_next_worker():
    """Nothing has ever traded, so no trade id says from where to look: the beginning of the accounts does."""
    world = World().start()
    (asked,) = {action.since_ms for action in of_kind(world.done, ac.FetchTruth)}
    memory = world.engine.remember()
    successor = World()
    successor.now += 30 * SECOND
    successor.engine = Engine.new(MAKER, BTCUSDT, successor.now, dry_run=False, revision="first")
    successor.engine.restore(memory, 30 * SECOND)
    successor.start(TOKEN + 1)
    assert {action.since_ms for action in of_kind(successor.done, ac.FetchTruth)} == {asked}
