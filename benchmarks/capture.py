"""A capture for the benchmarks: the recorded one where it is there, else one made from the seeded market."""

import gzip
import os
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

import orjson
from phoenix_simulator.exchange.events import DepthChanged, ExchangeEvent, TouchChanged, TradePrinted
from phoenix_simulator.exchange.exchange import Exchange
from phoenix_simulator.exchange.symbols import BUILT_IN
from phoenix_simulator.market.synthetic import SyntheticSource

RECORDING = Path(__file__).resolve().parent.parent.parent / "shared/data/binance-usdm/btcusdt_20240808.gz"
SYMBOL = "BTCUSDT"
SYNTHETIC_SECONDS = 120
SYNTHETIC_SEED = 1
_FRAME_MS = 52
"""Changes of the book are gathered into frames so far apart, as the recording's are."""
_BEGAN_MS = 1_700_000_000_000


class Kind(StrEnum):
    DEPTH = "depth"
    TICKER = "bookTicker"
    TRADE = "trade"
    SNAPSHOT = "snapshot"


@dataclass(frozen=True, slots=True)
class Frame:
    """One message as it came: receive time in ns and the raw bytes."""

    at_ns: int
    kind: Kind
    raw: bytes


def path() -> Path | None:
    """The capture to use, or none where there is none on this machine."""
    chosen = Path(os.environ.get("PHOENIX_CAPTURE", RECORDING))
    return chosen if chosen.is_file() else None


def load(source: Path) -> list[Frame]:
    """All frames in order (`<local ns> <raw JSON>` a line)."""
    frames = []
    with gzip.open(source, "rb") as lines:
        for line in lines:
            stamp, raw = line.rstrip().split(b" ", 1)
            frames.append(Frame(int(stamp), _kind(raw), raw))
    return frames


def _kind(raw: bytes) -> Kind:
    head = raw[:48]
    if b"@bookTicker" in head:
        return Kind.TICKER
    if b"@depth" in head:
        return Kind.DEPTH
    if b"@trade" in head:
        return Kind.TRADE
    return Kind.SNAPSHOT


def synthetic(seconds: float = SYNTHETIC_SECONDS) -> list[Frame]:
    """What the simulated exchange's seeded market would send, without an exchange round it."""
    spec = BUILT_IN[SYMBOL]
    source = SyntheticSource(spec, SYNTHETIC_SEED)
    exchange = Exchange()
    exchange.list_symbol(spec, source.start(), 0)
    written = _Writer(spec.tick_size.normalize(), spec.step_size.normalize())
    snapshot = exchange.depth(SYMBOL, 1_000)
    written.snapshot(snapshot.bids, snapshot.asks)
    exchange.listeners.append(written.hear)
    for update in source.updates(exchange.background(SYMBOL)):
        if update.time_ns > seconds * 1e9:
            break
        exchange.apply(SYMBOL, update, update.time_ns // 1_000_000)
    return written.frames


class _Writer:
    """The exchange's changes as frames of the venue, with update ids of its own that count without gaps."""

    def __init__(self, tick: Decimal, step: Decimal) -> None:
        self.frames: list[Frame] = []
        self._tick, self._step = tick, step
        self._bids: dict[int, int] = {}
        self._asks: dict[int, int] = {}
        self._gathered_since_ms = 0
        self._update_id = self._last_frame_id = 1
        self._trade_id = 0

    def snapshot(self, bids: Sequence[tuple[int, int]], asks: Sequence[tuple[int, int]]) -> None:
        body = {"lastUpdateId": self._update_id, "bids": self._levels(bids), "asks": self._levels(asks)}
        self.frames.append(Frame(_BEGAN_MS * 1_000_000, Kind.SNAPSHOT, orjson.dumps(body)))

    def hear(self, event: ExchangeEvent) -> None:
        match event:
            case DepthChanged():
                self._update_id += 1
                self._bids |= dict(event.bids)
                self._asks |= dict(event.asks)
                if event.time_ms - self._gathered_since_ms >= _FRAME_MS:
                    self._depth(event.time_ms)
            case TouchChanged():
                self._send(event.time_ms, Kind.TICKER, {
                    "u": self._update_id,
                    "b": self._price(event.bid_ticks), "B": self._qty(event.bid_steps),
                    "a": self._price(event.ask_ticks), "A": self._qty(event.ask_steps),
                })  # fmt: skip
            case TradePrinted():
                self._trade_id += 1
                self._send(event.time_ms, Kind.TRADE, {
                    "t": self._trade_id, "p": self._price(event.price_ticks), "q": self._qty(event.qty_steps),
                    "X": "MARKET", "m": event.buyer_is_maker,
                })  # fmt: skip
            case _:
                pass

    def _depth(self, time_ms: int) -> None:
        first, self._gathered_since_ms = self._last_frame_id + 1, time_ms
        bids, asks = self._levels(sorted(self._bids.items())), self._levels(sorted(self._asks.items()))
        ids = {"U": first, "u": self._update_id, "pu": self._last_frame_id}
        self._send(time_ms, Kind.DEPTH, {**ids, "b": bids, "a": asks})
        self._last_frame_id = self._update_id
        self._bids.clear()
        self._asks.clear()

    def _send(self, time_ms: int, kind: Kind, fields: dict[str, object]) -> None:
        at_ms = _BEGAN_MS + time_ms
        event, stream = ("depthUpdate", "depth@0ms") if kind is Kind.DEPTH else (kind.value, kind.value)
        data = {"e": event, "E": at_ms, "T": at_ms, "s": SYMBOL, **fields}
        self.frames.append(
            Frame(at_ms * 1_000_000, kind, orjson.dumps({"stream": f"{SYMBOL.lower()}@{stream}", "data": data}))
        )

    def _levels(self, levels: Sequence[tuple[int, int]]) -> list[tuple[str, str]]:
        return [(self._price(ticks), self._qty(steps)) for ticks, steps in levels]

    def _price(self, ticks: int) -> str:
        return str(ticks * self._tick)

    def _qty(self, steps: int) -> str:
        return str(steps * self._step)
