import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phoenix_coordination.state import Reason, Role
from phoenix_operator.plan.restarts import (
    FORGIVEN_AFTER_MS,
    LONGEST_BACK_OFF_MS,
    OUTAGE_OUTLIVES_MS,
    History,
    Settings,
    Verdict,
    back_off_ms,
    plan_restarts,
)

SETTINGS = Settings()
MINUTE = 60_000


class Fleet:
    """Plans again and again, as a supervisor does, and keeps the history."""

    def __init__(self, settings=SETTINGS):
        self.history = History()
        self.settings = settings

    def at(self, now_ms, *records):
        plan = plan_restarts(records, self.history, now_ms, self.settings)
        self.history = plan.history
        return plan

    def restarted(self, now_ms, *records):
        return [one.holder for one in self.at(now_ms, *records).restarts]


@pytest.fixture
def fleet():
    return Fleet()


def test_a_worker_that_stays_stale_is_restarted_after_its_time_and_not_before(fleet, record):
    healthy = record("eth"), record("sol")
    assert fleet.restarted(0, record("btc", stale=True), *healthy) == []
    assert fleet.restarted(MINUTE - 1, record("btc", stale=True), *healthy) == []
    plan = fleet.at(MINUTE, record("btc", stale=True), *healthy)
    assert [(one.holder, one.verdict, one.text) for one in plan.restarts] == [
        ("btc-1", Verdict.RESTART, "price stale for 60 s")
    ]


def test_a_worker_that_heals_itself_begins_anew(fleet, record):
    fleet.at(0, record("btc", stale=True), record("eth"))
    fleet.at(50_000, record("btc"), record("eth"))
    assert fleet.restarted(70_000, record("btc", stale=True), record("eth")) == []
    assert fleet.restarted(130_000, record("btc", stale=True), record("eth")) == ["btc-1"]


def test_a_lone_worker_is_restarted_too(fleet, record):
    fleet.at(0, record("btc", stale=True))
    assert fleet.restarted(MINUTE, record("btc", stale=True)) == ["btc-1"]


@pytest.mark.parametrize(
    ("reasons", "restarted"),
    [
        pytest.param([Reason.PRICE_STALE], True, id="a stale price"),
        pytest.param([Reason.BOOK_NOT_SYNCED, Reason.PRICE_STALE], True, id="a book that is being fetched meanwhile"),
        pytest.param([Reason.BOOK_NOT_SYNCED], True, id="a book that never comes"),
        pytest.param([Reason.USER_STREAM_OUT_OF_SYNC], False, id="not the user stream"),
        pytest.param([Reason.COORDINATION_UNREACHABLE], False, id="not lost coordination"),
        pytest.param([Reason.VENUE_MAINTENANCE, Reason.PRICE_STALE], False, id="not the venue's maintenance"),
        pytest.param([Reason.VENUE_UNREACHABLE, Reason.PRICE_STALE], False, id="not a venue that nobody reaches"),
        pytest.param([Reason.CREDENTIALS_MISSING], False, id="not a missing key"),
    ],
)
def test_only_a_stale_price_leads_to_a_restart(fleet, record, reasons, restarted):
    unready = record("btc", reasons=reasons)
    fleet.at(0, unready, record("eth"))
    assert bool(fleet.restarted(10 * MINUTE, unready, record("eth"))) is restarted


def test_after_a_maintenance_a_worker_has_its_whole_time_to_heal(fleet, record):
    reasons = [Reason.VENUE_MAINTENANCE, Reason.BOOK_NOT_SYNCED, Reason.PRICE_STALE]
    for minute in range(60):
        assert fleet.restarted(minute * MINUTE, record("btc", reasons=reasons)) == []
    assert fleet.restarted(60 * MINUTE - 1, record("btc", stale=True)) == []
    assert fleet.restarted(60 * MINUTE, record("btc", stale=True)) == ["btc-1"]


def test_a_worker_that_drains_is_left_alone(fleet, record):
    draining = record("btc", stale=True, role=Role.DRAINING)
    fleet.at(0, draining, record("eth"))
    assert fleet.restarted(10 * MINUTE, draining, record("eth")) == []


def test_restarts_of_one_maker_back_off_exponentially(fleet, record):
    """Every second for two hours: the worker comes back stale each time."""
    times = []
    for second in range(7200):
        if fleet.restarted(second * 1000, record("btc", stale=True, pod=len(times)), record("eth")):
            times.append(second)
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert times[0] == 60
    assert gaps == [61, 120, 240, 480, 960, 1920], "the first gap is a second of coming back and the patience again"


def test_back_off_never_exceeds_an_hour_and_never_falls():
    waits = [back_off_ms(restarts, MINUTE) for restarts in range(200)]
    assert waits[0] == 0
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_BACK_OFF_MS


def test_a_maker_that_was_ready_for_ten_minutes_is_forgiven(fleet, record):
    fleet.at(0, record("btc", stale=True), record("eth"))
    assert fleet.restarted(MINUTE, record("btc", stale=True), record("eth"))
    fleet.at(2 * MINUTE, record("btc", pod=2), record("eth"))
    fleet.at(2 * MINUTE + FORGIVEN_AFTER_MS - 1, record("btc", pod=2), record("eth"))
    assert fleet.history.makers["default/btc"].restarts == 1  # not a moment sooner: its back-off stands
    fleet.at(2 * MINUTE + FORGIVEN_AFTER_MS, record("btc", pod=2), record("eth"))
    history = fleet.history.makers["default/btc"]
    assert (history.restarts, history.total) == (0, 1)


def test_of_one_account_one_worker_is_replaced_at_a_time_the_longest_stale_first(fleet, record):
    others = [record(name) for name in ("a", "b", "c", "d", "e")]
    fleet.at(0, record("eth", stale=True), record("btc"), *others)
    fleet.at(1000, record("eth", stale=True), record("btc", stale=True), *others)
    plan = fleet.at(2 * MINUTE, record("eth", stale=True), record("btc", stale=True), *others)
    assert [one.holder for one in plan.restarts] == ["eth-1"]
    assert {one.holder: one.verdict for one in plan.judged}["btc-1"] is Verdict.ACCOUNT_BUSY


def test_the_next_of_the_account_goes_when_the_first_is_ready_again(fleet, record):
    others = [record(name) for name in ("a", "b", "c", "d", "e")]
    fleet.at(0, record("eth", stale=True), record("btc", stale=True), *others)
    first = fleet.restarted(MINUTE, record("eth", stale=True), record("btc", stale=True), *others)
    assert first == ["btc-1"]
    assert fleet.restarted(MINUTE + 5000, record("eth", stale=True), *others) == []
    assert fleet.restarted(MINUTE + 9000, record("eth", stale=True), record("btc", pod=2), *others) == ["eth-1"]


def test_a_maker_that_never_comes_back_does_not_block_its_account_for_ever(fleet, record):
    others = [record(name) for name in ("a", "b", "c", "d", "e")]
    fleet.at(0, record("eth", stale=True), record("btc", stale=True), *others)
    fleet.at(MINUTE, record("eth", stale=True), record("btc", stale=True), *others)
    assert fleet.restarted(2 * MINUTE, record("eth", stale=True), *others) == ["eth-1"]


def test_workers_of_two_accounts_are_replaced_side_by_side(fleet, record):
    others = [record(name) for name in ("a", "b", "c", "d", "e")]
    stale = record("btc", stale=True), record("eth", stale=True, account="default/other")
    fleet.at(0, *stale, *others)
    assert sorted(fleet.restarted(MINUTE, *stale, *others)) == ["btc-1", "eth-1"]


@pytest.mark.parametrize(
    ("stale", "ready", "outage"),
    [
        pytest.param(1, 0, False, id="one of one: at least two make an outage"),
        pytest.param(1, 1, False, id="half is not more than half"),
        pytest.param(2, 2, False, id="half of four is not either"),
        pytest.param(2, 1, True, id="two of three"),
        pytest.param(2, 0, True, id="all of two"),
        pytest.param(3, 4, False, id="three of seven"),
    ],
)
def test_when_most_symbols_are_stale_the_venue_is_out_and_nobody_is_restarted(fleet, record, stale, ready, outage):
    records = [record(f"s{n}", stale=True) for n in range(stale)] + [record(f"r{n}") for n in range(ready)]
    fleet.at(0, *records)
    plan = fleet.at(MINUTE, *records)
    assert (plan.outage is not None) is outage
    assert bool(plan.restarts) is not outage
    if outage:
        assert {one.verdict for one in plan.judged} == {Verdict.VENUE_OUTAGE}
        assert f"{stale} of {stale + ready} symbols are stale" in plan.judged[0].text


def test_the_threshold_is_a_setting(record):
    fleet = Fleet(Settings(outage_threshold=0.9))
    records = record("a", stale=True), record("b", stale=True), record("c")
    fleet.at(0, *records)
    assert fleet.restarted(MINUTE, *records)


def test_what_a_worker_that_is_ready_says_of_its_connection_is_no_outage(fleet, record):
    assert fleet.at(0, record("btc", silent=True), record("eth")).outage is None


def test_a_symbol_whose_only_worker_drains_is_not_counted(fleet, record):
    drains = [record(f"d{number}", role=Role.DRAINING) for number in range(5)]
    plan = fleet.at(0, record("btc", stale=True), record("eth", stale=True), record("sol"), *drains)
    assert (plan.outage.stale_symbols, plan.outage.symbols) == (["BTCUSDT", "ETHUSDT"], 3)


def test_a_silent_fresh_connection_is_an_outage_whatever_the_share(fleet, record):
    records = [record("btc", stale=True, silent=True), *(record(f"r{n}") for n in range(9))]
    fleet.at(0, *records)
    plan = fleet.at(MINUTE, *records)
    assert plan.outage is not None
    assert plan.restarts == []
    assert "silent" in plan.outage.text


def test_a_lone_maker_whose_venue_refuses_connections_is_not_restarted_until_somebody_is_served(fleet, record):
    """It has no company to tell an outage by, and another process would be refused as well."""
    alone = record("btc", stale=True, refused=True)
    for minute in range(10):
        plan = fleet.at(minute * MINUTE, alone)
        assert plan.restarts == []
        assert "can be opened" in plan.outage.text
    in_company = alone, record("eth")
    assert fleet.at(10 * MINUTE, *in_company).outage is None
    assert fleet.restarted(11 * MINUTE - 1, *in_company) == []
    assert fleet.restarted(11 * MINUTE, *in_company) == ["btc-1"], "beside who is served it is its own node's trouble"


def test_a_lone_maker_that_is_stale_on_a_connection_that_opens_is_restarted(fleet, record):
    fleet.at(0, record("btc", stale=True))
    assert fleet.restarted(MINUTE, record("btc", stale=True)) == ["btc-1"]


@pytest.mark.parametrize("reasons", [None, [Reason.LEASE_NOT_HELD]], ids=["ready", "unready for something else"])
def test_that_no_connection_opens_means_nothing_for_who_is_not_stale(fleet, record, reasons):
    assert fleet.at(0, record("btc", reasons=reasons, refused=True)).outage is None


def test_after_an_outage_who_stays_stale_is_restarted_and_who_is_a_moment_later_than_others_is_not(fleet, record):
    out = record("btc", stale=True), record("eth", stale=True)
    fleet.at(0, *out)
    fleet.at(5 * MINUTE, *out)
    one_is_back = record("btc", stale=True), record("eth")
    assert fleet.restarted(5 * MINUTE + 1000, *one_is_back) == []
    assert fleet.restarted(6 * MINUTE - 1, *one_is_back) == []
    assert fleet.restarted(6 * MINUTE, *one_is_back) == ["btc-1"]


def test_an_outage_lasts_while_workers_give_up_and_begin_anew_until_one_is_served(fleet, record):
    """After a minute they end (`userStream.giveUpAfter`), and a container that does so again waits up to five."""
    fleet.at(0, record("btc", stale=True), record("eth", stale=True))
    for second in range(60, 1_000, 10):
        unreachable = record("btc", reasons=[Reason.VENUE_UNREACHABLE], pod=second)
        assert fleet.at(second * 1000, *([unreachable] if second % 240 == 0 else [])).outage is not None
    again = record("eth", stale=True, pod=2)
    assert fleet.restarted(1_000_000, record("btc", stale=True, pod=2), again) == []
    assert fleet.at(1_001_000, record("btc", pod=2), again).outage is None
    assert fleet.restarted(1_000_000 + MINUTE - 1, record("btc", pod=2), again) == [], "all of its time again"
    assert fleet.restarted(1_000_000 + MINUTE, record("btc", pod=2), again) == ["eth-2"]


def test_an_outage_of_which_nobody_says_anything_any_more_is_over(fleet, record):
    """Its makers are gone, or what keeps them from quoting is something else."""
    fleet.at(0, record("btc", stale=True), record("eth", stale=True))
    other = record("btc", reasons=[Reason.CREDENTIALS_MISSING], pod=2)
    assert fleet.at(OUTAGE_OUTLIVES_MS, other).outage is not None
    assert fleet.at(OUTAGE_OUTLIVES_MS + 1, other).outage is None


def test_where_another_worker_of_the_maker_is_ready_only_the_stale_one_goes(fleet, record):
    pods = record("btc", stale=True, pod=1), record("btc", pod=2), record("eth")
    fleet.at(0, *pods)
    assert fleet.restarted(MINUTE, *pods) == ["btc-1"]


def test_a_symbol_that_one_worker_serves_does_not_count_towards_an_outage(fleet, record):
    pods = [record(name, stale=stale, pod=pod) for name in ("btc", "eth") for pod, stale in ((1, True), (2, False))]
    assert fleet.at(0, *pods).outage is None


def test_each_maker_has_its_own_patience(record):
    fleet = Fleet(Settings(restart_after_ms={"default/btc": 10_000}))
    records = record("btc", stale=True), record("eth"), record("sol")
    fleet.at(0, *records)
    assert fleet.restarted(10_000, *records) == ["btc-1"]


def test_the_history_outlives_the_supervisor(fleet, record):
    """What a status keeps is enough: a new supervisor goes on where the old one was."""
    fleet.at(0, record("btc", stale=True), record("eth"))
    fleet.at(MINUTE, record("btc", stale=True), record("eth"))
    successor = Fleet()
    successor.history = msgspec.json.decode(msgspec.json.encode(fleet.history), type=History)
    assert successor.history == fleet.history
    assert successor.restarted(MINUTE + 1, record("btc", stale=True, pod=2), record("eth")) == []


names = st.sampled_from(["btc", "eth", "sol"])
worlds = st.lists(
    st.tuples(names, st.integers(1, 2), st.booleans(), st.booleans()), max_size=6, unique_by=lambda w: w[:2]
)


@given(st.lists(st.tuples(st.integers(0, 200_000), worlds), max_size=30))
def test_no_story_leads_to_a_restart_that_a_rule_forbids(record, story):
    fleet = Fleet()
    now_ms = 0
    last_restart: dict[str, int] = {}
    for passed_ms, world in story:
        now_ms += passed_ms
        records = [record(name, pod=pod, stale=stale, silent=silent) for name, pod, stale, silent in world]
        plan = fleet.at(now_ms, *records)
        restarted = [one.holder for one in plan.restarts]
        unready = {one.holder for one in records if not one.ready}
        assert len(restarted) <= 1, "one account, one at a time"
        assert set(restarted) <= unready
        if plan.outage is not None:
            assert not restarted
        for one in plan.restarts:
            assert one.stale_ms >= SETTINGS.restart_after(one.maker)
            assert now_ms - last_restart.get(one.maker, -MINUTE) >= MINUTE
            last_restart[one.maker] = now_ms
