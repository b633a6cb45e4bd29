"""A real kube-apiserver with its etcd, of the tests' own: a directory, ports on the loopback device, no root.

    with ApiServer.started() as server:
        server.kubectl("get", "namespaces")
        namespace = server.namespace()

Role-based access control is on, and the default admission but for service accounts (their controller does not run here:
a pod may name an account that nobody made; nor does anything else of the controller manager: Deployments make no pods,
a namespace that is deleted stays Terminating). Every request but the server's own is in the audit log.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from api_certificates import Authority
from api_client import ApiClient

ROOT = Path(__file__).resolve().parents[2]
CRDS = ROOT / "crds"
PROGRAMS = ("etcd", "kube-apiserver", "kubectl")
CACHE = Path(sys.prefix) / "kube"
STARTS_WITHIN_S = 45.0  # a test has a minute, its fixtures included
ENDS_WITHIN_S = 10.0
LOOK_S = 0.05
ATTEMPTS = 3  # a port that was free a moment ago may be somebody's now

# Runs a program until it ends, or our end of its standard input is closed, be it because we died. Says its id first.
LEASHED = (
    '"$@" </dev/null >&2 & child=$!; echo $child; exec 3<&0;'
    " (read -r _ <&3; kill -9 $child) >/dev/null & leash=$!; wait $child; kill $leash"
)


@dataclass(frozen=True, slots=True)
class Programs:
    etcd: str
    apiserver: str
    kubectl: str


def find_programs() -> Programs | str:
    """Where they are: KUBEBUILDER_ASSETS, PATH, or what requirements/bring-kube brought; else what to do, in words."""
    given = os.environ.get("KUBEBUILDER_ASSETS")
    for directory in (given, os.environ.get("PATH"), str(CACHE)):
        found = [shutil.which(name, path=directory) for name in PROGRAMS] if directory else [None]
        if all(found):
            return Programs(*(str(each) for each in found))
    return "no kube-apiserver, etcd and kubectl here: requirements/bring-kube .venv brings them"


class NotStartedError(Exception):
    """With the end of its log."""


class Leashed:
    """A program that does not outlive us, with its output in a file."""

    def __init__(self, log: Path, *command: str) -> None:
        self._log = log
        with log.open("ab") as output:
            self._shell = subprocess.Popen(
                ["/bin/sh", "-c", LEASHED, "sh", *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
            )
        assert self._shell.stdout is not None
        self.pid = int(self._shell.stdout.readline())

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def lives(self) -> bool:
        return self._shell.poll() is None

    def said(self) -> str:
        """The end of its log."""
        return self._log.read_text(errors="replace")[-2000:]

    def end(self) -> None:
        """Kills it; what it holds is thrown away anyway."""
        for pipe in (self._shell.stdin, self._shell.stdout):
            if pipe is not None:
                pipe.close()
        self._shell.wait(ENDS_WITHIN_S)


class ApiServer:
    """`ApiServer.started()` gives one that answers. `admin` and `admin_kubeconfig` may do everything."""

    def __init__(self, programs: Programs, directory: Path) -> None:
        self._programs = programs
        self.directory = directory
        self._authority = Authority(directory)
        self._server_certificate = self._authority.server()
        self._service_account_key = self._authority.key("service-accounts")
        self._audit_log = directory / "audit.log"
        self._port, self._etcd_port, self._peer_port = _free_ports(3)
        self._etcd: Leashed | None = None
        self._api: Leashed | None = None
        self._clients: dict[tuple[str, tuple[str, ...]], ApiClient] = {}
        self.admin = self.client("admin", "system:masters")
        self.admin_kubeconfig = self.kubeconfig_for("admin", "system:masters")

    @classmethod
    @contextlib.contextmanager
    def started(cls) -> Iterator["ApiServer"]:
        """Skips the test by name where the programs are not to be had."""
        programs = find_programs()
        if isinstance(programs, str):
            pytest.skip(programs)
        with contextlib.ExitStack() as stack:
            for attempt in range(1, ATTEMPTS + 1):
                server = cls(programs, Path(tempfile.mkdtemp(prefix="px-api-")))
                stack.callback(server.close)
                try:
                    server.start()
                    break
                except NotStartedError:
                    if attempt == ATTEMPTS:
                        raise
            yield server

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._port}"

    # -- who -----------------------------------------------------------------------------------------

    def client(self, user: str, *groups: str) -> ApiClient:
        """REST as a user; nobody knows it until a binding names it (the group `system:masters` may do everything)."""
        who = (user, groups)
        if who not in self._clients:
            signed = self._authority.client(user, groups)
            self._clients[who] = ApiClient("127.0.0.1", self._port, self._authority.certificate, *signed)
        return self._clients[who]

    def kubeconfig_for(self, user: str, *groups: str) -> Path:
        """As `client`, as a file for kubectl and for client libraries."""
        certificate, key = self._authority.client(user, groups)
        path = certificate.with_suffix(".kubeconfig")
        cluster = {"server": self.url, "certificate-authority": str(self._authority.certificate)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "tests", "cluster": cluster}],
            "users": [{"name": "user", "user": {"client-certificate": str(certificate), "client-key": str(key)}}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "user"}}],
            "current-context": "tests",
        }
        path.write_text(yaml.safe_dump(config))
        return path

    # -- what ----------------------------------------------------------------------------------------

    def namespace(self, prefix: str = "test") -> str:
        """A fresh one."""
        name = f"{prefix}-{uuid.uuid4().hex[:8]}"
        self.admin.create("/api/v1/namespaces", {"metadata": {"name": name}}).expect()
        return name

    def kubectl(
        self, *arguments: str, stdin: str = "", kubeconfig: Path | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """As the admin unless told otherwise; `check`: a status other than 0 fails the test."""
        command = [self._programs.kubectl, f"--kubeconfig={kubeconfig or self.admin_kubeconfig}"]
        cache = f"--cache-dir={self.directory / 'kubectl'}"
        done = subprocess.run(
            [*command, cache, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=STARTS_WITHIN_S,
            check=False,
            env=os.environ | {"KUBECTL_EXTERNAL_DIFF": "diff -u"},
        )
        assert done.returncode == 0 or not check, f"kubectl {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done

    def install_crds(self) -> None:
        """Ours, and waits until both are served, and known to kubectl by their short names."""
        self.kubectl("apply", "--server-side", "-f", str(CRDS))
        self.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRDS))
        deadline = time.monotonic() + STARTS_WITHIN_S
        while not self._serves_ours():  # established is a moment before that
            assert time.monotonic() < deadline, "our kinds are not served"
            time.sleep(LOOK_S)

    def _serves_ours(self) -> bool:
        # Asked for its resources, kubectl forgets what it knew of the server before.
        known = self.kubectl("api-resources", "--api-group=phoenix.trading", "--no-headers", check=False).stdout.split()
        paths = (f"/apis/phoenix.trading/v1alpha1/{plural}" for plural in ("marketmakers", "tradingaccounts"))
        return {"mm", "ta"} <= set(known) and all(self.admin.get(path).ok for path in paths)

    def audit(self) -> list[dict[str, Any]]:
        """Every request so far, oldest first: `user.username`, `verb`, `objectRef`, `responseStatus.code`."""
        lines = self._audit_log.read_text().splitlines() if self._audit_log.exists() else []
        return [json.loads(line) for line in lines]

    # -- its life ------------------------------------------------------------------------------------

    def start(self) -> None:
        """etcd and the API server, until the latter is ready."""
        log = self.directory / "etcd.log"
        self._etcd = Leashed(
            log,
            self._programs.etcd,
            f"--data-dir={self.directory / 'etcd'}",
            "--unsafe-no-fsync",
            f"--listen-client-urls=http://127.0.0.1:{self._etcd_port}",
            f"--advertise-client-urls=http://127.0.0.1:{self._etcd_port}",
            f"--listen-peer-urls=http://127.0.0.1:{self._peer_port}",
            f"--initial-advertise-peer-urls=http://127.0.0.1:{self._peer_port}",
            f"--initial-cluster=default=http://127.0.0.1:{self._peer_port}",
            "--log-level=warn",
        )
        self.start_api_server()

    def start_api_server(self) -> None:
        """On the same port and with the same data as before."""
        policy = self.directory / "audit-policy.yaml"
        policy.write_text(AUDIT_POLICY)
        certificate, key = self._server_certificate
        self._api = Leashed(
            self.directory / "kube-apiserver.log",
            self._programs.apiserver,
            f"--etcd-servers=http://127.0.0.1:{self._etcd_port}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self._port}",
            f"--cert-dir={self.directory}",
            f"--tls-cert-file={certificate}",
            f"--tls-private-key-file={key}",
            f"--client-ca-file={self._authority.certificate}",
            "--authorization-mode=RBAC",
            "--disable-admission-plugins=ServiceAccount",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self._service_account_key}",
            f"--service-account-signing-key-file={self._service_account_key}",
            "--service-cluster-ip-range=10.0.0.0/24",
            f"--audit-policy-file={policy}",
            f"--audit-log-path={self._audit_log}",
            "--profiling=false",
        )
        deadline = time.monotonic() + STARTS_WITHIN_S
        while not self._is_ready():
            if not self._api.lives() or time.monotonic() > deadline:
                raise NotStartedError(self._api.said())
            time.sleep(LOOK_S)

    def _is_ready(self) -> bool:
        try:
            return self.admin.get("/readyz").ok
        except OSError:
            return False

    def stop_api_server(self) -> None:
        """Connections break, new ones are refused; what is stored stays."""
        if self._api is not None:
            self._api.end()
            self._api = None

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """It takes connections and answers nothing, as behind a network that swallows packets."""
        assert self._api is not None
        self._api.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._api.signal(signal.SIGCONT)

    def close(self) -> None:
        for client in self._clients.values():
            client.close()
        self.stop_api_server()
        if self._etcd is not None:
            self._etcd.end()
        shutil.rmtree(self.directory, ignore_errors=True)


AUDIT_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  users: ["system:apiserver", "system:anonymous"]
- level: None
  nonResourceURLs: ["*"]
- level: Metadata
"""


def _free_ports(count: int) -> tuple[int, ...]:
    """Free a moment ago."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return tuple(each.getsockname()[1] for each in sockets)
