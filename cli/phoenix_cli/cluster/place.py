"""Which cluster a command is about: the one that was typed, else kubectl's own."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote

import yaml

from phoenix_cli.refusal import Refused

_SERVICE_ACCOUNT_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


@dataclass(frozen=True, slots=True)
class Place:
    """A cluster and a namespace of it, as typed; None is what the kubeconfig says. `everywhere`: all namespaces."""

    kubeconfig: str | None = None
    context: str | None = None
    namespace: str | None = None
    everywhere: bool = False

    @property
    def typed(self) -> str:
        """The flags that name this cluster again, with a space before each; for commands that are told to a person."""
        flags = (("--kubeconfig", self.kubeconfig), ("--context", self.context))
        return "".join(f" {flag} {quote(value)}" for flag, value in flags if value is not None)

    def of_name(self, name: str) -> "Place":
        """The namespace of `[namespace/]name` in place of all; raises `Refused` where `-n` names another one."""
        namespace, slash, _ = name.rpartition("/")
        if not slash:
            return self
        if self.namespace not in {None, namespace}:
            raise Refused(f"{name} is in namespace {namespace}, and -n names {self.namespace}: leave one of them out")
        return replace(self, namespace=namespace, everywhere=False)


def configured() -> str:
    """How the cluster is called that kubectl would use now; empty where none is configured."""
    if is_in_cluster() and not os.environ.get("KUBECONFIG"):
        return "the cluster around this pod"
    return current_context() or ""


def kubeconfig_files(kubeconfig: str | None) -> list[Path]:
    """Those that exist of what was typed, else of KUBECONFIG, else of kubectl's own place. In a pod where none is named
    there is none: its cluster is the one around it.
    """
    named = kubeconfig or os.environ.get("KUBECONFIG") or ("" if is_in_cluster() else "~/.kube/config")
    paths = (Path(part).expanduser() for part in named.split(os.pathsep) if part)
    return [path for path in paths if path.is_file()]


def current_context(kubeconfig: str | None = None) -> str | None:
    """The context that kubectl would use: the first that a file names; None where no file names one."""
    for path in kubeconfig_files(kubeconfig):
        try:
            found = yaml.safe_load(path.read_bytes())
        except (OSError, yaml.YAMLError):
            raise Refused(f"the kubeconfig {path} cannot be read: mend it, or name another with --kubeconfig") from None
        if isinstance(found, dict) and found.get("current-context"):
            return str(found["current-context"])
    return None


def is_in_cluster() -> bool:
    """Whether this runs in a pod, whose cluster is the one around it."""
    return bool(os.environ.get("KUBERNETES_SERVICE_HOST")) and _SERVICE_ACCOUNT_TOKEN.is_file()
