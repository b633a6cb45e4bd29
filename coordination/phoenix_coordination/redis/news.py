"""What the others of the account say, as it happens. A message that is lost costs one renewal: nothing rests on it."""

import asyncio
import random
from collections.abc import Callable, Mapping

from phoenix_coordination.redis.client import FAULTS, Redis
from phoenix_coordination.redis.tasks import begin, end

_LISTEN_SECONDS = 1.0


class News:
    """Calls `heard` for each message of the channels, and when it begins to listen anew: something may have been said.

    It waits a random part of the channel's seconds first, so that those who all want the same do not crowd.
    """

    def __init__(self, client: Redis, channels: Mapping[str, float], again_s: float, heard: Callable[[], None]) -> None:
        self._client = client
        self._waits = {name.encode(): wait_s for name, wait_s in channels.items()}
        self._again_s = again_s
        self._heard = heard
        self._stale = False
        self._listening: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._listening = begin(self._listen(), "news of the account")

    def listen_anew(self) -> None:
        """The connection may be dead without saying so."""
        self._stale = True

    async def stop(self) -> None:
        if self._listening is not None:
            await end([self._listening])

    async def _listen(self) -> None:
        while True:
            try:
                async with self._client.pubsub() as pubsub:
                    await pubsub.subscribe(*self._waits)
                    self._stale = False
                    while not self._stale:
                        message = await pubsub.get_message(timeout=_LISTEN_SECONDS)
                        if message is None:
                            continue
                        if message["type"] == "message" and (wait_s := self._waits.get(message["channel"], 0.0)):
                            await asyncio.sleep(random.uniform(0, wait_s))  # noqa: S311 - no secret
                        self._heard()
            except FAULTS:
                await asyncio.sleep(self._again_s * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
