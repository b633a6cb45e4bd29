"""Reading captures: one venue message a line as it was received, `<local receive time, ns> <raw JSON>`, gzip or plain.

Lines are combined-stream messages, `{"stream": …, "data": …}`, or the REST depth snapshot (a bare object with
`lastUpdateId`) on the line where it arrived. Used are the diff depth stream, `bookTicker`, `trade` and `markPrice` of
one symbol; other streams of it are passed over. Each line is checked here for what it says by itself: shape, decimals
on the symbol's grid, one symbol, time that does not run backwards. What the lines say together is `replay.py`'s.
"""

import gzip
import re
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from phoenix_simulator.exchange.symbols import SymbolSpec
from phoenix_simulator.market.source import DepthUpdate, Level, MarkUpdate, PrintUpdate, TouchUpdate

_E8_DECIMALS = 8
_KNOWN_TEXTS = 1 << 17
"""Decimals remembered per grid before it forgets: a day's prices fit, memory stays bounded over weeks."""


class CaptureError(ValueError):
    """A capture that cannot be replayed: which file, which line (0: the file as a whole), and why."""

    def __init__(self, path: Path, line: int, reason: str) -> None:
        self.path = path
        self.line = line
        self.reason = reason
        super().__init__(f"{path}, line {line}: {reason}" if line else f"{path}: {reason}")


class SnapshotRecord(msgspec.Struct, frozen=True, gc=False):
    """The REST depth answer: the book at `last_id`."""

    last_id: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


class DepthRecord(msgspec.Struct, frozen=True, gc=False):
    """A diff depth frame with `pu`, which the contract of a market source does not need but continuity does."""

    previous_id: int
    update: DepthUpdate


Record = SnapshotRecord | DepthRecord | TouchUpdate | PrintUpdate | MarkUpdate


class Line(msgspec.Struct, frozen=True, gc=False):
    """One used line. `time_ns` of an update in `record` is the local receive time as the file has it."""

    path: Path
    number: int
    time_ns: int
    symbol: str
    record: Record


# ---- the venue's shapes -----------------------------------------------------------------------------------------

_Rows = list[tuple[str, str]]


class _Envelope(msgspec.Struct):
    stream: str = ""
    data: msgspec.Raw = msgspec.Raw()
    lastUpdateId: int | None = None  # noqa: N815 - the venue's own name


class _Snapshot(msgspec.Struct):
    lastUpdateId: int  # noqa: N815 - the venue's own name
    bids: _Rows
    asks: _Rows


class _Depth(msgspec.Struct):
    s: str
    U: int
    u: int
    pu: int
    b: _Rows
    a: _Rows


class _Touch(msgspec.Struct):
    s: str
    u: int
    b: str
    B: str
    a: str
    A: str


class _Trade(msgspec.Struct):
    s: str
    t: int
    p: str
    q: str
    m: bool
    X: str = "MARKET"


class _Mark(msgspec.Struct):
    s: str
    p: str
    i: str
    r: str


_envelope = msgspec.json.Decoder(_Envelope)
_snapshot = msgspec.json.Decoder(_Snapshot)
_depth = msgspec.json.Decoder(_Depth)
_touch = msgspec.json.Decoder(_Touch)
_trade = msgspec.json.Decoder(_Trade)
_mark = msgspec.json.Decoder(_Mark)

_NO_TRADE = "NA"
"""The venue now and then says a trade id for which nothing traded."""
_DIFF_DEPTH = re.compile(r"depth(@\d+ms)?")


class MessageError(ValueError):
    """A reason without its place; `read` adds file and line."""


# ---- decimals ---------------------------------------------------------------------------------------------------


def _e8_of(text: str) -> int:
    """A plain, unsigned decimal × 1e8, exactly."""
    whole, dot, fraction = text.partition(".")
    digits = whole + fraction
    if not (digits.isascii() and digits.isdigit() and whole and (fraction or not dot)):
        raise MessageError(f"{text!r} is not a plain decimal")
    cut = fraction[_E8_DECIMALS:]
    if cut.strip("0"):
        raise MessageError(f"{text!r} is finer than 1e-8")
    return int(whole + fraction[:_E8_DECIMALS].ljust(_E8_DECIMALS, "0"))


class _Grid(dict[str, int]):
    """Wire decimal → whole units (ticks or steps). Remembers texts: a market repeats its prices and sizes."""

    def __init__(self, unit_e8: int, name: str) -> None:
        super().__init__()
        self._unit_e8 = unit_e8
        self._name = name

    def __missing__(self, text: str) -> int:
        units, rest = divmod(_e8_of(text), self._unit_e8)
        if rest:
            raise MessageError(f"{text!r} is not a multiple of the {self._name}")
        if len(self) >= _KNOWN_TEXTS:
            self.clear()
        self[text] = units
        return units


# ---- lines ------------------------------------------------------------------------------------------------------


class MessageParser:
    """Messages of one symbol, from a file or as they come → records. The symbol is learnt from the first message that
    names it. Raises MessageError, or msgspec's DecodeError, for what cannot be one of the venue's.
    """

    def __init__(self, specs: Mapping[str, SymbolSpec], symbol: str = "") -> None:
        """With `symbol` it is known from the start."""
        self._specs = specs
        self.symbol = ""
        self._depth_stream = ""
        self._early_snapshot: bytes | str | None = None
        self._ticks = _Grid(1, "tick size")
        self._steps = _Grid(1, "step size")
        if symbol:
            self._learn(symbol)

    def record(self, raw: bytes | str, time_ns: int) -> Record | None:
        """None for a message of a stream that is not replayed."""
        envelope = _envelope.decode(raw)
        if not envelope.stream:
            if envelope.lastUpdateId is None:
                raise MessageError('neither a stream message {"stream": …, "data": …} nor a depth snapshot')
            if self.symbol:
                return self._snapshot(raw)
            self._early_snapshot = raw
            return None
        return self._message(envelope.stream, envelope.data, time_ns)

    def _message(self, stream: str, data: msgspec.Raw, time_ns: int) -> Record | None:
        match stream.partition("@")[2]:
            case "bookTicker":
                return self._touch(_touch.decode(data), time_ns)
            case "trade":
                return self._trade(_trade.decode(data), time_ns)
            case "markPrice" | "markPrice@1s":
                return self._mark(_mark.decode(data), time_ns)
            case kind if _DIFF_DEPTH.fullmatch(kind):
                if stream != (self._depth_stream or stream):
                    raise MessageError(f"{stream} beside {self._depth_stream}: a capture holds one diff depth stream")
                self._depth_stream = stream
                return self._depth(_depth.decode(data), time_ns)
        return None

    def take_early_snapshot(self) -> SnapshotRecord | None:
        """A snapshot that came before the symbol was known, as soon as it is: the venue does not name its symbol."""
        if self._early_snapshot is None or not self.symbol:
            return None
        raw, self._early_snapshot = self._early_snapshot, None
        return self._snapshot(raw)

    def _learn(self, symbol: str) -> None:
        if symbol == self.symbol:
            return
        if self.symbol:
            raise MessageError(f"symbol {symbol} in a capture of {self.symbol}: a capture holds one symbol")
        spec = self._specs.get(symbol)
        if spec is None:
            raise MessageError(f"symbol {symbol} is not listed here; known are {', '.join(sorted(self._specs))}")
        self.symbol = symbol
        self._ticks = _Grid(spec.tick_e8, f"tick size {spec.tick_size.normalize():f}")
        self._steps = _Grid(spec.step_e8, f"step size {spec.step_size.normalize():f}")

    def _levels(self, rows: _Rows) -> tuple[Level, ...]:
        ticks, steps = self._ticks, self._steps
        return tuple([(ticks[price], steps[quantity]) for price, quantity in rows])

    def _snapshot(self, raw: bytes | str) -> SnapshotRecord:
        message = _snapshot.decode(raw)
        bids, asks = self._levels(message.bids), self._levels(message.asks)
        if not bids or not asks:
            raise MessageError("the snapshot's book has an empty side")
        if max(bids)[0] >= min(asks)[0]:
            raise MessageError("the snapshot's book is crossed")
        if any(steps == 0 for _, steps in bids + asks):
            raise MessageError("the snapshot has a level of quantity 0")
        return SnapshotRecord(message.lastUpdateId, bids, asks)

    def _depth(self, message: _Depth, time_ns: int) -> DepthRecord:
        self._learn(message.s)
        if not message.pu < message.U <= message.u:
            raise MessageError(f"update ids pu {message.pu}, U {message.U}, u {message.u} do not ascend")
        bids, asks = self._levels(message.b), self._levels(message.a)
        return DepthRecord(message.pu, DepthUpdate(time_ns, bids, asks, message.U, message.u))

    def _touch(self, message: _Touch, time_ns: int) -> TouchUpdate:
        self._learn(message.s)
        ticks, steps = self._ticks, self._steps
        touch = TouchUpdate(time_ns, message.u, ticks[message.b], steps[message.B], ticks[message.a], steps[message.A])
        if touch.bid_ticks >= touch.ask_ticks:
            raise MessageError(f"best bid {message.b} is not below best ask {message.a}")
        if not touch.bid_steps or not touch.ask_steps:
            raise MessageError("a best bid or ask of quantity 0")
        return touch

    def _trade(self, message: _Trade, time_ns: int) -> PrintUpdate | None:
        self._learn(message.s)
        if message.X == _NO_TRADE:
            return None
        trade = PrintUpdate(time_ns, message.t, self._ticks[message.p], self._steps[message.q], message.m)
        if not trade.price_ticks or not trade.qty_steps:
            raise MessageError("a trade at price or quantity 0")
        return trade

    def _mark(self, message: _Mark, time_ns: int) -> MarkUpdate:
        self._learn(message.s)
        sign = -1 if message.r.startswith("-") else 1
        mark = MarkUpdate(time_ns, _e8_of(message.p), _e8_of(message.i), sign * _e8_of(message.r.removeprefix("-")))
        if not mark.mark_e8 or not mark.index_e8:
            raise MessageError("a mark or index price of 0")
        return mark


def read(path: Path, specs: Mapping[str, SymbolSpec]) -> Iterator[Line]:
    """The used lines of one file, in order; CaptureError at the first that is broken. Streams: memory stays flat."""
    parser = MessageParser(specs)
    number, previous_ns = 0, 0
    for number, text in _numbered(path):
        stamp, _, raw = text.partition(b" ")
        try:
            previous_ns = time_ns = _time_of(stamp, raw, previous_ns)
            record = parser.record(raw, time_ns)
            snapshot = parser.take_early_snapshot()
        except msgspec.DecodeError as error:
            raise CaptureError(path, number, f"not a message of the venue: {error}") from None
        except MessageError as error:
            raise CaptureError(path, number, str(error)) from None
        if snapshot is not None:
            yield Line(path, number, time_ns, parser.symbol, snapshot)
        if record is not None:
            yield Line(path, number, time_ns, parser.symbol, record)
    if not number:
        raise CaptureError(path, 0, "the file is empty")


def _time_of(stamp: bytes, raw: bytes, previous_ns: int) -> int:
    if not stamp.isdigit() or not raw:
        raise MessageError("expected <local receive time, ns> <raw JSON>")
    time_ns = int(stamp)
    if time_ns < previous_ns:
        raise MessageError(f"the local time runs backwards: {time_ns} after {previous_ns}")
    return time_ns


def _numbered(path: Path) -> Iterator[tuple[int, bytes]]:
    """Lines from 1, without their ends; what the disk or the compression says against it becomes a CaptureError."""
    number = 0
    try:
        with path.open("rb") as plain:
            is_gzip = plain.read(2) == b"\x1f\x8b"
            plain.seek(0)
            for number, text in enumerate(gzip.open(plain) if is_gzip else plain, start=1):  # noqa: SIM115 - `with` above
                yield number, text.rstrip(b"\r\n")
    except OSError as error:
        reason = error.strerror or str(error)
        raise CaptureError(path, number + 1 if number else 0, f"cannot be read: {reason}") from None
    except (EOFError, zlib.error) as error:
        raise CaptureError(path, number + 1, f"the compressed data is damaged or cut short: {error}") from None
