"""`KIND@T` and `KIND:SYMBOL@T`: what may be made to fail in a run, and when.

T counts in the run's own time from the moment the run begins. Without a SYMBOL a fault hits the first maker of the run;
`outage`, `stop` and what happens to Redis hit everyone.
"""

import argparse
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from phoenix_crds.values import Duration


class FaultKind(StrEnum):
    """What fails; see `DESCRIPTIONS`."""

    STALE = "stale"
    GAP = "gap"
    DISCONNECT = "disconnect"
    OUTAGE = "outage"
    UNKNOWN_ORDER = "unknown-order"
    KILL = "kill"
    PAUSE = "pause"
    REDIS_RESTART = "redis-restart"
    REDIS_FLUSH = "redis-flush"
    STOP = "stop"


DESCRIPTIONS = {
    FaultKind.STALE: "the symbol's book streams fall silent",
    FaultKind.GAP: "depth frames are lost",
    FaultKind.DISCONNECT: "the exchange drops the symbol's connections",
    FaultKind.OUTAGE: "the whole venue falls silent",
    FaultKind.UNKNOWN_ORDER: "the next orders and amends are executed, their answers are lost",
    FaultKind.KILL: "the worker is killed (SIGKILL)",
    FaultKind.PAUSE: "the worker is frozen (SIGSTOP) for longer than its lease",
    FaultKind.REDIS_RESTART: "the run's Redis is killed and comes back with what it had",
    FaultKind.REDIS_FLUSH: "the run's Redis forgets everything",
    FaultKind.STOP: "the account's emergency switch goes to Halt, where it stays until `phoenix resume`",
}

EVERYONE = frozenset({FaultKind.OUTAGE, FaultKind.REDIS_RESTART, FaultKind.REDIS_FLUSH, FaultKind.STOP})


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of the command line; `symbol` is None for the first maker, or for everyone."""

    kind: FaultKind
    symbol: str | None
    at_s: float

    @property
    def hits_everyone(self) -> bool:
        return self.kind in EVERYONE


def parse_fault(text: str) -> Fault:
    """`stale@20s`, `kill:ETHUSDC@1m` → Fault; raises `argparse.ArgumentTypeError` with what to write instead."""
    what, at, when = text.partition("@")
    name, colon, symbol = what.partition(":")
    if not at or (colon and not symbol):
        raise argparse.ArgumentTypeError(f'"{text}": write KIND@T or KIND:SYMBOL@T, for example stale@20s')
    try:
        kind = FaultKind(name)
    except ValueError:
        known = ", ".join(DESCRIPTIONS)
        raise argparse.ArgumentTypeError(f'"{name}" is no fault; there are: {known}') from None
    if symbol and kind in EVERYONE:
        raise argparse.ArgumentTypeError(f'"{name}" hits everyone: write {name}@{when} without a symbol')
    return Fault(kind, symbol or None, parse_seconds(when))


def parse_seconds(text: str) -> float:
    """A duration as everywhere in Phoenix (`500ms`, `20s`, `1m`) in seconds; raises `argparse.ArgumentTypeError`."""
    try:
        return Duration.parse(text).ns / 1e9
    except ValueError:
        raise argparse.ArgumentTypeError(f'"{text}" is no duration: write for example 500ms, 20s, 1m or 8h') from None


_STALE_S, _OUTAGE_S = 8.0, 10.0
"""Seconds of the run: long enough for every step of the recovery (staleAfter is 2 s, reconnects back off)."""

PAUSE_S = 7.0
"""Longer than the lease (5 s): the paused worker wakes up as one that may not trade."""

_LOST_ANSWERS = 2


def venue_faults(kind: FaultKind, symbol: str) -> list[dict[str, Any]]:
    """What `POST /sim/fault` is told, one by one; raises ValueError for kinds that are not the exchange's to do."""
    match kind:
        case FaultKind.STALE:
            return [{"kind": "silence", "symbol": symbol, "route": "public", "durationSeconds": _STALE_S}]
        case FaultKind.GAP:
            return [{"kind": "gap", "symbol": symbol}]
        case FaultKind.DISCONNECT:
            return [{"kind": "disconnect", "symbol": symbol}]
        case FaultKind.OUTAGE:
            return [{"kind": "outage", "durationSeconds": _OUTAGE_S}]
        case FaultKind.UNKNOWN_ORDER:
            return [
                {"kind": "answer-lost", "endpoint": endpoint, "symbol": symbol, "count": _LOST_ANSWERS}
                for endpoint in ("order.place", "order.modify")
            ]
        case FaultKind.KILL | FaultKind.PAUSE | FaultKind.REDIS_RESTART | FaultKind.REDIS_FLUSH | FaultKind.STOP:
            raise ValueError(f"{kind} is not a fault of the venue")
