"""Whether the watches are alive: a small object is touched, and must come round.

A connection that a middlebox has swallowed says nothing and looks like a quiet cluster. Whoever leads touches the
canary; everybody else asks the API server for it now and then. Either way the watch must show that version, or a later
one, before long; where it does not, the process is not live.
"""

import asyncio
from collections.abc import Callable, Sequence

import msgspec
import structlog

from phoenix_operator.cluster.client import ClusterClient
from phoenix_operator.cluster.faults import ClusterFault
from phoenix_operator.cluster.resources import CONFIG_MAPS, Json
from phoenix_operator.names import APPLICATION, CANARY, FIELD_MANAGER, Annotation, Label

_log = structlog.stdlib.get_logger()

PERIODS = 3
"""So many periods after a version was there it must have come round."""


class _Awaited(msgspec.Struct, frozen=True):
    version: int
    since_s: float


class Canary:
    """One object in each namespace that is watched. `us` names this process. `now_s`: monotonic seconds.

    `problem`: why it cannot be touched or asked for right now, "" while it can.
    """

    def __init__(self, client: ClusterClient, us: str, period_s: float, now_s: Callable[[], float]) -> None:
        self._client = client
        self._us = us
        self._period_s = period_s
        self._now_s = now_s
        self._namespaces: tuple[str, ...] = ()
        self._awaited: dict[str, _Awaited] = {}
        self._seen: dict[str, int] = {}
        self.problem = ""

    def watched(self, namespaces: Sequence[str]) -> None:
        """Where the canary must come round from now on."""
        self._namespaces = tuple(namespaces)
        self._awaited = {name: awaited for name, awaited in self._awaited.items() if name in self._namespaces}

    async def run(self, is_leader: Callable[[], bool]) -> None:
        """Touches it, or asks for it, until cancelled."""
        count = 0
        while True:
            problem = ""
            for namespace in self._namespaces:
                try:
                    if is_leader():
                        count += 1
                        await self.touch(namespace, count)
                    else:
                        await self.look(namespace)
                except ClusterFault as fault:
                    problem = str(fault)
            if problem and problem != self.problem:
                _log.warning("canary", reason=problem)
            self.problem = problem
            await asyncio.sleep(self._period_s)

    async def touch(self, namespace: str, count: int) -> None:
        """Writes it; raises `ClusterFault`."""
        meta = {
            "name": CANARY,
            "namespace": namespace,
            "labels": {Label.NAME.value: APPLICATION, Label.MANAGED_BY.value: FIELD_MANAGER},
            "annotations": {Annotation.TOUCHED.value: f"{self._us}.{count}"},
        }
        wished = {"apiVersion": CONFIG_MAPS.api_version, "kind": CONFIG_MAPS.kind, "metadata": meta}
        self._await(namespace, await self._client.apply(CONFIG_MAPS, namespace, wished))

    async def look(self, namespace: str) -> None:
        """Asks for it, which another process touches; raises `ClusterFault`."""
        told = await self._client.get(CONFIG_MAPS, namespace, CANARY)
        if told is not None:
            self._await(namespace, told)

    def seen(self, told: Json) -> None:
        """What a watch has shown, whichever object it is."""
        meta = told["metadata"]
        if meta["name"] == CANARY:
            version = int(meta["resourceVersion"])
            self._seen[meta["namespace"]] = max(version, self._seen.get(meta["namespace"], 0))

    def overdue(self) -> str:
        """Why the watches are not alive, "" while they are."""
        now_s = self._now_s()
        for namespace, awaited in self._awaited.items():
            late_s = now_s - awaited.since_s
            if self._seen.get(namespace, 0) < awaited.version and late_s > PERIODS * self._period_s:
                return (
                    f"no watch has shown the canary in namespace {namespace} for {late_s:.0f} s: the watches are dead"
                )
        return ""

    def _await(self, namespace: str, told: Json) -> None:
        """The oldest version that has not come round is the one that counts."""
        awaited = self._awaited.get(namespace)
        if awaited is None or self._seen.get(namespace, 0) >= awaited.version:
            self._awaited[namespace] = _Awaited(int(told["metadata"]["resourceVersion"]), self._now_s())
