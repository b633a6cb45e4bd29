"""What a worker tells of itself before it knows the exchange's identity of its account, and so nobody else's keys.

It waits for a key, or for the exchange, and whoever looks after it has to hear why. Nothing depends on it here.
"""

import asyncio
import contextlib
import logging

from phoenix_coordination.redis import records
from phoenix_coordination.redis.client import FAULTS, Credentials, connect, fault_of
from phoenix_coordination.redis.writes import Writes
from phoenix_coordination.state import StateRecord

_ANSWER_SECONDS = 2.0
_STOP_SECONDS = 0.5

_log = logging.getLogger(__name__)


class Announcements:
    """One worker's. `rate`: of the run's clock. `stop` comes at the end."""

    def __init__(self, url: str, rate: float, credentials: Credentials | None = None) -> None:
        self._client = connect(url, _ANSWER_SECONDS, credentials)
        self._rate = rate
        self._writes = Writes(self._ended)
        self._told: StateRecord | None = None
        self._problem = ""

    def tell(self, record: StateRecord) -> None:
        """Replaces what was told. Where Redis is away nobody hears it, and the log says so."""
        self._told = record
        self._writes.write("announcement", lambda: records.announce(self._client, record, self._rate))

    async def stop(self) -> None:
        """Takes it back, where that works at once; else it lapses."""
        await self._writes.stop(_STOP_SECONDS)
        with contextlib.suppress(*FAULTS):
            async with asyncio.timeout(_STOP_SECONDS):
                if self._told is not None:
                    await records.take_back(self._client, self._told)
        with contextlib.suppress(*FAULTS):
            await self._client.aclose()

    def _ended(self, _: str, error: Exception | None) -> None:
        problem = "" if error is None else fault_of(error)
        if problem and problem != self._problem:
            _log.warning("nobody hears why this worker does not start: %s", problem)
        self._problem = problem
