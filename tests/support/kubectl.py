"""`kubectl` as a person has it, for tests on a real cluster: what it prints is data, what it refuses is an error."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")
Object = dict[str, Any]

LOOK_S = 0.5


class KubectlError(AssertionError):
    """What kubectl said on stderr."""


class Kubectl:
    """One cluster, by its kubeconfig. `namespace` is where everything is, "" where objects say so themselves."""

    def __init__(self, kubeconfig: str, namespace: str = "") -> None:
        program = shutil.which("kubectl")
        assert program is not None, "no kubectl on PATH"
        self._program = program
        self.kubeconfig = kubeconfig
        self.namespace = namespace

    def within(self, namespace: str) -> "Kubectl":
        return Kubectl(self.kubeconfig, namespace)

    def __call__(self, *arguments: str, stdin: str | None = None, timeout_s: float = 120.0) -> str:
        """Runs it to its end; returns what it printed."""
        done = self._run(arguments, stdin, timeout_s)
        if done.returncode:
            raise KubectlError(f"kubectl {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def fails(self, *arguments: str, stdin: str | None = None, timeout_s: float = 120.0) -> str:
        """Runs what must be refused; returns the words of the refusal."""
        done = self._run(arguments, stdin, timeout_s)
        assert done.returncode != 0, f"kubectl {' '.join(arguments)} was not refused: {done.stdout}"
        return done.stderr

    def _run(self, arguments: Iterable[str], stdin: str | None, timeout_s: float) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [self._program, *([f"--namespace={self.namespace}"] if self.namespace else []), *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
            env={**os.environ, "KUBECONFIG": self.kubeconfig},
        )

    def apply(self, *objects: Mapping[str, Any]) -> str:
        return self("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def find(self, kind: str, name: str) -> Object | None:
        """None where there is none."""
        text = self("get", kind, name, "--ignore-not-found", "-o", "json")
        return json.loads(text) if text.strip() else None

    def read(self, kind: str, name: str) -> Object:
        found = self.find(kind, name)
        assert found is not None, f"there is no {kind} {name} in {self.namespace}"
        return found

    def list(self, kind: str, selector: str = "") -> list[Object]:
        chosen = (f"--selector={selector}",) if selector else ()
        items: list[Object] = json.loads(self("get", kind, *chosen, "-o", "json"))["items"]
        return items

    def patch(self, kind: str, name: str, change: Mapping[str, Any]) -> str:
        return self("patch", kind, name, "--type=merge", f"--patch={json.dumps(change)}")

    def put_back(self, before: Object) -> None:
        """The spec as it was, without what has been added since, which an apply would leave."""
        change = json.dumps([{"op": "replace", "path": "/spec", "value": before["spec"]}])
        self("patch", before["kind"], before["metadata"]["name"], "--type=json", f"--patch={change}")

    def ask(self, path: str) -> Any:
        """GET through the API server."""
        return json.loads(self("get", f"--raw={path}"))

    def tell(self, path: str, body: Mapping[str, Any]) -> Any:
        """POST through the API server."""
        return json.loads(self("create", f"--raw={path}", "-f", "-", stdin=json.dumps(body)))

    def until(self, look: Callable[[], T], what: str, within_s: float = 60.0) -> T:
        """Looks until there is something to be seen; returns it."""
        until = time.monotonic() + within_s
        while True:
            seen = look()
            if seen:
                return seen
            assert time.monotonic() < until, f"not within {within_s:g} s: {what}\n{self.situation()}"
            time.sleep(LOOK_S)

    def situation(self) -> str:
        """What a person would look at when something does not come about."""
        parts = [
            self._run(arguments, None, 30.0).stdout
            for arguments in (
                ("get", "marketmakers,tradingaccounts,deployments,jobs,pods", "-o", "wide"),
                ("get", "marketmakers", "-o", "jsonpath={range .items[*]}{.metadata.name}: {.status}{'\\n'}{end}"),
                ("get", "events", "--sort-by=.lastTimestamp"),
            )
        ]
        return "\n".join(parts)


def condition_of(found: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """A condition of a resource's status; empty where it has not been said."""
    conditions = found.get("status", {}).get("conditions", [])
    return next((each for each in conditions if each["type"] == kind), {})


def says(found: Mapping[str, Any], kind: str, status: str = "True", reason: str | None = None) -> bool:
    """Whether a condition says so of the generation that is there now."""
    condition = condition_of(found, kind)
    return (
        condition.get("status") == status
        and (reason is None or condition.get("reason") == reason)
        and condition.get("observedGeneration", 0) == found["metadata"]["generation"]
    )
