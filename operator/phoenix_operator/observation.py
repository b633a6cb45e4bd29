"""How the operator comes to know the cluster, and how it knows that it does.

    wait     until the API server serves our kinds, and lets us see the namespaces
    watch    every kind (`handlers`), from a list on
    relist   everything by ourselves, before the first plan, soon after the watches have begun, and ever again: what was
             deleted while nobody watched shows by its absence
    end      of a namespace that is being deleted the Role goes first: our own kinds in it are listed on, until they
             have gone, so that no finalizer of ours keeps it

Nothing is planned before the first relist is through: an object that has not been told of yet is not absent.
"""

import asyncio
import random
from collections.abc import Callable, Sequence

import structlog

from phoenix_operator.canary import Canary
from phoenix_operator.cluster.access import is_ending, missing_rights
from phoenix_operator.cluster.client import ClusterClient
from phoenix_operator.cluster.faults import ClusterFault
from phoenix_operator.cluster.resources import CONFIG_MAPS, OWN_KINDS, WATCHED, Json, Resource
from phoenix_operator.cluster.store import Change, Store
from phoenix_operator.handlers import Watches
from phoenix_operator.names import SELECTOR

_log = structlog.stdlib.get_logger()

ASK_AGAIN_S = 5.0
SETTLED_S = 10.0
"""After so long kopf's watches have begun: a second list finds what was deleted between ours and theirs."""
RIGHTS_AGAIN_S = 10.0
_REWATCH_S = (1.0, 30.0)


Namespaces = tuple[str | None, ...]
"""None: all of them."""


class Observation:
    """`changed` is called with each change; `resynced` after each list of everything.

    `synced`: the first list is through. `problem`: why something cannot be seen right now, "" while all can.
    """

    def __init__(
        self,
        client: ClusterClient,
        store: Store,
        canary: Canary,
        namespaces: Sequence[str],
        changed: Callable[[Change], None],
        resynced: Callable[[], None],
        period_s: float,
    ) -> None:
        self._client = client
        self._store = store
        self._canary = canary
        self._wanted: tuple[str | None, ...] = tuple(namespaces) or (None,)
        self._changed = changed
        self._resynced = resynced
        self._period_s = period_s
        self._soon = asyncio.Event()
        self.synced = asyncio.Event()
        self.problem = "has not seen the cluster yet"

    def relist_soon(self) -> None:
        """Something may have been missed."""
        self._soon.set()

    async def run(self) -> None:
        """Observes until it is cancelled."""
        await self._until_served()
        back_off_s = _REWATCH_S[0]
        while True:
            seen, ending = await self._until_visible()
            self._canary.watched([each or self._client.namespace for each in seen])
            watches = Watches(self._client, None if None in seen else [each for each in seen if each], self._hear)
            if seen:
                watches.start()
            began_s = asyncio.get_running_loop().time()
            try:
                await self._while_watching(watches, seen, ending)
            finally:
                self._canary.watched(())
                if seen:
                    await watches.stop()
            if asyncio.get_running_loop().time() - began_s > 2 * _REWATCH_S[1]:
                back_off_s = _REWATCH_S[0]
            await asyncio.sleep(back_off_s)
            back_off_s = min(2 * back_off_s, _REWATCH_S[1])

    # -- steps -------------------------------------------------------------------------------------

    async def _until_served(self) -> None:
        while True:
            try:
                absent = [kind for kind in OWN_KINDS if not await self._client.serves(kind)]
                if not absent:
                    return
                told = " and ".join(kind.told for kind in absent)
                self._say(f"the API server does not know {told}: kubectl apply -f crds/")
            except ClusterFault as fault:
                self._say(str(fault))
            await asyncio.sleep(ASK_AGAIN_S)

    async def _until_visible(self) -> tuple[Namespaces, Namespaces]:
        """The namespaces that can be watched, and those that end, as soon as there is one."""
        while True:
            seen, ending, problem = await self._visible()
            self._say(problem)
            if seen or ending:
                return seen, ending
            await asyncio.sleep(ASK_AGAIN_S)

    async def _visible(self) -> tuple[Namespaces, Namespaces, str]:
        seen: list[str | None] = []
        ending: list[str | None] = []
        problems: list[str] = []
        for namespace in self._wanted:
            try:
                missing = await missing_rights(self._client, namespace)
            except ClusterFault as fault:
                missing = str(fault)
            if not missing:
                seen.append(namespace)
            elif namespace is not None and await is_ending(self._client, namespace):
                ending.append(namespace)
            else:
                problems.append(missing)
        return tuple(seen), tuple(ending), "; ".join(problems)

    async def _while_watching(self, watches: Watches, seen: Namespaces, ending: Namespaces) -> None:
        """Until the watches end, or others of the namespaces can be seen."""
        relisting = asyncio.create_task(self._relist_for_ever(seen, ending), name="relist")
        rights = asyncio.create_task(self._until_others(seen, ending), name="rights")
        ended = asyncio.create_task(watches.ended.wait(), name="watches ended")
        tasks = {relisting, rights, ended}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {ended}:
                task.result()  # a defect of ours is not to be survived in silence
            if ended in done:
                self._say(f"watching again: {watches.problem}")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _relist_for_ever(self, seen: Namespaces, ending: Namespaces) -> None:
        pause_s = SETTLED_S
        while True:
            try:
                await self._relist(seen, WATCHED)
                await self._relist(ending, OWN_KINDS)
            except ClusterFault as fault:
                self._say(str(fault))
                await asyncio.sleep(ASK_AGAIN_S)
                continue
            self.synced.set()
            self._resynced()
            self._soon.clear()
            try:
                async with asyncio.timeout(ASK_AGAIN_S if ending else pause_s):
                    await self._soon.wait()
                pause_s = SETTLED_S
            except TimeoutError:
                pause_s = self._period_s * random.uniform(0.8, 1.2)  # noqa: S311 - jitter, no secret

    async def _relist(self, namespaces: Namespaces, resources: Sequence[Resource]) -> None:
        for namespace in namespaces:
            for resource in resources:
                selector = "" if resource in OWN_KINDS else SELECTOR
                listed = await self._client.list(resource, namespace, selector)
                for change in self._store.relisted(resource, namespace, listed, listed.version):
                    self._changed(change)

    async def _until_others(self, seen: Namespaces, ending: Namespaces) -> None:
        """Returns once others can be seen. The canary tells where a right has gone; else nothing is asked of anybody
        while everything is seen.
        """
        while True:
            await asyncio.sleep(RIGHTS_AGAIN_S)
            if self._canary.problem or len(seen) < len(self._wanted):
                visible, now_ending, problem = await self._visible()
                self._say(problem)
                if (set(visible), set(now_ending)) != (set(seen), set(ending)):
                    return

    def _hear(self, resource: Resource, kind: str | None, told: Json) -> None:
        if resource == CONFIG_MAPS:
            self._canary.seen(told)
        change = self._store.forget(resource, told) if kind == "DELETED" else self._store.observe(resource, told)
        if change is not None:
            self._changed(change)

    def _say(self, problem: str) -> None:
        if problem and problem != self.problem:
            _log.warning("cannot see", reason=problem)
        self.problem = problem
