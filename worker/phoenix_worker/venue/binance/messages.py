"""Market data frames as the exchange writes them, and the core events that they become.

One msgspec pass per frame: numbers that the exchange writes as strings become floats on the way, unknown fields
are skipped, and what is not what it should be (wrong type, not finite, negative) is a `DecodeError`. Only frames of the
symbol and of USDⓈ-M (`st` 1; COIN-M shares some streams since 2026) become events. Shapes: Binance USDⓈ-M
documentation, market streams.
"""

from typing import Annotated, Final
from urllib.parse import quote

import msgspec
from msgspec import Meta, Struct, field

from phoenix_worker.core.events import Depth, Mark, Minutes, Snapshot, Touch, TouchAnswer, Trade
from phoenix_worker.core.instrument import SymbolStatus

Frame = bytes | bytearray

USD_MARGINED: Final = 1

# The bounds also refuse NaN and infinity, which a lenient float would let in.
Price = Annotated[float, Meta(gt=0, le=1e15)]
Quantity = Annotated[float, Meta(ge=0, le=1e15)]
Rate = Annotated[float, Meta(ge=-1, le=1)]
Level = tuple[Price, Quantity]


class DecodeError(ValueError):
    """A frame or body that is not what the exchange's documentation says."""

    def __init__(self, what: str, reason: object, frame: Frame) -> None:
        super().__init__(f"{what}: {reason} in {bytes(frame[:120])!r}")


class _Depth(Struct, gc=False, tag_field="e", tag="depthUpdate"):
    event_ms: int = field(name="E")
    first_id: int = field(name="U")
    last_id: int = field(name="u")
    prev_id: int = field(name="pu")
    symbol: str = field(name="s")
    bids: list[Level] = field(name="b")
    asks: list[Level] = field(name="a")
    family: int = field(name="st", default=USD_MARGINED)


class _DepthFrame(Struct, gc=False):
    data: _Depth


class _Ticker(Struct, gc=False, tag_field="e", tag="bookTicker"):
    event_ms: int = field(name="E")
    update_id: int = field(name="u")
    symbol: str = field(name="s")
    bid: Price = field(name="b")
    bid_qty: Quantity = field(name="B")
    ask: Price = field(name="a")
    ask_qty: Quantity = field(name="A")
    family: int = field(name="st", default=USD_MARGINED)


class _TickerFrame(Struct, gc=False):
    data: _Ticker


class _Trade(Struct, gc=False, tag_field="e", tag="trade"):
    event_ms: int = field(name="E")
    symbol: str = field(name="s")
    trade_id: int = field(name="t")
    price: Quantity = field(name="p")
    qty: Quantity = field(name="q")
    buyer_is_maker: bool = field(name="m")
    kind: str = field(name="X", default="MARKET")
    family: int = field(name="st", default=USD_MARGINED)


class _TradeFrame(Struct, gc=False):
    data: _Trade


class _Mark(Struct, gc=False, tag_field="e", tag="markPriceUpdate"):
    event_ms: int = field(name="E")
    symbol: str = field(name="s")
    mark: Price = field(name="p")
    index: Price = field(name="i")
    funding_rate: Rate = field(name="r")
    next_funding_ms: int = field(name="T")
    family: int = field(name="st", default=USD_MARGINED)


class ContractInfo(Struct, gc=False, tag_field="e", tag="contractInfo"):
    """Listing, settlement or bracket change of a symbol; `status` may be left out where only brackets changed."""

    symbol: str = field(name="s")
    status: str | None = field(name="cs", default=None)
    family: int = field(name="st", default=USD_MARGINED)


class _MarketFrame(Struct, gc=False):
    data: _Mark | ContractInfo


class _Envelope(Struct, gc=False):
    stream: str
    data: msgspec.Raw


class _Kind(Struct, gc=False):
    kind: str = field(name="e")


_depth = msgspec.json.Decoder(_DepthFrame, strict=False).decode
_ticker = msgspec.json.Decoder(_TickerFrame, strict=False).decode
_trade = msgspec.json.Decoder(_TradeFrame, strict=False).decode
_market = msgspec.json.Decoder(_MarketFrame, strict=False).decode
_envelope = msgspec.json.Decoder(_Envelope).decode
_kind = msgspec.json.Decoder(_Kind).decode
_control = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def percent_encoded(names: str) -> str:
    """Stream names in an address: symbols may be non-ASCII since 2025."""
    return quote(names, safe="/@!_")


def stream_of(frame: Frame) -> str | None:
    """The stream that an enveloped frame came from; `None` for a frame without envelope (control replies, notices)."""
    try:
        return _envelope(frame).stream
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def kind_of(frame: Frame) -> str | None:
    """The event kind `e` of a bare event, or of an enveloped one; `None` where there is none."""
    try:
        return _kind(frame).kind
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    try:
        return _kind(_envelope(frame).data).kind
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def is_control_reply(frame: Frame) -> bool:
    """The reply to a control request or an error of the connection: an object with `id` or `error`."""
    try:
        reply = _control(frame)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return "id" in reply or "error" in reply


def depth(frame: Frame, at: int, symbol: str) -> Depth | None:
    try:
        d = _depth(frame).data
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DecodeError("depth", error, frame) from error
    if d.symbol != symbol or d.family != USD_MARGINED:
        return None
    return Depth(at, d.event_ms, d.first_id, d.last_id, d.prev_id, d.bids, d.asks)


def touch(frame: Frame, at: int, symbol: str) -> Touch | None:
    try:
        d = _ticker(frame).data
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DecodeError("bookTicker", error, frame) from error
    if d.symbol != symbol or d.family != USD_MARGINED:
        return None
    return Touch(at, d.event_ms, d.update_id, d.bid, d.bid_qty, d.ask, d.ask_qty)


def trade(frame: Frame, at: int, symbol: str) -> Trade | None:
    """`None` also for prints outside the market (insurance fund, ADL): nobody could trade at their price."""
    try:
        d = _trade(frame).data
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DecodeError("trade", error, frame) from error
    if d.symbol != symbol or d.family != USD_MARGINED or d.kind != "MARKET" or not d.price or not d.qty:
        return None
    return Trade(at, d.event_ms, d.trade_id, d.price, d.qty, d.buyer_is_maker)


def market(frame: Frame, at: int, symbol: str) -> Mark | ContractInfo | None:
    """A frame of the MARKET connection; `None` for other symbols and for events that we do not know."""
    try:
        d = _market(frame).data
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if kind_of(frame) not in (None, "markPriceUpdate", "contractInfo"):
            return None
        raise DecodeError("market", error, frame) from error
    if d.symbol != symbol or d.family != USD_MARGINED:
        return None
    match d:
        case _Mark():
            return Mark(at, d.event_ms, d.mark, d.index, d.funding_rate, d.next_funding_ms)
        case ContractInfo():
            return d


# -- market data over REST ---------------------------------------------------------------------------


class _Book(Struct, gc=False):
    last_id: int = field(name="lastUpdateId")
    bids: list[Level]
    asks: list[Level]


class _BookTicker(Struct, gc=False):
    symbol: str
    bid: Price = field(name="bidPrice")
    ask: Price = field(name="askPrice")


_book = msgspec.json.Decoder(_Book, strict=False).decode
_book_ticker = msgspec.json.Decoder(_BookTicker, strict=False).decode
_klines = msgspec.json.Decoder(list[list[str | int]]).decode


def snapshot(body: Frame, at: int) -> Snapshot:
    """`GET /fapi/v1/depth`."""
    try:
        book = _book(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DecodeError("depth snapshot", error, body) from error
    return Snapshot(at, book.last_id, book.bids, book.asks)


def touch_of_ticker(body: Frame, at: int, sent_ns: int) -> TouchAnswer:
    """`GET /fapi/v1/ticker/bookTicker` with a symbol."""
    try:
        ticker = _book_ticker(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DecodeError("ticker", error, body) from error
    return TouchAnswer(at, sent_ns, ticker.bid, ticker.ask)


def touch_of_book(body: Frame, at: int, sent_ns: int) -> TouchAnswer:
    """The best levels of `GET /fapi/v1/depth`: the other endpoint to ask for the touch."""
    book = snapshot(body, at)
    if not book.bids or not book.asks:
        raise DecodeError("depth snapshot", "a side is empty", body)
    return TouchAnswer(at, sent_ns, book.bids[0][0], book.asks[0][0])


def minutes(body: Frame, at: int, now_ms: int) -> Minutes:
    """`GET /fapi/v1/klines` of one minute: those that are over at `now_ms`, oldest first."""
    try:
        rows = [(int(row[6]), float(row[4]), float(row[5]), float(row[9])) for row in _klines(body)]
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, IndexError) as error:
        raise DecodeError("klines", error, body) from error
    over = [row for row in rows if row[0] < now_ms]
    if not all(0 < close < 1e15 for _, close, _, _ in over):
        raise DecodeError("klines", "a close is no price", body)
    if not all(0 <= bought <= volume < 1e15 for _, _, volume, bought in over):
        raise DecodeError("klines", "takers cannot have bought more than was traded", body)
    return Minutes(
        at,
        over[-1][0] if over else 0,
        [close for _, close, _, _ in over],
        [volume for _, _, volume, _ in over],
        [bought for _, _, _, bought in over],
    )


def opening_price(body: Frame, open_ms: int) -> float:
    """Of `GET /fapi/v1/markPriceKlines`: the open of the row that begins at `open_ms`, 0 without one."""
    try:
        prices = [float(row[1]) for row in _klines(body) if int(row[0]) == open_ms]
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, IndexError) as error:
        raise DecodeError("mark price klines", error, body) from error
    if not all(0 < price < 1e15 for price in prices):
        raise DecodeError("mark price klines", "an open is no price", body)
    return prices[0] if prices else 0.0


def symbol_status(text: str) -> SymbolStatus:
    """The exchange's status of a symbol. It has no state that only reduces: that is told by error codes alone."""
    return SymbolStatus.TRADING if text == "TRADING" else SymbolStatus.NOT_TRADING
