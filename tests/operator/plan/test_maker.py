"""One maker in each situation: what is done, and what its status says."""

import msgspec
import pytest
from phoenix_coordination.state import Ages, Configuration, EmergencyState, Halt, Mode, Reason, Role
from phoenix_operator.names import Component, EventReason
from phoenix_operator.plan import children, resolved
from phoenix_operator.plan.facts import PodFact
from phoenix_operator.plan.maker import plan_maker
from phoenix_operator.plan.nudges import NOT_TAKEN_ATTEMPTS, target_of
from phoenix_operator.plan.observed import account_resource, child, maker_resource
from phoenix_operator.plan.outcome import Situation
from phoenix_operator.plan.restarts import Judged, MakerHistory, Verdict
from phoenix_operator.plan.workers import workers_of
from phoenix_operator.settings import Settings

NOW_MS = 1_790_000_000_000
POD_UID = "0a000000-0000-4000-8000-000000000001"
OTHER_UID = "0a000000-0000-4000-8000-000000000002"


def condition(plan, facts, type_):
    held = (plan.status or facts.maker.status).conditions
    return next(((each.status, each.reason) for each in held if each.type == type_), None)


def carried_out(facts, plan, later_ms=0):
    """The same facts with the status that a plan wanted."""
    status = plan.status or facts.maker.status
    maker = msgspec.structs.replace(facts.maker, status=status)
    return msgspec.structs.replace(facts, maker=maker, now_ms=facts.now_ms + later_ms)


def with_record(facts, **changes):
    return msgspec.structs.replace(facts, records=(msgspec.structs.replace(facts.records[0], **changes),))


@pytest.fixture
def invalid():
    manifest = {
        "apiVersion": "phoenix.trading/v1alpha1",
        "kind": "MarketMaker",
        "metadata": {"name": "btcusdt", "namespace": "trading", "uid": "uid-btcusdt", "generation": 2},
        "spec": {"symbol": "btc"},
    }
    return maker_resource(manifest)


STALE = {"ready": False, "reason": Reason.PRICE_STALE, "reasons_not_ready": [Reason.PRICE_STALE]}
SITUATIONS = [
    ({}, Situation.STEADY, ("True", "InForce"), None),
    ({"older_twin": "elder"}, Situation.SYMBOL_CONFLICT, ("False", "SymbolConflict"), True),
    ({"elder": "desk/btc", "account_conflict": "desk/a"}, Situation.SYMBOL_CONFLICT, ("False", "SymbolConflict"), True),
    ({"account": None}, Situation.NO_ACCOUNT, ("False", "AccountNotFound"), None),
    ({"foreign": ("ConfigMap x",)}, Situation.CHILD_NOT_OURS, ("False", "ChildNotOurs"), True),
    ({"namespace_terminating": True}, Situation.NAMESPACE_TERMINATING, ("False", "NamespaceTerminating"), None),
    ({"account_conflict": "desk/main"}, Situation.STEADY, ("False", "AccountConflict"), True),
    ({"fault": "may not create deployments"}, Situation.STEADY, ("False", "ApiRefused"), None),
    ({"rivals": ("other-1",), "pods": ()}, Situation.OCCUPIED, ("False", "SymbolOccupied"), False),
]


@pytest.mark.parametrize(
    ("changes", "situation", "ready", "stalled"),
    SITUATIONS,
    ids=[" ".join(each[0]) or "at work" for each in SITUATIONS],
)
def test_a_maker_is_in_one_situation_and_says_so(quoting, platform, changes, situation, ready, stalled):
    facts = quoting(**changes)
    plan = plan_maker(facts, platform)
    assert plan.situation is situation
    assert condition(plan, facts, "Ready") == ready
    assert (condition(plan, facts, "Stalled") is not None) is bool(stalled)
    assert (condition(plan, facts, "Reconciling") is not None) is (stalled is False)


UNTOUCHED = [
    pytest.param({"account": None}, id="no account"),
    pytest.param({"namespace_terminating": True}, id="a namespace that ends"),
    pytest.param({"fault": "may not patch deployments"}, id="a refusal of the API server"),
    pytest.param({"outage": "2 of 2 symbols are stale"}, id="an outage of the venue"),
    pytest.param({"records": (), "fleet_problem": "Redis is away"}, id="Redis away"),
    pytest.param({"records": ()}, id="a worker that tells nothing"),
]


@pytest.mark.parametrize("changes", UNTOUCHED)
def test_trouble_from_outside_takes_nothing_away(quoting, platform, changes):
    plan = plan_maker(quoting(**changes), platform)
    assert (plan.apply, plan.scale, plan.delete) == ((), (), ())


def test_a_maker_that_does_not_validate_keeps_what_runs_and_says_what_is_wrong(quoting, platform, invalid):
    facts = quoting()
    plan = plan_maker(msgspec.structs.replace(facts, maker=invalid), platform)
    ready = next(each for each in plan.status.conditions if each.type == "Ready")
    assert plan.situation is Situation.INVALID
    assert (plan.scale, plan.delete) == ((), ())
    assert ready.reason == "ConfigurationInvalid"
    assert "spec.symbol" in ready.message
    assert "spec.netMax" in ready.message


def test_the_accounts_switch_reaches_the_worker_of_a_maker_that_does_not_validate(quoting, platform, invalid, account):
    facts = quoting()
    plan = plan_maker(msgspec.structs.replace(facts, maker=invalid, account=account(emergency="Flatten")), platform)
    (apply,) = plan.apply
    assert "emergency: Flatten" in apply.manifest["data"]["account.yaml"]


def test_an_account_that_does_not_validate_is_named(quoting, platform):
    manifest = {
        "metadata": {"name": "default", "namespace": "trading", "uid": "u"},
        "spec": {},
        "kind": "TradingAccount",
    }
    facts = quoting(account=account_resource(manifest))
    assert condition(plan_maker(facts, platform), facts, "Ready") == ("False", "AccountInvalid")


@pytest.mark.parametrize("conflict", [{"older_twin": "elder"}, {"elder": "desk/btc", "account_conflict": "desk/a"}])
def test_of_two_makers_of_a_symbol_the_younger_is_scaled_to_zero_and_nothing_is_deleted(quoting, platform, conflict):
    """Of two accounts that are one at the exchange, too: a paused worker that leads keeps the other from trading."""
    plan = plan_maker(quoting(**conflict), platform)
    assert [(each.name, each.uid, each.replicas) for each in plan.scale] == [("btcusdt", "uid-deployment", 0)]
    assert (plan.delete, plan.apply, plan.pods) == ((), (), ())
    (event,) = [each for each in plan.events if each.reason is EventReason.SCALED_TO_ZERO]
    assert next(iter(conflict.values())) in event.message


@pytest.mark.parametrize(("heard", "said"), [(False, "have to go"), (True, "are withdrawn")])
def test_quotes_of_the_younger_of_two_accounts_are_called_withdrawn_once_they_are(quoting, platform, heard, said):
    facts = quoting(account_conflict="desk/main")
    if heard:
        maker = facts.maker
        paused = resolved.resolve(maker.meta, maker.spec, facts.account, stage=None, withdrawn=True)
        facts = with_record(facts, configuration=Configuration(paused.hash, 1))
    ready = next(each for each in plan_maker(facts, platform).status.conditions if each.type == "Ready")
    assert said in ready.message


# -- Ready ---------------------------------------------------------------------------------------------


def told(reason, detail="", **more):
    return {
        "role": Role.STARTING,
        "ready": False,
        "reason": reason,
        "reasons_not_ready": [reason],
        "detail": detail,
    } | more


RECORDS = [
    pytest.param(told(Reason.CREDENTIALS_MISSING, "no apiKey"), ("False", "CredentialsMissing"), id="no key"),
    pytest.param(told(Reason.CREDENTIALS_REFUSED), ("False", "CredentialsRefused"), id="a key that is refused"),
    pytest.param(told(Reason.PREFLIGHT_REFUSED), ("False", "PreflightRefused"), id="settings of the account"),
    pytest.param(
        told(Reason.COORDINATION_UNREACHABLE, ages=Ages(running=10_000)),
        ("False", "CoordinationUnreachable"),
        id="Redis away",
    ),
    pytest.param(
        told(Reason.COORDINATION_UNREACHABLE, ages=Ages(running=900)), ("False", "Starting"), id="not reached so far"
    ),
    pytest.param(told(Reason.STARTING), ("False", "Starting"), id="a start"),
    pytest.param(told(Reason.VENUE_UNREACHABLE), ("True", "InForce"), id="the venue away: fails no deploy"),
    pytest.param(told(Reason.VENUE_MAINTENANCE), ("True", "InForce"), id="maintenance of the venue"),
    pytest.param(told(Reason.PRICE_STALE, role=Role.LEADING), ("True", "InForce"), id="a stale price"),
    pytest.param(told(Reason.EMERGENCY, role=Role.LEADING), ("True", "InForce"), id="a stop"),
    pytest.param(told(Reason.RISK_HALTED, role=Role.LEADING), ("True", "InForce"), id="a risk halt"),
    pytest.param({"reason": Reason.PAUSED}, ("True", "InForce"), id="a pause"),
    pytest.param(
        {"configuration": Configuration("other", 9, refused="netMax is too large")},
        ("False", "ConfigurationRefused"),
        id="a file that the worker refuses",
    ),
    pytest.param({"configuration": Configuration("other", 1)}, ("False", "Applying"), id="values on their way"),
]


@pytest.mark.parametrize(("record", "ready"), RECORDS)
def test_ready_is_about_configuration_and_infrastructure_and_never_about_the_market(quoting, platform, record, ready):
    facts = quoting(record=record)
    assert condition(plan_maker(facts, platform), facts, "Ready") == ready


PODS = [
    pytest.param({"waiting_reason": "ImagePullBackOff"}, "ImageNotPulled", id="an image that cannot be pulled"),
    pytest.param({"waiting_reason": "CrashLoopBackOff", "last_words": "no Redis"}, "Crashing", id="a crash loop"),
    pytest.param({"waiting_reason": "CreateContainerConfigError"}, "ContainerNotCreated", id="no container"),
    pytest.param({"unschedulable": "0/3 nodes"}, "Unschedulable", id="no node"),
    pytest.param({"waiting_reason": "ContainerCreating"}, "Starting", id="a start"),
    pytest.param({"running": True}, "NoRecord", id="a worker that has told nothing yet"),
]


@pytest.mark.parametrize(("pod", "reason"), PODS)
def test_why_no_worker_tells_anything_is_read_from_its_pod(quoting, platform, pod, reason):
    facts = quoting(pod={"running": False, "ready": False} | pod, records=())
    plan = plan_maker(facts, platform)
    assert condition(plan, facts, "Ready") == ("False", reason)
    assert (plan.status or facts.maker.status).reason == reason


REFUSED = {"type": "ReplicaFailure", "status": "True", "message": 'pods "btcusdt-1" is forbidden: exceeded quota'}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"pods": ()}, "PodsRefused", id="nobody is admitted"),
        pytest.param({}, "Starting", id="a pod that is there is looked at itself"),
    ],
)
def test_that_no_pod_is_admitted_is_told_with_the_servers_words(quoting, platform, changes, reason):
    facts = quoting(pod={"running": False, "ready": False}, records=(), **changes)
    live = {**facts.deployment.manifest, "status": {"conditions": [REFUSED]}}
    facts = msgspec.structs.replace(facts, deployment=child(live))
    plan = plan_maker(facts, platform)
    assert condition(plan, facts, "Ready") == ("False", reason)
    ready = next(each for each in plan.status.conditions if each.type == "Ready")
    assert ("exceeded quota" in ready.message) == (reason == "PodsRefused")
    assert "deploy/namespace" not in ready.message
    assert (condition(plan, facts, "Reconciling") is None) == (reason == "PodsRefused")


def test_a_namespace_without_the_workers_service_account_is_told_how_to_come_by_it(quoting, platform):
    text = 'pods "x" is forbidden: error looking up service account a/worker: serviceaccount "worker" not found'
    facts = quoting(pods=(), records=())
    live = {**facts.deployment.manifest, "status": {"conditions": [REFUSED | {"message": text}]}}
    plan = plan_maker(msgspec.structs.replace(facts, deployment=child(live)), platform)
    ready = next(each for each in plan.status.conditions if each.type == "Ready")
    assert ready.message == f"no pod is admitted: {text}; deploy/namespace makes what a namespace of makers needs"


def test_a_crashing_pods_last_words_are_told(quoting, platform):
    pod = {
        "running": False,
        "waiting_reason": "CrashLoopBackOff",
        "last_words": "redis: no such file",
        "container_restarts": 4,
    }
    plan = plan_maker(quoting(pod=pod, records=()), platform)
    ready = next(each for each in plan.status.conditions if each.type == "Ready")
    assert ready.message == "pod btcusdt-1 has ended 4 times: redis: no such file"


def test_what_is_unknown_is_not_ready(quoting, platform):
    facts = quoting(records=(), fleet_problem="no answer from Redis")
    plan = plan_maker(facts, platform)
    assert condition(plan, facts, "Ready") == ("Unknown", "RecordsUnknown")
    assert condition(plan, facts, "Quoting") == ("Unknown", "RecordsUnknown")


def test_a_record_of_a_pod_that_has_gone_counts_for_nothing(quoting, platform):
    facts = quoting(record={"holder": "0b000000-0000-4000-8000-000000000009/7f3a"})
    assert condition(plan_maker(facts, platform), facts, "Quoting") == ("Unknown", "NoRecord")


def test_a_generation_without_another_value_is_in_force_once_it_is_reported(quoting, maker, platform):
    facts = quoting(maker(_generation=2))
    behind = with_record(facts, configuration=Configuration(facts.records[0].configuration.hash, 1))
    assert condition(plan_maker(behind, platform), behind, "Ready") == ("False", "Applying")
    assert plan_maker(facts, platform).status.applied_generation == 2


@pytest.mark.parametrize(
    ("of", "attempts", "told"),
    [
        pytest.param("", NOT_TAKEN_ATTEMPTS - 1, ("False", "Applying"), id="on its way"),
        pytest.param("", NOT_TAKEN_ATTEMPTS, ("False", "NotTaken"), id="long there"),
        pytest.param("another", NOT_TAKEN_ATTEMPTS, ("False", "Applying"), id="another file was long there"),
    ],
)
def test_a_worker_that_neither_takes_nor_refuses_its_file_is_not_waited_for(quoting, platform, of, attempts, told):
    facts = quoting()
    configuration = facts.records[0].configuration
    nudge = f"{target_of(of or configuration.hash, configuration.generation)}.{attempts}.{NOW_MS}"
    facts = quoting(pod={"nudge": nudge}, record={"configuration": Configuration("other", 1)})
    plan = plan_maker(facts, platform)
    assert condition(plan, facts, "Ready") == told
    assert (condition(plan, facts, "Reconciling") is None) == (told[1] == "NotTaken")
    assert condition(plan, facts, "Quoting") == ("True", "Quoting"), "it trades on with what it has"


# -- Quoting and the rest --------------------------------------------------------------------------------


def test_quoting_tells_the_first_reason_and_the_column_too(quoting, platform):
    stale = told(Reason.PRICE_STALE, role=Role.LEADING)
    facts = quoting(record=stale)
    plan = plan_maker(facts, platform)
    assert condition(plan, facts, "Quoting") == ("False", "PriceStale")
    assert condition(plan, facts, "PriceFresh") == ("False", "PriceStale")
    assert plan.status.reason == "PriceStale"


def test_a_risk_halt_is_told_with_what_resumes_it(quoting, platform):
    facts = quoting(record={"halt": Halt(4, "daily loss"), "reason": Reason.RISK_HALTED})
    status = plan_maker(facts, platform).status
    halted = next(each for each in status.conditions if each.type == "RiskHalted")
    assert (status.halt.reason, status.halt.epoch) == ("daily loss", 4)
    assert halted.message.endswith("`phoenix resume trading/default --symbol BTCUSDT --epoch 4`")


def test_an_outage_is_a_condition_of_its_own(quoting, platform):
    facts = quoting(outage="2 of 2 symbols are stale")
    plan = plan_maker(facts, platform)
    assert condition(plan, facts, "VenueOutage") == ("True", "Silent")
    assert condition(plan, facts, "Ready") == ("True", "InForce")


def test_a_word_that_flickers_is_told_once_and_then_when_it_lasts(quoting, platform):
    facts = quoting()
    facts = carried_out(facts, plan_maker(facts, platform), 60_000)
    ages = facts.records[0].ages
    cooling = with_record(facts, reason=Reason.COOLDOWN, ages=msgspec.structs.replace(ages, reason=10))
    first = plan_maker(cooling, platform)
    assert condition(first, cooling, "Quoting") == ("False", "Cooldown")
    writes = 0
    for at in range(20):
        facts = carried_out(cooling, first, 500)
        word = Reason.QUOTING if at % 2 else Reason.COOLDOWN
        cooling = with_record(facts, reason=word, ages=msgspec.structs.replace(ages, reason=100))
        first = plan_maker(cooling, platform)
        writes += first.status is not None
    assert writes == 0
    lasting = with_record(cooling, reason=Reason.QUOTING, ages=msgspec.structs.replace(ages, reason=5_000))
    assert condition(plan_maker(lasting, platform), lasting, "Quoting") == ("True", "Quoting")


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        pytest.param(Reason.CREDENTIALS_MISSING, "there are apiKeys", id="what a person mends is told as it is now"),
        pytest.param(
            Reason.GUARD, "the directory is empty", id="what may change at every tick waits for the next change"
        ),
    ],
)
def test_a_reason_that_stays_is_told_anew_only_where_its_text_is_news(quoting, platform, reason, message):
    facts = quoting(record=told(reason, "the directory is empty"))
    facts = carried_out(facts, plan_maker(facts, platform), 60_000)
    facts = with_record(facts, detail="there are apiKeys")
    plan = plan_maker(facts, platform)
    status = plan.status or facts.maker.status
    assert next(each for each in status.conditions if each.type == "Quoting").message == message


def test_a_word_that_is_not_told_yet_is_looked_at_again(quoting, platform):
    facts = quoting()
    facts = carried_out(facts, plan_maker(facts, platform), 1_000)
    ages = msgspec.structs.replace(facts.records[0].ages, reason=2_000)
    assert plan_maker(with_record(facts, reason=Reason.GUARD, ages=ages), platform).again_ms == 3_000


def test_what_was_told_once_is_not_told_again(quoting, maker, platform):
    facts = quoting(maker(_finalizers=["phoenix.trading/withdraw"]), record={"detail": "spread 4.1 bps"})
    facts = carried_out(facts, plan_maker(facts, platform), 1_000)
    plan = plan_maker(with_record(facts, detail="spread 4.2 bps"), platform)
    assert (plan.status, plan.events, plan.writes) == (None, (), 0)


# -- restarts --------------------------------------------------------------------------------------------


def judged(verdict, uid=POD_UID):
    return Judged(
        "trading/btcusdt", "trading/default", "BTCUSDT", f"{uid}/7f3a", verdict, 61_000, "price stale for 61 s"
    )


@pytest.mark.parametrize("verdict", [each for each in Verdict if each is not Verdict.RESTART])
def test_a_stale_worker_that_is_not_to_be_restarted_is_left_alone(quoting, platform, verdict):
    assert plan_maker(quoting(restart=judged(verdict)), platform).delete == ()


def test_a_restart_takes_exactly_the_stale_pod_and_keeps_its_count_before_that(quoting, platform):
    history = MakerHistory("trading/default", 2, NOW_MS, awaiting_ready=True, total=7)
    plan = plan_maker(quoting(restart=judged(Verdict.RESTART), record=STALE, history=history), platform)
    assert [(each.kind, each.name, each.uid) for each in plan.delete] == [("Pod", "btcusdt-1", POD_UID)]
    assert (plan.status.restarts.count, plan.status.restarts.total, plan.status.restarts.last_time.ms) == (2, 7, NOW_MS)
    assert [event.message for event in plan.events if event.reason == "Restarted"] == [
        "pod btcusdt-1 is replaced: price stale for 61 s"
    ]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"pod": {"deleting": True}}, id="it is on its way out"),
        pytest.param({"pods": ()}, id="it has gone"),
        pytest.param({"account": None}, id="nothing is done without an account"),
        pytest.param({"record": {}}, id="it has got well meanwhile"),
    ],
)
def test_a_restart_is_made_once_and_only_of_what_is_there(quoting, platform, changes):
    assert plan_maker(quoting(restart=judged(Verdict.RESTART), **({"record": STALE} | changes)), platform).delete == ()


def test_where_another_pod_serves_only_the_stale_one_goes(quoting, platform):
    facts = quoting(record=STALE)
    other = PodFact("btcusdt-2", "0c", Component.WORKER, facts.pods[0].template, running=True, ready=True)
    facts = msgspec.structs.replace(facts, pods=(other, *facts.pods), restart=judged(Verdict.RESTART))
    assert [each.name for each in plan_maker(facts, platform).delete] == ["btcusdt-1"]


def test_a_count_that_is_not_read_back_yet_is_not_lost(quoting, maker, platform):
    kept = {"restarts": {"count": 3, "total": 9, "lastTime": "2026-01-31T08:00:00Z"}}
    facts = quoting(maker(status=kept), history=MakerHistory())
    assert plan_maker(facts, platform).status.restarts.total == 9


# -- what goes over the wire -----------------------------------------------------------------------------


def test_a_new_maker_gets_our_finalizer_before_its_children_and_parameters_before_pods(maker, account, platform):
    from phoenix_operator.plan.facts import MakerFacts  # noqa: PLC0415 - the only one without children

    plan = plan_maker(MakerFacts(maker(), account(), NOW_MS), platform)
    assert plan.add_finalizer is not None
    assert [each.kind for each in plan.apply] == ["ConfigMap", "Deployment"]
    assert not any(each.force for each in plan.apply)


def test_our_finalizer_is_put_back_where_pods_may_be_and_somebody_took_it_away(quoting, maker, platform):
    kept = quoting(maker(_finalizers=["phoenix.trading/withdraw"]))
    assert plan_maker(kept, platform).add_finalizer is None
    assert plan_maker(quoting(), platform).add_finalizer is not None
    assert plan_maker(quoting(outage="silent"), platform).add_finalizer is not None


def test_a_steady_maker_costs_nothing(quoting, maker, platform):
    facts = quoting(maker(_finalizers=["phoenix.trading/withdraw"]))
    again = plan_maker(carried_out(facts, plan_maker(facts, platform), 1_000), platform)
    assert (again.writes, again.events) == (0, ())


def test_the_first_second_of_a_worker_is_no_warning_and_what_lasts_is(quoting, platform):
    young = told(Reason.COORDINATION_UNREACHABLE, "has not been reached yet", ages=Ages(running=900))
    facts = quoting(record=young)
    first = plan_maker(facts, platform)
    assert [event for event in first.events if event.type == "Warning"] == []
    assert condition(first, facts, "LeaseHeld") == ("Unknown", "Starting")
    assert condition(first, facts, "Reconciling") == ("True", "Starting")
    assert first.again_ms <= 9_100
    lasting = with_record(carried_out(facts, first, 9_100), ages=Ages(running=10_000, reason=10_000))
    plan = plan_maker(lasting, platform)
    assert condition(plan, lasting, "Ready") == ("False", "CoordinationUnreachable")
    assert {"NotReady", "LeaseNotHeld"} <= {event.reason for event in plan.events if event.type == "Warning"}


def test_while_redis_is_away_the_leader_and_the_halt_stay_in_the_status(quoting, platform):
    facts = quoting(record={"halt": Halt(4, "daily loss"), "reason": Reason.RISK_HALTED})
    facts = carried_out(facts, plan_maker(facts, platform))
    blind = msgspec.structs.replace(facts, records=(), fleet_problem="Redis cannot be reached")
    status = plan_maker(blind, platform).status
    assert (status.pod, status.halt.epoch) == ("btcusdt-1", 4)
    gone = plan_maker(msgspec.structs.replace(blind, pods=()), platform).status
    assert (gone.pod, gone.halt) == ("", None)


OTHER_UID = "0b000000-0000-4000-8000-000000000009"


def test_what_names_a_pod_or_an_epoch_is_told_as_it_is(quoting, platform):
    facts = quoting(record={"halt": Halt(4, "daily loss"), "reason": Reason.RISK_HALTED, "detail": "of epoch 4"})
    facts = carried_out(facts, plan_maker(facts, platform), 60_000)
    pod = PodFact("btcusdt-2", OTHER_UID, Component.WORKER, facts.pods[0].template, running=True, ready=True)
    later = with_record(facts, holder=f"{OTHER_UID}/1", halt=Halt(5, "daily loss; and stop loss"), detail="of epoch 5")
    later = msgspec.structs.replace(later, pods=(pod,))
    told = {each.type: each.message for each in plan_maker(later, platform).status.conditions}
    assert told["LeaseHeld"] == "pod btcusdt-2 leads"
    assert told["RiskHalted"].endswith("--epoch 5`")
    assert told["Quoting"] == "of epoch 5"


def test_a_roll_that_waits_for_the_venue_is_told_once_whichever_symbols_are_stale(quoting, maker, platform):
    ours = ["phoenix.trading/withdraw"]
    facts = quoting(maker(_finalizers=ours))
    facts = msgspec.structs.replace(facts, maker=maker(mode="DryRun", _finalizers=ours, _generation=2))
    writes = 0
    for stale in range(5):
        facts = msgspec.structs.replace(facts, outage=f"{stale} of 5 symbols are stale")
        plan = plan_maker(facts, platform)
        writes += plan.status is not None
        facts = carried_out(facts, plan, 10_000)
    assert (plan.situation, writes) == (Situation.ROLL_WAITS, 1)


@pytest.mark.parametrize(
    "spoilt",
    [
        pytest.param(lambda live: live["spec"].update(replicas=2), id="replicas"),
        pytest.param(lambda live: live["spec"]["template"]["spec"]["containers"][0].update(image="x"), id="image"),
        pytest.param(lambda live: live["metadata"]["labels"].clear(), id="labels"),
    ],
)
def test_drift_is_corrected_with_force_and_the_uid_of_what_is_there(quoting, platform, spoilt):
    facts = quoting()
    live = msgspec.json.decode(msgspec.json.encode(facts.deployment.manifest))
    spoilt(live)
    plan = plan_maker(msgspec.structs.replace(facts, deployment=child(live)), platform)
    assert [(each.kind, each.uid, each.force) for each in plan.apply] == [("Deployment", "uid-deployment", True)]
    assert "Corrected" in {event.reason for event in plan.events}


def test_a_stop_an_incident_and_a_ramp(quoting, maker, platform):
    stages = {
        "stages": [
            {"capital": "500", "minTime": "1h", "lossMax": "5%"},
            {"capital": "2000", "minTime": "1h", "lossMax": "5%"},
        ]
    }
    facts = quoting(maker(ramp=stages))
    first = plan_maker(facts, platform)
    assert (first.status.ramp.stage, first.status.ramp.since) == (0, None)
    assert "capital: '500'" in first.apply[0].manifest["data"]["maker.yaml"]
    never_read = carried_out(facts, first, 3_600_000)
    assert plan_maker(never_read, platform).situation is Situation.STEADY
    assert (plan_maker(never_read, platform).status or first.status).ramp == first.status.ramp
    runs_with_it = with_record(never_read, configuration=Configuration(hash=first.status.parameters_hash, generation=1))
    later = carried_out(runs_with_it, plan_maker(runs_with_it, platform), 3_600_000)
    assert later.maker.status.ramp.since.ms == NOW_MS + 3_600_000
    up = plan_maker(later, platform)
    assert up.status.ramp.stage == 1
    assert "capital: '2000'" in up.apply[0].manifest["data"]["maker.yaml"]
    stopped = with_record(later, emergency=EmergencyState("Halt", 1, "odd"))
    assert plan_maker(stopped, platform).status.ramp.since is None
    restarted = MakerHistory("trading/default", 1, NOW_MS, awaiting_ready=True)
    for trouble in (
        with_record(later, halt=Halt(reason="loss", epoch=1)),
        msgspec.structs.replace(later, history=restarted),
    ):
        progress = plan_maker(trouble, platform).status.ramp
        assert (progress.since, progress.lasted) == (None, None)


def test_the_pods_of_an_account_that_is_another_one_stay_and_withdraw_their_quotes(quoting, platform):
    plan = plan_maker(quoting(account_conflict="desk/main"), platform)
    (apply,) = plan.apply
    assert (apply.kind, plan.scale, plan.delete) == ("ConfigMap", (), ())
    assert "paused: true" in apply.manifest["data"]["maker.yaml"]


def test_a_dry_run_is_planned_like_any_other(quoting, maker, platform):
    facts = quoting(maker(mode="DryRun"), record={"mode": Mode.DRY_RUN})
    assert condition(plan_maker(facts, platform), facts, "Ready") == ("True", "InForce")


def test_another_image_rolls(quoting):
    plan = plan_maker(quoting(), Settings(image="phoenix:2"))
    assert plan.situation is Situation.ROLL_DUE
    assert plan.starts_roll


# -- what is told and left where nothing can be done ---------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"older_twin": "elder"}, "SymbolConflict", id="an older maker has the symbol"),
        pytest.param({"account": None}, "AccountNotFound", id="no account"),
        pytest.param({"foreign": ("Deployment btcusdt",)}, "ChildNotOurs", id="its name is taken"),
    ],
)
def test_a_maker_that_has_nobody_to_quote_does_not_quote_and_says_why_once(quoting, platform, changes, reason):
    facts = quoting(pods=(), records=(), **changes)
    facts = msgspec.structs.replace(facts, deployment=None)
    plan = plan_maker(facts, platform)
    assert condition(plan, facts, "Quoting") == ("False", reason)
    told = [each.reason for each in plan.events]
    assert EventReason.NOT_QUOTING not in told
    assert len({EventReason.NOT_READY, EventReason.SYMBOL_CONFLICT} & set(told)) == 1


def test_while_pods_may_come_up_nothing_is_known_of_quoting(quoting, platform):
    facts = quoting(pods=(), records=())
    assert condition(plan_maker(facts, platform), facts, "Quoting") == ("Unknown", "NoRecord")


def test_of_two_workers_the_one_that_leads_counts_though_the_other_is_ready(quoting):
    facts = quoting(record=STALE)
    standby = msgspec.structs.replace(facts.pods[0], name="btcusdt-2", uid=OTHER_UID, created_ms=NOW_MS)
    ready = msgspec.structs.replace(
        facts.records[0], holder=f"{OTHER_UID}/1", role=Role.STANDBY, ready=True, reasons_not_ready=[]
    )
    found = workers_of((standby, *facts.pods), (ready, *facts.records))
    assert [each.pod.name for each in found] == ["btcusdt-1", "btcusdt-2"]


def test_a_maker_whose_roll_waits_has_its_number_of_pods_all_the_same(quoting, maker, platform):
    facts = quoting()
    live = {**facts.deployment.manifest, "spec": {**facts.deployment.manifest["spec"], "replicas": 3}}
    rolls = maker(mode="DryRun", _generation=2)
    facts = msgspec.structs.replace(facts, maker=rolls, deployment=child(live), outage="3 of 5 symbols are stale")
    plan = plan_maker(facts, platform)
    assert plan.situation is Situation.ROLL_WAITS
    assert [each.replicas for each in plan.scale] == [1]


@pytest.mark.parametrize(
    ("of", "deleted"),
    [
        pytest.param({}, ["PodDisruptionBudget"], id="a maker at work needs no budget without a standby"),
        pytest.param({"of": "invalid"}, [], id="one that is not valid keeps what it has"),
        pytest.param({"rivals": ("other-1",), "pods": ()}, [], id="so does one whose symbol is occupied"),
    ],
)
def test_what_is_not_needed_any_more_goes_only_where_it_is_known_what_is(quoting, invalid, platform, of, deleted):
    facts = quoting(**{key: value for key, value in of.items() if key != "of"})
    budget = children.budget(facts.maker, platform)
    budget = child({**budget, "metadata": {**budget["metadata"], "uid": "uid-budget"}})
    facts = msgspec.structs.replace(facts, budget=budget, **({"maker": invalid} if "of" in of else {}))
    plan = plan_maker(facts, platform)
    assert [each.kind for each in plan.delete] == deleted
