"""The whole engine and its orders: outcomes, user stream, reconciliation, other writers, people's changes."""

import msgspec
import pytest
from core_world import INSTALLATION, OFFSET_NS, TOKEN, World, client_id_of, of_kind, sent
from model_exchange import refused, unanswered
from phoenix_coordination import order_id
from phoenix_coordination.state import Reason
from phoenix_worker.core import actions as ac
from phoenix_worker.core import events as ev
from phoenix_worker.core.events import EmergencyLevel, Refusal, Request, Side, Stream
from phoenix_worker.core.orders import Life
from samples import BTCUSDT, ETH_MAKER, ETHUSDC, MAKER, MS, SECOND, changed

ONE_LAYER = changed(MAKER, near_layers=1, far_layers=0)


@pytest.fixture
def one_layer():
    world = World(ONE_LAYER).start()
    world.wait(1.0)
    return world


def held_open(world):
    """From here on nothing happens but what the test lets happen."""
    world.automatic = False
    return world


def leave_band(world, ticks=400):
    world.now += SECOND
    world.exchange.now_ms = world.exchange_ms
    world.renew()
    return world.market(world.exchange.bid + ticks)


# -- outcomes --------------------------------------------------------------------------------------------


@pytest.fixture
def first_places():
    """The first two orders are on their way, and stay there."""
    world = World(ONE_LAYER)
    world.hold_requests = True
    world.start()
    world.wait(0.3)
    assert [type(request) for request in world.exchange.requests] == [ac.Place, ac.Place]
    return world


def test_an_unknown_place_counts_as_live_and_its_slot_is_not_filled_again(first_places):
    world = first_places
    buy = world.exchange.requests[0].approved.order
    world.lose_answer(0, executed=True)
    mark = len(world.done)
    world.wait(2.0)
    assert world.engine.view().pending_buy_steps == buy.qty_steps
    assert of_kind(world.since(mark), ac.Place) == [], "it is never sent again blind"


@pytest.mark.parametrize("executed", [True, False], ids=["it was placed", "it never arrived"])
def test_an_unknown_place_is_asked_after_its_receive_window_and_then_known(first_places, executed):
    world = first_places
    place = world.exchange.requests[0].approved.order
    world.lose_answer(0, executed=executed)
    mark, lost_ns = len(world.done), world.now
    while not of_kind(world.since(mark), ac.QueryOrder):
        world.wait(0.05)
    assert world.now - lost_ns >= 2 * SECOND, "not before the receive window has passed"
    world.wait(2.0)
    lives = {order.client_id: order.life for order in world.engine.view().orders}
    if executed:
        assert lives[place.client_id] is Life.OPEN
    else:
        assert len(of_kind(world.since(mark), ac.QueryOrder)) >= 2, "twice: it may have been not yet visible"
        assert place.client_id not in lives


def test_a_request_that_nobody_answers_about_stays_unknown(first_places):
    world = first_places
    place = world.exchange.requests[0].approved.order
    world.lose_answer(0, executed=False)
    world.automatic = False
    for _ in range(200):
        for action in of_kind(world.wait(0.05), ac.QueryOrder):
            world.tell(ev.OrderAnswer(0, action.client_id, answered=False, order=None))
    assert {order.client_id: order.life for order in world.engine.view().orders}[place.client_id] is Life.UNKNOWN
    assert world.engine.view().pending_buy_steps == place.qty_steps


def test_an_unknown_cancel_is_not_taken_for_a_cancel(one_layer):
    world = held_open(one_layer)
    buy = world.ours(Side.BUY)[0]
    world.gap()
    world.lose_answer(0, executed=False)
    assert world.engine.view().pending_buy_steps == buy.qty
    world.automatic = True
    world.wait(6.0)
    assert not world.exchange.orders[buy.client_id].leaves or world.ours(Side.BUY)[0].client_id == buy.client_id
    assert len(world.ours(Side.BUY)) == 1, "one order a slot, whatever was lost"


def test_an_unknown_amend_counts_as_the_larger_until_it_is_known(one_layer):
    world = held_open(one_layer)
    world.fill(world.ours(Side.BUY)[0], 3)
    world.automatic = True
    world.settle()
    world.automatic = False
    leave_band(world, 300)
    amends = {client_id_of(request): request.approved.order for request in world.exchange.requests}
    assert amends
    number, (client_id, wanted) = 0, next(iter(amends.items()))
    before = world.engine.account.orders.get(client_id).qty_steps
    filled = world.engine.account.orders.get(client_id).filled_steps
    world.lose_answer(number, executed=False)
    order = world.engine.account.orders.get(client_id)
    assert order.exposure_steps == max(before, wanted.qty_steps) - filled


def test_a_post_only_refusal_waits_for_a_newer_book():
    world = World(ONE_LAYER).start()
    world.exchange.refuse = {Request.PLACE: [(Refusal.WOULD_TAKE, -5022)] * 2}
    world.frame()
    world.wait(0.5, frames=False)
    mark = len(world.done)
    world.wait(3.0, frames=False)
    assert of_kind(world.since(mark), ac.Place) == [], "the book has not moved"
    world.tell(world.next_diff())
    world.wait(0.5)
    assert len(of_kind(world.since(mark), ac.Place)) == 2
    view = world.engine.view()
    assert view.counters.refusals == {"would-take": 2}
    assert view.halted == ""


def test_routine_refusals_never_halt_the_symbol(world):
    for _ in range(100):
        world.tell(refused(Request.AMEND, "gone", Refusal.UNCHANGED, -5027))
    assert world.engine.view().halted == ""


def test_failures_above_their_share_of_enough_requests_halt_the_symbol(world):
    for _ in range(47):
        world.tell(ev.Answer(0, Request.CANCEL, "gone", ev.Outcome.CONFIRMED, 1))
    world.tell(refused(Request.PLACE, "a", Refusal.OTHER, -1100))
    world.tell(refused(Request.PLACE, "b", Refusal.MARGIN, -2019))
    assert world.engine.view().halted == ""
    world.tell(refused(Request.PLACE, "c", Refusal.MARGIN, -2019))
    assert "-2019" in world.engine.view().halted
    assert Reason.RISK_HALTED in world.engine.view().reasons
    assert world.ours() == [], "flat: there is nothing to reduce"


def test_a_halt_names_the_last_failure_also_where_the_request_that_fills_the_window_went_well(world):
    for _ in range(3):
        world.tell(refused(Request.PLACE, "a", Refusal.MARGIN, -2019))
    assert world.engine.view().halted == "", "too few to judge by"
    for _ in range(47):
        world.tell(ev.Answer(0, Request.CANCEL, "gone", ev.Outcome.CONFIRMED, 1))
    assert world.engine.view().halted.endswith(f"the last failure by {Refusal.MARGIN} -2019")


def test_a_clock_that_jumped_takes_the_quotes_out_until_it_is_measured_again_and_halts_nothing(world):
    for _ in range(60):
        world.tell(refused(Request.CANCEL, "x", Refusal.CLOCK, -1021))
    assert world.engine.view().halted == ""
    assert Reason.CLOCK_UNKNOWN in world.engine.view().not_ready
    assert world.ours() == []
    world.tell(ev.ClockSynced(0, OFFSET_NS, MS))
    world.wait(1.0)
    assert len(world.ours()) == 10


def test_under_a_risk_halt_reducing_quotes_stay_alive(world):
    world.fill(world.ours(Side.BUY)[0])
    for _ in range(60):
        world.tell(refused(Request.PLACE, "x", Refusal.OTHER, -1100))
    world.wait(1.0)
    assert world.ours(Side.BUY) == []
    sells = world.ours(Side.SELL)
    assert sum(order.qty for order in sells) == world.exchange.position
    assert all(order.reduce_only for order in sells)


def test_what_says_that_the_account_is_in_trouble_raises_the_emergency(world):
    world.tell(refused(Request.PLACE, "x", Refusal.DENIED, -2015))
    raised = of_kind(world.done, ac.RaiseEmergency)
    assert [action.level for action in raised] == [EmergencyLevel.HALT]
    assert world.ours() == []


def test_a_reduce_only_refusal_looks_at_the_truth_again(world):
    world.automatic = False
    world.tell(refused(Request.PLACE, "x", Refusal.REDUCE_ONLY, -2022))
    assert Reason.NOT_RECONCILED in world.engine.view().not_ready
    assert of_kind(world.tick(), ac.FetchTruth)


def test_a_rate_limit_is_waited_for(world):
    world.automatic = False
    mark = len(world.done)
    world.tell(ev.Budget(0, 100, 1000, 2000, world.now + 5 * SECOND))
    leave_band(world)
    world.wait(3.0)
    assert of_kind(world.since(mark), ac.Place, ac.Amend) == []
    assert Reason.RATE_LIMITED in world.engine.view().reasons


def test_a_cancel_that_the_exchange_would_not_hear_is_not_repeated_in_a_storm(world):
    world.automatic = False
    world.tell(ev.Budget(0, 100, 1000, 2000, world.now + 5 * SECOND))
    mark = len(world.done)
    for _ in range(60):
        for request in list(world.exchange.requests):
            world.exchange.requests.remove(request)
            world.tell(refused(Request.CANCEL, client_id_of(request), Refusal.RATE_LIMIT, -1003))
        world.wait(0.05)
    assert len(of_kind(world.since(mark), ac.Cancel)) <= 30, "once a second and order"


def test_the_last_orders_of_the_budget_are_kept_for_reducing(world):
    world.tell(ev.Budget(0, 20, 20, 2000, 0))
    mark = len(world.done)
    world.fill(world.ours(Side.BUY)[0])
    world.wait(1.0)
    assert all(place.approved.order.reduce_only for place in of_kind(world.since(mark), ac.Place))
    assert world.engine.view().counters.denials["budget"] > 0


def test_what_could_not_be_sent_goes_out_with_the_next_grant(world):
    world.tell(ev.Budget(0, 20, 20, 2000, 0))
    leave_band(world)
    world.wait(0.2)
    mark = len(world.done)
    world.tell(ev.Budget(0, 120, 120, 2000, 0))
    assert of_kind(world.since(mark), ac.Place, ac.Amend), "at once, not with the next evaluation"


def test_who_could_send_nothing_for_a_while_says_so_and_what_rests_stays(world):
    world.tell(ev.Budget(0, 20, 20, 2000, 0))
    resting = len(world.ours(Side.BUY))
    leave_band(world)  # a second later
    world.wait(0.3)
    assert world.engine.view().counters.denials["budget"] > 0
    assert Reason.RATE_LIMITED not in world.engine.view().reasons, "a grant that ebbs for a moment is no news"
    world.wait(2.0)
    view = world.engine.view()
    assert view.reasons == [Reason.RATE_LIMITED]
    assert view.not_ready == []
    assert view.detail.startswith("nothing is left of the orders that were granted")
    assert len(world.ours(Side.BUY)) == resting
    world.tell(ev.Budget(0, 120, 120, 2000, 0))
    assert world.engine.view().reasons == []


def test_who_has_nothing_to_send_needs_no_grant(world):
    world.tell(ev.Budget(0, 20, 20, 2000, 0))
    world.wait(3.0)
    assert world.engine.view().reasons == []


# -- cancels and replacements ------------------------------------------------------------------------------


def test_two_orders_in_one_slot_become_one_again(one_layer):
    world = one_layer
    world.exchange.refuse = {Request.CANCEL: [(Refusal.OTHER, -1001)] * 2}
    world.gap()
    world.wait(6.0)
    assert [len(world.ours(side)) for side in (Side.BUY, Side.SELL)] == [1, 1]


def test_an_order_found_after_its_slot_was_filled_again_is_cancelled(one_layer):
    world = held_open(one_layer)
    buy = world.ours(Side.BUY)[0]
    world.exchange.stream_up = False  # the report of the cancel will be lost
    world.gap()
    for _ in range(2):
        world.lose_answer(0, executed=False)
    world.exchange.stream_up = True
    world.automatic = True
    world.settle()
    world.wait(8.0)
    assert len(world.ours(Side.BUY)) == 1
    assert world.exchange.orders[buy.client_id] in world.ours() or not world.exchange.orders[buy.client_id].leaves


def test_an_amend_that_cancelled_its_order_leaves_room_for_a_new_one(one_layer):
    world = held_open(one_layer)
    leave_band(world)
    world.move_unseen(world.exchange.bid - 5_000)
    world.automatic = True
    world.settle()
    world.market(world.exchange.bid)
    world.wait(4.0)
    assert [len(world.ours(side)) for side in (Side.BUY, Side.SELL)] == [1, 1]


def test_a_refused_cancel_while_an_amend_is_unanswered_leaves_the_order_unknown(one_layer):
    world = held_open(one_layer)
    sell = world.ours(Side.SELL)[0]
    leave_band(world)
    world.gap()
    assert world.engine.account.orders.get(sell.client_id).life is Life.CANCELLING
    world.tell(refused(Request.CANCEL, sell.client_id, Refusal.OTHER, -1001))
    order = world.engine.account.orders.get(sell.client_id)
    assert order.pending_qty
    assert order.life is Life.UNKNOWN, "open it could be amended again, and the first amend be forgotten"


# -- user stream -------------------------------------------------------------------------------------------


def test_an_acknowledged_request_without_its_event_means_that_the_stream_is_out_of_sync(one_layer):
    world = held_open(one_layer)
    leave_band(world)
    request = world.exchange.requests[0]
    answer = world.exchange.execute(request)
    world.exchange.stream.clear()
    world.tell(answer)
    actions = world.wait(1.2)
    assert [action.stream for action in of_kind(actions, ac.Reconnect)] == [Stream.USER]
    assert of_kind(actions, ac.FetchTruth)
    assert Reason.NOT_RECONCILED in world.engine.view().not_ready
    assert of_kind(actions, ac.Cancel)


def test_fills_and_account_that_differ_for_longer_than_the_lag_mean_the_same(world):
    world.automatic = False
    world.tell(ev.PositionReport(0, world.exchange_ms, world.exchange_ms, 5, 60_000.0, "ORDER"))
    actions = world.wait(1.2)
    assert of_kind(actions, ac.FetchTruth)
    assert Reason.NOT_RECONCILED in world.engine.view().not_ready


def test_a_lost_user_stream_pulls_the_quotes_and_the_truth_brings_them_back(world):
    position = world.exchange.position
    world.automatic = False
    buy = world.ours(Side.BUY)[0]
    world.close(Stream.USER)
    assert len(of_kind(world.done[-12:], ac.Cancel)) == 10
    fill = world.exchange.fill(buy, 3)  # nobody tells us
    world.automatic = True
    world.settle()
    world.open(Stream.USER)
    world.wait(1.0)
    view = world.engine.view()
    assert view.position_steps == position + fill.qty_steps == world.exchange.position
    assert view.pnl.fills == 1
    assert len(world.ours()) == 10


def test_when_the_user_stream_stays_lost_the_worker_gives_up(world):
    world.close(Stream.USER)
    actions = world.wait(61.0)
    assert [type(action) for action in actions[-2:]] == [ac.CancelAll, ac.Exit]
    assert actions[-1].code == 1
    assert of_kind(world.wait(3.0), ac.CancelAll, ac.Exit, ac.Place) == [], "once"


def test_truth_and_stream_together_count_each_fill_once(world):
    world.automatic = False
    buy = world.ours(Side.BUY)[0]
    world.open(Stream.USER)  # opened anew: the truth is asked for
    asked = of_kind(world.pending, ac.FetchTruth)[-1]
    world.exchange.fill(buy, 2)
    truth = world.exchange.truth(asked)
    world.exchange.fill(buy, 1)
    reports = list(world.exchange.stream)
    for report in reports:
        world.tell(report)
    world.tell(truth)
    for report in reports:
        world.tell(report)
    view = world.engine.view()
    assert view.position_steps == world.exchange.position == 3
    assert view.pnl.fills == 2


def test_a_standby_keeps_nothing_of_what_the_leader_does(world):
    """Its user stream tells all of it; only what comes while the truth is read is needed."""
    world.lease(0)
    order = world.exchange.add("pxk3f9a0-00000abc-q1", Side.BUY, 599_000, 5)
    for _ in range(50):
        world.tell(ev.OrderReport(0, 1, 1, ev.Execution.NEW, order.told(), None))
    assert world.engine.reconciliation.buffered == []


def test_idle_the_exchange_is_compared_every_30_s(world):
    mark = len(world.done)
    world.wait(65.0)
    assert len(of_kind(world.since(mark), ac.FetchTruth)) == 2
    assert world.engine.view().comparisons_failed == 0


def test_a_comparison_tells_what_is_held_and_a_reading_of_the_unknown_does_not(world):
    mark = len(world.done)
    world.fill(world.ours(Side.BUY)[0])
    world.wait(31.0)
    (asked,) = of_kind(world.since(mark), ac.FetchTruth)
    position = world.engine.account.position
    assert (asked.held_steps, asked.held_trade_id) == (position.steps, position.newest_trade_id)
    assert asked.held_steps != 0
    mark = len(world.done)
    world.close(Stream.USER)
    world.open(Stream.USER)
    assert [each.held_steps for each in of_kind(world.since(mark), ac.FetchTruth)] == [None]


def test_a_comparison_that_differs_means_that_something_was_missed(world):
    world.exchange.position += 4
    world.wait(31.0)
    view = world.engine.view()
    assert view.comparisons_failed == 1
    assert view.position_steps == 4
    assert view.not_ready == []


def test_orders_sent_while_the_exchange_is_compared_are_no_difference(one_layer):
    world = one_layer
    world.fill(world.ours(Side.BUY)[0])
    world.wait(1.0)
    world.automatic = False
    while not of_kind(world.pending, ac.FetchTruth):
        world.wait(0.5)
    asked = of_kind(world.pending, ac.FetchTruth)[-1]
    truth = world.exchange.truth(asked)
    world.tell(ev.ParametersSet(0, MAKER, "more layers"))
    assert any(isinstance(request, ac.Place) for request in world.exchange.requests)
    world.tell(truth)
    assert world.engine.view().comparisons_failed == 0
    assert world.engine.view().not_ready == []


def test_a_truth_that_could_not_be_read_is_asked_for_again(world):
    world.truths_answered = False
    world.close(Stream.USER)
    world.open(Stream.USER)
    asked = of_kind(world.done, ac.FetchTruth)[-1]
    world.tell(ev.Truth(0, asked.request_id, problem="503"))
    assert of_kind(world.wait(0.9), ac.FetchTruth) == []
    world.truths_answered = True
    world.wait(1.0)
    assert world.engine.view().not_ready == []


def test_a_truth_that_nobody_answers_is_asked_for_again(world):
    world.truths_answered = False
    world.close(Stream.USER)
    world.open(Stream.USER)
    assert len(of_kind(world.wait(16.0), ac.FetchTruth)) == 1


def test_an_amend_that_may_still_arrive_is_not_settled_by_an_early_truth(one_layer):
    world = held_open(one_layer)
    leave_band(world)
    amend = next(request for request in world.exchange.requests if isinstance(request, ac.Amend))
    wanted = amend.approved.order
    world.tell(unanswered(Request.AMEND, wanted.client_id))
    world.close(Stream.USER)
    world.open(Stream.USER)
    asked = of_kind(world.pending, ac.FetchTruth)[-1]
    world.tell(world.exchange.truth(asked))
    order = world.engine.account.orders.get(wanted.client_id)
    assert order.life in (Life.UNKNOWN, Life.CANCELLING)
    assert order.pending_price == wanted.price_ticks


# -- other writers -----------------------------------------------------------------------------------------


def older_id(sequence=1, token=TOKEN - 5):
    return order_id.format(INSTALLATION, token, "q", sequence)


def test_what_an_older_token_left_is_cancelled_before_anything_is_quoted():
    world = World()
    world.exchange.stream_up = True
    left = world.exchange.add(older_id(), Side.BUY, 599_000, 10)
    world.start()
    world.wait(2.0)
    assert left.state is ev.OrderState.CANCELED
    first = next(action for action in world.done if isinstance(action, ac.Cancel | ac.Place))
    assert first == ac.Cancel(left.client_id, left.venue_id)
    assert len(world.ours()) == 10


def test_an_older_order_that_arrives_late_is_cancelled_too(world):
    left = world.exchange.add(older_id(), Side.BUY, 599_000, 10)
    world.settle()
    world.wait(1.0)
    assert left.state is ev.OrderState.CANCELED
    assert len(world.ours()) == 10


@pytest.mark.parametrize(
    "client_id",
    [order_id.format(INSTALLATION, TOKEN + 1, "q", 1), order_id.format("zzzzzz", TOKEN - 1, "q", 1)],
    ids=["a newer token", "another installation"],
)
def test_a_second_writer_withdraws_us_and_halts_the_account(world, client_id):
    world.exchange.add(client_id, Side.BUY, 599_000, 10)
    world.settle()
    world.wait(0.5)
    assert [action.level for action in of_kind(world.done, ac.RaiseEmergency)] == [EmergencyLevel.HALT]
    assert [order.client_id for order in world.exchange.open_orders] == [client_id], (
        "all of ours, and only ours, is gone"
    )
    assert Reason.SECOND_WRITER in world.engine.view().reasons


@pytest.mark.parametrize(
    ("client_id", "second_writer"),
    [
        pytest.param(order_id.format(INSTALLATION, TOKEN + 1, "q", 1), False, id="our successor"),
        pytest.param(order_id.format("zzzzzz", TOKEN + 1, "q", 1), True, id="another installation"),
    ],
)
def test_who_slept_beyond_its_deadline_meets_its_successor_before_it_hears_of_the_loss(world, client_id, second_writer):
    world.lease(world.token, seconds=0.4)
    world.automatic = False
    world.now += 2 * SECOND
    world.exchange.add(client_id, Side.BUY, 599_000, 10)
    world.settle()
    world.tick(1)
    assert bool(of_kind(world.done, ac.RaiseEmergency)) is second_writer


def test_a_person_who_resumes_after_a_second_writer_is_believed(world):
    other = world.exchange.add(order_id.format(INSTALLATION, TOKEN + 1, "q", 1), Side.BUY, 599_000, 10)
    world.settle()
    world.wait(0.5)
    world.exchange.end(other)
    world.settle()
    world.tell(ev.Emergency(0, EmergencyLevel.NONE, 3, ""))
    world.wait(1.0)
    assert len(world.ours()) == 10


def test_a_second_writer_whose_order_still_rests_at_the_resume_is_found_before_anything_is_quoted(world):
    world.exchange.add(order_id.format("zzzzzz", TOKEN + 1, "q", 1), Side.BUY, 599_000, 10)
    world.settle()
    world.wait(0.5)
    mark = len(world.done)
    world.tell(ev.Emergency(0, EmergencyLevel.NONE, 3, ""))
    world.wait(2.0)
    assert of_kind(world.since(mark), ac.Place) == []
    assert [action.level for action in of_kind(world.since(mark), ac.RaiseEmergency)] == [EmergencyLevel.HALT]
    assert Reason.SECOND_WRITER in world.engine.view().reasons


def test_a_foreign_order_suspends_quoting_while_it_lives(world):
    foreign = world.exchange.add("web_1234", Side.SELL, 601_000, 10, reduce_only=True)
    world.settle()
    world.wait(0.5)
    assert world.ours() == []
    assert world.engine.view().reasons == [Reason.FOREIGN_ACTIVITY]
    world.exchange.end(foreign)
    world.settle()
    world.wait(1.0)
    assert len(world.ours()) == 10


def test_foreign_fills_count(world):
    foreign = world.exchange.add("web_1234", Side.SELL, 601_000, 10)
    world.fill(foreign)
    view = world.engine.view()
    assert view.position_steps == -10
    assert view.counters.foreign_fills == 1


# -- lease -------------------------------------------------------------------------------------------------


def test_quotes_are_out_when_the_deadline_passes(world):
    world.automatic = False
    world.lease(world.token, seconds=0.4)
    actions = world.tick(13)
    assert len(of_kind(actions, ac.Cancel)) == 10
    assert Reason.LEASE_NOT_HELD in world.engine.view().not_ready


def test_a_lost_lease_pulls_the_quotes_and_a_new_token_quotes_again(world):
    world.lease(0)
    assert world.ours() == []
    mark = len(world.done)
    world.lease(TOKEN + 10)
    world.wait(1.0)
    assert len(world.ours()) == 10
    assert {order_id.parse(order.client_id).token for order in world.ours()} == {TOKEN + 10}
    names = [type(action) for action in world.since(mark)]
    assert names.index(ac.ArmDeadMan) < names.index(ac.FetchTruth) < names.index(ac.Place)


def test_what_was_granted_to_an_older_token_is_not_used():
    world = World().start()
    world.automatic = False
    world.wait(0.3)
    asked = of_kind(world.pending, ac.Reserve)
    stale = asked[-1] if asked else of_kind(world.done, ac.Reserve)[-1]
    world.lease(0)
    world.lease(TOKEN + 1)
    assert not world.engine.reservation.on_granted(stale.sequence, 99, 99)


def test_unreachable_coordination_pulls_the_quotes(world):
    world.tell(ev.Coordination(0, reachable=False, reason="connection refused"))
    assert world.ours() == []
    assert world.engine.view().detail == "connection refused"
    world.tell(ev.Coordination(0, reachable=True))
    world.wait(1.0)
    assert len(world.ours()) == 10


def test_the_dead_man_is_refreshed_while_healthy_and_never_disarmed(world):
    mark = len(world.done)
    world.wait(60.0)
    armed = of_kind(world.since(mark), ac.ArmDeadMan)
    assert len(armed) == 3
    assert {action.countdown_ms for action in armed} == {60_000}


def test_a_dead_man_that_cannot_be_armed_again_forbids_quoting_once_the_last_one_has_run_out(world):
    world.arms = False
    world.tell(ev.DeadManArmed(0, 0))
    assert world.ours(), "the timer that was armed before still stands"
    world.wait(60.0)
    assert Reason.DEAD_MAN_NOT_ARMED in world.engine.view().not_ready
    assert world.ours() == []


# -- what people change ------------------------------------------------------------------------------------


def test_parameters_are_swapped_between_two_decisions(world):
    world.tell(ev.ParametersSet(0, changed(MAKER, near_layers=1, far_layers=0), "second"))
    world.wait(1.0)
    assert [len(world.ours(side)) for side in (Side.BUY, Side.SELL)] == [1, 1]
    assert world.engine.view().revision == "second"


def test_a_pause_withdraws_and_ends(world):
    world.tell(ev.ParametersSet(0, changed(MAKER, paused=True), "paused"))
    world.wait(0.5)
    assert world.ours() == []
    assert world.engine.view().reasons == [Reason.PAUSED]
    world.tell(ev.ParametersSet(0, MAKER, "again"))
    world.wait(1.0)
    assert len(world.ours()) == 10


def test_a_lower_limit_shrinks_what_rests(world):
    limit = changed(MAKER, net_max_steps=12, base_size_steps=6)
    assert sum(order.qty for order in world.ours(Side.BUY)) > limit.worst_case_steps
    world.tell(ev.ParametersSet(0, limit, "less"))
    world.wait(2.0)
    for side in Side:
        assert sum(order.qty for order in world.ours(side)) <= limit.worst_case_steps
        assert world.ours(side), "and it is quoted within it"


def test_a_lower_grant_shrinks_what_rests(world):
    world.grant = lambda asked: (min(asked.buy_steps, 9), asked.sell_steps)
    world.wait(12.0)
    assert 0 < sum(order.qty for order in world.ours(Side.BUY)) <= 9
    assert len(world.ours(Side.SELL)) == 5


def test_a_symbol_that_only_reduces_is_only_reduced(world):
    world.fill(world.ours(Side.BUY)[0])
    world.tell(ev.StatusSet(0, ev.SymbolStatus.REDUCE_ONLY))
    world.wait(1.0)
    assert world.ours(Side.BUY) == []
    assert all(order.reduce_only for order in world.ours(Side.SELL))
    assert world.ours(Side.SELL)


def test_a_symbol_that_does_not_trade_has_nothing_of_ours(world):
    world.tell(ev.StatusSet(0, ev.SymbolStatus.NOT_TRADING))
    assert world.ours() == []


def test_another_grid_ends_the_worker_with_nothing_left_and_nothing_sent(world):
    coarser = msgspec.structs.replace(BTCUSDT, price=ETHUSDC.price)
    actions = world.tell(ev.InstrumentSet(0, coarser))
    assert world.ours() == []
    assert of_kind(actions, ac.Exit)[0].code == 1
    assert sent(world.wait(2.0)) == []
    assert of_kind(actions, ac.Place, ac.Amend) == []


def test_other_filters_are_taken_over(world):
    world.tell(ev.InstrumentSet(0, msgspec.structs.replace(BTCUSDT, max_open_orders=4)))
    assert world.engine.instrument.max_open_orders == 4


def test_another_symbol_with_other_steps_is_quoted_alike():
    world = World(ETH_MAKER, ETHUSDC, bid=250_000).start()
    world.wait(2.0)
    assert [len(world.ours(side)) for side in (Side.BUY, Side.SELL)] == [3, 3]
    world.fill(world.ours(Side.BUY)[0])
    world.wait(2.0)
    world.replay()


def test_fees_widen_the_quotes(world):
    nearest = world.ours(Side.BUY)[0].price
    world.tell(ev.FeesSet(0, 10.0, 10.0))
    world.wait(1.0)
    assert world.ours(Side.BUY)[0].price < nearest - 400


def test_a_silent_upstream_is_told(world):
    world.tell(ev.SocketSilent(0, silent=True))
    assert world.engine.view().fresh_connection_silent
    world.tell(ev.SocketSilent(0, silent=False))
    assert not world.engine.view().fresh_connection_silent


def test_that_no_connection_opens_is_told(world):
    world.tell(ev.SocketSilent(0, silent=False, refused=True))
    assert world.engine.view().fresh_connection_refused
    assert not world.engine.view().fresh_connection_silent
    world.tell(ev.SocketSilent(0, silent=False))
    assert not world.engine.view().fresh_connection_refused


def test_a_closed_market_stream_alone_changes_nothing(world):
    world.close(Stream.MARKET)
    assert len(world.ours()) == 10


def test_a_fill_after_the_truth_was_read_counts_until_it_is_told(one_layer):
    """The cancel's answer tells that 3 were executed; the truth that comes after it was read before that."""
    world = held_open(one_layer)
    buy = world.ours(Side.BUY)[0]
    world.open(Stream.USER)
    world.tick(6)
    asked = of_kind(world.pending, ac.FetchTruth)[-1]
    truth = world.exchange.truth(asked)
    world.exchange.fill(buy, 3)
    cancel = next(request for request in world.exchange.requests if request.client_id == buy.client_id)
    answer = world.exchange.execute(cancel)
    reports = list(world.exchange.stream)
    world.tell(answer)
    world.tell(truth)
    assert world.engine.account.orders.get(buy.client_id).exposure_steps == 3
    assert world.engine.account.worst_long >= world.exchange.worst(Side.BUY)
    for report in reports:
        world.tell(report)
    assert world.engine.view().position_steps == 3
    assert world.engine.account.worst_long == world.exchange.worst(Side.BUY)
    assert world.engine.account.orders.get(buy.client_id) is None


@pytest.mark.parametrize("reading", ["reconnected", "comparing"])
def test_a_truth_that_is_behind_the_user_stream_is_read_again(world, reading):
    """The exchange's reads may lag behind its stream: a position without a fill that we know is of the past."""
    buy = world.ours(Side.BUY)[0]
    behind = world.exchange.truth(ac.FetchTruth(0, 0, 0, []))
    world.fill(buy, 3)
    world.automatic = False
    if reading == "reconnected":
        world.open(Stream.USER)
    else:
        world.now += 31 * SECOND
        world.renew()
        world.tick()
    asked = of_kind(world.pending, ac.FetchTruth)[-1]
    assert world.engine.view().position_steps == 3
    world.tell(msgspec.structs.replace(behind, request_id=asked.request_id))
    assert world.engine.view().position_steps == 3, "never back"
    assert world.engine.reconciliation.reconciled == (reading == "comparing")
    assert ("the exchange is behind" in world.engine.view().detail) == (reading == "reconnected")
    assert world.engine.account.worst_long >= world.exchange.worst(Side.BUY)
    world.pending.clear()
    world.now += 2 * SECOND
    world.renew()
    world.tick()
    again = of_kind(world.pending, ac.FetchTruth)[-1]
    world.tell(world.exchange.truth(again))
    assert world.engine.reconciliation.reconciled
    assert world.engine.view().position_steps == 3


@pytest.mark.parametrize("end", ["user stream lost", "another grid"])
def test_a_standby_that_gives_up_leaves_the_leader_s_orders_alone(world, end):
    world.lease(0)
    if end == "user stream lost":
        world.reconnects = False
        world.close(Stream.USER)
        actions = world.wait(MAKER.give_up_after_ns / SECOND + 1)
    else:
        actions = world.tell(ev.InstrumentSet(0, ETHUSDC))
    assert [each.code for each in of_kind(actions, ac.Exit)] == [1]
    assert of_kind(actions, ac.CancelAll) == []


def test_a_foreign_order_suspends_reducing_quotes_too():
    world = World()
    world.hold(30)
    world.start()
    world.wait(1.0)
    assert world.ours(Side.SELL)
    world.exchange.add("web_1234", Side.SELL, 601_000, 10, reduce_only=True)
    world.settle()
    world.wait(0.5)
    assert world.ours() == []


def test_an_order_that_ended_while_the_exchange_was_compared_is_no_difference(world):
    world.automatic = False
    world.now += 31 * SECOND
    world.exchange.now_ms = world.exchange_ms
    world.renew()
    world.tick()
    asked = of_kind(world.pending, ac.FetchTruth)[-1]
    truth = world.exchange.truth(asked)
    world.exchange.end(world.ours()[0])
    world.tell(world.exchange.stream.popleft())
    world.tell(truth)
    assert world.engine.reconciliation.reconciled
    assert world.engine.reconciliation.mismatches == 0


def test_the_dead_man_is_not_refreshed_once_the_lease_has_run_out(world):
    """Its timer is what clears the book of a worker that cannot prove that it still leads."""
    world.renew()
    mark = len(world.done)
    for _ in range(500):
        world.frame()
        world.tell(ev.Canary(0))
        world.tick()
    assert world.now > world.deadline
    assert of_kind(world.since(mark), ac.ArmDeadMan) == []


def test_an_order_grows_as_far_as_is_granted_and_is_moved_all_the_same():
    """An amend takes the room by which it grows, as a new order takes all of its own."""
    world = World(ONE_LAYER)
    world.grant = lambda _: (20, 20)
    world.start()
    world.wait(1.0)
    sizes = {order.qty for order in world.ours()}
    assert max(sizes) <= 20
    world.tell(ev.ParametersSet(0, changed(ONE_LAYER, base_size_steps=3 * ONE_LAYER.base_size_steps), "larger"))
    world.market(world.exchange.bid + 400)
    world.wait(2.0)
    assert {order.qty for order in world.ours()} == {20}
    assert world.ours(Side.BUY)[0].price > 600_000


def test_a_prevented_self_trade_has_a_counter_of_its_own_and_waits_for_a_newer_book():
    world = World(ONE_LAYER).start()
    world.wait(1.0)
    mark = len(world.done)
    world.exchange.end(world.ours(Side.BUY)[0], ev.OrderState.EXPIRED_IN_MATCH)
    world.settle()
    world.wait(1.0, frames=False)
    assert of_kind(world.since(mark), ac.Place) == [], "the book has not moved"
    world.frame()
    world.wait(0.5)
    assert len(of_kind(world.since(mark), ac.Place)) == 1
    counters = world.engine.view().counters
    assert (counters.self_trades, counters.refusals) == (1, {})


def test_a_side_that_waits_for_a_newer_book_does_not_wait_for_one_that_counts_from_the_beginning():
    """The exchange came back, and its update ids are smaller than the one that was waited for."""
    world = World(ONE_LAYER).start()
    world.exchange.refuse = {Request.PLACE: [(Refusal.WOULD_TAKE, -5022)] * 2}
    world.frame()
    world.wait(0.5, frames=False)
    assert world.ours() == []
    world.close(Stream.BOOK)
    world.update_id = 10
    world.open(Stream.BOOK)
    world.wait(2.0)
    assert len(world.ours()) == 2


def test_an_older_order_that_cannot_be_cancelled_is_not_read_about_in_a_storm():
    """A reading costs some 17 of the 2400 request weight a minute."""
    world = World()
    world.exchange.add(order_id.format(INSTALLATION, TOKEN - 1, "q", 1), Side.BUY, 599_000, 10)
    world.exchange.refuse = {Request.CANCEL: [(Refusal.OTHER, -4140)] * 1_000}
    world.start()
    actions = world.wait(60.0)
    assert 3 < len(of_kind(actions, ac.FetchTruth)) < 20
    assert of_kind(world.done, ac.Place) == []
    world.exchange.refuse = {}
    world.wait(12.0)
    assert len(world.ours()) == 10
