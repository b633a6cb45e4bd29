"""What time brings: staleness, lag, questions that are due, the dead-man, and an orderly stop."""

from phoenix_worker.core.actions import (
    ArmDeadMan,
    CancelAll,
    Exit,
    FetchFunding,
    FetchMinutes,
    FetchSnapshot,
    FetchTouch,
    FetchTruth,
    HandOver,
    Note,
    NoteKind,
    QueryOrder,
    Reconnect,
    ReleaseLease,
)
from phoenix_worker.core.back_off import doubled
from phoenix_worker.core.decision import decide, not_ready
from phoenix_worker.core.events import Stream, Tick
from phoenix_worker.core.freshness import Phase
from phoenix_worker.core.orders import QUERY_AGAIN_NS, Life
from phoenix_worker.core.session import CURABLE, DEAD_MAN_MS
from phoenix_worker.core.state import Out, State

SNAPSHOT_RETRY_NS = 1_000_000_000
MINUTES_RETRY_NS = 30_000_000_000
MINUTES_WANTED_NS = 5_000_000_000
"""While there is a book to quote on: soon a few samples would have to do for half an hour."""
MINUTES_EVERY_NS = 3_600_000_000_000
MINUTES_SOON_NS = 600_000_000_000
"""While the market has too short a past to tell how much a day trades."""
"""How much a day trades changes slowly; of a symbol that has only just begun to trade it is asked each minute."""
FIRST_BACK_OFF_NS = 500_000_000
LAST_BACK_OFF_NS = 48_000_000_000
CALM_NS = 10_000_000_000
"""A stream that has been fresh for so long is believed to be healed: the next reconnect is at once again."""
USER_RECONNECT_NS = 5_000_000_000
"""A user stream that lags is reconnected at most this often."""
CANCEL_ALL_AFTER_NS = 2_000_000_000
"""A stop that single cancels have not finished by then sends cancel-all, and again each time as long has passed."""


def on_tick(state: State, event: Tick, out: Out) -> None:
    now = event.at
    session, book = state.session, state.book
    if session.exited:
        return
    if state.statistics.forget(now):
        state.minutes_asked_ns = now - MINUTES_RETRY_NS  # asked for at once: nothing is quoted before
    if book.synced and state.freshness.fresh:
        state.statistics.on_time(now, book.mid_half_ticks / 2 * state.instrument.tick)
    _watch_market(state, now, out)
    _watch_account(state, now, out)
    _watch_leadership(state, now, out)
    if now >= state.next_evaluation_ns or (state.dirty and now >= state.next_requote_ns):
        decide(state, now, out)


def _watch_market(state: State, now: int, out: Out) -> None:
    freshness = state.freshness
    if state.session.streams.get(Stream.BOOK):
        if freshness.judge(now, state.parameters.stale_after_ns, touch_known=state.book.synced):
            out.append(FetchTouch())
        if freshness.phase is Phase.STALE:
            went_stale(state, out)
        elif not state.book.synced and now - state.snapshot_asked_ns >= SNAPSHOT_RETRY_NS:
            ask_snapshot(state, out)
        elif freshness.fresh and now - freshness.fresh_since_ns > CALM_NS:
            state.reconnects = 0
    if now - state.minutes_asked_ns >= _minutes_pause_ns(state):
        state.minutes_asked_ns = now
        out.append(FetchMinutes())


def _minutes_pause_ns(state: State) -> int:
    if not state.statistics.warm:
        return MINUTES_WANTED_NS if state.book.synced else MINUTES_RETRY_NS
    return MINUTES_EVERY_NS if state.vpin.day_volume else MINUTES_SOON_NS


def _watch_account(state: State, now: int, out: Out) -> None:
    account, session = state.account, state.session
    for order in account.orders.live():
        if order.life is Life.UNKNOWN and now >= order.next_query_ns:
            order.next_query_ns = now + 2 * QUERY_AGAIN_NS
            out.append(QueryOrder(order.client_id))
    if state.reconciliation.reconciled and (lag := _lag(state, now)):
        state.reconciliation.need(lag)
        out.append(Note(NoteKind.TRUTH, f"user stream out of sync: {lag}"))
        if now - state.user_reconnect_ns > USER_RECONNECT_NS:
            state.user_reconnect_ns = now
            out.append(Reconnect(Stream.USER, 0, lag))
        decide(state, now, out)
    reconcile(state, out)
    _read_funding(state, now, out)
    lost = session.user_lost_since_ns
    if lost and now - lost > state.parameters.give_up_after_ns and not session.exited:
        session.exited = True
        if session.token:  # what rests is another's otherwise
            out.append(CancelAll("the user stream is gone for good", session.deadline_ns))
        out.append(Exit(1, "the user stream could not be opened again: never half-blind"))
    if session.token and session.dead_man_due(now) and _dead_man_may_be_armed(state, now):
        arm_dead_man(state, out)


def _watch_leadership(state: State, now: int, out: Out) -> None:
    """A leader that cannot quote, and has nothing resting, makes room for a standby that can.

    Not while it works off an emergency, which needs neither book nor user stream, and is tracked to its end.
    """
    reasons = not_ready(state, now)
    if not reasons or not CURABLE.issuperset(reasons):
        state.unready_since_ns = 0
        return
    state.unready_since_ns = state.unready_since_ns or now
    patience = state.parameters.handover_after_ns
    if now - state.unready_since_ns < patience or state.liquidation.active or state.account.orders.live():
        return
    state.unready_since_ns = now  # said again when as long has passed: somebody may be warm then
    out.append(HandOver(f"unready for {patience / 1e9:g} s: {', '.join(reasons)}"))


def _lag(state: State, now: int) -> str:
    position = state.account.position
    if order := state.account.orders.lagging(now, state.parameters.ack_lag_ns):
        return f"no event for {order.client_id}"
    if position.differ_since_ns and now - position.differ_since_ns > state.parameters.ack_lag_ns:
        return f"fills tell {position.by_fills} steps, the account {position.by_account}"
    return ""


def reconcile(state: State, out: Out) -> None:
    path = state.reconciliation
    # Stopping, the exchange is asked also when its user stream is lost: nothing will be quoted afterwards.
    listening = state.session.streams.get(Stream.USER, False) or bool(state.session.stopping)
    up = state.session.token != 0 and listening
    if not path.due(state.now_ns, up):
        return
    # From the last trade up to which all are accounted for: a fill that was missed before a newer one is found, too.
    position = state.account.position
    known = position.last_trade_id
    since = known + 1 if known else 0
    in_flight = [o.client_id for o in state.account.orders.live() if o.in_flight or o.life is Life.UNKNOWN]
    in_flight += state.account.grinder.unresolved()
    request_id = path.asked(state.now_ns, state.account.orders)
    since_ms = state.accounts_began_ms
    if path.comparing:
        held = (position.steps, position.newest_trade_id)
        out.append(FetchTruth(request_id, since, since_ms, in_flight, *held))
    else:
        heard = list(position.newer_trades)
        out.append(FetchTruth(request_id, since, since_ms, in_flight, known_trades=heard))


def _read_funding(state: State, now: int, out: Out) -> None:
    """A leader's only: who stands by would read what it does not keep."""
    session = state.session
    if not session.token or not session.clock_known or session.stopping:
        return
    now_ms = session.exchange_ms(now)
    if state.funding.due(now, now_ms):
        out.append(FetchFunding(state.funding.ask(now, now_ms, state.accounts_began_ms)))


def _dead_man_may_be_armed(state: State, now: int) -> bool:
    """Only while lease, book and user stream are healthy; while an emergency order rests the lease is enough."""
    if now >= state.session.deadline_ns or state.session.stopping:
        return False
    return bool(state.liquidation.order_id) or (
        state.book.synced and state.freshness.fresh and state.reconciliation.reconciled
    )


def arm_dead_man(state: State, out: Out) -> None:
    state.session.dead_man_asked_ns = state.now_ns
    out.append(ArmDeadMan(DEAD_MAN_MS, state.session.deadline_ns))


def withdraw_in_order(state: State, out: Out) -> None:
    """Nothing of ours may be left: cancelled, confirmed by the exchange, released, done. At each event, not tick, of a
    worker that stops: while it does, nobody quotes the symbol.
    """
    stop, now = state.stopping, state.now_ns
    if state.session.exited:
        return
    if state.account.orders.live():
        if now - stop.cancel_all_ns >= CANCEL_ALL_AFTER_NS:
            stop.cancel_all_ns = now
            state.reconciliation.need("stopping, and orders are left")
            if state.session.token:  # what rests may be another's otherwise: only our own are cancelled, one by one
                out.append(CancelAll("stopping", state.session.deadline_ns))
        return
    if not state.session.token:
        _exit(state, out)
    elif not stop.confirmed:
        stop.confirmed = True
        state.reconciliation.need("stopping: is anything left?")
        reconcile(state, out)
    elif state.reconciliation.reconciled:
        out.append(ReleaseLease())
        _exit(state, out)


def _exit(state: State, out: Out) -> None:
    state.session.exited = True
    out.append(Note(NoteKind.SHUTDOWN, "nothing is left at the exchange"))
    out.append(Exit(0, state.session.stopping))


def went_stale(state: State, out: Out) -> None:
    """In this order: pull the quotes, refresh the price over REST, reconnect the stream, resynchronise.

    The old stream is not listened to any more: what it still brings proves nothing.
    """
    why = f"price stale: {state.freshness.why}"
    state.session.streams[Stream.BOOK] = False
    state.book.reset()
    out.append(Note(NoteKind.BOOK, why))
    decide(state, state.now_ns, out)
    out.append(FetchTouch())
    reconnect_book(state, why, out)


def reconnect_book(state: State, why: str, out: Out) -> None:
    """At once the first time, then with a growing delay, so that no storm follows; the venue adds jitter."""
    delay = 0
    if state.reconnects:
        delay = doubled(FIRST_BACK_OFF_NS, state.reconnects - 1, LAST_BACK_OFF_NS)
    state.reconnects += 1
    state.account.counters.reconnects_asked += 1
    out.append(Reconnect(Stream.BOOK, delay, why))


def ask_snapshot(state: State, out: Out) -> None:
    state.snapshot_asked_ns = state.now_ns
    out.append(FetchSnapshot())
