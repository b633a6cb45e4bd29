"""A flight recording as a market: what the engine saw of it, played to an exchange again, from any keyframe on.

The recording tells the market and the clock. What it tells of the account (orders, fills, grants, leases) belongs to
the engine that was recorded: whoever trades on the recording trades for himself.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import msgspec
from phoenix_simulator.exchange.symbols import E8
from phoenix_simulator.market.source import (
    BackgroundView,
    DepthUpdate,
    Level,
    MarketKind,
    MarketStart,
    MarketUpdate,
    MarkUpdate,
    PrintUpdate,
    TouchUpdate,
)
from phoenix_worker.core import events as ev
from phoenix_worker.core.book import Applied
from phoenix_worker.core.engine import Engine
from phoenix_worker.runtime.recording import BadRecordingError, Frame, Head, SegmentReader, segments_of
from phoenix_worker.runtime.replay import engine_of


class Tape:
    """The segments in order: an engine where it starts anew, then events. What is missing is noted, never guessed."""

    def __init__(self, recording: Path) -> None:
        self._segments = segments_of(recording)
        self.notes: list[str] = []
        self.head: Head = SegmentReader(self._segments[0]).head

    def read(self) -> Iterator[Engine | Frame]:
        """Raises `BadRecordingError` where nothing can be read at all."""
        expected: int | None = None
        read = 0
        for path in self._segments:
            try:
                reader = SegmentReader(path)
                if reader.head.first_event != expected:
                    if expected is not None:
                        self.notes.append(f"{path.name}: events before it are missing: the book is taken from there")
                    yield engine_of(reader.head, path.name)
                    expected = reader.head.first_event
                for frame in reader.frames():
                    expected += 1
                    read += 1
                    yield frame
            except BadRecordingError as error:
                if not read:
                    raise
                self.notes.append(str(error))
                expected = -1
            else:
                if reader.cut:
                    self.notes.append(reader.cut)


class _Market:
    """Events of the engine as updates of a market source. The engine's own book says which of them count."""

    def __init__(self, engine: Engine) -> None:
        self._tick, self._step = engine.instrument.tick, engine.instrument.step
        self._inverse_tick, self._inverse_step = 1.0 / self._tick, 1.0 / self._step
        self.book = engine.book
        self._bids: dict[int, int] = {}
        self._asks: dict[int, int] = {}
        """As stated to the exchange so far, in steps."""
        self._last_id = self._trade_id = 0
        self.mark = MarkUpdate(0, round(engine.mark * E8), round(engine.index * E8), round(engine.funding_rate * E8))
        self.next_funding_ms = engine.next_funding_ms

    @property
    def opens(self) -> bool:
        return self.book.synced

    def start(self) -> MarketStart:
        """The book as it is, which is stated from now on."""
        self._bids, self._asks = self._steps(self.book.bids), self._steps(self.book.asks)
        self._last_id = self.book.last_id
        mid_e8 = round(self.book.mid_half_ticks / 2 * self._tick * E8)
        mark = self.mark
        return MarketStart(
            MarketKind.REPLAY,
            tuple(sorted(self._bids.items(), reverse=True)),
            tuple(sorted(self._asks.items())),
            mark.mark_e8 or mid_e8,
            mark.index_e8 or mid_e8,
            mark.funding_rate_e8,
            self._last_id,
            self._trade_id,
        )

    def begin_anew(self, engine: Engine, time_ns: int) -> MarketUpdate | None:
        """After a hole in the recording: the next segment's own book."""
        self.book = engine.book
        return self._restate(time_ns) if self.book.synced else None

    def on(self, event: ev.AnyEvent, time_ns: int) -> MarketUpdate | None:
        match event:
            case ev.Depth():
                return self._on_depth(event, time_ns)
            case ev.Touch() if self.book.synced:
                bid, ask = self._ticks(event.bid), self._ticks(event.ask)
                quantities = round(event.bid_qty * self._inverse_step), round(event.ask_qty * self._inverse_step)
                self.book.on_touch(event)
                return TouchUpdate(time_ns, event.update_id, bid, quantities[0], ask, quantities[1])
            case ev.Trade() if self.book.synced and event.trade_id > self._trade_id:
                self._trade_id = event.trade_id
                steps = round(event.qty * self._inverse_step)
                ticks = self._ticks(event.price)
                return PrintUpdate(time_ns, event.trade_id, ticks, steps, event.buyer_is_maker) if steps else None
            case ev.Mark():
                self.next_funding_ms = event.next_funding_ms
                rate_e8 = round(event.funding_rate * E8)
                self.mark = MarkUpdate(time_ns, round(event.mark * E8), round(event.index * E8), rate_e8)
                return self.mark
            case ev.Snapshot():
                applied = self.book.on_snapshot(event)
                return self._restate(time_ns) if applied is Applied.APPLIED else None
            case ev.StreamOpened(stream=ev.Stream.BOOK) | ev.StreamClosed(stream=ev.Stream.BOOK):
                self.book.reset()
                return None
            case _:
                return None

    def _on_depth(self, event: ev.Depth, time_ns: int) -> MarketUpdate | None:
        if self.book.on_depth(event) is not Applied.APPLIED or event.last_id <= self._last_id:
            return None
        bids, asks = self._levels(event.bids, self._bids), self._levels(event.asks, self._asks)
        first_id, self._last_id = self._last_id + 1, event.last_id
        return DepthUpdate(time_ns, bids, asks, first_id, event.last_id)

    def _restate(self, time_ns: int) -> MarketUpdate | None:
        """From what has been stated to the book as it is now: what happened between is not known, only its result."""
        bids, asks = self._steps(self.book.bids), self._steps(self.book.asks)
        changes = _changes(self._bids, bids), _changes(self._asks, asks)
        self._bids, self._asks = bids, asks
        if not (changes[0] or changes[1]) or self.book.last_id <= self._last_id:
            return None
        first_id, self._last_id = self._last_id + 1, self.book.last_id
        return DepthUpdate(time_ns, *changes, first_id, self._last_id)

    def _ticks(self, price: float) -> int:
        return int(price * self._inverse_tick + 0.5)

    def _steps(self, levels: dict[int, float]) -> dict[int, int]:
        inverse = self._inverse_step
        return {ticks: steps for ticks, quantity in levels.items() if (steps := round(quantity * inverse))}

    def _levels(self, levels: list[ev.Level], stated: dict[int, int]) -> tuple[Level, ...]:
        told = []
        for price, quantity in levels:
            ticks, steps = int(price * self._inverse_tick + 0.5), round(quantity * self._inverse_step)
            told.append((ticks, steps))
            if steps:
                stated[ticks] = steps
            else:
                stated.pop(ticks, None)
        return tuple(told)


class Listener(Protocol):
    """Hears what is read: engines where the recording starts anew, and every frame."""

    def keyframe(self, engine: Engine) -> None: ...

    def hear(self, frame: Frame) -> None: ...


class Opened(msgspec.Struct, frozen=True):
    """The market as it opens, and the engine's clock at that moment."""

    start: MarketStart
    at: int


def played(tape: Tape, listener: Listener | None = None) -> Iterator[Opened | MarketUpdate]:
    """The opening, then every update in ns since it; a listener hears every frame besides."""
    market: _Market | None = None
    opened_ns: int | None = None
    time_ns = 0
    for item in tape.read():
        update = None
        if isinstance(item, Engine):
            if market is None or opened_ns is None:
                market = _Market(item)
            else:
                update = market.begin_anew(item, time_ns)
            if listener is not None:
                listener.keyframe(item)
            at = item.now_ns
        else:
            if listener is not None:
                listener.hear(item)
            if market is None:
                continue
            at = item.event.at
            time_ns = max(time_ns, at - opened_ns) if opened_ns is not None else 0
            update = market.on(item.event, time_ns)
        if opened_ns is not None:
            if update is not None:
                yield update
        elif market.opens:
            opened_ns = at
            yield Opened(market.start(), at)


class RecordedMarket:
    """A `MarketSource` that begins where the recorded engine's book is known, and ends with the recording."""

    def __init__(self, recording: Path, symbol: str, start: MarketStart) -> None:
        """As `survey` found it."""
        self._recording = recording
        self._symbol = symbol
        self._start = start

    @property
    def symbol(self) -> str:
        return self._symbol

    def start(self) -> MarketStart:
        return self._start

    def updates(self, background: BackgroundView) -> Iterator[MarketUpdate]:  # noqa: ARG002 - a recording does not look
        for update in played(Tape(self._recording)):
            if not isinstance(update, Opened):
                yield update


def _changes(before: dict[int, int], after: dict[int, int]) -> tuple[Level, ...]:
    gone = [(ticks, 0) for ticks in before if ticks not in after]
    return tuple(gone + [(ticks, steps) for ticks, steps in after.items() if before.get(ticks) != steps])
