"""`phoenix` as a person types it about a real API server; the operator's part is played where it is not the point."""

import contextlib
import gc
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from api_client import JSON_PATCH
from api_server import ROOT, ApiServer
from phoenix_cli.__main__ import main
from phoenix_cli.cluster import reading

GROUP = "/apis/phoenix.trading/v1alpha1"
LOOK_S = 0.02

Object = dict[str, Any]
Answering = Callable[[Object], Object]
"""From a request to the switch as it is afterwards (`emergency`), with `refused` where it is not carried out."""


@pytest.fixture(autouse=True)
def _nothing_else(tmp_path, monkeypatch) -> None:
    """No run of this machine, no other cluster."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "no-kubeconfig"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


@pytest.fixture
def _impatient_requests(monkeypatch) -> Iterator[None]:
    """For a server that falls silent. Who ends meanwhile leaves connections that cannot be closed in order, which is no
    fault of a program that is over: a test that uses this lets unclosed ones pass.
    """
    monkeypatch.setattr(reading, "TIMEOUT_S", 0.5)
    yield
    gc.collect()


@pytest.fixture
def phoenix(api_server: ApiServer, namespace: str, capsys):
    """Types a command about the namespace: (status, standard output, standard error)."""

    def typed(*arguments: str, kubeconfig: Path | None = None) -> tuple[int, str, str]:
        where = ("--kubeconfig", str(kubeconfig or api_server.admin_kubeconfig))
        named = () if {"-n", "-A"} & set(arguments) else ("-n", namespace)
        status = main([*arguments, *where, *named])
        return status, *capsys.readouterr()

    return typed


@pytest.fixture
def account(api_server: ApiServer, namespace: str) -> str:
    """The path of an account that no operator has seen."""
    manifest = ROOT / "configs" / "accounts" / "simulator.yaml"
    api_server.kubectl("apply", "--server-side", "-n", namespace, "-f", str(manifest))
    return f"{GROUP}/namespaces/{namespace}/tradingaccounts/default"


@pytest.fixture
def maker(api_server: ApiServer, namespace: str, account: str) -> str:
    """The path of one of its makers."""
    assert account
    manifest = ROOT / "configs" / "makers" / "btcusdt.yaml"
    api_server.kubectl("apply", "--server-side", "-n", namespace, "-f", str(manifest))
    return f"{GROUP}/namespaces/{namespace}/marketmakers/btcusdt"


@pytest.fixture
def tell(api_server: ApiServer):
    """Writes into a resource's status, as the operator does."""

    def told(path: str, **status: object) -> None:
        api_server.admin.merge(f"{path}/status", {"status": status}).expect()

    return told


class Operator(threading.Thread):
    """Carries out what the account's status asks, in its order. The answer is written first, then the request goes."""

    def __init__(self, server: ApiServer, account: str, answering: Answering) -> None:
        super().__init__(daemon=True)
        self.seen: list[Object] = []
        self._client = server.client("played-operator", "system:masters")
        self._account = account
        self._answering = answering
        self._over = threading.Event()
        self._later: list[tuple[float, Object]] = []

    def later(self, seconds: float, **status: object) -> None:
        """To be called while it answers."""
        self._later.append((time.monotonic() + seconds, status))

    def run(self) -> None:
        with contextlib.closing(self._client):
            while not self._over.is_set():
                status = self._client.get(self._account).expect().get("status", {})
                for request in status.get("requests", ()):
                    self._carry_out(status, request)
                    break
                while self._later and self._later[0][0] <= time.monotonic():
                    self._tell(**self._later.pop(0)[1])
                time.sleep(LOOK_S)

    def _carry_out(self, status: Object, request: Object) -> None:
        self.seen.append(request)
        outcome = self._answering(request)
        refused = outcome.get("refused", "")
        switch = outcome["emergency"]
        answer = {"id": request["id"], "ok": not refused, "message": refused or "done"}
        answer |= {"level": switch["level"], "epoch": switch["epoch"]}
        answers = [*status.get("answers", ()), answer]
        self._tell(emergency=switch, answers=answers)
        path = "/status/requests/0"
        operations = [{"op": "test", "path": f"{path}/id", "value": request["id"]}, {"op": "remove", "path": path}]
        # Refused where whoever asked has taken it back meanwhile.
        self._client.request("PATCH", f"{self._account}/status", operations, JSON_PATCH)

    def _tell(self, **status: object) -> None:
        self._client.merge(f"{self._account}/status", {"status": status}).expect()

    def end(self) -> None:
        self._over.set()
        self.join()


@pytest.fixture
def operator(api_server: ApiServer, account: str) -> Iterator[Callable[[Answering], Operator]]:
    """Starts one that answers by a function; it ends with the test."""
    with contextlib.ExitStack() as stack:

        def start(answering: Answering) -> Operator:
            played = Operator(api_server, account, answering)
            played.start()
            stack.callback(played.end)
            return played

        yield start


@pytest.fixture
def person(api_server: ApiServer, namespace: str):
    """A kubeconfig of somebody who may do no more than is granted: verbs on a resource, `("get,list", "pods")`, or what
    a role of `deploy/people/` lets do, by its name.
    """

    def of(*granted: tuple[str, str] | str) -> Path:
        user = f"person-{os.urandom(4).hex()}"
        for index, each in enumerate(granted):
            name = f"{user}-{index}"
            if isinstance(each, str):
                api_server.kubectl("apply", "--server-side", "-f", str(ROOT / "deploy" / "people" / "roles.yaml"))
                role = f"--clusterrole={each}"
            else:
                verbs, resource = each
                api_server.kubectl("create", "role", name, "-n", namespace, f"--verb={verbs}", f"--resource={resource}")
                role = f"--role={name}"
            api_server.kubectl("create", "rolebinding", name, "-n", namespace, role, f"--user={user}")
        return api_server.kubeconfig_for(user)

    return of
