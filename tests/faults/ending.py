"""How a cell ends: everything heals, the account quotes again, is stopped in order, and its history is judged."""

import contextlib
import time
from collections.abc import Iterator
from decimal import Decimal

from cell import Cell
from checker import Rule, Violation, check
from history import LeaseReleased
from phoenix_coordination.redis.client import FAULTS
from phoenix_coordination.state import decode
from phoenix_coordination.state_directory import final_record_path
from workers import Slot

_RECOVERS_WITHIN_S = 150
"""Longer than the 60 s for which a dead process counts, at the exchange and among the makers of an address."""
_AUDITED = {
    "twoWriters": Rule.ONE_TRADER,
    "exposure": Rule.LIMITS,
    "selfCrossing": Rule.ONE_TRADER,
    "rateLimitAbuse": Rule.STOP,
}


async def finish(cell: Cell) -> list[Violation]:
    """Whatever was violated from the first moment to the last."""
    cell.exchange.server.faults.clear()
    for slot in cell.workers.slots.values():
        slot.heal()
    recovered = await _recovered(cell)
    found = [] if recovered else list(_silent(cell))
    leaders = {symbol: cell.leader(symbol) for symbol in cell.plot.symbols}
    mark = len(cell.facts)
    for message in await cell.workers.stop():
        if message.status:
            text = f"{message.name} ended with status {message.status} when it was told to stop"
            found.append(Violation(Rule.RECOVERY, time.monotonic_ns(), "", text))
    if recovered:
        # Who lost its lease on the way out, on a busy machine, has no say on the position: the next leader would.
        handed_in = {fact.symbol for fact in cell.facts[mark:] if isinstance(fact, LeaseReleased)}
        found += _disagreements(cell, leaders, handed_in)
    found += _audited(cell)
    return [*check(cell.facts, cell.terms), *check(cell.crowd, cell.terms), *found]


async def _recovered(cell: Cell) -> bool:
    for _ in range(_RECOVERS_WITHIN_S):
        if await cell.quoting(1.0):
            return True
        with contextlib.suppress(*FAULTS):
            await cell.account.seed()
            await cell.account.resume()
            await cell.resume_symbols()
    return False


def _silent(cell: Cell) -> Iterator[Violation]:
    for symbol in cell.plot.symbols:
        if not cell.quotes(symbol):
            text = "does not quote again after everything has healed"
            yield Violation(Rule.RECOVERY, time.monotonic_ns(), symbol, text)


def _disagreements(cell: Cell, leaders: dict[str, Slot | None], handed_in: set[str]) -> list[Violation]:
    """What the last leaders told as their last word, against the exchange's books."""
    found = []
    at_ns = time.monotonic_ns()

    def say(symbol: str, text: str) -> None:
        found.append(Violation(Rule.NOTHING_FORGOTTEN, at_ns, symbol, text))

    for symbol, slot in leaders.items():
        if cell.exchange.resting(symbol):
            say(symbol, f"{cell.exchange.resting(symbol)} orders rest after everybody has stopped")
        if slot is None:
            say(symbol, "nobody led it at the end")
            continue
        resolved = cell.plot.resolved[symbol]
        path = final_record_path(slot.directory / "state", resolved.namespace, resolved.maker)
        if not path.exists():
            say(symbol, f"{slot.process} left no last record")
            continue
        told = Decimal(decode(path.read_bytes()).position.qty)
        theirs = cell.exchange.position_in_base_units(symbol)
        if symbol in handed_in and told != theirs:
            say(symbol, f"{slot.process} says position {told}, the exchange {theirs}")
    return found


def _audited(cell: Cell) -> Iterator[Violation]:
    """What the exchange's own audit found; another installation's orders are what they are."""
    at_ns = time.monotonic_ns()
    for violation in cell.exchange.server.audit.report().examples:
        rule = _AUDITED.get(violation.kind.value)
        if rule is not None and (rule is Rule.STOP or not cell.exchange.was_foreign):
            yield Violation(rule, at_ns, violation.symbol, f"{violation.kind}: {violation.detail}")
