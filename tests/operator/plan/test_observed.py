import pytest
from manifests_of import maker_manifest
from phoenix_operator.names import Annotation, Component, Label
from phoenix_operator.plan.facts import JobState
from phoenix_operator.plan.observed import (
    child,
    job_state,
    maker_resource,
    meta_of,
    older_account,
    older_twin,
    pod_fact,
)


def pod(state=None, last=None, phase="Running", conditions=(), restarts=0, **meta):
    container = {"name": "worker", "state": state or {}, "lastState": last or {}, "restartCount": restarts}
    sidecar = {"name": "mesh", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    labels = {Label.COMPONENT.value: "worker", Label.TEMPLATE.value: "aaaa"}
    return pod_fact(
        {
            "metadata": {"name": "p", "uid": "u", "labels": labels, **meta},
            "status": {"phase": phase, "containerStatuses": [sidecar, container], "conditions": list(conditions)},
        }
    )


def test_a_pod_is_read_by_our_container_alone():
    seen = pod({"running": {}}, conditions=[{"type": "Ready", "status": "True"}])
    assert (seen.running, seen.ready, seen.waiting_reason, seen.template) == (True, True, "", "aaaa")


@pytest.mark.parametrize(
    ("seen", "field", "value"),
    [
        pytest.param(
            pod({"waiting": {"reason": "ImagePullBackOff"}}), "waiting_reason", "ImagePullBackOff", id="waits"
        ),
        pytest.param(pod({"terminated": {"message": "no key\n"}}), "last_words", "no key", id="has ended"),
        pytest.param(pod({"waiting": {}}, {"terminated": {"message": "a"}}), "last_words", "a", id="has ended before"),
        pytest.param(pod(phase="Failed"), "finished", True, id="failed"),
        pytest.param(pod(phase="Succeeded"), "finished", True, id="succeeded"),
        pytest.param(pod(deletionTimestamp="2026-01-31T08:00:00Z"), "deleting", True, id="is deleted"),
        pytest.param(
            pod(conditions=[{"type": "PodScheduled", "status": "False", "message": "0/3 nodes"}]),
            "unschedulable",
            "0/3 nodes",
            id="has no node",
        ),
        pytest.param(pod(annotations={Annotation.NUDGE.value: "x.1.2"}), "nudge", "x.1.2", id="was nudged"),
        pytest.param(pod(labels={}), "component", Component.WORKER, id="without labels it counts as a worker"),
        pytest.param(
            pod(labels={Label.COMPONENT.value: "withdraw"}), "component", Component.WITHDRAW, id="of a withdraw Job"
        ),
    ],
)
def test_what_a_pod_tells_is_read_from_its_status(seen, field, value):
    assert getattr(seen, field) == value


def test_a_pod_that_was_just_made_has_no_status_yet():
    seen = pod_fact({"metadata": {"name": "p", "uid": "u"}})
    assert (seen.running, seen.ready, seen.finished) == (False, False, False)


@pytest.mark.parametrize(
    ("conditions", "state"),
    [
        ([], JobState.RUNNING),
        ([{"type": "Complete", "status": "True"}], JobState.SUCCEEDED),
        ([{"type": "SuccessCriteriaMet", "status": "True"}], JobState.SUCCEEDED),
        ([{"type": "Failed", "status": "True"}], JobState.FAILED),
        ([{"type": "FailureTarget", "status": "True"}], JobState.FAILED),
        ([{"type": "Complete", "status": "False"}, {"type": "Suspended", "status": "True"}], JobState.RUNNING),
    ],
)
def test_a_job_has_come_to_the_end_that_its_conditions_say(conditions, state):
    assert job_state(child({"metadata": {"name": "j"}, "status": {"conditions": conditions}})) is state


def test_only_the_controlling_owner_is_the_controller():
    owners = [{"uid": "a"}, {"uid": "b", "controller": True}]
    assert meta_of({"metadata": {"name": "x", "ownerReferences": owners}}).controller_uid == "b"


def test_a_spec_is_validated_once_for_each_generation(maker):
    first = maker()
    manifest = maker_manifest()
    manifest["metadata"] |= {"uid": "uid-btcusdt", "generation": 1, "resourceVersion": "9"}
    again = maker_resource(manifest | {"status": {"pod": "p"}}, first)
    assert again.spec is first.spec
    assert (again.status.pod, again.meta.resource_version) == ("p", "9")
    manifest["metadata"]["generation"] = 2
    assert maker_resource(manifest, first).spec is not first.spec


def test_a_maker_that_was_made_anew_under_its_name_is_another_one(maker):
    manifest = maker_manifest()
    manifest["metadata"] |= {"uid": "another", "generation": 1}
    assert maker_resource(manifest, maker()).spec is not maker().spec


@pytest.mark.parametrize(
    "status", [{"conditions": "none"}, {"restarts": {"count": -1}}, {"figures": {"position": 0.1}}]
)
def test_a_status_that_nobody_can_read_does_not_make_a_maker_invalid(maker, status):
    seen = maker(status=status)
    assert seen.spec is not None
    assert seen.status.conditions == ()


def test_what_is_wrong_with_a_spec_is_said_with_what_to_do(maker):
    seen = maker(netMax=0.1, guards={"pin": "0.5"})
    assert seen.spec is None
    assert 'spec.netMax: 0.1 is a float, whose digits are not exact (put it in quotes: "0.1")' in seen.problem
    assert "did you mean pinRatio?" in seen.problem


AGES = [
    pytest.param(("08:00:00", "b"), ("08:00:01", "a"), True, id="a second older"),
    pytest.param(("08:00:00", "a"), ("08:00:00", "b"), True, id="of one second the lower UID"),
    pytest.param(("08:00:01", "a"), ("08:00:00", "b"), False, id="a second younger"),
]


@pytest.mark.parametrize(("other", "own", "is_older"), AGES)
def test_of_two_makers_exactly_one_is_the_older(maker, other, own, is_older):
    def made(name, at, uid, **spec):
        return maker(name, _creationTimestamp=f"2026-01-31T{at}Z", _uid=uid, **spec)

    one, two = made("other", *other), made("own", *own)
    assert older_twin(two, [one, two]) == ("other" if is_older else "")
    assert older_twin(one, [one, two]) == ("" if is_older else "own")
    assert older_twin(two, [made("other", *other, symbol="ETHUSDT")]) == ""
    assert older_twin(two, [made("other", *other, accountRef="second")]) == ""


def test_of_two_accounts_with_one_identity_the_younger_knows_the_older(account):
    known = {"identity": "usdm/x"}
    elder = account(known, _uid="a", _creationTimestamp="2026-01-31T08:00:00Z")
    younger = account(known, _uid="b", _creationTimestamp="2026-01-31T09:00:00Z", _namespace="desk")
    assert older_account(younger, "usdm/x", [elder, younger]) == "trading/default"
    assert older_account(elder, "usdm/x", [elder, younger]) == ""
    assert older_account(younger, "", [elder, younger]) == ""
