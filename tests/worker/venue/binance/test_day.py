"""The day as the exchange lists it (trading 5): the open of its first mark kline, its trades page by page, and what
fees in other assets are worth. Klines, user trades, premium index: Binance USDⓈ-M documentation.
"""

import time
from typing import Any

import pytest
from phoenix_worker.core.actions import FetchDay
from phoenix_worker.core.events import DayRead
from phoenix_worker.core.instrument import MONEY

KLINES, TRADES, INDEX = "/fapi/v1/markPriceKlines", "/fapi/v1/userTrades", "/fapi/v1/premiumIndex"
DAY_MS = 86_400_000


def kline(open_ms: int, price: str) -> list[object]:
    return [open_ms, price, price, price, price, "0", open_ms + 59_999, "0", 60, "0", "0", "0"]


def trade(trade_id: int, at_ms: int, side: str = "BUY", qty: str = "0.010", asset: str = "USDC") -> dict[str, object]:
    return {
        "symbol": "ETHUSDC",
        "id": trade_id,
        "orderId": 4,
        "side": side,
        "positionSide": "BOTH",
        "price": "2500.00",
        "qty": qty,
        "commission": "0.00100000",
        "commissionAsset": asset,
        "realizedPnl": "0",
        "maker": True,
        "buyer": side == "BUY",
        "time": at_ms,
    }


class Books:
    """`listed`: which other symbols have a mark price."""

    def __init__(self, exchange: Any, refusal: Any, now_ms: int) -> None:
        self.midnight = now_ms - now_ms % DAY_MS
        self.klines = [kline(self.midnight, "2480.50")]
        self.trades: list[dict[str, object]] = []
        self.listed: dict[str, str] = {}
        self.refusal = refusal
        self.asked: list[dict[str, str]] = []
        exchange.answers["GET", KLINES] = self._klines
        exchange.answers["GET", TRADES] = self._trades
        exchange.answers["GET", INDEX] = self._index

    def _klines(self, _: object, p: dict[str, str]) -> object:
        self.asked.append(p)
        return self.klines

    def _trades(self, _: object, p: dict[str, str]) -> object:
        rows = [t for t in self.trades if int(t["id"]) >= int(p.get("fromId", 0))]  # type: ignore[call-overload]
        if "startTime" in p:
            rows = [t for t in rows if int(p["startTime"]) <= int(t["time"]) <= int(p["endTime"])]  # type: ignore[call-overload]
        return rows[: int(p["limit"])]

    def _index(self, _: object, p: dict[str, str]) -> object:
        prices = {"ETHUSDC": "2500.00", **self.listed}
        if p["symbol"] not in prices:
            return self.refusal(400, -1121, "Invalid symbol.")
        return {"symbol": p["symbol"], "markPrice": prices[p["symbol"]]}


@pytest.fixture
def books(exchange, refusal) -> Books:
    return Books(exchange, refusal, int(time.time() * 1000))


async def read(running: Any, books: Books, until: int = 10_000, fee_assets: list[str] | None = None) -> DayRead:
    before = len(running.of(DayRead))
    running.venue.perform(FetchDay(7, books.midnight, until, fee_assets or []))
    await running.until(lambda: len(running.of(DayRead)) > before)
    answer: DayRead = running.of(DayRead)[before]
    assert answer.request_id == 7
    return answer


async def test_a_day_without_trades(run_venue, books):
    running = await run_venue()
    day = await read(running, books)
    assert (day.open_mark, day.steps, day.notional, day.fees, day.rates, day.problem) == (2480.5, 0, 0, {}, {}, "")
    assert books.asked[0] | {"symbol": "ETHUSDC", "interval": "1m", "limit": "1"} == books.asked[0]
    assert int(books.asked[0]["startTime"]) == books.midnight


async def test_its_trades_are_summed_up_to_the_one_that_was_asked_for(run_venue, books):
    running = await run_venue()
    at = books.midnight + 1
    books.trades = [trade(3, at), trade(4, at, "SELL", "0.004"), trade(5, at, "SELL", "0.900")]
    day = await read(running, books, until=4)
    assert (day.steps, day.notional, day.fees) == (6, 15 * MONEY, {"USDC": 200_000})


async def test_a_busy_day_is_read_to_its_last_page(run_venue, books):
    running = await run_venue()
    books.trades = [trade(n, books.midnight + n) for n in range(1, 2_502)]
    assert (await read(running, books)).steps == 2_501 * 10


@pytest.mark.parametrize(
    ("klines", "mark"), [([], 0.0), ([60_000], 0.0), ([0], 2480.5)], ids=["none yet", "listed later", "at midnight"]
)
async def test_the_first_mark_is_that_of_midnight_or_unknown(run_venue, books, klines, mark):
    running = await run_venue()
    books.klines = [kline(books.midnight + after_ms, "2480.50") for after_ms in klines]
    assert (await read(running, books)).open_mark == mark


@pytest.mark.parametrize(
    ("listed", "rates"),
    [
        ({"BNBUSDC": "601.00", "BNBUSDT": "600.00"}, {"BNB": 601.0}),
        ({"BNBUSDT": "600.00"}, {"BNB": 600.0}),
        ({}, {}),
    ],
    ids=["in the quote", "in dollars", "nowhere"],
)
async def test_fees_in_another_asset_have_its_mark_price(run_venue, books, listed, rates):
    running = await run_venue()
    books.trades = [trade(3, books.midnight + 1, asset="BNB")]
    books.listed = listed
    day = await read(running, books)
    assert (day.fees, day.rates) == ({"BNB": 100_000}, rates)
    assert (await read(running, books, until=1, fee_assets=["BNB"])).rates == rates, "paid on another day"


@pytest.mark.parametrize(
    ("path", "body"),
    [(KLINES, [["x"]]), (KLINES, "abc"), (TRADES, [{"symbol": "ETHUSDC"}]), (TRADES, None), (INDEX, {"symbol": "BNB"})],
    ids=["no kline", "no price", "no trade", "refused", "no mark price"],
)
async def test_what_cannot_be_read_is_a_problem_and_no_guess(run_venue, books, exchange, path, body):
    running = await run_venue()

    def answer(*_: object) -> object:
        if body is None:
            return books.refusal(400, -1102, "Mandatory parameter.")
        return [kline(books.midnight, body)] if isinstance(body, str) else body

    exchange.answers["GET", path] = answer
    assert (await read(running, books, fee_assets=["BNB"])).problem
