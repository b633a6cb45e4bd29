"""A WebSocket client shell that hands over everything that one read of the socket brought, at once.

`websockets` has the protocol without I/O (`ClientProtocol`); this module gives it a socket. Its own asyncio shell wakes
a task per message; here the frames of a read arrive as one batch in the call stack of the event loop, so that a burst
can be conflated before it is decoded, and an answer can leave in the same call stack. There is no queue of ours: what
has not been read yet waits in the kernel, and beyond its buffer at the exchange.

Compression is not offered: it costs more time than the bytes that it saves on a fast line.
"""

import asyncio
import ssl
from functools import cache
from typing import Protocol, cast

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidURI, WebSocketException
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

from phoenix_worker.venue.clock import Clock, Timer

MAX_MESSAGE_BYTES = 8 * 1024 * 1024
"""No message of the exchange comes near; one that does is an attack or a mistake, and ends the connection."""
CONGESTED_BYTES = 256 * 1024
"""More than this unsent means that the peer does not read: an order written now would leave too late. Two hundred
orders of one turn of the loop stay far below it."""
PING_EVERY_S = 20.0
"""A quiet connection is asked whether it lives; one that gives no sign of life until the next time is dead. The
exchange admits five control frames a second."""
CONNECT_TIMEOUT_S = 10.0
CLOSE_PATIENCE_S = 2.0


class ConnectError(Exception):
    """The connection could not be opened: refused, timed out, or the handshake was turned down."""


class Listener(Protocol):
    """Who hears a connection."""

    def on_open(self, connection: "Connection") -> None:
        """The handshake is done: frames may follow in the same read, and `on_lost` will."""
        ...

    def on_batch(self, frames: list[bytearray]) -> None:
        """The text frames of one read, in order."""
        ...

    def on_lost(self, reason: str) -> None:
        """The connection is gone, whoever ended it. Called once, and nothing after it."""
        ...


class Connection(asyncio.Protocol):
    """One open WebSocket. Made by `connect`."""

    def __init__(self, protocol: ClientProtocol, user_agent: str, listener: Listener, clock: Clock) -> None:
        self._protocol = protocol
        self._user_agent = user_agent
        self._listener = listener
        self._clock = clock
        self._transport: asyncio.Transport | None = None
        self._fragments: bytearray | None = None
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._gone = asyncio.Event()
        self._alive = True
        self._heartbeat: Timer | None = None
        self._farewell: Timer | None = None
        self._reason = ""
        self._was_open = False
        self._lost = False

    # -- what others call --------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        return self._protocol.state is State.OPEN

    @property
    def can_send(self) -> bool:
        """Open, and the peer reads."""
        transport = self._transport
        return (
            transport is not None
            and self._protocol.state is State.OPEN
            and not transport.is_closing()
            and transport.get_write_buffer_size() < CONGESTED_BYTES
        )

    def send(self, text: bytes) -> None:
        """Writes one text frame in this call stack; the caller has checked `can_send`."""
        self._protocol.send_text(text)
        self._flush()

    def close(self, reason: str) -> None:
        """Says goodbye; `on_lost` follows when the peer has answered, or after `CLOSE_PATIENCE_S`."""
        self._reason = self._reason or reason
        if self._transport is None or self._lost:
            return
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(1000)
            self._flush()
            self._farewell = self._clock.call_later(CLOSE_PATIENCE_S, self.abort)
        else:
            self.abort()

    async def closed(self) -> None:
        """Waits until the socket is gone."""
        await self._gone.wait()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # -- what asyncio calls ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # create_connection makes stream transports
        request = self._protocol.connect()
        request.headers["User-Agent"] = self._user_agent
        self._protocol.send_request(request)
        self._flush()

    def data_received(self, data: bytes) -> None:
        self._alive = True
        protocol = self._protocol
        protocol.receive_data(data)
        self._flush()
        batch: list[bytearray] = []
        for event in protocol.events_received():
            if isinstance(event, Frame):
                if event.opcode is Opcode.TEXT and event.fin:
                    batch.append(event.data)  # type: ignore[arg-type]  # the parser cuts frames off its bytearray
                else:
                    self._collect(event, batch)
            elif isinstance(event, Response):
                self._on_response()
        if batch and not self._lost:
            self._listener.on_batch(batch)
        if protocol.state is State.CLOSED and self._transport is not None:
            self._transport.close()

    def eof_received(self) -> None:
        self._protocol.receive_eof()
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone.set()
        self._protocol.receive_eof()
        for timer in (self._heartbeat, self._farewell):
            if timer is not None:
                timer.cancel()
        reason = self._reason or self._close_reason(exc)
        if not self._opened.done():
            self._opened.set_exception(ConnectError(reason))
        elif self._was_open and not self._lost:
            self._lost = True
            self._listener.on_lost(reason)

    # -- inside ------------------------------------------------------------------------------------

    async def opened(self) -> None:
        """Waits for the handshake; raises `ConnectError`."""
        await self._opened

    def give_up(self) -> None:
        """Nobody waits for the handshake any more."""
        if not self._opened.cancel() and not self._opened.cancelled():
            self._opened.exception()  # retrieved, so that nobody is told of it
        self.abort()

    def _on_response(self) -> None:
        if self._opened.done():  # given up in the meantime
            return
        if self._protocol.handshake_exc is not None:
            self._opened.set_exception(ConnectError(str(self._protocol.handshake_exc)))
            return
        self._opened.set_result(None)
        self._was_open = True
        self._heartbeat = self._clock.call_later(PING_EVERY_S, self._beat)
        self._listener.on_open(self)

    def _beat(self) -> None:
        if not self._alive:
            self._reason = f"no sign of life for {PING_EVERY_S:g} s"
            self.abort()
        elif self._protocol.state is State.OPEN:
            self._alive = False
            self._protocol.send_ping(b"")
            self._flush()
            self._heartbeat = self._clock.call_later(PING_EVERY_S, self._beat)

    def _collect(self, frame: Frame, batch: list[bytearray]) -> None:
        """Joins fragments; control frames were answered by the protocol, binary ones do not occur."""
        if frame.opcode is Opcode.TEXT:
            self._fragments = bytearray(frame.data)
        elif frame.opcode is Opcode.CONT and self._fragments is not None:
            self._fragments += frame.data
            if frame.fin:
                batch.append(self._fragments)
                self._fragments = None

    def _flush(self) -> None:
        transport = self._transport
        for data in self._protocol.data_to_send():
            if transport is None or transport.is_closing():
                return
            if data:
                transport.write(data)
            elif transport.can_write_eof():
                transport.write_eof()
            else:
                transport.close()

    def _close_reason(self, exc: Exception | None) -> str:
        received = self._protocol.close_rcvd
        if received is not None:
            return f"closed by the exchange: {received.code} {received.reason}".rstrip()
        if self._protocol.handshake_exc is not None:
            return str(self._protocol.handshake_exc)
        broken = self._protocol.parser_exc
        if broken is not None and not isinstance(broken, EOFError):
            return f"protocol error: {broken}"
        return f"connection lost: {exc}" if exc is not None else "connection lost"


@cache
def _tls() -> ssl.SSLContext:
    """Made once: reading the certificates takes long enough to be felt by a tick."""
    return ssl.create_default_context()


async def connect(url: str, user_agent: str, listener: Listener, clock: Clock) -> Connection:
    """Opens one connection, handshake included; raises `ConnectError`. `on_lost` follows only where `on_open` came."""
    try:
        uri = parse_uri(url)
    except InvalidURI as error:
        raise ConnectError(str(error)) from error
    protocol = ClientProtocol(uri, max_size=MAX_MESSAGE_BYTES)
    connection = Connection(protocol, user_agent, listener, clock)
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S / clock.rate):
            await asyncio.get_running_loop().create_connection(
                lambda: connection, uri.host, uri.port, ssl=_tls() if uri.secure else None
            )
            await connection.opened()
    except TimeoutError as error:
        connection.give_up()
        raise ConnectError(f"no handshake within {CONNECT_TIMEOUT_S:g} s") from error
    except (OSError, WebSocketException) as error:
        connection.give_up()
        raise ConnectError(str(error)) from error
    except (ConnectError, asyncio.CancelledError):
        connection.give_up()
        raise
    return connection
