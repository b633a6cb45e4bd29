"""Makers come into force first: what can be done later (Events, listing all again) asks here whether any wait."""

import asyncio
import contextlib


class Calm:
    """Told by who does the work; at the beginning there is none."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._event.set()

    def ends(self) -> None:
        """Somebody waits to be looked at."""
        self._event.clear()

    def begins(self) -> None:
        """Nobody waits any more."""
        self._event.set()

    async def within(self, seconds: float) -> None:
        """Returns once nobody waits, and in so many seconds at the latest."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._event.wait()
