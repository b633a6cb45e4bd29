"""A namespace of a real API server with what a test of the operator says and looks at there."""

from typing import Any

import yaml
from api_client import Answer
from api_server import ROOT, ApiServer
from operator_process import until, writes
from played_cluster import PlayedCluster

GROUP = "/apis/phoenix.trading/v1alpha1"
CHILDREN = ("deployment", "configmap", "pod", "job", "budget", "event")

Object = dict[str, Any]


class Place:
    """A namespace with what a test says and looks at. Makers and accounts are those of configs/cluster."""

    def __init__(self, server: ApiServer, namespace: str, user: str, redis_url: str) -> None:
        self.server = server
        self.namespace = namespace
        self.user = user
        self.cluster = PlayedCluster(server, namespace, redis_url)

    # -- said ----------------------------------------------------------------------------------------

    def apply_account(self, name: str = "default", **spec: object) -> None:
        self._apply("tradingaccounts", "account.yaml", name, spec)

    def apply_maker(self, name: str = "btcusdt", **spec: object) -> None:
        """`symbol` follows from the name, up to its first dash."""
        symbol = name.partition("-")[0].upper()
        file = f"{symbol.lower()}.yaml" if symbol in {"BTCUSDT", "ETHUSDT"} else "ethusdt.yaml"
        self._apply("marketmakers", file, name, {"symbol": symbol, **spec})

    def patch(self, kind: str, name: str, change: Object) -> Answer:
        return self.server.admin.merge(self.path(kind, name), change)

    def delete(self, kind: str, name: str) -> None:
        self.server.admin.delete(self.path(kind, name)).expect()

    def _apply(self, plural: str, file: str, name: str, spec: dict[str, object]) -> None:
        manifest = yaml.safe_load((ROOT / "configs" / "cluster" / file).read_text())
        manifest["metadata"] = {"name": name, "namespace": self.namespace}
        manifest["spec"] |= spec
        path = f"{GROUP}/namespaces/{self.namespace}/{plural}/{name}"
        self.server.admin.apply(path, manifest, "kubectl", force="true").expect()

    def clear(self) -> None:
        """As if nothing had ever been here; a garbage collector does not run."""
        for kind in ("maker", "account"):
            for each in self.all(kind):
                name = each["metadata"]["name"]
                self.patch(kind, name, {"metadata": {"finalizers": None}})
                self.server.admin.delete(self.path(kind, name))
        for kind in CHILDREN:
            self.server.admin.delete(self.path(kind), propagationPolicy="Background").expect()

    # -- seen ----------------------------------------------------------------------------------------

    def path(self, kind: str, name: str = "") -> str:
        base = {
            "maker": f"{GROUP}/namespaces/{self.namespace}/marketmakers",
            "account": f"{GROUP}/namespaces/{self.namespace}/tradingaccounts",
            "deployment": f"/apis/apps/v1/namespaces/{self.namespace}/deployments",
            "configmap": f"/api/v1/namespaces/{self.namespace}/configmaps",
            "pod": f"/api/v1/namespaces/{self.namespace}/pods",
            "job": f"/apis/batch/v1/namespaces/{self.namespace}/jobs",
            "budget": f"/apis/policy/v1/namespaces/{self.namespace}/poddisruptionbudgets",
            "event": f"/apis/events.k8s.io/v1/namespaces/{self.namespace}/events",
        }[kind]
        return f"{base}/{name}" if name else base

    def get(self, kind: str, name: str) -> Object:
        """Empty where it is not there."""
        answer = self.server.admin.get(self.path(kind, name))
        return answer.body if answer.ok else {}

    def all(self, kind: str) -> list[Object]:
        return self.server.admin.get(self.path(kind)).expect()["items"]

    def pods(self, maker: str = "btcusdt") -> list[str]:
        return [
            pod["metadata"]["name"]
            for pod in self.all("pod")
            if pod["metadata"]["labels"].get("phoenix.trading/maker") == maker
        ]

    def condition(self, kind: str, name: str, condition: str) -> Object:
        status = self.get(kind, name).get("status") or {}
        return next((each for each in status.get("conditions", []) if each["type"] == condition), {})

    def events(self, name: str, reason: str) -> list[str]:
        return [
            each["note"] for each in self.all("event") if each["regarding"]["name"] == name and each["reason"] == reason
        ]

    def writes(self) -> list[tuple[str, str]]:
        """Of the operator, here."""
        return writes(self.server, self.user, self.namespace)

    # -- waited for ----------------------------------------------------------------------------------

    def until_ready(self, maker: str = "btcusdt", within_s: float = 30.0) -> None:
        def is_ready() -> bool:
            found = self.get("maker", maker)
            ready = self.condition("maker", maker, "Ready")
            return ready.get("status") == "True" and ready["observedGeneration"] == found["metadata"]["generation"]

        try:
            until(f"{maker} is Ready", is_ready, within_s)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.get('maker', maker).get('status')}") from None

    def until_condition(self, kind: str, name: str, condition: str, reason: str, status: str = "") -> Object:
        def found() -> Object:
            told = self.condition(kind, name, condition)
            return told if told.get("reason") == reason and status in {"", told["status"]} else {}

        try:
            return until(f"{kind} {name} has {condition} {status} {reason}", found)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.get(kind, name).get('status')}") from None
