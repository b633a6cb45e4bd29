"""Orders that never leave (trading, 5: DryRun): what each request is answered, in order."""

import pytest
from phoenix_worker.core import actions as act
from phoenix_worker.core import events as ev
from phoenix_worker.core.events import Execution, OrderState, Outcome, Refusal, Request, Side
from phoenix_worker.core.paper import Paper

NOW, MS, DEADLINE = 5_000, 1_700_000_000_000, 9_000


def approved(client_id="a", *, request=Request.PLACE, price=100, deadline_ns=DEADLINE, **fields):
    order = act.WantedOrder(request, client_id, Side.BUY, price, 7, False, act.Purpose.QUOTE, 0, **fields)
    made = object.__new__(act.ApprovedOrder)  # there is no other way to make one without the gate
    for name, value in (("order", order), ("deadline_ns", deadline_ns), ("trigger_ns", 0)):
        object.__setattr__(made, name, value)
    return made


def told(events):
    """(what, state or refusal) of each."""
    return [
        (event.execution, event.order.state)
        if isinstance(event, ev.OrderReport)
        else (event.request, event.refusal or event.outcome)
        for event in events
    ]


IMMEDIATE = act.TimeInForce.IMMEDIATE
PLACED = (Request.PLACE, Outcome.CONFIRMED)
CANCELLED = [(Request.CANCEL, Outcome.CONFIRMED), (Execution.CANCELED, OrderState.CANCELED)]
EXPIRES = [(Execution.NEW, OrderState.NEW), PLACED, (Execution.EXPIRED, OrderState.EXPIRED)]


@pytest.mark.parametrize(
    ("rests", "action", "answers", "left"),
    [
        pytest.param("", act.Place(approved()), [(Execution.NEW, OrderState.NEW), PLACED], "a", id="rests"),
        pytest.param("", act.Place(approved(price=0)), EXPIRES, "", id="a market order expires unfilled"),
        pytest.param("", act.Place(approved(time_in_force=IMMEDIATE)), EXPIRES, "", id="IOC expires unfilled"),
        pytest.param(
            "",
            act.Place(approved(deadline_ns=NOW)),
            [(Request.PLACE, Refusal.EXPIRED_DEADLINE)],
            "",
            id="past its deadline nothing is placed",
        ),
        pytest.param(
            "a",
            act.Amend(approved(request=Request.AMEND, price=90)),
            [(Request.AMEND, Outcome.CONFIRMED), (Execution.AMENDMENT, OrderState.NEW)],
            "a",
            id="an amend moves it",
        ),
        pytest.param(
            "a",
            act.Amend(approved(request=Request.AMEND, deadline_ns=NOW)),
            [(Request.AMEND, Refusal.EXPIRED_DEADLINE)],
            "a",
            id="past its deadline nothing is amended",
        ),
        pytest.param(
            "a",
            act.Amend(approved("b", request=Request.AMEND)),
            [(Request.AMEND, Refusal.GONE)],
            "a",
            id="nothing to amend",
        ),
        pytest.param("a", act.Cancel("a", 1), CANCELLED, "", id="a cancel ends it"),
        pytest.param("a", act.Cancel("b", 2), [(Request.CANCEL, Refusal.GONE)], "a", id="nothing to cancel"),
        pytest.param("ab", act.CancelAll("stop", 0), [CANCELLED[1]] * 2, "", id="cancel-all ends all, whenever"),
    ],
)
def test_each_request_ends_as_at_an_exchange_that_never_fills(rests, action, answers, left):
    paper = Paper()
    for client_id in rests:
        paper.perform(act.Place(approved(client_id)), NOW, MS)
    events = paper.perform(action, NOW, MS)
    assert told(events) == answers
    assert {event.at for event in events} <= {NOW}
    assert "".join(paper.orders) == left


def test_what_is_asked_is_answered_by_what_rests():
    paper = Paper()
    paper.perform(act.Place(approved()), NOW, MS)
    found, missing = (paper.perform(act.QueryOrder(client_id), NOW, MS)[0] for client_id in "ab")
    assert (found.answered, found.order) == (True, paper.orders["a"])
    assert (missing.answered, missing.order) == (True, None)
    (armed,) = paper.perform(act.ArmDeadMan(60, DEADLINE), NOW, MS)
    assert armed.until_ns == NOW + 60_000_000


def test_no_two_orders_have_one_venue_id():
    paper = Paper()
    for client_id in "abc":
        paper.perform(act.Place(approved(client_id)), NOW, MS)
    paper.perform(act.Cancel("c", 3), NOW, MS)
    paper.perform(act.Place(approved("d")), NOW, MS)
    assert [order.venue_id for order in paper.orders.values()] == [1, 2, 4]
