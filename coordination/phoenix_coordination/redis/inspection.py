"""Whether the server may be used still: looked at now and then beside the heartbeat, which it never holds up.

A heartbeat finds out by itself that a server was restarted, demoted or left alone by its replicas. That its owner has
it evict, or lets a master write alone, changes no answer: who only beats would trade on for as long as nothing is lost.
"""

import asyncio
from collections.abc import Callable

from phoenix_coordination.port import Clock
from phoenix_coordination.redis.client import FAULTS, Redis, RedisFaultError, check_server
from phoenix_coordination.redis.tasks import begin, end

_EVERY_SECONDS = 20.0
"""Of the run's clock: one `INFO`, a tenth of a millisecond of the server's."""


class Inspection:
    """`doubt` hears that the server is not fit any more, again each time until it is."""

    def __init__(self, client: Redis, clock: Clock, doubt: Callable[[], None]) -> None:
        self._client = client
        self._clock = clock
        self._doubt = doubt
        self._looking: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._looking = begin(self._look(), "inspection")

    async def stop(self) -> None:
        if self._looking is not None:
            await end([self._looking])

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_EVERY_SECONDS / self._clock.rate)
            try:
                await check_server(self._client)
            except RedisFaultError:
                self._doubt()
            except FAULTS:
                pass  # a connection that fails is the heartbeat's to tell
