"""What is ours at the exchange: orders, position, money. Takes in answers and reports, whichever comes first.

Every handler is idempotent: fills count once by trade id, orders never learn backwards. What a handler cannot settle by
itself it returns as a `Verdict`, and the engine acts on it.
"""

from enum import StrEnum

import msgspec
from phoenix_coordination.state import FILLS_TOLD

from phoenix_worker.core.counters import Counters, bump
from phoenix_worker.core.events import (
    Answer,
    Execution,
    Fill,
    OrderAnswer,
    OrderReport,
    Outcome,
    Refusal,
    Request,
    Side,
    Truth,
)
from phoenix_worker.core.grinding import Grinder
from phoenix_worker.core.instrument import Instrument
from phoenix_worker.core.orders import (
    CANCEL_AGAIN_NS,
    QUERY_AFTER_NS,
    QUERY_AGAIN_NS,
    Life,
    OrderBook,
    OwnOrder,
    Trigger,
)
from phoenix_worker.core.parameters import Risk
from phoenix_worker.core.pnl import Pnl
from phoenix_worker.core.position import Position
from phoenix_worker.core.reconcile import replace_orders

ROUTINE = frozenset({Refusal.WOULD_TAKE, Refusal.GONE, Refusal.UNCHANGED})
"""Of our own making and expected; counted apart, never a failure."""

NOT_A_FAILURE = ROUTINE | {
    Refusal.RATE_LIMIT,
    Refusal.BANNED,
    Refusal.CLOCK,
    Refusal.EXPIRED_DEADLINE,
    Refusal.NOT_SENT,
    Refusal.SYMBOL_REDUCES,
    Refusal.SYMBOL_CLOSED,
}
"""The venue backs us off or has restricted the symbol, its clock is not where we think (nothing is quoted until it has
been measured again), or nothing ever left. An unknown outcome is none either: it counts as live until it has been
resolved, and an outage would otherwise halt every symbol until a person came."""

NEVER_JUDGED = frozenset(
    {Refusal.NOT_SENT, Refusal.EXPIRED_DEADLINE, Refusal.RATE_LIMIT, Refusal.BANNED, Refusal.CLOCK}
)
"""The order itself was not looked at: it never left, came too late, or nothing of ours is taken now."""

_PLACE_ANSWERS = {Outcome.CONFIRMED: Trigger.PLACED, Outcome.UNKNOWN: Trigger.PLACE_UNKNOWN}
_AMEND_ANSWERS = {Outcome.CONFIRMED: Trigger.AMENDED, Outcome.UNKNOWN: Trigger.AMEND_UNKNOWN}
_CANCEL_ANSWERS = {Outcome.CONFIRMED: Trigger.CANCELLED, Outcome.UNKNOWN: Trigger.CANCEL_UNKNOWN}


class Verdict(StrEnum):
    NOTHING = ""
    LOOK_AGAIN = "what we hold and what the exchange says differ"
    FAILING = "too many of the last requests failed"
    TROUBLE = "the exchange denies the account"
    BANNED = "banned by the exchange"


class Failures(msgspec.Struct):
    """Whether each of the last requests failed for a reason that was not of our own making, and the newest reason."""

    outcomes: list[bool] = []
    newest: str = ""

    def count(self, answer: Answer, risk: Risk) -> bool:
        """Records one outcome; true where more than `failure_ratio` of at least `failure_window` failed."""
        if answer.refusal is not None:
            self.newest = f"{answer.refusal} {answer.code}" if answer.code else f"{answer.refusal}"
        self.outcomes.append(answer.refusal is not None)
        if len(self.outcomes) > risk.failure_window:
            del self.outcomes[0]
        return len(self.outcomes) >= risk.failure_window and sum(self.outcomes) > risk.failure_ratio * len(
            self.outcomes
        )


class Account(msgspec.Struct):
    """`held` keeps a side (±1) from being placed again before the touch is newer than this update id.

    `recent_fills`: for people, the last that were booked, newest last.
    """

    orders: OrderBook
    position: Position
    pnl: Pnl
    failures: Failures
    counters: Counters
    grinder: Grinder = msgspec.field(default_factory=Grinder)
    held: dict[int, int] = {}
    recent_fills: list[Fill] = []

    @classmethod
    def empty(cls) -> "Account":
        return cls(OrderBook(), Position(), Pnl(), Failures(), Counters())

    @property
    def executed_position(self) -> int:
        """Signed steps, with what is known to have executed but whose fills have not been told yet."""
        closed = (order for order in self.orders.orders.values() if order.life is Life.CLOSED)
        return self.position.steps + sum(order.side * order.exposure_steps for order in closed)

    @property
    def worst_long(self) -> int:
        return self.position.longest + self.orders.exposure(Side.BUY)

    @property
    def worst_short(self) -> int:
        """Positive where everything filled against us would leave us short."""
        return -self.position.shortest + self.orders.exposure(Side.SELL)

    def on_answer(self, answer: Answer, touch_id: int, risk: Risk) -> Verdict:
        """The end of one request. Unknown orders (from before a restart) only count for the failures."""
        order = self.orders.get(answer.client_id)
        if order is not None:
            self._settle(order, answer, touch_id)
        if answer.outcome is Outcome.UNKNOWN:
            bump(self.counters.unknown, answer.request.value)
            return Verdict.NOTHING
        failing = False
        if answer.refusal is not None:
            bump(self.counters.refusals, answer.refusal.value)
            if answer.code:
                bump(self.counters.codes, answer.code)
        if answer.refusal not in NOT_A_FAILURE:
            failing = self.failures.count(answer, risk)
        if answer.refusal is Refusal.DENIED:
            return Verdict.TROUBLE
        if answer.refusal is Refusal.BANNED:
            return Verdict.BANNED
        if failing:
            return Verdict.FAILING
        return Verdict.LOOK_AGAIN if answer.refusal is Refusal.REDUCE_ONLY else Verdict.NOTHING

    def on_report(self, report: OrderReport, instrument: Instrument) -> bool:
        """The user stream about an order; true where it brought a fill that was not known."""
        told = report.order
        order = self.orders.get(told.client_id) or self.orders.by_venue_id(told.venue_id)
        booked = report.fill is not None and self._book(report.fill, order, instrument, report.at)
        if order is None:
            return booked
        order.learn(told)
        if order.awaiting_report_ns:
            # Reports come in the order of the requests: this one is of the request that has its answer already, even
            # where the next one is in flight.
            order.awaiting_report_ns = 0
        elif _acknowledges(order, report):
            order.report_ahead = True
        order.on(Trigger.REPORT_OPEN if told.state.is_open else Trigger.REPORT_CLOSED)
        if order.life is Life.CLOSED and order.exposure_steps:
            # Executed more than the fills that came: if those do not come, something was missed.
            order.awaiting_report_ns = report.at
        self.orders.forget_settled()
        return booked

    def on_self_trade(self, side: Side, touch_id: int) -> None:
        """The exchange has kept us from trading with ourselves: routine, and not tried again on the same book."""
        self.counters.self_trades += 1
        self.held[int(side)] = touch_id

    def on_order_answer(self, answer: OrderAnswer) -> None:
        """A queried order. Twice "does not exist", after its receive window, is proof; no answer is none."""
        order = self.orders.get(answer.client_id)
        if order is None:
            return
        if not answer.answered:
            order.next_query_ns = answer.at + QUERY_AGAIN_NS
            return
        if answer.order is None:
            order.queries += 1
            order.next_query_ns = answer.at + QUERY_AGAIN_NS
            order.on(Trigger.NOT_FOUND if order.queries < 2 else Trigger.NOT_FOUND_TWICE)
        else:
            order.learn(answer.order)
            is_open = answer.order.state.is_open
            order.on(Trigger.FOUND_OPEN if is_open else Trigger.FOUND_CLOSED)
            if order.life is Life.OPEN:
                order.settle_amend()
        self._watch_closed(order, answer.at)

    def on_truth(self, truth: Truth, open_when_asked: list[str], asked_ns: int, instrument: Instrument) -> list[Fill]:
        """Replaces what we hold by what the exchange says; its fills are booked for the money they made. Returns those
        that had not been told before.
        """
        for told in (*truth.open_orders, *truth.resolved):
            # Of an order whose answer was lost it is not known yet, and fills are told by it alone.
            self.grinder.named(told.client_id, told.venue_id)
            if (order := self.orders.get(told.client_id)) is not None:
                order.venue_id = told.venue_id
        self.grinder.resolved()
        booked = [
            fill
            for fill in truth.fills
            if self._book(fill, self.orders.by_venue_id(fill.venue_id), instrument, truth.at)
        ]
        self.position.replace(truth.position_steps, truth.entry_price, truth.last_trade_id, truth.read_ms)
        replace_orders(self.orders, truth, open_when_asked, asked_ns)
        self.orders.forget_settled()
        return booked

    def _book(self, fill: Fill, order: OwnOrder | None, instrument: Instrument, now_ns: int) -> bool:
        if not self.position.on_fill(fill, fill.price_ticks * instrument.tick, now_ns):
            return False
        self.pnl.on_fill(fill, instrument)
        self.recent_fills.append(fill)
        if len(self.recent_fills) > FILLS_TOLD:
            del self.recent_fills[0]
        leg = self.grinder.leg_of(fill.venue_id) if order is None else order.purpose
        self.grinder.on_fill(fill, leg, instrument)
        if order is None:
            self.counters.foreign_fills += 1
        else:
            order.filled_steps += fill.qty_steps
            order.executed_steps = max(order.executed_steps, order.filled_steps)
        return True

    def _settle(self, order: OwnOrder, answer: Answer, touch_id: int) -> None:
        """Moves the order by its answer; a request that is confirmed now waits for its event, if that has not come."""
        order.venue_id = answer.venue_id or order.venue_id
        order.executed_steps = max(order.executed_steps, answer.filled_steps)
        confirmed = answer.outcome is Outcome.CONFIRMED
        order.on(self._trigger(order, answer))
        if answer.request is Request.CANCEL and answer.outcome is Outcome.REFUSED:
            order.next_cancel_ns = answer.at + CANCEL_AGAIN_NS
        if answer.outcome is Outcome.UNKNOWN or (order.life is Life.UNKNOWN and order.pending_qty):
            order.next_query_ns = order.asked_ns + QUERY_AFTER_NS
        elif order.life is Life.UNKNOWN:
            order.next_query_ns = answer.at
        if answer.request is Request.AMEND and answer.outcome is not Outcome.UNKNOWN:
            if confirmed and not answer.closed and order.life is not Life.CLOSED:
                order.price_ticks = answer.price_ticks or order.pending_price or order.price_ticks
                order.qty_steps = answer.qty_steps or order.pending_qty or order.qty_steps
                order.update_ms = max(order.update_ms, answer.update_ms)
            if order.life is not Life.UNKNOWN:
                order.settle_amend()
        if confirmed and answer.closed:
            order.on(Trigger.FOUND_CLOSED)
        if answer.refusal is Refusal.WOULD_TAKE:
            self.held[int(order.side)] = touch_id
        ahead, order.report_ahead = order.report_ahead, False
        if confirmed and not ahead:
            order.awaiting_report_ns = answer.at
        self._watch_closed(order, answer.at)

    def _watch_closed(self, order: OwnOrder, now_ns: int) -> None:
        if order.life is Life.CLOSED and order.exposure_steps and not order.awaiting_report_ns:
            order.awaiting_report_ns = now_ns
        self.orders.forget_settled()

    @staticmethod
    def _trigger(order: OwnOrder, answer: Answer) -> Trigger:
        """Request and outcome as a trigger of the table. An amend that would take may have cancelled its order: ask.

        Ask, too, where a place is refused that the stream has told of before: one of the two is wrong.
        """
        gone = answer.refusal is Refusal.GONE
        match answer.request:
            case Request.PLACE:
                refused = answer.outcome is Outcome.REFUSED
                if answer.refusal is Refusal.DUPLICATE or (refused and order.update_ms):
                    return Trigger.PLACE_UNKNOWN
                return _PLACE_ANSWERS.get(answer.outcome, Trigger.PLACE_REFUSED)
            case Request.AMEND:
                refused = gone or answer.refusal is Refusal.WOULD_TAKE
                return _AMEND_ANSWERS.get(answer.outcome, Trigger.AMEND_GONE if refused else Trigger.AMEND_REFUSED)
            case Request.CANCEL:
                return _CANCEL_ANSWERS.get(answer.outcome, Trigger.CANCEL_GONE if gone else Trigger.CANCEL_REFUSED)


def _acknowledges(order: OwnOrder, report: OrderReport) -> bool:
    """Whether this is the event of the request that is in flight (and so came before its answer)."""
    match order.life:
        case Life.SENT:
            return True
        case Life.AMENDING:
            return report.execution is Execution.AMENDMENT or not report.order.state.is_open
        case Life.CANCELLING:
            return not report.order.state.is_open
        case Life.OPEN | Life.UNKNOWN | Life.CLOSED:
            return False
