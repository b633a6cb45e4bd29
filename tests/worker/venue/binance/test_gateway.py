import asyncio
from itertools import pairwise

import pytest
from msgspec.structs import replace
from phoenix_worker.core.actions import ArmDeadMan, Cancel, CancelAll, FetchTruth, Place
from phoenix_worker.core.events import Answer, Budget, DeadManArmed, Stream, Truth
from phoenix_worker.venue.binance.gateway import BinanceVenue

ALL, COUNTDOWN = "/fapi/v1/allOpenOrders", "/fapi/v1/countdownCancelAll"


async def test_starting_unprepared_is_a_mistake_of_the_caller(exchange, credentials, settings, machine_clock, dice):
    venue = BinanceVenue(
        exchange.endpoints,
        credentials,
        "ETHUSDC",
        settings,
        clock=machine_clock(),
        random=dice,
        user_agent="x",
    )
    with pytest.raises(RuntimeError, match="prepare"):
        await venue.start(list.append)
    with pytest.raises(RuntimeError, match="start"):
        venue.perform(CancelAll("x", 0))
    await venue.close()


class TestCancelAll:
    async def test_takes_everything_of_the_symbol(self, run_venue, exchange):
        running = await run_venue()
        running.venue.perform(CancelAll("stopping", running.in_seconds(60)))
        assert not running.venue.quiescent, "from the very moment that it is asked for"
        await exchange.until(lambda: exchange.asked("DELETE", ALL))
        assert exchange.asked("DELETE", ALL)[0].parameters["symbol"] == "ETHUSDC"
        await running.until(lambda: running.venue.quiescent)

    async def test_is_repeated_until_the_exchange_has_said_that_it_is_done(self, run_venue, exchange, refusal):
        answers = iter([refusal(503, 0, "Unknown error, please check your request or try again later.")])
        exchange.answers["DELETE", ALL] = lambda *_: next(answers, {"code": 200, "msg": "done"})
        running = await run_venue(rate=5)
        running.venue.perform(CancelAll("stopping", running.in_seconds(60)))
        await exchange.until(lambda: len(exchange.asked("DELETE", ALL)) == 2)
        await running.until(lambda: running.venue.quiescent)
        assert len(exchange.asked("DELETE", ALL)) == 2

    async def test_is_not_repeated_where_that_would_fail_the_same_way(self, run_venue, exchange, refusal):
        exchange.answers["DELETE", ALL] = lambda *_: refusal(401, -2015, "Invalid API-key")
        running = await run_venue(rate=5)
        running.venue.perform(CancelAll("stopping", running.in_seconds(60)))
        await running.until(lambda: exchange.asked("DELETE", ALL) and running.venue.quiescent)
        assert len(exchange.asked("DELETE", ALL)) == 1

    async def test_is_brought_to_its_end_by_a_worker_that_gives_up_and_closes_at_once(self, run_venue, exchange):
        async def slowly(*_):
            await asyncio.sleep(0.2)
            executed.append(True)
            return {"code": 200, "msg": "done"}

        executed: list[bool] = []
        exchange.answers["DELETE", ALL] = slowly
        running = await run_venue()
        running.venue.perform(CancelAll("the user stream is gone for good", running.in_seconds(60)))
        await running.venue.close()
        assert executed

    async def test_holds_up_a_closing_only_for_a_while(self, run_venue, exchange):
        exchange.answers["DELETE", ALL] = lambda *_: asyncio.sleep(60)
        running = await run_venue()
        running.venue.perform(CancelAll("the user stream is gone for good", running.in_seconds(60)))
        async with asyncio.timeout(10):
            await running.venue.close()

    async def test_is_worthless_to_the_exchange_once_another_may_lead(self, run_venue, exchange):
        running = await run_venue()
        running.venue.perform(CancelAll("stopping", running.in_seconds(1)))
        await exchange.until(lambda: exchange.asked("DELETE", ALL))
        assert int(exchange.asked("DELETE", ALL)[0].parameters["recvWindow"]) < 1000

    async def test_does_not_leave_a_process_that_wakes_after_its_lease(self, run_venue, exchange):
        """What rests by then may be the next leader's."""
        running = await run_venue()
        running.venue.perform(CancelAll("stopping", running.in_seconds(10)))
        running.clock.paused_ns += 11_000_000_000
        await running.until(lambda: running.venue.quiescent)
        assert not exchange.asked("DELETE", ALL)

    async def test_is_not_repeated_once_another_may_lead(self, run_venue, exchange, refusal):
        def fail(*_):
            running.clock.paused_ns += 11_000_000_000
            return refusal(503, 0, "Unknown error, please check your request or try again later.")

        exchange.answers["DELETE", ALL] = fail
        running = await run_venue()
        running.venue.perform(CancelAll("stopping", running.in_seconds(10)))
        await running.until(lambda: running.venue.quiescent)
        assert len(exchange.asked("DELETE", ALL)) == 1


class TestDeadMan:
    async def test_is_armed_from_the_moment_of_sending(self, run_venue, exchange):
        running = await run_venue()
        asked_ns = running.clock.monotonic_ns()
        running.venue.perform(ArmDeadMan(60_000, running.in_seconds(60)))
        await running.until(lambda: running.of(DeadManArmed))
        told = running.of(DeadManArmed)[0]
        assert asked_ns + 60_000_000_000 <= told.until_ns < told.at + 60_000_000_000
        assert exchange.asked("POST", COUNTDOWN)[0].parameters["countdownTime"] == "60000"

    async def test_failing_is_told(self, run_venue, exchange, refusal):
        exchange.answers["POST", COUNTDOWN] = lambda *_: refusal(503, 0, "?")
        running = await run_venue()
        running.venue.perform(ArmDeadMan(60_000, running.in_seconds(60)))
        await running.until(lambda: running.of(DeadManArmed))
        assert running.of(DeadManArmed)[0].until_ns == 0

    async def test_is_the_leader_s_alone(self, run_venue, exchange):
        running = await run_venue()
        running.venue.perform(ArmDeadMan(60_000, running.in_seconds(0)))
        await running.until(lambda: running.of(DeadManArmed))
        assert running.of(DeadManArmed)[0].until_ns == 0
        assert not exchange.asked("POST", COUNTDOWN)


async def test_the_budget_is_told_when_it_changes_and_now_and_then(run_venue, exchange, approve):
    """What was told longer ago than a window limits nothing in the core."""
    exchange.headers = {}
    running = await run_venue(rate=20)
    await running.until(lambda: running.of(Budget))
    running.venue.perform(Place(approve(deadline_ns=running.clock.monotonic_ns() + 20_000_000_000)))
    await running.until(lambda: len({(b.orders_10s, b.weight_1m) for b in running.of(Budget)}) >= 2)
    count = len(running.of(Budget))
    await running.until(lambda: len(running.of(Budget)) >= count + 3)
    for earlier, later in pairwise(running.of(Budget)):
        assert replace(earlier, at=later.at) != later or later.at - earlier.at > 5_000_000_000


async def test_nothing_is_told_from_within_perform(run_venue, exchange, approve):
    running = await run_venue()
    exchange.refuse_sockets = True
    before = len(running.events)
    for action in (
        Place(approve(deadline_ns=0)),
        Cancel("a", 0),
        CancelAll("x", running.in_seconds(60)),
        ArmDeadMan(60_000, running.in_seconds(60)),
        FetchTruth(1, 0, 0, []),
    ):
        running.venue.perform(action)
        assert len(running.events) == before
    await running.until(lambda: running.of(Truth) and len(running.of(Answer)) == 2)


async def test_statistics_tell_what_is_connected(run_venue):
    running = await run_venue()
    statistics = running.venue.statistics()
    assert statistics.connected == dict.fromkeys(Stream, True)
    assert statistics.orders_connected
    assert statistics.reconnects == {"book": 0, "market": 0, "user": 0, "orders": 0}
    await running.venue.close()
    assert not any(running.venue.statistics().connected.values())


async def test_closing_leaves_no_task_and_no_open_socket_and_the_listen_key(run_venue, exchange):
    running = await run_venue()
    await running.venue.close()
    await exchange.until(lambda: all(s.ws.closed for s in exchange.sockets))
    assert not running.venue._tasks
    assert not exchange.asked("DELETE", "/fapi/v1/listenKey")


async def test_a_mistake_of_ours_in_a_task_is_told_and_not_swallowed(run_venue, event_loop_errors):
    running = await run_venue()

    async def fail() -> None:
        raise ZeroDivisionError

    running.venue._spawn(fail(), "sums")
    await running.until(lambda: event_loop_errors)
    assert isinstance(event_loop_errors[0]["exception"], ZeroDivisionError)


@pytest.fixture
async def event_loop_errors():
    told = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(context))
    yield told
    loop.set_exception_handler(None)
