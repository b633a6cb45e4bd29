"""What is ours is put right, what is not is left alone, and who keeps changing it is named."""

import time

import pytest
from operator_process import until

CONTAINER = ("spec", "template", "spec", "containers", 0)

pytestmark = pytest.mark.timeout(240)  # the first test starts the API server


def _image(deployment: dict) -> str:
    return deployment["spec"]["template"]["spec"]["containers"][0]["image"]


def test_a_field_that_somebody_changes_is_put_right(place):
    place.apply_account()
    place.apply_maker()
    place.until_ready()

    place.server.kubectl("scale", "-n", place.namespace, "deployment/btcusdt", "--replicas=3")

    until("one replica again", lambda: place.get("deployment", "btcusdt")["spec"]["replicas"] == 1)
    until("an Event says which", lambda: place.events("btcusdt", "Corrected"))
    assert "spec.replicas is 3, wished 1" in place.events("btcusdt", "Corrected")[0]


def test_a_child_that_somebody_deletes_is_made_again(place):
    place.apply_account()
    place.apply_maker()
    place.until_ready()
    before = place.get("deployment", "btcusdt")["metadata"]["uid"]
    config_map = f"btcusdt-{place.get('maker', 'btcusdt')['status']['templateHash']}"

    place.delete("configmap", config_map)
    place.delete("deployment", "btcusdt")

    until("the ConfigMap is there again", lambda: place.get("configmap", config_map))
    until(
        "another Deployment",
        lambda: place.get("deployment", "btcusdt").get("metadata", {}).get("uid") not in {None, before},
    )


def test_foreign_fields_stay(place):
    place.apply_account()
    place.apply_maker()
    place.until_ready()
    change = {
        "metadata": {"annotations": {"example.com/owner": "desk"}, "labels": {"example.com/team": "fast"}},
        "spec": {"minReadySeconds": 3},
    }
    place.patch("deployment", "btcusdt", change).expect()

    place.patch("maker", "btcusdt", {"spec": {"standby": True}}).expect()

    until("our own field", lambda: place.get("deployment", "btcusdt")["spec"]["replicas"] == 2)
    live = place.get("deployment", "btcusdt")
    assert live["metadata"]["annotations"]["example.com/owner"] == "desk"
    assert live["metadata"]["labels"]["example.com/team"] == "fast"
    assert live["spec"]["minReadySeconds"] == 3
    until("a budget for two pods", lambda: place.get("budget", "btcusdt"))


def test_what_is_wished_no_longer_is_removed(place):
    place.apply_account()
    place.apply_maker(standby=True)
    place.until_ready()
    assert place.get("budget", "btcusdt")

    place.patch("maker", "btcusdt", {"spec": {"standby": False}}).expect()

    until("no budget", lambda: not place.get("budget", "btcusdt"))
    until("one replica", lambda: place.get("deployment", "btcusdt")["spec"]["replicas"] == 1)


def test_who_fights_for_a_field_is_named_and_corrected_ever_more_seldom(place):
    place.apply_account()
    place.apply_maker()
    place.until_ready()
    path = place.path("deployment", "btcusdt")
    meant = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "btcusdt"}, "spec": {"replicas": 5}}

    def is_named() -> bool:
        place.server.admin.apply(path, meant, "vertical-scaler", force="true").expect()
        time.sleep(0.2)
        return bool(place.events("btcusdt", "FieldFight"))

    until("the fight is told", is_named)
    assert "vertical-scaler" in place.events("btcusdt", "FieldFight")[0]
    corrections = place.writes().count(("patch", "deployments"))
    for _ in range(10):
        is_named()
    assert place.writes().count(("patch", "deployments")) <= corrections + 1


def test_a_name_that_is_taken_is_not_taken_over(place):
    """A Deployment of that name which is somebody else's keeps its pods; the maker says what to do."""
    labels = {"app": "other"}
    other = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "btcusdt"},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "x", "image": "x"}]}},
        },
    }
    place.server.admin.create(place.path("deployment"), other).expect()
    before = place.get("deployment", "btcusdt")["spec"]
    place.apply_account()
    place.apply_maker()
    place.apply_maker("ethusdt")

    told = place.until_condition("maker", "btcusdt", "Ready", "ChildNotOurs", "False")

    assert "Deployment btcusdt" in told["message"]
    assert place.get("deployment", "btcusdt")["spec"] == before
    place.until_ready("ethusdt")  # the others go on


def test_reconcile_disabled_leaves_children_as_they_are_until_it_is_removed(place):
    place.apply_account()
    place.apply_maker()
    place.until_ready()
    key = "phoenix.trading/reconcile"
    place.patch("maker", "btcusdt", {"metadata": {"annotations": {key: "disabled"}}}).expect()
    place.until_condition("maker", "btcusdt", "Ready", "ReconcileDisabled")

    place.server.kubectl("scale", "-n", place.namespace, "deployment/btcusdt", "--replicas=0")
    time.sleep(1)
    assert place.get("deployment", "btcusdt")["spec"]["replicas"] == 0

    place.patch("maker", "btcusdt", {"metadata": {"annotations": {key: None}}}).expect()
    until("one replica again", lambda: place.get("deployment", "btcusdt")["spec"]["replicas"] == 1)
