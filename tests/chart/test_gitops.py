"""The examples for Argo CD and Flux: their health checks judge what the operator writes; their values are the chart's.

Argo CD's check is Lua 5.1, which Redis speaks, too; Flux's is CEL, which the API server does.
"""

import json
import time
from typing import Any

import pytest
import yaml
from api_server import ApiServer
from chart import CHART, ROOT, SYSTEM, helm
from redis_process import redis_client

GITOPS = ROOT / "examples" / "gitops"
KINDS = ("MarketMaker", "TradingAccount")


def _condition(kind: str, status: str = "True", generation: int = 2) -> dict[str, Any]:
    return {
        "type": kind,
        "status": status,
        "observedGeneration": generation,
        "reason": "X",
        "message": f"{kind}: why",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }


# conditions -> what Argo CD says; Flux: Healthy is current, Degraded failed, all else in progress
CASES = {
    "nobody has looked": ([], "Progressing"),
    "in force": ([_condition("Ready")], "Healthy"),
    "in force, and the venue is away": (
        [_condition("Ready"), _condition("VenueOutage"), _condition("Quoting", "False")],
        "Healthy",
    ),
    "on its way": ([_condition("Ready", "False"), _condition("Reconciling")], "Progressing"),
    "another generation is in force": ([_condition("Ready", generation=1)], "Progressing"),
    "refused": ([_condition("Ready", "False"), _condition("Stalled")], "Degraded"),
    "what was refused is mended": ([_condition("Stalled", generation=1)], "Progressing"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_argo_cd_judges_what_the_operator_writes(kind: str):
    text = yaml.safe_load((GITOPS / "argocd" / "health.yaml").read_text())
    script = text["data"][f"resource.customizations.health.phoenix.trading_{kind}"]
    wrapped = f"local obj = cjson.decode(ARGV[1])\nlocal function check()\n{script}\nend\nreturn cjson.encode(check())"
    with redis_client() as lua:
        for name, (conditions, wanted) in CASES.items():
            obj: dict[str, Any] = {"metadata": {"generation": 2}}
            if conditions:
                obj["status"] = {"conditions": conditions}
            told = json.loads(lua.eval(wrapped, 0, json.dumps(obj)))
            assert told["status"] == wanted, name
            assert told["message"], name


def _documents(path: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((GITOPS / path).read_text()))


def _expression(text: str) -> str:
    """Flux names the fields of the object; a policy of the API server the object."""
    return text.replace("status.conditions", "object.status.conditions").replace("metadata.", "object.metadata.")


@pytest.fixture(scope="module")
def judged(api_server: ApiServer) -> ApiServer:
    """A policy whose warning says what Flux's expressions say of a maker's status."""
    api_server.install_crds()
    (makers,) = (each for each in _documents("flux/sync.yaml") if "healthCheckExprs" in each["spec"])
    checks = {check["kind"]: check for check in makers["spec"]["healthCheckExprs"]}
    assert checks.keys() == set(KINDS)
    assert len({check["current"] for check in checks.values()}) == 1
    expressions = {name: _expression(checks["MarketMaker"][name]) for name in ("failed", "current")}
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": "flux"},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "resourceRules": [
                    {
                        "apiGroups": ["phoenix.trading"],
                        "apiVersions": ["*"],
                        "operations": ["UPDATE"],
                        "resources": ["marketmakers/status"],
                    }
                ]
            },
            "validations": [
                {"expression": f"!({text})", "message": f"flux says {name}"} for name, text in expressions.items()
            ],
        },
    }
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": "flux"},
        "spec": {"policyName": "flux", "validationActions": ["Deny"]},
    }
    api_server.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all([policy, binding]))
    return api_server


def test_flux_judges_what_the_operator_writes(judged: ApiServer):
    namespace = judged.namespace()
    maker = yaml.safe_load((ROOT / "configs" / "cluster" / "btcusdt.yaml").read_text())
    maker["metadata"]["namespace"] = namespace
    path = f"/apis/phoenix.trading/v1alpha1/namespaces/{namespace}/marketmakers"
    generation = judged.admin.create(path, maker).expect()["metadata"]["generation"]
    said = {"Healthy": "flux says current", "Degraded": "flux says failed", "Progressing": ""}

    def says(conditions: list[dict[str, Any]]) -> str:
        told = [c | {"observedGeneration": c["observedGeneration"] - 2 + generation} for c in conditions]
        answer = judged.admin.merge(f"{path}/btcusdt/status", {"status": {"conditions": told}}, dryRun="All")
        return "" if answer.ok else answer.message

    deadline = time.monotonic() + 30.0  # a policy is in force some moments after it is there
    while "flux says current" not in says([_condition("Ready")]):
        assert time.monotonic() < deadline, says([_condition("Ready")])
        time.sleep(0.2)
    for name, (conditions, wanted) in CASES.items():
        told = says(conditions)
        assert (said[wanted] in told) if said[wanted] else told == "", name
    untouched = judged.admin.merge(f"{path}/btcusdt/status", {"status": None}, dryRun="All").message
    assert "no such key: status" in untouched, "an error, which Flux takes for one more reason to wait"
    assert "flux says" not in untouched


def test_flux_applies_what_is_there_as_whom_access_names():
    found = _documents("flux/sync.yaml")
    sources = {each["metadata"]["name"] for each in found if each["kind"] == "GitRepository"}
    steps = {each["metadata"]["name"]: each["spec"] for each in found if each["kind"] == "Kustomization"}
    assert list(steps) == ["phoenix", "access", "makers"]
    assert {spec["sourceRef"]["name"] for spec in steps.values()} == sources
    assert {before["name"] for spec in steps.values() for before in spec.get("dependsOn", ())} <= steps.keys()
    for name in ("phoenix", "access"):
        assert (GITOPS / "flux" / steps[name]["path"]).is_dir()
    assert [each["kind"] for each in _documents("flux/phoenix/release.yaml")] == ["HelmRelease"]
    account, *bindings = _documents("flux/access/makers.yaml")
    assert (steps["makers"]["serviceAccountName"], "flux-system") == tuple(account["metadata"].values())
    assert {binding["metadata"]["namespace"] for binding in bindings} == {steps["makers"]["targetNamespace"]}


def test_argo_cd_syncs_each_application_as_whom_its_project_names():
    projects = {each["metadata"]["name"]: each["spec"] for each in _documents("argocd/projects.yaml")}
    account, *bindings = _documents("argocd/access.yaml")
    for application in _documents("argocd/applications.yaml"):
        spec = application["spec"]
        project = projects[spec["project"]]
        assert spec["source"]["repoURL"] in project["sourceRepos"]
        assert spec["destination"] in project["destinations"]
        (synced_as,) = (
            each["defaultServiceAccount"]
            for each in project["destinationServiceAccounts"]
            if {"server": each["server"], "namespace": each["namespace"]} == spec["destination"]
        )
    assert synced_as == f"{account['metadata']['namespace']}:{account['metadata']['name']}", "the last one, makers"
    assert {binding["metadata"]["namespace"] for binding in bindings} == {spec["destination"]["namespace"]}


@pytest.mark.usefixtures("helm_program")
@pytest.mark.parametrize("tool", ["argocd", "flux"])
def test_the_values_of_the_examples_are_the_chart_s(tool: str, tmp_path):
    documents = _documents("argocd/applications.yaml" if tool == "argocd" else "flux/phoenix/release.yaml")
    (values,) = (
        spec["values"] if tool == "flux" else spec["source"]["helm"]["valuesObject"]
        for spec in (document["spec"] for document in documents)
        if "values" in spec or "helm" in spec.get("source", {})
    )
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(values))
    done = helm("template", "phoenix", str(CHART), "-n", SYSTEM, "-f", str(tmp_path / "values.yaml"))
    assert done.returncode == 0, done.stderr
    if tool == "argocd":
        assert "kind: Secret" not in done.stdout, "rendered without a cluster, a password would be drawn at each sync"
