"""What the API server has told, by watches, lists and answers to our own writes: the newest of each object.

An object is kept as compressed JSON and read when it is wanted: a thousand makers with children are some megabytes so,
and a hundred as Python dictionaries. Order among what is told is the resourceVersion's, so a watch that is late
never undoes what an answer has said, and what was deleted does not come back.
"""

import hashlib
import zlib
from collections.abc import Collection, Iterable, Iterator
from typing import Any, TypeVar, cast

import msgspec
import orjson

from phoenix_operator.cluster.resources import MARKET_MAKERS, OWN_KINDS, PODS, TRADING_ACCOUNTS, WATCHED, Json, Resource
from phoenix_operator.names import Label

_REMEMBERED_DELETIONS = 20_000
_FASTEST = 1
"""Of zlib's levels. It takes 50 µs, 10 to read it again, and leaves two fifths; the smallest a twentieth less."""

Name = tuple[str, str]
"""Namespace and name."""
Market = tuple[str, str, str]
"""Namespace, account and symbol."""


Key = TypeVar("Key")
Member = TypeVar("Member")


class Change(msgspec.Struct, frozen=True):
    """An object is there, is another, or is gone. `maker`: the one whose child it is, "" for our own kinds.

    `quiet`: only what makes no difference to anybody else has changed.
    """

    resource: Resource
    namespace: str
    name: str
    maker: str
    gone: bool = False
    quiet: bool = False


class _Entry(msgspec.Struct, frozen=True):
    """`packed`: the object. `essence`: digest of what of it may make a difference to anybody."""

    uid: str
    version: int
    maker: str
    market: Market | None
    packed: bytes
    essence: bytes

    def unpacked(self) -> Json:
        return cast("Json", orjson.loads(zlib.decompress(self.packed)))


class Store:
    """One process's view of the cluster. What takes in something told returns the change, None where it is no news."""

    def __init__(self) -> None:
        self._entries: dict[Resource, dict[Name, _Entry]] = {resource: {} for resource in WATCHED}
        self._children: dict[Resource, dict[Name, set[str]]] = {resource: {} for resource in WATCHED}
        self._pods: dict[Market, set[Name]] = {}
        self._gone: dict[str, None] = {}

    # -- told --------------------------------------------------------------------------------------

    def observe(self, resource: Resource, told: Json) -> Change | None:
        """An object as it is now, or was a moment ago."""
        meta = told["metadata"]
        name = (meta.get("namespace", ""), meta["name"])
        uid, version = meta["uid"], _order(meta["resourceVersion"])
        known = self._entries[resource].get(name)
        if uid in self._gone or (known is not None and version <= known.version):
            return None
        entry = _entry(resource, told, uid, version)
        if known is not None and known.uid != uid:
            self._drop(resource, name, known)
        self._entries[resource][name] = entry
        if known is not None and (known.maker, known.market) != (entry.maker, entry.market):
            self._unlink(resource, name, known)
        self._link(resource, name, entry)
        quiet = known is not None and known.uid == uid and known.essence == entry.essence
        return Change(resource, *name, entry.maker, quiet=quiet)

    def forget(self, resource: Resource, told: Json) -> Change | None:
        """An object that is gone. One that has been made anew under its name meanwhile stays."""
        meta = told["metadata"]
        name = (meta.get("namespace", ""), meta["name"])
        self._bury(meta["uid"])
        known = self._entries[resource].get(name)
        if known is None or known.uid != meta["uid"]:
            return None
        self._drop(resource, name, known)
        return Change(resource, *name, known.maker, gone=True)

    def relisted(self, resource: Resource, namespace: str | None, there: Collection[str], version: str) -> list[Change]:
        """A list as of `version`, of one namespace or (None) of all, is through: whose UID is not `there` is gone."""
        changes = []
        until = _order(version)
        for name, entry in list(self._entries[resource].items()):
            if namespace in {None, name[0]} and entry.uid not in there and entry.version <= until:
                self._bury(entry.uid)
                self._drop(resource, name, entry)
                changes.append(Change(resource, *name, entry.maker, gone=True))
        return changes

    # -- asked -------------------------------------------------------------------------------------

    def get(self, resource: Resource, namespace: str, name: str) -> Json | None:
        entry = self._entries[resource].get((namespace, name))
        return None if entry is None else entry.unpacked()

    def version(self, resource: Resource, namespace: str, name: str) -> tuple[str, int] | None:
        """UID and resourceVersion; equal ones mean an equal object."""
        entry = self._entries[resource].get((namespace, name))
        return None if entry is None else (entry.uid, entry.version)

    def children(self, resource: Resource, namespace: str, maker: str) -> list[Json]:
        """Of that kind, by name."""
        entries = self._entries[resource]
        names = sorted(self._children[resource].get((namespace, maker), ()))
        return [entries[namespace, name].unpacked() for name in names]

    def pods_of(self, market: Market) -> list[Json]:
        """Of whichever makers, by name."""
        entries = self._entries[PODS]
        return [entries[name].unpacked() for name in sorted(self._pods.get(market, ()))]

    def names(self, resource: Resource) -> Iterator[Name]:
        return iter(tuple(self._entries[resource]))

    def count(self, resource: Resource) -> int:
        return len(self._entries[resource])

    # -- helpers -----------------------------------------------------------------------------------

    def _drop(self, resource: Resource, name: Name, entry: _Entry) -> None:
        del self._entries[resource][name]
        self._unlink(resource, name, entry)

    def _link(self, resource: Resource, name: Name, entry: _Entry) -> None:
        if entry.maker:
            self._children[resource].setdefault((name[0], entry.maker), set()).add(name[1])
        if entry.market is not None:
            self._pods.setdefault(entry.market, set()).add(name)

    def _unlink(self, resource: Resource, name: Name, entry: _Entry) -> None:
        if entry.maker:
            leave(self._children[resource], (name[0], entry.maker), name[1])
        if entry.market is not None:
            leave(self._pods, entry.market, name)

    def _bury(self, uid: str) -> None:
        """What is still said about it afterwards, by an answer or a slow watch, is old."""
        self._gone[uid] = None
        while len(self._gone) > _REMEMBERED_DELETIONS:
            del self._gone[next(iter(self._gone))]


def _entry(resource: Resource, told: Json, uid: str, version: int) -> _Entry:
    meta: Json = dict(told["metadata"])
    # Which manager wrote last is worth keeping (a fight names it); which fields each owns is most of the text.
    meta["managedFields"] = _managers(meta.get("managedFields") or ())
    kept = {**told, "apiVersion": resource.api_version, "kind": resource.kind, "metadata": meta}
    labels = meta.get("labels") or {}
    maker = "" if resource in OWN_KINDS else str(labels.get(Label.MAKER, ""))
    market = None
    if resource == PODS and Label.ACCOUNT in labels and Label.SYMBOL in labels:
        market = (meta["namespace"], labels[Label.ACCOUNT], labels[Label.SYMBOL])
    packed = zlib.compress(orjson.dumps(kept), _FASTEST)
    return _Entry(uid, version, maker, market, packed, _digest(_essence(resource, kept)))


def leave(index: dict[Key, set[Member]], key: Key, member: Member) -> None:
    """Takes a member out of one of an index' sets; an empty set is not kept."""
    members = index.get(key, set())
    members.discard(member)
    if not members:
        index.pop(key, None)


def _digest(essence: Json) -> bytes:
    return hashlib.blake2b(orjson.dumps(essence, option=orjson.OPT_SORT_KEYS), digest_size=16).digest()


def _managers(fields: Iterable[Json]) -> list[Json]:
    return [{key: each[key] for key in ("manager", "operation", "time") if key in each} for each in fields]


def _essence(resource: Resource, kept: Json) -> Json:
    """Without what changes by being written. Of our own resources the status is ours, and no news: but for what people
    ask for in it.
    """
    meta: dict[str, Any] = {
        key: value for key, value in kept["metadata"].items() if key not in {"resourceVersion", "managedFields"}
    }
    essence: Json = {**kept, "metadata": meta}
    if resource == MARKET_MAKERS:
        essence.pop("status", None)
    elif resource == TRADING_ACCOUNTS:
        essence["status"] = (kept.get("status") or {}).get("requests") or []
    return essence


def _order(version: str) -> int:
    """Kubernetes promises since 1.35 that versions of one kind are decimal numbers that grow, and always kept to it."""
    return int(version)
