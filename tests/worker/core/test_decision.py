"""What is sent for a difference, in which order, and what waits."""

import itertools

import pytest
from core_world import World, of_kind, sent
from phoenix_coordination.state import Reason
from phoenix_worker.core import actions as ac
from phoenix_worker.core import events as ev
from phoenix_worker.core.actions import Purpose
from phoenix_worker.core.events import Side
from samples import MAKER, MS, SECOND, changed


def orders_of(actions):
    return [action.approved.order for action in of_kind(actions, ac.Place, ac.Amend)]


def test_cancels_go_first_then_what_reduces_then_from_the_touch_outwards():
    world = World()
    world.hold(30)
    world.start()
    world.wait(1.0)
    world.automatic = False
    world.now += SECOND
    mark = len(world.done)
    fewer_and_wider = changed(MAKER, far_layers=1, min_spread_bps=9.0)
    world.tell(ev.ParametersSet(0, fewer_and_wider, "wider, and one layer less"))
    batch = sent(world.since(mark))
    cancels = [isinstance(action, ac.Cancel) for action in batch]
    assert any(cancels)
    assert cancels == sorted(cancels, reverse=True), "cancels first"
    moved = orders_of(batch)
    slots = [(order.side, order.layer) for order in moved]
    assert slots == sorted(slots), "long: sells reduce; and from the touch outwards"
    assert {side for side, _ in slots} == set(Side)


def test_quotes_are_moved_no_more_often_than_the_interval_however_long_it_is():
    parameters = changed(MAKER, min_requote_interval_ns=2 * SECOND, quote_interval_ns=2 * SECOND)
    world = World(parameters).start()
    world.wait(4.0)
    moves = []
    for step in range(60):
        world.market(600_000 + 100 * step)
        mark = len(world.done)
        world.wait(0.1)
        if of_kind(world.since(mark), ac.Amend):
            moves.append(world.now)
    gaps = [later - earlier for earlier, later in itertools.pairwise(moves)]
    assert gaps
    assert min(gaps) >= 1_900 * MS


def test_but_quotes_are_pulled_at_once_within_the_interval(world):
    world.market(600_300)
    world.automatic = False
    assert len(of_kind(world.gap(), ac.Cancel)) == 10


def test_a_quote_that_would_cross_our_own_waits_until_the_other_has_moved():
    world = World(changed(MAKER, near_layers=1, far_layers=0)).start()
    world.wait(1.0)
    world.automatic = False
    world.now += SECOND
    world.tell(world.next_diff())
    first = orders_of(world.market(600_500))
    assert [order.side for order in first] == [Side.SELL]
    assert world.engine.view().counters.denials["own-cross"] >= 1
    world.automatic = True
    world.settle()
    world.wait(1.0)
    assert world.ours(Side.BUY)[0].price > 600_300


def test_an_order_that_is_cancelled_counts_until_it_is_gone():
    """A replacement that does not fit beside its predecessor waits for the cancel's confirmation."""
    parameters = changed(MAKER, near_layers=1, far_layers=0, base_size_steps=60, size_decay_k=0.0)
    world = World(parameters).start()
    world.wait(1.0)
    world.hold_requests = True
    world.fill(world.ours(Side.BUY)[0], 12)
    world.tell(ev.ParametersSet(0, changed(parameters, pin_ratio=0.10, hysteresis=0.0), "pins early"))
    world.wait(1.0)
    assert [type(request) for request in world.exchange.requests] == [ac.Cancel, ac.Cancel]
    world.hold_requests = False
    world.wait(1.0)
    assert [(order.side, order.qty) for order in world.ours()] == [(Side.SELL, 12)]


def test_an_order_carries_the_receipt_of_the_event_that_led_to_it(world):
    world.automatic = False
    world.now += SECOND // 2
    world.market(600_400)
    amends = of_kind(world.done[-8:], ac.Amend)
    assert amends
    assert {amend.approved.trigger_ns for amend in amends} == {world.now}


@pytest.mark.parametrize(
    ("position", "purpose"),
    [(0, Purpose.QUOTE), (75, Purpose.PIN), (96, Purpose.BLOCK), (103, Purpose.FLATTEN), (112, Purpose.LIQUIDATE)],
)
def test_every_order_names_the_rule_that_sent_it(position, purpose):
    world = World()
    world.hold(position)
    world.start()
    world.wait(1.0)
    places = orders_of(world.done)
    assert {order.purpose for order in places} == {purpose}
    assert all(f"-{purpose.value}" in order.client_id for order in places)


def test_ids_are_never_used_twice():
    world = World().start()
    for step in range(20):
        world.wait(0.3)
        if world.ours():
            world.fill(world.ours()[step % len(world.ours())])
    ids = [place.approved.order.client_id for place in of_kind(world.done, ac.Place)]
    assert len(ids) == len(set(ids)) > 15


def test_the_highest_worst_case_is_kept(world):
    ratio = world.engine.view().counters.max_worst_case_ratio
    assert ratio == pytest.approx(world.exchange.worst(Side.BUY) / 100)
    world.tell(ev.ParametersSet(0, changed(MAKER, paused=True), "paused"))
    world.wait(1.0)
    assert world.engine.view().counters.max_worst_case_ratio == ratio
    assert world.engine.view().reasons == [Reason.PAUSED]
