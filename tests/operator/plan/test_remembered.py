"""A status as it is found: what can be read of it hides behind nothing that cannot."""

import pytest
from phoenix_crds import AccountStatus, MakerStatus
from phoenix_operator.plan.account import answered, plan_account
from phoenix_operator.plan.facts import AccountFacts, AccountShared, Switch
from phoenix_operator.plan.outcome import CarryOut, Forget, Refuse
from phoenix_operator.plan.remembered import read_status

NOW_MS = 1_790_000_000_000
NO_TIME = "2026-01-31T08:00:00.123456789012345678901234567890Z"
"""A time by the schema, and by nobody's clock."""
SWITCH = {"level": "Halt", "epoch": 5, "reason": "odd", "source": "anna"}
STOP = {"id": "s", "action": "Stop", "level": "Flatten", "at": NO_TIME}
RESUME = {"id": "r", "action": "Resume", "epoch": 5, "source": "anna", "at": NO_TIME}


@pytest.fixture
def facts(account):
    def make(**status):
        switch = Switch("None", 0)
        return AccountFacts(account(status), NOW_MS, makers=("btc",), shared=AccountShared("usdm/sim/x", switch))

    return make


def test_a_part_that_cannot_be_read_hides_no_other():
    written = {
        "ramp": {"stage": 2},
        "restarts": {"total": 9},
        "figures": {"mid": "much"},
        "conditions": [{"type": "Ready", "status": "True"}, {"type": "Quoting", "status": "Perhaps"}],
    }
    status, unread = read_status(MakerStatus, written)
    assert (status.ramp.stage, status.restarts.total, status.figures) == (2, 9, None)
    assert [each.type for each in status.conditions] == ["Ready"]
    assert {each.field for each in unread} == {"figures", "conditions"}


@pytest.mark.parametrize("written", [None, {}, {"later": "version"}, {"conditions": []}])
def test_a_status_that_says_nothing_is_none(written):
    assert read_status(MakerStatus, written) == (MakerStatus(), ())


@pytest.mark.parametrize("written", ["text", [1], 7])
def test_what_is_no_status_at_all_is_named(written):
    status, unread = read_status(AccountStatus, written)
    assert (status, unread[0].field) == (AccountStatus(), "")


def test_conditions_of_others_are_not_ours():
    written = {"conditions": [{"type": "Audited", "status": "True"}, {"type": "Ready", "status": "True"}]}
    status, unread = read_status(MakerStatus, written)
    assert ([each.type for each in status.conditions], unread) == (["Ready"], ())


def test_a_stop_whose_time_cannot_be_read_is_a_stop(facts):
    (asked,) = plan_account(facts(requests=[STOP], emergency=SWITCH)).requests
    assert isinstance(asked, CarryOut)
    assert (asked.request.id, asked.request.level) == ("s", "Flatten")


def test_a_resume_whose_time_cannot_be_read_is_refused_in_an_answer_and_forgotten(facts):
    given = facts(requests=[RESUME], emergency=SWITCH)
    (refusal,) = plan_account(given).requests
    assert isinstance(refusal, Refuse)
    assert (refusal.request.id, refusal.request.source) == ("r", "anna")
    assert "requests.0.at" in refusal.message
    status = answered(given.account.status, refusal.request, ok=False, message=refusal.message, now_ms=NOW_MS)
    written = status.model_dump(mode="json", by_alias=True, exclude_none=True) | {"requests": [RESUME]}
    assert plan_account(facts(**written)).requests == (Forget("r"),)


def test_an_odd_request_does_not_blind_the_account_for_its_stop(facts):
    plan = plan_account(facts(requests=[RESUME], emergency=SWITCH, identity="usdm/sim/x"))
    assert (plan.seed.level, plan.seed.epoch) == ("Halt", 5)
    assert (plan.status.emergency.level, plan.status.emergency.epoch) == ("Halt", 5)


def test_a_switch_that_cannot_be_read_stays_as_it_was_written(facts):
    odd = SWITCH | {"level": "Perhaps"}
    given = facts(emergency=odd, answers=[{"id": "a", "ok": True}])
    assert "emergency.level" in given.account.switch_problem
    assert given.account.kept == {"emergency": odd}
    plan = plan_account(given)
    assert plan.seed is None
    assert (plan.status.emergency, [each.id for each in plan.status.answers]) == (None, ["a"])
