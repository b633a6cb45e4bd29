"""Public REST: shapes, strings where the venue sends strings, parameters and their errors."""

import asyncio
from datetime import datetime
from decimal import Decimal

import pytest

MINUTE_MS = 60_000


async def test_the_time_is_the_venues(venue):
    status, body = await venue.get("/fapi/v1/time")
    assert status == 200
    assert abs(body["serverTime"] - venue.server.clock.now_ms()) < 5_000
    assert await venue.get("/fapi/v1/ping") == (200, {})


async def test_exchange_info_lists_symbols_with_their_filters(venue):
    _, info = await venue.get("/fapi/v1/exchangeInfo")
    assert (info["timezone"], info["futuresType"]) == ("UTC", "U_MARGINED")
    limits = {(row["rateLimitType"], row["interval"], row["intervalNum"]): row["limit"] for row in info["rateLimits"]}
    assert limits == {
        ("REQUEST_WEIGHT", "MINUTE", 1): 2400,
        ("ORDERS", "MINUTE", 1): 1200,
        ("ORDERS", "SECOND", 10): 300,
    }
    symbols = {row["symbol"]: row for row in info["symbols"]}
    eth = symbols["ETHUSDC"]
    assert (eth["status"], eth["contractType"], eth["marginAsset"]) == ("TRADING", "PERPETUAL", "USDC")
    assert (eth["pricePrecision"], eth["quantityPrecision"], eth["maxMoveOrderLimit"]) == (2, 3, 10_000)
    assert {row["filterType"]: row for row in eth["filters"]} == {
        "PRICE_FILTER": {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "100000", "tickSize": "0.01"},
        "LOT_SIZE": {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "8000", "stepSize": "0.001"},
        "MARKET_LOT_SIZE": {"filterType": "MARKET_LOT_SIZE", "minQty": "0.001", "maxQty": "700", "stepSize": "0.001"},
        "MAX_NUM_ORDERS": {"filterType": "MAX_NUM_ORDERS", "limit": 200},
        "MIN_NOTIONAL": {"filterType": "MIN_NOTIONAL", "notional": "20"},
        "PERCENT_PRICE": {
            "filterType": "PERCENT_PRICE",
            "multiplierUp": "1.0500",
            "multiplierDown": "0.9500",
            "multiplierDecimal": "4",
        },
        "POSITION_RISK_CONTROL": {"filterType": "POSITION_RISK_CONTROL", "positionControlSide": "NONE"},
    }
    tick = {row["filterType"]: row for row in symbols["BTCUSDT"]["filters"]}["PRICE_FILTER"]["tickSize"]
    assert tick == "0.10"


async def test_depth_is_best_first_padded_and_as_long_as_asked(venue):
    _, depth = await venue.get("/fapi/v1/depth", symbol="btcusdt", limit=5)
    assert depth["bids"][0] == ["61800.00", "1.000"]
    assert depth["asks"][0] == ["61800.10", "1.000"]
    assert [len(depth[side]) for side in ("bids", "asks")] == [5, 5]
    assert depth["bids"] == sorted(depth["bids"], key=lambda level: -Decimal(level[0]))
    assert {"lastUpdateId", "E", "T"} <= depth.keys()


@pytest.mark.parametrize(
    ("path", "params", "status", "code"),
    [
        pytest.param("depth", {"symbol": "BTCUSDT", "limit": 7}, 400, -4021, id="depth limit"),
        pytest.param("depth", {}, 400, -1102, id="depth without symbol"),
        pytest.param("depth", {"symbol": "NOPE"}, 400, -1121, id="unknown symbol"),
        pytest.param("depth", {"symbol": "BTCUSDT", "limit": "x"}, 400, -1100, id="limit that is no number"),
        pytest.param("trades", {"symbol": "BTCUSDT", "limit": 1001}, 400, -1130, id="too many trades"),
        pytest.param("aggTrades", {"symbol": "BTCUSDT", "startTime": 1}, 400, -4166, id="older than 48 h"),
        pytest.param("klines", {"symbol": "BTCUSDT", "interval": "2m"}, 400, -1120, id="interval"),
        pytest.param("klines", {"symbol": "BTCUSDT", "interval": "1m", "limit": 1501}, 400, -1130, id="kline limit"),
        pytest.param("klines", {"symbol": "BTCUSDT"}, 400, -1102, id="no interval"),
        pytest.param("premiumIndex", {"symbol": "NOPE"}, 400, -1121, id="premium of an unknown symbol"),
        pytest.param("ticker/price", {"symbol": "NOPE"}, 400, -1121, id="price of an unknown symbol"),
        pytest.param("nowhere", {}, 404, -5000, id="unknown path"),
        pytest.param("Depth", {"symbol": "BTCUSDT"}, 404, -5000, id="paths are case-sensitive"),
        pytest.param("order/", {}, 404, -5000, id="trailing slash"),
    ],
)
async def test_bad_questions_get_the_venues_error(venue, path, params, status, code):
    got, body = await venue.get(f"/fapi/v1/{path}", **params)
    assert (got, body["code"]) == (status, code)


async def test_trades_and_aggregates_tell_the_same_story(venue):
    venue.taker("BUY", "1.500")
    venue.taker("SELL", "0.250")
    _, trades = await venue.get("/fapi/v1/trades", symbol="BTCUSDT")
    assert [(row["price"], row["qty"], row["quoteQty"], row["isBuyerMaker"]) for row in trades] == [
        ("61800.10", "1.000", "61800.10000", False),
        ("61800.20", "0.500", "30900.10000", False),
        ("61800.00", "0.250", "15450.00000", True),
    ]
    assert [row["id"] for row in trades] == sorted({row["id"] for row in trades})
    # The last aggregate closes when its 100 ms are over.
    await asyncio.sleep(0.15)
    _, aggregates = await venue.get("/fapi/v1/aggTrades", symbol="BTCUSDT")
    assert [(row["p"], row["q"], row["nq"], row["f"], row["l"], row["m"]) for row in aggregates] == [
        (row["price"], row["qty"], row["qty"], row["id"], row["id"], row["isBuyerMaker"]) for row in trades
    ]
    _, rest = await venue.get("/fapi/v1/aggTrades", symbol="BTCUSDT", fromId=aggregates[1]["a"], limit=1)
    assert rest == [aggregates[1]]


async def test_prints_of_one_price_and_side_aggregate_for_100_ms(venue):
    for quantity in ("0.100", "0.200"):
        venue.taker("BUY", quantity)
    await asyncio.sleep(0.15)
    venue.taker("BUY", "0.300")
    await asyncio.sleep(0.15)
    _, aggregates = await venue.get("/fapi/v1/aggTrades", symbol="BTCUSDT")
    assert [row["q"] for row in aggregates] == ["0.300", "0.300"]
    assert aggregates[0]["l"] == aggregates[0]["f"] + 1


async def test_candles_carry_volume_and_taker_side_and_never_have_a_hole(venue):
    venue.taker("BUY", "0.100")
    venue.taker("SELL", "0.300")
    venue.server.clock.jump(180)
    venue.taker("SELL", "0.050")
    _, candles = await venue.get("/fapi/v1/klines", symbol="BTCUSDT", interval="1m", limit=30)
    assert len(candles) == 30
    assert [row[0] for row in candles] == [candles[0][0] + i * MINUTE_MS for i in range(30)]
    assert all(row[6] == row[0] + MINUTE_MS - 1 for row in candles)
    traded = candles[-4]
    assert traded[1:6] == ["61800.10", "61800.10", "61800.00", "61800.00", "0.400"]
    assert traded[7:12] == ["24720.01000", 2, "0.100", "6180.01000", "0"]
    assert [row[5] for row in candles[-3:]] == ["0.000", "0.000", "0.050"]
    # Before its first trade the market stood at its opening price.
    assert {row[4] for row in candles[:26]} == {"61800.00"}


async def test_longer_candles_are_the_sum_of_their_minutes(venue):
    venue.taker("BUY", "0.100")
    venue.server.clock.jump(61)
    venue.taker("BUY", "0.200")
    _, day = await venue.get("/fapi/v1/klines", symbol="BTCUSDT", interval="1d", limit=2)
    assert sum(Decimal(row[5]) for row in day) == Decimal("0.300")
    assert all(row[0] % 86_400_000 == 0 for row in day)


async def test_a_window_of_candles_starts_where_it_was_asked(venue):
    now = venue.server.clock.now_ms()
    start = now - now % MINUTE_MS - 10 * MINUTE_MS
    _, candles = await venue.get(
        "/fapi/v1/klines", symbol="BTCUSDT", interval="1m", startTime=start, endTime=start + 3 * MINUTE_MS
    )
    assert [row[0] for row in candles] == [start + i * MINUTE_MS for i in range(4)]


@pytest.mark.parametrize("path", ["klines", "markPriceKlines"])
@pytest.mark.parametrize(
    ("interval", "first"),
    [
        pytest.param("1d", "2019-09-25", id="the day"),
        pytest.param("1w", "2019-09-23", id="the week"),
        pytest.param("1M", "2019-09-01", id="the month"),
    ],
)
async def test_candles_begin_with_the_one_in_which_the_symbol_was_listed(venue, path, interval, first):
    _, info = await venue.get("/fapi/v1/exchangeInfo")
    (listed_ms,) = (row["onboardDate"] for row in info["symbols"] if row["symbol"] == "BTCUSDT")
    question = {"symbol": "BTCUSDT", "interval": interval}
    _, candles = await venue.get(f"/fapi/v1/{path}", **question, startTime=0, limit=1500)
    assert candles[0][0] == datetime.fromisoformat(f"{first}T00:00Z").timestamp() * 1_000
    assert candles[0][0] <= listed_ms <= candles[0][6]
    assert (await venue.get(f"/fapi/v1/{path}", **question, endTime=candles[0][0] - 1)) == (200, [])
    assert (await venue.get(f"/fapi/v1/{path}", **question, limit=1500))[1][0][0] >= candles[0][0]


@pytest.mark.parametrize("interval", ["1m", "1w", "1M"])
@pytest.mark.parametrize(
    "start", [1_795_269_168_694_000, 253_402_300_800_000, 2**63 - 1], ids=["µs", "10000", "64 bits"]
)
async def test_there_are_no_candles_in_the_future(venue, interval, start):
    for path in ("klines", "markPriceKlines"):
        assert await venue.get(f"/fapi/v1/{path}", symbol="BTCUSDT", interval=interval, startTime=start) == (200, [])


async def test_mark_candles_open_at_midnight(venue):
    venue.mark("61900")
    now = venue.server.clock.now_ms()
    midnight = now - now % 86_400_000
    _, candles = await venue.get(
        "/fapi/v1/markPriceKlines", symbol="BTCUSDT", interval="1m", startTime=midnight, limit=1
    )
    assert candles[0][:2] == [midnight, "61800.00000000"]
    _, last = await venue.get("/fapi/v1/markPriceKlines", symbol="BTCUSDT", interval="1m", limit=1)
    assert last[0][4] == "61900.00000000"


async def test_premium_index_tells_mark_funding_and_the_next_settlement(venue):
    venue.mark("61850")
    _, row = await venue.get("/fapi/v1/premiumIndex", symbol="BTCUSDT")
    assert (row["markPrice"], row["indexPrice"], row["lastFundingRate"]) == (
        "61850.00000000",
        "61850.00000000",
        "0.00010000",
    )
    assert row["nextFundingTime"] % (8 * 3_600_000) == 0
    _, rows = await venue.get("/fapi/v1/premiumIndex")
    assert [row["symbol"] for row in rows] == ["BTCUSDT", "ETHUSDC"]


async def test_funding_history_follows_settlements(venue, eventually):
    venue.server.clock.jump(8 * 3_600)
    await eventually(lambda: venue.server.exchange.listing("BTCUSDT").funding_history)
    _, rows = await venue.get("/fapi/v1/fundingRate", symbol="BTCUSDT")
    assert [(row["fundingRate"], row["rateType"]) for row in rows] == [("0.00010000", "Regular")]
    assert rows[0]["fundingTime"] % (8 * 3_600_000) == 0
    _, info = await venue.get("/fapi/v1/fundingInfo")
    assert {row["symbol"]: row["fundingIntervalHours"] for row in info} == {"BTCUSDT": 8, "ETHUSDC": 8}


async def test_tickers_are_an_object_for_one_symbol_and_a_list_for_all(venue):
    venue.taker("BUY", "0.100")
    for path in ("v1/ticker/bookTicker", "v1/ticker/price", "v2/ticker/price", "v1/ticker/24hr"):
        _, one = await venue.get(f"/fapi/{path}", symbol="BTCUSDT")
        _, every = await venue.get(f"/fapi/{path}")
        assert one["symbol"] == "BTCUSDT"
        assert [row["symbol"] for row in every] == ["BTCUSDT", "ETHUSDC"]
    _, book = await venue.get("/fapi/v1/ticker/bookTicker", symbol="BTCUSDT")
    assert (book["bidPrice"], book["bidQty"], book["askPrice"], book["askQty"]) == (
        "61800.00",
        "1.000",
        "61800.10",
        "0.900",
    )
    _, day = await venue.get("/fapi/v1/ticker/24hr", symbol="BTCUSDT")
    assert (day["lastPrice"], day["volume"], day["quoteVolume"], day["count"]) == (
        "61800.10",
        "0.100",
        "6180.01000",
        1,
    )
