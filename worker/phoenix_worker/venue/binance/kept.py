"""A connection that is kept open: reconnected with back-off when it is lost, replaced before the exchange's 24 hours.

What a connection carries belongs to its owner; this module only knows when to open, when to wait and when to hand over.
The successor of an ageing connection is opened and synchronised while the old one still delivers, so that nobody
notices.
"""

import asyncio
from random import Random
from typing import Protocol

from phoenix_worker.venue.binance import transport
from phoenix_worker.venue.binance.transport import ConnectError
from phoenix_worker.venue.clock import NS_PER_S, Clock, Timer

BACKOFF_FIRST_S = 0.5
BACKOFF_LAST_S = 48.0
SETTLED_AFTER_S = 60.0
"""A connection that lived this long was a success: the next loss starts from the shortest delay again."""
SUCCEED_AFTER_S = 23 * 3600.0
SUCCEED_JITTER_S = 900.0
"""The exchange ends a connection after 24 h."""
SUCCEED_RETRY_S = 120.0
MERGE_PATIENCE_S = 10.0
"""A successor that has not caught up by then takes over all the same: its gap is seen and repaired downstream."""
MERGE_POLL_S = 0.05
MAX_HELD_FRAMES = 50_000


def backoff_s(failures: int, random: Random) -> float:
    """Delay before the next attempt after `failures` ≥ 1 in a row: uniform between the shortest delay and a limit that
    doubles, so that many workers that lost one exchange do not come back together.
    """
    limit = min(BACKOFF_LAST_S, BACKOFF_FIRST_S * 2.0 ** min(failures, 16))
    return random.uniform(BACKOFF_FIRST_S, limit)


class Owner(Protocol):
    """Who uses a kept connection. All calls come from the event loop, and none while another is running."""

    async def url(self) -> str:
        """Where to connect this time; raises `ConnectError` where that cannot be known now."""
        ...

    def on_open(self) -> None: ...

    def on_batch(self, frames: list[bytearray]) -> None: ...

    def on_closed(self, reason: str) -> None: ...

    def on_refused(self) -> None:
        """None is open, and another attempt to open one has failed."""
        ...

    def on_successor(self) -> None:
        """A successor is open and collects frames; until the merge `on_batch` goes on with the old connection's."""
        ...

    def merge(self, held: list[bytearray], waited_s: float) -> list[bytearray] | None:
        """Of what the successor has brought, what follows on what was delivered already; `None`: not yet."""
        ...


class _Socket:
    """One connection in one of three places: current, successor, or on its way out."""

    def __init__(self, kept: "KeptConnection") -> None:
        self.kept = kept
        self.connection: transport.Connection | None = None
        self.held: list[bytearray] = []

    def on_open(self, connection: transport.Connection) -> None:
        self.connection = connection
        self.kept.socket_opened(self)

    def on_batch(self, frames: list[bytearray]) -> None:
        self.kept.socket_batch(self, frames)

    def on_lost(self, reason: str) -> None:
        self.kept.socket_lost(self, reason)

    def close(self, reason: str) -> None:
        if self.connection is not None:
            self.connection.close(reason)


class KeptConnection:
    """`linger_s`: how long a connection that was replaced may still deliver (replies to what was asked on it)."""

    def __init__(self, owner: Owner, user_agent: str, clock: Clock, random: Random, linger_s: float = 0.0) -> None:
        self._owner = owner
        self._user_agent = user_agent
        self._clock = clock
        self._random = random
        self._linger_s = linger_s
        self._current: _Socket | None = None
        self._successor: _Socket | None = None
        self._leaving: set[_Socket] = set()
        self._opened_ns = 0
        self._failures = 0
        self._asked_delay_s: float | None = None
        self._over = asyncio.Event()
        self._run: asyncio.Task[None] | None = None
        self._succession: asyncio.Task[None] | None = None
        self._succession_due: Timer | None = None
        self.reconnects = 0
        self.attempts_failed = 0
        self.successions = 0

    # -- what the owner calls ----------------------------------------------------------------------

    def start(self) -> None:
        self._run = asyncio.get_running_loop().create_task(self._keep(), name="kept connection")

    @property
    def is_open(self) -> bool:
        return self._current is not None

    @property
    def connection(self) -> transport.Connection | None:
        """The connection to send on."""
        return self._current.connection if self._current is not None else None

    def reopen(self, reason: str, delay_s: float | None = None) -> None:
        """Gives the present connection up and opens another: after `delay_s`, or as after a loss. Without effect while
        none is open: one is on its way.
        """
        current = self._current
        if current is None:
            return
        self._asked_delay_s = delay_s
        self._end(reason)
        self._leaving.add(current)
        current.close(reason)

    async def close(self) -> None:
        """Ends all of it, sockets included; the owner hears nothing more."""
        current, self._current = self._current, None
        self._stop_succession()
        if self._run is not None:
            self._run.cancel()
            await asyncio.gather(self._run, return_exceptions=True)
        leaving = [s.connection for s in (current, *self._leaving) if s is not None and s.connection is not None]
        for connection in leaving:
            connection.close("closing")
        await asyncio.gather(*(connection.closed() for connection in leaving))

    # -- the life of it ----------------------------------------------------------------------------

    async def _keep(self) -> None:
        while True:
            self._over.clear()
            try:
                await self._open(_Socket(self))
            except ConnectError:
                self._failures += 1
                self.attempts_failed += 1
                self._owner.on_refused()
                await self._clock.sleep(backoff_s(self._failures, self._random))
                continue
            await self._over.wait()
            self.reconnects += 1
            lived_s = (self._clock.monotonic_ns() - self._opened_ns) / NS_PER_S
            delay_s, self._asked_delay_s = self._asked_delay_s, None
            if delay_s is None:
                self._failures = 1 if lived_s >= SETTLED_AFTER_S else self._failures + 1
                delay_s = backoff_s(self._failures, self._random)
            await self._clock.sleep(delay_s)

    async def _open(self, socket: _Socket) -> None:
        await transport.connect(await self._owner.url(), self._user_agent, socket, self._clock)

    def _end(self, reason: str) -> None:
        self._current = None
        self._stop_succession()
        self._over.set()
        self._owner.on_closed(reason)

    # -- succession --------------------------------------------------------------------------------

    def _plan_succession(self, after_s: float) -> None:
        after_s += self._random.uniform(-1.0, 1.0) * min(SUCCEED_JITTER_S, after_s / 4)
        self._succession_due = self._clock.call_later(after_s, self.succeed)

    def succeed(self) -> None:
        """Opens a successor now and hands over to it."""
        if self._succession is None and self._current is not None:
            self._succession = asyncio.get_running_loop().create_task(self._succeed(), name="succession")

    async def _succeed(self) -> None:
        socket = _Socket(self)
        self._successor = socket
        try:
            await self._open(socket)
        except ConnectError:
            self.attempts_failed += 1
            self._successor = self._succession = None
            self._plan_succession(SUCCEED_RETRY_S)
            return
        self._owner.on_successor()
        waited_s = 0.0
        while True:
            frames = self._owner.merge(socket.held, waited_s)
            if frames is None and waited_s < MERGE_PATIENCE_S and len(socket.held) < MAX_HELD_FRAMES:
                await self._clock.sleep(MERGE_POLL_S)
                waited_s += MERGE_POLL_S
                if self._successor is not socket:  # lost in the meantime
                    self._succession = None
                    self._plan_succession(SUCCEED_RETRY_S)
                    return
                continue
            break
        self._replace(socket, socket.held if frames is None else frames)

    def _replace(self, socket: _Socket, frames: list[bytearray]) -> None:
        old, self._current = self._current, socket
        self._successor = self._succession = None
        self._opened_ns = self._clock.monotonic_ns()
        self.successions += 1
        self._plan_succession(SUCCEED_AFTER_S)
        socket.held = []
        if old is not None:
            self._leaving.add(old)
            self._clock.call_later(self._linger_s, lambda: old.close("replaced by a fresh connection"))
        if frames:
            self._owner.on_batch(frames)

    def _stop_succession(self) -> None:
        if self._succession_due is not None:
            self._succession_due.cancel()
        if self._succession is not None:
            self._succession.cancel()
            self._succession = None
        successor, self._successor = self._successor, None
        if successor is not None and successor.connection is not None:
            self._leaving.add(successor)
            successor.close("not needed")

    # -- what the sockets say ----------------------------------------------------------------------

    def socket_opened(self, socket: _Socket) -> None:
        if socket is self._successor:
            return
        self._current = socket
        self._opened_ns = self._clock.monotonic_ns()
        self._plan_succession(SUCCEED_AFTER_S)
        self._owner.on_open()

    def socket_batch(self, socket: _Socket, frames: list[bytearray]) -> None:
        if socket is self._current or (self._linger_s and socket in self._leaving):
            self._owner.on_batch(frames)
        elif socket is self._successor:
            socket.held += frames

    def socket_lost(self, socket: _Socket, reason: str) -> None:
        if socket is self._current:
            self._end(reason)
        elif socket is self._successor:
            self._successor = None
        self._leaving.discard(socket)
