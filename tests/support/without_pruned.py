"""`without_pruned.py URL`: every use of ours of pruned distributions, where what is pruned cannot be imported.

A program of its own, because what was imported once stays. Says on stdout, as JSON, what it was asked for in vain, and
fails like a program in the image would.
"""

import asyncio
import importlib
import json
import os
import pkgutil
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path

import certifi

ROOT = Path(__file__).resolve().parents[2]
OURS = (
    "phoenix_crds",
    "phoenix_coordination",
    "phoenix_worker",
    "phoenix_operator",
    "phoenix_cli",
    "phoenix_simulator",
)
WITHIN_S = 30.0
TOKEN = "of-the-plug-in"


class Pruned(MetaPathFinder):
    """Before all other finders. `asked`: modules that somebody wanted."""

    def __init__(self, pruned: Mapping[str, Sequence[str]]) -> None:
        globs = (glob for each in pruned.values() for glob in each)
        self._modules = [glob.removesuffix(".py").replace("/", ".") for glob in globs]
        self.asked: set[str] = set()

    def find_spec(self, fullname: str, *_: object) -> ModuleSpec | None:
        if any(fnmatchcase(fullname, each) for each in self._modules):
            self.asked.add(fullname)
            raise ModuleNotFoundError(f"No module named {fullname!r}: it is pruned", name=fullname)
        return None


def import_all() -> None:
    for name in OURS:
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            importlib.import_module(module.name)


def kubeconfig(place: Path, server: str) -> str:
    """Of one whose token a plug-in gives."""
    status = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": TOKEN}}
    plugin = {
        "apiVersion": status["apiVersion"],
        "command": "sh",
        "args": ["-c", f"echo {shlex.quote(json.dumps(status))}"],
        "interactiveMode": "Never",
    }
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it", "namespace": "place"}}],
        "clusters": [{"name": "it", "cluster": {"server": server}}],
        "users": [{"name": "it", "user": {"exec": plugin}}],
    }
    (place / "config").write_text(json.dumps(config))
    return str(place / "config")


async def outside_a_cluster(place: Path, server: str) -> None:
    """Asks for one object, then watches every kind until one has been heard of."""
    from phoenix_operator.cluster.client import connect  # noqa: PLC0415 - not before the hook is there
    from phoenix_operator.cluster.resources import CONFIG_MAPS  # noqa: PLC0415 - as above
    from phoenix_operator.handlers import Watches  # noqa: PLC0415 - as above

    async with asyncio.timeout(WITHIN_S), connect(kubeconfig(place, server)) as client:
        assert await client.get(CONFIG_MAPS, client.namespace, "object")
        heard = asyncio.Event()
        watches = Watches(client, [client.namespace], lambda *_: heard.set())
        watches.start()
        try:
            await heard.wait()
        finally:
            await watches.stop()


async def in_a_cluster(place: Path) -> None:
    from kubernetes.aio.config import incluster_config  # noqa: PLC0415 - not before the hook is there
    from phoenix_operator.cluster import client  # noqa: PLC0415 - as above

    for name in ("token", "namespace"):
        (place / name).write_text("here")
    client._OWN_NAMESPACE = place / "namespace"
    incluster_config.SERVICE_TOKEN_FILENAME = str(place / "token")
    incluster_config.SERVICE_CERT_FILENAME = certifi.where()
    os.environ.update(KUBERNETES_SERVICE_HOST="127.0.0.1", KUBERNETES_SERVICE_PORT="1")
    async with client.connect() as server:
        assert server.namespace == "here"
        assert await server.configuration.get_api_key_with_prefix("BearerToken") == "bearer here"


def main(server: str) -> None:
    sys.path[:0] = [str(ROOT / each.partition("_")[2]) for each in OURS]
    sys.path.append(str(ROOT / "requirements"))
    pruned = Pruned(importlib.import_module("prune").PRUNED)
    sys.meta_path.insert(0, pruned)
    os.environ.pop("KUBECONFIG", None)
    import_all()
    with tempfile.TemporaryDirectory() as place:
        asyncio.run(outside_a_cluster(Path(place), server))
        asyncio.run(in_a_cluster(Path(place)))
    json.dump(sorted(pruned.asked), sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
