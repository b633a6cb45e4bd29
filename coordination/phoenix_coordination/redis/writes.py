"""What is written beside the heartbeat and holds nobody up: state records and memory."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from phoenix_coordination.redis.client import FAULTS
from phoenix_coordination.redis.tasks import begin, end


class Writes:
    """One write of each kind at a time, and of those that wait the newest alone. `ended` hears how each went."""

    def __init__(self, ended: Callable[[str, Exception | None], None]) -> None:
        self._ended = ended
        self._writing: dict[str, asyncio.Task[None]] = {}
        self._next: dict[str, Callable[[], Awaitable[Any]]] = {}

    def write(self, what: str, work: Callable[[], Awaitable[Any]]) -> None:
        self._next[what] = work
        if what not in self._writing:
            self._writing[what] = begin(self._write(what), what)

    async def settled(self, what: str) -> None:
        """Until nothing of the kind is being written; each attempt is bounded by the connection's time-out."""
        if (writing := self._writing.get(what)) is not None:
            await asyncio.wait({writing})

    async def stop(self, timeout_s: float) -> None:
        """Waits for what was asked, bounded in time."""
        if self._writing:
            await asyncio.wait(set(self._writing.values()), timeout=timeout_s)
        await end(list(self._writing.values()))

    async def _write(self, what: str) -> None:
        try:
            while (work := self._next.pop(what, None)) is not None:
                await work()
                self._ended(what, None)
        except FAULTS as error:
            self._ended(what, error)
        finally:
            del self._writing[what]
