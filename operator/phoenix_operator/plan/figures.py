"""Live figures in the status: seldom, and only where they say something new. `phoenix top` shows the present."""

from decimal import Decimal, InvalidOperation

import msgspec
from phoenix_coordination.state import StateRecord
from phoenix_crds import Figures, Instant

LEAST_MS = 60_000
LONGEST_JITTER_MS = 15_000
POSITION_SHARE = Decimal("0.05")
"""Of netMax."""
MID_SHARE = Decimal("0.005")
PNL_SHARE = Decimal("0.001")
"""Of the largest position's value: a few basis points on what is at stake."""
_DIGITS = Decimal("0.00000001")
_CENT = Decimal("0.01")


class Told(msgspec.Struct, frozen=True):
    """What the status shall say, and when to look again."""

    figures: Figures | None
    again_ms: int | None


def plan_figures(previous: Figures | None, record: StateRecord | None, now_ms: int, jitter: float) -> Told:
    """`jitter`: 0 … 1, the maker's own, so that a thousand makers do not write in one second."""
    if record is None or record.prices.mid is None:
        return Told(previous, None)
    wait_ms = LEAST_MS + int(jitter * LONGEST_JITTER_MS)
    last_ms = previous.at.ms if previous is not None and previous.at is not None else None
    if last_ms is not None and 0 <= now_ms - last_ms < wait_ms:
        return Told(previous, last_ms + wait_ms - now_ms)
    present = _figures(record, now_ms)
    if present is None or (previous is not None and not _is_news(previous, present, record)):
        return Told(previous, wait_ms)
    return Told(present, wait_ms)


def pnl_of(record: StateRecord) -> Decimal | None:
    """Realised and unrealised, after fees (positive = paid) and funding (negative = paid). None: one is no number, or
    fees were paid in what has no price yet.
    """
    pnl = record.pnl
    if pnl.fees is None:
        return None
    parts = [decimal_of(pnl.realised), decimal_of(pnl.unrealised), decimal_of(pnl.funding), decimal_of(pnl.fees)]
    realised, unrealised, funding, fees = parts
    if realised is None or unrealised is None or funding is None or fees is None:
        return None
    return realised + unrealised + funding - fees


def _figures(record: StateRecord, now_ms: int) -> Figures | None:
    position, pnl = decimal_of(record.position.qty), pnl_of(record)
    mid = decimal_of(repr(record.prices.mid))
    longest, shortest = decimal_of(record.position.worst_case_long), decimal_of(record.position.worst_case_short)
    unpriced = record.pnl.fees is None  # the other figures are told without it
    if position is None or (pnl is None and not unpriced) or mid is None or longest is None or shortest is None:
        return None
    return Figures(
        position=position,
        mid=_rounded(mid),
        pnl=None if pnl is None else _rounded(pnl, _CENT),
        worst_case=max(abs(longest), abs(shortest)),
        at=Instant(now_ms // 1000 * 1000),
    )


def _is_news(previous: Figures, present: Figures, record: StateRecord) -> bool:
    pairs = (
        (previous.position, present.position),
        (previous.mid, present.mid),
        (previous.pnl, present.pnl),
    )
    if any((was is None) is not (now is None) for was, now in pairs):
        return True
    net_max = decimal_of(record.position.net_max) or Decimal(0)
    mid = present.mid or Decimal(0)
    thresholds = (net_max * POSITION_SHARE, mid * MID_SHARE, net_max * mid * PNL_SHARE)
    went_flat = (previous.position == 0) != (present.position == 0)
    return went_flat or any(
        abs(now - was) > threshold
        for (was, now), threshold in zip(pairs, thresholds, strict=True)
        if was is not None and now is not None
    )


def _rounded(value: Decimal, digits: Decimal = _DIGITS) -> Decimal:
    return value.quantize(digits).normalize() + Decimal(0)


def decimal_of(text: str) -> Decimal | None:
    """A record's exact number; None where it is none."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() else None
