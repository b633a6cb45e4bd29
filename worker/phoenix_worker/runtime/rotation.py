"""A key that is replaced where it is mounted is used from then on, without a restart: orders rest, streams stay open.

The exchange is asked about it first. A key of another account would trade beside everything that this one's workers
share, so it is never used; until there is one that may be, the key before stays.
"""

import asyncio
from collections.abc import Callable

from phoenix_worker.runtime.credentials import CredentialsError, MountedKey
from phoenix_worker.runtime.exchange import credentials_of
from phoenix_worker.runtime.logs import Log
from phoenix_worker.venue.binance.gateway import BinanceVenue
from phoenix_worker.venue.port import Preflight

LOOK_SECONDS = 1.0
"""Life's seconds between two looks at the files: three `stat` calls."""
RETRY_SECONDS = 60.0
"""What the exchange refuses may be put right there, too: addresses and permissions of a key are its side."""
UNREACHABLE_SECONDS = 5.0


class Rotation:
    """`mounted` was read for the key in use; `identity`: the account's; `told` is called when `refused` changes."""

    def __init__(
        self, mounted: MountedKey, exchange: BinanceVenue, identity: str, log: Log, told: Callable[[], None]
    ) -> None:
        self._mounted = mounted
        self._exchange = exchange
        self._identity = identity
        self._log = log
        self._told = told
        self._again_s: float | None = None
        self.refused = ""
        """Why the key that lies there is not used; empty where it is."""

    async def watch(self) -> None:
        """Runs until cancelled."""
        waited_s = 0.0
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            waited_s += LOOK_SECONDS
            if self._mounted.changed or (self._again_s is not None and waited_s >= self._again_s):
                self._again_s, waited_s = await self._judge(), 0.0

    async def _judge(self) -> float | None:
        """Uses what lies there, or says why not; after how long to ask again though no file has changed."""
        try:
            credentials = credentials_of(self._mounted.read())
        except CredentialsError as error:
            self._refuse(str(error))
            return None
        found = await self._exchange.try_key(credentials)
        if self._mounted.changed:
            return 0.0  # what was asked about lies there no more
        problem = self._problem_of(found)
        if not problem:
            self._exchange.use(credentials)
            self._log.info("key replaced: from now on the one that lies there is used")
        self._refuse(problem)
        if any(refused.retryable for refused in found.refused):
            return UNREACHABLE_SECONDS
        return RETRY_SECONDS if found.refused else None

    def _problem_of(self, found: Preflight) -> str:
        if found.refused:
            return "; ".join(f"{refused.what}: {refused.todo}" for refused in found.refused)
        if found.identity != self._identity:
            return (
                f"{self._mounted.directory}: the key is another account's ({found.identity}, this worker trades "
                f"{self._identity}): put a key of the same account there"
            )
        return ""

    def _refuse(self, problem: str) -> None:
        if problem == self.refused:
            return
        self.refused = problem
        if problem:
            self._log.error("key refused: the one before stays in use", text=problem)
        self._told()
