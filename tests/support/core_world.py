"""An engine, a model of the exchange and of what workers share, and a clock: whole-engine tests without a socket.

Every order that the engine sends is audited here by what the test itself has told the engine, never by the engine's own
state. Every event is kept, so that a run can be played again.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec
from model_exchange import ModelExchange, Order, unanswered
from phoenix_coordination import order_id
from phoenix_worker.core import actions as ac
from phoenix_worker.core import events as ev
from phoenix_worker.core.actions import AnyAction, Purpose, WantedOrder, encode_actions
from phoenix_worker.core.engine import Engine
from phoenix_worker.core.events import EmergencyLevel, Request, Side, Stream
from phoenix_worker.core.instrument import Instrument, SymbolStatus
from phoenix_worker.core.orders import Life
from phoenix_worker.core.parameters import Parameters
from phoenix_worker.core.reconcile import is_older
from samples import BTCUSDT, MAKER, MS, SECOND

INSTALLATION = "k3f9a0"
TOKEN = 1_760_000_000_000
START_NS = 5_000 * SECOND
OFFSET_NS = 1_760_000_000 * SECOND
LEVELS = 10
TICK_NS = 50 * MS

ActionKind = TypeVar("ActionKind", bound=ac.Action)


@dataclass
class Run:
    """One process: its engine from its first event on, and all that happened to it."""

    parameters: Parameters
    instrument: Instrument
    born_ns: int
    last_token: int = 0
    """Under which it led last."""
    events: list[ev.AnyEvent] = field(default_factory=list)
    transcript: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.engine = self.fresh_engine()

    def fresh_engine(self) -> Engine:
        return Engine.new(self.parameters, self.instrument, self.born_ns, dry_run=False, revision="first")

    def replay(self) -> None:
        """The same events give the same actions, from the beginning and from a keyframe in the middle."""
        again = self.fresh_engine()
        middle = len(self.events) // 2
        for number, event in enumerate(self.events):
            if number == middle:
                again = Engine.from_keyframe(again.keyframe())
            assert encode_actions(again.on(event)) == self.transcript[number], f"event {number}: {event}"
        assert again.keyframe() == self.engine.keyframe()


class World:
    """`automatic`: the exchange and the coordinator do and tell at once whatever they are asked."""

    def __init__(
        self,
        parameters: Parameters = MAKER,
        instrument: Instrument = BTCUSDT,
        *,
        bid: int = 600_000,
        automatic: bool = True,
    ) -> None:
        self.now = START_NS
        self.run = Run(parameters, instrument, START_NS)
        self.exchange = ModelExchange(instrument, bid, bid + 1, self.exchange_ms)
        self.automatic = automatic
        self.done: list[AnyAction] = []
        # what the engine was told, kept apart from what it made of it
        self.token = self.newest_token = self.deadline = 0
        self.emergency = EmergencyLevel.HALT
        self.switch, self.switch_epoch = EmergencyLevel.NONE, 1
        self.halt, self.halt_epoch = "", 1
        """The emergency and the symbol's halt, as the account's workers share them."""
        self.granted = {Side.BUY: 0, Side.SELL: 0}
        self.granted_position = 0
        """Beside which it was granted: the ledger counts both together."""
        self.asked: ac.Reserve | None = None
        self.blocked_until = 0
        self.book_known = self.user_known = False
        self.status = instrument.status
        self.limit = parameters.worst_case_steps
        self.update_id = 1_000
        self.levels: tuple[dict[int, float], dict[int, float]] = self._levels()
        # how the world answers
        self.grant: Callable[[ac.Reserve], tuple[int, int]] = lambda asked: (asked.buy_steps, asked.sell_steps)
        self.arms = self.snapshots_answered = self.truths_answered = self.touch_answered = self.reconnects = True
        self.closes_answered = self.income_answered = self.day_answered = True
        self.income: list[ev.FundingRow] = []
        """What the exchange has booked as funding."""
        self.hold_requests = False
        """Automatic, but for requests about orders: they stay on their way."""
        self.pending: list[ac.Action] = []
        """Questions that nobody answers yet (not automatic)."""
        self.truth_asked_while_up = 0

    @property
    def engine(self) -> Engine:
        return self.run.engine

    # -- time and telling --------------------------------------------------------------------------

    @property
    def exchange_ms(self) -> int:
        return (self.now + OFFSET_NS) // MS

    def tell(self, event: ev.AnyEvent) -> list[AnyAction]:
        """One event, now; returns what the engine asked for (and, where automatic, lets it happen)."""
        event = msgspec.structs.replace(event, at=self.now)
        self._note_facts(event)
        self.run.events.append(event)
        actions = self.engine.on(event)
        self.run.transcript.append(encode_actions(actions))
        self.done += actions
        for action in actions:
            self._begin(action)
        self.check()
        if isinstance(event, ev.Reserved):
            self._check_grant()
        if self.automatic:
            self.settle()
        return actions

    def tick(self, times: int = 1) -> list[AnyAction]:
        """Time passes, in the shell's steps; nothing is heard of the market."""
        first = len(self.done)
        for _ in range(times):
            self.now += TICK_NS
            self.exchange.now_ms = max(self.exchange.now_ms, self.exchange_ms)
            self.tell(ev.Tick(0))
        return self.done[first:]

    def wait(self, seconds: float, *, canary: bool = True, frames: bool = True) -> list[AnyAction]:
        """Time passes; every half second the canary and a frame of the symbol are heard; the lease is renewed."""
        first = len(self.done)
        for step in range(round(seconds * SECOND / TICK_NS)):
            if step % 10 == 0:
                if canary:
                    self.tell(ev.Canary(0))
                if frames:
                    self.frame()
                self.renew()
            self.tick()
        return self.done[first:]

    def pass_time(self, seconds: float) -> list[AnyAction]:
        """As `wait`, in steps of half a second: much time in little."""
        first = len(self.done)
        for _ in range(max(1, round(2 * seconds))):
            self.now += SECOND // 2
            self.exchange.now_ms = max(self.exchange.now_ms, self.exchange_ms)
            self.tell(ev.Canary(0))
            self.frame()
            self.renew()
            self.tell(ev.Tick(0))
        return self.done[first:]

    def since(self, mark: int) -> list[AnyAction]:
        return self.done[mark:]

    # -- the market --------------------------------------------------------------------------------

    def frame(self) -> list[AnyAction]:
        """A diff, in time: of what has moved since the last one, or of nothing."""
        return self.tell(self.next_diff())

    def late_frame(self, by_ms: int) -> list[AnyAction]:
        """A touch, on its way for so long, that is older than what is known."""
        bid, ask = self.price(self.exchange.bid), self.price(self.exchange.ask)
        return self.tell(ev.Touch(0, self.exchange_ms - by_ms, 1, bid, 1.0, ask, 1.0))

    @property
    def tick_size(self) -> float:
        return self.exchange.instrument.tick

    def price(self, ticks: int) -> float:
        return float(self.exchange.instrument.price.text(ticks))

    def _levels(self) -> tuple[dict[int, float], dict[int, float]]:
        bid, ask = self.exchange.bid, self.exchange.ask
        return {bid - i: 1.0 for i in range(LEVELS)}, {ask + i: 1.0 for i in range(LEVELS)}

    def market(self, bid: int, ask: int | None = None) -> list[AnyAction]:
        """The market moves, and the diff of it is told."""
        self.move_unseen(bid, ask)
        return self.tell(self.next_diff())

    def move_unseen(self, bid: int, ask: int | None = None) -> None:
        """The market moves; the engine has not heard of it yet."""
        self.exchange.bid, self.exchange.ask = bid, bid + 1 if ask is None else ask

    def next_diff(self) -> ev.Depth:
        old, self.levels = self.levels, self._levels()
        changes = [
            [(self.price(tick), new.get(tick, 0.0)) for tick in sorted({*was, *new}) if was.get(tick) != new.get(tick)]
            for was, new in zip(old, self.levels, strict=True)
        ]
        previous, self.update_id = self.update_id, self.update_id + 7
        return ev.Depth(0, self.exchange_ms, previous + 1, self.update_id, previous, *changes)

    def snapshot(self) -> ev.Snapshot:
        bids, asks = self.levels
        return ev.Snapshot(
            0,
            self.update_id,
            [(self.price(tick), bids[tick]) for tick in sorted(bids, reverse=True)],
            [(self.price(tick), asks[tick]) for tick in sorted(asks)],
        )

    def gap(self) -> list[AnyAction]:
        """A diff is lost on the way."""
        self.update_id += 50
        self.book_known = False
        diff = self.next_diff()
        return self.tell(diff)

    # -- people and workers --------------------------------------------------------------------------

    def start(self, token: int = TOKEN, memory: bytes | None = None, age_ns: int = 0) -> "World":
        """Everything that must hold before the first quote, in the order in which a process gets it.

        `memory`: what the last leader left; by default one that tells nothing, none at all where it is empty.
        """
        self.tell(ev.ClockSynced(0, OFFSET_NS, 1 * MS))
        self.tell(ev.FeesSet(0, 2.0, 5.0))
        self.tell(ev.Coordination(0, reachable=True))
        self.tell(ev.Emergency(0, self.switch, self.switch_epoch, ""))
        self.tell(ev.SymbolHalt(0, self.halt_epoch, self.halt))
        self.tell(ev.Mark(0, self.exchange_ms, self.exchange.bid * self.tick_size, 0.0, 0.0001, 0))
        self.tell(ev.Tick(0))
        self.open(Stream.BOOK)
        self.open(Stream.USER)
        self.open(Stream.MARKET)
        if token:
            self.tell(ev.Restored(0, self.engine.remember() if memory is None else memory, age_ns))
        self.lease(token)
        return self

    def take_over(self, by: Run | None, token: int, memory: bytes, age_ns: int) -> None:
        """Another process leads from here on: `by` one that has led before, otherwise a new one.

        What the one before had sent has arrived, or never will: its receive windows end with its lease.
        """
        self.pending.clear()
        self.blocked_until = 0
        self.user_known = self.book_known = False
        self.truth_asked_while_up = 0
        first = by is None
        self.run = by or Run(self.engine.parameters, self.engine.instrument, self.now)
        if first:
            self.token = 0
            self.start(token, memory, age_ns)
            return
        for stream in Stream:
            self.close(stream)
            self.open(stream)
        self.tell(ev.Emergency(0, self.switch, self.switch_epoch, ""))
        self.tell(ev.SymbolHalt(0, self.halt_epoch, self.halt))
        self.tell(ev.Budget(0, 1_000, 10_000, 2_000, 0))
        self.tell(ev.StatusSet(0, self.status))
        if memory:
            self.tell(ev.Restored(0, memory, age_ns))
        self.lease(token)

    def open(self, stream: Stream) -> list[AnyAction]:
        if stream is Stream.USER:
            self.exchange.stream_up = True
            self.exchange.stream.clear()
            self.user_known = False
        if stream is Stream.BOOK:
            self.book_known = False
        return self.tell(ev.StreamOpened(0, stream))

    def close(self, stream: Stream) -> list[AnyAction]:
        if stream is Stream.USER:
            self.exchange.stream_up = False
            self.exchange.stream.clear()
        return self.tell(ev.StreamClosed(0, stream, "cut by the test"))

    def lease(self, token: int = TOKEN, seconds: float = 4.0) -> list[AnyAction]:
        return self.tell(ev.Lease(0, token, self.now + int(seconds * SECOND) if token else 0, INSTALLATION))

    def renew(self) -> list[AnyAction]:
        return self.lease(self.token) if self.token else []

    # -- what comes of it ----------------------------------------------------------------------------

    def settle(self) -> None:
        """Everything that was asked happens, and is told: requests in order, reports before answers."""
        for _ in range(200):
            if self.pending:
                self.answer(self.pending.pop(0))
            elif self.exchange.requests and not self.hold_requests:
                self.exchange.answers.append(self.exchange.execute(self.exchange.requests[0]))
            elif self.exchange.stream:
                self._quietly(self.exchange.stream.popleft())
            elif self.exchange.answers:
                self._quietly(self.exchange.answers.pop(0))
            else:
                return
        raise AssertionError(f"this does not settle: {self.done[-20:]}")

    def _quietly(self, event: ev.AnyEvent) -> None:
        automatic, self.automatic = self.automatic, False
        self.tell(event)
        self.automatic = automatic

    def answer(self, action: ac.Action) -> None:
        """What somebody says to a question."""
        match action:
            case ac.FetchSnapshot() if self.snapshots_answered:
                self._quietly(self.snapshot())
            case ac.FetchTouch() if self.touch_answered:
                touch = ev.TouchAnswer(0, self.now, self.price(self.exchange.bid), self.price(self.exchange.ask))
                self._quietly(touch)
            case ac.FetchMinutes() if self.closes_answered:
                closes = [60_000.0 + 10.0 * (i % 2) for i in range(31)]
                self._quietly(ev.Minutes(0, 0, closes, [10.0] * 60, [5.0] * 60))
            case ac.FetchFunding(since_ms=since_ms) if self.income_answered:
                rows = [row for row in self.income if row.time_ms >= since_ms]
                self._quietly(ev.FundingRead(0, since_ms, self.exchange_ms, rows))
            case ac.FetchTruth() if self.truths_answered:
                self._quietly(self.exchange.truth(action))
            case ac.FetchDay() if self.day_answered:
                self._quietly(self.exchange.day(action))
            case ac.QueryOrder():
                self._quietly(self.exchange.query(action.client_id))
            case _:
                self._answer_of_the_account(action)

    def _answer_of_the_account(self, action: ac.Action) -> None:
        match action:
            case ac.ArmDeadMan() if self.arms:
                self._quietly(ev.DeadManArmed(0, self.now + action.countdown_ms * MS))
            case ac.Reserve():
                self._quietly(ev.Reserved(0, action.sequence, *self.grant(action)))
            case ac.CancelAll():
                self.exchange.cancel_all()
            case ac.Reconnect() if self.reconnects:
                self._reconnect(action.stream)
            case ac.ReleaseLease():
                self._quietly(ev.Lease(0, 0, 0, INSTALLATION))
            case ac.RaiseEmergency():
                if action.level > self.switch:
                    self.switch, self.switch_epoch = action.level, self.switch_epoch + 1
                self._quietly(ev.Emergency(0, self.switch, self.switch_epoch, action.reason))
            case ac.HaltSymbol():
                if not self.halt:
                    self.halt, self.halt_epoch = action.reason, self.halt_epoch + 1
                self._quietly(ev.SymbolHalt(0, self.halt_epoch, self.halt))

    def _reconnect(self, stream: Stream) -> None:
        automatic, self.automatic = self.automatic, False
        self.close(stream)
        self.open(stream)
        self.automatic = automatic

    def lose_answer(self, number: int = 0, *, executed: bool) -> None:
        """A request on its way is never answered, whether it arrives or not."""
        request = self.exchange.requests[number]
        kind, client_id = kind_of(request), client_id_of(request)
        if executed:
            self.exchange.execute(request)
        else:
            self.exchange.requests.remove(request)
        self.tell(unanswered(kind, client_id))

    def fill(self, order: Order, qty: int | None = None) -> ev.Fill:
        """Somebody trades with an order of ours; told at once where automatic."""
        fill = self.exchange.fill(order, qty or order.leaves)
        if self.automatic:
            self.settle()
        return fill

    def hold(self, steps: int, price: int = 0) -> None:
        """The account holds this position from before (call it before `start`)."""
        self.exchange.position = steps
        self.exchange.entry_price = self.price(price or self.exchange.bid) if steps else 0.0

    def replay(self) -> None:
        self.run.replay()

    # -- looking -------------------------------------------------------------------------------------

    def ours(self, side: Side | None = None) -> list[Order]:
        """Our open orders at the exchange, nearest first."""
        ours = [o for o in self.exchange.open_orders if order_id.parse(o.client_id) and side in (None, o.side)]
        return sorted(ours, key=lambda order: (-order.side, -order.side * order.price))

    def purposes(self) -> set[str]:
        idents = [order_id.parse(order.client_id) for order in self.ours()]
        return {Purpose(ident.purpose).name for ident in idents if ident}

    # -- the audit -----------------------------------------------------------------------------------

    def _note_facts(self, event: ev.AnyEvent) -> None:
        self._note_shared(event)
        match event:
            case ev.Budget():
                self.blocked_until = event.blocked_until_ns
            case ev.StatusSet():
                self.status = event.status
            case ev.StreamClosed(stream=Stream.BOOK):
                self.book_known = False
            case ev.StreamClosed(stream=Stream.USER):
                self.user_known = False
            case ev.Snapshot():
                self.book_known = True
            case ev.Truth() if not event.problem and event.request_id >= self.truth_asked_while_up:
                self.user_known = self.exchange.stream_up

    def _note_shared(self, event: ev.AnyEvent) -> None:
        match event:
            case ev.Lease():
                if event.token != self.token:
                    self.granted, self.asked = {Side.BUY: 0, Side.SELL: 0}, None
                self.token, self.deadline = event.token, event.deadline_ns
                self.run.last_token = event.token or self.run.last_token
                self.newest_token = max(self.newest_token, event.token)
            case ev.Reserved(sequence=sequence) if self.asked and sequence == self.asked.sequence:
                self.granted = {Side.BUY: event.buy_steps, Side.SELL: event.sell_steps}
                self.granted_position = self.asked.position_steps
            case ev.Emergency():
                self.emergency = self.switch = event.level
                self.switch_epoch = max(self.switch_epoch, event.epoch)
            case ev.SymbolHalt():
                self.halt, self.halt_epoch = event.reason, max(self.halt_epoch, event.epoch)

    def _begin(self, action: AnyAction) -> None:
        match action:
            case ac.Place(approved=approved) | ac.Amend(approved=approved):
                self._audit(kind_of(action), approved.order, approved.deadline_ns)
                self.exchange.requests.append(action)
            case ac.Cancel():
                self.exchange.requests.append(action)
            case ac.Note() | ac.Exit():
                pass
            case ac.FetchTruth():
                if not self.user_known:
                    self.truth_asked_while_up = action.request_id
                self.pending.append(action)
            case ac.Reserve():
                self.asked = action
                for side, live in ((Side.BUY, action.buy_live_steps), (Side.SELL, action.sell_live_steps)):
                    others = sum(
                        o.leaves for o in self.exchange.open_orders if o.side is side and not is_of_a_worker(o)
                    )
                    ours = self.exchange.pending(side) - others
                    assert live >= ours, "what may rest is told with each reservation"
                self.pending.append(action)
            case _:
                self.pending.append(action)

    def _audit(self, kind: Request, order: WantedOrder, deadline_ns: int) -> None:
        """What must hold of every order, whatever happens."""
        ident = order_id.parse(order.client_id)
        assert ident is not None
        assert (ident.installation, ident.token) == (INSTALLATION, self.token), "the id names the lease"
        assert self.token, "no order without the lease"
        assert self.now < self.deadline, "no order after the deadline"
        assert deadline_ns == self.deadline, "the order carries the deadline"
        assert self.now >= self.blocked_until, "no order while the exchange backs us off"
        assert self.status is not SymbolStatus.NOT_TRADING
        assert order.reduce_only or self.status is SymbolStatus.TRADING
        if order.purpose is Purpose.LIQUIDATE:
            assert order.reduce_only, "an emergency order only reduces"
            return
        assert self.emergency is EmergencyLevel.NONE, "no quote under an emergency"
        assert self.book_known, "no quote on a broken book"
        assert self.user_known, "no quote with the user stream out of sync"
        left = [each.client_id for each in self.exchange.open_orders if is_older(each.client_id, self.token)]
        assert not left, "no quote beside what an older token left"
        self._audit_crossing(order)
        for side, worst in ((Side.BUY, self.engine.account.worst_long), (Side.SELL, self.engine.account.worst_short)):
            assert worst >= self.exchange.worst(side), f"{side.name}: something that rests or was filled is not known"
        grows = order.qty_steps
        if kind is Request.AMEND:
            grows -= self.exchange.orders[order.client_id].qty
        if grows > 0 and not order.reduce_only:
            pending = self.exchange.pending(order.side) + grows
            granted = self.granted[order.side]
            assert pending <= granted, f"{pending} pending, {granted} granted"
            moved = order.side * (self.exchange.position - self.granted_position)
            assert moved + pending <= granted, f"{moved} filled and {pending} pending, {granted} granted"

    def _audit_crossing(self, order: WantedOrder) -> None:
        """Never two of our own crossed, whatever of what is on its way arrives."""
        for other_side, price, client_id in self._own_prices():
            if other_side is not order.side and client_id != order.client_id:
                bid, ask = (order.price_ticks, price) if order.side is Side.BUY else (price, order.price_ticks)
                assert bid < ask, f"{order} would cross {client_id} at {price}"

    def _own_prices(self) -> Iterable[tuple[Side, int, str]]:
        for order in self.ours():
            yield order.side, order.price, order.client_id
        for request in self.exchange.requests:
            if isinstance(request, ac.Cancel) or not request.approved.order.price_ticks:
                continue
            wanted = request.approved.order
            known = self.exchange.orders.get(wanted.client_id)
            if known is None or known.state.is_open:  # an amend of what has ended meanwhile finds nothing
                yield wanted.side, wanted.price_ticks, wanted.client_id

    def check(self) -> None:
        """What must hold after every event."""
        for side in Side:
            worst = self.exchange.worst(side)
            assert worst <= max(self.limit, side * self.exchange.position), (
                f"the worst case of {side.name} is {worst} of {self.limit} steps"
            )

    def _check_grant(self) -> None:
        """Beyond a grant nothing is left to rest. What is on its way is judged when it has arrived, and what the
        exchange would not cancel a moment ago, when it may be asked again.
        """
        for side, granted in self.granted.items():
            resting = [o for o in self.engine.account.orders.live() if o.side is side and o.life is Life.OPEN]
            beyond = sum(o.exposure_steps for o in resting if not o.reduce_only and o.next_cancel_ns <= self.now)
            assert beyond <= granted, f"{beyond} of {side.name} rest, {granted} are granted"


def is_of_a_worker(order: Order) -> bool:
    return order_id.parse(order.client_id) is not None


def kind_of(request: ac.Place | ac.Amend | ac.Cancel) -> Request:
    match request:
        case ac.Place():
            return Request.PLACE
        case ac.Amend():
            return Request.AMEND
        case ac.Cancel():
            return Request.CANCEL


def client_id_of(request: ac.Place | ac.Amend | ac.Cancel) -> str:
    return request.client_id if isinstance(request, ac.Cancel) else request.approved.order.client_id


def of_kind(actions: Iterable[AnyAction], *kinds: type[ActionKind]) -> list[ActionKind]:
    return [action for action in actions if isinstance(action, kinds)]


def sent(actions: Iterable[AnyAction]) -> list[AnyAction]:
    """What concerns orders."""
    return of_kind(actions, ac.Place, ac.Amend, ac.Cancel, ac.CancelAll)
