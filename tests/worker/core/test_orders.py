"""The life of an order: every (state, trigger) pair, what counts as exposure, and target against live."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phoenix_worker.core.actions import Purpose
from phoenix_worker.core.events import OpenOrder, OrderState, Side
from phoenix_worker.core.orders import MAX_AMENDS, TABLE, Life, OrderBook, OwnOrder, Trigger, difference
from phoenix_worker.core.quoting import Target

L, T = Life, Trigger


def own(client_id="a", side=Side.BUY, layer=0, **fields):
    order = OwnOrder(client_id, side, layer, Purpose.QUOTE, False, 100, 10, 0)
    return msgspec.structs.replace(order, **{"life": L.OPEN, **fields})


def told(qty=10, filled=0, price=100, state=OrderState.NEW, update_ms=1, venue_id=7):
    return OpenOrder("a", venue_id, Side.BUY, price, qty, filled, False, state, update_ms)


# -- the table -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("life", Life)
@pytest.mark.parametrize("trigger", Trigger)
def test_every_pair_of_state_and_trigger_has_a_row(life, trigger):
    assert TABLE[life, trigger] in Life


@pytest.mark.parametrize("trigger", Trigger)
def test_closed_is_closed_whatever_comes(trigger):
    assert TABLE[L.CLOSED, trigger] is L.CLOSED


@pytest.mark.parametrize("life", [L.SENT, L.OPEN, L.AMENDING, L.CANCELLING, L.UNKNOWN])
@pytest.mark.parametrize("proof", [T.CANCELLED, T.REPORT_CLOSED, T.FOUND_CLOSED])
def test_proof_of_the_end_closes_from_any_state(life, proof):
    assert TABLE[life, proof] is L.CLOSED


CLOSING = {T.CANCELLED, T.REPORT_CLOSED, T.FOUND_CLOSED}
PROOF_OF_ABSENCE = {(L.SENT, T.PLACE_REFUSED), (L.UNKNOWN, T.PLACE_REFUSED), (L.UNKNOWN, T.NOT_FOUND_TWICE)}


def test_nothing_but_proof_closes_an_order():
    closes = {pair for pair, life in TABLE.items() if life is L.CLOSED and pair[0] is not L.CLOSED}
    assert {pair for pair in closes if pair[1] not in CLOSING} == PROOF_OF_ABSENCE


@pytest.mark.parametrize(
    ("life", "answers"),
    [
        (L.SENT, {T.PLACED, T.PLACE_REFUSED, T.PLACE_UNKNOWN}),
        (L.AMENDING, {T.AMENDED, T.AMEND_REFUSED, T.AMEND_GONE, T.AMEND_UNKNOWN, T.CANCEL_ASKED}),
        (L.CANCELLING, {T.CANCELLED, T.CANCEL_REFUSED, T.CANCEL_GONE, T.CANCEL_UNKNOWN}),
    ],
    ids=["place", "amend", "cancel"],
)
def test_a_request_in_flight_ends_by_its_own_answer_or_by_a_report_that_closes(life, answers):
    ends = {trigger for trigger in Trigger if TABLE[life, trigger] is not life}
    doubt = {T.PLACE_REFUSED, T.CANCEL_GONE, T.CANCEL_UNKNOWN, T.NOT_FOUND_TWICE}
    assert ends - answers - CLOSING <= doubt
    for trigger in ends - answers - CLOSING:
        assert TABLE[life, trigger] is L.UNKNOWN, "what contradicts it is asked about"


@pytest.mark.parametrize("trigger", [T.PLACE_UNKNOWN, T.AMEND_UNKNOWN, T.CANCEL_UNKNOWN, T.NOT_FOUND, T.REPORT_OPEN])
def test_unknown_stays_unknown_until_it_is_known(trigger):
    assert TABLE[L.UNKNOWN, trigger] is L.UNKNOWN


@given(st.lists(st.sampled_from(Trigger)))
def test_in_any_sequence_an_order_counts_fully_until_it_is_closed(triggers):
    order = own(life=L.SENT)
    for trigger in triggers:
        life = order.on(trigger)
        assert order.exposure_steps == (0 if life is L.CLOSED else 10)


def test_a_refused_cancel_of_an_order_with_an_unanswered_amend_is_doubt():
    order = own(life=L.CANCELLING, pending_price=101, pending_qty=12)
    assert order.on(T.CANCEL_REFUSED) is L.UNKNOWN
    assert own(life=L.CANCELLING).on(T.CANCEL_REFUSED) is L.OPEN


# -- exposure ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "exposure"),
    [
        ({}, 10),
        ({"filled_steps": 4}, 6),
        ({"life": L.SENT}, 10),
        ({"life": L.UNKNOWN}, 10),
        ({"life": L.CANCELLING, "filled_steps": 4}, 6),
        ({"life": L.AMENDING, "pending_qty": 15}, 15),
        ({"life": L.AMENDING, "pending_qty": 5}, 10),
        ({"life": L.UNKNOWN, "pending_qty": 15, "filled_steps": 4}, 11),
        ({"life": L.CLOSED}, 0),
        ({"life": L.CLOSED, "executed_steps": 7, "filled_steps": 4}, 3),
    ],
    ids=[
        "resting",
        "partly filled",
        "sent",
        "unknown",
        "cancel not confirmed",
        "amend to more: the larger",
        "amend to less: the larger",
        "unknown amend",
        "closed",
        "closed, fills not yet told",
    ],
)
def test_what_counts_as_exposure(fields, exposure):
    assert own(**fields).exposure_steps == exposure


def test_the_exposure_of_a_side_is_all_of_its_orders():
    book = OrderBook()
    for number, (side, life) in enumerate(
        [(Side.BUY, L.SENT), (Side.BUY, L.UNKNOWN), (Side.SELL, L.OPEN), (Side.BUY, L.CLOSED)]
    ):
        book.add(own(str(number), side, number, life=life))
    assert (book.exposure(Side.BUY), book.exposure(Side.SELL)) == (20, 10)


# -- learning ------------------------------------------------------------------------------------------


def test_an_order_never_learns_backwards():
    order = own(executed_steps=6, update_ms=5, price_ticks=100)
    order.learn(told(qty=20, filled=4, price=90, update_ms=4))
    assert (order.executed_steps, order.qty_steps, order.price_ticks) == (6, 10, 100)
    order.learn(told(qty=20, filled=8, price=90, update_ms=5))
    assert (order.executed_steps, order.qty_steps, order.price_ticks, order.venue_id) == (8, 20, 90, 7)


def test_a_closed_order_tells_what_it_executed_but_no_new_size():
    order = own()
    order.learn(told(qty=20, filled=8, state=OrderState.CANCELED))
    assert (order.executed_steps, order.qty_steps) == (8, 10)


def test_only_what_is_closed_and_accounted_for_is_forgotten():
    book = OrderBook()
    book.add(own("open"))
    book.add(own("unseen", life=L.CLOSED, executed_steps=3))
    book.add(own("awaited", life=L.CLOSED, awaiting_report_ns=1))
    book.add(own("done", life=L.CLOSED, executed_steps=3, filled_steps=3))
    book.forget_settled()
    assert set(book.orders) == {"open", "unseen", "awaited"}


def test_an_order_lags_when_its_event_is_due():
    book = OrderBook()
    book.add(own(awaiting_report_ns=100))
    assert book.lagging(600, 500) is None
    assert book.lagging(601, 500) is not None


def test_an_order_is_found_by_the_venues_id():
    book = OrderBook()
    book.add(own(venue_id=7))
    assert book.by_venue_id(7) is book.get("a")
    assert book.by_venue_id(8) is None


# -- target against live ---------------------------------------------------------------------------------


def target(price=100, qty=10, layer=0, side=Side.BUY, keep=2, reduce_only=False, purpose=Purpose.QUOTE):
    return Target(side, layer, price, qty, keep, reduce_only, purpose)


@pytest.mark.parametrize(
    ("order", "wanted", "shrink", "outcome"),
    [
        ({}, target(), False, "keep"),
        ({}, target(price=102), False, "keep"),
        ({}, target(price=98), False, "keep"),
        ({}, target(price=103), False, "move"),
        ({}, target(price=97), False, "move"),
        ({}, target(qty=5), False, "keep"),
        ({}, target(qty=5), True, "move"),
        ({}, target(qty=15), True, "keep"),
        ({"filled_steps": 6}, target(qty=5), True, "keep"),
        ({}, target(purpose=Purpose.PIN), False, "cancel"),
        ({}, target(reduce_only=True), False, "cancel"),
        ({"amends": MAX_AMENDS}, target(price=103), False, "cancel"),
        ({"amends": MAX_AMENDS}, target(), False, "keep"),
    ],
    ids=[
        "as wanted",
        "upper edge of the band",
        "lower edge of the band",
        "above the band",
        "below the band",
        "never for size alone",
        "smaller where risk asks",
        "never larger for size alone",
        "its rest is small enough",
        "another purpose",
        "reduce-only or not",
        "amended too often",
        "amended too often, and kept",
    ],
)
def test_a_resting_order_is_kept_moved_or_cancelled(order, wanted, shrink, outcome):
    live = own(**order)
    change = difference([wanted], {(Side.BUY, 0): live}, shrink)
    assert change.places == []
    assert change.cancels == ([live] if outcome == "cancel" else [])
    assert change.moves == ([(live, wanted)] if outcome == "move" else [])


def test_what_is_missing_is_placed_and_what_is_not_wanted_cancelled():
    wanted, live = target(layer=1), own(layer=2)
    change = difference([wanted], {(Side.BUY, 2): live}, False)
    assert (change.places, change.cancels, change.moves) == ([wanted], [live], [])


def test_the_slack_is_how_far_all_targets_may_move_before_a_kept_order_leaves_its_band():
    slots = {(Side.BUY, 0): own(price_ticks=100), (Side.SELL, 0): own(side=Side.SELL, price_ticks=110)}
    targets = [target(price=101, keep=3), target(price=108, keep=4, side=Side.SELL)]
    change = difference(targets, slots, False)
    assert (change.slack_down, change.slack_up) == (2, 2)
    for shift in range(-change.slack_down, change.slack_up + 1):
        moved = [msgspec.structs.replace(t, price_ticks=t.price_ticks + shift) for t in targets]
        assert difference(moved, slots, False).moves == []
    for shift in (-change.slack_down - 1, change.slack_up + 1):
        moved = [msgspec.structs.replace(t, price_ticks=t.price_ticks + shift) for t in targets]
        assert difference(moved, slots, False).moves
