"""What the truth settles about the orders that we hold."""

from phoenix_worker.core.actions import Purpose
from phoenix_worker.core.events import PositionReport, Side, Truth
from phoenix_worker.core.orders import Life, OrderBook, OwnOrder
from phoenix_worker.core.reconcile import ANSWER_WITHIN_NS, Reconciliation, replace_orders

SECOND = 1_000_000_000


def test_a_closed_order_whose_fill_only_the_truth_has_told_is_waited_for_no_longer():
    filled_while_frozen = OwnOrder(
        "pxk3f9a0-00000abc-q3",
        Side.SELL,
        0,
        Purpose.QUOTE,
        False,
        600_000,
        4,
        sent_ns=SECOND,
        life=Life.CLOSED,
        executed_steps=4,
        awaiting_report_ns=2 * SECOND,
    )
    orders = OrderBook({filled_while_frozen.client_id: filled_while_frozen})
    assert orders.lagging(9 * SECOND, SECOND) is filled_while_frozen
    replace_orders(orders, Truth(9 * SECOND, request_id=1, position_steps=-4), [], 8 * SECOND)
    orders.forget_settled()
    assert orders.lagging(9 * SECOND, SECOND) is None
    assert orders.orders == {}


def test_what_was_told_is_kept_when_a_reading_is_asked_again_but_not_when_something_was_missed():
    path = Reconciliation()
    told = PositionReport(0, 1, 1, 5, 100.0, "ORDER")
    path.asked(SECOND, OrderBook())
    path.keep(told)
    path.asked(SECOND + ANSWER_WITHIN_NS + 1, OrderBook())
    assert path.buffered == [told], "the first reading was never answered: the events since are still needed"
    path.need("user stream closed")
    path.asked(60 * SECOND, OrderBook())
    assert path.buffered == [], "the next reading is newer than all of it"


def test_readings_that_fail_in_a_row_come_ever_later_until_there_is_another_cause():
    """Each costs request weight that those who quote share: an exchange that has forgotten its trades stays behind."""
    path, now, waits = Reconciliation(), 0, []
    for failure in range(7):
        if failure == 5:
            path.need("reconnected")
        path.asked(now, OrderBook())
        path.failed(now, "503")
        waits.append((path.not_before_ns - now) / SECOND)
        assert not path.due(path.not_before_ns - 1, user_up=True)
        now = path.not_before_ns
        assert path.due(now, user_up=True)
    assert waits == [1, 2, 4, 5, 5, 1, 2]
    assert path.why == "503"
