"""What the makers of an account have come to together since 00:00 UTC, and what follows where it is too little.

Each leader rebuilds its symbol's day from the exchange (`day.py`) and tells it; the steward adds them up. Of a symbol
that nobody leads the last that was told counts on, with its position at the mark of now: a maker that dies takes no
loss with it. What no maker of ours trades is a person's, and not among them.
"""

from collections.abc import Iterable, Mapping

import msgspec
from phoenix_coordination.state import SymbolDay

from phoenix_worker.core.events import EmergencyLevel
from phoenix_worker.core.instrument import MONEY


class Held(msgspec.Struct, frozen=True):
    """A position as the exchange tells it: `qty` signed, in base units."""

    qty: float
    mark: float


def followed(
    known: Iterable[SymbolDay], told: Iterable[SymbolDay], held: Mapping[str, Held], today_ms: int
) -> list[SymbolDay]:
    """The day that began at `today_ms`, by symbol: what leaders tell of it, and of all others what is known.

    A leader that still tells of yesterday has not begun the new day yet.
    """
    days = {day.symbol: _alone(day, held.get(day.symbol), today_ms) for day in known}
    days |= {day.symbol: day for day in told if day.start_ms == today_ms}
    return sorted((day for day in days.values() if day.result or day.qty), key=lambda day: day.symbol)


def total(days: Iterable[SymbolDay]) -> int:
    """In money (1e-8 quote); dollar tokens count as equal, as in the account's other limits."""
    return sum(day.result for day in days)


def called_for(days: Iterable[SymbolDay], limit: int) -> tuple[EmergencyLevel, str]:
    """The emergency that a loss beyond `limit` (money) calls for, and why.

    It sticks until a person resumes; and comes again while the loss of the same day is beyond the limit, so that who
    may resume does not thereby raise a limit.
    """
    loss = -total(days)
    if loss <= limit:
        return EmergencyLevel.NONE, ""
    return EmergencyLevel.HALT, (
        f"the account has lost {loss / MONEY:.2f} since 00:00 UTC, more than limits.dailyLoss of {limit / MONEY:.2f}: "
        "resume it on the next UTC day, or once the limit is raised"
    )


def _alone(day: SymbolDay, held: Held | None, today_ms: int) -> SymbolDay:
    """A day that nobody tells any more, at the mark of now. A position that is gone had its last mark."""
    if held is None:
        held = Held(0.0, day.mark)
    moved = round(day.qty * (held.mark - day.mark) * MONEY) if min(held.mark, day.mark) > 0 else 0
    result = day.result + moved if day.start_ms >= today_ms else 0
    mark = held.mark if held.mark > 0 else day.mark
    return SymbolDay(day.symbol, max(day.start_ms, today_ms), result, held.qty, mark)
