import asyncio
import json
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phoenix_worker.core.actions import Reconnect
from phoenix_worker.core.events import (
    Canary,
    Depth,
    InstrumentSet,
    Mark,
    SocketSilent,
    StatusSet,
    Stream,
    StreamClosed,
    StreamOpened,
    Touch,
    Trade,
    VenueMaintenance,
)
from phoenix_worker.core.instrument import SymbolStatus
from phoenix_worker.venue.binance.streams import BookStream, MarketStream

DICE = Random(1)  # noqa: S311 - jitter, not a secret
PUBLIC, MARKET = "/public/stream", "/market/stream"


def compact(frame: object) -> bytearray:
    return bytearray(json.dumps(frame, separators=(",", ":")).encode())


def ticker(update_id: int) -> bytearray:
    data = {
        "e": "bookTicker",
        "u": update_id,
        "s": "ETHUSDC",
        "b": "1.1",
        "B": "2",
        "a": "1.2",
        "A": "3",
        "T": 1,
        "E": 1,
    }
    return compact({"stream": "ethusdc@bookTicker", "data": data})


def depth(last_id: int, prev_id: int) -> bytearray:
    data = {
        "e": "depthUpdate",
        "E": 1,
        "T": 1,
        "s": "ETHUSDC",
        "U": prev_id + 1,
        "u": last_id,
        "pu": prev_id,
        "b": [],
        "a": [],
    }
    return compact({"stream": "ethusdc@depth@100ms", "data": data})


def trade(trade_id: int) -> bytearray:
    data = {"e": "trade", "E": 1, "T": 1, "s": "ETHUSDC", "t": trade_id, "p": "1.1", "q": "1", "X": "MARKET", "m": True}
    return compact({"stream": "ethusdc@trade", "data": data})


def canary() -> bytearray:
    return compact({"stream": "btcusdt@depth5@500ms", "data": {"e": "depthUpdate"}})


def book_of(symbol: str, hand_clock, emit, on_bad_frame) -> BookStream:
    return BookStream(
        "ws://exchange", symbol, "100ms", emit, on_bad_frame, user_agent="x", clock=hand_clock, random=DICE
    )


@pytest.fixture
async def book(hand_clock):
    events, errors = [], []
    stream = book_of("ETHUSDC", hand_clock, events.append, errors.append)
    stream.events, stream.errors = events, errors
    return stream


async def test_documented_frames_become_their_events(book, frames, hand_clock):
    for row in frames("book"):
        book.events.clear()
        book.on_batch([compact(row["frame"])])
        told = [json.loads(msgspec.json.encode(e)) for e in book.events]
        wanted = [[row["event"][0], hand_clock.now_ns, *row["event"][1:]]] if row["event"] else []
        assert told == wanted, row["name"]
    assert not book.errors


async def test_of_one_read_only_the_newest_ticker_is_told_and_every_diff_and_trade(book):
    book.on_batch([ticker(1), depth(10, 9), ticker(2), trade(5), canary(), ticker(3), trade(6), depth(11, 10)])
    assert [type(e) for e in book.events] == [Depth, Trade, Canary, Touch, Trade, Depth]
    assert [e.update_id for e in book.events if isinstance(e, Touch)] == [3]
    assert (book.conflated, book.batch_last, book.batch_max, book.frames) == (2, 8, 8, 8)


async def test_tickers_of_different_reads_are_all_told(book):
    for update_id in (1, 2, 3):
        book.on_batch([ticker(update_id)])
    assert [e.update_id for e in book.events] == [1, 2, 3]
    assert book.conflated == 0


async def test_a_bad_frame_is_counted_and_the_others_of_its_read_are_told(book):
    book.on_batch(
        [depth(10, 9), bytearray(ticker(1).replace(b'"1.1"', b'"nan"')), bytearray(b"\xff\x00"), depth(11, 10)]
    )
    assert [e.last_id for e in book.events] == [10, 11]
    assert len(book.errors) == 2


async def test_a_conflated_bad_ticker_costs_nothing(book):
    book.on_batch([bytearray(ticker(1).replace(b'"1.1"', b'"nan"')), ticker(2)])
    assert [e.update_id for e in book.events] == [2]
    assert not book.errors


async def test_the_canary_is_told_apart_where_our_symbol_is_the_canary_s(hand_clock):
    events = []
    stream = book_of("BTCUSDT", hand_clock, events.append, events.append)
    data = {"e": "depthUpdate", "E": 1, "T": 1, "s": "BTCUSDT", "U": 1, "u": 2, "pu": 0, "b": [["1", "1"]], "a": []}
    stream.on_batch([compact({"stream": "btcusdt@depth5@500ms", "data": data})])
    stream.on_batch([compact({"stream": "btcusdt@depth@100ms", "data": data})])
    assert [type(e) for e in events] == [Canary, Depth]


async def test_a_symbol_beyond_ascii_is_encoded_in_the_address(hand_clock):
    stream = book_of("币安人生USDT", hand_clock, list.append, list.append)
    assert (await stream.url()).isascii()
    assert "%E5%B8%81" in await stream.url()


@given(st.lists(st.one_of(st.binary(max_size=120), st.sampled_from([bytes(ticker(1)), bytes(depth(2, 1)), b"{}"]))))
def test_no_batch_of_bytes_ever_raises(batch):
    class Still:
        rate = 1.0

        def monotonic_ns(self) -> int:
            return 1

    async def feed() -> None:
        events, errors = [], []
        stream = book_of("ETHUSDC", Still(), events.append, errors.append)
        stream.on_batch([bytearray(frame) for frame in batch])
        market = MarketStream(
            *("ws://x", "ETHUSDC", events.append, errors.append, events.append),
            user_agent="x",
            clock=Still(),  # type: ignore[arg-type]
            random=DICE,
        )
        market.on_batch([bytearray(frame) for frame in batch])

    asyncio.run(feed())


class TestSuccession:
    """What a successor has collected continues exactly what was delivered."""

    async def test_not_before_it_has_a_diff_that_joins(self, book):
        book.on_batch([depth(10, 9)])
        assert book.merge([], 0.0) is None
        assert book.merge([ticker(1), depth(9, 8)], 0.0) is None
        assert book.merge([depth(13, 12)], 0.0) is None

    async def test_from_the_diff_that_follows(self, book):
        book.on_batch([depth(10, 9), trade(5)])
        held = [depth(9, 8), trade(5), ticker(1), trade(6), depth(12, 10), trade(7), ticker(2)]
        assert book.merge(held, 0.0) == [trade(6), depth(12, 10), trade(7), ticker(2)]

    async def test_after_the_diff_that_both_have(self, book):
        book.on_batch([depth(10, 9), trade(7)])
        held = [depth(10, 9), trade(7), depth(12, 10), trade(8)]
        assert book.merge(held, 0.0) == [depth(12, 10), trade(8)]

    @given(st.integers(1, 40), st.integers(0, 40), st.integers(0, 40))
    def test_wherever_the_two_connections_stand_no_diff_and_no_trade_is_missed_or_told_twice(
        self, total, old_at, joined
    ):
        """`old_at`: how many diffs the old connection delivered; `joined`: with which the successor began."""

        class Still:
            rate = 1.0

            def monotonic_ns(self) -> int:
                return 1

        async def run() -> None:
            events = []
            stream = book_of("ETHUSDC", Still(), events.append, events.append)
            feed = [frame for n in range(1, total + 1) for frame in (depth(n, n - 1), trade(n))]
            delivered = 2 * min(old_at, total)
            stream.on_batch(feed[:delivered])
            held = feed[2 * joined :]
            merged = stream.merge(held, 0.0)
            if merged is None:
                return
            stream.on_batch(merged)
            assert [e.last_id for e in events if isinstance(e, Depth)] == list(range(1, total + 1))
            assert [e.trade_id for e in events if isinstance(e, Trade)] == list(range(1, total + 1))

        asyncio.run(run())


class TestOverSockets:
    async def test_streams_are_opened_once_each_with_the_holder_s_name(self, run_venue, exchange):
        running = await run_venue()
        assert {e.stream for e in running.of(StreamOpened)} == set(Stream)
        assert len(running.of(StreamOpened)) == 3
        socket = await exchange.socket(PUBLIC)
        assert socket.query == ("streams=ethusdc@depth@100ms/ethusdc@bookTicker/ethusdc@trade/btcusdt@depth5@500ms")
        assert {s.user_agent for s in exchange.sockets} == {"phoenix/test holder"}
        assert {r.user_agent for r in exchange.requests} == {"phoenix/test holder"}

    async def test_mark_prices_come_over_market(self, run_venue, exchange, frames):
        running = await run_venue()
        await (await exchange.socket(MARKET)).send(frames("market")[0]["frame"])
        await running.until(lambda: running.of(Mark))
        assert running.of(Mark)[0].funding_rate == 0.0001

    async def test_a_reconnect_as_asked_closes_in_a_later_turn_and_opens_again(self, run_venue, exchange):
        running = await run_venue()
        running.venue.perform(Reconnect(Stream.BOOK, 0, "price stale"))
        assert not running.of(StreamClosed)
        await running.until(lambda: running.of(StreamClosed))
        assert running.of(StreamClosed)[0].reason == "price stale"
        await exchange.socket(PUBLIC, count=2)
        await running.until(lambda: len(running.of(StreamOpened)) == 4)

    async def test_a_lost_connection_is_told_and_opened_again(self, run_venue, exchange):
        running = await run_venue(rate=10)
        (await exchange.socket(PUBLIC)).drop()
        await exchange.socket(PUBLIC, count=2)
        await running.until(lambda: len(running.of(StreamOpened)) == 4)
        assert [e.stream for e in running.of(StreamClosed)] == [Stream.BOOK]
        assert running.venue.statistics().reconnects["book"] == 1

    async def test_a_fresh_connection_that_stays_silent_is_told_until_it_speaks(self, run_venue, exchange):
        running = await run_venue(rate=20)
        await running.until(lambda: running.of(SocketSilent))
        assert running.of(SocketSilent)[0].silent
        await (await exchange.socket(PUBLIC)).send(bytes(canary()).decode())
        await running.until(lambda: len(running.of(SocketSilent)) == 2)
        assert not running.of(SocketSilent)[1].silent

    async def test_that_no_connection_can_be_opened_is_told_once_each_time_until_one_is(self, run_venue, exchange):
        running = await run_venue(rate=20)
        for time in (1, 2):
            socket = await exchange.socket(PUBLIC, count=time)
            await socket.send(bytes(canary()).decode())
            await running.until(lambda time=time: len(running.of(Canary)) == time)
            mark = len(running.of(SocketSilent))
            exchange.refuse_sockets = True
            socket.drop()
            await running.until(lambda mark=mark: len(running.of(SocketSilent)) > mark)
            failed = running.venue.statistics().connects_failed["book"]
            await running.until(lambda failed=failed: running.venue.statistics().connects_failed["book"] > failed)
            exchange.refuse_sockets = False
            await running.until(lambda mark=mark: len(running.of(SocketSilent)) > mark + 1)
            refused, opened = running.of(SocketSilent)[mark:][:2]
            assert [(told.silent, told.refused) for told in (refused, opened)] == [(False, True), (False, False)]

    async def test_a_shutdown_of_the_exchange_is_told_and_everybody_comes_back_later(self, run_venue, exchange):
        running = await run_venue(rate=100)
        await (await exchange.socket(PUBLIC)).send('{"e":"serverShutdown","E":1760000000000}')
        await running.until(lambda: running.of(VenueMaintenance))
        await running.until(lambda: len(running.of(VenueMaintenance)) == 2)
        assert [e.down for e in running.of(VenueMaintenance)] == [True, False]
        assert [e.stream for e in running.of(StreamClosed)] == [Stream.BOOK]

    async def test_a_changed_contract_counts_at_once_and_the_filters_are_read_anew(self, run_venue, exchange):
        running = await run_venue()
        asked = len(exchange.asked("GET", "/fapi/v1/exchangeInfo"))
        info = {"e": "contractInfo", "E": 1, "s": "ETHUSDC", "cs": "PRE_SETTLE"}
        exchange.answers["GET", "/fapi/v1/exchangeInfo"] = lambda *_: {"rateLimits": [], "symbols": []}
        await (await exchange.socket(MARKET)).send({"stream": "!contractInfo", "data": info})
        await running.until(lambda: running.of(StatusSet))
        assert running.of(StatusSet)[0].status is SymbolStatus.NOT_TRADING
        await exchange.until(lambda: len(exchange.asked("GET", "/fapi/v1/exchangeInfo")) > asked)
        assert not running.of(InstrumentSet)

    async def test_the_successor_continues_the_book_without_a_gap(self, run_venue, exchange):
        running = await run_venue()
        first = await exchange.socket(PUBLIC)
        await first.send(*(bytes(depth(n, n - 1)).decode() for n in (1, 2)))
        await running.until(lambda: len(running.of(Depth)) == 2)
        running.venue._parts.book.kept.succeed()
        second = await exchange.socket(PUBLIC, count=2)
        await second.send(*(bytes(depth(n, n - 1)).decode() for n in (2, 3, 4)))
        await running.until(lambda: len(running.of(Depth)) == 4)
        await second.send(bytes(depth(5, 4)).decode())
        await running.until(lambda: len(running.of(Depth)) == 5)
        assert [e.prev_id for e in running.of(Depth)] == [0, 1, 2, 3, 4]
        assert not running.of(StreamClosed)
        assert running.venue.statistics().successions == 1

    async def test_a_burst_of_tickers_is_conflated_on_its_way(self, run_venue, exchange):
        running = await run_venue()
        socket = await exchange.socket(PUBLIC)
        frames = [bytes(ticker(n)).decode() for n in range(5000)]
        await asyncio.gather(*(socket.send(frame) for frame in frames))
        await running.until(lambda: running.of(Touch) and running.of(Touch)[-1].update_id == 4999)
        told = [e.update_id for e in running.of(Touch)]
        statistics = running.venue.statistics()
        assert told == sorted(told)
        assert len(told) + statistics.conflated == 5000
        assert statistics.batch_max > 1
