import msgspec
import pytest
from phoenix_operator.names import Component, EventReason, Finalizer
from phoenix_operator.plan import children
from phoenix_operator.plan.deletion import LONGEST_MS, PODS_MS, Stage, progress
from phoenix_operator.plan.facts import MakerFacts, PodFact
from phoenix_operator.plan.maker import plan_maker
from phoenix_operator.plan.observed import child
from phoenix_operator.plan.outcome import Situation

NOW_MS = 1_790_000_000_000
SECOND = 1_000
OURS = Finalizer.WITHDRAW.value
POD = PodFact("btcusdt-1", "u1", Component.WORKER, "aaaa", running=True)
SPOKE = PodFact("btcusdt-withdraw-1", "u2", Component.WITHDRAW, "aaaa", finished=True, last_words="2 orders may rest")


def written(ms):
    seconds = ms // SECOND % 86_400
    return f"2026-09-21T{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}Z"


@pytest.fixture
def deleted(maker, account, wanted, platform):
    """A maker that was deleted `age_ms` ago, by what is there of it."""

    def make(age_ms=0, replicas=None, job=None, job_age_ms=0, finalizers=(OURS,), by="uid-btcusdt", **changes):
        meta = {"_deletionTimestamp": written(NOW_MS - age_ms), "_finalizers": list(finalizers)}
        one = maker(**meta, **changes.pop("spec", {}))
        live = None
        if replicas is not None:
            manifest = children.deployment(one, wanted(one), "aaaaaaaaaa", platform)
            manifest["spec"]["replicas"] = replicas
            manifest["metadata"]["uid"] = "uid-deployment"
            live = child(manifest)
        if job is not None:
            manifest = children.withdraw_job(one, wanted(one), "aaaaaaaaaa", platform)
            manifest["metadata"] |= {"uid": "uid-job", "creationTimestamp": written(NOW_MS - job_age_ms)}
            manifest["metadata"]["ownerReferences"][0]["uid"] = by
            status = {"conditions": [{"type": job, "status": "True"}]} if job else {}
            changes["job"] = child({**manifest, "status": status})
        return MakerFacts(one, changes.pop("account", account()), NOW_MS, deployment=live, **changes)

    return make


STAGES = [
    pytest.param({"finalizers": ()}, Stage.GONE, id="without our finalizer nothing is ours"),
    pytest.param({"replicas": 1, "pods": (POD,)}, Stage.SCALING, id="first to zero"),
    pytest.param({"replicas": 0, "pods": (POD,)}, Stage.PODS_GO, id="then the pods go"),
    pytest.param({"replicas": 0, "pods": (POD,), "age_ms": PODS_MS}, Stage.JOB_DUE, id="not for ever"),
    pytest.param({"replicas": 0}, Stage.JOB_DUE, id="then a Job"),
    pytest.param({}, Stage.JOB_DUE, id="also where the Deployment is gone"),
    pytest.param({"age_ms": 10 * LONGEST_MS}, Stage.JOB_DUE, id="also by an operator that was away for long"),
    pytest.param({"job": ""}, Stage.JOB_RUNS, id="which runs"),
    pytest.param({"job": "", "job_age_ms": LONGEST_MS}, Stage.TIME_OVER, id="not for ever"),
    pytest.param({"job": "Complete"}, Stage.WITHDRAWN, id="and succeeds"),
    pytest.param({"job": "Failed"}, Stage.FAILED, id="or fails"),
    pytest.param({"job": "Complete", "by": "another"}, Stage.JOB_DUE, id="a Job of an earlier maker is not ours"),
    pytest.param({"older_twin": "elder"}, Stage.NOT_OURS, id="not beside an older maker of the symbol"),
    pytest.param({"elder": "desk/elder"}, Stage.NOT_OURS, id="nor beside one of an older account that is the same"),
    pytest.param({"account": None}, Stage.NO_JOB_POSSIBLE, id="without the account there is no key"),
    pytest.param({"foreign": ("Job btcusdt-withdraw",)}, Stage.NO_JOB_POSSIBLE, id="the Job's name is taken"),
    pytest.param({"fault": "forbidden"}, Stage.JOB_DUE, id="what the API server refuses is tried again"),
    pytest.param({"fault": "forbidden", "age_ms": LONGEST_MS}, Stage.TIME_OVER, id="and not for ever"),
    pytest.param({"namespace_terminating": True}, Stage.NAMESPACE_ENDS, id="in a namespace that ends there is no Job"),
    pytest.param(
        {"namespace_terminating": True, "replicas": 1},
        Stage.SCALING,
        id="first its pods, there too",
    ),
]


@pytest.mark.parametrize(("there", "stage"), STAGES)
def test_a_deletion_is_as_far_as_what_is_there_says(deleted, wanted, there, stage):
    facts = deleted(**there)
    content = None if facts.account is None else wanted(facts.maker, facts.account)
    assert progress(facts, content).stage is stage


@pytest.mark.parametrize(
    ("there", "lets_go"),
    [
        ({"replicas": 1}, False),
        ({"pods": (POD,)}, False),
        ({}, False),
        ({"job": ""}, False),
        ({"job": "Complete"}, True),
        ({"job": "Failed"}, True),
        ({"account": None}, True),
        ({"namespace_terminating": True}, True),
    ],
)
def test_the_finalizer_goes_when_nothing_more_can_be_done_and_not_before(deleted, platform, there, lets_go):
    plan = plan_maker(deleted(**there), platform)
    assert (plan.remove_finalizer is not None) is lets_go
    assert plan.add_finalizer is None


def test_what_is_told_of_a_withdraw_job_that_failed_are_its_own_last_words(deleted, platform):
    plan = plan_maker(deleted(job="Failed", job_pods=(SPOKE,)), platform)
    (event,) = plan.events
    assert event.reason is EventReason.NOT_WITHDRAWN
    assert event.type == "Warning"
    assert "2 orders may rest" in event.message


@pytest.mark.parametrize(
    ("on_delete", "arguments"), [("Withdraw", ["--withdraw"]), ("Flatten", ["--withdraw", "--flatten"])]
)
def test_the_job_closes_the_position_only_where_that_was_asked_for(deleted, platform, on_delete, arguments):
    plan = plan_maker(deleted(spec={"onDelete": on_delete}), platform)
    job = plan.apply[-1].manifest
    container = job["spec"]["template"]["spec"]["containers"][0]
    assert container["args"][-len(arguments) :] == arguments
    assert ("--flatten" in container["args"]) is (on_delete == "Flatten")


def test_that_a_position_stays_open_in_a_namespace_that_ends_is_told(deleted, platform):
    plan = plan_maker(deleted(spec={"onDelete": "Flatten"}, namespace_terminating=True), platform)
    assert plan.events[-1].message.endswith("onDelete: Flatten was not honoured")


def test_the_job_reads_the_parameters_that_the_pods_traded_with(deleted, wanted, maker, platform):
    older = child(children.config_map(maker(), "aaaaaaaaaa", wanted().data, platform))
    plan = plan_maker(deleted(replicas=0, config_maps=(older,)), platform)
    (apply,) = plan.apply
    volumes = {each["name"]: each for each in apply.manifest["spec"]["template"]["spec"]["volumes"]}
    assert volumes["resolved"]["configMap"]["name"] == "btcusdt-aaaaaaaaaa"


def test_a_maker_that_is_deleted_is_told_to_be_on_its_way(deleted, platform):
    plan = plan_maker(deleted(replicas=1, pods=(POD,)), platform)
    ready = next(each for each in plan.status.conditions if each.type == "Ready")
    assert plan.situation is Situation.DELETING
    assert (ready.status, ready.reason) == ("False", "Withdrawing")


def test_an_annotation_that_disables_reconciling_does_not_hold_a_deletion_up(deleted, platform):
    facts = deleted(replicas=1)
    meta = msgspec.structs.replace(facts.maker.meta, annotations={"phoenix.trading/reconcile": "disabled"})
    facts = msgspec.structs.replace(facts, maker=msgspec.structs.replace(facts.maker, meta=meta))
    assert plan_maker(facts, platform).scale[0].replicas == 0
