"""The engine: events in, actions out, and nothing else. The only file where the parts meet.

A decision (plan, difference, gate) is made when the market has left the range in which every quote stays in its keep
band, when something about us has changed, and otherwise at least every 250 ms.
"""

from collections.abc import Callable
from typing import Any
from zlib import crc32

import msgspec

from phoenix_worker.core import events as ev
from phoenix_worker.core import foreign, memory, reckoning, reconcile, shared
from phoenix_worker.core.account import NEVER_JUDGED, Verdict
from phoenix_worker.core.actions import AnyAction, Cancel, CancelAll, Exit, Note, NoteKind
from phoenix_worker.core.book import Applied, Book
from phoenix_worker.core.decision import changed, consider, decide, tell_bracket
from phoenix_worker.core.events import EmergencyLevel, Stream
from phoenix_worker.core.freshness import Phase, Staleness
from phoenix_worker.core.instrument import Instrument
from phoenix_worker.core.orders import Life
from phoenix_worker.core.parameters import Parameters
from phoenix_worker.core.reconcile import Owner
from phoenix_worker.core.risk import ORDERS_KEPT_FOR_REDUCING
from phoenix_worker.core.state import Out, State
from phoenix_worker.core.upkeep import SNAPSHOT_RETRY_NS, ask_snapshot, on_tick, went_stale, withdraw_in_order
from phoenix_worker.core.upkeep import reconcile as read_truth
from phoenix_worker.core.view import View, view, warm

STOOD_STILL_NS = 250_000_000
"""By how much the exchange's clock must have run ahead of ours, beyond all error. Less is within the lease's margin."""


CLOSES = 31
"""Minutes from which the 30-minute deviation starts."""
FUNDING_SPREAD_MS = 60_000
"""Over which an account's symbols spread their readings after a settlement, each at its own second."""


class Engine(State):
    """One symbol. `on` is the only way in, `view` the only way to look."""

    @classmethod
    def new(
        cls, parameters: Parameters, instrument: Instrument, at: int, *, dry_run: bool, revision: str = ""
    ) -> "Engine":
        engine = cls(instrument, parameters, revision, dry_run, at, at, Book(1.0 / instrument.tick))
        engine.session.user_lost_since_ns = at  # it has yet to be opened: one that never is, is given up, too
        return engine

    @classmethod
    def from_keyframe(cls, data: bytes) -> "Engine":
        """Raises `msgspec.DecodeError` where the bytes are no keyframe of this build."""
        return msgspec.msgpack.decode(data, type=cls)

    def keyframe(self) -> bytes:
        return msgspec.msgpack.encode(self)

    def remember(self) -> bytes:
        """What the symbol's next leader needs and the exchange cannot tell (see `memory`): its `Restored`."""
        return memory.remember(self)

    def view(self) -> View:
        return view(self)

    def warm(self) -> bool:
        """Whether leading is all that is missing."""
        return warm(self)

    def on(self, event: ev.AnyEvent) -> list[AnyAction]:
        """One event, and all that follows from it."""
        out: Out = []
        self.now_ns = event.at
        _HANDLERS[type(event)](self, event, out)
        if self.session.stopping:
            withdraw_in_order(self, out)
        return out


def _on_touch(state: State, event: ev.Touch, out: Out) -> None:
    _frame(state, event.at, event.event_ms, out, diff=False)
    book = state.book
    if not state.freshness.ahead_since_ns and event.update_id > book.last_id and book.synced:
        state.freshness.ahead_since_ns = event.at
    if book.on_touch(event):
        if not book.synced:
            _book_lost(state, "the touch is crossed or has an empty side", out)
        elif state.dirty or not state.market_low <= book.touch_bid + book.touch_ask <= state.market_high:
            consider(state, event.at, out)


def _on_depth(state: State, event: ev.Depth, out: Out) -> None:
    _frame(state, event.at, event.event_ms, out, diff=True)
    book = state.book
    applied = book.on_depth(event)
    if applied is not Applied.REPEATED:  # a copy does not show that diffs follow the touch
        state.freshness.ahead_since_ns = 0
    if applied is Applied.APPLIED:
        if state.dirty or not state.market_low <= book.touch_bid + book.touch_ask <= state.market_high:
            consider(state, event.at, out)
    elif applied is Applied.GAP:
        _book_lost(state, "a diff is missing or the book is crossed", out)


def _on_trade(state: State, event: ev.Trade, out: Out) -> None:
    """No frame of the book, which may be silent while trades go on: it tells whether the connection is late, and from
    which side the flow comes.
    """
    _came_in_time(state, event.at, event.event_ms, out)
    sign = -1 if event.buyer_is_maker else 1
    if state.vpin.on_trade(event.at, event.trade_id, event.qty, sign, state.parameters.vpin):
        state.dirty = True


def _on_tick(state: State, event: ev.Tick, out: Out) -> None:
    reckoning.on_time(state, event, out)  # first: what is sent at this tick heeds it
    on_tick(state, event, out)


def _on_snapshot(state: State, event: ev.Snapshot, out: Out) -> None:
    if not state.session.streams.get(Stream.BOOK):
        return  # asked for a stream that is gone: nothing would follow it
    match state.book.on_snapshot(event):
        case Applied.APPLIED:
            out.append(Note(NoteKind.BOOK, f"synchronised at update {state.book.last_id}"))
            decide(state, event.at, out)
        case Applied.TOO_OLD:
            out.append(Note(NoteKind.BOOK, f"snapshot {event.last_id} is older than the buffered diffs"))
        case Applied.GAP:
            _book_lost(state, "the snapshot does not lead to a book", out)
        case Applied.BUFFERED | Applied.OLD | Applied.REPEATED:
            raise AssertionError("a snapshot is applied or not")


def _on_mark(state: State, event: ev.Mark, _: Out) -> None:
    if 0 < state.next_funding_ms < event.next_funding_ms and state.session.token and state.reconciliation.reconciled:
        position = state.account.position.steps * state.instrument.step
        state.funding.expect(state.next_funding_ms, position, state.mark, state.funding_rate)
    state.mark, state.mark_ns, state.index = event.mark, event.at, event.index
    state.funding_rate, state.next_funding_ms = event.funding_rate, event.next_funding_ms
    state.prediction.on_rate(event.funding_rate, state.parameters.funding_alpha, event.at)


def _on_canary(state: State, event: ev.Canary, _: Out) -> None:
    state.freshness.canary(event.at)


def _on_touch_answer(state: State, event: ev.TouchAnswer, out: Out) -> None:
    equal: bool | None = None
    if event.bid is not None and event.ask is not None:
        inverse = state.book.inverse_tick
        touch = (int(event.bid * inverse + 0.5), int(event.ask * inverse + 0.5))
        equal = touch == (state.book.touch_bid, state.book.touch_ask)
    before = state.freshness.phase
    state.freshness.answered(equal, event.at)
    if state.freshness.phase is not before:
        if state.freshness.phase is Phase.STALE:
            went_stale(state, out)
        else:
            changed(state, out)


def _on_minutes(state: State, event: ev.Minutes, _: Out) -> None:
    state.statistics.preload(event.closes[-CLOSES:], event.at)
    state.vpin.preload(event.at, zip(event.volumes, event.taker_buys, strict=True), state.parameters.vpin)


def _on_stream_opened(state: State, event: ev.StreamOpened, out: Out) -> None:
    state.session.streams[event.stream] = True
    match event.stream:
        case Stream.BOOK:
            state.book.reset()
            state.account.held.clear()  # the book that was waited for is another one now
            state.freshness.opened(event.at)
            state.account.counters.resyncs += 1
            ask_snapshot(state, out)
        case Stream.USER:
            state.session.user_lost_since_ns = 0
            state.reconciliation.need("user stream opened")
            read_truth(state, out)
        case Stream.MARKET:
            pass


def _on_stream_closed(state: State, event: ev.StreamClosed, out: Out) -> None:
    state.session.streams[event.stream] = False
    out.append(Note(NoteKind.BOOK, f"{event.stream} stream closed: {event.reason}"))
    match event.stream:
        case Stream.BOOK:
            state.book.reset()
        case Stream.USER:
            state.session.user_lost_since_ns = state.session.user_lost_since_ns or event.at
            state.reconciliation.need("user stream closed")
        case Stream.MARKET:
            return
    decide(state, event.at, out)


def _on_socket_silent(state: State, event: ev.SocketSilent, _: Out) -> None:
    state.silent_upstream, state.refused_upstream = event.silent, event.refused


def _on_answer(state: State, event: ev.Answer, out: Out) -> None:
    state.reconciliation.activity += 1
    verdict = state.account.on_answer(event, state.book.touch_id, state.parameters.risk)
    order = state.account.orders.get(event.client_id)
    if event.outcome is ev.Outcome.REFUSED and (order is None or order.life is Life.CLOSED):
        state.liquidation.refused(event.client_id, event.at, judged=event.refusal not in NEVER_JUDGED)
    _settle_liquidation(state)
    state.session.restrict(event.refusal, event.at)
    if event.refusal is ev.Refusal.CLOCK:
        state.session.clock_known = False  # until it has been measured again
    match verdict:
        case Verdict.LOOK_AGAIN:
            state.reconciliation.need(f"{event.refusal}: {event.message}")
        case Verdict.FAILING:
            # The request that fills the window may have gone well.
            shared.halt_symbol(state, f"{verdict}, the last failure by {state.account.failures.newest}", out)
        case Verdict.TROUBLE | Verdict.BANNED:
            shared.raise_emergency(state, EmergencyLevel.HALT, f"{verdict}: {event.code} {event.message}", out)
    changed(state, out)


def _on_order_report(state: State, event: ev.OrderReport, out: Out) -> None:
    state.reconciliation.activity += 1
    state.reconciliation.keep(event)
    known = state.account.orders.get(event.order.client_id) is not None
    owner = Owner.OURS if known else foreign.judge_owner(state, event.order, out, filled=event.fill is not None)
    if owner is Owner.OLDER and event.execution is ev.Execution.NEW and foreign.still_writes(state, event):
        foreign.withdraw_from(state, event.order.client_id, out)
    if not state.reconciliation.reconciled:
        return
    if owner is Owner.OLDER and event.order.state.is_open:
        out.append(Cancel(event.order.client_id, event.order.venue_id))  # it arrived after its sender had gone
    filled = state.account.on_report(event, state.instrument)
    if known and event.order.state is ev.OrderState.EXPIRED_IN_MATCH:
        state.account.on_self_trade(event.order.side, state.book.touch_id)
    _settle_liquidation(state)
    if event.fill is not None and filled:
        fill = event.fill
        reckoning.on_booked(state, fill)
        if known:
            state.markouts.on_fill(fill, _when(state, fill.time_ms))
        price = state.instrument.price.text(fill.price_ticks)
        qty = state.instrument.quantity.text(fill.qty_steps)
        out.append(Note(NoteKind.FILL, f"{fill.side.name} {qty} @ {price} {event.order.client_id}"))
    changed(state, out)


def _on_position_report(state: State, event: ev.PositionReport, out: Out) -> None:
    state.reconciliation.activity += 1
    state.reconciliation.keep(event)
    if not state.reconciliation.reconciled:
        return
    state.account.position.on_report(event, event.at)
    changed(state, out)


def _on_funding_paid(state: State, event: ev.FundingPaid, _: Out) -> None:
    state.funding.on_told(event)


def _on_funding_read(state: State, event: ev.FundingRead, out: Out) -> None:
    """Facts, whoever asked: what is known already is not booked again."""
    spread_ms = crc32(state.instrument.symbol.encode()) % FUNDING_SPREAD_MS
    remarks = state.funding.on_read(event, state.accounts_began_ms, spread_ms)
    out.extend(Note(NoteKind.FUNDING, remark) for remark in remarks)
    state.dirty = True  # the day's result may be known now


def _on_order_answer(state: State, event: ev.OrderAnswer, out: Out) -> None:
    state.reconciliation.activity += 1
    state.account.on_order_answer(event)
    _settle_liquidation(state)
    changed(state, out)


def _on_truth(state: State, event: ev.Truth, out: Out) -> None:
    path = state.reconciliation
    if event.request_id != path.request_id:
        return
    failure = f"could not be read: {event.problem}" if event.problem else ""
    if not failure and event.last_trade_id < (newest := state.account.position.newest_trade_id):
        # The exchange's reads may lag behind its user stream: a position without a fill that we know is of the past.
        failure = f"the exchange is behind: it tells trades up to {event.last_trade_id}, {newest} is known"
    if failure:
        path.failed(event.at, failure)
        out.append(Note(NoteKind.TRUTH, failure))
        return
    if path.comparing:
        _compare(state, event, out)
        return
    if path.phase is not reconcile.Phase.READING:
        return  # something was missed while it was being read: the next reading counts
    booked = state.account.on_truth(event, path.open_when_asked, path.asked_ns, state.instrument)
    for fill in booked:
        reckoning.on_booked(state, fill)
    memory.judge_unremembered(state)
    kept = path.completed(event.at)
    out.append(
        Note(
            NoteKind.TRUTH,
            f"position {event.position_steps} steps, {len(event.open_orders)} open orders: {path.why}",
        )
    )
    foreign.take_over(state, event, out)
    foreign.judge_fills(state, event, booked, out)
    for report in kept:
        _HANDLERS[type(report)](state, msgspec.structs.replace(report, at=event.at), out)
    reckoning.ask(state, out)
    _settle_liquidation(state)
    changed(state, out)


def _on_parameters(state: State, event: ev.ParametersSet, out: Out) -> None:
    state.parameters, state.revision = event.parameters, event.revision
    state.account.counters.parameters_set += 1
    out.append(Note(NoteKind.PARAMETERS, f"in force: {event.revision}"))
    tell_bracket(state, out)
    changed(state, out)


def _on_instrument(state: State, event: ev.InstrumentSet, out: Out) -> None:
    """New filters. Another grid means another book and other ticks: everything of ours is read again."""
    regridded = (event.instrument.price, event.instrument.quantity) != (
        state.instrument.price,
        state.instrument.quantity,
    )
    if regridded:
        state.session.exited = True
        decide(state, event.at, out)
        if state.session.token:
            out.append(CancelAll("tick or step size has changed", state.session.deadline_ns))
        out.append(Exit(1, "tick or step size has changed: quantities must be resolved anew"))
        return
    rebracketed = event.instrument.max_notional != state.instrument.max_notional
    state.instrument = event.instrument
    if rebracketed:
        tell_bracket(state, out)
    changed(state, out)


def _on_status(state: State, event: ev.StatusSet, out: Out) -> None:
    state.instrument = msgspec.structs.replace(state.instrument, status=event.status)
    out.append(Note(NoteKind.QUOTING, f"symbol status {event.status}"))
    decide(state, event.at, out)


def _on_fees(state: State, event: ev.FeesSet, _: Out) -> None:
    state.maker_fee_bps, state.taker_fee_bps = event.maker_bps, event.taker_bps


def _on_clock(state: State, event: ev.ClockSynced, out: Out) -> None:
    """A machine that stood still (a suspended host) finds its monotonic clock behind: the lease has ended sooner than
    its deadline says. By the new offset the exchange would take what is sent under it: the next renewal comes first.
    """
    session = state.session
    ahead_ns = event.offset_ns - event.error_ns - session.clock_offset_ns - session.clock_error_ns
    stood_still = session.clock_error_ns > 0 and ahead_ns > STOOD_STILL_NS
    session.clock_offset_ns, session.clock_error_ns, session.clock_known = event.offset_ns, event.error_ns, True
    if stood_still:
        session.deadline_ns = 0
        state.statistics.heard_ns -= ahead_ns
        out.append(Note(NoteKind.QUOTING, f"this machine stood still for {ahead_ns / 1e9:.1f} s: is the lease over?"))
        decide(state, event.at, out)


def _on_dead_man(state: State, event: ev.DeadManArmed, out: Out) -> None:
    # Where arming failed, the timer that was armed before still stands.
    state.session.dead_man_until_ns = event.until_ns or state.session.dead_man_until_ns
    changed(state, out)


def _on_budget(state: State, event: ev.Budget, out: Out) -> None:
    session = state.session
    blocked, used_up = (
        state.now_ns < session.blocked_until_ns,
        session.orders_left(event.at) <= ORDERS_KEPT_FOR_REDUCING,
    )
    session.heed(event)
    if not blocked and state.now_ns < event.blocked_until_ns:
        decide(state, event.at, out)
    elif used_up and session.orders_left(event.at) > ORDERS_KEPT_FOR_REDUCING:
        changed(state, out)  # what could not be sent may be sent now


def _on_maintenance(state: State, event: ev.VenueMaintenance, out: Out) -> None:
    state.session.maintenance = event.down
    decide(state, event.at, out)


def _on_stop(state: State, event: ev.Stop, out: Out) -> None:
    if state.session.stopping:
        return
    state.session.stopping = event.reason
    state.stopping.since_ns = state.stopping.cancel_all_ns = event.at
    out.append(Note(NoteKind.SHUTDOWN, f"withdrawing: {event.reason}"))
    decide(state, event.at, out)


def _frame(state: State, at: int, event_ms: int, out: Out, *, diff: bool) -> None:
    """Any frame of the symbol's book refreshes it, unless it is late."""
    if not _came_in_time(state, at, event_ms, out):
        return
    freshness = state.freshness
    freshness.last_frame_ns = at
    if freshness.probes or freshness.phase is not Phase.FRESH:
        was_fresh = freshness.fresh
        freshness.frame(at, diff=diff)
        state.dirty = state.dirty or not was_fresh


def _came_in_time(state: State, at: int, event_ms: int, out: Out) -> bool:
    """Exchange time against our offset-corrected clock: what is late makes the price stale."""
    state.account.counters.market_events += 1
    freshness, session = state.freshness, state.session
    if session.clock_known and (
        at + session.clock_offset_ns - event_ms * 1_000_000 > state.parameters.late_after_ns + session.clock_error_ns
    ):
        if freshness.phase is not Phase.STALE:
            freshness.declare(Staleness.LATE, at)
            went_stale(state, out)
        return False
    return True


def _book_lost(state: State, why: str, out: Out) -> None:
    """A gap: quotes out at once, resynchronise, then quote again."""
    state.account.counters.resyncs += 1
    out.append(Note(NoteKind.BOOK, f"lost: {why}"))
    decide(state, state.now_ns, out)
    if state.now_ns - state.snapshot_asked_ns >= SNAPSHOT_RETRY_NS:
        ask_snapshot(state, out)  # otherwise a tick asks: books that break as fast as they come make no storm


def _compare(state: State, truth: ev.Truth, out: Out) -> None:
    path = state.reconciliation
    path.comparing, path.failures = False, 0
    if path.activity != path.activity_when_asked:
        path.not_before_ns = truth.at + reconcile.RETRY_FIRST_NS
        return
    path.last_truth_ns = truth.at
    if why := reconcile.agrees(truth, state.account.position, state.account.orders):
        path.mismatches += 1
        path.need(why)
        out.append(Note(NoteKind.TRUTH, f"the exchange tells something else: {why}"))
        decide(state, truth.at, out)
    else:
        state.account.position.account_for(truth.last_trade_id)


def _when(state: State, exchange_ms: int) -> int:
    """A moment of the exchange by our clock, as far as that is known; never later than now."""
    if not state.session.clock_known:
        return state.now_ns
    return min(state.now_ns, exchange_ms * 1_000_000 - state.session.clock_offset_ns)


def _settle_liquidation(state: State) -> None:
    order = state.account.orders.get(state.liquidation.order_id)
    if state.liquidation.order_id and (order is None or order.life is Life.CLOSED):
        state.liquidation.ended(state.liquidation.order_id)


_HANDLERS: dict[type, Callable[[State, Any, Out], None]] = {
    ev.Touch: _on_touch,
    ev.Depth: _on_depth,
    ev.Trade: _on_trade,
    ev.Tick: _on_tick,
    ev.Snapshot: _on_snapshot,
    ev.Mark: _on_mark,
    ev.Canary: _on_canary,
    ev.TouchAnswer: _on_touch_answer,
    ev.Minutes: _on_minutes,
    ev.StreamOpened: _on_stream_opened,
    ev.StreamClosed: _on_stream_closed,
    ev.SocketSilent: _on_socket_silent,
    ev.Answer: _on_answer,
    ev.OrderReport: _on_order_report,
    ev.PositionReport: _on_position_report,
    ev.FundingPaid: _on_funding_paid,
    ev.FundingRead: _on_funding_read,
    ev.OrderAnswer: _on_order_answer,
    ev.Truth: _on_truth,
    ev.DayRead: reckoning.on_day_read,
    ev.Lease: shared.on_lease,
    ev.Restored: shared.on_restored,
    ev.SymbolHalt: shared.on_symbol_halt,
    ev.Reserved: shared.on_reserved,
    ev.Emergency: shared.on_emergency,
    ev.Coordination: shared.on_coordination,
    ev.ParametersSet: _on_parameters,
    ev.InstrumentSet: _on_instrument,
    ev.StatusSet: _on_status,
    ev.FeesSet: _on_fees,
    ev.ClockSynced: _on_clock,
    ev.DeadManArmed: _on_dead_man,
    ev.Budget: _on_budget,
    ev.VenueMaintenance: _on_maintenance,
    ev.Stop: _on_stop,
}
