"""The chart in Helm's own hands: what it renders, what it refuses, and a release from install to uninstall.

Controllers do not run beside the API server of these tests: the Job of the uninstall guard is ended by hand.
"""

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from api_server import ApiServer
from chart import CHART, NAMES, ROOT, SYSTEM, golden, helm, objects, render, undrawn

TRADING = "trading"
GUARD = "phoenix-uninstall-guard"


@pytest.mark.usefixtures("helm_program")
def test_it_lints():
    done = helm("lint", "--strict", str(CHART))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.usefixtures("helm_program")
@pytest.mark.parametrize("name", NAMES)
def test_it_renders_what_was_judged(name: str):
    """Where it is meant to be another: python tests/support/chart.py, and read the difference."""
    assert render(name) == golden(name)


def _template(*settings: str, definitions: bool = False) -> dict[tuple[str, str, str], Any]:
    """Without the definitions unless they are asked for: they are long."""
    words = () if definitions else ("--set=crds.install=false",)
    done = helm("template", "phoenix", str(CHART), "-n", SYSTEM, *words, *settings)
    assert done.returncode == 0, done.stderr
    return objects(undrawn(done.stdout))


@pytest.mark.usefixtures("helm_program")
def test_definitions_are_those_of_the_models_and_stay_when_the_release_goes():
    found = _template(definitions=True)
    for path in (ROOT / "crds").glob("*.yaml"):
        (ours,) = yaml.safe_load_all(path.read_text())
        definition = found["CustomResourceDefinition", "", ours["metadata"]["name"]]
        assert definition["spec"] == ours["spec"]
        assert definition["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert not [key for key in _template() if key[0] == "CustomResourceDefinition"]


@pytest.mark.usefixtures("helm_program")
def test_alerts_and_dashboards_are_the_files():
    found = _template("--set=monitoring.dashboards.enabled=true", "--api-versions=monitoring.coreos.com/v1")
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
    assert {key[0] for key in _template(*settings)} & {"PodMonitor", "PrometheusRule"} == kinds


def _switches(values: Any, path: str = "") -> list[str]:
    """Every value that is on or off, turned around."""
    if isinstance(values, bool):
        return [f"{path}={str(not values).lower()}"]
    below = values.items() if isinstance(values, dict) else ()
    return [switch for name, value in below for switch in _switches(value, f"{path}.{name}" if path else name)]


@pytest.mark.usefixtures("helm_program")
def test_each_switch_alone_renders_objects_of_which_none_is_there_twice():
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    del values["crds"]  # told above
    switches = _switches(values)
    assert "exchange.enabled=true" in switches
    assert "networkPolicies.enabled=false" in switches
    found = _template()
    for switch in switches:
        beside = ("--set=redis.existingSecret=mine",) if switch.startswith("redis.") else ()
        assert _template(f"--set={switch}", *beside) != found, switch


@pytest.mark.usefixtures("helm_program")
def test_workers_and_exchange_may_keep_their_image_while_the_operator_gets_another():
    kept = ("--set=workers.image=registry.example.com:5000/phoenix:0.1", "--set=exchange.image=phoenix:0.2")
    found = _template("--set=image.tag=0.3", "--set=exchange.enabled=true", *kept)
    settings = yaml.safe_load(found["ConfigMap", SYSTEM, "phoenix-operator"]["data"]["config.yaml"])
    (operator, exchange) = (
        found["Deployment", namespace, name]["spec"]["template"]["spec"]["containers"][0]["image"]
        for namespace, name in ((SYSTEM, "phoenix-operator"), (TRADING, "exchange"))
    )
    assert (operator, exchange) == ("phoenix:0.3", "phoenix:0.2")
    assert settings["image"] == "registry.example.com:5000/phoenix:0.1"


REFUSED = {
    "a value that is none": (("image.tagg=x",), "at '/image': additional properties 'tagg' not allowed"),
    "a part that is none": (("worker.x=1",), "additional properties 'worker' not allowed"),
    "another type": (("operator.replicas=many",), "at '/operator/replicas': got string, want integer"),
    "no operator": (("operator.replicas=0",), "at '/operator/replicas': minimum: got 0, want 1"),
    "a word that is none": (("workers.resources.preset=Big",), "value must be one of 'Shared', 'Dedicated'"),
    "no namespace": (("makers.namespaces=null",), "at '/makers': missing property 'namespaces'"),
    "a namespace that cannot be": (("makers.namespaces={Trading}",), "'Trading' does not match pattern"),
    "a digest that is none": (("image.digest=sha256:1",), "at '/image/digest'"),
    "an image without a tag": (("workers.image=phoenix",), "at '/workers/image': 'phoenix' does not match pattern"),
    "a duration that is none": (("operator.settings.resyncPeriod=soon",), "'soon' does not match pattern"),
    "no Redis": (("redis.bundled.enabled=false",), "there is no Redis: set redis.bundled.enabled=true, or"),
    "two Redis": (("redis.url=rediss://r:6379/0",), "redis.url names a Redis of yours, and redis.bundled"),
    "two names of one": (
        ("redis.bundled.enabled=false", "redis.url=rediss://r:6379/0", "redis.existingSecret=s"),
        "redis.url and redis.existingSecret both name a Redis",
    ),
    "a URL that is none": (
        ("redis.bundled.enabled=false", "redis.url=http://r:6379"),
        "redis.url is none of redis://, rediss://",
    ),
    "an exchange out of reach": (
        ("exchange.enabled=true", "exchange.namespace=other"),
        'exchange.namespace "other" is none of makers.namespaces (trading)',
    ),
    "makers beside the operator": (("makers.namespaces={phoenix-system}",), "makers live apart from the operator"),
}


@pytest.mark.usefixtures("helm_program")
@pytest.mark.parametrize(("settings", "words"), REFUSED.values(), ids=list(REFUSED))
def test_it_refuses(settings: tuple[str, ...], words: str):
    done = helm("template", "phoenix", str(CHART), "-n", SYSTEM, *(f"--set={setting}" for setting in settings))
    assert done.returncode == 1
    assert words in done.stderr


@pytest.mark.usefixtures("helm_program")
def test_a_password_in_values_is_refused_and_not_repeated():
    url = "redis://phoenix:the-password@r:6379/0"
    settings = ("--set=redis.bundled.enabled=false", f"--set=redis.url={url}")
    done = helm("template", "phoenix", str(CHART), "-n", SYSTEM, *settings)
    assert done.returncode == 1
    assert "put the URL into a Secret with the key url" in done.stderr
    assert "the-password" not in done.stdout + done.stderr


@pytest.mark.usefixtures("helm_program")
def test_an_old_kubernetes_is_named():
    done = helm("template", "phoenix", str(CHART), "-n", SYSTEM, "--kube-version=1.31.0")
    assert done.returncode == 1
    assert "requires kubeVersion: >=1.32.0-0 which is incompatible with Kubernetes v1.31.0" in done.stderr


@dataclass
class Release:
    """`helm` and `kubectl` of one API server."""

    server: ApiServer

    def helm(self, command: str, *words: str, refused: bool = False) -> str:
        kubeconfig = f"--kubeconfig={self.server.admin_kubeconfig}"
        done = helm(command, "phoenix", *words, f"--namespace={SYSTEM}", kubeconfig)
        assert bool(done.returncode) is refused, done.stdout + done.stderr
        return done.stdout + done.stderr

    def find(self, kind: str, name: str, namespace: str = SYSTEM) -> Any:
        words = ("get", kind, name, "-n", namespace, "--ignore-not-found", "-o", "json")
        text = self.server.kubectl(*words).stdout
        return json.loads(text) if text else None

    def secrets(self) -> list[Any]:
        places = ((SYSTEM, "phoenix-redis"), (TRADING, "phoenix-redis"), (TRADING, "simulator-key"))
        return [self.find("secret", name, namespace)["data"] for namespace, name in places]

    def _is_another(self, before: Any) -> bool:
        found = self.find("job", GUARD)
        return found is not None and (before is None or found["metadata"]["uid"] != before["metadata"]["uid"])

    def ending_the_guard(self, *conditions: str) -> Callable[[], None]:
        """Plays the Job's controller in a thread; what is returned waits for its end."""

        before = self.find("job", GUARD)

        def end() -> None:
            deadline = time.monotonic() + 30.0
            while not self._is_another(before) and time.monotonic() < deadline:
                time.sleep(0.1)
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            told = [{"type": kind, "status": "True", "reason": "Played"} for kind in conditions]
            status: dict[str, Any] = {"startTime": now, "conditions": told}
            if "Complete" in conditions:
                status |= {"completionTime": now, "succeeded": 1}
            patch = ("patch", "job", GUARD, "-n", SYSTEM, "--subresource=status", "--type=merge")
            self.server.kubectl(*patch, f"--patch={json.dumps({'status': status})}")

        thread = threading.Thread(target=end)
        thread.start()
        return thread.join


@pytest.fixture
def release(helm_program: str) -> Iterator[Release]:
    """Into an API server of its own, because it owns what it installs."""
    assert helm_program
    with ApiServer.started() as server:
        yield Release(server)


@pytest.fixture
def older_chart(tmp_path: Path) -> Path:
    """The release before: its definitions lack a column."""
    chart = tmp_path / "phoenix"
    shutil.copytree(CHART, chart)
    (chart / "Chart.yaml").write_text((CHART / "Chart.yaml").read_text().replace("0.1.0", "0.0.9"))
    path = chart / "files" / "crds" / "marketmakers.yaml"
    definition = yaml.safe_load(path.read_text())
    columns = definition["spec"]["versions"][0]["additionalPrinterColumns"]
    columns[:] = [column for column in columns if column["name"] != "Restarts"]
    path.write_text(yaml.safe_dump(definition))
    return chart


def _columns(release: Release) -> set[str]:
    definition = release.find("crd", "marketmakers.phoenix.trading")
    return {column["name"] for column in definition["spec"]["versions"][0]["additionalPrinterColumns"]}


@pytest.mark.timeout(180)
def test_a_release_lives_through_upgrade_and_leaves_what_is_the_reader_s(release: Release, older_chart: Path):
    given = "--set=exchange.enabled=true"
    missing = "--set=redis.existingSecret=mine"
    told = release.helm("install", str(CHART), "--create-namespace", given, missing, refused=True)
    assert 'there is no Secret "mine" with the key url in the namespace phoenix-system' in told

    told = release.helm("install", str(older_chart), "--create-namespace", given)
    assert "kubectl apply -f configs/cluster/" in told, "what to type next"
    drawn = release.secrets()
    assert drawn[0]["url"] == drawn[1]["url"]
    assert not [value for data in drawn for value in data.values() if value in told]
    assert "Restarts" not in _columns(release)
    release.server.kubectl("wait", "--for=condition=Established", "crd/marketmakers.phoenix.trading")
    maker = yaml.safe_load((ROOT / "configs" / "cluster" / "btcusdt.yaml").read_text())
    release.server.kubectl("create", "-f", "-", stdin=yaml.safe_dump(maker))
    uid = release.find("mm", "btcusdt", TRADING)["metadata"]["uid"]

    release.helm("upgrade", str(CHART), given)
    assert "Restarts" in _columns(release), "definitions change with the release"
    assert release.find("mm", "btcusdt", TRADING)["metadata"]["uid"] == uid
    assert release.secrets() == drawn, "a password once drawn stays"

    ended = release.ending_the_guard("FailureTarget", "Failed")
    told = release.helm("uninstall", refused=True)
    ended()
    assert GUARD in told
    assert release.find("deployment", "phoenix-operator"), "the operator stays where makers are"
    assert "has no deployed releases" in release.helm("upgrade", str(CHART), given, refused=True), "Helm's own way"
    (_, hint) = release.find("job", GUARD)["spec"]["template"]["spec"]["containers"][0]["command"][3:]
    revision = hint.partition("helm rollback phoenix ")[2].split()[0]
    release.helm("rollback", revision)  # as the guard says
    release.helm("upgrade", str(CHART), given)

    release.server.kubectl("delete", "mm", "btcusdt", "-n", TRADING)
    ended = release.ending_the_guard("SuccessCriteriaMet", "Complete")
    release.helm("uninstall")
    ended()
    assert release.find("deployment", "phoenix-operator") is None
    assert release.find("clusterrole", "phoenix-trader") is None
    assert "Restarts" in _columns(release), "makers of other namespaces would go with their definition"
    assert release.find("namespace", TRADING)["metadata"]["labels"]["phoenix.trading/makers"] == "true"

    release.helm("install", str(CHART), given)  # what stayed is the release's again
    assert release.secrets() != drawn
