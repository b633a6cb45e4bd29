"""Hands for a symbol that has lost its leader."""

from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web
from phoenix_worker.core.actions import TimeInForce
from phoenix_worker.core.events import Outcome, Refusal, Side
from phoenix_worker.venue.binance.account import AccountUnreadableError
from phoenix_worker.venue.binance.caretaker import Caretaker

ORDER, ALL, OPEN = "/fapi/v1/order", "/fapi/v1/allOpenOrders", "/fapi/v1/openOrders"
ALGO, CONDITIONAL = "/fapi/v1/algoOrder", "/fapi/v1/openAlgoOrders"
STOP = {
    "algoId": 21,
    "clientAlgoId": "web_stop",
    "algoType": "CONDITIONAL",
    "orderType": "STOP_MARKET",
    "symbol": "ETHUSDC",
    "side": "SELL",
    "positionSide": "BOTH",
    "timeInForce": "GTC",
    "quantity": "0.010",
    "algoStatus": "NEW",
    "triggerPrice": "2400.00",
    "price": "0.00",
    "closePosition": False,
    "reduceOnly": False,
    "createTime": 1760000000000,
    "updateTime": 1760000000000,
}


def resting(venue_id: int) -> dict[str, object]:
    return {
        "symbol": "ETHUSDC",
        "orderId": venue_id,
        "clientOrderId": f"web_{venue_id}",
        "side": "BUY",
        "type": "LIMIT",
        "price": "2500.00",
        "origQty": "0.040",
        "executedQty": "0.000",
        "status": "NEW",
        "reduceOnly": False,
        "updateTime": 1760000000000,
    }


@pytest.fixture
def care(run_venue, exchange) -> Callable[[], Awaitable[tuple[Caretaker, int]]]:
    """A caretaker at a running venue, and a deadline in a second."""

    async def take() -> tuple[Caretaker, int]:
        running = await run_venue(connected=False)
        caretaker = running.venue.caretaker("ETHUSDC")
        await caretaker.prepare()
        exchange.requests.clear()
        return caretaker, running.in_one_second()

    return take


async def test_it_cancels_the_orders_that_it_is_told_to_and_no_other(care, exchange, run_venue):
    exchange.answers["GET", OPEN] = lambda *_: [resting(11), resting(12), resting(13)]
    caretaker, deadline_ns = await care()
    running = await run_venue(connected=False)
    orders = await running.venue.account.open_orders("ETHUSDC")
    await caretaker.withdraw(orders[:2], deadline_ns)
    assert sorted(seen.parameters["orderId"] for seen in exchange.asked("DELETE", ORDER)) == ["11", "12"]
    assert not exchange.asked("DELETE", ALL)
    assert caretaker.quiescent


async def test_a_conditional_order_is_cancelled_by_its_own_name(care, exchange, run_venue):
    exchange.answers["GET", CONDITIONAL] = lambda *_: [STOP]
    caretaker, deadline_ns = await care()
    running = await run_venue(connected=False)
    exchange.answers["DELETE", ALGO] = lambda *_: {"algoId": 21, "clientAlgoId": "x", "code": "200", "msg": "success"}
    await caretaker.withdraw((await running.venue.account.conditional_orders("ETHUSDC")).orders, deadline_ns)
    (asked,) = exchange.asked("DELETE", ALGO)
    assert asked.parameters["algoId"] == "21"
    assert "symbol" not in asked.parameters, "its endpoint knows none"
    assert int(asked.parameters["recvWindow"]) < 1000
    assert not exchange.asked("DELETE", ORDER)
    assert caretaker.quiescent


async def test_clearing_cancels_everything_of_the_symbol(care, exchange):
    caretaker, deadline_ns = await care()
    await caretaker.clear(deadline_ns)
    assert [seen.parameters["symbol"] for seen in exchange.asked("DELETE", ALL)] == ["ETHUSDC"]


async def test_what_it_sends_is_worthless_to_the_exchange_after_the_symbols_deadline(care, exchange):
    caretaker, deadline_ns = await care()
    await caretaker.clear(deadline_ns)
    assert int(exchange.asked("DELETE", ALL)[0].parameters["recvWindow"]) < 1000


async def test_after_the_deadline_nothing_leaves(care, exchange, approve, machine_clock):
    caretaker, _ = await care()
    past_ns = machine_clock().monotonic_ns() - 1
    await caretaker.clear(past_ns)
    answer = await caretaker.place(approve(deadline_ns=past_ns, reduce_only=True))
    assert (answer.outcome, answer.refusal) == (Outcome.REFUSED, Refusal.EXPIRED_DEADLINE)
    assert not exchange.requests
    assert caretaker.quiescent


@pytest.mark.parametrize(
    ("status", "code", "text", "quiescent"),
    [
        (503, 0, "Unknown error, please check your request or try again later.", False),
        (503, 0, "Service Unavailable.", True),
        (400, -2011, "Unknown order sent.", True),
        (429, -1003, "Too many requests.", True),
    ],
    ids=["perhaps executed", "certainly not", "gone already", "refused"],
)
async def test_a_cancel_that_may_still_arrive_keeps_the_symbols_lease(
    care, exchange, refusal, status, code, text, quiescent
):
    exchange.answers["DELETE", ALL] = lambda *_: refusal(status, code, text)
    caretaker, deadline_ns = await care()
    await caretaker.clear(deadline_ns)
    assert caretaker.quiescent is quiescent


async def test_an_order_goes_out_over_http_and_its_end_is_told(care, exchange, approve, body_of):
    exchange.answers["POST", ORDER] = lambda _, p: body_of(p, "FILLED", 77, executedQty=p["quantity"])
    caretaker, deadline_ns = await care()
    order = approve(
        deadline_ns=deadline_ns,
        side=Side.SELL,
        price_ticks=0,
        reduce_only=True,
        time_in_force=TimeInForce.IMMEDIATE,
    )
    answer = await caretaker.place(order)
    assert (answer.outcome, answer.closed, answer.filled_steps) == (Outcome.CONFIRMED, True, 40)
    (sent,) = exchange.asked("POST", ORDER)
    assert (sent.parameters["type"], sent.parameters["reduceOnly"]) == ("MARKET", "true")


async def test_an_order_of_which_nobody_can_say_is_unknown_and_the_truth_resolves_it(care, exchange, approve, body_of):
    exchange.answers["POST", ORDER] = lambda *_: web.Response(status=502)
    caretaker, deadline_ns = await care()
    order = approve(deadline_ns=deadline_ns, price_ticks=0, reduce_only=True)
    assert (await caretaker.place(order)).outcome is Outcome.UNKNOWN
    exchange.answers["GET", ORDER] = lambda _, p: body_of(p, "FILLED", 78, executedQty="0.040")
    truth = await caretaker.truth([order.order.client_id])
    assert not truth.problem
    assert [(o.venue_id, o.state.is_open) for o in truth.resolved] == [(78, False)]


async def test_prices_come_in_ticks(care):
    caretaker, _ = await care()
    touch, mark_ticks = await caretaker.prices()
    assert touch == (251_234, 251_235)
    assert mark_ticks == pytest.approx(251_231)


async def test_a_symbol_that_the_exchange_does_not_list_is_an_error(run_venue):
    running = await run_venue(connected=False)
    with pytest.raises(AccountUnreadableError, match="GONEUSDT"):
        await running.venue.caretaker("GONEUSDT").prepare()


async def test_a_rehearsal_changes_nothing(run_venue, exchange):
    running = await run_venue(dry_run=True)
    caretaker = running.venue.caretaker("ETHUSDC")
    await caretaker.prepare()
    await caretaker.clear(running.in_one_second())
    assert not exchange.asked("DELETE", ALL)
