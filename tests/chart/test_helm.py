"""The chart in Helm's own hands: what it renders. What each value does: test_values.py; a release: test_release.py."""

import json

import pytest
import yaml
from chart import CHART, NAMES, ROOT, SYSTEM, golden, helm, render, template

TRADING = "trading"


@pytest.mark.usefixtures("helm_program")
def test_it_lints():
    done = helm("lint", "--strict", str(CHART))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.usefixtures("helm_program")
@pytest.mark.parametrize("name", NAMES)
def test_it_renders_what_was_judged(name: str):
    """Where it is meant to be another: python tests/support/chart.py, and read the difference."""
    assert render(name) == golden(name)


@pytest.mark.usefixtures("helm_program")
def test_definitions_are_those_of_the_models_and_stay_when_the_release_goes():
    found = template("--set=crds.install=true")
    for path in (ROOT / "crds").glob("*.yaml"):
        (ours,) = yaml.safe_load_all(path.read_text())
        definition = found["CustomResourceDefinition", "", ours["metadata"]["name"]]
        assert definition["spec"] == ours["spec"]
        assert definition["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert not [key for key in template() if key[0] == "CustomResourceDefinition"]


@pytest.mark.usefixtures("helm_program")
def test_alerts_and_dashboards_are_the_files():
    found = template("--set=monitoring.dashboards.enabled=true", "--api-versions=monitoring.coreos.com/v1")
    rule = found["PrometheusRule", SYSTEM, "phoenix"]
    assert rule["spec"] == yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())
    dashboards = {
        name: json.loads(text)
        for key, each in found.items()
        if key[2].startswith("phoenix-dashboard-")
        for name, text in each["data"].items()
    }
    paths = (CHART / "files" / "dashboards").glob("*.json")
    assert dashboards == {f"phoenix-{path.name}": json.loads(path.read_text()) for path in paths}


@pytest.mark.usefixtures("helm_program")
@pytest.mark.parametrize(
    ("settings", "kinds"),
    [
        pytest.param((), set(), id="Auto, without the Prometheus operator"),
        pytest.param(
            ("--api-versions=monitoring.coreos.com/v1",), {"PodMonitor", "PrometheusRule"}, id="Auto, with it"
        ),
        pytest.param(
            ("--api-versions=monitoring.coreos.com/v1", "--set=monitoring.podMonitors=Never"),
            {"PrometheusRule"},
            id="Never",
        ),
        pytest.param(("--set=monitoring.podMonitors=Always",), {"PodMonitor"}, id="Always"),
    ],
)
def test_what_monitors_comes_where_it_can_be_used(settings: tuple[str, ...], kinds: set[str]):
    assert {key[0] for key in template(*settings)} & {"PodMonitor", "PrometheusRule"} == kinds


@pytest.mark.usefixtures("helm_program")
def test_workers_and_exchange_may_keep_their_image_while_the_operator_gets_another():
    kept = ("--set=workers.image=registry.example.com:5000/phoenix:0.1", "--set=exchange.image=phoenix:0.2")
    found = template("--set=image.tag=0.3", "--set=exchange.enabled=true", *kept)
    settings = yaml.safe_load(found["ConfigMap", SYSTEM, "phoenix-operator"]["data"]["config.yaml"])
    (operator, exchange) = (
        found["Deployment", namespace, name]["spec"]["template"]["spec"]["containers"][0]["image"]
        for namespace, name in ((SYSTEM, "phoenix-operator"), (TRADING, "exchange"))
    )
    assert (operator, exchange) == ("phoenix:0.3", "phoenix:0.2")
    assert settings["image"] == "registry.example.com:5000/phoenix:0.1"


@pytest.mark.usefixtures("helm_program")
def test_an_old_kubernetes_is_named():
    done = helm("template", "phoenix", str(CHART), "-n", SYSTEM, "--kube-version=1.31.0")
    assert done.returncode == 1
    assert "requires kubeVersion: >=1.32.0-0 which is incompatible with Kubernetes v1.31.0" in done.stderr
