"""The life of an order of ours, and the difference between what should rest and what does.

Everything about transitions stands in `TABLE`: every (state, trigger) has a row, the impossible ones too. The theory
behind it is short. An order that is in flight (SENT, AMENDING, CANCELLING) leaves that state only by the answer to its
request or by a report that closes it, so that a late answer can never be taken for that of a later request. UNKNOWN
counts as live until the exchange has been asked after its receive window, and "does not exist" only when it was
said twice. Fills are counted by trade id, whatever state the order is in: a fill after a cancel is legal.
"""

from enum import StrEnum

import msgspec

from phoenix_worker.core.actions import Purpose
from phoenix_worker.core.events import OpenOrder, Side
from phoenix_worker.core.quoting import Slot, Target

RECEIVE_WINDOW_MS = 2_000
"""Every order carries a receive window of at most this, so that it is known when a lost one can no longer arrive."""

QUERY_AFTER_NS = 2_500_000_000
QUERY_AGAIN_NS = 1_000_000_000
CANCEL_AGAIN_NS = 1_000_000_000
"""A cancel that was refused (by a rate limit, say) is not repeated sooner: a storm of them would only prolong it."""

MAX_AMENDS = 9_000
"""The venue admits fewer than 10 000 amendments of one order; replaced in time."""


NO_LAYER = -1
"""Of an order that stands in no slot of the plan."""


class Life(StrEnum):
    SENT = "sent"
    OPEN = "open"
    AMENDING = "amending"
    CANCELLING = "cancelling"
    UNKNOWN = "unknown"
    CLOSED = "closed"


_OPEN, _CLOSED = Life.OPEN, Life.CLOSED
"""Looking up a member of an enum costs more than what is done with it where every order is looked at."""


class Trigger(StrEnum):
    AMEND_ASKED = "amend asked"
    CANCEL_ASKED = "cancel asked"
    PLACED = "place confirmed"
    PLACE_REFUSED = "place refused"
    PLACE_UNKNOWN = "place unanswered"
    AMENDED = "amend confirmed"
    AMEND_REFUSED = "amend refused, the order stands"
    AMEND_GONE = "amend refused, no such open order"
    AMEND_UNKNOWN = "amend unanswered"
    CANCELLED = "cancel confirmed"
    CANCEL_REFUSED = "cancel refused, the order stands"
    CANCEL_GONE = "cancel refused, no such open order"
    CANCEL_UNKNOWN = "cancel unanswered"
    REPORT_OPEN = "reported open"
    REPORT_CLOSED = "reported closed"
    FOUND_OPEN = "queried: open"
    FOUND_CLOSED = "queried: closed"
    NOT_FOUND = "queried: does not exist"
    NOT_FOUND_TWICE = "queried again: does not exist"


_L, _T = Life, Trigger
TABLE: dict[tuple[Life, Trigger], Life] = {
    # in flight: the place
    (_L.SENT, _T.AMEND_ASKED): _L.SENT,  # not before the answer
    (_L.SENT, _T.CANCEL_ASKED): _L.SENT,  # a cancel may overtake its order and find nothing
    (_L.SENT, _T.PLACED): _L.OPEN,
    (_L.SENT, _T.PLACE_REFUSED): _L.CLOSED,
    (_L.SENT, _T.PLACE_UNKNOWN): _L.UNKNOWN,
    (_L.SENT, _T.AMENDED): _L.SENT,
    (_L.SENT, _T.AMEND_REFUSED): _L.SENT,
    (_L.SENT, _T.AMEND_GONE): _L.SENT,
    (_L.SENT, _T.AMEND_UNKNOWN): _L.SENT,
    (_L.SENT, _T.CANCELLED): _L.CLOSED,
    (_L.SENT, _T.CANCEL_REFUSED): _L.SENT,
    (_L.SENT, _T.CANCEL_GONE): _L.SENT,
    (_L.SENT, _T.CANCEL_UNKNOWN): _L.SENT,
    (_L.SENT, _T.REPORT_OPEN): _L.SENT,  # the event came before the answer
    (_L.SENT, _T.REPORT_CLOSED): _L.CLOSED,
    (_L.SENT, _T.FOUND_OPEN): _L.SENT,
    (_L.SENT, _T.FOUND_CLOSED): _L.CLOSED,
    (_L.SENT, _T.NOT_FOUND): _L.SENT,
    (_L.SENT, _T.NOT_FOUND_TWICE): _L.SENT,
    # resting
    (_L.OPEN, _T.AMEND_ASKED): _L.AMENDING,
    (_L.OPEN, _T.CANCEL_ASKED): _L.CANCELLING,
    (_L.OPEN, _T.PLACED): _L.OPEN,
    (_L.OPEN, _T.PLACE_REFUSED): _L.UNKNOWN,  # refused and open: one of them is wrong, so ask
    (_L.OPEN, _T.PLACE_UNKNOWN): _L.OPEN,
    (_L.OPEN, _T.AMENDED): _L.OPEN,
    (_L.OPEN, _T.AMEND_REFUSED): _L.OPEN,
    (_L.OPEN, _T.AMEND_GONE): _L.UNKNOWN,
    (_L.OPEN, _T.AMEND_UNKNOWN): _L.UNKNOWN,
    (_L.OPEN, _T.CANCELLED): _L.CLOSED,
    (_L.OPEN, _T.CANCEL_REFUSED): _L.OPEN,
    (_L.OPEN, _T.CANCEL_GONE): _L.UNKNOWN,
    (_L.OPEN, _T.CANCEL_UNKNOWN): _L.UNKNOWN,
    (_L.OPEN, _T.REPORT_OPEN): _L.OPEN,
    (_L.OPEN, _T.REPORT_CLOSED): _L.CLOSED,
    (_L.OPEN, _T.FOUND_OPEN): _L.OPEN,
    (_L.OPEN, _T.FOUND_CLOSED): _L.CLOSED,
    (_L.OPEN, _T.NOT_FOUND): _L.UNKNOWN,
    (_L.OPEN, _T.NOT_FOUND_TWICE): _L.UNKNOWN,
    # in flight: an amend
    (_L.AMENDING, _T.AMEND_ASKED): _L.AMENDING,
    (_L.AMENDING, _T.CANCEL_ASKED): _L.CANCELLING,
    (_L.AMENDING, _T.PLACED): _L.AMENDING,
    (_L.AMENDING, _T.PLACE_REFUSED): _L.UNKNOWN,
    (_L.AMENDING, _T.PLACE_UNKNOWN): _L.AMENDING,
    (_L.AMENDING, _T.AMENDED): _L.OPEN,
    (_L.AMENDING, _T.AMEND_REFUSED): _L.OPEN,
    (_L.AMENDING, _T.AMEND_GONE): _L.UNKNOWN,
    (_L.AMENDING, _T.AMEND_UNKNOWN): _L.UNKNOWN,
    (_L.AMENDING, _T.CANCELLED): _L.CLOSED,
    (_L.AMENDING, _T.CANCEL_REFUSED): _L.AMENDING,
    (_L.AMENDING, _T.CANCEL_GONE): _L.UNKNOWN,
    (_L.AMENDING, _T.CANCEL_UNKNOWN): _L.UNKNOWN,
    (_L.AMENDING, _T.REPORT_OPEN): _L.AMENDING,
    (_L.AMENDING, _T.REPORT_CLOSED): _L.CLOSED,
    (_L.AMENDING, _T.FOUND_OPEN): _L.AMENDING,
    (_L.AMENDING, _T.FOUND_CLOSED): _L.CLOSED,
    (_L.AMENDING, _T.NOT_FOUND): _L.AMENDING,
    (_L.AMENDING, _T.NOT_FOUND_TWICE): _L.UNKNOWN,
    # in flight: a cancel
    (_L.CANCELLING, _T.AMEND_ASKED): _L.CANCELLING,
    (_L.CANCELLING, _T.CANCEL_ASKED): _L.CANCELLING,
    (_L.CANCELLING, _T.PLACED): _L.CANCELLING,
    (_L.CANCELLING, _T.PLACE_REFUSED): _L.CANCELLING,
    (_L.CANCELLING, _T.PLACE_UNKNOWN): _L.CANCELLING,
    (_L.CANCELLING, _T.AMENDED): _L.CANCELLING,  # the answer to an amend that the cancel followed
    (_L.CANCELLING, _T.AMEND_REFUSED): _L.CANCELLING,
    (_L.CANCELLING, _T.AMEND_GONE): _L.CANCELLING,
    (_L.CANCELLING, _T.AMEND_UNKNOWN): _L.CANCELLING,
    (_L.CANCELLING, _T.CANCELLED): _L.CLOSED,
    (_L.CANCELLING, _T.CANCEL_REFUSED): _L.OPEN,
    (_L.CANCELLING, _T.CANCEL_GONE): _L.UNKNOWN,  # filled, or cancelled by somebody: look at the stream, and ask
    (_L.CANCELLING, _T.CANCEL_UNKNOWN): _L.UNKNOWN,
    (_L.CANCELLING, _T.REPORT_OPEN): _L.CANCELLING,
    (_L.CANCELLING, _T.REPORT_CLOSED): _L.CLOSED,
    (_L.CANCELLING, _T.FOUND_OPEN): _L.CANCELLING,
    (_L.CANCELLING, _T.FOUND_CLOSED): _L.CLOSED,
    (_L.CANCELLING, _T.NOT_FOUND): _L.CANCELLING,
    (_L.CANCELLING, _T.NOT_FOUND_TWICE): _L.UNKNOWN,
    # nobody knows: counts as live
    (_L.UNKNOWN, _T.AMEND_ASKED): _L.UNKNOWN,
    (_L.UNKNOWN, _T.CANCEL_ASKED): _L.CANCELLING,  # a cancel is always safe, and its answer is proof
    (_L.UNKNOWN, _T.PLACED): _L.OPEN,
    (_L.UNKNOWN, _T.PLACE_REFUSED): _L.CLOSED,
    (_L.UNKNOWN, _T.PLACE_UNKNOWN): _L.UNKNOWN,
    (_L.UNKNOWN, _T.AMENDED): _L.OPEN,
    (_L.UNKNOWN, _T.AMEND_REFUSED): _L.UNKNOWN,
    (_L.UNKNOWN, _T.AMEND_GONE): _L.UNKNOWN,
    (_L.UNKNOWN, _T.AMEND_UNKNOWN): _L.UNKNOWN,
    (_L.UNKNOWN, _T.CANCELLED): _L.CLOSED,
    (_L.UNKNOWN, _T.CANCEL_REFUSED): _L.UNKNOWN,
    (_L.UNKNOWN, _T.CANCEL_GONE): _L.UNKNOWN,
    (_L.UNKNOWN, _T.CANCEL_UNKNOWN): _L.UNKNOWN,
    (_L.UNKNOWN, _T.REPORT_OPEN): _L.UNKNOWN,  # a fill does not prove that an unanswered cancel will not come
    (_L.UNKNOWN, _T.REPORT_CLOSED): _L.CLOSED,
    (_L.UNKNOWN, _T.FOUND_OPEN): _L.OPEN,  # asked after the receive window: nothing of ours is under way any more
    (_L.UNKNOWN, _T.FOUND_CLOSED): _L.CLOSED,
    (_L.UNKNOWN, _T.NOT_FOUND): _L.UNKNOWN,  # may be not yet visible
    (_L.UNKNOWN, _T.NOT_FOUND_TWICE): _L.CLOSED,
}
TABLE |= {
    (Life.CLOSED, trigger): Life.CLOSED for trigger in Trigger
}  # closed is closed; fills are counted all the same


class OwnOrder(msgspec.Struct):
    """One order of ours. `qty_steps` is the total as last confirmed; `pending_*` belong to an amend in flight (0:
    none).

    `filled_steps` is what fills (by trade id) have told; `executed_steps` the highest total that anybody has told. What
    is executed but whose fill we have not seen still counts against us, also when the order is closed.
    """

    client_id: str
    side: Side
    layer: int
    purpose: Purpose
    reduce_only: bool
    price_ticks: int
    qty_steps: int
    sent_ns: int
    life: Life = Life.SENT
    venue_id: int = 0
    pending_price: int = 0
    pending_qty: int = 0
    filled_steps: int = 0
    executed_steps: int = 0
    amends: int = 0
    asked_ns: int = 0
    """When the request in flight was asked."""
    report_ahead: bool = False
    """The event of the request in flight came before its answer."""
    awaiting_report_ns: int = 0
    """Since when an acknowledged request has waited for its event on the user stream (0: it does not)."""
    queries: int = 0
    next_query_ns: int = 0
    update_ms: int = 0
    """The exchange's time of the newest thing that it told about the order."""
    next_cancel_ns: int = 0
    """No cancel before: the last one was refused."""

    @property
    def exposure_steps(self) -> int:
        """What may still fill, or has filled unseen: an amend counts as the larger of old and new until confirmed."""
        if self.life is _CLOSED:
            return max(0, self.executed_steps - self.filled_steps)
        return max(self.qty_steps, self.pending_qty) - self.filled_steps

    @property
    def in_flight(self) -> bool:
        return self.life in (Life.SENT, Life.AMENDING, Life.CANCELLING)

    def on(self, trigger: Trigger) -> Life:
        life = TABLE[self.life, trigger]
        if life is _OPEN and self.pending_qty and trigger is Trigger.CANCEL_REFUSED:
            # Its amend is still unanswered: resting, it could be amended again, and the first amend be forgotten.
            life = Life.UNKNOWN
        if life is _CLOSED or life is _OPEN:
            self.queries = self.next_query_ns = 0
        if life is _CLOSED:
            self.awaiting_report_ns = 0
        self.life = life
        return life

    def learn(self, told: OpenOrder) -> None:
        """Takes over what the exchange says about the order, never backwards."""
        self.venue_id = told.venue_id or self.venue_id
        self.executed_steps = max(self.executed_steps, told.filled_steps)
        if told.state.is_open and told.update_ms >= self.update_ms:
            self.update_ms = told.update_ms
            self.price_ticks = told.price_ticks
            self.qty_steps = told.qty_steps

    def settle_amend(self) -> None:
        self.pending_price = self.pending_qty = 0


class OrderBook(msgspec.Struct):
    """All orders of ours that may still matter, by client id."""

    orders: dict[str, OwnOrder] = {}

    def add(self, order: OwnOrder) -> None:
        self.orders[order.client_id] = order

    def get(self, client_id: str) -> OwnOrder | None:
        return self.orders.get(client_id)

    def by_venue_id(self, venue_id: int) -> OwnOrder | None:
        return next((order for order in self.orders.values() if order.venue_id == venue_id), None)

    def disown(self) -> None:
        """A new token: what an older one has placed, also if that was ours, is only to be cancelled."""
        for order in self.orders.values():
            order.layer = NO_LAYER

    def recount(self) -> None:
        """Other accounts are in force: fills are told again from where they end, and until then each order counts
        whole.
        """
        for order in self.orders.values():
            order.filled_steps = 0

    def forget_settled(self) -> None:
        """Drops what is closed and wholly accounted for."""
        done = [
            key
            for key, order in self.orders.items()
            if order.life is Life.CLOSED and not order.exposure_steps and not order.awaiting_report_ns
        ]
        for key in done:
            del self.orders[key]

    def lagging(self, now_ns: int, ack_lag_ns: int) -> OwnOrder | None:
        """An order whose acknowledged request, or whose executed quantity, the user stream has not told in time."""
        for order in self.orders.values():
            if order.awaiting_report_ns and now_ns - order.awaiting_report_ns > ack_lag_ns:
                return order
        return None

    def live(self) -> list[OwnOrder]:
        return [order for order in self.orders.values() if order.life is not Life.CLOSED]

    def exposure(self, side: Side) -> int:
        """Every live, in-flight or unknown order of the side, if all of it filled."""
        return sum(order.exposure_steps for order in self.orders.values() if order.side is side)


_AT_THE_TOUCH = (Purpose.PIN, Purpose.BLOCK)


def _serves(purpose: Purpose, wanted: Purpose) -> bool:
    """Whether an order of one rule may stand where another wants one: Pinning and Block quote alike, and a place in the
    queue is worth more than the name.
    """
    return purpose is wanted or (purpose in _AT_THE_TOUCH and wanted in _AT_THE_TOUCH)


class Difference(msgspec.Struct, frozen=True):
    """What has to be sent so that what rests becomes what should: `moves` are amends of a resting order."""

    cancels: list[OwnOrder]
    moves: list[tuple[OwnOrder, Target]]
    places: list[Target]
    slack_down: int
    slack_up: int
    """By how many ticks all targets may move down or up together before one of the kept orders leaves its band."""


def difference(targets: list[Target], slots: dict[Slot, OwnOrder], shrink: bool) -> Difference:
    """Target against live. Inside the keep band an order stays: moving it would lose its place in the queue.

    `shrink`: risk asks for smaller orders (a limit was lowered), so size alone is a reason.
    """
    cancels: list[OwnOrder] = []
    moves: list[tuple[OwnOrder, Target]] = []
    places: list[Target] = []
    down = up = 1 << 40
    rest = dict(slots)
    for target in targets:
        order = rest.pop((target.side, target.layer), None) if rest else None
        if order is None:
            places.append(target)
            continue
        off = target.price_ticks - order.price_ticks
        too_big = shrink and order.qty_steps - order.filled_steps > target.qty_steps
        if order.reduce_only != target.reduce_only or not _serves(order.purpose, target.purpose):
            # These cannot be amended; the place follows when the cancel is confirmed.
            cancels.append(order)
        elif abs(off) > target.keep_ticks or too_big:
            if order.amends >= MAX_AMENDS:
                cancels.append(order)
            else:
                moves.append((order, target))
        else:
            up = min(up, target.keep_ticks - off)
            down = min(down, target.keep_ticks + off)
    cancels += rest.values()
    return Difference(cancels, moves, places, down, up)
