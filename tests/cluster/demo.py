"""`make cluster-demo`: from an empty cluster to four makers that quote on the simulated exchange, by Helm; timed.

Heeds the environment as tests/cluster/run.py does. At the end an uninstall is refused, the makers are deleted, all is
removed; `KEEP=1` leaves it quoting, where the cluster is KUBECONFIG's. Ends with 1 where they do not quote within three
minutes.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from run import ROOT, NotHereError, bring_images, cluster

SYSTEM, TRADING = "phoenix-system", "trading"
AIM_S = 180.0
KINDS = ("crd/marketmakers.phoenix.trading", "crd/tradingaccounts.phoenix.trading")
CHART = "charts/phoenix"


class FailedError(Exception):
    """A step that did not come about, with what it said."""


def main() -> int:
    try:
        helm = _helm()
        with cluster() as environment:
            bring_images(environment)
            os.environ.update(environment)
            return _demo(helm)
    except (NotHereError, FailedError) as error:
        sys.stderr.write(f"make cluster-demo: {error}\n")
        return 1
    except subprocess.CalledProcessError as error:
        sys.stderr.write(f"make cluster-demo: {error.cmd} failed\n")
        return 1


def _helm() -> str:
    found = shutil.which("helm") or shutil.which("helm", path=str(Path(sys.prefix) / "helm"))
    if found is None:
        raise NotHereError("no helm: install it, or `make helm`")
    return found


def _demo(helm: str) -> int:
    began = time.monotonic()
    _install(helm)
    seconds = time.monotonic() - began
    _do(helm, "test", "phoenix", "-n", SYSTEM, "--timeout=3m")
    _do(sys.executable, "-m", "phoenix_cli", "top", "-n", TRADING, "--plain")
    sys.stdout.write(f"four makers quote {seconds:.0f} s after `helm install` (aim: {AIM_S:.0f} s)\n")
    if not os.environ.get("KEEP"):
        _remove(helm)
    return 0 if seconds <= AIM_S else 1


def _install(helm: str) -> None:
    image, _, tag = os.environ.get("REDIS_IMAGE", "").rpartition(":")
    settings = [f"--set=redis.bundled.image={image}:{tag}"] if image else []
    words = ("--create-namespace", "--set=exchange.enabled=true", *settings)
    _do(helm, "install", "phoenix", CHART, "-n", SYSTEM, *words)
    _do("kubectl", "rollout", "status", "-n", SYSTEM, "deployment/phoenix-operator", "--timeout=3m")
    _do("kubectl", "apply", "-f", "configs/cluster/")
    for condition in ("Ready", "Quoting"):
        _do("kubectl", "wait", "-n", TRADING, f"--for=condition={condition}", "mm", "--all", "--timeout=3m")
    _do("kubectl", "get", "mm", "-n", TRADING)


def _remove(helm: str) -> None:
    refused = _said(helm, "uninstall", "phoenix", "-n", SYSTEM, "--timeout=3m")
    if refused.returncode == 0 or "marketmakers trading/btcusdt" not in refused.stdout + refused.stderr:
        raise FailedError(f"uninstall was not refused: {refused.stdout}{refused.stderr}")
    sys.stdout.write(f"uninstall, while there are makers: {refused.stdout}{refused.stderr}")
    _do("kubectl", "delete", "mm,ta", "-A", "--all", "--timeout=3m")
    path = f"/api/v1/namespaces/{TRADING}/services/exchange:9000/proxy/sim/audit"
    audit = json.loads(_said("kubectl", "get", f"--raw={path}").stdout)
    sys.stdout.write(f"the exchange's audit: {audit['total']} violations\n")
    _do(helm, "uninstall", "phoenix", "-n", SYSTEM, "--timeout=3m")
    _do("kubectl", "delete", "--timeout=3m", *KINDS, f"namespace/{TRADING}", f"namespace/{SYSTEM}")
    if audit["total"]:
        raise FailedError(f"the exchange's audit: {audit}")


def _do(*command: str) -> None:
    sys.stdout.write(f"── {' '.join(command)}\n")
    sys.stdout.flush()
    subprocess.run(command, cwd=ROOT, check=True)


def _said(*command: str) -> "subprocess.CompletedProcess[str]":
    sys.stdout.write(f"── {' '.join(command)}\n")
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    sys.exit(main())
