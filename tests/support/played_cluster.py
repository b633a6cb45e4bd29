"""What a bare API server has nobody for: the Deployment controller, the scheduler, kubelets, Jobs, and workers in the
pods, which read their ConfigMap when they are nudged and tell of themselves in a real Redis.
"""

import asyncio
import contextlib
import hashlib
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from api_client import ApiClient
from api_server import ApiServer
from phoenix_coordination.redis.client import connect
from phoenix_coordination.redis.keys import AccountKeys
from phoenix_coordination.redis.records import publish
from phoenix_coordination.state import Configuration, Mode, Reason, Role
from phoenix_crds import resolved_hash
from phoenix_crds.account import TradingAccount
from phoenix_crds.documents import read_documents
from phoenix_crds.maker import MarketMaker
from phoenix_crds.validation import validate
from state_records import leading_record

LOOK_S = 0.05
PUBLISH_S = 0.5
Object = dict[str, Any]


@dataclass(slots=True)
class Worker:
    """One pod's: what it has read, and what a test has it tell."""

    pod: Object
    nudge: str = ""
    files: dict[str, str] = field(default_factory=dict)


class PlayedCluster:
    """Of one namespace, from `start` until `close`. A test turns its knobs at any time.

    told           by maker: fields of the state record that differ from a worker that leads and quotes
    deaf           makers whose workers do not heed a nudge
    job_succeeds   what becomes of a withdraw Job; None: nothing, it goes on
    ready          whether new pods become ready
    """

    def __init__(self, server: ApiServer, namespace: str, redis_url: str) -> None:
        self.namespace = namespace
        self.identity = f"BinanceUSDM/Simulator/{namespace}"
        self.told: dict[str, dict[str, object]] = {}
        self.deaf: set[str] = set()
        self.silent: set[str] = set()
        self.job_succeeds: bool | None = True
        self.ready = True
        self.nudges: list[tuple[str, str]] = []
        self._redis_url = redis_url
        # A client is a connection, and a user has one: each thread is a user of its own.
        self._client: ApiClient = server.client(f"player of {namespace}", "system:masters")
        self._tests_client: ApiClient = server.client(f"test of {namespace}", "system:masters")
        self._workers: dict[str, Worker] = {}
        self._stop = threading.Event()
        self._paused = threading.Event()
        self._thread = threading.Thread(target=self._play, name="played cluster", daemon=True)
        self.error: BaseException | None = None

    def start(self) -> "PlayedCluster":
        self._thread.start()
        return self

    def close(self) -> None:
        self._stop.set()
        self._thread.join(30)
        self._client.close()
        self._tests_client.close()
        assert self.error is None, f"the played cluster broke: {self.error!r}"

    @contextlib.contextmanager
    def paused(self):
        """Controllers and kubelets do nothing; workers go on to tell."""
        self._paused.set()
        try:
            yield
        finally:
            self._paused.clear()

    # -- the loop ------------------------------------------------------------------------------------

    def _play(self) -> None:
        try:
            asyncio.run(self._turns())
        except BaseException as error:  # noqa: BLE001 - told by `close`
            self.error = error

    async def _turns(self) -> None:
        client = connect(self._redis_url, 5.0) if self._redis_url else None
        published_s = 0.0
        try:
            while not self._stop.is_set():
                with contextlib.suppress(OSError):  # the API server is away
                    self._turn()
                if client is not None and time.monotonic() - published_s > PUBLISH_S:
                    published_s = time.monotonic()
                    await self._publish(client)
                await asyncio.sleep(LOOK_S)
        finally:
            if client is not None:
                await client.aclose()

    def _turn(self) -> None:
        pods = self._list("/api/v1", "pods")
        if not self._paused.is_set():
            for deployment in self._list("/apis/apps/v1", "deployments"):
                own = [pod for pod in pods if _maker(pod) == _maker(deployment) and _component(pod) == "worker"]
                self._control(deployment, own)
            for job in self._list("/apis/batch/v1", "jobs"):
                self._run(job)
        self._follow(pods)

    # -- controllers ---------------------------------------------------------------------------------

    def _control(self, deployment: Object, pods: list[Object]) -> None:
        """One step of a roll with maxSurge 1 and maxUnavailable 0."""
        if "deletionTimestamp" in deployment["metadata"]:
            return
        template = deployment["spec"]["template"]
        present = [pod for pod in pods if _template(pod) == template["metadata"]["labels"]["phoenix.trading/template"]]
        older = [pod for pod in pods if pod not in present]
        wished = deployment["spec"]["replicas"]
        if len(present) < wished:
            self._make_pod(deployment, template)
        for pod in present[wished:]:
            self._delete_pod(pod)
        if wished == 0 or (present and all(map(_is_ready, present))):
            for pod in older:
                self._delete_pod(pod)
        generation = deployment["metadata"]["generation"]
        if (deployment.get("status") or {}).get("observedGeneration") != generation:
            path = f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{deployment['metadata']['name']}/status"
            self._client.merge(path, {"status": {"observedGeneration": generation, "replicas": len(pods)}})

    def _make_pod(self, deployment: Object, template: Object) -> None:
        owner = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "name": deployment["metadata"]["name"],
            "uid": deployment["metadata"]["uid"],
            "controller": True,
        }
        meta = {
            "generateName": f"{deployment['metadata']['name']}-",
            "labels": template["metadata"]["labels"],
            "ownerReferences": [owner],
        }
        path = f"/api/v1/namespaces/{self.namespace}/pods"
        made = self._client.create(path, {"metadata": meta, "spec": template["spec"]})
        if made.ok and self.ready:
            self._say_ready(self._client, made.body["metadata"]["name"], ready=True)

    def set_ready(self, pod: str, *, ready: bool) -> None:
        """As its kubelet would say. For tests."""
        self._say_ready(self._tests_client, pod, ready=ready)

    def _say_ready(self, client: ApiClient, pod: str, *, ready: bool) -> None:
        conditions = [
            {"type": "PodScheduled", "status": "True"},
            {"type": "Ready", "status": "True" if ready else "False"},
        ]
        container = {
            "name": "worker",
            "ready": ready,
            "restartCount": 0,
            "image": "phoenix:dev",
            "imageID": "",
            "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
        }
        status = {"phase": "Running", "conditions": conditions, "containerStatuses": [container]}
        client.merge(f"/api/v1/namespaces/{self.namespace}/pods/{pod}/status", {"status": status})

    def _delete_pod(self, pod: Object) -> None:
        self._client.delete(f"/api/v1/namespaces/{self.namespace}/pods/{pod['metadata']['name']}")

    def _run(self, job: Object) -> None:
        conditions = (job.get("status") or {}).get("conditions") or []
        if conditions or self.job_succeeds is None:
            return
        now = "2026-01-01T00:00:00Z"
        kinds = ("SuccessCriteriaMet", "Complete") if self.job_succeeds else ("FailureTarget", "Failed")
        ended = {"startTime": now, "conditions": [{"type": kind, "status": "True"} for kind in kinds]}
        if self.job_succeeds:
            ended["completionTime"] = now
        path = f"/apis/batch/v1/namespaces/{self.namespace}/jobs/{job['metadata']['name']}/status"
        self._client.merge(path, {"status": ended}).expect()

    # -- workers -------------------------------------------------------------------------------------

    def _follow(self, pods: list[Object]) -> None:
        """A worker reads its file when it starts, and when its pod is nudged."""
        there = {pod["metadata"]["uid"]: pod for pod in pods if _component(pod) == "worker"}
        self._workers = {uid: worker for uid, worker in self._workers.items() if uid in there}
        for uid, pod in there.items():
            worker = self._workers.setdefault(uid, Worker(pod))
            nudge = (pod["metadata"].get("annotations") or {}).get("phoenix.trading/nudge", "")
            is_new = not worker.files
            if nudge != worker.nudge:
                self.nudges.append((_maker(pod), nudge))
            if is_new or (nudge != worker.nudge and _maker(pod) not in self.deaf):
                name = next(each["configMap"]["name"] for each in pod["spec"]["volumes"] if each["name"] == "resolved")
                found = self._client.get(f"/api/v1/namespaces/{self.namespace}/configmaps/{name}")
                worker.files = found.body.get("data", {}) if found.ok else {}
            worker.nudge, worker.pod = nudge, pod

    async def _publish(self, client: Any) -> None:
        for worker in list(self._workers.values()):
            maker, account = _read(worker.files)
            if maker is None or account is None or maker.metadata.name in self.silent:
                continue
            uid = worker.pod["metadata"]["uid"]
            fields: dict[str, object] = {
                "symbol": maker.spec.symbol,
                "holder": f"{uid}/{hashlib.sha256(uid.encode()).hexdigest()[:8]}",
                "namespace": self.namespace,
                "maker": maker.metadata.name,
                "account": f"{self.namespace}/{account.metadata.name}",
                "role": Role.LEADING,
                "mode": Mode(maker.spec.mode.value),
                "reason": Reason.QUOTING,
                "published_ms": time.time_ns() // 1_000_000,
                "configuration": Configuration(
                    hash=resolved_hash(maker.spec, account.spec), generation=maker.metadata.generation or 0
                ),
            }
            record = leading_record(**(fields | self.told.get(maker.metadata.name, {})))
            with contextlib.suppress(Exception):  # Redis is away: a worker goes on, too
                await publish(client, AccountKeys(self.identity), record, 1.0)

    def _list(self, base: str, plural: str) -> list[Object]:
        answer = self._client.get(f"{base}/namespaces/{self.namespace}/{plural}")
        return answer.body.get("items", []) if answer.ok else []


def _read(files: dict[str, str]) -> tuple[MarketMaker | None, TradingAccount | None]:
    found: list[Any] = []
    for name, model in (("maker.yaml", MarketMaker), ("account.yaml", TradingAccount)):
        documents, _ = read_documents(name, files.get(name, "").encode())
        found.append(validate(model, documents[0])[0] if documents else None)
    return found[0], found[1]


def _maker(manifest: Object) -> str:
    return str((manifest["metadata"].get("labels") or {}).get("phoenix.trading/maker", ""))


def _component(manifest: Object) -> str:
    return str((manifest["metadata"].get("labels") or {}).get("app.kubernetes.io/component", ""))


def _template(manifest: Object) -> str:
    return str((manifest["metadata"].get("labels") or {}).get("phoenix.trading/template", ""))


def _is_ready(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
