import asyncio

import pytest
from phoenix_worker.core.actions import Amend, Cancel, Place, TimeInForce
from phoenix_worker.core.events import Answer, Budget, Outcome, Refusal, Request, Side
from phoenix_worker.venue.binance import wsapi

API = "/ws-fapi/v1"
ORDER = "/fapi/v1/order"


async def answer(running, count: int = 1) -> Answer:
    await running.until(lambda: len(running.of(Answer)) >= count)
    return running.of(Answer)[count - 1]


async def sent(exchange, count: int = 1):
    socket = await exchange.socket(API)
    await exchange.until(lambda: len(socket.received) >= count)
    return socket.received[count - 1]


class TestPlace:
    async def test_a_quote_is_post_only_exact_and_signed(self, run_venue, exchange, approve):
        running = await run_venue()
        running.venue.perform(Place(approve(deadline_ns=running.in_one_second())))
        request = await sent(exchange)
        parameters = request["params"]
        assert request["method"] == "order.place"
        assert {k: v for k, v in parameters.items() if k not in ("apiKey", "signature", "timestamp", "recvWindow")} == {
            "newClientOrderId": "pxtest00-00000001-q1",
            "newOrderRespType": "ACK",
            "price": "2512.34",
            "quantity": "0.040",
            "side": "BUY",
            "symbol": "ETHUSDC",
            "timeInForce": "GTX",
            "type": "LIMIT",
        }
        assert isinstance(parameters["timestamp"], int)
        assert 900 < int(parameters["recvWindow"]) < 1000
        told = await answer(running)
        assert (told.outcome, told.request) == (Outcome.CONFIRMED, Request.PLACE)
        assert (told.price_ticks, told.qty_steps, told.filled_steps, told.closed) == (251_234, 40, 0, False)
        assert 1000 < told.venue_id <= exchange.next_order_id
        assert 0 < told.sent_ns <= told.at

    @pytest.mark.parametrize(
        ("order", "wanted", "unwanted"),
        [
            (
                {"price_ticks": 0, "reduce_only": True, "side": Side.SELL, "time_in_force": TimeInForce.IMMEDIATE},
                {"type": "MARKET", "reduceOnly": "true", "side": "SELL", "newOrderRespType": "RESULT"},
                {"price", "timeInForce"},
            ),
            (
                {"reduce_only": True, "time_in_force": TimeInForce.IMMEDIATE},
                {"type": "LIMIT", "timeInForce": "IOC", "reduceOnly": "true", "newOrderRespType": "RESULT"},
                set(),
            ),
            ({"time_in_force": TimeInForce.GOOD_TILL_CANCEL}, {"timeInForce": "GTC"}, {"reduceOnly"}),
        ],
        ids=["market", "immediate", "good till cancel"],
    )
    async def test_each_kind_of_order_has_its_parameters(self, run_venue, exchange, approve, order, wanted, unwanted):
        running = await run_venue()
        running.venue.perform(Place(approve(deadline_ns=running.in_one_second(), **order)))
        parameters = (await sent(exchange))["params"]
        assert parameters.items() >= wanted.items()
        assert not unwanted & parameters.keys()

    async def test_the_bytes_leave_in_the_call_stack_of_the_decision(self, run_venue, approve):
        running = await run_venue()
        running.venue.perform(Place(approve(deadline_ns=running.in_one_second())))
        assert running.venue._parts.wsapi.pending == 1
        assert not running.venue.quiescent
        await answer(running)
        assert running.venue.quiescent

    async def test_an_order_filled_by_its_answer_is_closed(self, run_venue, exchange, approve, body_of):
        def filled(request):
            body = body_of(request["params"], "FILLED", 7, executedQty="0.040")
            return {"id": request["id"], "status": 200, "result": body, "rateLimits": []}

        exchange.order_reply = filled
        running = await run_venue()
        running.venue.perform(Place(approve(deadline_ns=running.in_one_second())))
        told = await answer(running)
        assert (told.closed, told.filled_steps) == (True, 40)

    async def test_a_refusal_has_code_and_reason(self, run_venue, exchange, approve):
        exchange.order_reply = lambda r: {
            "id": r["id"],
            "status": 400,
            "error": {"code": -5022, "msg": "Due to the order could not be executed as maker"},
        }
        running = await run_venue()
        running.venue.perform(Place(approve(deadline_ns=running.in_one_second())))
        told = await answer(running)
        assert (told.outcome, told.refusal, told.code) == (Outcome.REFUSED, Refusal.WOULD_TAKE, -5022)
        assert running.venue.statistics().api_errors == {-5022: 1}

    async def test_a_reply_that_does_not_fit_the_symbol_is_unknown(self, run_venue, exchange, approve, body_of):
        exchange.order_reply = lambda r: {
            "id": r["id"],
            "status": 200,
            "result": body_of(r["params"], price="2512.345"),
        }
        running = await run_venue()
        running.venue.perform(Place(approve(deadline_ns=running.in_one_second())))
        assert (await answer(running)).outcome is Outcome.UNKNOWN

    async def test_a_reply_that_cannot_be_read_is_unknown(self, run_venue, exchange, approve):
        exchange.order_reply = lambda r: {"id": r["id"], "status": "?", "result": 7}
        running = await run_venue()
        running.venue.perform(Place(approve(deadline_ns=running.in_one_second())))
        assert (await answer(running)).outcome is Outcome.UNKNOWN
        assert running.venue.statistics().decode_errors == 1


class TestAmendAndCancel:
    @pytest.mark.parametrize(("venue_id", "name"), [(8820011223344, "orderId"), (0, "origClientOrderId")])
    async def test_an_amend_names_the_order_and_its_new_total(self, run_venue, exchange, approve, venue_id, name):
        running = await run_venue()
        approved = approve(deadline_ns=running.in_one_second(), request=Request.AMEND, venue_id=venue_id, qty_steps=55)
        running.venue.perform(Amend(approved))
        request = await sent(exchange)
        assert request["method"] == "order.modify"
        assert {"orderId", "origClientOrderId"} & request["params"].keys() == {name}
        assert request["params"]["quantity"] == "0.055"
        assert (await answer(running)).request is Request.AMEND

    @pytest.mark.parametrize(("venue_id", "name"), [(17, "orderId"), (0, "origClientOrderId")])
    async def test_a_cancel_needs_no_deadline_and_closes(self, run_venue, exchange, venue_id, name):
        running = await run_venue()
        running.venue.perform(Cancel("pxtest00-00000001-q1", venue_id))
        request = await sent(exchange)
        assert request["method"] == "order.cancel"
        assert name in request["params"]
        assert request["params"]["recvWindow"] == "2000"
        told = await answer(running)
        assert (told.outcome, told.closed, told.client_id) == (Outcome.CONFIRMED, True, "pxtest00-00000001-q1")


class TestDeadline:
    @pytest.mark.parametrize("left_ns", [-1, 0, 500_000])
    async def test_an_order_whose_lease_is_over_never_leaves(self, run_venue, exchange, approve, left_ns):
        running = await run_venue()
        running.venue.perform(Place(approve(deadline_ns=running.clock.monotonic_ns() + left_ns)))
        assert not running.of(Answer), "answers come in a later turn"
        told = await answer(running)
        assert (told.outcome, told.refusal, told.sent_ns) == (Outcome.REFUSED, Refusal.EXPIRED_DEADLINE, 0)
        assert not (await exchange.socket(API)).received

    async def test_the_clock_is_looked_at_as_the_last_act(self, run_venue, exchange, approve, monkeypatch):
        """The process is paused between the decision and the write."""
        running = await run_venue()
        deadline_ns = running.in_one_second()
        signer = running.venue._parts.wsapi._signer
        late = running.clock

        class Pausing:
            def sign(self, payload: bytes) -> str:
                late.paused_ns += 2_000_000_000
                return signer.sign(payload)

        monkeypatch.setattr(running.venue._parts.wsapi, "_signer", Pausing())
        running.venue.perform(Place(approve(deadline_ns=deadline_ns)))
        assert (await answer(running)).refusal is Refusal.EXPIRED_DEADLINE
        assert not (await exchange.socket(API)).received

    async def test_the_receive_window_is_never_longer_than_configured(self, run_venue, exchange, approve):
        running = await run_venue()
        running.venue.perform(Place(approve(deadline_ns=running.clock.monotonic_ns() + 60_000_000_000)))
        assert (await sent(exchange))["params"]["recvWindow"] == "2000"


class TestUnknown:
    async def test_no_answer_in_time_is_unknown_once_and_a_late_one_is_only_counted(
        self, run_venue, exchange, approve, monkeypatch
    ):
        held = []
        exchange.order_reply = held.append
        monkeypatch.setattr(wsapi, "REQUEST_TIMEOUT_S", 0.1)
        running = await run_venue()
        running.venue.perform(Place(approve(deadline_ns=running.in_one_second())))
        told = await answer(running)
        assert (told.outcome, told.refusal) == (Outcome.UNKNOWN, None)
        assert told.sent_ns > 0
        await (await exchange.socket(API)).send(exchange.acknowledge(held[0]))
        await running.until(lambda: running.venue.statistics().late_replies == 1)
        assert len(running.of(Answer)) == 1

    async def test_a_lost_connection_leaves_every_written_command_unknown(self, run_venue, exchange, approve):
        exchange.order_reply = lambda _: None
        running = await run_venue()
        for sequence in range(3):
            running.venue.perform(Place(approve(f"pxtest00-00000001-q{sequence}", deadline_ns=running.in_one_second())))
        running.venue.perform(Cancel("pxtest00-00000001-q9", 9))
        await sent(exchange, 4)
        (await exchange.socket(API)).drop()
        await answer(running, 4)
        assert [a.outcome for a in running.of(Answer)] == [Outcome.UNKNOWN] * 4
        assert len({a.client_id for a in running.of(Answer)}) == 4
        assert running.venue.quiescent

    async def test_a_replaced_connection_still_answers_what_was_asked_on_it(self, run_venue, exchange, approve):
        held = []
        exchange.order_reply = held.append
        running = await run_venue()
        first = await exchange.socket(API)
        running.venue.perform(Place(approve(deadline_ns=running.in_one_second())))
        await exchange.until(lambda: held)
        running.venue._parts.wsapi.kept.succeed()
        second = await exchange.socket(API, count=2)
        await running.until(lambda: running.venue.statistics().successions == 1)
        running.venue.perform(Cancel("pxtest00-00000001-q9", 9))
        await exchange.until(lambda: second.received)
        await first.send(exchange.acknowledge(held[0]))
        assert (await answer(running)).outcome is Outcome.CONFIRMED


class TestFallback:
    async def running_without_api(self, run_venue, exchange):
        running = await run_venue(rate=2)
        exchange.refuse_sockets = True
        (await exchange.socket(API)).drop()
        await running.until(lambda: not running.venue.statistics().orders_connected)
        return running

    async def test_while_the_api_is_down_commands_go_over_http(self, run_venue, exchange, approve):
        running = await self.running_without_api(run_venue, exchange)
        running.venue.perform(Place(approve(deadline_ns=running.in_one_second())))
        running.venue.perform(Amend(approve(deadline_ns=running.in_one_second(), request=Request.AMEND, venue_id=5)))
        running.venue.perform(Cancel("pxtest00-00000001-q1", 5))
        assert not running.venue.quiescent
        await answer(running, 3)
        assert {a.request for a in running.of(Answer)} == set(Request)
        assert all(a.outcome is Outcome.CONFIRMED and a.sent_ns for a in running.of(Answer))
        assert running.venue.statistics().rest_fallbacks == 3
        assert all(exchange.asked(method, ORDER)[0].signed for method in ("POST", "PUT", "DELETE"))
        assert int(exchange.asked("POST", ORDER)[0].parameters["recvWindow"]) < 1000

    @pytest.mark.parametrize(
        ("status", "text", "outcome"),
        [
            (503, "Unknown error, please check your request or try again later.", Outcome.UNKNOWN),
            (503, "Service Unavailable.", Outcome.REFUSED),
        ],
    )
    async def test_the_kinds_of_503_end_differently(self, run_venue, exchange, approve, refusal, status, text, outcome):
        exchange.answers["POST", ORDER] = lambda *_: refusal(status, 0, text)
        running = await self.running_without_api(run_venue, exchange)
        running.venue.perform(Place(approve(deadline_ns=running.in_one_second())))
        assert (await answer(running)).outcome is outcome

    async def test_the_deadline_counts_there_too(self, run_venue, exchange, approve):
        running = await self.running_without_api(run_venue, exchange)
        running.venue.perform(Place(approve(deadline_ns=running.clock.monotonic_ns())))
        assert (await answer(running)).refusal is Refusal.EXPIRED_DEADLINE
        assert not exchange.asked("POST", ORDER)

    async def test_the_api_is_used_again_once_it_is_back(self, run_venue, exchange, approve):
        running = await self.running_without_api(run_venue, exchange)
        exchange.refuse_sockets = False
        await running.until(lambda: running.venue.statistics().orders_connected)
        running.venue.perform(Place(approve(deadline_ns=running.in_one_second())))
        await answer(running)
        assert running.venue.statistics().rest_fallbacks == 0


class TestBudget:
    async def test_quotes_stop_at_the_reserve_and_cancels_go_on(self, run_venue, approve):
        running = await run_venue()
        now = running.clock.monotonic_ns()
        running.venue.budget.orders_reported(now, 10, 200)
        running.venue.perform(Place(approve(deadline_ns=running.in_one_second())))
        told = await answer(running)
        assert (told.refusal, told.sent_ns) == (Refusal.RATE_LIMIT, 0)
        running.venue.perform(Place(approve("r", deadline_ns=running.in_one_second(), reduce_only=True)))
        running.venue.perform(Cancel("c", 3))
        await answer(running, 3)
        assert [a.outcome for a in running.of(Answer)[1:]] == [Outcome.CONFIRMED] * 2

    async def test_a_429_is_told_as_a_block_and_stops_orders_and_cancels(self, run_venue, exchange, approve):
        running = await run_venue()
        exchange.order_reply = lambda r: {"id": r["id"], "status": 429, "error": {"code": -1003, "msg": "Too many"}}
        running.venue.perform(Place(approve("a", deadline_ns=running.in_one_second())))
        assert (await answer(running)).refusal is Refusal.RATE_LIMIT
        await running.until(lambda: any(b.blocked_until_ns for b in running.of(Budget)))
        exchange.order_reply = exchange.acknowledge
        running.venue.perform(Place(approve("b", deadline_ns=running.in_one_second(), reduce_only=True)))
        running.venue.perform(Cancel("c", 3))
        await answer(running, 3)
        ends = {a.client_id: a for a in running.of(Answer)}
        assert [(ends[name].refusal, ends[name].sent_ns) for name in "bc"] == [(Refusal.RATE_LIMIT, 0)] * 2

    async def test_a_429_says_when_the_exchange_will_listen_again(self, run_venue, exchange, approve):
        running = await run_venue()

        def reply(request):
            until_ms = request["params"]["timestamp"] + 20_000
            error = {"code": -1003, "msg": "Too many", "data": {"retryAfter": until_ms}}
            return {"id": request["id"], "status": 429, "error": error}

        exchange.order_reply = reply
        running.venue.perform(Place(approve("a", deadline_ns=running.in_one_second())))
        sent_ns = (await answer(running)).sent_ns
        await running.until(lambda: any(b.blocked_until_ns for b in running.of(Budget)))
        (blocked_until_ns,) = {b.blocked_until_ns for b in running.of(Budget) if b.blocked_until_ns}
        assert abs(blocked_until_ns - sent_ns - 20_000_000_000) < 100_000_000, "by its clock, cut to milliseconds"

    async def test_a_418_stops_everything(self, run_venue, exchange, approve):
        running = await run_venue()
        exchange.order_reply = lambda r: {"id": r["id"], "status": 418, "error": {"code": -1003, "msg": "banned"}}
        running.venue.perform(Cancel("a", 3))
        assert (await answer(running)).refusal is Refusal.BANNED
        received = len((await exchange.socket(API)).received)
        running.venue.perform(Cancel("b", 3))
        running.venue.perform(Place(approve("c", deadline_ns=running.in_one_second())))
        await answer(running, 3)
        assert all(a.outcome is Outcome.REFUSED and not a.sent_ns for a in running.of(Answer)[1:])
        assert len((await exchange.socket(API)).received) == received

    async def test_usage_that_replies_report_is_told(self, run_venue, approve):
        running = await run_venue()
        running.venue.perform(Place(approve(deadline_ns=running.in_one_second())))
        await answer(running)
        assert running.venue.statistics().orders_10s_used == pytest.approx(3 / 300)


async def test_a_refused_timestamp_measures_the_clock_again(run_venue, exchange, approve):
    running = await run_venue(rate=20)
    exchange.order_reply = lambda r: {"id": r["id"], "status": 400, "error": {"code": -1021, "msg": "Timestamp"}}
    asked = len(exchange.asked("GET", "/fapi/v1/time"))
    running.venue.perform(Place(approve(deadline_ns=running.clock.monotonic_ns() + 20_000_000_000)))
    assert (await answer(running)).refusal is Refusal.CLOCK
    await exchange.until(lambda: len(exchange.asked("GET", "/fapi/v1/time")) >= asked + 5)


async def test_every_command_of_a_burst_has_exactly_one_answer(run_venue, approve):
    running = await run_venue()
    count = 150
    for sequence in range(count):
        running.venue.perform(Place(approve(f"pxtest00-00000001-q{sequence}", deadline_ns=running.in_one_second())))
    await answer(running, count)
    await asyncio.sleep(0.05)
    assert len(running.of(Answer)) == count
    assert {a.client_id for a in running.of(Answer)} == {f"pxtest00-00000001-q{n}" for n in range(count)}
    assert len(running.venue.statistics().order_latency_ns) == count
    assert len(running.venue.statistics().order_latency_ns) == 0
