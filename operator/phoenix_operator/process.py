"""The operator as a process: which parts there are, in which order they begin, and in which they end.

always    HTTP, observation, canary: a standby sees all that the leader sees
leading   the fleet is read, resources are reconciled, Events are posted
ending    rounds are finished, Events posted, the Lease released, the watches closed
"""

import asyncio
import contextlib
import os
import random
import socket
import threading
import time
import uuid
from collections import Counter
from collections.abc import Coroutine, Iterable, Iterator
from typing import Any

import structlog
from phoenix_coordination.state import StateRecord

from phoenix_operator.calm import Calm
from phoenix_operator.canary import Canary
from phoenix_operator.census import Census
from phoenix_operator.cluster.client import ClusterClient
from phoenix_operator.cluster.events import EventPoster
from phoenix_operator.cluster.lease import LeaseObject
from phoenix_operator.cluster.store import Change, Store
from phoenix_operator.fleet import Fleet
from phoenix_operator.gauges import AccountGauges, MakerGauges, account_gauges, maker_gauges
from phoenix_operator.leader import Leadership, LeadershipLostError
from phoenix_operator.memory import keep_giving_back, settle
from phoenix_operator.metrics import Gauges, Metrics
from phoenix_operator.observation import Namespaces, Observation
from phoenix_operator.page.roster import Roster
from phoenix_operator.page.server import PageServer
from phoenix_operator.page.watch import Watch
from phoenix_operator.probes import Probes
from phoenix_operator.queue import Key
from phoenix_operator.reconcile import Reconciler
from phoenix_operator.rounds import FINISHES_WITHIN_S, Rounds
from phoenix_operator.settings import Settings
from phoenix_operator.shown import roster_of

_log = structlog.stdlib.get_logger()

LOOKS_WITHIN_S = 3.0
POSTS_WITHIN_S = 2.0
CANCEL_AGAIN_S = 0.5
ENDS_WITHIN_S = 15.0


class Operator:
    """One process. `redis`: a URL or @FILE, "" where it was not told."""

    def __init__(self, client: ClusterClient, settings: Settings, redis: str) -> None:
        instance = os.environ.get("POD_NAME") or socket.gethostname()
        self._settings = settings
        self._store = Store()
        self._census = Census(self._store)
        self._client = client
        self._leading = False
        self._leadership = Leadership(
            LeaseObject(
                client,
                settings.leader_election.lease_namespace or client.namespace,
                settings.leader_election.lease_name,
            ),
            f"{instance}_{uuid.uuid4()}",
            settings.leader_election,
            time.monotonic,
            self._recovered,
        )
        calm = Calm()
        fenced = client.fenced(self._leadership.may_act)
        self._canary = Canary(fenced, instance, settings.canary_period.seconds, time.monotonic)
        self._observation = Observation(
            client,
            self._store,
            self._canary,
            settings.namespaces,
            self._changed,
            self._resynced,
            settings.resync_period.seconds,
            calm,
        )
        self._events = EventPoster(fenced, instance, time.monotonic, calm)
        self._fleet = Fleet(redis, self._census, float(settings.outage_threshold), self._mark)
        self._metrics = Metrics(self)
        reconciler = Reconciler(
            fenced,
            self._store,
            self._census,
            self._fleet,
            self._events,
            settings,
            self._mark,
            self._metrics.restarted,
        )
        self._rounds = Rounds(reconciler.reconcile, self._metrics.observe, settings.workers, calm)
        self.probes = Probes(self, self._metrics)
        self.page = PageServer(Watch(self._roster, lambda: redis, self._page_failed))
        self._page_failures = 0
        self._page_failure = ""

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; raises `LeadershipLostError` where this process may not act any more."""
        tasks = _begin(
            observation=self._observation.run(),
            canary=self._canary.run(self._leadership.may_act),
            memory=keep_giving_back(),
            leading=self._lead(),
        )
        stopped = asyncio.create_task(_when(stop), name="stop")
        try:
            done, _ = await asyncio.wait({*tasks, stopped}, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopped}:
                task.result()
        finally:
            with _bounded():
                await _cancel([stopped, *reversed(tasks)])

    # -- leading -----------------------------------------------------------------------------------

    async def _lead(self) -> None:
        await self._observation.synced.wait()  # who does not see the cluster does not act on it
        settle()
        await self._leadership.campaign()
        self._leading = True
        for key in self._census.keys():  # noqa: SIM118 - a method, of no mapping
            self._mark(key)
        keeping, fleet, posting, working = _begin(
            lease=self._leadership.keep(),
            fleet=self._fleet.run(),
            events=self._events.run(),
            rounds=self._work(),
        )
        try:
            lasting = {keeping, posting, working}
            if self._fleet.reads:
                lasting.add(fleet)
            done, _ = await asyncio.wait(lasting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except asyncio.CancelledError:
            # In order: what has begun is finished and told while the Lease is still kept.
            self._rounds.stop()
            await asyncio.wait({working}, timeout=FINISHES_WITHIN_S)
            await self._events.drain(POSTS_WITHIN_S)
            await _cancel([keeping])
            await self._leadership.release()
            raise
        finally:
            self._leading = False
            with _bounded():
                await _cancel([fleet, posting, working, keeping])

    async def _work(self) -> None:
        """Who plans before Redis was read says that nothing is known of anybody, and takes it back a moment later."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOKS_WITHIN_S):
                await self._fleet.looked.wait()
        await self._rounds.run()

    def _mark(self, key: Key) -> None:
        if self._leading and self._observation.knows(key.namespace):
            self._rounds.queue.mark(key)

    def _changed(self, change: Change) -> None:
        for key in self._census.observe(change):
            self._mark(key)

    def _resynced(self, news: Namespaces) -> None:
        """Everything is looked at once a period, not all of it in one second; the first time at once."""
        if self._leading:
            period_s = self._settings.resync_period.seconds
            for key in self._census.keys():  # noqa: SIM118 - a method, of no mapping
                if key.namespace in news or None in news:
                    self._mark(key)
                else:
                    self._rounds.queue.mark_after(key, random.uniform(0, period_s))  # noqa: S311 - jitter, no secret

    def _recovered(self) -> None:
        self._observation.relist_soon()

    # -- for people --------------------------------------------------------------------------------

    async def show(self, host: str, port: int) -> None:
        """Serves the page; where that cannot be, everything else goes on without."""
        try:
            await self.page.open(host, port)
        except OSError as error:
            self._page_failures += 1
            _log.error("no page", host=host, port=port, reason=error.strerror)
        else:
            _log.info("page", port=self.page.port)

    def _roster(self) -> Roster:
        problem = "" if self._observation.synced.is_set() else "the cluster has not been seen yet"
        return roster_of(self._census, self._client.place, self._observation.problem or problem)

    def _page_failed(self, error: Exception) -> None:
        self._page_failures += 1
        if repr(error) != self._page_failure:  # it fails each second in the same way
            self._page_failure = repr(error)
            _log.error("page", exc_info=error)

    # -- asked by probes and metrics ---------------------------------------------------------------

    def not_alive(self) -> str:
        return self._canary.overdue()

    def not_ready(self) -> str:
        if not self._observation.synced.is_set():
            return self._observation.problem or "has not seen the cluster yet"
        return self._observation.problem or self._leadership.problem

    def state(self) -> dict[str, object]:
        queue = self._rounds.queue
        return {
            "leading": self._leading,
            "leader": self._leadership.holder,
            "makers": len(tuple(self._census.makers)),
            "accounts": len(tuple(self._census.accounts)),
            "waiting": queue.depth,
            "working": queue.working,
            "cluster": self._observation.problem or self._leadership.problem,
            "absent": ", ".join(self._observation.absent),
            "canary": self._canary.problem,
            "redis": self._fleet.problem if self._leading else "",
            "outages": {"/".join(venue): outage.text for venue, outage in self._fleet.outages.items()},
        }

    def gauges(self) -> Gauges:
        queue = self._rounds.queue
        return Gauges(
            leading=self._leading,
            synced=self._observation.synced.is_set(),
            queue_depth=queue.depth,
            queue_age_s=queue.age_s,
            working=queue.working,
            makers=len(tuple(self._census.makers)),
            accounts=len(tuple(self._census.accounts)),
            outages=len(self._fleet.outages),
            redis_problem=self._leading and bool(self._fleet.problem),
            watch_problem=bool(self._observation.problem or self._observation.absent),
            events_dropped=self._events.dropped,
            page_viewers=self.page.viewers,
            page_failures=self._page_failures,
        )

    def calls(self) -> Counter[tuple[str, str, str]]:
        return self._client.calls

    def workers(self) -> Iterable[StateRecord]:
        return self._fleet.everything

    def makers(self) -> Iterable[MakerGauges]:
        return maker_gauges(self._census, self._fleet) if self._leading else ()

    def accounts(self) -> Iterable[AccountGauges]:
        return account_gauges(self._census, self._fleet) if self._leading else ()


def _begin(**parts: Coroutine[Any, Any, None]) -> list[asyncio.Task[None]]:
    return [asyncio.create_task(part, name=name) for name, part in parts.items()]


async def _when(stop: asyncio.Event) -> None:
    await stop.wait()


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    """One after the other: each may need those that come after it.

    Told until it has ended: Python 3.11's `wait_for`, which redis-py uses, swallows one that meets an answer.
    """
    for task in tasks:
        while not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=CANCEL_AGAIN_S)
        if not task.cancelled() and not isinstance(task.exception(), LeadershipLostError | None):
            task.result()


@contextlib.contextmanager
def _bounded() -> Iterator[None]:
    """An ending that hangs is none: then the process just ends."""
    hung = threading.Timer(ENDS_WITHIN_S, os._exit, (1,))
    hung.daemon = True
    hung.start()
    try:
        yield
    finally:
        hung.cancel()
