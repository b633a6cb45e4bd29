from decimal import Decimal

import pytest
from phoenix_crds import RampStage, read_resolved, resolved_hash
from phoenix_operator.plan import resolved

STAGES = {
    "stages": [
        {"capital": "500", "minTime": "1h", "lossMax": "5%"},
        {"capital": "2000", "minTime": "1h", "lossMax": "5%"},
    ]
}


def test_what_a_worker_reads_is_the_two_resources_with_name_uid_and_generation(wanted, tmp_path):
    content = wanted(_generation=7)
    for name, text in content.data.items():
        (tmp_path / name).write_text(text)
    maker, account = read_resolved(tmp_path / "maker.yaml", tmp_path / "account.yaml")
    assert (maker.metadata.name, maker.metadata.uid, maker.metadata.generation) == ("btcusdt", "uid-btcusdt", 7)
    assert (account.metadata.name, account.metadata.uid) == ("default", "uid-account")
    assert resolved_hash(maker.spec, account.spec) == content.hash


def test_a_stage_of_the_longest_number_is_its_share_too(maker):
    one = maker(ramp=STAGES, netMax="9" * 31, baseSize="1", risk={"capital": "3" + "0" * 22})
    assert resolved.at_stage(one.spec, one.spec.ramp.stages[0]).net_max > 0


def test_a_stage_of_the_ramp_is_its_capital_and_its_share_of_net_max(maker, account):
    one = maker(ramp=STAGES, netMax="0.10", risk={"capital": "2000"})
    stage = one.spec.ramp.stages[0]
    content = resolved.resolve(one.meta, one.spec, account(), stage=stage, withdrawn=False)
    assert (content.maker.spec.risk.capital, content.maker.spec.net_max) == (Decimal(500), Decimal("0.025"))


def test_the_last_stage_is_the_maker_as_it_was_written(maker):
    one = maker(ramp=STAGES)
    stage = one.spec.ramp.stages[-1]
    assert resolved.at_stage(one.spec, stage) == one.spec.model_copy(update={"ramp": None})


@pytest.mark.parametrize("capital", ["1", "333.33", "1999.99"])
def test_a_share_is_rounded_down_and_never_to_nothing(maker, capital):
    spec = maker(netMax="0.00000003", baseSize="0.00000003", risk={"capital": "2000"}).spec
    stage = RampStage.model_validate({"capital": capital, "minTime": "1h", "lossMax": "5%"})
    scaled = resolved.at_stage(spec, stage).net_max
    assert resolved.at_stage(spec, stage).base_size <= scaled
    assert Decimal("0.00000001") <= scaled <= max(spec.net_max * Decimal(capital) / 2000, Decimal("0.00000001"))


@pytest.mark.parametrize(
    ("most", "net_max", "paused"),
    [
        pytest.param({"BTCUSDT": "0.20"}, "0.10", False, id="within the account's limit"),
        pytest.param({"BTCUSDT": "0.05"}, "0.05", False, id="above it: the limit"),
        pytest.param({"BTCUSDT": "0.001"}, "0.001", False, id="a limit below the size of one order"),
        pytest.param({"ETHUSDT": "1"}, "0.10", True, id="not admitted any more: quotes go out"),
    ],
)
def test_a_worker_can_always_take_its_files_and_never_holds_more_than_the_account_admits(
    maker, account, wanted, tmp_path, most, net_max, paused
):
    limits = {"netNotional": "25000", "grossNotional": "50000", "dailyLoss": "500", "makerNetMax": most}
    content = wanted(maker(), account(limits=limits, emergency="Halt"))
    for name, text in content.data.items():
        (tmp_path / name).write_text(text)
    spec, its_account = read_resolved(tmp_path / "maker.yaml", tmp_path / "account.yaml")
    assert (spec.spec.net_max, spec.spec.paused) == (Decimal(net_max), paused)
    assert its_account.spec.emergency == "Halt"


def test_quotes_of_an_account_that_is_another_one_go_out(maker, account):
    one = maker()
    assert resolved.resolve(one.meta, one.spec, account(), stage=None, withdrawn=True).maker.spec.paused


def test_pods_of_another_template_read_their_own_cold_values_and_todays_hot_ones(maker, account, wanted):
    before = wanted(maker(mode="DryRun", minSpreadBps="4"), account(egress="first", emergency="None", _uid="older"))
    now = wanted(maker(mode="Live", minSpreadBps="9"), account(egress="second", emergency="Halt"))
    mixed = resolved.for_template(now, before.data)
    assert (mixed.maker.spec.mode, mixed.maker.spec.min_spread_bps) == ("DryRun", 9)
    assert (mixed.account.spec.egress, mixed.account.spec.emergency) == ("first", "Halt")
    assert mixed.account.metadata.uid == "older"
    assert mixed.hash != now.hash


def test_where_nothing_cold_differs_both_templates_read_the_same(wanted):
    content = wanted()
    assert resolved.for_template(wanted(minSpreadBps="9"), content.data).hash == wanted(minSpreadBps="9").hash


@pytest.mark.parametrize("text", ["", "nonsense: [", "kind: MarketMaker", "a: 1\n---\nb: 2"])
def test_a_file_that_cannot_be_read_is_left_as_it_is(wanted, text):
    assert resolved.for_template(wanted(), {"maker.yaml": text, "account.yaml": text}) is None


def test_old_cold_values_that_do_not_go_with_todays_hot_ones_leave_the_file_as_it_is(maker, wanted):
    live = wanted(maker(mode="Live"))
    without_capital = wanted(maker(mode="DryRun", risk={}))
    assert resolved.for_template(without_capital, live.data) is None


def test_the_same_resources_are_resolved_once(maker, account):
    one, of = maker(), account()
    first = resolved.resolve(one.meta, one.spec, of, stage=None, withdrawn=False)
    assert resolved.resolve(one.meta, one.spec, of, stage=None, withdrawn=False) is first
    other = maker(minSpreadBps="9")
    assert resolved.resolve(other.meta, other.spec, of, stage=None, withdrawn=False).hash != first.hash
