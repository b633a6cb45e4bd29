"""Phoenix in a cluster as docs/install.md has it: by Helm, with the simulated exchange."""

import re
import shutil
import subprocess
import time
from pathlib import Path

from chart import CHART, helm
from installation import DEFINITIONS, SYSTEM, TRADING
from kubectl import Kubectl

NAME = "phoenix"
IMAGE, NEXT_IMAGE = "phoenix:dev", "phoenix:next"
"""What is installed first, and what a release that follows brings (tests/cluster/run.py makes both)."""
FIRST = 1
"""Helm counts the revisions of a release."""
_HINT = re.compile(rf"helm rollback {NAME} (\d+) -n {SYSTEM}")


class Release:
    """One release, by Helm's own commands; each with all of its values, as one who keeps them in a file."""

    def __init__(self, kubectl: Kubectl, redis_image: str | None) -> None:
        self._kubectl = kubectl
        self._kubeconfig = f"--kubeconfig={kubectl.kubeconfig}"
        # The exchange holds its accounts and its audit in memory: it must outlive the upgrades that it judges.
        self._values = ["exchange.enabled=true", f"exchange.image={IMAGE}"]
        self.began_s = 0.0
        """When the installation began, on the monotonic clock."""
        if redis_image is not None:
            self._values.append(f"redis.bundled.image={redis_image}")

    def install(self) -> None:
        self.began_s = time.monotonic()
        self._helm("install", str(CHART), "--create-namespace", *self._settings())
        self._rolled_out()

    def upgrade(self, *values: str, chart: Path = CHART) -> None:
        """Until the operators are those of the new release."""
        self._helm("upgrade", str(chart), *self._settings(*values))
        self._rolled_out()

    def rollback(self, revision: int) -> None:
        self._helm("rollback", str(revision))
        self._rolled_out()

    def test(self) -> str:
        """Returns what it prints, with the words of its pods."""
        return self._helm("test", "--timeout=3m")

    def uninstall(self) -> None:
        self._helm("uninstall", "--timeout=3m")

    def uninstall_is_refused(self) -> tuple[str, int]:
        """Returns the refusal, and the revision to which it tells one to roll back."""
        done = self._run("uninstall", "--timeout=3m")
        told = done.stdout + done.stderr
        assert done.returncode, f"helm uninstall was not refused: {told}"
        hint = _HINT.search(told)
        assert hint is not None, f"the refusal does not say how to keep the release: {told}"
        return told, int(hint[1])

    def remove(self) -> None:
        """Everything, in whatever state it is: makers first, while there may be an operator to withdraw them."""
        if self._kubectl.find("crd", "marketmakers.phoenix.trading") is not None:
            words = ("--all-namespaces", "--all", "--timeout=180s")
            self._kubectl("delete", "marketmakers,tradingaccounts", *words, timeout_s=200)
        if self._run("status").returncode == 0:
            self.uninstall()
        words = ("--ignore-not-found", "--timeout=180s")
        self._kubectl("delete", *DEFINITIONS, f"namespace/{TRADING}", f"namespace/{SYSTEM}", *words, timeout_s=200)

    def _settings(self, *values: str) -> list[str]:
        return [f"--set={value}" for value in (*self._values, *values)]

    def _helm(self, command: str, *words: str) -> str:
        done = self._run(command, *words)
        assert done.returncode == 0, f"helm {command}: {done.stderr or done.stdout}"
        return done.stdout + done.stderr

    def _run(self, command: str, *words: str) -> "subprocess.CompletedProcess[str]":
        return helm(command, NAME, *words, f"--namespace={SYSTEM}", self._kubeconfig, timeout_s=240)

    def _rolled_out(self) -> None:
        for namespace, workload in (
            (SYSTEM, "statefulset/phoenix-redis"),
            (TRADING, "deployment/exchange"),
            (SYSTEM, "deployment/phoenix-operator"),
        ):
            self._kubectl.within(namespace)("rollout", "status", workload, "--timeout=180s", timeout_s=200)


def newer_chart(directory: Path) -> Path:
    """The chart as a release that follows: another version of the same."""
    chart = directory / "phoenix"
    shutil.copytree(CHART, chart)
    text = (CHART / "Chart.yaml").read_text(encoding="utf-8")
    newer, count = re.subn(r"(?m)^version: .*$", "version: 99.0.0", text)
    assert count == 1
    (chart / "Chart.yaml").write_text(newer, encoding="utf-8")
    return chart
