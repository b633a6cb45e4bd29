"""Names of streams: what they mean and on which route they are delivered.

The venue acknowledges any name; one that is misspelt, in upper case or on the wrong route simply never delivers.
"""

import re
from collections.abc import Iterator
from enum import Enum
from typing import Final

import msgspec

from phoenix_simulator.api import intervals
from phoenix_simulator.faults import Route


class StreamKind(Enum):
    DEPTH = "depth"
    PARTIAL_DEPTH = "partial depth"
    BOOK_TICKER = "bookTicker"
    TRADE = "trade"
    AGGREGATE_TRADE = "aggTrade"
    MARK_PRICE = "markPrice"
    KLINE = "kline"
    CONTINUOUS_KLINE = "continuousKline"
    RPI_DEPTH = "rpiDepth"
    MINI_TICKER = "miniTicker"
    TICKER = "ticker"
    FORCE_ORDER = "forceOrder"
    CONTRACT_INFO = "contractInfo"
    ASSET_INDEX = "assetIndex"

    @property
    def is_book(self) -> bool:
        """Whether a client can keep a book, or at least the touch, by it."""
        return self in {StreamKind.DEPTH, StreamKind.PARTIAL_DEPTH, StreamKind.BOOK_TICKER}


class StreamName(msgspec.Struct, frozen=True):
    """`symbol` is upper case, and empty for streams of all symbols; of an asset index BTCUSD."""

    name: str
    kind: StreamKind
    route: Route
    symbol: str = ""
    interval_ms: int = 0
    """How often it is sent; 0 is at once."""
    levels: int = 0
    candle: str = ""

    @property
    def suffix(self) -> str:
        """What faults match: the part after the ``@`` (depth always with its speed), or the whole name of an
        all-symbols stream.
        """
        match self.kind:
            case StreamKind.DEPTH:
                return f"depth@{self.interval_ms}ms"
            case StreamKind.PARTIAL_DEPTH:
                return f"depth{self.levels}@{self.interval_ms}ms"
            case _:
                return self.name.partition("@")[2] if self.symbol else self.name


_DEPTH: Final = re.compile(r"depth(5|10|20)?(?:@(0|100|250|500)ms)?")
_DEFAULT_DEPTH_MS: Final = 250
_SIMPLE: Final = {
    "bookTicker": (StreamKind.BOOK_TICKER, Route.PUBLIC, 0),
    "trade": (StreamKind.TRADE, Route.PUBLIC, 0),
    "aggTrade": (StreamKind.AGGREGATE_TRADE, Route.MARKET, 0),
    "markPrice": (StreamKind.MARK_PRICE, Route.MARKET, 3_000),
    "markPrice@1s": (StreamKind.MARK_PRICE, Route.MARKET, 1_000),
    "miniTicker": (StreamKind.MINI_TICKER, Route.MARKET, 500),
    "ticker": (StreamKind.TICKER, Route.MARKET, 500),
    "rpiDepth@500ms": (StreamKind.RPI_DEPTH, Route.PUBLIC, 500),
    "assetIndex": (StreamKind.ASSET_INDEX, Route.MARKET, 1_000),
    "forceOrder": (StreamKind.FORCE_ORDER, Route.MARKET, 1_000),
}
_ALL_SYMBOLS: Final = {
    "!bookTicker": (StreamKind.BOOK_TICKER, Route.PUBLIC, 5_000),
    "!markPrice@arr": (StreamKind.MARK_PRICE, Route.MARKET, 3_000),
    "!markPrice@arr@1s": (StreamKind.MARK_PRICE, Route.MARKET, 1_000),
    "!miniTicker@arr": (StreamKind.MINI_TICKER, Route.MARKET, 1_000),
    "!ticker@arr": (StreamKind.TICKER, Route.MARKET, 1_000),
    "!forceOrder@arr": (StreamKind.FORCE_ORDER, Route.MARKET, 1_000),
    "!assetIndex@arr": (StreamKind.ASSET_INDEX, Route.MARKET, 1_000),
    "!contractInfo": (StreamKind.CONTRACT_INFO, Route.MARKET, 0),
}


def parse_stream_name(name: str) -> StreamName | None:
    """None for a name that never delivers."""
    if simple := _ALL_SYMBOLS.get(name):
        kind, route, interval_ms = simple
        return StreamName(name, kind, route, interval_ms=interval_ms)
    lower, separator, suffix = name.partition("@")
    if not separator or not lower or lower != lower.lower():
        return None
    symbol = lower.upper()
    if simple := _SIMPLE.get(suffix):
        kind, route, interval_ms = simple
        return StreamName(name, kind, route, symbol, interval_ms)
    if match := _DEPTH.fullmatch(suffix):
        levels, speed = match.groups()
        interval_ms = _DEFAULT_DEPTH_MS if speed is None else int(speed)
        if levels:
            # A partial book has no real-time speed: only diffs and the touch do.
            return StreamName(name, StreamKind.PARTIAL_DEPTH, Route.PUBLIC, symbol, interval_ms or 100, int(levels))
        return StreamName(name, StreamKind.DEPTH, Route.PUBLIC, symbol, interval_ms)
    if suffix.startswith("continuousKline_"):
        pair, _, contract = lower.rpartition("_")
        candle = suffix.removeprefix("continuousKline_")
        if pair and contract == "perpetual" and candle in intervals.NAMES:
            return StreamName(name, StreamKind.CONTINUOUS_KLINE, Route.MARKET, pair.upper(), 250, candle=candle)
        return None
    if suffix.startswith("kline_") and (candle := suffix.removeprefix("kline_")) in intervals.NAMES:
        return StreamName(name, StreamKind.KLINE, Route.MARKET, symbol, 250, candle=candle)
    return None


def every_stream() -> Iterator[StreamName]:
    """One of every name that delivers, those of a symbol for some symbol."""
    depths = [f"depth{levels}" for levels in ("", 5, 10, 20)]
    suffixes = (
        *_SIMPLE,
        *(f"{depth}@{speed_ms}ms" for depth in depths for speed_ms in (0, 100, 250, 500)),
        *(f"kline_{interval}" for interval in sorted(intervals.NAMES)),
    )
    names = (
        *(f"btcusdt@{suffix}" for suffix in suffixes),
        *(f"btcusdt_perpetual@continuousKline_{interval}" for interval in sorted(intervals.NAMES)),
        *_ALL_SYMBOLS,
    )
    yield from filter(None, map(parse_stream_name, names))


def delivers(route: Route, stream: StreamName) -> bool:
    """Whether a connection on this route gets the stream; an unrouted one gets public streams only."""
    return stream.route is (Route.PUBLIC if route is Route.UNROUTED else route)
