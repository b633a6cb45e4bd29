"""Public questions: the venue, its books, trades, candles, marks and funding."""

from collections.abc import Callable
from itertools import islice
from typing import Final

from phoenix_simulator.api import intervals
from phoenix_simulator.api.gateway import Call
from phoenix_simulator.api.limits import LimitSettings
from phoenix_simulator.api.order_requests import optional_symbol, required_symbol
from phoenix_simulator.api.params import Params, invalid, parse_integer
from phoenix_simulator.api.render import market
from phoenix_simulator.api.render.numbers import SymbolText
from phoenix_simulator.api.tape import Candle, Minutes, Tape
from phoenix_simulator.audit.books import BookWatch
from phoenix_simulator.clock import Clock
from phoenix_simulator.exchange import errors
from phoenix_simulator.exchange.errors import VenueError
from phoenix_simulator.exchange.exchange import Exchange

Json = dict[str, object]

_DEPTH_WEIGHTS: Final = {5: 2, 10: 2, 20: 2, 50: 2, 100: 5, 500: 10, 1000: 20}
_DEFAULT_DEPTH: Final = 500
_RETAIL_DEPTH: Final = 1_000
"""The one limit of rpiDepth."""
_HISTORY_MS: Final = 48 * 3_600_000
"""Aggregate trades are listed from the last 48 hours only."""


def depth_weight(params: Params) -> int:
    limit = parse_integer(params.peek("limit"))
    return _DEPTH_WEIGHTS.get(_DEFAULT_DEPTH if limit is None else limit, 2)


def kline_weight(params: Params) -> int:
    """By `limit`, at the edges measured on the venue."""
    limit = parse_integer(params.peek("limit"))
    if limit is None:
        limit = 500 + 1
    return 1 if limit <= 100 else 2 if limit <= 500 else 5 if limit <= 1000 else 10


def by_symbol(with_symbol: int, without: int) -> Callable[[Params], int]:
    """The weight of questions that cost more for all symbols."""

    def weight(params: Params) -> int:
        return with_symbol if "symbol" in params else without

    return weight


class MarketData:
    """`tapes` and `texts` hold every listed symbol."""

    def __init__(
        self,
        exchange: Exchange,
        clock: Clock,
        tapes: dict[str, Tape],
        texts: dict[str, SymbolText],
        books: BookWatch,
        limits: LimitSettings,
    ) -> None:
        self._exchange = exchange
        self._clock = clock
        self._tapes = tapes
        self._texts = texts
        self._books = books
        self._limits = limits

    # ---- the venue ----------------------------------------------------------------------------------------------

    def ping(self, _: Call) -> Json:
        return {}

    def time(self, _: Call) -> Json:
        return {"serverTime": self._clock.reported_ms()}

    def exchange_info(self, _: Call) -> Json:
        limits = market.rate_limits(
            [
                ("REQUEST_WEIGHT", "MINUTE", 1, self._limits.weight_per_minute),
                ("ORDERS", "MINUTE", 1, self._limits.orders_per_minute),
                ("ORDERS", "SECOND", 10, self._limits.orders_per_10_seconds),
            ]
        )
        return market.exchange_info(self._exchange.listings.values(), limits, self._clock.reported_ms())

    def asset_index(self, call: Call) -> object:
        """Of multi-assets mode: one asset as `symbol` (BTCUSD), else all."""
        name, now_ms = call.params.raw("symbol"), self._clock.reported_ms()
        rows = [market.asset_index(index, now_ms) for index in self._exchange.prices.indices()]
        if name is None:
            return rows
        for row in rows:
            if row["symbol"] == name.upper():
                return row
        raise errors.bad_symbol()

    # ---- books and trades ---------------------------------------------------------------------------------------

    def depth(self, call: Call) -> Json:
        limit = call.params.integer_or("limit", _DEFAULT_DEPTH)
        symbol = required_symbol(call.params, self._exchange)
        if limit not in _DEPTH_WEIGHTS:
            raise VenueError(-4021, f"{limit} is not valid depth limit")
        snapshot = self._exchange.depth(symbol, limit)
        self._books.read(call.holder, symbol, self._clock.monotonic_ns(), snapshot.last_update_id)
        return market.depth(self._texts[symbol], snapshot, self._clock.reported_ms(), self._clock.skew_ms)

    def retail_depth(self, call: Call) -> Json:
        """The book with retail orders (RPI) in it."""
        limit = call.params.integer_or("limit", _RETAIL_DEPTH)
        symbol = required_symbol(call.params, self._exchange)
        if limit != _RETAIL_DEPTH:
            raise VenueError(-4021, f"{limit} is not valid depth limit")
        snapshot = self._exchange.listing(symbol).retail_depth(limit)
        return market.depth(self._texts[symbol], snapshot, self._clock.reported_ms(), self._clock.skew_ms)

    def trades(self, call: Call) -> list[Json]:
        limit = call.params.limit(500, 1_000)
        symbol = required_symbol(call.params, self._exchange)
        rows = list(self._tapes[symbol].trades)[-limit:]
        return [market.trade(self._texts[symbol], row) for row in rows]

    def historical_trades(self, call: Call) -> list[Json]:
        """From an id on, else the latest; as far back as the tape keeps them."""
        limit = call.params.limit(100, 500)
        from_id = call.params.optional_integer("fromId")
        symbol = required_symbol(call.params, self._exchange)
        trades = self._tapes[symbol].trades
        if from_id is None:
            rows = list(trades)[-limit:]
        else:
            rows = list(islice((row for row in trades if row.trade_id >= from_id), limit))
        return [market.trade(self._texts[symbol], row) for row in rows]

    def aggregate_trades(self, call: Call) -> list[Json]:
        params = call.params
        limit = params.limit(500, 1_000)
        from_id = params.optional_integer("fromId")
        start_ms, end_ms = params.optional_integer("startTime"), params.optional_integer("endTime")
        symbol = required_symbol(params, self._exchange)
        if start_ms is not None and start_ms < self._clock.reported_ms() - _HISTORY_MS:
            raise VenueError(-4166, "Search window is restricted to recent 48 hours only.")
        rows = [
            row
            for row in self._tapes[symbol].aggregates
            if (from_id is None or row.aggregate_id >= from_id)
            and (start_ms is None or row.time_ms >= start_ms)
            and (end_ms is None or row.time_ms <= end_ms)
        ]
        rows = rows[:limit] if from_id is not None or start_ms is not None else rows[-limit:]
        return [market.aggregate_trade(self._texts[symbol], row) for row in rows]

    def book_ticker(self, call: Call) -> object:
        symbol = optional_symbol(call.params, self._exchange)
        symbols = list(self._texts) if symbol is None else [symbol]
        now_ns = self._clock.monotonic_ns()
        for asked in symbols:
            self._books.read_touch(call.holder, asked, now_ns)
        rows = [
            market.book_ticker(self._texts[asked], self._exchange.listing(asked), self._clock.skew_ms)
            for asked in symbols
        ]
        return rows if symbol is None else rows[0]

    # ---- candles ------------------------------------------------------------------------------------------------

    def klines(self, call: Call) -> list[list[object]]:
        symbol, interval = self._candle_request(call.params)
        text = self._texts[symbol]
        candles = self._candles(symbol, self._tapes[symbol].minutes, interval, call.params)
        return [market.kline(text, interval, candle) for candle in candles]

    def mark_klines(self, call: Call) -> list[list[object]]:
        symbol, interval = self._candle_request(call.params)
        candles = self._candles(symbol, self._tapes[symbol].mark_minutes, interval, call.params)
        return [market.mark_kline(interval, candle) for candle in candles]

    def _candle_request(self, params: Params) -> tuple[str, str]:
        params.text("symbol")
        interval = params.text("interval")
        symbol = required_symbol(params, self._exchange)
        if interval not in intervals.NAMES:
            raise VenueError(-1120, "Invalid interval.")
        return symbol, interval

    def _candles(self, symbol: str, minutes: Minutes, interval: str, params: Params) -> list[Candle]:
        """None before the one in which the symbol was listed."""
        limit = params.limit(500, 1_500)
        start_ms, end_ms = params.optional_integer("startTime"), params.optional_integer("endTime")
        now_ms = self._clock.now_ms()
        last_ms = now_ms if end_ms is None else min(end_ms, now_ms)
        if start_ms is None:
            start_ms = intervals.previous_opens(interval, intervals.open_of(interval, max(last_ms, 0)), limit - 1)
        first_ms = intervals.open_of(interval, self._exchange.listing(symbol).spec.onboard_ms)
        return minutes.candles(interval, max(start_ms, first_ms), last_ms, limit)

    # ---- marks and funding --------------------------------------------------------------------------------------

    def premium_index(self, call: Call) -> object:
        symbol = optional_symbol(call.params, self._exchange)
        server_ms, skew_ms = self._clock.reported_ms(), self._clock.skew_ms
        if symbol is not None:
            return market.premium_index(self._exchange.listing(symbol), server_ms, skew_ms)
        return [market.premium_index(listing, server_ms, skew_ms) for listing in self._exchange.listings.values()]

    def funding_rate(self, call: Call) -> list[Json]:
        params = call.params
        limit = params.limit(100, 1_000)
        start_ms, end_ms = params.optional_integer("startTime"), params.optional_integer("endTime")
        if start_ms is not None and end_ms is not None and start_ms > end_ms:
            raise invalid("startTime")
        symbol = optional_symbol(params, self._exchange)
        rows = sorted(
            (
                (record.time_ms, listing.spec.symbol, record)
                for listing in self._exchange.listings.values()
                if symbol is None or listing.spec.symbol == symbol
                for record in listing.funding_history
                if (start_ms is None or record.time_ms >= start_ms) and (end_ms is None or record.time_ms <= end_ms)
            ),
            key=lambda row: row[:2],
        )
        rows = rows[:limit] if start_ms is not None else rows[-limit:]
        return [market.funding_rate(name, record) for _, name, record in rows]

    def funding_info(self, _: Call) -> list[Json]:
        updated_ms = self._clock.origin_wall_ns // 1_000_000
        return [market.funding_info(listing, updated_ms) for listing in self._exchange.listings.values()]

    # ---- tickers ------------------------------------------------------------------------------------------------

    def price(self, call: Call) -> object:
        symbol = optional_symbol(call.params, self._exchange)
        server_ms = self._clock.reported_ms()
        rows = [
            market.price_ticker(self._texts[asked], self._tapes[asked], server_ms)
            for asked in (list(self._texts) if symbol is None else [symbol])
        ]
        return rows if symbol is None else rows[0]

    def ticker_24h(self, call: Call) -> object:
        symbol = optional_symbol(call.params, self._exchange)
        now_ms, server_ms = self._clock.now_ms(), self._clock.reported_ms()
        rows = [
            market.ticker_24h(self._texts[asked], self._tapes[asked], now_ms, server_ms)
            for asked in (list(self._texts) if symbol is None else [symbol])
        ]
        return rows if symbol is None else rows[0]
