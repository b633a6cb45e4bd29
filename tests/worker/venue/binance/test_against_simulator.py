"""The client against the simulated exchange, which was written from the same documentation by other hands.

A misreading of one shows here. The simulator runs as a process of its own, and is only known by its addresses.
"""

import asyncio
import dataclasses
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from phoenix_worker.core.actions import (
    Amend,
    ArmDeadMan,
    Cancel,
    CancelAll,
    FetchMinutes,
    FetchSnapshot,
    FetchTouch,
    FetchTruth,
    Place,
    QueryOrder,
    TimeInForce,
)
from phoenix_worker.core.events import (
    Answer,
    Budget,
    Canary,
    ClockSynced,
    DeadManArmed,
    Depth,
    Execution,
    Mark,
    Minutes,
    OpenOrder,
    OrderAnswer,
    OrderReport,
    OrderState,
    Outcome,
    PositionReport,
    Refusal,
    Request,
    Side,
    Snapshot,
    Stream,
    StreamClosed,
    StreamOpened,
    Touch,
    TouchAnswer,
    Trade,
    Truth,
)
from phoenix_worker.venue.binance.endpoints import Endpoints
from phoenix_worker.venue.binance.gateway import BinanceVenue
from phoenix_worker.venue.binance.limits import Limits
from phoenix_worker.venue.binance.signing import Credentials, HmacSigner

pytestmark = pytest.mark.scenario

SIMULATOR = Path(__file__).parents[4] / "simulator"


class Simulator:
    def __init__(self, url: str) -> None:
        self.url = url

    def post(self, path: str, body: dict[str, object]) -> Any:
        request = urllib.request.Request(  # noqa: S310 - our own process
            self.url + path, data=json.dumps(body).encode(), headers={"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10) as reply:  # noqa: S310 - as above
            return json.load(reply)

    async def fault(self, **fault: object) -> None:
        await asyncio.to_thread(self.post, "/sim/fault", fault)


@pytest.fixture(scope="class")  # the request weight of an address is shared by all tests
def simulator() -> Iterator[Simulator]:
    process = subprocess.Popen(
        [sys.executable, "-m", "phoenix_simulator", "--port", "0", "--symbols", "ETHUSDC", "--seed", "5"],
        env={**os.environ, "PYTHONPATH": str(SIMULATOR)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    yield Simulator(json.loads(process.stdout.readline())["url"])
    process.terminate()
    process.wait(timeout=20)
    process.stdout.close()


class Worker:
    """A venue at work, and the little that a strategy needs."""

    def __init__(self, venue: BinanceVenue, clock: Any, approve: Any, until: Any, holder: str) -> None:
        self.venue, self.clock, self.until, self.holder = venue, clock, until, holder
        self._approve = approve
        self.events: list[Any] = []
        self._sequence = 0

    def of(self, kind: Any) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    async def wait_for(self, kind: Any, count: int = 1) -> Any:
        await self.until(lambda: len(self.of(kind)) >= count)
        return self.of(kind)[count - 1]

    async def touch(self) -> tuple[int, int]:
        touch = await self.wait_for(Touch)
        touch = self.of(Touch)[-1]
        return round(touch.bid * 100), round(touch.ask * 100)

    async def far(self) -> int:
        bid, _ = await self.touch()
        return bid - 500

    def order(self, **order: Any) -> Any:
        self._sequence += 1
        deadline_ns = self.clock.monotonic_ns() + 4_000_000_000
        return self._approve(f"pxtest00-00000001-q{self._sequence}", **{"deadline_ns": deadline_ns, **order})

    async def answer(self, action: Any) -> Answer:
        count = len(self.of(Answer))
        self.venue.perform(action)
        return await self.wait_for(Answer, count + 1)  # type: ignore[no-any-return]

    async def rest_one(self) -> Answer:
        answer = await self.answer(Place(self.order(price_ticks=await self.far())))
        assert answer.outcome is Outcome.CONFIRMED
        return answer

    async def truth(self, **ask: Any) -> Truth:
        count = len(self.of(Truth))
        self.venue.perform(
            FetchTruth(count + 1, ask.get("from_trade_id", 0), ask.get("since_ms", 0), ask.get("in_flight", []))
        )
        return await self.wait_for(Truth, count + 1)  # type: ignore[no-any-return]

    async def resting(self) -> list[OpenOrder]:
        """Of a truth that could be read: on a busy machine not every one can."""
        async with asyncio.timeout(30):
            while (truth := await self.truth()).problem:
                pass
        return truth.open_orders


@pytest.fixture
async def worker(simulator, settings, machine_clock, approve, until, dice):
    key = await asyncio.to_thread(simulator.post, "/sim/account", {"balances": {"USDC": "10000"}})
    clock, holder = machine_clock(), f"phoenix/{key['apiKey'][:8]}"
    venue = BinanceVenue(
        Endpoints.at(simulator.url),
        Credentials(key["apiKey"], HmacSigner(key["apiSecret"])),
        "ETHUSDC",
        dataclasses.replace(settings, apply=True, limits=Limits(weight_share=1.0, reserve_share=0.0)),
        clock=clock,
        random=dice,
        user_agent=holder,
    )
    running = Worker(venue, clock, approve, until, holder)
    try:
        async with asyncio.timeout(30):
            while (preflight := await venue.prepare()).refused:  # a busy machine delays what measures the clock
                assert all(refused.retryable for refused in preflight.refused)
        await venue.start(running.events.append)
        await until(lambda: len(running.of(StreamOpened)) == 3 and venue.statistics().orders_connected)
        yield running
        assert venue.statistics().decode_errors == 0
    finally:
        await venue.close()


class TestWithoutFaults:
    async def test_market_data_reads_without_an_error_and_its_diffs_join(self, worker):
        for kind in (Depth, Touch, Trade, Mark, Canary):
            await worker.wait_for(kind)
        await worker.wait_for(Depth, 10)
        assert all(later.prev_id == earlier.last_id for earlier, later in pairwise(worker.of(Depth)))
        for action, kind in ((FetchSnapshot(), Snapshot), (FetchTouch(), TouchAnswer), (FetchMinutes(), Minutes)):
            worker.venue.perform(action)
            await worker.wait_for(kind)
        assert worker.of(TouchAnswer)[0].bid < worker.of(TouchAnswer)[0].ask
        assert len(worker.of(Minutes)[0].closes) == 1439

    async def test_the_life_of_a_quote(self, worker):
        placed = await worker.rest_one()
        report = await worker.wait_for(OrderReport)
        assert (report.execution, report.order.state, report.order.venue_id) == (
            Execution.NEW,
            OrderState.NEW,
            placed.venue_id,
        )
        price = placed.price_ticks - 100
        amend = worker.order(request=Request.AMEND, price_ticks=price, qty_steps=50, venue_id=placed.venue_id)
        amended = await worker.answer(Amend(amend))
        assert (amended.outcome, amended.price_ticks, amended.qty_steps, amended.closed) == (
            Outcome.CONFIRMED,
            price,
            50,
            False,
        )
        await worker.wait_for(OrderReport, 2)
        assert worker.of(OrderReport)[1].execution is Execution.AMENDMENT
        worker.venue.perform(QueryOrder(placed.client_id))
        assert (await worker.wait_for(OrderAnswer)).order.qty_steps == 50
        truth = await worker.truth()
        assert [(o.client_id, o.price_ticks, o.qty_steps) for o in truth.open_orders] == [(placed.client_id, price, 50)]
        cancelled = await worker.answer(Cancel(placed.client_id, placed.venue_id))
        assert cancelled.closed
        await worker.wait_for(OrderReport, 3)
        assert worker.of(OrderReport)[2].order.state is OrderState.CANCELED
        assert (await worker.answer(Cancel(placed.client_id, placed.venue_id))).refusal is Refusal.GONE

    @pytest.mark.parametrize(
        ("change", "refusal"),
        [
            ({"price_ticks": 10_000_000, "side": Side.BUY}, Refusal.FILTER),
            ({"price_ticks": 1, "side": Side.SELL}, Refusal.FILTER),
            ({"qty_steps": 1}, Refusal.FILTER),
            ({"qty_steps": 1_000_000}, Refusal.MARGIN),
            ({"side": Side.SELL, "reduce_only": True, "time_in_force": TimeInForce.IMMEDIATE}, Refusal.REDUCE_ONLY),
        ],
        ids=["above the band", "below the band", "below the notional", "beyond the margin", "nothing to reduce"],
    )
    async def test_what_the_exchange_refuses_has_its_reason(self, worker, change, refusal):
        order = {"price_ticks": await worker.far(), **change}
        assert (await worker.answer(Place(worker.order(**order)))).refusal is refusal

    async def test_a_quote_that_would_take_is_refused_and_leaves_nothing(self, worker):
        _, ask = await worker.touch()
        answer = await worker.answer(Place(worker.order(price_ticks=ask + 500)))
        assert answer.refusal is Refusal.WOULD_TAKE
        assert (await worker.truth()).open_orders == []

    async def test_fills_position_and_trades_tell_the_same(self, worker):
        start = await worker.truth()
        taking = {"price_ticks": 0, "time_in_force": TimeInForce.IMMEDIATE}
        bought = await worker.answer(Place(worker.order(qty_steps=20, **taking)))
        sold = await worker.answer(Place(worker.order(qty_steps=5, side=Side.SELL, reduce_only=True, **taking)))
        assert bought.closed
        assert sold.closed
        await worker.until(lambda: worker.of(PositionReport) and worker.of(PositionReport)[-1].position_steps == 15)
        await worker.until(lambda: sum(r.fill.qty_steps for r in worker.of(OrderReport) if r.fill) == 25)
        fills = [r.fill for r in worker.of(OrderReport) if r.fill]
        truth = await worker.truth(from_trade_id=start.last_trade_id + 1)
        assert truth.position_steps == 15
        assert truth.fills == fills
        assert not any(fill.maker for fill in fills)
        assert all(fill.commission > 0 and fill.commission_asset == "USDC" for fill in fills)

    async def test_cancel_all_and_the_dead_man(self, worker):
        for _ in range(3):
            await worker.rest_one()
        worker.venue.perform(CancelAll("stopping", worker.clock.monotonic_ns() + 4_000_000_000))
        await worker.until(
            lambda: len([r for r in worker.of(OrderReport) if r.order.state is OrderState.CANCELED]) == 3
        )
        placed = await worker.rest_one()
        worker.venue.perform(ArmDeadMan(500, worker.clock.monotonic_ns() + 4_000_000_000))
        armed = await worker.wait_for(DeadManArmed)
        assert armed.until_ns
        await worker.until(
            lambda: any(
                not r.order.state.is_open and r.order.venue_id == placed.venue_id for r in worker.of(OrderReport)
            )
        )
        assert (await worker.truth()).open_orders == []

    async def test_the_successor_of_the_book_joins_without_a_gap(self, worker):
        await worker.wait_for(Depth, 3)
        worker.venue._parts.book.kept.succeed()
        await worker.until(lambda: worker.venue.statistics().successions == 1)
        count = len(worker.of(Depth))
        await worker.wait_for(Depth, count + 5)
        assert all(later.prev_id == earlier.last_id for earlier, later in pairwise(worker.of(Depth)))
        ids = [trade.trade_id for trade in worker.of(Trade)]
        assert ids == sorted(set(ids))
        assert not worker.of(StreamClosed)


class TestFaults:
    async def test_every_connection_cut_comes_back(self, worker, simulator):
        await simulator.fault(kind="disconnect", holder=worker.holder)
        await worker.until(lambda: {e.stream for e in worker.of(StreamClosed)} == set(Stream))
        await worker.until(lambda: len(worker.of(StreamOpened)) == 6)
        await worker.until(lambda: worker.venue.statistics().orders_connected)
        await worker.rest_one()
        await worker.wait_for(OrderReport)

    async def test_an_expired_listen_key_is_replaced(self, worker, simulator):
        await simulator.fault(kind="listen-key-expiry")
        await worker.until(lambda: [e.stream for e in worker.of(StreamOpened)].count(Stream.USER) == 2)
        await worker.rest_one()
        await worker.wait_for(OrderReport)

    @pytest.mark.parametrize("executed", [True, False])
    async def test_an_order_without_an_answer_is_unknown_until_the_truth_is_read(self, worker, simulator, executed):
        await simulator.fault(
            kind="answer-lost", executed=executed, count=1, endpoint="order.place", holder=worker.holder
        )
        answer = await worker.answer(Place(worker.order(price_ticks=await worker.far())))
        assert answer.outcome is Outcome.UNKNOWN
        truth = await worker.truth(in_flight=[answer.client_id])
        assert [o.client_id for o in truth.open_orders] == ([answer.client_id] if executed else [])
        assert (truth.problem, truth.resolved) == ("", [])

    @pytest.mark.parametrize(
        ("outcome", "ends"),
        [
            ("unknown-executed", Outcome.UNKNOWN),
            ("unknown-not-executed", Outcome.UNKNOWN),
            ("unavailable", Outcome.REFUSED),
            ("internal", Outcome.REFUSED),
            ("throttled", Outcome.REFUSED),
        ],
    )
    async def test_the_kinds_of_503(self, worker, simulator, outcome, ends):
        await simulator.fault(
            kind="unavailable", outcome=outcome, count=1, endpoint="order.place", holder=worker.holder
        )
        answer = await worker.answer(Place(worker.order(price_ticks=await worker.far())))
        assert answer.outcome is ends
        truth = await worker.truth()
        assert len(truth.open_orders) == (outcome == "unknown-executed")

    async def test_a_429_blocks_orders_and_cancels(self, worker, simulator):
        placed = await worker.rest_one()
        await simulator.fault(kind="rate-limit", status=429, count=1, endpoint="order.place", holder=worker.holder)
        far = await worker.far()
        assert (await worker.answer(Place(worker.order(price_ticks=far)))).refusal is Refusal.RATE_LIMIT
        await worker.until(lambda: worker.of(Budget)[-1].blocked_until_ns)
        held = await worker.answer(Place(worker.order(price_ticks=far)))
        assert (held.refusal, held.sent_ns) == (Refusal.RATE_LIMIT, 0)
        held = await worker.answer(Cancel(placed.client_id, placed.venue_id))
        assert (held.refusal, held.sent_ns) == (Refusal.RATE_LIMIT, 0)

    async def test_a_clock_that_jumped_is_measured_again(self, worker, simulator):
        await worker.wait_for(ClockSynced)
        await simulator.fault(kind="clock-skew", skewMs=30_000, durationSeconds=8)
        answer = await worker.answer(Place(worker.order(price_ticks=await worker.far())))
        assert answer.refusal is Refusal.CLOCK
        before = worker.of(ClockSynced)[0].offset_ns
        await worker.until(lambda: abs(worker.of(ClockSynced)[-1].offset_ns - before) > 20e9)
        await worker.rest_one()

    async def test_an_order_that_is_held_up_beyond_its_lease_is_refused_by_the_exchange(self, worker, simulator):
        await worker.wait_for(ClockSynced)
        await simulator.fault(kind="delay", beforeSeconds=0.8, count=1, endpoint="order.place", holder=worker.holder)
        deadline_ns = worker.clock.monotonic_ns() + 500_000_000
        order = worker.order(price_ticks=await worker.far(), deadline_ns=deadline_ns)
        answer = await worker.answer(Place(order))
        assert answer.outcome is not Outcome.CONFIRMED
        assert (await worker.truth()).open_orders == []

    async def test_an_amend_that_is_held_up_beyond_its_lease_is_refused_by_the_exchange(self, worker, simulator):
        placed = await worker.rest_one()
        before = (await worker.truth()).open_orders
        await simulator.fault(kind="delay", beforeSeconds=0.8, count=1, endpoint="order.modify", holder=worker.holder)
        amend = worker.order(
            request=Request.AMEND,
            price_ticks=placed.price_ticks,
            qty_steps=50,
            venue_id=placed.venue_id,
            deadline_ns=worker.clock.monotonic_ns() + 500_000_000,
        )
        answer = await worker.answer(Amend(amend))
        assert answer.outcome is not Outcome.CONFIRMED
        assert (await worker.truth()).open_orders == before

    async def test_a_cancel_all_that_is_held_up_beyond_its_lease_spares_the_orders_of_the_next(self, worker, simulator):
        await worker.wait_for(ClockSynced)
        await worker.rest_one()
        before = await worker.resting()
        assert len(before) == 1
        hold = {"kind": "delay", "beforeSeconds": 0.8, "count": 1, "endpoint": "orders.cancelAll"}
        await simulator.fault(holder=worker.holder, **hold)
        worker.venue.perform(CancelAll("stopping", worker.clock.monotonic_ns() + 500_000_000))
        await worker.until(lambda: worker.venue.quiescent)
        assert await worker.resting() == before

    async def test_after_the_deadline_no_amend_leaves(self, worker):
        placed = await worker.rest_one()
        amend = worker.order(
            request=Request.AMEND,
            price_ticks=placed.price_ticks,
            qty_steps=50,
            venue_id=placed.venue_id,
            deadline_ns=worker.clock.monotonic_ns() - 1,
        )
        answer = await worker.answer(Amend(amend))
        assert (answer.refusal, answer.sent_ns) == (Refusal.EXPIRED_DEADLINE, 0)

    async def test_lost_diffs_show_in_the_chain(self, worker, simulator):
        await worker.wait_for(Depth, 3)
        await simulator.fault(kind="gap", symbol="ETHUSDC", count=1, holder=worker.holder)
        await worker.until(
            lambda: any(later.prev_id != earlier.last_id for earlier, later in pairwise(worker.of(Depth)))
        )
        assert not worker.of(StreamClosed)
