"""A release of the chart on a real API server: from install to uninstall, and what is refused between.

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
from chart import CHART, ROOT, SYSTEM, helm

TRADING = "trading"
GUARD = "phoenix-uninstall-guard"


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

    def create_namespace(self, name: str) -> None:
        self.server.admin.create("/api/v1/namespaces", {"metadata": {"name": name}}).expect()

    def put_secret(self, name: str, namespace: str, **data: str) -> None:
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}
        self.server.kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(secret))

    def create_maker(self, namespace: str) -> None:
        maker = yaml.safe_load((ROOT / "configs" / "cluster" / "btcusdt.yaml").read_text())
        maker["metadata"]["namespace"] = namespace
        self.server.kubectl("create", "-f", "-", stdin=yaml.safe_dump(maker))

    def await_definitions(self) -> None:
        self.server.kubectl("wait", "--for=condition=Established", "crd/marketmakers.phoenix.trading")

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
    release.await_definitions()
    release.create_maker(TRADING)
    uid = release.find("mm", "btcusdt", TRADING)["metadata"]["uid"]

    release.helm("upgrade", str(CHART), given)
    assert "Restarts" in _columns(release), "definitions change with the release"
    labels = release.find("namespace", TRADING)["metadata"]["labels"]
    assert labels["app.kubernetes.io/version"] != "0.0.9", "a namespace of its own changes with the release, too"
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


URL = "rediss://maker:the-password@redis.example.com:6380/0"
MINE = ("--set=redis.bundled.enabled=false", "--set=redis.existingSecret=mine")


@pytest.mark.timeout(180)
def test_namespaces_and_secrets_that_are_there_first_stay_the_reader_s(release: Release):
    """Each Secret that is named is asked for where its pods will be, before anything is installed."""
    for name in (SYSTEM, TRADING):
        release.create_namespace(name)
    told = release.helm("install", str(CHART), *MINE, refused=True)
    assert 'there is no Secret "mine" with the key url in the namespace phoenix-system' in told
    release.put_secret("mine", SYSTEM, url=URL)
    told = release.helm("install", str(CHART), *MINE, refused=True)
    assert 'there is no Secret "mine" with the key url in the namespace trading' in told
    release.put_secret("mine", TRADING, url=URL.replace("6380", "12345"))
    told = release.helm("install", str(CHART), *MINE, refused=True)
    assert 'the url in the Secret "mine" of the namespace trading leads to port 12345' in told
    release.put_secret("mine", TRADING, url=URL)
    bundled = ("--set=redis.existingSecret=mine",)
    told = release.helm("install", str(CHART), *bundled, refused=True)
    assert 'there is no Secret "mine" with the key users.acl in the namespace phoenix-system' in told
    exchange = ("--set=exchange.enabled=true", "--set=exchange.existingSecret=key")
    release.put_secret("key", TRADING, apiKey="k")
    told = release.helm("install", str(CHART), *MINE, *exchange, refused=True)
    assert 'no Secret "key" with the keys apiKey, and apiSecret or publicKey, in the namespace trading' in told

    told = release.helm("install", str(CHART), *MINE)
    assert (
        "kubectl label namespace trading phoenix.trading/makers=true pod-security.kubernetes.io/enforce=restr" in told
    )
    assert release.find("namespace", TRADING)["metadata"]["labels"] == {"kubernetes.io/metadata.name": TRADING}
    assert release.find("serviceaccount", "phoenix-worker", TRADING)

    release.put_secret("key", TRADING, apiKey="k", publicKey="p")
    desks = "--set=makers.namespaces={trading,desk}"
    release.server.kubectl("label", "namespace", TRADING, "phoenix.trading/makers=true")
    told = release.helm("upgrade", str(CHART), *MINE, *exchange, desks)
    assert "kubectl label namespace trading" not in told, "it is done"
    assert "kubectl get secret -n desk mine" in told
    assert release.find("namespace", "desk")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    told = release.helm("upgrade", str(CHART), *MINE, desks, refused=True)
    assert 'there is no Secret "mine" with the key url in the namespace desk' in told
    assert "the-password" not in told


@pytest.mark.timeout(180)
def test_no_upgrade_takes_a_namespace_from_under_its_makers(release: Release):
    release.helm("install", str(CHART), "--create-namespace", "--set=makers.namespaces={trading,desk}")
    release.await_definitions()
    release.create_namespace("elsewhere")
    for namespace in ("elsewhere", TRADING):
        release.create_maker(namespace)

    trading_left_out = (
        "makers.namespaces leaves out trading, where there is MarketMaker btcusdt: the upgrade would take"
    )
    for everywhere in ("false", "true"):  # who watches everywhere still prepares those that are listed
        values = ("--set=makers.namespaces={desk}", f"--set=makers.everywhere={everywhere}")
        assert trading_left_out in release.helm("upgrade", str(CHART), *values, refused=True)
    assert release.find("role", "phoenix-operator", TRADING)
    assert release.find("secret", "phoenix-redis", TRADING)

    one = "--set=makers.namespaces={trading}"
    release.helm("upgrade", str(CHART), one)  # desk has no makers, and elsewhere nobody ever watched
    assert release.find("role", "phoenix-operator", "desk") is None
    assert release.find("namespace", "desk"), "it may hold Secrets of the reader's"
    release.helm("upgrade", str(CHART), one, "--set=makers.everywhere=true")
    told = release.helm("upgrade", str(CHART), one, refused=True)
    assert "makers.namespaces leaves out elsewhere, where there is MarketMaker btcusdt" in told
    release.server.kubectl("delete", "mm", "btcusdt", "-n", "elsewhere")
    release.helm("upgrade", str(CHART), one)
    assert release.find("clusterrole", "phoenix-operator") is None
    assert release.find("role", "phoenix-operator", TRADING)
