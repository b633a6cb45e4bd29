"""A recorded capture as a market: its book, trades and touch again, in their order and with their ids.

The replay opens at the first depth snapshot, with the frames received before it applied by the local-book rule
(Binance USDⓈ-M documentation, "How to manage a local order book correctly"), and then repeats every line at its
distance in time of receipt. A capture of the replay therefore equals the recording from that line on, but for the
clock: `T` and `E` are those of the run.

Accounts' orders are not in the recording. How they fill (`exchange/` does it, from what this source yields):

* queue: an order joins behind the quantity that its level shows at that moment. Recorded trades at its price consume
  what is ahead first, then fill it; quantity that leaves the level without a trade is a cancellation, which the
  queue model places ahead of it or behind.
* through: a trade beyond its price, or the opposite best price at or beyond its price, fills it.
* taking: an order of ours that crosses takes the recorded quantities; they are gone for us only until the recording
  next says what the level holds.

What this cannot know: how the market would have answered our orders (nobody joins, fades, or picks them off because
of us; the same flow reaches us whatever we quote), where cancellations really were in the queue, hidden and
retail-price-improvement liquidity, what happened beyond the 1000 levels of the snapshot before it changed, and the
order of events inside one depth frame. Fills against a replay are therefore an estimate, biased in our favour for
sizes that are large against the level; profit on a replay proves no profit on the venue.

Captures without `markPrice` get mark and index from the mid once a second, and the interest part of the funding rate.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from phoenix_simulator.exchange.symbols import BUILT_IN, SymbolSpec
from phoenix_simulator.market.capture import CaptureError, DepthRecord, Line, SnapshotRecord, read
from phoenix_simulator.market.local_book import BrokenBookError, LocalBook
from phoenix_simulator.market.source import (
    BackgroundView,
    DepthUpdate,
    MarketKind,
    MarketStart,
    MarketUpdate,
    MarkUpdate,
    PrintUpdate,
    TouchUpdate,
)

_NS_PER_S = 1_000_000_000
_MAX_PAUSE_NS = _NS_PER_S
"""Between two files that do not continue each other: nobody waits for a night that was not recorded."""
_INTEREST_RATE_E8 = 10_000
"""The venue's fixed interest part of the funding rate, 0.01 % per 8 h."""


class CaptureSummary(msgspec.Struct, frozen=True):
    """What a replay of these files will show. `phoenix check` prints it."""

    symbol: str
    duration_s: float
    depth_frames: int
    touches: int
    trades: int
    compared_touches: int
    """Depth frames after which the book's touch could be compared with the bookTicker of the same update id."""
    equal_touches: int
    """Of these, equal in price and quantity on both sides; all of them in an undisturbed capture."""


def _broken(line: Line, reason: str) -> CaptureError:
    return CaptureError(line.path, line.number, reason)


def _apply(book: LocalBook, frame: DepthRecord, line: Line) -> None:
    try:
        book.apply(frame)
    except BrokenBookError as error:
        raise _broken(line, f"{error}; cut the capture here") from None


class _Tally:
    """Counts for the summary; compares the book with the newest bookTicker that is not newer than it."""

    def __init__(self) -> None:
        self.depth_frames = self.touches = self.trades = self.compared = self.equal = 0
        self._newest: TouchUpdate | None = None
        self._ahead: list[TouchUpdate] = []

    def before_frame(self, book: LocalBook) -> None:
        """A bookTicker may arrive after the frame that holds it, so a frame is compared when the next one comes."""
        later = [touch for touch in self._ahead if touch.update_id > book.last_id]
        for touch in self._ahead[: len(self._ahead) - len(later)]:
            self._newest = touch
        self._ahead = later
        if self._newest is not None and self.depth_frames:
            self.compared += 1
            self.equal += book.shows(self._newest)

    def touch(self, touch: TouchUpdate) -> None:
        self.touches += 1
        self._ahead.append(touch)


class _Opening:
    """What was received before the market can open, and how it opens."""

    def __init__(self) -> None:
        self.frames: list[Line] = []
        self.touch: TouchUpdate | None = None
        self.mark: MarkUpdate | None = None
        self.trade_id = 0

    def book(self, snapshot: SnapshotRecord) -> LocalBook:
        book = LocalBook(snapshot)
        for line in self.frames:
            if isinstance(line.record, DepthRecord) and not book.is_older(line.record):
                _apply(book, line.record, line)
        return book


class _Replay:
    """One pass over the files. `start` and `updates` in this order, once."""

    def __init__(self, paths: Sequence[Path], specs: Mapping[str, SymbolSpec]) -> None:
        self._paths = paths
        self._specs = specs
        self._zero_ns = 0
        """Local time at which the replay's time is 0; moves where files do not continue each other."""
        self._now_ns = 0
        self._next_mark_ns = _NS_PER_S
        self._has_marks = False
        self._touch_id = 0
        self._trade_id = 0
        self.symbol = ""
        self.tally = _Tally()

    @property
    def duration_ns(self) -> int:
        return self._now_ns

    def run(self) -> Iterator[MarketStart | MarketUpdate]:
        """The opening first, then every update."""
        book: LocalBook | None = None
        for path in self._paths:
            lines = read(path, self._specs)
            opening = _Opening()
            is_open = False
            for line in lines:
                self._check_symbol(line)
                if is_open and book is not None:
                    yield from self._play(line, book)
                elif book is not None and self._continues(line, opening, book):
                    is_open = True
                    yield from self._play(line, book)
                elif isinstance(line.record, SnapshotRecord):
                    fresh = opening.book(line.record)
                    yield from self._open(line, opening, fresh, book)
                    book, is_open = fresh, True
                else:
                    self._collect(line, opening)
            if not is_open:
                raise CaptureError(
                    path, 0, "holds no depth snapshot; record GET depth (limit 1000) while the streams run"
                )
        if book is not None:
            self.tally.before_frame(book)

    def _check_symbol(self, line: Line) -> None:
        if line.symbol != (self.symbol or line.symbol):
            raise _broken(line, f"symbol {line.symbol} after files of {self.symbol}: one market is one symbol")
        self.symbol = line.symbol

    @staticmethod
    def _continues(line: Line, opening: _Opening, book: LocalBook) -> bool:
        """The first depth frame of a later file follows the last one of the file before: the capture was only cut."""
        record = line.record
        return isinstance(record, DepthRecord) and not opening.frames and record.previous_id == book.last_id

    @staticmethod
    def _collect(line: Line, opening: _Opening) -> None:
        match line.record:
            case DepthRecord():
                opening.frames.append(line)
            case TouchUpdate():
                opening.touch = line.record
            case PrintUpdate():
                opening.trade_id = line.record.trade_id
            case MarkUpdate():
                opening.mark = line.record

    def _open(
        self, line: Line, opening: _Opening, fresh: LocalBook, old: LocalBook | None
    ) -> Iterator[MarketStart | MarketUpdate]:
        if old is None:
            self._zero_ns = line.time_ns
            mark = opening.mark or self._mark_from(fresh.bids.best, fresh.asks.best, 0)
            yield MarketStart(
                MarketKind.REPLAY,
                tuple(sorted(fresh.bids.levels.items(), reverse=True)),
                tuple(sorted(fresh.asks.levels.items())),
                mark.mark_e8,
                mark.index_e8,
                mark.funding_rate_e8,
                fresh.last_id,
                opening.trade_id,
            )
        else:
            if fresh.last_id <= old.last_id:
                raise _broken(
                    line, f"id {fresh.last_id} is not after {old.last_id} of the file before; give files in order"
                )
            pause_ns = line.time_ns - self._zero_ns - self._now_ns
            self._zero_ns += pause_ns - min(max(pause_ns, 0), _MAX_PAUSE_NS)
            yield DepthUpdate(
                self._advance(line),
                old.bids.changes_to(fresh.bids),
                old.asks.changes_to(fresh.asks),
                old.last_id + 1,
                fresh.last_id,
            )
        self._has_marks = self._has_marks or opening.mark is not None
        self._trade_id = max(self._trade_id, opening.trade_id)
        touch = opening.touch
        if touch is not None and touch.update_id > fresh.last_id:
            yield self._touched(touch, self._advance(line))

    def _play(self, line: Line, book: LocalBook) -> Iterator[MarketUpdate]:
        now_ns = self._advance(line)
        if not self._has_marks and now_ns >= self._next_mark_ns:
            self._next_mark_ns = now_ns - now_ns % _NS_PER_S + _NS_PER_S
            yield self._mark_from(book.bids.best, book.asks.best, now_ns)
        match line.record:
            case DepthRecord(update=update):
                self.tally.before_frame(book)
                if book.is_older(line.record):
                    return
                _apply(book, line.record, line)
                self.tally.depth_frames += 1
                yield DepthUpdate(now_ns, update.bids, update.asks, update.first_id, update.last_id)
            case TouchUpdate() as touch:
                if touch.update_id < self._touch_id:
                    raise _broken(line, f"bookTicker u {touch.update_id} after {self._touch_id}")
                self.tally.touch(touch)
                yield self._touched(touch, now_ns)
            case PrintUpdate() as trade:
                if trade.trade_id <= self._trade_id:
                    raise _broken(line, f"trade id {trade.trade_id} after {self._trade_id}")
                self._trade_id = trade.trade_id
                self.tally.trades += 1
                yield PrintUpdate(now_ns, trade.trade_id, trade.price_ticks, trade.qty_steps, trade.buyer_is_maker)
            case MarkUpdate() as mark:
                self._has_marks = True
                yield MarkUpdate(now_ns, mark.mark_e8, mark.index_e8, mark.funding_rate_e8)
            case SnapshotRecord():
                pass  # the book is in step already: a client refreshed its own

    def _advance(self, line: Line) -> int:
        """Replay time of a line. Files that continue each other but overlap in time keep their order."""
        self._now_ns = max(self._now_ns, line.time_ns - self._zero_ns)
        return self._now_ns

    def _touched(self, touch: TouchUpdate, now_ns: int) -> TouchUpdate:
        self._touch_id = touch.update_id
        return TouchUpdate(now_ns, touch.update_id, touch.bid_ticks, touch.bid_steps, touch.ask_ticks, touch.ask_steps)

    def _mark_from(self, bid_ticks: int, ask_ticks: int, now_ns: int) -> MarkUpdate:
        mid_e8 = (bid_ticks + ask_ticks) * self._specs[self.symbol].tick_e8 // 2
        return MarkUpdate(now_ns, mid_e8, mid_e8, _INTEREST_RATE_E8)


def validate(paths: Sequence[Path], specs: Mapping[str, SymbolSpec] = BUILT_IN) -> CaptureSummary:
    """Reads the files once, as a replay would; CaptureError names the first line that cannot be replayed and why."""
    if not paths:
        raise ValueError("no capture given")
    replay = _Replay(paths, specs)
    for _ in replay.run():
        pass
    tally = replay.tally
    if not tally.depth_frames:
        raise CaptureError(paths[-1], 0, "no depth frame follows the snapshot")
    return CaptureSummary(
        replay.symbol,
        replay.duration_ns / _NS_PER_S,
        tally.depth_frames,
        tally.touches,
        tally.trades,
        tally.compared,
        tally.equal,
    )


class ReplaySource:
    """A `MarketSource` over one or more capture files of one symbol, in order. Ends with the recording.

    Reads everything once on construction (about a second for 100 000 messages), so that a broken capture is refused
    before anything starts: CaptureError.
    """

    def __init__(self, paths: Sequence[Path], specs: Mapping[str, SymbolSpec] = BUILT_IN) -> None:
        self._paths = tuple(paths)
        self._specs = specs
        self.summary = validate(self._paths, specs)

    @property
    def symbol(self) -> str:
        return self.summary.symbol

    def start(self) -> MarketStart:
        first = next(_Replay(self._paths, self._specs).run())
        if not isinstance(first, MarketStart):
            raise TypeError("a replay opens with its start")
        return first

    def updates(self, background: BackgroundView) -> Iterator[MarketUpdate]:  # noqa: ARG002 - a recording does not look
        for update in _Replay(self._paths, self._specs).run():
            if not isinstance(update, MarketStart):
                yield update
