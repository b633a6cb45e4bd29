"""Paper trading: one exchange takes its market from another, over real sockets, as it would from the venue."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import msgspec
import pytest
from phoenix_simulator.clock import Clock
from phoenix_simulator.exchange.symbols import BUILT_IN
from phoenix_simulator.market.synthetic import SyntheticSource
from phoenix_simulator.market.upstream.questions import (
    Endpoints,
    Questions,
    UpstreamError,
    UpstreamRestartedError,
)
from phoenix_simulator.market.upstream.source import Patience, UpstreamSource, connect
from phoenix_simulator.server import ServerConfig, run_server

BTC = BUILT_IN["BTCUSDT"]
QUICK = Patience(book_silence_s=2.0, silence_s=5.0, first_pause_s=0.02, longest_pause_s=0.05, handover_s=5.0)


@pytest.fixture
def paper(venues):
    """Opens an exchange whose market is `theirs`, and waits until it is in step."""

    @asynccontextmanager
    async def open_paper(theirs, patience=QUICK, symbols=("BTCUSDT",)):
        async with aiohttp.ClientSession(headers={"User-Agent": "paper"}) as http:
            sources = await connect(http, theirs.url, symbols, patience)
            async with venues(sources=sources) as ours:
                await until(lambda: live(ours).in_step)
                yield ours

    return open_paper


def live(ours):
    return ours.server.player.report().live[0]


async def until(holds):
    async with asyncio.timeout(15):
        while not holds():  # noqa: ASYNC110 - what is waited for knows nothing of events
            await asyncio.sleep(0.005)


def public_book(venue):
    snapshot = venue.server.exchange.depth("BTCUSDT", 1_000)
    return snapshot.last_update_id, snapshot.bids, snapshot.asks


async def same_books(ours, theirs):
    await until(lambda: public_book(ours) == public_book(theirs))


def first_order(venue):
    [account] = venue.server.exchange.accounts.values()
    return next(iter(venue.server.exchange.open_orders(account.account_id)), None)


# ---- what passes ------------------------------------------------------------------------------------------------


async def test_book_touch_trades_and_marks_are_the_upstreams_with_its_ids(venues, paper):
    async with venues() as theirs, paper(theirs) as ours:
        names = "btcusdt@bookTicker/btcusdt@trade"
        mine = await ours.stream(f"/public/stream?streams={names}")
        origin = await theirs.stream(f"/public/stream?streams={names}")
        theirs.taker("BUY", "0.300")
        theirs.level("BUY", "61800.0", "7.000")
        theirs.mark("61805.50")
        for _ in range(3):
            said, told = await origin.next(), await mine.next()
            for message in (said, told):
                del message["data"]["E"], message["data"]["T"]
            assert told == said
        await same_books(ours, theirs)
        await until(lambda: ours.server.exchange.listing("BTCUSDT").mark_e8 == 6_180_550_000_000)


async def test_our_order_fills_by_its_place_in_the_upstreams_queue_and_is_seen_by_nobody_there(venues, paper):
    async with venues() as theirs, paper(theirs) as ours:
        maker = await ours.account()
        assert (await maker.place(price="61800.0", quantity="0.500"))[0] == 200
        theirs.taker("SELL", "0.900")
        await until(lambda: ours.server.exchange.listing("BTCUSDT").last_print_id)
        assert first_order(ours).executed_steps == 0, "a whole bitcoin stood ahead of it"
        theirs.taker("SELL", "0.700", limit="61799.0")
        await until(lambda: first_order(ours) is None)
        assert (await maker.books())["symbols"]["BTCUSDT"]["position"] == "0.5"
        assert not theirs.server.exchange.accounts
        await same_books(ours, theirs)


async def test_what_the_upstream_lists_is_listed_here_as_it_is_there(venues):
    async with venues(symbols=("BTCUSDT", "ETHUSDC", "BTCUSDC")) as theirs:
        specs = await Questions(theirs.http, theirs.url).specs(("BTCUSDT", "ETHUSDC", "BTCUSDC"))
    assert specs == {symbol: BUILT_IN[symbol] for symbol in specs}


async def test_a_symbol_that_is_unknown_here_trades_by_the_upstreams_filters(venues):
    other = msgspec.structs.replace(BTC, symbol="NEWUSDT", base_asset="NEW", min_notional_e8=700_000_000)

    class NewSource(SyntheticSource):
        symbol = "NEWUSDT"

    async with venues(sources={"BTCUSDT": SyntheticSource(BTC, 1)}) as theirs:
        exchange = theirs.server.exchange
        exchange.list_symbol(other, SyntheticSource(BTC, 2).start(), 0)
        found = (await Questions(theirs.http, theirs.url).specs(("NEWUSDT",)))["NEWUSDT"]
    like = BUILT_IN["SOLUSDT"]
    assert (found.symbol, found.base_asset, found.min_notional_e8) == ("NEWUSDT", "NEW", 700_000_000)
    assert (found.tick_e8, found.max_steps) == (other.tick_e8, other.max_steps)
    assert (found.brackets, found.taker_rate_e8) == (like.brackets, like.taker_rate_e8)


# ---- what goes wrong --------------------------------------------------------------------------------------------


async def test_a_gap_makes_the_market_blind_until_a_snapshot_joins_its_frames(venues, paper):
    async with venues() as theirs, paper(theirs) as ours:
        maker = await ours.account()
        assert (await maker.place())[0] == 200
        reject = await theirs.fault(kind="reject", endpoint="depth", code=-1000, status=503)
        await theirs.fault(kind="gap", stream="depth@100ms", holder="paper")
        theirs.level("BUY", "61799.5", "7.000")
        await asyncio.sleep(0.15)
        theirs.level("BUY", "61799.4", "8.000")
        await until(lambda: not live(ours).in_step)
        assert "frames are missing" in live(ours).trouble or "503" in live(ours).trouble
        status, body = await maker.place(price="61790.0")
        assert (status, body["code"]) == (503, -1016)
        assert (await maker.ask("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT"))[0] == 200
        await theirs.control("DELETE", f"/sim/fault?id={reject}")
        await until(lambda: live(ours).in_step)
        await same_books(ours, theirs)
        assert (await maker.place(price="61790.0"))[0] == 200
        assert (live(ours).connections, live(ours).resynchronised) == (1, 2)


async def test_the_public_keeps_its_book_through_a_resynchronisation_without_a_gap_of_its_own(venues, paper):
    """What was lost arrives as one frame that continues the one before."""
    async with venues() as theirs, paper(theirs) as ours:
        stream = await ours.stream("/public/ws/btcusdt@depth@0ms")
        await theirs.fault(kind="gap", stream="depth@100ms", holder="paper")
        for price in ("61799.5", "61799.4", "61799.3"):
            theirs.level("BUY", price, "7.000")
            await asyncio.sleep(0.12)
        await same_books(ours, theirs)
        last, levels = None, {}
        while last != theirs.server.exchange.listing("BTCUSDT").last_update_id:
            frame = await stream.next()
            assert last in {None, frame["pu"]}
            last = frame["u"]
            levels |= dict(frame["b"])
        assert levels == {"61799.50": "7.000", "61799.40": "7.000", "61799.30": "7.000"}


async def test_a_cut_connection_is_opened_again(venues, paper):
    async with venues() as theirs, paper(theirs) as ours:
        await theirs.fault(kind="disconnect", holder="paper")
        await until(lambda: live(ours).connections == 2 and live(ours).in_step)
        theirs.level("SELL", "61800.5", "9.000")
        await same_books(ours, theirs)


async def test_an_upstream_that_refuses_is_asked_again_until_it_does_not(venues, paper):
    async with venues() as theirs, paper(theirs) as ours:
        await theirs.fault(kind="refuse", holder="paper", count=4)
        await theirs.fault(kind="disconnect", holder="paper")
        theirs.taker("BUY", "1.500")
        await until(lambda: live(ours).connections >= 4 and live(ours).in_step)
        await same_books(ours, theirs)


@pytest.mark.parametrize(
    ("stream", "route", "patience", "words"),
    [
        ("depth@*", "public", msgspec.structs.replace(QUICK, book_silence_s=0.5), "silent"),
        ("markPrice*", "market", msgspec.structs.replace(QUICK, silence_s=1.5), "marks"),
    ],
    ids=["book", "marks"],
)
async def test_silence_is_not_trusted(venues, paper, stream, route, patience, words):
    async with venues() as theirs, paper(theirs, patience) as ours:
        await theirs.fault(kind="silence", stream=stream, route=route, holder="paper", durationSeconds=4)
        theirs.level("BUY", "61799.5", "7.000")
        await until(lambda: words in live(ours).trouble)
        await until(lambda: live(ours).in_step)
        await same_books(ours, theirs)


async def test_a_book_that_does_not_move_is_not_silent(venues, paper):
    async with venues() as theirs, paper(theirs, msgspec.structs.replace(QUICK, book_silence_s=0.4)) as ours:
        await asyncio.sleep(2.5)
        assert (live(ours).connections, live(ours).in_step) == (1, True)


async def test_on_a_book_that_nobody_vouches_for_any_more_nothing_is_bought(venues, paper, caplog):
    """The upstream says nothing and does not hang up: the book would stand still, and fill."""
    frozen = msgspec.structs.replace(QUICK, book_silence_s=0.4, silence_s=60.0)
    async with venues() as theirs, paper(theirs, frozen) as ours:
        taker = await ours.account()
        await theirs.fault(kind="outage", holder="paper")
        await until(lambda: not live(ours).in_step)
        assert "silent" in live(ours).trouble or "no stream" in live(ours).trouble
        status, body = await taker.market()
        assert (status, body["code"]) == (503, -1016)
    assert "BTCUSDT: the upstream's book is not known, orders are refused: the book's stream is silent" in caplog.text


async def test_lines_on_which_the_book_never_moves_are_opened_ever_more_slowly(venues, paper, monkeypatch):
    """Each is in step by its snapshot at first, and costs a snapshot."""
    paused = []
    monkeypatch.setattr(UpstreamSource, "_pause_s", lambda _, failures, *__: paused.append(failures) or 0.01)
    async with venues() as theirs, paper(theirs, msgspec.structs.replace(QUICK, book_silence_s=0.2)) as ours:
        await theirs.fault(kind="silence", stream="depth@*", holder="paper")
        paused.clear()
        async with asyncio.timeout(15):
            while live(ours).connections < 4:
                theirs.taker("SELL", "0.001")
                await asyncio.sleep(0.02)
        assert paused[:3] == [1, 2, 3]


async def test_an_upstream_that_has_begun_anew_with_lower_ids_ends_the_exchange(caplog):
    """What rests here was placed against a book that is gone, and no frame of the new one would ever follow."""

    def begin(port):
        config = ServerConfig(port=port, symbols=("BTCUSDT",))
        return run_server(config, sources={"BTCUSDT": SyntheticSource(BTC, 1)})

    async def trade_through_a_restart():
        async with AsyncExitStack() as stack:
            first = await stack.enter_async_context(AsyncExitStack())
            url, theirs = await first.enter_async_context(begin(0))
            theirs.exchange.listing("BTCUSDT").last_update_id += 10_000_000
            http = await stack.enter_async_context(aiohttp.ClientSession(headers={"User-Agent": "paper"}))
            patience = msgspec.structs.replace(QUICK, silence_s=1.5)
            sources = await connect(http, url, ("BTCUSDT",), patience)
            _, ours = await stack.enter_async_context(run_server(ServerConfig(), sources=sources))
            await until(lambda: ours.player.report().live[0].in_step)
            await first.aclose()
            await stack.enter_async_context(begin(int(url.rpartition(":")[2])))
            await asyncio.wait_for(ours.stop.wait(), 20)

    with pytest.raises(ExceptionGroup) as failure:
        await trade_through_a_restart()
    assert failure.group_contains(UpstreamRestartedError, match="new life: the upstream's book is at")
    assert "orders are refused: the upstream's book is at" in caplog.text


async def test_before_its_life_ends_a_connection_is_replaced_without_a_loss_or_a_repetition(venues, paper):
    source = SyntheticSource(BTC, 3)
    async with (
        venues(sources={"BTCUSDT": source}, clock=Clock(rate=4.0)) as theirs,
        paper(theirs, msgspec.structs.replace(QUICK, life_s=0.4)) as ours,
    ):
        stream = await ours.stream("/public/stream?streams=btcusdt@trade/btcusdt@depth@0ms")
        await until(lambda: live(ours).connections >= 4)
        told = []
        async with asyncio.timeout(10):
            while sum(message["e"] == "trade" for message in told) < 300:
                told.append((await stream.next())["data"])
        trades = [message["t"] for message in told if message["e"] == "trade"]
        assert trades == list(range(trades[0], trades[0] + len(trades)))
        frames = [message for message in told if message["e"] == "depthUpdate"]
        assert [frame["pu"] for frame in frames[1:]] == [frame["u"] for frame in frames[:-1]]
        assert (live(ours).in_step, live(ours).resynchronised) == (True, 1)


async def test_an_announced_shutdown_is_forestalled(venues, paper):
    async with venues() as theirs, paper(theirs) as ours:
        await theirs.fault(kind="server-shutdown", holder="paper", graceSeconds=3)
        async with asyncio.timeout(10):
            while live(ours).connections < 2:
                theirs.level("BUY", "61799.5", "7.000")
                await asyncio.sleep(0.12)
                theirs.level("BUY", "61799.5", "8.000")
                await asyncio.sleep(0.12)
        await same_books(ours, theirs)
        assert (live(ours).in_step, live(ours).resynchronised) == (True, 1)


async def test_a_market_of_ours_that_fails_is_not_taken_for_the_upstreams_fault(venues, paper):
    async def trade_on_a_broken_market():
        async with venues() as theirs, paper(theirs) as ours:
            ours.server.exchange.listeners.append(lambda _: 1 // 0)
            theirs.taker("BUY", "0.010")
            await asyncio.wait_for(ours.server.stop.wait(), 10)

    with pytest.raises(ExceptionGroup) as failure:
        await trade_on_a_broken_market()
    assert failure.group_contains(ZeroDivisionError)


# ---- what cannot be begun ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "words"),
    [
        pytest.param("fapi.binance.com", "no base URL", id="no scheme"),
        pytest.param("wss://fstream.binance.com", "no base URL", id="streams"),
        pytest.param("http://127.0.0.1:9", "cannot be reached", id="nobody there"),
    ],
)
async def test_an_upstream_that_is_none_is_refused(url, words):
    async with aiohttp.ClientSession() as http:
        with pytest.raises(UpstreamError, match=words):
            await connect(http, url, ("BTCUSDT",))


async def test_a_symbol_that_the_upstream_does_not_list_is_refused_by_name(venues):
    async with venues() as theirs:
        with pytest.raises(UpstreamError, match="no perpetual NOPEUSDT"):
            await connect(theirs.http, theirs.url, ("BTCUSDT", "NOPEUSDT"))


async def test_something_that_is_no_venue_is_refused(venues):
    async with venues() as theirs:
        with pytest.raises(UpstreamError, match="HTTP 404"):
            await connect(theirs.http, f"{theirs.url}/elsewhere", ("BTCUSDT",))


@pytest.mark.parametrize(
    ("url", "streams"),
    [
        ("https://fapi.binance.com", "wss://fstream.binance.com"),
        ("https://demo-fapi.binance.com/", "wss://demo-fstream.binance.com"),
        ("http://127.0.0.1:9000", "ws://127.0.0.1:9000"),
    ],
    ids=["venue", "demo", "another simulator"],
)
def test_streams_are_where_the_venue_has_them(url, streams):
    assert Endpoints.of(url) == Endpoints(url.rstrip("/"), streams)
