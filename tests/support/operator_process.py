"""The operator as a process of its own against a real API server, with the rights that deploy/ grants and no others."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self, TypeVar

import yaml
from api_server import ROOT, ApiServer

WITHIN_S = 30.0
LOOK_S = 0.05
OWN_NAMESPACE = "default"
SHORT_LEASE = {"leaseDuration": "6s", "renewDeadline": "4s", "retryPeriod": "500ms"}
"""For tests in which a leader is lost; a busy machine must not lose one by itself."""
Found = TypeVar("Found")


def until(what: str, look: Callable[[], Found], within_s: float = WITHIN_S) -> Found:
    """The first thing that `look` finds that is true; fails the test by `what` was waited for."""
    deadline = time.monotonic() + within_s
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"in {within_s:.0f} s never: {what}"
        time.sleep(LOOK_S)


def grant(server: ApiServer, user: str, namespaces: Iterable[str]) -> None:
    """Exactly what the manifests of the installation grant the operator, to a user of the tests."""
    makers = [each for each in _documents("makers/access.yaml") if each["kind"] == "Role"]
    own = _documents("operator/access.yaml")
    for namespace in namespaces:
        _bind(server, user, makers, namespace)
    _bind(server, user, [each for each in own if each["kind"] in {"Role", "ClusterRole"}], OWN_NAMESPACE)


def role_of(namespace: str) -> str:
    """The path of the Role that lets the operator work in a namespace."""
    return f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles/phoenix-operator"


def _documents(path: str) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all((ROOT / "deploy" / path).read_text()) if each]


def _bind(server: ApiServer, user: str, roles: Iterable[dict[str, Any]], namespace: str) -> None:
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    for role in roles:
        is_cluster = role["kind"] == "ClusterRole"
        where = rbac if is_cluster else f"{rbac}/namespaces/{namespace}"
        plural = "clusterroles" if is_cluster else "roles"
        name = role["metadata"]["name"]
        server.admin.apply(f"{where}/{plural}/{name}", role, "tests", force="true").expect()
        binding = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": f"{role['kind']}Binding",
            "metadata": {"name": f"{name}-{user}"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role["kind"], "name": name},
            "subjects": [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}],
        }
        plural = "clusterrolebindings" if is_cluster else "rolebindings"
        server.admin.apply(f"{where}/{plural}/{name}-{user}", binding, "tests", force="true").expect()


class OperatorProcess:
    """`settings` as in its configuration file. Every one has a Lease of its own unless `lease` names one."""

    def __init__(
        self,
        server: ApiServer,
        directory: Path,
        namespaces: Iterable[str],
        redis: str = "",
        kubeconfig: Path | None = None,
        lease: str = "",
        *,
        short_lease: bool = False,
        page: str = "none",
        **settings: object,
    ) -> None:
        self.directory = directory
        self.lease = lease or f"operator-{uuid.uuid4().hex[:8]}"
        self.user = "operator"
        self._kubeconfig = kubeconfig or server.kubeconfig_for(self.user)
        self._redis = redis
        self._page = page
        self._port = _free_port()
        self._log = directory / f"operator-{uuid.uuid4().hex[:8]}.log"
        self._config = directory / f"{self._log.stem}.yaml"
        written = {
            "image": "phoenix:dev",
            "namespaces": list(namespaces),
            "leaderElection": {"leaseName": self.lease, **(SHORT_LEASE if short_lease else {})},
            "canaryPeriod": "1s",
            **settings,
        }
        self._config.write_text(yaml.safe_dump(written))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> "OperatorProcess":
        """Does not wait for anything."""
        command = [sys.executable, "-m", "phoenix_operator", "--config", str(self._config)]
        command += ["--kubeconfig", str(self._kubeconfig), "--http", f"127.0.0.1:{self._port}"]
        command += ["--page", self._page]
        command += ["--redis", self._redis] if self._redis else []
        paths = os.pathsep.join(str(ROOT / each) for each in ("crds", "coordination", "operator"))
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env=os.environ | {"PYTHONPATH": paths}
            )
        return self

    def until_leading(self) -> "OperatorProcess":
        until("the operator leads", lambda: self.state().get("leading") is True)
        return self

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def lives(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """As a node takes it away."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def end(self, within_s: float = WITHIN_S) -> int:
        """As Kubernetes asks it to; its exit status."""
        assert self._process is not None
        self._process.terminate()
        return self.wait(within_s)

    def wait(self, within_s: float = WITHIN_S) -> int:
        assert self._process is not None
        return self._process.wait(within_s)

    def said(self) -> list[dict[str, Any]]:
        """Its log; a line that is no JSON is a failure of its own."""
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    def get(self, path: str) -> tuple[int, str]:
        """(status, text) of its HTTP; (0, why) while nobody listens."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()
        except OSError as error:
            return 0, str(error)

    def state(self) -> dict[str, Any]:
        status, text = self.get("/state")
        return json.loads(text) if status == 200 else {}


def writes(server: ApiServer, user: str, namespace: str) -> list[tuple[str, str]]:
    """(verb, resource) of what that user has changed there, oldest first, but for the canary's touches."""
    return [
        (each["verb"], f"{each['objectRef']['resource']}{_sub(each)}")
        for each in server.audit()
        if each["user"]["username"] == user
        and each["verb"] not in {"get", "list", "watch"}
        and each.get("objectRef", {}).get("namespace") == namespace
        and each["objectRef"].get("name") != "phoenix-operator-canary"
    ]


def _sub(entry: dict[str, Any]) -> str:
    sub = entry["objectRef"].get("subresource")
    return f"/{sub}" if sub else ""


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
