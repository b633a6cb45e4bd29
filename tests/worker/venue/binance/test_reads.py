import asyncio

import pytest
from aiohttp import web
from phoenix_worker.core.actions import FetchMinutes, FetchSnapshot, FetchTouch
from phoenix_worker.core.events import Minutes, Snapshot, TouchAnswer

TICKER, DEPTH, KLINES = "/fapi/v1/ticker/bookTicker", "/fapi/v1/depth", "/fapi/v1/klines"


async def test_the_snapshot_is_asked_for_whole(run_venue, exchange):
    running = await run_venue()
    running.venue.perform(FetchSnapshot())
    await running.until(lambda: running.of(Snapshot))
    assert exchange.asked("GET", DEPTH)[0].parameters == {"symbol": "ETHUSDC", "limit": "1000"}
    assert running.of(Snapshot)[0].bids == [(2512.34, 12.48)]


async def test_a_read_that_is_still_running_is_not_started_twice(run_venue, exchange):
    async def slow(*_: object) -> web.Response:
        await asyncio.sleep(0.1)
        return web.json_response({"lastUpdateId": 1, "bids": [], "asks": []})

    exchange.answers["GET", DEPTH] = slow
    running = await run_venue()
    for _ in range(5):
        running.venue.perform(FetchSnapshot())
    await running.until(lambda: running.of(Snapshot))
    assert len(exchange.asked("GET", DEPTH)) == 1
    running.venue.perform(FetchSnapshot())
    await running.until(lambda: len(running.of(Snapshot)) == 2)


@pytest.mark.parametrize("body", ["x", {"lastUpdateId": "x"}, {"lastUpdateId": 1, "bids": [["nan", "1"]], "asks": []}])
async def test_a_snapshot_that_cannot_be_read_is_counted_and_may_be_asked_again(run_venue, exchange, body):
    exchange.answers["GET", DEPTH] = lambda *_: body
    running = await run_venue()
    running.venue.perform(FetchSnapshot())
    await running.until(lambda: running.venue.statistics().decode_errors == 1)
    del exchange.answers["GET", DEPTH]
    running.venue.perform(FetchSnapshot())
    await running.until(lambda: running.of(Snapshot))


class TestTouch:
    async def ask(self, running) -> TouchAnswer:
        running.venue.perform(FetchTouch())
        await running.until(lambda: running.of(TouchAnswer))
        await asyncio.sleep(0.02)
        assert len(running.of(TouchAnswer)) == 1
        return running.of(TouchAnswer)[0]

    async def test_comes_from_the_ticker(self, run_venue):
        answer = await self.ask(await run_venue())
        assert (answer.bid, answer.ask) == (2512.34, 2512.35)
        assert answer.sent_ns <= answer.at

    async def test_the_ticker_is_asked_twice_then_the_other_endpoint(self, run_venue, exchange, refusal):
        exchange.answers["GET", TICKER] = lambda *_: refusal(503, 0, "Service Unavailable.")
        answer = await self.ask(await run_venue())
        assert (answer.bid, answer.ask) == (2512.34, 2512.35)
        assert len(exchange.asked("GET", TICKER)) == 2
        assert exchange.asked("GET", DEPTH)[0].parameters["limit"] == "5"

    async def test_nobody_answering_is_an_answer(self, run_venue, exchange):
        exchange.answers["GET", TICKER] = lambda *_: {"symbol": "ETHUSDC", "bidPrice": "0", "askPrice": "x"}
        exchange.answers["GET", DEPTH] = lambda *_: {"lastUpdateId": 1, "bids": [], "asks": []}
        answer = await self.ask(await run_venue())
        assert (answer.bid, answer.ask) == (None, None)


async def test_minutes_are_those_that_are_over(run_venue, exchange):
    now = exchange.now_ms()
    rows = [
        [t - 59_999, "1", "1", "1", str(10 + n), str(2 + n), t, "0", 1, str(n), "0", "0"]
        for n, t in enumerate((now - 70_000, now - 10_000, now + 50_000))
    ]
    exchange.answers["GET", KLINES] = lambda *_: rows
    running = await run_venue()
    running.venue.perform(FetchMinutes())
    await running.until(lambda: running.of(Minutes))
    (told,) = running.of(Minutes)
    assert (told.last_close_ms, told.closes) == (now - 10_000, [10.0, 11.0])
    assert (told.volumes, told.taker_buys) == ([2.0, 3.0], [0.0, 1.0])
    assert exchange.asked("GET", KLINES)[0].parameters == {"symbol": "ETHUSDC", "interval": "1m", "limit": "1440"}


async def test_minutes_wait_for_their_part_of_the_request_weight(run_venue, exchange):
    exchange.answers["GET", KLINES] = lambda *_: []
    running = await run_venue(rate=10.0)
    budget = running.venue.budget
    budget.share(orders=True)
    running.venue.perform(FetchMinutes())
    await asyncio.sleep(0.1)
    assert not exchange.asked("GET", KLINES)
    budget.granted(0, 12, running.in_one_second())
    await running.until(lambda: running.of(Minutes))


async def test_minutes_that_the_exchange_refuses_are_not_asked_again_and_again(run_venue, exchange, refusal):
    exchange.answers["GET", KLINES] = lambda *_: refusal(429, -1003, "Too many requests.", **{"Retry-After": "1"})
    running = await run_venue(rate=10.0)
    running.venue.perform(FetchMinutes())
    await asyncio.sleep(0.3)
    assert len(exchange.asked("GET", KLINES)) == 1
