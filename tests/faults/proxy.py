"""The network between a worker and one of the two that it talks to, with everything that a network does.

What is held is not lost: it waits where a network's buffers would keep it, and arrives when the partition heals, even
if the process that wrote it is dead by then.
"""

import asyncio
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import cast

Dial = Callable[[Callable[[], asyncio.Protocol]], Awaitable[tuple[asyncio.BaseTransport, asyncio.BaseProtocol]]]
"""Opens the far side: a `create_connection` with its address."""


class Weather(Enum):
    """What the network does. `DEAF`: the worker's words arrive, the answers do not. `MUTE`: the other way round."""

    FAIR = "fair"
    HELD = "held"
    DEAF = "deaf"
    MUTE = "mute"
    CUT = "cut"


class _End(asyncio.Protocol):
    """One side of a pair. What it reads goes out at its peer."""

    def __init__(self, link: "Link", pair: "_Pair", *, near: bool) -> None:
        self._link = link
        self._pair = pair
        self._near = near
        self.transport: asyncio.Transport | None = None
        self._peer_is_full = False
        self._is_paused = False
        self._kept: list[bytes] = []
        """What came in although nobody was to read: a loop begins to read before it can be told not to."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's do not inherit from it
        loop = asyncio.get_running_loop()
        if self._near:
            self._link.pairs.add(self._pair)
            self._pair.opening = loop.create_task(self._pair.open())
        loop.call_soon(self.settle)

    def data_received(self, data: bytes) -> None:
        if self._waits:
            self._kept.append(data)
        else:
            self._pair.pass_on(data, from_near=self._near)

    def pause_writing(self) -> None:
        self._pair.other(self).choke(full=True)

    def resume_writing(self) -> None:
        self._pair.other(self).choke(full=False)

    def choke(self, *, full: bool) -> None:
        self._peer_is_full = full
        self.settle()

    @property
    def _waits(self) -> bool:
        weather = self._link.weather
        held = weather is Weather.HELD or weather is (Weather.MUTE if self._near else Weather.DEAF)
        return held or not self._pair.is_open

    def settle(self) -> None:
        """Reads, or does not: what is not read waits in the kernel, and then at the sender."""
        if not self._waits and self._kept:
            kept, self._kept = self._kept, []
            for data in kept:
                self._pair.pass_on(data, from_near=self._near)
        if self.transport is None or self.transport.is_closing():
            return
        wants_pause = self._waits or self._peer_is_full
        if wants_pause and not self._is_paused:
            self.transport.pause_reading()
        elif not wants_pause and self._is_paused:
            self.transport.resume_reading()
        self._is_paused = wants_pause

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._pair.end()


class _Pair:
    """A worker's connection, and the one that was opened for it."""

    def __init__(self, link: "Link", dial: Dial) -> None:
        self._link = link
        self._dial = dial
        self.near = _End(link, self, near=True)
        self.far = _End(link, self, near=False)
        self.opening: asyncio.Task[None] | None = None
        self.is_open = False

    async def open(self) -> None:
        try:
            await self._dial(lambda: self.far)
        except OSError:
            self.end()
            return
        self.is_open = True
        self.near.settle()
        self.far.settle()

    def other(self, end: _End) -> _End:
        return self.far if end is self.near else self.near

    def pass_on(self, data: bytes, *, from_near: bool) -> None:
        transport = (self.far if from_near else self.near).transport
        if transport is not None and not transport.is_closing():
            transport.write(data)

    def end(self) -> None:
        """The one side is gone: the other is closed, once it has got what was on its way."""
        self._link.pairs.discard(self)
        for end in (self.near, self.far):
            if end.transport is not None and not end.transport.is_closing():
                end.transport.close()

    def abort(self) -> None:
        self._link.pairs.discard(self)
        for end in (self.near, self.far):
            if end.transport is not None:
                end.transport.abort()


class Link:
    """One worker's way to one server. `weather` is set by `change`."""

    def __init__(self, dial: Dial) -> None:
        self._dial = dial
        self.weather = Weather.FAIR
        self.pairs: set[_Pair] = set()
        self._server: asyncio.Server | None = None

    async def listen_unix(self, path: str) -> None:
        self._server = await asyncio.get_running_loop().create_unix_server(self._accept, path)

    async def listen_tcp(self) -> int:
        """The port that was free."""
        self._server = await asyncio.get_running_loop().create_server(self._accept, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    def change(self, weather: Weather) -> None:
        self.weather = weather
        for pair in list(self.pairs):
            if weather is Weather.CUT:
                pair.abort()
            else:
                pair.near.settle()
                pair.far.settle()

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for pair in list(self.pairs):
            pair.abort()

    def _accept(self) -> asyncio.Protocol:
        if self.weather is Weather.CUT:
            return _Refuser()
        return _Pair(self, self._dial).near


class _Refuser(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).abort()
