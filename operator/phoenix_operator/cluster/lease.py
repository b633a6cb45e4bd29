"""The Lease by which operators agree who acts: what is in it, and how it is read and written.

Nobody's wall clock decides anything: the times in the object are for people. Who waits for a Lease to run out watches,
by his own monotonic clock, for how long it has not changed.
"""

from datetime import UTC, datetime

import msgspec

from phoenix_operator.cluster.client import ClusterClient
from phoenix_operator.cluster.faults import ClusterFault, Fault
from phoenix_operator.cluster.resources import LEASES, Json


class LeaseRecord(msgspec.Struct, frozen=True):
    """`holder` is empty after a release. `version`: resourceVersion, by which a change is seen and a write is refused
    where somebody was faster; "" where there is no Lease yet.
    """

    holder: str = ""
    duration_s: float = 0.0
    transitions: int = 0
    acquired: str = ""
    version: str = ""


class LeaseObject:
    """One Lease. Methods raise `ClusterFault`."""

    def __init__(self, client: ClusterClient, namespace: str, name: str) -> None:
        self._client = client
        self.namespace = namespace
        self.name = name

    async def read(self) -> LeaseRecord:
        told = await self._client.get(LEASES, self.namespace, self.name)
        return LeaseRecord() if told is None else _record(told)

    async def take(self, before: LeaseRecord, holder: str, duration_s: float) -> LeaseRecord | None:
        """Becomes the holder, or renews; None where somebody has written since `before`."""
        same = before.holder == holder
        now = _now()
        spec = {
            "holderIdentity": holder,
            "leaseDurationSeconds": max(1, round(duration_s)),
            "renewTime": now,
            "acquireTime": before.acquired if same and before.acquired else now,
            "leaseTransitions": before.transitions if same else before.transitions + (1 if before.version else 0),
        }
        return await self._write(before, spec)

    async def release(self, before: LeaseRecord) -> None:
        """Lets the next one in at once. No matter where somebody else holds it by now."""
        spec = {
            "holderIdentity": "",
            "leaseDurationSeconds": 1,
            "renewTime": _now(),
            "acquireTime": before.acquired or _now(),
            "leaseTransitions": before.transitions,
        }
        await self._write(before, spec)

    async def _write(self, before: LeaseRecord, spec: Json) -> LeaseRecord | None:
        meta = {"name": self.name, "namespace": self.namespace}
        wished: Json = {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {**meta, "resourceVersion": before.version} if before.version else meta,
            "spec": spec,
        }
        try:
            if before.version:
                return _record(await self._client.replace(LEASES, self.namespace, wished))
            return _record(await self._client.create(LEASES, self.namespace, wished))
        except ClusterFault as refused:
            # Not found: deleted by a person since it was read.
            if refused.fault in {Fault.CONFLICT, Fault.EXISTS, Fault.NOT_FOUND}:
                return None
            raise


def _record(told: Json) -> LeaseRecord:
    spec = told.get("spec") or {}
    return LeaseRecord(
        holder=spec.get("holderIdentity") or "",
        duration_s=float(spec.get("leaseDurationSeconds") or 0),
        transitions=int(spec.get("leaseTransitions") or 0),
        acquired=spec.get("acquireTime") or "",
        version=told["metadata"]["resourceVersion"],
    )


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
