import pytest
from phoenix_worker.core.actions import (
    Amend,
    ArmDeadMan,
    Cancel,
    CancelAll,
    FetchSnapshot,
    FetchTruth,
    Place,
    QueryOrder,
    TimeInForce,
)
from phoenix_worker.core.events import (
    Answer,
    DeadManArmed,
    Execution,
    OrderAnswer,
    OrderReport,
    OrderState,
    Outcome,
    Refusal,
    Request,
    Snapshot,
    StreamOpened,
    Truth,
)
from phoenix_worker.venue.binance.gateway import BinanceVenue
from phoenix_worker.venue.dry_run import DryRun


@pytest.fixture
async def rehearsal(exchange, credentials, settings, machine_clock, dice):
    clock = machine_clock()
    endpoints = exchange.endpoints
    real = BinanceVenue(
        endpoints, credentials, "ETHUSDC", settings, clock=clock, random=dice, user_agent="x", dry_run=True
    )
    venue = DryRun(real, clock)
    events: list[object] = []

    class Rehearsal:
        perform = staticmethod(venue.perform)

        def of(self, kind):
            return [e for e in events if isinstance(e, kind)]

        def later(self) -> int:
            return clock.monotonic_ns() + 1_000_000_000

        async def until(self, true) -> None:
            await exchange.until(true)

    assert not (await venue.prepare()).refused
    await venue.start(events.append)
    running = Rehearsal()
    await running.until(lambda: len(running.of(StreamOpened)) == 3)
    yield running
    await venue.close()
    changing = [r for r in exchange.requests if r.method != "GET" and r.path != "/fapi/v1/listenKey"]
    assert not changing, "a rehearsal changes nothing"
    assert not [s for s in exchange.sockets if s.path == "/ws-fapi/v1"]


async def test_a_quote_rests_unfilled_and_is_reported(rehearsal, approve):
    rehearsal.perform(Place(approve("a", deadline_ns=rehearsal.later())))
    assert not rehearsal.of(Answer), "told in a later turn"
    await rehearsal.until(lambda: rehearsal.of(Answer))
    answer, report = rehearsal.of(Answer)[0], rehearsal.of(OrderReport)[0]
    assert (answer.outcome, answer.closed, answer.price_ticks, answer.qty_steps) == (
        Outcome.CONFIRMED,
        False,
        251_234,
        40,
    )
    assert (report.execution, report.order.state, report.order.filled_steps) == (Execution.NEW, OrderState.NEW, 0)
    assert answer.venue_id == report.order.venue_id > 0


async def test_an_amend_moves_and_a_cancel_ends_it(rehearsal, approve):
    rehearsal.perform(Place(approve("a", deadline_ns=rehearsal.later())))
    rehearsal.perform(Amend(approve("a", deadline_ns=rehearsal.later(), request=Request.AMEND, price_ticks=251_000)))
    rehearsal.perform(Cancel("a", 1))
    rehearsal.perform(Cancel("a", 1))
    await rehearsal.until(lambda: len(rehearsal.of(Answer)) == 4)
    assert [a.outcome for a in rehearsal.of(Answer)] == [Outcome.CONFIRMED] * 3 + [Outcome.REFUSED]
    assert rehearsal.of(Answer)[2].closed
    assert rehearsal.of(Answer)[3].refusal is Refusal.GONE
    assert [r.execution for r in rehearsal.of(OrderReport)] == [Execution.NEW, Execution.AMENDMENT, Execution.CANCELED]
    assert rehearsal.of(OrderReport)[1].order.price_ticks == 251_000


@pytest.mark.parametrize("price_ticks", [0, 251_000])
async def test_what_takes_expires_unfilled(rehearsal, approve, price_ticks):
    order = approve(
        "l",
        deadline_ns=rehearsal.later(),
        price_ticks=price_ticks,
        time_in_force=TimeInForce.IMMEDIATE,
        reduce_only=True,
    )
    rehearsal.perform(Place(order))
    await rehearsal.until(lambda: len(rehearsal.of(OrderReport)) == 2)
    assert rehearsal.of(Answer)[0].closed
    assert rehearsal.of(Answer)[0].filled_steps == 0
    assert rehearsal.of(OrderReport)[1].order.state is OrderState.EXPIRED


async def test_the_deadline_counts_as_in_earnest(rehearsal, approve):
    rehearsal.perform(Place(approve("a", deadline_ns=0)))
    await rehearsal.until(lambda: rehearsal.of(Answer))
    assert rehearsal.of(Answer)[0].refusal is Refusal.EXPIRED_DEADLINE


async def test_cancel_all_ends_everything(rehearsal, approve):
    for name in "abc":
        rehearsal.perform(Place(approve(name, deadline_ns=rehearsal.later())))
    rehearsal.perform(CancelAll("stopping", rehearsal.later()))
    await rehearsal.until(lambda: len(rehearsal.of(OrderReport)) == 6)
    assert {r.order.client_id for r in rehearsal.of(OrderReport)[3:]} == set("abc")


async def test_the_truth_is_the_account_s_with_the_orders_that_only_exist_here(rehearsal, approve, exchange, body_of):
    exchange.answers["GET", "/fapi/v1/openOrders"] = lambda *_: [
        body_of({"symbol": "ETHUSDC", "newClientOrderId": "real", "price": "2500.00"})
    ]
    rehearsal.perform(Place(approve("rehearsed", deadline_ns=rehearsal.later())))
    rehearsal.perform(FetchTruth(3, 0, 0, ["rehearsed"]))
    await rehearsal.until(lambda: rehearsal.of(Truth))
    truth = rehearsal.of(Truth)[0]
    assert (truth.request_id, truth.problem) == (3, "")
    assert {o.client_id for o in truth.open_orders} == {"real", "rehearsed"}


LIVE = "pxk3f9a0-0lzzzzzz-q1a"
"""An order of a live maker of ours, as its token and installation name it."""


async def test_the_orders_of_a_live_maker_beside_it_are_not_the_rehearsal_s_business(rehearsal, exchange, body_of):
    """Else their token would be a second writer's (a halt of the live account), or an older one's (cancelled in
    vain, and read again, for ever).
    """
    exchange.answers["GET", "/fapi/v1/openOrders"] = lambda *_: [
        body_of({"symbol": "ETHUSDC", "newClientOrderId": name, "price": "2500.00"}) for name in (LIVE, "web_x")
    ]
    rehearsal.perform(FetchTruth(3, 0, 0, []))
    await rehearsal.until(lambda: rehearsal.of(Truth))
    assert [o.client_id for o in rehearsal.of(Truth)[0].open_orders] == ["web_x"]


async def test_nor_are_its_orders_that_filled_before_anybody_listened(rehearsal, exchange, body_of):
    def trade(trade_id, venue_id):
        return {
            "symbol": "ETHUSDC", "id": trade_id, "orderId": venue_id, "side": "BUY", "price": "2500.00", "qty": "0.010",
            "commission": "0", "commissionAsset": "USDC", "realizedPnl": "0", "maker": True, "time": 1760000000000,
        }  # fmt: skip

    names = {8: LIVE, 9: "web_x"}
    exchange.answers["GET", "/fapi/v1/userTrades"] = lambda _, p: [
        trade(each - 5, each) for each in names if each - 5 >= int(p.get("fromId", 0))
    ]
    exchange.answers["GET", "/fapi/v1/order"] = lambda _, p: body_of(
        {"symbol": "ETHUSDC", "newClientOrderId": names[int(p["orderId"])], "orderId": p["orderId"]}, "FILLED"
    )
    rehearsal.perform(FetchTruth(3, 1, 0, []))
    await rehearsal.until(lambda: rehearsal.of(Truth))
    truth = rehearsal.of(Truth)[0]
    assert [fill.trade_id for fill in truth.fills] == [3, 4]
    assert [(o.venue_id, o.client_id) for o in truth.owners] == [(9, "web_x")]


async def test_of_a_live_maker_beside_it_only_the_fills_are_told(rehearsal, exchange, frames):
    private = await exchange.socket("/private/ws")
    told = next(row["frame"] for row in frames("orders") if row["name"] == "partial fill")
    for change in (
        {"x": "NEW", "X": "NEW", "l": "0", "z": "0", "L": "0", "t": 0, "c": LIVE},
        {"c": LIVE},
        {"c": "web_x"},
    ):
        await private.send({**told, "o": {**told["o"], **change}})
    await rehearsal.until(lambda: len(rehearsal.of(OrderReport)) == 2)
    live, foreign = rehearsal.of(OrderReport)
    assert (live.order.client_id, foreign.order.client_id) == (LIVE, "web_x")
    assert live.fill is not None, "fills count, whoever made them"
    assert not live.order.state.is_open
    assert foreign.order.state is OrderState.PARTIALLY_FILLED


async def test_questions_about_orders_and_the_dead_man_are_answered_here(rehearsal, approve):
    rehearsal.perform(Place(approve("a", deadline_ns=rehearsal.later())))
    for action in (QueryOrder("a"), QueryOrder("b"), ArmDeadMan(60_000, rehearsal.later())):
        rehearsal.perform(action)
    await rehearsal.until(lambda: rehearsal.of(DeadManArmed))
    assert [a.order is not None for a in rehearsal.of(OrderAnswer)] == [True, False]
    assert rehearsal.of(DeadManArmed)[0].until_ns > rehearsal.of(DeadManArmed)[0].at


async def test_market_data_is_real(rehearsal):
    rehearsal.perform(FetchSnapshot())
    await rehearsal.until(lambda: rehearsal.of(Snapshot))
