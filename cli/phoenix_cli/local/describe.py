"""From a worker's state record to what people read: a row of the screen, and a line for what has changed."""

import signal
from collections.abc import Iterator
from decimal import Decimal

from phoenix_coordination.state import SWITCH_NOT_READ, Quote, Reason, Role, StateRecord
from phoenix_crds import MarketMaker

from phoenix_cli.local.view import MakerView, Mood, QuoteView

_SAID_BY_THE_REASON = frozenset({"", "normal", "emergency"})
_OF_RISK = frozenset(
    {
        Reason.RISK_HALTED,
        Reason.FOREIGN_ACTIVITY,
        Reason.SYMBOL_NOT_TRADING,
        Reason.REDUCE_ONLY,
        Reason.COOLDOWN,
        Reason.TOXIC_FLOW,
        Reason.PAUSED,
    }
)
"""Why a worker that is ready does not quote, or not both sides: news for who watches. Others come and go."""


def health(record: StateRecord) -> str:
    """`Quoting`, or the first reason that it does not, in the vocabulary of `/readyz`, with its sentence; and the mode
    where it is not the normal one: `Quoting, pin`.
    """
    mode = f", {record.guard}" if record.guard not in _SAID_BY_THE_REASON else ""
    if record.reason is Reason.QUOTING or not record.detail:
        return f"{record.reason}{mode}"
    return f"{record.reason}{mode}: {record.detail}"


def mood(record: StateRecord) -> Mood:
    if record.reason is Reason.QUOTING:
        return Mood.GOOD if record.guard in _SAID_BY_THE_REASON else Mood.WARNING
    if record.ready or record.role in (Role.STARTING, Role.DRAINING):
        return Mood.WARNING
    return Mood.BAD


def ending(code: int) -> str:
    """How a process ended, for people: `ended with status 1`, `was ended by SIGKILL`."""
    if code >= 0:
        return f"ended with status {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def maker_view(
    maker: MarketMaker, said: StateRecord | None, *, alive: bool, restarts: int, pid: int | None
) -> MakerView:
    """The row of a maker. Of a worker that is gone it still tells the position, but neither quotes nor price."""
    row = MakerView(
        name=maker.metadata.name,
        symbol=maker.spec.symbol,
        health="no worker" if pid is None and said is not None else "starting",
        mood=Mood.WARNING,
        net_max=maker.spec.net_max,
        restarts=restarts,
        pid=pid,
    )
    return row if said is None else with_record(row, said, alive=alive)


def with_record(row: MakerView, said: StateRecord, *, alive: bool) -> MakerView:
    """The row filled with what a worker has said."""
    net_max = Decimal(said.position.net_max) or row.net_max
    worst = max(abs(Decimal(said.position.worst_case_long)), abs(Decimal(said.position.worst_case_short)))
    return MakerView(
        name=row.name,
        symbol=row.symbol,
        health=health(said) if alive else row.health,
        mood=mood(said) if alive else row.mood,
        bid=_decimal(said.prices.bid) if alive else None,
        ask=_decimal(said.prices.ask) if alive else None,
        bids=_quotes(said.quotes.bids) if alive else (),
        asks=_quotes(said.quotes.asks) if alive else (),
        position=Decimal(said.position.qty),
        net_max=net_max,
        worst_case_ratio=float(worst / net_max) if alive else None,
        pnl=said.pnl.total,
        day=_decimal(said.pnl.day),
        fees=None if said.pnl.fees is None else -Decimal(said.pnl.fees),
        fills=said.activity.fills,
        restarts=row.restarts,
        pid=row.pid,
    )


def changes(before: StateRecord | None, now: StateRecord) -> Iterator[tuple[str, Mood]]:
    """What somebody who watches wants to hear of, between two records of one worker."""
    if before is None or before.ready != now.ready or (now.ready and before.role is not now.role):
        if now.ready:
            yield f"ready, {now.role}", Mood.GOOD
        elif before is not None:
            yield f"not ready: {health(now)}", Mood.WARNING
    elif not now.ready and before.reason is not now.reason:
        yield f"not ready: {health(now)}", Mood.WARNING
    yield from _risk(before, now)
    if _raised(now) != (_raised(before) if before is not None else "None"):
        yield f"emergency {now.emergency.level} {now.emergency.reason}".rstrip(), Mood.BAD
    refused = now.configuration.refused
    if refused and (before is None or before.configuration.refused != refused):
        yield f"parameters refused: {refused}", Mood.BAD
    if before is not None and now.activity.fills > before.activity.fills:
        yield _fills(before, now), Mood.PLAIN


def _raised(record: StateRecord) -> str:
    """The emergency's level, as far as somebody raised it: the halt that every worker starts in is no news."""
    return "None" if record.emergency.reason == SWITCH_NOT_READ else record.emergency.level


def _risk(before: StateRecord | None, now: StateRecord) -> Iterator[tuple[str, Mood]]:
    """Another mode, a halt, a reason of risk that came or went."""
    if now.halt.reason and (before is None or before.halt.reason != now.halt.reason):
        yield f"halted: {now.halt.reason}", Mood.BAD
    if before is None:
        return
    if before.guard != now.guard:
        yield f"mode: {now.guard}", Mood.GOOD if now.guard == "normal" else Mood.WARNING
    if before.reason is now.reason or not now.ready:
        return
    if now.reason in _OF_RISK:
        yield health(now), Mood.WARNING
    elif before.reason in _OF_RISK and now.reason.severity > before.reason.severity:
        yield f"no longer {before.reason}: {health(now)}", Mood.GOOD


def _fills(before: StateRecord, now: StateRecord) -> str:
    bought = Decimal(now.activity.bought) - Decimal(before.activity.bought)
    sold = Decimal(now.activity.sold) - Decimal(before.activity.sold)
    sides = [f"{verb} {quantity:f}" for verb, quantity in (("bought", bought), ("sold", sold)) if quantity]
    count = now.activity.fills - before.activity.fills
    return f"{' and '.join(sides)} ({count} fill{'s' * (count > 1)}), position {now.position.qty}"


def _quotes(quotes: list[Quote]) -> tuple[QuoteView, ...]:
    return tuple(QuoteView(Decimal(quote.price), Decimal(quote.qty)) for quote in quotes)


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
