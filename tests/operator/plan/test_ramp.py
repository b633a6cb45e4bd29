import pytest
from phoenix_coordination.state import Pnl
from phoenix_crds import Instant, RampProgress
from phoenix_operator.plan.ramp import plan_ramp, standing
from state_records import leading_record

HOUR = 3_600_000
NOW_MS = 1_790_000_000_000
STAGES = [
    {"capital": "200", "minTime": "1h", "lossMax": "10"},
    {"capital": "500", "minTime": "2h", "lossMax": "5%"},
    {"capital": "1000", "minTime": "1h", "lossMax": "50"},
]


@pytest.fixture
def after(maker):
    """Where a maker's ramp stands: `after(stage, hours in it, PnL since its start)`."""

    def make(
        stage,
        hours,
        pnl="0",
        hold=False,
        incident=False,
        leads=True,
        counts=True,
        incidents=0,
        lasted=None,
        priced=True,
        began_ms=None,
        since_ms=None,
    ):
        spec = maker(ramp={"stages": STAGES, "hold": hold}).spec
        since = Instant(NOW_MS - int(hours * HOUR)) if hours is not None else None
        before = RampProgress(
            stage=stage,
            since=since,
            lasted=lasted,
            incidents=incidents,
            pnl_at_start=100,
            pnl_since=None if since_ms is None else Instant(since_ms),
        )
        told = Pnl(realised=str(100 + float(pnl)), fees="0" if priced else None, began_ms=began_ms)
        record = leading_record(pnl=told) if leads else None
        return plan_ramp(spec, before, record, NOW_MS, counts=counts and leads, incident=incident)

    return make


@pytest.mark.parametrize(
    ("given", "stage"),
    [
        pytest.param({"stage": 0, "hours": 0.9}, 0, id="not before its time"),
        pytest.param({"stage": 0, "hours": 1}, 1, id="the next one after its time"),
        pytest.param({"stage": 1, "hours": 1.9}, 1, id="each has its own time"),
        pytest.param({"stage": 2, "hours": 99}, 2, id="the last one stays"),
        pytest.param({"stage": 0, "hours": 5, "hold": True}, 0, id="a person holds it"),
        pytest.param({"stage": 0, "hours": 5, "incident": True}, 0, id="not during an incident"),
        pytest.param({"stage": 0, "hours": 5, "leads": False}, 0, id="not while nobody leads"),
        pytest.param({"stage": 0, "hours": 5, "counts": False}, 0, id="not while the leader runs with something else"),
        pytest.param({"stage": 0, "hours": 0.5, "lasted": "29m"}, 0, id="not before both stretches are its time"),
        pytest.param({"stage": 0, "hours": 0.5, "lasted": "30m"}, 1, id="what it lasted before a break counts"),
        pytest.param({"stage": 0, "hours": None, "lasted": "2h"}, 1, id="a stage that was held, after a break"),
        pytest.param({"stage": 1, "hours": 1, "pnl": "-25"}, 1, id="a loss at its limit"),
        pytest.param({"stage": 1, "hours": 1, "pnl": "-25.01"}, 0, id="a loss beyond its limit: one back"),
        pytest.param({"stage": 1, "hours": 9, "pnl": "-25.01", "hold": True}, 0, id="also while it is held"),
        pytest.param({"stage": 0, "hours": 1, "pnl": "-11"}, 0, id="the first one begins anew"),
        pytest.param({"stage": 9, "hours": 1}, 2, id="a ramp that was shortened"),
        pytest.param({"stage": 0, "hours": 5, "priced": False}, 0, id="not while what it has lost is not known"),
    ],
)
def test_a_stage_lasts_its_time_within_its_loss(after, given, stage):
    assert after(**given).progress.stage == stage


def test_a_step_back_is_an_incident_and_counts_its_loss_from_then_on(after):
    found = after(2, 0.5, "-51", incidents=3)
    assert (found.progress.stage, found.progress.incidents, found.progress.since) == (1, 4, None)
    assert str(found.progress.pnl_at_start) == "49.0"
    assert found.text == "stage 2 (capital 1000) has lost 51, more than 50: stage 1 (capital 500)"


def test_an_incident_has_the_time_begin_anew_once_it_is_over_and_is_written_twice_in_all(after):
    during = after(0, 0.9, incident=True, lasted="1h")
    assert (during.progress.since, during.progress.lasted) == (None, None)
    assert after(0, None, incident=True).progress == during.progress
    assert after(0, None).progress.since.ms == NOW_MS


def test_a_maker_without_a_ramp_has_no_stage(maker):
    found = plan_ramp(maker().spec, RampProgress(stage=1), None, NOW_MS, counts=False, incident=False)
    assert (found.stage, found.progress) == (None, None)


def test_a_ramp_begins_at_its_first_stage(maker):
    spec = maker(ramp={"stages": STAGES}).spec
    found = plan_ramp(spec, standing(None, "Live Simulator"), None, NOW_MS, counts=False, incident=False)
    assert (found.stage.capital, found.progress) == (200, RampProgress(stage=0, earned_in="Live Simulator"))


EARNED = RampProgress(stage=2, since=Instant(NOW_MS), incidents=1, pnl_at_start=100, earned_in="DryRun Production")


@pytest.mark.parametrize(
    ("place", "stage"),
    [("DryRun Production", 2), ("Live Production", 0), ("DryRun Testnet", 0), ("", 2)],
    ids=["the same", "another mode", "another environment", "not known just now"],
)
def test_what_was_earned_elsewhere_does_not_count(place, stage):
    found = standing(EARNED, place)
    assert found.stage == stage
    assert stage or found == RampProgress(earned_in=place)


def test_a_loss_is_counted_from_when_the_worker_first_quotes_in_the_first_stage(maker):
    spec = maker(ramp={"stages": STAGES}).spec
    record = leading_record(pnl=Pnl(realised="-300"))
    before = plan_ramp(spec, RampProgress(), record, NOW_MS, counts=False, incident=False).progress
    assert before.pnl_at_start is None
    begun = plan_ramp(spec, before, record, NOW_MS, counts=True, incident=False).progress
    assert (begun.stage, begun.pnl_at_start) == (0, -300)


def test_time_in_which_the_stage_does_not_count_stands_still_and_is_written_twice_in_all(after):
    during = after(0, 0.5, counts=False, lasted="10m").progress
    assert (during.since, str(during.lasted)) == (None, "40m")
    assert after(0, None, counts=False, lasted="40m").progress == during
    again = after(0, None, lasted="40m").progress
    assert (again.since.ms, str(again.lasted)) == (NOW_MS, "40m")


def test_a_stage_that_loses_by_fees_alone_is_not_passed(maker):
    """12 earned on fills, 31 paid for them: a loss of 19, and its limit is 10."""
    spec = maker(ramp={"stages": STAGES}).spec
    before = RampProgress(stage=0, since=Instant(NOW_MS - 2 * HOUR), pnl_at_start=0)
    record = leading_record(pnl=Pnl(realised="12", fees="31", fees_by_asset={"BNB": "0.05"}))
    found = plan_ramp(spec, before, record, NOW_MS, counts=True, incident=False)
    assert (found.progress.stage, found.progress.incidents) == (0, 1)


BEGAN_MS = NOW_MS - 90 * HOUR


@pytest.mark.parametrize(
    ("pnl", "since_ms", "began_ms", "stage"),
    [
        pytest.param("-30", BEGAN_MS, BEGAN_MS, 0, id="a loss in the accounts that it is counted from"),
        pytest.param("-30", BEGAN_MS, BEGAN_MS + 900, 0, id="their beginning is told by a clock"),
        pytest.param("-30", None, BEGAN_MS, 0, id="counted before beginnings were told"),
        pytest.param("-30", BEGAN_MS, None, 0, id="a beginning that is not told"),
        pytest.param("-100", BEGAN_MS, NOW_MS - HOUR, 1, id="Redis has forgotten: zero is no loss of 100"),
        pytest.param("30", BEGAN_MS, NOW_MS - HOUR, 1, id="nor has it earned 30"),
        pytest.param("-100", BEGAN_MS, BEGAN_MS - HOUR, 1, id="another account"),
    ],
)
def test_a_loss_is_counted_in_one_and_the_same_accounts(after, pnl, since_ms, began_ms, stage):
    found = after(1, 1.5, pnl, since_ms=since_ms, began_ms=began_ms)
    assert (found.progress.stage, found.progress.since) == (stage, None)
    assert (found.progress.pnl_at_start is None) is (stage == 1)
    assert ("begins anew" in found.text) is (stage == 1)


def test_accounts_that_were_forgotten_have_the_stage_begin_anew_and_are_told_once(maker, after):
    forgotten = after(1, 99, since_ms=BEGAN_MS, began_ms=NOW_MS, lasted="9h", incidents=2).progress
    assert forgotten == RampProgress(stage=1, incidents=2, pnl_since=Instant(NOW_MS))
    spec = maker(ramp={"stages": STAGES}).spec
    record = leading_record(pnl=Pnl(realised="-3", began_ms=NOW_MS))
    found = plan_ramp(spec, forgotten, record, NOW_MS, counts=True, incident=False)
    assert (found.text, found.progress.pnl_at_start, found.progress.since.ms) == ("", -3, NOW_MS)
    lost = leading_record(pnl=Pnl(realised="-29", began_ms=NOW_MS))
    assert plan_ramp(spec, found.progress, lost, NOW_MS, counts=True, incident=False).progress.stage == 0


def test_the_next_stage_begins_when_the_worker_has_it_so_that_none_is_skipped(after):
    found = after(0, 99)
    assert (found.progress.stage, found.progress.since) == (1, None)
