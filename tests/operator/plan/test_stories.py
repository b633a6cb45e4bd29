"""A maker's whole life in the model of a cluster: what people do, and what is there in the end."""

import copy
import itertools

import pytest
from manifests_of import account_manifest, maker_manifest
from model_cluster import ModelCluster
from phoenix_operator.names import Annotation
from phoenix_operator.settings import Settings


@pytest.fixture
def cluster():
    found = ModelCluster()
    found.put(account_manifest())
    return found


@pytest.fixture
def quoting(cluster):
    cluster.put(maker_manifest())
    cluster.settle()
    assert cluster.condition("btcusdt", "Quoting") == ("True", "Quoting")
    return cluster


def test_a_maker_that_is_applied_becomes_a_pod_that_quotes(quoting):
    (pod,) = quoting.workers_of("btcusdt")
    status = quoting.status("btcusdt")
    assert sorted(quoting.objects) == [("ConfigMap", f"btcusdt-{pod.template}"), ("Deployment", "btcusdt")]
    assert quoting.condition("btcusdt", "Ready") == ("True", "InForce")
    assert (status["observedGeneration"], status["appliedGeneration"], status["pod"]) == (1, 1, pod.name)
    assert "Reconciling" not in {each["type"] for each in status["conditions"]}


def test_at_rest_nothing_is_written_however_long_it_lasts(quoting):
    quoting.writes.clear()
    for _ in range(50):
        quoting.round()
        quoting.step(30_000)
    assert quoting.writes == []


def test_a_condition_that_somebody_else_keeps_in_the_status_costs_nothing(quoting):
    audited = {"type": "Audited", "status": "True", "reason": "Fine"}
    quoting.makers["btcusdt"].status["conditions"].append(audited)
    quoting.accounts["default"].status["conditions"].append(audited)
    quoting.writes.clear()
    for each in (quoting.makers["btcusdt"], quoting.accounts["default"]):
        each.version += 1
    for _ in range(3):
        quoting.round()
    assert quoting.writes == []


def test_a_hot_change_reaches_the_same_pod_by_its_config_map_and_one_nudge(quoting):
    (before,) = quoting.workers_of("btcusdt")
    quoting.writes.clear()
    quoting.change("MarketMaker", "btcusdt", minSpreadBps="7")
    quoting.settle()
    assert quoting.workers_of("btcusdt") == [before]
    assert quoting.status("btcusdt")["appliedGeneration"] == 2
    written = [each for each in quoting.writes if not each.endswith("status")]
    assert written == [
        f"apply ConfigMap btcusdt-{before.template}",
        f"btcusdt pod {before.name} ['{Annotation.NUDGE.value}']",
    ]


def test_a_worker_that_does_not_hear_a_nudge_is_nudged_again_ever_more_seldom(quoting):
    (pod,) = quoting.workers_of("btcusdt")
    pod.advance = lambda _: False
    quoting.change("MarketMaker", "btcusdt", minSpreadBps="7")
    at, said = [], []
    for _ in range(400):
        if any(Annotation.NUDGE.value in each for each in quoting.writes[-quoting.round() or len(quoting.writes) :]):
            at.append(quoting.now_ms)
        if (now := quoting.condition("btcusdt", "Ready")) not in said:
            said.append(now)
        quoting.step(500)
    waits = [later - earlier for earlier, later in itertools.pairwise(at)]
    assert waits[:4] == [1000, 2000, 4000, 8000]
    assert said == [("False", "Applying"), ("False", "NotTaken")]


def test_a_cold_change_brings_the_new_pod_first_and_takes_the_old_one_once_it_is_ready(quoting):
    (before,) = quoting.workers_of("btcusdt")
    quoting.change("MarketMaker", "btcusdt", mode="DryRun")
    seen = []
    for _ in range(12):
        quoting.round()
        quoting.step()
        pods = [(pod.template == before.template, pod.ready, pod.deleting) for pod in quoting.workers_of("btcusdt")]
        seen.append(pods)
        assert any(pod.ready and not pod.deleting for pod in quoting.workers_of("btcusdt"))
    quoting.settle()
    (after,) = quoting.workers_of("btcusdt")
    assert after.template != before.template
    assert max(len(pods) for pods in seen) == 2
    assert quoting.condition("btcusdt", "Ready") == ("True", "InForce")


def test_a_pod_of_the_older_template_hears_hot_changes_while_the_roll_waits(quoting):
    (before,) = quoting.workers_of("btcusdt")
    quoting.outage = "2 of 2 symbols are stale"
    quoting.change("MarketMaker", "btcusdt", mode="DryRun", paused=True)
    quoting.settle()
    assert quoting.workers_of("btcusdt") == [before]
    assert before.reads[0].spec.paused
    assert before.reads[0].spec.mode == "Live"
    assert quoting.condition("btcusdt", "Ready") == ("False", "RollWaits")
    quoting.outage = ""
    quoting.settle()
    (after,) = quoting.workers_of("btcusdt")
    assert after.reads[0].spec.mode == "DryRun"


def test_spec_emergency_reaches_every_pod_at_once_even_of_a_maker_that_is_no_longer_admitted(quoting):
    (pod,) = quoting.workers_of("btcusdt")
    limits = copy.deepcopy(quoting.accounts["default"].ours["spec"]["limits"])
    limits["makerNetMax"] = {"ETHUSDT": "2"}
    quoting.change("TradingAccount", "default", limits=limits, emergency="Halt")
    quoting.settle()
    maker, account = pod.reads
    assert quoting.condition("btcusdt", "Ready") == ("False", "NotAdmitted")
    assert quoting.condition("btcusdt", "Stalled") == ("True", "NotAdmitted")
    assert maker.spec.paused
    assert account.spec.emergency == "Halt"


def test_spec_emergency_reaches_the_worker_of_a_maker_that_nobody_reconciles_and_ends_there_too(quoting):
    _disabled(quoting, True)
    quoting.settle()
    for level, reason in (("Flatten", "Emergency"), ("None", "Quoting")):
        quoting.change("TradingAccount", "default", emergency=level)
        quoting.settle()
        (pod,) = quoting.workers_of("btcusdt")
        assert pod.reads[1].spec.emergency == "None"
        assert pod.record(quoting).emergency.level == level
        assert quoting.condition("btcusdt", "Quoting")[1] == reason


BETWEEN_DOUBLES = "0.10000000000000000001"
"""More than a netMax of 0.1, which the API server does not see: CEL compares doubles."""


@pytest.fixture
def invalid(cluster):
    """A maker that trades, and whose resource does not validate any more."""
    cluster.put(maker_manifest(onDelete="Flatten"))
    cluster.settle()
    cluster.change("MarketMaker", "btcusdt", baseSize=BETWEEN_DOUBLES)
    cluster.settle()
    assert cluster.condition("btcusdt", "Ready") == ("False", "ConfigurationInvalid")
    return cluster


def test_what_does_not_validate_is_in_force_nowhere_and_is_written_to_nobody(invalid):
    (pod,) = invalid.workers_of("btcusdt")
    invalid.writes.clear()
    invalid.change("MarketMaker", "btcusdt", baseSize=BETWEEN_DOUBLES, minSpreadBps="9")
    invalid.settle()
    assert {each for each in invalid.writes if not each.endswith("status")} == set()
    status = invalid.status("btcusdt")
    assert (status["observedGeneration"], status["appliedGeneration"]) == (3, 1)
    assert (pod.reads[0].metadata.generation, str(pod.reads[0].spec.min_spread_bps)) == (1, "4")


def test_spec_emergency_reaches_the_worker_of_a_maker_that_does_not_validate_any_more(invalid):
    invalid.change("TradingAccount", "default", emergency="Halt")
    invalid.settle()
    (pod,) = invalid.workers_of("btcusdt")
    assert pod.reads[1].spec.emergency == "Halt"


def test_a_maker_that_does_not_validate_any_more_is_withdrawn_as_it_said_last(invalid):
    invalid.delete("TradingAccount", "default")
    invalid.settle()
    assert list(invalid.accounts) == ["default"]
    invalid.delete("MarketMaker", "btcusdt")
    arguments = []
    for _ in range(20):
        invalid.round()
        job = invalid.objects.get(("Job", "btcusdt-withdraw"))
        arguments += [] if job is None else [job.live["spec"]["template"]["spec"]["containers"][0]["args"]]
        invalid.step()
    assert (invalid.makers, invalid.accounts) == ({}, {})
    assert {"--withdraw", "--flatten"} <= set(arguments[0])
    assert ("btcusdt", "Withdrawn", "withdrawn: nothing rests") in invalid.events


def test_a_younger_maker_stays_away_from_the_symbol_of_one_that_does_not_validate_any_more(invalid):
    invalid.step(10_000)
    invalid.put(maker_manifest("second"))
    invalid.settle()
    assert invalid.condition("second", "Ready") == ("False", "SymbolConflict")


def test_a_limit_that_is_lowered_below_net_max_is_kept_to_by_the_worker_that_runs(quoting):
    (pod,) = quoting.workers_of("btcusdt")
    limits = copy.deepcopy(quoting.accounts["default"].ours["spec"]["limits"])
    limits["makerNetMax"]["BTCUSDT"] = "0.05"
    quoting.change("TradingAccount", "default", limits=limits)
    quoting.settle()
    assert str(pod.reads[0].spec.net_max) == "0.05"
    assert quoting.condition("btcusdt", "Ready") == ("False", "NotAdmitted")
    assert quoting.workers_of("btcusdt") == [pod]


def test_of_two_makers_of_one_symbol_the_older_trades_and_the_younger_has_no_pod(quoting):
    quoting.step(10_000)
    quoting.put(maker_manifest("second"))
    quoting.settle()
    assert quoting.workers_of("second") == []
    assert quoting.condition("second", "SymbolConflict") == ("True", "SymbolConflict")
    assert quoting.condition("btcusdt", "Ready") == ("True", "InForce")
    quoting.delete("MarketMaker", "btcusdt")
    quoting.settle()
    assert len(quoting.workers_of("second")) == 1
    assert quoting.condition("second", "SymbolConflict") == ("", "")


def test_a_younger_maker_waits_until_the_pods_that_the_older_one_left_on_a_lost_node_have_gone(quoting):
    (pod,) = quoting.workers_of("btcusdt")
    quoting.lost_nodes.add(pod.name)
    quoting.step(10_000)
    quoting.put(maker_manifest("second"))
    quoting.delete("MarketMaker", "btcusdt")
    quoting.settle()
    quoting.step(90_000)
    quoting.settle()
    assert list(quoting.makers) == ["second"]
    assert quoting.condition("second", "Ready") == ("False", "SymbolOccupied")
    quoting.lost_nodes.clear()
    quoting.settle()
    assert quoting.condition("second", "Quoting") == ("True", "Quoting")


def test_an_account_that_comes_later_is_waited_for():
    cluster = ModelCluster()
    cluster.put(maker_manifest())
    cluster.settle()
    assert cluster.condition("btcusdt", "Ready") == ("False", "AccountNotFound")
    assert cluster.objects == {}
    assert cluster.makers["btcusdt"].finalizers == []
    cluster.put(account_manifest())
    cluster.settle()
    assert cluster.condition("btcusdt", "Ready") == ("True", "InForce")


def test_a_maker_is_deleted_by_ending_its_pods_then_withdrawing_then_letting_go(quoting):
    quoting.writes.clear()
    quoting.delete("MarketMaker", "btcusdt")
    quoting.settle()
    assert quoting.makers == {}
    assert quoting.objects == {}
    assert quoting.pods == {} or all(pod.deleting for pod in quoting.pods.values())
    kinds = [each for each in quoting.writes if not each.endswith("status")]
    assert kinds == ["scale btcusdt 0", "apply Job btcusdt-withdraw", "btcusdt -finalizer"]
    assert ("btcusdt", "Withdrawn", "withdrawn: nothing rests") in quoting.events


def test_an_account_is_kept_until_the_makers_that_need_its_key_have_withdrawn(quoting):
    quoting.delete("TradingAccount", "default")
    quoting.delete("MarketMaker", "btcusdt")
    quoting.settle()
    assert (quoting.makers, quoting.accounts) == ({}, {})
    assert ("btcusdt", "Withdrawn", "withdrawn: nothing rests") in quoting.events


def test_on_an_account_that_is_being_deleted_nothing_is_started_and_what_was_not_started_does_not_hold_it(quoting):
    quoting.delete("TradingAccount", "default")
    quoting.put(maker_manifest("ethusdt", "ETHUSDT"))
    quoting.settle()
    assert quoting.condition("btcusdt", "Quoting") == ("True", "Quoting")
    assert quoting.condition("ethusdt", "Ready") == ("False", "AccountDeleted")
    quoting.delete("MarketMaker", "btcusdt")
    quoting.settle()
    assert (list(quoting.makers), quoting.accounts) == (["ethusdt"], {})
    assert quoting.condition("ethusdt", "Ready") == ("False", "AccountNotFound")
    quoting.put(account_manifest())
    quoting.settle()
    assert quoting.condition("ethusdt", "Ready") == ("True", "InForce")


def test_what_a_failed_withdraw_job_may_have_left_is_told_and_the_maker_goes(quoting):
    quoting.job_fails = True
    quoting.delete("MarketMaker", "btcusdt")
    quoting.settle()
    assert quoting.makers == {}
    (text,) = [text for _, reason, text in quoting.events if reason == "NotWithdrawn"]
    assert "2 orders may rest" in text


def test_a_pod_on_a_lost_node_does_not_keep_a_deleted_maker_for_ever(quoting):
    (pod,) = quoting.workers_of("btcusdt")
    quoting.lost_nodes.add(pod.name)
    quoting.delete("MarketMaker", "btcusdt")
    quoting.settle()
    assert "apply Job btcusdt-withdraw" not in quoting.writes
    quoting.step(90_000)
    quoting.settle()
    assert quoting.makers == {}
    assert "apply Job btcusdt-withdraw" in quoting.writes


def test_in_a_namespace_that_ends_the_finalizer_goes_without_a_job(quoting):
    quoting.namespace_terminating = True
    quoting.delete("MarketMaker", "btcusdt")
    quoting.settle()
    assert quoting.makers == {}
    assert not any("Job" in each for each in quoting.writes)


def test_drift_is_corrected_and_what_others_add_stays(quoting):
    deployment = quoting.objects["Deployment", "btcusdt"]
    deployment.foreign = {
        "metadata": {"annotations": {"example.com/team": "desk"}},
        "spec": {"replicas": 5, "template": {"spec": {"containers": [{"name": "sidecar", "image": "mesh"}]}}},
    }
    quoting.settle()
    live = deployment.live
    assert live["spec"]["replicas"] == 1
    assert live["metadata"]["annotations"]["example.com/team"] == "desk"
    assert {each["name"] for each in live["spec"]["template"]["spec"]["containers"]} == {"worker", "sidecar"}


def test_what_is_deleted_by_hand_is_made_again(quoting):
    quoting.objects.clear()
    quoting.settle()
    assert ("Deployment", "btcusdt") in quoting.objects
    assert quoting.condition("btcusdt", "Ready") == ("True", "InForce")


def test_while_reconcile_is_disabled_nothing_is_changed_and_it_says_so(quoting):
    quoting.makers["btcusdt"].ours["metadata"]["annotations"] = {Annotation.RECONCILE.value: "disabled"}
    quoting.change("MarketMaker", "btcusdt", mode="DryRun")
    quoting.objects["Deployment", "btcusdt"].foreign = {"spec": {"replicas": 0}}
    quoting.writes.clear()
    quoting.settle()
    assert {each for each in quoting.writes if not each.endswith("status")} == set()
    assert quoting.condition("btcusdt", "Ready") == ("False", "ReconcileDisabled")


HOUR_MS = 3_600_000
RAMP = {"stages": [{"capital": each, "minTime": "1h", "lossMax": "5%"} for each in ("200", "500", "1000", "2000")]}


@pytest.fixture
def ramping(cluster):
    cluster.put(maker_manifest(ramp=RAMP))
    cluster.settle()
    return cluster


def capital_of(cluster):
    (pod,) = cluster.workers_of("btcusdt")
    return int(pod.reads[0].spec.risk.capital), cluster.status("btcusdt")["ramp"]["stage"]


def an_hour_passes(cluster):
    cluster.step(HOUR_MS)
    cluster.settle()


def test_a_ramp_takes_one_stage_after_the_other_each_once_the_worker_has_had_its_time_in_it(ramping):
    seen = [capital_of(ramping)]
    for _ in range(4):
        an_hour_passes(ramping)
        seen.append(capital_of(ramping))
    assert seen == [(200, 0), (500, 1), (1000, 2), (2000, 3), (2000, 3)]


def _disabled(cluster, disabled):
    annotations = {Annotation.RECONCILE.value: "disabled"} if disabled else {}
    cluster.makers["btcusdt"].ours["metadata"]["annotations"] = annotations
    cluster.makers["btcusdt"].version += 1


def _paused(cluster, paused):
    cluster.change("MarketMaker", "btcusdt", paused=paused)


def _blind(cluster, blind):
    cluster.fleet_problem = "Redis cannot be reached" if blind else ""


@pytest.mark.parametrize("hinder", [_disabled, _paused, _blind], ids=["disabled", "paused", "nothing is known"])
def test_a_stage_that_is_not_traded_does_not_pass_however_long_it_lasts(ramping, hinder):
    hinder(ramping, True)
    ramping.settle()
    for _ in range(4):
        an_hour_passes(ramping)
    assert ramping.status("btcusdt")["ramp"]["stage"] == 0
    hinder(ramping, False)
    ramping.settle()
    assert capital_of(ramping) == (200, 0)
    an_hour_passes(ramping)
    assert capital_of(ramping) == (500, 1)


def test_what_a_rehearsal_has_earned_gives_live_trading_no_capital(cluster):
    cluster.put(maker_manifest(ramp=RAMP, mode="DryRun"))
    cluster.settle()
    for _ in range(3):
        an_hour_passes(cluster)
    assert capital_of(cluster) == (2000, 3)
    cluster.change("MarketMaker", "btcusdt", mode="Live")
    cluster.settle()
    assert capital_of(cluster) == (200, 0)


def test_a_worker_that_never_reads_a_stage_keeps_the_ramp_where_it_is(ramping):
    (pod,) = ramping.workers_of("btcusdt")
    pod.advance = lambda _: False
    for _ in range(4):
        ramping.step(HOUR_MS)
        ramping.round()
    assert capital_of(ramping) == (200, 1)


def test_a_standby_comes_without_a_roll_and_goes_again(quoting):
    (first,) = quoting.workers_of("btcusdt")
    quoting.change("MarketMaker", "btcusdt", standby=True)
    quoting.settle()
    assert len(quoting.workers_of("btcusdt")) == 2
    assert first in quoting.workers_of("btcusdt")
    assert first.annotations[Annotation.DELETION_COST.value] == "100"
    assert ("PodDisruptionBudget", "btcusdt") in quoting.objects
    quoting.change("MarketMaker", "btcusdt", standby=False)
    quoting.settle()
    assert len(quoting.workers_of("btcusdt")) == 1
    assert ("PodDisruptionBudget", "btcusdt") not in quoting.objects


@pytest.mark.parametrize("at_once", [1, 2])
def test_a_change_of_the_account_rolls_its_makers_a_few_at_a_time(at_once):
    cluster = ModelCluster(Settings(image="phoenix:1", maxConcurrentRolls=at_once))
    cluster.put(account_manifest())
    for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT"):
        cluster.put(maker_manifest(symbol.lower(), symbol))
    cluster.settle()
    before = {pod.name for pod in cluster.pods.values()}
    cluster.change("TradingAccount", "default", egress="second")
    most = 0
    for _ in range(60):
        cluster.round()
        most = max(most, len(cluster.rolling_makers()))
        cluster.step()
    cluster.settle()
    assert most == at_once
    assert not before & {pod.name for pod in cluster.pods.values()}


def test_a_new_pod_that_never_becomes_ready_takes_no_working_one_away_and_holds_its_siblings_back():
    cluster = ModelCluster()
    cluster.put(account_manifest())
    for symbol in ("BTCUSDT", "ETHUSDT"):
        cluster.put(maker_manifest(symbol.lower(), symbol))
    cluster.settle()
    before = {pod.template for pod in cluster.pods.values()}
    cluster.change("TradingAccount", "default", egress="wrong")
    for _ in range(30):
        cluster.round()
        cluster.broken |= {pod.template for pod in cluster.pods.values()} - before
        cluster.step()
    rolling = cluster.rolling_makers()
    assert len(rolling) == 1
    assert all(any(pod.ready for pod in cluster.workers_of(maker)) for maker in cluster.makers)
    cluster.broken.clear()
    cluster.change("TradingAccount", "default", egress="right")
    cluster.settle()
    assert all(cluster.condition(maker, "Ready") == ("True", "InForce") for maker in cluster.makers)


def test_an_object_of_somebody_else_is_left_alone_and_named():
    cluster = ModelCluster()
    cluster.put(account_manifest())
    other = {"kind": "Deployment", "metadata": {"name": "btcusdt"}, "spec": {"replicas": 3}}
    found = cluster.garbage("Deployment", "btcusdt", other)
    cluster.put(maker_manifest())
    cluster.settle()
    assert found.live["spec"] == {"replicas": 3}
    assert cluster.condition("btcusdt", "Ready") == ("False", "ChildNotOurs")
