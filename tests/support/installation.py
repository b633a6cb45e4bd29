"""Phoenix in a cluster as docs/install.md has it, and what tests do to it: the exchange, its observer, the operator."""

import base64
import json
import os
import random
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml
from kubectl import Kubectl, Object, says

ROOT = Path(__file__).resolve().parents[2]
NEW_SECRETS = ROOT / "deploy" / "new-secrets"
SYSTEM, TRADING, ENDING = "phoenix-system", "trading", "ending"
"""Where the operator is, where makers are, and where makers are whose namespace a test deletes."""
DEFINITIONS = ("crd/marketmakers.phoenix.trading", "crd/tradingaccounts.phoenix.trading")
EXCHANGE_URL = f"http://exchange.{TRADING}.svc:9000"
OPERATOR = "app.kubernetes.io/name=phoenix-operator"
OVERLAY = ROOT / "build" / "cluster" / "overlay"
LOOK_S = 0.5
BOTH = 0.2
"""How often both operators are killed where one is."""


def manifests(*paths: str) -> list[Object]:
    """The documents of files below the repository's root."""
    return [document for path in paths for document in yaml.safe_load_all((ROOT / path).read_text(encoding="utf-8"))]


def install(kubectl: Kubectl, redis_image: str | None) -> None:
    """The commands of docs/install.md; another image of Redis where one is given, and a second namespace of makers."""
    kubectl("apply", "--server-side", *(f"--filename={path}" for path in sorted((ROOT / "crds").glob("*.yaml"))))
    kubectl("wait", "--for=condition=Established", *DEFINITIONS)
    _write_overlay(redis_image)
    kubectl("apply", "-k", str(OVERLAY))
    if kubectl.within(SYSTEM).find("secret", "phoenix-redis") is None:  # a kept installation goes on
        secrets = subprocess.run([NEW_SECRETS], capture_output=True, text=True, check=True).stdout
        kubectl("create", "-f", "-", stdin=secrets)
    install_ending(kubectl)
    for namespace, workload in (
        (SYSTEM, "statefulset/phoenix-redis"),
        (TRADING, "deployment/exchange"),
        (SYSTEM, "deployment/phoenix-operator"),
    ):
        kubectl.within(namespace)("rollout", "status", workload, "--timeout=180s", timeout_s=200)


def install_ending(kubectl: Kubectl) -> None:
    """The second namespace of makers, which a test deletes; it may be made again."""
    kubectl("apply", "-k", str(OVERLAY / ENDING))
    url = kubectl.within(TRADING).read("secret", "phoenix-redis")["data"]["url"]
    kubectl.within(ENDING).apply(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "phoenix-redis"}, "data": {"url": url}}
    )


def _write_overlay(redis_image: str | None) -> None:
    """As a user has it: ours below, one's own image and configuration on top; another namespace of makers beside."""
    overlay: dict[str, Any] = {
        "resources": ["../../../deploy", "../../../deploy/exchange"],
        "configMapGenerator": [
            {"name": "phoenix-operator", "namespace": SYSTEM, "behavior": "replace", "files": ["config.yaml"]}
        ],
    }
    if redis_image is not None:
        name, _, tag = redis_image.rpartition(":")
        overlay["images"] = [{"name": "valkey/valkey", "newName": name, "newTag": tag}]
    (OVERLAY / ENDING).mkdir(parents=True, exist_ok=True)
    (OVERLAY / "kustomization.yaml").write_text(yaml.safe_dump(overlay), encoding="utf-8")
    ending = {"namespace": ENDING, "resources": ["../../../../deploy/makers"]}
    (OVERLAY / ENDING / "kustomization.yaml").write_text(yaml.safe_dump(ending), encoding="utf-8")
    _write_config()


def _write_config(**changes: Any) -> None:
    config = manifests("deploy/operator/config.yaml")[0] | {"namespaces": [TRADING, ENDING]} | changes
    (OVERLAY / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")


def uninstall(kubectl: Kubectl) -> None:
    """Makers first, while there is an operator to withdraw them; then everything else."""
    if kubectl.find("crd", "marketmakers.phoenix.trading") is not None:
        words = ("--all-namespaces", "--all", "--timeout=180s")
        kubectl("delete", "marketmakers,tradingaccounts", *words, timeout_s=200)
    kubectl("delete", "-k", str(OVERLAY), "--ignore-not-found", "--timeout=180s", timeout_s=200)
    kubectl("delete", "-k", str(OVERLAY / ENDING), "--ignore-not-found", "--timeout=180s", timeout_s=200)
    kubectl("delete", "--ignore-not-found", *DEFINITIONS)


class ExchangeInCluster:
    """The simulated exchange, asked through the API server."""

    def __init__(self, kubectl: Kubectl) -> None:
        self._kubectl = kubectl
        self._path = f"/api/v1/namespaces/{TRADING}/services/exchange:9000/proxy/sim"

    def orders(self, symbol: str) -> list[Object]:
        """What rests of ours."""
        orders: list[Object] = self._kubectl.ask(f"{self._path}/book?symbol={symbol}")["orders"]
        return orders

    def quotes_both_sides(self, symbol: str) -> bool:
        return {order["side"] for order in self.orders(symbol)} == {"BUY", "SELL"}

    def open_account(self, **options: str) -> Object:
        """Another account with money; returns its apiKey, and its apiSecret unless a publicKey was given."""
        money = {"USDT": "100000", "USDC": "100000"}
        account: Object = self._kubectl.tell(
            f"{self._path}/account", {"label": "another", "balances": money, **options}
        )
        return account

    def position(self, symbol: str, api_key: str) -> float:
        books = self._kubectl.ask(f"{self._path}/account/{api_key}")["symbols"]
        return float(books[symbol]["position"]) if symbol in books else 0.0

    def audit(self) -> Object:
        report: Object = self._kubectl.ask(f"{self._path}/audit")
        return report

    def declare(self, **declaration: Any) -> None:
        self._kubectl.tell(f"{self._path}/audit", declaration)

    def fault(self, **fault: Any) -> None:
        self._kubectl.tell(f"{self._path}/fault", fault)

    def heal(self) -> None:
        self._kubectl("delete", f"--raw={self._path}/fault")


@dataclass(frozen=True, slots=True)
class Gap:
    """When nothing rested of a symbol, in seconds since the epoch of the cluster's clock."""

    began: float
    ended: float

    @property
    def seconds(self) -> float:
        return self.ended - self.began


class Observer:
    """The pod beside the exchange that looks fifty times a second if anything rests (tests/cluster/observer.py)."""

    NAME = "observer"

    def __init__(self, kubectl: Kubectl) -> None:
        self._kubectl = kubectl

    def start(self) -> None:
        script = (ROOT / "tests" / "cluster" / "observer.py").read_text(encoding="utf-8")
        self._kubectl.apply(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": self.NAME}, "data": {"observer.py": script}},
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "NetworkPolicy",
                "metadata": {"name": self.NAME},
                "spec": {"podSelector": {"matchLabels": {"app": self.NAME}}, "policyTypes": ["Egress"], "egress": [{}]},
            },
            self._pod(),
        )
        self._kubectl("wait", "--for=condition=Ready", f"pod/{self.NAME}", "--timeout=60s")

    def stop(self) -> None:
        self._kubectl("delete", *(f"{kind}/{self.NAME}" for kind in ("pod", "networkpolicy", "configmap")))

    def _pod(self) -> Object:
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": self.NAME, "labels": {"app": self.NAME}},
            "spec": {
                "automountServiceAccountToken": False,
                "terminationGracePeriodSeconds": 0,
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": 65532,
                    "fsGroup": 65532,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [
                    {
                        "name": self.NAME,
                        "image": "phoenix:dev",
                        "command": ["python", "/observer/observer.py", EXCHANGE_URL, "/key/apiKey"],
                        "securityContext": {
                            "allowPrivilegeEscalation": False,
                            "readOnlyRootFilesystem": True,
                            "capabilities": {"drop": ["ALL"]},
                        },
                        "volumeMounts": [
                            {"name": "script", "mountPath": "/observer"},
                            {"name": "key", "mountPath": "/key"},
                        ],
                    }
                ],
                "volumes": [
                    {"name": "script", "configMap": {"name": self.NAME}},
                    {
                        "name": "key",
                        "secret": {"secretName": "simulator-key", "items": [{"key": "apiKey", "path": "apiKey"}]},
                    },
                ],
            },
        }

    def lines(self) -> list[Object]:
        return [json.loads(line) for line in self._kubectl("logs", self.NAME).splitlines()]

    def now(self) -> float:
        """The observer's clock, which is that of all it says."""
        return float(self._kubectl("exec", self.NAME, "--", "python", "-c", "import time; print(time.time())"))

    def gaps(self, symbol: str, began: float, ended: float) -> list[Gap]:
        """When nothing rested between two moments. Fails where nobody looked."""
        lines = [line for line in self.lines() if line["at"] <= ended]
        looked = [began, *(line["at"] for line in lines if line.get("looks") and line["at"] > began), ended]
        blind = max(after - before for before, after in pairwise(looked))
        assert blind < 10.0, f"nobody looked at the exchange for {blind:.0f} s"
        changes = [(line["at"], line["open"] > 0) for line in lines if line.get("symbol") == symbol]
        rested = next((rests for at, rests in reversed(changes) if at <= began), False)
        moments = [(began, rested), *(change for change in changes if change[0] > began), (ended, True)]
        return [Gap(at, then) for (at, rests), (then, _) in pairwise(moments) if not rests and then > at]


class Operators:
    """The operator's pods."""

    def __init__(self, kubectl: Kubectl) -> None:
        self._everywhere = kubectl.within("")
        self._kubectl = kubectl.within(SYSTEM)

    def pods(self) -> list[str]:
        """Those that are not on their way out."""
        pods = self._kubectl.list("pods", OPERATOR)
        return [pod["metadata"]["name"] for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    def kill(self, name: str, *, told: bool) -> None:
        """`told`: it is asked to end, and killed a second later, in the midst of its farewell. Else the API server
        forgets it at once, while it still runs for as long as its kubelet takes to notice.
        """
        how = ("--grace-period=1",) if told else ("--grace-period=0", "--force")
        self._kubectl("delete", "pod", name, *how, "--ignore-not-found", "--wait=false")

    def restarts(self) -> int:
        """How often their kubelets have begun them anew."""
        return sum(
            status["restartCount"]
            for pod in self._kubectl.list("pods", OPERATOR)
            for status in pod["status"].get("containerStatuses", ())
        )

    @contextmanager
    def configured(self, **changes: Any) -> Iterator[None]:
        """With another configuration until the end of the block."""
        try:
            self._configure(**changes)
            yield
        finally:
            self._configure()

    def _configure(self, **changes: Any) -> None:
        _write_config(**changes)
        self._everywhere("apply", "-k", str(OVERLAY))
        self._kubectl("rollout", "status", "deployment/phoenix-operator", "--timeout=120s", timeout_s=130)

    def leader(self) -> str:
        """The pod that acts; "" while none of those that are there does."""
        lease = self._kubectl.find("lease", "phoenix-operator") or {}
        holder = str(lease.get("spec", {}).get("holderIdentity", ""))
        return next((name for name in self.pods() if holder.startswith(f"{name}_")), "")

    @contextmanager
    def dying(self, seed: int, acts_s: tuple[float, float] = (0.0, 20.0)) -> Iterator[None]:
        """Whoever acts is killed at a random moment, and whoever follows too, until the end of the block. Now and then
        both go at once.
        """
        over, failures, drawn = threading.Event(), [], random.Random(seed)  # noqa: S311 - moments, no secrets

        def kill() -> None:
            try:
                while not over.wait(LOOK_S):
                    leader = self.leader()
                    if not leader or over.wait(drawn.uniform(*acts_s)):
                        continue
                    victims = self.pods() if drawn.random() < BOTH else [leader]
                    told = drawn.random() < 0.5
                    for name in victims:
                        self.kill(name, told=told)
            except Exception as error:  # noqa: BLE001 - told by the test, in whose thread it counts
                failures.append(error)

        thread = threading.Thread(target=kill)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            assert not failures, failures
            self._kubectl("rollout", "status", "deployment/phoenix-operator", "--timeout=120s", timeout_s=130)


@dataclass(frozen=True, slots=True)
class Meanwhile:
    """What becomes of the operator during `block`. `note`: for the figures that are measured then."""

    block: AbstractContextManager[None]
    note: str
    operator_lives: bool

    @classmethod
    def living(cls) -> "Meanwhile":
        return cls(nullcontext(), "", operator_lives=True)

    @classmethod
    def dying(cls, operators: Operators, seed: int) -> "Meanwhile":
        """Each block of code it is in has instants of its own; the seed is told, to see them again."""
        return cls(operators.dying(seed), f", the operator killed at random (seed {seed})", operator_lives=False)


class Makers:
    """Makers of the configurations, under names of a test's own, in the watched namespace."""

    def __init__(self, kubectl: Kubectl, exchange: ExchangeInCluster) -> None:
        self.kubectl = kubectl
        self._exchange = exchange

    def manifest(self, name: str, **spec: Any) -> Object:
        """`spec` over that of configs/cluster/btcusdt.yaml; None takes a field out."""
        maker = manifests("configs/cluster/btcusdt.yaml")[0]
        maker["metadata"]["name"] = name
        maker["spec"] = {key: value for key, value in {**maker["spec"], **spec}.items() if value is not None}
        return maker

    def apply(self, name: str, **spec: Any) -> None:
        self.kubectl.apply(self.manifest(name, **spec))

    def quoting(self, name: str, within_s: float = 120.0) -> Object:
        """Waits until it is ready and says that it quotes, and the exchange says so too; returns it."""

        def look() -> Object | None:
            maker = self.kubectl.read("marketmaker", name)
            told = says(maker, "Ready") and says(maker, "Quoting")
            return maker if told and self._exchange.quotes_both_sides(maker["spec"]["symbol"]) else None

        return self.kubectl.until(look, f"{name} is ready and quotes", within_s)

    def saying(
        self, name: str, kind: str, status: str = "True", reason: str | None = None, within_s: float = 120.0
    ) -> Object:
        def look() -> Object | None:
            maker = self.kubectl.read("marketmaker", name)
            return maker if says(maker, kind, status, reason) else None

        return self.kubectl.until(look, f"{name} says {kind} {status} {reason or ''}", within_s)

    def pods(self, name: str) -> list[Object]:
        """Its workers that are not on their way out."""
        pods = self.kubectl.list("pods", f"phoenix.trading/maker={name},app.kubernetes.io/component=worker")
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    def pod(self, name: str) -> Object:
        pods = self.pods(name)
        assert len(pods) == 1, [pod["metadata"]["name"] for pod in pods]
        return pods[0]

    def replaced(self, name: str, before: Object, within_s: float = 120.0) -> Object:
        """Waits until another pod is there in its place; returns it."""

        def look() -> Object | None:
            pods = self.pods(name)
            return pods[0] if len(pods) == 1 and pods[0]["metadata"]["uid"] != before["metadata"]["uid"] else None

        return self.kubectl.until(look, f"the pod of {name} is replaced", within_s)

    def status(self, name: str) -> Object:
        status: Object = self.kubectl.read("marketmaker", name)["status"]
        return status

    def api_key(self) -> str:
        """Of the account at the simulated exchange."""
        return base64.b64decode(self.kubectl.read("secret", "simulator-key")["data"]["apiKey"]).decode("ascii")

    def events(self, name: str, kind: str = "marketmaker") -> list[Object]:
        """Of this very one: others may have borne its name within the hour."""
        uid = self.kubectl.read(kind, name)["metadata"]["uid"]
        return [event for event in self.kubectl.list("events") if event["involvedObject"].get("uid") == uid]

    def gone(self, name: str, within_s: float = 240.0) -> None:
        self.kubectl.until(lambda: self.kubectl.find("marketmaker", name) is None, f"{name} is gone", within_s)


def redis_image_of(environment: Mapping[str, str] = os.environ) -> str | None:
    return environment.get("REDIS_IMAGE")


def words_of(events: Sequence[Object]) -> list[str]:
    """Events as `reason: message`, for a failure that can be read."""
    return [f"{event['reason']}: {event.get('message', '')}" for event in events]
