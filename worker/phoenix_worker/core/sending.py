"""What leaves: orders that the gate has approved, each kept before it is sent, and cancels, which need no approval."""

from phoenix_coordination import order_id

from phoenix_worker.core import risk
from phoenix_worker.core.actions import Amend, ApprovedOrder, Cancel, Place, Purpose, WantedOrder
from phoenix_worker.core.counters import bump
from phoenix_worker.core.events import Request, Side
from phoenix_worker.core.orders import Life, OwnOrder, Trigger
from phoenix_worker.core.quoting import Target
from phoenix_worker.core.risk import Denial, Pass
from phoenix_worker.core.state import Out, State


def cancel(state: State, order: OwnOrder, out: Out) -> None:
    """One cancel in flight an order; what is still in flight itself is cancelled when its answer has come."""
    if order.life in (Life.OPEN, Life.AMENDING) and state.now_ns >= order.next_cancel_ns:
        order.on(Trigger.CANCEL_ASKED)
        order.asked_ns = state.now_ns
        order.report_ahead = False
        state.account.counters.cancelled += 1
        out.append(Cancel(order.client_id, order.venue_id))


def place(state: State, target: Target, stuck: dict[Side, int], facts: Pass, out: Out) -> None:
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
        next_id(state, target.purpose),
        target.side,
        target.price_ticks,
        target.qty_steps,
        target.reduce_only,
        target.purpose,
        target.layer,
    )
    send(state, order, target.qty_steps, facts, out)


def amend(state: State, live: OwnOrder, target: Target, facts: Pass, out: Out) -> bool:
    """Moves or shrinks what rests; false where the gate refuses."""
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


def send(state: State, order: WantedOrder, added: int, facts: Pass, out: Out) -> bool:
    """A new order, which adds so much exposure to its side; false where the gate refuses."""
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


def next_id(state: State, purpose: Purpose) -> str:
    """A client order id that has not been used, and names the rule that sends the order."""
    session = state.session
    session.sequence += 1
    return order_id.format(session.installation, session.token, purpose.value, session.sequence)


def _gate(state: State, order: WantedOrder, added: int, facts: Pass) -> ApprovedOrder | None:
    verdict = risk.approve(order, added, state.instrument, facts)
    if isinstance(verdict, Denial):
        bump(state.account.counters.denials, verdict.value)
        return None
    state.session.orders_since_budget += 1
    return verdict
