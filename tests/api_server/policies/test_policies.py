"""What it takes to trade, to name a key and to raise a limit, as a real API server judges people with and without it.

The objects are those of deploy/: policies as they are installed, roles as they are bound.
"""

import copy
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from api_client import Answer, ApiClient
from api_server import ApiServer

ROOT = Path(__file__).resolve().parents[3]
GROUP = "/apis/phoenix.trading/v1alpha1"
HEARD_OF_WITHIN_S = 30.0
LOOK_S = 0.05
AT = "2026-01-02T03:04:05Z"
EVERYBODY = ("phoenix-viewer", "phoenix-editor")
Object = dict[str, Any]


def example(path: str, **spec: Any) -> Object:
    """A manifest of configs/, without its namespace, `spec` over its own."""
    manifest: Object = yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))
    manifest["metadata"].pop("namespace", None)
    manifest["spec"] |= spec
    return manifest


def maker(**spec: Any) -> Object:
    return example("configs/cluster/btcusdt.yaml", **spec)


def account(**spec: Any) -> Object:
    return example("configs/cluster/account.yaml", **spec)


def until(look: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + HEARD_OF_WITHIN_S
    while not look():
        assert time.monotonic() < deadline, f"not within {HEARD_OF_WITHIN_S:g} s: {what}"
        time.sleep(LOOK_S)


class Desk:
    """A namespace, and people with roles in it."""

    def __init__(self, server: ApiServer) -> None:
        self.server = server
        self.namespace = server.namespace("desk")
        self._clients: dict[str, ApiClient] = {}

    def client(self, user: str) -> ApiClient:
        if user not in self._clients:
            self._clients[user] = self.server.client(user)
        return self._clients[user]

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    def grant(self, user: str, *roles: str) -> None:
        for role in roles:
            self.bind(user, "ClusterRole", role)

    def grant_on(self, user: str, verb: str, resource: str, name: str, group: str = "phoenix.trading") -> None:
        """A right on one object, which no role of ours has."""
        role = f"{user}-{verb}-{name}"
        rule = {"apiGroups": [group], "resources": [resource], "resourceNames": [name], "verbs": [verb]}
        path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{self.namespace}/roles"
        self.server.admin.create(path, {"metadata": {"name": role}, "rules": [rule]}).expect()
        self.bind(user, "Role", role)
        self.until_allowed(user, verb, resource, name, group)

    def until_allowed(self, user: str, verb: str, resource: str, name: str, group: str = "phoenix.trading") -> None:
        """The server's authorizer hears of a binding a moment later."""
        attributes = {"namespace": self.namespace, "verb": verb, "group": group, "resource": resource, "name": name}
        review = {"spec": {"user": user, "resourceAttributes": attributes}}
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        until(lambda: self.server.admin.create(path, review).expect()["status"]["allowed"], f"{user} may {verb} {name}")

    def bind(self, user: str, kind: str, role: str) -> None:
        path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{self.namespace}/rolebindings"
        group = "rbac.authorization.k8s.io"
        binding = {
            "metadata": {"name": f"{user}-{role}"},
            "roleRef": {"apiGroup": group, "kind": kind, "name": role},
            "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
        }
        self.server.admin.create(path, binding).expect()

    def path(self, manifest: Object) -> str:
        plural = {"MarketMaker": "marketmakers", "TradingAccount": "tradingaccounts"}[manifest["kind"]]
        return f"{GROUP}/namespaces/{self.namespace}/{plural}"

    def create(self, user: str, manifest: Object, **query: str) -> Answer:
        return self.client(user).create(self.path(manifest), manifest, **query)

    def change(self, user: str, manifest: Object, **spec: Any) -> Answer:
        """A merge patch of the spec."""
        path = f"{self.path(manifest)}/{manifest['metadata']['name']}"
        return self.client(user).merge(path, {"spec": spec})


def _refuses(write: Callable[..., Answer], path: str, written: Object, policy: str) -> bool:
    return policy in write(path, written, dryRun="All").message


@pytest.fixture(scope="module")
def policed(api_server: ApiServer) -> ApiServer:
    """The server with the definitions, roles and policies of an installation, once the policies are in force."""
    for part in ("people", "policies"):
        api_server.kubectl("apply", "-k", str(ROOT / "deploy" / part))
    probe = Desk(api_server)
    probe.grant("probe", *EVERYBODY)
    probe.grant("risky-probe", *EVERYBODY, "phoenix-risk-officer")
    keyless = account()
    del keyless["spec"]["credentialsSecretRef"]
    for user, manifest, policy in (
        ("probe", maker(), "phoenix-live-needs-trade"),
        ("probe", keyless, "phoenix-limits-need-limit"),
        ("risky-probe", account(), "phoenix-secret-needs-get"),
    ):
        client, path = probe.client(user), probe.path(manifest)
        in_force = partial(_refuses, client.create, path, manifest, policy)
        until(in_force, f"{policy} is in force")
    api_server.admin.create(probe.path(account()), account()).expect()
    path, milder = f"{probe.path(account())}/default", {"spec": {"settings": {"leverage": 5}}}
    in_force = partial(_refuses, probe.client("probe").merge, path, milder, "phoenix-account-needs-trade")
    until(in_force, "phoenix-account-needs-trade is in force")
    probe.close()
    return api_server


@pytest.fixture
def desk(policed: ApiServer) -> Iterator[Desk]:
    desk = Desk(policed)
    for user in ("editor", "trader", "risk", "keeper"):
        desk.grant(user, *EVERYBODY)
    desk.grant("trader", "phoenix-trader")
    desk.grant("risk", "phoenix-risk-officer")
    desk.grant("keeper", "phoenix-risk-officer")
    desk.grant_on("keeper", "get", "secrets", "simulator-key", group="")
    desk.until_allowed("trader", "trade", "tradingaccounts", "default")
    desk.until_allowed("risk", "limit", "tradingaccounts", "default")
    for user in ("editor", "trader", "risk", "keeper"):
        desk.until_allowed(user, "create", "marketmakers", "")
    yield desk
    desk.close()


def refused(answer: Answer, *words: str) -> None:
    """By a policy, in words that say what to do."""
    assert answer.status == 403, (answer.status, answer.message)
    for word in ("ValidatingAdmissionPolicy", *words):
        assert word in answer.message


# ---- mode: Live ----------------------------------------------------------------------------------------------------


def test_whoever_may_write_makers_may_rehearse(desk: Desk):
    rehearsal = maker(mode="DryRun")
    desk.create("editor", rehearsal).expect()
    desk.change("editor", rehearsal, baseSize="0.005").expect()


def test_a_maker_goes_live_by_who_may_trade(desk: Desk):
    told = desk.create("editor", maker())
    refused(told, 'needs the verb "trade" on the account "default"', "leave mode at DryRun", "phoenix-trader", "editor")
    desk.create("trader", maker()).expect()


def test_what_has_no_mode_is_a_rehearsal(desk: Desk):
    """The default of the definition, and not a hole in the policy."""
    silent = maker()
    del silent["spec"]["mode"]
    assert desk.create("editor", silent).expect()["spec"]["mode"] == "DryRun"


@pytest.mark.parametrize(
    ("change", "allowed"),
    [
        pytest.param({"mode": "DryRun"}, True, id="back to a rehearsal"),
        pytest.param({"paused": True}, True, id="paused"),
        pytest.param({"paused": True, "netMax": "0.15"}, False, id="paused with more beside it"),
        pytest.param({"netMax": "0.15"}, False, id="a limit"),
        pytest.param({"minSpreadBps": 5}, False, id="a spread"),
        pytest.param(
            {"ramp": {"stages": [{"capital": 100, "minTime": "1h", "lossMax": 10}]}},
            False,
            id="a field that was not there",
        ),
        pytest.param({"edgeBps": None}, False, id="a field less"),
    ],
)
def test_a_live_maker_is_changed_by_who_may_trade_but_for_taking_quotes_out(desk: Desk, change, allowed):
    desk.create("trader", maker()).expect()
    answer = desk.change("editor", maker(), **change)
    if allowed:
        answer.expect()
    else:
        refused(answer, 'needs the verb "trade"')


def test_what_was_paused_goes_on_by_who_may_trade(desk: Desk):
    desk.create("trader", maker(paused=True)).expect()
    refused(desk.change("editor", maker(), paused=False), "trade")
    desk.change("trader", maker(), paused=False).expect()


def test_a_rehearsal_goes_live_by_who_may_trade(desk: Desk):
    desk.create("editor", maker(mode="DryRun")).expect()
    refused(desk.change("editor", maker(), mode="Live"), "trade")
    desk.change("trader", maker(), mode="Live").expect()


def test_labels_finalizers_and_deleting_need_no_right_to_trade(desk: Desk):
    desk.create("trader", maker()).expect()
    path = f"{desk.path(maker())}/btcusdt"
    client = desk.client("editor")
    client.merge(path, {"metadata": {"labels": {"team": "one"}, "finalizers": ["example.com/x"]}}).expect()
    client.merge(path, {"metadata": {"finalizers": None}}).expect()
    client.delete(path).expect()


def test_who_may_trade_one_account_may_not_trade_another(desk: Desk):
    desk.grant_on("one", "trade", "tradingaccounts", "default")
    desk.grant("one", *EVERYBODY)
    desk.create("one", maker()).expect()
    other = maker(accountRef="other", symbol="ETHUSDT") | {"metadata": {"name": "ethusdt"}}
    refused(desk.create("one", other), 'the account "other"')


# ---- the key -------------------------------------------------------------------------------------------------------


def test_a_secret_is_named_by_who_may_read_it(desk: Desk):
    refused(desk.create("risk", account()), 'naming the Secret "simulator-key"', 'the verb "get"', "risk")
    desk.create("keeper", account()).expect()


@pytest.mark.parametrize(
    ("change", "allowed"),
    [
        pytest.param({"credentialsSecretRef": {"name": "another"}}, False, id="another Secret"),
        pytest.param({"endpoints": {"baseUrl": "http://elsewhere:9000"}}, False, id="another address for its key"),
        pytest.param({"credentialsSecretRef": None}, True, id="no Secret any more"),
        pytest.param({"emergency": "Halt"}, True, id="a stop"),
        pytest.param({"limits": {"dailyLoss": 400}}, True, id="what is not the key's"),
    ],
)
def test_an_account_that_names_a_secret_is_changed_beside_it(desk: Desk, change, allowed):
    desk.create("keeper", account()).expect()
    answer = desk.change("editor", account(), **change)
    if allowed:
        answer.expect()
    else:
        refused(answer, 'needs the verb "get"')


# ---- what live makers trade by ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        pytest.param({"emergency": "None"}, "emergency", id="a stop lifted"),
        pytest.param({"emergency": None}, "emergency", id="a stop left out"),
        pytest.param({"emergency": "Halt"}, "emergency", id="a stop made milder"),
        pytest.param({"settings": {"leverage": 5}}, "settings", id="settings at the exchange"),
        pytest.param({"budgets": {"orderShare": "0.1"}}, "budgets", id="a share of the budgets"),
        pytest.param({"egress": "another"}, "egress", id="the address it sends from"),
        pytest.param(
            {"emergency": "None", "settings": {"apply": False}}, "emergency, settings", id="each of them is named"
        ),
    ],
)
def test_what_live_makers_trade_by_is_changed_by_who_may_trade(desk: Desk, change, changed):
    desk.create("keeper", account(emergency="Flatten")).expect()
    told = desk.change("editor", account(), **change)
    refused(told, f"changing {changed} of an account", 'the verb "trade"', "phoenix-trader", "editor")
    desk.change("trader", account(), **change).expect()


@pytest.mark.parametrize("level", ["Halt", "Flatten"])
def test_an_account_is_stopped_by_whoever_may_write_it(desk: Desk, level):
    desk.create("keeper", account()).expect()
    desk.change("editor", account(), emergency=level).expect()
    desk.change("editor", account(), emergency="Flatten").expect()


# ---- the limits ----------------------------------------------------------------------------------------------------


def limits(**changes: Any) -> Object:
    return copy.deepcopy(account()["spec"]["limits"]) | changes


def test_an_account_is_made_by_who_may_set_limits(desk: Desk):
    keyless = account()
    del keyless["spec"]["credentialsSecretRef"]
    told = desk.create("editor", keyless)
    refused(told, "netNotional", "makerNetMax.BTCUSDT", 'the verb "limit"', "phoenix-risk-officer", "editor")
    desk.create("risk", keyless).expect()


@pytest.mark.parametrize(
    ("change", "raised"),
    [
        pytest.param({"netNotional": 25001}, "netNotional", id="net"),
        pytest.param({"grossNotional": "50000.01"}, "grossNotional", id="gross, written as text"),
        pytest.param({"dailyLoss": 501}, "dailyLoss", id="a day's loss"),
        pytest.param({"makerNetMax": {"BTCUSDT": "0.2001"}}, "makerNetMax.BTCUSDT", id="a symbol's"),
        pytest.param({"makerNetMax": {"XRPUSDT": "1"}}, "makerNetMax.XRPUSDT", id="a symbol more"),
        pytest.param({"dailyLoss": 400, "netNotional": 26000}, "netNotional", id="one up, one down"),
    ],
)
def test_a_limit_is_raised_by_who_may(desk: Desk, change, raised):
    desk.create("keeper", account()).expect()
    refused(desk.change("editor", account(), limits=change), f"raising limits ({raised})", 'the verb "limit"')
    desk.change("risk", account(), limits=change).expect()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"netNotional": 20000}, id="net"),
        pytest.param({"netNotional": "25000.0"}, id="the same, written otherwise"),
        pytest.param({"makerNetMax": {"BTCUSDT": "0.1"}}, id="a symbol's"),
        pytest.param({"makerNetMax": {"SOLUSDT": None}}, id="a symbol less"),
    ],
)
def test_a_limit_is_lowered_by_whoever_may_write_accounts(desk: Desk, change):
    desk.create("keeper", account()).expect()
    desk.change("editor", account(), limits=change).expect()


# ---- roles ---------------------------------------------------------------------------------------------------------


def test_a_viewer_writes_nothing(desk: Desk):
    desk.grant("viewer", "phoenix-viewer")
    assert desk.create("viewer", maker(mode="DryRun")).status == 403
    assert desk.client("viewer").get(desk.path(maker())).ok


def test_a_stop_is_asked_for_by_who_may_and_changes_no_spec(desk: Desk):
    desk.create("keeper", account()).expect()
    desk.grant("on-call", "phoenix-emergency")
    client, path = desk.client("on-call"), f"{desk.path(account())}/default"
    request = {"id": "a", "action": "Stop", "level": "Halt", "reason": "a test", "source": "on-call", "at": AT}
    client.merge(f"{path}/status", {"status": {"requests": [request]}}).expect()
    assert client.merge(path, {"spec": {"emergency": "None"}}).status == 403
    assert desk.client("editor").merge(f"{path}/status", {"status": {"requests": []}}).status == 403


def test_view_and_edit_of_kubernetes_itself_are_those_of_ours_and_trade_is_in_neither():
    roles = {
        role["metadata"]["name"]: role for role in yaml.safe_load_all((ROOT / "deploy/people/roles.yaml").read_text())
    }
    aggregated = {
        name for name, role in roles.items() if any("aggregate" in key for key in role["metadata"].get("labels", {}))
    }
    assert aggregated == {"phoenix-viewer", "phoenix-editor"}
    verbs = {verb for name in aggregated for rule in roles[name]["rules"] for verb in rule["verbs"]}
    assert verbs.isdisjoint({"trade", "limit", "*"})


# ---- what merges ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("access", ["flux/access/makers.yaml", "argocd/access.yaml"])
def test_the_account_of_a_gitops_controller_may_do_what_any_editor_may(desk: Desk, access):
    account_, *bindings = yaml.safe_load_all((ROOT / "examples/gitops" / access).read_text(encoding="utf-8"))
    controller = f"system:serviceaccount:{account_['metadata']['namespace']}:{account_['metadata']['name']}"
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{desk.namespace}/rolebindings"
    for binding in bindings:
        desk.server.admin.create(path, binding | {"metadata": {"name": binding["metadata"]["name"]}}).expect()
    desk.until_allowed(controller, "create", "marketmakers", "")
    desk.until_allowed(controller, "get", "marketmakers", "")

    desk.create(controller, maker(mode="DryRun")).expect()
    refused(desk.change(controller, maker(), mode="Live"), 'needs the verb "trade"', controller)
    refused(desk.create(controller, account()), "ValidatingAdmissionPolicy")
    for resource in ("secrets", "pods", "serviceaccounts"):
        made = desk.client(controller).create(f"/api/v1/namespaces/{desk.namespace}/{resource}", {})
        assert made.status == 403, resource

    desk.grant(controller, "phoenix-trader")
    desk.until_allowed(controller, "trade", "tradingaccounts", "default")
    desk.change(controller, maker(), mode="Live").expect()
    desk.create("keeper", account()).expect()
    refused(desk.change(controller, account(), limits={"dailyLoss": 900_000}), 'needs the verb "limit"')


def test_who_may_do_everything_is_refused_nothing(desk: Desk):
    """As a controller that applies as itself: the policies ask for verbs, and a wildcard has them all."""
    rule = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{desk.namespace}/roles"
    desk.server.admin.create(path, {"metadata": {"name": "everything"}, "rules": [rule]}).expect()
    desk.bind("controller", "Role", "everything")
    desk.until_allowed("controller", "limit", "tradingaccounts", "default")
    desk.create("controller", account()).expect()
    desk.create("controller", maker()).expect()
