"""Which namespaces can be watched: asked of the API server beforehand, so that one missing Role stops one namespace."""

import asyncio
from collections.abc import Sequence
from enum import Enum, auto

from phoenix_operator.cluster.client import ClusterClient
from phoenix_operator.cluster.faults import ClusterFault
from phoenix_operator.cluster.resources import ACCESS_REVIEWS, NAMESPACES, WATCHED, Json, Resource

_VERBS = ("list", "watch")
_AT_ONCE = 4


async def missing_rights(client: ClusterClient, namespace: str | None) -> str:
    """What must be granted before the namespace (None: all of them) can be watched, as a sentence; "" where nothing.

    Everybody who is authenticated may ask. Raises `ClusterFault`.
    """
    wanted = [(resource, verb) for resource in WATCHED for verb in _VERBS]
    gate = asyncio.Semaphore(_AT_ONCE)
    allowed = await asyncio.gather(*(_may(client, gate, namespace, resource, verb) for resource, verb in wanted))
    missing = [each for each, is_allowed in zip(wanted, allowed, strict=True) if not is_allowed]
    if not missing:
        return ""
    where = f"namespace {namespace}" if namespace else "all namespaces"
    return f"RBAC does not let the operator see {where}: grant it {_told(missing)} there (deploy/ has all)"


class Presence(Enum):
    """What the API server says of a namespace itself."""

    THERE = auto()
    ENDING = auto()
    """It is being deleted: its Role goes before what we hold in it does."""
    ABSENT = auto()
    UNKNOWN = auto()


async def presence_of(client: ClusterClient, namespace: str) -> Presence:
    """UNKNOWN where nobody says."""
    try:
        found = await client.get(NAMESPACES, None, namespace)
    except ClusterFault:
        return Presence.UNKNOWN
    if found is None:
        return Presence.ABSENT
    return Presence.ENDING if "deletionTimestamp" in found["metadata"] else Presence.THERE


async def _may(
    client: ClusterClient, gate: asyncio.Semaphore, namespace: str | None, resource: Resource, verb: str
) -> bool:
    attributes = {"verb": verb, "group": resource.group, "resource": resource.plural}
    if namespace:
        attributes["namespace"] = namespace
    review: Json = {
        "apiVersion": ACCESS_REVIEWS.api_version,
        "kind": ACCESS_REVIEWS.kind,
        "spec": {"resourceAttributes": attributes},
    }
    async with gate:  # a start is no reason for a burst
        told = await client.create(ACCESS_REVIEWS, None, review)
    return bool(told["status"]["allowed"])


def _told(missing: Sequence[tuple[Resource, str]]) -> str:
    by_resource: dict[str, list[str]] = {}
    for resource, verb in missing:
        by_resource.setdefault(resource.told, []).append(verb)
    return ", ".join(f"{' and '.join(verbs)} on {resource}" for resource, verbs in by_resource.items())
