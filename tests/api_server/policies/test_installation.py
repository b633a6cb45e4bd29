"""What deploy/ installs, as a real API server takes it: every pod `restricted`, rights without a wildcard."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from api_server import ApiServer
from phoenix_operator.settings import parse_settings

ROOT = Path(__file__).resolve().parents[3]
DEPLOY = ROOT / "deploy"
FORBIDDEN_RESOURCES = {"secrets", "*"}

Object = dict[str, Any]


def rendered(server: ApiServer, part: str = "") -> list[Object]:
    """As kubectl would apply it."""
    text = server.kubectl("kustomize", str(DEPLOY / part)).stdout
    return [document for document in yaml.safe_load_all(text) if document]


@pytest.fixture(scope="module")
def installed(api_server: ApiServer) -> list[Object]:
    """Both parts, applied, with their Secrets: by the commands of docs/install.md."""
    for part in ("", "exchange"):
        api_server.kubectl("apply", "-k", str(DEPLOY / part))
    api_server.kubectl("create", "-f", "-", stdin=new_secrets())
    return rendered(api_server) + rendered(api_server, "exchange")


def new_secrets(*arguments: str) -> str:
    return subprocess.run([DEPLOY / "new-secrets", *arguments], capture_output=True, text=True, check=True).stdout


def test_every_pod_passes_the_restricted_standard(api_server: ApiServer, installed: list[Object]):
    workloads = [each for each in installed if each["kind"] in {"Deployment", "StatefulSet"}]
    assert {each["metadata"]["name"] for each in workloads} == {"phoenix-operator", "phoenix-redis", "exchange"}
    for workload in workloads:
        spec = workload["spec"]["template"]["spec"]
        claims = [each["metadata"]["name"] for each in workload["spec"].get("volumeClaimTemplates", [])]
        volumes = [*spec.get("volumes", []), *({"name": name, "emptyDir": {}} for name in claims)]
        pod = {"metadata": {"name": "probe"}, "spec": spec | {"volumes": volumes}}
        path = f"/api/v1/namespaces/{workload['metadata']['namespace']}/pods"
        api_server.admin.create(path, pod, dryRun="All").expect()
        naked = pod | {"spec": {"containers": [{"name": "x", "image": "x"}]}}
        assert "restricted" in api_server.admin.create(path, naked, dryRun="All").message


def test_no_right_is_a_wildcard_and_none_reads_a_secret(installed: list[Object]):
    roles = [each for each in installed if each["kind"] in {"Role", "ClusterRole"}]
    assert roles
    for role in roles:
        for rule in role["rules"]:
            assert "*" not in {*rule["apiGroups"], *rule["verbs"]}, role["metadata"]["name"]
            assert FORBIDDEN_RESOURCES.isdisjoint(rule["resources"]), role["metadata"]["name"]
    everywhere = [each for each in installed if each["kind"] == "ClusterRoleBinding"]
    assert [each["metadata"]["name"] for each in everywhere] == ["phoenix-operator-finalizers"]


def test_rights_everywhere_are_those_of_one_namespace(api_server: ApiServer):
    (one,) = (each for each in rendered(api_server, "makers") if each["kind"] == "Role")
    everywhere = rendered(api_server, "everywhere")
    (role,) = (each for each in everywhere if each["kind"] == "ClusterRole")
    (binding,) = (each for each in everywhere if each["kind"] == "ClusterRoleBinding")
    assert role["rules"] == one["rules"]
    assert binding["roleRef"]["kind"] == "ClusterRole"
    api_server.kubectl("apply", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump_all([role, binding]))


def test_another_namespace_of_makers_has_what_its_pods_need_and_gives_nobody_a_right(
    api_server: ApiServer, tmp_path: Path
):
    base = os.path.relpath(DEPLOY / "namespace", tmp_path)
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump({"namespace": "other", "resources": [base]}))
    objects = list(yaml.safe_load_all(api_server.kubectl("kustomize", str(tmp_path)).stdout))
    settings = parse_settings("config.yaml", (DEPLOY / "operator" / "config.yaml").read_bytes())
    named = {(each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"]) for each in objects}
    assert named >= {("Namespace", "", "other"), ("ServiceAccount", "other", settings.service_account_name)}
    assert not {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"} & {kind for kind, *_ in named}
    assert {each["metadata"].get("namespace", "other") for each in objects} == {"other"}
    trading = {(each["kind"], each["metadata"]["name"]) for each in rendered(api_server, "makers")}
    assert {kind for kind, _ in trading} - {kind for kind, *_ in named} == {"Role", "RoleBinding"}


def test_the_operator_s_configuration_is_valid_and_fits_what_is_installed(installed: list[Object]):
    settings = parse_settings("config.yaml", (DEPLOY / "operator" / "config.yaml").read_bytes())
    named = {(each["kind"], each["metadata"]["name"]) for each in installed}
    assert ("ServiceAccount", settings.service_account_name) in named
    assert ("PriorityClass", settings.priority_class_name) in named
    assert all(("Namespace", namespace) in named for namespace in settings.namespaces)
    (operator,) = (
        each for each in installed if each["kind"] == "Deployment" and "operator" in each["metadata"]["name"]
    )
    assert operator["spec"]["template"]["spec"]["containers"][0]["image"] == settings.image


def test_another_configuration_rolls_the_operator(api_server: ApiServer):
    """The ConfigMap's name ends with a digest of its content, and the Deployment names it so."""
    objects = rendered(api_server)
    (config,) = (each for each in objects if each["kind"] == "ConfigMap" and "config.yaml" in each["data"])
    (operator,) = (each for each in objects if each["kind"] == "Deployment")
    volumes = {each["name"]: each for each in operator["spec"]["template"]["spec"]["volumes"]}
    assert config["metadata"]["name"] != "phoenix-operator"
    assert volumes["config"]["configMap"]["name"] == config["metadata"]["name"]


def test_secrets_are_drawn_anew_and_agree_with_each_other():
    first, second = (list(yaml.safe_load_all(new_secrets("desk"))) for _ in range(2))
    places = [(each["metadata"]["namespace"], each["metadata"]["name"]) for each in first]
    assert places == [("phoenix-system", "phoenix-redis"), ("desk", "phoenix-redis"), ("desk", "simulator-key")]
    redis, workers, key = (each["stringData"] for each in first)
    password = redis["url"].partition("phoenix:")[2].partition("@")[0]
    assert len(password) == 64
    assert f">{password} " in redis["users.acl"]
    assert workers == {"url": redis["url"]}
    again = second[2]["stringData"]
    assert len({password, *key.values(), *again.values()}) == 5


def test_the_examples_are_admitted_by_an_administrator(api_server: ApiServer, installed: list[Object]):
    assert installed
    api_server.kubectl("apply", "--dry-run=server", "-f", str(ROOT / "configs" / "cluster"))
