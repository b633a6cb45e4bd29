"""The two connections that carry one symbol's public data, as one line that is up as a whole or not at all."""

import asyncio
from collections.abc import Callable
from typing import Final

import aiohttp
import msgspec

from phoenix_simulator.market.capture import MessageError, MessageParser, Record
from phoenix_simulator.market.upstream.questions import UpstreamError

_PING_S: Final = 20.0
"""A peer that leaves a ping unanswered for half of this is gone, whatever its socket looks like."""
_CONNECT_S: Final = 10.0
_GOODBYE: Final = aiohttp.ClientWSTimeout(ws_close=1.0)
_LARGEST_FRAME: Final = 16 * 1024 * 1024


class _Bare(msgspec.Struct):
    e: str = ""


_bare = msgspec.json.Decoder(_Bare)


class Line:
    """`hear` gets each record in the order of its connection. `over` is done when the line has ended: its exception
    says why. `retiring` is set when the upstream has announced that it will end it.
    """

    def __init__(self, parser: MessageParser, hear: Callable[["Line", Record], None]) -> None:
        self._parser = parser
        self._hear = hear
        self._sockets: list[aiohttp.ClientWebSocketResponse] = []
        self._readers: list[asyncio.Task[None]] = []
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.retiring = asyncio.Event()

    async def open(self, http: aiohttp.ClientSession, streams_url: str, symbol: str) -> None:
        """Raises UpstreamError where a handshake fails."""
        name = symbol.lower()
        for route, streams in (
            ("public", (f"{name}@depth@100ms", f"{name}@bookTicker", f"{name}@trade")),
            ("market", (f"{name}@markPrice@1s",)),
        ):
            url = f"{streams_url}/{route}/stream?streams={'/'.join(streams)}"
            try:
                async with asyncio.timeout(_CONNECT_S):
                    socket = await http.ws_connect(
                        url, heartbeat=_PING_S, max_msg_size=_LARGEST_FRAME, timeout=_GOODBYE
                    )
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise UpstreamError(f"{streams_url}: no stream: {error or type(error).__name__}") from None
            self._sockets.append(socket)
            reader = asyncio.create_task(self._read(socket))
            reader.add_done_callback(self._reader_ended)
            self._readers.append(reader)

    async def close(self) -> None:
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)
        self._end("closed by us")
        for socket in self._sockets:
            await socket.close()

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        try:
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._take(message.data)
            self._end(f"the connection ended (code {socket.close_code})")
        except (MessageError, msgspec.DecodeError) as error:
            self._end(f"a message cannot be used: {error}")

    def _reader_ended(self, reader: asyncio.Task[None]) -> None:
        """What the market itself raised is no fault of the line: it ends the exchange."""
        failure = None if reader.cancelled() else reader.exception()
        if failure is not None and not self.over.done():
            self.over.set_exception(failure)

    def _take(self, text: str) -> None:
        if not text.startswith('{"stream"'):
            if _bare.decode(text).e == "serverShutdown":
                self.retiring.set()
            return
        record = self._parser.record(text, 0)
        if record is not None and not self.over.done():
            self._hear(self, record)

    def _end(self, reason: str) -> None:
        if not self.over.done():
            self.over.set_exception(UpstreamError(reason))
            self.over.exception()  # looked at: a line that nobody waits for any more may end unheard
