"""Section 4: funding is predicted from a sample a minute, and booked by the records' ids, each once, for good."""

import pytest
from core_world import World, of_kind
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from phoenix_worker.core import actions as ac
from phoenix_worker.core import events as ev
from phoenix_worker.core.actions import NoteKind
from phoenix_worker.core.events import FundingKind, FundingPaid, FundingRead, FundingRow
from phoenix_worker.core.funding import (
    BOOKED_AFTER_MS,
    DAY_MS,
    HOUR_MS,
    KEPT_MS,
    LONGEST_MS,
    PATIENCE_MS,
    PREDICTION_LASTS_NS,
    Funding,
    Prediction,
)
from phoenix_worker.core.instrument import MONEY
from samples import MAKER, SECOND, changed

REGULAR, SPECIAL = FundingKind.REGULAR, FundingKind.SPECIAL
DAY = 20_000 * DAY_MS
EIGHT = DAY + 8 * HOUR_MS
BEGAN = DAY + HOUR_MS // 2


def row(record_id, time_ms=EIGHT, amount=-700, kind=REGULAR):
    return FundingRow(kind, record_id, time_ms, amount)


def read(*rows, asked_ms=EIGHT + BOOKED_AFTER_MS, since_ms=DAY):
    return FundingRead(0, since_ms, asked_ms, list(rows))


def booked(*readings):
    funding = Funding()
    for reading in readings:
        funding.on_read(reading, BEGAN, 0)
    return funding


# -- prediction --------------------------------------------------------------------------------------


def test_4_the_prediction_is_an_ewma_of_a_sample_a_minute():
    prediction = Prediction()
    assert prediction.bps(0) == 0.0, "nothing is known"
    for second, rate in ((0, 0.0001), (59, 0.5), (60, 0.0003), (61, 0.5), (120, 0.0003)):
        prediction.on_rate(rate, 0.3, second * SECOND)
    first = 0.3 * 0.0003 + 0.7 * 0.0001
    assert prediction.rate == pytest.approx(0.3 * 0.0003 + 0.7 * first)
    assert prediction.bps(120 * SECOND) == pytest.approx(prediction.rate * 1e4)


def test_a_prediction_that_is_not_renewed_leans_no_quote():
    prediction = Prediction()
    prediction.on_rate(0.0001, 0.3, SECOND)
    assert prediction.bps(SECOND + PREDICTION_LASTS_NS) == pytest.approx(1.0)
    assert prediction.bps(SECOND + PREDICTION_LASTS_NS + 1) == 0.0


@pytest.mark.parametrize(
    ("rate", "to_settlement_ms", "lean_bps"),
    [
        (0.0001, HOUR_MS, 2.2),
        (0.0001, HOUR_MS // 2, 2.2),
        (0.0001, 8 * HOUR_MS, 2.2 / 8),
        (-0.0003, 2 * HOUR_MS, -3.3),
    ],
    ids=["2 an hour before", "2 never more than whole", "2 far away", "2 shorts pay: lean long"],
)
def test_2_quotes_lean_against_who_pays(world, rate, to_settlement_ms, lean_bps):
    world.tell(ev.ParametersSet(0, changed(MAKER, funding_alpha=1.0), "other"))
    world.wait(61.0)
    world.tell(ev.Mark(0, world.exchange_ms, 60_000.0, 60_000.0, rate, world.exchange_ms + 1_000 + to_settlement_ms))
    world.wait(1.0)
    view = world.engine.view()
    mid = (view.bid_ticks + view.ask_ticks) / 2
    assert (mid - view.reservation_ticks) / mid * 1e4 == pytest.approx(lean_bps, rel=1e-3)
    assert view.predicted_funding_rate == pytest.approx(rate)


def test_a_symbol_without_settlements_leans_no_quote(world):
    world.tell(ev.Mark(0, world.exchange_ms, 60_000.0, 60_000.0, 0.0001, 0))
    world.wait(0.6)
    view = world.engine.view()
    assert view.reservation_ticks == (view.bid_ticks + view.ask_ticks) / 2


# -- booking -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("readings", "paid"),
    [
        ([read(row(1))], -700),
        ([read(row(1)), read(row(1)), read(row(1), row(2, EIGHT + HOUR_MS, 300))], -400),
        ([read(row(1), row(1, kind=SPECIAL, amount=-50))], -750),
        ([read(row(1), row(2))], -1_400),
        ([read(row(1, BEGAN - 1))], 0),
        ([read(row(1, BEGAN))], -700),
        ([read(row(2, EIGHT + HOUR_MS)), read(row(1), row(2, EIGHT + HOUR_MS))], -1_400),
        ([FundingRead(0, DAY, problem="no answer")], 0),
    ],
    ids=[
        "a settlement",
        "read again, it counts once",
        "a special one has ids of its own",
        "two of one amount are two",
        "before the accounts began",
        "from then on",
        "one that was booked late",
        "nothing could be read",
    ],
)
def test_4_each_record_is_booked_once_by_its_id(readings, paid):
    assert booked(*readings).paid == paid


@pytest.mark.parametrize(
    ("told", "readings", "paid", "differences"),
    [
        ([(EIGHT + 40, -700)], [], -700, 0),
        ([(EIGHT + 40, -700), (EIGHT + 40, -700)], [], -700, 0),
        ([(EIGHT + 40, -700)], [read(row(1))], -700, 0),
        ([(EIGHT + 40, -700)], [read()], -700, 0),
        ([(EIGHT + 40, -700)], [read(asked_ms=EIGHT + PATIENCE_MS + 40)], 0, 1),
        ([(EIGHT + 40, -699)], [read(row(1), asked_ms=EIGHT + PATIENCE_MS + 40)], -700, 1),
        ([(EIGHT + 40, -700), (EIGHT + HOUR_MS, -700)], [read(row(1))], -1_400, 0),
    ],
    ids=[
        "it counts at once",
        "two connections tell it",
        "its record takes its place",
        "the record is not there yet",
        "none comes: it is taken back",
        "of another amount: the record counts",
        "the next one waits for its own record",
    ],
)
def test_what_the_user_stream_tells_counts_until_its_record_is_read(told, readings, paid, differences):
    funding = Funding()
    for at_ms, amount in told:
        funding.on_told(FundingPaid(0, at_ms, amount))
    for reading in readings:
        funding.on_read(reading, BEGAN, 0)
    assert (funding.paid, funding.differences) == (paid, differences)


def test_what_the_user_stream_tells_after_its_record_counts_no_more():
    funding = booked(read(row(1)))
    funding.on_told(FundingPaid(0, EIGHT + 95_000, -700))
    assert (funding.paid, funding.told) == (-700, [])


def test_paid_since_needs_a_reading_under_this_lease():
    funding = booked(read(row(1, EIGHT - HOUR_MS, -1), row(2, EIGHT, -20)))
    funding.on_told(FundingPaid(0, EIGHT + HOUR_MS, -300))
    assert [funding.paid_since(at) for at in (DAY, EIGHT, EIGHT + 1, DAY - 1)] == [-321, -320, -300, None]
    funding.forget()
    assert funding.paid_since(EIGHT) is None


def test_what_is_older_than_two_days_is_booked_and_forgotten():
    funding = booked(read(row(1)), read(row(2, EIGHT + 3 * DAY_MS, -5), asked_ms=EIGHT + 3 * DAY_MS, since_ms=EIGHT))
    assert funding.paid == -705
    assert [record.row.record_id for record in funding.records] == [2]
    assert funding.paid_since(EIGHT) is None
    assert funding.paid_since(EIGHT + 3 * DAY_MS - KEPT_MS) == -5


# -- when records are read ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("through_ms", "now_ms", "began_ms", "since_ms"),
    [
        (0, EIGHT, EIGHT, DAY),
        (0, EIGHT, DAY - 5, DAY - 5),
        (EIGHT - 1, EIGHT, BEGAN, DAY),
        (DAY + 5, DAY + HOUR_MS, BEGAN, DAY + 5 - HOUR_MS),
        (DAY - 9 * DAY_MS, EIGHT, BEGAN, DAY - 9 * DAY_MS - HOUR_MS),
        (1, EIGHT, 1, EIGHT - LONGEST_MS),
    ],
    ids=[
        "the first time: the whole day",
        "accounts that began yesterday",
        "the whole day again",
        "an hour before the last reading",
        "away for days",
        "no longer than the exchange keeps",
    ],
)
def test_a_reading_begins_before_the_last_one_ended(through_ms, now_ms, began_ms, since_ms):
    assert Funding(through_ms=through_ms).ask(1, now_ms, began_ms) == since_ms


@pytest.mark.parametrize("spread_ms", [0, 31_000])
def test_records_are_read_after_each_full_hour(spread_ms):
    funding, late = Funding(), BOOKED_AFTER_MS + spread_ms
    funding.on_read(read(asked_ms=EIGHT + late - 1), BEGAN, spread_ms)
    assert funding.next_read_ms == EIGHT + late
    funding.on_read(read(asked_ms=EIGHT + late), BEGAN, spread_ms)
    assert funding.next_read_ms == EIGHT + HOUR_MS + late


def test_what_the_user_stream_told_is_looked_for_sooner():
    funding = booked(read())
    at_ms = EIGHT + HOUR_MS // 2
    funding.on_told(FundingPaid(0, at_ms, -5))
    assert funding.next_read_ms == at_ms + BOOKED_AFTER_MS
    funding.on_read(read(asked_ms=at_ms + BOOKED_AFTER_MS), BEGAN, 0)
    assert at_ms < funding.next_read_ms < EIGHT + HOUR_MS, "and again, while no record has it"


def fetched(world):
    return of_kind(world.done, ac.FetchFunding)


def test_a_leader_reads_at_once_and_a_standby_never():
    world = World()
    world.tell(ev.ClockSynced(0, 1_760_000_000 * SECOND, 1))
    world.tell(ev.FundingPaid(0, 5, -700))
    world.tick(20)
    assert not fetched(world)
    world.start()
    world.wait(0.2)
    assert len(fetched(world)) == 1
    world.wait(30.0)
    assert len(fetched(world)) == 1
    world.replay()


def test_what_could_not_be_read_is_asked_again(world):
    world.income_answered = False
    world.lease(0)
    world.lease(world.newest_token + 1)
    mark = len(world.done)
    world.tell(ev.FundingRead(0, 0, problem="no answer"))
    assert [note.text for note in of_kind(world.since(mark), ac.Note)] == ["income could not be read: no answer"]
    mark = len(world.done)
    world.wait(4.0)
    assert not of_kind(world.since(mark), ac.FetchFunding)
    world.wait(2.0)
    assert len(of_kind(world.since(mark), ac.FetchFunding)) == 1
    world.wait(30.0)
    assert len(of_kind(world.since(mark), ac.FetchFunding)) == 1, "one at a time"


def test_readings_that_fail_again_and_again_are_rarer_and_rarer():
    funding, waits = Funding(), []
    for _ in range(9):
        funding.on_read(FundingRead(0, DAY, problem="no"), BEGAN, 0)
        waits.append(funding.not_before_ns // SECOND)
    assert waits == [5, 10, 20, 40, 80, 160, 320, 320, 320]
    funding.on_read(read(), BEGAN, 0)
    funding.on_read(FundingRead(0, DAY, problem="no"), BEGAN, 0)
    assert funding.not_before_ns == 5 * SECOND


# -- across leaders ----------------------------------------------------------------------------------


def test_4_a_settlement_that_passed_while_nobody_listened_is_found_by_the_next_leader(world):
    world.income = [row(1, world.exchange_ms + 1_000, -700)]
    memory = world.engine.remember()
    fresh = World()
    fresh.income = world.income
    fresh.now += 20 * SECOND
    fresh.start(memory=memory, age_ns=20 * SECOND)
    fresh.wait(0.2)
    assert fresh.engine.view().funding == -700
    again = World()
    again.income = world.income
    again.now += 40 * SECOND
    again.start(memory=fresh.engine.remember(), age_ns=20 * SECOND)
    again.wait(0.2)
    assert again.engine.view().funding == -700
    again.replay()


# -- the check ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "remarks"),
    [(-60_000, 0), (-60_500, 0), (-65_000, 1), (60_000, 1), (None, 1)],
    ids=["as computed", "the mark had moved a little", "too much", "of the other sign", "no record"],
)
def test_4_position_mark_and_rate_only_check_what_was_paid(amount, remarks):
    funding = Funding()
    funding.expect(EIGHT, 0.1, 60_000.0, 0.0001)
    assert funding.expected[0].amount == -6 * MONEY // 10
    scale = MONEY // 100_000
    rows = [] if amount is None else [row(1, EIGHT, amount * scale)]
    told = funding.on_read(read(*rows), BEGAN, 0)
    assert (len(told), funding.differences) == (remarks, remarks)
    assert funding.paid == (amount or 0) * scale, "what the exchange booked counts, whatever was computed"


def test_a_settlement_that_passes_is_checked_in_the_engine():
    world = World()
    world.hold(50)
    world.start()
    world.wait(1.0)
    at_ms = world.exchange_ms + 500
    world.tell(ev.Mark(0, world.exchange_ms, 60_000.0, 60_000.0, 0.0001, at_ms))
    world.wait(1.0)
    world.tell(ev.Mark(0, world.exchange_ms, 60_000.0, 60_000.0, 0.0002, at_ms + HOUR_MS))
    assert [(each.settled_ms, each.amount) for each in world.engine.funding.expected] == [(at_ms, -3 * MONEY // 10)]
    world.tell(ev.FundingRead(0, at_ms - HOUR_MS, at_ms + BOOKED_AFTER_MS, [row(1, at_ms, -MONEY)]))
    (note,) = [note for note in of_kind(world.done, ac.Note) if note.kind is NoteKind.FUNDING]
    assert note.text.startswith(f"funding of {at_ms} was -1.00000000, position, mark and rate say -0.30000000")
    assert world.engine.view().funding_differences == 1
    assert world.engine.view().funding == -MONEY


def test_alpha_is_hot(world):
    world.tell(ev.ParametersSet(0, changed(MAKER, funding_alpha=1.0), "other"))
    for rate in (0.0001, 0.0005):
        world.tell(ev.Mark(0, world.exchange_ms, 60_000.0, 60_000.0, rate, world.exchange_ms + HOUR_MS))
        world.wait(61.0)
    assert world.engine.view().predicted_funding_rate == pytest.approx(0.0005)


# -- whatever happens in between ---------------------------------------------------------------------


class Bookings(RuleBasedStateMachine):
    """Settlements, told or not, early, late or twice, read at any time, by leaders that come and go."""

    def __init__(self):
        super().__init__()
        self.now = EIGHT
        self.rows = []
        self.untold = []
        self.seen = set()
        self.began = EIGHT
        self.keeps = Funding()

    @rule(amount=st.integers(-5, 5).filter(bool), special=st.booleans())
    def settle(self, amount, special):
        self.rows.append(row(len(self.rows), self.now, amount, SPECIAL if special else REGULAR))
        self.untold.append(FundingPaid(0, self.now + 30, amount))

    @rule()
    def tell(self):
        for paid in self.untold:
            self.keeps.on_told(paid)
        self.untold = []

    @rule()
    def lose(self):
        self.untold = []

    @rule(minutes=st.integers(1, 300))
    def wait(self, minutes):
        self.now += minutes * 60_000

    @rule()
    def read(self):
        since = self.keeps.ask(1, self.now, self.began)
        told = [each for each in self.rows if since <= each.time_ms <= self.now]
        self.keeps.on_read(FundingRead(0, since, self.now, told), self.began, 0)
        self.seen.update(told)

    @rule(heard=st.booleans())
    def take_over(self, heard):
        """By one who has heard what was told meanwhile, or not."""
        standby = Funding()
        if heard:
            for paid in self.untold:
                standby.on_told(paid)
        self.keeps = self.keeps.followed_by(standby)

    @invariant()
    def all_that_was_read_is_booked_and_nothing_else(self):
        assert self.keeps.booked == sum(each.amount for each in self.seen)

    def teardown(self):
        self.now += PATIENCE_MS + 60_000
        self.read()
        assert self.keeps.paid == sum(each.amount for each in self.rows)
        assert not self.keeps.told


TestBookings = Bookings.TestCase
TestBookings.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


@given(st.lists(st.integers(-100, 100), min_size=1, max_size=20))
@settings(max_examples=30)
def test_a_keyframe_keeps_the_accounts(amounts):
    world = World().start()
    for number, amount in enumerate(amounts):
        world.tell(ev.FundingPaid(0, world.exchange_ms + number, amount))
    assert type(world.engine).from_keyframe(world.engine.keyframe()) == world.engine
