"""The simulator's exchange as a venue: when things arrive, and how each request ends."""

import pytest
from phoenix_cli.rehearsal.venue import NEVER_NS, VirtualVenue
from phoenix_simulator.exchange.exchange import Exchange
from phoenix_simulator.exchange.symbols import BUILT_IN, E8
from phoenix_simulator.market.source import MarketKind, MarketStart, PrintUpdate
from phoenix_worker.core import actions as act
from phoenix_worker.core import events as ev
from samples import BTCUSDT

MS = 1_000_000
START_MS = 1_760_000_000_000
THERE, BACK = 15 * MS, 5 * MS
BID, ASK = 600_000, 600_001


class Rehearsed:
    """A venue, a way to send, and a clock that stops wherever something arrives."""

    def __init__(self):
        self.exchange = Exchange()
        book = tuple((BID - i, 1000) for i in range(5)), tuple((ASK + i, 1000) for i in range(5))
        start = MarketStart(MarketKind.REPLAY, *book, 60_000 * E8, 60_000 * E8, 10_000, 1000, 500)
        self.exchange.list_symbol(BUILT_IN["BTCUSDT"], start, START_MS)
        self.exchange.open_account("maker", {"USDT": 100_000 * E8}, START_MS)
        self.venue = VirtualVenue(
            self.exchange,
            "maker",
            BTCUSDT,
            clock_offset_ns=START_MS * MS,
            to_exchange_ns=THERE,
            from_exchange_ns=BACK,
        )
        self.now = 0
        self.told = []

    def send(self, action):
        assert self.venue.perform(action, self.now)
        return self

    def place(self, client_id="a", side=ev.Side.BUY, price=BID, qty=10, **fields):
        self.venue.order(wanted(client_id, side=side, price_ticks=price, qty_steps=qty, **fields), self.now)
        return self

    def settle(self):
        """Everything that is on its way arrives; returns what the maker heard of it."""
        heard = []
        while (due := self.venue.due_ns) < NEVER_NS:
            self.now = max(self.now, due)
            self.venue.advance(self.now)
            heard += self.venue.take(self.now)
        self.told += heard
        return heard

    def print(self, price, qty, *, buyer_is_maker):
        self.venue.advance(self.now)
        update = PrintUpdate(0, 501 + len(self.told), price, qty, buyer_is_maker)
        self.exchange.apply("BTCUSDT", update, self.venue.exchange_ms)
        return self


def wanted(client_id="a", **fields):
    plain = {
        "request": ev.Request.PLACE,
        "client_id": client_id,
        "side": ev.Side.BUY,
        "price_ticks": BID,
        "qty_steps": 10,
        "reduce_only": False,
        "purpose": act.Purpose.QUOTE,
        "layer": 0,
    }
    return act.WantedOrder(**{**plain, **fields})


def approved(order, *, deadline_ns):
    """What the gate would have approved: there is no other way to make one."""
    made = object.__new__(act.ApprovedOrder)
    for name, value in (("order", order), ("deadline_ns", deadline_ns), ("trigger_ns", 0)):
        object.__setattr__(made, name, value)
    return made


@pytest.fixture
def world():
    return Rehearsed()


def kinds(events):
    return [type(event) for event in events]


def test_an_order_arrives_after_its_way_there_and_is_told_of_after_the_way_back(world):
    world.place()
    assert world.venue.due_ns == THERE
    world.venue.advance(THERE - 1)
    assert not world.exchange.open_orders("maker")
    world.venue.advance(THERE)
    assert [order.client_order_id for order in world.exchange.open_orders("maker")] == ["a"]
    assert world.venue.take(THERE + BACK - 1) == []
    report, answer = world.venue.take(THERE + BACK)
    assert (report.execution, report.order.state, report.at) == (ev.Execution.NEW, ev.OrderState.NEW, THERE + BACK)
    assert (answer.outcome, answer.closed, answer.sent_ns) == (ev.Outcome.CONFIRMED, False, 0)
    assert (answer.price_ticks, answer.qty_steps, answer.venue_id) == (BID, 10, report.order.venue_id)
    assert answer.update_ms == START_MS + THERE // MS
    assert world.venue.due_ns == NEVER_NS


def test_requests_arrive_each_at_its_own_moment_however_far_time_jumps(world):
    world.place("a")
    world.now = 40 * MS
    world.place("b", price=BID - 1)
    heard = world.settle()
    assert [event.at for event in heard if type(event) is ev.Answer] == [THERE + BACK, 40 * MS + THERE + BACK]


def test_post_only_that_would_take_is_refused_with_the_code_that_the_core_knows(world):
    world.place(price=ASK)
    (answer,) = world.settle()
    assert (answer.outcome, answer.refusal, answer.code) == (ev.Outcome.REFUSED, ev.Refusal.WOULD_TAKE, -5022)


def test_an_amend_moves_and_a_cancel_ends_and_a_second_one_finds_nothing(world):
    world.place().settle()
    amend = wanted(request=ev.Request.AMEND, price_ticks=BID - 2, qty_steps=20, venue_id=world.told[-1].venue_id)
    world.venue.order(amend, world.now)
    world.send(act.Cancel("a", 0)).send(act.Cancel("a", 0))
    heard = world.settle()
    reports = [event for event in heard if type(event) is ev.OrderReport]
    assert [report.execution for report in reports] == [ev.Execution.AMENDMENT, ev.Execution.CANCELED]
    assert (reports[0].order.price_ticks, reports[0].order.qty_steps) == (BID - 2, 20)
    answers = [(event.request, event.refusal, event.closed) for event in heard if type(event) is ev.Answer]
    assert answers == [
        (ev.Request.AMEND, None, False),
        (ev.Request.CANCEL, None, True),
        (ev.Request.CANCEL, ev.Refusal.GONE, False),
    ]


def test_a_fill_is_told_with_its_fee_and_the_position(world):
    world.place(side=ev.Side.BUY, price=BID, qty=10).settle()
    world.print(BID, 1010, buyer_is_maker=True)  # what stood ahead of us, and us
    position, report = world.settle()
    assert (position.position_steps, position.entry_price) == (10, 60_000.0)
    fill = report.fill
    assert (fill.price_ticks, fill.qty_steps, fill.side, fill.maker) == (BID, 10, ev.Side.BUY, True)
    assert fill.commission == 600 * E8 * 2 // 10_000  # 2 bps of 600
    assert fill.time_ms == position.transaction_ms


def test_what_takes_is_filled_at_the_book_and_ends(world):
    world.place(side=ev.Side.BUY, price=0, qty=20, time_in_force=act.TimeInForce.IMMEDIATE)
    heard = world.settle()
    assert heard[-1].closed
    assert heard[-1].filled_steps == 20
    assert [event.fill.maker for event in heard if type(event) is ev.OrderReport and event.fill] == [False]


def test_the_truth_is_what_the_exchange_has_when_the_question_arrives(world):
    world.place("a").place("b", price=BID - 1).place("c", price=0, time_in_force=act.TimeInForce.IMMEDIATE)
    world.send(act.FetchTruth(7, 0, START_MS, ["b", "c", "never sent"]))
    world.place("d", price=BID - 3)
    truth = next(event for event in world.settle() if type(event) is ev.Truth)
    assert (truth.request_id, truth.read_ms) == (7, START_MS + THERE // MS)
    assert [order.client_id for order in truth.open_orders] == ["a", "b"]
    assert [order.client_id for order in truth.resolved] == ["c"]
    assert [fill.qty_steps for fill in truth.fills] == [10]
    assert (truth.position_steps, truth.entry_price) == (10, 60_000.1)
    assert truth.last_trade_id == truth.fills[-1].trade_id
    world.send(act.FetchTruth(8, truth.last_trade_id + 1, START_MS, []))
    assert world.settle()[-1].fills == []


def test_the_day_is_what_was_traded_up_to_the_trade_that_is_known(world):
    for client_id in "ab":
        world.place(client_id, price=0, time_in_force=act.TimeInForce.IMMEDIATE).settle()
    fills = [event.fill for event in world.told if type(event) is ev.OrderReport and event.fill]
    world.send(act.FetchDay(3, START_MS, fills[0].trade_id, []))
    day = world.settle()[-1]
    assert (day.request_id, day.steps, day.notional) == (3, 10, BTCUSDT.notional(ASK, 10))
    assert day.fees == {"USDT": fills[0].commission}


def test_funding_is_told_and_read_with_the_same_amount(world):
    world.place(price=0, time_in_force=act.TimeInForce.IMMEDIATE).settle()
    due_ms = world.exchange.listing("BTCUSDT").next_funding_ms
    world.now = (due_ms - START_MS) * MS
    world.venue.advance(world.now)
    (paid,) = world.settle()
    assert paid.amount == -(600 * E8 * 10_000 // E8)  # long pays 0.01 % of 600 at mark
    world.send(act.FetchFunding(START_MS))
    read = world.settle()[-1]
    assert [(row.amount, row.time_ms) for row in read.rows] == [(paid.amount, due_ms)]


def test_the_dead_man_cancels_what_rests_when_nobody_refreshes_it(world):
    world.place().send(act.ArmDeadMan(60_000, 1 << 62))
    armed = world.settle()[-1]
    assert armed.until_ns == 60_000 * MS
    world.now = THERE + 60_000 * MS
    world.venue.advance(world.now)
    assert [event.execution for event in world.settle()] == [ev.Execution.CANCELED]


@pytest.mark.parametrize(("late_ns", "sent"), [(0, True), (1, False)], ids=["in time", "past its deadline"])
def test_the_deadline_counts_when_it_leaves(world, late_ns, sent):
    world.now = 100 * MS
    world.send(act.Place(approved(wanted(), deadline_ns=world.now + 1 - late_ns)))
    answers = [event for event in world.settle() if type(event) is ev.Answer]
    assert [answer.refusal for answer in answers] == [None if sent else ev.Refusal.EXPIRED_DEADLINE]


def test_what_workers_share_is_granted_and_heard_at_once(world):
    world.send(act.Reserve(4, 0, 30, 20, 60_000.0, 0, 0))
    world.send(act.HaltSymbol("stop loss")).send(act.RaiseEmergency(ev.EmergencyLevel.HALT, "denied"))
    reserved, halt, emergency = world.venue.take(world.now)
    assert (reserved.sequence, reserved.buy_steps, reserved.sell_steps) == (4, 30, 20)
    assert halt.reason == "stop loss"
    assert (emergency.level, emergency.epoch) == (ev.EmergencyLevel.HALT, halt.epoch + 1)


@pytest.mark.parametrize(
    "action",
    [act.FetchSnapshot(), act.FetchTouch(), act.FetchMinutes(), act.Reconnect(ev.Stream.BOOK, 0, ""), act.Exit(0, "")],
    ids=lambda action: type(action).__name__,
)
def test_what_is_not_the_accounts_is_left_to_the_caller(world, action):
    assert not world.venue.perform(action, 0)
    assert world.venue.due_ns == NEVER_NS
