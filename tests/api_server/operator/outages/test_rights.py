"""The rights that deploy/ grants are enough, none of them is idle, and one that is missing is named."""

import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from api_server import ROOT, ApiServer
from operator_place import Place
from operator_process import OperatorProcess, grant, role_of, until
from phoenix_coordination.state import Reason
from played_cluster import PlayedCluster

pytestmark = pytest.mark.timeout(240)  # the first test starts the API server

STALE = {"ready": False, "reason": Reason.PRICE_STALE, "reasons_not_ready": [Reason.PRICE_STALE]}


def _granted() -> set[tuple[str, str, str]]:
    """(group, resource with its subresource, verb) of everything that the installation grants."""
    found = set()
    for file in ("makers/access.yaml", "operator/access.yaml"):
        for document in yaml.safe_load_all((ROOT / "deploy" / file).read_text()):
            for rule in (document or {}).get("rules", []):
                found |= {
                    (group, resource, verb)
                    for group in rule["apiGroups"]
                    for resource in rule["resources"]
                    for verb in rule["verbs"]
                }
    return found


def _used(server: ApiServer, user: str) -> set[tuple[str, str, str]]:
    """A server-side apply that makes something needs `create`, too, and is told as a patch."""
    found = set()
    for entry in server.audit():
        what = entry.get("objectRef") or {}
        if entry["user"]["username"] != user or not 200 <= entry["responseStatus"]["code"] < 300:
            continue
        sub = f"/{what['subresource']}" if "subresource" in what else ""
        name = (what.get("apiGroup", ""), f"{what['resource']}{sub}")
        found.add((*name, entry["verb"]))
        if entry["verb"] == "patch" and entry["responseStatus"]["code"] == 201:
            found.add((*name, "create"))
    return found


def _end_the_namespace(place: Place) -> None:
    """As the namespace controller does: rights and children go in the same pass, and what has a finalizer stays. Fails
    where a finalizer of ours keeps it.
    """
    place.apply_account()
    place.apply_maker()
    place.until_ready()
    admin, namespace = place.server.admin, place.namespace
    admin.delete(f"/api/v1/namespaces/{namespace}").expect()
    admin.delete(role_of(namespace)).expect()
    place.delete("deployment", "btcusdt")
    for pod in place.pods():
        place.delete("pod", pod)
    place.delete("maker", "btcusdt")
    place.delete("account", "default")
    until("nothing of ours keeps the namespace", lambda: not place.all("maker") and not place.all("account"), 90)


def test_each_verb_that_is_granted_is_used_in_the_life_of_a_maker(own_place, operator):
    place = own_place
    one = operator([place.namespace]).start().until_leading()
    standby = operator([place.namespace], lease=one.lease).start()
    place.apply_account()
    place.apply_maker(standby=True, restartAfter="10s")
    place.apply_maker("ethusdt")
    place.apply_maker("solusdt")
    place.until_ready()
    place.patch("budget", "btcusdt", {"spec": {"minAvailable": 2}}).expect()
    until("the budget is put right", lambda: place.get("budget", "btcusdt")["spec"]["minAvailable"] == 1)
    place.patch("maker", "btcusdt", {"spec": {"standby": False, "minSpreadBps": 9}}).expect()
    until("no budget", lambda: not place.get("budget", "btcusdt"))
    makers = ("btcusdt", "ethusdt", "solusdt")
    for share in ("0.7", "0.6", "0.5"):  # the third template makes the first one's ConfigMap superfluous
        before = {maker: _template(place, maker) for maker in makers}
        place.patch("account", "default", {"spec": {"budgets": {"orderShare": share}}}).expect()
        for maker in makers:
            until(
                f"{maker} has rolled", lambda maker=maker, old=before[maker]: _template(place, maker) not in {"", old}
            )
            until("one pod is left", lambda maker=maker: len(place.pods(maker)) == 1)
            place.until_ready(maker)
    _leave_a_job(place)
    until("a Job that nobody asked for is gone", lambda: not place.get("job", "btcusdt-withdraw"))
    (stale,) = place.pods()
    place.cluster.told["btcusdt"] = STALE
    until("another pod", lambda: place.pods() and stale not in place.pods())
    place.cluster.told.clear()
    for maker in makers:
        place.delete("maker", maker)
    place.delete("account", "default")
    until("all are gone", lambda: not place.all("maker") and not place.all("account"))
    until("the standby has asked for the canary", lambda: standby.get("/livez")[0] == 200)
    _end_the_namespace(place)
    time.sleep(2)

    idle = _granted() - _used(place.server, place.user)

    # One and the same Event again within minutes is a series: too seldom to be made to happen here.
    assert idle <= {("events.k8s.io", "events", "patch")}


def _leave_a_job(place: Place) -> None:
    """As of a deletion that was given up: one that runs while the maker trades would take its orders away."""
    labels = {
        "app.kubernetes.io/name": "phoenix",
        "app.kubernetes.io/managed-by": "phoenix-operator",
        "phoenix.trading/maker": "btcusdt",
    }
    pod = {"restartPolicy": "Never", "containers": [{"name": "worker", "image": "phoenix:dev"}]}
    spec = {"suspend": True, "template": {"spec": pod}}
    maker = place.get("maker", "btcusdt")
    owner = {"name": "btcusdt", "uid": maker["metadata"]["uid"], "controller": True, "blockOwnerDeletion": True}
    owners = [owner | {"apiVersion": maker["apiVersion"], "kind": maker["kind"]}]
    manifest = {"metadata": {"name": "btcusdt-withdraw", "labels": labels, "ownerReferences": owners}, "spec": spec}
    place.server.admin.create(place.path("job"), manifest).expect()


def _template(place: Place, maker: str) -> str:
    """Of the pods that the Deployment makes."""
    template = place.get("deployment", maker).get("spec", {}).get("template", {})
    return template.get("metadata", {}).get("labels", {}).get("phoenix.trading/template", "")


@pytest.mark.parametrize(
    ("resource", "verb"),
    [
        ("deployments", "create"),
        ("configmaps", "patch"),
    ],
)
def test_a_missing_verb_is_named_and_once_granted_everything_goes_on(own_place, operator, resource, verb):
    place = own_place
    operator([place.namespace]).start().until_leading()
    _without(place, resource, verb)

    place.apply_account()
    place.apply_maker()

    told = place.until_condition("maker", "btcusdt", "Ready", "ApiRefused", "False")
    assert f"grant the verb {verb} on {resource}" in told["message"]
    assert place.namespace in told["message"]
    grant(place.server, place.user, [place.namespace])
    place.until_ready(within_s=90)


@pytest.mark.parametrize(
    ("name", "resource"), [("btcusdt", "marketmakers/status"), ("default", "tradingaccounts/status")]
)
def test_where_not_even_the_status_may_be_written_an_event_names_the_verb(own_place, operator, name, resource):
    place = own_place
    operator([place.namespace]).start().until_leading()
    _without(place, resource, "patch")

    place.apply_account()
    place.apply_maker()

    (note, *_) = until("an Event says so", lambda: place.events(name, "ApiRefused"))
    assert f"grant the verb patch on {resource}" in note
    grant(place.server, place.user, [place.namespace])
    place.until_ready(within_s=90)


EVERYWHERE = "/apis/rbac.authorization.k8s.io/v1/clusterroles/phoenix-operator-finalizers"


def _without(place: Place, resource: str, verb: str) -> None:
    """Neither there nor by what is granted everywhere; `grant` gives both back."""
    for path in (role_of(place.namespace), EVERYWHERE):
        role: dict[str, Any] = place.server.admin.get(path).expect()
        rules = []
        for rule in role["rules"]:
            others = [each for each in rule["resources"] if each != resource]
            rest = [each for each in rule["verbs"] if each != verb]
            rules += [rule | {"resources": others}] if others else []
            is_meant = len(others) < len(rule["resources"])
            rules += [rule | {"resources": [resource], "verbs": rest}] if rest and is_meant else []
        place.server.admin.merge(path, {"rules": rules}).expect()


def test_a_namespace_without_rights_is_named_and_the_others_go_on(own_place, api_server: ApiServer, operator):
    place = own_place
    closed = api_server.namespace("closed")
    one = operator([place.namespace, closed]).start().until_leading()

    place.apply_account()
    place.apply_maker()

    place.until_ready()
    status, text = one.get("/readyz")
    assert status == 503
    assert f"namespace {closed}" in text
    assert "list and watch on deployments.apps" in text


def test_a_namespace_that_is_not_there_is_told_keeps_nobody_unready_and_is_watched_once_it_comes(
    own_place, api_server: ApiServer, operator, redis_url: str
):
    """As after `kubectl delete namespace`: else no operator could be replaced or drained any more."""
    coming = f"{own_place.namespace}-coming"
    one = operator([own_place.namespace, coming]).start().until_leading()

    until("ready", lambda: one.get("/readyz")[0] == 200)
    assert one.state()["absent"] == coming
    assert "phoenix_operator_watch_problem 1.0" in one.get("/metrics")[1]

    api_server.admin.create("/api/v1/namespaces", {"metadata": {"name": coming}}).expect()
    grant(api_server, one.user, [coming])
    place = Place(api_server, coming, one.user, redis_url)
    place.apply_account()
    place.apply_maker()
    until("a Deployment", lambda: place.get("deployment", "btcusdt"))
    assert one.state()["absent"] == ""
    assert one.get("/readyz")[0] == 200


def test_without_our_definitions_it_says_what_to_apply_and_waits(tmp_path: Path):
    with ApiServer.started() as server:
        namespace = server.namespace("own")
        grant(server, "operator", [namespace])
        with OperatorProcess(server, tmp_path, [namespace]) as one:
            one.start()
            until("it says so", lambda: "kubectl apply -f crds/" in one.get("/readyz")[1])
            assert one.get("/livez")[0] == 200
            server.install_crds()
            one.until_leading()
            place = Place(server, namespace, "operator", "")
            place.cluster = PlayedCluster(server, namespace, "").start()
            place.apply_account()
            place.apply_maker()
            until("a Deployment", lambda: place.get("deployment", "btcusdt"))
            place.cluster.close()


def test_definitions_that_are_taken_away_and_applied_again_are_watched_again(tmp_path: Path):
    with ApiServer.started() as server:
        server.install_crds()
        namespace = server.namespace("own")
        grant(server, "operator", [namespace])
        with OperatorProcess(server, tmp_path, [namespace]) as one:
            one.start().until_leading()
            until("ready", lambda: one.get("/readyz")[0] == 200)
            server.kubectl("delete", "-f", str(ROOT / "crds"), "--timeout=30s")
            until("it says so", lambda: "kubectl apply -f crds/" in one.get("/readyz")[1])
            server.install_crds()
            until("ready again", lambda: one.get("/readyz")[0] == 200)
            place = Place(server, namespace, "operator", "")
            time.sleep(15)  # past the list with which every watch begins
            place.apply_account()
            place.apply_maker()
            until("a Deployment", lambda: place.get("deployment", "btcusdt"))
