"""What the venue sends is told to those who share its limits, and what they grant is used, and no more."""

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from phoenix_coordination.port import (
    Admission,
    BudgetGranted,
    EmergencyLevel,
    LeaseGranted,
    LeaseLost,
    LeaseRenewed,
    Reachable,
)
from phoenix_coordination.state import Reason
from phoenix_worker.runtime.budgets import (
    ORDERS_WANTED,
    START_RETRY_SECONDS,
    WEIGHT_WANTED,
    Budgets,
    be_admitted,
    spent,
    wait_to_start,
)
from phoenix_worker.venue.binance.costs import START, fixed_weight_1m
from phoenix_worker.venue.binance.limits import Limits, RequestBudget, Urgency

SECOND = 1_000_000_000
DICE = Random(1)  # noqa: S311 - jitter
GRANTED, LOST = LeaseGranted(7, 0, None), LeaseLost(7, "gone")


class HandClock:
    """Time that moves when the test says so; what is due is called then."""

    rate = 1.0

    def __init__(self):
        self.now_ns = 100 * SECOND
        self.due = []

    def monotonic_ns(self):
        return self.now_ns

    async def sleep(self, seconds):
        self.now_ns += int(seconds * SECOND)

    def call_later(self, seconds, callback):
        timer = Timer(self.now_ns + int(seconds * SECOND), callback)
        self.due.append(timer)
        return timer

    def advance(self, seconds):
        end_ns = self.now_ns + int(seconds * SECOND)
        while ready := [timer for timer in self.due if timer.at_ns <= end_ns]:
            first = min(ready, key=lambda timer: timer.at_ns)
            self.due.remove(first)
            self.now_ns = max(self.now_ns, first.at_ns)
            if not first.cancelled:
                first.callback()
        self.now_ns = end_ns


class Timer:
    def __init__(self, at_ns, callback):
        self.at_ns, self.callback, self.cancelled = at_ns, callback, False

    def cancel(self):
        self.cancelled = True


class Peers:
    """Those who share the limits: they write down what they hear."""

    def __init__(self):
        self.needs, self.raised, self.admissions = [], [], []

    def spend(self, need):
        self.needs.append(need)

    def raise_emergency(self, level, reason):
        self.raised.append((level, reason))

    async def admit(self, terms, fixed_weight_1m, account_weight_1m):
        self.asked = (terms, fixed_weight_1m, account_weight_1m)
        return self.admissions.pop(0)


class Desk:
    """A worker's budgets at work."""

    def __init__(self, *, orders=True, start=True):
        self.clock, self.peers, self.told = HandClock(), Peers(), 0
        self.budget = RequestBudget(Limits(order_share=1.0, weight_share=1.0, reserve_share=0.0))
        self.budgets = Budgets(self.budget, self.peers, self._tell, self.clock, 1.0, orders=orders)
        self.heard = []
        self.hear = self.budgets.heard_by(self.heard.append)
        if start:
            self.budgets.start()

    def _tell(self):
        self.told += 1

    @property
    def need(self):
        return self.peers.needs[-1]

    def grant(self, orders, weight=0, *, sequence=None, lives_s=2.0, **blocked):
        until_ns = self.clock.now_ns + int(lives_s * SECOND)
        number = self.need.sequence if sequence is None else sequence
        self.budgets.granted(BudgetGranted(number, orders, weight, until_ns, **blocked))

    def send(self, orders):
        """As many orders as may go out."""
        sent = 0
        while sent < orders and self.budget.admits_order(self.clock.now_ns, Urgency.QUOTE):
            self.budget.order_sent(self.clock.now_ns)
            sent += 1
        return sent


@pytest.fixture
def desk():
    desk = Desk()
    desk.hear(GRANTED)
    return desk


# -- what is told and wanted ---------------------------------------------------------------------------


def test_a_need_is_told_with_each_renewal(desk):
    told = len(desk.peers.needs)
    desk.clock.advance(5.0)
    assert len(desk.peers.needs) == told + 5
    assert [need.sequence for need in desk.peers.needs] == list(range(1, told + 6))


def test_a_standby_wants_no_orders_and_a_leader_asks_at_once():
    desk = Desk()
    assert (desk.need.orders_wanted, desk.need.weight_wanted) == (0, WEIGHT_WANTED)
    for message, wanted in ((GRANTED, ORDERS_WANTED), (LOST, 0)):
        told = len(desk.peers.needs)
        desk.hear(message)
        assert len(desk.peers.needs) == told + 1
        assert desk.need.orders_wanted == wanted
    desk.hear(LeaseRenewed(7, 0))
    desk.hear(Reachable())
    assert desk.heard == [GRANTED, LOST, LeaseRenewed(7, 0), Reachable()]


def test_a_rehearsal_wants_no_orders_and_sends_its_own_without_a_grant():
    desk = Desk(orders=False)
    desk.hear(GRANTED)
    assert desk.need.orders_wanted == 0
    assert desk.send(3) == 3


def test_what_was_sent_is_told_once(desk):
    desk.grant(50, 10)
    desk.send(5)
    desk.budget.weight_sent(desk.clock.now_ns, 21, Urgency.REDUCE)
    desk.clock.advance(1.0)
    assert (desk.need.orders_sent, desk.need.weight_sent) == (5, 21)
    assert (desk.need.orders_unused, desk.need.weight_unused) == (45, 10)
    desk.clock.advance(1.0)
    assert (desk.need.orders_sent, desk.need.weight_sent) == (0, 0)
    assert sum(need.orders_sent for need in desk.peers.needs) == 5


def test_of_what_was_sent_before_it_joined_a_worker_tells_the_last_minute():
    """An hour of attempts to start is in no window of the exchange any more."""
    desk = Desk(start=False)
    for _ in range(60):
        desk.budget.weight_sent(desk.clock.now_ns, 153, Urgency.REDUCE)
        desk.budget.order_sent(desk.clock.now_ns)
        desk.clock.advance(60.0)
    desk.budget.weight_sent(desk.clock.now_ns, 20, Urgency.REDUCE)
    desk.clock.advance(59.0)
    desk.budget.weight_sent(desk.clock.now_ns, 1, Urgency.REDUCE)
    desk.budgets.start()
    assert (desk.need.orders_sent, desk.need.weight_sent) == (0, 21)
    desk.clock.advance(1.0)
    assert desk.need.weight_sent == 0


def test_what_a_start_has_told_is_not_told_again():
    desk = Desk(start=False)
    desk.budget.weight_sent(desk.clock.now_ns, 200, Urgency.REDUCE)
    desk.budgets.start(weight_told=153)
    assert desk.need.weight_sent == 47


def test_what_the_exchange_reports_is_told_with_its_time(desk):
    desk.budget.offset_ns = 7 * SECOND
    desk.budget.orders_reported(desk.clock.now_ns, 60, 33)
    desk.clock.advance(1.0)
    assert (desk.need.orders_10s_reported, desk.need.orders_1m_reported, desk.need.weight_1m_reported) == (-1, 33, -1)
    assert desk.need.exchange_ms == (desk.clock.now_ns + 7 * SECOND) // 1_000_000


def test_more_is_asked_for_when_little_is_left_in_a_later_turn(desk):
    desk.clock.advance(0.5)
    desk.grant(9)
    told = len(desk.peers.needs)
    desk.send(6)
    desk.clock.advance(0.0)
    assert len(desk.peers.needs) == told
    desk.send(1)
    assert len(desk.peers.needs) == told, "not in the middle of the engine's turn"
    desk.clock.advance(0.0)
    assert len(desk.peers.needs) == told + 1


def test_who_sends_as_fast_as_it_can_asks_ten_times_a_second(desk):
    told = len(desk.peers.needs)
    for _ in range(100):
        desk.grant(3)
        desk.send(3)
        desk.clock.advance(0.01)
    assert 9 <= len(desk.peers.needs) - told <= 10


def test_after_the_end_nothing_is_asked(desk):
    desk.budgets.stop()
    told = len(desk.peers.needs)
    desk.grant(3)
    desk.send(3)
    desk.budget.rate_limited(desk.clock.now_ns, 5)
    desk.clock.advance(10.0)
    assert len(desk.peers.needs) == told


# -- what is granted -----------------------------------------------------------------------------------


def test_a_grant_is_used_told_to_the_engine_and_lapses(desk):
    told = desk.told
    desk.grant(4, lives_s=0.5)
    assert desk.told == told + 1
    assert desk.send(3) == 3
    desk.clock.advance(0.5)
    assert desk.send(1) == 0


def test_what_was_sent_since_the_need_is_of_the_grant_already(desk):
    desk.grant(10, 10)
    desk.clock.advance(1.0)
    sequence = desk.need.sequence
    desk.send(4)
    desk.budget.weight_sent(desk.clock.now_ns, 50, Urgency.REDUCE)
    desk.budget.weight_sent(desk.clock.now_ns, 3, Urgency.QUOTE)
    desk.grant(10, 10, sequence=sequence)
    usage = desk.budget.to_tell(desk.clock.now_ns)
    assert (usage.orders_left, usage.weight_left) == (6, 7), "what needs no grant takes nothing from it"


def test_an_answer_that_a_later_one_has_overtaken_changes_nothing(desk):
    desk.clock.advance(1.0)
    newer = desk.need.sequence
    desk.grant(5, sequence=newer)
    desk.grant(50, sequence=newer - 1)
    desk.grant(60, sequence=newer + 100)
    assert desk.send(100) == 5


def test_the_same_need_may_be_answered_again(desk):
    """A back-off that others announce has the last need asked once more."""
    desk.grant(5)
    desk.send(2)
    desk.grant(5)
    assert desk.send(100) == 3


@given(st.lists(st.tuples(st.sampled_from(["send", "tell", "answer", "wait"]), st.integers(0, 20)), max_size=60))
def test_no_more_is_sent_of_a_grant_than_it_says_whenever_it_is_heard(steps):
    desk = Desk()
    desk.hear(GRANTED)
    sent_at_need, sent, in_force = {desk.need.sequence: 0}, 0, 0
    for what, number in steps:
        match what:
            case "send":
                sent += desk.send(number)
            case "tell":
                desk.clock.advance(1.0)
                sent_at_need.setdefault(desk.need.sequence, sent)
            case "answer":
                sequence = max(1, desk.need.sequence - number % 3)
                if sequence in sent_at_need and sequence >= desk.budgets._answered:
                    in_force = max(sent, sent_at_need[sequence] + number)
                    desk.grant(number, sequence=sequence, lives_s=100)
            case "wait":
                desk.clock.advance(0.01)
        assert sent <= in_force


# -- back-off ------------------------------------------------------------------------------------------


def test_what_others_were_told_holds_the_venue(desk):
    until_ns = desk.clock.now_ns + 5 * SECOND
    desk.grant(5, account_blocked_until_ns=until_ns)
    assert desk.send(1) == 0
    assert desk.budget.admits_weight(desk.clock.now_ns, 1, Urgency.CANCEL)
    desk.grant(5, egress_blocked_until_ns=until_ns)
    assert not desk.budget.admits_weight(desk.clock.now_ns, 1, Urgency.CANCEL)
    desk.grant(5)
    assert desk.send(1) == 1


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        pytest.param("rate_limited", (0, 5 * SECOND), id="429"),
        pytest.param("orders_limited", (5 * SECOND, 0), id="-1015"),
        pytest.param("banned", (0, 5 * SECOND), id="418"),
    ],
)
def test_a_back_off_is_told_at_once_however_lately_was_asked(desk, refusal, told):
    asked = len(desk.peers.needs)
    for _ in range(3):  # what was on its way is refused, too
        getattr(desk.budget, refusal)(desk.clock.now_ns, 5)
    desk.clock.advance(0.0)
    assert len(desk.peers.needs) == asked + 1
    assert (desk.need.account_blocked_ns, desk.need.egress_blocked_ns) == told


def test_a_ban_raises_the_emergency_once(desk):
    desk.budget.banned(desk.clock.now_ns, 120)
    desk.budget.banned(desk.clock.now_ns, 120)
    assert [level for level, _ in desk.peers.raised] == [EmergencyLevel.HALT]
    assert "banned by the exchange" in desk.peers.raised[0][1]
    desk.clock.advance(121.0)
    desk.budget.rate_limited(desk.clock.now_ns, 1)
    desk.budget.banned(desk.clock.now_ns, 120)
    assert len(desk.peers.raised) == 2


@pytest.mark.parametrize("passed_s", [0.0, 200.0], ids=["in force", "over by now"])
def test_a_ban_that_was_met_before_the_account_was_known_raises_its_emergency(passed_s):
    desk = Desk(start=False)
    desk.budget.banned(desk.clock.now_ns, 120)
    desk.clock.advance(passed_s)
    assert not desk.peers.raised, "whose it is nobody knows yet"
    desk.budgets.start()
    assert [level for level, _ in desk.peers.raised] == [EmergencyLevel.HALT]
    assert (desk.need.egress_blocked_ns > 0) is (passed_s < 120)
    desk.budget.banned(desk.clock.now_ns, 300)
    assert len(desk.peers.raised) == (1 if passed_s < 120 else 2), "the same ban is told once"


def test_being_asked_to_wait_is_no_ban(desk):
    desk.budget.rate_limited(desk.clock.now_ns, 5)
    desk.budget.orders_limited(desk.clock.now_ns, 5)
    assert not desk.peers.raised
    late = Desk(start=False)
    late.budget.rate_limited(late.clock.now_ns, 5)
    late.budgets.start()
    assert not late.peers.raised


# -- admission -----------------------------------------------------------------------------------------


async def test_a_maker_waits_with_the_reason_until_it_is_admitted():
    clock, peers, waited = HandClock(), Peers(), []
    peers.admissions = [Admission("Redis is away", reachable=False), Admission("the sum"), Admission()]
    limits = Limits(weight_1m=2_400, orders_10s=300, orders_1m=1_200)
    assert await be_admitted(peers, "office", limits, clock, lambda reason, text: waited.append((reason, text)))
    assert waited == [(Reason.COORDINATION_UNREACHABLE, "Redis is away"), (Reason.PREFLIGHT_REFUSED, "the sum")]
    terms, fixed, of_the_account = peers.asked
    assert (terms.egress, terms.orders_10s, terms.orders_1m, terms.weight_1m) == ("office", 300, 1_200, 2_400)
    assert (terms.order_share, terms.weight_share, terms.reserve_share) == (0.8, 0.8, 0.2)
    assert fixed == fixed_weight_1m()
    assert of_the_account > 0
    peers.admissions = [Admission()]
    assert not await be_admitted(peers, "office", limits, clock, lambda *_: None), "it did not have to wait"


# -- starting ------------------------------------------------------------------------------------------


class Door:
    """A start's place among the others: answers in turn."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    async def ask(self, terms, weight):
        self.asked.append((terms.egress, weight))
        return self.answers.pop(0)


async def test_a_start_waits_with_the_reason_until_there_is_room_and_never_in_step():
    clock, waited, asked_ns = HandClock(), [], []
    door = Door(*[Admission("no room")] * 3, Admission())
    await wait_to_start(
        door, "office", Limits(), clock, DICE, lambda *told: (waited.append(told), asked_ns.append(clock.now_ns))
    )
    assert waited == [(Reason.RATE_LIMITED, "no room")] * 3
    assert door.asked == [("office", START)] * 4
    pauses = [later - earlier for earlier, later in pairwise(asked_ns)]
    shortest, longest = (seconds * SECOND for seconds in START_RETRY_SECONDS)
    assert len(set(pauses)) == len(pauses)
    assert all(shortest <= pause <= longest for pause in pauses)


def test_a_start_tells_what_was_read_and_what_the_exchange_said_of_it():
    clock, budget = HandClock(), RequestBudget(Limits())
    budget.offset_ns = 7 * SECOND
    budget.weight_sent(clock.now_ns, 153, Urgency.REDUCE)
    clock.advance(60.0)
    budget.weight_sent(clock.now_ns, 21, Urgency.REDUCE)
    told = spent(budget, clock)
    assert (told.weight, told.weight_1m, told.weight_1m_reported, told.blocked_ns) == (174, 21, -1, 0)
    budget.weight_reported(clock.now_ns, 900)
    budget.banned(clock.now_ns, 120)
    told = spent(budget, clock)
    assert (told.weight_1m_reported, told.blocked_ns) == (900, 120 * SECOND)
    assert told.exchange_ms == (clock.now_ns + 7 * SECOND) // 1_000_000


async def test_a_start_does_not_wait_for_a_redis_that_cannot_say():
    door, waited = Door(Admission("Redis is away", reachable=False)), []
    await wait_to_start(door, "office", Limits(), HandClock(), DICE, lambda *told: waited.append(told))
    assert not waited
