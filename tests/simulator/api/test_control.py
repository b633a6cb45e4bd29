"""`/sim/…`: accounts, clock, market and book."""

import aiohttp
import pytest
from phoenix_simulator.exchange.book import QueueModel
from phoenix_simulator.exchange.symbols import BUILT_IN
from phoenix_simulator.market.synthetic import SyntheticSource
from phoenix_simulator.server import ServerConfig, run_server


async def test_an_account_gets_its_own_key_secret_and_balances(venue):
    status, body = await venue.control("POST", "/sim/account", {"label": "demo", "balances": {"USDC": "12.5"}})
    assert status == 200
    assert (len(body["apiKey"]), len(body["apiSecret"])) == (64, 64)
    _, books = await venue.control("GET", f"/sim/account/{body['apiKey']}")
    assert books == {"account": body["account"], "wallets": {"USDC": "12.50000000"}, "symbols": {}}


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        pytest.param("account", {"balances": {"USDT": "-1"}}, "USDT", id="negative balance"),
        pytest.param("account", {"balances": {"USDT": "0.000000001"}}, "finer", id="balance too fine"),
        pytest.param("account", {"balances": {"USDT": "x"}}, "balances", id="no number"),
        pytest.param("account", {"label": 5}, "label", id="label that is no text"),
        pytest.param("account", {"sameAs": "nobody"}, "API key", id="no such key"),
        pytest.param("clock", {}, "skewMs", id="no skew"),
        pytest.param("clock", {"skewMs": 99_999_999}, "skewMs", id="too much skew"),
        pytest.param("clock", {"rate": 5}, "rate", id="the rate is not a thing to set"),
        pytest.param("market", {"symbol": "NOPE"}, "NOPE", id="unknown symbol"),
        pytest.param("market", {"symbol": "BTCUSDT", "regime": "wild"}, "regime", id="unknown regime"),
        pytest.param("market", {"symbol": "BTCUSDT", "regime": "trend"}, "recording", id="no synthetic market"),
    ],
)
async def test_what_makes_no_sense_is_refused_with_one_sentence(venue, path, body, reason):
    status, answer = await venue.control("POST", f"/sim/{path}", body)
    assert status == 400
    assert reason in answer["error"]


async def test_unknown_keys_and_symbols_are_refused_when_asked_for(venue):
    assert (await venue.control("GET", "/sim/account/nobody"))[0] == 400
    assert (await venue.control("GET", "/sim/book?symbol=NOPE"))[0] == 400
    assert (await venue.control("GET", "/sim/book"))[0] == 400


async def test_the_book_shows_orders_and_what_is_ahead_of_them(venue, maker):
    await maker.place(price="61800.0", newClientOrderId="mine")
    _, book = await venue.control("GET", "/sim/book?symbol=btcusdt")
    assert book["bids"][0] == ["61800.00", "1.010"]
    order = book["orders"][0]
    assert (order["clientOrderId"], order["ahead"], order["leaves"]) == ("mine", "1.000", "0.010")
    venue.taker("SELL", "0.400")
    _, book = await venue.control("GET", "/sim/book?symbol=BTCUSDT")
    assert book["orders"][0]["ahead"] == "0.600"


async def test_the_clock_says_what_time_it_is_and_skews_the_venue(venue):
    _, state = await venue.control("POST", "/sim/clock", {"skewMs": 1_500})
    assert (state["skewMs"], state["rate"]) == (1500, 1.0)
    assert state["reportedMs"] - state["nowMs"] == 1500
    _, body = await venue.get("/fapi/v1/time")
    assert body["serverTime"] - venue.server.clock.now_ms() > 1_000
    assert (await venue.control("GET", "/sim/clock"))[1]["skewMs"] == 1500


async def test_a_synthetic_market_changes_its_regime():
    source = SyntheticSource(BUILT_IN["BTCUSDT"], seed=3)
    before = source._regime
    async with (
        run_server(ServerConfig(), sources={"BTCUSDT": source}) as (url, _),
        aiohttp.ClientSession() as http,
        http.post(f"{url}/sim/market", json={"symbol": "BTCUSDT", "regime": "jump"}) as response,
    ):
        assert response.status == 200
    assert source._regime is not before


@pytest.mark.parametrize("hours", [1, 4, 8])
async def test_the_funding_interval_is_changed_and_told(venue, hours):
    assert (await venue.control("POST", "/sim/market", {"symbol": "BTCUSDT", "fundingIntervalHours": hours}))[0] == 200
    rows = {row["symbol"]: row for row in (await venue.get("/fapi/v1/fundingInfo"))[1]}
    assert (rows["BTCUSDT"]["fundingIntervalHours"], rows["ETHUSDC"]["fundingIntervalHours"]) == (hours, 8)
    (_, index) = await venue.get("/fapi/v1/premiumIndex", symbol="BTCUSDT")
    ahead_ms = index["nextFundingTime"] - index["time"]
    assert 0 < ahead_ms <= hours * 3_600_000
    assert index["nextFundingTime"] % (hours * 3_600_000) == 0


async def test_an_interval_that_does_not_divide_the_day_is_refused(venue):
    status, body = await venue.control("POST", "/sim/market", {"symbol": "BTCUSDT", "fundingIntervalHours": 5})
    assert (status, "divisor of 24" in body["error"]) == (400, True)


async def test_the_queue_model_is_changed_of_orders_that_rest(venue, maker):
    await maker.place(price="61800", tif="GTC")
    assert (await venue.control("POST", "/sim/market", {"symbol": "BTCUSDT", "queueModel": "optimistic"}))[0] == 200
    book = venue.server.exchange.listing("BTCUSDT").book
    assert [queue.model for queue in book.bids.queues.values()] == [QueueModel.OPTIMISTIC]
    status, body = await venue.control("POST", "/sim/market", {"symbol": "BTCUSDT", "queueModel": "magic"})
    assert (status, "magic" in body["error"]) == (400, True)
