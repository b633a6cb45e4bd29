"""Orders of our symbol that this worker did not place: whose they are, and how far they stop us.

What an older token left is ours to cancel; a second writer withdraws us; what people, other programs and the exchange
itself do suspends or halts.
"""

from enum import StrEnum

from phoenix_worker.core.actions import Cancel, Note, NoteKind
from phoenix_worker.core.events import EmergencyLevel, Fill, OpenOrder, OrderReport, Truth
from phoenix_worker.core.orders import RECEIVE_WINDOW_MS
from phoenix_worker.core.reconcile import Owner, is_of, is_older, owner_of
from phoenix_worker.core.shared import halt_symbol, raise_emergency
from phoenix_worker.core.state import Out, State

LIQUIDATION = "autoclose-"
DELEVERAGING = "adl_autoclose"
SETTLEMENT = "settlement_autoclose-"


class Foreign(StrEnum):
    """Kinds of orders that are not of this system (client order ids: Binance USDⓈ-M documentation, ORDER_TRADE_UPDATE).

    Whoever only reduces gets out of our way: we wait. All others end what we take for granted, and a person looks.
    """

    REDUCES = "a foreign reduce-only order"  # quoting is suspended while it lives
    OPENS = "a foreign order that opens"  # halts the symbol
    DELEVERAGED = "auto-deleveraging by the exchange"  # halts the symbol
    SETTLED = "settlement by the exchange"  # halts the symbol
    LIQUIDATED = "liquidation by the exchange"  # halts the account


def kind_of(order: OpenOrder) -> Foreign:
    """Of an order that no worker placed. The exchange's own orders carry no reduce-only mark: their ids tell."""
    if order.client_id.startswith(LIQUIDATION):
        return Foreign.LIQUIDATED
    if order.client_id.startswith(DELEVERAGING):
        return Foreign.DELEVERAGED
    if order.client_id.startswith(SETTLEMENT):
        return Foreign.SETTLED
    return Foreign.REDUCES if order.reduce_only else Foreign.OPENS


def take_over(state: State, truth: Truth, out: Out) -> None:
    """What an older token left is ours to cancel, also where that was ours, and then the truth is read again."""
    state.session.foreign = {}
    # Of those that we placed ourselves a cancel may be unanswered: they are counted, but quotes come after them.
    left = sum(is_older(order.client_id, state.session.token) for order in state.account.orders.live())
    for order in truth.open_orders:
        if state.account.orders.get(order.client_id) is None and judge_owner(state, order, out) is Owner.OLDER:
            out.append(Cancel(order.client_id, order.venue_id))
            left += 1
    if left:
        state.reconciliation.need_again(left, truth.at)
    else:
        state.reconciliation.leftovers = 0


def judge_fills(state: State, truth: Truth, booked: list[Fill], out: Out) -> None:
    """Fills of which the user stream never told, because nobody listened or led, stop us no less than if it had."""
    filled = {fill.venue_id for fill in booked}
    for order in truth.owners:
        if order.venue_id in filled and state.account.orders.get(order.client_id) is None:
            judge_owner(state, order, out, filled=True)


def judge_owner(state: State, order: OpenOrder, out: Out, *, filled: bool = False) -> Owner:
    """Whose it is; a second writer withdraws us and halts the account, a foreign order suspends while it lives."""
    session = state.session
    owner = owner_of(order, session.installation, session.token, known=False)
    match owner:
        case Owner.SECOND_WRITER if session.token and order.state.is_open and not _is_successor(state, order):
            withdraw_from(state, order.client_id, out)
        case Owner.FOREIGN:
            if order.state.is_open:
                session.foreign[order.client_id] = kind_of(order) is Foreign.REDUCES
            else:
                session.foreign.pop(order.client_id, None)
            if session.token and (order.state.is_open or filled):
                _heed(state, order, out)
    return owner


def _heed(state: State, order: OpenOrder, out: Out) -> None:
    """What others do halts further than their order lives, unless it only gets out. An order that ended without a fill
    has done nothing, and somebody has looked at it.
    """
    kind = kind_of(order)
    name = order.client_id or f"order {order.venue_id}, which the exchange does not name"
    why = f"{kind}: {state.instrument.symbol} {name}"
    match kind:
        case Foreign.REDUCES:
            pass
        case Foreign.OPENS | Foreign.DELEVERAGED | Foreign.SETTLED:
            halt_symbol(state, why, out)
        case Foreign.LIQUIDATED:
            out.append(Note(NoteKind.HALT, why))
            raise_emergency(state, EmergencyLevel.HALT, why, out)


def _is_successor(state: State, order: OpenOrder) -> bool:
    """Whether our lease had run out and the order is of who was given it after us: this process slept, and the order
    reaches it before the loss of the lease does.
    """
    session = state.session
    return state.now_ns >= session.deadline_ns and is_of(order.client_id, session.installation)


def still_writes(state: State, event: OrderReport) -> bool:
    """Whether an order of an older token was accepted when nothing of it could be any more: its receive windows had
    ended. Its sender does not know of us (another Redis, say), and would place again what we cancel for ever.
    """
    session = state.session
    if not session.clock_known or not is_older(event.order.client_id, session.token):
        return False
    latest_ns = session.gained_ns + RECEIVE_WINDOW_MS * 1_000_000 + session.clock_error_ns
    return event.transaction_ms > session.exchange_ms(latest_ns)


def withdraw_from(state: State, client_id: str, out: Out) -> None:
    """A second writer: we withdraw, and the account halts until a person has looked."""
    if state.session.second_writer:
        return
    state.session.second_writer = True
    why = f"second writer of {state.instrument.symbol}: order {client_id}"
    out.append(Note(NoteKind.HALT, why))
    raise_emergency(state, EmergencyLevel.HALT, why, out)
