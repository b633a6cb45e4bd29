"""Orders leave only approved, and what was decided has one encoding."""

import pytest
from phoenix_worker.core.actions import ApprovedOrder, Exit, Note, NoteKind, Place, _plain, encode_actions
from phoenix_worker.core.events import OrderState


@pytest.fixture
def place(world):
    return next(action for action in world.done if isinstance(action, Place))


def test_nobody_but_the_gate_makes_an_approved_order():
    with pytest.raises(TypeError, match="only the risk gate"):
        ApprovedOrder()


def test_an_approved_order_cannot_be_changed(place):
    with pytest.raises(AttributeError, match="cannot be changed"):
        place.approved.deadline_ns = 1 << 60
    with pytest.raises(AttributeError):
        place.approved.other = 1


def test_an_approved_order_tells_what_it_is(place):
    assert repr(place.approved).startswith("ApprovedOrder(WantedOrder(request=<Request.PLACE")
    assert f"deadline_ns={place.approved.deadline_ns}" in repr(place.approved)


def test_actions_are_encoded_with_all_that_was_approved(place):
    data = encode_actions([place, Exit(0, "done")])
    assert data == encode_actions([place, Exit(0, "done")])
    assert place.approved.order.client_id.encode() in data
    assert data != encode_actions([Exit(0, "done"), place])


def test_what_is_no_part_of_an_action_is_not_encoded():
    with pytest.raises(NotImplementedError, match="not part of an action"):
        _plain(object())
    assert encode_actions([Note(NoteKind.BOOK, "x")])


@pytest.mark.parametrize("state", OrderState)
def test_new_and_partially_filled_orders_are_open(state):
    assert state.is_open == (state in (OrderState.NEW, OrderState.PARTIALLY_FILLED))
