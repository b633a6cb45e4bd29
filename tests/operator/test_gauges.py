"""What a scrape is told of each maker and each account."""

import pytest
from phoenix_coordination.state import Role
from phoenix_crds import Emergency
from phoenix_operator.fleet import Fleet, Seen
from phoenix_operator.gauges import AccountGauges, MakerGauges, account_gauges, maker_gauges
from phoenix_operator.plan.facts import AccountShared, Switch
from state_records import leading_record

ACCOUNT = ("trading", "main")
DISABLED = {"annotations": {"phoenix.trading/reconcile": "disabled"}}


@pytest.fixture
def fleet(census, put_account, put_maker) -> Fleet:
    """One account, one maker of generation 3; Redis was never read."""
    put_account("main")
    put_maker("btc", spec={"accountRef": "main"}, meta={"generation": 3}, status={"appliedGeneration": 3})
    return Fleet("", census, 0.5, lambda _: None)


def read(fleet, census, *records, switch=None) -> None:
    """As if Redis had just said this."""
    uid = census.account(ACCOUNT).meta.uid
    fleet._take_in({ACCOUNT: Seen(uid, records, AccountShared("an identity", switch))})


def worker(holder, role=Role.LEADING):
    return leading_record(holder=holder, role=role, namespace="trading", maker="btc", account="trading/main")


@pytest.mark.parametrize(
    ("applied", "behind"),
    [
        pytest.param({"appliedGeneration": 3}, 0, id="in force"),
        pytest.param({"appliedGeneration": 1}, 2, id="two behind"),
        pytest.param({}, 3, id="no worker has ever run"),
        pytest.param({"appliedGeneration": 4}, 0, id="a copy of the resource that is older than its status"),
    ],
)
def test_generations_that_are_not_in_force_are_counted(fleet, census, put_maker, applied, behind):
    put_maker("btc", spec={"accountRef": "main"}, meta={"generation": 3}, status=applied)
    assert [maker.behind for maker in maker_gauges(census, fleet)] == [behind]


@pytest.mark.parametrize(
    ("workers", "leaders"),
    [
        pytest.param([], 0, id="nobody"),
        pytest.param([worker("a"), worker("b", Role.STANDBY)], 1, id="one and its standby"),
        pytest.param([worker("a"), worker("b")], 2, id="two"),
        pytest.param([worker("a", Role.DRAINING)], 0, id="one that leaves"),
    ],
)
def test_who_says_that_he_leads_is_counted(fleet, census, workers, leaders):
    read(fleet, census, *workers)
    assert list(maker_gauges(census, fleet)) == [MakerGauges("trading/btc", "BTCUSDT", 0, leaders)]


def test_without_redis_nobody_knows_how_many_lead(fleet, census):
    assert [maker.leaders for maker in maker_gauges(census, fleet)] == [None]


def test_of_a_maker_that_has_no_worker_because_another_has_its_symbol_no_leader_is_told(fleet, census, put_maker):
    put_maker("late", spec={"accountRef": "main"}, meta={"creationTimestamp": "2026-01-02T00:00:00Z"})
    read(fleet, census, worker("a"))
    assert {maker.maker: maker.leaders for maker in maker_gauges(census, fleet)} == {
        "trading/btc": 1,
        "trading/late": None,
    }


@pytest.mark.parametrize(
    "meta", [{"deletionTimestamp": "2026-01-02T00:00:00Z"}, DISABLED], ids=["deleted", "left alone"]
)
def test_who_leaves_or_is_left_alone_is_not_told_of(fleet, census, put_maker, meta):
    put_maker("btc", spec={"accountRef": "main"}, meta=meta)
    read(fleet, census)
    assert list(maker_gauges(census, fleet)) == []


@pytest.mark.parametrize(
    ("switch", "declared", "emergency"),
    [
        pytest.param(Switch(Emergency.NONE, 1), "None", 0, id="none"),
        pytest.param(Switch(Emergency.HALT, 1), "None", 1, id="somebody has halted it"),
        pytest.param(Switch(Emergency.HALT, 1, declared=Emergency.FLATTEN), "None", 2, id="the stricter of two"),
        pytest.param(None, "Halt", 1, id="declared, and no switch yet"),
    ],
)
def test_an_account_s_stop_is_the_stricter_of_what_was_done_and_what_was_declared(
    fleet, census, put_account, switch, declared, emergency
):
    put_account("main", spec={"emergency": declared}, meta={"generation": 2})
    read(fleet, census, switch=switch)
    assert list(account_gauges(census, fleet)) == [AccountGauges("trading/main", emergency)]


def test_without_redis_an_account_stays_stopped_as_it_was(fleet, census, put_account):
    put_account("main", status={"emergency": {"level": "Halt", "epoch": 4}})
    assert list(account_gauges(census, fleet)) == [AccountGauges("trading/main", 1)]
