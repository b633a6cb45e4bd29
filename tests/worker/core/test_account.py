"""Answers and reports of our orders, in whichever order they come."""

from phoenix_coordination.state import FILLS_TOLD
from phoenix_worker.core import events as ev
from phoenix_worker.core.account import Account, Verdict
from phoenix_worker.core.actions import Purpose
from phoenix_worker.core.orders import Life, OwnOrder, Trigger
from phoenix_worker.core.parameters import Risk
from samples import BTCUSDT

RISK = Risk(failure_ratio=0.05, failure_window=50, sane_band_bps=200.0)
ACK_LAG_NS = 1_000_000_000


def _account_with_open_order() -> tuple[Account, OwnOrder]:
    account = Account.empty()
    order = OwnOrder("px-one", ev.Side.BUY, 0, Purpose.QUOTE, False, 600_000, 20, 0, life=Life.OPEN, venue_id=7)
    account.orders.add(order)
    return account, order


def _answer(at: int) -> ev.Answer:
    return ev.Answer(
        at, ev.Request.AMEND, "px-one", ev.Outcome.CONFIRMED, at, venue_id=7, price_ticks=600_010, qty_steps=20
    )


def _amendment(at: int) -> ev.OrderReport:
    told = ev.OpenOrder("px-one", 7, ev.Side.BUY, 600_010, 20, 0, False, ev.OrderState.NEW, at)
    return ev.OrderReport(at, at, at, ev.Execution.AMENDMENT, told, None)


def test_a_report_that_comes_after_the_next_request_belongs_to_the_one_that_was_answered() -> None:
    """Otherwise the answered one would seem to lag for ever, and the user stream to be out of sync."""
    account, order = _account_with_open_order()
    order.on(Trigger.AMEND_ASKED)
    assert account.on_answer(_answer(1), 0, RISK) is Verdict.NOTHING
    order.on(Trigger.AMEND_ASKED)  # the next one is asked before the event of the first has come
    account.on_report(_amendment(2), BTCUSDT)
    assert account.orders.lagging(2 + 2 * ACK_LAG_NS, ACK_LAG_NS) is None
    account.on_answer(_answer(3), 0, RISK)
    assert account.orders.lagging(3 + 2 * ACK_LAG_NS, ACK_LAG_NS) is order
    account.on_report(_amendment(4), BTCUSDT)
    assert account.orders.lagging(4 + 2 * ACK_LAG_NS, ACK_LAG_NS) is None


def test_an_event_before_its_answer_leaves_nothing_to_wait_for() -> None:
    account, order = _account_with_open_order()
    order.on(Trigger.AMEND_ASKED)
    account.on_report(_amendment(1), BTCUSDT)
    account.on_answer(_answer(2), 0, RISK)
    assert account.orders.lagging(2 + 2 * ACK_LAG_NS, ACK_LAG_NS) is None


def test_a_place_that_was_reported_open_is_not_gone_because_its_answer_says_so() -> None:
    """One of the two is wrong. An order that nobody counts could fill beyond the worst case."""
    account = Account.empty()
    order = OwnOrder("px-one", ev.Side.BUY, 0, Purpose.QUOTE, False, 600_000, 20, 0)
    account.orders.add(order)
    told = ev.OpenOrder("px-one", 7, ev.Side.BUY, 600_000, 20, 0, False, ev.OrderState.NEW, 1)
    account.on_report(ev.OrderReport(1, 1, 1, ev.Execution.NEW, told, None), BTCUSDT)
    refused = ev.Answer(2, ev.Request.PLACE, "px-one", ev.Outcome.REFUSED, 1, ev.Refusal.OTHER, -2010, "rejected")
    account.on_answer(refused, 0, RISK)
    assert order.life is Life.UNKNOWN
    assert account.worst_long == 20
    assert order.next_query_ns, "it is asked for"


def test_a_place_that_the_exchange_calls_a_duplicate_counts_as_live_until_it_is_known() -> None:
    account = Account.empty()
    order = OwnOrder("px-one", ev.Side.BUY, 0, Purpose.QUOTE, False, 600_000, 20, 0)
    account.orders.add(order)
    refused = ev.Answer(2, ev.Request.PLACE, "px-one", ev.Outcome.REFUSED, 1, ev.Refusal.DUPLICATE, -4116, "duplicate")
    account.on_answer(refused, 0, RISK)
    assert order.life is Life.UNKNOWN
    assert account.worst_long == 20


def test_the_last_fills_are_kept_for_people_once_each_and_no_more_than_are_told() -> None:
    account, _ = _account_with_open_order()
    fills = [
        ev.Fill(number, 7, ev.Side.BUY, 600_000, 1, 0, "USDT", 0, True, 1000 + number)
        for number in range(1, FILLS_TOLD + 4)
    ]
    partly = ev.OrderState.PARTIALLY_FILLED
    for fill in (*fills, fills[-1]):
        told = ev.OpenOrder("px-one", 7, ev.Side.BUY, 600_000, 20, 0, False, partly, fill.time_ms)
        account.on_report(ev.OrderReport(1, 1, 1, ev.Execution.TRADE, told, fill), BTCUSDT)
    assert account.recent_fills == fills[-FILLS_TOLD:]
    assert account.pnl.fills == len(fills)
