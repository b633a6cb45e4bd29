"""What a Secret holds is in that Secret, and in nothing else that the cluster shows, nor in what the programs tell."""

import base64
import re

import pytest
from installation import SYSTEM, TRADING, Makers
from kubectl import Kubectl, KubectlError, Object

SHOWN = "events,configmaps,pods,deployments,replicasets,statefulsets,jobs,leases,marketmakers,tradingaccounts"
PASSWORD = re.compile(r"://[^:/@]*:([^@]+)@")
SHORTEST = 16


def values_of(kubectl: Kubectl) -> dict[str, str]:
    """Every value by where it lies; of a URL its password, because host and port are no secret, and of a PEM its lines,
    which are written otherwise where they are written.
    """
    found = {}
    for secret in kubectl.list("secret"):
        for name, data in secret.get("data", {}).items():
            text = base64.b64decode(data).decode(errors="replace").strip()
            password = PASSWORD.search(text)
            where = f"{kubectl.namespace}/{secret['metadata']['name']}/{name}"
            if text.startswith("-----BEGIN "):
                found |= {f"{where}:{at}": line for at, line in enumerate(text.splitlines()) if line[:5] != "-----"}
            else:
                found[where] = password[1] if password else text
    return {where: value for where, value in found.items() if len(value) >= SHORTEST}


def runs(pod: Object) -> bool:
    return pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"]


def told_by(kubectl: Kubectl, pod: Object) -> dict[str, str]:
    """What a pod has written, and what it answers while it runs. One that ends meanwhile is an error."""
    name = pod["metadata"]["name"]
    shown = {f"log of {name}": kubectl("logs", name, "--all-containers")}
    if any(status.get("restartCount") for status in pod["status"].get("containerStatuses", ())):
        shown[f"last words of {name}"] = kubectl("logs", name, "--previous")
    if runs(pod) and pod["metadata"]["labels"].get("app.kubernetes.io/name") in {"phoenix", "phoenix-operator"}:
        for page in ("metrics", "state"):
            path = f"/api/v1/namespaces/{kubectl.namespace}/pods/{name}:8080/proxy/{page}"
            shown[f"{page} of {name}"] = kubectl("get", f"--raw={path}")
    return shown


def told(kubectl: Kubectl) -> dict[str, str]:
    """All that whoever may look at a namespace gets to see, but for its Secrets."""
    shown = {SHOWN: kubectl("get", SHOWN, "--output=yaml", "--show-managed-fields")}
    for pod in kubectl.list("pods"):
        try:
            shown |= told_by(kubectl, pod)
        except KubectlError:
            uid = pod["metadata"]["uid"]
            assert uid not in {each["metadata"]["uid"] for each in kubectl.list("pods") if runs(each)}, "it runs"
    return shown


@pytest.mark.timeout(300)
def test_no_value_of_a_secret_is_shown_by_the_cluster_or_told_by_a_program(cluster: Kubectl, makers: Makers):
    makers.apply("discreet")
    makers.quoting("discreet")
    namespaces = [cluster.within(name) for name in (TRADING, SYSTEM)]
    secrets = {where: value for kubectl in namespaces for where, value in values_of(kubectl).items()}
    assert len(secrets) >= 4, "key and secret of the account, Redis' password, at least"
    shown = {f"{kubectl.namespace}: {what}": text for kubectl in namespaces for what, text in told(kubectl).items()}
    assert any("discreet" in text for text in shown.values())
    assert [(where, what) for where, value in secrets.items() for what, text in shown.items() if value in text] == []
