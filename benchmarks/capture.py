"""A capture for the benchmarks: the recorded one where it is there, else one made from the seeded market."""

import gzip
import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

RECORDING = Path(__file__).resolve().parent.parent.parent / "shared/data/binance-usdm/btcusdt_20240808.gz"


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
