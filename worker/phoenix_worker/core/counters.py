"""What has happened so often: for metrics and the report. Counting decides nothing."""

from typing import TypeVar

import msgspec

_Key = TypeVar("_Key")


class Counters(msgspec.Struct):
    market_events: int = 0
    decisions: int = 0
    placed: int = 0
    amended: int = 0
    cancelled: int = 0
    resyncs: int = 0
    reconnects_asked: int = 0
    layers_dropped: int = 0
    max_worst_case_ratio: float = 0.0
    denials: dict[str, int] = {}
    """By the gate's reason: never sent."""
    refusals: dict[str, int] = {}
    """By the venue's reason: sent and refused with proof."""
    codes: dict[int, int] = {}
    """The venue's error codes behind them."""
    unknown: dict[str, int] = {}
    """Requests without an answer, by kind."""
    self_trades: int = 0
    """Orders of ours that the exchange ended before they traded with each other."""
    foreign_fills: int = 0
    parameters_set: int = 0


def bump(counts: dict[_Key, int], key: _Key) -> None:
    counts[key] = counts.get(key, 0) + 1
