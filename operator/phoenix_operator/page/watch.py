"""One reader for everybody who looks: it begins with the first of them, ends after the last, and looks at most once a
second. Whatever goes wrong here is shown, counted by whoever serves the page, and nobody else's business.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
from phoenix_coordination.redis.account import AccountError, AccountTools, account_tools
from phoenix_coordination.redis.client import RedisUrlError, read_url
from phoenix_coordination.redis.tasks import end

from phoenix_operator.page.heard import Heard
from phoenix_operator.page.picture import Picture
from phoenix_operator.page.reader import look
from phoenix_operator.page.roster import Roster

LOOK_S = 1.0
LINGER_S = 10.0
"""A reader goes on for so long after the last has left: a page that is loaded again finds it, and its memory, there."""
_SHARE = 4
"""Of a large fleet it takes no more than a fifth of the time …"""
_LONGEST_PAUSE_S = 2.0
"""… as long as what it shows does not look silent for that alone."""
NOT_CONFIGURED = "it was not told where Redis is: nothing is known of any worker"


class WatchEndedError(Exception):
    """Nobody will look any more."""


class Shown(msgspec.Struct, frozen=True):
    """One picture, encoded once for everybody. `looks`: how many this watch has had by then."""

    number: int
    looks: int
    picture: Picture
    fleet: bytes


class Watch:
    """`source`: of Redis, a URL or @FILE, asked for with each connection; "" where there is none.

    `failed` is told of what should not have happened. To be used in one event loop.
    """

    def __init__(
        self, roster: Callable[[], Roster], source: Callable[[], str], failed: Callable[[Exception], None]
    ) -> None:
        self._roster = roster
        self._source = source
        self._failed = failed
        self._task: asyncio.Task[None] | None = None
        self._resting: asyncio.Task[None] | None = None
        self._leaving: asyncio.TimerHandle | None = None
        self._news = asyncio.Event()
        self._shown: Shown | None = None
        self._number = 0
        self._looks = 0
        self._ended = False
        self.viewers = 0

    @asynccontextmanager
    async def looking(self) -> AsyncIterator[None]:
        """While somebody is in here, `next` has news."""
        self.viewers += 1
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None
        if self._task is None and not self._ended:
            self._task = asyncio.create_task(self._read(), name="page")
        try:
            yield
        finally:
            self.viewers -= 1
            if not self.viewers and not self._ended:
                self._leaving = asyncio.get_running_loop().call_later(LINGER_S, self._rest)

    async def next(self, after: int) -> Shown:
        """The newest that is newer than number `after`; raises `WatchEndedError`."""
        while not self._ended and (self._shown is None or self._shown.number <= after):
            await self._news.wait()
        if self._ended or self._shown is None:
            raise WatchEndedError
        return self._shown

    async def close(self) -> None:
        """Sends everybody home."""
        self._ended = True
        self._news.set()
        if self._leaving is not None:
            self._leaving.cancel()
        task, self._task = self._task, None
        if task is not None:
            await end((task,))
        if self._resting is not None:
            await self._resting

    def _rest(self) -> None:
        """What was seen then is nothing to begin with later."""
        if self._task is not None:
            self._resting = asyncio.create_task(end((self._task,)), name="page rests")
        self._task, self._shown, self._looks = None, None, 0

    async def _read(self) -> None:
        heard = Heard()
        while True:
            try:
                await self._follow(heard)
            except Exception as error:  # noqa: BLE001 - a page that fails must not end anything else
                self._failed(error)
                problem = f"the page itself has failed ({type(error).__name__}): its server's log says more"
                self._show(Picture(Roster("", problem=problem), {}, heard, "", _now_ms()))
            await asyncio.sleep(LOOK_S)

    async def _follow(self, heard: Heard) -> None:
        """Until Redis cannot be asked any more; shows why."""
        try:
            await self._ask(heard)
        except (AccountError, RedisUrlError) as error:
            self._show(Picture(self._roster(), {}, heard, str(error), _now_ms()))

    async def _ask(self, heard: Heard) -> None:
        source = self._source()
        if not source:
            raise AccountError(NOT_CONFIGURED)
        async with account_tools(read_url(source)) as tools:
            while True:
                began_s = time.monotonic()
                await self._look(tools, heard)
                took_s = time.monotonic() - began_s
                await asyncio.sleep(max(LOOK_S - took_s, min(_SHARE * took_s, _LONGEST_PAUSE_S)))

    async def _look(self, tools: AccountTools, heard: Heard) -> None:
        roster = self._roster()
        told = await look(tools, roster)
        heard.take((record for each in told.values() for record in each.records), time.monotonic())
        self._show(Picture(roster, told, heard, "", _now_ms()))

    def _show(self, picture: Picture) -> None:
        self._number += 1
        self._looks += 1
        self._shown = Shown(self._number, self._looks, picture, msgspec.json.encode(picture.fleet))
        news, self._news = self._news, asyncio.Event()
        news.set()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
