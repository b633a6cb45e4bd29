"""The decision: what may rest now, what should, and what has to be sent for it. Every order passes the gate here."""

from phoenix_coordination import order_id
from phoenix_coordination.state import Reason

from phoenix_worker.core import quoting, risk
from phoenix_worker.core.actions import Amend, ApprovedOrder, Cancel, Place, Purpose, WantedOrder
from phoenix_worker.core.counters import bump
from phoenix_worker.core.events import EmergencyLevel, Request, Side, Stream
from phoenix_worker.core.instrument import MONEY
from phoenix_worker.core.inventory import NOTHING, Mask, Mode, mask_of, next_mode, reducing_only, strictest
from phoenix_worker.core.liquidation import WAIT_FOR_CANCELS_NS
from phoenix_worker.core.orders import Life, OwnOrder, Trigger, difference
from phoenix_worker.core.pnl import unrealised
from phoenix_worker.core.reservation import Need
from phoenix_worker.core.risk import Denial, Pass
from phoenix_worker.core.session import WITHDRAW_FOR
from phoenix_worker.core.standing import Standing, standing
from phoenix_worker.core.state import Out, State

EVALUATE_NS = 250_000_000
MARK_LASTS_NS = 10_000_000_000
"""The exchange tells the mark price every second."""
ANYWHERE = 1 << 40
_ENTRY_STANDS_WITHOUT = frozenset({Reason.COORDINATION_UNREACHABLE, Reason.LEASE_NOT_HELD, Reason.NOT_RECONCILED})
"""Our entry in the ledger stays as it is while it cannot be changed, or the position is not known for certain."""

_PURPOSES = {
    Mode.NORMAL: Purpose.QUOTE,
    Mode.PIN: Purpose.PIN,
    Mode.BLOCK: Purpose.PIN,
    Mode.FLATTEN: Purpose.FLATTEN,
    Mode.LIQUIDATE: Purpose.LIQUIDATE,
}


def decide(state: State, at: int, out: Out) -> None:
    parameters = state.parameters
    state.account.counters.decisions += 1
    state.dirty = False
    state.next_evaluation_ns = at + min(EVALUATE_NS, parameters.quote_interval_ns)
    _judge_guards(state, at)
    unready = not_ready(state, at)
    forbidden = state.session.not_quoting(
        at,
        paused=parameters.paused,
        status=state.session.status_of(state.instrument.status, at),
        warm=state.statistics.warm,
        liquidating=state.liquidation.active,
        cooling=state.liquidation.cooling(at),
    )
    state.reasons = unready + forbidden
    stands = standing(state.account.orders)
    _note_worst_case(state, stands)
    if unready or not WITHDRAW_FOR.isdisjoint(forbidden):
        state.ladder = None
        state.market_low, state.market_high = -ANYWHERE, ANYWHERE
        _withdraw_quotes(state, out)
        if _ENTRY_STANDS_WITHOUT.isdisjoint(unready):
            _reserve(state, at, [], stands, 0, out)
        if state.liquidation.active:
            _liquidate(state, at, stands, out)
        return
    denials = state.account.counters.denials
    unpaid = denials.get(Denial.BUDGET, 0)
    _quote(state, at, _mask(state, forbidden), stands, out)
    if denials.get(Denial.BUDGET, 0) > unpaid and state.session.used_up_for_long(at):
        state.reasons.append(Reason.RATE_LIMITED)  # what rests may stay: it only cannot be moved


def changed(state: State, out: Out) -> None:
    """Something about us changed: decide as soon as quotes may be touched again; at once where none may rest."""
    state.dirty = True
    if state.ladder is None:
        decide(state, state.now_ns, out)
    else:
        consider(state, state.now_ns, out)


def consider(state: State, at: int, out: Out) -> None:
    """Decide, unless quotes were touched a moment ago: then as soon as they may be again."""
    if at >= state.next_requote_ns:
        decide(state, at, out)
    else:
        state.dirty = True


def not_ready(state: State, at: int) -> list[Reason]:
    """What keeps this worker from being able to quote, first things first."""
    return state.session.not_ready(
        at,
        book_synced=state.book.synced,
        stale=not state.freshness.fresh,
        reconciled=state.reconciliation.reconciled,
        user_ok=state.session.streams.get(Stream.USER, False),
    )


def _judge_guards(state: State, at: int) -> None:
    """The mode of the inventory. Until the position is known, and while it is zero, there is nothing to guard."""
    guards, position = state.parameters.guards, state.account.position
    ratio = abs(position.steps) / state.parameters.net_max_steps
    mode = next_mode(state.mode, ratio, guards, _pnl_stop(state))
    state.mode = mode if position.steps else Mode.NORMAL
    flatten = state.session.emergency.level is EmergencyLevel.FLATTEN and position.steps != 0
    state.liquidation.judge(state.mode is Mode.LIQUIDATE or flatten, at, guards)


def _pnl_stop(state: State) -> bool:
    """Unrealised loss beyond `guards.pnlStopRatio` of the position's notional."""
    position = state.account.position
    reference = reference_price(state)
    loss = -unrealised(position.steps, position.entry_price, reference, state.instrument)
    if loss <= 0:
        return False
    notional = abs(position.steps) * state.instrument.step * reference * MONEY
    return loss > state.parameters.guards.pnl_stop_ratio * notional


def known_mark(state: State) -> float:
    """0 where none has come for a while: a mark of the past judges neither prices nor losses."""
    return state.mark if state.now_ns - state.mark_ns <= MARK_LASTS_NS else 0.0


def reference_price(state: State) -> float:
    """The mark where it is known, else mid."""
    if (mark := known_mark(state)) > 0:
        return mark
    return state.book.mid_half_ticks / 2 * state.instrument.tick


def _mask(state: State, forbidden: list[Reason]) -> Mask:
    """Guards are masks; the strictest wins. What is left of the reasons here leaves reducing quotes alive."""
    steps = state.account.position.steps
    mask = mask_of(state.mode, steps, state.parameters.guards)
    if Reason.RATE_LIMITED in forbidden:
        return NOTHING
    return strictest(mask, reducing_only(steps)) if forbidden else mask


def _note_worst_case(state: State, stands: Standing) -> None:
    position, counters = state.account.position, state.account.counters
    long, short = position.longest + stands.buy_exposure, stands.sell_exposure - position.shortest
    ratio = max(long, short, abs(position.steps)) / state.parameters.net_max_steps
    counters.max_worst_case_ratio = max(counters.max_worst_case_ratio, ratio)


def _withdraw_quotes(state: State, out: Out) -> None:
    for order in state.account.orders.live():
        if order.purpose is not Purpose.LIQUIDATE:
            _cancel(state, order, out)


def _cancel(state: State, order: OwnOrder, out: Out) -> None:
    """One cancel in flight an order; what is still in flight itself is cancelled when its answer has come."""
    if order.life in (Life.OPEN, Life.AMENDING) and state.now_ns >= order.next_cancel_ns:
        order.on(Trigger.CANCEL_ASKED)
        order.asked_ns = state.now_ns
        order.report_ahead = False
        state.account.counters.cancelled += 1
        out.append(Cancel(order.client_id, order.venue_id))


def _quote(state: State, at: int, mask: Mask, stands: Standing, out: Out) -> None:
    account, book = state.account, state.book
    market = quoting.Market(book.touch_bid, book.touch_ask, state.statistics.sigma_1s, state.maker_fee_bps)
    purpose = _PURPOSES[state.mode]
    stuck, busy = stands.stuck, stands.busy
    ladder = quoting.plan(
        state.instrument, state.parameters, market, mask, purpose, account.position.steps, stuck, busy
    )
    state.ladder = ladder
    account.counters.layers_dropped += ladder.dropped
    facts = _pass(state, at, mask, stands)
    need = _reserve(state, at, ladder.targets, stands, state.parameters.base_size_steps, out)
    if _unreserved(state, ladder.targets, facts):
        state.reasons.append(Reason.NOT_RESERVED)
    buys_beyond = facts.buy_exposure > facts.buy_granted
    sells_beyond = facts.sell_exposure > facts.sell_granted
    shrink = (
        buys_beyond
        or sells_beyond
        or facts.longest + facts.buy_exposure > facts.worst_case_limit
        or facts.sell_exposure - facts.shortest > facts.worst_case_limit
    )
    targets = ladder.targets
    # While a request is on its way more may be granted in a moment; what rests beyond a grant does not wait for that.
    final = state.reservation.answered
    buys_cut = buys_beyond or (final and need.buys > facts.buy_granted)
    sells_cut = sells_beyond or (final and need.sells > facts.sell_granted)
    if buys_cut or sells_cut:
        room = {
            Side.BUY: facts.buy_granted if buys_cut else ANYWHERE,
            Side.SELL: facts.sell_granted if sells_cut else ANYWHERE,
        }
        targets = quoting.within_grant(targets, room, stuck, busy, state.instrument)
    change = difference(targets, stands.slots, shrink)
    mid = book.mid_half_ticks
    state.market_low, state.market_high = mid - 2 * change.slack_down, mid + 2 * change.slack_up
    for order in change.cancels + stands.surplus:
        _cancel(state, order, out)
    wanted: list[tuple[bool, int, OwnOrder | None, quoting.Target]] = [
        (_increases(state, target), target.layer, order, target) for order, target in change.moves
    ]
    wanted += [(_increases(state, target), target.layer, None, target) for target in change.places]
    if wanted and at < state.next_requote_ns:
        state.dirty = True  # judged early, moved when quotes may be touched again; what risk asks for does not wait
        wanted = [each for each in wanted if shrink and _shrinks(each[2], each[3])]
    sent_before = account.counters.placed + account.counters.amended
    for _, _, live, target in sorted(wanted, key=_urgency):
        held = account.held.get(int(target.side), -1) >= book.touch_id
        if live is None:
            if not held:
                _place(state, target, stuck, facts, out)
        elif not (not held and _amend(state, live, target, facts, out)) and shrink and _shrinks(live, target):
            _cancel(state, live, out)  # what cannot be made smaller now must go
    if account.counters.placed + account.counters.amended > sent_before:
        state.next_requote_ns = at + state.parameters.min_requote_interval_ns


def _shrinks(live: OwnOrder | None, target: quoting.Target) -> bool:
    return live is not None and target.qty_steps < live.qty_steps - live.filled_steps


def _increases(state: State, target: quoting.Target) -> bool:
    return target.side * state.account.position.steps >= 0


def _pass(state: State, at: int, mask: Mask, stands: Standing) -> Pass:
    account, session, book = state.account, state.session, state.book
    buy_room, sell_room = state.reservation.room(account.position.steps)
    return Pass(
        now_ns=at,
        trigger_ns=at,
        token=session.token,
        deadline_ns=session.deadline_ns,
        blocked_until_ns=session.blocked_until_ns,
        emergency=session.emergency.level,
        book_ok=book.synced and state.freshness.fresh,
        user_ok=session.streams.get(Stream.USER, False) and state.reconciliation.reconciled,
        mask=mask,
        longest=account.position.longest,
        shortest=account.position.shortest,
        buy_exposure=stands.buy_exposure,
        sell_exposure=stands.sell_exposure,
        worst_case_limit=state.parameters.worst_case_steps,
        buy_granted=buy_room,
        sell_granted=sell_room,
        bid_ticks=book.touch_bid,
        ask_ticks=book.touch_ask,
        mark_ticks=known_mark(state) * book.inverse_tick,
        sane_band=state.parameters.risk.sane_band_bps * quoting.BPS,
        highest_own_buy=stands.highest_buy,
        lowest_own_sell=stands.lowest_sell,
        open_orders=stands.live,
        orders_left=session.orders_left(at),
    )


def _reserve(state: State, at: int, targets: list[quoting.Target], stands: Standing, headroom: int, out: Out) -> Need:
    """Reservation comes before the orders. What is live is asked for in any case: only what the exchange has confirmed
    as gone lowers our entry.
    """
    need = dict(stands.stuck)
    for (side, _), steps in stands.busy.items():
        need[Side(side)] += steps
    for target in targets:
        need[target.side] += target.qty_steps
    whole = Need(
        state.account.position.steps,
        max(need[Side.BUY], stands.buy_exposure),
        max(need[Side.SELL], stands.sell_exposure),
        stands.buy_exposure,
        stands.sell_exposure,
    )
    price = reference_price(state)
    if price > 0 and (request := state.reservation.ask(at, whole, headroom, price)) is not None:
        out.append(request)
    return whole


def _unreserved(state: State, targets: list[quoting.Target], facts: Pass) -> bool:
    """Whether a side that would open risk has not even room for its nearest order in the account's ledger."""
    side = 0
    for target in targets:
        if target.side != side and not target.reduce_only and _increases(state, target):
            room = facts.buy_granted if target.side is Side.BUY else facts.sell_granted
            if room < state.instrument.min_steps_at(target.price_ticks):
                return True
        side = target.side
    return False


def _place(state: State, target: quoting.Target, stuck: dict[Side, int], facts: Pass, out: Out) -> None:
    """A replacement that would not fit beside its predecessor waits for the cancel's confirmation.

    One that reduces always waits: beside what is being cancelled it would be too small, and stay so.
    """
    if target.reduce_only and stuck[target.side]:
        return
    granted = facts.buy_granted if target.side is Side.BUY else facts.sell_granted
    exposure = facts.buy_exposure if target.side is Side.BUY else facts.sell_exposure
    if exposure + target.qty_steps > granted and (stuck[target.side] or not state.reservation.answered):
        return
    order = WantedOrder(
        Request.PLACE,
        _next_id(state, target.purpose),
        target.side,
        target.price_ticks,
        target.qty_steps,
        target.reduce_only,
        target.purpose,
        target.layer,
    )
    _send(state, order, target.qty_steps, facts, out)


def _amend(state: State, live: OwnOrder, target: quoting.Target, facts: Pass, out: Out) -> bool:
    total = live.filled_steps + target.qty_steps
    order = WantedOrder(
        Request.AMEND,
        live.client_id,
        live.side,
        target.price_ticks,
        total,
        live.reduce_only,
        live.purpose,
        target.layer,
        venue_id=live.venue_id,
    )
    approved = _gate(state, order, max(0, total - live.qty_steps), facts)
    if approved is None:
        return False
    live.on(Trigger.AMEND_ASKED)
    live.pending_price, live.pending_qty, live.asked_ns = target.price_ticks, total, state.now_ns
    live.amends += 1
    live.report_ahead = False
    state.account.counters.amended += 1
    out.append(Amend(approved))
    return True


def _send(state: State, order: WantedOrder, added: int, facts: Pass, out: Out) -> bool:
    approved = _gate(state, order, added, facts)
    if approved is None:
        return False
    state.account.orders.add(
        OwnOrder(
            order.client_id,
            order.side,
            order.layer,
            order.purpose,
            order.reduce_only,
            order.price_ticks,
            order.qty_steps,
            state.now_ns,
            asked_ns=state.now_ns,
        )
    )
    state.account.counters.placed += 1
    out.append(Place(approved))
    return True


def _gate(state: State, order: WantedOrder, added: int, facts: Pass) -> ApprovedOrder | None:
    verdict = risk.approve(order, added, state.instrument, facts)
    if isinstance(verdict, Denial):
        bump(state.account.counters.denials, verdict.value)
        return None
    state.session.orders_since_budget += 1
    return verdict


def _next_id(state: State, purpose: Purpose) -> str:
    session = state.session
    session.sequence += 1
    return order_id.format(session.installation, session.token, purpose.value, session.sequence)


def _liquidate(state: State, at: int, stands: Standing, out: Out) -> None:
    """One tracked emergency order at a time, once the quotes are gone (or have had their time to go)."""
    task = state.liquidation
    position = state.account.executed_position
    if task.waits(at, position) or not state.reconciliation.truths or not state.session.token:
        return
    if stands.live and at - task.since_ns < WAIT_FOR_CANCELS_NS:
        return
    whole = state.session.emergency.level is EmergencyLevel.FLATTEN
    order = task.next_slice(
        _next_id(state, Purpose.LIQUIDATE),
        position,
        1.0 if whole else state.parameters.guards.emergency_slice,
        state.instrument,
        (state.book.touch_bid, state.book.touch_ask),
        known_mark(state) * state.book.inverse_tick,
    )
    if order is not None and _send(state, order, order.qty_steps, _pass(state, at, NOTHING, stands), out):
        task.sent(order.client_id, at, position)


def _urgency(wanted: tuple[bool, int, OwnOrder | None, quoting.Target]) -> tuple[bool, int]:
    """Reducing orders first, then the layers from the touch outwards."""
    return wanted[0], wanted[1]
