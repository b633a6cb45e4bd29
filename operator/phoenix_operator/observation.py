"""How the operator comes to know the cluster, and how it knows that it does.

    wait     until the API server serves our kinds, and lets us see the namespaces
    watch    every kind (`handlers`), from a list on
    relist   everything by ourselves, before the first plan, soon after the watches have begun, and ever again: what was
             deleted while nobody watched shows by its absence
    end      of a namespace that is being deleted the Role goes first: our own kinds in it are listed on, until they
             have gone, so that no finalizer of ours keeps it
    absent   a namespace that is not there has no makers: that is told, and stands against nobody's readiness

Nothing is planned in a namespace before its first relist is through: an object that has not been told of yet is not
absent.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Sequence

import msgspec
import structlog

from phoenix_operator.calm import Calm
from phoenix_operator.canary import Canary
from phoenix_operator.cluster.access import Presence, missing_rights, presence_of
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
PATIENCE_S = 60.0
"""So long a list that only makes sure waits for makers that are to come into force."""
RIGHTS_AGAIN_S = 10.0
_REWATCH_S = (1.0, 30.0)
_TO_DO = "make them with deploy/makers, or take them out of `namespaces` in the operator's configuration"


Namespaces = tuple[str | None, ...]
"""None: all of them."""


class View(msgspec.Struct, frozen=True):
    """What can be seen of the namespaces that are wanted. `problem`: why not all of those that are there, "" if so."""

    seen: Namespaces = ()
    ending: Namespaces = ()
    absent: tuple[str, ...] = ()
    problem: str = ""

    @property
    def is_empty(self) -> bool:
        return not self.seen and not self.ending


class Observation:
    """`changed` is called with each change; `resynced` after each list of everything, with the namespaces of which that
    was the first.

    `synced`: the first list is through.
    """

    def __init__(
        self,
        client: ClusterClient,
        store: Store,
        canary: Canary,
        namespaces: Sequence[str],
        changed: Callable[[Change], None],
        resynced: Callable[[Namespaces], None],
        period_s: float,
        calm: Calm,
    ) -> None:
        self._client = client
        self._store = store
        self._canary = canary
        self._wanted: tuple[str | None, ...] = tuple(namespaces) or (None,)
        self._changed = changed
        self._resynced = resynced
        self._period_s = period_s
        self._calm = calm
        self._soon = asyncio.Event()
        self._unseen = "has not seen the cluster yet"
        self._unlisted = ""
        self._whole: set[str | None] = set()
        self.synced = asyncio.Event()
        self.absent: tuple[str, ...] = ()
        """Namespaces that are to be watched and are not there."""

    @property
    def problem(self) -> str:
        """Why something that is there cannot be seen right now, "" while all can."""
        return self._unseen or self._unlisted

    def knows(self, namespace: str) -> bool:
        """Whether all that is there has been told of: before that nothing can be said to be missing."""
        return namespace in self._whole or None in self._whole

    def relist_soon(self) -> None:
        """Something may have been missed."""
        self._soon.set()

    async def run(self) -> None:
        """Observes until it is cancelled."""
        back_off_s = _REWATCH_S[0]
        while True:
            await self._until_served()
            view = await self._until_visible()
            self._whole &= {*view.seen, *view.ending}
            self._canary.watched([each or self._client.namespace for each in view.seen])
            namespaces = None if None in view.seen else [each for each in view.seen if each]
            watches = Watches(self._client, namespaces, self._hear)
            if view.seen:
                watches.start()
            began_s = asyncio.get_running_loop().time()
            try:
                await self._while_watching(watches, view)
            finally:
                self._canary.watched(())
                if view.seen:
                    await watches.stop()
            if asyncio.get_running_loop().time() - began_s > 2 * _REWATCH_S[1]:
                back_off_s = _REWATCH_S[0]
            await asyncio.sleep(back_off_s)
            back_off_s = min(2 * back_off_s, _REWATCH_S[1])

    # -- steps -------------------------------------------------------------------------------------

    async def _until_served(self) -> None:
        """Who begins to watch before our kinds are served never would: kopf asks for them only once."""
        while True:
            try:
                absent = await self._not_served()
                if not absent:
                    return
                self._say(absent)
            except ClusterFault as fault:
                self._say(str(fault))
            await asyncio.sleep(ASK_AGAIN_S)

    async def _not_served(self) -> str:
        """Which of our kinds the API server does not know, and what to do; "" where it knows them. Raises
        `ClusterFault`.
        """
        absent = [kind for kind in OWN_KINDS if not await self._client.serves(kind)]
        told = " and ".join(kind.told for kind in absent)
        return f"the API server does not know {told}: kubectl apply -f crds/" if absent else ""

    async def _until_visible(self) -> View:
        """What can be seen, as soon as there is something."""
        while True:
            view = await self._look()
            if not view.is_empty:
                return view
            await asyncio.sleep(ASK_AGAIN_S)

    async def _look(self, trusted: Namespaces = ()) -> View:
        """What can be seen now, and tells of what cannot. `trusted`: can be seen, so that nobody is asked."""
        view = await self._view(trusted)
        if view.absent and view.absent != self.absent:
            _log.warning("namespaces are not there", namespaces=view.absent, todo=_TO_DO)
        self.absent = view.absent
        nothing = f"none of the namespaces to be watched is there ({', '.join(view.absent)}): {_TO_DO}"
        self._say(view.problem or (nothing if view.is_empty else ""))
        return view

    async def _view(self, trusted: Namespaces) -> View:
        seen: list[str | None] = []
        ending: list[str | None] = []
        absent: list[str] = []
        problems: list[str] = []
        for namespace in self._wanted:
            try:
                missing = "" if namespace in trusted else await missing_rights(self._client, namespace)
            except ClusterFault as fault:
                missing = str(fault)
            if not missing:
                seen.append(namespace)
                continue
            match Presence.UNKNOWN if namespace is None else await presence_of(self._client, namespace):
                case Presence.ENDING:
                    ending.append(namespace)
                case Presence.ABSENT:
                    absent.append(str(namespace))
                case Presence.THERE | Presence.UNKNOWN:
                    problems.append(missing)
        return View(tuple(seen), tuple(ending), tuple(absent), "; ".join(problems))

    async def _while_watching(self, watches: Watches, view: View) -> None:
        """Until the watches end, or others of the namespaces can be seen."""
        relisting = asyncio.create_task(self._relist_for_ever(view), name="relist")
        rights = asyncio.create_task(self._until_others(view), name="rights")
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
            self._unlisted = ""

    async def _relist_for_ever(self, view: View) -> None:
        pause_s = SETTLED_S
        while True:
            try:
                await self._relist(view.seen, WATCHED)
                await self._relist(view.ending, OWN_KINDS)
            except ClusterFault as fault:
                if str(fault) != self._unlisted:
                    _log.warning("cannot list", reason=str(fault))
                self._unlisted = str(fault)
                await asyncio.sleep(ASK_AGAIN_S)
                continue
            self._unlisted = ""
            news = tuple({*view.seen, *view.ending} - self._whole)
            self._whole.update(news)
            self.synced.set()
            self._resynced(news)
            self._soon.clear()
            try:
                async with asyncio.timeout(ASK_AGAIN_S if view.ending else pause_s):
                    await self._soon.wait()
                pause_s = SETTLED_S
            except TimeoutError:
                if not view.ending:
                    await self._calm.within(PATIENCE_S)
                pause_s = self._period_s * random.uniform(0.8, 1.2)  # noqa: S311 - jitter, no secret

    async def _relist(self, namespaces: Namespaces, resources: Sequence[Resource]) -> None:
        for namespace in namespaces:
            for resource in resources:
                selector = "" if resource in OWN_KINDS else SELECTOR
                there: set[str] = set()
                version = ""
                async for page in self._client.pages(resource, namespace, selector):
                    version = page.version
                    for told in page.items:
                        there.add(told["metadata"]["uid"])
                        self._take(self._store.observe(resource, told))
                for change in self._store.relisted(resource, namespace, there, version):
                    self._take(change)

    async def _until_others(self, view: View) -> None:
        """Returns once others can be seen, or our kinds are served no more: kopf would not hear of their coming back.
        The canary tells where a right has gone; else nothing more is asked while everything is seen.
        """
        while True:
            await asyncio.sleep(RIGHTS_AGAIN_S)
            with contextlib.suppress(ClusterFault):  # nobody says
                if await self._not_served():
                    return
            if self._canary.problem or len(view.seen) < len(self._wanted):
                now = await self._look(() if self._canary.problem else view.seen)
                if (set(now.seen), set(now.ending)) != (set(view.seen), set(view.ending)):
                    return

    def _hear(self, resource: Resource, kind: str | None, told: Json) -> None:
        if resource == CONFIG_MAPS:
            self._canary.seen(told)
        self._take(self._store.forget(resource, told) if kind == "DELETED" else self._store.observe(resource, told))

    def _take(self, change: Change | None) -> None:
        if change is not None:
            self._changed(change)

    def _say(self, problem: str) -> None:
        if problem and problem != self._unseen:
            _log.warning("cannot see", reason=problem)
        self._unseen = problem
