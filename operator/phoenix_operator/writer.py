"""What a plan asks of the API server, done. Every answer is a fact at once: nobody waits for a watch to say it.

Methods raise `ClusterFault`; an object that has gone meanwhile is no fault where it was to be changed or deleted.
"""

from collections.abc import Callable, Mapping
from typing import Any

from phoenix_crds import AccountStatus, MakerStatus

from phoenix_operator.census import Census
from phoenix_operator.cluster.client import ClusterClient
from phoenix_operator.cluster.faults import ClusterFault, Fault
from phoenix_operator.cluster.resources import (
    BY_KIND,
    DEPLOYMENTS,
    MARKET_MAKERS,
    PODS,
    TRADING_ACCOUNTS,
    Json,
    Resource,
)
from phoenix_operator.cluster.store import Store
from phoenix_operator.names import Finalizer
from phoenix_operator.plan.facts import AccountResource, Meta
from phoenix_operator.plan.observed import meta_of
from phoenix_operator.plan.outcome import Apply, Delete, PodPatch, Scale
from phoenix_operator.queue import Key

_OUTDATED = ("rejected our request due to an error in our request", "no new finalizers can be added")
"""What the API server says (with 422, as of an object that is invalid) where a JSON patch does not fit any more: its
test fails, or it comes after a deletion."""


class NotOursError(Exception):
    """A child's name is taken by an object that is not ours: `str()` is its kind and name."""


class Writer:
    """`mark` is called with whom an answer concerns."""

    def __init__(self, client: ClusterClient, store: Store, census: Census, mark: Callable[[Key], None]) -> None:
        self._client = client
        self._store = store
        self._census = census
        self._mark = mark

    # -- children ----------------------------------------------------------------------------------

    async def apply(self, namespace: str, owner_uid: str, wish: Apply) -> None:
        """Raises `NotOursError` where something of that name is there that `owner_uid` does not control."""
        resource = BY_KIND[wish.kind]
        wished = _with_uid(wish.manifest, wish.uid)
        try:
            self._take(resource, await self._client.apply(resource, namespace, wished, force=wish.force))
        except ClusterFault as refused:
            if wish.force or refused.fault is not Fault.CONFLICT:
                raise
            await self._apply_over(resource, namespace, owner_uid, wish)

    async def _apply_over(self, resource: Resource, namespace: str, owner_uid: str, wish: Apply) -> None:
        """We thought that there was nothing, and there is."""
        found = await self._client.list(resource, namespace, field_selector=f"metadata.name={wish.name}")
        for live in found:
            owners = live["metadata"].get("ownerReferences") or ()
            if not any(owner.get("controller") and owner["uid"] == owner_uid for owner in owners):
                raise NotOursError(f"{wish.kind} {wish.name}")
            wished = _with_uid(wish.manifest, live["metadata"]["uid"])
            self._take(resource, await self._client.apply(resource, namespace, wished))

    async def scale(self, namespace: str, wish: Scale) -> None:
        change = {"metadata": {"uid": wish.uid}, "spec": {"replicas": wish.replicas}}
        await self._patch(DEPLOYMENTS, namespace, wish.name, wish.uid, change)

    async def patch_pod(self, namespace: str, wish: PodPatch) -> None:
        change = {"metadata": {"uid": wish.uid, "annotations": dict(wish.annotations)}}
        await self._patch(PODS, namespace, wish.name, wish.uid, change)

    async def delete(self, namespace: str, wish: Delete) -> None:
        resource = BY_KIND[wish.kind]
        try:
            left = await self._client.delete(resource, namespace, wish.name, wish.uid)
        except ClusterFault as refused:
            if refused.fault not in {Fault.NOT_FOUND, Fault.CONFLICT}:
                raise
            left = None  # of a conflict: another object has the name, this one is gone
        if left is None:
            self._forget(resource, namespace, wish.name, wish.uid)
        else:
            self._take(resource, left)

    # -- our own resources -------------------------------------------------------------------------

    async def write_maker_status(self, meta: Meta, status: MakerStatus) -> None:
        await self._write_status(MARKET_MAKERS, meta, status.model_dump(mode="json", by_alias=True, exclude_none=True))

    async def write_account_status(self, account: AccountResource, status: AccountStatus) -> None:
        """All of it that is the operator's: what people ask for (`requests`) is theirs. What cannot be read stays."""
        written = status.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"requests"})
        await self._write_status(TRADING_ACCOUNTS, account.meta, {**written, **account.kept})

    async def forget_request(self, meta: Meta, request: str) -> None:
        """Removes the one of that id from `status.requests`, where it waits there still."""
        live = self._store.get(TRADING_ACCOUNTS, meta.namespace, meta.name)
        waiting = [each.get("id") for each in ((live or {}).get("status") or {}).get("requests") or ()]
        if request not in waiting:
            return
        path = f"/status/requests/{waiting.index(request)}"
        operations = [{"op": "test", "path": f"{path}/id", "value": request}, {"op": "remove", "path": path}]
        await self._json_patch(TRADING_ACCOUNTS, meta, operations, "status")

    async def add_finalizer(self, resource: Resource, meta: Meta, finalizer: Finalizer) -> None:
        """With a test of all that is there, so that nobody else's is lost."""
        meta = self._present(resource, meta)
        if finalizer in meta.finalizers:
            return
        operations: list[Json] = [{"op": "test", "path": "/metadata/uid", "value": meta.uid}]
        if meta.finalizers:
            operations += [
                {"op": "test", "path": "/metadata/finalizers", "value": list(meta.finalizers)},
                {"op": "add", "path": "/metadata/finalizers/-", "value": finalizer.value},
            ]
        else:
            operations += [
                {"op": "test", "path": "/metadata/resourceVersion", "value": meta.resource_version},
                {"op": "add", "path": "/metadata/finalizers", "value": [finalizer.value]},
            ]
        await self._json_patch(resource, meta, operations)

    async def remove_finalizer(self, resource: Resource, meta: Meta, finalizer: Finalizer) -> None:
        """With a test that ours is where we remove one."""
        meta = self._present(resource, meta)
        if finalizer not in meta.finalizers:
            return
        path = f"/metadata/finalizers/{meta.finalizers.index(finalizer.value)}"
        operations: list[Json] = [
            {"op": "test", "path": "/metadata/uid", "value": meta.uid},
            {"op": "test", "path": path, "value": finalizer.value},
            {"op": "remove", "path": path},
        ]
        await self._json_patch(resource, meta, operations)

    # -- helpers -----------------------------------------------------------------------------------

    def _present(self, resource: Resource, meta: Meta) -> Meta:
        """The metadata as our own writes of this round have left it."""
        live = self._store.get(resource, meta.namespace, meta.name)
        return meta if live is None or live["metadata"]["uid"] != meta.uid else meta_of(live)

    async def _write_status(self, resource: Resource, meta: Meta, status: Mapping[str, Any]) -> None:
        wished: Json = {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {"name": meta.name, "namespace": meta.namespace, "uid": meta.uid},
            "status": status,
        }
        try:
            self._take(resource, await self._client.apply(resource, meta.namespace, wished, "status"))
        except ClusterFault as refused:
            if refused.fault is not Fault.NOT_FOUND:
                raise
            self._forget(resource, meta.namespace, meta.name, meta.uid)

    async def _patch(self, resource: Resource, namespace: str, name: str, uid: str, change: Json) -> None:
        try:
            self._take(resource, await self._client.merge_patch(resource, namespace, name, change))
        except ClusterFault as refused:
            if refused.fault not in {Fault.NOT_FOUND, Fault.CONFLICT}:
                raise
            self._forget(resource, namespace, name, uid)

    async def _json_patch(self, resource: Resource, meta: Meta, operations: list[Json], subresource: str = "") -> None:
        try:
            self._take(
                resource, await self._client.json_patch(resource, meta.namespace, meta.name, operations, subresource)
            )
        except ClusterFault as refused:
            if refused.fault is Fault.NOT_FOUND:
                self._forget(resource, meta.namespace, meta.name, meta.uid)
            elif refused.fault is Fault.INVALID and any(each in str(refused) for each in _OUTDATED):
                raise ClusterFault(Fault.CONFLICT, f"{resource.kind} {meta.name} has changed meanwhile") from None
            else:
                raise

    def _take(self, resource: Resource, answer: Json) -> None:
        change = self._store.observe(resource, answer)
        if change is not None:
            self._tell(self._census.observe(change))

    def _forget(self, resource: Resource, namespace: str, name: str, uid: str) -> None:
        change = self._store.forget(resource, {"metadata": {"namespace": namespace, "name": name, "uid": uid}})
        if change is not None:
            self._tell(self._census.observe(change))

    def _tell(self, concerned: set[Key]) -> None:
        for key in concerned:
            self._mark(key)


def _with_uid(manifest: Mapping[str, Any], uid: str) -> Json:
    """The UID as a precondition: an object that has been made anew under its name is another one."""
    return {**manifest, "metadata": {**manifest["metadata"], "uid": uid}} if uid else dict(manifest)
