"""What anybody may ask: shapes, types and relations of the public answers, and what they cost."""

import itertools
import re
from decimal import Decimal
from typing import Any

import pytest
from venue_client import Client

documented = pytest.mark.documented
MONEY = re.compile(r"-?\d+(\.\d+)?")


def is_money(value: object) -> bool:
    """A decimal in a string, never a JSON number."""
    return isinstance(value, str) and MONEY.fullmatch(value) is not None


@documented("Market Data, Test Connectivity, Check Server Time")
async def test_the_venue_is_there_and_has_a_clock(client: Client) -> None:
    assert (await client.public("/fapi/v1/ping")).body == {}
    first = (await client.public("/fapi/v1/time")).body["serverTime"]
    assert (await client.public("/fapi/v1/time")).body["serverTime"] >= first


@documented("Market Data, Exchange Information")
async def test_exchange_information_states_limits_and_filters(client: Client) -> None:
    info = (await client.public("/fapi/v1/exchangeInfo")).body
    assert info["timezone"] == "UTC"
    kinds = {(row["rateLimitType"], row["interval"], row["intervalNum"]) for row in info["rateLimits"]}
    assert {("REQUEST_WEIGHT", "MINUTE", 1), ("ORDERS", "MINUTE", 1), ("ORDERS", "SECOND", 10)} <= kinds
    entry = next(row for row in info["symbols"] if row["symbol"] == client.symbol)
    assert (entry["status"], entry["contractType"]) == ("TRADING", "PERPETUAL")
    assert {"LIMIT", "MARKET"} <= set(entry["orderTypes"])
    assert {"GTC", "IOC", "FOK", "GTX", "GTD"} <= set(entry["timeInForce"])
    assert {row["filterType"] for row in entry["filters"]} >= {
        "PRICE_FILTER",
        "LOT_SIZE",
        "MARKET_LOT_SIZE",
        "MAX_NUM_ORDERS",
        "MIN_NOTIONAL",
        "PERCENT_PRICE",
    }


@documented("Market Data, Order Book")
@pytest.mark.parametrize("limit", [5, 10, 20, 50, 100, 500, 1000])
async def test_a_book_is_sorted_uncrossed_and_no_longer_than_asked(client: Client, limit: int) -> None:
    book = (await client.public("/fapi/v1/depth", symbol=client.symbol, limit=limit)).body
    bids, asks = ([Decimal(price) for price, _ in book[side]] for side in ("bids", "asks"))
    assert 0 < len(bids) <= limit
    assert 0 < len(asks) <= limit
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert bids[0] < asks[0]
    assert all(is_money(value) for level in book["bids"] + book["asks"] for value in level)
    assert all(isinstance(book[name], int) for name in ("lastUpdateId", "E", "T"))


FIELDS: dict[str, tuple[str, dict[str, object], dict[str, type]]] = {
    "trades": (
        "trades",
        {"limit": 5},
        {"id": int, "price": str, "qty": str, "quoteQty": str, "time": int, "isBuyerMaker": bool},
    ),
    "aggregate trades": (
        "aggTrades",
        {"limit": 5},
        {"a": int, "p": str, "q": str, "f": int, "l": int, "T": int, "m": bool},
    ),
    "mark price": (
        "premiumIndex",
        {},
        {
            "symbol": str,
            "markPrice": str,
            "indexPrice": str,
            "lastFundingRate": str,
            "nextFundingTime": int,
            "time": int,
        },
    ),
    "touch": (
        "ticker/bookTicker",
        {},
        {"symbol": str, "bidPrice": str, "bidQty": str, "askPrice": str, "askQty": str, "time": int},
    ),
    "last price": ("ticker/price", {}, {"symbol": str, "price": str, "time": int}),
    "the day": (
        "ticker/24hr",
        {},
        {"priceChange": str, "lastPrice": str, "volume": str, "openTime": int, "firstId": int, "count": int},
    ),
}


@documented("Market Data")
@pytest.mark.parametrize("case", FIELDS.values(), ids=FIELDS)
async def test_answers_have_the_fields_and_types_of_the_documents(
    client: Client, case: tuple[str, dict[str, object], dict[str, type]]
) -> None:
    path, params, fields = case
    if path.endswith("rades"):
        await client.buy()
    body = (await client.public(f"/fapi/v1/{path}", symbol=client.symbol, **params)).body
    rows: list[dict[str, Any]] = body if isinstance(body, list) else [body]
    assert rows
    for row in rows:
        assert {name: type(row.get(name)) for name in fields} == fields


@documented("Market Data, Mark Price; Symbol Price Ticker; Symbol Order Book Ticker")
@pytest.mark.parametrize("path", ["premiumIndex", "ticker/price", "ticker/bookTicker", "ticker/24hr"])
async def test_without_a_symbol_all_are_told(client: Client, path: str) -> None:
    rows = (await client.public(f"/fapi/v1/{path}")).body
    assert isinstance(rows, list)
    assert client.symbol in {row["symbol"] for row in rows}


@documented("Market Data, Kline/Candlestick Data")
@pytest.mark.parametrize("path", ["klines", "markPriceKlines"])
async def test_candles_are_rows_of_twelve_that_follow_each_other(client: Client, path: str) -> None:
    rows = (await client.public(f"/fapi/v1/{path}", symbol=client.symbol, interval="1m", limit=5)).body
    assert len(rows) == 5
    for row in rows:
        assert [type(value) for value in row] == [int, str, str, str, str, str, int, str, int, str, str, str]
        opened, high, low, closed = (Decimal(row[index]) for index in (1, 2, 3, 4))
        assert low <= min(opened, closed) <= max(opened, closed) <= high
        assert row[6] == row[0] + 59_999
    assert [later[0] - earlier[0] for earlier, later in itertools.pairwise(rows)] == [60_000] * 4


@documented("Market Data, Get Funding Rate Info, Get Funding Rate History")
async def test_funding_is_told(client: Client) -> None:
    for row in (await client.public("/fapi/v1/fundingInfo")).body:
        assert isinstance(row["fundingIntervalHours"], int)
        assert is_money(row["adjustedFundingRateCap"])
    for row in (await client.public("/fapi/v1/fundingRate", symbol=client.symbol)).body:
        assert isinstance(row["fundingTime"], int)
        assert is_money(row["fundingRate"])


@documented("General Info, IP Limits: X-MBX-USED-WEIGHT")
@pytest.mark.parametrize(
    ("path", "params", "weight"),
    [
        pytest.param("time", {}, 1, id="the time"),
        pytest.param("depth", {"limit": 50}, 2, id="50 levels"),
        pytest.param("depth", {"limit": 100}, 5, id="100 levels"),
        pytest.param("depth", {"limit": 500}, 10, id="500 levels"),
        pytest.param("depth", {"limit": 1000}, 20, id="1000 levels"),
        pytest.param("klines", {"interval": "1m", "limit": 50}, 1, id="50 candles"),
        pytest.param("klines", {"interval": "1m", "limit": 1000}, 5, id="1000 candles"),
        pytest.param("premiumIndex", {}, 1, id="a mark price"),
        pytest.param("trades", {}, 5, id="trades"),
        pytest.param("aggTrades", {}, 20, id="aggregate trades"),
    ],
)
async def test_weight_is_what_the_documents_say(
    client: Client, path: str, params: dict[str, object], weight: int
) -> None:
    """Counted from one answer's header to the next one's; a minute that begins in between is given another try."""
    for _ in range(2):
        before = int((await client.public("/fapi/v1/ping")).headers["X-MBX-USED-WEIGHT-1M"])
        answer = await client.public(f"/fapi/v1/{path}", symbol=client.symbol, **params)
        used = int(answer.headers["X-MBX-USED-WEIGHT-1M"])
        if used > before:
            assert used - before == weight
            return
    pytest.fail("the weight never grew")


@documented("General Info, General API Information: responses are JSON")
@pytest.mark.parametrize("path", ["/fapi/v1/ping", "/fapi/v1/depth", "/fapi/v1/nothing"])
async def test_every_answer_is_json(client: Client, path: str) -> None:
    answer = await client.public(path)
    assert answer.headers["Content-Type"].startswith("application/json")


@documented("Market Data, Get Funding Rate History, Get Funding Rate Info: a limit of their own")
@pytest.mark.parametrize("path", ["fundingRate", "fundingInfo"])
async def test_funding_costs_no_weight(client: Client, path: str) -> None:
    before = int((await client.public("/fapi/v1/ping")).headers["X-MBX-USED-WEIGHT-1M"])
    answer = await client.public(f"/fapi/v1/{path}")
    assert "X-MBX-USED-WEIGHT-1M" not in answer.headers
    after = int((await client.public("/fapi/v1/ping")).headers["X-MBX-USED-WEIGHT-1M"])
    assert after in {before + 1, 1}


@documented("Market Data, Old Trades Lookup (MARKET_DATA)")
async def test_old_trades_want_a_key_and_no_signature(client: Client) -> None:
    await client.buy()
    answer = await client.keyed("GET", "/fapi/v1/historicalTrades", symbol=client.symbol, limit=5)
    assert answer.status == 200
    assert len(answer.body) > 0
    assert (await client.public("/fapi/v1/historicalTrades", symbol=client.symbol)).error == (401, -2014)


@documented("Market Data: symbols are taken in either case")
async def test_a_symbol_may_be_in_lower_case(client: Client) -> None:
    answer = await client.public("/fapi/v1/ticker/price", symbol=client.symbol.lower())
    assert (answer.status, answer.body["symbol"]) == (200, client.symbol)
