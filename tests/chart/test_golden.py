"""What the chart installs, as a real API server takes it, and as deploy/ has it: from the committed renderings.

They need no Helm; tests/chart/test_helm.py holds Helm's own output against them. Of a chart that is another than
the one which they were made from they say nothing, and the first test here does.
"""

import filecmp
import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import get_args

import pytest
import yaml
from api_server import ApiServer
from chart import CHART, MADE_FROM, NAMES, ROOT, SYSTEM, VALUES, Key, Object, golden, made_from, objects, pod_specs
from phoenix_crds.values import DNS_LABEL, DNS_SUBDOMAIN, DURATION, LONGEST_DURATION
from phoenix_operator import questions
from phoenix_operator.settings import LabelKey, parse_settings

DEPLOY = ROOT / "deploy"
RIGHTS = {"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"}
MONITORING = {"PodMonitor", "PrometheusRule"}
DEFINITION = "CustomResourceDefinition"
# What the Prometheus operator brings; ours of these kinds are held against what they select, further down.
_ITS_DEFINITION = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: {plural}.monitoring.coreos.com
  annotations: {{api-approved.kubernetes.io: unapproved}}
spec:
  group: monitoring.coreos.com
  scope: Namespaced
  names: {{kind: {kind}, plural: {plural}, singular: {singular}, listKind: {kind}List}}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {{openAPIV3Schema: {{type: object, x-kubernetes-preserve-unknown-fields: true}}}}
"""


def test_the_renderings_are_of_this_chart():
    """Of every file that they depend on, and as Helm wrote them."""
    now, then = (dict(line.split("  ")[::-1] for line in text.splitlines()) for text in (made_from(), _recorded()))
    changed = sorted(name for name in now.keys() | then.keys() if now.get(name) != then.get(name))
    assert not changed, (
        "they are of another: with Helm (`make helm`), `python tests/support/chart.py`, and read the diff"
    )


def _recorded() -> str:
    return MADE_FROM.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def server(api_server: ApiServer) -> ApiServer:
    """With namespaces as the chart and its reader make them, and the kinds of the Prometheus operator."""
    text = "---".join(
        _ITS_DEFINITION.format(kind=kind, plural=f"{kind.lower()}s", singular=kind.lower()) for kind in MONITORING
    )
    api_server.kubectl("apply", "-f", "-", stdin=text)
    api_server.kubectl(
        "wait", "--for=condition=Established", *(f"crd/{k.lower()}s.monitoring.coreos.com" for k in MONITORING)
    )
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    for name in (SYSTEM, "trading", "desk-a", "desk-b"):
        api_server.admin.create("/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}}).expect()
    for name in (SYSTEM, "trading", "desk-a", "desk-b"):
        for account in ("phoenix-operator", "phoenix-worker"):
            api_server.kubectl("create", "serviceaccount", account, "-n", name)
    value = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "phoenix-trading"}}
    api_server.kubectl("create", "-f", "-", stdin=json.dumps(value | {"value": 1}))
    return api_server


@pytest.mark.parametrize("name", NAMES)
def test_the_api_server_takes_every_object_as_it_is_written(server: ApiServer, name: str):
    """Strictly: a field that the kind has not is an error, and a warning (Pod Security's too) fails."""
    found = [o for o in objects(golden(name)).values() if o["kind"] not in {"Namespace", "PriorityClass", DEFINITION}]
    text = yaml.safe_dump_all(found)
    done = server.kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", stdin=text, check=False)
    refused = [line for line in done.stderr.splitlines() if "AlreadyExists" not in line]
    assert refused == []
    assert len(done.stdout.splitlines()) >= len(found) - len(done.stderr.splitlines())


@pytest.mark.parametrize("name", NAMES)
def test_every_pod_passes_the_restricted_standard(server: ApiServer, name: str):
    for (kind, namespace, object_name), spec in pod_specs(objects(golden(name))).items():
        path = f"/api/v1/namespaces/{namespace}/pods"
        pod = {"metadata": {"name": "probe"}, "spec": spec}
        answer = server.admin.create(path, pod, dryRun="All")
        assert answer.ok, f"{kind} {object_name}: {answer.message}"
    naked = {"metadata": {"name": "naked"}, "spec": {"containers": [{"name": "x", "image": "x"}]}}
    assert "restricted" in server.admin.create(f"/api/v1/namespaces/{SYSTEM}/pods", naked, dryRun="All").message


@pytest.mark.parametrize("name", NAMES)
def test_no_right_is_a_wildcard_and_none_reads_a_secret(name: str):
    for role in objects(golden(name)).values():
        for rule in role.get("rules", ()) if role["kind"] in RIGHTS else ():
            assert "*" not in {*rule["apiGroups"], *rule["verbs"]}, role["metadata"]["name"]
            assert {"secrets", "*"}.isdisjoint(rule["resources"]), role["metadata"]["name"]


def _kustomized(server: ApiServer, *parts: str) -> dict[Key, Object]:
    """Names without the digest that kustomize gives to ConfigMaps, and whoever names them."""
    texts = [server.kubectl("kustomize", str(DEPLOY / part)).stdout for part in parts]
    configs = {o["metadata"]["name"] for text in texts for o in yaml.safe_load_all(text) if o["kind"] == "ConfigMap"}
    whole = "---\n".join(texts)
    for config in configs:
        whole = whole.replace(config, config.rpartition("-")[0])
    return objects(whole)


# What only one of the two has, and why.
ONLY_THE_CHART = {
    (DEFINITION, "", "marketmakers.phoenix.trading"),  # crds/
    (DEFINITION, "", "tradingaccounts.phoenix.trading"),
    ("Secret", SYSTEM, "phoenix-redis"),  # deploy/new-secrets
    ("Secret", "trading", "phoenix-redis"),
    ("Secret", "trading", "simulator-key"),
    ("Job", SYSTEM, "phoenix-uninstall-guard"),  # hooks
    ("Pod", SYSTEM, "phoenix-test-operator"),
    ("Pod", "trading", "phoenix-test-redis"),
}
ONLY_KUSTOMIZE = {("Namespace", "", SYSTEM)}  # `helm install --create-namespace`


def test_the_chart_installs_what_deploy_does(server: ApiServer):
    chart, deploy = objects(golden("demo")), _kustomized(server, "", "exchange")
    assert chart.keys() - deploy.keys() == ONLY_THE_CHART
    assert deploy.keys() - chart.keys() == ONLY_KUSTOMIZE
    for key in chart.keys() & deploy.keys():
        assert _without_what_helm_adds(chart[key]) == _without_what_helm_adds(deploy[key]), key


def _without_what_helm_adds(found: Object) -> Object:
    metadata = {
        kind: {
            k: v
            for k, v in found["metadata"].get(kind, {}).items()
            if not re.match(r"helm\.sh/|app\.kubernetes\.io/", k)
        }
        for kind in ("labels", "annotations")
    }
    found = json.loads(json.dumps(found)) | {"metadata": {**metadata, "name": found["metadata"]["name"]}}
    match found["kind"]:
        case "Deployment" | "StatefulSet":  # of the configuration, in place of a digest in its name
            found["spec"]["template"]["metadata"].pop("annotations", None)
        case "ConfigMap" if "config.yaml" in found["data"]:
            found["data"] = parse_settings("config.yaml", found["data"]["config.yaml"].encode())
    return found


def test_rights_everywhere_are_those_of_one_namespace():
    one, everywhere = objects(golden("demo")), objects(golden("everywhere"))
    role = everywhere["ClusterRole", "", "phoenix-operator"]
    assert role["rules"] == one["Role", "trading", "phoenix-operator"]["rules"]
    assert everywhere["ClusterRoleBinding", "", "phoenix-operator"]["roleRef"]["kind"] == "ClusterRole"
    assert ("Role", "trading", "phoenix-operator") not in everywhere


@pytest.mark.parametrize("name", NAMES)
def test_the_operator_s_configuration_is_valid_and_its_image_the_operator_s(name: str):
    found = objects(golden(name))
    text = found["ConfigMap", SYSTEM, "phoenix-operator"]["data"]["config.yaml"]
    settings = parse_settings("config.yaml", text.encode())
    (container,) = found["Deployment", SYSTEM, "phoenix-operator"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == settings.image
    assert settings.leader_election.lease_namespace == SYSTEM
    for namespace in settings.namespaces:
        assert ("Role", namespace, "phoenix-operator") in found
        assert ("ServiceAccount", namespace, settings.service_account_name) in found


@pytest.mark.parametrize("name", NAMES)
def test_definitions_stay_when_the_release_goes_and_so_do_the_makers_namespaces(name: str):
    found = [o for o in objects(golden(name)).values() if o["kind"] in {DEFINITION, "Namespace"}]
    assert {"marketmakers.phoenix.trading", "tradingaccounts.phoenix.trading"} <= {o["metadata"]["name"] for o in found}
    assert {o["metadata"]["annotations"]["helm.sh/resource-policy"] for o in found} == {"keep"}


@pytest.mark.parametrize("name", NAMES)
def test_what_a_pod_names_is_there(name: str):
    """Secrets, ConfigMaps, its service account, its priority; else the values name them, as the reader's own."""
    found = objects(golden(name))
    values = (VALUES / f"{name}.yaml").read_text()
    for (_, namespace, object_name), spec in pod_specs(found).items():
        volumes = spec.get("volumes", [])
        asked = {("Secret", namespace, volume["secret"]["secretName"]) for volume in volumes if "secret" in volume}
        asked |= {("ConfigMap", namespace, volume["configMap"]["name"]) for volume in volumes if "configMap" in volume}
        asked |= {("ServiceAccount", namespace, spec[key]) for key in ("serviceAccountName",) if key in spec}
        asked |= {("PriorityClass", "", spec[key]) for key in ("priorityClassName",) if key in spec}
        theirs = {key for key in asked if re.search(rf": {key[2]}\b", values)}
        assert asked - theirs <= found.keys(), object_name


def test_what_is_selected_by_label_has_the_labels_that_the_values_say():
    """A Prometheus that looks for `release`, and Grafana's sidecar."""
    found = objects(golden("production"))
    monitoring = [key for key in found if key[0] in MONITORING]
    assert {key[0] for key in monitoring} == MONITORING
    assert {found[key]["metadata"]["labels"]["release"] for key in monitoring} == {"prometheus"}
    dashboards = {key[2]: found[key] for key in found if key[2].startswith("phoenix-dashboard-")}
    files = (CHART / "files" / "dashboards").glob("*.json")
    assert dashboards.keys() == {f"phoenix-dashboard-{path.stem}" for path in files}
    assert {each["metadata"]["labels"]["grafana_dashboard"] for each in dashboards.values()} == {"1"}


def test_who_watches_everywhere_is_scraped_everywhere():
    found = objects(golden("everywhere"))
    assert found["PodMonitor", SYSTEM, "phoenix-workers"]["spec"]["namespaceSelector"] == {"any": True}


def test_redis_lets_in_makers_of_namespaces_that_somebody_else_made():
    """Those lack our label; the name is the API server's own label."""
    found = objects(golden("demo"))
    (rule,) = found["NetworkPolicy", SYSTEM, "phoenix-redis"]["spec"]["ingress"]
    operator, labelled, named = rule["from"]
    assert operator == {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "phoenix-operator"}}}
    label = found["Namespace", "", "trading"]["metadata"]["labels"]["phoenix.trading/makers"]
    assert labelled == {"namespaceSelector": {"matchLabels": {"phoenix.trading/makers": label}}}
    (expression,) = named["namespaceSelector"]["matchExpressions"]
    assert expression == {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["trading"]}


def test_what_monitoring_selects_is_there():
    found = objects(golden("production"))
    operator, workers = (found["PodMonitor", SYSTEM, f"phoenix-{what}"]["spec"] for what in ("operator", "workers"))
    template = found["Deployment", SYSTEM, "phoenix-operator"]["spec"]["template"]
    assert operator["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    ports = {port["name"] for port in template["spec"]["containers"][0]["ports"]}
    assert {endpoint["port"] for endpoint in operator["podMetricsEndpoints"]} <= ports
    assert workers["namespaceSelector"] == {"matchNames": ["desk-a", "desk-b"]}


@pytest.mark.parametrize("name", NAMES)
def test_nothing_that_is_rendered_holds_a_password(name: str):
    """What is drawn is in Secrets only; the golden text has the word DRAWN there."""
    for key, found in objects(golden(name)).items():
        assert key[0] == "Secret" or "DRAWN" not in json.dumps(found), key


def test_what_the_chart_shares_with_crds_and_deploy_is_a_copy():
    done = subprocess.run([ROOT / "charts" / "gather", "--check", ROOT], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    shared = list((CHART / "files" / "crds").iterdir())
    assert {path.name for path in shared} == {path.name for path in (ROOT / "crds").glob("*.yaml")}
    assert all(filecmp.cmp(path, ROOT / "crds" / path.name, shallow=False) for path in shared)


def test_a_copy_that_differs_is_named(tmp_path: Path):
    files = tmp_path / "charts" / "phoenix" / "files"
    for name in ("crds", "deploy"):
        (tmp_path / name).symlink_to(ROOT / name)
    gather = [ROOT / "charts" / "gather"]
    assert subprocess.run([*gather, tmp_path], capture_output=True, check=False).returncode == 0
    (files / "people" / "roles.yaml").write_text("rules: []\n")
    done = subprocess.run([*gather, "--check", tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "files/people/roles.yaml is not deploy/people/roles.yaml: make generate" in done.stderr


def test_every_value_is_explained_where_it_stands():
    """By a comment on its line, or on that of what it belongs to."""
    lines = (CHART / "values.yaml").read_text().splitlines()
    told = [False] * 12
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        depth = (len(line) - len(line.lstrip())) // 2
        here = " #" in line
        assert here or any(told[:depth]) or line.rstrip().endswith(":"), f"values.yaml:{number}: {line}"
        told[depth] = here
        told[depth + 1 :] = [False] * (11 - depth)


def test_schema_and_values_have_the_same_fields():
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())

    def compare(properties: Object, given: Object, path: str) -> None:
        assert properties.keys() - {"global"} == given.keys(), path
        for name, value in given.items():
            below = properties[name]
            if below.get("type") == "object" and "properties" in below:
                assert below["additionalProperties"] is False, f"{path}.{name}"
                compare(below["properties"], value, f"{path}.{name}")

    compare(schema["properties"], values, "values")
    assert schema["additionalProperties"] is False


def test_names_durations_and_keys_of_labels_are_those_of_the_operator():
    """What the schema takes and the operator refuses would be an installation that is called good, and a crash loop."""
    definitions = json.loads((CHART / "values.schema.json").read_text())["definitions"]
    _, label_key = get_args(LabelKey)
    wanted = {
        "namespace": (DNS_LABEL, 63),
        "name": (DNS_SUBDOMAIN, 253),
        "optionalName": (f"^({DNS_SUBDOMAIN.strip('^$')})?$", 253),
        "duration": (DURATION, LONGEST_DURATION),
        "labelKey": (label_key.pattern, label_key.max_length),
    }
    assert {name: (definitions[name]["pattern"], definitions[name]["maxLength"]) for name in wanted} == wanted


def test_the_chart_has_the_version_of_the_release():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (version, version)


def test_the_question_of_each_hook_is_one_that_the_image_answers(capsys: pytest.CaptureFixture[str]):
    asked = {
        spec["containers"][0]["command"][3]
        for spec in pod_specs(objects(golden("demo"))).values()
        if spec["containers"][0].get("command", [""])[0] == "python"
    }
    assert asked == {"makers", "operator", "redis"}
    assert questions.main([]) == 2
    assert capsys.readouterr().err.split()[-2].split("|") == sorted(asked)
