from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from phoenix_worker.core.actions import FetchTruth, QueryOrder
from phoenix_worker.core.events import Fill, OrderAnswer, OrderState, Side, Truth
from phoenix_worker.venue.binance.truth import ROUNDS, explains

POSITION, ORDERS, TRADES, ORDER, ALL, FORCED = (
    "/fapi/v3/positionRisk",
    "/fapi/v1/openOrders",
    "/fapi/v1/userTrades",
    "/fapi/v1/order",
    "/fapi/v1/allOrders",
    "/fapi/v1/forceOrders",
)


def row(amount: str) -> list[dict[str, object]]:
    return [{"symbol": "ETHUSDC", "positionSide": "BOTH", "positionAmt": amount, "entryPrice": "2500.5"}]


def trade(trade_id: int, side: str = "BUY", qty: str = "0.010") -> dict[str, object]:
    return {
        "symbol": "ETHUSDC",
        "id": trade_id,
        "orderId": 4,
        "side": side,
        "positionSide": "BOTH",
        "price": "2512.34",
        "qty": qty,
        "commission": "0.00100000",
        "commissionAsset": "USDC",
        "realizedPnl": "0",
        "maker": True,
        "buyer": side == "BUY",
        "time": 1760000000000 + trade_id,
    }


class Books:
    """An account whose trades happen while it is read: `script[n]` runs before the n-th request."""

    def __init__(self, exchange: Any, refusal: Any, body_of: Any) -> None:
        self.steps = 0
        self.trades: list[dict[str, object]] = []
        self.open: list[dict[str, object]] = []
        self.orders: dict[str, dict[str, object]] = {}
        self.made: dict[int, dict[str, object]] = {4: body_of({"symbol": "ETHUSDC"}, "FILLED", 4)}
        self.forced: list[dict[str, object]] = []
        self.script: dict[int, Any] = {}
        self.count = 0
        self.refusal = refusal
        self.lag = 0
        for path, handler in (
            (POSITION, self._position),
            (ORDERS, self._open),
            (TRADES, self._trades),
            (ORDER, self._order),
            (ALL, self._all),
            (FORCED, lambda *_: self.forced),
        ):
            exchange.answers["GET", path] = handler

    def fill(self, trade_id: int, steps: int) -> None:
        self.steps += steps
        self.trades.append(trade(trade_id, "BUY" if steps > 0 else "SELL", f"{abs(steps) / 1000:.3f}"))

    def _tick(self) -> None:
        self.count += 1
        self.script.get(self.count, lambda: None)()

    def _position(self, *_: object) -> object:
        self._tick()
        return row(f"{self.steps / 1000:.3f}") if self.steps else []

    def _open(self, *_: object) -> object:
        self._tick()
        return self.open

    def _trades(self, _: object, p: dict[str, str]) -> object:
        self._tick()
        rows = self.trades[: len(self.trades) - self.lag] if self.lag else self.trades
        if "fromId" in p:
            rows = [t for t in rows if int(t["id"]) >= int(p["fromId"])]  # type: ignore[call-overload]
        elif "startTime" in p:
            rows = [t for t in rows if int(p["startTime"]) <= int(t["time"]) <= int(p["endTime"])]  # type: ignore[call-overload]
        else:
            return rows[-int(p["limit"]) :]
        return rows[: int(p["limit"])]

    def _all(self, _: object, p: dict[str, str]) -> object:
        return [self.made[i] for i in sorted(self.made) if i >= int(p["orderId"])][: int(p["limit"])]

    def _order(self, _: object, p: dict[str, str]) -> object:
        order = self.made.get(int(p["orderId"])) if "orderId" in p else self.orders.get(p["origClientOrderId"])
        return order if order is not None else self.refusal(400, -2013, "Order does not exist.")


@pytest.fixture
def books(exchange, refusal, body_of) -> Books:
    return Books(exchange, refusal, body_of)


async def read(running, action: FetchTruth) -> Truth:
    before = len(running.of(Truth))
    running.venue.perform(action)
    await running.until(lambda: len(running.of(Truth)) > before)
    return running.of(Truth)[before]


def ask(from_id: int = 0, since_ms: int = 0, in_flight: list[str] | None = None) -> FetchTruth:
    return FetchTruth(7, from_id, since_ms, in_flight or [])


async def test_a_quiet_account_is_told_as_it_is(run_venue, books, body_of):
    running = await run_venue()
    for trade_id in (3, 4, 5):
        books.fill(trade_id, 10)
    books.open = [body_of({"symbol": "ETHUSDC", "newClientOrderId": "a", "price": "2500.00", "quantity": "0.020"})]
    truth = await read(running, ask(from_id=4))
    assert (truth.request_id, truth.problem) == (7, "")
    assert (truth.position_steps, truth.entry_price) == (30, 2500.5)
    assert [f.trade_id for f in truth.fills] == [4, 5]
    assert truth.last_trade_id == 5
    assert [o.client_id for o in truth.open_orders] == ["a"]


def compare(steps: int, trade_id: int, from_id: int = 0, since_ms: int = 1) -> FetchTruth:
    return FetchTruth(7, from_id, since_ms, [], held_steps=steps, held_trade_id=trade_id)


@pytest.mark.parametrize(
    ("trades", "from_id"),
    [((), 0), ((3, 4), 5), ((3, 4), 4), ((3, 4), 3)],
    ids=["never traded", "all accounted for", "one since the last truth", "two since"],
)
async def test_what_is_held_is_compared_by_one_position_the_open_orders_and_the_trades_since(
    run_venue, books, body_of, exchange, trades, from_id
):
    running = await run_venue()
    for trade_id in trades:
        books.fill(trade_id, 10)
    books.open = [body_of({"symbol": "ETHUSDC", "newClientOrderId": "a", "price": "2500.00", "quantity": "0.020"})]
    since_ms = exchange.now_ms() - 86_400_000
    truth = await read(running, compare(10 * len(trades), max(trades, default=0), from_id, since_ms))
    assert [len(exchange.asked("GET", path)) for path in (POSITION, ORDERS, TRADES)] == [1, 1, 1]
    assert (truth.problem, truth.position_steps) == ("", 10 * len(trades))
    assert truth.last_trade_id == max(trades, default=0)
    assert [fill.trade_id for fill in truth.fills] == [trade_id for trade_id in trades if trade_id >= from_id > 0]
    assert [order.client_id for order in truth.open_orders] == ["a"]


@pytest.mark.parametrize(
    ("steps", "trade_id"),
    [(21, 4), (20, 3), (10, 3)],
    ids=["another position", "a trade that was not told", "a fill that was not told"],
)
async def test_a_comparison_that_finds_something_else_is_read_until_it_agrees_with_itself(
    run_venue, books, exchange, steps, trade_id
):
    running = await run_venue()
    for each in (3, 4):
        books.fill(each, 10)
    truth = await read(running, compare(steps, trade_id, from_id=trade_id + 1))
    assert len(exchange.asked("GET", POSITION)) >= 2
    assert (truth.problem, truth.position_steps, truth.last_trade_id) == ("", 20, 4)


@pytest.mark.parametrize("before_request", range(1, 8))
async def test_a_fill_in_the_middle_of_a_comparison_is_never_half_in(run_venue, books, before_request):
    running = await run_venue(rate=5)
    books.fill(1, 10)
    books.script[before_request] = lambda: books.fill(2, 25)
    truth = await read(running, compare(10, 1, from_id=2))
    assert truth.problem == ""
    in_position = truth.position_steps == 35
    assert in_position == (2 in {f.trade_id for f in truth.fills})


async def test_with_nothing_to_start_from_only_the_last_trade_is_known(run_venue, books):
    running = await run_venue()
    books.fill(3, 10)
    truth = await read(running, ask())
    assert (truth.fills, truth.last_trade_id, truth.position_steps) == ([], 3, 10)


async def test_trades_since_a_time_are_read_by_weeks_then_by_id_to_the_last_page(run_venue, books, exchange):
    running = await run_venue()
    now = exchange.now_ms()
    for trade_id in range(1, 2202):
        books.fill(trade_id, 1)
        books.trades[-1]["time"] = now - 15 * 86_400_000
    truth = await read(running, ask(since_ms=now - 20 * 86_400_000))
    assert [f.trade_id for f in truth.fills] == list(range(1, 2202))
    for asked in exchange.asked("GET", TRADES):
        if "startTime" in asked.parameters:
            assert "fromId" not in asked.parameters
            assert int(asked.parameters["endTime"]) - int(asked.parameters["startTime"]) < 7 * 86_400_000


@pytest.mark.usefixtures("books")
async def test_a_time_before_what_the_exchange_keeps_is_not_asked_for(run_venue, exchange):
    running = await run_venue()
    await read(running, ask(since_ms=1))
    assert len(exchange.asked("GET", TRADES)) < 20


@pytest.mark.parametrize("before_request", range(1, 8))
async def test_a_fill_in_the_middle_of_reading_is_never_half_in(run_venue, books, before_request):
    running = await run_venue(rate=5)
    books.fill(1, 10)
    books.script[before_request] = lambda: books.fill(2, 25)
    truth = await read(running, ask(from_id=1))
    assert truth.problem == ""
    in_position = truth.position_steps == 35
    assert in_position == (2 in {f.trade_id for f in truth.fills})
    assert truth.last_trade_id == (2 if in_position else 1)


async def test_a_position_that_its_trades_do_not_explain_is_a_problem_not_a_guess(run_venue, books):
    running = await run_venue(rate=20)

    def move() -> None:
        books.steps += 7

    books.script[4] = move
    truth = await read(running, ask(from_id=1))
    assert "did not agree" in truth.problem
    assert truth.position_steps == 0
    assert books.count >= 3 * ROUNDS


async def test_trades_that_appear_late_are_waited_for(run_venue, books):
    running = await run_venue(rate=5)

    def fill_that_lags() -> None:
        books.fill(2, 10)
        books.lag = 1

    def appears() -> None:
        books.lag = 0

    books.script = {4: fill_that_lags, 12: appears}
    truth = await read(running, ask(from_id=1))
    assert truth.problem == ""
    assert (truth.position_steps, truth.last_trade_id) == (10, 2)


async def test_trades_that_cancel_out_in_the_position_make_the_open_orders_be_read_again(run_venue, books, body_of):
    """Both orders were open when the list was read, and are gone when the trades are."""
    running = await run_venue()
    books.open = [body_of({"symbol": "ETHUSDC", "newClientOrderId": name, "price": "2500.00"}) for name in "ab"]

    def both_fill() -> None:
        books.fill(10, 10)
        books.fill(11, -10)
        books.open = []

    books.script = {4: both_fill}
    truth = await read(running, ask(from_id=5))
    assert (truth.problem, truth.position_steps, truth.last_trade_id) == ("", 0, 11)
    assert truth.open_orders == []


class TestInFlight:
    async def test_an_order_that_ended_is_told_with_its_final_state(self, run_venue, books, body_of):
        running = await run_venue()
        books.orders["a"] = body_of({"symbol": "ETHUSDC", "newClientOrderId": "a"}, "FILLED", 5, executedQty="0.010")
        truth = await read(running, ask(in_flight=["a"]))
        assert [(o.client_id, o.state, o.filled_steps) for o in truth.resolved] == [("a", OrderState.FILLED, 10)]

    async def test_an_open_one_is_among_the_open_orders_alone(self, run_venue, books, body_of):
        running = await run_venue()
        books.orders["a"] = body_of({"symbol": "ETHUSDC", "newClientOrderId": "a"}, "NEW", 5)
        books.open = [books.orders["a"]]
        truth = await read(running, ask(in_flight=["a"]))
        assert (truth.resolved, [o.client_id for o in truth.open_orders]) == ([], ["a"])

    async def test_one_that_ends_while_we_read_is_looked_at_again(self, run_venue, books, body_of):
        running = await run_venue()
        books.orders["a"] = body_of({"symbol": "ETHUSDC", "newClientOrderId": "a"}, "NEW", 5)

        def ends() -> None:
            books.orders["a"] = {**books.orders["a"], "status": "CANCELED"}

        books.script[3] = ends
        truth = await read(running, ask(in_flight=["a"]))
        assert [o.state for o in truth.resolved] == [OrderState.CANCELED]

    async def test_one_that_is_not_visible_yet_is_asked_again_after_its_receive_window(
        self, run_venue, books, exchange, body_of
    ):
        running = await run_venue(rate=10)
        started = running.clock.monotonic_ns()
        running.venue.perform(ask(in_flight=["late"]))
        await exchange.until(lambda: exchange.asked("GET", ORDER))
        books.orders["late"] = body_of({"symbol": "ETHUSDC", "newClientOrderId": "late"}, "CANCELED", 5)
        await running.until(lambda: running.of(Truth))
        assert [o.client_id for o in running.of(Truth)[0].resolved] == ["late"]
        assert running.of(Truth)[0].at - started > 2_000_000_000

    @pytest.mark.usefixtures("books")
    async def test_one_that_never_existed_is_nowhere_and_was_asked_twice(self, run_venue, exchange):
        running = await run_venue(rate=20)
        truth = await read(running, ask(in_flight=["never"]))
        assert (truth.problem, truth.open_orders, truth.resolved) == ("", [], [])
        assert len(exchange.asked("GET", ORDER)) == 2

    @pytest.mark.usefixtures("books")
    async def test_nobody_saying_is_a_problem(self, run_venue, exchange, refusal):
        running = await run_venue(rate=20)
        exchange.answers["GET", ORDER] = lambda *_: refusal(500, -1000, "unknown")
        truth = await read(running, ask(in_flight=["a"]))
        assert truth.problem


@pytest.mark.usefixtures("books")
@pytest.mark.parametrize("path", [POSITION, ORDERS, TRADES])
@pytest.mark.parametrize("body", [[{"odd": 1}], {"code": 1}, [[]], "x"], ids=repr)
async def test_a_reply_that_cannot_be_read_is_a_problem(run_venue, exchange, path, body):
    running = await run_venue()
    exchange.answers["GET", path] = lambda *_: body
    truth = await read(running, ask(from_id=1))
    assert truth.problem


@pytest.mark.usefixtures("books")
async def test_what_may_heal_is_asked_again(run_venue, exchange, refusal):
    running = await run_venue(rate=10)
    answers = iter([refusal(503, 0, "Service Unavailable."), refusal(500, 0, "?")])
    exchange.answers["GET", ORDERS] = lambda *_: next(answers, [])
    assert (await read(running, ask(from_id=1))).problem == ""


class TestOwners:
    """Whose orders made the fills of which the user stream has not told."""

    @pytest.fixture
    def order(self, books, body_of):
        def add(venue_id, client_id, *trade_ids, **told):
            books.made[venue_id] = body_of(
                {"symbol": "ETHUSDC", "newClientOrderId": client_id}, "FILLED", venue_id, **told
            )
            for trade_id in trade_ids:
                books.fill(trade_id, 10)
                books.trades[-1]["orderId"] = venue_id

        return add

    async def test_each_is_told_once_but_not_those_of_known_trades(self, run_venue, order):
        running = await run_venue()
        order(70, "known", 4)
        order(71, "web_x", 5, 6, reduceOnly=True)
        order(72, "autoclose-1", 7)
        truth = await read(running, FetchTruth(7, 4, 0, [], known_trades=[4]))
        told = [(o.venue_id, o.client_id, o.reduce_only, o.state.is_open) for o in truth.owners]
        assert told == [(71, "web_x", True, False), (72, "autoclose-1", False, False)]

    async def test_one_that_is_only_listed_as_forced_has_its_name(self, run_venue, books, order):
        running = await run_venue(rate=20)
        order(72, "adl_autoclose", 7)
        books.forced = [books.made.pop(72)]
        truth = await read(running, ask(from_id=1))
        assert [(o.venue_id, o.client_id) for o in truth.owners] == [(72, "adl_autoclose")]

    async def test_one_that_is_not_visible_yet_is_asked_again(self, run_venue, books, order, exchange):
        running = await run_venue(rate=10)
        order(72, "late", 7)
        late = books.made.pop(72)
        running.venue.perform(ask(from_id=1))
        await exchange.until(lambda: exchange.asked("GET", ORDER))
        books.made[72] = late
        await running.until(lambda: running.of(Truth))
        assert [o.client_id for o in running.of(Truth)[0].owners] == ["late"]
        assert not exchange.asked("GET", FORCED)

    async def test_one_that_the_exchange_does_not_name_is_told_all_the_same(self, run_venue, books, order):
        running = await run_venue(rate=20)
        order(72, "gone", 7)
        del books.made[72]
        truth = await read(running, ask(from_id=1))
        assert [(o.venue_id, o.client_id, o.reduce_only) for o in truth.owners] == [(72, "", False)]

    async def test_many_are_read_by_pages(self, run_venue, order, exchange):
        running = await run_venue()
        for venue_id in range(100, 1300):
            order(venue_id, f"web_{venue_id}", *([venue_id] if venue_id % 20 == 0 else []))
        truth = await read(running, ask(from_id=1))
        assert [o.venue_id for o in truth.owners] == list(range(100, 1300, 20))
        assert len(exchange.asked("GET", ALL)) == 2
        assert not exchange.asked("GET", ORDER)

    async def test_a_comparison_does_not_ask_and_nobody_saying_is_a_problem(self, run_venue, order, exchange, refusal):
        running = await run_venue(rate=20)
        order(72, "web_x", 7)
        exchange.answers["GET", ORDER] = lambda *_: refusal(500, -1000, "unknown")
        assert (await read(running, compare(0, 6, from_id=1))).problem == ""
        assert (await read(running, ask(from_id=1))).problem


class TestQuery:
    async def test_tells_what_the_exchange_says(self, run_venue, books, body_of):
        running = await run_venue()
        books.orders["a"] = body_of({"symbol": "ETHUSDC", "newClientOrderId": "a"}, "EXPIRED_IN_MATCH", 5)
        running.venue.perform(QueryOrder("a"))
        running.venue.perform(QueryOrder("b"))
        await running.until(lambda: len(running.of(OrderAnswer)) == 2)
        told = {a.client_id: a for a in running.of(OrderAnswer)}
        assert told["a"].order.state is OrderState.EXPIRED_IN_MATCH
        assert (told["b"].answered, told["b"].order) == (True, None)

    async def test_nobody_saying_is_no_answer(self, run_venue, exchange, refusal):
        running = await run_venue(rate=10)
        exchange.answers["GET", ORDER] = lambda *_: refusal(503, 0, "?")
        running.venue.perform(QueryOrder("a"))
        await running.until(lambda: running.of(OrderAnswer))
        assert not running.of(OrderAnswer)[0].answered


@given(st.lists(st.integers(1, 50).flatmap(lambda n: st.sampled_from([n, -n])), max_size=12), st.integers(0, 12))
def test_the_newest_trades_explain_exactly_the_sums_of_the_newest(steps, count):
    fills = [
        Fill(n, 1, Side.BUY if s > 0 else Side.SELL, 1, abs(s), 0, "USDC", 0, True, 1) for n, s in enumerate(steps)
    ]
    assert explains(fills, sum(steps[len(steps) - min(count, len(steps)) :]))
    reachable = {sum(steps[i:]) for i in range(len(steps) + 1)}
    for change in range(-60, 60):
        assert explains(fills, change) == (change in reachable)
