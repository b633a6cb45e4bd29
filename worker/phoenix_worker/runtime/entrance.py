"""From a directory with a key to an exchange that admits quoting: asked, and waited for where waiting may help.

What neither heals by itself nor with another key ends the worker; for everything else it stays up and says why.
"""

import asyncio
import contextlib
import math
from collections.abc import Callable

from phoenix_coordination.state import Reason

from phoenix_worker.core.instrument import Instrument
from phoenix_worker.runtime.clock import Clock
from phoenix_worker.runtime.credentials import CredentialsError, MountedKey
from phoenix_worker.runtime.exchange import client, credentials_of, endpoints_of
from phoenix_worker.runtime.logs import Log
from phoenix_worker.runtime.peers import Peers
from phoenix_worker.runtime.resolved import Resolved
from phoenix_worker.venue.binance.gateway import BinanceVenue
from phoenix_worker.venue.port import Preflight, Venue

KEY_SECONDS = 1.0
"""Life's seconds between two looks for a key: a mounted Secret may come long after the pod."""
KEY_RETRY_SECONDS = 60.0
"""A key that the exchange refuses may be put right there: its addresses, its permissions."""
RETRY_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)


class RefusedError(Exception):
    """The worker must not or cannot run; the text says why and what to do."""


class Entrance:
    """`wait_for` hears why it has not been passed yet."""

    def __init__(
        self,
        resolved: Resolved,
        key: MountedKey,
        holder: str,
        clock: Clock,
        log: Log,
        wait_for: Callable[[Reason, str], None],
    ) -> None:
        self._resolved = resolved
        self._key = key
        self._holder = holder
        self._clock = clock
        self._log = log
        self._wait_for = wait_for

    async def client(self) -> BinanceVenue:
        """With the account's key, once there is one that can be used; raises `ForbiddenError` for a contradiction."""
        endpoints = endpoints_of(self._resolved, self._clock)
        while True:
            try:
                return client(endpoints, self._resolved, self._key.read(), self._clock, self._holder)
            except CredentialsError as error:
                self._wait_for(Reason.CREDENTIALS_MISSING, str(error))
            await self._another_key()

    async def preflight(self, venue: Venue, exchange: BinanceVenue, peers: Peers) -> tuple[Preflight, Instrument]:
        """Asks until quoting is admitted; raises `RefusedError`. `venue` is `exchange`, or a rehearsal round it."""
        self._wait_for(Reason.STARTING, "asking the exchange about the account and the symbol")
        attempt = 0
        while True:
            self._use_present_key(exchange)
            await peers.wait_to_start(self._wait_for)
            preflight = await venue.prepare()
            if not preflight.refused and preflight.instrument is not None:
                for skipped in preflight.skipped:
                    self._log.info("preflight skipped", text=skipped)
                return preflight, preflight.instrument
            told = "; ".join(f"{refused.what}: {refused.todo}" for refused in preflight.refused)
            if any(not refused.retryable and not refused.of_key for refused in preflight.refused):
                raise RefusedError(told)
            if any(refused.of_key for refused in preflight.refused):
                self._wait_for(Reason.CREDENTIALS_REFUSED, told)
                await self._another_key(KEY_RETRY_SECONDS)
            else:
                self._wait_for(Reason.VENUE_UNREACHABLE, told or "the exchange does not know the symbol")
                await self._clock.sleep(RETRY_SECONDS[min(attempt, len(RETRY_SECONDS) - 1)])
            attempt += 1

    async def _another_key(self, within_s: float = math.inf) -> None:
        """Until other files lie there, or so many of life's seconds have passed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s if math.isfinite(within_s) else None):
                while not self._key.changed:  # noqa: ASYNC110 - files tell nobody
                    await asyncio.sleep(KEY_SECONDS)

    def _use_present_key(self, exchange: BinanceVenue) -> None:
        """One that cannot be used changes nothing here: the exchange judges the one before."""
        if self._key.changed:
            with contextlib.suppress(CredentialsError):
                exchange.use(credentials_of(self._key.read()))
