"""Events of `events.k8s.io/v1`: what happened to a resource, for `kubectl describe`.

They tell and are not relied on: they are posted behind our back, after work that waits, each type in order, and one
that cannot be posted is logged. The same thing happening again within some minutes counts up the Event that is there
(its series) instead of making another; an object that has more to say than anybody reads is cut short.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
import structlog

from phoenix_operator.calm import Calm
from phoenix_operator.cluster.client import ClusterClient
from phoenix_operator.cluster.faults import ClusterFault, Fault
from phoenix_operator.cluster.resources import EVENTS, Json, Resource
from phoenix_operator.names import GROUP, EventAction, EventReason, EventType

_log = structlog.stdlib.get_logger()

CONTROLLER = f"{GROUP}/operator"
SERIES_S = 360.0
"""As client-go: the same again within six minutes is a series."""
BURST = 25
REFILL_S = 60.0
"""As client-go's spam filter, refilled faster: of one object 25 Events at once, then one a minute."""
PATIENCE_S = {EventType.WARNING: 10.0, EventType.NORMAL: 60.0}
"""While there is work, so long an Event waits: a thousand makers that are made at once come into force first."""
_QUEUED = 10_000
_LONGEST_NOTE = 1024  # bytes: the API server's own limit
_FORGET_AT = 10_000


class Regarding(msgspec.Struct, frozen=True):
    """The object that something happened to."""

    resource: Resource
    namespace: str
    name: str
    uid: str


class Told(msgspec.Struct, frozen=True):
    """What happened."""

    type: EventType
    reason: EventReason
    action: EventAction
    note: str


class _Posted(msgspec.Struct):
    name: str
    count: int
    last_s: float


class _Waiting(msgspec.Struct, frozen=True):
    """An Event that is to be posted; `at`: when it happened, `since_s` the same by the monotonic clock."""

    regarding: Regarding
    told: Told
    at: str
    since_s: float


class _Allowance(msgspec.Struct):
    left: float
    at_s: float


class EventPoster:
    """`instance` names this process. `now_s`: monotonic seconds. Work is first, while `calm` says that some waits."""

    def __init__(self, client: ClusterClient, instance: str, now_s: Callable[[], float], calm: Calm) -> None:
        self._client = client
        self._instance = instance[:128]
        self._now_s = now_s
        self._calm = calm
        # One for each type: a warning waits behind no thousand makers that were made.
        self._queues: dict[EventType, asyncio.Queue[_Waiting]] = {each: asyncio.Queue(_QUEUED) for each in EventType}
        self._posted: dict[tuple[Regarding, Told], _Posted] = {}
        self._allowances: dict[str, _Allowance] = {}
        self.dropped = 0

    def tell(self, regarding: Regarding, told: Told, *, post: bool = True) -> None:
        """Logged now, posted soon; without `post` only logged (a namespace that is being deleted takes no Events)."""
        log = _log.warning if told.type is EventType.WARNING else _log.info
        log(
            "event",
            kind=regarding.resource.kind,
            name=f"{regarding.namespace}/{regarding.name}",
            reason=told.reason,
            note=told.note,
        )
        if not post:
            return
        if not self._may_speak(regarding.uid):
            self.dropped += 1
            return
        try:
            self._queues[told.type].put_nowait(_Waiting(regarding, told, _now(), self._now_s()))
        except asyncio.QueueFull:
            self.dropped += 1

    async def run(self) -> None:
        """Posts until it is cancelled."""
        async with asyncio.TaskGroup() as posting:
            for type_, queue in self._queues.items():
                posting.create_task(self._post_all(queue, PATIENCE_S[type_]), name=f"events: {type_}")

    async def _post_all(self, queue: asyncio.Queue[_Waiting], patience_s: float) -> None:
        while True:
            event = await queue.get()
            try:
                await self._calm.within(patience_s - (self._now_s() - event.since_s))
                await self._post(event.regarding, event.told, event.at)
            except ClusterFault as fault:
                if fault.fault is not Fault.NOT_LEADING:
                    name = f"{event.regarding.namespace}/{event.regarding.name}"
                    _log.warning("event not posted", name=name, reason=str(fault))
            finally:
                queue.task_done()

    async def drain(self, seconds: float) -> None:
        """Waits until all is posted, but not longer than this; nothing comes before it any more."""
        self._calm.begins()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                for queue in self._queues.values():
                    await queue.join()

    async def _post(self, regarding: Regarding, told: Told, at: str) -> None:
        now_s = self._now_s()
        known = self._posted.get((regarding, told))
        if known is not None and now_s - known.last_s < SERIES_S:
            known.count, known.last_s = known.count + 1, now_s
            series = {"count": known.count, "lastObservedTime": at}
            try:
                await self._client.merge_patch(EVENTS, regarding.namespace, known.name, {"series": series})
            except ClusterFault as fault:
                if fault.fault is not Fault.NOT_FOUND:  # the server forgets Events after an hour
                    raise
            else:
                return
        event = self._event(regarding, told, at)
        await self._client.create(EVENTS, regarding.namespace, event)
        if len(self._posted) >= _FORGET_AT:
            self._posted.clear()
        self._posted[regarding, told] = _Posted(event["metadata"]["name"], 1, now_s)

    def _event(self, regarding: Regarding, told: Told, at: str) -> Json:
        note = told.note.encode()[:_LONGEST_NOTE].decode(errors="ignore")
        return {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.kind,
            "metadata": {
                "name": f"{regarding.name}.{secrets.token_hex(8)}",
                "namespace": regarding.namespace,
            },
            "eventTime": at,
            "reportingController": CONTROLLER,
            "reportingInstance": self._instance,
            "action": told.action.value,
            "reason": told.reason.value,
            "type": told.type.value,
            "note": note,
            "regarding": {
                "apiVersion": regarding.resource.api_version,
                "kind": regarding.resource.kind,
                "namespace": regarding.namespace,
                "name": regarding.name,
                "uid": regarding.uid,
            },
        }

    def _may_speak(self, uid: str) -> bool:
        now_s = self._now_s()
        if len(self._allowances) >= _FORGET_AT:
            self._allowances.clear()
        allowance = self._allowances.setdefault(uid, _Allowance(BURST, now_s))
        allowance.left = min(BURST, allowance.left + (now_s - allowance.at_s) / REFILL_S)
        allowance.at_s = now_s
        if allowance.left < 1:
            return False
        allowance.left -= 1
        return True


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
