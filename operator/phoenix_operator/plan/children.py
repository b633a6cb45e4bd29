"""What a maker's children look like: Deployment, ConfigMap, PodDisruptionBudget, withdraw Job.

Everything is written as the API server would write it (no field at its empty value, quantities in canonical form), so
that an object of ours that nobody touched shows no difference. Resources say nothing about image, service account and
mounts: those come from the operator's settings alone.
"""

from collections.abc import Mapping
from typing import Any

from phoenix_crds import API_VERSION, OnDelete

from phoenix_operator.names import APPLICATION, CONTAINER, FIELD_MANAGER, Annotation, Component, Label
from phoenix_operator.plan.difference import digest, sealed
from phoenix_operator.plan.facts import MakerResource, Meta
from phoenix_operator.plan.quantities import canonical_quantity
from phoenix_operator.plan.resolved import Resolved
from phoenix_operator.settings import Settings

TEMPLATE_REVISION = 1
"""Grows when the rendering of a pod changes, and only then: pods of an older one stay as they are unless settings say
`rollOnUpgrade`. What enters the template hash is never left out again, and something new only where it is set, so that
an older hash can still be computed."""

GRACE_S = 45
"""Withdrawing takes a few requests; an exchange that answers slowly gets time, a node that drains is not held up."""
WITHDRAW_DEADLINE_S = 120
WITHDRAW_ATTEMPTS = 3
_PORT = 8080
_RESOLVED, _CREDENTIALS, _REDIS, _STATE = (
    "/etc/phoenix/resolved",
    "/etc/phoenix/credentials",
    "/etc/phoenix/redis",
    "/var/lib/phoenix",
)
_STATE_SIZE = "640Mi"
"""Recordings are capped at 512 MiB; beyond the size limit the kubelet evicts the pod."""
_READABLE_BY_GROUP = 0o440
_HASH_DIGITS = 10


# -- names and digests -------------------------------------------------------------------------------


def template_hash(wanted: Resolved, settings: Settings, revision: int = TEMPLATE_REVISION) -> str:
    """Digest of all that is cold, 10 hex digits: what differs in it needs another pod."""
    security = settings.pod_security
    platform = {
        "image": settings.image,
        "imagePullPolicy": settings.image_pull_policy,
        "imagePullSecrets": settings.image_pull_secrets,
        "serviceAccountName": settings.service_account_name,
        "redisSecret": (settings.redis_secret.name, settings.redis_secret.key),
        "resources": _resources(settings),
        "nodeSelector": settings.node_selector,
        "tolerations": _tolerations(settings),
        "priorityClassName": settings.priority_class_name,
        "podSecurity": (security.run_as_user, security.run_as_group, security.fs_group),
        "podLabels": settings.pod_labels,
        "podAnnotations": settings.pod_annotations,
    }
    return digest({"revision": revision, "platform": platform, **wanted.cold})[:_HASH_DIGITS]


def connection_digest(wanted: Resolved) -> str:
    """Of how the exchange is reached and under which key: what can heal workers that hear nothing."""
    reached = wanted.account.spec.model_dump(
        mode="json", include={"environment", "endpoints", "credentials_secret_ref"}
    )
    return digest(reached)[:_HASH_DIGITS]


def config_map_name(maker: str, template: str) -> str:
    return f"{maker}-{template}"


def job_name(maker: str) -> str:
    return f"{maker}-withdraw"


# -- children ----------------------------------------------------------------------------------------


def config_map(maker: MakerResource, template: str, data: Mapping[str, str], settings: Settings) -> dict[str, Any]:
    """The resolved parameters that pods of one template read."""
    meta = _metadata(maker, config_map_name(maker.meta.name, template), settings, {Label.TEMPLATE.value: template})
    return sealed({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": dict(data)})


def deployment(maker: MakerResource, wanted: Resolved, template: str, settings: Settings) -> dict[str, Any]:
    """One pod, two with a standby. A roll adds a pod first and takes the old one away once the new one is ready."""
    # By account they are scaled to zero, by a person who has to stop one where no operator is.
    labels = {Label.ACCOUNT.value: wanted.account.metadata.name, Label.TEMPLATE.value: template}
    meta = _metadata(maker, maker.meta.name, settings, labels)
    meta["annotations"] = {
        Annotation.REVISION.value: str(TEMPLATE_REVISION),
        Annotation.CONNECTION.value: connection_digest(wanted),
    }
    spec = {
        "replicas": replicas(wanted),
        "revisionHistoryLimit": 2,
        "progressDeadlineSeconds": 600,
        "selector": {"matchLabels": _selector(maker.meta)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "template": {
            "metadata": _pruned(
                {
                    "labels": _pod_labels(maker, wanted, Component.WORKER, template, settings),
                    "annotations": dict(settings.pod_annotations),
                }
            ),
            "spec": _pod(maker, wanted, template, settings, _worker_container(settings), restart="Always"),
        },
    }
    return sealed({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec})


def replicas(wanted: Resolved) -> int:
    return 2 if wanted.maker.spec.standby else 1


def budget(maker: MakerResource, settings: Settings) -> dict[str, Any]:
    """Of a maker with a standby: a drain takes one pod at a time, and one that is unready anyway at any time."""
    spec = {
        "minAvailable": 1,
        "selector": {"matchLabels": _selector(maker.meta)},
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }
    meta = _metadata(maker, maker.meta.name, settings, {})
    return sealed({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": meta, "spec": spec})


def withdraw_job(maker: MakerResource, wanted: Resolved, template: str, settings: Settings) -> dict[str, Any]:
    """Takes the lease, cancels, closes the position if asked, settles the ledger's entry; bounded in time.

    `template`: whose ConfigMap it reads.
    """
    labels = _pod_labels(maker, wanted, Component.WITHDRAW, template, settings)
    container = _container(settings, _withdraw_arguments(wanted.maker.spec.on_delete))
    spec = {
        "backoffLimit": WITHDRAW_ATTEMPTS,
        "activeDeadlineSeconds": WITHDRAW_DEADLINE_S,
        "template": {
            "metadata": _pruned({"labels": labels, "annotations": dict(settings.pod_annotations)}),
            "spec": _pod(maker, wanted, template, settings, container, restart="Never"),
        },
    }
    meta = _metadata(maker, job_name(maker.meta.name), settings, {})
    return sealed({"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": spec})


# -- pods --------------------------------------------------------------------------------------------


def _pod(
    maker: MakerResource,
    wanted: Resolved,
    template: str,
    settings: Settings,
    container: dict[str, Any],
    *,
    restart: str,
) -> dict[str, Any]:
    """Non-root, no token, nothing writable but its state; passes Pod Security `restricted`."""
    security = settings.pod_security
    return _pruned(
        {
            "affinity": {"podAntiAffinity": _apart(maker.meta)} if restart == "Always" else None,
            "automountServiceAccountToken": False,
            "containers": [container],
            "enableServiceLinks": False,
            "imagePullSecrets": [{"name": name} for name in settings.image_pull_secrets],
            "nodeSelector": dict(settings.node_selector),
            "priorityClassName": settings.priority_class_name,
            "restartPolicy": restart,
            "securityContext": _pruned(
                {
                    "fsGroup": security.fs_group,
                    "runAsGroup": security.run_as_group,
                    "runAsNonRoot": True,
                    "runAsUser": security.run_as_user,
                    "seccompProfile": {"type": "RuntimeDefault"},
                }
            ),
            "serviceAccountName": settings.service_account_name,
            "terminationGracePeriodSeconds": GRACE_S,
            "tolerations": _tolerations(settings),
            "volumes": _volumes(maker, wanted, template, settings),
        }
    )


def _apart(meta: Meta) -> dict[str, Any]:
    """Two pods of one maker on two nodes where that can be; always said, so that a standby can come without a roll."""
    term = {"labelSelector": {"matchLabels": _selector(meta)}, "topologyKey": "kubernetes.io/hostname"}
    return {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": term}]}


def _worker_container(settings: Settings) -> dict[str, Any]:
    """`/livez`: stuck for 15 s. `/startupz`: a start by itself takes seconds, a minute on a node where everything
    starts at once, and would take longer where it is killed and begun anew; one that waits for the world passes.
    `/readyz`: often, because a roll waits for it.
    """
    probes = {
        "startupProbe": _probe("/startupz", period_s=1, failures=180),
        "livenessProbe": _probe("/livez", period_s=5, failures=3),
        "readinessProbe": _probe("/readyz", period_s=2, failures=2),
    }
    ports = [{"containerPort": _PORT, "name": "http", "protocol": "TCP"}]
    return {**_container(settings, []), "ports": ports, **probes}


def _container(settings: Settings, more_arguments: list[str]) -> dict[str, Any]:
    arguments = [
        *("--maker", f"{_RESOLVED}/maker.yaml", "--account", f"{_RESOLVED}/account.yaml"),
        *("--credentials", _CREDENTIALS, "--redis", f"@{_REDIS}/url"),
        *("--http", f"0.0.0.0:{_PORT}", "--state-dir", _STATE),
        *more_arguments,
    ]
    return {
        "name": CONTAINER,
        "image": settings.image,
        "imagePullPolicy": settings.image_pull_policy.value,
        "command": ["phoenix", "worker"],
        "args": arguments,
        "env": [{"name": "POD_UID", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.uid"}}}],
        "resources": _resources(settings),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "terminationMessagePolicy": "File",
        "volumeMounts": [
            {"mountPath": _RESOLVED, "name": "resolved", "readOnly": True},
            {"mountPath": _CREDENTIALS, "name": "credentials", "readOnly": True},
            {"mountPath": _REDIS, "name": "redis", "readOnly": True},
            {"mountPath": _STATE, "name": "state"},
        ],
    }


def _withdraw_arguments(on_delete: OnDelete) -> list[str]:
    return ["--withdraw", "--flatten"] if on_delete is OnDelete.FLATTEN else ["--withdraw"]


def _probe(path: str, *, period_s: int, failures: int) -> dict[str, Any]:
    return {
        "failureThreshold": failures,
        "httpGet": {"path": path, "port": "http", "scheme": "HTTP"},
        "periodSeconds": period_s,
        "timeoutSeconds": 2,
    }


def _volumes(maker: MakerResource, wanted: Resolved, template: str, settings: Settings) -> list[dict[str, Any]]:
    """Secrets are optional mounts: the worker itself names what is missing, and goes on when it appears."""
    key = wanted.account.spec.credentials_secret_ref
    credentials: dict[str, Any] = {"emptyDir": {}}
    if key is not None:
        credentials = {"secret": {"defaultMode": _READABLE_BY_GROUP, "optional": True, "secretName": key.name}}
    redis = {
        "defaultMode": _READABLE_BY_GROUP,
        "items": [{"key": settings.redis_secret.key, "path": "url"}],
        "optional": True,
        "secretName": settings.redis_secret.name,
    }
    return [
        {"name": "resolved", "configMap": {"name": config_map_name(maker.meta.name, template)}},
        {"name": "credentials", **credentials},
        {"name": "redis", "secret": redis},
        {"name": "state", "emptyDir": {"sizeLimit": _STATE_SIZE}},
    ]


def _resources(settings: Settings) -> dict[str, Any]:
    cpu = canonical_quantity(settings.resources.cpu_quantity)
    memory = canonical_quantity(settings.resources.memory_quantity)
    limits = {"cpu": cpu, "memory": memory} if settings.resources.cpu_is_limited else {"memory": memory}
    return {"limits": limits, "requests": {"cpu": cpu, "memory": memory}}


def _tolerations(settings: Settings) -> list[dict[str, Any]]:
    return [each.model_dump(mode="json", by_alias=True, exclude_none=True) for each in settings.tolerations]


# -- metadata ----------------------------------------------------------------------------------------


def _metadata(maker: MakerResource, name: str, settings: Settings, labels: Mapping[str, str]) -> dict[str, Any]:
    owner = {
        "apiVersion": API_VERSION,
        "blockOwnerDeletion": False,
        "controller": True,
        "kind": "MarketMaker",
        "name": maker.meta.name,
        "uid": maker.meta.uid,
    }
    handed_on = {key: maker.meta.labels[key] for key in settings.propagated_labels if key in maker.meta.labels}
    return {
        "name": name,
        "namespace": maker.meta.namespace,
        "labels": {**handed_on, **_common(maker.meta), **labels},
        "ownerReferences": [owner],
    }


def _common(meta: Meta) -> dict[str, str]:
    return {
        Label.NAME.value: APPLICATION,
        Label.MANAGED_BY.value: FIELD_MANAGER,
        Label.MAKER.value: meta.name,
    }


def _selector(meta: Meta) -> dict[str, str]:
    """Immutable in a Deployment: it names the maker and nothing that may change."""
    return {
        Label.NAME.value: APPLICATION,
        Label.COMPONENT.value: Component.WORKER.value,
        Label.MAKER.value: meta.name,
    }


def _pod_labels(
    maker: MakerResource, wanted: Resolved, component: Component, template: str, settings: Settings
) -> dict[str, str]:
    return {
        **settings.pod_labels,
        **_common(maker.meta),
        Label.COMPONENT.value: component.value,
        Label.ACCOUNT.value: wanted.account.metadata.name,
        Label.SYMBOL.value: wanted.maker.spec.symbol,
        Label.TEMPLATE.value: template,
    }


def _pruned(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Without what the server would leave out."""
    return {name: value for name, value in fields.items() if value is not None and value not in ({}, [])}
