"""The decision: what may rest now, what should, and what has to be sent for it (see `sending`)."""

from phoenix_coordination.state import NOBODY_RAISED_IT, Reason, first_of

from phoenix_worker.core import grinding, quoting
from phoenix_worker.core.actions import Note, NoteKind, Purpose
from phoenix_worker.core.events import EmergencyLevel, Side, Stream
from phoenix_worker.core.instrument import MONEY
from phoenix_worker.core.inventory import NOTHING, Mask, Mode, mask_of, next_mode, reducing_only, strictest
from phoenix_worker.core.liquidation import WAIT_FOR_CANCELS_NS
from phoenix_worker.core.orders import Difference, OwnOrder, difference
from phoenix_worker.core.pnl import unrealised
from phoenix_worker.core.reservation import Need
from phoenix_worker.core.risk import Denial, Pass
from phoenix_worker.core.sending import amend, cancel, next_id, place, send
from phoenix_worker.core.session import WITHDRAW_FOR
from phoenix_worker.core.standing import Standing, standing
from phoenix_worker.core.state import Out, State
from phoenix_worker.core.tally import stance_of

EVALUATE_NS = 250_000_000
MARK_LASTS_NS = 10_000_000_000
"""The exchange tells the mark price every second."""
ANYWHERE = 1 << 40
_ENTRY_STANDS_WITHOUT = frozenset({Reason.COORDINATION_UNREACHABLE, Reason.LEASE_NOT_HELD, Reason.NOT_RECONCILED})
"""Our entry in the ledger stays as it is while it cannot be changed, or the position is not known for certain."""

_PURPOSES = {
    Mode.NORMAL: Purpose.QUOTE,
    Mode.PIN: Purpose.PIN,
    Mode.BLOCK: Purpose.BLOCK,
    Mode.FLATTEN: Purpose.FLATTEN,
    Mode.LIQUIDATE: Purpose.LIQUIDATE,
}


def decide(state: State, at: int, out: Out) -> None:
    """What has to be sent now, for what holds now."""
    _decide(state, at, out)
    session = state.session
    emergency = session.emergency.on and session.emergency.reason not in NOBODY_RAISED_IT
    stance = stance_of(state.mode, grinding=state.account.grinder.running, emergency=emergency)
    state.tally.note(at, stance, first_of(state.reasons))


def _decide(state: State, at: int, out: Out) -> None:
    parameters = state.parameters
    state.account.counters.decisions += 1
    state.dirty = False
    state.next_evaluation_ns = at + min(EVALUATE_NS, parameters.quote_interval_ns)
    _judge_guards(state, at, out)
    _judge_flow(state, at, out)
    unready = not_ready(state, at)
    forbidden = state.session.not_quoting(
        at,
        paused=parameters.paused,
        status=state.session.status_of(state.instrument.status, at),
        warm=state.statistics.warm,
        liquidating=state.liquidation.active,
        cooling=state.liquidation.cooling(at),
        toxic=state.vpin.halted,
        lost=state.losses.halted(parameters.risk.daily_loss_max),
        loss_unknown=parameters.risk.limits_losses and state.losses.is_unknown(state.session.token),
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


def _judge_guards(state: State, at: int, out: Out) -> None:
    """The mode of the inventory. Until the position is known, and while it is zero, there is nothing to guard."""
    guards, position = state.parameters.guards, state.account.position
    ratio = abs(position.steps) / state.parameters.net_max_steps
    before, stopped = state.mode, _pnl_stop(state)
    state.mode = next_mode(before, ratio, guards, stopped) if position.steps else Mode.NORMAL
    if state.mode is not before:
        why = "the loss is beyond its stop" if stopped else f"|q| is {ratio:.3f} of netMax"
        out.append(Note(NoteKind.GUARD, f"{before.name.lower()} to {state.mode.name.lower()}: {why}"))
    flatten = state.session.emergency.level is EmergencyLevel.FLATTEN and position.steps != 0
    state.liquidation.judge(state.mode is Mode.LIQUIDATE or flatten, at, guards)


def _judge_flow(state: State, at: int, out: Out) -> None:
    """Whether the flow is too one-sided to be quoted to."""
    was_halted = state.vpin.halted
    state.vpin.judge(at, state.parameters.vpin)
    if state.vpin.halted is not was_halted:
        value = state.vpin.value(at, state.parameters.vpin) or 0.0
        out.append(
            Note(NoteKind.QUOTING, f"VPIN {value:.2f}: {'nothing is quoted' if state.vpin.halted else 'resumed'}")
        )


def _pnl_stop(state: State) -> bool:
    """Unrealised loss beyond `guards.pnlStopRatio` of the position's notional; it lets go at `hysteresis` less."""
    position = state.account.position
    reference = reference_price(state)
    loss = -unrealised(position.steps, position.entry_price, reference, state.instrument)
    if loss <= 0:
        return False
    notional = abs(position.steps) * state.instrument.step * reference * MONEY
    guards = state.parameters.guards
    lets_go = 1.0 - guards.hysteresis if state.mode is Mode.LIQUIDATE else 1.0
    return loss > guards.pnl_stop_ratio * lets_go * notional


def known_mark(state: State) -> float:
    """0 where none has come for a while: a mark of the past judges neither prices nor losses."""
    return state.mark if state.now_ns - state.mark_ns <= MARK_LASTS_NS else 0.0


def reference_price(state: State) -> float:
    """The mark where it is known, else mid."""
    if (mark := known_mark(state)) > 0:
        return mark
    return state.book.mid_half_ticks / 2 * state.instrument.tick


def worst_case_limit(state: State) -> int:
    """The hard limit of either side, in steps: netMax · worstCaseMultiplier, and never more than the exchange admits at
    the account's leverage. It would refuse what goes beyond, order by order.
    """
    return state.instrument.admitted_steps(state.parameters.worst_case_steps, reference_price(state))


def tell_bracket(state: State, out: Out) -> None:
    """Where the exchange admits less than somebody wants: neither is wrong, but one has to know."""
    wanted, admitted = state.parameters.worst_case_steps, worst_case_limit(state)
    if admitted < wanted:
        text = state.instrument.quantity.text
        out.append(
            Note(
                NoteKind.QUOTING,
                f"at the account's leverage the exchange admits a position of {text(admitted)}, less than"
                f" netMax times worstCaseMultiplier, {text(wanted)}: quotes stay within it; lower leverage or netMax",
            )
        )


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
            cancel(state, order, out)


def _quote(state: State, at: int, mask: Mask, stands: Standing, out: Out) -> None:
    account, book = state.account, state.book
    market = quoting.Market(
        book.touch_bid,
        book.touch_ask,
        state.statistics.sigma_1s,
        state.maker_fee_bps,
        state.prediction.bps(at) if state.next_funding_ms else 0.0,
        state.next_funding_ms - state.session.exchange_ms(at),
        state.vpin.widening(at, state.parameters.vpin),
        worst_case_limit(state),
    )
    purpose = _PURPOSES[state.mode]
    stuck, busy = stands.stuck, stands.busy
    ladder = quoting.plan(
        state.instrument, state.parameters, market, mask, purpose, account.position.steps, stuck, busy
    )
    state.ladder = ladder
    account.counters.layers_dropped += ladder.dropped
    facts = _pass(state, at, mask, stands)
    taken = _to_grind(state, at)
    targets = _overlaid(state, ladder.targets, mask, taken)
    need = _reserve(state, at, targets, stands, state.parameters.base_size_steps, out)
    if _unreserved(state, targets, facts):
        state.reasons.append(Reason.NOT_RESERVED)
    buys_beyond = facts.buy_exposure > facts.buy_granted
    sells_beyond = facts.sell_exposure > facts.sell_granted
    shrink = (
        buys_beyond
        or sells_beyond
        or facts.longest + facts.buy_exposure > facts.worst_case_limit
        or facts.sell_exposure - facts.shortest > facts.worst_case_limit
    )
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
    _change(state, at, change, stands, facts, shrink, out)
    if taken:
        _grind(state, at, taken, facts, out)


def _change(state: State, at: int, change: Difference, stands: Standing, facts: Pass, shrink: bool, out: Out) -> None:
    """Cancels, then what reduces, then the rest from the touch outwards."""
    account = state.account
    for order in change.cancels + stands.surplus:
        cancel(state, order, out)
    wanted: list[tuple[bool, int, OwnOrder | None, quoting.Target]] = [
        (_increases(state, target), target.layer, order, target) for order, target in change.moves
    ]
    wanted += [(_increases(state, target), target.layer, None, target) for target in change.places]
    if wanted and at < state.next_requote_ns:
        state.dirty = True  # judged early, moved when quotes may be touched again; what risk asks for does not wait
        wanted = [each for each in wanted if shrink and _shrinks(each[2], each[3])]
    sent_before = account.counters.placed + account.counters.amended
    for _, _, live, target in sorted(wanted, key=_urgency):
        held = account.held.get(int(target.side), -1) >= state.book.touch_id
        if live is None:
            if not held:
                place(state, target, stands.stuck, facts, out)
        elif not (not held and amend(state, live, target, facts, out)) and shrink and _shrinks(live, target):
            cancel(state, live, out)  # what cannot be made smaller now must go
    if account.counters.placed + account.counters.amended > sent_before:
        state.next_requote_ns = at + state.parameters.min_requote_interval_ns


def _to_grind(state: State, at: int) -> int:
    """Steps that a taker is to take off now; 0: none. Whatever stands against quoting stands against that, too."""
    account, position = state.account, state.account.position
    account.grinder.judge(state.parameters.grinding, state.mode, position.steps, account.orders, state.instrument)
    if state.mode is Mode.NORMAL or state.reasons or position.by_account != position.by_fills:
        return 0
    if not account.grinder.due(at, state.parameters, state.mode, position.steps, state.statistics.stddev_30m):
        return 0
    pays_funding = known_mark(state) > 0 and position.steps * state.funding_rate > 0
    return grinding.taker_steps(position.steps, state.parameters.grinding, state.instrument, pays_funding)


def _overlaid(state: State, targets: list[quoting.Target], mask: Mask, taken: int) -> list[quoting.Target]:
    """The ladder with the re-entry beside it; for a new taker that has to go first, and the quotes leave it room."""
    account, book = state.account, state.book
    if taken:
        return grinding.beside(targets, abs(account.position.steps) - taken)
    if not account.grinder.running or not mask.reentry:
        return targets
    if not grinding.is_flat(state.parameters.grinding, state.statistics.stddev_30m):
        return targets
    reentry = account.grinder.reentry(
        account.orders,
        state.parameters,
        account.position,
        grinding.Fees(state.maker_fee_bps, state.taker_fee_bps),
        state.instrument,
        (book.touch_bid, book.touch_ask),
    )
    return [*targets, reentry] if reentry is not None else targets


def _grind(state: State, at: int, taken: int, facts: Pass, out: Out) -> None:
    """Sends the taker, once the re-entry before is confirmed as gone and the quotes beside it have left room."""
    account, position = state.account, state.account.position
    reducing = facts.sell_exposure if position.steps > 0 else facts.buy_exposure
    if grinding.reentries(account.orders) or reducing + taken > abs(position.steps):
        return
    order = grinding.taker(
        next_id(state, Purpose.GRIND),
        position.steps,
        taken,
        (state.book.touch_bid, state.book.touch_ask),
        state.parameters.grinding,
    )
    if not send(state, order, taken, facts, out):
        account.grinder.denied(at)
        return
    account.grinder.sent(order.client_id, position.steps, at)
    instrument = state.instrument
    qty, price = instrument.quantity.text(taken), instrument.price.text(order.price_ticks)
    out.append(Note(NoteKind.GUARD, f"grinds: {order.side.name} {qty} @ {price} or better {order.client_id}"))


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
        worst_case_limit=worst_case_limit(state),
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
        next_id(state, Purpose.LIQUIDATE),
        position,
        1.0 if whole else state.parameters.guards.emergency_slice,
        state.instrument,
        (state.book.touch_bid, state.book.touch_ask),
        known_mark(state) * state.book.inverse_tick,
    )
    if order is not None and send(state, order, order.qty_steps, _pass(state, at, NOTHING, stands), out):
        task.sent(order.client_id, at, position)


def _urgency(wanted: tuple[bool, int, OwnOrder | None, quoting.Target]) -> tuple[bool, int]:
    """Reducing orders first, then the layers from the touch outwards."""
    return wanted[0], wanted[1]
