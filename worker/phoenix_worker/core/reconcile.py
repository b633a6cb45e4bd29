"""Start, reconnect and takeover are one path: fetch the truth, replace, account for the difference, then quote.

While the truth is being read, events of the user stream are kept; afterwards those that are newer than it (by trade id,
by the order's update time, by the account's) are applied, which every handler decides for itself, being idempotent.
A comparison is the same reading while quoting goes on: it only looks whether the exchange tells what we hold.
"""

from enum import StrEnum

import msgspec
from phoenix_coordination import order_id

from phoenix_worker.core.back_off import doubled
from phoenix_worker.core.events import OpenOrder, OrderReport, PositionReport, Truth
from phoenix_worker.core.orders import QUERY_AFTER_NS, Life, OrderBook, OwnOrder, Trigger
from phoenix_worker.core.position import Position

IDLE_COMPARE_NS = 30_000_000_000
RETRY_FIRST_NS = 1_000_000_000
RETRY_LAST_NS = 5_000_000_000
"""Each reading costs request weight, which those that quote share."""
LEFTOVERS_FIRST_NS = 200_000_000
LEFTOVERS_LAST_NS = 5_000_000_000
ANSWER_WITHIN_NS = 15_000_000_000
"""A reading that is not answered by then is asked again; the venue bounds each of its requests, this bounds their
sum.
"""


class Phase(StrEnum):
    UNRECONCILED = "unreconciled"  # the truth is needed and not yet asked for
    READING = "reading"
    RECONCILED = "reconciled"


class Owner(StrEnum):
    """Whose an order is that the exchange shows us."""

    OURS = "ours"
    OLDER = "older token: ours to cancel"
    SECOND_WRITER = "newer token or another installation"
    FOREIGN = "not of this system"


class Reconciliation(msgspec.Struct):
    """Where the path stands. `activity` counts what changes our orders or position, to discard a comparison that
    raced it.
    """

    phase: Phase = Phase.UNRECONCILED
    why: str = "start"
    request_id: int = 0
    asked_ns: int = 0
    not_before_ns: int = 0
    open_when_asked: list[str] = []
    buffered: list[OrderReport | PositionReport] = []
    comparing: bool = False
    activity: int = 0
    activity_when_asked: int = 0
    last_truth_ns: int = 0
    truths: int = 0
    mismatches: int = 0
    failures: int = 0
    """Readings in a row that failed, or told what is of the past."""
    leftovers: int = 0
    """Truths in a row that showed orders which are ours to cancel."""

    @property
    def reconciled(self) -> bool:
        return self.phase is Phase.RECONCILED

    def need(self, why: str) -> None:
        """Something may have been missed: nothing is quoted until the exchange has been read."""
        self.phase, self.why, self.comparing, self.failures = Phase.UNRECONCILED, why, False, 0

    def need_again(self, left: int, now_ns: int) -> None:
        """Orders of an older token were cancelled: whether they are gone is looked up soon, and ever later where they
        stay (each reading costs request weight).
        """
        self.leftovers += 1
        self.need(f"{left} orders of an older token were cancelled")
        self.not_before_ns = now_ns + doubled(LEFTOVERS_FIRST_NS, self.leftovers - 1, LEFTOVERS_LAST_NS)

    def due(self, now_ns: int, user_up: bool) -> bool:
        """Whether the truth should be asked for now: needed and possible, overdue, or idle for long."""
        if not user_up or now_ns < self.not_before_ns:
            return False
        if self.phase is Phase.UNRECONCILED:
            return True
        if self.phase is Phase.READING or self.comparing:
            return now_ns - self.asked_ns > ANSWER_WITHIN_NS
        return now_ns - self.last_truth_ns > IDLE_COMPARE_NS

    def keep(self, event: OrderReport | PositionReport) -> None:
        """What is told while the truth is being read may be newer than it; what came before the question is not."""
        if self.phase is Phase.READING:
            self.buffered.append(event)

    def asked(self, now_ns: int, orders: OrderBook) -> int:
        """Begins a reading (a comparison where we are reconciled); returns its id."""
        self.request_id += 1
        self.asked_ns = now_ns
        if self.phase is Phase.RECONCILED:
            self.comparing = True
            self.activity_when_asked = self.activity
        else:
            if self.phase is Phase.UNRECONCILED:
                self.buffered = []
            self.phase = Phase.READING
        self.open_when_asked = [order.client_id for order in orders.live() if order.life is Life.OPEN]
        return self.request_id

    def failed(self, now_ns: int, why: str) -> None:
        self.failures += 1
        self.not_before_ns = now_ns + doubled(RETRY_FIRST_NS, self.failures - 1, RETRY_LAST_NS)
        self.comparing = False
        if self.phase is Phase.READING:
            self.phase, self.why = Phase.UNRECONCILED, why

    def completed(self, now_ns: int) -> list[OrderReport | PositionReport]:
        """The truth has been taken over; returns what was kept meanwhile."""
        self.phase, self.comparing = Phase.RECONCILED, False
        self.last_truth_ns = now_ns
        self.truths += 1
        self.failures = 0
        kept, self.buffered = self.buffered, []
        return kept


def replace_orders(orders: OrderBook, truth: Truth, open_when_asked: list[str], asked_ns: int) -> None:
    """Our orders as the exchange tells them, read since `asked_ns`. What it does not tell stays counted, unless it was
    open before the reading.
    """
    open_now = {order.client_id: order for order in truth.open_orders}
    ended = {order.client_id: order for order in truth.resolved}
    for order in orders.live():
        order.awaiting_report_ns = 0
        if told := open_now.get(order.client_id):
            if order.life is Life.UNKNOWN and order.pending_qty and asked_ns < order.asked_ns + QUERY_AFTER_NS:
                continue  # its amend may still arrive: a query after the receive window will tell
            order.learn(told)
            # Its fills up to the reading are in the truth's position: from here on only newer ones count.
            order.filled_steps = max(order.filled_steps, told.filled_steps)
            order.on(Trigger.FOUND_OPEN)
            if order.life is Life.OPEN:
                order.settle_amend()
        elif told := ended.get(order.client_id):
            order.learn(told)
            order.on(Trigger.FOUND_CLOSED if not told.state.is_open else Trigger.FOUND_OPEN)
        elif order.client_id in open_when_asked:
            order.on(Trigger.REPORT_CLOSED)
        elif order.life is Life.OPEN:
            # Acknowledged while the truth was being read: it may have come too late for the list. Ask.
            order.on(Trigger.NOT_FOUND)
            order.next_query_ns = truth.at
    for order in orders.orders.values():
        if order.life is Life.CLOSED:
            over = order.client_id in ended or order.client_id in open_when_asked
            _settle_closed(order, open_now.get(order.client_id), over or order.awaiting_report_ns <= asked_ns, truth.at)


def _settle_closed(order: OwnOrder, told_open: OpenOrder | None, over: bool, now_ns: int) -> None:
    """Where an order ended only after it had been read, fills of it may still be on their way."""
    if told_open is not None:
        order.filled_steps = max(order.filled_steps, told_open.filled_steps)
        order.awaiting_report_ns = now_ns if order.exposure_steps else 0
    elif over:
        # Fills up to the truth are in its position: nothing of this order is unseen any more.
        order.executed_steps = order.filled_steps
        order.awaiting_report_ns = 0


def owner_of(order: OpenOrder, installation: str, token: int, known: bool) -> Owner:
    """Whose the order is, by its client id. An order of our own token that we do not know is ours to cancel, too."""
    ident = order_id.parse(order.client_id)
    if ident is None:
        return Owner.FOREIGN
    if ident.installation != installation or ident.token > token:
        return Owner.SECOND_WRITER
    return Owner.OURS if known else Owner.OLDER


def is_of(client_id: str, installation: str) -> bool:
    """Whether a worker of the installation placed it."""
    ident = order_id.parse(client_id)
    return ident is not None and ident.installation == installation


def is_older(client_id: str, token: int) -> bool:
    """Whether an older token than this one placed it."""
    ident = order_id.parse(client_id)
    return ident is not None and ident.token < token


def agrees(truth: Truth, position: Position, orders: OrderBook) -> str:
    """Why the exchange tells something else than what we hold; empty where it agrees."""
    if truth.position_steps != position.steps:
        return f"position {truth.position_steps} steps at the exchange, {position.steps} here"
    # Two missed fills can cancel out in the position, but not in the money that they made.
    if missed := [fill.trade_id for fill in truth.fills if position.is_new(fill.trade_id)]:
        return f"fills that were never told: trades {missed}"
    there = {order.client_id for order in truth.open_orders}
    live = {order.client_id for order in orders.live()}
    # What is in flight or unknown may or may not have been there when it was read.
    resting = {order.client_id for order in orders.live() if order.life is Life.OPEN}
    if there - live or resting - there:
        return f"open orders differ: only there {sorted(there - live)}, only here {sorted(resting - there)}"
    return ""
