"""Of several operators one acts. It stops acting before another may begin, whatever its clock or the network does.

    candidate   watches the Lease; takes it when it is free, released, or unchanged for its whole duration
    leader      renews it; may act until `renew_deadline` after the last renewal *was sent*
    lost        could not renew in time, or somebody else has it: the process ends, it never acts again

The deadline is asked before every request that changes something (`may_act`), so a process that was paused finds out
before it sends, not when its renewal comes round.
"""

import asyncio
import random
from collections.abc import Callable

import structlog

from phoenix_operator.cluster.faults import ClusterFault
from phoenix_operator.cluster.lease import LeaseObject, LeaseRecord
from phoenix_operator.settings import LeaderElection

_log = structlog.stdlib.get_logger()

_JITTER = 1.2


class LeadershipLostError(Exception):
    """Why the process may not act any more."""


class Patience:
    """How long a foreign Lease has been watched without a change. Pure."""

    def __init__(self) -> None:
        self._seen: LeaseRecord | None = None
        self._since_s = 0.0

    def is_free(self, lease: LeaseRecord, us: str, duration_s: float, now_s: float) -> bool:
        """Whether it may be taken. `duration_s` is ours, for a Lease that names none; the longer one counts."""
        if not lease.holder or lease.holder == us:
            return True
        if self._seen is None or lease.version != self._seen.version:
            self._seen, self._since_s = lease, now_s
            return False
        return now_s - self._since_s >= max(lease.duration_s, duration_s)


class Leadership:
    """One process's part in the election. `now_s`: monotonic seconds; `us` names this process and no other one ever.

    `recovered` is called when the API server answers again after it did not.
    """

    def __init__(
        self,
        lease: LeaseObject,
        us: str,
        settings: LeaderElection,
        now_s: Callable[[], float],
        recovered: Callable[[], None] = lambda: None,
    ) -> None:
        self._lease = lease
        self._us = us
        self._settings = settings
        self._now_s = now_s
        self._recovered = recovered
        self._record = LeaseRecord()
        self._acts_until_s: float | None = None
        self.holder = ""
        self.problem = ""
        """Why the Lease cannot be read or written right now; empty while it can."""

    def may_act(self) -> bool:
        return self._acts_until_s is not None and self._now_s() < self._acts_until_s

    async def campaign(self) -> None:
        """Returns once this process is the leader."""
        patience = Patience()
        while True:
            try:
                lease = await self._lease.read()
                self._heard(lease.holder)
                is_free = patience.is_free(lease, self._us, self._settings.lease_duration.seconds, self._now_s())
                if is_free and await self._take(lease):
                    _log.info("leading", lease=self._lease.name, transitions=self._record.transitions)
                    return
            except ClusterFault as fault:
                self._failed(fault)
            await asyncio.sleep(self._pause_s())

    async def keep(self) -> None:
        """Renews until it cannot; then raises `LeadershipLostError`."""
        while True:
            await asyncio.sleep(self._pause_s())
            left_s = self._left_s()
            if left_s <= 0:
                raise LeadershipLostError(
                    f"the Lease {self._lease.name} could not be renewed for"
                    f" {self._settings.renew_deadline}: {self.problem or 'this process was paused'}"
                )
            try:
                # A request that hangs must leave time for another.
                async with asyncio.timeout(min(left_s, self._settings.renew_deadline.seconds / 2)):
                    if await self._take(self._record):
                        continue
                    lease = await self._lease.read()
            except ClusterFault as fault:
                self._failed(fault)
                continue
            except TimeoutError:
                self.problem = "the API server does not answer"
                continue
            if lease.holder not in {"", self._us}:
                self._acts_until_s = None
                raise LeadershipLostError(f"{lease.holder} holds the Lease {self._lease.name} now")
            self._record = lease  # a person has touched it, or an answer of ours was lost: taken again at once

    async def release(self) -> None:
        """Stops acting, then lets the next one in. Where that fails the Lease runs out."""
        if self._acts_until_s is None:
            return
        try:
            async with asyncio.timeout(self._settings.retry_period.seconds):
                lease = await self._lease.read()  # a renewal that was interrupted may have got there
                if lease.holder == self._us:
                    await self._lease.release(lease)
        except (ClusterFault, TimeoutError) as fault:
            _log.warning("lease not released", lease=self._lease.name, reason=str(fault) or "no answer in time")
        finally:
            self._acts_until_s = None

    async def _take(self, before: LeaseRecord) -> bool:
        sent_s = self._now_s()
        taken = await self._lease.take(before, self._us, self._settings.lease_duration.seconds)
        if taken is None:
            return False
        self._record = taken
        self._acts_until_s = sent_s + self._settings.renew_deadline.seconds
        self._heard(self._us)
        return True

    def _heard(self, holder: str) -> None:
        if self.problem:
            self._recovered()
        self.holder, self.problem = holder, ""

    def _failed(self, fault: ClusterFault) -> None:
        if not self.problem:
            _log.warning("lease", lease=self._lease.name, reason=str(fault))
        self.problem = str(fault)

    def _left_s(self) -> float:
        return -1.0 if self._acts_until_s is None else self._acts_until_s - self._now_s()

    def _pause_s(self) -> float:
        """Jittered, so that candidates do not ask in step; never beyond the own deadline."""
        pause = self._settings.retry_period.seconds * random.uniform(1.0, _JITTER)  # noqa: S311 - jitter, no secret
        left_s = self._left_s()
        return min(pause, left_s) if left_s > 0 else pause
