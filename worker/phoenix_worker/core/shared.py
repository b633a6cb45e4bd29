"""What is shared with the account's other workers, as it is heard: lease, memory, grants of the ledger, switches."""

from phoenix_worker.core import memory
from phoenix_worker.core.actions import HaltSymbol, Note, NoteKind, RaiseEmergency
from phoenix_worker.core.decision import changed, decide
from phoenix_worker.core.events import (
    Coordination,
    Emergency,
    EmergencyLevel,
    Lease,
    Reserved,
    Restored,
    SymbolHalt,
)
from phoenix_worker.core.state import Out, State
from phoenix_worker.core.upkeep import arm_dead_man, reconcile

_NONE, _HALT = EmergencyLevel.NONE, EmergencyLevel.HALT


def on_restored(state: State, event: Restored, out: Out) -> None:
    """Told before the lease, so all of it counts before the first quote."""
    if not event.memory:
        state.session.unremembered = True
        out.append(Note(NoteKind.MEMORY, "nobody has left one: a position that is found cools down first"))
        return
    try:
        remembered = memory.read(event.memory, state.instrument.symbol)
    except memory.ForeignMemoryError as error:
        state.session.unremembered = True
        out.append(Note(NoteKind.MEMORY, f"not used: {error}"))
        return
    forgotten = memory.restore(state, remembered, event.age_ns, event.observed_ns)
    out.append(Note(NoteKind.MEMORY, f"of the last leader, {event.age_ns // 1_000_000_000} s old"))
    session = state.session
    if forgotten.emergency:
        out.append(RaiseEmergency(session.emergency.level, session.emergency.reason))
    if forgotten.halt:
        out.append(HaltSymbol(session.halt.reason))


def on_lease(state: State, event: Lease, out: Out) -> None:
    """A new token: arm the exchange's timer, cancel what older tokens left, read orders and position, then quote."""
    session = state.session
    gained = event.token != session.token
    session.token, session.deadline_ns = event.token, event.deadline_ns
    session.installation = event.installation or session.installation
    if not gained:
        return
    session.sequence, session.gained_ns = 0, event.at
    session.dead_man_until_ns = 0  # whoever led meanwhile may have let it run out
    state.unready_since_ns = 0
    state.account.orders.disown()
    state.reservation.forget()
    state.funding.forget()
    state.reconciliation.need("lease gained" if event.token else "lease lost")
    if event.token:
        arm_dead_man(state, out)
        reconcile(state, out)
    decide(state, event.at, out)


def on_reserved(state: State, event: Reserved, out: Out) -> None:
    if not state.reservation.on_granted(event.sequence, event.buy_steps, event.sell_steps):
        return
    if state.reservation.lowered:
        decide(state, event.at, out)  # what rests beyond it goes at once, however lately quotes were touched
    else:
        changed(state, out)


def on_emergency(state: State, event: Emergency, out: Out) -> None:
    session = state.session
    was_on = session.emergency.on
    if not session.emergency.hear(event.level, event.epoch, event.reason):
        out.append(RaiseEmergency(session.emergency.level, session.emergency.reason))
        return
    if session.second_writer and was_on and not session.emergency.on:
        # A person has looked and resumed. If it is still there, it is found before anything is quoted beside it.
        session.second_writer = False
        state.reconciliation.need("resumed after a second writer")
    out.append(Note(NoteKind.HALT, f"emergency {event.level.name.lower()}: {event.reason}"))
    decide(state, event.at, out)


def on_symbol_halt(state: State, event: SymbolHalt, out: Out) -> None:
    session = state.session
    was_on = session.halt.on
    if not session.halt.hear(_HALT if event.reason else _NONE, event.epoch, event.reason):
        out.append(HaltSymbol(session.halt.reason))
        return
    if was_on and not session.halt.on:
        state.account.failures.outcomes.clear()  # what it was for has been looked at
        state.losses.resumed = True
    if was_on or session.halt.on:
        out.append(Note(NoteKind.HALT, event.reason or "resumed"))
    decide(state, event.at, out)


def on_coordination(state: State, event: Coordination, out: Out) -> None:
    state.session.reachable, state.session.unreachable_reason = event.reachable, event.reason
    decide(state, event.at, out)


def raise_emergency(state: State, level: EmergencyLevel, reason: str, out: Out) -> None:
    """The whole account stops: here at once, everywhere as soon as it is shared. Once for each cause."""
    if state.session.emergency.raise_to(level, reason):
        out.append(RaiseEmergency(level, reason))


def halt_symbol(state: State, reason: str, out: Out) -> None:
    """Reducing quotes and guards live on; whoever leads next is halted, too."""
    if state.session.halt.raise_to(_HALT, reason):
        out.append(Note(NoteKind.HALT, reason))
        out.append(HaltSymbol(reason))
