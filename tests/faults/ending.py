"""How a cell ends: everything heals, the account quotes, is stopped and resumed, its workers leave, and its history is
judged.
"""

import asyncio
import contextlib
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from decimal import Decimal

from cell import Cell
from checker import Rule, Violation, check
from history import AtRest, LeaseReleased, LeaseRenewed, SwitchWritten, Told
from phoenix_coordination.redis.client import FAULTS
from phoenix_coordination.redis.records import read_records
from phoenix_coordination.state import EmergencyState, Role, StateRecord, decode
from phoenix_coordination.state_directory import final_record_path
from workers import Slot

_RECOVERS_WITHIN_S = 150
"""Longer than the 60 s for which a dead process counts, at the exchange and among the makers of an address."""
_RESTS_WITHIN_S = 30.0
"""Shorter than the 60 s after which the exchange itself takes out what a dead worker left."""
_WARM_WITHIN_S = 10.0
"""Without standbys nobody is killed: that a dead worker is not replaced at once is another story."""
_RENEWALS = 2
"""The first may have been asked for before the stop was written and told after it."""
_LOOK_S = 0.05
_AUDITED = {
    "twoWriters": Rule.ONE_TRADER,
    "exposure": Rule.LIMITS,
    "selfCrossing": Rule.ONE_TRADER,
    "rateLimitAbuse": Rule.STOP,
}


async def finish(cell: Cell, *, leaderless: bool = False) -> list[Violation]:
    """Whatever was violated from the first moment to the last. `leaderless`: at the stop that ends it nobody leads."""
    cell.exchange.server.faults.clear()
    for slot in cell.workers.slots.values():
        slot.heal()
    found: list[Violation] = []
    if recovered := await _recovered(cell):
        found += await _stopped(cell, leaderless=leaderless)
        recovered = await _recovered(cell)
    if not recovered:
        found += _silent(cell)
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


async def _stopped(cell: Cell, *, leaderless: bool) -> list[Violation]:
    """A stop at which nothing else happens: what rests once all have heard of it, and what each leader knows then."""
    if leaderless and await _within(_WARM_WITHIN_S, lambda: _warm(cell)):
        cell.note("the leaders are killed, and the account is stopped")
        for symbol in cell.plot.symbols:
            if (slot := cell.leader(symbol)) is not None:
                slot.signal(signal.SIGKILL)
    mark = len(cell.facts)
    await _within(_RESTS_WITHIN_S, lambda: _stop(cell))
    if not await _within(_RESTS_WITHIN_S, lambda: _heard(cell, mark)):
        return [Violation(Rule.STOP, time.monotonic_ns(), "account", "not everybody has heard of a stop")]
    await _within(_RESTS_WITHIN_S, lambda: _nothing_rests(cell))
    told: dict[str, StateRecord] = {}
    await _within(_RESTS_WITHIN_S, lambda: _positions_agree(cell, told))
    for symbol, record in told.items():
        steps = cell.exchange.steps(symbol, Decimal(record.position.qty))
        cell.hear(Told(at_ns=time.monotonic_ns(), symbol=symbol, holder=record.holder, position=steps))
    cell.hear(AtRest(at_ns=time.monotonic_ns()))
    await _within(_RESTS_WITHIN_S, lambda: _resume(cell))
    text = "whoever leads it publishes nothing under a stop"
    return [
        Violation(Rule.RECOVERY, time.monotonic_ns(), symbol, text)
        for symbol in cell.plot.symbols
        if symbol not in told
    ]


async def _within(seconds: float, condition: Callable[[], Awaitable[bool]]) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(*FAULTS):
            if await condition():
                return True
        await asyncio.sleep(_LOOK_S)
    return False


async def _stop(cell: Cell) -> bool:
    await cell.account.stop(1)
    return True


async def _resume(cell: Cell) -> bool:
    await cell.account.resume()
    return True


async def _warm(cell: Cell) -> bool:
    """Each symbol has a standby that could quote at once, and says so."""
    keys = [cell.account.keys.warm(symbol) for symbol in cell.plot.symbols]
    return all([await cell.account.client.execute_command("EXISTS", key) for key in keys])


async def _heard(cell: Cell, mark: int) -> bool:
    """Each symbol's lease was renewed by who holds it since the stop was written: the answer told the stop."""
    stop = next((n for n in range(mark, len(cell.facts)) if isinstance(cell.facts[n], SwitchWritten)), None)
    if stop is None:
        return False
    renewed = Counter(fact.symbol for fact in cell.facts[stop:] if isinstance(fact, LeaseRenewed))
    return all(cell.leader(symbol) is not None and renewed[symbol] >= _RENEWALS for symbol in cell.plot.symbols)


async def _nothing_rests(cell: Cell) -> bool:
    return not any(cell.exchange.resting(symbol) for symbol in cell.plot.symbols)


async def _positions_agree(cell: Cell, told: dict[str, StateRecord]) -> bool:
    """`told`: by symbol, what its leader has published since it knows of the stop."""
    published = await read_records(cell.account.client, cell.account.keys)
    told.clear()
    for record in published.records:
        lease = cell.leases.get(record.symbol)
        knows = record.emergency.level != EmergencyState().level
        if record.role is Role.LEADING and knows and lease is not None and record.token == lease.token:
            told[record.symbol] = record
    return all(
        symbol in told and Decimal(told[symbol].position.qty) == cell.exchange.position_in_base_units(symbol)
        for symbol in cell.plot.symbols
    )


async def _recovered(cell: Cell) -> bool:
    """Whoever is at the account's limit sells only, and would quote both sides once somebody has bought."""
    for _ in range(_RECOVERS_WITHIN_S):
        if await cell.quoting(1.0):
            return True
        for symbol in cell.plot.symbols:
            if not cell.quotes(symbol):
                cell.exchange.take(symbol)
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
