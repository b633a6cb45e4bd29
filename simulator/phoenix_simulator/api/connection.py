"""One WebSocket of a client, bounded in what it may fall behind by, so that a slow reader stalls nobody else.

Market streams, user data and the WebSocket API all run on it. It also keeps the venue's rules of a connection: ten
messages a second, a ping every three minutes answered within ten, twenty-four hours of life.
"""

import asyncio
from collections import deque
from typing import Final

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from phoenix_simulator.clock import Clock
from phoenix_simulator.fault_schedule import Faults
from phoenix_simulator.faults import Route
from phoenix_simulator.latency import Latency, Part

MESSAGES_PER_SECOND: Final = 10
"""Of a stream: requests, pings and pongs."""
PINGS_PER_SECOND: Final = 5
"""Of the WebSocket API, whose requests are limited by weight: pings and pongs."""
_SECOND_NS: Final = 1_000_000_000
PING_INTERVAL_NS: Final = 180 * _SECOND_NS
PONG_GRACE_NS: Final = 600 * _SECOND_NS
LIFETIME_NS: Final = 24 * 3_600 * _SECOND_NS
OUTBOX_BYTES: Final = 8 * 1024 * 1024
"""What a connection may fall behind by (some ten seconds of a busy symbol's depth at 0 ms) before it is cut."""
_DATA: Final = frozenset({WSMsgType.TEXT, WSMsgType.BINARY})
_PINGS: Final = frozenset({WSMsgType.PING, WSMsgType.PONG})
_PART_OF: Final = {Route.PRIVATE: Part.USER_DATA, Route.WS_API: Part.ACKNOWLEDGEMENT}
"""What of the latencies a route's frames take; the others carry market data."""
_ENDED: Final = frozenset({WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR})


def text_frame(payload: bytes) -> bytes:
    """A text message as it goes over the line (RFC 6455, 5.2): final, unmasked, uncompressed."""
    length = len(payload)
    if length < 126:
        return b"\x81%c%b" % (length, payload)
    if length < 65_536:
        return b"\x81\x7e%b%b" % (length.to_bytes(2), payload)
    return b"\x81\x7f%b%b" % (length.to_bytes(8), payload)


class Connection:
    """`holder` is the User-Agent of the handshake; `ip` is what request weight is counted by.

    Text goes straight to the transport as frames made once for all who get them: everything that one turn of the event
    loop offers leaves in a single write. Nobody waits for a reader; the transport holds what a slow one has not taken.
    """

    def __init__(self, request: web.Request, route: Route, clock: Clock, faults: Faults, latency: Latency) -> None:
        # Compression is off: the venue's support is unknown, and it would cost more than everything else here.
        self._socket = web.WebSocketResponse(autoping=False, compress=False, max_msg_size=1024 * 1024)
        self._request = request
        self._clock = clock
        self._faults = faults
        self.route = route
        self.holder = request.headers.get("User-Agent", "")
        self.ip = request.remote or ""
        self.query = request.rel_url.query
        self.combined = False
        self._offered: list[bytes] = []
        self._line = latency.line(_PART_OF.get(route, Part.MARKET_DATA), self._put)
        self._is_open = False
        self._has_ended = False
        self._closing: asyncio.Task[None] | None = None
        most, self._counted = (
            (PINGS_PER_SECOND, _PINGS) if route is Route.WS_API else (MESSAGES_PER_SECOND, _PINGS | _DATA)
        )
        self._received: deque[int] = deque(maxlen=most)
        opened_ns = clock.monotonic_ns()
        self._ends_ns = opened_ns + LIFETIME_NS
        self._goodbye = b"24 hours"
        self._pinged_ns = opened_ns
        self._ponged_ns = opened_ns
        self._ping = b""

    async def open(self) -> web.WebSocketResponse:
        """Completes the handshake. The response is what the aiohttp handler must return in the end."""
        await self._socket.prepare(self._request)
        self._is_open = True
        self._flush()
        return self._socket

    def offer(self, frame: bytes) -> None:
        """Sends a `text_frame` in its turn; a client that lets them pile up is disconnected, as the venue does."""
        if self._closing is not None:
            return
        if self._line is None:
            self._put(frame)
        else:
            self._line.push(frame)

    def _put(self, frame: bytes) -> None:
        self._offered.append(frame)
        if len(self._offered) == 1:
            asyncio.get_running_loop().call_soon(self._flush)

    def reply(self, payload: bytes) -> None:
        self.offer(text_frame(payload))

    def close(self, code: int = WSCloseCode.OK, reason: bytes = b"") -> None:
        """An orderly close after what was offered."""
        if self._closing is None:
            self._flush()
            self._closing = asyncio.create_task(self._say_goodbye(code, reason))

    def retire(self, after_s: float) -> None:
        """The server behind this connection goes away: it is closed after so many seconds, if not before."""
        ends_ns = self._clock.monotonic_ns() + int(after_s * _SECOND_NS)
        if ends_ns < self._ends_ns:
            self._ends_ns, self._goodbye = ends_ns, b"server shutdown"

    def cut(self) -> None:
        """The line is dead at once; nothing that waits is sent."""
        self._offered.clear()
        if self._line is not None:
            self._line.clear()
        if self._request.transport is not None:
            self._request.transport.abort()

    async def wait_closed(self) -> None:
        if self._closing is not None:
            await self._closing

    def _flush(self) -> None:
        transport = self._request.transport
        if not self._is_open or not self._offered or self._has_ended:
            return
        if transport is not None and not transport.is_closing():
            transport.write(b"".join(self._offered))
            if transport.get_write_buffer_size() > OUTBOX_BYTES:
                transport.abort()
        self._offered.clear()

    async def _say_goodbye(self, code: int, reason: bytes) -> None:
        if self._line is not None:
            await self._line.drained()
        self._flush()
        self._has_ended = True
        if self._is_open:
            await self._socket.close(code=code, message=reason)

    async def receive(self) -> str | None:
        """The next text of the client, or None when the connection has ended. Answers pings, counts messages."""
        while True:
            message: WSMessage = await self._socket.receive()
            if message.type in _ENDED or self._closing is not None:
                return None
            if message.type in self._counted and not self._within_rate():
                self.close(WSCloseCode.POLICY_VIOLATION, b"Too many requests")
                return None
            if self._faults and self._faults.in_outage(self.holder):
                continue
            if message.type is WSMsgType.PING:
                await self._pong(message.data)
            elif message.type is WSMsgType.PONG:
                # Any pong keeps a stream alive; the WebSocket API wants its own payload back.
                if self.route is not Route.WS_API or bytes(message.data) == self._ping:
                    self._ponged_ns = self._clock.monotonic_ns()
            elif message.type in _DATA:
                return message.data if isinstance(message.data, str) else bytes(message.data).decode(errors="replace")

    async def keep_alive(self) -> None:
        """Called now and then: pings when it is time, ends what is too old or no longer answers."""
        now_ns = self._clock.monotonic_ns()
        if self._faults and self._faults.in_outage(self.holder):
            return
        if now_ns >= self._ends_ns:
            self.close(WSCloseCode.GOING_AWAY, self._goodbye)
        elif self._pinged_ns > self._ponged_ns and now_ns - self._pinged_ns >= PONG_GRACE_NS:
            self.cut()
        elif now_ns - self._pinged_ns >= PING_INTERVAL_NS and self._ponged_ns >= self._pinged_ns:
            self._pinged_ns = now_ns
            self._ping = str(self._clock.reported_ms()).encode()
            try:
                await self._socket.ping(self._ping)
            except ConnectionError:
                self.cut()

    def _within_rate(self) -> bool:
        now_ns = self._clock.monotonic_ns()
        full = len(self._received) == self._received.maxlen
        within = not full or now_ns - self._received[0] >= _SECOND_NS
        self._received.append(now_ns)
        return within

    async def _pong(self, payload: bytes) -> None:
        try:
            await self._socket.pong(payload)
        except ConnectionError:
            self.cut()
