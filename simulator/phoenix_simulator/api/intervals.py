"""Candle intervals and where their candles open (UTC; weeks open on Monday, months on the first)."""

from datetime import UTC, datetime
from typing import Final

MINUTE_MS: Final = 60_000
_HOUR_MS: Final = 60 * MINUTE_MS
_DAY_MS: Final = 24 * _HOUR_MS
_MONTH: Final = "1M"
_MONDAY_MS: Final = 4 * _DAY_MS
"""The epoch was a Thursday; the first Monday came four days later."""

DURATIONS_MS: Final = {
    "1m": MINUTE_MS,
    "3m": 3 * MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": _HOUR_MS,
    "2h": 2 * _HOUR_MS,
    "4h": 4 * _HOUR_MS,
    "6h": 6 * _HOUR_MS,
    "8h": 8 * _HOUR_MS,
    "12h": 12 * _HOUR_MS,
    "1d": _DAY_MS,
    "3d": 3 * _DAY_MS,
    "1w": 7 * _DAY_MS,
}
NAMES: Final = frozenset({*DURATIONS_MS, _MONTH})


def open_of(interval: str, time_ms: int) -> int:
    """When the candle that holds this time opened. ValueError for a month beyond the calendar (years 1 to 9999)."""
    if interval == _MONTH:
        moment = datetime.fromtimestamp(time_ms / 1000, UTC)
        return int(datetime(moment.year, moment.month, 1, tzinfo=UTC).timestamp() * 1000)
    duration_ms = DURATIONS_MS[interval]
    offset_ms = _MONDAY_MS if interval == "1w" else 0
    return time_ms - (time_ms - offset_ms) % duration_ms


def next_open(interval: str, open_ms: int) -> int:
    if interval == _MONTH:
        # The 32nd day of any month lies in the next one.
        return open_of(interval, open_ms + 32 * _DAY_MS)
    return open_ms + DURATIONS_MS[interval]


def previous_opens(interval: str, last_open_ms: int, count: int) -> int:
    """The open `count` candles before `last_open_ms`."""
    if interval == _MONTH:
        open_ms = last_open_ms
        for _ in range(count):
            open_ms = open_of(interval, open_ms - 1)
        return open_ms
    return last_open_ms - count * DURATIONS_MS[interval]
